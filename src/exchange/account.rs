//! Questions about an account, and its settings: what the exchange's account endpoints show, computed when asked.
//!
//! Margin is cross, in one asset. Per symbol the exposure is the larger of what would be held if all bids filled and if all asks did
//! (reduce-only orders left out); initial margin is exposure over leverage. Hedge mode adds up its two sides.

use super::api::*;
use super::decimal::Decimal;
use super::engine::Exchange;
use super::error::ApiError;
use super::orders::SymbolIndex;

/// Greatest notional that an account may hold at a leverage: (leverage from, notional in quote).
const LEVERAGE_TIERS: &[(u32, i64)] = &[
    (101, 300_000),
    (51, 800_000),
    (26, 3_000_000),
    (21, 12_000_000),
    (11, 70_000_000),
    (6, 100_000_000),
    (5, 230_000_000),
    (1, 1_800_000_000),
];

const DEFAULT_ROWS: u32 = 500;
const MOST_ROWS: u32 = 1_000;

/// One symbol's share of an account's margin.
#[derive(Clone, Copy, Debug, Default)]
pub struct SymbolMargin {
    pub exposure: Decimal,
    pub initial: Decimal,
    pub position_initial: Decimal,
    pub maintenance: Decimal,
    pub bid_notional: Decimal,
    pub ask_notional: Decimal,
}

impl Exchange {
    /// Everything that only looks. Commands that change something do not come here.
    pub(super) fn answer(&self, account: AccountId, query: Command) -> Result<Reply, ApiError> {
        match query {
            Command::QueryOrder { symbol, order } => {
                let symbol = self.index_of(&symbol)?;
                let found = self.orders.find(account, symbol, &order).ok_or(ApiError::NO_SUCH_ORDER)?;
                Ok(Reply::Order(found.clone()))
            }
            Command::QueryOpenOrder { symbol, order } => {
                let symbol = self.index_of(&symbol)?;
                let found = self.orders.find_open(account, symbol, &order).ok_or(ApiError::NO_SUCH_ORDER)?;
                Ok(Reply::Order(found.clone()))
            }
            Command::OpenOrders { symbol: Some(symbol) } => {
                let symbol = self.index_of(&symbol)?;
                Ok(Reply::Orders(self.orders.open(account, symbol).cloned().collect()))
            }
            Command::OpenOrders { symbol: None } => {
                Ok(Reply::Orders(self.orders.all_open(account).cloned().collect()))
            }
            Command::AllOrders { symbol, window } => {
                let symbol = self.index_of(&symbol)?;
                let rows = self.orders.history(account, symbol);
                Ok(Reply::Orders(cut(rows, window, |order| (order.order_id, order.time_ms))))
            }
            Command::UserTrades { symbol, order_id, window } => {
                self.index_of(&symbol)?;
                let rows =
                    self.trades.get(&account).into_iter().flatten().filter(|trade| {
                        trade.symbol == symbol && order_id.is_none_or(|id| id == trade.order_id)
                    });
                Ok(Reply::Trades(cut(rows, window, |trade| (trade.trade_id, trade.time_ms))))
            }
            Command::Account => Ok(Reply::Account(self.account(account))),
            Command::Balances => Ok(Reply::Balances(self.account(account).assets)),
            Command::PositionRisk { symbol } => {
                let only = symbol.map(|symbol| self.index_of(&symbol)).transpose()?;
                Ok(Reply::Positions(self.positions(account, only)))
            }
            Command::QueryAlgo { algo } => self.find_algo(account, &algo).map(Reply::Algo),
            Command::OpenAlgos { symbol } => {
                let only = symbol.map(|symbol| self.index_of(&symbol).map(|_| symbol)).transpose()?;
                let waits = |algo: &&Algo| {
                    algo.status.is_waiting()
                        && only.as_ref().is_none_or(|symbol| algo.order.symbol == *symbol)
                };
                Ok(Reply::Algos(self.algos.of(account).filter(waits).cloned().collect()))
            }
            Command::AllAlgos { symbol, window } => {
                self.index_of(&symbol)?;
                let rows = self.algos.of(account).filter(|algo| algo.order.symbol == symbol);
                Ok(Reply::Algos(cut(rows, window, |algo| (algo.algo_id, algo.time_ms))))
            }
            Command::Income { symbol, kind, window } => {
                let rows = self.incomes.get(&account).into_iter().flatten().filter(|income| {
                    symbol.as_ref().is_none_or(|symbol| income.symbol == *symbol)
                        && kind.is_none_or(|kind| income.kind == kind)
                });
                Ok(Reply::Income(cut(rows, window, |income| (income.transaction_id, income.time_ms))))
            }
            Command::ForceOrders { symbol, window } => {
                let only = symbol.map(|symbol| self.index_of(&symbol)).transpose()?;
                let all = self.instruments.iter().map(|instrument| instrument.index);
                let wanted = all.filter(|index| only.is_none_or(|only| only == *index));
                let rows: Vec<&Order> = wanted
                    .flat_map(|index| self.orders.history(account, index))
                    .filter(|order| order.is_liquidation())
                    .collect();
                Ok(Reply::Orders(cut(rows.into_iter(), window, |order| (order.order_id, order.time_ms))))
            }
            Command::Funds => Ok(Reply::Funds(self.funds(account))),
            Command::PositionMode => Ok(Reply::PositionMode { dual: self.ledger.wallet(account).dual }),
            Command::CommissionRate { symbol } => {
                let spec = &self.instruments[self.index_of(&symbol)?.0].spec;
                let wallet = self.ledger.wallet(account);
                let (maker, taker) = match spec.product {
                    Product::Spot => self.purses.fees(account),
                    Product::UsdmPerpetual => (wallet.maker_fee, wallet.taker_fee),
                };
                Ok(Reply::CommissionRate { symbol: spec.symbol.clone(), maker, taker })
            }
            Command::Place(_)
            | Command::Test(_)
            | Command::Amend { .. }
            | Command::PlaceAlgo(_)
            | Command::CancelAlgo { .. }
            | Command::CancelAllAlgos { .. }
            | Command::CountdownCancelAll { .. }
            | Command::Modify(_)
            | Command::Cancel { .. }
            | Command::CancelAll { .. }
            | Command::SetLeverage { .. }
            | Command::SetPositionMode { .. } => Err(ApiError::UNKNOWN),
        }
    }

