//! Latency as people read it: tables, and files that plotters read. All cold.
//!
//! A `.hgrm` file is the percentile text of HdrHistogram (Java's `outputPercentileDistribution`), in nanoseconds, so that
//! the usual plotters and comparison scripts take it as it is.

use std::fmt::{self, Write as _};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;

use super::hops::{Hop, HopHistograms, Quantiles};

/// Percentile lines for each halving of the distance to 100 %: what Java prints by default.
const LINES_A_HALVING: u32 = 5;

/// The distributions of the hops that were recorded, as plain data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LatencyReport {
    pub hops: Vec<(Hop, Quantiles)>,
}

/// A file of the report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write latency file {}: {source}", path.display())]
pub struct WriteError {
    pub path: PathBuf,
    #[source]
    pub source: io::Error,
}

impl LatencyReport {
    pub fn of(histograms: &HopHistograms) -> Self {
        Self { hops: histograms.recorded().collect() }
    }

    /// One line a hop, columns aligned, without a last line break.
    pub fn text(&self) -> String {
        let rows = self.rows();
        let mut widths = COLUMNS.map(str::len);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.len());
            }
        }
        let line = |cells: [&str; 7]| {
            let mut line = String::new();
            for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
                let _ =
                    if at == 0 { write!(line, "{cell:<width$}") } else { write!(line, "  {cell:>width$}") };
            }
            line
        };
        let mut lines = vec![line(COLUMNS)];
        lines.extend(rows.iter().map(|row| line(row.each_ref().map(String::as_str))));
        lines.join("\n")
    }

    /// The same as a table of a document, with what each hop is measured between.
    pub fn markdown(&self) -> String {
        let mut text = format!("| {} | between |\n|---|{}---|\n", COLUMNS.join(" | "), "--:|".repeat(6));
        for (row, (hop, _)) in self.rows().iter().zip(&self.hops) {
            let (from, to) = hop.span();
            let _ = writeln!(text, "| {} | {from} → {to} |", row.join(" | "));
        }
        text
    }

    fn rows(&self) -> Vec<[String; 7]> {
        self.hops
            .iter()
            .map(|(hop, q)| {
                let [p50, p90, p99, p999, max] =
                    [q.p50, q.p90, q.p99, q.p999, q.max].map(|nanos| Human(nanos).to_string());
                [hop.name().to_string(), p50, p90, p99, p999, max, q.count.to_string()]
            })
            .collect()
    }
}

const COLUMNS: [&str; 7] = ["hop", "p50", "p90", "p99", "p99.9", "max", "count"];

/// Writes `latency.md` and a `.hgrm` for each hop that has values into `folder`, which it makes if need be; tells what it wrote.
pub fn write_files(histograms: &HopHistograms, folder: &Path) -> Result<Vec<PathBuf>, WriteError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| WriteError { path, source }
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let table = folder.join("latency.md");
    fs::write(&table, format!("# Latency by hop\n\n{}", LatencyReport::of(histograms).markdown()))
        .map_err(failed(&table))?;
    let mut written = vec![table];
    for &hop in Hop::ALL {
        let Some(histogram) = histograms.histogram(hop) else { continue };
        let path = folder.join(format!("{}.hgrm", hop.name().replace(' ', "_")));
        let file = fs::File::create(&path).map_err(failed(&path))?;
        let mut file = BufWriter::new(file);
        write_hgrm(histogram, &mut file).and_then(|()| file.flush()).map_err(failed(&path))?;
        written.push(path);
    }
    Ok(written)
}

