//! Assignment against the definition, written out once more in the plainest way.

use proptest::prelude::*;
use sidkit_core::{Codebooks, Error, Kernel, assign};

/// The definition, level by level and code by code.
fn oracle(row: &[f32], levels: &[Vec<f32>]) -> Vec<u16> {
    let mut residual = row.to_vec();
    let mut codes = Vec::new();
    for level in levels {
        let distances: Vec<f64> = level
            .chunks(row.len())
            .map(|word| {
                let mut sum = 0.0_f64;
                for j in 0..row.len() {
                    let difference = f64::from(residual[j]) - f64::from(word[j]);
                    sum += difference * difference;
                }
                sum
            })
            .collect();
        let mut code = 0;
        for k in 1..distances.len() {
            if distances[k] < distances[code] {
                code = k;
            }
        }
        for j in 0..row.len() {
            residual[j] -= level[code * row.len() + j];
        }
        codes.push(code as u16);
    }
    codes
}

/// The codes, which every kernel must agree on.
fn codes(dim: usize, levels: &[Vec<f32>], rows: &[f32], threads: usize) -> Vec<u16> {
    let mut results = Kernel::available().map(|kernel| {
        let codebooks = Codebooks::with_kernel(dim, levels.to_vec(), kernel).unwrap();
        let mut codes = vec![u16::MAX; rows.len() / dim * levels.len()];
        assign(rows, &codebooks, &mut codes, threads).unwrap();
        (kernel, codes)
    });
    let (_, first) = results.next().unwrap();
    for (kernel, codes) in results {
        assert_eq!(codes, first, "{kernel:?}");
    }
    first
}

/// Numbers of every size, with many exact ties and near-ties.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -1.0_f32..1.0,
        4 => (-2_i8..=2).prop_map(f32::from),
        1 => (-2_i8..=2).prop_map(|n| f32::from(n) * f32::MIN_POSITIVE / 16.0),
        1 => (-2_i8..=2).prop_map(|n| f32::from(n) * 1.6e38),
        1 => prop::num::f32::NORMAL | prop::num::f32::ZERO | prop::num::f32::SUBNORMAL,
    ]
}

prop_compose! {
    fn problem()(dim in 1_usize..40, sizes in prop::collection::vec(1_usize..70, 1..4), rows in 0_usize..30)(
        levels in sizes.iter().map(|size| prop::collection::vec(number(), size * dim)).collect::<Vec<_>>(),
        rows in prop::collection::vec(number(), rows * dim),
        dim in Just(dim),
    ) -> (usize, Vec<Vec<f32>>, Vec<f32>) {
        (dim, levels, rows)
    }
}

proptest! {
    #[test]
    fn codes_are_those_of_the_definition((dim, levels, rows) in problem(), threads in 0_usize..4) {
        let expected: Vec<u16> = rows.chunks(dim).flat_map(|row| oracle(row, &levels)).collect();
        prop_assert_eq!(codes(dim, &levels, &rows, threads), expected);
    }
}

#[test]
fn ties_and_duplicates_take_the_lowest_code() {
    let levels = [vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0], vec![0.5; 6]];
    assert_eq!(
        codes(2, &levels, &[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 1),
        [0, 0, 1, 0, 0, 0]
    );
}

#[test]
fn an_overflown_residual_has_code_zero_at_every_further_level() {
    let levels = [vec![f32::MIN], vec![7.0, f32::MAX], vec![1.0, 0.0]];
    assert_eq!(codes(1, &levels, &[f32::MAX], 1), [0, 0, 0]);
}

#[test]
fn large_batches_are_split_without_a_trace() {
    let (dim, size, count) = (8, 33, 5000);
    let value = |i: usize| ((i * 2_654_435_761) % 1009) as f32 / 100.0;
    let levels = [0, 1, 2].map(|level| (0..size * dim).map(|i| value(i + level * 77)).collect::<Vec<_>>());
    let rows: Vec<f32> = (0..count * dim).map(|i| value(i + 12_345)).collect();
    let expected: Vec<u16> = rows.chunks(dim).flat_map(|row| oracle(row, &levels)).collect();
    for threads in [0, 1, 2, 5] {
        assert_eq!(codes(dim, &levels, &rows, threads), expected);
    }
}

#[test]
fn the_first_row_that_is_not_finite_is_named() {
    let codebooks = Codebooks::new(2, vec![vec![0.0; 4096]]).unwrap();
    let mut rows = vec![1.0; 20_000];
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        rows[4001] = bad;
        rows[19_000] = bad;
        let result = assign(&rows, &codebooks, &mut vec![0; 10_000], 3);
        assert_eq!(result, Err(Error::NotFinite { what: "x", row: 2000 }));
    }
}

#[test]
fn buffers_of_another_length_are_named() {
    let codebooks = Codebooks::new(2, vec![vec![0.0; 4]]).unwrap();
    let error = |rows: &[f32], codes: &mut [u16]| assign(rows, &codebooks, codes, 1).unwrap_err().to_string();
    assert_eq!(
        error(&[0.0; 3], &mut [0]),
        "`rows` has 3 elements, but its shape asks for 2"
    );
    assert_eq!(
        error(&[0.0; 4], &mut [0]),
        "`codes` has 1 elements, but its shape asks for 2"
    );
}
