//! Models of writers: what is acknowledged stays, what is not is not shown.

use crate::run::Model;
use crate::world::{config, draw, together, Task, World};
use nyro::testing::{self, CrashPolicy, Persist, SimDisk, SimError, TestConfig};
use nyro::{Document, Error, Options};
use std::sync::{Arc, Mutex};

pub static MODELS: &[Model] = &[
    Model { name: "group", body: group },
    Model { name: "ticket", body: ticket },
    Model { name: "failing-sync", body: failing_sync },
    Model { name: "segments", body: segments },
    Model { name: "deadline", body: deadline },
];

/// Pictures of the disk as a crash would leave it, and what each must hold at least.
#[derive(Clone, Default)]
struct Pictures(Arc<Mutex<Vec<(SimDisk, Vec<u64>)>>>);

impl Pictures {
    /// These documents are promised from now on.
    fn take(&self, world: &World, promised: Vec<u64>) {
        let picture = testing::at_once(|| world.disk.crash_image(CrashPolicy::LoseAll));
        self.0.lock().expect("pictures").push((picture, promised));
    }

    fn check(self) {
        for (disk, promised) in self.0.lock().expect("pictures").drain(..) {
            let after = World::after(&disk, CrashPolicy::KeepAll);
            for id in promised {
                let found = after.get(id).expect("a read");
                assert_eq!(found, Some(id), "document {id} was promised, and is gone after a crash");
            }
        }
    }
}

/// Three writers share syncs. What one was told of, and what a reader has seen, is there after a crash of that moment.
fn group() {
    let world = World::new(&config(), 0, 0, 0);
    let pictures = Pictures::default();
    let looks_at = draw(3);
    let writer = |id: u64| -> Task {
        let (world, pictures) = (world.clone(), pictures.clone());
        Box::new(move || {
            world.put(id, id, 10).expect("a commit");
            if id == looks_at {
                pictures.take(&world, vec![id]);
            }
        })
    };
    let mut tasks: Vec<Task> = (0..3).map(writer).collect();
    let reader = (world.clone(), pictures.clone());
    tasks.push(Box::new(move || {
        let (world, pictures) = reader;
        let seen: Vec<u64> = (0..3).filter(|id| world.get(*id).expect("a read").is_some()).collect();
        if !seen.is_empty() {
            pictures.take(&world, seen);
        }
    }));
    together(tasks);
    pictures.take(&world, vec![0, 1, 2]);
    pictures.check();
}

/// Commits that nobody waits for, beside one that is waited for: a ticket that says durable is.
fn ticket() {
    let world = World::new(&config(), 0, 0, 0);
    let pictures = Pictures::default();
    let writer = |id: u64| -> Task {
        let (world, pictures) = (world.clone(), pictures.clone());
        Box::new(move || {
            let put = |id: u64| {
                let document = crate::world::document(id, id, 10);
                world.db.write_async(|tx| tx.collection::<Document>("c").put(&document)).expect("a commit").1
            };
            let tickets = [put(id), put(id + 10)];
            if tickets[1].is_durable() {
                pictures.take(&world, vec![id, id + 10]);
            }
            tickets[0].wait().expect("durable");
            pictures.take(&world, vec![id]);
            tickets[1].wait().expect("durable");
        })
    };
    let mut tasks: Vec<Task> = (0..2).map(writer).collect();
    let background = world.clone();
    tasks.push(Box::new(move || testing::step(&background.db).expect("a step")));
    together(tasks);
    pictures.take(&world, vec![0, 1, 10, 11]);
    pictures.check();
}

/// An operation of the disk fails while three commit: who was told yes is there, of who was told no nothing is shown.
fn failing_sync() {
    let world = World::new(&config(), 0, 0, 0);
    if draw(2) == 0 {
        // A log that is there already.
        world.put(9, 9, 10).expect("a commit");
    }
    let persist = if draw(2) == 0 { Persist::Once } else { Persist::FromThenOn };
    world.disk.fail_at(world.disk.operations() + 1 + draw(20), SimError::Eio, persist);
    let told = Arc::new(Mutex::new(Vec::new()));
    let writer = |id: u64| -> Task {
        let (world, told) = (world.clone(), told.clone());
        Box::new(move || match world.put(id, id, 10) {
            Ok(()) => told.lock().expect("answers").push(id),
            Err(Error::OutcomeUnknown { .. } | Error::WritesStopped { .. }) => {}
            // A new segment that can't be made leaves the log as it was.
            Err(Error::Io { .. }) => {}
            Err(e) => panic!("another error: {e:?}"),
        })
    };
    together((0..3).map(writer).collect());
    let mut told = told.lock().expect("answers").clone();
    told.sort_unstable();
    let shown: Vec<u64> = (0..3).filter(|id| world.get(*id).expect("a read").is_some()).collect();
    assert_eq!(shown, told, "what is shown is what was acknowledged");
    let after = World::after(&world.disk, CrashPolicy::LoseAll);
    for id in told {
        assert_eq!(after.get(id).expect("a read"), Some(id), "document {id} was acknowledged, and is gone");
    }
}

/// Segments of the log fill up, begin, and are given back, while two commit and checkpoints are made.
fn segments() {
    let config = TestConfig { segment_bytes: 4096, ..config() };
    let world = World::new(&config, 0, 0, 0);
    let writer = |id: u64| -> Task {
        let world = world.clone();
        Box::new(move || {
            for round in 0..3 {
                world.put(id, round, 1500).expect("a commit");
            }
        })
    };
    let mut tasks: Vec<Task> = (0..2).map(writer).collect();
    let background = world.clone();
    tasks.push(Box::new(move || {
        background.db.checkpoint().expect("a checkpoint");
        testing::step(&background.db).expect("a step");
        background.db.checkpoint().expect("a checkpoint");
    }));
    together(tasks);
    let policy = CrashPolicy::Random(draw(u64::MAX));
    let after = World::after(&world.disk, policy);
    for id in 0..2 {
        assert_eq!(after.get(id).expect("a read"), Some(2), "the last commit of document {id} is gone ({policy:?})");
    }
}

/// Three add to one number, two of them with little patience: it is as much as were told yes.
fn deadline() {
    let patient = draw(2) == 0;
    let writer_timeout_ms = if patient { 60_000 } else { 1 };
    let config = config();
    let config = TestConfig { options: Options { writer_timeout_ms, ..config.options }, ..config };
    let world = World::new(&config, 1, 0, 0);
    let told = Arc::new(Mutex::new(0));
    let writer = |_| -> Task {
        let (world, told) = (world.clone(), told.clone());
        Box::new(move || {
            let added = world.db.write(|tx| {
                let documents = tx.collection::<Document>("c");
                let value = documents.get(0)?.map(|document| crate::world::value(&document));
                documents.put(&crate::world::document(0, value.expect("it is there") + 1, 0)).map(drop)
            });
            match added {
                Ok(()) => *told.lock().expect("answers") += 1,
                Err(Error::WriterTimeout { .. }) if !patient => {}
                Err(e) => panic!("another error: {e:?}"),
            }
        })
    };
    together((0..3).map(writer).collect());
    let told = *told.lock().expect("answers");
    assert!(told >= if patient { 3 } else { 1 }, "one of them gets its turn");
    assert_eq!(world.get(0).expect("a read"), Some(told), "each who was told yes has added one");
    world.put(0, 100, 0).expect("the lock is free again");
}
