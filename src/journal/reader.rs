//! Reads a journal from its first record to its end, and verifies everything on the way: headers, checksums, chain, order, counts.
//!
//! A journal ends in one of three ways, and the reader tells them apart:
//!
//! | end | what stands there | what it means |
//! |---|---|---|
//! | `Sealed` | a sealing record, and nothing after it | the session ended on purpose |
//! | `Torn` | the last segment, never closed: zeros, or the beginning of one record and zeros, or a cut between two records | the process was killed here; everything before is good |
//! | `Damaged` | anything else: a record that fails with more behind it, a closed segment that does not verify, a broken chain | the bytes are not what was written |
//!
//! At damage the reader stops with an error that names file and byte. It never skips a record and never goes on in a next file.
//!
//! It reads each segment into memory instead of mapping it: the file may still be growing or be cut by its writer, and then an
//! early end is an error here, where in a map it would be a signal.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::{Damage, JournalError, Position};
use super::header::{Opening, Refusal, SegmentHeader, SessionHeader};
use super::layout::{self, HEADER_SIZE, RECORD_HEADER_SIZE, record_at, record_size, u32_at, u64_at};
use super::writer::{Previous, journal_folder};

/// One record, as it was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    pub kind: u8,
    pub sequence: u64,
    pub time: u64,
    pub payload: &'a [u8],
    pub position: Position,
}

/// How a journal ends. The position is the first byte that is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Sealed { position: Position },
    Torn { position: Position },
    Damaged { position: Position, what: Damage },
}

/// What was read, when the end was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub session: SessionHeader,
    pub records: u64,
    pub segments: u64,
    pub last_sequence: u64,
    pub last_time: u64,
    pub end: End,
}

/// Goes through a journal once, in order.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    segments: Vec<Listed>,
    /// Segments prepared and never begun: what a killed writer leaves behind the last one.
    blanks: Vec<u64>,
    /// Which of `segments` is read first.
    begins_at: usize,
    /// Which of `segments` is in `bytes`.
    current: usize,
    bytes: Vec<u8>,
    offset: usize,
    last_checksum: u32,
    last_sequence: u64,
    last_time: u64,
    records_in_segment: u64,
    records: u64,
    /// `records` does not count those before `begins_at` yet: the next closing record tells.
    counts_in_part: bool,
    end: Option<End>,
}

#[derive(Debug)]
struct Listed {
    header: SegmentHeader,
    salt: u32,
}

impl Reader {
    /// Opens the journal in `session_folder/journal`: looks at every segment's header, before any record.
    pub fn open(session_folder: &Path) -> Result<Self, JournalError> {
        Self::open_folder(&journal_folder(session_folder))
    }

    /// Begins at the segment in which the records after `sequence` begin; some up to `sequence` may come before them. What stands in
    /// earlier segments is neither read nor verified: this is for whoever has it from a snapshot.
    pub fn open_after(session_folder: &Path, sequence: u64) -> Result<Self, JournalError> {
        let folder = journal_folder(session_folder);
        let (segments, blanks) = headers(&folder)?;
        let begins_at = segments.iter().rposition(|listed| listed.header.first_sequence <= sequence);
        Self::begin(&folder, segments, blanks, begins_at.unwrap_or(0))
    }

    /// All of a folder that holds the segments themselves.
    pub fn open_folder(folder: &Path) -> Result<Self, JournalError> {
        let (segments, blanks) = headers(folder)?;
        Self::begin(folder, segments, blanks, 0)
    }

    fn begin(
        folder: &Path,
        segments: Vec<Listed>,
        blanks: Vec<u64>,
        begins_at: usize,
    ) -> Result<Self, JournalError> {
        let mut reader = Self {
            folder: folder.to_owned(),
            segments,
            blanks,
            begins_at,
            current: begins_at,
            bytes: Vec::new(),
            offset: 0,
            last_checksum: 0,
            last_sequence: 0,
            last_time: 0,
            records_in_segment: 0,
            records: 0,
            counts_in_part: begins_at > 0,
            end: None,
        };
        reader.enter(begins_at)?;
        Ok(reader)
    }

    pub fn session(&self) -> &SessionHeader {
        &self.segments[0].header.session
    }

