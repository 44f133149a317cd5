//! Spot: what an order locks, what a fill moves, spot's own orders, and that no asset appears or is lost.

use super::Side::{Buy, Sell};
use super::*;
use proptest::prelude::*;

fn spot() -> Desk {
    Desk::with(|config| {
        let market = config.market.clone();
        *config = ExchangeConfig { accounts: vec![AccountSpec::spot(); 2], market, ..ExchangeConfig::spot() };
    })
}

impl Desk {
    /// Free and locked of an asset.
    fn purse(&mut self, account: AccountId, asset: &str) -> (Decimal, Decimal) {
        match self.send(account, Command::Funds) {
            Ok(Reply::Funds(funds)) => funds
                .balances
                .iter()
                .find(|purse| *purse.asset == *asset)
                .map_or((Decimal::ZERO, Decimal::ZERO), |purse| (purse.free, purse.locked)),
            other => panic!("no funds: {other:?}"),
        }
    }
}

#[test]
fn an_open_order_locks_what_it_may_need_and_a_fill_moves_it_less_the_fee() {
    let mut desk = spot();
    let bid = desk.place(ONE, limit(Buy, "0.5", "60000")).expect("taken");
    assert_eq!(desk.purse(ONE, "USDT"), (d("70000"), d("30000")));
    desk.place(TWO, market(Sell, "0.2")).expect("taken");
    // 0.2 bought, a thousandth of it is the fee; 12000 spent of the 30000.
    assert_eq!(desk.purse(ONE, "BTC"), (d("10.1998"), Decimal::ZERO));
    assert_eq!(desk.purse(ONE, "USDT"), (d("70000"), d("18000")));
    assert_eq!(desk.purse(TWO, "USDT"), (d("111988"), Decimal::ZERO));
    desk.cancel(ONE, &bid).expect("cancelled");
    assert_eq!(desk.purse(ONE, "USDT"), (d("88000"), Decimal::ZERO));
}

#[test]
fn more_than_is_free_is_refused() {
    let mut desk = spot();
    desk.place(ONE, limit(Buy, "1", "60000")).expect("taken");
    assert_eq!(desk.refusal(ONE, limit(Buy, "1", "60000")), -2018);
    desk.place(ONE, limit(Sell, "9", "70000")).expect("taken");
    assert_eq!(desk.refusal(ONE, limit(Sell, "2", "70000")), -2018);
}

#[test]
fn money_can_be_named_instead_of_coins() {
    let mut desk = spot();
    desk.place(TWO, limit(Sell, "0.1", "60000")).expect("taken");
    desk.place(TWO, limit(Sell, "1", "60100")).expect("taken");
    let spend = NewOrder { quantity: None, quote_quantity: Some(d("9000")), ..market(Buy, "1") };
    let order = desk.place(ONE, spend).expect("taken");
    // 6000 buys 0.1, and 3000 at 60100 buys 0.04991 (the step is 0.00001).
    assert_eq!(order.executed_quantity, d("0.14991"));
    assert_eq!(order.cumulative_quote, d("8999.591"));
    assert_eq!(order.status, OrderStatus::Filled);
}

#[test]
fn an_armed_order_locks_waits_outside_the_book_and_enters_it_at_its_price() {
    let mut desk = spot();
    desk.place(TWO, limit(Sell, "0.01", "60000")).expect("taken");
    desk.place(TWO, timed(TimeInForce::Ioc, limit(Buy, "0.01", "60000"))).expect("taken");
    let stop = NewOrder { kind: OrderType::Stop, stop_price: Some(d("59000")), ..limit(Sell, "1", "58900") };
    let stop = desk.place(ONE, stop).expect("taken");
    assert!(stop.armed);
    assert_eq!(desk.purse(ONE, "BTC"), (d("9"), d("1")));
    assert!(desk.book().asks.is_empty());
    desk.heard();
    desk.place(TWO, limit(Sell, "0.01", "59000")).expect("taken");
    desk.place(TWO, timed(TimeInForce::Ioc, limit(Buy, "0.01", "59000"))).expect("taken");
    let stop = desk.query(ONE, &stop);
    assert!(!stop.armed && stop.status == OrderStatus::New && stop.working_time_ms > 0);
    assert_eq!(desk.book().asks, [(d("58900"), d("1"))]);
    assert!(desk.heard().contains(&"1 NEW NEW".to_owned()));
}

