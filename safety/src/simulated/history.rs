//! What was promised when: the states after each commit, and the disk operations by which each was begun,
//! acknowledged, and promised to survive a power cut.

use super::model::Model;

/// See the module's text. Numbers of states are indexes into `states`.
#[derive(Debug, Clone)]
pub struct History {
    pub states: Vec<Model>,
    started: Vec<(u64, usize)>,
    done: Vec<(u64, usize)>,
    durable: Vec<(u64, usize)>,
    /// Commit numbers that somebody was told, with the disk operations.
    numbers: Vec<(u64, u64)>,
    /// A sync failed: what only the system's cache holds may be gone when the process is.
    doubted: bool,
}

fn last(list: &[(u64, usize)], holds: impl Fn(u64) -> bool) -> usize {
    list.iter().rev().find(|(operation, _)| holds(*operation)).map_or(0, |(_, state)| *state)
}

impl History {
    /// Begins with a content that is durable.
    pub fn new(first: Model) -> History {
        History {
            states: vec![first],
            started: Vec::new(),
            done: Vec::new(),
            durable: Vec::new(),
            numbers: Vec::new(),
            doubted: false,
        }
    }

    /// A commit begins that would lead to `state`.
    pub fn start(&mut self, operation: u64, state: Model) -> usize {
        self.states.push(state);
        let index = self.states.len() - 1;
        self.started.push((operation, index));
        index
    }

    /// It failed, and the error said that nothing was changed.
    pub fn take_back(&mut self, index: usize) {
        self.states.truncate(index);
        self.started.retain(|(_, state)| *state < index);
    }

    /// It was acknowledged, with this commit number.
    pub fn finish(&mut self, operation: u64, index: usize, number: u64) {
        self.done.push((operation, index));
        self.numbers.push((operation, number));
    }

    /// The last commit number that somebody was told before a disk operation.
    pub fn given_out(&self, operation: u64) -> u64 {
        self.numbers.iter().rev().find(|(at, _)| *at <= operation).map_or(0, |(_, number)| *number)
    }

    /// Everything acknowledged is promised to survive a power cut from here on.
    pub fn promise(&mut self, operation: u64) {
        let done = self.done.last().map_or(0, |(_, state)| *state);
        self.durable.push((operation, done));
    }

    /// A call said that writing has stopped.
    pub fn doubt(&mut self) {
        self.doubted = true;
    }

    /// A reopening found this state: it is the present, and durable; later ones never were.
    pub fn resume(&mut self, operation: u64, index: usize) {
        self.doubted = false;
        self.states.truncate(index + 1);
        self.done.push((operation, index));
        self.durable.push((operation, index));
    }

    /// The last state acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.done.last().map_or(0, |(_, state)| *state)
    }

    /// The states allowed after a power cut behind disk operation `operation`.
    pub fn after_power_cut(&self, operation: u64) -> (usize, usize) {
        let low = last(&self.durable, |o| o <= operation);
        (low, self.newest(operation).max(low))
    }

    /// The states allowed after the process died behind disk operation `operation`.
    pub fn after_process_crash(&self, operation: u64) -> (usize, usize) {
        let low = last(if self.doubted { &self.durable } else { &self.done }, |o| o <= operation);
        (low, self.newest(operation).max(low))
    }

    fn newest(&self, operation: u64) -> usize {
        // A commit that has begun and not written yet leaves nothing.
        last(&self.started, |o| o < operation).min(self.states.len() - 1)
    }
}
