//! Counting and timing, so that what is measured does not notice.
//!
//! ```text
//!   thread a --> line 0 [ gets | ids | scanned ]     its own while it lives: a load and a store
//!   thread b --> line 1 [ ...                  ]
//!   ...
//!   all beyond LINES --> the last line               shared: atomic additions
//!
//!   histogram <-- one get of 256 of each line, one commit of 16 (all of them under `Sync`),
//!                 every sync, every checkpoint, every wait for the writer
//! ```
//!
//! A get takes some 300 ns, and two looks at the clock a sixth of that: so few gets are timed. Which of them does
//! not depend on what they do, so the percentiles are those of all.

use crate::env::Env;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};
use hdrhistogram::Histogram as Hdr;
use std::cell::Cell;
use std::time::Duration;

/// Threads that have a line of their own.
const LINES: usize = 128;

/// One get of so many of each thread is timed, and one commit of so many.
const GETS_TO_A_TIMED_ONE: u64 = 256;
const COMMITS_TO_A_TIMED_ONE: u64 = 16;

/// Lines that no thread has. A number is not lost with a thread: the next one counts on from there.
static FREE_LINES: Mutex<FreeLines> = Mutex::new(FreeLines { given_back: Vec::new(), fresh: 0 });

struct FreeLines {
    given_back: Vec<usize>,
    fresh: usize,
}

/// Gives the line back when its thread ends.
struct OwnLine;

impl OwnLine {
    fn take() -> OwnLine {
        let mut free = FREE_LINES.lock();
        let line = free.given_back.pop().unwrap_or_else(|| {
            let fresh = free.fresh;
            free.fresh = (fresh + 1).min(LINES);
            fresh
        });
        LINE.with(|own| own.set(line));
        OwnLine
    }
}

impl Drop for OwnLine {
    fn drop(&mut self) {
        let line = LINE.with(|own| own.replace(LINES));
        if line < LINES {
            FREE_LINES.lock().given_back.push(line);
        }
    }
}

const NOT_TAKEN: usize = usize::MAX;

thread_local! {
    static LINE: Cell<usize> = const { Cell::new(NOT_TAKEN) };
    static OWN: OwnLine = OwnLine::take();
}

/// The line of this thread; `LINES` for the shared one.
#[inline]
pub fn own_line() -> usize {
    if cfg!(shuttle) {
        // Tasks are one thread.
        return LINES;
    }
    match LINE.with(Cell::get) {
        NOT_TAKEN => take_line(),
        line => line,
    }
}

#[cold]
fn take_line() -> usize {
    // While the thread ends it may be too late for a line of its own.
    match OWN.try_with(|_| ()) {
        Ok(()) => LINE.with(Cell::get).min(LINES),
        Err(_) => LINES,
    }
}

/// Counters of one thread, on cache lines that no other thread touches.
#[repr(align(128))]
#[derive(Default)]
struct Line {
    gets: AtomicU64,
    ids: AtomicU64,
    scanned: AtomicU64,
}

/// Adds to a counter of line `line`; gives what it was before.
#[inline]
fn add(counter: &AtomicU64, line: usize, n: u64) -> u64 {
    if line == LINES {
        return counter.fetch_add(n, Ordering::Relaxed);
    }
    // Nobody else writes to this line. The thread that had it before gave it back under a lock.
    let before = counter.load(Ordering::Relaxed);
    counter.store(before.wrapping_add(n), Ordering::Relaxed);
    before
}

/// What was read since opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadCounts {
    /// Documents looked up one by one.
    pub gets: u64,
    /// Documents looked up as one of many.
    pub ids: u64,
    /// Documents given by scans.
    pub scanned: u64,
}

/// Counters and histograms of one database.
pub struct Meter {
    lines: Box<[Line]>,
    /// A power of two less one: an operation is timed when its number has none of these bits.
    get_mask: AtomicU64,
    commit_mask: AtomicU64,
    usual_commit_mask: u64,
    /// Operations that take longer are told to the event hook; `u64::MAX` for none.
    slow_nanos: AtomicU64,
    /// Looking up one document.
    pub get: Histogram,
    /// A commit up to its acknowledgement.
    pub commit: Histogram,
    /// Waiting for the writer's turn.
    pub writer_wait: Histogram,
    /// Syncs of the log.
    pub log_sync: Arc<Histogram>,
    /// Checkpoints.
    pub checkpoint: Histogram,
}

