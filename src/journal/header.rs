//! The header page of a segment: who wrote this journal, and where in its chain of segments this one stands.
//!
//! The same `SessionHeader` stands in every segment, so that one segment alone still says what it is.

use std::fmt;

use super::error::{Damage, JournalError};
use super::layout::{self, HEADER_SIZE, MAGIC, METADATA_ROOM, VERSION, header_at as at, u32_at, u64_at};
use crate::sys::checksum::crc32c;

/// Names one session, in every segment of its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 16]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a journal says about the session that it records. Given once; nothing in it may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionHeader {
    pub session: SessionId,
    /// Nanoseconds since 1970, by the clock that the caller uses: the journal has none.
    pub created_at: u64,
    pub strategy: String,
    pub configuration_hash: [u8; 32],
    pub build: String,
    /// Further facts as key and value, in this order (seed, mode, instruments).
    pub facts: Vec<(String, String)>,
}

impl SessionHeader {
    /// `key=value` lines, so that a hex dump of a segment can be read.
    pub(super) fn metadata(&self) -> Result<String, JournalError> {
        let hash: String = self.configuration_hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut text = String::new();
        let own = [(STRATEGY, self.strategy.as_str()), (CONFIGURATION, &hash), (BUILD, &self.build)];
        for (key, value) in
            own.into_iter().chain(self.facts.iter().map(|(key, value)| (key.as_str(), value.as_str())))
        {
            if key.is_empty()
                || key.contains(|c: char| c == '=' || c.is_control())
                || value.contains(char::is_control)
            {
                return Err(JournalError::Metadata {
                    why: "a key is empty or holds '=', or a control character is in it",
                });
            }
            text.extend([key, "=", value, "\n"]);
        }
        if text.len() > METADATA_ROOM {
            return Err(JournalError::Metadata { why: "it is longer than the header page has room for" });
        }
        Ok(text)
    }

    fn read(session: SessionId, created_at: u64, metadata: &str) -> Result<Self, Damage> {
        let mut lines = metadata
            .lines()
            .map(|line| line.split_once('=').ok_or(Damage::HeaderContent("metadata without '='")));
        let mut own = |name| match lines.next() {
            Some(Ok((key, value))) if key == name => Ok(value.to_owned()),
            _ => Err(Damage::HeaderContent("metadata without strategy, configuration and build")),
        };
        let (strategy, hash, build) = (own(STRATEGY)?, own(CONFIGURATION)?, own(BUILD)?);
        let facts = lines
            .map(|line| line.map(|(key, value)| (key.to_owned(), value.to_owned())))
            .collect::<Result<_, _>>()?;
        let configuration_hash =
            unhex(&hash).ok_or(Damage::HeaderContent("a configuration hash that is not 64 hex digits"))?;
        Ok(Self { session, created_at, strategy, configuration_hash, build, facts })
    }
}

/// How a segment came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The first of its journal.
    First,
    /// The segment before was full.
    Rolled,
    /// The session was taken up again where the segment before ends, sealed or torn.
    Resumed,
}

/// The header page, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    pub session: SessionHeader,
    pub number: u64,
    /// No record here has a lower sequence.
    pub first_sequence: u64,
    pub segment_size: u64,
    /// The longest payload that this journal takes.
    pub largest_payload: u32,
    pub opening: Opening,
    /// Where the segment before ends, and the checksum of its last record (of its header, when it has none).
    pub previous_end: u64,
    pub previous_checksum: u32,
}

/// Why a header page cannot be taken.
pub(super) enum Refusal {
    /// The magic is zero: the page was never begun, or never finished.
    Blank,
    WrongMagic,
    FutureVersion(u32),
    Damaged(Damage),
}

impl SegmentHeader {
    /// The page and its checksum, which is the salt of the segment's records. `metadata` is the session's, made once.
    pub(super) fn encode(&self, metadata: &str, page: &mut [u8; HEADER_SIZE]) -> u32 {
        page.fill(0);
        let mut put = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
        put(at::MAGIC, &MAGIC);
        put(at::VERSION, &VERSION.to_le_bytes());
        put(at::SESSION, &self.session.session.0);
        put(at::NUMBER, &self.number.to_le_bytes());
        put(at::FIRST_SEQUENCE, &self.first_sequence.to_le_bytes());
        put(at::CREATED_AT, &self.session.created_at.to_le_bytes());
        put(at::SEGMENT_SIZE, &self.segment_size.to_le_bytes());
        put(at::PREVIOUS_END, &self.previous_end.to_le_bytes());
        put(at::PREVIOUS_CHECKSUM, &self.previous_checksum.to_le_bytes());
        put(at::LARGEST_PAYLOAD, &self.largest_payload.to_le_bytes());
        put(
            at::OPENING,
            &OPENINGS
                .iter()
                .find(|(opening, _)| *opening == self.opening)
                .map_or(0, |row| row.1)
                .to_le_bytes(),
        );
        put(at::METADATA_LENGTH, &(metadata.len() as u32).to_le_bytes());
        put(at::METADATA, metadata.as_bytes());
        let salt = page_checksum(page);
        page[at::CHECKSUM..at::CHECKSUM + 4].copy_from_slice(&salt.to_le_bytes());
        salt
    }

