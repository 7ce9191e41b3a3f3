//! A trie whose items come and go while others read it.
//!
//! # How does it work?
//!
//! A [`LiveTrie`] holds a *base*, a trie that does not change, and what all batches since have changed in it. A batch
//! makes the next [`Trie`]: the sorted arrays of the base are copied in runs with the changes put in between, which is
//! one pass over memory, and the finished trie takes the place of the one before. So what readers hold is always a
//! plain trie, equal in every array to one built from the items that are left, and as fast to walk.
//!
//! ```
//! use std::sync::Arc;
//! use sidkit_core::trie::live::{Batch, LiveTrie};
//! use sidkit_core::{SidLayout, Trie};
//!
//! let layout = SidLayout::new(&[4, 4])?;
//! let live = LiveTrie::new(Arc::new(Trie::build(layout, &[3_u64, 9], None)?), false)?;
//! let before = live.snapshot();
//! live.apply(&Batch { removed: &[0], keys: &[12_u64, 9], items: &[7, 8] })?;
//! let after = live.snapshot();
//! assert_eq!(before.items(&before.start(1)).0, [0, 1]);
//! assert_eq!(after.items(&after.start(1)).0, [1, 8, 7]);
//! # Ok::<(), sidkit_core::Error>(())
//! ```

mod edits;
mod fold;
mod folder;
mod journal;
mod moved;
mod process;
mod recovery;
mod splice;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use edits::Change;
use fold::Fold;
use folder::Folder;
use journal::{Header, Record, Records};
use process::Process;

use super::Trie;
use super::exclude::ByItem;
use super::format::damaged;
use crate::error::{Error, Result};
use crate::files::io_error;
use crate::sid::Key;

pub use fold::Batch;
pub(super) use moved::Moved;
pub use recovery::Skipped;

/// A trie whose items come and go, in memory or in a folder that survives a crash.
///
/// In a process made by `fork`, one in memory goes on by itself, and one in a folder can only be read.
#[derive(Debug)]
pub struct LiveTrie {
    unique: bool,
    /// Number of batches so far.
    batches: AtomicU64,
    path: Option<PathBuf>,
    here: Process,
}

/// State that only one batch at a time may change.
#[derive(Debug, Default)]
struct Writer {
    /// Number of batches in the base.
    settled: u64,
    folder: Option<Folder>,
    mmap: bool,
}

impl LiveTrie {
    /// A live trie in memory that begins as `trie`. With `unique`, no two items may share a Semantic ID.
    ///
    /// # Errors
    /// [`Error::SharedKey`] if some do already, [`Error::Format`] if `trie` is from a trusted file that is damaged.
    pub fn new(trie: Arc<Trie>, unique: bool) -> Result<Self> {
        verify(&trie)?;
        check_unique(&trie, unique)?;
        let current = if matches!(trie.shelves.by_item, ByItem::Moved(_)) {
            Arc::new(settled(&trie))
        } else {
            let _ = trie.slot_of(0);
            trie
        };
        Ok(Self::of(current, unique, 0, None, Writer::default()))
    }

    fn of(current: Arc<Trie>, unique: bool, batches: u64, path: Option<PathBuf>, writer: Writer) -> Self {
        Self {
            unique,
            batches: AtomicU64::new(batches),
            path,
            here: Process::new(current, writer),
        }
    }

    /// Makes a folder at `path` that [`LiveTrie::open`] opens and that begins as `trie`.
    ///
    /// # Errors
    /// As [`LiveTrie::new`], and [`Error::Io`] if the system refuses or there is a live trie already.
    pub fn create(path: &Path, trie: &Trie, unique: bool) -> Result<()> {
        verify(trie)?;
        check_unique(trie, unique)?;
        Folder::create(path, trie, unique, 0)
    }

    /// Opens the folder at `path`: the base, and the batches of the journal. If the last batch is not whole, it is cut off;
    /// the second value is how many bytes of the journal it takes. `mmap` and `trusted` are those of [`Trie::open`] and
    /// concern the base, whose file stays as it is until [`LiveTrie::compact`] puts another in its place. Its content is
    /// verified in any case, since batches copy from it.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses or the folder is open already, [`Error::Format`] if the base or the journal is
    /// damaged.
    pub fn open(path: &Path, mmap: bool, trusted: bool) -> Result<(Self, u64)> {
        let (mut folder, bytes) = Folder::open(path)?;
        let base = folder.base(mmap, trusted)?;
        verify(&base)?;
        let base = Arc::new(ordered(base));
        let Header {
            unique,
            batches: settled,
            ..
        } = *folder.header();
        let mut records = Records::new(&bytes, *folder.header(), base.layout.words());
        let (mut fold, mut batches) = (Fold::default(), settled);
        let unfit = |error: Error| damaged(format!("the journal does not fit its base: {error}"));
        while let Some(record) = records.next() {
            batches += 1;
            replay(&mut fold, &base, &record).map_err(unfit)?;
        }
        let torn = records.check_end()?;
        let current = if batches == settled {
            base
        } else {
            Arc::new(splice::splice(&base, &fold.change(), unique).map_err(unfit)?)
        };
        if torn > 0 {
            folder.cut(batches, records.end)?;
        }
        let writer = Writer {
            settled,
            folder: Some(folder),
            mmap,
        };
        let path = Some(path.to_owned());
        Ok((Self::of(current, unique, batches, path, writer), torn))
    }

