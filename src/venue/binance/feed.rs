//! The market feed: from a few connections' texts to clean streams of market events.
//!
//! It says which paths to dial and what to subscribe, checks the acknowledgements, and keeps every book in sync by itself.
//! What the core hears of connections is the feed of a kind as a whole: up with the first connection that carries it, down with the
//! last. So neither the loss of one copy nor the change to a younger connection stops anybody's trading.
//! Depth reaches the core only as: `BookLost`, then a snapshot's parts, then updates that chain on without a hole. Book
//! tickers and trades pass at all times. Nothing is dropped without a count, and no silence lasts: every wait has a deadline
//! that `poll` keeps. It opens no socket and reads no clock.
//! Hot.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use super::book_sync::{BookSync, Landing, Passage, Stamps};
use super::json::{JsonError, JsonReader};
use super::market::{BadMarket, DepthHeader, Incoming, Levels, MAX_LEVELS, MarketBody, MarketMessage};
use super::sightings::Sightings;
use super::wire::Dialect;
use super::{parse, scan};
use crate::core::event::{
    Body, BookLoss, Depth, DepthMore, DepthPart, Event, Level, LinkChange, LinkKind, LinkReason, LinkState,
    Source,
};
use crate::core::id::{InstrumentId, VenueId};
use crate::core::instrument::Product;
use crate::core::time::Nanos;
use crate::venue::{Directory, EventSink};
use std::sync::Arc;

/// What the feed asks of the thread that drives it, besides taking its events.
pub trait FeedOutput: EventSink {
    fn send(&mut self, connection: usize, text: &str);
    /// Fetch a depth snapshot, and give its body to `on_snapshot`.
    fn want_snapshot(&mut self, instrument: InstrumentId, limit: u16);
    /// Close this connection and dial it again.
    fn drop_connection(&mut self, connection: usize, reason: LinkReason);
    /// The venue will end this connection soon: open another, and let it go then.
    fn renew_connection(&mut self, connection: usize);
}

#[derive(Clone, Debug)]
pub struct FeedConfig {
    pub paths: PathStyle,
    pub envelope: Envelope,
    pub depth: Option<DepthSpeed>,
    pub book_ticker: bool,
    pub trades: Option<TradeStream>,
    pub mark_price: bool,
    /// Connections for each stream: with two, the first arrival wins and the other is dropped by its id.
    pub copies: u8,
    pub snapshot_limit: u16,
    /// What one book may keep while it waits for its snapshot.
    pub kept_updates: usize,
    pub kept_levels: usize,
    /// Snapshots asked for at one time: each costs request weight.
    pub snapshots_at_once: usize,
    pub ack_timeout: Nanos,
    pub snapshot_timeout: Nanos,
    /// The first pause before a snapshot is asked for again; it doubles up to 32 times this.
    pub snapshot_pause: Nanos,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self {
            paths: PathStyle::Split,
            envelope: Envelope::Raw,
            depth: Some(DepthSpeed::Fastest),
            book_ticker: true,
            trades: Some(TradeStream::Trade),
            mark_price: false,
            copies: 1,
            snapshot_limit: 1000,
            kept_updates: 1024,
            kept_levels: 8192,
            snapshots_at_once: 4,
            ack_timeout: Nanos::from_secs(5),
            snapshot_timeout: Nanos::from_secs(10),
            snapshot_pause: Nanos::from_millis(250),
        }
    }
}

/// USD-M today splits by kind: `/public` (depth, bookTicker) and `/market` (the rest). Spot has only the unified paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathStyle {
    Split,
    Unified,
}

