//! A signal from one thread to another, given once.
//!
//! ```text
//!   waits ---- wait ------------------------+---> goes on
//!   tells ------------------- tell ---------+
//! ```
//!
//! Not `std::thread::park`: that needs the thread's own handle, which is gone while a thread, or the process, ends, when
//! a database may still be closed; and its token belongs to the thread's owner.

use crate::sync::{Condvar, Mutex, Patience};
use std::time::Duration;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Signal {
    told: Mutex<bool>,
    called: Condvar,
}

impl Signal {
    /// Gives it.
    pub fn tell(&self) {
        *self.told.lock() = true;
        self.called.notify_one();
    }

    /// Whether it was given.
    pub fn is_told(&self) -> bool {
        *self.told.lock()
    }

    /// Returns once it is given. One thread waits.
    pub fn wait(&self) {
        let mut told = self.told.lock();
        while !*told {
            self.called.wait(&mut told);
        }
    }

    /// The same, for so long at most; whether it was given.
    pub fn wait_for(&self, most: Duration) -> bool {
        let patience = Patience::new(most);
        let mut told = self.told.lock();
        while !*told {
            let left = patience.left();
            if left.is_zero() {
                return false;
            }
            // No longer at once: not every system can.
            self.called.wait_for(&mut told, left.min(Duration::from_secs(3600)));
        }
        true
    }
}
