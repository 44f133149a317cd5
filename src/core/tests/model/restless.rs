//! Seeded dice, and strategies that wish anything: sensible, senseless, too much, too often.

use std::sync::{Arc, Mutex};

use linchpin_core::event::*;
use linchpin_core::id::*;
use linchpin_core::intent::{Intents, NewIntent};
use linchpin_core::num::*;
use linchpin_core::snapshot::{Saved, Sink, SnapshotError, Value, Words};
use linchpin_core::state::Change;
use linchpin_core::strategy::{Strategy, View, Wakes};
use linchpin_core::time::Nanos;

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
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// Every New that was wished since the twin last looked, in order: a record says less of it.
#[derive(Clone, Default)]
pub struct Wished(Arc<Mutex<Vec<NewIntent>>>);

impl Wished {
    pub fn take(&self) -> Vec<NewIntent> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Wishes anything, mostly sane.
pub struct Restless {
    dice: Dice,
    wakes: u64,
    /// The latest New, to wish it again.
    last: Option<(u16, NewIntent)>,
    wished: Wished,
}

impl Restless {
    pub fn new(dice: Dice, wished: Wished) -> Self {
        Self { dice, wakes: 0, last: None, wished }
    }

    /// One order out of everything that can be wished, and some that cannot.
    fn wish(
        &mut self,
        view: &View<'_>,
        instrument: InstrumentId,
        middle: i64,
        mut price: i64,
        side: Side,
    ) -> NewIntent {
        let dice = &mut self.dice;
        let mut quantity = dice.between(1, 20);
        if dice.permille(10) {
            quantity = dice.between(0, 500);
        }
        if dice.permille(5) {
            price = dice.between(1, 3_000);
        }
        let (lots, limit) = (Quantity::new(quantity), Price::new(price.max(1)));
        // On either side of the market: some would trigger at once.
        let stop = Price::new((middle + dice.between(-40, 40)).max(1));
        let mut new = match dice.below(100) {
            0..64 => NewIntent::limit(instrument, side, limit, lots),
            64..70 => NewIntent::market(instrument, side, lots),
            70..78 => NewIntent::stop_market(instrument, side, stop, lots),
            78..84 => NewIntent::stop_limit(instrument, side, stop, limit, lots),
            84..90 => NewIntent::take_profit_market(instrument, side, stop, lots),
            90..95 => NewIntent::take_profit_limit(instrument, side, stop, limit, lots),
            _ => {
                let activation = if dice.percent(50) { stop } else { Price::ZERO };
                let callback = dice.one_of(&[10, 50, 1_000, 1_000, 1_001, 9]);
                NewIntent::trailing_stop(instrument, side, activation, callback, lots)
            }
        };
        let at_market = matches!(new.kind, OrderKind::StopMarket | OrderKind::TakeProfitMarket);
        if at_market && dice.percent(30) {
            new = new.close_position();
        } else if dice.percent(10) {
            new = new.reduce_only();
        }
        if new.kind.is_conditional() && dice.percent(30) {
            new = new.triggered_by(TriggerBy::MarkPrice);
        }
        if new.kind.is_priced() && dice.percent(12) {
            // A few of a time that has passed.
            let life = dice.below(3_000);
            let end = view.now() + Nanos::from_millis(life);
            new = new.until(if dice.percent(5) { view.now() - Nanos::from_millis(life) } else { end });
        } else if dice.percent(5) {
            new = new.valid(dice.one_of(TimeInForce::ALL));
        }
        if view.is_hedged(instrument) != dice.permille(10) {
            new = new.on_leg(dice.one_of(&[PositionSide::Long, PositionSide::Short]));
        }
        if dice.percent(20) {
            new = new.protective();
        }
        if dice.permille(5) {
            new.stop_price = stop;
        }
        new
    }
}

linchpin_core::saved! { table Restless { dice, wakes, last } kept { wished } }

impl Strategy for Restless {
    fn decide(&mut self, view: &View<'_>, _change: Change, intents: &mut Intents) {
        self.wakes += 1;
        if !self.dice.percent(35) {
            return;
        }
        for _ in 0..=self.dice.below(3) {
            let dice = &mut self.dice;
            let slot = if dice.permille(3) { 5_000 } else { dice.below(SLOTS) as u16 };
            let own: Vec<InstrumentId> = view.instruments().collect();
            let mut instrument = dice.one_of(&own);
            if dice.permille(5) {
                instrument = InstrumentId(dice.below(u64::from(INSTRUMENTS) + 1) as u16);
            }
            let top = view.market(instrument).and_then(|market| market.top);
            let middle = top.map_or(1_000, |top| (top.bid.price.raw() + top.ask.price.raw()) / 2);
            let side = dice.side();
            let away = dice.between(-2, 30);
            let price = if side == Side::Buy { middle - away } else { middle + away };
            // What it claims of others it changes and cancels like its own.
            let claimed: Vec<u16> = view.claimed(instrument).map(|(slot, _)| slot).collect();
            let slot = if !claimed.is_empty() && dice.percent(10) { dice.one_of(&claimed) } else { slot };
            let empty = view.order(slot).is_none() && !view.has_pending(slot) && slot < 1_000;
            match if empty && dice.percent(90) { 0 } else { dice.below(10) } {
                0..2 => {
                    let strategy = view.strategy();
                    let (slot, new) = match self.last {
                        Some(last) if dice.percent(4) => last,
                        _ => (slot, self.wish(view, instrument, middle, price, side)),
                    };
                    self.last = Some((slot, new));
                    intents.new_order(slot, new);
                    let key = OrderKey { strategy, slot };
                    self.wished.0.lock().unwrap().push(NewIntent { key, ..new });
                }
                2..6 => {
                    let quantity = Quantity::new(dice.between(1, 20));
                    intents.replace(slot, Price::new(price.max(1)), quantity);
                }
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
