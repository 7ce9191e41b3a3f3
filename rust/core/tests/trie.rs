//! The trie against the obvious one: a sorted map from tokens to items.

#![expect(
    clippy::cast_sign_loss,
    reason = "offsets are signed for NumPy, and never negative"
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sidkit_core::sid::Key;
use sidkit_core::trie::{States, Storage};
use sidkit_core::{Error, SidLayout, Trie};

type Oracle = BTreeMap<Vec<u16>, BTreeSet<u32>>;

/// Sizes of the levels and rows of tokens under them; narrow enough that prefixes and whole rows meet often.
fn catalogues() -> impl Strategy<Value = (Vec<u32>, Vec<Vec<u16>>)> {
    let size = prop_oneof![Just(1_u32), 2..6_u32, 250..300_u32, Just(2048_u32)];
    prop::collection::vec(size, 1..8).prop_flat_map(|sizes| {
        let tokens: Vec<_> = sizes
            .iter()
            .map(|&size| prop_oneof![0..size.min(3), 0..size])
            .collect();
        let row = tokens.prop_map(|row| row.into_iter().map(|token| token as u16).collect::<Vec<_>>()).boxed();
        (
            Just(sizes),
            prop_oneof![4 => prop::collection::vec(row.clone(), 0..80), 1 => prop::collection::vec(row, 300..600)],
        )
    })
}

fn storages() -> impl Strategy<Value = Storage> {
    prop_oneof![Just(Storage::Fast), Just(Storage::Compact)]
}

fn build<K: Key>(layout: &SidLayout, rows: &[Vec<u16>], storage: Storage) -> Trie {
    let mut keys = vec![K::from_u128(0); rows.len()];
    layout.pack(&rows.concat(), &mut keys).unwrap();
    Trie::build_as(layout.clone(), &keys, None, storage).unwrap()
}

fn trie_of(sizes: &[u32], rows: &[Vec<u16>], storage: Storage) -> (Trie, Oracle) {
    let layout = SidLayout::new(sizes).unwrap();
    let trie = match layout.words() {
        1 => build::<u64>(&layout, rows, storage),
        _ => build::<[u64; 2]>(&layout, rows, storage),
    };
    let mut oracle = Oracle::new();
    for (item, row) in rows.iter().enumerate() {
        oracle.entry(row.clone()).or_default().insert(item as u32);
    }
    (trie, oracle)
}

fn items_under(oracle: &Oracle, prefix: &[u16]) -> Vec<u32> {
    let under = oracle.iter().filter(|(sid, _)| sid.starts_with(prefix));
    under.flat_map(|(_, items)| items).copied().collect()
}

/// Walks every prefix that exists, and a few that do not, and compares all that a state answers.
fn check_walk(trie: &Trie, oracle: &Oracle) {
    let levels = trie.layout().levels();
    let mut prefixes = vec![vec![]];
    let mut states = trie.start(1);
    for depth in 0..=levels {
        check_items(trie, &states, oracle, &prefixes);
        if depth == levels {
            assert_eq!(
                trie.step(&states, &vec![0; states.len()]),
                Err(Error::Complete { levels })
            );
            break;
        }
        let size = trie.layout().sizes()[depth] as usize;
        let mut allowed = vec![true; size * prefixes.len()];
        trie.allowed(&states, &mut allowed).unwrap();
        check_masks(trie, &states, &allowed);
        let (mut rows, mut codes, mut next) = (vec![], vec![], vec![]);
        for (row, prefix) in prefixes.iter().enumerate() {
            let under = oracle.keys().filter(|sid| sid.starts_with(prefix));
            let children: BTreeSet<u16> = under.map(|sid| sid[depth]).collect();
            let mask = &allowed[row * size..][..size];
            let marked: BTreeSet<u16> = (0..size)
                .filter(|&code| mask[code])
                .map(|code| code as u16)
                .collect();
            assert_eq!(marked, children, "after {prefix:?}");
            let absent = (0..size as u16).find(|code| !children.contains(code));
            for code in children.iter().copied().chain(absent) {
                rows.push(row as i64);
                codes.push(i64::from(code));
                next.push([&prefix[..], &[code]].concat());
            }
        }
        states = trie.step(&states.select(&rows).unwrap(), &codes).unwrap();
        prefixes = next;
    }
}

