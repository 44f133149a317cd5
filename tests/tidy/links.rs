//! Relative links in the documents lead somewhere: to a tracked file or folder, and to a heading that is there.

use super::source::Source;
use super::tree::{Breach, Tree};

pub fn dead(tree: &Tree) -> Vec<Breach> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        for (at, target) in links(&file.text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let resolved = if path.is_empty() { file.path.clone() } else { beside(&file.path, path) };
            if !tree.has(&resolved) {
                found.push(Breach::at(file, at, format!("the link `{target}` leads nowhere")));
                continue;
            }
            let page = tree.file(&resolved).filter(|page| page.path.ends_with(".md"));
            if !heading.is_empty() && page.is_some_and(|page| !headings(page).any(|slug| slug == heading)) {
                found.push(Breach::at(file, at, format!("the link `{target}`: no such heading")));
            }
        }
    }
    found
}

/// The targets of `[text](target)` outside code blocks and code spans.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut in_block = false;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            let mut from = 0;
            while let Some(offset) = line[from..].find("](") {
                let open = from + offset + 2;
                let Some(length) = line[open..].find(')') else { break };
                let in_code = line[..open].matches('`').count() % 2 == 1;
                if !in_code {
                    let target = line[open..open + length].split_whitespace().next().unwrap_or("");
                    found.push((start + open, target));
                }
                from = open + length;
            }
        }
        start += line.len();
    }
    found
}

fn beside(page: &str, target: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

fn headings(page: &Source) -> impl Iterator<Item = String> + '_ {
    page.text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

#[test]
fn a_dead_link_is_caught() {
    let page = "[a](b.md) [c](../src/) [d](#a-heading) [e](https://x.example)\n`[f](g.md)`\n```\n[h](i.md)\n```\n## A heading\n";
    let dead_links = |page: &str| {
        let tree = Tree::of([("docs/a.md", page), ("docs/b.md", "# B"), ("src/lib.rs", "//! x")]);
        dead(&tree).len()
    };
    assert_eq!(dead_links(page), 0);
    for broken in ["[a](c.md)", "[a](../b.md)", "[a](b.md#c)", "[a](#nowhere)"] {
        assert_eq!(dead_links(broken), 1, "{broken}");
    }
}
