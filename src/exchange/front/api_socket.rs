//! The WebSocket API: requests and answers on one connection, signed one by one or after `session.logon`.
//!
//! A request is `{"id":..,"method":..,"params":{..}}`; its answer repeats the id and carries `status`, `result` or `error`, and `rateLimits`
//! (unless `returnRateLimits` is false). Answers come in the order of requests, but for `depth`, which may wait. The private events of
//! a command go to the private stream, a socket of its own, in the engine's order; which of the two a client sees first is open, as at the exchange.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;

use super::super::{ApiError, Product};
use super::answers::{self, Ask, Security};
use super::faults::How;
use super::floor::Floor;
use super::hub::Connection;
use super::json::{Object, array, string};
use super::keys::ApiKey;
use super::params::{Params, Signed};
use super::refusal::Refusal;
use super::shapes::{Version, rate_limit};
use super::socket::drive;
use super::spot;
use super::streams::{Feed, Subscription};

/// Requests are limited by weight; this only stops a flood.
const MESSAGES_PER_SECOND: u32 = 10_000;

/// Method names as documented ("Websocket API": trade, account, user data streams, market data, general).
const METHODS: &[(&str, Ask)] = &[
    ("ping", Ask::Ping),
    ("time", Ask::Time),
    ("depth", Ask::Depth),
    ("ticker.book", Ask::BookTicker),
    ("ticker.price", Ask::PriceTicker),
    ("order.place", Ask::Place),
    ("order.test", Ask::TestPlace),
    ("order.modify", Ask::Modify),
    ("order.cancel", Ask::Cancel),
    ("order.status", Ask::QueryOrder),
    ("account.status", Ask::Account(Version::V2)),
    ("v2/account.status", Ask::Account(Version::V3)),
    ("account.balance", Ask::Balance),
    ("v2/account.balance", Ask::Balance),
    ("account.position", Ask::PositionRisk(Version::V2)),
    ("v2/account.position", Ask::PositionRisk(Version::V3)),
    ("algoOrder.place", Ask::PlaceAlgo),
    ("algoOrder.cancel", Ask::CancelAlgo),
    ("userDataStream.start", Ask::StartListenKey),
    ("userDataStream.ping", Ask::RenewListenKey),
    ("userDataStream.stop", Ask::CloseListenKey),
];

/// The method that asks the same, for faults that are ordered by name.
pub fn method_of(product: Product, ask: Ask) -> Option<&'static str> {
    methods(product).iter().find(|(_, asked)| *asked == ask).map(|(name, _)| *name)
}

fn methods(product: Product) -> &'static [(&'static str, Ask)] {
    match product {
        Product::UsdmPerpetual => METHODS,
        Product::Spot => spot::METHODS,
    }
}

/// One API connection.
struct Api {
    floor: Rc<Floor>,
    connection: Rc<Connection>,
    peer: IpAddr,
    connected_since_ms: u64,
    /// `?returnRateLimits=false` of the connection.
    return_rate_limits: bool,
    session: RefCell<Option<Session>>,
    /// The number of the next private subscription.
    last_subscription: Cell<u64>,
}

#[derive(Clone)]
struct Session {
    api_key: String,
    authorized_since_ms: u64,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: String,
    #[serde(borrow, default)]
    params: BTreeMap<String, &'a RawValue>,
}

/// A request that has passed the limits and the lock.
struct Admitted<'a> {
    key: Option<&'a ApiKey>,
    ask: Ask,
}

pub async fn serve<S>(
    socket: WebSocketStream<S>,
    floor: Rc<Floor>,
    connection: Rc<Connection>,
    peer: IpAddr,
    return_rate_limits: bool,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let number = floor.hub.borrow_mut().join(connection.clone());
    let connected_since_ms = floor.now_ms();
    let session = RefCell::new(None);
    let api = Rc::new(Api {
        floor,
        connection,
        peer,
        connected_since_ms,
        return_rate_limits,
        session,
        last_subscription: Cell::new(0),
    });
    drive(socket, &api.floor, &api.connection, MESSAGES_PER_SECOND, |text| api.clone().take(text)).await;
    api.floor.hub.borrow_mut().leave(number);
    api.floor.drained();
}

