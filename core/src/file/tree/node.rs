//! One page of a page tree: its layout, reading it in place, and building a new one.
//!
//! ```text
//!          64                                                                4 096
//!  leaf    | key, offset, length | key, offset, length | ..> free <.. | value 1 | value 0 |
//!  branch  | key, child | key, child | ..> free                                           |
//! ```
//!
//! (format: `docs/file-format.md`, "Page tree"). The keys of a page ascend strictly. The values of a
//! leaf lie without gaps, the first one at the end of the page.
//!
//! [`Node`] reads a page where it lies and checks what it touches; [`Node::validate`] checks the rest.
//! [`Run`] is the other form: the entries of a node that is about to be written, any number of them.
//! A branch entry is a run entry too: its value is the six bytes of the child's number. So leaves and
//! branches are merged, split and packed by the same code.

use crate::error::{Error, Result};
use crate::file::page::{self, get_u16, get_u48, get_u64, put_u16, put_u48, put_u64};
use crate::file::page::{PageBuf, PageKind, PageNo, PageSource, UnitHeader, PAGE_BYTES, UNIT_HEADER_BYTES};

/// Highest level a node can have; a tree has at most one more level than this.
pub const MAX_LEVEL: u8 = 9;

/// Longest value, so that a leaf always holds three entries.
pub const MAX_VALUE_BYTES: usize = 1024;

const COUNT_AT: usize = UNIT_HEADER_BYTES;
const LEVEL_AT: usize = COUNT_AT + 2;
const SLOTS_AT: usize = 64;

const KEY_BYTES: usize = 8;
const CHILD_BYTES: usize = 6;
const LEAF_SLOT_BYTES: usize = KEY_BYTES + 2 + 2;
const BRANCH_SLOT_BYTES: usize = KEY_BYTES + CHILD_BYTES;
const _: () = assert!(LEVEL_AT < SLOTS_AT);
const _: () = assert!(3 * (LEAF_SLOT_BYTES + MAX_VALUE_BYTES) <= CAPACITY_BYTES);

/// Field names of `docs/file-format.md` and where the code has them: page, leaf slot, branch slot.
#[cfg(all(test, not(loom)))]
pub(crate) const LAYOUTS: [crate::format_tests::Layout; 3] = [
    &[("unit header", 0), ("count", COUNT_AT), ("level", LEVEL_AT), ("zero", LEVEL_AT + 1), ("slots", SLOTS_AT)],
    &[("key", 0), ("value offset", KEY_BYTES), ("value length", KEY_BYTES + 2), ("", LEAF_SLOT_BYTES)],
    &[("key", 0), ("child", KEY_BYTES), ("", BRANCH_SLOT_BYTES)],
];

/// Bytes of a page that entries can use.
pub const CAPACITY_BYTES: usize = PAGE_BYTES - SLOTS_AT;

/// The kind of the pages of `level`.
fn kind_of_level(level: u8) -> PageKind {
    if level == 0 {
        PageKind::TreeLeaf
    } else {
        PageKind::TreeBranch
    }
}

fn slot_bytes(level: u8) -> usize {
    if level == 0 {
        LEAF_SLOT_BYTES
    } else {
        BRANCH_SLOT_BYTES
    }
}

/// The keys that may stand in a subtree, as its parent says.
#[derive(Debug, Clone, Copy)]
pub struct Fence {
    /// The first key of the subtree exactly, or `None` where no parent says it (the root).
    pub first: Option<u64>,
    /// All keys are smaller than this; `None` at the right edge of the tree.
    pub end: Option<u64>,
}

impl Fence {
    /// The fence of a root: everything.
    pub const ROOT: Fence = Fence { first: None, end: None };
}

/// A page of the tree where it lies, its head checked.
#[derive(Clone, Copy)]
pub struct Node<'s> {
    bytes: &'s [u8],
    page: PageNo,
    level: u8,
    count: usize,
}

