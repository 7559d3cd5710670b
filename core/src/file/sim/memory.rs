//! The block of memory that holds one simulated file and is lent to its readers.
//!
//! It is one anonymous mapping of the file's full capacity: pages nobody touched cost nothing and
//! read as zeros, and it never moves. Blocks that were little used are cleaned and kept for the next
//! file of the same thread, because a test that builds a hundred thousand disks would otherwise spend
//! its time in page faults.
//!
//! Readers hold raw pointers into the block while writes go on, so it is written through raw pointers
//! only, and no `&mut [u8]` to it is ever made. All `unsafe` of the simulated disk is here.

use crate::sync::{AtomicU64, Ordering};
use memmap2::{MmapMut, MmapOptions, MmapRaw};
use std::cell::RefCell;

/// Blocks whose used part is longer are given back to the system instead of being cleaned.
const KEEP_BYTES: u64 = 1 << 20;

/// How many blocks a thread keeps.
const KEEP_BLOCKS: usize = 32;

thread_local! {
    static CLEAN: RefCell<Vec<MmapRaw>> = const { RefCell::new(Vec::new()) };
}

/// Zeroed memory of fixed size and place.
#[derive(Debug)]
pub(super) struct Memory {
    /// `None` only while being dropped.
    block: Option<MmapRaw>,
    /// Nothing at or beyond this offset was ever written.
    used: AtomicU64,
}

impl Memory {
    /// `bytes` bytes of zeros.
    pub(super) fn zeroed(bytes: u64) -> Memory {
        let bytes = bytes as usize;
        let kept = CLEAN.with_borrow_mut(|clean| {
            let at = clean.iter().position(|block| block.len() == bytes)?;
            Some(clean.swap_remove(at))
        });
        let block = kept.unwrap_or_else(|| Self::map(bytes));
        Memory { block: Some(block), used: AtomicU64::new(0) }
    }

    fn map(bytes: usize) -> MmapRaw {
        let map: std::io::Result<MmapMut> = MmapOptions::new().len(bytes).map_anon();
        map.expect("address space for a simulated file").into()
    }

    fn block(&self) -> &MmapRaw {
        self.block.as_ref().expect("only dropped memory has no block")
    }

    /// Size in bytes.
    pub(super) fn capacity(&self) -> u64 {
        self.block().len() as u64
    }

    /// The address of the first byte.
    pub(super) fn pointer(&self) -> *const u8 {
        self.block().as_ptr()
    }

    fn check(&self, offset: u64, len: usize) {
        let end = offset.checked_add(len as u64);
        assert!(end.is_some_and(|end| end <= self.capacity()), "{len} bytes at {offset} in a simulated file");
    }

    /// Copies `data` to `offset`. Calls to this and to `fill_zeros` are serialised by the caller.
    pub(super) fn write(&self, data: &[u8], offset: u64) {
        self.check(offset, data.len());
        self.used.fetch_max(offset + data.len() as u64, Ordering::Relaxed);
        // SAFETY: the range is inside the block (checked above), which is writable and lives as long as
        // `self`. `data` is not part of it: it is never lent as a slice. Nobody else writes (the caller
        // serialises), and who reads through a lent pointer reads other bytes (contract of `DiskFile`).
        unsafe {
            let to = self.block().as_mut_ptr().add(offset as usize);
            std::ptr::copy_nonoverlapping(data.as_ptr(), to, data.len());
        }
    }

    /// Zeroes `[from, to)`.
    pub(super) fn fill_zeros(&self, from: u64, to: u64) {
        let to = to.min(self.used.load(Ordering::Relaxed));
        if from >= to {
            return;
        }
        self.check(from, (to - from) as usize);
        // SAFETY: as in `write`.
        unsafe { std::ptr::write_bytes(self.block().as_mut_ptr().add(from as usize), 0, (to - from) as usize) };
    }

    /// Lends the first `len` bytes. Calls to this, to `write` and to `fill_zeros` are serialised by the caller.
    pub(super) fn look<R>(&self, len: u64, look: impl FnOnce(&[u8]) -> R) -> R {
        self.check(0, len as usize);
        // SAFETY: the range is inside the block (checked above), which is readable and initialised (zeros) and lives as
        // long as `self`. Nobody writes to it meanwhile: the caller serialises.
        look(unsafe { std::slice::from_raw_parts(self.pointer(), len as usize) })
    }

    /// Copies from `offset` into `buf`.
    pub(super) fn read(&self, buf: &mut [u8], offset: u64) {
        self.check(offset, buf.len());
        // SAFETY: the range is inside the block (checked above), which is readable and initialised
        // (zeros) and lives as long as `self`; `buf` is somebody else's memory.
        unsafe {
            let from = self.pointer().add(offset as usize);
            std::ptr::copy_nonoverlapping(from, buf.as_mut_ptr(), buf.len());
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let used = self.used.load(Ordering::Relaxed);
        if used > KEEP_BYTES {
            return;
        }
        self.fill_zeros(0, used);
        let Some(block) = self.block.take() else { return };
        // At the end of a thread the list may be gone; then the block just goes too.
        let _ = CLEAN.try_with(|clean| {
            if let Ok(mut clean) = clean.try_borrow_mut() {
                if clean.len() < KEEP_BLOCKS {
                    clean.push(block);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_used_again_reads_as_zeros() {
        for round in 0..3u8 {
            let memory = Memory::zeroed(8192);
            let mut bytes = [1; 8192];
            memory.read(&mut bytes, 0);
            assert!(bytes.iter().all(|&b| b == 0), "round {round}");
            memory.write(&[round + 1; 100], 8092);
        }
    }

    #[test]
    #[should_panic(expected = "in a simulated file")]
    fn a_write_beyond_the_block_is_refused() {
        Memory::zeroed(4096).write(&[1, 2], 4095);
    }
}
