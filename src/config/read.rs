//! From sections to a [`Config`]: every key by its type and range, then what only several keys together can have wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::OnceLock;

use linchpin_core::limits::{
    BucketLimit, BucketScope, LimitScope, LossAnswer, MAX_INSTRUMENTS, MAX_STRATEGIES, MAX_VENUES,
    PositionMode,
};
use linchpin_core::num::CASH_DECIMALS;
use linchpin_core::time::Nanos;

use super::bounds::Bounds;
use super::control::control;
use super::document::{Entry, Mistakes, Section, Table, Value, count, parse, span_within, text, unless_none};
use super::error::{ConfigError, ConfigErrors};
use super::key::{Key, KeyKind, Source};
use super::schedule::{Schedule, Window, parse_date, parse_time};
use super::strategy::bracket::Protects;
use super::strategy::{Bracket, Kind, Own, Parameters};
use super::text::{Decimal, Wrong, nearest, one_of, parse_name, parse_size, show_span};
use super::{
    Addresses, Config, Connection, Core, Cpu, DEFAULT, Demo, Dialect, Endpoints, Instrument, InstrumentCaps,
    LIVE_VARIABLE, Layout, Market, Mode, NamedLimit, Overrides, Pace, Rings, Risk, Run, RunLength, Strategy,
    Threads, Venue, hosts,
};
use crate::net::{Endpoint, Scheme};
use crate::venue::binance::wire::bucket::Count;

/// `file`: its name for messages, and its text. `live`: what the environment says beside the file's LIVE.
pub(super) fn config(
    file: Option<(&str, &str)>,
    overrides: &Overrides,
    live: Option<&str>,
) -> Result<Config, ConfigErrors> {
    let mistakes = Mistakes::of(file.map_or("the built-in configuration", |(name, _)| name));
    let user = match file.map(|(name, text)| parse(name, text)).transpose() {
        Ok(user) => user,
        Err(errors) => return errors_only(errors),
    };
    let top = Section::top(user.as_ref(), defaults(), &mistakes);
    let mode = overrides.mode.unwrap_or_else(|| match user {
        // Whoever writes a file and no mode did not ask for anything to be sent.
        Some(_) if !top.has("mode") => Mode::DryRun,
        _ => top.word("mode"),
    });
    if mode == Mode::Live && live != Some("LIVE") {
        top.wrong("mode", format!("LIVE needs the environment variable {LIVE_VARIABLE}=LIVE as well"));
    }
    if mode != Mode::Demo {
        for list in ["venue", "instrument", "strategy"] {
            if user.is_some() && !top.has(list) {
                let none = if list == "strategy" { ", or strategy = [] for none" } else { "" };
                let problem = format!(
                    "is missing: outside of DEMO nothing stands in for it; write [[{list}]]{none} (this is mode {mode})"
                );
                top.wrong(list, problem);
            }
        }
    }
    let demo = demo(&top.table("demo"), overrides, &mistakes);
    let (venues, venue_sections) = listed(&top, "venue", 1..=MAX_VENUES, |section| venue(section, mode));
    unique(&venue_sections, "name", venues.iter().map(|venue| venue.name.as_str()));
    let (instruments, instrument_sections) =
        listed(&top, "instrument", 1..=MAX_INSTRUMENTS, |section| instrument(section, &venues));
    let full_name = |instrument: &Instrument| format!("{}/{}", instrument.venue, instrument.symbol);
    let full_names: Vec<_> = instruments.iter().map(full_name).collect();
    unique(&instrument_sections, "symbol", full_names.iter().map(String::as_str));
    let (strategies, strategy_sections) =
        listed(&top, "strategy", 0..=MAX_STRATEGIES, |section| strategy(section, &venues, &instruments));
    unique(&strategy_sections, "name", strategies.iter().map(|strategy| strategy.name.as_str()));
    protected(&strategies, &strategy_sections);
    claimed_once(&strategies, &strategy_sections, &instruments);

    let journal = top.table("journal");
    let config = Config {
        mode,
        run: run(&top.table("run"), overrides, mode, &demo),
        schedule: schedule(&top.table("schedule")),
        segment_size: journal.read("segment_size", text(segment_size)),
        snapshot_every: journal.read("snapshot_every", unless_none(text(snapshot_pause))),
        threads: threads(&top.table("threads"), overrides),
        rings: rings(&top.table("rings")),
        control: control(&top.table("control"), mode),
        core: core(&top.table("core")),
        risk: risk(&top.table("risk")),
        demo,
        venues,
        instruments,
        strategies,
    };
    ConfigErrors::unless_any(mistakes.into_vec(), config)
}

