//! Tables that the code prints into `docs/`, and an example for each reason and gate whose name says it.
//!
//! `UPDATE_DOCS=1 cargo test -p linchpin-core --test tables` writes the files anew.

mod desk;

use std::path::Path;

use desk::*;
use linchpin_core::event::*;
use linchpin_core::family::Family;
use linchpin_core::id::*;
use linchpin_core::instrument::{InstrumentDefinition, InstrumentStatus};
use linchpin_core::intent::{CancelIntent, Intent, NewIntent, ReplaceIntent};
use linchpin_core::limits::*;
use linchpin_core::num::*;
use linchpin_core::record::{Gate, RiskReason};
use linchpin_core::state::order::OrderState;
use linchpin_core::state::queue::Wait;
use linchpin_core::time::Nanos;

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
        | an order that the venue makes for us (liquidation, ADL, settlement) | adopted as external: its fills are the \
        account's, and no strategy's |\n\
        | a request's acceptance | nothing but the venue's number: the order stays pending |\n\n\
        Each row has its test in [`src/core/tests/lifecycle.rs`](../src/core/tests/lifecycle.rs) or \
        [`found.rs`](../src/core/tests/found.rs).\n";
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

/// What a reason checks; its key; its unit; whether an intent that lowers exposure passes.
fn row(reason: RiskReason) -> Option<(&'static str, &'static str, &'static str, bool)> {
    use RiskReason as R;
    Some(match reason {
        R::Allowed => return None,
        R::TradingDisabled => {
            ("the trading switch, and an operator's flatten", "run.trading_enabled", "", true)
        }
        R::Killed => ("the kill switch; under `flatten` what lowers exposure passes", "", "", false),
        R::Draining => ("the run is ending", "", "", false),
        R::InstrumentUnknown => ("the instrument and its definition are known", "", "", false),
        R::InstrumentHalted => ("the instrument is trading", "", "", false),
        R::OffTickRange => ("the venue's least and greatest price", "", "ticks", false),
        R::OffLotRange => {
            ("the venue's least and greatest quantity, for limit and market orders", "", "lots", false)
        }
        R::BelowMinNotional => ("the venue's least worth of an order", "", "quote asset", true),
        R::OutsidePercentPrice => {
            ("the venue's percent-price filter, against the mark or the middle", "", "1/10,000", false)
        }
        R::OrderTooLarge => {
            ("fat finger: quantity of one order", "instrument.max_order_quantity", "lots", false)
        }
        R::OrderNotionalTooLarge => {
            ("fat finger: worth of one order", "instrument.max_order_notional", "quote asset", false)
        }
        R::OutsideCollar => {
            ("distance of a limit price from the trusted reference", "instrument.collar", "1/10,000", false)
        }
        R::NoReferencePrice => ("there is a reference for the collar", "instrument.collar", "", false),
        R::TooManyOpenOrders => (
            "open and waiting orders of the instrument and of the strategy; room in the order table",
            "instrument.max_open_orders, strategy.max_open_orders",
            "orders",
            true,
        ),
        R::PositionLimit => (
            "the position with all that works and waits on its side filled",
            "instrument.max_position",
            "lots",
            true,
        ),
        R::DailyLoss => {
            ("loss of the day: realised, unrealised, fees", "strategy.max_daily_loss", "quote asset", true)
        }
        R::IntentRate => (
            "a runaway loop: intents in one second (cancels are not counted)",
            "strategy.max_intents_per_second",
            "intents",
            false,
        ),
        R::DuplicateOrder => ("one live order a slot", "", "", false),
        R::SelfCross => ("it would not trade with an order of our own account", "", "", false),
        R::MarketNotTrusted => (
            "the book is whole, fresh and not crossed, and positions agree with the venue's",
            "instrument.stale_after",
            "span",
            true,
        ),
        R::Unsettled => (
            "no related private event is still expected (cancels pass)",
            "settle.quiet, settle.max",
            "span",
            false,
        ),
        R::NoSuchOrder => ("a Replace or Cancel has a target", "", "", false),
        R::NotOurInstrument => ("the instrument is the strategy's", "strategy.instruments", "", false),
        R::BadSlot => ("the slot is below 1,024", "", "", false),
        R::BadForm => ("what the kind of order needs, and what it cannot have", "", "", false),
        R::WrongLeg => (
            "in hedge mode an order names its leg, in one-way mode it does not",
            "venue.position_mode",
            "",
            false,
        ),
        R::Unsupported => ("the kind of order can be replaced", "", "", false),
        #[allow(unreachable_patterns, reason = "a new reason must be described here before it is printed")]
        _ => ("not described: add it to src/core/tests/tables.rs", "", "", false),
    })
}

