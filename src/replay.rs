//! Replay: a journal, the same core, and the claim that every decision comes out the same, byte for byte.
//!
//! The core is fed the recorded events at their recorded processing times; what it decides is compared with what the
//! journal says it decided, in order. The first difference ends the replay and names its field. Nothing but the journal
//! is read: configuration and instrument definitions stand in its first records.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::core::codec::{DecodeError, MAX_PAYLOAD};
use crate::core::dispatch::Dispatch;
use crate::core::event::{Body, Event};
use crate::core::execution::Outbox;
use crate::core::id::InstrumentId;
use crate::core::instrument::InstrumentDefinition;
use crate::core::num::DecimalText;
use crate::core::record::{Ask, Decision, RECORDS_VERSION, RecordKind};
use crate::core::snapshot::SnapshotError;
use crate::core::state::market::{BookSync, Top};
use crate::core::time::Nanos;
use crate::core::turn::Core;
use crate::journal::snapshot::{Snapshot, SnapshotFileError, newest_first};
use crate::journal::{End, JournalError, Position, Reader, SessionHeader, SessionId};

/// The first record of a journal: what it takes to build the same core again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// `RECORDS_VERSION` of the build that wrote it; the first version did not say.
    #[serde(default = "first_version")]
    pub records: u32,
    /// The resolved configuration, without secrets.
    pub configuration: String,
    pub run_tag: String,
    /// The venue's text of each instrument, by id.
    pub symbols: Vec<String>,
    /// The name of each asset, by id.
    pub assets: Vec<String>,
    /// The run began killed: the flag of an earlier run was not reset.
    #[serde(default)]
    pub killed: bool,
    /// Why the flag of an earlier run was taken away at this start, where it was.
    #[serde(default)]
    pub kill_reset: Option<String>,
    /// The state that a warm start went on from; none after a cold one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Earlier>,
}

/// An earlier session's last state, in a snapshot file beside the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// Name of the earlier session's folder.
    pub session: String,
    /// The limits are as the earlier session left them, and not those of this configuration.
    pub keeps_limits: bool,
    /// Which state it is.
    pub state_hash: u64,
}

impl Earlier {
    /// The file's place in a session's folder.
    pub fn path(session_folder: &Path) -> PathBuf {
        session_folder.join("opening.snapshot")
    }

    /// Gives a core what the earlier session knew, from the file that this names.
    pub fn succeed(&self, session_folder: &Path, core: &mut Core) -> Result<(), ReplayError> {
        let path = Self::path(session_folder);
        let snapshot = Snapshot::read(&path)?;
        if snapshot.state_hash != self.state_hash {
            let why = "it is not the state that the opening record names".to_owned();
            return Err(ReplayError::EarlierState { path, why });
        }
        core.succeed(&snapshot.form, self.keeps_limits)
            .map_err(|error| ReplayError::EarlierState { path, why: error.to_string() })
    }
}

fn first_version() -> u32 {
    1
}

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the journal is empty: its session ended before it began")]
    Empty,
    #[error("the journal does not begin with an opening record: {0}")]
    NoOpening(String),
    #[error("the journal's records are of version {found}, and this build reads version {RECORDS_VERSION}")]
    Version { found: u32 },
    #[error("the journal ends before all instruments are defined: nothing to replay")]
    NoInstruments,
    #[error("the recorded configuration does not build: {0}")]
    Configuration(String),
    #[error("{}: {why}", .path.display())]
    EarlierState { path: PathBuf, why: String },
    #[error("the record at {position} cannot be read: {why}")]
    Unreadable { position: Position, why: DecodeError },
    #[error(transparent)]
    SnapshotFile(#[from] SnapshotFileError),
    #[error("the session has no snapshot")]
    NoSnapshot,
    #[error("{}: {why}", path.display())]
    Snapshot { path: PathBuf, why: SnapshotError },
    #[error("{} is of session {found}, the journal of session {expected}", path.display())]
    OtherSnapshot { path: PathBuf, found: SessionId, expected: SessionId },
    #[error("{} is after event {snapshot}, and the journal ends at event {journal}: its last pages were lost", path.display())]
    SnapshotAhead { path: PathBuf, snapshot: u64, journal: u64 },
    #[error("{0}")]
    Different(Box<Difference>),
}

