//! The files that are damaged, and what they held after each of their commits.
//!
//! ```text
//!   many     1 500 small documents: hash tries with nodes, blocks one behind the other          closed
//!   large    documents in extents, of one piece and of several                                  closed
//!   worn     many checkpoints, collections renamed and dropped, closed and opened, pages used again   closed
//!   log      a checkpoint, and a log of 64 KiB that is nearly full                              not closed
//!   keys     keyspaces over several sets and levels of runs, ranges, large values, one dropped    closed
//!   reused   small segments, given up and used again by checkpoints; each commit synced         not closed
//! ```
//!
//! A world is small, so that a case takes less than a millisecond. It also has its older copies: the same files at some
//! moments before.

use crate::files::{u32_at, u64_at, Files, NAME, PAGE};
use crate::layout::{self, key_of, Layout};
use nyro::testing::{self, Disk, Env, Rng, SimDisk, SimEnv, SimOptions, TestConfig};
use nyro::{doc, Database, Document, Durability, Options, RawDocumentBuf, ReadMode, Result};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Offset of the root of the manifest in a meta page.
const MANIFEST_AT: usize = 192;

/// A document as it is stored: its bytes, and what they are to be found by.
pub struct Stored {
    pub document: RawDocumentBuf,
    pub hash: u64,
}

/// A collection: its documents by the bytes of their ids.
pub type Held = BTreeMap<Vec<u8>, Arc<Stored>>;

/// A value of a keyspace, and a number for it and its key.
#[derive(Clone)]
pub struct Valued {
    pub value: Arc<[u8]>,
    pub hash: u64,
}

/// A keyspace.
pub type Keys = BTreeMap<Vec<u8>, Valued>;

/// All that was visible after a commit.
#[derive(Clone, Default)]
pub struct State {
    pub collections: BTreeMap<String, Held>,
    pub keyspaces: BTreeMap<String, Arc<Keys>>,
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

/// Where a run of the sorted index lies.
pub struct RunAt {
    pub page: usize,
    pub leaf_pages: usize,
    pub tail_pages: usize,
    pub level: u8,
    pub set: u64,
    pub has_ranges: bool,
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
    /// All keys of keyspaces with a value that they ever had, by [`hash_of_pair`].
    pub ever: HashSet<u64>,
    /// The state of the last checkpoint.
    pub base: usize,
    pub older: Vec<Copy>,
    /// Commits in the log, in order.
    pub frames: Vec<Frame>,
    /// Pages that the checkpoint reaches.
    pub used: Vec<bool>,
    /// Pages of the manifest.
    pub manifest: Vec<usize>,
    pub runs: Vec<RunAt>,
    /// Pages of the sorted index: manifest, tails, leaves, large values.
    pub classes: Vec<Vec<usize>>,
    /// Pages in use at which a unit begins.
    pub units: Vec<usize>,
}

pub struct Worlds {
    pub many: World,
    pub large: World,
    pub worn: World,
    pub keys: World,
    pub log: World,
    /// The files of `log` as they would be had its texts been others: frame for frame in the same places.
    pub apart: Files,
    pub reused: World,
}

impl World {
    pub fn last(&self) -> usize {
        self.states.len() - 1
    }

    /// Whether a unit begins at a page that is in use.
    pub fn is_unit(&self, page: usize) -> bool {
        self.units.binary_search(&page).is_ok()
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
            keys: with_levels(keys(seed ^ 6).closed()),
            log: log(seed ^ 4, false).left(),
            apart: log(seed ^ 4, true).left().files,
            reused: reused(seed ^ 5).left(),
        }
    }

