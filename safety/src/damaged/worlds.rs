//! The files that are damaged, and what they held after each of their commits.
//!
//! ```text
//!   many     1 500 small documents: hash tries with nodes, blocks one behind the other          closed
//!   large    documents in extents, of one piece and of several                                  closed
//!   worn     many checkpoints, collections renamed and dropped, closed and opened, pages used again   closed
//!   log      a checkpoint, and a log of 64 KiB that is nearly full                              not closed
//!   reused   small segments, given up and used again by checkpoints; each commit synced         not closed
//! ```
//!
//! A world is small, so that a case takes less than a millisecond. It also has its older copies: the same files at some
//! moments before.

use crate::files::{u32_at, u64_at, Files, NAME, PAGE};
use crate::layout::{key_of, Layout};
use nyro::testing::{self, Disk, Env, Rng, SimDisk, SimEnv, SimOptions, TestConfig};
use nyro::{doc, Database, Document, Durability, Options, RawDocumentBuf, ReadMode, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use xxhash_rust::xxh3::xxh3_64;

/// A document as it is stored: its bytes, and what they are to be found by.
pub struct Stored {
    pub document: RawDocumentBuf,
    pub hash: u64,
}

/// A collection: its documents by the bytes of their ids.
pub type Held = BTreeMap<Vec<u8>, Arc<Stored>>;

/// All that was visible after a commit.
#[derive(Clone, Default)]
pub struct State {
    pub collections: BTreeMap<String, Held>,
    pub digest: u64,
}

/// A frame of the log that holds a commit.
#[derive(Clone)]
pub struct Frame {
    pub segment: String,
    pub at: usize,
    pub size: usize,
    pub end_lsn: u64,
    pub claim: u64,
    /// The state after it.
    pub state: usize,
}

/// The files of a moment.
pub struct Copy {
    pub files: Files,
    pub state: usize,
}

/// See the module's text.
pub struct World {
    pub name: &'static str,
    pub files: Files,
    pub layout: Layout,
    /// After each commit; the last is what the files hold.
    pub states: Vec<State>,
    /// The state of the last checkpoint.
    pub base: usize,
    pub older: Vec<Copy>,
    /// Commits in the log, in order.
    pub frames: Vec<Frame>,
    /// Pages that the checkpoint reaches.
    pub used: Vec<bool>,
}

pub struct Worlds {
    pub many: World,
    pub large: World,
    pub worn: World,
    pub log: World,
    /// The files of `log` as they would be had its texts been others: frame for frame in the same places.
    pub apart: Files,
    pub reused: World,
}

impl World {
    pub fn last(&self) -> usize {
        self.states.len() - 1
    }

    /// The least state that the log, as it is in `files`, proves to have been durable: what its whole frames claim.
    pub fn claimed_by<'f>(&'f self, files: &'f Files) -> usize {
        let bytes = |files: &'f Files, frame: &Frame| {
            let segment = files.0.iter().find(|(name, _)| *name == frame.segment);
            segment.and_then(|(_, bytes)| bytes.get(frame.at..frame.at + frame.size))
        };
        let intact = |frame: &&Frame| bytes(files, frame).is_some_and(|there| Some(there) == bytes(&self.files, frame));
        let claim = self.frames.iter().filter(intact).map(|frame| frame.claim).max().unwrap_or(0);
        let proven = self.frames.iter().filter(|frame| frame.end_lsn <= claim).map(|frame| frame.state);
        proven.max().unwrap_or(0)
    }
}

impl Worlds {
    /// The worlds of a seed, made once.
    pub fn of(seed: u64) -> Arc<Worlds> {
        static MADE: Mutex<Option<(u64, Arc<Worlds>)>> = Mutex::new(None);
        let mut made = MADE.lock().unwrap_or_else(|e| e.into_inner());
        match &*made {
            Some((of, worlds)) if *of == seed => worlds.clone(),
            _ => {
                let worlds = Arc::new(Worlds::make(seed));
                *made = Some((seed, worlds.clone()));
                worlds
            }
        }
    }

