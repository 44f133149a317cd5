//! Binance, USD-M futures and spot: one dialect, its differences in `wire::Dialect`.
//!
//! ```text
//! feed     market streams -> events; keeps each book in sync       scan (fixed layouts, hot) -> parse (everything else)
//! private  the account's stream -> reports
//! orders   dispatches -> order entry requests; answers -> outcomes
//! hydrate  REST requests, bodies -> read-backs
//! usdm     what is one product's alone: order requests, private events        spot
//! wire     names and limits of the venue        errors  what its codes prove        sign  keys        json  tolerant reading
//! ```

pub mod book_sync;
pub mod errors;
pub mod feed;
pub mod hydrate;
pub mod json;
pub mod market;
pub mod orders;
pub mod parse;
pub mod private;
mod reports;
pub mod scan;
mod sightings;
pub mod sign;
mod spot;
mod usdm;
pub mod wire;

#[cfg(test)]
mod payloads;
#[cfg(test)]
mod recordings;
