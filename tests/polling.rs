//! The polling feed against the simulated venue: what it tells is what happened there, each trade once, and a round that fails takes the
//! link down until the next.
#![cfg(feature = "embedded-venue")]

use std::collections::BTreeSet;
use std::sync::Arc;

use linchpin::core::event::{Body, Event, Execution, LinkState, ReportFlags};
use linchpin::core::id::{InstrumentId, VenueId};
use linchpin::core::instrument::Product;
use linchpin::core::time::Nanos;
use linchpin::venue::Directory;
use linchpin::venue::binance::hydrate::{Hydrator, Requests};
use linchpin::venue::polling::{PollingConfig, PollingFeed};
use linchpin_kit::dice::Dice;
use linchpin_kit::faults::Faults;
use linchpin_kit::venue::Venue;

const SYMBOL: &str = "BTCUSDT";
const STEP: u64 = 20_000_000;

/// The venue, a person who trades on it, and the feed that only asks.
struct Desk {
    venue: Venue,
    requests: Requests,
    hydrator: Hydrator,
    directory: Arc<Directory>,
    feed: PollingFeed,
    api: u64,
    now: u64,
    sent: u64,
    told: Vec<Event>,
}

impl Desk {
    fn open(seed: u64) -> Self {
        let mut venue = Venue::new(Dice::new(seed), Faults::default(), 400, 0);
        let requests = Requests::of(Product::LinearPerpetual);
        let mut hydrator = Hydrator::default();
        let target = requests.exchange_info().target(None, 0, None);
        let body = venue.rest("GET", &target).expect("exchange information");
        let symbols = [(InstrumentId(0), SYMBOL)];
        let product = Product::LinearPerpetual;
        let directory =
            hydrator.directory(VenueId(0), product, &symbols, body.as_bytes()).expect("a directory");
        let config = PollingConfig { interval: Nanos::from_millis(200), timeout: Nanos::from_secs(1) };
        let feed = PollingFeed::new(VenueId(0), &[InstrumentId(0)], config);
        let mut desk = Self {
            api: venue.accept("/ws-fapi/v1", 0),
            venue,
            requests,
            hydrator,
            directory: Arc::new(directory),
            feed,
            now: 0,
            sent: 0,
            told: Vec::new(),
        };
        desk.pass(20);
        desk.say("session.logon", "");
        desk.pass(20);
        desk
    }

