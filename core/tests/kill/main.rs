//! `kill -9` on a real disk: whatever moment the process dies at, what it acknowledged is there.
//!
//! ```text
//!   parent                                   child (this binary again)
//!     start ------------------------------->  open, write with several threads
//!     read "did 2 17" <----- pipe ----------  each acknowledgement before that thread's next write
//!     SIGKILL at a random moment
//!     open, verify, compare                   thread 2 did 17 or 18 operations, never 16
//!     start again on the same file ...
//! ```
//!
//! Half of the checks are made on a copy, so that the next child opens the file as the kill left it,
//! and some children are killed while they do.

mod child;
mod fork;
mod workload;

use child::{Orders, ORDERS};
use nyro::testing::{seed, Rng, TempDir};
use nyro::Database;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use workload::{found, imagine, Owned, Plan, THREADS};

/// Databases, and kills of each.
const DATABASES: u64 = 27;
const KILLS: u64 = 8;

/// How long a child may take for what should take milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a child said before it died.
#[derive(Debug, Default)]
struct Heard {
    opening: bool,
    open: bool,
    in_checkpoint: bool,
    checkpoints: u64,
    closing: bool,
    closed: bool,
    /// Operations acknowledged, one past the last, for each thread that had any.
    done: Vec<Option<u64>>,
}

/// How often a kill hit what.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    creating: u64,
    recovering: u64,
    recovered: u64,
    in_checkpoint: u64,
    closing: u64,
    closed: u64,
    acknowledged: u64,
    checkpoints: u64,
}

/// When to kill.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after the child says that it opens.
    Opening(Duration),
    /// So long after it is open.
    Working(Duration),
    /// So long after it begins to close.
    Closing(Duration),
}

#[test]
fn child() {
    child::run_if_ordered();
}

/// Starts a child, kills it at the moment, and returns what it said up to then.
fn run_and_kill(orders: &Orders, moment: Moment) -> Heard {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]).env(ORDERS, orders.encode());
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("a child");
    let out = process.stdout.take().expect("its output");
    let (told, hear) = std::sync::mpsc::channel();
    let listener = std::thread::spawn(move || {
        let mut heard = Heard { done: vec![None; THREADS as usize], ..Heard::default() };
        for line in BufReader::new(out).lines() {
            let Ok(line) = line else { break };
            let first = understand(&line, &mut heard);
            // The parent only waits for the first of each.
            if first {
                let _ = told.send(line);
            }
        }
        heard
    });
    let (sign, delay) = match moment {
        Moment::Opening(delay) => ("opening", delay),
        Moment::Working(delay) => ("open ", delay),
        Moment::Closing(delay) => ("closing", delay),
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match hear.recv_timeout(left) {
            Ok(line) if line.contains(sign) => break,
            Ok(_) => {}
            Err(e) => {
                let _ = process.kill();
                panic!("the child never said {sign:?} ({e}): {:?} {orders:?}", listener.join());
            }
        }
    }
    std::thread::sleep(delay);
    // SIGKILL. A child that has already closed is a zombie until `wait`.
    process.kill().expect("kill");
    let status = process.wait().expect("wait");
    let heard = listener.join().expect("the listener");
    let killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
    assert!(killed || heard.closed, "the child failed by itself: {status}, {heard:?}, {orders:?}");
    heard
}

/// Takes in a line; true when the parent may be waiting for it.
fn understand(line: &str, heard: &mut Heard) -> bool {
    // The test harness of the child prints the test's name before its first line.
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        [.., "opening"] => heard.opening = true,
        ["open", _] => heard.open = true,
        ["did", thread, n] => {
            let thread: usize = thread.parse().expect("a thread");
            heard.done[thread] = Some(n.parse::<u64>().expect("a number") + 1);
            return false;
        }
        ["checkpoint"] => {
            heard.in_checkpoint = true;
            return false;
        }
        ["checkpointed", done] => {
            heard.in_checkpoint = false;
            heard.checkpoints = done.parse().expect("a number");
            return false;
        }
        ["closing"] => heard.closing = true,
        ["closed"] => heard.closed = true,
        _ => return false,
    }
    true
}

/// What the parent knows of one database.
struct History {
    plan: Plan,
    /// For each thread: operations done, and the documents after them.
    threads: Vec<(u64, Owned)>,
    last_commit: u64,
}

impl History {
    fn new(plan: Plan) -> History {
        History { plan, threads: vec![(0, Owned::new()); THREADS as usize], last_commit: 0 }
    }

    fn done(&self) -> Vec<u64> {
        self.threads.iter().map(|(n, _)| *n).collect()
    }

