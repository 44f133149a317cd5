//! The journal as its users meet it: written, read, killed, cut, flipped, mixed up, resumed, on a full disk.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::layout::{HEADER_SIZE, SMALLEST_SEGMENT, segment_name};
use super::*;
use crate::sys::mapping::SmallDisk;

const SMALL: Options =
    Options { segment_size: SMALLEST_SEGMENT, largest_payload: 1024, segments: Segments::Inline };
const TEST_SIZE: Options = Options { segment_size: 64 * 1024, ..SMALL };

#[test]
fn a_sealed_journal_reads_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(folder.path(), session(1), SMALL).unwrap();
    let written: Vec<_> = (0..500).map(sample).collect();
    for record in &written {
        append(&mut writer, record).unwrap();
    }
    let segments = writer.position().segment;
    assert!(segments > 3, "the test must cross segments");
    let sealed = writer.seal().unwrap();
    assert_eq!((sealed.records, sealed.segments), (500, segments));

    let (read, summary) = read(folder.path()).unwrap();
    assert_eq!(read, written);
    assert_eq!(summary.session, session(1));
    assert_eq!(summary.end, End::Sealed { position: sealed.end });
    assert_eq!((summary.records, summary.last_sequence), (500, written[499].sequence));
}

#[test]
fn a_reading_that_begins_after_a_sequence_gives_all_that_follows_and_verifies_it() {
    let folder = tempfile::tempdir().unwrap();
    // Cut off and resumed on the way, so that segments end in both manners.
    let written: Vec<_> = (0..400).map(sample).collect();
    let mut writer = Writer::create(folder.path(), session(1), SMALL).unwrap();
    for record in &written[..200] {
        append(&mut writer, record).unwrap();
    }
    drop(writer);
    let (mut writer, _) = Writer::resume(folder.path(), SMALL).unwrap();
    for record in &written[200..] {
        append(&mut writer, record).unwrap();
    }
    writer.seal().unwrap();
    let whole = Reader::open(folder.path()).unwrap().verify().unwrap();
    let mut skipped = 0;
    for after in 0..410 {
        let (read, summary) = read_to_end(Reader::open_after(folder.path(), after).unwrap()).unwrap();
        assert_eq!(summary, whole, "after {after}");
        assert!(written.ends_with(&read), "after {after}");
        let needed = written.iter().filter(|record| record.sequence > after).count();
        assert!(read.len() >= needed, "after {after}: {} read, {needed} needed", read.len());
        skipped = written.len() - read.len();
    }
    assert!(skipped > 300, "what a snapshot holds is not read again: {skipped}");

    // Damage in what is passed over is not met; damage in what is read is.
    let files = files(folder.path());
    let flip = |file: &Path| {
        let mut bytes = std::fs::read(file).unwrap();
        bytes[HEADER_SIZE + 30] ^= 1;
        std::fs::write(file, bytes).unwrap();
    };
    flip(&files[0]);
    assert!(read(folder.path()).is_err());
    assert!(read_to_end(Reader::open_after(folder.path(), 399).unwrap()).is_ok());
    flip(files.last().unwrap());
    assert!(read_to_end(Reader::open_after(folder.path(), 399).unwrap()).is_err());
}

#[test]
fn a_journal_kept_by_a_keeper_thread_reads_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { segments: Segments::Ahead, ..TEST_SIZE };
    let mut writer = Writer::create(folder.path(), session(1), options).unwrap();
    let written: Vec<_> = (0..20_000).map(sample).collect();
    for record in &written {
        append(&mut writer, record).unwrap();
    }
    let counts = writer.roll_counts();
    assert!(counts.rolls > 10 && counts.keeper_faults == 0, "{counts:?}");
    writer.seal().unwrap();
    let (read, summary) = read(folder.path()).unwrap();
    assert!(read == written);
    assert!(matches!(summary.end, End::Sealed { .. }));
    // Nothing but segments is left, each cut to what it holds.
    for entry in std::fs::read_dir(journal_folder(folder.path())).unwrap().map(Result::unwrap) {
        assert!(layout::segment_number(entry.file_name().to_str().unwrap()).is_some(), "{entry:?}");
        assert!(entry.metadata().unwrap().len() < options.segment_size);
    }
}

