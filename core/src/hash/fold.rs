//! Folding a checkpoint's edits into the trie.
//!
//! ```text
//!        edits, sorted by hash = by path
//!        |--a--||---b---|   |--c--|                  1. down: each child gets the edits of its path
//!           |       |          |
//!   [ 0 | 10 | 110 | 111 ]  [ 0 | 1 ]                2. leaves take them in, split, or shrink
//!           |       |          |
//!        [ new ] [ new new ] [ new ]                 3. up: small buddies merge, nodes are built,
//!                                                       split or merge, and the root grows or falls
//! ```
//!
//! A subtree hands its replacement to its parent as a list of *parts* of the same level, in the order
//! of their paths. A part that is new stays in memory until its parent knows that it will not merge
//! with its buddy (the part whose path differs in the last bit only); only then does it get a page.
//! So nothing that was written is read again or thrown away, and pages are allocated in path order.

use super::entries::{apply, edit_copy, missing, Entries};
use super::leaf::{self, LeafImage, MAX_ENTRIES};
use super::node::{self, Node, Slot, MAX_BITS, MAX_MERGED_CHILDREN};
use super::trie::{lookup, walk, TrieRoot};
use super::{read, top, KeyHash, MAX_LEVEL, PATH_BITS};
use crate::error::{Error, Result};
use crate::file::page::{Address, PageBuf, PageKind, PageNo, PageSink, UnitHeader};
use std::collections::HashSet;

/// Two leaves merge when they have at most this many entries together: less than half of a leaf, so
/// that the merged leaf is not split again soon.
const MAX_MERGED_ENTRIES: usize = 140;
const _: () = assert!(MAX_MERGED_ENTRIES < MAX_ENTRIES / 2);

/// A change of one key: `old` is where the trie says its record is, `new` where it is now. Without
/// `old` it is an insertion, without `new` a deletion.
#[derive(Debug, Clone, Copy)]
pub struct Edit {
    /// Hash of the key.
    pub hash: KeyHash,
    /// Address in the trie.
    pub old: Option<Address>,
    /// Address from now on.
    pub new: Option<Address>,
}

/// Folds `edits`, sorted by hash, into the trie `root` and returns the new root. Every page that is
/// replaced is released. After an error the sink holds an unfinished trie and has to be dropped.
///
/// `rehash` gives the hash of a record that is in the trie already; it is called when the bits in the
/// tags of a leaf are used up, once for each of its entries.
pub fn fold<K: PageSink>(
    sink: &mut K,
    tree: u64,
    root: &TrieRoot,
    edits: &[Edit],
    rehash: &mut dyn FnMut(&K, Address) -> Result<KeyHash>,
) -> Result<TrieRoot> {
    if !edits.is_sorted_by_key(|edit| edit.hash) {
        return Err(Error::Internal("edits of a fold are not sorted".to_owned()));
    }
    root.check::<Error>()?;
    if edits.is_empty() {
        return Ok(*root);
    }
    let entries = entries_after(root, edits)?;
    let mut folder = Folder { sink, tree, rehash, released: HashSet::new() };
    if entries == 0 {
        folder.clear(root, edits)?;
        return Ok(TrieRoot::default());
    }
    let (page, level) = folder.fold_root(root, edits)?;
    if page.is_none() {
        return Err(root.damage("trie root (entries)", 0, root.entries));
    }
    Ok(TrieRoot { page, level, entries })
}

fn entries_after(root: &TrieRoot, edits: &[Edit]) -> Result<u64> {
    let inserted = edits.iter().filter(|edit| edit.old.is_none() && edit.new.is_some()).count() as u64;
    let deleted = edits.iter().filter(|edit| edit.old.is_some() && edit.new.is_none()).count() as u64;
    let entries = root.entries.checked_add(inserted).and_then(|entries| entries.checked_sub(deleted));
    entries.ok_or_else(|| root.damage("trie root (entries)", deleted, root.entries))
}

