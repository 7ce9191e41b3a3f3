//! Holds the codes of every kernel against the definition on millions of rows, and fails on the first difference.
//!
//!     make certify ROWS=10000000
//!     cargo run --release -p sidkit-bench --bin exactness -- [ROWS]
//!
//! Worlds are random, clustered, duplicated, denormal, huge, mixed in size, and adversarially tied: rows half-way
//! between two codewords, and one rounding beside. Each is assigned by every kernel, whole and in pieces, on one and more
//! threads. `ROWS` (default 10,000,000) are spread over worlds and shapes so that small dimensions, where ties are
//! likeliest, have most of them.

use sidkit_bench::{Random, embeddings};
use sidkit_core::assign::{Options, Outputs, Rows, assign_with};
use sidkit_core::{Codebooks, Kernel, pool};

/// Dimensions, codes a level (two levels of that, one of a third), and the share of rows in parts of [`PARTS`].
const SHAPES: [(usize, usize, usize); 6] = [
    (1, 5, 250),
    (4, 16, 350),
    (7, 33, 200),
    (32, 64, 120),
    (100, 256, 10),
    (768, 256, 2),
];

const PARTS: usize = 932;

const WORLDS: [&str; 8] = [
    "random",
    "clustered",
    "duplicated",
    "denormal",
    "huge",
    "mixed",
    "tied",
    "nearly tied",
];

/// Codebooks and rows.
struct Problem {
    dim: usize,
    levels: Vec<Vec<f32>>,
    rows: Vec<f32>,
}

#[expect(clippy::print_stdout, reason = "a program that reports")]
fn main() {
    let total: usize = std::env::args()
        .nth(1)
        .map_or(10_000_000, |rows| rows.parse().expect("a number of rows"));
    println!(
        "sidkit-core {}, {}-{}, kernels {:?}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
        Kernel::available().collect::<Vec<_>>()
    );
    let mut checked = 0;
    for (w, world) in WORLDS.into_iter().enumerate() {
        for (s, (dim, size, share)) in SHAPES.into_iter().enumerate() {
            let count = (total * share).div_ceil(PARTS * WORLDS.len());
            let problem = problem(world, dim, size, count, (w * 100 + s) as u64);
            check(world, &problem);
            checked += count;
        }
        println!("{world}: as defined ({checked} rows so far)");
    }
    println!("{checked} rows: every code of every kernel as defined");
}

fn problem(world: &str, dim: usize, size: usize, count: usize, seed: u64) -> Problem {
    let mut random = Random(seed);
    let sizes = [size, size.div_ceil(3), size];
    let mut numbers = |count: usize, number: &dyn Fn(&mut Random) -> f32| -> Vec<f32> {
        (0..count).map(|_| number(&mut random)).collect()
    };
    let number: &dyn Fn(&mut Random) -> f32 = match world {
        "denormal" => &|random| random.normal() * 1e-40,
        "huge" => &|random| random.normal() * 5e37,
        "mixed" => &|random| random.normal() * 2_f32.powi((random.bits() % 200) as i32 - 100),
        "tied" => &|random| (random.bits() % 5) as f32 - 2.0,
        _ => &|random| random.normal(),
    };
    let mut levels: Vec<_> = sizes.iter().map(|size| numbers(size * dim, number)).collect();
    let mut rows = numbers(count * dim, number);
    match world {
        "clustered" => {
            rows = embeddings(count, dim, seed);
            levels[0].copy_from_slice(&embeddings(size, dim, seed + 1));
        }
        "duplicated" => {
            for level in &mut levels {
                let half = level.len() / dim / 2 * dim;
                level.copy_within(..half, half);
            }
            rows.copy_within(..count / 2 * dim, count / 2 * dim);
        }
        "nearly tied" => nearly_tie(&mut rows, dim, &levels[0], &mut random),
        _ => {}
    }
    Problem { dim, levels, rows }
}

/// Puts rows half-way between two codewords, and moves some by the least that f32 can.
fn nearly_tie(rows: &mut [f32], dim: usize, words: &[f32], random: &mut Random) {
    let size = words.len() / dim;
    for row in rows.chunks_exact_mut(dim) {
        let [a, b] = [(); 2].map(|()| (random.bits() % size as u64) as usize * dim);
        for (d, value) in row.iter_mut().enumerate() {
            *value = f32::midpoint(words[a + d], words[b + d]);
        }
        let value = &mut row[(random.bits() % dim as u64) as usize];
        *value = [value.next_down(), *value, value.next_up()][(random.bits() % 3) as usize];
    }
}

fn check(world: &str, problem: &Problem) {
    let (dim, levels) = (problem.dim, problem.levels.len());
    let expected = oracle(problem);
    for kernel in Kernel::available() {
        let codebooks = Codebooks::with_kernel(dim, problem.levels.clone(), kernel).expect("clean codebooks");
        for (threads, piece) in [(1, usize::MAX), (2, usize::MAX), (5, 100_003), (1, 1_009)] {
            let mut codes = vec![u16::MAX; expected.len()];
            let piece = piece.min(problem.rows.len() / dim);
            for (rows, codes) in problem
                .rows
                .chunks(piece * dim)
                .zip(codes.chunks_mut(piece * levels))
            {
                let outputs = Outputs {
                    codes,
                    ..Outputs::default()
                };
                assign_with(Rows::F32(rows), &codebooks, outputs, Options { threads, beam: 1 })
                    .expect("clean rows");
            }
            if let Some(place) = (0..codes.len()).find(|&place| codes[place] != expected[place]) {
                let (row, level) = (place / levels, place % levels);
                panic!(
                    "{world}, dim {dim}, {kernel:?}, {threads} threads: row {row}, level {level}: code {} instead of {}",
                    codes[place], expected[place]
                );
            }
        }
    }
}

/// The definition once more, as plain as it can be.
fn oracle(problem: &Problem) -> Vec<u16> {
    let (dim, levels) = (problem.dim, problem.levels.len());
    let mut codes = vec![0; problem.rows.len() / dim * levels];
    let blocks = problem
        .rows
        .chunks(1000 * dim)
        .zip(codes.chunks_mut(1000 * levels));
    pool::for_each(0, blocks, |(rows, codes)| {
        for (row, codes) in rows.chunks_exact(dim).zip(codes.chunks_exact_mut(levels)) {
            let mut residual = row.to_vec();
            for (level, code) in problem.levels.iter().zip(codes) {
                let mut least = f64::INFINITY;
                for (k, word) in level.chunks_exact(dim).enumerate() {
                    let mut distance = 0.0;
                    for d in 0..dim {
                        let difference = f64::from(residual[d]) - f64::from(word[d]);
                        distance += difference * difference;
                    }
                    if distance < least {
                        (least, *code) = (distance, k as u16);
                    }
                }
                for d in 0..dim {
                    residual[d] -= level[usize::from(*code) * dim + d];
                }
            }
        }
    });
    codes
}
