//! The seeded workload: commits of all kinds, checkpoints, reopenings, snapshots held over them.
//!
//! ```text
//!   seed + shape -> next step -> database
//!                            \-> model, history (what was promised at which disk operation)
//! ```
//!
//! While a checkpoint runs, the watch (see `watch`) makes further commits from inside its writes and syncs.

use super::history::History;
use super::model::{contents, contents_of, document, execute, refused, Change, How, Model, Plan};
use super::watch::Watch;
use crate::lane::Tally;
use nyro::testing::{self, Env, Rng, SimDisk, SimEnv, TestConfig};
use nyro::{Database, Document, Durability, Error, Id, Options, Result, Scan, Snapshot};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Name of the database file.
pub const NAME: &str = "db";

/// What kind of workload it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Small documents with few ids, large ones, transactions, names made and dropped.
    Mixed,
    /// Hundreds of small documents inserted and then nearly all deleted, several times.
    Waves,
    /// A collection of some two hundred documents whose records are updated and deleted again and again, so
    /// that blocks are half empty and their records move.
    Churn,
    /// Keyspaces beside some documents: keys put, deleted one by one and by the range, values large and small, cleared
    /// and dropped, so that runs are flushed and merged over several levels.
    Keys,
}

/// A run's parameters.
#[derive(Debug, Clone, Copy)]
pub struct Parameters {
    pub seed: u64,
    pub shape: Shape,
    pub steps: usize,
    pub durability: Durability,
    /// The least limits: checkpoints come by themselves, inside commits.
    pub tight: bool,
    /// Fewer checkpoints and compactions: what is done on each of many images.
    pub light: bool,
}

impl Parameters {
    pub fn config(&self) -> TestConfig {
        let log_max_bytes = if self.tight { 16 << 10 } else { 8 << 20 };
        let options = Options {
            durability: self.durability,
            log_max_bytes,
            read_mode: nyro::testing::read_mode(),
            ..Options::default()
        };
        TestConfig { options, ..TestConfig::default() }
    }
}

/// What the runs of a lane contained.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub commits: u64,
    pub checkpoints: u64,
    /// Checkpoints with commits between freeze and second meta page.
    pub busy_checkpoints: u64,
    pub large: u64,
    pub drops: u64,
    /// Ranges of keys that were deleted.
    pub ranges: u64,
    /// Bytes of runs that were written.
    pub run_bytes: u64,
    pub renames: u64,
    pub reopenings: u64,
    /// Snapshots read again in full after two more checkpoints.
    pub snapshots: u64,
    /// A checkpoint folded a collection of twice what a leaf holds, and a later one nearly nothing of it.
    pub waves: u64,
    /// Bytes of records that checkpoints moved.
    pub moved: u64,
    pub compactions: u64,
    /// Checkpoints after which something was left to reclaim.
    pub pending: u64,
    pub failures: u64,
}

impl Counts {
    /// Adds them to what the lane met.
    pub fn tell(&self, tally: &mut Tally) {
        tally.count("commits", self.commits);
        tally.count("checkpoints", self.checkpoints);
        tally.count("busy checkpoints", self.busy_checkpoints);
        tally.count("large documents", self.large);
        tally.count("drops", self.drops);
        tally.count("ranges", self.ranges);
        tally.count("bytes of runs", self.run_bytes);
        tally.count("renames", self.renames);
        tally.count("reopenings", self.reopenings);
        tally.count("snapshots", self.snapshots);
        tally.count("waves", self.waves);
        tally.count("bytes moved", self.moved);
        tally.count("compactions", self.compactions);
        tally.count("left to reclaim", self.pending);
        tally.count("failed calls", self.failures);
    }
}

/// A scan that was begun, and the ids that it gave so far.
struct Cursor {
    name: String,
    scan: Scan<Document>,
    ids: BTreeSet<Id>,
}

struct Held {
    snapshot: Snapshot,
    /// Begun then.
    cursor: Option<Cursor>,
    model: Model,
    checkpoints: u64,
}

