//! A leaf of the trie: a page of tags and addresses, found by line.
//!
//! ```text
//!   0        64         128                                            4096
//!   +--------+----------+----------+--- - - ---+----------+
//!   | header | line 0   | line 1   |           | line 62  |
//!   +--------+----------+----------+--- - - ---+----------+
//!
//!   line     0      1          2          3         4         24            64
//!            +------+----------+----------+---------+---------+-------------+
//!            | used | overflow | tag base | chained | 5 tags  | 5 addresses |
//!            +------+----------+----------+---------+---------+-------------+
//! ```
//!
//! The slot bits of a hash choose its home line. When a line is full, its `overflow` flag is set and
//! the entry goes to the next line (after the last, the first). A line says all that a lookup needs,
//! so a lookup reads one cache line of the page in almost every case.
//!
//! A tag has 16 bits of the path, from the bit `tag base` on, and the 16 slot bits. As long as the bit
//! by which a leaf is split lies in the tag, splitting reads no records.
//!
//! A leaf that all 48 path bits lead to cannot be split; more entries go to leaves *chained* to it.
//! Each leaf says how many follow, so a chain ends.

use super::{look, top, KeyHash, Page, HEADER_BYTES, PATH_BITS};
use crate::error::{Error, Result};
use crate::file::fault::Fault;
use crate::file::page::{
    get_u16, get_u32, get_u48, get_u64, put_u16, put_u32, put_u48, put_u64, Address, PageBuf, PageKind, PageNo,
    PageSource, PAGE_BYTES, UNIT_HEADER_BYTES,
};
use crate::plant::{planted, Bug};

const ENTRIES_AT: usize = UNIT_HEADER_BYTES;
const DEPTH_AT: usize = ENTRIES_AT + 2;
const TAG_BASE_AT: usize = DEPTH_AT + 1;
const NEXT_AT: usize = TAG_BASE_AT + 1;
const REST_AT: usize = NEXT_AT + 6;
const _: () = assert!(REST_AT + 4 + 2 == HEADER_BYTES);

const LINE_BYTES: usize = 64;
/// Lines of a leaf.
pub const LINES: usize = (PAGE_BYTES - HEADER_BYTES) / LINE_BYTES;
/// Entries of a line.
pub const LINE_ENTRIES: usize = 5;
const USED_AT: usize = 0;
const OVERFLOW_AT: usize = USED_AT + 1;
const LINE_TAG_BASE_AT: usize = OVERFLOW_AT + 1;
const CHAINED_AT: usize = LINE_TAG_BASE_AT + 1;
const TAGS_AT: usize = CHAINED_AT + 1;
const ADDRESSES_AT: usize = TAGS_AT + LINE_ENTRIES * 4;
const _: () = assert!(ADDRESSES_AT + LINE_ENTRIES * 8 == LINE_BYTES);

/// Field names of `docs/file-format.md` and where the code has them: leaf, line.
#[cfg(test)]
pub(crate) const LAYOUTS: [crate::format_tests::Layout; 2] = [
    &[
        ("unit header", 0),
        ("entries", ENTRIES_AT),
        ("depth", DEPTH_AT),
        ("tag base", TAG_BASE_AT),
        ("next", NEXT_AT),
        ("rest", REST_AT),
        ("zero", REST_AT + 4),
        ("lines", HEADER_BYTES),
        ("", HEADER_BYTES + LINES * LINE_BYTES),
    ],
    &[
        ("used", USED_AT),
        ("overflow", OVERFLOW_AT),
        ("tag base", LINE_TAG_BASE_AT),
        ("chained", CHAINED_AT),
        ("tags", TAGS_AT),
        ("addresses", ADDRESSES_AT),
        ("", LINE_BYTES),
    ],
];

/// The most entries of a leaf: 95 % of the places, so that overflow stays short.
pub const MAX_ENTRIES: usize = 300;
const _: () = assert!(MAX_ENTRIES < LINES * LINE_ENTRIES);

/// Path bits in a tag.
pub const TAG_PATH_BITS: u8 = 16;
/// The highest tag base: from there, the tag reaches the end of the path.
pub const MAX_TAG_BASE: u8 = PATH_BITS - TAG_PATH_BITS;

type Line = [u8; LINE_BYTES];

/// The line at which the search for `hash` begins.
#[inline]
fn home(tag: u32) -> usize {
    ((tag & 0xffff) as usize * LINES) >> 16
}

