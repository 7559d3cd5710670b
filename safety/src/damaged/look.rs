//! What may come of opening a damaged file, and whether it did.
//!
//! ```text
//!   open --> names, counts, scans, gets: each answer is what the file held, or an error
//!        --> keyspaces: names, ranges forward and backward (up to an error, no key left out), gets
//!        --> verify: an error where a byte under a checksum was hit
//!        --> work on: the same documents put again, others put and deleted, a checkpoint, closed
//!   open --> the same once more: damage was not made to look whole
//! ```
//!
//! Where checksums were made right again over wrong content (*hostile* files) no answer is promised, only that there is
//! one: no panic, no hang, no huge allocation.

use super::worlds::{digest_of, disk_of, hash_of_pair, open, Held, Keys, State, Way, World, KEYSPACE};
use crate::batch::{Case, Mark, Marks};
use crate::files::Files;
use crate::lane::lost;
use nyro::testing::{OsDisk, Rng, SimDisk, SimEnv, SystemEnv, TempDir};
use nyro::{doc, Database, Document, Error, Id, RawDocument, Result, Snapshot, SnapshotKeyspace};
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
        let keys = self.look_at_keys(&snapshot, &self.world.states[*states.end()], &mut note);
        if hostile {
            gets_of_the_hostile(&snapshot, &self.world.states[self.world.last()]);
            keys_of_the_hostile(db, &snapshot, &self.world.states[self.world.last()]);
            return first.into_inner().map_or(Ok(0), Err);
        }
        let state = match (&*first.borrow(), states.start() == states.end()) {
            (_, true) => *states.end(),
            (None, false) => {
                let all = found.iter().map(|(name, hashes, _)| (*name, sum(hashes)));
                let keyspaces = keys.found.iter().map(|found| {
                    let (count, sum) = sum(&found.forward);
                    (found.name.as_str(), (count | KEYSPACE, sum))
                });
                let digest = digest_of(all.chain(keyspaces));
                let state = states.clone().rev().find(|at| self.world.states[*at].digest == digest);
                state.unwrap_or_else(|| self.not_allowed(digest, &states))
            }
            // Only a log was damaged, and it was taken: there is nothing that can't be read.
            (Some(e), false) => lost(format!("it opens, and then: {e}")),
        };
        self.compare(&snapshot, &self.world.states[state], &names, &found, names_are_read, &mut note);
        self.compare_keys(&snapshot, &self.world.states[state], &keys, &mut note);
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

    /// Reads all keyspaces.
    fn look_at_keys(&self, snapshot: &Snapshot, newest: &State, note: &mut dyn FnMut(Error)) -> FoundKeys {
        let (names, names_are_read) = match snapshot.keyspace_names() {
            Ok(names) => (names, true),
            Err(e) => {
                note(e);
                (newest.keyspaces.keys().cloned().collect(), false)
            }
        };
        let mut found = Vec::new();
        for name in names {
            let mut read = |back| match snapshot.keyspace(&name).and_then(|keyspace| pairs(&keyspace, back)) {
                Ok((hashes, None)) => (hashes, true),
                Ok((hashes, Some(e))) => {
                    note(e);
                    (hashes, false)
                }
                Err(e) => {
                    note(e);
                    (Vec::new(), false)
                }
            };
            let ((forward, forward_whole), (backward, backward_whole)) = (read(false), read(true));
            found.push(FoundKeyspace { name, forward, forward_whole, backward, backward_whole });
        }
        FoundKeys { found, names_are_read }
    }

    /// Each answer of the keyspaces against what the state holds.
    fn compare_keys(&self, snapshot: &Snapshot, state: &State, keys: &FoundKeys, note: &mut dyn FnMut(Error)) {
        let names = || keys.found.iter().map(|found| &found.name);
        if keys.names_are_read && !names().eq(state.keyspaces.keys()) {
            lost(format!("the keyspaces are {:?}", names().collect::<Vec<_>>()));
        }
        for found in &keys.found {
            let name = &found.name;
            let Some(held) = state.keyspaces.get(name) else { lost(format!("a keyspace {name:?} that never was")) };
            let forward = held.values().map(|valued| valued.hash);
            in_order(name, "forward", &found.forward, found.forward_whole, forward);
            let backward = held.values().rev().map(|valued| valued.hash);
            in_order(name, "backward", &found.backward, found.backward_whole, backward);
            match snapshot.keyspace(name) {
                Ok(keyspace) => self.gets_of_keys(&keyspace, name, held, note),
                Err(e) => note(e),
            }
        }
    }

    /// A part of the keys, keys that are not there, a part of a range.
    fn gets_of_keys(&self, keyspace: &SnapshotKeyspace, name: &str, held: &Keys, note: &mut dyn FnMut(Error)) {
        let mut rng = Rng::new(xxh3_64(self.name.as_bytes()));
        let stride = 1 + held.len() / 60;
        let first = rng.below(stride as u64) as usize;
        let mut absent: Vec<Vec<u8>> = vec![b"absent".to_vec(), vec![0xff; 5]];
        for (key, valued) in held.iter().skip(first).step_by(stride) {
            match keyspace.get(key) {
                Ok(Some(value)) if value == valued.value[..] => {}
                Ok(Some(_)) => lost(format!("{name}: get of {key:x?} gives another value")),
                Ok(None) => lost(format!("{name}: get of {key:x?} gives none")),
                Err(e) => note(e),
            }
            if absent.len() < 30 {
                absent.push([key, &[rng.below(256) as u8][..]].concat());
            }
        }
        // Those that were there once were deleted, one by one or by the range.
        let earlier = self.world.states.iter().rev().filter_map(|state| state.keyspaces.get(name));
        absent.extend(earlier.step_by(9).take(6).flat_map(|keys| keys.keys().step_by(31)).cloned());
        for key in absent.iter().filter(|key| !held.contains_key(*key)) {
            match keyspace.get(key) {
                Ok(Some(_)) => lost(format!("{name}: get of {key:x?} gives something")),
                Ok(None) => {}
                Err(e) => note(e),
            }
        }
        if let Err(e) = keyspace.estimated_len() {
            note(e);
        }
        let Some((start, _)) = held.iter().nth(rng.below(1 + held.len() as u64) as usize) else { return };
        match keyspace.range(&start[..]..).and_then(|range| range.take(5).collect::<Result<Vec<_>>>()) {
            Ok(some) => {
                let expected = held.range(start.clone()..).take(5).map(|(key, valued)| (key, &valued.value));
                if !some.iter().map(|(key, value)| (key, &value[..])).eq(expected.map(|(key, value)| (key, &value[..])))
                {
                    lost(format!("{name}: a range from {start:x?} on gives something else"));
                }
            }
            Err(e) => note(e),
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
        for (name, held) in now.keyspaces.iter().filter(|_| known) {
            let keyspace = db.keyspace(name);
            for (key, valued) in held.iter().step_by(1 + held.len() / 12) {
                let _ = keyspace.put(key, &valued.value).map_err(|e| no_bug(&e));
            }
            let _ = keyspace.delete("absent").map_err(|e| no_bug(&e));
            let _ = keyspace.delete_range("absent".."absent too").map_err(|e| no_bug(&e));
        }
        let keys = db.keyspace("new keys");
        for i in 0..10_u64 {
            let _ = keys.put(i.to_be_bytes(), b"new").map_err(|e| no_bug(&e));
        }
        let _ = keys.put("large", vec![b'v'; 20_000]).map_err(|e| no_bug(&e));
        let new = db.collection::<Document>("new");
        for i in 0..10_u64 {
            let _ = new.put(&doc! { "_id": i * 977, "n": i }).map_err(|e| no_bug(&e));
        }
        let _ = new.put(&doc! { "_id": "large", "text": "v".repeat(20_000) }).map_err(|e| no_bug(&e));
        let _ = new.delete(977_u64).map_err(|e| no_bug(&e));
        let _ = db.checkpoint().map_err(|e| no_bug(&e));
        let _ = db.warm_up().map_err(|e| no_bug(&e));
        let _ = db.stats().map_err(|e| no_bug(&e));
        let _ = keys.delete_range([0].to_vec()..[0, 0, 0, 0, 0, 0, 0, 5].to_vec()).map_err(|e| no_bug(&e));
        let _ = db.drop_keyspace("new keys").map_err(|e| no_bug(&e));
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
        let is_old = |names: Vec<String>| !names.iter().any(|name| name.starts_with("new"));
        let new_is_gone = db.collection_names().is_ok_and(is_old) && db.keyspace_names().is_ok_and(is_old);
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

/// What ranges over a keyspace gave, up to the first error.
struct FoundKeyspace {
    name: String,
    forward: Vec<u64>,
    forward_whole: bool,
    backward: Vec<u64>,
    backward_whole: bool,
}

struct FoundKeys {
    found: Vec<FoundKeyspace>,
    names_are_read: bool,
}

/// The pairs of a keyspace, as numbers, up to the first error.
fn pairs(keyspace: &SnapshotKeyspace, back: bool) -> Result<Scanned> {
    let mut range = keyspace.iter()?;
    let mut hashes = Vec::new();
    loop {
        match if back { range.next_entry_back() } else { range.next_entry() } {
            Ok(Some((key, value))) => hashes.push(hash_of_pair(key, value)),
            Ok(None) => return Ok((hashes, None)),
            Err(e) => return Ok((hashes, Some(e))),
        }
    }
}

/// A range that ended with an error left out nothing before it.
fn in_order(name: &str, what: &str, found: &[u64], whole: bool, held: impl ExactSizeIterator<Item = u64>) {
    let count = held.len();
    if found.len() > count || !held.take(found.len()).eq(found.iter().copied()) {
        lost(format!("{name}: a range {what} gives something that is not there, or leaves something out"));
    }
    if whole && found.len() < count {
        lost(format!("{name}: a range {what} gives {} of {count} keys and no error", found.len()));
    }
}

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

/// Gets, ranges that begin anywhere, and a transaction with changes of its own in front of what is there.
fn keys_of_the_hostile(db: &Database, snapshot: &Snapshot, state: &State) {
    for (name, held) in &state.keyspaces {
        let Ok(keyspace) = snapshot.keyspace(name) else { continue };
        let some = || held.keys().step_by(1 + held.len() / 30);
        for key in some() {
            let _ = keyspace.get(key).map_err(|e| no_bug(&e));
        }
        for key in some().step_by(5) {
            for back in [false, true] {
                let Ok(mut range) = keyspace.range(&key[..]..) else { continue };
                let mut step =
                    || if back { range.next_entry_back() } else { range.next_entry() }.map(|it| it.is_some());
                let _ = (0..20).all(|_| matches!(step().map_err(|e| no_bug(&e)), Ok(true)));
            }
        }
        let _ = keyspace.estimated_len().map_err(|e| no_bug(&e));
        let _ = db.write(|tx| {
            let own = tx.keyspace(name);
            for (at, two) in some().step_by(3).collect::<Vec<_>>().windows(2).enumerate() {
                match at % 3 {
                    0 => own.delete_range(&two[0][..]..&two[1][..])?,
                    1 => own.delete(two[0])?,
                    _ => own.put(two[0], "own")?,
                }
            }
            for back in [false, true] {
                // Whatever the file says, a range ends.
                let all = own.range::<&[u8]>(.., back)?.map(|pair| pair.map_err(|e| no_bug(&e)).is_ok());
                let _ = all.filter(|ok| *ok).count();
            }
            Err::<(), _>(Error::RolledBack)
        });
    }
}
