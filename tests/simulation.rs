//! The production loops in a seeded world (`tests/kit`): sessions that trade, the same bytes from the same seed, and the
//! invariants under faults by dice.
//!
//! `LINCHPIN_SIM_SEEDS=300 cargo test --release --test simulation` runs that many seeds of each kind instead of twenty;
//! `LINCHPIN_SIM_SEED=17` runs only that one. A failure prints one line: commit, seed, command.

use std::panic::{AssertUnwindSafe, catch_unwind};

use linchpin::core::record::Wait;
use linchpin::core::time::Nanos;
use linchpin_kit::{Plan, World, audit, journal_bytes};

#[test]
fn a_session_trades_with_the_agents_and_its_replay_is_identical() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(&Plan::healthy(1), folder.path());
    world.run_for(Nanos::from_secs(30));
    assert!(world.is_trading(), "{:?}", world.state().control);
    let (ours, theirs) = world.books().expect("the book is whole");
    assert_eq!(ours, theirs, "the engine's book and the venue's");
    assert!(world.drain(), "nothing stays open");
    let (ours, theirs) = world.accounts();
    assert_eq!(ours, theirs, "our account and the venue's");
    let remains = world.finish();
    assert_eq!(remains.outrages, Vec::<String>::new());
    assert!(remains.venue.fills > 0 && remains.venue.placed > 10, "{:?}", remains.venue);
    let sealed = remains.core.seal.expect("sealed");
    assert!(sealed.segments > 3, "{sealed:?}: rolls were to happen");
    let seen = audit(folder.path()).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!((seen.events, seen.last_hash), (remains.core.events, remains.core.state_hash));
    // One hydration at the start, and none for the sake of healthy private events.
    assert_eq!(seen.hydrations_asked, 1);
}

/// Every connection is replaced many times over, and nobody notices: no break, no gap, no doubt, no second hydration.
#[test]
fn connections_that_grow_old_are_replaced_without_a_break() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plan = Plan::healthy(21);
    plan.max_age = Nanos::from_secs(15);
    let mut world = World::new(&plan, folder.path());
    assert!(world.run_until(Nanos::from_secs(30), |world| world.is_trading()));
    let links = |world: &World| world.state().control.closed_gate(linchpin::core::id::VenueId(0));
    let end = world.clock_millis() + 180_000;
    while world.clock_millis() < end {
        world.step();
        assert_eq!(links(&world), None, "a gate closed");
    }
    let counted = world.counted();
    assert!(counted.receiver.renewals > 20, "{:?}", counted.receiver);
    assert!(counted.sender.renewals > 5, "{:?}", counted.sender);
    assert!(counted.receiver.private_twice > 0, "the two private connections were read side by side");
    assert_eq!(counted.receiver.reconnects, 0);
    let (ours, theirs) = world.books().expect("the book is whole");
    assert_eq!(ours, theirs);
    assert!(world.drain());
    let (ours, theirs) = world.accounts();
    assert_eq!(ours, theirs);
    let remains = world.finish();
    assert_eq!(remains.outrages, Vec::<String>::new());
    assert_eq!((remains.receiver.feed.gaps, remains.receiver.feed.resyncs), (0, 0));
    assert!(remains.venue.fills > 0);
    let seen = audit(folder.path()).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(seen.hydrations_asked, 1);
}

