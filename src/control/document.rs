//! Prints the tables of `docs/CONTROL.md` from the code, and fails when the page says something else.
//!
//! `UPDATE_DOCS=1 cargo test --lib control::document` writes them anew.

use std::fmt::Write;
use std::path::Path;

use crate::control::{Refused, VERBS};

#[test]
fn the_page_lists_what_the_code_understands() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONTROL.md");
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let mut page = kept.clone();
    replace(&mut page, "verbs", &verbs());
    replace(&mut page, "errors", &errors());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page).unwrap();
        return;
    }
    assert!(kept == page, "docs/CONTROL.md is stale: run the test once with UPDATE_DOCS=1");
}

fn verbs() -> String {
    let mut table = String::from(
        "| verb | what it does | arguments | when it answers `\"ok\":true` |\n|---|---|---|---|\n",
    );
    for row in VERBS {
        let arguments = row.arguments.iter().map(|argument| match argument.required {
            true => format!("`{}`", argument.name),
            false => format!("[`{}`]", argument.name),
        });
        let arguments = arguments.collect::<Vec<_>>().join(" ");
        writeln!(table, "| `{}` | {} | {arguments} | {} |", row.name, row.about, row.promise).unwrap();
    }
    table
}

fn errors() -> String {
    let mut table = String::from("| error | means | HTTP status |\n|---|---|---|\n");
    for row in Refused::ALL {
        writeln!(table, "| `{}` | {} | {} |", row.name, row.meaning, row.status).unwrap();
    }
    table
}

fn replace(page: &mut String, name: &str, table: &str) {
    let (begin, end) =
        (format!("<!-- {name}: printed from src/control -->\n"), format!("<!-- {name}: end -->"));
    let from =
        page.find(&begin).unwrap_or_else(|| panic!("docs/CONTROL.md has no place for {name}")) + begin.len();
    let to = page.find(&end).unwrap_or_else(|| panic!("docs/CONTROL.md does not end {name}"));
    page.replace_range(from..to, table);
}
