//! Packing against the definition: mixed tokens placed bit by bit, ranges counted by hand.

use proptest::prelude::*;
use sidkit_core::sid::Key;
use sidkit_core::{Error, Sid, SidLayout};

/// The definition, one bit at a time from the top.
fn slow_pack(sizes: &[u32], tokens: &[u16]) -> u128 {
    let mut key = 0;
    for (&size, &token) in sizes.iter().zip(tokens) {
        let mut width = 0;
        while (1_u32 << width) < size {
            width += 1;
        }
        for bit in (0..width).rev() {
            key = key * 2 + u128::from(token >> bit & 1);
        }
    }
    key
}

/// A layout of at most 128 bits and rows of tokens under it.
fn layout_and_rows() -> impl Strategy<Value = (Vec<u32>, Vec<Vec<u16>>)> {
    let size = prop_oneof![Just(1), Just(256), Just(2048), Just(65536), 1..=65536_u32];
    prop::collection::vec(size, 1..9).prop_flat_map(|sizes| {
        let row: Vec<_> = sizes.iter().map(|&size| 0..=(size - 1) as u16).collect();
        (Just(sizes), prop::collection::vec(row, 0..20))
    })
}

fn check_round_trip<K: Key>(layout: &SidLayout, rows: &[Vec<u16>]) {
    let mut keys = vec![K::from_u128(0); rows.len()];
    layout.pack(&rows.concat(), &mut keys).unwrap();
    for (key, row) in keys.iter().zip(rows) {
        assert_eq!(key.to_u128(), slow_pack(layout.sizes(), row));
        assert_eq!(key.to_u128(), layout.pack_one(row).unwrap());
    }
    for (a, x) in keys.iter().zip(rows) {
        for (b, y) in keys.iter().zip(rows) {
            assert_eq!(a.cmp(b), x.cmp(y), "the order of keys is the order of tokens");
        }
    }
    let mut tokens = vec![0; rows.len() * layout.levels()];
    layout.unpack(&keys, &mut tokens).unwrap();
    assert_eq!(tokens, rows.concat());

    let (a, b) = (&keys[..keys.len().saturating_sub(1)], &keys[keys.len().min(1)..]);
    let mut common = vec![0; a.len()];
    layout.common_prefix_length(a, b, &mut common).unwrap();
    for (got, pair) in common.iter().zip(rows.windows(2)) {
        let expected = pair[0].iter().zip(&pair[1]).take_while(|(x, y)| x == y).count();
        assert_eq!(usize::from(*got), expected);
    }
    for depth in 0..=layout.levels() {
        let mut cut = keys.clone();
        layout.prefix(&keys, depth, &mut cut).unwrap();
        for (key, row) in cut.iter().zip(rows) {
            assert_eq!(
                key.to_u128(),
                *layout.prefix_range(&row[..depth]).unwrap().start()
            );
        }
    }
}

proptest! {
    #[test]
    fn pack_and_unpack_agree_with_the_definition((sizes, rows) in layout_and_rows()) {
        let layout = SidLayout::new(&sizes).unwrap();
        if layout.words() == 1 {
            check_round_trip::<u64>(&layout, &rows);
        } else {
            check_round_trip::<[u64; 2]>(&layout, &rows);
        }
    }

    #[test]
    fn a_prefix_is_exactly_its_range((sizes, rows) in layout_and_rows(), depth in 0..9_usize) {
        let layout = SidLayout::new(&sizes).unwrap();
        let depth = depth.min(sizes.len());
        for prefix in &rows {
            let range = layout.prefix_range(&prefix[..depth]).unwrap();
            for row in &rows {
                let inside = row[..depth] == prefix[..depth];
                prop_assert_eq!(range.contains(&layout.pack_one(row).unwrap()), inside);
            }
        }
    }

    #[test]
    fn text_comes_back(tokens in prop::collection::vec(any::<u16>(), 1..9)) {
        let sid = Sid::new(&tokens);
        prop_assert_eq!(sid.to_string().parse::<Sid>().unwrap(), sid);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9-]{0,12}|\\PC{0,8}") {
        match text.parse::<Sid>() {
            Ok(sid) => prop_assert_eq!(sid.to_string(), text),
            Err(error) => prop_assert_eq!(error, Error::SidText { text }),
        }
    }
}

