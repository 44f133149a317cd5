//! The same wish again: a Replace that would change nothing, a New or a Replace that is waiting already in the same words, or the same
//! words within a configured span.
//! Hot.

use alloc::vec::Vec;

use super::Subject;
use crate::event::{RequestKind, Side};
use crate::id::{InstrumentId, OrderKey};
use crate::intent::Intent;
use crate::limits::ALL_SLOTS;
use crate::num::{Price, Quantity};
use crate::snapshot::{Saved, Sink, SnapshotError, Value, Words};
use crate::time::Nanos;

#[inline]
pub(super) fn objects(subject: &Subject<'_>) -> bool {
    changes_nothing(subject) || is_repeated(subject)
}

#[inline]
fn changes_nothing(subject: &Subject<'_>) -> bool {
    let key = subject.intent.key();
    let execution = &subject.state.execution;
    if let Some(pending) = execution.queue.pending(key) {
        return match (pending.intent, subject.intent) {
            (Intent::New(one), Intent::New(other)) => one == *other,
            (Intent::New(new), Intent::Replace(to)) => (new.price, new.quantity) == (to.price, to.quantity),
            (Intent::Replace(one), Intent::Replace(other)) => one == *other,
            _ => false,
        };
    }
    if !subject.is(RequestKind::Replace) {
        return false;
    }
    let terms = (subject.price, subject.quantity);
    execution.live_in_slot(key).is_some_and(|(_, order)| match order.inflight {
        Some(inflight) if inflight.request == RequestKind::Replace => {
            terms == (inflight.price, inflight.quantity)
        }
        _ => terms == (order.price, order.quantity),
    })
}

#[inline]
fn is_repeated(subject: &Subject<'_>) -> bool {
    let within = subject.strategy_limits.map_or(Nanos::ZERO, |limits| limits.duplicate_within);
    if within.is_zero() {
        return false;
    }
    let last = subject.memory.last_wish(subject.intent.key());
    last.is_some_and(|last| last.terms == terms(subject) && subject.state.now.since(last.at) < within)
}

/// Every slot's last allowed wish.
#[derive(Clone, Debug)]
pub(super) struct LastWishes(Vec<LastWish>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastWish {
    terms: Terms,
    at: Nanos,
}

crate::saved! { value LastWish { terms, at } }

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Terms {
    request: RequestKind,
    instrument: InstrumentId,
    side: Side,
    price: Price,
    stop_price: Price,
    quantity: Quantity,
}

crate::saved! { value Terms { request, instrument, side, price, stop_price, quantity } }

#[inline]
fn terms(subject: &Subject<'_>) -> Terms {
    let Subject { instrument, side, price, stop_price, quantity, .. } = *subject;
    Terms { request: subject.intent.request(), instrument, side, price, stop_price, quantity }
}

impl LastWishes {
    pub fn new(strategies: usize) -> Self {
        Self(alloc::vec![LastWish::NONE; strategies * ALL_SLOTS])
    }

    #[inline]
    pub fn of(&self, key: OrderKey) -> Option<&LastWish> {
        self.0.get(at(key)?)
    }

    #[inline]
    pub fn note(&mut self, key: OrderKey, wish: LastWish) {
        if let Some(slot) = at(key).and_then(|at| self.0.get_mut(at)) {
            *slot = wish;
        }
    }
}

/// Only slots that wished something.
impl Saved for LastWishes {
    fn save<S: Sink + ?Sized>(&self, to: &mut S) {
        let some = || self.0.iter().enumerate().filter(|(_, wish)| !wish.at.is_zero());
        (some().count() as u64).write(to);
        for (at, wish) in some() {
            (at as u64).write(to);
            wish.write(to);
        }
    }

    fn load(&mut self, from: &mut Words<'_>) -> Result<(), SnapshotError> {
        self.0.fill(LastWish::NONE);
        for _ in 0..from.bounded("count of wishes", self.0.len())? {
            let at = from.bounded("slot of a wish", self.0.len())?;
            let wish = LastWish::read(from)?;
            if let Some(slot) = self.0.get_mut(at) {
                *slot = wish;
            }
        }
        Ok(())
    }
}

impl LastWish {
    const NONE: Self = Self {
        terms: Terms {
            request: RequestKind::New,
            instrument: InstrumentId::NONE,
            side: Side::Buy,
            price: Price::ZERO,
            stop_price: Price::ZERO,
            quantity: Quantity::ZERO,
        },
        at: Nanos::ZERO,
    };

    #[inline]
    pub fn of(subject: &Subject<'_>) -> Self {
        Self { terms: terms(subject), at: subject.state.now }
    }
}

#[inline]
fn at(key: OrderKey) -> Option<usize> {
    let slot = usize::from(key.slot);
    (slot < ALL_SLOTS).then(|| key.strategy.index() * ALL_SLOTS + slot)
}
