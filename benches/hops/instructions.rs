//! Instructions of single pieces of the core, for `benches/instructions.sh`: exact where times on a busy machine are not.
//!
//! `hops --instructions` runs each piece `ROUNDS` times in a function of its own, which callgrind counts. The numbers hold
//! what little it takes to make the event.

use std::hint::black_box;

use linchpin::core::event::{Level, Side};
use linchpin::core::num::{Price, Quantity};
use linchpin::core::snapshot::Buffer;
use linchpin::core::state::book::Book;

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
    piece_risk_one_intent_1_instrument(one: OneIntent) { one.check() }
    piece_risk_one_intent_64_instruments(one: OneIntent) { one.check() }
    piece_book_level_comes_and_goes_at_the_touch(book: Book) { comes_and_goes(book, 0) }
    piece_book_level_comes_and_goes_500_levels_away(book: Book) { comes_and_goes(book, 500) }
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

pub fn run() {
    let [mut one, mut many] = [1, 64].map(Desk::quoting);
    piece_turn_top_moves_no_quote_1_instrument(&mut one);
    piece_turn_top_moves_no_quote_64_instruments(&mut many);
    piece_turn_depth_1_instrument(&mut one);
    piece_turn_depth_64_instruments(&mut many);
    piece_turn_top_moves_both_quotes_answered_1_instrument(&mut one);
    piece_turn_top_moves_both_quotes_answered_64_instruments(&mut many);
    piece_risk_one_intent_1_instrument(&mut OneIntent::beside(1));
    piece_risk_one_intent_64_instruments(&mut OneIntent::beside(64));
    let mut book = Book::new(8_192);
    for step in 1..=1_000 {
        book.set(Side::Buy, level(100_000 - 2 * step, 5));
        book.set(Side::Sell, level(100_000 + 2 * step, 5));
    }
    piece_book_level_comes_and_goes_at_the_touch(&mut book);
    piece_book_level_comes_and_goes_500_levels_away(&mut book);
    let mut buffer = Buffer::with_room(2 * many.core.saved_size());
    piece_save_state_once(&mut many, &mut buffer);
    piece_hash_state_once(&mut many);
    println!("rounds {ROUNDS}, state of {} bytes", many.core.saved_size());
}

fn comes_and_goes(book: &mut Book, away: i64) {
    let price = 99_999 - 2 * away;
    book.set(Side::Buy, black_box(level(price, 7)));
    black_box(book.best_bid());
    book.set(Side::Buy, black_box(level(price, 0)));
    black_box(book.best_bid());
}

fn level(price: i64, quantity: i64) -> Level {
    Level { price: Price::new(price), quantity: Quantity::new(quantity) }
}
