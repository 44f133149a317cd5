//! A request: parsed from one line of anybody's bytes, or built by `linchpin ctl`; and the two shapes of an answer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::verb::{VERBS, Verb};
use super::{MAX_LINE, MAX_REASON};
use crate::core::event::KillMode;

/// What was asked, checked as far as words go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// One that only looks.
    Look(Verb),
    /// One that needs nothing but its reason: enable, disable, cancel-all, flatten, read-back, drain, stop.
    Plain(Verb, String),
    Kill {
        mode: KillMode,
        reason: String,
    },
    ResetKill {
        reason: String,
    },
    Set {
        key: String,
        value: String,
        reason: String,
    },
}

/// Who asked: it goes to the journal and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who(String);

impl Who {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a request was not done. The name is for programs; the message beside it for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Not one JSON object a line, or with a member that does not belong there.
    BadRequest,
    UnknownVerb,
    /// An argument is missing, or has a value that it cannot have.
    BadArgument,
    TooLong,
    /// Nobody may ask that here.
    NotAllowed,
    /// Too many at once: ask again.
    Busy,
    /// It means nothing in the present state.
    NotNow,
    /// The core's thread does not answer. A kill has shut the gate all the same.
    NoAnswer,
    /// Killed, but a sender has not confirmed in time: something may still be leaving.
    NotConfirmed,
    /// Killed, but the flag could not be written: a restart would not be killed.
    NotPersisted,
}

/// One row of the refusals.
#[derive(Debug)]
pub struct RefusedRow {
    pub refused: Refused,
    pub name: &'static str,
    pub meaning: &'static str,
    /// The HTTP status that goes with it (RFC 9110, section 15), at the door that speaks HTTP.
    pub status: u16,
}

macro_rules! refusals {
    ($($refused:ident $name:literal $status:literal $meaning:literal;)+) => {
        impl Refused {
            pub const ALL: &[RefusedRow] = &[$(RefusedRow {
                refused: Refused::$refused,
                name: $name,
                meaning: $meaning,
                status: $status,
            }),+];
        }
    };
}

refusals! {
    BadRequest   "bad_request"   400 "not one JSON object a line, or a member does not belong there";
    UnknownVerb  "unknown_verb"  400 "there is no such verb";
    BadArgument  "bad_argument"  400 "an argument is missing, or has a value that it cannot have";
    TooLong      "too_long"      413 "the line is longer than 4096 bytes; the connection is closed";
    NotAllowed   "not_allowed"   401 "who asks may not ask here";
    Busy         "busy"          503 "too many requests at once";
    NotNow       "not_now"       409 "it means nothing in the present state";
    NoAnswer     "no_answer"     504 "the core's thread does not answer; a kill has shut the gate all the same";
    NotConfirmed "not_confirmed" 504 "killed, but a sender has not confirmed in time";
    NotPersisted "not_persisted" 500 "killed, but the flag could not be written: a restart would not be killed";
}

impl Refused {
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|row| row.refused == self).map_or("", |row| row.name)
    }
}

/// A refusal, and why in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub refused: Refused,
    pub message: String,
}

impl Refusal {
    pub fn new(refused: Refused, message: impl Into<String>) -> Self {
        Self { refused, message: message.into() }
    }
}

/// One line back.
pub type Answer = Value;

/// `{"ok":true,"verb":...}` and what there is to say.
pub fn done(verb: Verb, said: Map<String, Value>) -> Answer {
    let mut answer = Map::new();
    answer.insert("ok".into(), true.into());
    answer.insert("verb".into(), verb.name().into());
    answer.extend(said);
    Value::Object(answer)
}

/// `{"ok":false,"error":...,"message":...}`; `said` is what is true all the same.
pub fn refused(refusal: &Refusal, said: Map<String, Value>) -> Answer {
    let mut answer = Map::new();
    answer.insert("ok".into(), false.into());
    answer.insert("error".into(), refusal.refused.name().into());
    answer.insert("message".into(), refusal.message.clone().into());
    answer.extend(said);
    Value::Object(answer)
}

/// The line as it stands.
#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Line {
    verb: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

