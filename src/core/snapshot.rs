//! State as bytes: one traversal a type, whose words are hashed, written, or read back.
//!
//! The form is a row of 64-bit little-endian words, field after field in the order of the `saved!` lists beside the types.
//! Everything that decides what comes next is in it, so that the hash of the form is the state's hash, and a snapshot with
//! the later events is the same as all events. The form is versioned: a change of what is saved, or in which order, raises
//! `VERSION`.
//!
//! ```text
//! "linchpin" | VERSION | hash of the opening configuration | section name | its fields | section name | ...
//! ```
//! A field cannot be forgotten: `saved!` takes a type apart field by field, and a new one that is in no list does not compile.
//! Hot.

use alloc::vec::Vec;
use core::fmt;

/// The form's version: raised by every change of what is saved.
pub const VERSION: u64 = 10;

/// Where words go: into a hash, or into bytes.
pub trait Sink {
    fn word(&mut self, word: u64);
}

impl<S: Sink + ?Sized> Sink for &mut S {
    #[inline]
    fn word(&mut self, word: u64) {
        (**self).word(word);
    }
}

/// A value that is read anew: it needs nothing but its own words.
pub trait Value: Sized {
    fn write<S: Sink + ?Sized>(&self, to: &mut S);
    fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError>;
}

/// State that is loaded in place: what it owes to configuration (capacities, ids) stays, what events made of it comes back.
pub trait Saved {
    fn save<S: Sink + ?Sized>(&self, to: &mut S);
    fn load(&mut self, from: &mut Words<'_>) -> Result<(), SnapshotError>;
}

impl<T: Value> Saved for T {
    #[inline]
    fn save<S: Sink + ?Sized>(&self, to: &mut S) {
        self.write(to);
    }
    fn load(&mut self, from: &mut Words<'_>) -> Result<(), SnapshotError> {
        *self = T::read(from)?;
        Ok(())
    }
}

/// A table made once: as many rows as there are, no more and no fewer.
impl<T: Saved> Saved for Vec<T> {
    fn save<S: Sink + ?Sized>(&self, to: &mut S) {
        to.word(self.len() as u64);
        self.iter().for_each(|row| row.save(to));
    }
    fn load(&mut self, from: &mut Words<'_>) -> Result<(), SnapshotError> {
        let (at, found) = (from.at, from.word()?);
        if found != self.len() as u64 {
            return Err(SnapshotError::Rows { found, expected: self.len() as u64, at });
        }
        self.iter_mut().try_for_each(|row| row.load(from))
    }
}

/// A list that grows and shrinks within its capacity.
pub fn save_list<T: Value, S: Sink + ?Sized>(list: &[T], to: &mut S) {
    to.word(list.len() as u64);
    list.iter().for_each(|item| item.write(to));
}

/// In place of what the list held. More than its capacity is refused: nothing allocates.
pub fn load_list<T: Value>(list: &mut Vec<T>, from: &mut Words<'_>) -> Result<(), SnapshotError> {
    let (at, found) = (from.at, from.word()?);
    if found > list.capacity() as u64 {
        return Err(SnapshotError::TooMany { found, room: list.capacity() as u64, at });
    }
    list.clear();
    for _ in 0..found {
        list.push(T::read(from)?);
    }
    Ok(())
}

/// The saved form of a type, from one list of its fields.
///
/// ```text
/// saved! { value Top { bid, ask, update_id } }                       read anew: every field is a value
/// saved! { table Queue { admissions } lists { pending } kept { capacity } }   in place: `kept` comes from configuration
/// saved! { choice Agreement { Agrees = 0, DiffersSince(since) = 1, Inconsistent = 2 } }
/// ```
#[macro_export]
macro_rules! saved {
    (value $name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::snapshot::Value for $name {
            fn write<S: $crate::snapshot::Sink + ?Sized>(&self, _to: &mut S) {
                let Self { $($field),* } = self;
                $($crate::snapshot::Value::write($field, _to);)*
            }
            fn read(_from: &mut $crate::snapshot::Words<'_>) -> Result<Self, $crate::snapshot::SnapshotError> {
                Ok(Self { $($field: $crate::snapshot::Value::read(_from)?),* })
            }
        }
    };
    (table $name:ident { $($field:ident),* $(,)? } $(lists { $($list:ident),* $(,)? })? $(kept { $($kept:ident),* $(,)? })?) => {
        impl $crate::snapshot::Saved for $name {
            fn save<S: $crate::snapshot::Sink + ?Sized>(&self, _to: &mut S) {
                let Self { $($field,)* $($($list,)*)? $($($kept: _,)*)? } = self;
                $($crate::snapshot::Saved::save($field, _to);)*
                $($($crate::snapshot::save_list($list, _to);)*)?
            }
            fn load(
                &mut self,
                _from: &mut $crate::snapshot::Words<'_>,
            ) -> Result<(), $crate::snapshot::SnapshotError> {
                let Self { $($field,)* $($($list,)*)? $($($kept: _,)*)? } = self;
                $($crate::snapshot::Saved::load($field, _from)?;)*
                $($($crate::snapshot::load_list($list, _from)?;)*)?
                Ok(())
            }
        }
    };
    (choice $name:ident {
        $($variant:ident $(( $($place:ident),+ ))? $({ $($field:ident),+ })? = $code:literal),+ $(,)?
    }) => {
        impl $crate::snapshot::Value for $name {
            fn write<S: $crate::snapshot::Sink + ?Sized>(&self, to: &mut S) {
                match self {
                    $(Self::$variant $(( $($place),+ ))? $({ $($field),+ })? => {
                        to.word($code);
                        $($($crate::snapshot::Value::write($place, to);)+)?
                        $($($crate::snapshot::Value::write($field, to);)+)?
                    })+
                }
            }
            fn read(from: &mut $crate::snapshot::Words<'_>) -> Result<Self, $crate::snapshot::SnapshotError> {
                match from.word()? {
                    $($code => {
                        $($(let $place = $crate::snapshot::Value::read(from)?;)+)?
                        $($(let $field = $crate::snapshot::Value::read(from)?;)+)?
                        Ok(Self::$variant $(( $($place),+ ))? $({ $($field),+ })?)
                    })+
                    other => Err(from.unfit(stringify!($name), other)),
                }
            }
        }
    };
}

/// Reads words one after the other.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    rest: &'a [u8],
    /// Words read.
    at: u64,
}

