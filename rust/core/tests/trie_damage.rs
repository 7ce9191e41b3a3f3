//! Trie files that were changed and sealed again, so that their checksum holds: the content itself must be refused, or be
//! that of a trie. Never a panic, a hang, or memory out of proportion to the file. Trusted files may give wrong answers, but
//! nothing worse than an error.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sidkit_core::trie::live::{Batch, LiveTrie};
use sidkit_core::trie::{BeamStep, Limits, Storage};
use sidkit_core::{Error, Result, SidLayout, Trie, guard};
use xxhash_rust::xxh3::xxh3_64;

thread_local! {
    /// Number of bytes this thread has asked for since it was last set to 0.
    static ASKED: Cell<usize> = const { Cell::new(0) };
    /// The most of them at once.
    static MOST: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.with(|asked| asked.set(asked.get() + layout.size()));
        MOST.with(|most| most.set(most.get().max(layout.size())));
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Files of both storages: none, one and many keys, shared ones, crowded states, one and two words, levels of one code.
fn files() -> Vec<Vec<u8>> {
    let catalogues: [(&[u32], u32, u32); 6] = [
        (&[4, 4], 0, 1),
        (&[4, 1, 4], 1, 1),
        (&[3, 300, 70], 400, 1),
        (&[8, 64], 300, 2),
        (&[2; 9], 200, 3),
        (&[512; 8], 90, 1),
    ];
    let mut files = vec![];
    for (sizes, items, sharing) in catalogues {
        let layout = SidLayout::new(sizes).unwrap();
        let token = |item: u32, level: usize| {
            ((item / sharing).wrapping_mul(2_654_435_761) >> (level * 5 % 23)) % sizes[level]
        };
        let rows = (0..items).flat_map(|item| (0..sizes.len()).map(move |level| token(item, level) as u16));
        let rows: Vec<u16> = rows.collect();
        for storage in [Storage::Fast, Storage::Compact] {
            let trie = if layout.words() == 1 {
                let mut keys = vec![0_u64; items as usize];
                layout.pack(&rows, &mut keys).unwrap();
                Trie::build_as(layout.clone(), &keys, None, storage)
            } else {
                let mut keys = vec![[0_u64; 2]; items as usize];
                layout.pack(&rows, &mut keys).unwrap();
                Trie::build_as(layout.clone(), &keys, None, storage)
            };
            files.push(trie.unwrap().to_bytes());
        }
    }
    files
}

/// Makes length and checksum true.
fn seal(bytes: &mut [u8]) {
    if bytes.len() >= 32 {
        let length = bytes.len() as u64;
        bytes[16..24].copy_from_slice(&length.to_le_bytes());
        let sum = xxh3_64(&bytes[32..]);
        bytes[24..32].copy_from_slice(&sum.to_le_bytes());
    }
}

/// A damaged file is a format error, or behaves like a trie.
fn read(bytes: &[u8]) -> bool {
    ASKED.set(0);
    let result = Trie::from_bytes(bytes, false);
    let asked = ASKED.get();
    assert!(
        asked < 64 * bytes.len() + (1 << 16),
        "{asked} bytes for a file of {}",
        bytes.len()
    );
    match result {
        Err(Error::Format { problem }) => {
            assert!(
                !problem.contains("checksum"),
                "the seal itself is broken: {problem}"
            );
            false
        }
        Err(other) => panic!("{other:?}"),
        Ok(trie) => {
            walk(&trie);
            assert!(trie.to_bytes() == bytes, "a trie has one encoding");
            true
        }
    }
}

fn walk(trie: &Trie) {
    let mut states = trie.start(1);
    let (items, _) = trie.items(&states);
    assert_eq!(items.len(), trie.item_count());
    let numbers: Vec<i64> = items.iter().map(|&item| item.into()).collect();
    let known = match trie.layout().words() {
        1 => trie.sids::<u64>(&numbers).map(|sids| sids.len()),
        _ => trie.sids::<[u64; 2]>(&numbers).map(|sids| sids.len()),
    };
    assert_eq!(known, Ok(items.len()));
    while let Ok(size) = trie.next_size(&states) {
        let mut allowed = vec![false; states.len() * size as usize];
        trie.allowed(&states, &mut allowed).unwrap();
        let leads = (0..allowed.len()).filter(|&at| allowed[at]);
        let (rows, codes): (Vec<i64>, Vec<i64>) = leads
            .map(|at| ((at / size as usize) as i64, (at % size as usize) as i64))
            .unzip();
        states = trie.step(&states.select(&rows).unwrap(), &codes).unwrap();
        assert!(states.spans().iter().all(|span| !span.is_dead()));
    }
    assert_eq!((states.len(), trie.items(&states).0), (trie.len(), items));
}

#[test]
fn the_files_themselves_are_read() {
    for mut file in files() {
        seal(&mut file);
        assert!(read(&file));
    }
}

#[test]
fn every_byte_of_small_files_and_of_every_header() {
    for file in files() {
        let end = if file.len() < 1500 { file.len() } else { 512 };
        for at in (8..16).chain(32..end) {
            for flip in [0x01, 0x80, 0xff] {
                let mut changed = file.clone();
                changed[at] ^= flip;
                seal(&mut changed);
                read(&changed);
            }
        }
    }
}

#[test]
fn extreme_numbers_in_every_field_of_the_header() {
    for file in files() {
        for at in (32..200.min(file.len() - 8)).step_by(4) {
            for value in [
                0,
                1,
                2,
                127,
                128,
                0x7fff_ffff,
                0x8000_0000,
                u32::MAX - 1,
                u32::MAX,
            ] {
                let mut changed = file.clone();
                changed[at..at + 4].copy_from_slice(&value.to_le_bytes());
                seal(&mut changed);
                read(&changed);
                changed[at + 4..at + 8].copy_from_slice(&value.to_le_bytes());
                seal(&mut changed);
                read(&changed);
            }
        }
    }
}

#[test]
fn cut_or_lengthened_anywhere() {
    for file in files() {
        for length in (0..file.len()).step_by(if file.len() < 3000 { 1 } else { 61 }) {
            let mut changed = file[..length].to_vec();
            seal(&mut changed);
            assert!(!read(&changed));
        }
        for more in [1, 7, 64, 4096] {
            let mut changed = file.clone();
            changed.resize(file.len() + more, 0);
            seal(&mut changed);
            assert!(!read(&changed));
        }
    }
}

thread_local! {
    /// How often a query was asked to go on, about every 50 ms.
    static POLLS: Cell<u32> = const { Cell::new(0) };
}

/// Asks everything of a trie from a trusted file; false if it does not open. No query may take long or much memory.
fn trust(bytes: &[u8]) -> bool {
    let Ok(trie) = Trie::from_bytes(bytes, true) else {
        return false;
    };
    let trie = Arc::new(trie);
    let items: Vec<i64> = (0..40).collect();
    let exclusion = trie.exclusion(&items, &[0, 40]).unwrap();
    for query in 0..11 {
        POLLS.set(0);
        MOST.set(0);
        // About ten seconds, in which the process was not stopped.
        let late = || POLLS.replace(POLLS.get() + 1) > 200;
        let answer = guard::run(Some(late), || match trie.layout().words() {
            1 => ask::<u64>(&trie, query, &items, &exclusion),
            _ => ask::<[u64; 2]>(&trie, query, &items, &exclusion),
        });
        assert_ne!(answer, Err(Error::Stopped), "query {query} does not end");
        let most = MOST.get();
        assert!(
            most < 1024 * bytes.len() + (1 << 20),
            "query {query} asked for {most} bytes"
        );
    }
    true
}

/// One kind of query.
fn ask<K: sidkit_core::sid::Key>(
    trie: &Arc<Trie>,
    query: usize,
    items: &[i64],
    exclusion: &sidkit_core::trie::Exclusion,
) -> Result<()> {
    let highest = trie.layout().prefix_range(&[])?.into_inner().1;
    let keys: Vec<K> = (0..40_u128)
        .map(|part| K::from_u128(highest / 40 * part))
        .collect();
    let all = trie.item_set(items);
    let limits = Limits {
        exclude: Some(exclusion),
        allow: &[&!&all],
    };
    match query {
        0 => drop(trie.items(&trie.start(3))),
        1 => drop(trie.lookup(&keys)?),
        2 => drop(trie.sids::<K>(items)?),
        3 => drop(trie.neighbours(items, 10)?),
        4 => drop(trie.longest_prefix(&keys)?),
        5 => drop(trie.sample(&trie.start(2), 5, 0)),
        6 => drop(trie.items_of(&!&all)?),
        7 => drop(
            (0..=trie.layout().levels())
                .map(|depth| trie.find(&keys, depth))
                .collect::<Vec<_>>(),
        ),
        8 => {
            let live = LiveTrie::new(Arc::clone(trie), false)?;
            let (removed, _) = trie.items(&trie.start(1));
            let removed: Vec<i64> = removed.iter().take(3).map(|&item| item.into()).collect();
            let new: Vec<u32> = (u32::MAX - 5..u32::MAX).collect();
            live.apply(&Batch {
                removed: &removed,
                keys: &keys[..5],
                items: &new,
            })?;
            let after = live.snapshot();
            drop(after.items(&after.start(1)));
        }
        9 => drop(trie.items_within(&trie.start(1), 1, &limits)?),
        _ => {
            let mut states = trie.start(4);
            let mut scores = vec![0.0; 4];
            while let Ok(size) = trie.next_size(&states) {
                let size = size as usize;
                let log_probs = vec![0.0; 4 * size];
                trie.allowed(&states, &mut vec![false; 4 * size])?;
                trie.allowed_within(&states, 4, &limits, &mut vec![false; 4 * size])?;
                trie.bitmask(&states, &mut vec![0; 4 * size.div_ceil(32)])?;
                drop(trie.count(&states));
                let step = BeamStep {
                    rows_per_group: 4,
                    beam: 4,
                    limits,
                    renormalize: true,
                };
                trie.beam_step(&log_probs, &states, &scores, &step)?;
                let step = BeamStep {
                    limits: Limits::default(),
                    renormalize: false,
                    ..step
                };
                let beams = trie.beam_step(&log_probs, &states, &scores, &step)?;
                (states, scores) = (beams.states, beams.scores);
            }
            trie.top_items(&states, &scores, 4, 5, &limits)?;
        }
    }
    Ok(())
}

/// For as many seconds as the variable says, or a few thousand files: `SIDKIT_SECONDS=600 cargo test --profile checked --test
/// trie_damage campaign`.
#[test]
#[expect(clippy::print_stderr, reason = "the counts of the campaign")]
fn campaign_of_changed_files() {
    guard::note_panics();
    let seconds = std::env::var("SIDKIT_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok());
    let end = seconds.map(|seconds: f64| Instant::now() + Duration::from_secs_f64(seconds));
    let files = files();
    let mut state = std::env::var("SIDKIT_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1_u64);
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((u128::from(state.wrapping_mul(0x2545_f491_4f6c_dd1d)) * below as u128) >> 64) as usize
    };
    let (mut tried, mut verified, mut trusted) = (0_u64, 0_u64, 0_u64);
    while end.map_or(tried < 3000, |end| Instant::now() < end) {
        let mut changed = files[random(files.len())].clone();
        for _ in 0..=random(3) {
            let at = 8 + random(changed.len() - 8);
            let length = (1 + random(64)).min(changed.len() - at);
            match random(6) {
                0 => changed[at] ^= 1 << random(8),
                1 | 2 => {
                    let width = 1 << random(4);
                    let number = [
                        0,
                        1,
                        63,
                        64,
                        255,
                        256,
                        511,
                        1 << 31,
                        u64::from(u32::MAX),
                        u64::MAX,
                    ][random(10)];
                    let at = at / width * width;
                    let width = width.min(changed.len() - at);
                    changed[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
                }
                3 => changed[at..at + length].fill(0),
                4 => changed[at..at + length]
                    .iter_mut()
                    .for_each(|byte| *byte = random(256) as u8),
                _ => {
                    let from = random(changed.len() - length);
                    changed.copy_within(from..from + length, at);
                }
            }
        }
        seal(&mut changed);
        tried += 1;
        verified += u64::from(read(&changed));
        trusted += u64::from(trust(&changed));
    }
    assert!(trusted > tried / 4);
    eprintln!("{tried} changed files, of which {verified} are verified and {trusted} open if trusted");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_few_changed_numbers(
        file in prop::sample::select(files()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![0..4_u64, any::<u64>(), Just(u64::MAX)], 0..4_usize), 1..4),
    ) {
        let mut changed = file;
        for (at, value, width) in changes {
            let at = 32 + at.index(changed.len() - 32);
            let width = (1 << width).min(changed.len() - at);
            changed[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        }
        seal(&mut changed);
        read(&changed);
    }

    #[test]
    fn pieces_of_two_files(
        files in (prop::sample::select(files()), prop::sample::select(files())),
        cut in any::<prop::sample::Index>(),
    ) {
        let (first, second) = files;
        let cut = 32 + cut.index(first.len().min(second.len()) - 32);
        let mut changed = [&first[..cut], &second[cut..]].concat();
        seal(&mut changed);
        read(&changed);
    }
}
