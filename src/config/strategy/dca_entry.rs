//! The built-in DCA entry's parameters, as a person writes them; `dca_entry.toml` is their manual.

use linchpin_core::instrument::InstrumentDefinition;
use linchpin_core::strategy::dca;
use linchpin_core::time::Nanos;

use super::{Own, SideWord, percent};
use crate::config::document::{Section, Value, count, text, unless_none};
use crate::config::error::ConfigErrors;
use crate::config::resolved::Writer;
use crate::config::text::{Decimal, Wrong, show_percent};

/// The manual, the schema and the defaults.
pub(in crate::config) const MANUAL: &str = include_str!("dca_entry.toml");

/// In the instrument's own units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DcaEntry {
    pub side: SideWord,
    pub base_quantity: Decimal,
    pub safety_quantity: Decimal,
    pub safety_orders: u16,
    pub active_safety_orders: u16,
    /// In 1/10,000, as is the take-profit.
    pub step: u32,
    pub step_scale: Decimal,
    pub size_scale: Decimal,
    pub take_profit: u32,
    pub max_position: Decimal,
    pub cooldown: Nanos,
    pub deals: Option<u32>,
    pub requote_ticks: u32,
}

impl DcaEntry {
    pub(in crate::config) fn read(section: &Section<'_>, own: &Own<'_>) -> Self {
        let most = dca::MAX_SAFETY_ORDERS as u64;
        let scale = |text: &str| {
            let scale: Decimal = text.parse()?;
            let allowed = Decimal::new(1, 1)..=Decimal::new(10, 0);
            if allowed.contains(&scale) && scale.units(4).is_some() {
                Ok(scale)
            } else {
                Err(Wrong::new("expected from \"0.1\" to \"10\", with at most 4 decimals"))
            }
        };
        let entry = Self {
            side: section.need("side", text(str::parse)),
            base_quantity: section.positive("base_quantity"),
            safety_quantity: section.positive("safety_quantity"),
            safety_orders: section.count("safety_orders", 0..=most) as u16,
            active_safety_orders: section.count("active_safety_orders", 1..=most) as u16,
            step: section.read("step", text(percent)),
            step_scale: section.read("step_scale", text(scale)),
            size_scale: section.read("size_scale", text(scale)),
            take_profit: section.read("take_profit", text(percent)),
            max_position: section.positive("max_position"),
            cooldown: section.span("cooldown", Nanos::ZERO..=Nanos::from_secs(30 * 86_400)),
            deals: section
                .read("deals", unless_none(|value: &Value| count(value, &(1..=1_000_000))))
                .map(|deals| deals as u32),
            requote_ticks: section.count("requote_ticks", 1..=1_000_000) as u32,
        };
        if entry.max_position < entry.base_quantity {
            section.wrong("max_position", "is less than the first order's `base_quantity`");
        }
        own.fits_an_order(section, "base_quantity", entry.base_quantity);
        own.fits_an_order(section, "safety_quantity", entry.safety_quantity);
        own.fits_the_position(section, "max_position", entry.max_position);
        entry
    }

    pub(in crate::config) fn write(&self, out: &mut Writer) {
        out.quoted("side", self.side);
        out.quoted("base_quantity", self.base_quantity);
        out.quoted("safety_quantity", self.safety_quantity);
        out.bare("safety_orders", self.safety_orders);
        out.bare("active_safety_orders", self.active_safety_orders);
        out.quoted("step", show_percent(self.step));
        out.quoted("step_scale", self.step_scale);
        out.quoted("size_scale", self.size_scale);
        out.quoted("take_profit", show_percent(self.take_profit));
        out.quoted("max_position", self.max_position);
        out.span("cooldown", self.cooldown);
        match self.deals {
            Some(deals) => out.bare("deals", deals),
            None => out.quoted("deals", "none"),
        }
        out.bare("requote_ticks", self.requote_ticks);
    }

    pub(super) fn parameters(
        &self,
        key: &str,
        definition: &InstrumentDefinition,
    ) -> Result<dca::Parameters, ConfigErrors> {
        // Read with at most four decimals, and at most 10.
        let scale =
            |scale: Decimal| scale.units(4).and_then(|parts| u32::try_from(parts).ok()).unwrap_or(10_000);
        let mut grid = super::Grid::of(key, definition);
        let parameters = dca::Parameters {
            side: self.side.side(),
            base_quantity: grid.order("base_quantity", self.base_quantity),
            safety_quantity: grid.order("safety_quantity", self.safety_quantity),
            safety_orders: self.safety_orders,
            active_safety_orders: self.active_safety_orders,
            step: self.step,
            step_scale: scale(self.step_scale),
            size_scale: scale(self.size_scale),
            take_profit: self.take_profit,
            max_position: grid.order("max_position", self.max_position),
            cooldown: self.cooldown,
            deals: self.deals.unwrap_or(0),
            requote_ticks: i64::from(self.requote_ticks),
        };
        grid.unless_any(parameters)
    }
}
