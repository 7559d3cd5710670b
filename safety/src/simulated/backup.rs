//! Backup and restore on the simulated disk, cut and failed at every operation.
//!
//! ```text
//!   db + log --named full--> full     changed     --incremental over an old file--> inc
//!   target + log (not closed)                     --restore of full, inc over it--> target
//!
//!   at each operation of both arrows: the power goes, the process dies, EIO, ENOSPC
//!       db      opens, with everything acknowledged; a name that it knows stands for a file that is there
//!       inc     the bytes from before, or the whole new ones
//!       target  what it held before (its log included), or what was backed up
//! ```

use crate::lane::Tally;
use nyro::testing::{self, CrashPolicy, Persist, Rng, SimDisk, SimEnv, SimError, SimOptions, TestConfig};
use nyro::{doc, BackupOptions, Control, Database, Document, Durability, Error, Options, RestoreOptions, Result};
use std::sync::Arc;

fn open(disk: &SimDisk, name: &str) -> Result<Database> {
    let options = Options { durability: Durability::Sync, ..Options::default() };
    let config = TestConfig { options, ..TestConfig::default() };
    testing::open(Arc::new(disk.clone()), Arc::new(SimEnv::new(11)), name, &config)
}

fn put(db: &Database, ids: std::ops::Range<u64>, text: &str) {
    for id in ids {
        let text = if id % 7 == 0 { text.repeat(3000) } else { text.to_owned() };
        db.collection::<Document>("c").put(&doc! { "_id": id, "text": text }).expect("puts");
    }
}

/// Ids and texts, in order.
fn content(db: &Database) -> Vec<(nyro::Id, String)> {
    let scan = db.collection::<Document>("c").scan().expect("scan");
    let text = |d: &Document| d.get("text").and_then(|t| t.as_str()).expect("a text").to_owned();
    let mut all: Vec<_> = scan.map(|d| d.expect("a document")).map(|d| (d.id().expect("an id"), text(&d))).collect();
    all.sort();
    all
}

/// Everything up to the first arrow.
struct Stage {
    disk: SimDisk,
    db: Database,
    old_target: Vec<(nyro::Id, String)>,
}

const OLD: &[u8] = b"the file of another day";

fn stage() -> Stage {
    let disk = SimDisk::new(SimOptions { seed: 5, file_capacity: 4 << 20 });
    let target = open(&disk, "target").expect("opens");
    put(&target, 0..20, "checkpointed");
    target.checkpoint().expect("checkpoint");
    put(&target, 10..30, "only in the log");
    let old_target = content(&target);
    testing::abandon(target);
    let db = open(&disk, "db").expect("opens");
    put(&db, 0..40, "base");
    let full = BackupOptions { name: Some("full".into()), ..BackupOptions::default() };
    backup(&db, &disk, "full", &full).expect("backs up");
    put(&db, 5..15, "changed");
    disk.write_file("inc", OLD.to_vec());
    Stage { disk, db, old_target }
}

fn backup(db: &Database, disk: &SimDisk, name: &str, options: &BackupOptions) -> Result<nyro::BackupReport> {
    testing::backup(db, Arc::new(disk.clone()), name, options, Control::new())
}

fn incremental(stage: &Stage) -> Result<nyro::BackupReport> {
    let options = BackupOptions { name: Some("inc".into()), since: Some("full".into()), overwrite: true };
    backup(&stage.db, &stage.disk, "inc", &options)
}

fn restore(disk: &SimDisk) -> Result<nyro::VerifyReport> {
    let (env, options) = (Arc::new(SimEnv::new(12)), RestoreOptions { overwrite: true });
    testing::restore(Arc::new(disk.clone()), env, "target", &["full", "inc"], &options, Control::new())
}

fn temporary_files(disk: &SimDisk) -> usize {
    disk.file_names().iter().filter(|name| name.contains("-new-")).count()
}

/// What must hold on every image.
struct Expected {
    db: Vec<(nyro::Id, String)>,
    old_target: Vec<(nyro::Id, String)>,
    new_inc: Vec<u8>,
}

