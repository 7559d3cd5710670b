//! Batches of cases in forked children, so that one that crashes or hangs is told by name, and the others go on.
//!
//! ```text
//!   parent (one thread)                         children, as many as processors
//!     fork, fork, ...   ---------------------->   next case? (a counter in a page that all share)
//!     every few ms:                               slot of the child: case, processor time at its begin
//!        a child has ended by a signal            run it: counters, texts of failures --> the shared page
//!          -> its case crashed; a new child       no case left: _exit
//!        a case takes more than a second
//!          -> killed; its case hung; a new child
//! ```
//!
//! A child does nothing but the work of its cases and stores to the shared page, and ends by `_exit`. Time is the
//! processor's: a loaded machine makes nothing hang. A case that waits for ever takes none, so there is a limit for the
//! clock, too.

use crate::allocator;
use crate::lane::{attempt, keep_panics, Failure, Tally};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicU8, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How many times slower AddressSanitizer may make a case. Memory is counted as it was asked for, so its limit stays.
const SLOWER: u32 = if cfg!(asan) { 4 } else { 1 };
/// Processor time of one case.
const PATIENCE: Duration = Duration::from_secs(1).saturating_mul(SLOWER);
/// Time of one case by the clock, on a machine that does other things as well.
const LONG_PATIENCE: Duration = Duration::from_secs(60);
/// Memory of one case beyond the size of its files.
const MEMORY_BYTES: usize = 64 << 20;

const CHILDREN: usize = 16;
const TEXTS: usize = 32;
const TEXT_BYTES: usize = 1000;
/// More failures than these end a batch: all of it is broken.
const MOST_FAILURES: u64 = 200;

/// What cases may count; each is also the name of the counter in the lane's tally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Reported,
    Whole,
    OlderState,
    Refused,
    WorkedOn,
    Saved,
    KeysSaved,
    Lost,
    Deep,
}

const MARKS: [(Mark, &str); 9] = [
    (Mark::Reported, "damage reported"),
    (Mark::Whole, "answers whole"),
    (Mark::OlderState, "older states"),
    (Mark::Refused, "opens refused"),
    (Mark::WorkedOn, "worked on"),
    (Mark::Saved, "documents saved"),
    (Mark::KeysSaved, "keys saved"),
    (Mark::Lost, "documents lost and told"),
    (Mark::Deep, "inputs that were taken"),
];

/// One case.
pub struct Case<'a> {
    pub name: String,
    /// Bytes of its files.
    pub bytes: usize,
    /// Panics where a promise is broken.
    pub run: Box<dyn FnOnce(&Marks<'_>) + 'a>,
}

/// Where a case counts.
pub struct Marks<'a>(&'a Shared);

impl Marks<'_> {
    pub fn count(&self, mark: Mark, n: u64) {
        let at = MARKS.iter().position(|(known, _)| *known == mark).unwrap_or(0);
        self.0.marks[at].fetch_add(n, SeqCst);
    }
}

/// The page that parent and children share. It begins as zeros.
#[repr(C)]
struct Shared {
    next: AtomicU64,
    done: AtomicU64,
    failures: AtomicU64,
    /// Those of them that broke a promise about content.
    lost: AtomicU64,
    marks: [AtomicU64; MARKS.len()],
    slots: [Slot; CHILDREN],
    texts: [Text; TEXTS],
}

/// Where a child is.
#[repr(C)]
struct Slot {
    /// Its case and 1 more, 0 between cases.
    case: AtomicU64,
    /// Processor time of the child when the case began, in nanoseconds.
    since: AtomicU64,
}

/// A failure.
#[repr(C)]
struct Text {
    /// 0 none, 1 crashed, 2 lost.
    kind: AtomicU8,
    length: AtomicU32,
    bytes: [AtomicU8; TEXT_BYTES],
}

/// The mapping that holds [`Shared`].
struct Page(*mut libc::c_void);

impl Page {
    fn new() -> Page {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: asks for new memory, and touches none that is there.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<Shared>(), protection, flags, -1, 0) };
        assert!(memory != libc::MAP_FAILED, "no shared memory: {}", std::io::Error::last_os_error());
        Page(memory)
    }

    fn shared(&self) -> &Shared {
        // SAFETY: the mapping is as long as `Shared`, aligned to a page, lives as long as `self`, and began as zeros,
        // which all atomics of `Shared` are valid with; it is changed through them alone.
        unsafe { &*self.0.cast::<Shared>() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: what `new` mapped; no reference outlives `self`.
        unsafe { libc::munmap(self.0, size_of::<Shared>()) };
    }
}

