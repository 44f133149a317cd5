//! What happens when an order meets the market: the matching loop, the booking of fills, and the private reports of both.
//!
//! Every change of an order's life is reported here and nowhere else, so that no state changes in silence.

use super::api::*;
use super::book::Resting;
use super::decimal::Decimal;
use super::engine::Exchange;
use super::instrument::reaches;
use super::ledger::{Booking, Fill, closable};
use super::orders::SymbolIndex;
use super::purses::Exchanged;

/// `er` of `ORDER_TRADE_UPDATE`, the documented numbers ("Event: Order Update", Expiry Reason).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpireReason {
    None = 0,
    SelfTradePrevention = 1,
    ImmediateOrCancel = 2,
    ReduceOnly = 4,
    Market = 9,
}

/// The active side of a match. Agents have no order record; accounts do, under `order_id`.
#[derive(Clone, Copy, Debug)]
pub struct Taker {
    pub order_id: u64,
    pub account: AccountId,
    pub side: Side,
    pub position_side: PositionSide,
    pub leaves: Decimal,
    pub limit: Decimal,
    pub reduce_only: bool,
    pub self_trade_prevention: SelfTradePrevention,
}

/// How a matching run left the taker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `leaves` found no counterparty.
    Leaves(Decimal),
    /// Ended inside the run (self-trade prevention, or reduce-only with nothing left to reduce); already reported.
    Ended,
}

/// One side of a fill.
#[derive(Clone, Copy)]
struct Party {
    order_id: u64,
    account: AccountId,
    side: Side,
    position_side: PositionSide,
    maker: bool,
}

impl Exchange {
    /// Matches `taker` against the market as far as its limit goes. Prints its trades; leaves the book's diff to the caller's `publish`.
    pub(super) fn take(&mut self, symbol: SymbolIndex, mut taker: Taker) -> Outcome {
        let mut fills = Vec::new();
        let mut ended = false;
        while taker.leaves.is_positive() && !ended {
            let Some(offer) = self.instruments[symbol.0].liquidity.offer(taker.side) else { break };
            if !reaches(taker.side, taker.limit, offer.price) {
                break;
            }
            let mut quantity = taker.leaves.min(offer.quantity);
            if taker.reduce_only {
                quantity =
                    quantity.min(self.reducible(taker.account, symbol, taker.position_side, taker.side));
                if quantity.is_zero() {
                    self.end(
                        taker.order_id,
                        OrderStatus::Expired,
                        ExecutionType::Expired,
                        ExpireReason::ReduceOnly,
                    );
                    ended = true;
                    continue;
                }
            }
            let maker =
                offer.maker.map_or(self.house_party(taker.side), |resting| self.party(resting, taker.side));
            if let Some(resting) = offer.maker {
                if resting.account == taker.account
                    && self.prevent_self_trade(&taker, &resting, offer.price, &mut ended)
                {
                    continue;
                }
                if self.orders.by_id(resting.order_id).is_some_and(|order| order.reduce_only) {
                    quantity =
                        quantity.min(self.reducible(maker.account, symbol, maker.position_side, maker.side));
                    if quantity.is_zero() {
                        self.end(
                            resting.order_id,
                            OrderStatus::Expired,
                            ExecutionType::Expired,
                            ExpireReason::ReduceOnly,
                        );
                        continue;
                    }
                }
            }
            self.instruments[symbol.0].liquidity.consume(taker.side, &offer, quantity);
            let active = Party {
                order_id: taker.order_id,
                account: taker.account,
                side: taker.side,
                position_side: taker.position_side,
                maker: false,
            };
            let trade_id = self.settle(symbol, [maker, active], offer.price, quantity);
            fills.push((trade_id, offer.price, quantity));
            taker.leaves -= quantity;
        }
        let now_ms = self.now_ms();
        self.instruments[symbol.0].print_trades(taker.side, &fills, now_ms, &mut self.outbox);
        if ended { Outcome::Ended } else { Outcome::Leaves(taker.leaves) }
    }

    /// A resting order of an account trades with the recorded market.
    pub(super) fn fill_resting(
        &mut self,
        symbol: SymbolIndex,
        order_id: u64,
        price: Decimal,
        quantity: Decimal,
    ) {
        let Some(order) = self.orders.by_id(order_id) else { return };
        let (account, side, position_side, reduce_only) =
            (order.account, order.side, order.position_side, order.reduce_only);
        let mut quantity = quantity.min(order.leaves_quantity());
        if reduce_only {
            quantity = quantity.min(self.reducible(account, symbol, position_side, side));
        }
        if quantity.is_zero() {
            self.end(order_id, OrderStatus::Expired, ExecutionType::Expired, ExpireReason::ReduceOnly);
            return;
        }
        self.instruments[symbol.0].liquidity.reduce(order_id, quantity);
        let maker = Party { order_id, account, side, position_side, maker: true };
        let mut taker = self.house_party(side);
        taker.maker = false;
        self.settle(symbol, [maker, taker], price, quantity);
    }

