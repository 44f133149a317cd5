//! WebSocket frames (RFC 6455 section 5), as a client: bytes in, messages out, and no socket.
//!
//! ```text
//!   byte 0: |FIN|RSV1 RSV2 RSV3|  opcode 4  |     opcodes: 0 continuation, 1 text, 2 binary, 8 close, 9 ping, A pong
//!   byte 1: |MASK|    length 7              |     126: 2 more bytes hold it, 127: 8 more
//!   then  : [length 2 or 8, big-endian] [mask 4, from the client only] [payload]
//! ```
//!
//! Written by hand rather than taken from tungstenite for three reasons: a message is handed out where it lies in the
//! receive buffer (no copy, no allocation; tungstenite allocates for each), the read call does not zero its buffer, and the
//! embedded venue's framing *is* tungstenite, so that both ends do not share a bug. The tests use it as the judge.
//!
//! Promises: a message within the bounds costs no allocation once the buffers are warm; nothing is handed out that is not
//! whole; no input panics, and none makes a buffer grow past its bound.
//! Hot.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

use std::ops::Range;

/// The most that a control frame may carry.
pub const CONTROL_MAX: usize = 125;

/// Two bytes, eight of length, four of mask.
const HEADER_MAX: usize = 14;

/// Why the peer's bytes are not WebSocket frames that we can take. The connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a reserved bit is set, but no extension was agreed")]
    ReservedBits,
    #[error("unknown opcode {0}")]
    Opcode(u8),
    #[error("the server masked a frame")]
    Masked,
    #[error("a control frame is fragmented or longer than 125 bytes")]
    Control,
    #[error("a continuation without a beginning, or a beginning within a message")]
    Fragments,
    #[error("a message of at least {size} bytes, the limit is {limit}")]
    TooBig { size: u64, limit: usize },
    #[error("a text message is not UTF-8")]
    NotUtf8,
    #[error("a close frame with one byte of code")]
    CloseCode,
}

impl FrameError {
    /// The close code that tells the peer (RFC 6455 section 7.4.1).
    pub fn close_code(self) -> u16 {
        match self {
            Self::TooBig { .. } => 1009,
            Self::NotUtf8 => 1007,
            _ => 1002,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// A whole message and where its payload lies; [`Inbox::payload`] gives the bytes until the inbox is fed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub kind: Kind,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Received(Range<usize>),
    Assembled,
}

/// Received bytes, and what becomes of them.
///
/// ```text
///   buffer: [ used | start .. whole and partial frames .. end | free, for the next read ]
/// ```
#[derive(Debug)]
pub struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Payloads of a fragmented message, put together. The exchange does not fragment; others may.
    assembly: Vec<u8>,
    assembling: Option<Kind>,
    max_message: usize,
}

impl Inbox {
    /// `capacity` is allocated now and holds the usual messages; a larger one, up to `max_message`, makes it grow once.
    pub fn new(capacity: usize, max_message: usize) -> Self {
        let capacity = capacity.max(HEADER_MAX.saturating_add(CONTROL_MAX));
        Self {
            buffer: vec![0; capacity],
            start: 0,
            end: 0,
            assembly: Vec::new(),
            assembling: None,
            max_message,
        }
    }

    /// Room for the next read: never empty. Call it only after [`next_message`](Self::next_message) said that nothing whole is left.
    #[inline]
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        // What the frame at the front needs in all, as far as its header is known already.
        let needed = match Header::read(self.unread()) {
            Ok(Some(header)) => header.frame_length().unwrap_or(usize::MAX),
            _ => HEADER_MAX,
        };
        let room = self.buffer.len().saturating_sub(self.start);
        // Also when little is left behind: a partial frame is moved once rather than read in crumbs.
        let free = self.buffer.len().saturating_sub(self.end);
        if room < needed || (self.start > 0 && free < self.buffer.len() / 4) {
            self.make_room(needed);
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// The read put `count` bytes into the space.
    #[inline]
    pub fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.buffer.len());
    }

    /// The next whole message, or `None` until more bytes come.
    #[inline]
    pub fn next_message(&mut self) -> Result<Option<Item>, FrameError> {
        loop {
            let Some(header) = Header::read(self.unread())? else { return Ok(None) };
            self.check(&header)?;
            // `check` bounded the length, so the sums stay far from overflow.
            let Some(length) = header.frame_length() else { return Ok(None) };
            if self.end.saturating_sub(self.start) < length {
                return Ok(None);
            }
            let end = self.start.saturating_add(length);
            let payload = self.start.saturating_add(header.size)..end;
            self.start = end;
            if let Some(item) = self.take(&header, payload)? {
                return Ok(Some(item));
            }
        }
    }

