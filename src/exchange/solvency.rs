//! Money that moves without a trade between clients: funding, and liquidation when an account's margin is gone.
//!
//! **Funding**: at each funding time every position pays `notional at mark * rate` (a short receives what a long pays; a negative rate turns it
//! round). The house takes the other side of everybody, so nothing appears or is lost ("Introduction to funding rates").
//!
//! **Liquidation**: when wallet plus unrealised P&L falls below the maintenance margin of all positions, the venue cancels the account's orders and
//! closes its positions with orders named `autoclose-...` whose fills are reported as `CALCULATED`. What the book does not take within its bound
//! goes to the house at the mark price. A liquidation fee goes to the house; a debt is paid by it (`INSURANCE_CLEAR`).

use super::api::*;
use super::decimal::Decimal;
use super::engine::Exchange;
use super::matching::{ExpireReason, Taker};
use super::orders::SymbolIndex;

/// `liquidationFee` of `exchangeInfo`.
pub const LIQUIDATION_FEE: Decimal = Decimal::new(125, 4);
/// The beginning of a liquidation order's client id.
pub const AUTOCLOSE: &str = "autoclose-";
const FUNDINGS_KEPT: usize = 1_000;

impl Exchange {
    // -------------------------------------------------------------------------------------------- funding

    /// Every position of every account pays or receives, at the marks of this moment.
    pub(super) fn fund(&mut self) {
        let now_ms = self.now_ms();
        let rate = self.config.funding_rate;
        for at in 0..self.instruments.len() {
            let symbol = SymbolIndex(at);
            let mark = self.instruments[at].mark();
            let name = self.instruments[at].spec.symbol.clone();
            let funding = Funding { symbol: name, rate, time_ms: now_ms, mark_price: mark };
            let fundings = &mut self.instruments[at].tape.fundings;
            fundings.push_back(funding);
            if fundings.len() > FUNDINGS_KEPT {
                fundings.pop_front();
            }
            for account in self.clients() {
                for side in self.ledger.wallet(account).sides() {
                    let holding = *self.ledger.wallet(account).holding(symbol, *side);
                    if holding.quantity.is_zero() {
                        continue;
                    }
                    let amount = -holding.notional(mark).times(rate);
                    self.move_money(account, symbol, IncomeKind::FundingFee, amount);
                }
            }
        }
    }

    /// Between an account and the house, told to the account.
    fn move_money(&mut self, account: AccountId, symbol: SymbolIndex, kind: IncomeKind, amount: Decimal) {
        let now_ms = self.now_ms();
        self.ledger.transfer(AccountId::HOUSE, account, amount, now_ms);
        self.remember_income(account, symbol, kind, amount, 0);
        let reason = match kind {
            IncomeKind::FundingFee => AccountUpdateReason::FundingFee,
            _ => AccountUpdateReason::InsuranceClear,
        };
        let update = AccountUpdate {
            event_time_ms: now_ms,
            transaction_time_ms: now_ms,
            reason,
            balances: vec![BalanceUpdate {
                asset: self.instruments[symbol.0].spec.margin_asset.clone(),
                wallet: self.ledger.wallet(account).balance,
                change: amount,
                locked: Decimal::ZERO,
            }],
            positions: Vec::new(),
        };
        self.outbox.push(Output::Account(account, update));
    }

    pub(super) fn remember_income(
        &mut self,
        account: AccountId,
        symbol: SymbolIndex,
        kind: IncomeKind,
        amount: Decimal,
        trade_id: u64,
    ) {
        self.last_transaction_id += 1;
        let spec = &self.instruments[symbol.0].spec;
        let income = Income {
            symbol: spec.symbol.clone(),
            kind,
            amount,
            asset: spec.margin_asset.clone(),
            transaction_id: self.last_transaction_id,
            trade_id,
            time_ms: self.now_ms(),
        };
        let incomes = self.incomes.entry(account).or_default();
        incomes.push_back(income);
        if incomes.len() > self.config.history_limit {
            incomes.pop_front();
        }
    }

    // -------------------------------------------------------------------------------------------- liquidation

    /// Liquidates the first account that is due; false when none is.
    pub(super) fn liquidate_one(&mut self) -> bool {
        let due = self.clients().find(|account| {
            !self.ledger.wallet(*account).is_flat()
                && self.equity(*account) < self.maintenance_margin(*account)
        });
        match due {
            Some(account) => {
                self.liquidate(account);
                true
            }
            None => false,
        }
    }

    pub(super) fn maintenance_margin(&self, account: AccountId) -> Decimal {
        let wallet = self.ledger.wallet(account);
        let of = |instrument: &super::instrument::Instrument| -> Decimal {
            let mark = instrument.mark();
            let held: Decimal = wallet
                .sides()
                .iter()
                .map(|side| wallet.holding(instrument.index, *side).notional(mark).abs())
                .sum();
            held.times(instrument.spec.maintenance_margin)
        };
        self.instruments.iter().map(of).sum()
    }

