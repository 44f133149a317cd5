//! The small texts of a configuration: spans, sizes, percents, decimals, words. Exact both ways; no float anywhere.
//!
//! Each parser answers bad text with what is allowed, as the end of a sentence. What `show_*` and `Display` write is the shortest text that
//! reads back as the same value, so a resolved configuration is the same whichever way its author wrote it.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use linchpin_core::num::{DecimalText, Increment, NumberError, parse_decimal, pow10};
use linchpin_core::time::Nanos;

/// What is wrong with a text, and what is allowed instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(pub String);

impl Wrong {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// `"none"` is allowed as well, which is said before what is only a hint.
    pub fn or_none(self) -> Self {
        let (allowed, hint) = self.0.split_at(self.0.find("; ").unwrap_or(self.0.len()));
        Self(format!("{allowed}, or \"none\"{hint}"))
    }
}

/// A span of time: `250us`, `2ms`, `10s`.
pub fn parse_span(text: &str) -> Result<Nanos, Wrong> {
    const NOT: &str = "expected a span such as \"250us\", \"2ms\", \"10s\" or \"5m\"";
    let nanos = scaled(text, &SPAN_UNITS).ok_or_else(|| Wrong::new(NOT))?;
    nanos.map(Nanos::new).ok_or_else(|| Wrong::new("the span is longer than 584 years"))
}

pub fn show_span(span: Nanos) -> String {
    show_scaled(span.raw(), &SPAN_UNITS, "s")
}

/// A size in bytes: `64MiB`.
pub fn parse_size(text: &str) -> Result<u64, Wrong> {
    const NOT: &str = "expected a size such as \"64KiB\", \"64MiB\" or \"1GiB\"";
    let bytes = scaled(text, &SIZE_UNITS).ok_or_else(|| Wrong::new(NOT))?;
    bytes.ok_or_else(|| Wrong::new("the size is larger than 16 EiB"))
}

pub fn show_size(bytes: u64) -> String {
    show_scaled(bytes, &SIZE_UNITS, "B")
}

/// A percent of at most two decimals, in 1/10,000: `5%` is 500.
pub fn parse_percent(text: &str) -> Result<u32, Wrong> {
    const NOT: &str = "expected a percent such as \"5%\" or \"0.25%\"";
    let number = text.strip_suffix('%').ok_or_else(|| Wrong::new(NOT))?;
    let decimal: Decimal = number.parse().map_err(|_| Wrong::new(NOT))?;
    let hundredths = decimal
        .units(2)
        .ok_or_else(|| Wrong::new("a percent has at most two decimals: \"0.01%\" is the finest"))?;
    u32::try_from(hundredths)
        .ok()
        .filter(|hundredths| *hundredths <= 10_000)
        .ok_or_else(|| Wrong::new("expected from \"0%\" to \"100%\""))
}

pub fn show_percent(hundredths: u32) -> String {
    format!("{}%", Decimal::new(i64::from(hundredths), 2))
}

/// A name that may stand in file names, logs and metrics.
pub fn parse_name(text: &str) -> Result<String, Wrong> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=32).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new("expected letters, digits, - and _, at most 32"))
}

/// An exact decimal number: `mantissa` x 10^-`places`, without trailing zeros, so that equal numbers are equal values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    mantissa: i64,
    places: u8,
}

impl Decimal {
    pub const ZERO: Self = Self { mantissa: 0, places: 0 };
    const MOST_PLACES: u8 = 18;

    /// `places` above 18 is more than any venue prints, and taken for 18.
    pub const fn new(mut mantissa: i64, places: u8) -> Self {
        let mut places = if places < Self::MOST_PLACES { places } else { Self::MOST_PLACES };
        while places > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            places -= 1;
        }
        Self { mantissa, places }
    }

    pub fn is_positive(self) -> bool {
        self.mantissa > 0
    }

    pub fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// In units of 10^-`places`; `None` where that would round, or does not fit.
    pub fn units(self, places: u8) -> Option<i64> {
        self.mantissa.checked_mul(pow10(places.checked_sub(self.places)?)?)
    }

    /// Whole steps of an instrument's grid; what lies between two steps is an error, never rounded.
    pub fn steps(self, increment: &Increment) -> Result<i64, NumberError> {
        increment.steps(self.to_string().as_bytes())
    }

    /// `mantissa` x 10^-`places`.
    pub fn parts(self) -> (i64, u8) {
        (self.mantissa, self.places)
    }
}

