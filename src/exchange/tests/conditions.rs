//! Conditional orders of both products: they wait, they trigger on the price they were told to watch, and they tell what became of them.

use super::Side::{Buy, Sell};
use super::*;

fn algo(kind: OrderType, side: Side, stop: &str) -> NewOrder {
    NewOrder { kind, stop_price: Some(d(stop)), client_order_id: Some("a-1".into()), ..market(side, "0.1") }
}

impl Desk {
    fn algo(&mut self, account: AccountId, command: Command) -> Result<Algo, ApiError> {
        self.send(account, command).map(|reply| match reply {
            Reply::Algo(algo) => algo,
            other => panic!("not an algo: {other:?}"),
        })
    }

    fn query_algo(&mut self, account: AccountId, id: u64) -> Algo {
        self.algo(account, Command::QueryAlgo { algo: OrderRef::Id(id) })
            .expect("an algo that was taken is found")
    }

    /// Account two trades with itself at this price, so that it is the last one.
    fn print(&mut self, price: &str) {
        let none = |order| NewOrder { self_trade_prevention: Some(SelfTradePrevention::None), ..order };
        self.place(TWO, none(limit(Sell, "0.01", price))).expect("taken");
        self.place(TWO, none(timed(TimeInForce::Ioc, limit(Buy, "0.01", price)))).expect("taken");
    }
}

#[test]
fn a_stop_waits_for_its_price_and_becomes_a_market_order_under_its_own_name() {
    let mut desk = Desk::quiet();
    desk.print("60000");
    let stop = desk.algo(ONE, Command::PlaceAlgo(algo(OrderType::StopMarket, Buy, "60100"))).expect("taken");
    assert_eq!(stop.status, AlgoStatus::New);
    desk.print("60099.9");
    assert_eq!(desk.query_algo(ONE, stop.algo_id).status, AlgoStatus::New, "a tick is missing");
    desk.place(TWO, limit(Sell, "1", "60200")).expect("taken");
    desk.heard();
    desk.print("60100");
    let heard = desk.heard();
    let ours: Vec<&str> = heard.iter().map(String::as_str).filter(|word| word.starts_with("1 ")).collect();
    assert_eq!(
        ours,
        [
            "1 algo TRIGGERING",
            "1 NEW NEW",
            "1 account",
            "1 TRADE FILLED",
            "1 algo TRIGGERED",
            "1 algo FINISHED"
        ]
    );
    let done = desk.query_algo(ONE, stop.algo_id);
    assert_eq!((done.executed_quantity, done.average_price), (d("0.1"), d("60200")));
    let order = desk
        .order(ONE, Command::QueryOrder { symbol: "BTCUSDT".into(), order: OrderRef::ClientId("a-1".into()) })
        .expect("the order that it became");
    assert_eq!((order.order_id, order.kind), (done.order_id, OrderType::Market));
    assert_eq!((order.original_kind, order.stop_price), (OrderType::StopMarket, d("60100")));
}

#[test]
fn the_mark_price_triggers_who_watches_it_and_nobody_else() {
    let mut desk = Desk::quiet();
    desk.print("60000");
    let by = |working_type| NewOrder { working_type, ..algo(OrderType::StopMarket, Buy, "60100") };
    let mark = desk.algo(ONE, Command::PlaceAlgo(by(WorkingType::MarkPrice))).expect("taken");
    let last = NewOrder { client_order_id: None, ..by(WorkingType::ContractPrice) };
    let last = desk.algo(ONE, Command::PlaceAlgo(last)).expect("taken");
    // The middle of the book goes to 60150 without a trade.
    desk.place(TWO, limit(Sell, "0.01", "60200")).expect("taken");
    desk.place(TWO, limit(Buy, "0.01", "60100")).expect("taken");
    assert_ne!(desk.query_algo(ONE, mark.algo_id).status, AlgoStatus::New);
    // The order that it became has taken the offer at 60200, and that was a trade.
    assert_eq!(desk.query_algo(ONE, mark.algo_id).status, AlgoStatus::Finished);
    assert_ne!(desk.query_algo(ONE, last.algo_id).status, AlgoStatus::New, "one trigger leads to the next");
}