fn errors_only<T>(errors: Vec<ConfigError>) -> Result<T, ConfigErrors> {
    match errors.into_iter().next() {
        // One slip of syntax makes the parser stumble on: the first message is the true one.
        Some(first) => Err(first.into()),
        None => unreachable!("called with an error"),
    }
}

/// `default.toml`, parsed once.
fn defaults() -> &'static Table {
    static DEFAULTS: OnceLock<Table> = OnceLock::new();
    DEFAULTS.get_or_init(|| parse("default.toml", DEFAULT).expect("default.toml is TOML: a test reads it"))
}

fn run(section: &Section<'_>, overrides: &Overrides, mode: Mode, demo: &Demo) -> Run {
    let duration = section.read("duration", text(str::parse::<RunLength>));
    // The recording's end is the session's, unless someone says otherwise.
    let is_recorded = mode == Mode::Demo && demo.market != Market::Agents;
    let duration = if is_recorded && !section.has("duration") { RunLength::Unbounded } else { duration };
    let enabled = section.read("trading_enabled", |value| match value {
        Value::Flag(flag) => Ok(Some(*flag)),
        Value::Text(text) if text == "auto" => Ok(None),
        _ => Err(Wrong::new("expected true, false or \"auto\"")),
    });
    let by_mode = matches!(mode, Mode::Demo | Mode::DryRun);
    let (second, day) = (Nanos::from_secs(1), Nanos::from_secs(24 * 3600));
    Run {
        home: overrides.home.clone().unwrap_or_else(|| section.read("home", text(path))),
        duration: overrides.duration.unwrap_or(duration),
        start_within: section
            .read("start_within", unless_none(text(|text| span_within(text, &(second..=day))))),
        trading_enabled: overrides.trading_enabled.or(enabled).unwrap_or(by_mode),
        state_hash_every: section.count("state_hash_every", 0..=1_000_000_000),
        verify: overrides.verify.unwrap_or_else(|| section.flag("verify")),
        start: overrides.start.unwrap_or_else(|| section.word("start")),
        orphans: overrides.orphans.unwrap_or_else(|| section.word("orphans")),
    }
}

fn schedule(section: &Section<'_>) -> Schedule {
    Schedule {
        zone: section.word("timezone"),
        windows: section.read("windows", list_of(str::parse::<Window>)),
        days_off: section.read("days_off", list_of(parse_date)),
        at_close: section.word("at_close"),
        daily_reset: section.read("daily_reset", unless_none(text(parse_time))),
    }
}

/// A list whose every entry is text that `parse` takes.
fn list_of<T>(parse: impl Fn(&str) -> Result<T, Wrong>) -> impl Fn(&Value) -> Result<Vec<T>, Wrong> {
    move |value| match value {
        Value::List(entries) => entries.iter().map(|entry| text(&parse)(&entry.value)).collect(),
        _ => Err(Wrong::new("expected a list of texts")),
    }
}