impl Shared {
    fn fail(&self, lost: bool, text: &str) {
        self.lost.fetch_add(u64::from(lost), SeqCst);
        let place = self.failures.fetch_add(1, SeqCst) as usize;
        let Some(slot) = self.texts.get(place) else { return };
        let bytes = &text.as_bytes()[..text.len().min(TEXT_BYTES)];
        bytes.iter().zip(&slot.bytes).for_each(|(byte, place)| place.store(*byte, SeqCst));
        slot.length.store(bytes.len() as u32, SeqCst);
        slot.kind.store(if lost { 2 } else { 1 }, SeqCst);
    }

    /// The failures; those that had no room are counted.
    fn told(&self) -> Vec<Failure> {
        let told = self.texts.iter().filter(|text| text.kind.load(SeqCst) != 0).map(|text| {
            let length = text.length.load(SeqCst) as usize;
            let bytes: Vec<u8> = text.bytes[..length].iter().map(|byte| byte.load(SeqCst)).collect();
            Failure { lost: text.kind.load(SeqCst) == 2, text: String::from_utf8_lossy(&bytes).into_owned() }
        });
        let mut told: Vec<Failure> = told.collect();
        let lost = self.lost.load(SeqCst);
        let mut lost_more = lost.saturating_sub(told.iter().filter(|failure| failure.lost).count() as u64);
        while (told.len() as u64) < self.failures.load(SeqCst) {
            told.push(Failure { lost: lost_more > 0, text: "one more".to_owned() });
            lost_more = lost_more.saturating_sub(1);
        }
        told
    }
}

/// Runs the cases 0 to `count`, and adds what came of them to the tally.
pub fn run<'a>(count: u64, case: &dyn Fn(u64) -> Case<'a>, tally: &mut Tally) {
    let page = Page::new();
    let shared = page.shared();
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get()).min(CHILDREN);
    let mut children: Vec<Option<Child>> =
        (0..processors).map(|slot| Some(Child::start(slot, shared, count, case))).collect();
    while children.iter().any(Option::is_some) {
        std::thread::sleep(Duration::from_millis(3));
        for (slot, place) in children.iter_mut().enumerate() {
            let Some(child) = place else { continue };
            let Some(died) = child.look(&shared.slots[slot]) else { continue };
            *place = None;
            if let Some((index, how)) = died {
                shared.fail(false, &format!("{}: {how}", case(index).name));
                if shared.failures.load(SeqCst) < MOST_FAILURES {
                    *place = Some(Child::start(slot, shared, count, case));
                }
            }
        }
    }
    tally.cases += shared.done.load(SeqCst);
    for (at, (_, name)) in MARKS.iter().enumerate() {
        let n = shared.marks[at].load(SeqCst);
        if n > 0 {
            tally.count(name, n);
        }
    }
    shared.told().into_iter().for_each(|failure| tally.fail(failure));
}

struct Child {
    pid: libc::pid_t,
    /// The case it was seen at last, and since when.
    seen: (u64, Instant),
}

impl Child {
    fn start<'a>(slot: usize, shared: &Shared, count: u64, case: &dyn Fn(u64) -> Case<'a>) -> Child {
        shared.slots[slot].case.store(0, SeqCst);
        // SAFETY: this process has one thread that forks, and no other holds a lock (`jobs` of the lane is 1); the child
        // uses memory alone and ends by `_exit`. The C library keeps its allocator usable in a child.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                let done = attempt(|| work(slot, shared, count, case));
                // SAFETY: ends the process without running what the parent registered.
                unsafe { libc::_exit(i32::from(done.is_some())) }
            }
            pid => Child { pid, seen: (0, Instant::now()) },
        }
    }

    /// `None`: it goes on. `Some(None)`: it has ended as it should. Else its case, and what became of it.
    fn look(&mut self, slot: &Slot) -> Option<Option<(u64, String)>> {
        let mut status = 0;
        // SAFETY: asks for our own child, which was not waited for yet, and writes to a number of ours.
        let ended = unsafe { libc::waitpid(self.pid, &mut status, libc::WNOHANG) };
        let case = slot.case.load(SeqCst);
        if ended == self.pid {
            let good = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
            return Some((!good).then(|| (case.saturating_sub(1), ending(status))));
        }
        if case != self.seen.0 {
            self.seen = (case, Instant::now());
        }
        let since = Duration::from_nanos(slot.since.load(SeqCst));
        let time = processor_time_of(self.pid).saturating_sub(since);
        if case == 0 || slot.case.load(SeqCst) != case || time < PATIENCE && self.seen.1.elapsed() < LONG_PATIENCE {
            return None;
        }
        // SAFETY: our own child, which was not waited for yet, and so still has its number.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        // SAFETY: as above.
        unsafe { libc::waitpid(self.pid, &mut status, 0) };
        let clock = self.seen.1.elapsed();
        Some(Some((case - 1, format!("hangs: {time:?} of the processor, {clock:?} by the clock"))))
    }
}

