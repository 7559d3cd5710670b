//! Tests of the allocator against a map from page to what it is.

use super::*;
use crate::file::meta::META_PAGES;
use crate::testing::{seed, Rng};

/// Pages of the bitmap tree, as written.
#[derive(Default)]
struct Written(BTreeMap<PageNo, PageBuf>);

impl PageSource for Written {
    fn unit(&self, page: PageNo, kind: PageKind) -> Result<&[u8]> {
        let unit = self.0.get(&page).ok_or_else(|| Error::corrupt("page", page.0, 0, 0, 0))?;
        assert_eq!(page::kind_of(unit), Some(kind));
        Ok(unit)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Used,
    Busy,
}

/// The allocator and the naive one beside it.
struct Pair {
    space: Space,
    written: Written,
    pages: BTreeMap<u64, Is>,
    region_pages: u64,
    /// Regions with a page in use, and whether they serve extents. A run knows what it is.
    runs: BTreeMap<u64, (u64, bool)>,
    /// Runs that are used (reached by the checkpoint), busy in the heap, and waiting for `unpin`.
    used: Vec<u64>,
    heap: Vec<u64>,
    waiting: Vec<u64>,
    root: SpaceRoot,
    file_pages: u64,
    /// Pages of the bitmap tree in the last checkpoint.
    own: BTreeSet<u64>,
}

impl Pair {
    fn new(region_pages: u32) -> Pair {
        let mut pair = Pair {
            space: Space::create(region_pages),
            written: Written::default(),
            pages: (0..META_PAGES).map(|page| (page, Is::Used)).collect(),
            region_pages: region_pages.into(),
            runs: BTreeMap::new(),
            used: Vec::new(),
            heap: Vec::new(),
            waiting: Vec::new(),
            root: SpaceRoot::default(),
            file_pages: 0,
            own: BTreeSet::new(),
        };
        pair.checkpoint();
        pair
    }

    fn set(&mut self, first: u64, is: Option<Is>) {
        let (pages, _) = self.runs[&first];
        for page in first..first + pages {
            match is {
                Some(is) => self.pages.insert(page, is),
                None => self.pages.remove(&page),
            };
        }
    }

    /// Takes note of a run that was given out, and checks it.
    fn given(&mut self, first: PageNo, pages: u64, extent: bool) {
        let (first, last) = (first.0, first.0 + pages - 1);
        assert!(self.pages.range(first..=last).next().is_none(), "pages {first}..={last} are not free");
        assert_eq!(first / CHUNK_PAGES, last / CHUNK_PAGES, "a run lies in one chunk");
        if !extent {
            assert_eq!(first % pages, 0, "a block is aligned");
            assert_eq!(first / self.region_pages, last / self.region_pages, "a block lies in one region");
        }
        let from = first / self.region_pages * self.region_pages;
        let to = (last / self.region_pages + 1) * self.region_pages;
        // A run that reaches into the region from the left has at most half a chunk.
        let near = self.runs.range(from.saturating_sub(CHUNK_PAGES)..to).filter(|(at, (n, _))| *at + n > from);
        for (at, (_, other)) in near {
            assert_eq!(*other, extent, "the region of page {first} has pages and extents ({at})");
        }
        self.runs.insert(first, (pages, extent));
    }

    fn give(&mut self, order: u8) {
        let page = self.space.give(&self.written, order).expect("a page");
        self.given(page, 1 << order, false);
        self.set(page.0, Some(Is::Busy));
        self.heap.push(page.0);
    }

    fn give_extent(&mut self, pages: u64) {
        let page = self.space.give_extent(&self.written, pages).expect("an extent");
        self.given(page, pages, true);
        self.set(page.0, Some(Is::Busy));
        self.heap.push(page.0);
    }

    fn take(&mut self, order: u8) {
        let page = self.space.take(&self.written, order).expect("a page");
        self.given(page, 1 << order, false);
        self.set(page.0, Some(Is::Used));
        self.used.push(page.0);
    }

    fn adopt(&mut self, at: usize) {
        let first = self.heap.swap_remove(at);
        self.space.adopt(PageNo(first), self.runs[&first].0);
        self.set(first, Some(Is::Used));
        self.used.push(first);
    }

    /// Gives a heap unit back that never got into a checkpoint.
    fn discard(&mut self, at: usize) {
        let first = self.heap.swap_remove(at);
        self.waiting.push(first);
    }

    fn retire(&mut self, at: usize) {
        let first = self.used.swap_remove(at);
        self.space.retire(&self.written, PageNo(first), self.runs[&first].0).expect("it is in use");
        self.set(first, Some(Is::Busy));
        self.waiting.push(first);
    }

    fn unpin(&mut self, at: usize) {
        let first = self.waiting.swap_remove(at);
        self.space.unpin(PageNo(first), self.runs[&first].0);
        self.set(first, None);
        self.runs.remove(&first);
    }

    fn persist(&mut self) -> (SpaceRoot, BTreeMap<PageNo, PageBuf>) {
        let mut pages = BTreeMap::new();
        let root = self.space.persist(&self.written, &mut |page, unit| {
            assert!(pages.insert(page, unit).is_none(), "{page:?} is written twice");
            Ok(())
        });
        (root.expect("persisted"), pages)
    }

