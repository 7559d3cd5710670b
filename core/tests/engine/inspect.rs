//! The inspectors: what they tell of a small file, word for word; that what they tell of a larger one is what it
//! holds; and that damage is told, and never more than that.

use crate::damage::Bench;
use crate::files::{self, Files, NAME, PAGE};
use nyro::inspect::{self, Checksum, Contents, PageUse};
use nyro::testing::{self, Rng, SimDisk, SimEnv, SimOptions, TempDir};
use nyro::{doc, Document, Error, VerifyReport};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// The files in a directory of their own.
fn on_the_real_disk(files: &Files) -> (TempDir, PathBuf) {
    let dir = TempDir::new().expect("a directory");
    put(files, &dir);
    let path = dir.path().join(NAME);
    (dir, path)
}

fn put(files: &Files, dir: &TempDir) {
    for entry in std::fs::read_dir(dir.path()).expect("the directory") {
        std::fs::remove_file(entry.expect("an entry").path()).expect("removes");
    }
    for (name, bytes) in &files.0 {
        std::fs::write(dir.path().join(name), bytes).expect("writes");
    }
}

/// A small database: one document of each kind, and a log.
fn small() -> Files {
    let disk = SimDisk::new(SimOptions { file_capacity: 8 << 20, seed: 0 });
    let db = testing::open(Arc::new(disk.clone()), Arc::new(SimEnv::new(3)), NAME, &files::config()).expect("opens");
    let users = db.collection::<Document>("users");
    users.put(&doc! { "_id": 7, "name": "Ada" }).expect("puts");
    users.put(&doc! { "_id": "key", "text": "x".repeat(5000) }).expect("puts");
    users.put(&doc! { "_id": 8, "name": "gone" }).expect("puts");
    db.checkpoint().expect("a checkpoint");
    users.delete(8).expect("deletes");
    db.checkpoint().expect("a checkpoint");
    users.put(&doc! { "_id": 9 }).expect("puts");
    db.write(|tx| {
        tx.collection::<Document>("users").delete(7)?;
        tx.collection::<Document>("more").put(&doc! { "_id": 1 }).map(|_| ())
    })
    .expect("commits");
    testing::abandon(db);
    Files(disk.file_names().into_iter().map(|name| (name.clone(), disk.read_file(&name))).collect())
}

/// `NYRO_BLESS=1` writes the expected text anew.
#[test]
fn a_small_file_is_described_word_for_word() {
    let files = small();
    let (_dir, path) = on_the_real_disk(&files);
    let mut text = String::new();
    for page in 0..files.pages() as u64 {
        let report = inspect::page(&path, page).expect("a report");
        writeln!(text, "---- page {page}\n{report:#?}").expect("writes");
    }
    writeln!(text, "---- log\n{:#?}", inspect::log(&path).expect("a report")).expect("writes");
    writeln!(text, "---- free\n{:#?}", inspect::free(&path).expect("a report")).expect("writes");
    writeln!(text, "---- trie\n{:#?}", inspect::trie(&path, "users").expect("a report")).expect("writes");
    let golden = format!("{}/tests/engine/inspect_golden.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("NYRO_BLESS").is_some() {
        std::fs::write(&golden, &text).expect("writes");
    }
    let expected = std::fs::read_to_string(&golden).expect("the expected text");
    assert!(text == expected, "what is told of a small file changed; if it should, NYRO_BLESS=1 writes it anew");
}

