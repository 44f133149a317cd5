//! A strategy's parameters: checked ones for the built-in, a free table of typed values for a desk's own.

use std::collections::BTreeMap;

use fixed::types::I48F16;
use linchpin_core::instrument::InstrumentDefinition;
use linchpin_core::num::pow10;
use linchpin_core::strategy::market_maker;
use linchpin_core::time::Nanos;

use super::Config;
use super::document::{Entry, Value};
use super::error::{ConfigError, ConfigErrors};
use super::limits::{at_least_one_order, lots, mistake};
use super::resolved::toml_text;
use super::text::{Decimal, Wrong, nearest, parse_span};

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    MarketMaker(MarketMaker),
    /// Registered by the program under this name.
    Own {
        name: String,
        parameters: Parameters,
    },
}

impl Kind {
    pub const MARKET_MAKER: &str = "market-maker";

    pub fn name(&self) -> &str {
        match self {
            Self::MarketMaker(_) => Self::MARKET_MAKER,
            Self::Own { name, .. } => name,
        }
    }
}

/// The built-in market maker's parameters in the instrument's own units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketMaker {
    pub quantity: Decimal,
    pub half_spread_ticks: Decimal,
    pub max_skew_ticks: Decimal,
    pub max_position: Decimal,
    pub requote_ticks: u32,
}

impl Config {
    /// What the core's market maker takes, where strategy `index` is one. `definitions` by `InstrumentId`.
    pub fn market_maker(
        &self,
        index: usize,
        definitions: &[InstrumentDefinition],
    ) -> Result<Option<market_maker::Parameters>, ConfigErrors> {
        self.expect_definitions(definitions)?;
        let Some((strategy, Kind::MarketMaker(maker))) = self.strategies.get(index).map(|s| (s, &s.kind))
        else {
            return Ok(None);
        };
        let key = format!("strategy[{index}]");
        let mut of = strategy.instruments.iter().filter_map(|at| definitions.get(usize::from(*at)));
        let Some(first) = of.next() else {
            return Err(mistake(&format!("{key}.instruments"), None, "names no instrument").into());
        };
        let grid = |definition: &InstrumentDefinition| (definition.lot.mantissa, definition.lot.decimals);
        if of.any(|other| grid(other) != grid(first)) {
            let problem =
                "have different lots, so one quantity cannot fit them: give each a strategy of its own";
            return Err(mistake(&format!("{key}.instruments"), None, problem).into());
        }
        maker.parameters(&format!("{key}.parameters"), first).map(Some)
    }

    /// Refuses strategies whose kind is neither built in nor among `registered`.
    pub fn check_kinds(&self, registered: &[&str]) -> Result<(), ConfigErrors> {
        let mut mistakes = Vec::new();
        for (index, strategy) in self.strategies.iter().enumerate() {
            let Kind::Own { name, .. } = &strategy.kind else { continue };
            if registered.contains(&name.as_str()) {
                continue;
            }
            let known = || std::iter::once(Kind::MARKET_MAKER).chain(registered.iter().copied());
            let list = known().map(|kind| format!("\"{kind}\"")).collect::<Vec<_>>().join(", ");
            let hint = nearest(name, known()).map_or(String::new(), |n| format!("; did you mean \"{n}\"?"));
            mistakes.push(ConfigError {
                place: String::new(),
                key: format!("strategy[{index}].kind"),
                value: Some(format!("{name:?}")),
                problem: format!("there is no such strategy; this program has {list}{hint}"),
            });
        }
        ConfigErrors::unless_any(mistakes, ())
    }
}

impl MarketMaker {
    fn parameters(
        &self,
        key: &str,
        definition: &InstrumentDefinition,
    ) -> Result<market_maker::Parameters, ConfigErrors> {
        let mut mistakes = Vec::new();
        let mut lots_of = |name: &str, value: Decimal| {
            let key = format!("{key}.{name}");
            lots(&key, value, &definition.lot)
                .and_then(|lots| at_least_one_order(&key, value, lots, definition))
                .map_err(|error| mistakes.push(error))
                .unwrap_or_default()
        };
        let parameters = market_maker::Parameters {
            quantity: lots_of("quantity", self.quantity),
            half_spread: ticks(self.half_spread_ticks),
            max_skew: ticks(self.max_skew_ticks),
            max_position: lots_of("max_position", self.max_position),
            requote_ticks: i64::from(self.requote_ticks),
        };
        ConfigErrors::unless_any(mistakes, parameters)
    }
}