    pub(super) fn set_leverage(
        &mut self,
        account: AccountId,
        symbol: &str,
        leverage: u32,
    ) -> Result<Reply, ApiError> {
        let symbol = self.index_of(symbol)?;
        let spec = &self.instruments[symbol.0].spec;
        if leverage == 0 || leverage > spec.max_leverage {
            return Err(ApiError::leverage_invalid(leverage));
        }
        let name = spec.symbol.clone();
        let before = self.ledger.wallet(account).leverage(symbol);
        self.ledger.wallet_mut(account).set_leverage(symbol, leverage);
        let margin = self.margin(account, symbol, None, None);
        let refusal = if margin.exposure > self.max_notional(account, symbol) {
            Some(ApiError::MAX_LEVERAGE_EXCEEDED)
        } else if leverage < before && self.total_initial_margin(account) > self.equity(account) {
            Some(ApiError::MARGIN_INSUFFICIENT)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.ledger.wallet_mut(account).set_leverage(symbol, before);
            return Err(refusal);
        }
        Ok(Reply::Leverage { symbol: name, leverage, max_notional: self.max_notional(account, symbol) })
    }

    pub(super) fn set_position_mode(&mut self, account: AccountId, dual: bool) -> Result<Reply, ApiError> {
        let wallet = self.ledger.wallet(account);
        if wallet.dual == dual {
            return Err(ApiError::POSITION_SIDE_UNCHANGED);
        }
        if self.orders.all_open(account).next().is_some() {
            return Err(ApiError::POSITION_MODE_OPEN_ORDERS);
        }
        if !wallet.is_flat() {
            return Err(ApiError::POSITION_MODE_QUANTITY);
        }
        self.ledger.wallet_mut(account).dual = dual;
        Ok(Reply::PositionModeSet)
    }

