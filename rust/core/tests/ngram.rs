//! n-gram rows against the definition, written out with plain loops, and against numbers fixed forever.

use proptest::prelude::*;
use sidkit_core::hash::{mix64, multiply_high, murmur3_8, murmur3_16};
use sidkit_core::ngram::{Kind, Mode, Window};
use sidkit_core::{Error, Ngrams, SidLayout};

/// The rows of one Semantic ID, from its tokens.
fn slow_rows(
    sizes: &[u32],
    windows: &[Window],
    rows: u64,
    seed: u64,
    mode: Mode,
    tokens: &[u16],
) -> Vec<i64> {
    let levels = |w: &Window| w.start..w.start + w.length;
    let space = |w: &Window| levels(w).fold(1_u128, |p, l| p.saturating_mul(sizes[l].into()));

    let mut order: Vec<usize> = (0..windows.len()).collect();
    order.sort_by_key(|&i| space(&windows[i]));
    let mut left = u128::from(rows);
    let mut own = vec![];
    while let Some(&i) = order.get(own.len()) {
        if space(&windows[i]) > left / (windows.len() - own.len()) as u128 {
            break;
        }
        left -= space(&windows[i]);
        own.push(i);
    }

    let (mut first, mut shift) = (0, 0);
    let pool = rows - left as u64;
    let mut result = vec![];
    for (place, window) in windows.iter().enumerate() {
        let number = levels(window).fold(0, |n, l| n * u128::from(sizes[l]) + u128::from(tokens[l]));
        let bits = levels(window).fold(0, |n, l| {
            n << (sizes[l] - 1).checked_ilog2().map_or(0, |b| b + 1) | u128::from(tokens[l])
        });
        let wide = levels(window)
            .map(|l| (sizes[l] - 1).checked_ilog2().map_or(0, |b| b + 1))
            .sum::<u32>()
            > 64;
        if own.contains(&place) {
            result.push(first + number as i64);
            first += space(window) as i64;
            continue;
        }
        let salt = mix64(mix64(seed).wrapping_add((256 * window.start + window.length) as u64));
        let place = place as u32 + seed as u32;
        let row = match (mode, wide) {
            (Mode::Mix, false) => (u128::from(mix64(bits as u64 ^ salt)) * left) >> 64,
            (Mode::Mix, true) => {
                (u128::from(mix64(mix64((bits >> 64) as u64 ^ salt) ^ bits as u64)) * left) >> 64
            }
            (Mode::Modulo, _) => (number % left + shift) % left,
            (Mode::Murmur3, false) => u128::from(murmur3_8(bits as u64, place)) % left,
            (Mode::Murmur3, true) => u128::from(murmur3_16(bits, place)) % left,
        };
        shift = (shift + space(window) % left) % left;
        result.push((u128::from(pool) + row) as i64);
    }
    result
}

fn any_kind(levels: usize) -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::All),
        Just(Kind::Prefix),
        (1..=levels).prop_map(Kind::Ngram)
    ]
}

fn any_mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Mix), Just(Mode::Modulo), Just(Mode::Murmur3)]
}

fn any_case() -> impl Strategy<Value = (Vec<u32>, Kind, Vec<u16>)> {
    let size = prop_oneof![
        Just(1),
        Just(3),
        Just(256),
        Just(2048),
        Just(65536),
        1..=65536_u32
    ];
    prop::collection::vec(size, 1..9).prop_flat_map(|sizes| {
        let row: Vec<_> = sizes.iter().map(|&size| 0..=(size - 1) as u16).collect();
        let kind = any_kind(sizes.len());
        (Just(sizes), kind, row)
    })
}

fn rows_of(plan: &Ngrams, layout: &SidLayout, codes: &[u16]) -> Vec<i64> {
    let count = codes.len() / layout.levels();
    let mut out = vec![-1; count * plan.grams()];
    if layout.words() == 1 {
        let mut keys = vec![0_u64; count];
        layout.pack(codes, &mut keys).unwrap();
        plan.fill(&keys, &mut out, 1).unwrap();
    } else {
        let mut keys = vec![[0_u64; 2]; count];
        layout.pack(codes, &mut keys).unwrap();
        plan.fill(&keys, &mut out, 1).unwrap();
    }
    out
}

proptest! {
    #[test]
    fn rows_agree_with_the_definition(
        (sizes, kind, tokens) in any_case(),
        rows in prop_oneof![1..100_u64, 1..1_000_000_u64, 1..=i64::MAX as u64],
        seed: u64,
        mode in any_mode(),
    ) {
        let layout = SidLayout::new(&sizes).unwrap();
        let windows = kind.windows(sizes.len()).unwrap();
        let plan = Ngrams::new(layout.clone(), &windows, rows, seed, mode).unwrap();
        // Twenty times the same: some are computed side by side, the last ones by the plain loop.
        let many = rows_of(&plan, &layout, &[tokens.as_slice(); 20].concat());
        let got = rows_of(&plan, &layout, &tokens);
        prop_assert_eq!(many, got.repeat(20));
        prop_assert!(got.iter().all(|&row| (0..rows.cast_signed()).contains(&row)));
        prop_assert_eq!(got, slow_rows(&sizes, &windows, rows, seed, mode, &tokens));
    }
}