/// The first place where the replay and the journal disagree.
#[derive(Debug)]
pub struct Difference {
    /// The event in whose turn it is.
    pub sequence: u64,
    pub field: String,
    pub recorded: String,
    pub replayed: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the replay differs in the turn of event {}, field {}: recorded {}, replayed {}",
            self.sequence, self.field, self.recorded, self.replayed
        )
    }
}

/// What a replay that came out the same has seen.
pub struct Report {
    pub session: SessionHeader,
    pub opening: Opening,
    pub end: Option<End>,
    /// The event after which the replay began; zero: at the first.
    pub began_after: u64,
    /// The last record's.
    pub last_sequence: u64,
    /// Events that were replayed.
    pub events: u64,
    pub dispatches: u64,
    pub decisions: u64,
    /// State hashes in the journal, each equal to the replayed one.
    pub state_hashes: u64,
    pub last_hash: u64,
    pub cross_checks: Vec<CrossCheck>,
    pub core: Core,
}

impl Report {
    /// The journal ended on purpose and everything in it was compared.
    pub fn is_complete(&self) -> bool {
        matches!(self.end, Some(End::Sealed { .. }))
    }
}

/// Builds the core that a journal was written with.
pub type Build<'a> = dyn Fn(&Opening, &[InstrumentDefinition]) -> Result<Core, String> + 'a;

/// Where a replay begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// The first event.
    AtFirstEvent,
    /// The event after the newest snapshot.
    AfterSnapshot,
}

/// Replays a session's journal to its last record.
pub fn replay(session_folder: &Path, begin: Begin, build: &Build<'_>) -> Result<Report, ReplayError> {
    let (session, opening, definitions) = read_opening(session_folder)?;
    let mut core = build(&opening, &definitions).map_err(ReplayError::Configuration)?;
    let (mut reader, snapshot) = match begin {
        Begin::AtFirstEvent => {
            if let Some(earlier) = &opening.earlier {
                earlier.succeed(session_folder, &mut core)?;
            }
            (Reader::open(session_folder)?, None)
        }
        Begin::AfterSnapshot => {
            let (path, sequence) = take_up(session_folder, &session, &mut core)?;
            (Reader::open_after(session_folder, sequence)?, Some((path, sequence)))
        }
    };
    let began_after = snapshot.as_ref().map_or(0, |(_, sequence)| *sequence);
    let mut run = Run::new(core, opening.symbols.len());
    let mut last = 0;
    while let Some(record) = reader.next()? {
        last = record.sequence;
        if snapshot.is_some() && record.sequence <= began_after {
            continue;
        }
        let unreadable = |why| ReplayError::Unreadable { position: record.position, why };
        match RecordKind::from_code(record.kind).map_err(unreadable)? {
            RecordKind::Opening | RecordKind::Note => {}
            RecordKind::Event => {
                let event = Event::decode(record.payload).map_err(unreadable)?;
                run.event(record.sequence, Nanos::new(record.time), &event)?;
            }
            RecordKind::Dispatch => {
                run.compare(record.sequence, RecordKind::Dispatch, record.payload)?;
                run.dispatches += 1;
            }
            RecordKind::Decision => {
                run.compare(record.sequence, RecordKind::Decision, record.payload)?;
                run.decisions += 1;
                if let Ok(Decision::StateHash { .. }) = Decision::decode(record.payload) {
                    run.state_hashes += 1;
                }
            }
        }
    }
    if let Some((path, snapshot)) = snapshot.filter(|(_, sequence)| *sequence > last) {
        return Err(ReplayError::SnapshotAhead { path, snapshot, journal: last });
    }
    let end = reader.end();
    if matches!(end, Some(End::Sealed { .. })) {
        run.expect_nothing_left()?;
    }
    Ok(Report {
        session,
        opening,
        end,
        began_after,
        last_sequence: last,
        events: run.events,
        dispatches: run.dispatches,
        decisions: run.decisions,
        state_hashes: run.state_hashes,
        last_hash: run.core.state_hash(),
        cross_checks: run.cross_checks,
        core: run.core,
    })
}

