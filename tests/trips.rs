//! What trips the kill switch by itself, each in all three layers: core or gate, and the flag on the disk, in the seeded world of
//! `tests/kit` with the production operator beside it. A core thread that panics or hangs has its own program: `watchdog`.

use std::path::Path;
use std::sync::mpsc::sync_channel;

use linchpin::control::Who;
use linchpin::core::event::{ControlVerb, KillMode};
use linchpin::core::limits::LimitKey;
use linchpin::core::time::Nanos;
use linchpin::journal;
use linchpin::kill_flag::{KillFlag, Killed};
use linchpin::kill_gate::GateState;
use linchpin::threads::operator::{Asked, Operator, What};
use linchpin::threads::world::Clock;
use linchpin_kit::{Part, Plan, VirtualClock, World};

const SECOND: Nanos = Nanos::from_secs(1);

/// A world that trades, its operator, and the home of its flag.
fn trading(seed: u64, folder: &Path) -> (World, Operator<VirtualClock>, KillFlag) {
    let mut world = World::new(&Plan::healthy(seed), &folder.join("session"));
    let (operator, _) = world.with_operator(folder, Some(SECOND));
    assert!(world.run_until(Nanos::from_secs(60), |world| world.is_trading()), "it begins to trade");
    (world, operator, KillFlag::of(folder))
}

/// World and operator side by side until the flag is kept, or a simulated half minute has gone by.
fn until_kept(
    world: &mut World,
    operator: &mut Operator<VirtualClock>,
    flag: &KillFlag,
    why: &str,
) -> Killed {
    let end = world.clock.now() + Nanos::from_secs(30);
    while world.clock.now() < end {
        for _ in 0..20 {
            world.step();
        }
        let _ = operator.pass();
        if let Some(killed) = flag.read()
            && killed.reason.contains(why)
        {
            return killed;
        }
    }
    panic!("no flag that says {why:?}: {:?}", flag.read());
}

#[test]
fn a_healthy_world_keeps_no_flag() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut world, mut operator, flag) = trading(1, folder.path());
    for _ in 0..2_000 {
        world.step();
        if world.steps.is_multiple_of(20) {
            let _ = operator.pass();
        }
    }
    assert_eq!(flag.read(), None);
    assert_eq!(world.gate.state(), GateState::Open);
}

#[test]
fn a_journal_that_cannot_be_written_is_a_kill_that_lasts() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut world, mut operator, flag) = trading(2, folder.path());
    // The segment in use goes on; the next one has nowhere to go.
    let place = journal::journal_folder(&folder.path().join("session"));
    std::fs::rename(&place, folder.path().join("away")).expect("moved away");
    let _ = world.run_until(Nanos::from_secs(120), |_| false);
    assert_eq!(world.gate.state(), GateState::Shut);
    // The thread ends as it does in a run: its last words are heard.
    world.end();
    for _ in 0..100 {
        let _ = operator.pass();
    }
    let killed = flag.read().expect("a flag");
    assert_eq!((killed.mode.as_str(), killed.who.as_str()), ("block", "the engine itself"));
    assert!(killed.reason.contains("journal"), "{killed:?}");
}

#[test]
fn a_full_ring_of_dispatches_is_a_kill_that_lasts() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plan = Plan::healthy(3);
    // The maker quotes both sides in one turn: two dispatches, and room for one.
    plan.rings.core_sender = 1;
    let mut world = World::new(&plan, &folder.path().join("session"));
    let (mut operator, _) = world.with_operator(folder.path(), Some(SECOND));
    let flag = KillFlag::of(folder.path());
    let killed = until_kept(&mut world, &mut operator, &flag, "ring was full");
    assert_eq!(killed.mode, "block");
    assert_eq!(world.state().control.kill, Some(KillMode::Block));
    assert_eq!(world.gate.state(), GateState::Shut);
}