/// A leaf or node that replaces one of the old trie, or is one.
#[derive(Debug)]
struct Part {
    /// The first `depth` bits of the path, then zeroes.
    prefix: u64,
    depth: u8,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// A leaf without entries: it has no page.
    Empty {
        /// It became empty in this fold, or is part of a split.
        new: bool,
    },
    /// A page of the old trie, unchanged, or one that got its page in this fold. (The latter never
    /// has a buddy to merge with: it was given a page because it had none.)
    Stored(PageNo),
    /// A new leaf.
    Leaf(LeafImage),
    /// A new leaf and those chained to it.
    Chain(Vec<LeafImage>),
    /// A new node. Its children have pages, unless there is just one, which may still merge.
    Node(Vec<Part>),
}

impl Part {
    fn stored(slot: &Slot) -> Part {
        let body = if slot.page.is_none() { Body::Empty { new: false } } else { Body::Stored(slot.page) };
        Part { prefix: slot.prefix, depth: slot.depth, body }
    }

    fn is_new(&self) -> bool {
        !matches!(self.body, Body::Stored(_) | Body::Empty { new: false })
    }

    /// The last hash whose path leads here.
    fn last_hash(&self) -> u64 {
        self.prefix | !top(self.depth)
    }
}

/// True if `right` is at the path of `left` with the last bit 1 instead of 0.
fn are_buddies(left: &Part, right: &Part) -> bool {
    left.depth == right.depth && left.depth > 0 && left.prefix ^ right.prefix == 1 << (64 - left.depth)
}

struct Folder<'f, K> {
    sink: &'f mut K,
    tree: u64,
    rehash: &'f mut dyn FnMut(&K, Address) -> Result<KeyHash>,
    /// Pages released so far: a damaged trie may lead to a page twice.
    released: HashSet<PageNo>,
}