/// Puts the session's newest snapshot into the core; says which, and the last event in it.
fn take_up(
    session_folder: &Path,
    session: &SessionHeader,
    core: &mut Core,
) -> Result<(PathBuf, u64), ReplayError> {
    let path = newest_first(session_folder)?.into_iter().next().ok_or(ReplayError::NoSnapshot)?;
    let Snapshot { head, form, .. } = Snapshot::read(&path)?;
    if head.session != session.session {
        return Err(ReplayError::OtherSnapshot { path, found: head.session, expected: session.session });
    }
    match core.load(&form) {
        Ok(()) => Ok((path, head.sequence)),
        Err(why) => Err(ReplayError::Snapshot { path, why }),
    }
}

/// The session, its opening record, and the instrument definitions that stand before anything else.
fn read_opening(
    session_folder: &Path,
) -> Result<(SessionHeader, Opening, Vec<InstrumentDefinition>), ReplayError> {
    let mut reader = Reader::open(session_folder)?;
    let session = reader.session().clone();
    let opening: Opening = match reader.next()? {
        Some(record) if record.kind == RecordKind::Opening.code() => {
            serde_json::from_slice(record.payload)
                .map_err(|error| ReplayError::NoOpening(error.to_string()))?
        }
        Some(record) => return Err(ReplayError::NoOpening(format!("its kind is {}", record.kind))),
        None => return Err(ReplayError::Empty),
    };
    if opening.records != RECORDS_VERSION {
        return Err(ReplayError::Version { found: opening.records });
    }
    let mut definitions: BTreeMap<InstrumentId, InstrumentDefinition> = BTreeMap::new();
    while definitions.len() < opening.symbols.len() {
        let Some(record) = reader.next()? else { return Err(ReplayError::NoInstruments) };
        if record.kind != RecordKind::Event.code() {
            continue;
        }
        let position = record.position;
        let event = Event::decode(record.payload).map_err(|why| ReplayError::Unreadable { position, why })?;
        if let Body::Instrument(definition) = event.body {
            definitions.insert(event.instrument, definition);
        }
    }
    Ok((session, opening, definitions.into_values().collect()))
}

/// One replay under way.
struct Run {
    core: Core,
    produced: Produced,
    sequence: u64,
    events: u64,
    dispatches: u64,
    decisions: u64,
    state_hashes: u64,
    cross_checks: Vec<CrossCheck>,
}

/// What the core decided and the journal has not confirmed yet.
#[derive(Default)]
struct Produced {
    records: VecDeque<(RecordKind, Vec<u8>)>,
}

impl Produced {
    fn keep(&mut self, kind: RecordKind, encode: impl FnOnce(&mut [u8]) -> usize) {
        let mut slot = [0u8; MAX_PAYLOAD];
        let length = encode(&mut slot).min(MAX_PAYLOAD);
        self.records.push_back((kind, slot[..length].to_vec()));
    }
}

impl Outbox for Produced {
    fn dispatch(&mut self, dispatch: &Dispatch) {
        self.keep(RecordKind::Dispatch, |slot| dispatch.encode(slot));
    }
    fn decision(&mut self, decision: &Decision) {
        self.keep(RecordKind::Decision, |slot| decision.encode(slot));
    }
    fn ask(&mut self, _ask: &Ask) {}
}

impl Run {
    fn new(core: Core, instruments: usize) -> Self {
        Self {
            core,
            produced: Produced::default(),
            sequence: 0,
            events: 0,
            dispatches: 0,
            decisions: 0,
            state_hashes: 0,
            cross_checks: vec![CrossCheck::default(); instruments],
        }
    }

    fn event(&mut self, sequence: u64, now: Nanos, event: &Event) -> Result<(), ReplayError> {
        self.expect_nothing_left()?;
        self.sequence = sequence;
        self.events += 1;
        self.core.turn(sequence, now, event, &mut self.produced);
        if let Some(check) = self.cross_checks.get_mut(event.instrument.index()) {
            check.after(event, &self.core);
        }
        Ok(())
    }

