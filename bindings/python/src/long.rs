//! Long calls: without Python's lock, told how far they are, and stopped by a token, a time limit or Ctrl-C.
//!
//! ```text
//!   call without the lock --- step --- step --- step ---> result
//!                               |        |
//!                          lock taken: signals looked at, progress(..) called; what they raise ends the call
//! ```

use crate::cancel::CancelToken;
use crate::error::OrRaise;
use crate::gil::released;
use nyro_owned::{Control, Error, Progress, Result};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::time::{Duration, Instant};

/// How often signals are looked at where nobody wants to be told of progress.
const LOOK_EACH: Duration = Duration::from_millis(20);

/// What the caller gives to a long call.
pub struct Limits<'py> {
    /// Called with a `Progress` after each step.
    pub progress: Option<Bound<'py, PyAny>>,
    /// Stops the call.
    pub cancel: Option<Bound<'py, CancelToken>>,
    /// Seconds that it may take.
    pub timeout: Option<f64>,
}

impl Limits<'_> {
    /// Runs a long call.
    pub fn run<R: Send>(self, py: Python<'_>, call: impl FnOnce(Control<'_>) -> Result<R> + Send) -> PyResult<R> {
        let deadline = self.timeout.map(deadline).transpose().or_raise(py)?;
        let given = self.cancel.map(|cancel| cancel.get().token.clone()).unwrap_or_default();
        // Our own, for what `progress` raises: the caller's may stop other calls, too.
        let token = nyro_owned::CancelToken::new();
        let progress = self.progress.map(Bound::unbind);
        let mut raised = None;
        let result = released(py, || {
            let mut looked = Instant::now();
            let tell = |step: Progress| {
                if raised.is_some() || (progress.is_none() && looked.elapsed() < LOOK_EACH) {
                    return;
                }
                looked = Instant::now();
                let told = Python::try_attach(|py| {
                    py.check_signals()?;
                    progress.as_ref().map_or(Ok(()), |progress| tell(py, progress, step))
                });
                if let Some(Err(e)) = told {
                    raised = Some(e);
                    token.cancel();
                }
            };
            let control = Control::new().cancel(&given).cancel(&token).on_progress(tell);
            call(match deadline {
                Some(deadline) => control.deadline(deadline),
                None => control,
            })
        });
        match (raised, result) {
            (Some(raised), _) => Err(raised),
            (None, result) => result.or_raise(py),
        }
    }
}

fn tell(py: Python<'_>, progress: &Py<PyAny>, step: Progress) -> PyResult<()> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class =
        CLASS.get_or_try_init(py, || PyResult::Ok(py.import("nyrodb._reports")?.getattr("Progress")?.unbind()))?;
    let step = class.call1(py, (step.phase, step.done, step.total, step.unit))?;
    progress.call1(py, (step,)).map(|_| ())
}

fn deadline(timeout: f64) -> Result<Instant> {
    let wrong = || Error::InvalidArgument("timeout must be a number of seconds, not negative".to_owned());
    let timeout = Duration::try_from_secs_f64(timeout).map_err(|_| wrong())?;
    Instant::now().checked_add(timeout).ok_or_else(wrong)
}
