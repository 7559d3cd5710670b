//! `kill -9` on a real disk: whatever moment the process dies at, what it acknowledged is there.
//!
//! ```text
//!   unit = one database, eight children
//!     child writes --SIGKILL--> files as the kill left them --+--> opened in place, compared
//!                                                             +--> a copy opened, compared; the next child recovers
//! ```
//!
//! Half of the checks are made on a copy, so that the next child opens the file as the kill left it, and some children
//! are killed while they do.

use crate::lane::{Lane, Tally};
use crate::process::history::{End, History};
use crate::process::parent::{run, Heard, Moment};
use crate::process::workload::Plan;
use crate::process::writer::Orders;
use nyro::testing::{Rng, TempDir};
use std::path::Path;
use std::time::Duration;

/// Kills of one database.
const KILLS: u64 = 8;

/// Dead processes.
pub static KILL: Lane = Lane {
    name: "kill",
    what: "processes that write to a real disk are killed at random moments",
    unit: torment,
    standard: 40,
    goal: 300,
    weight: 2,
    // Children wait for the disk, and their parents for the moment.
    jobs: 4,
    possible: || Ok(()),
    met: |tally| {
        tally.at_least(&[
            ("acknowledged", 10_000),
            ("creating", 3),
            ("recovering", 5),
            ("recovered", 50),
            ("in a checkpoint", 20),
            ("closing", 5),
            ("closed", 1),
        ])
    },
};

/// Copies the files of a database, as they are.
pub fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("the directory") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("its type").is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}

/// A moment to end a child: `opening` is how long opening took last.
pub fn moment(rng: &mut Rng, first: bool, opening: Duration, working: Duration) -> Moment {
    let part = |rng: &mut Rng, of: Duration| of.mul_f64(rng.below(1000) as f64 / 1000.0);
    match (first, rng.below(10)) {
        // The file is being made, or recovered.
        (true, 0..=4) | (_, 0..=2) => Moment::Opening(part(rng, opening)),
        (_, 3) => Moment::Closing(part(rng, Duration::from_millis(12))),
        _ => Moment::Working(part(rng, working)),
    }
}

/// One database through all its kills.
fn torment(index: u64, seed: u64, tally: &mut Tally) {
    let mut rng = Rng::new(seed);
    let dir = TempDir::new().expect("a directory");
    let log_max_bytes = *rng.pick(&[64 << 10, 256 << 10, 1 << 20]);
    let plan = Plan { seed: rng.next_u64(), durability: index % 3, log_max_bytes, ids: 40 };
    let mut history = History::new(plan);
    // How long opening took the parent last: the child's takes about as long.
    let mut opening = Duration::from_millis(6);
    let mut clean = true;
    for round in 0..KILLS {
        let moment = moment(&mut rng, round == 0, opening, Duration::from_millis(400));
        let close_after_ms = matches!(moment, Moment::Closing(_)).then(|| rng.below(200));
        let path = dir.path().join("a.nyro");
        let orders =
            Orders { path: path.to_str().expect("UTF-8").to_owned(), plan, close_after_ms, done: history.done() };
        let heard = run(&orders, moment, |process| process.kill().expect("kill"));
        tally.cases += 1;
        count(tally, &heard, clean, round == 0);
        let aside = TempDir::new().expect("a directory");
        let in_place = rng.chance(0.4);
        let looked_at = if in_place { dir.path() } else { aside.path() };
        if !in_place {
            copy(dir.path(), aside.path());
        }
        opening = history.check(&looked_at.join("a.nyro"), &heard, End::Killed).opening;
        clean = in_place;
    }
}

/// Counts what an end hit.
pub fn count(tally: &mut Tally, heard: &Heard, clean: bool, first: bool) {
    let opening = heard.opening && !heard.open;
    tally.count("creating", u64::from(opening && first));
    tally.count("recovering", u64::from(opening && !clean));
    tally.count("recovered", u64::from(heard.open && !clean));
    tally.count("in a checkpoint", u64::from(heard.in_checkpoint && !heard.closing));
    tally.count("closing", u64::from(heard.closing && !heard.closed));
    tally.count("closed", u64::from(heard.closed));
    tally.count("checkpoints", heard.checkpoints);
    tally.count("acknowledged", heard.acknowledged());
}
