//! The trie on disk: a header, then its arrays, all little-endian, each at a multiple of 64 bytes.
//!
//! ```text
//!   0  magic "sidkTRIE"
//!   8  u32 version             12  u32 storage: 0 fast, 1 compact
//!  16  u64 length of the file  24  u64 XXH3 of everything from byte 32 on
//!  32  u64 distinct keys       40  u64 items
//!  48  u32 levels              52  u32 1 if some key has several items, else 0
//!  56  u32 number of arrays    60  u32 head levels (fast) or levels with bitmaps (compact)
//!  64  u32 tokens of each level, then u64 bytes of each array
//!
//! fast     directory u32; a column for each tail level: u8, or u16 above 256 tokens;
//!          for each level the bitmaps of its crowded states: marks u64, ranks u32, rows u64
//! compact  low bits u64; high bits u64, ranks u32, ones u32, zeros u32; for each level with bitmaps: rows u64
//! both     firsts of shared keys u64, ranks u32, ones u32, zeros u32 (if any); items u32
//! ```
//!
//! All other bytes and bits are zero. A trie has one encoding, and a file with another is refused unless it is trusted.
//!
//! Arrays stand in this order without holes, so that their places follow from their lengths, and no length is believed
//! before all of them have been added up to the length of the file.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;
use xxhash_rust::xxh3::xxh3_64;

use super::bits::Bits;
use super::columns::{Column, Columns, head_levels};
use super::compact::{self, Compact};
use super::fan::{Fan, row_words};
use super::keys::{Keys, Storage};
use super::{Shelves, Trie, Verified};
use crate::array::{Array, Number};
use crate::error::{Error, Result};
use crate::files::{io_error, replace};
use crate::memory;
use crate::sid::{MAX_LEVELS, SidLayout};

const MAGIC: &[u8; 8] = b"sidkTRIE";
const VERSION: u32 = 1;
/// Where the checksum is.
pub(super) const SUM_AT: usize = 24;
/// Where the checksummed part begins.
pub(super) const CHECKED: usize = 32;
/// The header up to the lists of sizes and lengths.
pub(super) const FIXED: usize = 64;
pub(super) const ALIGN: usize = 64;

impl Trie {
    /// The bytes of the file format.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut arrays = Arrays::default();
        let leading = match &self.keys {
            Keys::Fast(keys) => keys.put(&mut arrays),
            Keys::Compact(keys) => keys.put(&mut arrays),
        };
        self.shelves.put(&mut arrays);
        let mut bytes = header(
            &self.layout,
            self.keys.storage(),
            leading,
            [u64::from(self.keys.len()), self.shelves.items.len() as u64],
            self.shelves.firsts.is_some(),
            &arrays.lengths,
        );
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        memory::reserve(&mut bytes, arrays.bytes.len());
        bytes.append(&mut arrays.bytes);
        let length = bytes.len() as u64;
        bytes[16..24].copy_from_slice(&length.to_le_bytes());
        let sum = xxh3_64(&bytes[CHECKED..]);
        bytes[SUM_AT..CHECKED].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The trie in `bytes`. Unless `trusted`, the checksum and every invariant of the content are verified first, and the bytes
    /// are those that [`Trie::to_bytes`] gives. Bytes that are trusted and wrong give wrong answers or a panic later, which
    /// [`crate::guard::run`] turns into an error. Every loop over them ends, and no buffer is larger than they or the answer.
    ///
    /// # Errors
    /// [`Error::Format`] if the bytes are foreign, of another version, truncated or damaged.
    pub fn from_bytes(bytes: &[u8], trusted: bool) -> Result<Self> {
        Self::read(bytes, None, trusted)
    }

