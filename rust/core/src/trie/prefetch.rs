//! Asking for memory before it is read, so that many reads wait together.

#![expect(
    clippy::inline_always,
    reason = "what is inlined is compiled again for newer processors"
)]

/// Number of keys that take each step together: enough that one's memory has come when its turn comes again.
pub(super) const TOGETHER: usize = 64;

/// Asks for the cache line of an element that will be read soon. Nothing happens where the processor is not known to take such
/// wishes, or where there is no such element.
#[inline(always)]
pub(super) fn prefetch<T>(slice: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let place = slice.as_ptr().wrapping_add(index);
        // SAFETY: every x86-64 has the instruction, which reads nothing and takes any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, index);
}

/// Asks for the lines of `slice[start..end]`, of many lines for those where a binary search looks first.
#[inline(always)]
pub(super) fn prefetch_run<T>(slice: &[T], start: usize, end: usize) {
    let line = 64 / size_of::<T>();
    if end - start <= 4 * line {
        let mut at = start;
        while at < end {
            prefetch(slice, at);
            at += line;
        }
        // The last line, unless the run begins with a line's first element.
        prefetch(slice, end.max(1) - 1);
    } else {
        let quarter = (end - start) / 4;
        for part in 1..4 {
            prefetch(slice, start + part * quarter);
        }
    }
}
