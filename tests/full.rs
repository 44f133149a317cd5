//! What happens when something is full. Each bound of `topology::RINGS` has its written answer there, and its test here, in
//! the seeded world of `tests/kit`; so have the order-entry socket and the journal's segment.

use std::collections::BTreeSet;
use std::path::Path;

use linchpin::core::dispatch::Dispatch;
use linchpin::core::event::{Body, ControlVerb, Event, HydrationPhase, KillMode};
use linchpin::core::id::VenueId;
use linchpin::core::record::{Gate, RecordKind};
use linchpin::core::time::Nanos;
use linchpin::journal::{self, End, JournalError, Reader, Segments, SessionHeader, SessionId, Writer};
use linchpin::kill_gate::GateState;
use linchpin::replay::{Begin, replay};
use linchpin::threads::talk::{Sight, Told};
use linchpin::topology::RINGS;
use linchpin_kit::{LoneSender, Part, Plan, World, audit};

const SECOND: Nanos = Nanos::from_secs(1);

#[test]
fn every_ring_of_the_table_has_a_test_here() {
    let own = include_str!("full.rs");
    for row in RINGS {
        let name = row.name.replace("receiver_requester", "requester_receiver");
        assert!(own.contains(&format!("fn {name}_full_")), "{} has no test", row.name);
    }
}

// ------------------------------------------------------------------------------------------------ receiver_core

/// A market fast enough to fill the ring in some seconds.
fn busy_market(seed: u64) -> Plan {
    let mut plan = Plan::healthy(seed);
    plan.actions_per_second = 1_500;
    plan.rings.receiver_core = 8_192;
    plan.segment_size = 1 << 20;
    plan
}

#[test]
fn receiver_core_full_for_a_moment_is_back_pressure_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plan = busy_market(1);
    plan.patience = Nanos::from_secs(60);
    let mut world = trading(&plan, folder.path());
    world.stall(Part::Core);
    world.run_for(Nanos::from_secs(8));
    world.wake(Part::Core);
    world.run_for(SECOND);
    assert_books_agree(&mut world);
    assert_eq!(world.gate.state(), GateState::Open);
    assert_eq!((world.counted().receiver.sheds, world.counted().receiver.lost), (0, 0));
    assert!(world.drain());
    let remains = world.finish();
    assert_eq!(
        (remains.receiver.feed.gaps, remains.receiver.feed.sheds),
        (0, 0),
        "{:?}",
        remains.receiver.feed
    );
    whole(folder.path());
}

#[test]
fn receiver_core_full_for_too_long_gives_the_books_up_and_resynchronises_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = trading(&busy_market(2), folder.path());
    world.stall(Part::Core);
    world.run_for(Nanos::from_secs(8));
    assert_eq!(world.counted().receiver.lost, 0);
    world.wake(Part::Core);
    world.run_for(SECOND);
    let counted = world.counted().receiver;
    assert_eq!((counted.sheds, counted.lost), (1, 0), "one long stall is one shed, and nothing was dropped");
    assert_books_agree(&mut world);
    assert!(world.drain());
    let remains = world.finish();
    assert_eq!(remains.receiver.feed.gaps, 0, "no hole that only an update id would tell");
    whole(folder.path());
}

// ------------------------------------------------------------------------------------------------ core_sender

#[test]
fn core_sender_full_shuts_the_gate_tells_the_core_and_kills() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plan = Plan::healthy(3);
    plan.rings.core_sender = 1;
    let mut world = World::new(&plan, folder.path());
    // The maker quotes both sides in one turn: two dispatches, and room for one.
    assert!(world.run_until(Nanos::from_secs(20), |world| world.state().control.kill.is_some()));
    assert_eq!(world.state().control.kill, Some(KillMode::Block));
    assert_eq!(world.gate.state(), GateState::Shut);
    let sent = world.venue.borrow().counts.placed;
    world.run_for(Nanos::from_secs(5));
    assert_eq!(world.venue.borrow().counts.placed, sent, "nothing leaves after the gate is shut");
    assert!(world.state().execution.counters.not_sent >= 1);
    let remains = world.finish();
    assert_eq!(remains.outrages, Vec::<String>::new());
    whole(folder.path());
}

// ------------------------------------------------------------------------------------------------ sender_core

