//! What an operator may say to a running engine, and what comes back: one JSON object a line, each way.
//!
//! ```text
//! {"verb":"kill","mode":"cancel","reason":"venue acts up"}      ->
//!                                                              <-  {"ok":true,"verb":"kill","sequence":81723,...}
//! {"verb":"sell everything"}                                    ->
//!                                                              <-  {"ok":false,"error":"unknown_verb","message":"..."}
//! ```
//!
//! The table of verbs is `verb::VERBS`; `docs/CONTROL.md` is printed from it. There is no verb that sends an order, and no
//! type here that could hold one. Nothing here knows a socket or the core's thread.

#[cfg(test)]
mod document;
pub mod names;
pub mod request;
mod setting;
pub mod token;
pub mod verb;

pub use request::{Answer, Refusal, Refused, Request, Who};
pub use verb::{VERBS, Verb};

/// Bytes of one request, its line end included. A longer line is refused before it is read to its end.
pub const MAX_LINE: usize = 4_096;

/// Characters of a reason.
pub const MAX_REASON: usize = 160;