    /// Writes the trie to `path`, atomically: a temporary file in the same directory, flushed to the disk, then renamed.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_whole(path, &self.to_bytes())
    }

    /// Reads the trie at `path`; as [`Trie::from_bytes`]. With `mmap` the file is mapped instead of read, and must not be
    /// changed or cut while the trie lives; [`Trie::save`] never does that, since it puts a new file in its place.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses, [`Error::Format`] if the file is not a trie.
    pub fn open(path: &Path, mmap: bool, trusted: bool) -> Result<Self> {
        let open = || -> io::Result<_> {
            let mut file = File::open(path)?;
            if mmap && file.metadata()?.len() > 0 {
                // SAFETY: the file is mapped read-only, and every access is bounds-checked. Whoever changes it while it is
                // mapped breaks the contract above, as with any mapped file.
                return Ok((Vec::new(), Some(Arc::new(unsafe { Mmap::map(&file) }?))));
            }
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok((bytes, None))
        };
        match open().map_err(|error| io_error(path, &error))? {
            (_, Some(map)) => Self::read(&map, Some(&map), trusted),
            (bytes, None) => Self::read(&bytes, None, trusted),
        }
    }

    fn read(bytes: &[u8], map: Option<&Arc<Mmap>>, trusted: bool) -> Result<Self> {
        let header = Header::read(bytes)?;
        if !trusted {
            let (stored, sum) = (u64_at(bytes, SUM_AT), xxh3_64(&bytes[CHECKED..]));
            if sum != stored {
                return Err(damaged(format!(
                    "the checksum is {sum:016x}, the header says {stored:016x}; the file is damaged"
                )));
            }
            header.check_gaps(bytes)?;
        }
        let mut reader = Reader {
            bytes,
            map,
            arrays: header.arrays.into_iter(),
        };
        let (layout, keys) = (header.layout, header.keys);
        let keys = match header.storage {
            Storage::Fast => Keys::Fast(Columns::take(&layout, keys, header.leading, &mut reader)?),
            Storage::Compact => Keys::Compact(Compact::take(&layout, keys, header.leading, &mut reader)?),
        };
        let shelves = Shelves::take(header.items, header.shared, &mut reader)?;
        if reader.arrays.next().is_some() {
            return Err(damaged("more arrays than this storage has".into()));
        }
        let trie = Self {
            layout,
            keys,
            shelves,
            verified: Verified(!trusted),
        };
        if !trusted {
            trie.verify()?;
        }
        Ok(trie)
    }
}

/// Writes `bytes` to `path`, whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        replace(&temporary, path)
    };
    write().map_err(|error| {
        // What is left of a failed write is of no use; that it cannot be removed changes nothing.
        let _ = std::fs::remove_file(&temporary);
        io_error(path, &error)
    })
}

/// The header without length and checksum: what precedes the arrays, of these lengths. `counts` are keys and items.
pub(super) fn header(
    layout: &SidLayout,
    storage: Storage,
    leading: u32,
    counts: [u64; 2],
    shared: bool,
    lengths: &[u64],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(MAGIC);
    u32::put_le(&[VERSION, u32::from(storage == Storage::Compact)], &mut bytes);
    u64::put_le(&[0, 0, counts[0], counts[1]], &mut bytes);
    let levels = layout.levels() as u32;
    u32::put_le(
        &[levels, u32::from(shared), lengths.len() as u32, leading],
        &mut bytes,
    );
    u32::put_le(layout.sizes(), &mut bytes);
    u64::put_le(lengths, &mut bytes);
    bytes
}

/// The arrays of a file that is being written.
#[derive(Default)]
struct Arrays {
    bytes: Vec<u8>,
    lengths: Vec<u64>,
}

impl Arrays {
    fn put<T: Number>(&mut self, numbers: &[T]) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        self.lengths.push(size_of_val(numbers) as u64);
        memory::reserve(&mut self.bytes, size_of_val(numbers));
        T::put_le(numbers, &mut self.bytes);
    }

    fn put_bits(&mut self, bits: &Bits) {
        self.put(&bits.words);
        for counts in [&bits.ranks, &bits.ones, &bits.zeros] {
            self.put(counts);
        }
    }
}

/// The arrays of a file that is being read, in order.
struct Reader<'a> {
    bytes: &'a [u8],
    map: Option<&'a Arc<Mmap>>,
    arrays: std::vec::IntoIter<Range<usize>>,
}