    fn make(seed: u64) -> Worlds {
        Worlds {
            many: many(seed ^ 1).closed(),
            large: large(seed ^ 2).closed(),
            worn: worn(seed ^ 3).closed(),
            log: log(seed ^ 4, false).left(),
            apart: log(seed ^ 4, true).left().files,
            reused: reused(seed ^ 5).left(),
        }
    }

    pub fn closed(&self) -> [&World; 3] {
        [&self.many, &self.large, &self.worn]
    }

    pub fn with_log(&self) -> [&World; 2] {
        [&self.log, &self.reused]
    }
}

/// How a file is opened.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    pub read_only: bool,
    pub read_mode: ReadMode,
}

fn config(durability: Durability, segment_bytes: u64, log_max_bytes: u64) -> TestConfig {
    let options = Options { durability, log_max_bytes, cache_bytes: 2 << 20, ..Options::default() };
    TestConfig { options, segment_bytes, ..TestConfig::default() }
}

/// Opens damaged files.
pub fn open(disk: Arc<dyn Disk>, env: Arc<dyn Env>, way: Way) -> Result<Database> {
    let mut config = config(Durability::Manual, 64 << 10, 1 << 20);
    config.options.read_only = way.read_only;
    config.options.read_mode = way.read_mode;
    testing::open(disk, env, NAME, &config)
}

pub fn disk_of(files: &Files) -> SimDisk {
    SimDisk::from_files(SimOptions { file_capacity: 4 << 20, seed: 0 }, files.0.clone())
}

/// Makes a world commit by commit.
struct Builder {
    name: &'static str,
    disk: SimDisk,
    db: Database,
    rng: Rng,
    /// All texts are others, of the same length.
    apart: bool,
    now: BTreeMap<String, Held>,
    states: Vec<State>,
    /// The number of each state's commit.
    commits: Vec<u64>,
    older: Vec<Copy>,
}

impl Builder {
    fn new(name: &'static str, seed: u64, config: &TestConfig) -> Builder {
        let disk = SimDisk::new(SimOptions { file_capacity: 4 << 20, seed: 0 });
        let db = testing::open(Arc::new(disk.clone()), Arc::new(SimEnv::new(seed)), NAME, config).expect("opens");
        let states = vec![State::default()];
        Builder {
            name,
            disk,
            db,
            rng: Rng::new(seed),
            apart: false,
            now: BTreeMap::new(),
            states,
            commits: vec![0],
            older: Vec::new(),
        }
    }

    /// One commit with these documents.
    fn put(&mut self, collection: &str, documents: &[Document]) {
        let raw: Vec<RawDocumentBuf> =
            documents.iter().map(|document| RawDocumentBuf::from_serialize(document).expect("a document")).collect();
        self.db.collection::<Document>(collection).put_many_raw(raw.iter().map(|raw| &**raw)).expect("puts");
        let held = self.now.entry(collection.to_owned()).or_default();
        for document in raw {
            let hash = xxh3_64(document.as_bytes());
            held.insert(key_of(document.as_bytes()).to_vec(), Arc::new(Stored { document, hash }));
        }
        self.committed();
    }

    fn delete(&mut self, collection: &str, nth: u64) {
        let held = self.now.get_mut(collection).expect("a collection");
        let Some(key) = held.keys().nth(nth as usize % held.len().max(1)).cloned() else { return };
        let stored = held.remove(&key).expect("it is there");
        let id = stored.document.id().expect("an id");
        assert!(self.db.collection::<Document>(collection).delete(id).expect("deletes"));
        self.committed();
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.db.rename_collection(from, to).expect("renames");
        let held = self.now.remove(from).expect("a collection");
        self.now.insert(to.to_owned(), held);
        self.committed();
    }

    fn drop_collection(&mut self, name: &str) {
        assert!(self.db.drop_collection(name).expect("drops"));
        self.now.remove(name);
        self.committed();
    }

    fn committed(&mut self) {
        self.states.push(State { collections: self.now.clone(), digest: digest(&self.now) });
        self.commits.push(self.db.snapshot().expect("a snapshot").commit());
    }

    fn checkpoint(&mut self) {
        self.db.checkpoint().expect("a checkpoint");
    }

    fn files(&self) -> Files {
        let names = self.disk.file_names().into_iter();
        Files(names.map(|name| (name.clone(), self.disk.read_file(&name))).collect())
    }

