//! A configuration written out whole: the text that the journal keeps, and that a replay reads. Every key stands in it, no secret does.
//!
//! The same text without what belongs to a run and its machine (folder, length, CPUs, where keys lie) is what `hash` digests: two runs with one
//! hash traded under the same rules.

use std::fmt::{Display, Write as _};

use linchpin_core::time::Nanos;
use sha2::{Digest as _, Sha256};

use super::schedule::show_time;
use super::{Config, Cpu, Dialect, Endpoints, Instrument, NamedLimit, Strategy, Venue, show_size, show_span};

impl Config {
    /// Complete TOML; `from_resolved` reads the same configuration from it.
    pub fn resolved_text(&self) -> String {
        self.written(Scope::Everything)
    }

    /// SHA-256 of what decides how it trades.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.written(Scope::Rules).as_bytes()).into()
    }

    fn written(&self, scope: Scope) -> String {
        let mut out = Writer { text: String::new(), scope };
        out.quoted("mode", self.mode);
        if self.strategies.is_empty() {
            out.bare("strategy", "[]");
        }
        out.table("[run]");
        out.local("home", toml_text(&self.run.home.display().to_string()));
        out.local("duration", format!("\"{}\"", self.run.duration));
        out.local(
            "start_within",
            format!("\"{}\"", self.run.start_within.map_or("none".to_owned(), show_span)),
        );
        out.bare("trading_enabled", self.run.trading_enabled);
        out.bare("state_hash_every", self.run.state_hash_every);
        out.local("verify", self.run.verify);
        out.local("start", format!("\"{}\"", self.run.start));
        out.local("orphans", format!("\"{}\"", self.run.orphans));
        self.write_schedule(&mut out);
        out.table("[journal]");
        out.local("segment_size", format!("\"{}\"", show_size(self.segment_size)));
        let pause = self.snapshot_every.map_or("none".to_owned(), show_span);
        out.local("snapshot_every", format!("\"{pause}\""));
        self.write_threads(&mut out);
        self.control.write(&mut out);
        out.table("[core]");
        out.bare("order_rows", self.core.order_rows);
        out.bare("book_levels", self.core.book_levels);
        out.span("settle_quiet", self.core.settle_quiet);
        out.span("settle_max", self.core.settle_max);
        out.span("confirmation_timeout", self.core.confirmation_timeout);
        out.span("visibility_delay", self.core.visibility_delay);
        out.bare("recovery_attempts", self.core.recovery_attempts);
        out.table("[risk]");
        self.risk.bounds.write(&mut out);
        out.quoted("on_loss", self.risk.on_loss);
        out.table("[demo]");
        out.text("market", &self.demo.market.to_string());
        out.bare("seed", self.demo.seed);
        out.quoted("speed", self.demo.speed);
        out.quoted("balance", self.demo.balance);
        self.venues.iter().for_each(|venue| venue.write(&mut out));
        self.instruments.iter().for_each(|instrument| instrument.write(self, &mut out));
        self.strategies.iter().for_each(|strategy| strategy.write(self, &mut out));
        out.text
    }

    fn write_schedule(&self, out: &mut Writer) {
        let schedule = &self.schedule;
        let list = |texts: Vec<String>| {
            format!("[{}]", texts.iter().map(|text| toml_text(text)).collect::<Vec<_>>().join(", "))
        };
        out.table("[schedule]");
        out.quoted("timezone", &schedule.zone);
        out.bare("windows", list(schedule.windows.iter().map(ToString::to_string).collect()));
        out.bare("days_off", list(schedule.days_off.iter().map(ToString::to_string).collect()));
        out.quoted("at_close", schedule.at_close);
        out.quoted("daily_reset", schedule.daily_reset.map_or("none".to_owned(), show_time));
    }

    fn write_threads(&self, out: &mut Writer) {
        let cpu = |cpu: Cpu| match cpu {
            Cpu::Any => "\"any\"".to_owned(),
            Cpu::Number(number) => number.to_string(),
        };
        out.table("[threads]");
        out.local("layout", format!("\"{}\"", self.threads.layout));
        out.local("wait", format!("\"{}\"", self.threads.wait));
        out.local("core_cpu", cpu(self.threads.core));
        out.local("receiver_cpu", cpu(self.threads.receiver));
        out.local("sender_cpu", cpu(self.threads.sender));
        out.local("lock_memory", self.threads.lock_memory);
        out.table("[rings]");
        out.local("receiver_core", self.rings.receiver_core);
        out.local("core_sender", self.rings.core_sender);
        out.local("sender_core", self.rings.sender_core);
        out.local("core_requester", self.rings.core_requester);
        out.local("requester_core", self.rings.requester_core);
        out.local("operator_core", self.rings.operator_core);
    }
}

