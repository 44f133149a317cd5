//! What every bench and the sealed-allocator test stand on: a market to read, a configured core, and a venue that says yes.
//!
//! The market is the real recording where it can be found, else a small synthetic one in the same layouts, and the report
//! says which, loudly. The venue is one function: it accepts what was asked. None of it is measured.
#![allow(dead_code, reason = "each bench uses its own part of this")]

pub mod line;
pub mod market;

use std::path::Path;
use std::sync::Arc;

use linchpin::core::dispatch::Dispatch;
use linchpin::core::event::{
    Body, Event, Execution, Hydration, HydrationPhase, HydrationScope, LinkChange, LinkKind, LinkReason,
    LinkState, OrderReport, ReportFlags, RequestKind, RequestOutcome, Source, VenueStatus, Verdict,
};
use linchpin::core::event::{RejectReason, Side};
use linchpin::core::id::{AssetId, ClientOrderId, InstrumentId, VenueId, VenueOrderId};
use linchpin::core::instrument::{InstrumentDefinition, InstrumentStatus, Product};
use linchpin::core::limits::{BucketLimit, Configuration, InstrumentLimits, StrategyLimits, VenueLimits};
use linchpin::core::num::{CASH_UNIT, Increment, Notional, Price, Quantity};
use linchpin::core::strategy::Strategy;
use linchpin::core::strategy::market_maker::{MarketMaker, Parameters};
use linchpin::core::time::Nanos;
use linchpin::core::turn::Core;
use linchpin::journal::{Options, Segments, SessionHeader, SessionId, Writer};
use linchpin::venue::Directory;
use linchpin::venue::binance::feed::{Envelope, FeedConfig, MarketFeed, PathStyle};
use linchpin::venue::binance::orders::{OrderEntry, OrderEntryConfig};
use linchpin::venue::binance::sign::{Credentials, Signer};

pub const VENUE: VenueId = VenueId(0);
pub const BTC: InstrumentId = InstrumentId(0);
/// No rig has more.
pub const MOST_INSTRUMENTS: u16 = 64;

/// BTCUSDT as the recording has it, and `count - 1` others with the same grid.
pub fn directory(count: u16) -> Arc<Directory> {
    let mut directory = Directory::new(VENUE, Product::LinearPerpetual);
    for asset in ["USDT", "BTC"] {
        directory.intern_asset(asset).expect("two assets fit");
    }
    for number in 0..count {
        let symbol = if number == 0 { "BTCUSDT".to_owned() } else { format!("S{number}USDT") };
        directory.list(InstrumentId(number), &symbol, definition()).expect("the symbols differ");
    }
    Arc::new(directory)
}

pub fn definition() -> InstrumentDefinition {
    InstrumentDefinition {
        tick: Increment::parse(b"0.10", 2).expect("a tick"),
        lot: Increment::parse(b"0.001", 3).expect("a lot"),
        min_price: Price::new(1),
        max_price: Price::new(100_000_000),
        min_quantity: Quantity::new(1),
        max_quantity: Quantity::new(1_000_000),
        max_market_quantity: Quantity::new(120_000),
        min_notional: 5 * CASH_UNIT,
        percent_up: 10_500,
        percent_down: 9_500,
        maker_fee_ppm: 200,
        taker_fee_ppm: 500,
        base: AssetId(1),
        quote: AssetId(0),
        product: Product::LinearPerpetual,
        status: InstrumentStatus::Trading,
    }
}

