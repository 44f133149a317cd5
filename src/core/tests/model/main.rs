//! The core against a naive twin: millions of random steps, every rule of sections 2 to 7 held against it after each.
//!
//! `LINCHPIN_MODEL_STEPS` says how many (a step gives one event or a few, and the timers that came due before it);
//! `LINCHPIN_MODEL_SEED` where the seeds begin. A failure names the seed of its episode. The cheat tests doctor what the
//! checkers see, one group of rules each, and every one must be caught.
//!
//! What the driver throws at the core: markets that tear and go silent; a venue that is slow, forgetful and says things twice, whose
//! conditional orders fire or are refused, whose dated orders end, with a perpetual account in one-way mode, one in hedge mode (in most
//! episodes) and a spot account that states balances only; strangers on the account; funding, deposits; people who kill, flatten, halt,
//! change limits, close gates and begin days; strategies that wish anything, some of it as protective.
//!
//! What it found is in `found.rs`, an example each.

mod accounts;
#[path = "../desk/mod.rs"]
mod desk;
mod ledger;
mod market;
mod rates;
mod restless;
mod shadow;
mod twin;
mod world;

use std::time::Instant;

use accounts::Agreement;
use linchpin_core::limits::{BucketLimit, BucketScope, Configuration};
use linchpin_core::num::{Cash, Notional, Quantity};
use linchpin_core::record::{Admission, Decision, RiskReason};
use linchpin_core::state::order::{Confirmation, OrderState};
use linchpin_core::time::Nanos;
use twin::{Counts, Facts, Out};
use world::{Doctor, World};

/// Steps of one episode: a fresh core, a fresh configuration.
const EPISODE: u64 = 3_000;

fn knob(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a whole number"))
}

#[test]
fn the_core_agrees_with_its_naive_twin_at_every_step() {
    let steps = knob("LINCHPIN_MODEL_STEPS", 60_000);
    let first = knob("LINCHPIN_MODEL_SEED", 1);
    let from = Instant::now();
    let mut sum = Counts::default();
    for seed in first..first + steps.div_ceil(EPISODE) {
        let counts = World::new(seed).run(EPISODE).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        sum.events += counts.events;
        sum.intents += counts.intents;
        sum.denials += counts.denials;
        sum.dispatches += counts.dispatches;
        sum.fills += counts.fills;
        sum.late_fills += counts.late_fills;
        sum.contradictions += counts.contradictions;
        sum.asks += counts.asks;
        sum.terminal += counts.terminal;
        sum.purged += counts.purged;
        sum.stale += counts.stale;
        sum.snapshots += counts.snapshots;
        sum.limits += counts.limits;
        sum.trips += counts.trips;
        sum.deferrals += counts.deferrals;
        sum.triggers += counts.triggers;
        sum.expiries += counts.expiries;
        sum.funding += counts.funding;
        sum.flattened += counts.flattened;
        sum.claimed += counts.claimed;
        sum.ghosts += counts.ghosts;
        sum.other_modes += counts.other_modes;
        sum.crossed += counts.crossed;
        sum.usages += counts.usages;
        sum.ratio_trips += counts.ratio_trips;
    }
    println!("{steps} steps in {:.1} s: {sum:?}", from.elapsed().as_secs_f64());
    // Against a world that has quietly become empty.
    let reached = [
        sum.dispatches,
        sum.fills,
        sum.late_fills,
        sum.asks,
        sum.terminal,
        sum.purged,
        sum.stale,
        sum.snapshots,
        sum.limits,
        sum.trips,
        sum.deferrals,
        sum.triggers,
        sum.expiries,
        sum.funding,
        sum.claimed,
        sum.ghosts,
        sum.other_modes,
        sum.crossed,
        sum.usages,
        sum.ratio_trips,
    ];
    assert!(reached.iter().all(|count| *count > 0), "{sum:?}");
    // It takes a while until everything of everybody is sold, with nothing in between.
    assert!(sum.flattened > 0 || steps < 1_000_000, "{sum:?}");
    assert!(sum.dispatches > steps / 30, "{sum:?}");
}

#[test]
fn the_same_events_give_the_same_outputs_and_the_same_hash() {
    for seed in 500..503 {
        let run = || {
            let mut world = World::new(seed);
            let counts = world.run(EPISODE).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            (world.output, world.core.state_hash(), counts)
        };
        assert_eq!(run(), run(), "seed {seed}");
    }
}

