//! The seam for faults: what a hostile venue does on purpose (late answers, lost outputs, refusals out of nowhere).
//!
//! Nothing is built yet. When it is, a seeded `Faults` will stand between `Exchange` and its caller and rewrite replies and outputs; the
//! engine behind it stays honest, so that every fault is a difference that a test can name.
