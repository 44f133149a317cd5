//! Conditional orders: what waits for a price, and what happens when the price comes.
//!
//! On spot such an order is in the account's list of orders from the beginning, armed and outside the book. On USD-M it is an [`Algo`], a thing beside
//! the book with an id of its own, that places an order under the same client id when it is triggered ("New Algo Order", "Event: Algo Order Update").
//! A stop waits for the price to come from the losing side, a take-profit from the winning side; a trailing stop follows the best price since it was
//! activated. Prices are looked at after every step of the market and after every command, so no trigger fires inside a match.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::api::*;
use super::decimal::Decimal;
use super::engine::Exchange;
use super::error::ApiError;
use super::filters;
use super::matching::ExpireReason;
use super::orders::{SymbolIndex, generated_client_id};

/// The first algo id is one above this: far from order ids, as at the exchange.
const ALGO_ID_BASE: u64 = 3_000_000_000_000_000;

/// What waits, by the id of its order or algo.
#[derive(Default)]
pub struct Triggers {
    waiting: BTreeMap<u64, Trigger>,
}

#[derive(Clone, Copy, Debug)]
pub struct Trigger {
    pub symbol: SymbolIndex,
    pub by: WorkingType,
    pub condition: Condition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    AtOrAbove(Decimal),
    AtOrBelow(Decimal),
    /// Fires when the price has come back from its best by `callback` (a fraction).
    Trailing {
        side: Side,
        callback: Decimal,
        activation: Option<Decimal>,
        best: Option<Decimal>,
    },
}

impl Condition {
    /// Of a conditional order; `None` for one that is not, or that lacks its price.
    pub fn of(new: &NewOrder) -> Option<Condition> {
        let stop = new.stop_price.filter(|price| price.is_positive());
        match (new.kind, new.side) {
            (OrderType::Limit | OrderType::Market, _) => None,
            (OrderType::Stop | OrderType::StopMarket, Side::Buy)
            | (OrderType::TakeProfit | OrderType::TakeProfitMarket, Side::Sell) => {
                stop.map(Condition::AtOrAbove)
            }
            (OrderType::Stop | OrderType::StopMarket, Side::Sell)
            | (OrderType::TakeProfit | OrderType::TakeProfitMarket, Side::Buy) => {
                stop.map(Condition::AtOrBelow)
            }
            (OrderType::TrailingStopMarket, side) => new.callback_rate.map(|rate| Condition::Trailing {
                side,
                callback: rate.ratio(1, 100),
                activation: stop,
                best: None,
            }),
        }
    }

    /// Looks at a price; true when it is reached.
    pub fn meets(&mut self, price: Decimal) -> bool {
        match self {
            Condition::AtOrAbove(level) => price >= *level,
            Condition::AtOrBelow(level) => price <= *level,
            Condition::Trailing { side, callback, activation, best } => {
                let activated = match (best.is_some(), *activation, *side) {
                    (true, ..) | (_, None, _) => true,
                    (_, Some(level), Side::Sell) => price >= level,
                    (_, Some(level), Side::Buy) => price <= level,
                };
                if !activated {
                    return false;
                }
                let extreme = match (*best, *side) {
                    (None, _) => price,
                    (Some(best), Side::Sell) => best.max(price),
                    (Some(best), Side::Buy) => best.min(price),
                };
                *best = Some(extreme);
                match side {
                    Side::Sell => price <= extreme.times(Decimal::ONE - *callback),
                    Side::Buy => price >= extreme.times(Decimal::ONE + *callback),
                }
            }
        }
    }
}

/// The conditional orders of USD-M, waiting and past.
#[derive(Default)]
pub struct Algos {
    last: u64,
    all: BTreeMap<u64, (SymbolIndex, Algo)>,
    ended: VecDeque<u64>,
}

impl Algos {
    fn next_id(&mut self) -> u64 {
        self.last = self.last.max(ALGO_ID_BASE) + 1;
        self.last
    }

    fn find(&self, account: AccountId, reference: &OrderRef) -> Option<&Algo> {
        let mut of_account = self.all.values().map(|(_, algo)| algo).filter(|algo| algo.account == account);
        match reference {
            OrderRef::Id(id) => self.all.get(id).map(|(_, algo)| algo).filter(|algo| algo.account == account),
            // The newest one of that name.
            OrderRef::ClientId(text) => of_account.rfind(|algo| *algo.client_algo_id == **text),
        }
    }