    /// Persists what was changed since `begin_checkpoint`, and ends the checkpoint.
    fn checkpoint(&mut self) {
        let (root, fresh) = self.persist();
        for page in fresh.keys() {
            self.given(*page, 1, false);
            self.set(page.0, Some(Is::Used));
        }
        self.written.0.extend(fresh);
        let retired: BTreeSet<u64> = self.space.finish_checkpoint().into_iter().map(|(page, _)| page.0).collect();
        self.root = root;
        self.file_pages = self.file_pages.max(self.space.end());
        for old in std::mem::take(&mut self.own) {
            if retired.contains(&old) {
                self.set(old, Some(Is::Busy));
                self.waiting.push(old);
            }
        }
        self.own = self.walk();
        assert!(self.own.iter().all(|page| self.pages.get(page) == Some(&Is::Used)));
        assert_eq!(self.space.used_pages(), self.used_pages().len() as u64);
    }

    fn used_pages(&self) -> BTreeSet<u64> {
        self.pages.iter().filter(|(_, is)| **is == Is::Used).map(|(page, _)| *page).collect()
    }

    /// Reads the tree from its root: must say what is used, exactly. Returns its own pages.
    fn walk(&self) -> BTreeSet<u64> {
        let (mut own, mut used) = (BTreeSet::new(), BTreeSet::new());
        let (region_pages, file_pages) = (self.region_pages as u32, self.file_pages);
        let page = &mut |page: PageNo| {
            assert!(own.insert(page.0), "{page:?} is in the tree twice");
            Ok(())
        };
        let run = &mut |first, pages| {
            used.extend(first..first + pages);
            Ok(())
        };
        Space::walk(&self.written, self.root, region_pages, file_pages, page, run).expect("a good tree");
        let expected = self.used_pages();
        let (lost, kept): (Vec<_>, Vec<_>) =
            (expected.difference(&used).collect(), used.difference(&expected).collect());
        assert!(lost.is_empty() && kept.is_empty(), "free in the tree: {lost:?}, used in the tree: {kept:?}");
        own
    }

    /// A checkpoint that does all this, and then fails.
    fn failed_checkpoint(&mut self, rng: &mut Rng) {
        let before = (self.used_pages(), self.space.used_pages(), self.root);
        let saved = (self.pages.clone(), self.runs.clone());
        let lists = (self.used.clone(), self.heap.clone(), self.waiting.clone());
        self.space.begin_checkpoint();
        self.change(rng, true);
        if rng.chance(0.7) {
            self.persist();
        }
        self.space.abort_checkpoint();
        (self.pages, self.runs) = saved;
        (self.used, self.heap, self.waiting) = lists;
        assert_eq!((self.used_pages(), self.space.used_pages(), self.root), before);
    }

    fn change(&mut self, rng: &mut Rng, failing: bool) {
        for _ in 0..rng.below(30) {
            match rng.below(5) {
                0 | 1 => self.take(0),
                2 | 3 if !self.heap.is_empty() => self.adopt(rng.below(self.heap.len() as u64) as usize),
                4 if !self.used.is_empty() => self.retire(rng.below(self.used.len() as u64) as usize),
                _ => {}
            }
        }
        // Half of what a good checkpoint finds in the heap is dead.
        while !failing && !self.heap.is_empty() {
            let at = rng.below(self.heap.len() as u64) as usize;
            if rng.chance(0.5) {
                self.adopt(at);
            } else {
                self.discard(at);
            }
        }
    }

    fn write(&mut self, rng: &mut Rng, max_order: u8) {
        for _ in 0..rng.below(40) {
            if rng.chance(0.15) {
                let most = 1 << rng.below(8);
                self.give_extent(1 + rng.below(most));
            } else {
                self.give(rng.below(u64::from(max_order) + 1) as u8);
            }
        }
    }

    fn unpin_some(&mut self, rng: &mut Rng) {
        for _ in 0..rng.below(self.waiting.len() as u64 + 1) {
            self.unpin(rng.below(self.waiting.len() as u64) as usize);
        }
    }

