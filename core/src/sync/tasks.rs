//! The same types under `--cfg shuttle`: all threads of a model are tasks on one thread of the system, and the next one
//! to run is chosen at every *point*.
//!
//! ```text
//!   task a   ...store(Release)        lock                    the scheduler, from its seed,
//!                ^ point               ^ point, or asleep     says at each point who goes on
//!   task b   ......................load(Acquire)...
//! ```
//!
//! Points are what takes or may take part in an order: locks, and atomic operations that are not `Relaxed` (those are
//! counters, mostly). Every load sees the last store: what only a weaker memory shows is loom's task.
//!
//! Outside of [`scheduled`] nothing is a point, so that a model is set up and looked at without any cost. The types keep
//! `std`'s inside: they are the same bytes (`memory::Plain`), and may live in a `static` and outlast a model.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;
use std::sync::{PoisonError, TryLockError};
use std::time::Duration;

use shuttle::rand::RngCore;

pub(crate) use std::sync::atomic::fence;
pub(crate) use std::sync::Arc;

thread_local! {
    static SCHEDULED: Cell<bool> = const { Cell::new(false) };
}

/// Runs the part of a model in which others may run at every point (`true`), or a part in which none may.
pub(crate) fn scheduled<R>(is: bool, f: impl FnOnce() -> R) -> R {
    let before = SCHEDULED.replace(is);
    let result = f();
    SCHEDULED.set(before);
    result
}

/// Here another task may go on.
fn point() {
    if SCHEDULED.get() {
        // Shuttle knows no time: this is its plain switch, which says nothing else to the scheduler.
        shuttle::thread::sleep(Duration::ZERO);
    }
}

fn point_if(order: Ordering) {
    if order != Ordering::Relaxed {
        point();
    }
}

/// Lets others run, for they have what this task waits for.
pub(crate) fn yield_now() {
    if SCHEDULED.get() {
        shuttle::thread::yield_now();
    }
}

/// The same.
pub(crate) fn spin_loop() {
    yield_now();
}

/// The same: there is no time here.
pub(crate) fn sleep(_: Duration) {
    yield_now();
}

/// How often somebody with a deadline looks before it is over: up to so many times, as the schedule has it.
const LOOKS: u64 = 400;

/// Waits of so long do not end by themselves: that a wake-up was lost is then seen as a deadlock.
const ENDLESS: Duration = Duration::from_secs(1);

/// How long somebody is ready to wait: so many looks.
#[derive(Debug)]
pub(crate) struct Patience {
    most: Duration,
    looks: Cell<u64>,
}

impl Patience {
    pub(crate) fn new(most: Duration) -> Patience {
        let looks = if SCHEDULED.get() && most < ENDLESS { shuttle::rand::thread_rng().next_u64() % LOOKS } else { 0 };
        // Few as often as many.
        Patience { most, looks: Cell::new(looks * looks / LOOKS) }
    }
    pub(crate) fn left(&self) -> Duration {
        if self.most >= ENDLESS {
            return self.most;
        }
        match self.looks.get().checked_sub(1) {
            Some(looks) => {
                self.looks.set(looks);
                self.most
            }
            None => Duration::ZERO,
        }
    }
    pub(crate) fn waited(&self) -> Duration {
        Duration::ZERO
    }
}

/// Tasks that sleep until a lock is free.
#[derive(Debug, Default)]
struct Sleepers(std::sync::Mutex<Vec<shuttle::thread::Thread>>);

impl Sleepers {
    const fn new() -> Sleepers {
        Sleepers(std::sync::Mutex::new(Vec::new()))
    }
    /// Sleeps until the lock is given back, or less long.
    fn sleep(&self) {
        assert!(SCHEDULED.get(), "a lock is held where no other task can run");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(shuttle::thread::current());
        shuttle::thread::park();
    }
    fn wake(&self) {
        let sleepers = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        sleepers.iter().for_each(shuttle::thread::Thread::unpark);
    }
}

/// The value of an attempt to lock that a panic does not poison.
fn taken<G>(attempt: Result<G, TryLockError<G>>) -> Option<G> {
    match attempt {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T> {
    sleepers: Sleepers,
    value: std::sync::Mutex<T>,
}

/// The mutex, held.
#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    /// `None` only while it is given back.
    held: Option<std::sync::MutexGuard<'a, T>>,
    mutex: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Mutex { sleepers: Sleepers::new(), value: std::sync::Mutex::new(value) }
    }
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        loop {
            match self.try_lock() {
                Some(guard) => return guard,
                None => self.sleepers.sleep(),
            }
        }
    }
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        point();
        taken(self.value.try_lock()).map(|held| MutexGuard { held: Some(held), mutex: self })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.held.as_deref().expect("a guard is held until it is dropped")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_deref_mut().expect("a guard is held until it is dropped")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.held.take().is_some() {
            self.mutex.sleepers.wake();
        }
    }
}

/// A mutex of a simulated device, which is no part of what is checked: taking it is a point, and while it is held
/// nothing is.
#[derive(Debug, Default)]
pub(crate) struct DeviceMutex<T>(std::sync::Mutex<T>);

/// The device, held.
pub(crate) struct DeviceGuard<'a, T> {
    held: std::sync::MutexGuard<'a, T>,
    /// Whether others may run afterwards.
    scheduled: bool,
}

impl<T> DeviceMutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        DeviceMutex(std::sync::Mutex::new(value))
    }
    pub(crate) fn lock(&self) -> DeviceGuard<'_, T> {
        point();
        let held = taken(self.0.try_lock()).expect("nobody else runs while a device is held");
        DeviceGuard { held, scheduled: SCHEDULED.replace(false) }
    }
}

