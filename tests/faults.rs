//! The fault table: what the engine does when the world fails, over real sockets, at a venue that fails on purpose.
//!
//! Each row of [`TABLE`] is a test of the same number. It breaks one thing, waits until the engine trades again, and stops; then the journal must
//! tell the row's events in this order, the session must have drained and replayed, and **no client order id may have been asked for
//! as a new order more than once**, by the venue's own count. `docs/FAULTS.md` is printed from the table.
#![cfg(feature = "embedded-venue")]

mod support;

use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use support::faulty::{Desk, Story};

struct Row {
    fault: &'static str,
    /// What the engine does.
    engine: &'static str,
    /// Events of the journal, in this order; others may stand between.
    events: &'static [&'static str],
    /// Events that must not appear.
    never: &'static [&'static str],
}

const TABLE: &[Row] = &[
    Row {
        fault: "the venue is killed and comes back",
        engine: "every link is dialled again, with growing pauses; what was under way is unknown and asked about; the account is read back, the books are built anew, then it trades on",
        events: &["private up", "account read back"],
        never: &["not sent (dry_run)"],
    },
    Row {
        fault: "a TCP reset in the middle of a market frame",
        engine: "the half frame is thrown away, the connection made again, the books built anew from a snapshot",
        events: &["market down (reset)", "book 0 lost (disconnected)", "market up", "book 0 anew"],
        never: &["private down (reset)", "order_entry down (reset)", "account read back"],
    },
    Row {
        fault: "a TCP reset of order entry",
        engine: "what was under way is unknown: it is asked about by its id, never sent again; new orders are held until the session is logged on again",
        events: &["order_entry down (reset)", "order_entry up"],
        never: &["market down (reset)", "private down (reset)"],
    },
    Row {
        fault: "half-open silence of the market feed",
        engine: "our own pings go unanswered; after silence_timeout the connection is given up and made again",
        events: &["market down (silence)", "book 0 lost (disconnected)", "market up", "book 0 anew"],
        never: &["account read back"],
    },
    Row {
        fault: "half-open silence of order entry",
        engine: "requests without an answer become unknown, the connection is given up after silence_timeout, each order is asked about",
        events: &["order_entry down (silence)", "order_entry up"],
        never: &["market down (silence)"],
    },
    Row {
        fault: "a venue that reads slowly",
        engine: "requests wait in the socket; our pings go unanswered, so the session is given up; every request on it is unknown and asked about, and nothing is sent a second time",
        events: &["order_entry down (silence)", "order read back", "order_entry up"],
        never: &["market down (reset)"],
    },
    Row {
        fault: "429, then 418, on REST",
        engine: "no request leaves before the venue's Retry-After is over; the read-back is asked for again after it; private events go on",
        events: &["private down (reset)", "private up", "account read back"],
        never: &["market down (reset)"],
    },
    Row {
        fault: "429 for an order",
        engine: "the venue refused it, so it is definite: the order is closed as rejected, and trading goes on",
        events: &["request rejected (rate_limited)"],
        never: &["account read back", "order_entry down (reset)"],
    },
    Row {
        fault: "an order is accepted, and the response is lost",
        engine: "the private stream shows the order; when the answer's time is over the request is unknown, which takes nothing from a confirmed order",
        events: &["request unknown (no_answer)"],
        never: &["account read back", "order_entry down (reset)"],
    },
    Row {
        fault: "the response comes long before the private event",
        engine: "the order stays pending until the private stream shows it; nothing is asked",
        events: &[],
        never: &["account read back", "order read back", "request unknown (no_answer)"],
    },
    Row {
        fault: "the response comes long after the private event",
        engine: "the private event is the proof; the late answer changes nothing",
        events: &[],
        never: &["account read back", "order read back", "request unknown (no_answer)"],
    },
    Row {
        fault: "the private stream is down while the market feed lives",
        engine: "no new order goes out at this venue; books go on; when the stream is back the account is read back before anything else",
        events: &["private down (reset)", "private up", "account read back"],
        never: &["market down (reset)", "book 0 lost (disconnected)"],
    },
    Row {
        fault: "a wrong certificate",
        engine: "the session is not made: not one byte of ours leaves on it; it is tried again until the right one is shown",
        events: &["order_entry down (reset)", "order_entry up"],
        never: &["market down (reset)"],
    },
    Row {
        fault: "the listen key has expired",
        engine: "another key, another connection, and the account is read back",
        events: &["private down (key_expired)", "private up", "account read back"],
        never: &["market down (reset)"],
    },
    Row {
        fault: "a book gap during high load",
        engine: "that book alone is given up and built anew from a snapshot; the other goes on",
        events: &["lost (gap)", "anew"],
        never: &["account read back"],
    },
    Row {
        fault: "two redundant feeds, one lagging, and the lagging one breaks",
        engine: "the first arrival wins, what comes again is dropped by its update id; when the lagging connection breaks the other carries the feed, and nobody notices",
        events: &[],
        never: &[
            "market down (reset)",
            "book 0 lost (gap)",
            "book 0 lost (disconnected)",
            "account read back",
        ],
    },
    Row {
        fault: "two redundant feeds, one lagging, and the quick one breaks",
        engine: "the lagging connection carries the feed on; once the quick one is back it is ahead of what the book has, so the book is built anew",
        events: &[],
        never: &["market down (reset)", "book 0 lost (disconnected)", "account read back"],
    },
    Row {
        fault: "order entry is down for long while REST lives",
        engine: "after rest_fallback_after requests go over REST, each past the kill gate, until the session is logged on again",
        events: &["order_entry down (reset)", "order_entry up"],
        never: &["market down (reset)", "private down (reset)"],
    },
    Row {
        fault: "the venue's clock jumps by a minute",
        engine: "the refused request (-1021) has the clock measured at once, and requests carry the right time from then on",
        events: &["request rejected (clock)"],
        never: &["order_entry down (reset)", "market down (reset)"],
    },
];

