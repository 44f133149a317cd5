//! Faults on order: what a hostile network or a bad day at the exchange does, done to the clients of this venue when a test asks for it.
//!
//! The engine behind the door stays honest: every fault is a difference between what it did and what a client heard, so that a test can
//! name it. Nothing here exists unless the venue was started with `--control`, whose endpoint ([`control`]) takes one [`Order`] at a time.
//!
//! | room | breaks |
//! |---|---|
//! | [`line`] | one TCP connection: reset, also in the middle of a frame; silence; slow reading; lag |
//! | here | doors that are shut; requests that are refused, lost after they were carried out, or answered late; holes in depth |

pub mod control;
pub mod line;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::super::{ApiError, Reply};
use super::refusal::Refusal;
use line::Line;

/// What a connection is for. One that has not asked for anything yet counts as REST.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    #[default]
    Rest,
    /// The WebSocket API: order entry, and on spot the private events.
    Api,
    Market,
    Private,
}

/// Whom a fault hits: everybody, all connections of a kind, or one by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Target {
    Number(u64),
    Word(Word),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    All,
    Rest,
    Api,
    Market,
    Private,
}

/// One fault, as the control endpoint reads it.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// A TCP reset: at once, or with `in_frame` in the middle of the next write.
    Reset {
        target: Target,
        #[serde(default)]
        in_frame: bool,
    },
    /// A half-open connection: nothing is read or written for a while, and nothing is closed. `new`: later connections too.
    Silence {
        target: Target,
        for_ms: u64,
        #[serde(default)]
        new: bool,
    },
    /// The venue reads this slowly from now on.
    SlowRead { target: Target, bytes_per_second: u32 },
    /// Every message leaves this much later from now on, in order.
    Lag {
        target: Target,
        ms: u64,
        #[serde(default)]
        new: bool,
    },
    /// A door is shut: its connections are reset, and new ones refused: `all` is the whole venue (nothing listens), else 503.
    Down { target: Word, for_ms: u64 },
    /// What happens to the next `times` requests of this name (`order.place`, `POST /fapi/v1/order`, or `*`): `"how":"lose"`,
    /// `"reset"`, `{"delay":{"ms":50}}`, `{"refuse":{"status":503,"code":-1008,"msg":""}}`.
    Request {
        request: String,
        #[serde(default = "once")]
        times: u32,
        how: How,
    },
    /// Private events leave this much later than they happen, whatever socket they take; zero ends it.
    DelayEvents { ms: u64 },
    /// Something is wrong with the next `messages` depth updates of each connection of `target`.
    Depth { target: Target, what: Mischief, messages: u32 },
    /// For a while the venue shows a certificate of an authority that nobody trusts.
    WrongCertificate { for_ms: u64 },
    /// All listen keys end now.
    ExpireListenKeys {},
    /// The venue's clock, as clients see it, is wrong by this much; zero ends it.
    Clock { offset_ms: i64 },
    /// Request limits from now on.
    Limits {
        weight_per_minute: Option<u32>,
        refusals_before_ban: Option<u32>,
        first_ban_ms: Option<u64>,
        orders_per_10_seconds: Option<u32>,
        orders_per_minute: Option<u32>,
    },
}

/// What becomes of one request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum How {
    /// Not carried out; answered with this status, code and text.
    Refuse {
        status: u16,
        #[serde(default = "unknown_code")]
        code: i32,
        #[serde(default)]
        msg: String,
        retry_after_ms: Option<u64>,
    },
    /// Carried out, and never answered.
    Lose,
    /// Carried out; the connection is reset instead of an answer.
    Reset,
    /// Carried out, and answered later.
    Delay { ms: u64 },
}

/// What can be wrong with depth updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mischief {
    /// Left out: a gap.
    Skip,
    /// Sent twice.
    Double,
    /// Sent after the one that follows.
    Swap,
    /// Only its first half is sent, as a whole message.
    Cut,
}

fn once() -> u32 {
    1
}

fn unknown_code() -> i32 {
    ApiError::UNKNOWN.code
}

/// How often a client order id came in a request for a new order, and how often that made an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Placed {
    pub asked: u32,
    pub taken: u32,
}

/// The faults in force.
#[derive(Default)]
pub struct Faults {
    lines: RefCell<BTreeMap<u64, Weak<Line>>>,
    last_line: Cell<u64>,
    standing: RefCell<Vec<Standing>>,
    requests: RefCell<Vec<(String, u32, How)>>,
    shut: RefCell<Vec<(Word, Instant)>>,
    shut_changed: Notify,
    wrong_certificate_until: Cell<Option<Instant>>,
    placed: RefCell<BTreeMap<String, Placed>>,
}

/// What new connections get when they show what they are for.
#[derive(Clone, Copy)]
struct Standing {
    target: Target,
    until: Option<Instant>,
    effect: Effect,
}

