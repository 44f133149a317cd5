//! What is believed of the venue, and from when: orders that live although they had ended, accounts in another mode, and
//! read-backs that fail.

mod desk;

use desk::*;
use linchpin_core::dispatch::Dispatch;
use linchpin_core::event::*;
use linchpin_core::id::*;
use linchpin_core::intent::Intent;
use linchpin_core::limits::MAX_SLOTS;
use linchpin_core::num::*;
use linchpin_core::record::{Ask, IncidentKind};
use linchpin_core::state::execution::Agreement;
use linchpin_core::state::order::OrderState;
use linchpin_core::time::Nanos;

fn bid(slot: u16, quantity: i64) -> linchpin_core::intent::NewIntent {
    limit(slot, BTC, Side::Buy, 9_990, quantity)
}

fn asks(desk: &Desk, scope: HydrationScope) -> Vec<Ask> {
    desk.seen.asks.iter().filter(|ask| ask.scope == scope).copied().collect()
}

fn last_order_ask(desk: &Desk) -> Ask {
    *asks(desk, HydrationScope::Order).last().expect("a question about an order")
}

/// The venue answers a question about an order: as it stands there.
fn answer_with(desk: &mut Desk, of: &Dispatch, report: OrderReport) {
    let ask = last_order_ask(desk);
    assert_eq!(ask.client_order_id, of.client_order_id);
    let flags = report.flags.with(ReportFlags::HYDRATED, true);
    desk.tell(of, OrderReport { flags, execution: Execution::Status, ..report });
    desk.answer(&ask, HydrationPhase::End);
}

// ---- ghosts ----

/// Sent, never answered, and not found after the venue's visibility delay: and then the venue shows that it rests.
fn ghost() -> (Desk, Dispatch) {
    let mut desk = Desk::ready();
    let sent = desk.send(bid(0, 10));
    desk.outcome(&sent, Verdict::Unknown, RejectReason::NoAnswer);
    desk.pass(Nanos::from_millis(1_500));
    let ask = last_order_ask(&desk);
    desk.answer(&ask, HydrationPhase::NotFound);
    assert_eq!(desk.order(&sent).state, OrderState::Rejected);
    desk.seen = Seen::default();
    desk.market(BTC, 10_000, 10_010);
    desk.accept(&sent);
    assert_eq!(desk.incidents(IncidentKind::Contradiction), 1);
    (desk, sent)
}

fn cancels(desk: &mut Desk) -> Vec<ClientOrderId> {
    let sent = desk.take_dispatches();
    let cancels = sent.iter().filter(|dispatch| dispatch.request == RequestKind::Cancel);
    cancels.map(|dispatch| dispatch.client_order_id).collect()
}

#[test]
fn a_ghost_is_asked_about_and_adds_no_risk_meanwhile() {
    let (mut desk, sent) = ghost();
    assert_eq!(last_order_ask(&desk).client_order_id, sent.client_order_id);
    desk.settle();
    desk.wish(vec![Intent::New(bid(1, 1))]);
    assert!(desk.take_dispatches().is_empty(), "a settled window forgets nothing");
    assert_eq!(desk.core.state().execution.exposure(BTC).working_buy, Quantity::new(10), "it is counted");
    assert_eq!(desk.core.open_orders(), 1);
}

#[test]
fn a_ghost_that_lives_is_cleaned_up_and_its_slot_is_the_strategys() {
    let (mut desk, sent) = ghost();
    let lives = desk.report(&sent, Execution::Status, VenueStatus::New);
    answer_with(&mut desk, &sent, lives);
    assert_eq!(desk.order(&sent).state, OrderState::Accepted);
    assert!(usize::from(desk.order(&sent).key.slot) >= MAX_SLOTS, "in no slot that the strategy names");
    desk.settle();
    assert_eq!(cancels(&mut desk), [sent.client_order_id]);
    let gone = desk.report(&sent, Execution::Cancelled, VenueStatus::Cancelled);
    desk.tell(&sent, gone);
    desk.settle();
    assert!(desk.core.is_idle());
    let anew = desk.open(bid(0, 1));
    desk.settle();
    assert!(desk.order(&anew).is_live() && cancels(&mut desk).is_empty(), "the new order stays");
}

#[test]
fn a_ghost_that_the_venue_denies_has_ended_again() {
    let (mut desk, sent) = ghost();
    let early = last_order_ask(&desk);
    desk.answer(&early, HydrationPhase::NotFound);
    assert!(desk.order(&sent).is_live(), "it may not be visible yet");
    desk.pass(Nanos::from_millis(1_100));
    let late = last_order_ask(&desk);
    assert!(late.number > early.number);
    desk.answer(&late, HydrationPhase::NotFound);
    assert_eq!(desk.order(&sent).state, OrderState::Rejected);
    desk.settle();
    assert!(desk.core.is_idle());
    desk.market(BTC, 10_000, 10_010);
    desk.send(bid(1, 1));
}

