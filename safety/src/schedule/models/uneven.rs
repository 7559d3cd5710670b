//! A scheduler under which tasks are of very different speed, and of another one every now and then.
//!
//! ```text
//!   task a   ||||||||||||||||||||....|....          a sync that takes as long as ten transactions,
//!   task b   .....|.....|........||||||||||         a reader that is overtaken by two checkpoints
//! ```
//!
//! Where each task is equally likely at each point, all of them move on at one pace, and what is short in points stays
//! short in time: a lost wake-up of the syncer was not seen in thousands of such schedules, and is seen here at once.

use nyro::testing::Rng;
use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

/// See the module's text.
pub struct Uneven {
    seeds: Rng,
    left: usize,
    rng: Rng,
    /// How fast each task is: a power of two. Task 0 only waits for the others.
    weights: Vec<u64>,
}

/// The fastest is so many times as fast as the slowest, as a power of two.
const SPREAD: u64 = 10;

/// After about so many points the speeds are others.
const CHANGE: u64 = 150;

impl Uneven {
    pub fn new(seed: u64, schedules: usize) -> Uneven {
        Uneven { seeds: Rng::new(seed), left: schedules, rng: Rng::new(0), weights: Vec::new() }
    }

    fn weight(&mut self, task: TaskId) -> u64 {
        let task = usize::from(task);
        while self.weights.len() <= task {
            self.weights.push(1 << self.rng.below(SPREAD));
        }
        self.weights[task]
    }
}

impl Scheduler for Uneven {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.left = self.left.checked_sub(1)?;
        let seed = self.seeds.next_u64();
        self.rng = Rng::new(seed);
        self.weights.clear();
        Some(Schedule::new(seed))
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, yields: bool) -> Option<TaskId> {
        if self.rng.below(CHANGE) == 0 {
            self.weights.clear();
        }
        // Who has nothing to do but to wait lets the others go first.
        let waits = |task: TaskId| yields && Some(task) == current && runnable.len() > 1;
        let tasks: Vec<TaskId> = runnable.iter().map(|task| task.id()).filter(|task| !waits(*task)).collect();
        let weights: Vec<u64> = tasks.iter().map(|task| self.weight(*task)).collect();
        let mut at = self.rng.below(weights.iter().sum());
        let chosen = weights.iter().position(|weight| match at.checked_sub(*weight) {
            Some(rest) => {
                at = rest;
                false
            }
            None => true,
        });
        chosen.map(|chosen| tasks[chosen])
    }

    fn next_u64(&mut self) -> u64 {
        self.rng.next_u64()
    }
}