    /// The bytes of a message that `next_message` just gave.
    #[inline]
    pub fn payload(&self, item: &Item) -> &[u8] {
        match &item.place {
            Place::Received(range) => self.buffer.get(range.clone()).unwrap_or_default(),
            Place::Assembled => &self.assembly,
        }
    }

    /// Bytes that came after what was handed out: at least a part of the next frame is here.
    #[inline]
    pub fn has_unread(&self) -> bool {
        self.start != self.end
    }

    /// What was received and not handed out. Before the first frame this is the answer to the upgrade.
    #[inline]
    pub fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Passes over bytes that are no frames.
    pub fn skip(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// May this frame stand here, and is it within the bounds? Asked as soon as the header is here, so that no room is made
    /// for what will be refused.
    #[inline]
    fn check(&self, header: &Header) -> Result<(), FrameError> {
        match header.opcode {
            OPCODE_CLOSE..=OPCODE_PONG => {
                if !header.last || header.length > CONTROL_MAX as u64 {
                    return Err(FrameError::Control);
                }
                return Ok(());
            }
            OPCODE_CONTINUATION if self.assembling.is_none() => return Err(FrameError::Fragments),
            OPCODE_TEXT | OPCODE_BINARY if self.assembling.is_some() => return Err(FrameError::Fragments),
            _ => {}
        }
        let before = if self.assembling.is_some() { self.assembly.len() as u64 } else { 0 };
        let size = before.saturating_add(header.length);
        if size > self.max_message as u64 {
            return Err(FrameError::TooBig { size, limit: self.max_message });
        }
        Ok(())
    }

    #[inline]
    fn take(&mut self, header: &Header, payload: Range<usize>) -> Result<Option<Item>, FrameError> {
        let kind = match header.opcode {
            OPCODE_TEXT => Kind::Text,
            OPCODE_BINARY => Kind::Binary,
            OPCODE_CONTINUATION => return self.assemble(header.last, payload),
            OPCODE_CLOSE if header.length == 1 => return Err(FrameError::CloseCode),
            OPCODE_CLOSE => Kind::Close,
            OPCODE_PING => Kind::Ping,
            _ => Kind::Pong,
        };
        if !header.last {
            self.assembling = Some(kind);
            self.assembly.clear();
            return self.assemble(false, payload);
        }
        let item = Item { kind, place: Place::Received(payload) };
        if kind == Kind::Text {
            self.check_text(&item)?;
        }
        Ok(Some(item))
    }

    #[cold]
    fn assemble(&mut self, last: bool, payload: Range<usize>) -> Result<Option<Item>, FrameError> {
        // Bounded by `check`.
        self.assembly.extend_from_slice(self.buffer.get(payload).unwrap_or_default());
        if !last {
            return Ok(None);
        }
        let Some(kind) = self.assembling.take() else { return Err(FrameError::Fragments) };
        let item = Item { kind, place: Place::Assembled };
        if kind == Kind::Text {
            self.check_text(&item)?;
        }
        Ok(Some(item))
    }

    #[inline]
    fn check_text(&self, item: &Item) -> Result<(), FrameError> {
        let text = self.payload(item);
        // Venue messages are ASCII nearly always, and that is quickly seen.
        if text.is_ascii() || std::str::from_utf8(text).is_ok() { Ok(()) } else { Err(FrameError::NotUtf8) }
    }

    #[cold]
    fn make_room(&mut self, needed: usize) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end = self.end.saturating_sub(self.start);
        self.start = 0;
        // A frame over the bound is refused by `next_message` before this is reached; the limit here is the second lock on that door.
        let limit = self.max_message.saturating_add(HEADER_MAX).max(self.buffer.len());
        let needed = needed.min(limit);
        if needed > self.buffer.len() {
            self.buffer.resize(needed, 0);
        }
    }
}

const OPCODE_CONTINUATION: u8 = 0x0;
const OPCODE_TEXT: u8 = 0x1;
const OPCODE_BINARY: u8 = 0x2;
const OPCODE_CLOSE: u8 = 0x8;
const OPCODE_PING: u8 = 0x9;
const OPCODE_PONG: u8 = 0xa;

#[derive(Debug)]
struct Header {
    last: bool,
    opcode: u8,
    length: u64,
    /// Of the header itself, in bytes.
    size: usize,
}

