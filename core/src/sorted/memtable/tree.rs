//! An ordered index of entries in memory: one writer, any number of readers without a lock.
//!
//! ```text
//!                 [ node: level 1 ]
//!                 /       |        \
//!     [ leaf ] --next--> [ leaf ] --next--> [ leaf ]         a B-link tree (Lehman and Yao, 1981)
//!
//!   node   order   count, then the numbers of the slots in the order of their keys: one word, so one
//!          |       store adds an item (the permutation of Masstree: Mao, Kohler and Morris, 2012)
//!          splits  one more each time the upper half has left: who read meanwhile reads again
//!          next    the right neighbour
//!          low     level, and an entry with the lowest key
//!          high    the first 8 bytes of the key from which on items are the neighbour's
//!          heads   the first 8 bytes of each item's key: mostly they decide
//!          items   leaf: newest version of a key; above: a node             two to a word
//!
//!          words 0 to 7: one line of the cache    8 to 15    16 to 23    24 to 31
//! ```
//!
//! Keys in random order miss the cache at every node below the upper ones, and what a put costs is these misses. So a
//! node is four lines, of which a search reads two or three, and not its neighbour's; and who has many keys to put
//! looks for a few of them at a time, so that their misses overlap ([`Parts::warm`]).
//!
//! Items only come; what a reader must not see yet has a commit beyond its own. An item is written into a free slot
//! before the order names it. A slot becomes free only by a split, which is counted, and the writer uses it again only
//! after the count: so a reader that finds the same count before and after has seen what was there.

use super::arena::{Arena, Entry, Handle};
use crate::memory::{Array, Pool};
use crate::sync::{fence, AtomicU32, AtomicU64, Ordering};
use std::cmp::Ordering as Order;
use std::sync::OnceLock;

/// Items of a node.
const ITEMS: usize = 15;

// The words of a node.
const ORDER_AT: usize = 0;
const SPLITS_AT: usize = 1;
const NEXT_AT: usize = 2;
/// Level in the upper half, in the lower the entry with the node's first key (0: none, it is the leftmost).
const LOW_AT: usize = 3;
/// Head of the lowest key of the right neighbour. Stored after `next` and read before it: so who goes right because
/// of it finds the neighbour that it is of, or one that came between.
const HIGH_AT: usize = 4;
const HEADS_AT: usize = 5;
const ITEMS_AT: usize = HEADS_AT + ITEMS;
const NODE_WORDS: usize = 32;
const _: () = assert!(ITEMS_AT + ITEMS.div_ceil(2) <= NODE_WORDS);
/// Words of a line of the cache.
const LINE_WORDS: usize = 8;

/// Entries that a walk asks for before it comes to them.
const AHEAD: usize = 3;

/// Keys that are looked for at the same time.
pub const WARM: usize = 8;

/// Nodes of the first chunk: 16.
const FIRST_BITS: u32 = 4;
const CHUNKS: usize = 26;

/// The number of a node; 0 is none.
type NodeNo = u32;

/// A leaf where a key is, or that is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Near(NodeNo);

impl Near {
    /// It is not known.
    pub const NOWHERE: Near = Near(0);
}

/// The nodes of all trees of a memtable.
#[derive(Debug)]
pub struct Nodes {
    pool: Pool,
    chunks: [OnceLock<Array<AtomicU64>>; CHUNKS],
    /// The next number. Only the writer looks at it.
    next: AtomicU32,
}

/// One tree.
#[derive(Debug)]
pub struct Tree {
    root: AtomicU32,
}

