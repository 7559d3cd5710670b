//! Whether this process is still the one that opened a database.
//!
//! ```text
//!   process   open: remembers generation 0 ----> goes on: 0 == 0
//!      | fork
//!      +----> child: generation 1 ------------> every call: 0 != 1, the handle refuses
//! ```
//!
//! A forked child has a copy of the memory, of the descriptors and of the locks in whatever state they were,
//! and one thread. Nothing of a database that its parent opened can be used there: the child would write over
//! what the parent writes, under the parent's lock. So the child refuses, and lets everything lie where it is.
//!
//! What makes a process without the C library's `fork` (a bare `clone`) is not noticed.

use crate::error::{Error, Result};
use std::io;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::Once;

static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Called by the C library in the child, before `fork` returns there.
extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Generation of the process, from here on kept right over forks.
pub fn watch() -> Result<u64> {
    static REGISTER: Once = Once::new();
    static FAILURE: AtomicI32 = AtomicI32::new(0);
    // SAFETY: the handler is a function that lives as long as the program (the C library forgets it when it
    // unloads this library) and does nothing but add to a number, which is allowed in a forked child.
    REGISTER
        .call_once(|| FAILURE.store(unsafe { libc::pthread_atfork(None, None, Some(in_child)) }, Ordering::Relaxed));
    match FAILURE.load(Ordering::Relaxed) {
        0 => Ok(generation()),
        code => Err(Error::io("preparing for forks", io::Error::from_raw_os_error(code))),
    }
}

/// One more for each fork between the process that called [`watch`] first and this one.
#[inline]
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}