impl<'s> Node<'s> {
    /// Reads the node at `page`, which must be one of `level`, and whose first key must be `first` if
    /// that is known. That the level is the expected one keeps every descent finite.
    pub fn open<S: PageSource + ?Sized>(src: &'s S, page: PageNo, level: u8, first: Option<u64>) -> Result<Node<'s>> {
        let corrupt =
            |what, at: usize, expected: u64, got: u64| Err(Error::corrupt(what, page.0, at as u32, expected, got));
        if level > MAX_LEVEL {
            return corrupt("page tree (height)", LEVEL_AT, u64::from(MAX_LEVEL), u64::from(level));
        }
        let bytes = src.unit(page, kind_of_level(level))?;
        if bytes.len() != PAGE_BYTES {
            return corrupt("page tree (page size)", 0, PAGE_BYTES as u64, bytes.len() as u64);
        }
        if page::kind_of(bytes) != Some(kind_of_level(level)) || bytes[LEVEL_AT] != level {
            return corrupt("page tree (level)", LEVEL_AT, u64::from(level), u64::from(bytes[LEVEL_AT]));
        }
        let count = usize::from(get_u16(bytes, COUNT_AT));
        let most = CAPACITY_BYTES / slot_bytes(level);
        if count == 0 || count > most {
            return corrupt("page tree (entry count)", COUNT_AT, most as u64, count as u64);
        }
        let node = Node { bytes, page, level, count };
        match first {
            Some(first) if node.key(0) != first => corrupt("page tree (first key)", SLOTS_AT, first, node.key(0)),
            _ => Ok(node),
        }
    }

    /// The level on a page, unchecked.
    pub fn level_of(bytes: &[u8]) -> u8 {
        bytes.get(LEVEL_AT).copied().unwrap_or(0)
    }

    /// Number of entries, at least 1.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The tree its header names.
    pub fn tree(&self) -> u64 {
        page::tree_of(self.bytes)
    }

    fn slot_at(&self, index: usize) -> usize {
        debug_assert!(index < self.count);
        SLOTS_AT + index * slot_bytes(self.level)
    }

    /// Damage at entry `index`.
    pub fn corrupt(&self, what: &'static str, index: usize, expected: u64, got: u64) -> Error {
        Error::corrupt(what, self.page.0, self.slot_at(index) as u32, expected, got)
    }

    /// Key of entry `index`, which must be below [`Node::count`].
    pub fn key(&self, index: usize) -> u64 {
        get_u64(self.bytes, self.slot_at(index))
    }

    /// Number of entries whose key is smaller than `key`.
    pub fn below(&self, key: u64) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = (low + high) / 2;
            if self.key(middle) < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The last entry whose key is at most `key`, if there is one.
    pub fn last_up_to(&self, key: u64) -> Option<usize> {
        let below = self.below(key);
        if below < self.count && self.key(below) == key {
            return Some(below);
        }
        below.checked_sub(1)
    }

    /// Place of the value of entry `index` of a leaf, unchecked.
    fn value_place(&self, index: usize) -> (usize, usize) {
        let at = self.slot_at(index) + KEY_BYTES;
        (usize::from(get_u16(self.bytes, at)), usize::from(get_u16(self.bytes, at + 2)))
    }

    /// Value of entry `index` of a leaf.
    pub fn value(&self, index: usize) -> Result<&'s [u8]> {
        debug_assert_eq!(self.level, 0);
        let (offset, length) = self.value_place(index);
        let lowest = SLOTS_AT + self.count * LEAF_SLOT_BYTES;
        if length > MAX_VALUE_BYTES {
            return Err(self.corrupt("page tree (value length)", index, MAX_VALUE_BYTES as u64, length as u64));
        }
        if offset < lowest || offset + length > PAGE_BYTES {
            return Err(self.corrupt("page tree (value offset)", index, lowest as u64, offset as u64));
        }
        Ok(&self.bytes[offset..offset + length])
    }

    /// Child of entry `index` of a branch.
    pub fn child(&self, index: usize) -> Result<PageNo> {
        debug_assert_ne!(self.level, 0);
        let child = get_u48(self.bytes, self.slot_at(index) + KEY_BYTES);
        if child == 0 {
            return Err(self.corrupt("page tree (child)", index, 1, 0));
        }
        Ok(PageNo(child))
    }

    /// What may stand below entry `index` of a branch that has `fence` itself.
    pub fn fence(&self, index: usize, fence: Fence) -> Fence {
        let end = if index + 1 < self.count { Some(self.key(index + 1)) } else { fence.end };
        Fence { first: Some(self.key(index)), end }
    }

    /// Checks everything that single reads do not: the order of all keys, the end of the fence, and
    /// that the values lie as a writer lays them.
    pub fn validate(&self, fence: Fence) -> Result<()> {
        for index in 1..self.count {
            if self.key(index) <= self.key(index - 1) {
                return Err(self.corrupt("page tree (key order)", index, self.key(index - 1), self.key(index)));
            }
        }
        let last = self.key(self.count - 1);
        if fence.end.is_some_and(|end| last >= end) {
            return Err(self.corrupt("page tree (last key)", self.count - 1, fence.end.unwrap_or(0), last));
        }
        if self.level == 0 {
            self.validate_values()?;
        }
        Ok(())
    }

