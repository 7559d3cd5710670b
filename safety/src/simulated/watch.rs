//! What looks on during all runs: commits made from inside a checkpoint, and rules about every write.
//!
//! ```text
//!   checkpoint --> write pages --> sync --> meta A --> sync --> meta B --> sync
//!                       |            |         |         |         |         |
//!                    commits      commits   commits   commits   commits   commits
//! ```
//!
//! **No page that a durable checkpoint reaches is written.** After each sync the meta pages are read from
//! what would survive a power cut, and the used bits of their free-space chunk are taken as forbidden.

use super::workload::{commit, Core, NAME};
use nyro::testing::{Observer, SimDisk};
use nyro::Database;
use std::sync::{Arc, Mutex};

const PAGE: usize = 4096;
/// Places in a meta page and in a chunk of the free space, as the file format has them.
const SEQUENCE_AT: usize = 64;
const SPACE_AT: usize = 168;
const BITS_AT: usize = 64;
const BITS: usize = 16_384;

/// See the module's text.
pub struct Watch {
    /// None once the run is over: the disk holds its observer, and this the disk.
    parts: Mutex<Option<Parts>>,
    /// The database during a checkpoint.
    armed: Mutex<Option<(Database, u64)>>,
    rules: Mutex<Rules>,
}

#[derive(Clone)]
struct Parts {
    disk: SimDisk,
    core: Arc<Mutex<Core>>,
}

#[derive(Default)]
struct Rules {
    metas: Vec<u8>,
    forbidden: Vec<u8>,
    protected: u64,
    segments: u64,
}

impl Watch {
    pub fn new(disk: SimDisk, core: Arc<Mutex<Core>>) -> Arc<Watch> {
        let rules = Mutex::new(Rules::default());
        let watch = Watch { parts: Mutex::new(Some(Parts { disk, core })), armed: Mutex::new(None), rules };
        watch.look_at_metas();
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

    /// Takes the used bits of the durable checkpoints.
    fn look_at_metas(&self) {
        let Some(parts) = self.parts.lock().unwrap().clone() else { return };
        let Some(file) = parts.disk.durable(NAME) else { return };
        let mut rules = self.rules.lock().unwrap();
        if file.len() < 2 * PAGE || rules.metas == file[..2 * PAGE] {
            return;
        }
        rules.metas = file[..2 * PAGE].to_vec();
        rules.forbidden = vec![0; BITS / 8];
        for slot in 0..2 {
            let meta = &file[slot * PAGE..][..PAGE];
            let sequence = u64::from_le_bytes(meta[SEQUENCE_AT..][..8].try_into().unwrap());
            let mut chunk = [0; 8];
            chunk[..6].copy_from_slice(&meta[SPACE_AT..][..6]);
            let at = u64::from_le_bytes(chunk) as usize * PAGE;
            // The first meta pages are those of a file still being made.
            if &meta[..6] != b"NyroDB" || sequence <= 1 || at + PAGE > file.len() {
                continue;
            }
            for (bits, byte) in rules.forbidden.iter_mut().zip(&file[at + BITS_AT..][..BITS / 8]) {
                *bits |= byte;
            }
            rules.protected += 1;
        }
    }

    /// How often the forbidden pages were taken anew, and how many log segments were begun.
    pub fn counted(&self) -> (u64, u64) {
        let rules = self.rules.lock().unwrap();
        (rules.protected, rules.segments)
    }
}

impl Observer for Watch {
    fn before_write(&self, name: &str, offset: u64, len: u64) {
        if name != NAME {
            self.rules.lock().unwrap().segments += u64::from(offset == 0 && len < PAGE as u64);
            return;
        }
        {
            let rules = self.rules.lock().unwrap();
            for page in (offset / PAGE as u64).max(2)..(offset + len).div_ceil(PAGE as u64) {
                let byte = rules.forbidden.get(page as usize / 8).copied().unwrap_or(0);
                assert!(byte >> (page % 8) & 1 == 0, "page {page} is written, and a durable checkpoint reaches it");
            }
        }
        self.commit_inside();
    }

    fn after_sync(&self, name: &str) {
        if name == NAME {
            self.look_at_metas();
            self.commit_inside();
        }
    }
}
