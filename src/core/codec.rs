//! Little-endian bytes of fixed-size things: how events, dispatches and decisions become journal payloads and come back.
//!
//! The layouts are drawn beside the types. Writing past the end or reading past it is an error, never a panic.
//! Hot.

/// A payload is at most this long.
pub const MAX_PAYLOAD: usize = 128;

/// Writes fields one after the other into a fixed slot.
pub struct Encoder<'a> {
    slot: &'a mut [u8],
    at: usize,
}

impl<'a> Encoder<'a> {
    #[inline]
    pub fn new(slot: &'a mut [u8]) -> Self {
        Self { slot, at: 0 }
    }
    #[inline]
    pub fn bytes<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some(room) = self.slot.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut::<N>()) {
            *room = bytes;
            self.at += N;
        } else {
            // A slot of MAX_PAYLOAD holds every type (asserted in tests); a shorter one makes the length disagree, which readers refuse.
            self.at = usize::MAX / 2;
        }
    }
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.bytes([value]);
    }
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.bytes(value.to_le_bytes());
    }
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.bytes(value.to_le_bytes());
    }
    #[inline]
    pub fn i32(&mut self, value: i32) {
        self.bytes(value.to_le_bytes());
    }
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.bytes(value.to_le_bytes());
    }
    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.bytes(value.to_le_bytes());
    }
    #[inline]
    pub fn i128(&mut self, value: i128) {
        self.bytes(value.to_le_bytes());
    }
    #[inline]
    pub fn length(&self) -> usize {
        self.at
    }
}

/// Why bytes are not the thing they are said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The payload ends before its fields do.
    Short,
    /// The payload goes on after its fields end.
    Long,
    /// A code that this version does not know.
    UnknownCode { field: &'static str, code: u64 },
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Short => f.write_str("payload too short"),
            Self::Long => f.write_str("payload too long"),
            Self::UnknownCode { field, code } => write!(f, "unknown {field} code {code}"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Reads fields one after the other.
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }
    pub fn bytes<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (field, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(*field)
    }
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.bytes::<1>().map(|[b]| b)
    }
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.bytes().map(u16::from_le_bytes)
    }
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.bytes().map(u32::from_le_bytes)
    }
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.bytes().map(i32::from_le_bytes)
    }
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.bytes().map(u64::from_le_bytes)
    }
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.bytes().map(i64::from_le_bytes)
    }
    pub fn i128(&mut self) -> Result<i128, DecodeError> {
        self.bytes().map(i128::from_le_bytes)
    }
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Long) }
    }
}

/// A C-like enum with a stable one-byte code and a printable name: one row a line, used for the journal and for people.
#[macro_export]
macro_rules! coded {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $code),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            #[inline]
            pub const fn code(self) -> u8 {
                self as u8
            }
            pub const fn from_code(code: u8) -> Result<Self, $crate::codec::DecodeError> {
                match code {
                    $($code => Ok(Self::$variant),)+
                    other => Err($crate::codec::DecodeError::UnknownCode { field: stringify!($name), code: other as u64 }),
                }
            }
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl $crate::snapshot::Value for $name {
            fn write<S: $crate::snapshot::Sink + ?Sized>(&self, to: &mut S) {
                to.word(u64::from(self.code()));
            }
            fn read(from: &mut $crate::snapshot::Words<'_>) -> Result<Self, $crate::snapshot::SnapshotError> {
                let word = from.word()?;
                let code = u8::try_from(word).ok().and_then(|code| Self::from_code(code).ok());
                code.ok_or_else(|| from.unfit(stringify!($name), word))
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