fn threads(section: &Section<'_>, overrides: &Overrides) -> Threads {
    let cpu = |key| {
        section.read(key, |value| match value {
            Value::Text(text) if text == "any" => Ok(Cpu::Any),
            value => match count(value, &(0..=1023)) {
                Ok(number) => Ok(Cpu::Number(number as usize)),
                Err(wrong) => Err(Wrong(format!("{}, or \"any\"", wrong.0))),
            },
        })
    };
    let threads = Threads {
        layout: overrides.layout.unwrap_or_else(|| section.word("layout")),
        wait: overrides.wait.unwrap_or_else(|| section.word("wait")),
        core: cpu("core_cpu"),
        receiver: cpu("receiver_cpu"),
        sender: cpu("sender_cpu"),
        lock_memory: section.flag("lock_memory"),
    };
    let same = |one: Cpu, other: Cpu| one == other && one != Cpu::Any;
    for (key, cpu) in [("receiver_cpu", threads.receiver), ("sender_cpu", threads.sender)] {
        if same(cpu, threads.core) {
            section.wrong(key, "is the core's CPU too; the core thread needs one for itself");
        }
    }
    let (receiver, sender) = (threads.receiver, threads.sender);
    match threads.layout {
        Layout::Split if same(receiver, sender) => {
            section.wrong("sender_cpu", "is the receiver's CPU too; that is layout = \"merged\"");
        }
        Layout::Merged if sender != Cpu::Any && sender != receiver => {
            section.wrong(
                "sender_cpu",
                "the merged layout has one thread for both: \"any\", or the receiver's CPU",
            );
        }
        _ => {}
    }
    threads
}

fn rings(section: &Section<'_>) -> Rings {
    let depth = |key| section.count(key, 16..=1 << 20) as usize;
    Rings {
        receiver_core: depth("receiver_core"),
        core_sender: depth("core_sender"),
        sender_core: depth("sender_core"),
        core_requester: depth("core_requester"),
        requester_core: depth("requester_core"),
        operator_core: depth("operator_core"),
    }
}

fn core(section: &Section<'_>) -> Core {
    let number = |key, range| section.count(key, range) as u32;
    let ten_minutes = Nanos::from_secs(600);
    let core = Core {
        order_rows: number("order_rows", 16..=1 << 20),
        book_levels: number("book_levels", 16..=1 << 16),
        settle_quiet: section.span("settle_quiet", Nanos::ZERO..=Nanos::from_secs(1)),
        settle_max: section.span("settle_max", Nanos::ZERO..=Nanos::from_secs(10)),
        confirmation_timeout: section.span("confirmation_timeout", Nanos::from_millis(10)..=ten_minutes),
        visibility_delay: section.span("visibility_delay", Nanos::ZERO..=ten_minutes),
        recovery_attempts: number("recovery_attempts", 1..=1000),
    };
    if core.settle_max < core.settle_quiet {
        section
            .wrong("settle_max", "is shorter than `settle_quiet`: the window would end before it is quiet");
    }
    core
}

fn risk(section: &Section<'_>) -> Risk {
    Risk {
        bounds: Bounds::read(section, LimitScope::Account),
        on_loss: section.read("on_loss", text(|text| coded(text, LossAnswer::ALL, LossAnswer::name))),
    }
}

fn demo(section: &Section<'_>, overrides: &Overrides, mistakes: &Mistakes) -> Demo {
    let speed = section.read("speed", |value| match value {
        Value::Text(text) => text.parse(),
        Value::Integer(number) => number.to_string().parse(),
        _ => "".parse::<Pace>(),
    });
    let demo = Demo {
        market: overrides.market.clone().unwrap_or_else(|| section.read("market", text(str::parse))),
        seed: overrides.seed.unwrap_or_else(|| section.count("seed", 0..=i64::MAX as u64)),
        speed: overrides.speed.unwrap_or(speed),
        balance: section.read("balance", text(balance)),
    };
    if demo.market == Market::Agents && demo.speed != Pace::Times(1) {
        const PROBLEM: &str = "sets the pace of a recording, and the market is \"agents\"";
        match overrides.speed {
            Some(speed) => mistakes.push(flag("--speed", &speed.to_string(), PROBLEM)),
            None => section.wrong("speed", PROBLEM),
        }
    }
    if let Some(seed) = overrides.seed
        && demo.market != Market::Agents
    {
        mistakes.push(flag(
            "--seed",
            &seed.to_string(),
            "is for the market \"agents\"; a recording has none",
        ));
    }
    demo
}

