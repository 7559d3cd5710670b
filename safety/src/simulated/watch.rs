//! What looks on during all runs: commits made from inside a checkpoint, and rules about every write.
//!
//! ```text
//!   checkpoint --> write pages --> sync --> meta A --> sync --> meta B --> sync
//!                       |            |         |         |         |         |
//!                    commits      commits   commits   commits   commits   commits
//! ```
//!
//! The rules are those of `rules`.

use super::workload::{commit, Core, NAME};
use crate::rules::Rules;
use nyro::testing::{Observer, SimDisk};
use nyro::Database;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// See the module's text.
pub struct Watch {
    /// None once the run is over: the disk holds its observer, and this the disk.
    parts: Mutex<Option<Parts>>,
    /// The database during a checkpoint.
    armed: Mutex<Option<(Database, u64)>>,
    rules: Mutex<Rules>,
    segments: AtomicU64,
}

#[derive(Clone)]
struct Parts {
    disk: SimDisk,
    core: Arc<Mutex<Core>>,
}

impl Watch {
    pub fn new(disk: SimDisk, core: Arc<Mutex<Core>>) -> Arc<Watch> {
        let mut rules = Rules::new(NAME);
        rules.look(&disk);
        let watch = Watch {
            parts: Mutex::new(Some(Parts { disk, core })),
            armed: Mutex::new(None),
            rules: Mutex::new(rules),
            segments: AtomicU64::new(0),
        };
        Arc::new(watch)
    }

    /// From here on commits are made from inside what the database does.
    pub fn arm(&self, db: &Database) {
        *self.armed.lock().unwrap() = Some((db.clone(), 0));
    }

    /// No more; gives how many there were.
    pub fn disarm(&self) -> u64 {
        self.armed.lock().unwrap().take().map_or(0, |(_, commits)| commits)
    }

    /// Ends the watch.
    pub fn forget(&self) {
        *self.parts.lock().unwrap() = None;
    }

    fn commit_inside(&self) {
        let Some(parts) = self.parts.lock().unwrap().clone() else { return };
        // Taken: what the commit itself writes makes no further ones.
        let Some((db, mut commits)) = self.armed.lock().unwrap().take() else { return };
        let plan = {
            let mut core = parts.core.lock().unwrap();
            (core.rng.below(3) == 0 && commits < 6 && !core.stopped).then(|| core.plan())
        };
        if let Some(plan) = plan {
            // A failure is noted in the history like any other.
            match commit(&db, &parts.core, &parts.disk, &plan) {
                Ok(()) => commits += 1,
                Err(_) => parts.core.lock().unwrap().counts.failures += 1,
            }
        }
        *self.armed.lock().unwrap() = Some((db, commits));
    }

    fn disk(&self) -> Option<SimDisk> {
        self.parts.lock().unwrap().as_ref().map(|parts| parts.disk.clone())
    }

    /// The rules, for what only the workload knows.
    pub fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap()
    }

    /// How many log segments were begun.
    pub fn segments(&self) -> u64 {
        self.segments.load(Ordering::Relaxed)
    }
}

impl Observer for Watch {
    fn before_write(&self, name: &str, offset: u64, data: &[u8]) {
        if name != NAME {
            let begins = offset == 0 && data.len() < 4096;
            self.segments.fetch_add(u64::from(begins), Ordering::Relaxed);
            return;
        }
        if let Some(disk) = self.disk() {
            self.rules().before_write(&disk, offset, data);
            self.commit_inside();
        }
    }

    fn before_truncate(&self, name: &str, len: u64) {
        if let (true, Some(disk)) = (name == NAME, self.disk()) {
            self.rules().before_truncate(&disk, len);
        }
    }

    fn after_sync(&self, name: &str) {
        if let (true, Some(disk)) = (name == NAME, self.disk()) {
            self.rules().look(&disk);
            self.commit_inside();
        }
    }
}
