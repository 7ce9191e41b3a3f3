//! A live trie against a trie built from a map of items, after every batch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use sidkit_core::sid::Key;
use sidkit_core::trie::Storage;
use sidkit_core::trie::live::{Batch, LiveTrie};
use sidkit_core::{Error, SidLayout, Trie};

/// The key of each item.
type Catalogue<K> = BTreeMap<u32, K>;

/// A batch as numbers that any catalogue can make something of.
#[derive(Clone, Debug)]
struct Draft {
    removed: Vec<u32>,
    added: Vec<(u32, Vec<u16>)>,
    compact: bool,
}

fn drafts() -> impl Strategy<Value = (Vec<u32>, Vec<Draft>)> {
    let size = prop_oneof![Just(1_u32), 2..6_u32, 250..300_u32, Just(65536_u32)];
    prop::collection::vec(size, 1..8).prop_flat_map(|sizes| {
        let tokens: Vec<_> = sizes.iter().map(|&size| prop_oneof![3 => 0..size.min(3), 1 => 0..size]).collect();
        let row = tokens.prop_map(|row| row.into_iter().map(|token| token as u16).collect::<Vec<_>>());
        let item = prop_oneof![9 => 0..90_u32, 1 => any::<u32>()];
        let draft = (
            prop_oneof![prop::collection::vec(item.clone(), 0..60), Just((0..200).collect())],
            prop_oneof![8 => prop::collection::vec((item.clone(), row.clone()), 0..40), 1 => prop::collection::vec((any::<u32>(), row), 200..400)],
            prop::bool::weighted(0.2),
        );
        let draft = draft.prop_map(|(removed, added, compact)| Draft { removed, added, compact });
        (Just(sizes), prop::collection::vec(draft, 1..7))
    })
}

fn storages() -> impl Strategy<Value = Storage> {
    prop_oneof![Just(Storage::Fast), Just(Storage::Compact)]
}

fn built<K: Key>(layout: &SidLayout, catalogue: &Catalogue<K>, storage: Storage) -> Trie {
    let items: Vec<u32> = catalogue.keys().copied().collect();
    let keys: Vec<K> = catalogue.values().copied().collect();
    Trie::build_as(layout.clone(), &keys, Some(&items), storage).unwrap()
}

/// The parts of a draft that fit a catalogue: items that are there go, items that are not there afterwards come.
fn fitting<K: Key>(
    layout: &SidLayout,
    catalogue: &Catalogue<K>,
    draft: &Draft,
) -> (Vec<i64>, Vec<K>, Vec<u32>) {
    let mut removed: Vec<u32> = draft
        .removed
        .iter()
        .copied()
        .filter(|item| catalogue.contains_key(item))
        .collect();
    removed.sort_unstable();
    removed.dedup();
    let mut added: Vec<(u32, K)> = Vec::new();
    for (item, row) in &draft.added {
        let free = !catalogue.contains_key(item) || removed.contains(item);
        if free && added.iter().all(|(other, _)| other != item) {
            added.push((*item, K::from_u128(layout.pack_one(row).unwrap())));
        }
    }
    let (items, keys): (Vec<u32>, Vec<K>) = added.into_iter().unzip();
    (removed.into_iter().map(i64::from).collect(), keys, items)
}

fn check<K: Key>(trie: &Trie, layout: &SidLayout, catalogue: &Catalogue<K>, storage: Storage) {
    assert_eq!(*trie, built(layout, catalogue, storage));
    let items: Vec<i64> = catalogue.keys().map(|&item| item.into()).collect();
    assert_eq!(
        trie.sids::<K>(&items).unwrap(),
        catalogue.values().copied().collect::<Vec<_>>()
    );
    for item in (0..100).filter(|item| !catalogue.contains_key(item)) {
        assert_eq!(
            trie.sids::<K>(&[item.into()]),
            Err(Error::UnknownItem {
                row: 0,
                item: item.into()
            })
        );
    }
}