    /// The next record; `None` at a sealed or torn end. Damage is an error, now and at every later call.
    #[allow(
        clippy::should_implement_trait,
        reason = "a record borrows the reader's buffer, which `Iterator` cannot say"
    )]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, JournalError> {
        let Some(offset) = self.advance()? else { return Ok(None) };
        let (kind, length) = layout::split_commit_word(u32_at(&self.bytes, offset));
        Ok(Some(Record {
            kind,
            sequence: self.last_sequence,
            time: self.last_time,
            payload: &self.bytes[offset + RECORD_HEADER_SIZE..][..length],
            position: self.at(offset),
        }))
    }

    /// How the journal ends, once `next` has come to it.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Reads whatever is left, for a caller that wants the verdict and the counts.
    pub fn verify(mut self) -> Result<Summary, JournalError> {
        self.read_to_end()
    }

    pub(super) fn read_to_end(&mut self) -> Result<Summary, JournalError> {
        while self.advance()?.is_some() {}
        Ok(Summary {
            session: self.session().clone(),
            records: self.records,
            segments: self.segments.len() as u64,
            last_sequence: self.last_sequence,
            last_time: self.last_time,
            end: self.end.unwrap_or(End::Torn { position: self.at(self.offset) }),
        })
    }

    /// Where a writer that resumes has to go on, once the end was reached.
    pub(super) fn tail(&self) -> Tail<'_> {
        Tail {
            header: &self.segments[self.current].header,
            previous: Previous { end: self.offset as u64, checksum: self.last_checksum },
            blanks: &self.blanks,
        }
    }

    /// Goes over the next record and returns where it begins.
    fn advance(&mut self) -> Result<Option<usize>, JournalError> {
        loop {
            match self.end {
                Some(End::Damaged { position, what }) => return Err(self.damaged(position, what)),
                Some(_) => return Ok(None),
                None => {}
            }
            let begin = self.offset;
            if begin == self.bytes.len() {
                self.cut_off()?;
                continue;
            }
            let found = match self.whole_record(begin) {
                Ok(found) => found,
                Err(what) => {
                    self.broken(what)?;
                    continue;
                }
            };
            if found.sequence < self.last_sequence {
                return Err(
                    self.damage(begin, Damage::Sequence { found: found.sequence, last: self.last_sequence })
                );
            }
            self.last_sequence = found.sequence;
            self.last_time = found.time;
            self.last_checksum = found.checksum;
            self.offset = begin + record_size(found.length);
            match found.kind {
                layout::KIND_ROLL | layout::KIND_SEAL => self.closed(begin, found.kind)?,
                own @ layout::FIRST_OWN_KIND.. => return Err(self.damage(begin, Damage::Kind(own))),
                _ => {
                    self.records += 1;
                    self.records_in_segment += 1;
                    return Ok(Some(begin));
                }
            }
        }
    }

    /// The record at `at`, if every byte of it is as it was written.
    fn whole_record(&self, at: usize) -> Result<Found, Damage> {
        let Some(rest) = self.bytes.get(at..).filter(|rest| rest.len() >= RECORD_HEADER_SIZE) else {
            return Err(Damage::NoRecord);
        };
        let listed = &self.segments[self.current];
        let commit = u32_at(rest, record_at::COMMIT);
        let (kind, length) = layout::split_commit_word(commit);
        if kind == 0 {
            return Err(if length == 0 { Damage::NoRecord } else { Damage::Kind(0) });
        }
        let most = match kind {
            layout::FIRST_OWN_KIND.. => layout::CLOSING_PAYLOAD_SIZE,
            _ => listed.header.largest_payload as usize,
        };
        let record =
            rest.get(..record_size(length)).filter(|_| length <= most).ok_or(Damage::Length(length))?;
        let checksum = u32_at(record, record_at::CHECKSUM);
        if layout::checksum(listed.salt, commit, &record[record_at::SEQUENCE..]) != checksum {
            return Err(Damage::Checksum);
        }
        Ok(Found {
            kind,
            length,
            checksum,
            sequence: u64_at(record, record_at::SEQUENCE),
            time: u64_at(record, record_at::TIME),
        })
    }

    /// Behind a closing record: the counts must be right, the rest of the file zeros, and the chain go on or end.
    fn closed(&mut self, begin: usize, kind: u8) -> Result<(), JournalError> {
        let payload = begin + RECORD_HEADER_SIZE;
        if std::mem::take(&mut self.counts_in_part) {
            self.records = u64_at(&self.bytes, payload + 8);
        }
        for (found, counted) in [
            (u64_at(&self.bytes, payload), self.records_in_segment),
            (u64_at(&self.bytes, payload + 8), self.records),
        ] {
            if found != counted {
                return Err(self.damage(begin, Damage::Count { found, counted }));
            }
        }
        if let Some(stray) = self.last_byte_that_is_not_zero() {
            return Err(self.damage(stray, Damage::Trailing));
        }
        if self.current + 1 < self.segments.len() {
            return self.enter(self.current + 1);
        }
        if kind == layout::KIND_SEAL {
            return self.ends(End::Sealed { position: self.at(self.offset) });
        }
        let next = self.number() + 1;
        self.ends(End::Torn { position: Position { segment: next, offset: 0 } })
    }

    /// The file ends where a record ends, with no closing record: a resuming writer cut it here.
    fn cut_off(&mut self) -> Result<(), JournalError> {
        match self.segments.get(self.current + 1) {
            Some(next) if next.header.opening == Opening::Resumed => self.enter(self.current + 1),
            Some(_) => Err(self.damage(self.offset, Damage::Unclosed)),
            None => self.ends(End::Torn { position: self.at(self.offset) }),
        }
    }

    /// No whole record at `offset`. Only the last segment, still at its full size, can have been interrupted here: then at most one record
    /// was begun, and nothing stands behind it.
    fn broken(&mut self, what: Damage) -> Result<(), JournalError> {
        let at = self.offset;
        let header = &self.segments[self.current].header;
        let is_last = self.current + 1 == self.segments.len();
        let was_closed = (self.bytes.len() as u64) < header.segment_size;
        if !is_last && what == Damage::NoRecord {
            return Err(self.damage(at, Damage::Unclosed));
        }
        if !is_last || was_closed {
            return Err(self.damage(at, what));
        }
        let most = record_size(header.largest_payload as usize);
        let Some(last) = self.last_byte_that_is_not_zero() else {
            return self.ends(End::Torn { position: self.at(at) });
        };
        if let Some(follows) = self.next_whole_record(at + layout::ALIGNMENT, last) {
            let page_end = at.next_multiple_of(PAGE).min(self.bytes.len());
            let unwritten = at < page_end && self.bytes[at..page_end].iter().all(|byte| *byte == 0);
            let follows = follows as u64;
            return Err(self.damage(
                at,
                if unwritten { Damage::UnwrittenPage(follows) } else { Damage::Follows(follows) },
            ));
        }
        if last >= at + most {
            return Err(self.damage(last, Damage::Trailing));
        }
        self.ends(End::Torn { position: self.at(at) })
    }

    /// Looks for a record that verifies, not before `from`. Bounded: bytes made to look like many long records are not all tried.
    fn next_whole_record(&self, from: usize, last: usize) -> Option<usize> {
        let mut bytes_to_try = 16 * self.bytes.len();
        for at in (from..=last).step_by(layout::ALIGNMENT) {
            let word = u32_at(&self.bytes, at);
            if word == 0 || u64_at(&self.bytes, at + record_at::SEQUENCE) < self.last_sequence {
                continue;
            }
            match self.whole_record(at) {
                Ok(_) => return Some(at),
                Err(Damage::Checksum) => {
                    let (_, length) = layout::split_commit_word(word);
                    bytes_to_try = bytes_to_try.checked_sub(record_size(length))?;
                }
                // Refused at sight, at no cost.
                Err(_) => {}
            }
        }
        None
    }

    fn last_byte_that_is_not_zero(&self) -> Option<usize> {
        self.bytes[self.offset..].iter().rposition(|byte| *byte != 0).map(|index| self.offset + index)
    }

    /// Reads a segment, and checks that it goes on where the one before ended.
    fn enter(&mut self, index: usize) -> Result<(), JournalError> {
        let Listed { header, salt } = &self.segments[index];
        let start = Position { segment: header.number, offset: 0 };
        let expected = match index {
            0 => Previous { end: 0, checksum: 0 },
            _ if index == self.begins_at => {
                Previous { end: header.previous_end, checksum: header.previous_checksum }
            }
            _ => Previous { end: self.offset as u64, checksum: self.last_checksum },
        };
        let goes_on = Previous { end: header.previous_end, checksum: header.previous_checksum } == expected
            && (header.opening == Opening::First) == (index == 0)
            && header.first_sequence >= self.last_sequence;
        if !goes_on {
            return Err(self.damage_at(start, Damage::Chain));
        }
        let (first_sequence, segment_size, salt) = (header.first_sequence, header.segment_size, *salt);

        let path = self.path(header.number);
        self.bytes.clear();
        // One byte more than there may be, so that a file that is too long shows.
        File::open(&path)
            .and_then(|file| file.take(segment_size + 1).read_to_end(&mut self.bytes))
            .map_err(JournalError::io("read", &path))?;
        if self.bytes.len() as u64 > segment_size {
            return Err(self.damage_at(Position { offset: segment_size, ..start }, Damage::TooLong));
        }
        if self.bytes.len() < HEADER_SIZE {
            return Err(self.damage_at(start, Damage::HeaderCut));
        }
        self.current = index;
        self.offset = HEADER_SIZE;
        self.last_checksum = salt;
        self.last_sequence = first_sequence;
        self.records_in_segment = 0;
        Ok(())
    }

    /// Settles how the journal ends, once the blanks behind it are seen to be blank.
    fn ends(&mut self, end: End) -> Result<(), JournalError> {
        for &number in &self.blanks {
            let path = self.path(number);
            let bytes = std::fs::read(&path).map_err(JournalError::io("read", &path))?;
            // A header whose magic was not reached is a beginning too; records never are.
            let stray = bytes.iter().skip(HEADER_SIZE).rposition(|byte| *byte != 0);
            if let Some(index) = stray {
                let offset = (HEADER_SIZE + index) as u64;
                return Err(self.damage_at(Position { segment: number, offset }, Damage::Trailing));
            }
        }
        self.end = Some(end);
        Ok(())
    }

    fn damage(&mut self, offset: usize, what: Damage) -> JournalError {
        self.damage_at(self.at(offset), what)
    }

    fn damage_at(&mut self, position: Position, what: Damage) -> JournalError {
        self.end = Some(End::Damaged { position, what });
        self.damaged(position, what)
    }

    fn damaged(&self, position: Position, what: Damage) -> JournalError {
        JournalError::Damaged { path: self.path(position.segment), position, what }
    }

    fn at(&self, offset: usize) -> Position {
        Position { segment: self.number(), offset: offset as u64 }
    }

    fn number(&self) -> u64 {
        self.segments[self.current].header.number
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(layout::segment_name(number))
    }
}

