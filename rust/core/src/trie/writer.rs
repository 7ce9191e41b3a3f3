//! A trie file made from keys in order, in memory that does not grow with them.
//!
//! Keys and items are spooled to files next to the result, since the directory depends on the number of distinct keys. Then each
//! array is written in one pass over them. The bytes are those of [`Trie::build`](super::Trie::build) and
//! [`Trie::save`](super::Trie::save).

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use xxhash_rust::xxh3::Xxh3;

use super::bits::Bits;
use super::build::MOST_ITEMS;
use super::columns::{Column, Columns, head_levels};
use super::format::{ALIGN, CHECKED, FIXED, SUM_AT, header};
use super::keys::Storage;
use crate::array::{Array, Number};
use crate::error::{Error, Result};
use crate::files::{io_error, replace};
use crate::guard::Steps;
use crate::memory;
use crate::sid::{Key, SidLayout};

/// Bytes that are written or read together.
const BUFFER: usize = 1 << 20;

/// Writes a trie to a file from keys in ascending order.
///
/// ```
/// use sidkit_core::trie::TrieWriter;
/// use sidkit_core::{SidLayout, Trie};
///
/// let path = std::env::temp_dir().join("sidkit-writer-example.sidx");
/// let mut writer = TrieWriter::create(&path, SidLayout::new(&[4, 4])?)?;
/// writer.push(&[1_u64, 6], None)?;
/// writer.push(&[9_u64], None)?;
/// writer.finish()?;
/// assert_eq!(Trie::open(&path, true, true)?.len(), 3);
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), sidkit_core::Error>(())
/// ```
pub struct TrieWriter<K: Key> {
    path: PathBuf,
    layout: SidLayout,
    keys: Spool,
    items: Spool,
    last: Option<(K, u32)>,
    distinct: u64,
    count: u64,
    /// One bit a slot: whether it is the first of its key's.
    firsts: Vec<u64>,
    /// One bit an item: whether it has come.
    seen: Vec<u64>,
    failed: bool,
    key: PhantomData<K>,
}

impl<K: Key> TrieWriter<K> {
    /// A writer of the file `path`, which appears when [`TrieWriter::finish`] succeeds.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses, [`Error::KeyWords`] if the layout has keys of another width.
    pub fn create(path: &Path, layout: SidLayout) -> Result<Self> {
        layout.check::<K>(&[])?;
        Ok(Self {
            keys: Spool::create(path, "keys")?,
            items: Spool::create(path, "items")?,
            path: path.to_owned(),
            layout,
            last: None,
            distinct: 0,
            count: 0,
            firsts: Vec::new(),
            seen: Vec::new(),
            failed: false,
            key: PhantomData,
        })
    }

    /// Adds keys, none smaller than those before; as [`Trie::build`](super::Trie::build), key `i` is the Semantic ID of `items[i]`, or
    /// of the item with the number of keys before it. Items of one key ascend. After an error, nothing can be added.
    ///
    /// # Errors
    /// [`Error::KeyOrder`] for a key or an item that is out of order, and those of [`Trie::build`](super::Trie::build).
    pub fn push(&mut self, keys: &[K], items: Option<&[u32]>) -> Result<()> {
        if self.failed {
            return Err(Error::KeyOrder { row: self.count });
        }
        self.failed = true;
        if self.count as usize + keys.len() > MOST_ITEMS {
            return Err(Error::TooManyItems {
                got: self.count as usize + keys.len(),
            });
        }
        self.layout.check(keys)?;
        if let Some(items) = items {
            Error::check_length("items", items.len(), keys.len())?;
        }
        let mut steps = Steps::default();
        for (row, &key) in keys.iter().enumerate() {
            steps.step();
            let item = items.map_or(self.count as u32, |items| items[row]);
            self.add(key, item)?;
        }
        self.failed = false;
        Ok(())
    }

