//! Names, headers, lengths, and what must never be in a tracked file: paths of one machine, other registries, secrets.

use super::tree::{Breach, Tree};

const MOST_LINES: usize = 900;
const MOST_BYTES: u64 = 512 * 1024;

/// Words that say nothing about what a thing does.
const EMPTY_NAMES: &[&str] = &["Manager", "Helper", "Helpers", "Utils", "Util", "Common", "Misc"];
const EMPTY_MODULES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc"];

pub fn headers(tree: &Tree) -> Vec<Breach> {
    let bare = tree.rust().filter(|file| file.header().first().is_none_or(|first| first.is_empty()));
    bare.map(|file| Breach::of_file(&file.path, "does not begin with a `//!` header that says what it is"))
        .collect()
}

pub fn lengths(tree: &Tree) -> Vec<Breach> {
    let counted = tree.rust().map(|file| (file, file.text.lines().count()));
    let long = counted.filter(|(_, lines)| *lines > MOST_LINES);
    let said = |lines| format!("{lines} lines, more than {MOST_LINES}: it is two files");
    long.map(|(file, lines)| Breach::of_file(&file.path, said(lines))).collect()
}

pub fn sizes(tree: &Tree) -> Vec<Breach> {
    let large = tree.sizes.iter().filter(|(_, size)| *size > MOST_BYTES);
    large.map(|(path, size)| Breach::of_file(path, format!("{size} bytes, more than {MOST_BYTES}"))).collect()
}

pub fn names(tree: &Tree) -> Vec<Breach> {
    let mut found = Vec::new();
    for file in tree.rust() {
        for (at, _) in file.code.match_indices("fn get_") {
            found.push(Breach::at(file, at, "a name that begins with `get_`: say what it answers"));
        }
        for keyword in ["struct", "enum", "trait", "type", "mod"] {
            for at in file.words(keyword) {
                let rest = file.code[at + keyword.len()..].trim_start();
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let empty = EMPTY_NAMES.iter().any(|word| name.ends_with(word))
                    || EMPTY_MODULES.contains(&name.as_str());
                if empty {
                    found.push(Breach::at(file, at, format!("`{name}` does not say what it does")));
                }
            }
        }
    }
    found
}

/// `///` on an item is not looked for here: `missing_docs` would be the tool. What is looked for is what a machine leaves behind.
pub fn machine_traces(tree: &Tree) -> Vec<Breach> {
    let paths = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];
    let registries = [
        concat!("index-", "url"),
        concat!("[regis", "tries"),
        concat!("replace-", "with"),
        concat!("registry", " = \"http"),
        concat!("registry", "=http"),
    ];
    let mut found = Vec::new();
    for file in &tree.files {
        for trace in paths {
            for (at, _) in file.text.match_indices(trace) {
                // `/some/home/x` or a URL's path names no machine.
                let begins = at.checked_sub(1).is_none_or(|before| {
                    let byte = file.text.as_bytes()[before];
                    !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~' | b'}'))
                });
                if begins {
                    found.push(Breach::at(file, at, format!("a path of one machine (`{trace}...`)")));
                }
            }
        }
        for trace in registries {
            for (at, _) in file.text.match_indices(trace) {
                found.push(Breach::at(file, at, format!("a registry of one machine (`{trace}`)")));
            }
        }
        if file.path.ends_with("Cargo.lock") {
            for (at, _) in file.text.match_indices("source = \"") {
                let line = file.line_at(at);
                if line != "source = \"registry+https://github.com/rust-lang/crates.io-index\"" {
                    found.push(Breach::at(file, at, format!("a crate that is not from crates.io: {line}")));
                }
            }
        }
    }
    found
}

/// Keys in the exchange's own documents, which our signature tests must repeat to compare with the documented result.
const DOCUMENTED_KEYS: &[&str] = &["vmPUZE6m", "NhqPtmdS", "2b5eb11e", "dbefbc80"];

