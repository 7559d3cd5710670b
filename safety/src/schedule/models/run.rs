//! Runs the schedules of one model.

use crate::uneven::Uneven;
use crate::{commits, readers};
use nyro::testing::{plant, Bug};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, MaxSteps, Runner};
use std::process::ExitCode;

/// A few threads, a few documents, and what must hold whatever the order.
pub struct Model {
    pub name: &'static str,
    pub body: fn(),
}

/// All models.
static MODELS: &[&[Model]] = &[commits::MODELS, readers::MODELS];

/// Switches that the PCT scheduler makes, besides those where a task has to wait.
const SWITCHES: usize = 4;

pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let all = || MODELS.iter().flat_map(|models| models.iter());
    if let ["--list"] = arguments[..] {
        all().for_each(|model| println!("{}", model.name));
        return ExitCode::SUCCESS;
    }
    let [name, scheduler, seed, count, ref bug @ ..] = arguments[..] else { return usage("four arguments") };
    let Some(model) = all().find(|model| model.name == name) else { return usage("a model of the list") };
    let (Ok(seed), Ok(count)) = (seed.parse(), count.parse()) else { return usage("two numbers") };
    if let [bug] = bug {
        let Some(bug) = Bug::named(bug) else { return usage("a bug that is known") };
        plant(bug);
    }
    end_at_the_first_failure(format!("{name} {scheduler} {seed} {count}"));
    let done = match scheduler {
        "uneven" => Runner::new(Uneven::new(seed, count), config()).run(counted(model.body)),
        "random" => Runner::new(RandomScheduler::new_from_seed(seed, count), config()).run(counted(model.body)),
        "pct" => Runner::new(PctScheduler::new_from_seed(seed, SWITCHES, count), config()).run(counted(model.body)),
        _ => return usage("uneven, pct or random"),
    };
    println!("schedules {name} {done}");
    ExitCode::SUCCESS
}

fn usage(wanted: &str) -> ExitCode {
    eprintln!("nyro-schedules: {wanted}, please; see the head of safety/src/schedule/models/main.rs");
    ExitCode::from(2)
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 512 << 10;
    config.max_steps = MaxSteps::FailAfter(200_000);
    config.silence_warnings = true;
    config
}

/// The schedule that is running, from 0.
static RUNNING: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

fn counted(body: fn()) -> impl Fn() + Send + Sync + 'static {
    use std::sync::atomic::Ordering::Relaxed;
    move || {
        body();
        RUNNING.fetch_add(1, Relaxed);
    }
}

/// Tasks of a model that failed hold locks for ever: the process ends, and what they leave is not unwound.
fn end_at_the_first_failure(arguments: String) {
    std::panic::set_hook(Box::new(move |info| {
        let done = RUNNING.load(std::sync::atomic::Ordering::Relaxed);
        println!("failed: {info}");
        println!("schedule {} of: nyro-schedules {arguments}", done + 1);
        std::process::exit(1);
    }));
}
