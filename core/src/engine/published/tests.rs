//! Tests of the published state with real threads; the model checker runs it too (`engine::loom_tests`).

use super::*;
use std::sync::atomic::AtomicU32;

/// Counts itself: how many are alive.
struct Counted {
    number: u64,
    /// Something that a reader of freed memory would find changed.
    text: String,
    alive: Arc<AtomicU32>,
}

impl Counted {
    fn new(number: u64, alive: &Arc<AtomicU32>) -> Arc<Counted> {
        alive.fetch_add(1, Ordering::Relaxed);
        Arc::new(Counted { number, text: format!("state {number}"), alive: alive.clone() })
    }

    fn check(&self, commit: u64) {
        assert_eq!(self.text, format!("state {}", self.number));
        assert!(commit >= self.number - 1 && commit <= self.number, "commit {commit} with state {}", self.number);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Numbered for Counted {
    fn number(&self) -> u64 {
        self.number
    }
}

#[test]
fn states_are_let_go_oldest_first_once_nobody_holds_them() {
    let alive = Arc::new(AtomicU32::new(0));
    let published = Published::new(Counted::new(1, &alive), 0);
    let pin = published.pin();
    published.publish(Counted::new(2, &alive));
    let (snapshot, _) = published.snapshot();
    published.publish(Counted::new(3, &alive));
    assert_eq!((published.let_go(), published.kept()), (1, 3));
    assert_eq!(published.oldest().map(|state| state.number), Some(1));
    drop(pin);
    assert_eq!((published.let_go(), published.kept()), (2, 2));
    drop(snapshot);
    assert_eq!((published.let_go(), published.kept()), (3, 1));
    assert_eq!(alive.load(Ordering::Relaxed), 1);
    assert_eq!(published.snapshot().0.number, 3);
}

#[test]
fn commit_numbers_never_go_back() {
    let alive = Arc::new(AtomicU32::new(0));
    let published = Published::new(Counted::new(1, &alive), 5);
    published.publish_commit(9);
    published.publish_commit(7);
    assert_eq!((published.commit(), published.pin().commit(), published.snapshot().1), (9, 9, 9));
}

#[test]
fn more_readers_than_slots_hold_the_state_by_its_counter() {
    let alive = Arc::new(AtomicU32::new(0));
    let published = Published::new(Counted::new(1, &alive), 0);
    let mut pins: Vec<_> = (0..SLOTS + 3).map(|_| published.pin()).collect();
    published.publish(Counted::new(2, &alive));
    while let Some(pin) = pins.pop() {
        assert_eq!(published.let_go(), 1);
        pin.check(0);
    }
    assert_eq!(published.let_go(), 2);
    assert_eq!(alive.load(Ordering::Relaxed), 1);
}

#[test]
fn readers_never_see_a_freed_state_or_a_commit_of_another() {
    let states = if cfg!(miri) { 12 } else { 20_000 };
    let alive = Arc::new(AtomicU32::new(0));
    let published = Published::new(Counted::new(1, &alive), 0);
    std::thread::scope(|scope| {
        for reader in 0..3 {
            let published = &published;
            scope.spawn(move || loop {
                let pin = published.pin();
                pin.check(pin.commit());
                let done = pin.number == states;
                drop(pin);
                if reader == 0 {
                    let (state, commit) = published.snapshot();
                    std::thread::yield_now();
                    state.check(commit);
                }
                if done {
                    break;
                }
                std::thread::yield_now();
            });
        }
        for number in 2..=states {
            published.publish_commit(number - 1);
            published.publish(Counted::new(number, &alive));
            published.let_go();
        }
    });
    assert_eq!(published.let_go(), states);
    assert_eq!(alive.load(Ordering::Relaxed), 1);
}

#[test]
fn a_turn_waits_for_who_was_reading_before_it_and_for_nobody_else() {
    let alive = Arc::new(AtomicU32::new(0));
    let state = |number| Counted::new(number, &alive);
    let published = Published::new(state(1), 0);
    let before = published.pin();
    published.turn();
    assert!(!published.have_turned());
    let after = published.pin();
    drop(before);
    assert!(published.have_turned(), "who came after the turn is no matter");
    published.publish(state(2));
    published.turn();
    assert!(!published.have_turned());
    drop(after);
    assert!(published.have_turned());
    // Pins beyond the slots, and a state that is kept.
    let kept = published.snapshot();
    let pins: Vec<_> = (0..SLOTS + 3).map(|_| published.pin()).collect();
    published.turn();
    assert!(!published.have_turned());
    let (slots, counted): (Vec<_>, Vec<_>) = pins.into_iter().partition(|pin| matches!(pin.hold, Hold::Slot(_)));
    assert_eq!(counted.len(), 3);
    drop(slots);
    assert!(!published.have_turned(), "some have no slot");
    drop(counted);
    assert!(published.have_turned(), "a snapshot is no matter");
    assert_eq!(kept.0.number, 2);
}
