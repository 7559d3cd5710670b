//! Repair of keyspaces: what is in the new file after damage to any part of the runs, compared with what the runs say
//! without that part (read by other code), and what the report says of it.

use super::layout::Layout;
use super::runs::{left, runs, Gone, Has, Keys, Run};
use super::world::open;
use super::{on_disk, options, repair_with, trusting, NEW};
use crate::common::mixed_key as key;
use crate::damage::Bench;
use crate::files::{self, Files, NAME, PAGE};
use nyro::testing::{self, Rng, SimDisk, SimEnv, SimOptions, TestConfig};
use nyro::{
    doc, CancelToken, Control, Database, Document, Error, RepairBasis, RepairOptions, RepairReport, RepairedLog,
    Result, VerifyReport,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;
type Contents = BTreeMap<String, Map>;

/// How a database is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Closed, which merges runs.
    Closed,
    /// After a checkpoint, with an empty log.
    AtCheckpoint,
    /// With changes in the log.
    WithLog,
}

struct World {
    /// Sets of level 0.
    sets: usize,
    files: Files,
    runs: Vec<Run>,
    manifest: Vec<usize>,
    /// Tree numbers of the keyspaces, as the last checkpoint has them.
    names: BTreeMap<u32, String>,
    now: Contents,
    /// All values that a key ever had, of whatever keyspace.
    ever: BTreeSet<(Vec<u8>, Vec<u8>)>,
}

struct Builder {
    db: Database,
    rng: Rng,
    now: Contents,
    ever: BTreeSet<(Vec<u8>, Vec<u8>)>,
}

impl Builder {
    fn put(&mut self, name: &str, key: &[u8], value: &[u8]) {
        self.db.keyspace(name).put(key, value).expect("puts");
        self.now.entry(name.to_owned()).or_default().insert(key.to_vec(), value.to_vec());
        self.ever.insert((key.to_vec(), value.to_vec()));
    }

    fn delete(&mut self, name: &str, key: &[u8]) {
        self.db.keyspace(name).delete(key).expect("deletes");
        self.now.entry(name.to_owned()).or_default().remove(key);
    }

    fn delete_range(&mut self, name: &str, a: Vec<u8>, b: Vec<u8>) {
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        self.db.keyspace(name).delete_range(&a[..]..&b[..]).expect("deletes");
        self.now.entry(name.to_owned()).or_default().retain(|key, _| *key < a || *key >= b);
    }

    fn work(&mut self, changes: u64) {
        let few = changes < 50;
        for _ in 0..changes {
            let name = *self.rng.pick(&["keys", "keys", "keys", "more keys", "renamed"]);
            let k = key(self.rng.below(900));
            match self.rng.below(40) {
                0..=5 => self.delete(name, &k),
                6 => {
                    let first = self.rng.next_u64() >> 1;
                    let last = first + (1 << 58);
                    self.delete_range(name, first.to_be_bytes().to_vec(), last.to_be_bytes().to_vec());
                }
                7 => {
                    let n = self.rng.below(900);
                    self.delete_range(name, key(n / 8 * 8 + 1), key(n / 8 * 8 + 17));
                }
                8 if !few => {
                    let (n, bytes) = (self.rng.below(12), 9_000 + self.rng.below(9_000) as usize);
                    let value = self.rng.bytes(bytes);
                    self.put("large", &n.to_be_bytes(), &value);
                }
                _ => {
                    let bytes = self.rng.below(150) as usize;
                    let value = self.rng.bytes(bytes);
                    self.put(name, &k, &value);
                }
            }
        }
    }
}

/// Not every seed leaves sets, levels and ranges.
fn build(seed: u64, end: End) -> World {
    let worlds = (0..20).map(|turn| try_build(seed + 100 * turn, end));
    worlds.flatten().next().expect("one of twenty seeds")
}

