//! Tests of the cache: what stays, what goes, and when.

use super::*;
use crate::file::page::PageBuf;
use crate::file::written_file::WrittenFile;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// Readers of whom a test says whether they are gone.
#[derive(Default)]
struct Told {
    turns: AtomicUsize,
    have_turned: AtomicBool,
}

impl Readers for Told {
    fn turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.have_turned.store(false, Ordering::Relaxed);
    }
    fn have_turned(&self) -> bool {
        self.have_turned.load(Ordering::Relaxed)
    }
}

const PAGE: u64 = PAGE_BYTES as u64;

struct Bench {
    readers: Arc<Told>,
    cache: Arc<Cache>,
    cleared: Mutex<Vec<u64>>,
}

impl Bench {
    fn new(limit_pages: u64) -> Bench {
        let readers = Arc::new(Told::default());
        let file = Arc::new(WrittenFile(PageBuf::zeroed(1)));
        let cache = Cache::new(file, readers.clone(), limit_pages * PAGE);
        Bench { readers, cache, cleared: Mutex::default() }
    }

    /// What the page table does when a unit of `pages` pages is touched by its slow path.
    fn touch(&self, page: u64, pages: usize) {
        let page = PageNo(page);
        let mut shard = self.cache.shard(page);
        if !shard.contains_key(&page.0) {
            let unit = vec![page.0 as u8; pages * PAGE_BYTES];
            self.cache.insert(&mut shard, page, 1, &unit).expect("fits");
        }
        let kept = self.cache.keep(&mut shard, page);
        drop(shard);
        self.cache.make_room(kept, |page| self.cleared.lock().push(page.0));
    }

    fn has(&self, page: u64) -> bool {
        self.cache.shard(PageNo(page)).contains_key(&page)
    }

    fn bytes_at(&self, page: u64) -> u8 {
        // SAFETY: the first segment is as long as the test's pages, and readable.
        unsafe { *self.cache.segment(0).expect("memory").add((page * PAGE) as usize) }
    }
}

#[test]
fn the_oldest_units_go_when_the_readers_of_then_are_gone_and_not_before() {
    let bench = Bench::new(100);
    (2..102).for_each(|page| bench.touch(page, 1));
    assert_eq!((bench.cache.bytes(), bench.readers.turns.load(Ordering::Relaxed)), (100 * PAGE, 0));
    bench.touch(102, 1);
    assert_eq!(bench.readers.turns.load(Ordering::Relaxed), 1, "a round has begun");
    assert_eq!(*bench.cleared.lock(), (2..2 + LEAST_UNITS as u64).collect::<Vec<_>>());
    bench.touch(103, 1);
    assert!(bench.has(2) && bench.bytes_at(2) == 2, "somebody may still read it");
    // Touched while it was leaving: it stays, and is read from no file.
    bench.touch(3, 1);
    bench.readers.have_turned.store(true, Ordering::Relaxed);
    bench.touch(104, 1);
    assert!(!bench.has(2) && bench.has(3) && bench.bytes_at(3) == 3);
    assert_eq!(bench.cache.bytes(), (103 - LEAST_UNITS as u64 + 1) * PAGE);
    #[cfg(target_os = "linux")]
    assert_eq!(bench.bytes_at(2), 0, "its memory went back");
}

#[test]
fn a_hold_keeps_what_was_loaded_since_it_began_until_it_is_renewed() {
    let bench = Bench::new(100);
    bench.readers.have_turned.store(true, Ordering::Relaxed);
    let mut hold = bench.cache.hold();
    for page in 2..400 {
        bench.touch(page, 1);
        bench.readers.have_turned.store(true, Ordering::Relaxed);
    }
    assert!((2..400).all(|page| bench.has(page)), "all of it may be borrowed");
    hold.renew();
    for page in 400..800 {
        bench.touch(page, 1);
        hold.renew();
        bench.readers.have_turned.store(true, Ordering::Relaxed);
    }
    assert!(bench.cache.bytes() <= (100 + LEAST_UNITS as u64) * PAGE, "{}", bench.cache.bytes());
    drop(hold);
    assert!(bench.cache.holds.lock().is_empty());
}

#[test]
fn what_is_discarded_leaves_its_place_to_other_units() {
    let bench = Bench::new(1000);
    bench.touch(16, 4);
    bench.touch(20, 1);
    let over = |page: u64, pages: usize| {
        let mut shard = bench.cache.shard(PageNo(page));
        bench.cache.insert(&mut shard, PageNo(page), 1, &vec![9; pages * PAGE_BYTES])
    };
    assert!(over(17, 1).is_err() && over(14, 4).is_err() && over(19, 2).is_err(), "two units in one place");
    assert!(over(262_143, 2).is_err(), "beyond the segment");
    assert_eq!(bench.bytes_at(17), 16);
    bench.cache.discard(PageNo(14), 6);
    assert_eq!(bench.cache.bytes(), PAGE);
    over(17, 2).expect("free now");
    assert!(bench.bytes_at(17) == 9 && bench.bytes_at(20) == 20);
}

#[test]
fn the_queue_forgets_units_that_have_gone() {
    let bench = Bench::new(1_000_000);
    for page in 0..50_000 {
        bench.touch(2 + page % 7, 1);
        bench.cache.discard(PageNo(2 + page % 7), 1);
    }
    assert!(bench.cache.clock.lock().queue.len() < 10_000);
}
