//! Runs a list of operations on a database, and compares each answer with the plain maps.
//!
//! ```text
//!   list --> database (simulated disk, one thread) --> answer --+-- equal?     digest of all answers
//!       \--> plain maps ----------------------------> answer --/
//! ```
//!
//! With several setups each opening takes the next one.

use super::ops::{range_of, Body, Call, End, Form, Key, Name, Op, NAMES, SPACES};
use super::plain::{difference, Answer, Plain, Refusal, View};
use super::setup::Setup;
use crate::lane::{attempt, Failure, Tally};
use nyro::testing::{self, Observer, SimDisk, SimEnv, SimOptions};
use nyro::{
    Collection, Database, Document, Error, Id, InsertManyOptions, Keyspace, RawDocument, RawDocumentBuf, Result,
    Snapshot, Transaction,
};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Name of the database file.
const NAME: &str = "db";
/// Snapshots held at once.
const MOST_HELD: usize = 5;

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub calls: u64,
    pub transactions: u64,
    pub rolled_back: u64,
    pub looks: u64,
    /// Snapshots compared in full when three checkpoints or more had passed since they were taken.
    pub old_looks: u64,
    pub dropped: u64,
    pub checkpoints: u64,
    pub calls_inside: u64,
    pub compactions: u64,
    pub reopenings: u64,
    pub deaths: u64,
    pub large: u64,
    pub large_values: u64,
    pub keys_put: u64,
    pub key_ranges: u64,
    pub spaces_dropped: u64,
    pub run_bytes: u64,
}

impl Counts {
    pub fn tell(&self, tally: &mut Tally) {
        tally.cases += self.calls;
        for (what, n) in [
            ("transactions", self.transactions),
            ("rolled back", self.rolled_back),
            ("snapshots compared", self.looks),
            ("after three checkpoints", self.old_looks),
            ("collections dropped", self.dropped),
            ("checkpoints", self.checkpoints),
            ("calls inside of checkpoints", self.calls_inside),
            ("compactions", self.compactions),
            ("reopenings", self.reopenings),
            ("dead processes", self.deaths),
            ("large documents", self.large),
            ("large values", self.large_values),
            ("keys put", self.keys_put),
            ("ranges of keys deleted", self.key_ranges),
            ("keyspaces dropped", self.spaces_dropped),
            ("bytes of runs", self.run_bytes),
        ] {
            tally.count(what, n);
        }
    }
}

/// Where a run failed.
#[derive(Debug)]
pub struct Broken {
    /// The operation.
    pub at: usize,
    pub failure: Failure,
}

/// Runs the list; gives the digest of all answers.
pub fn run(ops: &[Op], setups: &[Setup], seed: u64) -> std::result::Result<(u64, Counts), Broken> {
    let mut session = Session::new(setups, seed);
    let mut at = 0;
    let mut found = Ok(());
    // What panics leaves the session where it is: a database is not closed while a panic goes through it.
    let panic = attempt(|| {
        found = session.open().and_then(|()| {
            ops.iter().enumerate().try_for_each(|(index, op)| {
                at = index;
                session.op(index, op)
            })
        });
        if found.is_ok() {
            session.end();
        }
    });
    let failure = match (panic, found) {
        (Some(failure), _) => failure,
        (None, Err(text)) => Failure { lost: true, text },
        (None, Ok(())) => {
            let mut core = session.core();
            core.counts.large = core.plain.large;
            core.counts.large_values = core.plain.large_values;
            return Ok((core.digest.finish(), core.counts.clone()));
        }
    };
    drop(attempt(|| session.give_up()));
    Err(Broken { at, failure })
}

/// What is wrong, in words.
type Checked<T = ()> = std::result::Result<T, String>;

/// A database and what it should hold; what is called from inside of a checkpoint finds it, too.
struct Core {
    db: Option<Database>,
    /// One for each name, kept over everything that names may mean.
    collections: Vec<Collection<Document>>,
    keyspaces: Vec<Keyspace>,
    plain: Plain,
    digest: DefaultHasher,
    counts: Counts,
    /// Calls to be made from inside of a checkpoint, the last one first.
    waiting: Vec<Call>,
    events: u64,
    wrong: Option<String>,
}