#[derive(Clone, Copy)]
enum Effect {
    Silence,
    Lag(Duration),
}

impl Faults {
    // -------------------------------------------------------------------------------------------- connections

    /// A connection that has just been accepted.
    pub fn connected(&self, peer_port: u16) -> Arc<Line> {
        let number = self.last_line.get() + 1;
        self.last_line.set(number);
        let line = Line::new(number, peer_port);
        let mut lines = self.lines.borrow_mut();
        lines.retain(|_, line| line.strong_count() > 0);
        lines.insert(number, Arc::downgrade(&line));
        drop(lines);
        self.apply_standing(&line, |target| target == Target::Word(Word::All));
        line
    }

    /// The connection has shown what it is for.
    pub fn is_for(&self, line: &Line, kind: Kind) {
        if line.kind() == kind {
            return;
        }
        line.set_kind(kind);
        self.apply_standing(line, |target| target != Target::Word(Word::All) && target.hits(line));
    }

    pub fn lines(&self) -> Vec<Arc<Line>> {
        self.lines.borrow().values().filter_map(Weak::upgrade).collect()
    }

    fn hit(&self, target: Target) -> Vec<Arc<Line>> {
        self.lines().into_iter().filter(|line| target.hits(line)).collect()
    }

    fn apply_standing(&self, line: &Line, applies: impl Fn(Target) -> bool) {
        let now = Instant::now();
        self.standing.borrow_mut().retain(|standing| standing.until.is_none_or(|until| until > now));
        for standing in self.standing.borrow().iter().filter(|standing| applies(standing.target)) {
            match (standing.effect, standing.until) {
                (Effect::Silence, Some(until)) => line.silence(until),
                (Effect::Silence, None) => {}
                (Effect::Lag(lag), _) => line.set_lag(lag),
            }
        }
    }

    // -------------------------------------------------------------------------------------------- doors

    /// Whether requests and upgrades of this kind are turned away just now.
    pub fn is_shut(&self, kind: Kind) -> bool {
        let now = Instant::now();
        self.shut.borrow_mut().retain(|(_, until)| *until > now);
        self.shut.borrow().iter().any(|(word, _)| word.names(kind))
    }

    /// Ready when the whole venue is to be away, with the moment of its return.
    pub async fn away(&self) -> Instant {
        loop {
            let changed = self.shut_changed.notified();
            if let Some(until) = self.away_until() {
                return until;
            }
            changed.await;
        }
    }

    fn away_until(&self) -> Option<Instant> {
        let now = Instant::now();
        let shut = self.shut.borrow();
        shut.iter().filter(|(word, until)| *word == Word::All && *until > now).map(|(_, until)| *until).max()
    }

    pub fn shows_wrong_certificate(&self) -> bool {
        self.wrong_certificate_until.get().is_some_and(|until| Instant::now() < until)
    }

    // -------------------------------------------------------------------------------------------- requests

    /// What is to become of a request that has these names; each use counts down.
    pub fn of_request(&self, names: &[&str]) -> Option<How> {
        let mut requests = self.requests.borrow_mut();
        let at = requests.iter().position(|(name, ..)| name == "*" || names.contains(&name.as_str()))?;
        let (_, times, how) = &mut requests[at];
        let how = how.clone();
        *times = times.saturating_sub(1);
        if *times == 0 {
            requests.remove(at);
        }
        Some(how)
    }

    /// Keeps count of new orders, so that a test can say that none was sent twice.
    pub fn asked_to_place(&self, client_order_id: Option<&str>) {
        if let Some(id) = client_order_id {
            self.placed.borrow_mut().entry(id.to_owned()).or_default().asked += 1;
        }
    }

    /// The reply to a request that places something.
    pub fn has_placed(&self, reply: &Reply) {
        let client_order_id = match reply {
            Reply::Order(order) => &*order.client_order_id,
            Reply::Algo(algo) => &*algo.client_algo_id,
            _ => return,
        };
        self.placed.borrow_mut().entry(client_order_id.to_owned()).or_default().taken += 1;
    }

    // -------------------------------------------------------------------------------------------- orders

    /// Ends everything that is in force. Connections that are gone stay gone.
    pub fn heal(&self) {
        self.standing.borrow_mut().clear();
        self.requests.borrow_mut().clear();
        self.shut.borrow_mut().clear();
        self.wrong_certificate_until.set(None);
        for line in self.lines() {
            line.heal();
        }
    }

