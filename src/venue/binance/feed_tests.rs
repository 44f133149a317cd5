//! The feed as a whole: connections, acknowledgements, sync of each book, and what the core hears of it.

use super::*;
use crate::core::event::Body;
use crate::venue::directory::tests::directory;

/// What the feed said, in order.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) events: Vec<Event>,
    pub(crate) sent: Vec<(usize, String)>,
    pub(crate) snapshots: Vec<(InstrumentId, u16)>,
    pub(crate) dropped: Vec<(usize, LinkReason)>,
    pub(crate) renewed: Vec<usize>,
}

impl EventSink for Heard {
    fn event(&mut self, event: Event) {
        self.events.push(event);
    }
}

impl FeedOutput for Heard {
    fn send(&mut self, connection: usize, text: &str) {
        self.sent.push((connection, text.to_string()));
    }
    fn want_snapshot(&mut self, instrument: InstrumentId, limit: u16) {
        self.snapshots.push((instrument, limit));
    }
    fn drop_connection(&mut self, connection: usize, reason: LinkReason) {
        self.dropped.push((connection, reason));
    }
    fn renew_connection(&mut self, connection: usize) {
        self.renewed.push(connection);
    }
}

impl Heard {
    /// Depth and losses in short: `S5` snapshot as of 5, `7` update to 7, `lost:gap`.
    fn story(&self, instrument: u16) -> Vec<String> {
        let of = self.events.iter().filter(|e| e.instrument == InstrumentId(instrument));
        of.filter_map(|event| match event.body {
            Body::Depth(depth) if depth.part.snapshot => Some(format!("S{}", depth.last_update)),
            Body::Depth(depth) => Some(depth.last_update.to_string()),
            Body::BookLost(loss) => Some(format!("lost:{}", loss.name())),
            _ => None,
        })
        .collect()
    }
}

fn at(millis: u64) -> Nanos {
    Nanos::from_millis(millis)
}

fn feed(config: FeedConfig) -> MarketFeed {
    MarketFeed::new(Arc::new(directory(Product::LinearPerpetual)), config).unwrap()
}

fn depth_text(symbol: &str, first: u64, last: u64, previous: u64) -> String {
    format!(
        r#"{{"e":"depthUpdate","E":9,"T":9,"s":"{symbol}","U":{first},"u":{last},"pu":{previous},"b":[["10.0","1"]],"a":[]}}"#
    )
}

