//! Trie files that were changed and sealed again, so that their checksum holds: the content itself must be refused, or be
//! that of a trie. Never a panic, a hang, or memory out of proportion to the file.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use proptest::prelude::*;
use sidkit_core::trie::Storage;
use sidkit_core::{Error, SidLayout, Trie};
use xxhash_rust::xxh3::xxh3_64;

thread_local! {
    /// Number of bytes this thread has asked for since it was last set to 0.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.with(|asked| asked.set(asked.get() + layout.size()));
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
