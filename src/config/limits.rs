//! From what a person wrote to what the core counts in: lots, ticks, tick x lots. Needs the venue's definitions, so it happens after hydration.
//!
//! Quantities must lie on the instrument's grid: a limit is never rounded to another one. Only a notional is rounded, down, to whole
//! tick x lots, so that it never allows more than was written.

use linchpin_core::id::{StrategyId, VenueId};
use linchpin_core::instrument::InstrumentDefinition;
use linchpin_core::limits::{
    AccountLimits, Configuration, InstrumentLimits, LimitKey, StrategyLimits, VenueLimits,
};
use linchpin_core::num::{Increment, Notional, NumberError, Quantity, pow10};

use super::Config;
use super::bounds::Bounds;
use super::error::{ConfigError, ConfigErrors};
use super::text::Decimal;

/// An instrument's limits, as they were written: in its own units, and those that need none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstrumentCaps {
    pub max_order_quantity: Decimal,
    pub max_order_notional: Decimal,
    pub max_position: Decimal,
    pub bounds: Bounds,
}

impl Config {
    /// The core's configuration, from what the venues say their instruments are (by `InstrumentId`). The caller adds `killed`.
    pub fn core(
        &self,
        definitions: &[InstrumentDefinition],
        run_tag: [u8; 5],
    ) -> Result<Configuration, ConfigErrors> {
        self.expect_definitions(definitions)?;
        let mut mistakes = Vec::new();
        let mut instruments = Vec::with_capacity(self.instruments.len());
        for (index, (instrument, definition)) in self.instruments.iter().zip(definitions).enumerate() {
            let key = format!("instrument[{index}]");
            match instrument.caps.limits(&key, VenueId(instrument.venue), definition) {
                Ok(limits) => instruments.push(limits),
                Err(errors) => mistakes.extend(errors.iter().cloned()),
            }
        }
        mistakes.extend(self.unlike_quotes(definitions));
        let buckets = |venue: &super::Venue| venue.limits.iter().map(|limit| limit.bucket).collect();
        let mut configuration = Configuration {
            run_tag,
            venues: self
                .venues
                .iter()
                .map(|venue| VenueLimits {
                    buckets: buckets(venue),
                    position_mode: venue.position_mode,
                    ..VenueLimits::default()
                })
                .collect(),
            instruments,
            strategies: self
                .strategies
                .iter()
                .map(|strategy| StrategyLimits {
                    instruments: strategy.instruments.clone(),
                    ..StrategyLimits::default()
                })
                .collect(),
            order_rows: self.core.order_rows,
            book_levels: self.core.book_levels,
            settle_quiet: self.core.settle_quiet,
            settle_max: self.core.settle_max,
            confirmation_timeout: self.core.confirmation_timeout,
            visibility_delay: self.core.visibility_delay,
            recovery_attempts: self.core.recovery_attempts,
            trading_enabled: self.run.trading_enabled,
            killed: false,
            state_hash_every: self.run.state_hash_every,
            account: AccountLimits { on_loss: self.risk.on_loss, ..AccountLimits::default() },
            ..Configuration::default()
        };
        ConfigErrors::unless_any(mistakes, ())?;
        self.risk.bounds.put_into(&mut configuration, 0);
        let venues = self.venues.iter().map(|venue| &venue.bounds).enumerate();
        let instruments = self.instruments.iter().map(|instrument| &instrument.caps.bounds).enumerate();
        let strategies = self.strategies.iter().map(|strategy| &strategy.bounds).enumerate();
        for (at, bounds) in venues.chain(instruments).chain(strategies) {
            bounds.put_into(&mut configuration, at);
        }
        for (at, limits) in (0u16..).zip(&mut configuration.instruments) {
            let claims = |strategy: &super::Strategy| strategy.claims_external.contains(&at);
            let claimant = self.strategies.iter().position(claims);
            limits.claimant = claimant.map(|index| StrategyId(index as u8));
        }
        Ok(configuration)
    }

    /// Money of different quote assets is added up in one: which, and at what worth, is nobody's to guess.
    fn unlike_quotes(&self, definitions: &[InstrumentDefinition]) -> Option<ConfigError> {
        let mut unvalued = self
            .instruments
            .iter()
            .zip(definitions)
            .enumerate()
            .filter(|(_, (instrument, _))| instrument.caps.bounds.get(LimitKey::QuoteWorth) == 0);
        let (_, (first, reporting)) = unvalued.next()?;
        let (index, (other, _)) =
            unvalued.find(|(_, (_, definition))| definition.quote != reporting.quote)?;
        let problem = format!(
            "{} and {} are quoted in different assets: say what one unit of {}'s counts for (\"1\" for as much as the other)",
            first.symbol, other.symbol, other.symbol
        );
        Some(mistake(&format!("instrument[{index}].quote_worth"), None, problem))
    }

