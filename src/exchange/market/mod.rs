//! Who else trades here: nobody, seeded agents, or a recording of the real exchange.

pub mod agents;
pub mod dice;
pub mod lines;
pub mod playback;
pub mod recorded;

use self::agents::Desk;
use self::playback::Playback;
use super::api::{ExchangeConfig, MarketConfig};
use super::engine::Exchange;
use super::error::SetupError;

pub enum Market {
    Quiet,
    /// One desk per instrument.
    Agents(Vec<Desk>),
    Recording(Box<Playback>),
}

impl Market {
    pub fn new(config: &ExchangeConfig, now: u64) -> Result<Market, SetupError> {
        Ok(match &config.market {
            MarketConfig::Quiet => Market::Quiet,
            MarketConfig::Agents(agents) => Market::Agents(
                config
                    .symbols
                    .iter()
                    .enumerate()
                    .map(|(index, spec)| Desk::new(agents, index, spec, now))
                    .collect(),
            ),
            MarketConfig::Recording(recording) => {
                Market::Recording(Box::new(Playback::open(recording, &config.symbols)?))
            }
        })
    }

    pub fn is_recording(&self) -> bool {
        matches!(self, Market::Recording(_))
    }

    pub fn has_ended(&self) -> bool {
        matches!(self, Market::Recording(playback) if playback.has_ended())
    }

    /// When the market next does something of its own.
    pub fn next_due(&self, now: u64) -> Option<u64> {
        match self {
            Market::Quiet => None,
            Market::Agents(desks) => desks.iter().map(|desk| desk.next_ns).min(),
            Market::Recording(playback) => playback.next_due(now),
        }
    }

    /// Goes on at `now` after a gap that is too long to be made up for.
    pub fn skip_to(&mut self, now: u64) {
        if let Market::Agents(desks) = self {
            for desk in desks {
                desk.next_ns = desk.next_ns.max(now);
            }
        }
    }
}

impl Exchange {
    /// The market's next single step; the caller has set the clock to its time.
    pub(super) fn step_market(&mut self) {
        match &self.market {
            Market::Quiet => {}
            Market::Agents(_) => self.step_agents(),
            Market::Recording(_) => self.step_recording(),
        }
    }
}
