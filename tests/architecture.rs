//! Prints the table of rings in `docs/ARCHITECTURE.md` from `topology::RINGS`, and fails when the page says something else.

use std::path::Path;

use linchpin::config::{Config, Overrides};
use linchpin::topology::RINGS;

const BEGIN: &str = "<!-- rings: printed from src/topology.rs -->\n";
const END: &str = "<!-- rings: end -->";

#[test]
fn the_page_shows_the_rings_of_the_topology() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md");
    let page = std::fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = page.split_once(BEGIN).expect("the page marks where the table begins");
    let (_, after) = rest.split_once(END).expect("the page marks where the table ends");
    let printed = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &printed).expect("the page can be written");
    }
    let kept = std::fs::read_to_string(&path).expect("the page is there");
    assert!(kept == printed, "docs/ARCHITECTURE.md is stale: run the test once with UPDATE_DOCS=1");
}

fn table() -> String {
    let config = Config::load(None, &Overrides::default()).expect("the built-in configuration is good");
    let mut text = String::from("| ring | carries | depth | when full |\n|---|---|---|---|\n");
    for row in RINGS {
        let depth = (row.depth)(&config.rings);
        text.push_str(&format!("| `{}` | {} | {depth} | {} |\n", row.name, row.carries, row.when_full));
    }
    text
}