// ---- cheats: each breaks one group of rules on purpose, and must be caught ----

/// Runs a world whose facts are doctored once; returns what the twin said.
fn caught(doctor: Doctor) -> String {
    for seed in 900..920 {
        let mut world = World::new(seed);
        world.doctor = Some(doctor);
        let outcome = world.run(EPISODE);
        if world.doctor.is_none() {
            return match outcome {
                Err(why) => why.lines().next().unwrap_or_default().to_owned(),
                Ok(_) => panic!("a broken rule was not noticed"),
            };
        }
    }
    panic!("the cheat found nothing to break");
}

#[track_caller]
fn is_caught_as(group: &str, doctor: Doctor) {
    let said = caught(doctor);
    assert!(said.contains(&format!("{group}: ")), "expected {group}, got: {said}");
}

fn records(facts: &mut Facts) -> impl Iterator<Item = &mut linchpin_core::record::IntentRecord> {
    facts.outs.iter_mut().filter_map(|out| match out {
        Out::Decision(Decision::Intent(record)) => Some(record),
        _ => None,
    })
}

fn dispatches(facts: &mut Facts) -> impl Iterator<Item = &mut linchpin_core::dispatch::Dispatch> {
    facts.outs.iter_mut().filter_map(|out| match out {
        Out::Dispatch(dispatch) => Some(dispatch),
        _ => None,
    })
}

#[test]
fn time_that_runs_backwards_is_caught() {
    is_caught_as("time", |facts| {
        facts.now = facts.now - Nanos::from_secs(1);
        true
    });
}

#[test]
fn a_fill_above_the_ordered_quantity_is_caught() {
    // The state comparison sees it first: both are the same wall.
    let said = caught(|facts| {
        let order = facts.live.iter_mut().find(|order| order.filled.is_positive());
        order.map(|order| order.filled = order.quantity + Quantity::new(1)).is_some()
    });
    assert!(said.contains("orders: ") || said.contains("lifecycle: "), "{said}");
}

#[test]
fn a_terminal_order_that_lives_again_is_caught() {
    is_caught_as("lifecycle", |facts| {
        let dead = facts.named.as_mut().filter(|order| order.state == OrderState::Cancelled);
        dead.map(|order| order.state = OrderState::Accepted).is_some()
    });
}

#[test]
fn a_second_request_in_flight_is_caught() {
    is_caught_as("inflight", |facts| {
        let order = facts.live.iter_mut().find(|order| order.inflight.is_some());
        order.and_then(|order| order.inflight.as_mut()).map(|inflight| inflight.dispatch += 1).is_some()
    });
}

#[test]
fn a_confirmation_that_nobody_gave_is_caught() {
    is_caught_as("confirmation", |facts| {
        let pending = |c| matches!(c, Confirmation::Pending { .. });
        let order = facts.live.iter_mut().find(|order| pending(order.confirmation));
        order.map(|order| order.confirmation = Confirmation::Confirmed).is_some()
    });
}

#[test]
fn a_position_that_its_fills_do_not_make_is_caught() {
    is_caught_as("position", |facts| {
        let traded = facts.totals.iter_mut().find(|total| total.fills > 3);
        traded.map(|total| total.quantity += Quantity::new(1)).is_some()
    });
}

#[test]
fn money_that_appears_is_caught_by_the_ledger() {
    let mut world = World::new(900);
    world.run(EPISODE).unwrap();
    let execution = &world.core.state().execution;
    let owner = |at| -> Vec<_> {
        let id = linchpin_core::id::StrategyId(at);
        execution.positions_of(id).map(|(_, position)| *position).collect()
    };
    let mut owners: Vec<Vec<_>> = (0..3).map(owner).collect();
    let ledger = &world.twin.ledger;
    ledger.recount(&owners).unwrap();
    ledger.check(&owners, &[], &[]).unwrap();
    owners[1][0].realised += Notional::new(1);
    assert!(ledger.recount(&owners).is_err());
    owners[1][0].realised += Notional::new(-1);
    owners[1][0].fees += Cash::new(1);
    assert!(ledger.check(&owners, &[], &[]).is_err());
}

#[test]
fn exposure_that_forgets_an_order_is_caught() {
    is_caught_as("exposure", |facts| {
        let some = facts.exposures.iter_mut().find(|exposure| exposure.open_orders > 1);
        some.map(|exposure| exposure.working_buy += Quantity::new(1)).is_some()
    });
}

