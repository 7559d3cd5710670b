//! What may come of opening a damaged file, and whether it did.
//!
//! ```text
//!   open --> names, counts, scans, gets: each answer is what the file held, or an error
//!        --> verify: an error where a byte under a checksum was hit
//!        --> work on: the same documents put again, others put and deleted, a checkpoint, closed
//!   open --> the same once more: damage was not made to look whole
//! ```
//!
//! Where checksums were made right again over wrong content (*hostile* files) no answer is promised, only that there is
//! one: no panic, no hang, no huge allocation.

use super::worlds::{digest_of, disk_of, open, Held, State, Way, World};
use crate::batch::{Case, Mark, Marks};
use crate::files::Files;
use crate::lane::lost;
use nyro::testing::{OsDisk, Rng, SimDisk, SimEnv, SystemEnv, TempDir};
use nyro::{doc, Database, Document, Error, Id, RawDocument, Result, Snapshot};
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::ops::RangeInclusive;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// What a damaged file may show.
#[derive(Debug, Clone)]
pub enum Expect {
    /// One of these states, whole, and no error.
    Whole(RangeInclusive<usize>),
    /// One of these states, where it shows something. An error is as good.
    AtMost(RangeInclusive<usize>),
    /// This state where it shows something; `verify`, or the opening, reports damage.
    Reported(usize),
    /// Anything.
    Hostile,
}

impl Expect {
    fn states(&self, world: &World) -> RangeInclusive<usize> {
        match self {
            Expect::Whole(states) | Expect::AtMost(states) => states.clone(),
            Expect::Reported(state) => *state..=*state,
            Expect::Hostile => 0..=world.last(),
        }
    }
}

/// A file that was damaged.
pub struct Damaged<'w> {
    pub name: String,
    pub world: &'w World,
    pub files: Files,
    pub expect: Expect,
    pub way: Way,
    /// It is worked on, too.
    pub work: bool,
    /// On the real disk, with threads in the background: a cut file would end a careless process by a signal.
    pub real: bool,
}

/// Where the files of a case are.
enum Place {
    Simulated(SimDisk),
    Real(TempDir),
}

impl Place {
    fn of(files: &Files, real: bool) -> Place {
        if !real {
            return Place::Simulated(disk_of(files));
        }
        let dir = TempDir::new().expect("a directory");
        for (name, bytes) in &files.0 {
            std::fs::write(dir.path().join(name), bytes).expect("writes");
        }
        Place::Real(dir)
    }

    fn open(&self, way: Way) -> Result<Database> {
        match self {
            Place::Simulated(disk) => open(Arc::new(disk.clone()), Arc::new(SimEnv::new(7)), way),
            Place::Real(dir) => open(Arc::new(OsDisk::new(dir.path().to_owned())), Arc::new(SystemEnv::new()), way),
        }
    }

    /// Everything that is there, as a number, and operations that changed something.
    fn digest(&self) -> (u64, u64) {
        match self {
            Place::Simulated(disk) => (disk.digest(), disk.operations()),
            Place::Real(_) => (0, 0),
        }
    }
}

