//! A desk's own strategy in a page, and its program: quotes after Avellaneda and Stoikov (2008) on every instrument that the
//! configuration gives it.
//!
//! ```text
//! cargo run --release --example own_strategy -- --config examples/own_strategy.toml
//! cargo run --release --example own_strategy -- replay var/sessions/<the session>
//! ```
//!
//! Promises: a function of what it is shown. Its floats go through `libm`, which has the same bits on every machine, and what it
//! remembers is in the state hash, so a replay proves both. Must never: ask a clock, draw a random number, iterate a hash map.

use std::process::ExitCode;

use linchpin::config::{ConfigError, ConfigErrors, Parameters};
use linchpin::core::event::{Side, TimeInForce};
use linchpin::core::instrument::InstrumentDefinition;
use linchpin::core::intent::Intents;
use linchpin::core::num::{CASH_DECIMALS, Cash, Price, Quantity};
use linchpin::core::snapshot::{Saved, Sink, SnapshotError, Words};
use linchpin::core::state::Change;
use linchpin::core::strategy::changeable::Changeable;
use linchpin::core::strategy::quote::{self, Quote};
use linchpin::core::strategy::{Strategy, View};
use linchpin::core::time::Nanos;
use linchpin::program::{Registry, main as program};

/// The whole program: `run`, `replay`, `check` and `venue` as in `linchpin`, with one strategy more. (Public for its test,
/// `tests/own_strategy.rs`.)
pub fn main() -> ExitCode {
    program(Registry::built_in().with("avellaneda-stoikov", Quoter::make))
}

/// Slots: two an instrument, bid then ask, in the order of its instruments.
struct Quoter {
    /// Worth of one order, in the quote asset: money is exact, only the opinion is a float.
    order_worth: Cash,
    /// The position that is never grown past, in orders.
    max_orders_held: i64,
    requote_ticks: i64,
    /// Risk aversion, a tick and an order held.
    gamma: f64,
    /// How fast fills become rarer with the distance from the fair price, a tick.
    kappa: f64,
    /// Seconds over which a position is worked off.
    horizon: f64,
    /// Seconds after which a price move counts for a third.
    memory: f64,
    /// By the place of the instrument in the configuration.
    opinions: Vec<Opinion>,
}

/// What it remembers of an instrument.
#[derive(Clone, Copy, Default)]
struct Opinion {
    at: Nanos,
    /// In ticks.
    mid: f64,
    /// Of the mid, in ticks squared a second.
    variance: f64,
}

linchpin::core::saved! { value Opinion { at, mid, variance } }

// What `linchpin ctl set strategy.NAME.parameters.KEY` may change while it trades; the formula's own are fixed for a run.
linchpin::core::changeable! {
    Quoter {
        max_orders_held "max_orders_held" Count 1 1_000_000 false;
        requote_ticks "requote_ticks" Count 1 1_000_000 false;
    }
}

