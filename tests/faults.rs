//! The fault table: what the engine does when the world fails, over real sockets, at a venue that fails on purpose.
//!
//! A row is a test, named at its head: what breaks, what the engine does, which events the journal must tell in this order, and which it must not. Every
//! row is played the same way ([`play`]): it breaks its one thing in a session that trades, waits until the engine trades again, and stops; then
//! the session must have drained and replayed, and **no client order id may have been asked for as a new order more than once**, by the venue's own
//! count. Nothing waits for time: it waits for what must happen. `docs/FAULTS.md` is printed from the table.
#![cfg(feature = "embedded-venue")]

mod support;

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use support::faulty::{Desk, Story};

struct Row {
    fault: &'static str,
    /// What the engine does.
    engine: &'static str,
    /// Events of the journal, in this order; others may stand between.
    events: &'static [&'static str],
    /// Events that must not appear.
    never: &'static [&'static str],
    /// Of the venue's command line, of its table in the configuration, and behind that.
    flags: &'static [&'static str],
    more: &'static str,
    rest: &'static str,
    /// Breaks it, and waits until the engine trades again.
    act: fn(&mut Desk),
    /// What else must be true of the session.
    then: fn(&Story),
}

const PLAIN: Row = Row {
    fault: "",
    engine: "",
    events: &[],
    never: &[],
    flags: &[],
    more: "",
    rest: "",
    act: |_| {},
    then: |_| {},
};

/// Where silence is the fault.
const SILENT: &str = "silence_timeout = \"3s\"";

macro_rules! table {
    ($($test:ident: $row:expr,)*) => {
        const TABLE: &[(&str, Row)] = &[$((stringify!($test), $row)),*];
        $(
            #[test]
            fn $test() {
                play(stringify!($test));
            }
        )*
    };
}

