//! The end of a run, for a person who was not there: what happened, what it earned, how fast it was, and whether it can be proved.
//!
//! A pure function from plain data to text. Money and quantities have the decimals of their asset and instrument; lines that would
//! say nothing are left out, but what went wrong is always said, also when nothing did.

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use crate::sys::gaps::Gaps;

use super::report::LatencyReport;
use super::status::{Holding, Money, Pnl, grouped};

/// What a run did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// "DEMO", "TESTNET", ...
    pub mode: String,
    pub strategy: String,
    pub venue: String,
    pub duration: Duration,
    /// Why the run ended: "the duration was over", "Ctrl-C", ...
    pub ended: String,
    pub events: u64,
    pub turns: u64,
    pub orders: Orders,
    pub fills: Fills,
    /// How far each work that has an end has come, in words.
    pub works: Vec<String>,
    pub positions: Vec<Holding>,
    /// By quote asset.
    pub pnl: Vec<Pnl>,
    pub latency: LatencyReport,
    /// What the host took for itself, measured beside the run.
    pub host: Option<Gaps>,
    /// What a person may have to look at, by kind.
    pub incidents: Vec<(String, u64)>,
    /// Breaks of the market stream and what was done about them.
    pub gaps: u64,
    pub resyncs: u64,
    pub reconnects: u64,
    /// Values that met a full ring, by ring.
    pub ring_full: Vec<(String, u64)>,
    pub log_dropped: u64,
    pub session: PathBuf,
    pub verification: Verification,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Orders {
    pub sent: u64,
    pub replaced: u64,
    pub cancelled: u64,
    /// Open when the run ended; after a drain there are none.
    pub left_open: u64,
    /// Refused by a venue, by reason.
    pub rejected: Vec<(String, u64)>,
    /// Denied by risk before anything was sent, by reason.
    pub denied: Vec<(String, u64)>,
    /// Dispatched and never begun, by reason.
    pub not_sent: Vec<(String, u64)>,
    pub unknown_outcomes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fills {
    pub maker: u64,
    pub taker: u64,
}

/// Whether the journal gives the same run again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Verification {
    #[default]
    NotAsked,
    Identical {
        events: u64,
        dispatches: u64,
        took: Duration,
    },
    /// In the replay's own words: where, and which field.
    Different(String),
    /// The journal could not be replayed.
    Failed(String),
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut page = Page::default();
        self.overview(&mut page);
        self.trading(&mut page);
        self.money(&mut page);
        self.trouble(&mut page);
        self.speed(&mut page);
        self.proof(&mut page);
        f.write_str(&page.text)
    }
}

impl Summary {
    fn overview(&self, page: &mut Page) {
        page.title("Run");
        page.line("mode", &self.mode);
        page.line("strategy", &[self.strategy.as_str(), " on ", self.venue.as_str()].concat());
        let ended = if self.ended.is_empty() { String::new() } else { format!(" (ended: {})", self.ended) };
        page.line("duration", &format!("{}{ended}", span(self.duration)));
        let rate = self.events as f64 / self.duration.as_secs_f64().max(1e-9);
        page.line("events", &format!("{} ({} a second)", grouped(self.events), grouped(rate.round() as u64)));
    }

    fn trading(&self, page: &mut Page) {
        let Orders { sent, replaced, cancelled, left_open, rejected, denied, not_sent, unknown_outcomes } =
            &self.orders;
        page.title("Trading");
        page.line(
            "orders",
            &format!(
                "{} sent, {} replaces, {} cancels, {left_open} left open",
                grouped(*sent),
                grouped(*replaced),
                grouped(*cancelled)
            ),
        );
        let Fills { maker, taker } = self.fills;
        page.line(
            "fills",
            &format!("{} ({} maker, {} taker)", grouped(maker + taker), grouped(maker), grouped(taker)),
        );
        for work in &self.works {
            page.line("work", work);
        }
        page.line("rejected by the venue", &reasons(rejected));
        page.line("denied by risk", &reasons(denied));
        if !not_sent.is_empty() {
            page.line("not sent", &reasons(not_sent));
        }
        if *unknown_outcomes > 0 {
            page.line("outcome asked for", &grouped(*unknown_outcomes));
        }
    }

