//! One pool of threads for the whole crate, made on first use and safe across `fork`.
//!
//! The pool is ours alone: rayon's global pool, which a host program may use or configure, is never touched.
//! It is keyed by the process id. A child made by `fork` inherits the parent's pool as dead memory, since threads do not
//! survive a fork; the child notices the foreign id and makes a pool of its own, and leaks the parent's. The
//! pool is published through one atomic pointer and no lock, so a fork at any moment leaves nothing held.
//!
//! The calling thread always works too, so a call for one thread, or with one task, never reaches the pool.
//!
//! ```
//! let mut squares = vec![0_usize; 1000];
//! sidkit_core::pool::for_each(0, squares.chunks_mut(100).enumerate(), |(block, chunk)| {
//!     for (i, value) in chunk.iter_mut().enumerate() {
//!         *value = (block * 100 + i).pow(2);
//!     }
//! });
//! assert_eq!(squares[999], 999 * 999);
//! ```

use std::process;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::guard;

/// A pool and the process whose threads it holds.
struct Owned {
    process: u32,
    /// `None` where the system refused to start threads: then everything runs on the calling thread.
    threads: Option<ThreadPool>,
}

/// The pool of this process or of an ancestor; never freed once published.
static POOL: AtomicPtr<Owned> = AtomicPtr::new(std::ptr::null_mut());

/// Default number of threads: as many as the process may run at once.
#[must_use]
pub fn default_threads() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Hands every item of `tasks` to `work` once, on up to `threads` threads (0: [`default_threads`]).
///
/// Tasks are handed out in order, one at a time, so a task should be worth some tens of microseconds. Returns when
/// all are done. A panic in `work` is passed on to the caller after the other threads have stopped.
pub fn for_each<T: Send>(threads: usize, tasks: impl Iterator<Item = T> + Send, work: impl Fn(T) + Sync) {
    for_each_with(threads, tasks, || (), |(), task| work(task));
}

/// As [`for_each`], with a scratch value that each thread makes once with `scratch` and keeps between its tasks.
///
/// Of more threads than the pool has, or than there are tasks, the rest is not used. Between tasks, a call of [`guard::run`]
/// can be stopped.
pub fn for_each_with<T: Send, S>(
    threads: usize,
    tasks: impl Iterator<Item = T> + Send,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, T) + Sync,
) {
    let threads = if threads == 0 { default_threads() } else { threads };
    let threads = threads.min(tasks.size_hint().1.unwrap_or(usize::MAX));
    let pool = if threads > 1 {
        threads_of_this_process()
    } else {
        None
    };
    let Some(pool) = pool else {
        let mut scratch = scratch();
        for task in tasks {
            work(&mut scratch, task);
            guard::check();
        }
        return;
    };
    let flag = guard::flag();
    // The queue lives in this call only, so that no fork can leave it locked for anyone.
    let queue = Mutex::new(tasks);
    let drain = || {
        let mut scratch = scratch();
        while !guard::stopped()
            && let Some(task) = next(&queue)
        {
            work(&mut scratch, task);
        }
    };
    pool.in_place_scope(|scope| {
        for _ in 1..threads.min(pool.current_num_threads() + 1) {
            scope.spawn(|_| guard::on_behalf(flag.as_ref(), drain));
        }
        drain();
    });
    guard::check();
}

/// Runs `operation` inside the pool, so that rayon's parallel iterators and sorts within it use our threads.
pub fn install<R: Send>(operation: impl FnOnce() -> R + Send) -> R {
    match threads_of_this_process() {
        Some(pool) => pool.install(operation),
        None => operation(),
    }
}

/// The next task; a separate function, so that the lock is released before the task runs.
fn next<T>(queue: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    // A poisoned queue means that the iterator panicked; the panic is already on its way to the caller.
    queue.lock().unwrap_or_else(PoisonError::into_inner).next()
}

fn threads_of_this_process() -> Option<&'static ThreadPool> {
    let process = process::id();
    let current = POOL.load(Ordering::Acquire);
    // SAFETY: the pointer is null or came from `Box::leak` below, and what it points to is never freed or changed.
    if let Some(owned) = unsafe { current.as_ref() }
        && owned.process == process
    {
        return owned.threads.as_ref();
    }
    let made = Box::new(Owned {
        process,
        threads: start(),
    });
    let made = Box::into_raw(made);
    match POOL.compare_exchange(current, made, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: `made` was leaked two lines above, and from here on it is shared and never freed.
        Ok(_) => unsafe { &*made }.threads.as_ref(),
        Err(other) => {
            // Another thread of this process was faster.
            // SAFETY: `made` was not published, so this is its only owner.
            drop(unsafe { Box::from_raw(made) });
            // SAFETY: as above: whatever is published is never freed.
            unsafe { &*other }.threads.as_ref()
        }
    }
}

fn start() -> Option<ThreadPool> {
    ThreadPoolBuilder::new()
        // One less, since the caller works too; but a second thread even on one core, so that waiting overlaps.
        .num_threads(default_threads().saturating_sub(1).max(1))
        .thread_name(|i| format!("sidkit-{i}"))
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn every_task_is_done_once() {
        for threads in [0, 1, 2, 7] {
            let counts: Vec<_> = (0..1000).map(|_| AtomicUsize::new(0)).collect();
            for_each(threads, counts.iter(), |count| {
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        for threads in [1, 3] {
            let result = std::panic::catch_unwind(|| {
                for_each(threads, 0..100, |task| assert!(task != 50, "task 50"));
            });
            assert!(result.is_err());
        }
        every_task_is_done_once();
    }

    #[test]
    fn nested_and_concurrent_calls_finish() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| for_each(3, 0..20, |_| for_each(3, 0..20, |_| ())));
            }
        });
    }

    #[test]
    fn installed_code_runs_on_our_threads() {
        let name = install(|| std::thread::current().name().map(str::to_owned));
        assert!(name.unwrap().starts_with("sidkit-"));
    }
}