/// The tag of `hash` in a leaf with this tag base.
#[inline]
pub fn tag_of(hash: u64, tag_base: u8) -> u32 {
    let path = (hash & top(PATH_BITS)) << tag_base >> 48;
    (path as u32) << 16 | (hash & 0xffff) as u32
}

/// What a tag says of the hash: its path bits in their place, and the slot bits.
fn bits_of_tag(tag: u32, tag_base: u8) -> u64 {
    u64::from(tag >> 16) << 48 >> tag_base | u64::from(tag & 0xffff)
}

#[inline]
fn line_offset(line: usize) -> usize {
    HEADER_BYTES + line * LINE_BYTES
}

#[inline]
fn line_of(page: &Page, line: usize) -> &Line {
    match page[line_offset(line)..].first_chunk() {
        Some(line) => line,
        None => unreachable!("a page has whole lines"),
    }
}

fn damage(what: &'static str, no: PageNo, offset: usize, expected: u64, got: u64) -> Error {
    Error::corrupt(what, no.0, offset as u32, expected, got)
}

/// The home line of `hash` in a leaf, to be prefetched.
#[inline]
pub fn home_line(page: &Page, hash: KeyHash) -> *const u8 {
    line_of(page, home(hash.0 as u32)).as_ptr()
}

/// The search for a hash in a leaf and what is chained to it: gives the address of each entry that has
/// the hash's tag.
#[derive(Debug)]
pub struct Search<'s, S: ?Sized> {
    src: &'s S,
    hash: KeyHash,
    no: PageNo,
    page: &'s Page,
    /// The line looked at, and how many of the leaf come after it.
    at: usize,
    rest: usize,
    /// A bit for each of the line's entries that fits and was not given yet.
    fits: u32,
}

impl<'s, S: PageSource + ?Sized> Search<'s, S> {
    /// Begins at the home line of `hash` in the leaf `no`.
    #[inline(always)]
    pub fn new<E: Fault>(src: &'s S, no: PageNo, page: &'s Page, hash: KeyHash) -> Result<Self, E> {
        let at = home(hash.0 as u32);
        Ok(Search { src, hash, no, page, at, rest: LINES - 1, fits: fitting(no, page, at, hash)? })
    }

    /// The next address, `None` after the last one.
    #[inline(always)]
    pub fn next<E: Fault>(&mut self) -> Result<Option<Address>, E> {
        while self.fits == 0 {
            if !self.advance()? {
                return Ok(None);
            }
        }
        let i = self.fits.trailing_zeros() as usize;
        self.fits &= self.fits - 1;
        Ok(Some(address_of(self.page, self.at, i)))
    }

    /// Goes on to the next line where the search may go on.
    #[inline(always)]
    fn advance<E: Fault>(&mut self) -> Result<bool, E> {
        let line = line_of(self.page, self.at);
        if line[OVERFLOW_AT] != 0 && self.rest > 0 {
            (self.at, self.rest) = ((self.at + 1) % LINES, self.rest - 1);
        } else if line[CHAINED_AT] != 0 {
            (self.no, self.page) = next_in_chain(self.src, self.page)?;
            (self.at, self.rest) = (home(self.hash.0 as u32), LINES - 1);
        } else {
            return Ok(false);
        }
        self.fits = fitting(self.no, self.page, self.at, self.hash)?;
        Ok(true)
    }
}

/// The leaf chained to a leaf that says that there is one.
#[cold]
fn next_in_chain<'s, S: PageSource + ?Sized, E: Fault>(src: &'s S, page: &Page) -> Result<(PageNo, &'s Page), E> {
    let head = Head::decode(page);
    let page = look(src, head.next, PageKind::TrieLeaf)?;
    match head.expect_next(head.next, &Head::decode(page)) {
        Ok(()) => Ok((head.next, page)),
        Err(e) => E::otherwise(|| Err(e)),
    }
}

/// A bit for each entry of a line that has the tag of `hash`.
#[inline(always)]
fn fitting<E: Fault>(no: PageNo, page: &Page, at: usize, hash: KeyHash) -> Result<u32, E> {
    let line = line_of(page, at);
    let used = usize::from(line[USED_AT]);
    let tag_base = line[LINE_TAG_BASE_AT];
    if used > LINE_ENTRIES || tag_base > MAX_TAG_BASE {
        let error = || damage("trie leaf (line)", no, line_offset(at), LINE_ENTRIES as u64, used as u64);
        return E::otherwise(|| Err(error()));
    }
    let wanted = tag_of(hash.0, tag_base);
    // All five are compared: a branch for each is one that nothing can foresee.
    let fits = (0..LINE_ENTRIES).fold(0, |fits, i| fits | u32::from(get_u32(line, TAGS_AT + i * 4) == wanted) << i);
    Ok(fits & ((1 << used) - 1))
}

