//! `linchpin venue`: the embedded venue as a process of its own.
//!
//! It prints one line on stdout when it serves, for the parent that started it:
//! `linchpin-venue ready port=<n> [plain_port=<n>] [control=<n>] ca=<file> keys=<file>`, and another if its recording turns out to be damaged:
//! `linchpin-venue damaged <why>`; everything else goes to stderr. It ends on SIGTERM, on SIGINT unless it has a
//! parent (a terminal sends Ctrl-C to both, and the parent still wants to cancel its orders here), and with `--with-parent` when stdin closes, so
//! that no venue outlives an engine that was killed.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::exchange::front::{Authority, Front, FrontConfig, KeyRing, LimitsConfig};
use crate::exchange::{
    AccountSpec, AgentsConfig, Decimal, Ending, ExchangeConfig, MarketConfig, Product, RecordingConfig,
    Speed, SymbolSpec, infer_symbols,
};

#[derive(Args, Clone, Debug)]
pub struct VenueArgs {
    /// What is traded: usdm (perpetual futures) or spot; one venue has one product, as the exchange has a host for each
    #[arg(long, default_value = "usdm", value_parser = parse_product)]
    pub product: Product,
    /// TLS port on loopback for REST and WebSocket; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// A second port without TLS
    #[arg(long)]
    pub plain_port: Option<u16>,
    /// Folder of the venue's certificate authority; made at the first start
    #[arg(long, default_value = "var/ca")]
    pub ca_dir: PathBuf,
    /// API keys; made with demo keys at the first start
    #[arg(long, default_value = "var/venue-keys.toml")]
    pub keys: PathBuf,
    /// Where prices come from: agents, agents:SEED, or recording:FILE[,FILE...]
    #[arg(long, default_value = "agents", value_parser = parse_market)]
    pub market: Market,
    /// Seed of the agents
    #[arg(long)]
    pub seed: Option<u64>,
    /// Actions of the agents per second and instrument, 60 without it: each makes one to a few public messages
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub actions: Option<u32>,
    /// Pace of a recording: 1 is as recorded, 10 ten times as fast, max as fast as it is read
    #[arg(long, value_parser = parse_speed)]
    pub speed: Option<Speed>,
    /// Instruments, separated by commas; without it BTCUSDT for agents, and everything that is in a recording
    #[arg(long, value_delimiter = ',')]
    pub symbols: Vec<String>,
    /// Start balance of each account, in USDT; on spot beside 10 BTC, 100 ETH and 1000 SOL
    #[arg(long, default_value = "100000", allow_negative_numbers = true, value_parser = parse_balance)]
    pub balance: Decimal,
    /// Request weight allowed per minute and address; the exchange's 2400, on spot 6000
    #[arg(long)]
    pub weight_limit: Option<u32>,
    /// Orders allowed per 10 seconds and account; the exchange's 300, on spot 100
    #[arg(long)]
    pub order_limit_10s: Option<u32>,
    /// Orders allowed per minute and account; the exchange's 1200, on spot not counted
    #[arg(long)]
    pub order_limit_1m: Option<u32>,
    /// Minutes between two fundings; the exchange's 480
    #[arg(long, default_value_t = 480, value_parser = clap::value_parser!(u64).range(1..))]
    pub funding_minutes: u64,
    /// Minutes for which a listen key is valid
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub listen_key_minutes: u64,
    /// Keep the venue in this folder and come back with it at the next start, even after a kill: books, orders, accounts, fills, numbers. Not
    /// for recordings
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<PathBuf>,
    /// Open a control port on loopback where tests order faults and read counts; the ready line gives it as control=PORT.
    /// POST /faults {"fault":...}, DELETE /faults, GET /connections, GET /orders
    #[arg(long)]
    pub control: bool,
    /// End when stdin closes, and leave Ctrl-C to the parent
    #[arg(long)]
    pub with_parent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Market {
    Agents { seed: Option<u64> },
    Recording { files: Vec<PathBuf> },
}

pub fn run(args: VenueArgs) -> anyhow::Result<()> {
    let keys = KeyRing::open_or_create(&args.keys)?;
    let authority = Authority::open_or_create(&args.ca_dir)?;
    let exchange = exchange_config(&args, &keys)?;
    let documented = match args.product {
        Product::UsdmPerpetual => LimitsConfig::default(),
        Product::Spot => LimitsConfig::spot(),
    };
    let limits = LimitsConfig {
        weight_per_minute: args.weight_limit.unwrap_or(documented.weight_per_minute),
        orders_per_10_seconds: args.order_limit_10s.unwrap_or(documented.orders_per_10_seconds),
        orders_per_minute: args.order_limit_1m.unwrap_or(documented.orders_per_minute),
        ..documented
    };
    let listen_key_validity = Duration::from_secs(60 * args.listen_key_minutes);
    let damaged = |ending: &Ending| {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "linchpin-venue damaged {ending}").and_then(|()| out.flush());
    };
    let config = FrontConfig {
        limits,
        listen_key_validity,
        damaged,
        control: args.control,
        state: args.state.clone(),
        ..FrontConfig::default()
    };
    let front = Front::bind(args.port, args.plain_port, authority, keys, config)?;
    let mut line = format!("linchpin-venue ready port={}", front.port());
    if let Some(port) = front.plain_port() {
        line.push_str(&format!(" plain_port={port}"));
    }
    if let Some(port) = front.control_port() {
        line.push_str(&format!(" control={port}"));
    }
    line.push_str(&format!(" ca={} keys={}\n", front.certificate_file().display(), args.keys.display()));

