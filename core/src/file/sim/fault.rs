//! Failures that a test orders: an error at an operation, or the machine going off.

use std::fmt;
use std::io;

/// The error an operation fails with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimError {
    /// The device failed.
    Eio,
    /// The disk is full.
    Enospc,
    /// A signal came, and the call is not repeated.
    Eintr,
}

impl SimError {
    pub(super) fn to_io(self) -> io::Error {
        io::Error::from_raw_os_error(match self {
            SimError::Eio => libc::EIO,
            SimError::Enospc => libc::ENOSPC,
            SimError::Eintr => libc::EINTR,
        })
    }
}

/// How long a failure lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persist {
    /// The one operation fails.
    Once,
    /// With `Eio` and `Eintr`, every operation from there on fails. With `Enospc`, every one that needs new space
    /// does (creating, growing), as on a full disk; others go on working.
    FromThenOn,
}

/// What a call gets after the simulated machine went off.
#[derive(Debug)]
struct PowerCut;

impl fmt::Display for PowerCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated machine is off")
    }
}

impl std::error::Error for PowerCut {}

pub(super) fn power_cut() -> io::Error {
    io::Error::other(PowerCut)
}

/// True for the error of every call after [`super::SimDisk::crash_at`] struck.
pub fn is_power_cut(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<PowerCut>())
}

/// All that was ordered, and what has come of it.
#[derive(Debug, Default)]
pub(super) struct Faults {
    ordered: Vec<(u64, SimError, Persist)>,
    crash: Option<(u64, bool)>,
    off: bool,
}

/// What becomes of an operation.
pub(super) enum Verdict {
    Works,
    Fails(SimError),
    /// The machine goes off during it; with `partway` a part of it still happens.
    PowerCut {
        partway: bool,
    },
}

impl Faults {
    pub(super) fn fail_at(&mut self, operation: u64, error: SimError, persist: Persist) {
        self.ordered.push((operation, error, persist));
    }

    pub(super) fn crash_at(&mut self, operation: u64, partway: bool) {
        self.crash = Some((operation, partway));
    }

    /// Fails if the machine is off.
    pub(super) fn check_power(&self) -> io::Result<()> {
        if self.off {
            Err(power_cut())
        } else {
            Ok(())
        }
    }

    pub(super) fn is_off(&self) -> bool {
        self.off
    }

    /// Decides on operation `number`.
    pub(super) fn judge(&mut self, number: u64, needs_space: bool) -> Verdict {
        if let Some((at, partway)) = self.crash {
            if number >= at {
                self.off = true;
                return Verdict::PowerCut { partway };
            }
        }
        let strikes = |&&(at, error, persist): &&(u64, SimError, Persist)| match persist {
            Persist::Once => number == at,
            Persist::FromThenOn => number >= at && (error != SimError::Enospc || needs_space),
        };
        match self.ordered.iter().find(strikes) {
            Some(&(_, error, _)) => Verdict::Fails(error),
            None => Verdict::Works,
        }
    }
}