fn venue(section: &Section<'_>, mode: Mode) -> Venue {
    let endpoints = endpoints(section, mode);
    let connection = connection(section);
    let key = key(&section.table("key"), mode, &endpoints);
    let limit_sections = section.tables("limit");
    let dialect = section.word("dialect");
    let limits: Vec<_> = limit_sections.iter().map(|section| limit(section, dialect)).collect();
    if limits.len() > 8 {
        section.wrong("limit", format!("{} buckets, and a venue has at most 8", limits.len()));
    }
    unique(&limit_sections, "name", limits.iter().map(|limit| limit.name.as_str()));
    let ca_file = section.read("ca_file", text(path));
    let position_mode =
        section.read("position_mode", text(|text| coded(text, PositionMode::ALL, PositionMode::name)));
    if dialect == Dialect::BinanceSpot && position_mode == PositionMode::Hedge {
        section.wrong("position_mode", "a spot account has no positions to hedge: \"one_way\"".to_owned());
    }
    Venue {
        name: section.need("name", text(parse_name)),
        dialect,
        position_mode,
        endpoints,
        paths: section.word("paths"),
        ca_file: if ca_file.as_os_str() == "system" { None } else { Some(ca_file) },
        key,
        depth: section.word("depth"),
        trades: section.word("trades"),
        copies: section.count("copies", 1..=4) as u8,
        recv_window: section.span("recv_window", Nanos::from_millis(1)..=Nanos::from_secs(60)),
        connection,
        bounds: Bounds::read(section, LimitScope::Venue),
        limits,
    }
}