struct Held {
    snapshot: Snapshot,
    view: View,
    checkpoint: u64,
}

struct Session<'s> {
    setups: &'s [Setup],
    openings: usize,
    disk: SimDisk,
    env: Arc<SimEnv>,
    core: Arc<Mutex<Core>>,
    held: Vec<Held>,
    /// Where the last scan of each collection stopped: the token, and the write that it stands for.
    tokens: [(u64, u64); NAMES.len()],
}

/// Makes calls from inside of what the database does with its disk. Weak: the disk keeps it, and the core the disk.
struct Inside(Weak<Mutex<Core>>);

impl Observer for Inside {
    fn before_write(&self, name: &str, _offset: u64, _data: &[u8]) {
        self.one(name);
    }
    fn after_sync(&self, name: &str) {
        self.one(name);
    }
}

impl Inside {
    fn one(&self, name: &str) {
        // What works on the log has locked it: on another thread a call would wait.
        if name != NAME {
            return;
        }
        let Some(core) = self.0.upgrade() else { return };
        // Held: this is a write of a call.
        let Ok(mut core) = core.try_lock() else { return };
        if core.waiting.is_empty() {
            return;
        }
        core.events += 1;
        if core.events % 3 == 0 {
            core.next_waiting();
        }
    }
}

impl Core {
    fn db(&self) -> Database {
        self.db.clone().expect("open between operations")
    }

    fn check(&mut self, what: &dyn std::fmt::Display, expected: &Answer, found: &Answer) -> Checked {
        self.counts.calls += 1;
        found.hash(&mut self.digest);
        match expected == found {
            true => Ok(()),
            false => Err(format!("{what}: {}", difference(expected, found))),
        }
    }

    fn tell(&mut self, call: &Call, expected: &Answer) {
        match (call, expected) {
            (Call::Drop(_), Answer::Flag(true)) => self.counts.dropped += 1,
            (Call::KeyDrop(_), Answer::Flag(true)) => self.counts.spaces_dropped += 1,
            (Call::KeyPut(..), _) => self.counts.keys_put += 1,
            (Call::KeyRange(..), _) => self.counts.key_ranges += 1,
            _ => {}
        }
    }

    /// A call that is a transaction of its own.
    fn call(&mut self, call: &Call) -> Checked {
        let expected = self.plain.call(call);
        match expected {
            Answer::Error(_) => self.plain.roll_back(),
            _ => self.plain.commit(),
        }
        self.tell(call, &expected);
        let found = call_outside(self, call);
        self.check(call, &expected, &found)
    }

    fn next_waiting(&mut self) {
        let Some(call) = self.waiting.pop() else { return };
        self.counts.calls_inside += 1;
        if let Err(text) = self.call(&call) {
            self.waiting.clear();
            self.wrong = Some(format!("inside of a checkpoint: {text}"));
        }
    }

