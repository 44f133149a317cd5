//! Opening a venue: whom to trust, which key signs, what it lists, and the parts that its threads are made of. Everything here
//! reads; not one order can leave.

use std::sync::Arc;

use anyhow::{Context, bail};

use crate::config::{Config, Venue};
use crate::core::id::{InstrumentId, VenueId};
use crate::core::instrument::Product;
use crate::net::tls::{TlsClient, TlsTrust};
use crate::program::demo::Venue as DemoVenue;
use crate::sys::clock::Clock;
use crate::threads::requester::{Read, Rest};
use crate::topology::{VenueParts, dial, socket_options};
use crate::venue::Directory;
use crate::venue::binance::feed::MarketFeed;
use crate::venue::binance::hydrate::{Hydrator, Requests};
use crate::venue::binance::orders::{OrderEntry, OrderEntryConfig};
use crate::venue::binance::private::PrivateStream;
use crate::venue::binance::sign::Credentials;

/// Who may vouch for the venue: the embedded venue's own authority by its file, a given file, or the system's.
pub(super) fn trust(venue: &Venue, demo: Option<&DemoVenue>) -> anyhow::Result<TlsClient> {
    let trust = match (demo, &venue.ca_file) {
        (Some(demo), _) => TlsTrust::CaFile(demo.ca_file.clone()),
        (None, Some(file)) => TlsTrust::CaFile(file.clone()),
        (None, None) => TlsTrust::SystemRoots,
    };
    Ok(TlsClient::new(&trust)?)
}

pub(super) fn credentials(venue: &Venue, demo: Option<&DemoVenue>) -> anyhow::Result<Arc<Credentials>> {
    let given = match &venue.key {
        Some(key) => key.read("venue[0]")?,
        None => bail!("venue[0].key: this mode needs an API key, and the configuration gives none"),
    };
    match (given, demo) {
        (Some(credentials), _) => Ok(Arc::new(credentials)),
        (None, Some(demo)) => Ok(Arc::new(demo.credentials()?)),
        (None, None) => bail!("venue[0].key: \"embedded\" is only for the embedded venue"),
    }
}

/// A key that the venue does not know, or whose signatures it does not take, is found here and in words, and not by links
/// that never open.
pub(super) fn check_key(
    venue: &Venue,
    rest: &mut Rest<Clock>,
    requests: Requests,
    hydrator: &mut Hydrator,
) -> anyhow::Result<()> {
    let refused = || format!("venue \"{}\" does not take the account's key (venue.key)", venue.name);
    let body = rest.read(&requests.account()).with_context(refused)?;
    hydrator.account_answers(&body).with_context(refused)
}

pub(super) fn read_directory(
    config: &Config,
    rest: &mut Rest<Clock>,
    requests: Requests,
    hydrator: &mut Hydrator,
) -> anyhow::Result<Directory> {
    let symbols: Vec<(InstrumentId, &str)> = config
        .instruments
        .iter()
        .enumerate()
        .map(|(at, instrument)| (InstrumentId(at as u16), instrument.symbol.as_str()))
        .collect();
    let body = rest.read(&requests.exchange_info()).context("cannot read the venue's filters")?;
    let product = config.venues.first().map_or(Product::LinearPerpetual, |venue| venue.dialect.product());
    Ok(hydrator.directory(VenueId(0), product, &symbols, &body)?)
}

#[allow(clippy::too_many_arguments, reason = "a venue's threads are made of this many things")]
pub(super) fn parts(
    venue: &Venue,
    tls: &TlsClient,
    credentials: Arc<Credentials>,
    directory: &Arc<Directory>,
    rest: Rest<Clock>,
    clock_offset: i64,
    clock: &Clock,
    config: &Config,
    seed: u64,
) -> anyhow::Result<VenueParts> {
    let addresses = venue.addresses().context("the venue has no addresses")?;
    let options = socket_options(&venue.connection);
    let recv_window = Some(venue.recv_window_millis());
    let mut private = PrivateStream::of_product(directory.clone(), 0, credentials.clone(), recv_window);
    private.set_clock_offset(clock_offset);
    let entry_config = OrderEntryConfig { recv_window, ..OrderEntryConfig::default() };
    let mut entry = OrderEntry::new(directory.clone(), credentials, entry_config);
    entry.set_clock_offset(clock_offset);
    Ok(VenueParts {
        directory: directory.clone(),
        feed: MarketFeed::new(directory.clone(), venue.feed())?,
        private,
        entry,
        rest,
        market_dial: dial(&addresses.market, tls, options, clock)?,
        private_dial: dial(&addresses.private, tls, options, clock)?,
        order_dial: dial(&addresses.order_entry, tls, options, clock)?,
        split_paths: venue.paths == crate::config::Paths::Split,
        dry_run: !config.mode.sends(),
        reconnect: (venue.connection.reconnect_first, venue.connection.reconnect_longest),
        seed,
    })
}
