//! What speaks against an intent, by the table of the checks: all of it, each time, in the dumbest way.

use linchpin_core::event::*;
use linchpin_core::id::InstrumentId;
use linchpin_core::instrument::Product;
use linchpin_core::intent::NewIntent;
use linchpin_core::num::{Notional, Price};
use linchpin_core::record::*;

use super::WORKFLOW;
use super::money::More;
use super::{Twin, TwinOrder, Waiting};
use crate::accounts::Agreement;

/// Whose terms an intent has: a New's own, those of a New that waits, or those of a live order.
struct Terms {
    instrument: InstrumentId,
    side: Side,
    kind: OrderKind,
    leg: PositionSide,
    stop: Price,
    closes: bool,
    /// The venue sees to it.
    reduce_only: bool,
    closes_whole: bool,
    changed: Option<TwinOrder>,
}

impl Terms {
    fn of_new(new: &NewIntent) -> Self {
        let NewIntent { instrument, side, kind, position_side: leg, stop_price: stop, .. } = *new;
        let reduce_only = new.reduce_only || new.close_position;
        let closes = reduce_only
            || matches!((leg, side), (PositionSide::Long, Side::Sell) | (PositionSide::Short, Side::Buy));
        Self {
            instrument,
            side,
            kind,
            leg,
            stop,
            closes,
            reduce_only,
            closes_whole: new.close_position,
            changed: None,
        }
    }

    fn of_order(order: &TwinOrder) -> Self {
        let TwinOrder { instrument, side, kind, leg, stop, closes, .. } = *order;
        let reduce_only = order.reduce_only || order.closes_whole;
        Self {
            instrument,
            side,
            kind,
            leg,
            stop,
            closes,
            reduce_only,
            closes_whole: order.closes_whole,
            changed: Some(order.clone()),
        }
    }
}

