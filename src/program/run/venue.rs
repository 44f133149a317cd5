//! Opening a venue: whom to trust, which key signs, how far off its clock is, what it lists, and the parts that its threads are made of.
//! Everything here reads; not one order can leave.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use super::patience::Patience;
use crate::config::{Addresses, Config, Mode, Paths, Venue};
use crate::core::event::{Body, Event, RateUsage, Source};
use crate::core::id::{InstrumentId, VenueId};
use crate::core::limits::LimitKey;
use crate::core::time::Nanos;
use crate::net::http::{HttpClient, HttpOptions};
use crate::net::tcp;
use crate::net::tls::TlsClient;
use crate::program::demo::Venues as DemoVenues;
use crate::program::trust::{credentials, trust};
use crate::sys::clock::Clock;
use crate::sys::signal::StopFlag;
use crate::threads::connection::Upkeep;
use crate::threads::requester::{Read, Rest, measure_clock};
use crate::threads::resolver::Resolver;
use crate::topology::{Orders, OverRest, VenueParts, dial, socket_options};
use crate::venue::Directory;
use crate::venue::binance::feed::MarketFeed;
use crate::venue::binance::hydrate::{Hydrator, Requests, is_refused_for_time};
use crate::venue::binance::orders::{OrderEntry, OrderEntryConfig};
use crate::venue::binance::private::PrivateStream;
use crate::venue::binance::sign::{Credentials, Signer};
use crate::venue::binance::wire;

/// How often the venue's clock is looked at before a run.
const CLOCK_LOOKS: usize = 3;

/// A venue that has been reached and has taken the account's key.
pub(super) struct Reached<'a> {
    id: VenueId,
    venue: &'a Venue,
    mode: Mode,
    addresses: &'a Addresses,
    tls: TlsClient,
    /// `None`: DRY_RUN without an account.
    credentials: Option<Arc<Credentials>>,
    rest: Rest<Clock>,
    requests: Requests,
    hydrator: Hydrator,
    patience: Patience<'a>,
    pub clock_offset: i64,
    /// The limits that it publishes.
    published: Vec<RateUsage>,
    clock: Clock,
}

impl<'a> Reached<'a> {
    /// Reaches the venue over REST, with patience. A raised stop ends it between two questions.
    pub fn new(
        id: VenueId,
        config: &'a Config,
        demo: Option<&DemoVenues>,
        clock: &Clock,
        patience: Patience<'a>,
    ) -> anyhow::Result<Self> {
        let venue = config.venues.get(id.index()).context("no such venue")?;
        let tls = trust(venue, demo)?;
        let credentials = credentials(id, venue, config.mode, demo)?;
        let addresses = venue.addresses().context("the venue has no addresses")?;
        let http = HttpClient::new(Some(&tls), HttpOptions::default());
        let rest = Rest::new(http, addresses.rest.clone(), credentials.clone(), clock.clone())
            .with_recv_window(venue.recv_window_millis());
        let requests = Requests::of(venue.dialect.product());
        let mut reached = Self {
            id,
            venue,
            mode: config.mode,
            addresses,
            tls,
            credentials,
            rest,
            requests,
            hydrator: Hydrator::default(),
            patience,
            clock_offset: 0,
            published: Vec::new(),
            clock: clock.clone(),
        };
        reached
            .patiently(Self::set_clock)
            .with_context(|| format!("cannot ask the venue \"{}\" for its time", venue.name))?;
        if reached.credentials.is_some() {
            reached.patiently(Self::check_key)?;
        }
        Ok(reached)
    }

    /// Asks again after a pause, where that may help, until it is answered.
    fn patiently<T>(&mut self, mut ask: impl FnMut(&mut Self) -> anyhow::Result<T>) -> anyhow::Result<T> {
        loop {
            match ask(self) {
                Ok(answer) => {
                    self.patience.succeeded()?;
                    return Ok(answer);
                }
                Err(error) => self.patience.wait(error, self.rest.paused_until())?,
            }
        }
    }