#[test]
fn sender_core_full_leaves_only_cancels_and_keeps_what_did_not_fit_in_order() {
    let mut lone = LoneSender::new(64, 4);
    // Nobody has dialled, so each of them becomes a `NotSent`, and the core takes none.
    for number in 1..=20 {
        assert!(lone.hand(number));
    }
    assert_eq!(lone.gate.state(), GateState::Open);
    lone.sender.pass();
    assert_eq!(lone.gate.state(), GateState::CancelOnly);
    let mut told = Vec::new();
    for _ in 0..20 {
        while let Some(event) = lone.events.pop() {
            if let Body::NotSent(not_sent) = event.body {
                told.push(not_sent.dispatch);
            }
        }
        lone.sender.pass();
    }
    assert_eq!(told, (1..=20).collect::<Vec<u64>>(), "each once, in order");
}

// ------------------------------------------------------------------------------------------------ core_requester

#[test]
fn core_requester_full_fails_the_question_and_the_core_asks_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plan = Plan::healthy(5);
    plan.rings.core_requester = 1;
    let mut world = trading(&plan, folder.path());
    world.stall(Part::Requester);
    // Nobody knows what became of any request, and the private stream is cut: every order is a question.
    world.venue.borrow_mut().faults.answer_unknown = 10_000;
    world.venue.borrow_mut().faults.private_late = 10_000;
    world.run_for(Nanos::from_secs(10));
    world.heal();
    assert!(world.drain(), "every doubt is resolved in the end");
    let (ours, theirs) = world.accounts();
    assert_eq!(ours, theirs);
    world.finish();
    let failed = events(folder.path()).into_iter().filter(
        |event| matches!(event.body, Body::Hydration(hydration) if hydration.phase == HydrationPhase::Failed),
    );
    assert!(failed.count() > 0, "some question did not fit");
    whole(folder.path());
}

// ------------------------------------------------------------------------------------------------ requester_core, requester_receiver

#[test]
fn requester_core_full_waits_in_order_and_the_hydration_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plan = Plan::healthy(6);
    plan.rings.requester_core = 1;
    let mut world = trading(&plan, folder.path());
    world.run_for(Nanos::from_secs(5));
    assert!(world.drain());
    assert_eq!(world.accounts().0, world.accounts().1);
    world.finish();
    let phases: Vec<HydrationPhase> = events(folder.path())
        .into_iter()
        .filter_map(|event| match event.body {
            Body::Hydration(hydration) => Some(hydration.phase),
            _ => None,
        })
        .collect();
    assert_eq!(phases, [HydrationPhase::Begin, HydrationPhase::End]);
    whole(folder.path());
}

/// Both rings between the two: what the receiver wishes is wished again, what the requester answers waits.
#[test]
fn requester_receiver_full_waits_in_order_and_wishes_are_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plan = Plan::healthy(7);
    plan.small_rings = 1;
    let mut world = World::new(&plan, folder.path());
    for _ in 0..5 {
        // Wishes pile up while the requester sleeps, answers while the receiver does.
        world.stall(Part::Requester);
        world.run_for(SECOND);
        world.wake(Part::Requester);
        world.stall(Part::Receiver);
        world.run_for(SECOND);
        world.wake(Part::Receiver);
    }
    assert!(world.run_until(Nanos::from_secs(60), |world| world.is_trading()));
    assert_books_agree(&mut world);
    assert!(world.drain());
    world.finish();
    whole(folder.path());
}

// ------------------------------------------------------------------------------------------------ operator_core

#[test]
fn operator_core_full_refuses_the_command_and_tells() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plan = Plan::healthy(8);
    plan.rings.operator_core = 3;
    let mut world = trading(&plan, folder.path());
    world.stall(Part::Core);
    let taken = (0..5).filter(|_| world.command(ControlVerb::DisableTrading, 0)).count();
    assert_eq!(taken, 3, "two of five are refused to the operator's face");
    world.wake(Part::Core);
    world.run_for(SECOND);
    assert_eq!(world.state().control.closed_gate(VenueId(0)), Some(Gate::Trading));
    assert!(world.drain());
    world.finish();
    whole(folder.path());
}

// ------------------------------------------------------------------------------------------------ core_operator

