//! Lanes with real processes: this program again, as a child that writes to a real file and says what was acknowledged.
//!
//! ```text
//!   parent (the unit)                              child (role and orders in a variable)
//!     start ------------------------------------->  open, write with several threads, checkpoint, close
//!     hear "did 2 17 <commit>" <----- pipe --------  each acknowledgement before that thread's next write
//!     end it at a random moment
//!     open, verify, compare with History             thread 2 did 17 or 18 operations, never 16
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | `workload` | operations as a function of seed, thread and number alone; what a database holds of them |
//! | `writer` | the child |
//! | `parent` | starts one, listens, ends it at a moment |
//! | `history` | what must be there afterwards |
//! | `volume` | file systems of our own: an image on a loop device, memory |

pub mod history;
pub mod parent;
pub mod volume;
pub mod workload;
pub mod writer;

use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, Stdio};

/// The variable that makes this program a child: its role, a space, its orders.
const CHILD: &str = "NYRO_SAFETY_CHILD";

/// The role and the orders, if this process is a child.
pub fn ordered() -> Option<(String, String)> {
    let text = std::env::var(CHILD).ok()?;
    // SAFETY: asks the system to end this process together with its parent; no memory is passed.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
    let (role, orders) = text.split_once(' ').unwrap_or((&text, ""));
    Some((role.to_owned(), orders.to_owned()))
}

/// This program as a child, its output in a pipe.
pub fn command(role: &str, orders: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(CHILD, OsString::from(format!("{role} {orders}"))).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// In a child: one line in one write.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that is gone is no reason to go on.
    if out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(3);
    }
}
