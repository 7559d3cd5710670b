//! The list of what could not be saved: bounded, with a count of all.

use super::report::MOST_LOST;
use super::structure::place_of;
use crate::error::Error;
use crate::file::page::PageNo;
use std::collections::BTreeSet;

/// A loss, its collection by number.
pub(super) struct Lost {
    pub(super) tree: Option<u32>,
    pub(super) page: u64,
    pub(super) offset: u32,
    pub(super) what: &'static str,
    pub(super) documents: Option<u64>,
    pub(super) reason: Error,
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Losses {
    pub(super) list: Vec<Lost>,
    pub(super) total: u64,
    /// Collections that lost something.
    pub(super) trees: BTreeSet<u32>,
}

impl Losses {
    pub(super) fn add(
        &mut self,
        tree: Option<u32>,
        page: PageNo,
        what: &'static str,
        documents: Option<u64>,
        reason: Error,
    ) {
        let (place, offset) = place_of(&reason, page);
        self.add_at(tree, place.0, offset, what, documents, reason);
    }

    pub(super) fn add_at(
        &mut self,
        tree: Option<u32>,
        page: u64,
        offset: u32,
        what: &'static str,
        documents: Option<u64>,
        reason: Error,
    ) {
        self.total += 1;
        self.trees.extend(tree);
        if self.list.len() < MOST_LOST {
            self.list.push(Lost { tree, page, offset, what, documents, reason });
        }
    }
}
