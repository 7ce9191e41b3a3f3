//! The trie on random Semantic IDs: building, exact lookup of one key and of many, stepping, masks. Answers are compared with the
//! catalogue before they are timed. `SIDKIT_BENCH_SIDS=100000` caps every catalogue, for a check.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use sidkit_bench::Random;
use sidkit_core::trie::Storage;
use sidkit_core::{SidLayout, Trie};

const STORAGES: [(&str, Storage); 2] = [("fast", Storage::Fast), ("compact", Storage::Compact)];

/// How many different random questions are asked in turn, so that no cache knows the next answer.
const QUESTIONS: usize = 1 << 20;

fn capped(count: usize) -> usize {
    let cap = std::env::var("SIDKIT_BENCH_SIDS").ok();
    cap.map_or(count, |cap| count.min(cap.parse().expect("a number of SIDs")))
}

/// Random keys of 4 x 256; in so large a space a few repeat.
fn catalogue(count: usize) -> (SidLayout, Vec<u64>) {
    let mut random = Random(1);
    let keys = (0..count).map(|_| random.bits() >> 32).collect();
    (SidLayout::new(&[256; 4]).expect("a valid layout"), keys)
}

fn picked(keys: &[u64], count: usize) -> Vec<u64> {
    let mut random = Random(2);
    let pick = |_| keys[(random.bits() % keys.len() as u64) as usize];
    (0..count).map(pick).collect()
}

fn group<'a>(criterion: &'a mut Criterion, name: &str, elements: usize) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(elements as u64));
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    group
}

fn lookup(criterion: &mut Criterion) {
    let count = capped(10_000_000);
    let (layout, keys) = catalogue(count);
    let asked = picked(&keys, QUESTIONS);
    for (name, storage) in STORAGES {
        let trie = Trie::build_as(layout.clone(), &keys, None, storage).expect("valid keys");
        let (values, offsets) = trie.lookup(&asked).expect("valid keys");
        for (row, key) in asked.iter().enumerate() {
            let [from, to] = [row, row + 1].map(|at| offsets[at].unsigned_abs() as usize);
            let items = &values[from..to];
            assert!(!items.is_empty() && items.iter().all(|&item| keys[item as usize] == *key));
            assert_eq!(items, trie.get(*key).expect("a valid key"));
        }

        let mut group = group(criterion, &format!("lookup in {count}"), 1);
        let mut turn = asked.iter().cycle();
        group.bench_function(format!("one after the other, {name}"), |bencher| {
            bencher.iter(|| black_box(trie.get(*turn.next().expect("a cycle"))).is_ok());
        });
        // The next question hangs on the last answer: what a caller waits for one, with nothing to overlap.
        let mut at = 0;
        group.bench_function(format!("one, waited for, {name}"), |bencher| {
            bencher.iter(|| {
                let items = trie.get(asked[at]).expect("a valid key");
                at = (at + 1 + (items[0] & 1) as usize) % asked.len();
            });
        });
        for batch in [10_000, 100_000] {
            group.throughput(Throughput::Elements(batch as u64));
            let mut turn = asked.chunks_exact(batch).cycle();
            group.bench_function(format!("batch of {batch}, {name}"), |bencher| {
                bencher.iter(|| black_box(trie.lookup(turn.next().expect("a cycle"))));
            });
        }
        group.finish();
    }
}

fn walk(criterion: &mut Criterion) {
    const STATES: usize = 3200;
    for count in [10_000, 100_000, 1_000_000, 10_000_000].map(capped) {
        let (layout, keys) = catalogue(count);
        let asked = picked(&keys, STATES);
        for (name, storage) in STORAGES {
            let trie = Trie::build_as(layout.clone(), &keys, None, storage).expect("valid keys");
            let states = trie.find(&asked, 2).expect("valid keys");
            let codes: Vec<i64> = asked.iter().map(|&key| layout.token(key, 2).into()).collect();
            let mut bits = vec![0; STATES * 8];
            trie.bitmask(&states, &mut bits).expect("room for all");
            for (row, code) in codes.iter().enumerate() {
                assert!(bits[row * 8 + code.unsigned_abs() as usize / 32] >> (code % 32) & 1 == 1);
            }
            let next = trie.step(&states, &codes).expect("a level to go");
            assert!(next.spans().iter().all(|span| !span.is_dead()));

            let mut group = group(criterion, &format!("{STATES} states of {count}"), STATES);
            group.bench_function(format!("bitmask, {name}"), |bencher| {
                bencher.iter(|| trie.bitmask(&states, black_box(&mut bits)));
            });
            group.bench_function(format!("step, {name}"), |bencher| {
                bencher.iter(|| black_box(trie.step(&states, &codes)));
            });
            group.finish();
        }
    }
}

fn build(criterion: &mut Criterion) {
    let count = capped(1_000_000);
    let (layout, keys) = catalogue(count);
    let mut group = group(criterion, &format!("build {count}"), count);
    for (name, storage) in STORAGES {
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(Trie::build_as(layout.clone(), &keys, None, storage)));
        });
    }
    group.finish();
}

criterion_group!(benches, lookup, walk, build);
criterion_main!(benches);
