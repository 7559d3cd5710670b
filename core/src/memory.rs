//! Memory for what is not in the file yet: taken in large pieces, used again.
//!
//! ```text
//!   unit (4 .. 64 KiB)      +--------+--------+--------+- - -+      slab: 2 MiB of units of one size,
//!                           | unit 0 | unit 1 | unit 2 |     |      on one huge page
//!                           +--------+--------+--------+- - -+
//!   array (from 1 MiB on)   +--------------------------------+      a region of its own,
//!                           |                                |      on huge pages
//!                           +--------------------------------+
//!   everything else, and the first units of a small database: the ordinary heap
//! ```
//!
//! Why: a fresh page of 4 KiB costs a page fault of 1.5 µs, which was a third of the time of a commit; on huge
//! pages the same memory costs a quarter, and memory that was used before costs nothing. What comes back waits
//! here for the next checkpoint's worth of writes, up to a limit; an idle database gives it all back to the
//! system ([`Pool::trim`]). As long as it grows, the next slabs, and arrays that are expected, are made, and
//! touched, by a background thread ([`Pool::prepare_slabs`], [`Pool::prepare_arrays`]).

use crate::sync::{AtomicUsize, Mutex, Ordering};
use std::alloc::Layout;
use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::Arc;

/// Alignment of all memory given out.
pub const ALIGN_BYTES: usize = 64;

const SLAB_BYTES: usize = 2 << 20;
/// Smallest and largest unit that slabs are cut into.
const UNIT_BYTES: std::ops::RangeInclusive<usize> = 4 << 10..=64 << 10;
const UNIT_SIZES: usize = 5;
/// Arrays from this size on have a region of their own.
const ARRAY_BYTES: usize = 1 << 20;
/// Slabs are made ahead when fewer than this many are left of a size, and then so many more.
const SLABS_AHEAD: usize = 3;
/// A pool with a lower limit makes none ahead.
const LEAST_TO_PREPARE: usize = 64 << 20;
/// Units of this many bytes in all come from the heap before the first slab is made.
const HEAP_UNITS_BYTES: usize = 1 << 20;

/// Memory of one database that is used again and again. Clones are the same pool.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    /// The size of unit of which there are few left; 0 for none.
    few: AtomicUsize,
    /// Sizes of arrays that will be taken soon; 0 for none.
    expected: [AtomicUsize; 2],
    /// Bytes kept for later use, at most.
    limit: usize,
}

#[derive(Debug, Default)]
struct Inner {
    slabs: HashMap<usize, Slab>,
    free_units: [Vec<Piece>; UNIT_SIZES],
    free_arrays: Vec<FreeArray>,
    /// Bytes of slabs and arrays that nobody uses.
    idle_bytes: usize,
    heap_units_bytes: usize,
    /// Something was taken or given back since the last call of `trim`.
    is_active: bool,
}

/// A piece of a slab.
#[derive(Debug, Clone, Copy)]
struct Piece(NonNull<u8>);

// SAFETY: a piece is memory that nobody refers to; whoever takes it owns it.
unsafe impl Send for Piece {}

#[derive(Debug)]
struct Slab {
    _region: Region,
    /// Units in use.
    used: usize,
}

/// A mapping without a file, aligned to the size of a huge page.
#[derive(Debug)]
struct Region {
    _map: memmap2::MmapMut,
    first: Piece,
    bytes: usize,
}

impl Region {
    /// Zeroed memory; `None` if the system has none.
    fn new(bytes: usize) -> Option<Region> {
        let mut map = memmap2::MmapOptions::new().len(bytes + SLAB_BYTES).map_anon().ok()?;
        let offset = map.as_ptr().align_offset(SLAB_BYTES);
        #[cfg(target_os = "linux")]
        {
            // A hint: without huge pages it is only slower.
            let _ = map.advise_range(memmap2::Advice::HugePage, offset, bytes);
        }
        // SAFETY: the mapping is longer than `offset` by `bytes` at least.
        let first = Piece(NonNull::new(unsafe { map.as_mut_ptr().add(offset) })?);
        Some(Region { _map: map, first, bytes })
    }

    /// Has the system find the memory now.
    fn touch(&self) {
        for at in (0..self.bytes).step_by(4 << 10) {
            // SAFETY: inside the region, which nobody else knows yet.
            unsafe { self.first.0.add(at).write_volatile(0) }
        }
    }
}