#[test]
fn an_unsealed_journal_is_torn_at_its_end_and_whole_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(folder.path(), session(1), SMALL).unwrap();
    for n in 0..100 {
        append(&mut writer, &sample(n)).unwrap();
    }
    let position = writer.position();
    // Read while the writer lives, and after.
    for _ in 0..2 {
        let (read, summary) = read(folder.path()).unwrap();
        assert_eq!((read.len(), summary.end), (100, End::Torn { position }));
    }
    drop(writer);
    let (read, summary) = read(folder.path()).unwrap();
    assert_eq!((read.len(), summary.end), (100, End::Torn { position }));
}

#[test]
fn the_same_records_give_the_same_bytes() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for folder in &folders {
        write_sealed(folder.path(), SMALL, 300);
    }
    let files = folders.each_ref().map(|folder| files(folder.path()));
    assert!(files[0].len() > 2);
    assert_eq!(
        files[0].iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>(),
        files[1].iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>()
    );
}

#[test]
fn a_payload_encoded_in_place_is_the_payload_that_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(folder.path(), session(1), SMALL).unwrap();
    for n in 0..200_u64 {
        let length = (n % 50) as usize;
        writer
            .append_with(7, n, n, 200, |slot| {
                assert!(slot.len() == 200);
                slot.fill(0xEE); // Scribbles beyond what it then says it used.
                slot[..length].fill(n as u8);
                length
            })
            .unwrap();
    }
    let refused = writer.append_with(7, 200, 0, 10, |slot| {
        slot.fill(1);
        11
    });
    assert!(matches!(refused, Err(JournalError::PayloadTooLong { given: 11, most: 10 })));
    let position = writer.position();
    let (read, summary) = read(folder.path()).unwrap();
    assert_eq!(summary.end, End::Torn { position });
    assert_eq!(read.len(), 200);
    assert!(read.iter().zip(0_u64..).all(|(record, n)| record.payload == vec![n as u8; (n % 50) as usize]));
}

#[test]
fn what_may_not_be_appended_is_refused_and_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(folder.path(), session(1), SMALL).unwrap();
    writer.append(1, 10, 0, b"good").unwrap();
    let before = writer.position();
    assert!(matches!(writer.append(0, 10, 0, b""), Err(JournalError::Kind(0))));
    assert!(matches!(writer.append(layout::KIND_SEAL, 10, 0, b""), Err(JournalError::Kind(_))));
    assert!(matches!(
        writer.append(1, 9, 0, b""),
        Err(JournalError::SequenceBackwards { given: 9, last: 10 })
    ));
    assert!(matches!(writer.append(1, 11, 0, &[0; 1025]), Err(JournalError::PayloadTooLong { .. })));
    assert_eq!(writer.position(), before);
    writer.append(1, 10, 0, b"same sequence again").unwrap();
    writer.seal().unwrap();
    assert_eq!(read(folder.path()).unwrap().0.len(), 2);
}

#[test]
fn a_segment_size_that_is_not_allowed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for given in [0, 4096, 10_000, 1 << 40] {
        let error = Writer::create(folder.path(), session(1), Options { segment_size: given, ..SMALL })
            .err()
            .unwrap();
        assert!(error.to_string().contains(&given.to_string()), "{error}");
    }
}

#[test]
fn one_journal_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::create(folder.path(), session(1), SMALL).unwrap();
    assert!(matches!(Writer::create(folder.path(), session(1), SMALL), Err(JournalError::InUse { .. })));
    assert!(matches!(Writer::resume(folder.path(), SMALL), Err(JournalError::InUse { .. })));
    drop(writer);
    assert!(matches!(
        Writer::create(folder.path(), session(1), SMALL),
        Err(JournalError::AlreadyThere { .. })
    ));
}