    let ready = move || {
        // A parent that is gone already is noticed by its stdin, not here.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    };
    front.serve(exchange, ready, stop(args.with_parent))
}

/// Ready when the process should end.
async fn stop(with_parent: bool) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without signals there is no clean way to end it, so it does not begin.
        let _ = writeln!(std::io::stderr(), "linchpin-venue: cannot listen to signals");
        return;
    };
    let mut parent_gone = if with_parent { Some(stdin_closed()) } else { None };
    loop {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => if !with_parent { return },
            () = async {
                match &mut parent_gone {
                    Some(closed) => drop(closed.await),
                    None => std::future::pending().await,
                }
            } => return,
        }
    }
}

/// Ready when stdin is at its end. A thread, because reading stdin blocks; it ends with the process.
fn stdin_closed() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 256];
        while !matches!(std::io::stdin().read(&mut bytes), Ok(0) | Err(_)) {}
        drop(sender);
    });
    receiver
}

fn exchange_config(args: &VenueArgs, keys: &KeyRing) -> anyhow::Result<ExchangeConfig> {
    let symbols = symbols(args)?;
    let market = match &args.market {
        Market::Agents { seed } => {
            if args.speed.is_some() {
                bail!("--speed sets the pace of a recording; use it with --market recording:FILE");
            }
            let seed = match (*seed, args.seed) {
                (Some(one), Some(other)) if one != other => {
                    bail!("two seeds: --market agents:{one} and --seed {other}; give one")
                }
                (one, other) => one.or(other),
            };
            let default = AgentsConfig::default();
            MarketConfig::Agents(AgentsConfig {
                seed: seed.unwrap_or(default.seed),
                actions_per_second: args.actions.unwrap_or(default.actions_per_second),
                ..default
            })
        }
        Market::Recording { files } => {
            if args.seed.is_some() {
                bail!("--seed is for --market agents; a recording needs none");
            }
            if args.actions.is_some() {
                bail!("--actions is for --market agents; a recording has its own pace, and --speed");
            }
            let speed = args.speed.unwrap_or(Speed::Times(1));
            MarketConfig::Recording(RecordingConfig { speed, ..RecordingConfig::new(files.clone()) })
        }
    };
    let last = keys.accounts().last().copied().unwrap_or(1);
    if last > 1_000 || keys.accounts().first() == Some(&0) {
        bail!("{}: account numbers go from 1 to 1000", args.keys.display());
    }
    let (product, account) = match args.product {
        Product::UsdmPerpetual => (ExchangeConfig::default(), AccountSpec::default()),
        Product::Spot => (ExchangeConfig::spot(), AccountSpec::spot()),
    };
    let account = AccountSpec { balance: args.balance, ..account };
    Ok(ExchangeConfig {
        symbols,
        accounts: vec![account; last as usize],
        market,
        funding_interval_ms: 60_000 * args.funding_minutes,
        ..product
    })
}

fn symbols(args: &VenueArgs) -> anyhow::Result<Vec<SymbolSpec>> {
    let known = match &args.market {
        Market::Agents { .. } if args.product == Product::Spot => {
            vec![SymbolSpec::spot_btcusdt(), SymbolSpec::spot_ethusdt(), SymbolSpec::spot_solusdt()]
        }
        Market::Recording { .. } if args.product == Product::Spot => {
            bail!("--market recording plays USD-M recordings; --product spot has agents")
        }
        Market::Agents { .. } => vec![SymbolSpec::btcusdt(), SymbolSpec::ethusdt(), SymbolSpec::solusdt()],
        Market::Recording { files } => infer_symbols(files)?,
    };
    if args.symbols.is_empty() {
        let all = if matches!(args.market, Market::Agents { .. }) { 1 } else { known.len() };
        return Ok(known.into_iter().take(all).collect());
    }
    let mut chosen: Vec<SymbolSpec> = Vec::new();
    for symbol in &args.symbols {
        let Some(spec) = known.iter().find(|spec| spec.symbol.eq_ignore_ascii_case(symbol)) else {
            let names: Vec<&str> = known.iter().map(|spec| &*spec.symbol).collect();
            bail!("--symbols: \"{symbol}\" is not in this market, which has {}", names.join(", "));
        };
        if chosen.contains(spec) {
            bail!("--symbols names {} twice", spec.symbol);
        }
        chosen.push(spec.clone());
    }
    Ok(chosen)
}

