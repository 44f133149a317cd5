//! Starting and stopping, as SEMANTICS section 8 has it. Each of its promises, and the test that holds it:
//!
//! | promise | held by |
//! |---|---|
//! | trading disabled until enabled; kill reset only where asked | `tests/control.rs`, `tests/runbook.rs` |
//! | a cold start hydrates before anything goes | `conformance`, `families` |
//! | warm: snapshot + journal; open orders, fills since, positions; adopt, resolve, never on a guess; requeue through risk | `warm_start` |
//! | the same with real processes, killed at every kind of moment | `tests/crash_matrix.rs` |
//! | then buffered private events are replayed, then it is ready | here |
//! | an ambiguous outcome is never made a rejection by time alone | here |
//! | drain and stop: a run is over when nothing is open, under way or asked about | `warm_start`, `tests/session.rs` |
//! | power loss at any byte | `journal`'s own tests |

mod desk;

use desk::*;
use linchpin_core::event::*;
use linchpin_core::intent::Intent;
use linchpin_core::num::*;
use linchpin_core::record::IncidentKind;
use linchpin_core::state::order::{Confirmation, OrderState};
use linchpin_core::time::Nanos;

fn bid() -> linchpin_core::intent::NewIntent {
    limit(1, BTC, Side::Buy, 9_990, 10)
}

#[test]
fn no_span_of_time_turns_an_ambiguous_outcome_into_a_rejection() {
    // However the outcome became ambiguous: nobody answered, the venue said that it does not know, the link went away.
    for how in ["silence", "unknown", "link"] {
        let mut desk = Desk::ready();
        let sent = desk.send(bid());
        match how {
            "unknown" => desk.outcome(&sent, Verdict::Unknown, RejectReason::NoAnswer),
            "link" => desk.link(LinkKind::OrderEntry, LinkState::Down),
            _ => {}
        }
        // A week in which REST fails each time.
        for _ in 0..7 * 24 {
            desk.pass(Nanos::from_secs(3_600));
            if let Some(ask) = desk.seen.asks.pop() {
                desk.answer(&ask, HydrationPhase::Failed);
            }
        }
        let order = desk.order(&sent);
        assert_eq!(order.state, OrderState::Submitted, "{how}");
        assert!(
            matches!(order.confirmation, Confirmation::Unknown { .. }),
            "{how}: {:?}",
            order.confirmation
        );
        assert!(desk.incidents(IncidentKind::RecoveryExhausted) > 0, "{how}: a person is told");
        assert!(desk.take_dispatches().iter().all(|dispatch| dispatch.request != RequestKind::New), "{how}");
        // It was alive all along: the venue's word is what counts, however late.
        desk.accept(&sent);
        assert_eq!(desk.order(&sent).state, OrderState::Accepted, "{how}");
    }
}

#[test]
fn a_not_found_is_believed_only_when_the_order_has_had_the_time_to_be_seen() {
    let mut desk = Desk::ready();
    let sent = desk.send(bid());
    desk.outcome(&sent, Verdict::Unknown, RejectReason::NoAnswer);
    desk.settle();
    let ask = *desk.seen.asks.last().expect("asked about at once");
    desk.answer(&ask, HydrationPhase::NotFound);
    assert_eq!(desk.order(&sent).state, OrderState::Submitted, "it may only be late");
    let delay = configuration().visibility_delay;
    while desk.now < sent.decided + delay {
        desk.pass(delay);
    }
    let ask = *desk.seen.asks.last().expect("asked again");
    desk.answer(&ask, HydrationPhase::NotFound);
    assert_eq!(desk.order(&sent).state, OrderState::Rejected);
}

#[test]
fn after_a_warm_start_buffered_private_events_come_on_top_of_the_snapshot_and_only_then_it_is_ready() {
    let mut earlier = Desk::ready();
    let order = earlier.open(bid());
    let mut form = Vec::new();
    earlier.core.save(&mut form);
    let next = linchpin_core::limits::Configuration { run_tag: *b"again", ..configuration() };
    let mut desk = Desk::cold(next, vec![]);
    desk.core.succeed(&form, true).expect("the same tables");
    desk.now = earlier.now + Nanos::from_secs(60);
    let old = i64::try_from(earlier.now.raw()).unwrap();
    desk.give(Body::Control(Control { verb: ControlVerb::WarmStart, target: 0, old, new: 1, who: 0 }));
    for link in [LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private] {
        desk.link(link, LinkState::Up);
    }
    for instrument in [BTC, ETH] {
        desk.market(instrument, 10_000, 10_010);
    }
    let (known, later) = (desk.fill(&order, 4, 4, 1), desk.fill(&order, 3, 7, 2));
    desk.wish(vec![Intent::New(limit(2, ETH, Side::Buy, 9_980, 5))]);
    desk.hydrate(|desk| {
        // The private stream tells both fills before the snapshot, which has the first of them, is there.
        desk.tell(&order, known);
        desk.tell(&order, later);
        assert_eq!(desk.held(BTC), 0, "they wait");
        let status = desk.report(&order, Execution::Status, VenueStatus::PartiallyFilled);
        let flags = ReportFlags(ReportFlags::HYDRATED);
        desk.tell(&order, OrderReport { flags, cumulative_quantity: Quantity::new(4), ..status });
        desk.position(BTC, 4, true);
        assert!(desk.take_dispatches().is_empty(), "it is not ready");
    });
    assert_eq!((desk.order(&order).filled, desk.held(BTC)), (Quantity::new(7), 7), "each once");
    assert_eq!(desk.incidents(IncidentKind::PositionMismatch), 0);
}
