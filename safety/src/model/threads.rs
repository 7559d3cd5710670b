//! Several threads against plain maps, with reopenings, crashes of the process and held snapshots.
//!
//! ```text
//!   writers   see `writer`: each knows what it wrote
//!   reader    snapshots: sum of accounts, count = scan, documents whole
//!   phase     open, run the threads, compare everything, then close, drop or crash
//! ```
//!
//! On real files and on the simulated disk, with the background threads of a user. The seed fixes the choices of each
//! thread, not their timing.

use super::writer::{assert_whole, Writer};
use crate::lane::{attempt, Failure, Tally};
use nyro::testing::{self, Disk, Rng, SimDisk, SimOptions, SystemEnv, TempDir, TestConfig};
use nyro::{doc, Database, Document, Durability, Options, Result, Snapshot};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

pub const ACCOUNTS: u64 = 40;
pub const BALANCE: i64 = 1000;

/// Where the databases of a unit lie.
pub enum Place {
    Files(TempDir),
    Simulated(SimDisk),
}

impl Place {
    /// Real files for three seeds of four.
    pub fn new(seed: u64) -> Place {
        match seed % 4 {
            0 => Place::Simulated(SimDisk::new(SimOptions { file_capacity: 256 << 20, seed })),
            _ => Place::Files(TempDir::new().expect("a temporary directory")),
        }
    }

    pub fn open(&self, options: Options) -> Result<Database> {
        match self {
            Place::Files(dir) => Database::open_with(dir.path().join("test.nyro"), options),
            Place::Simulated(disk) => {
                let config = TestConfig { options, ..TestConfig::default() };
                let disk: Arc<dyn Disk> = Arc::new(disk.clone());
                testing::open(disk, Arc::new(SystemEnv::new()), "test.nyro", &config)
            }
        }
    }
}

/// Options with which checkpoints run all the time.
pub fn options(rng: &mut Rng) -> Options {
    Options {
        durability: *rng.pick(&[Durability::Sync, Durability::Interval(5), Durability::Manual]),
        log_max_bytes: *rng.pick(&[256 << 10, 1 << 20]),
        cache_bytes: *rng.pick(&[1 << 20, 4 << 20]),
        read_mode: testing::read_mode(),
        ..Options::default()
    }
}

/// Ends a database as a user, a careless one, or a crash of the process does.
pub fn end(db: Database, rng: &mut Rng, tally: &mut Tally) {
    db.verify().expect("verify");
    tally.count("checkpoints", db.stats().expect("stats").checkpoints);
    match rng.below(3) {
        0 => db.close().expect("closes"),
        1 => drop(db),
        _ => {
            tally.count("dead processes", 1);
            testing::abandon(db);
            return;
        }
    }
    tally.count("reopenings", 1);
}

/// What holds in every snapshot.
fn check_invariants(snapshot: &Snapshot, rng: &mut Rng) -> Result<()> {
    check_sum(snapshot)?;
    let shared = snapshot.collection::<Document>("shared")?;
    for _ in 0..20 {
        if let Some(document) = shared.get(rng.below(3200))? {
            assert_whole(&document);
        }
    }
    let mut count = 0;
    for document in shared.scan() {
        assert_whole(&document?);
        count += 1;
    }
    assert_eq!(shared.count_documents()?, count);
    Ok(())
}

/// Money neither comes nor goes.
pub fn check_sum(snapshot: &Snapshot) -> Result<()> {
    let accounts = snapshot.collection::<Document>("accounts")?;
    let balances = accounts.scan().map(|account| account.map(|a| a["balance"].as_i64().expect("a number")));
    let balances: Vec<i64> = balances.collect::<Result<_>>()?;
    assert_eq!(balances.len() as u64, ACCOUNTS);
    assert_eq!(balances.iter().sum::<i64>(), ACCOUNTS as i64 * BALANCE, "money came or went");
    Ok(())
}

