//! Who yields to whom: an example for each cell of the table in `family.rs`, each rule of cleanup, and each gate of it.

mod desk;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use desk::*;
use linchpin_core::dispatch::Dispatch;
use linchpin_core::event::*;
use linchpin_core::family::{Claim, Family};
use linchpin_core::id::*;
use linchpin_core::intent::{CancelIntent, Intent, Intents, NewIntent};
use linchpin_core::limits::Configuration;
use linchpin_core::num::{Price, Quantity};
use linchpin_core::record::{Admission, Decision, Gate, RiskReason, Wait};
use linchpin_core::snapshot::{Sink, SnapshotError, Words};
use linchpin_core::state::Change;
use linchpin_core::strategy::{Strategy, View, Wakes};
use linchpin_core::time::Nanos;

fn bid(slot: u16, quantity: i64) -> NewIntent {
    limit(slot, BTC, Side::Buy, 9_990, quantity)
}

/// A protective order: a take-profit that rests.
fn guard(slot: u16, quantity: i64) -> NewIntent {
    limit(slot, BTC, Side::Sell, 10_050, quantity).reduce_only().protective()
}

fn cancel(slot: u16) -> Intent {
    Intent::Cancel(CancelIntent { key: key(slot), order: OrderIndex::NONE, family: Family::Entry })
}

/// Holds 10 lots, bought through slot 9, all of it settled.
fn long() -> Desk {
    long_with(Desk::ready())
}

fn long_with(mut desk: Desk) -> Desk {
    let bought = desk.open(limit(9, BTC, Side::Buy, 9_990, 10));
    let fill = desk.fill(&bought, 10, 10, 1);
    desk.tell(&bought, fill);
    desk.settle();
    desk.take_dispatches();
    desk
}

fn deferrals(desk: &Desk) -> Vec<(u16, Family, Family)> {
    let of = |decision: &Decision| match decision {
        Decision::Deferred { key, family, to, .. } => Some((key.slot, *family, *to)),
        _ => None,
    };
    desk.seen.decisions.iter().filter_map(of).collect()
}

fn waits_for(desk: &Desk, slot: u16) -> Option<Wait> {
    desk.core.state().execution.queue.pending(key(slot)).map(|pending| pending.waits_for)
}

// ---- in the same pass ----

