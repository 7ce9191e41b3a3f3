//! Assignment against the definition, written out once more in the plainest way.

use proptest::prelude::*;
use sidkit_core::assign::{Looks, MAX_BEAM, Options, Outputs, Rows, assign_with};
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
        "`rows` has the wrong length: expected 2 elements for its shape, got 3"
    );
    assert_eq!(
        error(&[0.0; 4], &mut [0]),
        "`codes` has the wrong length: expected 2 elements for its shape, got 1"
    );
}

/// The best of the `beam` prefixes that are kept at every level, and the squared length of what it leaves.
fn beam_oracle(row: &[f32], levels: &[Vec<f32>], beam: usize) -> (Vec<u16>, f64) {
    let square = |a: &[f32], b: &[f32]| {
        let mut sum = 0.0_f64;
        for (&a, &b) in a.iter().zip(b) {
            sum += (f64::from(a) - f64::from(b)) * (f64::from(a) - f64::from(b));
        }
        sum
    };
    let mut prefixes = vec![(Vec::new(), row.to_vec())];
    for level in levels {
        let mut extensions = Vec::new();
        for (place, (_, residual)) in prefixes.iter().enumerate() {
            for (code, word) in level.chunks(row.len()).enumerate() {
                extensions.push((square(residual, word), place, code));
            }
        }
        extensions.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let extend = |&(_, place, code): &(f64, usize, usize)| {
            let (codes, residual): &(Vec<u16>, Vec<f32>) = &prefixes[place];
            let word = &level[code * row.len()..][..row.len()];
            let rest = residual
                .iter()
                .zip(word)
                .map(|(value, word)| value - word)
                .collect();
            ([&codes[..], &[code as u16]].concat(), rest)
        };
        prefixes = extensions.iter().take(beam).map(extend).collect();
    }
    let (codes, rest) = prefixes.swap_remove(0);
    (codes, square(&rest, &vec![0.0; row.len()]))
}

/// Holds every kernel, with cross tables and without, against the oracle; gives how often each had to look again.
fn check_beam(dim: usize, levels: &[Vec<f32>], rows: &[f32], options: Options) -> Vec<Looks> {
    let expected: Vec<(Vec<u16>, f64)> = rows
        .chunks(dim)
        .map(|row| beam_oracle(row, levels, options.beam))
        .collect();
    let mut looks = Vec::new();
    for kernel in Kernel::available() {
        for tables in [false, true] {
            let codebooks = Codebooks::with_kernel(dim, levels.to_vec(), kernel).unwrap();
            if tables {
                codebooks.prepare_beam();
            }
            // Without preparation, a call for one row is too small to make tables for.
            let batch = if tables { rows.len().max(dim) } else { dim };
            for (rows, expected) in rows.chunks(batch).zip(expected.chunks(batch / dim)) {
                let mut codes = vec![u16::MAX; expected.len() * levels.len()];
                let mut errors = vec![-1.0; expected.len()];
                let outputs = Outputs {
                    codes: &mut codes,
                    errors: &mut errors,
                    ..Outputs::default()
                };
                looks.push(assign_with(Rows::F32(rows), &codebooks, outputs, options).unwrap());
                for (i, (wanted, error)) in expected.iter().enumerate() {
                    let got = &codes[i * levels.len()..][..levels.len()];
                    assert_eq!(got, wanted, "row {i}, {kernel:?}, tables: {tables}");
                    assert_eq!(
                        errors[i].to_bits(),
                        error.to_bits(),
                        "row {i}, {kernel:?}, tables: {tables}"
                    );
                }
            }
        }
    }
    looks
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn beams_are_those_of_the_definition(
        (dim, levels, rows) in problem(),
        beam in prop_oneof![1_usize..14, 1..=MAX_BEAM],
        threads in 0_usize..3,
    ) {
        let rows = &rows[..rows.len().min(8 * dim)];
        check_beam(dim, &levels, rows, Options { threads, beam });
    }
}

/// Numbers between -10 and 10, without order: `SplitMix64`.
fn scattered(count: usize, seed: usize) -> Vec<f32> {
    let number = |i: usize| {
        let mut z = ((seed << 32) + i + 1) as u64;
        z = z.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / 838_860.8 - 10.0
    };
    (0..count).map(number).collect()
}

/// The hash was recorded on `x86_64`: every CPU has to give these codes.
#[test]
fn codes_are_those_of_every_other_cpu() {
    let dim = 40;
    let levels = [0, 1, 2].map(|level: usize| {
        let shrink = |value: &f32| value / (level + 1) as f32;
        scattered(256 * dim, level).iter().map(shrink).collect::<Vec<_>>()
    });
    let rows = scattered(2000 * dim, 7);
    let codes = codes(dim, &levels, &rows, 0);
    let bytes: Vec<u8> = codes.iter().flat_map(|code| code.to_le_bytes()).collect();
    assert_eq!(xxhash_rust::xxh3::xxh3_64(&bytes), 6_441_825_480_779_739_403);
}

#[test]
fn beams_of_every_width_agree_where_codewords_are_there_twice() {
    let dim = 24;
    let levels = [0, 1, 2, 3, 4].map(|level| {
        let once: Vec<f32> = scattered(35 * dim, level)
            .iter()
            .map(|value| value / (level + 1) as f32)
            .collect();
        [&once[..], &once[..]].concat()
    });
    let rows = scattered(6 * dim, 9);
    for beam in [1, 2, 3, 5, 8, 12, 13, 31, 32, 33, 64] {
        check_beam(dim, &levels, &rows, Options { threads: 1, beam });
    }
}

#[test]
fn rows_far_off_and_of_extreme_size_have_the_right_beams() {
    let dim = 17;
    let levels = [0, 1, 2].map(|level| scattered(64 * dim, level));
    let mut rows = Vec::new();
    for scale in [0.0, 1e-44, 1e-20, 1e-3, 1.0, 1e4, 1e9, 1e20, 3e37] {
        rows.extend(scattered(dim, 5).iter().map(|value| value * scale));
    }
    check_beam(dim, &levels, &rows, Options { threads: 1, beam: 7 });
    let tiny = levels.map(|level| level.iter().map(|value| value * 1e-41).collect());
    check_beam(dim, &tiny, &rows, Options { threads: 1, beam: 7 });
}

#[test]
fn tables_decide_alone_where_nothing_is_near_a_tie() {
    let dim = 64;
    let levels = [0, 1, 2].map(|level| scattered(96 * dim, level));
    let rows = scattered(200 * dim, 4);
    let codebooks = Codebooks::new(dim, levels.to_vec()).unwrap();
    codebooks.prepare_beam();
    let mut codes = vec![0; 600];
    let outputs = Outputs {
        codes: &mut codes,
        ..Outputs::default()
    };
    let options = Options { threads: 1, beam: 5 };
    let looks = assign_with(Rows::F32(&rows), &codebooks, outputs, options).unwrap();
    // One prefix at the first level, then five.
    assert_eq!(looks.decisions, 200 * 11);
    assert!(looks.exact * 4 < looks.decisions, "{looks:?}");
}
