//! k-means on worlds whose clusters are visible by eye, and its promises on random ones.

use proptest::prelude::*;
use sidkit_core::Error;
use sidkit_core::assign::distance;
use sidkit_core::kmeans::{Clusters, Init, Options, fit, fit_watched};

const INITS: [Init; 4] = [Init::Random, Init::PlusPlus, Init::Parallel, Init::Bisect];

fn options(codes: usize) -> Options {
    Options {
        codebook_size: codes,
        iterations: 25,
        init: Init::Parallel,
        seed: 0,
        batch_size: None,
        capacity: None,
        threads: 0,
    }
}

/// `count` rows around each corner of a square, on a small regular grid.
fn square(count: usize) -> Vec<f32> {
    let corners = [(0.0, 0.0), (100.0, 0.0), (0.0, 100.0), (100.0, 100.0)];
    let offset = |i: usize| ((i % 7) as f32 - 3.0, (i % 11) as f32 - 5.0);
    let rows = (0..4 * count).flat_map(|i| {
        let ((x, y), (dx, dy)) = (corners[i % 4], offset(i / 4));
        [x + dx, y + dy]
    });
    rows.collect()
}

fn objective(rows: &[f32], dim: usize, clusters: &Clusters) -> f64 {
    let centroid = |code: u16| &clusters.centroids[usize::from(code) * dim..][..dim];
    let codes = clusters.assignment.iter();
    rows.chunks(dim)
        .zip(codes)
        .map(|(row, &code)| distance(row, centroid(code)))
        .sum()
}

#[test]
fn four_corners_are_found_from_any_start() {
    let rows = square(200);
    for init in [Init::PlusPlus, Init::Parallel, Init::Bisect] {
        for seed in 0..5 {
            let clusters = fit(
                &rows,
                2,
                &Options {
                    init: init.clone(),
                    seed,
                    ..options(4)
                },
            )
            .unwrap();
            for i in 0..800 {
                assert_eq!(
                    clusters.assignment[i],
                    clusters.assignment[i % 4],
                    "row {i}, {init:?}"
                );
            }
        }
    }
}

#[test]
fn threads_leave_no_trace() {
    let rows: Vec<f32> = (0..20_000).map(|i| ((i * 7919) % 1009) as f32).collect();
    for init in INITS {
        for (batch, capacity) in [(None, None), (Some(500), None), (None, Some(300))] {
            let fit = |threads| {
                fit(
                    &rows,
                    4,
                    &Options {
                        init: init.clone(),
                        batch_size: batch,
                        capacity,
                        threads,
                        ..options(20)
                    },
                )
                .unwrap()
            };
            assert_eq!(fit(1), fit(2));
            assert_eq!(fit(1), fit(5));
        }
    }
}

/// The parts' means by the book, in a plane: the direction of the largest variance in closed form.
fn bisected(rows: &[f32], codes: usize) -> Vec<[f32; 2]> {
    let mean = |part: &[[f64; 2]]| {
        let sum = part
            .iter()
            .fold([0.0; 2], |sum, row| [sum[0] + row[0], sum[1] + row[1]]);
        sum.map(|value| value / part.len() as f64)
    };
    let error = |part: &[[f64; 2]]| -> f64 {
        let [x, y] = mean(part);
        part.iter()
            .map(|row| (row[0] - x).powi(2) + (row[1] - y).powi(2))
            .sum()
    };
    let mut parts: Vec<Vec<[f64; 2]>> = vec![
        rows.chunks(2)
            .map(|row| [f64::from(row[0]), f64::from(row[1])])
            .collect(),
    ];
    while parts.len() < codes {
        parts.sort_by(|a, b| error(a).total_cmp(&error(b)));
        let part = parts.pop().unwrap();
        let [x, y] = mean(&part);
        let moment =
            |f: fn(f64, f64) -> f64| -> f64 { part.iter().map(|row| f(row[0] - x, row[1] - y)).sum() };
        let (xx, xy, yy) = (moment(|x, _| x * x), moment(|x, y| x * y), moment(|_, y| y * y));
        let angle = 0.5 * (2.0 * xy).atan2(xx - yy);
        let (left, right) = part
            .iter()
            .partition(|row| (row[0] - x) * angle.cos() + (row[1] - y) * angle.sin() < 0.0);
        parts.extend([left, right]);
    }
    let mut means: Vec<_> = parts
        .iter()
        .map(|part| mean(part).map(|value| value as f32))
        .collect();
    means.sort_by(|a, b| a[0].total_cmp(&b[0]));
    means
}

