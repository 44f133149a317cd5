//! Whom a venue's connection trusts, and which key signs there.

use std::sync::Arc;

use anyhow::bail;

use super::demo::Venues as DemoVenues;
use crate::config::{Mode, Venue};
use crate::core::id::VenueId;
use crate::net::tls::{TlsClient, TlsTrust};
use crate::venue::binance::sign::Credentials;

/// Who may vouch for the venue: the embedded venue's own authority by its file, a given file, or the system's.
pub(super) fn trust(venue: &Venue, demo: Option<&DemoVenues>) -> anyhow::Result<TlsClient> {
    let trust = match (demo, &venue.ca_file) {
        (Some(demo), _) => TlsTrust::CaFile(demo.ca_file.clone()),
        (None, Some(file)) => TlsTrust::CaFile(file.clone()),
        (None, None) => TlsTrust::SystemRoots,
    };
    Ok(TlsClient::new(&trust)?)
}

pub(super) fn credentials(
    id: VenueId,
    venue: &Venue,
    mode: Mode,
    demo: Option<&DemoVenues>,
) -> anyhow::Result<Option<Arc<Credentials>>> {
    let place = format!("venue[{}]", id.index());
    let given = match &venue.key {
        Some(key) => key.read(&place)?,
        None if mode == Mode::DryRun => return Ok(None),
        None => bail!("{place}.key: this mode needs an API key, and the configuration gives none"),
    };
    match (given, demo) {
        (Some(credentials), _) => Ok(Some(Arc::new(credentials))),
        (None, Some(demo)) => Ok(Some(Arc::new(demo.credentials()?))),
        (None, None) => bail!("{place}.key: \"embedded\" is only for the embedded venue"),
    }
}
