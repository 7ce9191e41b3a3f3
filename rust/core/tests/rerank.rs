//! Re-ranking against its definitions, written out in the plainest way.

use proptest::collection::vec;
use proptest::prelude::*;
use sidkit_core::Error;
use sidkit_core::rerank::{self, Candidates, FLOOR, cosine, distinct};

#[derive(Clone, Debug)]
struct Case {
    dim: usize,
    width: usize,
    vectors: Vec<f32>,
    items: Vec<i32>,
    scores: Vec<f32>,
}

type Chosen = Vec<Vec<(usize, f64)>>;

impl Case {
    fn candidates(&self) -> Candidates<'_> {
        Candidates::new(&self.vectors, self.dim, &self.items, &self.scores, self.width).unwrap()
    }

    fn vector(&self, item: i32) -> &[f32] {
        &self.vectors[usize::try_from(item).unwrap() * self.dim..][..self.dim]
    }

    /// The lists by a rule of single lists: place, item and score of each candidate in, places and values out.
    fn lists(&self, choose: impl Fn(&[(usize, i32, f64)]) -> Vec<(usize, f64)>) -> Chosen {
        self.items
            .chunks(self.width)
            .zip(self.scores.chunks(self.width))
            .map(|(items, scores)| {
                let live: Vec<_> = (0..self.width)
                    .filter(|&place| items[place] >= 0)
                    .map(|place| (place, items[place], f64::from(scores[place])))
                    .collect();
                choose(&live)
            })
            .collect()
    }
}

