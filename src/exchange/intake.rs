//! Order entry: every check between a request and the book, in the order in which the exchange refuses, then the order's first moment.
//!
//! A refusal leaves no trace: no order, no id that a client could ask for, no report. Choices where the exchange's documents leave room:
//! - `GTX` that would take is refused with -5022, `FOK` that cannot fill with -5021, both without an order record, as the documents say.
//! - Self-trade prevention defaults to the configured mode (`EXPIRE_MAKER`), as today's documents say for USD-M.
//! - A reduce-only order larger than the position is accepted; what exceeds the position when it trades expires.
//! - Conditional types are refused with -4120: today the exchange takes them at its algo endpoints only.
//! - A modify that may not stand (filled part not below the new quantity; `GTX` that would take) cancels the order, as the documents say,
//!   and answers with the cancelled order.

use super::api::*;
use super::book::Resting;
use super::decimal::Decimal;
use super::engine::Exchange;
use super::error::ApiError;
use super::filters;
use super::instrument::reaches;
use super::matching::{ExpireReason, Outcome, Taker};
use super::orders::{SymbolIndex, generated_client_id};
use super::triggers::{Condition, Trigger};
use std::sync::Arc;

/// A `GTD` order must live at least this long, and end before year 10000.
const GTD_LEAST_MS: u64 = 600_000;
const GTD_LAST_MS: u64 = 253_402_300_799_000;
const MODIFICATIONS_MOST: u32 = 10_000;
/// MAX_NUM_ORDER_AMENDS, on spot.
const AMENDS_MOST: u32 = 10;

/// An order that may be taken, and as what.
pub(super) struct Admission {
    symbol: SymbolIndex,
    quantity: Decimal,
    /// As far as it may trade at once.
    limit: Decimal,
    time_in_force: TimeInForce,
    client_order_id: Option<String>,
    /// Can only close a position.
    closes: bool,
    prevention: SelfTradePrevention,
    /// It waits for this first.
    condition: Option<Condition>,
}

impl Exchange {
    pub(super) fn place(&mut self, account: AccountId, new: NewOrder) -> Result<Order, ApiError> {
        let admission = self.admit(account, &new)?;
        self.accept(account, &new, admission, None)
    }

    /// What a triggered algo asks for.
    pub(super) fn place_triggered(&mut self, algo: &Algo) -> Result<Order, ApiError> {
        let asked = &algo.order;
        let symbol = self.index_of(&asked.symbol)?;
        let quantity = match asked.close_position {
            true => Some(self.reducible(algo.account, symbol, asked.position_side, asked.side)),
            false => asked.quantity,
        };
        let reduce_only = match asked.close_position && asked.position_side == PositionSide::Both {
            true => Some(true),
            false => asked.reduce_only,
        };
        let kind = asked.kind.triggered();
        let new = NewOrder {
            kind,
            quantity,
            reduce_only,
            close_position: false,
            stop_price: None,
            callback_rate: None,
            time_in_force: match kind {
                OrderType::Limit => asked.time_in_force.or(Some(TimeInForce::Gtc)),
                _ => None,
            },
            good_till_date_ms: if kind == OrderType::Limit { asked.good_till_date_ms } else { 0 },
            ..asked.clone()
        };
        let admission = self.admit(algo.account, &new)?;
        self.accept(algo.account, &new, admission, Some(algo))
    }

