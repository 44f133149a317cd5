//! What a session came to, gathered from what its threads left behind and from the counters.

use super::directories::Directories;
use super::folder::SessionFolder;
use super::names;
use crate::config::Config;
use crate::control::names::steps;
use crate::core::id::StrategyId;
use crate::core::num::Quantity;
use crate::telemetry::counters::Snapshot;
use crate::telemetry::hops::HopHistograms;
use crate::telemetry::status::{Holding, Pnl};
use crate::telemetry::summary::{Fills, Orders, Summary};
use crate::topology::Ended;

pub(super) fn sum_up(
    config: &Config,
    folder: &SessionFolder,
    counted: &Snapshot,
    directories: &Directories,
    ended: &Ended,
) -> Summary {
    let done = ended.core.core.state().execution.counters;
    let gaps = ended.receivers.iter().map(|receiver| receiver.feed.gaps).sum();
    let resyncs = ended.receivers.iter().map(|receiver| receiver.feed.resyncs).sum();
    let requests = |kind: &str| {
        let sent = counted.sender.requests_sent.named();
        sent.into_iter().find(|(name, _)| name == kind).map_or(0, |(_, count)| count)
    };
    Summary {
        mode: config.mode.to_string(),
        strategy: names(config.strategies.iter().map(|strategy| strategy.name.as_str())),
        venue: names(config.venues.iter().map(|venue| venue.name.as_str())),
        events: ended.core.events,
        turns: counted.core.turns,
        orders: Orders {
            sent: requests("new"),
            replaced: requests("replace"),
            cancelled: requests("cancel"),
            left_open: ended.core.core.open_orders() as u64,
            rejected: counted.core.rejects.named(),
            denied: counted.core.denials.named(),
            not_sent: counted.sender.not_sent.named(),
            unknown_outcomes: done.unknown_outcomes,
        },
        fills: Fills {
            maker: counted.core.maker_fills,
            taker: done.fills.saturating_sub(counted.core.maker_fills),
        },
        works: works(config, directories, ended),
        positions: holdings(counted, directories),
        pnl: vec![pnl(counted, directories)],
        incidents: counted.core.incidents.named(),
        gaps,
        resyncs,
        reconnects: counted.receiver.reconnects,
        ring_full: full_rings(ended),
        log_dropped: counted.log.dropped,
        session: folder.path.clone(),
        ..Summary::default()
    }
}

/// `chaser: done, buy 0.500 of 0.500 BTCUSDT`
fn works(config: &Config, directories: &Directories, ended: &Ended) -> Vec<String> {
    let listings = directories.listings();
    let named = config.strategies.iter().zip(0u8..);
    named
        .filter_map(|(strategy, at)| {
            let work = ended.core.core.progress(StrategyId(at))?;
            let listing = listings.get(work.instrument.index())?;
            let lots = |quantity: Quantity| steps(&listing.definition.lot, quantity.raw());
            Some(format!(
                "{}: {}, {} {} of {} {}",
                strategy.name,
                work.phase,
                work.side.name(),
                lots(work.filled),
                lots(work.wanted),
                listing.symbol()
            ))
        })
        .collect()
}

/// The rings that a push found full, and how often.
fn full_rings(ended: &Ended) -> Vec<(String, u64)> {
    let receiver = ended.receivers.iter().map(|receiver| receiver.ring_full);
    let sender = ended.senders.iter().map(|sender| sender.ring_full);
    let all = ended.core.ring_full.iter().copied().chain(receiver).chain(sender);
    all.filter(|(_, hits)| *hits > 0).map(|(name, hits)| (name.to_owned(), hits)).collect()
}

pub(super) fn all_hops(ended: &Ended) -> HopHistograms {
    let mut all = HopHistograms::new();
    all.merge(&ended.core.hops);
    ended.receivers.iter().for_each(|receiver| all.merge(&receiver.hops));
    ended.senders.iter().for_each(|sender| all.merge(&sender.hops));
    all
}

pub(super) fn holdings(counted: &Snapshot, directories: &Directories) -> Vec<Holding> {
    let shown = directories.listings().into_iter().take(crate::telemetry::counters::SHOWN_INSTRUMENTS);
    shown
        .map(|listing| Holding {
            symbol: listing.symbol().to_owned(),
            lots: counted.core.position.of(listing.id),
            lot: listing.definition.lot,
        })
        .collect()
}

pub(super) fn pnl(counted: &Snapshot, directories: &Directories) -> Pnl {
    let quote = directories.listings().first().map(|listing| listing.definition.quote);
    Pnl {
        realised: counted.core.realised,
        unrealised: counted.core.unrealised,
        fees: counted.core.fees,
        decimals: 2,
        asset: quote.and_then(|asset| directories.asset_name(asset)).unwrap_or("").to_owned(),
    }
}
