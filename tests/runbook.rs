//! The runbook of `docs/OPERATIONS.md`, played as it stands on a practice desk: every `console` block, command by command, in one
//! shell. A line that is no command must appear in what the command before it printed.

#![cfg(feature = "embedded-venue")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// One command may take so long, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

struct Step {
    line: usize,
    command: String,
    expected: Vec<String>,
}

/// The steps of every `console` block.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (number, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { line: number + 1, command: command.to_owned(), expected: Vec::new() });
        } else if inside && !line.trim().is_empty() {
            let step = steps.last_mut().expect("a block begins with a command");
            step.expected.extend(line.split("...").map(|part| part.trim().to_owned()));
        }
    }
    steps
}

#[test]
fn the_runbook_does_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/OPERATIONS.md")).expect("the page");
    let steps = steps(&page);
    assert!(steps.len() > 30, "{} steps: the blocks were not found", steps.len());
    let folder = tempfile::tempdir().expect("a folder");
    let programs = Path::new(env!("CARGO_BIN_EXE_linchpin")).parent().expect("a folder");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("bash")
        .current_dir(folder.path())
        .env("PATH", path)
        .env("EXAMPLES", root.join("examples"))
        .env_remove("LINCHPIN_MODE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut typed = shell.stdin.take().expect("piped");
    let (tell, told) = mpsc::channel();
    let stdout = shell.stdout.take().expect("piped");
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    writeln!(typed, "exec 2>&1; trap 'pkill -P $$; jobs -p | xargs -r kill -9 2>/dev/null' EXIT")
        .expect("typed");
    let mut failure = None;
    for step in &steps {
        // What runs in the background keeps no hold on the shell's output.
        writeln!(typed, "{}\necho \"--- end of line {}\"", step.command, step.line).expect("typed");
        let end = format!("--- end of line {}", step.line);
        let mut printed = String::new();
        let ended = loop {
            match told.recv_timeout(PATIENCE) {
                Ok(line) if line == end => break true,
                Ok(line) => printed.extend([line.as_str(), "\n"]),
                Err(_) => break false,
            }
        };
        let missing = step.expected.iter().find(|text| !printed.contains(text.as_str()));
        if !ended || missing.is_some() {
            let logs = ["run1.log", "run2.log", "run3.log"].map(|name| {
                std::fs::read_to_string(folder.path().join("desk").join(name)).unwrap_or_default()
            });
            failure = Some(format!(
                "docs/OPERATIONS.md:{}: $ {}\nended: {ended}; missing: {missing:?}; printed:\n{printed}\nlogs: {logs:#?}",
                step.line, step.command
            ));
            break;
        }
    }
    let _ = writeln!(typed, "exit");
    drop(typed);
    let _ = shell.wait();
    let _ = Command::new("pkill").args(["-KILL", "-f", "practice.toml|venue --port 9743"]).status();
    assert!(failure.is_none(), "{}", failure.unwrap_or_default());
}
