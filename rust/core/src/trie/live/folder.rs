//! A live trie on the disk: a folder with a base, which is a trie file, and the journal of what happened since.
//!
//! The journal names its base, so that renaming a new journal into place is the one moment in which a compaction happens.
//! Bases that no journal names are what an interruption left, and go when the folder is next opened.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::journal::{Acknowledged, HEADER, Header, Record};
use crate::error::{Error, Result};
use crate::files::io_error;
use crate::trie::Trie;
use crate::trie::format::{SUM_AT, damaged, u64_at, write_whole};

const JOURNAL: &str = "journal";
const LOCK: &str = "lock";
/// Copy of a journal that was recovered.
const DAMAGED: &str = "journal.damaged";

/// An open directory; no other process has it open.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    header: Header,
    journal: File,
    /// Where the last whole record ends.
    end: u64,
    /// True if the journal may hold what it should not, after a write that failed and could not be undone.
    broken: bool,
    /// Held for as long as the folder is open.
    _lock: File,
}

impl Folder {
    /// Makes a folder that holds `trie` and an empty journal.
    pub(super) fn create(path: &Path, trie: &Trie, unique: bool, batches: u64) -> Result<()> {
        std::fs::create_dir_all(path).map_err(|error| io_error(path, &error))?;
        let _lock = lock(path)?;
        let journal = path.join(JOURNAL);
        if journal.exists() {
            let error = io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a live trie already; open it",
            );
            return Err(io_error(path, &error));
        }
        let header = write_base(path, trie, unique, batches)?;
        write_whole(&journal, &header.to_bytes())?;
        sync_folder(path)
    }

    /// Opens a folder and reads its journal; what is behind the whole records is cut off by [`Folder::cut`].
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<u8>)> {
        let (folder, bytes) = Self::open_with(path, Header::read)?;
        folder.tidy();
        Ok((folder, bytes))
    }

    /// Opens a folder whose journal may be damaged. Where its header is, the newest base stands for it, and the third value says so.
    pub(super) fn open_damaged(path: &Path) -> Result<(Self, Vec<u8>, bool)> {
        let mut replaced = false;
        let (folder, bytes) = Self::open_with(path, |bytes| {
            Header::read(bytes).or_else(|error| {
                replaced = true;
                newest_base(path, bytes).ok_or(error)
            })
        })?;
        Ok((folder, bytes, replaced))
    }

    fn open_with(path: &Path, read_header: impl FnOnce(&[u8]) -> Result<Header>) -> Result<(Self, Vec<u8>)> {
        let place = path.join(JOURNAL);
        // Before the lock, so that a mistaken path is not given one.
        let open = || OpenOptions::new().read(true).write(true).open(&place);
        open().map_err(|error| io_error(&place, &error))?;
        let lock = lock(path)?;
        let (journal, bytes) = open()
            .and_then(|journal| Ok((journal, std::fs::read(&place)?)))
            .map_err(|error| io_error(&place, &error))?;
        let folder = Self {
            path: path.to_owned(),
            header: read_header(&bytes)?,
            journal,
            end: bytes.len() as u64,
            broken: false,
            _lock: lock,
        };
        Ok((folder, bytes))
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// The base, if it is the one that the journal was written for.
    pub(super) fn base(&self, mmap: bool, trusted: bool) -> Result<Trie> {
        let path = base_path(&self.path, self.header.batches);
        let trie = Trie::open(&path, mmap, trusted)?;
        let sum = trie_sum(&path).map_err(|error| io_error(&path, &error))?;
        if sum == self.header.base {
            return Ok(trie);
        }
        Err(damaged(format!(
            "base and journal do not belong together: expected a base with the checksum {:016x}, got {sum:016x}. Restore both from one copy",
            self.header.base
        )))
    }

    /// Makes batch `number`, whose record ends at byte `end` of the journal, the last one.
    pub(super) fn cut(&mut self, number: u64, end: usize) -> Result<()> {
        self.end = end as u64;
        let last = Acknowledged {
            number,
            end: self.end,
        };
        let (place, bytes) = last.placed_twice(&self.header);
        let mut cut = || {
            // First, since a batch that was acknowledged may not be missing.
            self.write_at(place, &bytes)?;
            self.journal.sync_all()?;
            self.journal.set_len(self.end)?;
            self.journal.sync_all()
        };
        cut().map_err(|error| io_error(&self.path.join(JOURNAL), &error))
    }

    fn write_at(&mut self, place: u64, bytes: &[u8]) -> io::Result<()> {
        self.journal.seek(SeekFrom::Start(place))?;
        self.journal.write_all(bytes)
    }

    /// Writes batch `number` and waits until it is on the disk.
    pub(super) fn append(&mut self, record: &Record, number: u64) -> Result<()> {
        let path = self.path.join(JOURNAL);
        if self.broken {
            let why = "an earlier write failed and could not be undone; open the live trie again";
            return Err(io_error(&path, &io::Error::other(why)));
        }
        let bytes = record.to_bytes(&self.header, number);
        let mut write = || {
            self.write_at(self.end, &bytes)?;
            self.journal.sync_data()
        };
        if let Err(error) = write() {
            let undo = self
                .journal
                .set_len(self.end)
                .and_then(|()| self.journal.sync_all());
            self.broken = undo.is_err();
            return Err(io_error(&path, &error));
        }
        self.end += bytes.len() as u64;
        let last = Acknowledged {
            number,
            end: self.end,
        };
        let (place, bytes) = last.placed(&self.header);
        // The batch is on the disk. What a failure endangers is the next one.
        self.broken = self.write_at(place, &bytes).is_err();
        Ok(())
    }

    /// Keeps a copy of a damaged journal.
    pub(super) fn keep_damaged(&self, bytes: &[u8]) -> Result<()> {
        write_whole(&self.path.join(DAMAGED), bytes)
    }

    /// Puts `trie`, which holds so many batches, in the place of the base and an empty journal in that of the journal.
    pub(super) fn compact(&mut self, trie: &Trie, batches: u64) -> Result<()> {
        let place = self.path.join(JOURNAL);
        let old = self.header.batches;
        let header = write_base(&self.path, trie, self.header.unique, batches)?;
        write_whole(&place, &header.to_bytes())?;
        // From here on the new journal is the journal, so nothing may be appended to the old one.
        self.broken = true;
        sync_folder(&self.path)?;
        let open = OpenOptions::new().read(true).write(true).open(&place);
        self.journal = open.map_err(|error| io_error(&place, &error))?;
        (self.header, self.end, self.broken) = (header, HEADER as u64, false);
        // The next opening tries again.
        let _ = std::fs::remove_file(base_path(&self.path, old));
        Ok(())
    }

    /// Removes what interrupted writes have left; what cannot be removed does no harm.
    fn tidy(&self) {
        let current = base_path(&self.path, self.header.batches);
        let entries = std::fs::read_dir(&self.path).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let ours = name.starts_with("base-") || name.starts_with(JOURNAL);
            let kind = path.extension().unwrap_or_default();
            let left = kind == "tmp" || kind == "sidx" && path != current;
            if ours && left {
                let _ = std::fs::remove_file(&path);
            }
        }
    }
}