impl Api {
    fn take(self: Rc<Self>, text: &str) {
        let request: Request<'_> = match serde_json::from_str(text) {
            Ok(request) => request,
            Err(error) => {
                let refusal = ApiError::with(-1135, format!("Invalid JSON request: {error}")).into();
                return self.answer("null", Err(refusal), None, true);
            }
        };
        let id = request.id.map_or("null", RawValue::get);
        if !is_id(id) {
            let refusal = ApiError::new(
                -1135,
                "Invalid 'id' in JSON request; expected an integer, a string of at most 36 characters, or null.",
            );
            return self.answer("null", Err(refusal.into()), None, true);
        }
        let (params, signed) = match Params::from_object(&request.params) {
            Ok(read) => read,
            Err(error) => return self.answer(id, Err(error.into()), None, true),
        };
        let with_limits =
            params.raw("returnRateLimits").map_or(self.return_rate_limits, |wanted| wanted != "false");
        let fault = self.fault(&request.method);
        if let Some(refusal) = fault.as_ref().and_then(How::refusal) {
            return self.answer(id, Err(refusal), None, with_limits);
        }
        let result = match request.method.as_str() {
            "session.logon" => self.logon(&params, &signed),
            "session.status" => self.weigh(2).map(|()| self.status()),
            "userDataStream.subscribe" if self.floor.product == Product::Spot => {
                self.weigh(2).and_then(|()| self.subscribe(self.session_key()?.account))
            }
            "userDataStream.subscribe.signature" if self.floor.product == Product::Spot => self
                .weigh(2)
                .and_then(|()| self.authenticate(params.raw("apiKey"), &params, &signed))
                .and_then(|key| self.subscribe(key.account)),
            "userDataStream.unsubscribe" if self.floor.product == Product::Spot => {
                self.weigh(2).and_then(|()| self.unsubscribe(&params))
            }
            "session.subscriptions" if self.floor.product == Product::Spot => {
                self.weigh(2).map(|()| self.subscriptions())
            }
            "session.logout" => self.weigh(2).map(|()| {
                self.session.replace(None);
                self.status()
            }),
            method => match self.admit(method, &params, &signed) {
                Ok(Admitted { ask: Ask::Depth, .. }) => {
                    let (api, id) = (self.clone(), id.to_owned());
                    tokio::task::spawn_local(async move {
                        let result = answers::depth(&api.floor, &params).await;
                        api.answer(&id, result.map_err(Refusal::from), None, with_limits);
                    });
                    return;
                }
                Ok(admitted) => {
                    let result = answers::answer(&self.floor, admitted.ask, admitted.key, &params);
                    let counted =
                        admitted.key.filter(|_| admitted.ask.order_cost().is_some()).map(|key| key.account);
                    return self.answer_as_ordered(fault, id, result, counted, with_limits);
                }
                Err(refusal) => Err(refusal),
            },
        };
        self.answer_as_ordered(fault, id, result, None, with_limits);
    }

    /// What was ordered to become of this request.
    fn fault(&self, method: &str) -> Option<How> {
        if !self.floor.config.control {
            return None;
        }
        self.floor.faults.of_request(&[method])
    }

    /// The answer, or what a fault makes of it.
    fn answer_as_ordered(
        self: &Rc<Self>,
        fault: Option<How>,
        id: &str,
        result: Result<String, Refusal>,
        order_of: Option<u32>,
        with_limits: bool,
    ) {
        match fault {
            Some(How::Lose) => {}
            Some(How::Reset) => {
                if let Some(line) = &self.connection.line {
                    line.reset(false);
                }
            }
            Some(How::Delay { ms }) => {
                let (api, id) = (self.clone(), id.to_owned());
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    api.answer(&id, result, order_of, with_limits);
                });
            }
            Some(How::Refuse { .. }) | None => self.answer(id, result, order_of, with_limits),
        }
    }

    fn admit<'a>(&'a self, method: &str, params: &Params, signed: &Signed) -> Result<Admitted<'a>, Refusal> {
        let Some(&(_, ask)) = methods(self.floor.product).iter().find(|(name, _)| *name == method) else {
            self.weigh(1)?;
            return Err(ApiError::with(
                -1020,
                format!("This operation is not supported: method '{method}'."),
            )
            .into());
        };
        self.weigh(ask.weight(self.floor.product, params))?;
        let key = match ask.security() {
            Security::Open => None,
            Security::Key => Some(match params.raw("apiKey") {
                Some(api_key) => self.floor.identify(Some(api_key))?,
                None => self.session_key()?,
            }),
            // A signature of its own counts before the session.
            Security::Signed => Some(match (params.raw("apiKey"), &signed.signature) {
                (None, None) => {
                    let key = self.session_key()?;
                    self.floor.in_time(params)?;
                    key
                }
                (api_key, _) => self.authenticate(api_key, params, signed)?,
            }),
        };
        self.floor.heard(ask, params);
        if let (Some(cost), Some(key)) = (ask.order_cost(), key) {
            let counted = self.floor.count_order(key.account, cost);
            counted.map_err(|over| Refusal::over(over, self.floor.weight_limit(), self.peer))?;
        }
        Ok(Admitted { key, ask })
    }

    fn logon(&self, params: &Params, signed: &Signed) -> Result<String, Refusal> {
        self.weigh(2)?;
        let key = self.authenticate(params.raw("apiKey"), params, signed)?;
        if !key.is_ed25519() {
            return Err(ApiError::new(-4056, "HMAC_SHA256 API key is not supported.").into());
        }
        let session = Session { api_key: key.api_key.clone(), authorized_since_ms: self.floor.now_ms() };
        self.session.replace(Some(session));
        Ok(self.status())
    }

    fn authenticate(
        &self,
        api_key: Option<&str>,
        params: &Params,
        signed: &Signed,
    ) -> Result<&ApiKey, Refusal> {
        let api_key = api_key.filter(|key| !key.is_empty()).ok_or_else(|| ApiError::mandatory("apiKey"))?;
        Ok(self.floor.authenticate(Some(api_key), params, signed)?)
    }

    fn session_key(&self) -> Result<&ApiKey, Refusal> {
        let session = self.session.borrow();
        let session = session.as_ref().ok_or_else(|| ApiError::mandatory("apiKey"))?;
        Ok(self.floor.identify(Some(&session.api_key))?)
    }

    /// Private events of an account on this connection from now on, once for each account.
    fn subscribe(&self, account: u32) -> Result<String, Refusal> {
        let feed = Feed::User { account };
        let mut subscriptions = self.connection.subscriptions.borrow_mut();
        if subscriptions.iter().any(|found| found.feed == feed) {
            let error = ApiError::new(-2035, "Already subscribed to this User Data Stream.");
            return Err(error.into());
        }
        let number = self.last_subscription.get();
        self.last_subscription.set(number + 1);
        subscriptions.push(Subscription { name: number.to_string(), symbol: None, feed });
        Ok(Object::new().plain("subscriptionId", number).close())
    }

    /// Ends one subscription, or all.
    fn unsubscribe(&self, params: &Params) -> Result<String, Refusal> {
        let which = params.integer("subscriptionId")?.map(|number| number.to_string());
        let mut subscriptions = self.connection.subscriptions.borrow_mut();
        subscriptions.retain(|found| which.as_ref().is_some_and(|which| found.name != *which));
        Ok("{}".to_owned())
    }

    fn subscriptions(&self) -> String {
        let subscriptions = self.connection.subscriptions.borrow();
        array(subscriptions.iter().map(|found| Object::new().plain("subscriptionId", &found.name).close()))
    }

    fn status(&self) -> String {
        let session = self.session.borrow();
        let (api_key, since) = match &*session {
            Some(session) => (string(&session.api_key), session.authorized_since_ms.to_string()),
            None => ("null".into(), "null".into()),
        };
        Object::new()
            .plain("apiKey", api_key)
            .plain("authorizedSince", since)
            .plain("connectedSince", self.connected_since_ms)
            .plain("returnRateLimits", self.return_rate_limits)
            .plain("serverTime", self.floor.shown_ms())
            .close()
    }

    fn weigh(&self, weight: u32) -> Result<(), Refusal> {
        let counted = self.floor.weigh(self.peer, weight);
        counted.map(drop).map_err(|over| Refusal::over(over, self.floor.weight_limit(), self.peer))
    }

    fn answer(&self, id: &str, result: Result<String, Refusal>, order_of: Option<u32>, with_limits: bool) {
        let mut out = Object::with_capacity(768).plain("id", id);
        out = match &result {
            Ok(result) => out.plain("status", 200).plain("result", result),
            Err(refusal) => {
                let mut error =
                    Object::new().plain("code", refusal.error.code).text("msg", &refusal.error.msg);
                if let Some(data) = &refusal.data {
                    error = error.plain("data", data);
                }
                if let Some(retry_after_ms) = refusal.retry_after_ms {
                    let now = self.floor.now_ms();
                    let data = Object::new()
                        .plain("serverTime", now)
                        .plain("retryAfter", now + retry_after_ms)
                        .close();
                    error = error.plain("data", data);
                }
                out.plain("status", refusal.status).plain("error", error.close())
            }
        };
        if with_limits {
            out = out.plain("rateLimits", self.rate_limits(order_of));
        }
        self.connection.outbox.text(out.close());
    }

    /// `order_of`: the account whose order counts belong to the answer.
    fn rate_limits(&self, order_of: Option<u32>) -> String {
        let mut limits = self.floor.limits.borrow_mut();
        let now = self.floor.now_ms();
        let weight = rate_limit(
            "REQUEST_WEIGHT",
            "MINUTE",
            1,
            limits.config.weight_per_minute,
            Some(limits.weight_used(now, self.peer)),
        );
        let Some(account) = order_of else { return array([weight]) };
        drop(limits);
        let mut all = self.floor.order_limits(account);
        all.push(weight);
        array(all)
    }
}

/// "INT / STRING / null", as it stands in the request.
fn is_id(raw: &str) -> bool {
    match raw.as_bytes().first() {
        Some(b'"') => raw.chars().count() <= 36 + 2,
        Some(b'n') => true,
        Some(b'-' | b'0'..=b'9') => !raw.contains(['.', 'e', 'E']),
        _ => false,
    }
}
