//! What risk remembers between intents: how many, which, and what was lost.
//! Hot.

use alloc::vec::Vec;

use super::duplicate_intent::{LastWish, LastWishes};
use super::intent_rate::IntentCount;
use super::losses::Losses;
use super::message_ratio::MessageWindow;
use crate::id::{OrderKey, StrategyId};
use crate::limits::Configuration;
use crate::record::RiskReason;
use crate::state::State;
use crate::time::Nanos;

#[derive(Clone, Debug)]
pub(super) struct Memory {
    strategies: Vec<OfStrategy>,
    wishes: LastWishes,
    pub(super) account: Losses,
    /// The account was hydrated and everything held has a price: its losses count from there.
    pub(super) account_begun: bool,
    /// The sums at the latest measurement.
    pub(super) measured: u64,
    /// Some bound may be reached that nobody has acted on.
    pub(super) unwatched: bool,
}

crate::saved! { table Memory { strategies, wishes, account, account_begun, measured, unwatched } }

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OfStrategy {
    pub(super) intents: IntentCount,
    pub(super) messages: MessageWindow,
    pub(super) losses: Losses,
    /// An objection that halts, to be acted on at the end of the turn.
    pub(super) ran_away: Option<RiskReason>,
}

crate::saved! { value OfStrategy { intents, messages, losses, ran_away } }

impl Memory {
    pub fn new(strategies: usize) -> Self {
        Self {
            strategies: alloc::vec![OfStrategy::default(); strategies],
            wishes: LastWishes::new(strategies),
            account: Losses::default(),
            account_begun: false,
            measured: 0,
            unwatched: false,
        }
    }

    #[inline]
    pub fn note_intent(&mut self, strategy: StrategyId, state: &State, configuration: &Configuration) {
        let Some(memory) = self.strategies.get_mut(strategy.index()) else { return };
        memory.intents.one_more(state.now);
        let length = configuration.strategies.get(strategy.index()).map_or(Nanos::ZERO, |l| l.message_window);
        if !length.is_zero() {
            memory.messages.roll(state.now, length, state.execution.traffic(strategy));
        }
    }

    #[inline]
    pub fn note_allowed(&mut self, key: OrderKey, wish: LastWish) {
        self.wishes.note(key, wish);
    }

    #[inline]
    pub fn note_denied(&mut self, strategy: StrategyId, reason: RiskReason) {
        if matches!(reason, RiskReason::IntentRate | RiskReason::MessageRatio)
            && let Some(memory) = self.strategies.get_mut(strategy.index())
        {
            memory.ran_away = Some(reason);
            self.unwatched = true;
        }
    }

    #[inline]
    pub fn intents(&self, strategy: StrategyId) -> u32 {
        self.strategies.get(strategy.index()).map_or(0, |memory| memory.intents.count)
    }

    #[inline]
    pub fn messages(&self, strategy: StrategyId) -> Option<&MessageWindow> {
        self.strategies.get(strategy.index()).map(|memory| &memory.messages)
    }

    #[inline]
    pub fn losses(&self, strategy: StrategyId) -> Losses {
        self.strategies.get(strategy.index()).map(|memory| memory.losses).unwrap_or_default()
    }

    #[inline]
    pub fn account_losses(&self) -> Losses {
        self.account
    }

    #[inline]
    pub fn last_wish(&self, key: OrderKey) -> Option<&LastWish> {
        self.wishes.of(key)
    }

    #[inline]
    pub fn strategies_mut(&mut self) -> impl Iterator<Item = (StrategyId, &mut OfStrategy)> {
        self.strategies.iter_mut().enumerate().map(|(at, memory)| (StrategyId(at as u8), memory))
    }
}
