//! The built-in chaser's parameters, as a person writes them; `chaser.toml` is their manual.

use linchpin_core::instrument::InstrumentDefinition;
use linchpin_core::strategy::chaser;
use linchpin_core::time::Nanos;

use super::{Own, SideWord, percent};
use crate::config::document::{Section, positive, span_within, text, unless_none};
use crate::config::error::ConfigErrors;
use crate::config::resolved::Writer;
use crate::config::text::{Decimal, show_percent, show_span, words};

/// The manual, the schema and the defaults.
pub(in crate::config) const MANUAL: &str = include_str!("chaser.toml");

words! {
    /// What becomes of the remainder at the deadline.
    pub enum Finish {
        Leave = "leave",
        Take = "take",
    }
}

/// In the instrument's own units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chaser {
    pub side: SideWord,
    pub quantity: Decimal,
    pub price_limit: Option<Decimal>,
    /// In 1/10,000.
    pub max_slippage: u32,
    pub child_quantity: Decimal,
    pub deadline: Option<Nanos>,
    pub finish: Finish,
    pub requote_ticks: u32,
}

impl Chaser {
    pub(in crate::config) fn read(section: &Section<'_>, own: &Own<'_>) -> Self {
        let longest = Nanos::from_secs(30 * 86_400);
        let deadline = text(move |text: &str| span_within(text, &(Nanos::from_secs(1)..=longest)));
        let chaser = Self {
            side: section.need("side", text(str::parse)),
            quantity: section.positive("quantity"),
            price_limit: section.read("price_limit", unless_none(text(positive))),
            max_slippage: section.read("max_slippage", text(percent)),
            child_quantity: section.positive("child_quantity"),
            deadline: section.read("deadline", unless_none(deadline)),
            finish: section.word("finish"),
            requote_ticks: section.count("requote_ticks", 1..=1_000_000) as u32,
        };
        if chaser.child_quantity > chaser.quantity {
            section.wrong("child_quantity", "is more than the parent's `quantity`");
        }
        if chaser.finish == Finish::Take && chaser.deadline.is_none() {
            section.wrong("finish", "is for the deadline, and `deadline` is \"none\"");
        }
        own.fits_an_order(section, "child_quantity", chaser.child_quantity);
        if chaser.finish == Finish::Take {
            // All of it may have to be taken at once.
            own.fits_an_order(section, "quantity", chaser.quantity);
        }
        own.fits_the_position(section, "quantity", chaser.quantity);
        chaser
    }

    pub(in crate::config) fn write(&self, out: &mut Writer) {
        out.quoted("side", self.side);
        out.quoted("quantity", self.quantity);
        out.quoted("price_limit", self.price_limit.map_or("none".to_owned(), |price| price.to_string()));
        out.quoted("max_slippage", show_percent(self.max_slippage));
        out.quoted("child_quantity", self.child_quantity);
        out.quoted("deadline", self.deadline.map_or("none".to_owned(), show_span));
        out.quoted("finish", self.finish);
        out.bare("requote_ticks", self.requote_ticks);
    }

    pub(super) fn parameters(
        &self,
        key: &str,
        definition: &InstrumentDefinition,
    ) -> Result<chaser::Parameters, ConfigErrors> {
        let mut grid = super::Grid::of(key, definition);
        let parameters = chaser::Parameters {
            side: self.side.side(),
            quantity: grid.order("quantity", self.quantity),
            price_limit: self.price_limit.map(|price| grid.price("price_limit", price)),
            max_slippage: self.max_slippage,
            child_quantity: grid.order("child_quantity", self.child_quantity),
            deadline: self.deadline.unwrap_or(Nanos::ZERO),
            finish: match self.finish {
                Finish::Leave => chaser::Finish::Leave,
                Finish::Take => chaser::Finish::Take,
            },
            requote_ticks: i64::from(self.requote_ticks),
        };
        grid.unless_any(parameters)
    }
}