    /// The mark at which the account would be due, were this position's mark the only one to move; zero when there is none.
    pub(super) fn liquidation_price(
        &self,
        account: AccountId,
        symbol: SymbolIndex,
        on: PositionSide,
    ) -> Decimal {
        let instrument = &self.instruments[symbol.0];
        let holding = self.ledger.wallet(account).holding(symbol, on);
        if holding.quantity.is_zero() {
            return Decimal::ZERO;
        }
        let mark = instrument.mark();
        let rate = instrument.spec.maintenance_margin;
        // What is there besides this position: equity and maintenance of the rest.
        let rest = self.equity(account)
            - holding.unrealized(mark)
            - (self.maintenance_margin(account) - holding.notional(mark).abs().times(rate));
        // rest + q*p - cost = rate*|q|*p, solved for p.
        let price = (holding.cost - rest).over(holding.quantity - holding.quantity.abs().times(rate));
        price.max(Decimal::ZERO).floor_to(instrument.spec.filters.tick_size)
    }

    fn liquidate(&mut self, account: AccountId) {
        let open: Vec<(u64, Symbol)> =
            self.orders.all_open(account).map(|order| (order.order_id, order.symbol.clone())).collect();
        for (order_id, symbol) in open {
            self.end(order_id, OrderStatus::Canceled, ExecutionType::Canceled, ExpireReason::None);
            if let Some(symbol) = self.symbol_index(&symbol) {
                self.publish(symbol);
            }
        }
        for at in 0..self.instruments.len() {
            for side in self.ledger.wallet(account).sides() {
                if !self.ledger.wallet(account).holding(SymbolIndex(at), *side).quantity.is_zero() {
                    self.close_out(account, SymbolIndex(at), *side);
                }
            }
        }
    }

    /// Closes one position, whatever the book has.
    fn close_out(&mut self, account: AccountId, symbol: SymbolIndex, on: PositionSide) {
        let now_ms = self.now_ms();
        let mark = self.instruments[symbol.0].mark();
        let held = self.ledger.wallet(account).holding(symbol, on).quantity;
        let side = if held.is_positive() { Side::Sell } else { Side::Buy };
        let limit = self.take_bound(symbol, side).floor_to(self.instruments[symbol.0].spec.filters.tick_size);
        let order_id = self.orders.next_id();
        let order = Order {
            account,
            symbol: self.instruments[symbol.0].spec.symbol.clone(),
            order_id,
            client_order_id: format!("{AUTOCLOSE}{now_ms}{:05}", order_id % 100_000).into(),
            status: OrderStatus::New,
            side,
            position_side: on,
            kind: OrderType::Limit,
            original_kind: OrderType::Limit,
            time_in_force: TimeInForce::Ioc,
            price: limit,
            original_quantity: held.abs(),
            reduce_only: true,
            time_ms: now_ms,
            update_time_ms: now_ms,
            working_time_ms: now_ms,
            ..Order::empty()
        };
        self.orders.insert(symbol, order);
        self.report(order_id, ExecutionType::New, ExpireReason::None);
        let taker = Taker {
            order_id,
            account,
            side,
            position_side: on,
            leaves: held.abs(),
            limit,
            reduce_only: true,
            self_trade_prevention: SelfTradePrevention::None,
        };
        self.take(symbol, taker);
        let left = self.ledger.wallet(account).holding(symbol, on).quantity.abs();
        if left.is_positive() {
            self.take_over(symbol, order_id, mark, left);
        }
        self.publish(symbol);
        if let Some(order) = self.orders.by_id(order_id).cloned() {
            let fee = order.cumulative_quote.times(LIQUIDATION_FEE);
            let wallet = self.ledger.wallet(account).balance;
            let amount = if wallet.is_negative() { -wallet } else { -fee.min(wallet) };
            if !amount.is_zero() {
                self.move_money(account, symbol, IncomeKind::InsuranceClear, amount);
            }
            self.outbox.push(Output::ForceOrder(order));
        }
    }
}

impl Order {
    /// Nothing yet: for orders that the venue itself makes.
    fn empty() -> Order {
        Order {
            account: AccountId::HOUSE,
            symbol: "".into(),
            order_id: 0,
            client_order_id: "".into(),
            status: OrderStatus::New,
            side: Side::Buy,
            position_side: PositionSide::Both,
            kind: OrderType::Limit,
            original_kind: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Decimal::ZERO,
            stop_price: Decimal::ZERO,
            original_quantity: Decimal::ZERO,
            quote_quantity: Decimal::ZERO,
            executed_quantity: Decimal::ZERO,
            cumulative_quote: Decimal::ZERO,
            reduce_only: false,
            close_position: false,
            working_type: WorkingType::ContractPrice,
            price_protect: false,
            self_trade_prevention: SelfTradePrevention::None,
            good_till_date_ms: 0,
            modifications: 0,
            armed: false,
            algo_id: 0,
            renamed_from: None,
            working_time_ms: 0,
            time_ms: 0,
            update_time_ms: 0,
        }
    }

    pub fn is_liquidation(&self) -> bool {
        self.client_order_id.starts_with(AUTOCLOSE)
    }
}