    /// The trie as it is now; it stays as it is.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Trie> {
        self.here.this().current.get()
    }

    /// True if no two items may share a Semantic ID.
    #[must_use]
    pub fn unique(&self) -> bool {
        self.unique
    }

    /// Number of batches so far.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.batches.load(Ordering::Acquire)
    }

    /// Numbers of items removed from the base and of items added since: what [`LiveTrie::compact`]
    /// merges.
    #[must_use]
    pub fn pending(&self) -> (usize, usize) {
        match &self.snapshot().shelves.by_item {
            ByItem::Moved(moved) => moved.counts(),
            ByItem::Sorted(_) => (0, 0),
        }
    }

    /// Removes items and adds others, all or none: a snapshot is the trie before or the trie after. In
    /// a directory the batch is on the disk before it is visible. One batch runs at a time; others wait.
    ///
    /// # Errors
    /// [`Error::UnknownItem`] for an item that goes and is not there, [`Error::ItemExists`] for one that comes and is,
    /// [`Error::RepeatedItem`] for one that goes or comes twice, [`Error::SharedKey`] for two items with one Semantic ID where
    /// that must not be, [`Error::TooManyItems`], [`Error::Length`] and as [`crate::SidLayout::check`] for keys that do not
    /// fit, [`Error::Io`] if the journal cannot be written, or another process opened it. Then nothing has changed.
    pub fn apply<K: Key>(&self, batch: &Batch<'_, K>) -> Result<()> {
        let mut writer = self.writer()?;
        let current = self.snapshot();
        let change = batch.change(&current)?;
        if change == Change::default() {
            return Ok(());
        }
        let next = splice::splice(&current, &change, self.unique)?;
        let number = self.batches() + 1;
        if let Some(folder) = &mut writer.folder {
            folder.append(&record_of(batch), number)?;
        }
        self.here.this().current.set(Arc::new(next));
        self.batches.store(number, Ordering::Release);
        Ok(())
    }

    /// Makes the trie as it is now the base. Batches wait meanwhile; readers do not. In a folder, the base and an empty
    /// journal are written again, atomically.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
    pub fn compact(&self) -> Result<()> {
        let mut writer = self.writer()?;
        let (current, batches, mmap) = (self.snapshot(), self.batches(), writer.mmap);
        if batches == writer.settled {
            return Ok(());
        }
        let mut base = None;
        if let Some(folder) = &mut writer.folder {
            folder.compact(&current, batches)?;
            // We have just written it. If it cannot be mapped, the copy in memory serves as well.
            base = mmap.then(|| folder.base(true, true).ok()).flatten();
        }
        let base = base.map_or_else(|| settled(&current), ordered);
        writer.settled = batches;
        self.here.this().current.set(Arc::new(base));
        Ok(())
    }

    /// Writes the trie as it is now to a new folder at `path`, for [`LiveTrie::open`].
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses or there is a live trie already.
    pub fn save(&self, path: &Path) -> Result<()> {
        let (current, batches) = {
            let _writer = self.writer()?;
            (self.snapshot(), self.batches())
        };
        Folder::create(path, &current, self.unique, batches)
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>> {
        let here = self.here.this();
        match &self.path {
            Some(path) if !std::ptr::eq(here, &raw const self.here) => {
                let why = "the process that opened this live trie is another one; open it after the fork";
                Err(io_error(path, &io::Error::other(why)))
            }
            // A batch changes nothing before it has succeeded, so a panic leaves nothing half done.
            _ => Ok(here.writer.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

/// Fails if a trie from a trusted file is damaged.
fn verify(trie: &Trie) -> Result<()> {
    if trie.is_verified() { Ok(()) } else { trie.verify() }
}

/// A copy that knows by itself where its items are.
fn settled(trie: &Trie) -> Trie {
    let mut trie = trie.clone();
    if matches!(trie.shelves.by_item, ByItem::Moved(_)) {
        trie.shelves.by_item = ByItem::default();
    }
    ordered(trie)
}

/// Orders the items now, so that neither a reader nor the first batch has to wait for it.
fn ordered(trie: Trie) -> Trie {
    let _ = trie.slot_of(0);
    trie
}

fn check_unique(trie: &Trie, unique: bool) -> Result<()> {
    if let (true, Some(firsts)) = (unique, &trie.shelves.firsts) {
        let shared = (1..trie.item_count()).find(|&slot| !firsts.get(slot));
        if let Some(slot) = shared {
            let (item, other) = (trie.shelves.items[slot], trie.shelves.items[slot - 1]);
            return Err(Error::SharedKey { item, other });
        }
    }
    Ok(())
}

fn record_of<K: Key>(batch: &Batch<'_, K>) -> Record {
    let words = |key: &K| {
        let bits = key.to_u128();
        [(bits >> 64) as u64, bits as u64].into_iter().skip(2 - K::WORDS)
    };
    Record {
        // All of them are, or the batch had been refused.
        removed: batch
            .removed
            .iter()
            .filter_map(|&item| u32::try_from(item).ok())
            .collect(),
        items: batch.items.to_vec(),
        words: batch.keys.iter().flat_map(words).collect(),
    }
}

/// Folds a batch of the journal.
fn replay(fold: &mut Fold, base: &Trie, record: &Record) -> Result<()> {
    let removed: Vec<i64> = record.removed.iter().map(|&item| item.into()).collect();
    let (removed, items) = (&removed[..], &record.items[..]);
    if base.layout.words() == 1 {
        let keys = &record.words[..];
        return fold.take(base, &Batch { removed, keys, items });
    }
    let keys = record.words.as_chunks::<2>().0;
    fold.take(base, &Batch { removed, keys, items })
}
