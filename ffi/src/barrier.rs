//! A fence between threads that costs nothing on one side.
//!
//! ```text
//!   often, one thread            seldom, another one
//!   A = 1                        B = 1
//!   Light::fence                 heavy()
//!   look at B                    look at A                at least one of the two sees the other's 1
//! ```
//!
//! Two full fences give that, but one in each lookup is dear: it waits until every load before it has its data, so the
//! cache misses of a lookup no longer overlap with those of the one before. With `membarrier` the seldom side has the
//! system run a full fence on every thread of the process that is running (one that is not has passed one when it was
//! switched out). To each thread that is one of two: it comes behind `A = 1`, which `heavy`'s thread then sees; or
//! before, and then the thread has not looked at `B` yet and will see it. All that `Light::fence` has left to do is to
//! keep the compiler from moving the two. Where the system has no such call, or refuses it, both sides run a full fence.

use std::io;
use std::sync::atomic::{compiler_fence, fence, Ordering};
use std::sync::OnceLock;

/// The often side, as far as this process may have it. All have the same once one has been made.
#[derive(Clone, Copy)]
pub(crate) struct Light {
    free: bool,
}

/// True if `membarrier` is granted. Decided before there is a [`Light`], so that both sides go by the same.
fn granted() -> bool {
    static GRANTED: OnceLock<bool> = OnceLock::new();
    *GRANTED.get_or_init(register)
}

impl Light {
    pub(crate) fn new() -> Light {
        Light { free: granted() }
    }

    /// The kind that needs nothing of the other side, for tests.
    #[cfg(test)]
    pub(crate) fn full() -> Light {
        Light { free: false }
    }

    /// What this thread did before is seen by a thread that has passed [`heavy`] meanwhile, or this thread sees from
    /// here on what that one did before.
    #[inline(always)]
    pub(crate) fn fence(self) {
        if self.free {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }
}

/// The other side; some microseconds. An error if the system refuses what it has granted (a filter of system calls that
/// was put in place since): then nothing is known of the other threads.
pub(crate) fn heavy() -> io::Result<()> {
    fence(Ordering::SeqCst);
    // Registering again is for a process that was forked off, should it not have inherited that.
    if granted() && !expedited() && !(register() && expedited()) {
        return Err(io::Error::last_os_error());
    }
    fence(Ordering::SeqCst);
    Ok(())
}

#[cfg(target_os = "linux")]
mod system {
    use libc::{c_int, syscall, SYS_membarrier};

    /// `MEMBARRIER_CMD_PRIVATE_EXPEDITED` and its registration, of `linux/membarrier.h`.
    const PRIVATE_EXPEDITED: c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: c_int = 1 << 4;

    fn membarrier(command: c_int) -> bool {
        // SAFETY: the call takes plain numbers and touches no memory of this process.
        unsafe { syscall(SYS_membarrier, command, 0, 0) == 0 }
    }

    pub(super) fn register() -> bool {
        membarrier(REGISTER_PRIVATE_EXPEDITED) && membarrier(PRIVATE_EXPEDITED)
    }

    pub(super) fn expedited() -> bool {
        membarrier(PRIVATE_EXPEDITED)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn register() -> bool {
        false
    }

    pub(super) fn expedited() -> bool {
        false
    }
}

use system::{expedited, register};