impl Expected {
    /// Looks at the disk after a cut or failure. `done`: what was acknowledged.
    fn check(&self, disk: &SimDisk, backed_up: bool, restored: bool, what: &str) {
        let inc = disk.read_file("inc");
        assert!(inc == OLD || inc == self.new_inc, "{what}: the incremental backup is neither old nor new");
        assert!(inc == self.new_inc || !backed_up, "{what}: an acknowledged backup is gone");
        let db = open(disk, "db").unwrap_or_else(|e| panic!("{what}: {e:?}"));
        db.verify().unwrap_or_else(|e| panic!("{what}: verify: {e:?}"));
        assert_eq!(content(&db), self.db, "{what}");
        let known: Vec<String> = db.backups().expect("open").into_iter().map(|backup| backup.name).collect();
        let knows = known.iter().any(|name| name == "inc");
        assert!(known.iter().any(|name| name == "full"), "{what}: {known:?}");
        assert!(!knows || inc == self.new_inc, "{what}: a name without its file");
        assert!(knows || !backed_up, "{what}: an acknowledged name is gone");
        let target = open(disk, "target").unwrap_or_else(|e| panic!("{what}: {e:?}"));
        target.verify().unwrap_or_else(|e| panic!("{what}: verify: {e:?}"));
        let found = content(&target);
        assert!(found == self.db || (found == self.old_target && !restored), "{what}: the target holds neither");
        // The first commit begins a new log, beside whatever was left of the old one.
        put(&target, 100..101, "after");
        target.close().unwrap_or_else(|e| panic!("{what}: {e:?}"));
        let target = open(disk, "target").unwrap_or_else(|e| panic!("{what}: reopened: {e:?}"));
        assert_eq!(content(&target).len(), found.len() + 1, "{what}");
        target.close().expect("closes");
        db.close().expect("closes");
    }

    /// The next ones succeed, and remove what was left behind.
    fn check_again(&self, disk: &SimDisk, what: &str) {
        let db = open(disk, "db").unwrap_or_else(|e| panic!("{what}: {e:?}"));
        let options = BackupOptions { name: Some("inc".into()), since: Some("full".into()), overwrite: true };
        backup(&db, disk, "inc", &options).unwrap_or_else(|e| panic!("{what}: the next backup: {e:?}"));
        restore(disk).unwrap_or_else(|e| panic!("{what}: the next restore: {e:?}"));
        assert_eq!(temporary_files(disk), 0, "{what}: {:?}", disk.file_names());
        db.close().expect("closes");
    }
}

/// A crash at any operation of a backup or restore leaves the old file or the new one.
pub fn cut(seed: u64, tally: &mut Tally) {
    let stage = stage();
    let disk = stage.disk.clone();
    let db = content(&stage.db);
    disk.record();
    let begun = disk.operations();
    incremental(&stage).expect("backs up");
    let backed_up = disk.operations();
    let new_inc = disk.read_file("inc");
    restore(&disk).expect("restores");
    let restored = disk.operations();
    let expected = Expected { db, old_target: stage.old_target.clone(), new_inc };
    let mut rng = Rng::new(seed);
    let (mut replay, mut old, mut left) = (disk.replay().expect("recorded"), 0, 0);
    while let Some(operation) = replay.step() {
        if operation < begun {
            continue;
        }
        let mut images = vec![
            (format!("operation {operation}, all lost"), replay.disk().crash_image(CrashPolicy::LoseAll)),
            (format!("operation {operation}, all kept"), replay.disk().crash_image(CrashPolicy::KeepAll)),
            (format!("operation {operation}, process died"), replay.disk().process_crash_image()),
        ];
        for _ in 0..6 {
            let policy = CrashPolicy::Random(rng.next_u64());
            images.push((format!("operation {operation}, {policy:?}"), replay.disk().crash_image(policy)));
        }
        for (what, image) in images {
            tally.states.insert(image.digest());
            old += u64::from(image.read_file("inc") == OLD);
            left += u64::from(temporary_files(&image) > 0);
            let again = image.crash_image(CrashPolicy::KeepAll);
            expected.check(&image, operation >= backed_up, operation >= restored, &what);
            if rng.below(4) == 0 {
                expected.check_again(&again, &what);
            }
        }
    }
    tally.count("old backups", old);
    tally.count("temporary files left", left);
    assert!(restored > begun + 20, "few operations");
}

