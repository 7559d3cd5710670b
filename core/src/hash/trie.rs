//! Reading the trie: the root, the way down, the walk over everything.

use super::leaf::{self, Search};
use super::node::{Node, Slot};
use super::{look, read, top, KeyHash, Page, Shortcut, MAX_LEVEL};
use crate::error::{Error, Result};
use crate::file::fault::Fault;
use crate::file::page::{get_u48, get_u64, put_u48, put_u64, Address, PageKind, PageNo, PageSource};

/// Where a trie begins; 16 bytes in the catalog entry of its collection.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct TrieRoot {
    /// Its root page, [`PageNo::NONE`] if it is empty.
    pub page: PageNo,
    /// Level of the root: 0 if it is a leaf.
    pub level: u8,
    /// Entries in the whole trie.
    pub entries: u64,
}

const ROOT_PAGE_AT: usize = 0;
const ROOT_LEVEL_AT: usize = ROOT_PAGE_AT + 6;
const ROOT_ENTRIES_AT: usize = ROOT_LEVEL_AT + 2;

/// Field names of `docs/file-format.md` and where the code has them.
#[cfg(test)]
pub(crate) const LAYOUT: crate::format_tests::Layout = &[
    ("page", ROOT_PAGE_AT),
    ("level", ROOT_LEVEL_AT),
    ("zero", ROOT_LEVEL_AT + 1),
    ("entries", ROOT_ENTRIES_AT),
    ("", TrieRoot::BYTES),
];

impl TrieRoot {
    /// Length of an encoded root.
    pub const BYTES: usize = ROOT_ENTRIES_AT + 8;

    /// Writes the root to the front of `out`, which must be [`Self::BYTES`] long.
    pub fn encode(&self, out: &mut [u8]) {
        put_u48(out, ROOT_PAGE_AT, self.page.0);
        out[ROOT_LEVEL_AT] = self.level;
        out[ROOT_LEVEL_AT + 1] = 0;
        put_u64(out, ROOT_ENTRIES_AT, self.entries);
    }

    /// Reads a root from the front of `bytes`, which must be [`Self::BYTES`] long.
    pub fn decode(bytes: &[u8]) -> TrieRoot {
        TrieRoot {
            page: PageNo(get_u48(bytes, ROOT_PAGE_AT)),
            level: bytes[ROOT_LEVEL_AT],
            entries: get_u64(bytes, ROOT_ENTRIES_AT),
        }
    }

    /// Refuses a root that no fold can have made.
    #[inline]
    pub(super) fn check<E: Fault>(&self) -> Result<(), E> {
        if self.level > MAX_LEVEL {
            return E::otherwise(|| Err(self.damage("trie root (level)", MAX_LEVEL.into(), self.level.into())));
        }
        if self.page.is_none() != (self.entries == 0) || (self.page.is_none() && self.level > 0) {
            return E::otherwise(|| Err(self.damage("trie root (entries)", 0, self.entries)));
        }
        Ok(())
    }

    pub(super) fn damage(&self, what: &'static str, expected: u64, got: u64) -> Error {
        Error::corrupt(what, self.page.0, 0, expected, got)
    }
}

/// Calls `probe` with each address whose tag fits `hash`, until it returns a result. The address may
/// be that of another key: the record has to be compared.
pub fn lookup<S: PageSource + ?Sized, R>(
    src: &S,
    root: &TrieRoot,
    hash: KeyHash,
    mut probe: impl FnMut(Address) -> Result<Option<R>>,
) -> Result<Option<R>> {
    let Some(leaf) = find_leaf::<_, Error>(src, root, None, hash)? else { return Ok(None) };
    let mut search = leaf.search::<_, Error>(src, hash)?;
    while let Some(address) = search.next::<Error>()? {
        if let Some(found) = probe(address)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The leaf that the path of a hash leads to.
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'s> {
    no: PageNo,
    page: &'s Page,
}

impl<'s> Leaf<'s> {
    /// Asks for the line where the search for `hash` begins, while the caller has other things to do.
    #[inline]
    pub fn prefetch(&self, hash: KeyHash) {
        crate::sync::prefetch(leaf::home_line(self.page, hash));
    }

    /// The addresses whose tag fits `hash`. Each may be that of another key: the record has to be compared.
    #[inline(always)]
    pub fn search<S: PageSource + ?Sized, E: Fault>(&self, src: &'s S, hash: KeyHash) -> Result<Search<'s, S>, E> {
        Search::new(src, self.no, self.page, hash)
    }
}

/// The leaf that the path of `hash` leads to, `None` if it has no entries. Takes the shortcut of this root
/// where it is known.
#[inline(always)]
pub fn find_leaf<'s, S: PageSource + ?Sized, E: Fault>(
    src: &'s S,
    root: &TrieRoot,
    shortcut: Option<&Shortcut>,
    hash: KeyHash,
) -> Result<Option<Leaf<'s>>, E> {
    let no = shortcut.map_or(PageNo::NONE, |shortcut| shortcut.leaf(hash));
    if no.is_none() {
        return descend(src, root, shortcut, hash);
    }
    Ok(Some(Leaf { no, page: look(src, no, PageKind::TrieLeaf)? }))
}

