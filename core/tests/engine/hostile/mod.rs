//! Thousands of damaged files: each is opened, verified, read, written to and closed, and may only answer
//! with `Ok` or `Err`.
//!
//! ```text
//!   a real file --mutation--> [ checksum made right again ] --> open, verify, scan, get, write, close
//!                                                                  |
//!                                    Ok or Err, within 5 s, within 64 MiB beyond the size of the file
//! ```
//!
//! With the checksum made right again the damage is one that only a check of the structure finds; what was
//! not made right again, and lies in a page that is used, must be reported.

mod allocator;
pub mod files;

pub use allocator::{peak_since, watch, Counting};

use files::{put_u64, u64_at, Files, PAGE};
use nyro::testing::{Rng, TempDir};
use nyro::{doc, Database, Document, Error, Result, VerifyReport};
use std::collections::BTreeSet;
use std::mem::ManuallyDrop;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Offset of the length in pages in a meta page.
const FILE_PAGES_AT: usize = 136;

const PATIENCE: Duration = Duration::from_secs(5);
const MEMORY_BYTES: usize = 64 << 20;

/// Runs cases, watches over each, and keeps what went wrong.
pub struct Bench {
    running: Arc<Mutex<Option<(Instant, String)>>>,
    failures: Vec<String>,
    pub cases: u64,
    /// Cases in which an error was reported.
    noticed: u64,
}

