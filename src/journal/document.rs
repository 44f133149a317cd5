//! Prints `docs/JOURNAL.md` from the constants of `layout`, and fails when the file says something else.
//!
//! `UPDATE_DOCS=1 cargo test --lib journal::document` writes the file anew.

use std::fmt::Write;
use std::path::Path;

use super::header::OPENINGS;
use super::layout::*;
use super::snapshot::{self, header_at as snapshot_at};
use crate::core::record::RECORDS_VERSION;

#[test]
fn the_document_says_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/JOURNAL.md");
    let printed = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().expect("docs has a parent")).unwrap();
        std::fs::write(&path, printed).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == printed, "docs/JOURNAL.md is stale: run the test once with UPDATE_DOCS=1");
}

#[test]
fn the_fields_fill_their_headers_without_a_gap_that_is_not_named() {
    let headers = [
        (RECORD_FIELDS, RECORD_HEADER_SIZE),
        (HEADER_FIELDS, header_at::METADATA),
        (SNAPSHOT_FIELDS, snapshot_at::FORM),
    ];
    for (fields, size) in headers {
        let end = fields.iter().fold(0, |at, field| {
            assert_eq!(field.at, at, "{}", field.name);
            at + field.size
        });
        assert_eq!(end, size);
    }
}

struct Field {
    at: usize,
    size: usize,
    name: &'static str,
    meaning: &'static str,
}

const SNAPSHOT_FIELDS: &[Field] = &[
    field(snapshot_at::MAGIC, 8, "magic", "`LPSNAP`, carriage return, line feed"),
    field(snapshot_at::VERSION, 4, "version", "of this header; the state has a version of its own"),
    field(snapshot_at::CHECKSUM, 4, "checksum", "CRC-32C of the header without this field"),
    field(snapshot_at::SESSION, 16, "session", "id of the session, as in the journal"),
    field(snapshot_at::CONFIGURATION, 32, "configuration", "the session's configuration hash"),
    field(
        snapshot_at::SEQUENCE,
        8,
        "sequence",
        "the last event in the state; also in the file's name, in 20 digits",
    ),
    field(snapshot_at::TIME, 8, "time", "the processing time of that event"),
    field(snapshot_at::STATE_HASH, 8, "state hash", "as the journal would have it after that event"),
    field(snapshot_at::FORM_LENGTH, 8, "length", "bytes of the state; nothing follows it"),
    field(snapshot_at::FORM_CHECKSUM, 4, "state checksum", "CRC-32C of the state"),
    field(snapshot_at::FORM_CHECKSUM + 4, 4, "unused", "zeros"),
];

const fn field(at: usize, size: usize, name: &'static str, meaning: &'static str) -> Field {
    Field { at, size, name, meaning }
}

const RECORD_FIELDS: &[Field] = &[
    field(
        record_at::COMMIT,
        4,
        "commit",
        "kind in the highest byte, payload length in the lower three; stored last; 0 means that no record stands here",
    ),
    field(
        record_at::CHECKSUM,
        4,
        "checksum",
        "CRC-32C from byte 8 to the end of the record, its closing zeros included; begun from salt XOR commit",
    ),
    field(record_at::SEQUENCE, 8, "sequence", "Processing Order; never lower than in the record before"),
    field(record_at::TIME, 8, "time", "nanoseconds, as the caller gave them"),
];

const HEADER_FIELDS: &[Field] = &[
    field(header_at::MAGIC, 8, "magic", "stored last; 0 means that the segment was prepared and not begun"),
    field(header_at::VERSION, 4, "version", "format version; stays at this place in every version"),
    field(
        header_at::CHECKSUM,
        4,
        "checksum",
        "CRC-32C of the whole page without this field; it is the salt of the segment's records",
    ),
    field(header_at::SESSION, 16, "session", "id of the session; the same in every segment"),
    field(header_at::NUMBER, 8, "number", "number of the segment, from 1, as in the file's name"),
    field(header_at::FIRST_SEQUENCE, 8, "first sequence", "no record in this segment has a lower one"),
    field(header_at::CREATED_AT, 8, "created at", "nanoseconds since 1970 at which the session began"),
    field(header_at::SEGMENT_SIZE, 8, "segment size", "bytes of this file while it is open"),
    field(header_at::PREVIOUS_END, 8, "previous end", "used bytes of the segment before; 0 in the first"),
    field(
        header_at::PREVIOUS_CHECKSUM,
        4,
        "previous checksum",
        "checksum of the last record before (of that segment's header, if it holds none); 0 in the first",
    ),
    field(header_at::LARGEST_PAYLOAD, 4, "largest payload", "no payload of this journal is longer"),
    field(header_at::OPENING, 4, "opening", "how the segment came to be, see below"),
    field(
        header_at::METADATA_LENGTH,
        4,
        "metadata length",
        "bytes of the text that follows; zeros from there to the end of the page",
    ),
];

