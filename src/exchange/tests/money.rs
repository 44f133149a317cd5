//! Money: what fills cost, what margin allows, and that nothing appears or is lost.

use super::Side::{Buy, Sell};
use super::*;
use proptest::prelude::*;

#[test]
fn a_round_trip_pays_maker_and_taker_fees_and_realises_the_difference() {
    let mut desk = Desk::quiet();
    desk.place(TWO, limit(Sell, "0.1", "60000")).expect("taken");
    desk.place(ONE, market(Buy, "0.1")).expect("taken");
    assert_eq!(desk.balance(ONE).wallet, d("99997"), "five in ten thousand of 6000");
    assert_eq!(desk.balance(TWO).wallet, d("99998.8"), "two in ten thousand of 6000");
    let position = desk.position(ONE);
    assert_eq!((position.quantity, position.entry_price), (d("0.1"), d("60000")));

    desk.place(TWO, limit(Buy, "0.1", "60100")).expect("taken");
    desk.place(ONE, market(Sell, "0.1")).expect("taken");
    assert_eq!(desk.balance(ONE).wallet, d("100003.995"), "10 won, 3 and 3.005 paid");
    let Ok(Reply::Trades(trades)) = desk.send(
        ONE,
        Command::UserTrades { symbol: "BTCUSDT".into(), order_id: None, window: Window::default() },
    ) else {
        panic!()
    };
    let shown: Vec<_> = trades.iter().map(|t| (t.price, t.realized_pnl, t.commission, t.maker)).collect();
    assert_eq!(shown, [(d("60000"), d("0"), d("3"), false), (d("60100"), d("10"), d("3.005"), false)]);
}

#[test]
fn margin_is_held_by_position_and_orders_and_released_by_cancel() {
    let mut desk = Desk::quiet();
    let order = desk.place(ONE, limit(Buy, "1", "60000")).expect("taken");
    let balance = desk.balance(ONE);
    assert_eq!((balance.open_order_initial_margin, balance.available), (d("3000"), d("97000")));
    desk.cancel(ONE, &order).expect("cancelled");
    assert_eq!(desk.balance(ONE).available, d("100000"));
    // 20 times 100000 buys 33.333 at 60000, and not a lot more.
    desk.place(ONE, limit(Buy, "33.333", "60000")).expect("taken");
    assert_eq!(desk.refusal(ONE, limit(Buy, "0.01", "60000")), -2019);
    desk.place(ONE, limit(Sell, "32", "61000")).expect("the smaller side is free");
}

#[test]
fn leverage_sets_margin_and_is_bounded_by_the_instrument_and_by_what_is_held() {
    let mut desk = Desk::quiet();
    let lever = |leverage| Command::SetLeverage { symbol: "BTCUSDT".into(), leverage };
    assert_eq!(desk.send(ONE, lever(126)).expect_err("refused").code, -4028);
    assert_eq!(desk.send(ONE, lever(0)).expect_err("refused").code, -4028);
    desk.place(ONE, limit(Buy, "10", "60000")).expect("taken");
    assert_eq!(desk.send(ONE, lever(5)).expect_err("refused").code, -2019);
    assert_eq!(desk.send(ONE, lever(125)).expect_err("refused").code, -2027);
    assert!(matches!(desk.send(ONE, lever(10)), Ok(Reply::Leverage { leverage: 10, .. })));
    assert_eq!(desk.balance(ONE).initial_margin, d("60000"));
    desk.send(TWO, lever(125)).expect("nothing held");
    assert_eq!(desk.refusal(TWO, limit(Buy, "10", "60000")), -2027, "600 000 is too much at 125 times");
}

#[test]
fn unrealised_profit_follows_the_mark_and_counts_as_margin() {
    let mut desk = Desk::quiet();
    desk.place(TWO, limit(Sell, "1", "60000")).expect("taken");
    desk.place(ONE, market(Buy, "1")).expect("taken");
    desk.place(TWO, limit(Buy, "0.1", "60990")).expect("taken");
    desk.place(TWO, limit(Sell, "0.1", "61010")).expect("taken");
    let position = desk.position(ONE);
    assert_eq!((position.mark_price, position.unrealized_pnl), (d("61000"), d("1000")));
    let balance = desk.balance(ONE);
    assert_eq!(balance.margin, balance.wallet + d("1000"));
    assert_eq!(balance.available, balance.margin - d("3050"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Agents are account 0. Wallets, position costs and fees of everybody always sum to the start.
    #[test]
    fn nothing_appears_and_nothing_is_lost(
        seed in any::<u64>(),
        moves in prop::collection::vec((0..2u16, 0..5u8, any::<bool>(), 1..400i64, -30..30i64), 1..60),
    ) {
        let mut desk = Desk::with(|config| {
            config.market = MarketConfig::Agents(AgentsConfig { seed, ..AgentsConfig::default() });
        });
        for (account, kind, buys, lots, ticks) in moves {
            let account = AccountId(account + 1);
            let side = if buys { Buy } else { Sell };
            let quantity = Decimal::new(lots, 3);
            let touch = desk.exchange.book_ticker(desk.now, "BTCUSDT").expect("a book").bid.0;
            let order = NewOrder::limit("BTCUSDT", side, quantity, Decimal(touch.0 + ticks * 10_000_000));
            let _ = match kind {
                0 => desk.send(account, Command::Place(NewOrder::market("BTCUSDT", side, quantity))),
                1 => desk.send(account, Command::Place(reduce(NewOrder::market("BTCUSDT", side, quantity)))),
                2 => desk.send(account, Command::CancelAll { symbol: "BTCUSDT".into() }),
                _ => desk.send(account, Command::Place(order)),
            };
            desk.now += 200 * MS;
            desk.exchange.advance(desk.now, &mut |_| {});

            let ledger = &desk.exchange.ledger;
            let index = crate::exchange::orders::SymbolIndex(0);
            let holdings = || ledger.accounts().map(|id| *ledger.wallet(id).holding(index, PositionSide::Both));
            let quantity: Decimal = holdings().map(|holding| holding.quantity).sum();
            let cost: Decimal = holdings().map(|holding| holding.cost).sum();
            let wallets: Decimal = ledger.accounts().map(|id| ledger.wallet(id).balance).sum();
            prop_assert_eq!(quantity, Decimal::ZERO);
            prop_assert_eq!(wallets - d("200000") + ledger.fee_pot, cost);
        }
    }
}
