//! The lane of crashes: a recorded run, cut at every operation, in many ways.
//!
//! ```text
//!   run --record--> replay --> after operation n --> images: lost, kept, torn, process died
//!                                                      |
//!                         open, verify, compare with the states allowed at n, go on, close, compare
//!                                                      |
//!                         (some) the recovery is recorded and cut in the same way
//! ```

use crate::history::History;
use crate::model::{contents, Model};
use crate::workload::{Counts, Parameters, Session};
use nyro::testing::{CrashPolicy, Rng, SimDisk, SimOptions};
use nyro::Database;
use std::collections::HashSet;

/// How far behind a recovery its run is cut, too.
const NESTED_OPERATIONS: u64 = 25;

/// What a lane did.
#[derive(Debug, Default)]
pub struct Tally {
    pub cases: u64,
    pub distinct: HashSet<u64>,
    seen: HashSet<(u64, (usize, usize))>,
    pub nested: u64,
    pub counts: Counts,
}

/// A run on its disk, recorded.
pub struct Recorded {
    pub disk: SimDisk,
    pub history: History,
}

/// Runs the workload on an empty disk.
pub fn record(p: &Parameters, tally: &mut Tally) -> Recorded {
    let disk = SimDisk::new(SimOptions { seed: p.seed, ..SimOptions::default() });
    disk.set_can_store(p.seed % 2 == 0);
    disk.record();
    let mut session = Session::begin(p, disk.clone(), Model::default());
    session.run_strictly(p.steps);
    if session.db.is_none() {
        session.open().unwrap();
    }
    session.compare(&session.db()).unwrap();
    session.close().unwrap();
    tally.counts.segments += session.watch.counted().1;
    let (history, counts) = session.end();
    tally.counts.add(&counts);
    Recorded { disk, history }
}

/// How an image is to be treated.
struct Case<'a> {
    p: &'a Parameters,
    what: String,
    allowed: (usize, usize),
    states: &'a [Model],
    /// Record the recovery and cut it, too.
    nest: bool,
    /// The run that was cut, for messages.
    run: &'a SimDisk,
    operation: u64,
}

impl Case<'_> {
    /// The end of the trace up to the cut.
    fn trace(&self) -> String {
        let trace = self.run.trace();
        let upto: Vec<&str> = trace.lines().take_while(|line| number(line) <= self.operation).collect();
        let failed: Vec<&str> = upto.iter().filter(|line| line.contains("FAILED")).copied().take(20).collect();
        let end = &upto[upto.len().saturating_sub(40)..];
        format!("seed {}, {}\n{}\n...\n{}", self.p.seed, self.what, failed.join("\n"), end.join("\n"))
    }
}