// Damage.

#[test]
fn every_flipped_byte_of_a_small_sealed_journal_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    write_sealed(folder.path(), SMALL, 60);
    let files = files(folder.path());
    assert!(files.len() >= 2);
    for path in files {
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            // One bit, and every bit that is set: the byte becomes zero, as most of a segment is.
            refuses_flip(folder.path(), &path, &good, at, 1 << (at % 8));
            if good[at] != 0 {
                refuses_flip(folder.path(), &path, &good, at, good[at]);
            }
        }
    }
    read(folder.path()).unwrap();
}

#[test]
fn flipped_bytes_anywhere_in_a_large_sealed_journal_are_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    write_sealed(folder.path(), TEST_SIZE, 10_000);
    let mut dice = Dice(7);
    for path in files(folder.path()) {
        let good = std::fs::read(&path).unwrap();
        for _ in 0..30 {
            let (at, flip) = (dice.below(good.len() as u64) as usize, 1 << dice.below(8));
            refuses_flip(folder.path(), &path, &good, at, flip);
        }
    }
}

#[test]
fn a_flipped_byte_inside_a_crashed_journal_is_damage_and_not_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(folder.path(), session(1), TEST_SIZE).unwrap();
    let mut begins = Vec::new();
    for n in 0..50 {
        begins.push(writer.position().offset as usize);
        append(&mut writer, &sample(n)).unwrap();
    }
    let end = writer.position().offset as usize;
    drop(writer);
    let path = files(folder.path()).remove(0);
    let good = std::fs::read(&path).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    for (at, byte) in good.iter().enumerate().take(end).skip(HEADER_SIZE) {
        file.write_all_at(&[byte ^ 0x10], at as u64).unwrap();
        let (records, outcome) = read_what_can_be_read(folder.path());
        file.write_all_at(&[*byte], at as u64).unwrap();
        let whole = begins.iter().filter(|begin| **begin <= at).count() - 1;
        assert_eq!(records.len(), whole, "byte {at}");
        match outcome {
            // In the last record a flipped byte cannot be told from a record that was being written.
            Ok(End::Torn { position }) => {
                assert!(whole == 49 && position.offset as usize == begins[49], "byte {at}")
            }
            Err(JournalError::Damaged { position, .. }) => {
                assert_eq!(position.offset as usize, begins[whole], "byte {at}")
            }
            other => panic!("byte {at}: {other:?}"),
        }
    }
    // And in the zeros behind: out of reach of any one record, it can only be damage.
    let mut bytes = good;
    bytes[end + 2000] = 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(read(folder.path()), Err(JournalError::Damaged { what: Damage::Trailing, .. })));
}

#[test]
fn a_page_that_a_failing_machine_did_not_write_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(folder.path(), session(1), TEST_SIZE).unwrap();
    for n in 0..500 {
        append(&mut writer, &sample(n)).unwrap();
    }
    drop(writer);
    let path = files(folder.path()).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    // The page was last written when it was half full.
    let record = |at: usize| layout::record_size(layout::split_commit_word(layout::u32_at(&bytes, at)).1);
    let mut lost = HEADER_SIZE;
    while lost < 10_000 {
        lost += record(lost);
    }
    bytes[lost..12_288].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    match read(folder.path()) {
        Err(JournalError::Damaged { position, what: Damage::UnwrittenPage(_), .. }) => {
            assert_eq!(position.offset as usize, lost);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_torn_segment_with_a_later_one_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    write_sealed(folder.path(), SMALL, 300);
    let path = files(folder.path()).remove(1);
    let mut bytes = std::fs::read(&path).unwrap();
    let tear = bytes.len() - 300;
    bytes[tear..].fill(0);
    bytes.resize(SMALL.segment_size as usize, 0);
    std::fs::write(&path, &bytes).unwrap();
    let error = read(folder.path()).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { .. }));
    assert!(error.to_string().contains("000002.seg"), "{error}");
}

