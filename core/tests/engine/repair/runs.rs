//! The runs of keyspaces, read from the file alone by the words of `docs/file-format.md`: an oracle that shares no code
//! with the engine, and what is left of the keys where some of it is lost.

use super::layout::{root, u16_at, u48_at, varint, walk};
use crate::files::{u32_at, u64_at, Files, PAGE};
use std::collections::{BTreeMap, BTreeSet};

const RUN_LEAF: u8 = 9;

/// What a key has in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Has {
    Value(Vec<u8>),
    Nothing,
    /// The pages of its extent.
    Large(BTreeSet<usize>, Vec<u8>),
}

#[derive(Debug, Clone)]
pub struct Leaf {
    pub page: usize,
    pub pages: usize,
    pub generation: u64,
    /// Whole keys.
    pub entries: Vec<(Vec<u8>, Has)>,
}

#[derive(Debug, Clone)]
pub struct Run {
    pub number: u64,
    /// The page of the manifest that names it.
    pub named_by: usize,
    pub level: u8,
    pub set: u64,
    pub leaves: Vec<Leaf>,
    pub tail: std::ops::Range<usize>,
    pub ranges: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Keys of each tree.
pub type Keys = BTreeMap<u32, BTreeMap<Vec<u8>, Vec<u8>>>;

fn extent(bytes: &[u8], page: usize) -> (BTreeSet<usize>, &[u8]) {
    let pages = u32_at(bytes, page * PAGE + 48) as usize;
    let length = u32_at(bytes, page * PAGE + 52) as usize;
    let at = page * PAGE + 64 + ((pages * PAGE).div_ceil(64 << 10) - 1) * 8;
    ((page..page + pages).collect(), &bytes[at..at + length])
}

fn leaf(bytes: &[u8], page: usize) -> Leaf {
    let order = bytes[page * PAGE + 15];
    let b = &bytes[page * PAGE..][..PAGE << order];
    assert_eq!(b[14], RUN_LEAF);
    let count = usize::from(u16_at(b, 48));
    let prefix = &b[64 + 6 * count..][..usize::from(u16_at(b, 50))];
    let entry = |at: usize| {
        let place = usize::from(u16_at(b, 64 + 4 * count + 2 * at));
        let (behind, from) = varint(b, place);
        let (meta, from) = varint(b, from);
        let head = u32_at(b, 64 + 4 * at).to_be_bytes();
        let (behind, value) = (behind as usize, meta as usize >> 2);
        let rest = behind.saturating_sub(4);
        let key = [prefix, &head[..behind.min(4)], &b[from..from + rest]].concat();
        let value = &b[from + rest..from + rest + value];
        let has = match meta & 3 {
            0 => Has::Value(value.to_vec()),
            1 => Has::Nothing,
            _ => {
                let (pages, value) = extent(bytes, u48_at(value, 0) as usize);
                Has::Large(pages, value.to_vec())
            }
        };
        (key, has)
    };
    Leaf { page, pages: 1 << order, generation: u64_at(b, 16), entries: (0..count).map(entry).collect() }
}

fn ranges(tail: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut at = u32_at(tail, 20) as usize;
    let mut part = || {
        let (length, from) = varint(tail, at);
        at = from + length as usize;
        tail[from..at].to_vec()
    };
    (0..u32_at(tail, 24)).map(|_| (part(), part())).collect()
}

/// The runs of the last checkpoint, and the pages of the manifest. Requires: the first meta page is whole.
pub fn runs(files: &Files) -> (Vec<Run>, Vec<usize>) {
    let bytes = files.bytes();
    let (runs, pages) = (std::cell::RefCell::new(Vec::new()), std::cell::RefCell::new(Vec::new()));
    walk(bytes, root(&bytes[192..]), &mut |page| pages.borrow_mut().push(page), &mut |number, entry| {
        let page = u48_at(entry, 0) as usize;
        let (leaf_pages, tail_pages) = (u32_at(entry, 8) as usize, u32_at(entry, 12) as usize);
        let (mut leaves, mut at) = (Vec::new(), page);
        while at < page + leaf_pages {
            leaves.push(leaf(bytes, at));
            at += leaves.last().map_or(1, |leaf: &Leaf| leaf.pages);
        }
        runs.borrow_mut().push(Run {
            number,
            named_by: *pages.borrow().last().expect("it is on a page"),
            level: entry[6],
            set: u64_at(entry, 16),
            leaves,
            tail: page + leaf_pages..page + leaf_pages + tail_pages,
            ranges: ranges(extent(bytes, page + leaf_pages).1),
        });
    });
    (runs.into_inner(), pages.into_inner())
}

/// What is lost.
#[derive(Debug, Default)]
pub struct Gone {
    /// Pages.
    pub pages: BTreeSet<usize>,
    /// Pages of the manifest: the leaves of the runs that they name are found, and are taken first, ordered by the
    /// checkpoints that wrote them. Their ranges are not found.
    pub manifest: BTreeSet<usize>,
}

/// The keys that are left, by the order of the runs; trees of which `wanted` is not true are left out.
pub fn left(runs: &[Run], gone: &Gone, wanted: &dyn Fn(u32) -> bool) -> Keys {
    let mut keys = Keys::new();
    let is_named = |run: &&Run| !gone.manifest.contains(&run.named_by);
    let is_whole = |leaf: &&Leaf| (leaf.page..leaf.page + leaf.pages).all(|page| !gone.pages.contains(&page));
    let mut found: Vec<&Leaf> = runs.iter().filter(|run| !is_named(run)).flat_map(|run| &run.leaves).collect();
    found.sort_by_key(|leaf| (leaf.generation, leaf.page));
    for leaf in found.into_iter().filter(is_whole) {
        apply(&mut keys, leaf, gone, true);
    }
    let mut named: Vec<&Run> = runs.iter().filter(is_named).collect();
    named.sort_by_key(|run| (run.level == 0, std::cmp::Reverse(run.level), run.set));
    for run in named {
        for (start, end) in run.ranges.iter().filter(|_| run.tail.clone().all(|page| !gone.pages.contains(&page))) {
            let (tree, end_tree) = (tree_of(start), tree_of(end));
            let map = keys.entry(tree).or_default();
            map.retain(|key, _| key[..] < start[4..] || (tree == end_tree && key[..] >= end[4..]));
        }
        run.leaves.iter().filter(is_whole).for_each(|leaf| apply(&mut keys, leaf, gone, false));
    }
    keys.retain(|tree, map| wanted(*tree) && !map.is_empty());
    keys
}

fn tree_of(key: &[u8]) -> u32 {
    u32::from_be_bytes(key[..4].try_into().expect("a tree"))
}

fn apply(keys: &mut Keys, leaf: &Leaf, gone: &Gone, found: bool) {
    for (key, has) in &leaf.entries {
        let map = keys.entry(tree_of(key)).or_default();
        let key = &key[4..];
        match has {
            Has::Value(value) => drop(map.insert(key.to_vec(), value.clone())),
            Has::Large(pages, value) if pages.is_disjoint(&gone.pages) => {
                map.insert(key.to_vec(), value.clone());
            }
            Has::Large(..) if found => {}
            _ => drop(map.remove(key)),
        }
    }
}
