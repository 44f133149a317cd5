//! Snapshot files: what is written is read, any change is found, and the keeper does it beside whoever trades.

use super::*;
use crate::core::snapshot::{Buffer, Sink};

fn head(sequence: u64) -> Head {
    Head { session: SessionId(*b"snapshot session"), configuration: [7; 32], sequence, time: 99 }
}

fn form(words: u64) -> Vec<u8> {
    (0..words).flat_map(|word| (word * 0x0101_0101_0101).to_le_bytes()).collect()
}

#[test]
fn a_snapshot_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &head(41), &form(100)).unwrap();
    let read = Snapshot::read(&path).unwrap();
    assert_eq!(read, Snapshot { head: head(41), state_hash: hash_of(&form(100)), form: form(100) });
}

#[test]
fn any_changed_byte_and_any_cut_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &head(41), &form(20)).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        for bit in [1u8, 128] {
            let mut changed = whole.clone();
            changed[at] ^= bit;
            std::fs::write(&path, changed).unwrap();
            let refused = Snapshot::read(&path).unwrap_err();
            assert!(refused.to_string().contains(&path.display().to_string()), "byte {at}: {refused}");
        }
    }
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(Snapshot::read(&path).is_err(), "cut to {length}");
    }
    std::fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
    assert!(Snapshot::read(&path).is_err(), "a byte too many");
}

#[test]
fn the_newest_come_first_only_a_few_are_kept_and_drafts_are_passed_by() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(newest_first(folder.path()).unwrap(), Vec::<PathBuf>::new());
    for sequence in [5, 1_000, 70, 12] {
        write(folder.path(), &head(sequence), &form(3)).unwrap();
    }
    std::fs::write(snapshot_folder(folder.path()).join("99999999999999999999.draft"), b"half").unwrap();
    let paths = newest_first(folder.path()).unwrap();
    let sequences: Vec<u64> = paths.iter().map(|path| Snapshot::read(path).unwrap().head.sequence).collect();
    assert_eq!(sequences, [1_000, 70, 12]);
}

#[test]
fn a_folder_that_cannot_be_written_leaves_nothing_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(snapshot_folder(folder.path()), b"a file where the folder should be").unwrap();
    let refused = write(folder.path(), &head(1), &form(3)).unwrap_err();
    assert!(refused.to_string().contains("snapshots"), "{refused}");
}

#[test]
fn the_keeper_writes_what_it_is_given_and_enlarges_a_buffer_that_was_too_small() {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::spawn(folder.path(), 64).unwrap();
    let mut sequence = 0;
    while shelf.counts().written < 3 {
        let Some(mut buffer) = shelf.take() else {
            std::thread::yield_now();
            continue;
        };
        sequence += 1;
        (0..50).for_each(|word| buffer.word(word));
        shelf.hand_over(head(sequence), buffer);
    }
    let counts = shelf.stop().unwrap();
    assert_eq!((counts.failed, counts.too_small), (0, 2), "each of the two buffers was enlarged once");
    let newest = newest_first(folder.path()).unwrap().remove(0);
    let read = Snapshot::read(&newest).unwrap();
    assert_eq!((read.form.len(), read.head.sequence), (400, sequence));
    assert!(Buffer::with_room(8).room() >= 8);
}

#[test]
fn a_keeper_that_cannot_write_counts_it_and_tells_why_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(snapshot_folder(folder.path()), b"in the way").unwrap();
    let mut shelf = Shelf::spawn(folder.path(), 64).unwrap();
    let mut buffer = shelf.take().unwrap();
    buffer.word(1);
    shelf.hand_over(head(1), buffer);
    let why = shelf.stop().unwrap_err();
    assert!(why.to_string().contains("snapshots"), "{why}");
    assert_eq!(shelf.counts(), Counts { failed: 1, ..Counts::default() });
}
