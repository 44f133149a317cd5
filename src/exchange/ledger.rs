//! Who owns what: wallets, positions, fees, margin.
//!
//! Promises: every fill moves money between two parties and to the venue's fee pot, exactly: the sum over all accounts of (wallet change - position
//! cost) plus the pot is always zero. A position keeps its *cost* (signed sum of notional), not a rounded average, so that no rounding leaks;
//! entry prices are derived from it for display. Marks change nothing here: unrealised P&L is computed when asked for.

use super::api::{AccountId, AccountSpec, PositionSide, Side};
use super::decimal::Decimal;
use super::orders::SymbolIndex;

/// One position of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Signed.
    pub quantity: Decimal,
    /// Signed sum of notional that was paid for `quantity`.
    pub cost: Decimal,
    /// Since ever, before fees.
    pub realized: Decimal,
    /// Fees, and P&L with its sign turned, since the position was last flat: what a break-even has to earn back.
    pub burden: Decimal,
    pub update_time_ms: u64,
}

impl Holding {
    pub fn entry_price(&self) -> Decimal {
        self.cost.over(self.quantity)
    }

    pub fn break_even_price(&self) -> Decimal {
        (self.cost + self.burden).over(self.quantity)
    }

    pub fn notional(&self, mark: Decimal) -> Decimal {
        self.quantity.times(mark)
    }

    pub fn unrealized(&self, mark: Decimal) -> Decimal {
        self.notional(mark) - self.cost
    }
}

/// One account's money.
#[derive(Clone, Debug)]
pub struct Wallet {
    pub balance: Decimal,
    pub maker_fee: Decimal,
    pub taker_fee: Decimal,
    pub dual: bool,
    pub update_time_ms: u64,
    /// By symbol, then both, long, short.
    holdings: Vec<[Holding; 3]>,
    leverage: Vec<u32>,
}

/// What one fill did to one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booking {
    pub realized: Decimal,
    pub commission: Decimal,
}

/// The parts of a fill that booking needs.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    pub symbol: SymbolIndex,
    pub position_side: PositionSide,
    pub side: Side,
    pub quantity: Decimal,
    /// Price times quantity, computed once for both parties so that they cannot round apart.
    pub notional: Decimal,
    pub maker: bool,
    pub now_ms: u64,
}

pub struct Ledger {
    wallets: Vec<Wallet>,
    /// Every fee that was ever paid.
    pub fee_pot: Decimal,
}

impl Ledger {
    /// The house, which pays no fees and may owe, and then the configured accounts.
    pub fn new(accounts: &[AccountSpec], symbols: &[u32]) -> Ledger {
        let house = AccountSpec {
            balance: Decimal::ZERO,
            maker_fee: Decimal::ZERO,
            taker_fee: Decimal::ZERO,
            leverage: 1,
            others: Vec::new(),
        };
        let wallets = std::iter::once(&house)
            .chain(accounts)
            .map(|spec| Wallet {
                balance: spec.balance,
                maker_fee: spec.maker_fee,
                taker_fee: spec.taker_fee,
                dual: false,
                update_time_ms: 0,
                holdings: vec![[Holding::default(); 3]; symbols.len()],
                leverage: symbols.iter().map(|max| spec.leverage.clamp(1, *max)).collect(),
            })
            .collect();
        Ledger { wallets, fee_pot: Decimal::ZERO }
    }

    pub fn has(&self, account: AccountId) -> bool {
        usize::from(account.0) < self.wallets.len()
    }

    /// # Panics
    /// When there is no such account: callers have asked [`has`](Self::has), or hold an order of it.
    pub fn wallet(&self, account: AccountId) -> &Wallet {
        &self.wallets[usize::from(account.0)]
    }

    pub fn wallet_mut(&mut self, account: AccountId) -> &mut Wallet {
        &mut self.wallets[usize::from(account.0)]
    }

    /// The house first.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> + use<> {
        (0..self.wallets.len()).map(|index| AccountId(index as u16))
    }

    /// Moves money between two wallets; a negative amount the other way.
    pub fn transfer(&mut self, from: AccountId, to: AccountId, amount: Decimal, now_ms: u64) {
        self.wallet_mut(from).balance -= amount;
        let wallet = self.wallet_mut(to);
        wallet.balance += amount;
        wallet.update_time_ms = now_ms;
    }

    /// Books one side of a fill.
    pub fn book(&mut self, account: AccountId, fill: Fill) -> Booking {
        let wallet = &mut self.wallets[usize::from(account.0)];
        let rate = if fill.maker { wallet.maker_fee } else { wallet.taker_fee };
        let commission = fill.notional.times(rate);
        let holding = &mut wallet.holdings[fill.symbol.0][slot(fill.position_side)];
        let realized = trade(holding, fill.side, fill.quantity, fill.notional);
        holding.realized += realized;
        holding.burden += commission - realized;
        if holding.quantity.is_zero() {
            holding.burden = Decimal::ZERO;
        }
        holding.update_time_ms = fill.now_ms;
        wallet.balance += realized - commission;
        wallet.update_time_ms = fill.now_ms;
        self.fee_pot += commission;
        Booking { realized, commission }
    }
}

