//! Repair: thousands of damaged files, and what must be in the new one.
//!
//! ```text
//!   seeded database --> model of what is in it, layout: which page holds what (read by other code)
//!        | damage to pages D
//!        v
//!   repair --> the new file verifies; every document that lies in no page of D is there, newest;
//!              nothing else is, but where the tree table (or a directory and an index) was in D
//!   the damaged file is byte for byte what it was
//! ```

mod keyspaces;
mod layout;
mod runs;
mod world;

use crate::damage::Bench;
use crate::files::{Files, NAME, PAGE};
use layout::Role;
use nyro::testing::{self, Rng, SimDisk, SimEnv, SimOptions, TempDir};
use nyro::{CancelToken, Control, Error, RepairBasis, RepairOptions, RepairReport, RepairedLog, Result, VerifyReport};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use world::{build, contents, open, Contents, World};

const NEW: &str = "new.nyro";

fn on_disk(files: &Files) -> SimDisk {
    SimDisk::from_files(SimOptions { file_capacity: 16 << 20, seed: 0 }, files.0.clone())
}

fn repair_with(disk: &SimDisk, options: &RepairOptions, control: Control<'_>) -> Result<RepairReport> {
    let disk: Arc<dyn testing::Disk> = Arc::new(disk.clone());
    testing::repair((disk.clone(), NAME), (disk, NEW), Arc::new(SimEnv::new(5)), &world::config(), options, control)
}

fn options() -> RepairOptions {
    RepairOptions { cache_bytes: 1 << 20, ..RepairOptions::default() }
}

fn trusting() -> RepairOptions {
    RepairOptions { trust_unchecked: true, ..options() }
}

/// Repairs, and checks what must hold whatever the damage: the old files are untouched, nothing is left beside,
/// and the new file verifies.
fn repaired(files: &Files, options: &RepairOptions) -> Result<(RepairReport, VerifyReport, Contents)> {
    let disk = on_disk(files);
    let done = repair_with(&disk, options, Control::new());
    for (name, bytes) in &files.0 {
        assert!(disk.read_file(name) == *bytes, "{name} was written to");
    }
    let mut names: Vec<String> = files.0.iter().map(|(name, _)| name.clone()).collect();
    names.extend(done.is_ok().then(|| NEW.to_owned()));
    names.sort();
    assert_eq!(disk.file_names(), names);
    let report = done?;
    let db = open(&disk, NEW)?;
    let verified = db.verify()?;
    let found = contents(&db)?;
    assert_eq!(report.documents, verified.documents);
    assert_eq!(report.collections.len() as u64, verified.collections);
    for collection in &report.collections {
        assert_eq!(collection.documents, found[&collection.name].len() as u64);
    }
    db.close()?;
    Ok((report, verified, found))
}

/// Whether what was found can be what is left of the world after damage to `damaged`.
fn check(world: &World, damaged: &BTreeSet<usize>, report: &RepairReport, found: &Contents) {
    let layout = &world.layout;
    let hit = |role: &Role| damaged.iter().any(|page| layout.roles.get(*page) == Some(role));
    let metas = damaged.contains(&0) && damaged.contains(&1);
    let may_come_back = hit(&Role::Table) || metas;
    let mut claimed = BTreeSet::new();
    for (name, number) in &world.names {
        let before = world.names_before.iter().find(|(_, n)| *n == number).map(|(name, _)| name);
        let tree = layout.names.iter().find(|(_, name)| Some(*name) == before).map(|(tree, _)| *tree);
        let named_by = |document: &layout::Place| document.tree == 0 && key_is(&document.key, before);
        let name_lost = layout.documents.iter().any(|d| named_by(d) && !d.pages.is_disjoint(damaged));
        let spare = format!("recovered-{}", tree.unwrap_or(0));
        let got = match found.get(name).or_else(|| found.get(&spare).filter(|_| name_lost)) {
            Some(got) => got,
            None if name_lost && world.documents[*number].is_empty() => continue,
            None if name_lost && all_hit(world, tree, damaged) => continue,
            None => panic!("collection {name} is missing; {report:?}"),
        };
        let new_name = if found.contains_key(name) { name } else { &spare };
        claimed.insert(new_name.clone());
        let directory = tree.is_some_and(|tree| hit(&Role::Directory(tree)));
        let incomplete = may_come_back || directory;
        let exact = !(may_come_back || directory && hit(&Role::Index));
        for (key, document) in &world.documents[*number] {
            let place = layout.documents.iter().find(|d| Some(d.tree) == tree && d.key == *key);
            let touched = world.touched.contains(&(*number, key.clone()));
            let is_hit = !touched && place.is_some_and(|place| !place.pages.is_disjoint(damaged));
            match got.get(key) {
                Some(got) if got == document => {}
                Some(_) => assert!(is_hit && incomplete, "{name} {key:x?}: an older version; {report:?}"),
                None => assert!(is_hit, "{name} {key:x?} is missing; {report:?}"),
            }
        }
        for key in got.keys().filter(|key| !world.documents[*number].contains_key(*key)) {
            assert!(!exact, "{name} {key:x?} came back; {report:?}");
            assert!(world.ever.contains(&(*number, key.clone())), "{name} {key:x?} never was; {report:?}");
            let told = report.collections.iter().find(|c| c.name == *new_name).expect("reported");
            assert!(told.uncertain > 0, "{name}: came back untold");
        }
    }
    for name in found.keys().filter(|name| !claimed.contains(*name)) {
        let known = world.ever_names.contains(name) || name.starts_with("recovered-");
        assert!(known && may_come_back, "collection {name} should not be; {report:?}");
    }
}