impl Meter {
    /// Nothing counted yet. `slow_commits`: commits wait for the disk, so that all of them can be timed.
    pub fn new(slow_commits: bool) -> Meter {
        let usual_commit_mask = if slow_commits { 0 } else { COMMITS_TO_A_TIMED_ONE - 1 };
        Meter {
            lines: (0..=LINES).map(|_| Line::default()).collect(),
            get_mask: AtomicU64::new(GETS_TO_A_TIMED_ONE - 1),
            commit_mask: AtomicU64::new(usual_commit_mask),
            usual_commit_mask,
            slow_nanos: AtomicU64::new(u64::MAX),
            get: Histogram::new(),
            commit: Histogram::new(),
            writer_wait: Histogram::new(),
            log_sync: Arc::new(Histogram::new()),
            checkpoint: Histogram::new(),
        }
    }

    /// Counts a get; true if it is one to be timed.
    #[inline]
    pub fn count_get(&self) -> bool {
        let line = own_line();
        let number = add(&self.lines[line].gets, line, 1);
        number & self.get_mask.load(Ordering::Relaxed) == 0
    }

    /// Counts ids looked up together.
    #[inline]
    pub fn count_ids(&self, n: usize) {
        let line = own_line();
        add(&self.lines[line].ids, line, n as u64);
    }

    /// Counts documents given by a scan.
    pub fn count_scanned(&self, n: u64) {
        let line = own_line();
        add(&self.lines[line].scanned, line, n);
    }

    /// True if the commit of this number is one to be timed.
    #[inline]
    pub fn times_commit(&self, number: u64) -> bool {
        number & self.commit_mask.load(Ordering::Relaxed) == 0
    }

    /// Operations that take longer than `threshold` are slow; all are timed from now on, so that none is missed.
    /// `None`: none is slow, and as few are timed as usual.
    pub fn set_slow(&self, threshold: Option<Duration>) {
        let (get, commit) = match threshold {
            Some(_) => (0, 0),
            None => (GETS_TO_A_TIMED_ONE - 1, self.usual_commit_mask),
        };
        self.slow_nanos.store(threshold.map_or(u64::MAX, nanos), Ordering::Relaxed);
        self.get_mask.store(get, Ordering::Relaxed);
        self.commit_mask.store(commit, Ordering::Relaxed);
    }

    /// True if an operation that took so long is a slow one.
    pub fn is_slow(&self, took: Duration) -> bool {
        nanos(took) > self.slow_nanos.load(Ordering::Relaxed)
    }

    /// What was read so far, by all threads.
    pub fn reads(&self) -> ReadCounts {
        let sum = |counter: fn(&Line) -> &AtomicU64| {
            self.lines.iter().fold(0u64, |sum, line| sum.wrapping_add(counter(line).load(Ordering::Relaxed)))
        };
        ReadCounts { gets: sum(|line| &line.gets), ids: sum(|line| &line.ids), scanned: sum(|line| &line.scanned) }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How long operations of one kind took. All figures but `count` are nanoseconds, right within 1 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// Operations that were timed. Where one of many is, there were that many times more.
    pub count: u64,
    /// Half of them took no longer.
    pub p50: u64,
    /// Nine of ten took no longer.
    pub p90: u64,
    /// 99 of 100 took no longer.
    pub p99: u64,
    /// 999 of 1000 took no longer.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

/// Times, as a histogram with two digits: from a nanosecond to hours in some 40 KB, made as they come.
pub struct Histogram(Mutex<Hdr<u64>>);

impl Histogram {
    /// Without a time in it.
    pub fn new() -> Histogram {
        let empty = Hdr::new(2);
        Histogram(Mutex::new(empty.unwrap_or_else(|_| unreachable!("two digits are a precision that there is"))))
    }

    /// Adds a time.
    pub fn record(&self, took: Duration) {
        // It grows to whatever comes: every number of nanoseconds finds its place.
        let _ = self.0.lock().record(nanos(took));
    }

    /// Its percentiles.
    pub fn latency(&self) -> Latency {
        let times = self.0.lock();
        let at = |part| times.value_at_quantile(part);
        Latency {
            count: times.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: if times.is_empty() { 0 } else { times.max() },
        }
    }
}

/// Times one kind of operation below the engine.
#[derive(Clone)]
pub struct Timer {
    env: Arc<dyn Env>,
    times: Arc<Histogram>,
}

impl std::fmt::Debug for Timer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Timer")
    }
}