impl<K: PageSink> Folder<'_, K> {
    fn fold_root(&mut self, root: &TrieRoot, edits: &[Edit]) -> Result<(PageNo, u8)> {
        let whole = Part::stored(&Slot { prefix: 0, depth: 0, page: root.page });
        let mut level = root.level;
        let mut parts = Vec::new();
        self.fold_part(whole, level, edits, &mut parts)?;
        while parts.len() > 1 {
            level += 1;
            if level > MAX_LEVEL {
                return Err(Error::Internal("the trie grew above its highest level".to_owned()));
            }
            let children = std::mem::take(&mut parts);
            self.make_nodes(children, level, 0, 0, &mut parts)?;
        }
        let Some(mut top) = parts.pop() else {
            return Err(Error::Internal("a fold left no root".to_owned()));
        };
        // A root with one child gives way to it.
        while let Body::Node(children) = &mut top.body {
            if children.len() > 1 {
                break;
            }
            let Some(child) = children.pop() else { break };
            top = child;
            level -= 1;
        }
        Ok((self.settle(&mut top, level)?, level))
    }

    /// Releases a trie from which `edits` delete everything.
    fn clear(&mut self, root: &TrieRoot, edits: &[Edit]) -> Result<()> {
        for edit in edits.iter().filter(|edit| edit.old.is_some()) {
            lookup(&*self.sink, root, edit.hash, |address| Ok((Some(address) == edit.old).then_some(())))?
                .ok_or_else(|| missing(edit))?;
        }
        let mut pages = Vec::new();
        walk(
            &*self.sink,
            root,
            &mut |page| {
                pages.push(page);
                Ok(())
            },
            &mut |_| Ok(()),
        )?;
        pages.into_iter().try_for_each(|page| self.release(page))
    }

    fn release(&mut self, page: PageNo) -> Result<()> {
        if !self.released.insert(page) {
            return Err(Error::corrupt("trie (page used twice)", page.0, 0, 1, 2));
        }
        self.sink.release(page, 0);
        Ok(())
    }

    /// Folds `edits` into a part of the old trie and pushes what replaces it.
    fn fold_part(&mut self, old: Part, level: u8, edits: &[Edit], out: &mut Vec<Part>) -> Result<()> {
        match old.body {
            Body::Stored(page) if level > 0 => {
                let slot = Slot { prefix: old.prefix, depth: old.depth, page };
                let mut nodes = Vec::new();
                self.fold_node(&slot, level, edits, &mut nodes)?;
                nodes.into_iter().try_for_each(|node| self.push(node, level, out))
            }
            Body::Stored(page) => {
                let slot = Slot { prefix: old.prefix, depth: old.depth, page };
                self.fold_leaf(&slot, edits, out)
            }
            _ => {
                let entries = Entries { list: Vec::new(), known: PATH_BITS };
                let entries = apply(entries, edits)?;
                self.make_leaves(entries, old.prefix, old.depth, out)
            }
        }
    }

    fn fold_node(&mut self, old: &Slot, level: u8, mut edits: &[Edit], out: &mut Vec<Part>) -> Result<()> {
        let slots = self.children(old, level)?;
        self.release(old.page)?;
        let mut children = Vec::with_capacity(slots.len() + 8);
        for slot in &slots {
            let child = Part::stored(slot);
            let last = child.last_hash();
            let (mine, rest) = edits.split_at(edits.partition_point(|edit| edit.hash.0 <= last));
            edits = rest;
            if mine.is_empty() {
                self.push(child, level - 1, &mut children)?;
            } else {
                self.fold_part(child, level - 1, mine, &mut children)?;
            }
        }
        self.make_nodes(children, level, old.prefix, old.depth, out)
    }

    fn children(&self, slot: &Slot, level: u8) -> Result<Vec<Slot>> {
        let page = read(&*self.sink, slot.page, PageKind::TrieNode)?;
        Node::open(page, slot.page, level, slot.depth)?.children(slot.prefix)
    }

    /// Makes a node of `children`, or several if they need more than [`MAX_BITS`] bits.
    fn make_nodes(
        &mut self,
        mut children: Vec<Part>,
        level: u8,
        prefix: u64,
        depth: u8,
        out: &mut Vec<Part>,
    ) -> Result<()> {
        let deepest = children.iter().map(|child| child.depth).max().unwrap_or(depth);
        if deepest - depth <= MAX_BITS {
            let body = self.node_body(children, level)?;
            out.push(Part { prefix, depth, body });
            return Ok(());
        }
        // More than one child, so each is deeper than the node and lies in one half of it.
        let bit = 1 << (63 - depth);
        let right = children.split_off(children.partition_point(|child| child.prefix & bit == 0));
        self.make_nodes(children, level, prefix, depth + 1, out)?;
        self.make_nodes(right, level, prefix | bit, depth + 1, out)
    }

    /// Appends `part`, which is of this level, and merges buddies at the end of the list as long as
    /// they are small. Requires: the parts of a list have the same parent.
    fn push(&mut self, part: Part, level: u8, out: &mut Vec<Part>) -> Result<()> {
        out.push(part);
        while let [.., left, right] = &mut out[..] {
            if !are_buddies(left, right) || !(left.is_new() || right.is_new()) {
                break;
            }
            let body = if level == 0 { self.merge_leaves(left, right)? } else { self.merge_nodes(left, right, level)? };
            let Some(body) = body else { break };
            left.depth -= 1;
            left.body = body;
            out.pop();
        }
        Ok(())
    }

    fn merge_leaves(&mut self, left: &Part, right: &Part) -> Result<Option<Body>> {
        // The new ones first: a page of the old trie is read only if it may matter.
        let (first, second) = if left.is_new() { (left, right) } else { (right, left) };
        let Some(count) = self.small_leaf(first, MAX_MERGED_ENTRIES)? else { return Ok(None) };
        if self.small_leaf(second, MAX_MERGED_ENTRIES - count)?.is_none() {
            return Ok(None);
        }
        let mut entries = Entries { list: Vec::with_capacity(MAX_MERGED_ENTRIES), known: PATH_BITS };
        for part in [left, right] {
            match &part.body {
                Body::Leaf(image) => {
                    entries.add(image.bytes(), PageNo::NONE, part.prefix, &image.head())?;
                }
                Body::Stored(page) => {
                    let slot = Slot { prefix: part.prefix, depth: part.depth, page: *page };
                    self.decode_leaf(&slot, &mut entries)?;
                    self.release(*page)?;
                }
                _ => {}
            }
        }
        Ok(Some(leaf_body(entries, left.depth - 1)))
    }

    /// The number of entries of a leaf if it has no chain and no more than `limit`.
    fn small_leaf(&self, part: &Part, limit: usize) -> Result<Option<usize>> {
        let count = match &part.body {
            Body::Empty { .. } => 0,
            Body::Leaf(image) => image.entries(),
            Body::Stored(page) => {
                let head = leaf::check(read(&*self.sink, *page, PageKind::TrieLeaf)?, *page, part.depth)?;
                if head.rest > 0 {
                    return Ok(None);
                }
                usize::from(head.entries)
            }
            _ => return Ok(None),
        };
        Ok((count <= limit).then_some(count))
    }

    fn merge_nodes(&mut self, left: &mut Part, right: &mut Part, level: u8) -> Result<Option<Body>> {
        let floor = left.depth - 1;
        let mut count = 0;
        for part in if left.is_new() { [&*left, &*right] } else { [&*right, &*left] } {
            let (children, deepest) = self.node_size(part, level)?;
            count += children;
            if count > MAX_MERGED_CHILDREN || deepest - floor > MAX_BITS {
                return Ok(None);
            }
        }
        let mut merged = Vec::with_capacity(count);
        for part in [left, right] {
            for child in self.take_children(part, level)? {
                self.push(child, level - 1, &mut merged)?;
            }
        }
        Ok(Some(self.node_body(merged, level)?))
    }

    /// A node at this level. Several children have no buddies outside it and get their pages; one
    /// alone may still merge with one of the node's buddy.
    fn node_body(&mut self, mut children: Vec<Part>, level: u8) -> Result<Body> {
        if children.len() > 1 {
            for child in &mut children {
                self.settle(child, level - 1)?;
            }
        }
        Ok(Body::Node(children))
    }

    /// How many children a node has, and the depth of the deepest.
    fn node_size(&self, part: &Part, level: u8) -> Result<(usize, u8)> {
        let deepest = |depths: &mut dyn Iterator<Item = u8>| depths.max().unwrap_or(part.depth);
        match &part.body {
            Body::Node(children) => Ok((children.len(), deepest(&mut children.iter().map(|child| child.depth)))),
            Body::Stored(page) => {
                let slots = self.children(&Slot { prefix: part.prefix, depth: part.depth, page: *page }, level)?;
                Ok((slots.len(), deepest(&mut slots.iter().map(|slot| slot.depth))))
            }
            _ => Err(Error::Internal("a trie node has the body of a leaf".to_owned())),
        }
    }

    fn take_children(&mut self, part: &mut Part, level: u8) -> Result<Vec<Part>> {
        match &mut part.body {
            Body::Node(children) => Ok(std::mem::take(children)),
            Body::Stored(page) => {
                let slot = Slot { prefix: part.prefix, depth: part.depth, page: *page };
                let slots = self.children(&slot, level)?;
                self.release(slot.page)?;
                Ok(slots.iter().map(Part::stored).collect())
            }
            _ => Err(Error::Internal("a trie node has the body of a leaf".to_owned())),
        }
    }

    fn fold_leaf(&mut self, old: &Slot, edits: &[Edit], out: &mut Vec<Part>) -> Result<()> {
        let page = read(&*self.sink, old.page, PageKind::TrieLeaf)?;
        let head = leaf::check(page, old.page, old.depth)?;
        let inserted = edits.iter().filter(|edit| edit.old.is_none() && edit.new.is_some()).count();
        if head.rest == 0 && usize::from(head.entries) + inserted <= MAX_ENTRIES {
            let image = edit_copy(page, edits)?;
            self.release(old.page)?;
            let body = if image.entries() == 0 { Body::Empty { new: true } } else { Body::Leaf(image) };
            return self.push(Part { prefix: old.prefix, depth: old.depth, body }, 0, out);
        }
        let mut entries = Entries { list: Vec::with_capacity(MAX_ENTRIES + inserted), known: PATH_BITS };
        for page in self.decode_leaf(old, &mut entries)? {
            self.release(page)?;
        }
        self.release(old.page)?;
        self.make_leaves(apply(entries, edits)?, old.prefix, old.depth, out)
    }

    /// Adds the entries of a leaf of the old trie and of its chain; returns the pages of the chain.
    fn decode_leaf(&self, slot: &Slot, entries: &mut Entries) -> Result<Vec<PageNo>> {
        let mut chain = Vec::new();
        let mut no = slot.page;
        let mut page = read(&*self.sink, no, PageKind::TrieLeaf)?;
        let mut head = leaf::check(page, no, slot.depth)?;
        loop {
            entries.add(page, no, slot.prefix, &head)?;
            if head.rest == 0 {
                return Ok(chain);
            }
            no = head.next;
            page = read(&*self.sink, no, PageKind::TrieLeaf)?;
            let next = leaf::check(page, no, slot.depth)?;
            head.expect_next(no, &next)?;
            head = next;
            chain.push(no);
        }
    }

    /// Makes the leaves for `entries`, all of which have the path `prefix`.
    fn make_leaves(&mut self, mut entries: Entries, prefix: u64, depth: u8, out: &mut Vec<Part>) -> Result<()> {
        if entries.list.len() <= MAX_ENTRIES || depth == PATH_BITS {
            let body = leaf_body(entries, depth);
            return self.push(Part { prefix, depth, body }, 0, out);
        }
        if depth >= entries.known {
            self.complete(&mut entries)?;
        }
        let bit = 1 << (63 - depth);
        entries.list.sort_unstable();
        let middle = entries.list.partition_point(|entry| entry.hash & bit == 0);
        let right = Entries { list: entries.list.split_off(middle), known: entries.known };
        self.make_leaves(entries, prefix, depth + 1, out)?;
        self.make_leaves(right, prefix | bit, depth + 1, out)
    }

    /// Asks for the hashes that are known in part only.
    fn complete(&mut self, entries: &mut Entries) -> Result<()> {
        let known = top(entries.known) | 0xffff;
        for entry in entries.list.iter_mut().filter(|entry| entry.partial) {
            let hash = (self.rehash)(&*self.sink, entry.address)?.0;
            if (hash ^ entry.hash) & known != 0 {
                let page = entry.address.page().0;
                return Err(Error::corrupt("hash of a record", page, entry.address.slot().into(), entry.hash, hash));
            }
            entry.hash = hash;
            entry.partial = false;
        }
        entries.known = PATH_BITS;
        Ok(())
    }

    /// Gives a part its page, and before it those below it that have none.
    fn settle(&mut self, part: &mut Part, level: u8) -> Result<PageNo> {
        let page = match std::mem::replace(&mut part.body, Body::Empty { new: false }) {
            Body::Empty { .. } => return Ok(PageNo::NONE),
            Body::Stored(page) => page,
            Body::Leaf(image) => self.store(PageKind::TrieLeaf, image.finish())?,
            Body::Chain(images) => {
                let mut next = PageNo::NONE;
                for (rest, mut image) in images.into_iter().rev().enumerate() {
                    if rest > 0 {
                        let rest = u32::try_from(rest)
                            .map_err(|_| Error::Internal("a chain of trie leaves is too long".to_owned()))?;
                        image.chain(next, rest);
                    }
                    next = self.store(PageKind::TrieLeaf, image.finish())?;
                }
                next
            }
            Body::Node(children) => {
                let mut slots = Vec::with_capacity(children.len());
                for mut child in children {
                    let page = self.settle(&mut child, level - 1)?;
                    slots.push(Slot { prefix: child.prefix, depth: child.depth, page });
                }
                self.store(PageKind::TrieNode, node::build(level, part.depth, &slots))?
            }
        };
        part.body = Body::Stored(page);
        Ok(page)
    }

    fn store(&mut self, kind: PageKind, mut unit: PageBuf) -> Result<PageNo> {
        let page = self.sink.allocate(0)?;
        UnitHeader { page, kind, order: 0, generation: 0, tree: self.tree }.encode(&mut unit);
        self.sink.write(page, unit)?;
        Ok(page)
    }
}

/// The leaf, or chain of leaves, with these entries.
fn leaf_body(entries: Entries, depth: u8) -> Body {
    let mut images = entries.into_images(depth);
    match images.len() {
        0 | 1 => images.pop().map_or(Body::Empty { new: true }, Body::Leaf),
        _ => Body::Chain(images),
    }
}