impl FromStr for Decimal {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        const NOT: &str = "expected a decimal number such as \"0.002\"";
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = match digits.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(Wrong::new(NOT)),
            None => (digits, ""),
        };
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Err(Wrong::new(NOT));
        }
        let fraction = fraction.trim_end_matches('0');
        let places = u8::try_from(fraction.len()).unwrap_or(u8::MAX);
        if places > Self::MOST_PLACES {
            return Err(Wrong::new("a number has at most 18 decimals"));
        }
        let mantissa = parse_decimal(text.as_bytes(), places)
            .map_err(|_| Wrong::new("the number has more digits than fit: at most 18"))?;
        Ok(Self::new(mantissa, places))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = DecimalText::new();
        text.write(i128::from(self.mantissa), self.places, self.places);
        f.write_str(text.as_str())
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        // Both at the finer scale: 19 digits times 10^18 fit in 128 bits.
        let places = self.places.max(other.places);
        let at = |d: &Self| i128::from(d.mantissa) * 10i128.pow(u32::from(places - d.places));
        at(self).cmp(&at(other))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// An enum whose values are words of the file: its text, its parser and the list for messages are one list.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$value_doc])* $value,)*
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$value),*];

            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)*
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::config::text::Wrong;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.word() == text).ok_or_else(|| {
                    $crate::config::text::one_of(text, &[$($text),*])
                })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
pub(super) use words;

/// `text` is none of `words`.
pub(super) fn one_of(text: &str, words: &[&str]) -> Wrong {
    let list = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    match nearest(text, words.iter().copied()) {
        Some(near) => Wrong(format!("expected one of {list}; did you mean \"{near}\"?")),
        None => Wrong(format!("expected one of {list}")),
    }
}

/// The candidate that a typing slip could have turned into `text`.
pub fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &'a str| (edits(text, candidate), candidate);
    let (edits, candidate) = candidates.map(distance).min_by_key(|(edits, _)| *edits)?;
    // Two neighbours swapped are two edits; a very short word is soon like any other.
    let most = match text.chars().count() {
        0..4 => 1,
        4..9 => 2,
        _ => 3,
    };
    (edits <= most).then_some(candidate)
}

/// Levenshtein's distance, without regard to case. Only run on keys and words, which are short; what is longer is cut.
fn edits(one: &str, other: &str) -> usize {
    let lower = |text: &str| text.chars().take(64).flat_map(char::to_lowercase).collect::<Vec<_>>();
    let (one, other) = (lower(one), lower(other));
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, from) in one.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in other.iter().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

/// From the finest to the coarsest: `show_scaled` takes the last that divides.
const SPAN_UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];
const SIZE_UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// A whole number and its unit. `None`: not of this form; `Some(None)`: too large.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<Option<u64>> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    if number.is_empty() {
        return None;
    }
    Some(number.parse::<u64>().ok().and_then(|number| number.checked_mul(*scale)))
}

