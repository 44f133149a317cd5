//! The built-in bracket's parameters, as a person writes them; `bracket.toml` is their manual.

use linchpin_core::event::TriggerBy;
use linchpin_core::id::StrategyId;
use linchpin_core::instrument::InstrumentDefinition;
use linchpin_core::strategy::bracket;

use super::{Own, SideWord, percent};
use crate::config::document::{Section, positive, text, unless_none};
use crate::config::error::ConfigErrors;
use crate::config::resolved::Writer;
use crate::config::text::{Decimal, Wrong, parse_name, parse_percent, show_percent, words};

/// The manual, the schema and the defaults.
pub(in crate::config) const MANUAL: &str = include_str!("bracket.toml");

/// In the instruments' own units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bracket {
    pub protects: Protects,
    /// In 1/10,000, as are the two below.
    pub stop_loss: Option<u32>,
    pub take_profit: Option<u32>,
    pub trailing: Option<u16>,
    pub trigger: Trigger,
    pub restep_ticks: u32,
    pub entry: Option<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protects {
    Own,
    Account,
    /// By its name.
    Strategy(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub side: SideWord,
    pub quantity: Decimal,
    /// At market, where there is none.
    pub price: Option<Decimal>,
}

words! {
    /// Which price fires a stop.
    pub enum Trigger {
        Last = "last",
        Mark = "mark",
    }
}

impl Bracket {
    pub(in crate::config) const MOST_INSTRUMENTS: usize = bracket::MOST_INSTRUMENTS;

    pub(in crate::config) fn read(section: &Section<'_>, own: &Own<'_>) -> Self {
        let trailing = |text: &str| match parse_percent(text)? {
            trailing @ 10..=1_000 => Ok(trailing as u16),
            _ => Err(Wrong::new("expected from \"0.1%\" to \"10%\"")),
        };
        let protects = |text: &str| match text {
            "own" => Ok(Protects::Own),
            "account" => Ok(Protects::Account),
            name => Ok(Protects::Strategy(parse_name(name)?)),
        };
        let at = text(|text: &str| if text == "market" { Ok(None) } else { positive(text).map(Some) });
        let side: Option<SideWord> = section.read("entry_side", unless_none(text(str::parse)));
        let quantity = section.read("entry_quantity", unless_none(text(positive)));
        let price = section.read("entry_price", at);
        let bracket = Self {
            protects: section.read("protects", text(protects)),
            stop_loss: section.read("stop_loss", unless_none(text(percent))),
            take_profit: section.read("take_profit", unless_none(text(percent))),
            trailing: section.read("trailing", unless_none(text(trailing))),
            trigger: section.word("trigger"),
            restep_ticks: section.count("restep_ticks", 1..=1_000_000) as u32,
            entry: side.zip(quantity).map(|(side, quantity)| Entry { side, quantity, price }),
        };
        if side.is_some() != quantity.is_some() {
            section.wrong(
                "entry_quantity",
                "and `entry_side` belong together: both are given, or both are \"none\"",
            );
        }
        if bracket.protects == Protects::Own && side.is_none() {
            section.wrong(
                "protects",
                "is \"own\", and there is no entry: give `entry_side` and `entry_quantity`",
            );
        }
        if bracket.protects != Protects::Own && side.is_some() {
            section.wrong("entry_side", "is for `protects = \"own\"`: what others hold is theirs to take on");
        }
        if bracket.stop_loss.is_none() && bracket.take_profit.is_none() && bracket.trailing.is_none() {
            section.wrong(
                "stop_loss",
                "is \"none\", and so are `take_profit` and `trailing`: nothing is protected",
            );
        }
        if let Some(entry) = &bracket.entry {
            own.fits_an_order(section, "entry_quantity", entry.quantity);
            own.fits_the_position(section, "entry_quantity", entry.quantity);
        }
        bracket
    }

    pub(in crate::config) fn write(&self, out: &mut Writer) {
        let show = |percent: Option<u32>| percent.map_or("none".to_owned(), show_percent);
        match &self.protects {
            Protects::Own => out.quoted("protects", "own"),
            Protects::Account => out.quoted("protects", "account"),
            Protects::Strategy(name) => out.quoted("protects", name),
        }
        out.quoted("stop_loss", show(self.stop_loss));
        out.quoted("take_profit", show(self.take_profit));
        out.quoted("trailing", show(self.trailing.map(u32::from)));
        out.quoted("trigger", self.trigger);
        out.bare("restep_ticks", self.restep_ticks);
        let Some(entry) = &self.entry else { return };
        out.quoted("entry_side", entry.side);
        out.quoted("entry_quantity", entry.quantity);
        out.quoted("entry_price", entry.price.map_or("market".to_owned(), |price| price.to_string()));
    }

    /// `others`: the strategies' names, in the order of the configuration.
    pub(super) fn parameters<'a>(
        &self,
        key: &str,
        definition: &InstrumentDefinition,
        mut others: impl Iterator<Item = &'a str>,
    ) -> Result<bracket::Parameters, ConfigErrors> {
        let mut grid = super::Grid::of(key, definition);
        let entry = self.entry.map(|entry| bracket::Entry {
            side: entry.side.side(),
            quantity: grid.order("entry_quantity", entry.quantity),
            price: entry.price.map(|price| grid.price("entry_price", price)),
        });
        let parameters = bracket::Parameters {
            protects: match &self.protects {
                Protects::Own => bracket::Protects::Own,
                Protects::Account => bracket::Protects::Account,
                // Its name was checked when the file was read.
                Protects::Strategy(name) => others
                    .position(|other| other == name)
                    .map_or(bracket::Protects::Own, |at| bracket::Protects::Strategy(StrategyId(at as u8))),
            },
            stop_loss: self.stop_loss.unwrap_or(0),
            take_profit: self.take_profit.unwrap_or(0),
            trailing: self.trailing.unwrap_or(0),
            trigger_by: match self.trigger {
                Trigger::Last => TriggerBy::LastPrice,
                Trigger::Mark => TriggerBy::MarkPrice,
            },
            restep_ticks: i64::from(self.restep_ticks),
            entry,
        };
        grid.unless_any(parameters)
    }
}