#[test]
fn core_operator_full_lets_rows_wait_and_never_the_core_nor_the_answer_to_a_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = trading(&Plan::healthy(10), folder.path());
    // Nobody reads what is shown: pulses fill the ring down to what is kept for answers.
    let sent = world.venue.borrow().counts.api_sent;
    for number in 1..=300 {
        assert!(world.look(number, Sight::Pulse), "the core goes on listening");
        world.run_for(Nanos::from_millis(5));
    }
    assert!(world.venue.borrow().counts.api_sent > sent, "and it goes on trading");
    assert!(world.command(ControlVerb::DisableTrading, 0));
    world.run_for(SECOND);
    let told = world.answers();
    let ends = told.iter().filter(|told| matches!(told, Told::End { .. })).count();
    assert!(ends < 300, "the ring was full");
    let applied = told.iter().find_map(|told| match told {
        Told::Applied(applied) => Some(*applied),
        _ => None,
    });
    assert!(applied.expect("the command was answered").taken);
    world.run_for(SECOND);
    let newest = world.answers().into_iter().find_map(|told| match told {
        Told::End { look, .. } => Some(look),
        _ => None,
    });
    assert_eq!(newest, Some(300), "and what waited comes when there is room");
    assert!(world.drain());
    world.finish();
    whole(folder.path());
}

#[test]
fn a_core_that_nobody_can_command_any_more_kills_itself_and_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = trading(&Plan::healthy(11), folder.path());
    world.lose_operator();
    world.run_for(SECOND);
    assert_eq!(world.state().control.kill, Some(KillMode::Block));
    assert!(world.state().control.stopped);
    assert_eq!(world.gate.state(), GateState::Shut);
    world.end();
    whole(folder.path());
}

// ------------------------------------------------------------------------------------------------ the socket and the gate

#[test]
fn a_full_socket_is_not_sent_and_nothing_is_lost_or_doubled() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = trading(&Plan::healthy(9), folder.path());
    world.venue.borrow_mut().faults.socket_full = 10_000;
    let before = world.venue.borrow().counts;
    world.run_for(Nanos::from_secs(5));
    let after = world.venue.borrow().counts;
    assert_eq!(after.api_sent, before.api_sent);
    assert!(after.sockets_full > 0, "somebody tried");
    assert_eq!(world.state().execution.counters.not_sent, after.sockets_full);
    world.heal();
    world.run_for(Nanos::from_secs(5));
    assert!(world.venue.borrow().counts.api_sent > after.api_sent, "and afterwards it goes on");
    assert!(world.drain());
    assert_eq!(world.accounts().0, world.accounts().1);
    let remains = world.finish();
    assert_eq!(remains.outrages, Vec::<String>::new());
    whole(folder.path());
}

#[test]
fn once_the_shut_gate_is_confirmed_no_byte_leaves_even_with_half_written_messages() {
    for seed in 1..=10 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut plan = Plan::healthy(seed);
        plan.faults.half_written = 5_000;
        let mut world = trading(&plan, folder.path());
        world.run_for(Nanos::from_millis(200 + 37 * seed));
        let epoch = world.gate.tighten(GateState::Shut);
        world.kill(KillMode::Block);
        assert!(
            world.run_until(SECOND, |world| world.gate.confirmed() >= epoch),
            "confirmed within a second"
        );
        let sent = world.venue.borrow().counts.api_sent;
        world.run_for(Nanos::from_secs(5));
        assert_eq!(world.venue.borrow().counts.api_sent, sent, "seed {seed}");
        world.finish();
        whole(folder.path());
    }
}

// ------------------------------------------------------------------------------------------------ the journal

#[test]
fn a_full_segment_rolls_and_nothing_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = trading(&Plan::healthy(10), folder.path());
    world.run_for(Nanos::from_secs(20));
    assert!(world.drain());
    let remains = world.finish();
    let sealed = remains.core.seal.expect("sealed");
    assert!(remains.core.journal_rolls.rolls > 3);
    assert_eq!(remains.core.journal_rolls.rolls + 1, sealed.segments);
    assert_eq!(whole(folder.path()), remains.core.events);
}

#[test]
fn a_roll_for_which_no_segment_is_ready_makes_one_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = journal::Options {
        segment_size: 64 * 1024,
        segments: Segments::Ahead,
        ..journal::Options::default()
    };
    let header = SessionHeader {
        session: SessionId([1; 16]),
        created_at: 0,
        strategy: "none".into(),
        configuration_hash: [0; 32],
        build: "test".into(),
        facts: Vec::new(),
    };
    let mut writer = Writer::create(folder.path(), header, options).expect("a journal");
    // Far faster than any keeper makes files; bounded, so that a keeper which keeps up fails the test instead of the disk.
    let payload = [7; 16 * 1024];
    while writer.roll_counts().stalled_rolls == 0 {
        assert!(writer.records() < 8_000, "the keeper was always ahead: this test tests nothing");
        writer.append(1, writer.records(), 0, &payload).expect("appended");
    }
    let written = writer.records();
    writer.seal().expect("sealed");
    let mut reader = Reader::open(folder.path()).expect("a journal");
    let mut read = 0;
    while let Some(record) = reader.next().expect("whole") {
        assert_eq!((record.sequence, record.payload), (read, &payload[..]));
        read += 1;
    }
    assert_eq!(read, written);
}