impl Wallet {
    pub fn holding(&self, symbol: SymbolIndex, side: PositionSide) -> &Holding {
        &self.holdings[symbol.0][slot(side)]
    }

    /// The position sides that exist in this account's mode.
    pub fn sides(&self) -> &'static [PositionSide] {
        if self.dual { &[PositionSide::Long, PositionSide::Short] } else { &[PositionSide::Both] }
    }

    pub fn leverage(&self, symbol: SymbolIndex) -> u32 {
        self.leverage[symbol.0]
    }

    pub fn set_leverage(&mut self, symbol: SymbolIndex, leverage: u32) {
        self.leverage[symbol.0] = leverage;
    }

    pub fn is_flat(&self) -> bool {
        self.holdings.iter().flatten().all(|holding| holding.quantity.is_zero())
    }
}

/// How much of an order of `side` would only close `holding`.
pub fn closable(holding: &Holding, side: Side) -> Decimal {
    match side {
        Side::Buy if holding.quantity.is_negative() => holding.quantity.abs(),
        Side::Sell if holding.quantity.is_positive() => holding.quantity,
        _ => Decimal::ZERO,
    }
}

/// Applies a trade and returns the realised P&L. Whatever rounding the proportional cost needs stays in the position, and comes out when it closes.
fn trade(holding: &mut Holding, side: Side, quantity: Decimal, notional: Decimal) -> Decimal {
    let (signed_quantity, signed_notional) = match side {
        Side::Buy => (quantity, notional),
        Side::Sell => (-quantity, -notional),
    };
    let closing = quantity.0.min(closable(holding, side).0);
    let before = holding.cost;
    holding.quantity += signed_quantity;
    if closing == 0 {
        holding.cost += signed_notional;
        return Decimal::ZERO;
    }
    if closing == quantity.0 {
        // Only closes: the part of the cost that belongs to what is left stays.
        let open_before = (holding.quantity - signed_quantity).0;
        holding.cost = before.ratio(holding.quantity.0, open_before);
    } else {
        // Closes all and opens the other way at this price.
        holding.cost = signed_notional.ratio(holding.quantity.0, signed_quantity.0);
    }
    holding.cost - before - signed_notional
}

const fn slot(side: PositionSide) -> usize {
    match side {
        PositionSide::Both => 0,
        PositionSide::Long => 1,
        PositionSide::Short => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect("a literal")
    }

    fn fill(side: Side, quantity: &str, price: &str) -> (Side, Decimal, Decimal) {
        (side, decimal(quantity), decimal(price).times(decimal(quantity)))
    }

    #[test]
    fn averaging_in_closing_in_part_and_turning_round_give_the_textbook_numbers() {
        let mut holding = Holding::default();
        let mut step = |(side, quantity, notional)| {
            let realized = trade(&mut holding, side, quantity, notional);
            (realized.to_string(), holding.quantity.to_string(), holding.entry_price().to_string())
        };
        let row = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(step(fill(Side::Buy, "1", "100")), row("0", "1", "100"));
        assert_eq!(step(fill(Side::Buy, "1", "110")), row("0", "2", "105"));
        assert_eq!(step(fill(Side::Sell, "0.5", "115")), row("5", "1.5", "105"));
        assert_eq!(step(fill(Side::Sell, "2.5", "100")), row("-7.5", "-1", "100"));
        assert_eq!(step(fill(Side::Buy, "1", "90")), row("10", "0", "0"));
    }

    #[test]
    fn fees_come_off_the_wallet_and_into_the_pot() {
        let mut ledger = Ledger::new(&[AccountSpec::default()], &[125]);
        let booking = ledger.book(
            AccountId(1),
            Fill {
                symbol: SymbolIndex(0),
                position_side: PositionSide::Both,
                side: Side::Buy,
                quantity: decimal("0.1"),
                notional: decimal("6000"),
                maker: false,
                now_ms: 7,
            },
        );
        assert_eq!(booking, Booking { realized: Decimal::ZERO, commission: decimal("3") });
        assert_eq!(ledger.wallet(AccountId(1)).balance, decimal("99997"));
        assert_eq!(ledger.fee_pot, decimal("3"));
        let holding = ledger.wallet(AccountId(1)).holding(SymbolIndex(0), PositionSide::Both);
        assert_eq!(holding.break_even_price(), decimal("60030"));
    }
}