/// What the workload knows, shared with the watch.
pub struct Core {
    pub rng: Rng,
    /// What reads must show.
    pub model: Model,
    pub history: History,
    pub counts: Counts,
    pub shape: Shape,
    pub durability: Durability,
    light: bool,
    /// The handle said that it writes no more.
    pub stopped: bool,
    version: u64,
    wave: usize,
    /// A wave has turned: fold it before it goes on.
    turned: bool,
    peak_folded: bool,
    held: Vec<Held>,
}

/// A database under the workload.
pub struct Session {
    pub disk: SimDisk,
    pub core: Arc<Mutex<Core>>,
    pub watch: Arc<Watch>,
    env: Arc<SimEnv>,
    config: TestConfig,
    tight: bool,
    pub db: Option<Database>,
}

/// One step of a workload.
#[derive(Debug, Clone)]
enum Step {
    Commit(Plan),
    Refused,
    Checkpoint,
    Compact,
    Background,
    Sync,
    Hold,
    Look,
    Reopen,
    Die,
}

impl Core {
    fn new(p: &Parameters, first: Model) -> Core {
        Core {
            rng: Rng::new(p.seed),
            model: first.clone(),
            history: History::new(first),
            counts: Counts::default(),
            shape: p.shape,
            durability: p.durability,
            light: p.light,
            stopped: false,
            version: 0,
            wave: 0,
            turned: false,
            peak_folded: false,
            held: Vec::new(),
        }
    }

    /// A call said that this handle writes no more.
    pub fn stop(&mut self) {
        self.stopped = true;
        self.history.doubt();
    }

    fn next_document(&mut self, id: &Id, bytes: usize) -> nyro::Document {
        self.version += 1;
        document(id, self.version << 8 | 0x77, bytes)
    }

    fn id(&mut self) -> Id {
        match self.rng.below(5) {
            0 => Id::from(format!("key-{}", self.rng.below(12))),
            _ => Id::from(1 + self.rng.below(40)),
        }
    }

    fn collection(&mut self) -> String {
        (*self.rng.pick(&["a", "b", "c", "d"])).to_owned()
    }

    fn put(&mut self) -> Change {
        let (to, id) = (self.collection(), self.id());
        let bytes = match self.rng.below(14) {
            0 => 4097 + self.rng.below(9000) as usize,
            1 | 2 => 600 + self.rng.below(2000) as usize,
            _ => self.rng.below(120) as usize,
        };
        self.counts.large += u64::from(bytes > 4096);
        Change::Put { document: self.next_document(&id, bytes), to, id }
    }

    /// One change that the model allows.
    fn change(&mut self, model: &Model) -> Change {
        let names: Vec<String> = model.0.keys().cloned().collect();
        match self.rng.below(20) {
            0..=10 => self.put(),
            11..=15 => {
                let from = self.collection();
                let existing = model.0.get(&from).filter(|d| !d.is_empty());
                let id = match existing {
                    Some(d) if self.rng.below(8) > 0 => {
                        let at = self.rng.below(d.len() as u64) as usize;
                        d.keys().nth(at).expect("below its length").clone()
                    }
                    _ => self.id(),
                };
                Change::Delete { from, id }
            }
            16 if !names.is_empty() => {
                self.counts.drops += 1;
                Change::Drop(self.rng.pick(&names).clone())
            }
            17 if !names.is_empty() => {
                let to = self.collection();
                if names.contains(&to) {
                    return self.put();
                }
                self.counts.renames += 1;
                Change::Rename(self.rng.pick(&names).clone(), to)
            }
            18 => match self.collection() {
                name if names.contains(&name) => self.put(),
                name => Change::Create(name),
            },
            _ => self.put(),
        }
    }