    /// Ends an open order: out of the market, filed, reported.
    pub(super) fn end(
        &mut self,
        order_id: u64,
        status: OrderStatus,
        execution: ExecutionType,
        expire_reason: ExpireReason,
    ) {
        let now_ms = self.now_ms();
        let Some(order) = self.orders.by_id(order_id).filter(|order| order.status.is_open()) else { return };
        if let Some(symbol) = self.symbol_index(&order.symbol) {
            self.instruments[symbol.0].liquidity.withdraw(order_id);
        }
        self.orders.update(order_id, |order| {
            order.status = status;
            order.armed = false;
            order.update_time_ms = now_ms;
        });
        self.disarm(order_id);
        self.report(order_id, execution, expire_reason);
        self.finish_if_ended(order_id);
    }

    /// An order that a triggered algo placed takes the algo with it when it ends.
    fn finish_if_ended(&mut self, order_id: u64) {
        if let Some(order) = self.orders.by_id(order_id)
            && order.algo_id != 0
            && !order.status.is_open()
        {
            let order = order.clone();
            self.finish_algo(&order);
        }
    }

    /// The house takes what a liquidation found no counterparty for.
    pub(super) fn take_over(
        &mut self,
        symbol: SymbolIndex,
        order_id: u64,
        price: Decimal,
        quantity: Decimal,
    ) {
        let Some(order) = self.orders.by_id(order_id) else { return };
        let taker = Party {
            order_id,
            account: order.account,
            side: order.side,
            position_side: order.position_side,
            maker: false,
        };
        self.settle(symbol, [self.house_party(order.side), taker], price, quantity);
    }

    /// The part of an order that found nobody and may not rest, or not any longer.
    pub(super) fn expire_unfilled(&mut self, order_id: u64) {
        let Some(order) = self.orders.by_id(order_id) else { return };
        let reason = match (order.kind.triggered(), order.time_in_force) {
            (OrderType::Market, _) => ExpireReason::Market,
            (_, TimeInForce::Ioc) => ExpireReason::ImmediateOrCancel,
            _ => ExpireReason::None,
        };
        self.end(order_id, OrderStatus::Expired, ExecutionType::Expired, reason);
    }

    /// Tells the owner what became of the order, for everything but trades.
    pub(super) fn report(&mut self, order_id: u64, execution: ExecutionType, expire_reason: ExpireReason) {
        let none = Booking { realized: Decimal::ZERO, commission: Decimal::ZERO };
        let none = (none, self.commission_asset_of(order_id));
        self.report_trade(order_id, execution, (0, Decimal::ZERO, Decimal::ZERO), false, none, expire_reason);
    }

    /// What an order of `side` may still take off the position.
    pub(super) fn reducible(
        &self,
        account: AccountId,
        symbol: SymbolIndex,
        on: PositionSide,
        side: Side,
    ) -> Decimal {
        closable(self.ledger.wallet(account).holding(symbol, on), side)
    }

    fn settle(&mut self, symbol: SymbolIndex, parties: [Party; 2], price: Decimal, quantity: Decimal) -> u64 {
        let now_ms = self.now_ms();
        let tape = &mut self.instruments[symbol.0].tape;
        tape.last_trade_id += 1;
        let trade_id = tape.last_trade_id;
        let notional = price.times(quantity);
        for party in parties {
            let (booking, asset) = self.book(symbol, &party, quantity, notional);
            if party.account == AccountId::HOUSE {
                continue;
            }
            self.orders.update(party.order_id, |order| {
                order.executed_quantity += quantity;
                order.cumulative_quote += notional;
                order.update_time_ms = now_ms;
                order.status = if order.leaves_quantity().is_positive() {
                    OrderStatus::PartiallyFilled
                } else {
                    OrderStatus::Filled
                };
            });
            let is_spot = self.is_spot();
            if !is_spot {
                self.report_position(party.account, symbol, party.position_side);
            }
            let trade = (trade_id, price, quantity);
            let liquidation = self.orders.by_id(party.order_id).is_some_and(Order::is_liquidation);
            let execution = if liquidation { ExecutionType::Calculated } else { ExecutionType::Trade };
            let booked = (booking, asset);
            self.remember_trade(symbol, &party, trade, notional, &booked);
            self.report_trade(party.order_id, execution, trade, party.maker, booked, ExpireReason::None);
            self.finish_if_ended(party.order_id);
            if is_spot {
                continue;
            }
            let active = if party.maker { 0 } else { party.order_id };
            self.expire_idle_reduce_only(party.account, symbol, party.position_side, active);
        }
        trade_id
    }