#[test]
fn a_dispatch_without_an_allowed_intent_is_caught() {
    is_caught_as("risk", |facts| {
        let denied = records(facts).find(|r| r.verdict == RiskReason::PositionLimit);
        denied.map(|record| record.verdict = RiskReason::Allowed).is_some()
    });
    let said = caught(|facts| {
        let mut at = facts.outs.iter().position(
            |out| matches!(out, Out::Decision(Decision::Intent(r)) if r.admission == Admission::Entered),
        );
        let sent = facts.outs.iter().any(|out| matches!(out, Out::Dispatch(_)));
        at.take().filter(|_| sent).map(|at| facts.outs.remove(at)).is_some()
    });
    let groups = ["dispatch: ", "queue: ", "wishes: "];
    assert!(groups.iter().any(|group| said.contains(group)), "{said}");
}

#[test]
fn a_denial_without_a_reason_is_caught() {
    is_caught_as("risk", |facts| {
        let denied = records(facts).find(|r| r.verdict == RiskReason::DuplicateOrder);
        denied.map(|record| record.verdict = RiskReason::SelfCross).is_some()
    });
}

#[test]
fn a_wrong_cell_of_the_dominance_table_is_caught() {
    is_caught_as("dominance", |facts| {
        let discarded = records(facts).find(|r| r.admission == Admission::Discarded);
        discarded.map(|record| record.admission = Admission::Replaced).is_some()
    });
}

#[test]
fn a_dispatch_that_is_sent_twice_is_caught() {
    is_caught_as("dispatch", |facts| {
        let sent = facts.outs.iter().position(|out| matches!(out, Out::Dispatch(_)));
        sent.map(|at| facts.outs.push(facts.outs[at].clone())).is_some()
    });
}

#[test]
fn a_dispatch_with_other_terms_than_were_allowed_is_caught() {
    is_caught_as("dispatch", |facts| {
        let new = dispatches(facts).find(|d| d.request == linchpin_core::event::RequestKind::New);
        new.map(|sent| sent.quantity += Quantity::new(1)).is_some()
    });
}

#[test]
fn a_client_order_id_that_was_used_before_is_caught() {
    let said = caught(|facts| {
        let new =
            dispatches(facts).find(|d| d.request == linchpin_core::event::RequestKind::New && d.number > 5);
        let first = linchpin_core::id::ClientOrderId::compose(*b"model", 1);
        new.map(|sent| sent.client_order_id = first).is_some()
    });
    assert!(said.contains("ids: "), "{said}");
}

#[test]
fn a_command_that_waits_for_nothing_is_caught() {
    is_caught_as("prefix", |facts| {
        let last = facts.outs.iter().rposition(|out| matches!(out, Out::Dispatch(_)));
        last.map(|at| facts.outs.remove(at)).is_some()
    });
}

#[test]
fn a_deadline_that_is_too_late_is_caught() {
    is_caught_as("obligation", |facts| {
        let waits = facts.settled.contains(&false) && facts.deadline > facts.now;
        if waits {
            facts.deadline = Nanos::MAX;
        }
        waits
    });
}

#[test]
fn a_market_that_is_trusted_although_it_is_crossed_is_caught() {
    is_caught_as("market", |facts| {
        let crossed = |top: &Option<_>| {
            top.is_some_and(|(bid, ask): (linchpin_core::event::Level, linchpin_core::event::Level)| {
                bid.price >= ask.price
            })
        };
        let at = facts.tops.iter().position(crossed);
        at.map(|at| facts.trusted[at] = true).is_some()
    });
}

#[test]
fn a_window_that_never_opened_is_caught() {
    is_caught_as("settle", |facts| {
        let open = facts.settled.iter().position(|settled| !settled);
        open.map(|at| facts.settled[at] = true).is_some()
    });
}

#[test]
fn an_incident_that_is_kept_quiet_is_caught() {
    is_caught_as("incidents", |facts| {
        let late = linchpin_core::record::IncidentKind::LateFill;
        let at = facts
            .outs
            .iter()
            .position(|out| matches!(out, Out::Decision(Decision::Incident { kind, .. }) if *kind == late));
        at.map(|at| facts.outs.remove(at)).is_some()
    });
}

