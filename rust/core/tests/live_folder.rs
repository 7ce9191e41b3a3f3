//! A live trie on the disk, cut off and damaged at every byte, and interrupted between any two steps of a compaction.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sidkit_core::sid::Key;
use sidkit_core::trie::live::{Batch, LiveTrie};
use sidkit_core::{Error, SidLayout, Trie};

/// A folder that goes with the test.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "sidkit-live-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        Self(std::env::temp_dir().join(name))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn key<K: Key>(at: u32) -> K {
    K::from_u128((u128::from(at) * 37 % 256) << (64 * (K::WORDS - 1)))
}

fn base<K: Key>() -> Trie {
    let layout = SidLayout::new(if K::WORDS == 1 {
        &[16, 16]
    } else {
        &[16, 16, 65536, 65536, 65536, 65536]
    })
    .unwrap();
    Trie::build(layout, &(0..6).map(key::<K>).collect::<Vec<_>>(), None).unwrap()
}

/// Number of bytes the header of a journal takes.
const HEADER: usize = 88;

/// Five batches of different kinds: removed items and added ones.
const BATCHES: [(&[i64], &[u32]); 5] = [
    (&[], &[6, 7, 8]),
    (&[1], &[]),
    (&[7, 0], &[9]),
    (&[2], &[2, 1]),
    (&[1, 9], &[7]),
];

/// The state before each of the batches and after the last.
fn write<K: Key>(path: &Path) -> Vec<Arc<Trie>> {
    write_some::<K>(path, BATCHES.len())
}

fn write_some<K: Key>(path: &Path, batches: usize) -> Vec<Arc<Trie>> {
    LiveTrie::create(path, &base::<K>(), false).unwrap();
    let (live, torn) = LiveTrie::open(path, false, false).unwrap();
    assert_eq!(torn, 0);
    let mut states = vec![live.snapshot()];
    for (round, (removed, items)) in BATCHES.into_iter().take(batches).enumerate() {
        let keys: Vec<K> = items.iter().map(|&item| key(item + 20 * round as u32)).collect();
        live.apply(&Batch {
            removed,
            keys: &keys,
            items,
        })
        .unwrap();
        states.push(live.snapshot());
    }
    states
}

fn open(path: &Path) -> Result<(Arc<Trie>, u64, u64), Error> {
    let (live, torn) = LiveTrie::open(path, false, false)?;
    Ok((live.snapshot(), torn, live.batches()))
}

fn damaged(path: &Path) -> String {
    match open(path) {
        Err(Error::Format { problem }) => problem,
        other => panic!("{:?}", other.map(|(_, torn, batches)| (torn, batches))),
    }
}

/// Where each record begins, and the end.
fn records(journal: &[u8]) -> Vec<usize> {
    let starts = (0..journal.len()).filter(|&at| journal[at..].starts_with(b"sidBATCH"));
    starts.chain([journal.len()]).collect()
}

#[test]
fn holds_every_batch_with_either_width_of_keys() {
    for write in [write::<u64>, write::<[u64; 2]>] {
        let folder = Temporary::new();
        let states = write(&folder.0);
        let (trie, torn, batches) = open(&folder.0).unwrap();
        assert_eq!((&trie, torn, batches), (states.last().unwrap(), 0, 5));
    }
}

#[test]
fn a_batch_that_was_never_finished_is_cut_off() {
    let folder = Temporary::new();
    let states = write::<u64>(&folder.0);
    let path = folder.0.join("journal");
    let journal = fs::read(&path).unwrap();
    let records = records(&journal);
    assert_eq!((records.len(), records[0]), (6, HEADER));
    let base = fs::read(folder.0.join("base-00000000000000000000.sidx")).unwrap();
    for whole in 0..5 {
        // The journal as it was after so many batches, and a part of the next record.
        let before = journal_after(whole);
        for length in records[whole]..records[whole + 1] {
            let _ = fs::remove_dir_all(&folder.0);
            fs::create_dir(&folder.0).unwrap();
            fs::write(folder.0.join("base-00000000000000000000.sidx"), &base).unwrap();
            fs::write(&path, [&before, &journal[records[whole]..length]].concat()).unwrap();
            let (trie, torn, batches) = open(&folder.0).unwrap();
            assert_eq!(
                (&trie, batches),
                (&states[whole], whole as u64),
                "cut at {length}"
            );
            assert_eq!(torn, (length - records[whole]) as u64);
            assert_eq!(fs::read(&path).unwrap().len(), records[whole]);
            // What comes next takes the place of what was cut off.
            let (live, _) = LiveTrie::open(&folder.0, false, false).unwrap();
            live.apply(&Batch::<u64> {
                removed: &[3],
                keys: &[],
                items: &[],
            })
            .unwrap();
            let after = live.snapshot();
            drop(live);
            assert_eq!(open(&folder.0).unwrap(), (after, 0, whole as u64 + 1));
        }
    }
}

