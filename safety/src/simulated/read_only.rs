//! The lane of read-only openings: a run cut at every operation, and each image opened for reading only.
//!
//! ```text
//!   image --> open for reading --> verify, a state allowed at the cut       not one operation on the disk
//!        \--> then open for writing --> the same state
//! ```

use super::cut::{record, Recorded};
use super::model::contents;
use super::workload::{Parameters, NAME};
use crate::lane::Tally;
use nyro::testing::{self, CrashPolicy, Rng, SimDisk, SimEnv, TestConfig};
use nyro::{Database, Error, Options, ReadMode, Result};
use std::sync::Arc;

/// What the lane met.
#[derive(Debug, Default)]
struct Met {
    images: u64,
    /// Nothing to read yet.
    unfinished: u64,
    replayed: u64,
}

fn open(p: &Parameters, image: &SimDisk, read_only: bool, read_mode: ReadMode) -> Result<Database> {
    let config = p.config();
    let config = TestConfig { options: Options { read_only, read_mode, ..config.options.clone() }, ..config };
    testing::open(Arc::new(image.clone()), Arc::new(SimEnv::new(p.seed)), NAME, &config)
}

fn check(
    p: &Parameters,
    run: &Recorded,
    what: &str,
    allowed: (usize, usize),
    image: &SimDisk,
    met: &mut Met,
    tally: &mut Tally,
) {
    let (operations, digest) = (image.operations(), image.digest());
    tally.states.insert(digest);
    let read_mode = if met.images % 2 == 0 { ReadMode::Mapped } else { ReadMode::Pread };
    met.images += 1;
    let seen = match open(p, image, true, read_mode) {
        Ok(db) => {
            db.verify().unwrap_or_else(|e| panic!("{what}: verify: {e:?}"));
            let seen = contents(&db).unwrap_or_else(|e| panic!("{what}: {e:?}"));
            met.replayed += u64::from(db.stats().unwrap().replayed_commits > 0);
            assert!(matches!(db.checkpoint(), Err(Error::ReadOnly)));
            db.close().unwrap();
            assert!(
                run.history.states[allowed.0..=allowed.1].contains(&seen),
                "{what}: none of states {allowed:?}; from the first:{}",
                run.history.states[allowed.0].difference(&seen)
            );
            Some(seen)
        }
        // The file was being made, so nothing was committed yet.
        Err(Error::NoSuchFile(_) | Error::NotADatabase { .. }) => {
            assert_eq!(allowed.0, 0, "{what}: there should be a database");
            met.unfinished += 1;
            None
        }
        Err(e) => panic!("{what}: {e:?}"),
    };
    assert_eq!(image.operations(), operations, "{what}: reading changed something");
    assert!(image.digest() == digest, "{what}: reading changed something");
    let db = open(p, image, false, read_mode).unwrap_or_else(|e| panic!("{what}: {e:?}"));
    let found = contents(&db).unwrap_or_else(|e| panic!("{what}: {e:?}"));
    let seen = seen.unwrap_or_else(|| run.history.states[0].clone());
    assert!(found == seen, "{what}: a writer finds something else:{}", seen.difference(&found));
    testing::abandon(db);
}

/// Opens what a crash at each operation leaves.
pub fn read_everywhere(p: &Parameters, stride: u64, random: u64, tally: &mut Tally) {
    let run = record(p, tally);
    let mut rng = Rng::new(p.seed ^ 0x4EAD);
    let mut met = Met::default();
    let mut replay = run.disk.replay().expect("recorded");
    while let Some(operation) = replay.step() {
        if operation % stride != 0 {
            continue;
        }
        let disk = replay.disk();
        let mut policies = vec![CrashPolicy::LoseAll, CrashPolicy::KeepAll];
        policies.extend((0..random).map(|_| CrashPolicy::Random(rng.next_u64())));
        for policy in policies {
            let what = format!("seed {}, operation {operation}, {policy:?}", p.seed);
            let allowed = run.history.after_power_cut(operation);
            check(p, &run, &what, allowed, &disk.crash_image(policy), &mut met, tally);
        }
        let what = format!("seed {}, operation {operation}, process died", p.seed);
        let allowed = run.history.after_process_crash(operation);
        check(p, &run, &what, allowed, &disk.process_crash_image(), &mut met, tally);
    }
    tally.count("read only, nothing yet", met.unfinished);
    tally.count("read only, replayed", met.replayed);
}
