//! The lock-free modules as they are shipped, under the model checker: every interleaving (up to a number
//! of preemptions) and every value that a load may see. `make test-loom` runs them.
//!
//! ```text
//!   one thread publishes, updates, frees       others read
//!                    \                         /
//!                     what a reader sees belongs to the commit number it reads at
//! ```

use super::delta::{Delta, NewVersion, Room};
use super::published::{Numbered, Published};
use crate::file::page::Address;
use crate::sync::model::model;
use crate::sync::{Arc, AtomicU64, Ordering};
use loom::cell::UnsafeCell;
use loom::thread;
use std::convert::Infallible;
use std::sync::atomic::AtomicBool;

// ---- published -------------------------------------------------------------------------------------

/// Where a state's life is written down, outside of its memory.
#[derive(Default)]
struct Life {
    /// Touched by readers and by `drop`, so that the checker sees whether they are ordered.
    touched: UnsafeCell<()>,
    over: AtomicBool,
}

impl Life {
    fn look(&self) {
        assert!(!self.over.load(Ordering::Relaxed), "a reader holds a state that was dropped");
        self.touched.with(|_| ());
    }
}

struct Mortal {
    number: u64,
    life: std::sync::Arc<Life>,
}

impl Numbered for Mortal {
    fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.life.touched.with_mut(|_| ());
        self.life.over.store(true, Ordering::Relaxed);
    }
}

/// Three states, and where they are. State n is right for the commits n - 1 and n.
struct World {
    published: Published<Mortal>,
    lives: Vec<(usize, u64, std::sync::Arc<Life>)>,
    /// What only states before this one reached was given back.
    let_go: std::sync::atomic::AtomicU64,
}

fn world() -> (std::sync::Arc<World>, Vec<Arc<Mortal>>) {
    let mut lives = Vec::new();
    let mut states: Vec<Arc<Mortal>> = Vec::new();
    for number in 1..=3 {
        let life = std::sync::Arc::new(Life::default());
        let state = Arc::new(Mortal { number, life: life.clone() });
        lives.push((Arc::as_ptr(&state).addr(), number, life));
        states.push(state);
    }
    let published = Published::new(states.remove(0), 0);
    (std::sync::Arc::new(World { published, lives, let_go: 1.into() }), states)
}

impl World {
    /// Checks a state that a reader holds, by its address alone: its memory may be gone.
    fn look(&self, state: *const Mortal, commit: u64) {
        let (_, number, life) = self.lives.iter().find(|(at, ..)| *at == state.addr()).expect("one of ours");
        life.look();
        let let_go = self.let_go.load(Ordering::Relaxed);
        assert!(let_go <= *number, "what state {number} reaches was given back while a reader holds it");
        assert!(commit == number - 1 || commit == *number, "commit {commit} was read with state {number}");
    }

    fn write(&self, states: Vec<Arc<Mortal>>) {
        for state in states {
            let commit = state.number - 1;
            // What a state is made of is written before it is published.
            state.life.touched.with_mut(|_| ());
            self.published.publish_commit(commit);
            self.published.publish(state);
            self.let_go.store(self.published.let_go(), Ordering::Relaxed);
        }
        self.published.publish_commit(3);
        self.let_go.store(self.published.let_go(), Ordering::Relaxed);
    }
}

#[test]
fn loom_a_pinned_state_lives_and_fits_its_commit_number() {
    model(3, || {
        let (world, states) = world();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let world = world.clone();
                thread::spawn(move || {
                    let pin = world.published.pin();
                    world.look(&raw const *pin, pin.commit());
                    thread::yield_now();
                    world.look(&raw const *pin, pin.commit());
                })
            })
            .collect();
        world.write(states);
        readers.into_iter().for_each(|reader| reader.join().expect("a reader"));
        assert_eq!(world.published.let_go(), 3);
        assert_eq!(world.published.kept(), 1);
    });
}

#[test]
fn loom_a_snapshot_outlives_its_pin() {
    model(3, || {
        let (world, states) = world();
        let reader = {
            let world = world.clone();
            thread::spawn(move || {
                let (state, commit) = world.published.snapshot();
                world.look(Arc::as_ptr(&state), commit);
                let again = world.published.pin();
                world.look(&raw const *again, again.commit());
                assert!(again.commit() >= commit, "commit numbers never go back");
                drop(again);
                thread::yield_now();
                world.look(Arc::as_ptr(&state), commit);
            })
        };
        world.write(states);
        reader.join().expect("a reader");
        assert_eq!(world.published.let_go(), 3);
    });
}