    /// The database must hold, for each thread, its acknowledged operations, and at most the one after
    /// them, of which the acknowledgement was not heard any more.
    fn check(&mut self, db: &Database, heard: &Heard) {
        db.verify().unwrap_or_else(|e| panic!("verify: {e}; {heard:?}"));
        let found = found(db).expect("a scan");
        for (thread, (found, acknowledged)) in found.iter().zip(&heard.done).enumerate() {
            let (n, owned) = &mut self.threads[thread];
            let target = acknowledged.unwrap_or(*n);
            while *n < target {
                imagine(&self.plan, owned, thread as u64, *n);
                *n += 1;
            }
            if found != owned && heard.open {
                imagine(&self.plan, owned, thread as u64, *n);
                *n += 1;
            }
            let differences: Vec<_> = difference(found, owned);
            assert!(differences.is_empty(), "thread {thread} after {target} acknowledged operations: {differences:?}");
        }
        let commit = db.stats().expect("stats").commit;
        assert!(commit >= self.last_commit, "commit numbers went back from {} to {commit}", self.last_commit);
        self.last_commit = commit;
    }
}

type Difference = ((usize, u64), Option<(u64, usize)>, Option<(u64, usize)>);

fn difference(found: &Owned, expected: &Owned) -> Vec<Difference> {
    let keys: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let both = keys.into_iter().map(|k| (*k, found.get(k).copied(), expected.get(k).copied()));
    both.filter(|(_, found, expected)| found != expected).collect()
}

/// Copies the files of a database, as they are.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("the directory") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

fn moment(rng: &mut Rng, round: u64, opening: Duration) -> Moment {
    let part = |rng: &mut Rng, of: Duration| of.mul_f64(rng.below(1000) as f64 / 1000.0);
    match (round, rng.below(10)) {
        // The file is being made, or recovered.
        (0, 0..=4) | (_, 0..=2) => Moment::Opening(part(rng, opening)),
        (_, 3) => Moment::Closing(part(rng, Duration::from_millis(12))),
        _ => Moment::Working(part(rng, Duration::from_millis(500))),
    }
}

/// One database through all its kills.
fn torment(rng: &mut Rng, durability: u64, tally: &mut Tally) {
    let dir = TempDir::new().expect("a directory");
    let log_max_bytes = *rng.pick(&[64 << 10, 256 << 10, 1 << 20]);
    let plan = Plan { seed: rng.next_u64(), durability, log_max_bytes };
    let mut history = History::new(plan);
    // How long opening took the parent last: the child's takes about as long.
    let mut opening = Duration::from_millis(6);
    let mut clean = true;
    for round in 0..KILLS {
        let moment = moment(rng, round, opening);
        let close_after_ms = matches!(moment, Moment::Closing(_)).then(|| rng.below(200));
        let path = dir.path().join("a.nyro");
        let orders =
            Orders { path: path.to_str().expect("UTF-8").to_owned(), plan, close_after_ms, done: history.done() };
        let heard = run_and_kill(&orders, moment);
        count(tally, &heard, clean, round);
        let aside = TempDir::new().expect("a directory");
        let in_place = rng.chance(0.4);
        let looked_at = if in_place { dir.path() } else { aside.path() };
        if !in_place {
            copy(dir.path(), aside.path());
        }
        let start = Instant::now();
        let db = Database::open_with(looked_at.join("a.nyro"), plan.options()).expect("open after a kill");
        opening = start.elapsed();
        history.check(&db, &heard);
        db.close().expect("close");
        clean = in_place;
    }
}

fn count(tally: &mut Tally, heard: &Heard, clean: bool, round: u64) {
    let opening = heard.opening && !heard.open;
    tally.kills += 1;
    tally.creating += u64::from(opening && round == 0);
    tally.recovering += u64::from(opening && !clean);
    tally.recovered += u64::from(heard.open && !clean);
    tally.in_checkpoint += u64::from(heard.in_checkpoint && !heard.closing);
    tally.closing += u64::from(heard.closing && !heard.closed);
    tally.closed += u64::from(heard.closed);
    tally.checkpoints += heard.checkpoints;
    tally.acknowledged += heard.done.iter().flatten().count() as u64;
}

#[test]
fn whatever_was_acknowledged_survives_kill_9_at_any_moment() {
    if std::env::var(ORDERS).is_ok() {
        return;
    }
    let mut rng = Rng::new(seed(0x6b69_6c6c));
    let mut tally = Tally::default();
    let start = Instant::now();
    for database in 0..DATABASES {
        torment(&mut rng, database % 3, &mut tally);
    }
    println!("{tally:?} in {:?}", start.elapsed());
    assert!(tally.kills >= 60, "{tally:?}");
    assert!(tally.in_checkpoint > 0, "no kill hit a checkpoint: {tally:?}");
    assert!(tally.recovering > 0, "no kill hit a recovery: {tally:?}");
    assert!(tally.recovered > 0, "no child recovered: {tally:?}");
    assert!(tally.creating + tally.closing > 0, "no kill hit the making or the closing of a file: {tally:?}");
    assert!(tally.acknowledged > 0, "nothing was ever acknowledged: {tally:?}");
}