    /// The quickest of a few answers is the truest: the first one has the connection's making in its time.
    fn set_clock(&mut self) -> anyhow::Result<()> {
        let mut quickest: Option<(i64, Nanos)> = None;
        for _ in 0..CLOCK_LOOKS {
            let (offset, took) =
                measure_clock(&mut self.rest, &self.clock, self.requests, &mut self.hydrator)?;
            if quickest.is_none_or(|(_, least)| took < least) {
                quickest = Some((offset, took));
            }
        }
        if let Some((offset, _)) = quickest {
            self.rest.set_clock_offset(offset);
            self.clock_offset = offset;
        }
        Ok(())
    }

    /// A key that the venue does not know, or whose signatures it does not take, is found here and in words, and not by links
    /// that never open. Refused for its time, it is tried once more by a clock that was looked at again.
    fn check_key(&mut self) -> anyhow::Result<()> {
        let refused = || format!("venue \"{}\" does not take the account's key (venue.key)", self.venue.name);
        let mut body = self.rest.read(&self.requests.account()).with_context(refused)?;
        if is_refused_for_time(&body) {
            self.set_clock()?;
            body = self.rest.read(&self.requests.account()).with_context(refused)?;
        }
        self.hydrator.account_answers(&body).with_context(refused)
    }

    /// What it lists of the configured instruments, its assets numbered as those of the venues before it.
    pub fn directory(&mut self, config: &Config, before: Option<&Directory>) -> anyhow::Result<Directory> {
        let ours = config.instruments.iter().enumerate().filter(|(_, one)| VenueId(one.venue) == self.id);
        let symbols: Vec<(InstrumentId, &str)> =
            ours.map(|(at, instrument)| (InstrumentId(at as u16), instrument.symbol.as_str())).collect();
        let body = self.patiently(|this| Ok(this.rest.read(&this.requests.exchange_info())?));
        let body =
            body.with_context(|| format!("cannot read the filters of the venue \"{}\"", self.venue.name))?;
        self.published = self.hydrator.rate_limits(&body)?;
        let empty = Directory::new(self.id, self.venue.dialect.product());
        let empty = before.map_or(empty.clone(), |before| empty.sharing_assets_of(before));
        Ok(self.hydrator.list(empty, &symbols, &body)?)
    }

    /// Margin is weighed by the leverage that the configuration says: it must be what the account has at the venue. Nothing is
    /// asked where none is said, or where nobody's account is read.
    pub fn check_leverage(&mut self, config: &Config) -> anyhow::Result<()> {
        let ours = config.instruments.iter().enumerate().filter(|(_, one)| VenueId(one.venue) == self.id);
        let said = ours.filter_map(|(at, instrument)| {
            let leverage = instrument.caps.bounds.get(LimitKey::Leverage);
            (leverage != 0).then_some((at, instrument.symbol.as_str(), leverage))
        });
        let said: Vec<_> = said.collect();
        let Some(request) = self.requests.symbol_config() else { return Ok(()) };
        if said.is_empty() || self.credentials.is_none() {
            return Ok(());
        }
        let name = &self.venue.name;
        let unread = || format!("cannot read the account's leverage at the venue \"{name}\"");
        let body = self.patiently(|this| Ok(this.rest.read(&request)?)).with_context(unread)?;
        let known = self.hydrator.leverages(&body).with_context(unread)?;
        for (at, symbol, leverage) in said {
            let there = known.iter().find(|(listed, _)| listed == symbol).map(|(_, there)| *there);
            match there {
                Some(there) if i64::try_from(there) == Ok(leverage) => {}
                Some(there) => bail!(
                    "instrument[{at}].leverage = {leverage}: the account's leverage for {symbol} at the venue \"{name}\" is \
                     {there}; write that, or set the other one there"
                ),
                None => bail!("the venue \"{name}\" says nothing of the account's leverage for {symbol}"),
            }
        }
        Ok(())
    }