    fn transaction(&mut self, calls: &[Call], end: End) -> Checked {
        let db = self.db();
        self.counts.transactions += 1;
        self.counts.rolled_back += u64::from(!end.commits());
        let mut checked = Ok(());
        let mut body = |tx: &Transaction<'_>| {
            for call in calls {
                let expected = self.plain.call(call);
                let found = answer(call_inside(tx, call));
                self.tell(call, &expected);
                checked = self.check(call, &expected, &found);
                if checked.is_err() {
                    return Err(Error::RolledBack);
                }
            }
            match end {
                End::RollBack => Err(Error::RolledBack),
                End::Panic => resume_unwind(Box::new(End::Panic)),
                _ => Ok(()),
            }
        };
        let ended = match end {
            End::Commit | End::RollBack => answer(db.write(body).map(|()| Answer::Done)),
            End::Panic => match catch_unwind(AssertUnwindSafe(|| db.write(body))) {
                Err(panic) if panic.is::<End>() => Answer::Done,
                Err(panic) => resume_unwind(panic),
                Ok(result) => answer(result.map(|()| Answer::Done)),
            },
            End::CommitCall | End::RollBackCall | End::Forget => answer(db.begin().and_then(|tx| {
                body(&tx)?;
                match end {
                    End::CommitCall => tx.commit().map(drop)?,
                    End::RollBackCall => tx.rollback()?,
                    _ => drop(tx),
                }
                Ok(Answer::Done)
            })),
        };
        checked?;
        match end.commits() {
            true => self.plain.commit(),
            false => self.plain.roll_back(),
        }
        let expected = if end == End::RollBack { Answer::error(Error::RolledBack.code()) } else { Answer::Done };
        self.check(&"the end of the transaction", &expected, &ended)
    }

    fn many(&mut self, op: &Op) -> Checked {
        let (to, documents, (expected, stays)) = match op {
            Op::PutMany(to, documents) => (*to, documents, self.plain.put_many(*to, documents)),
            Op::InsertMany { to, documents, ordered, atomic } => {
                (*to, documents, self.plain.insert_many(*to, documents, *ordered, *atomic))
            }
            _ => return Ok(()),
        };
        match stays {
            true => self.plain.commit(),
            false => self.plain.roll_back(),
        }
        let found = match op {
            Op::InsertMany { ordered, atomic, .. } => {
                let options = InsertManyOptions { ordered: *ordered, atomic: *atomic };
                insert_many(&self.collections[usize::from(to)], documents, options)
            }
            _ => put_many(&self.collections[usize::from(to)], documents),
        };
        self.check(op, &expected, &found)
    }

    fn get_many(&mut self, from: Name, keys: &[Key]) -> Checked {
        let collection = &self.collections[usize::from(from)];
        let ids: Vec<Id> = keys.iter().map(|key| key.id()).collect();
        let expected = ids.iter().map(|id| self.plain.view.get(from, id)).collect();
        let mut documents = Vec::new();
        let found = collection.get_many_raw_with(&ids, |_, document| {
            documents.push(document.map(|document| Arc::from(document.as_bytes())));
            Ok(())
        });
        let found = answer(found.map(|()| Answer::Documents(documents)));
        let expected =
            if NAMES[usize::from(from)].is_empty() { Answer::error(102) } else { Answer::Documents(expected) };
        self.check(&format_args!("get_many {}", NAMES[usize::from(from)]), &expected, &found)
    }

    fn count(&mut self, of: Name) -> Checked {
        let found = answer(self.collections[usize::from(of)].count_documents().map(Answer::Count));
        let expected = match NAMES[usize::from(of)].is_empty() {
            true => Answer::error(102),
            false => Answer::Count(self.plain.view.tree(of).map_or(0, |tree| tree.documents.len() as u64)),
        };
        self.check(&format_args!("count {}", NAMES[usize::from(of)]), &expected, &found)
    }

    /// Goes on with a scan; gives where it stops.
    fn scan(&mut self, of: Name, (token, write): (u64, u64), take: usize) -> Checked<(u64, u64)> {
        if NAMES[usize::from(of)].is_empty() {
            return Ok((0, 0));
        }
        let all = self.plain.view.tree(of).map_or_else(Vec::new, |tree| tree.in_order(write));
        let mut stop = (token, all[..take.min(all.len())].last().map_or(write, |stored| stored.write));
        let expected = all.iter().take(take).map(|stored| Some(stored.bytes.clone())).collect();
        let mut documents = Vec::new();
        let found = self.collections[usize::from(of)].scan_after(token).and_then(|mut scan| {
            while documents.len() < take {
                let Some(document) = scan.next_raw()? else { break };
                documents.push(Some(Arc::from(document.as_bytes())));
            }
            stop.0 = scan.token();
            Ok(())
        });
        let found = answer(found.map(|()| Answer::Documents(documents)));
        self.check(&format_args!("scan {}", NAMES[usize::from(of)]), &Answer::Documents(expected), &found)?;
        Ok(stop)
    }

    /// Compares all that a snapshot shows.
    fn compare(&mut self, snapshot: &Snapshot, view: &View) -> Checked {
        let names = answer(snapshot.collection_names().map(Answer::Names));
        self.check(&"names", &Answer::Names(view.names()), &names)?;
        for (name, text) in NAMES.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
            let all = view.tree(name as Name).map_or_else(Vec::new, |tree| tree.in_order(0));
            let collection = snapshot.collection::<Document>(text).map_err(|e| e.to_string())?;
            let count = answer(collection.count_documents().map(Answer::Count));
            self.check(&format_args!("count {text}"), &Answer::Count(all.len() as u64), &count)?;
            let mut scan = collection.scan();
            let mut at = 0;
            while let Some(document) = scan.next_raw().map_err(|e| format!("scan {text}: {e}"))? {
                let expected = all.get(at).ok_or_else(|| format!("scan {text}: more than {at} documents"))?;
                if document.as_bytes() != &expected.bytes[..] {
                    let (wanted, got) = (Some(expected.bytes.clone()), Some(document.as_bytes().into()));
                    let text_of = difference(&Answer::Document(wanted), &Answer::Document(got));
                    return Err(format!("scan {text}, document {at}: {text_of}"));
                }
                at += 1;
            }
            if at < all.len() {
                return Err(format!("scan {text}: {at} documents of {}", all.len()));
            }
            let Some(tree) = view.tree(name as Name) else { continue };
            for (id, stored) in &tree.documents {
                let found = collection.get_raw(id).map_err(|e| format!("get {text} {id}: {e}"))?;
                if found.map(RawDocument::as_bytes) != Some(&stored.bytes[..]) {
                    let (wanted, got) = (Some(stored.bytes.clone()), found.map(|found| found.as_bytes().into()));
                    let text_of = difference(&Answer::Document(wanted), &Answer::Document(got));
                    return Err(format!("get {text} {id}: {text_of}"));
                }
            }
        }
        self.compare_keys(snapshot, view)
    }

    fn compare_keys(&mut self, snapshot: &Snapshot, view: &View) -> Checked {
        let names = answer(snapshot.keyspace_names().map(Answer::Names));
        self.check(&"names of keyspaces", &Answer::Names(view.space_names()), &names)?;
        for (space, name) in SPACES.iter().enumerate() {
            let keyspace = snapshot.keyspace(name).map_err(|e| e.to_string())?;
            let held = view.keys(space as u8);
            for back in [false, true] {
                let mut all: Vec<_> =
                    held.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
                if back {
                    all.reverse();
                }
                let mut range = keyspace.iter().map_err(|e| e.to_string())?;
                let mut found = Vec::new();
                loop {
                    let next = if back { range.next_entry_back() } else { range.next_entry() };
                    match next.map_err(|e| format!("range of {name}: {e}"))? {
                        Some((key, value)) => found.push((key.to_vec(), Arc::from(value))),
                        None => break,
                    }
                }
                let what = format_args!("all of {name}, backward {back}");
                self.check(&what, &Answer::Pairs(all), &Answer::Pairs(found))?;
            }
            for (key, value) in held.into_iter().flatten() {
                let found = keyspace.get(key).map_err(|e| format!("get {name} {key:x?}: {e}"))?;
                if found.as_deref() != Some(&value[..]) {
                    return Err(format!(
                        "get {name} {key:x?}: the range has it, get gives {:?}",
                        found.map(|v| v.len())
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Session<'_> {
    fn new(setups: &[Setup], seed: u64) -> Session<'_> {
        let core = Core {
            db: None,
            collections: Vec::new(),
            keyspaces: Vec::new(),
            plain: Plain::default(),
            digest: DefaultHasher::new(),
            counts: Counts::default(),
            waiting: Vec::new(),
            events: 0,
            wrong: None,
        };
        let disk = SimDisk::new(SimOptions { file_capacity: 64 << 20, seed });
        let core = Arc::new(Mutex::new(core));
        disk.set_observer(Arc::new(Inside(Arc::downgrade(&core))));
        let env = Arc::new(SimEnv::new(seed));
        Session { setups, openings: 0, disk, env, core, held: Vec::new(), tokens: Default::default() }
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn setup(&self) -> &Setup {
        &self.setups[(self.openings.max(1) - 1) % self.setups.len()]
    }

    fn open(&mut self) -> Checked {
        self.openings += 1;
        let config = self.setup().config();
        let db = testing::open(Arc::new(self.disk.clone()), self.env.clone(), NAME, &config);
        let db = db.map_err(|e| format!("it can't be opened: {e}"))?;
        let mut core = self.core();
        core.collections = NAMES.iter().map(|name| db.collection(name)).collect();
        core.keyspaces = SPACES.iter().map(|name| db.keyspace(name)).collect();
        core.db = Some(db);
        Ok(())
    }

    fn op(&mut self, index: usize, op: &Op) -> Checked {
        self.env.advance(Duration::from_micros(300));
        match op {
            Op::Call(call) => self.core().call(call),
            Op::Transaction(calls, end) => self.core().transaction(calls, *end),
            Op::Count(of) => self.core().count(*of),
            Op::GetMany(from, keys) => self.core().get_many(*from, keys),
            Op::PutMany(..) | Op::InsertMany { .. } => self.core().many(op),
            Op::Names => {
                let mut core = self.core();
                let found = answer(core.db().collection_names().map(Answer::Names));
                let expected = Answer::Names(core.plain.view.names());
                core.check(&"names", &expected, &found)
            }
            Op::Scan { of, go_on, take } => {
                let from = if *go_on { self.tokens[usize::from(*of)] } else { (0, 0) };
                let stop = self.core().scan(*of, from, *take)?;
                self.tokens[usize::from(*of)] = stop;
                Ok(())
            }
            Op::Hold => self.hold(),
            Op::Look(at) => self.look(*at, true),
            Op::LetGo(at) => self.look(*at, false),
            Op::Busy(calls) => self.busy(calls),
            Op::Compare => {
                let mut core = self.core();
                let view = core.plain.view.clone();
                let snapshot = core.db().snapshot().map_err(|e| e.to_string())?;
                core.compare(&snapshot, &view)
            }
            Op::Reopen | Op::Die => self.reopen(*op == Op::Die),
            _ => self.work(op),
        }?;
        let every = self.setup().step_every;
        if every > 0 && index as u32 % every == 0 {
            testing::step(&self.core().db()).map_err(|e| format!("background: {e}"))?;
        }
        Ok(())
    }

    /// What works on the file and gives no more than "done".
    fn work(&mut self, op: &Op) -> Checked {
        let db = self.core().db();
        let done = match op {
            Op::Checkpoint => db.checkpoint(),
            Op::Compact => db.compact().map(drop),
            Op::Background => testing::step(&db),
            Op::Sync => db.sync(),
            Op::WarmUp => db.warm_up().map(drop),
            _ => db.verify().map(drop),
        };
        let mut core = self.core();
        core.counts.compactions += u64::from(*op == Op::Compact);
        core.check(op, &Answer::Done, &answer(done.map(|()| Answer::Done)))
    }

    fn hold(&mut self) -> Checked {
        if self.held.len() < MOST_HELD {
            let core = self.core();
            let snapshot = core.db().snapshot().map_err(|e| e.to_string())?;
            let checkpoint = core.db().stats().map_err(|e| e.to_string())?.checkpoint;
            let held = Held { snapshot, view: core.plain.view.clone(), checkpoint };
            drop(core);
            self.held.push(held);
        }
        Ok(())
    }

    fn look(&mut self, at: usize, keep: bool) -> Checked {
        if self.held.is_empty() {
            return Ok(());
        }
        let at = at % self.held.len();
        let held = self.held.swap_remove(at);
        let mut core = self.core();
        let checkpoint = core.db().stats().map_err(|e| e.to_string())?.checkpoint;
        core.counts.looks += 1;
        core.counts.old_looks += u64::from(checkpoint >= held.checkpoint + 3);
        core.compare(&held.snapshot, &held.view).map_err(|text| format!("a held snapshot: {text}"))?;
        drop(core);
        if keep {
            self.held.push(held);
        }
        Ok(())
    }

    fn busy(&mut self, calls: &[Call]) -> Checked {
        let db = self.core().db();
        // Afterwards no checkpoint is due: one that a call did would wait for the one around it.
        testing::step(&db).map_err(|e| format!("background: {e}"))?;
        if self.setup().roomy() {
            self.core().waiting = calls.iter().rev().cloned().collect();
        }
        let done = db.checkpoint();
        let mut core = self.core();
        // Not in the digest: with some setups the calls come after it.
        done.map_err(|e| format!("a checkpoint: {e}"))?;
        core.wrong.take().map_or(Ok(()), Err)?;
        let rest = match self.setup().roomy() {
            true => std::mem::take(&mut core.waiting).into_iter().rev().collect(),
            false => calls.to_vec(),
        };
        rest.iter().try_for_each(|call| core.call(call))
    }

    fn reopen(&mut self, dies: bool) -> Checked {
        for at in (0..self.held.len()).rev() {
            // One of them at the end, too; all would take long.
            if at == 0 {
                self.look(0, false)?;
            } else {
                self.held.pop();
            }
        }
        self.held.clear();
        let mut core = self.core();
        core.collections.clear();
        core.keyspaces.clear();
        let db = core.db.take().expect("open between operations");
        let stats = db.stats().map_err(|e| e.to_string())?;
        core.counts.checkpoints += stats.checkpoints;
        core.counts.run_bytes += stats.run_bytes_written;
        if dies {
            core.counts.deaths += 1;
            testing::abandon(db);
        } else {
            core.counts.reopenings += 1;
            let done = answer(db.close().map(|()| Answer::Done));
            core.check(&"closing", &Answer::Done, &done)?;
        }
        drop(core);
        self.open()
    }

    /// A list that went well ends with a closed database.
    fn end(&mut self) {
        self.held.clear();
        let mut core = self.core();
        core.collections.clear();
        core.keyspaces.clear();
        let Some(db) = core.db.take() else { return };
        if let Ok(stats) = db.stats() {
            core.counts.checkpoints += stats.checkpoints;
            core.counts.run_bytes += stats.run_bytes_written;
        }
        testing::abandon(db);
    }

    /// Lets go of a database that something is wrong with.
    fn give_up(&mut self) {
        self.held.clear();
        let mut core = self.core();
        core.collections.clear();
        core.keyspaces.clear();
        if let Some(db) = core.db.take() {
            testing::abandon(db);
        }
    }
}

/// A result as an answer.
fn answer(result: Result<Answer>) -> Answer {
    result.unwrap_or_else(|e| Answer::Error(Refusal { code: e.code(), text: e.to_string() }))
}

fn bad_document() -> Document {
    nyro::doc! { "_id": 1.5 }
}

/// Not any id that is drawn.
const OTHER: i64 = 987_654;

fn call_outside(core: &Core, call: &Call) -> Answer {
    let of = |name: &Name| &core.collections[usize::from(*name)];
    let done = |()| Answer::Done;
    answer(match call {
        Call::Put(to, key, body) => {
            let id = key.map(Key::id);
            let put = match body.form() {
                Form::Typed => of(to).put(&body.document(id.as_ref())),
                _ => of(to).put_raw(&body.given(id.as_ref())),
            };
            put.map(Answer::Id)
        }
        Call::Insert(to, key, body) => {
            let id = key.map(Key::id);
            let inserted = match body.form() {
                Form::Typed => of(to).insert_one(&body.document(id.as_ref())),
                _ => of(to).insert_one_raw(&body.given(id.as_ref())),
            };
            inserted.map(|inserted| Answer::Id(inserted.inserted_id))
        }
        Call::Replace(to, key, body) => {
            let id = key.id();
            let replaced = match body.form() {
                Form::Typed => of(to).replace_one(&id, &body.document(None)),
                _ => of(to).replace_one_raw(&id, &body.given(Some(&id))),
            };
            replaced.map(Answer::Flag)
        }
        Call::Delete(from, key) => of(from).delete(key.id()).map(Answer::Flag),
        Call::Get(from, key) => {
            of(from).get_raw_with(key.id(), |document| Arc::from(document.as_bytes())).map(Answer::Document)
        }
        Call::Contains(from, key) => of(from).contains(key.id()).map(Answer::Flag),
        Call::PutBadId(to) => of(to).put(&bad_document()).map(Answer::Id),
        Call::ReplaceOther(to, key) => of(to).replace_one(key.id(), &nyro::doc! { "_id": OTHER }).map(Answer::Flag),
        Call::Create(name) => core.db().create_collection(NAMES[usize::from(*name)]).map(done),
        Call::Rename(from, to) => {
            core.db().rename_collection(NAMES[usize::from(*from)], NAMES[usize::from(*to)]).map(done)
        }
        Call::Drop(name) => core.db().drop_collection(NAMES[usize::from(*name)]).map(Answer::Flag),
        _ => key_call_outside(core, call),
    })
}

type Pair = Result<(Vec<u8>, Vec<u8>)>;

fn pairs(pairs: impl Iterator<Item = Pair>) -> Result<Answer> {
    let pairs: Result<_> = pairs.map(|pair| pair.map(|(key, value)| (key, Arc::from(value)))).collect();
    pairs.map(Answer::Pairs)
}

fn ends(first: Option<(Vec<u8>, Vec<u8>)>, last: Option<(Vec<u8>, Vec<u8>)>) -> Result<Answer> {
    pairs([first, last].into_iter().flatten().map(Ok))
}

fn key_call_outside(core: &Core, call: &Call) -> Result<Answer> {
    let of = |space: &u8| &core.keyspaces[usize::from(*space)];
    let done = |()| Answer::Done;
    match call {
        Call::KeyPut(to, spot, body) => of(to).put(spot.bytes(), body.value()).map(done),
        Call::KeyDelete(from, spot) => of(from).delete(spot.bytes()).map(done),
        Call::KeyRange(from, one, other) => of(from).delete_range(range_of(*one, *other)).map(done),
        Call::KeyClear(space) => of(space).clear().map(done),
        Call::KeyDrop(space) => core.db().drop_keyspace(SPACES[usize::from(*space)]).map(Answer::Flag),
        Call::KeyGet(from, spot) => {
            let found = of(from).get(spot.bytes())?;
            assert_eq!(of(from).contains(spot.bytes())?, found.is_some(), "contains and get");
            Ok(Answer::Document(found.map(Arc::from)))
        }
        Call::KeyScan(space, from, false, take) => pairs(of(space).range(from.bytes()..)?.take(usize::from(*take))),
        Call::KeyScan(space, from, true, take) => {
            pairs(of(space).range(..=from.bytes())?.rev().take(usize::from(*take)))
        }
        Call::KeyEnds(space) => ends(of(space).first()?, of(space).last()?),
        _ => unreachable!("a call of collections"),
    }
}

fn key_call_inside(tx: &Transaction<'_>, call: &Call) -> Result<Answer> {
    let of = |space: &u8| tx.keyspace(SPACES[usize::from(*space)]);
    let done = |()| Answer::Done;
    match call {
        Call::KeyPut(to, spot, body) => of(to).put(spot.bytes(), body.value()).map(done),
        Call::KeyDelete(from, spot) => of(from).delete(spot.bytes()).map(done),
        Call::KeyRange(from, one, other) => of(from).delete_range(range_of(*one, *other)).map(done),
        Call::KeyClear(space) => of(space).clear().map(done),
        Call::KeyDrop(space) => tx.drop_keyspace(SPACES[usize::from(*space)]).map(Answer::Flag),
        Call::KeyGet(from, spot) => {
            let found = of(from).get(spot.bytes())?;
            assert_eq!(of(from).contains(spot.bytes())?, found.is_some(), "contains and get");
            Ok(Answer::Document(found.map(Arc::from)))
        }
        Call::KeyScan(space, from, back, take) => {
            let range = match back {
                false => of(space).range(from.bytes().., false),
                true => of(space).range(..=from.bytes(), true),
            };
            pairs(range?.take(usize::from(*take)))
        }
        Call::KeyEnds(space) => ends(of(space).first()?, of(space).last()?),
        _ => unreachable!("a call of collections"),
    }
}

fn call_inside(tx: &Transaction<'_>, call: &Call) -> Result<Answer> {
    let of = |name: &Name| tx.collection::<Document>(NAMES[usize::from(*name)]);
    let done = |()| Answer::Done;
    match call {
        Call::Put(to, key, body) => {
            let id = key.map(Key::id);
            let put = match body.form() {
                Form::Typed => of(to).put(&body.document(id.as_ref())),
                _ => of(to).put_raw(&body.given(id.as_ref())),
            };
            put.map(Answer::Id)
        }
        Call::Insert(to, key, body) => {
            let id = key.map(Key::id);
            let inserted = match body.form() {
                Form::Typed => of(to).insert_one(&body.document(id.as_ref())),
                _ => of(to).insert_one_raw(&body.given(id.as_ref())),
            };
            inserted.map(Answer::Id)
        }
        Call::Replace(to, key, body) => {
            let id = key.id();
            let replaced = match body.form() {
                Form::Typed => of(to).replace_one(&id, &body.document(None)),
                _ => of(to).replace_one_raw(&id, &body.given(Some(&id))),
            };
            replaced.map(Answer::Flag)
        }
        Call::Delete(from, key) => of(from).delete(key.id()).map(Answer::Flag),
        Call::Get(from, key) => {
            let found = of(from).get_raw(key.id())?;
            Ok(Answer::Document(found.map(|document| document.into_bytes().into())))
        }
        Call::Contains(from, key) => of(from).contains(key.id()).map(Answer::Flag),
        Call::PutBadId(to) => of(to).put(&bad_document()).map(Answer::Id),
        Call::ReplaceOther(to, key) => of(to).replace_one(key.id(), &nyro::doc! { "_id": OTHER }).map(Answer::Flag),
        Call::Create(name) => tx.create_collection(NAMES[usize::from(*name)]).map(done),
        Call::Rename(from, to) => tx.rename_collection(NAMES[usize::from(*from)], NAMES[usize::from(*to)]).map(done),
        Call::Drop(name) => tx.drop_collection(NAMES[usize::from(*name)]).map(Answer::Flag),
        _ => key_call_inside(tx, call),
    }
}

fn given(documents: &[(Option<Key>, Body)]) -> Vec<RawDocumentBuf> {
    documents.iter().map(|(key, body)| body.given(key.map(Key::id).as_ref())).collect()
}

fn insert_many(to: &Collection<Document>, documents: &[(Option<Key>, Body)], options: InsertManyOptions) -> Answer {
    let documents = given(documents);
    match to.insert_many_raw(documents.iter().map(|document| &**document), options) {
        Err(Error::BulkWrite { inserted, failures }) => {
            Answer::Bulk(inserted, failures.iter().map(|(place, e)| (*place, e.code())).collect())
        }
        other => answer(other.map(|inserted| Answer::Ids(inserted.inserted_ids))),
    }
}

fn put_many(to: &Collection<Document>, documents: &[(Option<Key>, Body)]) -> Answer {
    let documents = given(documents);
    answer(to.put_many_raw(documents.iter().map(|document| &**document)).map(Answer::Ids))
}
