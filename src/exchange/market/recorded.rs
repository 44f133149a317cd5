//! A recorded market as liquidity: the recorded book, exact, and our orders queued into it by a model.
//!
//! The recorded public book is never changed by our orders. What our orders get from it:
//! - **Resting**: an order queues behind all quantity displayed at its price when it arrives. Recorded trades at that price consume the queue
//!   ahead, then the order. A trade at a worse price has gone through the order and fills it. Displayed quantity that shrinks below
//!   what is ahead moves the order up to just that: the most careful reading, as if everybody who left had stood behind it.
//!   A displayed opposite quote at or through the order's price fills the order from that quote.
//! - **Taking**: an order takes what is displayed at that moment; what it took stays taken until the recording next updates that level.
//! - Our own orders do not meet each other: each sees only the recording.

use super::super::api::{PriceLevel, Side};
use super::super::book::Resting;
use super::super::decimal::Decimal;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Depth updates kept until a snapshot tells where the book stands.
const EARLY_UPDATES: usize = 20_000;

#[derive(Default)]
pub struct RecordedLiquidity {
    /// From a recorded mark price stream, if there is one.
    pub recorded_mark: Option<Decimal>,
    /// Updates that did not continue the one before. A sound recording has none.
    pub gaps: u64,
    bids: BTreeMap<Decimal, Decimal>,
    asks: BTreeMap<Decimal, Decimal>,
    /// What we took of a displayed level: side of the level, price.
    taken: BTreeMap<(Side, Decimal), Decimal>,
    queues: BTreeMap<(Side, Decimal), Vec<Queued>>,
    /// Where our orders are. Only looked up, never iterated.
    places: HashMap<u64, (Side, Decimal)>,
    last_update_id: u64,
    snapshot_seen: bool,
    /// Began without a snapshot: only levels that changed since are known, to us as to our clients.
    partial: bool,
    early: VecDeque<RecordedDiff>,
}

#[derive(Clone, Copy, Debug)]
struct Queued {
    resting: Resting,
    /// Recorded quantity that trades before this order does.
    ahead: Decimal,
}

/// A recorded depth update, parsed.
#[derive(Clone, Debug, Default)]
pub struct RecordedDiff {
    pub first_update_id: u64,
    pub last_update_id: u64,
    /// `pu`: futures only.
    pub previous_last_update_id: Option<u64>,
    pub bids: Vec<PriceLevel>,
    pub asks: Vec<PriceLevel>,
}

/// A fill that the market gave one of our resting orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketFill {
    pub order_id: u64,
    pub price: Decimal,
    pub quantity: Decimal,
}

impl RecordedLiquidity {
    pub fn last_update_id(&self) -> u64 {
        self.last_update_id
    }

    /// The newest update heard of, applied or kept for later.
    pub fn newest_update_id(&self) -> u64 {
        self.early.back().map_or(self.last_update_id, |diff| diff.last_update_id)
    }

    pub fn best(&self, side: Side) -> Option<PriceLevel> {
        self.levels(side).next()
    }