#[test]
fn an_entry_yields_to_a_protective_order_of_the_same_pass() {
    let mut desk = long();
    let said = desk.wish(vec![Intent::New(bid(0, 1)), Intent::New(guard(1, 10))]);
    assert_eq!(
        said.iter().map(|record| record.key.slot).collect::<Vec<_>>(),
        [1],
        "only the other is weighed"
    );
    assert_eq!(said[0].family, Family::Protective);
    assert_eq!(deferrals(&desk), [(0, Family::Entry, Family::Protective)]);
    assert_eq!(desk.take_dispatches().iter().map(|d| d.key.slot).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_replace_is_of_its_orders_family() {
    let mut desk = long();
    desk.open(guard(1, 10));
    desk.open(bid(0, 1));
    desk.take_dispatches();
    let moved = |slot, price, quantity| {
        Intent::Replace(linchpin_core::intent::ReplaceIntent {
            key: key(slot),
            price: Price::new(price),
            quantity: Quantity::new(quantity),
        })
    };
    desk.wish(vec![moved(0, 9_980, 1), moved(1, 10_060, 10)]);
    assert_eq!(deferrals(&desk), [(0, Family::Entry, Family::Protective)]);
    assert_eq!(desk.take_dispatches().iter().map(|d| d.key.slot).collect::<Vec<_>>(), [1]);
}

#[test]
fn families_of_different_instruments_do_not_meet() {
    let mut desk = long();
    desk.wish(vec![Intent::New(limit(0, ETH, Side::Buy, 9_990, 1)), Intent::New(guard(1, 10))]);
    assert!(deferrals(&desk).is_empty());
    assert_eq!(desk.take_dispatches().len(), 2);
}

#[test]
fn a_cancel_yields_to_nobody() {
    let mut desk = long();
    desk.open(bid(0, 1));
    desk.take_dispatches();
    desk.wish(vec![cancel(0), Intent::New(guard(1, 10))]);
    assert!(deferrals(&desk).is_empty());
    let requests: Vec<_> = desk.take_dispatches().iter().map(|d| d.request).collect();
    assert_eq!(requests, [RequestKind::Cancel, RequestKind::New]);
}

#[test]
fn what_calls_itself_protective_and_takes_on_risk_is_an_entry() {
    let mut desk = long();
    let more = bid(0, 1).protective();
    let said = desk.wish(vec![Intent::New(more), Intent::New(guard(1, 10))]);
    assert_eq!(deferrals(&desk), [(0, Family::Entry, Family::Protective)]);
    assert_eq!(said.len(), 1);
}

#[test]
fn entries_of_one_pass_act_together() {
    let mut desk = Desk::ready();
    desk.wish(vec![Intent::New(bid(0, 1)), Intent::New(limit(1, BTC, Side::Sell, 10_020, 1))]);
    assert!(deferrals(&desk).is_empty());
    assert_eq!(desk.take_dispatches().len(), 2);
}

// ---- unconfirmed ----

#[test]
fn an_entry_waits_until_the_protective_order_is_confirmed() {
    let mut desk = long();
    let sent = desk.send(guard(1, 10));
    let said = desk.wish(vec![Intent::New(bid(0, 1))]);
    assert_eq!((said[0].verdict, said[0].admission), (RiskReason::Allowed, Admission::Entered));
    assert!(desk.take_dispatches().is_empty());
    assert_eq!(waits_for(&desk, 0), Some(Wait::Gate(Gate::Confirmation)));
    // The venue's acceptance of the request proves nothing; the private stream does.
    desk.outcome(&sent, Verdict::Accepted, RejectReason::None);
    assert!(desk.take_dispatches().is_empty());
    desk.accept(&sent);
    assert_eq!(desk.take_dispatches().iter().map(|d| d.key.slot).collect::<Vec<_>>(), [0]);
}

#[test]
fn a_protective_order_does_not_wait_for_an_unconfirmed_entry() {
    let mut desk = long();
    desk.send(bid(0, 1));
    desk.send(guard(1, 10));
}

#[test]
fn a_protective_order_that_was_refused_holds_nobody() {
    let mut desk = long();
    let sent = desk.send(guard(1, 10));
    desk.outcome(&sent, Verdict::Rejected, RejectReason::Filter);
    desk.settle();
    desk.send(bid(0, 1));
}

#[test]
fn an_unconfirmed_protective_order_is_never_placed_again() {
    let mut desk = long();
    let sent = desk.send(guard(1, 10));
    let said = desk.wish(vec![Intent::New(guard(1, 10))]);
    assert_eq!(said[0].verdict, RiskReason::DuplicateOrder);
    // Overdue: it is asked about, and still not placed again.
    desk.pass(Nanos::from_secs(3));
    assert!(!desk.seen.asks.is_empty());
    assert!(desk.take_dispatches().is_empty());
    desk.accept(&sent);
    let asked = desk.seen.asks.len();
    desk.pass(Nanos::from_secs(60));
    assert_eq!(desk.seen.asks.len(), asked, "a confirmed order is never asked about");
    assert!(desk.take_dispatches().is_empty());
}

// ---- recovery, kill and flatten ----

#[test]
fn an_entry_waits_for_recovery_and_a_protective_order_does_not() {
    let mut desk = long();
    let lost = desk.send(bid(0, 1));
    desk.outcome(&lost, Verdict::Unknown, RejectReason::NoAnswer);
    desk.settle();
    desk.wish(vec![Intent::New(bid(2, 1))]);
    assert_eq!(waits_for(&desk, 2), Some(Wait::Gate(Gate::Recovery)));
    desk.take_dispatches();
    desk.send(NewIntent {
        key: key(1),
        ..NewIntent::market(BTC, Side::Sell, Quantity::new(10)).reduce_only().protective()
    });
}

#[test]
fn a_kill_asks_no_strategy() {
    let mut desk = long();
    desk.open(bid(0, 1));
    desk.take_dispatches();
    desk.kill(KillMode::Cancel);
    let said = desk.wish(vec![Intent::New(guard(1, 10)), Intent::New(bid(2, 1))]);
    assert!(said.is_empty());
    assert!(desk.take_dispatches().iter().all(|d| d.request == RequestKind::Cancel));
}

#[test]
fn whatever_is_wished_beside_a_cancel_all_comes_after_its_cancels_are_confirmed() {
    let clerk = Clerk::default();
    let mut desk = beside(&clerk, 0);
    let open = desk.open(bid(0, 1));
    desk.take_dispatches();
    clerk.wish(Wakes::CONTROL, vec![bid(0, 1), guard(1, 1)]);
    desk.control(ControlVerb::CancelAll, 0);
    let to: Vec<_> = deferrals(&desk);
    assert_eq!(to, [(0, Family::Entry, Family::Closing), (1, Family::Protective, Family::Closing)]);
    desk.take_dispatches();
    desk.wish(vec![Intent::New(bid(3, 1))]);
    assert_eq!(waits_for(&desk, 3), Some(Wait::Gate(Gate::Confirmation)));
    let cancelled = desk.report(&open, Execution::Cancelled, VenueStatus::Cancelled);
    desk.tell(&open, cancelled);
    assert_eq!(desk.take_dispatches().iter().map(|d| d.key.slot).collect::<Vec<_>>(), [3]);
}

// ---- deferred wishes come again ----

#[test]
fn whoever_yielded_is_asked_again_at_one_settled_pass() {
    let clerk = Clerk::default();
    let mut desk = long_with(beside(&clerk, 0));
    let before = clerk.settled();
    clerk.wish(Wakes::TRADE, vec![bid(0, 1), guard(1, 5)]);
    desk.wish(vec![]);
    assert_eq!(deferrals(&desk), [(0, Family::Entry, Family::Protective)]);
    let sent = desk.take_dispatches();
    desk.accept(&sent[0]);
    desk.pass(Nanos::from_secs(1));
    assert_eq!(clerk.settled() - before, 2, "when the confirmation settles, and once for the deferral");
}

#[test]
fn a_denied_protective_order_starves_no_entry_for_ever() {
    let clerk = Clerk::default();
    let mut desk = long_with(beside(&clerk, 0));
    // Off the lot range: risk denies it, so no private event ever follows.
    clerk.wish(Wakes::TRADE, vec![bid(0, 1), guard(1, 1_000_000)]);
    desk.wish(vec![]);
    assert_eq!(deferrals(&desk).len(), 1);
    clerk.wish(Wakes::SETTLED, vec![bid(0, 1)]);
    desk.pass(Nanos::from_millis(20));
    assert_eq!(desk.take_dispatches().iter().map(|d| d.key.slot).collect::<Vec<_>>(), [0]);
}

// ---- cleanup ----

#[test]
fn an_order_that_its_strategy_abandons_is_cleaned_up_at_the_next_settled_pass() {
    let clerk = Clerk::default();
    let mut desk = beside(&clerk, 0);
    let (stray, kept) = two_orders_of(&clerk, &mut desk);
    clerk.claims(0, Claim::Abandoned);
    assert!(desk.take_dispatches().is_empty());
    // Some private event settles the scope.
    let fill = desk.fill(&kept, 1, 1, 7);
    desk.tell(&kept, fill);
    assert!(desk.take_dispatches().is_empty(), "not before it settles");
    desk.settle();
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].request, sent[0].client_order_id), (RequestKind::Cancel, stray.client_order_id));
}

