//! `set KEY VALUE`: from what a person types to the control event that changes it. Keys and units are those of the
//! configuration file, with a name in the place of the table's number.
//!
//! ```text
//! instrument.BTCUSDT.max_position = 0.5         strategy.maker.max_open_orders = 8
//! instrument.demo/BTCUSDT.collar = 2%           strategy.maker.parameters.requote_ticks = 3
//! ```

use super::names::{Names, steps};
use super::{Refusal, Refused};
use crate::config::{Decimal, nearest, notional, parse_percent, parse_span, show_percent, show_span};
use crate::core::event::{Control, ControlVerb};
use crate::core::limits::{LimitKey, LimitUnit};
use crate::core::num::{CASH_DECIMALS, Increment};
use crate::core::time::Nanos;

impl Names {
    /// The event that sets `key` to `value`; the core fills in the old value.
    pub fn setting(&self, key: &str, value: &str) -> Result<Control, Refusal> {
        let mut words = key.split('.');
        let (scope, rest) = (words.next().unwrap_or(""), words.collect::<Vec<_>>());
        let (limit, index) = match (scope, rest.as_slice()) {
            ("strategy", [_, "parameters", _]) => return self.parameter(key, value),
            ("instrument", [symbol, limit]) => (limit, self.instrument(symbol)?),
            ("strategy", [name, limit]) => (limit, place("strategy", name, &self.strategies)?),
            ("risk", [limit]) => (limit, 0),
            ("venue", [name, limit]) => (limit, place("venue", name, &self.venues)?),
            _ => {
                return Err(bad(format!(
                    "there is no key {key:?}; expected instrument.SYMBOL.KEY, strategy.NAME.KEY, strategy.NAME.parameters.KEY, venue.NAME.KEY or risk.KEY"
                )));
            }
        };
        let full = format!("{scope}.{limit}");
        let all = (0..=u8::MAX).map_while(|code| LimitKey::from_code(code).ok());
        let of_scope = || all.clone().filter(|key| key.name().split('.').next() == Some(scope));
        let Some(found) = of_scope().find(|key| key.name() == full) else {
            let names: Vec<&str> =
                of_scope().map(|key| key.name().split_once('.').map_or("", |(_, name)| name)).collect();
            let hint = nearest(limit, names.iter().copied())
                .map_or(String::new(), |name| format!("; did you mean {name:?}?"));
            let list = names.join(", ");
            return Err(bad(format!("{key}: no such limit can be changed; there are {list}{hint}")));
        };
        let new = self.value(found, index, value).map_err(|why| bad(format!("{key} = {value:?}: {why}")))?;
        Ok(Control { verb: ControlVerb::SetLimit, target: found.target(index), old: 0, new, who: 0 })
    }

    fn parameter(&self, key: &str, _value: &str) -> Result<Control, Refusal> {
        Err(bad(format!("{key}: the strategy declares no parameter that can be changed")))
    }

    /// `SYMBOL`, or `venue/SYMBOL` where two venues list the same one.
    fn instrument(&self, text: &str) -> Result<u16, Refusal> {
        let is = |at: usize| match text.split_once('/') {
            Some((venue, symbol)) => {
                self.instruments[at].symbol == symbol && self.venue(self.instruments[at].venue) == venue
            }
            None => self.instruments[at].symbol == text,
        };
        let found: Vec<usize> = (0..self.instruments.len()).filter(|at| is(*at)).collect();
        match found.as_slice() {
            [one] => Ok(u16::try_from(*one).unwrap_or(u16::MAX)),
            [] => {
                let symbols: Vec<&str> = self.instruments.iter().map(|named| named.symbol.as_str()).collect();
                Err(bad(format!("there is no instrument {text:?}; there are {}", symbols.join(", "))))
            }
            _ => Err(bad(format!("{text} is listed by several venues: say VENUE/{text}"))),
        }
    }

    /// In the limit's own unit, within its range.
    fn value(&self, key: LimitKey, index: u16, value: &str) -> Result<i64, String> {
        let values = key.values();
        if value == "none" {
            return if values.may_be_none { Ok(0) } else { Err("this limit cannot be left out".to_owned()) };
        }
        let definition = || {
            let named = self.instruments.get(usize::from(index));
            named.map(|named| &named.definition).ok_or("the instrument is not known")
        };
        let decimal = || value.parse::<Decimal>().map_err(|wrong| wrong.0);
        let number = match values.unit {
            LimitUnit::Lots => lots(value, definition()?.lot)?,
            LimitUnit::Notional => {
                let units = notional(decimal()?, definition()?).map(|notional| notional.raw());
                units
                    .and_then(|units| i64::try_from(units).ok())
                    .ok_or("less than one tick of one lot, or too large")?
            }
            LimitUnit::Count => value.parse::<i64>().map_err(|_| "expected a whole number".to_owned())?,
            LimitUnit::Share => i64::from(parse_percent(value).map_err(|wrong| wrong.0)?),
            LimitUnit::Money => decimal()?
                .units(CASH_DECIMALS)
                .ok_or("more decimals than money has here (8), or too large")?,
            LimitUnit::Span => {
                i64::try_from(parse_span(value).map_err(|wrong| wrong.0)?.raw()).map_err(|_| "too long")?
            }
        };
        if values.range.contains(&number) {
            return Ok(number);
        }
        let (least, most) = (*values.range.start(), *values.range.end());
        let shown = |number: i64| match values.unit {
            LimitUnit::Share => show_percent(number.unsigned_abs() as u32),
            LimitUnit::Span => show_span(Nanos::new(number.unsigned_abs())),
            _ => number.to_string(),
        };
        let none = if values.may_be_none { ", or \"none\"" } else { "" };
        let is_counted = matches!(values.unit, LimitUnit::Count | LimitUnit::Share | LimitUnit::Span);
        Err(if is_counted {
            format!("expected from {} to {}{none}", shown(least), shown(most))
        } else {
            format!("expected more than zero{none}")
        })
    }
}

fn lots(value: &str, lot: Increment) -> Result<i64, String> {
    let decimal: Decimal = value.parse().map_err(|_| "expected decimal text such as \"0.5\"".to_owned())?;
    decimal.steps(&lot).map_err(|_| format!("expected a whole number of lots of {}", steps(&lot, 1)))
}

fn place(what: &str, name: &str, names: &[String]) -> Result<u16, Refusal> {
    let found = names.iter().position(|known| known == name);
    found
        .and_then(|at| u16::try_from(at).ok())
        .ok_or_else(|| bad(format!("there is no {what} {name:?}; there are {}", names.join(", "))))
}

fn bad(message: String) -> Refusal {
    Refusal::new(Refused::BadArgument, message)
}