impl<T> Deref for DeviceGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.held
    }
}

impl<T> DerefMut for DeviceGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.held
    }
}

impl<T> Drop for DeviceGuard<'_, T> {
    fn drop(&mut self) {
        SCHEDULED.set(self.scheduled);
    }
}

/// A task that waits, and whether it was told.
type Waiter = Arc<(shuttle::thread::Thread, std::sync::atomic::AtomicBool)>;

/// A condition variable that wakes nobody who was not told.
#[derive(Debug, Default)]
pub(crate) struct Condvar(std::sync::Mutex<VecDeque<Waiter>>);

impl Condvar {
    pub(crate) const fn new() -> Self {
        Condvar(std::sync::Mutex::new(VecDeque::new()))
    }
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let me: Waiter = Arc::new((shuttle::thread::current(), false.into()));
        self.waiters().push_back(me.clone());
        unlocked(guard, || {
            while !me.1.load(Ordering::SeqCst) {
                shuttle::thread::park();
            }
        });
    }
    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, most: Duration) {
        if most >= ENDLESS {
            self.wait(guard);
        } else {
            unlocked(guard, yield_now);
        }
    }
    pub(crate) fn notify_one(&self) {
        point();
        let first = self.waiters().pop_front();
        first.iter().for_each(tell);
    }
    pub(crate) fn notify_all(&self) {
        point();
        let all = std::mem::take(&mut *self.waiters());
        all.iter().for_each(tell);
    }
    fn waiters(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(waiter: &Waiter) {
    waiter.1.store(true, Ordering::SeqCst);
    waiter.0.unpark();
}

/// Calls `wait` with the mutex given back.
fn unlocked<T>(guard: &mut MutexGuard<'_, T>, wait: impl FnOnce()) {
    let mutex = guard.mutex;
    guard.held = None;
    mutex.sleepers.wake();
    wait();
    guard.held = mutex.lock().held.take();
}

/// A lock for many readers or one writer.
#[derive(Debug, Default)]
pub(crate) struct RwLock<T> {
    sleepers: Sleepers,
    value: std::sync::RwLock<T>,
}

/// The lock, held in the way of `G`.
pub(crate) struct RwGuard<'a, G> {
    /// `None` only while it is given back.
    held: Option<G>,
    sleepers: &'a Sleepers,
}

impl<T> RwLock<T> {
    pub(crate) const fn new(value: T) -> Self {
        RwLock { sleepers: Sleepers::new(), value: std::sync::RwLock::new(value) }
    }
    pub(crate) fn read(&self) -> RwGuard<'_, std::sync::RwLockReadGuard<'_, T>> {
        self.take(|| taken(self.value.try_read()))
    }
    pub(crate) fn write(&self) -> RwGuard<'_, std::sync::RwLockWriteGuard<'_, T>> {
        self.take(|| taken(self.value.try_write()))
    }
    fn take<G>(&self, attempt: impl Fn() -> Option<G>) -> RwGuard<'_, G> {
        loop {
            point();
            match attempt() {
                Some(held) => return RwGuard { held: Some(held), sleepers: &self.sleepers },
                None => self.sleepers.sleep(),
            }
        }
    }
}

impl<G: Deref> Deref for RwGuard<'_, G> {
    type Target = G::Target;
    fn deref(&self) -> &G::Target {
        self.held.as_deref().expect("a guard is held until it is dropped")
    }
}

impl<G: DerefMut> DerefMut for RwGuard<'_, G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        self.held.as_deref_mut().expect("a guard is held until it is dropped")
    }
}

impl<G> Drop for RwGuard<'_, G> {
    fn drop(&mut self) {
        self.held = None;
        self.sleepers.wake();
    }
}

/// What all atomics have.
macro_rules! atomic {
    ($name:ident $(<$of:ident>)?, $value:ty) => {
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub(crate) struct $name $(<$of>)? (std::sync::atomic::$name $(<$of>)?);

        #[allow(dead_code)] // each has what one of them needs
        impl $(<$of>)? $name $(<$of>)? {
            pub(crate) const fn new(value: $value) -> Self {
                $name(std::sync::atomic::$name::new(value))
            }
            pub(crate) fn load(&self, order: Ordering) -> $value {
                point_if(order);
                self.0.load(order)
            }
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                point_if(order);
                self.0.store(value, order);
            }
            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                point_if(order);
                self.0.swap(value, order)
            }
            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                point_if(success);
                self.0.compare_exchange(current, new, success, failure)
            }
            pub(crate) fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(current, new, success, failure)
            }
            pub(crate) fn get_mut(&mut self) -> &mut $value {
                self.0.get_mut()
            }
        }
    };
}

/// What numbers have besides.
macro_rules! number {
    ($name:ident, $value:ty: $($call:ident)*) => {
        atomic!($name, $value);

        impl From<$value> for $name {
            fn from(value: $value) -> Self {
                $name::new(value)
            }
        }

        #[allow(dead_code)] // as above
        impl $name {
            $(pub(crate) fn $call(&self, value: $value, order: Ordering) -> $value {
                point_if(order);
                self.0.$call(value, order)
            })*
        }
    };
}

atomic!(AtomicPtr<T>, *mut T);
number!(AtomicBool, bool: fetch_or fetch_and);
number!(AtomicU32, u32: fetch_add fetch_sub fetch_or fetch_and fetch_max fetch_min);
number!(AtomicU64, u64: fetch_add fetch_sub fetch_or fetch_and fetch_max fetch_min);
number!(AtomicUsize, usize: fetch_add fetch_sub fetch_or fetch_and fetch_max fetch_min);