/// The first eight bytes of a key as a number, so that numbers are ordered as keys are, but for those that are equal.
#[inline]
pub fn head_of(key: &[u8]) -> u64 {
    match key.first_chunk::<8>() {
        Some(head) => u64::from_be_bytes(*head),
        None => {
            let mut head = [0; 8];
            head[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(head)
        }
    }
}

/// The order of the items of a node, as one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Permutation(u64);

impl Permutation {
    /// No item; slot 0 is used first.
    const EMPTY: Permutation = Permutation(0xedcb_a987_6543_2100);

    fn len(self) -> usize {
        (self.0 & 15) as usize
    }

    /// The slot of item `at`, or the one that is used next where `at` is the length.
    fn slot(self, at: usize) -> usize {
        (self.0 >> (4 + 4 * at) & 15) as usize
    }

    /// With the free slot that is used next as item `at`.
    fn insert(self, at: usize) -> Permutation {
        let (len, slot) = (self.len(), self.slot(self.len()) as u64);
        let order = self.0 >> 4;
        let low = order & ((1 << (4 * at)) - 1);
        let moved = order >> (4 * at) & ((1 << (4 * (len - at))) - 1);
        // The slots that are still free stay where they are.
        let rest = order >> (4 * (len + 1)) << (4 * (len + 1));
        Permutation((low | slot << (4 * at) | moved << (4 * (at + 1)) | rest) << 4 | (len as u64 + 1))
    }

    /// With the first `len` items only.
    fn truncate(self, len: usize) -> Permutation {
        Permutation(self.0 & !15 | len as u64)
    }
}

fn chunk_of(number: NodeNo) -> (usize, usize) {
    let chunk = 31 - ((number >> FIRST_BITS) + 1).leading_zeros();
    let size = 1usize << (FIRST_BITS + chunk);
    (chunk as usize, number as usize - (size - (1 << FIRST_BITS)))
}

/// A node's words.
#[derive(Clone, Copy)]
struct Node<'a>(&'a [AtomicU64; NODE_WORDS]);

impl<'a> Node<'a> {
    fn order(self) -> Permutation {
        Permutation(self.0[ORDER_AT].load(Ordering::Acquire))
    }
    fn splits(self) -> u64 {
        self.0[SPLITS_AT].load(Ordering::Acquire)
    }
    fn next(self) -> NodeNo {
        self.0[NEXT_AT].load(Ordering::Acquire) as NodeNo
    }
    fn low(self) -> Handle {
        self.0[LOW_AT].load(Ordering::Relaxed) as Handle
    }
    fn level(self) -> u32 {
        (self.0[LOW_AT].load(Ordering::Relaxed) >> 32) as u32
    }
    fn head(self, slot: usize) -> u64 {
        self.0[HEADS_AT + slot].load(Ordering::Relaxed)
    }
    /// The acquire order is for a leaf's items, which are replaced by newer versions without a new order.
    fn item(self, slot: usize) -> u32 {
        let word = self.0[ITEMS_AT + slot / 2].load(Ordering::Acquire);
        (word >> (32 * (slot % 2))) as u32
    }
    /// Release: a reader that is about to notice a split may meet the item under the old order.
    fn set_item(self, slot: usize, item: u32) {
        let word = &self.0[ITEMS_AT + slot / 2];
        let shift = 32 * (slot % 2);
        let other = word.load(Ordering::Relaxed) & !(0xffff_ffff << shift);
        word.store(other | u64::from(item) << shift, Ordering::Release);
    }
    fn high(self) -> u64 {
        self.0[HIGH_AT].load(Ordering::Acquire)
    }
    fn prefetch(self) {
        for line in self.0.chunks(LINE_WORDS) {
            crate::sync::prefetch(line.as_ptr().cast());
        }
    }
    /// What `read` finds, once it has found it with no split meanwhile.
    #[inline]
    fn settled<T>(self, mut read: impl FnMut(Permutation) -> T) -> T {
        loop {
            let before = self.splits();
            let found = read(self.order());
            fence(Ordering::Acquire);
            if self.0[SPLITS_AT].load(Ordering::Relaxed) == before {
                return found;
            }
            crate::sync::spin_loop();
        }
    }
}

impl Nodes {
    pub fn new(pool: &Pool) -> Nodes {
        Nodes { pool: pool.clone(), chunks: [const { OnceLock::new() }; CHUNKS], next: AtomicU32::new(1) }
    }

    /// Bytes of all nodes.
    pub fn bytes(&self) -> u64 {
        u64::from(self.next.load(Ordering::Relaxed) - 1) * (NODE_WORDS * 8) as u64
    }