/// Every gate and bucket is in place and wide enough never to close: what is measured is the path that trades.
pub fn configuration(instruments: u16) -> Configuration {
    let bucket = |interval| BucketLimit {
        burst: 4_000_000,
        refill: 4_000_000,
        interval,
        costs: [1, 1, 1],
        cancel_reserve: 100,
        ..BucketLimit::default()
    };
    let limits = InstrumentLimits {
        venue: VENUE,
        max_order_quantity: Quantity::new(1_000),
        max_order_notional: Notional::new(10_000_000_000),
        max_position: Quantity::new(1_000),
        max_open_orders: 10,
        collar: 500,
        stale_after: Nanos::from_secs(3_600),
        ..InstrumentLimits::default()
    };
    Configuration {
        run_tag: *b"bench",
        venues: vec![VenueLimits {
            buckets: vec![bucket(Nanos::from_secs(10)), bucket(Nanos::from_secs(60))],
            ..VenueLimits::default()
        }],
        instruments: vec![limits; usize::from(instruments)],
        strategies: vec![StrategyLimits {
            instruments: (0..instruments).collect(),
            max_open_orders: 2 * u32::from(instruments) + 2,
            max_intents_per_second: 0,
            max_daily_loss: 0,
            ..StrategyLimits::default()
        }],
        order_rows: 4_096,
        book_levels: 8_192,
        // The recording is played faster than it happened: with a settle window of real length the maker would mostly wait.
        settle_quiet: Nanos::ZERO,
        settle_max: Nanos::ZERO,
        confirmation_timeout: Nanos::from_secs(60),
        visibility_delay: Nanos::from_secs(1),
        recovery_attempts: 5,
        trading_enabled: true,
        killed: false,
        state_hash_every: 0,
        ..Configuration::default()
    }
}

/// A maker that moves a quote at the smallest change of its mind.
pub fn market_maker() -> Box<dyn Strategy> {
    maker_of(10)
}

fn maker_of(quantity: i64) -> Box<dyn Strategy> {
    let decimal = |text: &str| text.parse().expect("a decimal");
    Box::new(MarketMaker::new(Parameters {
        quantity: Quantity::new(quantity),
        half_spread: decimal("1.5"),
        max_skew: decimal("4"),
        max_position: Quantity::new(500),
        requote_ticks: 1,
    }))
}

pub fn core(instruments: u16) -> Core {
    Core::new(configuration(instruments), vec![market_maker()])
}

/// With orders of 500 lots, which a thousand small fills do not use up.
pub fn core_of_large_orders(instruments: u16) -> Core {
    Core::new(configuration(instruments), vec![maker_of(500)])
}

/// What the core hears before it may trade: definitions, links up, an empty account read back.
pub fn opening(instruments: u16, now: Nanos) -> Vec<Event> {
    let event = |body| Event::new(now, Source::Requester, body).on(VENUE, InstrumentId::NONE);
    let link = |link| {
        let state = LinkState::Up;
        event(Body::Link(LinkChange { link, state, reason: LinkReason::None, connection: 0 }))
    };
    let hydration = |phase| {
        event(Body::Hydration(Hydration {
            scope: HydrationScope::Account,
            phase,
            client_order_id: ClientOrderId::NONE,
            request: 1,
            as_of: Nanos::ZERO,
        }))
    };
    let mut events: Vec<Event> = (0..instruments)
        .map(|id| {
            Event::new(now, Source::Requester, Body::Instrument(definition())).on(VENUE, InstrumentId(id))
        })
        .collect();
    events.extend([LinkKind::Market, LinkKind::OrderEntry, LinkKind::Private].map(link));
    events.extend([HydrationPhase::Begin, HydrationPhase::End].map(hydration));
    events
}

/// The venue's two words about a request, as the sender and the private stream would tell them: taken, and done.
pub fn answers(dispatch: &Dispatch, now: Nanos) -> [Event; 2] {
    let venue_order_id = match dispatch.venue_order_id {
        VenueOrderId(0) => VenueOrderId(1_000_000 + dispatch.number),
        known => known,
    };
    let outcome = RequestOutcome {
        client_order_id: dispatch.client_order_id,
        venue_order_id,
        dispatch: dispatch.number,
        code: 0,
        request: dispatch.request,
        verdict: Verdict::Accepted,
        reason: RejectReason::None,
    };
    let (execution, status) = match dispatch.request {
        RequestKind::New => (Execution::New, VenueStatus::New),
        RequestKind::Replace => (Execution::Replaced, VenueStatus::New),
        RequestKind::Cancel => (Execution::Cancelled, VenueStatus::Cancelled),
    };
    let report = OrderReport {
        client_order_id: dispatch.client_order_id,
        venue_order_id,
        price: dispatch.price,
        quantity: dispatch.quantity,
        cumulative_quantity: Quantity::ZERO,
        last_quantity: Quantity::ZERO,
        last_price: Price::ZERO,
        trade_id: 0,
        fee: 0,
        fee_asset: AssetId(0),
        execution,
        status,
        kind: dispatch.kind,
        time_in_force: dispatch.time_in_force,
        side: dispatch.side,
        flags: ReportFlags::default(),
    };
    let event = |source, body| Event::new(now, source, body).on(VENUE, dispatch.instrument);
    let mut done = event(Source::Receiver, Body::Order(report));
    done.event_time = now;
    [event(Source::Sender, Body::Outcome(outcome)), done]
}

