//! A recording played as the public market: when each line is due, who waits for whom, and how it ends.
//!
//! ```text
//!  idle --start--> playing --first snapshot line, nobody asked--> halted --depth request, or timeout--> playing --> ended
//! ```
//!
//! **Rendezvous.** A snapshot line in a recording is the answer to a request that the recorder made. So playback and a client's depth
//! request wait for each other: playback halts at the first snapshot line until a request for its symbol is pending (or the timeout is over), and a request that
//! comes earlier is held until playback gets there (or the timeout is over, then the book as it stands answers). Clients ask for a
//! snapshot when they have seen a first depth update; where a recording has its snapshot before any, and nobody has asked, the snapshot
//! comes behind the first update. Time spent halted is added to the schedule, so that the pace after it is the recorded one. Later requests are answered from the recorded book at once, and later
//! snapshot lines only serve the book.

use super::super::api::*;
use super::super::engine::Exchange;
use super::super::error::SetupError;
use super::super::instrument::Liquidity;
use super::super::orders::SymbolIndex;
use super::Market;
use super::lines::{BadLine, Content, Line, Lines, Message};
use super::recorded::MarketFill;
use std::sync::Arc;

pub struct Playback {
    lines: Lines,
    symbols: Vec<Symbol>,
    speed: Speed,
    timeout_ns: u64,
    burst: usize,
    phase: Phase,
    /// The line that is next, read ahead to know when it is due.
    ahead: Option<Next>,
    /// The line after `ahead`, where a snapshot was put between.
    behind: Option<Next>,
    /// The first snapshot line, until the first depth update was played or somebody asked.
    early_snapshot: Option<Line>,
    /// A depth update was played: clients know that they need a snapshot.
    depth_played: bool,
    held: Vec<Held>,
    last_ticket: u64,
    /// Somebody got a snapshot, or gave up waiting for one: requests are answered at once from here on.
    answered: Vec<bool>,
    /// The first snapshot line has been met.
    met_snapshot: bool,
    /// A `trade` stream is recorded: `aggTrade` says the same again and fills nothing.
    has_trades: bool,
}

/// What reading a line gave: `None` is the end of the recording.
type Next = Result<Option<Line>, BadLine>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// `recorded` on the recording's clock is `at` on ours.
    Playing {
        at: u64,
        recorded: u64,
    },
    Halted {
        at: u64,
        recorded: u64,
        since: u64,
    },
    Ended,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    ticket: DepthTicket,
    symbol: SymbolIndex,
    limit: usize,
    until: u64,
}

/// What one step of playback gives the venue to do.
enum Step {
    Line(Box<Line>),
    /// Requests that waited long enough.
    Overdue(Vec<Held>),
    Ended(Ending, Vec<Held>),
    Nothing,
}

impl Playback {
    pub fn open(config: &RecordingConfig, symbols: &[SymbolSpec]) -> Result<Playback, SetupError> {
        Ok(Playback {
            lines: Lines::open(&config.files)?,
            symbols: symbols.iter().map(|spec| spec.symbol.clone()).collect(),
            speed: config.speed,
            timeout_ns: config.rendezvous_timeout_ns,
            burst: config.burst.max(1),
            phase: Phase::Idle,
            ahead: None,
            behind: None,
            early_snapshot: None,
            depth_played: false,
            held: Vec::new(),
            last_ticket: 0,
            answered: vec![false; symbols.len()],
            met_snapshot: false,
            has_trades: false,
        })
    }

    pub fn start(&mut self, now: u64) {
        if self.phase != Phase::Idle {
            return;
        }
        let first = self.lines.next();
        let recorded = match &first {
            Ok(Some(line)) => line.received_ns,
            _ => 0,
        };
        self.ahead = Some(first);
        self.phase = Phase::Playing { at: now, recorded };
    }

    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    pub fn burst(&self) -> usize {
        self.burst
    }

    /// Holds a depth request, unless the venue's own book can answer it now.
    pub fn hold_depth(&mut self, symbol: SymbolIndex, limit: usize, now: u64) -> Option<DepthTicket> {
        if self.answered[symbol.0] || self.has_ended() {
            return None;
        }
        self.last_ticket += 1;
        let ticket = DepthTicket(self.last_ticket);
        self.held.push(Held { ticket, symbol, limit, until: now.saturating_add(self.timeout_ns) });
        Some(ticket)
    }