    /// A flat position leaves its reduce-only orders without a purpose. The order that is trading right now is left to its own loop.
    fn expire_idle_reduce_only(
        &mut self,
        account: AccountId,
        symbol: SymbolIndex,
        on: PositionSide,
        active: u64,
    ) {
        let idle: Vec<u64> = self
            .orders
            .open(account, symbol)
            .filter(|order| order.reduce_only && order.position_side == on && order.order_id != active)
            .filter(|order| self.reducible(account, symbol, on, order.side).is_zero())
            .map(|order| order.order_id)
            .collect();
        for order_id in idle {
            self.end(order_id, OrderStatus::Expired, ExecutionType::Expired, ExpireReason::ReduceOnly);
        }
    }

    /// True when the two orders may not meet: what had to end has ended.
    fn prevent_self_trade(
        &mut self,
        taker: &Taker,
        resting: &Resting,
        price: Decimal,
        ended: &mut bool,
    ) -> bool {
        if taker.account == AccountId::HOUSE {
            return false;
        }
        let mode = taker.self_trade_prevention;
        let (end_maker, end_taker) = match mode {
            SelfTradePrevention::None => return false,
            SelfTradePrevention::ExpireMaker => (true, false),
            SelfTradePrevention::ExpireTaker => (false, true),
            SelfTradePrevention::ExpireBoth => (true, true),
        };
        let quantity = taker.leaves.min(resting.leaves);
        self.last_prevented_match += 1;
        for (order_id, counter, ends) in
            [(resting.order_id, taker.order_id, end_maker), (taker.order_id, resting.order_id, end_taker)]
        {
            if ends {
                self.report_prevented(order_id, counter, price, quantity);
                self.end(
                    order_id,
                    OrderStatus::ExpiredInMatch,
                    ExecutionType::Expired,
                    ExpireReason::SelfTradePrevention,
                );
            }
        }
        *ended = end_taker;
        true
    }

    /// Spot tells what did not trade, before the order ends.
    fn report_prevented(&mut self, order_id: u64, counter: u64, price: Decimal, quantity: Decimal) {
        if !self.is_spot() {
            return;
        }
        self.report(order_id, ExecutionType::TradePrevention, ExpireReason::None);
        let prevented =
            Prevented { match_id: self.last_prevented_match, quantity, price, counter_order_id: counter };
        // The report is the last but one: the account's funds follow it.
        if let Some(Output::Order(_, update)) =
            self.outbox.iter_mut().rev().find(|output| matches!(output, Output::Order(..)))
        {
            update.prevented = Some(prevented);
        }
    }

    fn party(&self, resting: Resting, taker: Side) -> Party {
        let position_side =
            self.orders.by_id(resting.order_id).map_or(PositionSide::Both, |order| order.position_side);
        Party {
            order_id: resting.order_id,
            account: resting.account,
            side: taker.opposite(),
            position_side,
            maker: true,
        }
    }

    /// The house opposite a party of `side`.
    fn house_party(&self, side: Side) -> Party {
        Party {
            order_id: 0,
            account: AccountId::HOUSE,
            side: side.opposite(),
            position_side: PositionSide::Both,
            maker: true,
        }
    }

    fn remember_trade(
        &mut self,
        symbol: SymbolIndex,
        party: &Party,
        (trade_id, price, quantity): (u64, Decimal, Decimal),
        notional: Decimal,
        (booking, asset): &(Booking, Symbol),
    ) {
        let spec = &self.instruments[symbol.0].spec;
        let trade = UserTrade {
            symbol: spec.symbol.clone(),
            trade_id,
            order_id: party.order_id,
            side: party.side,
            position_side: party.position_side,
            price,
            quantity,
            quote_quantity: notional,
            realized_pnl: booking.realized,
            commission: booking.commission,
            commission_asset: asset.clone(),
            maker: party.maker,
            time_ms: self.now_ms(),
        };
        let trades = self.trades.entry(party.account).or_default();
        trades.push_back(trade);
        if trades.len() > self.config.history_limit {
            trades.pop_front();
        }
        if !self.is_spot() {
            if !booking.realized.is_zero() {
                let realized = booking.realized;
                self.remember_income(party.account, symbol, IncomeKind::RealizedPnl, realized, trade_id);
            }
            self.remember_income(
                party.account,
                symbol,
                IncomeKind::Commission,
                -booking.commission,
                trade_id,
            );
        }
    }