    /// The header and the salt of the segment's records.
    pub(super) fn decode(page: &[u8]) -> Result<(Self, u32), Refusal> {
        let page: &[u8; HEADER_SIZE] = page.first_chunk().ok_or(Refusal::Damaged(Damage::HeaderCut))?;
        match page[..8].first_chunk::<8>() {
            Some(magic) if *magic == MAGIC => {}
            Some(&[0, 0, 0, 0, 0, 0, 0, 0]) => return Err(Refusal::Blank),
            _ => return Err(Refusal::WrongMagic),
        }
        // The version stands outside of what a later layout may move, so it is looked at before the checksum.
        match u32_at(page, at::VERSION) {
            VERSION => {}
            later => return Err(Refusal::FutureVersion(later)),
        }
        let salt = page_checksum(page);
        if salt != u32_at(page, at::CHECKSUM) {
            return Err(Refusal::Damaged(Damage::HeaderChecksum));
        }
        Self::read(page).map(|header| (header, salt)).map_err(Refusal::Damaged)
    }

    /// The checksum held, so what is refused here was written wrongly.
    fn read(page: &[u8; HEADER_SIZE]) -> Result<Self, Damage> {
        let mut session = [0; 16];
        session.copy_from_slice(&page[at::SESSION..at::SESSION + 16]);
        let length = u32_at(page, at::METADATA_LENGTH) as usize;
        let metadata = page[at::METADATA..]
            .get(..length)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .ok_or(Damage::HeaderContent("metadata that is not UTF-8 text of its length"))?;
        let code = u32_at(page, at::OPENING);
        let opening = OPENINGS
            .iter()
            .find(|row| row.1 == code)
            .ok_or(Damage::HeaderContent("an unknown way of opening"))?
            .0;
        let segment_size = u64_at(page, at::SEGMENT_SIZE);
        if !is_segment_size(segment_size) {
            return Err(Damage::HeaderContent("a segment size that is not allowed"));
        }
        let largest_payload = u32_at(page, at::LARGEST_PAYLOAD);
        if largest_payload as usize > layout::payload_room(segment_size) {
            return Err(Damage::HeaderContent("a largest payload that does not fit into the segment"));
        }
        Ok(Self {
            session: SessionHeader::read(SessionId(session), u64_at(page, at::CREATED_AT), metadata)?,
            number: u64_at(page, at::NUMBER),
            first_sequence: u64_at(page, at::FIRST_SEQUENCE),
            segment_size,
            largest_payload,
            opening,
            previous_end: u64_at(page, at::PREVIOUS_END),
            previous_checksum: u32_at(page, at::PREVIOUS_CHECKSUM),
        })
    }
}

pub(super) fn is_segment_size(size: u64) -> bool {
    (layout::SMALLEST_SEGMENT..=layout::LARGEST_SEGMENT).contains(&size) && size.is_multiple_of(4096)
}

const STRATEGY: &str = "strategy";
const CONFIGURATION: &str = "configuration";
const BUILD: &str = "build";

pub(super) const OPENINGS: [(Opening, u32); 3] =
    [(Opening::First, 1), (Opening::Rolled, 2), (Opening::Resumed, 3)];

/// Over the page without the checksum itself.
fn page_checksum(page: &[u8; HEADER_SIZE]) -> u32 {
    crc32c(crc32c(0, &page[..at::CHECKSUM]), &page[at::CHECKSUM + 4..])
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            session: SessionHeader {
                session: SessionId([7; 16]),
                created_at: 1_700_000_000_000_000_000,
                strategy: "market_maker".into(),
                configuration_hash: [0xAB; 32],
                build: "0.1.0 (grün)".into(),
                facts: vec![("seed".into(), "1=2".into())],
            },
            number: 3,
            first_sequence: 99,
            segment_size: 64 * 1024,
            largest_payload: 4096,
            opening: Opening::Rolled,
            previous_end: 5000,
            previous_checksum: 0xDEAD_BEEF,
        }
    }

    #[test]
    fn a_header_reads_as_it_was_written() {
        let (header, mut page) = (header(), [0; HEADER_SIZE]);
        let salt = header.encode(&header.session.metadata().unwrap(), &mut page);
        let (read, read_salt) = SegmentHeader::decode(&page).ok().unwrap();
        assert_eq!((read, read_salt), (header, salt));
    }

    #[test]
    fn no_flipped_bit_of_a_header_passes() {
        let (header, mut page) = (header(), [0; HEADER_SIZE]);
        header.encode(&header.session.metadata().unwrap(), &mut page);
        for bit in (0..HEADER_SIZE * 8).filter(|bit| bit / 8 < 256 || bit % 8 == bit / 8 % 8) {
            page[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&page).is_err(), "bit {bit}");
            page[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn metadata_that_cannot_be_read_back_is_refused() {
        let mut session = header().session;
        session.strategy = "a\nb".into();
        assert!(matches!(session.metadata(), Err(JournalError::Metadata { .. })));
        session.strategy = "x".repeat(METADATA_ROOM);
        assert!(matches!(session.metadata(), Err(JournalError::Metadata { .. })));
    }
}
