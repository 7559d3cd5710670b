//! Entries of one leaf that are lent where they stand, a few at a time.
//!
//! ```text
//!   leaf      . . [ e4  e5  e6  e7  e8  e9 ] .         between two keys of the newer sources
//!                   \____________/
//!   batch           key, value lent; ...                the others follow when these were given
//! ```
//!
//! So a walk that ends early has not read much in vain, and one that goes on looks for nothing meanwhile.

use super::batch::{Batch, Lending};
use super::leaf::Leaf;
use std::ops::Range;

/// So many are lent at a time.
const LENT: usize = 8;

/// See the module's text.
#[derive(Debug)]
pub struct Stretch {
    leaf: Leaf<'static>,
    range: Range<usize>,
    lending: Lending,
}

impl Stretch {
    /// Some entries of a leaf.
    pub fn new(leaf: Leaf<'_>, range: Range<usize>, lending: Lending) -> Stretch {
        // SAFETY: who made `lending` promised that what it reads stays as long as it lends, and nothing else is done with
        // the leaf.
        let leaf = unsafe { std::mem::transmute::<Leaf<'_>, Leaf<'static>>(leaf) };
        Stretch { leaf, range, lending }
    }

    /// Entries that are left.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Lends the next ones to a batch; of each key `skip` bytes, which must be in the prefix of all, are left out. None
    /// where the next one is not of the usual kind.
    pub fn lend(&mut self, skip: usize, batch: &mut Batch) {
        let end = self.range.end.min(self.range.start + LENT);
        self.range.start = self.leaf.lend(self.range.start..end, skip, self.lending, batch);
    }
}