fn ending(status: i32) -> String {
    match libc::WIFSIGNALED(status) {
        true => format!("ended by signal {}", libc::WTERMSIG(status)),
        false => format!("ended with {}", libc::WEXITSTATUS(status)),
    }
}

/// The child: takes cases until none is left.
fn work<'a>(slot: usize, shared: &Shared, count: u64, case: &dyn Fn(u64) -> Case<'a>) {
    keep_panics();
    let place = &shared.slots[slot];
    loop {
        let index = shared.next.fetch_add(1, SeqCst);
        if index >= count {
            return place.case.store(0, SeqCst);
        }
        let case = case(index);
        let Case { name, bytes, run } = case;
        place.since.store(processor_time().as_nanos() as u64, SeqCst);
        place.case.store(index + 1, SeqCst);
        let held = allocator::watch();
        let failure = attempt(|| run(&Marks(shared)));
        let peak = allocator::peak_since(held);
        if let Some(failure) = failure {
            shared.fail(failure.lost, &format!("{name}: {}", failure.text));
        }
        if peak > MEMORY_BYTES + bytes {
            shared.fail(false, &format!("{name}: took {peak} bytes of memory"));
        }
        place.case.store(0, SeqCst);
        shared.done.fetch_add(1, SeqCst);
    }
}

fn processor_time() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn processor_time_of(pid: libc::pid_t) -> Duration {
    let mut id = 0;
    // SAFETY: writes to a number of ours.
    match unsafe { libc::clock_getcpuclockid(pid, &mut id) } {
        0 => clock(id),
        _ => Duration::ZERO,
    }
}

fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to a structure of ours.
    unsafe { libc::clock_gettime(id, &mut time) };
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.clamp(0, 999_999_999) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally_of(run: impl Fn(u64) + Copy) -> (u64, Vec<String>) {
        let mut tally = Tally::default();
        let case = |index| {
            let run: Box<dyn FnOnce(&Marks<'_>)> = Box::new(move |_| run(index));
            Case { name: format!("case {index}"), bytes: 0, run }
        };
        super::run(20, &case, &mut tally);
        let texts = tally.failures().iter().map(|failure| failure.text.clone()).collect();
        (tally.cases, texts)
    }

    #[test]
    fn a_case_that_panics_dies_hangs_or_takes_memory_is_told_by_its_name_and_the_others_go_on() {
        let (cases, mut texts) = tally_of(|index| match index {
            3 => panic!("three"),
            5 => std::process::abort(),
            // SAFETY: sends a signal to this very process.
            6 => drop(unsafe { libc::raise(libc::SIGKILL) }),
            7 => loop {
                std::hint::spin_loop();
            },
            9 => drop(std::hint::black_box(vec![1_u8; MEMORY_BYTES + 1])),
            _ => {}
        });
        texts.sort();
        assert_eq!(cases, 17, "{texts:?}");
        assert!(texts[0].starts_with("case 3: safety/src/batch.rs:") && texts[0].ends_with(": three"), "{texts:?}");
        assert!(texts[1].starts_with("case 5: ended by signal 6"), "{texts:?}");
        assert!(texts[2].starts_with("case 6: ended by signal 9"), "{texts:?}");
        assert!(texts[3].starts_with("case 7: hangs"), "{texts:?}");
        assert!(texts[4].starts_with("case 9: took"), "{texts:?}");
        assert_eq!(texts.len(), 5);
    }
}
