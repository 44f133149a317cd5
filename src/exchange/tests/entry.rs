//! Order entry by example: one test per rule, and every refusal with the exchange's code.

use super::Side::{Buy, Sell};
use super::*;

#[test]
fn a_limit_order_rests_is_reported_and_shows_in_the_book() {
    let mut desk = Desk::quiet();
    let order = desk.place(ONE, limit(Buy, "0.1", "60000")).expect("taken");
    assert_eq!((order.status, order.executed_quantity), (OrderStatus::New, Decimal::ZERO));
    assert_eq!(desk.heard(), ["1 NEW NEW", "depth", "ticker"]);
    assert_eq!(desk.book().bids, [(d("60000"), d("0.1"))]);
    let found = desk.query(ONE, &order);
    assert_eq!(found, order);
}

#[test]
fn a_match_reports_maker_then_taker_then_the_public() {
    let mut desk = Desk::quiet();
    desk.place(TWO, limit(Sell, "0.3", "60000")).expect("taken");
    desk.place(TWO, limit(Sell, "0.3", "60000.1")).expect("taken");
    desk.heard();
    let order = desk.place(ONE, limit(Buy, "0.4", "60001")).expect("taken");
    assert_eq!((order.status, order.average_price()), (OrderStatus::Filled, d("60000.025")));
    assert_eq!(
        desk.heard(),
        [
            "1 NEW NEW",
            "2 account",
            "2 TRADE FILLED",
            "1 account",
            "1 TRADE PARTIALLY_FILLED",
            "2 account",
            "2 TRADE PARTIALLY_FILLED",
            "1 account",
            "1 TRADE FILLED",
            "trade 0.3",
            "trade 0.1",
            "agg 0.3",
            "agg 0.1",
            "depth",
            "ticker"
        ]
    );
}

#[test]
fn depth_updates_chain_without_a_gap() {
    let mut desk = Desk::quiet();
    for at in 0..20 {
        desk.place(ONE, limit(Buy, "0.1", &format!("{}", 59_000 + at))).expect("taken");
    }
    desk.send(ONE, Command::CancelAll { symbol: "BTCUSDT".into() }).expect("done");
    let mut previous = None;
    for output in &desk.outputs {
        if let Output::Depth(diff) = output {
            assert_eq!(diff.previous_last_update_id, previous.unwrap_or(diff.previous_last_update_id));
            assert_eq!(diff.first_update_id, diff.previous_last_update_id + 1);
            assert!(diff.last_update_id >= diff.first_update_id);
            previous = Some(diff.last_update_id);
        }
    }
    assert_eq!(previous, Some(desk.book().last_update_id));
    assert!(desk.book().bids.is_empty());
}

#[test]
fn each_mistake_in_an_order_has_the_exchanges_code_and_leaves_no_trace() {
    let mut desk = Desk::quiet();
    let cases: Vec<(i32, NewOrder)> = vec![
        (-1121, NewOrder::limit("NOPE", Buy, d("1"), d("60000"))),
        (-1102, NewOrder { price: None, ..limit(Buy, "0.1", "60000") }),
        (-1102, NewOrder { quantity: None, ..limit(Buy, "0.1", "60000") }),
        (-1102, NewOrder { time_in_force: None, ..limit(Buy, "0.1", "60000") }),
        (-1106, NewOrder { price: Some(d("60000")), ..market(Buy, "0.1") }),
        (-1106, timed(TimeInForce::Gtc, market(Buy, "0.1"))),
        (-1111, limit(Buy, "0.0001", "60000")),
        (-1111, limit(Buy, "0.1", "60000.001")),
        (-4003, limit(Buy, "0", "60000")),
        (-4005, limit(Buy, "1001", "60000")),
        (-4001, limit(Buy, "0.1", "0")),
        (-4002, limit(Buy, "0.1", "5000000")),
        (-4013, limit(Buy, "0.1", "100")),
        (-4014, limit(Buy, "0.1", "60000.05")),
        (-4016, limit(Buy, "0.1", "63000.1")),
        (-4024, limit(Sell, "0.1", "56999.9")),
        (-4164, limit(Buy, "0.001", "60000")),
        (-4120, NewOrder { kind: OrderType::StopMarket, stop_price: Some(d("1")), ..market(Buy, "0.1") }),
        (-4136, NewOrder { close_position: true, ..market(Sell, "0.1") }),
        (-4015, NewOrder { client_order_id: Some("x".repeat(37)), ..limit(Buy, "0.1", "60000") }),
        (-4015, NewOrder { client_order_id: Some("a b".to_owned()), ..limit(Buy, "0.1", "60000") }),
        (-4061, NewOrder { position_side: PositionSide::Long, ..limit(Buy, "0.1", "60000") }),
        (-2022, reduce(limit(Sell, "0.1", "60000"))),
        (-2019, limit(Buy, "50", "60000")),
        (-5021, timed(TimeInForce::Fok, limit(Buy, "0.1", "60000"))),
        (-5040, timed(TimeInForce::Gtd, limit(Buy, "0.1", "60000"))),
    ];
    for (code, order) in cases {
        let text = format!("{order:?}");
        assert_eq!(desk.refusal(ONE, order), code, "{text}");
    }
    assert!(desk.heard().is_empty());
    assert!(desk.exchange.orders.all_open(ONE).next().is_none());
}

