//! The matching engine against a naive twin: a list of orders, searched from one end to the other for every match.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Move {
    Place { account: u16, buys: bool, kind: u8, lots: i64, tick: i64 },
    Cancel { which: usize },
    Modify { which: usize, lots: i64, tick: i64 },
}

fn any_move() -> impl Strategy<Value = Move> {
    let lots = 2..30i64;
    let tick = 0..12i64;
    prop_oneof![
        6 => (0..2u16, any::<bool>(), 0..6u8, lots.clone(), tick.clone())
            .prop_map(|(account, buys, kind, lots, tick)| Move::Place { account, buys, kind, lots, tick }),
        2 => any::<usize>().prop_map(|which| Move::Cancel { which }),
        2 => (any::<usize>(), lots, tick).prop_map(|(which, lots, tick)| Move::Modify { which, lots, tick }),
    ]
}

/// One order of the twin.
#[derive(Clone, Debug)]
struct Naive {
    order_id: u64,
    account: AccountId,
    side: Side,
    price: Decimal,
    quantity: Decimal,
    filled: Decimal,
    arrival: u64,
    resting: bool,
    post_only: bool,
}

#[derive(Default)]
struct Twin {
    orders: Vec<Naive>,
    arrivals: u64,
    trades: Vec<(Decimal, Decimal)>,
}

impl Twin {
    /// The counterparty that trades next: best price, then earliest arrival.
    fn next_for(&self, side: Side, limit: Option<Decimal>) -> Option<usize> {
        let better = |one: &Naive, other: &Naive| match side {
            Side::Buy => (one.price, one.arrival).cmp(&(other.price, other.arrival)),
            Side::Sell => (other.price, one.arrival).cmp(&(one.price, other.arrival)),
        };
        (0..self.orders.len())
            .filter(|at| self.orders[*at].resting && self.orders[*at].side != side)
            .filter(|at| {
                limit.is_none_or(|limit| match side {
                    Side::Buy => self.orders[*at].price <= limit,
                    Side::Sell => self.orders[*at].price >= limit,
                })
            })
            .min_by(|one, other| better(&self.orders[*one], &self.orders[*other]))
    }

    fn fillable(&self, side: Side, limit: Decimal) -> Decimal {
        self.orders
            .iter()
            .filter(|order| order.resting && order.side != side)
            .filter(|order| if side == Side::Buy { order.price <= limit } else { order.price >= limit })
            .map(|order| order.quantity - order.filled)
            .sum()
    }

    fn work(&mut self, at: usize, limit: Option<Decimal>, may_rest: bool) {
        while self.orders[at].filled < self.orders[at].quantity {
            let Some(other) = self.next_for(self.orders[at].side, limit) else { break };
            let left = |order: &Naive| order.quantity - order.filled;
            let quantity = left(&self.orders[at]).min(left(&self.orders[other]));
            self.trades.push((self.orders[other].price, quantity));
            self.orders[at].filled += quantity;
            self.orders[other].filled += quantity;
            if left(&self.orders[other]).is_zero() {
                self.orders[other].resting = false;
            }
        }
        self.arrivals += 1;
        self.orders[at].arrival = self.arrivals;
        self.orders[at].resting = may_rest && self.orders[at].filled < self.orders[at].quantity;
    }

    fn levels(&self, side: Side) -> Vec<PriceLevel> {
        let mut levels = std::collections::BTreeMap::<Decimal, Decimal>::new();
        for order in self.orders.iter().filter(|order| order.resting && order.side == side) {
            *levels.entry(order.price).or_default() += order.quantity - order.filled;
        }
        let ascending = levels.into_iter();
        if side == Side::Buy { ascending.rev().collect() } else { ascending.collect() }
    }
}

