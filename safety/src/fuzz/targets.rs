//! What the fuzzer calls: bytes of any kind, and whatever they mean must end well.
//!
//! ```text
//!   open_file   patches of a whole file and its log, checksums made right again --> open, use, verify
//!   log         frames with right checksums and any payload beside a fixed data file --> replay, read, close
//!   document    MessagePack, or JSON --> validate, walk, to the other form and back, stored and read
//!   run         a leaf or tail of the sorted index, of any bytes or made of any keys --> read, searched
//!   api         a sequence of calls, reopenings and crashes --> the same as a plain map
//! ```
//!
//! Each panics where a promise is broken, and says whether its input got anywhere. `fuzz/fuzz_targets` hands them to
//! libFuzzer, the lane `fuzz` replays the corpus without it.

use nyro::testing::{self, CrashPolicy, SimDisk, SimEnv, SimOptions, TestConfig};
use nyro::{
    compare, compare_raw, doc, Database, Document, Durability, Error, Id, Options, RawDocument, RawDocumentBuf,
    ReadMode, Result, Snapshot, Value,
};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A target: whether the input got beyond the first check.
pub type Target = fn(&[u8]) -> bool;

/// Name, name of the count of inputs that got anywhere, function.
pub const TARGETS: [(&str, &str, Target); 5] = [
    ("open_file", "files opened", open_file),
    ("log", "logs replayed", log),
    ("document", "documents taken", document),
    ("run", "leaves and tails read", run),
    ("api", "calls made", api),
];

const NAME: &str = "a.nyro";
const PAGE: usize = 4096;
const HEADER: usize = 512;

type Files = Vec<(String, Vec<u8>)>;

/// Takes numbers from the input; zeros when it is over.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    fn word(&mut self) -> usize {
        usize::from(self.byte()) | usize::from(self.byte()) << 8
    }

    fn bytes(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

fn config(durability: Durability) -> TestConfig {
    let options = Options { durability, log_max_bytes: 64 << 10, cache_bytes: 1 << 20, ..Options::default() };
    TestConfig { options, segment_bytes: 8192, ..TestConfig::default() }
}

fn open(disk: &SimDisk, config: &TestConfig) -> Result<Database> {
    testing::open(Arc::new(disk.clone()), Arc::new(SimEnv::new(7)), NAME, config)
}

fn disk_of(files: Files) -> SimDisk {
    SimDisk::from_files(SimOptions { file_capacity: 4 << 20, seed: 0 }, files)
}

/// An error about the engine is not one about the input.
fn no_bug<T>(result: Result<T>) -> Option<T> {
    if let Err(e @ Error::Internal(_)) = &result {
        panic!("{e}");
    }
    result.ok()
}

/// A small file that was closed, and one that was not.
fn base(clean: bool) -> &'static Files {
    static FILES: OnceLock<[Files; 2]> = OnceLock::new();
    let [open, closed] = FILES.get_or_init(|| [false, true].map(make));
    if clean {
        closed
    } else {
        open
    }
}

fn make(clean: bool) -> Files {
    let disk = SimDisk::new(SimOptions { file_capacity: 4 << 20, seed: 0 });
    let db = open(&disk, &config(Durability::Manual)).expect("opens");
    let c = db.collection::<Document>("c");
    for i in 0..60_u64 {
        c.put(&doc! { "_id": i * 977, "text": "x".repeat(i as usize % 40) }).expect("puts");
    }
    db.collection::<Document>("large").put(&doc! { "_id": "large", "text": "y".repeat(70_000) }).expect("puts");
    let keys = db.keyspace("keys");
    for round in 0..3_u64 {
        for i in 0..40_u64 {
            keys.put((i * 3 + round).to_be_bytes(), vec![b'k'; (i * 2) as usize]).expect("puts");
        }
        keys.delete_range((round * 7).to_be_bytes()..(round * 7 + 4).to_be_bytes()).expect("deletes");
        db.checkpoint().expect("a checkpoint");
    }
    keys.put("large", vec![b'l'; 9_000]).expect("puts");
    db.checkpoint().expect("a checkpoint");
    for i in 0..20_u64 {
        keys.put((i * 5).to_be_bytes(), b"new").expect("puts");
        c.put(&doc! { "_id": format!("key {i}"), "n": i }).expect("puts");
        c.delete(i * 977 * 3).expect("deletes");
    }
    if clean {
        db.close().expect("closes");
    } else {
        db.sync().expect("syncs");
        testing::abandon(db);
    }
    disk.file_names().into_iter().map(|name| (name.clone(), disk.read_file(&name))).collect()
}

