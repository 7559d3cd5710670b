//! The lane of planted bugs: each mistake that a test build can make is found by one of the other lanes.
//!
//! ```text
//!   for each Bug    a process of its own: plant(bug), then short units of the other lanes in turn
//!                       a unit fails, the process dies, or hangs:  caught
//!                       the time is over:                          missed, and the lane fails
//! ```
//!
//! Nothing in the other lanes knows of the bugs: what finds them is the comparison with the model, `verify`, and the
//! rules about writes, which hold in every run.

use crate::damaged;
use crate::lane::{lost, Lane, Tally};
use crate::model;
use crate::simulated;
use nyro::testing::{plant, Bug};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// See the module.
pub static PLANTED: Lane = Lane {
    name: "planted",
    what: "bugs are put in; each is found by the lanes above",
    unit,
    standard: Bug::ALL.len() as u64,
    goal: 25,
    weight: 1,
    jobs: 0,
    possible: || Ok(()),
    met: |_| Ok(()),
};

/// A bug that is not found in so many seconds of processor time is missed.
const LONGEST: u64 = 40;

/// However busy the machine is.
const HUNG: Duration = Duration::from_secs(240);

/// The lanes that hunt.
static HUNTERS: [&Lane; 5] =
    [&simulated::CRASH, &simulated::NESTED, &simulated::IO_ERROR, &model::MODEL, &damaged::DAMAGED];

/// The same for one bug, those most likely to find the bug first.
fn hunters(bug: Bug) -> Vec<&'static Lane> {
    let likely: &[&str] = match bug {
        Bug::FailedSyncForgotten
        | Bug::UnitSwappedEarly
        | Bug::ToldBeforeDurable
        | Bug::ShortFrameKept
        | Bug::TailKept
        | Bug::AbortForgotten => &["io_error"],
        Bug::LogRemovedBeforeRecovery => &["nested"],
        Bug::ClaimsIgnored
        | Bug::MetaChecksumShort
        | Bug::PageChecksumNotChecked
        | Bug::PageNumberNotChecked
        | Bug::ChainNotChecked => &["damaged"],
        Bug::EntryLost
        | Bug::LengthOfSixteenBits
        | Bug::PublishedTip
        | Bug::RunReleasedEarly
        | Bug::RangesForgotten
        | Bug::TombstonesDropped
        | Bug::RangeNotReplayed
        | Bug::RunStaysNamed
        | Bug::FilterWithoutLast
        | Bug::LargeValueNotAdopted => &["model"],
        _ => &["crash"],
    };
    let is_likely = |lane: &&&Lane| likely.contains(&lane.name);
    let (first, rest): (Vec<&Lane>, Vec<&Lane>) = HUNTERS.into_iter().partition(|lane| is_likely(&lane));
    // A likely one takes two turns of three.
    match first[..] {
        [first] => rest.into_iter().flat_map(|lane| [first, first, lane]).collect(),
        _ => rest,
    }
}

fn unit(index: u64, seed: u64, tally: &mut Tally) {
    let (bug, what) = Bug::ALL[index as usize % Bug::ALL.len()];
    let start = Instant::now();
    let exe = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(exe);
    command.args(["--plant", &format!("{bug:?}"), "--seed", &seed.to_string()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let status = loop {
        match child.try_wait().expect("a child of ours") {
            Some(status) => break Some(status),
            None if start.elapsed() > HUNG => {
                child.kill().expect("a child of ours");
                child.wait().expect("a child of ours");
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let mut said = String::new();
    if let Some(mut out) = child.stdout.take() {
        std::io::Read::read_to_string(&mut out, &mut said).expect("text");
    }
    tally.cases += 1;
    let seconds = start.elapsed().as_secs_f64();
    let caught = match status {
        Some(status) if status.success() => said.lines().last().unwrap_or_default().to_owned(),
        Some(status) if status.code() == Some(1) => lost(format!("{bug:?} was not found in {seconds:.0} s: {what}")),
        Some(status) => format!("the process ended: {status}"),
        None => "the process hung".to_owned(),
    };
    println!("planted: {bug:?} ({what}): {seconds:.1} s, {caught}");
    tally.count("found within ten seconds", u64::from(seconds < 10.0));
}

/// Hunts for the bug of that name in this process.
pub fn hunt(name: &str, seed: u64) -> ExitCode {
    let Some(bug) = Bug::named(name) else {
        eprintln!("nyro-safety: there is no bug {name}");
        return ExitCode::from(2);
    };
    plant(bug);
    give_up_when_hung(|| {
        println!("it hung");
        std::process::exit(0)
    });
    match search(&hunters(bug), seed, LONGEST) {
        Some(found) => {
            println!("{found}");
            ExitCode::SUCCESS
        }
        None => ExitCode::from(1),
    }
}

/// Short units of the lanes in turn, until one fails or the processor time is over.
fn search(hunters: &[&Lane], seed: u64, longest: u64) -> Option<String> {
    let mut turns = std::collections::BTreeMap::new();
    for lane in hunters.iter().cycle() {
        if processor_seconds() > longest {
            break;
        }
        let turn = turns.entry(lane.name).or_insert(0);
        let index = *turn;
        *turn += 1;
        UNITS.fetch_add(1, Ordering::Relaxed);
        let tally = lane.try_unit(index, seed);
        if let Some(failure) = tally.first_failure() {
            let text: String = failure.text.lines().next().unwrap_or_default().chars().take(160).collect();
            let seconds = processor_seconds();
            return Some(format!("{seconds} s of processor time, by {}, unit {index}: {text}", lane.name));
        }
    }
    None
}

/// How much processor time a short unit may take, in seconds: more than ten times of what it does.
const LONGEST_UNIT: u64 = 12;

/// Units begun.
static UNITS: AtomicU64 = AtomicU64::new(0);

/// Processor time of this process, in seconds.
fn processor_seconds() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to the struct above.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as u64
}

/// Watches this process: a unit that does not end is a bug found.
fn give_up_when_hung(give_up: fn() -> !) {
    std::thread::spawn(move || {
        let (mut unit, mut since) = (0, processor_seconds());
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let now = UNITS.load(Ordering::Relaxed);
            if now != unit {
                (unit, since) = (now, processor_seconds());
            } else if processor_seconds() - since > LONGEST_UNIT {
                give_up();
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `make test-mutants` calls it, after it has changed the engine: nobody knows how, and so each lane has its turn.
    #[test]
    #[ignore = "a hunt, which takes all of its time where there is no bug"]
    fn short_units_of_the_lanes_find_nothing() {
        crate::lane::keep_panics();
        give_up_when_hung(|| std::process::exit(1));
        if let Some(found) = search(&HUNTERS, 100, LONGEST / 2) {
            eprintln!("{found}");
            std::process::exit(1);
        }
    }
}