#[test]
fn a_position_that_agrees_with_nobody_is_caught() {
    is_caught_as("agreement", |facts| {
        let differs = facts.agreement.iter_mut().find(|agreement| **agreement == Agreement::Differs);
        differs.map(|agreement| *agreement = Agreement::Agrees).is_some()
    });
}

#[test]
fn a_balance_that_the_venue_did_not_state_is_caught() {
    is_caught_as("balance", |facts| {
        facts.balances.first_mut().map(|(_, _, balance)| balance.wallet += 1).is_some()
    });
}

#[test]
fn a_sum_of_money_that_forgets_an_order_is_caught() {
    is_caught_as("stakes", |facts| {
        let some = facts.worths.iter_mut().find(|worth| worth.long > 0 && worth.gross > 0);
        some.map(|worth| worth.gross -= 1).is_some()
    });
}

#[test]
fn margin_that_nobody_sets_aside_is_caught() {
    is_caught_as("stakes", |facts| {
        let some = facts.assets.iter_mut().find(|(_, stake)| stake.margin > 0);
        some.map(|(_, stake)| stake.margin = 0).is_some()
    });
}

#[test]
fn a_spot_sale_that_binds_nothing_is_caught() {
    is_caught_as("stakes", |facts| {
        let some = facts.assets.iter_mut().find(|(_, stake)| stake.bound > 0);
        some.map(|(_, stake)| stake.bound = 0).is_some()
    });
}

#[test]
fn funding_that_is_paid_twice_is_caught() {
    is_caught_as("ledger", |facts| {
        let paid = facts.totals.iter_mut().find(|total| total.funding != Cash::ZERO);
        paid.map(|total| total.funding += total.funding).is_some()
    });
}

#[test]
fn a_fee_that_nobody_paid_is_caught() {
    is_caught_as("ledger", |facts| {
        let mut owners = facts.owners.iter_mut().flatten();
        let paid = owners.find(|position| position.fees != Cash::ZERO);
        paid.map(|position| position.fees = Cash::ZERO).is_some()
    });
}

#[test]
fn a_fill_on_the_wrong_leg_is_caught() {
    is_caught_as("position", |facts| {
        let legs = facts.legs.iter_mut().flatten();
        let mut held = legs.filter(|(_, _, leg)| leg.quantity.is_positive());
        held.next().map(|(_, _, leg)| leg.quantity = Quantity::ZERO).is_some()
    });
}

#[test]
fn a_loss_that_stops_nobody_is_caught() {
    let said = caught(|facts| {
        let lost = |trip: &linchpin_core::record::Trip| trip.why != RiskReason::IntentRate;
        let trip = |out: &Out| matches!(out, Out::Decision(Decision::Trip(trip)) if lost(trip));
        facts.outs.iter().position(trip).map(|at| facts.outs.remove(at)).is_some()
    });
    assert!(said.contains("trip: "), "{said}");
}

#[test]
fn a_bound_that_is_forgotten_is_caught() {
    is_caught_as("trading", |facts| {
        let tripped = facts.standings.iter_mut().find(|standing| standing.tripped.is_some());
        tripped.map(|standing| standing.state = linchpin_core::event::TradingState::Active).is_some()
    });
}

#[test]
fn a_flatten_that_ends_while_something_is_held_is_caught() {
    is_caught_as("flatten", |facts| core::mem::take(&mut facts.flattening));
}

#[test]
fn an_entry_that_acts_beside_a_protective_order_is_caught() {
    let said = caught(|facts| {
        let deferred = |out: &Out| matches!(out, Out::Decision(Decision::Deferred { .. }));
        facts.outs.iter().position(deferred).map(|at| facts.outs.remove(at)).is_some()
    });
    assert!(said.contains("wishes: "), "{said}");
}

#[test]
fn a_family_that_is_taken_at_its_word_is_caught() {
    use linchpin_core::family::Family;
    is_caught_as("family", |facts| {
        let protects = records(facts).find(|record| record.family == Family::Entry);
        protects.map(|record| record.family = Family::Protective).is_some()
    });
}

#[test]
fn a_trigger_at_another_price_is_caught() {
    is_caught_as("dispatch", |facts| {
        let stop = dispatches(facts).find(|sent| sent.stop_price.is_positive());
        stop.map(|sent| sent.stop_price += linchpin_core::num::Price::new(1)).is_some()
    });
}