    /// A commit that fits the model.
    pub fn plan(&mut self) -> Plan {
        if self.shape == Shape::Waves && self.rng.below(4) > 0 {
            return self.plan_of_wave();
        }
        if self.shape == Shape::Churn && self.rng.below(8) > 0 {
            return self.plan_of_churn();
        }
        if self.shape == Shape::Keys && self.rng.below(8) > 0 {
            return self.plan_of_keys();
        }
        let how = *self.rng.pick(&[How::One, How::One, How::Strict, How::Transaction, How::Many, How::Ahead]);
        // Where a commit counts without its sync, a ticket that fails takes nothing back.
        let how = if how == How::Ahead && self.durability != Durability::Sync { How::One } else { how };
        let mut model = self.model.clone();
        let count = match how {
            How::One | How::Strict | How::Ahead => 1,
            _ => 1 + self.rng.below(6),
        };
        let mut changes = Vec::new();
        let to = self.collection();
        for _ in 0..count {
            let change = match how {
                How::Many => {
                    let id = self.id();
                    if model.has(&to, &id) {
                        continue;
                    }
                    let bytes = self.rng.below(400) as usize;
                    Change::Put { document: self.next_document(&id, bytes), to: to.clone(), id }
                }
                _ => self.change(&model),
            };
            model.apply(&change);
            changes.push(change);
        }
        if how == How::Many && changes.is_empty() {
            return Plan { how: How::One, changes: vec![self.put()] };
        }
        Plan { how, changes }
    }