// ---- files ------------------------------------------------------------------------------------------------

/// Flags, then patches: which file, where, how many bytes, these bytes.
pub fn open_file(input: &[u8]) -> bool {
    let mut input = Input(input);
    let flags = input.byte();
    if flags == 0xff {
        // A data file as it is.
        return use_files(vec![(NAME.to_owned(), input.0.to_vec())], flags);
    }
    let mut files = base(flags & 1 == 0).clone();
    while !input.is_over() {
        let at = usize::from(input.byte()) % files.len();
        let (page, offset) = (usize::from(input.byte()), input.word() % PAGE);
        let length = usize::from(input.byte()) % 64;
        let file = &mut files[at].1;
        // Both meta pages: one alone would only say that the other counts.
        let places =
            if page < 2 && file.len() % PAGE == 0 { vec![0, PAGE] } else { vec![page * PAGE % file.len().max(1)] };
        let bytes = input.bytes(length);
        for place in places {
            let place = (place + offset).min(file.len());
            let length = bytes.len().min(file.len() - place);
            file[place..place + length].copy_from_slice(&bytes[..length]);
        }
    }
    if flags & 2 == 0 {
        files.iter_mut().for_each(|(name, bytes)| seal(name, bytes));
    }
    use_files(files, flags)
}

/// Makes the checksums of all units right, or those of the frames of a log.
fn seal(name: &str, bytes: &mut [u8]) {
    let base = &base(true)[0].1;
    if name != NAME {
        return seal_log(bytes);
    }
    for page in 0..bytes.len() / PAGE {
        let unit = &mut bytes[page * PAGE..];
        if page < 2 {
            let sum = xxh3_64(&unit[..PAGE - 8]);
            unit[PAGE - 8..PAGE].copy_from_slice(&sum.to_le_bytes());
            continue;
        }
        let covered = match unit[14] {
            8 => (u32_at(unit, 48) as usize).saturating_mul(PAGE).clamp(PAGE, 64 << 10),
            _ => PAGE << unit[15].min(5),
        };
        // Only what looks like the beginning of a unit: other pages belong to one.
        if u64_at(unit, 8) & 0xffff_ffff_ffff == page as u64 && covered <= unit.len() {
            let sum = xxh3_64_with_seed(&unit[8..covered], xxh3_64(&base[32..48]));
            unit[..8].copy_from_slice(&sum.to_le_bytes());
        }
    }
}

/// Uses a database in every way, whatever it answers.
fn use_files(files: Files, flags: u8) -> bool {
    let mut config = config(Durability::Manual);
    config.options.read_only = flags & 4 != 0;
    config.options.read_mode = if flags & 8 != 0 { ReadMode::Pread } else { ReadMode::Mapped };
    let disk = disk_of(files);
    let Some(db) = no_bug(open(&disk, &config)) else { return false };
    no_bug(db.verify());
    read_all(&db);
    if flags & 16 != 0 {
        no_bug(db.keyspace("keys").put("new", "value"));
        no_bug(db.keyspace("keys").delete_range(10_u64.to_be_bytes()..30_u64.to_be_bytes()));
        for i in 0..5_u64 {
            no_bug(db.collection::<Document>("c").put(&doc! { "_id": i * 977, "n": i }));
            no_bug(db.collection::<Document>("new").put(&doc! { "text": "z".repeat(i as usize * 5000) }));
        }
        no_bug(db.drop_collection("large"));
        no_bug(db.checkpoint());
        no_bug(db.verify());
        read_all(&db);
    }
    no_bug(db.close());
    if let Some(db) = no_bug(open(&disk, &config)) {
        read_all(&db);
        testing::abandon(db);
    }
    true
}

fn read_all(db: &Database) {
    let Some(snapshot) = no_bug(db.snapshot()) else { return };
    for name in no_bug(snapshot.collection_names()).unwrap_or_default() {
        let Some(view) = no_bug(snapshot.collection::<Document>(&name)) else { continue };
        no_bug(view.count_documents());
        let mut scan = view.scan();
        while let Some(Some(document)) = no_bug(scan.next_raw()) {
            no_bug(document.to_json());
            no_bug(document.to_document());
        }
        for id in [Id::from(977_u64), Id::from("large"), Id::from("key 3"), Id::from(5_u64)] {
            no_bug(view.get(id));
        }
    }
    for name in no_bug(snapshot.keyspace_names()).unwrap_or_default() {
        let Some(keyspace) = no_bug(snapshot.keyspace(&name)) else { continue };
        for back in [false, true] {
            let Some(mut range) = no_bug(keyspace.iter()) else { continue };
            let mut step =
                || no_bug(if back { range.next_entry_back() } else { range.next_entry() }.map(|it| it.is_some()));
            while step() == Some(true) {}
        }
        for key in [&5_u64.to_be_bytes()[..], b"large", b""] {
            no_bug(keyspace.get(key));
        }
    }
}

