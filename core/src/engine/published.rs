//! The published state and its readers.
//!
//! ```text
//!   current ----> State n          a reader announces the state it uses in a slot,
//!                                  looks again whether it is still current, and goes on:
//!   slots  [ n ][ - ][ n-1 ] ...   no shared counter, no lock
//!
//!   states [ n-2 ][ n-1 ][ n ]     kept in order; the oldest is let go when no slot names it
//!                                  and no snapshot holds it
//! ```
//!
//! This is the hazard-pointer protocol (Michael, 2004) with the state as the only protected object:
//! everything a reader may touch hangs from it. What was reachable from an older state (heap buffers,
//! pages, deltas) is given back only when that state and all before it are gone.
//!
//! **Turns** tell readers of before a moment from those of after it, without a new state: the lowest bit of `current`
//! changes, and a slot that still has the other bit is of before. Who gives memory back under readers' feet
//! (`file/cache.rs`) waits for a turn; all others look past the bit.
//!
//! **One struct, one interval** (Invariant 1): a reader loads the state, then the commit number, then looks
//! whether the state is still current, and starts again if it is not; so a commit number is never read
//! with another state's roots.

use crate::file::cache::Readers;
use crate::sync::{fence, Arc, AtomicPtr, AtomicU64, AtomicUsize, Mutex, Ordering};
use std::collections::VecDeque;
use std::ops::Deref;

/// Few where every interleaving counts: readers are to meet in them.
const SLOTS: usize = if cfg!(any(loom, shuttle)) { 2 } else { 128 };

/// What can be published: it has a number of its own, one more for each.
pub trait Numbered {
    /// The number.
    fn number(&self) -> u64;
}

/// A slot on a cache line of its own, so that readers do not disturb each other.
#[repr(align(128))]
struct Slot<T>(AtomicPtr<T>);

/// The current state, the states before it that are still in use, and the published commit number.
pub struct Published<T> {
    /// The current state, and the turn in the lowest bit.
    current: AtomicPtr<T>,
    /// Pins without a slot, of each turn.
    counted: [AtomicUsize; 2],
    commit: AtomicU64,
    /// Where commits wait for the disk: the last one applied, the last one durable.
    applied: AtomicU64,
    durable: AtomicU64,
    slots: Box<[Slot<T>]>,
    states: Mutex<VecDeque<Arc<T>>>,
}

impl<T> std::fmt::Debug for Published<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Published").field("commit", &self.commit).finish_non_exhaustive()
    }
}

#[cfg(not(any(loom, shuttle)))]
fn own_slot() -> usize {
    use std::cell::Cell;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    // During thread exit the cell may be gone: any slot does.
    OWN.try_with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS);
        }
        own.get()
    })
    .unwrap_or(0)
}

#[cfg(any(loom, shuttle))]
fn own_slot() -> usize {
    0
}

/// The pointer without the turn.
#[inline(always)]
fn plain<T>(tagged: *mut T) -> *mut T {
    tagged.map_addr(|address| address & !1)
}

/// The turn of a pointer, 0 or 1.
fn turn_of<T>(tagged: *mut T) -> usize {
    tagged.addr() & 1
}

impl<T: Numbered> Published<T> {
    /// Publishes the first state, at commit number `commit`.
    pub fn new(first: Arc<T>, commit: u64) -> Published<T> {
        const { assert!(std::mem::align_of::<T>() > 1, "the lowest bit is the turn") }
        Published {
            counted: [AtomicUsize::new(0), AtomicUsize::new(0)],
            current: AtomicPtr::new(Arc::as_ptr(&first).cast_mut()),
            commit: AtomicU64::new(commit),
            applied: AtomicU64::new(commit),
            durable: AtomicU64::new(commit),
            slots: (0..SLOTS).map(|_| Slot(AtomicPtr::new(std::ptr::null_mut()))).collect(),
            states: Mutex::new(VecDeque::from([first])),
        }
    }

