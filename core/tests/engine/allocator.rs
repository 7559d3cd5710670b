//! An allocator that counts, so that a test can say how much a thread took.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, which counts what each thread holds, so that a test can bound it.
pub struct Counting;

/// Begins to watch this thread; the result is to be given to [`peak_since`].
pub fn watch() -> isize {
    let held = HELD.get();
    PEAK.set(held);
    held
}

/// The most bytes that this thread held at once since [`watch`], beyond what it held then.
pub fn peak_since(held: isize) -> usize {
    (PEAK.get() - held).max(0) as usize
}

fn count(bytes: isize) {
    // A thread that is ending may have lost its counters; nobody asks for them any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: all calls go to the system's allocator as they come; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new: usize) -> *mut u8 {
        count(new as isize - layout.size() as isize);
        // SAFETY: the caller's promise, handed on.
        unsafe { System.realloc(ptr, layout, new) }
    }
}
