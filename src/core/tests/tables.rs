//! Tables that the code prints into `docs/`.
//!
//! `UPDATE_DOCS=1 cargo test -p linchpin-core --test tables` writes the files anew.

mod desk;

use std::path::Path;

use desk::*;
use linchpin_core::event::*;
use linchpin_core::intent::NewIntent;
use linchpin_core::limits::LimitKey;
use linchpin_core::num::Quantity;
use linchpin_core::record::IncidentKind;
use linchpin_core::risk::{Applies, CHECKS, Check};
use linchpin_core::state::order::OrderState;
use linchpin_core::strategy::{chaser, dca, market_maker};

// ---- printed ----

fn printed(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).expect("docs/ can be written");
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "docs/{name} is stale: UPDATE_DOCS=1 cargo test -p linchpin-core --test tables");
}

#[test]
fn the_order_lifecycle_is_printed() {
    let mut text = String::from(
        "# The life of an order\n\n<!-- Printed by src/core/tests/tables.rs from the core: \
         UPDATE_DOCS=1 cargo test -p linchpin-core --test tables -->\n\n\
         Where a report of the venue takes an order, by the state that it is in and the status that the venue gives: from \
         `OrderState::next`. A dot: no change. Terminal is final.\n\n| state |",
    );
    for status in VenueStatus::ALL {
        text += &format!(" {status} |");
    }
    text += "\n|---|";
    text += &"---|".repeat(VenueStatus::ALL.len());
    text += "\n";
    for state in OrderState::ALL {
        text += &format!("| **{state}** |");
        for status in VenueStatus::ALL {
            let next = state.next(*status).filter(|next| next != state);
            text += &next.map_or(" . |".to_owned(), |next| format!(" {next} |"));
        }
        text += "\n";
    }
    text += "\n## Every state, every report\n\nWhere an order of 10 lots ends after one report, as the core applies it, by the \
             state that it is in (a table each), what the report is about (rows) and the status that it gives (columns): \
             the state and what has filled; *incident* where one is recorded, *asked* where the order is in doubt from then \
             on. A dot: nothing changes. A partially filled order has 4 lots before. Trades say 3 lots more, or all that is left \
             with `filled`; other reports say the quantity that is known, or all of it with `filled`.\n";
    for state in OrderState::ALL {
        text += &format!("\n### {state}\n\n| execution |");
        for status in VenueStatus::ALL {
            text += &format!(" {status} |");
        }
        text += "\n|---|";
        text += &"---|".repeat(VenueStatus::ALL.len());
        text += "\n";
        for execution in Execution::ALL {
            text += &format!("| **{execution}** |");
            for status in VenueStatus::ALL {
                text += &format!(" {} |", after_report(*state, *execution, *status));
            }
            text += "\n";
        }
    }
    text += "\n## What the report cannot do\n\n\
        | case | what happens |\n|---|---|\n\
        | an ending is told late, after newer reports | it ends: an ending cannot be undone |\n\
        | a lower cumulative quantity, or an older stamp | nothing; counted |\n\
        | a trade told twice | nothing; counted |\n\
        | a cumulative quantity above the trades that we know | the order is in doubt, alive or ended: new risk on its \
        instrument waits, and after a second it is asked about, until it is whole or the questions are used up |\n\
        | the questions about an ended order are used up | it is let go (`recovery_exhausted`); where fills are still \
        missing, new risk stops on its instrument until the positions agree |\n\
        | a trade on an order that ended unfilled | money: applied to the position, an incident (`late_fill`), and the order \
        is asked about at once |\n\
        | a trade-only message | its trade, found by the venue's number where it bears no other; never a state, never a new \
        order; its whole report is then a duplicate, and is asked for if it never comes |\n\
        | a conditional order's trigger | the same order, triggered, under the number that the venue then gives it |\n\
        | a refusal of a conditional order that was accepted | it ends `rejected`: venues refuse at the trigger |\n\
        | cumulative above ordered, terms below filled, a refusal of what has filled | nothing; an incident \
        (`contradiction`), and the order is asked about |\n\
        | a good-till-date order whose date is past, and nobody said that it ended | it is asked about |\n\
        | an order that the venue makes for us (liquidation, ADL, settlement) | adopted as external: unless a strategy claims it, its fills are the \
        account's, and no strategy's |\n\
        | an order that ended, shown alive by something later than its end (no trade) | an incident (`contradiction`); it lives anew, outside of its \
        strategy's slots (a ghost): counted in exposure, and asked about at once; new risk on its instrument waits; what the venue says to live \
        is cancelled by cleanup, a kill or a drain, and what it does not know after the visibility delay is rejected again |\n\
        | a request's acceptance | nothing but the venue's number: the order stays pending |\n\n\
        Each row has its test in [`src/core/tests/lifecycle.rs`](../src/core/tests/lifecycle.rs), \
        [`trust.rs`](../src/core/tests/trust.rs) or [`found.rs`](../src/core/tests/found.rs).\n";
    printed("ORDER_LIFECYCLE.md", &text);
}