    /// Does what concerns connections, doors and requests; answers with the numbers of the connections that were hit.
    pub fn carry_out(&self, order: &Order) -> Vec<u64> {
        let after = |ms: u64| Instant::now() + Duration::from_millis(ms.min(24 * 3_600_000));
        let each = |target: Target, act: &dyn Fn(&Line)| {
            let hit = self.hit(target);
            hit.iter().for_each(|line| act(line));
            hit.iter().map(|line| line.number).collect()
        };
        match *order {
            Order::Reset { target, in_frame } => each(target, &|line| line.reset(in_frame)),
            Order::Silence { target, for_ms, new } => {
                let until = after(for_ms);
                if new {
                    let standing = Standing { target, until: Some(until), effect: Effect::Silence };
                    self.standing.borrow_mut().push(standing);
                }
                each(target, &|line| line.silence(until))
            }
            Order::SlowRead { target, bytes_per_second } => {
                each(target, &|line| line.read_slowly(bytes_per_second))
            }
            Order::Lag { target, ms, new } => {
                let lag = Duration::from_millis(ms);
                self.standing.borrow_mut().retain(|standing| {
                    standing.target != target || !matches!(standing.effect, Effect::Lag(_))
                });
                if new {
                    let standing = Standing { target, until: None, effect: Effect::Lag(lag) };
                    self.standing.borrow_mut().push(standing);
                }
                each(target, &|line| line.set_lag(lag))
            }
            Order::Down { target, for_ms } => {
                self.shut.borrow_mut().push((target, after(for_ms)));
                let hit = each(Target::Word(target), &|line| line.reset(false));
                self.shut_changed.notify_waiters();
                hit
            }
            Order::Request { ref request, times, ref how } => {
                self.requests.borrow_mut().push((request.clone(), times, how.clone()));
                Vec::new()
            }
            Order::WrongCertificate { for_ms } => {
                self.wrong_certificate_until.set(Some(after(for_ms)));
                Vec::new()
            }
            Order::Depth { target, .. } => each(target, &|_| {}),
            Order::DelayEvents { .. }
            | Order::ExpireListenKeys {}
            | Order::Clock { .. }
            | Order::Limits { .. } => Vec::new(),
        }
    }
}

impl Target {
    pub fn hits(self, line: &Line) -> bool {
        match self {
            Target::Number(number) => line.number == number,
            Target::Word(word) => word.names(line.kind()),
        }
    }
}

impl Word {
    fn names(self, kind: Kind) -> bool {
        match self {
            Word::All => true,
            Word::Rest => kind == Kind::Rest,
            Word::Api => kind == Kind::Api,
            Word::Market => kind == Kind::Market,
            Word::Private => kind == Kind::Private,
        }
    }
}

impl How {
    /// The refusal that it is, if it is one.
    pub fn refusal(&self) -> Option<Refusal> {
        let How::Refuse { status, code, msg, retry_after_ms } = self else { return None };
        Some(Refusal {
            status: *status,
            error: ApiError::with(*code, msg.clone()),
            retry_after_ms: *retry_after_ms,
            data: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> Order {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn orders_read_from_what_a_test_writes_and_name_what_is_wrong() {
        assert!(matches!(
            order(r#"{"fault":"reset","target":"api","in_frame":true}"#),
            Order::Reset { target: Target::Word(Word::Api), in_frame: true }
        ));
        assert!(matches!(
            order(r#"{"fault":"lag","target":7,"ms":50}"#),
            Order::Lag { target: Target::Number(7), ms: 50, new: false }
        ));
        assert!(matches!(
            order(r#"{"fault":"request","request":"order.place","how":"lose"}"#),
            Order::Request { times: 1, how: How::Lose, .. }
        ));
        for wrong in [
            r#"{"fault":"resets","target":"api"}"#,
            r#"{"fault":"reset","target":"moon"}"#,
            r#"{"fault":"reset"}"#,
        ] {
            assert!(serde_json::from_str::<Order>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_request_fault_is_used_up_after_its_times() {
        let faults = Faults::default();
        faults.carry_out(&order(r#"{"fault":"request","request":"order.place","times":2,"how":"lose"}"#));
        assert_eq!(faults.of_request(&["order.cancel"]), None);
        assert_eq!(faults.of_request(&["POST /fapi/v1/order", "order.place"]), Some(How::Lose));
        assert_eq!(faults.of_request(&["order.place"]), Some(How::Lose));
        assert_eq!(faults.of_request(&["order.place"]), None);
    }

    #[test]
    fn standing_faults_meet_new_connections_of_their_kind_only() {
        let faults = Faults::default();
        faults.carry_out(&order(r#"{"fault":"lag","target":"market","ms":40,"new":true}"#));
        let (one, other) = (faults.connected(1), faults.connected(2));
        faults.is_for(&one, Kind::Market);
        faults.is_for(&other, Kind::Api);
        assert_eq!(one.lag(), Duration::from_millis(40));
        assert_eq!(other.lag(), Duration::ZERO);
        faults.heal();
        assert_eq!(one.lag(), Duration::ZERO);
    }
}