#[test]
fn what_is_told_of_a_file_is_what_it_holds() {
    for files in [files::clean(), files::unclean()] {
        let (_dir, path) = on_the_real_disk(&files);
        let verified = files::open(&files.on_disk()).expect("opens").verify().expect("verifies");
        let (mut used, mut live, mut blocks, mut inside) = (0, 0, 0, 0);
        for page in 0..files.pages() as u64 {
            let report = inspect::page(&path, page).expect("a report");
            assert!(report.page_use != PageUse::Unknown);
            used += u64::from(report.page_use == PageUse::Used);
            if report.page_use == PageUse::Used {
                assert_eq!(report.checksum, Checksum::Good, "page {page}");
                assert!(report.damage.is_none() && !matches!(report.contents, Contents::Unreadable), "{report:?}");
                if report.inside.is_some() {
                    inside += 1;
                    continue;
                }
                if let Contents::Block(block) = &report.contents {
                    let count = block.records.iter().filter(|record| record.live == Some(true)).count();
                    live += u64::from(report.unit.as_ref().is_some_and(|unit| unit.tree != 0)) * count as u64;
                    blocks += 1;
                    for record in &block.records {
                        let at = record.document_at as usize;
                        let document = &files.bytes()[at..at + record.document_bytes as usize];
                        assert!(record.id.is_some() && document[1..5] == *b"\xa3_id" || document[0] == 0xde);
                    }
                }
            }
        }
        let free = inspect::free(&path).expect("a report");
        assert_eq!((used, used), (free.used_pages, free.counted_used));
        assert_eq!(free.free_pages + free.counted_used, free.file_pages);
        assert_eq!(free.region_used.iter().map(|n| u64::from(*n)).sum::<u64>(), used);
        assert!(free.damage.is_empty() && blocks > 10 && inside > 20, "{free:?}");
        let tries: u64 = ["many", "text", "large"]
            .map(|name| inspect::trie(&path, name).expect("a report"))
            .iter()
            .map(|trie| {
                assert!(trie.damage.is_empty() && trie.entries == trie.counted, "{trie:?}");
                assert_eq!(trie.depths.iter().sum::<u64>(), trie.nodes[0]);
                assert_eq!(trie.fill.iter().sum::<u64>(), trie.leaf_pages);
                trie.entries
            })
            .sum();
        assert_eq!(tries, live);
        let log = inspect::log(&path).expect("a report");
        let wanted = log.wanted.expect("a meta page");
        assert_eq!(wanted.clean, log.segments.is_empty());
        if wanted.clean {
            assert_eq!((verified.documents, verified.used_pages), (live, used));
            continue;
        }
        let end = log.end.expect("a log");
        assert!(end.error.is_none() && end.commits > 200 && end.last_commit == Some(wanted.commit + end.commits));
        let frames: Vec<_> = log.segments.iter().flat_map(|segment| &segment.frames).collect();
        let commits = frames.iter().filter(|frame| frame.kind == "commit");
        assert_eq!(commits.filter(|frame| frame.commit > wanted.commit).count() as u64, end.commits);
        assert!(frames.iter().all(|f| f.checksum == Checksum::Good && f.follows && f.damage.is_none()));
        assert!(frames.iter().any(|f| f.drops == 1) && frames.iter().any(|f| f.deletes == 1));
    }
}

/// A keyspace of some runs: keys of several lengths, a large value, a leaf of several pages, a range that is deleted.
fn with_runs() -> (TempDir, PathBuf, nyro::Database) {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join(NAME);
    let db = nyro::Database::open(&path).expect("opens");
    let keys = db.keyspace("k");
    keys.batch(|k| {
        (0..2000).try_for_each(|n| k.put(format!("key {n:05}"), "v".repeat(n % 70)))?;
        k.put("large", "z".repeat(50_000))?;
        k.delete("nothing here")?;
        k.put("m".repeat(5000), "y".repeat(7000))
    })
    .expect("commits");
    db.checkpoint().expect("a checkpoint");
    keys.batch(|k| {
        k.delete("key 00001")?;
        k.delete_range("key 00100".."key 00200")
    })
    .expect("commits");
    db.checkpoint().expect("a checkpoint");
    (dir, path, db)
}

