//! The trie on disk: a header, then its arrays, all little-endian, each at a multiple of 64 bytes.
//!
//! ```text
//!   0  magic "sidkTRIE"
//!   8  u32 version             12  u32 levels
//!  16  u64 length of the file  24  u64 XXH3 of everything from byte 32 on
//!  32  u64 distinct keys       40  u64 items
//!  48  u32 head levels         52  u32 1 if some key has several items, else 0
//!  56  u32 codes of each level
//!      directory: u32; one column for each tail level: u8, or u16 above 256 codes; starts: u32, if any; items: u32
//! ```
//!
//! Every length follows from the header, so nothing is allocated before the file has proved to be that long.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::columns::{Column, Columns, bits_below, head_levels};
use super::{Shelves, Trie};
use crate::error::{Error, Result};
use crate::sid::{MAX_LEVELS, SidLayout};

const MAGIC: &[u8; 8] = b"sidkTRIE";
const VERSION: u32 = 1;
/// Where the checksummed part begins.
const CHECKED: usize = 32;
/// The header without the sizes of the levels.
const FIXED: usize = 56;
const ALIGN: usize = 64;

impl Trie {
    /// The bytes of the file format.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((self.layout.levels() as u32).to_le_bytes());
        bytes.extend([0; 16]);
        bytes.extend(u64::from(self.keys.len()).to_le_bytes());
        bytes.extend((self.shelves.items.len() as u64).to_le_bytes());
        bytes.extend((self.keys.head() as u32).to_le_bytes());
        bytes.extend(u32::from(!self.shelves.starts.is_empty()).to_le_bytes());
        bytes.extend(self.layout.sizes().iter().flat_map(|size| size.to_le_bytes()));
        put_words(&mut bytes, &self.keys.directory);
        for column in &self.keys.tail {
            align(&mut bytes);
            match column {
                Column::Narrow(digits) => bytes.extend(digits),
                Column::Wide(digits) => bytes.extend(digits.iter().flat_map(|digit| digit.to_le_bytes())),
            }
        }
        put_words(&mut bytes, &self.shelves.starts);
        put_words(&mut bytes, &self.shelves.items);
        let length = bytes.len() as u64;
        bytes[16..24].copy_from_slice(&length.to_le_bytes());
        let sum = checksum(&bytes);
        bytes[24..32].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The trie in `bytes`. Unless `trusted`, the checksum and every invariant of the content are verified first;
    /// bytes that are trusted and wrong give wrong answers or a panic later, never undefined behaviour.
    ///
    /// # Errors
    /// [`Error::Format`] if the bytes are foreign, of another version, truncated or damaged.
    pub fn from_bytes(bytes: &[u8], trusted: bool) -> Result<Self> {
        let header = Header::read(bytes)?;
        if !trusted {
            let stored = u64_at(bytes, 24);
            let sum = checksum(bytes);
            if sum != stored {
                return Err(format(format!(
                    "the checksum is {sum:016x}, the header says {stored:016x}; the file is damaged"
                )));
            }
        }
        let trie = header.arrays(bytes)?;
        if !trusted {
            trie.verify()?;
        }
        Ok(trie)
    }

    /// Writes the trie to `path`, whole or not at all: a temporary file beside it, flushed to the disk, then renamed.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(&self.to_bytes())?;
            file.sync_all()?;
            std::fs::rename(&temporary, path)
        };
        write().map_err(|error| {
            // What is left of a failed write is of no use; that it cannot be removed changes nothing.
            let _ = std::fs::remove_file(&temporary);
            io_error(path, &error)
        })
    }

    /// Reads the trie at `path`; as [`Trie::from_bytes`].
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses, [`Error::Format`] if the file is not a trie.
    pub fn open(path: &Path, trusted: bool) -> Result<Self> {
        let read = || {
            let mut bytes = Vec::new();
            File::open(path)?.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error| io_error(path, &error))?;
        Self::from_bytes(&bytes, trusted)
    }

    /// Checks what the walk relies on.
    fn verify(&self) -> Result<()> {
        let (directory, positions) = (&self.keys.directory, self.len());
        if directory[0] != 0 || directory.last() != Some(&(positions as u32)) || !directory.is_sorted() {
            return Err(format(
                "the directory does not ascend from 0 to the number of keys".into(),
            ));
        }
        let heads = self.keys.head();
        for (column, &size) in self.keys.tail.iter().zip(&self.layout.sizes()[heads..]) {
            let most =
                super::columns::with_digits!(column, digits => digits.iter().map(|&d| u32::from(d)).max());
            if most.is_some_and(|digit| digit >= size) {
                return Err(format(format!(
                    "a digit is not below the {size} codes of its level"
                )));
            }
        }
        self.keys.verify_order(&self.layout)?;
        self.shelves.verify(positions)
    }
}

