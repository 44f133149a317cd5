//! Each hop of the hot path by itself, its baseline beside it in the same run.
//!
//! `cargo bench --bench hops` runs all, `cargo bench --bench hops -- parse` one; `cargo test --benches` runs each once.
//! Times here are of warm caches and a predictor that has seen it all: floors to compare by, not latencies to promise.
//! `tick_to_trade` has those.

#[path = "../rig/mod.rs"]
mod rig;

mod book;
mod encode;
mod instructions;
mod journal;
mod parse;
mod ring;
mod risk;
mod save;
mod turn;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    if std::env::args().any(|word| word == "--instructions") {
        return instructions::run();
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(40)
        .configure_from_args();
    parse::bench(&mut criterion);
    ring::bench(&mut criterion);
    turn::bench(&mut criterion);
    risk::bench(&mut criterion);
    save::bench(&mut criterion);
    book::bench(&mut criterion);
    journal::bench(&mut criterion);
    encode::bench(&mut criterion);
    criterion.final_summary();
}
