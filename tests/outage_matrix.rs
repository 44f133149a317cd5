//! The outage matrix: a venue's market feed, private stream, order entry and REST, cut one by one, in every pair, in every three and all
//! together, in four ways, while another venue of the same session is left alone.
//!
//! All cells are played in one session, one after the other: cut, wait until the engine shows what it must, heal, wait until it trades again. Then
//! the journal must tell for each cell that exactly the cut links went down, that only gates of the cut closed and all opened again, that what had
//! to be read back was, and that **nothing at all happened at the other venue, which traded on**; in the end positions, fills and open
//! orders are the venues' own, and no order was sent twice. `LINCHPIN_OUTAGES` is the number of cells, of all 59 (about six minutes);
//! `docs/OUTAGES.md` is printed from what is expected here.
#![cfg(feature = "embedded-venue")]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use linchpin::core::event::{Body, Event, HydrationPhase, HydrationScope, LinkKind, LinkState};
use linchpin::core::id::VenueId;
use linchpin::core::record::{Decision, Gate, IncidentKind, RecordKind};
use linchpin::exchange::Decimal;
use serde_json::Value;
use support::desk::{GENEROUS, GENEROUS_LIMIT, fees_in, in_summary, made, position_in};
use support::faulty::Venue;
use support::truth::Truth;
use support::{PATIENCE, Running, knob, linchpin, records, session};

/// What can be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Market,
    Private,
    OrderEntry,
    Rest,
}

use Way::{Market, OrderEntry, Private, Rest};

const CUTS: [&[Way]; 15] = [
    &[Market],
    &[Private],
    &[OrderEntry],
    &[Rest],
    &[Market, Private, OrderEntry, Rest],
    &[Market, Private],
    &[Market, OrderEntry],
    &[Market, Rest],
    &[Private, OrderEntry],
    &[Private, Rest],
    &[OrderEntry, Rest],
    &[Market, Private, OrderEntry],
    &[Market, Private, Rest],
    &[Market, OrderEntry, Rest],
    &[Private, OrderEntry, Rest],
];

/// How it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Connections are reset, and refused for a moment.
    Short,
    /// Half-open for a moment, which nobody is meant to notice.
    Hiccup,
    /// Connections are reset, and refused until the engine has shown what it does about it.
    Long,
    /// Half-open, and connections that are tried meanwhile too. REST has no connection to keep: it is refused.
    Silent,
}

use Manner::{Hiccup, Long, Short, Silent};

const MANNERS: [Manner; 4] = [Short, Hiccup, Long, Silent];
const A_MOMENT: Duration = Duration::from_millis(400);
/// Past `rest_fallback_after` below.
const LONG: Duration = Duration::from_millis(2_500);

#[derive(Clone, Copy, Debug)]
struct Cell {
    cut: &'static [Way],
    manner: Manner,
}

/// All of them; the first eight are what every test run plays.
fn cells() -> Vec<Cell> {
    let (one, all) = (&CUTS[..4], CUTS[4]);
    let mut first: Vec<Cell> = one.iter().map(|cut| Cell { cut, manner: Short }).collect();
    first.extend([Hiccup, Silent].map(|manner| Cell { cut: all, manner }));
    first.extend([CUTS[1], CUTS[2]].map(|cut| Cell { cut, manner: Long }));
    let every = CUTS.iter().flat_map(|cut| MANNERS.map(|manner| Cell { cut, manner }));
    let is_new = |cell: &Cell| {
        let same = |other: &Cell| other.cut == cell.cut && other.manner == cell.manner;
        // REST refused until healed is the same in both words.
        let told_twice = cell.cut == [Rest] && cell.manner == Silent;
        !first.iter().any(same) && !told_twice
    };
    let others: Vec<Cell> = every.filter(is_new).collect();
    [first, others].concat()
}

impl Way {
    /// As the venue's control port calls it.
    fn kind(self) -> &'static str {
        match self {
            Market => "market",
            Private => "private",
            OrderEntry => "api",
            Rest => "rest",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Market => "market feed",
            Private => "private stream",
            OrderEntry => "order entry",
            Rest => "REST",
        }
    }

    fn link(self) -> Option<LinkKind> {
        match self {
            Market => Some(LinkKind::Market),
            Private => Some(LinkKind::Private),
            OrderEntry => Some(LinkKind::OrderEntry),
            Rest => None,
        }
    }

    /// The gates of its venue that close with it.
    fn gates(self) -> &'static [Gate] {
        match self {
            Market => &[Gate::MarketLink],
            Private => &[Gate::PrivateLink, Gate::Account],
            OrderEntry => &[Gate::OrderEntryLink],
            Rest => &[],
        }
    }
}