#[test]
fn a_loss_of_the_day_at_its_bound_is_a_kill_that_lasts() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut world, mut operator, flag) = trading(7, folder.path());
    // The smallest loss that there is: a fee, or a market that moves against the maker, is enough.
    world.set_limit(LimitKey::AccountMaxDailyLoss, 1);
    let killed = until_kept(&mut world, &mut operator, &flag, "loss of the day");
    assert_eq!((killed.mode.as_str(), killed.who.as_str()), ("cancel", "the engine itself"));
    assert_eq!(world.state().control.kill, Some(KillMode::Cancel));
    assert_eq!(world.gate.state(), GateState::CancelOnly);
    // What was open goes, and nothing new comes.
    world.run_for(Nanos::from_secs(10));
    assert_eq!(world.core().open_orders(), 0);
    let dispatches = world.core().dispatches();
    world.run_for(Nanos::from_secs(10));
    assert_eq!(world.core().dispatches(), dispatches);
}

#[test]
fn a_gate_that_somebody_shut_is_kept_though_nobody_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut world, mut operator, flag) = trading(4, folder.path());
    let _ = world.gate.tighten(GateState::CancelOnly);
    let killed = until_kept(&mut world, &mut operator, &flag, "");
    assert_eq!(killed.mode, "cancel");
    // The core learns it from the first dispatch that the gate refuses.
    let killed = until_kept(&mut world, &mut operator, &flag, "the gate refused a dispatch");
    assert_eq!(killed.mode, "cancel");
    assert_eq!(world.state().control.kill, Some(KillMode::Cancel));
}

#[test]
fn a_core_that_does_not_come_back_is_stalled_and_shut_while_it_is_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut world, mut operator, flag) = trading(5, folder.path());
    world.stall(Part::Core);
    let killed = until_kept(&mut world, &mut operator, &flag, "stalled");
    assert_eq!(killed.mode, "block");
    assert_eq!(world.gate.state(), GateState::Shut, "although the core has heard nothing");
    assert_eq!(world.state().control.kill, None);
    world.wake(Part::Core);
    world.run_for(SECOND);
    assert_eq!(world.state().control.kill, Some(KillMode::Block), "and it hears of it when it is back");
    for _ in 0..100 {
        let _ = operator.pass();
    }
    let kept = flag.read().expect("the flag stays");
    assert_eq!(kept, killed, "the core's word on it takes nothing from why");
}

/// A disk that hangs at the end of a run, for longer than anybody waits for an answer: the end is as meant all the same.
#[test]
fn an_end_that_the_core_is_late_to_take_is_no_death() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(&Plan::healthy(8), &folder.path().join("session"));
    let (mut operator, door) = world.with_operator(folder.path(), None);
    assert!(world.run_until(Nanos::from_secs(60), |world| world.is_trading()), "it begins to trade");
    world.stall(Part::Core);
    let (reply, answer) = sync_channel(1);
    let what = What::Run { verb: ControlVerb::Stop, target: 0, why: "the run ends" };
    door.send(Asked { who: Who::new("the run itself"), what, reply }).expect("asked");
    let end = world.clock.now() + Nanos::from_secs(60);
    let told = loop {
        assert!(world.clock.now() < end, "nobody is told that it takes long");
        world.step();
        let _ = operator.pass();
        if let Ok(answer) = answer.try_recv() {
            break answer;
        }
    };
    assert_eq!(told["error"], "no_answer", "{told:?}");
    world.wake(Part::Core);
    assert!(world.run_until(Nanos::from_secs(60), |world| world.state().control.stopped), "it stops");
    world.end();
    for _ in 0..100 {
        let _ = operator.pass();
    }
    assert_eq!(KillFlag::of(folder.path()).read(), None);
}

#[test]
fn the_engine_itself_only_tightens_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(&Plan::healthy(6), &folder.path().join("session"));
    assert!(world.run_until(Nanos::from_secs(60), |world| world.is_trading()));
    world.kill(KillMode::Block);
    world.run_for(SECOND);
    world.trip(KillMode::Flatten);
    assert_eq!(world.state().control.kill, Some(KillMode::Block));
    assert_eq!(world.gate.state(), GateState::Shut);
    // A person may loosen it.
    world.kill(KillMode::Flatten);
    world.run_for(SECOND);
    assert_eq!(world.state().control.kill, Some(KillMode::Flatten));
    assert_eq!(world.gate.state(), GateState::ReduceOnly);
}