fn try_build(seed: u64, end: End) -> Option<World> {
    let disk = SimDisk::new(SimOptions { file_capacity: 16 << 20, seed: 0 });
    let config = TestConfig { shape: (4, 360 << 10), ..files::config() };
    let db = testing::open(Arc::new(disk.clone()), Arc::new(SimEnv::new(11)), NAME, &config).expect("opens");
    let mut b = Builder { db, rng: Rng::new(seed), now: Contents::new(), ever: BTreeSet::new() };
    b.db.collection::<Document>("documents").put(&doc! {"_id": 1, "a": "b"}).expect("puts");
    for round in 0..18_u8 {
        // At the end few changes, so that they stay in sets of their own.
        b.work([1500, 220, 12][usize::from(round > 0) + usize::from(round > 12)]);
        // What each set says otherwise.
        b.put("keys", b"of each round", &[round]);
        match round {
            1 => {
                for n in 0..200 {
                    b.put("gone", &key(n), b"of what is dropped");
                    b.put("cleared", &key(n), b"of what is cleared");
                }
                b.put("edge", b"", b"of the empty key");
                b.put("edge", b"empty", b"");
                b.put("edge", &[7; 65_535], b"of the longest key");
                b.put("edge", &[8; 65_535], &[9; 30_000]);
                b.delete("empty", b"which makes it");
            }
            10 => {
                assert!(b.db.drop_keyspace("gone").expect("drops"));
                b.now.remove("gone");
                b.db.keyspace("cleared").clear().expect("clears");
                b.now.insert("cleared".to_owned(), Map::new());
            }
            11 => b.put("cleared", &key(3), b"after it was cleared"),
            12 => {
                b.db.rename_keyspace("renamed", "under another name").expect("renames");
                let map = b.now.remove("renamed").expect("it is there");
                b.now.insert("under another name".to_owned(), map);
            }
            16 => b.put("large", &3_u64.to_be_bytes(), &[5; 8_300]),
            _ => {}
        }
        b.db.checkpoint().expect("a checkpoint");
    }
    let checkpoint = b.now.clone();
    if end == End::Closed {
        b.db.close().expect("closes");
    } else if end == End::AtCheckpoint {
        testing::abandon(b.db);
    } else {
        b.work(300);
        b.put("only in the log", b"key", b"value");
        b.put("only in the log", b"large", &[3; 20_000]);
        b.put("dropped again", b"key", b"value");
        b.db.drop_keyspace("dropped again").expect("drops");
        b.now.remove("dropped again");
        b.db.keyspace("more keys").clear().expect("clears");
        b.now.insert("more keys".to_owned(), Map::new());
        b.put("more keys", b"a", b"after it was cleared in the log");
        testing::abandon(b.db);
    }
    let files = Files(disk.file_names().into_iter().map(|name| (name.clone(), disk.read_file(&name))).collect());
    let (runs, manifest) = runs(&files);
    let mut names = Layout::of(&files).names;
    names.retain(|_, name| name != "documents");
    let distinct = |of: &dyn Fn(&Run) -> Option<u64>| runs.iter().filter_map(of).collect::<BTreeSet<_>>().len();
    let sets = distinct(&|run| (run.level == 0).then_some(run.set));
    let levels = distinct(&|run| (run.level > 0).then_some(run.level.into()));
    let with_ranges = runs.iter().filter(|run| !run.ranges.is_empty()).count();
    let world = World { sets, files, runs, manifest, names, now: b.now, ever: b.ever };
    assert_eq!(world.expected(&Gone::default()), checkpoint, "the two models");
    (end == End::Closed || sets >= 1 && levels >= 2 && with_ranges >= 1).then_some(world)
}

impl World {
    /// What is left of the checkpoint, by name.
    fn expected(&self, gone: &Gone) -> Contents {
        let keys: Keys = left(&self.runs, gone, &|tree| self.names.contains_key(&tree));
        let of = |(tree, name): (&u32, &String)| (name.clone(), keys.get(tree).cloned().unwrap_or_default());
        self.names.iter().map(of).collect()
    }

    /// Keyspaces that a leaf, or a range, is about.
    fn touched(&self, keys: impl Iterator<Item = Vec<u8>>) -> BTreeSet<String> {
        let tree = |key: Vec<u8>| u32::from_be_bytes(key[..4].try_into().expect("a tree"));
        keys.filter_map(|key| self.names.get(&tree(key)).cloned()).collect()
    }

