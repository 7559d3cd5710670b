//! How a look-up fails: with an error that tells everything, or with no more than "look again".
//!
//! An [`Error`] is large, so a `Result` with one goes through memory at each step. The read path is
//! therefore compiled twice from one source, which is generic over its fault:
//!
//! ```text
//!   get ----> with Slow:  results in registers; every check is made, nothing is verified or reported
//!              |
//!              +- Slow -> with Error: the same steps; verifies what is touched first, reports damage
//! ```

use crate::error::Error;

/// See the module's text.
pub trait Fault: Sized {
    /// What the slow look at the same place gives; without looking where that is not wanted now.
    fn otherwise<T>(slow: impl FnOnce() -> Result<T, Error>) -> Result<T, Self>;
}

impl Fault for Error {
    #[inline]
    fn otherwise<T>(slow: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        slow()
    }
}

/// Something unusual is in the way: a unit that was not verified yet, or damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slow;

impl Fault for Slow {
    #[inline]
    fn otherwise<T>(_: impl FnOnce() -> Result<T, Error>) -> Result<T, Slow> {
        Err(Slow)
    }
}