impl Request {
    /// From one line, with or without its end. Never panics, whatever the bytes.
    pub fn parse(line: &[u8]) -> Result<Self, Refusal> {
        if line.len() > MAX_LINE {
            return Err(Refusal::new(Refused::TooLong, format!("a request has at most {MAX_LINE} bytes")));
        }
        let line: Line = serde_json::from_slice(line).map_err(|error| {
            let words = format!("expected one JSON object such as {{\"verb\":\"status\"}}: {error}");
            Refusal::new(Refused::BadRequest, words)
        })?;
        let row = VERBS.iter().find(|row| row.name == line.verb).ok_or_else(|| unknown_verb(&line.verb))?;
        let given =
            [("mode", &line.mode), ("reason", &line.reason), ("key", &line.key), ("value", &line.value)];
        for (name, value) in given {
            let known = row.arguments.iter().find(|argument| argument.name == name);
            match (known, value) {
                (None, Some(_)) => {
                    return Err(bad(format!("{} takes no {name}", row.name)));
                }
                (Some(argument), None) if argument.required => {
                    return Err(bad(format!("{} needs a {name}: {}", row.name, argument.about)));
                }
                _ => {}
            }
        }
        let reason = line.reason.unwrap_or_default();
        let is_required = row.arguments.iter().any(|argument| argument.name == "reason" && argument.required);
        check_reason(&reason, is_required).map_err(|why| bad(format!("{}: {why}", row.name)))?;
        Ok(match row.verb {
            Verb::Kill => Self::Kill { mode: kill_mode(line.mode.as_deref())?, reason },
            Verb::ResetKill => Self::ResetKill { reason },
            Verb::Set => {
                Self::Set { key: line.key.unwrap_or_default(), value: line.value.unwrap_or_default(), reason }
            }
            Verb::Status | Verb::Orders | Verb::Positions | Verb::Gates | Verb::Links => Self::Look(row.verb),
            Verb::Enable
            | Verb::Disable
            | Verb::CancelAll
            | Verb::Flatten
            | Verb::ReadBack
            | Verb::Drain
            | Verb::Stop => Self::Plain(row.verb, reason),
        })
    }

    pub fn verb(&self) -> Verb {
        match self {
            Self::Look(verb) | Self::Plain(verb, _) => *verb,
            Self::Kill { .. } => Verb::Kill,
            Self::ResetKill { .. } => Verb::ResetKill,
            Self::Set { .. } => Verb::Set,
        }
    }

    pub fn reason(&self) -> &str {
        match self {
            Self::Look(_) => "",
            Self::Plain(_, reason)
            | Self::Kill { reason, .. }
            | Self::ResetKill { reason }
            | Self::Set { reason, .. } => reason,
        }
    }

    /// The line that `parse` reads as this request, without its end.
    pub fn to_line(&self) -> String {
        let mut line = Line { verb: self.verb().name().into(), ..Line::default() };
        let reason = self.reason();
        line.reason = (!reason.is_empty()).then(|| reason.to_owned());
        match self {
            Self::Kill { mode, .. } => line.mode = Some(mode.name().to_owned()),
            Self::Set { key, value, .. } => {
                line.key = Some(key.clone());
                line.value = Some(value.clone());
            }
            Self::Look(_) | Self::Plain(..) | Self::ResetKill { .. } => {}
        }
        serde_json::to_string(&line).unwrap_or_default()
    }
}

/// The mode that a text names; without one: cancel.
pub fn kill_mode(text: Option<&str>) -> Result<KillMode, Refusal> {
    let modes = [KillMode::Block, KillMode::Cancel, KillMode::Flatten];
    let Some(text) = text else { return Ok(KillMode::Cancel) };
    modes
        .into_iter()
        .find(|mode| mode.name() == text)
        .ok_or_else(|| bad(format!("there is no kill mode {text:?}; they are block, cancel and flatten")))
}

/// A reason is one line that says something, where one is asked for.
pub fn check_reason(reason: &str, is_required: bool) -> Result<(), String> {
    if is_required && reason.trim().is_empty() {
        return Err("a reason is needed, and this one is empty".to_owned());
    }
    if reason.chars().count() > MAX_REASON {
        return Err(format!("the reason has more than {MAX_REASON} characters"));
    }
    if reason.chars().any(char::is_control) {
        return Err("the reason has a control character; one line of text is meant".to_owned());
    }
    Ok(())
}

