//! The command line: what each verb means, and what it exits with.
//!
//! Exit codes: 0 done; 1 it failed, and the message says why; 2 the command line or the configuration is wrong;
//! 3 a replay found a difference; 4 the doctor found something bad; 5 no engine answers; 6 killed, but not whole; 130 Ctrl-C before a session began, or a second one.

/// A line on stdout. Whoever reads it may have gone: that is no reason to stop, and never one to panic.
macro_rules! tell {
    ($($words:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout().lock(), $($words)*);
    }};
}

/// A line on stderr, under the same rule.
macro_rules! complain {
    ($($words:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr().lock(), $($words)*);
    }};
}

mod account;
mod ctl;
mod demo;
mod doctor;
mod reading;
mod registry;
mod replay;
mod run;
mod symbols;
mod table;
mod trust;
#[cfg(feature = "embedded-venue")]
mod venue;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use registry::{Make, Registry};

use crate::config::{ConfigErrors, Market, Mode, OrphanPolicy, Overrides, Pace, RunLength, Start};

/// Live trading with one deterministic core. Without a command: `run`, a demo session of 30 seconds.
#[derive(Parser, Debug)]
#[command(name = "linchpin", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run a live session; without a configuration, the demo against the embedded venue
    Run(RunArgs),
    /// Rebuild a session from its journal alone and compare every decision
    Replay(replay::ReplayArgs),
    /// Check a configuration and print what would run
    Check(CheckArgs),
    /// Command a running engine, or look at it: kill, enable, orders, ... It can send no order
    Ctl(ctl::CtlArgs),
    /// Balances, positions and open orders at the configured venues; reads only
    Account(reading::ReadingArgs),
    /// The instruments that the configured venues list, with their filters; reads only
    Symbols(symbols::SymbolsArgs),
    /// Is this host fit to trade on? Reads only; says what is wrong, why it matters, and what mends it
    Doctor(doctor::DoctorArgs),
    /// The embedded venue as a process of its own
    #[cfg(feature = "embedded-venue")]
    Venue(venue::VenueArgs),
}

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RunArgs {
    /// Configuration file; without one, the built-in demo
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How long to run before the drain, such as 30s or 5m, or "none"
    #[arg(long, value_name = "SPAN", value_parser = parsed::<RunLength>)]
    duration: Option<RunLength>,
    /// The demo's market: agents, or recording:FILE[,FILE...]
    #[arg(long, value_name = "MARKET", value_parser = parsed::<Market>)]
    market: Option<Market>,
    /// Pace of a recording: a whole number of times, or max
    #[arg(long, value_name = "N|max", value_parser = parsed::<Pace>)]
    speed: Option<Pace>,
    /// Seed of the demo's market
    #[arg(long, allow_negative_numbers = true, value_parser = seed)]
    seed: Option<u64>,
    /// What may be dialled: DEMO, DRY_RUN, TESTNET, LIVE
    #[arg(long, value_parser = parsed::<Mode>)]
    mode: Option<Mode>,
    /// Folder of everything that a run writes
    #[arg(long, value_name = "FOLDER")]
    home: Option<PathBuf>,
    /// Take back the kill of an earlier run, and say why
    #[arg(long, value_name = "REASON", value_parser = reason)]
    reset_kill: Option<String>,
    /// Do not replay the journal at the end
    #[arg(long)]
    no_verify: bool,
    /// Go on from the state of the newest session
    #[arg(long, conflicts_with = "cold")]
    warm: bool,
    /// Begin with no state but the venue's
    #[arg(long)]
    cold: bool,
    /// What becomes of orders of the earlier session of which the venue knows nothing: close, requeue
    #[arg(long, value_name = "POLICY", value_parser = parsed::<OrphanPolicy>)]
    orphans: Option<OrphanPolicy>,
}

#[derive(Args, Debug)]
struct CheckArgs {
    /// Configuration file
    #[arg(value_name = "FILE")]
    config: PathBuf,
}