    fn add(&mut self, key: K, item: u32) -> Result<()> {
        if self.last.is_some_and(|last| last > (key, item)) {
            return Err(Error::KeyOrder { row: self.count });
        }
        let word = item as usize / 64;
        if word >= self.seen.len() {
            let words = (word + 1).max(self.seen.len() * 5 / 4);
            let more = words - self.seen.len();
            memory::reserve(&mut self.seen, more);
            self.seen.resize(words, 0);
        }
        if self.seen[word] >> (item % 64) & 1 == 1 {
            return Err(Error::RepeatedItem { item });
        }
        self.seen[word] |= 1 << (item % 64);
        let place = self.count as usize;
        if place.is_multiple_of(64) {
            self.firsts.push(0);
        }
        if self.last.is_none_or(|last| last.0 != key) {
            self.distinct += 1;
            self.firsts[place / 64] |= 1 << (place % 64);
            self.keys.write(&key.to_u128().to_le_bytes()[..8 * K::WORDS])?;
        }
        self.items.write(&item.to_le_bytes())?;
        self.last = Some((key, item));
        self.count += 1;
        Ok(())
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses, [`Error::KeyOrder`] after a failed [`TrieWriter::push`].
    pub fn finish(mut self) -> Result<()> {
        if self.failed {
            return Err(Error::KeyOrder { row: self.count });
        }
        let mut out = Spool::create(&self.path, "new")?;
        self.write(&mut out)
            .map_err(|error| io_error(&self.path, &error))?;
        out.keep(&self.path)
    }

    fn write(&mut self, out: &mut Spool) -> io::Result<()> {
        let keys = self.distinct as usize;
        let (layout, levels) = (self.layout.clone(), self.layout.levels());
        let head = head_levels(&layout, keys);
        let shared = self.distinct < self.count;
        let arrays = 1 + (levels - head) + 3 * levels + usize::from(shared) * 4 + 1;
        let first = FIXED + 4 * levels + 8 * arrays;
        let mut file = Arrays::new(out.file.get_ref().try_clone()?, first)?;

        file.begin()?;
        self.directory(&layout, head, &mut file)?;
        for level in head..levels {
            file.begin()?;
            self.column(&layout, level, &mut file)?;
        }
        file.out.flush()?;
        let map = Arc::new(out.map()?);
        let fans = mapped(&layout, head, &map, &file.lengths, first).build_fans(&layout);
        drop(map);
        for fan in &fans {
            file.put(&fan.marks)?;
            file.put(&fan.ranks)?;
            file.put(&fan.rows)?;
        }
        if shared {
            let bits = Bits::new(std::mem::take(&mut self.firsts));
            file.put(&bits.words)?;
            for counts in [&bits.ranks, &bits.ones, &bits.zeros] {
                file.put(counts)?;
            }
        }
        file.begin()?;
        let mut items = self.items.read()?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = items.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            file.write(&buffer[..read])?;
        }
        file.out.flush()?;
        let counts = [self.distinct, self.count];
        let head = header(&layout, Storage::Fast, head as u32, counts, shared, &file.lengths);
        let length = file.at as u64;
        out.seal(&head, length)
    }

    /// For every value of the leading bits, the number of keys whose leading bits are less.
    fn directory(&mut self, layout: &SidLayout, head: usize, file: &mut Arrays) -> io::Result<()> {
        let rest = layout.bits_below(head);
        let slots = 1_usize << (layout.total_bits() - rest);
        let mut next = 0;
        let mut position = 0_u32;
        self.each_key(|key| {
            let slot = key.to_u128().checked_shr(rest).unwrap_or(0) as usize;
            while next <= slot {
                file.write(&position.to_le_bytes())?;
                next += 1;
            }
            position += 1;
            Ok(())
        })?;
        for _ in next..=slots {
            file.write(&position.to_le_bytes())?;
        }
        Ok(())
    }

    fn column(&mut self, layout: &SidLayout, level: usize, file: &mut Arrays) -> io::Result<()> {
        let bytes = if layout.sizes()[level] <= 256 { 1 } else { 2 };
        self.each_key(|key| file.write(&layout.token(key, level).to_le_bytes()[..bytes]))
    }

    fn each_key(&mut self, mut work: impl FnMut(K) -> io::Result<()>) -> io::Result<()> {
        let mut keys = self.keys.read()?;
        let mut bytes = [0; 16];
        for _ in 0..self.distinct {
            keys.read_exact(&mut bytes[..8 * K::WORDS])?;
            work(K::from_u128(u128::from_le_bytes(bytes)))?;
        }
        Ok(())
    }
}