    /// One definition for each instrument: anything else is a mistake of the caller, told instead of an index out of bounds.
    pub(super) fn expect_definitions(
        &self,
        definitions: &[InstrumentDefinition],
    ) -> Result<(), ConfigErrors> {
        let (found, expected) = (definitions.len(), self.instruments.len());
        if found == expected {
            return Ok(());
        }
        Err(mistake(
            "instrument",
            None,
            format!("{expected} are configured, but {found} definitions are known"),
        )
        .into())
    }
}

impl InstrumentCaps {
    /// What is counted in its lots and ticks; the `bounds` come later. `key` is where they stand, for messages: `instrument[0]`.
    pub fn limits(
        &self,
        key: &str,
        venue: VenueId,
        definition: &InstrumentDefinition,
    ) -> Result<InstrumentLimits, ConfigErrors> {
        let mut mistakes = Vec::new();
        let mut lots_of = |name: &str, value: Decimal| {
            lots(&format!("{key}.{name}"), value, &definition.lot)
                .and_then(|lots| at_least_one_order(&format!("{key}.{name}"), value, lots, definition))
                .unwrap_or_else(|error| {
                    mistakes.push(error);
                    Quantity::ZERO
                })
        };
        let max_order_quantity = lots_of("max_order_quantity", self.max_order_quantity);
        let max_position = lots_of("max_position", self.max_position);
        let max_order_notional = match notional(self.max_order_notional, definition) {
            Some(notional) => notional,
            None => {
                let problem = "is less than one tick times one lot of the instrument, or too large to count";
                let key = format!("{key}.max_order_notional");
                mistakes.push(mistake(&key, Some(self.max_order_notional), problem));
                Notional::ZERO
            }
        };
        let limits = InstrumentLimits {
            venue,
            max_order_quantity,
            max_order_notional,
            max_position,
            ..InstrumentLimits::default()
        };
        ConfigErrors::unless_any(mistakes, limits)
    }
}

/// A quantity in whole lots.
pub(super) fn lots(key: &str, value: Decimal, lot: &Increment) -> Result<Quantity, ConfigError> {
    value.steps(lot).map(Quantity::new).map_err(|error| {
        let problem = match error {
            NumberError::OffGrid | NumberError::TooFine { .. } => {
                format!("is not a whole number of the instrument's lots of \"{}\"", step(lot))
            }
            _ => "is too large to count in the instrument's lots".to_owned(),
        };
        mistake(key, Some(value), problem)
    })
}

/// A limit, or a quote, that no order the venue takes would fit in.
pub(super) fn at_least_one_order(
    key: &str,
    value: Decimal,
    lots: Quantity,
    definition: &InstrumentDefinition,
) -> Result<Quantity, ConfigError> {
    if lots >= definition.min_quantity {
        return Ok(lots);
    }
    let (mantissa, places) = step(&definition.lot).parts();
    let least = Decimal::new(definition.min_quantity.raw().saturating_mul(mantissa), places);
    let problem = format!("is less than the venue's smallest order, \"{least}\"");
    Err(mistake(key, Some(value), problem))
}

fn step(increment: &Increment) -> Decimal {
    Decimal::new(i64::from(increment.mantissa), increment.decimals)
}

/// In ticks x lots, rounded down; `None` for nothing, or for what does not fit.
pub(super) fn notional(value: Decimal, definition: &InstrumentDefinition) -> Option<Notional> {
    let (mantissa, places) = value.parts();
    let (tick, lot) = (&definition.tick, &definition.lot);
    let unit = i128::from(tick.mantissa) * i128::from(lot.mantissa);
    let scale = i128::from(pow10(tick.decimals)?).checked_mul(i128::from(pow10(lot.decimals)?))?;
    let divisor = unit.checked_mul(i128::from(pow10(places)?))?;
    let units = i128::from(mantissa).checked_mul(scale)?.checked_div(divisor)?;
    (units > 0).then_some(Notional::new(units))
}

pub(super) fn mistake(key: &str, value: Option<Decimal>, problem: impl Into<String>) -> ConfigError {
    ConfigError {
        place: String::new(),
        key: key.to_owned(),
        value: value.map(|value| format!("\"{value}\"")),
        problem: problem.into(),
    }
}