    /// What the recording displays, best first.
    pub fn levels(&self, side: Side) -> Box<dyn Iterator<Item = PriceLevel> + '_> {
        match side {
            Side::Buy => Box::new(self.bids.iter().rev().map(|(price, quantity)| (*price, *quantity))),
            Side::Sell => Box::new(self.asks.iter().map(|(price, quantity)| (*price, *quantity))),
        }
    }

    /// What a taker of `taker` side can still take, best first.
    pub fn takeable(&self, taker: Side) -> impl Iterator<Item = PriceLevel> + '_ {
        let side = taker.opposite();
        self.levels(side).filter_map(move |(price, displayed)| {
            let taken = self.taken.get(&(side, price)).copied().unwrap_or_default();
            (displayed > taken).then(|| (price, displayed - taken))
        })
    }

    pub fn consume(&mut self, taker: Side, price: Decimal, quantity: Decimal) {
        *self.taken.entry((taker.opposite(), price)).or_default() += quantity;
    }

    /// Our order joins the end of what is displayed at its price.
    pub fn rest(&mut self, side: Side, price: Decimal, resting: Resting) {
        let ahead = self.displayed(side, price);
        self.places.insert(resting.order_id, (side, price));
        self.queues.entry((side, price)).or_default().push(Queued { resting, ahead });
    }

    pub fn reduce(&mut self, order_id: u64, quantity: Decimal) {
        let Some(place) = self.places.get(&order_id) else { return };
        let Some(queue) = self.queues.get_mut(place) else { return };
        let Some(queued) = queue.iter_mut().find(|queued| queued.resting.order_id == order_id) else {
            return;
        };
        queued.resting.leaves -= quantity;
        if !queued.resting.leaves.is_positive() {
            self.withdraw(order_id);
        }
    }

    pub fn withdraw(&mut self, order_id: u64) {
        let Some(place) = self.places.remove(&order_id) else { return };
        let Some(queue) = self.queues.get_mut(&place) else { return };
        queue.retain(|queued| queued.resting.order_id != order_id);
        if queue.is_empty() {
            self.queues.remove(&place);
        }
    }

    /// The recorded answer to somebody's depth request: where the book stands. Updates that came before it are replayed on top.
    pub fn load_snapshot(
        &mut self,
        last_update_id: u64,
        bids: &[PriceLevel],
        asks: &[PriceLevel],
    ) -> Vec<MarketFill> {
        let in_step = self.snapshot_seen && last_update_id <= self.last_update_id && self.gaps == 0;
        if in_step || self.partial {
            return Vec::new();
        }
        self.bids = bids.iter().copied().filter(|(_, quantity)| quantity.is_positive()).collect();
        self.asks = asks.iter().copied().filter(|(_, quantity)| quantity.is_positive()).collect();
        self.taken.clear();
        self.last_update_id = last_update_id;
        self.gaps = 0;
        self.snapshot_seen = true;
        let mut fills = Vec::new();
        for diff in std::mem::take(&mut self.early) {
            fills.extend(self.apply(diff));
        }
        self.requeue();
        fills.extend(self.crossed());
        fills
    }

    /// No snapshot came in time: the book begins empty just before the first update kept, so that a client who is told so can still follow the updates.
    pub fn begin_without_snapshot(&mut self) -> Vec<MarketFill> {
        if self.snapshot_seen {
            return Vec::new();
        }
        let before = self.early.front().map_or(0, |diff| diff.first_update_id.saturating_sub(1));
        let fills = self.load_snapshot(before, &[], &[]);
        self.partial = true;
        fills
    }

    /// One recorded depth update, and what it fills.
    pub fn apply(&mut self, diff: RecordedDiff) -> Vec<MarketFill> {
        if !self.snapshot_seen {
            if self.early.len() == EARLY_UPDATES {
                self.early.pop_front();
            }
            self.early.push_back(diff);
            return Vec::new();
        }
        if diff.last_update_id < self.last_update_id {
            return Vec::new();
        }
        let bridges = diff.first_update_id <= self.last_update_id + 1;
        if !bridges && diff.previous_last_update_id != Some(self.last_update_id) {
            self.gaps += 1;
        }
        self.last_update_id = diff.last_update_id;
        for (side, levels) in [(Side::Buy, &diff.bids), (Side::Sell, &diff.asks)] {
            for (price, quantity) in levels {
                self.set_level(side, *price, *quantity);
            }
        }
        self.crossed()
    }

    /// One recorded trade, and what it fills. `buyer_is_maker`: a seller hit the bids.
    pub fn trade(&mut self, price: Decimal, quantity: Decimal, buyer_is_maker: bool) -> Vec<MarketFill> {
        let side = if buyer_is_maker { Side::Buy } else { Side::Sell };
        let mut fills = Vec::new();
        for ((_, at), queue) in self.reached(side, price) {
            let mut ours = Decimal::ZERO;
            for queued in queue {
                let fill = if at != price {
                    queued.resting.leaves
                } else {
                    let volume = quantity - ours;
                    let through = volume - queued.ahead;
                    queued.ahead = (queued.ahead - volume).max(Decimal::ZERO);
                    through.min(queued.resting.leaves)
                };
                if fill.is_positive() {
                    ours += fill;
                    fills.push(MarketFill { order_id: queued.resting.order_id, price: at, quantity: fill });
                }
            }
        }
        if side == Side::Buy {
            fills.reverse();
            // Best price first; within one price, arrival order again.
            fills.sort_by_key(|fill| (std::cmp::Reverse(fill.price), fill.order_id));
        }
        fills
    }

    /// Our queues of `side` that a trade at `price` reaches.
    fn reached(
        &mut self,
        side: Side,
        price: Decimal,
    ) -> impl Iterator<Item = ((Side, Decimal), &mut Vec<Queued>)> + '_ {
        let (from, to) = match side {
            Side::Buy => ((Side::Buy, price), (Side::Buy, Decimal::MAX)),
            Side::Sell => ((Side::Sell, Decimal(i64::MIN)), (Side::Sell, price)),
        };
        self.queues.range_mut(from..=to).map(|(place, queue)| (*place, queue))
    }

    /// Our orders that a displayed opposite quote meets now.
    fn crossed(&mut self) -> Vec<MarketFill> {
        let mut fills = Vec::new();
        for side in [Side::Buy, Side::Sell] {
            let mut places: Vec<_> = self.queues.keys().copied().filter(|(of, _)| *of == side).collect();
            if side == Side::Buy {
                places.reverse();
            }
            for place in places {
                let offers: Vec<PriceLevel> = self
                    .takeable(side)
                    .take_while(|(price, _)| super::super::instrument::reaches(side, place.1, *price))
                    .collect();
                let Some(queue) = self.queues.get(&place) else { continue };
                let mut wanted: VecDeque<_> = queue.iter().map(|queued| queued.resting).collect();
                for (offered_at, mut offered) in offers {
                    while offered.is_positive()
                        && let Some(resting) = wanted.front_mut()
                    {
                        let quantity = offered.min(resting.leaves);
                        fills.push(MarketFill { order_id: resting.order_id, price: place.1, quantity });
                        *self.taken.entry((side.opposite(), offered_at)).or_default() += quantity;
                        offered -= quantity;
                        resting.leaves -= quantity;
                        if resting.leaves.is_zero() {
                            wanted.pop_front();
                        }
                    }
                }
            }
        }
        fills
    }

    fn set_level(&mut self, side: Side, price: Decimal, quantity: Decimal) {
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        if quantity.is_positive() {
            levels.insert(price, quantity);
        } else {
            levels.remove(&price);
        }
        self.taken.remove(&(side, price));
        if let Some(queue) = self.queues.get_mut(&(side, price)) {
            for queued in queue {
                queued.ahead = queued.ahead.min(quantity);
            }
        }
    }

    /// After a snapshot nothing is known of the queues that stood before it: everybody is behind what is displayed.
    fn requeue(&mut self) {
        let places: Vec<_> = self.queues.keys().copied().collect();
        for (side, price) in places {
            let displayed = self.displayed(side, price);
            if let Some(queue) = self.queues.get_mut(&(side, price)) {
                for queued in queue {
                    queued.ahead = displayed;
                }
            }
        }
    }

    fn displayed(&self, side: Side, price: Decimal) -> Decimal {
        let levels = match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        };
        levels.get(&price).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::api::AccountId;
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect("a literal")
    }

    fn level(price: &str, quantity: &str) -> PriceLevel {
        (decimal(price), decimal(quantity))
    }

    fn resting(order_id: u64, leaves: &str) -> Resting {
        Resting { order_id, account: AccountId(1), leaves: decimal(leaves) }
    }

    fn fill(order_id: u64, price: &str, quantity: &str) -> MarketFill {
        MarketFill { order_id, price: decimal(price), quantity: decimal(quantity) }
    }

    /// Bids 100 x 5, 99 x 7; asks 101 x 4, 102 x 6.
    fn market() -> RecordedLiquidity {
        let mut market = RecordedLiquidity::default();
        market.load_snapshot(
            10,
            &[level("100", "5"), level("99", "7")],
            &[level("101", "4"), level("102", "6")],
        );
        market
    }

    fn update(market: &mut RecordedLiquidity, bids: &[PriceLevel], asks: &[PriceLevel]) -> Vec<MarketFill> {
        let last = market.last_update_id;
        market.apply(RecordedDiff {
            first_update_id: last + 1,
            last_update_id: last + 1,
            previous_last_update_id: Some(last),
            bids: bids.to_vec(),
            asks: asks.to_vec(),
        })
    }

    #[test]
    fn a_trade_consumes_the_queue_ahead_before_it_fills_us() {
        let mut market = market();
        market.rest(Side::Buy, decimal("100"), resting(1, "2"));
        assert_eq!(market.trade(decimal("100"), decimal("4"), true), vec![]);
        assert_eq!(market.trade(decimal("100"), decimal("2"), true), vec![fill(1, "100", "1")]);
        market.reduce(1, decimal("1"));
        assert_eq!(market.trade(decimal("100"), decimal("9"), true), vec![fill(1, "100", "1")]);
        market.reduce(1, decimal("1"));
        assert_eq!(market.trade(decimal("100"), decimal("9"), true), vec![]);
    }

    #[test]
    fn trades_of_the_other_direction_or_at_better_prices_do_not_touch_us() {
        let mut market = market();
        market.rest(Side::Buy, decimal("99"), resting(1, "2"));
        assert_eq!(market.trade(decimal("100"), decimal("50"), true), vec![]);
        assert_eq!(market.trade(decimal("99"), decimal("50"), false), vec![]);
        assert_eq!(market.trade(decimal("99"), decimal("7"), true), vec![]);
        assert_eq!(market.trade(decimal("99"), decimal("1"), true), vec![fill(1, "99", "1")]);
    }

    #[test]
    fn a_trade_through_our_price_fills_us_best_price_first() {
        let mut market = market();
        market.rest(Side::Buy, decimal("99"), resting(1, "2"));
        market.rest(Side::Buy, decimal("100"), resting(2, "3"));
        assert_eq!(
            market.trade(decimal("98"), decimal("0.1"), true),
            vec![fill(2, "100", "3"), fill(1, "99", "2")]
        );
        let mut market = self::market();
        market.rest(Side::Sell, decimal("102"), resting(1, "2"));
        market.rest(Side::Sell, decimal("101"), resting(2, "3"));
        assert_eq!(
            market.trade(decimal("103"), decimal("0.1"), false),
            vec![fill(2, "101", "3"), fill(1, "102", "2")]
        );
    }

    #[test]
    fn a_shrinking_level_moves_us_up_and_a_growing_one_does_not_move_us_back() {
        let mut market = market();
        market.rest(Side::Buy, decimal("100"), resting(1, "1"));
        update(&mut market, &[level("100", "3")], &[]);
        update(&mut market, &[level("100", "30")], &[]);
        assert_eq!(market.trade(decimal("100"), decimal("3"), true), vec![]);
        assert_eq!(market.trade(decimal("100"), decimal("0.5"), true), vec![fill(1, "100", "0.5")]);
    }

    #[test]
    fn two_of_our_orders_at_one_price_share_a_trade_in_order_of_arrival() {
        let mut market = market();
        market.rest(Side::Sell, decimal("101"), resting(1, "1"));
        market.rest(Side::Sell, decimal("101"), resting(2, "1"));
        assert_eq!(
            market.trade(decimal("101"), decimal("5.5"), false),
            vec![fill(1, "101", "1"), fill(2, "101", "0.5")]
        );
    }

    #[test]
    fn what_we_took_stays_taken_until_the_level_changes() {
        let mut market = market();
        market.consume(Side::Buy, decimal("101"), decimal("3"));
        assert_eq!(
            market.takeable(Side::Buy).collect::<Vec<_>>(),
            vec![level("101", "1"), level("102", "6")]
        );
        assert_eq!(market.best(Side::Sell), Some(level("101", "4")), "the public book is the recording's");
        update(&mut market, &[], &[level("101", "4")]);
        assert_eq!(market.takeable(Side::Buy).next(), Some(level("101", "4")));
    }

    #[test]
    fn a_quote_that_reaches_our_order_fills_it_as_far_as_it_goes() {
        let mut market = market();
        market.rest(Side::Buy, decimal("100"), resting(1, "2"));
        assert_eq!(
            update(&mut market, &[level("100", "0")], &[level("100", "1.5")]),
            vec![fill(1, "100", "1.5")]
        );
        market.reduce(1, decimal("1.5"));
        assert_eq!(update(&mut market, &[], &[level("105", "1")]), vec![], "the same quote fills once");
    }

    #[test]
    fn updates_before_the_snapshot_are_bridged_and_stale_ones_dropped() {
        let mut market = RecordedLiquidity::default();
        let diff = |first, last, price: &str| RecordedDiff {
            first_update_id: first,
            last_update_id: last,
            previous_last_update_id: Some(first - 1),
            bids: vec![level(price, "1")],
            asks: vec![],
        };
        market.apply(diff(5, 8, "90"));
        market.apply(diff(9, 12, "91"));
        market.load_snapshot(10, &[level("100", "5")], &[]);
        assert_eq!(market.levels(Side::Buy).collect::<Vec<_>>(), vec![level("100", "5"), level("91", "1")]);
        assert_eq!((market.last_update_id(), market.gaps), (12, 0));
        market.apply(diff(20, 21, "92"));
        assert_eq!(market.gaps, 1);
    }
}
