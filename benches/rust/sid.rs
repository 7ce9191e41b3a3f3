//! Packing and hashing of Semantic IDs of 8 x 256: in cache, and streaming from memory. Answers are compared with those of one
//! key at a time before they are timed.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sidkit_bench::Random;
use sidkit_core::ngram::{Kind, Mode};
use sidkit_core::{Ngrams, SidLayout};

const LEVELS: usize = 8;

/// Semantic IDs whose tokens, keys and rows stay in the second-level cache, and such as do not fit any.
const COUNTS: [(&str, usize); 2] = [("in cache", 2_000), ("streaming", 4_000_000)];

fn sid(criterion: &mut Criterion) {
    let layout = SidLayout::new(&[256; LEVELS]).expect("a valid layout");
    let windows = Kind::Ngram(2).windows(LEVELS).expect("windows of 8 levels");
    // Seven tables of 65,536 bigrams do not fit: every bigram is hashed.
    let ngrams = Ngrams::new(layout.clone(), &windows, 100_003, 0, Mode::Mix).expect("a valid table");
    assert!(ngrams.exact().iter().all(|&exact| !exact));
    for (place, count) in COUNTS {
        let mut random = Random(1);
        let keys: Vec<u64> = (0..count).map(|_| random.bits()).collect();
        let mut codes = vec![0_u16; count * LEVELS];
        layout.unpack(&keys, &mut codes).expect("room for all");
        let mut packed = vec![0_u64; count];
        layout.pack(&codes, &mut packed).expect("tokens of the layout");
        assert_eq!(packed, keys);
        let mut rows = vec![0_i64; count * ngrams.grams()];
        ngrams.fill(&keys, &mut rows, 1).expect("room for all");
        let mut one = vec![0_i64; ngrams.grams()];
        for (key, rows) in keys.iter().zip(rows.chunks_exact(ngrams.grams())).take(1000) {
            ngrams.fill(&[*key], &mut one, 1).expect("room for one");
            assert_eq!(rows, one);
        }

        let mut group = criterion.benchmark_group(place);
        group
            .sample_size(20)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs(2))
            .throughput(Throughput::Elements(count as u64));
        group.bench_function("pack, one thread", |bencher| {
            bencher.iter(|| layout.pack(black_box(&codes), &mut packed));
        });
        group.bench_function("unpack, one thread", |bencher| {
            bencher.iter(|| layout.unpack(black_box(&keys), &mut codes));
        });
        group.throughput(Throughput::Elements((count * ngrams.grams()) as u64));
        for threads in [1, 2] {
            group.bench_function(format!("rows of bigrams, {threads} threads"), |bencher| {
                bencher.iter(|| ngrams.fill(black_box(&keys), &mut rows, threads));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, sid);
criterion_main!(benches);