impl Bench {
    pub fn new() -> Bench {
        let running: Arc<Mutex<Option<(Instant, String)>>> = Arc::default();
        let watched = Arc::downgrade(&running);
        std::thread::spawn(move || {
            while let Some(running) = watched.upgrade() {
                if let Some((since, case)) = &*running.lock().expect("no panic") {
                    if since.elapsed() > PATIENCE {
                        eprintln!("hangs: {case}");
                        std::process::abort();
                    }
                }
                drop(running);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Bench { running, failures: Vec::new(), cases: 0, noticed: 0 }
    }

    /// One case; the answer is what `verify`, or an earlier call, said.
    pub fn case(&mut self, name: &str, bytes: usize, run: impl FnOnce() -> Result<VerifyReport>) -> Option<Result<()>> {
        *self.running.lock().expect("no panic") = Some((Instant::now(), name.to_owned()));
        let held = allocator::watch();
        let done = catch_unwind(AssertUnwindSafe(run));
        let peak = allocator::peak_since(held);
        *self.running.lock().expect("no panic") = None;
        self.cases += 1;
        if peak > MEMORY_BYTES + bytes {
            self.failures.push(format!("{name}: took {peak} bytes of memory"));
        }
        match done {
            Ok(answer) => {
                self.noticed += u64::from(answer.is_err());
                if let Err(e @ Error::Internal(_)) = &answer {
                    self.failures.push(format!("{name}: {e}"));
                }
                Some(answer.map(|_| ()))
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
                self.failures.push(format!("{name}: panics: {}", text.unwrap_or_default()));
                None
            }
        }
    }

    /// A case on the simulated disk.
    fn files(&mut self, name: &str, files: &Files) -> Option<Result<()>> {
        let disk = files.on_disk();
        self.case(name, files.total(), || use_it(files::open(&disk)?))
    }

    pub fn finish(self) {
        println!("{} cases, {} noticed, {} failures", self.cases, self.noticed, self.failures.len());
        let shown = self.failures.iter().take(25).fold(String::new(), |all, failure| all + "\n  " + failure);
        assert!(self.failures.is_empty(), "{} of {} cases failed:{shown}", self.failures.len(), self.cases);
    }
}

/// Uses a database in every way, whatever it answers, and gives the answer of `verify`.
fn use_it(db: Database) -> Result<VerifyReport> {
    // Not dropped where a step panics: a second panic would end the process, and with it the count.
    let db = ManuallyDrop::new(db);
    let verified = db.verify();
    let _ = read(&db);
    let _ = write(&db);
    let _ = db.checkpoint();
    let _ = read(&db);
    let _ = db.stats();
    let _ = db.verify();
    let _ = db.close();
    drop(ManuallyDrop::into_inner(db));
    verified
}

/// Reads everything, and goes on with the next thing after each error.
fn read(db: &Database) -> Result<()> {
    let snapshot = db.snapshot()?;
    let mut names = snapshot.collection_names().unwrap_or_default();
    names.extend(["many", "text", "large", "empty", "gone"].map(str::to_owned));
    for name in names {
        let Ok(collection) = snapshot.collection::<Document>(&name) else { continue };
        let _ = collection.count_documents();
        let mut scan = collection.scan();
        let mut place = 0;
        while let Ok(Some(document)) = scan.next_raw() {
            place += 1;
            // Decoding all of them would be most of the time.
            let _ = if place % 16 == 0 { document.to_json().map(|_| 0) } else { Ok(document.iter().count()) };
        }
        let _ = collection.get_many((0..200_u64).map(|i| i * 977 * 15));
        for i in 0..40_u64 {
            let _ = collection.get(format!("key {}", i * 5));
            let _ = collection.get_raw([i as u8]).map(|d| d.map(|d| d.iter().count()));
        }
    }
    Ok(())
}

fn write(db: &Database) -> Result<()> {
    for name in ["many", "text", "large", "new"] {
        let collection = db.collection::<Document>(name);
        for i in 0..20_u64 {
            let _ = collection.put(&doc! { "_id": i * 977 * 100, "n": 1 });
            let _ = collection.put(&doc! { "text": "assigned" });
            let _ = collection.delete(format!("key {}", i * 9));
            let _ = collection.delete((i * 7 + 1) * 977);
            let _ = collection.delete([i as u8]);
        }
        let _ = collection.put(&doc! { "_id": "large", "text": "v".repeat(40_000) });
    }
    let _ = db.rename_collection("many", "renamed");
    let _ = db.drop_collection("text");
    Ok(())
}

fn with(files: &Files, change: impl FnOnce(&mut Files)) -> Files {
    let mut files = files.clone();
    change(&mut files);
    files
}

#[test]
fn the_files_to_damage_are_whole() {
    for files in [files::clean(), files::unclean()] {
        let disk = files.on_disk();
        let report = use_it(files::open(&disk).expect("opens")).expect("verifies");
        assert!(report.documents > 2000 && report.extents >= 4, "{report:?}");
        assert!((2..files.pages()).filter(|&page| files.is_unit(page)).count() > 50);
    }
    assert!(files::unclean().segments().len() > 1);
}

/// A flipped byte of a used page is found by `verify`, whatever the page holds; pages are told to be used by
/// that, and must be as many as the report says.
#[test]
fn every_flipped_byte_of_a_used_page_is_reported() {
    let files = files::clean();
    let report = files::open(&files.on_disk()).expect("opens").verify().expect("verifies");
    let (mut bench, mut rng) = (Bench::new(), Rng::new(nyro::testing::seed(1)));
    let mut used = 2;
    for page in 2..files.pages() {
        let mut offsets = vec![0, 8, 13, 14, 15, 16, 24, 32, 47, 48, 63, 64, PAGE - 1];
        offsets.extend((0..4).map(|_| rng.below(PAGE as u64) as usize));
        let noticed: Vec<bool> = offsets
            .iter()
            .map(|offset| {
                let bit = 1 << rng.below(8);
                let damaged = with(&files, |files| files.data()[page * PAGE + offset] ^= bit);
                let name = format!("page {page} offset {offset}: bit {bit:#x} flipped");
                bench.files(&name, &damaged).is_some_and(|answer| answer.is_err())
            })
            .collect();
        used += u64::from(noticed[0]);
        if noticed.iter().any(|&n| n != noticed[0]) {
            bench.failures.push(format!("page {page}: {offsets:?} flipped, noticed {noticed:?}"));
        }
    }
    bench.finish();
    assert_eq!(used, report.used_pages, "pages in which a flip was noticed");
}

/// Damage that the checksum does not show: values of every width at every place that structure may have.
#[test]
fn pages_with_wrong_content_and_a_right_checksum_give_errors_at_most() {
    let (mut bench, mut rng) = (Bench::new(), Rng::new(nyro::testing::seed(2)));
    let files = files::clean();
    for page in (2..files.pages()).filter(|&page| files.is_unit(page)) {
        let covered = files.covered(page);
        for _ in 0..25 {
            let offset = match rng.below(4) {
                0 => 14 + rng.below(50) as usize,
                1 => 48 + rng.below(200) as usize,
                2 => covered - 1 - rng.below(200) as usize,
                _ => 8 + rng.below(covered as u64 - 8) as usize,
            };
            let width = [1, 1, 2, 4, 6, 8][rng.below(6) as usize].min(covered - offset);
            let value = match rng.below(6) {
                0 => 0,
                1 => u64::MAX,
                2 => u64::MAX >> 1,
                3 => rng.below(files.pages() as u64 + 2),
                4 => rng.below(1 << 16),
                _ => rng.next_u64(),
            };
            let damaged = with(&files, |files| {
                files.data()[page * PAGE + offset..][..width].copy_from_slice(&value.to_le_bytes()[..width]);
                files.reseal(page, covered);
            });
            let kind = files.bytes()[page * PAGE + 14];
            bench.files(&format!("page {page} (kind {kind}) offset {offset}: {value:#x}, {width} bytes"), &damaged);
        }
    }
    bench.finish();
}

#[test]
fn pages_in_the_place_of_others_give_errors_at_most() {
    let (mut bench, mut rng) = (Bench::new(), Rng::new(nyro::testing::seed(3)));
    let files = files::clean();
    let units: Vec<usize> = (2..files.pages()).filter(|&page| files.is_unit(page)).collect();
    for page in 0..files.pages() {
        let zeroed = with(&files, |files| files.data()[page * PAGE..][..PAGE].fill(0));
        bench.files(&format!("page {page} zeroed"), &zeroed);
    }
    for case in 0..800 {
        let (from, to) = (*rng.pick(&units), *rng.pick(&units));
        let sealed = case % 3 != 0;
        let swap = rng.chance(0.5);
        let damaged = with(&files, |changed| {
            let mut place = |source: usize, target: usize| {
                let bytes = files.bytes()[source * PAGE..][..PAGE].to_vec();
                changed.data()[target * PAGE..][..PAGE].copy_from_slice(&bytes);
                if sealed {
                    changed.data()[target * PAGE + 8..][..6].copy_from_slice(&(target as u64).to_le_bytes()[..6]);
                    let covered = changed.covered(target);
                    changed.reseal(target, covered);
                }
            };
            place(from, to);
            if swap {
                place(to, from);
            }
        });
        bench.files(&format!("page {from} in place of {to}, swapped: {swap}, sealed: {sealed}"), &damaged);
    }
    bench.finish();
}

#[test]
fn meta_pages_with_any_values_give_errors_at_most() {
    let (mut bench, mut rng) = (Bench::new(), Rng::new(nyro::testing::seed(4)));
    for (kind, files) in [("clean", files::clean()), ("unclean", files::unclean())] {
        for offset in (0..320).step_by(4) {
            for value in [0, 1, 5, 1 << 20, 1 << 31, u64::MAX >> 1, u64::MAX, rng.next_u64()] {
                for width in [4, 8] {
                    let damaged = with(&files, |files| {
                        for page in 0..2 {
                            let at = page * PAGE + offset;
                            files.data()[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
                            files.reseal_meta(page);
                        }
                    });
                    bench.files(&format!("{kind} meta offset {offset}: {value:#x}, {width} bytes"), &damaged);
                }
            }
        }
    }
    bench.finish();
}

#[test]
fn damaged_logs_give_errors_at_most() {
    let (mut bench, mut rng) = (Bench::new(), Rng::new(nyro::testing::seed(5)));
    let files = files::unclean();
    for segment in files.segments() {
        let length = files.0[segment].1.len();
        let frames = files::frames(&files.0[segment].1);
        for case in 0..150 {
            let offset = match case % 2 {
                0 => rng.below(600) as usize,
                _ => rng.below(length as u64) as usize,
            };
            let bit = 1 << rng.below(8);
            let damaged = with(&files, |files| files.0[segment].1[offset] ^= bit);
            bench.files(&format!("segment {segment} offset {offset}: bit {bit:#x} flipped"), &damaged);
        }
        for _ in 0..40 {
            let to = rng.below(length as u64) as usize;
            let damaged = with(&files, |files| files.0[segment].1.truncate(to));
            bench.files(&format!("segment {segment} cut to {to} bytes"), &damaged);
        }
        for _ in 0..if frames.is_empty() { 0 } else { 500 } {
            let (at, size) = *rng.pick(&frames);
            let offset = 8 + rng.below(size as u64 - 8) as usize;
            let value = [0, 0xff, 0x7f, 0x81, rng.next_u64() as u8][rng.below(5) as usize];
            let damaged = with(&files, |files| {
                files.0[segment].1[at + offset] = value;
                files.reseal_frames(segment, at);
            });
            bench.files(&format!("segment {segment} frame at {at} offset {offset}: {value:#x}, sealed"), &damaged);
        }
        let removed = with(&files, |files| drop(files.0.remove(segment)));
        bench.files(&format!("segment {segment} removed"), &removed);
    }
    bench.finish();
}

/// On the real disk, through the mapping, with background threads: where a cut file would end a careless
/// process with a signal.
#[test]
fn damaged_files_on_the_real_disk_give_errors_at_most() {
    let (mut bench, mut rng) = (Bench::new(), Rng::new(nyro::testing::seed(6)));
    let dir = TempDir::new().expect("a directory");
    let run = |files: &Files| {
        for entry in std::fs::read_dir(dir.path()).expect("the directory") {
            std::fs::remove_file(entry.expect("an entry").path()).expect("removes");
        }
        for (name, bytes) in &files.0 {
            std::fs::write(dir.path().join(name), bytes).expect("writes");
        }
        use_it(Database::open_with(dir.path().join(files::NAME), files::config().options)?)
    };
    for (kind, files) in [("clean", files::clean()), ("unclean", files::unclean())] {
        let length = files.bytes().len();
        let mut lengths: BTreeSet<usize> = [0, 1, 7, 8, 4095, 4096, 8191, 8192, 8193, length - 1].into();
        lengths.extend((0..60).map(|_| rng.below(length as u64) as usize));
        lengths.extend((0..60).map(|_| rng.below((length / PAGE) as u64) as usize * PAGE));
        for to in lengths {
            let cut = with(&files, |files| files.data().truncate(to));
            let answer = bench.case(&format!("{kind} cut to {to} bytes"), length, || run(&cut));
            if kind == "clean" && to > 0 && to + 16 * PAGE < length && matches!(answer, Some(Ok(()))) {
                bench.failures.push(format!("{kind} cut to {to} bytes: not noticed"));
            }
        }
        // Shorter in the meta pages too: pages lie beyond the end of a file that is as long as it should be.
        for pages in (4..files.pages() as u64).step_by(3) {
            let cut = with(&files, |cut| {
                assert_eq!(u64_at(cut.bytes(), FILE_PAGES_AT), files.pages() as u64);
                cut.data().truncate(pages as usize * PAGE);
                for page in 0..2 {
                    put_u64(cut.data(), page * PAGE + FILE_PAGES_AT, pages);
                    cut.reseal_meta(page);
                }
            });
            bench.case(&format!("{kind} cut to {pages} pages, and says so"), length, || run(&cut));
        }
        for _ in 0..150 {
            let (page, offset) = (rng.below(files.pages() as u64) as usize, rng.below(PAGE as u64) as usize);
            let damaged = with(&files, |files| files.data()[page * PAGE + offset] ^= 0x10);
            bench.case(&format!("{kind} page {page} offset {offset} flipped"), length, || run(&damaged));
        }
    }
    bench.finish();
}