    fn large(&self) -> Vec<(String, Vec<u8>, BTreeSet<usize>)> {
        let entries = self.runs.iter().flat_map(|run| &run.leaves).flat_map(|leaf| &leaf.entries);
        let large = entries.filter_map(|(key, has)| match has {
            Has::Large(pages, _) => {
                let tree = u32::from_be_bytes(key[..4].try_into().expect("a tree"));
                Some((self.names.get(&tree)?.clone(), key[4..].to_vec(), pages.clone()))
            }
            _ => None,
        });
        large.collect()
    }
}

fn contents(db: &Database) -> Result<Contents> {
    let snapshot = db.snapshot()?;
    let mut found = Contents::new();
    for name in snapshot.keyspace_names()? {
        let keyspace = snapshot.keyspace(&name)?;
        let mut map = Map::new();
        for entry in keyspace.range::<&[u8]>(..)? {
            let (key, value) = entry?;
            map.insert(key, value);
        }
        found.insert(name, map);
    }
    Ok(found)
}

/// Repairs, and checks what must hold whatever the damage.
fn repaired(files: &Files, options: &RepairOptions) -> Result<(RepairReport, VerifyReport, Contents)> {
    let disk = on_disk(files);
    let report = repair_with(&disk, options, Control::new())?;
    for (name, bytes) in &files.0 {
        assert!(disk.read_file(name) == *bytes, "{name} was written to");
    }
    let db = open(&disk, NEW)?;
    let verified = db.verify()?;
    let found = contents(&db)?;
    let told: Vec<(&str, u64)> = report.keyspaces.iter().map(|k| (k.name.as_str(), k.keys)).collect();
    let there: Vec<(&str, u64)> = found.iter().map(|(name, map)| (name.as_str(), map.len() as u64)).collect();
    assert_eq!(told, there);
    assert_eq!(report.keys, there.iter().map(|(_, keys)| keys).sum::<u64>());
    assert_eq!(report.documents, verified.documents);
    db.close()?;
    Ok((report, verified, found))
}

/// What the report must say where the new file differs from what the old one held, and of keyspaces that lost something.
fn check_told(world: &World, report: &RepairReport, found: &Contents, hit: &BTreeSet<String>) {
    for told in &report.keyspaces {
        let (got, was) = (&found[&told.name], &world.now[&told.name]);
        let is_hit = hit.contains(&told.name);
        // Where trees lie between those of a leaf, it is not known whether it has keys of them.
        assert!(!(told.complete && is_hit), "{}: {report:?}", told.name);
        assert!(told.named && told.unchecked == 0, "{report:?}");
        let older = got.iter().any(|(key, value)| was.get(key) != Some(value));
        assert!(!older || told.outdated || told.uncertain > 0, "{}: older values, untold; {report:?}", told.name);
        assert!(is_hit || got == was, "{}: {report:?}", told.name);
    }
    assert!(hit.is_empty() || !report.is_complete(), "{report:?}");
}

fn flip(files: &Files, page: usize, rng: &mut Rng) -> Files {
    let mut files = files.clone();
    match rng.below(3) {
        0 => files.data()[page * PAGE..][..PAGE].fill(0),
        _ => files.data()[page * PAGE + rng.below(PAGE as u64) as usize] ^= 1 << rng.below(8),
    }
    files
}

#[test]
fn all_keyspaces_of_a_whole_file_are_copied_exactly() {
    let mut sets = 0;
    for (seed, end) in [End::Closed, End::AtCheckpoint, End::WithLog].repeat(2).into_iter().enumerate() {
        let world = build(seed as u64, end);
        let (report, verified, found) = repaired(&world.files, &options()).expect("repairs");
        assert!(found == world.now, "seed {seed}");
        assert!(report.is_complete() && !report.searched && report.basis == RepairBasis::MetaPage, "{report:?}");
        assert!(report.keyspaces.iter().all(|k| k.named && k.complete && !k.outdated && k.uncertain == 0));
        assert_eq!(verified.keyspaces, world.now.len() as u64);
        assert!(found["edge"].contains_key(&vec![7; 65_535]) && found["empty"].is_empty());
        let commits = match (end, &report.log) {
            (End::Closed, RepairedLog::NotNeeded) => 0,
            (_, RepairedLog::Replayed { commits, .. }) => *commits,
            _ => panic!("{end:?}: {:?}", report.log),
        };
        assert_eq!(commits > 0, end == End::WithLog, "{commits} commits");
        sets = sets.max(world.sets);
    }
    assert!(sets >= 2, "{sets} sets");
}

