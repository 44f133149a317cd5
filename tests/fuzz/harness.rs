//! What every fuzz target asserts, once: the targets under `fuzz_targets/` run these functions on what libFuzzer invents, and
//! `tests/fuzz_corpora.rs` runs them on stable over the committed corpora and mutations of them.
//!
//! Each takes any bytes, must not panic by itself, and panics when the code under it breaks a promise.
#![allow(dead_code, reason = "each target calls one of them")]

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use linchpin::config::{Config, Overrides};
use linchpin::control::names::{Named, Names, ParameterNames};
use linchpin::control::{MAX_REASON, Request};
use linchpin::core::codec::MAX_PAYLOAD;
use linchpin::core::dispatch::{Dispatch, DispatchFlags};
use linchpin::core::event::{
    Body, ControlVerb, Event, Execution, HydrationPhase, HydrationScope, LinkReason, LinkState, OrderKind,
    PositionSide, RequestKind, Side, TimeInForce, TriggerBy,
};
use linchpin::core::id::{
    ClientOrderId, InstrumentId, OrderIndex, OrderKey, StrategyId, VenueId, VenueOrderId,
};
use linchpin::core::instrument::Product;
use linchpin::core::num::{DecimalText, Increment, Price, Quantity};
use linchpin::core::record::{Ask, Decision};
use linchpin::core::strategy::market_maker::Parameters;
use linchpin::core::time::Nanos;
use linchpin::exchange::front::params::Params;
use linchpin::exchange::front::requests;
use linchpin::exchange::moves::Move;
use linchpin::exchange::{
    AccountId, Exchange, ExchangeConfig, MarketConfig, Output, RecordingConfig, Speed, infer_symbols,
};
use linchpin::journal::snapshot::{self, Head, Snapshot};
use linchpin::journal::{End, Options, Reader, Segments, SessionHeader, SessionId, Writer};
use linchpin::kill_flag::KillFlag;
use linchpin::net::frame::{Inbox, Kind};
use linchpin::venue::binance::feed::{FeedConfig, FeedOutput, MarketFeed};
use linchpin::venue::binance::hydrate::{self, AccountBodies, Conversation, Hydrator};
use linchpin::venue::binance::json::JsonReader;
use linchpin::venue::binance::market::{Incoming, Levels, MarketBody};
use linchpin::venue::binance::orders::{OrderEntry, OrderEntryConfig};
use linchpin::venue::binance::private::PrivateStream;
use linchpin::venue::binance::sign::{Credentials, Signer};
use linchpin::venue::binance::{parse, scan};
use linchpin::venue::{Directory, EventSink};

pub type Target = fn(&[u8]);

/// Every target, by the name of its file and of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("market", market),
    ("feed", feed),
    ("private", private),
    ("spot_private", spot_private),
    ("orders", orders),
    ("requests", requests),
    ("hydrate", hydrate),
    ("conversation", conversation),
    ("frames", frames),
    ("journal", journal),
    ("event", event),
    ("dispatch", dispatch),
    ("decision", decision),
    ("configuration", configuration),
    ("decimal", decimal),
    ("control", control),
    ("commands", commands),
    ("venue_requests", venue_requests),
    ("recording", recording),
    ("kill_flag", kill_flag),
    ("state_file", state_file),
    ("key", key),
];

/// A request from anybody: what is taken reads back from its own line, and a key and its value are taken or refused, never
/// half.
pub fn control(bytes: &[u8]) {
    thread_local! {
        static NAMES: Names = names();
    }
    let Ok(request) = Request::parse(bytes) else { return };
    assert_eq!(
        Request::parse(request.to_line().as_bytes()),
        Ok(request.clone()),
        "it reads back differently"
    );
    assert!(request.reason().chars().count() <= MAX_REASON, "a reason without a bound");
    if let Request::Set { key, value, .. } = &request {
        NAMES.with(|names| {
            if let Ok(control) = names.setting(key, value) {
                let is_setting = matches!(control.verb, ControlVerb::SetLimit | ControlVerb::SetParameter);
                assert!(is_setting, "set is another verb");
            }
        });
    }
}