    fn money(&self, page: &mut Page) {
        page.title("Result");
        let positions: Vec<String> = self.positions.iter().map(Holding::to_string).collect();
        page.line("position", &if positions.is_empty() { "none".into() } else { positions.join(", ") });
        let amounts: Vec<(&Pnl, [String; 4])> = self
            .pnl
            .iter()
            .map(|pnl| {
                let parts = [pnl.realised.into(), pnl.unrealised.into(), -i128::from(pnl.fees), pnl.net()];
                (pnl, parts.map(|units| format!("{:+}", Money { units, decimals: pnl.decimals })))
            })
            .collect();
        for (pnl, parts) in &amounts {
            let width = parts.iter().map(String::len).max().unwrap_or(0);
            for (name, amount) in ["realised P&L", "unrealised P&L", "fees", "net P&L"].iter().zip(parts) {
                page.line(name, &format!("{amount:>width$} {}", pnl.asset));
            }
        }
    }

    fn trouble(&self, page: &mut Page) {
        page.title("Health");
        page.line("incidents", &reasons(&self.incidents));
        page.line(
            "market data",
            &format!(
                "{} gaps, {} resyncs, {} reconnects",
                grouped(self.gaps),
                grouped(self.resyncs),
                grouped(self.reconnects)
            ),
        );
        page.line("full rings", &reasons(&self.ring_full));
        if self.log_dropped > 0 {
            page.line("log records dropped", &grouped(self.log_dropped));
        }
    }

    fn speed(&self, page: &mut Page) {
        page.title("Latency by hop");
        if self.latency.hops.is_empty() {
            page.text.push_str("  nothing was measured\n");
        } else {
            for line in self.latency.text().lines() {
                let _ = writeln!(page.text, "  {line}");
            }
        }
        if let Some(gaps) = &self.host {
            let _ = writeln!(page.text, "  {gaps}");
        }
    }

    fn proof(&self, page: &mut Page) {
        page.title("Session");
        page.line("folder", &self.session.display().to_string());
        let replay = match &self.verification {
            Verification::NotAsked => "not asked for".into(),
            Verification::Identical { events, dispatches, took } => format!(
                "identical: {} events and {} dispatches derived again in {}",
                grouped(*events),
                grouped(*dispatches),
                span(*took)
            ),
            Verification::Different(what) => format!("DIFFERENT: {what}"),
            Verification::Failed(what) => format!("FAILED: {what}"),
        };
        page.line("replay", &replay);
    }
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn title(&mut self, title: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let _ = writeln!(self.text, "{title}");
    }

    fn line(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            let _ = writeln!(self.text, "  {name:<22} {value}");
        }
    }
}

/// The sum, and what it is made of.
fn reasons(counts: &[(String, u64)]) -> String {
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let named: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {}", grouped(*count)))
        .collect();
    if named.is_empty() { "none".into() } else { format!("{} ({})", grouped(total), named.join(", ")) }
}

