//! The agents' market: lively, never crossed, repeatable, and worth quoting in.

use super::*;

fn lively(seed: u64) -> Desk {
    Desk::with(|config| {
        config.market = MarketConfig::Agents(AgentsConfig { seed, ..AgentsConfig::default() })
    })
}

fn run(desk: &mut Desk, until: u64, step: u64) {
    while desk.now < until {
        desk.now += step;
        let outputs = &mut desk.outputs;
        desk.exchange.advance(desk.now, &mut |output| outputs.push(output));
    }
}

#[test]
fn the_market_is_lively_and_looks_like_one() {
    for seed in [1, 7, 2024] {
        let mut desk = lively(seed);
        run(&mut desk, START + 120 * SECOND, 10 * MS);
        let count =
            |wanted: fn(&Output) -> bool| desk.outputs.iter().filter(|output| wanted(output)).count() / 120;
        let all = count(|_| true);
        assert!((50..=300).contains(&all), "seed {seed}: {all} public messages a second");
        let trades = count(|output| matches!(output, Output::Trade(_)));
        assert!((5..=60).contains(&trades), "seed {seed}: {trades} trades a second");
        let book = desk.book();
        for side in [&book.bids, &book.asks] {
            assert!((20..=100).contains(&side.len()), "seed {seed}: {} levels", side.len());
        }
        let spread = (book.asks[0].0 - book.bids[0].0).0 / 10_000_000;
        assert!((1..=60).contains(&spread), "seed {seed}: spread of {spread} ticks");
    }
}

#[test]
fn the_public_book_is_never_crossed_and_the_diffs_rebuild_it() {
    let mut desk = lively(3);
    run(&mut desk, START + SECOND, 7 * MS);
    desk.outputs.clear();
    let start = desk.book();
    let mut bids: std::collections::BTreeMap<_, _> = start.bids.into_iter().collect();
    let mut asks: std::collections::BTreeMap<_, _> = start.asks.into_iter().collect();
    run(&mut desk, START + 30 * SECOND, 7 * MS);
    let mut last = start.last_update_id;
    for output in &desk.outputs {
        match output {
            Output::Depth(diff) => {
                assert_eq!(diff.previous_last_update_id, last);
                last = diff.last_update_id;
                for (levels, side) in [(&diff.bids, &mut bids), (&diff.asks, &mut asks)] {
                    for (price, quantity) in levels {
                        if quantity.is_zero() {
                            side.remove(price);
                        } else {
                            side.insert(*price, *quantity);
                        }
                    }
                }
                let (bid, ask) = (bids.last_key_value(), asks.first_key_value());
                assert!(bid.zip(ask).is_none_or(|(bid, ask)| bid.0 < ask.0), "crossed after {last}");
            }
            Output::BookTicker(ticker) => {
                let touch =
                    |side: Option<(&Decimal, &Decimal)>| side.map(|(price, quantity)| (*price, *quantity));
                assert_eq!(touch(bids.last_key_value()), Some(ticker.bid));
                assert_eq!(touch(asks.first_key_value()), Some(ticker.ask));
            }
            _ => {}
        }
    }
    let book = desk.book();
    assert_eq!(book.bids, bids.into_iter().rev().collect::<Vec<_>>());
    assert_eq!(book.asks, asks.into_iter().collect::<Vec<_>>());
}

#[test]
fn the_same_seed_and_commands_give_the_same_outputs_however_the_time_is_cut() {
    let play = |seed: u64, step: u64| {
        let mut desk = lively(seed);
        for at in 1..=10u64 {
            run(&mut desk, START + at * SECOND, step);
            desk.now = START + at * SECOND;
            let touch = desk.exchange.book_ticker(desk.now, "BTCUSDT").expect("a book").bid.0;
            let order = NewOrder::limit("BTCUSDT", Side::Buy, d("0.05"), touch);
            desk.exchange.execute(desk.now, ONE, Command::Place(order)).expect("taken");
        }
        run(&mut desk, START + 11 * SECOND, step);
        desk.outputs.iter().map(|output| format!("{output:?}")).collect::<Vec<_>>()
    };
    let reference = play(5, 10 * MS);
    assert_eq!(play(5, 10 * MS), reference);
    assert_eq!(play(5, 250 * MS), reference, "how often advance is called does not matter");
    assert_ne!(play(6, 10 * MS), reference);
}

/// A market maker of the simplest kind: a quote at each touch, moved when the touch moves.
#[test]
fn a_simple_market_maker_is_filled_on_both_sides_regularly() {
    let mut desk = lively(1);
    let mut quotes: [Option<Order>; 2] = [None, None];
    for _ in 0..600 {
        let until = desk.now + 100 * MS;
        run(&mut desk, until, 10 * MS);
        let ticker = desk.exchange.book_ticker(desk.now, "BTCUSDT").expect("a book");
        for (slot, side, price) in [(0, Side::Buy, ticker.bid.0), (1, Side::Sell, ticker.ask.0)] {
            let open = quotes[slot]
                .as_ref()
                .and_then(|order| desk.exchange.orders.by_id(order.order_id))
                .filter(|order| order.status.is_open())
                .cloned();
            quotes[slot] = match open {
                Some(order) if order.price == price => Some(order),
                other => {
                    if let Some(order) = other {
                        desk.cancel(ONE, &order).expect("open");
                    }
                    let order = NewOrder::limit("BTCUSDT", side, d("0.01"), price);
                    desk.place(ONE, timed(TimeInForce::Gtx, order)).ok()
                }
            };
        }
    }
    let fills = |side| {
        desk.outputs
            .iter()
            .filter(|output| {
                matches!(output, Output::Order(ONE, update)
                    if update.execution == ExecutionType::Trade && update.order.side == side)
            })
            .count()
    };
    let (bought, sold) = (fills(Side::Buy), fills(Side::Sell));
    assert!(bought >= 20 && sold >= 20, "in a minute: bought {bought} times, sold {sold} times");
}

#[test]
fn several_instruments_have_markets_of_their_own() {
    let mut desk = Desk::with(|config| {
        config.symbols.extend([SymbolSpec::ethusdt(), SymbolSpec::solusdt()]);
        config.market = MarketConfig::Agents(AgentsConfig::default());
    });
    run(&mut desk, START + 10 * SECOND, 10 * MS);
    for symbol in ["BTCUSDT", "ETHUSDT", "SOLUSDT"] {
        let ticks = desk
            .outputs
            .iter()
            .filter(|output| matches!(output, Output::Depth(diff) if &*diff.symbol == symbol))
            .count();
        assert!(ticks > 100, "{symbol}: {ticks} updates in ten seconds");
    }
}

#[test]
fn a_long_absence_is_skipped_and_not_made_up_for() {
    let mut desk = lively(1);
    desk.now += 3_600 * SECOND;
    let mut count = 0;
    desk.exchange.advance(desk.now, &mut |_| count += 1);
    assert!(count < 100, "{count} outputs at once");
    assert!(desk.exchange.next_wake().is_some_and(|due| due > desk.now));
}