fn names() -> Names {
    let directory = directory(Product::LinearPerpetual);
    let named = |listing: &linchpin::venue::Listing| Named {
        symbol: listing.symbol().to_owned(),
        venue: VenueId(0),
        definition: listing.definition,
    };
    Names {
        venues: vec!["demo".to_owned()],
        strategies: vec!["maker".to_owned()],
        parameters: vec![ParameterNames { changeable: Parameters::CHANGEABLE, ..ParameterNames::default() }],
        instruments: directory.listings().iter().map(named).collect(),
        assets: directory.assets().map(|(_, name)| name.to_owned()).collect(),
    }
}

thread_local! {
    static CREDENTIALS: Arc<Credentials> = {
        let signer = Signer::from_key_text("fuzz").expect("any text is an HMAC secret");
        Arc::new(Credentials::new("fuzz", signer).expect("letters are a key"))
    };
}

/// Whatever the scanner takes, the JSON parser must take with the same meaning.
pub fn market(text: &[u8]) {
    thread_local! {
        static BOTH: [Directory; 2] = [directory(Product::LinearPerpetual), directory(Product::Spot)];
        static JSON: RefCell<JsonReader> = RefCell::new(JsonReader::with_capacity(1024));
    }
    BOTH.with(|both| {
        for directory in both {
            let (mut scanned_levels, mut parsed_levels) = (Levels::new(), Levels::new());
            let scanned = scan::scan(text, directory, &mut 0, &mut scanned_levels);
            let (mut row, levels) = (0, &mut parsed_levels);
            let parsed = JSON.with_borrow_mut(|reader| {
                reader.read(text, |json| {
                    parse::incoming(json, directory, &mut row, levels).map_err(|bad| bad.error)
                })
            });
            let Ok(scanned) = scanned else { continue };
            assert_eq!(parsed, Ok(Incoming::Market(scanned)), "scanner and parser differ");
            if let MarketBody::Depth(_) = scanned.body {
                assert_eq!(scanned_levels, parsed_levels, "scanner and parser differ in levels");
            }
        }
    });
}

/// Lines as messages of one connection; a line that begins with `=` is the answer to a snapshot request. Depth comes out only as
/// snapshots and updates that chain on, and no message gives more events than the feed says.
pub fn feed(text: &[u8]) {
    struct Sink(Vec<Event>);
    impl EventSink for Sink {
        fn event(&mut self, event: Event) {
            self.0.push(event);
        }
    }
    impl FeedOutput for Sink {
        fn send(&mut self, _connection: usize, _text: &str) {}
        fn want_snapshot(&mut self, _instrument: InstrumentId, _limit: u16) {}
        fn drop_connection(&mut self, _connection: usize, _reason: LinkReason) {}
        fn renew_connection(&mut self, _connection: usize) {}
    }
    let directory = Arc::new(directory(Product::LinearPerpetual));
    let Ok(mut feed) = MarketFeed::new(directory, FeedConfig::default()) else { return };
    let mut out = Sink(Vec::new());
    let (most_of_message, most_of_snapshot) =
        (feed.most_events_per_message(), feed.most_events_per_snapshot());
    feed.on_open(0, Nanos::ZERO, &mut out);
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let now = Nanos::from_secs(at as u64);
        let before = out.0.len();
        let most = if let Some(body) = line.strip_prefix(b"=") {
            let _ = feed.on_snapshot(InstrumentId(0), Some(body), now, &mut out);
            most_of_snapshot
        } else {
            let _ = feed.on_message(0, line, now, || now, &mut out);
            most_of_message
        };
        assert!(out.0.len() - before <= most, "more events than was said");
        feed.poll(now, &mut out);
    }
    chained(&out.0);
}

/// The promise to the core: after a loss only a snapshot, after that only updates that continue.
fn chained(events: &[Event]) {
    let mut last: Option<(u64, bool)> = None;
    for event in events {
        match &event.body {
            Body::BookLost(_) => last = None,
            Body::Depth(depth) if depth.part.snapshot => last = Some((depth.last_update, true)),
            Body::Depth(depth) => {
                let Some((known, fresh)) = last else { panic!("an update before any snapshot: {events:?}") };
                let continues = depth.previous_update == known;
                let bridges = fresh && depth.first_update <= known && known <= depth.last_update;
                assert!(continues || bridges, "an update that does not continue: {depth:?} after {known}");
                last = Some((depth.last_update, false));
            }
            _ => {}
        }
    }
}