fn price_of(tick: i64) -> Decimal {
    Decimal::new(600_000 + tick, 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_book_matches_as_the_naive_twin_does(moves in prop::collection::vec(any_move(), 1..80)) {
        let mut desk = Desk::with(|config| {
            config.default_self_trade_prevention = SelfTradePrevention::None;
            config.symbols[0].filters.max_orders = 10_000;
            for account in &mut config.accounts {
                account.balance = d("1000000000");
                account.leverage = 1;
            }
        });
        let mut twin = Twin::default();
        for step in moves {
            match step {
                Move::Place { account, buys, kind, lots, tick } => {
                    let account = AccountId(account + 1);
                    let side = if buys { Side::Buy } else { Side::Sell };
                    let (price, quantity) = (price_of(tick), Decimal::new(lots, 3));
                    let order = NewOrder::limit("BTCUSDT", side, quantity, price);
                    let order = match kind {
                        0 => NewOrder::market("BTCUSDT", side, quantity),
                        1 => timed(TimeInForce::Ioc, order),
                        2 => timed(TimeInForce::Fok, order),
                        3 => timed(TimeInForce::Gtx, order),
                        _ => order,
                    };
                    let placed = desk.place(account, order);
                    if kind == 2 && twin.fillable(side, price) < quantity {
                        prop_assert_eq!(placed.expect_err("not fillable").code, -5021);
                        continue;
                    }
                    if kind == 3 && twin.next_for(side, Some(price)).is_some() {
                        prop_assert_eq!(placed.expect_err("would take").code, -5022);
                        continue;
                    }
                    let placed = placed.expect("a sound order");
                    twin.orders.push(Naive {
                        order_id: placed.order_id, account, side, price, quantity,
                        filled: Decimal::ZERO, arrival: 0, resting: false, post_only: kind == 3,
                    });
                    let at = twin.orders.len() - 1;
                    twin.work(at, (kind != 0).then_some(price), kind >= 3);
                }
                Move::Cancel { which } => {
                    let Some(order) = pick(&twin, which) else { continue };
                    let venue = desk.exchange.orders.by_id(twin.orders[order].order_id).expect("known").clone();
                    desk.cancel(venue.account, &venue).expect("open");
                    twin.orders[order].resting = false;
                }
                Move::Modify { which, lots, tick } => {
                    let Some(at) = pick(&twin, which) else { continue };
                    let order = twin.orders[at].clone();
                    let venue = desk.exchange.orders.by_id(order.order_id).expect("known").clone();
                    let (price, quantity) = (price_of(tick), Decimal::new(lots, 3));
                    let result = desk.modify(order.account, &venue, &price.to_string(), &quantity.to_string());
                    if (price, quantity) == (order.price, order.quantity) {
                        prop_assert_eq!(result.expect_err("the same").code, -5027);
                        continue;
                    }
                    prop_assert!(result.is_ok(), "{result:?}");
                    let would_take = twin.next_for(order.side, Some(price)).is_some();
                    if quantity <= order.filled || (order.post_only && would_take) {
                        twin.orders[at].resting = false;
                        continue;
                    }
                    twin.orders[at].quantity = quantity;
                    if price == order.price && quantity < order.quantity {
                        continue;
                    }
                    twin.orders[at].price = price;
                    twin.orders[at].resting = false;
                    twin.work(at, Some(price), true);
                }
            }
            let book = desk.book();
            prop_assert_eq!(&book.bids, &twin.levels(Side::Buy));
            prop_assert_eq!(&book.asks, &twin.levels(Side::Sell));
            for order in &twin.orders {
                let venue = desk.exchange.orders.by_id(order.order_id).expect("known");
                prop_assert_eq!((venue.executed_quantity, venue.status.is_open()), (order.filled, order.resting));
            }
        }
        let printed: Vec<_> = desk.outputs.iter().filter_map(|output| match output {
            Output::Trade(trade) => Some((trade.price, trade.quantity)),
            _ => None,
        }).collect();
        prop_assert_eq!(printed, twin.trades);
    }
}

fn pick(twin: &Twin, which: usize) -> Option<usize> {
    let open: Vec<usize> = (0..twin.orders.len()).filter(|at| twin.orders[*at].resting).collect();
    (!open.is_empty()).then(|| open[which % open.len()])
}
