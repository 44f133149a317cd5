//! How a refusal reaches the client: an HTTP status (REST), or the same number as `status` (WebSocket API), with the exchange's code and text.

use std::net::IpAddr;

use super::super::ApiError;
use super::limits::Over;

/// A refusal with everything that either wire says about it.
#[derive(Debug)]
pub struct Refusal {
    pub status: u16,
    pub error: ApiError,
    /// Of 429 and 418.
    pub retry_after_ms: Option<u64>,
    /// What did happen, where one request asks for two things (JSON).
    pub data: Option<String>,
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let status = match error.code {
            -2014 | -2015 | -1002 => 401,
            -1003 | -1015 => 429,
            -1007 => 408,
            -1000 | -1001 => 500,
            -5000 => 404,
            _ => 400,
        };
        Refusal { status, error, retry_after_ms: None, data: None }
    }
}

impl Refusal {
    /// Over a limit: `weight_limit` is the one in force, `address` whose it is.
    pub fn over(over: Over, weight_limit: u32, address: IpAddr) -> Refusal {
        match over {
            Over::Weight { retry_after_ms } => Refusal {
                status: 429,
                error: ApiError::with(
                    -1003,
                    format!(
                        "Too many requests; current limit of IP({address}) is {weight_limit} requests per minute. Please use the \
                         websocket for live updates to avoid polling the API."
                    ),
                ),
                retry_after_ms: Some(retry_after_ms),
                data: None,
            },
            Over::Banned { until_ms, retry_after_ms } => Refusal {
                status: 418,
                error: ApiError::with(
                    -1003,
                    format!(
                        "Way too many requests; IP({address}) banned until {until_ms}. Please use the websocket for live updates to \
                         avoid bans."
                    ),
                ),
                retry_after_ms: Some(retry_after_ms),
                data: None,
            },
            Over::Orders { limit, interval, retry_after_ms } => Refusal {
                status: 429,
                error: ApiError::with(
                    -1015,
                    format!("Too many new orders; current limit is {limit} orders per {interval}."),
                ),
                retry_after_ms: Some(retry_after_ms),
                data: None,
            },
        }
    }
}