    fn say(&mut self, method: &str, params: &str) {
        self.sent += 1;
        let text = format!(r#"{{"id":{},"method":"{method}","params":{{{params}}}}}"#, self.sent);
        self.venue.send(self.api, &text, self.now).expect("the socket is open");
    }

    fn place(&mut self, id: &str, side: &str, kind: &str) {
        let order = format!(
            r#""symbol":"{SYMBOL}","newClientOrderId":"{id}","side":"{side}","quantity":"0.010",{kind},"timestamp":1"#
        );
        self.say("order.place", &order);
    }

    /// So many steps of time, in each of which the feed may ask and be answered.
    fn pass(&mut self, steps: usize) {
        for _ in 0..steps {
            self.now += STEP;
            self.venue.advance(self.now);
            while self.venue.take(self.api, self.now).is_some() {}
            let now = Nanos::new(self.now);
            while let Some(poll) = self.feed.poll(now, &mut self.told) {
                let answer = self.ask(&poll);
                self.feed.on_answer(answer.as_deref(), now, &mut self.told);
            }
        }
    }

    fn ask(&mut self, poll: &linchpin::venue::polling::Poll) -> Option<Vec<Event>> {
        let requests = self.requests.of_poll(&self.directory, poll).expect("it can be asked");
        let mut bodies = Vec::new();
        for request in requests {
            let target = request.target(None, 0, None);
            bodies.push(self.venue.rest(request.method.name(), &target).ok()?.into_bytes());
        }
        self.hydrator.polled(&self.directory, poll, &bodies, Nanos::new(self.now)).ok()
    }

    /// The best prices, in the venue's decimal text, half a percent away: rests, and does not fill.
    fn far(&mut self, side: &str) -> String {
        let book = self.venue.book(SYMBOL);
        let best = if side == "BUY" { book.bids[0].0 } else { book.asks[0].0 };
        let best: f64 = best.to_string().parse().expect("a price");
        let price = if side == "BUY" { best * 0.97 } else { best * 1.03 };
        format!(r#""type":"LIMIT","timeInForce":"GTC","price":"{:.1}""#, price)
    }

    fn executions(&self, id: &str) -> Vec<Execution> {
        let of_it = |event: &Event| match event.body {
            Body::Order(report) if report.client_order_id.text() == Some(id) => Some(report.execution),
            _ => None,
        };
        self.told.iter().filter_map(of_it).collect()
    }

    fn links(&self) -> Vec<LinkState> {
        let state = |event: &Event| match event.body {
            Body::Link(link) => Some(link.state),
            _ => None,
        };
        self.told.iter().filter_map(state).collect()
    }

    /// Signed lots of all trades that were told, each once.
    fn traded(&self) -> i64 {
        let mut ids = BTreeSet::new();
        let mut sum = 0;
        for event in &self.told {
            let Body::Order(report) = event.body else { continue };
            assert!(!report.flags.has(ReportFlags::HYDRATED), "a poll's reports are news");
            if report.flags.has(ReportFlags::TRADE_ONLY) {
                assert!(ids.insert(report.trade_id), "trade {} was told twice", report.trade_id);
                sum += report.side.signed(report.last_quantity).raw();
            }
        }
        sum
    }

    fn position(&mut self) -> i64 {
        let lot = self.directory.listings()[0].definition.lot;
        lot.steps(self.venue.position(SYMBOL).to_string().as_bytes()).expect("whole lots")
    }
}

#[test]
fn an_orders_life_is_told_from_what_the_polls_show() {
    let mut desk = Desk::open(1);
    desk.pass(20);
    assert_eq!(desk.links(), [LinkState::Up], "silent until it knows what there is, then up");
    let price = desk.far("BUY");
    desk.place("rests", "BUY", &price);
    desk.pass(30);
    assert_eq!(desk.executions("rests"), [Execution::New]);
    let order = format!(
        r#""symbol":"{SYMBOL}","origClientOrderId":"rests","side":"BUY","quantity":"0.020",{price},"timestamp":1"#
    );
    let order = order.replace(r#""type":"LIMIT","timeInForce":"GTC","#, "");
    desk.say("order.modify", &order);
    desk.pass(30);
    assert_eq!(desk.executions("rests"), [Execution::New, Execution::Replaced]);
    desk.say("order.cancel", &format!(r#""symbol":"{SYMBOL}","origClientOrderId":"rests","timestamp":1"#));
    desk.pass(30);
    assert_eq!(desk.executions("rests"), [Execution::New, Execution::Replaced, Execution::Cancelled]);
    assert_eq!(desk.traded(), 0);
}

#[test]
fn every_fill_is_told_once_and_they_add_up_to_the_venues_position() {
    for seed in 1..6 {
        let mut desk = Desk::open(seed);
        desk.pass(20);
        for n in 0..12 {
            // Filled and gone between two rounds: seen in its trades alone.
            let side = if (n + seed) % 3 == 0 { "SELL" } else { "BUY" };
            desk.place(&format!("m{n}"), side, r#""type":"MARKET""#);
            desk.pass(7);
        }
        desk.pass(30);
        let (told, there) = (desk.traded(), desk.position());
        assert!(there != 0 && desk.feed.counters().trades >= 12, "{:?}", desk.feed.counters());
        assert_eq!(told, there, "seed {seed}");
        let last = desk.told.iter().rev().find_map(|event| match event.body {
            Body::Position(position) => Some(position.quantity.raw()),
            _ => None,
        });
        assert_eq!(last, Some(there), "seed {seed}");
    }
}

#[test]
fn a_round_that_fails_takes_the_link_down_and_what_was_before_is_not_told_again() {
    let mut desk = Desk::open(3);
    desk.place("before", "BUY", r#""type":"MARKET""#);
    desk.pass(30);
    let before = desk.traded();
    desk.venue.faults.rest_failed = u32::MAX;
    desk.pass(30);
    assert_eq!(desk.links(), [LinkState::Up, LinkState::Down]);
    desk.place("meanwhile", "BUY", r#""type":"MARKET""#);
    desk.pass(30);
    desk.venue.faults.rest_failed = 0;
    desk.pass(30);
    assert_eq!(desk.links(), [LinkState::Up, LinkState::Down, LinkState::Up]);
    assert_eq!(desk.traded(), before, "the core's own read-back tells of the time between");
    desk.place("after", "SELL", r#""type":"MARKET""#);
    desk.pass(30);
    assert_eq!(desk.traded(), before - 10);
}

#[test]
fn an_answer_that_never_comes_fails_the_round() {
    let mut desk = Desk::open(4);
    desk.pass(20);
    let mut now = Nanos::new(desk.now) + Nanos::from_secs(1);
    assert!(desk.feed.poll(now, &mut desk.told).is_some());
    assert_eq!(desk.feed.poll(now, &mut desk.told), None, "one question at a time");
    now = desk.feed.next_deadline();
    assert_eq!(desk.feed.poll(now, &mut desk.told), None);
    assert_eq!(desk.links(), [LinkState::Up, LinkState::Down]);
}
