//! Guarded calls: they can be stopped, and a lack of memory or a panic ends them with an error.
//!
//! Long loops of this crate call `check` between pieces of work, and large buffers are requested through
//! [`crate::memory`]. Both end a call early by unwinding, so that no function between them and [`run`] has to pass the
//! reason on. Nothing that outlives a call is changed before its last fallible step, so unwinding leaves nothing half done.
//!
//! ```
//! use sidkit_core::{Error, guard};
//!
//! assert_eq!(guard::run(None, || Ok(7)), Ok(7));
//! let failed = guard::run(None, || -> sidkit_core::Result<()> { panic!("a defect") });
//! assert!(matches!(failed, Err(Error::Internal { .. })));
//! ```

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Function that is called from time to time while a call runs, on the thread of the call; true stops it.
pub type Poll = fn() -> bool;

/// Time between two calls of a [`Poll`].
const BETWEEN_POLLS: Duration = Duration::from_millis(50);

/// The call that runs on a thread.
#[derive(Clone, Default)]
struct Call {
    poll: Option<Poll>,
    /// Set once the call is to stop; shared with the threads that work for it.
    stop: Option<Arc<AtomicBool>>,
    next_poll: Option<Instant>,
}

thread_local! {
    static CALL: RefCell<Option<Call>> = const { RefCell::new(None) };
}

/// What unwinds a call that is to stop.
struct Stopped;

/// What unwinds a call that did not get this many bytes.
pub(crate) struct NoMemory(pub(crate) usize);

/// Calls `work`. If `poll` is given, it is called about every 50 ms while `work` runs, and stops it by returning true.
///
/// # Errors
/// Those of `work`; [`Error::Stopped`] if `poll` said so, [`Error::Memory`] if a large buffer could not be allocated, and
/// [`Error::Internal`] for a panic, which is a defect of this crate.
pub fn run<T>(poll: Option<Poll>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let call = Call {
        poll,
        ..Call::default()
    };
    let _entered = Entered::new(call);
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(payload) => Err(error_of(payload.as_ref())),
    }
}

/// Keeps panics of guarded calls off the standard error stream, and notes their place for [`Error::Internal`]. For libraries
/// that are alone in using this copy of the Rust runtime, such as an extension module; other panics are printed as before.
pub fn note_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let guarded = CALL.try_with(|call| call.try_borrow().map_or(true, |call| call.is_some()));
        if !guarded.unwrap_or(false) {
            return before(info);
        }
        if let Ok(mut place) = PLACE.try_lock() {
            *place = info.location().map(ToString::to_string);
        }
    }));
}

/// Where the last panic of a guarded call was.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

fn error_of(payload: &(dyn Any + Send)) -> Error {
    if payload.is::<Stopped>() {
        return Error::Stopped;
    }
    if let Some(&NoMemory(bytes)) = payload.downcast_ref() {
        return Error::Memory { bytes };
    }
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = PLACE.try_lock().ok().and_then(|mut place| place.take());
    let message = text.unwrap_or("unknown panic");
    Error::Internal {
        message: place.map_or_else(|| message.to_owned(), |place| format!("{message} ({place})")),
    }
}

/// Ends the call if it is to stop. Costs some tens of nanoseconds.
pub(crate) fn check() {
    if stopped() {
        resume_unwind(Box::new(Stopped));
    }
}

/// A loop of short steps, which checks from time to time whether to end the call.
#[derive(Default)]
pub(crate) struct Steps(u32);

impl Steps {
    const BETWEEN_CHECKS: u32 = 1 << 10;

    /// Counts a step.
    #[inline]
    pub(crate) fn step(&mut self) {
        self.0 += 1;
        if self.0 >= Self::BETWEEN_CHECKS {
            self.0 = 0;
            check();
        }
    }

    /// Counts a step that takes as long as `count` others.
    #[inline]
    pub(crate) fn steps(&mut self, count: usize) {
        self.0 += count.min(Self::BETWEEN_CHECKS as usize) as u32;
        self.step();
    }
}

