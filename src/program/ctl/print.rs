//! An engine's answer as people read it.

use serde_json::Value;

use crate::control::Verb;
use crate::program::table::{cell as word, list, table};

pub(super) fn answer(verb: Verb, answer: &Value) -> String {
    match verb {
        Verb::Status => status(answer),
        Verb::Orders => orders(answer),
        Verb::Positions => positions(answer),
        Verb::Gates => gates(answer),
        Verb::Links => links(answer),
        Verb::Kill => format!(
            "killed: gate {}, confirmed by every sender (epoch {}); the flag is on the disk{}",
            word(&answer["gate"]),
            word(&answer["epoch"]),
            at(answer)
        ),
        Verb::ResetKill => {
            format!(
                "the kill switch is off{}; see `linchpin ctl status` for whether trading is enabled",
                at(answer)
            )
        }
        Verb::Set => {
            format!(
                "{} is {} now (in the core's units: {} -> {}){}",
                word(&answer["key"]),
                word(&answer["value"]),
                word(&answer["old"]),
                word(&answer["new"]),
                at(answer)
            )
        }
        Verb::Stop => "stopped".to_owned(),
        Verb::ReadBack => format!("read back{}\n\n{}", at(answer), links(answer)),
        Verb::Enable | Verb::Disable | Verb::CancelAll | Verb::Flatten | Verb::Drain => {
            format!("done{}: {}", at(answer), control(&answer["control"]))
        }
    }
}

/// By which event it was done.
fn at(answer: &Value) -> String {
    answer["sequence"].as_u64().map_or(String::new(), |sequence| format!(" (event {sequence})"))
}

fn status(answer: &Value) -> String {
    let mut lines = vec![
        format!("{} session {}", word(&answer["mode"]), word(&answer["session"])),
        format!("state of event {} at {}", word(&answer["as_of"]), word(&answer["now"])),
        control(&answer["control"]),
    ];
    if let Some(killed) = answer["kill_flag"].as_object() {
        lines.push(format!(
            "KILLED ({}) by {} at {}: {}",
            word(&killed["mode"]),
            word(&killed["who"]),
            word(&killed["at"]),
            word(&killed["reason"])
        ));
    }
    lines.extend(denied(answer));
    lines.push(String::new());
    lines.push(links(answer));
    lines.push(String::new());
    lines.push(markets(answer));
    lines.push(String::new());
    lines.push(strategies(answer));
    lines.push(String::new());
    lines.push(positions(answer));
    lines.join("\n")
}

fn control(control: &Value) -> String {
    let mut parts = vec![match (&control["kill"], control["trading_enabled"] == true) {
        (Value::String(mode), _) => format!("KILLED ({mode})"),
        (_, true) => "trading enabled".to_owned(),
        (_, false) => "trading disabled".to_owned(),
    }];
    // Who enables trading meanwhile must see why nothing begins.
    if let Some(end) = control["drains_until"].as_str() {
        parts.push(format!("draining until the {end}"));
    }
    if control["flattening"] == true {
        parts.push("flattening".to_owned());
    }
    for held in ["journal", "clock", "operator"] {
        if control["held"][held] == true {
            parts.push(format!("held by {held}"));
        }
    }
    parts.push(format!("{} open", word(&control["open_orders"])));
    parts.push(format!("{} dispatches", word(&control["dispatches"])));
    parts.push(format!("{} fills", word(&control["fills"])));
    parts.join(", ")
}

