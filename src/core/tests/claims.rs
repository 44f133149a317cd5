//! Orders of others that configuration claims: whose they are, who may touch them, what stays of it in a snapshot and after a warm
//! start. What nobody claims is in `lifecycle.rs` and `conformance.rs`.

mod desk;

use desk::*;
use linchpin_core::event::*;
use linchpin_core::family::{Claim, Family};
use linchpin_core::id::*;
use linchpin_core::instrument::{InstrumentDefinition, Product};
use linchpin_core::intent::{CancelIntent, Intent, Intents, ReplaceIntent};
use linchpin_core::limits::{CLAIMED_SLOTS, Configuration, MAX_SLOTS};
use linchpin_core::num::*;
use linchpin_core::record::{Admission, Decision, IncidentKind, RiskReason};
use linchpin_core::snapshot::{Sink, SnapshotError, Words};
use linchpin_core::state::Change;
use linchpin_core::state::order::Order;
use linchpin_core::strategy::{Strategy, View};
use linchpin_core::time::Nanos;

const FIRST: u16 = MAX_SLOTS as u16;

/// Strategy 0 claims what others do in BTC, and nobody what they do in ETH.
fn claiming() -> Configuration {
    let mut configuration = configuration();
    configuration.instruments[0].claimant = Some(StrategyId(0));
    configuration
}

/// As other systems name theirs: longer than is kept.
fn name(number: u32) -> ClientOrderId {
    ClientOrderId::from_text(format!("web_of-another-desk-{number:08}").as_bytes())
}

/// Another client of the account has this order open: a bid for 5 at 9,900.
fn foreign(number: u32) -> OrderReport {
    OrderReport {
        client_order_id: name(number),
        venue_order_id: VenueOrderId(70_000 + u64::from(number)),
        price: Price::new(9_900),
        quantity: Quantity::new(5),
        cumulative_quantity: Quantity::ZERO,
        last_quantity: Quantity::ZERO,
        last_price: Price::ZERO,
        trade_id: 0,
        fee: 0,
        fee_asset: AssetId(0),
        execution: Execution::New,
        status: VenueStatus::New,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::GoodTillCancel,
        side: Side::Buy,
        flags: ReportFlags::default(),
    }
}

fn filled(number: u32, quantity: i64) -> OrderReport {
    let status = if quantity == 5 { VenueStatus::Filled } else { VenueStatus::PartiallyFilled };
    OrderReport {
        cumulative_quantity: Quantity::new(quantity),
        last_quantity: Quantity::new(quantity),
        last_price: Price::new(9_900),
        trade_id: 600 + u64::from(number),
        execution: Execution::Trade,
        status,
        ..foreign(number)
    }
}

fn read_back(report: OrderReport) -> OrderReport {
    let flags = ReportFlags::default().with(ReportFlags::HYDRATED, true);
    OrderReport { execution: Execution::Status, last_quantity: Quantity::ZERO, trade_id: 0, flags, ..report }
}

fn order(desk: &Desk, number: u32) -> Order {
    let orders = &desk.core.state().execution.orders;
    *orders.order(orders.find(&name(number)).expect("it is known")).expect("a row")
}

fn held_by(desk: &Desk, strategy: StrategyId) -> i64 {
    desk.core.state().execution.position(strategy, BTC).unwrap().quantity.raw()
}

/// A desk that claims, on which others have one order open.
fn with_foreign() -> Desk {
    let mut desk = Desk::ready_with(claiming(), definition());
    desk.on(BTC, Body::Order(foreign(1)));
    desk.settle();
    desk
}

#[test]
fn a_claimed_order_stands_in_a_slot_that_its_strategy_cannot_name_and_counts_as_its_own() {
    let mut desk = with_foreign();
    let found = order(&desk, 1);
    assert!(found.claimed);
    assert_eq!(found.key, key(FIRST));
    let execution = &desk.core.state().execution;
    assert_eq!(execution.open_counts().of(StrategyId(0)), 1);
    assert_eq!(execution.open_counts().of(StrategyId::EXTERNAL), 0);
    assert_eq!(desk.core.open_orders(), 1, "a drain waits for it");
    assert_eq!(desk.incidents(IncidentKind::ExternalOrder), 1, "that it came is told all the same");
    let refused = desk.wish(vec![Intent::New(limit(FIRST + 1, BTC, Side::Buy, 9_990, 1))]);
    assert_eq!(refused[0].verdict, RiskReason::BadSlot, "nothing is placed where others' orders stand");
}

