//! Orders: the lifecycle as one transition table, and the table that holds them.
//!
//! ```text
//! Submitted -> Accepted -> PartiallyFilled -> Filled
//!     |           |             |
//!     +--> Rejected  +-> Cancelled, Expired <-+
//! ```
//! Terminal is final. Separate from the life, an order carries at most one inflight request and a confirmation.
//! Hot.

use alloc::vec::Vec;

use crate::coded;
use crate::event::{
    OrderKind, PositionSide, RejectReason, RequestKind, Side, TimeInForce, TriggerBy, VenueStatus,
};
use crate::family::Family;
use crate::id::{ClientOrderId, InstrumentId, OrderIndex, OrderKey, VenueId, VenueOrderId};
use crate::num::{Notional, Price, Quantity};
use crate::snapshot::{Saved, Sink, SnapshotError, Value, Words, load_list, save_list};
use crate::state::chains::Chains;
use crate::state::trade_ids::TradeIds;
use crate::time::Nanos;

coded! {
    pub enum OrderState {
        Submitted = 0 "submitted",
        Accepted = 1 "accepted",
        PartiallyFilled = 2 "partially_filled",
        Filled = 3 "filled",
        Cancelled = 4 "cancelled",
        Rejected = 5 "rejected",
        Expired = 6 "expired",
    }
}