#[test]
fn the_risk_reasons_are_printed() {
    let mut text = String::from(
        "# Risk\n\n<!-- Printed by src/core/tests/tables.rs: UPDATE_DOCS=1 cargo test -p linchpin-core --test tables -->\n\n\
         Each intent is allowed, or denied with one of these reasons: the first check that objects answers. A cancel adds \
         no risk: it needs only a target of its own. *Lowers exposure*: even with all that works and waits on its side \
         filled, the position does not pass zero; or it only shrinks a working order, at a price that is no keener.\n\n\
         | reason | what is checked | key | unit | what lowers exposure |\n|---|---|---|---|---|\n",
    );
    for reason in RiskReason::ALL {
        let Some((checks, key, unit, reducing)) = row(*reason) else { continue };
        let key = if key.is_empty() { String::new() } else { format!("`{}`", key.replace(", ", "`, `")) };
        let passes = if reducing { "passes" } else { "is checked too" };
        text += &format!("| `{reason}` | {checks} | {key} | {unit} | {passes} |\n");
    }
    printed("RISK.md", &text);
}

// ---- one example a reason ----

fn bid(slot: u16, quantity: i64) -> NewIntent {
    limit(slot, BTC, Side::Buy, 9_990, quantity)
}

/// What risk says to one wish.
fn verdict(desk: &mut Desk, new: NewIntent) -> RiskReason {
    desk.wish(vec![Intent::New(new)])[0].verdict
}

#[track_caller]
fn denied(desk: &mut Desk, new: NewIntent, reason: RiskReason) {
    assert_eq!(verdict(desk, new), reason);
    assert!(desk.take_dispatches().is_empty());
}

fn with_limits(change: impl FnOnce(&mut Configuration)) -> Desk {
    let mut with = configuration();
    change(&mut with);
    Desk::ready_with(with, definition())
}

fn with_definition(change: impl FnOnce(&mut InstrumentDefinition)) -> Desk {
    let mut with = definition();
    change(&mut with);
    Desk::ready_with(configuration(), with)
}

/// Long ten lots, settled.
fn long() -> Desk {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0, 10));
    let fill = desk.fill(&sent, 10, 10, 1);
    desk.tell(&sent, fill);
    desk.settle();
    desk.take_dispatches();
    desk
}

#[test]
fn allowed_a_sane_order_goes_out() {
    let mut desk = Desk::ready();
    assert_eq!(verdict(&mut desk, bid(0, 10)), RiskReason::Allowed);
    assert_eq!(desk.take_dispatches().len(), 1);
}

#[test]
fn trading_disabled_denies_new_risk_and_lets_a_position_shrink() {
    let mut desk = long();
    desk.control(ControlVerb::DisableTrading, 0);
    denied(&mut desk, bid(1, 1), RiskReason::TradingDisabled);
    assert_eq!(verdict(&mut desk, limit(1, BTC, Side::Sell, 10_020, 5)), RiskReason::Allowed);
}

#[test]
fn instrument_unknown_denies_what_has_no_definition() {
    let mut desk = Desk::ready();
    denied(&mut desk, limit(0, InstrumentId(9), Side::Buy, 9_990, 1), RiskReason::InstrumentUnknown);
}

#[test]
fn instrument_halted_denies() {
    let mut desk = with_definition(|d| d.status = InstrumentStatus::Halted);
    denied(&mut desk, bid(0, 1), RiskReason::InstrumentHalted);
}

#[test]
fn price_filter_denies_outside_the_venues_range() {
    let mut desk = with_definition(|d| d.max_price = Price::new(9_980));
    denied(&mut desk, bid(0, 1), RiskReason::OffTickRange);
}