    /// Closes, keeps a copy, and opens again.
    fn reopen(&mut self, config: &TestConfig) {
        self.db.close().expect("closes");
        self.keep();
        let env = Arc::new(SimEnv::new(self.rng.next_u64()));
        self.db = testing::open(Arc::new(self.disk.clone()), env, NAME, config).expect("opens");
    }

    /// Keeps a copy of the files as they are.
    fn keep(&mut self) {
        self.older.push(Copy { files: self.files(), state: self.states.len() - 1 });
    }

    fn text(&mut self, bytes: u64) -> String {
        let number = self.rng.next_u64() ^ if self.apart { u64::MAX } else { 0 };
        format!("{number:016x}").repeat(bytes as usize / 16 + 1)[..bytes as usize].to_owned()
    }

    fn closed(self) -> World {
        self.db.close().expect("closes");
        self.finish()
    }

    fn left(self) -> World {
        testing::abandon(self.db.clone());
        self.finish()
    }

    fn finish(self) -> World {
        let files = self.files();
        let (layout, used) = (Layout::of(&files), used_pages(&files));
        let frames = commits_of(&files, &self.commits);
        let commit = u64_at(files.bytes(), 88);
        let base = self.commits.iter().position(|known| *known == commit).expect("the checkpoint's commit");
        World { name: self.name, base, layout, used, frames, files, states: self.states, older: self.older }
    }
}

/// A number for all that is visible.
fn digest(now: &BTreeMap<String, Held>) -> u64 {
    digest_of(now.iter().map(|(name, held)| {
        let sum = held.values().fold(0, |sum: u64, stored| sum.wrapping_add(stored.hash));
        (name.as_str(), (held.len() as u64, sum))
    }))
}

/// The same from the number of documents of each collection and the sum of their hashes.
pub fn digest_of<'a>(collections: impl IntoIterator<Item = (&'a str, (u64, u64))>) -> u64 {
    collections.into_iter().fold(0, |all: u64, (name, (n, sum))| {
        let mut bytes = name.as_bytes().to_vec();
        bytes.extend([n, sum].iter().flat_map(|number| number.to_le_bytes()));
        all.wrapping_add(xxh3_64(&bytes))
    })
}

/// The bits of the first chunk of the free space; no world has more pages than that.
fn used_pages(files: &Files) -> Vec<bool> {
    let bytes = files.bytes();
    let root = (u64_at(bytes, 168) & 0xffff_ffff_ffff) as usize;
    assert_eq!(bytes[174], 0, "one chunk");
    let chunk = &bytes[root * PAGE..][..PAGE];
    (0..files.pages()).map(|page| chunk[64 + page / 8] >> (page % 8) & 1 == 1).collect()
}

/// The commits in the segments of the epoch that the meta page names, each from the front.
fn commits_of(files: &Files, commits: &[u64]) -> Vec<Frame> {
    let mut found = Vec::new();
    for segment in files.segments() {
        let (name, bytes) = &files.0[segment];
        if u64_at(bytes, 0) == 0 || u64_at(bytes, 32) != u64_at(files.bytes(), 96) {
            continue;
        }
        let start = u64_at(bytes, 40);
        let mut at = 512;
        // Frames of an earlier use of the segment name other places.
        while at + 48 <= bytes.len()
            && (1..=3).contains(&bytes[at + 12])
            && u64_at(bytes, at + 16) == start + at as u64 - 512
        {
            let size = 48 + (u32_at(bytes, at + 8) as usize).next_multiple_of(8);
            let state = commits.iter().position(|commit| *commit == u64_at(bytes, at + 24));
            let end_lsn = start + (at + size) as u64 - 512;
            let claim = u64_at(bytes, at + 32);
            let state = state.expect("each commit is known");
            found.push(Frame { segment: name.clone(), at, size, end_lsn, claim, state });
            at += size;
        }
    }
    found.sort_by_key(|frame| frame.end_lsn);
    found
}

