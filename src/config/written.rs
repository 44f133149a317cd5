//! A setting as a person writes it, and its number in events: each unit has one text, the same in the file and in `ctl set`.

use linchpin_core::instrument::InstrumentDefinition;
use linchpin_core::limits::{Unit, Values};
use linchpin_core::num::{CASH_DECIMALS, Increment};
use linchpin_core::time::Nanos;

use super::document::{Value, count, positive, text, unless_none};
use super::limits::notional;
use super::strategy::market_maker::{MOST_TICKS, ticks};
use super::text::{Decimal, Wrong, parse_percent, parse_span, show_percent, show_span};

/// The number of a setting that was typed. `definition`: whose ticks and lots are meant, where the unit is one of these.
pub fn setting_number(
    values: &Values,
    definition: Option<&InstrumentDefinition>,
    typed: &str,
) -> Result<i64, Wrong> {
    match (typed, values.may_be_none) {
        ("none", true) => Ok(0),
        ("none", false) => Err(Wrong::new("this setting cannot be left out")),
        (_, true) => number(values, definition, typed).map_err(Wrong::or_none),
        (_, false) => number(values, definition, typed),
    }
}

/// The same, of a key of the file, where a count is a bare number. Not for units that need a definition.
pub(super) fn of_file(values: &Values) -> impl Fn(&Value) -> Result<i64, Wrong> + '_ {
    move |value| {
        let read = |value: &Value| match values.unit {
            Unit::Count => {
                let (least, most) = (values.range.start().unsigned_abs(), values.range.end().unsigned_abs());
                count(value, &(least..=most)).map(|count| i64::try_from(count).unwrap_or(i64::MAX))
            }
            _ => text(|text| number(values, None, text))(value),
        };
        if values.may_be_none { unless_none(read)(value).map(|read| read.unwrap_or(0)) } else { read(value) }
    }
}

/// As it stands in a file, quotes included. Not for units that need a definition.
pub(super) fn show_in_file(values: &Values, number: i64) -> String {
    let size = number.unsigned_abs();
    match values.unit {
        _ if values.may_be_none && number == 0 => "\"none\"".to_owned(),
        Unit::Share => format!("\"{}\"", show_percent(u32::try_from(size).unwrap_or(u32::MAX))),
        Unit::Span => format!("\"{}\"", show_span(Nanos::new(size))),
        Unit::Money => format!("\"{}\"", Decimal::new(number, CASH_DECIMALS)),
        Unit::Count | Unit::Lots | Unit::Notional | Unit::Ticks | Unit::TickFraction => number.to_string(),
    }
}

/// Without "none".
fn number(values: &Values, definition: Option<&InstrumentDefinition>, typed: &str) -> Result<i64, Wrong> {
    let definition = || definition.ok_or_else(|| Wrong::new("the instrument is not known"));
    let number = match values.unit {
        Unit::Count => typed.parse().map_err(|_| expected(values))?,
        Unit::Share => i64::from(parse_percent(typed)?),
        Unit::Span => i64::try_from(parse_span(typed)?.raw()).map_err(|_| expected(values))?,
        Unit::Money => positive(typed)?
            .units(CASH_DECIMALS)
            .ok_or_else(|| Wrong::new("expected at most 8 decimals and 11 digits before them"))?,
        Unit::Lots => steps(typed, &definition()?.lot, "lots")?,
        Unit::Ticks => steps(typed, &definition()?.tick, "ticks")?,
        Unit::Notional => notional(positive(typed)?, definition()?)
            .and_then(|notional| i64::try_from(notional.raw()).ok())
            .ok_or_else(|| Wrong::new("less than one tick of one lot, or too large"))?,
        Unit::TickFraction => {
            let decimal: Decimal = typed.parse()?;
            if decimal.is_negative() || decimal > MOST_TICKS {
                return Err(expected(values));
            }
            ticks(decimal).to_bits()
        }
    };
    if values.range.contains(&number) { Ok(number) } else { Err(expected(values)) }
}

fn steps(typed: &str, step: &Increment, what: &str) -> Result<i64, Wrong> {
    let decimal: Decimal = typed.parse().map_err(|_| Wrong::new("expected decimal text such as \"0.5\""))?;
    let size = Decimal::new(i64::from(step.mantissa), step.decimals);
    decimal.steps(step).map_err(|_| Wrong(format!("expected a whole number of {what} of {size}")))
}

fn expected(values: &Values) -> Wrong {
    let (least, most) = (values.range.start().unsigned_abs(), values.range.end().unsigned_abs());
    let percent = |share: u64| show_percent(u32::try_from(share).unwrap_or(u32::MAX));
    Wrong(match values.unit {
        Unit::Count => format!("expected a whole number from {least} to {most}"),
        Unit::Share => format!("expected from \"{}\" to \"{}\"", percent(least), percent(most)),
        Unit::Span => {
            let (least, most) = (show_span(Nanos::new(least)), show_span(Nanos::new(most)));
            format!("expected a span from \"{least}\" to \"{most}\"")
        }
        Unit::TickFraction => format!("expected from \"0\" to \"{MOST_TICKS}\" ticks"),
        Unit::Lots | Unit::Notional | Unit::Money | Unit::Ticks => "expected a number above \"0\"".to_owned(),
    })
}