#[test]
fn small_spaces_get_rows_of_their_own() {
    let layout = SidLayout::new(&[3, 4, 5]).unwrap();
    let plan = Ngrams::new(
        layout.clone(),
        &Kind::Ngram(2).windows(3).unwrap(),
        40,
        0,
        Mode::Mix,
    )
    .unwrap();
    assert_eq!(plan.exact(), [true, true]);
    let mut seen = std::collections::HashSet::new();
    for (a, b, c) in (0..3).flat_map(|a| (0..4).flat_map(move |b| (0..5).map(move |c| (a, b, c)))) {
        let rows = rows_of(&plan, &layout, &[a, b, c]);
        assert_eq!(rows, [i64::from(a * 4 + b), i64::from(12 + b * 5 + c)]);
        seen.extend(rows);
    }
    assert_eq!(seen.len(), 12 + 20);
}

#[test]
fn the_kinds_list_their_windows_from_short_to_long() {
    let pairs = |kind: Kind| -> Vec<_> {
        kind.windows(3)
            .unwrap()
            .iter()
            .map(|w| (w.start, w.length))
            .collect()
    };
    assert_eq!(pairs(Kind::Ngram(1)), [(0, 1), (1, 1), (2, 1)]);
    assert_eq!(pairs(Kind::Ngram(2)), [(0, 2), (1, 2)]);
    assert_eq!(pairs(Kind::Prefix), [(0, 1), (0, 2), (0, 3)]);
    assert_eq!(pairs(Kind::All), [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (0, 3)]);
    let names = ["unigram", "bigram", "trigram", "4gram", "12gram"];
    assert_eq!(
        names.map(|name| name.parse::<Kind>().unwrap()),
        [1, 2, 3, 4, 12].map(Kind::Ngram)
    );
    assert_eq!(
        ["all", "prefix"].map(|name| name.parse::<Kind>().unwrap()),
        [Kind::All, Kind::Prefix]
    );
    let wrong = "many".parse::<Kind>().unwrap_err().to_string();
    assert!(
        wrong.starts_with("the kind of n-gram is unknown: expected `unigram`"),
        "{wrong}"
    );
}

#[test]
fn the_hashes_are_these_forever() {
    assert_eq!(mix64(1), 0x5692_161d_100b_05e5);
    assert_eq!(mix64(0x1234_5678_9abc_def0), 0x9629_f58e_8ec5_b906);
    assert_eq!(multiply_high(1 << 63, 1_000_001), 500_000);
    // As computed by mmh3 5.1 over the little-endian bytes.
    assert_eq!(murmur3_8(0x0102_0304_0506_0708, 42), 0x272c_2cd1_d51d_8681);
    assert_eq!(
        murmur3_16(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10, 42),
        0x8502_be06_b0a1_8733
    );
}

#[test]
fn the_rows_are_these_forever() {
    let narrow = SidLayout::new(&[256; 4]).unwrap();
    let wide = SidLayout::new(&[2048; 8]).unwrap();
    let golden = [
        (Mode::Mix, [12, 3528, 308_618, 826_260], [32_676_966, 41_455_661]),
        (
            Mode::Modulo,
            [12, 3528, 903_431, 529_216],
            [36_591_238, 35_220_351],
        ),
        (
            Mode::Murmur3,
            [12, 3528, 969_422, 874_255],
            [27_805_974, 20_238_436],
        ),
    ];
    for (mode, narrow_rows, wide_rows) in golden {
        let windows = Kind::Prefix.windows(4).unwrap();
        let plan = Ngrams::new(narrow.clone(), &windows, 1_000_000, 7, mode).unwrap();
        assert_eq!(rows_of(&plan, &narrow, &[12, 200, 7, 0]), narrow_rows, "{mode:?}");
        let windows = [Window { start: 2, length: 4 }, Window { start: 0, length: 8 }];
        let plan = Ngrams::new(wide.clone(), &windows, 50_000_000, 7, mode).unwrap();
        assert_eq!(
            rows_of(&plan, &wide, &[1, 2, 3, 4, 5, 6, 7, 2047]),
            wide_rows,
            "{mode:?}"
        );
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let layout = SidLayout::new(&[4, 4]).unwrap();
    let all = Kind::All.windows(2).unwrap();
    let refused = |windows: &[Window], rows| {
        Ngrams::new(SidLayout::new(&[4, 4]).unwrap(), windows, rows, 0, Mode::Mix)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused(&all, 0),
        "`num_embeddings` is out of range: expected 1 to 2^63 - 1, got 0"
    );
    assert_eq!(
        refused(&[], 9),
        "there are no n-grams: expected at least one window, got none"
    );
    assert_eq!(
        refused(&[Window { start: 1, length: 2 }], 9),
        "a window is out of range: expected one or more of 2 levels, got 2 from level 1"
    );
    assert_eq!(Kind::Ngram(3).windows(2), Err(Error::Depth { levels: 2, got: 3 }));
    let plan = Ngrams::new(layout, &all, 9, 0, Mode::Mix).unwrap();
    assert!(matches!(
        plan.fill(&[16_u64], &mut [0; 3], 1),
        Err(Error::KeyRange { row: 0, bits: 4 })
    ));
    assert!(matches!(
        plan.fill(&[1_u64], &mut [0; 2], 1),
        Err(Error::Length { what: "out", .. })
    ));
}