fn key_is(key: &[u8], name: Option<&String>) -> bool {
    name.is_some_and(|name| key.ends_with(name.as_bytes()) && key.len() - name.len() <= 2)
}

/// No document of the tree can be saved.
fn all_hit(world: &World, tree: Option<u32>, damaged: &BTreeSet<usize>) -> bool {
    world.layout.documents.iter().filter(|d| Some(d.tree) == tree).all(|d| !d.pages.is_disjoint(damaged))
}

/// The ways to damage a page.
const WAYS: [&str; 5] = ["flipped", "zeroed", "garbage", "in place of another", "cut"];

fn damage(files: &Files, page: usize, way: &str, rng: &mut Rng) -> (Files, BTreeSet<usize>) {
    let mut files = files.clone();
    let mut damaged = BTreeSet::from([page]);
    let pages = files.pages();
    let data = files.data();
    let bytes = page * PAGE..(page + 1) * PAGE;
    match way {
        "flipped" => data[bytes.start + rng.below(PAGE as u64) as usize] ^= 1 << rng.below(8),
        "zeroed" => data[bytes].fill(0),
        "garbage" => data[bytes].copy_from_slice(&rng.bytes(PAGE)),
        "in place of another" => {
            let other = rng.below(pages as u64) as usize;
            let (a, b) = (data[bytes.clone()].to_vec(), data[other * PAGE..][..PAGE].to_vec());
            data[bytes].copy_from_slice(&b);
            data[other * PAGE..][..PAGE].copy_from_slice(&a);
            damaged.insert(other);
        }
        _ => {
            data.truncate(bytes.start + rng.below(PAGE as u64) as usize);
            damaged.extend(page..pages);
        }
    }
    (files, damaged)
}

/// Runs a case under the watch of the bench: no panic, no hang, no huge allocation.
fn case(bench: &mut Bench, name: &str, files: &Files, run: impl FnOnce() -> Result<VerifyReport>) {
    bench.case(name, files.total(), run);
}

#[test]
fn a_whole_file_is_copied_exactly_and_the_report_says_so() {
    for (clean, seed) in [(true, 1), (false, 2), (true, 3), (false, 4)] {
        let world = build(seed, clean);
        let (report, _, found) = repaired(&world.files, &options()).expect("repairs");
        assert!(found == world.contents(), "seed {seed}");
        assert!(report.is_complete() && report.basis == RepairBasis::MetaPage && !report.searched, "{report:?}");
        match (&report.log, clean) {
            (RepairedLog::NotNeeded, true) => {}
            (RepairedLog::Replayed { commits, .. }, false) => assert!(*commits > 100),
            (log, _) => panic!("{log:?}"),
        }
    }
}

