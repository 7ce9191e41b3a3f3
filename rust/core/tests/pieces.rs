//! Pieces: orders of features and merges, against the rules written out slowly.

use std::ops::Range;

use proptest::prelude::*;
use sidkit_core::pieces::{Merge, learn, segment, shuffle};

const WIDTH: usize = 3;
const VALUES: u32 = 4;
const BASE: usize = WIDTH * VALUES as usize;

/// Histories of actions with one value of each feature, and a seed for each.
fn worlds() -> impl Strategy<Value = (Vec<Vec<[u32; WIDTH]>>, Vec<u64>)> {
    let action = prop::array::uniform3(0..VALUES).prop_map(|[a, b, c]| [a, VALUES + b, 2 * VALUES + c]);
    let history = prop::collection::vec(action, 0..6);
    prop::collection::vec((history, any::<u64>()), 0..6).prop_map(|rows| rows.into_iter().unzip())
}

fn flat(histories: &[Vec<[u32; WIDTH]>]) -> (Vec<u32>, Vec<i64>) {
    let mut offsets = vec![0];
    for history in histories {
        offsets.push(offsets[offsets.len() - 1] + history.len() as i64);
    }
    (histories.concat().into_flattened(), offsets)
}

/// Where a row is.
fn span(places: &[i64], row: usize) -> Range<usize> {
    let [from, to] = [row, row + 1].map(|row| usize::try_from(places[row]).unwrap());
    from..to
}

/// One merge at a time: of all that apply the earliest learned, at its leftmost place.
fn slow_segment(row: &[u32], merges: &[Merge]) -> Vec<u32> {
    let mut row = row.to_vec();
    'again: loop {
        for (rank, pair) in merges.iter().enumerate() {
            for place in 1..row.len() {
                let [one, other] = [row[place - 1], row[place]];
                if *pair == [one.min(other), one.max(other)] {
                    row.splice(place - 1..=place, [(BASE + rank) as u32]);
                    continue 'again;
                }
            }
        }
        return row;
    }
}

proptest! {
    #[test]
    fn segments_are_those_of_one_merge_at_a_time((histories, seeds) in worlds(), count in 0..20_usize) {
        let (actions, offsets) = flat(&histories);
        let merges = learn(&actions, WIDTH, &offsets, BASE, count).unwrap();
        let shuffled = shuffle(&actions, WIDTH, &offsets, &seeds).unwrap();
        let places: Vec<i64> = offsets.iter().map(|place| place * WIDTH as i64).collect();
        let (pieces, ends) = segment(&shuffled, &places, &merges, BASE).unwrap();
        for row in 0..histories.len() {
            let slow = slow_segment(&shuffled[span(&places, row)], &merges);
            prop_assert_eq!(&pieces[span(&ends, row)], slow);
        }
    }

    /// A history's order is its own: of its sets, its places and its seed, whoever else is there.
    #[test]
    fn orders_are_of_sets((histories, seeds) in worlds(), turn in 0..WIDTH) {
        let (actions, offsets) = flat(&histories);
        let shuffled = shuffle(&actions, WIDTH, &offsets, &seeds).unwrap();
        for (own, other) in actions.chunks(WIDTH).zip(shuffled.chunks(WIDTH)) {
            let mut other = other.to_vec();
            other.sort_unstable();
            prop_assert_eq!(own, other);
        }
        let mut turned = actions.clone();
        turned.chunks_mut(WIDTH).for_each(|action| action.rotate_left(turn));
        prop_assert_eq!(&shuffle(&turned, WIDTH, &offsets, &seeds).unwrap(), &shuffled);
        for (row, history) in histories.iter().enumerate() {
            let (alone, ends) = flat(std::slice::from_ref(history));
            let alone = shuffle(&alone, WIDTH, &ends, &seeds[row..=row]).unwrap();
            let Range { start, end } = span(&offsets, row);
            prop_assert_eq!(&shuffled[start * WIDTH..end * WIDTH], alone);
        }
    }

    #[test]
    fn arrays_that_do_not_fit_are_errors(
        tokens in prop::collection::vec(any::<u32>(), 0..9),
        offsets in prop::collection::vec(-2..5_i64, 0..4),
        merges in prop::collection::vec(prop::array::uniform2(0..12_u32), 0..4),
        width in 0..4_usize,
        base in prop_oneof![0..9_usize, Just(usize::MAX)],
        seeds in prop::collection::vec(any::<u64>(), 0..3),
    ) {
        // Whatever comes, an answer or an error, never a panic.
        let shuffled = shuffle(&tokens, width, &offsets, &seeds);
        prop_assert!(shuffled.is_err() || shuffled.unwrap().len() == tokens.len());
        let found = segment(&tokens, &offsets, &merges, base);
        prop_assert!(found.is_err() || found.unwrap().0.len() <= tokens.len());
    }
}

/// Six orders of three, each about a sixth of the time, in every place of a history.
#[test]
fn all_orders_are_as_likely() {
    let (draws, offsets) = (6_000_usize, (0..=6_000).map(|row| row * 2).collect::<Vec<i64>>());
    let actions: Vec<u32> = [0, 1, 2].repeat(2 * draws);
    let seeds: Vec<u64> = (0..draws as u64).collect();
    let shuffled = shuffle(&actions, 3, &offsets, &seeds).unwrap();
    for place in 0..2 {
        let mut counts = [0; 9];
        for row in shuffled.chunks(6) {
            counts[(row[place * 3] * 3 + row[place * 3 + 1]) as usize] += 1;
        }
        let found: Vec<i32> = counts.into_iter().filter(|&count| count > 0).collect();
        assert!(
            found.len() == 6 && found.iter().all(|count| (850..1150).contains(count)),
            "{found:?}"
        );
    }
}