#[test]
fn a_run_is_told_as_it_was_written() {
    let (_dir, path, db) = with_runs();
    let runs = inspect::runs(&path).expect("a report");
    assert!(runs.damage.is_none() && runs.runs.len() >= 2, "{runs:?}");
    let (mut entries, mut deleted, mut ranges, mut wide) = (0, 0, Vec::new(), 0);
    for run in &runs.runs {
        let details = inspect::run(&path, run.run, true).expect("a report");
        assert!(details.damage.is_empty() && details.run == *run, "{:?}", details.damage);
        assert_eq!(details.entries.len() as u64, run.entries);
        assert!(details.entries.is_sorted_by(|a, b| (a.tree, &a.key) < (b.tree, &b.key)));
        entries += run.entries;
        deleted += details.entries.iter().filter(|entry| entry.value_bytes.is_none()).count();
        let tail = details.tail.expect("a tail");
        let share = tail.filter_bits_set as f64 / (tail.filter_bytes * 8).max(1) as f64;
        assert!(tail.leaves.is_empty() || (0.001..0.7).contains(&share), "{share}");
        ranges.extend(tail.ranges);
        for leaf in &details.leaves {
            let page = inspect::page(&path, leaf.page).expect("a report");
            let Contents::RunLeaf(keys) = &page.contents else { panic!("{page:?}") };
            assert_eq!(
                (keys.len() as u64, page.checksum, leaf.checksum),
                (leaf.entries, Checksum::Good, Checksum::Good)
            );
            for inner in 1..leaf.pages {
                let page = inspect::page(&path, leaf.page + inner).expect("a report");
                assert_eq!(page.inside, Some(leaf.page), "{page:?}");
                wide += 1;
            }
        }
        assert_eq!(inspect::run(&path, run.run, false).expect("a report").entries, []);
    }
    // A tombstone where nothing lies below is left out.
    assert_eq!((entries, deleted), (2003, 1));
    let whole = |key: &[u8]| [&1u32.to_be_bytes(), key].concat();
    assert_eq!(ranges, [(whole(b"key 00100"), whole(b"key 00200"))]);
    assert!(wide > 0, "no leaf of several pages");
    let stats = db.keyspace_stats().expect("figures");
    assert_eq!(stats.levels.iter().map(|level| level.runs).sum::<u64>(), runs.runs.len() as u64);
    let next = runs.runs.iter().map(|run| run.run).max().unwrap_or_default() + 1;
    assert!(matches!(inspect::run(&path, next, true), Err(Error::InvalidArgument(_))));
    assert!(matches!(inspect::trie(&path, "k"), Err(Error::OtherKind { .. })));
}

#[test]
fn of_a_damaged_run_the_rest_is_told() {
    let (_dir, path, db) = with_runs();
    db.close().expect("closes");
    let whole = std::fs::read(&path).expect("the file");
    let biggest = |run: &inspect::RunReport| run.entries;
    let run = inspect::runs(&path).expect("a report").runs.into_iter().max_by_key(biggest).expect("a run");
    let sound = inspect::run(&path, run.run, true).expect("a report");
    let leaf = &sound.leaves[sound.leaves.len() / 2];
    let with = |page: u64, change: &dyn Fn(&mut [u8])| {
        let mut bytes = whole.clone();
        change(&mut bytes[page as usize * PAGE..][..PAGE]);
        std::fs::write(&path, bytes).expect("writes");
        inspect::run(&path, run.run, true).expect("a report")
    };
    let flipped = with(leaf.page, &|page| page[PAGE - 100] ^= 1);
    assert_eq!(flipped.leaves.iter().filter(|leaf| matches!(leaf.checksum, Checksum::Bad { .. })).count(), 1);
    assert!(!flipped.damage.is_empty() && flipped.leaves.len() == sound.leaves.len());
    let gone = with(leaf.page, &|page| page.fill(0));
    assert_eq!(gone.leaves.len(), sound.leaves.len() - 1);
    assert_eq!(gone.entries.len() as u64, run.entries - leaf.entries);
    assert!(!gone.damage.is_empty());
    let tail = run.page + u64::from(run.leaf_pages);
    let no_tail = with(tail, &|page| page.fill(0));
    assert!(no_tail.tail.is_none() && !no_tail.damage.is_empty());
    assert_eq!(no_tail.entries, sound.entries);
    let mut rng = Rng::new(5);
    for _ in 0..300 {
        let page = run.page + rng.below(u64::from(run.leaf_pages + run.tail_pages));
        let (at, byte) = (rng.below(PAGE as u64) as usize, 1 + rng.below(255) as u8);
        assert!(!with(page, &|page| page[at] ^= byte).damage.is_empty(), "page {page}, byte {at}");
    }
    let meta = inspect::page(&path, 0).expect("a report");
    let Contents::Meta(meta) = meta.contents else { panic!("no meta page") };
    std::fs::write(&path, &whole).expect("writes");
    let manifest = if meta.chosen { meta.manifest_page } else { 0 };
    if manifest > 0 {
        let mut bytes = whole.clone();
        bytes[manifest as usize * PAGE + 200] ^= 1;
        std::fs::write(&path, bytes).expect("writes");
        assert!(inspect::runs(&path).expect("a report").damage.is_some());
        assert!(matches!(inspect::run(&path, run.run, true), Err(Error::Corrupt(_))));
    }
}

