//! Where everything is in a file, read from the file alone by the words of `docs/file-format.md`: an oracle that
//! shares no code with the engine.

use crate::files::{u32_at, u64_at, Files, PAGE};
use std::collections::{BTreeMap, BTreeSet};

const BLOCK: u8 = 1;
const TRIE_LEAF: u8 = 2;
const TRIE_NODE: u8 = 3;
const TREE_BRANCH: u8 = 5;
const SPACE_CHUNK: u8 = 6;
const SPACE_NODE: u8 = 7;

/// What a page is to the last checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    Meta,
    /// A part of the tree table.
    Table,
    /// A part of the list of a tree's blocks.
    Directory(u32),
    /// A part of a block of a tree.
    Block(u32),
    /// A part of a large document of a tree.
    Extent(u32),
    /// A part of a hash trie, or of the bitmap of free space: rebuilt, never read.
    Index,
    Free,
}

/// A live document of the last checkpoint: where it is.
#[derive(Debug, Clone)]
pub struct Place {
    pub tree: u32,
    /// The bytes of its id.
    pub key: Vec<u8>,
    /// Pages of its block, and of its extent.
    pub pages: BTreeSet<usize>,
}

/// See the module's text.
pub struct Layout {
    pub roles: Vec<Role>,
    pub documents: Vec<Place>,
    /// Names of the trees, from the catalog of the last checkpoint.
    pub names: BTreeMap<u32, String>,
}

impl Layout {
    /// Of a file whose first meta page is whole and counts.
    pub fn of(files: &Files) -> Layout {
        let bytes = files.bytes();
        let mut layout =
            Layout { roles: vec![Role::Free; files.pages()], documents: Vec::new(), names: BTreeMap::new() };
        layout.roles[..2].fill(Role::Meta);
        let mut trees = Vec::new();
        walk(bytes, root(&bytes[160..]), &mut |page| layout.roles[page] = Role::Table, &mut |key, value| {
            if key < 1 << 32 {
                trees.push((key as u32, value.to_vec()));
            }
        });
        for (tree, entry) in trees {
            let mut blocks = Vec::new();
            walk(
                bytes,
                root(&entry[16..]),
                &mut |page| layout.roles[page] = Role::Directory(tree),
                &mut |base, value| {
                    blocks.push((base, value.to_vec()));
                },
            );
            blocks.iter().for_each(|(_, entry)| layout.block(bytes, tree, entry));
        }
        for page in 2..files.pages() {
            let kind = bytes[page * PAGE + 14];
            let index = [TRIE_LEAF, TRIE_NODE, SPACE_CHUNK, SPACE_NODE].contains(&kind);
            if layout.roles[page] == Role::Free && files.is_unit(page) && index {
                layout.roles[page] = Role::Index;
            }
        }
        layout
    }

    fn block(&mut self, bytes: &[u8], tree: u32, entry: &[u8]) {
        let (page, order) = (u48_at(entry, 0) as usize, entry[6]);
        let (slots, has_bitmap) = (usize::from(u16_at(entry, 8)), entry[7] & 1 == 1);
        let length = PAGE << order;
        let block = &bytes[page * PAGE..][..length];
        assert_eq!(block[14], BLOCK);
        let pages: BTreeSet<usize> = (page..page + (1 << order)).collect();
        pages.iter().for_each(|page| self.roles[*page] = Role::Block(tree));
        for slot in (0..slots).filter(|slot| !has_bitmap || entry[16 + slot / 8] >> (slot % 8) & 1 == 1) {
            let (head, at) = varint(block, usize::from(u16_at(block, length - 2 * (slot + 1))));
            let (_, at) = varint(block, at);
            let document = &block[at..at + (head >> 1) as usize];
            let key = key_of(document).to_vec();
            let mut pages = pages.clone();
            if head & 1 == 1 {
                let extent = u48_at(document, document.len() - 10) as usize;
                let length = u32_at(&bytes[extent * PAGE..], 48) as usize;
                pages.extend(extent..extent + length);
                self.roles[extent..extent + length].fill(Role::Extent(tree));
            }
            if tree == 0 {
                let number = u32::from_be_bytes(document[document.len() - 4..].try_into().expect("4 bytes"));
                let head = if key[0] == 0xd9 { 2 } else { 1 };
                self.names.insert(number, String::from_utf8(key[head..].to_vec()).expect("a name"));
            }
            self.documents.push(Place { tree, key, pages });
        }
    }
}

/// Page and level of the root of a page tree.
pub fn root(b: &[u8]) -> (usize, u8) {
    (u48_at(b, 0) as usize, b[6])
}

/// Each page and each entry of a page tree.
pub fn walk(bytes: &[u8], (page, level): (usize, u8), visit: &mut dyn FnMut(usize), entry: &mut dyn FnMut(u64, &[u8])) {
    if page == 0 {
        return;
    }
    visit(page);
    let node = &bytes[page * PAGE..][..PAGE];
    assert_eq!(node[14] == TREE_BRANCH, level > 0);
    for i in 0..usize::from(u16_at(node, 48)) {
        match level {
            0 => {
                let at = 64 + i * 12;
                let (offset, length) = (usize::from(u16_at(node, at + 8)), usize::from(u16_at(node, at + 10)));
                entry(u64_at(node, at), &node[offset..offset + length]);
            }
            _ => walk(bytes, (u48_at(node, 64 + i * 14 + 8) as usize, level - 1), visit, entry),
        }
    }
}

pub fn varint(bytes: &[u8], mut at: usize) -> (u64, usize) {
    let (mut value, mut shift) = (0, 0);
    loop {
        value |= u64::from(bytes[at] & 0x7f) << shift;
        shift += 7;
        at += 1;
        if bytes[at - 1] < 0x80 {
            return (value, at);
        }
    }
}

/// The bytes of the id of a stored document or stub.
pub fn key_of(document: &[u8]) -> &[u8] {
    let head = match document[0] {
        0xde => 3,
        0xdf => 5,
        _ => 1,
    };
    let id = &document[head + 4..];
    let length = match id[0] {
        0xcc | 0xd0 => 2,
        0xcd | 0xd1 => 3,
        0xce | 0xd2 => 5,
        0xcf | 0xd3 => 9,
        0xa0..=0xbf => 1 + usize::from(id[0] & 31),
        0xc4 | 0xd9 => 2 + usize::from(id[1]),
        _ => 1,
    };
    &id[..length]
}

pub fn u16_at(b: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([b[at], b[at + 1]])
}

pub fn u48_at(b: &[u8], at: usize) -> u64 {
    u64_at(b, at) & 0xffff_ffff_ffff
}