    /// Moves the money of one side of a fill; on spot the fee comes off what was received.
    fn book(
        &mut self,
        symbol: SymbolIndex,
        party: &Party,
        quantity: Decimal,
        notional: Decimal,
    ) -> (Booking, Symbol) {
        let now_ms = self.now_ms();
        let spec = &self.instruments[symbol.0].spec;
        if spec.product == Product::Spot {
            let fill = Exchanged {
                side: party.side,
                base: spec.base_asset.clone(),
                quote: spec.quote_asset.clone(),
                quantity,
                notional,
                maker: party.maker,
                now_ms,
            };
            let (commission, asset) = self.purses.book(party.account, &fill);
            return (Booking { realized: Decimal::ZERO, commission }, asset);
        }
        let asset = spec.margin_asset.clone();
        let fill = Fill {
            symbol,
            position_side: party.position_side,
            side: party.side,
            quantity,
            notional,
            maker: party.maker,
            now_ms,
        };
        (self.ledger.book(party.account, fill), asset)
    }

    fn commission_asset_of(&self, order_id: u64) -> Symbol {
        let symbol = self.orders.by_id(order_id).and_then(|order| self.symbol_index(&order.symbol));
        self.instruments[symbol.map_or(0, |symbol| symbol.0)].spec.margin_asset.clone()
    }

    /// Both assets of a symbol, as the account has them now: after every change of an order on spot.
    fn report_funds(&mut self, account: AccountId, symbol: SymbolIndex) {
        let now_ms = self.now_ms();
        let spec = &self.instruments[symbol.0].spec;
        let balance = |asset: &Symbol| BalanceUpdate {
            asset: asset.clone(),
            wallet: self.purses.balance(account, asset),
            change: Decimal::ZERO,
            locked: self.locked(account, asset),
        };
        let update = AccountUpdate {
            event_time_ms: now_ms,
            transaction_time_ms: now_ms,
            reason: AccountUpdateReason::Order,
            balances: vec![balance(&spec.base_asset), balance(&spec.quote_asset)],
            positions: Vec::new(),
        };
        self.outbox.push(Output::Account(account, update));
    }

    fn report_position(&mut self, account: AccountId, symbol: SymbolIndex, on: PositionSide) {
        let now_ms = self.now_ms();
        let instrument = &self.instruments[symbol.0];
        let wallet = self.ledger.wallet(account);
        let holding = wallet.holding(symbol, on);
        let update = AccountUpdate {
            event_time_ms: now_ms,
            transaction_time_ms: now_ms,
            reason: AccountUpdateReason::Order,
            balances: vec![BalanceUpdate {
                asset: instrument.spec.margin_asset.clone(),
                wallet: wallet.balance,
                change: Decimal::ZERO,
                locked: Decimal::ZERO,
            }],
            positions: vec![PositionUpdate {
                symbol: instrument.spec.symbol.clone(),
                position_side: on,
                quantity: holding.quantity,
                entry_price: holding.entry_price(),
                break_even_price: holding.break_even_price(),
                accumulated_realized: holding.realized,
                unrealized_pnl: holding.unrealized(instrument.mark()),
            }],
        };
        self.outbox.push(Output::Account(account, update));
    }

    fn report_trade(
        &mut self,
        order_id: u64,
        execution: ExecutionType,
        (trade_id, price, quantity): (u64, Decimal, Decimal),
        maker: bool,
        (booking, asset): (Booking, Symbol),
        expire_reason: ExpireReason,
    ) {
        let now_ms = self.now_ms();
        let Some(order) = self.orders.by_id(order_id).cloned() else { return };
        let Some(symbol) = self.symbol_index(&order.symbol) else { return };
        let open_notional = |side| {
            self.orders
                .open(order.account, symbol)
                .filter(|open| open.side == side)
                .map(|open| open.price.times(open.leaves_quantity()))
                .sum()
        };
        let traded = matches!(execution, ExecutionType::Trade | ExecutionType::Calculated);
        let account = order.account;
        let update = OrderUpdate {
            event_time_ms: now_ms,
            transaction_time_ms: now_ms,
            execution,
            last_quantity: quantity,
            last_price: price,
            commission: traded.then_some((booking.commission, asset)),
            trade_id,
            maker,
            realized_pnl: booking.realized,
            bids_notional: open_notional(Side::Buy),
            asks_notional: open_notional(Side::Sell),
            prevented: None,
            expire_reason: expire_reason as u32,
            order,
        };
        self.outbox.push(Output::Order(update.order.account, update));
        if self.is_spot() {
            self.report_funds(account, symbol);
        }
    }
}