fn show_scaled(value: u64, units: &[(&str, u64)], of_zero: &str) -> String {
    if value == 0 {
        return format!("0{of_zero}");
    }
    let (name, scale) =
        units.iter().rev().find(|(_, scale)| value.is_multiple_of(*scale)).unwrap_or(&units[0]);
    format!("{}{name}", value / scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_and_sizes_are_whole_numbers_with_a_unit() {
        assert_eq!(parse_span("250us"), Ok(Nanos::from_micros(250)));
        assert_eq!(parse_span("5m"), Ok(Nanos::from_secs(300)));
        assert_eq!(parse_span("0ms"), Ok(Nanos::ZERO));
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        for wrong in ["", "5", "ms", "5 ms", "-5ms", "1.5s", "5MS", "5min", "+5s"] {
            assert_eq!(
                parse_span(wrong).unwrap_err().0,
                "expected a span such as \"250us\", \"2ms\", \"10s\" or \"5m\"",
                "{wrong}"
            );
        }
        assert_eq!(parse_span("99999999d").unwrap_err().0, "the span is longer than 584 years");
        assert_eq!(
            parse_size("64MB").unwrap_err().0,
            "expected a size such as \"64KiB\", \"64MiB\" or \"1GiB\""
        );
        assert_eq!(parse_size("99999999999999999999B").unwrap_err().0, "the size is larger than 16 EiB");
    }

    #[test]
    fn percents_are_exact_to_a_hundredth() {
        assert_eq!(parse_percent("5%"), Ok(500));
        assert_eq!(parse_percent("0.25%"), Ok(25));
        assert_eq!(parse_percent("100%"), Ok(10_000));
        assert_eq!(parse_percent("5").unwrap_err().0, "expected a percent such as \"5%\" or \"0.25%\"");
        assert_eq!(
            parse_percent("0.001%").unwrap_err().0,
            "a percent has at most two decimals: \"0.01%\" is the finest"
        );
        assert_eq!(parse_percent("101%").unwrap_err().0, "expected from \"0%\" to \"100%\"");
        assert_eq!(parse_percent("-1%").unwrap_err().0, "expected from \"0%\" to \"100%\"");
    }

    #[test]
    fn decimals_are_exact_and_equal_numbers_are_equal_values() {
        assert_eq!("0.5000".parse::<Decimal>(), "0.5".parse());
        assert_eq!("20000".parse::<Decimal>().unwrap().to_string(), "20000");
        assert_eq!("-0.0020".parse::<Decimal>().unwrap().to_string(), "-0.002");
        for wrong in ["", "-", ".5", "5.", "1e5", "1,000", "+1", " 1", "1.2.3", "NaN", "0x1"] {
            assert_eq!(
                wrong.parse::<Decimal>().unwrap_err().0,
                "expected a decimal number such as \"0.002\"",
                "{wrong}"
            );
        }
        assert!("0.0000000000000000001".parse::<Decimal>().is_err());
        assert!("99999999999999999999".parse::<Decimal>().is_err());
    }

    #[test]
    fn decimals_compare_by_value_whatever_their_scale() {
        let d = |text: &str| text.parse::<Decimal>().unwrap();
        assert!(d("0.5") < d("0.51") && d("2") > d("1.999") && d("-1") < d("0"));
        assert!(d("999999999999999999") > d("0.000000000000000001"));
    }

    #[test]
    fn a_decimal_off_the_instruments_grid_is_refused_not_rounded() {
        let lot = Increment::parse(b"0.005", 3).unwrap();
        assert_eq!("0.02".parse::<Decimal>().unwrap().steps(&lot), Ok(4));
        assert_eq!("0.021".parse::<Decimal>().unwrap().steps(&lot), Err(NumberError::OffGrid));
    }

    #[test]
    fn the_nearest_word_is_offered_only_when_it_is_near() {
        let words = ["duration", "home", "verify"];
        assert_eq!(nearest("duratoin", words.into_iter()), Some("duration"));
        assert_eq!(nearest("Home", words.into_iter()), Some("home"));
        assert_eq!(nearest("colour", words.into_iter()), None);
    }

    proptest! {
        #[test]
        fn every_span_and_size_reads_back_as_itself(value: u64) {
            prop_assert_eq!(parse_span(&show_span(Nanos::new(value))), Ok(Nanos::new(value)));
            prop_assert_eq!(parse_size(&show_size(value)), Ok(value));
        }

        #[test]
        fn every_percent_and_decimal_reads_back_as_itself(
            percent in 0u32..=10_000, mantissa in -999_999_999_999_999_999i64..=999_999_999_999_999_999, places in 0u8..=18,
        ) {
            prop_assert_eq!(parse_percent(&show_percent(percent)), Ok(percent));
            let decimal = Decimal::new(mantissa, places);
            prop_assert_eq!(decimal.to_string().parse(), Ok(decimal));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "[ -~]{0,24}|\\PC{0,8}") {
            let _ = (parse_span(&text), parse_size(&text), parse_percent(&text), parse_name(&text));
            if let Ok(decimal) = text.parse::<Decimal>() {
                prop_assert_eq!(decimal.to_string().parse(), Ok(decimal));
            }
        }
    }
}