impl<'a> Words<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    #[inline]
    pub fn word(&mut self) -> Result<u64, SnapshotError> {
        let (word, rest) = self.rest.split_first_chunk().ok_or(SnapshotError::Short { at: self.at })?;
        self.rest = rest;
        self.at += 1;
        Ok(u64::from_le_bytes(*word))
    }

    /// The word just read is none that this field can have.
    #[cold]
    pub fn unfit(&self, field: &'static str, found: u64) -> SnapshotError {
        SnapshotError::Unfit { field, found, at: self.at.saturating_sub(1) }
    }

    /// A count or a place: at most `most`.
    pub fn bounded(&mut self, field: &'static str, most: usize) -> Result<usize, SnapshotError> {
        let word = self.word()?;
        usize::try_from(word).ok().filter(|count| *count <= most).ok_or_else(|| self.unfit(field, word))
    }

    /// A section begins here.
    pub fn section(&mut self, name: &'static str) -> Result<(), SnapshotError> {
        if self.word()? == section_word(name) {
            Ok(())
        } else {
            Err(SnapshotError::Section { expected: name, at: self.at.saturating_sub(1) })
        }
    }

    /// Nothing may follow.
    pub fn finish(self) -> Result<(), SnapshotError> {
        if self.rest.is_empty() { Ok(()) } else { Err(SnapshotError::Long { at: self.at }) }
    }
}

/// Marks where a section begins, so that a form read by another traversal than wrote it is found out at once.
pub fn save_section<S: Sink + ?Sized>(name: &'static str, to: &mut S) {
    to.word(section_word(name));
}

/// The name's first eight bytes: readable in a dump.
fn section_word(name: &str) -> u64 {
    let mut word = [0u8; 8];
    for (place, byte) in word.iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    u64::from_le_bytes(word)
}

/// Begins a form made under this configuration.
pub fn save_header<S: Sink + ?Sized>(configuration: u64, to: &mut S) {
    save_section("linchpin", to);
    to.word(VERSION);
    to.word(configuration);
}