#[test]
fn lot_size_denies_too_little_and_too_much() {
    let mut desk = with_definition(|d| d.min_quantity = Quantity::new(2));
    denied(&mut desk, bid(0, 1), RiskReason::OffLotRange);
    denied(&mut desk, bid(0, 6_000), RiskReason::OffLotRange);
}

#[test]
fn min_notional_denies_an_order_worth_too_little() {
    let mut desk = with_definition(|d| d.min_notional = 5 * CASH_UNIT);
    denied(&mut desk, bid(0, 1), RiskReason::BelowMinNotional);
}

#[test]
fn percent_price_denies_far_from_the_mark() {
    let mut desk = with_definition(|d| (d.percent_up, d.percent_down) = (10_100, 9_900));
    denied(&mut desk, limit(0, BTC, Side::Buy, 9_800, 1), RiskReason::OutsidePercentPrice);
}

#[test]
fn max_order_quantity_denies_a_fat_finger() {
    denied(&mut Desk::ready(), bid(0, 1_001), RiskReason::OrderTooLarge);
}

#[test]
fn max_order_notional_denies_a_fat_finger() {
    let mut desk = with_limits(|c| c.instruments[0].max_order_notional = Notional::new(50_000));
    denied(&mut desk, bid(0, 6), RiskReason::OrderNotionalTooLarge);
}

#[test]
fn price_collar_denies_a_price_far_from_the_reference() {
    denied(&mut Desk::ready(), limit(0, BTC, Side::Buy, 9_000, 1), RiskReason::OutsideCollar);
}

#[test]
fn no_reference_price_denies_what_the_collar_cannot_measure() {
    let mut desk = long();
    desk.give(Body::BookLost(BookLoss::Gap));
    denied(&mut desk, limit(1, BTC, Side::Sell, 10_020, 5), RiskReason::NoReferencePrice);
}

#[test]
fn max_open_orders_denies_one_more_of_the_instrument_or_of_the_strategy() {
    let mut desk = with_limits(|c| c.instruments[0].max_open_orders = 1);
    desk.open(bid(0, 1));
    denied(&mut desk, bid(1, 1), RiskReason::TooManyOpenOrders);
    let mut desk = with_limits(|c| c.strategies[0].max_open_orders = 1);
    desk.open(bid(0, 1));
    denied(&mut desk, limit(1, ETH, Side::Buy, 9_990, 1), RiskReason::TooManyOpenOrders);
}

#[test]
fn max_position_denies_with_all_working_orders_assumed_filled() {
    let mut desk = Desk::ready();
    desk.open(bid(0, 60));
    denied(&mut desk, bid(1, 41), RiskReason::PositionLimit);
    assert_eq!(verdict(&mut desk, bid(1, 40)), RiskReason::Allowed);
}

#[test]
fn daily_loss_denies_new_risk_once_it_is_reached() {
    let mut desk = with_limits(|c| c.strategies[0].max_daily_loss = CASH_UNIT / 100);
    let sent = desk.open(bid(0, 10));
    let fill = desk.fill(&sent, 10, 10, 1);
    desk.tell(&sent, fill);
    desk.settle();
    desk.market(BTC, 9_900, 9_910);
    desk.pass(Nanos::from_millis(20));
    denied(&mut desk, limit(1, BTC, Side::Buy, 9_890, 1), RiskReason::DailyLoss);
}

#[test]
fn intent_rate_denies_a_runaway_loop() {
    let mut desk = with_limits(|c| c.strategies[0].max_intents_per_second = 3);
    let said = desk.wish((0..4).map(|slot| Intent::New(bid(slot, 1))).collect());
    let last = said.iter().map(|record| record.verdict).collect::<Vec<_>>();
    assert_eq!(last[2..], [RiskReason::Allowed, RiskReason::IntentRate]);
}

#[test]
fn duplicate_order_denies_a_second_order_in_a_slot() {
    let mut desk = Desk::ready();
    desk.open(bid(0, 1));
    denied(&mut desk, bid(0, 1), RiskReason::DuplicateOrder);
}