impl OrderState {
    #[inline]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Filled | Self::Cancelled | Self::Rejected | Self::Expired)
    }

    /// The transition table: where a venue's status takes an order, `None` where it changes nothing. An order with fills is
    /// at least partially filled, whatever the status says.
    #[inline]
    pub const fn next(self, status: VenueStatus) -> Option<Self> {
        use OrderState as S;
        use VenueStatus as V;
        match (self, status) {
            (S::Submitted, V::New | V::PendingCancel) => Some(S::Accepted),
            (S::Submitted | S::Accepted, V::PartiallyFilled) => Some(S::PartiallyFilled),
            (S::Submitted | S::Accepted | S::PartiallyFilled, V::Filled) => Some(S::Filled),
            (S::Submitted | S::Accepted | S::PartiallyFilled, V::Cancelled) => Some(S::Cancelled),
            (S::Submitted | S::Accepted | S::PartiallyFilled, V::Expired) => Some(S::Expired),
            (S::Submitted, V::Rejected) => Some(S::Rejected),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Asked of the venue, not yet shown by the private stream.
    Pending {
        since: Nanos,
    },
    Confirmed,
    /// It may have happened or not; the venue is asked at `ask_at`.
    Unknown {
        why: RejectReason,
        ask_at: Nanos,
    },
}

crate::saved! { choice Confirmation { Pending { since } = 0, Confirmed = 1, Unknown { why, ask_at } = 2 } }

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inflight {
    pub request: RequestKind,
    pub dispatch: u64,
    pub since: Nanos,
    /// Whose command it is.
    pub family: Family,
    /// The new terms of a Replace.
    pub price: Price,
    pub quantity: Quantity,
}

crate::saved! { value Inflight { request, dispatch, since, family, price, quantity } }

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order {
    pub client_order_id: ClientOrderId,
    pub venue_order_id: VenueOrderId,
    pub key: OrderKey,
    pub instrument: InstrumentId,
    pub venue: VenueId,
    pub side: Side,
    pub position_side: PositionSide,
    pub kind: OrderKind,
    pub time_in_force: TimeInForce,
    pub trigger_by: TriggerBy,
    pub reduce_only: bool,
    /// It closes whatever the position is when it triggers, and has no quantity of its own.
    pub close_position: bool,
    pub family: Family,
    /// Others made it, and configuration claims it for its strategy.
    pub claimed: bool,
    /// A conditional order whose trigger has fired; every other order from its beginning.
    pub triggered: bool,
    pub state: OrderState,
    /// A trailing stop's distance from the best price, in 1/10,000.
    pub callback: u16,
    pub price: Price,
    pub quantity: Quantity,
    /// The trigger price; of a trailing stop the activation price.
    pub stop_price: Price,
    /// Good-till-date, in the venue's time; zero: none.
    pub expires: Nanos,
    /// The highest cumulative quantity that the venue reported.
    pub cumulative: Quantity,
    /// The sum of the fills that we applied; below `cumulative` while a fill report is missing.
    pub filled: Quantity,
    pub fill_notional: Notional,
    pub inflight: Option<Inflight>,
    pub confirmation: Confirmation,
    pub created: Nanos,
    /// When its strategy last gave it terms: with its New, or a Replace.
    pub touched: Nanos,
    /// The venue's stamp of the newest report applied.
    pub reported: Nanos,
    pub reject: RejectReason,
    /// When the venue refused, or the sender could not send, the latest change of it; zero: never.
    pub refused_at: Nanos,
    /// Questions asked about it in the present doubt.
    pub asked: u32,
    /// The trades that were booked.
    pub trades: TradeIds,
    /// The trades whose fees were booked.
    pub fees: TradeIds,
    /// What has filled and bears no fee yet, because nobody has told it.
    pub fee_to_come: Quantity,
    /// Some of what has filled came without a trade's id (a read-back), so that its trades cannot be told apart from others.
    pub untraced: bool,
    /// When it is asked about although nothing is pending: at the end of a good-till-date that nobody has told, or after an
    /// audit that missed it. Zero: never.
    pub look_into_at: Nanos,
    /// Its place in the list of live orders.
    live_at: u32,
}

crate::saved! {
    value Order {
        client_order_id,
        venue_order_id,
        key,
        instrument,
        venue,
        side,
        position_side,
        kind,
        time_in_force,
        reduce_only,
        family,
        claimed,
        trigger_by,
        close_position,
        triggered,
        callback,
        stop_price,
        expires,
        state,
        price,
        quantity,
        cumulative,
        filled,
        fill_notional,
        inflight,
        confirmation,
        created,
        touched,
        reported,
        reject,
        refused_at,
        asked,
        trades,
        fees,
        fee_to_come,
        untraced,
        look_into_at,
        live_at,
    }
}

impl Order {
    #[inline]
    pub fn leaves(&self) -> Quantity {
        if self.state.is_terminal() {
            Quantity::ZERO
        } else {
            (self.quantity - self.cumulative).max(Quantity::ZERO)
        }
    }

    /// What may still fill, with the larger of the present terms and those of an inflight Replace.
    #[inline]
    pub fn working(&self) -> Quantity {
        if self.state.is_terminal() {
            return Quantity::ZERO;
        }
        let quantity = match self.inflight {
            Some(Inflight { request: RequestKind::Replace, quantity, .. }) => quantity.max(self.quantity),
            _ => self.quantity,
        };
        (quantity - self.filled).max(Quantity::ZERO)
    }

    /// What it may still cost at its own price, or at the keener of its two while a Replace is out; a market order's price is
    /// not known.
    #[inline]
    pub fn working_cost(&self) -> Notional {
        let price = match self.inflight {
            Some(Inflight { request: RequestKind::Replace, price, .. }) => price.max(self.price),
            _ => self.price.max(self.stop_price),
        };
        price.notional(self.working())
    }

    /// It can lower a position and never turn it: what the venue lets it fill ends at flat.
    #[inline]
    pub fn only_closes(&self) -> bool {
        self.reduce_only || self.close_position || self.position_side.is_closed_by(self.side)
    }

    /// The venue counts more as filled than we were told trades of.
    #[inline]
    pub fn owes_fills(&self) -> bool {
        self.filled < self.cumulative
    }

    /// Whether it happened as we believe is being asked.
    #[inline]
    pub fn is_in_doubt(&self) -> bool {
        matches!(self.confirmation, Confirmation::Unknown { .. })
    }

    #[inline]
    pub fn is_live(&self) -> bool {
        !self.state.is_terminal()
    }

    /// It had ended, and the venue showed it alive: no order is sent by cleanup.
    #[inline]
    pub fn is_ghost(&self) -> bool {
        self.family == Family::Cleanup
    }

    /// The private stream has shown it, and no doubt hangs on it.
    #[inline]
    pub fn is_confirmed(&self) -> bool {
        self.confirmation == Confirmation::Confirmed
    }
}

/// What an order begins from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewRow {
    pub client_order_id: ClientOrderId,
    pub key: OrderKey,
    pub instrument: InstrumentId,
    pub venue: VenueId,
    pub side: Side,
    pub position_side: PositionSide,
    pub kind: OrderKind,
    pub time_in_force: TimeInForce,
    pub trigger_by: TriggerBy,
    pub reduce_only: bool,
    pub close_position: bool,
    pub family: Family,
    pub claimed: bool,
    pub callback: u16,
    pub price: Price,
    pub quantity: Quantity,
    pub stop_price: Price,
    pub expires: Nanos,
    pub created: Nanos,
}