/// An order of ten lots in a state, four of them filled where it is partially filled.
fn in_state(desk: &mut Desk, state: OrderState) -> linchpin_core::dispatch::Dispatch {
    if state == OrderState::Submitted {
        return desk.send(bid(0, 10));
    }
    if state == OrderState::Rejected {
        let sent = desk.send(bid(0, 10));
        desk.outcome(&sent, Verdict::Rejected, RejectReason::Filter);
        return sent;
    }
    let sent = desk.open(bid(0, 10));
    let report = match state {
        OrderState::PartiallyFilled => desk.fill(&sent, 4, 4, 1),
        OrderState::Filled => desk.fill(&sent, 10, 10, 1),
        OrderState::Cancelled => desk.report(&sent, Execution::Cancelled, VenueStatus::Cancelled),
        OrderState::Expired => desk.report(&sent, Execution::Expired, VenueStatus::Expired),
        _ => return sent,
    };
    desk.tell(&sent, report);
    sent
}

/// What one report makes of an order in a state, as a cell of the table.
fn after_report(state: OrderState, execution: Execution, status: VenueStatus) -> String {
    let mut desk = Desk::ready();
    let sent = in_state(&mut desk, state);
    let before = desk.order(&sent);
    assert_eq!(before.state, state);
    let filled = before.filled.raw();
    let last = if status == VenueStatus::Filled { 10 - filled } else { 3 };
    let report = if execution == Execution::Trade {
        let cumulative_quantity = Quantity::new(filled + last);
        OrderReport { status, cumulative_quantity, ..desk.fill(&sent, last, 0, 99) }
    } else {
        let cumulative = if status == VenueStatus::Filled { 10 } else { filled };
        let cumulative_quantity = Quantity::new(cumulative);
        OrderReport { cumulative_quantity, ..desk.report(&sent, execution, status) }
    };
    desk.seen.decisions.clear();
    desk.tell(&sent, report);
    let incident =
        |d: &&linchpin_core::record::Decision| matches!(d, linchpin_core::record::Decision::Incident { .. });
    let incidents = desk.seen.decisions.iter().filter(incident).count();
    let after = desk.order(&sent);
    let doubt = after.is_in_doubt();
    if (after.state, after.filled) == (before.state, before.filled) && incidents == 0 && !doubt {
        return ".".to_owned();
    }
    let incident = if incidents > 0 { ", incident" } else { "" };
    let doubt = if doubt { ", asked" } else { "" };
    format!("{} {}{incident}{doubt}", after.state, after.filled.raw())
}