// ---- the log ----------------------------------------------------------------------------------------------

/// Flags, then frames: kind, claim, length, payload. With a right checksum, place and predecessor each.
pub fn log(input: &[u8]) -> bool {
    let mut input = Input(input);
    let flags = input.byte();
    let mut files = base(false).clone();
    // Where replay begins.
    let lsn = u64_at(&files.iter().find(|(name, _)| name == NAME).expect("the data file").1, 104);
    let holds = |bytes: &[u8]| (u64_at(bytes, 40)..u64_at(bytes, 40) + (bytes.len() - HEADER) as u64).contains(&lsn);
    let segment = files.iter().position(|(name, bytes)| name.contains("-wal-") && bytes[0] != 0 && holds(bytes));
    let bytes = &mut files[segment.expect("a segment")].1;
    let mut at = HEADER + (lsn - u64_at(bytes, 40)) as usize;
    // Behind some of the frames that were there.
    for _ in 0..flags >> 5 {
        at += frame_bytes(bytes, at);
    }
    bytes[at..].fill(0);
    if flags & 2 != 0 {
        // No frames of ours: bytes as they come.
        let rest = input.0;
        let length = rest.len().min(bytes.len() - at);
        bytes[at..at + length].copy_from_slice(&rest[..length]);
    }
    let mut commit = 1_000;
    while flags & 2 == 0 && !input.is_over() {
        let (kind, claim, length) = (input.byte(), input.byte(), input.word() % 2000);
        let payload = input.bytes(length);
        let size = (48 + payload.len()).next_multiple_of(8);
        if at + size > bytes.len() {
            break;
        }
        commit += 1;
        let lsn = u64_at(bytes, 40) + (at - HEADER) as u64;
        bytes[at + 8..at + 12].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes[at + 12] = 1 + kind % 3;
        let claim = lsn.saturating_sub(u64::from(claim) * 8).saturating_add(u64::from(kind / 32) * 8);
        let numbers = [lsn, commit, claim];
        numbers.iter().enumerate().for_each(|(i, n)| bytes[at + 16 + i * 8..][..8].copy_from_slice(&n.to_le_bytes()));
        bytes[at + 48..at + 48 + payload.len()].copy_from_slice(payload);
        at += size;
    }
    seal_log(bytes);
    use_files(files, flags & !3)
}

fn frame_bytes(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at + 12) {
        Some(1..=3) => (48 + u32_at(bytes, at + 8) as usize).next_multiple_of(8),
        _ => 0,
    }
}

/// Makes all frames whole, each with the checksum of the one before.
fn seal_log(bytes: &mut [u8]) {
    if bytes.len() < HEADER {
        return;
    }
    let identity = &base(false)[0].1[32..48];
    let seed = xxh3_64(&[identity, &bytes[32..40]].concat());
    let sum = xxh3_64_with_seed(&bytes[..HEADER - 8], seed);
    bytes[HEADER - 8..HEADER].copy_from_slice(&sum.to_le_bytes());
    let (mut at, mut previous) = (HEADER, u64_at(bytes, 48));
    loop {
        let size = frame_bytes(bytes, at);
        if size == 0 || at.saturating_add(size) > bytes.len() {
            return;
        }
        bytes[at + 40..at + 48].copy_from_slice(&previous.to_le_bytes());
        previous = xxh3_64_with_seed(&bytes[at + 8..at + size], seed);
        bytes[at..at + 8].copy_from_slice(&previous.to_le_bytes());
        at += size;
    }
}

// ---- runs -------------------------------------------------------------------------------------------------