fn run<K: Key>(sizes: &[u32], drafts: &[Draft], storage: Storage) {
    let layout = SidLayout::new(sizes).unwrap();
    let mut catalogue = Catalogue::<K>::new();
    let (_, keys, items) = fitting(&layout, &catalogue, &drafts[0]);
    catalogue.extend(items.into_iter().zip(keys));
    let live = LiveTrie::new(Arc::new(built(&layout, &catalogue, storage)), false).unwrap();
    let mut history = vec![];
    for draft in &drafts[1..] {
        history.push((live.snapshot(), catalogue.clone()));
        let (removed, keys, items) = fitting(&layout, &catalogue, draft);
        let batch = Batch {
            removed: &removed,
            keys: &keys,
            items: &items,
        };
        live.apply(&batch).unwrap();
        catalogue.retain(|item, _| !removed.contains(&i64::from(*item)));
        catalogue.extend(items.iter().copied().zip(keys.iter().copied()));
        check(&live.snapshot(), &layout, &catalogue, storage);
        if draft.compact {
            live.compact().unwrap();
            assert_eq!(live.pending(), (0, 0));
            check(&live.snapshot(), &layout, &catalogue, storage);
        }
    }
    for (snapshot, catalogue) in history {
        check(&snapshot, &layout, &catalogue, storage);
    }
}

proptest! {
    #[test]
    fn is_the_trie_of_what_is_left((sizes, drafts) in drafts(), storage in storages()) {
        match SidLayout::new(&sizes).unwrap().words() {
            1 => run::<u64>(&sizes, &drafts, storage),
            _ => run::<[u64; 2]>(&sizes, &drafts, storage),
        }
    }
}

#[test]
fn grows_and_shrinks_through_every_depth_of_the_directory() {
    let layout = SidLayout::new(&[4, 300, 8, 1, 16]).unwrap();
    let highest = layout.pack_one(&[3, 299, 7, 0, 15]).unwrap() as u64;
    for storage in [Storage::Fast, Storage::Compact] {
        let mut catalogue = Catalogue::<u64>::new();
        let live = LiveTrie::new(Arc::new(built(&layout, &catalogue, storage)), false).unwrap();
        let mut next = 0_u32;
        for size in [0_usize, 1, 5, 40, 3_000, 40_000, 41_000, 700, 30, 0, 2_000] {
            let removed: Vec<u32> = catalogue
                .keys()
                .copied()
                .take(catalogue.len().saturating_sub(size))
                .collect();
            let items: Vec<u32> = (next..next + size.saturating_sub(catalogue.len()) as u32).collect();
            let key = |item: &u32| {
                let key = u64::from(*item).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                let key = (key * highest) >> 32;
                // Not every pattern of bits is a key: the second level has 300 codes in 9 bits.
                if layout.check(&[key]).is_ok() {
                    key
                } else {
                    key & !(1 << 15)
                }
            };
            let keys: Vec<u64> = items.iter().map(key).collect();
            next += items.len() as u32;
            let numbers: Vec<i64> = removed.iter().map(|&item| item.into()).collect();
            live.apply(&Batch {
                removed: &numbers,
                keys: &keys,
                items: &items,
            })
            .unwrap();
            for item in &removed {
                catalogue.remove(item);
            }
            catalogue.extend(items.into_iter().zip(keys));
            assert_eq!(catalogue.len(), size);
            check(&live.snapshot(), &layout, &catalogue, storage);
        }
    }
}

fn small(unique: bool) -> LiveTrie {
    let layout = SidLayout::new(&[4, 4]).unwrap();
    LiveTrie::new(Arc::new(Trie::build(layout, &[3_u64, 9], None).unwrap()), unique).unwrap()
}