/// Refuses what is no saved state, or of another version. Returns the hash of the configuration that it was made under.
pub fn skip_header(from: &mut Words<'_>) -> Result<u64, SnapshotError> {
    from.section("linchpin").map_err(|_| SnapshotError::NotSavedState)?;
    let version = from.word()?;
    if version != VERSION {
        return Err(SnapshotError::Version { found: version });
    }
    from.word()
}

/// Refuses what is no saved state, of another version, or made under another configuration.
pub fn load_header(configuration: u64, from: &mut Words<'_>) -> Result<(), SnapshotError> {
    let found = skip_header(from)?;
    if found != configuration {
        return Err(SnapshotError::Configuration { found, expected: configuration });
    }
    Ok(())
}

/// Why bytes are not the state that they are said to be. Places are counted in words of eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    NotSavedState,
    /// Written by a build that saves other fields.
    Version {
        found: u64,
    },
    /// Made under another configuration: its tables mean other things.
    Configuration {
        found: u64,
        expected: u64,
    },
    Short {
        at: u64,
    },
    Long {
        at: u64,
    },
    Section {
        expected: &'static str,
        at: u64,
    },
    /// No such field can have this word.
    Unfit {
        field: &'static str,
        found: u64,
        at: u64,
    },
    /// A table of another size than configuration makes.
    Rows {
        found: u64,
        expected: u64,
        at: u64,
    },
    /// More than the list was given room for.
    TooMany {
        found: u64,
        room: u64,
        at: u64,
    },
    /// It was read without a fault, and yet is not what was written.
    Hash {
        found: u64,
        expected: u64,
    },
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSavedState => f.write_str("not the state of a core: it does not begin with `linchpin`"),
            Self::Version { found } => {
                write!(f, "state of version {found}; this build reads version {VERSION} only")
            }
            Self::Configuration { found, expected } => {
                write!(
                    f,
                    "state made under another configuration (hash {found:016x}, this one is {expected:016x})"
                )
            }
            Self::Short { at } => write!(f, "state ends at word {at}, before its fields do"),
            Self::Long { at } => write!(f, "state goes on after its last field, at word {at}"),
            Self::Section { expected, at } => {
                write!(f, "section `{expected}` does not begin at word {at}")
            }
            Self::Unfit { field, found, at } => write!(f, "{found} at word {at} is no {field}"),
            Self::Rows { found, expected, at } => {
                write!(f, "a table of {found} rows at word {at}; configuration makes {expected}")
            }
            Self::TooMany { found, room, at } => {
                write!(f, "a list of {found} at word {at}; there is room for {room}")
            }
            Self::Hash { found, expected } => {
                write!(f, "state's hash is {found:016x}, and was {expected:016x} when it was saved")
            }
        }
    }
}

impl core::error::Error for SnapshotError {}

/// The hash of a saved form, word by word.
///
/// Not cryptographic: it tells two states apart, it does not resist a forger.
#[derive(Clone, Copy, Debug)]
pub struct StateHasher(u64);

impl Default for StateHasher {
    fn default() -> Self {
        Self(0x243f_6a88_85a3_08d3)
    }
}

impl StateHasher {
    pub fn finish(self) -> u64 {
        self.0
    }
}

impl Sink for StateHasher {
    #[inline]
    fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25);
        self.0 = mixed ^ (mixed >> 29);
    }
}

/// The state hash of a form that has been written.
pub fn hash_of(form: &[u8]) -> u64 {
    let mut hasher = StateHasher::default();
    form.as_chunks().0.iter().for_each(|word| hasher.word(u64::from_le_bytes(*word)));
    hasher.finish()
}

/// How long a form is.
#[derive(Clone, Copy, Debug, Default)]
pub struct WordCount(usize);

impl WordCount {
    pub fn bytes(self) -> usize {
        self.0.saturating_mul(8)
    }
}

impl Sink for WordCount {
    #[inline]
    fn word(&mut self, _word: u64) {
        self.0 += 1;
    }
}

/// Grows as it must: for tools and tests.
impl Sink for Vec<u8> {
    #[inline]
    fn word(&mut self, word: u64) {
        self.extend_from_slice(&word.to_le_bytes());
    }
}