#[derive(Debug)]
struct FreeArray {
    region: Region,
    zero: bool,
}

/// Where memory goes when it is dropped.
#[derive(Debug)]
enum Home {
    Heap,
    Slab,
    Array(Region),
}

/// Memory of one owner, aligned to [`ALIGN_BYTES`]; it goes back to its pool when dropped. Every byte is
/// initialised: zero, or what was there before.
#[derive(Debug)]
pub struct Memory {
    ptr: NonNull<u8>,
    bytes: usize,
    home: Home,
    pool: Pool,
}

// SAFETY: the memory is owned by this value; who shares it among threads has to say why that is right.
unsafe impl Send for Memory {}
// SAFETY: as above: a shared reference gives nothing but a pointer.
unsafe impl Sync for Memory {}

impl Memory {
    /// Its first byte.
    pub fn ptr(&self) -> *mut u8 {
        self.ptr.as_ptr()
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.bytes
    }
}

fn size_class(bytes: usize) -> Option<usize> {
    let fits = UNIT_BYTES.contains(&bytes) && bytes.is_power_of_two();
    fits.then(|| (bytes / UNIT_BYTES.start()).trailing_zeros() as usize)
}

impl Pool {
    /// A pool that keeps at most `limit` bytes for later use.
    pub fn new(limit: usize) -> Pool {
        Pool(Arc::new(Shared {
            inner: Mutex::new(Inner::default()),
            few: AtomicUsize::new(0),
            expected: [AtomicUsize::new(0), AtomicUsize::new(0)],
            limit,
        }))
    }

    /// Memory that holds anything.
    pub fn take(&self, bytes: usize) -> Memory {
        self.allocate(bytes).0
    }

    /// Memory that is all zero.
    pub fn take_zeroed(&self, bytes: usize) -> Memory {
        let (memory, zero) = self.allocate(bytes);
        if !zero {
            // SAFETY: `memory` owns so many bytes.
            unsafe { memory.ptr().write_bytes(0, memory.len()) }
        }
        memory
    }

    /// The memory, and whether it is known to be zero.
    fn allocate(&self, bytes: usize) -> (Memory, bool) {
        let unit = size_class(bytes);
        // Miri and the model checker look at each piece of memory alone.
        if cfg!(miri) || cfg!(loom) || (unit.is_none() && bytes < ARRAY_BYTES) {
            return (self.of_heap(bytes), true);
        }
        let mut inner = self.0.inner.lock();
        inner.is_active = true;
        let found = match unit {
            Some(class) => {
                let found = inner.take_unit(class, bytes);
                let left = inner.free_units[class].len();
                if found.is_some() && left < SLABS_AHEAD * (SLAB_BYTES / bytes) && self.0.limit >= LEAST_TO_PREPARE {
                    self.0.few.store(bytes, Ordering::Relaxed);
                }
                found
            }
            None => inner.take_array(bytes),
        };
        drop(inner);
        let Some((ptr, home, zero)) = found else {
            return (self.of_heap(bytes), true);
        };
        (Memory { ptr: ptr.0, bytes, home, pool: self.clone() }, zero)
    }

    fn of_heap(&self, bytes: usize) -> Memory {
        let layout = layout_of(bytes);
        // SAFETY: the layout's size is not zero.
        let ptr = unsafe { std::alloc::alloc_zeroed(layout) };
        let Some(ptr) = NonNull::new(ptr) else { std::alloc::handle_alloc_error(layout) };
        Memory { ptr, bytes, home: Home::Heap, pool: self.clone() }
    }

