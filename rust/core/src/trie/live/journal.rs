//! The bytes of a journal: a header, then one record for each batch, all little-endian, each at a multiple of 8 bytes.
//!
//! ```text
//! header    0 magic "sidkJRNL"       8 u32 version           12 u32 1 if no two items may share a SID, else 0
//!          16 u64 batches before    24 u64 checksum of the base, as in its header
//!          32 u64 XXH3 of bytes 0 to 31
//! record    0 magic "sidBATCH"       8 u64 number of the batch
//!          16 u64 items removed     24 u64 items added       32 u64 XXH3 of the content
//!          40 u64 XXH3 of bytes 0 to 39, seeded with the header's
//! content  removed u32, added u32, zeros up to a multiple of 8, keys of the added u64 (high word first where they take two)
//! ```
//!
//! A record is appended and flushed before its batch is seen, so only the last one can be unfinished after a crash: it is
//! dropped. A record that is damaged although a later one is whole was damaged after it was written: that is an error.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::array::Number;
use crate::error::Result;
use crate::trie::format::{damaged, u32_at, u64_at};

const MAGIC: &[u8; 8] = b"sidkJRNL";
const VERSION: u32 = 1;
const RECORD: &[u8; 8] = b"sidBATCH";
/// Number of bytes the header takes.
pub(super) const HEADER: usize = 40;
/// Number of bytes a record takes before its content.
const HEAD: usize = 48;

/// Header of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// True if no two items may share a Semantic ID.
    pub(super) unique: bool,
    /// Number of batches the base holds.
    pub(super) batches: u64,
    /// The checksum in the header of the base.
    pub(super) base: u64,
}

/// One batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) removed: Vec<u32>,
    pub(super) items: Vec<u32>,
    /// The words of the keys of `items`.
    pub(super) words: Vec<u64>,
}

impl Header {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        u32::put_le(&[VERSION, self.unique.into()], &mut bytes);
        u64::put_le(&[self.batches, self.base], &mut bytes);
        let sum = xxh3_64(&bytes);
        u64::put_le(&[sum], &mut bytes);
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < HEADER || &bytes[..8] != MAGIC {
            return Err(damaged(
                "the journal does not begin as one; it is truncated or of another kind".into(),
            ));
        }
        if xxh3_64(&bytes[..HEADER - 8]) != u64_at(bytes, HEADER - 8) {
            return Err(damaged("the header of the journal is damaged".into()));
        }
        if u32_at(bytes, 8) != VERSION {
            return Err(damaged(format!(
                "the journal has version {}, this sidkit reads version {VERSION}",
                u32_at(bytes, 8)
            )));
        }
        Ok(Self {
            unique: u32_at(bytes, 12) == 1,
            batches: u64_at(bytes, 16),
            base: u64_at(bytes, 24),
        })
    }
}

impl Record {
    /// The bytes of batch `number` in a journal with this header.
    pub(super) fn to_bytes(&self, header: &Header, number: u64) -> Vec<u8> {
        let mut content = Vec::new();
        u32::put_le(&self.removed, &mut content);
        u32::put_le(&self.items, &mut content);
        content.resize(content.len().next_multiple_of(8), 0);
        u64::put_le(&self.words, &mut content);

        let mut bytes = RECORD.to_vec();
        let counts = [self.removed.len(), self.items.len()].map(|count| count as u64);
        u64::put_le(&[number, counts[0], counts[1], xxh3_64(&content)], &mut bytes);
        let sum = xxh3_64_with_seed(&bytes, seed(header));
        u64::put_le(&[sum], &mut bytes);
        bytes.append(&mut content);
        bytes
    }
}

/// Sets the records of one journal apart from those of any other.
fn seed(header: &Header) -> u64 {
    header.base ^ header.batches
}

/// The records of a journal, in order.
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    pub(super) header: Header,
    /// Number of words a key takes.
    words: usize,
    /// The batch that comes next.
    number: u64,
    /// Where the whole records read so far end.
    pub(super) end: usize,
}

impl<'a> Records<'a> {
    /// The records of a journal whose keys take so many words.
    pub(super) fn new(bytes: &'a [u8], words: usize) -> Result<Self> {
        let header = Header::read(bytes)?;
        Ok(Self {
            bytes,
            header,
            words,
            number: header.batches + 1,
            end: HEADER,
        })
    }

    /// The next batch; none where the whole ones end.
    pub(super) fn next(&mut self) -> Result<Option<Record>> {
        let Some((record, end)) = self.read(self.end) else {
            return match self.later() {
                None => Ok(None),
                Some(later) => Err(damaged(format!(
                    "batch {} of the journal is damaged, and batch {later} follows it; restore the file from a copy",
                    self.number
                ))),
            };
        };
        self.number += 1;
        self.end = end;
        Ok(Some(record))
    }

    /// The record of the next batch at a place and where it ends, if it is whole.
    fn read(&self, at: usize) -> Option<(Record, usize)> {
        let head = self.head(at)?;
        let lengths = [16, 24].map(|place| usize::try_from(u64_at(head, place)).ok());
        let (removed, items) = (lengths[0]?, lengths[1]?);
        let middle = removed
            .checked_add(items)?
            .checked_mul(4)?
            .checked_next_multiple_of(8)?;
        let length = items.checked_mul(8 * self.words)?.checked_add(middle)?;
        let content = self.bytes[at + HEAD..].get(..length)?;
        if u64_at(head, 8) != self.number || u64_at(head, 32) != xxh3_64(content) {
            return None;
        }
        let numbers = |bytes: &[u8]| bytes.chunks_exact(4).map(u32::read_le).collect();
        let record = Record {
            removed: numbers(&content[..4 * removed]),
            items: numbers(&content[4 * removed..][..4 * items]),
            words: content[middle..].chunks_exact(8).map(u64::read_le).collect(),
        };
        Some((record, at + HEAD + length))
    }

    /// The bytes before the content of a record, if they are those of a record of this journal.
    fn head(&self, at: usize) -> Option<&'a [u8]> {
        let head = self.bytes.get(at..)?.get(..HEAD)?;
        let ours =
            &head[..8] == RECORD && u64_at(head, 40) == xxh3_64_with_seed(&head[..40], seed(&self.header));
        ours.then_some(head)
    }

    /// The number of another batch where the next one should be, or behind it.
    fn later(&self) -> Option<u64> {
        let heads = (self.end..self.bytes.len())
            .step_by(8)
            .filter_map(|at| self.head(at));
        heads
            .map(|head| u64_at(head, 8))
            .find(|&number| number != self.number)
    }
}
