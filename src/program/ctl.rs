//! `linchpin ctl`: what a person types, as one line to the engine's control socket, and its answer as people read it.
//!
//! The verbs are `control::VERBS`: the command line, its help and the documentation come from that one table. It sends no
//! order, because the table has no such verb.
//!
//! Exit codes: 0 done; 1 refused, and the message says why; 2 the command line is wrong; 5 no engine answers; 6 killed, but
//! not confirmed or not on the disk.

mod print;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Arg, ArgMatches, Args, FromArgMatches, Subcommand};
use serde_json::{Map, Value};

use super::Failure;
use crate::config::{DEFAULT_HOME, parse_span};
use crate::control::{Refused, Request, VERBS, Verb};

#[derive(Args, Debug)]
pub(crate) struct CtlArgs {
    /// Home of the engine, which holds its socket
    #[arg(long, global = true, value_name = "FOLDER", conflicts_with = "socket")]
    home: Option<PathBuf>,
    /// The engine's control socket, where it is not <home>/ctl.sock
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print the engine's answer as it is: one JSON object a line
    #[arg(long, global = true)]
    json: bool,
    /// How long to wait for an answer, such as 10s
    #[arg(long, global = true, value_name = "SPAN", default_value = "45s", value_parser = span)]
    timeout: Duration,
    #[command(subcommand)]
    wish: Wish,
}

/// What is asked, and how often.
#[derive(Clone, Debug)]
enum Wish {
    Once(Request),
    /// The status again and again, until Ctrl-C or the engine's end.
    Watch {
        every: Duration,
    },
}

pub(crate) fn run(args: &CtlArgs) -> Result<(), Failure> {
    let socket = match (&args.socket, &args.home) {
        (Some(socket), _) => socket.clone(),
        (None, Some(home)) => home.join(SOCKET),
        (None, None) => Path::new(DEFAULT_HOME).join(SOCKET),
    };
    let mut line = Line::open(&socket, args.timeout)?;
    match &args.wish {
        Wish::Once(request) => {
            let answer = line.ask(request)?;
            show(&answer, request.verb(), args.json);
            judge(&answer)
        }
        Wish::Watch { every } => loop {
            let answer = line.ask(&Request::Look(Verb::Status))?;
            if !args.json && std::io::IsTerminal::is_terminal(&std::io::stdout()) {
                tell!("\x1b[H\x1b[2J");
            }
            show(&answer, Verb::Status, args.json);
            judge(&answer)?;
            std::thread::sleep(*every);
        },
    }
}

/// The socket's name in the home.
pub(super) const SOCKET: &str = "ctl.sock";

/// A connection to an engine.
struct Line {
    out: UnixStream,
    lines: BufReader<UnixStream>,
    timeout: Duration,
    socket: PathBuf,
}

/// An answer with every order of a full table fits.
const MOST_BYTES: u64 = 256 << 20;

impl Line {
    fn open(socket: &Path, timeout: Duration) -> Result<Self, Failure> {
        let nobody =
            || format!("no engine answers at {}: is one running, and is this its home?", socket.display());
        let stream = UnixStream::connect(socket).with_context(nobody).map_err(Failure::Unreachable)?;
        let ready = || -> std::io::Result<Self> {
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            let lines = BufReader::new(stream.try_clone()?);
            Ok(Self { out: stream.try_clone()?, lines, timeout, socket: socket.to_owned() })
        };
        ready().with_context(nobody).map_err(Failure::Unreachable)
    }

