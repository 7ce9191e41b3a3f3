//! Placing items with equal codes, against the rules written out slowly.

use proptest::prelude::*;
use sidkit_core::collide::{self, Sinkhorn, UNPLACED};

/// Settled keys, wishes of four choices an item, their costs (many of them equal), and a capacity.
fn worlds() -> impl Strategy<Value = (Vec<u64>, Vec<u64>, Vec<f64>, u32)> {
    let items = 0..25_usize;
    (prop::collection::vec(0..12_u64, 0..20), items, 1..4_u32).prop_flat_map(|(settled, items, capacity)| {
        let wishes = prop::collection::vec(0..12_u64, items * 4);
        let costs = prop::collection::vec((0..6_u8).prop_map(f64::from), items * 4);
        (Just(settled), wishes, costs, Just(capacity))
    })
}

fn taken(settled: &[u64], wishes: &[u64], placed: &[u32], key: u64) -> usize {
    let granted = placed
        .iter()
        .enumerate()
        .filter(|&(_, &choice)| choice != UNPLACED);
    settled.iter().filter(|&&other| other == key).count()
        + granted
            .filter(|&(item, &choice)| wishes[item * 4 + choice as usize] == key)
            .count()
}

/// Nobody is put under a full code, and nobody is left out while one of his wishes has room.
fn check_room(settled: &[u64], wishes: &[u64], placed: &[u32], capacity: u32) {
    for key in 0..12 {
        let before = settled.iter().filter(|&&other| other == key).count();
        assert!(taken(settled, wishes, placed, key) <= before.max(capacity as usize));
    }
    for (item, _) in placed
        .iter()
        .enumerate()
        .filter(|&(_, &choice)| choice == UNPLACED)
    {
        for choice in 0..4 {
            assert!(taken(settled, wishes, placed, wishes[item * 4 + choice]) >= capacity as usize);
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
    fn first_come_first_served((settled, wishes, _, capacity) in worlds()) {
        let placed = collide::first(&settled, &wishes, 4, capacity);
        let mut slow = vec![UNPLACED; placed.len()];
        for choice in 0..4 {
            for item in 0..slow.len() {
                let full = taken(&settled, &wishes, &slow, wishes[item * 4 + choice]) >= capacity as usize;
                if slow[item] == UNPLACED && !full {
                    slow[item] = choice as u32;
                }
            }
        }
        prop_assert_eq!(&placed, &slow);
        check_room(&settled, &wishes, &placed, capacity);
        let wide = |keys: &[u64]| keys.iter().map(|&key| [key, 1]).collect::<Vec<_>>();
        prop_assert_eq!(collide::first(&wide(&settled), &wide(&wishes), 4, capacity), placed);
    }

    #[test]
    fn nobody_envies_a_place_he_would_get((settled, wishes, costs, capacity) in worlds()) {
        let placed = collide::nearest(&settled, &wishes, &costs, 4, capacity);
        check_room(&settled, &wishes, &placed, capacity);
        for item in 0..placed.len() {
            for choice in 0..(placed[item].min(4) as usize) {
                // He was turned away here: by settled items, or by holders who pay no more.
                let (key, cost) = (wishes[item * 4 + choice], costs[item * 4 + choice]);
                prop_assert!(taken(&settled, &wishes, &placed, key) >= capacity as usize);
                for (holder, &held) in placed.iter().enumerate().filter(|&(_, &held)| held != UNPLACED) {
                    let wish = holder * 4 + held as usize;
                    if wishes[wish] == key && holder != item {
                        prop_assert!((costs[wish], holder) < (cost, item));
                    }
                }
            }
        }
    }

    #[test]
    fn transport_keeps_to_the_room((settled, wishes, costs, capacity) in worlds()) {
        let settings = Sinkhorn { epsilon: 0.1, iterations: 30 };
        let placed = collide::sinkhorn(&settled, &wishes, &costs, 4, capacity, settings);
        check_room(&settled, &wishes, &placed, capacity);
    }
}

#[test]
fn transport_finds_the_cheap_assignment_where_the_first_come_does_not() {
    // Item 0 hardly minds which code it gets, item 1 minds much.
    let wishes = [5_u64, 6, 5, 6];
    let costs = [0.0, 0.1, 0.0, 10.0];
    assert_eq!(collide::first(&[], &wishes, 2, 1), [0, 1]);
    let settings = Sinkhorn {
        epsilon: 0.1,
        iterations: 50,
    };
    assert_eq!(collide::sinkhorn(&[], &wishes, &costs, 2, 1, settings), [1, 0]);
}

#[test]
fn nothing_to_place() {
    assert!(collide::ranks::<u64>(&[]).is_empty());
    assert!(collide::first::<u64>(&[1], &[], 3, 1).is_empty());
    assert!(collide::nearest::<u64>(&[1], &[], &[], 3, 1).is_empty());
}
