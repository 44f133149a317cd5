//! The numbers that counters are made of: one thread writes, any thread reads.
//!
//! Every access is Relaxed, and that is enough: each number stands for itself, its owner is the only one that writes it, and no
//! other memory is read by virtue of it. For the same reason an addition is a load and a store, not a locked
//! instruction. Two numbers read together may be of slightly different moments; nothing decides by them.
//! Hot.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

use std::marker::PhantomData;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use linchpin_core::event::{NotSentReason, RejectReason, RequestKind, Source};
use linchpin_core::id::{InstrumentId, VenueId};
use linchpin_core::record::{IncidentKind, RiskReason};

/// Only rises. Threads' values are summed.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    #[inline]
    pub fn one(&self) {
        self.add(1);
    }

    /// Takes over a total that its owner counts elsewhere (a ring end, a journal).
    #[inline]
    pub fn set(&self, total: u64) {
        self.0.store(total, Ordering::Relaxed);
    }

    /// What its owner has counted. Relaxed: a number for people, which orders nothing.
    #[inline]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Rises and falls. Threads' values are summed.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    #[inline]
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// The highest value so far. Of threads' values, the highest.
#[derive(Debug, Default)]
pub struct Peak(AtomicU64);

impl Peak {
    #[inline]
    pub fn raise(&self, value: u64) {
        if value > self.0.load(Ordering::Relaxed) {
            self.0.store(value, Ordering::Relaxed);
        }
    }
}

/// One cell for each label, and one for labels beyond the last.
#[derive(Debug)]
pub struct Family<C, L, const N: usize> {
    cells: [C; N],
    beyond: C,
    label: PhantomData<L>,
}

impl<C, L: Label, const N: usize> Family<C, L, N> {
    #[inline]
    pub fn of(&self, label: L) -> &C {
        self.cells.get(label.index()).unwrap_or(&self.beyond)
    }
}

impl<C: Default, L, const N: usize> Default for Family<C, L, N> {
    fn default() -> Self {
        Self { cells: std::array::from_fn(|_| C::default()), beyond: C::default(), label: PhantomData }
    }
}

/// What tells the cells of a family apart: a dense index, and a name for people.
pub trait Label: Copy + std::fmt::Debug {
    /// As in the documents and in exports.
    const KEY: &'static str;
    fn index(self) -> usize;
    /// The name of the label at this index.
    fn name(index: usize) -> String;
}

macro_rules! named_labels {
    ($($label:ident $key:literal),+ $(,)?) => { $(
        impl Label for $label {
            const KEY: &'static str = $key;
            #[inline]
            fn index(self) -> usize {
                usize::from(self.code())
            }
            fn name(index: usize) -> String {
                $label::ALL.get(index).map_or_else(|| "beyond".into(), |label| label.name().into())
            }
        }
    )+ };
}

named_labels! {
    Source "source",
    RequestKind "request",
    RiskReason "reason",
    RejectReason "reason",
    NotSentReason "reason",
    IncidentKind "kind",
}

macro_rules! numbered_labels {
    ($($label:ident $key:literal),+ $(,)?) => { $(
        impl Label for $label {
            const KEY: &'static str = $key;
            #[inline]
            fn index(self) -> usize {
                $label::index(self)
            }
            #[cold]
            fn name(index: usize) -> String {
                index.to_string()
            }
        }
    )+ };
}

numbered_labels! { InstrumentId "instrument", VenueId "venue" }

/// What a cell is read as. Cold.
pub trait Cell {
    type Value: Copy + Default + PartialEq + std::fmt::Debug;
    /// As in the documents.
    const KIND: &'static str;
    const LABEL: Option<&'static str>;
    /// Adds what this cell says to what other threads' cells said.
    fn fold(&self, into: &mut Self::Value);
    /// Each number with its label, if it has one. Numbers of a family that are zero are passed by.
    fn each(&self, see: &mut dyn FnMut(Option<String>, i128));
}

