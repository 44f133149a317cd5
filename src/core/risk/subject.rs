//! What the checks look at: one intent, resolved against state.
//!
//! A Replace is resolved to the terms of its order, or of the New that waits in its slot. Everything here is read from sums; only Replaces
//! that wait in the queue are added up one by one, and as a rule there is none.
//! Hot.

use super::Approved;
use super::memory::Memory;
use crate::event::{OrderKind, RequestKind, Side};
use crate::id::{InstrumentId, StrategyId};
use crate::instrument::{InstrumentDefinition, Product};
use crate::intent::{Intent, NewIntent};
use crate::limits::{AccountLimits, Configuration, InstrumentLimits, StrategyLimits, VenueLimits};
use crate::num::{CASH_DECIMALS, Notional, Price, Quantity, pow10};
use crate::record::RiskReason;
use crate::state::State;
use crate::state::market::InstrumentMarket;
use crate::state::order::Order;
use crate::state::queue::{Pending, Reduces};
use crate::state::stakes::{Gone, Place, Swap, Work, Worth};

pub(crate) struct Subject<'a> {
    pub state: &'a State,
    pub memory: &'a Memory,
    pub limits: &'a InstrumentLimits,
    pub account_limits: &'a AccountLimits,
    /// `None` for the workflow, which is nobody's strategy.
    pub strategy_limits: Option<&'a StrategyLimits>,
    pub venue_limits: Option<&'a VenueLimits>,
    pub market: &'a InstrumentMarket,
    pub definition: &'a InstrumentDefinition,
    pub intent: &'a Intent,
    /// A New's own words; `None` for a Replace.
    pub new: Option<&'a NewIntent>,
    pub strategy: StrategyId,
    pub instrument: InstrumentId,
    /// The strategy's stake that it would change.
    pub place: Place,
    pub side: Side,
    pub kind: OrderKind,
    pub price: Price,
    pub stop_price: Price,
    pub quantity: Quantity,
    /// What it changes in the sums.
    pub swap: Swap,
    /// What it adds that may open something: what it takes the place of is taken off.
    pub more: Quantity,
    /// The account's position towards `side` with everything filled, this too.
    pub worst: Quantity,
    /// A price to measure against: the middle of the top, rounded down to a tick.
    pub reference: Option<Price>,
    pub reduces: Reduces,
    /// A live order whose terms change.
    replaced: Option<&'a Order>,
    /// The New that waits under the same key: this takes its place in the queue,
    waiting: Option<&'a NewIntent>,
    /// and in the sums where it is about the same.
    displaced: Option<&'a NewIntent>,
}

/// What an intent is about, before it is weighed.
struct Terms<'a> {
    instrument: InstrumentId,
    side: Side,
    kind: OrderKind,
    leg: crate::event::PositionSide,
    stop_price: Price,
    only_closes: bool,
    closes_position: bool,
    replaced: Option<&'a Order>,
}

impl<'a> Subject<'a> {
    #[inline]
    pub fn resolve(
        state: &'a State,
        configuration: &'a Configuration,
        memory: &'a Memory,
        intent: &'a Intent,
    ) -> Result<Self, RiskReason> {
        let key = intent.key();
        let execution = &state.execution;
        let waiting = execution.queue.pending(key).and_then(Pending::new_order);
        let (terms, price, quantity) = match intent {
            Intent::New(new) => (Terms::of_new(new), new.price, new.quantity),
            Intent::Replace(replace) => {
                let terms = match waiting {
                    // A pending New takes the Replace's terms, also where it waits for a live order's cancel.
                    Some(new) => Terms::of_new(new),
                    None => Terms::of_order(execution.live_in_slot(key).ok_or(RiskReason::NoSuchOrder)?.1),
                };
                (terms, replace.price, replace.quantity)
            }
            Intent::Cancel(_) => return Err(RiskReason::NoSuchOrder),
        };
        let instrument = terms.instrument;
        let market = state.market.instrument(instrument).ok_or(RiskReason::InstrumentUnknown)?;
        let limits =
            configuration.instruments.get(instrument.index()).ok_or(RiskReason::InstrumentUnknown)?;
        let definition = market.definition.as_ref().ok_or(RiskReason::InstrumentUnknown)?;
        let place = Place { owner: execution.owner_row(key.strategy), instrument, leg: terms.leg };
        let side = terms.side;
        let same_place =
            |new: &&NewIntent| (new.instrument, new.side, new.position_side) == (instrument, side, terms.leg);
        let displaced = waiting.filter(same_place);
        // A spot account makes no promise that an order only reduces.
        let only_reduces = terms.only_closes && definition.product != Product::Spot;
        let grows = match terms.replaced {
            Some(order) => (quantity - order.filled) - order.working(),
            None => quantity,
        };
        let adds = if only_reduces { Quantity::ZERO } else { grows };
        let goes = waiting.map(|new| Gone {
            instrument: new.instrument,
            leg: new.position_side,
            side: new.side,
            work: execution.waits_with(new),
        });
        let swap = Swap { comes: Work { quantity: adds, ..Work::default() }, goes };
        let more = adds - displaced.map_or(Quantity::ZERO, |new| execution.waits_with(new).opens());
        let account = Place { owner: execution.stakes.account(), ..place };
        let same_page = |order: &Order| {
            (order.instrument, order.side, order.position_side) == (instrument, side, terms.leg)
        };
        let waits = execution.waiting_replaces(key, same_page);
        let worst = execution.stakes.swapped(account, side, &swap).worst(side) + waits;
        let only_shrinks = terms.replaced.is_some_and(|order| {
            let keener = match side {
                Side::Buy => price > order.price,
                Side::Sell => price < order.price,
            };
            more.is_negative() && !keener
        });
        // The venue holds an order to closing the account's position, and nobody holds it to closing the strategy's.
        let lowers_own = if terms.closes_position {
            let own = execution.leg(key.strategy, instrument, terms.leg);
            own.is_some_and(|own| side.signed(own.quantity).is_negative())
        } else {
            let waits = execution
                .waiting_replaces(key, |order| same_page(order) && order.key.strategy == key.strategy);
            let with = Swap { comes: Work { quantity: grows, ..Work::default() }, goes };
            !(execution.stakes.swapped(place, side, &with).worst(side) + waits).is_positive()
        };
        let reduces = Reduces {
            account: only_reduces || only_shrinks || !worst.is_positive(),
            own: only_shrinks || lowers_own,
        };
        Ok(Self {
            state,
            memory,
            limits,
            account_limits: &configuration.account,
            strategy_limits: configuration.strategies.get(key.strategy.index()),
            venue_limits: configuration.venues.get(limits.venue.index()),
            market,
            definition,
            intent,
            new: match intent {
                Intent::New(new) => Some(new),
                _ => None,
            },
            strategy: key.strategy,
            instrument,
            place,
            side,
            kind: terms.kind,
            price,
            stop_price: terms.stop_price,
            quantity,
            swap,
            more,
            worst,
            reference: market.top.map(|top| Price::new((top.bid.price + top.ask.price).raw() >> 1)),
            reduces,
            replaced: terms.replaced,
            waiting,
            displaced,
        })
    }