#[test]
fn a_damaged_leaf_costs_what_it_has_and_what_it_hides_is_told() {
    let (mut bench, mut rng) = (Bench::new(), Rng::new(testing::seed(51)));
    let world = build(5, End::AtCheckpoint);
    let (mut came_back, mut lost_some) = (0, 0);
    for run in &world.runs {
        for leaf in &run.leaves {
            let page = leaf.page + rng.below(leaf.pages as u64) as usize;
            let files = flip(&world.files, page, &mut rng);
            bench.case(&format!("leaf of run {}, page {page}", run.number), files.total(), || {
                let (report, verified, found) = repaired(&files, &options())?;
                let gone = Gone { pages: BTreeSet::from([page]), ..Gone::default() };
                assert!(found == world.expected(&gone), "page {page}: {report:?}");
                let hit = world.touched(leaf.entries.iter().map(|(key, _)| key.clone()));
                check_told(&world, &report, &found, &hit);
                if let Some(loss) = report.lost.first() {
                    assert!(loss.page == leaf.page as u64 && loss.what == "leaf of a run", "{report:?}");
                    assert!(loss.reason.to_string().contains(&format!("run {}", run.number)), "{}", loss.reason);
                    assert_eq!(report.lost_total, 1);
                }
                lost_some += usize::from(found != world.now);
                came_back += usize::from(report.keyspaces.iter().any(|k| k.outdated));
                Ok(verified)
            });
        }
    }
    bench.finish();
    assert!(came_back >= 5 && came_back < lost_some && lost_some > 30, "{came_back} came back, {lost_some} lost some");
}

#[test]
fn the_leaves_of_a_run_are_read_without_its_tail_and_lost_ranges_are_told() {
    let (mut bench, mut rng) = (Bench::new(), Rng::new(testing::seed(52)));
    let world = build(6, End::AtCheckpoint);
    let mut came_back = 0;
    for (number, run) in world.runs.iter().enumerate() {
        let page = run.tail.start + rng.below(run.tail.len() as u64) as usize;
        let mut gone = Gone { pages: BTreeSet::from([page]), ..Gone::default() };
        let mut files = flip(&world.files, page, &mut rng);
        let mut hit = world.touched(run.ranges.iter().flat_map(|(start, end)| [start.clone(), end.clone()]));
        if let Some(leaf) = run.leaves.get(1).filter(|_| number % 2 == 0) {
            files = flip(&files, leaf.page, &mut rng);
            gone.pages.insert(leaf.page);
            hit.extend(world.touched(leaf.entries.iter().map(|(key, _)| key.clone())));
        }
        bench.case(&format!("tail of run {}", run.number), files.total(), || {
            let (report, verified, found) = repaired(&files, &options())?;
            assert!(found == world.expected(&gone), "run {}: {report:?}", run.number);
            // Without the tail it is known only which keyspaces the whole run is about.
            for told in &report.keyspaces {
                assert!(!told.complete || !hit.contains(&told.name) && found[&told.name] == world.now[&told.name]);
                let was = &world.now[&told.name];
                let back = found[&told.name].iter().any(|(key, value)| was.get(key) != Some(value));
                assert!(!back || told.outdated, "{}: untold; {report:?}", told.name);
                came_back += usize::from(back);
            }
            assert!(hit.is_empty() || !report.is_complete(), "{report:?}");
            let told = report.lost.iter().any(|loss| loss.what == "ranges of a run");
            assert_eq!(told, !world.touched(run.ranges.iter().map(|(start, _)| start.clone())).is_empty());
            Ok(verified)
        });
    }
    bench.finish();
    assert!(came_back > 0, "no range was missed");
}