    /// Margin of one symbol, without order `skip` and with `extra` notional (position side, order side) on top.
    pub(super) fn margin(
        &self,
        account: AccountId,
        symbol: SymbolIndex,
        skip: Option<u64>,
        extra: Option<(PositionSide, Side, Decimal)>,
    ) -> SymbolMargin {
        let wallet = self.ledger.wallet(account);
        let sides = wallet.sides();
        let mut sum = SymbolMargin::default();
        for side in sides {
            let one = self.side_margin(account, symbol, *side, skip, extra);
            sum.exposure += one.exposure;
            sum.initial += one.initial;
            sum.position_initial += one.position_initial;
            sum.maintenance += one.maintenance;
            sum.bid_notional += one.bid_notional;
            sum.ask_notional += one.ask_notional;
        }
        sum
    }

    pub(super) fn total_initial_margin(&self, account: AccountId) -> Decimal {
        self.instruments
            .iter()
            .map(|instrument| self.margin(account, instrument.index, None, None).initial)
            .sum()
    }

    /// Wallet and unrealised P&L.
    pub(super) fn equity(&self, account: AccountId) -> Decimal {
        self.ledger.wallet(account).balance + self.unrealized(account)
    }

    pub(super) fn max_notional(&self, account: AccountId, symbol: SymbolIndex) -> Decimal {
        let leverage = self.ledger.wallet(account).leverage(symbol);
        let tier = LEVERAGE_TIERS.iter().find(|(from, _)| leverage >= *from);
        Decimal::new(tier.map_or(0, |(_, notional)| *notional), 0)
    }

    fn side_margin(
        &self,
        account: AccountId,
        symbol: SymbolIndex,
        on: PositionSide,
        skip: Option<u64>,
        extra: Option<(PositionSide, Side, Decimal)>,
    ) -> SymbolMargin {
        let wallet = self.ledger.wallet(account);
        let instrument = &self.instruments[symbol.0];
        let (mut bids, mut asks) = (Decimal::ZERO, Decimal::ZERO);
        let open = self
            .orders
            .open(account, symbol)
            .filter(|order| order.position_side == on && !order.reduce_only && Some(order.order_id) != skip)
            .map(|order| (order.side, order.price.times(order.leaves_quantity())));
        let extra = extra.filter(|(side, _, _)| *side == on).map(|(_, side, notional)| (side, notional));
        for (side, notional) in open.chain(extra) {
            match side {
                Side::Buy => bids += notional,
                Side::Sell => asks += notional,
            }
        }
        let position = wallet.holding(symbol, on).notional(instrument.mark());
        let exposure = (position + bids).abs().max((position - asks).abs());
        let leverage = i64::from(wallet.leverage(symbol));
        SymbolMargin {
            exposure,
            initial: exposure.ratio(1, leverage),
            position_initial: position.abs().ratio(1, leverage),
            maintenance: position.abs().times(instrument.spec.maintenance_margin),
            bid_notional: bids,
            ask_notional: asks,
        }
    }

    /// What open orders hold of an asset on spot: the money of bids, the coins of asks.
    pub(super) fn locked(&self, account: AccountId, asset: &str) -> Decimal {
        let held = |order: &Order| {
            let Some(symbol) = self.symbol_index(&order.symbol) else { return Decimal::ZERO };
            let spec = &self.instruments[symbol.0].spec;
            let price = if order.price.is_positive() { order.price } else { order.stop_price };
            match order.side {
                Side::Buy if *spec.quote_asset == *asset => price.times(order.leaves_quantity()),
                Side::Sell if *spec.base_asset == *asset => order.leaves_quantity(),
                _ => Decimal::ZERO,
            }
        };
        self.orders.all_open(account).map(held).sum()
    }

    /// What new orders can use of an asset on spot.
    pub(super) fn free(&self, account: AccountId, asset: &str) -> Decimal {
        self.purses.balance(account, asset) - self.locked(account, asset)
    }

    fn funds(&self, account: AccountId) -> Funds {
        let (maker_fee, taker_fee) = self.purses.fees(account);
        let purse = |(asset, amount): (&Symbol, Decimal)| {
            let locked = self.locked(account, asset);
            Purse { asset: asset.clone(), free: amount - locked, locked }
        };
        Funds {
            balances: self.purses.of(account).map(purse).collect(),
            maker_fee,
            taker_fee,
            update_time_ms: self.purses.updated_ms(account),
        }
    }