/// The private stream's word that one lot of the order filled, so many in all.
pub fn fill(dispatch: &Dispatch, cumulative: i64, trade_id: u64, now: Nanos) -> Event {
    let [_, mut done] = answers(dispatch, now);
    if let Body::Order(report) = &mut done.body {
        report.execution = Execution::Trade;
        report.status = VenueStatus::PartiallyFilled;
        (report.last_quantity, report.last_price) = (Quantity::new(1), dispatch.price);
        report.cumulative_quantity = Quantity::new(cumulative);
        report.trade_id = trade_id;
    }
    done
}

/// One connection, both kinds of stream on it, in envelopes: as the recording was made.
pub fn feed(directory: &Arc<Directory>) -> MarketFeed {
    let config =
        FeedConfig { paths: PathStyle::Unified, envelope: Envelope::Combined, ..FeedConfig::default() };
    MarketFeed::new(Arc::clone(directory), config).expect("one connection")
}

/// How requests are vouched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Logged on: no signature.
    Session,
    Hmac,
    Ed25519,
}

/// A key of no account, in the form that the exchange gives out.
pub const ED25519_PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH
-----END PRIVATE KEY-----";

/// An order-entry session that is ready.
pub fn order_entry(directory: &Arc<Directory>, proof: Proof, now: Nanos) -> OrderEntry {
    let key = if proof == Proof::Hmac {
        "a secret of sixty-four characters, as the exchange hands them out"
    } else {
        ED25519_PEM
    };
    let signer = Signer::from_key_text(key).expect("a key");
    let credentials = Arc::new(Credentials::new("benchKey", signer).expect("letters"));
    let config = OrderEntryConfig { log_on: proof == Proof::Session, ..OrderEntryConfig::default() };
    let mut entry = OrderEntry::new(Arc::clone(directory), credentials, config);
    let (mut frame, mut events) = (Vec::new(), Vec::new());
    if entry.on_open(now, &mut frame, &mut events) {
        let answer = br#"{"id":"logon","status":200,"result":{}}"#;
        entry.on_message(answer, now, || now, &mut events).expect("an answer that it knows");
    }
    assert!(entry.is_ready());
    entry
}

/// A journal whose first segment is faulted in and holds a whole round, so that no roll is in what is measured.
pub fn journal(folder: &Path, segment_size: u64) -> Writer {
    let session = SessionHeader {
        session: SessionId([7; 16]),
        created_at: 0,
        strategy: "market_maker".into(),
        configuration_hash: [0; 32],
        build: "bench".into(),
        facts: Vec::new(),
    };
    let options = Options { segment_size, segments: Segments::Inline, ..Options::default() };
    Writer::create(folder, session, options).expect("a journal in a new folder")
}

/// A dispatch as the maker makes them.
pub fn dispatch(number: u64, request: RequestKind) -> Dispatch {
    use linchpin::core::event::{OrderKind, PositionSide, TimeInForce, TriggerBy};
    use linchpin::core::id::{OrderIndex, OrderKey};
    Dispatch {
        number,
        cause: number,
        decided: Nanos::from_millis(1_723_161_256_000),
        trigger: Nanos::from_millis(1_723_161_256_000),
        client_order_id: ClientOrderId::compose(*b"bench", number),
        venue_order_id: VenueOrderId(if request == RequestKind::New { 0 } else { 8_389_765_591 }),
        price: Price::new(618_002),
        quantity: Quantity::new(14),
        stop_price: Price::ZERO,
        expires: Nanos::ZERO,
        order: OrderIndex(0),
        instrument: BTC,
        key: OrderKey::default(),
        venue: VENUE,
        request,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::PostOnly,
        side: Side::Buy,
        position_side: PositionSide::Both,
        trigger_by: TriggerBy::LastPrice,
        callback: 0,
        flags: Default::default(),
    }
}
