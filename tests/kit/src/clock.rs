//! The clock of the simulated world: it stands still until the world moves it, and then it may jump.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use linchpin::core::time::Nanos;
use linchpin::threads::world::Clock;

/// All clones show one time. (Shared by an atomic only because a loop's clock must be `Send`; one thread uses it.)
#[derive(Clone, Debug)]
pub struct VirtualClock(Arc<AtomicU64>);

impl VirtualClock {
    pub fn at(begin: Nanos) -> Self {
        Self(Arc::new(AtomicU64::new(begin.raw())))
    }

    pub fn advance(&self, span: Nanos) {
        // Relaxed: one thread.
        self.0.fetch_add(span.raw(), Ordering::Relaxed);
    }

    /// Never backwards.
    pub fn advance_to(&self, time: Nanos) {
        // Relaxed: one thread.
        self.0.fetch_max(time.raw(), Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Nanos {
        // Relaxed: one thread.
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}