/// The bytes of the journal after so many of the batches of `write`.
fn journal_after(batches: usize) -> Vec<u8> {
    let folder = Temporary::new();
    write_some::<u64>(&folder.0, batches);
    fs::read(folder.0.join("journal")).unwrap()
}

#[test]
fn acknowledged_batches_are_never_missing_in_silence() {
    let folder = Temporary::new();
    let states = write::<u64>(&folder.0);
    let path = folder.0.join("journal");
    let journal = fs::read(&path).unwrap();
    let records = records(&journal);
    for length in 0..journal.len() {
        fs::write(&path, &journal[..length]).unwrap();
        if length < records[4] {
            let problem = damaged(&folder.0);
            assert!(
                length < HEADER || problem.contains("batch 5 was acknowledged"),
                "{problem}"
            );
            assert_eq!(fs::read(&path).unwrap(), journal[..length]);
        } else {
            // The last batch may be unfinished, which is reported.
            let (trie, torn, batches) = open(&folder.0).unwrap();
            assert_eq!((&trie, batches), (&states[4], 4));
            assert_eq!(torn, (journal.len() - records[4]) as u64);
            assert_eq!(open(&folder.0).unwrap(), (trie, 0, 4));
        }
    }
    // Over the border of the last two batches, and from the last but one to the end.
    for (from, to) in [(records[4] - 12, records[4] + 12), (records[3], journal.len())] {
        let mut zeroed = journal.clone();
        zeroed[from..to].fill(0);
        fs::write(&path, &zeroed).unwrap();
        let problem = damaged(&folder.0);
        assert!(
            problem.contains(&format!("byte {}", records[3]))
                || problem.contains(&format!("bytes {}", records[3])),
            "{problem}"
        );
        assert!(
            problem.starts_with("batch 4 of the journal is damaged"),
            "{problem}"
        );
    }
}

#[test]
fn a_journal_with_a_changed_byte_is_a_prefix_or_an_error() {
    let folder = Temporary::new();
    let states = write::<u64>(&folder.0);
    let path = folder.0.join("journal");
    let journal = fs::read(&path).unwrap();
    let last = records(&journal)[4];
    for at in 0..journal.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut changed = journal.clone();
            changed[at] ^= flip;
            fs::write(&path, &changed).unwrap();
            if (64..HEADER).contains(&at) {
                // A crash may leave the last acknowledgment so; all batches are whole.
                assert_eq!(open(&folder.0).unwrap(), (Arc::clone(&states[5]), 0, 5));
            } else if at < last {
                // Batches that were on the disk are never dropped in silence.
                let problem = damaged(&folder.0);
                assert!(
                    at < HEADER || problem.contains("and batch 5 follows") || problem.contains("follows it"),
                    "{problem}"
                );
                assert_eq!(fs::read(&path).unwrap(), changed);
            } else {
                let (trie, torn, batches) = open(&folder.0).unwrap();
                assert_eq!((&trie, batches), (&states[4], 4));
                assert_eq!(torn, (journal.len() - last) as u64);
            }
        }
    }
}

#[test]
fn recovery_keeps_every_intact_batch() {
    for lost in 0..5 {
        let folder = Temporary::new();
        write::<u64>(&folder.0);
        let path = folder.0.join("journal");
        let journal = fs::read(&path).unwrap();
        let records = records(&journal);
        let mut changed = journal.clone();
        changed[records[lost] + 50] ^= 1;
        fs::write(&path, &changed).unwrap();
        let (live, skipped) = LiveTrie::recover(&folder.0, false).unwrap();
        assert_eq!(skipped[0].place, records[lost]..records[lost + 1]);
        let named = format!("batch {} is damaged or missing", lost + 1);
        assert!(skipped.iter().any(|part| part.problem == named), "{skipped:?}");
        assert_eq!(live.batches(), 5);
        let items = |lost: usize| -> Vec<u32> {
            let kept = BATCHES.iter().enumerate().filter(|&(batch, _)| batch != lost);
            let mut items: Vec<u32> = (0..6).collect();
            for (_, (removed, added)) in kept {
                items.retain(|&item| !removed.contains(&i64::from(item)) && !added.contains(&item));
                items.extend_from_slice(added);
            }
            items.sort_unstable();
            items
        };
        let trie = live.snapshot();
        let mut found = trie.items(&trie.start(1)).0;
        found.sort_unstable();
        assert_eq!(found, items(lost));
        drop(live);
        assert_eq!(open(&folder.0).unwrap(), (trie, 0, 5));
        assert_eq!(fs::read(folder.0.join("journal.damaged")).unwrap(), changed);
        // An intact one stays as it is.
        let (live, skipped) = LiveTrie::recover(&folder.0, false).unwrap();
        assert_eq!((live.batches(), skipped), (5, vec![]));
    }
}