pub fn secrets(tree: &Tree) -> Vec<Breach> {
    let marks = [
        concat!("AK", "IA"),
        concat!("gh", "p_"),
        concat!("github_", "pat_"),
        concat!("gl", "pat-"),
        concat!("xo", "xb-"),
    ];
    let mut found = Vec::new();
    for file in &tree.files {
        for mark in marks {
            for (at, _) in file.text.match_indices(mark) {
                found.push(Breach::at(file, at, "it looks like a secret"));
            }
        }
        let begins = concat!("PRIVATE KEY", "-----\n");
        for (at, _) in file.text.match_indices(begins) {
            let body = file.text[at + begins.len()..].lines().next().unwrap_or("");
            if is_random(body.trim()) {
                found.push(Breach::at(file, at, "a private key"));
            }
        }
        for (at, run) in runs_of_letters_and_digits(&file.text) {
            // The shape of the exchange's API keys and secrets.
            let documented = DOCUMENTED_KEYS.iter().any(|key| run.starts_with(key));
            if run.len() == 64 && is_random(run) && !documented && !run.contains("ABCDEFGHIJ") {
                found.push(Breach::at(file, at, "64 letters and digits: it looks like an API key"));
            }
        }
    }
    found
}

/// A made-up key repeats itself and a checksum has 16 digits; a real key uses most of its alphabet.
fn is_random(text: &str) -> bool {
    let distinct: std::collections::BTreeSet<char> = text.chars().collect();
    distinct.len() >= 24
}

fn runs_of_letters_and_digits(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter_map(move |run| {
        let at = text[from..].find(run).map_or(from, |offset| from + offset);
        from = at + run.len();
        (run.len() >= 64).then_some((at, run))
    })
}

fn caught(rule: fn(&Tree) -> Vec<Breach>, path: &str, text: &str) -> usize {
    rule(&Tree::of([(path, text)])).len()
}

#[test]
fn a_file_without_a_header_is_caught() {
    assert_eq!(caught(headers, "src/x.rs", "fn f() {}"), 1);
    assert_eq!(caught(headers, "src/x.rs", "// a comment\nfn f() {}"), 1);
    assert_eq!(caught(headers, "src/x.rs", "//! What it is.\nfn f() {}"), 0);
}

#[test]
fn a_long_or_large_file_is_caught() {
    assert_eq!(caught(lengths, "src/x.rs", &"fn f() {}\n".repeat(901)), 1);
    assert_eq!(caught(lengths, "src/x.rs", &"fn f() {}\n".repeat(900)), 0);
    assert_eq!(caught(sizes, "docs/x.svg", &"x".repeat(512 * 1024 + 1)), 1);
}

#[test]
fn an_empty_name_is_caught() {
    for text in [
        "pub fn get_price() {}",
        "struct OrderManager;",
        "mod utils;",
        "enum Common {}",
        "trait BookHelper {}",
    ] {
        assert_eq!(caught(names, "src/x.rs", text), 1, "{text}");
    }
    assert_eq!(caught(names, "src/x.rs", "// a Manager\nlet a = map.get(1); fn commonly() {}"), 0);
}

#[test]
fn a_trace_of_a_machine_is_caught() {
    let path = concat!("see /ho", "me/someone/x");
    let lock = "[[package]]\nsource = \"registry+https://mirror.example/index\"\n";
    assert_eq!(caught(machine_traces, "docs/x.md", path), 1);
    assert_eq!(
        caught(machine_traces, ".cargo/config.toml", concat!("[source.x]\nreplace-", "with = \"y\"")),
        1
    );
    assert_eq!(caught(machine_traces, "Cargo.lock", lock), 1);
    assert_eq!(caught(machine_traces, "docs/x.md", "https://site.example/home/page"), 0);
}

#[test]
fn a_secret_is_caught() {
    // Assembled here, so that this file does not hold one.
    let key: String =
        (0..64_u8).map(|n| char::from(if n % 2 == 0 { b'A' + n % 25 } else { b'a' + n % 23 })).collect();
    let pem = format!("-----BEGIN PRIVATE KEY{}\n{key}\n", "-----");
    assert_eq!(caught(secrets, "src/x.rs", &format!("let key = \"{key}\";")), 1);
    assert!(caught(secrets, "docs/x.md", &pem) > 0);
    assert_eq!(caught(secrets, "src/x.rs", &format!("let key = \"{}\";", "aB3x".repeat(16))), 0);
    assert_eq!(caught(secrets, "Cargo.lock", &format!("checksum = \"{}\"", "0a".repeat(32))), 0);
}