#[test]
fn a_cleanup_in_the_same_pass_defers_protective_and_entry_and_holds_them_until_confirmed() {
    let clerk = Clerk::default();
    let mut desk = long_with(beside(&clerk, 0));
    let (stray, kept) = two_orders_of(&clerk, &mut desk);
    clerk.claims(0, Claim::Abandoned);
    clerk.wish(Wakes::SETTLED, vec![bid(5, 1), guard(6, 5)]);
    let fill = desk.fill(&kept, 1, 1, 7);
    desk.tell(&kept, fill);
    desk.settle();
    let yielded = deferrals(&desk);
    assert!(yielded.contains(&(5, Family::Entry, Family::Cleanup)), "{yielded:?}");
    assert!(yielded.contains(&(6, Family::Protective, Family::Cleanup)), "{yielded:?}");
    let sent = desk.take_dispatches();
    assert!(sent.iter().all(|d| d.request == RequestKind::Cancel), "{sent:?}");
    desk.wish(vec![Intent::New(bid(3, 1)), Intent::New(guard(4, 1))]);
    desk.wish(vec![Intent::New(guard(4, 1))]);
    assert_eq!(waits_for(&desk, 4), Some(Wait::Gate(Gate::Confirmation)));
    let cancelled = desk.report(&stray, Execution::Cancelled, VenueStatus::Cancelled);
    desk.tell(&stray, cancelled);
    assert_eq!(desk.take_dispatches().iter().map(|d| d.key.slot).collect::<Vec<_>>(), [4]);
}

