//! What an operator and the core say to each other: commands and questions over `operator_core`, answers over `core_operator`.
//!
//! ```text
//!   operator --Said::Command(number, control, note)--> core    one event; its answer is Told::Applied(number)
//!            --Said::Look(number, sight)-------------> core    no event; its answer is rows, then Told::End(number)
//!            <-Told::Kill---------------------------- core    unasked: the kill switch has changed
//! ```
//!
//! A look costs the core a bounded share of a pass and changes nothing, so it is not in the journal. There is no word here
//! with which an order could be wished: what an operator may do is `ControlVerb`.
//! Hot.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

use crate::core::event::{Control, KillMode, LinkKind, LinkState, RequestKind, TradingState};
use crate::core::id::{InstrumentId, OrderIndex, OrderKey, StrategyId, VenueId};
use crate::core::num::Price;
use crate::core::record::{Gate, RiskReason, Wait};
use crate::core::state::control::{AccountTrust, Held};
use crate::core::state::execution::Agreement;
use crate::core::state::market::BookSync;
use crate::core::state::order::Order;
use crate::core::state::position::Position;
use crate::core::state::queue::Pending;
use crate::core::strategy::Progress;
use crate::core::time::Nanos;
use crate::core::turn::Core;
use crate::kill_gate::Epoch;
use crate::telemetry::counters::CoreCounters;

/// From an operator to the core.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "it lies in a ring, where every place has the size of the largest"
)]
pub enum Said {
    Command(Command),
    Look(Look),
}

/// A control event to take, and who stands behind it.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Counted from 1 by the operator, and the event's `who`: the note in the journal bears the same one.
    pub number: u32,
    pub control: Control,
    pub note: Note,
}

/// A question about the state. A later one takes the place of one that is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub number: u32,
    pub sight: Sight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Nothing but the answer: the core lives.
    Pulse,
    /// The control state.
    Control,
    /// Every live order.
    Orders,
    /// Every command that waits in the outbound queue.
    Waiting,
    /// What risk has denied, by its reason.
    Denials,
    /// Every position that is or was held, by owner.
    Positions,
    /// Links and gates, by venue.
    Venues,
    /// Markets and their trust, by instrument.
    Markets,
    /// What each strategy may do, and how far it has come with a work that has an end.
    Strategies,
}

/// From the core to an operator.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "it lies in a ring, where every place has the size of the largest"
)]
pub enum Told {
    Applied(Applied),
    Row(u32, Row),
    /// The last word on this look: the state that it saw last.
    End {
        look: u32,
        sequence: u64,
        now: u64,
    },
    /// The kill switch has changed, by whomever.
    Kill {
        mode: Option<KillMode>,
        cause: &'static str,
        sequence: u64,
    },
}

/// A command has had its turn: its effect is in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    pub number: u32,
    /// Its event's place in the stream, by which it is found in the journal.
    pub sequence: u64,
    /// False where the core has no such limit or parameter, or not this value for it: nothing has changed.
    pub taken: bool,
    /// Of a limit or parameter: before and after. Else as they were in the command.
    pub old: i64,
    pub new: i64,
    /// The gate's epoch after it.
    pub epoch: Epoch,
}

/// One line of what was looked at.
#[derive(Clone, Copy, Debug)]
pub enum Row {
    Control(ControlRow),
    Order(Order),
    Waiting(WaitingRow),
    Denials(RiskReason, u64),
    Position(PositionRow),
    Venue(VenueRow),
    Market(MarketRow),
    Strategy(StrategyRow),
}

#[derive(Clone, Copy, Debug)]
pub struct ControlRow {
    pub trading_enabled: bool,
    pub kill: Option<KillMode>,
    pub draining: bool,
    pub flattening: bool,
    pub held: Held,
    /// Nothing of ours is open, under way or waiting.
    pub idle: bool,
    pub open_orders: u32,
    pub dispatches: u64,
    pub fills: u64,
    pub unknown_outcomes: u64,
}

/// A command that is allowed and has not gone yet.
#[derive(Clone, Copy, Debug)]
pub struct WaitingRow {
    pub key: OrderKey,
    pub instrument: InstrumentId,
    pub request: RequestKind,
    /// When its key's command first entered the queue.
    pub since: Nanos,
    pub why: Wait,
}

