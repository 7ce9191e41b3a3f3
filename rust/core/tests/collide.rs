//! Moves of items with equal codes, against slow versions.

use proptest::prelude::*;
use sidkit_core::collide::{self, Sinkhorn, UNPLACED};

/// Occupied keys, four preferred codes per item, their costs (many of them equal), and a capacity.
fn worlds() -> impl Strategy<Value = (Vec<u64>, Vec<u64>, Vec<f64>, u32)> {
    let items = 0..25_usize;
    (prop::collection::vec(0..12_u64, 0..20), items, 1..4_u32).prop_flat_map(|(occupied, items, capacity)| {
        let preferred = prop::collection::vec(0..12_u64, items * 4);
        let costs = prop::collection::vec((0..6_u8).prop_map(f64::from), items * 4);
        (Just(occupied), preferred, costs, Just(capacity))
    })
}

fn taken(occupied: &[u64], preferred: &[u64], placed: &[u32], key: u64) -> usize {
    let granted = placed
        .iter()
        .enumerate()
        .filter(|&(_, &choice)| choice != UNPLACED);
    occupied.iter().filter(|&&other| other == key).count()
        + granted
            .filter(|&(item, &choice)| preferred[item * 4 + choice as usize] == key)
            .count()
}

/// No item moves to a full code, and no item is left out while one of its preferred codes has room.
fn check_room(occupied: &[u64], preferred: &[u64], placed: &[u32], capacity: u32) {
    for key in 0..12 {
        let before = occupied.iter().filter(|&&other| other == key).count();
        assert!(taken(occupied, preferred, placed, key) <= before.max(capacity as usize));
    }
    for (item, _) in placed
        .iter()
        .enumerate()
        .filter(|&(_, &choice)| choice == UNPLACED)
    {
        for choice in 0..4 {
            assert!(taken(occupied, preferred, placed, preferred[item * 4 + choice]) >= capacity as usize);
        }
    }
}

proptest! {
    #[test]
    fn ranks_count_the_earlier_ones(keys in prop::collection::vec(0..8_u64, 0..60)) {
        let slow: Vec<u32> = keys
            .iter()
            .enumerate()
            .map(|(row, key)| keys[..row].iter().filter(|&other| other == key).count() as u32)
            .collect();
        prop_assert_eq!(collide::ranks(&keys), slow.clone());
        let wide: Vec<[u64; 2]> = keys.iter().map(|&key| [key, u64::MAX]).collect();
        prop_assert_eq!(collide::ranks(&wide), slow);
    }

    #[test]
    fn first_come_first_served((occupied, preferred, _, capacity) in worlds()) {
        let placed = collide::first(&occupied, &preferred, 4, capacity);
        let mut slow = vec![UNPLACED; placed.len()];
        for choice in 0..4 {
            for item in 0..slow.len() {
                let full = taken(&occupied, &preferred, &slow, preferred[item * 4 + choice]) >= capacity as usize;
                if slow[item] == UNPLACED && !full {
                    slow[item] = choice as u32;
                }
            }
        }
        prop_assert_eq!(&placed, &slow);
        check_room(&occupied, &preferred, &placed, capacity);
        let wide = |keys: &[u64]| keys.iter().map(|&key| [key, 1]).collect::<Vec<_>>();
        prop_assert_eq!(collide::first(&wide(&occupied), &wide(&preferred), 4, capacity), placed);
    }

    #[test]
    fn the_matching_is_stable((occupied, preferred, costs, capacity) in worlds()) {
        let placed = collide::nearest(&occupied, &preferred, &costs, 4, capacity);
        check_room(&occupied, &preferred, &placed, capacity);
        for item in 0..placed.len() {
            for choice in 0..(placed[item].min(4) as usize) {
                // The item was rejected here: by occupied codes, or by items with lower costs.
                let (key, cost) = (preferred[item * 4 + choice], costs[item * 4 + choice]);
                prop_assert!(taken(&occupied, &preferred, &placed, key) >= capacity as usize);
                for (holder, &held) in placed.iter().enumerate().filter(|&(_, &held)| held != UNPLACED) {
                    let pick = holder * 4 + held as usize;
                    if preferred[pick] == key && holder != item {
                        prop_assert!((costs[pick], holder) < (cost, item));
                    }
                }
            }
        }
    }

    #[test]
    fn transport_keeps_to_the_room((occupied, preferred, costs, capacity) in worlds()) {
        let settings = Sinkhorn { epsilon: 0.1, iterations: 30 };
        let placed = collide::sinkhorn(&occupied, &preferred, &costs, 4, capacity, settings);
        check_room(&occupied, &preferred, &placed, capacity);
    }
}

#[test]
fn transport_finds_the_cheap_assignment_where_the_first_come_does_not() {
    // Item 0 hardly minds which code it gets, item 1 minds much.
    let preferred = [5_u64, 6, 5, 6];
    let costs = [0.0, 0.1, 0.0, 10.0];
    assert_eq!(collide::first(&[], &preferred, 2, 1), [0, 1]);
    let settings = Sinkhorn {
        epsilon: 0.1,
        iterations: 50,
    };
    assert_eq!(collide::sinkhorn(&[], &preferred, &costs, 2, 1, settings), [1, 0]);
}

#[test]
fn nothing_to_place() {
    assert!(collide::ranks::<u64>(&[]).is_empty());
    assert!(collide::first::<u64>(&[1], &[], 3, 1).is_empty());
    assert!(collide::nearest::<u64>(&[1], &[], &[], 3, 1).is_empty());
}