impl<'w> Damaged<'w> {
    pub fn case(self) -> Case<'w> {
        Case { name: self.name.clone(), bytes: self.files.total(), run: Box::new(move |marks| self.check(marks)) }
    }

    fn check(&self, marks: &Marks<'_>) {
        let place = Place::of(&self.files, self.real);
        let digest = self.way.read_only.then(|| place.digest());
        self.open_and_check(&place, marks);
        if digest.is_some_and(|digest| place.digest() != digest) {
            lost("opened for reading only, and something was written");
        }
    }

    fn open_and_check(&self, place: &Place, marks: &Marks<'_>) {
        let states = self.expect.states(self.world);
        let db = match place.open(self.way) {
            Ok(db) => ManuallyDrop::new(db),
            Err(e) => return self.refused(&e, marks),
        };
        let seen = self.look(&db, states);
        match (&self.expect, seen) {
            (Expect::Whole(_), Err(e)) => lost(format!("nothing that counts is damaged, but: {e}")),
            (Expect::Reported(_), Ok(_)) if db.verify().is_ok() => lost("verify does not notice"),
            (Expect::Hostile, _) => drop(db.verify()),
            (_, Ok(state)) => {
                marks.count(Mark::Whole, 1);
                marks.count(Mark::OlderState, u64::from(state < self.world.last()));
                if !matches!(self.expect, Expect::Reported(_)) {
                    is_told_well(db.verify().map(|_| ()), matches!(self.expect, Expect::Whole(_)));
                }
            }
            (_, Err(_)) => marks.count(Mark::Reported, 1),
        }
        if self.work && !self.way.read_only {
            marks.count(Mark::WorkedOn, 1);
            self.work(&db);
            drop(ManuallyDrop::into_inner(db));
            self.open_again(place);
        } else {
            nyro::testing::abandon((*db).clone());
            drop(ManuallyDrop::into_inner(db));
        }
    }

    fn refused(&self, e: &Error, marks: &Marks<'_>) {
        marks.count(Mark::Refused, 1);
        if let Expect::Whole(_) = self.expect {
            lost(format!("nothing that counts is damaged, but it does not open: {e}"));
        }
        no_bug(e);
    }

    /// Reads everything. `Ok`: no error, and this state; every answer was checked.
    fn look(&self, db: &Database, states: RangeInclusive<usize>) -> Result<usize> {
        let hostile = matches!(self.expect, Expect::Hostile);
        let snapshot = db.snapshot()?;
        let first = RefCell::new(None);
        let mut note = |e: Error| {
            no_bug(&e);
            first.borrow_mut().get_or_insert(e);
        };
        let (names, names_are_read) = match snapshot.collection_names() {
            Ok(names) => (names, true),
            Err(e) => {
                note(e);
                (self.world.states[*states.end()].collections.keys().cloned().collect(), false)
            }
        };
        let mut found = Vec::new();
        for name in &names {
            match scan(&snapshot, name, hostile) {
                Ok((hashes, None)) => found.push((name.as_str(), hashes, true)),
                Ok((hashes, Some(e))) => {
                    note(e);
                    found.push((name.as_str(), hashes, false));
                }
                Err(e) => {
                    note(e);
                    found.push((name.as_str(), Vec::new(), false));
                }
            }
        }
        if hostile {
            gets_of_the_hostile(&snapshot, &self.world.states[self.world.last()]);
            return first.into_inner().map_or(Ok(0), Err);
        }
        let state = match (&*first.borrow(), states.start() == states.end()) {
            (_, true) => *states.end(),
            (None, false) => {
                let all = found.iter().map(|(name, hashes, _)| (*name, sum(hashes)));
                let digest = digest_of(all);
                let state = states.clone().rev().find(|at| self.world.states[*at].digest == digest);
                state.unwrap_or_else(|| self.not_allowed(digest, &states))
            }
            // Only a log was damaged, and it was taken: there is nothing that can't be read.
            (Some(e), false) => lost(format!("it opens, and then: {e}")),
        };
        self.compare(&snapshot, &self.world.states[state], &names, &found, names_are_read, &mut note);
        first.into_inner().map_or(Ok(state), Err)
    }

    fn not_allowed(&self, digest: u64, states: &RangeInclusive<usize>) -> ! {
        match self.world.states.iter().position(|state| state.digest == digest) {
            Some(state) => lost(format!("it shows the state {state}, and only {states:?} are allowed")),
            None => lost("it shows a state that never was"),
        }
    }

    /// Each answer against what the state holds.
    fn compare(
        &self,
        snapshot: &Snapshot,
        state: &State,
        names: &[String],
        found: &[(&str, Vec<u64>, bool)],
        names_are_read: bool,
        note: &mut dyn FnMut(Error),
    ) {
        if names_are_read && !names.iter().eq(state.collections.keys()) {
            lost(format!("the collections are {names:?}"));
        }
        for (name, hashes, whole) in found {
            let Some(held) = state.collections.get(*name) else {
                lost(format!("a collection {name:?} that never was"))
            };
            let mut wanted: Vec<u64> = held.values().map(|stored| stored.hash).collect();
            let mut hashes = hashes.clone();
            wanted.sort_unstable();
            hashes.sort_unstable();
            if hashes.windows(2).any(|two| two[0] == two[1]) {
                lost(format!("{name}: a document twice"));
            }
            if hashes.iter().any(|hash| wanted.binary_search(hash).is_err()) {
                lost(format!("{name}: a scan gives a document that is not there"));
            }
            if *whole && hashes != wanted {
                lost(format!("{name}: a scan gives {} of {} documents and no error", hashes.len(), wanted.len()));
            }
            match snapshot.collection::<Document>(name).and_then(|c| c.count_documents()) {
                Ok(count) if count == held.len() as u64 => {}
                Ok(count) => lost(format!("{name}: counts {count} of {}", held.len())),
                Err(e) => note(e),
            }
            self.gets(snapshot, name, held, note);
        }
    }

    /// A part of the documents by their ids, and ids that are not there.
    fn gets(&self, snapshot: &Snapshot, name: &str, held: &Held, note: &mut dyn FnMut(Error)) {
        let view = match snapshot.collection::<Document>(name) {
            Ok(view) => view,
            Err(e) => return note(e),
        };
        let mut rng = Rng::new(xxh3_64(self.name.as_bytes()));
        let stride = 1 + held.len() / 60;
        let some = held.values().skip(rng.below(stride as u64) as usize).step_by(stride);
        let mut ids: Vec<(Id, u64)> = Vec::new();
        for stored in some {
            let id = stored.document.id().expect("an id");
            match view.get_raw(id.clone()) {
                Ok(Some(document)) if xxh3_64(document.as_bytes()) == stored.hash => {}
                Ok(Some(_)) => lost(format!("{name}: get of {id} gives another document")),
                Ok(None) => lost(format!("{name}: get of {id} gives none")),
                Err(e) => note(e),
            }
            ids.push((id, stored.hash));
        }
        let check = |at: usize, document: Option<&RawDocument>| {
            if document.map(|document| xxh3_64(document.as_bytes())) != Some(ids[at].1) {
                lost(format!("{name}: get_many gives another document, or none, for {}", ids[at].0));
            }
            Ok(())
        };
        if let Err(e) = view.get_many_raw_with(ids.iter().map(|(id, _)| id.clone()), check) {
            note(e);
        }
        for id in [Id::from("absent"), Id::from(1_000_003_u64)] {
            match view.get_raw(id.clone()) {
                Ok(Some(_)) => lost(format!("{name}: get of {id} gives something")),
                Ok(None) => {}
                Err(e) => note(e),
            }
        }
    }

    /// Writes what changes nothing in the collections that are there.
    fn work(&self, db: &Database) {
        let now = &self.world.states[*self.expect.states(self.world).end()];
        // Where the state is not known, only new documents are put.
        let states = self.expect.states(self.world);
        let known = states.start() == states.end() || matches!(self.expect, Expect::Hostile);
        for (name, held) in now.collections.iter().filter(|_| known) {
            let collection = db.collection::<Document>(name);
            for stored in held.values().step_by(1 + held.len() / 12) {
                let _ = collection.put_raw(&stored.document).map_err(|e| no_bug(&e));
            }
            let _ = collection.delete("absent").map_err(|e| no_bug(&e));
        }
        let new = db.collection::<Document>("new");
        for i in 0..10_u64 {
            let _ = new.put(&doc! { "_id": i * 977, "n": i }).map_err(|e| no_bug(&e));
        }
        let _ = new.put(&doc! { "_id": "large", "text": "v".repeat(20_000) }).map_err(|e| no_bug(&e));
        let _ = new.delete(977_u64).map_err(|e| no_bug(&e));
        let _ = db.checkpoint().map_err(|e| no_bug(&e));
        let _ = db.warm_up().map_err(|e| no_bug(&e));
        let _ = db.stats().map_err(|e| no_bug(&e));
        let _ = db.rename_collection("new", "newer").map_err(|e| no_bug(&e));
        let _ = db.drop_collection("newer").map_err(|e| no_bug(&e));
        // It may be there still, where renaming it failed.
        let _ = db.drop_collection("new").map_err(|e| no_bug(&e));
        let _ = db.verify().map_err(|e| no_bug(&e));
        let _ = db.close().map_err(|e| no_bug(&e));
    }

    fn open_again(&self, place: &Place) {
        let db = match place.open(self.way) {
            Ok(db) => ManuallyDrop::new(db),
            Err(e) => return no_bug(&e),
        };
        let new_is_gone = db.collection_names().is_ok_and(|names| !names.iter().any(|name| name.starts_with("new")));
        match &self.expect {
            Expect::Hostile => {
                let _ = self.look(&db, 0..=0);
            }
            _ if !new_is_gone => {}
            Expect::Reported(state) => {
                let _ = self.look(&db, *state..=*state);
            }
            Expect::Whole(states) => match self.look(&db, states.clone()) {
                Ok(_) => is_told_well(db.verify().map(|_| ()), true),
                Err(e) => lost(format!("after some work: {e}")),
            },
            Expect::AtMost(states) => {
                let _ = self.look(&db, states.clone());
            }
        }
        let _ = db.close();
        drop(ManuallyDrop::into_inner(db));
    }
}