#[test]
fn where_nobody_claims_the_order_of_others_stays_external() {
    let mut desk = with_foreign();
    desk.on(ETH, Body::Order(foreign(2)));
    let found = order(&desk, 2);
    assert_eq!((found.claimed, found.key.strategy), (false, StrategyId::EXTERNAL));
}

#[test]
fn the_fills_of_a_claimed_order_are_its_strategys() {
    let mut desk = with_foreign();
    desk.on(BTC, Body::Order(filled(1, 5)));
    assert_eq!((held_by(&desk, StrategyId(0)), held_by(&desk, StrategyId::EXTERNAL)), (5, 0));
    assert_eq!(desk.held(BTC), 5);
    assert_eq!(desk.core.state().execution.traffic(StrategyId(0)).fills, 1);
}

#[test]
fn what_filled_before_it_was_seen_is_nobodys_of_ours() {
    let mut desk = Desk::ready_with(claiming(), definition());
    desk.on(BTC, Body::Order(OrderReport { last_quantity: Quantity::new(2), ..filled(1, 3) }));
    assert_eq!(held_by(&desk, StrategyId(0)), 2, "and what filled in this very report is");
    assert_eq!(order(&desk, 1).filled, Quantity::new(3));
}

#[test]
fn its_strategy_cancels_it_by_the_venues_number() {
    let mut desk = with_foreign();
    let slot = key(FIRST);
    desk.wish(vec![Intent::Cancel(CancelIntent {
        key: slot,
        order: OrderIndex::NONE,
        family: Family::Entry,
    })]);
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].request, sent[0].venue_order_id), (RequestKind::Cancel, VenueOrderId(70_001)));
    assert_eq!(sent[0].client_order_id, name(1));
}

#[test]
fn its_strategy_changes_its_terms_and_risk_weighs_them() {
    let mut desk = with_foreign();
    let to = |quantity| {
        Intent::Replace(ReplaceIntent {
            key: key(FIRST),
            price: Price::new(9_950),
            quantity: Quantity::new(quantity),
        })
    };
    let refused = desk.wish(vec![to(101)]);
    assert_eq!(refused[0].verdict, RiskReason::PositionLimit);
    let allowed = desk.wish(vec![to(6)]);
    assert_eq!((allowed[0].verdict, allowed[0].admission), (RiskReason::Allowed, Admission::Entered));
    let sent = desk.take_dispatches();
    assert_eq!((sent[0].request, sent[0].price), (RequestKind::Replace, Price::new(9_950)));
}

/// A spot venue replaces by placing anew, which needs the whole id.
#[test]
fn on_spot_one_whose_id_is_too_long_to_keep_is_cancelled_where_it_would_be_replaced() {
    let spot = InstrumentDefinition { product: Product::Spot, ..definition() };
    let mut desk = Desk::ready_with(claiming(), spot);
    let coins = |wallet| {
        Body::Balance(BalanceReport {
            asset: AssetId(0),
            wallet,
            available: wallet,
            change: 0,
            cause: BalanceCause::ReadBack,
            hydrated: false,
        })
    };
    desk.give(coins(1_000_000 * CASH_UNIT));
    desk.on(BTC, Body::Order(foreign(1)));
    desk.settle();
    let (price, quantity) = (Price::new(9_950), Quantity::new(4));
    desk.wish(vec![Intent::Replace(ReplaceIntent { key: key(FIRST), price, quantity })]);
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].request, sent[0].venue_order_id), (RequestKind::Cancel, VenueOrderId(70_001)));
}