#[test]
fn after_damage_to_any_page_every_document_that_lies_elsewhere_is_saved() {
    let (mut bench, mut rng) = (Bench::new(), Rng::new(testing::seed(21)));
    let mut came_back = 0;
    for clean in [true, false] {
        let world = build(rng.next_u64(), clean);
        for role in [Role::Table, Role::Directory(0), Role::Block(0), Role::Index, Role::Free] {
            assert!(world.layout.roles.contains(&role), "no page is {role:?}");
        }
        for page in 0..world.files.pages() {
            let ways: &[&str] = match world.layout.roles[page] {
                Role::Meta | Role::Table | Role::Directory(_) | Role::Block(0) => &WAYS,
                Role::Free if page % 4 != 0 => continue,
                _ => &[WAYS[0], WAYS[1 + page % 4]],
            };
            for way in ways {
                let (files, damaged) = damage(&world.files, page, way, &mut rng);
                let role = &world.layout.roles[page];
                case(&mut bench, &format!("clean: {clean}, page {page} ({role:?}) {way}"), &files, || {
                    let metas = damaged.contains(&0) && damaged.contains(&1);
                    match repaired(&files, &options()) {
                        Ok((report, verified, found)) => {
                            check(&world, &damaged, &report, &found);
                            came_back += report.collections.iter().map(|c| c.uncertain).sum::<u64>();
                            Ok(verified)
                        }
                        // Nothing tells the identity, or there is less than two meta pages.
                        Err(Error::NotADatabase { .. } | Error::Corrupt(_)) if metas => Ok(VerifyReport::default()),
                        Err(e) => panic!("{e}"),
                    }
                });
            }
        }
    }
    assert!(bench.cases > 900, "{} cases", bench.cases);
    bench.finish();
    assert!(came_back > 0, "no case in which a document may have come back");
}

#[test]
fn without_a_whole_meta_page_what_is_left_of_one_or_of_the_log_is_enough() {
    let (mut bench, mut rng) = (Bench::new(), Rng::new(testing::seed(22)));
    let both = BTreeSet::from([0, 1]);
    let bases = RefCell::new(Vec::new());
    for clean in [true, false] {
        let world = build(rng.next_u64(), clean);
        for case_number in 0..150 {
            let mut files = world.files.clone();
            for page in 0..2 {
                let from = if case_number % 3 == 0 { 48 } else { 0 };
                for _ in 0..1 + rng.below(3) {
                    let at = (from + rng.below(180 - from)) as usize;
                    files.data()[page * PAGE + at] ^= 1 << rng.below(8);
                }
            }
            case(&mut bench, &format!("clean: {clean}, meta pages flipped, {case_number}"), &files, || match repaired(
                &files,
                &options(),
            ) {
                Ok((report, verified, found)) => {
                    check(&world, &both, &report, &found);
                    bases.borrow_mut().push(report.basis);
                    Ok(verified)
                }
                // The identity was hit, in both pages; a version may be, too.
                Err(Error::NotADatabase { .. } | Error::Corrupt(_) | Error::UnknownFormat { .. }) => {
                    Ok(VerifyReport::default())
                }
                Err(e) => panic!("{e}"),
            });
        }
        let mut files = world.files.clone();
        files.data()[..2 * PAGE].fill(0);
        case(&mut bench, &format!("clean: {clean}, meta pages zeroed"), &files, || {
            let untrusting = repaired(&files, &options());
            if clean {
                assert!(matches!(untrusting, Err(Error::NotADatabase { .. })));
            } else {
                let (report, _, found) = untrusting.expect("the log knows the identity");
                assert_eq!(report.basis, RepairBasis::Identity);
                check(&world, &both, &report, &found);
            }
            let (report, verified, found) = repaired(&files, &trusting())?;
            check(&world, &both, &report, &found);
            assert_eq!(report.basis, if clean { RepairBasis::Nothing } else { RepairBasis::Identity });
            assert!(!report.is_complete());
            Ok(verified)
        });
    }
    bench.finish();
    let bases = bases.into_inner();
    for basis in [RepairBasis::DamagedMetaPage, RepairBasis::Identity] {
        assert!(bases.iter().filter(|b| **b == basis).count() > 30, "{basis:?} in few cases");
    }
}

/// One wrong bit costs one document, not its block, for who trusts what no checksum vouches for.
#[test]
fn documents_that_no_checksum_vouches_for_are_taken_only_where_that_is_wanted() {
    let mut rng = Rng::new(testing::seed(23));
    let world = build(7, true);
    let blocks: Vec<usize> = (2..world.files.pages())
        .filter(|page| matches!(world.layout.roles[*page], Role::Block(tree) if tree != 0))
        .collect();
    let total: usize = world.contents().values().map(|documents| documents.len()).sum();
    for _ in 0..100 {
        let page = *rng.pick(&blocks);
        let mut files = world.files.clone();
        files.data()[page * PAGE + 64 + rng.below(3000) as usize] ^= 1 << rng.below(8);
        let (careful, _, found) = repaired(&files, &options()).expect("repairs");
        check(&world, &BTreeSet::from([page]), &careful, &found);
        assert_eq!(careful.lost_total, 1);
        let lost = careful.lost[0].documents.expect("known") as usize;
        assert_eq!(careful.documents as usize, total - lost);
        let (trusting, _, _) = repaired(&files, &trusting()).expect("repairs");
        assert!(trusting.documents as usize >= total - 1 && trusting.documents > careful.documents, "{trusting:?}");
        assert!(trusting.collections.iter().map(|c| c.unchecked).sum::<u64>() > 0 && !trusting.is_complete());
    }
}

