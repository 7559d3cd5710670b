//! Orders of events that broke earlier designs, here or elsewhere, tried again and again.
//!
//! ```text
//!   rot       crash image, one bit turned    --> reported, or the content is one that was allowed
//!   stricter  Manual, killed, opened in Sync --> cut everywhere: what the first process showed stays
//!   moved     the data file without its log  --> an error, never an older state
//!   dropped   a large collection is dropped, and freed by and by --> cut everywhere
//! ```
//!
//! Others are in all runs: a sync of the log that fails, then a recovery from what the cache kept, cut again
//! (`errors`); a meta page written and not synced, reopened, cut (`nested`); a frame refused by a full disk, with later
//! commits built on it (`errors`); a duplicate that rests on a commit whose sync fails (`How::Ahead`); a cursor across
//! compactions (`Held`).

use super::cut::{self, Cutting, Recorded};
use super::model::{contents, Change, How, Model, Plan};
use super::workload::{Parameters, Session, NAME};
use crate::lane::{lost, Tally};
use nyro::testing::{self, CrashPolicy, Rng, SimDisk, SimEnv, SimOptions};
use nyro::{Database, Durability, Error, Id};
use std::sync::Arc;

const PAGE: u64 = 4096;

fn open(p: &Parameters, disk: &SimDisk) -> nyro::Result<Database> {
    testing::open(Arc::new(disk.clone()), Arc::new(SimEnv::new(p.seed)), NAME, &p.config())
}

/// One bit of what a crash left is turned.
pub fn rot(p: &Parameters, tally: &mut Tally) {
    let run = cut::record(p, tally);
    let mut rng = Rng::new(p.seed ^ 0x2077);
    let mut replay = run.disk.replay().expect("recorded");
    while let Some(operation) = replay.step() {
        for _ in 0..4 {
            let (image, (low, high), what) = match rng.below(3) {
                0 => {
                    let allowed = run.history.after_process_crash(operation);
                    (replay.disk().process_crash_image(), allowed, "the process died".to_owned())
                }
                n => {
                    let policy = if n == 1 { CrashPolicy::LoseAll } else { CrashPolicy::Random(rng.next_u64()) };
                    let allowed = run.history.after_power_cut(operation);
                    (replay.disk().crash_image(policy), allowed, format!("{policy:?}"))
                }
            };
            let Some((file, offset)) = somewhere(&image, &mut rng) else { continue };
            image.flip_bit(&file, offset, rng.below(8) as u8);
            tally.states.insert(image.digest());
            // A commit that nothing behind it claims looks like the torn end of the log.
            let unclaimed = if file == NAME { 0 } else { claimed_late(p) };
            let allowed = (low.saturating_sub(unclaimed), high);
            let what = format!("workload {p:?}, operation {operation}, {what}, {file} at {offset}");
            look(p, &run, &image, allowed, &what, tally);
        }
    }
}

/// How many acknowledged commits at the end of the log may have no claim behind them.
fn claimed_late(p: &Parameters) -> usize {
    match p.durability {
        Durability::Sync => 1,
        _ => usize::MAX,
    }
}

/// A byte of a file: of the meta pages, of any other page, or of the log.
fn somewhere(image: &SimDisk, rng: &mut Rng) -> Option<(String, u64)> {
    let names = image.file_names();
    let file = names.get(rng.below(names.len().max(1) as u64) as usize)?.clone();
    let length = image.read_file(&file).len() as u64;
    let at = match rng.below(4) {
        0 if file == NAME => rng.below(2 * PAGE),
        1 => rng.below(600),
        _ => rng.below(length.max(1)),
    };
    (at < length).then_some((file, at))
}

fn look(p: &Parameters, run: &Recorded, image: &SimDisk, allowed: (usize, usize), what: &str, tally: &mut Tally) {
    let db = match open(p, image) {
        Ok(db) => db,
        Err(
            Error::Corrupt(_) | Error::LogMissing { .. } | Error::NotADatabase { .. } | Error::UnknownFormat { .. },
        ) => {
            return tally.count("flips reported", 1);
        }
        Err(e) => lost(format!("{what}: {e:?}")),
    };
    match db.verify().and_then(|_| contents(&db)) {
        Err(Error::Corrupt(_)) => tally.count("flips reported", 1),
        Err(e) => lost(format!("{what}: {e:?}")),
        Ok(found) => {
            if !run.history.states[allowed.0..=allowed.1].contains(&found) {
                let any = run.history.states.iter().position(|state| *state == found);
                let difference = run.history.states[allowed.1].difference(&found);
                lost(format!("{what}: none of states {allowed:?} ({any:?}), and no error; from the last:{difference}"));
            }
            tally.count("flips without effect, or healed", 1);
        }
    }
    testing::abandon(db);
}