/// The other forms of the mask say the same.
fn check_masks(trie: &Trie, states: &States, allowed: &[bool]) {
    let size = trie.next_size(states).unwrap() as usize;
    let width = size.div_ceil(32);
    let mut bits = vec![-1; width * states.len()];
    trie.bitmask(states, &mut bits).unwrap();
    let mut logits: Vec<f32> = (0..allowed.len()).map(|at| at as f32).collect();
    trie.mask_logits(states, &mut logits).unwrap();
    for (at, &allowed) in allowed.iter().enumerate() {
        let (row, code) = (at / size, at % size);
        assert_eq!(bits[row * width + code / 32] >> (code % 32) & 1 == 1, allowed);
        assert_eq!(
            logits[at].to_bits(),
            if allowed { at as f32 } else { f32::NEG_INFINITY }.to_bits()
        );
    }
    let set: u32 = bits.iter().map(|word| word.count_ones()).sum();
    assert_eq!(set as usize, allowed.iter().filter(|&&allowed| allowed).count());
}

fn check_items(trie: &Trie, states: &States, oracle: &Oracle, prefixes: &[Vec<u16>]) {
    let (values, offsets) = trie.items(states);
    let counts = trie.count(states);
    for (row, prefix) in prefixes.iter().enumerate() {
        let got = &values[offsets[row] as usize..offsets[row + 1] as usize];
        assert_eq!(got, items_under(oracle, prefix), "under {prefix:?}");
        assert_eq!(counts[row], got.len() as i64);
        assert_eq!(states.spans()[row].is_dead(), got.is_empty());
    }
}

fn check_lookup<K: Key>(trie: &Trie, oracle: &Oracle, asked: &[Vec<u16>]) {
    let mut keys = vec![K::from_u128(0); asked.len()];
    trie.layout().pack(&asked.concat(), &mut keys).unwrap();
    let (values, offsets) = trie.lookup(&keys).unwrap();
    assert_eq!(*offsets.last().unwrap(), values.len() as i64);
    for (row, (key, tokens)) in keys.iter().zip(asked).enumerate() {
        let expected = items_under(oracle, tokens);
        assert_eq!(values[offsets[row] as usize..offsets[row + 1] as usize], expected);
        assert_eq!(trie.get(*key).unwrap(), expected);
    }
}

proptest! {
    #[test]
    fn walks_as_the_oracle((sizes, rows) in catalogues(), storage in storages()) {
        let (trie, oracle) = trie_of(&sizes, &rows, storage);
        prop_assert_eq!(trie.len(), oracle.len());
        prop_assert_eq!(trie.item_count(), rows.len());
        check_walk(&trie, &oracle);
    }

    #[test]
    fn finds_what_it_holds_and_nothing_else((sizes, rows) in catalogues(), storage in storages(), probe in any::<u128>()) {
        let (trie, oracle) = trie_of(&sizes, &rows, storage);
        let layout = trie.layout();
        let strange: Vec<u16> = sizes.iter().enumerate()
            .map(|(level, &size)| ((probe >> (level * 16 % 112)) as u32 % size) as u16).collect();
        for row in rows.iter().chain([&strange]) {
            let mut keys = [[0_u64; 2]];
            let mut narrow = [0_u64];
            for depth in 0..=layout.levels() {
                let states = if layout.words() == 2 {
                    layout.pack(row, &mut keys).unwrap();
                    trie.find(&keys, depth)
                } else {
                    layout.pack(row, &mut narrow).unwrap();
                    trie.find(&narrow, depth)
                };
                prop_assert_eq!(trie.items(&states.unwrap()).0, items_under(&oracle, &row[..depth]));
            }
        }
    }

    #[test]
    fn looks_up_the_items_of_whole_sids((sizes, rows) in catalogues(), storage in storages(), seed in any::<u64>()) {
        let (trie, oracle) = trie_of(&sizes, &rows, storage);
        let strange: Vec<u16> = sizes.iter().enumerate()
            .map(|(level, &size)| ((seed.rotate_left(level as u32 * 7) >> 16) % u64::from(size)) as u16).collect();
        let asked: Vec<Vec<u16>> = rows.into_iter().rev().chain([strange]).collect();
        if trie.layout().words() == 1 {
            check_lookup::<u64>(&trie, &oracle, &asked);
        } else {
            check_lookup::<[u64; 2]>(&trie, &oracle, &asked);
        }
    }

    #[test]
    fn knows_the_sid_of_an_item((sizes, rows) in catalogues(), storage in storages()) {
        let (trie, _) = trie_of(&sizes, &rows, storage);
        let layout = trie.layout();
        let items: Vec<i64> = (0..rows.len() as i64).rev().collect();
        let mut tokens = vec![0; rows.len() * sizes.len()];
        match layout.words() {
            1 => layout.unpack(&trie.sids::<u64>(&items).unwrap(), &mut tokens).unwrap(),
            _ => layout.unpack(&trie.sids::<[u64; 2]>(&items).unwrap(), &mut tokens).unwrap(),
        }
        prop_assert_eq!(tokens, rows.into_iter().rev().flatten().collect::<Vec<_>>());
    }

    #[test]
    fn survives_its_bytes((sizes, rows) in catalogues(), storage in storages(), trusted in any::<bool>()) {
        let (trie, _) = trie_of(&sizes, &rows, storage);
        prop_assert_eq!(Trie::from_bytes(&trie.to_bytes(), trusted).unwrap(), trie);
    }

    #[test]
    fn notices_any_changed_byte((sizes, rows) in catalogues(), storage in storages(), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut bytes = trie_of(&sizes, &rows, storage).0.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let refused = |bytes: &[u8]| matches!(Trie::from_bytes(bytes, false), Err(Error::Format { .. }));
        prop_assert!(refused(&bytes));
        prop_assert!(refused(&bytes[..at]));
    }
}