impl Reader<'_> {
    /// The next array.
    fn take<T: Number>(&mut self) -> Result<Array<T>> {
        let range = self
            .arrays
            .next()
            .ok_or_else(|| damaged("fewer arrays than this storage has".into()))?;
        if range.len() % size_of::<T>() != 0 {
            return Err(damaged(format!(
                "an array of {} bytes holds numbers of {}",
                range.len(),
                size_of::<T>()
            )));
        }
        Ok(match self.map {
            Some(map) => Array::mapped(map, range),
            None => Array::read(&self.bytes[range]),
        })
    }

    /// The next array, which must have `length` numbers.
    fn take_exactly<T: Number>(&mut self, what: &str, length: usize) -> Result<Array<T>> {
        let array = self.take()?;
        if array.len() != length {
            return Err(damaged(format!(
                "{what}: {} numbers, expected {length}",
                array.len()
            )));
        }
        Ok(array)
    }

    /// Bits of which `at_least` are in use.
    fn take_bits(&mut self, at_least: usize) -> Result<Bits> {
        let words: Array<u64> = self.take()?;
        let blocks = at_least.div_ceil(512).max(1);
        if words.len() != 8 * blocks {
            return Err(damaged(format!(
                "{} words of bits, expected {}",
                words.len(),
                8 * blocks
            )));
        }
        let ranks = self.take_exactly("counts of bits", blocks + 1)?;
        Ok(Bits {
            words,
            ranks,
            ones: self.take()?,
            zeros: self.take()?,
        })
    }
}

impl Columns {
    fn put(&self, arrays: &mut Arrays) -> u32 {
        arrays.put(&self.directory);
        for column in &self.tail {
            match column {
                Column::Narrow(tokens) => arrays.put(tokens),
                Column::Wide(tokens) => arrays.put(tokens),
            }
        }
        for fan in &self.fans {
            arrays.put(&fan.marks);
            arrays.put(&fan.ranks);
            arrays.put(&fan.rows);
        }
        self.head() as u32
    }

    fn take(layout: &SidLayout, keys: usize, head: u32, reader: &mut Reader<'_>) -> Result<Self> {
        if head as usize != head_levels(layout, keys) {
            return Err(damaged(format!(
                "{head} head levels, expected {}",
                head_levels(layout, keys)
            )));
        }
        let head = head as usize;
        let slots = 1_usize << (layout.total_bits() - layout.bits_below(head));
        let directory: Array<u32> = reader.take_exactly("directory", slots + 1)?;
        if directory[slots] as usize != keys {
            return Err(damaged(format!(
                "the directory ends at {}, the header says {keys} keys",
                directory[slots]
            )));
        }
        let mut tail = Vec::new();
        for &size in &layout.sizes()[head..] {
            tail.push(if size <= 256 {
                Column::Narrow(reader.take_exactly("column", keys)?)
            } else {
                Column::Wide(reader.take_exactly("column", keys)?)
            });
        }
        let mut fans = Vec::new();
        for (level, &size) in layout.sizes().iter().enumerate() {
            let (marks, ranks, rows) = (reader.take()?, reader.take()?, reader.take()?);
            let empty = level < head && rows.is_empty();
            fans.push(Fan {
                words: if empty { 0 } else { row_words(size) },
                marks,
                ranks,
                rows,
            });
        }
        Ok(Self::new(layout, head, directory, tail, fans))
    }
}

impl Compact {
    fn put(&self, arrays: &mut Arrays) -> u32 {
        arrays.put(&self.low);
        arrays.put_bits(&self.high);
        self.fans.iter().for_each(|fan| arrays.put(&fan.rows));
        self.fans.len() as u32
    }

    fn take(layout: &SidLayout, keys: usize, levels: u32, reader: &mut Reader<'_>) -> Result<Self> {
        let expected = compact::fan_levels(layout, keys);
        if levels as usize != expected {
            return Err(damaged(format!(
                "bitmaps for {levels} levels, expected {expected}"
            )));
        }
        let low_bits = compact::low_bits(layout, keys);
        let low = reader.take_exactly("low bits", compact::low_words(low_bits, keys))?;
        let high = reader.take_bits(keys + compact::high_values(layout, low_bits))?;
        if high.count_ones() != keys {
            return Err(damaged(format!(
                "{} high parts for {keys} keys",
                high.count_ones()
            )));
        }
        let mut fans = Vec::new();
        for level in 0..expected {
            let words = row_words(layout.sizes()[level]);
            let prefixes = 1_usize << (layout.total_bits() - layout.bits_below(level));
            fans.push(Fan {
                words,
                rows: reader.take_exactly("bitmaps", prefixes * words)?,
                ..Fan::default()
            });
        }
        Ok(Self::new(layout, keys as u32, low, high, fans))
    }
}

