//! Tests of the page tree against a `BTreeMap`, page accounting, and damaged pages.

use super::*;
use crate::error::Error;
use crate::file::page::{kind_of, PageKind, PAGE_BYTES};
use crate::file::tree_test_pages::TestPages;
use std::collections::{BTreeMap, BTreeSet};

const TREE: u64 = 42;

type Oracle = BTreeMap<u64, Vec<u8>>;

/// SplitMix64: small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn value(&mut self, most: u64) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// Runs `test` with a seed that is printed if it fails, and taken from `NYRO_SEED` if that is set.
fn seeded(test: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let given = std::env::var("NYRO_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or(0x5eed);
    if let Err(panic) = std::panic::catch_unwind(|| test(seed)) {
        eprintln!("failed with NYRO_SEED={seed}");
        std::panic::resume_unwind(panic);
    }
}

/// A tree, its pages, and what should be in it.
struct Bench {
    pages: TestPages,
    root: TreeRoot,
    oracle: Oracle,
}

impl Bench {
    fn new() -> Bench {
        Bench { pages: TestPages::new(), root: TreeRoot::default(), oracle: Oracle::new() }
    }

    /// Folds a batch into the tree and the oracle.
    fn fold(&mut self, edits: BTreeMap<u64, Option<Vec<u8>>>) {
        for (key, value) in &edits {
            match value {
                Some(value) => self.oracle.insert(*key, value.clone()),
                None => self.oracle.remove(key),
            };
        }
        let edits: Vec<Edit> = edits.into_iter().map(|(key, value)| Edit { key, value }).collect();
        self.root = fold(&mut self.pages, TREE, &self.root, &edits).expect("fold");
        self.pages.commit();
    }

    /// Every page is in the tree once or released; all entries are there.
    fn check(&self) {
        let mut reached = BTreeSet::new();
        let mut entries = Oracle::new();
        let mut page = |page: PageNo| {
            assert!(reached.insert(page.0), "page {} reached twice", page.0);
            Ok(())
        };
        let mut entry = |key, value: &[u8]| {
            entries.insert(key, value.to_vec());
            Ok(())
        };
        walk(&self.pages, &self.root, &mut page, &mut entry).expect("walk");
        assert_eq!(reached, self.pages.live(), "pages in use are the pages of the tree");
        assert!(entries == self.oracle, "entries differ");
        assert_eq!(self.root.page.is_none(), self.oracle.is_empty());
        assert!(self.root.level == 0 || self.root_count() > 1, "a root branch with one child");
    }

    fn root_count(&self) -> usize {
        Node::open(&self.pages, self.root.page, self.root.level, None).expect("root").count()
    }

    /// `get`, `floor` and a short scan from `key` say what the oracle says.
    fn probe(&self, key: u64) {
        let expected = self.oracle.get(&key).map(Vec::as_slice);
        assert_eq!(get(&self.pages, &self.root, key).expect("get"), expected, "get {key}");
        let expected = self.oracle.range(..=key).next_back().map(|(k, v)| (*k, v.as_slice()));
        assert_eq!(floor(&self.pages, &self.root, key).expect("floor"), expected, "floor {key}");
        let mut cursor = Cursor::seek(&self.pages, &self.root, key).expect("seek");
        let mut expected = self.oracle.range(key..).map(|(k, v)| (*k, v.as_slice()));
        for _ in 0..50 {
            assert_eq!(cursor.next(&self.pages).expect("next"), expected.next(), "scan from {key}");
        }
    }

    /// Used bytes of all leaves beside the bytes they have.
    fn leaf_fill(&self) -> f64 {
        let used: usize = self.oracle.values().map(|value| 12 + value.len()).sum();
        let leaves = self.pages.live().len() - self.branches();
        used as f64 / (leaves * (PAGE_BYTES - 64)) as f64
    }

    fn branches(&self) -> usize {
        self.pages.live().into_iter().filter(|&page| self.is_branch(page)).count()
    }

    fn is_branch(&self, page: u64) -> bool {
        kind_of(self.pages.bytes(PageNo(page))) == Some(PageKind::TreeBranch)
    }
}

/// A batch of up to `most` edits: of every five, `deletes` delete a key that is there.
fn random_batch(
    random: &mut Random,
    oracle: &Oracle,
    most: u64,
    space: u64,
    deletes: u64,
    bytes: u64,
) -> BTreeMap<u64, Option<Vec<u8>>> {
    let mut batch = BTreeMap::new();
    for _ in 0..=random.below(most) {
        let key = random.below(space);
        if random.below(5) >= deletes {
            batch.insert(key, Some(random.value(bytes)));
        } else if let Some((&key, _)) = oracle.range(key..).next() {
            batch.insert(key, None);
        }
    }
    batch
}

#[test]
fn random_folds_say_what_a_map_says_and_lose_no_page() {
    seeded(|seed| {
        for round in 0..12 {
            let mut random = Random(seed + round);
            let mut bench = Bench::new();
            let (space, bytes) = (100 << (round % 4 * 4), [20, 200, 1024][round as usize % 3]);
            for step in 0..150 {
                let deletes = [1, 1, 4, 2][step / 20 % 4];
                let most = [3, 40, 400][random.below(3) as usize];
                let batch = random_batch(&mut random, &bench.oracle, most, space, deletes, bytes);
                bench.fold(batch);
                bench.check();
                (0..4).for_each(|_| bench.probe(random.below(space + 2)));
                bench.probe(0);
                bench.probe(u64::MAX);
            }
        }
    });
}

#[test]
fn keys_at_both_ends_of_the_numbers_are_found() {
    let mut bench = Bench::new();
    bench.fold([0, 1, u64::MAX - 1, u64::MAX].map(|key| (key, Some(vec![key as u8]))).into());
    bench.check();
    [0, 1, 2, u64::MAX - 2, u64::MAX - 1, u64::MAX].iter().for_each(|&key| bench.probe(key));
    bench.fold([(0, None), (u64::MAX, None)].into());
    bench.check();
    [0, 1, u64::MAX].iter().for_each(|&key| bench.probe(key));
}

#[test]
fn growing_ordinals_fill_the_leaves() {
    seeded(|seed| {
        for batch in [1, 7, 500, 20_000] {
            let mut random = Random(seed);
            let mut bench = Bench::new();
            let (mut ordinal, mut left) = (0, 20_000u64);
            while left > 0 {
                let edits = (0..batch.min(left)).map(|_| {
                    ordinal += 1 + random.below(30);
                    (ordinal, Some(random.value(40)))
                });
                bench.fold(edits.collect());
                left = left.saturating_sub(batch);
            }
            bench.check();
            assert!(bench.leaf_fill() > 0.95, "batches of {batch}: {}", bench.leaf_fill());
        }
    });
}

#[test]
fn random_inserts_fill_the_leaves_by_half_and_deletes_give_pages_back() {
    seeded(|seed| {
        let mut random = Random(seed);
        let mut bench = Bench::new();
        for _ in 0..200 {
            let batch = random_batch(&mut random, &bench.oracle, 200, 1 << 40, 0, 40);
            bench.fold(batch);
        }
        bench.check();
        assert!(bench.leaf_fill() > 0.5, "{}", bench.leaf_fill());
        while bench.oracle.len() > 500 {
            let batch = random_batch(&mut random, &bench.oracle, 200, 1 << 40, 5, 0);
            bench.fold(batch);
        }
        bench.check();
        assert!(bench.leaf_fill() > 0.3, "{}", bench.leaf_fill());
    });
}

#[test]
fn deleting_everything_leaves_no_page() {
    seeded(|seed| {
        for step in [1, 13, 300, 5_000] {
            let mut random = Random(seed);
            let mut bench = Bench::new();
            bench.fold((0..5_000).map(|key| (key * 3, Some(random.value(300)))).collect());
            assert!(bench.root.level >= 2 || bench.pages.live().len() > 100);
            while !bench.oracle.is_empty() {
                let keys: Vec<u64> = bench.oracle.keys().copied().collect();
                let from = random.below(keys.len() as u64) as usize;
                bench.fold(keys[from..].iter().take(step).map(|&key| (key, None)).collect());
                if step > 1 || bench.oracle.len() % 100 == 0 {
                    bench.check();
                }
            }
            assert_eq!(bench.root, TreeRoot::default());
            assert!(bench.pages.live().is_empty());
        }
    });
}

#[test]
fn a_tall_tree_collapses_to_the_one_entry_that_is_left() {
    // Small pages by large values: 3 entries a leaf, so that 260 000 entries need four levels.
    let mut bench = Bench::new();
    bench.fold((0..260_000).map(|key| (key, Some(vec![key as u8; 1000]))).collect());
    assert_eq!(bench.root.level, 3);
    bench.probe(123_456);
    let left = 131_000;
    bench.fold((0..260_000).filter(|&key| key != left).map(|key| (key, None)).collect());
    bench.check();
    assert_eq!((bench.root.level, bench.pages.live().len()), (0, 1));
    bench.probe(left);
}

#[test]
fn a_fold_touches_only_the_paths_of_its_edits() {
    let mut bench = Bench::new();
    bench.fold((0..100_000).map(|key| (key, Some(vec![1; 20]))).collect());
    let before = bench.pages.live();
    bench.fold([(50_000, Some(vec![2; 20]))].into());
    bench.check();
    let after = bench.pages.live();
    assert_eq!(bench.root.level, 2);
    assert_eq!(after.difference(&before).count(), 3);
}

#[test]
fn wrong_batches_are_refused() {
    let mut bench = Bench::new();
    bench.fold([(5, Some(vec![1]))].into());
    let edit = |key, value| Edit { key, value };
    let batches = [
        vec![edit(4, None)],
        vec![edit(6, None)],
        vec![edit(7, Some(vec![])), edit(6, Some(vec![]))],
        vec![edit(6, Some(vec![])), edit(6, Some(vec![]))],
        vec![edit(6, Some(vec![0; MAX_VALUE_BYTES + 1]))],
    ];
    for batch in batches {
        let mut pages = bench.pages.tolerant_copy();
        let refused = fold(&mut pages, TREE, &bench.root, &batch);
        assert!(matches!(refused, Err(Error::Internal(_))), "{batch:?}: {refused:?}");
    }
    assert_eq!(fold(&mut bench.pages, TREE, &bench.root, &[]).expect("nothing to do"), bench.root);
    let other = fold(&mut bench.pages.tolerant_copy(), TREE + 1, &bench.root, &[edit(5, None)]);
    assert!(matches!(other, Err(Error::Corrupt(_))), "{other:?}");
}

#[test]
fn a_root_reads_back_as_written() {
    let root = TreeRoot { page: PageNo(0x1234_5678_9abc), level: 7 };
    let mut bytes = [0xff; TreeRoot::BYTES];
    root.encode(&mut bytes);
    assert_eq!(bytes, [0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12, 7, 0]);
    assert_eq!(TreeRoot::decode(&bytes), root);
    assert_eq!(TreeRoot::decode(&[0; 8]), TreeRoot::default());
}

/// Everything a reader or writer can do with the tree; nothing but `Ok` and `Err` may come of it.
fn try_everything(pages: &mut TestPages, root: &TreeRoot, random: &mut Random, space: u64) {
    let all = pages.live().len() as u64;
    for _ in 0..4 {
        let key = random.below(space);
        let _ = get(pages, root, key);
        let _ = floor(pages, root, key);
        let Ok(mut cursor) = Cursor::seek(pages, root, key) else { continue };
        pages.reads.set(0);
        let mut entries = 0;
        while let Ok(Some(_)) = cursor.next(pages) {
            entries += 1;
        }
        assert!(entries <= all * 336, "{entries} entries in {all} pages");
        assert!(pages.reads.get() <= entries + all * 10 + 20);
    }
    pages.reads.set(0);
    let mut reached = BTreeSet::new();
    let mut again = 0;
    let mut page = |page: PageNo| {
        again += u64::from(!reached.insert(page.0));
        Ok(())
    };
    let walked = walk(pages, root, &mut page, &mut |_, _| Ok(()));
    assert!(again == 0 || (again == 1 && walked.is_err()), "a page walked {again} times more");
    let edits: BTreeMap<u64, u64> = (0..random.below(60)).map(|_| (random.below(space), random.below(4))).collect();
    let edit = |(key, kind): (u64, u64)| Edit { key, value: (kind > 0).then(|| vec![3; kind as usize * 20]) };
    let edits: Vec<Edit> = edits.into_iter().map(edit).collect();
    let _ = fold(pages, TREE, root, &edits);
}

#[test]
fn damaged_pages_give_errors_and_nothing_else() {
    seeded(|seed| {
        let mut random = Random(seed);
        let space = 60_000;
        let mut bench = Bench::new();
        bench.fold((0..20_000).map(|key| (key * 3, Some(random.value(150)))).collect());
        assert_eq!(bench.root.level, 2);
        let all: Vec<u64> = bench.pages.live().into_iter().collect();
        let branches: Vec<u64> = all.iter().copied().filter(|&p| bench.is_branch(p)).collect();
        for _ in 0..400 {
            let mut pages = bench.pages.tolerant_copy();
            for _ in 0..=random.below(4) {
                let set = if random.below(2) == 0 { &branches } else { &all };
                let page = set[random.below(set.len() as u64) as usize];
                damage(pages.bytes_mut(PageNo(page)), &all, &mut random);
            }
            let mut root = bench.root;
            match random.below(8) {
                0 => root.level = random.next() as u8,
                1 => root.page = PageNo(all[random.below(all.len() as u64) as usize]),
                _ => {}
            }
            try_everything(&mut pages, &root, &mut random, space);
        }
    });
}

/// Damages the body of a page: any byte, a number of the head, or a child that is another page.
fn damage(bytes: &mut [u8], pages: &[u64], random: &mut Random) {
    let slot = 64 + 14 * random.below(280) as usize;
    match random.below(5) {
        0 => bytes[48 + random.below(3) as usize] = random.next() as u8,
        1 => bytes[48 + random.below(3) as usize] ^= 1,
        2 => bytes[64 + random.below(PAGE_BYTES as u64 - 64) as usize] = random.next() as u8,
        3 => bytes[64 + random.below(600) as usize] ^= 1 << random.below(8),
        _ => {
            let child = pages[random.below(pages.len() as u64) as usize];
            bytes[slot + 8..slot + 14].copy_from_slice(&child.to_le_bytes()[..6]);
        }
    }
}

#[test]
fn the_pages_have_the_bytes_of_the_format() {
    let mut bench = Bench::new();
    bench.fold([(0x0102, Some(b"abc".to_vec())), (0x0a00, Some(vec![])), (0x0b00, Some(b"z".to_vec()))].into());
    let leaf = bench.pages.bytes(bench.root.page);
    assert_eq!((leaf[14], leaf[15]), (4, 0), "kind and order");
    assert_eq!(leaf[48..64], [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "count and level");
    assert_eq!(leaf[64..76], [2, 1, 0, 0, 0, 0, 0, 0, 0xfd, 0x0f, 3, 0]);
    assert_eq!(leaf[76..88], [0, 10, 0, 0, 0, 0, 0, 0, 0xfd, 0x0f, 0, 0]);
    assert_eq!(leaf[88..100], [0, 11, 0, 0, 0, 0, 0, 0, 0xfc, 0x0f, 1, 0]);
    assert_eq!(&leaf[4092..], b"zabc");

    let mut bench = Bench::new();
    bench.fold((1..=4).map(|key| (key, Some(vec![0; 1024]))).collect());
    let branch = bench.pages.bytes(bench.root.page);
    assert_eq!((branch[14], branch[48], branch[49], branch[50]), (5, 2, 0, 1), "kind, count, level");
    assert_eq!(branch[64..78], [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0]);
    assert_eq!(branch[78..92], [4, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0]);
}

/// What a walk over the tree calls the damage it finds.
fn damage_found(pages: &TestPages, root: &TreeRoot) -> Option<&'static str> {
    named(walk(pages, root, &mut |_| Ok(()), &mut |_, _| Ok(())))
}

fn named(result: Result<()>) -> Option<&'static str> {
    match result {
        Err(Error::Corrupt(damage)) => Some(damage.what),
        _ => None,
    }
}

