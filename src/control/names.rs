//! What people call things, and the core's numbers for them: for what is shown, and for keys that are typed.

use crate::core::id::{AssetId, InstrumentId, StrategyId, VenueId};
use crate::core::instrument::InstrumentDefinition;
use crate::core::num::{CASH_DECIMALS, DecimalText, Increment, Notional, Price, Quantity};
use crate::core::strategy::changeable::Parameter;

/// The names of one run.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// By `VenueId`.
    pub venues: Vec<String>,
    /// By `StrategyId`.
    pub strategies: Vec<String>,
    /// By `StrategyId`.
    pub parameters: Vec<ParameterNames>,
    /// By `InstrumentId`.
    pub instruments: Vec<Named>,
    /// By `AssetId`.
    pub assets: Vec<String>,
}

/// What a strategy's parameters are called.
#[derive(Clone, Debug, Default)]
pub struct ParameterNames {
    pub changeable: &'static [Parameter],
    /// Those that are fixed for a run included.
    pub all: Vec<String>,
    /// Index of the instrument whose ticks and lots they count in.
    pub grid: Option<usize>,
}

#[derive(Clone, Debug)]
pub struct Named {
    pub symbol: String,
    pub venue: VenueId,
    pub definition: InstrumentDefinition,
}

impl Names {
    pub fn venue(&self, id: VenueId) -> &str {
        self.venues.get(id.index()).map_or("?", String::as_str)
    }

    /// What nobody of ours made is "external".
    pub fn strategy(&self, id: StrategyId) -> &str {
        match self.strategies.get(id.index()) {
            Some(name) => name,
            None => "external",
        }
    }

    pub fn symbol(&self, id: InstrumentId) -> &str {
        self.instruments.get(id.index()).map_or("?", |named| named.symbol.as_str())
    }

    pub fn asset(&self, id: AssetId) -> &str {
        self.assets.get(id.index()).map_or("?", String::as_str)
    }

    pub fn quote_of(&self, id: InstrumentId) -> &str {
        self.instruments.get(id.index()).map_or("?", |named| self.asset(named.definition.quote))
    }

    pub fn price(&self, id: InstrumentId, price: Price) -> String {
        let Some(named) = self.instruments.get(id.index()) else { return price.raw().to_string() };
        steps(&named.definition.tick, price.raw())
    }

    pub fn quantity(&self, id: InstrumentId, quantity: Quantity) -> String {
        let Some(named) = self.instruments.get(id.index()) else { return quantity.raw().to_string() };
        steps(&named.definition.lot, quantity.raw())
    }

    /// Worth in the quote asset, exact to `CASH_DECIMALS`.
    pub fn worth(&self, id: InstrumentId, notional: Notional) -> String {
        let Some(named) = self.instruments.get(id.index()) else { return notional.raw().to_string() };
        money(named.definition.cash(notional).raw())
    }
}

/// So many ticks or lots as decimal text.
pub fn steps(step: &Increment, count: i64) -> String {
    let mut text = DecimalText::new();
    step.write(count, &mut text);
    text.as_str().to_owned()
}

/// Money at `CASH_DECIMALS` as text.
pub fn money(units: i128) -> String {
    let mut text = DecimalText::new();
    text.write(units, CASH_DECIMALS, CASH_DECIMALS);
    text.as_str().to_owned()
}