/// All orders that we know: rows are reused, oldest terminal first. Allocated once.
#[derive(Clone, Debug)]
pub struct OrderTable {
    rows: Vec<Order>,
    capacity: usize,
    by_client_id: ClientIdIndex,
    live: Vec<OrderIndex>,
    live_by_instrument: Chains,
    /// Orders that have ended and are still asked about: something about their fills is not known.
    unresolved: Vec<OrderIndex>,
    /// Terminal rows in the order in which they ended: a ring over `capacity`.
    ended: Vec<OrderIndex>,
    ended_from: usize,
    ended_count: usize,
}

/// The index by client id is made anew: where an entry stands in it decides nothing.
impl Saved for OrderTable {
    fn save<S: Sink + ?Sized>(&self, to: &mut S) {
        let Self {
            rows,
            capacity: _,
            by_client_id: _,
            live,
            live_by_instrument,
            unresolved,
            ended,
            ended_from,
            ended_count,
        } = self;
        save_list(rows, to);
        save_list(live, to);
        // As many as are live.
        live_by_instrument.rows().for_each(|row| row.write(to));
        save_list(unresolved, to);
        to.word(*ended_count as u64);
        let places = (0..*ended_count).map(|at| (ended_from + at) % self.capacity);
        places.filter_map(|place| ended.get(place)).for_each(|index| index.write(to));
    }
    fn load(&mut self, from: &mut Words<'_>) -> Result<(), SnapshotError> {
        load_list(&mut self.rows, from)?;
        load_list(&mut self.live, from)?;
        self.live_by_instrument.clear();
        let (rows, mut failed) = (&self.rows, None);
        let read = (0..self.live.len()).map_while(|_| {
            let row = OrderIndex::read(from).map_err(|error| failed = Some(error)).ok()?;
            rows.get(row.index()).map(|order| (order.instrument, row))
        });
        self.live_by_instrument.link_again(read);
        if let Some(error) = failed {
            return Err(error);
        }
        load_list(&mut self.unresolved, from)?;
        self.ended_from = 0;
        self.ended_count = from.bounded("count of ended orders", self.capacity)?;
        self.ended.iter_mut().take(self.ended_count).try_for_each(|index| index.load(from))?;
        self.by_client_id.clear();
        for at in 0..self.rows.len() {
            self.by_client_id.insert(OrderIndex(at as u32), &self.rows);
        }
        Ok(())
    }
}

impl OrderTable {
    pub fn new(capacity: u32) -> Self {
        let capacity = capacity.max(16) as usize;
        Self {
            rows: Vec::with_capacity(capacity),
            capacity,
            by_client_id: ClientIdIndex::new(capacity),
            live: Vec::with_capacity(capacity),
            live_by_instrument: Chains::new(capacity),
            unresolved: Vec::with_capacity(capacity),
            ended: alloc::vec![OrderIndex::NONE; capacity],
            ended_from: 0,
            ended_count: 0,
        }
    }

    #[inline]
    pub fn order(&self, index: OrderIndex) -> Option<&Order> {
        self.rows.get(index.index())
    }

    #[inline]
    pub(crate) fn order_mut(&mut self, index: OrderIndex) -> Option<&mut Order> {
        self.rows.get_mut(index.index())
    }

    #[inline]
    pub fn find(&self, id: &ClientOrderId) -> Option<OrderIndex> {
        self.by_client_id.find(id, &self.rows)
    }