impl RunArgs {
    fn overrides(&self) -> Overrides {
        Overrides {
            mode: self.mode,
            home: self.home.clone(),
            duration: self.duration,
            verify: self.no_verify.then_some(false),
            start: match (self.warm, self.cold) {
                (true, _) => Some(Start::Warm),
                (_, true) => Some(Start::Cold),
                _ => None,
            },
            orphans: self.orphans,
            market: self.market.clone(),
            seed: self.seed,
            speed: self.speed,
            ..Overrides::default()
        }
    }
}

/// Why a command did not succeed, by what the process exits with.
pub(crate) enum Failure {
    /// The command line or the configuration is wrong.
    Usage(anyhow::Error),
    Failed(anyhow::Error),
    /// A replay found a difference.
    Different(anyhow::Error),
    /// The doctor found something that stands against trading here.
    Unfit(anyhow::Error),
    /// No engine answers.
    Unreachable(anyhow::Error),
    /// Killed, but not confirmed or not on the disk.
    Unfinished(anyhow::Error),
    /// Ctrl-C before there was a session.
    Interrupted,
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::Usage(errors.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// The whole program, with the strategies that it knows.
pub fn main(strategies: Registry) -> ExitCode {
    // Before anything is pinned: afterwards a thread sees only its own CPU.
    let _ = crate::sys::cpu::available();
    let cli = Cli::parse();
    let done = match cli.command {
        None => run::run(&cli.run, &strategies),
        Some(Command::Run(args)) => run::run(&args, &strategies),
        Some(Command::Replay(args)) => replay::run(&args, &strategies),
        Some(Command::Check(args)) => check(&args, &strategies),
        Some(Command::Ctl(args)) => ctl::run(&args),
        Some(Command::Account(args)) => account::run(&args),
        Some(Command::Symbols(args)) => symbols::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        #[cfg(feature = "embedded-venue")]
        Some(Command::Venue(args)) => venue::run(args).map_err(Failure::Failed),
    };
    let (code, error) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Failed(error)) => (1, error),
        Err(Failure::Usage(error)) => (2, error),
        Err(Failure::Different(error)) => (3, error),
        Err(Failure::Unfit(error)) => (4, error),
        Err(Failure::Unreachable(error)) => (5, error),
        Err(Failure::Unfinished(error)) => (6, error),
        Err(Failure::Interrupted) => (
            crate::sys::signal::INTERRUPTED,
            anyhow::anyhow!("stopped before the session began; no order was sent"),
        ),
    };
    complain!("linchpin: {}", in_words(&error));
    ExitCode::from(code)
}

/// An error and its causes, each said once: some errors hold their cause's words already.
fn in_words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words.push_str(": ");
            words.push_str(&cause);
        }
    }
    words
}

fn check(args: &CheckArgs, strategies: &Registry) -> Result<(), Failure> {
    let config = crate::config::Config::load(Some(&args.config), &Overrides::default())?;
    config.check_kinds(&strategies.kinds())?;
    let seats = crate::topology::Seats::of(
        &config.threads,
        crate::sys::cpu::available().len(),
        config.needs_embedded(),
    );
    tell!(
        "{}: mode {}, {} venue(s), {} instrument(s), {} strategy(ies)",
        args.config.display(),
        config.mode,
        config.venues.len(),
        config.instruments.len(),
        config.strategies.len()
    );
    for (strategy, symbol) in config.external_claims() {
        tell!("external orders of {symbol}: claimed for {strategy}");
    }
    tell!("threads: {seats}");
    for row in crate::topology::RINGS {
        tell!(
            "ring {:<20} {:>7} x {:<52} full: {}",
            row.name,
            (row.depth)(&config.rings),
            row.carries,
            row.when_full
        );
    }
    Ok(())
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "expected a whole number from 0 to 18446744073709551615".to_owned())
}

/// The switch is not reset without a word on why, here neither.
fn reason(text: &str) -> Result<String, String> {
    crate::control::request::check_reason(text, true).map(|()| text.to_owned())
}

/// A value of the command line by its own parser, whose error says what is allowed.
fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| error.to_string())
}