/// The address of entry `i` of a line; of none behind the last one.
#[inline(always)]
fn address_of(page: &Page, at: usize, i: usize) -> Address {
    Address(get_u64(line_of(page, at), ADDRESSES_AT + i.min(LINE_ENTRIES - 1) * 8))
}

/// The header of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Entries in this page.
    pub entries: u16,
    /// Path bits that lead to the leaf.
    pub depth: u8,
    /// First path bit in the tags, at most `depth`.
    pub tag_base: u8,
    /// Next leaf of the chain, if `rest` is not 0.
    pub next: PageNo,
    /// Leaves that follow in the chain.
    pub rest: u32,
}

impl Head {
    fn decode(page: &Page) -> Head {
        Head {
            entries: get_u16(page, ENTRIES_AT),
            depth: page[DEPTH_AT],
            tag_base: page[TAG_BASE_AT],
            next: PageNo(get_u48(page, NEXT_AT)),
            rest: get_u32(page, REST_AT),
        }
    }

    fn encode(&self, page: &mut [u8]) {
        put_u16(page, ENTRIES_AT, self.entries);
        page[DEPTH_AT] = self.depth;
        page[TAG_BASE_AT] = self.tag_base;
        put_u48(page, NEXT_AT, self.next.0);
        put_u32(page, REST_AT, self.rest);
    }

    /// Checks that `next`, the header of page `no`, follows this one in a chain. `rest` goes down by
    /// one with each leaf, so that no chain of damaged leaves is endless.
    pub fn expect_next(&self, no: PageNo, next: &Head) -> Result<()> {
        let expected = self.rest.checked_sub(1);
        if expected != Some(next.rest) || next.depth != PATH_BITS || next.tag_base != self.tag_base {
            return Err(damage("trie leaf (chain)", no, REST_AT, u64::from(self.rest), u64::from(next.rest)));
        }
        Ok(())
    }

    /// Path bits of an entry that are known from the way to the leaf and from the tag.
    pub fn known_bits(&self) -> u8 {
        self.tag_base + TAG_PATH_BITS
    }
}

/// Reads the header of the leaf `no` and checks the whole page; a lookup checks only what it uses.
pub fn check(page: &Page, no: PageNo, depth: u8) -> Result<Head> {
    let head = Head::decode(page);
    if head.depth != depth {
        return Err(damage("trie leaf (depth)", no, DEPTH_AT, u64::from(depth), u64::from(head.depth)));
    }
    if head.tag_base > MAX_TAG_BASE.min(depth) {
        return Err(damage("trie leaf (tag base)", no, TAG_BASE_AT, u64::from(depth), u64::from(head.tag_base)));
    }
    if head.rest > 0 && depth != PATH_BITS {
        return Err(damage("trie leaf (chain)", no, REST_AT, 0, u64::from(head.rest)));
    }
    let mut entries = 0;
    for at in 0..LINES {
        let line = line_of(page, at);
        let used = usize::from(line[USED_AT]);
        if used > LINE_ENTRIES
            || line[LINE_TAG_BASE_AT] != head.tag_base
            || (line[CHAINED_AT] != 0) != (head.rest > 0)
            || (line[OVERFLOW_AT] != 0 && used < LINE_ENTRIES)
        {
            return Err(damage("trie leaf (line)", no, line_offset(at), LINE_ENTRIES as u64, used as u64));
        }
        entries += used;
    }
    if entries != usize::from(head.entries) || entries == 0 || entries > MAX_ENTRIES {
        return Err(damage("trie leaf (entries)", no, ENTRIES_AT, entries as u64, u64::from(head.entries)));
    }
    Ok(head)
}

/// Calls `entry` with what is known of the hash of each entry, and its address. `prefix` is the path
/// to the leaf; the page was checked with [`check`].
pub fn for_each(page: &Page, no: PageNo, prefix: u64, entry: &mut dyn FnMut(u64, Address) -> Result<()>) -> Result<()> {
    let head = Head::decode(page);
    // Path bits that both the way here and the tag know.
    let both = top(head.depth) & !top(head.tag_base) & top(head.known_bits());
    for at in 0..LINES {
        let line = line_of(page, at);
        for i in 0..usize::from(line[USED_AT]).min(LINE_ENTRIES) {
            let bits = bits_of_tag(get_u32(line, TAGS_AT + i * 4), head.tag_base);
            if (bits ^ prefix) & both != 0 {
                return Err(damage("trie leaf (tag)", no, line_offset(at), prefix & both, bits & both));
            }
            entry(prefix | bits, Address(get_u64(line, ADDRESSES_AT + i * 8)))?;
        }
    }
    Ok(())
}