#[test]
fn a_kill_and_a_drain_cancel_a_ghost_and_a_drain_waits_for_it() {
    let (mut desk, sent) = ghost();
    desk.kill(KillMode::Cancel);
    assert_eq!(cancels(&mut desk), [sent.client_order_id]);

    let (mut desk, sent) = ghost();
    desk.control(ControlVerb::Drain, 0);
    assert_eq!(cancels(&mut desk), [sent.client_order_id]);
    assert!(!desk.core.is_idle(), "it is open at the venue");
    let gone = desk.report(&sent, Execution::Cancelled, VenueStatus::Cancelled);
    desk.tell(&sent, gone);
    desk.settle();
    assert!(desk.core.is_idle());
}

#[test]
fn what_a_ghost_fills_is_its_strategys_and_is_booked_once() {
    let (mut desk, sent) = ghost();
    let fill = desk.fill(&sent, 4, 4, 7);
    desk.tell(&sent, fill);
    desk.tell(&sent, fill);
    let own = desk.core.state().execution.position(StrategyId(0), BTC).unwrap().quantity;
    assert_eq!((own, desk.held(BTC)), (Quantity::new(4), 4));
    assert_eq!(desk.incidents(IncidentKind::LateFill), 0, "it was known to live");
}

#[test]
fn a_cancelled_order_that_is_told_late_or_with_less_filled_is_no_ghost() {
    let mut desk = Desk::ready();
    let sent = desk.open(bid(0, 10));
    let fill = desk.fill(&sent, 4, 4, 1);
    desk.tell(&sent, fill);
    let cancelled = OrderReport {
        cumulative_quantity: Quantity::new(4),
        ..desk.report(&sent, Execution::Cancelled, VenueStatus::Cancelled)
    };
    desk.tell(&sent, cancelled);
    let ended = desk.order(&sent);
    // From before its end; and after it, but with less filled than is known.
    let early = desk.report(&sent, Execution::New, VenueStatus::New);
    desk.stamped(ended.reported - Nanos::from_millis(1), BTC, Body::Order(early));
    desk.tell(&sent, early);
    assert_eq!(desk.order(&sent), ended);
    assert_eq!(desk.incidents(IncidentKind::Contradiction), 0);
    let lives = OrderReport { cumulative_quantity: Quantity::new(4), ..early };
    desk.tell(&sent, OrderReport { status: VenueStatus::PartiallyFilled, ..lives });
    assert_eq!(desk.order(&sent).state, OrderState::PartiallyFilled);
    assert_eq!(desk.core.state().execution.exposure(BTC).working_buy, Quantity::new(6));
    assert_eq!(desk.held(BTC), 4, "what had filled is not filled again");
}

// ---- an account in another mode ----

fn long_leg(desk: &mut Desk, quantity: i64, hydrated: bool) {
    let report = PositionReport {
        quantity: Quantity::new(quantity),
        entry_price: 1_000 * CASH_UNIT,
        unrealised: 0,
        side: PositionSide::Long,
        hydrated,
    };
    let stamp = if hydrated { Nanos::ZERO } else { desk.now };
    desk.stamped(stamp, BTC, Body::Position(report));
}

#[test]
fn another_position_mode_stays_distrusted_until_a_read_back_shows_the_right_one() {
    let mut desk = Desk::cold(configuration(), vec![]);
    desk.connect(definition());
    desk.hydrate(|desk| long_leg(desk, 3, true));
    let is_inconsistent = |desk: &Desk| desk.core.state().execution.is_inconsistent(BTC);
    assert!(is_inconsistent(&desk), "the hydration's own comparison, of 0 with 0, says nothing about it");
    assert_eq!(desk.core.state().execution.agreement(BTC), Agreement::Inconsistent);
    desk.position(BTC, 0, false);
    desk.settle();
    assert!(is_inconsistent(&desk));
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
    desk.hydrate(|desk| desk.position(BTC, 0, true));
    assert!(!is_inconsistent(&desk));
}

#[test]
fn a_private_word_of_another_position_mode_has_the_account_read_back_once() {
    let mut desk = Desk::ready();
    long_leg(&mut desk, 3, false);
    assert_eq!(asks(&desk, HydrationScope::Account).len(), 1);
    desk.hydrate(|desk| long_leg(desk, 3, true));
    long_leg(&mut desk, 4, false);
    desk.settle();
    assert_eq!(asks(&desk, HydrationScope::Account).len(), 1, "it would say the same");
    assert!(desk.core.state().execution.is_inconsistent(BTC));
}

// ---- failed read-backs ----

fn wallet(desk: &mut Desk, asset: AssetId, wallet: i64, cause: BalanceCause, hydrated: bool) {
    let report = BalanceReport { asset, wallet, available: i64::MIN, change: 0, cause, hydrated };
    desk.give(Body::Balance(report));
}

#[test]
fn balances_that_come_in_do_not_postpone_the_read_back_of_the_account() {
    let mut desk = Desk::ready();
    desk.link(LinkKind::Private, LinkState::Down);
    desk.link(LinkKind::Private, LinkState::Up);
    let first = desk.account_ask().unwrap().number;
    desk.hydration(HydrationPhase::Failed, first);
    for _ in 0..6 {
        desk.pass(Nanos::from_millis(100));
        wallet(&mut desk, AssetId(0), 5_000, BalanceCause::Order, false);
    }
    assert!(desk.account_ask().unwrap().number > first, "half a second after the failure");
}