    pub fn of(&self, account: AccountId) -> impl Iterator<Item = &Algo> {
        self.all.values().map(|(_, algo)| algo).filter(move |algo| algo.account == account)
    }

    fn open(&self, account: AccountId, symbol: SymbolIndex) -> impl Iterator<Item = &Algo> {
        self.all
            .values()
            .filter(move |(at, algo)| *at == symbol && algo.account == account && algo.status.is_waiting())
            .map(|(_, algo)| algo)
    }
}

impl AlgoStatus {
    pub const fn is_waiting(self) -> bool {
        matches!(self, AlgoStatus::New)
    }
}

impl Exchange {
    // -------------------------------------------------------------------------------------------- waiting

    pub(super) fn arm(&mut self, id: u64, trigger: Trigger) {
        self.triggers.waiting.insert(id, trigger);
    }

    pub(super) fn disarm(&mut self, id: u64) {
        self.triggers.waiting.remove(&id);
    }

    /// The price that a trigger looks at.
    pub(super) fn trigger_price(&self, symbol: SymbolIndex, by: WorkingType) -> Decimal {
        let instrument = &self.instruments[symbol.0];
        match by {
            WorkingType::MarkPrice => instrument.mark(),
            WorkingType::ContractPrice => instrument.tape.last_price.unwrap_or_else(|| instrument.mark()),
        }
    }

    /// Whether the condition is met already, so that the order would be no conditional one.
    pub(super) fn would_trigger(&self, symbol: SymbolIndex, by: WorkingType, condition: Condition) -> bool {
        let price = self.trigger_price(symbol, by);
        match condition {
            // "activatePrice": the price has to come to it.
            Condition::Trailing { side: Side::Sell, activation: Some(level), .. } => price >= level,
            Condition::Trailing { side: Side::Buy, activation: Some(level), .. } => price <= level,
            Condition::Trailing { .. } => false,
            mut simple => simple.meets(price),
        }
    }

    /// Fires the oldest trigger whose price is there; false when there is none.
    pub(super) fn fire_one_trigger(&mut self) -> bool {
        if self.triggers.waiting.is_empty() {
            return false;
        }
        let mut triggers = std::mem::take(&mut self.triggers.waiting);
        let mut due = None;
        for (id, trigger) in &mut triggers {
            let price = self.trigger_price(trigger.symbol, trigger.by);
            if trigger.condition.meets(price) && due.is_none() {
                due = Some(*id);
            }
        }
        if let Some(id) = due {
            triggers.remove(&id);
        }
        self.triggers.waiting = triggers;
        match due {
            Some(id) if id > ALGO_ID_BASE => self.trigger_algo(id),
            Some(id) => self.trigger_order(id),
            None => return false,
        }
        true
    }

    /// An armed spot order enters the market.
    fn trigger_order(&mut self, order_id: u64) {
        let now_ms = self.now_ms();
        let updated = self.orders.update(order_id, |order| {
            order.armed = false;
            order.working_time_ms = now_ms;
            order.update_time_ms = now_ms;
        });
        let Some(order) = updated.cloned() else { return };
        let Some(symbol) = self.symbol_index(&order.symbol) else { return };
        self.report(order_id, ExecutionType::New, ExpireReason::None);
        let is_limit = order.kind.triggered() == OrderType::Limit;
        let limit = if is_limit { order.price } else { self.take_bound(symbol, order.side) };
        let rests = is_limit && !matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
        let _ = self.work(symbol, order_id, limit, rests);
    }

    // -------------------------------------------------------------------------------------------- algos

    pub(super) fn place_algo(&mut self, account: AccountId, new: NewOrder) -> Result<Algo, ApiError> {
        let symbol = self.index_of(&new.symbol)?;
        let condition = self.check_algo(account, symbol, &new)?;
        let now_ms = self.now_ms();
        let algo_id = self.algos.next_id();
        let client_algo_id: Arc<str> =
            new.client_order_id.as_deref().map_or_else(|| generated_client_id(algo_id), Into::into);
        let algo = Algo {
            account,
            algo_id,
            client_algo_id: client_algo_id.clone(),
            status: AlgoStatus::New,
            order: NewOrder { client_order_id: Some(client_algo_id.to_string()), ..new },
            order_id: 0,
            average_price: Decimal::ZERO,
            executed_quantity: Decimal::ZERO,
            reason: String::new(),
            time_ms: now_ms,
            update_time_ms: now_ms,
            trigger_time_ms: 0,
        };
        if algo.order.time_in_force == Some(TimeInForce::Gtd) {
            self.expiries.insert((algo.order.good_till_date_ms, algo_id));
        }
        self.arm(algo_id, Trigger { symbol, by: algo.order.working_type, condition });
        self.outbox.push(Output::Algo(account, algo.clone()));
        self.algos.all.insert(algo_id, (symbol, algo.clone()));
        Ok(algo)
    }