#[test]
fn an_unknown_account_and_the_house_are_refused() {
    let mut desk = Desk::quiet();
    for account in [AccountId::HOUSE, AccountId(3), AccountId::NOBODY] {
        assert_eq!(desk.send(account, Command::Account).expect_err("refused").code, -2015);
    }
}

#[test]
fn an_open_client_order_id_may_not_be_used_again_and_a_closed_one_may() {
    let mut desk = Desk::quiet();
    let named = || NewOrder { client_order_id: Some("mine".to_owned()), ..limit(Buy, "0.1", "60000") };
    let first = desk.place(ONE, named()).expect("taken");
    assert_eq!(desk.refusal(ONE, named()), -4116);
    desk.place(TWO, named()).expect("another account's names are its own");
    desk.cancel(ONE, &first).expect("cancelled");
    let second = desk.place(ONE, named()).expect("free again");
    let by_name =
        Command::QueryOrder { symbol: "BTCUSDT".into(), order: OrderRef::ClientId("mine".to_owned()) };
    assert_eq!(desk.order(ONE, by_name).expect("found").order_id, second.order_id, "the newest of that name");
}

#[test]
fn an_order_without_a_client_id_gets_a_legal_one() {
    let mut desk = Desk::quiet();
    let one = desk.place(ONE, limit(Buy, "0.1", "60000")).expect("taken");
    let two = desk.place(ONE, limit(Buy, "0.1", "60000")).expect("taken");
    assert_ne!(one.client_order_id, two.client_order_id);
    assert!(crate::exchange::filters::check_client_order_id(&one.client_order_id).is_ok());
}