/// Lines as messages of a spot stream that has asked for its subscription: the same promise, and no replacement ends an order by half.
pub fn spot_private(text: &[u8]) {
    let key = CREDENTIALS.with(Arc::clone);
    let directory = Arc::new(directory(Product::Spot));
    let mut stream = PrivateStream::of_product(directory, 0, key, Some(5_000));
    let (mut events, mut frame): (Vec<Event>, Vec<u8>) = (Vec::new(), Vec::new());
    assert!(stream.on_open(Nanos::ZERO, &mut frame, &mut events), "it subscribes");
    for line in text.split(|byte| *byte == b'\n') {
        let before = events.len();
        let read = stream.on_message(line, Nanos::ZERO, || Nanos::ZERO, &mut events);
        let told = &events[before..];
        assert!(told.len() <= stream.most_events_per_message());
        if read.is_err() {
            assert!(
                matches!(told, [Event { body: Body::Link(link), .. }] if link.state == LinkState::Down),
                "an unreadable private message must be told as a link that is down: {told:?}"
            );
        }
        let is_half = line.windows(12).any(|part| part == b"\"replacing-1\"");
        let cancelled = told.iter().any(
            |event| matches!(event.body, Body::Order(report) if report.execution == Execution::Cancelled),
        );
        let rejected = line.windows(8).any(|part| part == b"REJECTED");
        assert!(!(is_half && cancelled) || rejected, "half a replacement has ended its order");
    }
}

/// A dispatch becomes JSON whose parameters are sorted and signed as they stand, and the same parameters over REST; or it is refused and
/// nothing is in flight.
pub fn requests(bytes: &[u8]) {
    let Ok(decoded) = Dispatch::decode(bytes) else { return };
    let dispatch = Dispatch { instrument: InstrumentId(0), ..decoded };
    for product in [Product::LinearPerpetual, Product::Spot] {
        let key = CREDENTIALS.with(Arc::clone);
        let mut session =
            OrderEntry::new(Arc::new(directory(product)), key.clone(), OrderEntryConfig::default());
        let mut frame = Vec::new();
        session.on_open(Nanos::ZERO, &mut frame, &mut Vec::<Event>::new());
        let encoded = session.encode(&dispatch, Nanos::from_secs(1), &mut frame);
        let rest = session.rest(&dispatch, Nanos::from_secs(1));
        assert_eq!(encoded.is_ok(), rest.is_ok(), "{encoded:?}");
        assert_eq!(session.in_flight(), usize::from(encoded.is_ok()));
        let (Ok(()), Ok(rest)) = (encoded, rest) else { continue };
        let mut keys: Vec<String> = Vec::new();
        let (mut payload, mut signature) = (String::new(), String::new());
        JsonReader::with_capacity(1024)
            .read(&frame, |json| {
                let params = json.need("params")?;
                for pair in
                    String::from_utf8_lossy(&frame).split("\"params\":{").nth(1).unwrap_or("").split(",\"")
                {
                    let key = pair.trim_start_matches('"').split('"').next().unwrap_or("").to_owned();
                    keys.push(key);
                }
                signature = params.text("signature")?.to_owned();
                Ok(())
            })
            .expect("a request is JSON");
        assert_eq!(keys.pop().as_deref(), Some("signature"));
        assert!(keys.is_sorted(), "{keys:?}");
        // What is signed is what stands there: key=value, joined.
        let text = String::from_utf8(frame).expect("JSON is UTF-8");
        let params = text.split("\"params\":{").nth(1).expect("parameters").split(",\"signature\"").next();
        for pair in params.expect("parameters").split(",\"") {
            let (key, value) = pair.trim_start_matches('"').split_once("\":").expect("a pair");
            let joint = if payload.is_empty() { "" } else { "&" };
            payload.push_str(&format!("{joint}{key}={}", value.trim_matches('"')));
        }
        assert_eq!(key.signer().sign(payload.as_bytes()).as_str(), signature, "{payload}");
        let bare: Vec<&str> = payload.split('&').filter(|pair| !pair.starts_with("apiKey=")).collect();
        let sent = rest.query.rsplit_once("&signature=").expect("signed").0;
        assert_eq!(sent.split('&').count(), bare.len(), "{sent} {payload}");
    }
}