    /// Every check of a new order, in the exchange's order; changes nothing.
    pub(super) fn admit(&self, account: AccountId, new: &NewOrder) -> Result<Admission, ApiError> {
        let symbol = self.index_of(&new.symbol)?;
        let instrument = &self.instruments[symbol.0];
        let spec = &instrument.spec;
        let is_spot = spec.product == Product::Spot;
        let kind = new.kind.triggered();
        let best = instrument.liquidity.best(new.side.opposite());
        let mark = if is_spot { instrument.average_price(self.now_ms()) } else { instrument.mark() };
        let bound = filters::take_bound(&spec.filters, new.side, mark);
        let quantity = self.check_composition(new, symbol, bound)?;
        if !is_spot {
            self.check_mode(account, new)?;
        } else if kind == OrderType::Market {
            // On spot a market order has to pass LOT_SIZE too.
            filters::check_quantity(spec, OrderType::Limit, quantity)?;
        }
        filters::check_quantity(spec, kind, quantity)?;
        let condition = self.check_condition(new, symbol)?;
        let armed = condition.is_some();
        let limit = match new.price {
            Some(price) => {
                filters::check_price(spec, price)?;
                filters::check_percent_price(spec, new.side, price, mark)?;
                price
            }
            None if !armed && best.is_some_and(|(price, _)| !reaches(new.side, bound, price)) => {
                return Err(ApiError::MARKET_ORDER_REJECTED);
            }
            None => bound,
        };
        let reduce_only = new.reduce_only.unwrap_or(false);
        let likely_price = new.price.or(new.stop_price).unwrap_or(best.map_or(mark, |(price, _)| price));
        if !reduce_only {
            filters::check_notional(spec, likely_price, quantity)?;
        }
        let client_order_id = self.check_client_id(account, symbol, new.client_order_id.as_deref())?;
        let closes = !is_spot
            && (reduce_only
                || matches!(
                    (new.position_side, new.side),
                    (PositionSide::Long, Side::Sell) | (PositionSide::Short, Side::Buy)
                ));
        if is_spot {
            let worth = match (kind, armed) {
                (OrderType::Market, false) => self.market_worth(symbol, new.side, bound, quantity),
                _ => likely_price.times(quantity),
            };
            self.check_funds(account, symbol, new.side, quantity, worth)?;
        } else if closes {
            let room = self.reducible(account, symbol, new.position_side, new.side);
            if room.is_zero() || (new.position_side != PositionSide::Both && quantity > room) {
                return Err(ApiError::REDUCE_ONLY_REJECTED);
            }
        } else {
            let extra = (new.position_side, new.side, likely_price.times(quantity));
            self.check_margin(account, symbol, None, extra)?;
        }
        if self.orders.open(account, symbol).count() >= spec.filters.max_orders as usize {
            return Err(ApiError::MAX_OPEN_ORDERS);
        }
        if armed
            && self.orders.open(account, symbol).filter(|order| order.armed).count()
                >= spec.filters.max_algo_orders as usize
        {
            return Err(ApiError::MAX_STOP_ORDERS);
        }
        let time_in_force = new.time_in_force.unwrap_or(TimeInForce::Gtc);
        let crosses = !armed && best.is_some_and(|(price, _)| reaches(new.side, limit, price));
        if time_in_force == TimeInForce::Gtx && crosses {
            return Err(ApiError::GTX_REJECTED);
        }
        let prevention = new.self_trade_prevention.unwrap_or(self.config.default_self_trade_prevention);
        // Spot takes such an order and expires it at once; USD-M does not take it.
        if time_in_force == TimeInForce::Fok && !armed && !is_spot {
            let except = if prevention == SelfTradePrevention::None { AccountId::NOBODY } else { account };
            if instrument.liquidity.available(new.side, limit, quantity, except) < quantity {
                return Err(ApiError::FOK_REJECTED);
            }
        }
        Ok(Admission {
            symbol,
            quantity,
            limit,
            time_in_force,
            client_order_id,
            closes,
            prevention,
            condition,
        })
    }