type Function = fn(&Candidates<'_>, f64, usize, &mut [i32], &mut [f32], usize) -> Result<(), Error>;

/// Maximal marginal relevance of the whole list.
fn mmr(
    candidates: &Candidates<'_>,
    diversity: f64,
    k: usize,
    positions: &mut [i32],
    values: &mut [f32],
    threads: usize,
) -> Result<(), Error> {
    rerank::mmr(candidates, diversity, 0, k, positions, values, threads)
}

/// A determinantal point process for the whole list.
fn dpp(
    candidates: &Candidates<'_>,
    diversity: f64,
    k: usize,
    positions: &mut [i32],
    values: &mut [f32],
    threads: usize,
) -> Result<(), Error> {
    rerank::dpp(candidates, diversity, 0, k, positions, values, threads)
}

fn run(function: Function, case: &Case, setting: f64, k: usize, threads: usize) -> (Vec<i32>, Vec<f32>) {
    let candidates = case.candidates();
    let room = candidates.lists() * k;
    let (mut positions, mut values) = (vec![7; room], vec![7.0; room]);
    function(&candidates, setting, k, &mut positions, &mut values, threads).unwrap();
    (positions, values)
}

fn same(found: &(Vec<i32>, Vec<f32>), expected: &Chosen, k: usize) {
    for (list, chosen) in expected.iter().enumerate() {
        let row = list * k..(list + 1) * k;
        let mut places: Vec<i32> = chosen.iter().map(|&(place, _)| place as i32).collect();
        let mut values: Vec<f32> = chosen.iter().map(|&(_, value)| value as f32).collect();
        places.resize(k, -1);
        values.resize(k, f32::NEG_INFINITY);
        assert_eq!(&found.0[row.clone()], &places);
        assert_eq!(&found.1[row], &values);
    }
}

/// Greedy choice of the highest value, the first of equals, where `value` sees what was chosen.
fn greedy(
    live: &[(usize, i32, f64)],
    k: usize,
    value: impl Fn(&(usize, i32, f64), &[(usize, i32, f64)]) -> f64,
) -> Vec<(usize, f64)> {
    let (mut left, mut taken, mut chosen) = (live.to_vec(), Vec::new(), Vec::new());
    while chosen.len() < k && !left.is_empty() {
        let mut best = (0, f64::NEG_INFINITY);
        for (place, candidate) in left.iter().enumerate() {
            let worth = value(candidate, &taken);
            if worth > best.1 {
                best = (place, worth);
            }
        }
        let candidate = left.remove(best.0);
        chosen.push((candidate.0, best.1));
        taken.push(candidate);
    }
    chosen
}

fn case() -> impl Strategy<Value = Case> {
    (1_usize..20, 1_usize..12, 1_usize..9, 0_usize..5).prop_flat_map(|(dim, width, items, lists)| {
        // Few distinct numbers, so that equal vectors, zero vectors and ties occur.
        let vectors = vec(
            prop_oneof![3 => -1.0_f32..1.0, 2 => Just(0.0_f32), 2 => Just(1.0_f32)],
            items * dim,
        );
        let chosen = vec(-1..items as i32, lists * width);
        let scores = vec(prop_oneof![-2.0_f32..2.0, Just(0.5_f32)], lists * width);
        (vectors, chosen, scores).prop_map(move |(vectors, items, scores)| Case {
            dim,
            width,
            vectors,
            items,
            scores,
        })
    })
}

proptest! {
    #[test]
    fn first_positions_are_kept(case in case(), diversity in 0.0..1.0_f64, keep in 0_usize..6, k in 1_usize..14) {
        let expected = case.lists(|live| {
            // The highest scores first, of equals the first.
            let mut order: Vec<usize> = (0..live.len()).collect();
            order.sort_by(|&a, &b| live[b].2.total_cmp(&live[a].2));
            let kept: Vec<usize> = order[..keep.min(live.len())].iter().map(|&at| live[at].0).collect();
            greedy(live, k, |&(place, item, score), taken| {
                if let Some(&next) = kept.get(taken.len()) {
                    return if place == next { (1.0 - diversity) * score } else { f64::MIN };
                }
                let similar = taken
                    .iter()
                    .map(|&(_, other, _)| cosine(case.vector(other), case.vector(item)))
                    .fold(0.0, f64::max);
                (1.0 - diversity) * score - diversity * similar
            })
        });
        let room = case.candidates().lists() * k;
        let (mut positions, mut values) = (vec![7; room], vec![7.0; room]);
        rerank::mmr(&case.candidates(), diversity, keep, k, &mut positions, &mut values, 1).unwrap();
        close(&case, &expected, &positions, &values, k);
        rerank::dpp(&case.candidates(), diversity, keep, k, &mut positions, &mut values, 1).unwrap();
        for (list, chosen) in expected.iter().enumerate() {
            for (place, &(position, _)) in chosen.iter().take(keep).enumerate() {
                prop_assert_eq!(positions[list * k + place], position as i32);
            }
        }
    }

    #[test]
    fn mmr_is_its_definition(case in case(), diversity in 0.0..1.0_f64, k in 1_usize..14) {
        let expected = case.lists(|live| greedy(live, k, |&(_, item, score), taken| {
            let similar = taken
                .iter()
                .map(|&(_, other, _)| cosine(case.vector(other), case.vector(item)))
                .fold(0.0, f64::max);
            (1.0 - diversity) * score - diversity * similar
        }));
        // The order of the factors of a cosine may change its last bit, so values are compared with room for that.
        let (positions, values) = run(mmr, &case, diversity, k, 1);
        close(&case, &expected, &positions, &values, k);
        prop_assert_eq!(run(mmr, &case, diversity, k, 3), (positions, values));
    }

    #[test]
    fn max_sum_is_its_definition(case in case(), diversity in 0.0..1.0_f64, k in 1_usize..14) {
        let others = (k - 1).max(1) as f64;
        let expected = case.lists(|live| greedy(live, k, |&(_, item, score), taken| {
            let similar: f64 = taken
                .iter()
                .map(|&(_, other, _)| cosine(case.vector(other), case.vector(item)).max(0.0))
                .sum();
            (1.0 - diversity) * score - diversity * similar / others
        }));
        let (positions, values) = run(rerank::max_sum, &case, diversity, k, 1);
        close(&case, &expected, &positions, &values, k);
        prop_assert_eq!(run(rerank::max_sum, &case, diversity, k, 3), (positions, values));
    }

    #[test]
    fn values_never_rise_and_lists_are_full(case in case(), diversity in 0.0..=1.0_f64, k in 1_usize..14) {
        for function in [mmr as Function, dpp, rerank::max_sum] {
            let (positions, values) = run(function, &case, diversity, k, 2);
            for (list, (positions, values)) in positions.chunks(k).zip(values.chunks(k)).enumerate() {
                let items = &case.items[list * case.width..][..case.width];
                let live = items.iter().filter(|&&item| item >= 0).count();
                prop_assert!(values.is_sorted_by(|a, b| a >= b));
                prop_assert_eq!(positions.iter().filter(|&&place| place >= 0).count(), live.min(k));
                let mut places: Vec<_> = positions.iter().filter(|&&place| place >= 0).collect();
                places.sort_unstable();
                places.dedup();
                prop_assert_eq!(places.len(), live.min(k));
            }
        }
    }

    #[test]
    fn without_diversity_the_order_is_that_of_the_scores(case in case(), k in 1_usize..14) {
        let expected = case.lists(|live| greedy(live, k, |&(_, _, score), _| score));
        same(&run(mmr, &case, 0.0, k, 1), &expected, k);
        same(&run(dpp, &case, 0.0, k, 1), &expected, k);
        same(&run(rerank::max_sum, &case, 0.0, k, 1), &expected, k);
    }

    #[test]
    fn near_duplicates_are_skipped(case in case(), threshold in 0.0..=1.0_f64, k in 1_usize..14) {
        let expected = case.lists(|live| {
            let mut kept: Vec<(usize, i32, f64)> = Vec::new();
            for &(place, item, score) in live {
                let similar = kept.iter().any(|&(_, other, _)| {
                    cosine(case.vector(item), case.vector(other)) as f32 >= threshold as f32
                });
                if kept.len() < k && !similar {
                    kept.push((place, item, score));
                }
            }
            kept.into_iter().map(|(place, _, score)| (place, score)).collect()
        });
        same(&run(distinct, &case, threshold, k, 2), &expected, k);
    }
}

/// Compares values with a tolerance, and positions where values are apart.
fn close(case: &Case, expected: &Chosen, positions: &[i32], values: &[f32], k: usize) {
    for (list, chosen) in expected.iter().enumerate() {
        for (number, &(place, value)) in chosen.iter().enumerate() {
            let found = list * k + number;
            assert!((f64::from(values[found]) - value).abs() < 1e-5, "{case:?}");
            if positions[found] != place as i32 {
                return; // a tie within rounding: from here on the lists may differ
            }
        }
    }
}

/// The determinant of the cosines of some items, by elimination with pivots.
fn determinant(case: &Case, items: &[i32]) -> f64 {
    let mut rows: Vec<Vec<f64>> = items
        .iter()
        .enumerate()
        .map(|(i, &one)| {
            items
                .iter()
                .enumerate()
                .map(|(j, &other)| {
                    if i == j {
                        1.0
                    } else {
                        cosine(case.vector(one), case.vector(other))
                    }
                })
                .collect()
        })
        .collect();
    let mut product = 1.0;
    for step in 0..rows.len() {
        let pivot = (step..rows.len())
            .max_by(|&a, &b| rows[a][step].abs().total_cmp(&rows[b][step].abs()))
            .unwrap();
        rows.swap(step, pivot);
        product *= if pivot == step {
            rows[step][step]
        } else {
            -rows[step][step]
        };
        if rows[step][step] == 0.0 {
            return 0.0;
        }
        let (above, below) = rows.split_at_mut(step + 1);
        for row in below {
            let factor = row[step] / above[step][step];
            for (element, upper) in row.iter_mut().zip(&above[step]) {
                *element -= factor * upper;
            }
        }
    }
    product
}

proptest! {
    #[test]
    fn dpp_is_the_greedy_determinant(
        vectors in vec(-1.0_f32..1.0, 8 * 24),
        scores in vec(-1.0_f32..1.0, 8),
        diversity in 0.05..0.95_f64,
        k in 1_usize..7,
    ) {
        let case = Case { dim: 24, width: 8, vectors, items: (0..8).collect(), scores };
        let expected = case.lists(|live| greedy(live, k, |&(_, item, score), taken| {
            let before: Vec<i32> = taken.iter().map(|&(_, item, _)| item).collect();
            let after = [&before[..], &[item]].concat();
            let gain = determinant(&case, &after) / determinant(&case, &before);
            (1.0 - diversity) * score + diversity * gain.max(FLOOR).ln()
        }));
        let (positions, values) = run(dpp, &case, diversity, k, 1);
        close(&case, &expected, &positions, &values, k);
        prop_assert_eq!(run(dpp, &case, diversity, k, 4), (positions, values));
    }
}

#[test]
fn equal_items_fill_a_list_last() {
    let case = Case {
        dim: 2,
        width: 4,
        vectors: vec![1.0, 0.0, 0.0, 2.0],
        items: vec![0, 0, 0, 1],
        scores: vec![1.0, 0.9, 0.8, 0.1],
    };
    assert_eq!(run(dpp, &case, 0.5, 4, 1).0, [0, 3, 1, 2]);
    assert_eq!(run(mmr, &case, 0.6, 4, 1).0, [0, 3, 1, 2]);
    assert_eq!(run(distinct, &case, 1.0, 4, 1).0, [0, 3, -1, -1]);
}

#[test]
fn what_cannot_be_is_refused() {
    let vectors = [1.0, 0.0, f32::NAN, 0.0];
    let refused = |items: &[i32], scores: &[f32], width| {
        Candidates::new(&vectors, 2, items, scores, width)
            .err()
            .unwrap()
            .to_string()
    };
    assert_eq!(
        refused(&[0, 2], &[1.0, 0.0], 2),
        "list 0 of `items` is invalid: expected items below 2, or -1 as padding, got 2. Pass vectors of the whole catalogue"
    );
    assert!(refused(&[0, -2], &[1.0, 0.0], 1).starts_with("list 1 of `items`"));
    assert!(refused(&[0], &[f32::NAN], 1).starts_with("row 0 of `scores`"));
    assert!(refused(&[0, 1], &[0.0], 2).starts_with("`scores` has the wrong length"));
    assert!(refused(&[0, 1, 0], &[0.0; 3], 2).starts_with("`items` has the wrong length"));
    assert!(refused(&[0], &[0.0], 0).starts_with("`width` is out of range"));
    let candidates = Candidates::new(&vectors, 2, &[0, -1, 0, 1], &[0.0; 4], 2).unwrap();
    let run = |function: Function, setting, k: usize, room: usize| {
        function(
            &candidates,
            setting,
            k,
            &mut vec![0; room],
            &mut vec![0.0; room],
            1,
        )
        .unwrap_err()
        .to_string()
    };
    assert!(run(dpp, 0.5, 2, 4).starts_with("row 1 of `vectors`"));
    assert!(run(mmr, 0.5, 0, 0).starts_with("`k` is out of range"));
    assert!(run(mmr, 0.5, 2, 3).starts_with("`positions` has the wrong length"));
    assert_eq!(
        run(mmr, 1.5, 1, 2),
        "`diversity` is out of range: expected a number from 0 to 1, got 1.5"
    );
    assert!(run(dpp, f64::NAN, 1, 2).starts_with("`diversity`"));
    assert!(run(distinct, -0.1, 1, 2).starts_with("`threshold`"));
}