/// Lines as the bodies of one conversation: a whole bracket, or one `Failed` or `NotFound`, and no endless asking.
pub fn conversation(text: &[u8]) {
    for product in [Product::LinearPerpetual, Product::Spot] {
        let directory = directory(product);
        for scope in [HydrationScope::Account, HydrationScope::Instrument, HydrationScope::Order] {
            let ask = Ask {
                number: 1,
                venue: VenueId(0),
                scope,
                instrument: InstrumentId(0),
                client_order_id: ClientOrderId::from_text(b"fuzz0-0000000001"),
                venue_order_id: VenueOrderId(0),
                after_trade: 0,
                since: Nanos::ZERO,
            };
            let mut hydrator = Hydrator::default();
            let mut talk = Conversation::of(&directory, &ask, Nanos::ZERO).expect("it can be asked");
            let mut bodies = text.split(|byte| *byte == b'\n');
            let mut asked = 0;
            while talk.next_request().is_some() {
                asked += 1;
                assert!(asked <= 4, "the venue is asked without end");
                let body = bodies.next().unwrap_or(b"[]").to_vec();
                talk.on_body(&mut hydrator, &directory, body, Nanos::ZERO);
            }
            let mut events: Vec<Event> = Vec::new();
            let _ = talk.finish(&mut hydrator, &directory, Nanos::ZERO, &mut events);
            assert!(is_whole_bracket(&events), "half a hydration: {events:?}");
        }
    }
}

/// A private message either is read whole, or gives exactly one event: that the private link is not to be trusted.
pub fn private(text: &[u8]) {
    let mut stream = PrivateStream::new(Arc::new(directory(Product::LinearPerpetual)), 0);
    let mut events: Vec<Event> = Vec::new();
    if stream.on_message(text, Nanos::ZERO, || Nanos::ZERO, &mut events).is_err() {
        assert!(
            matches!(events[..], [Event { body: Body::Link(link), .. }] if link.state == LinkState::Down),
            "an unreadable private message must be told as a link that is down: {events:?}"
        );
    }
    assert!(events.len() <= stream.most_events_per_message());
}

/// Lines as answers on an order-entry session with three requests in flight. Each request ends in exactly one outcome.
pub fn orders(text: &[u8]) {
    let directory = Arc::new(directory(Product::LinearPerpetual));
    let mut session =
        CREDENTIALS.with(|key| OrderEntry::new(directory, key.clone(), OrderEntryConfig::default()));
    let mut events: Vec<Event> = Vec::new();
    let mut frame = Vec::new();
    session.on_open(Nanos::ZERO, &mut frame, &mut events);
    let requests = [RequestKind::New, RequestKind::Replace, RequestKind::Cancel];
    for (number, request) in (1..).zip(requests) {
        session
            .encode(&sample_dispatch(number, request), Nanos::ZERO, &mut frame)
            .expect("the session is open");
    }
    for line in text.split(|byte| *byte == b'\n') {
        let _ = session.on_message(line, Nanos::ZERO, || Nanos::ZERO, &mut events);
    }
    session.on_closed(LinkReason::ClosedByVenue, Nanos::ZERO, &mut events);
    assert_eq!(session.in_flight(), 0);
    for number in 1..=requests.len() as u64 {
        let outcomes = events
            .iter()
            .filter(|event| matches!(event.body, Body::Outcome(outcome) if outcome.dispatch == number));
        assert_eq!(outcomes.count(), 1, "request {number}");
    }
}

