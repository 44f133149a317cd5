//! Parameters that change while the run goes on: an event like any other, within bounds, saved and replayed.

use super::*;
use crate::strategy::parameter_target;

const QUANTITY: u16 = 0;
const MAX_POSITION: u16 = 3;

fn set(desk: &mut Desk, at: u16, value: i64) {
    set_target(desk, parameter_target(StrategyId(0), at), value);
}

fn set_target(desk: &mut Desk, target: u32, new: i64) {
    desk.give(Body::Control(Control { verb: ControlVerb::SetParameter, target, old: 0, new, who: 0 }));
}

fn setting(desk: &Desk, at: u16) -> Option<i64> {
    let target = parameter_target(StrategyId(0), at);
    desk.core.setting(&Control { verb: ControlVerb::SetParameter, target, old: 0, new: 0, who: 0 })
}

#[test]
fn a_changed_parameter_acts_from_the_next_wish_on() {
    let mut desk = connected();
    assert_eq!(setting(&desk, QUANTITY), Some(10));
    set(&mut desk, QUANTITY, 7);
    assert_eq!(setting(&desk, QUANTITY), Some(7));
    desk.market(BTC, 10_000, 10_010);
    assert!(desk.take_dispatches().iter().all(|sent| sent.quantity == Quantity::new(7)));
}

#[test]
fn what_is_out_of_bounds_or_no_parameter_changes_nothing() {
    let mut desk = connected();
    let before = desk.core.strategies.parameters();
    set(&mut desk, QUANTITY, 0);
    set(&mut desk, QUANTITY, -1);
    set(&mut desk, 99, 1);
    set_target(&mut desk, parameter_target(StrategyId(9), 0), 1);
    assert_eq!(desk.core.strategies.parameters(), before);
    assert_eq!(setting(&desk, 99), None);
}

#[test]
fn every_parameter_of_a_table_is_read_and_put_by_its_own_place() {
    use crate::strategy::changeable::Changeable;
    fn holds(parameters: &mut dyn Changeable) {
        for at in 0..parameters.table().len() {
            let others = |of: &dyn Changeable| -> Vec<Option<i64>> {
                (0..of.table().len()).filter(|other| *other != at).map(|other| of.value(other)).collect()
            };
            let (range, before) = (parameters.table()[at].values.range.clone(), others(&*parameters));
            let value = range.start() + 1;
            assert!(range.contains(&value) && parameters.put(at, value));
            assert_eq!(parameters.value(at), Some(value), "{}", parameters.table()[at].name);
            assert_eq!(
                others(&*parameters),
                before,
                "{} changes itself and no other",
                parameters.table()[at].name
            );
        }
        assert!(!parameters.put(parameters.table().len(), 1));
    }
    let (quantity, span) = (Quantity::new(1), I48F16::from_num(1));
    holds(&mut Parameters {
        quantity,
        half_spread: span,
        max_skew: span,
        max_position: quantity,
        requote_ticks: 1,
    });
    holds(&mut crate::strategy::chaser::Parameters {
        side: Side::Buy,
        quantity,
        price_limit: None,
        max_slippage: 1,
        child_quantity: quantity,
        deadline: Nanos::ZERO,
        finish: crate::strategy::chaser::Finish::Leave,
        requote_ticks: 1,
    });
}

#[test]
fn a_saved_state_has_what_was_set_and_a_run_with_its_own_limits_does_not_take_it_over() {
    let mut desk = connected();
    set(&mut desk, MAX_POSITION, 20);
    let mut form = Vec::new();
    desk.core.save(&mut form);
    let mut again = cold().core;
    again.load(&form).expect("the same configuration");
    assert_eq!(again.strategies.parameters(), desk.core.strategies.parameters());
    assert_eq!(again.state_hash(), desk.core.state_hash());

    let of_successor = |keeps_limits| {
        let mut successor = cold().core;
        successor.succeed(&form, keeps_limits).expect("the same tables");
        successor.strategies.parameters()[0][usize::from(MAX_POSITION)]
    };
    assert_eq!((of_successor(true), of_successor(false)), (20, 50));
}