/// Calls `entry` with line, tag, address of each entry, and whether the line is its home line; the page was checked
/// with [`check`].
pub fn for_each_place(page: &Page, entry: &mut dyn FnMut(usize, u32, Address, bool)) {
    for at in 0..LINES {
        let line = line_of(page, at);
        for i in 0..usize::from(line[USED_AT]).min(LINE_ENTRIES) {
            let tag = get_u32(line, TAGS_AT + i * 4);
            entry(at, tag, Address(get_u64(line, ADDRESSES_AT + i * 8)), home(tag) == at);
        }
    }
}

/// The depth in a leaf's header, unchecked.
pub fn depth_of(page: &Page) -> u8 {
    page[DEPTH_AT]
}

/// A leaf that is being built.
#[derive(Debug)]
pub struct LeafImage {
    page: PageBuf,
    entries: usize,
    tag_base: u8,
}

impl LeafImage {
    /// An empty leaf at this depth of the path.
    pub fn new(depth: u8, tag_base: u8) -> LeafImage {
        debug_assert!(tag_base <= depth.min(MAX_TAG_BASE) && depth <= PATH_BITS);
        let mut page = PageBuf::zeroed(1);
        Head { entries: 0, depth, tag_base, next: PageNo::NONE, rest: 0 }.encode(&mut page);
        for line in 0..LINES {
            page[line_offset(line) + LINE_TAG_BASE_AT] = tag_base;
        }
        LeafImage { page, entries: 0, tag_base }
    }

    /// A copy of a leaf that was checked with [`check`] and has no chain.
    pub fn copy_of(old: &Page) -> LeafImage {
        let head = Head::decode(old);
        let mut page = PageBuf::zeroed(1);
        page.copy_from_slice(old);
        LeafImage { page, entries: usize::from(head.entries), tag_base: head.tag_base }
    }

    /// Number of entries.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// The header as it will be.
    pub fn head(&self) -> Head {
        Head { entries: self.entries as u16, ..Head::decode(self.bytes()) }
    }

    /// The page, for reading; the number of entries in its header is not up to date.
    pub fn bytes(&self) -> &Page {
        match (&*self.page).try_into() {
            Ok(page) => page,
            Err(_) => unreachable!("a leaf image is one page"),
        }
    }

    /// Adds an entry. Requires: fewer than [`MAX_ENTRIES`] entries.
    pub fn insert(&mut self, hash: KeyHash, address: Address) {
        if planted(Bug::EntryLost) && self.entries == 100 {
            return;
        }
        self.place(tag_of(hash.0, self.tag_base), address);
        self.entries += 1;
    }

    fn place(&mut self, tag: u32, address: Address) {
        let mut line = home(tag);
        for _ in 0..LINES {
            let at = line_offset(line);
            let used = usize::from(self.page[at + USED_AT]);
            if used < LINE_ENTRIES {
                put_u32(&mut self.page, at + TAGS_AT + used * 4, tag);
                put_u64(&mut self.page, at + ADDRESSES_AT + used * 8, address.0);
                self.page[at + USED_AT] += 1;
                return;
            }
            self.page[at + OVERFLOW_AT] = 1;
            line = (line + 1) % LINES;
        }
        debug_assert!(false, "a leaf was filled beyond its limit");
    }

    /// Offset of the line and number in it of the entry with this hash and address.
    fn position(&self, hash: KeyHash, address: Address) -> Option<(usize, usize)> {
        let tag = tag_of(hash.0, self.tag_base);
        let page = &*self.page;
        let mut line = home(tag);
        for _ in 0..LINES {
            let at = line_offset(line);
            for i in 0..usize::from(page[at + USED_AT]).min(LINE_ENTRIES) {
                let same = get_u64(page, at + ADDRESSES_AT + i * 8) == address.0;
                if same && get_u32(page, at + TAGS_AT + i * 4) == tag {
                    return Some((at, i));
                }
            }
            if page[at + OVERFLOW_AT] == 0 {
                return None;
            }
            line = (line + 1) % LINES;
        }
        None
    }

    /// Changes the address of an entry; false if there is no such entry.
    pub fn replace(&mut self, hash: KeyHash, old: Address, new: Address) -> bool {
        let Some((at, i)) = self.position(hash, old) else { return false };
        put_u64(&mut self.page, at + ADDRESSES_AT + i * 8, new.0);
        true
    }