#[test]
fn a_damaged_log_is_replayed_up_to_the_damage_and_a_missing_one_is_told() {
    let (mut bench, mut rng) = (Bench::new(), Rng::new(testing::seed(24)));
    let world = build(9, false);
    let segments = world.files.segments();
    let whole = repaired(&world.files, &options()).expect("repairs").0;
    let RepairedLog::Replayed { commits: all, .. } = whole.log else { panic!("{whole:?}") };
    let mut outcomes = [0; 3];
    for number in 0..300 {
        let mut files = world.files.clone();
        let segment = *rng.pick(&segments);
        let length = files.0[segment].1.len() as u64;
        match number % 4 {
            0 => files.0[segment].1.truncate(rng.below(length) as usize),
            1 => drop(files.0.remove(segment)),
            _ => files.0[segment].1[rng.below(length.min(20_000)) as usize] ^= 1 << rng.below(8),
        }
        case(&mut bench, &format!("log damage {number}"), &files, || {
            let (report, verified, found) = repaired(&files, &options())?;
            let commits = match report.log {
                RepairedLog::Replayed { commits, .. } => {
                    outcomes[0] += 1;
                    commits
                }
                RepairedLog::Partly { commits, .. } => {
                    outcomes[1] += 1;
                    assert!(report.lost_total > 0);
                    commits
                }
                RepairedLog::Missing { .. } => {
                    outcomes[2] += 1;
                    assert!(!report.is_complete());
                    0
                }
                _ => panic!("{report:?}"),
            };
            assert!(commits <= all);
            // What was not changed since the checkpoint is there, whatever became of the log.
            for (name, number) in &world.names_before {
                let later = world.names.iter().find(|(_, n)| *n == number).map(|(name, _)| name);
                let Some(got) = found.get(name).or_else(|| found.get(later?)) else { continue };
                for (key, document) in &world.documents[*number] {
                    let touched = world.touched.contains(&(*number, key.clone()));
                    assert!(touched || got.get(key) == Some(document), "{name} {key:x?}");
                }
            }
            Ok(verified)
        });
    }
    bench.finish();
    assert!(outcomes.iter().all(|n| *n > 5), "{outcomes:?}");
}

/// Wrong content under a right checksum: nothing can be promised but that a repair ends well.
#[test]
fn hostile_files_are_repaired_or_refused_and_never_more() {
    let (mut bench, mut rng) = (Bench::new(), Rng::new(testing::seed(25)));
    for clean in [true, false] {
        let world = build(rng.next_u64(), clean);
        let units: Vec<usize> = (2..world.files.pages()).filter(|&page| world.files.is_unit(page)).collect();
        for number in 0..700 {
            let mut files = world.files.clone();
            for _ in 0..1 + rng.below(3) {
                let page = *rng.pick(&units);
                files.forge(page, &mut rng);
            }
            let options = if number % 2 == 0 { options() } else { trusting() };
            case(&mut bench, &format!("clean: {clean}, hostile {number}"), &files, || {
                repaired(&files, &options).map(|(_, verified, _)| verified)
            });
        }
        for offset in (0..200).step_by(4) {
            for value in [0, 1, u64::MAX >> 1, u64::MAX, rng.next_u64()] {
                let mut files = world.files.clone();
                for page in 0..2 {
                    files.data()[page * PAGE + offset..][..8].copy_from_slice(&value.to_le_bytes());
                    files.reseal_meta(page);
                }
                case(&mut bench, &format!("clean: {clean}, hostile meta {offset} {value:#x}"), &files, || {
                    repaired(&files, &trusting()).map(|(_, verified, _)| verified)
                });
            }
        }
    }
    bench.finish();
}