    fn check_algo(
        &self,
        account: AccountId,
        symbol: SymbolIndex,
        new: &NewOrder,
    ) -> Result<Condition, ApiError> {
        if !new.kind.is_conditional() {
            return Err(ApiError::INVALID_ORDER_TYPE);
        }
        self.check_mode(account, new)?;
        self.check_good_till(new)?;
        let spec = &self.instruments[symbol.0].spec;
        let closes_all = matches!(new.kind, OrderType::StopMarket | OrderType::TakeProfitMarket);
        match (new.close_position, new.quantity) {
            (true, _) if !closes_all => return Err(ApiError::close_position_invalid(new.kind.as_str())),
            (true, Some(_)) => return Err(ApiError::QUANTITY_WITH_CLOSE_POSITION),
            (true, None) => {
                let same = |algo: &Algo| {
                    algo.order.close_position
                        && (algo.order.side, algo.order.position_side, algo.order.kind)
                            == (new.side, new.position_side, new.kind)
                };
                if self.algos.open(account, symbol).any(same) {
                    return Err(ApiError::CLOSE_POSITION_EXISTS);
                }
            }
            (false, None) => return Err(ApiError::mandatory("quantity")),
            (false, Some(quantity)) => filters::check_quantity(spec, new.kind.triggered(), quantity)?,
        }
        match (new.kind.triggered(), new.price) {
            (OrderType::Limit, None) => return Err(ApiError::mandatory("price")),
            (OrderType::Limit, Some(price)) => filters::check_price(spec, price)?,
            (_, Some(_)) => return Err(ApiError::not_required("price")),
            (_, None) => {}
        }
        if let Some(stop) = new.stop_price {
            filters::check_price(spec, stop)?;
        }
        let condition = Condition::of(new).ok_or_else(|| match new.kind {
            OrderType::TrailingStopMarket => ApiError::mandatory("callbackRate"),
            _ => ApiError::mandatory("triggerPrice"),
        })?;
        if let Some(rate) = new.callback_rate
            && (rate < Decimal::new(1, 1) || rate > Decimal::new(10, 0))
        {
            return Err(ApiError::CALLBACK_RATE);
        }
        if self.would_trigger(symbol, new.working_type, condition) {
            return Err(ApiError::WOULD_TRIGGER);
        }
        if let Some(text) = new.client_order_id.as_deref() {
            filters::check_client_order_id(text)?;
            if self.algos.of(account).any(|algo| *algo.client_algo_id == *text && algo.status.is_waiting()) {
                return Err(ApiError::CLIENT_ID_DUPLICATED);
            }
        }
        if self.algos.open(account, symbol).count() >= spec.filters.max_algo_orders as usize {
            return Err(ApiError::MAX_STOP_ORDERS);
        }
        Ok(condition)
    }

    pub(super) fn cancel_algo(&mut self, account: AccountId, reference: &OrderRef) -> Result<Algo, ApiError> {
        let algo = self.algos.find(account, reference).filter(|algo| algo.status.is_waiting());
        let algo_id = algo.ok_or(ApiError::CANCEL_REJECTED)?.algo_id;
        self.end_algo(algo_id, AlgoStatus::Canceled).ok_or(ApiError::UNKNOWN)
    }

    pub(super) fn cancel_all_algos(&mut self, account: AccountId, symbol: &str) -> Result<(), ApiError> {
        let symbol = self.index_of(symbol)?;
        let open: Vec<u64> = self.algos.open(account, symbol).map(|algo| algo.algo_id).collect();
        for algo_id in open {
            self.end_algo(algo_id, AlgoStatus::Canceled);
        }
        Ok(())
    }

    pub(super) fn find_algo(&self, account: AccountId, reference: &OrderRef) -> Result<Algo, ApiError> {
        self.algos.find(account, reference).cloned().ok_or(ApiError::NO_SUCH_ORDER)
    }

    pub(super) fn find_waiting_algo(&self, algo_id: u64) -> bool {
        self.algos.all.get(&algo_id).is_some_and(|(_, algo)| algo.status.is_waiting())
    }

