//! Identities: dense indices for what we number ourselves, opaque keys for what others name.
//! Hot.

use core::fmt;

use crate::snapshot::{Sink, SnapshotError, Value, Words};

macro_rules! index {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub $int);

        impl $name {
            /// No such thing: the value that stands for absence on the wire and in tables.
            pub const NONE: Self = Self(<$int>::MAX);
            #[inline]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
            #[inline]
            pub const fn is_none(self) -> bool {
                self.0 == <$int>::MAX
            }
        }

        impl $crate::snapshot::Value for $name {
            #[inline]
            fn write<S: $crate::snapshot::Sink + ?Sized>(&self, to: &mut S) {
                self.0.write(to);
            }
            #[inline]
            fn read(from: &mut $crate::snapshot::Words<'_>) -> Result<Self, $crate::snapshot::SnapshotError> {
                $crate::snapshot::Value::read(from).map(Self)
            }
        }
    };
}

index!(
    /// A venue connection profile, in the order of the configuration. At most 8.
    VenueId(u8)
);
index!(
    /// A tradable instrument, in the order of the configuration. At most 256.
    InstrumentId(u16)
);
index!(
    /// A strategy instance, in the order of the configuration. At most 16; `EXTERNAL` owns what we did not make.
    StrategyId(u8)
);
index!(
    /// An asset that balances and fees are counted in, in order of first mention in the configuration.
    AssetId(u8)
);
index!(
    /// A row of the order table. Rows are reused after an order is terminal and forgotten.
    OrderIndex(u32)
);

impl StrategyId {
    /// Orders made by others on our account: adopted, shown, counted in exposure, never touched by a strategy.
    pub const EXTERNAL: Self = Self(u8::MAX - 1);
    /// Orders that the workflow itself makes (a flatten): nobody's slot, and their fills are those of whom they close.
    pub const WORKFLOW: Self = Self(u8::MAX - 2);
}

/// The key of an order within its strategy: the strategy names its own slots (a market maker's bid is slot 0, its ask
/// slot 1). At most one pending command and one outstanding request exist per key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey {
    pub strategy: StrategyId,
    pub slot: u16,
}

crate::saved! { value OrderKey { strategy, slot } }

/// The venue's own number of an order; zero while unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct VenueOrderId(pub u64);

impl Value for VenueOrderId {
    fn write<S: Sink + ?Sized>(&self, to: &mut S) {
        to.word(self.0);
    }
    fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError> {
        from.word().map(Self)
    }
}

/// FIX ClOrdID: an opaque key of 16 bytes, looked up, never parsed for meaning.
///
/// Text of up to 16 bytes stands as it is, zero-padded. Longer text (only others write it) is a digest whose first byte
/// is 0xFF, which no text begins with; such an order is addressed by its `VenueOrderId`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ClientOrderId(pub [u8; 16]);

impl Value for ClientOrderId {
    fn write<S: Sink + ?Sized>(&self, to: &mut S) {
        u128::from_le_bytes(self.0).write(to);
    }
    fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError> {
        u128::read(from).map(|bits| Self(bits.to_le_bytes()))
    }
}

impl ClientOrderId {
    pub const NONE: Self = Self([0; 16]);

    /// From the venue's text. Deterministic for every length.
    pub fn from_text(text: &[u8]) -> Self {
        let mut bytes = [0u8; 16];
        if text.len() <= 16 && text.first() != Some(&0xFF) {
            for (slot, byte) in bytes.iter_mut().zip(text) {
                *slot = *byte;
            }
            return Self(bytes);
        }
        // FNV-1a, 128 bits: spread is all that is asked of it.
        let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        for byte in text {
            hash ^= u128::from(*byte);
            hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
        bytes = hash.to_le_bytes();
        if let Some(first) = bytes.first_mut() {
            *first = 0xFF;
        }
        Self(bytes)
    }

    /// Our own ids: a run's tag, then the order's number in base 32. Unique within a run by the number, across runs by the tag.
    pub fn compose(tag: [u8; 5], number: u64) -> Self {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut bytes = [0u8; 16];
        let mut rest = number;
        for (at, slot) in bytes.iter_mut().enumerate().rev() {
            *slot = match at {
                0..5 => tag.get(at).copied().unwrap_or(b'0'),
                5 => b'-',
                _ => {
                    let digit = DIGITS.get((rest & 31) as usize).copied().unwrap_or(b'0');
                    rest >>= 5;
                    digit
                }
            };
        }
        Self(bytes)
    }

    /// The text to send, or `None` for a digest of longer text, and for what no message could bear as it stands: venues take letters,
    /// digits and `.:/_-`.
    #[inline]
    pub fn text(&self) -> Option<&str> {
        let length = self.0.iter().position(|b| *b == 0).unwrap_or(16);
        let bytes = self.0.get(..length)?;
        let plain =
            bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'/' | b'_' | b'-'));
        plain.then(|| core::str::from_utf8(bytes).ok()).flatten()
    }

    #[inline]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

impl fmt::Debug for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => f.write_str(text),
            None => {
                f.write_str("#")?;
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn our_ids_are_sixteen_characters_that_every_venue_takes() {
        let id = ClientOrderId::compose(*b"k3f9a", 33);
        assert_eq!(id.to_string(), "k3f9a-0000000011");
        assert_eq!(ClientOrderId::from_text(b"k3f9a-0000000011"), id);
    }

    /// Found by the fuzz target `requests`: such an id went into a request as it stood.
    #[test]
    fn an_id_that_would_break_a_message_has_no_text_to_send() {
        for id in [&b"a\"b"[..], b"a\\b", b"a\x02b", b"a&b=c", b"a b", "\u{e9}".as_bytes()] {
            assert_eq!(ClientOrderId::from_text(id).text(), None, "{id:?}");
        }
        assert_eq!(ClientOrderId::from_text(b"x-Ab9_.:/").text(), Some("x-Ab9_.:/"));
    }

    #[test]
    fn long_text_of_others_becomes_a_digest_that_no_text_equals() {
        let one = ClientOrderId::from_text(b"web_aBcDeFgHiJkLmNoPqRsT");
        let two = ClientOrderId::from_text(b"web_aBcDeFgHiJkLmNoPqRsU");
        assert_ne!(one, two);
        assert_eq!(one.text(), None);
        assert!(one.to_string().starts_with("#ff"));
    }
}
