//! The child that fills its disk: what was acknowledged stays, reading goes on, and when there is room again so does
//! writing.
//!
//! ```text
//!   squeeze -- several threads write until each is refused; beside them checkpoints, backups or compactions
//!     full:   every document, verify; a checkpoint and a backup, refused or not; some: close or die, open again
//!   free    -- the same handle goes on (after reopening, if writing had stopped)
//!     compare, and once more
//! ```

use super::ROUNDS;
use crate::lane::{lost, Tally};
use crate::process::workload::{difference, found, imagine, vary, Owned, Plan, THREADS};
use nyro::testing::Rng;
use nyro::{Database, Error, ErrorKind};
use std::ffi::CString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The role of this child.
pub const ROLE: &str = "fill";

/// Operations of a thread that was not refused before.
const MOST: u64 = 4_000;

/// How long after there is room again a write may still be refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is made scarce.
enum Space {
    /// Of this file system a file takes the rest.
    Disk(PathBuf),
    /// The length of any file.
    Limit(PathBuf),
}

impl Space {
    fn new(kind: &str, directory: &Path) -> Space {
        match kind {
            "limit" => {
                // SAFETY: a write beyond the limit is to fail, not to end this process; no memory is passed.
                unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
                Space::Limit(directory.to_owned())
            }
            _ => Space::Disk(directory.join("ballast")),
        }
    }

    /// Leaves about so many bytes.
    fn squeeze(&self, leave: u64) {
        match self {
            Space::Disk(ballast) => {
                let mut file = std::fs::File::create(ballast).expect("a ballast file");
                let mut left = available(ballast.parent().expect("a directory")).saturating_sub(leave);
                let zeros = vec![0; 1 << 16];
                while left > 0 {
                    // Metadata takes a part, so the last bytes may not be there.
                    let Ok(n) = file.write(&zeros[..left.min(1 << 16) as usize]) else { break };
                    left -= n as u64;
                }
                let _ = file.sync_all();
            }
            Space::Limit(directory) => {
                let files = std::fs::read_dir(directory).expect("the directory").flatten();
                let longest = files.map(|entry| entry.metadata().map_or(0, |m| m.len())).max();
                limit(longest.unwrap_or(0) + leave);
            }
        }
    }

    fn free(&self) {
        match self {
            Space::Disk(ballast) => std::fs::remove_file(ballast).expect("the ballast goes"),
            Space::Limit(_) => limit(libc::RLIM_INFINITY),
        }
    }
}

/// No file of this process may grow beyond.
fn limit(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a system call that reads a structure of ours.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) }, 0);
}

/// Bytes that a file system has left.
fn available(directory: &Path) -> u64 {
    let path = CString::new(directory.as_os_str().as_bytes()).expect("a path");
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with a zero, and the call fills `stat`, which is asserted before it is read.
    let stat = unsafe {
        assert_eq!(libc::statvfs(path.as_ptr(), stat.as_mut_ptr()), 0);
        stat.assume_init()
    };
    stat.f_bavail * stat.f_frsize
}

/// What an error of a full disk may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Nothing was changed.
    NoRoom,
    /// Writing has stopped before.
    Stopped,
    /// It stopped with this; whether it was done shows after reopening.
    Unknown,
}

fn refusal(doing: &str, e: &Error) -> Refusal {
    match e {
        e if e.kind() == ErrorKind::Full => Refusal::NoRoom,
        Error::WritesStopped { .. } => Refusal::Stopped,
        Error::OutcomeUnknown { .. } => Refusal::Unknown,
        e => panic!("{doing} on a full disk gave {} {e}", e.code()),
    }
}

/// What else goes on while the disk fills.
#[derive(Debug, Clone, Copy)]
enum Beside {
    Nothing,
    Checkpoints,
    Backups,
    Compactions,
}

/// One database, and what must be in it.
struct Case<'a> {
    path: PathBuf,
    plan: Plan,
    kind: &'a str,
    space: Space,
    db: Option<Database>,
    /// For each thread: operations done, and the documents after them.
    threads: Vec<(u64, Owned)>,
    /// Threads whose next operation may have been done.
    unknown: Vec<usize>,
    stopped: bool,
    rng: Rng,
    met: &'a mut Tally,
}