/// Any body gives a bracket that is whole, or one `Failed` or `NotFound`.
pub fn hydrate(text: &[u8]) {
    let mut hydrator = Hydrator::default();
    let symbols = [(InstrumentId(0), "BTCUSDT")];
    let product = Product::LinearPerpetual;
    let directory = directory(product);
    let _ = hydrator.directory(VenueId(0), product, &symbols, text);
    let _ = hydrator.rate_limits(text);
    let _ = hydrator.server_time(text);
    let _ = hydrator.listen_key(text);
    let ask = hydrate::Ask { request: 1, as_of: Nanos::ZERO, now: Nanos::ZERO };
    for bodies in [
        AccountBodies { account: text, positions: None, open_orders: b"[]", open_algo_orders: None },
        AccountBodies { account: b"[]", positions: Some(text), open_orders: b"[]", open_algo_orders: None },
        AccountBodies { account: b"[]", positions: None, open_orders: text, open_algo_orders: None },
        AccountBodies { account: b"[]", positions: None, open_orders: b"[]", open_algo_orders: Some(text) },
    ] {
        let mut events: Vec<Event> = Vec::new();
        let _ = hydrator.account_snapshot(&directory, ask, bodies, &mut events);
        assert!(is_whole_bracket(&events), "half a hydration: {events:?}");
    }
    let mut events: Vec<Event> = Vec::new();
    let _ = hydrator.order_snapshot(&directory, InstrumentId(0), ClientOrderId::NONE, ask, text, &mut events);
    assert!(is_whole_bracket(&events), "half a hydration: {events:?}");
}

fn is_whole_bracket(events: &[Event]) -> bool {
    let phase = |event: Option<&Event>| match event.map(|event| event.body) {
        Some(Body::Hydration(hydration)) => Some(hydration.phase),
        _ => None,
    };
    match phase(events.first()) {
        Some(HydrationPhase::Begin) => phase(events.last()) == Some(HydrationPhase::End),
        Some(HydrationPhase::Failed | HydrationPhase::NotFound) => events.len() == 1,
        _ => false,
    }
}

/// WebSocket frames, cut into reads by their own bytes: the cut changes nothing, and nothing beyond the bound is handed out.
pub fn frames(bytes: &[u8]) {
    const MOST: usize = 4096;
    let read = |sizes: &mut dyn FnMut() -> usize| {
        let mut inbox = Inbox::new(256, MOST);
        let mut messages: Vec<(Kind, Vec<u8>)> = Vec::new();
        let mut rest = bytes;
        loop {
            loop {
                match inbox.next_message() {
                    Ok(Some(item)) => {
                        let payload = inbox.payload(&item);
                        assert!(payload.len() <= MOST);
                        messages.push((item.kind, payload.to_vec()));
                    }
                    Ok(None) => break,
                    Err(error) => return (messages, Some(error)),
                }
            }
            if rest.is_empty() {
                return (messages, None);
            }
            let space = inbox.space();
            assert!(!space.is_empty());
            let count = sizes().clamp(1, rest.len()).min(space.len());
            space[..count].copy_from_slice(&rest[..count]);
            inbox.filled(count);
            rest = &rest[count..];
        }
    };
    let mut at = 0;
    let in_crumbs = read(&mut || {
        at += 1;
        bytes.get(at).map_or(1, |byte| usize::from(*byte) % 9)
    });
    let at_once = read(&mut || usize::MAX);
    assert_eq!(in_crumbs, at_once, "the cut of the reads changed the messages");
}

