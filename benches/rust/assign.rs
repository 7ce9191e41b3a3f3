//! Assignment on the shapes of practice, greedy, with a beam, and of one row, with every kernel of this CPU. All kernels' codes are compared.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sidkit_bench::embeddings;
use sidkit_core::assign::{Options, Outputs, Rows, assign_with};
use sidkit_core::kmeans::{self, Init};
use sidkit_core::{Codebooks, Kernel};

/// Rows, dimensions, levels, codes.
const SHAPES: [(usize, usize, usize, usize); 3] =
    [(8_192, 768, 3, 256), (65_536, 32, 3, 256), (4_096, 768, 8, 2048)];

/// Codebooks learnt level by level from a sample, as a tokenizer's are.
fn learn(dim: usize, levels: usize, codes: usize) -> Vec<Vec<f32>> {
    let mut rows = embeddings(codes * 8, dim, 1);
    let mut codebooks = Vec::new();
    for _ in 0..levels {
        let options = kmeans::Options {
            codebook_size: codes,
            iterations: 2,
            init: Init::Random,
            seed: 0,
            batch_size: None,
            capacity: None,
            threads: 0,
        };
        let clusters = kmeans::fit(&rows, dim, &options).expect("clean rows");
        for (row, &code) in rows.chunks_exact_mut(dim).zip(&clusters.assignment) {
            for (value, &word) in row.iter_mut().zip(&clusters.centroids[usize::from(code) * dim..]) {
                *value -= word;
            }
        }
        codebooks.push(clusters.centroids);
    }
    codebooks
}

fn assign(criterion: &mut Criterion) {
    for (rows, dim, levels, codes) in SHAPES {
        let words = learn(dim, levels, codes);
        let x = embeddings(rows, dim, 2);
        let mut group = criterion.benchmark_group(format!("assign {dim} {levels}x{codes}"));
        group.throughput(Throughput::Elements(rows as u64));
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs(2));
        let mut expected: Option<Vec<u16>> = None;
        for kernel in Kernel::available() {
            let codebooks = Codebooks::with_kernel(dim, words.clone(), kernel).expect("clean codebooks");
            for threads in [1, 2] {
                let mut found = vec![0; rows * levels];
                let options = Options { threads, beam: 1 };
                let mut run = || {
                    let outputs = Outputs {
                        codes: &mut found,
                        ..Outputs::default()
                    };
                    assign_with(Rows::F32(&x), &codebooks, outputs, options).expect("clean rows")
                };
                run();
                group.bench_function(format!("{} {threads}t", kernel.name()), |bencher| {
                    bencher.iter(|| black_box(run()));
                });
                assert_eq!(
                    *expected.get_or_insert_with(|| found.clone()),
                    found,
                    "{kernel:?}"
                );
            }
        }
    }
}

/// A beam of five by cross tables, and without them: in a call too small to make any, by residuals.
fn beam(criterion: &mut Criterion) {
    let (rows, dim, levels, codes) = (4_096, 128, 4, 256);
    let words = learn(dim, levels, codes);
    let x = embeddings(rows, dim, 2);
    let mut group = criterion.benchmark_group(format!("beam 5 {dim} {levels}x{codes}"));
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    let options = Options { threads: 1, beam: 5 };
    let mut expected: Option<Vec<u16>> = None;
    for kernel in Kernel::available() {
        for (way, batch) in [("residuals", 64), ("tables", rows)] {
            let codebooks = Codebooks::with_kernel(dim, words.clone(), kernel).expect("clean codebooks");
            if way == "tables" {
                codebooks.prepare_beam();
            }
            let mut found = vec![0; rows * levels];
            let mut run = || {
                for (x, codes) in x.chunks(batch * dim).zip(found.chunks_mut(batch * levels)) {
                    let outputs = Outputs {
                        codes,
                        ..Outputs::default()
                    };
                    assign_with(Rows::F32(x), &codebooks, outputs, options).expect("clean rows");
                }
            };
            run();
            group.throughput(Throughput::Elements(rows as u64));
            group.bench_function(format!("{} {way}", kernel.name()), |bencher| {
                bencher.iter(&mut run);
            });
            assert_eq!(
                *expected.get_or_insert_with(|| found.clone()),
                found,
                "{kernel:?} {way}"
            );
        }
    }
}

/// What a call for one row takes, greedy and with a beam, with everything prepared.
fn one_row(criterion: &mut Criterion) {
    let (dim, levels, codes) = (128, 4, 256);
    let codebooks = Codebooks::new(dim, learn(dim, levels, codes)).expect("clean codebooks");
    codebooks.prepare_beam();
    let x = embeddings(1, dim, 2);
    let mut group = criterion.benchmark_group(format!("one row {dim} {levels}x{codes}"));
    for beam in [1, 5] {
        let mut found = vec![0; levels];
        group.bench_function(format!("beam {beam}"), |bencher| {
            bencher.iter(|| {
                let outputs = Outputs {
                    codes: &mut found,
                    ..Outputs::default()
                };
                let options = Options { threads: 1, beam };
                black_box(assign_with(Rows::F32(&x), &codebooks, outputs, options).expect("a clean row"))
            });
        });
    }
}

criterion_group!(benches, assign, beam, one_row);
criterion_main!(benches);
