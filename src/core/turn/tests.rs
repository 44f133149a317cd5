//! What only the core itself can be tested from: it is broken on purpose, and its parameters are looked at from inside.

mod invariants;
mod parameters;

use std::vec;
use std::vec::Vec;

use fixed::types::I48F16;

use super::*;
use crate::desk::{BTC, Desk, configuration, definition};
use crate::dispatch::Dispatch;
use crate::event::*;
use crate::id::*;
use crate::num::*;
use crate::record::*;
use crate::strategy::market_maker::{MarketMaker, Parameters};

/// A desk whose one strategy makes a market in BTC, ready to quote.
fn connected() -> Desk {
    let mut desk = cold();
    desk.connect(definition());
    desk.hydrate(|_| {});
    desk
}

fn cold() -> Desk {
    let mut with = configuration();
    with.strategies[0].instruments = vec![0];
    let maker = MarketMaker::new(Parameters {
        quantity: Quantity::new(10),
        half_spread: I48F16::from_num(2),
        max_skew: I48F16::from_num(4),
        max_position: Quantity::new(50),
        requote_ticks: 2,
    });
    Desk::of(with, vec![Box::new(maker)])
}

/// Quotes both sides and has them confirmed.
fn quoting() -> (Desk, Dispatch, Dispatch) {
    let mut desk = connected();
    desk.market(BTC, 10_000, 10_010);
    let sent = desk.take_dispatches();
    assert_eq!(sent.len(), 2);
    sent.iter().for_each(|order| desk.accept(order));
    desk.settle();
    assert!(desk.take_dispatches().is_empty());
    (desk, sent[0], sent[1])
}