/// Two at a time: each is two programs.
fn turn() -> MutexGuard<'static, ()> {
    static SEATS: [Mutex<()>; 2] = [Mutex::new(()), Mutex::new(())];
    loop {
        for seat in &SEATS {
            match seat.try_lock() {
                Ok(guard) => return guard,
                Err(std::sync::TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(std::sync::TryLockError::WouldBlock) => {}
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn row(fault: &str) -> &'static Row {
    TABLE.iter().find(|row| row.fault == fault).expect("a row of the table")
}

/// Breaks something in a session that trades, waits until it trades again, and holds the journal against the row.
#[track_caller]
fn when(fault: &str, more: &str, rest: &str, act: impl FnOnce(&mut Desk)) -> Story {
    let row = row(fault);
    let _turn = turn();
    let mut desk = Desk::open(more, rest);
    desk.mark();
    act(&mut desk);
    let story = desk.close();
    let mut found = story.events.iter();
    for wanted in row.events {
        assert!(
            found.any(|event| event.contains(wanted)),
            "no \"{wanted}\" in its place\n{:#?}\n{}",
            story.events,
            story.log
        );
    }
    for unwanted in row.never {
        assert!(
            !story.events.iter().any(|event| event == unwanted),
            "\"{unwanted}\" in {:#?}\n{}",
            story.events,
            story.log
        );
    }
    story
}

#[test]
fn the_venue_is_killed_and_comes_back() {
    when("the venue is killed and comes back", "", "", |desk| {
        desk.venue.fault(r#"{"fault":"down","target":"all","for_ms":2500}"#);
        desk.wait_for_log("account read back");
        desk.trades_on(5);
    });
}

#[test]
fn a_reset_in_the_middle_of_a_market_frame() {
    when("a TCP reset in the middle of a market frame", "", "", |desk| {
        assert!(!desk.venue.fault(r#"{"fault":"reset","target":"market","in_frame":true}"#).is_empty());
        desk.wait_for_log("connection reset");
        desk.trades_on(5);
    });
}

#[test]
fn a_reset_of_order_entry() {
    when("a TCP reset of order entry", "", "", |desk| {
        assert_eq!(desk.venue.fault(r#"{"fault":"reset","target":"api"}"#).len(), 1);
        desk.trades_on(5);
    });
}

#[test]
fn half_open_silence_of_the_market_feed() {
    when("half-open silence of the market feed", "", "", |desk| {
        desk.venue.fault(r#"{"fault":"silence","target":"market","for_ms":20000}"#);
        desk.wait_for_log("nothing received for");
        desk.trades_on(5);
    });
}

#[test]
fn half_open_silence_of_order_entry() {
    when("half-open silence of order entry", "", "", |desk| {
        desk.venue.fault(r#"{"fault":"silence","target":"api","for_ms":20000}"#);
        desk.wait_for_log("nothing received for");
        desk.trades_on(5);
    });
}

#[test]
fn a_venue_that_reads_slowly() {
    when("a venue that reads slowly", "", "", |desk| {
        desk.venue.fault(r#"{"fault":"slow_read","target":"api","bytes_per_second":60}"#);
        std::thread::sleep(Duration::from_secs(8));
        desk.venue.heal();
        desk.trades_on(5);
    });
}

#[test]
fn rest_is_limited_and_then_banned() {
    let story = when("429, then 418, on REST", "", "", |desk| {
        for (status, wait) in [(429, 1000), (418, 2000)] {
            desk.venue.fault(&format!(
                r#"{{"fault":"request","request":"GET /fapi/v3/account","how":{{"refuse":{{"status":{status},"code":-1003,"msg":"Too many requests.","retry_after_ms":{wait}}}}}}}"#
            ));
        }
        desk.venue.fault(r#"{"fault":"reset","target":"private"}"#);
        desk.wait_for_log("status 418");
        desk.trades_on(5);
    });
    assert!(story.log.contains("status 429"), "{}", story.log);
}

#[test]
fn an_order_is_refused_with_429() {
    when("429 for an order", "", "", |desk| {
        desk.venue.fault(
            r#"{"fault":"request","request":"order.place","times":2,"how":{"refuse":{"status":429,"code":-1015,"msg":"Too many new orders."}}}"#,
        );
        desk.trades_on(5);
    });
}

#[test]
fn a_response_is_lost() {
    when("an order is accepted, and the response is lost", "", "", |desk| {
        desk.venue.fault(r#"{"fault":"request","request":"order.place","times":1,"how":"lose"}"#);
        desk.trades_on(3);
        std::thread::sleep(Duration::from_millis(6_500));
        desk.trades_on(2);
    });
}

#[test]
fn the_response_before_the_private_event() {
    when("the response comes long before the private event", "", "", |desk| {
        desk.venue.fault(r#"{"fault":"delay_events","ms":400}"#);
        desk.trades_on(8);
    });
}

#[test]
fn the_response_after_the_private_event() {
    when("the response comes long after the private event", "", "", |desk| {
        desk.venue
            .fault(r#"{"fault":"request","request":"order.place","times":8,"how":{"delay":{"ms":400}}}"#);
        desk.trades_on(10);
    });
}

#[test]
fn the_private_stream_is_down_alone() {
    when("the private stream is down while the market feed lives", "", "", |desk| {
        desk.venue.fault(r#"{"fault":"down","target":"private","for_ms":2000}"#);
        std::thread::sleep(Duration::from_millis(500));
        let before = desk.venue.orders_taken();
        std::thread::sleep(Duration::from_millis(1_000));
        assert_eq!(desk.venue.orders_taken(), before, "nothing new goes out meanwhile");
        desk.trades_on(5);
    });
}

#[test]
fn a_wrong_certificate() {
    let story = when("a wrong certificate", "", "", |desk| {
        desk.venue.fault(r#"{"fault":"wrong_certificate","for_ms":3000}"#);
        desk.venue.fault(r#"{"fault":"reset","target":"api"}"#);
        desk.wait_for_log("TLS failed");
        desk.trades_on(5);
    });
    assert!(story.log.contains("order entry: TLS failed"), "{}", story.log);
}

#[test]
fn the_listen_key_has_expired() {
    when("the listen key has expired", "", "", |desk| {
        desk.venue.fault(r#"{"fault":"expire_listen_keys"}"#);
        desk.wait_for_log("listen key has expired");
        desk.trades_on(5);
    });
}

#[test]
fn a_gap_in_one_book() {
    const BOTH: &str = r#"
[[instrument]]
venue = "demo"
symbol = "BTCUSDT"
max_order_quantity = "0.1"
max_order_notional = "20000"
max_position = "0.1"
[[instrument]]
venue = "demo"
symbol = "ETHUSDT"
max_order_quantity = "1"
max_order_notional = "20000"
max_position = "1"
"#;
    let story = when("a book gap during high load", "", BOTH, |desk| {
        desk.venue.fault(r#"{"fault":"depth","target":"market","what":"skip","messages":1}"#);
        desk.trades_on(5);
    });
    let lost = |book: u8| {
        story.events.iter().filter(|event| event.starts_with(&format!("book {book} lost"))).count()
    };
    assert_eq!(lost(0) + lost(1), 1, "one book, once: {:?}", story.events);
}

/// The connections of each kind are dialled in order, so of four the first two carry the public streams.
#[test]
fn of_two_feeds_one_lags_and_breaks() {
    let story =
        when("two redundant feeds, one lagging, and the lagging one breaks", "copies = 2", "", |desk| {
            lag_and_break(desk, [0, 2], [0, 2]);
        });
    story.told.says("0 gaps, 0 resyncs");
}

#[test]
fn of_two_feeds_one_lags_and_the_other_breaks() {
    when("two redundant feeds, one lagging, and the quick one breaks", "copies = 2", "", |desk| {
        lag_and_break(desk, [0, 2], [1, 3]);
    });
}

fn lag_and_break(desk: &mut Desk, lagging: [usize; 2], breaking: [usize; 2]) {
    let market = desk.venue.connections("market");
    assert_eq!(market.len(), 4, "two of each kind");
    for slow in lagging {
        desk.venue.fault(&format!(r#"{{"fault":"lag","target":{},"ms":300}}"#, market[slow]));
    }
    desk.trades_on(5);
    for gone in breaking {
        desk.venue.fault(&format!(r#"{{"fault":"reset","target":{}}}"#, market[gone]));
    }
    desk.trades_on(5);
}

#[test]
fn order_entry_is_down_for_long() {
    let story = when(
        "order entry is down for long while REST lives",
        "rest_fallback_after = \"300ms\"",
        "",
        |desk| {
            desk.venue.fault(r#"{"fault":"down","target":"api","for_ms":60000}"#);
            desk.wait_for_log("requests go over REST");
            desk.trades_on(10);
            assert_eq!(desk.venue.connections("api"), Vec::<u64>::new(), "the session is still down");
            desk.venue.heal();
            desk.wait_for_log("requests go over the session again");
            desk.trades_on(5);
        },
    );
    assert!(story.events.iter().all(|event| !event.starts_with("not sent")), "{:?}", story.events);
}

/// The gate stands before the courier as well: what is confirmed is true of both.
#[test]
fn a_kill_holds_what_would_go_over_rest() {
    let _turn = turn();
    let mut desk = Desk::open("rest_fallback_after = \"300ms\"", "");
    desk.venue.fault(r#"{"fault":"down","target":"api","for_ms":60000}"#);
    desk.wait_for_log("requests go over REST");
    desk.trades_on(3);
    desk.ctl(&["kill", "--mode", "block", "--reason", "the test says so"]);
    let at_the_word = desk.venue.orders_taken();
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(desk.venue.orders_taken(), at_the_word, "an order left after the kill was confirmed");
}

#[test]
fn the_venues_clock_jumps() {
    let story = when("the venue's clock jumps by a minute", "", "", |desk| {
        // A logged-on session carries no time that could be refused: the requests of a new one do.
        desk.venue.fault(r#"{"fault":"clock","offset_ms":60000}"#);
        desk.trades_on(5);
    });
    assert!(story.log.contains("clock_skew"), "{}", story.log);
}

#[test]
fn the_document_shows_the_table() {
    let mut text = String::from(HEAD);
    for row in TABLE {
        let events = match row.events {
            [] => "none beyond the everyday".to_owned(),
            events => events.iter().map(|event| format!("`{event}`")).collect::<Vec<_>>().join(", "),
        };
        text.push_str(&format!("| {} | {} | {events} |\n", row.fault, row.engine));
    }
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FAULTS.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&place, &text).expect("written");
    }
    let found = std::fs::read_to_string(&place).unwrap_or_default();
    assert!(found == text, "docs/FAULTS.md is stale: UPDATE_DOCS=1 cargo test --test faults the_document");
}

const HEAD: &str = "# When the world fails

Printed from [`tests/faults.rs`](../tests/faults.rs), in which every row is a test over real sockets: the engine and the embedded venue are processes of
their own, the venue fails on purpose, and the journal is read afterwards. In every row, beside what it says: the session drains, seals and replays
identically, and the venue has counted that **no client order id was asked for as a new order more than once**.

| fault | what the engine does | events in the journal, in this order |
|---|---|---|
";