#[test]
fn what_would_trigger_at_once_or_is_malformed_is_refused_by_its_own_code() {
    let mut desk = Desk::quiet();
    desk.print("60000");
    let mut code = |new| match desk.algo(ONE, Command::PlaceAlgo(new)) {
        Ok(_) => 0,
        Err(refusal) => refusal.code,
    };
    assert_eq!(code(algo(OrderType::StopMarket, Buy, "59000")), -2021);
    assert_eq!(code(algo(OrderType::TakeProfitMarket, Sell, "59000")), -2021);
    assert_eq!(code(algo(OrderType::Stop, Buy, "61000")), -1102, "a limit order has a price");
    assert_eq!(code(algo(OrderType::StopMarket, Buy, "61000.05")), -4014);
    assert_eq!(code(algo(OrderType::Limit, Buy, "61000")), -1116);
    let closes = NewOrder { close_position: true, ..algo(OrderType::StopMarket, Sell, "59000") };
    assert_eq!(code(closes.clone()), -4137, "it has a quantity");
    let closes = NewOrder { quantity: None, ..closes };
    assert_eq!(code(closes.clone()), 0);
    assert_eq!(code(NewOrder { client_order_id: None, ..closes }), -4130, "there is one already");
    assert_eq!(code(algo(OrderType::StopMarket, Buy, "61000")), -4116, "the name waits already");
}

#[test]
fn close_position_closes_what_there_is_when_it_triggers() {
    let mut desk = Desk::quiet();
    desk.place(TWO, limit(Sell, "0.3", "60000")).expect("taken");
    desk.place(ONE, market(Buy, "0.3")).expect("taken");
    let stop =
        NewOrder { close_position: true, quantity: None, ..algo(OrderType::StopMarket, Sell, "59000") };
    let stop = desk.algo(ONE, Command::PlaceAlgo(stop)).expect("taken");
    desk.place(TWO, limit(Buy, "1", "58900")).expect("taken");
    desk.print("59000");
    assert_eq!(desk.position(ONE).quantity, Decimal::ZERO);
    assert_eq!(desk.query_algo(ONE, stop.algo_id).executed_quantity, d("0.3"));
}

#[test]
fn a_trigger_that_finds_no_margin_is_rejected_with_the_reason() {
    let mut desk = Desk::with(|config| config.accounts[0].balance = d("10"));
    desk.print("60000");
    let stop = desk.algo(ONE, Command::PlaceAlgo(algo(OrderType::StopMarket, Buy, "60100"))).expect("taken");
    desk.print("60100");
    let stop = desk.query_algo(ONE, stop.algo_id);
    assert_eq!((stop.status, stop.reason.as_str()), (AlgoStatus::Rejected, "Margin is insufficient."));
}

#[test]
fn cancelled_and_expired_algos_never_trigger() {
    let mut desk = Desk::quiet();
    desk.print("60000");
    let stop = desk.algo(ONE, Command::PlaceAlgo(algo(OrderType::StopMarket, Buy, "60100"))).expect("taken");
    let cancel = Command::CancelAlgo { algo: OrderRef::ClientId("a-1".into()) };
    assert_eq!(desk.algo(ONE, cancel.clone()).expect("cancelled").status, AlgoStatus::Canceled);
    assert_eq!(desk.algo(ONE, cancel).expect_err("gone").code, -2011);
    let ends_ms = (desk.now + 601 * SECOND) / MS;
    let until = NewOrder {
        time_in_force: Some(TimeInForce::Gtd),
        good_till_date_ms: ends_ms,
        price: Some(d("60200")),
        ..algo(OrderType::Stop, Buy, "60100")
    };
    let until = desk.algo(ONE, Command::PlaceAlgo(until)).expect("taken");
    desk.now = (ends_ms + 1) * MS;
    desk.print("60100");
    assert_eq!(desk.query_algo(ONE, until.algo_id).status, AlgoStatus::Expired);
    assert_eq!(desk.query_algo(ONE, stop.algo_id).order_id, 0);
}

#[test]
fn a_countdown_cancels_unless_it_is_wound_again() {
    let mut desk = Desk::quiet();
    let order = desk.place(ONE, limit(Buy, "0.1", "59000")).expect("taken");
    let wind = |after_ms| Command::CountdownCancelAll { symbol: "BTCUSDT".into(), after_ms };
    desk.send(ONE, wind(5_000)).expect("wound");
    desk.now += 4 * SECOND;
    desk.send(ONE, wind(5_000)).expect("wound again");
    desk.now += 4 * SECOND;
    assert_eq!(desk.query(ONE, &order).status, OrderStatus::New);
    desk.now += 2 * SECOND;
    assert_eq!(desk.query(ONE, &order).status, OrderStatus::Canceled);
}