#[test]
fn a_disk_that_takes_no_more_shuts_the_gate_and_what_was_not_recorded_never_happened() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = trading(&Plan::healthy(11), folder.path());
    // The segment in use goes on; the next one has nowhere to go.
    let (place, away) = (journal::journal_folder(folder.path()), folder.path().join("away"));
    std::fs::rename(&place, &away).expect("moved away");
    assert!(!world.run_until(Nanos::from_secs(120), |_| false), "the loop ends by itself");
    assert!(world.is_over());
    assert_eq!(world.gate.state(), GateState::Shut);
    let epoch = world.gate.epoch();
    // The other threads still run for a while: nothing may leave.
    for _ in 0..100 {
        world.pass(Part::Sender);
    }
    assert!(world.gate.confirmed() >= epoch);
    let sent = world.venue.borrow().counts.api_sent;
    for _ in 0..100 {
        world.clock.advance(Nanos::from_millis(1));
        world.pass(Part::Sender);
    }
    assert_eq!(world.venue.borrow().counts.api_sent, sent);
    let placed = world.venue.borrow().placed_ids().clone();
    let remains = world.end();
    let error = remains.core.seal.expect_err("the loop ended with the journal's error");
    assert!(matches!(error, JournalError::Io { .. }), "{error}");

    std::fs::rename(&away, &place).expect("moved back");
    let report = replay(folder.path(), Begin::AtFirstEvent, &linchpin_kit::audit::build)
        .expect("what is there replays");
    assert!(matches!(report.end, Some(End::Torn { .. })), "{:?}", report.end);
    let recorded = recorded_ids(folder.path());
    assert!(placed.is_subset(&recorded), "the venue got what the journal does not know");
}

// ------------------------------------------------------------------------------------------------ sender_requester, requester_sender

/// Every request is refused for its time, and nobody measures: the wish stands until there is room for it.
#[test]
fn sender_requester_full_keeps_the_wish_for_the_next_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut plan = Plan::healthy(13);
    plan.small_rings = 1;
    plan.clock_every = Nanos::from_secs(3600);
    let mut world = trading(&plan, folder.path());
    world.stall(Part::Requester);
    world.venue.borrow_mut().faults.time_refused = 10_000;
    world.run_for(Nanos::from_secs(5));
    let asked = world.counted().requester.rest_requests;
    assert!(world.counted().core.rejects.total() > 2, "more refusals than the ring has room for wishes");
    world.venue.borrow_mut().faults.time_refused = 0;
    world.wake(Part::Requester);
    world.run_for(Nanos::from_secs(2));
    assert!(world.counted().requester.rest_requests > asked, "the clock was measured in the end");
    assert!(world.drain());
    world.finish();
    whole(folder.path());
}

#[test]
fn requester_sender_full_is_made_up_for_by_the_next_measurement() {
    let mut lone = LoneSender::new(64, 64);
    let tuning = |offset_millis| linchpin::threads::requester::Tuning { offset_millis };
    let taken = (0..10).filter(|offset| lone.tuner.push(tuning(*offset)).is_ok()).count();
    assert_eq!(taken, 4, "the ring's depth");
    lone.sender.pass();
    assert!(lone.tuner.push(tuning(11)).is_ok(), "one pass empties it");
}

// ------------------------------------------------------------------------------------------------ sender_courier, courier_sender

