//! Memory of large arrays, on large pages where the system has them, and used again when an array is gone.
//!
//! The system clears fresh memory page by page when it is first touched, which takes longer than to copy an array into it. A
//! live catalogue replaces its arrays with every change, so the memory of those that nobody reads any more is kept for the
//! next.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use memmap2::MmapMut;

/// Smaller arrays are left to the allocator.
const LARGE: usize = 4 << 20;
/// Sizes are multiples of this, so that an array that grows a little fits into the memory of the one before.
const STEP: usize = 2 << 20;
/// Most bytes that are kept.
const KEPT: usize = 256 << 20;

static FREE: Mutex<Vec<MmapMut>> = Mutex::new(Vec::new());

/// Memory of so many bytes.
pub(crate) struct Pages {
    /// Gone only while it is dropped.
    map: Option<MmapMut>,
    bytes: usize,
}

impl Pages {
    /// So many zeros; none where they are few, or the system has no such pages.
    pub(crate) fn new(bytes: usize) -> Option<Self> {
        if !cfg!(target_os = "linux") || bytes < LARGE {
            return None;
        }
        let size = bytes.checked_next_multiple_of(STEP)?;
        let map = match used(size) {
            Some(mut map) => {
                map[..bytes].fill(0);
                map
            }
            None => fresh(size)?,
        };
        Some(Self {
            map: Some(map),
            bytes,
        })
    }
}

/// Memory that was used before; none if there is none of this size, or another thread is looking.
fn used(size: usize) -> Option<MmapMut> {
    // A process made by `fork` may never get the lock.
    let mut free = FREE.try_lock().ok()?;
    let place = free.iter().position(|map| map.len() == size)?;
    Some(free.swap_remove(place))
}

fn fresh(size: usize) -> Option<MmapMut> {
    let map = MmapMut::map_anon(size).ok()?;
    // A wish. Where it is not granted, the pages are small.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    Some(map)
}

impl Drop for Pages {
    fn drop(&mut self) {
        let Some(map) = self.map.take().filter(|map| map.len() <= KEPT) else {
            return;
        };
        let Ok(mut free) = FREE.try_lock() else { return };
        free.push(map);
        let mut kept: usize = free.iter().map(|map| map.len()).sum();
        while kept > KEPT {
            // The one that has waited longest.
            kept -= free.remove(0).len();
        }
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_ref().map_or(&[], |map| &map[..self.bytes])
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes = self.bytes;
        self.map.as_mut().map_or(&mut [], |map| &mut map[..bytes])
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.bytes)
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zero_whether_it_was_used_before_or_not() {
        for bytes in [LARGE, LARGE + 1, LARGE + STEP, LARGE] {
            let mut pages = Pages::new(bytes).unwrap();
            assert!(pages.len() == bytes && pages.iter().all(|&byte| byte == 0));
            pages.fill(7);
        }
        assert!(Pages::new(LARGE - 1).is_none() && Pages::new(usize::MAX).is_none());
    }

    #[test]
    fn memory_is_used_again() {
        // Of a size that no other test asks for; these may push it out, or hold the lock.
        let kept = (0..100).any(|_| {
            drop(Pages::new(7 * STEP));
            used(7 * STEP).is_some()
        });
        assert!(kept);
    }

    #[test]
    fn little_is_kept() {
        drop(Pages::new(2 * KEPT));
        let many: Vec<_> = (0..KEPT / LARGE + 3).map(|_| Pages::new(LARGE)).collect();
        drop(many);
        let free = FREE.lock().unwrap();
        assert!(free.iter().map(|map| map.len()).sum::<usize>() <= KEPT);
    }
}
