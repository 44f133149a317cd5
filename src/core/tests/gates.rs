//! The gates: one example each, of a command that was allowed, waits for it, and goes when it opens.

mod desk;

use desk::*;
use linchpin_core::event::*;
use linchpin_core::intent::{Intent, NewIntent};
use linchpin_core::num::{Price, Quantity};
use linchpin_core::record::{Gate, RiskReason, Wait};

fn bid(slot: u16, quantity: i64) -> NewIntent {
    limit(slot, BTC, Side::Buy, 9_990, quantity)
}

/// What risk says to one wish.
fn verdict(desk: &mut Desk, new: NewIntent) -> RiskReason {
    desk.wish(vec![Intent::New(new)])[0].verdict
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

/// Every gate has its example here: a new one does not compile without it.
fn example_of(gate: Gate) -> fn() {
    match gate {
        Gate::Trading => the_trading_gate_holds_what_was_already_waiting,
        Gate::Kill => the_kill_gate_holds_even_cancels_where_everything_is_blocked,
        Gate::MarketLink => the_market_gate_holds_until_the_link_is_up,
        Gate::PrivateLink | Gate::Account => {
            the_private_gate_and_then_the_account_gate_hold_until_it_is_read_back
        }
        Gate::OrderEntryLink => the_order_entry_gate_holds_until_the_link_is_up,
        Gate::Book => the_book_gate_holds_what_was_allowed_on_a_market_that_was_then_lost,
        Gate::Recovery => the_recovery_gate_holds_new_risk_while_an_order_of_the_scope_is_in_doubt,
        Gate::Journal => the_journal_gate_holds_what_could_not_be_recorded,
        Gate::Clock => the_clock_gate_holds,
        Gate::Operator => the_operator_gate_holds,
        Gate::Confirmation => the_confirmation_gate_holds_an_entry_beside_an_unconfirmed_protective_order,
        Gate::Schedule => the_schedule_gate_holds_outside_of_the_trading_windows,
    }
}

#[test]
fn every_gate_has_an_example() {
    Gate::ALL.iter().for_each(|gate| example_of(*gate)());
}

/// Where a waiting command stands now.
fn waits(desk: &Desk, slot: u16) -> Option<Wait> {
    desk.core.state().execution.queue.pending(key(slot)).map(|pending| pending.waits_for)
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
fn the_schedule_gate_holds_outside_of_the_trading_windows() {
    by_gate(Gate::Schedule);
}

#[test]
fn what_lowers_a_position_passes_the_schedule_gate() {
    let mut desk = Desk::ready();
    let bought = desk.open(bid(0, 10));
    let fill = desk.fill(&bought, 10, 10, 1);
    desk.tell(&bought, fill);
    desk.settle();
    desk.control(ControlVerb::CloseGate, u32::from(Gate::Schedule.code()));
    let exit = limit(1, BTC, Side::Sell, 10_020, 10);
    assert_eq!(desk.send(exit).key, key(1));
}

#[test]
fn a_gate_that_nobody_knows_is_refused_and_counted() {
    for gate in [Gate::Book.code(), Gate::Kill.code(), 99] {
        let mut desk = Desk::ready();
        for verb in [ControlVerb::CloseGate, ControlVerb::OpenGate] {
            desk.control(verb, u32::from(gate));
        }
        desk.control(ControlVerb::CloseGate, 256 + u32::from(Gate::Operator.code()));
        assert_eq!(desk.core.state().control.refused, 3, "gate {gate}");
        assert_eq!(desk.send(bid(7, 1)).key, key(7), "gate {gate} holds nothing");
    }
}

#[test]
fn the_market_gate_holds_until_the_link_is_up() {
    let mut desk = Desk::ready();
    let (close, open) = (ControlVerb::CloseGate, ControlVerb::OpenGate);
    desk.control(close, u32::from(Gate::Operator.code()));
    desk.wish(vec![Intent::New(bid(7, 1))]);
    desk.link(LinkKind::Market, LinkState::Down);
    desk.control(open, u32::from(Gate::Operator.code()));
    assert_eq!(waits(&desk, 7), Some(Wait::Gate(Gate::MarketLink)));
    desk.link(LinkKind::Market, LinkState::Up);
    assert!(desk.take_dispatches().is_empty(), "the book is not whole yet");
    desk.market(BTC, 10_000, 10_010);
    assert_eq!(desk.take_dispatches().len(), 1);
}

#[test]
fn the_confirmation_gate_holds_an_entry_beside_an_unconfirmed_protective_order() {
    let mut desk = Desk::ready();
    let bought = desk.open(bid(0, 10));
    let fill = desk.fill(&bought, 10, 10, 1);
    desk.tell(&bought, fill);
    desk.settle();
    let stop = NewIntent::stop_market(BTC, Side::Sell, Price::new(9_900), Quantity::new(10)).reduce_only();
    let guard = desk.send(NewIntent { key: key(1), ..stop.protective() });
    assert_eq!(verdict(&mut desk, bid(7, 1)), RiskReason::Allowed);
    assert_eq!(waits(&desk, 7), Some(Wait::Gate(Gate::Confirmation)));
    desk.take_dispatches();
    desk.accept(&guard);
    assert_eq!(desk.take_dispatches().iter().filter(|sent| sent.key == key(7)).count(), 1);
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
    let mut desk = Desk::ready();
    let sent = desk.send(bid(0, 1));
    desk.outcome(&sent, Verdict::Unknown, RejectReason::NoAnswer);
    desk.settle();
    assert_eq!(verdict(&mut desk, bid(7, 1)), RiskReason::Allowed);
    assert!(desk.take_dispatches().is_empty());
    assert_eq!(desk.send(limit(8, ETH, Side::Buy, 9_990, 1)).key, key(8), "other scopes trade on");
    desk.accept(&sent);
    assert_eq!(desk.take_dispatches().len(), 1);
}

#[test]
fn the_trading_gate_holds_what_was_already_waiting() {
    let mut desk = Desk::ready();
    desk.control(ControlVerb::CloseGate, u32::from(Gate::Operator.code()));
    desk.wish(vec![Intent::New(bid(7, 1))]);
    desk.control(ControlVerb::DisableTrading, 0);
    desk.control(ControlVerb::OpenGate, u32::from(Gate::Operator.code()));
    assert_eq!(waits(&desk, 7), Some(Wait::Gate(Gate::Trading)));
    assert!(desk.take_dispatches().is_empty());
    desk.control(ControlVerb::EnableTrading, 0);
    assert_eq!(desk.take_dispatches().len(), 1);
}

#[test]
fn the_kill_gate_holds_even_cancels_where_everything_is_blocked() {
    let mut desk = Desk::ready();
    let resting = desk.open(bid(0, 1));
    desk.kill(KillMode::Block);
    desk.control(ControlVerb::CancelAll, 0);
    assert_eq!(waits(&desk, 0), None, "a block forgets what waits, cancels too");
    assert!(desk.take_dispatches().is_empty());
    desk.kill(KillMode::Cancel);
    let sent = desk.take_dispatches();
    assert_eq!((sent.len(), sent[0].client_order_id), (1, resting.client_order_id));
}

#[test]
fn the_book_gate_holds_what_was_allowed_on_a_market_that_was_then_lost() {
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
