//! What stops a long call from elsewhere.

use pyo3::prelude::*;

/// Stops the long calls that it was given to, from any thread. It can't be undone.
#[pyclass(module = "nyrodb", frozen)]
pub struct CancelToken {
    pub token: nyro_owned::CancelToken,
}

#[pymethods]
impl CancelToken {
    #[new]
    fn new() -> CancelToken {
        CancelToken { token: nyro_owned::CancelToken::new() }
    }

    /// Stops the calls at their next step.
    fn cancel(&self) {
        self.token.cancel();
    }

    /// True once ``cancel`` was called.
    #[getter]
    fn cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    fn __repr__(&self) -> &'static str {
        if self.cancelled() {
            "<nyrodb.CancelToken cancelled>"
        } else {
            "<nyrodb.CancelToken>"
        }
    }
}