    fn node(&self, number: NodeNo) -> Node<'_> {
        let (chunk, at) = chunk_of(number);
        let words = self.chunks[chunk].get().map_or(&[][..], |chunk| &chunk[at * NODE_WORDS..]);
        let Some(words) = words.first_chunk::<NODE_WORDS>() else {
            unreachable!("a number names a node that was made")
        };
        Node(words)
    }

    fn make(&self, level: u32, low: Handle) -> NodeNo {
        let number = self.next.load(Ordering::Relaxed);
        self.next.store(number + 1, Ordering::Relaxed);
        let (chunk, _) = chunk_of(number);
        assert!(chunk < CHUNKS, "entries are fewer than nodes could hold");
        self.chunks[chunk].get_or_init(|| Array::dirty(&self.pool, NODE_WORDS << (FIRST_BITS + chunk as u32)));
        let node = self.node(number);
        node.0[ORDER_AT].store(Permutation::EMPTY.0, Ordering::Relaxed);
        node.0[SPLITS_AT].store(0, Ordering::Relaxed);
        node.0[NEXT_AT].store(0, Ordering::Relaxed);
        node.0[HIGH_AT].store(u64::MAX, Ordering::Relaxed);
        node.0[LOW_AT].store(u64::from(level) << 32 | u64::from(low), Ordering::Relaxed);
        number
    }

    /// A tree without an item.
    pub fn tree(&self) -> Tree {
        Tree { root: AtomicU32::new(self.make(0, 0)) }
    }
}

/// Where the way to a key goes on.
enum Way {
    Right(NodeNo),
    Down(NodeNo),
    /// It ends here.
    Here,
}

/// A key that is looked for.
#[derive(Clone, Copy)]
struct Sought<'k> {
    key: &'k [u8],
    head: u64,
}

/// Nodes and entries: what a tree is made of.
#[derive(Clone, Copy)]
pub struct Parts<'m> {
    pub nodes: &'m Nodes,
    pub arena: &'m Arena,
}

impl<'m> Parts<'m> {
    /// How the key of an item compares with what is sought.
    #[inline]
    fn compare(self, node: Node<'m>, slot: usize, sought: Sought<'_>) -> Order {
        match node.head(slot).cmp(&sought.head) {
            Order::Equal => {
                let item = node.item(slot);
                let handle = if node.level() == 0 { item } else { self.nodes.node(item).low() };
                self.arena.get(handle).key.cmp(sought.key)
            }
            order => order,
        }
    }