impl Columns {
    /// Checks that the keys ascend strictly under the directory, and that no head has a digit its level does not have.
    fn verify_order(&self, layout: &SidLayout) -> Result<()> {
        for (slot, ends) in self.directory.windows(2).enumerate() {
            let (lo, hi) = (ends[0] as usize, ends[1] as usize);
            if lo == hi {
                continue;
            }
            let exists = |(level, below): (usize, &u32)| {
                let bits = layout.bits()[level];
                (slot >> below) & ((1 << bits) - 1) < layout.sizes()[level] as usize
            };
            if !self.below.iter().enumerate().all(exists) {
                return Err(format(
                    "a key begins with a digit that its level does not have".into(),
                ));
            }
            if (lo + 1..hi).any(|position| self.compare(position - 1, position).is_ge()) {
                return Err(format("the keys do not ascend".into()));
            }
        }
        Ok(())
    }

    /// The order of the tails of two keys.
    fn compare(&self, a: usize, b: usize) -> std::cmp::Ordering {
        let order =
            |column: &Column| super::columns::with_digits!(column, digits => digits[a].cmp(&digits[b]));
        self.tail
            .iter()
            .map(order)
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    }
}

impl Shelves {
    fn verify(&self, keys: usize) -> Result<()> {
        let ascends = |starts: &[u32]| starts.windows(2).all(|pair| pair[0] < pair[1]);
        let ends = (self.starts.first(), self.starts.last());
        let whole = ends == (Some(&0), Some(&(self.items.len() as u32)));
        if self.starts.is_empty() {
            if self.items.len() != keys {
                return Err(format(format!(
                    "{keys} keys with one item each, but {} items",
                    self.items.len()
                )));
            }
        } else if !whole || !ascends(&self.starts) {
            return Err(format(
                "the starts of the items do not ascend from 0 to their number".into(),
            ));
        } else if self
            .starts
            .windows(2)
            .any(|pair| !ascends(&self.items[pair[0] as usize..pair[1] as usize]))
        {
            return Err(format("the items under a key do not ascend".into()));
        }
        super::build::check_distinct(&self.items).map_err(|error| format(error.to_string()))
    }
}

/// What the first bytes announce.
struct Header {
    layout: SidLayout,
    keys: usize,
    items: usize,
    head: usize,
    shared: bool,
    /// Where the arrays begin, before alignment.
    end: usize,
}