#[test]
fn a_file_in_use_is_looked_into_and_nobody_is_kept_from_writing() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join(NAME);
    let db = nyro::Database::open(&path).expect("opens");
    db.collection::<Document>("c").put(&doc! { "_id": 1 }).expect("puts");
    db.checkpoint().expect("a checkpoint");
    assert!(inspect::page(&path, 0).is_ok() && inspect::free(&path).is_ok());
    assert_eq!(inspect::trie(&path, "c").expect("a report").entries, 1);
    let log = inspect::log(&path).expect("a report");
    assert!(!log.wanted.expect("a meta page").clean && !log.segments.is_empty());
    db.collection::<Document>("c").put(&doc! { "_id": 2 }).expect("puts");
    db.close().expect("closes");
    assert_eq!(inspect::trie(&path, "c").expect("a report").entries, 2);
}

#[test]
fn what_is_not_there_is_an_error_that_says_so() {
    let (dir, path) = on_the_real_disk(&files::clean());
    let missing = dir.path().join("missing");
    assert!(matches!(inspect::page(&missing, 0), Err(Error::NoSuchFile(name)) if name.ends_with("missing")));
    assert!(matches!(inspect::page(&path, 1 << 40), Err(Error::InvalidArgument(_))));
    assert!(matches!(inspect::trie(&path, "nobody"), Err(Error::CollectionNotFound(_))));
    assert!(matches!(inspect::trie(&path, "a$b"), Err(Error::InvalidName(_))));
    std::fs::write(&path, vec![7; 3 * PAGE]).expect("writes");
    assert!(matches!(inspect::free(&path), Err(Error::NotADatabase { .. })));
    let page = inspect::page(&path, 2).expect("a report");
    assert!(page.page_use == PageUse::Unknown && page.damage.is_some());
    assert!(inspect::log(&path).expect("a report").wanted.is_none());
}

#[test]
fn damage_is_told_and_never_more() {
    let (mut bench, mut rng) = (Bench::new(), Rng::new(testing::seed(51)));
    for (clean, files) in [(true, files::clean()), (false, files::unclean())] {
        let dir = TempDir::new().expect("a directory");
        let path = dir.path().join(NAME);
        let units: Vec<usize> = (2..files.pages()).filter(|&page| files.is_unit(page)).collect();
        for number in 0..250 {
            let mut damaged = files.clone();
            let page = match number % 5 {
                0 => rng.below(2) as usize,
                _ => *rng.pick(&units),
            };
            let covered = if page < 2 { PAGE } else { files.covered(page) };
            let offset = match number % 2 {
                0 => rng.below(200) as usize,
                _ => rng.below(covered as u64) as usize,
            };
            let width = [1, 2, 4, 8][rng.below(4) as usize].min(covered - offset);
            let value = [0, u64::MAX, rng.below(1 << 16), rng.next_u64()][rng.below(4) as usize];
            let sealed = number % 3 != 0;
            let at = page * PAGE + offset;
            let same = damaged.bytes()[at..at + width] == value.to_le_bytes()[..width];
            damaged.data()[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
            match (sealed, page) {
                (true, 0 | 1) => damaged.reseal_meta(page),
                (true, _) => damaged.reseal(page, covered),
                _ => {}
            }
            if let (true, Some(segment)) = (number % 4 == 0, damaged.segments().first()) {
                let at = rng.below(3000) as usize;
                damaged.0[*segment].1[at] ^= 1 << rng.below(8);
            }
            if number % 25 == 24 {
                let length = rng.below(damaged.bytes().len() as u64) as usize;
                damaged.data().truncate(length);
            }
            put(&damaged, &dir);
            bench.case(
                &format!("clean: {clean}, {number}: page {page} offset {offset}: {value:#x}"),
                damaged.total(),
                || {
                    let mut pages: Vec<usize> = (0..20).map(|_| rng.below(files.pages() as u64) as usize).collect();
                    pages.push(page);
                    for number in pages {
                        let report = match inspect::page(&path, number as u64) {
                            Ok(report) => report,
                            Err(Error::InvalidArgument(_)) => continue,
                            Err(e) => return Err(e),
                        };
                        let told = report.damage.is_some() || !matches!(report.checksum, Checksum::Good);
                        assert!(number != page || sealed || same || told, "the damage is not told: {report:?}");
                    }
                    inspect::log(&path)?;
                    let _ = inspect::free(&path);
                    for name in ["many", "text", "large", "empty"] {
                        let _ = inspect::trie(&path, name);
                    }
                    Ok(VerifyReport::default())
                },
            );
        }
    }
    bench.finish();
}
