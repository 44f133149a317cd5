//! What a snapshot and a state hash cost the core: the state of a busy desk, copied into room made before, and hashed. Beside
//! it: the copy of as many bytes.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use linchpin::core::snapshot::Buffer;

use crate::turn::Desk;

pub fn bench(criterion: &mut Criterion) {
    for instruments in [1, 64] {
        let mut desk = Desk::quoting(instruments);
        // Every row of the order table is used once orders come and go.
        (0..2_000).for_each(|_| desk.requote());
        desk.fill_books(1_000);
        let size = desk.core.saved_size();
        let mut group =
            criterion.benchmark_group(format!("save/{instruments}_instruments_1000_levels_a_side"));
        group.throughput(Throughput::Bytes(size as u64));
        let mut buffer = Buffer::with_room(size);
        desk.core.save(&mut buffer);
        assert_eq!(buffer.form().map(<[u8]>::len), Ok(size));
        group.bench_function("into_a_buffer", |bencher| {
            bencher.iter(|| {
                buffer.clear();
                desk.core.save(&mut buffer);
            });
        });
        group.bench_function("hash", |bencher| bencher.iter(|| black_box(desk.core.state_hash())));
        let bytes = vec![1_u8; size];
        let mut copy = vec![1_u8; size];
        group.bench_function("baseline_copy", |bencher| {
            bencher.iter(|| copy.copy_from_slice(black_box(&bytes)));
        });
        group.finish();
    }
}
