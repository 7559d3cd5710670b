//! The bench on which damaged files are opened: it watches over each case, and keeps what went wrong.
//!
//! ```text
//!   a real file --mutation--> case --> Ok or Err, within 5 s, within 64 MiB beyond the size of the file
//! ```
//!
//! The lane `damaged` of `safety/` is where files are damaged in every way, by the hundred thousand; here are only
//! a few, so that a mistake shows before that runs.

use crate::allocator;
use crate::files::{self, Files, NAME, PAGE};
use nyro::testing::{self, Rng, SimDisk, SimOptions};
use nyro::{doc, Document, Error, Result, Value, VerifyReport};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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

    pub fn finish(self) {
        println!("{} cases, {} noticed, {} failures", self.cases, self.noticed, self.failures.len());
        let shown = self.failures.iter().take(25).fold(String::new(), |all, failure| all + "\n  " + failure);
        assert!(self.failures.is_empty(), "{} of {} cases failed:{shown}", self.failures.len(), self.cases);
    }
}

fn read_everything(files: &Files) -> Result<VerifyReport> {
    let db = files::open(&files.on_disk())?;
    let snapshot = db.snapshot()?;
    for name in snapshot.collection_names()? {
        for document in snapshot.collection::<Document>(&name)?.scan() {
            document?;
        }
    }
    db.verify()
}

#[test]
fn a_flipped_byte_of_a_used_page_is_reported() {
    let files = files::clean();
    let report = read_everything(&files).expect("whole");
    assert!(report.documents > 2000 && report.extents >= 4, "{report:?}");
    let (mut bench, mut rng) = (Bench::new(), Rng::new(nyro::testing::seed(1)));
    let mut noticed = 2;
    for page in 2..files.pages() {
        let mut damaged = files.clone();
        damaged.data()[page * PAGE + rng.below(PAGE as u64) as usize] ^= 1 << rng.below(8);
        let answer = bench.case(&format!("page {page} flipped"), files.total(), || read_everything(&damaged));
        noticed += u64::from(answer.is_some_and(|answer| answer.is_err()));
    }
    bench.finish();
    assert_eq!(noticed, report.used_pages, "pages in which a flip was noticed");
}

/// Where an older meta page stands in place of the last ones (a file that was restored in part), the pages of its
/// checkpoint may be used for others by now. They are whole, and of the same kind.
#[test]
fn an_older_meta_page_shows_its_own_checkpoint_or_an_error_and_nothing_in_between() {
    let disk = SimDisk::new(SimOptions { file_capacity: 8 << 20, seed: 0 });
    let mut metas = Vec::new();
    let rounds = 20_u64;
    for round in 0..rounds {
        let db = files::open(&disk).expect("opens");
        for id in 0..30_u64 {
            let document = doc! { "_id": id, "round": round, "text": "x".repeat((id * round) as usize % 300) };
            db.collection::<Document>("c").put(&document).expect("puts");
        }
        db.create_collection(&format!("of round {round}")).expect("creates");
        db.close().expect("closes");
        metas.push(disk.read_file(NAME)[..2 * PAGE].to_vec());
    }
    let newest = disk.read_file(NAME);
    let mut refused = 0;
    for (round, older) in metas.iter().enumerate() {
        let mut bytes = newest.clone();
        bytes[..2 * PAGE].copy_from_slice(older);
        let disk = Files(vec![(NAME.to_owned(), bytes)]).on_disk();
        let Ok(db) = files::open(&disk) else { continue };
        match db.collection_names() {
            Ok(names) => assert_eq!(names.len(), round + 2, "names of another checkpoint than that of round {round}"),
            Err(e) => assert!(matches!(e, Error::Corrupt(_)), "{e}"),
        }
        for id in 0..30_u64 {
            match db.collection::<Document>("c").get(id) {
                Ok(document) => assert_eq!(document.expect("it was there")["round"], Value::from(round as u64)),
                Err(e) => {
                    refused += 1;
                    assert!(matches!(e, Error::Corrupt(_)), "{e}");
                }
            }
        }
        testing::abandon(db);
    }
    assert!(refused > 100, "{refused} errors: no page was used again");
}