fn descend<'s, S: PageSource + ?Sized, E: Fault>(
    src: &'s S,
    root: &TrieRoot,
    shortcut: Option<&Shortcut>,
    hash: KeyHash,
) -> Result<Option<Leaf<'s>>, E> {
    if root.page.is_none() {
        return Ok(None);
    }
    root.check()?;
    let (mut no, mut depth, mut level) = (root.page, 0, root.level);
    while level > 0 {
        let page = look(src, no, PageKind::TrieNode)?;
        let child = Node::look(page, no, level, depth)?.child(hash.0)?;
        (no, depth, level) = (child.page, child.depth, level - 1);
    }
    if no.is_none() {
        return Ok(None);
    }
    let page = look(src, no, PageKind::TrieLeaf)?;
    if let Some(shortcut) = shortcut {
        shortcut.remember(hash, depth, no);
    }
    Ok(Some(Leaf { no, page }))
}

/// One entry, as [`walk`] meets it.
#[derive(Debug, Clone, Copy)]
pub struct WalkEntry {
    /// Where the record is.
    pub address: Address,
    bits: u64,
    known: u64,
}

impl WalkEntry {
    /// True if the entry can be that of a key with this hash: it agrees with the path to the leaf and
    /// with the tag.
    pub fn matches(&self, hash: KeyHash) -> bool {
        (self.bits ^ hash.0) & self.known == 0
    }
}

/// Calls `page` with the number of every page of the trie, before it is read, and `entry` with every
/// entry, in the order of the path; checks each page completely.
///
/// An error of either ends the walk. A damaged trie that reaches a page twice ends it too, at the
/// latest when more entries have been met than the root says there are.
pub fn walk<S: PageSource + ?Sized>(
    src: &S,
    root: &TrieRoot,
    page: &mut dyn FnMut(PageNo) -> Result<()>,
    entry: &mut dyn FnMut(WalkEntry) -> Result<()>,
) -> Result<()> {
    let entries = walk_where(src, root, &mut |no| page(no).map(|()| true), entry)?;
    if entries != root.entries {
        return Err(root.damage("trie root (entries)", entries, root.entries));
    }
    Ok(())
}

/// [`walk`] that goes only where `page` says so: what is below a page for which it says false is left out.
/// Returns the number of entries met.
pub fn walk_where<S: PageSource + ?Sized>(
    src: &S,
    root: &TrieRoot,
    page: &mut dyn FnMut(PageNo) -> Result<bool>,
    entry: &mut dyn FnMut(WalkEntry) -> Result<()>,
) -> Result<u64> {
    root.check::<Error>()?;
    if root.page.is_none() {
        return Ok(0);
    }
    // A leaf page has at least one entry, and at most one node for each path bit leads to it.
    let pages_left = root.entries.saturating_mul(64).saturating_add(64);
    let mut walk = Walk { src, root, page, entry, entries: 0, pages_left };
    walk.visit(Slot { prefix: 0, depth: 0, page: root.page }, root.level)?;
    Ok(walk.entries)
}

struct Walk<'w, S: ?Sized> {
    src: &'w S,
    root: &'w TrieRoot,
    page: &'w mut dyn FnMut(PageNo) -> Result<bool>,
    entry: &'w mut dyn FnMut(WalkEntry) -> Result<()>,
    entries: u64,
    pages_left: u64,
}

impl<S: PageSource + ?Sized> Walk<'_, S> {
    /// Whether to go on below this page.
    fn enter(&mut self, no: PageNo) -> Result<bool> {
        if self.pages_left == 0 || self.entries > self.root.entries {
            return Err(self.root.damage("trie root (entries)", self.entries, self.root.entries));
        }
        self.pages_left -= 1;
        (self.page)(no)
    }

    fn visit(&mut self, at: Slot, level: u8) -> Result<()> {
        if at.page.is_none() {
            return Ok(());
        }
        if level == 0 {
            return self.visit_leaf(at);
        }
        if !self.enter(at.page)? {
            return Ok(());
        }
        let page = read(self.src, at.page, PageKind::TrieNode)?;
        for child in Node::open(page, at.page, level, at.depth)?.children(at.prefix)? {
            self.visit(child, level - 1)?;
        }
        Ok(())
    }

    fn visit_leaf(&mut self, at: Slot) -> Result<()> {
        if !self.enter(at.page)? {
            return Ok(());
        }
        let mut no = at.page;
        let mut page = read(self.src, no, PageKind::TrieLeaf)?;
        let mut head = leaf::check(page, no, at.depth)?;
        loop {
            self.entries += u64::from(head.entries);
            // The bits of the path to the leaf, those of the tag, and the slot bits.
            let known = top(at.depth.max(head.known_bits())) | 0xffff;
            leaf::for_each(page, no, at.prefix, &mut |bits, address| (self.entry)(WalkEntry { address, bits, known }))?;
            if head.rest == 0 {
                return Ok(());
            }
            no = head.next;
            if !self.enter(no)? {
                return Ok(());
            }
            page = read(self.src, no, PageKind::TrieLeaf)?;
            let next = leaf::check(page, no, at.depth)?;
            head.expect_next(no, &next)?;
            head = next;
        }
    }
}

const _: () = assert!(TrieRoot::BYTES == 16);
