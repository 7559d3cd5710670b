//! `nyro-safety`: runs the lanes that hold NyroDB to its promises, and ends with a table.
//!
//! ```text
//!   nyro-safety                        every lane, a standard run (`make safety`)
//!   nyro-safety --lane crash           one lane (may be given several times)
//!   nyro-safety --seconds 3600         every lane, with new seeds until its share of the time is over
//!   nyro-safety --lane crash --seed 100 --unit 7     repeats one failure
//!   nyro-safety --bank 3600            one bank that is open for an hour; with --seconds, after the lanes
//!   nyro-safety --asan PROGRAM         the lane `damaged` once more, in this program built with AddressSanitizer
//!   nyro-safety --list                 the lanes
//!   nyro-safety --json                 one object a line instead of the table (JSON=1 does the same)
//! ```
//!
//! Each lane is a process of its own, so that one that is killed by a signal is counted and the others go on. See
//! `docs/safety.md` for what the lanes promise.

#[path = "../../core/tests/engine/allocator.rs"]
mod allocator;
mod batch;
mod damaged;
#[allow(dead_code, reason = "the tests of the engine use all of it")]
#[path = "../../core/tests/engine/files.rs"]
mod files;
mod full;
mod fuzz;
mod kill;
mod lane;
#[path = "../../core/tests/engine/repair/layout.rs"]
mod layout;
mod model;
mod planted;
mod power;
mod process;
mod rules;
mod schedule;
mod simulated;
mod table;

use lane::{Extent, Lane};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use table::Row;

/// A lane that takes longer has hung.
const LONGEST: Duration = Duration::from_secs(20 * 60);

/// All lanes, in the order of the table.
static LANES: &[&Lane] = &[
    &simulated::CRASH,
    &simulated::NESTED,
    &simulated::IO_ERROR,
    &model::MODEL,
    &damaged::DAMAGED,
    &schedule::SCHEDULE,
    &kill::KILL,
    &power::POWER,
    &full::FULL,
    &fuzz::FUZZ,
    &planted::PLANTED,
];

/// Counts what each thread takes, for the lane of damaged files.
#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

#[derive(Debug, Default)]
struct Arguments {
    lanes: Vec<String>,
    seed: Option<u64>,
    seconds: Option<u64>,
    unit: Option<u64>,
    json: bool,
    list: bool,
    /// How long the bank stays open, in seconds.
    bank: Option<u64>,
    /// This program, built with AddressSanitizer.
    asan: Option<PathBuf>,
    /// This process hunts a bug.
    plant: Option<String>,
    /// This process is the lane itself; the file to write the row to.
    result: Option<String>,
}

impl Arguments {
    fn parse() -> Result<Arguments, String> {
        let mut arguments = Arguments { json: std::env::var("JSON").is_ok_and(|v| v == "1"), ..Arguments::default() };
        let mut given = std::env::args().skip(1);
        while let Some(argument) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{argument} needs a value"));
            let number = |text: String| text.parse::<u64>().map_err(|_| format!("{argument}: {text} is no number"));
            match argument.as_str() {
                "--lane" => arguments.lanes.push(value()?),
                "--seed" => arguments.seed = Some(number(value()?)?),
                "--seconds" => arguments.seconds = Some(number(value()?)?),
                "--unit" => arguments.unit = Some(number(value()?)?),
                "--bank" => arguments.bank = Some(number(value()?)?),
                "--asan" => arguments.asan = Some(value()?.into()),
                "--result" => arguments.result = Some(value()?),
                "--plant" => arguments.plant = Some(value()?),
                "--json" => arguments.json = true,
                "--list" => arguments.list = true,
                other => return Err(format!("{other} is no argument; see the head of safety/src/main.rs")),
            }
        }
        match arguments.lanes.iter().find(|name| LANES.iter().all(|lane| lane.name != name.as_str())) {
            Some(name) => Err(format!("there is no lane {name}; --list shows all")),
            None => Ok(arguments),
        }
    }

    fn chosen(&self) -> Vec<&'static Lane> {
        let wanted = |lane: &&&Lane| self.lanes.is_empty() || self.lanes.iter().any(|name| name == lane.name);
        LANES.iter().filter(wanted).copied().collect()
    }

    fn seed(&self) -> u64 {
        let given = std::env::var("NYRO_SEED").ok().and_then(|seed| seed.parse().ok());
        self.seed.or(given).unwrap_or(match self.seconds {
            // New ones each time; a failure names its own.
            Some(_) => std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_secs()) << 20,
            None => 100,
        })
    }
}

/// Runs one lane in this process.
fn run_here(lane: &Lane, arguments: &Arguments) -> Row {
    if let Err(why) = (lane.possible)() {
        return Row { lane: lane.name.to_owned(), why: Some(why), ..Row::default() };
    }
    let extent = match (arguments.unit, arguments.seconds) {
        (Some(unit), _) => Extent::Unit(unit),
        (None, Some(seconds)) => Extent::For(Duration::from_secs(seconds)),
        (None, None) => Extent::Standard,
    };
    let outcome = lane.run(extent, arguments.seed());
    Row::new(lane.name, &outcome)
}