#[test]
fn many_keys_are_looked_up_as_few() {
    let layout = SidLayout::new(&[64, 300, 16]).unwrap();
    let key = |i: u64| (i % 64) << 13 | (i * 7919 % 300) << 4 | (i / 7 % 16);
    let keys: Vec<u64> = (0..50_000).map(key).collect();
    for storage in [Storage::Fast, Storage::Compact] {
        let trie = Trie::build_as(layout.clone(), &keys, None, storage).unwrap();
        assert_eq!(trie.lookup::<u64>(&[]), Ok((vec![], vec![0])));
        let (values, offsets) = trie.lookup(&keys).unwrap();
        for (row, &key) in keys.iter().enumerate() {
            let items = &values[offsets[row] as usize..offsets[row + 1] as usize];
            assert_eq!(items, trie.get(key).unwrap());
            assert!(items.contains(&(row as u32)) && items.iter().all(|&item| keys[item as usize] == key));
        }
    }
    let trie = Trie::build(layout, &keys, None).unwrap();
    assert!(matches!(trie.get(299_u64 << 13), Err(Error::KeyRange { .. })));
    assert!(matches!(
        trie.lookup(&[511_u64 << 4]),
        Err(Error::TokenRange { level: 1, .. })
    ));
}

#[test]
fn items_keep_their_numbers() {
    let layout = SidLayout::new(&[4, 4]).unwrap();
    let keys: [u64; 4] = [9, 2, 9, 0];
    let trie = Trie::build(layout.clone(), &keys, Some(&[70, 5, 30, 4_000_000_000])).unwrap();
    let found = trie.find(&[9_u64, 0, 3], 2).unwrap();
    assert_eq!(
        trie.items(&found),
        (vec![30, 70, 4_000_000_000], vec![0, 2, 3, 3])
    );
    let twice = Trie::build(layout, &keys, Some(&[7, 5, 7, 1]));
    assert_eq!(twice, Err(Error::RepeatedItem { item: 7 }));
}

#[test]
fn refuses_what_does_not_fit() {
    let layout = SidLayout::new(&[4, 3]).unwrap();
    let trie = Trie::build(layout.clone(), &[0_u64], None).unwrap();
    assert_eq!(
        Trie::build(layout.clone(), &[16_u64], None),
        Err(Error::KeyRange { row: 0, bits: 4 })
    );
    assert_eq!(
        Trie::build(layout.clone(), &[0_u64, 3], None),
        Err(Error::TokenRange {
            row: 1,
            level: 1,
            token: 3,
            size: 3
        })
    );
    assert_eq!(
        Trie::build(layout, &[[0_u64; 2]], None),
        Err(Error::KeyWords { expected: 1, got: 2 })
    );
    let start = trie.start(2);
    assert_eq!(
        trie.allowed(&start, &mut [false; 7]),
        Err(Error::Length {
            what: "out",
            expected: 8,
            got: 7
        })
    );
    assert_eq!(
        trie.step(&start, &[0]),
        Err(Error::Length {
            what: "tokens",
            expected: 2,
            got: 1
        })
    );
    assert_eq!(
        start.select(&[1, -1]),
        Err(Error::RowRange {
            at: 1,
            row: -1,
            rows: 2
        })
    );
    assert!(
        trie.step(&start, &[-1, 4])
            .unwrap()
            .spans()
            .iter()
            .all(|span| span.is_dead())
    );
}