#[test]
fn a_folder_that_is_not_a_journal_or_not_all_of_one_is_named() {
    let absent = tempfile::tempdir().unwrap();
    assert!(matches!(read(absent.path()), Err(JournalError::Absent { .. })));
    std::fs::create_dir(journal_folder(absent.path())).unwrap();
    assert!(matches!(read(absent.path()), Err(JournalError::Absent { .. })), "an empty folder");

    let broken = |breaks: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        write_sealed(folder.path(), SMALL, 400);
        breaks(&journal_folder(folder.path()));
        read(folder.path()).unwrap_err()
    };
    let named = |error: &JournalError, name: &str| assert!(error.to_string().contains(name), "{error}");
    let edit = |folder: &Path, number, at: usize, byte| {
        let path = folder.join(segment_name(number));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at] = byte;
        std::fs::write(path, bytes).unwrap();
    };

    let error = broken(&|folder| std::fs::remove_file(folder.join("000001.seg")).unwrap());
    assert!(matches!(error, JournalError::MissingSegment { .. }));
    named(&error, "000001.seg");

    let error = broken(&|folder| std::fs::remove_file(folder.join("000003.seg")).unwrap());
    assert!(matches!(error, JournalError::MissingSegment { .. }));
    named(&error, "000003.seg");

    let error = broken(&|folder| std::fs::write(folder.join("copy.seg"), b"x").unwrap());
    assert!(matches!(error, JournalError::Foreign { .. }));
    named(&error, "copy.seg");

    let error = broken(&|folder| {
        std::fs::write(folder.join("000002.seg"), b"#!/bin/sh\necho what is this\n".repeat(500)).unwrap()
    });
    assert!(matches!(error, JournalError::WrongMagic { .. }));
    named(&error, "000002.seg");

    let error = broken(&|folder| std::fs::write(folder.join("000002.seg"), b"").unwrap());
    assert!(matches!(error, JournalError::Damaged { what: Damage::HeaderCut, .. }));
    named(&error, "000002.seg");

    let error = broken(&|folder| edit(folder, 2, layout::header_at::VERSION, 2));
    assert!(matches!(error, JournalError::FutureVersion { found: 2, .. }));

    let error = broken(&|folder| {
        std::fs::copy(folder.join("000002.seg"), folder.join("000003.seg")).unwrap();
    });
    assert!(matches!(error, JournalError::Damaged { what: Damage::HeaderContent(_), .. }));
    named(&error, "000003.seg");

    let other = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(other.path(), session(2), SMALL).unwrap();
    (0..400).for_each(|n| append(&mut writer, &sample(n)).unwrap());
    writer.seal().unwrap();
    let error = broken(&|folder| {
        std::fs::copy(journal_folder(other.path()).join("000002.seg"), folder.join("000002.seg")).unwrap();
    });
    assert!(matches!(error, JournalError::OtherSession { .. }));
    named(&error, &session(2).session.to_string());
}

#[test]
fn a_segment_of_another_run_of_the_same_session_breaks_the_chain() {
    let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    write_sealed(one.path(), SMALL, 400);
    let mut writer = Writer::create(other.path(), session(1), SMALL).unwrap();
    (0..400).for_each(|n| append(&mut writer, &Kept { time: 1, ..sample(n) }).unwrap());
    writer.seal().unwrap();
    let name = segment_name(2);
    std::fs::copy(journal_folder(other.path()).join(&name), journal_folder(one.path()).join(&name)).unwrap();
    assert!(matches!(read(one.path()), Err(JournalError::Damaged { what: Damage::Chain, .. })));
}

