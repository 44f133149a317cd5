//! `linchpin replay`: rebuilds a session from its journal alone and says whether every decision came out the same.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Args;

use super::{Failure, Registry};
use crate::config::Config;
use crate::core::id::InstrumentId;
use crate::core::instrument::InstrumentDefinition;
use crate::core::turn::Core;
use crate::journal::End;
use crate::replay::{Begin, Opening, ReplayError, Report, book_lines, replay};

#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// The session's folder
    session: PathBuf,
    /// Print each instrument's final book: B <price> <quantity> descending, then A ... ascending
    #[arg(long)]
    books: bool,
    /// Begin after the newest snapshot instead of at the first event
    #[arg(long)]
    from_snapshot: bool,
}

pub(crate) fn run(args: &ReplayArgs, strategies: &Registry) -> Result<(), Failure> {
    let begun = Instant::now();
    let begin = if args.from_snapshot { Begin::AfterSnapshot } else { Begin::AtFirstEvent };
    let report = replay_with(&args.session, begin, strategies).map_err(|error| match error {
        // Its own words name the file already.
        ReplayError::Journal(error) => Failure::Failed(error.into()),
        ReplayError::SnapshotFile(error) => Failure::Failed(error.into()),
        ReplayError::Different(_) => Failure::Different(in_session(error, args)),
        other => Failure::Failed(in_session(other, args)),
    })?;
    if args.books {
        print_books(&report).context("cannot print the books")?;
        // The books are for programs: the verdict goes beside them.
        complain!("{}", verdict(&report, begun));
    } else {
        tell!("{}", verdict(&report, begun));
    }
    Ok(())
}

fn in_session(error: ReplayError, args: &ReplayArgs) -> anyhow::Error {
    anyhow::anyhow!("{}: {error}", args.session.display())
}

/// Replays a session with the strategies that this program knows.
pub(super) fn replay_with(
    session: &std::path::Path,
    begin: Begin,
    strategies: &Registry,
) -> Result<Report, ReplayError> {
    replay(session, begin, &|opening, definitions| build(opening, definitions, strategies))
}

fn build(
    opening: &Opening,
    definitions: &[InstrumentDefinition],
    strategies: &Registry,
) -> Result<Core, String> {
    let config = Config::from_resolved(&opening.configuration).map_err(|errors| errors.to_string())?;
    let tag: [u8; 5] =
        opening.run_tag.as_bytes().try_into().map_err(|_| "its run tag is not five characters".to_owned())?;
    let mut core = config.core(definitions, tag).map_err(|errors| errors.to_string())?;
    core.killed = opening.killed;
    let strategies = strategies.make(&config, definitions).map_err(|errors| errors.to_string())?;
    Ok(Core::new(core, strategies))
}

fn print_books(report: &Report) -> std::io::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let many = report.opening.symbols.len() > 1;
    for (at, symbol) in report.opening.symbols.iter().enumerate() {
        if many {
            writeln!(out, "# {symbol}")?;
        }
        for line in book_lines(&report.core, InstrumentId(at as u16)) {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()
}

fn verdict(report: &Report, begun: Instant) -> String {
    let seconds = begun.elapsed().as_secs_f64();
    let mut text = format!(
        "replay identical: {} events, {} dispatches, {} decisions, {} state hashes (last {:016x}), in {seconds:.2} s",
        report.events, report.dispatches, report.decisions, report.state_hashes, report.last_hash
    );
    if report.began_after > 0 {
        text.push_str(&format!("\nfrom the snapshot after event {}", report.began_after));
    }
    let (agreed, differed) = report
        .cross_checks
        .iter()
        .fold((0, 0), |(agreed, differed), check| (agreed + check.agreed, differed + check.differed));
    text.push_str(&match (agreed, differed) {
        (0, 0) => "\nbook against book ticker: not compared, no update id stood in both".to_owned(),
        _ => format!("\nbook against book ticker at equal update ids: {agreed} agree, {differed} differ"),
    });
    match report.end {
        Some(End::Sealed { .. }) => text.push_str("\njournal sealed: nothing is missing"),
        Some(End::Torn { position }) => {
            text.push_str(&format!(
                "\njournal not sealed: the run was cut off; replayed to its last whole record, at {position}"
            ));
        }
        _ => {}
    }
    text
}