    fn unrealized(&self, account: AccountId) -> Decimal {
        let wallet = self.ledger.wallet(account);
        self.instruments
            .iter()
            .flat_map(|instrument| wallet.sides().iter().map(move |side| (instrument, side)))
            .map(|(instrument, side)| wallet.holding(instrument.index, *side).unrealized(instrument.mark()))
            .sum()
    }

    fn account(&self, account: AccountId) -> Account {
        let wallet = self.ledger.wallet(account);
        let mut total = SymbolMargin::default();
        for instrument in &self.instruments {
            let one = self.margin(account, instrument.index, None, None);
            total.initial += one.initial;
            total.position_initial += one.position_initial;
            total.maintenance += one.maintenance;
        }
        let unrealized = self.unrealized(account);
        let margin = wallet.balance + unrealized;
        let available = (margin - total.initial).max(Decimal::ZERO);
        let balance = Balance {
            asset: self.instruments[0].spec.margin_asset.clone(),
            wallet: wallet.balance,
            unrealized_pnl: unrealized,
            margin,
            initial_margin: total.initial,
            position_initial_margin: total.position_initial,
            open_order_initial_margin: total.initial - total.position_initial,
            maintenance_margin: total.maintenance,
            available,
            max_withdraw: available.min(wallet.balance).max(Decimal::ZERO),
            update_time_ms: wallet.update_time_ms,
        };
        Account {
            assets: vec![balance],
            positions: self.positions(account, None),
            dual_side_position: wallet.dual,
            update_time_ms: wallet.update_time_ms,
        }
    }

    fn positions(&self, account: AccountId, only: Option<SymbolIndex>) -> Vec<Position> {
        let wallet = self.ledger.wallet(account);
        let mut positions = Vec::new();
        for instrument in
            self.instruments.iter().filter(|instrument| only.is_none_or(|index| index == instrument.index))
        {
            let symbol = instrument.index;
            let mark = instrument.mark();
            for side in wallet.sides() {
                let holding = wallet.holding(symbol, *side);
                let margin = self.side_margin(account, symbol, *side, None, None);
                positions.push(Position {
                    symbol: instrument.spec.symbol.clone(),
                    position_side: *side,
                    quantity: holding.quantity,
                    entry_price: holding.entry_price(),
                    break_even_price: holding.break_even_price(),
                    mark_price: mark,
                    unrealized_pnl: holding.unrealized(mark),
                    notional: holding.notional(mark),
                    leverage: wallet.leverage(symbol),
                    max_notional: self.max_notional(account, symbol),
                    initial_margin: margin.initial,
                    position_initial_margin: margin.position_initial,
                    open_order_initial_margin: margin.initial - margin.position_initial,
                    maintenance_margin: margin.maintenance,
                    bid_notional: margin.bid_notional,
                    ask_notional: margin.ask_notional,
                    liquidation_price: self.liquidation_price(account, symbol, *side),
                    update_time_ms: holding.update_time_ms,
                    has_open_orders: self
                        .orders
                        .open(account, symbol)
                        .any(|order| order.position_side == *side),
                });
            }
        }
        positions
    }
}

/// The rows of a history that a window means: by id or from a start time, oldest first; else the newest ones.
fn cut<'a, T: Clone + 'a>(
    rows: impl Iterator<Item = &'a T>,
    window: Window,
    key: impl Fn(&T) -> (u64, u64),
) -> Vec<T> {
    let limit = window.limit.unwrap_or(DEFAULT_ROWS).min(MOST_ROWS) as usize;
    let inside: Vec<&T> = rows
        .filter(|row| {
            let (id, time_ms) = key(row);
            window.from_id.is_none_or(|from| id >= from)
                && window.start_ms.is_none_or(|start| time_ms >= start)
                && window.end_ms.is_none_or(|end| time_ms <= end)
        })
        .collect();
    let anchored = window.from_id.is_some() || window.start_ms.is_some();
    let skip = if anchored { 0 } else { inside.len().saturating_sub(limit) };
    inside.into_iter().skip(skip).take(limit).cloned().collect()
}
