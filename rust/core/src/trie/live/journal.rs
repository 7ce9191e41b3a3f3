//! The bytes of a journal: a header, then one record for each batch, all little-endian, each at a multiple of 8 bytes.
//!
//! ```text
//! header    0 magic "sidkJRNL"       8 u32 version           12 u32 1 if no two items may share a SID, else 0
//!          16 u64 batches before    24 u64 checksum of the base, as in its header
//!          32 u64 XXH3 of bytes 0 to 31
//!          40 acknowledgment, 64 acknowledgment: u64 number of a batch, u64 end of its record, u64 XXH3 of both
//! record    0 magic "sidBATCH"       8 u64 number of the batch
//!          16 u64 items removed     24 u64 items added       32 u64 XXH3 of the content
//!          40 u64 XXH3 of bytes 0 to 39
//! content  removed u32, added u32, zeros up to a multiple of 8, keys of the added u64 (high word first where they take two)
//! ```
//!
//! The checksums of acknowledgments and records are seeded with the header, so that they belong to one journal.
//!
//! A record is appended and flushed, then its batch is acknowledged, in turns in one of the two places, and only then seen.
//! So a crash can leave one record unfinished, the last one, and only that one may be missing. Anything else was damaged
//! after it was written. That is an error: a record that is not whole although another follows it, or although a later
//! one was acknowledged.

use std::ops::Range;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::array::Number;
use crate::error::Result;
use crate::trie::format::{damaged, u32_at, u64_at};

const MAGIC: &[u8; 8] = b"sidkJRNL";
const VERSION: u32 = 2;
const RECORD: &[u8; 8] = b"sidBATCH";
/// Number of bytes the header takes.
pub(super) const HEADER: usize = ACKNOWLEDGMENTS[1] + ACKNOWLEDGMENT;
/// Number of bytes of the header that never change.
const FIXED: usize = 40;
/// Number of bytes an acknowledgment takes, and where the two are.
const ACKNOWLEDGMENT: usize = 24;
const ACKNOWLEDGMENTS: [usize; 2] = [FIXED, FIXED + ACKNOWLEDGMENT];
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

/// A batch in a journal that may be damaged.
pub(super) struct Whole {
    pub(super) number: u64,
    pub(super) place: Range<usize>,
    pub(super) record: Record,
}

/// The last batch that is known to be on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Acknowledged {
    pub(super) number: u64,
    /// Where its record ends.
    pub(super) end: u64,
}

impl Header {
    /// The header of a journal without records.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        u32::put_le(&[VERSION, self.unique.into()], &mut bytes);
        u64::put_le(&[self.batches, self.base], &mut bytes);
        let sum = xxh3_64(&bytes);
        u64::put_le(&[sum], &mut bytes);
        let nothing = Acknowledged {
            number: self.batches,
            end: HEADER as u64,
        };
        for _ in ACKNOWLEDGMENTS {
            bytes.extend(nothing.to_bytes(&self));
        }
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < HEADER || &bytes[..8] != MAGIC {
            return Err(damaged(
                "the journal does not begin as one; it is truncated or of another kind".into(),
            ));
        }
        if xxh3_64(&bytes[..FIXED - 8]) != u64_at(bytes, FIXED - 8) {
            return Err(damaged(
                "the header of the journal, bytes 0 to 39, is damaged".into(),
            ));
        }
        let (version, unique) = (u32_at(bytes, 8), u32_at(bytes, 12));
        if version != VERSION || unique > 1 {
            return Err(damaged(format!(
                "the journal has version {version} and flags {unique}, this sidkit reads version {VERSION}"
            )));
        }
        Ok(Self {
            unique: unique == 1,
            batches: u64_at(bytes, 16),
            base: u64_at(bytes, 24),
        })
    }

    /// Sets the checksums of one journal apart from those of any other.
    fn seed(&self) -> u64 {
        self.base ^ self.batches
    }
}

impl Acknowledged {
    fn to_bytes(self, header: &Header) -> Vec<u8> {
        let mut bytes = Vec::new();
        u64::put_le(&[self.number, self.end], &mut bytes);
        let sum = xxh3_64_with_seed(&bytes, header.seed());
        u64::put_le(&[sum], &mut bytes);
        bytes
    }

    /// Where this acknowledgment is written, and its bytes: the one before stays as it is.
    pub(super) fn placed(self, header: &Header) -> (u64, Vec<u8>) {
        let place = ACKNOWLEDGMENTS[(self.number % 2) as usize];
        (place as u64, self.to_bytes(header))
    }

    /// The bytes of both acknowledgments, and where they are.
    pub(super) fn placed_twice(self, header: &Header) -> (u64, Vec<u8>) {
        let bytes = self.to_bytes(header);
        (ACKNOWLEDGMENTS[0] as u64, [&bytes[..], &bytes].concat())
    }

    /// The two acknowledgments of a journal; none in the place of one that is damaged.
    fn read(bytes: &[u8], header: &Header) -> [Option<Self>; 2] {
        ACKNOWLEDGMENTS.map(|at| {
            let sum = xxh3_64_with_seed(&bytes[at..at + 16], header.seed());
            (sum == u64_at(bytes, at + 16)).then(|| Self {
                number: u64_at(bytes, at),
                end: u64_at(bytes, at + 8),
            })
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
        let sum = xxh3_64_with_seed(&bytes, header.seed());
        u64::put_le(&[sum], &mut bytes);
        bytes.append(&mut content);
        bytes
    }
}

/// The records of a journal, in order.
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    header: Header,
    /// Number of words a key takes.
    words: usize,
    /// The batch that comes next.
    number: u64,
    /// Where the whole records read so far end.
    pub(super) end: usize,
}

impl<'a> Records<'a> {
    /// The records of a journal with this header, whose keys take so many words.
    pub(super) fn new(bytes: &'a [u8], header: Header, words: usize) -> Self {
        Self {
            bytes,
            header,
            words,
            number: header.batches + 1,
            end: HEADER,
        }
    }

