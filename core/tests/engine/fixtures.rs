//! Files kept from earlier: each is opened in every way and must hold what its maker is known to have written.
//!
//! ```text
//!   core/tests/fixtures/v<format>/<name>/   the data file, and its log where it was not closed
//! ```
//!
//! A change of the format that goes with a new version number adds a folder and leaves the old ones as they are.
//! While a version is not released yet, its files are made anew by
//! `cargo test -p nyro --test engine -- --ignored make_the_fixtures`.

use crate::common::{ids, quick, Db};
use nyro::testing::{self, SimDisk, SimEnv, SimOptions, TempDir, TestConfig};
use nyro::{doc, Database, Document, Durability, Id, Options, ReadMode};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NAME: &str = "kept.nyro";
const VERSION: u32 = 1;

/// The kinds of files: name, commits in its log.
const KINDS: [(&str, u64); 3] = [("clean", 0), ("unclean", 11), ("large", 0)];

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/v{VERSION}")).join(kind)
}

/// The document with this number, the same for ever.
fn document(n: u64) -> Document {
    match n % 4 {
        0 => doc! { "_id": n, "n": n, "text": "small" },
        1 => doc! { "_id": format!("id {n}"), "n": n, "list": [1, 2.5, (), true] },
        2 => doc! { "_id": (&[n as u8, 7]), "n": n, "map": { "a": { "b": "deep" } } },
        _ => doc! { "_id": n, "n": n, "text": "t".repeat((n * 3) as usize) },
    }
}

fn large(n: u64) -> Document {
    doc! { "_id": n, "n": n, "text": "0123456789".repeat(420 + n as usize * 50) }
}

fn id(document: &Document) -> Id {
    document.id().expect("an id")
}

/// Makes the content of a kind.
fn make(db: &Database, kind: &str) {
    let (c, gone) = (db.collection::<Document>("c"), db.collection::<Document>("gone"));
    c.insert_many(&(0..32).map(document).collect::<Vec<_>>()).expect("inserts");
    gone.insert_many(&(0..8).map(document).collect::<Vec<_>>()).expect("inserts");
    db.create_collection("empty").expect("creates");
    if kind == "unclean" {
        db.checkpoint().expect("a checkpoint");
    }
    match kind {
        "large" => {
            let texts = db.collection::<Document>("texts");
            (0..3).for_each(|n| drop(texts.put(&large(n)).expect("puts")));
            assert!(db.drop_collection("gone").expect("drops") && texts.delete(1).expect("deletes"));
        }
        _ => {
            for n in 0..8 {
                assert!(c.delete(id(&document(n * 2))).expect("deletes"));
            }
            c.put(&doc! { "_id": 1000, "n": 1000 }).expect("puts");
            db.rename_collection("gone", "renamed").expect("renames");
            db.write(|tx| {
                tx.collection("c").put(&doc! { "_id": 1001, "n": 1001 })?;
                tx.collection("renamed").put(&doc! { "_id": 1001, "n": 1001 }).map(drop)
            })
            .expect("writes");
        }
    }
}

/// The content of a kind: collections with the documents that each holds.
fn content(kind: &str) -> Vec<(&'static str, Vec<Document>)> {
    let more = |n: u64| doc! { "_id": n, "n": n };
    match kind {
        "large" => {
            vec![("c", (0..32).map(document).collect()), ("empty", vec![]), ("texts", vec![large(0), large(2)])]
        }
        _ => vec![
            ("c", (0..32).filter(|n| n % 2 == 1 || *n >= 16).map(document).chain([more(1000), more(1001)]).collect()),
            ("empty", vec![]),
            ("renamed", (0..8).map(document).chain([more(1001)]).collect()),
        ],
    }
}

fn check(db: &Database, kind: &str) {
    let content = content(kind);
    let names: Vec<&str> = content.iter().map(|(name, _)| *name).collect();
    assert_eq!(db.collection_names().expect("names"), names, "{kind}");
    for (name, documents) in &content {
        let c = db.collection::<Document>(name);
        assert_eq!(c.count_documents().expect("counts"), documents.len() as u64, "{kind} {name}");
        assert_eq!(ids(c.scan().expect("scans")), documents.iter().map(id).collect::<Vec<_>>(), "{kind} {name}");
        for document in documents {
            assert_eq!(c.get(id(document)).expect("gets").as_ref(), Some(document), "{kind} {name}");
        }
    }
    let report = db.verify().expect("verifies");
    assert_eq!(report.documents, content.iter().map(|(_, documents)| documents.len() as u64).sum::<u64>(), "{kind}");
}

#[test]
#[ignore = "writes the kept files of this version anew"]
fn make_the_fixtures() {
    for (kind, log) in KINDS {
        let disk = SimDisk::new(SimOptions::default());
        let options = Options { durability: Durability::Sync, ..Options::default() };
        let config = TestConfig { options, ..TestConfig::default() };
        let env = Arc::new(SimEnv::new(0x6b65_6570));
        let db = testing::open(Arc::new(disk.clone()), env, NAME, &config).expect("opens");
        make(&db, kind);
        check(&db, kind);
        match log {
            0 => db.close().expect("closes"),
            _ => testing::abandon(db),
        }
        let folder = folder(kind);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        for name in disk.file_names() {
            std::fs::write(folder.join(&name), disk.read_file(&name)).expect("writes");
        }
    }
}

/// A copy of the kept files.
fn copy(kind: &str) -> TempDir {
    let dir = TempDir::new().expect("a directory");
    for entry in std::fs::read_dir(folder(kind)).expect("the kept files") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).expect("copies");
    }
    dir
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(dir).expect("the directory").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries.map(|path| (path.clone(), std::fs::read(path).expect("bytes"))).collect();
    files.sort();
    files
}

#[test]
fn kept_files_hold_what_was_written_however_they_are_opened() {
    let mut bytes = 0;
    for (kind, log) in KINDS {
        for read_mode in [ReadMode::Mapped, ReadMode::Pread] {
            let dir = copy(kind);
            let path = dir.path().join(NAME);
            let before = files(dir.path());
            assert_eq!(before.len() > 1, log > 0, "{kind}");
            bytes += before.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
            let options = Options { read_only: true, read_mode, ..quick() };
            let db = Database::open_with(&path, options).expect("opens for reading");
            assert_eq!(db.stats().expect("stats").replayed_commits, log, "{kind}");
            check(&db, kind);
            db.close().expect("closes");
            assert!(files(dir.path()) == before, "{kind}: something was written");
            let options = Options { read_mode, create: false, ..quick() };
            let db = Db::new(Database::open_with(&path, options.clone()).expect("opens"));
            assert_eq!(db.stats().expect("stats").replayed_commits, log, "{kind}");
            check(&db, kind);
            db.docs("c").put(&doc! { "_id": 5000 }).expect("puts");
            assert!(db.docs("c").delete(5000).expect("deletes"));
            db.drop_collection("empty").expect("drops");
            db.create_collection("empty").expect("creates");
            db.close().expect("closes");
            let db = Db::new(Database::open_with(&path, options).expect("opens again"));
            check(&db, kind);
        }
    }
    assert!(bytes / 2 < 250_000, "{bytes} bytes for two copies of each: keep them small");
}
