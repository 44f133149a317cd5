//! Funding, liquidation and the two legs of hedge mode, each against arithmetic done by hand.

use super::Side::{Buy, Sell};
use super::*;

/// Fundings every hour at one hundredth of a percent; nobody pays fees.
fn without_fees(change: impl FnOnce(&mut ExchangeConfig)) -> Desk {
    Desk::with(|config| {
        for account in &mut config.accounts {
            account.maker_fee = Decimal::ZERO;
            account.taker_fee = Decimal::ZERO;
        }
        config.funding_interval_ms = 3_600_000;
        // The market makes leaps here that PERCENT_PRICE would not let an order make.
        config.symbols[0].filters.multiplier_down = d("0.5");
        change(config);
    })
}

fn income(desk: &mut Desk, account: AccountId, kind: IncomeKind) -> Vec<Decimal> {
    match desk.send(account, Command::Income { symbol: None, kind: Some(kind), window: Window::default() }) {
        Ok(Reply::Income(rows)) => rows.into_iter().map(|row| row.amount).collect(),
        other => panic!("no income: {other:?}"),
    }
}

/// The mark price is the middle of the book; account two makes one around it.
fn mark_at(desk: &mut Desk, price: &str) {
    desk.send(TWO, Command::CancelAll { symbol: "BTCUSDT".into() }).expect("cancels");
    let price = d(price);
    for (side, off) in [(Buy, -Decimal::ONE), (Sell, Decimal::ONE)] {
        desk.place(TWO, NewOrder::limit("BTCUSDT", side, d("0.01"), price + off)).expect("taken");
    }
}

#[test]
fn longs_pay_shorts_at_the_hour_on_the_notional_at_mark() {
    let mut desk = without_fees(|_| {});
    desk.place(TWO, limit(Sell, "0.5", "60000")).expect("taken");
    desk.place(ONE, market(Buy, "0.5")).expect("taken");
    mark_at(&mut desk, "61000");
    desk.outputs.clear();
    // START is a whole hour; the next one is this far away.
    desk.now = START + 3_600 * SECOND;
    let paid = desk.balance(ONE).wallet;
    // 0.5 * 61000 * 0.0001 = 3.05.
    assert_eq!(paid, d("99996.95"));
    assert_eq!(desk.balance(TWO).wallet, d("100003.05"));
    assert_eq!(income(&mut desk, ONE, IncomeKind::FundingFee), [d("-3.05")]);
    let told = desk.outputs.iter().find_map(|output| match output {
        Output::Account(ONE, update) => {
            Some((update.reason, update.balances[0].change, update.positions.len()))
        }
        _ => None,
    });
    assert_eq!(told, Some((AccountUpdateReason::FundingFee, d("-3.05"), 0)));
    // Once, and again only an hour later.
    desk.now += 3_599 * SECOND;
    assert_eq!(desk.balance(ONE).wallet, d("99996.95"));
}