/// `verify` may find damage in what was read well (an index that no answer needed), but not where there is none.
fn is_told_well(verified: Result<()>, whole: bool) {
    match verified {
        Err(e) if whole => lost(format!("nothing that counts is damaged, but verify says: {e}")),
        Err(e) => no_bug(&e),
        Ok(()) => {}
    }
}

/// An error that says that the engine is wrong is not one about a file.
fn no_bug(e: &Error) {
    if let Error::Internal(_) = e {
        panic!("{e}");
    }
}

type Scanned = (Vec<u64>, Option<Error>);

/// The hashes of the documents of a collection, up to the first error.
fn scan(snapshot: &Snapshot, name: &str, hostile: bool) -> Result<Scanned> {
    let view = snapshot.collection::<Document>(name)?;
    let mut scan = view.scan();
    let mut hashes = Vec::new();
    loop {
        match scan.next_raw() {
            Ok(Some(document)) => {
                hashes.push(xxh3_64(document.as_bytes()));
                if hostile {
                    let _ = match hashes.len() % 16 {
                        0 => document.to_json().map(|_| 0),
                        _ => Ok(document.iter().count()),
                    };
                }
            }
            Ok(None) => return Ok((hashes, None)),
            Err(e) => return Ok((hashes, Some(e))),
        }
    }
}

fn sum(hashes: &[u64]) -> (u64, u64) {
    (hashes.len() as u64, hashes.iter().fold(0, |all: u64, hash| all.wrapping_add(*hash)))
}

fn gets_of_the_hostile(snapshot: &Snapshot, state: &State) {
    for (name, held) in &state.collections {
        let Ok(view) = snapshot.collection::<Document>(name) else { continue };
        let _ = view.count_documents();
        let ids = || held.values().step_by(1 + held.len() / 40).filter_map(|stored| stored.document.id());
        for id in ids() {
            let _ = view.get_raw(id.clone()).map(|document| document.map(|document| document.iter().count()));
            let _ = view.get(id).map_err(|e| no_bug(&e));
        }
        let _ = view.get_many(ids()).map_err(|e| no_bug(&e));
    }
}
