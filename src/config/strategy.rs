//! Strategies as a person writes them: the built-in kinds with checked parameters, one file each, and a free table of typed values
//! for a desk's own.

pub(super) mod bracket;
pub(super) mod chaser;
pub(super) mod dca_entry;
pub(super) mod market_maker;

use std::collections::BTreeMap;

use linchpin_core::event::Side;
use linchpin_core::instrument::InstrumentDefinition;
use linchpin_core::num::{Price, Quantity};
use linchpin_core::strategy::{
    Strategy as Made, bracket::Bracket as MadeBracket, chaser::Chaser as MadeChaser,
    dca::DcaEntry as MadeDca, market_maker as core_market_maker,
};
use linchpin_core::time::Nanos;

use super::Config;
use super::document::{Entry, Section, Value};
use super::error::{ConfigError, ConfigErrors};
use super::limits::{InstrumentCaps, at_least_one_order, lots, mistake};
use super::resolved::{Writer, toml_key, toml_text};
use super::text::{Decimal, Wrong, nearest, parse_percent, parse_span, words};
pub use bracket::Bracket;
pub use chaser::Chaser;
pub use dca_entry::DcaEntry;
pub use market_maker::MarketMaker;

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    MarketMaker(MarketMaker),
    Chaser(Chaser),
    Bracket(Bracket),
    DcaEntry(DcaEntry),
    /// Registered by the program under this name.
    Own {
        name: String,
        parameters: Parameters,
    },
}

impl Kind {
    pub const MARKET_MAKER: &str = "market-maker";
    pub const CHASER: &str = "chaser";
    pub const BRACKET: &str = "bracket";
    pub const DCA_ENTRY: &str = "dca-entry";
    pub const BUILT_IN: [&str; 4] = [Self::MARKET_MAKER, Self::CHASER, Self::BRACKET, Self::DCA_ENTRY];

    pub fn name(&self) -> &str {
        match self {
            Self::MarketMaker(_) => Self::MARKET_MAKER,
            Self::Chaser(_) => Self::CHASER,
            Self::Bracket(_) => Self::BRACKET,
            Self::DcaEntry(_) => Self::DCA_ENTRY,
            Self::Own { name, .. } => name,
        }
    }

    /// Instruments that one instance may trade.
    pub(super) fn most_instruments(name: &str) -> usize {
        match name {
            Self::MARKET_MAKER => MarketMaker::MOST_INSTRUMENTS,
            Self::CHASER | Self::DCA_ENTRY => 1,
            Self::BRACKET => Bracket::MOST_INSTRUMENTS,
            _ => usize::MAX,
        }
    }

    /// The manual of a kind whose parameters do not stand in `default.toml`.
    pub(super) fn manual(name: &str) -> Option<&'static str> {
        match name {
            Self::CHASER => Some(chaser::MANUAL),
            Self::BRACKET => Some(bracket::MANUAL),
            Self::DCA_ENTRY => Some(dca_entry::MANUAL),
            _ => None,
        }
    }

    /// A built-in kind from its table of parameters, which lies over the kind's own defaults; `None` for a desk's own.
    pub(super) fn read(name: &str, parameters: &Section<'_>, own: &Own<'_>) -> Option<Self> {
        Some(match name {
            Self::MARKET_MAKER => Self::MarketMaker(MarketMaker::read(parameters, own)),
            Self::CHASER => Self::Chaser(Chaser::read(parameters, own)),
            Self::BRACKET => Self::Bracket(Bracket::read(parameters, own)),
            Self::DCA_ENTRY => Self::DcaEntry(DcaEntry::read(parameters, own)),
            _ => return None,
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        match self {
            Self::MarketMaker(maker) => maker.write(out),
            Self::Chaser(chaser) => chaser.write(out),
            Self::Bracket(bracket) => bracket.write(out),
            Self::DcaEntry(entry) => entry.write(out),
            Self::Own { parameters, .. } => {
                parameters.iter().for_each(|(key, value)| out.bare(&toml_key(key), value.toml()));
            }
        }
    }
}

words! {
    /// A side, as it is written.
    pub enum SideWord {
        Buy = "buy",
        Sell = "sell",
    }
}

impl SideWord {
    pub fn side(self) -> Side {
        match self {
            Self::Buy => Side::Buy,
            Self::Sell => Side::Sell,
        }
    }
}

/// A distance, in 1/10,000.
fn percent(text: &str) -> Result<u32, Wrong> {
    match parse_percent(text)? {
        0 => Err(Wrong::new("expected from \"0.01%\" to \"100%\"")),
        percent => Ok(percent),
    }
}

/// The hard limits of a strategy's own instruments.
pub(super) struct Own<'a>(pub Vec<&'a InstrumentCaps>);