/// Runs the child.
pub fn run(orders: &str, met: &mut Tally) {
    let parts: Vec<&str> = orders.splitn(3, ' ').collect();
    let mut rng = Rng::new(parts[0].parse().expect("a number"));
    let directory = Path::new(parts[2]);
    let plan = Plan {
        seed: rng.next_u64(),
        durability: rng.below(3),
        log_max_bytes: *rng.pick(&[32 << 10, 64 << 10, 256 << 10, 1 << 20]),
        ids: *rng.pick(&[40, 200, 400]),
    };
    let mut case = Case {
        path: directory.join("a.nyro"),
        plan,
        kind: parts[1],
        space: Space::new(parts[1], directory),
        db: None,
        threads: vec![(0, Owned::new()); THREADS as usize],
        unknown: Vec::new(),
        stopped: false,
        rng,
        met,
    };
    if case.rng.chance(0.2) {
        case.create_without_room();
    }
    case.reopen();
    for _ in 0..ROUNDS {
        case.round();
    }
    case.db().close().expect("closes");
    case.reopen();
    case.compare("at the end");
}

impl Case<'_> {
    fn db(&self) -> &Database {
        self.db.as_ref().expect("open")
    }

    fn count(&mut self, what: &'static str) {
        self.met.count(what, 1);
    }

    /// A database that finds no room for its first pages.
    fn create_without_room(&mut self) {
        let leave = self.rng.below(100 << 10);
        self.space.squeeze(leave);
        match Database::open_with(&self.path, self.plan.options()) {
            Ok(db) => drop(db),
            Err(e) => {
                assert_eq!(refusal("creating", &e), Refusal::NoRoom);
                self.count("creations refused");
            }
        }
        self.space.free();
    }

    fn reopen(&mut self) {
        self.db = None;
        match Database::open_with(&self.path, self.plan.options()) {
            Ok(db) => self.db = Some(db),
            Err(e) => lost(format!("opening with room on the disk: {e}")),
        }
        self.stopped = false;
    }

    fn round(&mut self) {
        let leave = *self.rng.pick(&[0, 4 << 10, 30 << 10, 100 << 10, 400 << 10]);
        let leave = leave + self.rng.below(leave + 4096);
        // Room for a moment, and then none: what was begun ends without.
        let early = self.rng.chance(0.7);
        if early {
            self.space.squeeze(leave);
        }
        self.write_until_refused(if early { None } else { Some(leave) });
        self.compare_unless_unknown("full");
        self.more_while_full();
        self.end_while_full();
        self.space.free();
        if self.stopped || self.db.is_none() {
            self.count("had to reopen");
            self.reopen();
            self.settle("reopened with room");
        }
        self.go_on();
        self.compare("after there was room again");
    }

    /// All threads write until each is refused.
    fn write_until_refused(&mut self, squeeze_later: Option<u64>) {
        let beside = *self.rng.pick(&[Beside::Nothing, Beside::Checkpoints, Beside::Backups, Beside::Compactions]);
        let (db, plan) = (self.db().clone(), self.plan);
        let over = AtomicBool::new(false);
        let backup = self.path.with_file_name("b.nyro");
        let ends: Vec<(u64, Option<Error>)> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (db, first) = (&db, self.threads[thread as usize].0);
                    scope.spawn(move || write(db, &plan, thread, first))
                })
                .collect();
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    disturb(&db, beside, &backup);
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            if let Some(leave) = squeeze_later {
                std::thread::sleep(Duration::from_millis(leave % 20));
                self.space.squeeze(leave);
            }
            let ends = writers.into_iter().map(|writer| writer.join().expect("a writer")).collect();
            over.store(true, Ordering::Relaxed);
            ends
        });
        for (thread, (done, error)) in ends.into_iter().enumerate() {
            let (n, owned) = &mut self.threads[thread];
            while *n < done {
                imagine(&plan, owned, thread as u64, *n);
                *n += 1;
            }
            let Some(error) = error else { continue };
            match refusal("writing", &error) {
                Refusal::NoRoom => {}
                Refusal::Stopped => self.stopped = true,
                Refusal::Unknown => {
                    self.stopped = true;
                    self.unknown.push(thread);
                }
            }
            let what = match self.kind {
                "memory" => "refused: memory",
                "ext4" => "refused: ext4",
                _ => "refused: limit",
            };
            self.count(what);
        }
        if self.stopped {
            self.count("writing stopped");
        }
    }

    /// Other calls that want room.
    fn more_while_full(&mut self) {
        if let Err(e) = self.db().checkpoint() {
            self.stopped |= refusal("a checkpoint", &e) != Refusal::NoRoom;
            self.count("checkpoints refused");
        }
        let backup = self.path.with_file_name("c.nyro");
        match self.db().backup(&backup) {
            Ok(_) => std::fs::remove_file(&backup).expect("the backup goes"),
            Err(e) => {
                self.stopped |= refusal("a backup", &e) != Refusal::NoRoom;
                self.count("backups refused");
            }
        }
        let names = std::fs::read_dir(self.path.parent().expect("a directory")).expect("the directory").flatten();
        let names: Vec<String> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        let left = names.iter().find(|name| name.starts_with("c.nyro"));
        assert_eq!(left, None, "a backup that was refused leaves a file: {names:?}");
        if let Err(e) = self.db().compact() {
            self.stopped |= refusal("compacting", &e) != Refusal::NoRoom;
        }
        self.compare_unless_unknown("after more was tried");
    }

    /// Sometimes the database is closed, or dies, while there is no room, and is opened so.
    fn end_while_full(&mut self) {
        match self.rng.below(3) {
            0 => {
                let db = self.db.take().expect("open");
                if let Err(e) = db.close() {
                    refusal("closing", &e);
                    self.count("closings refused");
                }
            }
            1 => nyro::testing::abandon(self.db.take().expect("open")),
            _ => return,
        }
        match Database::open_with(&self.path, self.plan.options()) {
            Ok(db) => {
                self.db = Some(db);
                self.stopped = false;
                self.count("reopened while full");
                self.settle("reopened while full");
            }
            Err(e) => {
                assert_eq!(refusal("opening", &e), Refusal::NoRoom);
                self.count("openings refused");
            }
        }
    }

    /// With room, each thread does some more.
    fn go_on(&mut self) {
        let start = Instant::now();
        for thread in 0..THREADS {
            for _ in 0..10 {
                let n = self.threads[thread as usize].0;
                loop {
                    match vary(&self.plan, self.db(), thread, n) {
                        Ok(()) => break,
                        Err(e) if start.elapsed() < PATIENCE && refusal("writing", &e) == Refusal::NoRoom => {
                            self.count("refused with room");
                            std::thread::sleep(Duration::from_millis(5));
                        }
                        Err(e) => panic!("there is room again, but writing gives {} {e}", e.code()),
                    }
                }
                imagine(&self.plan, &mut self.threads[thread as usize].1, thread, n);
                self.threads[thread as usize].0 += 1;
            }
        }
        self.count("went on in the same handle");
        if let Err(e) = self.db().checkpoint() {
            panic!("there is room again, but a checkpoint gives {} {e}", e.code());
        }
    }

    /// After reopening, what was unknown is known.
    fn settle(&mut self, when: &str) {
        let found = found(self.db());
        for thread in std::mem::take(&mut self.unknown) {
            let (n, owned) = &mut self.threads[thread];
            if found[thread] != *owned {
                imagine(&self.plan, owned, thread as u64, *n);
                *n += 1;
            }
        }
        self.compare(when);
    }

    /// A handle that has stopped shows what was known before; of an unknown operation nothing is promised.
    fn compare_unless_unknown(&mut self, when: &str) {
        if self.unknown.is_empty() {
            self.compare(when);
        }
    }

    fn compare(&mut self, when: &str) {
        if let Err(e) = self.db().verify() {
            lost(format!("verify {when}: {e}"));
        }
        for (thread, (found, (n, owned))) in found(self.db()).iter().zip(&self.threads).enumerate() {
            if found != owned {
                let differences = difference(found, owned);
                lost(format!("thread {thread} after {n} operations, {when}: {differences:?}; {:?}", self.plan));
            }
        }
        self.count("comparisons");
    }
}

/// Writes until refused; gives the operations done in all.
fn write(db: &Database, plan: &Plan, thread: u64, first: u64) -> (u64, Option<Error>) {
    for n in first..first + MOST {
        if let Err(e) = vary(plan, db, thread, n) {
            return (n, Some(e));
        }
    }
    (first + MOST, None)
}

fn disturb(db: &Database, beside: Beside, backup: &Path) {
    let done = match beside {
        Beside::Nothing => return,
        Beside::Checkpoints => db.checkpoint(),
        Beside::Compactions => db.compact().map(|_| ()),
        Beside::Backups => {
            let done = db.backup(backup).map(|_| ());
            let _ = std::fs::remove_file(backup);
            done
        }
    };
    if let Err(e) = done {
        refusal("a call beside the writers", &e);
    }
}