/// The lane that is run under AddressSanitizer, too.
const UNDER_ASAN: &Lane = &damaged::DAMAGED;

/// Runs one lane as a process of its own, of this program or of another build of it.
fn run_apart(lane: &Lane, program: Option<&Path>, arguments: &Arguments, seconds: Option<u64>) -> Row {
    let start = Instant::now();
    let result = std::env::temp_dir().join(format!("nyro-safety-{}-{}", std::process::id(), lane.name));
    let ended = spawn(lane, program, arguments, seconds, &result);
    let text = std::fs::read_to_string(&result).unwrap_or_default();
    let _ = std::fs::remove_file(&result);
    match (ended, Row::parse(&text)) {
        (Ok(()), Some(row)) => row,
        (ended, row) => {
            println!("{}: the process ended before its lane: {ended:?}", lane.name);
            let row = row.unwrap_or_else(|| Row { lane: lane.name.to_owned(), ..Row::default() });
            Row { crashed: row.crashed + 1, seconds: start.elapsed().as_secs_f64(), ..row }
        }
    }
}

fn spawn(
    lane: &Lane,
    program: Option<&Path>,
    arguments: &Arguments,
    seconds: Option<u64>,
    result: &Path,
) -> Result<(), String> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = Command::new(program.unwrap_or(&this));
    command.args(["--lane", lane.name, "--seed", &arguments.seed().to_string()]);
    command.arg("--result").arg(result);
    if let Some(seconds) = seconds {
        command.args(["--seconds", &seconds.to_string()]);
    }
    if let Some(unit) = arguments.unit {
        command.args(["--unit", &unit.to_string()]);
    }
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let longest = LONGEST.max(Duration::from_secs(seconds.unwrap_or(0) * 2));
    let start = Instant::now();
    loop {
        match child.try_wait().map_err(|e| e.to_string())? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(status.to_string()),
            None if start.elapsed() > longest => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it hung: no end after {} s", longest.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// One bank for so long, in this process.
fn run_bank(seconds: u64, arguments: &Arguments) -> Row {
    let mut tally = lane::Tally::default();
    let start = Instant::now();
    let length = Duration::from_secs(seconds);
    if let Some(failure) = lane::attempt(|| model::stay_open(length, arguments.seed(), &mut tally)) {
        tally.fail(failure);
    }
    println!("bank: {:?}", tally.counters().collect::<Vec<_>>());
    if let Some(failure) = tally.first_failure() {
        println!("bank: {}", failure.text);
    }
    Row::new("bank", &tally.outcome(start.elapsed()))
}

/// This program as a child of one of its lanes.
fn run_child(role: &str, orders: &str) -> ExitCode {
    match role {
        process::writer::ROLE => process::writer::run(orders),
        _ if full::run_child(role, orders) => {}
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}

fn main() -> ExitCode {
    if let Some((role, orders)) = process::ordered() {
        return run_child(&role, &orders);
    }
    lane::keep_panics();
    let arguments = match Arguments::parse() {
        Ok(arguments) => arguments,
        Err(text) => {
            eprintln!("nyro-safety: {text}");
            return ExitCode::from(2);
        }
    };
    if let Some(bug) = &arguments.plant {
        return planted::hunt(bug, arguments.seed());
    }
    // Beside lanes it is one row more.
    let bank_alone = arguments.bank.is_some() && arguments.seconds.is_none() && arguments.lanes.is_empty();
    let chosen = if bank_alone { Vec::new() } else { arguments.chosen() };
    if arguments.list {
        for lane in &chosen {
            println!("{:<10} {}", lane.name, lane.what);
        }
        return ExitCode::SUCCESS;
    }
    if let (Some(result), [lane]) = (&arguments.result, &chosen[..]) {
        let row = run_here(lane, &arguments);
        return match std::fs::write(result, row.json()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("nyro-safety: {result}: {e}");
                ExitCode::from(2)
            }
        };
    }
    let under_asan = arguments.asan.as_deref().map(|program| (UNDER_ASAN, Some(program)));
    let runs: Vec<(&Lane, Option<&Path>)> = chosen.iter().map(|lane| (*lane, None)).chain(under_asan).collect();
    let weights: u64 = runs.iter().map(|(lane, _)| lane.weight).sum();
    let mut rows = Vec::new();
    for (lane, program) in runs {
        println!("--- {}{}: {}", lane.name, if program.is_some() { ", AddressSanitizer" } else { "" }, lane.what);
        let seconds = arguments.seconds.map(|seconds| (seconds * lane.weight / weights.max(1)).max(1));
        let row = run_apart(lane, program, &arguments, seconds);
        rows.push(match program {
            Some(_) => Row { lane: "asan".to_owned(), ..row },
            None => row,
        });
    }
    rows.extend(arguments.bank.map(|seconds| run_bank(seconds, &arguments)));
    table::print(&rows, arguments.json);
    if rows.iter().all(|row| row.lost == 0 && row.crashed == 0) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
