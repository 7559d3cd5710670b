//! The memory of a [`Cache`](super::Cache): address space as long as the file, filled and given back page by page.
//! All `unsafe` of the cache is here.

use crate::file::page::PAGE_BYTES;
use crate::sync::{AtomicU64, Ordering};
use memmap2::{MmapOptions, MmapRaw};
use std::io;

/// One segment. It never moves; pages that nobody loaded cost nothing.
#[derive(Debug)]
pub(super) struct Lent {
    map: MmapRaw,
    /// Pages that a loaded unit covers, a bit each: no two units lie over one another.
    covered: Box<[AtomicU64]>,
}

impl Lent {
    /// A segment of `bytes` bytes, none of it loaded.
    pub(super) fn new(bytes: usize) -> io::Result<Lent> {
        let map: MmapRaw = MmapOptions::new().len(bytes).no_reserve_swap().map_anon()?.into();
        // A huge page would be 2 MiB for each page that is loaded. A hint: without it nothing is wrong.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::NoHugePage);
        let words = (bytes / PAGE_BYTES).div_ceil(64);
        Ok(Lent { map, covered: (0..words).map(|_| AtomicU64::new(0)).collect() })
    }

    /// Its first byte.
    pub(super) fn ptr(&self) -> *const u8 {
        self.map.as_ptr()
    }

    /// Puts a unit at page `first` of the segment; false, and nothing done, where it would lie over another or
    /// beyond the end.
    pub(super) fn fill(&self, first: usize, unit: &[u8]) -> bool {
        let pages = unit.len().div_ceil(PAGE_BYTES);
        if !self.is_inside(first, pages) || !self.cover(first, pages) {
            return false;
        }
        // SAFETY: inside the mapping (checked above), which is writable and lives as long as `self`. Nobody reads or
        // writes these bytes: readers look only at units that are loaded, whose pages are covered, and these just
        // became so by this call alone.
        unsafe {
            let to = self.map.as_mut_ptr().add(first * PAGE_BYTES);
            std::ptr::copy_nonoverlapping(unit.as_ptr(), to, unit.len());
        }
        true
    }

    /// Gives the memory of a unit back to the system.
    ///
    /// # Safety
    /// The unit was put there by [`Lent::fill`] with this length, and nobody reads it any more.
    pub(super) unsafe fn give_back(&self, first: usize, pages: usize) {
        debug_assert!(self.is_inside(first, pages));
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let advice = memmap2::UncheckedAdvice::DontNeed;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let advice = memmap2::UncheckedAdvice::Free;
        // SAFETY: the bytes lie inside the mapping, and by the caller's promise nobody refers to them. A failure
        // leaves them where they are, to be written over.
        let _ = unsafe { self.map.unchecked_advise_range(advice, first * PAGE_BYTES, pages * PAGE_BYTES) };
        for page in first..first + pages {
            self.covered[page / 64].fetch_and(!(1 << (page % 64)), Ordering::AcqRel);
        }
    }

    fn is_inside(&self, first: usize, pages: usize) -> bool {
        first.checked_add(pages).is_some_and(|end| end <= self.map.len() / PAGE_BYTES)
    }

    /// Marks the pages, all or none.
    fn cover(&self, first: usize, pages: usize) -> bool {
        for page in first..first + pages {
            let bit = 1 << (page % 64);
            if self.covered[page / 64].fetch_or(bit, Ordering::AcqRel) & bit != 0 {
                for page in first..page {
                    self.covered[page / 64].fetch_and(!(1 << (page % 64)), Ordering::AcqRel);
                }
                return false;
            }
        }
        true
    }
}