impl Venue {
    fn write(&self, out: &mut Writer) {
        out.table("[[venue]]");
        out.quoted("name", &self.name);
        out.quoted("dialect", self.dialect);
        out.quoted("position_mode", self.position_mode);
        match &self.endpoints {
            Endpoints::Embedded(_) => {
                ["rest", "market", "private", "order_entry"]
                    .iter()
                    .for_each(|key| out.quoted(key, "embedded"));
            }
            Endpoints::At(at) => {
                let base = |endpoint: &crate::net::Endpoint| endpoint.to_string();
                out.text("rest", &base(&at.rest));
                out.text("market", &base(&at.market));
                out.text("private", &base(&at.private));
                out.text("order_entry", &base(&at.order_entry));
            }
        }
        out.quoted("paths", self.paths);
        let ca_file = self.ca_file.as_ref().map_or("system".to_owned(), |file| file.display().to_string());
        out.local("ca_file", toml_text(&ca_file));
        out.quoted("depth", self.depth);
        out.quoted("trades", self.trades);
        out.bare("copies", self.copies);
        out.span("recv_window", self.recv_window);
        self.bounds.write(out);
        let connection = &self.connection;
        out.span("connect_timeout", connection.connect_timeout);
        out.quoted("ping_interval", connection.ping_interval.map_or("none".to_owned(), show_span));
        out.span("silence_timeout", connection.silence_timeout);
        out.span("reconnect_first", connection.reconnect_first);
        out.span("reconnect_longest", connection.reconnect_longest);
        out.span("max_connection_age", connection.max_connection_age);
        out.span("clock_interval", connection.clock_interval);
        out.quoted("heartbeat", connection.heartbeat.map_or("none".to_owned(), show_span));
        out.quoted("audit", connection.audit.map_or("none".to_owned(), show_span));
        match connection.rest_fallback_after {
            Some(after) => out.span("rest_fallback_after", after),
            None => out.quoted("rest_fallback_after", "none"),
        }
        out.table("[venue.key]");
        let source = |source: &super::Source| toml_text(&source.to_string());
        let none = || "\"none\"".to_owned();
        let kind = self.key.as_ref().map_or(super::key::KeyKind::Ed25519, |key| key.kind);
        out.quoted("kind", kind);
        out.local("id", self.key.as_ref().map_or_else(none, |key| source(&key.id)));
        out.local("secret", self.key.as_ref().map_or_else(none, |key| source(&key.secret)));
        self.limits.iter().for_each(|limit| limit.write(self.dialect, out));
    }
}

impl NamedLimit {
    fn write(&self, dialect: Dialect, out: &mut Writer) {
        let [new, replace, cancel] = self.bucket.costs;
        out.table("[[venue.limit]]");
        out.quoted("name", &self.name);
        out.bare("burst", self.bucket.burst);
        out.bare("refill", self.bucket.refill);
        out.span("interval", self.bucket.interval);
        out.bare("new", new);
        out.bare("replace", replace);
        out.bare("cancel", cancel);
        out.bare("cancel_reserve", self.bucket.cancel_reserve);
        out.quoted("per", self.bucket.per);
        let counted = dialect.counts().iter().find(|count| Some(count.bucket) == self.bucket.counted_as);
        out.quoted("counted_as", counted.map_or("none", |count| count.word));
    }
}

impl Instrument {
    fn write(&self, config: &Config, out: &mut Writer) {
        let caps = &self.caps;
        out.table("[[instrument]]");
        out.quoted("venue", config.venues.get(usize::from(self.venue)).map_or("", |venue| &venue.name));
        out.quoted("symbol", &self.symbol);
        out.quoted("max_order_quantity", caps.max_order_quantity);
        out.quoted("max_order_notional", caps.max_order_notional);
        out.quoted("max_position", caps.max_position);
        caps.bounds.write(out);
    }
}

impl Strategy {
    /// The keys of its parameters, as the file has them.
    pub fn parameter_names(&self) -> Vec<String> {
        let mut out = Writer { text: String::new(), scope: Scope::Everything };
        self.kind.write(&mut out);
        let names = out.text.lines().filter_map(|line| line.split_once(" = "));
        names.map(|(name, _)| name.trim_matches('"').to_owned()).collect()
    }

    fn write(&self, config: &Config, out: &mut Writer) {
        let full_name = |at: &u16| {
            let instrument = config.instruments.get(usize::from(*at))?;
            let venue = config.venues.get(usize::from(instrument.venue))?;
            Some(format!("\"{}/{}\"", venue.name, instrument.symbol))
        };
        let list = |of: &[u16]| of.iter().filter_map(full_name).collect::<Vec<_>>().join(", ");
        out.table("[[strategy]]");
        out.quoted("name", &self.name);
        out.quoted("kind", self.kind.name());
        out.bare("instruments", format!("[{}]", list(&self.instruments)));
        out.bare("claims_external", format!("[{}]", list(&self.claims_external)));
        self.bounds.write(out);
        out.table("[strategy.parameters]");
        self.kind.write(out);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Everything,
    /// What decides how it trades, and nothing of the machine.
    Rules,
}

pub(super) struct Writer {
    text: String,
    scope: Scope,
}

impl Writer {
    pub fn table(&mut self, header: &str) {
        self.line(format_args!("\n{header}"));
    }

    pub fn bare(&mut self, key: &str, value: impl Display) {
        self.line(format_args!("{key} = {value}"));
    }

    /// For texts of our own making, in which nothing needs an escape.
    pub fn quoted(&mut self, key: &str, value: impl Display) {
        self.line(format_args!("{key} = \"{value}\""));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.bare(key, toml_text(value));
    }

    pub fn span(&mut self, key: &str, value: Nanos) {
        self.quoted(key, show_span(value));
    }

    /// Of this machine or run: not part of the rules. `value` is TOML already.
    pub fn local(&mut self, key: &str, value: impl Display) {
        if self.scope == Scope::Everything {
            self.bare(key, value);
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a String takes every write");
    }
}

pub(super) fn toml_key(key: &str) -> String {
    let is_bare = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_bare { key.to_owned() } else { toml_text(key) }
}

/// A basic string on one line, which TOML takes as a key as well.
pub(super) fn toml_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            control if control.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(control))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}
