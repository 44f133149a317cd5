//! The outbound queue: at most one pending command per order key, in the order in which they may go.
//!
//! Order: Cancel before Replace before New; risk-reducing before risk-adding; then first admitted first.
//! Hot.

use alloc::vec::Vec;

use crate::event::RequestKind;
use crate::id::{InstrumentId, OrderKey};
use crate::intent::{Intent, NewIntent};
use crate::record::{Admission, Wait};
use crate::time::Nanos;

#[derive(Clone, Debug)]
pub struct Queue {
    /// Sorted by (rank, admitted). Short in practice; bounded always.
    pending: Vec<Pending>,
    capacity: usize,
    admissions: u64,
    /// How many of them are Replaces.
    replaces: u32,
}

crate::saved! { table Queue { admissions, replaces } lists { pending } kept { capacity } }

/// Whose position it lowers, all that works on its side filled too. The account's may fall while a strategy's grows, where others hold
/// against it; and the other way round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reduces {
    pub account: bool,
    /// The strategy's own.
    pub own: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    pub intent: Intent,
    pub instrument: InstrumentId,
    pub reduces: Reduces,
    pub admitted: u64,
    /// When this key's command first entered: its age.
    pub since: Nanos,
    /// Why it did not go at the last look.
    pub waits_for: Wait,
    /// That it waits long was recorded.
    pub reported: bool,
}

crate::saved! { value Reduces { account, own } }
crate::saved! { value Pending { intent, instrument, reduces, admitted, since, waits_for, reported } }

impl Pending {
    /// It lowers the account's exposure.
    #[inline]
    pub fn is_reducing(&self) -> bool {
        self.reduces.account
    }

    /// The order that it would begin, if it is a New.
    #[inline]
    pub fn new_order(&self) -> Option<&NewIntent> {
        match &self.intent {
            Intent::New(new) => Some(new),
            Intent::Replace(_) | Intent::Cancel(_) => None,
        }
    }

    #[inline]
    fn rank(&self) -> u8 {
        let strength = match self.intent.request() {
            RequestKind::Cancel => 0,
            RequestKind::Replace => 2,
            RequestKind::New => 4,
        };
        strength + u8::from(!self.is_reducing())
    }
}

impl Queue {
    pub fn new(capacity: usize) -> Self {
        Self { pending: Vec::with_capacity(capacity), capacity, admissions: 0, replaces: 0 }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.pending.iter()
    }

    /// A Replace waits: what it adds depends on its order, and is looked up.
    #[inline]
    pub fn has_replaces(&self) -> bool {
        self.replaces != 0
    }

    #[inline]
    pub fn pending(&self, key: OrderKey) -> Option<&Pending> {
        self.pending.iter().find(|pending| pending.intent.key() == key)
    }

    /// The dominance table: what an allowed intent does to what its key already has waiting.
    ///
    /// | pending | New | Replace | Cancel |
    /// |---|---|---|---|
    /// | none | enters | enters | enters |
    /// | New | replaces | folded into the New | removes the New |
    /// | Replace | discarded | replaces | replaces |
    /// | Cancel | discarded | discarded | replaces |
    #[inline]
    pub(crate) fn admit(
        &mut self,
        intent: Intent,
        instrument: InstrumentId,
        reduces: Reduces,
        now: Nanos,
    ) -> Admission {
        let Some(at) = self.pending.iter().position(|pending| pending.intent.key() == intent.key()) else {
            return self.enter(intent, instrument, reduces, now);
        };
        let Some(known) = self.pending.get(at).copied() else { return Admission::Discarded };
        match (known.intent, intent) {
            (Intent::New(_), Intent::New(_))
            | (Intent::Replace(_), Intent::Replace(_))
            | (Intent::Replace(_) | Intent::Cancel(_), Intent::Cancel(_)) => {
                self.remove(at);
                match self.enter(intent, instrument, reduces, known.since) {
                    Admission::Entered => Admission::Replaced,
                    other => other,
                }
            }
            (Intent::New(mut new), Intent::Replace(replace)) => {
                new.price = replace.price;
                new.quantity = replace.quantity;
                if known.is_reducing() != reduces.account {
                    // Another rank: it stands behind those of that rank that came before.
                    self.remove(at);
                    self.enter(Intent::New(new), known.instrument, reduces, known.since);
                } else if let Some(slot) = self.pending.get_mut(at) {
                    (slot.intent, slot.reduces) = (Intent::New(new), reduces);
                }
                Admission::Folded
            }
            (Intent::New(_), Intent::Cancel(_)) => {
                self.remove(at);
                Admission::Removed
            }
            (Intent::Replace(_) | Intent::Cancel(_), Intent::New(_))
            | (Intent::Cancel(_), Intent::Replace(_)) => Admission::Discarded,
        }
    }