    /// The published commit number: every commit up to it is visible.
    pub fn commit(&self) -> u64 {
        self.commit.load(Ordering::Acquire)
    }

    /// Makes the commits up to `commit` visible. Never goes back.
    pub fn publish_commit(&self, commit: u64) {
        self.commit.fetch_max(commit, Ordering::Release);
    }

    /// Every commit up to `commit` is wholly in the delta. It becomes visible once it is durable, too.
    pub fn set_applied(&self, commit: u64) {
        self.applied.fetch_max(commit, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.publish_commit(commit.min(self.durable.load(Ordering::SeqCst)));
    }

    /// Every commit up to `commit` is on the disk. It becomes visible once it is applied, too: a frame is
    /// in the log, and may be synced by others, before its changes are all in the delta.
    pub fn set_durable(&self, commit: u64) {
        self.durable.fetch_max(commit, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.publish_commit(commit.min(self.applied.load(Ordering::SeqCst)));
    }

    /// Publishes a new state. Only one thread at a time (under the writer lock).
    pub fn publish(&self, state: Arc<T>) {
        let mut states = self.states.lock();
        debug_assert!(states.back().is_none_or(|last| last.number() < state.number()));
        let raw = Arc::as_ptr(&state).cast_mut();
        states.push_back(state);
        let turn = turn_of(self.current.load(Ordering::Relaxed));
        self.current.store(raw.map_addr(|address| address | turn), Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// The state and the commit number to read at; both hold until the pin is dropped.
    #[inline]
    pub fn pin(&self) -> Pin<'_, T> {
        let mut state = self.current.load(Ordering::Acquire);
        let own = own_slot();
        let slot = (0..SLOTS).map(|i| &self.slots[(own + i) % SLOTS].0).find(|slot| {
            slot.load(Ordering::Relaxed).is_null()
                && slot.compare_exchange(std::ptr::null_mut(), state, Ordering::SeqCst, Ordering::Relaxed).is_ok()
        });
        let Some(slot) = slot else { return self.pin_counted() };
        loop {
            // The announcement must be seen before `current` is looked at again: `let_go` looks at
            // `current`'s successors only after its own fence.
            fence(Ordering::SeqCst);
            let now = self.current.load(Ordering::Acquire);
            if now != state {
                state = now;
                slot.store(state, Ordering::SeqCst);
                continue;
            }
            // Invariant 1: the number belongs to this state only if it is current before and after.
            let commit = self.commit.load(Ordering::Acquire);
            if self.current.load(Ordering::Acquire) == state {
                return Pin { state: plain(state), commit, hold: Hold::Slot(slot) };
            }
        }
    }

    /// All slots are taken: hold the state by its counter.
    #[cold]
    fn pin_counted(&self) -> Pin<'_, T> {
        let states = self.states.lock();
        // States and turns change only under this lock, so the commit number belongs to the last one.
        let Some(state) = states.back().cloned() else { unreachable!("the current state is always in the list") };
        let counter = &self.counted[turn_of(self.current.load(Ordering::Relaxed))];
        counter.fetch_add(1, Ordering::SeqCst);
        let commit = self.commit.load(Ordering::Acquire);
        Pin { state: Arc::as_ptr(&state).cast_mut(), commit, hold: Hold::Counted(state, counter) }
    }

    /// A state and commit number held by a counter, for as long as the caller likes.
    pub fn snapshot(&self) -> (Arc<T>, u64) {
        let pin = self.pin();
        if let Hold::Counted(state, _) = &pin.hold {
            return (state.clone(), pin.commit);
        }
        // SAFETY: the pointer came from `Arc::as_ptr` of an `Arc` that `states` holds, and the pin
        // keeps it there while the counter is raised.
        let state = unsafe {
            Arc::increment_strong_count(pin.state.cast_const());
            Arc::from_raw(pin.state.cast_const())
        };
        (state, pin.commit)
    }

    /// Lets go of the states that nobody uses, oldest first, and returns the number of the oldest one
    /// still in use (or current): what only earlier states reached can be given back (Invariant 4).
    pub fn let_go(&self) -> u64 {
        let mut states = self.states.lock();
        fence(Ordering::SeqCst);
        while states.len() > 1 {
            let Some(oldest) = states.front() else { break };
            let raw = Arc::as_ptr(oldest).cast_mut();
            // The slots first, then the counter: a reader that turns its slot into a counted hold
            // raises the counter before it empties the slot.
            let announced = self.slots.iter().any(|slot| plain(slot.0.load(Ordering::SeqCst)) == raw);
            if announced || Arc::strong_count(oldest) > 1 {
                break;
            }
            states.pop_front();
        }
        states.front().map_or(0, |oldest| oldest.number())
    }

    /// From here on those who pin are told from those who did before.
    pub fn turn(&self) {
        let _states = self.states.lock();
        let current = self.current.load(Ordering::Relaxed);
        self.current.store(current.map_addr(|address| address ^ 1), Ordering::SeqCst);
        // What was done before the turn is seen by all who pin after it: they come after this fence, or are met
        // in their slot with the turn before.
        fence(Ordering::SeqCst);
    }

    /// True when nobody is left who pinned before the last turn.
    pub fn have_turned(&self) -> bool {
        fence(Ordering::SeqCst);
        let before = turn_of(self.current.load(Ordering::Relaxed)) ^ 1;
        let is_before = |slot: &Slot<T>| {
            let state = slot.0.load(Ordering::SeqCst);
            !state.is_null() && turn_of(state) == before
        };
        self.counted[before].load(Ordering::SeqCst) == 0 && !self.slots.iter().any(is_before)
    }

    /// Notes which slots and counters were seen empty since `gone` was new; true once each of them was: whoever had
    /// pinned before that is gone. The caller has made sure that those who pin later do nothing.
    pub fn note_gone(&self, gone: &mut Vec<bool>) -> bool {
        gone.resize(self.slots.len() + self.counted.len(), false);
        fence(Ordering::SeqCst);
        let empty = self.slots.iter().map(|slot| slot.0.load(Ordering::SeqCst).is_null());
        let none = self.counted.iter().map(|counter| counter.load(Ordering::SeqCst) == 0);
        for (gone, now) in gone.iter_mut().zip(empty.chain(none)) {
            *gone |= now;
        }
        gone.iter().all(|gone| *gone)
    }

    /// Number of states kept, the current one included.
    pub fn kept(&self) -> usize {
        self.states.lock().len()
    }

    /// The states kept before the current one.
    pub fn older(&self) -> Vec<Arc<T>> {
        let states = self.states.lock();
        states.iter().take(states.len() - 1).cloned().collect()
    }

    /// The oldest state kept.
    pub fn oldest(&self) -> Option<Arc<T>> {
        self.states.lock().front().cloned()
    }
}

impl<T: Numbered + Send + Sync + 'static> Readers for Published<T> {
    fn turn(&self) {
        self.turn();
    }

    fn have_turned(&self) -> bool {
        self.have_turned()
    }
}

enum Hold<'a, T> {
    Slot(&'a AtomicPtr<T>),
    Counted(Arc<T>, &'a AtomicUsize),
}

/// A state held for reading, and the commit number to read at.
pub struct Pin<'a, T> {
    state: *mut T,
    commit: u64,
    hold: Hold<'a, T>,
}

impl<T> Pin<'_, T> {
    /// The commit number to read at.
    pub fn commit(&self) -> u64 {
        self.commit
    }
}

impl<T> Deref for Pin<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the slot (or the counter) has held the state since before `pin` saw it current, so
        // `let_go` does not drop it while this pin lives; states are never written to.
        unsafe { &*self.state }
    }
}

impl<T> Drop for Pin<'_, T> {
    fn drop(&mut self) {
        match &self.hold {
            Hold::Slot(slot) => slot.store(std::ptr::null_mut(), Ordering::Release),
            Hold::Counted(_, counter) => {
                counter.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