    pub fn closed(&self) -> [&World; 4] {
        [&self.many, &self.large, &self.worn, &self.keys]
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
    keys_now: BTreeMap<String, Arc<Keys>>,
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
            keys_now: BTreeMap::new(),
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

    /// One commit with these changes of a keyspace.
    fn change(&mut self, name: &str, changes: &[KeyChange]) {
        let keyspace = self.db.keyspace(name);
        let done = keyspace.batch(|keyspace| {
            changes.iter().try_for_each(|change| match change {
                KeyChange::Put(key, value) => keyspace.put(key, value),
                KeyChange::Delete(key) => keyspace.delete(key),
                KeyChange::Range(start, end) => keyspace.delete_range(&start[..]..&end[..]),
                KeyChange::Clear => keyspace.clear(),
            })
        });
        done.expect("changes");
        let keys = Arc::make_mut(self.keys_now.entry(name.to_owned()).or_default());
        for change in changes {
            match change {
                KeyChange::Put(key, value) => {
                    let valued = Valued { value: value.as_slice().into(), hash: hash_of_pair(key, value) };
                    keys.insert(key.clone(), valued);
                }
                KeyChange::Delete(key) => drop(keys.remove(key)),
                KeyChange::Range(start, end) => keys.retain(|key, _| key < start || key >= end),
                KeyChange::Clear => keys.clear(),
            }
        }
        self.committed();
    }

    fn drop_keyspace(&mut self, name: &str) {
        assert!(self.db.drop_keyspace(name).expect("drops"));
        self.keys_now.remove(name);
        self.committed();
    }

    fn value(&mut self, bytes: u64) -> Vec<u8> {
        self.text(bytes).into_bytes()
    }

    fn committed(&mut self) {
        let (collections, keyspaces) = (self.now.clone(), self.keys_now.clone());
        let digest = digest(&collections, &keyspaces);
        self.states.push(State { collections, keyspaces, digest });
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
        let (manifest, runs) = runs_of(&files);
        let units: Vec<usize> = (2..files.pages()).filter(|&page| used[page] && files.is_unit(page)).collect();
        let classes = classes(&files, &manifest, &runs, &units);
        let keyspaces = self.states.iter().flat_map(|state| state.keyspaces.values());
        let ever = keyspaces.flat_map(|keys| keys.values().map(|valued| valued.hash)).collect();
        World {
            name: self.name,
            ever,
            base,
            layout,
            used,
            manifest,
            runs,
            classes,
            units,
            frames,
            files,
            states: self.states,
            older: self.older,
        }
    }
}

/// A change of a keyspace.
enum KeyChange {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    /// From the first key to before the second.
    Range(Vec<u8>, Vec<u8>),
    Clear,
}

/// A number for a key and its value.
pub fn hash_of_pair(key: &[u8], value: &[u8]) -> u64 {
    xxh3_64_with_seed(value, xxh3_64(key))
}

/// A number for all that is visible.
fn digest(now: &BTreeMap<String, Held>, keys: &BTreeMap<String, Arc<Keys>>) -> u64 {
    let sum = |hashes: &mut dyn Iterator<Item = u64>| hashes.fold(0, |sum: u64, hash| sum.wrapping_add(hash));
    let collections = now
        .iter()
        .map(|(name, held)| (name.as_str(), (held.len() as u64, sum(&mut held.values().map(|stored| stored.hash)))));
    let keyspaces = keys.iter().map(|(name, keys)| {
        (name.as_str(), (keys.len() as u64 | KEYSPACE, sum(&mut keys.values().map(|valued| valued.hash))))
    });
    digest_of(collections.chain(keyspaces))
}

/// Added to the number of keys of a keyspace: an empty one is not an empty collection.
pub const KEYSPACE: u64 = 1 << 63;

/// The same from the number of documents of each collection and the sum of their hashes.
pub fn digest_of<'a>(collections: impl IntoIterator<Item = (&'a str, (u64, u64))>) -> u64 {
    collections.into_iter().fold(0, |all: u64, (name, (n, sum))| {
        let mut bytes = name.as_bytes().to_vec();
        bytes.extend([n, sum].iter().flat_map(|number| number.to_le_bytes()));
        all.wrapping_add(xxh3_64(&bytes))
    })
}

const EXTENT: u8 = 8;

