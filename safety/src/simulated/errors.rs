//! The lane of failures: the workload with an error at every operation in turn, going on.
//!
//! ```text
//!   run (no error) --> n operations
//!   for each of them: EIO or ENOSPC, once or from then on
//!       every failed call changed nothing, or said that it does not know, or that it writes no more
//!       reads show the state before
//!       then: error gone, writing works (unless it was stopped)
//!       then: closed; and, instead: process died; power cut --> open, verify, compare
//! ```

use super::cut::look;
use super::model::{contents, Model};
use super::workload::{Parameters, Session, NAME};
use crate::lane::Tally;
use nyro::testing::{Persist, Rng, SimDisk, SimError, SimOptions};
use nyro::Error;

/// Steps that are tried after the first failure.
const STEPS_AFTER: usize = 12;

/// After one in so many failures the process dies, and the next one is cut at each of its operations.
const RECUT: u64 = 250;

fn begin(p: &Parameters) -> Session {
    let disk = SimDisk::new(SimOptions { seed: p.seed, ..SimOptions::default() });
    disk.set_can_store(p.seed % 2 == 0);
    Session::begin(p, disk, Model::default())
}

/// How many operations the run has without an error.
fn operations(p: &Parameters) -> u64 {
    let mut session = begin(p);
    session.run_strictly(p.steps);
    let operations = session.disk.operations();
    session.end();
    operations
}

/// Fails each operation of the run (every `stride`-th) in turn.
pub fn everywhere(p: &Parameters, stride: u64, tally: &mut Tally) {
    let last = operations(p);
    let mut rng = Rng::new(p.seed ^ 0xE44);
    for (error, persist, stride) in [
        (SimError::Eio, Persist::Once, stride),
        (SimError::Eio, Persist::FromThenOn, stride),
        (SimError::Enospc, Persist::Once, stride),
        (SimError::Enospc, Persist::FromThenOn, stride),
        (SimError::Eintr, Persist::Once, 4 * stride),
    ] {
        for operation in (1 + rng.below(stride)..=last).step_by(stride as usize) {
            fail_at(p, operation, error, persist, &mut rng, tally);
        }
    }
}

fn fail_at(p: &Parameters, operation: u64, error: SimError, persist: Persist, rng: &mut Rng, tally: &mut Tally) {
    let what = format!("seed {}, {error:?} {persist:?} at operation {operation}", p.seed);
    tally.cases += 1;
    let mut session = begin(p);
    session.disk.record();
    session.disk.fail_at(operation, error, persist);
    let mut left = STEPS_AFTER;
    let mut failures = 0;
    let mut told = Vec::new();
    session.run(p.steps, |session, e| {
        told.push(format!("{} {e:?}", session.core.lock().unwrap().history.states.len()));
        expected(&e, session, &what);
        failures += 1;
        reads_go_on(session, &what);
        left -= 1;
        left > 0
    });
    // Where the one failure was tolerated, the run went on to its end.
    session.disk.clear_faults();
    reads_go_on(&session, &what);
    tally.count("failed calls", failures);
    let what = format!("{what}; told: {}", told.join("\n"));
    let stopped = session.core.lock().unwrap().stopped;
    tally.count("handles stopped", u64::from(stopped));
    let mut looked = Tally::default();
    for round in 0..4 {
        // What a failed sync left visible and not durable is cut again, behind the next recovery.
        let nest = round == 0 && rng.below(RECUT) == 0 && !tally.short;
        look(p, &format!("{what}; image {round}"), &session, round == 0, nest, rng, &mut looked);
    }
    tally.count("images", looked.total());
    tally.count("recoveries cut", looked.counted("recoveries cut"));
    if !stopped {
        writing_works(&mut session, &what);
    }
    close_and_look(session, &what);
}

/// Only errors of the machine, and what follows from them.
fn expected(e: &Error, session: &mut Session, what: &str) {
    match e {
        Error::Io { .. } | Error::DiskFull { .. } | Error::Full { .. } => {}
        Error::OutcomeUnknown { .. } | Error::WritesStopped { .. } => {
            session.core.lock().unwrap().stop();
        }
        e => panic!("{what}: {e:?}\n{}", session.disk.trace()),
    }
}

/// Reads show what was acknowledged, and nothing else.
fn reads_go_on(session: &Session, what: &str) {
    if let Some(db) = &session.db {
        let found = contents(db).unwrap_or_else(|e| panic!("{what}: {e:?}\n{}", session.disk.trace()));
        let core = session.core.lock().unwrap();
        let difference = core.model.difference(&found);
        assert!(found == core.model, "{what}: reads show something else:{difference}\n{}", session.disk.trace());
    }
}

/// The failure is over, and the handle did not stop: everything works again without reopening.
fn writing_works(session: &mut Session, what: &str) {
    if session.db.is_none() {
        session.reopen().unwrap_or_else(|e| panic!("{what}: opening again: {e:?}\n{}", session.disk.trace()));
    }
    session.run(6, |session, e| panic!("{what}: afterwards: {e:?}\n{}", session.disk.trace()));
    if session.db.is_none() {
        session.open().unwrap();
    }
    let checkpointed = session.checkpoint(nyro::Database::checkpoint);
    checkpointed.unwrap_or_else(|e| panic!("{what}: checkpoint afterwards: {e:?}\n{}", session.disk.trace()));
    let report = session.db().verify();
    report.unwrap_or_else(|e| panic!("{what}: verify afterwards: {e:?}\n{}", session.disk.trace()));
}

/// Closes, opens, and compares with everything that was acknowledged.
fn close_and_look(mut session: Session, what: &str) {
    if session.db.is_some() {
        let stopped = session.core.lock().unwrap().stopped;
        match session.close() {
            Err(e) if !stopped => panic!("{what}: closing: {e:?}\n{}", session.disk.trace()),
            _ => {}
        }
    }
    session.reopen().unwrap_or_else(|e| panic!("{what}: reopening {NAME}: {e:?}\n{}", session.disk.trace()));
    let report = session.db().verify();
    report.unwrap_or_else(|e| panic!("{what}: verify: {e:?}\n{}", session.disk.trace()));
    session.run(5, |session, e| panic!("{what}: after reopening: {e:?}\n{}", session.disk.trace()));
    session.end();
}