#[derive(Clone, Copy, Debug)]
pub struct PositionRow {
    /// Whose it is; `None` for all owners together.
    pub owner: Option<StrategyId>,
    pub instrument: InstrumentId,
    pub position: Position,
    /// What it is marked to, where the market tells.
    pub mark: Option<Price>,
    pub agreement: Agreement,
}

#[derive(Clone, Copy, Debug)]
pub struct VenueRow {
    pub venue: VenueId,
    /// The first gate that keeps new risk in.
    pub closed: Option<Gate>,
    /// The first gate that keeps everything in, cancels of a kill too.
    pub blocked: Option<Gate>,
    pub links: [(LinkKind, LinkState); 4],
    pub account: AccountTrust,
}

#[derive(Clone, Copy, Debug)]
pub struct MarketRow {
    pub instrument: InstrumentId,
    pub sync: BookSync,
    pub stale: bool,
    pub trusted: bool,
    pub settled: bool,
    pub bid: Option<Price>,
    pub ask: Option<Price>,
    pub agreement: Agreement,
    pub open_orders: u32,
    pub in_doubt: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct StrategyRow {
    pub strategy: StrategyId,
    /// Its own; what holds everybody stands in the control row.
    pub state: TradingState,
    pub progress: Option<Progress>,
}

/// A text for people, of bounded size: who asked, and why. It stands in the journal before its event.
#[derive(Clone, Copy)]
pub struct Note {
    length: u8,
    bytes: [u8; Note::MOST],
}

impl Note {
    pub const MOST: usize = 240;
    pub const NONE: Self = Self { length: 0, bytes: [0; Self::MOST] };

