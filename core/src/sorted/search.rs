//! The one search in sorted lists of keys: by the heads of the keys, and by whole keys where heads are equal.
//!
//! ```text
//!   keys     (prefix) alpha....  (prefix) alphabet  (prefix) beta....      what all have in front is left out
//!   heads          616c7068..          616c7068..         62657461..       the next bytes, as numbers
//! ```
//!
//! Leaves, the index of a run, and the lists of runs are searched by it. It is the step that a model of the keys
//! can replace: whoever knows about where the place is asks for fewer heads.

use crate::error::Result;

/// The number of items that are below what is sought, in a list in which those come first. `head` is the head of
/// item `at`; `is_below` decides for an item whose head is that of what is sought.
#[inline]
pub fn count_below(
    len: usize,
    head: impl Fn(usize) -> u64,
    sought: u64,
    mut is_below: impl FnMut(usize) -> Result<bool>,
) -> Result<usize> {
    let (mut low, mut size) = (0, len);
    // The branch is not on the heads: which way it goes can't be foreseen.
    while size > 0 {
        let half = size / 2;
        let middle = low + half;
        let found = head(middle);
        if found == sought {
            return among_equals(low, low + size, &head, sought, &mut is_below);
        }
        let right = found < sought;
        low = if right { middle + 1 } else { low };
        size = if right { size - half - 1 } else { half };
    }
    Ok(low)
}

fn among_equals(
    mut low: usize,
    mut high: usize,
    head: &impl Fn(usize) -> u64,
    sought: u64,
    is_below: &mut impl FnMut(usize) -> Result<bool>,
) -> Result<usize> {
    while low < high {
        let middle = (low + high) / 2;
        let found = head(middle);
        if found < sought || (found == sought && is_below(middle)?) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// Bytes that two keys have in front in common.
pub fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