/// The directory and the columns that were written, in the mapped file.
fn mapped(layout: &SidLayout, head: usize, map: &Arc<Mmap>, lengths: &[u64], first: usize) -> Columns {
    let mut at = first;
    let mut next = |length: u64| {
        let start = at.next_multiple_of(ALIGN);
        at = start + length as usize;
        start..at
    };
    let directory = Array::mapped(map, next(lengths[0]));
    let tail = lengths[1..].iter().zip(&layout.sizes()[head..]);
    let tail = tail
        .map(|(&length, &size)| {
            if size <= 256 {
                Column::Narrow(Array::mapped(map, next(length)))
            } else {
                Column::Wide(Array::mapped(map, next(length)))
            }
        })
        .collect();
    Columns::new(layout, head, directory, tail, Vec::new())
}

/// The arrays of the file, one after the other.
struct Arrays {
    out: BufWriter<File>,
    at: usize,
    lengths: Vec<u64>,
}

impl Arrays {
    /// No arrays yet, behind `first` bytes for the header.
    fn new(file: File, first: usize) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(BUFFER, file);
        out.write_all(&vec![0; first])?;
        Ok(Self {
            out,
            at: first,
            lengths: Vec::new(),
        })
    }

    /// Begins an array.
    fn begin(&mut self) -> io::Result<()> {
        let start = self.at.next_multiple_of(ALIGN);
        self.out.write_all(&[0; ALIGN][..start - self.at])?;
        self.at = start;
        self.lengths.push(0);
        Ok(())
    }

    /// Continues it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.at += bytes.len();
        if let Some(length) = self.lengths.last_mut() {
            *length += bytes.len() as u64;
        }
        Ok(())
    }

    /// Writes a whole array.
    fn put<T: Number>(&mut self, numbers: &[T]) -> io::Result<()> {
        self.begin()?;
        let mut bytes = Vec::with_capacity(BUFFER);
        for numbers in numbers.chunks(BUFFER / 8) {
            bytes.clear();
            T::put_le(numbers, &mut bytes);
            self.write(&bytes)?;
        }
        Ok(())
    }
}

/// A temporary file next to another, which is removed when it is dropped.
struct Spool {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Spool {
    fn create(path: &Path, purpose: &str) -> Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.{purpose}.tmp", std::process::id()));
        let path = path.with_file_name(name);
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true);
        let file = file.open(&path).map_err(|error| io_error(&path, &error))?;
        Ok(Self {
            path,
            file: BufWriter::with_capacity(BUFFER, file),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|error| io_error(&self.path, &error))
    }

    /// What was written, from the beginning.
    fn read(&mut self) -> io::Result<BufReader<File>> {
        self.file.flush()?;
        let mut file = self.file.get_ref().try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(BufReader::with_capacity(BUFFER, file))
    }

    fn map(&mut self) -> io::Result<Mmap> {
        self.file.flush()?;
        // SAFETY: the file is ours alone, and is not written to where it is read while the map lives.
        unsafe { Mmap::map(self.file.get_ref()) }
    }

    /// Puts the header in place, with the length and the checksum of everything.
    fn seal(&mut self, header: &[u8], length: u64) -> io::Result<()> {
        self.file.flush()?;
        let mut file = self.file.get_ref();
        file.seek(SeekFrom::Start(0))?;
        let mut header = header.to_vec();
        header[16..24].copy_from_slice(&length.to_le_bytes());
        file.write_all(&header)?;
        let mut sum = Xxh3::new();
        let mut buffer = vec![0; BUFFER];
        file.seek(SeekFrom::Start(CHECKED as u64))?;
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            sum.update(&buffer[..read]);
        }
        file.seek(SeekFrom::Start(SUM_AT as u64))?;
        file.write_all(&sum.digest().to_le_bytes())?;
        file.sync_all()
    }

    /// Gives the file its name.
    fn keep(self, path: &Path) -> Result<()> {
        replace(&self.path, path).map_err(|error| io_error(path, &error))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // After `keep`, or where the system refuses, there is nothing to remove.
        let _ = fs::remove_file(&self.path);
    }
}
