//! A recorded run, cut at every operation, in many ways.
//!
//! ```text
//!   run --record--> replay --> after operation n --> images: lost, kept, torn, process died
//!                                                      |
//!                         open, verify, compare with the states allowed at n, go on, close, compare
//!                                                      |
//!                         (nested) the recovery is recorded and cut in the same way, and so on
//! ```

use super::history::History;
use super::model::{contents, Model};
use super::workload::{Parameters, Session, NAME};
use crate::lane::{lost, Tally};
use nyro::testing::{CrashPolicy, Rng, SimDisk, SimOptions};
use nyro::Database;
use std::collections::HashSet;
use std::ops::Range;

/// How a run is cut.
#[derive(Debug, Clone, Copy)]
pub struct Cutting {
    /// Only behind each so many operations.
    pub stride: u64,
    /// Random images at each place, beside the enumerated ones.
    pub random: u64,
    /// Look only at one image in so many, cut its recovery, and count what that gives.
    pub nest: Option<u64>,
}

/// At one place at most so many changes that are not durable are kept alone, lost alone, and torn alone; fewer where
/// recoveries are cut, of which there are many.
const ONE_BY_ONE: u64 = 24;
const ONE_BY_ONE_NESTED: u64 = 4;

/// How far behind a recovery its run is cut, too.
const BEHIND_RECOVERY: u64 = 25;

/// Steps on each image: more than twenty operations.
const STEPS: usize = 10;

/// One in so many recoveries of recoveries is cut, too.
const DEEPER: u64 = 250;

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
    tally.count("segments", session.watch.segments());
    tally.count("meta pages checked", session.watch.rules().metas_checked);
    let (history, counts) = session.end();
    counts.tell(tally);
    tally.count("bytes of files after runs", disk.read_file(NAME).len() as u64);
    tally.count("runs", 1);
    Recorded { disk, history }
}

/// How an image is to be treated.
struct Case<'a> {
    p: &'a Parameters,
    what: String,
    /// The oldest and the newest state allowed.
    allowed: (usize, usize),
    /// The oldest state allowed if the power is cut before the opening returns.
    promised: usize,
    states: &'a [Model],
    /// The last commit number that somebody was told of.
    given_out: u64,
    /// Count what a cut of its recovery gives; how deep it lies.
    nest: bool,
    depth: u32,
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
        format!("workload {:?}, {}\n{}\n...\n{}", self.p, self.what, failed.join("\n"), end.join("\n"))
    }
}

