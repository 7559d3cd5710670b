//! Writing: a sorted batch of edits makes a new tree that shares all untouched pages with the old one.
//!
//! ```text
//!   fold_node(page, edits)  ->  the new entries of that node, not yet cut into pages
//!
//!     leaf:    old entries + edits, merged
//!     branch:  for each child, left to right
//!                no edit there   keep it as it is
//!                else            fold_node(child); join with a small neighbour; cut into pages
//! ```
//!
//! A node's entries are cut into pages by its parent, so that a child that has become small can be
//! joined with its neighbour before anything is written. Two nodes under one parent are joined when one
//! of them, touched by this fold, fills less than a third of a page and both together fit in one.
//!
//! A run that does not fit one page is cut so that the pages fill evenly, except at the right edge of
//! the tree when the new keys are behind all old ones: ordinals only grow, so what is left of the edge
//! will not grow again and is filled to the brim.
//!
//! Memory: for each level one run of entries; what is held does not depend on the size of the tree.

use super::node::{Fence, Run, CAPACITY_BYTES, MAX_LEVEL, MAX_VALUE_BYTES};
use super::TreeRoot;
use crate::error::{Error, Result};
use crate::file::page::{PageNo, PageSink};

/// A touched node below this is joined with a neighbour if they fit into one page.
const SMALL_BYTES: usize = CAPACITY_BYTES / 3;

/// One change of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The key.
    pub key: u64,
    /// Its new value, or `None` to delete it.
    pub value: Option<Vec<u8>>,
}

/// Applies `edits` (ascending keys, each once) to the tree at `root`, which is tree number `tree`, and
/// returns the new root. The old tree stays readable for as long as the sink keeps released pages.
///
/// After an error the new pages are of no use: the whole checkpoint is to be given up. A key to delete
/// that is not there, edits out of order and values above [`MAX_VALUE_BYTES`] are [`Error::Internal`],
/// the last two found before anything is written.
pub fn fold<K: PageSink>(sink: &mut K, tree: u64, root: &TreeRoot, edits: &[Edit]) -> Result<TreeRoot> {
    check_edits(edits)?;
    if edits.is_empty() {
        return Ok(*root);
    }
    let mut folder = Folder { sink, tree, written: Default::default() };
    if root.page.is_none() {
        let draft = merge_leaf(&Run::default(), edits, true)?;
        return folder.finish(draft, 0);
    }
    let draft = folder.fold_node(root.page, root.level, Fence::ROOT, edits)?;
    folder.finish(draft, root.level)
}

fn check_edits(edits: &[Edit]) -> Result<()> {
    if let Some(pair) = edits.windows(2).find(|pair| pair[0].key >= pair[1].key) {
        return Err(Error::Internal(format!("page-tree edits out of order: {} before {}", pair[0].key, pair[1].key)));
    }
    let long = |edit: &&Edit| edit.value.as_ref().is_some_and(|value| value.len() > MAX_VALUE_BYTES);
    match edits.iter().find(long) {
        Some(edit) => Err(Error::Internal(format!("page-tree value of key {} is too long", edit.key))),
        None => Ok(()),
    }
}

/// Copies the pages of a tree that lie at `limit` or beyond to where the sink has room, and returns the new
/// root. No entry changes.
pub fn evacuate<K: PageSink>(sink: &mut K, tree: u64, root: &TreeRoot, limit: PageNo) -> Result<TreeRoot> {
    if root.page.is_none() {
        return Ok(*root);
    }
    let page = evacuate_node(sink, tree, root.page, root.level, Fence::ROOT, limit)?;
    Ok(TreeRoot { page, level: root.level })
}

/// Where a node is afterwards; calls itself at most `level` deep.
fn evacuate_node<K: PageSink>(
    sink: &mut K,
    tree: u64,
    page: PageNo,
    level: u8,
    fence: Fence,
    limit: PageNo,
) -> Result<PageNo> {
    if level == 0 && page < limit {
        return Ok(page);
    }
    let old = Run::load(sink, tree, page, level, fence)?;
    let (mut new, mut changed) = (Run::default(), page >= limit);
    for index in 0..old.len() {
        if level == 0 {
            new.push(old.key(index), old.value(index));
            continue;
        }
        let child = old.child(index);
        let moved = evacuate_node(sink, tree, child, level - 1, old.fence(index, fence), limit)?;
        changed |= moved != child;
        new.push_child(old.key(index), moved);
    }
    if !changed {
        return Ok(page);
    }
    sink.release(page, 0);
    let to = sink.allocate(0)?;
    sink.write(to, new.build(0..new.len(), tree, to, level))?;
    Ok(to)
}

/// How a run that does not fit one page is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// All pages about equally full.
    Even,
    /// Every page but the last as full as can be.
    Full,
}

