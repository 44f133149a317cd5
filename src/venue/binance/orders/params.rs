//! How a request's parameters are written: into the JSON of the WebSocket API together with the text that is signed, or into a REST
//! query. Decimal text is exact, from whole steps; nothing allocates once the buffers have grown.
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use super::super::sign::percent_encode;
use crate::core::num::{DecimalText, Increment};

/// What every request carries besides its order.
pub(in super::super) struct RequestEnvelope<'a> {
    /// Where each request is signed by itself.
    pub api_key: Option<&'a str>,
    pub recv_window: Option<u32>,
    pub timestamp: u64,
}

impl RequestEnvelope<'_> {
    #[inline(always)]
    pub fn api_key<S: ParamSink>(&self, to: &mut S) {
        if let Some(key) = self.api_key {
            to.text("apiKey", key);
        }
    }
    #[inline(always)]
    pub fn recv_window<S: ParamSink>(&self, to: &mut S) {
        if let Some(window) = self.recv_window {
            to.number("recvWindow", u64::from(window));
        }
    }
    #[inline(always)]
    pub fn timestamp<S: ParamSink>(&self, to: &mut S) {
        to.number("timestamp", self.timestamp);
    }
}

/// Takes parameters sorted by key: so a signature's text can be written along with them.
pub(in super::super) trait ParamSink {
    fn text(&mut self, key: &'static str, value: &str);
    fn number(&mut self, key: &'static str, value: u64);
    fn steps(&mut self, key: &'static str, step: &Increment, steps: i64);
    /// `hundredths` of one percent as a percent: 125 is `1.25`.
    fn percent(&mut self, key: &'static str, hundredths: u16);
}

/// Writes `"key":"value",` and, where it is signed, `key=value` joined by `&`.
pub(in super::super) struct JsonParams<'a> {
    pub json: &'a mut Vec<u8>,
    pub payload: Option<&'a mut Vec<u8>>,
}

impl JsonParams<'_> {
    #[inline(always)]
    fn put(&mut self, key: &'static str, value: &[u8], quote: &[u8]) {
        self.json.extend_from_slice(b"\"");
        self.json.extend_from_slice(key.as_bytes());
        self.json.extend_from_slice(b"\":");
        self.json.extend_from_slice(quote);
        self.json.extend_from_slice(value);
        self.json.extend_from_slice(quote);
        self.json.extend_from_slice(b",");
        if let Some(payload) = &mut self.payload {
            if !payload.is_empty() {
                payload.extend_from_slice(b"&");
            }
            payload.extend_from_slice(key.as_bytes());
            payload.extend_from_slice(b"=");
            payload.extend_from_slice(value);
        }
    }
}

impl ParamSink for JsonParams<'_> {
    #[inline(always)]
    fn text(&mut self, key: &'static str, value: &str) {
        // Nothing that is sent needs escaping: symbols and keys are checked at boot, ids below.
        debug_assert!(value.bytes().all(|b| b != b'"' && b != b'\\' && b >= b' '));
        self.put(key, value.as_bytes(), b"\"");
    }
    #[inline(always)]
    fn number(&mut self, key: &'static str, value: u64) {
        self.put(key, itoa::Buffer::new().format(value).as_bytes(), b"");
    }
    #[inline(always)]
    fn steps(&mut self, key: &'static str, step: &Increment, steps: i64) {
        let mut text = StepText::new();
        self.put(key, text.write(step, steps), b"\"");
    }
    fn percent(&mut self, key: &'static str, hundredths: u16) {
        self.steps(key, &PERCENT, i64::from(hundredths));
    }
}

pub(super) struct QueryParams {
    pub query: String,
}

impl ParamSink for QueryParams {
    fn text(&mut self, key: &'static str, value: &str) {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(key);
        self.query.push('=');
        percent_encode(value, &mut self.query);
    }
    fn number(&mut self, key: &'static str, value: u64) {
        self.text(key, itoa::Buffer::new().format(value));
    }
    fn steps(&mut self, key: &'static str, step: &Increment, steps: i64) {
        let mut text = DecimalText::new();
        step.write(steps, &mut text);
        self.text(key, text.as_str());
    }
    fn percent(&mut self, key: &'static str, hundredths: u16) {
        self.steps(key, &PERCENT, i64::from(hundredths));
    }
}

const PERCENT: Increment = Increment { mantissa: 1, decimals: 2, text_decimals: 2 };

/// Ends the parameters, with their signature where there is one, and the request. The sinks leave a trailing comma behind.
#[inline(always)]
pub(in super::super) fn finish(frame: &mut Vec<u8>, signature: Option<&str>) {
    if let Some(signature) = signature {
        frame.extend_from_slice(b"\"signature\":\"");
        frame.extend_from_slice(signature.as_bytes());
        frame.extend_from_slice(b"\"}}");
    } else {
        frame.pop();
        frame.extend_from_slice(b"}}");
    }
}

/// The exact decimal text of whole steps, as `Increment::write` gives it, by a faster way for what fits 64 bits.
struct StepText {
    bytes: [u8; 48],
    slow: DecimalText,
}

impl StepText {
    #[inline(always)]
    fn new() -> Self {
        Self { bytes: [b'0'; 48], slow: DecimalText::new() }
    }