/// A good journal with bytes changed and its end cut off, as the input says in steps of four bytes: an offset of three, and what to
/// xor there (zero: cut here). What the reader gives is a beginning of what was written, and a journal that was cut short of
/// its seal does not read as sealed.
pub fn journal(bytes: &[u8]) {
    thread_local! {
        static GOOD: GoodJournal = GoodJournal::write();
    }
    GOOD.with(|good| {
        let mut image = good.image.clone();
        let mut changed = false;
        for step in bytes.chunks_exact(4) {
            let offset = u32::from_le_bytes([step[0], step[1], step[2], 0]) as usize % good.image.len();
            match step[3] {
                0 => image.truncate(offset),
                flip => {
                    if let Some(byte) = image.get_mut(offset) {
                        *byte ^= flip;
                    }
                }
            }
            changed |= image != good.image;
        }
        std::fs::write(&good.file, &image).expect("the folder is ours");
        let Ok(mut reader) = Reader::open_folder(good.file.parent().expect("a file is in a folder")) else {
            assert!(changed, "a good journal must open");
            return;
        };
        let mut read = 0;
        loop {
            match reader.next() {
                Ok(Some(record)) => {
                    let written = good.records.get(read).expect("a record that nobody wrote");
                    assert_eq!(record.payload, written, "record {read} is not what was written");
                    read += 1;
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
        if let Some(End::Sealed { .. }) = reader.end() {
            assert_eq!(read, good.records.len(), "sealed, and records are missing");
        }
    });
}

/// Lines of an embedded venue's diary: whatever commands came, no book is crossed, and the same lines make the same venue.
pub fn commands(text: &[u8]) {
    const BEGINNING: u64 = 1_700_000_000_000_000_000;
    let venue = || Exchange::new(ExchangeConfig::default(), BEGINNING).expect("the default venue stands");
    let (mut one, mut other) = (venue(), venue());
    let (mut heard, mut repeated) = (Vec::new(), Vec::new());
    for line in text.split(|byte| *byte == b'\n').take(64) {
        let Ok(moved) = serde_json::from_slice::<Move>(line) else { continue };
        // Minutes of a market: nothing that a fuzzer waits for.
        if matches!(moved, Move::Played(steps) if steps > 500) {
            continue;
        }
        for (exchange, told) in [(&mut one, &mut heard), (&mut other, &mut repeated)] {
            told.push(format!("{:?}", exchange.relive(moved.clone())));
            exchange.hand_out(&mut |output| told.push(format!("{output:?}")));
        }
        let top = one.book_ticker(BEGINNING, "BTCUSDT").expect("it is listed");
        let both = top.bid.1.is_positive() && top.ask.1.is_positive();
        assert!(!both || top.bid.0 < top.ask.0, "crossed: {top:?}");
    }
    assert_eq!(heard, repeated, "the same moves, another venue");
}

/// A query string and a body, one line each, as the embedded venue takes them from anybody: each request is a command or a refusal in words.
pub fn venue_requests(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (query, body) = text.split_once('\n').unwrap_or((text, ""));
    let Ok((params, _)) = Params::from_http(query, body) else { return };
    let mut exchange = Exchange::new(
        ExchangeConfig { market: MarketConfig::Quiet, ..ExchangeConfig::default() },
        1_700_000_000_000_000_000,
    )
    .expect("a quiet venue stands");
    let readers = [
        requests::modify,
        requests::cancel,
        requests::cancel_all,
        requests::query_order,
        requests::query_open_order,
        requests::open_orders,
        requests::all_orders,
        requests::user_trades,
        requests::position_risk,
        requests::set_leverage,
        requests::set_position_mode,
        requests::commission_rate,
        requests::countdown,
        requests::income,
        requests::force_orders,
    ];
    let mut commands = Vec::new();
    commands.extend(requests::place(&params).map(|(command, _)| command));
    commands.extend(readers.iter().filter_map(|read| read(&params).ok()));
    commands.extend(requests::cancel_batch(&params).unwrap_or_default());
    for each in requests::batch(&params).unwrap_or_default() {
        commands.extend(requests::place(&each).map(|(command, _)| command));
    }
    for command in commands {
        if let Err(refusal) = exchange.execute(1_700_000_000_000_000_000, AccountId(1), command) {
            assert!(refusal.code < 0, "a refusal without a code: {refusal:?}");
        }
    }
}

/// A recording of anybody's: it is refused by file and line, or played to an end.
pub fn recording(bytes: &[u8]) {
    let file = scratch("recording").join("tape.txt");
    std::fs::write(&file, bytes).expect("the folder is ours");
    let Ok(symbols) = infer_symbols(std::slice::from_ref(&file)) else { return };
    let recording = RecordingConfig { speed: Speed::Max, ..RecordingConfig::new(vec![file]) };
    let market = MarketConfig::Recording(RecordingConfig { rendezvous_timeout_ns: 0, ..recording });
    let mut now = 1_700_000_000_000_000_000;
    let Ok(mut exchange) = Exchange::new(ExchangeConfig { symbols, market, ..Default::default() }, now)
    else {
        return;
    };
    exchange.start(now);
    let mut ended = false;
    // A message needs more bytes than this leaves it passes.
    for _ in 0..bytes.len() + 64 {
        exchange.advance(now, &mut |output| ended |= matches!(output, Output::Ended(_)));
        if ended {
            return;
        }
        now = exchange.next_wake().unwrap_or(now).max(now) + 1_000_000;
    }
    panic!("a recording without an end");
}

/// Whatever is in the flag's file, the start is killed; and what is kept is what is read.
pub fn kill_flag(bytes: &[u8]) {
    let home = scratch("kill");
    let flag = KillFlag::of(&home);
    std::fs::write(flag.path(), bytes).expect("the folder is ours");
    let killed = flag.read().expect("a flag that is there is a kill");
    let again = serde_json::to_vec(&killed).expect("words");
    std::fs::write(flag.path(), again).expect("the folder is ours");
    assert_eq!(flag.read(), Some(killed));
}

/// Changes to a good file of the core's state, four bytes each, as for `journal`: it is what was written, or refused.
pub fn state_file(bytes: &[u8]) {
    thread_local! {
        static GOOD: (PathBuf, Vec<u8>) = {
            let head = Head { session: SessionId([7; 16]), configuration: [9; 32], sequence: 42, time: 43 };
            let form: Vec<u8> = (0..600u32).map(|at| (at * 7 % 251) as u8).collect();
            let path = snapshot::write(&scratch("state"), &head, &form).expect("written");
            let image = std::fs::read(&path).expect("read");
            (path, image)
        };
    }
    GOOD.with(|(path, good)| {
        let mut image = good.clone();
        for step in bytes.chunks_exact(4) {
            let offset = u32::from_le_bytes([step[0], step[1], step[2], 0]) as usize % good.len();
            match step[3] {
                0 => image.truncate(offset),
                flip => {
                    if let Some(byte) = image.get_mut(offset) {
                        *byte ^= flip;
                    }
                }
            }
        }
        std::fs::write(path, &image).expect("the folder is ours");
        assert_eq!(Snapshot::read(path).is_ok(), image == *good, "damage was taken for a state");
    });
}

/// A key's text from a file: a signer that signs the same twice, or an error.
pub fn key(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(signer) = Signer::from_key_text(text) else { return };
    // RSA takes milliseconds, and PKCS#1 v1.5 and Ed25519 and HMAC are all deterministic.
    assert_eq!(signer.sign(b"symbol=BTCUSDT").as_str(), signer.sign(b"symbol=BTCUSDT").as_str());
    let _ = Credentials::new(text, signer);
}

/// A folder of this thread's own for one target.
fn scratch(what: &str) -> PathBuf {
    let thread = format!("{:?}", std::thread::current().id());
    let digits: String = thread.chars().filter(char::is_ascii_digit).collect();
    let folder = std::env::temp_dir().join(format!("linchpin-fuzz-{what}-{}-{digits}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    folder
}

struct GoodJournal {
    file: PathBuf,
    image: Vec<u8>,
    records: Vec<Vec<u8>>,
}

impl GoodJournal {
    fn write() -> Self {
        let folder = scratch("journal");
        let session = SessionHeader {
            session: SessionId([7; 16]),
            created_at: 1,
            strategy: "fuzz".to_owned(),
            configuration_hash: [3; 32],
            build: "fuzz".to_owned(),
            facts: Vec::new(),
        };
        let options = Options { segment_size: 16 * 1024, largest_payload: 256, segments: Segments::Inline };
        let mut writer = Writer::create(&folder, session, options).expect("a folder of our own");
        let records: Vec<Vec<u8>> = (0..20_u8).map(|n| vec![n ^ 0x5a; 1 + usize::from(n) * 7]).collect();
        for (sequence, payload) in (1..).zip(&records) {
            writer.append(1, sequence, sequence, payload).expect("it fits");
        }
        let journal = writer.folder().to_owned();
        writer.seal().expect("it fits");
        let file = only_segment(&journal);
        let image = std::fs::read(&file).expect("just written");
        Self { file, image, records }
    }
}

impl Drop for GoodJournal {
    fn drop(&mut self) {
        if let Some(session) = self.file.parent().and_then(Path::parent) {
            let _ = std::fs::remove_dir_all(session);
        }
    }
}

/// The segment that has records; a spare one beside it is taken away, so that what is read is what is changed.
fn only_segment(folder: &Path) -> PathBuf {
    let mut segments: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("just made")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"LINCHPIN")))
        .collect();
    segments.sort();
    let first = segments.first().expect("the journal has a segment").clone();
    for entry in std::fs::read_dir(folder).expect("just made").flatten() {
        if entry.path() != first {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    first
}

/// What decodes, encodes to something that decodes to the same.
pub fn event(bytes: &[u8]) {
    let Ok(event) = Event::decode(bytes) else { return };
    let mut slot = [0; MAX_PAYLOAD];
    let length = event.encode(&mut slot);
    assert!(length <= MAX_PAYLOAD, "{length} bytes");
    assert_eq!(Event::decode(&slot[..length]), Ok(event));
}

pub fn dispatch(bytes: &[u8]) {
    let Ok(dispatch) = Dispatch::decode(bytes) else { return };
    let mut slot = [0; MAX_PAYLOAD];
    let length = dispatch.encode(&mut slot);
    assert_eq!(&slot[..length], bytes, "a dispatch has one encoding");
}

pub fn decision(bytes: &[u8]) {
    let Ok(decision) = Decision::decode(bytes) else { return };
    let mut slot = [0; MAX_PAYLOAD];
    let length = decision.encode(&mut slot);
    assert!(length <= MAX_PAYLOAD, "{length} bytes");
    assert_eq!(Decision::decode(&slot[..length]), Ok(decision));
}

/// Any file gives a configuration or errors with words; a configuration survives being written and read again.
pub fn configuration(bytes: &[u8]) {
    thread_local! {
        static FILE: PathBuf = {
            let thread = format!("{:?}", std::thread::current().id());
            let digits: String = thread.chars().filter(char::is_ascii_digit).collect();
            std::env::temp_dir().join(format!("linchpin-fuzz-{}-{digits}.toml", std::process::id()))
        };
    }
    let read = FILE.with(|file| {
        std::fs::write(file, bytes).expect("the temporary folder takes a file");
        let read = Config::load(Some(file), &Overrides::default());
        let _ = std::fs::remove_file(file);
        read
    });
    match read {
        Ok(config) => {
            let text = config.resolved_text();
            let again = Config::from_resolved(&text).expect("what was resolved is complete");
            assert_eq!(
                again.hash(),
                config.hash(),
                "written and read again it is another configuration:\n{text}"
            );
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}

/// `step text`: if the text is whole steps, the steps written again say the same number.
pub fn decimal(bytes: &[u8]) {
    let mut words = bytes.splitn(2, |byte| *byte == b' ');
    let (Some(step), Some(text)) = (words.next(), words.next()) else { return };
    for text_decimals in [0, 2, 8] {
        let Ok(increment) = Increment::parse(step, text_decimals) else { return };
        let Ok(steps) = increment.steps(text) else { return };
        let mut written = DecimalText::new();
        increment.write(steps, &mut written);
        assert_eq!(canonical(text), canonical(written.as_bytes()), "{steps} steps of {increment:?}");
    }
}

/// The number of a decimal text in the one way to write it.
fn canonical(text: &[u8]) -> String {
    let text = std::str::from_utf8(text).expect("digits are ASCII");
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let sign = if whole.is_empty() && fraction.is_empty() { "" } else { sign };
    format!("{sign}{whole}.{fraction}")
}

/// One symbol with ordinary filters.
fn directory(product: Product) -> Directory {
    const INFO: &[u8] = br#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[{"filterType":"PRICE_FILTER","tickSize":"0.10","minPrice":"0.10","maxPrice":"1000000"},{"filterType":"LOT_SIZE","stepSize":"0.001","minQty":"0.001","maxQty":"1000"}]}]}"#;
    let symbols = [(InstrumentId(0), "BTCUSDT")];
    Hydrator::default().directory(VenueId(0), product, &symbols, INFO).expect("the text above")
}

pub fn sample_dispatch(number: u64, request: RequestKind) -> Dispatch {
    Dispatch {
        number,
        cause: number,
        decided: Nanos::ZERO,
        trigger: Nanos::ZERO,
        client_order_id: ClientOrderId::compose(*b"fuzz0", number),
        venue_order_id: VenueOrderId(number),
        price: Price::new(600_000),
        quantity: Quantity::new(5),
        stop_price: Price::new(0),
        expires: Nanos::ZERO,
        order: OrderIndex(number as u32),
        instrument: InstrumentId(0),
        key: OrderKey { strategy: StrategyId(0), slot: 0 },
        venue: VenueId(0),
        request,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::PostOnly,
        side: Side::Buy,
        position_side: PositionSide::Both,
        trigger_by: TriggerBy::LastPrice,
        callback: 0,
        flags: DispatchFlags(0),
    }
}
