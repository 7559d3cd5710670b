//! Snapshots that are alive: since when, and how those that live too long are ended.
//!
//! ```text
//!   no limit   Snapshot --> state            what it reads is its own until it is dropped
//!
//!   a limit    Snapshot --> lent: state      a read that copies holds the state while it runs
//!                       \-> kept: state      set by the first read that lends documents out
//!
//!   too old    lent is taken away: no read begins any more. Reads in progress hold the state by its counter;
//!              what was lent out lies in `kept`, which stays until the snapshot is dropped.
//! ```
//!
//! So nothing is taken from under a reader, and a snapshot that only copied pins nothing from the moment it is
//! ended and its last read is over. Each snapshot is in a list, with the time at which it was taken: `stats` tells
//! of the oldest.

use super::state::State;
use super::Engine;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::meter;
use crate::sync::{Arc, Mutex, Ordering};
use std::ops::Deref;
use std::sync::OnceLock;
use std::time::Duration;

/// Lists, so that threads that take snapshots do not wait for each other.
const LISTS: usize = 16;

/// How a snapshot holds its state. Clones are the same hold.
#[derive(Clone)]
pub enum Hold {
    /// As long as it likes.
    Free(Arc<State>),
    /// Until it is ended.
    Limited(Arc<Limited>),
}

/// The state of a snapshot that may be ended.
pub struct Limited {
    lent: Mutex<Option<Arc<State>>>,
    kept: OnceLock<Arc<State>>,
    limit_ms: u64,
}

/// A state for the time of one read.
pub enum Lent<'a> {
    /// Of a hold without a limit.
    Free(&'a State),
    /// Of one with a limit.
    Limited(Arc<State>),
}

impl Deref for Lent<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        match self {
            Lent::Free(state) => state,
            Lent::Limited(state) => state,
        }
    }
}

impl Hold {
    /// The state for a read that copies what it finds.
    #[inline]
    pub fn lend(&self) -> Result<Lent<'_>> {
        match self {
            Hold::Free(state) => Ok(Lent::Free(state)),
            Hold::Limited(limited) => limited.lend().map(Lent::Limited),
        }
    }

    /// The state for a read that lends out what it finds: from now on this hold keeps it until it is dropped.
    #[inline]
    pub fn borrow(&self) -> Result<&State> {
        match self {
            Hold::Free(state) => Ok(state),
            Hold::Limited(limited) => limited.borrow(),
        }
    }
}

impl Limited {
    /// The state for one read. Error: `SnapshotTooOld`.
    pub fn lend(&self) -> Result<Arc<State>> {
        self.lent.lock().clone().ok_or_else(|| self.too_old())
    }

    #[cold]
    fn borrow(&self) -> Result<&State> {
        let state = self.lend()?;
        Ok(self.kept.get_or_init(|| state))
    }

    fn too_old(&self) -> Error {
        Error::SnapshotTooOld { limit_ms: self.limit_ms }
    }

    /// Refuses reads from now on; gives what is then not held here any more.
    fn end(&self) -> Option<Arc<State>> {
        self.lent.lock().take()
    }

    /// True when it holds nothing any more.
    fn is_empty(&self) -> bool {
        self.lent.lock().is_none() && self.kept.get().is_none()
    }
}

/// A snapshot in the list.
struct Entry {
    /// When it was taken, by the engine's clock.
    taken: Duration,
    commit: u64,
    limited: Option<Arc<Limited>>,
}

/// Its place, for taking it out again.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    list: usize,
    at: usize,
}

#[derive(Default)]
struct List {
    entries: Vec<Option<Entry>>,
    empty: Vec<usize>,
}

/// The snapshots of one database.
pub struct Snapshots {
    lists: [Mutex<List>; LISTS],
}

/// The snapshots that are alive, in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Alive {
    /// How many.
    pub count: u64,
    /// When the oldest of those that hold a state was taken, and its commit.
    pub oldest: Option<(Duration, u64)>,
}

