//! Prints `docs/METRICS.md` from the lists of `counters` and `hops`, and fails when the file says something else.
//!
//! `UPDATE_DOCS=1 cargo test --lib telemetry::document` writes the file anew.

use std::fmt::Write;
use std::path::Path;

use super::counters::BLOCKS;
use super::hops::{Hop, LONGEST};
use super::log::{Level, LogEvent};
use super::report::Human;

#[test]
fn the_document_lists_what_the_code_counts() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/METRICS.md");
    let printed = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().expect("docs has a parent")).unwrap();
        std::fs::write(&path, printed).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == printed, "docs/METRICS.md is stale: run the test once with UPDATE_DOCS=1");
}

#[test]
fn no_metric_has_the_name_of_another_in_its_block_and_each_says_what_it_means() {
    for block in BLOCKS {
        for metric in block.metrics {
            let same = block.metrics.iter().filter(|other| other.name == metric.name).count();
            assert_eq!(same, 1, "{}.{}", block.name, metric.name);
            assert!(
                metric.meaning.ends_with('.') && !metric.unit.is_empty(),
                "{}.{}",
                block.name,
                metric.name
            );
        }
    }
}

fn document() -> String {
    let mut text = String::from(
        "<!-- Printed by src/telemetry/document.rs from src/telemetry. Do not edit: UPDATE_DOCS=1 cargo test --lib telemetry::document -->\n\n",
    );
    text.push_str(INTRODUCTION);
    for block in BLOCKS {
        writeln!(text, "\n## {}\n", block.name).unwrap();
        let about: Vec<&str> = block.about.iter().map(|line| line.trim()).collect();
        writeln!(text, "{}\n\nmetric | kind | unit | meaning\n---|---|---|---", about.join(" ")).unwrap();
        for metric in block.metrics {
            let label = metric.label.map_or(String::new(), |label| format!(" by {label}"));
            writeln!(
                text,
                "`{}`{label} | {} | {} | {}",
                metric.name, metric.kind, metric.unit, metric.meaning
            )
            .unwrap();
        }
    }
    writeln!(
        text,
        "\n## Latency by hop\n\nThree significant digits, up to {}; a longer one is counted there. Each hop that has values gets a `.hgrm` file, in \
         nanoseconds, in the session folder.\n\nhop | from | to | meaning\n---|---|---|---",
        Human(LONGEST)
    )
    .unwrap();
    for hop in Hop::ALL {
        let (from, to) = hop.span();
        writeln!(text, "{} | {from} | {to} | {}", hop.name(), hop.meaning()).unwrap();
    }
    writeln!(text, "\n## Log events\n\n{LOGS}\nevent | level | meaning\n---|---|---").unwrap();
    for event in LogEvent::ALL {
        writeln!(text, "`{}` | {} | {}", event.name(), event.level().name(), event.meaning()).unwrap();
    }
    let levels: Vec<&str> = Level::ALL.iter().map(|level| level.name()).collect();
    writeln!(text, "\nLevels, from the least: {}.", levels.join(", ")).unwrap();
    text
}

const INTRODUCTION: &str = "\
# What the engine counts

Every number has one thread that writes it, on cache lines of its own. A counter only rises, a gauge rises and falls, a peak is
the highest value so far. Over threads of a kind, counters and gauges are summed, and of peaks the highest is taken. Numbers read
together may be of slightly different moments.
";

const LOGS: &str = "\
One JSON object a line in `log.jsonl` of the session folder, with `time` (UTC), `level`, `event`, `thread`, and the event's own fields.
The level here is the usual one; a record may carry another.
";