pub fn open_accounts(db: &Database) -> Result<()> {
    db.write(|tx| {
        let accounts = tx.collection::<Document>("accounts");
        for id in 0..ACCOUNTS {
            accounts.put(&doc! { "_id": id, "balance": BALANCE })?;
        }
        Ok(())
    })
}

/// Runs each on a thread of its own, and `beside` until they are done; gives the first failure.
pub fn side_by_side<'a>(
    works: Vec<Box<dyn FnMut() + Send + 'a>>,
    beside: Vec<Box<dyn FnMut() + Send + 'a>>,
) -> Option<Failure> {
    let stop = AtomicBool::new(false);
    let stop = &stop;
    std::thread::scope(|scope| {
        let beside: Vec<_> = beside
            .into_iter()
            .map(|mut work| {
                scope.spawn(move || {
                    let mut failure = None;
                    while failure.is_none() && !stop.load(Ordering::Relaxed) {
                        failure = attempt(&mut work);
                    }
                    failure
                })
            })
            .collect();
        let works: Vec<_> = works.into_iter().map(|mut work| scope.spawn(move || attempt(&mut work))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().expect("panics are attempts");
        let mut failures: Vec<Option<Failure>> = works.into_iter().map(join).collect();
        stop.store(true, Ordering::Relaxed);
        failures.extend(beside.into_iter().map(join));
        failures.into_iter().flatten().next()
    })
}

/// Runs writers and a reader until the writers have done `turns` each.
fn run_phase(db: &Database, writers: &mut [Writer], turns: u64, seed: u64) -> Option<Failure> {
    let snapshots = AtomicU64::new(0);
    let counted = &snapshots;
    let mut rng = Rng::new(seed);
    let works = writers.iter_mut().map(|writer| -> Box<dyn FnMut() + Send + '_> {
        Box::new(move || (0..turns).for_each(|_| writer.turn(db).expect("a turn")))
    });
    let reader = move || {
        let snapshot = db.snapshot().expect("snapshot");
        check_invariants(&snapshot, &mut rng).expect("invariants");
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let failure = side_by_side(works.collect(), vec![Box::new(reader)]);
    failure.or_else(|| attempt(|| finish_phase(db, writers)))
}

/// Compares everything, and lets each held snapshot see its three checkpoints.
fn finish_phase(db: &Database, writers: &mut [Writer]) {
    let snapshot = db.snapshot().expect("snapshot");
    for writer in writers.iter() {
        writer.compare(&snapshot).expect("compare");
    }
    let shared = snapshot.collection::<Document>("shared").expect("shared");
    let known: usize = writers.iter().map(Writer::shared_documents).sum();
    assert_eq!(shared.count_documents().expect("count"), known as u64);
    drop(snapshot);
    for round in 0..3 {
        db.collection::<Document>("rounds").put(&doc! { "_id": "round", "n": round }).expect("put");
        db.checkpoint().expect("checkpoint");
        for writer in writers.iter_mut() {
            writer.check_held(db).expect("held snapshots");
        }
    }
    assert!(writers.iter().all(|writer| writer.holds_none()), "each saw three checkpoints");
}

/// One database in several phases.
pub fn unit(seed: u64, tally: &mut Tally) {
    let place = Place::new(seed);
    let mut rng = Rng::new(seed);
    let count = 2 + rng.below(3);
    let mut writers: Vec<_> = (0..count).map(|number| Writer::new(number, seed)).collect();
    for phase in 0..3 {
        let db = place.open(options(&mut rng)).expect("opens");
        if phase == 0 {
            open_accounts(&db).expect("accounts");
        }
        let snapshot = db.snapshot().expect("snapshot");
        writers.iter().for_each(|writer| writer.compare(&snapshot).expect("after reopening"));
        drop(snapshot);
        if let Some(failure) = run_phase(&db, &mut writers, 1500, seed) {
            tally.fail(failure);
            writers.clear();
            drop(attempt(|| testing::abandon(db)));
            return;
        }
        end(db, &mut rng, tally);
    }
    tally.count("threads", count + 1);
    writers.iter().for_each(|writer| writer.tell(tally));
}
