//! One hop between two threads. What criterion times is a round trip; a hop is half of it. Beside it: one atomic, one cache
//! line, two threads, which is what the machine itself charges.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use criterion::Criterion;
use crossbeam_utils::CachePadded;
use linchpin::ring;
use linchpin::sys::cpu;

pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring/round_trip");
    // The bencher's own thread stays where the host puts it: pins are inherited, and other benches follow.
    let echo_cpu = cpu::available().last().copied();

    group.bench_function("bare_atomic", |bencher| {
        let word = Arc::new((CachePadded::new(AtomicU64::new(0)), CachePadded::new(AtomicU64::new(0))));
        let echo = Arc::clone(&word);
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            pin(echo_cpu);
            let mut waiter = Waiter::default();
            let mut seen = 0;
            while !stopping.load(Ordering::Relaxed) {
                let now = echo.0.load(Ordering::Acquire);
                if now == seen {
                    waiter.wait();
                    continue;
                }
                seen = now;
                echo.1.store(now, Ordering::Release);
                waiter.reset();
            }
        });
        let mut turn = 0;
        bencher.iter(|| {
            turn += 1;
            word.0.store(turn, Ordering::Release);
            let mut waiter = Waiter::default();
            while word.1.load(Ordering::Acquire) != turn {
                waiter.wait();
            }
        });
        stop.store(true, Ordering::Relaxed);
        thread.join().expect("the echo does not panic");
    });
    round_trip::<64>(&mut group, echo_cpu);
    round_trip::<128>(&mut group, echo_cpu);
    group.finish();

    let mut group = criterion.benchmark_group("ring/one_thread");
    group.bench_function("push_pop_128B", |bencher| {
        let (mut producer, mut consumer) = ring::ring("bench_bench", 1_024);
        bencher.iter(|| {
            let _ = producer.push([1_u8; 128]);
            consumer.pop()
        });
    });
    group.finish();
}

fn round_trip<const SIZE: usize>(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    echo_cpu: Option<usize>,
) {
    group.bench_function(format!("ring_{SIZE}B"), |bencher| {
        let (mut there, mut arriving) = ring::ring::<[u8; SIZE]>("bench_echo", 1_024);
        let (mut back, mut returning) = ring::ring::<[u8; SIZE]>("echo_bench", 1_024);
        let thread = thread::spawn(move || {
            pin(echo_cpu);
            let mut waiter = Waiter::default();
            loop {
                if let Some(value) = arriving.pop() {
                    let _ = back.push(value);
                    waiter.reset();
                } else if arriving.abandoned() {
                    return;
                } else {
                    waiter.wait();
                }
            }
        });
        bencher.iter(|| {
            let _ = there.push([1; SIZE]);
            let mut waiter = Waiter::default();
            loop {
                match returning.pop() {
                    Some(value) => break value,
                    None => waiter.wait(),
                }
            }
        });
        drop(there);
        thread.join().expect("the echo does not panic");
    });
}

fn pin(cpu: Option<usize>) {
    if let Some(cpu) = cpu {
        let _ = cpu::pin_current(cpu);
    }
}

/// Spins, but not for ever: where both threads share a CPU, the other one must run.
#[derive(Default)]
struct Waiter(u32);

impl Waiter {
    #[inline]
    fn wait(&mut self) {
        self.0 += 1;
        if self.0 > 20_000 {
            thread::yield_now();
        } else {
            spin_loop();
        }
    }
    #[inline]
    fn reset(&mut self) {
        self.0 = 0;
    }
}