#[test]
fn an_amendment_keeps_its_place_and_gives_the_order_a_new_name() {
    let mut desk = spot();
    let named = |name: &str, order| NewOrder { client_order_id: Some(name.into()), ..order };
    let first = desk.place(ONE, named("old", limit(Buy, "0.5", "60000"))).expect("taken");
    desk.place(TWO, limit(Buy, "0.5", "60000")).expect("taken");
    let amend = |quantity: &str| Command::Amend {
        symbol: "BTCUSDT".into(),
        order: OrderRef::Id(first.order_id),
        quantity: d(quantity),
        name: Some("new".into()),
    };
    let amended = desk.order(ONE, amend("0.3")).expect("amended");
    assert_eq!((&*amended.client_order_id, amended.renamed_from.as_deref()), ("new", Some("old")));
    assert_eq!(desk.order(ONE, amend("0.4")).expect_err("more is not an amendment").code, -2038);
    // Still first in the queue.
    desk.place(
        TWO,
        NewOrder { self_trade_prevention: Some(SelfTradePrevention::None), ..market(Sell, "0.3") },
    )
    .expect("taken");
    assert_eq!(desk.query(ONE, &first).status, OrderStatus::Filled);
    let by =
        |name: &str| Command::QueryOrder { symbol: "BTCUSDT".into(), order: OrderRef::ClientId(name.into()) };
    assert_eq!(desk.order(ONE, by("old")).expect_err("renamed").code, -2013);
    assert_eq!(desk.order(ONE, by("new")).expect("found").order_id, first.order_id);
}

#[test]
fn two_orders_of_one_account_do_not_meet_and_both_are_told_what_was_prevented() {
    let mut desk = spot();
    desk.place(ONE, limit(Buy, "0.5", "60000")).expect("taken");
    desk.outputs.clear();
    let both = NewOrder {
        self_trade_prevention: Some(SelfTradePrevention::ExpireBoth),
        ..limit(Sell, "0.2", "60000")
    };
    let taker = desk.place(ONE, both).expect("taken");
    assert_eq!(taker.status, OrderStatus::ExpiredInMatch);
    let prevented: Vec<Prevented> = desk
        .outputs
        .iter()
        .filter_map(|output| match output {
            Output::Order(_, update) => update.prevented.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(prevented.len(), 2);
    assert!(prevented.iter().all(|one| one.quantity == d("0.2") && one.price == d("60000")));
    assert_eq!(desk.purse(ONE, "BTC"), (d("10"), Decimal::ZERO));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_asset_appears_or_is_lost(
        steps in proptest::collection::vec((any::<bool>(), any::<bool>(), 1i64..200, -20i64..20, 0u8..4), 1..60)
    ) {
        let mut desk = spot();
        let whole = |desk: &Desk| (desk.exchange.purses.total("BTC"), desk.exchange.purses.total("USDT"));
        let before = whole(&desk);
        for (who, side, lots, off, kind) in steps {
            let account = if who { ONE } else { TWO };
            let side = if side { Buy } else { Sell };
            let quantity = Decimal::new(lots, 3);
            let order = match kind {
                0 => NewOrder::market("BTCUSDT", side, quantity),
                1 => timed(TimeInForce::Ioc, NewOrder::limit("BTCUSDT", side, quantity, Decimal::new(60_000 + off, 0))),
                _ => NewOrder::limit("BTCUSDT", side, quantity, Decimal::new(60_000 + off, 0)),
            };
            // Refusals are part of the game.
            let _ = desk.place(account, order);
            prop_assert_eq!(whole(&desk), before);
            for account in [ONE, TWO] {
                for asset in ["BTC", "USDT"] {
                    let (free, locked) = desk.purse(account, asset);
                    prop_assert!(!free.is_negative() && !locked.is_negative(), "{} {}: {} {}", account.0, asset, free, locked);
                }
            }
        }
    }
}
