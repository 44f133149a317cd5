//! `linchpin doctor`: is this host fit to trade on? Reads only; each finding says what was found, why it matters, and the
//! command that mends it.
//!
//! Exit code 0: nothing stands against it; 4: something does (a `bad` line). Doubts (`look`) do not change the exit code, since
//! a laptop is a fine place for a demo.

mod checks;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::Failure;
use crate::config::{Config, Cpu, Mode, Overrides, parse_span};
use crate::sys::clock::Clock;
use crate::sys::gaps;
use crate::sys::host::Host;

#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// Configuration whose CPUs and folders are looked at; without one, every CPU and the built-in demo's folder
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Spin on each pinned CPU for so long and count the moments in which the host took it away; 0s: do not
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = span)]
    gaps: Duration,
    /// One JSON object for programs
    #[arg(long)]
    json: bool,
}

/// What is looked at: which CPUs carry hot threads, where the journal will be, how strict to be.
pub(crate) struct Subject {
    /// CPUs that the configuration pins hot threads to; empty: none is pinned.
    pub pinned: Vec<usize>,
    pub home: PathBuf,
    /// Real money: what is a doubt elsewhere is bad here.
    pub live: bool,
    /// Bytes that one journal segment takes.
    pub segment: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Good,
    /// It cannot be known here.
    Unknown,
    /// It costs latency, or may.
    Look,
    /// Do not trade real money like this.
    Bad,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Unknown => "unknown",
            Self::Look => "look",
            Self::Bad => "bad",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub name: &'static str,
    pub verdict: Verdict,
    /// What was found, in a few words.
    pub found: String,
    /// Why it matters: one sentence.
    pub why: &'static str,
    /// The command that mends it; empty where nothing needs mending.
    pub fix: String,
}

pub(crate) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let subject = subject(args.config.as_deref())?;
    let mut findings = checks::examine(&Host::this(), &subject);
    if !args.gaps.is_zero() {
        findings.extend(measured_gaps(&subject, args.gaps));
    }
    if args.json {
        tell!("{}", as_json(&findings));
    } else {
        for line in as_text(&findings) {
            tell!("{line}");
        }
    }
    let bad = findings.iter().filter(|finding| finding.verdict == Verdict::Bad).count();
    if bad > 0 {
        return Err(Failure::Unfit(anyhow::anyhow!("{bad} finding(s) stand against trading on this host")));
    }
    Ok(())
}

fn subject(file: Option<&Path>) -> Result<Subject, Failure> {
    let config = Config::load(file, &Overrides::default())?;
    let threads = &config.threads;
    let mut pinned: Vec<usize> = [threads.core, threads.receiver, threads.sender]
        .into_iter()
        .filter_map(|cpu| match cpu {
            Cpu::Any => None,
            Cpu::Number(number) => Some(number),
        })
        .collect();
    pinned.sort_unstable();
    pinned.dedup();
    Ok(Subject {
        pinned,
        home: config.run.home.clone(),
        live: config.mode == Mode::Live,
        segment: config.segment_size,
    })
}

/// Looks from the outside, as the tails of every latency histogram do.
fn measured_gaps(subject: &Subject, span: Duration) -> Vec<Finding> {
    let clock = Clock::new();
    let cpus: Vec<Option<usize>> = if subject.pinned.is_empty() {
        vec![None]
    } else {
        subject.pinned.iter().copied().map(Some).collect()
    };
    let measure = |cpu: Option<usize>| {
        let name = cpu.map_or_else(|| "some CPU".to_owned(), |cpu| format!("CPU {cpu}"));
        let (verdict, found) = match gaps::measure(&clock, cpu, span) {
            Ok(seen) if seen.over_100us > 0 => (Verdict::Look, format!("{name}: {seen}")),
            Ok(seen) => (Verdict::Good, format!("{name}: {seen}")),
            Err(error) => (Verdict::Bad, format!("{name}: {error}")),
        };
        let fix = match verdict {
            Verdict::Good | Verdict::Unknown => String::new(),
            _ => "isolate the CPU and move its interrupts (see isolated-cpus, irq-affinity); on a virtual machine ask for dedicated cores".to_owned(),
        };
        let why = "a gap is a moment in which no code of ours ran: it is the floor of every tail";
        Finding { name: "gaps", verdict, found, why, fix }
    };
    cpus.into_iter().map(measure).collect()
}

fn as_text(findings: &[Finding]) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in findings {
        lines.push(format!("{:<8} {:<18} {}", finding.verdict.name(), finding.name, finding.found));
        if finding.verdict > Verdict::Unknown {
            lines.push(format!("{:27} why: {}", "", finding.why));
            lines.push(format!("{:27} fix: {}", "", finding.fix));
        }
    }
    let count = |verdict: Verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    lines.push(format!(
        "{} good, {} to look at, {} bad, {} unknown",
        count(Verdict::Good),
        count(Verdict::Look),
        count(Verdict::Bad),
        count(Verdict::Unknown)
    ));
    lines
}

fn as_json(findings: &[Finding]) -> serde_json::Value {
    let rows: Vec<serde_json::Value> = findings
        .iter()
        .map(|finding| {
            serde_json::json!({
                "name": finding.name,
                "verdict": finding.verdict.name(),
                "found": finding.found,
                "why": finding.why,
                "fix": finding.fix,
            })
        })
        .collect();
    let fit = findings.iter().all(|finding| finding.verdict != Verdict::Bad);
    serde_json::json!({ "fit": fit, "findings": rows })
}

fn span(text: &str) -> Result<Duration, String> {
    let span = Duration::from_nanos(parse_span(text).map_err(|error| error.to_string())?.raw());
    if span > Duration::from_secs(60) {
        return Err("at most 60s".to_owned());
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_that_is_not_good_says_why_and_how_to_mend_it() {
        let home = tempfile::tempdir().unwrap();
        let subject =
            Subject { pinned: vec![0], home: home.path().to_owned(), live: true, segment: 64 << 20 };
        for host in [Host::this(), Host::below(home.path())] {
            let findings = checks::examine(&host, &subject);
            assert!(findings.len() >= 15);
            for finding in &findings {
                assert!(!finding.why.is_empty() && !finding.found.is_empty(), "{finding:?}");
                assert_eq!(finding.verdict > Verdict::Unknown, !finding.fix.is_empty(), "{finding:?}");
            }
            let text = as_text(&findings);
            assert!(text.last().unwrap().contains("good"));
            assert_eq!(as_json(&findings)["findings"].as_array().unwrap().len(), findings.len());
        }
    }
}