#[test]
fn self_cross_denies_a_trade_with_ourselves() {
    let mut desk = Desk::ready();
    desk.open(bid(0, 1));
    denied(&mut desk, limit(1, BTC, Side::Sell, 9_990, 1), RiskReason::SelfCross);
}

#[test]
fn market_not_trusted_denies_new_risk_on_a_stale_crossed_or_lost_market() {
    let mut desk = Desk::ready();
    desk.market(BTC, 10_010, 10_000);
    denied(&mut desk, bid(0, 1), RiskReason::MarketNotTrusted);
    let mut desk = Desk::ready();
    desk.pass(Nanos::from_secs(6));
    denied(&mut desk, bid(0, 1), RiskReason::MarketNotTrusted);
    let mut desk = Desk::ready();
    desk.give(Body::BookLost(BookLoss::Gap));
    denied(&mut desk, bid(0, 1), RiskReason::MarketNotTrusted);
}

#[test]
fn unsettled_denies_while_private_events_are_expected() {
    let mut desk = Desk::ready();
    let sent = desk.send(bid(0, 1));
    desk.accept(&sent);
    denied(&mut desk, bid(1, 1), RiskReason::Unsettled);
}

#[test]
fn no_such_order_denies_a_change_of_nothing() {
    let mut desk = Desk::ready();
    let replace = ReplaceIntent { key: key(0), price: Price::new(1), quantity: Quantity::new(1) };
    let cancel = CancelIntent { key: key(0), order: OrderIndex::NONE, family: Family::Entry };
    for intent in [Intent::Replace(replace), Intent::Cancel(cancel)] {
        assert_eq!(desk.wish(vec![intent])[0].verdict, RiskReason::NoSuchOrder);
    }
}

#[test]
fn not_our_instrument_denies_what_configuration_gave_to_another() {
    let mut desk = with_limits(|c| c.strategies[0].instruments = vec![0]);
    // The scripted strategy wakes on its own instrument, and wishes for another.
    denied(&mut desk, limit(0, ETH, Side::Buy, 9_990, 1), RiskReason::NotOurInstrument);
}

#[test]
fn bad_slot_denies_a_slot_beyond_the_table() {
    denied(&mut Desk::ready(), bid(MAX_SLOTS as u16, 1), RiskReason::BadSlot);
}

#[test]
fn unsupported_denies_a_replace_of_a_market_order() {
    let mut desk = Desk::ready();
    let market = NewIntent { kind: OrderKind::Market, price: Price::ZERO, ..bid(0, 1) };
    desk.open(market);
    let replace = ReplaceIntent { key: key(0), price: Price::new(9_990), quantity: Quantity::new(1) };
    assert_eq!(desk.wish(vec![Intent::Replace(replace)])[0].verdict, RiskReason::Unsupported);
}

#[test]
fn killed_and_draining_desks_hear_no_strategy() {
    for verb in [ControlVerb::Kill, ControlVerb::Drain] {
        let mut desk = Desk::ready();
        desk.control(verb, u32::from(KillMode::Block.code()));
        assert!(desk.wish(vec![Intent::New(bid(0, 1))]).is_empty(), "{verb}");
    }
}

// ---- one example a gate: allowed, admitted, and waiting; sent when it opens ----

#[track_caller]
fn waits_for(gate: Gate, close: impl FnOnce(&mut Desk), open: impl FnOnce(&mut Desk)) {
    let mut desk = Desk::ready();
    close(&mut desk);
    desk.take_dispatches();
    assert_eq!(verdict(&mut desk, bid(7, 1)), RiskReason::Allowed);
    assert!(desk.take_dispatches().is_empty());
    let waiting = desk.core.state().execution.queue.pending(key(7)).copied();
    assert_eq!(waiting.map(|pending| pending.waits_for), Some(Wait::Gate(gate)));
    open(&mut desk);
    assert_eq!(desk.take_dispatches().iter().filter(|sent| sent.key == key(7)).count(), 1, "{gate} opened");
}