#[test]
fn widths_are_the_rounded_up_logarithms() {
    let layout = SidLayout::new(&[1, 2, 3, 4, 5, 256, 257, 65536]).unwrap();
    assert_eq!(layout.bits(), [0, 1, 2, 2, 3, 8, 9, 16]);
    assert_eq!((layout.total_bits(), layout.words(), layout.levels()), (41, 1, 8));
    assert_eq!(SidLayout::new(&[65536; 4]).unwrap().words(), 1);
    assert_eq!(SidLayout::new(&[2048; 8]).unwrap().words(), 2);
}

#[test]
fn full_width_layouts_reach_the_last_bit() {
    let one = SidLayout::new(&[1, 65536, 65536, 65536, 65536]).unwrap();
    let mut key = [0_u64];
    one.pack(&[0, u16::MAX, u16::MAX, u16::MAX, u16::MAX], &mut key)
        .unwrap();
    assert_eq!(key, [u64::MAX]);
    let two = SidLayout::new(&[65536; 8]).unwrap();
    let mut key = [[0_u64; 2]];
    two.pack(&[u16::MAX; 8], &mut key).unwrap();
    assert_eq!(key, [[u64::MAX; 2]]);
    assert_eq!(two.prefix_range(&[]).unwrap(), 0..=u128::MAX);
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let text = |error: Error| error.to_string();
    assert_eq!(
        text(SidLayout::new(&[]).unwrap_err()),
        "the number of levels is out of range: expected 1 to 128, got 0"
    );
    assert_eq!(
        text(SidLayout::new(&[1; 129]).unwrap_err()),
        "the number of levels is out of range: expected 1 to 128, got 129"
    );
    assert_eq!(
        text(SidLayout::new(&[256, 0]).unwrap_err()),
        "the size of level 1 is out of range: expected 1 to 65536, got 0"
    );
    assert_eq!(
        text(SidLayout::new(&[65537]).unwrap_err()),
        "the size of level 0 is out of range: expected 1 to 65536, got 65537"
    );
    assert_eq!(
        text(SidLayout::new(&[65536; 9]).unwrap_err()),
        "the layout is too wide: expected levels of at most 128 bits together, got 144. Use fewer or smaller levels"
    );
    let layout = SidLayout::new(&[4, 3]).unwrap();
    assert_eq!(
        text(layout.pack(&[3, 2, 0, 3], &mut [0_u64; 2]).unwrap_err()),
        "row 1, level 1: the token is out of range: expected less than 3, got 3"
    );
    assert_eq!(
        text(layout.pack(&[3, 2, 0], &mut [0_u64; 2]).unwrap_err()),
        "`tokens` has the wrong length: expected 4 elements for its shape, got 3"
    );
    assert_eq!(
        text(layout.pack(&[3, 2], &mut [[0_u64; 2]]).unwrap_err()),
        "the keys have the wrong width: expected 1 64-bit words for the layout, got 2"
    );
    assert_eq!(
        text(layout.unpack(&[0_u64, 16], &mut [0; 4]).unwrap_err()),
        "row 1 does not belong to the layout: expected 4 bits, got more. Use the layout it was packed with"
    );
    assert!(matches!(
        layout.unpack(&[3_u64], &mut [0; 2]),
        Err(Error::TokenRange {
            row: 0,
            level: 1,
            token: 3,
            size: 3
        })
    ));
    assert_eq!(
        text(layout.prefix_range(&[0, 0, 0]).unwrap_err()),
        "the depth is out of range: expected at most 2 levels, got 3"
    );
    assert_eq!(
        text("12-+7".parse::<Sid>().unwrap_err()),
        "a Semantic ID is malformed: expected tokens of 0 to 65535 joined by `-`, such as `12-200-7-0`, got `12-+7`"
    );
}