#[test]
fn the_checks_of_risk_are_printed() {
    let mut text = String::from(
        "# Risk\n\n<!-- Printed by src/core/tests/tables.rs: UPDATE_DOCS=1 cargo test -p linchpin-core --test tables -->\n\n\
         Each intent is allowed, or denied with one of these reasons. The checks run in the order of the table, and the first that objects \
         answers. A cancel adds no risk: it needs only a target of its own. Before any check, a Replace or a Cancel without a target is \
         denied as `no_such_order`, and what has no definition as `instrument_unknown`.\n\n\
         *Lowers exposure*: even with all that works and waits on its side filled, the position does not pass zero; or the venue sees to it \
         that it only reduces (reduce-only, close-position, the closing side of a leg); or it only shrinks a working order, at a price that \
         is no keener. *Its own*: the same of the strategy's part of the position; the account's may fall while a strategy's grows, where others \
         hold against it.\n\n\
         *Money* is in the reporting asset: the quote asset of every instrument that gives no `quote_worth`. Keys of the last table can be \
         changed while the run goes on (`linchpin ctl set`); the others are fixed for a run.\n\n\
         | reason | what is checked | key | unit | what lowers exposure |\n|---|---|---|---|---|\n",
    );
    for check in CHECKS {
        let Check { reason, applies, what, keys, unit } = check;
        let keys = if keys.is_empty() { String::new() } else { format!("`{}`", keys.replace(", ", "`, `")) };
        let passes = match applies {
            Applies::Always => "is checked too",
            Applies::Adding => "passes",
            Applies::Growing => "passes if it lowers the strategy's own position",
        };
        text += &format!("| `{reason}` | {what} | {keys} | {unit} | {passes} |\n");
    }
    text += "\n## What a bound does beyond the one order\n\n\
        Losses are followed at every change of a position or a price (each market at most every 10 ms), whether anybody wishes something \
        or not. What happens is recorded as a decision with both numbers.\n\n\
        | reached | from then on | until |\n|---|---|---|\n\
        | `intent_rate`, `message_ratio` | the strategy is halted, what it had open is cancelled | a person makes it active |\n\
        | `daily_loss` | the strategy may only reduce, what it had open is cancelled | the next day, or a person |\n\
        | `drawdown` | the same | a person makes it active: its best counts from there |\n\
        | `account_daily_loss`, `account_drawdown` | `risk.on_loss`: the kill switch, or everybody halted, or everybody only \
        reduces | a person (and for `halt` and `reduce` after a daily loss, the next day) |\n\
        \n## Limits that change while the run goes on\n\n\
        | key | of | unit in events | least | most | none |\n|---|---|---|---|---|---|\n";
    for key in LimitKey::ALL {
        let values = key.values();
        let most = values.range.end();
        let most = if *most == i64::MAX { String::new() } else { most.to_string() };
        let none = if values.may_be_none { "0" } else { "" };
        let (scope, unit, least) = (key.scope(), values.unit, values.range.start());
        text += &format!("| `{key}` | {scope} | {unit} | {least} | {most} | {none} |\n");
    }
    text += "\n## Parameters of the built-in strategies that change while the run goes on\n\n\
        By `linchpin ctl set strategy.NAME.parameters.KEY VALUE`, in the units of the configuration file; the others are fixed for a run.\n\n\
        | kind | parameter | unit in events |\n|---|---|---|\n";
    for (kind, table) in [
        ("market-maker", market_maker::Parameters::CHANGEABLE),
        ("chaser", chaser::Parameters::CHANGEABLE),
        ("dca-entry", dca::Parameters::CHANGEABLE),
    ] {
        for parameter in table {
            text += &format!("| `{kind}` | `{}` | {} |\n", parameter.name, parameter.values.unit);
        }
    }
    text += "\n## What must hold whatever comes\n\n\
        Checked in production too, for what each turn changed (`src/core/state/execution/invariants.rs`). One that does not hold is a bug of \
        ours: it is recorded as an incident of its name with both numbers, and the kill switch trips.\n\n";
    for kind in IncidentKind::ALL.iter().filter(|kind| kind.is_broken_invariant()) {
        text += &format!("- `{kind}`\n");
    }
    printed("RISK.md", &text);
}

fn bid(slot: u16, quantity: i64) -> NewIntent {
    limit(slot, BTC, Side::Buy, 9_990, quantity)
}
