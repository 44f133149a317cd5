//! The venue's diary: a file of what moved it, so that a venue that was killed comes back with its books, orders, accounts, fills and numbers.
//!
//! ```text
//!  FOLDER/venue.diary, a JSON value a line
//!  {"opened":{"version":1,"at_ns":...,"configuration":"..."}}     once: the first moment, and what was configured
//!  {"moved":{"played":3}}  {"moved":{"commanded":{...}}}          each before anybody hears of it
//!  {"heard":"ID"}                                                 with a control port: a new order was asked for by this id
//! ```
//! A line is written before its effect leaves the venue, so a line that was cut short by a kill was never told to anybody and is dropped.
//! Anything else that cannot be read is refused by its number. It is given to the kernel and not synced: it outlives the process, not a power cut.
//! Logons, listen keys, bans and request counts are not kept: clients make those again.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::super::moves::Move;
use super::super::{Command, Exchange, ExchangeConfig, MarketConfig};
use super::faults::Faults;
use super::hub::Hub;

const VERSION: u32 = 1;
const FILE: &str = "venue.diary";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Opened { version: u32, at_ns: u64, configuration: String },
    Moved(Move),
    Heard(String),
}

pub struct Diary {
    file: File,
    place: PathBuf,
}

impl Diary {
    /// The venue of this folder as it was when it last told anybody anything, or a new one. It goes on at `now`; nothing was traded meanwhile.
    pub fn open(
        folder: &Path,
        config: ExchangeConfig,
        now: u64,
        hub: &mut Hub,
        faults: &Faults,
    ) -> anyhow::Result<(Diary, Exchange)> {
        if matches!(config.market, MarketConfig::Recording(_)) {
            bail!(
                "a recording is played from its beginning at each start: its state cannot be kept in {}",
                folder.display()
            );
        }
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let place = folder.join(FILE);
        let shown = place.display().to_string();
        let file = OpenOptions::new().read(true).append(true).create(true).open(&place);
        let file = file.with_context(|| format!("cannot open {shown}"))?;
        file.try_lock().with_context(|| format!("another venue keeps {shown}"))?;
        let mut diary = Diary { file, place };
        let exchange = match diary.relive(&config, hub, faults)? {
            Some(mut exchange) => {
                exchange.keep_moves();
                exchange.go_on(now);
                exchange
            }
            None => {
                let configuration = format!("{config:?}");
                diary.write(&[Line::Opened { version: VERSION, at_ns: now, configuration }])?;
                let mut exchange = Exchange::new(config, now)?;
                exchange.keep_moves();
                exchange
            }
        };
        Ok((diary, exchange))
    }

    /// What the venue has done since the last time; the caller tells nobody of it before this returned.
    pub fn keep(&mut self, exchange: &mut Exchange) -> anyhow::Result<()> {
        let moves = exchange.take_moves();
        if moves.is_empty() {
            Ok(())
        } else {
            self.write(&moves.into_iter().map(Line::Moved).collect::<Vec<_>>())
        }
    }

    pub fn heard(&mut self, client_order_id: &str) -> anyhow::Result<()> {
        self.write(&[Line::Heard(client_order_id.to_owned())])
    }

    fn write(&mut self, lines: &[Line]) -> anyhow::Result<()> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line).context("a line of the diary")?;
            text.push(b'\n');
        }
        self.file.write_all(&text).with_context(|| format!("cannot write {}", self.place.display()))
    }

    /// The venue that the file tells of; none if it tells nothing.
    fn relive(
        &mut self,
        config: &ExchangeConfig,
        hub: &mut Hub,
        faults: &Faults,
    ) -> anyhow::Result<Option<Exchange>> {
        let shown = self.place.display().to_string();
        self.file.rewind().with_context(|| format!("cannot read {shown}"))?;
        let mut reader = BufReader::new(&self.file);
        let (mut exchange, mut whole, mut text) = (None, 0, Vec::new());
        for number in 1u64.. {
            text.clear();
            let size = reader.read_until(b'\n', &mut text).with_context(|| format!("cannot read {shown}"))?;
            if !text.ends_with(b"\n") {
                // The end, or a line that a kill cut short.
                break;
            }
            let line = serde_json::from_slice(&text).with_context(|| format!("{shown}: line {number}"))?;
            match (line, &mut exchange) {
                (Line::Opened { version, .. }, None) if version != VERSION => {
                    bail!("{shown}: version {version}, this program reads version {VERSION}")
                }
                (Line::Opened { at_ns, configuration, .. }, None) => {
                    if configuration != format!("{config:?}") {
                        bail!(
                            "{shown} was kept by a venue of another configuration (symbols, balance, seed, keys, funding): start it with the same, or give another folder"
                        );
                    }
                    exchange = Some(Exchange::new(config.clone(), at_ns)?);
                }
                (Line::Heard(id), Some(_)) => faults.asked_to_place(Some(&id)),
                (Line::Moved(moved), Some(exchange)) => {
                    relive(exchange, moved, hub, faults)
                        .with_context(|| format!("{shown}: line {number}"))?;
                }
                (_, _) => bail!("{shown}: line {number}: \"opened\" stands first, and once"),
            }
            whole += size as u64;
        }
        drop(reader);
        self.file.set_len(whole).with_context(|| format!("cannot write {shown}"))?;
        Ok(exchange)
    }
}

/// One move, and what it did to the front's own counts.
fn relive(exchange: &mut Exchange, moved: Move, hub: &mut Hub, faults: &Faults) -> anyhow::Result<()> {
    let (places, amends) = match &moved {
        Move::Commanded { command, .. } => (command.places(), matches!(command, Command::Amend { .. })),
        _ => (false, false),
    };
    let reply = exchange.relive(moved)?;
    exchange.hand_out(&mut |output| hub.relive(&output));
    if let Some(Ok(reply)) = reply {
        if places {
            faults.has_placed(&reply);
        }
        if amends {
            hub.next_execution_id();
        }
    }
    Ok(())
}