impl Cell for Counter {
    type Value = u64;
    const KIND: &'static str = "counter";
    const LABEL: Option<&'static str> = None;
    fn fold(&self, into: &mut u64) {
        *into = into.wrapping_add(self.0.load(Ordering::Relaxed));
    }
    fn each(&self, see: &mut dyn FnMut(Option<String>, i128)) {
        see(None, i128::from(self.0.load(Ordering::Relaxed)));
    }
}

impl Cell for Gauge {
    type Value = i64;
    const KIND: &'static str = "gauge";
    const LABEL: Option<&'static str> = None;
    fn fold(&self, into: &mut i64) {
        *into = into.saturating_add(self.0.load(Ordering::Relaxed));
    }
    fn each(&self, see: &mut dyn FnMut(Option<String>, i128)) {
        see(None, i128::from(self.0.load(Ordering::Relaxed)));
    }
}

impl Cell for Peak {
    type Value = u64;
    const KIND: &'static str = "peak";
    const LABEL: Option<&'static str> = None;
    fn fold(&self, into: &mut u64) {
        *into = (*into).max(self.0.load(Ordering::Relaxed));
    }
    fn each(&self, see: &mut dyn FnMut(Option<String>, i128)) {
        see(None, i128::from(self.0.load(Ordering::Relaxed)));
    }
}

impl<C: Cell, L: Label, const N: usize> Cell for Family<C, L, N> {
    type Value = FamilyValue<C::Value, L, N>;
    const KIND: &'static str = C::KIND;
    const LABEL: Option<&'static str> = Some(L::KEY);
    fn fold(&self, into: &mut Self::Value) {
        for (cell, value) in self.cells.iter().zip(&mut into.values) {
            cell.fold(value);
        }
        self.beyond.fold(&mut into.beyond);
    }
    fn each(&self, see: &mut dyn FnMut(Option<String>, i128)) {
        let mut labelled = |cell: &C, name: &dyn Fn() -> String| {
            cell.each(&mut |_, value| {
                if value != 0 {
                    see(Some(name()), value);
                }
            });
        };
        for (index, cell) in self.cells.iter().enumerate() {
            labelled(cell, &|| L::name(index));
        }
        labelled(&self.beyond, &|| "beyond".into());
    }
}

/// A family, read.
#[derive(Debug)]
pub struct FamilyValue<V, L, const N: usize> {
    values: [V; N],
    beyond: V,
    label: PhantomData<L>,
}

impl<V: Copy, L: Label, const N: usize> FamilyValue<V, L, N> {
    pub fn of(&self, label: L) -> V {
        self.values.get(label.index()).copied().unwrap_or(self.beyond)
    }

    /// In the order of the labels; without the one beyond.
    pub fn values(&self) -> &[V; N] {
        &self.values
    }
}

impl<L: Label, const N: usize> FamilyValue<u64, L, N> {
    pub fn total(&self) -> u64 {
        self.values.iter().fold(self.beyond, |sum, value| sum.wrapping_add(*value))
    }

    /// Labels that were counted, by name, most first.
    pub fn named(&self) -> Vec<(String, u64)> {
        let mut named: Vec<_> =
            self.values.iter().enumerate().map(|(at, value)| (L::name(at), *value)).collect();
        named.push(("beyond".into(), self.beyond));
        named.retain(|(_, value)| *value > 0);
        named.sort_by_key(|(_, value)| std::cmp::Reverse(*value));
        named
    }
}

// By hand, because a label need not be any of these.
impl<V: Copy, L, const N: usize> Clone for FamilyValue<V, L, N> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<V: Copy, L, const N: usize> Copy for FamilyValue<V, L, N> {}
impl<V: Copy + Default, L, const N: usize> Default for FamilyValue<V, L, N> {
    fn default() -> Self {
        Self { values: [V::default(); N], beyond: V::default(), label: PhantomData }
    }
}
impl<V: PartialEq, L, const N: usize> PartialEq for FamilyValue<V, L, N> {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values && self.beyond == other.beyond
    }
}