    fn key(&mut self) -> Vec<u8> {
        match self.rng.below(12) {
            0 => vec![b'k', self.rng.below(60) as u8],
            1 => [&b"long "[..], &[b'x'; 280], &[self.rng.below(20) as u8]].concat(),
            2 => vec![0; self.rng.below(4) as usize],
            _ => (self.rng.below(400).wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes().to_vec(),
        }
    }

    fn change_of_keys(&mut self) -> Change {
        let name = (*self.rng.pick(&["keys", "more keys"])).to_owned();
        match self.rng.below(60) {
            0 => Change::KeyClear(name),
            1 if self.model.1.contains_key(&name) => {
                self.counts.drops += 1;
                Change::KeyDrop(name)
            }
            2..=5 => {
                let (a, b) = (self.key(), self.key());
                let (start, end) = if a <= b { (a, b) } else { (b, a) };
                self.counts.ranges += 1;
                Change::KeyRange { from: name, start, end: (self.rng.below(5) > 0).then_some(end) }
            }
            6..=18 => Change::KeyDelete { from: name, key: self.key() },
            _ => {
                let bytes = match self.rng.below(30) {
                    0 => 4000 + self.rng.below(9000),
                    1 => 300 + self.rng.below(900),
                    _ => self.rng.below(60),
                };
                self.counts.large += u64::from(bytes > 8192);
                self.version += 1;
                let value = self.version.to_be_bytes().repeat(bytes as usize / 8 + 1);
                Change::KeyPut { to: name, key: self.key(), value }
            }
        }
    }

    /// One change of a keyspace, or many in a transaction, documents among them.
    fn plan_of_keys(&mut self) -> Plan {
        if self.rng.below(3) == 0 {
            return Plan { how: How::One, changes: vec![self.change_of_keys()] };
        }
        let mut changes = Vec::new();
        let mut model = self.model.clone();
        for _ in 0..5 + self.rng.below(60) {
            let change = match self.rng.below(20) {
                0 => self.put(),
                _ => self.change_of_keys(),
            };
            // Dropped in the same transaction, it is not there to be dropped again.
            if matches!(&change, Change::KeyDrop(name) if !model.1.contains_key(name)) {
                continue;
            }
            model.apply(&change);
            changes.push(change);
        }
        Plan { how: How::Transaction, changes }
    }

    /// Changes a share of the documents of a collection, anywhere in it; now and then drops it.
    fn plan_of_churn(&mut self) -> Plan {
        let to = "churn".to_owned();
        let here = self.model.0.get(&to).map_or(0, |d| d.len());
        if here > 150 && self.rng.below(40) == 0 {
            self.counts.drops += 1;
            return Plan { how: How::One, changes: vec![Change::Drop(to)] };
        }
        let count = if here < 100 { 60 } else { 4 + self.rng.below(30) };
        let mut model = self.model.clone();
        let mut changes = Vec::new();
        for _ in 0..count {
            let id = Id::from(1 + self.rng.below(220));
            let change = if model.has(&to, &id) && self.rng.below(3) == 0 {
                Change::Delete { from: to.clone(), id }
            } else {
                let large = self.rng.below(60) == 0;
                self.counts.large += u64::from(large);
                let bytes =
                    if large { 5000 + self.rng.below(9000) as usize } else { 60 + self.rng.below(300) as usize };
                Change::Put { document: self.next_document(&id, bytes), to: to.clone(), id }
            };
            model.apply(&change);
            changes.push(change);
        }
        Plan { how: How::Transaction, changes }
    }

    /// Grows a collection by hundreds, then deletes nearly all of them.
    fn plan_of_wave(&mut self) -> Plan {
        let to = "wave".to_owned();
        let here = self.model.0.get(&to).map_or(0, |d| d.len());
        let up = self.wave % 2 == 0;
        if up && here >= 650 || !up && here <= 20 {
            self.wave += 1;
            self.turned = true;
            return Plan { how: How::One, changes: vec![self.put()] };
        }
        if self.wave % 2 == 0 {
            let first = 1000 + (self.wave * 100_000) as u64 + here as u64;
            let changes = (first..first + 90).map(Id::from);
            let changes: Vec<Change> = changes
                .filter(|id| !self.model.has(&to, id))
                .collect::<Vec<_>>()
                .into_iter()
                .map(|id| Change::Put { document: self.next_document(&id, 4), to: to.clone(), id })
                .collect();
            let many = self.rng.chance(0.5) && !changes.is_empty();
            return Plan { how: if many { How::Many } else { How::Transaction }, changes };
        }
        let mut ids: Vec<Id> = self.model.0.get(&to).map(|d| d.keys().cloned().collect()).unwrap_or_default();
        self.rng.shuffle(&mut ids);
        ids.truncate(120);
        let changes = ids.into_iter().map(|id| Change::Delete { from: to.clone(), id }).collect();
        Plan { how: How::Transaction, changes }
    }

    fn next_step(&mut self) -> Step {
        if std::mem::take(&mut self.turned) {
            return Step::Checkpoint;
        }
        match self.rng.below(40) {
            1 | 2 | 7 if self.light && self.rng.below(8) > 0 => Step::Commit(self.plan()),
            0..=2 => Step::Checkpoint,
            3 => Step::Background,
            4 => Step::Sync,
            5 => Step::Hold,
            6 => Step::Look,
            7 => match self.rng.below(3) {
                _ if self.shape == Shape::Churn => Step::Compact,
                0 => Step::Compact,
                _ => Step::Refused,
            },
            8 => {
                if self.rng.below(2) == 0 {
                    Step::Reopen
                } else {
                    Step::Die
                }
            }
            _ => Step::Commit(self.plan()),
        }
    }

    /// Notes that a checkpoint has folded what the model holds.
    fn folded(&mut self) {
        let here = self.model.0.get("wave").map_or(0, |documents| documents.len());
        self.peak_folded |= here >= 600;
        if self.peak_folded && here < 100 {
            self.peak_folded = false;
            self.counts.waves += 1;
        }
    }

    /// Reads the snapshots that were held, and lets them go.
    fn look(&mut self, checkpoints: u64) -> Result<()> {
        for held in std::mem::take(&mut self.held) {
            let found = contents_of(&held.snapshot)?;
            assert_eq!(found, held.model, "a snapshot changed:{}", held.model.difference(&found));
            if let Some(Cursor { name, scan, mut ids }) = held.cursor {
                for document in scan {
                    let id = document?.id().expect("a stored document has an id");
                    assert!(ids.insert(id), "a cursor over {name} gave an id twice");
                }
                let expected = held.model.0.get(&name).map_or(0, |documents| documents.len());
                assert_eq!(ids.len(), expected, "documents that a cursor over {name} gave");
            }
            self.counts.snapshots += u64::from(checkpoints >= held.checkpoints + 2);
        }
        Ok(())
    }
}

/// Begins to scan a collection.
fn begin_cursor(db: &Database, model: &Model) -> Result<Option<Cursor>> {
    let Some(name) = model.0.keys().next_back() else { return Ok(None) };
    let mut scan = db.collection::<Document>(name).scan()?;
    let mut ids = BTreeSet::new();
    for document in scan.by_ref().take(3) {
        ids.insert(document?.id().expect("a stored document has an id"));
    }
    Ok(Some(Cursor { name: name.clone(), scan, ids }))
}

/// Makes one commit and notes what was promised.
pub fn commit(db: &Database, core: &Mutex<Core>, disk: &SimDisk, plan: &Plan) -> Result<()> {
    let (before, index) = {
        let mut core = core.lock().unwrap();
        let after = core.model.after(plan);
        if after == core.model {
            // Nothing changes, so it is no commit, and promises nothing.
            let before = core.model.clone();
            drop(core);
            return execute(db, &before, plan);
        }
        (core.model.clone(), core.history.start(disk.operations(), after))
    };
    let result = execute(db, &before, plan);
    let number = db.snapshot().map_or(0, |snapshot| snapshot.commit());
    let mut core = core.lock().unwrap();
    match &result {
        Ok(()) => {
            core.model = core.history.states[index].clone();
            core.counts.commits += 1;
            core.history.finish(disk.operations(), index, number);
            if core.durability == Durability::Sync {
                core.history.promise(disk.operations());
            }
        }
        // It may be there after reopening, and no other can be made before.
        Err(Error::OutcomeUnknown { .. }) => core.stop(),
        Err(e) => {
            if matches!(e, Error::WritesStopped { .. }) {
                core.stop();
            }
            core.history.take_back(index);
        }
    }
    result
}

impl Session {
    /// A database that holds `first`, on this disk. Opens it.
    pub fn begin(p: &Parameters, disk: SimDisk, first: Model) -> Session {
        let core = Arc::new(Mutex::new(Core::new(p, first)));
        let watch = Watch::new(disk.clone(), core.clone());
        disk.set_observer(watch.clone());
        Session { disk, core, watch, env: Arc::new(SimEnv::new(p.seed)), config: p.config(), tight: p.tight, db: None }
    }