#[test]
fn a_kill_cancels_what_is_claimed_and_leaves_what_is_not() {
    let mut desk = with_foreign();
    desk.on(ETH, Body::Order(foreign(2)));
    desk.settle();
    desk.kill(KillMode::Cancel);
    desk.settle();
    let cancelled: Vec<_> = desk.take_dispatches().iter().map(|sent| sent.client_order_id).collect();
    assert_eq!(cancelled, [name(1)]);
}

#[test]
fn cancel_all_and_a_drain_take_a_claimed_order_with_them() {
    for verb in [ControlVerb::CancelAll, ControlVerb::Drain] {
        let mut desk = with_foreign();
        desk.control(verb, 0);
        let sent = desk.take_dispatches();
        assert_eq!((sent.len(), sent[0].request), (1, RequestKind::Cancel), "{verb}");
        assert!(!desk.core.is_idle());
    }
}

#[test]
fn a_claimed_order_that_its_strategy_says_nothing_of_grows_old_and_is_cleaned_up() {
    let mut configuration = claiming();
    configuration.strategies[0].max_order_age = Nanos::from_secs(30);
    let mut desk = Desk::ready_with(configuration, definition());
    desk.on(BTC, Body::Order(foreign(1)));
    desk.pass(Nanos::from_secs(29));
    assert!(desk.take_dispatches().is_empty());
    desk.pass(Nanos::from_secs(2));
    let sent = desk.take_dispatches();
    assert_eq!((sent.len(), sent[0].request), (1, RequestKind::Cancel));
}

/// It says this of every order of others that it claims, and wishes nothing.
struct Says(Claim);

impl Strategy for Says {
    fn decide(&mut self, view: &View<'_>, _: Change, _: &mut Intents) {
        let claimed: Vec<u16> = view.claimed(BTC).map(|(slot, _)| slot).collect();
        assert!(claimed.iter().all(|slot| view.order(*slot).is_some_and(|order| order.claimed)));
    }
    fn claim_external(&self, _: &View<'_>, _: u16) -> Claim {
        self.0
    }
    fn save(&self, _: &mut dyn Sink) {}
    fn load(&mut self, _: &mut Words<'_>) -> Result<(), SnapshotError> {
        Ok(())
    }
}

#[test]
fn a_strategy_keeps_a_claimed_order_however_old_or_has_it_cancelled_at_once() {
    for (said, after_a_moment, after_a_minute) in
        [(Claim::Abandoned, 1, 0), (Claim::Mine, 0, 0), (Claim::Unsaid, 0, 1)]
    {
        let mut configuration = claiming();
        configuration.strategies[0].instruments = vec![1];
        configuration.strategies.push(configuration.strategies[0].clone());
        configuration.strategies[1].instruments = vec![0];
        configuration.strategies[1].max_order_age = Nanos::from_secs(30);
        configuration.instruments[0].claimant = Some(StrategyId(1));
        let mut desk = Desk::ready_beside(configuration, vec![Box::new(Says(said))]);
        desk.on(BTC, Body::Order(foreign(1)));
        desk.settle();
        let cancels = desk.take_dispatches();
        assert_eq!(cancels.len(), after_a_moment, "{said:?}");
        for cancel in &cancels {
            desk.outcome(cancel, Verdict::Accepted, RejectReason::None);
            let gone =
                OrderReport { execution: Execution::Cancelled, status: VenueStatus::Cancelled, ..foreign(1) };
            desk.on(BTC, Body::Order(gone));
        }
        desk.pass(Nanos::from_secs(60));
        assert_eq!(!desk.take_dispatches().is_empty(), after_a_minute == 1, "{said:?}");
    }
}