impl Cell {
    fn cuts(&self, way: Way) -> bool {
        self.cut.contains(&way)
    }

    /// The engine is to notice it.
    fn is_noticed(&self) -> bool {
        self.manner != Hiccup
    }

    /// New orders go out at the cut venue while it lasts.
    fn trades_on(&self) -> bool {
        let has_a_way = !self.cuts(OrderEntry) || !self.cuts(Rest);
        !self.cuts(Market) && !self.cuts(Private) && has_a_way
    }

    fn gates(&self) -> Vec<Gate> {
        self.cut.iter().flat_map(|way| way.gates()).copied().collect()
    }

    fn name(&self) -> String {
        let ways: Vec<&str> = self.cut.iter().map(|way| way.name()).collect();
        format!("{} {:?}", ways.join(" + "), self.manner)
    }
}

/// One engine, the venue that is cut, and the venue that is not.
struct Desk {
    folder: tempfile::TempDir,
    cut: Venue,
    calm: Venue,
    engine: Running,
}

const CUT: VenueId = VenueId(0);
const CALM: VenueId = VenueId(1);

impl Desk {
    fn open() -> Desk {
        let folder = tempfile::tempdir().expect("a folder");
        let venue = |name: &str, symbols: &str| {
            let place = folder.path().join(name);
            std::fs::create_dir(&place).expect("a folder");
            Venue::start(&place, &[&["--symbols", symbols][..], &GENEROUS].concat())
        };
        let (cut, calm) = (venue("cut", "BTCUSDT,ETHUSDT"), venue("calm", "SOLUSDT"));
        let table = |venue: &Venue, name: &str, more: &str| {
            let more = format!("rest_fallback_after = \"1s\"\n{more}");
            venue.table(name, "binance-usdm", &more) + GENEROUS_LIMIT
        };
        let config = [
            HEAD,
            &table(&cut, "cut", "silence_timeout = \"4s\""),
            &table(&calm, "calm", ""),
            &made("cut", "BTCUSDT"),
            &made("cut", "ETHUSDT"),
            &made("calm", "SOLUSDT"),
        ];
        std::fs::write(folder.path().join("desk.toml"), config.concat()).expect("written");
        let engine = Running::start(linchpin(folder.path(), &["run", "--config", "desk.toml"]));
        let mut desk = Desk { folder, cut, calm, engine };
        desk.until("the first orders", |desk| desk.cut.orders_taken() >= 3 && desk.calm.orders_taken() >= 3);
        desk.until("all gates are open", |desk| desk.is_whole());
        desk
    }