    fn enter(
        &mut self,
        intent: Intent,
        instrument: InstrumentId,
        reduces: Reduces,
        since: Nanos,
    ) -> Admission {
        if self.pending.len() >= self.capacity {
            return Admission::QueueFull;
        }
        self.admissions += 1;
        self.replaces += u32::from(intent.request() == RequestKind::Replace);
        let pending = Pending {
            intent,
            instrument,
            reduces,
            admitted: self.admissions,
            since,
            waits_for: Wait::Fresh,
            reported: false,
        };
        let at = self.pending.partition_point(|known| known.rank() <= pending.rank());
        self.pending.insert(at, pending);
        Admission::Entered
    }

    #[inline]
    pub(crate) fn at(&self, at: usize) -> Option<Pending> {
        self.pending.get(at).copied()
    }

    #[inline]
    pub(crate) fn remove(&mut self, at: usize) {
        if at < self.pending.len() {
            let gone = self.pending.remove(at);
            self.replaces -= u32::from(gone.intent.request() == RequestKind::Replace);
        }
    }

    #[inline]
    pub(crate) fn wait(&mut self, at: usize, why: Wait) {
        if let Some(pending) = self.pending.get_mut(at) {
            pending.waits_for = why;
        }
    }

    #[inline]
    pub(crate) fn note_reported(&mut self, at: usize) {
        if let Some(pending) = self.pending.get_mut(at) {
            pending.reported = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Side;
    use crate::family::Family;
    use crate::id::{OrderIndex, StrategyId};
    use crate::intent::{CancelIntent, ReplaceIntent};
    use crate::num::{Price, Quantity};

    fn key(slot: u16) -> OrderKey {
        OrderKey { strategy: StrategyId(0), slot }
    }
    fn new(slot: u16, price: i64) -> Intent {
        let new = NewIntent::limit(InstrumentId(0), Side::Buy, Price::new(price), Quantity::new(1));
        Intent::New(new.keyed(key(slot)))
    }
    fn replace(slot: u16, price: i64) -> Intent {
        Intent::Replace(ReplaceIntent {
            key: key(slot),
            price: Price::new(price),
            quantity: Quantity::new(2),
        })
    }
    fn cancel(slot: u16) -> Intent {
        Intent::Cancel(CancelIntent { key: key(slot), order: OrderIndex::NONE, family: Family::Entry })
    }
    fn admit(queue: &mut Queue, intent: Intent) -> Admission {
        queue.admit(intent, InstrumentId(0), Reduces::default(), Nanos::ZERO)
    }

    #[test]
    fn every_cell_of_the_dominance_table() {
        use Admission as A;
        type Row = (Option<Intent>, [A; 3]);
        let rows: [Row; 4] = [
            (None, [A::Entered, A::Entered, A::Entered]),
            (Some(new(1, 10)), [A::Replaced, A::Folded, A::Removed]),
            (Some(replace(1, 10)), [A::Discarded, A::Replaced, A::Replaced]),
            (Some(cancel(1)), [A::Discarded, A::Discarded, A::Replaced]),
        ];
        for (pending, answers) in rows {
            for (incoming, answer) in [new(1, 20), replace(1, 20), cancel(1)].into_iter().zip(answers) {
                let mut queue = Queue::new(8);
                if let Some(pending) = pending {
                    admit(&mut queue, pending);
                }
                assert_eq!(admit(&mut queue, incoming), answer, "{pending:?} then {incoming:?}");
                assert!(queue.len() <= 1, "at most one pending command per key");
            }
        }
    }

    #[test]
    fn a_folded_replace_gives_the_new_its_terms() {
        let mut queue = Queue::new(8);
        admit(&mut queue, new(1, 10));
        admit(&mut queue, replace(1, 33));
        match queue.at(0).map(|p| p.intent) {
            Some(Intent::New(new)) => {
                assert_eq!((new.price, new.quantity), (Price::new(33), Quantity::new(2)))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn cancels_go_before_replaces_before_news_then_first_admitted_first() {
        let mut queue = Queue::new(8);
        for intent in [new(1, 1), replace(2, 1), cancel(3), new(4, 1), cancel(5)] {
            admit(&mut queue, intent);
        }
        let slots: Vec<u16> = queue.iter().map(|p| p.intent.key().slot).collect();
        assert_eq!(slots, [3, 5, 2, 1, 4]);
    }

    #[test]
    fn a_full_queue_says_so() {
        let mut queue = Queue::new(1);
        admit(&mut queue, new(1, 1));
        assert_eq!(admit(&mut queue, new(2, 1)), Admission::QueueFull);
    }
}