#[test]
fn an_order_that_fires_without_its_trigger_is_caught() {
    is_caught_as("orders", |facts| {
        let waits = facts.live.iter_mut().find(|order| !order.triggered);
        waits.map(|order| order.triggered = true).is_some()
    });
}

#[test]
fn an_order_that_goes_out_after_its_day_is_caught() {
    is_caught_as("queue", |facts| {
        use linchpin_core::record::CloseReason;
        let dated: Vec<_> = facts
            .outs
            .iter()
            .enumerate()
            .filter_map(|(at, out)| match out {
                Out::Decision(Decision::Closed { why: CloseReason::TooOld, .. }) => Some(at),
                _ => None,
            })
            .collect();
        dated.first().map(|at| facts.outs.remove(*at)).is_some()
    });
}

#[test]
fn an_order_of_others_that_nobody_claims_although_it_must_be_is_caught() {
    is_caught_as("owner", |facts| {
        let claimed = facts.live.iter_mut().find(|order| order.claimed);
        claimed
            .map(|order| {
                (order.claimed, order.key.strategy) = (false, linchpin_core::id::StrategyId::EXTERNAL)
            })
            .is_some()
    });
}

#[test]
fn owners_that_are_left_with_positions_against_each_other_after_a_flatten_are_caught() {
    is_caught_as("position", |facts| {
        let crossed = |out: &Out| {
            let kind = linchpin_core::record::IncidentKind::OwnersCrossed;
            matches!(out, Out::Decision(Decision::Incident { kind: found, .. }) if *found == kind)
        };
        if !facts.outs.iter().any(crossed) {
            return false;
        }
        facts.owners[0][0].quantity += Quantity::new(1);
        facts.owners[1][0].quantity += Quantity::new(-1);
        true
    });
}

#[test]
fn an_account_that_is_trusted_too_soon_is_caught() {
    use linchpin_core::state::control::AccountTrust;
    is_caught_as("trust", |facts| {
        let asked = |trust: &&mut AccountTrust| matches!(trust, AccountTrust::Hydrating { .. });
        facts.trust.iter_mut().find(asked).map(|trust| *trust = AccountTrust::Trusted).is_some()
    });
}

/// The core is made with this word less in its configuration, and the twin is not.
fn deaf_to(deafen: impl Fn(&mut Configuration), group: &str) {
    let differs = |seed| World::deaf(seed, &deafen).run(EPISODE).is_err_and(|why| why.contains(group));
    assert!((900..940).any(differs), "{group} was never heard of");
}

#[test]
fn messages_without_fills_that_stop_nobody_are_caught() {
    deaf_to(
        |configuration| {
            configuration.strategies.iter_mut().for_each(|limits| limits.max_messages_per_fill = 0);
        },
        "[MessageRatio",
    );
}

#[test]
fn what_the_venue_has_counted_and_nobody_heeds_is_caught() {
    deaf_to(|configuration| buckets(configuration).for_each(|bucket| bucket.counted_as = None), "rate: ");
}

#[test]
fn an_instruments_bucket_that_all_of_them_have_to_themselves_is_caught() {
    let of_each = |bucket: &mut BucketLimit| {
        if bucket.per == BucketScope::Instrument {
            (bucket.burst, bucket.refill) = (bucket.burst + 3, bucket.refill + 3);
        }
    };
    deaf_to(|configuration| buckets(configuration).for_each(of_each), "rate: ");
}

#[test]
fn a_bucket_that_waits_where_only_another_instruments_is_empty_is_caught() {
    // One for all where each has its own: what could go waits.
    let shared = |bucket: &mut BucketLimit| {
        if bucket.per == BucketScope::Instrument {
            bucket.per = BucketScope::Venue;
        }
    };
    deaf_to(|configuration| buckets(configuration).for_each(shared), "prefix: ");
}

fn buckets(configuration: &mut Configuration) -> impl Iterator<Item = &mut BucketLimit> {
    configuration.venues.iter_mut().flat_map(|venue| &mut venue.buckets)
}

#[test]
fn a_limit_that_was_not_changed_is_caught() {
    // The core is told of a limit, and the twin is not: soon one allows what the other does not.
    let differs = (900..940).any(|seed| {
        let mut world = World::new(seed);
        world.twin.configuration.instruments[0].max_position = Quantity::new(1);
        world.run(EPISODE).is_err_and(|why| why.contains("risk: "))
    });
    assert!(differs);
}