fn document() -> String {
    let mut text = String::from(
        "<!-- Printed by src/journal/document.rs from src/journal/layout.rs. Do not edit: UPDATE_DOCS=1 cargo test --lib journal::document -->\n\n",
    );
    text.push_str(INTRODUCTION);
    section(&mut text, "Header page", HEADER_FIELDS);
    writeln!(text, "{} | up to {} | metadata | UTF-8, `key=value` lines: `strategy`, `configuration` (64 hex digits), `build`, then further facts\n", header_at::METADATA, METADATA_ROOM).unwrap();
    writeln!(
        text,
        "The page is {HEADER_SIZE} bytes; the magic is `{}`, the version {VERSION}. Ways of opening:\n",
        String::from_utf8_lossy(&MAGIC)
    )
    .unwrap();
    for (opening, code) in OPENINGS {
        writeln!(text, "- {code}: {}", format!("{opening:?}").to_lowercase()).unwrap();
    }
    section(&mut text, "Record", RECORD_FIELDS);
    writeln!(text, "{RECORD_HEADER_SIZE} | as long as the commit word says | payload | the caller's bytes, then zeros up to a multiple of {ALIGNMENT}\n").unwrap();
    writeln!(
        text,
        "An empty record takes {} bytes, one of 64 bytes {}, one of 100 bytes {}.\n",
        record_size(0),
        record_size(64),
        record_size(100)
    )
    .unwrap();
    writeln!(text, "| kind | whose |\n|---|---|").unwrap();
    writeln!(text, "| 0 | does not exist |").unwrap();
    writeln!(text, "| 1 to {} | the caller's |", FIRST_OWN_KIND - 1).unwrap();
    writeln!(text, "| {KIND_ROLL} | closes a full segment; the journal goes on in the next |").unwrap();
    writeln!(text, "| {KIND_SEAL} | closes the last segment of a journal that ended on purpose |").unwrap();
    writeln!(text, "| other | reserved; a reader of version {VERSION} calls them damage |\n").unwrap();
    writeln!(
        text,
        "What stands in the callers' payloads has a version of its own (`core::record::RECORDS_VERSION`, now {RECORDS_VERSION}), which the journal's\n\
         first record says; a replay refuses a journal of another version by name.\n"
    )
    .unwrap();
    writeln!(
        text,
        "The payload of a closing record is {CLOSING_PAYLOAD_SIZE} bytes: the count of callers' records in this segment (u64), then in the journal so far (u64).\n\
         {CLOSING_RESERVE} bytes at the end of each segment are kept for it, the last {ALIGNMENT} of them never used.\n"
    )
    .unwrap();
    text.push_str(ENDS);
    section(&mut text, "Snapshots", SNAPSHOT_FIELDS);
    writeln!(
        text,
        "{} | as long as the header says | state | words of eight bytes, see below\n",
        snapshot_at::FORM
    )
    .unwrap();
    writeln!(
        text,
        "`snapshots/<sequence>.snapshot` beside the journal (version {}): the core's state after one event. It is written under another name\n\
         (`.draft`), brought to the disk, and renamed; the newest few are kept. With the events after it, it is the same as all events:\n\
         `linchpin replay --from-snapshot` is that claim. The journal stays the truth: a snapshot that is missing or damaged costs time only.\n\n\
         `opening.snapshot` is such a file too: the state that a warm start went on from, named by its hash in the opening record. It is part of the\n\
         journal: without it there is no replay from the first event.\n\n\
         The state is what `core::snapshot` writes, now version {}: `linchpin`, the version, the hash of the opening configuration, then sections\n\
         that begin with their names. A build reads its own version only. The state hash in the journal is the hash of these same words.",
        snapshot::VERSION,
        crate::core::snapshot::VERSION
    )
    .unwrap();
    text
}

fn section(text: &mut String, title: &str, fields: &[Field]) {
    writeln!(text, "\n## {title}\n\nbyte | size | field | meaning\n---|---|---|---").unwrap();
    for Field { at, size, name, meaning } in fields {
        writeln!(text, "{at} | {size} | {name} | {meaning}").unwrap();
    }
}

const INTRODUCTION: &str = "\
# The journal, byte by byte

A session folder holds `journal/000001.seg`, `000002.seg` and so on: segments of one size, allocated in full before their first byte is
stored, so that a full disk is an error at the making of a segment and never a signal in the middle of one. A segment is a header page, then
records without a gap, then zeros. All integers are little-endian. Names that end in `.draft` are segments in the making; readers pass them by.

```text
byte 0            4096                                       used        segment size
  | header page    | record | record | ... | record | closing |  zeros ...  |
```
";

const ENDS: &str = "\
## How a journal ends

A closed segment is cut to what it holds, so it is always shorter than its segment size; a segment of full size with no closing record was
being written. The last segment decides:

end | what stands there | read it as
---|---|---
sealed | a sealing record, and nothing after it | the session ended on purpose
torn | full size, then zeros, or the beginning of one record and zeros; or a file cut exactly where a record ends (a resumption that was interrupted) | the process was killed here: every record before it is good, and all that were acknowledged are before it
damaged | anything else | an error that names file and byte; the reader stops there, for good

Damage, in particular: a record that fails with a whole record, or any byte out of its reach, behind it; a closed segment that does not verify; a
segment that does not continue the one before it; a torn segment with a later one behind it; a sequence that goes back; a wrong count. A byte
changed in the very last record of a torn journal cannot be told from a record that was being written, and ends it one record early.

A segment that follows a torn or a sealed one says `resumed`, and the torn one was cut to its last whole record before. Removing the last
segments of a resumed journal, so that it ends at an earlier seal, cannot be seen from the files that are left.

## What survives what

event | survives
---|---
the process dies at any moment (`kill -9`) | every record whose `append` returned: its pages belong to the kernel
the machine fails | every segment that was closed and settled by the keeper, and all of a sealed journal. Of the open segment, what the kernel had written; a page of it that was not written, with later ones that were, is called so and is damage, since the records behind it may have been acted on
the disk is full | `append` fails; nothing of that record is visible; what was written stays readable, and sealing still works: its room is reserved
";
