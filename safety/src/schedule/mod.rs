//! The lane of schedules: the threads of the engine in every order that counts, and in random ones.
//!
//! ```text
//!   unit 0 .. n-1    one test of loom: all interleavings of a lock-free part, up to a number of preemptions,
//!                    and every value that a load may see
//!   unit n, n+1 ..   a batch under shuttle: the whole engine on the simulated disk (models/), 500 schedules
//!                    from one seed, of tasks of different speed or with few switches
//! ```
//!
//! Both are builds of their own, with other atomics and locks (`core/src/sync.rs`); `make` builds them and says where
//! they are. What they print is counted: `schedules NAME N`, one line a test or batch.

use crate::lane::{Failure, Lane, Tally};
use std::path::PathBuf;
use std::process::{Command, Output};

/// See the module.
pub static SCHEDULE: Lane = Lane {
    name: "schedule",
    what: "threads in every order: lock-free parts under loom, the whole engine under shuttle",
    unit,
    standard: LOOM_TESTS + BATCHES,
    goal: 100_000,
    weight: 2,
    jobs: 0,
    possible: || [LOOM, SHUTTLE].iter().try_for_each(|variable| program(variable).map(drop)),
    met: |tally| tally.at_least(&[("loom tests", LOOM_TESTS), ("schedules under shuttle", 40_000)]),
};

/// The variables that name the two programs.
const LOOM: &str = "NYRO_LOOM_TESTS";
const SHUTTLE: &str = "NYRO_SHUTTLE_TESTS";

/// How many tests there are under loom.
const LOOM_TESTS: u64 = 12;
/// Batches of a standard run: of each model eight with each scheduler.
const BATCHES: u64 = 9 * 16;
/// Schedules of a batch.
const BATCH: u64 = 500;

fn program(variable: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file());
    path.ok_or_else(|| format!("not built: {variable} names no program (`make build-schedules` builds it)"))
}

fn run(variable: &str, arguments: &[&str]) -> Output {
    let program = program(variable).unwrap_or_else(|why| panic!("{why}"));
    let output = Command::new(program).args(arguments).output();
    output.unwrap_or_else(|e| panic!("{variable} does not run: {e}"))
}

/// The first word of each line that `list` prints, without the colon that loom's tests have.
fn names(list: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&list.stdout);
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.filter_map(|line| Some(line.split_whitespace().next()?.trim_end_matches(':').to_owned())).collect()
}

fn unit(index: u64, seed: u64, tally: &mut Tally) {
    match index.checked_sub(LOOM_TESTS) {
        None => loom_test(index, tally),
        Some(batch) => shuttle_batch(batch, seed, tally),
    }
}

fn loom_test(index: u64, tally: &mut Tally) {
    let mut tests = names(&run(LOOM, &["loom_", "--list", "--format=terse"]));
    tests.sort_unstable();
    assert_eq!(tests.len() as u64, LOOM_TESTS, "tests under loom came or went: {tests:?}");
    let test = &tests[index as usize];
    if let Some(schedules) = judge(&run(LOOM, &["--exact", test, "--nocapture"]), tally) {
        tally.count("loom tests", 1);
        tally.count("schedules under loom", schedules);
    }
}

fn shuttle_batch(batch: u64, seed: u64, tally: &mut Tally) {
    let models = names(&run(SHUTTLE, &["--list"]));
    let model = &models[batch as usize % models.len()];
    let scheduler = if (batch / models.len() as u64) % 2 == 0 { "uneven" } else { "pct" };
    let schedules = if tally.short { BATCH / 5 } else { BATCH };
    let output = run(SHUTTLE, &[model, scheduler, &seed.to_string(), &schedules.to_string()]);
    if let Some(schedules) = judge(&output, tally) {
        tally.count("schedules under shuttle", schedules);
    }
}

/// Counts the schedules that were tried, or notes the failure.
fn judge(output: &Output, tally: &mut Tally) -> Option<u64> {
    let text = String::from_utf8_lossy(&output.stdout);
    let counts =
        text.lines().filter_map(|line| line.split_once("schedules ")?.1.rsplit(' ').next()?.parse::<u64>().ok());
    match counts.sum::<u64>() {
        schedules if output.status.success() && schedules > 0 => {
            tally.cases += schedules;
            Some(schedules)
        }
        _ => {
            tally.fail(failure(output, &text));
            None
        }
    }
}

/// What a program said at its end: the panic, and how to repeat the schedule. The schedule itself, which may be long, is
/// left out: the same arguments give it again.
fn failure(output: &Output, text: &str) -> Failure {
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines = text.lines().chain(errors.lines()).filter(|line| line.len() < 1000);
    let told: Vec<&str> = lines.skip_while(|line| !line.contains("panicked at")).take(12).collect();
    let lost = told.iter().any(|line| line.contains("panicked at safety/") || line.contains("loom_tests.rs"));
    Failure { lost, text: format!("{}: {}", output.status, told.join("\n")) }
}
