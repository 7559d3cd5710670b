//! Disks that are really full, and calls that are really interrupted.
//!
//! ```text
//!   unit: a place, and children in it, one after another      what takes the space away       and gives it back
//!     0  a file system in memory                               a ballast file                  it is removed
//!     1  ext4 on a loop device                                 a ballast file                  it is removed
//!     2  a large one in memory, or the temporary directory     a limit on the length of files  it is raised
//!     3  a large one in memory, or the temporary directory     a signal every millisecond      -
//! ```
//!
//! 0 and 1 need root; elsewhere those units run as 2. A write that crosses the limit of 2 is done in part, which no full
//! disk does so surely.

mod fill;
mod signals;

use crate::lane::{crashed, is_ours, lost, Lane, Tally};
use crate::process::command;
use crate::process::volume::{sweep, Volume};
use nyro::testing::{Rng, TempDir};
use std::io::Read;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Children of a unit, each with a database.
const DATABASES: u64 = 5;

/// Fillings of a database, or openings of one that is interrupted: the cases.
const ROUNDS: u64 = 3;

/// Sizes of file systems: two that are filled, and without their ballast have room for all; one that is not.
const SMALL_BYTES: u64 = 32 << 20;
const IMAGE_BYTES: u64 = 48 << 20;
const LARGE_BYTES: u64 = 512 << 20;

/// The last line of a child.
const END: &str = "done";

/// How long a child may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Set by [`possible`]: a place may be a file system of our own.
static MAY_MOUNT: AtomicBool = AtomicBool::new(false);

/// Full disks.
pub static FULL: Lane = Lane {
    name: "full",
    what: "disks that are really full, limits on files, interrupted calls",
    unit,
    standard: 16,
    goal: 240,
    weight: 2,
    jobs: 4,
    possible,
    met,
};

/// The roles of this lane's children; false for another. A child that comes to its end tells what it met; one that
/// does not has said why on its standard error.
pub fn run_child(role: &str, orders: &str) -> bool {
    let mut met = Tally::default();
    match role {
        fill::ROLE => fill::run(orders, &mut met),
        signals::ROLE => signals::run(orders, &mut met),
        _ => return false,
    }
    met.counters().for_each(|(what, n)| println!("{n} {what}"));
    println!("{END}");
    true
}

fn possible() -> Result<(), String> {
    sweep();
    match Volume::memory(SMALL_BYTES).and_then(|_| Volume::ext4(IMAGE_BYTES, "data=ordered", true)) {
        Ok(_) => MAY_MOUNT.store(true, Ordering::Relaxed),
        Err(e) => println!("full: without file systems of its own ({e}); limits and signals alone"),
    }
    Ok(())
}

fn met(tally: &Tally) -> Result<(), String> {
    tally.at_least(&[
        ("refused: limit", 100),
        ("signals", 1_000),
        ("interrupted work", 50),
        ("went on in the same handle", 50),
        ("reopened while full", 10),
        ("backups refused", 5),
        ("checkpoints refused", 20),
    ])?;
    if MAY_MOUNT.load(Ordering::Relaxed) {
        tally.at_least(&[("refused: memory", 50), ("refused: ext4", 50)])?;
    }
    Ok(())
}

/// Where a unit's children write.
enum Place {
    Own(Volume),
    Shared(TempDir),
}

impl Place {
    fn path(&self) -> std::path::PathBuf {
        match self {
            Place::Own(volume) => volume.path(),
            Place::Shared(directory) => directory.path().to_owned(),
        }
    }
}

fn unit(index: u64, seed: u64, tally: &mut Tally) {
    let mut rng = Rng::new(seed);
    let may_mount = MAY_MOUNT.load(Ordering::Relaxed);
    let own = |made: std::io::Result<Volume>| Place::Own(made.expect("a file system"));
    let space = match index % 4 {
        0 if may_mount => "memory",
        1 if may_mount => "ext4",
        3 => "signals",
        _ => "limit",
    };
    let place = match space {
        "memory" => own(Volume::memory(SMALL_BYTES)),
        "ext4" => own(Volume::ext4(IMAGE_BYTES, "data=ordered", true)),
        // The disk of the temporary directory takes its time.
        _ if may_mount && index % 16 < 12 => own(Volume::memory(LARGE_BYTES)),
        _ => Place::Shared(TempDir::new().expect("a directory")),
    };
    for _ in 0..DATABASES {
        let orders = format!("{} {space} {}", rng.next_u64(), place.path().display());
        let role = if space == "signals" { signals::ROLE } else { fill::ROLE };
        child(role, &orders, tally);
        tally.cases += ROUNDS;
        empty(&place.path());
    }
}

/// Runs one child to its end.
fn child(role: &str, orders: &str, tally: &mut Tally) {
    let mut process = command(role, orders).stderr(Stdio::piped()).env("RUST_BACKTRACE", "0").spawn().expect("a child");
    let (out, error) = (listen(process.stdout.take()), listen(process.stderr.take()));
    let status = wait(&mut process);
    let (out, error) = (out.join().expect("a listener"), error.join().expect("a listener"));
    if out.ends_with(&format!("{END}\n")) {
        for (n, what) in out.lines().filter_map(|line| line.split_once(' ')) {
            tally.count(what, n.parse().expect("a number"));
        }
        return;
    }
    let text = format!("{status:?}; {role} {orders}\n{error}");
    // The first panic says who found what.
    match error.split_once("panicked at ") {
        Some((_, place)) if is_ours(place) => lost(text),
        _ => crashed(text),
    }
}

fn listen(from: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    let mut from = from.expect("a pipe");
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = from.read_to_string(&mut text);
        text
    })
}

/// The child's end; `None` if it hung.
fn wait(process: &mut Child) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(status) = process.try_wait().expect("wait") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = process.kill();
    let _ = process.wait();
    None
}

/// Removes the files of a case.
fn empty(directory: &Path) {
    for entry in std::fs::read_dir(directory).expect("the directory").flatten() {
        if entry.path().is_file() {
            std::fs::remove_file(entry.path()).expect("removes");
        }
    }
}