    /// Longer text is cut at a character.
    pub fn new(text: &str) -> Self {
        let kept = text.get(..text.floor_char_boundary(Self::MOST)).unwrap_or("");
        let mut note = Self::NONE;
        if let Some(room) = note.bytes.get_mut(..kept.len()) {
            room.copy_from_slice(kept.as_bytes());
            note.length = u8::try_from(kept.len()).unwrap_or(0);
        }
        note
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

impl std::fmt::Debug for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

/// A look under way.
#[derive(Clone, Copy, Debug)]
pub struct Looking {
    pub look: Look,
    /// What of the sight has been gone through.
    at: u32,
}

/// Places of a table that one pass goes through for a look.
const PLACES: u32 = 64;

impl Looking {
    pub fn new(look: Look) -> Self {
        Self { look, at: 0 }
    }

    /// Tells the next few rows; true when there are no more. `tell` must have room for `PLACES`.
    pub fn go_on(&mut self, core: &Core, counters: &CoreCounters, mut tell: impl FnMut(Row)) -> bool {
        let state = core.state();
        let strategies = u32::try_from(core.configuration().strategies.len()).unwrap_or(0);
        let instruments = u32::try_from(core.configuration().instruments.len()).unwrap_or(0);
        // Owners of positions: each strategy, what is not ours, and all of them together.
        let owners = strategies.saturating_add(2);
        let places = match self.look.sight {
            Sight::Pulse => 0,
            Sight::Control => 1,
            Sight::Orders => core.configuration().order_rows,
            Sight::Waiting => u32::try_from(state.execution.queue.len()).unwrap_or(u32::MAX),
            Sight::Denials => u32::try_from(RiskReason::ALL.len()).unwrap_or(0),
            Sight::Positions => owners.saturating_mul(instruments),
            Sight::Venues => u32::try_from(core.configuration().venues.len()).unwrap_or(0),
            Sight::Markets => instruments,
            Sight::Strategies => strategies,
        };
        let end = places.min(self.at.saturating_add(PLACES));
        for at in self.at..end {
            let row = match self.look.sight {
                Sight::Pulse => None,
                Sight::Control => Some(Row::Control(control_row(core))),
                // By place in the table: an order is told at most once, whatever happens between two passes.
                Sight::Orders => {
                    let order = state.execution.orders.order(OrderIndex(at));
                    order.filter(|order| order.is_live()).map(|order| Row::Order(*order))
                }
                Sight::Waiting => state
                    .execution
                    .queue
                    .iter()
                    .nth(at as usize)
                    .map(|pending| Row::Waiting(waiting_row(pending))),
                Sight::Denials => RiskReason::ALL.get(at as usize).and_then(|reason| {
                    let count = counters.denials.of(*reason).count();
                    (count > 0).then_some(Row::Denials(*reason, count))
                }),
                Sight::Positions => {
                    let owner = at.checked_div(instruments).unwrap_or(0);
                    let instrument = at.checked_rem(instruments).unwrap_or(0);
                    let owner = match owner {
                        _ if owner < strategies => Some(StrategyId(u8::try_from(owner).unwrap_or(u8::MAX))),
                        _ if owner == strategies => Some(StrategyId::EXTERNAL),
                        _ => None,
                    };
                    let instrument = InstrumentId(u16::try_from(instrument).unwrap_or(u16::MAX));
                    position_row(core, owner, instrument).map(Row::Position)
                }
                Sight::Venues => {
                    venue_row(core, VenueId(u8::try_from(at).unwrap_or(u8::MAX))).map(Row::Venue)
                }
                Sight::Markets => {
                    market_row(core, InstrumentId(u16::try_from(at).unwrap_or(u16::MAX))).map(Row::Market)
                }
                Sight::Strategies => {
                    let strategy = StrategyId(u8::try_from(at).unwrap_or(u8::MAX));
                    let state = state.control.trading.of(strategy);
                    Some(Row::Strategy(StrategyRow { strategy, state, progress: core.progress(strategy) }))
                }
            };
            row.into_iter().for_each(&mut tell);
        }
        self.at = end;
        end == places
    }
}

/// What `go_on` may tell at once.
pub const MOST_ROWS: usize = PLACES as usize;

fn control_row(core: &Core) -> ControlRow {
    let (control, execution) = (&core.state().control, &core.state().execution);
    ControlRow {
        trading_enabled: control.trading.everybody() == TradingState::Active,
        kill: control.kill,
        draining: control.draining,
        flattening: control.flattening,
        held: control.held,
        idle: core.is_idle(),
        open_orders: u32::try_from(core.open_orders()).unwrap_or(u32::MAX),
        dispatches: core.dispatches(),
        fills: execution.counters.fills,
        unknown_outcomes: execution.counters.unknown_outcomes,
    }
}

fn waiting_row(pending: &Pending) -> WaitingRow {
    WaitingRow {
        key: pending.intent.key(),
        instrument: pending.instrument,
        request: pending.intent.request(),
        since: pending.since,
        why: pending.waits_for,
    }
}

fn position_row(core: &Core, owner: Option<StrategyId>, instrument: InstrumentId) -> Option<PositionRow> {
    let state = core.state();
    let position = match owner {
        Some(owner) => state.execution.position(owner, instrument)?,
        None => state.execution.total(instrument)?,
    };
    let never = position.quantity.is_zero() && position.fills == 0;
    (!never).then(|| PositionRow {
        owner,
        instrument,
        position: *position,
        mark: state.market.instrument(instrument).and_then(|market| market.mark_to()),
        agreement: state.execution.agreement(instrument),
    })
}

fn venue_row(core: &Core, venue: VenueId) -> Option<VenueRow> {
    let control = &core.state().control;
    let known = control.venue(venue)?;
    let kinds = [LinkKind::Market, LinkKind::Private, LinkKind::OrderEntry, LinkKind::Rest];
    Some(VenueRow {
        venue,
        closed: control.closed_gate(venue),
        blocked: control.closed_passage(venue),
        links: kinds.map(|kind| (kind, known.link(kind))),
        account: known.account,
    })
}

fn market_row(core: &Core, instrument: InstrumentId) -> Option<MarketRow> {
    let state = core.state();
    let market = state.market.instrument(instrument)?;
    let exposure = state.execution.exposure(instrument);
    Some(MarketRow {
        instrument,
        sync: market.sync,
        stale: market.stale,
        trusted: market.is_trusted(),
        settled: state.account.is_settled(instrument),
        bid: market.top.map(|top| top.bid.price),
        ask: market.top.map(|top| top.ask.price),
        agreement: state.execution.agreement(instrument),
        open_orders: exposure.open_orders,
        in_doubt: exposure.in_doubt,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_keeps_its_text_and_cuts_a_longer_one_at_a_character() {
        assert_eq!(Note::new("uid 1000: why").as_bytes(), b"uid 1000: why");
        assert_eq!(Note::NONE.as_bytes(), b"");
        let long = "é".repeat(Note::MOST);
        assert_eq!(Note::new(&long).as_bytes(), "é".repeat(Note::MOST / 2).as_bytes());
        let odd = format!("x{long}");
        assert_eq!(Note::new(&odd).as_bytes().len(), Note::MOST - 1);
    }
}
