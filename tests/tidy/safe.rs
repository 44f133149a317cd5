//! The safe commands hold no type that can send an order: they may not even name one.

use super::tree::{Breach, Tree};

/// What only reads, whatever the environment says; and the operator's protocol, which has no word for an order.
const SAFE: &[&str] = &[
    "src/program/reading.rs",
    "src/program/account.rs",
    "src/program/symbols.rs",
    "src/program/doctor",
    "src/program/ctl",
    "src/control/",
];

/// With which an order is wished, carried, written or dialled.
const CAN_SEND: &[&str] = &[
    "Sender",
    "OrderEntry",
    "Dispatch",
    "NewIntent",
    "Intents",
    "Handed",
    "NetDial",
    "WebSocket",
    "VenueParts",
    "topology",
    "core_loop",
    "send_text",
    "Post",
    "Put",
    "Delete",
];

/// A word that one of them may say all the same.
const EXCEPT: &[(&str, &str)] = &[
    // To the engine's own HTTPS port, whose requests are bodies of POST: they are made of `control::Request`, which has no word for an order.
    ("src/program/ctl/line.rs", "Post"),
];

pub fn that_could_send(tree: &Tree) -> Vec<Breach> {
    let mut found = Vec::new();
    for file in tree.rust().filter(|file| SAFE.iter().any(|place| file.path.starts_with(place))) {
        for word in CAN_SEND.iter().filter(|word| !EXCEPT.contains(&(file.path.as_str(), **word))) {
            for at in file.words(word).filter(|&at| !file.in_test(at)) {
                found.push(Breach::at(file, at, format!("`{word}` in a command that only reads")));
            }
        }
    }
    found
}

#[test]
fn a_safe_command_that_names_what_can_send_is_caught() {
    for text in ["use crate::threads::sender::Sender;", "fn f(d: &Dispatch) {}", "let x = Method::Post;"] {
        assert_eq!(that_could_send(&Tree::of([("src/program/account.rs", text)])).len(), 1, "{text}");
    }
    assert_eq!(that_could_send(&Tree::of([("src/program/run/venue.rs", "fn f(d: &Dispatch) {}")])).len(), 0);
    assert_eq!(that_could_send(&Tree::of([("src/program/ctl/line.rs", "let x = Method::Post;")])).len(), 0);
    assert_eq!(that_could_send(&Tree::of([("src/program/ctl/line.rs", "let x = Method::Put;")])).len(), 1);
    assert_eq!(that_could_send(&Tree::of([("src/program/account.rs", "// Dispatch\nlet a = 1;")])).len(), 0);
}

/// The list would protect nothing if its files were gone.
#[test]
fn every_safe_place_is_there() {
    let tree = Tree::of_the_project();
    for place in SAFE {
        assert!(tree.rust().any(|file| file.path.starts_with(place)), "{place}");
    }
}