/// The new entries of a node before they are cut into pages.
struct Draft {
    run: Run,
    cut: Cut,
}

/// Merges the entries of a leaf with the edits that belong there.
fn merge_leaf(old: &Run, edits: &[Edit], right_edge: bool) -> Result<Draft> {
    let mut run = Run::default();
    let old_last = old.len().checked_sub(1).map(|last| old.key(last));
    let (mut inserted, mut inside) = (false, false);
    let mut index = 0;
    for edit in edits {
        while index < old.len() && old.key(index) < edit.key {
            run.push(old.key(index), old.value(index));
            index += 1;
        }
        let there = index < old.len() && old.key(index) == edit.key;
        index += usize::from(there);
        match &edit.value {
            Some(value) => run.push(edit.key, value),
            None if there => {}
            None => return Err(Error::Internal(format!("page-tree delete of key {} that is not there", edit.key))),
        }
        if !there {
            inserted = true;
            inside |= old_last.is_some_and(|last| edit.key < last);
        }
    }
    for rest in index..old.len() {
        run.push(old.key(rest), old.value(rest));
    }
    let cut = if right_edge && inserted && !inside { Cut::Full } else { Cut::Even };
    Ok(Draft { run, cut })
}

/// Number of entries from `from` that the next page takes.
fn next_cut(run: &Run, from: usize, left_bytes: usize, level: u8, cut: Cut) -> usize {
    let pages = left_bytes.div_ceil(CAPACITY_BYTES).max(1);
    let target = match cut {
        Cut::Even => left_bytes.div_ceil(pages),
        Cut::Full => CAPACITY_BYTES,
    };
    let (mut end, mut used) = (from, 0);
    while end < run.len() && used < target {
        let entry = run.entry_bytes(end, level);
        if used + entry > CAPACITY_BYTES {
            break;
        }
        used += entry;
        end += 1;
    }
    end - from
}

/// The children of a branch while it is folded.
struct Children {
    /// The finished part of the new branch.
    out: Run,
    /// The untouched child behind `out`, kept back because the next one may be joined with it.
    kept: Option<(PageNo, Fence)>,
    /// The touched child behind that, not written yet.
    pending: Option<Draft>,
    /// An even cut has given more than one page.
    split: bool,
}

/// The branch that was written last at some level.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    page: PageNo,
    only_child: Option<PageNo>,
}

struct Folder<'k, K: PageSink> {
    sink: &'k mut K,
    tree: u64,
    /// By level. A sink need not give back what was written to it; this is all a fold has to know.
    written: [Written; MAX_LEVEL as usize + 1],
}