    /// The order's first moment: on the books, and into the market unless it waits for a trigger.
    fn accept(
        &mut self,
        account: AccountId,
        new: &NewOrder,
        admission: Admission,
        algo: Option<&Algo>,
    ) -> Result<Order, ApiError> {
        let Admission { symbol, quantity, limit, time_in_force, condition, .. } = admission;
        let now_ms = self.now_ms();
        let order_id = self.orders.next_id();
        let order = Order {
            account,
            symbol: self.instruments[symbol.0].spec.symbol.clone(),
            order_id,
            client_order_id: admission
                .client_order_id
                .map_or_else(|| generated_client_id(order_id), Into::into),
            status: OrderStatus::New,
            side: new.side,
            position_side: new.position_side,
            kind: new.kind,
            original_kind: algo.map_or(new.kind, |algo| algo.order.kind),
            time_in_force,
            price: new.price.unwrap_or(Decimal::ZERO),
            stop_price: new.stop_price.or(algo.and_then(|algo| algo.order.stop_price)).unwrap_or_default(),
            original_quantity: quantity,
            quote_quantity: new.quote_quantity.unwrap_or_default(),
            executed_quantity: Decimal::ZERO,
            cumulative_quote: Decimal::ZERO,
            reduce_only: admission.closes,
            close_position: algo.is_some_and(|algo| algo.order.close_position),
            working_type: new.working_type,
            price_protect: new.price_protect,
            self_trade_prevention: admission.prevention,
            good_till_date_ms: new.good_till_date_ms,
            modifications: 0,
            armed: condition.is_some(),
            algo_id: algo.map_or(0, |algo| algo.algo_id),
            renamed_from: None,
            working_time_ms: if condition.is_some() { 0 } else { now_ms },
            time_ms: now_ms,
            update_time_ms: now_ms,
        };
        if time_in_force == TimeInForce::Gtd {
            self.expiries.insert((new.good_till_date_ms, order_id));
        }
        self.orders.insert(symbol, order);
        self.report(order_id, ExecutionType::New, ExpireReason::None);
        if let Some(condition) = condition {
            self.arm(order_id, Trigger { symbol, by: new.working_type, condition });
            return self.finished(symbol, order_id);
        }
        let may_rest =
            !matches!(time_in_force, TimeInForce::Ioc | TimeInForce::Fok) && new.kind == OrderType::Limit;
        self.work(symbol, order_id, limit, may_rest)
    }

    /// The condition of a conditional spot order, which must not be met already. USD-M takes those at its algo endpoints only.
    fn check_condition(&self, new: &NewOrder, symbol: SymbolIndex) -> Result<Option<Condition>, ApiError> {
        if !new.kind.is_conditional() {
            return Ok(None);
        }
        let stop = new.stop_price.ok_or_else(|| ApiError::mandatory("stopPrice"))?;
        filters::check_price(&self.instruments[symbol.0].spec, stop)?;
        let condition = Condition::of(new).ok_or(ApiError::INVALID_ORDER_TYPE)?;
        if self.would_trigger(symbol, new.working_type, condition) {
            return Err(ApiError::WOULD_TRIGGER);
        }
        Ok(Some(condition))
    }

    /// What a market order costs or brings, by the book as it stands; what the book does not have counts at its best price.
    fn market_worth(&self, symbol: SymbolIndex, side: Side, bound: Decimal, quantity: Decimal) -> Decimal {
        let liquidity = &self.instruments[symbol.0].liquidity;
        let there = liquidity.available(side, bound, quantity, AccountId::NOBODY).min(quantity);
        liquidity.worth(side, bound, there)
    }

    /// What the order needs must be free, on spot; and no more may be held than MAX_POSITION.
    fn check_funds(
        &self,
        account: AccountId,
        symbol: SymbolIndex,
        side: Side,
        quantity: Decimal,
        worth: Decimal,
    ) -> Result<(), ApiError> {
        let spec = &self.instruments[symbol.0].spec;
        let (asset, needed) = match side {
            Side::Buy => (&spec.quote_asset, worth),
            Side::Sell => (&spec.base_asset, quantity),
        };
        if needed > self.free(account, asset) {
            return Err(ApiError::BALANCE_INSUFFICIENT);
        }
        if let (Side::Buy, Some(most)) = (side, spec.filters.max_position) {
            let bids = self.orders.open(account, symbol).filter(|order| order.side == Side::Buy);
            let coming: Decimal = bids.map(Order::leaves_quantity).sum();
            if self.purses.balance(account, &spec.base_asset) + coming + quantity > most {
                return Err(ApiError::MAX_POSITION);
            }
        }
        Ok(())
    }

    /// How far from the mark price a taker may trade.
    pub(super) fn take_bound(&self, symbol: SymbolIndex, side: Side) -> Decimal {
        let instrument = &self.instruments[symbol.0];
        filters::take_bound(&instrument.spec.filters, side, instrument.mark())
    }

