//! The heartbeat and the audit in the seeded world of `tests/kit`: a healthy run asks the venue for nothing else, and nothing that
//! they bring is ever taken for trouble; what the private stream lost is found by them.

use std::path::Path;

use linchpin::core::event::{Body, Event, HydrationScope};
use linchpin::core::record::{Decision, RecordKind};
use linchpin::core::time::Nanos;
use linchpin::journal::Reader;
use linchpin_kit::{Plan, World};

/// Far more often than a desk would, so that rounds meet fills, cancels and each other.
fn plan(seed: u64) -> Plan {
    let mut plan = Plan::healthy(seed);
    plan.heartbeat = Some(Nanos::from_secs(1));
    plan.audit = Some(Nanos::from_millis(1_700));
    plan
}

fn incidents(session: &Path) -> Vec<Decision> {
    let mut reader = Reader::open(session).expect("a journal");
    let mut found = Vec::new();
    while let Some(record) = reader.next().expect("sound") {
        if record.kind == RecordKind::Decision.code()
            && let Ok(decision @ Decision::Incident { .. }) = Decision::decode(record.payload)
        {
            found.push(decision);
        }
    }
    found
}

#[test]
fn a_healthy_run_asks_for_nothing_but_its_rounds_its_clock_and_its_key() {
    for seed in 1..=6 {
        let folder = tempfile::tempdir().expect("a folder");
        let session = folder.path().join("session");
        let mut world = World::new(&plan(seed), &session);
        assert!(world.run_until(Nanos::from_secs(60), |world| world.is_trading()), "it begins to trade");
        let before = world.counted();
        world.run_for(Nanos::from_secs(90));
        let after = world.counted();
        let (was, is) = (&before.requester, &after.requester);
        assert!(is.heartbeats - was.heartbeats >= 80 && is.audits - was.audits >= 45, "{is:?}");
        assert_eq!(is.hydrations, was.hydrations, "seed {seed}: nothing was in doubt");
        // One request a heartbeat, two an audit (orders, conditional orders), one a minute for the clock.
        let rounds = (is.heartbeats - was.heartbeats) + 2 * (is.audits - was.audits);
        let others = (is.rest_requests - was.rest_requests) - rounds;
        assert!(
            others <= 2 + (is.key_renewals - was.key_renewals),
            "seed {seed}: {others} requests beyond the rounds"
        );
        assert_eq!(is.rest_failures, 0);
        assert!(after.core.fills > before.core.fills, "and it traded");
        drop(world.finish());
        assert_eq!(incidents(&session), [], "seed {seed}");
    }
}

#[test]
fn without_an_interval_nothing_is_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(&Plan::healthy(1), &folder.path().join("session"));
    assert!(world.run_until(Nanos::from_secs(60), |world| world.is_trading()));
    world.run_for(Nanos::from_secs(90));
    let counted = world.counted().requester;
    assert_eq!((counted.heartbeats, counted.audits), (0, 0));
}

#[test]
fn what_the_rounds_bring_is_in_the_journal() {
    let folder = tempfile::tempdir().expect("a folder");
    let session = folder.path().join("session");
    let mut world = World::new(&plan(7), &session);
    assert!(world.run_until(Nanos::from_secs(60), |world| world.is_trading()));
    world.run_for(Nanos::from_secs(10));
    drop(world.finish());
    let mut reader = Reader::open(&session).expect("a journal");
    let (mut positions, mut audits) = (0, 0);
    while let Some(record) = reader.next().expect("sound") {
        if record.kind != RecordKind::Event.code() {
            continue;
        }
        match Event::decode(record.payload).expect("an event").body {
            Body::Position(report) if !report.hydrated => positions += 1,
            Body::Hydration(hydration) if hydration.scope == HydrationScope::Instrument => audits += 1,
            _ => {}
        }
    }
    assert!(positions >= 8 && audits >= 8, "{positions} {audits}");
}