#[test]
fn an_order_that_nobody_touched_for_its_age_is_cleaned_up_once() {
    let clerk = Clerk::default();
    let mut desk = beside(&clerk, 60);
    let (old, _) = two_orders_of(&clerk, &mut desk);
    clerk.claims(1, Claim::Mine);
    desk.pass(Nanos::from_secs(55));
    desk.market(BTC, 10_000, 10_010);
    assert!(desk.take_dispatches().is_empty(), "not too old yet");
    desk.pass(Nanos::from_secs(10));
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!((sent[0].request, sent[0].client_order_id), (RequestKind::Cancel, old.client_order_id));
}

#[test]
fn an_order_that_is_claimed_grows_as_old_as_it_likes() {
    let clerk = Clerk::default();
    let mut desk = beside(&clerk, 60);
    two_orders_of(&clerk, &mut desk);
    clerk.claims(0, Claim::Mine);
    clerk.claims(1, Claim::Mine);
    desk.pass(Nanos::from_secs(3_600));
    assert!(desk.take_dispatches().is_empty());
}

#[test]
fn a_cleanup_that_the_venue_refused_is_tried_again_after_a_pause() {
    let clerk = Clerk::default();
    let mut desk = beside(&clerk, 60);
    two_orders_of(&clerk, &mut desk);
    clerk.claims(1, Claim::Mine);
    desk.pass(Nanos::from_millis(60_100));
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 1);
    desk.outcome(&sent[0], Verdict::Rejected, RejectReason::RateLimited);
    desk.pass(Nanos::from_millis(200));
    assert!(desk.take_dispatches().is_empty());
    desk.pass(Nanos::from_millis(400));
    assert_eq!(desk.take_dispatches().len(), 1);
}

#[test]
fn cleanup_leaves_orders_in_doubt_to_recovery_and_orders_of_others_alone() {
    let clerk = Clerk::default();
    let mut desk = beside(&clerk, 60);
    let (lost, kept) = two_orders_of(&clerk, &mut desk);
    let alien = Dispatch { client_order_id: ClientOrderId::from_text(b"web_1"), ..kept };
    desk.accept(&alien);
    desk.settle();
    clerk.claims(1, Claim::Mine);
    // The venue says that it does not know the first order: its ending is asked for.
    clerk.cancel(0);
    desk.wish(vec![]);
    desk.outcome(&lost, Verdict::Accepted, RejectReason::None);
    let sent = desk.take_dispatches();
    desk.outcome(&sent[0], Verdict::Unknown, RejectReason::NoAnswer);
    desk.pass(Nanos::from_secs(120));
    assert!(desk.take_dispatches().is_empty());
    assert!(!desk.seen.asks.is_empty());
}