#[test]
fn damage_is_told_again_when_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    write_sealed(folder.path(), SMALL, 20);
    let path = files(folder.path()).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[HEADER_SIZE + 30] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let mut reader = Reader::open(folder.path()).unwrap();
    for _ in 0..3 {
        assert!(matches!(reader.next(), Err(JournalError::Damaged { .. })));
    }
    assert!(matches!(reader.end(), Some(End::Damaged { .. })));
}

// Going on.

#[test]
fn a_journal_resumed_after_a_crash_reads_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut written = Vec::new();
    let mut writer = Writer::create(folder.path(), session(1), SMALL).unwrap();
    for run in 0..4_u64 {
        for n in 0..90 {
            written.push(sample(run * 90 + n));
            append(&mut writer, written.last().unwrap()).unwrap();
        }
        let torn = writer.position();
        drop(writer);
        // A record that was being written.
        let path = journal_folder(folder.path()).join(segment_name(torn.segment));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[torn.offset as usize + 8..][..40].fill(0x77);
        std::fs::write(&path, bytes).unwrap();

        let (resumed, summary) = Writer::resume(folder.path(), SMALL).unwrap();
        assert_eq!(summary.end, End::Torn { position: torn });
        assert_eq!(
            (summary.records, summary.last_sequence),
            (written.len() as u64, written.last().unwrap().sequence)
        );
        assert_eq!(resumed.records(), written.len() as u64);
        writer = resumed;
    }
    assert!(matches!(writer.append(1, 0, 0, b""), Err(JournalError::SequenceBackwards { .. })));
    writer.seal().unwrap();
    let (read, summary) = read(folder.path()).unwrap();
    assert_eq!(read, written);
    assert!(matches!(summary.end, End::Sealed { .. }));
}

#[test]
fn a_sealed_journal_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    write_sealed(folder.path(), SMALL, 30);
    let (mut writer, summary) = Writer::resume(folder.path(), TEST_SIZE).unwrap();
    assert!(matches!(summary.end, End::Sealed { .. }));
    append(&mut writer, &sample(30)).unwrap();
    writer.seal().unwrap();
    assert_eq!(read(folder.path()).unwrap().0, (0..31).map(sample).collect::<Vec<_>>());
}

#[test]
fn a_crash_between_closing_a_segment_and_beginning_the_next_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write_sealed(folder.path(), SMALL, 300);
    // As it is when the keeper had the next segment ready, and the header did not come to stand in it.
    let files = files(folder.path());
    for path in &files[2..] {
        std::fs::write(path, vec![0; SMALL.segment_size as usize]).unwrap();
    }
    let (before, summary) = read(folder.path()).unwrap();
    assert_eq!(summary.end, End::Torn { position: Position { segment: 3, offset: 0 } });
    let (mut writer, _) = Writer::resume(folder.path(), SMALL).unwrap();
    assert_eq!(writer.position().segment, 3);
    append(&mut writer, &sample(before.len() as u64)).unwrap();
    writer.seal().unwrap();
    assert_eq!(read(folder.path()).unwrap().0.len(), before.len() + 1);
}

#[test]
fn a_damaged_journal_is_not_resumed_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    write_sealed(folder.path(), SMALL, 100);
    let path = files(folder.path()).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[HEADER_SIZE + 100] ^= 4;
    std::fs::write(&path, &bytes).unwrap();
    let before: Vec<_> = files(folder.path()).iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(matches!(Writer::resume(folder.path(), SMALL), Err(JournalError::Damaged { .. })));
    let after: Vec<_> = files(folder.path()).iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert_eq!(before, after);
}

#[test]
fn on_a_full_disk_append_fails_cleanly_and_everything_before_stays() {
    for segments in [Segments::Inline, Segments::Ahead] {
        let Some(disk) = SmallDisk::mount("400k") else { return };
        let mut writer = Writer::create(disk.path(), session(1), Options { segments, ..TEST_SIZE }).unwrap();
        let mut written = Vec::new();
        let error = loop {
            let record = sample(written.len() as u64);
            match append(&mut writer, &record) {
                Ok(()) => written.push(record),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, JournalError::DiskFull { .. }), "{error}");
        assert!(written.len() > 1000);
        let again = append(&mut writer, &sample(written.len() as u64));
        assert!(matches!(again, Err(JournalError::DiskFull { .. })));
        assert_eq!(read(disk.path()).unwrap().0.len(), written.len());
        writer.seal().unwrap();
        let (read, summary) = read(disk.path()).unwrap();
        assert!(read == written);
        assert!(matches!(summary.end, End::Sealed { .. }));
    }
}