/// What it is, a key to look for, then a leaf from its count on, a tail, or keys to make both of.
pub fn run(input: &[u8]) -> bool {
    let mut input = Input(input);
    let (what, length) = (input.byte() % 3, usize::from(input.byte()));
    let sought = input.bytes(length);
    match what {
        0 => {
            let mut leaf = vec![0; 48];
            leaf.extend_from_slice(input.0);
            leaf.resize(leaf.len().next_multiple_of(PAGE).min(testing::runs::LONGEST_LEAF), 0);
            let found = no_bug(testing::runs::find_in_leaf(&leaf, sought));
            let entries = no_bug(testing::runs::read_leaf(&leaf));
            if let (Some((_, below, upto)), Some(entries)) = (found, &entries) {
                assert!(below.max(upto) <= entries.len());
            }
            entries.is_some()
        }
        1 => {
            let said = no_bug(testing::runs::read_tail(input.0, sought));
            if let Some(said) = &said {
                assert!(said.leaf.max(said.before) < said.leaves.max(1));
                assert!(said.ranges.windows(2).all(|two| two[0].1 <= two[1].0));
            }
            said.is_some()
        }
        _ => made_run(&mut input, sought),
    }
}

/// What is made of keys is found again.
fn made_run(input: &mut Input<'_>, sought: &[u8]) -> bool {
    let mut keys: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    while !input.is_over() {
        let (length, flags) = (usize::from(input.byte()) % 40, input.byte());
        // Much in front in common, in some; as long as keys come, in one.
        let front = match flags & 3 {
            0 => Vec::new(),
            1 => vec![b'p'; 300],
            _ => vec![flags & 4; 9],
        };
        let key = [&front[..], input.bytes(length)].concat();
        keys.insert(key, (flags & 24 > 0).then(|| vec![flags; usize::from(flags) * 4]));
    }
    let entries: Vec<(Vec<u8>, Option<Vec<u8>>)> = keys.into_iter().collect();
    let (leaf, count) = testing::runs::leaf_of(&entries);
    if count == 0 {
        return false;
    }
    let held = &entries[..count];
    assert!(testing::runs::read_leaf(&leaf).expect("made above") == held);
    let all: Vec<Vec<u8>> = entries.into_iter().map(|(key, _)| key).collect();
    for key in all.iter().map(|key| &key[..]).chain([sought, &[]]) {
        let below = all[..count].partition_point(|known| &known[..] < key);
        let has = all[..count].get(below).is_some_and(|known| known == key);
        let found = testing::runs::find_in_leaf(&leaf, key).expect("made above");
        assert_eq!(found, (has, below, below + usize::from(has)), "{key:?}");
    }
    let separators: Vec<Vec<u8>> = all.iter().step_by(3).cloned().collect();
    let ranges = all.chunks_exact(2).map(|two| (two[0].clone(), two[1].clone())).collect();
    let tail = testing::runs::tail_of(&separators, &all, ranges);
    for (at, key) in all.iter().enumerate() {
        let said = testing::runs::read_tail(&tail, key).expect("made above");
        assert!(said.may_hold && said.leaf == at / 3, "{key:?}: {said:?}");
    }
    true
}

// ---- documents --------------------------------------------------------------------------------------------

/// MessagePack, or JSON where it is text.
pub fn document(input: &[u8]) -> bool {
    let unchecked = RawDocument::unvalidated(input);
    let _ = (
        unchecked.iter().count(),
        unchecked.id(),
        unchecked.get("_id").is_some(),
        unchecked.get_path("a.b.0").is_some(),
    );
    let _ = (unchecked.to_json(), unchecked.to_document(), unchecked.to_json_pretty());
    let as_text = std::str::from_utf8(input).is_ok_and(json);
    let Ok(raw) = RawDocument::from_bytes(input) else { return as_text };
    let document = raw.to_document().expect("a valid document has values");
    let text = raw.to_json().expect("a valid document has a JSON form");
    assert_eq!(text, document.to_json(), "the two ways to JSON differ");
    same_value(&document, &Document::from_json(&text).unwrap_or_else(|e| panic!("{e}: {text}")));
    let pretty = raw.to_json_pretty().expect("a valid document has a JSON form");
    same_value(&document, &Document::from_json(&pretty).unwrap_or_else(|e| panic!("{e}: {pretty}")));
    let written = RawDocumentBuf::from_serialize(&document).expect("values of a document make one");
    same_value(&written.to_document().expect("is valid"), &document_of(&written));
    let (fields, again): (Vec<_>, Vec<_>) = (raw.iter().collect(), written.iter().collect());
    assert_eq!(fields.len(), again.len());
    for (i, (name, value)) in fields.iter().enumerate() {
        let other = again.iter().find(|(known, _)| known == name).expect("each field is in both");
        assert_eq!(compare_raw(*value, other.1), Ordering::Equal, "field {name}");
        for (_, second) in &fields[..i.min(20)] {
            assert_eq!(
                compare_raw(*value, *second),
                compare_raw(*second, *value).reverse(),
                "an order has two directions"
            );
        }
    }
    store(raw);
    true
}