    #[inline(always)]
    fn write(&mut self, step: &Increment, steps: i64) -> &[u8] {
        match self.fast(step, steps) {
            Some(length) => self.bytes.get(..length).unwrap_or(&[]),
            None => {
                step.write(steps, &mut self.slow);
                self.slow.as_bytes()
            }
        }
    }

    #[inline(always)]
    fn fast(&mut self, step: &Increment, steps: i64) -> Option<usize> {
        let value = u64::try_from(steps).ok()?.checked_mul(u64::from(step.mantissa))?;
        let unit = *UNITS.get(usize::from(step.decimals))?;
        let places = usize::from(step.decimals);
        let (whole, fraction) = (value.checked_div(unit)?, value.checked_rem(unit)?);
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(whole).as_bytes();
        let mut at = digits.len();
        self.bytes.get_mut(..at)?.copy_from_slice(digits);
        if step.text_decimals == 0 {
            return Some(at);
        }
        *self.bytes.get_mut(at)? = b'.';
        at = at.checked_add(1)?;
        let end = at.checked_add(usize::from(step.text_decimals))?;
        self.bytes.get_mut(at..end)?.fill(b'0');
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(fraction).as_bytes();
        if places > 0 {
            let stop = at.checked_add(places)?;
            let start = stop.checked_sub(digits.len())?;
            self.bytes.get_mut(start..stop)?.copy_from_slice(digits);
        }
        Some(end)
    }
}

/// 10^decimals: a step has at most 18.
#[allow(clippy::indexing_slicing, reason = "it runs in the compiler, which would say so")]
const UNITS: [u64; 19] = {
    let mut table = [1u64; 19];
    let mut at = 1;
    while at < 19 {
        table[at] = table[at - 1] * 10;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_decimal_text_is_the_exact_decimal_text() {
        let mut seed = 0x9e37_79b9_7f4a_7c15u64;
        for round in 0..100_000u64 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let decimals = (round % 11) as u8;
            let step = Increment {
                mantissa: [1, 5, 25, 1000][(seed % 4) as usize],
                decimals,
                text_decimals: decimals + (seed % 3) as u8,
            };
            let steps = (seed as i64) >> (seed % 64);
            let (mut fast, mut exact) = (StepText::new(), DecimalText::new());
            step.write(steps, &mut exact);
            assert_eq!(
                std::str::from_utf8(fast.write(&step, steps)).unwrap(),
                exact.as_str(),
                "{steps} {step:?}"
            );
        }
    }
}
