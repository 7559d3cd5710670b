//! `nyro bench`: what this machine and this disk do with NyroDB, in some seconds.
//!
//! ```text
//!   load        batches of 1 000 documents of some 200 bytes, then close (everything is in the file)
//!   open        a file that was closed
//!   get         random ids, one by one; by 64; all of them by a scan
//!   update      one document a commit, in each durability
//! ```
//!
//! One thread calls. The file is made in a folder of its own, which is removed at the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nyro::{doc, Database, Document, Durability, InsertManyOptions, Latency, Options, RawDocument, RawDocumentBuf};
use serde_json::json;

use crate::args::Bench;
use crate::progress;
use crate::random::{fresh_seed, Random};
use crate::report::{grouped, print, size, Failure, Result};

/// Documents committed together by the load.
const BATCH: usize = 1000;

/// One figure.
struct Row {
    name: &'static str,
    count: u64,
    took: Duration,
    /// Of single operations, in nanoseconds, where they were timed.
    latency: Option<Latency>,
}

impl Row {
    fn per_second(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// A folder that is removed with all that is in it.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it in `parent`, which must be there.
    pub fn new(parent: &Path, what: &str) -> Result<Folder> {
        let path = parent.join(format!("nyro-{what}-{}", std::process::id()));
        fs::create_dir(&path).map_err(|e| Failure::Io { doing: format!("making {}", path.display()), error: e })?;
        Ok(Folder(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Leaves it where it is.
    pub fn keep(self) -> PathBuf {
        let path = self.0.clone();
        std::mem::forget(self);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the verb.
pub fn run(args: &Bench, json: bool) -> Result<()> {
    let folder = Folder::new(&args.dir, "bench")?;
    let mut bench = Measuring {
        path: folder.path().join("bench.nyro"),
        documents: args.documents,
        each: Duration::from_secs_f64(args.seconds.0),
        random: Random::new(fresh_seed()),
        rows: Vec::new(),
        token: progress::interruption(),
    };
    let data_bytes = bench.load()?;
    let file_bytes = fs::metadata(&bench.path).map_err(|e| Failure::read(Some(&bench.path), e))?.len();
    bench.read()?;
    for (name, durability) in [
        ("update, manual", Durability::Manual),
        ("update, interval:100", Durability::Interval(100)),
        ("update, sync", Durability::Sync),
    ] {
        bench.update(name, durability)?;
    }
    let text = match json {
        true => to_json(&bench.rows, args.documents, data_bytes, file_bytes),
        false => table(&bench.rows, args.documents, data_bytes, file_bytes),
    };
    print(&text)
}

struct Measuring {
    path: PathBuf,
    documents: u64,
    /// How long each part takes, at most.
    each: Duration,
    random: Random,
    rows: Vec<Row>,
    token: nyro::CancelToken,
}

impl Measuring {
    fn open(&self, durability: Durability) -> Result<Database> {
        Ok(Database::open_with(&self.path, Options { durability, ..crate::options() })?)
    }

    fn add(&mut self, name: &'static str, count: u64, took: Duration, latency: Option<Latency>) {
        self.rows.push(Row { name, count, took, latency: latency.filter(|latency| latency.count > 0) });
    }

    /// Stops between two pieces of work when Ctrl-C was pressed.
    fn go_on(&self) -> Result<()> {
        match self.token.is_cancelled() {
            true => Err(nyro::Error::Cancelled.into()),
            false => Ok(()),
        }
    }

    fn document(&mut self, id: u64) -> Result<RawDocumentBuf> {
        let r = self.random.next();
        let document = doc! {
            "_id": id,
            "name": format!("Person {:08x}", r as u32),
            "email": format!("person{:x}@example.org", r >> 32),
            "age": (r % 90) as i64,
            "city": "Springfield",
            "score": (r % 10_000) as f64 / 7.0,
            "active": r & 1 == 1,
            "note": "a note of fifty letters or so, to have some length"
        };
        Ok(RawDocumentBuf::from_serialize(&document)?)
    }

    /// Gives the bytes of all documents.
    fn load(&mut self) -> Result<u64> {
        let db = self.open(Durability::Manual)?;
        let people = db.collection::<Document>("people");
        let (mut took, mut bytes) = (Duration::ZERO, 0);
        let mut id = 0;
        while id < self.documents {
            self.go_on()?;
            let last = (id + BATCH as u64).min(self.documents);
            let batch = (id..last).map(|id| self.document(id)).collect::<Result<Vec<_>>>()?;
            bytes += batch.iter().map(|d| d.as_bytes().len() as u64).sum::<u64>();
            let start = Instant::now();
            people.insert_many_raw(batch.iter().map(|d| -> &RawDocument { d }), InsertManyOptions::default())?;
            took += start.elapsed();
            id = last;
        }
        let start = Instant::now();
        db.close()?;
        let closing = start.elapsed();
        self.add("load", self.documents, took + closing, None);
        Ok(bytes)
    }

    fn read(&mut self) -> Result<()> {
        let start = Instant::now();
        let db = self.open(Durability::Manual)?;
        self.add("open", 1, start.elapsed(), None);
        let people = db.collection::<Document>("people");
        let (count, took) = self.repeat(|random, documents| {
            let id = random.below(documents);
            std::hint::black_box(people.get_raw_with(id, |d| d.as_bytes().len())?);
            Ok(1)
        })?;
        let latency = db.stats()?.get_latency;
        self.add("get", count, took, Some(latency));
        let snapshot = db.snapshot()?;
        let frozen = snapshot.collection::<Document>("people")?;
        let (count, took) = self.repeat(|random, documents| {
            let ids: [u64; 64] = std::array::from_fn(|_| random.below(documents));
            frozen.get_many_raw(ids, |_, d| {
                std::hint::black_box(d);
                Ok(())
            })?;
            Ok(64)
        })?;
        self.add("get, 64 at once", count, took, None);
        let (count, took) = self.repeat(|_, _| {
            let (mut scan, mut n) = (people.scan()?, 0);
            while let Some(document) = scan.next_raw()? {
                std::hint::black_box(document);
                n += 1;
            }
            Ok(n)
        })?;
        self.add("scan", count, took, None);
        drop(snapshot);
        Ok(db.close()?)
    }

    fn update(&mut self, name: &'static str, durability: Durability) -> Result<()> {
        let db = self.open(durability)?;
        let people = db.collection::<Document>("people");
        // Some, so that making them is not what is measured.
        let fresh = (0..BATCH as u64).map(|_| {
            let id = self.random.below(self.documents);
            self.document(id)
        });
        let fresh = fresh.collect::<Result<Vec<_>>>()?;
        let mut next = fresh.iter().cycle();
        let (count, took) = self.repeat(|_, _| {
            if let Some(document) = next.next() {
                people.put_raw(document)?;
            }
            Ok(1)
        })?;
        let latency = db.stats()?.commit_latency;
        self.add(name, count, took, Some(latency));
        Ok(db.close()?)
    }

    /// Does a piece of work again and again, for the time that each part has. Gives how much was done.
    fn repeat(&mut self, mut work: impl FnMut(&mut Random, u64) -> nyro::Result<u64>) -> Result<(u64, Duration)> {
        let start = Instant::now();
        let mut done = 0;
        loop {
            // The clock and the token are looked at now and then only.
            for _ in 0..16 {
                done += work(&mut self.random, self.documents)?;
                if start.elapsed() > self.each {
                    break;
                }
            }
            self.go_on()?;
            let took = start.elapsed();
            if took >= self.each {
                return Ok((done, took));
            }
        }
    }
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

fn to_json(rows: &[Row], documents: u64, data_bytes: u64, file_bytes: u64) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "name": row.name, "count": row.count, "seconds": row.took.as_secs_f64(),
                "per_second": row.per_second(),
                "p50_us": row.latency.map(|l| micros(l.p50)), "p99_us": row.latency.map(|l| micros(l.p99)),
                "max_us": row.latency.map(|l| micros(l.max)),
            })
        })
        .collect();
    let object = json!({ "documents": documents, "data_bytes": data_bytes, "file_bytes": file_bytes, "results": rows });
    format!("{object}\n")
}

fn table(rows: &[Row], documents: u64, data_bytes: u64, file_bytes: u64) -> String {
    let mut text = format!("{:<22} {:>14} {:>12} {:>12} {:>12}\n", "", "a second", "median", "99 of 100", "longest");
    let time = |nanos: u64| match micros(nanos) {
        us if us < 1000.0 => format!("{us:.1} µs"),
        us => format!("{:.1} ms", us / 1000.0),
    };
    for row in rows {
        let times = match row.latency {
            Some(l) => format!(" {:>12} {:>12} {:>12}", time(l.p50), time(l.p99), time(l.max)),
            None if row.count == 1 => format!(" {:>12}", time(row.took.as_nanos() as u64)),
            None => String::new(),
        };
        let rate = if row.count == 1 { String::new() } else { grouped(row.per_second() as u64) };
        text.push_str(&format!("{:<22} {rate:>14}{times}\n", row.name));
    }
    let ratio = file_bytes as f64 / data_bytes.max(1) as f64;
    text.push_str(&format!(
        "{} documents of {} in all; the file had {} after the load, {ratio:.2} times as much\n",
        grouped(documents),
        size(data_bytes),
        size(file_bytes)
    ));
    text
}