    pub fn open(&mut self) -> Result<()> {
        let disk = Arc::new(self.disk.clone());
        self.db = Some(testing::open(disk, self.env.clone() as Arc<dyn Env>, NAME, &self.config)?);
        Ok(())
    }

    /// Opens a file that was not closed well; it must hold what the process was told.
    pub fn reopen(&mut self) -> Result<()> {
        self.open()?;
        let found = contents(&self.db())?;
        let mut core = self.core.lock().unwrap();
        let (low, high) = core.history.after_process_crash(self.disk.operations() + 1);
        let state = (low..=high).rev().find(|state| core.history.states[*state] == found);
        let state = state.unwrap_or_else(|| {
            let difference = core.history.states[low].difference(&found);
            panic!("reopened, and none of states {low} to {high}; from {low}:{difference}\n{}", self.disk.trace())
        });
        core.history.resume(self.disk.operations(), state);
        core.model = found;
        core.stopped = false;
        Ok(())
    }

    pub fn db(&self) -> Database {
        self.db.clone().expect("open")
    }

    /// Everything acknowledged is durable now.
    pub fn promise(&self) {
        self.core.lock().unwrap().history.promise(self.disk.operations());
    }

    /// Runs up to `steps` steps; `handle` decides about errors.
    pub fn run(&mut self, steps: usize, mut handle: impl FnMut(&mut Session, Error) -> bool) {
        for _ in 0..steps {
            // A step is planned from what there is, which a reopening after an unknown outcome tells.
            let opened = if self.db.is_none() { self.reopen() } else { Ok(()) };
            let taken = opened.and_then(|()| {
                let step = self.core.lock().unwrap().next_step();
                self.take(step)
            });
            if let Err(e) = taken {
                if !handle(self, e) {
                    return;
                }
            }
        }
    }

    /// Makes one commit.
    pub fn commit(&self, plan: &Plan) -> Result<()> {
        commit(&self.db(), &self.core, &self.disk, plan)
    }

    /// Makes commits of which none may fail.
    pub fn run_commits(&self, count: usize) {
        for _ in 0..count {
            let plan = self.core.lock().unwrap().plan();
            self.commit(&plan).unwrap_or_else(|e| panic!("{e:?}\n{}", self.disk.trace()));
        }
    }

    /// Runs steps of which none may fail.
    pub fn run_strictly(&mut self, steps: usize) {
        self.run(steps, |session, e| panic!("{e:?}\n{}", session.disk.trace()));
    }