#[test]
fn one_order_more_than_there_are_slots_is_left_alone_and_told() {
    let mut configuration = Configuration { order_rows: 1 << 10, ..claiming() };
    configuration.strategies[0].max_open_orders = 1_000;
    let mut desk = Desk::ready_with(configuration, definition());
    for number in 0..=CLAIMED_SLOTS as u32 {
        desk.on(BTC, Body::Order(foreign(number)));
    }
    assert_eq!(order(&desk, CLAIMED_SLOTS as u32 - 1).key, key(FIRST + CLAIMED_SLOTS as u16 - 1));
    assert_eq!(order(&desk, CLAIMED_SLOTS as u32).key.strategy, StrategyId::EXTERNAL);
    assert_eq!(desk.incidents(IncidentKind::CapacityExhausted), 1);
    // The slot of one that has ended is free again.
    let gone = OrderReport { execution: Execution::Cancelled, status: VenueStatus::Cancelled, ..foreign(7) };
    desk.on(BTC, Body::Order(gone));
    desk.on(BTC, Body::Order(foreign(9_999)));
    assert_eq!(order(&desk, 9_999).key, key(FIRST + 7));
}

#[test]
fn a_snapshot_keeps_what_is_claimed() {
    let desk = with_foreign();
    let mut form = Vec::new();
    desk.core.save(&mut form);
    let mut other = Desk::cold(claiming(), vec![]);
    other.core.load(&form).expect("saved by the same configuration");
    assert_eq!(other.core.state_hash(), desk.core.state_hash());
    assert_eq!(order(&other, 1), order(&desk, 1));
    // Who claims decides what becomes of the next, so that a state of another configuration is none of this one's.
    assert!(Desk::cold(configuration(), vec![]).core.load(&form).is_err());
}

// ---- warm start ----

fn next_run(earlier: &Desk, configuration: Configuration, orphans: Orphans) -> Desk {
    let mut form = Vec::new();
    earlier.core.save(&mut form);
    let mut desk = Desk::cold(Configuration { run_tag: *b"again", ..configuration }, vec![]);
    desk.core.succeed(&form, true).expect("the same tables");
    desk.now = earlier.now + Nanos::from_secs(3_600);
    let old = i64::try_from(earlier.now.raw()).unwrap();
    let target = u32::from(orphans.code());
    desk.give(Body::Control(Control { verb: ControlVerb::WarmStart, target, old, new: 1, who: 0 }));
    for link in [LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private] {
        desk.link(link, LinkState::Up);
    }
    for instrument in [BTC, ETH] {
        desk.market(instrument, 10_000, 10_010);
    }
    desk
}

fn end_trades(desk: &mut Desk, trades: &[OrderReport]) {
    let asks = desk.seen.asks.iter().rev();
    let asked =
        |ask: &&linchpin_core::record::Ask| ask.scope == HydrationScope::Trades && ask.instrument == BTC;
    let request = asks.clone().find(|ask| asked(ask)).expect("its trades are asked for").number;
    let bracket = |phase| {
        let (scope, client_order_id, as_of) = (HydrationScope::Trades, ClientOrderId::NONE, Nanos::ZERO);
        Body::Hydration(Hydration { scope, phase, client_order_id, request, as_of })
    };
    desk.on(BTC, bracket(HydrationPhase::Begin));
    trades.iter().for_each(|trade| desk.on(BTC, Body::Order(*trade)));
    desk.on(BTC, bracket(HydrationPhase::End));
    desk.settle();
}

/// A trade as the list of trades tells it.
fn trade_alone(number: u32, quantity: i64) -> OrderReport {
    let flags = ReportFlags::default().with(ReportFlags::HYDRATED, true).with(ReportFlags::TRADE_ONLY, true);
    OrderReport {
        client_order_id: ClientOrderId::NONE,
        cumulative_quantity: Quantity::ZERO,
        quantity: Quantity::ZERO,
        status: VenueStatus::Other,
        flags,
        ..filled(number, quantity)
    }
}

#[test]
fn after_a_warm_start_our_own_orders_are_ours_and_those_of_others_are_claimed() {
    let mut earlier = Desk::ready_with(claiming(), definition());
    let own = earlier.open(limit(1, BTC, Side::Buy, 9_990, 5));
    earlier.on(BTC, Body::Order(foreign(1)));
    earlier.settle();
    let mut desk = next_run(&earlier, claiming(), Orphans::Close);
    desk.hydrate(|desk| {
        let ours = desk.report(&own, Execution::New, VenueStatus::New);
        for report in [ours, foreign(1), foreign(2)] {
            desk.on(BTC, Body::Order(read_back(report)));
        }
    });
    assert_eq!((desk.order(&own).key, desk.order(&own).claimed), (key(1), false));
    assert_eq!((order(&desk, 1).key, order(&desk, 1).claimed), (key(FIRST), true));
    assert_eq!(
        (order(&desk, 2).key, order(&desk, 2).claimed),
        (key(FIRST + 1), true),
        "one placed meanwhile"
    );
    assert_eq!(desk.core.state().execution.open_counts().of(StrategyId(0)), 3);
}