impl Own<'_> {
    fn fits_an_order(&self, section: &Section<'_>, key: &str, quantity: Decimal) {
        if let Some(caps) = self.0.iter().find(|caps| quantity > caps.max_order_quantity) {
            let cap = caps.max_order_quantity;
            section.wrong(key, format!("is more than the instrument's max_order_quantity of \"{cap}\""));
        }
    }

    fn fits_the_position(&self, section: &Section<'_>, key: &str, quantity: Decimal) {
        if let Some(caps) = self.0.iter().find(|caps| quantity > caps.max_position) {
            let cap = caps.max_position;
            section.wrong(key, format!("is more than the instrument's max_position of \"{cap}\""));
        }
    }
}

/// Decimals onto an instrument's grid; every mistake with its full key.
struct Grid<'a> {
    key: &'a str,
    definition: &'a InstrumentDefinition,
    mistakes: Vec<ConfigError>,
}

impl<'a> Grid<'a> {
    fn of(key: &'a str, definition: &'a InstrumentDefinition) -> Self {
        Self { key, definition, mistakes: Vec::new() }
    }

    /// A quantity that the venue takes as an order.
    fn order(&mut self, name: &str, value: Decimal) -> Quantity {
        let key = format!("{}.{name}", self.key);
        lots(&key, value, &self.definition.lot)
            .and_then(|lots| at_least_one_order(&key, value, lots, self.definition))
            .map_err(|error| self.mistakes.push(error))
            .unwrap_or_default()
    }

    fn price(&mut self, name: &str, value: Decimal) -> Price {
        let key = format!("{}.{name}", self.key);
        let problem = "is not a whole number of the instrument's ticks";
        value
            .steps(&self.definition.tick)
            .map(Price::new)
            .map_err(|_| self.mistakes.push(mistake(&key, Some(value), problem)))
            .unwrap_or_default()
    }

    fn unless_any<T>(self, parameters: T) -> Result<T, ConfigErrors> {
        ConfigErrors::unless_any(self.mistakes, parameters)
    }
}

impl Config {
    /// What the core's market maker takes, where strategy `index` is one. `definitions` by `InstrumentId`.
    pub fn market_maker(
        &self,
        index: usize,
        definitions: &[InstrumentDefinition],
    ) -> Result<Option<core_market_maker::Parameters>, ConfigErrors> {
        let Some(Kind::MarketMaker(maker)) = self.strategies.get(index).map(|s| &s.kind) else {
            return Ok(None);
        };
        let definition = self.grid_of(index, definitions)?;
        maker.parameters(&format!("strategy[{index}].parameters"), definition).map(Some)
    }

    /// Strategy `index`, if its kind is built in. `definitions` by `InstrumentId`.
    pub fn built_in_strategy(
        &self,
        index: usize,
        definitions: &[InstrumentDefinition],
    ) -> Result<Option<Box<dyn Made>>, ConfigErrors> {
        let Some(strategy) = self.strategies.get(index) else { return Ok(None) };
        if let Kind::Own { .. } = strategy.kind {
            return Ok(None);
        }
        let definition = self.grid_of(index, definitions)?;
        let key = format!("strategy[{index}].parameters");
        Ok(match &strategy.kind {
            Kind::MarketMaker(maker) => {
                Some(Box::new(core_market_maker::MarketMaker::new(maker.parameters(&key, definition)?)))
            }
            Kind::Chaser(chaser) => Some(Box::new(MadeChaser::new(chaser.parameters(&key, definition)?))),
            Kind::Bracket(bracket) => {
                let names = self.strategies.iter().map(|other| other.name.as_str());
                Some(Box::new(MadeBracket::new(bracket.parameters(&key, definition, names)?)))
            }
            Kind::DcaEntry(entry) => Some(Box::new(MadeDca::new(entry.parameters(&key, definition)?))),
            Kind::Own { .. } => None,
        })
    }

    /// The definition whose grid a strategy's quantities stand on: the first of its instruments, and every other has the same lots.
    fn grid_of<'d>(
        &self,
        index: usize,
        definitions: &'d [InstrumentDefinition],
    ) -> Result<&'d InstrumentDefinition, ConfigErrors> {
        self.expect_definitions(definitions)?;
        let key = format!("strategy[{index}].instruments");
        let instruments = self.strategies.get(index).map_or(&[][..], |strategy| &strategy.instruments);
        let mut of = instruments.iter().filter_map(|at| definitions.get(usize::from(*at)));
        let Some(first) = of.next() else {
            return Err(mistake(&key, None, "names no instrument").into());
        };
        let grid = |definition: &InstrumentDefinition| (definition.lot.mantissa, definition.lot.decimals);
        if of.any(|other| grid(other) != grid(first)) {
            let problem =
                "have different lots, so one quantity cannot fit them: give each a strategy of its own";
            return Err(mistake(&key, None, problem).into());
        }
        Ok(first)
    }

    /// Refuses strategies whose kind is neither built in nor among `registered`.
    pub fn check_kinds(&self, registered: &[&str]) -> Result<(), ConfigErrors> {
        let mut mistakes = Vec::new();
        for (index, strategy) in self.strategies.iter().enumerate() {
            let Kind::Own { name, .. } = &strategy.kind else { continue };
            if registered.contains(&name.as_str()) {
                continue;
            }
            let known = || Kind::BUILT_IN.into_iter().chain(registered.iter().copied());
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
