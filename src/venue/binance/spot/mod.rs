//! What is spot's alone: its order requests, with a replacement made of a cancellation and a new order, and its private events.

pub(super) mod orders;
pub(super) mod reports;
