//! Appending an event to the journal, beside the least that this can cost: the same bytes copied and summed.

use std::hint::black_box;

use criterion::Criterion;
use linchpin::core::codec::MAX_PAYLOAD;
use linchpin::core::event::{Body, BookTicker, Event, Level, RequestKind, Source};
use linchpin::core::num::{Price, Quantity};
use linchpin::core::time::Nanos;
use linchpin::journal::{Writer, layout};
use linchpin::sys::checksum::crc32c;

use crate::rig;

/// Large enough that rolls are rare, small enough to stay near the caches' size when it comes round.
const SEGMENT: u64 = 64 * 1024 * 1024;

pub fn bench(criterion: &mut Criterion) {
    let level = |price| Level { price: Price::new(price), quantity: Quantity::new(2_507) };
    let ticker = BookTicker { update_id: 5_123_107_839_020, bid: level(618_002), ask: level(618_003) };
    let event = Event::new(Nanos::from_secs(1), Source::Receiver, Body::BookTicker(ticker));
    let dispatch = rig::dispatch(7, RequestKind::Replace);

    let mut group = criterion.benchmark_group("journal/append");
    group.bench_function("book_ticker", |bencher| {
        let mut journal = Appending::new();
        bencher.iter(|| journal.append(|slot| black_box(&event).encode(slot)));
    });
    group.bench_function("dispatch", |bencher| {
        let mut journal = Appending::new();
        bencher.iter(|| journal.append(|slot| black_box(&dispatch).encode(slot)));
    });
    let mut scratch = [0; MAX_PAYLOAD];
    for (name, length) in
        [("book_ticker", event.encode(&mut scratch)), ("dispatch", dispatch.encode(&mut scratch))]
    {
        let size = layout::record_size(length);
        let record = vec![7; size];
        let mut memory = vec![1_u8; SEGMENT as usize];
        let mut at = 0;
        group.bench_function(format!("baseline_copy_and_crc_{name}_{size}B"), |bencher| {
            bencher.iter(|| {
                at = if at + 2 * size > memory.len() { 0 } else { at + size };
                let slot = &mut memory[at..at + size];
                slot.copy_from_slice(black_box(&record));
                black_box(crc32c(0, slot))
            });
        });
    }
    group.finish();
}

/// A journal that begins anew, in a fresh folder, before it would roll.
struct Appending {
    writer: Writer,
    folder: tempfile::TempDir,
    sequence: u64,
}

impl Appending {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { writer: rig::journal(folder.path(), SEGMENT), folder, sequence: 0 }
    }

    #[inline]
    fn append(&mut self, encode: impl FnOnce(&mut [u8]) -> usize) {
        if self.writer.position().offset + 4_096 > SEGMENT {
            self.begin_anew();
        }
        self.sequence += 1;
        let done = self.writer.append_with(1, self.sequence, self.sequence, MAX_PAYLOAD, encode);
        done.expect("room in the segment");
    }

    #[cold]
    fn begin_anew(&mut self) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        self.writer = rig::journal(folder.path(), SEGMENT);
        self.folder = folder;
    }
}