/// From a REST answer's header, through the requester and the core's bucket, to orders that stay here until the venue's window ends.
#[test]
fn a_header_that_says_1190_of_1200_orders_holds_orders_back_until_the_venues_minute_ends() {
    const MINUTE: u64 = 60_000;
    let folder = tempfile::tempdir().expect("a folder");
    let mut plan = Plan::healthy(11);
    // The clock is measured by a REST read: each is an answer with headers.
    plan.clock_every = Nanos::from_secs(1);
    let mut world = World::new(&plan, folder.path());
    assert!(world.run_until(Nanos::from_secs(30), |world| world.is_trading()));
    assert!(world.run_until(Nanos::from_secs(60), |world| world.clock_millis() % MINUTE < 1_000));
    let sent = |world: &World| {
        let counts = world.venue.borrow().counts;
        counts.placed + counts.modifies
    };
    let quiet = sent(&world);
    world.run_for(Nanos::from_secs(10));
    assert!(sent(&world) > quiet, "it quotes while the venue has room");

    // Somebody else used the account's limit up. The demo's own bucket would let 1,150 out.
    world.venue.borrow_mut().headers = vec![("X-MBX-ORDER-COUNT-1M", "1190")];
    world.run_for(Nanos::from_secs(3));
    let held = sent(&world);
    let minute = world.clock_millis() / MINUTE;
    assert!(world.run_until(Nanos::from_secs(60), |world| world.clock_millis() % MINUTE > 58_000));
    assert_eq!((world.clock_millis() / MINUTE, sent(&world)), (minute, held), "no order while it is used up");
    let waits =
        |world: &World| world.state().execution.queue.iter().any(|pending| pending.waits_for == Wait::Rate);
    assert!(waits(&world), "a command waits, and says for what");

    world.venue.borrow_mut().headers = vec![("X-MBX-ORDER-COUNT-1M", "3")];
    world.run_for(Nanos::from_secs(10));
    assert!(sent(&world) > held, "a new minute: it quotes again");
    assert!(world.drain());
    let remains = world.finish();
    assert_eq!(remains.outrages, Vec::<String>::new());
    audit(folder.path()).unwrap_or_else(|wrong| panic!("{wrong}"));
}

#[test]
fn two_runs_of_one_seed_give_the_same_bytes_and_two_seeds_do_not() {
    let run = |plan: Plan| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut world = World::new(&plan, folder.path());
        world.run_for(Nanos::from_secs(10));
        world.drain();
        world.finish();
        audit(folder.path()).unwrap_or_else(|wrong| panic!("seed {}: {wrong}", plan.seed));
        journal_bytes(folder.path())
    };
    for plan in [Plan::healthy, Plan::rough] {
        let (one, again, other) = (run(plan(5)), run(plan(5)), run(plan(6)));
        assert!(one.len() > 1, "more than one segment");
        assert_eq!(one.len(), again.len());
        for ((name, bytes), (_, same)) in one.iter().zip(&again) {
            assert!(bytes == same, "segment {name} differs between two runs of one seed");
        }
        assert!(one != other, "two seeds gave the same journal");
    }
}

#[test]
fn under_faults_every_invariant_holds_and_the_run_ends_drained() {
    let mut fills = 0;
    for seed in seeds() {
        let outcome = catch_unwind(AssertUnwindSafe(|| rough_session(seed)));
        match outcome {
            Ok(seen) => fills += seen,
            Err(_) => panic!(
                "commit {}, seed {seed}: LINCHPIN_SIM_SEED={seed} cargo test --test simulation under_faults",
                commit()
            ),
        }
    }
    assert!(fills > 0, "no seed traded at all: the faults are too rough to test anything");
}

/// Some simulated seconds of everything that may go wrong, then the drain and the reckoning. Gives the count of fills.
fn rough_session(seed: u64) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(&Plan::rough(seed), folder.path());
    world.run_for(Nanos::from_secs(12));
    let drained = world.drain();
    let open = world.venue.borrow_mut().open_orders();
    let live: Vec<_> = world.state().execution.orders.live_orders().map(|(_, order)| *order).collect();
    let (ours, theirs) = world.accounts();
    let remains = world.finish();
    // First what went wrong earliest: the audit names the turn.
    audit(folder.path()).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(drained, "not drained: {live:?}; at the venue: {open:?}");
    assert_eq!(ours, theirs, "our account and the venue's");
    assert_eq!(remains.outrages, Vec::<String>::new());
    remains.core.seal.expect("sealed");
    remains.venue.fills
}

fn seeds() -> Vec<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: a whole number is wanted")))
    };
    match number("LINCHPIN_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("LINCHPIN_SIM_SEEDS").unwrap_or(20)).collect(),
    }
}

fn commit() -> String {
    let described = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let text = described.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown".into())
}