#[test]
fn a_failure_of_the_machine_leaves_no_new_file_and_everything_else_as_it_was() {
    use nyro::testing::{Persist, SimError};
    let world = build(31, false);
    let other = {
        let disk = SimDisk::new(SimOptions { file_capacity: 16 << 20, seed: 0 });
        let db = open(&disk, NEW).expect("opens");
        db.create_collection("of the old file").expect("creates");
        db.close().expect("closes");
        disk.read_file(NEW)
    };
    for overwrite in [false, true] {
        let begin = || {
            let mut files = world.files.clone();
            if overwrite {
                files.0.push((NEW.to_owned(), other.clone()));
            }
            (on_disk(&files), files)
        };
        let options = RepairOptions { overwrite, ..options() };
        let (disk, _) = begin();
        repair_with(&disk, &options, Control::new()).expect("repairs");
        let last = disk.operations();
        assert!(last > 30, "{last} operations");
        let stride = (last / 150).max(1);
        for error in [SimError::Eio, SimError::Enospc] {
            for persist in [Persist::Once, Persist::FromThenOn] {
                for operation in (1..=last).rev().step_by(stride as usize) {
                    let (disk, files) = begin();
                    disk.fail_at(operation, error, persist);
                    let done = repair_with(&disk, &options, Control::new());
                    disk.clear_faults();
                    let what = format!("{error:?} {persist:?} at operation {operation} of {last}: {done:?}");
                    for (name, bytes) in files.0.iter().filter(|(name, _)| name != NEW) {
                        assert!(disk.read_file(name) == *bytes, "{what}: {name} was changed");
                    }
                    let there = disk.file_names().contains(&NEW.to_owned());
                    match &done {
                        Ok(_) => {
                            // A failure that was got over: of a checkpoint, tried again.
                            let db = open(&disk, NEW).expect("opens");
                            assert!(contents(&db).expect("reads") == world.contents(), "{what}");
                            db.verify().expect("verifies");
                            db.close().expect("closes");
                        }
                        Err(
                            Error::Io { doing: "syncing the directory", .. }
                            | Error::DiskFull { doing: "syncing the directory" },
                        ) if overwrite && disk.read_file(NEW) != other => {
                            let db = open(&disk, NEW).expect("opens");
                            assert!(contents(&db).expect("reads") == world.contents(), "{what}");
                        }
                        Err(e) => {
                            let machine = matches!(
                                e,
                                Error::Io { .. }
                                    | Error::DiskFull { .. }
                                    | Error::WritesStopped { .. }
                                    | Error::OutcomeUnknown { .. }
                                    | Error::Full { .. }
                            );
                            assert!(machine, "{what}");
                            // The one operation that may be left undone is the removal itself.
                            assert!(there == overwrite || persist == Persist::FromThenOn, "{what}");
                            if overwrite {
                                assert!(disk.read_file(NEW) == other, "{what}: the old file was changed");
                            }
                        }
                    }
                    let left: Vec<String> =
                        disk.file_names().into_iter().filter(|name| name.contains("-repairing")).collect();
                    assert!(left.is_empty() || persist == Persist::FromThenOn, "{what}: {left:?} are left");
                    // What is left does not keep the next repair from working.
                    if done.is_err() {
                        let options = RepairOptions { overwrite: true, ..options.clone() };
                        repair_with(&disk, &options, Control::new()).expect("the next repair");
                        assert!(!disk.file_names().iter().any(|name| name.contains("-repairing")));
                    }
                }
            }
        }
    }
}