    fn compare(&mut self, sequence: u64, kind: RecordKind, recorded: &[u8]) -> Result<(), ReplayError> {
        let Some((replayed_kind, replayed)) = self.produced.records.pop_front() else {
            return Err(different(sequence, "count of decisions", show(kind, recorded), "nothing".into()));
        };
        if replayed_kind == kind && replayed == recorded {
            return Ok(());
        }
        let (recorded, replayed) = (show(kind, recorded), show(replayed_kind, &replayed));
        let (field, recorded, replayed) = first_difference(&recorded, &replayed);
        Err(different(sequence, &field, recorded, replayed))
    }

    fn expect_nothing_left(&mut self) -> Result<(), ReplayError> {
        match self.produced.records.pop_front() {
            None => Ok(()),
            Some((kind, bytes)) => {
                Err(different(self.sequence, "count of decisions", "nothing".into(), show(kind, &bytes)))
            }
        }
    }
}

fn different(sequence: u64, field: &str, recorded: String, replayed: String) -> ReplayError {
    ReplayError::Different(Box::new(Difference { sequence, field: field.to_owned(), recorded, replayed }))
}

/// One field a line, so that the first differing line names the field.
fn show(kind: RecordKind, payload: &[u8]) -> String {
    let text = match kind {
        RecordKind::Dispatch => Dispatch::decode(payload).map(|dispatch| format!("{dispatch:#?}")),
        RecordKind::Decision => Decision::decode(payload).map(|decision| format!("{decision:#?}")),
        RecordKind::Event | RecordKind::Opening | RecordKind::Note => Ok(kind.to_string()),
    };
    text.unwrap_or_else(|why| format!("unreadable ({why})"))
}

fn first_difference(recorded: &str, replayed: &str) -> (String, String, String) {
    let pair = recorded.lines().zip(replayed.lines()).find(|(one, other)| one != other);
    let (one, other) = pair.unwrap_or((recorded, replayed));
    let (one, other) = (one.trim().trim_end_matches(','), other.trim().trim_end_matches(','));
    match (one.split_once(": "), other.split_once(": ")) {
        (Some((field, recorded)), Some((same, replayed))) if field == same => {
            (field.to_owned(), recorded.to_owned(), replayed.to_owned())
        }
        _ => ("kind".to_owned(), one.to_owned(), other.to_owned()),
    }
}

/// Two sources of one truth: where a book update ends at the id of an earlier book ticker, best bid and ask must agree.
#[derive(Clone, Debug, Default)]
pub struct CrossCheck {
    tickers: BTreeMap<u64, Top>,
    pub agreed: u64,
    pub differed: u64,
}

impl CrossCheck {
    fn after(&mut self, event: &Event, core: &Core) {
        match &event.body {
            Body::BookTicker(ticker) => {
                let top = Top { bid: ticker.bid, ask: ticker.ask, update_id: ticker.update_id };
                self.tickers.insert(ticker.update_id, top);
            }
            Body::Depth(_) | Body::DepthMore(_) => {
                let Some(market) = core.state().market.instrument(event.instrument) else { return };
                if market.sync != BookSync::Whole {
                    return;
                }
                let newer = self.tickers.split_off(&(market.last_update + 1));
                let met = self.tickers.get(&market.last_update).copied();
                self.tickers = newer;
                let Some(top) = met else { return };
                if (market.book.best_bid(), market.book.best_ask()) == (Some(top.bid), Some(top.ask)) {
                    self.agreed += 1;
                } else {
                    self.differed += 1;
                }
            }
            _ => {}
        }
    }
}

/// A book as lines `B <price> <quantity>`, price descending, then `A ...` ascending, with the decimals of the venue's messages.
pub fn book_lines(core: &Core, instrument: InstrumentId) -> Vec<String> {
    let Some(market) = core.state().market.instrument(instrument) else { return Vec::new() };
    let Some(definition) = market.definition else { return Vec::new() };
    let (mut price, mut quantity) = (DecimalText::new(), DecimalText::new());
    let mut line = |side: char, level: crate::core::event::Level| {
        definition.tick.write(level.price.raw(), &mut price);
        definition.lot.write(level.quantity.raw(), &mut quantity);
        format!("{side} {} {}", price.as_str(), quantity.as_str())
    };
    let bids: Vec<String> = market.book.bids().map(|level| line('B', level)).collect();
    let asks: Vec<String> = market.book.asks().map(|level| line('A', level)).collect();
    bids.into_iter().chain(asks).collect()
}
