//! Prints `default.toml`, and the built-in strategies' manuals, as `docs/CONFIGURATION.md`, so that the manual has one home.

use std::path::Path;

use super::{DEFAULT, Kind};

/// A line of `default.toml` is a comment, a table's header, a key, or empty; a comment belongs to what stands under it.
fn manual() -> String {
    let mut page = String::from(
        "# Configuration\n\n<!-- Printed from src/config/default.toml and src/config/strategy/*.toml: UPDATE_DOCS=1 cargo test --lib config:: -->\n",
    );
    let mut comment: Vec<&str> = Vec::new();
    let mut in_list = false;
    let mut open = |page: &mut String, heading: Option<&str>, comment: &mut Vec<&str>| {
        if let Some(heading) = heading {
            page.push_str(&format!("\n## `{heading}`\n"));
        }
        if !comment.is_empty() {
            page.push_str(&format!("\n{}\n", comment.join("\n")));
            comment.clear();
        }
        in_list = false;
    };
    let mut rows = String::new();
    let flush = |page: &mut String, rows: &mut String| {
        if !rows.is_empty() {
            page.push_str("\n| key | default | meaning |\n|---|---|---|\n");
            page.push_str(rows);
            rows.clear();
        }
    };
    // The kinds of strategy whose parameters are not in the default file have a manual each.
    let kinds = Kind::BUILT_IN.into_iter().filter_map(|kind| Some((kind, Kind::manual(kind)?)));
    let headed = kinds.map(|(kind, text)| format!("[strategy.parameters] of kind = \"{kind}\"\n\n{text}"));
    let text = [DEFAULT.to_owned()].into_iter().chain(headed).collect::<Vec<_>>().join("\n");
    for line in text.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.strip_prefix(' ').unwrap_or(text));
        } else if line.starts_with('[') {
            flush(&mut page, &mut rows);
            open(&mut page, Some(line), &mut comment);
        } else if let Some((key, value)) = line.split_once(" = ") {
            let meaning = comment.join(" ").replace('|', "\\|");
            comment.clear();
            rows.push_str(&format!("| `{key}` | `{value}` | {meaning} |\n"));
        } else if !comment.is_empty() {
            open(&mut page, None, &mut comment);
        }
    }
    flush(&mut page, &mut rows);
    page
}

#[test]
fn the_printed_manual_is_the_one_in_docs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIGURATION.md");
    let manual = manual();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &manual).expect("docs/CONFIGURATION.md is written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == manual, "docs/CONFIGURATION.md is stale: UPDATE_DOCS=1 cargo test --lib config::");
}

#[test]
fn every_key_is_explained_where_it_first_stands() {
    let mut explained = std::collections::BTreeSet::new();
    let mut table = "";
    let mut above = "";
    let manuals = Kind::BUILT_IN.into_iter().filter_map(Kind::manual);
    for line in DEFAULT.lines().chain(manuals.flat_map(|text| "[manual]\n".lines().chain(text.lines()))) {
        if line.starts_with('[') {
            table = line;
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            let is_new = explained.insert((table, key));
            assert!(!is_new || above.starts_with("# "), "{table} {key} has no comment above it");
        }
        above = line;
    }
    assert!(explained.len() > 60, "found {} keys", explained.len());
}