/// Room that was made before: what does not fit is counted, and nothing allocates.
#[derive(Clone, Debug)]
pub struct Buffer {
    words: Vec<[u8; 8]>,
    /// Words given so far, those without room included.
    given: usize,
}

impl Buffer {
    /// Every page of it is touched here, so that none is met first while a state is saved.
    pub fn with_room(bytes: usize) -> Self {
        Self { words: alloc::vec![[1; 8]; bytes.div_ceil(8)], given: 0 }
    }

    /// In bytes.
    pub fn room(&self) -> usize {
        self.words.len().saturating_mul(8)
    }

    pub fn clear(&mut self) {
        self.given = 0;
    }

    /// The form, if all of it found room; else how many bytes were too many.
    pub fn form(&self) -> Result<&[u8], u64> {
        let missing = self.given.saturating_sub(self.words.len()) as u64;
        self.words.get(..self.given).map(<[_]>::as_flattened).ok_or(missing.saturating_mul(8))
    }
}

impl Sink for Buffer {
    #[inline]
    fn word(&mut self, word: u64) {
        if let Some(place) = self.words.get_mut(self.given) {
            *place = word.to_le_bytes();
        }
        self.given += 1;
    }
}

macro_rules! unsigned {
    ($($int:ident),+) => {
        $(impl Value for $int {
            #[inline]
            fn write<S: Sink + ?Sized>(&self, to: &mut S) {
                to.word(*self as u64);
            }
            #[inline]
            fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError> {
                let word = from.word()?;
                Self::try_from(word).map_err(|_| from.unfit(stringify!($int), word))
            }
        })+
    };
}

unsigned!(u8, u16, u32, u64, usize);

macro_rules! signed {
    ($($int:ident),+) => {
        $(impl Value for $int {
            #[inline]
            fn write<S: Sink + ?Sized>(&self, to: &mut S) {
                to.word(i64::from(*self) as u64);
            }
            #[inline]
            fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError> {
                let word = from.word()?;
                Self::try_from(word as i64).map_err(|_| from.unfit(stringify!($int), word))
            }
        })+
    };
}

signed!(i32, i64);

impl Value for u128 {
    #[inline]
    fn write<S: Sink + ?Sized>(&self, to: &mut S) {
        to.word(*self as u64);
        to.word((*self >> 64) as u64);
    }
    fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError> {
        let low = from.word()?;
        Ok(u128::from(low) | u128::from(from.word()?) << 64)
    }
}

impl Value for i128 {
    #[inline]
    fn write<S: Sink + ?Sized>(&self, to: &mut S) {
        (*self as u128).write(to);
    }
    fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError> {
        u128::read(from).map(|bits| bits as i128)
    }
}

impl Value for bool {
    #[inline]
    fn write<S: Sink + ?Sized>(&self, to: &mut S) {
        to.word(u64::from(*self));
    }
    fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError> {
        match from.word()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(from.unfit("bool", other)),
        }
    }
}

impl<T: Value> Value for Option<T> {
    #[inline]
    fn write<S: Sink + ?Sized>(&self, to: &mut S) {
        self.is_some().write(to);
        if let Some(value) = self {
            value.write(to);
        }
    }
    fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError> {
        bool::read(from)?.then(|| T::read(from)).transpose()
    }
}

impl<T: Value, U: Value> Value for (T, U) {
    #[inline]
    fn write<S: Sink + ?Sized>(&self, to: &mut S) {
        self.0.write(to);
        self.1.write(to);
    }
    fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError> {
        Ok((T::read(from)?, U::read(from)?))
    }
}

impl<T: Value + Copy + Default, const N: usize> Value for [T; N] {
    #[inline]
    fn write<S: Sink + ?Sized>(&self, to: &mut S) {
        self.iter().for_each(|item| item.write(to));
    }
    fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError> {
        let mut items = [T::default(); N];
        items.iter_mut().try_for_each(|item| item.load(from))?;
        Ok(items)
    }
}