#[test]
fn leaves_of_runs_that_nothing_names_any_more_are_found() {
    let mut bench = Bench::new();
    for seed in [7, 8] {
        let world = build(seed, End::AtCheckpoint);
        for page in &world.manifest {
            let files = flip(&world.files, *page, &mut Rng::new(seed));
            bench.case(&format!("manifest {page}"), files.total(), || {
                let (report, verified, found) = repaired(&files, &options())?;
                let is_leaf = world.runs.iter().any(|run| run.named_by == *page);
                let manifest = match is_leaf {
                    true => BTreeSet::from([*page]),
                    false => world.manifest.iter().copied().collect(),
                };
                assert!(found == world.expected(&Gone { manifest, ..Gone::default() }), "{report:?}");
                for (name, map) in &found {
                    // What is there is found, if it may be older, and nothing was made up.
                    assert!(world.now[name].keys().all(|key| map.contains_key(key)) || is_leaf, "{name}");
                    assert!(map.iter().all(|(k, v)| world.ever.contains(&(k.clone(), v.clone()))), "{name}");
                }
                assert!(report.searched && !report.is_complete());
                assert!(report.lost.iter().any(|l| l.page == *page as u64 && l.what == "manifest"), "{report:?}");
                assert!(report.keyspaces.iter().all(|k| !k.complete && (k.keys == 0 || k.outdated)), "{report:?}");
                assert!(report.keyspaces.iter().any(|k| k.uncertain > 0));
                Ok(verified)
            });
        }
    }
    bench.finish();
}

#[test]
fn a_large_value_that_is_damaged_is_lost_and_no_older_one_takes_its_place() {
    let mut rng = Rng::new(testing::seed(54));
    let world = build(9, End::AtCheckpoint);
    let mut lost = 0;
    for (name, key, pages) in world.large() {
        let page = *rng.pick(&pages.iter().copied().collect::<Vec<_>>());
        let mut files = world.files.clone();
        files.data()[page * PAGE + 100 + rng.below(3000) as usize] ^= 1;
        let (report, _, found) = repaired(&files, &options()).expect("repairs");
        let expected = world.expected(&Gone { pages: BTreeSet::from([page]), ..Gone::default() });
        assert!(found == expected, "{name} {key:x?}: {report:?}");
        assert_eq!((report.lost_total, report.lost[0].what), (1, "large value"));
        assert_eq!((report.lost[0].keyspace.as_ref(), &report.lost[0].collection), (Some(&name), &None));
        assert!(!report.is_complete() && report.keyspaces.iter().all(|k| k.complete == (k.name != name)));
        if found[&name].len() < world.now[&name].len() {
            lost += 1;
            let (careful, careless) = (report.keys, repaired(&files, &trusting()).expect("repairs"));
            assert_eq!((careless.0.keys, careless.0.lost_total), (careful + 1, 0));
            assert_eq!(careless.0.keyspaces.iter().map(|k| k.unchecked).sum::<u64>(), 1);
        }
    }
    assert!(lost > 5, "{lost} were the newest");
}

#[test]
fn keys_that_no_checksum_vouches_for_are_taken_only_where_that_is_wanted() {
    let mut rng = Rng::new(testing::seed(55));
    let world = build(10, End::AtCheckpoint);
    let mut more = 0;
    for run in &world.runs {
        let Some(leaf) = run.leaves.first() else { continue };
        let mut files = world.files.clone();
        files.data()[leaf.page * PAGE + 64 + rng.below(3000) as usize] ^= 1 << rng.below(8);
        let careful = repaired(&files, &options()).expect("repairs").0;
        let trusting = repaired(&files, &trusting()).expect("repairs").0;
        let wanted = !world.touched(leaf.entries.iter().map(|(key, _)| key.clone())).is_empty();
        assert!(careful.keyspaces.iter().all(|k| k.unchecked == 0));
        assert!(!wanted || !trusting.is_complete() && !careful.is_complete(), "{trusting:?}");
        more += usize::from(trusting.keys > careful.keys);
    }
    assert!(more > 10, "more keys of {more} runs");
}

