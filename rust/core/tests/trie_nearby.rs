//! Known prefixes, neighbours and random items against a plain list of rows of tokens.

#![expect(
    clippy::cast_sign_loss,
    reason = "items are signed for their -1, and never negative here"
)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use sidkit_core::sid::Key;
use sidkit_core::trie::Storage;
use sidkit_core::{Error, SidLayout, Trie};

/// Sizes of the levels, the tokens of the items, and tokens to ask for; narrow enough that prefixes and whole rows meet often.
fn worlds() -> impl Strategy<Value = (Vec<u32>, Vec<Vec<u16>>, Vec<Vec<u16>>)> {
    let size = prop_oneof![Just(1_u32), 2..6_u32, Just(300_u32), Just(2048_u32)];
    prop::collection::vec(size, 1..9).prop_flat_map(|sizes| {
        let tokens: Vec<_> = sizes
            .iter()
            .map(|&size| prop_oneof![0..size.min(3), 0..size])
            .collect();
        let row = tokens.prop_map(|row| row.into_iter().map(|token| token as u16).collect::<Vec<_>>());
        let row = row.boxed();
        let (rows, asked) = (
            prop::collection::vec(row.clone(), 0..60),
            prop::collection::vec(row, 0..20),
        );
        (Just(sizes), rows, asked)
    })
}

fn storages() -> impl Strategy<Value = Storage> {
    prop_oneof![Just(Storage::Fast), Just(Storage::Compact)]
}

fn shared(a: &[u16], b: &[u16]) -> u8 {
    a.iter().zip(b).take_while(|(a, b)| a == b).count() as u8
}

fn packed<K: Key>(layout: &SidLayout, rows: &[Vec<u16>]) -> Vec<K> {
    let mut keys = vec![K::from_u128(0); rows.len()];
    layout.pack(&rows.concat(), &mut keys).unwrap();
    keys
}

fn check<K: Key>(layout: &SidLayout, rows: &[Vec<u16>], asked: &[Vec<u16>], storage: Storage, k: usize) {
    let trie = Trie::build_as(layout.clone(), &packed::<K>(layout, rows), None, storage).unwrap();
    let lengths = trie.longest_prefix(&packed::<K>(layout, asked)).unwrap();
    let expected = asked
        .iter()
        .map(|asked| rows.iter().map(|row| shared(row, asked)).max().unwrap_or(0));
    assert_eq!(lengths, expected.collect::<Vec<_>>());

    let items: Vec<i64> = (0..rows.len() as i64).collect();
    let near = trie.neighbours(&items, k).unwrap();
    for (item, row) in rows.iter().enumerate() {
        let mut others: Vec<usize> = (0..rows.len()).filter(|&other| other != item).collect();
        others.sort_by_key(|&other| (std::cmp::Reverse(shared(&rows[other], row)), &rows[other], other));
        let mut expected: Vec<(i64, u8)> = others
            .iter()
            .map(|&other| (other as i64, shared(&rows[other], row)))
            .collect();
        expected.resize(k.max(expected.len()), (-1, 0));
        let got = item * k..(item + 1) * k;
        let got = near.items[got.clone()]
            .iter()
            .copied()
            .zip(near.shared[got].iter().copied());
        assert!(got.eq(expected.into_iter().take(k)));
    }
}

fn check_samples<K: Key>(layout: &SidLayout, rows: &[Vec<u16>], storage: Storage, k: usize, seed: u64) {
    let keys = packed::<K>(layout, rows);
    let trie = Trie::build_as(layout.clone(), &keys, None, storage).unwrap();
    for depth in 0..=layout.levels() {
        let states = trie.find(&keys, depth).unwrap();
        let drawn = trie.sample(&states, k, seed);
        assert_eq!(drawn, trie.sample(&states, k, seed));
        for (row, drawn) in rows.iter().zip(drawn.chunks(k.max(1))) {
            let under = |item: i64| rows[item as usize][..depth] == row[..depth];
            let many = (0..rows.len() as i64).filter(|&item| under(item)).count();
            let (found, missing) = drawn.split_at(k.min(many));
            assert!(found.iter().all(|&item| under(item)));
            assert!(missing.iter().all(|&item| item == -1));
            let distinct: BTreeSet<_> = found.iter().collect();
            assert_eq!(distinct.len(), found.len());
        }
    }
}

proptest! {
    #[test]
    fn prefixes_and_neighbours((sizes, rows, asked) in worlds(), storage in storages(), k in 0..70_usize) {
        let layout = SidLayout::new(&sizes).unwrap();
        match layout.words() {
            1 => check::<u64>(&layout, &rows, &asked, storage, k),
            _ => check::<[u64; 2]>(&layout, &rows, &asked, storage, k),
        }
    }

    #[test]
    fn samples_are_different_items_of_their_state(
        (sizes, rows, _) in worlds(), storage in storages(), k in 0..70_usize, seed: u64,
    ) {
        let layout = SidLayout::new(&sizes).unwrap();
        match layout.words() {
            1 => check_samples::<u64>(&layout, &rows, storage, k, seed),
            _ => check_samples::<[u64; 2]>(&layout, &rows, storage, k, seed),
        }
    }
}

#[test]
fn every_order_of_three_of_five_items_is_as_likely() {
    let layout = SidLayout::new(&[8]).unwrap();
    let trie = Trie::build(layout, &[0_u64, 1, 2, 3, 4], None).unwrap();
    let draws = 60_000;
    let drawn = trie.sample(&trie.start(draws), 3, 7);
    let mut counts = std::collections::BTreeMap::new();
    for order in drawn.chunks_exact(3) {
        *counts.entry(order.to_vec()).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 60);
    let expected = draws as f64 / 60.0;
    let chi_square: f64 = counts
        .values()
        .map(|&count| (f64::from(count) - expected).powi(2) / expected)
        .sum();
    // 59 degrees of freedom: above 98.3 once in a thousand seeds.
    assert!(chi_square < 98.3, "{chi_square}");
}

#[test]
fn what_is_not_there() {
    let layout = SidLayout::new(&[8, 8]).unwrap();
    let trie = Trie::build(layout, &[3_u64, 5], None).unwrap();
    assert_eq!(
        trie.neighbours(&[0, 2], 1),
        Err(Error::UnknownItem { row: 1, item: 2 })
    );
    assert!(trie.longest_prefix(&[64_u64]).is_err());
    assert!(trie.longest_prefix(&[[0_u64, 3]]).is_err());
    let dead = trie.step(&trie.start(1), &[1]).unwrap();
    assert_eq!(trie.sample(&dead, 2, 0), [-1, -1]);
}