#[test]
fn bisecting_gives_the_means_of_parts() {
    // A thin, bent band of uneven density, whose parts all have a clear principal direction.
    let rows: Vec<f32> = (0..3000)
        .map(|i| (i * 7919 % 3001) as f32 / 3001.0)
        .flat_map(|t| [100.0 * t * t, 5.0 * t + (t * 5000.0).sin()])
        .collect();
    let init = Init::Bisect;
    let clusters = fit(
        &rows,
        2,
        &Options {
            init,
            iterations: 0,
            ..options(12)
        },
    )
    .unwrap();
    let mut found: Vec<_> = clusters.centroids.chunks(2).map(|row| [row[0], row[1]]).collect();
    found.sort_by(|a, b| a[0].total_cmp(&b[0]));
    for (found, expected) in found.iter().zip(bisected(&rows, 12)) {
        assert!(
            (found[0] - expected[0]).abs() < 0.05 && (found[1] - expected[1]).abs() < 0.05,
            "{found:?}, {expected:?}"
        );
    }
}

#[test]
fn given_centroids_are_the_start() {
    let rows = square(50);
    let given = vec![90.0, 90.0, 10.0, 90.0, 90.0, 10.0, 10.0, 10.0];
    let with = |iterations, given| {
        fit(
            &rows,
            2,
            &Options {
                init: Init::Given(given),
                iterations,
                ..options(4)
            },
        )
    };
    assert_eq!(with(0, given.clone()).unwrap().centroids, given);
    let clusters = with(9, given.clone()).unwrap();
    // Rows of corner 0 are nearest to the last of those given, and so on backwards.
    assert_eq!(clusters.assignment[..4], [3, 2, 1, 0]);
    let message = |given| with(9, given).unwrap_err().to_string();
    assert_eq!(
        message(vec![0.0; 6]),
        "`init` has the wrong length: expected 8 elements for its shape, got 6"
    );
    let broken = [vec![f32::INFINITY], given[1..].to_vec()].concat();
    assert!(message(broken).starts_with("row 0 of `init` is invalid: expected finite values"));
}

#[test]
fn whoever_watches_may_stop_it_anywhere() {
    let rows = square(100);
    for init in INITS {
        for (batch, capacity) in [(None, None), (Some(50), None), (None, Some(60))] {
            let options = Options {
                init: init.clone(),
                batch_size: batch,
                capacity,
                ..options(9)
            };
            let stopped_at = |last: usize| {
                let mut asked = 0;
                let result = fit_watched(&rows, 2, &options, &mut || {
                    asked += 1;
                    asked <= last
                });
                (result, asked)
            };
            let (whole, asked) = stopped_at(usize::MAX);
            assert_eq!(whole.unwrap(), fit(&rows, 2, &options).unwrap());
            assert!(asked > 5);
            for last in 0..asked {
                assert_eq!(stopped_at(last), (Err(Error::Stopped), last + 1));
            }
        }
    }
}

#[test]
fn empty_clusters_are_restarted() {
    // Random rows of a world that is almost one point: most first centroids are equal, so all but one start empty.
    let mut rows = vec![0.0; 2000];
    for i in 0..10 {
        rows[i * 200] = (i * 100) as f32;
    }
    let clusters = fit(
        &rows,
        2,
        &Options {
            init: Init::Random,
            ..options(10)
        },
    )
    .unwrap();
    let mut used = clusters.assignment.clone();
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len(), 10);
    assert!(clusters.objective < 1e-9);
}