fn many(seed: u64) -> Builder {
    let mut b = Builder::new("many", seed, &config(Durability::Manual, 64 << 10, 1 << 20));
    let documents: Vec<Document> = (0..1500_u64).map(|i| doc! { "_id": i * 977, "n": i }).collect();
    b.put("many", &documents);
    let few: Vec<Document> = (0..20_u64).map(|i| doc! { "_id": format!("key {i}"), "n": i }).collect();
    b.put("few", &few);
    b.checkpoint();
    b.keep();
    for i in 0..40 {
        b.delete("many", i * 31);
    }
    b.checkpoint();
    b.keep();
    let again: Vec<Document> = (0..200_u64).map(|i| doc! { "_id": i * 977 * 5, "again": i }).collect();
    b.put("many", &again);
    b
}

fn large(seed: u64) -> Builder {
    let mut b = Builder::new("large", seed, &config(Durability::Manual, 64 << 10, 1 << 20));
    for (id, bytes) in [(0_u8, 17_000), (1, 40_000), (2, 70_000), (3, 140_000), (4, 20_000)] {
        let text = b.text(bytes + u64::from(id));
        b.put("large", &[doc! { "_id": (&[id]), "text": text }]);
    }
    b.checkpoint();
    b.keep();
    let texts: Vec<Document> =
        (0..25_u64).map(|i| doc! { "_id": format!("{i}"), "text": "x".repeat(i as usize * 120) }).collect();
    b.put("text", &texts);
    b.delete("large", 1);
    b.checkpoint();
    b.keep();
    let text = b.text(18_000);
    b.put("large", &[doc! { "_id": (&[0_u8]), "text": text }]);
    b
}

fn worn(seed: u64) -> Builder {
    let config = config(Durability::Manual, 64 << 10, 1 << 20);
    let mut b = Builder::new("worn", seed, &config);
    for round in 0..14_u64 {
        for name in ["a", "b", "c"] {
            let documents: Vec<Document> = (0..30)
                .map(|_| {
                    let (id, bytes) = (b.rng.below(90), b.rng.below(250));
                    let text = b.text(bytes);
                    doc! { "_id": id, "round": round, "text": text }
                })
                .collect();
            b.put(name, &documents);
        }
        let nth = b.rng.below(60);
        b.delete("b", nth);
        match round % 4 {
            1 => b.rename("c", &format!("c of round {round}")),
            3 => b.drop_collection(&format!("c of round {}", round - 2)),
            _ => {}
        }
        if round % 2 == 0 {
            let text = b.text(17_000 + round * 900);
            b.put("a", &[doc! { "_id": "large", "text": text }]);
        }
        b.checkpoint();
        b.keep();
        b.reopen(&config);
    }
    b
}

fn log(seed: u64, apart: bool) -> Builder {
    let mut b = Builder::new("log", seed, &config(Durability::Manual, 64 << 10, 1 << 20));
    b.apart = apart;
    let documents: Vec<Document> = (0..200_u64).map(|i| doc! { "_id": i, "n": i }).collect();
    b.put("many", &documents);
    b.put("going", &documents[..10]);
    b.checkpoint();
    for i in 0..250_u64 {
        let text = b.text(if i % 10 == 0 { 900 } else { i % 130 });
        b.put("many", &[doc! { "_id": i * 3, "text": text }]);
        match i {
            _ if i % 16 == 15 => b.delete("many", i),
            100 => b.drop_collection("going"),
            120 => {
                b.rename("many", "renamed");
                b.rename("renamed", "many");
            }
            _ => {}
        }
        if i % 50 == 20 {
            b.db.sync().expect("syncs");
            b.keep();
        }
    }
    let text = b.text(18_000);
    b.put("large", &[doc! { "_id": "large", "text": text }]);
    b
}

fn reused(seed: u64) -> Builder {
    let mut b = Builder::new("reused", seed, &config(Durability::Sync, 4096, 64 << 10));
    let documents: Vec<Document> = (0..60_u64).map(|i| doc! { "_id": i, "n": i }).collect();
    b.put("c", &documents);
    b.keep();
    for i in 0..160_u64 {
        let bytes = b.rng.below(200);
        let (id, text) = (b.rng.below(80), b.text(bytes));
        b.put("c", &[doc! { "_id": id, "text": text }]);
        if i % 12 == 11 {
            b.delete("c", i);
        }
        if i % 40 == 30 {
            b.checkpoint();
        }
        if i % 16 == 5 {
            b.keep();
        }
    }
    b
}
