//! What the parent knows of one database, and what must be there after an end.
//!
//! ```text
//!   heard of a thread   17 18 19 20 21 (22)        (22): it may have been done and not been heard of
//!   commits             40 44 45  -  52
//!   the database says that its last commit is 47:  17 18 19 must be there, 20 may, 21 must not
//! ```
//!
//! A *killed* process leaves everything that was visible. A *power cut* takes what was not durable, and only the newest
//! of it: there is one number that all commits up to it are there and none beyond. What was acknowledged under `Sync`,
//! or before a `sync` that returned, is not beyond it.

use super::parent::Heard;
use super::workload::{difference, found, imagine, Owned, Plan, THREADS};
use crate::lane::lost;
use nyro::{Database, Durability, Error, Options};
use std::path::Path;
use std::time::{Duration, Instant};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Killed,
    /// Process and disk went off at one moment.
    PowerCut,
    /// The disk went off, and the process went on for a while: what it acknowledged meanwhile is not counted. A sync
    /// that is under way as ext4 goes off may say that all is well (another writer of the same pages has dropped them).
    DiskGone,
}

impl End {
    /// Of two facts, the one that holds: what was heard in time, or all.
    fn of<T>(self, in_time: T, all: T) -> T {
        if self == End::DiskGone {
            in_time
        } else {
            all
        }
    }
}

/// What is known of one database.
pub struct History {
    pub plan: Plan,
    /// For each thread: operations done, and the documents after them.
    threads: Vec<(u64, Owned)>,
    last_commit: u64,
}

/// What a check saw.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// How long opening took.
    pub opening: Duration,
    /// Operations that had been visible and are gone.
    pub gone: u64,
}

impl History {
    pub fn new(plan: Plan) -> History {
        History { plan, threads: vec![(0, Owned::new()); THREADS as usize], last_commit: 0 }
    }

    pub fn done(&self) -> Vec<u64> {
        self.threads.iter().map(|(n, _)| *n).collect()
    }

    /// Opens the database, first for reading only, then for writing, and compares it with what was heard before the
    /// end. Closes it, and goes on from what it holds.
    pub fn check(&mut self, path: &Path, heard: &Heard, end: End) -> Seen {
        let failed = |doing: &str, e: Error| -> ! { lost(format!("{doing}: {e}; {}", heard.brief())) };
        let reader = Options { read_only: true, ..self.plan.options() };
        // Who opens for writing goes on with higher commit numbers; a reader shows the last one that is there.
        let (commit, read) = match Database::open_with(path, reader) {
            Ok(db) => {
                if let Err(e) = db.verify() {
                    failed("verify, reading only", e)
                }
                let seen = (db.stats().expect("stats").commit, Some(found(&db)));
                db.close().expect("close");
                seen
            }
            // The file was being made.
            Err(_) if self.last_commit == 0 && !heard.open => (0, None),
            Err(e) => failed("opening for reading only", e),
        };
        let start = Instant::now();
        let db = Database::open_with(path, self.plan.options()).unwrap_or_else(|e| failed("opening", e));
        let opening = start.elapsed();
        if let Err(e) = db.verify() {
            failed("verify", e)
        }
        let found = found(&db);
        if read.is_some_and(|read| read != found) {
            lost(format!("a reader and a writer find two states at commit {commit}; {}", heard.brief()));
        }
        let gone = self.compare(&found, heard, commit, end);
        db.close().unwrap_or_else(|e| failed("closing", e));
        Seen { opening, gone }
    }

    /// Compares what was found at `commit` with what was heard; gives the number of operations that are gone.
    fn compare(&mut self, found: &[Owned], heard: &Heard, commit: u64, end: End) -> u64 {
        let (last, durable) = (self.last_commit, end.of(heard.in_time.0, heard.durable));
        if commit < last.max(durable) {
            let heard = heard.brief();
            lost(format!("the last commit is {commit}, after {last} found before and {durable} promised; {heard}"));
        }
        let mut gone = 0;
        for (thread, found) in found.iter().enumerate() {
            let (least, most) = self.allowed(thread, heard, commit, end);
            let (n, owned) = &mut self.threads[thread];
            let (before, told) = (*n, heard.threads[thread].len() as u64);
            while *n < before + least || (found != owned && *n < before + most) {
                imagine(&self.plan, owned, thread as u64, *n);
                *n += 1;
            }
            if found != owned {
                lost(format!(
                    "thread {thread}: {least} to {most} operations from {before} on (told of {told}) don't make the \
                     state that is found at commit {commit}: {:?}; {}",
                    difference(found, owned),
                    heard.brief()
                ));
            }
            gone += (before + told).saturating_sub(*n);
        }
        self.last_commit = commit;
        gone
    }

    /// How many of the thread's operations since the last check must be there, and may be.
    fn allowed(&self, thread: usize, heard: &Heard, commit: u64, end: End) -> (u64, u64) {
        let told = &heard.threads[thread];
        let acknowledged_is_durable = self.plan.options().durability == Durability::Sync;
        let must = |at: &usize| {
            let told = &told[*at];
            let acknowledged = end.of(told.in_time, told.acknowledged);
            let is_durable = (acknowledged && acknowledged_is_durable) || end.of(heard.in_time.1, heard.closed);
            end == End::Killed || is_durable || (told.commit != 0 && told.commit <= commit)
        };
        let least = (0..told.len()).rev().find(must).map_or(0, |at| at as u64 + 1);
        let beyond = told.iter().position(|told| told.commit > commit);
        let next = self.threads[thread].0 + told.len() as u64;
        // "Nothing was changed", or writing had stopped before.
        let refused = heard.failed.iter().any(|(t, n, code)| (*t, *n) == (thread, next) && *code != 503);
        let more = u64::from(heard.open && !heard.closed && !refused);
        let most = beyond.map_or(told.len() as u64 + more, |at| at as u64);
        if least > most {
            lost(format!(
                "thread {thread}: the database ends at commit {commit}, but {least} operations were promised: {:?}; {}",
                told.iter().rev().take(6).collect::<Vec<_>>(),
                heard.brief()
            ));
        }
        (least, most)
    }
}