/// Sorts as `sort_unstable`, and can be stopped.
pub(crate) fn sort<T: Ord>(values: &mut [T]) {
    // So many are sorted sooner than anyone would stop it.
    if values.len() <= 1 << 20 {
        return values.sort_unstable();
    }
    let mut steps = Steps::default();
    values.sort_unstable_by(|a, b| {
        steps.step();
        a.cmp(b)
    });
}

/// True if the call is to stop; asks its poll if that is due.
pub(crate) fn stopped() -> bool {
    let due = CALL.with_borrow_mut(|call| {
        let call = call.as_mut()?;
        if call
            .stop
            .as_ref()
            .is_some_and(|stop| stop.load(Ordering::Relaxed))
        {
            return Some(None);
        }
        let poll = call.poll?;
        let now = Instant::now();
        match call.next_poll {
            Some(next) if now < next => None,
            None => {
                call.next_poll = Some(now + BETWEEN_POLLS);
                None
            }
            Some(_) => {
                call.next_poll = Some(now + BETWEEN_POLLS);
                Some(Some(poll))
            }
        }
    });
    match due {
        None => false,
        Some(None) => true,
        // Outside the borrow, since it may run anything.
        Some(Some(poll)) => {
            let stop = poll();
            if stop {
                flag().inspect(|flag| flag.store(true, Ordering::Relaxed));
            }
            stop
        }
    }
}

/// The flag that stops the call of this thread, for threads that work for it; none outside a call.
pub(crate) fn flag() -> Option<Arc<AtomicBool>> {
    CALL.with_borrow_mut(|call| {
        call.as_mut()
            .map(|call| Arc::clone(call.stop.get_or_insert_default()))
    })
}

/// Calls `work` on behalf of the call that `flag` stops.
pub(crate) fn on_behalf<T>(flag: Option<&Arc<AtomicBool>>, work: impl FnOnce() -> T) -> T {
    let Some(flag) = flag else { return work() };
    let call = Call {
        stop: Some(Arc::clone(flag)),
        ..Call::default()
    };
    let _entered = Entered::new(call);
    work()
}

/// Puts the call of this thread back when it is dropped.
struct Entered(Option<Call>);

impl Entered {
    fn new(call: Call) -> Self {
        Self(CALL.replace(Some(call)))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CALL.set(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{memory, pool};

    #[test]
    fn a_poll_stops_loops_and_threads() {
        let endless = || -> Result<()> {
            loop {
                check();
            }
        };
        assert_eq!(run(Some(|| true), endless), Err(Error::Stopped));
        for threads in [1, 2, 5] {
            let tasks = std::iter::repeat_n((), usize::MAX);
            let stopped = run(Some(|| true), || {
                pool::for_each(threads, tasks, |()| ());
                Ok(())
            });
            assert_eq!(stopped, Err(Error::Stopped));
        }
    }

    #[test]
    fn a_long_task_on_another_thread_stops() {
        let stopped = run(Some(|| true), || {
            pool::for_each(2, 0..2, |_| {
                loop {
                    check();
                }
            });
            Ok(())
        });
        assert_eq!(stopped, Err(Error::Stopped));
    }

    #[test]
    fn panics_and_missing_memory_are_errors() {
        let defect = run(None, || -> Result<()> { panic!("seven {}", 7) });
        assert!(matches!(defect, Err(Error::Internal { message }) if message.starts_with("seven 7")));
        let huge = run(None, || {
            memory::check::<u64>(usize::MAX / 16);
            Ok(())
        });
        assert!(matches!(huge, Err(Error::Memory { bytes }) if bytes == usize::MAX / 16 * 8));
        let overflow = run(None, || Ok(memory::product::<u64>(usize::MAX, 2)));
        assert_eq!(overflow, Err(Error::Memory { bytes: usize::MAX }));
    }

    #[test]
    fn outside_a_call_nothing_stops() {
        check();
        assert!(!stopped());
        assert!(flag().is_none());
    }
}