/// `/ws`: bare messages. `/stream`: each in `{"stream":..,"data":..}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    Raw,
    Combined,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthSpeed {
    /// `@0ms` on USD-M, `@100ms` on spot.
    Fastest,
    Millis100,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradeStream {
    Trade,
    Aggregate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedConnection {
    /// What to dial, after the host: `/public/ws`.
    pub path: String,
    pub kind: FeedKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedKind {
    Public,
    Market,
    Unified,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    #[error("{0}")]
    Message(#[from] BadMarket),
    #[error("depth snapshot: {0}")]
    Snapshot(JsonError),
    #[error("the venue refused a subscription (code {code})")]
    Refused { code: i64 },
    #[error("no such connection or instrument")]
    NotOurs,
    #[error("{streams} streams on one connection, the venue takes {limit}")]
    TooManyStreams { streams: usize, limit: usize },
    #[error("copies must be 1 to 4, kept updates and levels and snapshots at once at least 1")]
    Config,
}

/// Counted since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedCounters {
    pub scanned: u64,
    /// Read by the tolerant parser.
    pub parsed: u64,
    pub bad: u64,
    pub foreign: u64,
    pub off_book: u64,
    pub other: u64,
    pub gaps: u64,
    pub resyncs: u64,
    pub stale_updates: u64,
    pub duplicates: u64,
    pub kept_updates: u64,
    pub overflows: u64,
    pub snapshots_asked: u64,
    pub snapshots_used: u64,
    pub snapshots_too_old: u64,
    pub snapshots_failed: u64,
    pub snapshots_unwanted: u64,
    pub sheds: u64,
}

pub struct MarketFeed {
    directory: Arc<Directory>,
    dialect: &'static Dialect,
    config: FeedConfig,
    /// The configured connections, then one spare of each kind.
    slots: Vec<FeedConnection>,
    configured: usize,
    links: Vec<Link>,
    /// Two connections of one kind are open: what both bring passes once.
    is_doubled: bool,
    books: Vec<BookFeed>,
    counters: FeedCounters,
    levels: Levels,
    last_row: usize,
    reader: JsonReader,
    snapshots_out: usize,
    /// The earliest of all deadlines; `poll` does nothing before.
    due: Nanos,
}

struct Link {
    /// Which kind of stream, counted from 0: the number that the core knows.
    group: u8,
    streams: Vec<String>,
    carries_depth: bool,
    open: bool,
    /// Everything subscribed is acknowledged.
    up: bool,
    /// SUBSCRIBE messages not yet acknowledged, and until when they may take.
    unacknowledged: u32,
    ack_due: Nanos,
    next_id: u64,
}

struct BookFeed {
    sync: BookSync,
    asking: Asking,
    failures: u32,
    last_ticker: u64,
    trades: Sightings,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    No,
    /// A snapshot is on its way; given up then.
    Until(Nanos),
    /// To be asked for, not before then.
    NotBefore(Nanos),
}

impl MarketFeed {
    pub fn new(directory: Arc<Directory>, config: FeedConfig) -> Result<Self, FeedError> {
        if !(1..=4).contains(&config.copies)
            || config.kept_updates == 0
            || config.kept_levels == 0
            || config.snapshots_at_once == 0
        {
            return Err(FeedError::Config);
        }
        let dialect = Dialect::of(directory.product());
        let (mut slots, mut links) = (Vec::new(), Vec::new());
        let (mut spares, mut spare_links) = (Vec::new(), Vec::new());
        for (group, kind) in kinds(directory.product(), config.paths).iter().enumerate() {
            let streams = streams(&directory, &config, *kind);
            if streams.is_empty() {
                continue;
            }
            if streams.len() > dialect.max_streams {
                return Err(FeedError::TooManyStreams { streams: streams.len(), limit: dialect.max_streams });
            }
            let slot = FeedConnection { path: path(*kind, config.envelope), kind: *kind };
            let link = || Link {
                group: group as u8,
                streams: streams.clone(),
                carries_depth: config.depth.is_some() && *kind != FeedKind::Market,
                open: false,
                up: false,
                unacknowledged: 0,
                ack_due: Nanos::MAX,
                next_id: 1,
            };
            for _ in 0..config.copies {
                slots.push(slot.clone());
                links.push(link());
            }
            spare_links.push(link());
            spares.push(slot);
        }
        let configured = slots.len();
        slots.append(&mut spares);
        links.append(&mut spare_links);
        let book = |_: &_| BookFeed {
            sync: BookSync::new(dialect.bridge, config.kept_updates, config.kept_levels),
            asking: Asking::No,
            failures: 0,
            last_ticker: 0,
            trades: Sightings::default(),
        };
        Ok(Self {
            books: directory.listings().iter().map(book).collect(),
            directory,
            dialect,
            config,
            slots,
            configured,
            links,
            is_doubled: false,
            counters: FeedCounters::default(),
            levels: Levels::with_capacity(MAX_LEVELS),
            last_row: 0,
            reader: JsonReader::with_capacity(256 * 1024),
            snapshots_out: 0,
            due: Nanos::MAX,
        })
    }

    /// What is to be kept open.
    pub fn connections(&self) -> &[FeedConnection] {
        self.slots.get(..self.configured).unwrap_or(&[])
    }
    /// Those, and behind them one of each kind that is dialled to take another's place while that is still open.
    pub fn slots(&self) -> &[FeedConnection] {
        &self.slots
    }
    /// Everything that this connection is for has been acknowledged.
    pub fn is_up(&self, connection: usize) -> bool {
        self.links.get(connection).is_some_and(|link| link.up)
    }
    pub fn counters(&self) -> &FeedCounters {
        &self.counters
    }
    /// Every book is whole.
    pub fn is_synced(&self) -> bool {
        self.books.iter().all(|book| book.sync.is_synced())
    }
    /// The ring must have this much room before a message is handed over.
    pub fn most_events_per_message(&self) -> usize {
        // Of two copies the slower one's message can let go what the quicker one brought early.
        let early = if self.is_doubled { self.most_events_early() } else { 0 };
        parts(MAX_LEVELS).max(self.books.len() + 1) + early
    }
    /// The same for `on_snapshot`, which lets the kept updates go too.
    pub fn most_events_per_snapshot(&self) -> usize {
        parts(MAX_LEVELS) + self.most_events_kept() + 1
    }
    /// The ring must be this deep, whatever comes.
    pub fn least_room(&self) -> usize {
        parts(MAX_LEVELS).max(self.books.len() + 1)
            + self.most_events_early()
            + self.most_events_per_snapshot()
    }
    fn most_events_early(&self) -> usize {
        self.most_events_kept() / 2 + 1
    }
    fn most_events_kept(&self) -> usize {
        2 * self.config.kept_updates + self.config.kept_levels.div_ceil(DepthMore::LEVELS)
    }
    /// When `poll` has something to do next; `Nanos::MAX` for never.
    pub fn next_deadline(&self) -> Nanos {
        self.due
    }

    /// The WebSocket handshake is done.
    pub fn on_open<O: FeedOutput>(&mut self, connection: usize, now: Nanos, out: &mut O) {
        let Some(link) = self.links.get_mut(connection) else { return };
        link.open = true;
        link.up = false;
        link.unacknowledged = 0;
        link.ack_due = now + self.config.ack_timeout;
        for streams in link.streams.chunks(STREAMS_PER_REQUEST) {
            out.send(connection, &subscribe(streams, link.next_id));
            link.next_id += 1;
            link.unacknowledged += 1;
        }
        self.due = self.due.earlier(link.ack_due);
        self.count_open();
    }

    /// One text of a connection. `received`: when its socket became readable; `parsed_clock` is read once, after parsing.
    /// An error is for the log: what it meant for the books has been done.
    #[inline]
    pub fn on_message<O: FeedOutput>(
        &mut self,
        connection: usize,
        text: &[u8],
        received: Nanos,
        parsed_clock: impl Fn() -> Nanos,
        out: &mut O,
    ) -> Result<(), FeedError> {
        match scan::scan(text, &self.directory, &mut self.last_row, &mut self.levels) {
            Ok(message) => {
                self.counters.scanned += 1;
                self.on_market(&message, received, parsed_clock(), out);
                Ok(())
            }
            Err(_) => self.on_unusual(connection, text, received, parsed_clock, out),
        }
    }

    /// A snapshot that was asked for: its body, or `None` where it could not be had.
    pub fn on_snapshot<O: FeedOutput>(
        &mut self,
        instrument: InstrumentId,
        body: Option<&[u8]>,
        now: Nanos,
        out: &mut O,
    ) -> Result<(), FeedError> {
        let directory = Arc::clone(&self.directory);
        let row = directory.listings().iter().position(|listing| listing.id == instrument);
        let (Some(row), Some(listing)) = (row, directory.of(instrument)) else {
            return Err(FeedError::NotOurs);
        };
        let Some(book) = self.books.get_mut(row) else { return Err(FeedError::NotOurs) };
        if let Asking::Until(_) = book.asking {
            book.asking = Asking::No;
            self.snapshots_out = self.snapshots_out.saturating_sub(1);
        }
        let needed = book.sync.needs_snapshot();
        let levels = &mut self.levels;
        let read = body.map(|body| {
            self.reader.read(body, |json| parse::depth_snapshot(json, &listing.definition, levels))
        });
        let snapshot = match read {
            Some(Ok(snapshot)) => snapshot,
            failed => {
                self.counters.snapshots_failed += 1;
                // A late answer to a question that another answer has settled says nothing about the book.
                if needed {
                    self.put_off(row, now);
                    out.event(self.event(
                        now,
                        now,
                        Nanos::ZERO,
                        row,
                        Body::BookLost(BookLoss::SnapshotFailed),
                    ));
                }
                self.ask_for_snapshots(now, out);
                return match failed {
                    Some(Err(error)) => Err(FeedError::Snapshot(error)),
                    _ => Ok(()),
                };
            }
        };
        match book.sync.on_snapshot(snapshot.last_update) {
            Landing::Unwanted => self.counters.snapshots_unwanted += 1,
            Landing::TooOld => {
                self.counters.snapshots_too_old += 1;
                self.put_off(row, now);
            }
            Landing::Lands => {
                self.counters.snapshots_used += 1;
                book.failures = 0;
                book.asking = Asking::No;
                let venue = directory.venue();
                let header = DepthHeader {
                    first_update: snapshot.last_update,
                    last_update: snapshot.last_update,
                    previous_update: 0,
                    bids: snapshot.bids,
                };
                let stamps = Stamps { received: now, parsed: now, event_time: snapshot.event_time };
                put_depth(venue, instrument, stamps, &header, &self.levels, true, out);
                book.sync.take_kept(|kept, levels| {
                    put_depth(venue, instrument, kept.stamps, &kept.header, levels, false, out);
                });
            }
        }
        self.ask_for_snapshots(now, out);
        Ok(())
    }

    /// The connection is gone. `Ended`: it ended as meant and will not return, so what stands in the books stands.
    pub fn on_closed<O: FeedOutput>(
        &mut self,
        connection: usize,
        state: LinkState,
        reason: LinkReason,
        now: Nanos,
        out: &mut O,
    ) {
        let Some(link) = self.links.get_mut(connection) else { return };
        link.open = false;
        link.up = false;
        link.unacknowledged = 0;
        link.ack_due = Nanos::MAX;
        let (group, carried_depth) = (link.group, link.carries_depth);
        let others = |is: fn(&Link) -> bool| self.links.iter().any(|link| link.group == group && is(link));
        // One that has ended while another goes on says nothing yet; the last one says it for all.
        if !others(|link| link.up) && (state != LinkState::Ended || !others(|link| link.open)) {
            out.event(self.link_event(group, state, reason, now));
        }
        self.count_open();
        let still_carried = self.links.iter().any(|link| link.open && link.carries_depth);
        if state != LinkState::Ended && carried_depth && !still_carried {
            self.lose_all(BookLoss::Disconnected, now, out);
        }
        if !self.links.iter().any(|link| link.open) {
            // A venue that restarts may count anew.
            for book in &mut self.books {
                book.last_ticker = 0;
                book.trades = Sightings::default();
            }
        }
    }

    /// Keeps the deadlines. Cheap when none is due.
    #[inline]
    pub fn poll<O: FeedOutput>(&mut self, now: Nanos, out: &mut O) {
        if now >= self.due {
            self.keep_deadlines(now, out);
        }
    }

    /// The ring to the core was full for too long and messages were let go: no book can be trusted any more.
    pub fn shed<O: FeedOutput>(&mut self, now: Nanos, out: &mut O) {
        self.counters.sheds += 1;
        self.lose_all(BookLoss::RingFull, now, out);
    }

    #[inline]
    fn on_market<O: FeedOutput>(
        &mut self,
        message: &MarketMessage,
        received: Nanos,
        parsed: Nanos,
        out: &mut O,
    ) {
        let Some(book) = self.books.get_mut(message.row) else { return };
        let redundant = self.is_doubled;
        let body = match &message.body {
            MarketBody::Depth(header) => {
                let stamps = Stamps { received, parsed, event_time: message.event_time };
                let passage = book.sync.on_update(header, &self.levels, stamps, redundant);
                let (venue, listing) = (self.directory.venue(), self.directory.listings().get(message.row));
                match (passage, listing) {
                    (Passage::Pass | Passage::Joins, Some(listing)) => {
                        put_depth(venue, listing.id, stamps, header, &self.levels, false, out);
                        if passage == Passage::Joins {
                            book.sync.take_kept(|kept, levels| {
                                put_depth(venue, listing.id, kept.stamps, &kept.header, levels, false, out);
                            });
                        }
                    }
                    _ => self.on_held(message.row, passage, received, out),
                }
                return;
            }
            MarketBody::BookTicker(ticker) => {
                if redundant && ticker.update_id <= book.last_ticker {
                    self.counters.duplicates += 1;
                    return;
                }
                book.last_ticker = ticker.update_id;
                Body::BookTicker(*ticker)
            }
            MarketBody::Trade(trade) => {
                if !book.trades.is_first(trade.trade_id) && redundant {
                    self.counters.duplicates += 1;
                    return;
                }
                Body::Trade(*trade)
            }
            MarketBody::MarkPrice(mark) => Body::MarkPrice(*mark),
        };
        out.event(self.event(received, parsed, message.event_time, message.row, body));
    }

    /// An update that does not pass now.
    fn on_held<O: FeedOutput>(&mut self, row: usize, passage: Passage, now: Nanos, out: &mut O) {
        match passage {
            Passage::Pass | Passage::Joins => return,
            Passage::Stale if self.is_doubled => self.counters.duplicates += 1,
            Passage::Stale => self.counters.stale_updates += 1,
            Passage::Kept | Passage::Early => self.counters.kept_updates += 1,
            Passage::Overflow => self.counters.overflows += 1,
            Passage::Gap => {
                self.counters.gaps += 1;
                self.counters.resyncs += 1;
                out.event(self.event(now, now, Nanos::ZERO, row, Body::BookLost(BookLoss::Gap)));
            }
        }
        let asking =
            self.books.get_mut(row).filter(|book| book.sync.needs_snapshot() && book.asking == Asking::No);
        if let Some(book) = asking {
            book.asking = Asking::NotBefore(now);
            self.ask_for_snapshots(now, out);
        }
    }

    #[cold]
    fn on_unusual<O: FeedOutput>(
        &mut self,
        connection: usize,
        text: &[u8],
        received: Nanos,
        parsed_clock: impl Fn() -> Nanos,
        out: &mut O,
    ) -> Result<(), FeedError> {
        let (directory, last_row, levels) = (&self.directory, &mut self.last_row, &mut self.levels);
        let mut depth_of = None;
        let read = self.reader.read(text, |json| {
            parse::incoming(json, directory, last_row, levels).map_err(|bad| {
                depth_of = bad.depth_of;
                bad.error
            })
        });
        let incoming = match read {
            Ok(incoming) => incoming,
            Err(error) => {
                self.counters.bad += 1;
                if let Some(row) = depth_of {
                    self.lose(row, BookLoss::BadMessage, received, out);
                }
                return Err(BadMarket { error, depth_of }.into());
            }
        };
        match incoming {
            Incoming::Market(message) => {
                self.counters.parsed += 1;
                self.on_market(&message, received, parsed_clock(), out);
            }
            Incoming::Ack { .. } => self.on_ack(connection, received, out),
            Incoming::Refused { code, .. } => {
                out.drop_connection(connection, LinkReason::Protocol);
                return Err(FeedError::Refused { code });
            }
            Incoming::OffBook => self.counters.off_book += 1,
            Incoming::Foreign => self.counters.foreign += 1,
            Incoming::Other => {
                self.counters.other += 1;
                if super::wire::announces_shutdown(text) {
                    out.renew_connection(connection);
                }
            }
        }
        Ok(())
    }

    fn on_ack<O: FeedOutput>(&mut self, connection: usize, now: Nanos, out: &mut O) {
        let Some(link) = self.links.get_mut(connection) else { return };
        if link.unacknowledged == 0 {
            return;
        }
        link.unacknowledged -= 1;
        if link.unacknowledged == 0 {
            link.ack_due = Nanos::MAX;
            link.up = true;
            let group = link.group;
            let carriers = self.links.iter().filter(|link| link.group == group && link.up).count();
            if carriers == 1 {
                out.event(self.link_event(group, LinkState::Up, LinkReason::None, now));
            }
        }
    }

    #[cold]
    fn keep_deadlines<O: FeedOutput>(&mut self, now: Nanos, out: &mut O) {
        for (connection, link) in self.links.iter_mut().enumerate() {
            if link.unacknowledged > 0 && now >= link.ack_due {
                link.ack_due = Nanos::MAX;
                out.drop_connection(connection, LinkReason::Silence);
            }
        }
        for row in 0..self.books.len() {
            let Some(Asking::Until(given_up)) = self.books.get(row).map(|book| book.asking) else { continue };
            if now >= given_up {
                self.snapshots_out = self.snapshots_out.saturating_sub(1);
                self.counters.snapshots_failed += 1;
                self.put_off(row, now);
            }
        }
        self.ask_for_snapshots(now, out);
    }

    /// Asks for what may be asked for now, and finds the next deadline.
    fn ask_for_snapshots<O: FeedOutput>(&mut self, now: Nanos, out: &mut O) {
        let limit = self.config.snapshot_limit.min(self.dialect.max_depth_limit);
        let mut due = self.links.iter().map(|link| link.ack_due).min().unwrap_or(Nanos::MAX);
        for (book, listing) in self.books.iter_mut().zip(self.directory.listings()) {
            if let Asking::NotBefore(at) = book.asking {
                if !book.sync.needs_snapshot() {
                    book.asking = Asking::No;
                } else if now >= at && self.snapshots_out < self.config.snapshots_at_once {
                    book.asking = Asking::Until(now + self.config.snapshot_timeout);
                    self.snapshots_out += 1;
                    self.counters.snapshots_asked += 1;
                    out.want_snapshot(listing.id, limit);
                } else if self.snapshots_out < self.config.snapshots_at_once {
                    due = due.earlier(at);
                }
            }
            if let Asking::Until(at) = book.asking {
                due = due.earlier(at);
            }
        }
        self.due = due;
    }

    /// The book asks again after a pause that doubles with each failure.
    fn put_off(&mut self, row: usize, now: Nanos) {
        if let Some(book) = self.books.get_mut(row) {
            let pause = self.config.snapshot_pause.raw().saturating_mul(1 << book.failures.min(5));
            book.failures = book.failures.saturating_add(1);
            book.asking = Asking::NotBefore(now + Nanos::new(pause));
        }
    }

    fn lose_all<O: FeedOutput>(&mut self, reason: BookLoss, now: Nanos, out: &mut O) {
        for row in 0..self.books.len() {
            self.lose(row, reason, now, out);
        }
    }

    /// The sync of this book begins anew with the next update.
    fn lose<O: FeedOutput>(&mut self, row: usize, reason: BookLoss, now: Nanos, out: &mut O) {
        let Some(book) = self.books.get_mut(row) else { return };
        if matches!(book.asking, Asking::NotBefore(_)) {
            book.asking = Asking::No;
        }
        if book.sync.restart() {
            self.counters.resyncs += 1;
            out.event(self.event(now, now, Nanos::ZERO, row, Body::BookLost(reason)));
        }
    }

    #[inline]
    fn event(&self, received: Nanos, parsed: Nanos, event_time: Nanos, row: usize, body: Body) -> Event {
        let instrument = self.directory.listings().get(row).map_or(InstrumentId::NONE, |listing| listing.id);
        stamped(self.directory.venue(), instrument, Stamps { received, parsed, event_time }, body)
    }

    fn count_open(&mut self) {
        let open = |group: u8| self.links.iter().filter(|link| link.group == group && link.open).count();
        self.is_doubled = self.links.iter().any(|link| open(link.group) > 1);
    }

    fn link_event(&self, group: u8, state: LinkState, reason: LinkReason, now: Nanos) -> Event {
        let change = LinkChange { link: LinkKind::Market, state, reason, connection: group };
        Event::new(now, Source::Receiver, Body::Link(change)).on(self.directory.venue(), InstrumentId::NONE)
    }
}

/// Streams in one SUBSCRIBE: so few requests that the limit on incoming messages (USD-M 10/s, spot 5/s) is never near.
const STREAMS_PER_REQUEST: usize = 256;

fn kinds(product: Product, paths: PathStyle) -> &'static [FeedKind] {
    match (product, paths) {
        (Product::LinearPerpetual, PathStyle::Split) => &[FeedKind::Public, FeedKind::Market],
        _ => &[FeedKind::Unified],
    }
}

fn path(kind: FeedKind, envelope: Envelope) -> String {
    let split = match kind {
        FeedKind::Public => "/public",
        FeedKind::Market => "/market",
        FeedKind::Unified => "",
    };
    let form = match envelope {
        Envelope::Raw => "/ws",
        Envelope::Combined => "/stream",
    };
    [split, form].concat()
}

/// The names of this kind's streams. (USD-M and Spot "WebSocket Streams".)
#[cold]
fn streams(directory: &Directory, config: &FeedConfig, kind: FeedKind) -> Vec<String> {
    let (public, market) = (kind != FeedKind::Market, kind != FeedKind::Public);
    let mut names = Vec::new();
    for listing in directory.listings() {
        let symbol = listing.stream_symbol();
        let mut add = |suffix: &str| names.push(format!("{symbol}{suffix}"));
        match (config.depth, directory.product()) {
            (Some(DepthSpeed::Fastest), Product::LinearPerpetual) if public => add("@depth@0ms"),
            (Some(_), _) if public => add("@depth@100ms"),
            _ => {}
        }
        if config.book_ticker && public {
            add("@bookTicker");
        }
        match config.trades {
            Some(TradeStream::Trade) if market => add("@trade"),
            Some(TradeStream::Aggregate) if market => add("@aggTrade"),
            _ => {}
        }
        if config.mark_price && market && directory.product() == Product::LinearPerpetual {
            add("@markPrice@1s");
        }
    }
    names
}

#[cold]
fn subscribe(streams: &[String], id: u64) -> String {
    format!("{{\"method\":\"SUBSCRIBE\",\"params\":[\"{}\"],\"id\":{id}}}", streams.join("\",\""))
}

/// How many events an update of so many levels becomes.
const fn parts(levels: usize) -> usize {
    1 + levels.saturating_sub(Depth::LEVELS).div_ceil(DepthMore::LEVELS)
}

#[inline]
fn stamped(venue: VenueId, instrument: InstrumentId, stamps: Stamps, body: Body) -> Event {
    Event {
        received: stamps.received,
        event_time: stamps.event_time,
        parsed: u32::try_from(stamps.parsed.since(stamps.received).raw()).unwrap_or(u32::MAX),
        ringed: 0,
        venue,
        source: Source::Receiver,
        instrument,
        body,
    }
}

/// A depth update as its parts: `Depth`, then `DepthMore` until the last. One without levels still is one `Depth`.
#[inline]
fn put_depth<O: EventSink>(
    venue: VenueId,
    instrument: InstrumentId,
    stamps: Stamps,
    header: &DepthHeader,
    levels: &[Level],
    snapshot: bool,
    out: &mut O,
) {
    let mut bids = header.bids;
    let (now, mut rest) = levels.split_at_checked(Depth::LEVELS).unwrap_or((levels, &[]));
    let depth = Depth {
        first_update: header.first_update,
        last_update: header.last_update,
        previous_update: header.previous_update,
        part: part(now, &mut bids, snapshot, rest),
        levels: padded(now),
    };
    out.event(stamped(venue, instrument, stamps, Body::Depth(depth)));
    while !rest.is_empty() {
        let (now, after) = rest.split_at_checked(DepthMore::LEVELS).unwrap_or((rest, &[]));
        rest = after;
        let more = DepthMore { part: part(now, &mut bids, snapshot, rest), levels: padded(now) };
        out.event(stamped(venue, instrument, stamps, Body::DepthMore(more)));
    }
}

#[inline]
fn part(now: &[Level], bids: &mut usize, snapshot: bool, rest: &[Level]) -> DepthPart {
    let here = (*bids).min(now.len());
    *bids = bids.saturating_sub(here);
    DepthPart { count: now.len() as u8, bids: here as u8, snapshot, last: rest.is_empty() }
}

#[inline]
fn padded<const N: usize>(levels: &[Level]) -> [Level; N] {
    let mut array = [Level::default(); N];
    for (slot, level) in array.iter_mut().zip(levels) {
        *slot = *level;
    }
    array
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
