//! The byte layout of a journal: every offset and size, once. `docs/JOURNAL.md` is printed from these constants.
//!
//! A segment is a file of fixed size: a header page, then records, then zeros. All integers are little-endian.
//!
//! ```text
//! byte 0            4096                                       used        segment size
//!   | header page    | record | record | ... | record | closing |  zeros ...  |
//!
//! record, a multiple of 8 bytes, on a multiple of 8:
//!   0        4         8              16             24                       24 + n
//!   | commit | checksum | sequence     | time         | payload, n bytes ...   | zeros to 8 |
//!
//! commit:  kind << 24 | n         (never 0: kind 0 does not exist; stored last)
//! checksum: CRC-32C of bytes 8.. of the record with its closing zeros, begun from (salt XOR commit)
//! ```
//!
//! The salt of a segment is its header's checksum, and the header holds session, segment number and the chain to the segment before. So a record
//! that once stood in another segment, or another session, never passes. A word of zeros is "nothing here yet".

use crate::sys::checksum::crc32c;

/// First bytes of every segment, stored last when a segment is begun.
pub const MAGIC: [u8; 8] = *b"LINCHPIN";
/// The layout that this build writes, and the only one that it reads.
pub const VERSION: u32 = 1;

/// Everything stands on a multiple of this.
pub const ALIGNMENT: usize = 8;
/// Bytes of a segment before its first record.
pub const HEADER_SIZE: usize = 4096;
/// Bytes of a record before its payload.
pub const RECORD_HEADER_SIZE: usize = 24;

pub const SMALLEST_SEGMENT: u64 = 8 * 1024;
pub const LARGEST_SEGMENT: u64 = 4 * 1024 * 1024 * 1024;
/// The commit word has 24 bits for a payload's length.
pub const LARGEST_PAYLOAD: usize = (1 << 24) - 1;

/// Kinds from here on are the journal's own; callers use 1 to `FIRST_OWN_KIND - 1`.
pub const FIRST_OWN_KIND: u8 = 0xF0;
/// Closes a full segment: the journal goes on in the next one.
pub const KIND_ROLL: u8 = 0xFE;
/// Closes the last segment of a journal that ended on purpose.
pub const KIND_SEAL: u8 = 0xFF;

/// Payload of a closing record: how many of the callers' records are in this segment, then how many in the journal so far.
pub const CLOSING_PAYLOAD_SIZE: usize = 16;
/// Kept free at the end of each segment, so that it can always be closed. The last 8 bytes are never used: a closed
/// segment, cut to what it holds, is therefore shorter than an open one, and the reader can tell them apart.
pub const CLOSING_RESERVE: usize = record_size(CLOSING_PAYLOAD_SIZE) + ALIGNMENT;

/// Where each field of a record header begins.
pub mod record_at {
    pub const COMMIT: usize = 0;
    pub const CHECKSUM: usize = 4;
    pub const SEQUENCE: usize = 8;
    pub const TIME: usize = 16;
}

/// Where each field of the header page begins.
pub mod header_at {
    pub const MAGIC: usize = 0;
    pub const VERSION: usize = 8;
    pub const CHECKSUM: usize = 12;
    pub const SESSION: usize = 16;
    pub const NUMBER: usize = 32;
    pub const FIRST_SEQUENCE: usize = 40;
    pub const CREATED_AT: usize = 48;
    pub const SEGMENT_SIZE: usize = 56;
    pub const PREVIOUS_END: usize = 64;
    pub const PREVIOUS_CHECKSUM: usize = 72;
    pub const LARGEST_PAYLOAD: usize = 76;
    pub const OPENING: usize = 80;
    pub const METADATA_LENGTH: usize = 84;
    pub const METADATA: usize = 88;
}

/// The longest metadata block that fits into the header page.
pub const METADATA_ROOM: usize = HEADER_SIZE - header_at::METADATA;

/// Bytes that a record with this payload takes in the segment.
#[inline]
pub const fn record_size(payload: usize) -> usize {
    (RECORD_HEADER_SIZE + payload + (ALIGNMENT - 1)) & !(ALIGNMENT - 1)
}

/// `length` must not exceed `LARGEST_PAYLOAD`.
#[inline]
pub const fn commit_word(kind: u8, length: usize) -> u32 {
    (kind as u32) << 24 | length as u32
}

/// Kind and payload length.
#[inline]
pub const fn split_commit_word(word: u32) -> (u8, usize) {
    ((word >> 24) as u8, (word & 0x00FF_FFFF) as usize)
}

/// `rest` is the record from byte 8 to its end, the closing zeros included.
///
/// Two records that differ in the commit word alone begin from different states, so the word is covered although it is not in `rest`.
#[inline]
pub fn checksum(salt: u32, commit: u32, rest: &[u8]) -> u32 {
    crc32c(salt ^ commit, rest)
}

/// The largest payload that a segment of this size can hold.
pub const fn payload_room(segment_size: u64) -> usize {
    let room = segment_size as usize - HEADER_SIZE - CLOSING_RESERVE - RECORD_HEADER_SIZE;
    if room < LARGEST_PAYLOAD { room & !(ALIGNMENT - 1) } else { LARGEST_PAYLOAD }
}

/// Name of a segment file.
pub fn segment_name(number: u64) -> String {
    format!("{number:06}.seg")
}

/// The number in a segment's name; `None` when the name is not exactly what `segment_name` gives.
pub fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".seg")?.parse().ok()?;
    (segment_name(number) == name && number > 0).then_some(number)
}

/// The little-endian integer at an offset of a slice; 0 beyond its end, which no caller's checked length allows.
#[inline]
pub fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
}

#[inline]
pub fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_word_is_never_zero_for_a_kind_that_exists() {
        assert_eq!(split_commit_word(commit_word(1, 0)), (1, 0));
        assert_eq!(split_commit_word(commit_word(KIND_SEAL, LARGEST_PAYLOAD)), (KIND_SEAL, LARGEST_PAYLOAD));
        assert_ne!(commit_word(1, 0), 0);
    }

    #[test]
    fn records_take_multiples_of_eight() {
        assert_eq!([0, 1, 8, 9].map(record_size), [24, 32, 32, 40]);
    }

    #[test]
    fn a_segment_name_is_read_only_as_it_is_written() {
        assert_eq!(segment_number("000001.seg"), Some(1));
        assert_eq!(segment_number("1000000.seg"), Some(1_000_000));
        for wrong in
            ["1.seg", "0000001.seg", "000000.seg", "+00001.seg", "000001.seg.bak", "copy of 000001.seg"]
        {
            assert_eq!(segment_number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_largest_payload_of_the_smallest_segment_fits_into_it() {
        let used = HEADER_SIZE + record_size(payload_room(SMALLEST_SEGMENT)) + CLOSING_RESERVE;
        assert!(used as u64 <= SMALLEST_SEGMENT);
    }
}