    fn validate_values(&self) -> Result<()> {
        let mut end = PAGE_BYTES;
        for index in 0..self.count {
            let value = self.value(index)?;
            let (offset, _) = self.value_place(index);
            if offset + value.len() != end {
                return Err(self.corrupt("page tree (value offset)", index, end as u64, offset as u64));
            }
            end = offset;
        }
        Ok(())
    }
}

/// The entries of one level that are about to be written: sorted, and more than a page if need be.
#[derive(Debug, Default)]
pub struct Run {
    /// Key and end of the value in `bytes`; it begins where the one before ends.
    slots: Vec<(u64, usize)>,
    bytes: Vec<u8>,
}

impl Run {
    /// Copies the node at `page`, checked from end to end.
    pub fn load<S: PageSource + ?Sized>(src: &S, tree: u64, page: PageNo, level: u8, fence: Fence) -> Result<Run> {
        let node = Node::open(src, page, level, fence.first)?;
        if node.tree() != tree {
            return Err(Error::corrupt("page tree (tree number)", page.0, 0, tree, node.tree()));
        }
        node.validate(fence)?;
        let mut run = Run { slots: Vec::with_capacity(node.count()), bytes: Vec::with_capacity(CAPACITY_BYTES) };
        for index in 0..node.count() {
            match level {
                0 => run.push(node.key(index), node.value(index)?),
                _ => run.push_child(node.key(index), node.child(index)?),
            }
        }
        Ok(run)
    }

    /// Adds an entry behind the others.
    pub fn push(&mut self, key: u64, value: &[u8]) {
        debug_assert!(self.slots.last().is_none_or(|&(last, _)| last < key));
        self.bytes.extend_from_slice(value);
        self.slots.push((key, self.bytes.len()));
    }

    /// Adds a child behind the others.
    pub fn push_child(&mut self, first: u64, child: PageNo) {
        let mut bytes = [0; CHILD_BYTES];
        put_u48(&mut bytes, 0, child.0);
        self.push(first, &bytes);
    }

    /// Adds the entries of `other`, which come behind all of these.
    pub fn append(&mut self, other: &Run) {
        for index in 0..other.len() {
            self.push(other.key(index), other.value(index));
        }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True if there is no entry.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Key of entry `index`.
    pub fn key(&self, index: usize) -> u64 {
        self.slots[index].0
    }

    /// Value of entry `index`.
    pub fn value(&self, index: usize) -> &[u8] {
        let from = index.checked_sub(1).map_or(0, |before| self.slots[before].1);
        &self.bytes[from..self.slots[index].1]
    }

    /// Child of entry `index` of a branch.
    pub fn child(&self, index: usize) -> PageNo {
        PageNo(get_u48(self.value(index), 0))
    }

    /// What may stand below entry `index` of a branch that has `fence` itself.
    pub fn fence(&self, index: usize, fence: Fence) -> Fence {
        let end = self.slots.get(index + 1).map(|slot| slot.0).or(fence.end);
        Fence { first: Some(self.key(index)), end }
    }

    /// Bytes that entry `index` takes on a page of `level`.
    pub fn entry_bytes(&self, index: usize, level: u8) -> usize {
        match level {
            0 => LEAF_SLOT_BYTES + self.value(index).len(),
            _ => BRANCH_SLOT_BYTES,
        }
    }

    /// Bytes that all entries take on pages of `level`.
    pub fn total_bytes(&self, level: u8) -> usize {
        match level {
            0 => self.len() * LEAF_SLOT_BYTES + self.bytes.len(),
            _ => self.len() * BRANCH_SLOT_BYTES,
        }
    }

    /// Builds the page that holds the entries of `range`, which must fit.
    pub fn build(&self, range: std::ops::Range<usize>, tree: u64, page: PageNo, level: u8) -> PageBuf {
        let mut unit = PageBuf::zeroed(1);
        UnitHeader { page, kind: kind_of_level(level), order: 0, generation: 0, tree }.encode(&mut unit);
        put_u16(&mut unit, COUNT_AT, range.len() as u16);
        unit[LEVEL_AT] = level;
        let mut end = PAGE_BYTES;
        for (slot, index) in range.enumerate() {
            let at = SLOTS_AT + slot * slot_bytes(level);
            let value = self.value(index);
            put_u64(&mut unit, at, self.key(index));
            if level > 0 {
                unit[at + KEY_BYTES..at + BRANCH_SLOT_BYTES].copy_from_slice(value);
                continue;
            }
            unit[end - value.len()..end].copy_from_slice(value);
            end -= value.len();
            put_u16(&mut unit, at + KEY_BYTES, end as u16);
            put_u16(&mut unit, at + KEY_BYTES + 2, value.len() as u16);
        }
        unit
    }
}