fn document_of(raw: &RawDocument) -> Document {
    raw.deserialize().expect("a document is a document")
}

fn same_value(a: &Document, b: &Document) {
    let order = compare(&Value::Document(a.clone()), &Value::Document(b.clone()));
    assert_eq!(order, Ordering::Equal, "{} and {}", a.to_json(), b.to_json());
}

fn json(text: &str) -> bool {
    let Ok(value) = Value::from_json(text) else { return false };
    let written = value.to_json();
    let again = Value::from_json(&written).unwrap_or_else(|e| panic!("{e}: {written}"));
    assert_eq!(compare(&value, &again), Ordering::Equal, "{text} becomes {written}");
    assert_eq!(written, again.to_json());
    true
}

/// What is stored is what was given, its id in front.
fn store(raw: &RawDocument) {
    static DB: OnceLock<Database> = OnceLock::new();
    let db = DB.get_or_init(|| {
        let disk = SimDisk::new(SimOptions { file_capacity: 16 << 20, seed: 0 });
        open(&disk, &config(Durability::Manual)).expect("opens")
    });
    let kept = db.write(|tx| {
        let collection = tx.collection::<Document>("c");
        let Some(id) = no_bug(collection.put_raw(raw)) else { return Err(Error::Cancelled) };
        let stored = collection.get_raw(id.clone())?.unwrap_or_else(|| panic!("{id} is not there"));
        assert_eq!(stored.id(), Some(id.clone()));
        let (first, _) = stored.iter().next().expect("the id");
        assert_eq!(first, "_id");
        for (name, value) in raw.iter().filter(|(name, _)| *name != "_id") {
            let kept = stored.get(name).unwrap_or_else(|| panic!("field {name} is gone"));
            assert_eq!(compare_raw(value, kept), Ordering::Equal, "field {name}");
        }
        // Nothing stays, so that the next input finds an empty collection.
        Err::<(), _>(Error::Cancelled)
    });
    assert!(kept.is_err());
}

// ---- calls ------------------------------------------------------------------------------------------------

/// Collections by name, documents by their numbers.
type Model = BTreeMap<String, BTreeMap<u8, usize>>;

struct Run {
    disk: SimDisk,
    db: Database,
    now: Model,
    /// A snapshot and what it must show.
    held: Option<(Snapshot, Model)>,
}

/// Calls: what to do, to which document, with how much.
pub fn api(input: &[u8]) -> bool {
    let mut input = Input(input);
    let disk = SimDisk::new(SimOptions { file_capacity: 8 << 20, seed: 0 });
    let db = open(&disk, &config(Durability::Sync)).expect("opens");
    let mut run = Run { disk, db, now: Model::new(), held: None };
    let mut steps = 0;
    while !input.is_over() && steps < 300 {
        run.step(&mut input);
        steps += 1;
    }
    run.compare();
    run.db.verify().expect("verifies");
    run.held = None;
    run.db.close().expect("closes");
    run.reopen();
    run.db.verify().expect("verifies");
    steps > 3
}

fn text_of(size: usize) -> Document {
    // Some documents lie in extents.
    doc! { "_id": 0, "size": size as u64, "text": "t".repeat(if size > 250 { size * 70 } else { size }) }
}

fn with_id(id: u8, size: usize) -> Document {
    let mut document = text_of(size);
    document.insert("_id", u64::from(id) * 977);
    document
}