    #[track_caller]
    fn until(&mut self, what: &str, mut is_so: impl FnMut(&Desk) -> bool) {
        let patience = Instant::now() + PATIENCE;
        while !is_so(self) {
            let alive = self.engine.is_alive();
            assert!(
                alive,
                "the engine has ended while the test waited until {what}\n{}",
                self.engine.so_far()
            );
            assert!(
                Instant::now() < patience,
                "waited in vain until {what}\n{}\n{}",
                self.look("gates"),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The answer of `linchpin ctl`, which only reads.
    fn look(&self, verb: &str) -> Value {
        let told = support::run(self.folder.path(), &["ctl", "--home", "home", verb, "--json"]);
        serde_json::from_str(&told.stdout).unwrap_or_default()
    }

    /// Every gate is open, every book whole, every account known, and nothing in doubt.
    fn is_whole(&self) -> bool {
        let said = self.look("gates");
        let all = |list: &str, holds: &dyn Fn(&Value) -> bool| {
            said[list].as_array().is_some_and(|rows| !rows.is_empty() && rows.iter().all(holds))
        };
        all("venues", &|venue| venue["closed"].is_null() && venue["account"] == "trusted")
            && all("markets", &|market| market["book"] == "whole" && market["trusted"] == true)
    }

    /// A note in the journal, in the order of processing: no two clocks are compared.
    fn mark(&self, number: usize) {
        let reason = format!("{MARK}{number}");
        let words = ["ctl", "--home", "home", "enable", "--reason", &reason];
        support::run(self.folder.path(), &words).expect_code(0);
    }

    fn closed_gate(&self) -> Value {
        self.look("gates")["venues"][0]["closed"].clone()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.session().join("log.jsonl")).unwrap_or_default()
    }

    fn session(&self) -> PathBuf {
        session(&self.folder.path().join("home"))
    }

    /// Connections that the engine has given up for their silence.
    fn given_up(&self) -> usize {
        self.log().matches("nothing received for").count()
    }

    fn trades_on(&mut self, what: &str, at_cut: u64, at_calm: u64) {
        let (cut, calm) = (self.cut.orders_taken() + at_cut, self.calm.orders_taken() + at_calm);
        self.until(what, |desk| desk.cut.orders_taken() >= cut && desk.calm.orders_taken() >= calm);
    }

    /// Plays one cell, from a whole desk to a whole desk.
    fn play(&mut self, cell: &Cell) {
        let streams: Vec<Way> = cell.cut.iter().copied().filter(|way| way.link().is_some()).collect();
        let numbers = |desk: &Desk, way: &Way| desk.cut.connections(way.kind());
        let before: Vec<Vec<u64>> = streams.iter().map(|way| numbers(self, way)).collect();
        let (begun, given_up) = (Instant::now(), self.given_up());
        for way in cell.cut {
            self.cut.fault(&order(*way, cell.manner));
        }
        match cell.manner {
            Hiccup | Short => {}
            Long => self.until("its connections are gone", |desk| {
                streams.iter().all(|way| numbers(desk, way).is_empty())
            }),
            Silent => {
                let silent: usize = before.iter().map(Vec::len).sum();
                self.until("it has noticed the silence", |desk| desk.given_up() >= given_up + silent);
            }
        }
        match cell.manner {
            Hiccup => self.until("the moment is over", |_| begun.elapsed() > 2 * A_MOMENT),
            Short => {}
            Long | Silent => {
                self.meanwhile(cell);
                self.until("it has lasted", |_| begun.elapsed() > LONG);
                self.cut.heal();
            }
        }
        if cell.is_noticed() {
            self.until("it is connected anew", |desk| {
                streams.iter().zip(&before).all(|(way, before)| {
                    let now = numbers(desk, way);
                    now.len() == before.len() && now.iter().all(|number| !before.contains(number))
                })
            });
        }
        self.until("all gates are open again", |desk| desk.is_whole());
        self.trades_on("both venues trade again", 4, 1);
        if cell.manner == Hiccup {
            let after: Vec<Vec<u64>> = streams.iter().map(|way| numbers(self, way)).collect();
            assert_eq!(after, before, "{}: a connection was given up for a moment's silence", cell.name());
        }
    }

    /// While the cut stands, and the engine knows it.
    fn meanwhile(&mut self, cell: &Cell) {
        if cell.trades_on() {
            return self.trades_on("both venues trade on", 3, 3);
        }
        let allowed: Vec<&str> = cell.gates().iter().map(|gate| gate.name()).collect();
        if cell.cuts(Market) || cell.cuts(Private) {
            self.until("the right gate is closed", |desk| {
                desk.closed_gate().as_str().is_some_and(|gate| allowed.contains(&gate))
            });
        }
        // What had left before it closed arrives while the other venue takes some; from then on nothing does.
        self.trades_on("the other venue trades on", 0, 3);
        let taken = self.cut.orders_taken();
        self.trades_on("the other venue trades on", 0, 3);
        assert_eq!(self.cut.orders_taken(), taken, "{}: an order left past a closed gate", cell.name());
    }
}

/// What the notes between the cells say.
const MARK: &str = "here begins cell ";

const HEAD: &str = r#"
mode = "DEMO"
[run]
home = "home"
duration = "none"
[threads]
layout = "merged"
wait = "park"
[control]
stall_after = "1m"
"#;

fn order(way: Way, manner: Manner) -> String {
    let (kind, moment, ever) = (way.kind(), A_MOMENT.as_millis(), 3_600_000);
    match (manner, way) {
        (Hiccup, _) => format!(r#"{{"fault":"silence","target":"{kind}","for_ms":{moment}}}"#),
        (Short, _) => format!(r#"{{"fault":"down","target":"{kind}","for_ms":{moment}}}"#),
        (Long, _) | (Silent, Rest) => format!(r#"{{"fault":"down","target":"{kind}","for_ms":{ever}}}"#),
        (Silent, _) => format!(r#"{{"fault":"silence","target":"{kind}","for_ms":{ever},"new":true}}"#),
    }
}

#[test]
fn whatever_is_cut_at_one_venue_the_right_gates_close_and_open_and_the_other_venue_trades_on() {
    let mut cells = cells();
    cells.truncate(knob("LINCHPIN_OUTAGES", 8) as usize);
    let mut desk = Desk::open();
    for (number, cell) in cells.iter().enumerate() {
        let begun = Instant::now();
        desk.mark(number);
        desk.play(cell);
        println!("{:>6.1} s  {}", begun.elapsed().as_secs_f64(), cell.name());
    }
    desk.mark(cells.len());
    let place = desk.session();
    let mut truths = [
        (Truth::at(desk.cut.port, &desk.cut.authority, &desk.cut.key()), &["BTCUSDT", "ETHUSDT"][..]),
        (Truth::at(desk.calm.port, &desk.calm.authority, &desk.calm.key()), &["SOLUSDT"][..]),
    ];
    desk.engine.signal_group("-INT");
    let told = desk.engine.ended().expect_code(0);
    told.says("0 left open").says("replay                 identical");

    let (mut trades, mut fees) = (0, Decimal::ZERO);
    for (truth, symbols) in &mut truths {
        let account = truth.account(symbols);
        assert_eq!(account.open_orders, Vec::<String>::new());
        for (symbol, position) in &account.positions {
            assert_eq!(position_in(&told.stdout, symbol), *position, "{symbol}\n{told}");
        }
        trades += account.trades;
        fees += account.fees;
    }
    assert_eq!(support::number_before(&told.stdout, "  fills  ", "("), trades, "{told}");
    assert_eq!(fees_in(&told.stdout), in_summary(fees), "{told}");
    for venue in [&desk.cut, &desk.calm] {
        let twice: Vec<_> =
            venue.orders().into_iter().filter(|(_, asked, taken)| *asked > 1 || *taken > 1).collect();
        assert!(twice.is_empty(), "sent twice: {twice:?}");
    }
    let told = told_by(&place);
    assert_eq!(told.len(), cells.len() + 2, "before the first cell, the cells, and the end");
    for (cell, seen) in cells.iter().zip(&told[1..]) {
        holds(cell, seen);
    }
}

/// What the journal tells that an outage may be the reason of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Down(VenueId, LinkKind),
    BookLost(VenueId),
    AccountReadBack(VenueId),
    Gate(VenueId, Gate, bool),
    /// Something that a person would have to look at.
    Incident(IncidentKind),
}

/// One list for what came before the first mark, and one behind each.
fn told_by(session: &Path) -> Vec<Vec<Seen>> {
    let mut lists = vec![Vec::new()];
    for record in records(session).1 {
        let seen = match record.kind {
            RecordKind::Note if String::from_utf8_lossy(&record.payload).contains(MARK) => {
                lists.push(Vec::new());
                None
            }
            RecordKind::Event => seen_in(&Event::decode(&record.payload).expect("an event")),
            RecordKind::Decision => match Decision::decode(&record.payload) {
                Ok(Decision::Gate { gate, venue, open, .. }) => Some(Seen::Gate(venue, gate, open)),
                Ok(Decision::Incident { kind, .. }) => Some(Seen::Incident(kind)),
                _ => None,
            },
            _ => None,
        };
        lists.last_mut().expect("one at least").extend(seen);
    }
    lists
}

fn seen_in(event: &Event) -> Option<Seen> {
    match event.body {
        Body::Link(change) if change.state == LinkState::Down => Some(Seen::Down(event.venue, change.link)),
        Body::BookLost(_) => Some(Seen::BookLost(event.venue)),
        Body::Hydration(hydration)
            if hydration.scope == HydrationScope::Account && hydration.phase == HydrationPhase::End =>
        {
            Some(Seen::AccountReadBack(event.venue))
        }
        _ => None,
    }
}

/// The journal's side of a cell.
fn holds(cell: &Cell, seen: &[Seen]) {
    let name = cell.name();
    let elsewhere: Vec<_> = seen
        .iter()
        .filter(|seen| match seen {
            Seen::Down(venue, _) | Seen::BookLost(venue) | Seen::Gate(venue, ..) => *venue == CALM,
            Seen::AccountReadBack(_) | Seen::Incident(_) => false,
        })
        .collect();
    assert!(elsewhere.is_empty(), "{name}: something happened at the other venue: {elsewhere:?}");
    for way in [Market, Private, OrderEntry] {
        let link = way.link().expect("a stream");
        let went_down = seen.contains(&Seen::Down(CUT, link));
        let is_cut = cell.cuts(way) && cell.is_noticed();
        assert_eq!(went_down, is_cut, "{name}: the {} went down\n{seen:?}", way.name());
    }
    let lost_a_book = seen.contains(&Seen::BookLost(CUT));
    assert_eq!(lost_a_book, cell.cuts(Market) && cell.is_noticed(), "{name}: a book was lost\n{seen:?}");
    let read_back = seen.contains(&Seen::AccountReadBack(CUT));
    assert!(
        read_back || !cell.cuts(Private) || !cell.is_noticed(),
        "{name}: the account was not read back\n{seen:?}"
    );
    let mut shut: BTreeSet<&str> = BTreeSet::new();
    let mut still: Vec<Gate> = Vec::new();
    for seen in seen {
        match *seen {
            Seen::Gate(CUT, gate, false) => {
                shut.insert(gate.name());
                still.push(gate);
            }
            Seen::Gate(CUT, gate, true) => still.retain(|closed| *closed != gate),
            Seen::Incident(kind) => {
                let by_itself = [IncidentKind::UnknownOutcome, IncidentKind::ConfirmationOverdue];
                assert!(by_itself.contains(&kind), "{name}: {} needs a person", kind.name());
            }
            _ => {}
        }
    }
    assert!(still.is_empty(), "{name}: still closed: {still:?}");
    let allowed: BTreeSet<&str> = cell.gates().iter().map(|gate| gate.name()).collect();
    assert!(shut.is_subset(&allowed), "{name}: closed {shut:?}, where only {allowed:?} may");
    assert_eq!(shut.is_empty(), allowed.is_empty() || !cell.is_noticed(), "{name}: closed {shut:?}");
    if let ([way], true) = (cell.cut, cell.is_noticed()) {
        let all: BTreeSet<&str> = way.gates().iter().map(|gate| gate.name()).collect();
        assert_eq!(shut, all, "{name}");
    }
}

#[test]
fn the_document_shows_the_matrix() {
    let mut text = String::from(ABOUT);
    for cut in CUTS {
        let cell = Cell { cut, manner: Long };
        let list = |words: Vec<&str>| if words.is_empty() { "none".to_owned() } else { words.join(", ") };
        let gates = list(cell.gates().iter().map(|gate| gate.name()).collect());
        let mut anew = Vec::new();
        for (way, what) in [(Market, "its books"), (Private, "its account")] {
            if cell.cuts(way) {
                anew.push(what);
            }
        }
        if cell.cuts(OrderEntry) {
            anew.push("each order whose request was under way");
        }
        let orders = match (cell.trades_on(), cell.cuts(OrderEntry)) {
            (true, false) => "go out",
            (true, true) => "go over REST after `rest_fallback_after`",
            (false, _) => "are held",
        };
        let ways = list(cut.iter().map(|way| way.name()).collect());
        writeln!(text, "| {ways} | {gates} | {} | {orders} |", list(anew)).expect("text");
    }
    text.push_str(END);
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OUTAGES.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&place, &text).expect("written");
    }
    let found = std::fs::read_to_string(&place).unwrap_or_default();
    assert!(
        found == text,
        "docs/OUTAGES.md is stale: UPDATE_DOCS=1 cargo test --test outage_matrix the_document"
    );
}

const ABOUT: &str = "# When a venue is cut off

Printed from [`tests/outage_matrix.rs`](../tests/outage_matrix.rs), which plays every row over real sockets in four manners, all in one session with a second
venue that is left alone:

| manner | what is done | what the engine must do |
|---|---|---|
| hiccup | half-open for 400 ms | nothing: no link goes down, no gate closes, nothing is read back |
| short | reset, and refused for 400 ms | as below; every link is dialled anew at once |
| long | reset, and refused past `rest_fallback_after` | as below, until it is healed |
| silent | half-open past `silence_timeout`, connections that are tried meanwhile too | the connection is given up, then as below |

In every cell exactly the cut links go down, only the gates of the row close and all open again, the other venue's orders go out all the while and nothing
is recorded there; no order is sent twice; and in the end positions, fills and open orders are the venues' own. What single failures
do in detail is [a table of its own](FAULTS.md).

| cut | gates of the venue that may close | what is read back, and nothing else | new orders meanwhile |
|---|---|---|---|
";

const END: &str = "
A gate that closes is the first one in the order of the core's checks, so of several that are closed one is told. A cut of REST alone is not
noticed as long as nothing has to be asked. With order entry and REST both away requests that were tried end as *unknown*: they are asked about
when the venue answers again, and never sent a second time.
";
