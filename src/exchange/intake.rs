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

/// A `GTD` order must live at least this long, and end before year 10000.
const GTD_LEAST_MS: u64 = 600_000;
const GTD_LAST_MS: u64 = 253_402_300_799_000;
const MODIFICATIONS_MOST: u32 = 10_000;

impl Exchange {
    pub(super) fn place(&mut self, account: AccountId, new: NewOrder) -> Result<Order, ApiError> {
        let symbol = self.index_of(&new.symbol)?;
        let quantity = self.check_composition(&new)?;
        self.check_mode(account, &new)?;
        let mark = self.instruments[symbol.0].mark();
        let spec = &self.instruments[symbol.0].spec;
        filters::check_quantity(spec, new.kind, quantity)?;
        let best = self.instruments[symbol.0].liquidity.best(new.side.opposite());
        let bound = filters::take_bound(&spec.filters, new.side, mark);
        let limit = match new.price {
            Some(price) => {
                filters::check_price(spec, price)?;
                filters::check_percent_price(spec, new.side, price, mark)?;
                price
            }
            None if best.is_some_and(|(price, _)| !reaches(new.side, bound, price)) => {
                return Err(ApiError::MARKET_ORDER_REJECTED);
            }
            None => bound,
        };
        let reduce_only = new.reduce_only.unwrap_or(false);
        let likely_price = new.price.unwrap_or(best.map_or(mark, |(price, _)| price));
        if !reduce_only {
            filters::check_notional(spec, likely_price, quantity)?;
        }
        let client_order_id = self.check_client_id(account, symbol, new.client_order_id.as_deref())?;
        let closes = reduce_only
            || matches!(
                (new.position_side, new.side),
                (PositionSide::Long, Side::Sell) | (PositionSide::Short, Side::Buy)
            );
        if closes {
            let room = self.reducible(account, symbol, new.position_side, new.side);
            if room.is_zero() || (new.position_side != PositionSide::Both && quantity > room) {
                return Err(ApiError::REDUCE_ONLY_REJECTED);
            }
        } else {
            self.check_margin(
                account,
                symbol,
                None,
                (new.position_side, new.side, likely_price.times(quantity)),
            )?;
        }
        if self.orders.open(account, symbol).count() >= spec.filters.max_orders as usize {
            return Err(ApiError::MAX_OPEN_ORDERS);
        }
        let time_in_force = new.time_in_force.unwrap_or(TimeInForce::Gtc);
        let crosses = best.is_some_and(|(price, _)| reaches(new.side, limit, price));
        if time_in_force == TimeInForce::Gtx && crosses {
            return Err(ApiError::GTX_REJECTED);
        }
        let prevention = new.self_trade_prevention.unwrap_or(self.config.default_self_trade_prevention);
        if time_in_force == TimeInForce::Fok {
            let except = if prevention == SelfTradePrevention::None { AccountId::NOBODY } else { account };
            let available = self.instruments[symbol.0].liquidity.available(new.side, limit, quantity, except);
            if available < quantity {
                return Err(ApiError::FOK_REJECTED);
            }
        }

        let now_ms = self.now_ms();
        let order_id = self.orders.next_id();
        let order = Order {
            account,
            symbol: self.instruments[symbol.0].spec.symbol.clone(),
            order_id,
            client_order_id: client_order_id.map_or_else(|| generated_client_id(order_id), Into::into),
            status: OrderStatus::New,
            side: new.side,
            position_side: new.position_side,
            kind: new.kind,
            original_kind: new.kind,
            time_in_force,
            price: new.price.unwrap_or(Decimal::ZERO),
            stop_price: Decimal::ZERO,
            original_quantity: quantity,
            executed_quantity: Decimal::ZERO,
            cumulative_quote: Decimal::ZERO,
            reduce_only: closes,
            close_position: false,
            working_type: new.working_type,
            price_protect: new.price_protect,
            self_trade_prevention: prevention,
            good_till_date_ms: new.good_till_date_ms,
            modifications: 0,
            time_ms: now_ms,
            update_time_ms: now_ms,
        };
        if time_in_force == TimeInForce::Gtd {
            self.expiries.insert((new.good_till_date_ms, order_id));
        }
        self.orders.insert(symbol, order);
        self.report(order_id, ExecutionType::New, ExpireReason::None);
        let may_rest =
            !matches!(time_in_force, TimeInForce::Ioc | TimeInForce::Fok) && new.kind == OrderType::Limit;
        self.work(symbol, order_id, limit, may_rest)
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

    pub(super) fn cancel(
        &mut self,
        account: AccountId,
        symbol: &str,
        reference: &OrderRef,
    ) -> Result<Order, ApiError> {
        let symbol = self.index_of(symbol)?;
        let order_id =
            self.orders.find_open(account, symbol, reference).ok_or(ApiError::CANCEL_REJECTED)?.order_id;
        self.end(order_id, OrderStatus::Canceled, ExecutionType::Canceled, ExpireReason::None);
        self.finished(symbol, order_id)
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
    fn work(
        &mut self,
        symbol: SymbolIndex,
        order_id: u64,
        limit: Decimal,
        may_rest: bool,
    ) -> Result<Order, ApiError> {
        let order = self.orders.by_id(order_id).ok_or(ApiError::UNKNOWN)?;
        let (account, side, price) = (order.account, order.side, order.price);
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
    fn check_composition(&self, new: &NewOrder) -> Result<Decimal, ApiError> {
        match new.kind {
            OrderType::Limit | OrderType::Market => {}
            _ => return Err(ApiError::USE_ALGO_ENDPOINT),
        }
        if new.close_position {
            return Err(ApiError::close_position_invalid(new.kind.as_str()));
        }
        if new.stop_price.is_some_and(|price| !price.is_zero()) {
            return Err(ApiError::not_required("stopPrice"));
        }
        match new.kind {
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
        let good_till = new.good_till_date_ms;
        match new.time_in_force {
            Some(TimeInForce::Gtd)
                if good_till <= self.now_ms() + GTD_LEAST_MS || good_till >= GTD_LAST_MS =>
            {
                return Err(ApiError::GOOD_TILL_DATE);
            }
            Some(TimeInForce::Gtd) => {}
            _ if good_till != 0 => return Err(ApiError::not_required("goodTillDate")),
            _ => {}
        }
        new.quantity.ok_or_else(|| ApiError::mandatory("quantity"))
    }

    fn check_mode(&self, account: AccountId, new: &NewOrder) -> Result<(), ApiError> {
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
