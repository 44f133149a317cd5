//! What is USD-M's alone: its order requests, with conditional orders through the algo service, and its private events.

pub(super) mod orders;
pub(super) mod reports;
