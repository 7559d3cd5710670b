//! Looking into a trie of which pages may be missing: its shape, and single pages.

use super::leaf::{self, MAX_ENTRIES};
use super::node::{Node, Slot};
use super::{Page, TrieRoot, PATH_BITS};
use crate::error::{Error, Result};
use crate::file::page::{Address, PageBuf, PageKind, PageNo, PAGE_BYTES};

/// How the walk gets a page of a kind, whole, and no page twice.
pub type Read<'r> = &'r mut dyn FnMut(PageNo, PageKind) -> Result<PageBuf>;

/// The shape of a trie.
#[derive(Debug, Default)]
pub struct Shape {
    /// Entries counted.
    pub entries: u64,
    /// Nodes of each level, leaves first, those chained to others left out.
    pub nodes: Vec<u64>,
    /// Pages of leaves.
    pub leaf_pages: u64,
    /// Children that are no page.
    pub empty_leaves: u64,
    /// Leaf pages by tenths of the most entries.
    pub fill: [u64; 10],
    /// Leaves by depth.
    pub depths: Vec<u64>,
    /// Pages of the longest chain.
    pub longest_chain: u64,
    /// Entries that are not in their home line.
    pub overflowed: u64,
}

/// Walks over all of a trie that can be read; `damage` is told the rest.
pub fn shape(read: Read<'_>, root: &TrieRoot, damage: &mut dyn FnMut(Error)) -> Shape {
    let levels = usize::from(root.level) + 1;
    let mut shape = Shape { depths: vec![0; usize::from(PATH_BITS) + 1], ..Shape::default() };
    if let Err(e) = root.check::<Error>() {
        damage(e);
    } else if !root.page.is_none() {
        shape.nodes = vec![0; levels];
        shape.visit(read, Slot { prefix: 0, depth: 0, page: root.page }, root.level, damage);
    }
    shape
}

impl Shape {
    fn visit(&mut self, read: Read<'_>, at: Slot, level: u8, damage: &mut dyn FnMut(Error)) {
        if at.page.is_none() {
            self.empty_leaves += 1;
            return;
        }
        if level == 0 {
            return self.visit_leaf(read, at, damage);
        }
        let children = read(at.page, PageKind::TrieNode)
            .and_then(|bytes| Node::open(page_of(&bytes)?, at.page, level, at.depth)?.children(at.prefix));
        match children {
            Ok(children) => {
                self.nodes[usize::from(level)] += 1;
                children.into_iter().for_each(|child| self.visit(read, child, level - 1, damage));
            }
            Err(e) => damage(e),
        }
    }

    fn visit_leaf(&mut self, read: Read<'_>, at: Slot, damage: &mut dyn FnMut(Error)) {
        let (mut no, mut chain, mut before) = (at.page, 0, None::<leaf::Head>);
        loop {
            let bytes = match read(no, PageKind::TrieLeaf) {
                Ok(bytes) => bytes,
                Err(e) => return damage(e),
            };
            let head = page_of(&bytes).and_then(|page| {
                let head = leaf::check(page, no, at.depth)?;
                before.map_or(Ok(()), |before| before.expect_next(no, &head))?;
                Ok((page, head))
            });
            let (page, head) = match head {
                Ok(head) => head,
                Err(e) => return damage(e),
            };
            let entries = usize::from(head.entries);
            self.leaf_pages += 1;
            self.entries += entries as u64;
            self.fill[(entries.max(1) - 1) * 10 / MAX_ENTRIES] += 1;
            leaf::for_each_place(page, &mut |_, _, _, home| self.overflowed += u64::from(!home));
            if chain == 0 {
                self.nodes[0] += 1;
                self.depths[usize::from(at.depth.min(PATH_BITS))] += 1;
            }
            chain += 1;
            self.longest_chain = self.longest_chain.max(chain);
            if head.rest == 0 {
                return;
            }
            (no, before) = (head.next, Some(head));
        }
    }
}

fn page_of(bytes: &[u8]) -> Result<&Page> {
    bytes.try_into().map_err(|_| Error::corrupt("trie page (bytes)", 0, 0, PAGE_BYTES as u64, bytes.len() as u64))
}

/// A leaf by itself.
#[derive(Debug)]
pub struct LeafView {
    /// Path bits that lead to it.
    pub depth: u8,
    /// First path bit in the tags.
    pub tag_base: u8,
    /// The next leaf of its chain, and how many follow.
    pub next: (PageNo, u32),
    /// Line, tag and address of each entry.
    pub entries: Vec<(usize, u32, Address)>,
}

/// Decodes a leaf by itself.
pub fn leaf_view(bytes: &[u8], no: PageNo) -> Result<LeafView> {
    let page = page_of(bytes)?;
    let head = leaf::check(page, no, leaf::depth_of(page))?;
    let mut entries = Vec::with_capacity(head.entries.into());
    leaf::for_each_place(page, &mut |line, tag, address, _| entries.push((line, tag, address)));
    Ok(LeafView { depth: head.depth, tag_base: head.tag_base, next: (head.next, head.rest), entries })
}

/// A node by itself.
#[derive(Debug)]
pub struct NodeView {
    /// Level above the leaves.
    pub level: u8,
    /// Path bits that lead to it.
    pub depth: u8,
    /// Path bits by which it chooses.
    pub bits: u8,
    /// Page, depth and number of slots of each child.
    pub children: Vec<(PageNo, u8, u32)>,
}

/// Decodes a node by itself.
pub fn node_view(bytes: &[u8], no: PageNo) -> Result<NodeView> {
    let page = page_of(bytes)?;
    let (level, depth, bits) = Node::shape_of(page);
    let children = Node::open(page, no, level, depth)?.children(0)?;
    let slots = |child: &Slot| 1 << (u32::from(depth) + u32::from(bits) - u32::from(child.depth));
    Ok(NodeView { level, depth, bits, children: children.iter().map(|c| (c.page, c.depth, slots(c))).collect() })
}
