//! The child that writes until it is ended. It says on its standard output what it is about to do and what was
//! acknowledged, one line each, every line in one write:
//!
//! ```text
//!   opening | open <replayed commits>       before and after `Database::open_with`
//!   wrote <thread> <n> <commit>             operation n is visible, and not acknowledged yet
//!   did <thread> <n> <commit>               operation n was acknowledged; said before n + 1 begins; commit 0: unknown
//!   durable <commit>                        `sync` has returned, called after that commit
//!   checkpoint | checkpointed <done>        before and after a checkpoint
//!   closing | closed
//!   failed <thread> <n> <code> <text>       operation n gave an error; the thread stops
//!   broke <call> <text>                     another call gave an error
//! ```

use super::say;
use super::workload::{begin, perform, Plan, THREADS};
use nyro::testing::Rng;
use nyro::{Database, Durability, Result};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The role of this child.
pub const ROLE: &str = "write";

/// What the parent asks of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orders {
    pub path: String,
    pub plan: Plan,
    /// Close after so many milliseconds.
    pub close_after_ms: Option<u64>,
    /// Operations that each thread has already done.
    pub done: Vec<u64>,
}

impl Orders {
    pub fn encode(&self) -> String {
        let Plan { seed, durability, log_max_bytes, ids } = self.plan;
        let close = self.close_after_ms.map_or(-1, |ms| ms as i64);
        let done: Vec<String> = self.done.iter().map(u64::to_string).collect();
        format!("{seed} {durability} {log_max_bytes} {ids} {close} {} {}", done.join(","), self.path)
    }

    fn decode(text: &str) -> Orders {
        let parts: Vec<&str> = text.splitn(7, ' ').collect();
        let number = |i: usize| parts[i].parse::<u64>().expect("a number");
        Orders {
            plan: Plan { seed: number(0), durability: number(1), log_max_bytes: number(2), ids: number(3) },
            close_after_ms: parts[4].parse().ok(),
            done: parts[5].split(',').map(|n| n.parse().expect("a number")).collect(),
            path: parts[6].to_owned(),
        }
    }
}

/// Runs the child. It ends by being killed, or after closing.
pub fn run(orders: &str) {
    let orders = Orders::decode(orders);
    say("opening");
    let db = need("open", Database::open_with(Path::new(&orders.path), orders.plan.options()));
    let replayed = need("stats", db.stats()).replayed_commits;
    say(&format!("open {replayed}"));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (db, orders, stop) = (&db, &orders, &stop);
            scope.spawn(move || write(db, orders, thread, stop));
        }
        scope.spawn(|| checkpoints(&db, orders.plan.seed, &stop));
        if let Some(ms) = orders.close_after_ms {
            std::thread::sleep(Duration::from_millis(ms));
            stop.store(true, Ordering::Relaxed);
        }
    });
    say("closing");
    need("close", db.close());
    say("closed");
}

/// Gives what a call gave; after an error waits for the end.
fn need<T>(call: &str, result: Result<T>) -> T {
    result.unwrap_or_else(|e| {
        say(&format!("broke {call} {e}"));
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    })
}

fn write(db: &Database, orders: &Orders, thread: u64, stop: &AtomicBool) {
    let mut rng = Rng::new(orders.plan.seed ^ thread);
    let mut n = orders.done[thread as usize];
    while !stop.load(Ordering::Relaxed) {
        if let Err(e) = operation(db, &orders.plan, thread, n, &mut rng) {
            say(&format!("failed {thread} {n} {} {e}", e.code()));
            return;
        }
        n += 1;
    }
}

/// One operation, by one of the two ways to write.
fn operation(db: &Database, plan: &Plan, thread: u64, n: u64, rng: &mut Rng) -> Result<()> {
    if rng.chance(0.3) {
        perform(plan, db, thread, n)?;
        say(&format!("did {thread} {n} 0"));
        return Ok(());
    }
    let ticket = begin(plan, db, thread, n)?;
    let commit = ticket.commit();
    if plan.options().durability == Durability::Sync {
        say(&format!("wrote {thread} {n} {commit}"));
        ticket.wait()?;
    }
    say(&format!("did {thread} {n} {commit}"));
    if rng.chance(0.03) {
        need("sync", db.sync());
        say(&format!("durable {commit}"));
    }
    Ok(())
}

fn checkpoints(db: &Database, seed: u64, stop: &AtomicBool) {
    let mut rng = Rng::new(seed);
    // Where they are rare, a power cut finds more that is not durable.
    let pause = *rng.pick(&[30, 30, 300]);
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(rng.below(pause)));
        say("checkpoint");
        need("checkpoint", db.checkpoint());
        let done = need("stats", db.stats()).checkpoints;
        say(&format!("checkpointed {done}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_arrive_as_they_were_given() {
        let plan = Plan { seed: u64::MAX, durability: 1, log_max_bytes: 65536, ids: 40 };
        let orders = Orders { path: "/a dir/ä.nyro".into(), plan, close_after_ms: None, done: vec![0, 7, 12, 3] };
        assert_eq!(Orders::decode(&orders.encode()), orders);
    }
}