impl Twin {
    /// What speaks against it, and what would wait if nothing does.
    pub(super) fn objections(
        &mut self,
        record: &IntentRecord,
        new: Option<NewIntent>,
    ) -> (Vec<RiskReason>, Option<Waiting>) {
        use RiskReason as R;
        let (key, strategy) = (record.key, record.key.strategy);
        let live = self.live_in(key).cloned();
        let waiting = self.waiting.get(&key).cloned();
        if record.request == RequestKind::Cancel {
            let known = live.is_some() || waiting.is_some() || strategy == WORKFLOW;
            return (if known { vec![] } else { vec![R::NoSuchOrder] }, None);
        }
        let bound = self.configuration.strategies.get(strategy.index()).cloned();
        let (mut too_many, mut too_much) = (false, false);
        if let Some(limits) = &bound {
            let second = self.now.raw() / 1_000_000_000;
            let rate = self.intents.entry(strategy).or_default();
            *rate = if rate.0 == second { (second, rate.1 + 1) } else { (second, 1) };
            too_many = limits.max_intents_per_second != 0 && rate.1 > limits.max_intents_per_second;
            let traffic = &mut self.traffic[strategy.index()];
            traffic.wish(self.now, limits.message_window);
            too_much = traffic.is_too_much(limits);
        }
        let folds = waiting.as_ref().and_then(|waiting| waiting.new);
        let terms = match (new, folds, &live) {
            (Some(new), ..) => Terms::of_new(&new),
            (None, Some(new), _) => Terms::of_new(&new),
            (None, None, Some(order)) => Terms::of_order(order),
            _ => return (vec![R::NoSuchOrder], None),
        };
        let Terms { instrument, side, kind, leg, stop, .. } = terms;
        let at = instrument.index();
        let Some(limits) = self.configuration.instruments.get(at).copied() else {
            return (vec![R::InstrumentUnknown], None);
        };
        let market = &self.markets[at];
        let Some(definition) = market.definition else { return (vec![R::InstrumentUnknown], None) };
        let spot = definition.product == Product::Spot;
        let (price, quantity) = (record.price, record.quantity);
        let priced = matches!(kind, OrderKind::Limit | OrderKind::StopLimit | OrderKind::TakeProfitLimit);
        let trails = kind == OrderKind::TrailingStop;
        let conditional = !matches!(kind, OrderKind::Limit | OrderKind::Market | OrderKind::Other);
        let middle = market.middle();

        // What it adds, in place of what waits under its key.
        let only_reduces = terms.closes && !spot;
        let adds = match &terms.changed {
            _ if only_reduces => 0,
            Some(order) => quantity.raw() - order.filled - order.working(),
            None => quantity.raw(),
        };
        let piles = self.piles(Some(key));
        let waits = self.waiting_replaces(Some(record.key));
        let here = |o: &TwinOrder| (o.instrument, o.side, o.leg) == (instrument, side, leg);
        let replaced: i64 = waits.iter().filter(|(order, _)| here(order)).map(|(_, more)| more).sum();
        let more = More { instrument, leg, side, quantity: adds };
        let worst = self.worst(&piles, more) + replaced;
        let keener = terms.changed.as_ref().is_some_and(|order| match side {
            Side::Buy => price > order.price,
            Side::Sell => price < order.price,
        });
        let shrinks = terms.changed.is_some() && adds < 0 && !keener;
        let reducing = only_reduces || shrinks || worst <= 0;
        // Of what is the strategy's own: nobody but itself sees to it that it stops at flat.
        let own_page = self.ledger.page(self.ledger.owner(strategy), instrument, leg).held;
        let reduces_own = shrinks
            || if terms.closes_whole {
                if side == Side::Buy { own_page < 0 } else { own_page > 0 }
            } else {
                let adds = match &terms.changed {
                    Some(order) => quantity.raw() - order.filled - order.working(),
                    None => quantity.raw(),
                };
                let own = |order: &TwinOrder| here(order) && order.key.strategy == strategy;
                let waits: i64 = waits.iter().filter(|(order, _)| own(order)).map(|(_, more)| more).sum();
                let more = More { instrument, leg, side, quantity: adds };
                self.worst_own(strategy, &piles, more) + waits <= 0
            };

        let mut against = Vec::new();
        let mut object = |is: bool, reason: R| {
            if is {
                against.push(reason);
            }
        };
        // Who may.
        let trading = &self.trading;
        let flattens = trading.is_flattening();
        object(trading.kill.is_some_and(|mode| mode != KillMode::Flatten || !reducing), R::Killed);
        object(trading.draining && !flattens, R::Draining);
        object(too_many, R::IntentRate);
        object(too_much, R::MessageRatio);
        let everybody = trading.everybody.state;
        let disabled =
            if flattens { trading.flattening && !reducing } else { everybody == TradingState::Halted };
        object(disabled, R::TradingDisabled);
        object(!reducing && everybody == TradingState::Reducing, R::ReducingOnly);
        object(trading.of(strategy) == TradingState::Halted, R::StrategyHalted);
        object(!reduces_own && trading.of(strategy) == TradingState::Reducing, R::StrategyReducing);
        let lost = |loss: i128, most: i64| most != 0 && loss >= i128::from(most);
        if let Some(limits) = &bound {
            let losses = &trading.losses[strategy.index()];
            object(!reduces_own && lost(losses.of_the_day(), limits.max_daily_loss), R::DailyLoss);
            object(!reduces_own && lost(losses.drawdown(), limits.max_drawdown), R::Drawdown);
        }
        let account = &self.configuration.account;
        object(!reducing && lost(trading.account.of_the_day(), account.max_daily_loss), R::AccountDailyLoss);
        object(!reducing && lost(trading.account.drawdown(), account.max_drawdown), R::AccountDrawdown);

        // What it is.
        object(bound.as_ref().is_some_and(|b| !b.instruments.contains(&instrument.0)), R::NotOurInstrument);
        object(self.windows.iter().any(|window| window.0 == instrument), R::Unsettled);
        object(new.is_some() && usize::from(key.slot) >= linchpin_core::limits::MAX_SLOTS, R::BadSlot);
        let being_cancelled = |o: &TwinOrder| matches!(o.inflight, Some((RequestKind::Cancel, ..)));
        let occupied = live.as_ref().is_some_and(|order| !being_cancelled(order));
        object(new.is_some() && occupied, R::DuplicateOrder);
        let fixed = if terms.changed.is_some() { kind != OrderKind::Limit } else { !priced };
        object(new.is_none() && fixed, R::NotReplaceable);
        if let Some(new) = new {
            object(self.is_hedged(instrument) == (leg == PositionSide::Both), R::WrongLeg);
            object(!has_form(&new, spot), R::BadForm);
            object(self.would_trigger(&new), R::WouldTrigger);
            let least = self.configuration.venues[limits.venue.index()].least_validity;
            let dated = new.time_in_force == TimeInForce::GoodTillDate;
            object(dated && new.expires <= self.now + least, R::BadExpiry);
        }
        object(self.changes_nothing(record, new) || self.is_repeated(record, &terms), R::DuplicateIntent);

        // Whether the market may be believed.
        object(
            !reducing && self.accounts.agreement(instrument) == Agreement::Inconsistent,
            R::PositionInconsistent,
        );
        object(!reducing && !market.is_whole(), R::BookNotWhole);
        object(!reducing && market.stale, R::MarketStale);
        object(!reducing && market.is_crossed(), R::MarketCrossed);

        // The venue's filters, and ours.
        let off = |price: Price| {
            !price.is_positive() || price < definition.min_price || price > definition.max_price
        };
        let triggers = conditional && !(trails && stop.is_zero());
        object(priced && off(price) || triggers && off(stop), R::OffTickRange);
        let closes_whole = new.is_some_and(|new| new.close_position);
        let off_lots = quantity < definition.min_quantity || quantity > definition.max_quantity;
        object(off_lots && !closes_whole, R::OffLotRange);
        object(!priced && quantity > definition.max_market_quantity, R::MarketLotRange);
        let valued = match (priced, stop.is_positive()) {
            (true, _) => price,
            (false, true) => stop,
            (false, false) => middle.unwrap_or(Price::ZERO),
        };
        let notional = i128::from(valued.raw()) * i128::from(quantity.raw());
        let too_little = Self::cash(notional) < i128::from(definition.min_notional);
        object(too_little && (spot || !terms.reduce_only), R::BelowMinNotional);
        object(quantity > limits.max_order_quantity, R::OrderTooLarge);
        object(Notional::new(notional) > limits.max_order_notional, R::OrderNotionalTooLarge);
        if priced && limits.collar != 0 {
            match if conditional { Some(stop) } else { middle } {
                None => object(true, R::NoReferencePrice),
                Some(reference) => object(
                    (price.raw() - reference.raw()).abs() * 10_000
                        > reference.raw() * i64::from(limits.collar),
                    R::OutsideCollar,
                ),
            }
        }

        // How much there would be.
        if new.is_some() {
            let news = || self.waiting.iter().filter(|(k, w)| **k != key && w.new.is_some());
            let count = |order: &dyn Fn(&TwinOrder) -> bool, new: &dyn Fn(&Waiting, u8) -> bool| {
                self.live().filter(|o| order(o)).count()
                    + news().filter(|(k, w)| new(w, k.strategy.0)).count()
            };
            let on = count(&|o| o.instrument == instrument, &|w, _| w.instrument == instrument);
            object(!reducing && on >= limits.max_open_orders as usize, R::TooManyOpenOrders);
            let by = count(&|o| o.key.strategy == strategy, &|_, who| who == strategy.0);
            let many = bound.as_ref().is_some_and(|b| by >= b.max_open_orders as usize);
            object(!reduces_own && many, R::StrategyOpenOrders);
            let venue = limits.venue;
            let there = |w: &Waiting| self.configuration.instruments[w.instrument.index()].venue == venue;
            let at_venue = count(&|o| o.venue == venue, &|w, _| there(w));
            let most = self.configuration.venues[venue.index()].max_open_orders;
            object(!reducing && most != 0 && at_venue >= most as usize, R::VenueOpenOrders);
        }
        if !reducing {
            object(worst > limits.max_position.raw(), R::PositionLimit);
            let at_middle = i128::from(middle.unwrap_or(valued).raw()) * i128::from(worst);
            let most = i128::from(limits.max_position_notional);
            object(most != 0 && Self::cash(at_middle) > most, R::PositionNotional);
        }
        let exposed = |owner: usize, everybody: bool| {
            let mut worth = self.worth(owner, &piles, Some(more));
            for (order, more) in waits.iter().filter(|(o, _)| everybody || o.key.strategy == strategy) {
                let mark = self.markets[order.instrument.index()].valued.raw();
                let money = self.money(order.instrument, i128::from(mark) * i128::from(*more));
                worth.gross += money;
                *if order.side == Side::Buy { &mut worth.long } else { &mut worth.short } +=
                    if order.side == Side::Buy { money } else { -money };
            }
            worth
        };
        let exceeds = |value: i128, most: i64| most != 0 && value > i128::from(most);
        if let Some(limits) = &bound
            && !reduces_own
            && (limits.max_gross != 0 || limits.max_net != 0)
        {
            let own = exposed(strategy.index(), false);
            object(exceeds(own.gross, limits.max_gross), R::StrategyGross);
            object(exceeds(own.net(), limits.max_net), R::StrategyNet);
        }
        if !reducing {
            if account.max_gross != 0 || account.max_net != 0 {
                let all = exposed(self.ledger.account(), true);
                object(exceeds(all.gross, account.max_gross), R::AccountGross);
                object(exceeds(all.net(), account.max_net), R::AccountNet);
            }
            if let Some(wallet) = self.accounts.wallet(limits.venue, definition.quote)
                && !spot
                && limits.leverage != 0
            {
                let needed = self.asset_stake(limits.venue, definition.quote, &piles, Some(more)).margin;
                let everything = self.piles(None);
                let lost =
                    self.asset_stake(limits.venue, definition.quote, &everything, None).unrealised.min(0);
                object(needed > wallet + lost, R::Margin);
            }
        }
        if spot {
            let fills_at = match market.top() {
                Some((_, ask)) if !priced => ask.price.max(valued),
                _ => valued,
            };
            // What this order binds beside everything else.
            let before = self.piles(None);
            let (asset, needed) = match side {
                Side::Sell => (
                    definition.base,
                    i128::from(self.lots_more(&terms, adds, folds.as_ref()).max(0)) * crate::ledger::LOT,
                ),
                Side::Buy => {
                    let filled = terms.changed.as_ref().map_or(0, |order| order.filled);
                    let taken = match (&terms.changed, self.displaced(&terms, folds.as_ref())) {
                        (Some(order), _) => order.working_cost(),
                        (None, Some(new)) => {
                            i128::from(new.price.raw().max(new.stop_price.raw()))
                                * i128::from(new.quantity.raw())
                        }
                        (None, None) => 0,
                    };
                    let cost = i128::from(fills_at.raw()) * i128::from(quantity.raw() - filled) - taken;
                    (definition.quote, self.with_fee(instrument, Self::cash(cost)))
                }
            };
            if let Some(wallet) = self.accounts.wallet(limits.venue, asset) {
                let bound = self.asset_stake(limits.venue, asset, &before, None).bound;
                object(needed > 0 && bound + needed > wallet, R::Balance);
            }
        }

        // Ourselves on the other side.
        let meets = bound.is_some() && !conditional && !(kind == OrderKind::Market && reducing);
        let crosses = |other: Price| match (kind, side) {
            (OrderKind::Market, _) => true,
            (_, Side::Buy) => price >= other,
            (_, Side::Sell) => price <= other,
        };
        let ours = self.live().any(|order| {
            let moved = order.inflight.is_some_and(|i| i.2.is_positive() && crosses(i.2));
            order.instrument == instrument
                && order.side != side
                && order.price.is_positive()
                && (matches!(order.kind, OrderKind::Limit | OrderKind::Other) || order.triggered)
                && (crosses(order.price) || moved)
                && order.working() > 0
        });
        // Nor ourselves who come before us.
        let comes = self.waiting.iter().any(|(other, waiting)| {
            let rests = match (waiting.request, waiting.new) {
                (RequestKind::New, Some(new)) => new.kind == OrderKind::Limit,
                (RequestKind::Replace, _) => self.live_in(*other).is_some(),
                _ => false,
            };
            let meets = waiting.instrument == instrument && waiting.side != side && crosses(waiting.price);
            *other != key && rests && meets
        });
        object(meets && (ours || comes), R::SelfCross);

        let weighed = Waiting {
            request: record.request,
            instrument,
            side,
            price,
            quantity: quantity.raw(),
            new,
            said: new.map_or(record.family, |new| new.family),
            reducing,
            reduces_own,
            admitted: 0,
            since: self.now,
            looked: false,
        };
        (against, Some(weighed))
    }