/// The child of the test below, when the environment says so.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let folder = PathBuf::from(folder);
    let options = Options { segments: Segments::Ahead, ..TEST_SIZE };
    let mut writer = match Writer::resume(&folder, options) {
        Ok((writer, _)) => writer,
        Err(_) => Writer::create(&folder, session(1), options).unwrap(),
    };
    let mut out = std::io::stdout();
    for sequence in writer.records().. {
        append(&mut writer, &sample(sequence)).unwrap();
        out.write_all(format!("appended {sequence}\n").as_bytes()).unwrap();
    }
}

const CHILD: &str = "LINCHPIN_JOURNAL_TEST_CHILD";
/// How many times the child is killed.
const ROUNDS: &str = "LINCHPIN_JOURNAL_KILL_ROUNDS";

#[test]
fn after_kill_9_every_record_that_was_acknowledged_is_read() {
    let rounds = std::env::var(ROUNDS).map_or(5, |rounds| rounds.parse().expect("a number of rounds"));
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(u64::from(std::process::id()));
    let seed = dice.0;
    let mut acknowledged = None;
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "journal::tests::child_that_appends_until_it_is_killed",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut appended = || {
            lines
                .by_ref()
                .map_while(Result::ok)
                .find_map(|line| line.strip_prefix("appended ")?.parse::<u64>().ok())
        };
        for _ in 0..=dice.below(4_000) {
            acknowledged = Some(appended().expect("the child appends until it is killed"));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died. The last line may be cut, and a cut number is a smaller one.
        while let Some(sequence) = appended() {
            acknowledged = acknowledged.max(Some(sequence));
        }
        let (records, summary) =
            read(folder.path()).unwrap_or_else(|error| panic!("seed {seed} round {round}: {error}"));
        assert!(matches!(summary.end, End::Torn { .. }));
        assert!(records.last().map(|record| record.sequence) >= acknowledged, "seed {seed} round {round}");
        assert!(records.iter().zip(0..).all(|(record, n)| *record == sample(n)), "seed {seed} round {round}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_records_in_segments_of_any_size_read_as_written(
        records in prop::collection::vec(any_record(), 0..200),
        pages in 2_u64..10,
        sealed: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let records = write(folder.path(), &records, Options { segment_size: pages * 4096, ..SMALL }, sealed);
        let (read, summary) = read(folder.path()).unwrap();
        prop_assert_eq!(read, records);
        prop_assert_eq!(matches!(summary.end, End::Sealed { .. }), sealed);
    }

    #[test]
    fn whatever_is_cut_or_flipped_nothing_is_read_that_was_not_written(
        records in prop::collection::vec(any_record(), 1..120),
        sealed: bool,
        file in any::<prop::sample::Index>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 0..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let records = write(folder.path(), &records, SMALL, sealed);
        let files = files(folder.path());
        let path = &files[file.index(files.len())];
        let good = std::fs::read(path).unwrap();
        let mut bytes = good.clone();
        for (at, flip) in flips {
            bytes[at.index(good.len())] ^= flip;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(good.len()));
        }
        std::fs::write(path, &bytes).unwrap();

        let (read, outcome) = read_what_can_be_read(folder.path());
        prop_assert!(read.len() <= records.len());
        prop_assert_eq!(&read, &records[..read.len()]);
        if sealed && bytes != good && bytes.len() == good.len() {
            prop_assert!(outcome.is_err(), "a changed byte of a sealed journal must be an error");
        }
    }
}