    /// Orders that are not terminal, in no meaningful but always the same order.
    pub fn live(&self) -> &[OrderIndex] {
        &self.live
    }

    pub fn live_orders(&self) -> impl Iterator<Item = (OrderIndex, &Order)> {
        self.live.iter().filter_map(|index| self.order(*index).map(|order| (*index, order)))
    }

    /// Orders that have ended and are still asked about.
    pub fn unresolved(&self) -> &[OrderIndex] {
        &self.unresolved
    }

    /// The live orders of one instrument, the newest first.
    #[inline]
    pub fn live_on(&self, instrument: InstrumentId) -> impl Iterator<Item = (OrderIndex, &Order)> {
        let rows = self.live_by_instrument.of(instrument);
        rows.filter_map(|index| self.order(index).map(|order| (index, order)))
    }

    /// The same one by one, for who changes them on the way; `None`: the first.
    #[inline]
    pub fn next_live_on(&self, instrument: InstrumentId, last: Option<OrderIndex>) -> Option<OrderIndex> {
        match last {
            None => self.live_by_instrument.first(instrument),
            Some(row) => self.live_by_instrument.after(row),
        }
    }

    pub fn has_room(&self) -> bool {
        self.rows.len() < self.capacity || self.ended_count > self.unresolved.len()
    }

    /// By the venue's own number, for messages that bear no id of the client's. The live ones first; slow, and seldom asked.
    #[cold]
    pub fn find_by_venue_id(&self, instrument: InstrumentId, id: VenueOrderId) -> Option<OrderIndex> {
        let is = |order: &Order| order.venue_order_id == id && order.instrument == instrument;
        let live = self.live_orders().find(|(_, order)| is(order)).map(|(index, _)| index);
        let any = || self.rows.iter().position(is).map(|at| OrderIndex(at as u32));
        if id.0 == 0 { None } else { live.or_else(any) }
    }

    /// Registers an order under its client id before anything is sent. `None`: the table is full of live orders, or the
    /// id is taken.
    pub(crate) fn insert(&mut self, new: NewRow) -> Option<OrderIndex> {
        if self.find(&new.client_order_id).is_some() {
            return None;
        }
        let order = Order {
            client_order_id: new.client_order_id,
            venue_order_id: VenueOrderId(0),
            key: new.key,
            instrument: new.instrument,
            venue: new.venue,
            side: new.side,
            position_side: new.position_side,
            kind: new.kind,
            time_in_force: new.time_in_force,
            trigger_by: new.trigger_by,
            reduce_only: new.reduce_only,
            close_position: new.close_position,
            family: new.family,
            claimed: new.claimed,
            triggered: !new.kind.is_conditional(),
            state: OrderState::Submitted,
            callback: new.callback,
            price: new.price,
            quantity: new.quantity,
            stop_price: new.stop_price,
            expires: new.expires,
            cumulative: Quantity::ZERO,
            filled: Quantity::ZERO,
            fill_notional: Notional::ZERO,
            inflight: None,
            confirmation: Confirmation::Pending { since: new.created },
            created: new.created,
            touched: new.created,
            reported: Nanos::ZERO,
            reject: RejectReason::None,
            refused_at: Nanos::ZERO,
            asked: 0,
            trades: TradeIds::default(),
            fees: TradeIds::default(),
            fee_to_come: Quantity::ZERO,
            untraced: false,
            look_into_at: new.expires,
            live_at: self.live.len() as u32,
        };
        let index = if self.rows.len() < self.capacity {
            self.rows.push(order);
            OrderIndex((self.rows.len() - 1) as u32)
        } else {
            let index = self.oldest_ended()?;
            self.by_client_id.remove(index, &self.rows);
            *self.rows.get_mut(index.index())? = order;
            index
        };
        self.by_client_id.insert(index, &self.rows);
        self.live.push(index);
        self.live_by_instrument.link(new.instrument, index);
        Some(index)
    }