/// The header that a journal of the newest base has; `bytes` are those of the damaged journal.
fn newest_base(folder: &Path, bytes: &[u8]) -> Option<Header> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let numbers = names.filter_map(|name| name.strip_prefix("base-")?.strip_suffix(".sidx")?.parse().ok());
    let batches = numbers.max()?;
    Some(Header {
        unique: bytes.get(12) == Some(&1),
        batches,
        base: trie_sum(&base_path(folder, batches)).ok()?,
    })
}

/// Writes a base and waits until it is on the disk; returns the header of its journal.
fn write_base(folder: &Path, trie: &Trie, unique: bool, batches: u64) -> Result<Header> {
    let bytes = trie.to_bytes();
    write_whole(&base_path(folder, batches), &bytes)?;
    sync_folder(folder)?;
    Ok(Header {
        unique,
        batches,
        base: u64_at(&bytes, SUM_AT),
    })
}

fn base_path(folder: &Path, batches: u64) -> PathBuf {
    folder.join(format!("base-{batches:020}.sidx"))
}

/// The checksum in the header of a trie file.
fn trie_sum(path: &Path) -> io::Result<u64> {
    let mut header = [0; SUM_AT + 8];
    io::Read::read_exact(&mut File::open(path)?, &mut header)?;
    Ok(u64_at(&header, SUM_AT))
}

/// Makes the folder this process's alone until the file is dropped.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.map_err(|error| io_error(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Io {
            path: folder.display().to_string(),
            kind: io::ErrorKind::WouldBlock,
            code: None,
            message: "this live trie is open already, here or in another process; close it there first"
                .into(),
        }),
        Err(TryLockError::Error(error)) => Err(io_error(&path, &error)),
    }
}

/// Waits until renames within a folder are on the disk.
fn sync_folder(path: &Path) -> Result<()> {
    // Other systems cannot open a folder, and keep renames in order by themselves.
    if cfg!(unix) {
        let synced = File::open(path).and_then(|folder| folder.sync_all());
        synced.map_err(|error| io_error(path, &error))?;
    }
    Ok(())
}
