//! `nyro torture`: kills writers on this disk, and looks whether anything that was acknowledged is missing.
//!
//! ```text
//!   parent                                   child (this program again)
//!     start ------------------------------->  open, write with several threads, checkpoint, close
//!     read "did 2 17" <----- pipe ----------  each acknowledgement, before that thread's next write
//!     SIGKILL at a random moment
//!     open, verify, compare                   thread 2 did 17 or 18 operations, never 16
//!     start again on the same file ...
//! ```
//!
//! A kill takes the process and leaves the system: what this proves is that a crash of the program loses nothing.
//! A power loss needs a switch. Half of the checks are made on a copy, so that the next child finds the file as the
//! kill left it and is killed while it recovers.

pub mod child;
mod workload;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nyro::{Database, Error};
use serde_json::json;

use crate::args::Torture;
use crate::bench::Folder;
use crate::progress;
use crate::random::{fresh_seed, Random};
use crate::report::{count, grouped, print, Failure, Result};
use child::Orders;
use workload::{Owned, Plan};

/// Kills of one file before the next is made.
const KILLS_OF_A_FILE: u64 = 12;

/// A child works for so many milliseconds before it closes, unless it is killed.
const WORK_MS: u64 = 400;

/// What all kills found.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    files: u64,
    while_opening: u64,
    in_checkpoint: u64,
    while_closing: u64,
    ended_before: u64,
    acknowledged: u64,
}

/// What a child said before it died.
#[derive(Debug, Default)]
struct Heard {
    open: bool,
    in_checkpoint: bool,
    closing: bool,
    closed: bool,
    /// Operations acknowledged in all, one past the last, for each thread that had any.
    done: Vec<Option<u64>>,
}

/// Runs the verb.
pub fn run(args: &Torture, json: bool) -> Result<()> {
    let seed = args.seed.unwrap_or_else(fresh_seed);
    if !json {
        print(&format!("seed {seed}\n"))?;
    }
    let token = progress::interruption();
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    let start = Instant::now();
    let is_over = |tally: &Tally| match args.kills {
        Some(kills) => tally.kills >= kills,
        None => start.elapsed() >= Duration::from_secs_f64(args.seconds.0),
    };
    while !is_over(&tally) {
        let folder = Folder::new(&args.dir, "torture")?;
        let plan = Plan::new(&mut random, tally.files, args.threads);
        tally.files += 1;
        let mut history = History::new(plan);
        for _ in 0..KILLS_OF_A_FILE {
            let kill = kill_once(&folder, &mut history, &mut random, &mut tally);
            if token.is_cancelled() {
                return Err(Error::Cancelled.into());
            }
            if let Err(wrong) = kill {
                return Err(wrong.failure(folder, seed, tally.kills));
            }
            if is_over(&tally) {
                break;
            }
        }
    }
    say(&tally, seed, start.elapsed(), json)
}

/// Why a round did not end well.
#[derive(Debug)]
enum Wrong {
    /// What was acknowledged is not there, or what is there is not whole.
    Lost(String),
    /// Something else failed.
    Failed(Failure),
}

impl From<Failure> for Wrong {
    fn from(failure: Failure) -> Wrong {
        Wrong::Failed(failure)
    }
}

impl Wrong {
    fn failure(self, folder: Folder, seed: u64, kills: u64) -> Failure {
        match self {
            Wrong::Failed(failure) => failure,
            Wrong::Lost(reason) => Failure::Lost { seed, kills, reason, kept: folder.keep() },
        }
    }
}

/// What is known of one file.
struct History {
    plan: Plan,
    /// For each thread: operations done, and the documents after them.
    threads: Vec<(u64, Owned)>,
    last_commit: u64,
}

impl History {
    fn new(plan: Plan) -> History {
        History { plan, threads: vec![(0, Owned::new()); plan.threads as usize], last_commit: 0 }
    }

    /// The file must hold, for each thread, its acknowledged operations, and at most the one after them, of which the
    /// acknowledgement was not heard any more.
    fn check(&mut self, db: &Database, heard: &Heard) -> Result<(), Wrong> {
        db.verify().map_err(|e| Wrong::Lost(format!("verify: {e}")))?;
        let found = workload::found(db, &self.plan).map_err(Wrong::Lost)?;
        for (thread, (found, acknowledged)) in found.iter().zip(&heard.done).enumerate() {
            let (done, owned) = &mut self.threads[thread];
            let target = acknowledged.unwrap_or(*done);
            while *done < target {
                self.plan.imagine(owned, thread as u64, *done);
                *done += 1;
            }
            if found != owned && heard.open {
                self.plan.imagine(owned, thread as u64, *done);
                *done += 1;
            }
            if found != owned {
                let difference = workload::difference(found, owned);
                return Err(Wrong::Lost(format!(
                    "thread {thread} was told that {target} operations are done, but {difference}"
                )));
            }
        }
        let commit = db.stats().map_err(|e| Wrong::Failed(e.into()))?.commit;
        if commit < self.last_commit {
            return Err(Wrong::Lost(format!("commit numbers went back from {} to {commit}", self.last_commit)));
        }
        self.last_commit = commit;
        Ok(())
    }
}