#[test]
fn a_run_that_claims_takes_over_what_the_earlier_one_left_alone_and_the_other_way_round() {
    let sums = |desk: &Desk| {
        let execution = &desk.core.state().execution;
        let at_stake = |owner| execution.stakes.total(owner).gross.raw();
        let open = |strategy| execution.open_counts().of(strategy);
        ((open(StrategyId(0)), open(StrategyId::EXTERNAL)), (at_stake(0), at_stake(1), at_stake(2)))
    };
    let mut earlier = Desk::ready_with(configuration(), definition());
    earlier.on(BTC, Body::Order(foreign(1)));
    earlier.settle();
    let (open, (none, theirs, all)) = sums(&earlier);
    assert!(open == (0, 1) && none == 0 && theirs > 0 && all == theirs);
    let claims = next_run(&earlier, claiming(), Orphans::Close);
    assert_eq!((order(&claims, 1).key, order(&claims, 1).claimed), (key(FIRST), true));
    assert_eq!(sums(&claims), ((1, 0), (theirs, 0, all)));
    assert_eq!(claims.core.configuration().instruments[0].claimant, Some(StrategyId(0)), "its own word");
    let leaves = next_run(&claims, configuration(), Orphans::Close);
    assert_eq!((order(&leaves, 1).key.strategy, order(&leaves, 1).claimed), (StrategyId::EXTERNAL, false));
    assert_eq!(sums(&leaves), ((0, 1), (0, theirs, all)));
}

/// It was booked nowhere: taken for part of a hydrated position, where after a warm start there is none.
#[test]
fn what_an_order_of_others_filled_while_nobody_looked_is_booked_once() {
    for (configuration, owner) in [(claiming(), StrategyId(0)), (configuration(), StrategyId::EXTERNAL)] {
        let earlier = Desk::ready_with(configuration.clone(), definition());
        let mut desk = next_run(&earlier, configuration, Orphans::Close);
        desk.hydrate(|desk| {
            let part = OrderReport { last_price: Price::new(9_900), ..filled(1, 3) };
            desk.on(BTC, Body::Order(read_back(part)));
            desk.position(BTC, 4, true);
        });
        desk.settle();
        // Its own trade again, and one of an order that came and went meanwhile.
        end_trades(&mut desk, &[trade_alone(1, 3), trade_alone(2, 1)]);
        assert_eq!((held_by(&desk, owner), desk.held(BTC)), (4, 4), "{owner:?}");
        assert_eq!(desk.incidents(IncidentKind::PositionMismatch), 0);
    }
}

#[test]
fn an_order_of_others_that_is_gone_is_never_wished_anew() {
    for configuration in [claiming(), configuration()] {
        let mut earlier = Desk::ready_with(configuration.clone(), definition());
        // A report that says nothing of its state.
        earlier.on(BTC, Body::Order(OrderReport { status: VenueStatus::Other, ..foreign(1) }));
        earlier.settle();
        let mut desk = next_run(&earlier, configuration, Orphans::Requeue);
        desk.hydrate(|_| {});
        desk.settle();
        let ask = desk.seen.asks.iter().rev().find(|ask| ask.client_order_id == name(1)).copied();
        desk.answer(&ask.expect("asked about"), HydrationPhase::NotFound);
        desk.settle();
        end_trades(&mut desk, &[]);
        assert!(!order(&desk, 1).is_live());
        assert!(desk.take_dispatches().is_empty());
        let wished = |d: &&Decision| matches!(d, Decision::Intent(_));
        assert_eq!(desk.seen.decisions.iter().filter(wished).count(), 0);
    }
}