#[test]
fn a_power_cut_leaves_the_new_file_whole_or_as_it_was_before() {
    use nyro::testing::CrashPolicy;
    let world = build(32, true);
    let old = {
        let disk = SimDisk::new(SimOptions { file_capacity: 16 << 20, seed: 0 });
        open(&disk, NEW).and_then(|db| db.close()).expect("a database");
        disk.read_file(NEW)
    };
    for overwrite in [false, true] {
        let mut files = world.files.clone();
        files.0.extend(overwrite.then(|| (NEW.to_owned(), old.clone())));
        let disk = on_disk(&files);
        disk.record();
        repair_with(&disk, &RepairOptions { overwrite, ..options() }, Control::new()).expect("repairs");
        let mut replay = disk.replay().expect("recorded");
        let (mut before, mut after) = (0, 0);
        while let Some(operation) = replay.step() {
            let last = operation + 10 > disk.operations();
            if operation % 13 != 0 && !last {
                continue;
            }
            for policy in [CrashPolicy::LoseAll, CrashPolicy::KeepAll, CrashPolicy::Random(operation)] {
                let image = replay.disk().crash_image(policy);
                assert!(image.read_file(NAME) == *world.files.bytes(), "operation {operation}, {policy:?}");
                let there = image.file_names().contains(&NEW.to_owned());
                if !there || overwrite && image.read_file(NEW) == old {
                    before += 1;
                    assert!(there == overwrite, "operation {operation}, {policy:?}: neither the old nor the new file");
                } else {
                    after += 1;
                    let db = open(&image, NEW).expect("opens");
                    assert!(contents(&db).expect("reads") == world.contents(), "operation {operation}, {policy:?}");
                    db.close().expect("closes");
                }
                if last || operation % 52 == 0 {
                    let options = RepairOptions { overwrite: true, ..options() };
                    repair_with(&image, &options, Control::new()).expect("the next repair");
                    assert!(!image.file_names().iter().any(|name| name.contains("-repairing")));
                }
            }
        }
        assert!(before > 10 && after > 0, "{before} before, {after} after");
        let end = disk.crash_image(CrashPolicy::LoseAll);
        assert!(contents(&open(&end, NEW).expect("opens")).expect("reads") == world.contents(), "it is durable");
    }
}

#[test]
fn a_repair_tells_how_far_it_is_and_stops_when_it_is_told() {
    let world = build(41, true);
    let mut files = world.files.clone();
    let page = world.layout.roles.iter().position(|role| *role == Role::Directory(1)).expect("a directory");
    files.data()[page * PAGE + 100] ^= 1;
    let mut phases = BTreeSet::new();
    let disk = on_disk(&files);
    let control = Control::new().on_progress(|p| {
        assert!(p.total == 0 || p.done <= p.total + 10_000);
        phases.insert(p.phase);
    });
    repair_with(&disk, &options(), control).expect("repairs");
    assert!(phases.contains("search") && phases.contains("documents"), "{phases:?}");
    for stop_at in 0..20 {
        let (disk, token) = (on_disk(&files), CancelToken::new());
        let mut steps = 0;
        let control = Control::new().cancel(&token).on_progress(|_| {
            steps += 1;
            if steps > stop_at {
                token.cancel();
            }
        });
        let done = repair_with(&disk, &options(), control);
        assert!(matches!(done, Err(Error::Cancelled)), "{done:?}");
        assert_eq!(disk.file_names(), [NAME]);
    }
    let late = Control::new().deadline(std::time::Instant::now());
    assert!(matches!(repair_with(&on_disk(&files), &options(), late), Err(Error::DeadlineExceeded)));
}

#[test]
fn paths_are_checked_before_anything_is_written() {
    let dir = TempDir::new().expect("a directory");
    let (damaged, new) = (dir.path().join("a.nyro"), dir.path().join("b.nyro"));
    let repair = |options: &RepairOptions| nyro::repair(&damaged, &new, options, Control::new());
    assert!(matches!(repair(&options()), Err(Error::NoSuchFile(path)) if path.ends_with("a.nyro")));
    let db = nyro::Database::open(&damaged).expect("opens");
    db.collection::<nyro::Document>("c").put(&nyro::doc! {"_id": 100_u64}).expect("puts");
    db.collection::<nyro::Document>("c").delete(100_u64).expect("deletes");
    assert!(matches!(repair(&options()), Err(Error::Locked { .. })), "it is open");
    db.close().expect("closes");
    let same = nyro::repair(&damaged, &damaged, &options(), Control::new());
    assert!(matches!(same, Err(Error::InvalidArgument(_))));
    assert!(repair(&options()).expect("repairs").is_complete());
    assert!(matches!(repair(&options()), Err(Error::InvalidArgument(_))), "it is there");
    let overwrite = RepairOptions { overwrite: true, ..options() };
    let db = nyro::Database::open(&new).expect("opens");
    assert!(matches!(repair(&overwrite), Err(Error::Locked { .. })), "the new one is open");
    // Ids that were assigned once, or held, are not assigned again.
    let id = db.collection::<nyro::Document>("c").insert_one(&nyro::doc! {"a": 1}).expect("inserts").inserted_id;
    assert_eq!(id, nyro::Id::from(101_u64));
    db.close().expect("closes");
    assert!(repair(&overwrite).expect("repairs").is_complete());
    std::fs::write(&damaged, b"not a database").expect("writes");
    assert!(matches!(repair(&overwrite), Err(Error::NotADatabase { path, .. }) if path.ends_with("a.nyro")));
    assert!(new.exists());
}
