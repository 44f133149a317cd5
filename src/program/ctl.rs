//! `linchpin ctl`: what a person types, as one line to the engine's control socket or HTTPS port, and its answer as people read it.
//!
//! The verbs are `control::VERBS`: the command line, its help and the documentation come from that one table. It sends no
//! order, because the table has no such verb.
//!
//! Exit codes: 0 done; 1 refused, and the message says why; 2 the command line is wrong; 5 no engine answers; 6 killed, but
//! not confirmed or not on the disk.

mod line;
mod print;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Arg, ArgMatches, Args, FromArgMatches, Subcommand};
use serde_json::{Map, Value};

use self::line::Line;
use super::Failure;
use crate::config::parse_span;
use crate::control::{Refused, Request, VERBS, Verb};

#[derive(Args, Debug)]
pub(crate) struct CtlArgs {
    #[command(flatten)]
    place: Place,
    /// Print the engine's answer as it is: one JSON object a line
    #[arg(long, global = true)]
    json: bool,
    /// How long to wait for an answer, such as 10s
    #[arg(long, global = true, value_name = "SPAN", default_value = "45s", value_parser = span)]
    timeout: Duration,
    #[command(subcommand)]
    wish: Wish,
}

/// Which engine, and by which door.
#[derive(Args, Debug)]
pub(super) struct Place {
    /// Home of the engine, which holds its socket
    #[arg(long, global = true, value_name = "FOLDER", conflicts_with_all = ["socket", "url"])]
    home: Option<PathBuf>,
    /// The engine's control socket, where it is not <home>/ctl.sock
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "url")]
    socket: Option<PathBuf>,
    /// The engine's HTTPS port instead, such as https://127.0.0.1:7443
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// With --url: the file that holds the token
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// With --url: the certificate to show (PEM)
    #[arg(long, global = true, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// With --cert: its private key (PEM)
    // Under a name of its own: `set` has a KEY too.
    #[arg(id = "key_file", long = "key", global = true, value_name = "FILE")]
    key: Option<PathBuf>,
    /// With --url: the authority of the engine's certificate (PEM), where the system does not know it
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// What is asked, and how often.
#[derive(Clone, Debug)]
enum Wish {
    Once(Request),
    /// Nothing that an engine could be asked; why not.
    Wrong(String),
    /// The status again and again, until Ctrl-C or the engine's end.
    Watch {
        every: Duration,
    },
}

pub(crate) fn run(args: &CtlArgs) -> Result<(), Failure> {
    if let Wish::Wrong(why) = &args.wish {
        return Err(Failure::Usage(anyhow!(why.clone())));
    }
    let mut line = Line::open(&args.place, args.timeout)?;
    match &args.wish {
        Wish::Wrong(_) => Ok(()),
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
        Ok(match Request::parse(line.as_bytes()) {
            Ok(request) => Self::Once(request),
            Err(refusal) => Self::Wrong(refusal.message),
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