/// One of the core's own words.
fn coded<T: Copy>(text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, Wrong> {
    let known = all.iter().copied().find(|word| name(*word) == text);
    known.ok_or_else(|| one_of(text, &all.iter().map(|word| name(*word)).collect::<Vec<_>>()))
}

fn endpoints(section: &Section<'_>, mode: Mode) -> Endpoints {
    const KEYS: [&str; 4] = ["rest", "market", "private", "order_entry"];
    let read = |key| {
        section.need(
            key,
            text(|text| match text {
                "embedded" => Ok(None),
                text => match text.parse::<Endpoint>() {
                    Ok(endpoint) => Ok(Some(endpoint)),
                    Err(error) => {
                        let embedded = if mode == Mode::Demo { ", or \"embedded\"" } else { "" };
                        Err(Wrong(format!(
                            "{}; expected for example wss://host:443/path{embedded}",
                            error.why
                        )))
                    }
                },
            }),
        )
    };
    let found = KEYS.map(read);
    for (key, endpoint) in KEYS.iter().zip(&found) {
        let schemes = match *key {
            "rest" => [Scheme::Http, Scheme::Https],
            _ => [Scheme::Ws, Scheme::Wss],
        };
        match endpoint {
            Some(endpoint) => {
                if let Err(problem) = hosts::check(mode, endpoint, schemes) {
                    section.wrong(key, problem);
                } else if endpoint.path() != "/" && *key != "order_entry" {
                    section.wrong(key, "is a base address: leave its path out");
                }
            }
            None if mode != Mode::Demo && section.has(key) => {
                section.wrong(key, format!("is the demo's own venue, and this is mode {mode}"));
            }
            None => {}
        }
    }
    match found {
        [Some(rest), Some(market), Some(private), Some(order_entry)] => {
            Endpoints::At(Addresses { rest, market, private, order_entry })
        }
        found => {
            let is_read = !KEYS.iter().any(|key| section.is_wrong(key));
            if let Some((odd, _)) = KEYS.iter().zip(&found).find(|(_, endpoint)| endpoint.is_some())
                && is_read
            {
                section.wrong(odd, "all four addresses are \"embedded\", or none is");
            }
            Endpoints::Embedded(None)
        }
    }
}

fn connection(section: &Section<'_>) -> Connection {
    let hour = Nanos::from_secs(3600);
    let second = Nanos::from_secs(1);
    let connection = Connection {
        connect_timeout: section.span("connect_timeout", Nanos::from_millis(100)..=Nanos::from_secs(300)),
        ping_interval: section
            .read("ping_interval", unless_none(text(|text| span_within(text, &(second..=hour))))),
        silence_timeout: section.span("silence_timeout", second..=hour),
        reconnect_first: section.span("reconnect_first", Nanos::from_millis(10)..=Nanos::from_secs(60)),
        reconnect_longest: section.span("reconnect_longest", Nanos::from_millis(10)..=hour),
        max_connection_age: section
            .span("max_connection_age", Nanos::from_secs(10)..=Nanos::from_secs(24 * 3600)),
        clock_interval: section.span("clock_interval", second..=hour),
        heartbeat: section.read("heartbeat", unless_none(text(|text| span_within(text, &(second..=hour))))),
        audit: section.read("audit", unless_none(text(|text| span_within(text, &(second..=hour))))),
        rest_fallback_after: section.read(
            "rest_fallback_after",
            unless_none(text(|text| span_within(text, &(Nanos::from_millis(100)..=hour)))),
        ),
    };
    if connection.ping_interval.is_some_and(|interval| interval >= connection.silence_timeout) {
        section.wrong(
            "silence_timeout",
            "is not longer than `ping_interval`: a quiet connection would be closed",
        );
    }
    if connection.reconnect_longest < connection.reconnect_first {
        section.wrong("reconnect_longest", "is shorter than `reconnect_first`");
    }
    connection
}

fn key(section: &Section<'_>, mode: Mode, endpoints: &Endpoints) -> Option<Key> {
    let kind: KeyKind = section.word("kind");
    let source = |name: &str| match section.need_secret(name, |text| match text {
        "none" => Ok(None),
        text => text.parse().map(Some),
    }) {
        Some(Source::Embedded) if matches!(endpoints, Endpoints::At(_)) && section.has(name) => {
            section.wrong_secret(
                name,
                "the venue is not the embedded one: expected \"env:VARIABLE\", \"file:PATH\" or \"command:/PATH ARGUMENTS\"",
            );
            None
        }
        source => source,
    };
    let found = (source("id"), source("secret"));
    if section.is_wrong("id") || section.is_wrong("secret") {
        return None;
    }
    if let (None, Some(_)) | (Some(_), None) = found {
        section.wrong_secret(
            "secret",
            "`id` and `secret` belong together: both are given, or both are \"none\"",
        );
    }
    let (Some(id), Some(secret)) = found else {
        if mode != Mode::DryRun && mode != Mode::Demo {
            section.wrong_secret(
                "id",
                format!(
                    "mode {mode} needs a key: \"env:VARIABLE\", \"file:PATH\" or \"command:/PATH ARGUMENTS\""
                ),
            );
        }
        return None;
    };
    Some(Key { kind, id, secret })
}

fn limit(section: &Section<'_>, dialect: Dialect) -> NamedLimit {
    let counted = counted_as(section, dialect.counts());
    let number = |key, range| section.count(key, range) as u32;
    let bucket = BucketLimit {
        burst: number("burst", 1..=1_000_000),
        refill: number("refill", 1..=1_000_000),
        interval: section.span("interval", Nanos::from_millis(1)..=Nanos::from_secs(2 * 86_400)),
        costs: ["new", "replace", "cancel"].map(|key| section.count(key, 0..=1000) as u16),
        cancel_reserve: number("cancel_reserve", 0..=1_000_000),
        per: section.read("per", text(|text| coded(text, BucketScope::ALL, BucketScope::name))),
        counted_as: counted.map(|count| count.bucket),
    };
    if let Some(count) = counted {
        if bucket.interval != count.window {
            let window = show_span(count.window);
            section.wrong("interval", format!("the venue counts {} over \"{window}\"", count.word));
        }
        if bucket.per != BucketScope::Venue {
            section
                .wrong("per", format!("the venue counts {} for all that we do there: \"venue\"", count.word));
        }
    }
    let [new, replace, cancel] = bucket.costs.map(u32::from);
    let room = bucket.burst.saturating_sub(bucket.cancel_reserve);
    for (key, cost) in [("new", new), ("replace", replace)] {
        if cost > room {
            section
                .wrong(key, "costs more than `burst` leaves beside `cancel_reserve`: none could ever go out");
        }
    }
    if cancel > bucket.burst {
        section.wrong("cancel", "costs more than `burst`: none could ever go out");
    }
    NamedLimit { name: section.read("name", text(parse_name)), bucket }
}

/// The venue's own count of the same thing. Nobody's bucket is the venue's by default, but the demo's own.
fn counted_as(section: &Section<'_>, counts: &'static [Count]) -> Option<&'static Count> {
    let find = |word: &str| counts.iter().find(|count| count.word == word);
    if section.has("counted_as") {
        let words = || counts.iter().map(|count| count.word).collect::<Vec<_>>();
        let known = |word: &str| find(word).ok_or_else(|| one_of(word, &words()));
        let counted = section.read("counted_as", unless_none(text(known)));
        // After a mistake the manual's word stands in, which is about another bucket.
        return counted.filter(|_| !section.is_wrong("counted_as"));
    }
    if section.is_own() { None } else { section.read("counted_as", text(|word| Ok(find(word)))) }
}