    /// Says that `bytes` of zeroed memory will be taken soon. A word too many is only memory that waits.
    pub fn expect(&self, bytes: usize) {
        if bytes >= ARRAY_BYTES && self.0.limit >= LEAST_TO_PREPARE && !cfg!(miri) && !cfg!(loom) {
            let is_noted =
                |place: &AtomicUsize| place.compare_exchange(0, bytes, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            // With both places taken, who takes the array makes it.
            let _ = self.0.expected.iter().any(is_noted);
        }
    }

    /// True when it is time for [`Pool::prepare_slabs`] or [`Pool::prepare_arrays`].
    #[inline]
    pub fn needs_prepare(&self) -> bool {
        let is_set = |place: &AtomicUsize| place.load(Ordering::Relaxed) != 0;
        is_set(&self.0.few) || self.0.expected.iter().any(is_set)
    }

    /// Makes the arrays that are expected, so that who takes one does not wait for the system to clear it. May take
    /// some time.
    pub fn prepare_arrays(&self) {
        for place in &self.0.expected {
            self.prepare_array(place.swap(0, Ordering::Relaxed));
        }
    }

    fn prepare_array(&self, bytes: usize) {
        let is_needed = |inner: &Inner| {
            inner.idle_bytes + bytes <= self.0.limit && inner.free_arrays.iter().all(|free| free.region.bytes != bytes)
        };
        if bytes == 0 || !is_needed(&self.0.inner.lock()) {
            return;
        }
        let Some(region) = Region::new(bytes) else { return };
        region.touch();
        let mut inner = self.0.inner.lock();
        if !is_needed(&inner) {
            return;
        }
        inner.is_active = true;
        inner.idle_bytes += bytes;
        inner.free_arrays.push(FreeArray { region, zero: true });
    }

    /// Makes the next slabs, a few MiB, for the same reason.
    pub fn prepare_slabs(&self) {
        let bytes = self.0.few.swap(0, Ordering::Relaxed);
        let Some(class) = size_class(bytes) else { return };
        for _ in 0..SLABS_AHEAD {
            let Some(region) = Region::new(SLAB_BYTES) else { return };
            region.touch();
            self.0.inner.lock().add_slab(class, bytes, region);
        }
    }

    /// Gives back to the system what nobody uses, if nothing happened since the last call.
    pub fn trim(&self) {
        let mut inner = self.0.inner.lock();
        if std::mem::take(&mut inner.is_active) {
            return;
        }
        let Inner { slabs, free_units, free_arrays, idle_bytes, .. } = &mut *inner;
        slabs.retain(|_, slab| slab.used > 0);
        for free in free_units {
            free.retain(|piece| slabs.contains_key(&slab_of(*piece)));
        }
        free_arrays.clear();
        *idle_bytes = 0;
    }

    /// Bytes that wait for later use.
    pub fn idle_bytes(&self) -> usize {
        self.0.inner.lock().idle_bytes
    }
}

fn layout_of(bytes: usize) -> Layout {
    let layout = Layout::from_size_align(bytes.max(1), ALIGN_BYTES);
    layout.unwrap_or_else(|_| unreachable!("lengths are bounded far below isize::MAX"))
}

fn slab_of(piece: Piece) -> usize {
    piece.0.addr().get() & !(SLAB_BYTES - 1)
}

impl Inner {
    /// A unit of a slab, `None` where the heap has to serve.
    fn take_unit(&mut self, class: usize, bytes: usize) -> Option<(Piece, Home, bool)> {
        if self.free_units[class].is_empty() {
            if self.heap_units_bytes + bytes <= HEAP_UNITS_BYTES {
                self.heap_units_bytes += bytes;
                return None;
            }
            let region = Region::new(SLAB_BYTES)?;
            self.add_slab(class, bytes, region);
        }
        let piece = self.free_units[class].pop()?;
        let slab = self.slabs.get_mut(&slab_of(piece))?;
        if slab.used == 0 {
            self.idle_bytes -= SLAB_BYTES;
        }
        slab.used += 1;
        Some((piece, Home::Slab, false))
    }

    fn add_slab(&mut self, class: usize, bytes: usize, region: Region) {
        // Backwards, so that units are handed out in ascending order.
        for at in (0..SLAB_BYTES / bytes).rev() {
            // SAFETY: `at * bytes` lies inside the region.
            self.free_units[class].push(Piece(unsafe { region.first.0.add(at * bytes) }));
        }
        self.idle_bytes += SLAB_BYTES;
        self.slabs.insert(slab_of(region.first), Slab { _region: region, used: 0 });
    }

    fn take_array(&mut self, bytes: usize) -> Option<(Piece, Home, bool)> {
        let FreeArray { region, zero } = match self.free_arrays.iter().position(|free| free.region.bytes == bytes) {
            Some(at) => {
                self.idle_bytes -= bytes;
                self.free_arrays.swap_remove(at)
            }
            None => FreeArray { region: Region::new(bytes)?, zero: true },
        };
        Some((region.first, Home::Array(region), zero))
    }