    /// As after closing: everything from the file.
    fn reopen(&mut self) {
        while !self.waiting.is_empty() {
            self.unpin(0);
        }
        while let Some(first) = self.heap.pop() {
            self.waiting.push(first);
            self.unpin(0);
        }
        let used = self.space.used_pages();
        self.space = Space::open(self.root, self.region_pages as u32, used, self.file_pages);
    }
}

fn torment(region_pages: u32, max_order: u8, rounds: u64, rng: &mut Rng) {
    let mut pair = Pair::new(region_pages);
    for _ in 0..rounds {
        pair.write(rng, max_order);
        if rng.chance(0.2) {
            pair.failed_checkpoint(rng);
        }
        pair.space.begin_checkpoint();
        pair.change(rng, false);
        pair.checkpoint();
        pair.unpin_some(rng);
        if rng.chance(0.1) {
            pair.reopen();
        }
    }
    pair.walk();
}

#[test]
fn no_page_is_given_out_twice_and_the_file_says_what_is_used() {
    let mut rng = Rng::new(seed(21));
    for _ in 0..3 {
        torment(4, 2, 150, &mut rng);
        torment(256, 4, 150, &mut rng);
    }
}

#[test]
fn the_tree_grows_by_levels_and_stays_right() {
    let mut rng = Rng::new(seed(22));
    let mut pair = Pair::new(256);
    let mut heights = BTreeSet::new();
    // An extent of half a chunk each: 500 chunks are one node.
    for round in 0..9 {
        for _ in 0..124 {
            pair.give_extent(CHUNK_PAGES / 2);
        }
        pair.space.begin_checkpoint();
        while !pair.heap.is_empty() {
            pair.adopt(0);
        }
        for _ in 0..20 {
            pair.retire(rng.below(pair.used.len() as u64) as usize);
        }
        let (root, fresh) = pair.persist();
        pair.written.0.extend(fresh.into_iter().map(|(page, unit)| {
            pair.runs.insert(page.0, (1, false));
            pair.pages.insert(page.0, Is::Used);
            (page, unit)
        }));
        for (page, _) in pair.space.finish_checkpoint() {
            pair.pages.insert(page.0, Is::Busy);
        }
        (pair.root, pair.file_pages) = (root, pair.file_pages.max(pair.space.end()));
        heights.insert(root.height);
        if round % 4 == 3 {
            pair.walk();
        }
    }
    assert_eq!(heights, BTreeSet::from([1, 2]));
    pair.walk();
    // What was freed is found again after reopening, before the file grows.
    let free = CHUNK_PAGES / 2 * 180;
    let (end, used) = (pair.file_pages, pair.space.used_pages());
    assert!(used + free / 2 < end, "{used} of {end} pages");
    pair.space = Space::open(pair.root, 256, used, pair.file_pages);
    pair.pages.retain(|_, is| *is == Is::Used);
    let pages: BTreeSet<u64> = pair.used_pages();
    pair.runs.retain(|first, _| pages.contains(first));
    for _ in 0..100 {
        pair.give_extent(CHUNK_PAGES / 2);
    }
    assert!(pair.runs.keys().next_back().is_some_and(|last| *last < end));
}

/// A hostile meta page may name an empty bitmap: whoever believed it would write over the meta pages.
#[test]
fn meta_pages_that_are_marked_free_are_damage_and_are_not_given_out() {
    let mut space = Space::open(SpaceRoot::default(), 4, 30, 40);
    assert!(space.take(&Written::default(), 0).is_err());
    assert!(space.take_extent(&Written::default(), 4).is_err());
}

#[test]
fn a_page_marked_free_that_is_retired_is_damage() {
    let mut pair = Pair::new(4);
    pair.give(0);
    let busy = PageNo(pair.heap[0]);
    assert!(pair.space.retire(&pair.written, busy, 1).is_err());
    assert!(pair.space.retire(&pair.written, PageNo(CHUNK_PAGES * 7), 1).is_err());
}

#[test]
fn an_extent_larger_than_half_a_chunk_is_refused() {
    let mut pair = Pair::new(4);
    assert!(pair.space.give_extent(&pair.written, CHUNK_PAGES / 2 + 1).is_err());
    pair.give_extent(CHUNK_PAGES / 2);
}

#[test]
fn free_regions_are_told_once_from_the_end_and_none_that_is_used_or_reaches_beyond_the_file() {
    let nothing = Written::default();
    let told = |space: &mut Space, file_pages, keep, most| {
        space.free_regions(file_pages, keep, most).into_iter().map(|(page, pages)| (page.0, pages)).collect::<Vec<_>>()
    };
    let mut space = Space::create(256);
    // The first region has the meta pages, the last one is not all in the file.
    assert_eq!(told(&mut space, 5 * 256 - 1, 1, 10), [(768, 256), (512, 256)]);
    assert_eq!(told(&mut space, 5 * 256, 0, 10), [(1024, 256), (256, 256)]);
    assert_eq!(told(&mut space, 5 * 256, 0, 10), []);
    // The rest of the first chunk is too short for the second of these: it lies in the next chunk.
    let half = CHUNK_PAGES / 2;
    let first = space.give_extent(&nothing, half).expect("an extent");
    let second = space.give_extent(&nothing, half).expect("an extent");
    assert_eq!((first, second), (PageNo(256), PageNo(CHUNK_PAGES)));
    let file_pages = CHUNK_PAGES + half + 256;
    assert_eq!(told(&mut space, file_pages, 0, 1), [(CHUNK_PAGES + half, 256)]);
    space.unpin(second, half);
    let last = CHUNK_PAGES + half - 256;
    assert_eq!(told(&mut space, file_pages, 0, 2), [(last, 256), (last - 256, 256)]);
    // It is used again, and told again when it is free again.
    let again = space.give_extent(&nothing, half).expect("an extent");
    assert_eq!(again, second);
    space.unpin(again, half);
    assert_eq!(told(&mut space, file_pages, 0, 2), [(last, 256), (last - 256, 256)]);
}
