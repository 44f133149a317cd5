//! The venue as a whole: rules by example, matching against a naive twin, money against a sum, markets against their sources.

mod agents;
mod conditions;
mod entry;
mod matching;
mod money;
mod recording;
mod solvency;
mod spot;

use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Any moment will do; this one is in 2024.
const START: u64 = 1_723_161_600 * SECOND;

const ONE: AccountId = AccountId(1);
const TWO: AccountId = AccountId(2);

/// A venue with two accounts and nobody else, and a clock that moves a millisecond with every command.
struct Desk {
    exchange: Exchange,
    now: u64,
    outputs: Vec<Output>,
}

impl Desk {
    fn quiet() -> Desk {
        Desk::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut ExchangeConfig)) -> Desk {
        let mut config = ExchangeConfig {
            accounts: vec![AccountSpec::default(), AccountSpec::default()],
            market: MarketConfig::Quiet,
            ..ExchangeConfig::default()
        };
        change(&mut config);
        Desk {
            exchange: Exchange::new(config, START).expect("a sound configuration"),
            now: START,
            outputs: Vec::new(),
        }
    }

    fn send(&mut self, account: AccountId, command: Command) -> Result<Reply, ApiError> {
        self.now += MS;
        let reply = self.exchange.execute(self.now, account, command);
        let outputs = &mut self.outputs;
        self.exchange.advance(self.now, &mut |output| outputs.push(output));
        reply
    }

    fn order(&mut self, account: AccountId, command: Command) -> Result<Order, ApiError> {
        self.send(account, command).map(|reply| match reply {
            Reply::Order(order) => order,
            other => panic!("not an order: {other:?}"),
        })
    }

    fn place(&mut self, account: AccountId, new: NewOrder) -> Result<Order, ApiError> {
        self.order(account, Command::Place(new))
    }

    fn refusal(&mut self, account: AccountId, new: NewOrder) -> i32 {
        self.place(account, new).expect_err("taken").code
    }

    fn modify(
        &mut self,
        account: AccountId,
        order: &Order,
        price: &str,
        quantity: &str,
    ) -> Result<Order, ApiError> {
        let modify = ModifyOrder {
            symbol: order.symbol.clone(),
            order: OrderRef::Id(order.order_id),
            side: order.side,
            quantity: d(quantity),
            price: d(price),
        };
        self.order(account, Command::Modify(modify))
    }

    fn cancel(&mut self, account: AccountId, order: &Order) -> Result<Order, ApiError> {
        self.order(
            account,
            Command::Cancel { symbol: order.symbol.clone(), order: OrderRef::Id(order.order_id), name: None },
        )
    }

    fn query(&mut self, account: AccountId, order: &Order) -> Order {
        self.order(
            account,
            Command::QueryOrder { symbol: order.symbol.clone(), order: OrderRef::Id(order.order_id) },
        )
        .expect("an order that was taken is found")
    }

    fn balance(&mut self, account: AccountId) -> Balance {
        match self.send(account, Command::Balances) {
            Ok(Reply::Balances(mut balances)) => balances.remove(0),
            other => panic!("no balances: {other:?}"),
        }
    }

    fn position(&mut self, account: AccountId) -> Position {
        match self.send(account, Command::PositionRisk { symbol: Some("BTCUSDT".into()) }) {
            Ok(Reply::Positions(mut positions)) => positions.remove(0),
            other => panic!("no positions: {other:?}"),
        }
    }

    fn book(&mut self) -> DepthSnapshot {
        match self.exchange.depth(self.now, "BTCUSDT", Some(1000)) {
            Ok(DepthReply::Ready(snapshot)) => snapshot,
            other => panic!("no book: {other:?}"),
        }
    }

    /// What has been said since the last call, one word each.
    fn heard(&mut self) -> Vec<String> {
        self.outputs.drain(..).map(|output| word(&output)).collect()
    }
}

fn word(output: &Output) -> String {
    match output {
        Output::Depth(_) => "depth".to_owned(),
        Output::BookTicker(_) => "ticker".to_owned(),
        Output::Trade(trade) => format!("trade {}", trade.quantity),
        Output::AggTrade(trade) => format!("agg {}", trade.quantity),
        Output::MarkPrice(_) => "mark".to_owned(),
        Output::Recorded(frame) => format!("recorded {}", frame.stream),
        Output::Order(account, update) => {
            format!("{} {} {}", account.0, update.execution, update.order.status)
        }
        Output::Account(account, _) => format!("{} account", account.0),
        Output::Algo(account, algo) => format!("{} algo {}", account.0, algo.status),
        Output::ForceOrder(_) => "force".to_owned(),
        Output::DepthReady(_, _) => "depth ready".to_owned(),
        Output::Ended(ending) => format!("ended {ending}"),
    }
}

fn d(text: &str) -> Decimal {
    Decimal::parse(text).expect("a literal")
}

fn limit(side: Side, quantity: &str, price: &str) -> NewOrder {
    NewOrder::limit("BTCUSDT", side, d(quantity), d(price))
}

fn market(side: Side, quantity: &str) -> NewOrder {
    NewOrder::market("BTCUSDT", side, d(quantity))
}

fn timed(time_in_force: TimeInForce, order: NewOrder) -> NewOrder {
    NewOrder { time_in_force: Some(time_in_force), ..order }
}

fn reduce(order: NewOrder) -> NewOrder {
    NewOrder { reduce_only: Some(true), ..order }
}
