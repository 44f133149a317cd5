//! A dispatch to the text of its request: unsigned as after a logon, and signed with each kind of key. Beside it: the copy of
//! a text of that length, and the bare signature.

use std::hint::black_box;

use criterion::Criterion;
use linchpin::core::event::RequestKind;
use linchpin::core::time::Nanos;
use linchpin::venue::binance::sign::Signer;

use crate::rig::{self, Proof};

pub fn bench(criterion: &mut Criterion) {
    let directory = rig::directory(1);
    let now = Nanos::from_millis(1_723_161_256_000);
    for (proof, name) in [(Proof::Session, "logged_on"), (Proof::Hmac, "hmac"), (Proof::Ed25519, "ed25519")] {
        let mut group = criterion.benchmark_group(format!("encode/{name}"));
        let mut entry = rig::order_entry(&directory, proof, now);
        let mut frame = Vec::with_capacity(1_024);
        for (request, method) in
            [(RequestKind::New, "place"), (RequestKind::Replace, "modify"), (RequestKind::Cancel, "cancel")]
        {
            let dispatch = rig::dispatch(41, request);
            group.bench_function(method, |bencher| {
                bencher.iter(|| {
                    entry.encode(black_box(&dispatch), now, &mut frame).expect("an order that it knows");
                    entry.withdraw(dispatch.number)
                });
            });
        }
        let text = frame.clone();
        if proof == Proof::Session {
            group.bench_function("baseline_copy", |bencher| {
                bencher.iter(|| {
                    frame.clear();
                    frame.extend_from_slice(black_box(&text));
                });
            });
        } else {
            let signer = match proof {
                Proof::Hmac => Signer::from_key_text("a secret"),
                _ => Signer::from_key_text(rig::ED25519_PEM),
            };
            let signer = signer.expect("a key");
            group.bench_function("baseline_signature", |bencher| {
                bencher.iter(|| signer.sign(black_box(&text[..text.len().min(160)])));
            });
        }
        group.finish();
    }
}