fn orders(answer: &Value) -> String {
    let columns = [
        ("owner", "owner"),
        ("made_by", "made by"),
        ("symbol", "symbol"),
        ("side", "side"),
        ("kind", "kind"),
        ("price", "price"),
        ("quantity", "quantity"),
        ("filled", "filled"),
        ("state", "state"),
        ("confirmation", "confirmed"),
        ("inflight", "inflight"),
        ("age_ms", "age ms"),
        ("client_order_id", "client id"),
    ];
    let mut tables = vec![columns_of(&answer["orders"], &columns, "no orders are open")];
    let columns = [
        ("owner", "owner"),
        ("symbol", "symbol"),
        ("slot", "slot"),
        ("request", "waiting to"),
        ("waits_for", "waits for"),
        ("age_ms", "age ms"),
    ];
    if list(&answer["waiting"]).next().is_some() {
        tables.push(columns_of(&answer["waiting"], &columns, ""));
    }
    if list(&answer["strategies"]).any(|strategy| !strategy["work"].is_null()) {
        tables.push(strategies(answer));
    }
    tables.join("\n\n")
}

/// What risk keeps back; nothing where it keeps nothing back.
fn denied(answer: &Value) -> Option<String> {
    let reasons: Vec<String> = list(&answer["denied"])
        .map(|denied| format!("{} {}", word(&denied["count"]), word(&denied["reason"])))
        .collect();
    (!reasons.is_empty()).then(|| format!("denied by risk: {}", reasons.join(", ")))
}

/// What each may do, and how far it has come where its work has an end.
fn strategies(answer: &Value) -> String {
    let rows: Vec<Vec<String>> = list(&answer["strategies"])
        .map(|row| {
            let work = &row["work"];
            let done = match work {
                Value::Null => "-".to_owned(),
                work => format!("{} of {}", word(&work["filled"]), word(&work["wanted"])),
            };
            vec![
                word(&row["strategy"]),
                word(&row["may"]),
                word(&work["phase"]),
                word(&work["side"]),
                word(&work["symbol"]),
                done,
            ]
        })
        .collect();
    table(&["strategy", "may trade", "phase", "side", "symbol", "done"], &rows, "no strategy")
}

fn positions(answer: &Value) -> String {
    let columns = [
        ("owner", "owner"),
        ("symbol", "symbol"),
        ("quantity", "position"),
        ("average_entry", "entry"),
        ("mark", "mark"),
        ("realised", "realised"),
        ("unrealised", "unrealised"),
        ("fees", "fees"),
        ("asset", "in"),
        ("fills", "fills"),
        ("agreement", "venue"),
    ];
    columns_of(&answer["positions"], &columns, "no positions, and none were held")
}

fn links(answer: &Value) -> String {
    let rows: Vec<Vec<String>> = list(&answer["venues"])
        .map(|venue| {
            let link = |kind: &str| word(&venue["links"][kind]);
            let gate = match (&venue["closed"], &venue["blocked"]) {
                (Value::Null, _) => "open".to_owned(),
                (closed, Value::Null) => format!("CLOSED: {}", word(closed)),
                (closed, blocked) => format!("CLOSED: {}, nothing goes out: {}", word(closed), word(blocked)),
            };
            vec![
                word(&venue["venue"]),
                link("market"),
                link("private"),
                link("order_entry"),
                word(&venue["account"]),
                gate,
            ]
        })
        .collect();
    table(&["venue", "market", "private", "order entry", "account", "gate"], &rows, "no venue")
}

fn gates(answer: &Value) -> String {
    format!("{}\n\n{}\n\n{}", control(&answer["control"]), links(answer), markets(answer))
}

fn markets(answer: &Value) -> String {
    let columns = [
        ("symbol", "symbol"),
        ("venue", "venue"),
        ("book", "book"),
        ("trusted", "trusted"),
        ("stale", "stale"),
        ("settled", "settled"),
        ("bid", "bid"),
        ("ask", "ask"),
        ("open_orders", "open"),
        ("in_doubt", "in doubt"),
        ("position", "position"),
    ];
    columns_of(&answer["markets"], &columns, "no instrument")
}

fn columns_of(rows: &Value, columns: &[(&str, &str)], none: &str) -> String {
    let heads: Vec<&str> = columns.iter().map(|(_, head)| *head).collect();
    let rows: Vec<Vec<String>> =
        list(rows).map(|row| columns.iter().map(|(name, _)| word(&row[name])).collect()).collect();
    table(&heads, &rows, none)
}
