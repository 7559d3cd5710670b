//! The process that is killed. It says on its standard output what it is about to do and what was acknowledged, one
//! line each, every line in one write:
//!
//! ```text
//!   open                          `Database::open_with` has returned
//!   did <thread> <n>              operation n was acknowledged; written before n + 1 begins
//!   checkpoint | checkpointed     before and after one
//!   closing | closed
//! ```

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nyro::Database;

use super::workload::Plan;
use crate::random::Random;
use crate::report::{Failure, Result};

/// The variable that makes the program a child, and carries its orders.
pub const ORDERS: &str = "NYRO_TORTURE_CHILD";

/// What a child is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orders {
    pub path: PathBuf,
    pub plan: Plan,
    /// Close after so many milliseconds.
    pub work_ms: u64,
    /// Operations that each thread has already done.
    pub done: Vec<u64>,
}

impl Orders {
    /// As the text of the variable.
    pub fn encode(&self) -> std::ffi::OsString {
        let Plan { seed, durability, log_max_bytes, threads } = self.plan;
        let done: Vec<String> = self.done.iter().map(u64::to_string).collect();
        let text = format!("{seed} {durability} {log_max_bytes} {threads} {} {} ", self.work_ms, done.join(","));
        let mut text = std::ffi::OsString::from(text);
        text.push(&self.path);
        text
    }

    /// The orders in the variable's text; `None` if they make no sense.
    fn decode(text: &std::ffi::OsStr) -> Option<Orders> {
        use std::os::unix::ffi::OsStrExt;
        let mut parts = text.as_bytes().splitn(7, |b| *b == b' ');
        let mut part = || std::str::from_utf8(parts.next()?).ok();
        let mut number = || part()?.parse::<u64>().ok();
        let plan = Plan { seed: number()?, durability: number()?, log_max_bytes: number()?, threads: number()? };
        let work_ms = number()?;
        let done = part()?.split(',').map(|n| n.parse().ok()).collect::<Option<Vec<u64>>>()?;
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(parts.next()?));
        (done.len() as u64 == plan.threads).then_some(Orders { path, plan, work_ms, done })
    }
}

fn say(line: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    // A parent that is gone is a reason to end.
    let said = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
    said.map_err(|e| Failure::write(None, e))
}

/// Runs the child, if this process is one. It ends by being killed, or after closing.
pub fn run_if_ordered() -> Option<Result<()>> {
    let text = std::env::var_os(ORDERS)?;
    let wrong = || Failure::Engine(nyro::Error::InvalidArgument(format!("{ORDERS} makes no sense")));
    Some(Orders::decode(&text).ok_or_else(wrong).and_then(|orders| run(&orders)))
}

fn run(orders: &Orders) -> Result<()> {
    let db = Database::open_with(&orders.path, orders.plan.options())?;
    say("open")?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for thread in 0..orders.plan.threads {
            let (db, stop) = (&db, &stop);
            threads.push(scope.spawn(move || write(db, orders, thread, stop)));
        }
        threads.push(scope.spawn(|| checkpoints(&db, orders, &stop)));
        std::thread::sleep(Duration::from_millis(orders.work_ms));
        stop.store(true, Ordering::Relaxed);
        let gone = || Failure::Engine(nyro::Error::Internal("a thread panicked".into()));
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(gone())))
    })?;
    say("closing")?;
    db.close()?;
    say("closed")
}

fn write(db: &Database, orders: &Orders, thread: u64, stop: &AtomicBool) -> Result<()> {
    let mut n = orders.done[thread as usize];
    while !stop.load(Ordering::Relaxed) {
        orders.plan.perform(db, thread, n)?;
        say(&format!("did {thread} {n}"))?;
        n += 1;
    }
    Ok(())
}

fn checkpoints(db: &Database, orders: &Orders, stop: &AtomicBool) -> Result<()> {
    let mut random = Random::new(orders.plan.seed ^ orders.work_ms);
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(random.below(30)));
        say("checkpoint")?;
        db.checkpoint()?;
        say("checkpointed")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_arrive_as_they_were_given() {
        let plan = Plan { seed: u64::MAX, durability: 1, log_max_bytes: 65536, threads: 3 };
        let orders = Orders { path: "/a dir/with spaces/ä.nyro".into(), plan, work_ms: 5, done: vec![0, 7, 12] };
        assert_eq!(Orders::decode(&orders.encode()), Some(orders));
        for text in ["", "1 2 3", "1 2 3 4 5 6 path", "1 2 3 2 5 x,y path"] {
            assert_eq!(Orders::decode(text.as_ref()), None, "{text}");
        }
    }
}
