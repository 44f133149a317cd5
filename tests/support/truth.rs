//! The venue's own word about the account: asked over its REST door with a client of our own, never of the engine under test.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use linchpin::core::instrument::Product;
use linchpin::exchange::Decimal;
use linchpin::net::Endpoint;
use linchpin::net::http::{HttpClient, HttpOptions, HttpRequest, Method};
use linchpin::net::tls::{TlsClient, TlsTrust};
use linchpin::sys::clock::Clock;
use linchpin::threads::requester::{Read as _, Rest, measure_clock};
use linchpin::venue::binance::hydrate::{API_KEY_HEADER, Hydrator, Requests, RestRequest, TradesFrom};
use linchpin::venue::binance::sign::{Credentials, Signer, percent_encode};
use serde_json::Value;

use super::PATIENCE;

/// Who asks.
pub struct Truth {
    rest: Rest<Clock>,
    /// Beside the engine's own types, which can place no order: for a person with the same key.
    by_hand: HttpClient,
    base: Endpoint,
    credentials: Arc<Credentials>,
}

/// What a USD-M venue says.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    /// By symbol, as decimal text without trailing zeros.
    pub positions: Vec<(String, String)>,
    /// Client order ids, sorted.
    pub open_orders: Vec<String>,
    pub trades: u64,
    /// What they cost.
    pub fees: Decimal,
}

impl Truth {
    pub fn at(port: u16, authority: &Path, key: &[String; 2]) -> Truth {
        let [id, secret] = key;
        let signer = Signer::from_key_text(secret.trim()).expect("a key");
        let credentials = Credentials::new(id.trim(), signer).expect("credentials");
        let tls = TlsClient::new(&TlsTrust::CaFile(authority.to_owned())).expect("trust");
        let base: Endpoint = format!("https://127.0.0.1:{port}").parse().expect("an address");
        let [http, by_hand] = [0, 1].map(|_| HttpClient::new(Some(&tls), HttpOptions::default()));
        let credentials = Arc::new(credentials);
        let rest = Rest::new(http, base.clone(), Some(credentials.clone()), Clock::new());
        Truth { rest, by_hand, base, credentials }
    }

    /// An order that no engine sent, filled at once.
    pub fn buys_at_market(&mut self, symbol: &str, quantity: &str) {
        let now = Clock::new().now() / 1_000_000;
        let order = format!(
            "symbol={symbol}&side=BUY&type=MARKET&quantity={quantity}&newOrderRespType=RESULT&recvWindow=60000&timestamp={now}"
        );
        let mut signature = String::new();
        percent_encode(self.credentials.signer().sign(order.as_bytes()).as_str(), &mut signature);
        let target = format!("/fapi/v1/order?{order}&signature={signature}");
        let endpoint = self.base.with_path(&target).expect("an address");
        let headers = [(API_KEY_HEADER, self.credentials.api_key())];
        let request = HttpRequest { method: Method::Post, endpoint: &endpoint, headers: &headers, body: &[] };
        let answer = self.by_hand.send(&request).expect("an answer");
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(body.contains("\"status\":\"FILLED\""), "{body}");
    }

    pub fn account(&mut self, symbols: &[&str]) -> Account {
        let requests = Requests::of(Product::LinearPerpetual);
        let mut rows = |request: &RestRequest| self.rows(requests, request);
        let risk = rows(&requests.position_risk().expect("futures have one"));
        let position = |symbol: &str| {
            let row = risk.iter().find(|row| row["symbol"] == symbol);
            plain(row.and_then(|row| row["positionAmt"].as_str()).unwrap_or("0"))
        };
        let (mut trades, mut fees) = (0, Decimal::ZERO);
        for symbol in symbols {
            let mut from = TradesFrom::Id(0);
            loop {
                let page = rows(&requests.user_trades(symbol, from));
                trades += page.len() as u64;
                fees += page.iter().map(commission).sum::<Decimal>();
                let Some(last) = page.last().filter(|_| page.len() >= 1_000) else { break };
                from = TradesFrom::Id(last["id"].as_u64().expect("a number") + 1);
            }
        }
        let orders = rows(&requests.open_orders());
        let id = |row: &Value| row["clientOrderId"].as_str().expect("an id").to_owned();
        let mut open_orders: Vec<String> = orders.iter().map(id).collect();
        open_orders.sort();
        let positions = symbols.iter().map(|symbol| (symbol.to_string(), position(symbol))).collect();
        Account { positions, open_orders, trades, fees }
    }

    /// The answer to a signed question. On a busy machine the way there may take longer than the question is valid (-1021): then it is asked again.
    fn rows(&mut self, requests: Requests, request: &RestRequest) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            measure_clock(&mut self.rest, &Clock::new(), requests, &mut Hydrator::default())
                .expect("the venue's time");
            let body = self.rest.read(request).expect("an answer");
            match serde_json::from_slice(&body) {
                Ok(Value::Array(rows)) => return rows,
                Ok(refusal) if refusal["code"] == -1021 && Instant::now() < until => {}
                _ => panic!("no list of {request:?}: {}", String::from_utf8_lossy(&body)),
            }
        }
    }
}

fn commission(trade: &Value) -> Decimal {
    let text = trade["commission"].as_str().expect("a commission");
    Decimal::parse(text).expect("a decimal number")
}

/// `+0.0100` and `0.01` are one.
pub fn plain(text: &str) -> String {
    let text = text.trim_start_matches('+');
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if text.is_empty() || text == "-0" { "0".to_owned() } else { text.to_owned() }
}
