//! Where threads meet: a bounded single-producer single-consumer ring, `rtrb` wrapped once.
//!
//! Each end belongs to one thread. Nothing here waits, allocates after it is made, or drops a value by itself: a full ring
//! gives the value back, and the caller has the written answer to that (`topology`). Each end counts what it did in plain
//! fields of its own, so counting costs no shared cache line.
//!
//! [`atomic`] is the one place that names atomics, so that models can run the code that uses them under `loom`.
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

pub mod atomic;

/// Makes a ring for `depth` values, named `<producer>_<consumer>`. Both ends go to the threads that own them.
///
/// # Panics
/// At start, if `depth` is 0: a ring that can hold nothing is a mistake in the topology table.
pub fn ring<T>(name: &'static str, depth: usize) -> (Producer<T>, Consumer<T>) {
    assert!(depth > 0, "ring {name}: a depth of 0 can hold nothing");
    let (producer, consumer) = rtrb::RingBuffer::new(depth);
    (
        Producer { inner: producer, name, pushed: 0, full: 0 },
        Consumer { inner: consumer, name, popped: 0, high_water: 0 },
    )
}

/// The ring had no room; here is the value again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full<T>(pub T);

/// The end that pushes.
#[derive(Debug)]
pub struct Producer<T> {
    inner: rtrb::Producer<T>,
    name: &'static str,
    pushed: u64,
    full: u64,
}

impl<T> Producer<T> {
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), Full<T>> {
        match self.inner.push(value) {
            Ok(()) => {
                self.pushed = self.pushed.wrapping_add(1);
                Ok(())
            }
            Err(rtrb::PushError::Full(value)) => {
                self.full = self.full.wrapping_add(1);
                Err(Full(value))
            }
        }
    }

    /// How many pushes will succeed from now on, at least. Reads the consumer's index: a shared cache line.
    #[inline]
    pub fn room(&self) -> usize {
        self.inner.slots()
    }

    /// The consumer is gone: what is pushed now is never read.
    #[inline]
    pub fn abandoned(&self) -> bool {
        self.inner.is_abandoned()
    }

    pub fn depth(&self) -> usize {
        self.inner.buffer().capacity()
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Values pushed since the ring was made.
    #[inline]
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Pushes that met a full ring.
    #[inline]
    pub fn full_hits(&self) -> u64 {
        self.full
    }
}

/// The end that pops.
#[derive(Debug)]
pub struct Consumer<T> {
    inner: rtrb::Consumer<T>,
    name: &'static str,
    popped: u64,
    high_water: usize,
}

impl<T> Consumer<T> {
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let value = self.inner.pop().ok()?;
        self.popped = self.popped.wrapping_add(1);
        Some(value)
    }

    /// The value that the next `pop` gives.
    #[inline]
    pub fn peek(&self) -> Option<&T> {
        self.inner.peek().ok()
    }

    /// How many values wait, at least. Takes note of the highest answer: call it once a pass, and the high-water mark
    /// is the longest queue that any pass met. Reads the producer's index: a shared cache line.
    #[inline]
    pub fn len(&mut self) -> usize {
        let waiting = self.inner.slots();
        self.high_water = self.high_water.max(waiting);
        waiting
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// The producer is gone: what still waits is the last. Check emptiness *after* this, or a last value may be missed.
    #[inline]
    pub fn abandoned(&self) -> bool {
        self.inner.is_abandoned()
    }

    pub fn depth(&self) -> usize {
        self.inner.buffer().capacity()
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Values popped since the ring was made.
    #[inline]
    pub fn popped(&self) -> u64 {
        self.popped
    }

    /// The longest queue that a call of `len` met.
    #[inline]
    pub fn high_water(&self) -> usize {
        self.high_water
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn values_come_out_in_the_order_in_which_they_went_in_and_both_ends_count() {
        let (mut producer, mut consumer) = ring("test_test", 4);
        for value in 0..4 {
            producer.push(value).unwrap();
        }
        assert_eq!(producer.push(4), Err(Full(4)));
        assert_eq!((producer.room(), producer.pushed(), producer.full_hits()), (0, 4, 1));
        assert_eq!((consumer.len(), consumer.peek()), (4, Some(&0)));
        assert_eq!((0..5).map_while(|_| consumer.pop()).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!((consumer.popped(), consumer.high_water(), consumer.len()), (4, 4, 0));
        assert_eq!((producer.room(), producer.depth(), consumer.name()), (4, 4, "test_test"));
    }

    #[test]
    fn the_end_that_is_left_learns_that_the_other_is_gone_and_keeps_what_was_pushed() {
        let (mut producer, mut consumer) = ring("test_test", 2);
        producer.push(1).unwrap();
        assert!(!consumer.abandoned());
        drop(producer);
        assert!(consumer.abandoned());
        assert_eq!((consumer.pop(), consumer.pop()), (Some(1), None));

        let (producer, consumer) = ring::<u8>("test_test", 2);
        assert!(!producer.abandoned());
        drop(consumer);
        assert!(producer.abandoned());
    }

    #[test]
    #[should_panic(expected = "ring core_sender")]
    fn a_ring_without_depth_is_refused_by_name() {
        ring::<u8>("core_sender", 0);
    }

    #[test]
    fn any_interleaving_of_pushes_and_pops_equals_a_bounded_queue() {
        let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
        let (mut producer, mut consumer) = ring("test_test", 7);
        let mut twin = VecDeque::new();
        for step in 0..100_000_u64 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if dice >> 63 == 0 {
                let full = twin.len() == 7;
                assert_eq!(producer.push(step), if full { Err(Full(step)) } else { Ok(()) });
                if !full {
                    twin.push_back(step);
                }
            } else {
                assert_eq!(consumer.peek(), twin.front());
                assert_eq!(consumer.pop(), twin.pop_front());
            }
            assert_eq!((consumer.len(), producer.room()), (twin.len(), 7 - twin.len()));
        }
        assert_eq!(producer.pushed() - consumer.popped(), twin.len() as u64);
    }

    #[test]
    fn two_threads_lose_nothing_double_nothing_and_keep_the_order() {
        const COUNT: u64 = 200_000;
        let (mut producer, mut consumer) = ring("test_test", 64);
        let pushing = std::thread::spawn(move || {
            for value in 0..COUNT {
                while producer.push(value).is_err() {
                    std::thread::yield_now();
                }
            }
            producer.pushed()
        });
        for expected in 0..COUNT {
            let value = loop {
                match consumer.pop() {
                    Some(value) => break value,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(value, expected);
        }
        assert_eq!((pushing.join().unwrap(), consumer.popped()), (COUNT, COUNT));
    }
}