    /// Removes an entry; false if there is no such entry. After the last removal, [`Self::repack`]
    /// must follow.
    pub fn remove(&mut self, hash: KeyHash, old: Address) -> bool {
        let Some((at, i)) = self.position(hash, old) else { return false };
        let last = usize::from(self.page[at + USED_AT]) - 1;
        let (tag, address) = (at + TAGS_AT, at + ADDRESSES_AT);
        self.page.copy_within(tag + last * 4..tag + last * 4 + 4, tag + i * 4);
        self.page.copy_within(address + last * 8..address + last * 8 + 8, address + i * 8);
        self.page[tag + last * 4..tag + last * 4 + 4].fill(0);
        self.page[address + last * 8..address + last * 8 + 8].fill(0);
        self.page[at + USED_AT] -= 1;
        self.entries -= 1;
        true
    }

    /// Places all entries anew if any line has overflowed: its room may be free again.
    pub fn repack(&mut self) {
        if (0..LINES).all(|line| self.page[line_offset(line) + OVERFLOW_AT] == 0) {
            return;
        }
        let mut kept = [(0u32, 0u64); LINES * LINE_ENTRIES];
        let mut count = 0;
        for line in 0..LINES {
            let at = line_offset(line);
            for i in 0..usize::from(self.page[at + USED_AT]).min(LINE_ENTRIES) {
                kept[count] =
                    (get_u32(&self.page, at + TAGS_AT + i * 4), get_u64(&self.page, at + ADDRESSES_AT + i * 8));
                count += 1;
            }
            self.page[at..at + LINE_BYTES].fill(0);
            self.page[at + LINE_TAG_BASE_AT] = self.tag_base;
        }
        for &(tag, address) in &kept[..count] {
            self.place(tag, Address(address));
        }
    }

    /// Chains the leaf `next` to this one; `rest` leaves follow.
    pub fn chain(&mut self, next: PageNo, rest: u32) {
        put_u48(&mut self.page, NEXT_AT, next.0);
        put_u32(&mut self.page, REST_AT, rest);
        for line in 0..LINES {
            self.page[line_offset(line) + CHAINED_AT] = 1;
        }
    }

    /// The finished page, without the unit header.
    pub fn finish(mut self) -> PageBuf {
        put_u16(&mut self.page, ENTRIES_AT, self.entries as u16);
        self.page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_leaf_are_those_of_the_specification() {
        let mut image = LeafImage::new(5, 3);
        image.insert(KeyHash(0xa8f0_0000_0000_8001), Address(0x1122_3344_5566_7788));
        image.chain(PageNo(0x0a0b_0c0d_0e0f), 2);
        let page = image.finish();
        assert_eq!(page[48..64], [1, 0, 5, 3, 0x0f, 0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 2, 0, 0, 0, 0, 0]);
        // Home line: 0x8001 * 63 >> 16 = 31. Path bits 3 to 19: a8f0 0... without the first 3 bits.
        let line = &page[64 + 31 * 64..64 + 32 * 64];
        assert_eq!(line[..12], [1, 0, 3, 1, 0x01, 0x80, 0x80, 0x47, 0, 0, 0, 0]);
        assert_eq!(line[24..40], [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(page[64..68], [0, 0, 3, 1]);
    }

    #[test]
    fn entries_that_overflow_are_found_and_their_room_is_used_again() {
        let mut image = LeafImage::new(0, 0);
        // All at home in the last line, so that they go on at the first.
        let hash = KeyHash(0xffff);
        (0..200).for_each(|i| image.insert(hash, Address(i)));
        assert!((0..200).all(|i| image.position(hash, Address(i)).is_some()));
        (0..197).for_each(|i| assert!(image.remove(hash, Address(i))));
        assert!(!image.remove(hash, Address(0)));
        image.repack();
        let page = image.finish();
        let page: &Page = (&*page).try_into().unwrap();
        assert_eq!(check(page, PageNo(2), 0).unwrap().entries, 3);
        assert_eq!(line_of(page, LINES - 1)[..2], [3, 0]);
    }

    #[test]
    fn a_tag_that_contradicts_the_path_to_its_leaf_is_damage() {
        let mut image = LeafImage::new(5, 3);
        image.insert(KeyHash(0xa8f0_0000_0000_8001), Address(1));
        let visit = |prefix| for_each(image.bytes(), PageNo(2), prefix, &mut |_, _| Ok(()));
        assert!(visit(0xa8 << 56).is_ok());
        assert!(visit(0xb0 << 56).is_err());
    }
}