fn bad(message: String) -> Refusal {
    Refusal::new(Refused::BadArgument, message)
}

fn unknown_verb(verb: &str) -> Refusal {
    let names: Vec<&str> = VERBS.iter().map(|row| row.name).collect();
    let shown: String = verb.chars().take(40).collect();
    Refusal::new(Refused::UnknownVerb, format!("there is no verb {shown:?}; they are {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &str) -> (Refused, String) {
        let refusal = Request::parse(line.as_bytes()).unwrap_err();
        (refusal.refused, refusal.message)
    }

    #[test]
    fn every_request_reads_back_from_its_own_line() {
        let mut all = vec![
            Request::Kill { mode: KillMode::Flatten, reason: "über \"alles\"".into() },
            Request::ResetKill { reason: "looked".into() },
            Request::Set {
                key: "instrument.BTCUSDT.max_position".into(),
                value: "0.5".into(),
                reason: String::new(),
            },
        ];
        for row in VERBS {
            if row.arguments.iter().all(|argument| !argument.required) {
                all.push(Request::parse(format!("{{\"verb\":\"{}\"}}", row.name).as_bytes()).unwrap());
            }
        }
        assert_eq!(all.len(), VERBS.len(), "every verb is here");
        for request in all {
            assert_eq!(Request::parse(request.to_line().as_bytes()), Ok(request.clone()));
            assert_eq!(Request::parse(format!("{}\r\n", request.to_line()).as_bytes()), Ok(request));
        }
    }

    #[test]
    fn a_kill_without_a_mode_cancels() {
        let request = Request::parse(br#"{"verb":"kill","reason":"r"}"#).unwrap();
        assert_eq!(request, Request::Kill { mode: KillMode::Cancel, reason: "r".into() });
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected, words) in [
            ("", Refused::BadRequest, "expected one JSON object"),
            ("[1,2]", Refused::BadRequest, "expected one JSON object"),
            ("{\"verb\":\"status\"} x", Refused::BadRequest, "trailing"),
            (r#"{"verb":"status","verb":"kill"}"#, Refused::BadRequest, "duplicate"),
            (r#"{"verb":"status","side":"buy"}"#, Refused::BadRequest, "unknown field `side`"),
            (r#"{"verb":"buy"}"#, Refused::UnknownVerb, "there is no verb \"buy\"; they are status, orders"),
            (r#"{"verb":"kill"}"#, Refused::BadArgument, "kill needs a reason"),
            (r#"{"verb":"kill","reason":"  "}"#, Refused::BadArgument, "empty"),
            (r#"{"verb":"kill","reason":"a\nb"}"#, Refused::BadArgument, "control character"),
            (r#"{"verb":"kill","mode":"nuke","reason":"r"}"#, Refused::BadArgument, "no kill mode \"nuke\""),
            (r#"{"verb":"enable","mode":"block"}"#, Refused::BadArgument, "enable takes no mode"),
            (r#"{"verb":"set","key":"a"}"#, Refused::BadArgument, "set needs a value"),
            (r#"{"verb":"set","key":"a","value":5}"#, Refused::BadRequest, "expected a string"),
        ] {
            let (refused, message) = refusal(line);
            assert_eq!(refused, expected, "{line}");
            assert!(message.contains(words), "{line}: {message}");
        }
        let long = format!("{{\"verb\":\"kill\",\"reason\":\"{}\"}}", "x".repeat(MAX_REASON + 1));
        assert!(refusal(&long).1.contains("more than 160"));
        assert_eq!(refusal(&" ".repeat(MAX_LINE + 1)).0, Refused::TooLong);
        let nested = "[".repeat(MAX_LINE);
        assert_eq!(refusal(&nested).0, Refused::BadRequest, "deep nesting is no deep stack");
    }

    #[test]
    fn every_refusal_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<&str> =
            Refused::ALL.iter().map(|row| row.refused.name()).collect();
        assert_eq!(names.len(), Refused::ALL.len());
    }
}