    pub(super) fn modify(&mut self, account: AccountId, modify: ModifyOrder) -> Result<Order, ApiError> {
        let symbol = self.index_of(&modify.symbol)?;
        let order =
            self.orders.find_open(account, symbol, &modify.order).ok_or(ApiError::NO_SUCH_ORDER)?.clone();
        let order_id = order.order_id;
        if order.kind != OrderType::Limit {
            return Err(ApiError::LIMIT_ORDER_ONLY);
        }
        if order.side != modify.side {
            return Err(ApiError::INVALID_SIDE);
        }
        let mark = self.instruments[symbol.0].mark();
        let spec = &self.instruments[symbol.0].spec;
        filters::check_quantity(spec, order.kind, modify.quantity)?;
        filters::check_price(spec, modify.price)?;
        filters::check_percent_price(spec, order.side, modify.price, mark)?;
        if modify.price == order.price && modify.quantity == order.original_quantity {
            return Err(ApiError::SAME_ORDER);
        }
        if order.modifications >= MODIFICATIONS_MOST {
            return Err(ApiError::TOO_MANY_MODIFICATIONS);
        }
        if modify.quantity <= order.executed_quantity {
            self.end(order_id, OrderStatus::Canceled, ExecutionType::Canceled, ExpireReason::None);
            return self.finished(symbol, order_id);
        }
        if !order.reduce_only {
            if filters::check_notional(spec, modify.price, modify.quantity).is_err() {
                return Err(ApiError::modification_min_notional(spec.filters.min_notional));
            }
            let leaves = modify.quantity - order.executed_quantity;
            let after = (order.position_side, order.side, modify.price.times(leaves));
            self.check_margin(account, symbol, Some(order_id), after)?;
        }
        let best = self.instruments[symbol.0].liquidity.best(order.side.opposite());
        if order.time_in_force == TimeInForce::Gtx
            && best.is_some_and(|(price, _)| reaches(order.side, modify.price, price))
        {
            self.end(order_id, OrderStatus::Canceled, ExecutionType::Canceled, ExpireReason::None);
            return self.finished(symbol, order_id);
        }

        let now_ms = self.now_ms();
        self.orders.update(order_id, |order| {
            order.price = modify.price;
            order.original_quantity = modify.quantity;
            order.modifications += 1;
            order.update_time_ms = now_ms;
        });
        self.report(order_id, ExecutionType::Amendment, ExpireReason::None);
        if modify.price == order.price && modify.quantity < order.original_quantity {
            // Less at the same price is the one change that keeps the place in the queue.
            self.instruments[symbol.0].liquidity.reduce(order_id, order.original_quantity - modify.quantity);
            return self.finished(symbol, order_id);
        }
        self.instruments[symbol.0].liquidity.withdraw(order_id);
        self.work(symbol, order_id, modify.price, true)
    }

    /// On spot the cancel has a name of its own, which its report carries beside the order's.
    pub(super) fn cancel(
        &mut self,
        account: AccountId,
        symbol: &str,
        reference: &OrderRef,
        name: Option<String>,
    ) -> Result<Order, ApiError> {
        let symbol = self.index_of(symbol)?;
        let order_id =
            self.orders.find_open(account, symbol, reference).ok_or(ApiError::CANCEL_REJECTED)?.order_id;
        if self.is_spot() {
            let name = self.name_of_request(name)?;
            self.orders.update(order_id, |order| order.renamed_from = Some(name));
        }
        self.end(order_id, OrderStatus::Canceled, ExecutionType::Canceled, ExpireReason::None);
        self.finished(symbol, order_id)
    }