impl<K: PageSink> Folder<'_, K> {
    /// The new entries of the node at `page`, which is released. Calls itself at most `level` deep.
    fn fold_node(&mut self, page: PageNo, level: u8, fence: Fence, edits: &[Edit]) -> Result<Draft> {
        let old = Run::load(self.sink, self.tree, page, level, fence)?;
        self.sink.release(page, 0);
        match level {
            0 => merge_leaf(&old, edits, fence.end.is_none()),
            _ => self.fold_branch(&old, level, fence, edits),
        }
    }

    fn fold_branch(&mut self, old: &Run, level: u8, fence: Fence, mut edits: &[Edit]) -> Result<Draft> {
        let below = level - 1;
        let mut children = Children { out: Run::default(), kept: None, pending: None, split: false };
        let mut last_cut = Cut::Even;
        for index in 0..old.len() {
            let (child, child_fence) = (old.child(index), old.fence(index, fence));
            let mine = child_fence.end.map_or(edits.len(), |end| edits.partition_point(|edit| edit.key < end));
            let (here, rest) = edits.split_at(mine);
            edits = rest;
            if here.is_empty() {
                self.keep(&mut children, child, child_fence, below)?;
                last_cut = Cut::Even;
            } else {
                let draft = self.fold_node(child, below, child_fence, here)?;
                last_cut = draft.cut;
                self.replace(&mut children, draft, below)?;
            }
        }
        self.flush(&mut children, below)?;
        let at_edge = fence.end.is_none() && last_cut == Cut::Full && !children.split;
        Ok(Draft { run: children.out, cut: if at_edge { Cut::Full } else { Cut::Even } })
    }

    /// The next child is untouched: it stays, unless the one before it is small and takes it in.
    fn keep(&mut self, children: &mut Children, child: PageNo, fence: Fence, level: u8) -> Result<()> {
        if let Some(pending) = &mut children.pending {
            if pending.run.total_bytes(level) < SMALL_BYTES {
                let run = Run::load(self.sink, self.tree, child, level, fence)?;
                if can_join(&pending.run, &run, level) {
                    self.sink.release(child, 0);
                    pending.run.append(&run);
                    pending.cut = Cut::Even;
                    return Ok(());
                }
            }
        }
        self.flush(children, level)?;
        children.kept = Some((child, fence));
        Ok(())
    }

    /// The next child is `draft`: it waits for its right neighbour, joined with the one before it if
    /// one of them is small.
    fn replace(&mut self, children: &mut Children, draft: Draft, level: u8) -> Result<()> {
        if draft.run.is_empty() {
            return Ok(());
        }
        if let Some(pending) = &mut children.pending {
            if can_join(&pending.run, &draft.run, level) {
                pending.run.append(&draft.run);
                pending.cut = draft.cut;
                return Ok(());
            }
            self.flush(children, level)?;
        }
        children.pending = Some(draft);
        self.join_kept(children, level)
    }

    /// Joins a small pending child with the untouched one to its left.
    fn join_kept(&mut self, children: &mut Children, level: u8) -> Result<()> {
        let (Some((page, fence)), Some(pending)) = (children.kept, &mut children.pending) else { return Ok(()) };
        if pending.run.total_bytes(level) >= SMALL_BYTES {
            return Ok(());
        }
        let mut run = Run::load(self.sink, self.tree, page, level, fence)?;
        if can_join(&run, &pending.run, level) {
            self.sink.release(page, 0);
            children.kept = None;
            run.append(&pending.run);
            pending.run = run;
        }
        Ok(())
    }

    /// Moves the child kept back and the pending one to the finished part.
    fn flush(&mut self, children: &mut Children, level: u8) -> Result<()> {
        if let Some((page, Fence { first: Some(first), .. })) = children.kept.take() {
            children.out.push_child(first, page);
        }
        if let Some(draft) = children.pending.take() {
            let pages = self.write(&draft, level, &mut children.out)?;
            children.split |= pages > 1 && draft.cut == Cut::Even;
        }
        Ok(())
    }

    /// Cuts a draft into pages and adds them to `parent`. Returns their number.
    fn write(&mut self, draft: &Draft, level: u8, parent: &mut Run) -> Result<usize> {
        let run = &draft.run;
        let (mut from, mut left_bytes, mut pages) = (0, run.total_bytes(level), 0);
        while from < run.len() {
            let end = from + next_cut(run, from, left_bytes, level, draft.cut);
            let page = self.sink.allocate(0)?;
            self.sink.write(page, run.build(from..end, self.tree, page, level))?;
            parent.push_child(run.key(from), page);
            let only_child = (level > 0 && end - from == 1).then(|| run.child(from));
            self.written[usize::from(level)] = Written { page, only_child };
            left_bytes -= (from..end).map(|index| run.entry_bytes(index, level)).sum::<usize>();
            from = end;
            pages += 1;
        }
        Ok(pages)
    }

    /// Writes the new root: adds levels while it does not fit one page, drops levels with one child.
    fn finish(&mut self, mut draft: Draft, mut level: u8) -> Result<TreeRoot> {
        if draft.run.is_empty() {
            return Ok(TreeRoot::default());
        }
        if level > 0 && draft.run.len() == 1 {
            return self.collapse(draft.run.child(0), draft.run.key(0), level - 1);
        }
        loop {
            let mut above = Run::default();
            self.write(&draft, level, &mut above)?;
            if above.len() == 1 {
                return Ok(TreeRoot { page: above.child(0), level });
            }
            if level == MAX_LEVEL {
                return Err(Error::Internal(format!("page tree {} has too many levels", self.tree)));
            }
            level += 1;
            draft.run = above;
        }
    }

    /// The root may be `page`, unless that too is a branch with one child.
    fn collapse(&mut self, mut page: PageNo, first: u64, mut level: u8) -> Result<TreeRoot> {
        while level > 0 {
            let Some(child) = self.only_child(page, first, level)? else { break };
            self.sink.release(page, 0);
            page = child;
            level -= 1;
        }
        Ok(TreeRoot { page, level })
    }

    /// The child of the branch at `page`, the only node of its level, if there is but one. If this fold
    /// wrote that branch, it is the last one written there: what a fold writes stays in the tree.
    fn only_child(&self, page: PageNo, first: u64, level: u8) -> Result<Option<PageNo>> {
        let written = self.written[usize::from(level)];
        if written.page == page {
            return Ok(written.only_child);
        }
        let run = Run::load(self.sink, self.tree, page, level, Fence { first: Some(first), end: None })?;
        Ok((run.len() == 1).then(|| run.child(0)))
    }
}

/// Whether two neighbours become one: one of them is small, and together they fit.
fn can_join(left: &Run, right: &Run, level: u8) -> bool {
    let (left, right) = (left.total_bytes(level), right.total_bytes(level));
    left.min(right) < SMALL_BYTES && left + right <= CAPACITY_BYTES
}