    fn put_back(&mut self, ptr: NonNull<u8>, bytes: usize, home: Home, limit: usize) {
        self.is_active = true;
        if cfg!(debug_assertions) && !matches!(home, Home::Heap) {
            // Whoever still reads it shall notice.
            // SAFETY: so many bytes that their owner has given up.
            unsafe { ptr.write_bytes(0xdd, bytes) }
        }
        match home {
            Home::Heap => self.heap_units_bytes = self.heap_units_bytes.saturating_sub(bytes),
            Home::Array(region) => {
                if self.idle_bytes + bytes <= limit {
                    self.idle_bytes += bytes;
                    self.free_arrays.push(FreeArray { region, zero: false });
                }
            }
            Home::Slab => {
                let (piece, at) = (Piece(ptr), slab_of(Piece(ptr)));
                let (Some(class), Some(slab)) = (size_class(bytes), self.slabs.get_mut(&at)) else { return };
                slab.used -= 1;
                self.free_units[class].push(piece);
                if slab.used == 0 {
                    self.idle_bytes += SLAB_BYTES;
                    if self.idle_bytes > limit {
                        self.drop_slab(class, at);
                    }
                }
            }
        }
    }

    fn drop_slab(&mut self, class: usize, at: usize) {
        self.free_units[class].retain(|piece| slab_of(*piece) != at);
        self.slabs.remove(&at);
        self.idle_bytes -= SLAB_BYTES;
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let home = std::mem::replace(&mut self.home, Home::Heap);
        if matches!(home, Home::Heap) {
            // SAFETY: allocated by `of_heap` with this layout.
            unsafe { std::alloc::dealloc(self.ptr.as_ptr(), layout_of(self.bytes)) }
            if cfg!(miri) || cfg!(loom) || size_class(self.bytes).is_none() {
                return;
            }
        }
        let mut inner = self.pool.0.inner.lock();
        inner.put_back(self.ptr, self.bytes, home, self.pool.0.limit);
    }
}

/// Types of which every pattern of bytes is a value, and which need no drop.
///
/// # Safety
/// Every pattern of bytes must be a valid value.
pub unsafe trait Plain {
    /// The model checker's atomics are more than their bytes.
    #[cfg(loom)]
    fn empty() -> Self;
}

// SAFETY: an atomic number is its bytes.
unsafe impl Plain for crate::sync::AtomicU64 {
    #[cfg(loom)]
    fn empty() -> Self {
        crate::sync::AtomicU64::new(0)
    }
}

// SAFETY: as above.
unsafe impl Plain for crate::sync::AtomicU32 {
    #[cfg(loom)]
    fn empty() -> Self {
        crate::sync::AtomicU32::new(0)
    }
}

/// An array in pooled memory.
#[cfg(not(loom))]
#[derive(Debug)]
pub struct Array<T> {
    memory: Memory,
    len: usize,
    elements: std::marker::PhantomData<T>,
}

#[cfg(not(loom))]
impl<T: Plain> Array<T> {
    /// `len` elements that are zero.
    pub fn zeroed(pool: &Pool, len: usize) -> Array<T> {
        Array::over(pool.take_zeroed(len * std::mem::size_of::<T>()), len)
    }

    /// `len` elements that are anything.
    pub fn dirty(pool: &Pool, len: usize) -> Array<T> {
        Array::over(pool.take(len * std::mem::size_of::<T>()), len)
    }

    fn over(memory: Memory, len: usize) -> Array<T> {
        const { assert!(std::mem::align_of::<T>() <= ALIGN_BYTES && !std::mem::needs_drop::<T>()) };
        Array { memory, len, elements: std::marker::PhantomData }
    }
}

#[cfg(not(loom))]
impl<T: Plain> std::ops::Deref for Array<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: the memory has room for `len` elements, is aligned for them, initialised, and any bytes
        // are values of a `Plain` type.
        unsafe { std::slice::from_raw_parts(self.memory.ptr().cast(), self.len) }
    }
}

/// The model checker follows each element by itself.
#[cfg(loom)]
#[derive(Debug)]
pub struct Array<T>(Box<[T]>);

#[cfg(loom)]
impl<T: Plain> Array<T> {
    pub fn zeroed(_: &Pool, len: usize) -> Array<T> {
        Array((0..len).map(|_| T::empty()).collect())
    }

    pub fn dirty(pool: &Pool, len: usize) -> Array<T> {
        Array::zeroed(pool, len)
    }
}

