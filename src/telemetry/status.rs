//! The status line: what an operator looks at while the engine runs.
//!
//! The text is a pure function of [`Status`] and a width. On a terminal it is drawn over itself once a second and never
//! wraps: parts that do not fit are left out, least important first, and the gates are the last to go. Elsewhere each line
//! stands for itself. Cold: it runs on a thread that may wait for a slow terminal.

use std::fmt;
use std::io::{self, Write};

use linchpin_core::num::{CASH_DECIMALS, DecimalText, Increment};

use super::live::Recent;
use super::report::Human;

/// What the line shows, as plain data.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    /// Since the run began.
    pub elapsed_seconds: u64,
    pub events_per_second: u64,
    /// Tick to trade in the last second; `None` where nothing was sent.
    pub tick_to_trade: Option<Recent>,
    pub open_orders: u64,
    pub fills: u64,
    pub positions: Vec<Holding>,
    pub pnl: Pnl,
    /// In the order in which they are checked.
    pub gates: Vec<GateView>,
}

/// A position as people read it.
#[derive(Debug, Clone, PartialEq)]
pub struct Holding {
    pub symbol: String,
    /// Signed lots.
    pub lots: i64,
    pub lot: Increment,
}

/// Money in 10^-8 of the quote asset (the core's `CASH_DECIMALS`).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pnl {
    pub realised: i64,
    pub unrealised: i64,
    /// Paid; negative is a rebate.
    pub fees: i64,
    /// Name of the quote asset.
    pub asset: String,
    /// Decimals to show.
    pub decimals: u8,
}

impl Pnl {
    /// What is left of it all.
    pub fn net(&self) -> i128 {
        i128::from(self.realised) + i128::from(self.unrealised) - i128::from(self.fees)
    }
}

/// A gate: open, or closed for a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateView {
    pub name: String,
    /// Why it is closed; `None` is open.
    pub closed: Option<String>,
}

impl Status {
    /// The whole line, without a limit.
    pub fn line(&self) -> String {
        self.parts().into_iter().map(|(_, part)| part).collect::<Vec<_>>().join(SEPARATOR)
    }

    /// The line in at most `width` columns.
    pub fn line_within(&self, width: usize) -> String {
        let mut parts = self.parts();
        let columns = |parts: &[(u8, String)]| {
            let separators = parts.len().saturating_sub(1) * SEPARATOR.len();
            parts.iter().map(|(_, part)| part.chars().count()).sum::<usize>() + separators
        };
        while parts.len() > 1 && columns(&parts) > width {
            let least = parts.iter().enumerate().min_by_key(|(_, (rank, _))| *rank).map_or(0, |(at, _)| at);
            parts.remove(least);
        }
        let line = parts.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join(SEPARATOR);
        line.chars().take(width).collect()
    }

    /// The parts from left to right, each with its importance.
    fn parts(&self) -> Vec<(u8, String)> {
        let latency = match &self.tick_to_trade {
            Some(recent) => format!("t2t {} / {}", Human(recent.p50), Human(recent.p99)),
            None => "t2t -".into(),
        };
        let seconds = self.elapsed_seconds;
        let mut parts = vec![
            (1, format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)),
            (3, format!("{} ev/s", grouped(self.events_per_second))),
            (4, latency),
            (2, format!("open {}", self.open_orders)),
            (2, format!("fills {}", grouped(self.fills))),
        ];
        // Of many, those that are held; the first one always, so that the line does not jump.
        for (at, holding) in self.positions.iter().enumerate() {
            if at == 0 || holding.lots != 0 {
                parts.push((if at == 0 { 5 } else { 0 }, holding.to_string()));
            }
        }
        let money = |units| Money { units, decimals: self.pnl.decimals };
        parts.push((6, format!("P&L {:+} {}", money(self.pnl.net()), self.pnl.asset)));
        parts.push((1, format!("fees {}", money(self.pnl.fees.into()))));
        parts.push((7, gates(&self.gates)));
        parts
    }
}

/// Two blanks rather than a bar: a terminal of 80 columns has none to spare.
const SEPARATOR: &str = "  ";

/// Closed gates by name with their reason, or that all are open.
fn gates(gates: &[GateView]) -> String {
    let closed: Vec<String> = gates
        .iter()
        .filter_map(|gate| {
            let reason = gate.closed.as_ref()?;
            Some(if reason.is_empty() || *reason == gate.name {
                gate.name.clone()
            } else {
                format!("{} ({reason})", gate.name)
            })
        })
        .collect();
    if closed.is_empty() { "gates open".into() } else { format!("CLOSED: {}", closed.join(", ")) }
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = DecimalText::new();
        self.lot.write(self.lots, &mut text);
        let plus = if self.lots > 0 { "+" } else { "" };
        write!(f, "{} {plus}{}", self.symbol, text.as_str())
    }
}

/// Money at `CASH_DECIMALS`, shown with fewer: rounded half away from zero, for the eye alone. `{:+}` shows a plus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    pub units: i128,
    pub decimals: u8,
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.decimals.min(CASH_DECIMALS);
        let unit = 10i128.pow(u32::from(CASH_DECIMALS - decimals));
        let magnitude = self.units.unsigned_abs().cast_signed();
        let rounded = (magnitude + unit / 2) / unit * self.units.signum();
        let mut text = DecimalText::new();
        text.write(rounded, decimals, decimals);
        let plus = if f.sign_plus() && rounded > 0 { "+" } else { "" };
        f.pad(&format!("{plus}{}", text.as_str()))
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Draws status lines on stdout: over one another on a terminal, one below the other elsewhere.
#[derive(Debug)]
pub struct StatusPrinter<W: Write = io::Stdout> {
    out: W,
    /// Columns of the terminal, asked anew for each line since it may be resized; `None` where there is no terminal.
    width: fn() -> Option<usize>,
    drawn: bool,
}

