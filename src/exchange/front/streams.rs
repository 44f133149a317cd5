//! Stream names: what a client subscribes to, and which address serves it.
//!
//! `<symbol>@depth[@0ms|@100ms|@500ms]`, `@depth<5|10|20>[...]`, `@aggTrade`, `@trade`, `@bookTicker`, `@markPrice[@1s]`, and listen keys. As at the exchange, a name that
//! means nothing is accepted and stays silent. `/public` serves depth and best prices, `/market` the rest, `/private` the account, and the former
//! unified address everything; `@trade`, which today's documents do not place, is served on both public addresses.

use super::super::{Product, StreamKind, Symbol};
use super::tickers;

/// Which part of the exchange an address reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    Unified,
    Public,
    Market,
    Private,
    /// The WebSocket API's own connection, which on spot carries private events.
    Api,
}

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// Changes of the whole book, gathered over `every_ms` (zero: each as it happens).
    Depth {
        every_ms: u32,
    },
    /// The best `levels` of the book, every `every_ms` in which it changed.
    PartialDepth {
        levels: u32,
        every_ms: u32,
    },
    AggTrade,
    Trade,
    BookTicker,
    MarkPrice {
        every_s: u32,
    },
    /// Candles of one length, by its number in [`tickers::INTERVALS`].
    Kline {
        interval: usize,
    },
    Ticker,
    MiniTicker,
    /// Liquidations.
    ForceOrder,
    /// The same of every symbol on one stream.
    AllBookTickers,
    AllTickers,
    AllMiniTickers,
    AllMarkPrices {
        every_s: u32,
    },
    AllForceOrders,
    /// An account's private events.
    User {
        account: u32,
    },
    /// A name that this venue has nothing for.
    Silent,
}

/// One stream of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// As the client wrote it, and as combined messages and LIST_SUBSCRIPTIONS repeat it.
    pub name: String,
    /// The venue's symbol; `None` for accounts and silence.
    pub symbol: Option<Symbol>,
    pub feed: Feed,
}

impl Subscription {
    /// Reads a market stream's name. `known` finds the venue's symbol for an upper-case text.
    pub fn read(
        name: &str,
        address: Address,
        product: Product,
        known: impl Fn(&str) -> Option<Symbol>,
    ) -> Subscription {
        let silent = Subscription { name: name.to_owned(), symbol: None, feed: Feed::Silent };
        if let Some(feed) = feed_of_all(name).filter(|feed| address.serves(*feed)) {
            return Subscription { feed, ..silent };
        }
        let Some((symbol, rest)) = name.split_once('@') else { return silent };
        if symbol.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return silent;
        }
        let (Some(symbol), Some(feed)) = (known(&symbol.to_ascii_uppercase()), feed(rest, product)) else {
            return silent;
        };
        if !address.serves(feed) {
            return silent;
        }
        Subscription { symbol: Some(symbol), feed, ..silent }
    }
}

impl Address {
    fn serves(self, feed: Feed) -> bool {
        match self {
            Address::Unified => true,
            Address::Public => matches!(
                feed,
                Feed::Depth { .. }
                    | Feed::PartialDepth { .. }
                    | Feed::BookTicker
                    | Feed::AllBookTickers
                    | Feed::Trade
            ),
            Address::Market => !matches!(
                feed,
                Feed::Depth { .. }
                    | Feed::PartialDepth { .. }
                    | Feed::BookTicker
                    | Feed::AllBookTickers
                    | Feed::User { .. }
            ),
            Address::Private | Address::Api => matches!(feed, Feed::User { .. }),
        }
    }
}

impl Feed {
    pub fn is_market(self) -> bool {
        !matches!(self, Feed::User { .. } | Feed::Silent)
    }

    /// Whether it is of every symbol.
    pub fn is_of_all(self) -> bool {
        matches!(
            self,
            Feed::AllBookTickers
                | Feed::AllTickers
                | Feed::AllMiniTickers
                | Feed::AllMarkPrices { .. }
                | Feed::AllForceOrders
        )
    }

    /// Whether it is told once a second rather than when something happens.
    pub fn is_by_the_second(self) -> bool {
        matches!(
            self,
            Feed::Kline { .. }
                | Feed::Ticker
                | Feed::MiniTicker
                | Feed::AllTickers
                | Feed::AllMiniTickers
                | Feed::AllMarkPrices { .. }
        )
    }

