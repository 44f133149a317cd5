//! The control endpoint: a port of its own on loopback, plain HTTP and JSON, that exists only in a venue started with `--control`.
//!
//! | request | does |
//! |---|---|
//! | `GET /connections` | every client connection: number, kind, the client's port, age, bytes that wait |
//! | `GET /orders` | by client order id: how often a new order was asked for (`asked`) and made (`taken`) |
//! | `POST /faults` | one [`Order`] as JSON; answers with the connections that it hit |
//! | `DELETE /faults` | ends all faults; connections that are gone stay gone |
//!
//! A wrong request is a 400 that says what was expected.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::super::floor::{Floor, note};
use super::super::json::{Object, array, string};
use super::super::server::{Answer, json};
use super::Order;

const LARGEST_BODY: usize = 16 * 1024;

/// Accepts for ever.
pub async fn accept(listener: TcpListener, floor: Rc<Floor>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                note(&format_args!("cannot accept on the control endpoint: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let floor = floor.clone();
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| {
                let floor = floor.clone();
                async move { Ok::<_, Infallible>(serve(request, &floor).await) }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn serve(request: Request<Incoming>, floor: &Floor) -> Answer {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await.map(|body| body.to_bytes()) else {
        return wrong("the body is too large, or broke off");
    };
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/connections") => json(200, connections(floor)),
        (&Method::GET, "/orders") => match serde_json::to_string(&*floor.faults.placed.borrow()) {
            Ok(text) => json(200, text),
            Err(error) => wrong(&error.to_string()),
        },
        (&Method::DELETE, "/faults") => {
            heal(floor);
            json(200, r#"{"done":true}"#.to_owned())
        }
        (&Method::POST, "/faults") => match serde_json::from_slice::<Order>(&body) {
            Ok(order) => {
                let hit = carry_out(floor, &order);
                let numbers = array(hit.iter().map(u64::to_string));
                json(200, Object::new().plain("done", true).plain("connections", numbers).close())
            }
            Err(error) => wrong(&error.to_string()),
        },
        _ => wrong("expected GET /connections, GET /orders, POST /faults or DELETE /faults"),
    }
}

fn wrong(why: &str) -> Answer {
    json(400, Object::new().text("error", why).close())
}

fn connections(floor: &Floor) -> String {
    let waiting = |number: u64| {
        let hub = floor.hub.borrow();
        let found = hub.connections().find(|connection| connection.line_number() == Some(number));
        found.map_or(0, |connection| connection.outbox.bytes())
    };
    array(floor.faults.lines().iter().map(|line| {
        Object::new()
            .plain("number", line.number)
            .plain("kind", serde_json::to_string(&line.kind()).unwrap_or_else(|_| string("")))
            .plain("peer_port", line.peer_port)
            .plain("age_ms", line.since.elapsed().as_millis())
            .plain("bytes_waiting", waiting(line.number))
            .close()
    }))
}

fn heal(floor: &Floor) {
    floor.faults.heal();
    floor.set_clock_offset(0);
    floor.hub.borrow_mut().delay_events(Duration::ZERO);
    floor.limits.borrow_mut().config = floor.config.limits.clone();
    for connection in floor.hub.borrow().connections() {
        connection.mischief.set(None);
    }
}

fn carry_out(floor: &Floor, order: &Order) -> Vec<u64> {
    match order {
        Order::Depth { target, what, messages } => {
            for connection in floor.hub.borrow().connections().filter(|found| found.is_hit(*target)) {
                connection.mischief.set((*messages > 0).then_some((*what, *messages)));
            }
        }
        Order::DelayEvents { ms } => floor.hub.borrow_mut().delay_events(Duration::from_millis(*ms)),
        Order::ExpireListenKeys {} => floor.expire_all_listen_keys(),
        Order::Clock { offset_ms } => floor.set_clock_offset(*offset_ms),
        Order::Limits {
            weight_per_minute,
            refusals_before_ban,
            first_ban_ms,
            orders_per_10_seconds,
            orders_per_minute,
        } => {
            let config = &mut floor.limits.borrow_mut().config;
            config.weight_per_minute = weight_per_minute.unwrap_or(config.weight_per_minute);
            config.refusals_before_ban = refusals_before_ban.unwrap_or(config.refusals_before_ban);
            config.first_ban_ms = first_ban_ms.unwrap_or(config.first_ban_ms);
            config.orders_per_10_seconds = orders_per_10_seconds.unwrap_or(config.orders_per_10_seconds);
            config.orders_per_minute = orders_per_minute.unwrap_or(config.orders_per_minute);
        }
        _ => {}
    }
    floor.faults.carry_out(order)
}