#[cfg(loom)]
impl<T> std::ops::Deref for Array<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_and_is_used_again_and_zero_where_that_was_asked_for() {
        let pool = Pool::new(64 << 20);
        for bytes in [4 << 10, 64 << 10, 1 << 20, 3 << 20] {
            // More than the heap serves.
            let many: Vec<Memory> = (0..600).map(|_| pool.take(bytes)).take((40 << 20) / bytes).collect();
            let places: std::collections::HashSet<usize> = many.iter().map(|m| m.ptr().addr()).collect();
            assert_eq!(places.len(), many.len());
            for memory in &many {
                assert_eq!(memory.ptr().addr() % ALIGN_BYTES, 0);
                // SAFETY: so many bytes of memory that nobody else has.
                unsafe { memory.ptr().write_bytes(7, memory.len()) }
            }
            drop(many);
            assert!(pool.idle_bytes() > 0, "{bytes} bytes are kept");
            for _ in 0..3 {
                let again = Array::<crate::sync::AtomicU64>::zeroed(&pool, bytes / 8);
                assert!(again.iter().all(|word| word.load(std::sync::atomic::Ordering::Relaxed) == 0));
            }
        }
    }

    #[test]
    fn what_is_kept_stays_below_the_limit_and_goes_when_nothing_happens() {
        let pool = Pool::new(5 << 20);
        let many: Vec<Memory> = (0..1000).map(|i| pool.take(if i % 2 == 0 { 16 << 10 } else { 2 << 20 })).collect();
        drop(many);
        assert!((1 << 20..=5 << 20).contains(&pool.idle_bytes()), "{}", pool.idle_bytes());
        pool.trim();
        assert!(pool.idle_bytes() > 0, "it was just used");
        assert!(!pool.needs_prepare(), "so small a pool makes nothing ahead");
        pool.trim();
        assert_eq!(pool.idle_bytes(), 0);
        let again = pool.take(16 << 10);
        assert_eq!(again.len(), 16 << 10);
    }

    #[test]
    fn slabs_are_made_ahead_while_the_use_of_memory_grows() {
        let pool = Pool::new(LEAST_TO_PREPARE);
        let heap: Vec<Memory> = (0..HEAP_UNITS_BYTES / (16 << 10)).map(|_| pool.take(16 << 10)).collect();
        assert!(!pool.needs_prepare());
        let first = pool.take(16 << 10);
        assert!(pool.needs_prepare());
        pool.prepare_slabs();
        assert!(!pool.needs_prepare());
        assert_eq!(pool.idle_bytes(), SLABS_AHEAD * SLAB_BYTES);
        let many: Vec<Memory> = (0..2 * (SLAB_BYTES / (16 << 10))).map(|_| pool.take(16 << 10)).collect();
        assert!(pool.needs_prepare() && pool.idle_bytes() < SLABS_AHEAD * SLAB_BYTES);
        drop((heap, first, many));
    }

    #[test]
    fn an_array_that_is_expected_is_made_ahead_once() {
        let pool = Pool::new(LEAST_TO_PREPARE);
        pool.expect(ARRAY_BYTES - 1);
        assert!(!pool.needs_prepare(), "the heap serves that");
        for _ in 0..2 {
            pool.expect(8 << 20);
            assert!(pool.needs_prepare());
            pool.prepare_arrays();
            assert!(!pool.needs_prepare());
            assert_eq!(pool.idle_bytes(), 8 << 20);
        }
        // Two may be expected at once; a third is made by who takes it.
        [16 << 20, 8 << 20, 4 << 20].into_iter().for_each(|bytes| pool.expect(bytes));
        pool.prepare_arrays();
        assert_eq!(pool.idle_bytes(), 24 << 20);
        drop(pool.take_zeroed(4 << 20));
        pool.trim();
        pool.trim();
        pool.expect(8 << 20);
        pool.prepare_arrays();
        let taken = pool.take_zeroed(8 << 20);
        assert_eq!(pool.idle_bytes(), 0);
        // SAFETY: the memory's own bytes.
        assert!(unsafe { std::slice::from_raw_parts(taken.ptr(), taken.len()) }.iter().all(|byte| *byte == 0));
        pool.expect(LEAST_TO_PREPARE + 1);
        pool.prepare_arrays();
        assert_eq!(pool.idle_bytes(), 0, "more than may wait");
        let small = Pool::new(LEAST_TO_PREPARE - 1);
        small.expect(8 << 20);
        assert!(!small.needs_prepare());
    }
}