fn number(line: &str) -> u64 {
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Cuts the run at every operation (or every `stride`-th), with `random` random images at each.
pub fn cut_everywhere(p: &Parameters, run: &Recorded, stride: u64, random: u64, tally: &mut Tally) {
    let mut rng = Rng::new(p.seed ^ 0xC0FFEE);
    let trace = run.disk.trace();
    let meta = |line: &&str| line.contains("write     db offset 0 ") || line.contains("write     db offset 4096 ");
    let writes_meta: HashSet<u64> = trace.lines().filter(meta).map(number).collect();
    assert!(!writes_meta.is_empty(), "the trace has no write of a meta page:\n{trace}");
    let mut replay = run.disk.replay().expect("recorded");
    while let Some(operation) = replay.step() {
        if operation % stride != 0 {
            continue;
        }
        let disk = replay.disk();
        let power = run.history.after_power_cut(operation);
        let process = run.history.after_process_crash(operation);
        let mut policies = vec![CrashPolicy::LoseAll, CrashPolicy::KeepAll];
        policies.extend((0..random).map(|_| CrashPolicy::Random(rng.next_u64())));
        let pending = disk.pending() as u64;
        if pending > 0 {
            policies.push(CrashPolicy::LoseOne(rng.below(pending) as usize));
            policies.push(CrashPolicy::KeepOne(rng.below(pending) as usize));
        }
        for policy in policies {
            let image = disk.crash_image(policy);
            let nest = rng.below(400) == 0;
            let what = format!("operation {operation}, {policy:?}");
            check(
                &Case { p, what, allowed: power, states: &run.history.states, nest, run: &run.disk, operation },
                image,
                &mut rng,
                tally,
            );
        }
        // What the process left visible and not durable matters most where it wrote meta pages.
        let nest = writes_meta.contains(&operation) && rng.below(2) == 0 || rng.below(60) == 0;
        let what = format!("operation {operation}, process died");
        let image = disk.process_crash_image();
        check(
            &Case { p, what, allowed: process, states: &run.history.states, nest, run: &run.disk, operation },
            image,
            &mut rng,
            tally,
        );
    }
}

/// The state found, which must be one of those allowed.
fn matched(case: &Case<'_>, db: &Database) -> usize {
    let report = db.verify().unwrap_or_else(|e| panic!("verify: {e:?}; {}", case.trace()));
    let found = contents(db).unwrap_or_else(|e| panic!("{e:?}; {}", case.trace()));
    assert_eq!(report.documents, found.documents() as u64, "{}", case.what);
    let (low, high) = case.allowed;
    let state = (low..=high).rev().find(|state| case.states[*state] == found);
    state.unwrap_or_else(|| {
        let any = case.states.iter().rposition(|state| *state == found);
        panic!(
            "the content is none of states {low} to {high} ({any:?}); from {low}:{} from {high}:{}; {}",
            case.states[low].difference(&found),
            case.states[high].difference(&found),
            case.trace(),
        )
    })
}

/// Opens the image, compares, works on it, reopens, compares again.
fn check(case: &Case<'_>, image: SimDisk, rng: &mut Rng, tally: &mut Tally) {
    tally.cases += 1;
    let digest = image.digest();
    tally.distinct.insert(digest);
    // The same bytes with the same promise were looked at already; all of them durable, that is.
    if !tally.seen.insert((digest, case.allowed)) && !case.nest && image.pending() == 0 {
        return;
    }
    if case.nest {
        image.record();
    }
    let begun = image.operations();
    let p = Parameters { seed: rng.next_u64(), steps: 20, ..*case.p };
    let mut session = Session::begin(&p, image.clone(), Model::default());
    session.open().unwrap_or_else(|e| panic!("{e:?}; {}", case.trace()));
    let state = matched(case, &session.db());
    let opened = image.operations();
    {
        let mut core = session.core.lock().unwrap();
        core.model = case.states[state].clone();
        core.history = History::new(case.states[state].clone());
    }
    let steps = if case.nest { 5 } else { 20 };
    session.run_strictly(steps);
    if session.db.is_none() {
        session.open().unwrap();
    }
    session.close().unwrap();
    session.open().unwrap();
    let db = session.db();
    db.verify().unwrap_or_else(|e| panic!("reopened: {e:?}; {}", case.trace()));
    session.compare(&db).unwrap();
    drop(db);
    session.close().unwrap();
    let (history, _) = session.end();
    if case.nest {
        cut_recovery(case, &Recorded { disk: image, history }, begun..opened, rng, tally);
    }
}

/// Opens an image of a run that is known otherwise, and compares.
#[allow(clippy::too_many_arguments)]
pub fn look(
    p: &Parameters,
    what: &str,
    run: &SimDisk,
    states: &[Model],
    allowed: (usize, usize),
    image: SimDisk,
    rng: &mut Rng,
    tally: &mut Tally,
) {
    let operation = run.operations();
    let case = Case { p, what: what.to_owned(), allowed, states, nest: false, run, operation };
    check(&case, image, rng, tally);
}

/// The recovery, and what came after it, cut at every operation.
fn cut_recovery(case: &Case<'_>, run: &Recorded, recovery: std::ops::Range<u64>, rng: &mut Rng, tally: &mut Tally) {
    let mut replay = run.disk.replay().expect("recorded");
    while let Some(operation) = replay.step() {
        let disk = replay.disk();
        if operation > recovery.end + NESTED_OPERATIONS {
            return;
        }
        for round in 0..6 {
            let (policy, died) = match round {
                0 => (CrashPolicy::LoseAll, false),
                1 => (CrashPolicy::KeepAll, true),
                _ => (CrashPolicy::Random(rng.next_u64()), false),
            };
            let image = if died { disk.process_crash_image() } else { disk.crash_image(policy) };
            let what = format!("{}; then operation {operation}, {policy:?}, died: {died}", case.what);
            let (allowed, states) = if operation <= recovery.end && recovery.end > recovery.start {
                (case.allowed, case.states)
            } else if died {
                (run.history.after_process_crash(operation), &run.history.states[..])
            } else {
                (run.history.after_power_cut(operation), &run.history.states[..])
            };
            // Nothing was shown to anyone before the opening returned.
            tally.nested += 1;
            let deeper = Case { p: case.p, what, allowed, states, nest: false, run: &run.disk, operation };
            check(&deeper, image, rng, tally);
        }
    }
}
