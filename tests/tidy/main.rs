//! The house rules, held by tests: one test a rule, over every file that the project tracks.
//!
//! A breach prints as `file:line: what`. Each rule has its cheat test beside it: a snippet that breaks it on purpose and must be
//! caught. The rules themselves, and where to ask for an exception, are in `docs/ARCHITECTURE.md`.

mod hot;
mod links;
mod manifests;
mod powers;
mod safe;
mod source;
mod texts;
mod tree;
mod walls;

use tree::{Breach, Tree};

#[test]
fn modules_import_only_what_the_table_allows() {
    hold(walls::breaches);
}

#[test]
fn powers_stay_in_their_rooms() {
    hold(powers::out_of_their_rooms);
}

#[test]
fn the_safe_commands_name_nothing_that_can_send() {
    hold(safe::that_could_send);
}

#[test]
fn the_core_reaches_nothing_that_differs_between_two_runs() {
    hold(powers::in_the_core);
}

#[test]
fn every_unsafe_says_why_it_is_sound() {
    hold(powers::unsafe_without_safety);
}

#[test]
fn every_memory_ordering_says_why() {
    hold(powers::ordering_without_reason);
}

#[test]
fn hot_modules_do_not_wait_talk_or_panic() {
    hold(hot::breaches);
}

#[test]
fn the_hot_mark_is_where_a_search_finds_it() {
    hold(hot::unclear_marks);
}

#[test]
fn every_file_says_what_it_is() {
    hold(texts::headers);
}

#[test]
fn no_file_is_two_files() {
    hold(texts::lengths);
}

#[test]
fn no_tracked_file_is_large() {
    hold(texts::sizes);
}

#[test]
fn names_say_something() {
    hold(texts::names);
}

#[test]
fn no_machine_leaves_its_paths_or_registries() {
    hold(texts::machine_traces);
}

#[test]
fn nothing_looks_like_a_secret() {
    hold(texts::secrets);
}

#[test]
fn every_dependency_has_its_reason() {
    hold(manifests::dependencies_without_reason);
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    hold(links::dead);
}

#[test]
fn the_architecture_page_shows_the_table_that_is_held() {
    let tree = Tree::of_the_project();
    let page = tree.file("docs/ARCHITECTURE.md").expect("the page is there");
    let table = walls::house_table();
    assert!(
        page.text.contains(&table),
        "docs/ARCHITECTURE.md: who may import whom is not this table:\n\n{table}"
    );
}

fn hold(rule: fn(&Tree) -> Vec<Breach>) {
    let mut breaches = rule(&Tree::of_the_project());
    breaches.sort();
    breaches.dedup();
    let list: String = breaches.iter().map(|breach| format!("\n  {breach}")).collect();
    assert!(breaches.is_empty(), "{} breaches:{list}\n", breaches.len());
}
