//! Powers have rooms: which word of the language, of the standard library or of a crate may stand in which files.
//!
//! A power outside its room is not wrong by itself; it is a power that the reader of the room's files no longer knows about.
//! So the answer to a breach is to ask the room for what it offers, or to move the wall here, with its reason.

use super::source::Source;
use super::tree::{Breach, Tree};

struct Power {
    name: &'static str,
    words: &'static [&'static str],
    /// Prefixes of paths under `src/`.
    rooms: &'static [&'static str],
    /// Test code may use it anywhere.
    free_in_tests: bool,
}

const POWERS: &[Power] = &[
    Power {
        name: "unsafe code",
        words: &["unsafe"],
        rooms: &["src/sys/", "src/ring/"],
        free_in_tests: false,
    },
    Power {
        name: "an atomic",
        words: &[
            "atomic",
            "AtomicBool",
            "AtomicU8",
            "AtomicU16",
            "AtomicU32",
            "AtomicU64",
            "AtomicUsize",
            "AtomicI32",
            "AtomicI64",
            "AtomicIsize",
            "AtomicPtr",
            "fence",
        ],
        rooms: &[
            "src/ring/",
            "src/kill_gate.rs",
            // Counters that other processes and threads read.
            "src/telemetry/",
            // The flag that a signal raises.
            "src/sys/signal.rs",
            // How far the writer is, for the keeper that prepares pages; the order in which a record's bytes reach the map.
            "src/journal/segment.rs",
            "src/journal/writer",
        ],
        free_in_tests: true,
    },
    Power {
        name: "a clock",
        words: &["Instant", "SystemTime", "UNIX_EPOCH", "quanta"],
        rooms: &[
            "src/sys/clock.rs",
            // The venue on the other side of the socket has its own clock, as a venue does.
            "src/exchange/front/",
            // What a person watches: how long a run or a replay took, the name of a session's folder. None of it becomes an event.
            "src/program/",
        ],
        free_in_tests: true,
    },
    Power {
        name: "a random number",
        words: &["getrandom", "RandomState", "thread_rng", "OsRng", "DefaultHasher"],
        rooms: &["src/net/", "src/exchange/front/"],
        free_in_tests: true,
    },
    Power {
        name: "the engine's sockets",
        words: &["mio", "socket2", "rustls", "tungstenite", "httparse", "ureq"],
        rooms: &["src/net/", "src/exchange/front/"],
        free_in_tests: true,
    },
    Power {
        name: "the embedded venue's network",
        words: &[
            "tokio",
            "hyper",
            "hyper_util",
            "tokio_tungstenite",
            "tokio_rustls",
            "rcgen",
            "futures_util",
        ],
        rooms: &["src/exchange/front/", "src/program/venue.rs"],
        free_in_tests: true,
    },
    Power {
        name: "a mapping or a bare system call",
        words: &["memmap2", "libc", "core_affinity", "signal_hook"],
        rooms: &["src/sys/"],
        free_in_tests: true,
    },
    Power {
        name: "the ring's crate",
        words: &["rtrb"],
        // The journal's segments and snapshots, and the log's lines, have rings of their own, below the engine's threads.
        rooms: &[
            "src/ring/",
            "src/journal/segment.rs",
            "src/journal/snapshot/keeper.rs",
            "src/telemetry/log.rs",
        ],
        free_in_tests: true,
    },
    // A byte reaches a venue from here and from nowhere else.
    Power {
        name: "sending text to a venue",
        words: &["send_text"],
        rooms: &[
            "src/net/",
            "src/threads/sender.rs",
            "src/threads/receiver",
            "src/threads/requester.rs",
            // The wire that those three are handed: it passes on what they send.
            "src/threads/world.rs",
            // The venue's own side of the wire.
            "src/exchange/front/",
        ],
        free_in_tests: true,
    },
    // The other way in which an order can leave.
    Power {
        name: "an order over REST",
        words: &["RestOrder", "Courier"],
        rooms: &["src/venue/binance/orders/", "src/threads/sender", "src/topology.rs"],
        free_in_tests: true,
    },
];

/// What the core cannot reach because it has no `std`, and what it must not reach although it could.
const BANNED_IN_CORE: &[(&str, &str)] = &[
    ("std", "the core has no std"),
    ("HashMap", "its order is not the same everywhere"),
    ("HashSet", "its order is not the same everywhere"),
    ("hashbrown", "its order is not the same everywhere"),
    ("SystemTime", "now is carried by the event"),
    ("Instant", "now is carried by the event"),
];