    /// The definitions and the published limits, as the core's first events.
    pub fn definitions(&self, directory: &Directory, first: &mut Vec<Event>) {
        let now = Nanos::new(self.clock.now());
        self.hydrator.definitions(directory, now, first);
        let limit = |usage: &RateUsage| Event::new(now, Source::Requester, Body::RateUsage(*usage));
        first.extend(self.published.iter().map(|usage| limit(usage).on(self.id, InstrumentId::NONE)));
    }

    /// Everything that its threads are made of. `session` is where a dry run's requests are kept.
    pub fn into_parts(
        self,
        directory: &Arc<Directory>,
        session: &Path,
        seed: u64,
    ) -> anyhow::Result<VenueParts> {
        let options = socket_options(&self.venue.connection);
        let resolver = Resolver::start(tcp::resolve).context("no thread for the resolver")?;
        let dialled = |endpoint| dial(endpoint, &resolver, &self.tls, options, &self.clock);
        let sends = self.mode.sends();
        let weighs = |usage: &&RateUsage| usage.bucket == wire::bucket::REQUEST_WEIGHT;
        let weight_limit = self.published.iter().find(weighs).map(|usage| usage.limit);
        let signs = match &self.credentials {
            Some(credentials) => credentials.clone(),
            None => Arc::new(nobody()?),
        };
        // Without a session there is nothing to log on to: each request carries its own signature.
        let recv_window = Some(self.venue.recv_window_millis());
        let config = OrderEntryConfig { log_on: sends, recv_window, ..OrderEntryConfig::default() };
        let mut entry = OrderEntry::new(directory.clone(), signs.clone(), config);
        entry.set_clock_offset(self.clock_offset);
        let mut private = PrivateStream::of_product(directory.clone(), 0, signs, recv_window);
        private.set_clock_offset(self.clock_offset);
        let connection = &self.venue.connection;
        Ok(VenueParts {
            name: self.venue.name.clone(),
            directory: directory.clone(),
            feed: MarketFeed::new(directory.clone(), self.venue.feed())?,
            private,
            entry,
            market_dial: dialled(&self.addresses.market)?,
            private_dial: match self.credentials {
                Some(_) => Some(dialled(&self.addresses.private)?),
                None => None,
            },
            orders: match sends {
                true => Orders::Venue { dial: dialled(&self.addresses.order_entry)?, rest: self.over_rest() },
                false => Orders::Paper(session.to_owned()),
            },
            rest: self.rest,
            split_paths: self.venue.paths == Paths::Split,
            upkeep: Upkeep {
                reconnect: (connection.reconnect_first, connection.reconnect_longest),
                max_age: connection.max_connection_age,
                seed: seed.wrapping_add(u64::from(self.id.0) << 32),
            },
            clock_every: connection.clock_interval,
            weight_limit,
            position_mode: self.venue.position_mode,
            heartbeat: connection.heartbeat,
            audit: connection.audit,
        })
    }

    /// The courier's part, where the configuration allows the way over REST.
    fn over_rest(&self) -> Option<Box<OverRest>> {
        let options = HttpOptions {
            connect_timeout: Duration::from_secs(2),
            // A kill is confirmed only when no request is under way.
            total_timeout: Duration::from_secs(5),
            ..HttpOptions::default()
        };
        Some(Box::new(OverRest {
            client: HttpClient::new(Some(&self.tls), options),
            base: self.addresses.rest.clone(),
            api_key: self.credentials.as_ref()?.api_key().to_owned(),
            after: self.venue.connection.rest_fallback_after?,
        }))
    }

    /// There is no account behind this venue in this run.
    pub fn is_without_account(&self) -> bool {
        self.credentials.is_none()
    }
}

/// A first Ctrl-C before there is a session to drain.
pub(super) fn not_stopped(stop: &StopFlag) -> anyhow::Result<()> {
    if stop.is_raised() { bail!("stopped") } else { Ok(()) }
}

/// Signs a dry run's requests where there is no key: nobody would take them, and nobody is asked to.
fn nobody() -> anyhow::Result<Credentials> {
    Ok(Credentials::new("DRY-RUN-WITHOUT-A-KEY", Signer::from_key_text("no secret")?)?)
}
