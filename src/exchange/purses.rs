//! Who owns what on spot: balances by asset, and fees taken from what a fill brings.
//!
//! Promise: a fill moves base one way and quote the other, exactly, and fees into the venue's pot: per asset, the sum over all accounts and the
//! pot never changes. What open orders lock is not kept here: it follows from the orders themselves.

use std::collections::BTreeMap;

use super::api::{AccountId, AccountSpec, Side, Symbol};
use super::decimal::Decimal;

/// The parts of a spot fill that booking needs.
#[derive(Clone, Debug)]
pub struct Exchanged {
    pub side: Side,
    pub base: Symbol,
    pub quote: Symbol,
    pub quantity: Decimal,
    pub notional: Decimal,
    pub maker: bool,
    pub now_ms: u64,
}

pub struct Purses {
    balances: BTreeMap<(AccountId, Symbol), Decimal>,
    /// Maker and taker, by account; the house, which is first, pays none.
    fees: Vec<(Decimal, Decimal)>,
    updated_ms: Vec<u64>,
    /// Every fee that was ever paid.
    pub fee_pot: BTreeMap<Symbol, Decimal>,
}

impl Purses {
    pub fn new(accounts: &[AccountSpec], quote: &Symbol) -> Purses {
        let mut balances = BTreeMap::new();
        for (at, account) in accounts.iter().enumerate() {
            let id = AccountId(at as u16 + 1);
            balances.insert((id, quote.clone()), account.balance);
            for (asset, amount) in &account.others {
                *balances.entry((id, asset.clone())).or_default() += *amount;
            }
        }
        let none = (Decimal::ZERO, Decimal::ZERO);
        let fees = accounts.iter().map(|account| (account.maker_fee, account.taker_fee));
        Purses {
            balances,
            fees: std::iter::once(none).chain(fees).collect(),
            updated_ms: vec![0; accounts.len() + 1],
            fee_pot: BTreeMap::new(),
        }
    }

    pub fn balance(&self, account: AccountId, asset: &str) -> Decimal {
        self.balances.get(&(account, asset.into())).copied().unwrap_or_default()
    }

    /// Every asset that the account has or had, by name.
    pub fn of(&self, account: AccountId) -> impl Iterator<Item = (&Symbol, Decimal)> {
        self.balances
            .iter()
            .filter(move |((owner, _), _)| *owner == account)
            .map(|((_, asset), amount)| (asset, *amount))
    }

    pub fn fees(&self, account: AccountId) -> (Decimal, Decimal) {
        self.fees.get(usize::from(account.0)).copied().unwrap_or_default()
    }

    pub fn updated_ms(&self, account: AccountId) -> u64 {
        self.updated_ms.get(usize::from(account.0)).copied().unwrap_or(0)
    }

    /// Books one side of a fill; answers with the fee and its asset: that of what was received.
    pub fn book(&mut self, account: AccountId, fill: &Exchanged) -> (Decimal, Symbol) {
        let (given, paid, got, received) = match fill.side {
            Side::Buy => (&fill.quote, fill.notional, &fill.base, fill.quantity),
            Side::Sell => (&fill.base, fill.quantity, &fill.quote, fill.notional),
        };
        let (maker, taker) = self.fees(account);
        let commission = received.times(if fill.maker { maker } else { taker });
        *self.balances.entry((account, given.clone())).or_default() -= paid;
        *self.balances.entry((account, got.clone())).or_default() += received - commission;
        *self.fee_pot.entry(got.clone()).or_default() += commission;
        if let Some(updated) = self.updated_ms.get_mut(usize::from(account.0)) {
            *updated = fill.now_ms;
        }
        (commission, got.clone())
    }

    #[cfg(test)]
    pub fn total(&self, asset: &str) -> Decimal {
        let held: Decimal =
            self.balances.iter().filter(|((_, of), _)| &**of == asset).map(|(_, amount)| *amount).sum();
        held + self.fee_pot.get(asset).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect("a literal")
    }

    #[test]
    fn a_buyer_pays_its_fee_in_coins_and_a_seller_in_money() {
        let quote: Symbol = "USDT".into();
        let mut purses = Purses::new(&[AccountSpec::spot(), AccountSpec::spot()], &quote);
        let before = (purses.total("USDT"), purses.total("BTC"));
        let fill = |side, maker| Exchanged {
            side,
            base: "BTC".into(),
            quote: quote.clone(),
            quantity: decimal("0.1"),
            notional: decimal("6000"),
            maker,
            now_ms: 7,
        };
        assert_eq!(purses.book(AccountId(1), &fill(Side::Buy, false)), (decimal("0.0001"), "BTC".into()));
        assert_eq!(purses.book(AccountId(2), &fill(Side::Sell, true)), (decimal("6"), "USDT".into()));
        assert_eq!(purses.balance(AccountId(1), "USDT"), decimal("94000"));
        assert_eq!(purses.balance(AccountId(1), "BTC"), decimal("10.0999"));
        assert_eq!(purses.balance(AccountId(2), "USDT"), decimal("105994"));
        assert_eq!((purses.total("USDT"), purses.total("BTC")), before);
    }
}
