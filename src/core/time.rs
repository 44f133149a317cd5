//! Time as data. The core is told the time; it never asks.
//! Hot.

use core::ops::{Add, Sub};

use crate::snapshot::{Sink, SnapshotError, Value, Words};

/// Nanoseconds: an instant counts from the Unix epoch, a span from nothing. Both saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Nanos(u64);

impl Value for Nanos {
    #[inline]
    fn write<S: Sink + ?Sized>(&self, to: &mut S) {
        to.word(self.0);
    }
    #[inline]
    fn read(from: &mut Words<'_>) -> Result<Self, SnapshotError> {
        from.word().map(Self)
    }
}

impl Nanos {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(u64::MAX);
    #[inline]
    pub const fn new(nanos: u64) -> Self {
        Self(nanos)
    }
    #[inline]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }
    #[inline]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }
    #[inline]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }
    #[inline]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
    /// The span since `earlier`; zero when `earlier` is later.
    #[inline]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
    #[inline]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
    #[inline]
    pub fn earlier(self, other: Self) -> Self {
        self.min(other)
    }
    #[inline]
    pub fn later(self, other: Self) -> Self {
        self.max(other)
    }
}

impl Add for Nanos {
    type Output = Self;
    #[inline]
    fn add(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub for Nanos {
    type Output = Self;
    #[inline]
    fn sub(self, span: Self) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}