#[test]
fn recovery_without_a_header_and_of_moved_records() {
    let folder = Temporary::new();
    let states = write::<u64>(&folder.0);
    let path = folder.0.join("journal");
    let journal = fs::read(&path).unwrap();
    let at = records(&journal);
    let moved = [
        &[7; HEADER][..],
        &journal[at[3]..at[4]],
        &journal[at[0]..at[3]],
        b"rubbish",
        &journal[at[0]..at[1]],
        &journal[at[4]..],
    ];
    fs::write(&path, moved.concat()).unwrap();
    damaged(&folder.0);
    let (live, skipped) = LiveTrie::recover(&folder.0, false).unwrap();
    let problems: Vec<_> = skipped.iter().map(|part| &part.problem[..]).collect();
    assert_eq!(
        problems,
        [
            "the header is damaged; the newest base stands for it",
            "no batch is whole here",
            "batch 1 is a copy, or in the base",
        ]
    );
    assert_eq!((live.snapshot(), live.batches()), (Arc::clone(&states[5]), 5));
}

#[test]
fn zeros_and_rubbish_behind_the_last_batch_are_cut_off() {
    let folder = Temporary::new();
    let states = write::<u64>(&folder.0);
    let path = folder.0.join("journal");
    let journal = fs::read(&path).unwrap();
    for tail in [vec![0; 4096], vec![0xa5; 77], b"sidBATCH".repeat(20)] {
        fs::write(&path, [&journal[..], &tail].concat()).unwrap();
        let (trie, torn, _) = open(&folder.0).unwrap();
        assert_eq!((&trie, torn), (&states[5], tail.len() as u64));
        assert_eq!(fs::read(&path).unwrap()[HEADER..], journal[HEADER..]);
    }
}

#[test]
fn records_of_another_journal_or_out_of_order_are_not_taken() {
    let folder = Temporary::new();
    write::<u64>(&folder.0);
    let path = folder.0.join("journal");
    let journal = fs::read(&path).unwrap();
    let at = records(&journal);
    // Batch 2 is missing; batch 1 comes twice.
    fs::write(&path, [&journal[..at[1]], &journal[at[2]..]].concat()).unwrap();
    assert!(damaged(&folder.0).contains("batch 2 of the journal is damaged"));
    fs::write(&path, [&journal[..at[1]], &journal[at[0]..at[1]]].concat()).unwrap();
    assert!(damaged(&folder.0).contains("batch 2 of the journal is damaged, and batch 1 follows it"));
    // After a compaction the old records belong to no journal.
    fs::write(&path, &journal).unwrap();
    let (live, _) = LiveTrie::open(&folder.0, false, false).unwrap();
    live.compact().unwrap();
    let state = live.snapshot();
    drop(live);
    let header = fs::read(&path).unwrap();
    assert_eq!(header.len(), HEADER);
    fs::write(&path, [&header[..], &journal[HEADER..]].concat()).unwrap();
    assert_eq!(
        open(&folder.0).unwrap(),
        (state, (journal.len() - HEADER) as u64, 5)
    );
}

#[test]
fn recovery_where_bytes_of_the_header_are_missing() {
    // From the part that never changes, and from the acknowledgments: the first record begins within the header.
    for missing in [0..50, 41..80] {
        let folder = Temporary::new();
        let states = write::<u64>(&folder.0);
        let path = folder.0.join("journal");
        let mut journal = fs::read(&path).unwrap();
        journal.drain(missing);
        fs::write(&path, &journal).unwrap();
        damaged(&folder.0);
        let (live, skipped) = LiveTrie::recover(&folder.0, false).unwrap();
        assert_eq!((live.snapshot(), live.batches()), (Arc::clone(&states[5]), 5));
        assert!(!skipped.is_empty());
    }
}