/// The end of what was read, as the next writer needs it.
pub(super) struct Tail<'a> {
    pub(super) header: &'a SegmentHeader,
    pub(super) previous: Previous,
    pub(super) blanks: &'a [u64],
}

/// Whether a folder holds any file with a segment's name.
pub(super) fn holds_a_segment(folder: &Path) -> Result<bool, JournalError> {
    Ok(!numbers(folder)?.is_empty())
}

struct Found {
    kind: u8,
    length: usize,
    checksum: u32,
    sequence: u64,
    time: u64,
}

const PAGE: usize = 4096;

/// The segments that were begun, in order, and the blank ones after them.
fn headers(folder: &Path) -> Result<(Vec<Listed>, Vec<u64>), JournalError> {
    let numbers = numbers(folder)?;
    if numbers.is_empty() {
        return Err(JournalError::Absent { path: folder.to_owned() });
    }
    for (number, expected) in numbers.iter().zip(1..) {
        if *number != expected {
            return Err(JournalError::MissingSegment { path: folder.join(layout::segment_name(expected)) });
        }
    }
    let (mut segments, mut blanks) = (Vec::<Listed>::new(), Vec::new());
    for number in numbers {
        let path = folder.join(layout::segment_name(number));
        let damaged = |what| JournalError::Damaged {
            path: path.clone(),
            position: Position { segment: number, offset: 0 },
            what,
        };
        let mut page = Vec::with_capacity(HEADER_SIZE);
        File::open(&path)
            .and_then(|file| file.take(HEADER_SIZE as u64).read_to_end(&mut page))
            .map_err(JournalError::io("read", &path))?;
        let (header, salt) = match SegmentHeader::decode(&page) {
            Ok(read) => read,
            Err(Refusal::Blank) if number == 1 => return Err(JournalError::Unstarted { path }),
            Err(Refusal::Blank) => {
                blanks.push(number);
                continue;
            }
            Err(Refusal::WrongMagic) => return Err(JournalError::WrongMagic { path }),
            Err(Refusal::FutureVersion(found)) => return Err(JournalError::FutureVersion { path, found }),
            Err(Refusal::Damaged(what)) => return Err(damaged(what)),
        };
        if !blanks.is_empty() {
            return Err(damaged(Damage::Chain));
        }
        if let Some(first) = segments.first()
            && first.header.session.session != header.session.session
        {
            let (found, expected) =
                (header.session.session.to_string(), first.header.session.session.to_string());
            return Err(JournalError::OtherSession { path, found, expected });
        }
        if header.number != number {
            return Err(damaged(Damage::HeaderContent("another segment number than the file's name")));
        }
        segments.push(Listed { header, salt });
    }
    Ok((segments, blanks))
}

/// The numbers of all segment files, ascending. Files of other kinds are not ours to judge; a `.seg` whose name is no segment's is.
fn numbers(folder: &Path) -> Result<Vec<u64>, JournalError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(JournalError::Absent { path: folder.to_owned() });
        }
        other => other.map_err(JournalError::io("list", folder))?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let path = entry.map_err(JournalError::io("list", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match layout::segment_number(name) {
            Some(number) => numbers.push(number),
            None if path.extension().is_some_and(|extension| extension == "seg") => {
                return Err(JournalError::Foreign { path });
            }
            None => {}
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}