#[test]
fn fewer_different_rows_than_codes_is_no_error() {
    for init in INITS {
        let clusters = fit(&[5.0; 40], 2, &Options { init, ..options(8) }).unwrap();
        assert_eq!(clusters.centroids, vec![5.0; 16]);
        assert!(clusters.objective < 1e-9);
    }
}

#[test]
fn mini_batches_come_near_the_full_objective() {
    let rows = square(500);
    let full = fit(&rows, 2, &options(4)).unwrap();
    let small = fit(
        &rows,
        2,
        &Options {
            batch_size: Some(100),
            iterations: 50,
            ..options(4)
        },
    )
    .unwrap();
    assert!(small.objective < 1.1 * full.objective);
}

#[test]
fn what_makes_no_sense_is_named() {
    let error = |rows: &[f32], options: Options| fit(rows, 2, &options).unwrap_err().to_string();
    let rows = [0.0; 10];
    assert_eq!(
        error(&rows, options(0)),
        "`codebook_size` is out of range: expected 1 to 65536, got 0"
    );
    assert_eq!(
        error(&rows[..9], options(2)),
        "`x` has the wrong length: expected 8 elements for its shape, got 9"
    );
    assert!(error(&rows, options(6)).starts_with("`rows of x` is out of range: expected 6 to"));
    let batch = Options {
        batch_size: Some(0),
        ..options(2)
    };
    assert_eq!(
        error(&rows, batch),
        "`batch_size` is out of range: expected at least 1, got 0"
    );
    let capacity = Options {
        capacity: Some(2),
        ..options(2)
    };
    assert_eq!(
        error(&rows, capacity),
        "`capacity` is out of range: expected at least 3, got 2"
    );
    assert!(
        error(&[0.0, 0.0, 0.0, f32::NAN], options(1))
            .starts_with("row 1 of `x` is invalid: expected finite values")
    );
}

/// Lloyd's algorithm by the book, or nothing if a centroid is left without rows.
fn lloyd(rows: &[f32], dim: usize, start: &[f32], iterations: usize) -> Option<(Vec<f32>, Vec<u16>)> {
    let mut centroids = start.to_vec();
    let nearest = |centroids: &[f32], row: &[f32]| {
        let mut best = (f64::INFINITY, 0);
        for (code, word) in centroids.chunks(dim).enumerate() {
            let found = distance(row, word);
            if found < best.0 {
                best = (found, code as u16);
            }
        }
        best.1
    };
    for _ in 0..iterations {
        let mut sums = vec![0.0_f64; centroids.len()];
        let mut counts = vec![0.0_f64; centroids.len() / dim];
        for row in rows.chunks(dim) {
            let code = usize::from(nearest(&centroids, row));
            counts[code] += 1.0;
            for (sum, &value) in sums[code * dim..].iter_mut().zip(row) {
                *sum += f64::from(value);
            }
        }
        if counts.contains(&0.0) {
            return None;
        }
        for (i, (value, sum)) in centroids.iter_mut().zip(sums).enumerate() {
            *value = (sum / counts[i / dim]) as f32;
        }
    }
    let codes = rows.chunks(dim).map(|row| nearest(&centroids, row)).collect();
    Some((centroids, codes))
}