impl Shelves {
    fn put(&self, arrays: &mut Arrays) {
        if let Some(firsts) = &self.firsts {
            arrays.put_bits(firsts);
        }
        arrays.put(&self.items);
    }

    fn take(items: usize, shared: bool, reader: &mut Reader<'_>) -> Result<Self> {
        let firsts = if shared {
            Some(reader.take_bits(items)?)
        } else {
            None
        };
        Ok(Self::new(firsts, reader.take_exactly("items", items)?))
    }
}

/// The header, checked against the length of the file.
struct Header {
    layout: SidLayout,
    storage: Storage,
    keys: usize,
    items: usize,
    shared: bool,
    leading: u32,
    /// Where each array stands.
    arrays: Vec<Range<usize>>,
    /// Where the header ends.
    end: usize,
}

impl Header {
    /// Checks that all bytes between header and arrays are zero.
    fn check_gaps(&self, bytes: &[u8]) -> Result<()> {
        let mut before = self.end;
        for array in &self.arrays {
            if bytes[before..array.start].iter().any(|&byte| byte != 0) {
                return Err(damaged(format!("bytes {before} to {} are not zero", array.start)));
            }
            before = array.end;
        }
        Ok(())
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < FIXED || &bytes[..8] != MAGIC {
            return Err(damaged(
                "it does not begin as one; is it a file of another kind?".into(),
            ));
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(damaged(format!(
                "version {version}, this sidkit reads version {VERSION}; build the trie again"
            )));
        }
        let length = u64_at(bytes, 16);
        if length != bytes.len() as u64 {
            return Err(damaged(format!(
                "{} bytes long, the header says {length}; the file is truncated or damaged",
                bytes.len()
            )));
        }
        let storage = match u32_at(bytes, 12) {
            0 => Storage::Fast,
            1 => Storage::Compact,
            other => return Err(damaged(format!("storage {other}, expected 0 or 1"))),
        };
        let [levels, shared, arrays, leading] = [48, 52, 56, 60].map(|at| u32_at(bytes, at));
        let (levels, arrays) = (levels as usize, arrays as usize);
        let end = FIXED + 4 * levels.min(MAX_LEVELS) + 8 * arrays.min(bytes.len());
        if levels > MAX_LEVELS || end > bytes.len() || shared > 1 {
            return Err(damaged(format!(
                "{levels} levels and {arrays} arrays do not fit the file"
            )));
        }
        let sizes = (0..levels)
            .map(|level| u32_at(bytes, FIXED + 4 * level))
            .collect::<Vec<_>>();
        let layout = SidLayout::new(&sizes).map_err(|error| damaged(error.to_string()))?;
        let [keys, items] = [32, 40].map(|at| u64_at(bytes, at));
        if keys > items || items >= u64::from(u32::MAX) || items > length {
            return Err(damaged(format!("{keys} keys and {items} items")));
        }
        let lengths = (0..arrays).map(|array| u64_at(bytes, FIXED + 4 * levels + 8 * array));
        let arrays = places(end, lengths, bytes.len())?;
        let (keys, items, shared) = (keys as usize, items as usize, shared == 1);
        Ok(Self {
            layout,
            storage,
            keys,
            items,
            shared,
            leading,
            arrays,
            end,
        })
    }
}

/// Where arrays of these lengths stand; together they must end where the file does.
fn places(header: usize, lengths: impl Iterator<Item = u64>, total: usize) -> Result<Vec<Range<usize>>> {
    let mut at = header;
    let mut places = Vec::new();
    for length in lengths {
        let start = at.next_multiple_of(ALIGN);
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| start.checked_add(length));
        at = end
            .filter(|&end| end <= total)
            .ok_or_else(|| damaged(format!("an array of {length} bytes runs over its end")))?;
        places.push(start..at);
    }
    if at != total {
        return Err(damaged(format!("{} bytes after its last array", total - at)));
    }
    Ok(places)
}

pub(super) fn damaged(problem: String) -> Error {
    Error::Format { problem }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::read_le(&bytes[at..])
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::read_le(&bytes[at..])
}