fn instrument(section: &Section<'_>, venues: &[Venue]) -> Instrument {
    let venue_name = section.need("venue", text(parse_name));
    let venue = venues.iter().position(|venue| venue.name == venue_name).unwrap_or_else(|| {
        // A venue whose own name could not be read is told there.
        if !section.is_wrong_in("venue", "name") {
            let names = venues.iter().map(|venue| venue.name.as_str());
            section.wrong("venue", unknown("venue", &venue_name, names));
        }
        0
    });
    Instrument {
        venue: venue as u8,
        symbol: section.need("symbol", text(symbol)),
        caps: InstrumentCaps {
            max_order_quantity: section.positive("max_order_quantity"),
            max_order_notional: section.positive("max_order_notional"),
            max_position: section.positive("max_position"),
            bounds: Bounds::read(section, LimitScope::Instrument),
        },
    }
}

fn strategy(section: &Section<'_>, venues: &[Venue], instruments: &[Instrument]) -> Strategy {
    let names = section.need("instruments", |value| match symbols(value)? {
        names if names.is_empty() => Err(Wrong::new(SYMBOLS)),
        names => Ok(names),
    });
    let chosen = resolve_each(section, "instruments", &names, venues, instruments);
    let claimed = section.read("claims_external", symbols);
    let claims = resolve_each(section, "claims_external", &claimed, venues, instruments);
    for at in claims.iter().filter(|at| !chosen.contains(at)) {
        let symbol = instruments.get(usize::from(*at)).map_or("?", |instrument| instrument.symbol.as_str());
        section.wrong("claims_external", format!("{symbol} is not among the strategy's own `instruments`"));
    }
    let kind_name = section.need("kind", text(parse_name));
    let most = Kind::most_instruments(&kind_name);
    if chosen.len() > most {
        section.wrong("instruments", format!("at most {most} for the kind \"{kind_name}\""));
    }
    let caps = chosen.iter().filter_map(|at| instruments.get(usize::from(*at))).map(|found| &found.caps);
    let own = Own(caps.collect());
    let parameters = match kind_defaults(&kind_name) {
        Some(defaults) => Some(section.table_over("parameters", defaults)),
        None if kind_name == Kind::MARKET_MAKER => Some(section.table("parameters")),
        None => None,
    };
    let built_in = parameters.and_then(|parameters| Kind::read(&kind_name, &parameters, &own));
    let kind = built_in.unwrap_or_else(|| {
        let entries = section.free_table("parameters");
        let path = section.path_of("parameters");
        let wrong = |key: &str, problem| section.wrong("parameters", format!("`{key}`: {problem}"));
        Kind::Own { name: kind_name, parameters: Parameters::read(path, &entries, wrong) }
    });
    Strategy {
        name: section.need("name", text(parse_name)),
        kind,
        instruments: chosen,
        claims_external: claims,
        bounds: Bounds::read(section, LimitScope::Strategy),
    }
}