impl Strategy for Quoter {
    fn decide(&mut self, view: &View<'_>, change: Change, intents: &mut Intents) {
        let (Change::Top(id) | Change::Book(id) | Change::Settled(id) | Change::BookLost(id)) = change else {
            return;
        };
        let Some(at) = view.instruments().position(|own| own == id) else { return };
        let Some(opinion) = self.opinions.get_mut(at) else { return };
        let slots = [2 * at as u16, 2 * at as u16 + 1];
        let (Some(top), Some(definition)) = (view.trusted_top(id), view.definition(id)) else {
            // A market that cannot be believed: nothing of ours stays in it, and what it did meanwhile is not a price move.
            *opinion = Opinion::default();
            slots.into_iter().for_each(|slot| quote::withdraw(view, slot, intents));
            return;
        };
        opinion.learn(view.now(), top.mid().to_num(), self.memory);
        if !view.is_settled(id) {
            return;
        }
        let one_lot = definition.cash(top.bid.price.notional(Quantity::new(1)));
        let size = self.order_worth.raw().checked_div(one_lot.raw()).unwrap_or(0).clamp(1, 1_000_000) as i64;
        let held = view.position(id).quantity;

        let risk = self.gamma * opinion.variance * self.horizon;
        let fair = top.micro_price().to_num::<f64>() - risk * held.raw() as f64 / size as f64;
        let half_spread = risk / 2.0 + libm::log1p(self.gamma / self.kappa) / self.gamma;
        // Whole ticks, away from the fair price, and never across the market.
        let bid = (libm::floor(fair - half_spread) as i64).min(top.ask.price.raw() - 1);
        let ask = (libm::ceil(fair + half_spread) as i64).max(top.bid.price.raw() + 1);
        let bound = size.saturating_mul(self.max_orders_held);
        let standing = |slot, side: Side, ticks| {
            // A whole order or none: a remainder may be worth less than the venue takes.
            let fits = side.signed(held).raw().saturating_add(size) <= bound;
            Quote {
                slot,
                instrument: id,
                side,
                price: Price::new(ticks),
                quantity: Quantity::new(if fits { size } else { 0 }),
                time_in_force: TimeInForce::PostOnly,
                requote_ticks: self.requote_ticks,
                protective: false,
            }
        };
        let (bid, ask) = (standing(slots[0], Side::Buy, bid), standing(slots[1], Side::Sell, ask));
        quote::step_both(view, &bid, &ask, intents);
    }

    fn changeable(&self) -> Option<&dyn Changeable> {
        Some(self)
    }

    fn changeable_mut(&mut self) -> Option<&mut dyn Changeable> {
        Some(self)
    }

    fn save(&self, to: &mut dyn Sink) {
        self.opinions.save(to);
    }

    fn load(&mut self, from: &mut Words<'_>) -> Result<(), SnapshotError> {
        self.opinions.load(from)
    }
}

impl Opinion {
    /// Squared moves of the mid, each forgotten exponentially.
    fn learn(&mut self, now: Nanos, mid: f64, memory: f64) {
        if !self.at.is_zero() {
            let seconds = now.since(self.at).raw() as f64 * 1e-9;
            let moved = mid - self.mid;
            self.variance = self.variance * libm::exp(-seconds / memory) + moved * moved / memory;
        }
        (self.at, self.mid) = (now, mid);
    }
}

impl Quoter {
    /// Every mistake names its key, as in the rest of the configuration.
    fn make(
        parameters: &Parameters,
        instruments: &[InstrumentDefinition],
    ) -> Result<Box<dyn Strategy>, ConfigErrors> {
        const KNOWN: [&str; 7] =
            ["order_worth", "max_orders_held", "requote_ticks", "gamma", "kappa", "horizon", "memory"];
        parameters.expect_only(&KNOWN)?;
        let worth = parameters.decimal("order_worth")?.units(CASH_DECIMALS).filter(|worth| *worth > 0);
        let worth = worth.ok_or_else(|| parameters.wrong("order_worth", "expected money above 0".into()))?;
        Ok(Box::new(Self {
            order_worth: Cash::from_wire(worth),
            max_orders_held: count(parameters, "max_orders_held")?,
            requote_ticks: count(parameters, "requote_ticks")?,
            gamma: number(parameters, "gamma")?,
            kappa: number(parameters, "kappa")?,
            horizon: number(parameters, "horizon")?,
            memory: number(parameters, "memory")?,
            opinions: vec![Opinion::default(); instruments.len()],
        }))
    }
}

/// A float for the opinion, above 0.
fn number(parameters: &Parameters, key: &str) -> Result<f64, ConfigError> {
    let number =
        parameters.text(key)?.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| parameters.wrong(key, "expected a number above 0, in quotes".into()))
}

fn count(parameters: &Parameters, key: &str) -> Result<i64, ConfigError> {
    let count = parameters.integer(key)?;
    if count > 0 { Ok(count) } else { Err(parameters.wrong(key, "expected a whole number from 1".into())) }
}
