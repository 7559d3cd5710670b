//! Pages of a trie that go, or go elsewhere: slices of a dropped trie, and pages that lie too far behind.
//!
//! ```text
//!   cut        [ a | b | c | d ]  ->  [ - | - | c | d ]      children freed from the left, the node made anew
//!   evacuate   [ a | b | c | d ]  ->  [ a | b'| c | d ]      b lay beyond the limit: copied, the node made anew
//! ```
//!
//! No entry is looked at or changed.

use super::leaf;
use super::node::{self, Node, Slot};
use super::{read, Page, TrieRoot};
use crate::error::Result;
use crate::file::page::{PageBuf, PageKind, PageNo, PageSink, UnitHeader};

/// Frees pages of a trie that nobody looks up in any more, until `budget` of them are gone, and returns what
/// is left.
pub fn cut<K: PageSink>(sink: &mut K, tree: u64, root: &TrieRoot, budget: &mut u64) -> Result<TrieRoot> {
    root.check::<crate::error::Error>()?;
    if root.page.is_none() {
        return Ok(*root);
    }
    let mut cutter = Cutter { sink, tree, budget, entries: root.entries };
    let page = cutter.cut(&Slot { prefix: 0, depth: 0, page: root.page }, root.level)?;
    if page.is_none() {
        return Ok(TrieRoot::default());
    }
    Ok(TrieRoot { page, level: root.level, entries: cutter.entries })
}

struct Cutter<'k, K> {
    sink: &'k mut K,
    tree: u64,
    budget: &'k mut u64,
    entries: u64,
}

impl<K: PageSink> Cutter<'_, K> {
    /// What is left in the place of a part of the trie; calls itself at most `level` deep.
    fn cut(&mut self, slot: &Slot, level: u8) -> Result<PageNo> {
        if slot.page.is_none() || *self.budget == 0 {
            return Ok(slot.page);
        }
        if level == 0 {
            return self.cut_leaf(slot);
        }
        let mut slots = children(self.sink, slot, level)?;
        for child in &mut slots {
            child.page = self.cut(child, level - 1)?;
        }
        self.release(slot.page);
        if slots.iter().all(|child| child.page.is_none()) {
            return Ok(PageNo::NONE);
        }
        store(self.sink, self.tree, PageKind::TrieNode, node::build(level, slot.depth, &slots))
    }

    fn cut_leaf(&mut self, slot: &Slot) -> Result<PageNo> {
        let mut no = slot.page;
        let mut head = leaf::check(read(&*self.sink, no, PageKind::TrieLeaf)?, no, slot.depth)?;
        loop {
            self.entries = self.entries.saturating_sub(head.entries.into());
            self.release(no);
            if head.rest == 0 {
                return Ok(PageNo::NONE);
            }
            no = head.next;
            let next = leaf::check(read(&*self.sink, no, PageKind::TrieLeaf)?, no, slot.depth)?;
            head.expect_next(no, &next)?;
            head = next;
        }
    }

    fn release(&mut self, page: PageNo) {
        self.sink.release(page, 0);
        *self.budget = self.budget.saturating_sub(1);
    }
}

/// Copies the pages of a trie that lie at `limit` or beyond to where the sink has room, and returns the new
/// root. Leaves chained to others stay where they are.
pub fn evacuate<K: PageSink>(sink: &mut K, tree: u64, root: &TrieRoot, limit: PageNo) -> Result<TrieRoot> {
    root.check::<crate::error::Error>()?;
    if root.page.is_none() {
        return Ok(*root);
    }
    let page = evacuate_part(sink, tree, &Slot { prefix: 0, depth: 0, page: root.page }, root.level, limit)?;
    Ok(TrieRoot { page, ..*root })
}

/// Where a part of the trie is afterwards; calls itself at most `level` deep.
fn evacuate_part<K: PageSink>(sink: &mut K, tree: u64, slot: &Slot, level: u8, limit: PageNo) -> Result<PageNo> {
    if slot.page.is_none() {
        return Ok(slot.page);
    }
    if level == 0 {
        if slot.page < limit {
            return Ok(slot.page);
        }
        let copy = copy_of(read(&*sink, slot.page, PageKind::TrieLeaf)?);
        sink.release(slot.page, 0);
        return store(sink, tree, PageKind::TrieLeaf, copy);
    }
    let mut slots = children(sink, slot, level)?;
    let mut changed = slot.page >= limit;
    for child in &mut slots {
        let page = evacuate_part(sink, tree, child, level - 1, limit)?;
        changed |= page != child.page;
        child.page = page;
    }
    if !changed {
        return Ok(slot.page);
    }
    sink.release(slot.page, 0);
    store(sink, tree, PageKind::TrieNode, node::build(level, slot.depth, &slots))
}

fn children<K: PageSink>(sink: &K, slot: &Slot, level: u8) -> Result<Vec<Slot>> {
    let page = read(sink, slot.page, PageKind::TrieNode)?;
    Node::open(page, slot.page, level, slot.depth)?.children(slot.prefix)
}

fn copy_of(page: &Page) -> PageBuf {
    let mut copy = PageBuf::zeroed(1);
    copy.copy_from_slice(page);
    copy
}

fn store<K: PageSink>(sink: &mut K, tree: u64, kind: PageKind, mut unit: PageBuf) -> Result<PageNo> {
    let page = sink.allocate(0)?;
    UnitHeader { page, kind, order: 0, generation: 0, tree }.encode(&mut unit);
    sink.write(page, unit)?;
    Ok(page)
}
