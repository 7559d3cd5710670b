//! Starting a child that writes, hearing what it says, ending it at a moment.
//!
//! ```text
//!   spawn -- listener thread: every line into Heard
//!     wait for the moment's sign ("opening", "open", "closing"), then so long
//!     end (kill it, or cut the power under it) -- what fails from here on is no surprise
//! ```

use super::workload::THREADS;
use super::writer::{Orders, ROLE};
use crate::lane::{crashed, lost};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a child may take for what should take milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// An operation that the child told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    pub n: u64,
    /// 0: not known.
    pub commit: u64,
    pub acknowledged: bool,
    /// Acknowledged before the end began.
    pub in_time: bool,
}

/// What a child said before it died.
#[derive(Debug, Default)]
pub struct Heard {
    pub opening: bool,
    pub open: bool,
    pub in_checkpoint: bool,
    pub checkpoints: u64,
    pub closing: bool,
    pub closed: bool,
    /// The last operations of each thread, in order, from the first that it did.
    pub threads: Vec<Vec<Told>>,
    /// The last commit said to be durable.
    pub durable: u64,
    /// [`Heard::durable`] and [`Heard::closed`] before the end began.
    pub in_time: (u64, bool),
    /// Operations that gave an error: thread, number, code.
    pub failed: Vec<(usize, u64, u32)>,
    /// The first line about an error before the end.
    pub surprise: Option<String>,
}

impl Heard {
    /// Operations that were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.threads.iter().flatten().filter(|told| told.acknowledged).count() as u64
    }

    /// The last lines of what was heard, for a message.
    pub fn brief(&self) -> String {
        let last: Vec<_> = self.threads.iter().map(|told| told.last()).collect();
        let Heard { open, in_checkpoint, closing, closed, durable, in_time, failed, .. } = self;
        format!(
            "open {open}, in a checkpoint {in_checkpoint}, closing {closing}, closed {closed}, durable {durable} \
             ({in_time:?} before the end began), failed {failed:?}, last {last:?}"
        )
    }

    /// Takes in a line; true when the parent may be waiting for it.
    fn understand(&mut self, line: &str, in_time: bool) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |i: usize| words[i].parse::<u64>().expect("a number");
        match words[..] {
            ["opening"] => self.opening = true,
            ["open", _] => self.open = true,
            ["wrote" | "did", _, _, _] => {
                let acknowledged = words[0] == "did";
                let told = Told { n: number(2), commit: number(3), acknowledged, in_time: acknowledged && in_time };
                let thread = &mut self.threads[number(1) as usize];
                match thread.last_mut() {
                    Some(last) if last.n == told.n => *last = told,
                    _ => thread.push(told),
                }
                return false;
            }
            ["durable", _] => {
                self.durable = self.durable.max(number(1));
                return false;
            }
            ["checkpoint"] => {
                self.in_checkpoint = true;
                return false;
            }
            ["checkpointed", _] => {
                self.in_checkpoint = false;
                self.checkpoints = number(1);
                return false;
            }
            ["closing"] => self.closing = true,
            ["closed"] => self.closed = true,
            ["failed", ..] => self.failed.push((number(1) as usize, number(2), number(3) as u32)),
            ["broke", ..] => {}
            _ => return false,
        }
        true
    }
}

/// When to end a child.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// So long after it says that it opens.
    Opening(Duration),
    /// So long after it is open.
    Working(Duration),
    /// So long after it begins to close.
    Closing(Duration),
}

impl Moment {
    fn has_come(&self, heard: &str) -> Option<Duration> {
        let (sign, delay) = match self {
            Moment::Opening(delay) => ("opening", delay),
            Moment::Working(delay) => ("open ", delay),
            Moment::Closing(delay) => ("closing", delay),
        };
        heard.starts_with(sign).then_some(*delay)
    }
}

fn is_error(line: &str) -> bool {
    line.starts_with("failed") || line.starts_with("broke")
}

/// Starts a child, ends it by `end` at the moment, and returns what it said. It is dead when this returns.
pub fn run(orders: &Orders, moment: Moment, end: impl FnOnce(&mut Child)) -> Heard {
    let mut process = super::command(ROLE, &orders.encode()).spawn().expect("a child");
    let out = process.stdout.take().expect("its output");
    let ending = Arc::new(AtomicBool::new(false));
    let (told, hear) = std::sync::mpsc::channel();
    let listener = std::thread::spawn({
        let ending = ending.clone();
        move || {
            let mut heard = Heard { threads: vec![Vec::new(); THREADS as usize], ..Heard::default() };
            for line in BufReader::new(out).lines() {
                let Ok(line) = line else { break };
                let in_time = !ending.load(Ordering::SeqCst);
                // The parent only waits for some of them.
                let tell = heard.understand(&line, in_time);
                if in_time {
                    heard.in_time = (heard.durable, heard.closed);
                    if is_error(&line) {
                        heard.surprise.get_or_insert_with(|| line.clone());
                    }
                }
                if tell {
                    let _ = told.send(line);
                }
            }
            heard
        }
    });
    let deadline = Instant::now() + PATIENCE;
    let delay = loop {
        let Ok(line) = hear.recv_timeout(deadline.saturating_duration_since(Instant::now())) else { break None };
        let delay = moment.has_come(&line);
        if delay.is_some() || is_error(&line) {
            break delay;
        }
    };
    if let Some(delay) = delay {
        std::thread::sleep(delay);
    }
    ending.store(true, Ordering::SeqCst);
    end(&mut process);
    let _ = process.kill();
    let status = process.wait().expect("wait");
    let heard = listener.join().expect("the listener");
    if let Some(surprise) = &heard.surprise {
        lost(format!("an error that nothing called for: {surprise}; {orders:?}"));
    }
    // After a power cut, reading what is mapped ends a process, too.
    let was_ended = matches!(status.signal(), Some(libc::SIGKILL | libc::SIGBUS));
    if delay.is_none() || !(was_ended || heard.closed) {
        crashed(format!("{status}, waited for {moment:?}: {}, {orders:?}", heard.brief()));
    }
    heard
}