    /// Takes a terminal order off the live list; its row stays known until it is needed.
    pub(crate) fn retire(&mut self, index: OrderIndex) {
        let Some((at, instrument)) =
            self.order(index).map(|order| (order.live_at as usize, order.instrument))
        else {
            return;
        };
        if self.live.get(at) != Some(&index) {
            return;
        }
        self.live_by_instrument.unlink(instrument, index);
        self.live.swap_remove(at);
        if let Some(moved) = self.live.get(at).copied()
            && let Some(order) = self.order_mut(moved)
        {
            order.live_at = at as u32;
        }
        let slot = (self.ended_from + self.ended_count) % self.capacity;
        if let Some(place) = self.ended.get_mut(slot) {
            *place = index;
            self.ended_count += 1;
        }
    }

    /// The venue says that it lives: it is a live order again.
    #[cold]
    pub(crate) fn revive(&mut self, index: OrderIndex) {
        let place = |from: usize, at: usize, capacity: usize| (from + at) % capacity;
        let (from, capacity) = (self.ended_from, self.capacity);
        let is_it = |at: &usize| self.ended.get(place(from, *at, capacity)) == Some(&index);
        let Some(at) = (0..self.ended_count).find(is_it) else { return };
        for next in at + 1..self.ended_count {
            let Some(moved) = self.ended.get(place(from, next, capacity)).copied() else { return };
            if let Some(slot) = self.ended.get_mut(place(from, next - 1, capacity)) {
                *slot = moved;
            }
        }
        self.ended_count -= 1;
        let live_at = self.live.len() as u32;
        let Some(order) = self.order_mut(index) else { return };
        order.live_at = live_at;
        let instrument = order.instrument;
        self.live.push(index);
        self.live_by_instrument.link(instrument, index);
    }

    /// An ended order came into doubt, or out of it.
    #[cold]
    pub(crate) fn resolve_later(&mut self, index: OrderIndex, in_doubt: bool) {
        if in_doubt {
            self.unresolved.push(index);
        } else {
            self.unresolved.retain(|known| *known != index);
        }
    }

    /// The row that is reused next. Those still asked about are passed over: they stand behind all others from then on.
    fn oldest_ended(&mut self) -> Option<OrderIndex> {
        for _ in 0..self.ended_count {
            let index = self.ended.get(self.ended_from).copied()?;
            self.ended_from = (self.ended_from + 1) % self.capacity;
            if !self.order(index)?.is_in_doubt() {
                self.ended_count -= 1;
                return Some(index);
            }
            let slot = (self.ended_from + self.ended_count - 1) % self.capacity;
            *self.ended.get_mut(slot)? = index;
        }
        None
    }
}

/// Client order id -> row: open addressing with linear probing, at most half full. Never iterated.
#[derive(Clone, Debug)]
struct ClientIdIndex {
    slots: Vec<OrderIndex>,
    mask: usize,
}

impl ClientIdIndex {
    fn new(capacity: usize) -> Self {
        let size = (capacity * 2).next_power_of_two();
        Self { slots: alloc::vec![OrderIndex::NONE; size], mask: size - 1 }
    }

    fn clear(&mut self) {
        self.slots.fill(OrderIndex::NONE);
    }

