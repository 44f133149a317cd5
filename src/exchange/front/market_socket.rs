//! Stream connections: subscriptions by address and by message ("Live Subscribing/Unsubscribing to streams").
//!
//! `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY` and `GET_PROPERTY` (`combined`), answered `{"result":null,"id":1}`, or
//! `{"error":{"code":..,"msg":".."},"id":1}` with the documents' codes: 0 unknown property, 1 wrong type, 2 wrong request, 3 not JSON.

use std::rc::Rc;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;

use super::floor::Floor;
use super::hub::Connection;
use super::json::{Object, array, string};
use super::socket::drive;

/// "Connections are limited to 10 incoming messages per second", and "maximum of 1024 streams".
const MESSAGES_PER_SECOND: u32 = 10;
const MOST_STREAMS: usize = 1024;
/// Longer than any stream's name or listen key.
const LONGEST_NAME: usize = 128;

pub async fn serve<S>(
    socket: WebSocketStream<S>,
    floor: Rc<Floor>,
    connection: Rc<Connection>,
    streams: Vec<String>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let number = floor.hub.borrow_mut().join(connection.clone());
    let names = streams.iter().filter(|name| name.len() <= LONGEST_NAME).take(MOST_STREAMS);
    let read = names.map(|name| floor.read_stream(&connection, name)).collect();
    floor.subscribe(&connection, read);
    drive(socket, &floor, &connection, MESSAGES_PER_SECOND, |text| {
        let answer = answer(&connection, text);
        connection.outbox.text(answer.text);
        // After the answer, so that no event of a new stream comes before it.
        if let Some(names) = answer.subscribe {
            let read = names.iter().map(|name| floor.read_stream(&connection, name)).collect();
            floor.subscribe(&connection, read);
        }
    })
    .await;
    floor.hub.borrow_mut().leave(number);
    // Playback may have waited for this reader.
    floor.drained();
}

struct Answer {
    text: String,
    subscribe: Option<Vec<String>>,
}

struct Refusal {
    code: u32,
    text: String,
}

fn answer(connection: &Connection, text: &str) -> Answer {
    let request: Value = match serde_json::from_str(text) {
        Ok(request) => request,
        Err(error) => {
            let refusal = Refusal { code: 3, text: format!("Invalid JSON: {error}") };
            return Answer { text: refused(&refusal, None), subscribe: None };
        }
    };
    let id =
        request.get("id").filter(|id| id.is_u64() || id.is_string() || id.is_null()).map(Value::to_string);
    match carry_out(connection, &request, id.is_some()) {
        Ok((result, subscribe)) => {
            let text =
                Object::new().plain("result", result).plain("id", id.as_deref().unwrap_or("null")).close();
            Answer { text, subscribe }
        }
        Err(refusal) => Answer { text: refused(&refusal, id.as_deref()), subscribe: None },
    }
}

fn carry_out(
    connection: &Connection,
    request: &Value,
    has_id: bool,
) -> Result<(String, Option<Vec<String>>), Refusal> {
    let invalid = |text: &str| Refusal { code: 2, text: format!("Invalid request: {text}") };
    let Some(fields) = request.as_object() else { return Err(invalid("expected an object")) };
    if !has_id && fields.contains_key("id") {
        return Err(invalid("request ID must be an unsigned integer"));
    }
    let method = match fields.get("method") {
        Some(Value::String(method)) => method.as_str(),
        Some(_) => return Err(invalid("method must be a string")),
        None => return Err(invalid("missing field `method`")),
    };
    let params: &[Value] = match fields.get("params") {
        Some(Value::Array(params)) => params,
        None | Some(Value::Null) => &[],
        Some(_) => return Err(invalid("params must be an array")),
    };
    let names = || {
        let mut names = Vec::with_capacity(params.len());
        for param in params {
            match param.as_str() {
                Some(name) if name.len() <= LONGEST_NAME => names.push(name.to_owned()),
                Some(_) => return Err(invalid("stream name is too long")),
                None => return Err(invalid("stream name must be a string")),
            }
        }
        Ok(names)
    };
    match method {
        "SUBSCRIBE" => {
            let names = names()?;
            if connection.subscriptions.borrow().len() + names.len() > MOST_STREAMS {
                return Err(invalid("too many parameters"));
            }
            Ok(("null".into(), Some(names)))
        }
        "UNSUBSCRIBE" => {
            let names = names()?;
            connection.subscriptions.borrow_mut().retain(|subscription| !names.contains(&subscription.name));
            Ok(("null".into(), None))
        }
        "LIST_SUBSCRIPTIONS" => {
            let subscriptions = connection.subscriptions.borrow();
            Ok((array(subscriptions.iter().map(|subscription| string(&subscription.name))), None))
        }
        "SET_PROPERTY" | "GET_PROPERTY" => {
            match params.first() {
                Some(Value::String(name)) if name == "combined" => {}
                Some(Value::String(_)) => return Err(Refusal { code: 0, text: "Unknown property".into() }),
                _ => return Err(invalid("property name must be a string")),
            }
            if method == "GET_PROPERTY" {
                return Ok((connection.combined.get().to_string(), None));
            }
            match params.get(1) {
                Some(Value::Bool(combined)) => connection.combined.set(*combined),
                _ => return Err(Refusal { code: 1, text: "Invalid value type: expected Boolean".into() }),
            }
            Ok(("null".into(), None))
        }
        other => Err(invalid(&format!(
            "unknown variant `{other}`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"
        ))),
    }
}

fn refused(refusal: &Refusal, id: Option<&str>) -> String {
    let error = Object::new().plain("code", refusal.code).text("msg", &refusal.text).close();
    Object::new().plain("error", error).plain_if("id", id).close()
}