    /// Less of an order that keeps its place; it goes on under the name of the request ("Order Amend Keep Priority").
    pub(super) fn amend(
        &mut self,
        account: AccountId,
        symbol: &str,
        reference: &OrderRef,
        quantity: Decimal,
        name: Option<String>,
    ) -> Result<Order, ApiError> {
        let symbol = self.index_of(symbol)?;
        let order = self.orders.find_open(account, symbol, reference).ok_or(ApiError::NO_SUCH_ORDER)?.clone();
        let spec = &self.instruments[symbol.0].spec;
        filters::check_quantity(spec, OrderType::Limit, quantity)?;
        let price = if order.price.is_positive() { order.price } else { order.stop_price };
        filters::check_notional(spec, price, quantity)?;
        if quantity >= order.original_quantity || quantity <= order.executed_quantity {
            return Err(ApiError::AMEND_QUANTITY);
        }
        if order.modifications >= AMENDS_MOST {
            return Err(ApiError::MAX_AMENDS);
        }
        let name = self.name_of_request(name)?;
        let now_ms = self.now_ms();
        self.orders.update(order.order_id, |order| {
            order.original_quantity = quantity;
            order.modifications += 1;
            order.update_time_ms = now_ms;
        });
        self.orders.rename(order.order_id, name);
        self.instruments[symbol.0].liquidity.reduce(order.order_id, order.original_quantity - quantity);
        self.report(order.order_id, ExecutionType::Replaced, ExpireReason::None);
        self.finished(symbol, order.order_id)
    }

    fn name_of_request(&mut self, name: Option<String>) -> Result<Arc<str>, ApiError> {
        match name {
            Some(name) => {
                filters::check_client_order_id(&name)?;
                Ok(name.into())
            }
            None => Ok(generated_client_id(self.orders.next_id())),
        }
    }

    pub(super) fn cancel_all(&mut self, account: AccountId, symbol: &str) -> Result<(), ApiError> {
        let symbol = self.index_of(symbol)?;
        let open: Vec<u64> = self.orders.open(account, symbol).map(|order| order.order_id).collect();
        for order_id in open {
            self.end(order_id, OrderStatus::Canceled, ExecutionType::Canceled, ExpireReason::None);
        }
        self.publish(symbol);
        Ok(())
    }

    /// Matches an order that is on the books but not in the market, then lets what is left rest or expire.
    pub(super) fn work(
        &mut self,
        symbol: SymbolIndex,
        order_id: u64,
        limit: Decimal,
        may_rest: bool,
    ) -> Result<Order, ApiError> {
        let order = self.orders.by_id(order_id).ok_or(ApiError::UNKNOWN)?;
        let (account, side, price) = (order.account, order.side, order.price);
        let order_time = order.time_in_force;
        let taker = Taker {
            order_id,
            account,
            side,
            position_side: order.position_side,
            leaves: order.leaves_quantity(),
            limit,
            reduce_only: order.reduce_only,
            self_trade_prevention: order.self_trade_prevention,
        };
        if order_time == TimeInForce::Fok
            && self.instruments[symbol.0].liquidity.available(side, limit, taker.leaves, AccountId::NOBODY)
                < taker.leaves
        {
            self.expire_unfilled(order_id);
            return self.finished(symbol, order_id);
        }
        match self.take(symbol, taker) {
            Outcome::Leaves(leaves) if leaves.is_positive() && may_rest => {
                self.instruments[symbol.0].liquidity.rest(side, price, Resting { order_id, account, leaves });
            }
            Outcome::Leaves(leaves) if leaves.is_positive() => self.expire_unfilled(order_id),
            Outcome::Leaves(_) | Outcome::Ended => {}
        }
        self.finished(symbol, order_id)
    }

    fn finished(&mut self, symbol: SymbolIndex, order_id: u64) -> Result<Order, ApiError> {
        self.publish(symbol);
        self.orders.by_id(order_id).cloned().ok_or(ApiError::UNKNOWN)
    }

