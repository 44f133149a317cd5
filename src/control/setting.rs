//! `set KEY VALUE`: from what a person types to the control event that changes it. Keys and units are those of the
//! configuration file, with a name in the place of the table's number.
//!
//! ```text
//! instrument.BTCUSDT.max_position = 0.5         strategy.maker.max_open_orders = 8
//! instrument.demo/BTCUSDT.collar = 2%           strategy.maker.parameters.requote_ticks = 3
//! ```

use super::names::Names;
use super::{Refusal, Refused};
use crate::config::{nearest, setting_number};
use crate::core::event::{Control, ControlVerb};
use crate::core::id::StrategyId;
use crate::core::instrument::InstrumentDefinition;
use crate::core::limits::{LimitKey, LimitScope, Values};
use crate::core::strategy::parameter_target;

impl Names {
    /// The event that sets `key` to `value`; the core fills in the old value.
    pub fn setting(&self, key: &str, value: &str) -> Result<Control, Refusal> {
        let mut words = key.split('.');
        let (scope, rest) = (words.next().unwrap_or(""), words.collect::<Vec<_>>());
        let (limit, index) = match (scope, rest.as_slice()) {
            ("strategy", [name, "parameters", parameter]) => {
                let strategy = place("strategy", name, &self.strategies)?;
                return self.parameter(key, strategy, parameter, value);
            }
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
        let of_scope = || LimitKey::ALL.iter().copied().filter(|key| key.scope().name() == scope);
        let Some(found) = of_scope().find(|key| key.own_name() == *limit) else {
            let names: Vec<&str> = of_scope().map(LimitKey::own_name).collect();
            return Err(bad(format!("{key}: no such limit can be changed{}", instead(limit, &names))));
        };
        let definition = self.instruments.get(usize::from(index)).map(|named| &named.definition);
        let definition = definition.filter(|_| found.scope() == LimitScope::Instrument);
        let new = number(key, &found.values(), definition, value)?;
        Ok(Control { verb: ControlVerb::SetLimit, target: found.target(index), old: 0, new, who: 0 })
    }

    fn parameter(&self, key: &str, strategy: u16, parameter: &str, value: &str) -> Result<Control, Refusal> {
        let Some(known) = self.parameters.get(usize::from(strategy)) else {
            return Err(bad(format!("{key}: the strategy's parameters are not known")));
        };
        let names: Vec<&str> = known.changeable.iter().map(|parameter| parameter.name).collect();
        let Some(at) = names.iter().position(|name| *name == parameter) else {
            let is_fixed = known.all.iter().any(|name| name == parameter);
            let what = if is_fixed { "is fixed for a run" } else { "is no parameter of the strategy" };
            return Err(bad(format!("{key}: {parameter} {what}{}", instead(parameter, &names))));
        };
        let definition = known.grid.and_then(|at| self.instruments.get(at)).map(|named| &named.definition);
        let new = number(key, &known.changeable[at].values, definition, value)?;
        let target = parameter_target(StrategyId(strategy as u8), at as u16);
        Ok(Control { verb: ControlVerb::SetParameter, target, old: 0, new, who: 0 })
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
}

fn number(
    key: &str,
    values: &Values,
    definition: Option<&InstrumentDefinition>,
    value: &str,
) -> Result<i64, Refusal> {
    setting_number(values, definition, value).map_err(|wrong| bad(format!("{key} = {value:?}: {wrong}")))
}

/// What there is in the place of a name that is not.
fn instead(name: &str, names: &[&str]) -> String {
    if names.is_empty() {
        return "; none can be changed".to_owned();
    }
    let hint = nearest(name, names.iter().copied())
        .map_or(String::new(), |near| format!("; did you mean {near:?}?"));
    format!("; there are {}{hint}", names.join(", "))
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

#[cfg(test)]
mod tests {
    use super::super::names::{Named, ParameterNames};
    use super::*;
    use crate::core::id::VenueId;
    use crate::core::instrument::Product;
    use crate::core::strategy::market_maker;
    use crate::venue::directory::tests::definition;

    fn names() -> Names {
        let definition = definition("0.10", "0.001", Product::LinearPerpetual);
        Names {
            venues: vec!["demo".into()],
            strategies: vec!["maker".into(), "own".into()],
            parameters: vec![
                ParameterNames {
                    changeable: market_maker::Parameters::CHANGEABLE,
                    all: vec!["quantity".into(), "colour".into()],
                    grid: Some(0),
                },
                ParameterNames { changeable: &[], all: vec!["gamma".into()], grid: None },
            ],
            instruments: vec![Named { symbol: "BTCUSDT".into(), venue: VenueId(0), definition }],
            assets: Vec::new(),
        }
    }

    #[test]
    fn a_key_and_its_value_become_the_event_in_the_cores_unit() {
        for (key, value, verb, target, number) in [
            (
                "instrument.BTCUSDT.max_position",
                "0.5",
                ControlVerb::SetLimit,
                LimitKey::MaxPosition.target(0),
                500,
            ),
            ("instrument.demo/BTCUSDT.collar", "2%", ControlVerb::SetLimit, LimitKey::Collar.target(0), 200),
            ("instrument.BTCUSDT.leverage", "none", ControlVerb::SetLimit, LimitKey::Leverage.target(0), 0),
            (
                "strategy.own.max_drawdown",
                "2.5",
                ControlVerb::SetLimit,
                LimitKey::MaxDrawdown.target(1),
                250_000_000,
            ),
            (
                "venue.demo.least_validity",
                "11m",
                ControlVerb::SetLimit,
                LimitKey::LeastValidity.target(0),
                660_000_000_000,
            ),
            (
                "risk.max_gross",
                "100",
                ControlVerb::SetLimit,
                LimitKey::AccountMaxGross.target(0),
                10_000_000_000,
            ),
            ("strategy.maker.parameters.quantity", "0.005", ControlVerb::SetParameter, 0, 5),
            ("strategy.maker.parameters.half_spread_ticks", "1.5", ControlVerb::SetParameter, 1, 98_304),
            ("strategy.maker.parameters.requote_ticks", "3", ControlVerb::SetParameter, 4, 3),
        ] {
            let event =
                names().setting(key, value).unwrap_or_else(|refusal| panic!("{key}: {}", refusal.message));
            assert_eq!((event.verb, event.target, event.new), (verb, target, number), "{key} = {value}");
        }
    }

    #[test]
    fn what_cannot_be_set_is_refused_with_what_can() {
        for (key, value, words) in [
            (
                "strategy.maker.parameters.requote_tick",
                "3",
                "requote_tick is no parameter of the strategy; there are quantity, half_spread_ticks, max_skew_ticks, max_position, requote_ticks; did you mean \"requote_ticks\"?",
            ),
            ("strategy.maker.parameters.colour", "red", "colour is fixed for a run; there are quantity"),
            ("strategy.own.parameters.gamma", "1", "gamma is fixed for a run; none can be changed"),
            ("strategy.maker.parameters.quantity", "0.0005", "expected a whole number of lots of 0.001"),
            ("strategy.maker.parameters.quantity", "0", "expected a number above \"0\""),
            ("strategy.maker.parameters.half_spread_ticks", "-1", "expected from \"0\" to \"1000000\" ticks"),
            ("strategy.maker.parameters.requote_ticks", "none", "this setting cannot be left out"),
            (
                "strategy.mkaer.parameters.quantity",
                "1",
                "there is no strategy \"mkaer\"; there are maker, own",
            ),
            (
                "risk.max_grss",
                "1",
                "no such limit can be changed; there are max_gross, max_net, max_daily_loss, max_drawdown, report_wait; did you mean \"max_gross\"?",
            ),
            ("risk.max_gross", "0", "expected a number above \"0\", or \"none\""),
            ("risk.report_wait", "2h", "expected a span from \"1ms\" to \"1h\", or \"none\""),
            ("instrument.BTCUSDT.collar", "2", "expected a percent"),
            ("strategy.maker.max_open_orders", "1.5", "expected a whole number from 1 to 100000"),
        ] {
            let refusal = names().setting(key, value).expect_err(key);
            assert!(refusal.message.contains(words), "{key} = {value}: {}", refusal.message);
        }
    }
}
