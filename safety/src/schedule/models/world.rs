//! What each model has: a disk, a database on it, and tasks that run together.

use nyro::testing::{self, CrashPolicy, SimDisk, SimEnv, SimOptions, TestConfig};
use nyro::{doc, Collection, Database, Document, Options};
use shuttle::rand::Rng;
use std::sync::Arc;

/// Work of one task.
pub type Task = Box<dyn FnOnce() + Send>;

/// A database on a disk of its own.
#[derive(Clone)]
pub struct World {
    pub disk: SimDisk,
    pub db: Database,
}

/// Options of the models.
pub fn config() -> TestConfig {
    TestConfig { options: Options { cache_bytes: 1 << 20, ..Options::default() }, ..TestConfig::default() }
}

fn open(disk: &SimDisk, config: &TestConfig) -> Database {
    let env = Arc::new(SimEnv::new(7));
    testing::open(Arc::new(disk.clone()), env, "db", config).unwrap_or_else(|e| panic!("it does not open: {e:?}"))
}

impl World {
    /// A database with the documents 0..n, each of value `value` and with `bytes` bytes beside it, all in the file.
    pub fn new(config: &TestConfig, documents: u64, value: u64, bytes: usize) -> World {
        let disk = SimDisk::new(SimOptions { file_capacity: 1 << 20, seed: 3 });
        let db = open(&disk, config);
        let world = World { disk, db };
        for id in 0..documents {
            world.put(id, value, bytes).expect("puts");
        }
        world.db.checkpoint().expect("a checkpoint");
        world
    }

    /// What a crash leaves, opened and found whole.
    pub fn after(disk: &SimDisk, policy: CrashPolicy) -> World {
        let disk = disk.crash_image(policy);
        let db = open(&disk, &config());
        db.verify().unwrap_or_else(|e| panic!("after a crash ({policy:?}): {e:?}"));
        World { disk, db }
    }

    pub fn documents(&self) -> Collection<Document> {
        self.db.collection("c")
    }

    pub fn put(&self, id: u64, value: u64, bytes: usize) -> nyro::Result<()> {
        self.documents().put(&document(id, value, bytes)).map(drop)
    }

    /// The value of a document.
    pub fn get(&self, id: u64) -> nyro::Result<Option<u64>> {
        Ok(self.documents().get(id)?.map(|document| value(&document)))
    }
}

pub fn document(id: u64, value: u64, bytes: usize) -> Document {
    doc! { "_id": id, "value": value, "text": "x".repeat(bytes) }
}

pub fn value(document: &Document) -> u64 {
    document.get("value").and_then(|value| value.as_u64()).expect("a document of the model")
}

/// Runs tasks together, until all are done.
pub fn together(tasks: Vec<Task>) {
    testing::scheduled(|| {
        let tasks: Vec<_> = tasks.into_iter().map(shuttle::thread::spawn).collect();
        tasks.into_iter().for_each(|task| task.join().expect("a task"));
    });
}

/// A number below `n` that belongs to the schedule.
pub fn draw(n: u64) -> u64 {
    shuttle::rand::thread_rng().gen_range(0..n)
}