impl Header {
    /// `None` while not all of the header is here.
    #[inline]
    fn read(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(FrameError::ReservedBits);
        }
        let opcode = first & 0x0f;
        if !matches!(opcode, OPCODE_CONTINUATION..=OPCODE_BINARY | OPCODE_CLOSE..=OPCODE_PONG) {
            return Err(FrameError::Opcode(opcode));
        }
        if second & 0x80 != 0 {
            return Err(FrameError::Masked);
        }
        let (length, size) = match second & 0x7f {
            126 => match rest.first_chunk::<2>() {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
                None => return Ok(None),
            },
            127 => match rest.first_chunk::<8>() {
                Some(length) => (u64::from_be_bytes(*length), 10),
                None => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        Ok(Some(Self { last: first & 0x80 != 0, opcode, length, size }))
    }

    #[inline]
    fn frame_length(&self) -> Option<usize> {
        usize::try_from(self.length).ok()?.checked_add(self.size)
    }
}

/// The bytes that a frame of ours takes on the wire.
#[inline]
pub fn encoded_length(payload: usize) -> usize {
    let header: usize = match payload {
        0..=125 => 6,
        126..=0xffff => 8,
        _ => HEADER_MAX,
    };
    header.saturating_add(payload)
}

/// Appends one whole frame. `mask` must not be predictable for who chooses the payload (RFC 6455 section 10.3).
#[inline]
pub fn encode(kind: Kind, payload: &[u8], mask: u32, out: &mut Vec<u8>) {
    let opcode = match kind {
        Kind::Text => OPCODE_TEXT,
        Kind::Binary => OPCODE_BINARY,
        Kind::Close => OPCODE_CLOSE,
        Kind::Ping => OPCODE_PING,
        Kind::Pong => OPCODE_PONG,
    };
    out.push(0x80 | opcode);
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        middle @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    let mask = mask.to_ne_bytes();
    out.extend_from_slice(&mask);
    let begin = out.len();
    out.extend_from_slice(payload);
    apply_mask(out.get_mut(begin..).unwrap_or_default(), mask);
}

/// Eight bytes at a time; the mask's period of four divides that.
#[inline]
fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, tail) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in tail.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;
    use tungstenite::protocol::Role;
    use tungstenite::{Message, WebSocket};

    const LIMIT: usize = 100_000;

    /// Feeds `bytes` in pieces of the given sizes, again and again, and collects all that comes out.
    fn feed(bytes: &[u8], pieces: &[usize], capacity: usize) -> Result<Vec<(Kind, Vec<u8>)>, FrameError> {
        let mut inbox = Inbox::new(capacity, LIMIT);
        let mut got = Vec::new();
        let mut rest = bytes;
        let mut pieces = pieces.iter().cycle();
        while !rest.is_empty() {
            let space = inbox.space();
            assert!(!space.is_empty());
            let count = (*pieces.next().unwrap()).clamp(1, space.len().min(rest.len()));
            space[..count].copy_from_slice(&rest[..count]);
            inbox.filled(count);
            rest = &rest[count..];
            while let Some(item) = inbox.next_message()? {
                got.push((item.kind, inbox.payload(&item).to_vec()));
            }
            assert!(inbox.buffer.len() <= capacity.max(LIMIT + HEADER_MAX));
        }
        Ok(got)
    }

    fn message(kind: Kind, payload: &[u8]) -> Message {
        match kind {
            Kind::Text => Message::text(String::from_utf8(payload.to_vec()).unwrap()),
            Kind::Binary => Message::binary(payload.to_vec()),
            Kind::Ping => Message::Ping(payload.to_vec().into()),
            Kind::Pong => Message::Pong(payload.to_vec().into()),
            Kind::Close => unreachable!("the judge keeps closes to itself"),
        }
    }

    fn messages() -> impl Strategy<Value = Vec<(Kind, Vec<u8>)>> {
        let length = prop_oneof![0..130_usize, 65_530..65_540_usize, 0..3_000_usize];
        let data = (any::<bool>(), length, any::<u8>()).prop_map(|(text, length, byte)| {
            let kind = if text { Kind::Text } else { Kind::Binary };
            let byte = if text { byte % 128 } else { byte };
            (
                kind,
                (0..length)
                    .map(|at| byte.wrapping_add((at % 3) as u8) % if text { 128 } else { 255 })
                    .collect(),
            )
        });
        let control = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..=CONTROL_MAX))
            .prop_map(|(ping, payload)| (if ping { Kind::Ping } else { Kind::Pong }, payload));
        prop::collection::vec(prop_oneof![4 => data, 1 => control], 1..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_tungstenite_writes_comes_out_the_same_however_it_is_torn(
            messages in messages(),
            pieces in prop::collection::vec(prop_oneof![1..20_usize, 1..70_000_usize], 1..10),
            capacity in 1..5_000_usize,
        ) {
            let mut judge = WebSocket::from_raw_socket(Cursor::new(Vec::new()), Role::Server, None);
            for (kind, payload) in &messages {
                judge.send(message(*kind, payload)).unwrap();
            }
            let bytes = judge.get_ref().get_ref().clone();
            prop_assert_eq!(feed(&bytes, &pieces, capacity).unwrap(), messages);
        }

        #[test]
        fn what_we_write_is_read_the_same_by_tungstenite(messages in messages(), mask in any::<u32>()) {
            let mut bytes = Vec::new();
            for (kind, payload) in &messages {
                let before = bytes.len();
                encode(*kind, payload, mask, &mut bytes);
                prop_assert_eq!(bytes.len() - before, encoded_length(payload.len()));
            }
            let mut judge = WebSocket::from_raw_socket(Cursor::new(bytes), Role::Server, None);
            // The judge answers pings into the same cursor, behind what it still has to read; so it reads from a copy.
            let input = judge.get_ref().get_ref().clone();
            judge = WebSocket::from_partially_read(Cursor::new(Vec::new()), input, Role::Server, None);
            for (kind, payload) in &messages {
                prop_assert_eq!(judge.read().unwrap(), message(*kind, payload));
            }
        }

        #[test]
        fn no_bytes_make_it_panic_or_grow(
            bytes in prop::collection::vec(any::<u8>(), 0..2_000),
            pieces in prop::collection::vec(1..64_usize, 1..5),
        ) {
            let _ = feed(&bytes, &pieces, 64);
        }
    }

    #[test]
    fn fragments_are_put_together_with_control_frames_between_them() {
        let bytes =
            [&[0x01, 2][..], b"he", &[0x89, 1], b"?", &[0x00, 2], b"ll", &[0x80, 1], b"o", &[0x81, 1], b"!"]
                .concat();
        for piece in 1..bytes.len() {
            let got = feed(&bytes, &[piece], 16).unwrap();
            let expected = [(Kind::Ping, &b"?"[..]), (Kind::Text, b"hello"), (Kind::Text, b"!")];
            assert_eq!(got, expected.map(|(kind, payload)| (kind, payload.to_vec())));
        }
    }

    #[test]
    fn each_break_of_the_protocol_has_its_own_refusal() {
        #[rustfmt::skip]
        let table: [(&[u8], FrameError); 13] = [
            (&[0xc1, 0],                            FrameError::ReservedBits),
            (&[0x83, 0],                            FrameError::Opcode(3)),
            (&[0x8b, 0],                            FrameError::Opcode(11)),
            (&[0x81, 0x80],                         FrameError::Masked),
            (&[0x09, 0],                            FrameError::Control),
            (&[0x89, 126, 0, 126],                  FrameError::Control),
            (&[0x80, 0],                            FrameError::Fragments),
            (&[0x01, 0, 0x81, 0],                   FrameError::Fragments),
            (&[0x82, 127, 0, 0, 0, 0, 0, 1, 0x86, 0xa1], FrameError::TooBig { size: 100_001, limit: LIMIT }),
            (&[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255], FrameError::TooBig { size: u64::MAX, limit: LIMIT }),
            (&[0x81, 1, 0xff],                      FrameError::NotUtf8),
            (&[0x01, 1, 0xc3, 0x80, 1, 0x28],       FrameError::NotUtf8),
            (&[0x88, 1, 0],                         FrameError::CloseCode),
        ];
        for (bytes, error) in table {
            assert_eq!(feed(bytes, &[1], 64), Err(error), "{bytes:x?}");
            assert!((1_002..=1_009).contains(&error.close_code()));
        }
    }

    #[test]
    fn a_fragmented_message_cannot_grow_past_the_limit_piece_by_piece() {
        let mut bytes = vec![0x02, 126, 0xff, 0xff];
        bytes.extend(vec![0; 0xffff]);
        bytes.extend([0x00, 126, 0xff, 0xff]);
        bytes.extend(vec![0; 0xffff]);
        assert_eq!(feed(&bytes, &[4_096], 64), Err(FrameError::TooBig { size: 131_070, limit: LIMIT }));
    }

    #[test]
    fn a_character_torn_between_two_fragments_is_still_whole() {
        let bytes = [0x01, 1, 0xc3, 0x80, 1, 0xa9];
        assert_eq!(feed(&bytes, &[1], 64).unwrap(), [(Kind::Text, "é".as_bytes().to_vec())]);
    }
}
