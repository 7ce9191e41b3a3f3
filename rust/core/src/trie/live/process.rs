//! State of a live trie that each process has for itself.
//!
//! A process made by `fork` has one thread. A lock that another thread held at that moment stays locked in it for ever, so the
//! locks of one process are never used by another.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use super::Writer;
use crate::trie::Trie;

/// The state in one process, and in the one that was forked from it.
#[derive(Debug)]
pub(super) struct Process {
    id: u32,
    pub(super) current: Current,
    pub(super) writer: Mutex<Writer>,
    child: OnceLock<Box<Process>>,
}

impl Process {
    pub(super) fn new(current: Arc<Trie>, writer: Writer) -> Self {
        Self {
            id: std::process::id(),
            current: Current::new(current),
            writer: Mutex::new(writer),
            child: OnceLock::new(),
        }
    }

    /// The state in this process; if there is none yet, it begins with the snapshot of the process that this one was forked from.
    pub(super) fn this(&self) -> &Self {
        let id = std::process::id();
        let mut state = self;
        while state.id != id {
            let current = || Box::new(Self::new(state.current.get(), Writer::default()));
            state = state.child.get_or_init(current);
        }
        state
    }
}

/// The current snapshot. The place that readers use is never locked for writing: the next snapshot is put into the other place,
/// and then the places change roles.
#[derive(Debug)]
pub(super) struct Current {
    places: [RwLock<Option<Arc<Trie>>>; 2],
    used: AtomicUsize,
}

impl Current {
    fn new(trie: Arc<Trie>) -> Self {
        Self {
            places: [RwLock::new(Some(trie)), RwLock::new(None)],
            used: AtomicUsize::new(0),
        }
    }

    pub(super) fn get(&self) -> Arc<Trie> {
        loop {
            let used = self.used.load(Ordering::Acquire);
            let place = self.places[used].read().unwrap_or_else(PoisonError::into_inner);
            // None if two changes were made since the place was looked up.
            if let Some(trie) = &*place {
                return Arc::clone(trie);
            }
        }
    }

    /// Replaces the snapshot; one thread at a time may do so.
    pub(super) fn set(&self, next: Arc<Trie>) {
        let used = self.used.load(Ordering::Acquire);
        self.replace(1 - used, Some(next));
        self.used.store(1 - used, Ordering::Release);
        // Outside the lock, since giving so much memory back takes milliseconds.
        drop(self.replace(used, None));
    }

    fn replace(&self, place: usize, with: Option<Arc<Trie>>) -> Option<Arc<Trie>> {
        let mut place = self.places[place].write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *place, with)
    }
}