    /// The next batch; none where the whole ones end.
    pub(super) fn next(&mut self) -> Option<Record> {
        let (number, record, end) = self.read(self.end)?;
        if number != self.number {
            return None;
        }
        self.number += 1;
        self.end = end;
        Some(record)
    }

    /// All batches that are whole, wherever they are, in the order of their places; for journals that may be damaged.
    pub(super) fn whole(&self) -> Vec<Whole> {
        let mut found = Vec::new();
        // Where bytes of the header are missing, the first record begins within it.
        let mut at = 0;
        while at < self.bytes.len() {
            let Some((number, record, end)) = self.read(at) else {
                at += 1;
                continue;
            };
            found.push(Whole {
                number,
                place: at..end,
                record,
            });
            at = end;
        }
        found
    }

    /// The last acknowledged batch, as far as that is known.
    pub(super) fn acknowledged(&self) -> Option<Acknowledged> {
        let both = Acknowledged::read(self.bytes, &self.header);
        both.into_iter().flatten().max()
    }

    /// Checks what is behind the whole batches, of which [`Records::next`] has given all. Returns the number of bytes that the last
    /// batch takes there, or took, if it is not whole.
    ///
    /// # Errors
    /// [`crate::Error::Format`] unless that can be one unfinished batch.
    pub(super) fn check_end(&self) -> Result<u64> {
        let (end, length) = (self.end as u64, self.bytes.len() as u64);
        let number = self.number;
        let advice = "Keep the intact batches with `LiveTrie.recover`, or restore the file from a copy";
        if let Some((later, at)) = self.later() {
            return Err(damaged(format!(
                "batch {number} of the journal is damaged, and batch {later} follows it: expected a whole record of batch {number} at byte {end}, got batch {later} at byte {at}. {advice}"
            )));
        }
        if let Some(head) = self.head(self.end)
            && let Some(whole) = self.length(head)
            && self.end + HEAD + whole < self.bytes.len()
        {
            return Err(damaged(format!(
                "batch {number} of the journal is damaged, and more follows it: expected a whole record at bytes {end} to {}, got another content. {advice}",
                self.end + HEAD + whole
            )));
        }
        let [one, other] = Acknowledged::read(self.bytes, &self.header);
        let Some(last) = one.max(other) else {
            return Err(damaged(format!(
                "the acknowledgments of the journal, bytes {FIXED} to {}, are damaged. {advice}",
                HEADER - 1
            )));
        };
        // A crash can damage an acknowledgment only while it is written, when its record is whole.
        if (one.is_none() || other.is_none()) && number != last.number + 2 {
            return Err(damaged(format!(
                "an acknowledgment of the journal, bytes {FIXED} to {}, is damaged: expected batch {} to be whole, got a journal that ends with batch {}. {advice}",
                HEADER - 1,
                last.number + 1,
                number - 1
            )));
        }
        // Of what was acknowledged, only the last batch may be unfinished.
        if number < last.number || number == last.number && length > last.end {
            return Err(damaged(format!(
                "batch {number} of the journal is damaged, and batch {} was acknowledged: expected whole records up to byte {}, got them up to byte {end}. {advice}",
                last.number, last.end
            )));
        }
        let expected = if number == last.number { last.end } else { 0 };
        Ok(length.max(expected) - end)
    }

    /// The number, the batch and the end of the record at a place, if it is whole.
    fn read(&self, at: usize) -> Option<(u64, Record, usize)> {
        let head = self.head(at)?;
        let length = self.length(head)?;
        let content = self.bytes[at + HEAD..].get(..length)?;
        if u64_at(head, 32) != xxh3_64(content) {
            return None;
        }
        let [removed, items] = [16, 24].map(|place| u64_at(head, place) as usize);
        let numbers = |bytes: &[u8]| bytes.chunks_exact(4).map(u32::read_le).collect();
        let middle = length - items * 8 * self.words;
        let record = Record {
            removed: numbers(&content[..4 * removed]),
            items: numbers(&content[4 * removed..][..4 * items]),
            words: content[middle..].chunks_exact(8).map(u64::read_le).collect(),
        };
        Some((u64_at(head, 8), record, at + HEAD + length))
    }

    /// The length of the content of a record.
    fn length(&self, head: &[u8]) -> Option<usize> {
        let [removed, items] = [16, 24].map(|place| usize::try_from(u64_at(head, place)).ok());
        let (removed, items) = (removed?, items?);
        let middle = removed
            .checked_add(items)?
            .checked_mul(4)?
            .checked_next_multiple_of(8)?;
        items.checked_mul(8 * self.words)?.checked_add(middle)
    }

    /// The bytes before the content of a record, if they are those of a record of this journal.
    fn head(&self, at: usize) -> Option<&'a [u8]> {
        let head = self.bytes.get(at..)?.get(..HEAD)?;
        let ours =
            &head[..8] == RECORD && u64_at(head, 40) == xxh3_64_with_seed(&head[..40], self.header.seed());
        ours.then_some(head)
    }

    /// A record of this journal where there should be none: another batch in the place of the next one, or any behind it.
    fn later(&self) -> Option<(u64, usize)> {
        let places = self.end..self.bytes.len();
        places
            .filter_map(|at| Some((u64_at(self.head(at)?, 8), at)))
            .find(|&(number, at)| at > self.end || number != self.number)
    }
}
