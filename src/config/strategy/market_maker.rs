//! The built-in market maker's parameters, as a person writes them.

use fixed::types::I48F16;
use linchpin_core::instrument::InstrumentDefinition;
use linchpin_core::limits::MAX_SLOTS;
use linchpin_core::num::pow10;
use linchpin_core::strategy::market_maker;

use super::Own;
use crate::config::document::{Section, text};
use crate::config::error::ConfigErrors;
use crate::config::resolved::Writer;
use crate::config::text::{Decimal, Wrong};

/// In the instrument's own units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketMaker {
    pub quantity: Decimal,
    pub half_spread_ticks: Decimal,
    pub max_skew_ticks: Decimal,
    pub max_position: Decimal,
    pub requote_ticks: u32,
}

impl MarketMaker {
    /// Two slots an instrument.
    pub(in crate::config) const MOST_INSTRUMENTS: usize = MAX_SLOTS / 2;

    pub(in crate::config) fn read(section: &Section<'_>, own: &Own<'_>) -> Self {
        let ticks = |text: &str| {
            let decimal: Decimal = text.parse()?;
            if (Decimal::ZERO..=MOST_TICKS).contains(&decimal) {
                Ok(decimal)
            } else {
                Err(Wrong(format!("expected from \"0\" to \"{MOST_TICKS}\" ticks")))
            }
        };
        let maker = Self {
            quantity: section.positive("quantity"),
            half_spread_ticks: section.read("half_spread_ticks", text(ticks)),
            max_skew_ticks: section.read("max_skew_ticks", text(ticks)),
            max_position: section.positive("max_position"),
            requote_ticks: section.count("requote_ticks", 1..=1_000_000) as u32,
        };
        if maker.max_position < maker.quantity {
            section.wrong("max_position", "is less than one quote's `quantity`");
        }
        own.fits_an_order(section, "quantity", maker.quantity);
        own.fits_the_position(section, "max_position", maker.max_position);
        maker
    }

    pub(in crate::config) fn write(&self, out: &mut Writer) {
        out.quoted("quantity", self.quantity);
        out.quoted("half_spread_ticks", self.half_spread_ticks);
        out.quoted("max_skew_ticks", self.max_skew_ticks);
        out.quoted("max_position", self.max_position);
        out.bare("requote_ticks", self.requote_ticks);
    }

    pub(super) fn parameters(
        &self,
        key: &str,
        definition: &InstrumentDefinition,
    ) -> Result<market_maker::Parameters, ConfigErrors> {
        let mut grid = super::Grid::of(key, definition);
        let parameters = market_maker::Parameters {
            quantity: grid.order("quantity", self.quantity),
            half_spread: ticks(self.half_spread_ticks),
            max_skew: ticks(self.max_skew_ticks),
            max_position: grid.order("max_position", self.max_position),
            requote_ticks: i64::from(self.requote_ticks),
        };
        grid.unless_any(parameters)
    }
}

/// The farthest that a quote may stand off.
pub(in crate::config) const MOST_TICKS: Decimal = Decimal::new(1_000_000, 0);

/// Ticks as the core's fixed point: the nearest 1/65536, ties away from zero. The value was read within the type's range.
pub(in crate::config) fn ticks(value: Decimal) -> I48F16 {
    let (mantissa, places) = value.parts();
    let unit = i128::from(pow10(places).unwrap_or(1));
    let bits = (i128::from(mantissa) * 65_536 * 2 + unit * i128::from(mantissa.signum())) / (unit * 2);
    I48F16::from_bits(i64::try_from(bits).unwrap_or(i64::MAX))
}
