//! An interior node of the trie: where the next path bits lead.
//!
//! ```text
//!   0        64       71       78                 64 + 7 * 2^bits
//!   +--------+--------+--------+--- - - - ---+----+--------+
//!   | header | slot 0 | slot 1 |             |    | zeroes |      slot: page (6 bytes), depth (1 byte)
//!   +--------+--------+--------+--- - - - ---+----+--------+
//!
//!   path bits:   0 ......... depth ......... depth + bits
//!                 lead here         choose the slot
//! ```
//!
//! Each slot says how many path bits its child is responsible for. A child of depth `d` fills the
//! 2^(depth + bits - d) slots that begin with its bits, so a lookup is one shift and one read, and a
//! leaf that has not been split yet needs no copies.

use super::{top, Page, HEADER_BYTES, PATH_BITS};
use crate::error::{Error, Result};
use crate::file::fault::Fault;
use crate::file::page::{get_u64, put_u48, PageBuf, PageNo, PAGE_BYTES, UNIT_HEADER_BYTES};

const BITS_AT: usize = UNIT_HEADER_BYTES;
const LEVEL_AT: usize = BITS_AT + 1;
const DEPTH_AT: usize = LEVEL_AT + 1;
const _: () = assert!(DEPTH_AT + 1 + 13 == HEADER_BYTES);

const SLOT_BYTES: usize = 7;
const SLOT_DEPTH_AT: usize = 6;

/// Field names of `docs/file-format.md` and where the code has them: node, slot.
#[cfg(test)]
pub(crate) const LAYOUTS: [crate::format_tests::Layout; 2] = [
    &[
        ("unit header", 0),
        ("bits", BITS_AT),
        ("level", LEVEL_AT),
        ("depth", DEPTH_AT),
        ("zero", DEPTH_AT + 1),
        ("slots", HEADER_BYTES),
    ],
    &[("page", 0), ("depth", SLOT_DEPTH_AT), ("", SLOT_BYTES)],
];

/// The most path bits by which a node chooses.
pub const MAX_BITS: u8 = 9;
const _: () = assert!(HEADER_BYTES + (SLOT_BYTES << MAX_BITS) < PAGE_BYTES);

/// The most children of a node that is merged from two: half full, so that it is not split again soon.
pub const MAX_MERGED_CHILDREN: usize = 1 << (MAX_BITS - 1);

/// A child as a node stores it. `page` is [`PageNo::NONE`] for a leaf without entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Its path: the first `depth` bits, then zeroes.
    pub prefix: u64,
    /// Path bits that lead to it.
    pub depth: u8,
    /// Its page.
    pub page: PageNo,
}

/// A node, its header checked.
#[derive(Debug, Clone, Copy)]
pub struct Node<'p> {
    page: &'p Page,
    no: PageNo,
    bits: u8,
    level: u8,
    depth: u8,
}