#[test]
fn without_the_catalog_keyspaces_are_called_by_their_numbers() {
    let mut rng = Rng::new(testing::seed(56));
    for end in [End::AtCheckpoint, End::WithLog] {
        let (world, clean) = (build(11, end), end == End::AtCheckpoint);
        let layout = Layout::of(&world.files);
        let blocks: BTreeSet<usize> =
            layout.documents.iter().filter(|place| place.tree == 0).flat_map(|place| place.pages.clone()).collect();
        let mut files = world.files.clone();
        for page in blocks {
            files = flip(&files, page, &mut rng);
        }
        let (report, _, found) = repaired(&files, &options()).expect("repairs");
        assert!(!report.is_complete());
        let whole = world.expected(&Gone::default());
        for (tree, name) in &world.names {
            let got = found.get(&format!("recovered-{tree}")).or_else(|| found.get(name));
            match clean {
                true => assert!(got.unwrap_or(&Map::new()) == &whole[name], "{name}: {report:?}"),
                false => assert!(name == "more keys" || whole[name].is_empty() || got.is_some(), "{name}: {report:?}"),
            }
        }
        for (name, map) in &found {
            assert!(map.iter().all(|(k, v)| world.ever.contains(&(k.clone(), v.clone()))), "{name}");
        }
        assert!(report.keyspaces.iter().any(|k| !k.named));
        assert!(!clean || found.len() < world.now.len(), "empty ones are not known, dropped ones do not come back");
    }
}

#[test]
fn without_a_meta_page_no_key_is_made_up() {
    let (mut bench, mut rng) = (Bench::new(), Rng::new(testing::seed(57)));
    let mut bases = BTreeSet::new();
    for end in [End::Closed, End::AtCheckpoint, End::WithLog] {
        let world = build(12, end);
        for number in 0..40 {
            let mut files = world.files.clone();
            for page in 0..2 {
                let at = if number == 0 { 0..PAGE } else { 180..216 };
                match number {
                    0 | 1 => files.data()[page * PAGE..][at].fill(0),
                    _ => files.data()[page * PAGE + 48 + rng.below(160) as usize] ^= 1 << rng.below(8),
                }
            }
            bench.case(&format!("meta pages {number}, {end:?}"), files.total(), || {
                let options = if end == End::Closed && number == 0 { trusting() } else { options() };
                let (report, verified, found) = match repaired(&files, &options) {
                    Err(Error::UnknownFormat { .. } | Error::Corrupt(_)) => return Ok(VerifyReport::default()),
                    other => other?,
                };
                bases.insert(format!("{:?}", report.basis));
                for (name, map) in &found {
                    assert!(map.iter().all(|(k, v)| world.ever.contains(&(k.clone(), v.clone()))), "{name}");
                }
                let sure = report.keyspaces.iter().all(|k| k.complete && !k.outdated && k.uncertain == 0);
                assert!(!sure || found == world.now || report.log_is_missing(), "{number}: {report:?}");
                Ok(verified)
            });
        }
    }
    bench.finish();
    assert!(bases.len() >= 3, "{bases:?}");
}

trait Missing {
    fn log_is_missing(&self) -> bool;
}

impl Missing for RepairReport {
    fn log_is_missing(&self) -> bool {
        matches!(self.log, RepairedLog::Missing { .. } | RepairedLog::Partly { .. })
    }
}

/// Changes some bytes of the unit at `page`, under a right checksum.
fn rewrite(files: &mut Files, page: usize, from: &[u8], to: &[u8]) {
    let covered = files.covered(page);
    let bytes = &mut files.data()[page * PAGE..][..covered];
    let at = bytes.windows(from.len()).position(|bytes| bytes == from).expect("it is there");
    bytes[at..at + to.len()].copy_from_slice(to);
    files.reseal(page, covered);
}

