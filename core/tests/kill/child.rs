//! The process that is killed. It says on its standard output what it is about to do and what was
//! acknowledged, one line each, every line in one write:
//!
//! ```text
//!   opening | open <replayed commits>       before and after `Database::open_with`
//!   did <thread> <n>                        operation n was acknowledged; written before n + 1 begins
//!   checkpoint | checkpointed <done>        before and after a checkpoint
//!   closing | closed
//! ```

use crate::workload::{perform, Plan, THREADS};
use nyro::testing::Rng;
use nyro::Database;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The variable that makes the test binary a child, and carries its orders.
pub const ORDERS: &str = "NYRO_KILL_CHILD";

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
        let Plan { seed, durability, log_max_bytes } = self.plan;
        let close = self.close_after_ms.map_or(-1, |ms| ms as i64);
        let done: Vec<String> = self.done.iter().map(u64::to_string).collect();
        format!("{seed} {durability} {log_max_bytes} {close} {} {}", done.join(","), self.path)
    }

    fn decode(text: &str) -> Orders {
        let parts: Vec<&str> = text.splitn(6, ' ').collect();
        let number = |i: usize| parts[i].parse::<u64>().expect("a number");
        Orders {
            plan: Plan { seed: number(0), durability: number(1), log_max_bytes: number(2) },
            close_after_ms: parts[3].parse().ok(),
            done: parts[4].split(',').map(|n| n.parse().expect("a number")).collect(),
            path: parts[5].to_owned(),
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that is gone is no reason to go on.
    out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).expect("the parent reads");
}

/// Runs the child, if this process is one. It ends by being killed, or after closing.
pub fn run_if_ordered() -> bool {
    let Ok(text) = std::env::var(ORDERS) else { return false };
    let orders = Orders::decode(&text);
    say("opening");
    let db = Database::open_with(Path::new(&orders.path), orders.plan.options()).expect("open");
    say(&format!("open {}", db.stats().expect("stats").replayed_commits));
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
    db.close().expect("close");
    say("closed");
    true
}

fn write(db: &Database, orders: &Orders, thread: u64, stop: &AtomicBool) {
    let mut n = orders.done[thread as usize];
    while !stop.load(Ordering::Relaxed) {
        perform(&orders.plan, db, thread, n).expect("a write");
        say(&format!("did {thread} {n}"));
        n += 1;
    }
}

fn checkpoints(db: &Database, seed: u64, stop: &AtomicBool) {
    let mut rng = Rng::new(seed);
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(rng.below(30)));
        say("checkpoint");
        db.checkpoint().expect("a checkpoint");
        say(&format!("checkpointed {}", db.stats().expect("stats").checkpoints));
    }
}