#[test]
fn an_account_whose_margin_is_gone_is_closed_out_by_the_venue() {
    // 1000 USDT, 20 times: 0.2 BTC at 60000 needs 600. Maintenance is 0.4 % of notional.
    let mut desk = without_fees(|config| config.accounts[0].balance = d("1000"));
    desk.place(TWO, limit(Sell, "0.2", "60000")).expect("taken");
    desk.place(ONE, market(Buy, "0.2")).expect("taken");
    let resting = desk.place(ONE, limit(Buy, "0.002", "50000")).expect("taken");
    // 1000 + 0.2 * (p - 60000) = 0.004 * 0.2 * p, so p = (12000 - 1000) / (0.2 - 0.0008) = 55220.88...
    let expected = desk.position(ONE).liquidation_price;
    assert_eq!(expected, d("55220.8"));
    mark_at(&mut desk, "55222");
    assert_eq!(desk.position(ONE).quantity, d("0.2"), "a dollar is left");
    desk.outputs.clear();
    mark_at(&mut desk, "55219");
    assert_eq!(desk.position(ONE).quantity, Decimal::ZERO);
    assert_eq!(desk.query(ONE, &resting).status, OrderStatus::Canceled);
    let reports: Vec<(ExecutionType, String)> = desk
        .outputs
        .iter()
        .filter_map(|output| match output {
            Output::Order(ONE, update) if update.order.is_liquidation() => {
                Some((update.execution, update.order.client_order_id.to_string()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(reports[0].0, ExecutionType::New);
    assert!(reports.len() > 1 && reports[1..].iter().all(|(kind, _)| *kind == ExecutionType::Calculated));
    assert!(reports[0].1.starts_with("autoclose-"), "{}", reports[0].1);
    assert!(desk.outputs.iter().any(|output| matches!(output, Output::ForceOrder(_))));
    // 1000 less the loss (0.01 at the bid of 55218, the rest taken over at the mark) would be some 43; the liquidation fee takes that.
    assert_eq!(desk.balance(ONE).wallet, Decimal::ZERO);
    let fees = income(&mut desk, ONE, IncomeKind::InsuranceClear);
    assert!(fees.len() == 1 && fees[0].is_negative(), "{fees:?}");
}

#[test]
fn a_debt_is_paid_by_the_house_and_nothing_is_lost() {
    let mut desk = without_fees(|config| config.accounts[0].balance = d("700"));
    desk.place(TWO, limit(Sell, "0.2", "60000")).expect("taken");
    desk.place(ONE, market(Buy, "0.2")).expect("taken");
    // A gap of 5000 is 1000 of loss: 300 more than there was.
    mark_at(&mut desk, "55000");
    assert_eq!(desk.balance(ONE).wallet, Decimal::ZERO);
    let paid = income(&mut desk, ONE, IncomeKind::InsuranceClear);
    // 0.01 was sold at 54999, the rest at 55000: 1000.01 lost.
    assert_eq!(paid, [d("300.01")]);
}

#[test]
fn a_long_and_a_short_leg_stand_side_by_side_and_close_by_themselves() {
    let mut desk = without_fees(|_| {});
    desk.send(ONE, Command::SetPositionMode { dual: true }).expect("hedge mode");
    let leg = |position_side, order| NewOrder { position_side, ..order };
    desk.place(TWO, limit(Sell, "0.3", "60000")).expect("taken");
    desk.place(TWO, limit(Buy, "0.2", "59990")).expect("taken");
    assert_eq!(desk.refusal(ONE, market(Buy, "0.3")), -4061, "in hedge mode an order names its leg");
    desk.place(ONE, leg(PositionSide::Long, market(Buy, "0.3"))).expect("taken");
    desk.place(ONE, leg(PositionSide::Short, market(Sell, "0.2"))).expect("taken");
    let legs = |desk: &mut Desk| match desk.send(ONE, Command::PositionRisk { symbol: None }) {
        Ok(Reply::Positions(legs)) => {
            legs.into_iter().map(|leg| (leg.position_side, leg.quantity)).collect::<Vec<_>>()
        }
        other => panic!("no positions: {other:?}"),
    };
    assert_eq!(legs(&mut desk), [(PositionSide::Long, d("0.3")), (PositionSide::Short, d("-0.2"))]);
    // Buying on the short leg closes it, at most to nothing, and leaves the long one alone.
    desk.place(TWO, limit(Sell, "1", "60010")).expect("taken");
    assert_eq!(desk.refusal(ONE, leg(PositionSide::Short, market(Buy, "0.3"))), -2022);
    desk.place(ONE, leg(PositionSide::Short, market(Buy, "0.2"))).expect("taken");
    assert_eq!(legs(&mut desk), [(PositionSide::Long, d("0.3")), (PositionSide::Short, Decimal::ZERO)]);
    // Sold 0.2 at 59990, bought back at 60010: 4 lost.
    assert_eq!(desk.balance(ONE).wallet, d("99996"));
}