/// Pages of the sorted index, by what they are; values of documents in extents are among the large ones.
fn classes(files: &Files, manifest: &[usize], runs: &[RunAt], units: &[usize]) -> Vec<Vec<usize>> {
    let tail = |run: &RunAt| run.page + run.leaf_pages..run.page + run.leaf_pages + run.tail_pages;
    let tails: Vec<usize> = runs.iter().flat_map(tail).collect();
    let leaves: Vec<usize> = runs.iter().flat_map(|run| run.page..run.page + run.leaf_pages).collect();
    let is_value = |page: &usize| files.bytes()[page * PAGE + 14] == EXTENT && !tails.contains(page);
    let values: Vec<usize> = match runs.is_empty() {
        true => Vec::new(),
        false => units.iter().copied().filter(is_value).collect(),
    };
    let all = [manifest.to_vec(), tails, leaves, values];
    all.into_iter().filter(|class| !class.is_empty()).collect()
}

/// The pages of the manifest, and the runs that it names.
fn runs_of(files: &Files) -> (Vec<usize>, Vec<RunAt>) {
    let (mut pages, mut runs) = (Vec::new(), Vec::new());
    let bytes = files.bytes();
    layout::walk(bytes, layout::root(&bytes[MANIFEST_AT..]), &mut |page| pages.push(page), &mut |_, entry| {
        runs.push(RunAt {
            page: (u64_at(entry, 0) & 0xffff_ffff_ffff) as usize,
            level: entry[6],
            has_ranges: entry[7] & 1 == 1,
            leaf_pages: u32_at(entry, 8) as usize,
            tail_pages: u32_at(entry, 12) as usize,
            set: u64_at(entry, 16),
        });
    });
    (pages, runs)
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

/// Key `i` of a keyspace: short ones, and long ones that have much in front in common.
fn key(i: u64) -> Vec<u8> {
    match i % 7 {
        0 => [&[b'l'; 300][..], &i.to_be_bytes()].concat(),
        1 | 2 => format!("user:{:04}:{}", i / 2, i % 2).into_bytes(),
        3 => vec![(i / 7) as u8; (i % 5) as usize],
        _ => i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec(),
    }
}

/// A range that has about `n` keys of that kind in it.
fn some_range(i: u64, n: u64) -> KeyChange {
    match i % 3 {
        0 => KeyChange::Range(key(i / 7 * 7), key((i / 7 + n) * 7)),
        1 => KeyChange::Range(key(i / 14 * 14 + 1), key((i / 14 + n) * 14 + 1)),
        _ => {
            let first = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1;
            KeyChange::Range(first.to_be_bytes().to_vec(), (first + (n << 55)).to_be_bytes().to_vec())
        }
    }
}

fn keys(seed: u64) -> Builder {
    let mut b = Builder::new("keys", seed, &config(Durability::Manual, 64 << 10, 1 << 20));
    let documents: Vec<Document> = (0..40_u64).map(|i| doc! { "_id": i, "n": i }).collect();
    b.put("few", &documents);
    let round = |b: &mut Builder, name: &str, puts: u64, large: u64| {
        let mut changes = Vec::new();
        for _ in 0..puts {
            let (i, bytes) = (b.rng.below(420), 8 + b.rng.below(70));
            changes.push(KeyChange::Put(key(i), b.value(bytes)));
            if i % 6 == 0 {
                changes.push(KeyChange::Delete(key(b.rng.below(420))));
            }
        }
        for i in 0..large {
            let value = b.value(18_000 + 3_000 * i);
            changes.push(KeyChange::Put(format!("large {i}").into_bytes(), value));
        }
        b.change(name, &changes);
    };
    for turn in 0..9_u64 {
        round(&mut b, "keys", 90, if turn % 4 == 0 { 2 } else { 0 });
        round(&mut b, "more keys", 30, u64::from(turn == 3));
        if turn < 4 {
            round(&mut b, "gone", 120, u64::from(turn == 2));
        }
        let range = some_range(b.rng.below(400), 3 + turn);
        b.change("keys", &[range]);
        if turn == 4 {
            b.change("cleared", &[KeyChange::Put(key(1), b"gone soon".to_vec())]);
        }
        if turn == 6 {
            b.change("cleared", &[KeyChange::Clear]);
        }
        b.checkpoint();
        if turn % 2 == 0 {
            b.keep();
        }
    }
    // Too little to go down, once the level below has something.
    for turn in 0..8 {
        let sets = |b: &Builder| {
            b.db.keyspace_stats().expect("figures").levels.first().map_or(0, |level| {
                if level.level == 0 {
                    level.sets
                } else {
                    0
                }
            })
        };
        if turn >= 2 && sets(&b) >= 2 {
            break;
        }
        round(&mut b, "keys", if turn == 0 { 60 } else { 3 }, 0);
        let (first, second) = (b.rng.below(400), b.rng.below(400));
        b.change("keys", &[some_range(first, 2), some_range(second, 1)]);
        b.change("more keys", &[some_range(second, 2), KeyChange::Delete(key(first))]);
        b.checkpoint();
        b.keep();
    }
    b.drop_keyspace("gone");
    b
}

/// The world is what it is for: sets over levels, ranges that are still needed.
fn with_levels(world: World) -> World {
    let distinct = |of: &dyn Fn(&RunAt) -> Option<u64>| world.runs.iter().filter_map(of).collect::<BTreeSet<_>>().len();
    let sets = distinct(&|run| (run.level == 0).then_some(run.set));
    let levels = distinct(&|run| (run.level > 0).then_some(run.level.into()));
    let ranges = world.runs.iter().filter(|run| run.has_ranges).count();
    let gone = world.states[world.last() - 1].keyspaces.len() > world.states[world.last()].keyspaces.len();
    assert!(sets >= 2 && levels >= 2 && ranges >= 1 && gone, "{sets} sets, {levels} levels, {ranges} runs with ranges");
    world
}

fn log(seed: u64, apart: bool) -> Builder {
    let mut b = Builder::new("log", seed, &config(Durability::Manual, 64 << 10, 1 << 20));
    b.apart = apart;
    let documents: Vec<Document> = (0..200_u64).map(|i| doc! { "_id": i, "n": i }).collect();
    b.put("many", &documents);
    b.put("going", &documents[..10]);
    let pairs = |b: &mut Builder| (0..60).map(|i| KeyChange::Put(key(i), b.value(i))).collect::<Vec<_>>();
    for name in ["keys", "keys cleared", "keys going"] {
        let pairs = pairs(&mut b);
        b.change(name, &pairs);
    }
    b.checkpoint();
    for i in 0..250_u64 {
        match i % 12 {
            1 | 4 | 5 | 7 => {
                let value = b.value(if i % 24 == 7 { 700 } else { i % 90 });
                b.change("keys", &[KeyChange::Put(key(i * 2), value)]);
            }
            2 => b.change("keys", &[KeyChange::Delete(key(i * 2 - 2)), KeyChange::Delete(key(i))]),
            8 if i % 24 == 8 => b.change("keys", &[some_range(i, 2)]),
            8 => {
                let value = b.value(20);
                b.change("more keys", &[some_range(i, 1), KeyChange::Put(key(i), value)]);
            }
            _ => {
                let text = b.text(if i % 10 == 0 { 900 } else { i % 130 });
                b.put("many", &[doc! { "_id": i * 3, "text": text }]);
            }
        }
        match i {
            105 => b.drop_keyspace("keys going"),
            110 => b.change("keys cleared", &[KeyChange::Clear]),
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
    let value = b.value(9_000);
    b.change("keys", &[KeyChange::Put(b"large".to_vec(), value)]);
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
        match i % 6 {
            0 | 2 => {
                let (at, value) = (b.rng.below(90), b.value(bytes / 2));
                b.change("keys", &[KeyChange::Put(key(at), value)]);
            }
            3 => b.change("keys", &[KeyChange::Delete(key(i)), some_range(i, 1)]),
            _ if i == 100 => b.drop_keyspace("keys"),
            _ => {}
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