impl Run {
    fn step(&mut self, input: &mut Input<'_>) {
        let (what, id, size) = (input.byte(), input.byte(), usize::from(input.byte()));
        let name = format!("collection {}", what >> 6);
        let key = u64::from(id) * 977;
        match what & 31 {
            0..=7 => {
                self.db.collection::<Document>(&name).put(&with_id(id, size)).expect("puts");
                self.now.entry(name).or_default().insert(id, size);
            }
            8..=11 => {
                let deleted = self.db.collection::<Document>(&name).delete(key).expect("deletes");
                assert_eq!(deleted, self.now.get_mut(&name).is_some_and(|held| held.remove(&id).is_some()));
            }
            12 => {
                let inserted = self.db.collection::<Document>(&name).insert_one(&with_id(id, size)).is_ok();
                let held = self.now.entry(name).or_default();
                assert_eq!(inserted, !held.contains_key(&id));
                held.entry(id).or_insert(size);
            }
            13 => {
                let there = self.now.get(&name).and_then(|held| held.get(&id)).copied();
                let replaced =
                    self.db.collection::<Document>(&name).replace_one(key, &with_id(id, size)).expect("replaces");
                assert_eq!(replaced, there.is_some());
                if replaced {
                    self.now.entry(name).or_default().insert(id, size);
                }
            }
            14..=16 => self.transaction(input, id, size),
            17 => {
                let dropped = self.db.drop_collection(&name).expect("drops");
                assert_eq!(dropped, self.now.remove(&name).is_some());
            }
            18 => self.rename(&name, &format!("collection {}", id % 6)),
            19..=21 => self.db.checkpoint().expect("a checkpoint"),
            22 => testing::step(&self.db).expect("a step"),
            23 => self.held = Some((self.db.snapshot().expect("a snapshot"), self.now.clone())),
            24 => self.compare(),
            25 => {
                self.held = None;
                self.db.close().expect("closes");
                self.reopen();
            }
            26..=27 => self.crash(self.disk.process_crash_image()),
            28 => self.crash(self.disk.crash_image(CrashPolicy::LoseAll)),
            29 => self.crash(self.disk.crash_image(CrashPolicy::Random(u64::from(id)))),
            30 => drop(self.db.verify().expect("verifies")),
            _ => drop(self.db.compact().expect("compacts")),
        }
    }

    /// Several changes; all of them, or none.
    fn transaction(&mut self, input: &mut Input<'_>, changes: u8, end: usize) {
        let mut then = self.now.clone();
        let changes: Vec<[u8; 3]> = (0..changes % 12).map(|_| [input.byte(), input.byte(), input.byte()]).collect();
        let done = self.db.write(|tx| {
            for [what, id, size] in &changes {
                let name = format!("collection {}", what >> 6);
                let (collection, key) = (tx.collection::<Document>(&name), u64::from(*id) * 977);
                if what & 3 == 0 {
                    collection.delete(key)?;
                    then.get_mut(&name).map(|held| held.remove(id));
                } else {
                    collection.put(&with_id(*id, usize::from(*size)))?;
                    then.entry(name.clone()).or_default().insert(*id, usize::from(*size));
                }
                assert_eq!(collection.contains(key)?, then.get(&name).is_some_and(|held| held.contains_key(id)));
            }
            if end % 3 == 0 {
                return Err(Error::Cancelled);
            }
            Ok(())
        });
        assert_eq!(done.is_ok(), end % 3 != 0, "{done:?}");
        if done.is_ok() {
            self.now = then;
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        let renamed = self.db.rename_collection(from, to);
        if from == to {
            return;
        }
        let possible = self.now.contains_key(from) && !self.now.contains_key(to);
        assert_eq!(renamed.is_ok(), possible, "{renamed:?}");
        if let Some(held) = possible.then(|| self.now.remove(from)).flatten() {
            self.now.insert(to.to_owned(), held);
        }
    }

    fn crash(&mut self, image: SimDisk) {
        self.held = None;
        testing::abandon(self.db.clone());
        self.disk = image;
        self.reopen();
    }

    fn reopen(&mut self) {
        self.db = open(&self.disk, &config(Durability::Sync)).expect("opens again");
        self.compare();
    }

    fn compare(&self) {
        shows(&self.db.snapshot().expect("a snapshot"), &self.now);
        if let Some((snapshot, then)) = &self.held {
            shows(snapshot, then);
        }
    }
}

fn shows(snapshot: &Snapshot, model: &Model) {
    assert!(snapshot.collection_names().expect("names").iter().eq(model.keys()), "collections");
    for (name, held) in model {
        let view = snapshot.collection::<Document>(name).expect("a view");
        assert_eq!(view.count_documents().expect("counts"), held.len() as u64);
        let mut seen = 0;
        for document in view.scan() {
            let document = document.expect("scans");
            let id = document["_id"].as_i64().expect("an integer") / 977;
            assert_eq!(Some(&document), held.get(&(id as u8)).map(|size| with_id(id as u8, *size)).as_ref(), "{name}");
            seen += 1;
        }
        assert_eq!(seen, held.len(), "{name}");
        for id in held.keys() {
            assert!(view.get(u64::from(*id) * 977).expect("gets").is_some(), "{name} {id}");
        }
    }
}

fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

fn u64_at(b: &[u8], at: usize) -> u64 {
    u64::from(u32_at(b, at)) | u64::from(u32_at(b, at + 4)) << 32
}