    /// Whether a recording's messages of `kind` belong on this stream. A recording has one depth stream, and it serves every speed.
    pub fn takes(self, kind: StreamKind) -> bool {
        match kind {
            StreamKind::Depth => matches!(self, Feed::Depth { .. }),
            StreamKind::Trade => self == Feed::Trade,
            StreamKind::AggTrade => self == Feed::AggTrade,
            StreamKind::BookTicker => self == Feed::BookTicker,
            StreamKind::MarkPrice => matches!(self, Feed::MarkPrice { .. }),
            StreamKind::Other => false,
        }
    }
}

/// Streams of all symbols.
fn feed_of_all(name: &str) -> Option<Feed> {
    Some(match name {
        "!bookTicker" => Feed::AllBookTickers,
        "!ticker@arr" => Feed::AllTickers,
        "!miniTicker@arr" => Feed::AllMiniTickers,
        "!markPrice@arr" => Feed::AllMarkPrices { every_s: 3 },
        "!markPrice@arr@1s" => Feed::AllMarkPrices { every_s: 1 },
        "!forceOrder@arr" => Feed::AllForceOrders,
        _ => return None,
    })
}

fn feed(rest: &str, product: Product) -> Option<Feed> {
    let (kind, speed) = match rest.split_once('@') {
        Some((kind, speed)) => (kind, Some(speed)),
        None => (rest, None),
    };
    match (kind, speed) {
        ("aggTrade", None) => Some(Feed::AggTrade),
        ("trade", None) => Some(Feed::Trade),
        ("bookTicker", None) => Some(Feed::BookTicker),
        ("ticker", None) => Some(Feed::Ticker),
        ("miniTicker", None) => Some(Feed::MiniTicker),
        ("forceOrder", None) if product == Product::UsdmPerpetual => Some(Feed::ForceOrder),
        ("markPrice", _) if product == Product::Spot => None,
        ("markPrice", None) => Some(Feed::MarkPrice { every_s: 3 }),
        ("markPrice", Some("1s")) => Some(Feed::MarkPrice { every_s: 1 }),
        (kind, speed) => {
            if let (Some(length), None) = (kind.strip_prefix("kline_"), speed) {
                return tickers::interval(length).map(|interval| Feed::Kline { interval });
            }
            let levels = kind.strip_prefix("depth")?;
            let every_ms = match speed {
                None | Some("1000ms") if product == Product::Spot => 1000,
                None | Some("250ms" | "250") => 250,
                Some("0ms") if levels.is_empty() => 0,
                Some("100ms") => 100,
                Some("500ms") => 500,
                Some(_) => return None,
            };
            match levels {
                "" => Some(Feed::Depth { every_ms }),
                "5" | "10" | "20" => Some(Feed::PartialDepth { levels: levels.parse().ok()?, every_ms }),
                _ => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, address: Address) -> Feed {
        let known = |symbol: &str| (symbol == "BTCUSDT").then(|| symbol.into());
        Subscription::read(name, address, Product::UsdmPerpetual, known).feed
    }

    #[test]
    fn documented_names_read_and_others_are_silent() {
        for (name, feed) in [
            ("btcusdt@depth", Feed::Depth { every_ms: 250 }),
            ("btcusdt@depth@0ms", Feed::Depth { every_ms: 0 }),
            ("btcusdt@depth@100ms", Feed::Depth { every_ms: 100 }),
            ("btcusdt@depth20@500ms", Feed::PartialDepth { levels: 20, every_ms: 500 }),
            ("btcusdt@depth7", Feed::Silent),
            ("btcusdt@aggTrade", Feed::AggTrade),
            ("btcusdt@trade", Feed::Trade),
            ("btcusdt@bookTicker", Feed::BookTicker),
            ("btcusdt@markPrice", Feed::MarkPrice { every_s: 3 }),
            ("btcusdt@markPrice@1s", Feed::MarkPrice { every_s: 1 }),
            ("BTCUSDT@trade", Feed::Silent),
            ("ethusdt@trade", Feed::Silent),
            ("0", Feed::Silent),
            ("", Feed::Silent),
        ] {
            assert_eq!(read(name, Address::Unified), feed, "{name}");
        }
    }

    #[test]
    fn the_split_addresses_serve_only_their_own() {
        assert_eq!(read("btcusdt@depth", Address::Public), Feed::Depth { every_ms: 250 });
        assert_eq!(read("btcusdt@aggTrade", Address::Public), Feed::Silent);
        assert_eq!(read("btcusdt@aggTrade", Address::Market), Feed::AggTrade);
        assert_eq!(read("btcusdt@bookTicker", Address::Market), Feed::Silent);
        assert_eq!(read("btcusdt@bookTicker", Address::Private), Feed::Silent);
    }
}