fn number(line: &str) -> u64 {
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// The operations that write a meta page.
fn writes_of_metas(run: &SimDisk) -> HashSet<u64> {
    let trace = run.trace();
    let meta = |line: &&str| line.contains("write     db offset 0 ") || line.contains("write     db offset 4096 ");
    trace.lines().filter(meta).map(number).collect()
}

/// All ways in which the power may go at this place that are tried: everything lost or kept, each change that is
/// not durable kept alone and lost alone, and random ones, as many as there is to choose from.
fn policies(pending: u64, one_by_one: u64, random: u64, rng: &mut Rng) -> Vec<CrashPolicy> {
    let mut policies = vec![CrashPolicy::LoseAll, CrashPolicy::KeepAll];
    let random = match pending {
        0 => return vec![CrashPolicy::LoseAll],
        1 | 2 => random.div_ceil(3),
        3..8 => random,
        _ => 2 * random,
    };
    let first = rng.below(pending.saturating_sub(one_by_one) + 1);
    for change in first..pending.min(first + one_by_one) {
        policies.push(CrashPolicy::LoseOne(change as usize));
        policies.push(CrashPolicy::KeepOne(change as usize));
        policies.push(CrashPolicy::TearOne(change as usize, rng.next_u64()));
    }
    policies.extend((0..random).map(|_| CrashPolicy::Random(rng.next_u64())));
    policies
}

/// Cuts the run at every operation.
pub fn everywhere(p: &Parameters, run: &Recorded, how: Cutting, tally: &mut Tally) {
    let mut rng = Rng::new(p.seed ^ 0xC0FFEE);
    let writes_meta = writes_of_metas(&run.disk);
    assert!(!writes_meta.is_empty(), "the trace has no write of a meta page:\n{}", run.disk.trace());
    let mut seen = Seen::default();
    let mut replay = run.disk.replay().expect("recorded");
    while let Some(operation) = replay.step() {
        let meta = writes_meta.contains(&operation);
        if operation % how.stride != 0 && !meta {
            continue;
        }
        let disk = replay.disk();
        let case = |what: String, allowed: (usize, usize)| Case {
            p,
            what: format!("operation {operation}, {what}"),
            allowed,
            promised: run.history.after_power_cut(operation).0,
            states: &run.history.states,
            given_out: run.history.given_out(operation),
            nest: how.nest.is_some(),
            depth: 0,
            run: &run.disk,
            operation,
        };
        let power = run.history.after_power_cut(operation);
        // A torn meta page is rare among random images, and what matters most.
        let random = if meta { how.random + 12 } else { how.random };
        for policy in policies(disk.pending() as u64, ONE_BY_ONE, random, &mut rng) {
            if how.nest.is_none_or(|share| rng.below(share) == 0) {
                check(&case(format!("{policy:?}"), power), disk.crash_image(policy), &mut seen, &mut rng, tally);
            }
        }
        // What the process left visible and not durable matters most where it wrote meta pages.
        if how.nest.is_none_or(|share| rng.below(if meta { 3 } else { share }) == 0) {
            let process = run.history.after_process_crash(operation);
            let image = disk.process_crash_image();
            check(&case("process died".to_owned(), process), image, &mut seen, &mut rng, tally);
        }
    }
}

/// Images that were looked at: their digests, with the states that were allowed.
type Seen = HashSet<(u64, (usize, usize))>;

/// The state found, which must be one of those allowed.
fn matched(case: &Case<'_>, db: &Database) -> usize {
    let report = db.verify().unwrap_or_else(|e| lost(format!("verify: {e:?}; {}", case.trace())));
    let found = contents(db).unwrap_or_else(|e| lost(format!("{e:?}; {}", case.trace())));
    if report.documents != found.documents() as u64 {
        lost(format!("verify counted {} documents, of {}; {}", report.documents, found.documents(), case.trace()));
    }
    let (low, high) = case.allowed;
    let state = (low..=high).rev().find(|state| case.states[*state] == found);
    state.unwrap_or_else(|| {
        let any = case.states.iter().rposition(|state| *state == found);
        lost(format!(
            "the content is none of states {low} to {high} ({any:?}); from {low}:{} from {high}:{}; {}",
            case.states[low].difference(&found),
            case.states[high].difference(&found),
            case.trace(),
        ))
    })
}

/// Opens the image, compares, works on it, reopens, compares again.
fn check(case: &Case<'_>, image: SimDisk, seen: &mut Seen, rng: &mut Rng, tally: &mut Tally) {
    let digest = image.digest();
    tally.count("images", 1);
    if !case.nest || case.depth > 0 {
        tally.states.insert(digest);
    }
    // The same bytes with the same promise were looked at already; what was durable of them may differ.
    if !seen.insert((digest, case.allowed)) && (image.pending() == 0 || rng.below(4) > 0) {
        return;
    }
    tally.count("images opened", 1);
    let cut_it = case.nest && (case.depth == 0 || case.depth == 1 && rng.below(DEEPER) == 0);
    if cut_it {
        image.record();
    }
    let begun = image.operations();
    let p = Parameters { seed: rng.next_u64(), light: true, ..*case.p };
    let first = case.states[case.allowed.1].clone();
    let mut session = Session::begin(&p, image.clone(), first);
    session.open().unwrap_or_else(|e| lost(format!("it does not open: {e:?}; {}", case.trace())));
    let state = matched(case, &session.db());
    let number = session.db().snapshot().unwrap_or_else(|e| lost(format!("{e:?}; {}", case.trace()))).commit();
    if number < case.given_out {
        lost(format!("commit {} was given out, and may be again after {number}; {}", case.given_out, case.trace()));
    }
    let opened = image.operations();
    {
        let mut core = session.core.lock().unwrap();
        core.model = case.states[state].clone();
        core.history = History::new(case.states[state].clone());
    }
    session.run_strictly(if cut_it { 5 } else { STEPS });
    if session.db.is_none() {
        session.open().unwrap_or_else(|e| lost(format!("opening later: {e:?}; {}", case.trace())));
    }
    session.close().unwrap_or_else(|e| lost(format!("closing: {e:?}; {}", case.trace())));
    let closed = image.digest();
    session.open().unwrap_or_else(|e| lost(format!("reopening: {e:?}; {}", case.trace())));
    let db = session.db();
    db.verify().unwrap_or_else(|e| lost(format!("reopened: {e:?}; {}", case.trace())));
    session.compare(&db).unwrap_or_else(|e| lost(format!("reopened: {e:?}; {}", case.trace())));
    drop(db);
    session.close().unwrap_or_else(|e| lost(format!("closing again: {e:?}; {}", case.trace())));
    if image.digest() != closed {
        lost(format!("opening after a clean close, and closing without a write, changed something; {}", case.trace()));
    }
    let (history, _) = session.end();
    if cut_it {
        let what = if case.depth == 0 { "recoveries cut" } else { "recoveries of recoveries cut" };
        tally.count(what, 1);
        cut_recovery(case, &Recorded { disk: image, history }, begun..opened, rng, tally);
    }
}

/// Looks at what a run left that is known otherwise: after a power cut, or (`died`) the death of the process. With
/// `nest` what the next process does is cut, too.
pub fn look(p: &Parameters, what: &str, session: &Session, died: bool, nest: bool, rng: &mut Rng, tally: &mut Tally) {
    let disk = &session.disk;
    let history = session.core.lock().unwrap().history.clone();
    let operation = disk.operations();
    let power = history.after_power_cut(operation + 1);
    let (image, allowed) = match died {
        true => (disk.process_crash_image(), history.after_process_crash(operation + 1)),
        false if rng.below(3) == 0 => (disk.crash_image(CrashPolicy::LoseAll), power),
        false => (disk.crash_image(CrashPolicy::Random(rng.next_u64())), power),
    };
    let case = Case {
        p,
        what: what.to_owned(),
        allowed,
        promised: power.0,
        states: &history.states,
        given_out: history.given_out(operation),
        nest,
        depth: 0,
        run: disk,
        operation,
    };
    check(&case, image, &mut Seen::default(), rng, tally);
}

/// The recovery, and what came after it, cut at every operation.
fn cut_recovery(case: &Case<'_>, run: &Recorded, recovery: Range<u64>, rng: &mut Rng, tally: &mut Tally) {
    let mut seen = Seen::default();
    let mut replay = run.disk.replay().expect("recorded");
    while let Some(operation) = replay.step() {
        if operation > recovery.end + BEHIND_RECOVERY {
            return;
        }
        let disk = replay.disk();
        for policy in policies(disk.pending() as u64, ONE_BY_ONE_NESTED, 3, rng).into_iter().map(Some).chain([None]) {
            let died = policy.is_none();
            let image = policy.map_or_else(|| disk.process_crash_image(), |policy| disk.crash_image(policy));
            // Nothing was shown to anyone before the opening returned.
            let (power, process, states) = if operation <= recovery.end && recovery.end > recovery.start {
                ((case.promised, case.allowed.1), case.allowed, case.states)
            } else {
                let history = &run.history;
                (history.after_power_cut(operation), history.after_process_crash(operation), &history.states[..])
            };
            let given_out = case.given_out.max(run.history.given_out(operation));
            let deeper = Case {
                given_out,
                p: case.p,
                what: format!("{}; then operation {operation}, {policy:?}", case.what),
                allowed: if died { process } else { power },
                promised: power.0,
                states,
                nest: true,
                depth: case.depth + 1,
                run: &run.disk,
                operation,
            };
            check(&deeper, image, &mut seen, rng, tally);
        }
    }
}
