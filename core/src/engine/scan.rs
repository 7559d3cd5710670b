//! A full scan of a collection as of one commit, in ordinal order, resumable by token.
//!
//! ```text
//!   directory of the roots      every live slot, less the marks of both deltas up to S
//!   frozen delta's entries      those with birth <= S < death
//!   active delta's entries      the same
//! ```
//!
//! The three parts follow each other in ordinal order, so the ordinal of the last document returned is
//! a token from which another scan, of this or a later snapshot, goes on.

use super::delta::Delta;
use super::state::{self, Found, State};
use crate::error::{Error, Result};
use crate::file::page::{Address, PageNo};
use crate::file::pages::Pages;
use crate::file::tree::Cursor;
use crate::record::block;
use crate::record::directory::Entry;

/// Position of a scan. It holds nothing: every step is given the state.
#[derive(Debug)]
pub struct Scan {
    tree: u32,
    at: u64,
    /// Only ordinals above this are returned; 0 before the first.
    after: u64,
    part: Part,
}

#[derive(Debug)]
enum Part {
    Start,
    Directory { cursor: Box<Cursor>, block: Option<BlockPosition> },
    Delta { frozen: bool, next: Option<u32> },
    End,
}

#[derive(Debug)]
struct BlockPosition {
    entry: Entry,
    base: u64,
    marked: bool,
    moved: bool,
    slot: usize,
    position: usize,
}

/// A document of a scan.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The token after it.
    pub ordinal: u64,
    /// Its record.
    pub found: Found<'a>,
}

impl Scan {
    /// A scan of `tree` as of commit `at`, of the ordinals above `after`.
    pub fn new(tree: u32, at: u64, after: u64) -> Scan {
        Scan { tree, at, after, part: Part::Start }
    }

    /// The next document. After an error the scan has ended.
    pub fn next<'a>(&mut self, state: &'a State, pages: &'a Pages) -> Result<Option<Item<'a>>> {
        let item = self.step(state, pages);
        match &item {
            Ok(Some(item)) => self.after = item.ordinal,
            _ => self.part = Part::End,
        }
        item
    }

    fn step<'a>(&mut self, state: &'a State, pages: &'a Pages) -> Result<Option<Item<'a>>> {
        loop {
            match &mut self.part {
                Part::Start => {
                    let directory = state.tree(pages, self.tree)?.directory;
                    let from = self.after.saturating_add(1);
                    let first = crate::file::tree::floor(pages, &directory, from)?.map_or(0, |(base, _)| base);
                    let cursor = Cursor::seek(pages, &directory, first)?;
                    self.part = Part::Directory { cursor: Box::new(cursor), block: None };
                }
                Part::Directory { cursor, block } => {
                    if let Some(position) = block {
                        if let Some(item) = step_block(state, pages, position, self.at, self.after)? {
                            return Ok(Some(item));
                        }
                        *block = None;
                    }
                    match cursor.next(pages)? {
                        Some((base, bytes)) => *block = Some(enter_block(state, base, bytes)?),
                        None => self.part = self.enter_delta(state, true),
                    }
                }
                Part::Delta { frozen, next } => {
                    let frozen = *frozen;
                    let delta = if frozen { state.frozen.as_ref() } else { Some(&state.active) };
                    match (delta, *next) {
                        (Some(delta), Some(index)) => {
                            *next = delta.next(index);
                            if let Some(item) = self.item_of(delta, index, pages)? {
                                return Ok(Some(item));
                            }
                        }
                        _ if frozen => self.part = self.enter_delta(state, false),
                        _ => return Ok(None),
                    }
                }
                Part::End => return Ok(None),
            }
        }
    }

    fn enter_delta(&self, state: &State, frozen: bool) -> Part {
        let delta = if frozen { state.frozen.as_ref() } else { Some(&state.active) };
        let next = delta.and_then(|delta| delta.tree(self.tree).and_then(|part| delta.first(&part)));
        Part::Delta { frozen, next }
    }

    fn item_of<'a>(&self, delta: &Delta, index: u32, pages: &'a Pages) -> Result<Option<Item<'a>>> {
        let entry = delta.item(index);
        let Some(address) = entry.address.filter(|_| entry.birth <= self.at && self.at < entry.death) else {
            return Ok(None);
        };
        let ordinal = ordinal_at(pages, address)?;
        if ordinal <= self.after {
            return Ok(None);
        }
        Ok(Some(Item { ordinal, found: state::read(pages, address)? }))
    }
}

fn ordinal_at(pages: &Pages, address: Address) -> Result<u64> {
    let block = pages.block(address.page())?;
    let record = block::read(&block, address.slot())?;
    Ok(block::base_ordinal(&block).saturating_add(record.ordinal_delta))
}

fn enter_block(state: &State, base: u64, bytes: &[u8]) -> Result<BlockPosition> {
    let entry = Entry::decode(bytes, base)?;
    let first = Address::new(PageNo(entry.page.0), 0);
    let marked = state.active.may_mark_block(first) || state.frozen.as_ref().is_some_and(|f| f.may_mark_block(first));
    let moved = state.moved_block(entry.page).is_some();
    Ok(BlockPosition { entry, base, marked, moved, slot: 0, position: block::RECORDS_AT })
}

fn step_block<'a>(
    state: &State,
    pages: &'a Pages,
    position: &mut BlockPosition,
    at: u64,
    after: u64,
) -> Result<Option<Item<'a>>> {
    let block = pages.block(position.entry.page)?;
    while position.slot < usize::from(position.entry.slots) {
        let start = u16::try_from(position.position)
            .map_err(|_| Error::corrupt("record", block.page().0, 0, block.len() as u64, position.position as u64))?;
        let record = block::read(&block, start)?;
        let slot = position.slot;
        position.slot += 1;
        position.position += record.bytes;
        let ordinal = position.base.saturating_add(record.ordinal_delta);
        if ordinal <= after || !position.entry.is_live(slot) {
            continue;
        }
        let address = Address::new(block.page(), start);
        let marked = |address| {
            state.active.is_marked(address, at) || state.frozen.as_ref().is_some_and(|f| f.is_marked(address, at))
        };
        // The delta that was active when the record was moved knows it by its address before.
        let marked_before = || {
            let moved = position.moved.then(|| state.moved_block(block.page())).flatten();
            moved.is_some_and(|(delta, olds)| olds.get(slot).is_some_and(|old| delta.is_marked(*old, at)))
        };
        let dead = (position.marked && marked(address)) || marked_before();
        if !dead {
            return Ok(Some(Item { ordinal, found: Found { address, record } }));
        }
    }
    Ok(None)
}
