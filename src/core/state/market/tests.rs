//! A market against a naive twin: maps for the book, plain whole numbers for what is derived from the top.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::*;

fn level(price: i64, quantity: i64) -> Level {
    Level { price: Price::new(price), quantity: Quantity::new(quantity) }
}

struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 31
    }
    fn below(&mut self, bound: i64) -> i64 {
        (self.next() % bound as u64) as i64
    }
}

/// The same market as maps.
#[derive(Default)]
struct Twin {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl Twin {
    fn set(&mut self, bid: bool, price: i64, quantity: i64) {
        let side = if bid { &mut self.bids } else { &mut self.asks };
        if quantity == 0 {
            side.remove(&price);
        } else {
            side.insert(price, quantity);
        }
    }
    fn best(&self) -> (Option<Level>, Option<Level>) {
        let all = |(price, quantity): (&i64, &i64)| level(*price, *quantity);
        (self.bids.last_key_value().map(all), self.asks.first_key_value().map(all))
    }
}

/// One update in parts, as the receiver cuts it: three levels in the first, five in each further one.
fn give(
    market: &mut InstrumentMarket,
    previous: u64,
    last: u64,
    snapshot: bool,
    bids: &[Level],
    asks: &[Level],
) -> MarketChange {
    let all: Vec<(bool, Level)> =
        bids.iter().map(|level| (true, *level)).chain(asks.iter().map(|level| (false, *level))).collect();
    let (first, rest) = all.split_at(all.len().min(Depth::LEVELS));
    let part = |levels: &[(bool, Level)], last| DepthPart {
        count: levels.len() as u8,
        bids: levels.iter().filter(|(bid, _)| *bid).count() as u8,
        snapshot,
        last,
    };
    let mut levels = [Level::default(); Depth::LEVELS];
    levels.iter_mut().zip(first).for_each(|(slot, (_, level))| *slot = *level);
    let depth = Depth {
        first_update: previous + 1,
        last_update: last,
        previous_update: previous,
        part: part(first, rest.is_empty()),
        levels,
    };
    let mut change = market.apply_depth(Nanos::from_secs(1), &depth);
    let parts: Vec<_> = rest.chunks(DepthMore::LEVELS).collect();
    for (at, chunk) in parts.iter().enumerate() {
        assert_eq!((change, market.sync), (MarketChange::Partial, BookSync::Updating));
        let mut levels = [Level::default(); DepthMore::LEVELS];
        levels.iter_mut().zip(*chunk).for_each(|(slot, (_, level))| *slot = *level);
        change = market.apply_depth_more(&DepthMore { part: part(chunk, at + 1 == parts.len()), levels });
    }
    change
}

#[test]
fn a_market_of_thousands_of_levels_equals_its_twin_through_far_levels_crossings_and_empty_sides() {
    let mut dice = Dice(12);
    let mut market = InstrumentMarket::new(VenueId(0), 16_384, Nanos::from_millis(500));
    let mut twin = Twin::default();
    let (mut update, mut deepest, mut crossed, mut empty) = (1u64, 0, 0, 0);
    give(&mut market, 0, update, true, &[], &[]);
    for round in 0..6_000 {
        // Grows to thousands of levels, is swept empty on one side, crosses, and comes back.
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        let middle = 50_000 + dice.below(21) - 10;
        let (near, far) = (20, 6_000);
        for _ in 0..dice.below(24) {
            let bid = dice.below(2) == 0;
            let reach = if dice.below(10) < 4 { near } else { far };
            let away = 1 + dice.below(reach) - if dice.below(400) == 0 { 40 } else { 0 };
            let price = if bid { middle - away } else { middle + away };
            let quantity = if dice.below(3) == 0 { 0 } else { 1 + dice.below(1_000) };
            let side = if bid { &mut bids } else { &mut asks };
            side.push(level(price, quantity));
        }
        if round % 1_500 == 1_499 {
            asks = twin.asks.keys().map(|price| level(*price, 0)).collect();
        }
        if round % 10 == 5 {
            // Whatever crosses goes, as at a venue.
            bids.extend(twin.bids.range(middle..).map(|(price, _)| level(*price, 0)));
            asks.extend(twin.asks.range(..=middle).map(|(price, _)| level(*price, 0)));
        }
        let previous = update;
        update += 1 + dice.next() % 5;
        assert_eq!(give(&mut market, previous, update, false, &bids, &asks), MarketChange::Book);
        bids.iter().for_each(|level| twin.set(true, level.price.raw(), level.quantity.raw()));
        asks.iter().for_each(|level| twin.set(false, level.price.raw(), level.quantity.raw()));

        let (bid, ask) = twin.best();
        assert_eq!((market.book.best_bid(), market.book.best_ask()), (bid, ask));
        let expected = match (bid, ask) {
            (Some(bid), Some(ask)) if bid.price >= ask.price => Some(Distrust::Crossed),
            (Some(_), Some(_)) => None,
            _ => Some(Distrust::OneSided),
        };
        assert_eq!(market.distrust(), expected, "round {round}");
        crossed += u32::from(expected == Some(Distrust::Crossed));
        empty += u32::from(expected == Some(Distrust::OneSided));
        deepest = deepest.max(twin.bids.len());
        if round % 100 == 0 {
            assert!(market.book.bids().eq(twin.bids.iter().rev().map(|(p, q)| level(*p, *q))));
            assert!(market.book.asks().eq(twin.asks.iter().map(|(p, q)| level(*p, *q))));
            let depth = |side: Vec<i64>| Quantity::new(side.iter().take(7).sum());
            let bids = depth(twin.bids.values().rev().copied().collect());
            assert_eq!(market.book.depth(Side::Buy, 7), bids);
            let far = 50_000 - dice.below(far);
            let shown = twin.bids.get(&far).copied().unwrap_or(0);
            assert_eq!(market.book.quantity_at(Side::Buy, Price::new(far)), Quantity::new(shown));
        }
    }
    assert!(deepest > 2_000 && crossed > 20 && empty > 0, "{deepest} {crossed} {empty}");
    assert_eq!((market.book.dropped(), market.counters.chain_breaks), (0, 0));
}

#[test]
fn each_reason_of_distrust_comes_and_goes_with_its_cause() {
    let mut market = InstrumentMarket::new(VenueId(0), 64, Nanos::from_millis(500));
    assert_eq!(market.distrust(), Some(Distrust::NotWhole));
    give(&mut market, 0, 10, true, &[level(100, 5)], &[level(101, 5)]);
    assert_eq!(market.distrust(), None);
    market.stale = true;
    assert_eq!(market.distrust(), Some(Distrust::Stale));
    let ticker = |update_id, bid, ask| BookTicker { update_id, bid: level(bid, 1), ask: level(ask, 1) };
    market.apply_ticker(Nanos::from_secs(2), &ticker(11, 101, 101));
    assert_eq!(market.distrust(), Some(Distrust::Crossed), "the newest top is locked");
    market.apply_ticker(Nanos::from_secs(2), &ticker(12, 100, 101));
    assert_eq!(market.distrust(), None);
    // A newer top that looks well does not vouch for a book that is crossed beneath it.
    give(&mut market, 10, 11, false, &[level(103, 5)], &[]);
    assert_eq!(market.distrust(), Some(Distrust::Crossed));
    give(&mut market, 11, 12, false, &[level(103, 0)], &[]);
    assert_eq!(market.distrust(), None);
    give(&mut market, 12, 13, false, &[], &[level(101, 0)]);
    assert_eq!(market.distrust(), Some(Distrust::OneSided));
    give(&mut market, 13, 14, false, &[], &[level(102, 5)]);
    assert_eq!(market.distrust(), None);
    let gap = give(&mut market, 20, 21, false, &[level(99, 1)], &[]);
    assert_eq!((gap, market.distrust()), (MarketChange::ChainBroken, Some(Distrust::NotWhole)));
}

#[test]
fn prices_derived_from_the_top_are_exact_to_their_last_bit() {
    let mut dice = Dice(5);
    for _ in 0..100_000 {
        let bid = level(dice.below(1 << 40), dice.below(1 << 30));
        let ask = level(bid.price.raw() + dice.below(2_000) - 5, dice.below(1 << 30));
        let top = Top { bid, ask, update_id: 1 };
        let (b, a) = (i128::from(bid.price.raw()), i128::from(ask.price.raw()));
        let (p, q) = (i128::from(bid.quantity.raw()), i128::from(ask.quantity.raw()));
        assert_eq!(i128::from(top.mid().to_bits()), (b + a) * 65_536 / 2);
        if p + q > 0 {
            // bid + (ask - bid) x bid quantity / both quantities, rounded down.
            assert_eq!(
                i128::from(top.micro_price().to_bits()),
                ((b * (p + q) + (a - b) * p) * 65_536).div_euclid(p + q)
            );
            assert_eq!(i128::from(top.imbalance().to_bits()), p * 65_536 / (p + q));
        }
        assert_eq!(i128::from(top.spread().raw()), a - b);
    }
    let quiet = Top { bid: level(10, 0), ask: level(12, 0), update_id: 1 };
    assert_eq!((quiet.micro_price(), quiet.imbalance()), (I48F16::from_num(10), I48F16::from_num(0.5)));
}

#[test]
fn numbers_at_the_end_of_their_range_saturate_and_never_panic() {
    let ends = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    for bid in ends {
        for ask in ends {
            for quantity in ends {
                for other in ends {
                    let top = Top { bid: level(bid, quantity), ask: level(ask, other), update_id: 1 };
                    let _ = (top.mid(), top.micro_price(), top.imbalance(), top.spread(), top.is_crossed());
                }
            }
        }
    }
    let top = |price| Top { bid: level(price, 1), ask: level(price, 1), update_id: 1 };
    assert_eq!(top(i64::MAX).mid(), I48F16::MAX);
    assert_eq!(top(i64::MIN).mid(), I48F16::MIN);
}