/// A duration as people say it.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) => format!("{} ms", duration.as_millis()),
        (0, 0, _) => format!("{:.1} s", duration.as_secs_f64()),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::hops::{Hop, HopHistograms};
    use linchpin_core::num::Increment;

    fn summary() -> Summary {
        let mut hops = HopHistograms::new();
        for value in 1..=1_000u64 {
            hops.record(Hop::Parse, 2_000 + value);
            hops.record(Hop::Turn, 300 + value / 4);
            hops.record(Hop::TickToTrade, 9_000 + value * 12);
            hops.record(Hop::ResponseTime, 150_000 + value * 900);
        }
        Summary {
            mode: "DEMO".into(),
            strategy: "market_maker".into(),
            venue: "binance".into(),
            duration: Duration::from_millis(30_020),
            ended: "the duration was over".into(),
            events: 371_204,
            turns: 371_204,
            orders: Orders {
                sent: 1_204,
                replaced: 3_410,
                cancelled: 88,
                left_open: 0,
                rejected: vec![("would_take".into(), 12), ("rate_limited".into(), 1)],
                denied: vec![],
                not_sent: vec![],
                unknown_outcomes: 0,
            },
            fills: Fills { maker: 301, taker: 4 },
            positions: vec![Holding {
                symbol: "BTCUSDT".into(),
                lots: 15,
                lot: Increment::parse(b"0.001", 3).unwrap(),
            }],
            pnl: vec![Pnl {
                realised: 1_234_500_000,
                unrealised: -45_600_000,
                fees: 210_000_000,
                asset: "USDT".into(),
                decimals: 4,
            }],
            latency: LatencyReport::of(&hops),
            host: Some(Gaps {
                observed: 200_000_000,
                over_1us: 120,
                over_10us: 31,
                over_100us: 2,
                longest: 143_000,
                lost: 2_100_000,
            }),
            session: "sessions/20240808-112640".into(),
            verification: Verification::Identical {
                events: 371_204,
                dispatches: 4_702,
                took: Duration::from_millis(412),
            },
            ..Summary::default()
        }
    }

    #[test]
    fn a_summary_reads_as_one_page() {
        let text = summary().to_string();
        println!("{text}");
        let expected = "\
Run
  mode                   DEMO
  strategy               market_maker on binance
  duration               30.0 s (ended: the duration was over)
  events                 371,204 (12,365 a second)

Trading
  orders                 1,204 sent, 3,410 replaces, 88 cancels, 0 left open
  fills                  305 (301 maker, 4 taker)
  rejected by the venue  13 (would_take 12, rate_limited 1)
  denied by risk         none

Result
  position               BTCUSDT +0.015
  realised P&L           +12.3450 USDT
  unrealised P&L          -0.4560 USDT
  fees                    -2.1000 USDT
  net P&L                 +9.7890 USDT

Health
  incidents              none
  market data            0 gaps, 0 resyncs, 0 reconnects
  full rings             none
";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.ends_with(
            "\
Session
  folder                 sessions/20240808-112640
  replay                 identical: 371,204 events and 4,702 dispatches derived again in 412 ms
"
        ));
        assert!(text.contains("\nLatency by hop\n  hop "));
        assert!(text.contains("\n  host gaps in 200.0 ms: 120 over 1 us"));
        assert!(text.lines().all(|line| line.trim_end() == line), "no blanks at the ends of lines");
    }

    #[test]
    fn what_went_wrong_is_said_loudly() {
        let wrong = Summary {
            incidents: vec![("late_fill".into(), 2)],
            ring_full: vec![("binance_core".into(), 7)],
            log_dropped: 3,
            verification: Verification::Different(
                "event 812, dispatch 3: price 100 recorded, 101 derived".into(),
            ),
            orders: Orders {
                denied: vec![("max_position".into(), 5)],
                not_sent: vec![("kill_gate".into(), 1)],
                unknown_outcomes: 1,
                ..Orders::default()
            },
            ..summary()
        };
        let text = wrong.to_string();
        for line in [
            "  incidents              2 (late_fill 2)\n",
            "  full rings             7 (binance_core 7)\n",
            "  log records dropped    3\n",
            "  denied by risk         5 (max_position 5)\n",
            "  not sent               1 (kill_gate 1)\n",
            "  outcome asked for      1\n",
            "  replay                 DIFFERENT: event 812, dispatch 3: price 100 recorded, 101 derived\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn an_empty_run_has_a_summary_too() {
        let text = Summary::default().to_string();
        assert!(
            text.contains("  nothing was measured\n") && text.contains("  position               none\n")
        );
        assert!(text.contains("  replay                 not asked for\n"));
    }

    #[test]
    fn durations_are_said_in_two_units_at_most() {
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_500, "1.5 s"),
            (61_000, "1 min 1 s"),
            (3_600_000, "1 h 0 min"),
            (90_061_000, "25 h 1 min"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}
