//! Buffers whose size a caller or a file determines: too large ones end the call instead of the process.
//!
//! The functions unwind to [`crate::guard::run`], which returns [`crate::Error::Memory`].

use std::panic::resume_unwind;

use crate::guard::NoMemory;

/// Smaller buffers are not looked at: where they cannot be allocated, nothing can.
const SMALL: usize = 1 << 20;

/// Ends the call unless a buffer of `count` values can be allocated.
pub fn check<T>(count: usize) {
    let bytes = bytes::<T>(count);
    if bytes < SMALL {
        return;
    }
    let mut room = Vec::<T>::new();
    let reserved = room.try_reserve_exact(count);
    // Without this the optimizer removes the unused allocation.
    std::hint::black_box(&room);
    if reserved.is_err() {
        fail(bytes);
    }
}

/// The number of values in `rows` rows of `columns` values; ends the call unless a buffer for them can be allocated.
#[must_use]
pub fn product<T>(rows: usize, columns: usize) -> usize {
    let count = rows.checked_mul(columns).unwrap_or_else(|| fail(usize::MAX));
    check::<T>(count);
    count
}

/// `count` times `value`.
pub(crate) fn filled<T: Clone>(value: T, count: usize) -> Vec<T> {
    check::<T>(count);
    vec![value; count]
}

/// An empty vector with room for `count` values.
pub(crate) fn with_capacity<T>(count: usize) -> Vec<T> {
    let mut values = Vec::new();
    reserve(&mut values, count);
    values
}

/// Makes room for `more` values.
pub(crate) fn reserve<T>(values: &mut Vec<T>, more: usize) {
    if more > values.capacity() - values.len() && values.try_reserve(more).is_err() {
        fail(bytes::<T>(values.len().saturating_add(more)));
    }
}

fn bytes<T>(count: usize) -> usize {
    count.saturating_mul(size_of::<T>())
}

#[cold]
fn fail(bytes: usize) -> ! {
    resume_unwind(Box::new(NoMemory(bytes)))
}
