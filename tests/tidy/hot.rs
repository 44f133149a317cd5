//! The modules marked `Hot.`: no lock, no wait, no log text, no panic from input.
//!
//! What allocates is not looked for here, because reading cannot tell a start from a turn: the sealed allocator does that.
//! A function marked `#[cold]` runs when something has gone wrong or ended, and may speak.

use super::source::Source;
use super::tree::{Breach, Tree};

/// Never, not even in a cold function of a hot module.
const NEVER: &[(&str, &str)] = &[
    ("Mutex", "a lock"),
    ("RwLock", "a lock"),
    ("Condvar", "a lock"),
    ("Barrier", "a wait"),
    ("mpsc", "a channel that waits and allocates"),
    ("sleep", "a wait"),
    ("println", "it writes to a terminal"),
    ("eprintln", "it writes to a terminal"),
    ("print", "it writes to a terminal"),
    ("eprint", "it writes to a terminal"),
    ("dbg", "it writes to a terminal"),
    ("HashMap", "a random seed and an order of its own"),
    ("HashSet", "a random seed and an order of its own"),
];

/// Where a hot module may name what is never done in its hot functions: file, word, why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("src/telemetry/counters.rs", "Mutex", "locked at start and by readers, never by an owner that counts"),
    ("src/threads/receiver.rs", ".to_owned()", "the subscriptions, when a connection opens"),
];

/// Hot modules that do not have the denials yet. It may only become shorter: a file that has them must leave this list.
const OWED: &[&str] = &["src/threads/core_loop.rs", "src/threads/receiver.rs", "src/threads/sender.rs"];

/// Only in a `#[cold]` function: text is made for people, and allocates.
const COLD_ONLY: &[&str] = &["format!", ".to_string()", ".to_owned()"];

/// The lints that make a panic from input a compile error. They stand in the file, in a module above it, or in the crate's root.
const DENIALS: &[&str] =
    &["clippy::indexing_slicing", "clippy::unwrap_used", "clippy::expect_used", "clippy::panic"];

pub fn breaches(tree: &Tree) -> Vec<Breach> {
    let mut found = Vec::new();
    for file in tree.rust().filter(|file| file.path.starts_with("src/") && file.is_hot()) {
        for (word, why) in NEVER {
            if is_excepted(file, word) {
                continue;
            }
            for at in file.words(word).filter(|&at| !file.in_test(at)) {
                found.push(Breach::at(file, at, format!("`{word}` in a hot module: {why}")));
            }
        }
        for text in COLD_ONLY {
            for (at, _) in file.code.match_indices(text) {
                if !file.in_test(at) && !file.in_cold(at) && !is_excepted(file, text) {
                    found.push(Breach::at(
                        file,
                        at,
                        format!("`{text}` in a hot module outside a #[cold] function"),
                    ));
                }
            }
        }
        let missing: Vec<_> = DENIALS.iter().filter(|lint| !denied(tree, file, lint)).collect();
        match (OWED.contains(&file.path.as_str()), missing.is_empty()) {
            (true, true) => found
                .push(Breach::of_file(&file.path, "has the denials now: take it off the list of the owed")),
            (false, false) => {
                found.push(Breach::of_file(&file.path, format!("a hot module without deny{missing:?}")))
            }
            _ => {}
        }
    }
    found
}

fn is_excepted(file: &Source, word: &str) -> bool {
    EXCEPTIONS.iter().any(|(path, excepted, _)| *path == file.path && *excepted == word)
}

/// The mark counts only as the last line of the header, so that one search finds every hot module.
pub fn unclear_marks(tree: &Tree) -> Vec<Breach> {
    let unclear = |file: &&Source| {
        let header = file.header();
        let says = header.iter().any(|line| line.split_whitespace().any(|word| word == "Hot."));
        says && !file.is_hot()
    };
    let sources = tree.rust().filter(|file| file.path.starts_with("src/"));
    sources
        .filter(unclear)
        .map(|file| Breach::of_file(&file.path, "`Hot.` must be the last line of the header, alone"))
        .collect()
}

fn denied(tree: &Tree, file: &Source, lint: &str) -> bool {
    if inner_attributes_deny(file, lint) {
        return true;
    }
    let mut path = file.path.as_str();
    while let Some((folder, _)) = path.rsplit_once('/') {
        let parents = [format!("{folder}.rs"), format!("{folder}/mod.rs"), format!("{folder}/lib.rs")];
        if parents
            .iter()
            .filter_map(|parent| tree.file(parent))
            .any(|parent| inner_attributes_deny(parent, lint))
        {
            return true;
        }
        path = folder;
    }
    false
}

fn inner_attributes_deny(file: &Source, lint: &str) -> bool {
    let attributes = file.code.match_indices("#![").filter_map(|(at, _)| {
        let end = super::source::matching(file.code.as_bytes(), at + 2)?;
        Some(&file.code[at..end])
    });
    attributes
        .into_iter()
        .any(|text| (text.contains("deny(") || text.contains("forbid(")) && text.contains(lint))
}

fn caught(text: &str) -> Vec<String> {
    let denials =
        "#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]\n";
    let text = format!("//! What it is.\n//! Hot.\n{denials}{text}");
    breaches(&Tree::of([("src/x.rs", text.as_str())])).into_iter().map(|breach| breach.what).collect()
}

#[test]
fn waiting_and_talking_in_a_hot_module_is_caught() {
    for text in [
        "use std::sync::Mutex;",
        "fn f() { std::thread::sleep(d) }",
        "fn f() { println!(\"x\") }",
        "#[cold] fn f() { eprintln!(\"x\") }",
        "fn f() { g(format!(\"{x}\")) }",
        "fn f(e: E) { g(e.to_string()) }",
        "use std::collections::HashMap;",
    ] {
        assert_eq!(caught(text).len(), 1, "{text}");
    }
}

#[test]
fn a_hot_module_without_the_denials_is_caught() {
    let bare = Tree::of([("src/x.rs", "//! What it is.\n//! Hot.\nfn f() {}")]);
    assert_eq!(breaches(&bare).len(), 1);
    let text = "#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]";
    let parent = format!("//! x\n{text}\nmod x;");
    let below =
        Tree::of([("src/a/mod.rs", parent.as_str()), ("src/a/x.rs", "//! What it is.\n//! Hot.\nfn f() {}")]);
    assert_eq!(breaches(&below), []);
}

#[test]
fn cold_functions_and_tests_of_a_hot_module_may_speak() {
    assert_eq!(caught("#[cold]\nfn f() { g(format!(\"{x}\")) }"), [""; 0]);
    assert_eq!(
        caught("#[cfg(test)]\nmod tests { use std::sync::Mutex; fn f() { println!(\"\") } }"),
        [""; 0]
    );
}

#[test]
fn a_mark_in_the_middle_of_the_header_is_caught() {
    let tree = Tree::of([("src/x.rs", "//! Hot. A thing.\n//! More of it.\n")]);
    assert_eq!(unclear_marks(&tree).len(), 1);
    let tree = Tree::of([("src/x.rs", "//! A thing that is not Hot, only warm.\n")]);
    assert_eq!(unclear_marks(&tree), []);
}
