//! Pages that must not be used again although no state reaches them any more: those of a backup.
//!
//! ```text
//!   retired with state n --> states before n gone? --> heap memory freed
//!                                     |
//!                                     +--> a pin older than n? --> waits here
//!                                     +--> none                --> free space
//! ```
//!
//! A snapshot holds its state, and with it everything in memory that came later. A backup may run for long
//! and reads the file only: it holds the pages of one checkpoint, and no memory.

use crate::file::page::PageNo;
use crate::sync::Mutex;
use std::collections::BTreeMap;

/// The pins of an engine, and the pages that wait for them.
#[derive(Debug, Default)]
pub struct PagePins(Mutex<Pins>);

#[derive(Debug, Default)]
struct Pins {
    /// Number of a state -> pins on its pages.
    held: BTreeMap<u64, usize>,
    /// Runs that only states before the number reach.
    waiting: Vec<(u64, PageNo, u64)>,
}

impl PagePins {
    /// Keeps the pages that state `number` reaches. The caller holds that state meanwhile.
    pub fn pin(&self, number: u64) {
        *self.0.lock().held.entry(number).or_default() += 1;
    }

    /// Ends one pin on the pages of state `number`.
    pub fn unpin(&self, number: u64) {
        let mut pins = self.0.lock();
        match pins.held.get_mut(&number) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(pins.held.remove(&number)),
        }
    }

    /// True if no page is kept for a pin.
    pub fn is_empty(&self) -> bool {
        let pins = self.0.lock();
        pins.held.is_empty() && pins.waiting.is_empty()
    }

    /// Takes runs that no state needs any more, each with the number of the first state that did not reach
    /// it, and gives back those that no pin needs either, earlier ones included.
    pub fn sift(&self, runs: impl Iterator<Item = (u64, PageNo, u64)>) -> Vec<(PageNo, u64)> {
        let mut pins = self.0.lock();
        let oldest = pins.held.keys().next().copied().unwrap_or(u64::MAX);
        let all: Vec<_> = std::mem::take(&mut pins.waiting).into_iter().chain(runs).collect();
        let (free, waiting): (Vec<_>, Vec<_>) = all.into_iter().partition(|(number, ..)| *number <= oldest);
        pins.waiting = waiting;
        free.into_iter().map(|(_, page, pages)| (page, pages)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_wait_for_the_oldest_pin_that_reaches_them() {
        let pins = PagePins::default();
        let run = |number| (number, PageNo(number * 10), 1);
        assert_eq!(pins.sift([run(1)].into_iter()), [(PageNo(10), 1)]);
        pins.pin(2);
        pins.pin(2);
        pins.pin(4);
        // State 2 does not reach what was retired with it.
        assert_eq!(pins.sift([run(2), run(3), run(5)].into_iter()), [(PageNo(20), 1)]);
        pins.unpin(2);
        assert_eq!(pins.sift([].into_iter()), []);
        pins.unpin(2);
        assert_eq!(pins.sift([].into_iter()), [(PageNo(30), 1)]);
        assert!(!pins.is_empty());
        pins.unpin(4);
        assert_eq!(pins.sift([].into_iter()), [(PageNo(50), 1)]);
        assert!(pins.is_empty());
    }
}
