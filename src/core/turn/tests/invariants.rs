//! The cheat tests of the invariants: each is broken on purpose behind the core's back, and must be caught in the turn that meets it.

use super::*;
use crate::state::queue::{Pending, Reduces};

/// Breaks, meets what was broken, and expects the record with both numbers, the kill switch, and the next turn at once.
#[track_caller]
fn is_caught(
    kind: IncidentKind,
    numbers: (i64, i64),
    break_it: impl FnOnce(&mut Desk, OrderIndex),
    meet_it: impl FnOnce(&mut Desk, &Dispatch),
) -> Desk {
    let (mut desk, bid, _) = quoting();
    let index = desk.core.state.execution.orders.find(&bid.client_order_id).unwrap();
    break_it(&mut desk, index);
    desk.seen.decisions.clear();
    assert!(desk.core.state.control.kill.is_none());
    meet_it(&mut desk, &bid);
    let found: Vec<(IncidentKind, i64, i64)> = desk
        .seen
        .decisions
        .iter()
        .filter_map(|decision| match decision {
            Decision::Incident { kind, ours, theirs, .. } if kind.is_broken_invariant() => {
                Some((*kind, *ours, *theirs))
            }
            _ => None,
        })
        .collect();
    assert_eq!(found, [(kind, numbers.0, numbers.1)]);
    assert_eq!(desk.core.state.control.kill, Some(KillMode::Cancel), "{kind}");
    let gate = |decision: &Decision| matches!(decision, Decision::Gate { gate: Gate::Kill, open: false, .. });
    assert!(desk.seen.decisions.iter().any(gate), "{kind}: the gate says why nothing goes out");
    assert_eq!(desk.deadline, desk.now, "{kind}: the next turn comes at once");
    desk
}

/// What is open is cancelled at once, and nothing else goes out.
#[track_caller]
fn cancels(mut desk: Desk) {
    desk.pass(Nanos::from_millis(20));
    let sent = desk.take_dispatches();
    assert!(!sent.is_empty() && sent.iter().all(|sent| sent.request == RequestKind::Cancel), "{sent:?}");
}

fn fills_two(desk: &mut Desk, of: &Dispatch) {
    let fill = desk.fill(of, 2, 2, 1);
    desk.give(Body::Order(fill));
}

#[test]
fn more_filled_than_ordered_trips_the_kill_switch() {
    let cheat = |desk: &mut Desk, index| {
        desk.core.state.execution.cheat_order(index, |order| order.cumulative = Quantity::new(15));
    };
    // The bid is moved: what is on its way must be answered before it can be cancelled.
    is_caught(IncidentKind::BrokenOrdered, (15, 10), cheat, |desk, _| desk.market(BTC, 10_003, 10_013));
}

#[test]
fn more_fills_than_the_venue_counts_trip_the_kill_switch() {
    let cheat = |desk: &mut Desk, index| {
        desk.core.state.execution.cheat_order(index, |order| order.filled = Quantity::new(5));
    };
    cancels(is_caught(IncidentKind::BrokenCumulative, (5, 0), cheat, |desk, of| desk.accept(of)));
}

#[test]
fn less_than_nothing_at_work_trips_the_kill_switch() {
    let cheat = |desk: &mut Desk, _| desk.core.state.execution.cheat_working(BTC, -3);
    cancels(is_caught(IncidentKind::BrokenWork, (-5, 0), cheat, fills_two));
}

#[test]
fn a_position_that_its_fills_do_not_explain_trips_the_kill_switch() {
    let cheat = |desk: &mut Desk, _| {
        let ours = StrategyId(0);
        desk.core.state.execution.cheat_position(ours, BTC, |position| position.quantity = Quantity::new(7));
    };
    cancels(is_caught(IncidentKind::BrokenPosition, (9, 2), cheat, fills_two));
}

#[test]
fn an_account_that_is_not_the_sum_of_its_owners_trips_the_kill_switch() {
    let cheat = |desk: &mut Desk, _| {
        let ours = StrategyId(0);
        desk.core.state.execution.cheat_position(ours, BTC, |position| position.bring(Quantity::new(7)));
    };
    cancels(is_caught(IncidentKind::BrokenOwners, (2, 9), cheat, fills_two));
}

/// What would go out although it may not, stays here, and is found in the turn after.
#[track_caller]
fn is_kept(kind: IncidentKind, numbers: (i64, i64), send: impl FnOnce(&mut Desk, &Dispatch)) {
    let (mut desk, bid, _) = quoting();
    send(&mut desk, &bid);
    assert!(desk.take_dispatches().is_empty(), "{kind}: it went out");
    let broken = desk.core.state.execution.take_broken().expect("found");
    assert_eq!((broken.kind, (broken.ours, broken.theirs)), (kind, numbers));
}

/// A command as it leaves the queue.
fn leaves_the_queue(intent: Intent) -> Pending {
    Pending {
        intent,
        instrument: BTC,
        reduces: Reduces::default(),
        admitted: 0,
        since: Nanos::ZERO,
        waits_for: Wait::Fresh,
        reported: false,
    }
}

fn replace(of: &Dispatch) -> Intent {
    Intent::Replace(crate::intent::ReplaceIntent { key: of.key, price: of.price, quantity: Quantity::new(4) })
}

#[test]
fn a_second_request_for_an_order_with_one_in_flight_does_not_go_out() {
    is_kept(IncidentKind::BrokenInflight, (3, 4), |desk, bid| {
        let Core { execution, state, .. } = &mut desk.core;
        execution.send(state, &leaves_the_queue(replace(bid)), VenueId(0), &mut desk.seen);
        assert_eq!(desk.seen.dispatches.len(), 1);
        desk.seen.dispatches.clear();
        execution.send(state, &leaves_the_queue(replace(bid)), VenueId(0), &mut desk.seen);
    });
}

#[test]
fn a_command_with_a_second_one_waiting_behind_it_does_not_go_out() {
    is_kept(IncidentKind::BrokenPending, (2, 1), |desk, bid| {
        let Core { execution, state, .. } = &mut desk.core;
        state.execution.admit(replace(bid), BTC, Reduces::default(), Nanos::ZERO);
        execution.send(state, &leaves_the_queue(replace(bid)), VenueId(0), &mut desk.seen);
    });
}

#[test]
fn what_a_kill_forbids_does_not_go_out_whatever_let_it_through() {
    let replaces = i64::from(RequestKind::Replace.code());
    for mode in [KillMode::Block, KillMode::Cancel, KillMode::Flatten] {
        is_kept(IncidentKind::BrokenKill, (replaces, i64::from(mode.code())), |desk, bid| {
            let Core { execution, state, .. } = &mut desk.core;
            state.control.kill = Some(mode);
            execution.send(state, &leaves_the_queue(replace(bid)), VenueId(0), &mut desk.seen);
        });
    }
}