impl Value for fixed::types::I48F16 {
    #[inline]
    fn write<S: Sink + ?Sized>(&self, to: &mut S) {
        self.to_bits().write(to);
    }
    fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError> {
        i64::read(from).map(Self::from_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    struct Small {
        on: bool,
        count: u16,
        wide: i128,
        last: Option<i64>,
    }
    saved! { value Small { on, count, wide, last } }

    #[derive(Clone, Debug, PartialEq)]
    struct Room {
        rows: Vec<Small>,
        waiting: Vec<u32>,
        capacity: usize,
    }
    saved! { table Room { rows } lists { waiting } kept { capacity } }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Mood {
        Calm,
        Since(u64),
        Torn { between: u8, and: u8 },
    }
    saved! { choice Mood { Calm = 0, Since(when) = 1, Torn { between, and } = 7 } }

    fn room(waiting: &[u32]) -> Room {
        let rows =
            alloc::vec![Small { on: true, count: 3, wide: -5, last: Some(i64::MIN) }, Small::default()];
        let mut list = Vec::with_capacity(4);
        list.extend_from_slice(waiting);
        Room { rows, waiting: list, capacity: 4 }
    }

    fn form(of: &impl Saved) -> Vec<u8> {
        let mut bytes = Vec::new();
        of.save(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_saved_comes_back_and_its_hash_is_the_hash_of_its_bytes() {
        let saved = room(&[9, 8, 7]);
        let bytes = form(&saved);
        let mut loaded = Room { rows: alloc::vec![Small::default(); 2], ..room(&[]) };
        let mut from = Words::new(&bytes);
        loaded.load(&mut from).unwrap();
        from.finish().unwrap();
        assert_eq!(loaded, saved);
        let mut hasher = StateHasher::default();
        saved.save(&mut hasher);
        assert_eq!(hasher.finish(), hash_of(&bytes));
    }

    #[test]
    fn every_choice_comes_back_and_an_unknown_one_is_refused_by_name_and_place() {
        for mood in [Mood::Calm, Mood::Since(5), Mood::Torn { between: 1, and: 255 }] {
            assert_eq!(Mood::read(&mut Words::new(&form(&mood))), Ok(mood));
        }
        let bytes = form(&3u64);
        assert_eq!(
            Mood::read(&mut Words::new(&bytes)),
            Err(SnapshotError::Unfit { field: "Mood", found: 3, at: 0 })
        );
    }

    #[test]
    fn a_form_cut_anywhere_is_too_short() {
        let bytes = form(&room(&[1, 2]));
        for length in 0..bytes.len() {
            let result = room(&[]).load(&mut Words::new(&bytes[..length]));
            assert_eq!(result, Err(SnapshotError::Short { at: length as u64 / 8 }), "{length}");
        }
    }

    #[test]
    fn a_list_longer_than_its_room_and_a_table_of_another_size_are_refused() {
        let mut wide = room(&[1, 2, 3, 4]);
        wide.waiting.push(5);
        let refused = room(&[]).load(&mut Words::new(&form(&wide)));
        assert!(matches!(refused, Err(SnapshotError::TooMany { found: 5, .. })), "{refused:?}");
        let mut tall = room(&[]);
        tall.rows.push(Small::default());
        let refused = room(&[]).load(&mut Words::new(&form(&tall)));
        assert_eq!(refused, Err(SnapshotError::Rows { found: 3, expected: 2, at: 0 }));
    }

    #[test]
    fn another_version_configuration_or_kind_of_file_is_refused_clearly() {
        let mut bytes = Vec::new();
        save_header(77, &mut bytes);
        assert_eq!(load_header(77, &mut Words::new(&bytes)), Ok(()));
        assert_eq!(
            load_header(78, &mut Words::new(&bytes)),
            Err(SnapshotError::Configuration { found: 77, expected: 78 })
        );
        bytes[8] ^= 64;
        assert_eq!(
            load_header(77, &mut Words::new(&bytes)),
            Err(SnapshotError::Version { found: VERSION ^ 64 })
        );
        bytes[0] ^= 1;
        assert_eq!(load_header(77, &mut Words::new(&bytes)), Err(SnapshotError::NotSavedState));
    }

    #[test]
    fn a_buffer_without_room_says_by_how_much_and_keeps_its_room() {
        let mut buffer = Buffer::with_room(12);
        for word in 0..10 {
            buffer.word(word);
        }
        assert_eq!((buffer.form(), buffer.room()), (Err(64), 16));
        buffer.clear();
        buffer.word(1);
        assert_eq!(buffer.form().map(<[u8]>::len), Ok(8));
    }
}