    /// Which parameters belong together; answers with the quantity.
    fn check_composition(
        &self,
        new: &NewOrder,
        symbol: SymbolIndex,
        bound: Decimal,
    ) -> Result<Decimal, ApiError> {
        let is_spot = self.is_spot();
        if new.kind.is_conditional() && (!is_spot || new.kind == OrderType::TrailingStopMarket) {
            return Err(ApiError::USE_ALGO_ENDPOINT);
        }
        if new.close_position {
            return Err(ApiError::close_position_invalid(new.kind.as_str()));
        }
        if !new.kind.is_conditional() && new.stop_price.is_some_and(|price| !price.is_zero()) {
            return Err(ApiError::not_required("stopPrice"));
        }
        match new.kind.triggered() {
            OrderType::Limit => {
                if new.time_in_force.is_none() {
                    return Err(ApiError::mandatory("timeInForce"));
                }
                if new.quantity.is_none() {
                    return Err(ApiError::mandatory("quantity"));
                }
                if new.price.is_none() {
                    return Err(ApiError::mandatory("price"));
                }
            }
            _ => {
                if new.time_in_force.is_some() {
                    return Err(ApiError::not_required("timeInForce"));
                }
                if new.price.is_some() {
                    return Err(ApiError::not_required("price"));
                }
            }
        }
        self.check_good_till(new)?;
        match (new.quantity, new.quote_quantity) {
            (Some(_), Some(_)) => Err(ApiError::not_required("quoteOrderQty")),
            (Some(quantity), None) => Ok(quantity),
            (None, Some(quote)) if is_spot && new.kind == OrderType::Market => {
                let instrument = &self.instruments[symbol.0];
                let filters = &instrument.spec.filters;
                if quote < filters.min_notional {
                    return Err(ApiError::min_notional(filters.min_notional));
                }
                let quantity = instrument.liquidity.quantity_for(new.side, bound, quote);
                Ok(quantity.floor_to(filters.step_size))
            }
            _ => Err(ApiError::mandatory("quantity")),
        }
    }

    /// `goodTillDate` belongs to GTD and to nothing else.
    pub(super) fn check_good_till(&self, new: &NewOrder) -> Result<(), ApiError> {
        let good_till = new.good_till_date_ms;
        match new.time_in_force {
            Some(TimeInForce::Gtd)
                if good_till <= self.now_ms() + GTD_LEAST_MS || good_till >= GTD_LAST_MS =>
            {
                Err(ApiError::GOOD_TILL_DATE)
            }
            Some(TimeInForce::Gtd) => Ok(()),
            _ if good_till != 0 => Err(ApiError::not_required("goodTillDate")),
            _ => Ok(()),
        }
    }

    pub(super) fn check_mode(&self, account: AccountId, new: &NewOrder) -> Result<(), ApiError> {
        let dual = self.ledger.wallet(account).dual;
        if dual == (new.position_side == PositionSide::Both) {
            return Err(ApiError::POSITION_SIDE_MISMATCH);
        }
        if dual && new.reduce_only.is_some() {
            return Err(ApiError::not_required("reduceOnly"));
        }
        Ok(())
    }

    fn check_client_id(
        &self,
        account: AccountId,
        symbol: SymbolIndex,
        text: Option<&str>,
    ) -> Result<Option<String>, ApiError> {
        let Some(text) = text else { return Ok(None) };
        filters::check_client_order_id(text)?;
        let reference = OrderRef::ClientId(text.to_owned());
        match self.orders.find_open(account, symbol, &reference) {
            Some(_) => Err(ApiError::CLIENT_ID_DUPLICATED),
            None => Ok(Some(text.to_owned())),
        }
    }

    /// Initial margin with the order on top (instead of order `instead_of`) must be covered, unless it does not grow.
    fn check_margin(
        &self,
        account: AccountId,
        symbol: SymbolIndex,
        instead_of: Option<u64>,
        extra: (PositionSide, Side, Decimal),
    ) -> Result<(), ApiError> {
        let before = self.margin(account, symbol, None, None);
        let after = self.margin(account, symbol, instead_of, Some(extra));
        if after.exposure > before.exposure && after.exposure > self.max_notional(account, symbol) {
            return Err(ApiError::MAX_LEVERAGE_EXCEEDED);
        }
        if after.initial > before.initial {
            let others = self.total_initial_margin(account) - before.initial;
            if others + after.initial > self.equity(account) {
                return Err(ApiError::MARGIN_INSUFFICIENT);
            }
        }
        Ok(())
    }
}