#[test]
fn refuses_what_does_not_fit_and_stays_as_it_was() {
    let live = small(true);
    let before = live.snapshot();
    let refuse = |removed: &[i64], keys: &[u64], items: &[u32], error: Error| {
        assert_eq!(live.apply(&Batch { removed, keys, items }), Err(error));
        assert!(Arc::ptr_eq(&before, &live.snapshot()));
    };
    refuse(&[0, 5], &[], &[], Error::UnknownItem { row: 1, item: 5 });
    refuse(&[-1], &[], &[], Error::UnknownItem { row: 0, item: -1 });
    refuse(&[0, 0], &[], &[], Error::RepeatedItem { item: 0 });
    refuse(&[], &[1, 2], &[7, 7], Error::RepeatedItem { item: 7 });
    refuse(&[0], &[1, 2], &[7, 1], Error::ItemExists { row: 1, item: 1 });
    refuse(&[], &[16], &[7], Error::KeyRange { row: 0, bits: 4 });
    refuse(
        &[],
        &[1, 2],
        &[7],
        Error::Length {
            what: "items",
            expected: 2,
            got: 1,
        },
    );
    refuse(&[0], &[9], &[7], Error::SharedKey { item: 7, other: 1 });
    refuse(&[0], &[9], &[0], Error::SharedKey { item: 0, other: 1 });
    refuse(&[], &[5, 5], &[7, 8], Error::SharedKey { item: 7, other: 8 });
    let wide = Batch {
        removed: &[],
        keys: &[[0, 1]],
        items: &[7],
    };
    assert_eq!(live.apply(&wide), Err(Error::KeyWords { expected: 1, got: 2 }));
    live.apply(&Batch::<u64> {
        removed: &[],
        keys: &[],
        items: &[],
    })
    .unwrap();
    assert_eq!((live.batches(), live.pending(), live.unique()), (0, (0, 0), true));
}

#[test]
fn an_item_may_change_its_sid_or_keep_it_in_one_batch() {
    let live = small(true);
    live.apply(&Batch {
        removed: &[0, 1],
        keys: &[9_u64, 4],
        items: &[0, 1],
    })
    .unwrap();
    assert_eq!(live.snapshot().sids::<u64>(&[0, 1]), Ok(vec![9, 4]));
    live.apply(&Batch {
        removed: &[0],
        keys: &[9_u64],
        items: &[0],
    })
    .unwrap();
    assert_eq!(live.snapshot().sids::<u64>(&[0, 1]), Ok(vec![9, 4]));
    assert_eq!(live.batches(), 2);
}

#[test]
fn refuses_a_base_with_shared_sids_where_they_must_differ() {
    let layout = SidLayout::new(&[4, 4]).unwrap();
    let trie = Arc::new(Trie::build(layout, &[9_u64, 3, 9], None).unwrap());
    let refused = LiveTrie::new(Arc::clone(&trie), true).err();
    assert_eq!(refused, Some(Error::SharedKey { item: 2, other: 0 }));
    assert!(LiveTrie::new(trie, false).is_ok());
}

/// Every batch replaces all items by as many others under another first token; a mixture would show.
#[test]
fn no_reader_sees_half_a_batch() {
    const ITEMS: u32 = 500;
    let layout = SidLayout::new(&[8, 512]).unwrap();
    let keys = |token: u32| {
        (0..ITEMS)
            .map(|item| u64::from(token << 9 | item))
            .collect::<Vec<_>>()
    };
    let live = LiveTrie::new(Arc::new(Trie::build(layout, &keys(0), None).unwrap()), true).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = 0;
                    while !done.load(Ordering::Acquire) {
                        let trie = live.snapshot();
                        let mut allowed = [false; 8];
                        trie.allowed(&trie.start(1), &mut allowed).unwrap();
                        let first = allowed.iter().position(|&allowed| allowed).unwrap();
                        assert_eq!(allowed.iter().filter(|&&allowed| allowed).count(), 1);
                        let items = trie.items(&trie.start(1)).0;
                        assert_eq!(items.len(), ITEMS as usize);
                        let sids = trie.sids::<u64>(&[items[0].into(), items[499].into()]).unwrap();
                        assert_eq!(sids, [(first as u64) << 9, ((first as u64) << 9) + 499]);
                        seen += 1;
                    }
                    seen
                })
            })
            .collect();
        for round in 1..300_u32 {
            let removed: Vec<i64> = ((round - 1) * ITEMS..round * ITEMS).map(i64::from).collect();
            let items: Vec<u32> = (round * ITEMS..(round + 1) * ITEMS).collect();
            live.apply(&Batch {
                removed: &removed,
                keys: &keys(round % 8),
                items: &items,
            })
            .unwrap();
            if round % 50 == 0 {
                live.compact().unwrap();
            }
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
}