impl StatusPrinter {
    pub fn stdout() -> Self {
        Self { out: io::stdout(), width: terminal_width, drawn: false }
    }
}

impl<W: Write> StatusPrinter<W> {
    /// Shows the line. An error means that nobody can see it any more; the engine goes on.
    pub fn show(&mut self, status: &Status) -> io::Result<()> {
        match (self.width)() {
            Some(width) => {
                // One column stays free: writing in the last one makes some terminals wrap.
                let line = status.line_within(width.saturating_sub(1));
                write!(self.out, "\r{line}{CLEAR_REST}")?;
                self.drawn = true;
            }
            None => writeln!(self.out, "{}", status.line())?,
        }
        self.out.flush()
    }

    /// Ends the line that was drawn last, so that what is printed next begins below it.
    pub fn finish(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.drawn) {
            writeln!(self.out)?;
        }
        self.out.flush()
    }
}

/// Erases from the cursor to the end of the line.
const CLEAR_REST: &str = "\x1b[K";

/// Columns of the terminal on stdout, if there is one.
fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout())
        .map(|(terminal_size::Width(columns), _)| usize::from(columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            elapsed_seconds: 3_725,
            events_per_second: 12_345,
            tick_to_trade: Some(Recent { count: 9, p50: 8_120, p99: 31_400, max: 40_000 }),
            open_orders: 2,
            fills: 1_042,
            positions: vec![
                Holding { symbol: "BTCUSDT".into(), lots: -15, lot: Increment::parse(b"0.001", 3).unwrap() },
                Holding { symbol: "ETHUSDT".into(), lots: 0, lot: Increment::parse(b"0.01", 2).unwrap() },
            ],
            pnl: Pnl {
                realised: 1_250_000_000,
                unrealised: -50_000_000,
                fees: 212_345_678,
                asset: "USDT".into(),
                decimals: 2,
            },
            gates: ["trading", "kill", "binance"]
                .map(|name| GateView { name: name.into(), closed: None })
                .into(),
        }
    }

    #[test]
    fn a_line_tells_everything_that_an_operator_looks_for() {
        assert_eq!(
            status().line(),
            "01:02:05  12,345 ev/s  t2t 8.12 us / 31.4 us  open 2  fills 1,042  BTCUSDT -0.015  P&L +9.88 USDT  fees 2.12  gates open"
        );
    }

    #[test]
    fn a_closed_gate_is_named_with_its_reason() {
        let mut status = status();
        status.gates[2].closed = Some("private_link".into());
        assert!(status.line().ends_with("  CLOSED: binance (private_link)"), "{}", status.line());
        status.gates[1].closed = Some("kill".into());
        assert!(status.line().ends_with("  CLOSED: kill, binance (private_link)"));
    }

    #[test]
    fn a_second_without_a_trade_shows_no_latency_instead_of_zero() {
        let status = Status { tick_to_trade: None, ..status() };
        assert!(status.line().contains("  t2t -  "));
    }

    #[test]
    fn a_line_is_never_wider_than_asked() {
        for width in 0..200 {
            let line = status().line_within(width);
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
        assert_eq!(status().line_within(200), status().line());
    }

    #[test]
    fn a_narrow_terminal_shows_what_matters_most() {
        assert_eq!(
            status().line_within(80),
            "12,345 ev/s  t2t 8.12 us / 31.4 us  BTCUSDT -0.015  P&L +9.88 USDT  gates open"
        );
        let mut status = status();
        status.gates[0].closed = Some("operator stop".into());
        assert_eq!(status.line_within(60), "P&L +9.88 USDT  CLOSED: trading (operator stop)");
        assert_eq!(status.line_within(34), "CLOSED: trading (operator stop)");
        assert_eq!(status.line_within(15), "CLOSED: trading");
    }

    #[test]
    fn only_positions_that_are_held_are_shown_besides_the_first() {
        let mut status = status();
        status.positions[0].lots = 0;
        assert!(status.line().contains("  BTCUSDT 0.000  P&L"), "{}", status.line());
        status.positions[1].lots = 250;
        assert!(status.line().contains("  BTCUSDT 0.000  ETHUSDT +2.50  P&L"), "{}", status.line());
    }

    #[test]
    fn money_is_rounded_for_the_eye_away_from_zero_at_half() {
        for (units, decimals, text) in [
            (0, 2, "0.00"),
            (499_999, 2, "0.00"),
            (500_000, 2, "0.01"),
            (-500_000, 2, "-0.01"),
            (-499_999, 2, "0.00"),
            (123_456_789, 8, "1.23456789"),
            (123_456_789, 9, "1.23456789"),
            (150_000_000, 0, "2"),
        ] {
            assert_eq!(Money { units, decimals }.to_string(), text, "{units} {decimals}");
        }
        assert_eq!(format!("{:+}", Money { units: 500_000_000, decimals: 1 }), "+5.0");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn on_a_terminal_lines_are_drawn_over_one_another_and_elsewhere_below() {
        let status = status();
        let mut terminal = StatusPrinter { out: Vec::new(), width: || Some(20), drawn: false };
        terminal.show(&status).unwrap();
        terminal.show(&status).unwrap();
        terminal.finish().unwrap();
        terminal.finish().unwrap();
        assert_eq!(String::from_utf8(terminal.out).unwrap(), "\rgates open\x1b[K\rgates open\x1b[K\n");
        let mut file = StatusPrinter { out: Vec::new(), width: || None, drawn: false };
        file.show(&status).unwrap();
        file.finish().unwrap();
        assert_eq!(String::from_utf8(file.out).unwrap(), format!("{}\n", status.line()));
    }
}