impl<'p> Node<'p> {
    /// Checks the header of the node `no`, which must be at this level and depth.
    pub fn open(page: &'p Page, no: PageNo, level: u8, depth: u8) -> Result<Node<'p>> {
        Node::look(page, no, level, depth)
    }

    /// Level, depth and bits in a node's header, unchecked.
    pub fn shape_of(page: &Page) -> (u8, u8, u8) {
        (page[LEVEL_AT], page[DEPTH_AT], page[BITS_AT])
    }

    /// [`Node::open`], the fast look or the slow one.
    #[inline]
    pub fn look<E: Fault>(page: &'p Page, no: PageNo, level: u8, depth: u8) -> Result<Node<'p>, E> {
        let bits = page[BITS_AT];
        let is_here = [page[LEVEL_AT], page[DEPTH_AT]] == [level, depth];
        if is_here && bits <= MAX_BITS && u32::from(depth) + u32::from(bits) <= u32::from(PATH_BITS) {
            return Ok(Node { page, no, bits, level, depth });
        }
        E::otherwise(|| Err(Node::header_damage(page, no, level, depth)))
    }

    #[cold]
    fn header_damage(page: &Page, no: PageNo, level: u8, depth: u8) -> Error {
        let (what, at, expected) = match () {
            () if page[LEVEL_AT] != level => ("trie node (level)", LEVEL_AT, level),
            () if page[DEPTH_AT] != depth => ("trie node (depth)", DEPTH_AT, depth),
            () => ("trie node (bits)", BITS_AT, MAX_BITS),
        };
        Error::corrupt(what, no.0, at as u32, u64::from(expected), u64::from(page[at]))
    }

    /// The child that the path of `hash` leads to.
    #[inline]
    pub fn child<E: Fault>(&self, hash: u64) -> Result<Slot, E> {
        // In two steps, as a shift by all 64 bits is not allowed: `bits` may be 0.
        let index = (hash << self.depth >> 1 >> (63 - self.bits)) as usize;
        let at = HEADER_BYTES + index * SLOT_BYTES;
        // A slot and the byte behind it, in one load: none ends at the page's end.
        let slot = get_u64(self.page, at);
        let (page, depth) = (PageNo(slot & ((1 << 48) - 1)), (slot >> 48) as u8);
        if depth.wrapping_sub(self.depth) > self.bits {
            return E::otherwise(|| Err(self.damage(at, self.depth.into(), depth.into())));
        }
        if page.is_none() && self.level > 1 {
            return E::otherwise(|| Err(self.damage(at, 1, 0)));
        }
        Ok(Slot { prefix: hash & top(depth), depth, page })
    }

    /// All children in the order of their paths; checks that each fills the slots of its path.
    /// `prefix` is the path to this node.
    pub fn children(&self, prefix: u64) -> Result<Vec<Slot>> {
        let end = 1usize << self.bits;
        let mut children = Vec::new();
        let mut index = 0;
        while index < end {
            let path = prefix | (index as u64) << 1 << (63 - self.depth - self.bits);
            let child = self.child::<Error>(path)?;
            let span = 1usize << (self.depth + self.bits - child.depth);
            let at = HEADER_BYTES + index * SLOT_BYTES;
            if index % span != 0 {
                return Err(self.damage(at, (index % span) as u64, child.depth.into()));
            }
            let first = &self.page[at..at + SLOT_BYTES];
            let slots = &self.page[at..at + span * SLOT_BYTES];
            if slots.chunks_exact(SLOT_BYTES).any(|slot| slot != first) {
                return Err(self.damage(at, child.page.0, child.depth.into()));
            }
            children.push(child);
            index += span;
        }
        Ok(children)
    }

    fn damage(&self, at: usize, expected: u64, got: u64) -> Error {
        Error::corrupt("trie node (slot)", self.no.0, at as u32, expected, got)
    }
}

/// Builds a node, without the unit header.
///
/// Requires: `children` in the order of their paths, together exactly what begins with the node's
/// first `depth` path bits, none deeper than `depth` + [`MAX_BITS`].
pub fn build(level: u8, depth: u8, children: &[Slot]) -> PageBuf {
    let deepest = children.iter().map(|child| child.depth).max().unwrap_or(depth);
    let bits = deepest - depth;
    debug_assert!(bits <= MAX_BITS && level > 0);
    let mut page = PageBuf::zeroed(1);
    page[BITS_AT] = bits;
    page[LEVEL_AT] = level;
    page[DEPTH_AT] = depth;
    let mut at = HEADER_BYTES;
    for child in children {
        for _ in 0..1usize << (deepest - child.depth) {
            put_u48(&mut page, at, child.page.0);
            page[at + SLOT_DEPTH_AT] = child.depth;
            at += SLOT_BYTES;
        }
    }
    debug_assert_eq!(at, HEADER_BYTES + (SLOT_BYTES << bits), "the children do not fill the node");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_node_are_those_of_the_specification() {
        let slot = |prefix, depth, page| Slot { prefix, depth, page: PageNo(page) };
        // Below the path 1: 10, 110, 111.
        let children = [slot(2 << 62, 2, 0x0605_0403_0201), slot(6 << 61, 3, 0), slot(7 << 61, 3, 9)];
        let page = build(1, 1, &children);
        assert_eq!(page[48..64], [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(page[64..78], [1, 2, 3, 4, 5, 6, 2, 1, 2, 3, 4, 5, 6, 2]);
        assert_eq!(page[78..93], [0, 0, 0, 0, 0, 0, 3, 9, 0, 0, 0, 0, 0, 3, 0]);
        let page: &Page = (&*page).try_into().unwrap();
        let node = Node::open(page, PageNo(2), 1, 1).unwrap();
        assert_eq!(node.children(1 << 63).unwrap(), children);
        assert_eq!(node.child::<Error>(0xefff << 48).unwrap(), children[2]);
        assert!(Node::open(page, PageNo(2), 2, 1).is_err() && Node::open(page, PageNo(2), 1, 0).is_err());
    }

    #[test]
    fn children_that_do_not_fill_the_slots_of_their_paths_are_damage() {
        let slot = |prefix, depth, page| Slot { prefix, depth, page: PageNo(page) };
        let children = [slot(0, 1, 5), slot(2 << 62, 2, 6), slot(3 << 62, 2, 7)];
        let good = build(1, 0, &children);
        let slot_at = |index: usize| HEADER_BYTES + index * SLOT_BYTES;
        // Each: slots and their new depths.
        for change in [&[(0usize, 2u8)][..], &[(0, 2), (1, 1), (2, 1)], &[(3, 1)], &[(2, 0)], &[(1, 3)]] {
            let mut page = PageBuf::zeroed(1);
            page.copy_from_slice(&good);
            for &(index, depth) in change {
                page[slot_at(index) + SLOT_DEPTH_AT] = depth;
                if index == 2 {
                    put_u48(&mut page, slot_at(2), 5);
                }
            }
            let page: &Page = (&*page).try_into().unwrap();
            assert!(Node::open(page, PageNo(2), 1, 0).unwrap().children(0).is_err(), "{change:?}");
        }
    }
}