    pub fn next_due(&self, now: u64) -> Option<u64> {
        let patience = self.held.iter().map(|held| held.until).min();
        let line = match self.phase {
            Phase::Idle | Phase::Ended => None,
            Phase::Playing { at, recorded } => Some(match &self.ahead {
                _ if self.early_snapshot.is_some() && self.awaited() => now,
                Some(Ok(Some(line))) => self.due(line, at, recorded, now),
                _ => now,
            }),
            Phase::Halted { since, .. } => {
                Some(if self.awaited() { now } else { since.saturating_add(self.timeout_ns) })
            }
        };
        [patience, line].into_iter().flatten().min()
    }

    fn due(&self, line: &Line, at: u64, recorded: u64, now: u64) -> u64 {
        match self.speed {
            Speed::Max => now,
            Speed::Times(times) => {
                at.saturating_add(line.received_ns.saturating_sub(recorded) / u64::from(times.max(1)))
            }
        }
    }

    /// The one thing that is due at `clock`.
    fn step(&mut self, clock: u64) -> Step {
        let overdue: Vec<Held> = self.held.extract_if(.., |held| held.until <= clock).collect();
        if !overdue.is_empty() {
            // Before the start there is no book yet: that client's next request may still meet the snapshot.
            if self.phase != Phase::Idle {
                for held in &overdue {
                    self.answered[held.symbol.0] = true;
                }
            }
            return Step::Overdue(overdue);
        }
        match self.phase {
            Phase::Idle | Phase::Ended => return Step::Nothing,
            Phase::Halted { at, recorded, since } => {
                if !self.awaited() && clock < since.saturating_add(self.timeout_ns) {
                    return Step::Nothing;
                }
                self.phase = Phase::Playing { at: at + (clock - since), recorded };
                self.met_snapshot = true;
            }
            Phase::Playing { at, recorded } => {
                self.place_early_snapshot();
                let snapshot =
                    matches!(&self.ahead, Some(Ok(Some(Line { content: Content::Snapshot { .. }, .. }))));
                if snapshot && !self.met_snapshot {
                    if !self.awaited() && !self.depth_played && self.early_snapshot.is_none() {
                        let next = self.lines.next();
                        if let Some(Ok(Some(snapshot))) = self.ahead.replace(next) {
                            self.early_snapshot = Some(snapshot);
                        }
                        return Step::Nothing;
                    }
                    if !self.awaited() {
                        self.phase = Phase::Halted { at, recorded, since: clock };
                        return Step::Nothing;
                    }
                    self.met_snapshot = true;
                }
            }
        }
        match self.ahead.take() {
            Some(Ok(Some(line))) => {
                self.ahead = Some(self.behind.take().unwrap_or_else(|| self.lines.next()));
                self.depth_played |= matches!(&line.content, Content::Stream { kind: StreamKind::Depth, .. });
                Step::Line(Box::new(line))
            }
            Some(Err(BadLine { file, line, why })) => self.end(Ending::BadLine { file, line, why }),
            Some(Ok(None)) | None => self.end(Ending::Complete { lines: self.lines.count }),
        }
    }

    /// Puts the snapshot that came too early to be asked for before the line that is next, once it makes sense there.
    fn place_early_snapshot(&mut self) {
        let is_last = !matches!(&self.ahead, Some(Ok(Some(_))));
        if (self.depth_played || is_last || self.awaited())
            && let Some(snapshot) = self.early_snapshot.take()
        {
            self.behind = self.ahead.replace(Ok(Some(snapshot)));
        }
    }

    fn end(&mut self, ending: Ending) -> Step {
        self.phase = Phase::Ended;
        Step::Ended(ending, std::mem::take(&mut self.held))
    }

    /// Whether somebody waits for the first snapshot. With several symbols any of them does: the line itself does not name one.
    fn awaited(&self) -> bool {
        !self.held.is_empty()
    }

    fn take_held(&mut self, symbol: SymbolIndex) -> Vec<Held> {
        self.answered[symbol.0] = true;
        self.held.extract_if(.., |held| held.symbol == symbol).collect()
    }

    fn index(&self, symbol: &str) -> Option<SymbolIndex> {
        self.symbols.iter().position(|name| &**name == symbol).map(SymbolIndex)
    }
}

impl Exchange {
    pub(in super::super) fn step_recording(&mut self) {
        let clock = self.now_ns();
        let Market::Recording(playback) = &mut self.market else { return };
        match playback.step(clock) {
            Step::Nothing => {}
            Step::Line(line) => self.play_line(*line),
            Step::Overdue(held) => self.answer_from_book(&held),
            Step::Ended(ending, held) => {
                self.answer_from_book(&held);
                self.outbox.push(Output::Ended(ending));
            }
        }
    }

