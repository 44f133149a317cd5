//! A snapshot with the later events is the same as all events: for sessions of the seeded world, from many places, and for
//! sessions of the program, as a user meets them.

use std::path::Path;

use linchpin::core::dispatch::Dispatch;
use linchpin::core::event::Event;
use linchpin::core::execution::Outbox;
use linchpin::core::record::{Ask, Decision, RecordKind};
use linchpin::core::snapshot::SnapshotError;
use linchpin::core::time::Nanos;
use linchpin::core::turn::Core;
use linchpin::journal::Reader;
use linchpin::journal::snapshot::{self, Head, Snapshot, newest_first};
use linchpin::replay::{Begin, ReplayError, replay};
use linchpin_kit::audit::build;
use linchpin_kit::{Plan, World};

#[test]
fn a_replay_from_any_snapshot_decides_and_ends_as_the_full_one() {
    for plan in [Plan::healthy(3), Plan::rough(4)] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut world = World::new(&plan, folder.path());
        world.run_for(Nanos::from_secs(8));
        world.drain();
        world.finish();
        let full = replay(folder.path(), Begin::AtFirstEvent, &build).expect("replays");
        assert!(full.events > 1_000 && full.dispatches > 10);
        for part in [1, 250, 500, 600, 900, 999, 1_000] {
            let after = full.events * part / 1_000;
            let head = save_after(folder.path(), after);
            let rest = replay(folder.path(), Begin::AfterSnapshot, &build).expect("replays");
            assert_eq!((rest.began_after, rest.events), (after, full.events - head.sequence), "{part}");
            assert_eq!(rest.last_hash, full.last_hash, "{part}");
            assert!(rest.is_complete());
        }
    }
}

#[test]
fn a_snapshot_of_another_session_or_ahead_of_the_journal_is_refused_by_name() {
    let folders = [3, 4].map(|seed| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut world = World::new(&Plan::healthy(seed), folder.path());
        world.run_for(Nanos::from_secs(2));
        world.finish();
        folder
    });
    let [one, other] = &folders;
    let refused = |folder: &Path| replay(folder, Begin::AfterSnapshot, &build).err().expect("refused");
    assert!(matches!(refused(one.path()), ReplayError::NoSnapshot));

    save_after(other.path(), 500);
    let newest = || newest_first(other.path()).expect("listed").remove(0);
    let read = Snapshot::read(&newest()).expect("reads");
    // The header of the one session, the state of the other: what configuration cannot tell apart, the session does.
    snapshot::write(one.path(), &read.head, &read.form).expect("written");
    assert!(matches!(
        refused(one.path()),
        ReplayError::OtherSnapshot { .. }
            | ReplayError::Snapshot { why: SnapshotError::Configuration { .. }, .. }
    ));

    let ahead = Head { sequence: 1 << 40, ..read.head };
    snapshot::write(other.path(), &ahead, &read.form).expect("written");
    let why = refused(other.path()).to_string();
    assert!(
        why.contains("its last pages were lost") && why.contains(&newest().display().to_string()),
        "{why}"
    );
}

/// A snapshot as the core would have saved it after that event.
fn save_after(folder: &Path, sequence: u64) -> Head {
    let full = replay(folder, Begin::AtFirstEvent, &build).expect("replays");
    let definitions: Vec<_> =
        full.core.state().market.iter().filter_map(|(_, market)| market.definition).collect();
    let mut core: Core = build(&full.opening, &definitions).expect("builds");
    let mut reader = Reader::open(folder).expect("opens");
    let mut time = 0;
    while let Some(record) = reader.next().expect("reads") {
        if record.kind == RecordKind::Event.code() && record.sequence <= sequence {
            let event = Event::decode(record.payload).expect("decodes");
            core.turn(record.sequence, Nanos::new(record.time), &event, &mut Nobody);
            time = record.time;
        }
    }
    let mut form = Vec::new();
    core.save(&mut form);
    let (session, configuration) = (full.session.session, full.session.configuration_hash);
    let head = Head { session, configuration, sequence, time };
    for old in newest_first(folder).expect("listed") {
        std::fs::remove_file(old).expect("removed");
    }
    snapshot::write(folder, &head, &form).expect("written");
    head
}

struct Nobody;

impl Outbox for Nobody {
    fn dispatch(&mut self, _: &Dispatch) {}
    fn decision(&mut self, _: &Decision) {}
    fn ask(&mut self, _: &Ask) {}
}
