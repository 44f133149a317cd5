//! Who may import whom: the table of `docs/ARCHITECTURE.md`, and the same for the rooms inside the core.
//!
//! Every path that begins with `crate`, `super`, `linchpin` or `linchpin_core` counts, in a `use` or in the open. Test code
//! may reach across walls: it looks at the house from outside.

use super::source::{Source, matching};
use super::tree::{Breach, Tree};

/// Outside the core. A module may always import itself. `ANY` stands for every module.
const HOUSE: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("ring", &[]),
    ("sys", &[]),
    ("kill_flag", &[]),
    ("kill_gate", &["ring"]),
    ("net", &["sys"]),
    ("venue", &["core"]),
    ("journal", &["core", "sys"]),
    ("telemetry", &["core", "sys"]),
    // Configuration is checked into the very types that the rooms take: addresses, feeds, keys, segments.
    ("config", &["core", "net", "venue", "journal"]),
    // Requests and answers as text; keys are read as configuration reads them.
    ("control", &["core", "config"]),
    ("exchange", &["core", "journal", "venue"]),
    ("research", &["core", "journal", "venue", "exchange"]),
    ("replay", &["core", "journal", "venue", "config"]),
    (
        "threads",
        &[
            "core",
            "ring",
            "sys",
            "kill_gate",
            "kill_flag",
            "net",
            "venue",
            "config",
            "control",
            "journal",
            "telemetry",
        ],
    ),
    ("topology", &[ANY]),
    ("program", &[ANY]),
    ("main", &[ANY]),
    ("lib", &[ANY]),
];

/// Inside the core: what a turn reads stands above what it does. Strategy and risk never see each other, and `execution`
/// takes `risk::Approved`, which only risk makes.
const CORE: &[(&str, &[&str])] = &[
    ("snapshot", &[]),
    ("codec", &["snapshot"]),
    ("num", &["codec", "snapshot"]),
    ("id", &["codec", "snapshot"]),
    ("time", &["codec", "snapshot"]),
    ("family", &["codec", "snapshot"]),
    ("instrument", &["codec", "num", "id", "time"]),
    ("event", &["codec", "num", "id", "time", "instrument", "snapshot"]),
    ("limits", &["num", "id", "time", "event", "instrument", "snapshot"]),
    ("dispatch", &["codec", "num", "id", "time", "event"]),
    ("intent", &["num", "id", "time", "event", "family", "limits"]),
    ("record", &["codec", "num", "id", "time", "event", "family", "dispatch"]),
    ("state", BELOW_STATE),
    ("strategy", WITH_STATE),
    ("risk", WITH_STATE),
    (
        "execution",
        &[
            "codec",
            "num",
            "id",
            "time",
            "instrument",
            "event",
            "family",
            "family",
            "limits",
            "dispatch",
            "intent",
            "record",
            "state",
            "risk",
        ],
    ),
    ("turn", &[ANY]),
    ("lib", &[ANY]),
];

const BELOW_STATE: &[&str] = &[
    "snapshot",
    "codec",
    "num",
    "id",
    "time",
    "instrument",
    "event",
    "family",
    "limits",
    "dispatch",
    "intent",
    "record",
];
const WITH_STATE: &[&str] = &[
    "snapshot",
    "codec",
    "num",
    "id",
    "time",
    "instrument",
    "event",
    "family",
    "limits",
    "dispatch",
    "intent",
    "record",
    "state",
];

/// Macros stand in the crate's root, wherever they are written: naming one is no import.
const MACROS: &[&str] = &["coded", "saved"];

const ANY: &str = "*";

pub fn breaches(tree: &Tree) -> Vec<Breach> {
    let mut found = Vec::new();
    for file in tree.rust().filter(|file| file.path.starts_with("src/") && !file.only_for_tests) {
        let inside_core = file.path.starts_with("src/core/");
        let (root, table) = if inside_core { ("src/core/", CORE) } else { ("src/", HOUSE) };
        let own = room(file, root);
        let Some((_, allowed)) = table.iter().find(|(module, _)| *module == own) else {
            let what =
                format!("`{own}` has no row in the table of who may import whom (tests/tidy/walls.rs)");
            found.push(Breach::of_file(&file.path, what));
            continue;
        };
        for (at, target) in imports(file, root) {
            let allowed = target == own || allowed.contains(&target.as_str()) || allowed.contains(&ANY);
            if !allowed && !file.in_test(at) {
                found.push(Breach::at(file, at, format!("`{own}` may not import `{target}`")));
            }
        }
    }
    found
}

/// The table as the architecture page shows it.
pub fn house_table() -> String {
    let mut page = String::from("| module | may import |\n|---|---|\n");
    for (module, allowed) in HOUSE.iter().filter(|(module, _)| *module != "lib") {
        let allowed = match allowed {
            [] => "nothing of ours".to_owned(),
            [ANY] => "anything".to_owned(),
            some => some.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        };
        page.push_str(&format!("| `{module}` | {allowed} |\n"));
    }
    page
}

/// The module directly under the crate's root to which this file belongs.
fn room(file: &Source, root: &str) -> String {
    let inside = file.path.strip_prefix(root).unwrap_or(&file.path);
    inside.split('/').next().unwrap_or("").trim_end_matches(".rs").to_owned()
}