impl Timer {
    /// A timer by the clock of `env`, into `times`.
    pub fn new(env: Arc<dyn Env>, times: Arc<Histogram>) -> Timer {
        Timer { env, times }
    }

    /// One whose times nobody asks for.
    #[cfg(test)]
    pub fn of_nobody() -> Timer {
        Timer::new(Arc::new(crate::env::SystemEnv::new()), Arc::new(Histogram::new()))
    }

    /// Runs `work`, timed.
    pub fn time<R>(&self, work: impl FnOnce() -> R) -> R {
        let start = self.env.monotonic();
        let result = work();
        self.times.record(self.env.monotonic().saturating_sub(start));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_when_threads_come_and_go_or_are_too_many_for_lines_of_their_own() {
        let meter = Meter::new(false);
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..LINES + 20 {
                    scope.spawn(|| {
                        for _ in 0..100 {
                            meter.count_get();
                        }
                        meter.count_ids(7);
                        meter.count_scanned(3);
                    });
                }
            });
        }
        let threads = 3 * (LINES as u64 + 20);
        assert_eq!(meter.reads(), ReadCounts { gets: threads * 100, ids: threads * 7, scanned: threads * 3 });
    }

    #[test]
    fn two_threads_that_live_at_a_time_never_have_the_same_line() {
        let taken = Mutex::new(Vec::new());
        let all_there = std::sync::Barrier::new(40);
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    taken.lock().push(own_line());
                    all_there.wait();
                });
            }
        });
        let mut taken: Vec<usize> = taken.lock().iter().copied().filter(|line| *line < LINES).collect();
        taken.sort_unstable();
        let before = taken.len();
        taken.dedup();
        assert_eq!(taken.len(), before, "{taken:?}");
    }

    #[test]
    fn one_get_of_256_is_timed_and_every_one_while_slow_ones_are_told() {
        let meter = Meter::new(false);
        let timed = |n: u64| (0..n).filter(|_| meter.count_get()).count();
        assert_eq!(timed(256 * 4), 4);
        meter.set_slow(Some(Duration::from_millis(2)));
        assert_eq!(timed(100), 100);
        assert!(meter.is_slow(Duration::from_millis(3)) && !meter.is_slow(Duration::from_millis(2)));
        meter.set_slow(None);
        assert!(!meter.is_slow(Duration::from_secs(1 << 30)));
        assert_eq!((0..160).filter(|n| meter.times_commit(*n)).count(), 10);
        assert!((0..160).all(|n| Meter::new(true).times_commit(n)));
    }

    #[test]
    fn percentiles_are_right_within_a_hundredth_whatever_comes() {
        let times = Histogram::new();
        assert_eq!(times.latency(), Latency::default());
        (1..=100_000u64).for_each(|n| times.record(Duration::from_nanos(n)));
        let close = |got: u64, is: u64| assert!(got >= is && got - is <= is / 100 + 1, "{got} for {is}");
        let Latency { count, p50, p90, p99, p999, max } = times.latency();
        assert_eq!(count, 100_000);
        for (got, is) in [(p50, 50_000), (p90, 90_000), (p99, 99_000), (p999, 99_900), (max, 100_000)] {
            close(got, is);
        }
        times.record(Duration::ZERO);
        times.record(Duration::MAX);
        assert_eq!(times.latency().count, 100_002);
        assert_eq!(times.latency().max, u64::MAX);
    }
}
