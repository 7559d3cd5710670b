//! What a lane is, and how its units are run.
//!
//! ```text
//!   unit 0, 1, 2, ...   one seed each, endless  --> as many threads as processors take the next one
//!        |
//!        +-- Tally: cases, distinct states, counters      a panic in a unit is a failure of that unit
//!
//!   standard run: units 0..standard, the same each time     extended: until the time is over
//!   one unit:     to repeat a failure                       short units: for the lane `planted`
//! ```
//!
//! A failure is *lost* if the harness found it: content that was promised is missing or other, a file does not open, a
//! rule about writes was broken. It is *crashed* if the library itself panicked, hung, or ended the process.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// One lane: a kind of proof.
pub struct Lane {
    pub name: &'static str,
    /// What it tries, in a few words.
    pub what: &'static str,
    /// Does unit `index`, with `seed` for all its choices.
    pub unit: fn(index: u64, seed: u64, tally: &mut Tally),
    /// Units of a standard run.
    pub standard: u64,
    /// Cases that a standard run must have.
    pub goal: u64,
    /// The share of a time budget, beside the other lanes'.
    pub weight: u64,
    /// Units that may run at once: 0 for one on each processor.
    pub jobs: usize,
    /// Says why the lane can't run here.
    pub possible: fn() -> Result<(), String>,
    /// Looks at what a standard run counted: a lane that never met what it is for fails.
    pub met: fn(&Tally) -> Result<(), String>,
}

/// What units have done.
#[derive(Debug, Default)]
pub struct Tally {
    /// Cases, where each is one.
    pub cases: u64,
    /// Cases that count once for each digest.
    pub states: HashSet<u64>,
    /// The unit is to be short: a bug is hunted, and another lane waits for its turn.
    pub short: bool,
    counters: BTreeMap<String, u64>,
    failures: Vec<Failure>,
}

/// A promise that was broken.
#[derive(Debug)]
pub struct Failure {
    pub lost: bool,
    pub text: String,
}

/// Ends the unit: a promise is broken.
#[track_caller]
pub fn lost(text: impl Display) -> ! {
    panic!("{text}")
}

/// How the text of [`crashed`] begins.
const CRASHED: &str = "a child crashed: ";

/// Ends the unit: a process that the unit started panicked in the library, hung, or was ended by the system.
#[track_caller]
pub fn crashed(text: impl Display) -> ! {
    panic!("{CRASHED}{text}")
}

thread_local! {
    /// Where this thread panicked last, and the text with it.
    static LAST: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// Keeps what a panic says instead of printing it; [`attempt`] tells.
pub fn keep_panics() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.payload().downcast_ref::<String>().cloned();
        let text = text.or_else(|| info.payload().downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let text = text.unwrap_or_else(|| "a panic without a text".to_owned());
        let place = info.location().map_or_else(String::new, |place| place.to_string());
        let _ = LAST.try_with(|last| *last.borrow_mut() = Some((place, text)));
    }));
}

/// True for a place in the code of this crate: what panics there is the harness, which found something.
pub fn is_ours(place: &str) -> bool {
    place.starts_with("safety/")
}

/// What came of calling something that may panic: an assertion of this crate, or one of the library's.
pub fn attempt(work: impl FnOnce()) -> Option<Failure> {
    let _ = LAST.take();
    catch_unwind(AssertUnwindSafe(work)).err()?;
    let (place, text) = LAST.take().unwrap_or_default();
    let lost = is_ours(&place) && !text.starts_with(CRASHED);
    Some(Failure { lost, text: format!("{place}: {text}") })
}

impl Tally {
    /// All cases.
    pub fn total(&self) -> u64 {
        self.cases + self.states.len() as u64
    }

    /// Counts something that the lane met.
    pub fn count(&mut self, what: &str, n: u64) {
        match self.counters.get_mut(what) {
            Some(counter) => *counter += n,
            None => drop(self.counters.insert(what.to_owned(), n)),
        }
    }

    /// All that the lane met, and how often.
    pub fn counters(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counters.iter().map(|(what, n)| (what.as_str(), *n))
    }

