//! Recovery of a live trie whose journal is damaged.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::fold::Fold;
use super::folder::Folder;
use super::journal::{HEADER, Records, Whole};
use super::{LiveTrie, Writer, ordered, settled, splice};
use crate::error::Result;
use crate::sid::Key;
use crate::trie::Trie;

/// A part of a damaged journal, or of an intact batch, that a recovery did not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Bytes of the journal; none where a batch is missing.
    pub place: Range<usize>,
    /// Description of the part, and of what became of it.
    pub problem: String,
}

impl LiveTrie {
    /// Opens a folder whose journal is damaged: the base, and all batches that are whole. Also returns what was skipped.
    ///
    /// Batches behind a damaged one may refer to what it did. Items that they remove and that are not there are ignored. An item
    /// that they add and that is there gets its new Semantic ID. Where no two items may share one, the item that was added last
    /// keeps it.
    ///
    /// The result is written as a new base with an empty journal; a copy of the damaged journal stays in the folder as
    /// `journal.damaged`. An intact folder is left as it is.
    ///
    /// # Errors
    /// [`crate::Error::Io`] as for [`LiveTrie::open`], [`crate::Error::Format`] if the base is damaged: it has to be restored
    /// from a copy.
    pub fn recover(path: &Path, mmap: bool) -> Result<(Self, Vec<Skipped>)> {
        let (mut folder, bytes, headless) = Folder::open_damaged(path)?;
        let base = Arc::new(ordered(folder.base(false, false)?));
        let header = *folder.header();
        let mut recovery = Recovery::new(&base, header.unique);
        if headless {
            let problem = "the header is damaged; the newest base stands for it";
            recovery.skip(0..HEADER.min(bytes.len()), problem);
        }
        let mut records = Records::new(&bytes, header, base.layout.words());
        let mut found = records.whole();
        let mut end = HEADER.min(bytes.len());
        for place in found
            .iter()
            .map(|whole| whole.place.clone())
            .chain(std::iter::once(bytes.len()..0))
        {
            if end < place.start {
                recovery.skip(end..place.start, "no batch is whole here");
            }
            end = place.end;
        }
        // A file system may have put them in other places, or twice.
        found.sort_by_key(|whole| whole.number);
        let mut last = header.batches;
        for whole in found {
            recovery.skip_missing(last + 1, whole.number, whole.place.start);
            if whole.number > last {
                last = whole.number;
                recovery.take(&whole);
            } else {
                recovery.skip(
                    whole.place,
                    format!("batch {} is a copy, or in the base", whole.number),
                );
            }
        }
        let acknowledged = if headless { None } else { records.acknowledged() };
        let expected = acknowledged.map_or(last, |acknowledged| acknowledged.number.max(last));
        recovery.skip_missing(last + 1, expected + 1, bytes.len());
        while records.next().is_some() {}
        if recovery.skipped.is_empty()
            && let Err(error) = records.check_end()
        {
            recovery.skip(0..HEADER, error.to_string());
        }
        if recovery.skipped.is_empty() {
            drop(folder);
            return Ok((Self::open(path, mmap, false)?.0, Vec::new()));
        }
        let trie = splice::splice(&base, &recovery.fold.change(), false)?;
        folder.keep_damaged(&bytes)?;
        folder.compact(&trie, expected)?;
        let writer = Writer {
            settled: expected,
            folder: Some(folder),
            mmap,
        };
        let (unique, path) = (header.unique, Some(path.to_owned()));
        let live = Self::of(Arc::new(settled(&trie)), unique, expected, path, writer);
        Ok((live, recovery.skipped))
    }
}

/// Intact batches, taken one after the other.
struct Recovery<'a> {
    base: &'a Trie,
    unique: bool,
    fold: Fold,
    /// For added items, if no two items may share a key: the item of each key.
    item_of: HashMap<u128, u32>,
    skipped: Vec<Skipped>,
}

impl<'a> Recovery<'a> {
    fn new(base: &'a Trie, unique: bool) -> Self {
        Self {
            base,
            unique,
            fold: Fold::default(),
            item_of: HashMap::new(),
            skipped: Vec::new(),
        }
    }

    fn skip(&mut self, place: Range<usize>, problem: impl Into<String>) {
        self.skipped.push(Skipped {
            place,
            problem: problem.into(),
        });
    }

    /// Notes that the batches from `first` to before `next` are missing, before a place.
    fn skip_missing(&mut self, first: u64, next: u64, at: usize) {
        let problem = match next.saturating_sub(first) {
            0 => return,
            1 => format!("batch {first} is damaged or missing"),
            _ => format!("batches {first} to {} are damaged or missing", next - 1),
        };
        self.skip(at..at, problem);
    }

    fn take(&mut self, whole: &Whole) {
        let (record, number) = (&whole.record, whole.number);
        let keys: Vec<u128> = match self.base.layout.words() {
            1 => record.words.iter().map(|&key| key.into()).collect(),
            _ => record
                .words
                .as_chunks::<2>()
                .0
                .iter()
                .map(|&key| key.to_u128())
                .collect(),
        };
        let valid = match self.base.layout.words() {
            1 => self.base.layout.check(&record.words),
            _ => self.base.layout.check(record.words.as_chunks::<2>().0),
        };
        if let Err(error) = valid {
            return self.skip(
                whole.place.clone(),
                format!("batch {number} does not fit the base: {error}"),
            );
        }
        let missing = record
            .removed
            .iter()
            .filter(|&&item| !self.fold.force_out(self.base, item))
            .count();
        let mut there = 0;
        for (&item, &key) in record.items.iter().zip(&keys) {
            there += usize::from(self.fold.force_out(self.base, item));
            if self.unique {
                there += usize::from(self.evict(key));
                self.item_of.insert(key, item);
            }
            self.fold.force_in(item, key);
        }
        if missing > 0 || there > 0 {
            let problem = format!(
                "batch {number} was kept: of the items that it removes, {missing} were missing; of those that it adds or their Semantic IDs, {there} were present and are replaced"
            );
            self.skip(whole.place.clone(), problem);
        }
    }

    /// Removes the item that has a key; false if there is none.
    fn evict(&mut self, key: u128) -> bool {
        if let Some(other) = self.item_of.remove(&key)
            && self.fold.key_of(other) == Some(key)
        {
            return self.fold.force_out(self.base, other);
        }
        let (position, held) = self.base.keys.rank(&self.base.layout, key);
        held && self
            .fold
            .force_out_slots(self.base.shelves.slots(position..position + 1))
    }
}