#[test]
fn compaction_is_one_moment() {
    let folder = Temporary::new();
    let states = write::<u64>(&folder.0);
    let last = &states[5];
    let (old_base, new_base) = ("base-00000000000000000000.sidx", "base-00000000000000000005.sidx");
    let before: Vec<(String, Vec<u8>)> = folder
        .names()
        .into_iter()
        .map(|name| (name.clone(), fs::read(folder.0.join(name)).unwrap()))
        .collect();
    let (live, _) = LiveTrie::open(&folder.0, true, false).unwrap();
    live.compact().unwrap();
    assert_eq!(
        (&live.snapshot(), live.pending(), live.batches()),
        (last, (0, 0), 5)
    );
    let header = fs::read(folder.0.join("journal")).unwrap();
    // The base it reads now is mapped; batches go on over it, with the next number.
    live.apply(&Batch::<u64> {
        removed: &[3],
        keys: &[],
        items: &[],
    })
    .unwrap();
    let after = live.snapshot();
    drop(live);
    assert_eq!(folder.names(), [new_base, "journal", "lock"]);
    assert_eq!(open(&folder.0).unwrap(), (after, 0, 6));

    // Interrupted before the new journal was in its place: the old base and journal are as they were.
    let new = fs::read(folder.0.join(new_base)).unwrap();
    for left in [
        "base-00000000000000000005.sidx",
        "base-00000000000000000005.sidx.77.tmp",
        "journal.77.tmp",
    ] {
        for (name, bytes) in &before {
            fs::write(folder.0.join(name), bytes).unwrap();
        }
        fs::write(folder.0.join(left), &new[..new.len() / 2]).unwrap();
        assert_eq!(open(&folder.0).unwrap(), (Arc::clone(last), 0, 5));
        assert_eq!(folder.names(), [old_base, "journal", "lock"]);
    }
    // Interrupted before the old base was removed.
    fs::write(folder.0.join(new_base), &new).unwrap();
    fs::write(folder.0.join("journal"), &header).unwrap();
    assert_eq!(open(&folder.0).unwrap(), (Arc::clone(last), 0, 5));
    assert_eq!(folder.names(), [new_base, "journal", "lock"]);
}

#[test]
fn a_base_that_is_not_the_journals_is_refused() {
    let folder = Temporary::new();
    write::<u64>(&folder.0);
    let other = Trie::build(SidLayout::new(&[16, 16]).unwrap(), &[1_u64, 2], None).unwrap();
    other
        .save(&folder.0.join("base-00000000000000000000.sidx"))
        .unwrap();
    for trusted in [false, true] {
        let refused = LiveTrie::open(&folder.0, false, trusted);
        assert!(
            matches!(refused, Err(Error::Format { problem }) if problem.starts_with("base and journal do not belong together"))
        );
    }
    fs::remove_file(folder.0.join("base-00000000000000000000.sidx")).unwrap();
    assert!(matches!(open(&folder.0), Err(Error::Io { .. })));
}

#[test]
fn one_at_a_time_and_never_over_another() {
    let folder = Temporary::new();
    assert!(matches!(
        open(&folder.0),
        Err(Error::Io {
            kind: std::io::ErrorKind::NotFound,
            ..
        })
    ));
    assert!(!folder.0.exists());
    write::<u64>(&folder.0);
    let (live, _) = LiveTrie::open(&folder.0, false, false).unwrap();
    assert!(matches!(
        open(&folder.0),
        Err(Error::Io {
            kind: std::io::ErrorKind::WouldBlock,
            ..
        })
    ));
    let copy = Temporary::new();
    live.save(&copy.0).unwrap();
    assert!(matches!(
        live.save(&copy.0),
        Err(Error::Io {
            kind: std::io::ErrorKind::AlreadyExists,
            ..
        })
    ));
    assert_eq!(open(&copy.0).unwrap(), (live.snapshot(), 0, 5));
    drop(live);
    assert!(open(&folder.0).is_ok());
}

#[test]
fn that_sids_are_not_shared_is_remembered() {
    let folder = Temporary::new();
    LiveTrie::create(&folder.0, &base::<u64>(), true).unwrap();
    let (live, _) = LiveTrie::open(&folder.0, false, false).unwrap();
    let shared = Batch {
        removed: &[],
        keys: &[key::<u64>(3)],
        items: &[9],
    };
    assert_eq!(live.apply(&shared), Err(Error::SharedKey { item: 9, other: 3 }));
    assert_eq!((live.unique(), live.batches()), (true, 0));
}