    /// The New under the same key about the same page: this takes its place.
    fn displaced<'a>(&self, terms: &Terms, folds: Option<&'a NewIntent>) -> Option<&'a NewIntent> {
        let page = (terms.instrument, terms.side, terms.leg);
        folds.filter(|new| (new.instrument, new.side, new.position_side) == page)
    }

    fn lots_more(&self, terms: &Terms, adds: i64, folds: Option<&NewIntent>) -> i64 {
        adds - self.displaced(terms, folds).map_or(0, |new| new.quantity.raw())
    }

    /// Waiting Replaces that would make an order larger, and by how much.
    pub(super) fn waiting_replaces(
        &self,
        except: Option<linchpin_core::id::OrderKey>,
    ) -> Vec<(TwinOrder, i64)> {
        let replaces =
            self.waiting.iter().filter(|(key, w)| Some(**key) != except && w.request == RequestKind::Replace);
        let more = |(key, waiting): (&linchpin_core::id::OrderKey, &Waiting)| {
            let order = self.live_in(*key)?;
            let more = waiting.quantity - order.filled - order.working();
            (more > 0 && !order.closes).then(|| (order.clone(), more))
        };
        replaces.filter_map(more).collect()
    }

    fn would_trigger(&self, new: &NewIntent) -> bool {
        use OrderKind as K;
        let market = &self.markets[new.instrument.index()];
        // The way in which the price must go to reach it.
        let rises = match (new.kind, new.side) {
            (K::StopMarket | K::StopLimit, side) => side == Side::Buy,
            (K::TakeProfitMarket | K::TakeProfitLimit | K::TrailingStop, side) => side == Side::Sell,
            _ => return false,
        };
        let reached = |price: Price| if rises { price >= new.stop_price } else { price <= new.stop_price };
        if new.stop_price.is_zero() {
            return false;
        }
        match new.trigger_by {
            TriggerBy::MarkPrice => market.mark_in_ticks().or(market.middle()).is_some_and(reached),
            TriggerBy::LastPrice => {
                market.middle().is_some_and(reached) && market.last_trade.is_none_or(reached)
            }
        }
    }

    /// What waits, is on its way, or rests says the same already.
    fn changes_nothing(&self, record: &IntentRecord, new: Option<NewIntent>) -> bool {
        let terms = (record.price, record.quantity.raw());
        if let Some(waiting) = self.waiting.get(&record.key) {
            let same = terms == (waiting.price, waiting.quantity);
            return match (waiting.request, new) {
                (RequestKind::New, Some(_)) => waiting.new == new,
                (RequestKind::New | RequestKind::Replace, None) => same,
                _ => false,
            };
        }
        let live = self.live_in(record.key).filter(|_| new.is_none());
        live.is_some_and(|order| match order.inflight {
            Some((RequestKind::Replace, _, price, quantity)) => terms == (price, quantity),
            _ => terms == (order.price, order.quantity),
        })
    }

    /// Allowed a moment ago, and wished again.
    fn is_repeated(&self, record: &IntentRecord, terms: &Terms) -> bool {
        let limits = self.configuration.strategies.get(record.key.strategy.index());
        let within = limits.map_or_else(Default::default, |limits| limits.duplicate_within);
        let wish = (record.request, terms.instrument, terms.side, record.price, terms.stop, record.quantity);
        self.allowed.get(&record.key).is_some_and(|(last, at)| *last == wish && self.now.since(*at) < within)
    }

    pub(super) fn note_allowed(&mut self, record: &IntentRecord, weighed: &Waiting) {
        let stop = match (
            weighed.new,
            self.waiting.get(&record.key).and_then(|w| w.new),
            self.live_in(record.key),
        ) {
            (Some(new), ..) | (None, Some(new), _) => new.stop_price,
            (None, None, order) => order.map_or(Price::ZERO, |order| order.stop),
        };
        let wish = (record.request, weighed.instrument, weighed.side, record.price, stop, record.quantity);
        self.allowed.insert(record.key, (wish, self.now));
    }
}