const SYMBOLS: &str = "expected a list of symbols such as [\"BTCUSDT\"]";

fn symbols(value: &Value) -> Result<Vec<String>, Wrong> {
    let Value::List(list) = value else { return Err(Wrong::new(SYMBOLS)) };
    let symbol = |entry: &Entry| match &entry.value {
        Value::Text(text) => Ok(text.clone()),
        other => Err(Wrong(format!("expected a list of symbols, not of {}", other.kind()))),
    };
    list.iter().map(symbol).collect()
}

/// The instruments that a list of a strategy names, none twice.
fn resolve_each(
    section: &Section<'_>,
    key: &str,
    names: &[String],
    venues: &[Venue],
    instruments: &[Instrument],
) -> Vec<u16> {
    let mut chosen = Vec::with_capacity(names.len());
    for name in names {
        match resolve(name, venues, instruments) {
            Ok(at) if chosen.contains(&at) => section.wrong(key, format!("names {name} twice")),
            Ok(at) => chosen.push(at),
            Err(_) if section.is_wrong_in("instrument", "symbol") => {}
            Err(problem) => section.wrong(key, problem),
        }
    }
    chosen
}

/// An order of others can become one strategy's own only.
fn claimed_once(strategies: &[Strategy], sections: &[Section<'_>], instruments: &[Instrument]) {
    for (at, (strategy, section)) in strategies.iter().zip(sections).enumerate() {
        for instrument in &strategy.claims_external {
            let claims = |other: &&Strategy| other.claims_external.contains(instrument);
            let Some(first) = strategies.iter().take(at).find(claims) else { continue };
            let symbol = instruments.get(usize::from(*instrument)).map_or("?", |found| &found.symbol);
            section.wrong(
                "claims_external",
                format!(
                    "\"{}\" and \"{}\" both claim {symbol}: an order of others can be one strategy's only",
                    first.name, strategy.name
                ),
            );
        }
    }
}

/// The parameters of a built-in kind that has a manual of its own, parsed once.
fn kind_defaults(kind: &str) -> Option<&'static Table> {
    static PARSED: OnceLock<BTreeMap<&'static str, Table>> = OnceLock::new();
    let parsed = PARSED.get_or_init(|| {
        let manuals = Kind::BUILT_IN.into_iter().filter_map(|kind| Some((kind, Kind::manual(kind)?)));
        let table = |(kind, text)| (kind, parse(kind, text).expect("a manual is TOML: a test reads it"));
        manuals.map(table).collect()
    });
    parsed.get(kind)
}

