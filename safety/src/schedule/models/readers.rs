//! Models of readers: what they hold stays as it is, whatever is written, moved and given back beside them.

use crate::run::Model;
use crate::world::{config, document, together, value, Task, World};
use nyro::testing::{CrashPolicy, TestConfig};
use nyro::{Document, Error, Options, ReadMode, Snapshot};

pub static MODELS: &[Model] = &[
    Model { name: "bank", body: bank },
    Model { name: "snapshot", body: snapshot },
    Model { name: "cache", body: cache },
    Model { name: "close", body: close },
];

const ACCOUNTS: u64 = 3;
const EACH: u64 = 100;

fn transfer(world: &World, from: u64, to: u64) {
    let moved = world.db.write(|tx| {
        let accounts = tx.collection::<Document>("c");
        let add = |id: u64, change: i64| {
            let money = value(&accounts.get(id)?.expect("an account"));
            accounts.put(&document(id, money.wrapping_add_signed(change), 0)).map(drop)
        };
        add(from, -7)?;
        add(to, 7)
    });
    moved.expect("a transfer");
}

fn sum(snapshot: &Snapshot) -> u64 {
    let accounts = snapshot.collection::<Document>("c").expect("accounts");
    (0..ACCOUNTS).map(|id| value(&accounts.get(id).expect("a read").expect("an account"))).sum()
}

/// Transfers, beside one who adds all accounts up, and checkpoints.
fn bank() {
    let world = World::new(&config(), ACCOUNTS, EACH, 0);
    let clerk = |from: u64, to: u64| -> Task {
        let world = world.clone();
        Box::new(move || (0..2).for_each(|_| transfer(&world, from, to)))
    };
    let (auditor, background) = (world.clone(), world.clone());
    together(vec![
        clerk(0, 1),
        clerk(1, 2),
        Box::new(move || {
            for _ in 0..2 {
                let snapshot = auditor.db.snapshot().expect("a snapshot");
                assert_eq!(sum(&snapshot), ACCOUNTS * EACH, "money came or went");
            }
        }),
        Box::new(move || background.db.checkpoint().expect("a checkpoint")),
    ]);
    let expected = [EACH - 14, EACH, EACH + 14];
    for world in [&world, &World::after(&world.disk, CrashPolicy::LoseAll)] {
        let found = [0, 1, 2].map(|id| world.get(id).expect("a read").expect("an account"));
        assert_eq!(found, expected);
    }
}

fn content(snapshot: &Snapshot) -> Vec<(u64, u64)> {
    let documents = snapshot.collection::<Document>("c").expect("a collection");
    let value = |id| documents.get(id).expect("a read").map(|document| (id, value(&document)));
    let found: Vec<_> = (0..4).filter_map(value).collect();
    assert_eq!(documents.count_documents().expect("a count"), found.len() as u64, "the count is that of the documents");
    found
}

fn hold_snapshots(world: &World) {
    let first = world.db.snapshot().expect("a snapshot");
    let before = content(&first);
    world.db.checkpoint().expect("a checkpoint");
    let second = world.db.snapshot().expect("a snapshot");
    let then = content(&second);
    world.db.checkpoint().expect("a checkpoint");
    assert_eq!(content(&first), before, "a snapshot changed");
    world.db.compact().expect("compaction");
    assert_eq!(content(&first), before, "a snapshot changed");
    assert_eq!(content(&second), then, "a snapshot changed");
}

fn holding(config: &TestConfig) {
    let world = World::new(config, 4, 0, 900);
    let (writer, holder, other) = (world.clone(), world.clone(), world.clone());
    together(vec![
        Box::new(move || {
            for round in 1..3 {
                (0..2).for_each(|id| writer.put(id, round, 900).expect("a commit"));
            }
            writer.documents().delete(3u64).expect("a commit");
        }),
        Box::new(move || hold_snapshots(&holder)),
        Box::new(move || {
            other.db.checkpoint().expect("a checkpoint");
            let snapshot = other.db.snapshot().expect("a snapshot");
            let before = content(&snapshot);
            other.db.checkpoint().expect("a checkpoint");
            assert_eq!(content(&snapshot), before, "a snapshot changed");
        }),
    ]);
    let expected = vec![(0, 2), (1, 2), (2, 0)];
    assert_eq!(content(&world.db.snapshot().expect("a snapshot")), expected);
    world.db.verify().expect("whole");
    let after = World::after(&world.disk, CrashPolicy::LoseAll);
    assert_eq!(content(&after.db.snapshot().expect("a snapshot")), expected, "after a crash");
}

/// Snapshots across checkpoints and compaction, while documents are replaced and deleted and their pages used again.
fn snapshot() {
    holding(&config());
}

/// The same without a mapping: pages are read into a cache, and taken back from under nobody.
fn cache() {
    let config = config();
    let options = Options { read_mode: ReadMode::Pread, cache_bytes: 64 << 10, ..config.options };
    holding(&TestConfig { options, ..config });
}

/// A database is closed while others read and write: they are answered, or find it closed; what was answered stays.
fn close() {
    let world = World::new(&config(), 4, 0, 100);
    let told = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (reader, writer, closer) = (world.clone(), world.clone(), world.db.clone());
    let kept = world.db.snapshot().expect("a snapshot");
    let written = told.clone();
    together(vec![
        Box::new(move || {
            for id in 0..4 {
                match reader.get(id) {
                    Ok(found) => assert!(found.is_some(), "document {id} is gone"),
                    Err(e) => assert!(matches!(e, Error::Closed), "another error: {e:?}"),
                }
            }
        }),
        Box::new(move || match writer.put(0, 5, 100) {
            Ok(()) => written.store(true, std::sync::atomic::Ordering::Relaxed),
            Err(e) => assert!(matches!(e, Error::Closed), "another error: {e:?}"),
        }),
        Box::new(move || closer.close().expect("closes")),
        Box::new(move || {
            let documents = kept.collection::<Document>("c");
            let found = documents.and_then(|documents| documents.get_raw(1u64).map(|found| found.is_some()));
            match found {
                Ok(found) => assert!(found, "a snapshot lost a document"),
                Err(e) => assert!(matches!(e, Error::Closed), "another error: {e:?}"),
            }
        }),
    ]);
    let World { disk, db } = world;
    drop(db);
    let after = World::after(&disk, CrashPolicy::LoseAll);
    let expected = if told.load(std::sync::atomic::Ordering::Relaxed) { Some(5) } else { Some(0) };
    let found = after.get(0).expect("a read");
    assert!(found == expected || (found == Some(5) && expected == Some(0)), "found {found:?}, not {expected:?}");
}