fn scan(pages: &TestPages, root: &TreeRoot) -> Result<()> {
    let mut cursor = Cursor::seek(pages, root, 0)?;
    while cursor.next(pages)?.is_some() {}
    Ok(())
}

#[test]
fn each_broken_rule_is_called_by_its_name() {
    let mut bench = Bench::new();
    bench.fold([10, 20, 30, 40].map(|key| (key, Some(vec![0; 1024]))).into());
    let (root, leaf) = (bench.root.page, PageNo(2));
    let cases: [(PageNo, usize, u8, &str); 11] = [
        (root, 48, 0, "page tree (entry count)"),
        (root, 49, 9, "page tree (entry count)"),
        (root, 50, 2, "page tree (level)"),
        (leaf, 50, 1, "page tree (level)"),
        (leaf, 64, 9, "page tree (first key)"),
        (leaf, 76, 10, "page tree (key order)"),
        (leaf, 88, 40, "page tree (last key)"),
        (leaf, 75, 5, "page tree (value length)"),
        (leaf, 73, 0, "page tree (value offset)"),
        (leaf, 74, 255, "page tree (value offset)"),
        (root, 72, 0, "page tree (child)"),
    ];
    assert_eq!(damage_found(&bench.pages, &bench.root), None);
    for (page, at, byte, what) in cases {
        let mut pages = bench.pages.tolerant_copy();
        if at == 74 {
            pages.bytes_mut(page)[75] = 3;
        }
        pages.bytes_mut(page)[at] = byte;
        assert_eq!(damage_found(&pages, &bench.root), Some(what), "byte {at} of page {}", page.0);
    }
    // A scan checks no fence; it notices that the next leaf goes back.
    let mut pages = bench.pages.tolerant_copy();
    pages.bytes_mut(leaf)[88] = 45;
    assert_eq!(named(scan(&pages, &bench.root)), Some("page tree (key order)"));
    let high = TreeRoot { level: MAX_LEVEL + 1, ..bench.root };
    assert_eq!(damage_found(&bench.pages, &high), Some("page tree (height)"));
    assert_eq!(named(scan(&bench.pages, &high)), Some("page tree (height)"));
}
