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
use crate::file::page::get_u32;

/// Heads that are left to be compared all of them: which way a branch would go can't be foreseen, and each step of a search
/// waits for the one before.
const COUNTED: usize = 32;

/// The number of items that are below what is sought, in a list in which those come first. `head` is the head of
/// item `at`; `is_below` decides for an item whose head is that of what is sought.
#[inline]
pub fn count_below(
    len: usize,
    head: impl Fn(usize) -> u64,
    sought: u64,
    mut is_below: impl FnMut(usize) -> Result<bool>,
) -> Result<usize> {
    let (mut low, mut high) = (0, len);
    while high - low > COUNTED {
        let middle = (low + high) / 2;
        (low, high) = if head(middle) < sought { (middle, high) } else { (low, middle) };
    }
    let below = low + (low..high).map(|at| usize::from(head(at) < sought)).sum::<usize>();
    // Mostly it is the first one of its head.
    if below == len || head(below) != sought || !is_below(below)? {
        return Ok(below);
    }
    among_equals(below + 1, len, &head, sought, &mut is_below)
}

/// Heads of four bytes that are left to be compared all at once.
const COMPARED: usize = 64;

/// [`count_below`] in a list of heads of four bytes each, which are compared by vectors.
#[inline]
pub fn count_below_short(heads: &[u8], sought: u32, mut is_below: impl FnMut(usize) -> Result<bool>) -> Result<usize> {
    let head = |at: usize| get_u32(heads, at * 4);
    let (mut low, mut high) = (0, heads.len() / 4);
    while high - low > COMPARED {
        let middle = (low + high) / 2;
        (low, high) = if head(middle) < sought { (middle, high) } else { (low, middle) };
    }
    let left = heads[low * 4..high * 4].chunks_exact(4);
    let below = low + left.map(|head| u32::from(get_u32(head, 0) < sought)).sum::<u32>() as usize;
    // Mostly it is the first one of its head.
    if below * 4 == heads.len() || head(below) != sought || !is_below(below)? {
        return Ok(below);
    }
    among_equals(below + 1, heads.len() / 4, &|at| head(at).into(), sought.into(), &mut is_below)
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
#[inline]
pub fn common(a: &[u8], b: &[u8]) -> usize {
    let mut words = a.chunks_exact(8).zip(b.chunks_exact(8));
    let word = |bytes: &[u8]| u64::from_le_bytes(*bytes.first_chunk().unwrap_or(&[0; 8]));
    let mut at = 0;
    for (a, b) in &mut words {
        let differ = word(a) ^ word(b);
        if differ != 0 {
            return at + (differ.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + a[at..].iter().zip(&b[at..]).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;

    #[test]
    fn what_keys_have_in_common_is_what_their_bytes_have() {
        let mut rng = Rng::new(4);
        for _ in 0..5000 {
            let a: Vec<u8> = (0..rng.below(40)).map(|_| rng.below(2) as u8 * 255).collect();
            let mut b = a.clone();
            b.truncate(rng.below(41) as usize);
            if rng.below(2) == 0 && !b.is_empty() {
                let at = rng.below(b.len() as u64) as usize;
                b[at] ^= 1 << rng.below(8);
            }
            let expected = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            assert_eq!((common(&a, &b), common(&b, &a)), (expected, expected), "{a:?} {b:?}");
        }
    }
}
