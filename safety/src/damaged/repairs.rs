//! Repair of damaged files: every document that lies in no damaged page is saved, of keyspaces what nothing is lost of,
//! and what is lost is told.
//!
//! ```text
//!   world --damage to some pages--> repair --> new file: verifies; holds each document whose pages are whole;
//!                                                        nothing that never was; keyspaces as they were, or told
//!                                         \-> report:   "complete" only where nothing is missing
//!   the damaged file is byte for byte what it was
//! ```
//!
//! The tests of `core/tests/engine/repair` check more of the report, on fewer files.

use super::pages::wrong_content;
use super::worlds::{disk_of, hash_of_pair, World, Worlds};
use crate::batch::{Case, Mark, Marks};
use crate::files::{Files, NAME, PAGE};
use crate::lane::lost;
use crate::layout::{key_of, Place, Role};
use nyro::testing::{self, Disk, Rng, SimEnv, TestConfig};
use nyro::{Control, Database, Document, Error, RepairOptions, RepairReport, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

const NEW: &str = "new.nyro";

pub const REPAIRS: u64 = 4_500;

pub fn repair<'w>(worlds: &'w Worlds, n: u64, rng: &mut Rng) -> Case<'w> {
    let world = [&worlds.many, &worlds.large, &worlds.worn, &worlds.log, &worlds.keys, &worlds.keys][n as usize % 6];
    let mut files = world.files.clone();
    let mut damaged = BTreeSet::new();
    let mut what = Vec::new();
    let hostile = n / 6 % 5 == 4;
    // Some files are whole.
    for _ in 0..(1 + rng.below(2)) * u64::from(hostile || n / 6 % 25 > 0) {
        if hostile {
            what.push(wrong_content(world, &mut files, rng));
        } else {
            what.push(damage(world, &mut files, &mut damaged, rng));
        }
    }
    let name = format!("{}: repair, {}", world.name, what.join(", "));
    let bytes = files.total();
    Case { name, bytes, run: Box::new(move |marks| check(world, &files, (!hostile).then_some(&damaged), n, marks)) }
}

fn damage(world: &World, files: &mut Files, damaged: &mut BTreeSet<usize>, rng: &mut Rng) -> String {
    let pages = files.pages();
    let page = match world.classes.is_empty() || rng.below(2) == 0 {
        true => rng.below(pages as u64) as usize,
        false => {
            let class = rng.pick(&world.classes);
            // The file may have been cut.
            *rng.pick(class) % pages
        }
    };
    damaged.insert(page);
    let at = page * PAGE..(page + 1) * PAGE;
    match rng.below(8) {
        0 => {
            files.data()[at].fill(0);
            format!("page {page} zeroed")
        }
        1 => {
            files.data()[at].copy_from_slice(&rng.bytes(PAGE));
            format!("page {page} garbage")
        }
        2 if page > 2 => {
            files.data().truncate(at.start);
            damaged.extend(page..pages);
            format!("cut to {page} pages")
        }
        _ => {
            files.data()[at.start + rng.below(PAGE as u64) as usize] ^= 1 << rng.below(8);
            format!("page {page} flipped")
        }
    }
}

/// `damaged` is none where any content may come of it.
fn check(world: &World, files: &Files, damaged: Option<&BTreeSet<usize>>, n: u64, marks: &Marks<'_>) {
    let disk = disk_of(files);
    let (old, new): (Arc<dyn Disk>, Arc<dyn Disk>) = (Arc::new(disk.clone()), Arc::new(disk.clone()));
    let options = RepairOptions {
        cache_bytes: 1 << 20,
        trust_unchecked: damaged.is_none() && n % 2 == 0,
        ..RepairOptions::default()
    };
    let config = TestConfig { segment_bytes: 64 << 10, ..TestConfig::default() };
    let done =
        testing::repair((old, NAME), (new.clone(), NEW), Arc::new(SimEnv::new(5)), &config, &options, Control::new());
    for (name, bytes) in &files.0 {
        if disk.read_file(name) != *bytes {
            lost(format!("{name} was written to"));
        }
    }
    let metas = damaged.is_none_or(|damaged| damaged.contains(&0) && damaged.contains(&1));
    let report = match done {
        Ok(report) => report,
        Err(e @ Error::Internal(_)) => panic!("{e}"),
        Err(_) if metas => return,
        Err(e) => lost(format!("not repaired: {e}")),
    };
    let opened = testing::open(new, Arc::new(SimEnv::new(7)), NEW, &config);
    let read = |db: Database| Ok((contents(&db)?, keys_of(&db)?, db));
    let (found, keys, db) = match opened.and_then(read) {
        Ok(all) => all,
        Err(e) => lost(format!("the new file can't be read: {e}")),
    };
    match db.verify() {
        Ok(verified) if verified.documents == report.documents => {}
        Ok(verified) => lost(format!("{} documents, and the report says {}", verified.documents, report.documents)),
        Err(e) => lost(format!("the new file does not verify: {e}")),
    }
    db.close().unwrap_or_else(|e| panic!("{e}"));
    marks.count(Mark::Saved, report.documents);
    marks.count(Mark::KeysSaved, report.keys);
    account_keys_told(&report, &keys);
    if let Some(damaged) = damaged {
        account(world, damaged, &report, &found, metas, marks);
        account_keys(world, damaged, &report, &keys);
    }
}

type Found = BTreeMap<String, BTreeMap<Vec<u8>, u64>>;