impl Header {
    /// Reads and checks the header against the number of bytes that are there.
    fn read(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < FIXED || &bytes[..8] != MAGIC {
            return Err(format(
                "it does not begin as one; is it a file of another kind?".into(),
            ));
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(format(format!(
                "version {version}, this sidkit reads version {VERSION}; build the trie again"
            )));
        }
        let length = u64_at(bytes, 16);
        if length != bytes.len() as u64 {
            return Err(format(format!(
                "{} bytes long, the header says {length}; the file is truncated or damaged",
                bytes.len()
            )));
        }
        let levels = u32_at(bytes, 12) as usize;
        let end = FIXED + 4 * levels.min(MAX_LEVELS);
        if levels > MAX_LEVELS || bytes.len() < end {
            return Err(format(format!("{levels} levels do not fit the file")));
        }
        let sizes: Vec<u32> = bytes[FIXED..end]
            .as_chunks()
            .0
            .iter()
            .map(|&word| u32::from_le_bytes(word))
            .collect();
        let layout = SidLayout::new(&sizes).map_err(|error| format(error.to_string()))?;
        let [keys, items] = [32, 40].map(|at| u64_at(bytes, at));
        if keys > items || items >= u64::from(u32::MAX) {
            return Err(format(format!("{keys} keys and {items} items")));
        }
        let (keys, items) = (keys as usize, items as usize);
        let head = head_levels(&layout, keys);
        let [stored, shared] = [48, 52].map(|at| u32_at(bytes, at));
        if stored as usize != head || shared > 1 {
            return Err(format(format!(
                "{stored} head levels and sharing {shared}, expected {head} and 0 or 1"
            )));
        }
        let header = Self {
            layout,
            keys,
            items,
            head,
            shared: shared == 1,
            end,
        };
        let expected = header.length();
        if expected != bytes.len() {
            return Err(format(format!(
                "{} bytes long, but what it holds takes {expected}",
                bytes.len()
            )));
        }
        Ok(header)
    }

    fn slots(&self) -> usize {
        1 << (self.layout.total_bits() - self.layout.bits_below(self.head))
    }

    /// How many bytes each array takes, in order; none when it is not stored.
    fn array_bytes(&self) -> impl Iterator<Item = usize> {
        let digit = |&size: &u32| self.keys * if size <= 256 { 1 } else { 2 };
        let columns = self.layout.sizes()[self.head..].iter().map(digit);
        let starts = if self.shared { 4 * (self.keys + 1) } else { 0 };
        [4 * (self.slots() + 1)]
            .into_iter()
            .chain(columns)
            .chain([starts, 4 * self.items])
    }

    fn length(&self) -> usize {
        self.array_bytes()
            .fold(self.end, |at, bytes| at.next_multiple_of(ALIGN) + bytes)
    }

    /// Reads the arrays; the header has been checked against the length of `bytes`.
    fn arrays(self, bytes: &[u8]) -> Result<Trie> {
        let mut at = self.end;
        let mut sections = self.array_bytes().map(|length| {
            at = at.next_multiple_of(ALIGN) + length;
            &bytes[at - length..at]
        });
        let mut next = || sections.next().unwrap_or_default();
        let directory = words(next());
        let column = |&size: &u32, bytes: &[u8]| {
            if size <= 256 {
                Column::Narrow(bytes.to_vec())
            } else {
                Column::Wide(
                    bytes
                        .as_chunks()
                        .0
                        .iter()
                        .map(|&digit| u16::from_le_bytes(digit))
                        .collect(),
                )
            }
        };
        let tail = self.layout.sizes()[self.head..]
            .iter()
            .map(|size| column(size, next()))
            .collect();
        let shelves = Shelves::new(words(next()), words(next()));
        let keys = Columns {
            below: bits_below(&self.layout, self.head),
            directory,
            tail,
        };
        if keys.len() as usize != self.keys {
            return Err(format(format!(
                "the directory ends at {}, the header says {} keys",
                keys.len(),
                self.keys
            )));
        }
        Ok(Trie {
            keys,
            shelves,
            layout: self.layout.clone(),
        })
    }
}

fn format(problem: String) -> Error {
    Error::Format { problem }
}

fn io_error(path: &Path, error: &io::Error) -> Error {
    Error::Io {
        path: path.display().to_string(),
        kind: error.kind(),
        code: error.raw_os_error(),
        message: error.to_string(),
    }
}

/// The checksum of all that the checksum covers.
fn checksum(bytes: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&bytes[CHECKED..]);
    hash.digest()
}

fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
}

fn put_words(bytes: &mut Vec<u8>, words: &[u32]) {
    align(bytes);
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|&word| u32::from_le_bytes(word))
        .collect()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..]
        .first_chunk()
        .map_or(0, |&word| u32::from_le_bytes(word))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..]
        .first_chunk()
        .map_or(0, |&word| u64::from_le_bytes(word))
}