/// An error at any operation of a backup or restore leaves the old file or the new one.
pub fn fail(tally: &mut Tally) {
    let (begun, restored, new_inc) = {
        let stage = stage();
        let begun = stage.disk.operations();
        incremental(&stage).expect("backs up");
        restore(&stage.disk).expect("restores");
        (begun, stage.disk.operations(), stage.disk.read_file("inc"))
    };
    let (mut failed, mut stopped) = (0, 0);
    for error in [SimError::Eio, SimError::Enospc] {
        for persist in [Persist::Once, Persist::FromThenOn] {
            for operation in begun + 1..=restored {
                tally.cases += 1;
                let what = format!("{error:?} {persist:?} at operation {operation} of {begun} to {restored}");
                let stage = stage();
                let disk = stage.disk.clone();
                let expected =
                    Expected { db: content(&stage.db), old_target: stage.old_target.clone(), new_inc: new_inc.clone() };
                disk.fail_at(operation, error, persist);
                let backed_up = incremental(&stage);
                let restores = restore(&disk);
                disk.clear_faults();
                for e in [backed_up.as_ref().err(), restores.as_ref().err()].into_iter().flatten() {
                    failed += 1;
                    let told = matches!(
                        e,
                        Error::Io { .. }
                            | Error::DiskFull { .. }
                            | Error::WritesStopped { .. }
                            | Error::OutcomeUnknown { .. }
                            // What follows from a backup that failed: the file is still the old one.
                            | Error::NotADatabase { .. }
                            | Error::Corrupt(_)
                    );
                    assert!(told, "{what}: {e:?}");
                }
                // A removal that fails, too, leaves the temporary file to the next one.
                assert!(temporary_files(&disk) == 0 || persist == Persist::FromThenOn, "{what}");
                // Reads show what was committed; writing goes on, unless a sync or a meta page failed.
                assert_eq!(content(&stage.db), expected.db, "{what}");
                let same = doc! { "_id": 0, "text": "base".repeat(3000) };
                match stage.db.collection::<Document>("c").put(&same) {
                    Ok(_) => {}
                    Err(Error::WritesStopped { .. } | Error::OutcomeUnknown { .. }) => stopped += 1,
                    Err(e) => panic!("{what}: {e:?}"),
                }
                testing::abandon(stage.db);
                let image = disk.process_crash_image();
                expected.check(&image, backed_up.is_ok(), restores.is_ok(), &what);
                let power_cut = disk.crash_image(CrashPolicy::LoseAll);
                expected.check(&power_cut, backed_up.is_ok(), restores.is_ok(), &format!("{what}, then a power cut"));
            }
        }
    }
    tally.count("failed calls", failed);
    tally.count("handles stopped", stopped);
}

/// The disk of a backup may fail without harm to the database.
pub fn fail_elsewhere(tally: &mut Tally) {
    let (elsewhere, stage) = (SimDisk::new(SimOptions { seed: 6, file_capacity: 4 << 20 }), stage());
    let mut failed = 0;
    for error in [SimError::Eio, SimError::Enospc] {
        for persist in [Persist::Once, Persist::FromThenOn] {
            for operation in 1..30 {
                tally.cases += 1;
                elsewhere.fail_at(elsewhere.operations() + operation, error, persist);
                let options = BackupOptions { name: Some(format!("{operation}")), since: None, overwrite: true };
                let result = backup(&stage.db, &elsewhere, "full", &options);
                elsewhere.clear_faults();
                let known =
                    stage.db.backups().expect("open").iter().any(|backup| backup.name == options.name.clone().unwrap());
                failed += u64::from(result.is_err());
                assert!(result.is_ok() || !known || persist == Persist::Once, "{result:?}");
                put(&stage.db, 0..1, "goes on");
                if elsewhere.file_names().contains(&"full".to_owned()) {
                    let copy = open(&elsewhere, "full").expect("opens");
                    copy.verify().expect("verify");
                    copy.close().expect("closes");
                }
            }
        }
    }
    tally.count("failed calls", failed);
    stage.db.verify().expect("verify");
}

/// A name written over meta pages that were only read survives a power cut. The process before died while it closed the database: what the next one reads of the meta pages may not be on
/// the disk. A backup without a commit before it is the first to write them.
pub fn cut_after_dying(seed: u64, tally: &mut Tally) {
    let disk = SimDisk::new(SimOptions { seed: 7, file_capacity: 4 << 20 });
    let db = open(&disk, "db").expect("opens");
    put(&db, 1..6, "text");
    let expected = content(&db);
    disk.record();
    let begun = disk.operations();
    db.close().expect("closes");
    let mut rng = Rng::new(seed);
    let mut replay = disk.replay().expect("recorded");
    while let Some(operation) = replay.step() {
        if operation < begun {
            continue;
        }
        let died = replay.disk().process_crash_image();
        died.record();
        let db = open(&died, "db").expect("opens");
        let opened = died.operations();
        let options = BackupOptions { name: Some("first".into()), since: None, overwrite: true };
        let elsewhere = SimDisk::new(SimOptions { seed: 8, file_capacity: 4 << 20 });
        testing::backup(&db, Arc::new(elsewhere), "full", &options, Control::new()).expect("backs up");
        testing::abandon(db);
        let mut again = died.replay().expect("recorded");
        while let Some(second) = again.step() {
            if second <= opened {
                continue;
            }
            for round in 0..8 {
                let policy = match round {
                    0 => CrashPolicy::LoseAll,
                    1 => CrashPolicy::KeepAll,
                    _ => CrashPolicy::Random(rng.next_u64()),
                };
                let image = again.disk().crash_image(policy);
                tally.states.insert(image.digest());
                let what = format!("died at {operation}, then a power cut at {second}, {policy:?}");
                let db = open(&image, "db").unwrap_or_else(|e| panic!("{what}: {e:?}\n{}", died.trace()));
                db.verify().unwrap_or_else(|e| panic!("{what}: {e:?}"));
                assert_eq!(content(&db), expected, "{what}");
                db.close().expect("closes");
            }
        }
    }
}