/// Floats belong to a strategy's opinion, and to nothing that two machines must agree on.
const FLOATS: &[&str] = &["f32", "f64"];

pub fn out_of_their_rooms(tree: &Tree) -> Vec<Breach> {
    let mut found = Vec::new();
    for file in tree.rust().filter(|file| file.path.starts_with("src/")) {
        for power in POWERS {
            if power.rooms.iter().any(|room| file.path.starts_with(room)) {
                continue;
            }
            for at in power.words.iter().flat_map(|word| file.words(word)) {
                let free = power.free_in_tests && file.in_test(at);
                if !free && !is_only_a_name(file, at) {
                    let word: String =
                        file.code[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    found.push(Breach::at(
                        file,
                        at,
                        format!("{} (`{word}`) outside its rooms {:?}", power.name, power.rooms),
                    ));
                }
            }
        }
    }
    found
}

/// `x.libc` or `fn atomic()` is a name of ours and no use of the power; but to call the method that sends is the power itself.
fn is_only_a_name(file: &Source, at: usize) -> bool {
    let before = file.code[..at].trim_end();
    let sends = file.code[at..].starts_with("send_text");
    // To know an error by its number is no system call.
    let error_number = file.code[at..].starts_with("libc::E");
    (before.ends_with('.') && !before.ends_with("..") && !sends) || before.ends_with("fn") || error_number
}

pub fn in_the_core(tree: &Tree) -> Vec<Breach> {
    let mut found = Vec::new();
    for file in tree.rust().filter(|file| file.path.starts_with("src/core/")) {
        for (word, why) in BANNED_IN_CORE {
            for at in file.words(word).filter(|&at| !file.in_test(at)) {
                found.push(Breach::at(file, at, format!("`{word}` in the core: {why}")));
            }
        }
        for (at, _) in file.code.match_indices("::sync").filter(|(at, _)| !file.in_test(*at)) {
            found.push(Breach::at(file, at, "`core::sync` in the core: it shares nothing".to_owned()));
        }
        if file.path.starts_with("src/core/strategy/") {
            continue;
        }
        for at in FLOATS.iter().flat_map(|word| file.words(word)).filter(|&at| !file.in_test(at)) {
            found.push(Breach::at(file, at, "a float in the core outside `strategy`".to_owned()));
        }
    }
    if let Some(root) = tree.file("src/core/lib.rs") {
        for line in ["#![no_std]", "#![forbid(unsafe_code)]"] {
            if !root.code.contains(line) {
                found.push(Breach::of_file(&root.path, format!("the core must say {line}")));
            }
        }
    }
    found
}

/// Each `unsafe` has `// SAFETY:` directly above it (attributes and the statement's first line may stand between). Clippy holds
/// blocks; this holds impls, functions and what stands in macros as well.
pub fn unsafe_without_safety(tree: &Tree) -> Vec<Breach> {
    let mut found = Vec::new();
    for file in tree.rust() {
        for at in file.words("unsafe") {
            // A method of an unsafe trait carries the trait's contract, and `unsafe_op_in_unsafe_fn` holds its body.
            let declares = file.code[at + "unsafe".len()..].trim_start().starts_with("fn ");
            let line = file.line_of(at);
            let explained = comment_above(file, line).contains("SAFETY:");
            if !explained && !declares {
                found.push(Breach::at(file, at, "`unsafe` without a `// SAFETY:` comment above it"));
            }
        }
    }
    found
}

/// A non-Relaxed access names its partner, a Relaxed one says why it is enough: the word is repeated in a comment beside it.
pub fn ordering_without_reason(tree: &Tree) -> Vec<Breach> {
    let mut found = Vec::new();
    for file in tree.rust().filter(|file| file.path.starts_with("src/")) {
        for (at, _) in file.code.match_indices("Ordering::") {
            let name: String = file.code[at + 10..].chars().take_while(|c| c.is_alphanumeric()).collect();
            let is_memory = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"].contains(&name.as_str());
            if !is_memory || file.in_test(at) {
                continue;
            }
            let beside = file.line_at(at).split_once("//").map_or("", |(_, comment)| comment);
            let above = comment_above(file, file.line_of(at));
            // A header may answer for the whole file, where each access is of one kind.
            let by_header = file.header().iter().any(|line| line.contains(&name));
            if !beside.contains(&name) && !above.contains(&name) && !by_header {
                found.push(Breach::at(
                    file,
                    at,
                    format!("`{name}` without a word on why, beside or above it"),
                ));
            }
        }
    }
    found
}

/// The nearest comment lines above, with at most three lines of code between.
fn comment_above(file: &Source, line: usize) -> String {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut comment = String::new();
    let mut code_lines = 0;
    for text in lines[..line - 1].iter().rev() {
        let text = text.trim_start();
        if let Some(words) = text.strip_prefix("//") {
            comment.insert_str(0, words);
        } else if !comment.is_empty() || code_lines == 3 {
            break;
        } else {
            code_lines += 1;
        }
    }
    comment
}

fn caught(rule: fn(&Tree) -> Vec<Breach>, path: &str, text: &str) -> usize {
    rule(&Tree::of([(path, text)])).len()
}

#[test]
fn a_power_outside_its_room_is_caught() {
    for (path, text) in [
        ("src/net/tcp.rs", "fn f() { unsafe { g() } }"),
        ("src/threads/sender.rs", "use std::sync::atomic::AtomicU64;"),
        ("src/journal/reader.rs", "let now = std::time::Instant::now();"),
        ("src/venue/binance/feed.rs", "use std::time::SystemTime;"),
        ("src/net/backoff.rs", "let clock = quanta::Clock::new();"),
        ("src/venue/binance/feed.rs", "fn f(s: mio::net::TcpStream) {}"),
        ("src/net/tcp.rs", "use tokio::net::TcpStream;"),
        ("src/journal/writer.rs", "libc::fsync(3)"),
        ("src/replay.rs", "socket.send_text(b\"\")"),
        ("src/threads/requester.rs", "use crate::venue::binance::orders::RestOrder;"),
        ("src/net/tcp.rs", "#[cfg(test)] mod tests { fn f() { unsafe { g() } } }"),
    ] {
        assert!(caught(out_of_their_rooms, path, text) > 0, "{path}: {text}");
    }
}

#[test]
fn a_power_in_its_room_or_only_in_words_passes() {
    for (path, text) in [
        ("src/sys/clock.rs", "use std::time::Instant;"),
        ("src/net/tcp.rs", "// unsafe, Instant\nlet a = \"tokio\";"),
        ("src/net/tcp.rs", "#![forbid(unsafe_code)]"),
        ("src/net/tcp.rs", "#[cfg(test)] mod tests { use std::time::Instant; }"),
        ("src/threads/sender.rs", "socket.send_text(bytes)"),
    ] {
        assert_eq!(caught(out_of_their_rooms, path, text), 0, "{path}: {text}");
    }
}

#[test]
fn what_the_core_must_not_reach_is_caught() {
    for text in [
        "extern crate std;",
        "use core::sync::atomic::AtomicU64;",
        "use hashbrown::HashMap;",
        "fn f() -> f64 { 0.0 }",
        "let now = SystemTime::now();",
    ] {
        assert!(caught(in_the_core, "src/core/state/x.rs", text) > 0, "{text}");
    }
    assert_eq!(
        caught(in_the_core, "src/core/lib.rs", "//! x\nextern crate alloc;"),
        2,
        "both promises are missing"
    );
    assert_eq!(caught(in_the_core, "src/core/strategy/x.rs", "fn opinion() -> f64 { 0.0 }"), 0);
}

#[test]
fn unsafe_without_its_reason_is_caught() {
    let bare = "fn f() {\n    unsafe { g() }\n}";
    let explained = "fn f() {\n    // SAFETY: g has no conditions.\n    unsafe { g() }\n}";
    assert_eq!(caught(unsafe_without_safety, "src/sys/x.rs", bare), 1);
    assert_eq!(caught(unsafe_without_safety, "src/sys/x.rs", "unsafe impl Send for X {}"), 1);
    assert_eq!(caught(unsafe_without_safety, "src/sys/x.rs", explained), 0);
}

#[test]
fn an_ordering_without_its_reason_is_caught() {
    let bare = "//! x\nfn f() {\n    a.load(Ordering::Acquire);\n}";
    let explained = "fn f() {\n    // Acquire: pairs with the Release in g.\n    a.load(Ordering::Acquire);\n    a.load(Ordering::Relaxed); // Relaxed: a counter.\n}";
    assert_eq!(caught(ordering_without_reason, "src/ring/x.rs", bare), 1);
    assert_eq!(caught(ordering_without_reason, "src/ring/x.rs", explained), 0);
    assert_eq!(caught(ordering_without_reason, "src/ring/x.rs", "let o = Ordering::Less;"), 0);
}
