//! Tolerant JSON reading off the hot layouts: any field order, unknown fields, whitespace. Buffers are reused, so reading
//! allocates nothing once they have grown.
//!
//! Every access names its field, and every error says which field was wrong and how. Input can never make it panic.

use crate::core::num::{NumberError, parse_decimal};
use simd_json::prelude::*;
use simd_json::{Buffers, Tape, tape};
use thiserror::Error;

/// Nesting beyond this is refused before a parser could recurse on it.
const MAX_DEPTH: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JsonError {
    #[error("not JSON (near byte {offset})")]
    NotJson { offset: u32 },
    #[error("field {0:?} is missing")]
    Missing(&'static str),
    #[error("field {0:?} has another type than documented")]
    WrongType(&'static str),
    #[error("field {field:?}: {error}")]
    Number { field: &'static str, error: NumberError },
    #[error("field {field:?}: symbol, asset or value that is not known here")]
    Unknown { field: &'static str },
    #[error("more than {limit} entries in {field:?}")]
    TooMany { field: &'static str, limit: u32 },
}

/// Owns the buffers; one for each thread that reads.
pub struct JsonReader {
    text: Vec<u8>,
    buffers: Buffers,
    /// Empty between reads; an option only because its lifetime is changed by value.
    tape: Option<Tape<'static>>,
}

impl JsonReader {
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            text: Vec::with_capacity(bytes),
            buffers: Buffers::with_max_depth(bytes, MAX_DEPTH),
            tape: Some(Tape(Vec::with_capacity(bytes / 4))),
        }
    }

    /// Reads `text` and shows it to `visit`.
    pub fn read<R>(
        &mut self,
        text: &[u8],
        visit: impl FnOnce(Json<'_, '_>) -> Result<R, JsonError>,
    ) -> Result<R, JsonError> {
        if depth_exceeds(text, MAX_DEPTH) {
            return Err(JsonError::NotJson { offset: 0 });
        }
        self.text.clear();
        self.text.extend_from_slice(text);
        let mut tape = self.tape.take().unwrap_or_else(Tape::null).reset();
        let result = match simd_json::fill_tape(&mut self.text, &mut self.buffers, &mut tape) {
            Ok(()) if !tape.0.is_empty() => visit(Json(tape.as_value())),
            Ok(()) => Err(JsonError::NotJson { offset: 0 }),
            Err(error) => {
                Err(JsonError::NotJson { offset: u32::try_from(error.index()).unwrap_or(u32::MAX) })
            }
        };
        self.tape = Some(tape.reset());
        result
    }
}

/// One value inside a text that is being read.
#[derive(Clone, Copy)]
pub struct Json<'t, 'i>(tape::Value<'t, 'i>);

impl<'t, 'i> Json<'t, 'i> {
    /// A field that may be absent; `null` counts as absent.
    pub fn field(&self, name: &str) -> Option<Json<'t, 'i>> {
        let value = self.0.as_object()?.get(name)?;
        if value.is_null() { None } else { Some(Json(value)) }
    }
    /// The field stands there, even as `null`.
    pub fn has(&self, name: &str) -> bool {
        self.0.as_object().is_some_and(|object| object.get(name).is_some())
    }
    pub fn need(&self, name: &'static str) -> Result<Json<'t, 'i>, JsonError> {
        self.field(name).ok_or(JsonError::Missing(name))
    }
    pub fn text(&self, name: &'static str) -> Result<&'i str, JsonError> {
        self.need(name)?.0.into_string().ok_or(JsonError::WrongType(name))
    }
    /// Text, or "" where the field is absent.
    pub fn text_or_empty(&self, name: &'static str) -> Result<&'i str, JsonError> {
        match self.field(name) {
            Some(value) => value.0.into_string().ok_or(JsonError::WrongType(name)),
            None => Ok(""),
        }
    }
    pub fn uint(&self, name: &'static str) -> Result<u64, JsonError> {
        self.need(name)?.0.as_u64().ok_or(JsonError::WrongType(name))
    }
    pub fn uint_or(&self, name: &'static str, absent: u64) -> Result<u64, JsonError> {
        match self.field(name) {
            Some(value) => value.0.as_u64().ok_or(JsonError::WrongType(name)),
            None => Ok(absent),
        }
    }
    pub fn int(&self, name: &'static str) -> Result<i64, JsonError> {
        self.need(name)?.0.as_i64().ok_or(JsonError::WrongType(name))
    }
    pub fn flag(&self, name: &'static str) -> Result<bool, JsonError> {
        self.need(name)?.0.as_bool().ok_or(JsonError::WrongType(name))
    }
    pub fn flag_or(&self, name: &'static str, absent: bool) -> Result<bool, JsonError> {
        match self.field(name) {
            Some(value) => value.0.as_bool().ok_or(JsonError::WrongType(name)),
            None => Ok(absent),
        }
    }
    /// A decimal in quotes, exact at `decimals`.
    pub fn decimal(&self, name: &'static str, decimals: u8) -> Result<i64, JsonError> {
        parse_decimal(self.text(name)?.as_bytes(), decimals)
            .map_err(|error| JsonError::Number { field: name, error })
    }
    /// A decimal in quotes whose places beyond `decimals` are dropped, towards zero: for what the venue itself derives
    /// (average entry, unrealised profit), never for money that moved.
    pub fn decimal_towards_zero(&self, name: &'static str, decimals: u8) -> Result<i64, JsonError> {
        let text = self.text(name)?;
        let kept = match text.find('.') {
            Some(point) => {
                let (whole, places) = text.split_at(point);
                if !places.bytes().skip(1).all(|b| b.is_ascii_digit()) {
                    let error = NumberError::NotADigit { offset: point };
                    return Err(JsonError::Number { field: name, error });
                }
                text.get(..whole.len() + 1 + usize::from(decimals)).unwrap_or(text)
            }
            None => text,
        };
        parse_decimal(kept.as_bytes(), decimals).map_err(|error| JsonError::Number { field: name, error })
    }
    pub fn list(
        &self,
        name: &'static str,
    ) -> Result<impl Iterator<Item = Json<'t, 'i>> + use<'t, 'i>, JsonError> {
        self.need(name)?.items(name)
    }
    /// This value's own items; `name` is what an error calls it.
    pub fn items(
        &self,
        name: &'static str,
    ) -> Result<impl Iterator<Item = Json<'t, 'i>> + use<'t, 'i>, JsonError> {
        let array = self.0.as_array().ok_or(JsonError::WrongType(name))?;
        Ok(array.iter().map(Json))
    }
    pub fn as_text(&self) -> Option<&'i str> {
        self.0.into_string()
    }
    pub fn as_uint(&self) -> Option<u64> {
        self.0.as_u64()
    }
    pub fn is_list(&self) -> bool {
        self.0.is_array()
    }
}

/// Whether brackets nest deeper than `limit`, strings left out. Cheap, and it keeps a hostile text from the parser's stack.
fn depth_exceeds(text: &[u8], limit: usize) -> bool {
    let mut depth = 0usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in text {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => in_string = false,
            (true, _) => {}
            (false, b'"') => in_string = true,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            (false, _) => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_field_is_named() {
        let mut reader = JsonReader::with_capacity(256);
        let text = br#"{"a":1,"b":"2.50","c":null}"#;
        let read =
            |reader: &mut JsonReader, f: fn(Json<'_, '_>) -> Result<i64, JsonError>| reader.read(text, f);
        assert_eq!(read(&mut reader, |j| j.decimal("b", 2)), Ok(250));
        assert_eq!(
            read(&mut reader, |j| j.decimal("b", 0)).unwrap_err().to_string(),
            "field \"b\": more decimals than the unit has (byte 2)"
        );
        assert_eq!(read(&mut reader, |j| j.decimal_towards_zero("b", 0)), Ok(2));
        assert_eq!(read(&mut reader, |j| j.decimal("a", 2)), Err(JsonError::WrongType("a")));
        assert_eq!(read(&mut reader, |j| j.int("c")), Err(JsonError::Missing("c")));
    }

    #[test]
    fn deep_nesting_and_nonsense_are_errors() {
        let mut reader = JsonReader::with_capacity(256);
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        for text in [&deep[..], b"", b" ", b"{", b"{\"a\":", b"\xff\xfe", b"nul", b"\"\\ud800\""] {
            assert!(reader.read(text, |_| Ok(())).is_err(), "{:?}", text.get(..10));
        }
        assert!(reader.read(b" [1] ", |_| Ok(())).is_ok(), "an error before must not spoil the reader");
    }
}