    /// Items below the key (`strictly`), or up to it, among the first ones of the order; above the leaves the first
    /// is always one.
    #[inline]
    fn count_below(self, node: Node<'m>, order: Permutation, sought: Sought<'_>, strictly: bool) -> usize {
        let (mut low, mut high) = (usize::from(node.level() > 0), order.len());
        while low < high {
            let middle = (low + high) / 2;
            let below = match self.compare(node, order.slot(middle), sought) {
                Order::Less => true,
                Order::Equal => !strictly,
                Order::Greater => false,
            };
            if below {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The right neighbour, if the key belongs to it; `strictly`: if a key just below it does.
    #[inline]
    fn right_of(self, node: Node<'m>, sought: Sought<'_>, strictly: bool) -> Option<NodeNo> {
        match node.high().cmp(&sought.head) {
            Order::Less => Some(node.next()),
            Order::Greater => None,
            Order::Equal => {
                let next = node.next();
                (next != 0 && self.is_from(next, sought.key, strictly)).then_some(next)
            }
        }
    }

    /// True if the lowest key of a node is not above the key; `strictly`: if it is below.
    fn is_from(self, node: NodeNo, key: &[u8], strictly: bool) -> bool {
        let low = self.arena.get(self.nodes.node(node).low()).key;
        if strictly {
            low < key
        } else {
            low <= key
        }
    }

    /// Where the way to a key goes on from a node: to its right neighbour, or to a child; `None` at a leaf.
    #[inline]
    fn step(self, node: Node<'m>, sought: Sought<'_>, strictly: bool) -> Way {
        let level = node.level();
        node.settled(|order| {
            // After the order and before `next`.
            if let Some(next) = self.right_of(node, sought, strictly) {
                return Way::Right(next);
            }
            if level == 0 {
                return Way::Here;
            }
            let below = self.count_below(node, order, sought, strictly);
            Way::Down(node.item(order.slot(below - 1)))
        })
    }

    /// The leaf where the key is or would be; `strictly`: where a key just below it would be. `each` is told the nodes
    /// above.
    #[inline]
    fn find_leaf(self, tree: &Tree, sought: Sought<'_>, strictly: bool, each: impl FnMut(NodeNo)) -> NodeNo {
        self.go_on(tree.root.load(Ordering::Acquire), sought, strictly, each)
    }

    /// [`Parts::find_leaf`] from a node on the way.
    #[inline]
    fn go_on(self, mut number: NodeNo, sought: Sought<'_>, strictly: bool, mut each: impl FnMut(NodeNo)) -> NodeNo {
        loop {
            match self.step(self.nodes.node(number), sought, strictly) {
                Way::Right(next) => number = next,
                Way::Down(child) => {
                    self.nodes.node(child).prefetch();
                    each(number);
                    number = child;
                }
                Way::Here => return number,
            }
        }
    }

    /// Brings into the cache what puts of these keys will read, all of their ways at the same time; gives the leaves.
    pub fn warm(self, tree: &Tree, keys: &[&[u8]]) -> [Near; WARM] {
        let root = tree.root.load(Ordering::Acquire);
        let mut found = [Near(root); WARM];
        let mut here = [false; WARM];
        let mut under_way = true;
        while under_way {
            under_way = false;
            for (key, (at, here)) in keys.iter().zip(found.iter_mut().zip(&mut here)).filter(|(_, (_, here))| !**here) {
                let sought = Sought { key, head: head_of(key) };
                match self.step(self.nodes.node(at.0), sought, false) {
                    Way::Right(next) | Way::Down(next) => {
                        at.0 = next;
                        under_way = true;
                        self.nodes.node(next).prefetch();
                    }
                    Way::Here => *here = true,
                }
            }
        }
        found
    }

    /// The newest version of the entry with this key.
    pub fn find(self, tree: &Tree, key: &[u8]) -> Option<Handle> {
        let sought = Sought { key, head: head_of(key) };
        let mut number = self.find_leaf(tree, sought, false, |_| {});
        loop {
            let leaf = self.nodes.node(number);
            let (found, right) = leaf.settled(|order| {
                let below = self.count_below(leaf, order, sought, true);
                let is = below < order.len() && self.compare(leaf, order.slot(below), sought) == Order::Equal;
                let found = is.then(|| leaf.item(order.slot(below)));
                (found, if is { None } else { self.right_of(leaf, sought, false) })
            });
            // A split may have come since the way down.
            let Some(right) = right else { return found };
            number = right;
        }
    }

    /// Adds a version of a key; true if it is a new one. `near`: what [`Parts::warm`] gave for the key. Only the single
    /// writer calls this.
    pub fn put(self, tree: &Tree, entry: Entry<'_>, near: Near) -> bool {
        let sought = Sought { key: entry.key, head: head_of(entry.key) };
        // Leaves are split, and nothing of them ever moves to the left.
        let leaf = match near {
            Near::NOWHERE => self.find_leaf(tree, sought, false, |_| {}),
            Near(leaf) => self.go_on(leaf, sought, false, |_| {}),
        };
        let node = self.nodes.node(leaf);
        let order = node.order();
        let at = self.count_below(node, order, sought, true);
        if at < order.len() && self.compare(node, order.slot(at), sought) == Order::Equal {
            let slot = order.slot(at);
            let handle = self.arena.put(Entry { older: node.item(slot), ..entry });
            node.set_item(slot, handle);
            return false;
        }
        let handle = self.arena.put(Entry { older: 0, ..entry });
        if order.len() < ITEMS {
            self.fill(node, order, at, sought.head, handle);
            return true;
        }
        let (mut path, mut depth) = ([0; 16], 0);
        self.find_leaf(tree, sought, false, |node| {
            path[depth] = node;
            depth += 1;
        });
        self.insert(tree, &path[..depth], leaf, at, sought.head, handle);
        true
    }

    /// Puts an item into a node, in front of the one that is number `at` now; a full one is split.
    fn insert(self, tree: &Tree, path: &[NodeNo], number: NodeNo, at: usize, head: u64, item: u32) {
        let node = self.nodes.node(number);
        let order = node.order();
        if order.len() < ITEMS {
            return self.fill(node, order, at, head, item);
        }
        // What is put at the end of all leaves one full ones: keys often come in their order.
        let keep = if at == ITEMS && node.next() == 0 { ITEMS } else { ITEMS / 2 };
        let low = match node.level() {
            _ if keep == ITEMS => self.low_of(node.level(), item),
            level => self.low_of(level, node.item(order.slot(keep))),
        };
        let right_number = self.nodes.make(node.level(), low);
        let right = self.nodes.node(right_number);
        for from in keep..ITEMS {
            let slot = order.slot(from);
            self.fill(right, right.order(), from - keep, node.head(slot), node.item(slot));
        }
        right.0[NEXT_AT].store(node.next().into(), Ordering::Relaxed);
        right.0[HIGH_AT].store(node.high(), Ordering::Relaxed);
        node.0[NEXT_AT].store(right_number.into(), Ordering::Release);
        node.0[HIGH_AT].store(head_of(self.arena.get(low).key), Ordering::Release);
        let left_order = order.truncate(keep);
        node.0[ORDER_AT].store(left_order.0, Ordering::Release);
        node.0[SPLITS_AT].store(node.splits() + 1, Ordering::Release);
        // No slot is used again before the count is seen.
        fence(Ordering::Release);
        if at <= keep && keep < ITEMS {
            self.fill(node, left_order, at, head, item);
        } else {
            self.fill(right, right.order(), at - keep, head, item);
        }
        self.insert_node(tree, path, number, right_number);
    }

    /// The entry whose key is the lowest of an item.
    fn low_of(self, level: u32, item: u32) -> Handle {
        if level == 0 {
            item
        } else {
            self.nodes.node(item).low()
        }
    }

    fn fill(self, node: Node<'m>, order: Permutation, at: usize, head: u64, item: u32) {
        let slot = order.slot(order.len());
        node.0[HEADS_AT + slot].store(head, Ordering::Relaxed);
        node.set_item(slot, item);
        node.0[ORDER_AT].store(order.insert(at).0, Ordering::Release);
    }

    /// Tells the node above of a new one, right of `left`.
    fn insert_node(self, tree: &Tree, path: &[NodeNo], left: NodeNo, right: NodeNo) {
        let node = self.nodes.node(right);
        let key = self.arena.get(node.low()).key;
        let head = head_of(key);
        match path {
            [above @ .., parent] => {
                let parent_node = self.nodes.node(*parent);
                let at = self.count_below(parent_node, parent_node.order(), Sought { key, head }, true);
                self.insert(tree, above, *parent, at, head, right);
            }
            [] => {
                let root_number = self.nodes.make(node.level() + 1, 0);
                let root = self.nodes.node(root_number);
                self.fill(root, root.order(), 0, 0, left);
                self.fill(root, root.order(), 1, head, right);
                tree.root.store(root_number, Ordering::Release);
            }
        }
    }

    /// The items of a leaf into `batch`, in order, and the leaf after it.
    fn copy(self, number: NodeNo, batch: &mut Batch) {
        let leaf = self.nodes.node(number);
        batch.next = leaf.settled(|order| {
            batch.len = order.len();
            for at in 0..batch.len {
                let slot = order.slot(at);
                (batch.items[at], batch.heads[at]) = (leaf.item(slot), leaf.head(slot));
            }
            leaf.next()
        });
        if batch.next != 0 {
            self.nodes.node(batch.next).prefetch();
        }
        batch.low = leaf.low();
    }
}

/// The items of one leaf, as they were at one moment.
#[derive(Debug, Clone)]
struct Batch {
    items: [Handle; ITEMS],
    heads: [u64; ITEMS],
    len: usize,
    next: NodeNo,
    low: Handle,
}

impl Batch {
    const EMPTY: Batch = Batch { items: [0; ITEMS], heads: [0; ITEMS], len: 0, next: 0, low: 0 };

    /// Items below the key; `after`: up to it. Mostly the heads decide: entries that came in random order lie apart.
    fn count_below(&self, arena: &Arena, sought: Sought<'_>, after: bool) -> usize {
        let heads = &self.heads[..self.len];
        let below = heads.iter().filter(|head| **head < sought.head).count();
        let is_below = |item: &Handle| match arena.get(*item).key.cmp(sought.key) {
            Order::Less => true,
            Order::Equal => after,
            Order::Greater => false,
        };
        let equal = heads[below..].iter().filter(|head| **head == sought.head).count();
        below + self.items[below..below + equal].partition_point(is_below)
    }
}

/// A place in a tree, between two items. Holds nothing: each step is given the tree's parts. What comes into the tree
/// behind its back may be seen or not; who reads at a commit does not see it either way.
#[derive(Debug, Clone)]
pub struct Cursor {
    batch: Batch,
    /// The next item forward; the one before it is the next backward.
    at: usize,
}

impl Cursor {
    /// Before the first item whose key is not below `key`; `after`: not up to it.
    pub fn seek(parts: Parts<'_>, tree: &Tree, key: &[u8], after: bool) -> Cursor {
        let sought = Sought { key, head: head_of(key) };
        // Who goes backward from here wants the leaf of the items below.
        let leaf = parts.find_leaf(tree, sought, !after, |_| {});
        let mut cursor = Cursor { batch: Batch::EMPTY, at: 0 };
        cursor.enter(parts, leaf, sought, after);
        cursor
    }

    /// Before the first item, or after the last one.
    pub fn end(parts: Parts<'_>, tree: &Tree, last: bool) -> Cursor {
        if !last {
            return Cursor::seek(parts, tree, &[], false);
        }
        let mut number = tree.root.load(Ordering::Acquire);
        let mut cursor = Cursor { batch: Batch::EMPTY, at: 0 };
        loop {
            let node = parts.nodes.node(number);
            let next = node.settled(|order| match node.next() {
                0 if node.level() > 0 => node.item(order.slot(order.len() - 1)),
                next => next,
            });
            if next == 0 {
                parts.copy(number, &mut cursor.batch);
                if cursor.batch.next == 0 {
                    cursor.at = cursor.batch.len;
                    return cursor;
                }
                number = cursor.batch.next;
                continue;
            }
            number = next;
        }
    }

    fn enter(&mut self, parts: Parts<'_>, leaf: NodeNo, sought: Sought<'_>, after: bool) {
        let mut number = leaf;
        loop {
            parts.copy(number, &mut self.batch);
            self.at = self.batch.count_below(parts.arena, sought, after);
            if self.at < self.batch.len || self.batch.next == 0 || !parts.is_from(self.batch.next, sought.key, !after) {
                break;
            }
            number = self.batch.next;
        }
        // Their misses overlap.
        (self.at..self.at + AHEAD).for_each(|at| self.prefetch(parts, at));
    }

    fn prefetch(&self, parts: Parts<'_>, at: usize) {
        if let Some(item) = self.batch.items[..self.batch.len].get(at) {
            parts.arena.prefetch(*item);
        }
    }

    /// The next item.
    pub fn next(&mut self, parts: Parts<'_>) -> Option<Handle> {
        while self.at == self.batch.len {
            if self.batch.next == 0 {
                return None;
            }
            match self.batch.items[..self.batch.len].last().copied() {
                // A split between the two looks shows items twice.
                Some(last) => {
                    let key = parts.arena.get(last).key;
                    self.enter(parts, self.batch.next, Sought { key, head: head_of(key) }, true);
                }
                None => {
                    let next = self.batch.next;
                    parts.copy(next, &mut self.batch);
                    self.at = 0;
                }
            }
        }
        self.prefetch(parts, self.at + AHEAD);
        self.at += 1;
        Some(self.batch.items[self.at - 1])
    }

    /// The item before.
    pub fn back(&mut self, parts: Parts<'_>, tree: &Tree) -> Option<Handle> {
        while self.at == 0 {
            if self.batch.low == 0 {
                return None;
            }
            let low = parts.arena.get(self.batch.low).key;
            *self = Cursor::seek(parts, tree, low, false);
        }
        self.at -= 1;
        Some(self.batch.items[self.at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_keeps_its_items_in_order_and_its_slots_apart() {
        let mut order = Permutation::EMPTY;
        let mut model: Vec<usize> = Vec::new();
        for n in 0..ITEMS {
            let at = (n * 7) % (n + 1);
            model.insert(at, order.slot(order.len()));
            order = order.insert(at);
            let slots: Vec<usize> = (0..order.len()).map(|i| order.slot(i)).collect();
            assert_eq!(slots, model);
            let mut all: Vec<usize> = (0..ITEMS).map(|i| order.slot(i)).collect();
            all.sort_unstable();
            assert_eq!(all, (0..ITEMS).collect::<Vec<_>>());
        }
        assert_eq!(order.truncate(7).len(), 7);
    }
}