/// A record that outlives the reader's buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    kind: u8,
    sequence: u64,
    time: u64,
    payload: Vec<u8>,
}

fn sample(n: u64) -> Kept {
    let mut dice = Dice(n);
    let payload = (0..dice.below(130)).map(|_| dice.below(256) as u8).collect();
    Kept { kind: 1 + (n % 200) as u8, sequence: n, time: 1_000 * n, payload }
}

/// The sequence is a step from the one before.
fn any_record() -> impl Strategy<Value = Kept> {
    let payload = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..150),
        1 => prop::collection::vec(any::<u8>(), 1000..=1024),
        1 => (0_usize..200).prop_map(|length| vec![0; length]),
    ];
    (1..layout::FIRST_OWN_KIND, 0_u64..3, any::<u64>(), payload)
        .prop_map(|(kind, sequence, time, payload)| Kept { kind, sequence, time, payload })
}

fn write(folder: &Path, records: &[Kept], options: Options, sealed: bool) -> Vec<Kept> {
    let mut writer = Writer::create(folder, session(1), options).unwrap();
    let mut sequence = 0;
    let records: Vec<_> = records
        .iter()
        .map(|record| {
            sequence += record.sequence;
            Kept { sequence, ..record.clone() }
        })
        .collect();
    for record in &records {
        append(&mut writer, record).unwrap();
    }
    if sealed {
        writer.seal().unwrap();
    }
    records
}

fn write_sealed(folder: &Path, options: Options, count: u64) {
    write(
        folder,
        &(0..count).map(|n| Kept { sequence: u64::from(n > 0), ..sample(n) }).collect::<Vec<_>>(),
        options,
        true,
    );
}

fn append(writer: &mut Writer, record: &Kept) -> Result<(), JournalError> {
    writer.append(record.kind, record.sequence, record.time, &record.payload)
}

fn read(folder: &Path) -> Result<(Vec<Kept>, Summary), JournalError> {
    read_to_end(Reader::open(folder)?)
}

fn read_to_end(mut reader: Reader) -> Result<(Vec<Kept>, Summary), JournalError> {
    let mut records = Vec::new();
    while let Some(record) = reader.next()? {
        records.push(keep(record));
    }
    Ok((records, reader.verify()?))
}

fn read_what_can_be_read(folder: &Path) -> (Vec<Kept>, Result<End, JournalError>) {
    let mut records = Vec::new();
    let mut reader = match Reader::open(folder) {
        Ok(reader) => reader,
        Err(error) => return (records, Err(error)),
    };
    let outcome = loop {
        match reader.next() {
            Ok(Some(record)) => records.push(keep(record)),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    (records, outcome.map(|()| reader.end().expect("an end was reached")))
}

fn keep(record: Record<'_>) -> Kept {
    Kept { kind: record.kind, sequence: record.sequence, time: record.time, payload: record.payload.to_vec() }
}

fn refuses_flip(folder: &Path, path: &Path, good: &[u8], at: usize, flip: u8) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&[good[at] ^ flip], at as u64).unwrap();
    match read(folder) {
        Ok(_) => panic!("{}: byte {at} flipped by {flip:#04x} was not noticed", path.display()),
        Err(error) => {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(error.to_string().contains(name), "byte {at}: the error must name the file: {error}");
        }
    }
    file.write_all_at(&[good[at]], at as u64).unwrap();
}

fn files(session_folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(journal_folder(session_folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert_eq!(files.iter().collect::<HashSet<_>>().len(), files.len());
    files
}

fn session(id: u8) -> SessionHeader {
    SessionHeader {
        session: SessionId([id; 16]),
        created_at: 1_700_000_000_000_000_000,
        strategy: "market_maker".into(),
        configuration_hash: [0x5A; 32],
        build: "test".into(),
        facts: vec![("seed".into(), "42".into())],
    }
}

/// SplitMix64: the same dice everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % most
    }
}
