//! Power cuts on a real file system: what was acknowledged as durable is there when the machine is on again.
//!
//! ```text
//!   image file <- loop device <- ext4 <- child: several threads write, sync, checkpoint, say so over a pipe
//!        |                         ^
//!        |                         +--- at a random moment: EXT4_IOC_SHUTDOWN. What no sync has covered is gone
//!        |
//!        +-- mounted again (the journal is played back) -- opened, verified, compared -- the next child goes on
//! ```
//!
//! A unit is a chain of cuts of one image. Some cuts come while the child opens or recovers, in a checkpoint, or while
//! it closes. Beside the child, pages of its files are pushed to the device at random (`sync_file_range`), so that what
//! was not synced is kept in one place and lost in another, as a kernel short of memory would do it.

use crate::kill::{copy, count, moment};
use crate::lane::{Lane, Tally};
use crate::process::history::{End, History};
use crate::process::parent::{run, Moment};
use crate::process::volume::{sweep, Cut, Volume};
use crate::process::workload::Plan;
use crate::process::writer::Orders;
use nyro::testing::{Rng, TempDir};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Cuts of one image.
const CUTS: u64 = 5;

/// Bytes of an image, most of which are never written.
const IMAGE_BYTES: u64 = 64 << 20;

/// How the file system is mounted: when the journal takes names and lengths, before or after the data.
const MOUNTS: [&str; 4] = ["data=ordered", "data=writeback", "data=ordered,commit=1", "data=writeback,commit=1"];

/// Power cuts.
pub static POWER: Lane = Lane {
    name: "power",
    what: "the power is cut under processes that write to a real file system (ext4)",
    unit: chain,
    standard: 60,
    goal: 300,
    weight: 3,
    jobs: 3,
    possible,
    met: |tally| {
        tally.at_least(&[
            ("acknowledged", 10_000),
            ("cuts that took something", 20),
            ("opening", 5),
            ("recovering", 2),
            ("recovered", 50),
            ("in a checkpoint", 20),
            ("closing", 5),
        ])
    },
};

/// Makes a file system and cuts its power.
fn possible() -> Result<(), String> {
    sweep();
    // SAFETY: asks for a number of this process.
    if unsafe { libc::geteuid() } != 0 {
        return Err("needs root, to mount a file system of its own".to_owned());
    }
    let volume = Volume::ext4(IMAGE_BYTES, MOUNTS[0], false).map_err(|e| format!("no file system of its own: {e}"))?;
    volume.cut(Cut::Nothing).map_err(|e| format!("its power can't be cut: {e}"))
}

fn chain(index: u64, seed: u64, tally: &mut Tally) {
    let mut rng = Rng::new(seed);
    let mount = MOUNTS[index as usize % MOUNTS.len()];
    let mut volume = Volume::ext4(IMAGE_BYTES, mount, false).expect("a file system");
    let log_max_bytes = *rng.pick(&[64 << 10, 256 << 10, 1 << 20]);
    let plan = Plan { seed: rng.next_u64(), durability: index % 3, log_max_bytes, ids: 40 };
    let mut history = History::new(plan);
    let mut opening = Duration::from_millis(20);
    let mut clean = true;
    for round in 0..CUTS {
        let moment = match (index + round) % CUTS {
            // So that each kind is met in any run.
            3 => Moment::Opening(opening.mul_f64(rng.below(1000) as f64 / 1000.0)),
            4 => Moment::Closing(Duration::from_micros(rng.below(12_000))),
            _ => moment(&mut rng, round == 0, opening, Duration::from_millis(300)),
        };
        let close_after_ms = matches!(moment, Moment::Closing(_)).then(|| rng.below(150));
        let how = [Cut::Nothing, Cut::Nothing, Cut::Nothing, Cut::JournalOnly, Cut::Flush][rng.below(5) as usize];
        let end = if rng.chance(0.7) { End::PowerCut } else { End::DiskGone };
        let path = volume.path().join("a.nyro");
        let orders =
            Orders { path: path.to_str().expect("UTF-8").to_owned(), plan, close_after_ms, done: history.done() };
        let over = AtomicBool::new(false);
        let heard = std::thread::scope(|scope| {
            let pushing = scope.spawn(|| push(&volume.path(), rng.clone(), &over));
            let heard = run(&orders, moment, |process| {
                if end == End::PowerCut {
                    stop(process);
                }
                volume.cut(how).expect("the power is cut");
                std::thread::sleep(if end == End::PowerCut { Duration::ZERO } else { Duration::from_millis(5) });
                let _ = process.kill();
                over.store(true, Ordering::Relaxed);
            });
            pushing.join().expect("the pages are pushed");
            heard
        });
        tally.cases += 1;
        count(tally, &heard, clean, round == 0);
        tally.count("opening", u64::from(heard.opening && !heard.open));
        volume.unmount().expect("unmounts");
        volume.mount(mount).expect("the file system comes back");
        let aside = TempDir::new().expect("a directory");
        let in_place = rng.chance(0.4);
        let looked_at = if in_place { volume.path() } else { aside.path().to_owned() };
        if !in_place {
            copy(&volume.path(), aside.path());
        }
        let seen = history.check(&looked_at.join("a.nyro"), &heard, end);
        opening = seen.opening;
        tally.count("cuts that took something", u64::from(seen.gone > 0));
        tally.count("visible operations that were gone", seen.gone);
        clean = in_place;
    }
}

/// Stops a process: of its threads, those inside of the system may come to the end of their call and no further.
fn stop(process: &Child) {
    // SAFETY: sends a signal to a child that was not waited for.
    unsafe { libc::kill(process.id() as i32, libc::SIGSTOP) };
}

/// Pushes pages of the files below to the device, here and there, until it is over.
fn push(directory: &Path, mut rng: Rng, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_micros(500 + rng.below(8_000)));
        let names = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let files: Vec<_> = names.filter(|entry| entry.path().is_file()).collect();
        if files.is_empty() {
            continue;
        }
        let Ok(file) = File::open(rng.pick(&files).path()) else { continue };
        let pages = file.metadata().map_or(0, |metadata| metadata.len() / 4096);
        let (from, many) = (rng.below(pages + 1) * 4096, (1 + rng.below(8)) * 4096);
        // SAFETY: a system call on an open descriptor; no memory is passed. That it fails is no matter.
        unsafe { libc::sync_file_range(file.as_raw_fd(), from as i64, many as i64, libc::SYNC_FILE_RANGE_WRITE) };
    }
}