/// Each path of ours that the code names, as the module under the root at which it ends up.
fn imports(file: &Source, root: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in file.words("linchpin_core") {
        if file.path.starts_with("src/core/") {
            continue;
        }
        found.push((at, "core".to_owned()));
    }
    for base in ["crate", "linchpin"] {
        for at in file.words(base) {
            // `pub(crate)` names nobody.
            if let Some(path) = path_after(file, at + base.len()) {
                found.extend(heads(file, path).into_iter().map(|head| (at, head)));
            }
        }
    }
    for at in file.words("super") {
        // Only the first of a chain; `pub(super)` names nobody.
        if file.code[..at].trim_end().ends_with("super::") {
            continue;
        }
        let mut module = file.module_at(at, root);
        let mut end = at;
        loop {
            module.pop();
            end += "super".len();
            match path_after(file, end) {
                Some(next) if file.code[next..].starts_with("super") => end = next,
                Some(next) => {
                    match module.first() {
                        Some(first) => found.push((at, first.clone())),
                        None => found.extend(heads(file, next).into_iter().map(|head| (at, head))),
                    }
                    break;
                }
                None => break,
            }
        }
    }
    found
}

/// The offset behind `::`, if that is what follows.
fn path_after(file: &Source, at: usize) -> Option<usize> {
    let rest = &file.code[at..];
    let gap = rest.len() - rest.trim_start().len();
    let rest = rest.trim_start().strip_prefix("::")?;
    Some(at + gap + 2 + rest.len() - rest.trim_start().len())
}

/// The first names of a path or of a group of paths. Names that are not modules of ours (a macro, a type at the root) begin with a
/// capital or end in `!`, and say nothing about walls.
fn heads(file: &Source, at: usize) -> Vec<String> {
    let code = &file.code;
    if code.as_bytes().get(at) != Some(&b'{') {
        let name: String = code[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let is_macro = code[at + name.len()..].starts_with('!');
        let is_module = name.starts_with(|c: char| c.is_lowercase()) && !is_macro && name != "self";
        return if is_module && !MACROS.contains(&name.as_str()) { vec![name] } else { Vec::new() };
    }
    let end = matching(code.as_bytes(), at).unwrap_or(code.len());
    let mut found = Vec::new();
    let mut depth = 0;
    let mut expecting = true;
    for (offset, c) in code[at + 1..end].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => expecting = true,
            c if depth == 0 && expecting && !c.is_whitespace() => {
                expecting = false;
                found.extend(heads(file, at + 1 + offset));
            }
            _ => {}
        }
    }
    found
}

fn caught(path: &str, text: &str) -> Vec<String> {
    breaches(&Tree::of([(path, text)])).into_iter().map(|breach| breach.to_string()).collect()
}

#[test]
fn an_import_through_a_wall_is_caught() {
    for (path, text, expected) in [
        (
            "src/net/tcp.rs",
            "//! x\nuse crate::venue::Directory;",
            "src/net/tcp.rs:2: `net` may not import `venue`",
        ),
        (
            "src/net/tcp.rs",
            "use crate::{sys::clock, journal};",
            "src/net/tcp.rs:1: `net` may not import `journal`",
        ),
        (
            "src/net/tcp.rs",
            "fn f() { crate::threads::go() }",
            "src/net/tcp.rs:1: `net` may not import `threads`",
        ),
        ("src/venue/mod.rs", "use super::net::tls;", "src/venue/mod.rs:1: `venue` may not import `net`"),
        (
            "src/venue/a/b.rs",
            "use super::super::super::net;",
            "src/venue/a/b.rs:1: `venue` may not import `net`",
        ),
        (
            "src/sys/clock.rs",
            "use linchpin_core::time::Nanos;",
            "src/sys/clock.rs:1: `sys` may not import `core`",
        ),
        (
            "src/core/strategy/x.rs",
            "use crate::risk::Approved;",
            "src/core/strategy/x.rs:1: `strategy` may not import `risk`",
        ),
        (
            "src/core/risk/x.rs",
            "use crate::{\n state, strategy::{View}};",
            "src/core/risk/x.rs:1: `risk` may not import `strategy`",
        ),
        ("src/core/state/x.rs", "use crate::turn;", "src/core/state/x.rs:1: `state` may not import `turn`"),
    ] {
        assert_eq!(caught(path, text), [expected]);
    }
    assert_eq!(caught("src/attic/x.rs", "").len(), 1, "a module without a row");
}

#[test]
fn what_the_table_allows_passes() {
    for (path, text) in [
        ("src/net/tcp.rs", "use crate::sys::clock::Clock; pub(crate) fn f() {} pub(super) fn g() {}"),
        ("src/venue/a/b.rs", "use super::c; use super::super::Directory; use crate::core::num;"),
        ("src/core/state/x.rs", "use crate::coded; crate::coded! { x } use crate::num::{Price};"),
        ("src/net/tcp.rs", "#[cfg(test)]\nmod tests { use crate::exchange::front; }"),
        ("src/topology.rs", "use crate::threads::receiver;"),
    ] {
        assert_eq!(caught(path, text), [""; 0], "{path}: {text}");
    }
}