fn contents(db: &Database) -> Result<Found> {
    let snapshot = db.snapshot()?;
    let mut found = Found::new();
    for name in snapshot.collection_names()? {
        let mut scan = snapshot.collection::<Document>(&name)?.scan();
        let documents = found.entry(name).or_default();
        while let Some(document) = scan.next_raw()? {
            documents.insert(key_of(document.as_bytes()).to_vec(), xxh3_64(document.as_bytes()));
        }
    }
    Ok(found)
}

/// The hashes of keys and their values, by keyspace.
type FoundKeys = BTreeMap<String, BTreeMap<Vec<u8>, u64>>;

fn keys_of(db: &Database) -> Result<FoundKeys> {
    let snapshot = db.snapshot()?;
    let mut found = FoundKeys::new();
    for name in snapshot.keyspace_names()? {
        let keys = found.entry(name.clone()).or_default();
        for pair in snapshot.keyspace(&name)?.range::<&[u8]>(..)? {
            let (key, value) = pair?;
            let hash = hash_of_pair(&key, &value);
            keys.insert(key, hash);
        }
    }
    Ok(found)
}

/// The report names what is there, and counts it right.
fn account_keys_told(report: &RepairReport, found: &FoundKeys) {
    let told = report.keyspaces.iter().map(|keyspace| (&keyspace.name, keyspace.keys));
    if !told.eq(found.iter().map(|(name, keys)| (name, keys.len() as u64))) {
        lost(format!("keyspaces {:?}, and the report says {report:?}", found.keys().collect::<Vec<_>>()));
    }
}

fn account_keys(world: &World, damaged: &BTreeSet<usize>, report: &RepairReport, found: &FoundKeys) {
    let state = &world.states[world.last()];
    let is_same = |name: &String, keys: &BTreeMap<Vec<u8>, u64>| {
        let held = state.keyspaces.get(name);
        held.is_some_and(|held| keys.iter().eq(held.iter().map(|(key, valued)| (key, &valued.hash))))
    };
    for (name, keys) in found {
        if let Some((key, _)) = keys.iter().find(|(_, hash)| !world.ever.contains(hash)) {
            lost(format!("keyspace {name} {key:x?} never had that value; {report:?}"));
        }
        let told = report.keyspaces.iter().find(|told| told.name == *name);
        let sure = told.is_some_and(|told| told.named && told.complete && !told.outdated && told.uncertain == 0);
        if sure && state.keyspaces.contains_key(name) && !is_same(name, keys) {
            lost(format!("keyspace {name} is not what it was, and nothing tells of it; {report:?}"));
        }
    }
    let all = found.len() == state.keyspaces.len() && found.iter().all(|(name, keys)| is_same(name, keys));
    if !all && report.is_complete() {
        lost(format!("keyspaces are not what they were, and the report says that it is complete; {report:?}"));
    }
    if damaged.is_empty() && !report.is_complete() {
        lost(format!("the file is whole; {report:?}"));
    }
}

fn account(
    world: &World,
    damaged: &BTreeSet<usize>,
    report: &RepairReport,
    found: &Found,
    metas: bool,
    marks: &Marks<'_>,
) {
    let hit = |role: &Role| damaged.iter().any(|page| world.layout.roles.get(*page) == Some(role));
    let may_come_back = metas || hit(&Role::Table);
    let state = &world.states[world.last()];
    let mut missing = 0;
    for (name, held) in &state.collections {
        let tree = world.layout.names.iter().find(|(_, known)| *known == name).map(|(tree, _)| *tree);
        let spare = format!("recovered-{}", tree.unwrap_or(0));
        // Where its name was lost it may have an older one.
        let named_by = |place: &&Place| place.tree == 0 && place.key.ends_with(name.as_bytes());
        let name_lost =
            world.layout.documents.iter().find(named_by).is_some_and(|place| !place.pages.is_disjoint(damaged));
        let anywhere = |key: &[u8], hash: u64| found.values().any(|documents| documents.get(key) == Some(&hash));
        let got = found.get(name).or_else(|| found.get(&spare));
        for (key, stored) in held {
            let place = world.layout.documents.iter().find(|place| Some(place.tree) == tree && place.key == *key);
            let is_hit = place.is_some_and(|place| !place.pages.is_disjoint(damaged));
            match got.and_then(|got| got.get(key)) {
                Some(hash) if *hash == stored.hash => {}
                _ if name_lost && anywhere(key, stored.hash) => {}
                other if !is_hit => lost(format!("{name} {key:x?}: {other:?}, and its pages are whole; {report:?}")),
                _ => missing += 1,
            }
        }
    }
    for (name, documents) in found {
        let ever = |key: &[u8], hash: u64| {
            let was = |state: &super::worlds::State| {
                state.collections.values().any(|held| held.get(key).is_some_and(|stored| stored.hash == hash))
            };
            world.states.iter().any(was)
        };
        let exact = state.collections.get(name);
        for (key, hash) in documents {
            if exact.and_then(|held| held.get(key)).is_some_and(|stored| stored.hash == *hash) {
                continue;
            }
            if !ever(key, *hash) {
                lost(format!("{name} {key:x?} never was; {report:?}"));
            }
            let uncertain = report.collections.iter().any(|c| c.name == *name && (c.uncertain > 0 || !c.named));
            if !uncertain && !may_come_back {
                lost(format!("{name} {key:x?} came back, and nothing tells of it; {report:?}"));
            }
        }
    }
    if missing > 0 && report.is_complete() {
        lost(format!("{missing} documents are missing, and the report says that it is complete; {report:?}"));
    }
    marks.count(Mark::Lost, missing);
}