#[test]
fn ioc_takes_what_is_there_and_expires() {
    let mut desk = Desk::quiet();
    desk.place(TWO, limit(Sell, "0.1", "60000")).expect("taken");
    desk.heard();
    let order = desk.place(ONE, timed(TimeInForce::Ioc, limit(Buy, "0.3", "60000"))).expect("taken");
    assert_eq!((order.status, order.executed_quantity), (OrderStatus::Expired, d("0.1")));
    let reasons: Vec<u32> = desk
        .outputs
        .iter()
        .filter_map(|output| match output {
            Output::Order(ONE, update) if update.execution == ExecutionType::Expired => {
                Some(update.expire_reason)
            }
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [2], "once, as an IOC");
    assert!(desk.book().bids.is_empty());
}

#[test]
fn fok_fills_whole_or_is_refused() {
    let mut desk = Desk::quiet();
    desk.place(TWO, limit(Sell, "0.1", "60000")).expect("taken");
    desk.place(TWO, limit(Sell, "0.1", "60001")).expect("taken");
    let fok = |quantity, price| timed(TimeInForce::Fok, limit(Buy, quantity, price));
    assert_eq!(desk.refusal(ONE, fok("0.2", "60000")), -5021);
    assert_eq!(desk.refusal(ONE, fok("0.21", "60001")), -5021);
    let order = desk.place(ONE, fok("0.2", "60001")).expect("taken");
    assert_eq!(order.status, OrderStatus::Filled);
}

#[test]
fn gtx_rests_behind_the_touch_and_is_refused_across_it() {
    let mut desk = Desk::quiet();
    desk.place(TWO, limit(Sell, "0.1", "60000")).expect("taken");
    let gtx = |price| timed(TimeInForce::Gtx, limit(Buy, "0.1", price));
    assert_eq!(desk.refusal(ONE, gtx("60000")), -5022);
    let order = desk.place(ONE, gtx("59999.9")).expect("taken");
    assert_eq!(order.status, OrderStatus::New);
    let moved = desk.modify(ONE, &order, "60000", "0.1").expect("answered");
    assert_eq!(
        moved.status,
        OrderStatus::Canceled,
        "a post-only order that would take is cancelled by its amendment"
    );
}

#[test]
fn gtd_expires_at_its_time() {
    let mut desk = Desk::quiet();
    let until = START / MS + 700_000;
    let order = timed(TimeInForce::Gtd, limit(Buy, "0.1", "60000"));
    let order = desk.place(ONE, NewOrder { good_till_date_ms: until, ..order }).expect("taken");
    assert_eq!(desk.exchange.next_wake(), Some(until * MS));
    desk.exchange.advance(until * MS - 1, &mut |_| {});
    assert!(desk.exchange.orders.by_id(order.order_id).is_some_and(|order| order.status.is_open()));
    let mut heard = Vec::new();
    desk.exchange.advance(until * MS, &mut |output| heard.push(word(&output)));
    assert_eq!(heard, ["1 EXPIRED EXPIRED", "depth", "ticker"]);
}

#[test]
fn a_market_order_stops_at_the_price_bound_and_expires_without_a_market() {
    let mut desk = Desk::quiet();
    let order = desk.place(ONE, market(Buy, "0.1")).expect("taken");
    assert_eq!(order.status, OrderStatus::Expired);
    // The middle is 60000, so a buyer may go to 63000: the second ask is beyond.
    desk.place(TWO, limit(Buy, "0.1", "59000")).expect("taken");
    desk.place(TWO, limit(Sell, "0.1", "61000")).expect("taken");
    desk.place(TWO, limit(Sell, "0.1", "63500")).expect("taken");
    let order = desk.place(ONE, market(Buy, "0.2")).expect("taken");
    assert_eq!((order.status, order.executed_quantity), (OrderStatus::Expired, d("0.1")));
}

#[test]
fn modify_keeps_the_place_only_for_less_at_the_same_price() {
    let mut desk = Desk::quiet();
    let first = desk.place(ONE, limit(Buy, "0.2", "60000")).expect("taken");
    let second = desk.place(TWO, limit(Buy, "0.2", "60000")).expect("taken");
    let first = desk.modify(ONE, &first, "60000", "0.1").expect("less");
    assert_eq!((first.original_quantity, first.modifications), (d("0.1"), 1));
    let sell = |desk: &mut Desk| {
        let seller = AccountId(3);
        desk.place(seller, timed(TimeInForce::Ioc, limit(Sell, "0.01", "60000"))).expect("taken");
    };
    let mut desk = with_third(desk, &[&first, &second]);
    sell(&mut desk);
    assert_eq!(desk.query(ONE, &first).executed_quantity, d("0.01"), "less keeps the place");
    desk.modify(ONE, &first, "60000", "0.3").expect("more");
    sell(&mut desk);
    assert_eq!(desk.query(TWO, &second).executed_quantity, d("0.01"), "more goes to the end");
}

/// The same two orders in a venue that also has a third account.
fn with_third(_: Desk, orders: &[&Order]) -> Desk {
    let mut desk = Desk::with(|config| config.accounts.push(AccountSpec::default()));
    for order in orders {
        desk.place(order.account, limit(order.side, "0.2", "60000")).expect("taken");
    }
    let first = desk.exchange.orders.by_id(orders[0].order_id).expect("same ids").clone();
    desk.modify(ONE, &first, "60000", "0.1").expect("less");
    desk
}

#[test]
fn modify_refuses_what_the_documents_refuse() {
    let mut desk = Desk::quiet();
    let order = desk.place(ONE, limit(Buy, "0.2", "60000")).expect("taken");
    let code = |result: Result<Order, ApiError>| result.expect_err("taken").code;
    assert_eq!(code(desk.modify(ONE, &order, "60000", "0.2")), -5027);
    assert_eq!(code(desk.modify(ONE, &order, "60000.05", "0.2")), -4014);
    assert_eq!(code(desk.modify(ONE, &order, "60000", "0.001")), -5029);
    assert_eq!(code(desk.modify(ONE, &order, "60000", "90")), -2019);
    assert_eq!(
        code(desk.modify(TWO, &order, "60000", "0.1")),
        -2013,
        "another account's order does not exist"
    );
    assert_eq!(desk.query(ONE, &order), order, "a refused amendment changes nothing");
    desk.cancel(ONE, &order).expect("cancelled");
    assert_eq!(code(desk.modify(ONE, &order, "60000", "0.1")), -2013);
    assert_eq!(code(desk.cancel(ONE, &order)), -2011);
}

#[test]
fn an_amendment_below_the_filled_quantity_cancels() {
    let mut desk = Desk::quiet();
    let order = desk.place(ONE, limit(Buy, "0.2", "60000")).expect("taken");
    desk.place(TWO, limit(Sell, "0.1", "60000")).expect("taken");
    desk.heard();
    let order = desk.modify(ONE, &order, "60000", "0.1").expect("answered");
    assert_eq!(order.status, OrderStatus::Canceled);
    assert_eq!(desk.heard(), ["1 CANCELED CANCELED", "depth", "ticker"]);
}

#[test]
fn an_amendment_to_a_price_that_takes_is_reported_and_then_trades() {
    let mut desk = Desk::quiet();
    let order = desk.place(ONE, limit(Buy, "0.2", "60000")).expect("taken");
    desk.place(TWO, limit(Sell, "0.1", "60010")).expect("taken");
    desk.heard();
    let order = desk.modify(ONE, &order, "60010", "0.2").expect("answered");
    assert_eq!((order.status, order.executed_quantity), (OrderStatus::PartiallyFilled, d("0.1")));
    assert_eq!(desk.heard()[..2], ["1 AMENDMENT NEW", "2 account"]);
    assert_eq!(desk.book().bids, [(d("60010"), d("0.1"))]);
}

#[test]
fn self_trade_prevention_ends_whom_its_mode_says() {
    use SelfTradePrevention as Mode;
    let cases = [
        (Mode::None, OrderStatus::Filled, OrderStatus::Filled),
        (Mode::ExpireMaker, OrderStatus::ExpiredInMatch, OrderStatus::New),
        (Mode::ExpireTaker, OrderStatus::New, OrderStatus::ExpiredInMatch),
        (Mode::ExpireBoth, OrderStatus::ExpiredInMatch, OrderStatus::ExpiredInMatch),
    ];
    for (mode, maker_ends, taker_ends) in cases {
        let mut desk = Desk::quiet();
        let maker = desk.place(ONE, limit(Sell, "0.1", "60000")).expect("taken");
        let order = NewOrder { self_trade_prevention: Some(mode), ..limit(Buy, "0.1", "60000") };
        let taker = desk.place(ONE, order).expect("taken");
        assert_eq!((desk.query(ONE, &maker).status, taker.status), (maker_ends, taker_ends), "{mode}");
    }
}

#[test]
fn reduce_only_never_opens_and_expires_when_there_is_nothing_left_to_reduce() {
    let mut desk = Desk::quiet();
    desk.place(TWO, limit(Sell, "0.1", "60000")).expect("taken");
    desk.place(ONE, market(Buy, "0.1")).expect("taken");
    assert_eq!(desk.refusal(ONE, reduce(limit(Buy, "0.1", "60000"))), -2022, "the wrong direction");
    let resting = desk.place(ONE, reduce(limit(Sell, "0.1", "61000"))).expect("taken");
    desk.place(TWO, limit(Buy, "0.5", "60000")).expect("taken");
    let order = desk.place(ONE, reduce(market(Sell, "0.3"))).expect("taken");
    assert_eq!((order.status, order.executed_quantity), (OrderStatus::Expired, d("0.1")));
    assert_eq!(desk.position(ONE).quantity, Decimal::ZERO);
    assert_eq!(desk.query(ONE, &resting).status, OrderStatus::Expired, "flat: the other one has no purpose");
}

#[test]
fn min_notional_is_waived_for_reduce_only() {
    let mut desk = Desk::quiet();
    desk.place(TWO, limit(Sell, "0.1", "60000")).expect("taken");
    desk.place(ONE, market(Buy, "0.1")).expect("taken");
    desk.place(ONE, reduce(limit(Sell, "0.001", "60000"))).expect("taken");
}

#[test]
fn open_orders_are_limited() {
    let mut desk = Desk::with(|config| config.symbols[0].filters.max_orders = 3);
    for _ in 0..3 {
        desk.place(ONE, limit(Buy, "0.1", "60000")).expect("taken");
    }
    assert_eq!(desk.refusal(ONE, limit(Buy, "0.1", "60000")), -2025);
    desk.place(TWO, limit(Buy, "0.1", "60000")).expect("others have their own limit");
}

#[test]
fn hedge_mode_holds_both_sides_and_closes_by_side() {
    let mut desk = Desk::quiet();
    desk.send(ONE, Command::SetPositionMode { dual: true }).expect("set");
    assert_eq!(desk.send(ONE, Command::SetPositionMode { dual: true }).expect_err("refused").code, -4059);
    assert_eq!(desk.refusal(ONE, limit(Buy, "0.1", "60000")), -4061);
    let on = |position_side, order: NewOrder| NewOrder { position_side, ..order };
    assert_eq!(desk.refusal(ONE, on(PositionSide::Long, reduce(limit(Buy, "0.1", "60000")))), -1106);
    desk.place(TWO, limit(Sell, "0.2", "60000")).expect("taken");
    desk.place(TWO, limit(Buy, "0.2", "59990")).expect("taken");
    desk.place(ONE, on(PositionSide::Long, market(Buy, "0.2"))).expect("taken");
    desk.place(ONE, on(PositionSide::Short, market(Sell, "0.1"))).expect("taken");
    let Ok(Reply::Positions(positions)) = desk.send(ONE, Command::PositionRisk { symbol: None }) else {
        panic!()
    };
    let quantities: Vec<_> =
        positions.iter().map(|position| (position.position_side, position.quantity)).collect();
    assert_eq!(quantities, [(PositionSide::Long, d("0.2")), (PositionSide::Short, d("-0.1"))]);
    assert_eq!(desk.refusal(ONE, on(PositionSide::Long, limit(Sell, "0.3", "60000"))), -2022);
    desk.place(ONE, on(PositionSide::Long, market(Sell, "0.1"))).expect("closes half the long side");
    assert_eq!(desk.send(ONE, Command::SetPositionMode { dual: false }).expect_err("refused").code, -4068);
}

#[test]
fn histories_are_cut_by_id_time_and_count() {
    let mut desk = Desk::quiet();
    let ids: Vec<u64> = (0..5)
        .map(|_| {
            let order = desk.place(ONE, limit(Buy, "0.1", "60000")).expect("taken");
            desk.cancel(ONE, &order).expect("cancelled").order_id
        })
        .collect();
    let mut all = |window| match desk.send(ONE, Command::AllOrders { symbol: "BTCUSDT".into(), window }) {
        Ok(Reply::Orders(orders)) => orders.iter().map(|order| order.order_id).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(all(Window::default()), ids);
    assert_eq!(all(Window { limit: Some(2), ..Window::default() }), ids[3..], "the newest");
    assert_eq!(all(Window { limit: Some(2), from_id: Some(ids[1]), ..Window::default() }), ids[1..3]);
    let first_ms = START / MS + 1;
    assert_eq!(all(Window { end_ms: Some(first_ms), ..Window::default() }), ids[..1]);
}

#[test]
fn history_is_bounded_and_forgets_the_oldest() {
    let mut desk = Desk::with(|config| config.history_limit = 2);
    let orders: Vec<Order> = (0..3)
        .map(|_| {
            let order = desk.place(ONE, limit(Buy, "0.1", "60000")).expect("taken");
            desk.cancel(ONE, &order).expect("cancelled")
        })
        .collect();
    let query = |order: &Order| Command::QueryOrder {
        symbol: "BTCUSDT".into(),
        order: OrderRef::ClientId(order.client_order_id.to_string()),
    };
    assert_eq!(desk.order(ONE, query(&orders[0])).expect_err("forgotten").code, -2013);
    assert!(desk.order(ONE, query(&orders[1])).is_ok());
}