#[test]
fn loom_a_reader_without_a_slot_holds_its_state_all_the_same() {
    model(3, || {
        let (world, states) = world();
        let reader = {
            let world = world.clone();
            thread::spawn(move || {
                // There are two slots.
                let pins = [world.published.pin(), world.published.pin(), world.published.pin()];
                thread::yield_now();
                pins.iter().for_each(|pin| world.look(&raw const **pin, pin.commit()));
            })
        };
        world.write(states);
        reader.join().expect("a reader");
        assert_eq!(world.published.let_go(), 3);
    });
}

/// What the cache does with a unit: readers may look at its memory while its code is set, or while they hold on to
/// what they saw then. It goes after a turn.
#[test]
fn loom_what_is_taken_back_after_a_turn_has_no_reader_left() {
    model(3, || {
        let (world, _) = world();
        let unit = std::sync::Arc::new((AtomicU64::new(1), UnsafeCell::new(()), AtomicBool::new(false)));
        let readers: Vec<_> = [1, 2]
            .into_iter()
            .map(|pins| {
                let (world, unit) = (world.clone(), unit.clone());
                thread::spawn(move || {
                    for _ in 0..pins {
                        let pin = world.published.pin();
                        if unit.0.load(Ordering::Acquire) != 0 {
                            unit.1.with(|_| assert!(!unit.2.load(Ordering::Relaxed), "read after it was taken back"));
                        }
                        drop(pin);
                    }
                })
            })
            .collect();
        unit.0.store(0, Ordering::Release);
        world.published.turn();
        let mut taken = false;
        for _ in 0..2 {
            if !taken && world.published.have_turned() {
                unit.1.with_mut(|_| unit.2.store(true, Ordering::Relaxed));
                taken = true;
            }
        }
        readers.into_iter().for_each(|reader| reader.join().expect("a reader"));
        assert!(world.published.have_turned(), "all have gone");
    });
}

// ---- delta -----------------------------------------------------------------------------------------

const TREE: u32 = 7;

/// The commits of the model: what each makes of the ids 0..3, as (id, record), `None` for a delete.
/// The table grows at commit 3; id 0 had the slot BASE in the file.
const COMMITS: [&[(u64, Option<u64>)]; 4] =
    [&[(0, Some(1))], &[(0, Some(2))], &[(1, Some(1))], &[(0, None), (2, Some(1))]];
const BASE: Address = Address(0x9_0005);

fn address(id: u64, record: u64) -> Address {
    Address(0x10_0000 * (id + 1) | record)
}

fn hash(id: u64) -> u64 {
    id * 0x1_0000_0001
}

/// The newest version of an id at a commit: `None` if the delta has none.
fn expected(id: u64, at: u64) -> Option<Option<u64>> {
    let changes = COMMITS[..at as usize].iter().flat_map(|changes| changes.iter());
    changes.filter(|(changed, _)| *changed == id).map(|(_, record)| *record).last()
}

fn live(at: u64) -> u64 {
    (0..3).filter(|id| matches!(expected(*id, at), Some(Some(_)))).count() as u64
}

fn apply(delta: &Delta, commit: u64, newest: &mut [Option<(u32, Address)>; 3]) {
    let part = delta.part(TREE);
    for (id, record) in COMMITS[commit as usize - 1] {
        let previous = newest[*id as usize];
        match previous {
            Some((index, _)) => delta.kill(index, commit),
            None if *id == 0 => delta.mark(BASE, commit),
            None => {}
        }
        let at = record.map(|record| address(*id, record));
        let address = at.or(previous.map(|(_, address)| address)).expect("only what is there is deleted");
        let base = (*id == 0 && previous.is_none()).then_some(BASE);
        let (hash, tombstone, previous) = (hash(*id), record.is_none(), previous.map(|(index, _)| index));
        let index = delta.insert(&part, NewVersion { tree: TREE, hash, commit, address, tombstone, previous, base });
        newest[*id as usize] = Some((index, address));
    }
    delta.set_count(&part, commit, live(commit));
}