    /// How often the lane met something.
    pub fn counted(&self, what: &str) -> u64 {
        self.counters.get(what).copied().unwrap_or(0)
    }

    /// Notes a failure, and goes on.
    pub fn fail(&mut self, failure: Failure) {
        self.failures.push(failure);
    }

    /// What failed so far.
    #[cfg(test)]
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Fails unless each of these was met at least so often.
    pub fn at_least(&self, wanted: &[(&str, u64)]) -> Result<(), String> {
        let few = wanted.iter().filter(|(what, n)| self.counted(what) < *n);
        let few: Vec<String> = few.map(|(what, n)| format!("{what}: {} of at least {n}", self.counted(what))).collect();
        if few.is_empty() {
            Ok(())
        } else {
            Err(few.join(", "))
        }
    }

    /// The first that failed.
    pub fn first_failure(&self) -> Option<&Failure> {
        self.failures.first()
    }

    /// The result of a lane that did all this.
    pub fn outcome(&self, time: Duration) -> Outcome {
        let lost = self.failures.iter().filter(|failure| failure.lost).count() as u64;
        let crashed = self.failures.len() as u64 - lost;
        Outcome { cases: self.total(), lost, crashed, seconds: time.as_secs_f64() }
    }

    fn add(&mut self, other: Tally) {
        self.cases += other.cases;
        for (what, n) in other.counters() {
            self.count(what, n);
        }
        self.states.extend(other.states);
        self.failures.extend(other.failures);
    }
}

/// How much of a lane is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The units of a standard run.
    Standard,
    /// New units until the time is over.
    For(Duration),
    /// One unit.
    Unit(u64),
}

/// The result of a lane.
#[derive(Debug)]
pub struct Outcome {
    pub cases: u64,
    pub lost: u64,
    pub crashed: u64,
    pub seconds: f64,
}

/// A failure is shown up to this many times; the rest is counted.
const SHOWN: usize = 5;

impl Lane {
    /// Runs units of the lane on as many threads as it may have.
    pub fn run(&self, extent: Extent, seed: u64) -> Outcome {
        let start = Instant::now();
        let next = AtomicU64::new(0);
        let total = Mutex::new(Tally::default());
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
        let jobs = if self.jobs == 0 { processors } else { self.jobs };
        let wanted = |index: u64| match extent {
            Extent::Standard => index < self.standard,
            Extent::Unit(_) => index == 0,
            Extent::For(time) => start.elapsed() < time,
        };
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if !wanted(index) {
                        return;
                    }
                    let index = if let Extent::Unit(unit) = extent { unit } else { index };
                    let tally = self.unit(index, seed);
                    total.lock().expect("no panic while it is held").add(tally);
                });
            }
        });
        let mut tally = total.into_inner().expect("no panic while it was held");
        if extent == Extent::Standard && tally.failures.is_empty() {
            let few = (tally.total() < self.goal)
                .then(|| format!("{} cases, and a standard run has at least {}", tally.total(), self.goal));
            for text in few.into_iter().chain((self.met)(&tally).err()) {
                println!("{}: {text}", self.name);
                tally.fail(Failure { lost: false, text });
            }
        }
        println!("{}: {:?}", self.name, tally.counters);
        tally.outcome(start.elapsed())
    }

    /// Does a short unit, and tells nobody.
    pub fn try_unit(&self, index: u64, seed: u64) -> Tally {
        self.do_unit(index, seed, Tally { short: true, ..Tally::default() })
    }

    fn do_unit(&self, index: u64, seed: u64, mut tally: Tally) -> Tally {
        if let Some(failure) = attempt(|| (self.unit)(index, seed.wrapping_add(index), &mut tally)) {
            tally.fail(failure);
        }
        tally
    }

    fn unit(&self, index: u64, seed: u64) -> Tally {
        let tally = self.do_unit(index, seed, Tally::default());
        for failure in tally.failures.iter().take(SHOWN) {
            let kind = if failure.lost { "LOST" } else { "CRASHED" };
            println!("{}: {kind} in unit {index} (--lane {} --seed {seed} --unit {index})", self.name, self.name);
            println!("{}", failure.text);
        }
        tally
    }
}