    fn take(&mut self, step: Step) -> Result<()> {
        let db = self.db();
        self.env.advance(Duration::from_millis(3));
        match step {
            Step::Commit(plan) => commit(&db, &self.core, &self.disk, &plan),
            Step::Refused => {
                let (model, mut rng) = {
                    let mut core = self.core.lock().unwrap();
                    let rng = Rng::new(core.rng.next_u64());
                    (core.model.clone(), rng)
                };
                refused(&db, &model, &mut rng)
            }
            Step::Checkpoint => self.checkpoint(Database::checkpoint),
            Step::Compact => {
                // The log is begun under the writer lock, where no commit can be made from inside.
                while db.stats()?.commits == 0 {
                    let plan = self.core.lock().unwrap().plan();
                    commit(&db, &self.core, &self.disk, &plan)?;
                }
                self.checkpoint(|db| db.compact().map(|_| ()))?;
                self.core.lock().unwrap().counts.compactions += 1;
                Ok(())
            }
            Step::Background => testing::step(&db),
            Step::Sync => {
                db.sync()?;
                self.promise();
                Ok(())
            }
            Step::Hold => {
                let mut core = self.core.lock().unwrap();
                let checkpoints = db.stats()?.checkpoints;
                let (snapshot, model) = (db.snapshot()?, core.model.clone());
                let cursor = begin_cursor(&db, &model)?;
                core.held.push(Held { snapshot, cursor, model, checkpoints });
                drop(core);
                self.watch.rules().hold();
                Ok(())
            }
            Step::Look => {
                self.compare(&db)?;
                let checkpoints = db.stats()?.checkpoints;
                self.watch.rules().let_go_of_all();
                self.core.lock().unwrap().look(checkpoints)
            }
            Step::Reopen => self.close(),
            Step::Die => {
                self.let_go(&db)?;
                self.db = None;
                testing::abandon(db);
                Ok(())
            }
        }
    }

    /// A checkpoint, or several, with commits inside.
    pub fn checkpoint(&mut self, run: impl Fn(&Database) -> Result<()>) -> Result<()> {
        let db = self.db();
        let acknowledged = self.core.lock().unwrap().history.acknowledged();
        // A commit that does a checkpoint itself can't be made inside of one on the same thread.
        if !self.tight {
            self.watch.arm(&db);
        }
        let result = run(&db);
        let commits = self.watch.disarm();
        let mut core = self.core.lock().unwrap();
        core.counts.pending += u64::from(db.stats()?.reclaim_pending);
        core.counts.busy_checkpoints += u64::from(result.is_ok() && commits > 0);
        result?;
        core.folded();
        if core.history.acknowledged() == acknowledged {
            core.history.promise(self.disk.operations());
        }
        Ok(())
    }

    fn let_go(&mut self, db: &Database) -> Result<()> {
        let stats = db.stats()?;
        let mut core = self.core.lock().unwrap();
        core.counts.checkpoints += stats.checkpoints;
        core.counts.moved += stats.relocated_bytes;
        core.counts.run_bytes += stats.run_bytes_written;
        core.counts.reopenings += 1;
        self.watch.rules().let_go_of_all();
        core.look(stats.checkpoints)
    }

    /// Closes. The next step opens again.
    pub fn close(&mut self) -> Result<()> {
        let db = self.db();
        self.let_go(&db)?;
        self.db = None;
        let result = db.close();
        drop(db);
        result?;
        self.promise();
        Ok(())
    }

    /// Reads must show the model.
    pub fn compare(&self, db: &Database) -> Result<()> {
        let found = contents(db)?;
        let core = self.core.lock().unwrap();
        assert_eq!(found, core.model, "reads show something else:{}", core.model.difference(&found));
        Ok(())
    }

    /// Ends the session, open or not; gives what is known.
    pub fn end(mut self) -> (History, Counts) {
        self.watch.forget();
        if let Some(db) = self.db.take() {
            self.core.lock().unwrap().held.clear();
            testing::abandon(db);
        }
        let mut core = self.core.lock().unwrap();
        let history = std::mem::replace(&mut core.history, History::new(Model::default()));
        (history, core.counts)
    }
}
