//! How long calls tell how far they are, and how they are stopped.
//!
//! ```text
//!   caller   Control { progress callback, cancel token, deadline }
//!                 |                 ^ set from any thread
//!   long call ----+---- step, step, step ...   each step: tell, then look whether to go on
//! ```
//!
//! A call that is stopped gives [`Error::Cancelled`] or [`Error::DeadlineExceeded`] and leaves what was there
//! as its documentation says, never half done.

use crate::error::{Error, Result};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Instant;

/// How far a long call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done, in a word or two.
    pub phase: &'static str,
    /// How much of this phase is done, in `unit`s.
    pub done: u64,
    /// How much there is to do, 0 where that is not known. It may change while the phase goes on.
    pub total: u64,
    /// What is counted: `"pages"`, `"bytes"`, `"documents"`, `"keys"`.
    pub unit: &'static str,
}

impl Progress {
    pub(crate) fn new(phase: &'static str, done: u64, total: u64, unit: &'static str) -> Progress {
        Progress { phase, done, total, unit }
    }
}

/// Stops a long call from another thread. Clones are the same token.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that stops nothing yet.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Stops the calls that were given this token, at their next step. It can't be undone.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// True once [`CancelToken::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What a long call is given by its caller: whom to tell, and when to stop. [`Control::new`] tells nobody and
/// never stops.
///
/// ```
/// use nyro::{CancelToken, Control};
/// let token = CancelToken::new();
/// let control = Control::new().on_progress(|p| eprintln!("{} {}/{}", p.phase, p.done, p.total)).cancel(&token);
/// # drop(control);
/// ```
#[derive(Default)]
pub struct Control<'a> {
    progress: Option<Box<dyn FnMut(Progress) + 'a>>,
    /// Any of them stops the call.
    cancel: Vec<CancelToken>,
    deadline: Option<Instant>,
}

impl fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Control { progress, cancel, deadline } = self;
        let mut out = f.debug_struct("Control");
        out.field("progress", &progress.is_some()).field("cancel", cancel).field("deadline", deadline).finish()
    }
}

impl<'a> Control<'a> {
    /// Tells nobody, never stops.
    pub fn new() -> Control<'a> {
        Control::default()
    }

    /// Calls `tell` after each step, on the thread that does the work. It must return soon.
    #[must_use]
    pub fn on_progress(self, tell: impl FnMut(Progress) + 'a) -> Control<'a> {
        Control { progress: Some(Box::new(tell)), ..self }
    }

    /// Stops with [`Error::Cancelled`] once `token` is cancelled. Given several times, each of the tokens stops it.
    #[must_use]
    pub fn cancel(mut self, token: &CancelToken) -> Control<'a> {
        self.cancel.push(token.clone());
        self
    }

    /// Stops with [`Error::DeadlineExceeded`] once this moment has passed.
    #[must_use]
    pub fn deadline(self, at: Instant) -> Control<'a> {
        Control { deadline: Some(at), ..self }
    }

    /// A step is done: tells, and says whether to go on.
    pub(crate) fn step(&mut self, progress: Progress) -> Result<()> {
        if let Some(tell) = &mut self.progress {
            tell(progress);
        }
        self.check()
    }

    /// Says whether to go on.
    pub(crate) fn check(&self) -> Result<()> {
        if self.cancel.iter().any(CancelToken::is_cancelled) {
            return Err(Error::Cancelled);
        }
        if self.deadline.is_some_and(|at| Instant::now() >= at) {
            return Err(Error::DeadlineExceeded);
        }
        Ok(())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_to_stop_by_its_token_or_by_the_time() {
        let (token, mut told) = (CancelToken::new(), Vec::new());
        let mut control = Control::new().on_progress(|p| told.push(p.done)).cancel(&token);
        assert!(control.step(Progress::new("work", 1, 2, "pages")).is_ok());
        token.clone().cancel();
        assert!(matches!(control.step(Progress::new("work", 2, 2, "pages")), Err(Error::Cancelled)));
        drop(control);
        assert_eq!(told, [1, 2]);
        assert!(matches!(Control::new().deadline(Instant::now()).check(), Err(Error::DeadlineExceeded)));
        assert!(Control::new().check().is_ok());
    }
}
