//! What moved a venue, so that another process can make the same venue again.
//!
//! A venue is a function of its configuration, its first moment and its moves: the commands that accounts gave, and how many due things (agents'
//! actions, marks, fundings, expiries) were played between them. Whoever keeps them in order has its books, orders, accounts, fills and
//! numbers, without a second description of any of them. Not for recordings: how far those got depends on who read how fast.

use serde::{Deserialize, Serialize};

use super::api::{AccountId, Command, Reply};
use super::engine::Exchange;
use super::error::ApiError;

/// One move. The names are what a kept file says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// So many due things, earliest first.
    Played(u32),
    /// The market went on at this time (ns) after an absence that is not made up for.
    WentOn(u64),
    Commanded {
        at_ns: u64,
        account: AccountId,
        command: Command,
    },
}

/// A move that this venue cannot have made: it was another one, or the file is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing was due there, so it was another venue that did this")]
pub struct NotItsMove;

impl Exchange {
    /// From here on moves are kept until they are taken.
    pub fn keep_moves(&mut self) {
        self.moves.get_or_insert_default();
    }

    /// The moves since they were last taken, in order; none where they are not kept.
    pub fn take_moves(&mut self) -> Vec<Move> {
        self.moves.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Does it again. What others saw of it waits for [`hand_out`](Self::hand_out); a command's reply comes back.
    pub fn relive(&mut self, moved: Move) -> Result<Option<Result<Reply, ApiError>>, NotItsMove> {
        match moved {
            Move::Played(steps) => {
                for _ in 0..steps {
                    let (due, what) = self.next_due().ok_or(NotItsMove)?;
                    self.play_one(due, what, due);
                }
                Ok(None)
            }
            Move::WentOn(now) => {
                self.go_on(now);
                Ok(None)
            }
            Move::Commanded { at_ns, account, command } => {
                self.set_clock(at_ns);
                Ok(Some(self.obey(account, command)))
            }
        }
    }

    pub(super) fn moved(&mut self, moved: impl FnOnce() -> Move) {
        if let Some(moves) = &mut self.moves {
            moves.push(moved());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;

    const START: u64 = 1_700_000_000_000_000_000;
    const MS: u64 = 1_000_000;

    /// Everything that a client could ever see of it.
    fn seen(exchange: &mut Exchange) -> String {
        let now = exchange.next_wake().unwrap_or(START);
        let mut told = Vec::new();
        for symbol in ["BTCUSDT", "ETHUSDT"] {
            told.push(format!("{:?}", exchange.depth(now, symbol, Some(1000))));
            told.push(format!("{:?}", exchange.recent_trades(symbol, 1000)));
            for window in [Window::default(), Window { from_id: Some(0), ..Window::default() }] {
                let account = AccountId(1);
                let trades = Command::UserTrades { symbol: symbol.into(), order_id: None, window };
                told.push(format!("{:?}", exchange.execute(now, account, trades)));
                let orders = Command::AllOrders { symbol: symbol.into(), window };
                told.push(format!("{:?}", exchange.execute(now, account, orders)));
            }
        }
        told.push(format!("{:?}", exchange.execute(now, AccountId(1), Command::Account)));
        told.push(format!("{:?}", exchange.execute(now, AccountId(1), Command::OpenAlgos { symbol: None })));
        exchange.advance(now + 500 * MS, &mut |output| told.push(format!("{output:?}")));
        told.join("\n")
    }

    fn config() -> ExchangeConfig {
        ExchangeConfig {
            symbols: vec![SymbolSpec::btcusdt(), SymbolSpec::ethusdt()],
            funding_interval_ms: 1_000,
            ..ExchangeConfig::default()
        }
    }

    /// Orders that fill, rest, move, end and are refused, in a lively market, with an absence in the middle.
    fn lived() -> (Exchange, Vec<Move>) {
        let mut exchange = Exchange::new(config(), START).expect("stands");
        exchange.keep_moves();
        let mut moves = Vec::new();
        let mut now = START;
        let lots = |count: i64| Decimal::new(count, 3);
        for round in 0..200u64 {
            now += if round == 120 { 600_000 * MS } else { 37 * MS };
            exchange.advance(now, &mut |_| {});
            let symbol = if round % 3 == 0 { "ETHUSDT" } else { "BTCUSDT" };
            let side = if round % 2 == 0 { Side::Buy } else { Side::Sell };
            let top = exchange.book_ticker(now, symbol).expect("a market");
            let (bid, ask) = (top.bid.0, top.ask.0);
            let near = if side == Side::Buy { bid } else { ask };
            let named = |mut new: NewOrder| {
                new.client_order_id = Some(format!("own-{round}"));
                new
            };
            let account = AccountId(1);
            let quantity = lots(20 + round as i64 % 7);
            let command = match round % 8 {
                0..4 => Command::Place(named(NewOrder::limit(symbol, side, quantity, near))),
                4 => Command::Place(named(NewOrder::market(symbol, side, quantity))),
                5 => Command::Cancel {
                    symbol: symbol.into(),
                    order: OrderRef::ClientId(format!("own-{}", round - 3)),
                    name: None,
                },
                6 => Command::Place(named(NewOrder::limit(symbol, side, Decimal(1), near))),
                _ => Command::CancelAll { symbol: symbol.into() },
            };
            let _ = exchange.execute(now, account, command);
            moves.extend(exchange.take_moves());
        }
        (exchange, moves)
    }

    #[test]
    fn a_venue_is_made_again_from_its_moves() {
        let (mut first, moves) = lived();
        assert!(moves.iter().any(|moved| matches!(moved, Move::WentOn(_))));
        let mut second = Exchange::new(config(), START).expect("stands");
        for moved in moves {
            // As it comes back from a file.
            let text = serde_json::to_string(&moved).expect("JSON");
            let read = serde_json::from_str(&text).expect("the same");
            second.relive(read).expect("its own");
        }
        second.hand_out(&mut |_| {});
        first.hand_out(&mut |_| {});
        let (first, second) = (seen(&mut first), seen(&mut second));
        assert!(first.contains("own-4"), "{first}");
        assert_eq!(first, second);
    }

    #[test]
    fn a_venue_without_one_of_its_moves_is_another_one() {
        let (mut first, mut moves) = lived();
        let at = moves.iter().rposition(|moved| matches!(moved, Move::Played(_))).expect("played");
        moves.remove(at);
        let mut second = Exchange::new(config(), START).expect("stands");
        for moved in moves {
            second.relive(moved).expect("still plausible");
        }
        second.hand_out(&mut |_| {});
        first.hand_out(&mut |_| {});
        assert_ne!(seen(&mut first), seen(&mut second));
    }

    #[test]
    fn what_was_never_due_is_refused() {
        let quiet = ExchangeConfig { market: MarketConfig::Quiet, ..ExchangeConfig::default() };
        let mut exchange = Exchange::new(quiet, START).expect("stands");
        assert_eq!(exchange.relive(Move::Played(1)).expect_err("nothing due"), NotItsMove);
    }
}
