//! How a thread waits when a pass found nothing: the price of latency in CPU time, chosen by configuration.
//!
//! | strategy | what it does | for |
//! |---|---|---|
//! | spin | nothing but a CPU hint | a core of its own |
//! | yield | gives the core away when somebody else is ready | fewer cores than threads |
//! | park | spins, then yields, then sleeps in steps of 50 us | a laptop, a long quiet run |

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    Spin,
    Yield,
    Park,
}

#[derive(Debug)]
pub struct Waiter {
    how: Waiting,
    idle_passes: u32,
}

const SPINS: u32 = 64;
const YIELDS: u32 = 256;
const NAP: Duration = Duration::from_micros(50);

impl Waiter {
    pub fn new(how: Waiting) -> Self {
        Self { how, idle_passes: 0 }
    }

    #[inline]
    pub fn busy(&mut self) {
        self.idle_passes = 0;
    }

    #[inline]
    pub fn idle(&mut self) {
        self.idle_passes = self.idle_passes.saturating_add(1);
        match self.how {
            Waiting::Spin => std::hint::spin_loop(),
            Waiting::Yield if self.idle_passes <= SPINS => std::hint::spin_loop(),
            Waiting::Yield => std::thread::yield_now(),
            Waiting::Park if self.idle_passes <= SPINS => std::hint::spin_loop(),
            Waiting::Park if self.idle_passes <= YIELDS => std::thread::yield_now(),
            Waiting::Park => std::thread::sleep(NAP),
        }
    }
}