/// A bracket protects a strategy that there is, and not itself.
fn protected(strategies: &[Strategy], sections: &[Section<'_>]) {
    for (strategy, section) in strategies.iter().zip(sections) {
        let Kind::Bracket(Bracket { protects: Protects::Strategy(name), .. }) = &strategy.kind else {
            continue;
        };
        let mut others =
            strategies.iter().map(|other| other.name.as_str()).filter(|other| *other != strategy.name);
        if !others.any(|other| other == name) {
            let others = strategies.iter().map(|other| other.name.as_str());
            let others = others.filter(|other| *other != strategy.name).chain(["own", "account"]);
            section.wrong("parameters", format!("`protects`: {}", unknown("strategy", name, others)));
        }
    }
}

/// A symbol, or `venue/SYMBOL`, to its index.
fn resolve(name: &str, venues: &[Venue], instruments: &[Instrument]) -> Result<u16, String> {
    let venue_of = |instrument: &Instrument| {
        venues.get(usize::from(instrument.venue)).map_or("", |venue| venue.name.as_str())
    };
    let (venue, symbol) = match name.split_once('/') {
        Some((venue, symbol)) => (Some(venue), symbol),
        None => (None, name),
    };
    let mut fits = instruments.iter().enumerate().filter(|(_, instrument)| {
        instrument.symbol == symbol && venue.is_none_or(|venue| venue == venue_of(instrument))
    });
    match (fits.next(), fits.next()) {
        (Some((at, _)), None) => Ok(at as u16),
        (Some((_, one)), Some((_, other))) => Err(format!(
            "{symbol} is at two venues: write \"{}/{symbol}\" or \"{}/{symbol}\"",
            venue_of(one),
            venue_of(other)
        )),
        (None, _) => Err(unknown("instrument", name, instruments.iter().map(|found| found.symbol.as_str()))),
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("no {what} is called \"{name}\"; did you mean \"{near}\"?"),
        None => {
            let list: Vec<_> = known.take(8).map(|name| format!("\"{name}\"")).collect();
            format!("no {what} is called \"{name}\"; there is {}", list.join(", "))
        }
    }
}

/// The entries of a list, within its bounds.
fn listed<'a, T>(
    top: &Section<'a>,
    key: &str,
    bounds: std::ops::RangeInclusive<usize>,
    mut read: impl FnMut(&Section<'a>) -> T,
) -> (Vec<T>, Vec<Section<'a>>) {
    let mut sections = top.tables(key);
    if !bounds.contains(&sections.len()) {
        let (least, most) = (bounds.start(), bounds.end());
        top.wrong(key, format!("{} entries; expected {least} to {most}", sections.len()));
        sections.truncate(*most);
    }
    (sections.iter().map(&mut read).collect(), sections)
}

fn unique<'a>(sections: &[Section<'_>], key: &str, names: impl Iterator<Item = &'a str>) {
    let mut seen = BTreeSet::new();
    for (section, name) in sections.iter().zip(names) {
        if !seen.insert(name) {
            section.wrong(key, "is there twice");
        }
    }
}

fn symbol(text: &str) -> Result<String, Wrong> {
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if (1..=32).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    let capitals = text.to_ascii_uppercase();
    let hint = if !text.is_empty() && capitals.len() <= 32 && capitals.bytes().all(allowed) {
        format!("; did you mean \"{capitals}\"?")
    } else {
        String::new()
    };
    Err(Wrong(format!("expected capital letters, digits and _, at most 32{hint}")))
}

fn snapshot_pause(text: &str) -> Result<Nanos, Wrong> {
    span_within(text, &(Nanos::from_secs(1)..=Nanos::from_secs(86_400)))
}

fn segment_size(text: &str) -> Result<u64, Wrong> {
    let size = parse_size(text)?;
    if (8 << 10..=4 << 30).contains(&size) && size.is_multiple_of(4096) {
        return Ok(size);
    }
    Err(Wrong::new("expected a whole number of 4KiB from \"8KiB\" to \"4GiB\""))
}

fn balance(text: &str) -> Result<Decimal, Wrong> {
    let balance: Decimal = text.parse()?;
    if balance.is_negative() || balance.units(CASH_DECIMALS).is_none() {
        return Err(Wrong::new("expected from \"0\", with at most 8 decimals"));
    }
    Ok(balance)
}

pub(super) fn path(text: &str) -> Result<PathBuf, Wrong> {
    if text.is_empty() || text.contains('\0') {
        return Err(Wrong::new("expected a path"));
    }
    Ok(PathBuf::from(text))
}

fn flag(flag: &str, value: &str, problem: &str) -> ConfigError {
    ConfigError {
        place: "command line".into(),
        key: flag.into(),
        value: Some(value.into()),
        problem: problem.into(),
    }
}