/// Ticks as the core's fixed point: the nearest 1/65536, ties away from zero. The value was read within the type's range.
fn ticks(value: Decimal) -> I48F16 {
    let (mantissa, places) = value.parts();
    let unit = i128::from(pow10(places).unwrap_or(1));
    let bits = (i128::from(mantissa) * 65_536 * 2 + unit * i128::from(mantissa.signum())) / (unit * 2);
    I48F16::from_bits(i64::try_from(bits).unwrap_or(i64::MAX))
}

/// The parameters of a desk's own strategy: its program asks for them by name and type, and gets errors with the full key.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// `strategy[1].parameters`.
    path: String,
    values: BTreeMap<String, ParameterValue>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterValue {
    Text(String),
    Integer(i64),
    Flag(bool),
    List(Vec<ParameterValue>),
}

impl Parameters {
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ParameterValue)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// As it was written; `None` where it is not there.
    pub fn value(&self, key: &str) -> Option<&ParameterValue> {
        self.values.get(key)
    }

    pub fn decimal(&self, key: &str) -> Result<Decimal, ConfigError> {
        self.text(key)?.parse().map_err(|wrong: Wrong| self.wrong(key, wrong.0))
    }

    pub fn span(&self, key: &str) -> Result<Nanos, ConfigError> {
        parse_span(self.text(key)?).map_err(|wrong| self.wrong(key, wrong.0))
    }

    pub fn text(&self, key: &str) -> Result<&str, ConfigError> {
        match self.given(key)? {
            ParameterValue::Text(text) => Ok(text),
            _ => Err(self.wrong(key, "expected text, in quotes".into())),
        }
    }

    pub fn integer(&self, key: &str) -> Result<i64, ConfigError> {
        match self.given(key)? {
            ParameterValue::Integer(integer) => Ok(*integer),
            _ => Err(self.wrong(key, "expected a whole number".into())),
        }
    }

    pub fn flag(&self, key: &str) -> Result<bool, ConfigError> {
        match self.given(key)? {
            ParameterValue::Flag(flag) => Ok(*flag),
            _ => Err(self.wrong(key, "expected true or false".into())),
        }
    }

    /// Refuses what is not among `known`: call it once with every key that the strategy reads.
    pub fn expect_only(&self, known: &[&str]) -> Result<(), ConfigErrors> {
        let unknown = self.values.keys().filter(|key| !known.contains(&key.as_str()));
        let mistakes = unknown.map(|key| {
            let hint = match nearest(key, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has {}", known.join(", ")),
            };
            ConfigError {
                place: String::new(),
                key: format!("{}.{key}", self.path),
                value: None,
                problem: format!("the strategy has no such parameter; {hint}"),
            }
        });
        ConfigErrors::unless_any(mistakes.collect(), ())
    }

    /// A mistake about one of them, for a strategy's own checks.
    pub fn wrong(&self, key: &str, problem: String) -> ConfigError {
        ConfigError {
            place: String::new(),
            key: format!("{}.{key}", self.path),
            value: self.values.get(key).map(ParameterValue::toml),
            problem,
        }
    }

    fn given(&self, key: &str) -> Result<&ParameterValue, ConfigError> {
        self.values.get(key).ok_or_else(|| self.wrong(key, "is missing: the strategy needs it".into()))
    }

    pub(super) fn read(
        path: String,
        entries: &BTreeMap<String, Entry>,
        mut wrong: impl FnMut(&str, String),
    ) -> Self {
        let mut values = BTreeMap::new();
        for (key, entry) in entries {
            match ParameterValue::read(&entry.value) {
                Ok(value) => drop(values.insert(key.clone(), value)),
                Err("a float") => {
                    wrong(key, "a float is not exact: write it as text, in quotes".into());
                }
                Err(kind) => {
                    wrong(
                        key,
                        format!(
                            "expected text, a whole number, true or false, or a list of these, not {kind}"
                        ),
                    );
                }
            }
        }
        Self { path, values }
    }
}

impl ParameterValue {
    fn read(value: &Value) -> Result<Self, &'static str> {
        Ok(match value {
            Value::Text(text) => Self::Text(text.clone()),
            Value::Integer(integer) => Self::Integer(*integer),
            Value::Flag(flag) => Self::Flag(*flag),
            Value::List(list) => {
                Self::List(list.iter().map(|entry| Self::read(&entry.value)).collect::<Result<_, _>>()?)
            }
            other => return Err(other.kind()),
        })
    }

    pub(super) fn toml(&self) -> String {
        match self {
            Self::Text(text) => toml_text(text),
            Self::Integer(integer) => integer.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::List(list) => format!("[{}]", list.iter().map(Self::toml).collect::<Vec<_>>().join(", ")),
        }
    }
}
