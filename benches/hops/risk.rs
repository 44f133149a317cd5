//! Risk on one intent: a new limit order that every check lets through, beside one and beside sixty-four quoted instruments.

use std::hint::black_box;

use criterion::Criterion;
use linchpin::core::event::{Side, TimeInForce};
use linchpin::core::id::{OrderKey, StrategyId};
use linchpin::core::intent::{Intent, NewIntent};
use linchpin::core::num::{Price, Quantity};
use linchpin::core::risk::Risk;

use crate::rig;
use crate::turn::Desk;

pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("risk/new_limit_order");
    for instruments in [1, 64] {
        let mut one = OneIntent::beside(instruments);
        group.bench_function(format!("{instruments}_instruments"), |bencher| {
            bencher.iter(|| one.check());
        });
    }
    group.finish();
}

/// An order that nothing speaks against, and what judges it.
pub struct OneIntent {
    desk: Desk,
    risk: Risk,
    intent: Intent,
}

impl OneIntent {
    pub fn beside(instruments: u16) -> Self {
        let desk = Desk::quoting(instruments);
        let risk = Risk::new(desk.core.configuration());
        let new = NewIntent::limit(desk.instrument, Side::Buy, Price::new(99_990), Quantity::new(10));
        // A slot that no quote has.
        let key = OrderKey { strategy: StrategyId(0), slot: 2 * rig::MOST_INSTRUMENTS };
        let intent = Intent::New(NewIntent { key, ..new.valid(TimeInForce::PostOnly) });
        let mut one = Self { desk, risk, intent };
        one.check();
        one
    }

    #[inline]
    pub fn check(&mut self) {
        let (state, configuration) = (self.desk.core.state(), self.desk.core.configuration());
        let verdict = self.risk.check(state, configuration, black_box(&self.intent));
        assert!(black_box(verdict).is_ok(), "every check was to be made: {verdict:?}");
    }
}