    #[inline]
    pub fn approved(&self) -> Approved {
        Approved { intent: *self.intent, instrument: self.instrument, side: self.side, reduces: self.reduces }
    }

    #[inline]
    pub fn is(&self, request: RequestKind) -> bool {
        self.intent.request() == request
    }

    /// It changes a live order, not one that waits.
    #[inline]
    pub fn is_live(&self) -> bool {
        self.replaced.is_some()
    }

    /// The venue itself sees to it that it only reduces.
    #[inline]
    pub fn only_reduces(&self) -> bool {
        let said = match (self.new, self.replaced) {
            (Some(new), _) => new.reduce_only || new.close_position,
            (None, Some(order)) => order.reduce_only || order.close_position,
            (None, None) => self.displaced.is_some_and(|new| new.reduce_only || new.close_position),
        };
        said && self.definition.product != Product::Spot
    }

    #[inline]
    pub fn closes_position(&self) -> bool {
        self.new.is_some_and(|new| new.close_position)
    }

    #[inline]
    pub fn is_trailing(&self) -> bool {
        self.kind == OrderKind::TrailingStop
    }

    /// What one lot of it is worth: its limit, else its trigger, else the reference.
    #[inline]
    pub fn valued_at(&self) -> Price {
        if self.kind.is_priced() {
            self.price
        } else if self.stop_price.is_positive() {
            self.stop_price
        } else {
            self.reference.unwrap_or(Price::ZERO)
        }
    }

    /// The venue's mark price in ticks, rounded towards zero.
    #[inline]
    pub fn mark_price(&self) -> Option<Price> {
        let mark = self.market.mark?;
        let tick = &self.definition.tick;
        let unit = pow10(CASH_DECIMALS.saturating_sub(tick.decimals)).unwrap_or(1);
        mark.mark.checked_div(unit.saturating_mul(i64::from(tick.mantissa))).map(Price::new)
    }

    /// One if a New that waits, and is counted there, makes room for this one.
    #[inline]
    pub fn makes_room(&self, is_counted: impl Fn(InstrumentId) -> bool) -> u32 {
        u32::from(self.waiting.is_some_and(|new| is_counted(new.instrument)))
    }

    /// The sums of an owner (or the account) with this filled, and with the Replaces that wait.
    #[inline]
    pub fn exposed(&self, owner: usize) -> Worth {
        let stakes = &self.state.execution.stakes;
        let worth = stakes.with(Place { owner, ..self.place }, self.side, &self.swap);
        let everybody = owner == stakes.account();
        self.state.execution.with_waiting_replaces(self.intent.key(), worth, |strategy| {
            everybody || strategy == self.strategy
        })
    }

    /// What it adds to what buying costs, at its own price; a market order is weighed at the ask.
    #[inline]
    pub fn more_cost(&self) -> Notional {
        let price = match self.market.top {
            Some(top) if !self.kind.is_priced() => top.ask.price.max(self.valued_at()),
            _ => self.valued_at(),
        };
        let before = match (self.replaced, self.displaced) {
            (Some(order), _) => order.working_cost(),
            (None, Some(new)) => self.state.execution.waits_with(new).cost,
            (None, None) => Notional::ZERO,
        };
        let filled = self.replaced.map_or(Quantity::ZERO, |order| order.filled);
        price.notional(self.quantity - filled) - before
    }
}

impl<'a> Terms<'a> {
    #[inline]
    fn of_new(new: &NewIntent) -> Self {
        Self {
            instrument: new.instrument,
            side: new.side,
            kind: new.kind,
            leg: new.position_side,
            stop_price: new.stop_price,
            only_closes: new.only_closes(),
            closes_position: new.close_position,
            replaced: None,
        }
    }

    #[inline]
    fn of_order(order: &'a Order) -> Self {
        Self {
            instrument: order.instrument,
            side: order.side,
            kind: order.kind,
            leg: order.position_side,
            stop_price: order.stop_price,
            only_closes: order.only_closes(),
            closes_position: order.close_position,
            replaced: Some(order),
        }
    }
}