/// One child, its death, and the look at what it left.
fn kill_once(folder: &Folder, history: &mut History, random: &mut Random, tally: &mut Tally) -> Result<(), Wrong> {
    let path = folder.path().join("a.nyro");
    let done = history.threads.iter().map(|(done, _)| *done).collect();
    let work_ms = 20 + random.below(WORK_MS);
    let orders = Orders { path: path.clone(), plan: history.plan, work_ms, done };
    // From before the file is open until after it was closed.
    let heard = run_and_kill(&orders, Duration::from_micros(random.below((work_ms + 60) * 1000)))?;
    tally.kills += u64::from(!heard.closed);
    tally.ended_before += u64::from(heard.closed);
    tally.while_opening += u64::from(!heard.open);
    tally.in_checkpoint += u64::from(heard.in_checkpoint && !heard.closing);
    tally.while_closing += u64::from(heard.closing && !heard.closed);
    let before: u64 = history.threads.iter().map(|(done, _)| *done).sum();
    let aside = folder.path().join("copy");
    let look_at = match random.chance(50) {
        true => path,
        false => {
            copy(folder.path(), &aside)?;
            aside.join("a.nyro")
        }
    };
    let db = Database::open_with(&look_at, history.plan.options()).map_err(|e| Wrong::Lost(format!("opening: {e}")))?;
    history.check(&db, &heard)?;
    db.close().map_err(|e| Wrong::Failed(e.into()))?;
    let _ = fs::remove_dir_all(&aside);
    let after: u64 = history.threads.iter().map(|(done, _)| *done).sum();
    tally.acknowledged += after - before;
    Ok(())
}

/// Starts a child, kills it after `delay`, and gives what it said up to then.
fn run_and_kill(orders: &Orders, delay: Duration) -> Result<Heard, Wrong> {
    let failed = |doing: &str| {
        let doing = doing.to_owned();
        move |error| Wrong::Failed(Failure::Io { doing, error })
    };
    let program = std::env::current_exe().map_err(failed("finding this program"))?;
    let mut command = Command::new(program);
    command.env(child::ORDERS, orders.encode()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = command.spawn().map_err(failed("starting a child"))?;
    let out = process.stdout.take();
    let threads = orders.plan.threads as usize;
    let listener = std::thread::spawn(move || {
        let mut heard = Heard { done: vec![None; threads], ..Heard::default() };
        for line in out.into_iter().flat_map(|out| BufReader::new(out).lines()) {
            let Ok(line) = line else { break };
            understand(&line, &mut heard);
        }
        heard
    });
    std::thread::sleep(delay);
    // SIGKILL. A child that has already closed is only waited for.
    process.kill().map_err(failed("killing a child"))?;
    let status = process.wait().map_err(failed("waiting for a child"))?;
    let Ok(heard) = listener.join() else {
        return Err(Wrong::Failed(Error::Internal("the listener panicked".into()).into()));
    };
    let killed = std::os::unix::process::ExitStatusExt::signal(&status).is_some();
    if !killed && !heard.closed {
        let error = std::io::Error::other(format!("it ended by itself: {status}"));
        return Err(failed("a child that writes")(error));
    }
    Ok(heard)
}

fn understand(line: &str, heard: &mut Heard) {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["open"] => heard.open = true,
        ["did", thread, n] => {
            let place = thread.parse::<usize>().ok().and_then(|thread| heard.done.get_mut(thread));
            if let (Some(place), Ok(n)) = (place, n.parse::<u64>()) {
                *place = Some(n + 1);
            }
        }
        ["checkpoint"] => heard.in_checkpoint = true,
        ["checkpointed"] => heard.in_checkpoint = false,
        ["closing"] => heard.closing = true,
        ["closed"] => heard.closed = true,
        _ => {}
    }
}

/// Copies the files of a database, as they are.
fn copy(from: &Path, to: &Path) -> Result<(), Wrong> {
    let copied = || {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
        Ok(())
    };
    copied().map_err(|error| Wrong::Failed(Failure::Io { doing: format!("copying to {}", to.display()), error }))
}

fn say(tally: &Tally, seed: u64, took: Duration, json: bool) -> Result<()> {
    let Tally { kills, files, while_opening, in_checkpoint, while_closing, ended_before, acknowledged } = *tally;
    if json {
        return print(&format!(
            "{}\n",
            json!({
                "seed": seed, "kills": kills, "files": files, "while_opening": while_opening,
                "in_checkpoint": in_checkpoint, "while_closing": while_closing, "ended_before": ended_before,
                "acknowledged": acknowledged, "lost": 0, "seconds": took.as_secs_f64(),
            })
        ));
    }
    print(&format!(
        "{} of {} ({} while it was opened, {} in a checkpoint, {} while it was closed; {} came too late)\n\
         {} acknowledged, none lost, every file sound ({:.1} s)\n",
        count(kills, "kill", "kills"),
        count(files, "file", "files"),
        grouped(while_opening),
        grouped(in_checkpoint),
        grouped(while_closing),
        grouped(ended_before),
        count(acknowledged, "operation was", "operations were"),
        took.as_secs_f64()
    ))
}