fn snapshot_text(last: u64) -> String {
    format!(r#"{{"lastUpdateId":{last},"E":9,"T":9,"bids":[["10.0","1"]],"asks":[["11.0","1"]]}}"#)
}

fn give(
    feed: &mut MarketFeed,
    connection: usize,
    text: &str,
    now: Nanos,
    out: &mut Heard,
) -> Result<(), FeedError> {
    feed.on_message(connection, text.as_bytes(), now, || now, out)
}

#[test]
fn it_dials_the_split_paths_and_is_up_when_every_subscription_is_acknowledged() {
    let (mut feed, mut out) = (feed(FeedConfig::default()), Heard::default());
    let paths: Vec<_> = feed.connections().iter().map(|c| c.path.as_str()).collect();
    assert_eq!(paths, ["/public/ws", "/market/ws"]);
    feed.on_open(0, at(0), &mut out);
    assert_eq!(
        out.sent,
        [(0, r#"{"method":"SUBSCRIBE","params":["btcusdt@depth@0ms","btcusdt@bookTicker","ethusdt@depth@0ms","ethusdt@bookTicker"],"id":1}"#.to_string())]
    );
    assert!(out.events.is_empty());
    give(&mut feed, 0, r#"{"result":null,"id":1}"#, at(1), &mut out).unwrap();
    let up =
        LinkChange { link: LinkKind::Market, state: LinkState::Up, reason: LinkReason::None, connection: 0 };
    assert_eq!(out.events.iter().map(|e| e.body).collect::<Vec<_>>(), [Body::Link(up)]);
    let unified =
        FeedConfig { paths: PathStyle::Unified, envelope: Envelope::Combined, ..Default::default() };
    assert_eq!(super::tests::feed(unified).connections()[0].path, "/stream");
}

#[test]
fn a_subscription_refused_or_unanswered_drops_the_connection() {
    let (mut feed, mut out) = (feed(FeedConfig::default()), Heard::default());
    feed.on_open(0, at(0), &mut out);
    feed.on_open(1, at(0), &mut out);
    let refusal = r#"{"error":{"code":2,"msg":"Invalid request"},"id":1}"#;
    assert_eq!(give(&mut feed, 0, refusal, at(1), &mut out), Err(FeedError::Refused { code: 2 }));
    assert_eq!(out.dropped, [(0, LinkReason::Protocol)]);
    feed.on_closed(0, LinkState::Down, LinkReason::Protocol, at(2), &mut out);
    assert_eq!(feed.next_deadline(), at(5_000));
    feed.poll(at(4_999), &mut out);
    assert_eq!(out.dropped.len(), 1);
    feed.poll(at(5_000), &mut out);
    assert_eq!(out.dropped[1..], [(1, LinkReason::Silence)]);
}

#[test]
fn each_book_syncs_by_itself_and_a_gap_in_one_leaves_the_other() {
    let (mut feed, mut out) = (feed(FeedConfig::default()), Heard::default());
    feed.on_open(0, at(0), &mut out);
    for (first, last, previous) in [(10, 12, 8), (14, 16, 12)] {
        give(&mut feed, 0, &depth_text("BTCUSDT", first, last, previous), at(1), &mut out).unwrap();
        give(&mut feed, 0, &depth_text("ETHUSDT", first, last, previous), at(1), &mut out).unwrap();
    }
    assert_eq!(out.snapshots, [(InstrumentId(0), 1000), (InstrumentId(1), 1000)]);
    feed.on_snapshot(InstrumentId(0), Some(snapshot_text(15).as_bytes()), at(2), &mut out).unwrap();
    feed.on_snapshot(InstrumentId(1), Some(snapshot_text(12).as_bytes()), at(2), &mut out).unwrap();
    give(&mut feed, 0, &depth_text("BTCUSDT", 20, 21, 18), at(3), &mut out).unwrap();
    give(&mut feed, 0, &depth_text("ETHUSDT", 17, 18, 16), at(3), &mut out).unwrap();
    assert_eq!(out.story(0), ["S15", "16", "lost:gap"]);
    assert_eq!(out.story(1), ["S12", "12", "16", "18"]);
    assert_eq!(out.snapshots.len(), 3);
    feed.on_snapshot(InstrumentId(0), Some(snapshot_text(20).as_bytes()), at(4), &mut out).unwrap();
    assert_eq!(out.story(0), ["S15", "16", "lost:gap", "S20", "21"]);
    assert!(feed.is_synced());
    assert_eq!((feed.counters().gaps, feed.counters().resyncs), (1, 1));
}

#[test]
fn a_snapshot_that_fails_is_asked_for_again_after_a_growing_pause() {
    let (mut feed, mut out) = (feed(FeedConfig::default()), Heard::default());
    feed.on_open(0, at(0), &mut out);
    give(&mut feed, 0, r#"{"result":null,"id":1}"#, at(0), &mut out).unwrap();
    give(&mut feed, 0, &depth_text("BTCUSDT", 10, 12, 8), at(0), &mut out).unwrap();
    feed.on_snapshot(InstrumentId(0), None, at(100), &mut out).unwrap();
    assert_eq!(out.story(0), ["lost:snapshot_failed"]);
    assert_eq!(feed.next_deadline(), at(350));
    feed.poll(at(350), &mut out);
    assert_eq!(out.snapshots.len(), 2);
    let error =
        feed.on_snapshot(InstrumentId(0), Some(b"{\"lastUpdateId\":"), at(400), &mut out).unwrap_err();
    assert!(matches!(error, FeedError::Snapshot(_)));
    assert_eq!(feed.next_deadline(), at(900));
    feed.poll(at(900), &mut out);
    assert_eq!(feed.next_deadline(), at(10_900), "no answer at all: given up after the timeout");
    feed.poll(at(10_900), &mut out);
    feed.poll(at(11_900), &mut out);
    assert_eq!((out.snapshots.len(), feed.counters().snapshots_failed), (4, 3));
}

#[test]
fn a_lost_connection_or_a_full_ring_loses_the_books_until_they_are_synced_anew() {
    let (mut feed, mut out) = (feed(FeedConfig::default()), Heard::default());
    feed.on_open(0, at(0), &mut out);
    give(&mut feed, 0, &depth_text("BTCUSDT", 10, 12, 8), at(1), &mut out).unwrap();
    feed.on_snapshot(InstrumentId(0), Some(snapshot_text(11).as_bytes()), at(2), &mut out).unwrap();
    feed.on_closed(1, LinkState::Down, LinkReason::Reset, at(3), &mut out);
    assert_eq!(out.story(0), ["S11", "12"], "the other connection carries no depth");
    feed.on_closed(0, LinkState::Down, LinkReason::Reset, at(3), &mut out);
    feed.on_open(0, at(4), &mut out);
    give(&mut feed, 0, &depth_text("BTCUSDT", 20, 22, 18), at(5), &mut out).unwrap();
    feed.on_snapshot(InstrumentId(0), Some(snapshot_text(21).as_bytes()), at(6), &mut out).unwrap();
    feed.shed(at(7), &mut out);
    assert_eq!(out.story(0), ["S11", "12", "lost:disconnected", "S21", "22", "lost:ring_full"]);
    feed.on_closed(0, LinkState::Ended, LinkReason::ClosedByVenue, at(8), &mut out);
    assert_eq!(out.story(1), [""; 0], "a book that was never trusted is not lost");
}

#[test]
fn a_depth_message_that_cannot_be_read_loses_that_book_at_once() {
    let (mut feed, mut out) = (feed(FeedConfig::default()), Heard::default());
    give(&mut feed, 0, &depth_text("BTCUSDT", 10, 12, 8), at(1), &mut out).unwrap();
    feed.on_snapshot(InstrumentId(0), Some(snapshot_text(11).as_bytes()), at(2), &mut out).unwrap();
    let bad = depth_text("BTCUSDT", 13, 14, 12).replace("10.0", "10.07");
    let error = give(&mut feed, 0, &bad, at(3), &mut out).unwrap_err();
    assert_eq!(error.to_string(), "market message: field \"b\": more decimals than the unit has (byte 4)");
    assert_eq!(out.story(0), ["S11", "12", "lost:bad_message"]);
}

#[test]
fn of_two_copies_the_first_arrival_wins() {
    let config = FeedConfig { copies: 2, paths: PathStyle::Unified, ..Default::default() };
    let (mut feed, mut out) = (feed(config), Heard::default());
    assert_eq!(feed.connections().len(), 2);
    let ticker =
        r#"{"e":"bookTicker","u":7,"s":"BTCUSDT","b":"10.0","B":"1","a":"10.1","A":"1","T":1,"E":1}"#;
    for copy in [0, 1] {
        feed.on_open(copy, at(0), &mut out);
    }
    for text in [depth_text("BTCUSDT", 10, 12, 8), ticker.to_string()] {
        for copy in [1, 0] {
            give(&mut feed, copy, &text, at(1), &mut out).unwrap();
        }
    }
    feed.on_snapshot(InstrumentId(0), Some(snapshot_text(11).as_bytes()), at(2), &mut out).unwrap();
    for copy in [0, 1] {
        give(&mut feed, copy, &depth_text("BTCUSDT", 13, 14, 12), at(3), &mut out).unwrap();
    }
    feed.on_closed(0, LinkState::Down, LinkReason::Reset, at(4), &mut out);
    give(&mut feed, 1, &depth_text("BTCUSDT", 15, 16, 14), at(5), &mut out).unwrap();
    assert_eq!(out.story(0), ["S11", "12", "14", "16"]);
    let tickers = out.events.iter().filter(|e| matches!(e.body, Body::BookTicker(_))).count();
    assert_eq!((tickers, feed.counters().duplicates), (1, 3));
}

/// The quick copy breaks, the slow one carries on 300 ms behind, and the quick one returns: no rebuild, and no trade is lost or told twice.
#[test]
fn a_quick_copy_that_returns_ahead_of_a_lagging_one_costs_nothing() {
    let config = FeedConfig { copies: 2, paths: PathStyle::Unified, ..Default::default() };
    let (mut feed, mut out) = (feed(config), Heard::default());
    let trade = |id: u64| {
        format!(
            r#"{{"e":"trade","E":9,"T":9,"s":"BTCUSDT","t":{id},"p":"10.0","q":"1","X":"MARKET","m":true}}"#
        )
    };
    let (quick, slow) = (0, 1);
    for copy in [quick, slow] {
        feed.on_open(copy, at(0), &mut out);
    }
    let update = |id: u64| depth_text("BTCUSDT", id, id, id - 1);
    give(&mut feed, quick, &update(10), at(1), &mut out).unwrap();
    give(&mut feed, quick, &trade(100), at(1), &mut out).unwrap();
    feed.on_snapshot(InstrumentId(0), Some(snapshot_text(10).as_bytes()), at(2), &mut out).unwrap();
    feed.on_closed(quick, LinkState::Down, LinkReason::Reset, at(3), &mut out);
    for id in [10, 11] {
        give(&mut feed, slow, &update(id), at(10), &mut out).unwrap();
    }
    give(&mut feed, slow, &trade(101), at(10), &mut out).unwrap();
    feed.on_open(quick, at(11), &mut out);
    for id in [14, 15] {
        give(&mut feed, quick, &update(id), at(12), &mut out).unwrap();
    }
    give(&mut feed, quick, &trade(104), at(12), &mut out).unwrap();
    assert!(
        feed.most_events_per_message()
            > MarketFeed::new(Arc::new(directory(Product::LinearPerpetual)), FeedConfig::default())
                .unwrap()
                .most_events_per_message()
    );
    for id in [12, 13, 14] {
        give(&mut feed, slow, &update(id), at(310), &mut out).unwrap();
    }
    for id in 102..=104 {
        give(&mut feed, slow, &trade(id), at(310), &mut out).unwrap();
    }
    assert_eq!(out.story(0), ["S10", "10", "11", "12", "13", "14", "15"]);
    let mut trades: Vec<u64> = out
        .events
        .iter()
        .filter_map(|event| match event.body {
            Body::Trade(trade) => Some(trade.trade_id),
            _ => None,
        })
        .collect();
    assert_eq!(trades, [100, 101, 104, 102, 103], "each once, as it came");
    trades.sort_unstable();
    trades.dedup();
    assert_eq!(trades.len(), 5);
    assert_eq!((feed.counters().gaps, feed.counters().resyncs, out.snapshots.len()), (0, 0, 1));
}

#[test]
fn a_venue_that_announces_its_shutdown_gets_its_connection_renewed() {
    let (mut feed, mut out) = (feed(FeedConfig::default()), Heard::default());
    feed.on_open(1, at(0), &mut out);
    give(&mut feed, 1, r#"{"e":"serverShutdown","E":1770123456789}"#, at(1), &mut out).unwrap();
    give(&mut feed, 1, r#"{"e":"somethingElse","E":1770123456789}"#, at(1), &mut out).unwrap();
    assert_eq!(out.renewed, [1]);
}

/// The feed of a kind is up with its first carrier and down with its last, whatever happens to the others.
#[test]
fn the_core_hears_of_the_feed_and_not_of_each_connection() {
    let config = FeedConfig { copies: 2, paths: PathStyle::Unified, ..Default::default() };
    let (mut feed, mut out) = (feed(config), Heard::default());
    assert_eq!(
        (feed.connections().len(), feed.slots().len()),
        (2, 3),
        "two to keep, one to change them with"
    );
    let ack = r#"{"result":null,"id":1}"#;
    let told = |out: &Heard| -> Vec<(LinkState, u8)> {
        let links = out.events.iter().filter_map(|event| match event.body {
            Body::Link(change) => Some((change.state, change.connection)),
            _ => None,
        });
        links.collect()
    };
    for slot in [0, 1, 2] {
        feed.on_open(slot, at(0), &mut out);
        give(&mut feed, slot, ack, at(1), &mut out).unwrap();
        assert!(feed.is_up(slot));
    }
    assert_eq!(told(&out), [(LinkState::Up, 0)]);
    feed.on_closed(0, LinkState::Down, LinkReason::Renewal, at(2), &mut out);
    feed.on_closed(2, LinkState::Ended, LinkReason::ClosedByVenue, at(2), &mut out);
    assert_eq!(told(&out), [(LinkState::Up, 0)]);
    feed.on_closed(1, LinkState::Down, LinkReason::Reset, at(3), &mut out);
    assert_eq!(told(&out), [(LinkState::Up, 0), (LinkState::Down, 0)]);
    feed.on_open(2, at(4), &mut out);
    give(&mut feed, 2, ack, at(5), &mut out).unwrap();
    assert_eq!(told(&out)[2..], [(LinkState::Up, 0)]);
}

#[test]
fn an_update_becomes_parts_with_bids_first_and_one_last() {
    for (bids, asks) in [(0, 0), (1, 2), (2, 3), (0, 3), (3, 0), (4, 9), (20, 20), (1000, 1000)] {
        let levels: Vec<_> = (0..bids + asks)
            .map(|n| Level {
                price: crate::core::num::Price::new(n),
                quantity: crate::core::num::Quantity::new(1),
            })
            .collect();
        let header = DepthHeader { first_update: 1, last_update: 2, previous_update: 0, bids: bids as usize };
        let mut events: Vec<Event> = Vec::new();
        put_depth(VenueId(0), InstrumentId(0), Stamps::default(), &header, &levels, true, &mut events);
        assert_eq!(events.len(), parts(levels.len()));
        let (mut found_bids, mut found_asks) = (Vec::new(), Vec::new());
        for (index, event) in events.iter().enumerate() {
            let (part, levels) = match &event.body {
                Body::Depth(depth) if index == 0 => (depth.part, &depth.levels[..]),
                Body::DepthMore(more) if index > 0 => (more.part, &more.levels[..]),
                other => panic!("{other:?}"),
            };
            assert_eq!((part.snapshot, part.last), (true, index + 1 == events.len()));
            found_bids.extend_from_slice(&levels[..usize::from(part.bids)]);
            found_asks.extend_from_slice(&levels[usize::from(part.bids)..usize::from(part.count)]);
        }
        assert_eq!(found_bids, levels[..bids as usize]);
        assert_eq!(found_asks, levels[bids as usize..]);
    }
}