/// The percentile text of one histogram, in its own unit.
pub fn write_hgrm(histogram: &Histogram<u64>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
    let mut passed = 0u64;
    for step in histogram.iter_quantiles(LINES_A_HALVING) {
        passed += step.count_since_last_iteration();
        let (value, quantile) = (step.value_iterated_to() as f64, step.quantile_iterated_to());
        write!(out, "{value:>12.3} {quantile:>2.12} {passed:>10}")?;
        // The last line has no such column: it would be infinite.
        if quantile < 1.0 { writeln!(out, " {:>14.2}", 1.0 / (1.0 - quantile))? } else { writeln!(out)? }
    }
    writeln!(out, "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]", histogram.mean(), histogram.stdev())?;
    writeln!(out, "#[Max     = {:>12.3}, Total count    = {:>12}]", histogram.max() as f64, histogram.len())?;
    // Buckets of 2048 values each: what three significant digits take.
    writeln!(out, "#[Buckets = {:>12}, SubBuckets     = {:>12}]", histogram.buckets(), 2_048)
}

/// Nanoseconds as three significant digits and a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Human(pub u64);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each boundary is where rounding to three digits would give 1000 of the smaller unit.
        let (value, unit) = match self.0 {
            nanos @ ..1_000 => return f.pad(&format!("{nanos} ns")),
            nanos @ ..999_500 => (nanos as f64 / 1e3, "us"),
            nanos @ ..999_500_000 => (nanos as f64 / 1e6, "ms"),
            nanos => (nanos as f64 / 1e9, "s"),
        };
        let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
        f.pad(&format!("{value:.decimals$} {unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> HopHistograms {
        let mut histograms = HopHistograms::new();
        for value in 1..=1_000 {
            histograms.record(Hop::Turn, value);
            histograms.record(Hop::TickToTrade, value * 1_000);
        }
        histograms
    }

    #[test]
    fn durations_read_with_three_digits_at_every_boundary() {
        for (nanos, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 us"),
            (9_994, "9.99 us"),
            (9_996, "10.0 us"),
            (99_940, "99.9 us"),
            (99_960, "100 us"),
            (999_499, "999 us"),
            (999_500, "1.00 ms"),
            (12_345_678, "12.3 ms"),
            (999_600_000, "1.00 s"),
            (60_000_000_000, "60.0 s"),
        ] {
            assert_eq!(Human(nanos).to_string(), text, "{nanos}");
        }
    }

    #[test]
    fn the_table_is_aligned_and_in_the_order_of_the_way() {
        let text = LatencyReport::of(&sample()).text();
        let expected = "\
hop               p50     p90     p99   p99.9      max  count
turn           500 ns  900 ns  990 ns  999 ns  1.00 us   1000
tick to trade  500 us  900 us  990 us  999 us  1.00 ms   1000";
        assert_eq!(text, expected, "\n{text}\n");
    }

    #[test]
    fn the_percentile_file_has_the_shape_that_plotters_read() {
        let mut text = Vec::new();
        write_hgrm(sample().histogram(Hop::Turn).unwrap(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "       Value     Percentile TotalCount 1/(1-Percentile)");
        assert_eq!(lines[1], "");
        assert_eq!(lines[2], "       1.000 0.000000000000          1           1.00");
        let (data, comments): (Vec<&str>, Vec<&str>) =
            lines[2..].iter().partition(|line| !line.starts_with('#'));
        assert!(data.contains(&"     500.000 0.500000000000        500           2.00"), "{text}");
        assert_eq!(*data.last().unwrap(), "    1000.000 1.000000000000       1000");
        assert!(data.iter().take(data.len() - 1).all(|line| line.split_whitespace().count() == 4));
        assert_eq!(comments[1], "#[Max     =     1000.000, Total count    =         1000]");
        assert_eq!(comments.len(), 3);
    }

    #[test]
    fn files_are_written_for_the_hops_that_have_values_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let written = write_files(&sample(), &folder.path().join("latency")).unwrap();
        let names: Vec<_> =
            written.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_string()).collect();
        assert_eq!(names, ["latency.md", "turn.hgrm", "tick_to_trade.hgrm"]);
        let table = fs::read_to_string(&written[0]).unwrap();
        assert!(table.contains(
            "| turn | 500 ns | 900 ns | 990 ns | 999 ns | 1.00 us | 1000 | turn start → turn end |"
        ));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let said = write_files(&sample(), &file).unwrap_err().to_string();
        assert!(said.contains("file"), "{said}");
    }
}