/// Everything that a reader at commit `at` may ask must be exactly the state of that commit.
fn check_delta(delta: &Delta, at: u64) {
    for id in 0..3 {
        let is_id = |found: Address| Ok::<_, Infallible>(found.0 >> 20 == id + 1);
        let Ok(found) = delta.find(TREE, hash(id), at, is_id);
        let found = found.map(|version| (!version.tombstone).then_some(version.address));
        let expected = expected(id, at).map(|record| record.map(|record| address(id, record)));
        assert_eq!(found, expected, "id {id} at commit {at}");
        assert!(expected.is_none() || delta.may_hold(TREE, hash(id)), "the filter hides id {id} at commit {at}");
    }
}

fn check_scan(delta: &Delta, at: u64) {
    assert_eq!(delta.count_at(TREE, at), (at > 0).then(|| live(at)), "the count at commit {at}");
    assert_eq!(delta.is_marked(BASE, at), at >= 1, "the mark at commit {at}");
    assert!(at == 0 || delta.may_mark_block(BASE));
    let mut scanned = Vec::new();
    let mut next = delta.tree(TREE).and_then(|part| delta.first(&part));
    while let Some(index) = next {
        let item = delta.item(index);
        scanned.extend(item.address.filter(|_| item.birth <= at && at < item.death));
        next = delta.next(index);
    }
    scanned.sort_unstable();
    let records = (0..3).filter_map(|id| expected(id, at).flatten().map(|record| address(id, record)));
    assert_eq!(scanned, records.collect::<Vec<_>>(), "a scan at commit {at}");
}

fn delta_model(commits: u64, check: fn(&Delta, u64)) {
    model(2, move || {
        let shared =
            std::sync::Arc::new((Delta::new(&crate::memory::Pool::new(0), 0, Room::default()), AtomicU64::new(0)));
        let reader = {
            let shared = shared.clone();
            thread::spawn(move || {
                let at = shared.1.load(Ordering::Acquire);
                check(&shared.0, at);
            })
        };
        let mut newest = [None; 3];
        for commit in 1..=commits {
            apply(&shared.0, commit, &mut newest);
            shared.1.store(commit, Ordering::Release);
        }
        reader.join().expect("a reader");
        (0..=commits).for_each(|at| check(&shared.0, at));
    });
}

#[test]
fn loom_a_lookup_finds_exactly_the_version_of_its_commit() {
    delta_model(4, check_delta);
}

#[test]
fn loom_a_scan_counts_and_sees_exactly_the_documents_of_its_commit() {
    delta_model(4, check_scan);
}

// ---- both ------------------------------------------------------------------------------------------

struct WithDelta(Delta);

impl Numbered for WithDelta {
    fn number(&self) -> u64 {
        1
    }
}

#[test]
fn loom_a_reader_that_sees_a_commit_finds_what_it_wrote() {
    model(3, || {
        let state = Arc::new(WithDelta(Delta::new(&crate::memory::Pool::new(0), 0, Room::default())));
        let published = std::sync::Arc::new(Published::new(state.clone(), 0));
        let reader = {
            let published = published.clone();
            thread::spawn(move || {
                let pin = published.pin();
                check_delta(&pin.0, pin.commit());
            })
        };
        let mut newest = [None; 3];
        for commit in 1..=3 {
            apply(&state.0, commit, &mut newest);
            published.publish_commit(commit);
        }
        reader.join().expect("a reader");
    });
}

#[test]
fn loom_a_commit_is_seen_once_it_is_applied_and_durable_and_never_before() {
    model(3, || {
        let published = std::sync::Arc::new(Published::new(
            Arc::new(WithDelta(Delta::new(&crate::memory::Pool::new(0), 0, Room::default()))),
            0,
        ));
        let durable = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let syncer = {
            let (published, durable) = (published.clone(), durable.clone());
            thread::spawn(move || {
                for commit in 1..=2 {
                    durable.store(commit, Ordering::Relaxed);
                    published.set_durable(commit);
                }
            })
        };
        let reader = {
            let published = published.clone();
            thread::spawn(move || {
                let pin = published.pin();
                assert!(pin.commit() <= durable.load(Ordering::Relaxed), "a crash could lose what was seen");
                check_delta(&pin.0, pin.commit());
            })
        };
        let state = published.snapshot().0;
        let mut newest = [None; 3];
        for commit in 1..=2 {
            apply(&state.0, commit, &mut newest);
            published.set_applied(commit);
        }
        syncer.join().expect("the syncer");
        reader.join().expect("a reader");
        assert_eq!(published.commit(), 2, "the later of the two publishes");
    });
}
