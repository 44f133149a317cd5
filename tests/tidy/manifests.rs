//! Each dependency has its reason directly above it in its `Cargo.toml`.

use super::tree::{Breach, Tree};

pub fn dependencies_without_reason(tree: &Tree) -> Vec<Breach> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let mut in_dependencies = false;
        let mut previous = "";
        // A section of one dependency may have the reason above its own line.
        let mut section_explained = false;
        for (index, line) in file.text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with('[') {
                section_explained = previous.starts_with('#');
                in_dependencies = line.trim_matches(['[', ']']).ends_with("dependencies");
            } else if in_dependencies && line.contains('=') && !line.starts_with('#') && is_key(line) {
                let name = line.split(['=', '.']).next().unwrap_or("").trim();
                let own_crate = line.contains("path = ");
                let explained = previous.starts_with('#') || (previous.starts_with('[') && section_explained);
                if !explained && !own_crate {
                    let what = format!("dependency `{name}` has no reason in a comment above it");
                    found.push(Breach { path: file.path.clone(), line: index + 1, what });
                }
            }
            previous = line;
        }
    }
    found
}

/// `name = ...` and not the continuation of a longer value.
fn is_key(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_alphabetic())
}

#[test]
fn a_dependency_without_its_reason_is_caught() {
    let text = "[package]\nname = \"x\"\n[dependencies]\n# Because.\na = \"1\"\nb = { version = \"1\" }\n\n[dev-dependencies]\nc = \"1\"\n[features]\nd = []\n";
    let tree = Tree::of([("Cargo.toml", text)]);
    let lines: Vec<usize> = dependencies_without_reason(&tree).iter().map(|breach| breach.line).collect();
    assert_eq!(lines, [6, 9]);
}