#[test]
fn what_contradicts_the_place_that_names_it_is_lost() {
    let world = build(15, End::AtCheckpoint);
    let place = |page: usize| page.to_le_bytes()[..6].to_vec();
    let told = |files: &Files, reason: &str| {
        let (report, ..) = repaired(files, &options()).expect("repairs");
        let is_told = report.lost.iter().any(|loss| loss.reason.to_string().contains(reason));
        assert!(is_told && !report.is_complete(), "{reason}: {report:?}");
    };
    // Two names of one run.
    let [one, other] = [0, 1].map(|at| &world.runs[at]);
    let mut files = world.files.clone();
    let (from, to) = (one.leaves[0].page, other.leaves[0].page);
    rewrite(&mut files, one.named_by, &place(from), &place(to));
    told(&files, "named twice");
    // A value of another length.
    let mut files = world.files.clone();
    let leaves = || world.runs.iter().flat_map(|run| &run.leaves);
    let large = leaves().find_map(|leaf| {
        leaf.entries.iter().find_map(|(_, has)| match has {
            Has::Large(pages, value) => Some((leaf.page, *pages.first()?, value.len())),
            _ => None,
        })
    });
    let (leaf, page, length) = large.expect("a large value");
    let cell = |length: usize| [&place(page)[..], &(length as u32).to_le_bytes()].concat();
    rewrite(&mut files, leaf, &cell(length), &cell(length - 1));
    told(&files, "large value (length)");
    // A leaf in which something else is missing than what is damaged.
    let mut files = world.files.clone();
    let leaf = leaves().find(|leaf| leaf.entries.len() > 3).expect("a leaf");
    let count = leaf.entries.len() as u16;
    let covered = files.covered(leaf.page);
    files.data()[leaf.page * PAGE + 48..][..2].copy_from_slice(&(count - 1).to_le_bytes());
    files.reseal(leaf.page, covered);
    assert!(!repaired(&files, &options()).expect("repairs").0.is_complete());
}

/// Wrong content of the sorted index under a right checksum: a repair ends well, whatever it gives.
#[test]
fn hostile_runs_are_repaired_and_never_more() {
    let (mut bench, mut rng) = (Bench::new(), Rng::new(testing::seed(58)));
    let world = build(13, End::AtCheckpoint);
    let mut units: Vec<usize> = world.manifest.clone();
    units.extend(world.runs.iter().flat_map(|run| [run.tail.start, run.leaves.first().map_or(0, |leaf| leaf.page)]));
    units.retain(|page| world.files.is_unit(*page));
    for number in 0..1200 {
        let mut files = world.files.clone();
        for _ in 0..1 + rng.below(3) {
            let page = *rng.pick(if number % 3 == 0 { &world.manifest } else { &units });
            files.forge(page, &mut rng);
        }
        let options = if number % 2 == 0 { options() } else { trusting() };
        bench.case(&format!("hostile {number}"), files.total(), || {
            repaired(&files, &options).map(|(_, verified, _)| verified)
        });
    }
    bench.finish();
}

#[test]
fn copying_keys_tells_how_far_it_is_and_stops_when_it_is_told() {
    let world = build(14, End::AtCheckpoint);
    let mut phases = BTreeMap::new();
    let control = Control::new().on_progress(|p| {
        assert!(p.total == 0 || p.done <= p.total);
        phases.insert(p.phase, p.done);
    });
    repair_with(&on_disk(&world.files), &options(), control).expect("repairs");
    let keys: u64 = world.now.values().map(|map| map.len() as u64).sum();
    assert!(phases["keys"] > 100 && phases["count"] <= keys, "{phases:?}");
    for phase in ["keys", "count"] {
        let (disk, token) = (on_disk(&world.files), CancelToken::new());
        let control = Control::new().cancel(&token).on_progress(|p| {
            if p.phase == phase {
                token.cancel();
            }
        });
        assert!(matches!(repair_with(&disk, &options(), control), Err(Error::Cancelled)));
        let names: Vec<&String> = world.files.0.iter().map(|(name, _)| name).collect();
        assert_eq!(disk.file_names().iter().collect::<Vec<_>>(), names);
    }
}
