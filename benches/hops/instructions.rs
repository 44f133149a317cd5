//! Instructions of single pieces of the core, for `benches/instructions.sh`: exact where times on a busy machine are not.
//!
//! `hops --instructions` runs each piece `ROUNDS` times in a function of its own, which callgrind counts. The numbers hold
//! what little it takes to make the event.

use std::hint::black_box;

use linchpin::core::snapshot::Buffer;

use crate::book::counted::{
    Change, Chosen, Container, Map, SortedVec, apply, comes_and_goes, deep, recording,
};
use crate::risk::OneIntent;
use crate::turn::Desk;

const ROUNDS: u32 = 1_000;

/// One function a piece, under a name that the script finds.
macro_rules! pieces {
    ($($(#[$doc:meta])* $name:ident($on:ident: $type:ty) $body:block)+) => {
        $($(#[$doc])*
        #[inline(never)]
        fn $name($on: &mut $type) {
            // Of the same body, and yet never made one function with another.
            black_box(stringify!($name));
            for _ in 0..ROUNDS $body
        })+
    };
}

pieces! {
    piece_turn_top_moves_no_quote_1_instrument(desk: Desk) { desk.top(100_000, 10) }
    piece_turn_top_moves_no_quote_64_instruments(desk: Desk) { desk.top(100_000, 10) }
    piece_turn_depth_1_instrument(desk: Desk) { desk.depth(100_000, false) }
    piece_turn_depth_64_instruments(desk: Desk) { desk.depth(100_000, false) }
    piece_turn_top_moves_both_quotes_answered_1_instrument(desk: Desk) { desk.move_quotes() }
    piece_turn_top_moves_both_quotes_answered_64_instruments(desk: Desk) { desk.move_quotes() }
    piece_turn_fill_of_one_lot_1_instrument(desk: Desk) { desk.fill_one_lot() }
    piece_turn_fill_of_one_lot_64_instruments(desk: Desk) { desk.fill_one_lot() }
    piece_risk_one_intent_1_instrument(one: OneIntent) { one.check() }
    piece_risk_one_intent_64_instruments(one: OneIntent) { one.check() }
    piece_book_touch_sorted_chunks(book: Chosen) { comes_and_goes(book, 0) }
    piece_book_touch_sorted_array(book: SortedVec) { comes_and_goes(book, 0) }
    piece_book_touch_btree_map(book: Map) { comes_and_goes(book, 0) }
    piece_book_500_levels_away_sorted_chunks(book: Chosen) { comes_and_goes(book, 500) }
    piece_book_500_levels_away_sorted_array(book: SortedVec) { comes_and_goes(book, 500) }
    piece_book_500_levels_away_btree_map(book: Map) { comes_and_goes(book, 500) }
}

#[inline(never)]
fn piece_save_state_once(desk: &mut Desk, buffer: &mut Buffer) {
    buffer.clear();
    desk.core.save(buffer);
}

#[inline(never)]
fn piece_hash_state_once(desk: &mut Desk) {
    black_box(desk.core.state_hash());
}

#[inline(never)]
fn piece_book_recording_sorted_chunks_once(book: &mut Chosen, updates: &[Change]) {
    apply(book, updates);
}

#[inline(never)]
fn piece_book_recording_sorted_array_once(book: &mut SortedVec, updates: &[Change]) {
    apply(book, updates);
}

#[inline(never)]
fn piece_book_recording_btree_map_once(book: &mut Map, updates: &[Change]) {
    apply(book, updates);
}

pub fn run() {
    let [mut one, mut many] = [1, 64].map(Desk::quoting);
    piece_turn_top_moves_no_quote_1_instrument(&mut one);
    piece_turn_top_moves_no_quote_64_instruments(&mut many);
    piece_turn_depth_1_instrument(&mut one);
    piece_turn_depth_64_instruments(&mut many);
    piece_turn_top_moves_both_quotes_answered_1_instrument(&mut one);
    piece_turn_top_moves_both_quotes_answered_64_instruments(&mut many);
    let [mut one_filled, mut many_filled] = [1, 64].map(Desk::filling);
    piece_turn_fill_of_one_lot_1_instrument(&mut one_filled);
    piece_turn_fill_of_one_lot_64_instruments(&mut many_filled);
    piece_risk_one_intent_1_instrument(&mut OneIntent::beside(1));
    piece_risk_one_intent_64_instruments(&mut OneIntent::beside(64));
    let (mut chunks, mut array, mut map) = (deep(), deep(), deep());
    piece_book_touch_sorted_chunks(&mut chunks);
    piece_book_touch_sorted_array(&mut array);
    piece_book_touch_btree_map(&mut map);
    piece_book_500_levels_away_sorted_chunks(&mut chunks);
    piece_book_500_levels_away_sorted_array(&mut array);
    piece_book_500_levels_away_btree_map(&mut map);
    let (snapshot, updates) = recording(MESSAGES);
    piece_book_recording_sorted_chunks_once(&mut after(&snapshot), &updates);
    piece_book_recording_sorted_array_once(&mut after(&snapshot), &updates);
    piece_book_recording_btree_map_once(&mut after(&snapshot), &updates);
    let mut buffer = Buffer::with_room(2 * many.core.saved_size());
    piece_save_state_once(&mut many, &mut buffer);
    piece_hash_state_once(&mut many);
    let (bytes, changes) = (many.core.saved_size(), updates.len());
    println!("rounds {ROUNDS}, state of {bytes} bytes, {changes} changes of levels in {MESSAGES} messages");
}

/// The messages of the recording that the containers are compared on.
const MESSAGES: usize = 12_000;

fn after<C: Container>(snapshot: &[Change]) -> C {
    let mut book = C::new();
    apply(&mut book, snapshot);
    book
}