impl Snapshots {
    /// None yet.
    pub fn new() -> Snapshots {
        Snapshots { lists: std::array::from_fn(|_| Mutex::default()) }
    }

    fn add(&self, entry: Entry) -> Place {
        let list = meter::own_line() % LISTS;
        let mut entries = self.lists[list].lock();
        let at = match entries.empty.pop() {
            Some(at) => {
                entries.entries[at] = Some(entry);
                at
            }
            None => {
                entries.entries.push(Some(entry));
                entries.entries.len() - 1
            }
        };
        Place { list, at }
    }

    /// A snapshot is gone.
    pub fn remove(&self, place: Place) {
        let mut list = self.lists[place.list].lock();
        // Bound, so that what it holds is dropped after the lock.
        let entry = list.entries[place.at].take();
        list.empty.push(place.at);
        drop(list);
        drop(entry);
    }

    /// Figures; looks at each.
    pub fn alive(&self) -> Alive {
        let mut alive = Alive::default();
        for list in &self.lists {
            for entry in list.lock().entries.iter().flatten() {
                alive.count += 1;
                let older = alive.oldest.is_none_or(|(taken, _)| entry.taken < taken);
                if older && entry.limited.as_ref().is_none_or(|limited| !limited.is_empty()) {
                    alive.oldest = Some((entry.taken, entry.commit));
                }
            }
        }
        alive
    }

    /// Ends those taken at `until` or before; gives when each was taken, and its commit.
    fn end(&self, until: Duration) -> Vec<(Duration, u64)> {
        let mut ended = Vec::new();
        for list in &self.lists {
            for entry in list.lock().entries.iter().flatten().filter(|entry| entry.taken <= until) {
                if entry.limited.as_ref().and_then(|limited| limited.end()).is_some() {
                    ended.push((entry.taken, entry.commit));
                }
            }
        }
        ended
    }
}

impl Engine {
    /// Takes a snapshot: its hold, its commit, and its place in the list, from which the caller takes it with
    /// [`Snapshots::remove`].
    pub fn take_snapshot(&self) -> (Hold, u64, Place) {
        let (state, commit) = self.published.snapshot();
        let (hold, limited) = match self.config.snapshot_max_age {
            None => (Hold::Free(state), None),
            Some(limit) => {
                let (lent, limit_ms) = (Mutex::new(Some(state)), limit.as_millis() as u64);
                let limited = Arc::new(Limited { lent, kept: OnceLock::new(), limit_ms });
                (Hold::Limited(limited.clone()), Some(limited))
            }
        };
        let place = self.snapshots.add(Entry { taken: self.env.monotonic(), commit, limited });
        (hold, commit, place)
    }

    /// Ends the snapshots that are older than the limit, if there is one, and gives back what nobody reads any
    /// more. Called by the background threads.
    pub(super) fn end_old_snapshots(&self) {
        let Some(limit) = self.config.snapshot_max_age else { return };
        let now = self.env.monotonic();
        let ended = now.checked_sub(limit).map_or_else(Vec::new, |until| self.snapshots.end(until));
        if ended.is_empty() {
            return;
        }
        self.counters.snapshots_ended.fetch_add(ended.len() as u64, Ordering::Relaxed);
        self.let_go_of_snapshots();
        for (taken, commit) in ended {
            let age_ms = now.saturating_sub(taken).as_millis() as u64;
            self.event(Event::SnapshotEnded { commit, age_ms });
        }
    }

    /// Gives back what only snapshots reached that are gone by now, without waiting for the next checkpoint. One
    /// in the making does it at its end.
    pub(super) fn let_go_of_snapshots(&self) {
        let kept = self.published.kept();
        if kept == 1 {
            return;
        }
        self.published.let_go();
        if self.published.kept() < kept {
            if let Some(_work) = self.work.try_lock() {
                self.let_go();
            }
        }
    }
}