/// What its kind needs, and what it cannot have.
fn has_form(new: &NewIntent, spot: bool) -> bool {
    use OrderKind as K;
    let (price, stop) = (new.price.raw(), new.stop_price.raw());
    let shape = match new.kind {
        K::Limit => price > 0 && stop == 0 && new.callback == 0,
        K::Market => price == 0 && stop == 0 && new.callback == 0,
        K::StopMarket | K::TakeProfitMarket => price == 0 && stop > 0 && new.callback == 0,
        K::StopLimit | K::TakeProfitLimit => price > 0 && stop > 0 && new.callback == 0,
        // 0.1 % to 10 %.
        K::TrailingStop => price == 0 && stop >= 0 && (10..=1_000).contains(&new.callback),
        K::Other => false,
    };
    let can_close = matches!(new.kind, K::StopMarket | K::TakeProfitMarket) && !spot && !new.reduce_only;
    let closes = !new.close_position || can_close && new.quantity.is_zero();
    let dated = new.time_in_force == TimeInForce::GoodTillDate;
    let at_market = matches!(new.kind, K::Market | K::StopMarket | K::TakeProfitMarket | K::TrailingStop);
    let in_force = !at_market || new.time_in_force == TimeInForce::GoodTillCancel;
    shape && closes && in_force && dated != new.expires.is_zero()
}
