//! A venue as the safe commands see it: read over REST, and nothing else.
//!
//! Nothing in here can send an order, whatever the configuration or the environment say: the only requests that it makes are
//! those of `hydrate::Requests`, none of which is an order, and of those only the ones that read (GET). No type with which
//! an order could leave is named in this file or in a command built on it; a tidy test holds that.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use super::demo::Venues as DemoVenues;
use super::trust::{credentials, trust};
use super::{Failure, parsed};
use crate::config::{Config, Mode, Overrides};
use crate::core::event::{Event, HydrationScope};
use crate::core::id::{ClientOrderId, InstrumentId, VenueId, VenueOrderId};
use crate::core::record::Ask;
use crate::core::time::Nanos;
use crate::net::http::{HttpClient, HttpOptions};
use crate::sys::clock::Clock;
use crate::sys::signal::StopFlag;
use crate::threads::requester::{Read, Rest, measure_clock};
use crate::venue::Directory;
use crate::venue::binance::hydrate::{Conversation, Hydrator, Method, Requests, RestRequest, Skipped};

/// What every safe command takes.
#[derive(Args, Debug)]
pub(crate) struct ReadingArgs {
    /// Configuration file; without one, a fresh embedded venue of the built-in demo
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only this venue of the configuration
    #[arg(long, value_name = "NAME")]
    venue: Option<String>,
    /// What may be dialled: DEMO, DRY_RUN, TESTNET, LIVE
    #[arg(long, value_parser = parsed::<Mode>)]
    mode: Option<Mode>,
    /// One JSON object instead of tables
    #[arg(long)]
    pub(super) json: bool,
}

/// One venue that answers.
pub(super) struct Reading {
    pub(super) name: String,
    pub(super) directory: Directory,
    id: VenueId,
    has_key: bool,
    rest: Rest<Clock>,
    hydrator: Hydrator,
    clock: Clock,
    exchange_info: Vec<u8>,
}

/// Opens each venue that is asked for, one after the other, and has it read. Gives what each said.
pub(super) fn read_each(
    args: &ReadingArgs,
    mut read: impl FnMut(&mut Reading) -> anyhow::Result<Value>,
) -> Result<Vec<Value>, Failure> {
    let stop = StopFlag::on_signals().context("cannot listen to signals")?;
    let mut config =
        Config::load(args.config.as_deref(), &Overrides { mode: args.mode, ..Overrides::default() })?;
    if let Some(name) = &args.venue
        && !config.venues.iter().any(|venue| venue.name == *name)
    {
        let known = config.venues.iter().map(|venue| venue.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Failure::Usage(anyhow::anyhow!(
            "--venue: there is no venue {name:?}; there are {known}"
        )));
    }
    let folder = Scratch::new()?;
    let demo = if config.needs_embedded() {
        // Its authority and keys are made for this command, and go with it.
        config.run.home.clone_from(&folder.0);
        Some(DemoVenues::start(&mut config, &folder.0, &stop)?)
    } else {
        None
    };
    let mut said = Vec::new();
    for (at, venue) in config.venues.iter().enumerate() {
        if args.venue.as_ref().is_some_and(|name| *name != venue.name) {
            continue;
        }
        if stop.is_raised() {
            return Err(Failure::Interrupted);
        }
        let mut reading = Reading::open(&config, VenueId(at as u8), demo.as_ref())
            .with_context(|| format!("cannot read the venue \"{}\"", venue.name))?;
        said.push(read(&mut reading).with_context(|| format!("venue \"{}\"", venue.name))?);
    }
    Ok(said)
}

impl Reading {
    fn open(config: &Config, id: VenueId, demo: Option<&DemoVenues>) -> anyhow::Result<Self> {
        let venue = config.venues.get(id.index()).context("no such venue")?;
        let clock = Clock::new();
        let tls = trust(venue, demo)?;
        // What is public is read without a key, in every mode.
        let key = if venue.key.is_some() || demo.is_some() {
            credentials(id, venue, config.mode, demo)?
        } else {
            None
        };
        let has_key = key.is_some();
        let addresses = venue.addresses().context("the venue has no addresses")?;
        let http = HttpClient::new(Some(&tls), HttpOptions::default());
        let mut rest = Rest::new(http, addresses.rest.clone(), key, clock.clone())
            .with_recv_window(venue.recv_window_millis());
        let requests = Requests::of(venue.dialect.product());
        let mut hydrator = Hydrator::default();
        measure_clock(&mut rest, &clock, requests, &mut hydrator).context("cannot ask for its time")?;
        let exchange_info = get(&mut rest, &requests.exchange_info()).context("cannot read its filters")?;
        let ours = config.instruments.iter().enumerate().filter(|(_, one)| VenueId(one.venue) == id);
        let symbols: Vec<(InstrumentId, &str)> =
            ours.map(|(at, instrument)| (InstrumentId(at as u16), instrument.symbol.as_str())).collect();
        let empty = Directory::new(id, venue.dialect.product());
        let directory = hydrator.list(empty, &symbols, &exchange_info)?;
        let name = venue.name.clone();
        Ok(Self { name, directory, id, has_key, rest, hydrator, clock, exchange_info })
    }

    /// Every symbol that the venue lists, and its status, as it says them.
    pub(super) fn listed(&self) -> anyhow::Result<Vec<(String, String)>> {
        let body: Value = serde_json::from_slice(&self.exchange_info).context("exchangeInfo is no JSON")?;
        let symbols = body["symbols"].as_array().context("exchangeInfo has no symbols")?;
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        Ok(symbols.iter().map(|symbol| (text(&symbol["symbol"]), text(&symbol["status"]))).collect())
    }

    /// Balances, positions and open orders as the engine would read them back, and what they hold beyond the configuration.
    pub(super) fn account(&mut self) -> anyhow::Result<(Vec<Event>, Skipped)> {
        if !self.has_key {
            bail!("an account needs an API key, and the configuration gives none (venue.key)");
        }
        let ask = Ask {
            number: 1,
            venue: self.id,
            scope: HydrationScope::Account,
            instrument: InstrumentId::NONE,
            client_order_id: ClientOrderId::NONE,
            venue_order_id: VenueOrderId(0),
            after_trade: 0,
            since: Nanos::ZERO,
        };
        let as_of = self.rest.venue_time();
        let mut conversation = Conversation::of(&self.directory, &ask, as_of)?;
        let now = Nanos::new(self.clock.now());
        while let Some(request) = conversation.next_request() {
            let body = get(&mut self.rest, &request)?;
            conversation.on_body(&mut self.hydrator, &self.directory, body, now);
        }
        let mut events = Vec::new();
        let skipped = conversation.finish(&mut self.hydrator, &self.directory, now, &mut events)?;
        Ok((events, skipped))
    }
}

/// The one way out of here.
fn get(rest: &mut impl Read, request: &RestRequest) -> anyhow::Result<Vec<u8>> {
    if request.method != Method::Get {
        bail!("{} {} is no reading", request.method.name(), request.path);
    }
    Ok(rest.read(request)?)
}

/// A folder for what an embedded venue writes, gone with the command.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let path: &Path = &std::env::temp_dir().join(format!("linchpin-reading-{}", std::process::id()));
        std::fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