fn parse_product(text: &str) -> Result<Product, String> {
    match text {
        "usdm" => Ok(Product::UsdmPerpetual),
        "spot" => Ok(Product::Spot),
        _ => Err("expected usdm or spot".into()),
    }
}

fn parse_market(text: &str) -> Result<Market, String> {
    let (kind, rest) = match text.split_once(':') {
        Some((kind, rest)) => (kind, Some(rest)),
        None => (text, None),
    };
    match (kind, rest) {
        ("agents", None) => Ok(Market::Agents { seed: None }),
        ("agents", Some(seed)) => match seed.parse() {
            Ok(seed) => Ok(Market::Agents { seed: Some(seed) }),
            Err(_) => Err(format!("the seed \"{seed}\" is not a whole number")),
        },
        ("recording", Some(files)) if !files.is_empty() => {
            let files: Vec<PathBuf> = files.split(',').map(PathBuf::from).collect();
            match files.iter().find(|file| !file.is_file()) {
                Some(missing) => Err(format!("there is no file {}", missing.display())),
                None => Ok(Market::Recording { files }),
            }
        }
        ("recording", _) => Err("a recording needs a file: recording:FILE[,FILE...]".into()),
        _ => Err("expected agents, agents:SEED, or recording:FILE[,FILE...]".into()),
    }
}

fn parse_speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    match text.parse() {
        Ok(times) if times > 0 => Ok(Speed::Times(times)),
        _ => Err("expected max, or a whole number from 1".into()),
    }
}

fn parse_balance(text: &str) -> Result<Decimal, String> {
    match Decimal::parse(text) {
        Ok(balance) if !balance.is_negative() => Ok(balance),
        Ok(_) => Err("a balance is not negative".into()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        venue: VenueArgs,
    }

    fn parse(flags: &[&str]) -> Result<VenueArgs, String> {
        let words = std::iter::once("venue").chain(flags.iter().copied());
        Program::try_parse_from(words).map(|program| program.venue).map_err(|error| error.to_string())
    }

    fn configure(flags: &[&str]) -> Result<ExchangeConfig, String> {
        let keys = KeyRing::parse("[[key]]\nkind='hmac'\naccount=2\napi_key='0123456789abcdef'\nsecret='s'")
            .expect("keys");
        exchange_config(&parse(flags)?, &keys).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_make_one_lively_instrument_and_an_account_for_every_key() {
        let config = configure(&[]).expect("configures");
        assert_eq!(config.symbols.len(), 1);
        assert_eq!(config.accounts.len(), 2);
        assert!(matches!(config.market, MarketConfig::Agents(agents) if agents.seed == 1));
    }

    #[test]
    fn a_seed_may_be_given_in_either_place_but_not_two_different_ones() {
        for flags in
            [&["--market", "agents:7"][..], &["--seed", "7"], &["--market", "agents:7", "--seed", "7"]]
        {
            assert!(
                matches!(configure(flags).expect("configures").market, MarketConfig::Agents(agents) if agents.seed == 7)
            );
        }
        assert!(
            configure(&["--market", "agents:7", "--seed", "8"]).expect_err("two seeds").contains("two seeds")
        );
    }

    #[test]
    fn a_recording_brings_its_own_instruments() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tape = folder.path().join("tape.txt");
        let line = r#"1723161255088181667 {"stream":"solusdt@trade","data":{"e":"trade","E":1,"T":1,"s":"SOLUSDT","t":1,"p":"150.25","q":"3","X":"MARKET","m":false}}"#;
        std::fs::write(&tape, format!("{line}\n")).expect("writes");
        let market = format!("recording:{}", tape.display());
        let config = configure(&["--market", &market, "--speed", "max"]).expect("configures");
        assert_eq!(&*config.symbols[0].symbol, "SOLUSDT");
        let told = configure(&["--market", &market, "--symbols", "BTCUSDT"]).expect_err("not in it");
        assert!(told.contains("BTCUSDT") && told.contains("SOLUSDT"), "{told}");
        std::fs::write(&tape, format!("{line}\n17231612550 {{\"stre")).expect("writes");
        let told = configure(&["--market", &market]).expect_err("a damaged line");
        assert!(told.contains("tape.txt") && told.contains("line 2"), "{told}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (flags, names) in [
            (&["--market", "recording:/no/such/file.gz"][..], "/no/such/file.gz"),
            (&["--market", "recording"], "recording:FILE"),
            (&["--market", "agents:x"], "\"x\""),
            (&["--market", "moon"], "agents:SEED"),
            (&["--speed", "0"], "max"),
            (&["--speed", "2"], "--market recording"),
            (&["--symbols", "BTCUSDT,DOGEUSDT"], "DOGEUSDT"),
            (&["--symbols", "BTCUSDT,btcusdt"], "twice"),
            (&["--balance", "-5"], "--balance"),
            (&["--balance", "much"], "--balance"),
            (&["--port", "70000"], "--port"),
            (&["--product", "options"], "usdm or spot"),
        ] {
            let told = configure(flags).expect_err("refused");
            assert!(told.contains(names), "{flags:?}: {told}");
        }
    }
}
