//! Seeded dice, and strategies that wish anything: sensible, senseless, too much, too often.

use linchpin_core::event::*;
use linchpin_core::id::*;
use linchpin_core::intent::{Intents, NewIntent};
use linchpin_core::num::*;
use linchpin_core::snapshot::{Saved, Sink, SnapshotError, Value, Words};
use linchpin_core::state::Change;
use linchpin_core::strategy::{Strategy, View, Wakes};

use crate::world::{INSTRUMENTS, SLOTS};

#[derive(Clone, Copy, Debug)]
pub struct Dice(u64);

impl Value for Dice {
    fn write<S: Sink + ?Sized>(&self, to: &mut S) {
        to.word(self.0);
    }
    fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError> {
        from.word().map(Self)
    }
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound.max(1)
    }
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
    pub fn permille(&mut self, chance: u64) -> bool {
        self.below(1000) < chance
    }
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }
    pub fn side(&mut self) -> Side {
        if self.below(2) == 0 { Side::Buy } else { Side::Sell }
    }
}

/// Wishes anything, mostly sane.
pub struct Restless {
    dice: Dice,
    wakes: u64,
}

impl Restless {
    pub fn new(dice: Dice) -> Self {
        Self { dice, wakes: 0 }
    }
}

linchpin_core::saved! { value Restless { dice, wakes } }

impl Strategy for Restless {
    fn decide(&mut self, view: &View<'_>, _change: Change, intents: &mut Intents) {
        self.wakes += 1;
        let dice = &mut self.dice;
        if !dice.percent(35) {
            return;
        }
        for _ in 0..=dice.below(3) {
            let slot = if dice.permille(3) { 5_000 } else { dice.below(SLOTS) as u16 };
            let own: Vec<InstrumentId> = view.instruments().collect();
            let mut instrument = own[dice.below(own.len() as u64) as usize];
            if dice.permille(5) {
                instrument = InstrumentId(dice.below(u64::from(INSTRUMENTS) + 1) as u16);
            }
            let top = view.market(instrument).and_then(|market| market.top);
            let middle = top.map_or(1_000, |top| (top.bid.price.raw() + top.ask.price.raw()) / 2);
            let side = dice.side();
            let away = dice.between(-2, 30);
            let mut price = if side == Side::Buy { middle - away } else { middle + away };
            if dice.permille(5) {
                price = dice.between(1, 3_000);
            }
            let mut quantity = dice.between(1, 20);
            if dice.permille(10) {
                quantity = dice.between(0, 500);
            }
            let empty = view.order(slot).is_none() && !view.has_pending(slot) && slot < 1_000;
            match if empty && dice.percent(90) { 0 } else { dice.below(10) } {
                0..2 => {
                    let kind = if dice.percent(5) { OrderKind::Market } else { OrderKind::Limit };
                    let price = if kind == OrderKind::Market { 0 } else { price.max(1) };
                    intents.new_order(
                        slot,
                        NewIntent {
                            kind,
                            ..NewIntent::limit(instrument, side, Price::new(price), Quantity::new(quantity))
                        },
                    );
                }
                2..6 => intents.replace(slot, Price::new(price.max(1)), Quantity::new(quantity)),
                _ => intents.cancel(slot),
            }
        }
    }
    fn wakes_on(&self) -> Wakes {
        Wakes::TOP
            | Wakes::BOOK
            | Wakes::SETTLED
            | Wakes::LOST
            | Wakes::TRADE
            | Wakes::PRIVATE
            | Wakes::CONTROL
    }
    fn save(&self, to: &mut dyn Sink) {
        Saved::save(self, to);
    }
    fn load(&mut self, from: &mut Words<'_>) -> Result<(), SnapshotError> {
        Saved::load(self, from)
    }
}