fn by_gate(gate: Gate) {
    let code = u32::from(gate.code());
    waits_for(
        gate,
        |desk| desk.control(ControlVerb::CloseGate, code),
        |desk| desk.control(ControlVerb::OpenGate, code),
    );
}

fn by_link(gate: Gate, link: LinkKind) {
    waits_for(gate, |desk| desk.link(link, LinkState::Down), |desk| desk.link(link, LinkState::Up));
}

#[test]
fn the_journal_gate_holds_what_could_not_be_recorded() {
    by_gate(Gate::Journal);
}

#[test]
fn the_clock_gate_holds() {
    by_gate(Gate::Clock);
}

#[test]
fn the_operator_gate_holds() {
    by_gate(Gate::Operator);
}

#[test]
fn the_order_entry_gate_holds_until_the_link_is_up() {
    by_link(Gate::OrderEntryLink, LinkKind::OrderEntry);
}

#[test]
fn the_private_gate_and_then_the_account_gate_hold_until_it_is_read_back() {
    waits_for(
        Gate::PrivateLink,
        |desk| desk.link(LinkKind::Private, LinkState::Down),
        |desk| {
            desk.link(LinkKind::Private, LinkState::Up);
            let waiting = desk.core.state().execution.queue.pending(key(7)).copied();
            assert_eq!(waiting.map(|pending| pending.waits_for), Some(Wait::Gate(Gate::Account)));
            desk.hydrate(|_| {});
        },
    );
}

#[test]
fn the_recovery_gate_holds_new_risk_while_an_order_of_the_scope_is_in_doubt() {
    let mut doubted = None;
    let mut desk = Desk::ready();
    let sent = desk.send(bid(0, 1));
    desk.outcome(&sent, Verdict::Unknown, RejectReason::NoAnswer);
    desk.settle();
    doubted.replace(sent);
    assert_eq!(verdict(&mut desk, bid(7, 1)), RiskReason::Allowed);
    assert!(desk.take_dispatches().is_empty());
    assert_eq!(desk.send(limit(8, ETH, Side::Buy, 9_990, 1)).key, key(8), "other scopes trade on");
    let sent = doubted.unwrap();
    desk.accept(&sent);
    assert_eq!(desk.take_dispatches().len(), 1);
}

#[test]
fn the_trading_and_kill_gates_hold_what_was_already_waiting() {
    let hold = |desk: &mut Desk| desk.control(ControlVerb::CloseGate, u32::from(Gate::Operator.code()));
    let free = |desk: &mut Desk| desk.control(ControlVerb::OpenGate, u32::from(Gate::Operator.code()));
    let mut desk = Desk::ready();
    hold(&mut desk);
    desk.wish(vec![Intent::New(bid(7, 1))]);
    desk.control(ControlVerb::DisableTrading, 0);
    free(&mut desk);
    assert!(desk.take_dispatches().is_empty());
    desk.control(ControlVerb::EnableTrading, 0);
    assert_eq!(desk.take_dispatches().len(), 1);
    let mut desk = Desk::ready();
    hold(&mut desk);
    desk.wish(vec![Intent::New(bid(7, 1))]);
    desk.kill(KillMode::Cancel);
    free(&mut desk);
    desk.control(ControlVerb::ResetKill, 0);
    assert!(desk.take_dispatches().is_empty(), "a kill forgets what waited");
}

#[test]
fn the_book_gate_holds_what_was_allowed_on_a_market_that_was_then_lost() {
    waits_for_book();
}

fn waits_for_book() {
    let mut desk = Desk::ready();
    desk.control(ControlVerb::CloseGate, u32::from(Gate::Operator.code()));
    desk.wish(vec![Intent::New(bid(7, 1))]);
    desk.give(Body::BookLost(BookLoss::Gap));
    desk.control(ControlVerb::OpenGate, u32::from(Gate::Operator.code()));
    assert!(desk.take_dispatches().is_empty());
    let waiting = desk.core.state().execution.queue.pending(key(7)).copied();
    assert_eq!(waiting.map(|pending| pending.waits_for), Some(Wait::Gate(Gate::Book)));
    desk.market(BTC, 10_000, 10_010);
    assert_eq!(desk.take_dispatches().len(), 1);
}