    #[inline]
    fn home(&self, id: &ClientOrderId) -> usize {
        // Ids of one run differ in their last characters: multiply, and take the high bits, where all of them arrive.
        let bits = u128::from_le_bytes(id.0);
        let folded = (bits as u64) ^ ((bits >> 64) as u64).rotate_left(31);
        (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & self.mask
    }

    #[inline]
    fn find(&self, id: &ClientOrderId, rows: &[Order]) -> Option<OrderIndex> {
        let mut at = self.home(id);
        for _ in 0..=self.mask {
            let index = *self.slots.get(at)?;
            if index.is_none() {
                return None;
            }
            if rows.get(index.index()).is_some_and(|order| order.client_order_id == *id) {
                return Some(index);
            }
            at = (at + 1) & self.mask;
        }
        None
    }

    fn insert(&mut self, index: OrderIndex, rows: &[Order]) {
        let Some(order) = rows.get(index.index()) else { return };
        let mut at = self.home(&order.client_order_id);
        for _ in 0..=self.mask {
            match self.slots.get_mut(at) {
                Some(slot) if slot.is_none() => {
                    *slot = index;
                    return;
                }
                _ => at = (at + 1) & self.mask,
            }
        }
    }

    /// Removes by shifting later entries back, so that no tombstone ever slows a search.
    fn remove(&mut self, index: OrderIndex, rows: &[Order]) {
        let Some(order) = rows.get(index.index()) else { return };
        let mut hole = self.home(&order.client_order_id);
        while self.slots.get(hole).is_some_and(|slot| *slot != index) {
            if self.slots.get(hole).is_some_and(|slot| slot.is_none()) {
                return;
            }
            hole = (hole + 1) & self.mask;
        }
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask;
            let Some(moved) = self.slots.get(at).copied().filter(|slot| !slot.is_none()) else { break };
            let Some(home) = rows.get(moved.index()).map(|order| self.home(&order.client_order_id)) else {
                break;
            };
            let distance_from_home = at.wrapping_sub(home) & self.mask;
            let distance_from_hole = at.wrapping_sub(hole) & self.mask;
            if distance_from_home >= distance_from_hole {
                if let Some(slot) = self.slots.get_mut(hole) {
                    *slot = moved;
                }
                hole = at;
            }
        }
        if let Some(slot) = self.slots.get_mut(hole) {
            *slot = OrderIndex::NONE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64) -> NewRow {
        NewRow {
            client_order_id: ClientOrderId::compose(*b"tests", number),
            key: OrderKey::default(),
            instrument: InstrumentId(0),
            venue: VenueId(0),
            side: Side::Buy,
            position_side: PositionSide::Both,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            trigger_by: TriggerBy::LastPrice,
            reduce_only: false,
            close_position: false,
            family: Family::Entry,
            claimed: false,
            callback: 0,
            price: Price::new(1),
            quantity: Quantity::new(1),
            stop_price: Price::ZERO,
            expires: Nanos::ZERO,
            created: Nanos::ZERO,
        }
    }

    #[test]
    fn rows_are_reused_oldest_ended_first_and_forgotten_only_then() {
        let mut table = OrderTable::new(16);
        for number in 0..16 {
            table.insert(row(number)).unwrap();
        }
        assert!(table.insert(row(99)).is_none(), "full of live orders");
        for number in [3u64, 1, 2] {
            let index = table.find(&ClientOrderId::compose(*b"tests", number)).unwrap();
            table.order_mut(index).unwrap().state = OrderState::Cancelled;
            table.retire(index);
        }
        assert!(table.find(&ClientOrderId::compose(*b"tests", 3)).is_some(), "still known");
        table.insert(row(100)).unwrap();
        assert!(table.find(&ClientOrderId::compose(*b"tests", 3)).is_none(), "oldest ended went");
        assert!(table.find(&ClientOrderId::compose(*b"tests", 1)).is_some());
        assert_eq!(table.live().len(), 14);
    }

    #[test]
    fn an_id_is_registered_once() {
        let mut table = OrderTable::new(16);
        assert!(table.insert(row(1)).is_some());
        assert!(table.insert(row(1)).is_none());
    }

    #[test]
    fn the_index_finds_every_known_order_through_many_generations() {
        let mut table = OrderTable::new(64);
        for number in 0..10_000u64 {
            let index = table.insert(row(number)).unwrap();
            if number >= 40 {
                let old = table.find(&ClientOrderId::compose(*b"tests", number - 40)).unwrap();
                table.order_mut(old).unwrap().state = OrderState::Filled;
                table.retire(old);
            }
            for back in 0..40.min(number) {
                assert!(table.find(&ClientOrderId::compose(*b"tests", number - back)).is_some());
            }
            assert_eq!(
                table.order(index).unwrap().client_order_id,
                ClientOrderId::compose(*b"tests", number)
            );
        }
    }

    #[test]
    fn terminal_states_have_no_way_out() {
        for state in OrderState::ALL.iter().filter(|state| state.is_terminal()) {
            for status in VenueStatus::ALL {
                assert_eq!(state.next(*status), None, "{state} on {status}");
            }
        }
    }
}
