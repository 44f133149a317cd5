//! The dominance table: what an allowed command does to what waits under its key, a cell a test.
//!
//! In each, the order in the slot is being cancelled, so that whatever is wished for the slot waits.

mod desk;

use desk::*;
use linchpin_core::event::*;
use linchpin_core::family::Family;
use linchpin_core::id::OrderIndex;
use linchpin_core::intent::{CancelIntent, Intent, ReplaceIntent};
use linchpin_core::num::{Price, Quantity};
use linchpin_core::record::Admission;

fn command(request: RequestKind, price: i64) -> Intent {
    match request {
        RequestKind::New => Intent::New(limit(0, BTC, Side::Buy, price, 3)),
        RequestKind::Replace => Intent::Replace(ReplaceIntent {
            key: key(0),
            price: Price::new(price),
            quantity: Quantity::new(5),
        }),
        RequestKind::Cancel => {
            Intent::Cancel(CancelIntent { key: key(0), order: OrderIndex::NONE, family: Family::Entry })
        }
    }
}

/// What the second of two commands does to the first, and what waits then.
fn meets(pending: Option<RequestKind>, incoming: RequestKind) -> (Admission, Option<RequestKind>) {
    let mut desk = Desk::ready();
    desk.open(limit(0, BTC, Side::Buy, 9_990, 10));
    desk.wish(vec![command(RequestKind::Cancel, 0)]);
    desk.take_dispatches();
    if let Some(first) = pending {
        assert_eq!(desk.wish(vec![command(first, 9_980)])[0].admission, Admission::Entered);
    }
    let admission = desk.wish(vec![command(incoming, 9_970)])[0].admission;
    assert!(desk.take_dispatches().is_empty(), "a request is on its way for the key");
    let waits = desk.core.state().execution.queue.pending(key(0)).map(|pending| pending.intent.request());
    (admission, waits)
}

macro_rules! cells {
    ($($name:ident: $pending:expr, $incoming:ident => $admission:ident, $left:expr;)*) => {
        $(
            #[test]
            fn $name() {
                assert_eq!(meets($pending, RequestKind::$incoming), (Admission::$admission, $left));
            }
        )*

        const CELLS: &[(Option<RequestKind>, RequestKind)] = &[$(($pending, RequestKind::$incoming)),*];
    };
}

use RequestKind::{Cancel, New, Replace};

cells! {
    a_new_enters_where_nothing_waits: None, New => Entered, Some(New);
    a_replace_enters_where_nothing_waits: None, Replace => Entered, Some(Replace);
    a_cancel_enters_where_nothing_waits: None, Cancel => Entered, Some(Cancel);
    a_new_replaces_a_new_that_waits: Some(New), New => Replaced, Some(New);
    a_replace_is_folded_into_a_new_that_waits: Some(New), Replace => Folded, Some(New);
    a_cancel_removes_a_new_that_waits: Some(New), Cancel => Removed, None;
    a_new_is_discarded_behind_a_replace: Some(Replace), New => Discarded, Some(Replace);
    a_replace_replaces_a_replace_that_waits: Some(Replace), Replace => Replaced, Some(Replace);
    a_cancel_replaces_a_replace_that_waits: Some(Replace), Cancel => Replaced, Some(Cancel);
    a_new_is_discarded_behind_a_cancel: Some(Cancel), New => Discarded, Some(Cancel);
    a_replace_is_discarded_behind_a_cancel: Some(Cancel), Replace => Discarded, Some(Cancel);
    a_cancel_replaces_a_cancel_that_waits: Some(Cancel), Cancel => Replaced, Some(Cancel);
}

#[test]
fn every_cell_has_its_example() {
    let pending = [None].into_iter().chain(RequestKind::ALL.iter().copied().map(Some));
    for row in pending {
        for incoming in RequestKind::ALL {
            assert!(CELLS.contains(&(row, *incoming)), "{row:?} meets {incoming}");
        }
    }
}