/// A process that does not sync is killed; the next one does, and is cut.
pub fn stricter(p: &Parameters, tally: &mut Tally) {
    let manual = Parameters { durability: Durability::Manual, ..*p };
    let disk = SimDisk::new(SimOptions { seed: p.seed, ..SimOptions::default() });
    let mut first = Session::begin(&manual, disk.clone(), Model::default());
    first.run_strictly(p.steps / 2);
    if first.db.is_none() {
        first.reopen().unwrap_or_else(|e| lost(format!("{e:?}")));
    }
    // What unsynced frames there are now are all that holds these commits.
    first.run_commits(4);
    let shown = first.core.lock().unwrap().model.clone();
    first.end();
    let image = disk.process_crash_image();
    let mut second = Session::begin(p, image.clone(), shown.clone());
    second.open().unwrap_or_else(|e| lost(format!("{e:?}")));
    second.compare(&second.db()).unwrap_or_else(|e| lost(format!("{e:?}")));
    // Only from here on the promise holds: what recovery has shown is durable.
    image.record();
    second.promise();
    second.run_strictly(p.steps / 2);
    let (history, counts) = second.end();
    counts.tell(tally);
    if image.trace().contains("write     db offset 0 ") {
        cut::everywhere(p, &Recorded { disk: image, history }, Cutting { stride: 1, random: 3, nest: None }, tally);
    }
}

/// The data file without its log: an error where the log is needed, and the whole content where it is not.
pub fn moved(p: &Parameters, tally: &mut Tally) {
    let run = cut::record(p, tally);
    let mut replay = run.disk.replay().expect("recorded");
    while let Some(operation) = replay.step() {
        let image = replay.disk().process_crash_image();
        let names = image.file_names();
        if !names.iter().any(|name| name == NAME) || names.iter().all(|name| name == NAME) {
            continue;
        }
        let alone = SimDisk::from_files(SimOptions::default(), [(NAME.to_owned(), image.read_file(NAME))]);
        tally.states.insert(alone.digest());
        let (low, high) = run.history.after_process_crash(operation);
        match open(p, &alone) {
            Ok(db) => {
                let found = contents(&db).unwrap_or_else(|e| lost(format!("operation {operation}: {e:?}")));
                if !run.history.states[low..=high].contains(&found) {
                    lost(format!("workload {p:?}, operation {operation}: an older state is shown without the log"));
                }
                testing::abandon(db);
            }
            Err(Error::LogMissing { .. }) => tally.count("logs missed", 1),
            // The file was being made.
            Err(Error::NotADatabase { .. } | Error::Corrupt(_)) if high == 0 => {}
            Err(e) => lost(format!("workload {p:?}, operation {operation}: {e:?}")),
        }
    }
}

/// A collection of many pages is dropped, and freed in slices, while others are written.
pub fn dropped(p: &Parameters, tally: &mut Tally) {
    let disk = SimDisk::new(SimOptions { seed: p.seed, ..SimOptions::default() });
    let mut session = Session::begin(p, disk.clone(), Model::default());
    session.open().unwrap_or_else(|e| lost(format!("{e:?}")));
    for part in 0..6u64 {
        let ids = (part * 60..(part + 1) * 60).map(Id::from);
        let puts = ids.map(|id| {
            let bytes = if part == 5 { 6000 } else { 150 };
            let document = super::model::document(&id, p.seed, if part < 5 { bytes } else { bytes / 10 });
            Change::Put { to: "large".to_owned(), id, document }
        });
        let plan = Plan { how: How::Many, changes: puts.collect() };
        session.commit(&plan).unwrap_or_else(|e| lost(format!("{e:?}")));
    }
    session.checkpoint(Database::checkpoint).unwrap_or_else(|e| lost(format!("{e:?}")));
    session.promise();
    let first = session.core.lock().unwrap().model.clone();
    disk.record();
    session.core.lock().unwrap().history = super::history::History::new(first);
    let drop = Plan { how: How::One, changes: vec![Change::Drop("large".to_owned())] };
    session.commit(&drop).unwrap_or_else(|e| lost(format!("{e:?}")));
    for _ in 0..10 {
        session.run_commits(1);
        session.checkpoint(Database::checkpoint).unwrap_or_else(|e| lost(format!("{e:?}")));
        testing::step(&session.db()).unwrap_or_else(|e| lost(format!("{e:?}")));
    }
    let (history, counts) = session.end();
    counts.tell(tally);
    cut::everywhere(p, &Recorded { disk, history }, Cutting { stride: 1, random: 2, nest: None }, tally);
}