    fn ask(&mut self, request: &Request) -> Result<Value, Failure> {
        let silent = |why: String| Failure::Unreachable(anyhow!("{}: {why}", self.socket.display()));
        let mut asked = request.to_line();
        asked.push('\n');
        let written = self.out.write_all(asked.as_bytes());
        written.map_err(|error| silent(format!("the engine does not listen: {error}")))?;
        let mut answer = Vec::new();
        let read = self.lines.by_ref().take(MOST_BYTES).read_until(b'\n', &mut answer);
        match read {
            Ok(0) => Err(silent("the engine closed the connection without an answer".to_owned())),
            Ok(_) => serde_json::from_slice(&answer)
                .map_err(|error| silent(format!("the answer is no JSON: {error}"))),
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                Err(silent(format!("no answer within {} s", self.timeout.as_secs_f64())))
            }
            Err(error) => Err(silent(error.to_string())),
        }
    }
}

fn show(answer: &Value, verb: Verb, as_json: bool) {
    if as_json {
        tell!("{answer}");
    } else if answer["ok"] == true {
        tell!("{}", print::answer(verb, answer));
    }
}

/// The exit code is the engine's word.
fn judge(answer: &Value) -> Result<(), Failure> {
    if answer["ok"] == true {
        return Ok(());
    }
    let message = answer["message"].as_str().unwrap_or("the engine refused, and did not say why").to_owned();
    let error = answer["error"].as_str().unwrap_or("");
    let is = |refused: Refused| error == refused.name();
    let unfinished = is(Refused::NotConfirmed) || is(Refused::NotPersisted);
    Err(match () {
        () if unfinished => Failure::Unfinished(anyhow!(message)),
        () if is(Refused::NoAnswer) => Failure::Unreachable(anyhow!(message)),
        () if is(Refused::BadArgument) || is(Refused::BadRequest) => Failure::Usage(anyhow!(message)),
        () => Failure::Failed(anyhow!(message)),
    })
}

const WATCH: &str = "watch";

impl Subcommand for Wish {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        let mut command = command.subcommand_required(true);
        for row in VERBS {
            let mut verb = clap::Command::new(row.name)
                .about(row.about)
                .after_help(format!("Done means: {}.", row.promise));
            for argument in row.arguments {
                let mut arg = Arg::new(argument.name).help(argument.about).required(argument.required);
                // What names its object stands where it is read: `set KEY VALUE`; everything else says its name.
                if ["key", "value"].contains(&argument.name) {
                    arg = arg.value_name(argument.shown).allow_hyphen_values(true);
                } else {
                    arg = arg.long(argument.name).value_name(argument.shown);
                }
                verb = verb.arg(arg);
            }
            command = command.subcommand(verb);
        }
        let every = Arg::new("every").long("every").value_name("SPAN").default_value("1s").value_parser(span);
        command.subcommand(
            clap::Command::new(WATCH)
                .about("The status, drawn anew until Ctrl-C")
                .arg(every.help("how often")),
        )
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        name == WATCH || VERBS.iter().any(|row| row.name == name)
    }
}

impl FromArgMatches for Wish {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (name, given) = matches.subcommand().ok_or_else(missing)?;
        if name == WATCH {
            let every = given.get_one::<Duration>("every").copied().unwrap_or(Duration::from_secs(1));
            return Ok(Self::Watch { every });
        }
        let row = VERBS.iter().find(|row| row.name == name).ok_or_else(missing)?;
        let mut line = Map::new();
        line.insert("verb".to_owned(), name.into());
        for argument in row.arguments {
            if let Some(value) = given.get_one::<String>(argument.name) {
                line.insert(argument.name.to_owned(), value.clone().into());
            }
        }
        // The engine's own parser, so that what is wrong is said the same way here.
        let line = Value::Object(line).to_string();
        Request::parse(line.as_bytes()).map(Self::Once).map_err(|refusal| {
            clap::Error::raw(clap::error::ErrorKind::ValueValidation, format!("{}\n", refusal.message))
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn span(text: &str) -> Result<Duration, String> {
    let span = parse_span(text).map_err(|wrong| wrong.to_string())?;
    if span.raw() == 0 {
        Err("expected more than nothing".to_owned())
    } else {
        Ok(Duration::from_nanos(span.raw()))
    }
}
