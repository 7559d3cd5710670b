//! The child whose calls are interrupted: a signal every millisecond, whose handler does not restart them.
//!
//! ```text
//!   timer --SIGALRM--> any thread: one in fallocate on a file system in memory gets EINTR each time
//!   writers, checkpoints, backups, compactions, closings, openings: no error, nothing lost, no end of trying
//! ```

use super::ROUNDS;
use crate::lane::{lost, Tally};
use crate::process::workload::{found, imagine, vary, Owned, Plan, THREADS};
use nyro::testing::Rng;
use nyro::{Database, Options, Result};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// The role of this child.
pub const ROLE: &str = "signals";

/// Operations of a thread before the database is closed.
const OPERATIONS: u64 = 120;

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Lets the signals begin.
fn interrupt() {
    // SAFETY: zeros are a valid `sigaction` (no flags, an empty mask); the handler only adds to a number; both calls
    // read structures of ours.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as *const () as usize;
        assert_eq!(libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()), 0);
        let every = libc::timeval { tv_sec: 0, tv_usec: 1000 };
        let timer = libc::itimerval { it_interval: every, it_value: every };
        assert_eq!(libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()), 0);
    }
}

/// Whether this thread, and those that it starts from now on, get the signals.
fn take_signals(take: bool) {
    let how = if take { libc::SIG_UNBLOCK } else { libc::SIG_BLOCK };
    // SAFETY: zeros are memory for a set, which `sigemptyset` fills; the calls read and write structures of ours.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGALRM);
        assert_eq!(libc::pthread_sigmask(how, &set, std::ptr::null_mut()), 0);
    }
}

/// Runs the child.
pub fn run(orders: &str, met: &mut Tally) {
    let parts: Vec<&str> = orders.splitn(3, ' ').collect();
    let mut rng = Rng::new(parts[0].parse().expect("a number"));
    let path = Path::new(parts[2]).join("a.nyro");
    let log_max_bytes = *rng.pick(&[256 << 10, 8 << 20, 128 << 20]);
    let plan = Plan { seed: rng.next_u64(), durability: rng.below(3), log_max_bytes, ids: 400 };
    let mut threads = vec![(0, Owned::new()); THREADS as usize];
    interrupt();
    for round in 0..ROUNDS {
        take_signals(true);
        let db = fine("open", Database::open_with(&path, plan.options()));
        compare(&db, &threads);
        // By turns the writers get them, and the threads of the database alone.
        take_signals(round % 2 == 0);
        let first = round * OPERATIONS;
        std::thread::scope(|scope| {
            for thread in 1..THREADS {
                let db = &db;
                scope.spawn(move || write(db, &plan, thread, first));
            }
            write(&db, &plan, 0, first);
        });
        for (thread, (n, owned)) in threads.iter_mut().enumerate() {
            while *n < first + OPERATIONS {
                imagine(&plan, owned, thread as u64, *n);
                *n += 1;
            }
        }
        take_signals(true);
        compare(&db, &threads);
        let backup = path.with_file_name(format!("backup-{round}.nyro"));
        fine("backup", db.backup(&backup));
        fine("compact", db.compact());
        fine("close", db.close());
        let copy = fine("open", Database::open_with(&backup, Options::default()));
        compare(&copy, &threads);
        met.count("interrupted work", 1);
    }
    met.count("signals", SIGNALS.load(Ordering::Relaxed));
}

fn fine<T>(call: &str, result: Result<T>) -> T {
    result.unwrap_or_else(|e| panic!("{call}, interrupted, gave {} {e}", e.code()))
}

fn write(db: &Database, plan: &Plan, thread: u64, first: u64) {
    for n in first..first + OPERATIONS {
        fine("a write", vary(plan, db, thread, n));
        if n % 40 == 7 {
            fine("a checkpoint", db.checkpoint());
        }
    }
}

fn compare(db: &Database, threads: &[(u64, Owned)]) {
    if let Err(e) = db.verify() {
        lost(format!("verify: {e}"));
    }
    let found = found(db);
    if found.iter().zip(threads).any(|(found, (_, owned))| found != owned) {
        lost("an interrupted call lost something");
    }
}