/// The session stays down, so requests go to the courier; it is busy with none of them, and only as many are lent as can come back.
fn lends_at_most(errands: usize, back: usize, expected: usize) {
    use linchpin::core::event::NotSentReason;
    use linchpin::threads::sender::courier::{Delivered, Fate};
    let (to_courier, mut at_courier) = linchpin::ring::ring("sender_courier", errands);
    let (mut from_courier, delivered) = linchpin::ring::ring("courier_sender", back);
    let after = Nanos::from_millis(1);
    let fallback =
        linchpin::threads::sender::fallback::Fallback { errands: to_courier, back: delivered, after };
    let mut lone = LoneSender::with_fallback(64, 64, fallback);
    lone.sender.pass();
    lone.clock.advance(after);
    lone.sender.pass();
    let mut not_sent = Vec::new();
    let mut hear = |lone: &mut LoneSender| {
        while let Some(event) = lone.events.pop() {
            if let Body::NotSent(what) = event.body {
                not_sent.push((what.dispatch, what.reason));
            }
        }
    };
    for number in 1..=4 {
        assert!(lone.hand(number));
    }
    lone.sender.pass();
    hear(&mut lone);
    // Each lent one comes back with the gate's word.
    let mut carried = 0;
    while let Some(errand) = at_courier.pop() {
        carried += 1;
        assert!(from_courier.push(Delivered { dispatch: errand.dispatch, fate: Fate::Refused }).is_ok());
    }
    assert_eq!(carried, expected);
    for _ in 0..8 {
        lone.sender.pass();
        hear(&mut lone);
    }
    not_sent.sort_by_key(|(dispatch, _)| *dispatch);
    let reason = |dispatch: u64| match dispatch <= expected as u64 {
        true => NotSentReason::KillGate,
        false => NotSentReason::SocketFull,
    };
    assert_eq!(not_sent, (1..=4).map(|dispatch| (dispatch, reason(dispatch))).collect::<Vec<_>>());
    assert!(lone.venue.borrow().placed_ids().is_empty());
}

#[test]
fn sender_courier_full_is_told_as_not_sent() {
    lends_at_most(2, 8, 2);
}

#[test]
fn courier_sender_full_cannot_be_because_no_more_is_lent() {
    lends_at_most(8, 3, 3);
}

// ------------------------------------------------------------------------------------------------ sender_paper

#[test]
fn sender_paper_full_loses_lines_and_no_refusal() {
    let (to_paper, mut papers) = linchpin::ring::ring("sender_paper", 4);
    let mut lone = LoneSender::on_paper(64, 64, to_paper);
    lone.sender.pass();
    for number in 1..=6 {
        assert!(lone.hand(number));
    }
    lone.sender.pass();
    let mut told = Vec::new();
    while let Some(event) = lone.events.pop() {
        if let Body::NotSent(not_sent) = event.body {
            assert_eq!(not_sent.reason, linchpin::core::event::NotSentReason::DryRun);
            told.push(not_sent.dispatch);
        }
    }
    assert_eq!(told, [1, 2, 3, 4, 5, 6], "the core hears of each");
    let mut kept = Vec::new();
    while let Some(paper) = papers.pop() {
        let text = String::from_utf8(paper.request().to_vec()).expect("text");
        assert!(text.contains("\"method\":\"order.place\"") && text.contains("\"signature\":\""), "{text}");
        kept.push(paper.dispatch);
    }
    assert_eq!(kept, [1, 2, 3, 4]);
    assert!(lone.venue.borrow().counts.api_sent == 0 && lone.venue.borrow().placed_ids().is_empty());
}

// ------------------------------------------------------------------------------------------------ helpers

/// A world that has come so far that orders of ours are accepted.
fn trading(plan: &Plan, folder: &Path) -> World {
    let mut world = World::new(plan, folder);
    assert!(
        world.run_until(Nanos::from_secs(30), |world| world.is_trading()),
        "it trades within half a minute"
    );
    world
}

fn assert_books_agree(world: &mut World) {
    let (ours, theirs) =
        world.books().expect("the book is whole, and of the venue's update id, within half a minute");
    assert_eq!(ours, theirs, "the engine's book and the venue's");
}

/// The journal is sealed, replays to the same bytes, and holds every invariant. Gives its count of events.
fn whole(folder: &Path) -> u64 {
    audit(folder).unwrap_or_else(|wrong| panic!("{wrong}")).events
}

fn events(folder: &Path) -> Vec<Event> {
    let mut found = Vec::new();
    let mut reader = Reader::open(folder).expect("a journal");
    while let Some(record) = reader.next().expect("whole") {
        if record.kind == RecordKind::Event.code() {
            found.push(Event::decode(record.payload).expect("an event"));
        }
    }
    found
}

fn recorded_ids(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut reader = Reader::open(folder).expect("a journal");
    while let Some(record) = reader.next().expect("whole up to its end") {
        if record.kind == RecordKind::Dispatch.code() {
            let dispatch = Dispatch::decode(record.payload).expect("a dispatch");
            found.insert(dispatch.client_order_id.to_string());
        }
    }
    found
}