#[test]
fn cleanup_is_silent_while_a_kill_is_at_work() {
    let clerk = Clerk::default();
    let mut desk = beside(&clerk, 60);
    two_orders_of(&clerk, &mut desk);
    clerk.claims(0, Claim::Abandoned);
    desk.kill(KillMode::Block);
    desk.pass(Nanos::from_secs(120));
    assert!(desk.take_dispatches().is_empty());
}

// ---- a strategy that wishes and claims what it is told ----

#[derive(Clone, Default)]
struct Clerk(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    wishes: Vec<(Wakes, Vec<NewIntent>)>,
    cancels: Vec<u16>,
    claims: HashMap<u16, Claim>,
    settled: u32,
}

impl Clerk {
    /// At its next wake of this kind.
    fn wish(&self, at: Wakes, orders: Vec<NewIntent>) {
        self.0.lock().unwrap().wishes.push((at, orders));
    }
    /// At its next wake of any kind.
    fn cancel(&self, slot: u16) {
        self.0.lock().unwrap().cancels.push(slot);
    }
    fn claims(&self, slot: u16, claim: Claim) {
        self.0.lock().unwrap().claims.insert(slot, claim);
    }
    fn settled(&self) -> u32 {
        self.0.lock().unwrap().settled
    }
}

impl Strategy for Clerk {
    fn decide(&mut self, _: &View<'_>, change: Change, intents: &mut Intents) {
        let mut told = self.0.lock().unwrap();
        let kind = match change {
            Change::Settled(_) => Wakes::SETTLED,
            Change::Trade(_) => Wakes::TRADE,
            Change::Control => Wakes::CONTROL,
            _ => return,
        };
        told.settled += u32::from(kind == Wakes::SETTLED);
        for slot in std::mem::take(&mut told.cancels) {
            intents.cancel(slot);
        }
        if let Some(at) = told.wishes.iter().position(|(when, _)| *when == kind) {
            for order in told.wishes.remove(at).1 {
                intents.new_order(order.key.slot, order);
            }
        }
    }
    fn wakes_on(&self) -> Wakes {
        Wakes::TRADE | Wakes::SETTLED | Wakes::CONTROL
    }
    fn save(&self, _: &mut dyn Sink) {}
    fn load(&mut self, _: &mut Words<'_>) -> Result<(), SnapshotError> {
        Ok(())
    }
    fn claim(&self, _: &View<'_>, slot: u16) -> Claim {
        self.0.lock().unwrap().claims.get(&slot).copied().unwrap_or(Claim::Unsaid)
    }
}

/// The scripted strategy first, the clerk second, with a bound on the age of orders in seconds.
fn beside(clerk: &Clerk, age: u64) -> Desk {
    let mut with: Configuration = configuration();
    let mut second = with.strategies[0].clone();
    second.max_order_age = Nanos::from_secs(age);
    with.strategies.push(second);
    // Quiet markets are not what these are about.
    for limits in &mut with.instruments {
        limits.stale_after = Nanos::from_secs(10_000);
    }
    Desk::ready_beside(with, vec![Box::new(clerk.clone())])
}

/// The clerk's slots 0 and 1, confirmed and settled.
fn two_orders_of(clerk: &Clerk, desk: &mut Desk) -> (Dispatch, Dispatch) {
    clerk.wish(Wakes::TRADE, vec![bid(0, 2), limit(1, BTC, Side::Buy, 9_980, 2)]);
    desk.take_dispatches();
    desk.wish(vec![]);
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 2, "{sent:?}");
    sent.iter().for_each(|order| desk.accept(order));
    desk.settle();
    (sent[0], sent[1])
}