table! {
    the_venue_is_killed_and_started_again: Row {
        fault: "the venue is killed (kill -9) and started again",
        engine: "every link is dialled again, with growing pauses; what was under way is unknown and asked about; the account is read back and agrees with what the venue kept, the books are built anew, then it trades on",
        events: &["private down", "private up", "account read back"],
        never: &["not sent (dry_run)"],
        act: |desk| {
            let before = desk.venue.orders();
            desk.venue.kill();
            // By a reset or an end, as the kernel finds its sockets.
            desk.wait_for("the stream is down", |desk| {
                desk.events().iter().any(|event| event.starts_with("private down"))
            });
            desk.venue.come_back();
            let after = desk.venue.orders();
            let kept = |(id, asked, _): &(String, u64, u64)| {
                after.iter().any(|(other, again, _)| other == id && again >= asked)
            };
            assert!(before.iter().all(kept), "it came back with what it had: {before:?}, {after:?}");
            desk.wait_for_event("account read back");
            desk.trades_on(5);
        },
        ..PLAIN
    },
    the_venue_is_away_for_a_while: Row {
        fault: "the venue is out of reach for a while",
        engine: "the same, and its sessions and listen keys still stand: whatever comes first of the links is used",
        events: &["private up", "account read back"],
        never: &["not sent (dry_run)"],
        act: |desk| {
            desk.venue.fault(r#"{"fault":"down","target":"all","for_ms":2500}"#);
            desk.wait_for_event("account read back");
            desk.trades_on(5);
        },
        ..PLAIN
    },
    a_reset_in_the_middle_of_a_market_frame: Row {
        fault: "a TCP reset in the middle of a market frame",
        engine: "the half frame is thrown away, the connection made again, the books built anew from a snapshot",
        events: &["market down (reset)", "book 0 lost (disconnected)", "market up", "book 0 anew"],
        never: &["private down (reset)", "order_entry down (reset)", "account read back"],
        act: |desk| {
            let hit = desk.venue.fault(r#"{"fault":"reset","target":"market","in_frame":true}"#);
            assert!(!hit.is_empty());
            desk.wait_for_event("book 0 anew");
            desk.trades_on(5);
        },
        ..PLAIN
    },
    a_reset_of_order_entry: Row {
        fault: "a TCP reset of order entry",
        engine: "what was under way is unknown: it is asked about by its id, never sent again; new orders are held until the session is logged on again",
        events: &["order_entry down (reset)", "order_entry up"],
        never: &["market down (reset)", "private down (reset)"],
        act: |desk| {
            assert_eq!(desk.venue.fault(r#"{"fault":"reset","target":"api"}"#).len(), 1);
            desk.wait_for_event("order_entry up");
            desk.trades_on(5);
        },
        ..PLAIN
    },
    half_open_silence_of_the_market_feed: Row {
        fault: "half-open silence of the market feed",
        engine: "our own pings go unanswered; after silence_timeout the connection is given up and made again",
        events: &["market down (silence)", "book 0 lost (disconnected)", "market up", "book 0 anew"],
        never: &["account read back"],
        more: SILENT,
        act: |desk| {
            desk.venue.fault(r#"{"fault":"silence","target":"market","for_ms":600000}"#);
            desk.wait_for_event("book 0 anew");
            desk.trades_on(5);
        },
        ..PLAIN
    },
    half_open_silence_of_order_entry: Row {
        fault: "half-open silence of order entry",
        engine: "requests without an answer become unknown, the connection is given up after silence_timeout, each order is asked about",
        events: &["order_entry down (silence)", "order_entry up"],
        never: &["market down (silence)"],
        more: SILENT,
        act: |desk| {
            desk.venue.fault(r#"{"fault":"silence","target":"api","for_ms":600000}"#);
            desk.wait_for_event("order_entry up");
            desk.trades_on(5);
        },
        ..PLAIN
    },
    a_venue_that_reads_slowly: Row {
        fault: "a venue that reads slowly",
        engine: "requests wait in the socket; our pings go unanswered, so the session is given up; every request on it is unknown and asked about, and nothing is sent a second time",
        events: &["order_entry down (silence)", "order read back", "order_entry up"],
        never: &["market down (reset)"],
        more: SILENT,
        act: |desk| {
            desk.venue.fault(r#"{"fault":"slow_read","target":"api","bytes_per_second":60}"#);
            desk.wait_for_event("order_entry down (silence)");
            desk.venue.heal();
            desk.wait_for_event("order_entry up");
            desk.trades_on(5);
        },
        ..PLAIN
    },
    rest_is_limited_and_then_banned: Row {
        fault: "429, then 418, on REST",
        engine: "no request leaves before the venue's Retry-After is over; the read-back is asked for again after it; private events go on",
        events: &["private down (reset)", "private up", "account read back"],
        never: &["market down (reset)"],
        act: |desk| {
            for (status, wait) in [(429, 1000), (418, 2000)] {
                desk.venue.fault(&format!(
                    r#"{{"fault":"request","request":"GET /fapi/v3/account","how":{{"refuse":{{"status":{status},"code":-1003,"msg":"Too many requests.","retry_after_ms":{wait}}}}}}}"#
                ));
            }
            desk.venue.fault(r#"{"fault":"reset","target":"private"}"#);
            desk.wait_for_log("status 418");
            desk.wait_for_event("account read back");
            desk.trades_on(5);
        },
        then: |story| {
            assert!(story.log.contains("status 429"), "{}", story.log);
        },
        ..PLAIN
    },
    an_order_is_refused_with_429: Row {
        fault: "429 for an order",
        engine: "the venue refused it, so it is definite: the order is closed as rejected, and trading goes on",
        events: &["request rejected (rate_limited)"],
        never: &["account read back", "order_entry down (reset)"],
        act: |desk| {
            desk.venue.fault(
                r#"{"fault":"request","request":"order.place","times":2,"how":{"refuse":{"status":429,"code":-1015,"msg":"Too many new orders."}}}"#,
            );
            desk.wait_for_event("request rejected (rate_limited)");
            desk.trades_on(5);
        },
        ..PLAIN
    },
    a_response_is_lost: Row {
        fault: "an order is accepted, and the response is lost",
        engine: "the private stream shows the order; when the answer's time is over the request is unknown, which takes nothing from a confirmed order",
        events: &["request unknown (no_answer)"],
        never: &["account read back", "order_entry down (reset)"],
        act: |desk| {
            desk.venue.fault(r#"{"fault":"request","request":"order.place","times":1,"how":"lose"}"#);
            desk.wait_for_event("request unknown (no_answer)");
            desk.trades_on(2);
        },
        ..PLAIN
    },
    the_response_before_the_private_event: Row {
        fault: "the response comes long before the private event",
        engine: "the order stays pending until the private stream shows it; nothing is asked",
        events: &[],
        never: &["account read back", "order read back", "request unknown (no_answer)"],
        act: |desk| {
            desk.venue.fault(r#"{"fault":"delay_events","ms":400}"#);
            desk.trades_on(8);
        },
        ..PLAIN
    },
    the_response_after_the_private_event: Row {
        fault: "the response comes long after the private event",
        engine: "the private event is the proof; the late answer changes nothing",
        events: &[],
        never: &["account read back", "order read back", "request unknown (no_answer)"],
        act: |desk| {
            desk.venue.fault(
                r#"{"fault":"request","request":"order.place","times":8,"how":{"delay":{"ms":400}}}"#,
            );
            desk.trades_on(10);
        },
        ..PLAIN
    },
    the_private_stream_is_down_alone: Row {
        fault: "the private stream is down while the market feed lives",
        engine: "no new order goes out at this venue; books go on; when the stream is back the account is read back before anything else",
        events: &["private down (reset)", "private up", "account read back"],
        never: &["market down (reset)", "book 0 lost (disconnected)"],
        act: |desk| {
            desk.venue.fault(r#"{"fault":"down","target":"private","for_ms":600000}"#);
            desk.wait_for_event("private down (reset)");
            desk.holds_its_orders_for(200);
            desk.venue.heal();
            desk.wait_for_event("account read back");
            desk.trades_on(5);
        },
        ..PLAIN
    },
    a_wrong_certificate: Row {
        fault: "a wrong certificate",
        engine: "the session is not made: not one byte of ours leaves on it; it is tried again until the right one is shown",
        events: &["order_entry down (reset)", "order_entry up"],
        never: &["market down (reset)"],
        act: |desk| {
            desk.venue.fault(r#"{"fault":"wrong_certificate","for_ms":600000}"#);
            desk.venue.fault(r#"{"fault":"reset","target":"api"}"#);
            desk.wait_for_log("order entry: TLS failed");
            desk.venue.heal();
            desk.wait_for_event("order_entry up");
            desk.trades_on(5);
        },
        ..PLAIN
    },
    the_listen_key_has_expired: Row {
        fault: "the listen key has expired",
        engine: "another key, another connection, and the account is read back",
        events: &["private down (key_expired)", "private up", "account read back"],
        never: &["market down (reset)"],
        act: |desk| {
            desk.venue.fault(r#"{"fault":"expire_listen_keys"}"#);
            desk.wait_for_event("account read back");
            desk.trades_on(5);
        },
        ..PLAIN
    },
    a_gap_in_one_book_under_high_load: Row {
        fault: "a book gap during high load",
        engine: "that book alone is given up and built anew from a snapshot; the other goes on",
        events: &["lost (gap)", "anew"],
        never: &["market down (reset)", "private down (reset)"],
        flags: &["--actions", "300"],
        rest: BOTH_BOOKS,
        act: |desk| {
            desk.venue.fault(r#"{"fault":"depth","target":"market","what":"skip","messages":1}"#);
            desk.wait_for("a book is lost and anew", |desk| {
                let events = desk.events();
                let mut rest = events.iter().skip_while(|event| !event.ends_with("lost (gap)"));
                let lost = rest.next().map(|event| event.replace("lost (gap)", "anew"));
                lost.is_some_and(|anew| rest.any(|event| *event == anew))
            });
            desk.trades_on(5);
        },
        then: |story| {
            let lost = story.events.iter().filter(|event| event.ends_with("lost (gap)")).count();
            assert_eq!(lost, 1, "one book, once: {:?}", story.events);
            // The agents' pace, not the machine's: where it is slow, more of them come at a time.
            assert!(story.updates_per_second() > 200, "{} a second", story.updates_per_second());
        },
        ..PLAIN
    },
    of_two_feeds_one_lags_and_breaks: Row {
        fault: "two redundant feeds, one lagging, and the lagging one breaks",
        engine: "the first arrival wins, what comes again is dropped by its update id; when the lagging connection breaks the other carries the feed, and nobody notices",
        events: &[],
        never: &["market down (reset)", "book 0 lost (gap)", "book 0 lost (disconnected)", "account read back"],
        more: "copies = 2",
        act: |desk| {
            lag_and_break(desk, [0, 2], [0, 2]);
        },
        then: |story| {
            story.told.says("0 gaps, 0 resyncs");
        },
        ..PLAIN
    },
    of_two_feeds_one_lags_and_the_other_breaks: Row {
        fault: "two redundant feeds, one lagging, and the quick one breaks",
        engine: "the lagging connection carries the feed on; once the quick one is back it is ahead of the book, so what it brings is kept until the lagging one has come that far, and from there it leads again",
        events: &[],
        never: &["market down (reset)", "book 0 lost (gap)", "book 0 lost (disconnected)", "account read back"],
        more: "copies = 2",
        act: |desk| {
            lag_and_break(desk, [0, 2], [1, 3]);
        },
        then: |story| {
            story.told.says("0 gaps, 0 resyncs");
        },
        ..PLAIN
    },
    order_entry_is_down_for_long: Row {
        fault: "order entry is down for long while REST lives",
        engine: "after rest_fallback_after requests go over REST, each past the kill gate, until the session is logged on again",
        events: &["order_entry down (reset)", "order_entry up"],
        never: &["market down (reset)", "private down (reset)"],
        more: "rest_fallback_after = \"300ms\"",
        act: |desk| {
            desk.venue.fault(r#"{"fault":"down","target":"api","for_ms":600000}"#);
            desk.wait_for_log("requests go over REST");
            desk.trades_on(10);
            assert_eq!(desk.venue.connections("api"), Vec::<u64>::new(), "the session is still down");
            desk.venue.heal();
            desk.wait_for_log("requests go over the session again");
            // What was on its way when the link went down is told as not sent, and from then on nothing is lost.
            desk.trades_on(5);
        },
        ..PLAIN
    },
    order_entry_is_down_and_rest_is_limited: Row {
        fault: "429, then 418, for orders over REST while order entry is down",
        engine: "neither an order nor a cancel leaves before the venue's Retry-After is over, those that were on their way to the courier included; then it trades on",
        events: &["order_entry down (reset)", "request rejected (rate_limited)"],
        never: &["market down (reset)", "private down (reset)"],
        more: "rest_fallback_after = \"300ms\"",
        act: |desk| {
            desk.venue.fault(r#"{"fault":"down","target":"api","for_ms":600000}"#);
            desk.wait_for_log("requests go over REST");
            desk.trades_on(3);
            for (status, wait) in [(429, 1_000), (418, 3_000)] {
                desk.venue.fault(&format!(
                    r#"{{"fault":"request","request":"POST /fapi/v1/order","how":{{"refuse":{{"status":{status},"code":-1003,"msg":"Too many requests.","retry_after_ms":{wait}}}}}}}"#
                ));
            }
            desk.wait_for("both pauses", |desk| desk.pauses().len() >= 2);
            desk.trades_on(3);
        },
        then: |story| {
            let meanwhile = |answer: &&u64| story.pauses.iter().any(|(since, until)| (since + 1..*until).contains(*answer));
            let answers: Vec<_> = story.answers.iter().filter(meanwhile).collect();
            assert!(answers.is_empty(), "{answers:?} were answered within {:?}", story.pauses);
        },
        ..PLAIN
    },
    the_venues_clock_jumps: Row {
        fault: "the venue's clock jumps by a minute",
        engine: "the refused request (-1021) has the clock measured at once, and requests carry the right time from then on",
        events: &["request rejected (clock)"],
        never: &["order_entry down (reset)", "market down (reset)"],
        act: |desk| {
            // A logged-on session carries no time that could be refused: the requests of a new one do.
            desk.venue.fault(r#"{"fault":"clock","offset_ms":60000}"#);
            desk.wait_for_event("request rejected (clock)");
            desk.trades_on(5);
        },
        then: |story| {
            assert!(story.log.contains("clock_skew"), "{}", story.log);
        },
        ..PLAIN
    },
    the_clock_of_a_spot_venue_jumps_and_every_link_is_reset: Row {
        fault: "the clock of a spot venue jumps by a minute, and its private stream and order entry are reset",
        engine: "the first logon that is refused (-1021) has the clock measured at once, and the next ones, of both, carry the right time; the account is read back",
        events: &["private down (reset)", "private up", "account read back"],
        never: &["market down (reset)"],
        flags: &["--product", "spot"],
        rest: SPOT_BOOK,
        act: |desk| {
            desk.venue.fault(r#"{"fault":"clock","offset_ms":60000}"#);
            desk.venue.fault(r#"{"fault":"reset","target":"api"}"#);
            desk.wait_for_event("account read back");
            desk.trades_on(5);
            // And back, before the drain: that is no place for a jump.
            desk.venue.heal();
            desk.trades_on(5);
        },
        then: |story| {
            assert!(story.log.contains("clock_skew"), "{}", story.log);
        },
        ..PLAIN
    },
}

/// Breaks something in a session that trades, waits until it trades again, and holds the journal against the row.
fn play(test: &str) {
    let (_, row) = TABLE.iter().find(|(name, _)| *name == test).expect("a row of the table");
    let _turn = turn();
    let mut desk = Desk::open(row.flags, row.more, row.rest);
    desk.mark();
    (row.act)(&mut desk);
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
    (row.then)(&story);
}

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
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// The account begins with 10 BTC, which count.
const SPOT_BOOK: &str = r#"
[[instrument]]
venue = "demo"
symbol = "BTCUSDT"
max_order_quantity = "0.1"
max_order_notional = "20000"
max_position = "20"
"#;

const BOTH_BOOKS: &str = r#"
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

/// The connections of each kind are dialled in order, so of four the first two carry the public streams.
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
    desk.wait_for("all four are back", |desk| desk.venue.connections("market").len() == 4);
    desk.trades_on(5);
}

/// The gate stands before the courier as well: what is confirmed is true of both.
#[test]
fn a_kill_holds_what_would_go_over_rest() {
    let _turn = turn();
    let mut desk = Desk::open(&[], "rest_fallback_after = \"300ms\"", "");
    desk.venue.fault(r#"{"fault":"down","target":"api","for_ms":600000}"#);
    desk.wait_for_log("requests go over REST");
    desk.trades_on(3);
    desk.ctl(&["kill", "--mode", "block", "--reason", "the test says so"]);
    desk.holds_its_orders_for(200);
}

#[test]
fn the_document_shows_the_table() {
    let mut text = String::from(HEAD);
    for (test, row) in TABLE {
        let events = match row.events {
            [] => "none beyond the everyday".to_owned(),
            events => events.iter().map(|event| format!("`{event}`")).collect::<Vec<_>>().join(", "),
        };
        let never = row.never.iter().map(|event| format!("`{event}`")).collect::<Vec<_>>().join(", ");
        text.push_str(&format!("| {} | {} | {events} | {never} | `{test}` |\n", row.fault, row.engine));
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
identically, and **nothing is sent twice**: the venue has counted that no client order id was asked for as a new order more than once, over its own death
too, since it keeps its counts with its books (`linchpin venue --state`).

| fault | what the engine does | events in the journal, in this order | events that do not appear | test |
|---|---|---|---|---|
";