    fn play_line(&mut self, line: Line) {
        match line.content {
            Content::Snapshot { last_update_id, event_time_ms, transaction_time_ms, bids, asks } => {
                let snapshot = DepthSnapshot {
                    symbol: "".into(),
                    last_update_id,
                    event_time_ms,
                    transaction_time_ms,
                    bids,
                    asks,
                    verbatim: Some(line.json),
                };
                self.play_snapshot(snapshot);
            }
            Content::Stream { stream, symbol, kind, data, message } => {
                let Market::Recording(playback) = &mut self.market else { return };
                playback.has_trades |= kind == StreamKind::Trade;
                let index = playback.index(&symbol);
                let repeats = kind == StreamKind::AggTrade && playback.has_trades;
                let symbol = match index {
                    Some(index) => playback.symbols[index.0].clone(),
                    None => symbol.into(),
                };
                self.outbox.push(Output::Recorded(RecordedFrame {
                    symbol,
                    kind,
                    stream,
                    frame: line.json,
                    data,
                }));
                if let Some(index) = index
                    && !repeats
                {
                    self.play_message(index, message);
                }
            }
        }
    }

    fn play_message(&mut self, symbol: SymbolIndex, message: Message) {
        let instrument = &mut self.instruments[symbol.0];
        let Liquidity::Recorded(recorded) = &mut instrument.liquidity else { return };
        let fills = match message {
            Message::Depth(diff) => recorded.apply(diff),
            Message::Trade { price, quantity, buyer_is_maker, time_ms, trade_id } => {
                instrument.tape.last_price = Some(price);
                let trade = PublicTrade {
                    symbol: instrument.spec.symbol.clone(),
                    trade_id,
                    price,
                    quantity,
                    buyer_is_maker,
                    trade_time_ms: time_ms,
                    event_time_ms: time_ms,
                };
                let fills = recorded.trade(price, quantity, buyer_is_maker);
                instrument.remember_public(trade);
                fills
            }
            Message::Mark(price) => {
                recorded.recorded_mark = Some(price);
                Vec::new()
            }
            Message::Other => Vec::new(),
        };
        self.fill_all(symbol, &fills);
    }

    fn play_snapshot(&mut self, mut snapshot: DepthSnapshot) {
        let Some(symbol) = self.symbol_of(&snapshot) else { return };
        snapshot.symbol = self.instruments[symbol.0].spec.symbol.clone();
        let Market::Recording(playback) = &mut self.market else { return };
        for held in playback.take_held(symbol) {
            self.outbox.push(Output::DepthReady(held.ticket, cut(&snapshot, held.limit)));
        }
        if let Liquidity::Recorded(recorded) = &mut self.instruments[symbol.0].liquidity {
            let fills = recorded.load_snapshot(snapshot.last_update_id, &snapshot.bids, &snapshot.asks);
            self.fill_all(symbol, &fills);
        }
    }

    fn fill_all(&mut self, symbol: SymbolIndex, fills: &[MarketFill]) {
        for fill in fills {
            self.fill_resting(symbol, fill.order_id, fill.price, fill.quantity);
        }
    }

    fn answer_from_book(&mut self, held: &[Held]) {
        let idle = matches!(&self.market, Market::Recording(playback) if playback.phase == Phase::Idle);
        for held in held {
            if !idle && let Liquidity::Recorded(recorded) = &mut self.instruments[held.symbol.0].liquidity {
                let fills = recorded.begin_without_snapshot();
                self.fill_all(held.symbol, &fills);
            }
            let snapshot = self.instruments[held.symbol.0].snapshot(held.limit, self.now_ms());
            self.outbox.push(Output::DepthReady(held.ticket, snapshot));
        }
    }

    /// Whose snapshot it is: the only instrument's, or that of the one whose updates are nearest in number.
    fn symbol_of(&self, snapshot: &DepthSnapshot) -> Option<SymbolIndex> {
        self.instruments
            .iter()
            .min_by_key(|instrument| match &instrument.liquidity {
                Liquidity::Recorded(recorded) => {
                    recorded.newest_update_id().abs_diff(snapshot.last_update_id)
                }
                Liquidity::Book(_) => u64::MAX,
            })
            .map(|instrument| instrument.index)
    }
}

fn cut(snapshot: &DepthSnapshot, limit: usize) -> DepthSnapshot {
    let whole = snapshot.bids.len() <= limit && snapshot.asks.len() <= limit;
    let verbatim: Option<Arc<[u8]>> = if whole { snapshot.verbatim.clone() } else { None };
    DepthSnapshot {
        bids: snapshot.bids.iter().take(limit).copied().collect(),
        asks: snapshot.asks.iter().take(limit).copied().collect(),
        verbatim,
        ..snapshot.clone()
    }
}