    /// Ends one that waits.
    pub(super) fn end_algo(&mut self, algo_id: u64, status: AlgoStatus) -> Option<Algo> {
        self.disarm(algo_id);
        self.change_algo(algo_id, |algo| algo.status = status)
    }

    /// Changes an algo, tells its owner, and files it when it is over.
    fn change_algo(&mut self, algo_id: u64, change: impl FnOnce(&mut Algo)) -> Option<Algo> {
        let now_ms = self.now_ms();
        let (_, algo) = self.algos.all.get_mut(&algo_id)?;
        change(algo);
        algo.update_time_ms = now_ms;
        let algo = algo.clone();
        self.outbox.push(Output::Algo(algo.account, algo.clone()));
        if !matches!(algo.status, AlgoStatus::New | AlgoStatus::Triggering | AlgoStatus::Triggered) {
            self.algos.ended.push_back(algo_id);
            if self.algos.ended.len() > self.config.history_limit
                && let Some(oldest) = self.algos.ended.pop_front()
            {
                self.algos.all.remove(&oldest);
            }
        }
        Some(algo)
    }

    /// The price is there: the algo places its order. That order's own reports come before `TRIGGERED`, as at the exchange.
    fn trigger_algo(&mut self, algo_id: u64) {
        let now_ms = self.now_ms();
        let triggering = self.change_algo(algo_id, |algo| {
            algo.status = AlgoStatus::Triggering;
            algo.trigger_time_ms = now_ms;
        });
        let Some(algo) = triggering else { return };
        match self.place_triggered(&algo) {
            Ok(order) => {
                self.change_algo(algo_id, |algo| {
                    algo.status = AlgoStatus::Triggered;
                    algo.order_id = order.order_id;
                });
                if !order.status.is_open() {
                    self.finish_algo(&order);
                }
            }
            Err(refusal) => {
                self.change_algo(algo_id, |algo| {
                    algo.status = AlgoStatus::Rejected;
                    algo.reason = refusal.msg.into_owned();
                });
            }
        }
    }

    /// The order of a triggered algo has ended.
    pub(super) fn finish_algo(&mut self, order: &Order) {
        let triggered =
            self.algos.all.get(&order.algo_id).is_some_and(|(_, algo)| {
                algo.status == AlgoStatus::Triggered && algo.order_id == order.order_id
            });
        if triggered {
            self.change_algo(order.algo_id, |algo| {
                algo.status = AlgoStatus::Finished;
                algo.average_price = order.average_price();
                algo.executed_quantity = order.executed_quantity;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect("a literal")
    }

    #[test]
    fn a_trailing_stop_sleeps_until_activated_and_then_follows_the_best_price() {
        let mut sell = Condition::Trailing {
            side: Side::Sell,
            callback: decimal("0.01"),
            activation: Some(decimal("100")),
            best: None,
        };
        // 99 is below the activation; 110 is the best from then on, and one percent below it is 108.9.
        for (price, fires) in [
            ("99", false),
            ("90", false),
            ("100", false),
            ("110", false),
            ("109", false),
            ("108.91", false),
            ("108.9", true),
        ] {
            assert_eq!(sell.meets(decimal(price)), fires, "{price}");
        }
        let mut buy =
            Condition::Trailing { side: Side::Buy, callback: decimal("0.02"), activation: None, best: None };
        for (price, fires) in [("100", false), ("50", false), ("50.99", false), ("51", true)] {
            assert_eq!(buy.meets(decimal(price)), fires, "{price}");
        }
    }

    #[test]
    fn stops_and_take_profits_wait_on_opposite_sides() {
        for (kind, side, condition) in [
            (OrderType::Stop, Side::Buy, Condition::AtOrAbove(decimal("5"))),
            (OrderType::StopMarket, Side::Sell, Condition::AtOrBelow(decimal("5"))),
            (OrderType::TakeProfit, Side::Sell, Condition::AtOrAbove(decimal("5"))),
            (OrderType::TakeProfitMarket, Side::Buy, Condition::AtOrBelow(decimal("5"))),
        ] {
            let new = NewOrder {
                kind,
                stop_price: Some(decimal("5")),
                ..NewOrder::market("BTCUSDT", side, Decimal::ONE)
            };
            assert_eq!(Condition::of(&new), Some(condition), "{kind} {side}");
        }
        assert_eq!(Condition::of(&NewOrder::market("BTCUSDT", Side::Buy, Decimal::ONE)), None);
    }
}