#[test]
fn every_iteration_is_that_of_the_book() {
    let mut state = 7_u64;
    let mut number = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    let mut compared = 0;
    for (dim, codes, scale) in [
        (3, 5, 1.0),
        (20, 40, 1.0),
        (33, 90, 1.0),
        (20, 300, 1.0),
        (17, 40, 1e-41),
        (17, 40, 1e-18),
        (17, 40, 1e17),
        (17, 40, 2e37),
    ] {
        // Clusters of unlike spread, and some rows twice, so that centroids go far at first and little later.
        let centers: Vec<f32> = (0..8 * dim).map(|_| 3.0 * number()).collect();
        let mut rows: Vec<f32> = Vec::new();
        for i in 0..900 {
            let spread = if i % 3 == 0 { 1.0 } else { 0.2 };
            let center = &centers[i % 8 * dim..][..dim];
            rows.extend(center.iter().map(|&center| (center + spread * number()) * scale));
        }
        rows.extend_from_within(..100 * dim);
        let start = rows[..codes * dim].to_vec();
        for iterations in [1, 2, 3, 5, 9] {
            let Some((centroids, assignment)) = lloyd(&rows, dim, &start, iterations) else {
                continue;
            };
            let options = Options {
                init: Init::Given(start.clone()),
                iterations,
                ..options(codes)
            };
            let clusters = fit(&rows, dim, &options).unwrap();
            assert_eq!(
                clusters.assignment, assignment,
                "{dim} {codes} {scale} {iterations}"
            );
            // Where it stopped early, further iterations change nothing.
            assert_eq!(
                clusters.centroids, centroids,
                "{dim} {codes} {scale} {iterations}"
            );
            compared += 1;
        }
    }
    assert!(compared > 25, "{compared}");
}

prop_compose! {
    fn problem()(dim in 1_usize..5, codes in 1_usize..9, extra in 0_usize..60)(
        rows in prop::collection::vec((-9_i8..9).prop_map(f32::from), (codes + extra) * dim),
        dim in Just(dim),
        codes in Just(codes),
        init in prop::sample::select(&INITS),
        seed in any::<u64>(),
    ) -> (usize, Vec<f32>, Options) {
        (dim, rows, Options { init, seed, ..options(codes) })
    }
}

proptest! {
    #[test]
    fn every_row_goes_to_its_nearest_centroid((dim, rows, options) in problem()) {
        let clusters = fit(&rows, dim, &options).unwrap();
        for (row, &code) in rows.chunks(dim).zip(&clusters.assignment) {
            let mine = distance(row, &clusters.centroids[usize::from(code) * dim..][..dim]);
            for (other, word) in clusters.centroids.chunks(dim).enumerate() {
                let theirs = distance(row, word);
                prop_assert!(mine < theirs || (mine <= theirs && usize::from(code) <= other));
            }
        }
        prop_assert!((clusters.objective - objective(&rows, dim, &clusters)).abs() <= 1e-9 * clusters.objective);
    }

    #[test]
    fn more_iterations_are_never_worse((dim, rows, options) in problem()) {
        let after = |iterations| fit(&rows, dim, &Options { iterations, ..options.clone() }).unwrap().objective;
        prop_assert!(after(9) <= after(1) * (1.0 + 1e-5) + 1e-9);
    }

    #[test]
    fn a_capacity_is_kept_and_the_matching_is_stable((dim, rows, options) in problem(), slack in 0_usize..3) {
        let count = rows.len() / dim;
        let capacity = count.div_ceil(options.codebook_size) + slack;
        let clusters = fit(&rows, dim, &Options { capacity: Some(capacity), ..options }).unwrap();
        let centroid = |code: usize| &clusters.centroids[code * dim..][..dim];
        let codes = clusters.centroids.len() / dim;
        let assignment = &clusters.assignment;
        let members = |code: usize| (0..count).filter(move |&row| usize::from(assignment[row]) == code);
        for code in 0..codes {
            prop_assert!(members(code).count() <= capacity);
        }
        for (row, &mine) in rows.chunks(dim).zip(&clusters.assignment) {
            for code in 0..codes {
                let wanted = distance(row, centroid(code)) < distance(row, centroid(usize::from(mine)));
                if wanted {
                    prop_assert_eq!(members(code).count(), capacity);
                    for member in members(code) {
                        let theirs = distance(&rows[member * dim..][..dim], centroid(code));
                        prop_assert!(theirs <= distance(row, centroid(code)));
                    }
                }
            }
        }
    }
}
