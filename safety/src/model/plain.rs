//! The plain maps that the database is compared with.
//!
//! ```text
//!   names   a -> 3, b -> 7                 trees   3 -> { documents, largest id }   shared with held snapshots,
//!                                                  7 -> { ... }                     copied when written next
//!   undo    what each change replaced, for the rollback
//! ```

use super::ops::{range_of, Body, Call, Key, Name, Space, NAMES, NO_NAME, SPACES};
use nyro::{Id, RawDocumentBuf};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An error by its number; the text is for messages.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub code: u32,
    pub text: String,
}

impl PartialEq for Refusal {
    fn eq(&self, other: &Refusal) -> bool {
        self.code == other.code
    }
}

impl std::hash::Hash for Refusal {
    fn hash<H: std::hash::Hasher>(&self, to: &mut H) {
        self.code.hash(to);
    }
}

/// What an operation gives.
#[derive(Clone, PartialEq, Hash)]
pub enum Answer {
    Done,
    Flag(bool),
    Id(Id),
    Ids(Vec<Id>),
    Count(u64),
    Document(Option<Arc<[u8]>>),
    Documents(Vec<Option<Arc<[u8]>>>),
    /// Keys of a keyspace with their values.
    Pairs(Vec<(Vec<u8>, Arc<[u8]>)>),
    Names(Vec<String>),
    /// How many were inserted, and the places that failed with their errors.
    Bulk(u64, Vec<(u64, u32)>),
    Error(Refusal),
}

impl Answer {
    pub fn error(code: u32) -> Answer {
        Answer::Error(Refusal { code, text: String::new() })
    }
}

/// Documents by their first bytes, so that a message stays short.
fn brief(document: &Option<Arc<[u8]>>) -> String {
    let Some(bytes) = document else { return "none".to_owned() };
    let text = RawDocumentBuf::new(bytes).and_then(|document| document.to_json());
    let text = text.unwrap_or_else(|e| format!("{e}: {bytes:?}"));
    format!("{}{}", text.chars().take(80).collect::<String>(), if text.len() > 80 { ".." } else { "" })
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Answer::Done => f.write_str("done"),
            Answer::Flag(flag) => write!(f, "{flag}"),
            Answer::Id(id) => write!(f, "id {id}"),
            Answer::Ids(ids) => write!(f, "ids {ids:?}"),
            Answer::Count(n) => write!(f, "count {n}"),
            Answer::Document(document) => f.write_str(&brief(document)),
            Answer::Documents(documents) => write!(f, "{} documents", documents.len()),
            Answer::Pairs(pairs) => write!(f, "{} keys", pairs.len()),
            Answer::Names(names) => write!(f, "names {names:?}"),
            Answer::Bulk(inserted, failures) => write!(f, "{inserted} inserted, failures {failures:?}"),
            Answer::Error(refusal) => write!(f, "error {} {}", refusal.code, refusal.text),
        }
    }
}

/// Where two answers part, in words.
pub fn difference(expected: &Answer, found: &Answer) -> String {
    if let (Answer::Pairs(wanted), Answer::Pairs(got)) = (expected, found) {
        let at = wanted.iter().zip(got).position(|(a, b)| a != b).unwrap_or(wanted.len().min(got.len()));
        let show = |list: &[(Vec<u8>, Arc<[u8]>)]| {
            let of = |(key, value): &(Vec<u8>, Arc<[u8]>)| {
                let tail = &key[key.len().saturating_sub(12)..];
                format!("..{tail:x?} = {} bytes of {:x?}", value.len(), value.get(..4))
            };
            list.get(at).map_or_else(|| "the end".to_owned(), of)
        };
        let (one, other) = (show(wanted), show(got));
        return format!("{} keys expected, {} found; at {at} expected {one}, found {other}", wanted.len(), got.len());
    }
    let (Answer::Documents(wanted), Answer::Documents(got)) = (expected, found) else {
        return format!("expected {expected:?}, found {found:?}");
    };
    let at = wanted.iter().zip(got).position(|(a, b)| a != b).unwrap_or(wanted.len().min(got.len()));
    let show = |list: &[Option<Arc<[u8]>>]| list.get(at).map_or_else(|| "the end".to_owned(), brief);
    let (wanted_one, got_one) = (show(wanted), show(got));
    format!("{} expected, {} found; at {at} expected {wanted_one}, found {got_one}", wanted.len(), got.len())
}

/// A document and the number of its last write, which gives the order of a scan.
#[derive(Debug, Clone)]
pub struct Stored {
    pub write: u64,
    pub bytes: Arc<[u8]>,
}

/// The documents of a collection.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    pub documents: BTreeMap<Id, Stored>,
    /// The largest integer id that a commit has put, and the same with the running transaction.
    largest: u64,
    largest_own: u64,
}

impl Tree {
    /// In the order of their last write, those after `from`.
    pub fn in_order(&self, from: u64) -> Vec<&Stored> {
        let mut all: Vec<&Stored> = self.documents.values().filter(|stored| stored.write > from).collect();
        all.sort_unstable_by_key(|stored| stored.write);
        all
    }
}

/// The keys of a keyspace.
pub type Keys = BTreeMap<Vec<u8>, Arc<[u8]>>;

/// What is shown at one moment. A clone shares its trees and keyspaces.
#[derive(Debug, Clone, Default)]
pub struct View {
    names: BTreeMap<Name, u32>,
    trees: BTreeMap<u32, Arc<Tree>>,
    spaces: BTreeMap<Space, Arc<Keys>>,
}

impl View {
    pub fn keys(&self, of: Space) -> Option<&Keys> {
        self.spaces.get(&of).map(|keys| &**keys)
    }

    /// Names of keyspaces, sorted.
    pub fn space_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.spaces.keys().map(|space| SPACES[usize::from(*space)].to_owned()).collect();
        names.sort();
        names
    }

    pub fn tree(&self, name: Name) -> Option<&Tree> {
        self.trees.get(self.names.get(&name)?).map(|tree| &**tree)
    }

    /// Sorted, as the database gives them.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.names.keys().map(|name| NAMES[usize::from(*name)].to_owned()).collect();
        names.sort();
        names
    }

    pub fn get(&self, name: Name, id: &Id) -> Option<Arc<[u8]>> {
        Some(self.tree(name)?.documents.get(id)?.bytes.clone())
    }

    fn has(&self, name: Name, id: &Id) -> bool {
        self.tree(name).is_some_and(|tree| tree.documents.contains_key(id))
    }
}

/// What a change replaced.
enum Undo {
    Document(u32, Id, Option<Stored>),
    Names(BTreeMap<Name, u32>),
    Pair(Space, Vec<u8>, Option<Arc<[u8]>>),
    Space(Space, Option<Arc<Keys>>),
}

/// See the module's text.
#[derive(Default)]
pub struct Plain {
    pub view: View,
    undo: Vec<Undo>,
    next_tree: u32,
    writes: u64,
    /// Documents of more than a page that were stored.
    pub large: u64,
    /// Values that lie in extents.
    pub large_values: u64,
}

/// A positive integer id.
fn natural(id: &Id) -> u64 {
    match id {
        Id::Int(id) => u64::try_from(*id).unwrap_or(0),
        Id::UInt(id) => *id,
        _ => 0,
    }
}

impl Plain {
    /// Makes all changes since the last end final.
    pub fn commit(&mut self) {
        for undo in std::mem::take(&mut self.undo) {
            let Undo::Document(tree, id, _) = undo else { continue };
            let Some(tree) = self.view.trees.get_mut(&tree) else { continue };
            // What a transaction put and deleted again was never held.
            if natural(&id) > tree.largest && tree.documents.contains_key(&id) {
                Arc::make_mut(tree).largest = natural(&id);
            }
        }
        let View { names, trees, .. } = &mut self.view;
        if trees.len() > names.len() {
            trees.retain(|tree, _| names.values().any(|named| named == tree));
        }
        self.forget_own_ids();
    }

    /// Takes all changes since the last end back.
    pub fn roll_back(&mut self) {
        for undo in std::mem::take(&mut self.undo).into_iter().rev() {
            match undo {
                Undo::Names(names) => self.view.names = names,
                Undo::Space(of, Some(keys)) => drop(self.view.spaces.insert(of, keys)),
                Undo::Space(of, None) => drop(self.view.spaces.remove(&of)),
                Undo::Pair(of, key, before) => {
                    let Some(keys) = self.view.spaces.get_mut(&of) else { continue };
                    match before {
                        Some(before) => drop(Arc::make_mut(keys).insert(key, before)),
                        None => drop(Arc::make_mut(keys).remove(&key)),
                    }
                }
                Undo::Document(tree, id, before) => {
                    let Some(tree) = self.view.trees.get_mut(&tree) else { continue };
                    let documents = &mut Arc::make_mut(tree).documents;
                    match before {
                        Some(before) => drop(documents.insert(id, before)),
                        None => drop(documents.remove(&id)),
                    }
                }
            }
        }
        let View { names, trees, .. } = &mut self.view;
        trees.retain(|tree, _| names.values().any(|named| named == tree));
        self.forget_own_ids();
    }

    fn forget_own_ids(&mut self) {
        for tree in self.view.trees.values_mut().filter(|tree| tree.largest_own > 0) {
            Arc::make_mut(tree).largest_own = 0;
        }
    }

    /// One call inside of a transaction.
    pub fn call(&mut self, call: &Call) -> Answer {
        match call {
            Call::Put(NO_NAME, ..)
            | Call::Insert(NO_NAME, ..)
            | Call::Replace(NO_NAME, ..)
            | Call::Delete(NO_NAME, _)
            | Call::Get(NO_NAME, _)
            | Call::Contains(NO_NAME, _)
            | Call::Create(NO_NAME)
            | Call::Rename(NO_NAME, _)
            | Call::Rename(_, NO_NAME)
            | Call::Drop(NO_NAME) => Answer::error(102),
            Call::PutBadId(_) | Call::ReplaceOther(..) => Answer::error(204),
            Call::Put(to, key, body) => self.put(*to, *key, *body),
            Call::Insert(to, key, body) => self.insert(*to, *key, *body),
            Call::Replace(to, key, body) => {
                let id = key.id();
                let there = self.view.has(*to, &id);
                if there {
                    self.store(*to, id, *body);
                }
                Answer::Flag(there)
            }
            Call::Delete(from, key) => self.delete(*from, &key.id()),
            Call::Get(from, key) => Answer::Document(self.view.get(*from, &key.id())),
            Call::Contains(from, key) => Answer::Flag(self.view.has(*from, &key.id())),
            Call::Create(name) if self.view.names.contains_key(name) => Answer::error(208),
            Call::Create(name) => {
                self.create(*name);
                Answer::Done
            }
            Call::Rename(from, to) => self.rename(*from, *to),
            Call::Drop(name) => {
                self.note_names();
                Answer::Flag(self.view.names.remove(name).is_some())
            }
            _ => self.key_call(call),
        }
    }

    fn key_call(&mut self, call: &Call) -> Answer {
        let pair = |(key, value): (&Vec<u8>, &Arc<[u8]>)| (key.clone(), value.clone());
        match call {
            Call::KeyPut(to, spot, body) => {
                let (key, value) = (spot.bytes(), body.value());
                self.large_values += u64::from(value.len() > 8192);
                let before = self.keys_of(*to).insert(key.clone(), value.into());
                self.undo.push(Undo::Pair(*to, key, before));
                Answer::Done
            }
            Call::KeyDelete(from, spot) => {
                let key = spot.bytes();
                let before = self.keys_of(*from).remove(&key);
                self.undo.push(Undo::Pair(*from, key, before));
                Answer::Done
            }
            Call::KeyRange(from, one, other) => {
                let range = range_of(*one, *other);
                if !range.is_empty() {
                    self.note_space(*from);
                    self.keys_of(*from).retain(|key, _| !range.contains(key));
                }
                Answer::Done
            }
            Call::KeyClear(of) => {
                if self.view.spaces.contains_key(of) {
                    self.note_space(*of);
                    self.keys_of(*of).clear();
                }
                Answer::Done
            }
            Call::KeyDrop(of) => {
                self.note_space(*of);
                Answer::Flag(self.view.spaces.remove(of).is_some())
            }
            Call::KeyGet(from, spot) => {
                Answer::Document(self.view.keys(*from).and_then(|keys| keys.get(&spot.bytes())).cloned())
            }
            Call::KeyScan(of, from, back, take) => {
                let (from, take) = (from.bytes(), usize::from(*take));
                let keys = self.view.keys(*of);
                Answer::Pairs(match back {
                    false => {
                        keys.into_iter().flat_map(|keys| keys.range(from.clone()..)).take(take).map(pair).collect()
                    }
                    true => {
                        let below = keys.into_iter().flat_map(|keys| keys.range(..=from.clone()).rev());
                        below.take(take).map(pair).collect()
                    }
                })
            }
            Call::KeyEnds(of) => {
                let ends = self.view.keys(*of).map(|keys| [keys.first_key_value(), keys.last_key_value()]);
                Answer::Pairs(ends.into_iter().flatten().flatten().map(pair).collect())
            }
            _ => unreachable!("a call of collections"),
        }
    }

    fn note_space(&mut self, of: Space) {
        self.undo.push(Undo::Space(of, self.view.spaces.get(&of).cloned()));
    }

    /// The keys of a keyspace, which the first write makes.
    fn keys_of(&mut self, of: Space) -> &mut Keys {
        if !self.view.spaces.contains_key(&of) {
            self.note_space(of);
        }
        Arc::make_mut(self.view.spaces.entry(of).or_default())
    }

    /// `insert_many`, all but its commit; false where nothing of it stays.
    pub fn insert_many(
        &mut self,
        to: Name,
        documents: &[(Option<Key>, Body)],
        ordered: bool,
        atomic: bool,
    ) -> (Answer, bool) {
        if to == NO_NAME {
            return (Answer::error(102), false);
        }
        self.create(to);
        let (mut ids, mut failures) = (Vec::new(), Vec::new());
        for (place, (key, body)) in documents.iter().enumerate() {
            match self.insert(to, *key, *body) {
                Answer::Id(id) => ids.push(id),
                Answer::Error(refusal) if atomic => return (Answer::Error(refusal), false),
                Answer::Error(refusal) => failures.push((place as u64, refusal.code)),
                _ => {}
            }
            if ordered && !failures.is_empty() {
                break;
            }
        }
        let answer = if failures.is_empty() { Answer::Ids(ids) } else { Answer::Bulk(ids.len() as u64, failures) };
        (answer, true)
    }

    /// `put_many`, all but its commit; false where nothing of it stays.
    pub fn put_many(&mut self, to: Name, documents: &[(Option<Key>, Body)]) -> (Answer, bool) {
        if to == NO_NAME {
            return (Answer::error(102), false);
        }
        self.create(to);
        let mut ids = Vec::new();
        for (key, body) in documents {
            match self.put(to, *key, *body) {
                Answer::Id(id) => ids.push(id),
                refused => return (refused, false),
            }
        }
        (Answer::Ids(ids), true)
    }

    fn note_names(&mut self) {
        self.undo.push(Undo::Names(self.view.names.clone()));
    }

    /// Makes the collection if there is none.
    fn create(&mut self, name: Name) {
        if !self.view.names.contains_key(&name) {
            self.note_names();
            self.next_tree += 1;
            self.view.names.insert(name, self.next_tree);
            self.view.trees.insert(self.next_tree, Arc::default());
        }
    }

    fn rename(&mut self, from: Name, to: Name) -> Answer {
        let Some(tree) = self.view.names.get(&from).copied() else { return Answer::error(207) };
        if self.view.names.contains_key(&to) {
            return Answer::error(208);
        }
        self.note_names();
        self.view.names.remove(&from);
        self.view.names.insert(to, tree);
        Answer::Done
    }

    /// The id that is given, or the next one; `None` if there are no more.
    fn id(&self, name: Name, key: Option<Key>) -> Option<Id> {
        match (key, self.view.tree(name)) {
            (Some(key), _) => Some(key.id()),
            (None, Some(tree)) => tree.largest.max(tree.largest_own).checked_add(1).map(Id::from),
            (None, None) => Some(Id::from(1)),
        }
    }

    fn put(&mut self, to: Name, key: Option<Key>, body: Body) -> Answer {
        let Some(id) = self.id(to, key) else { return Answer::error(209) };
        self.store(to, id.clone(), body);
        Answer::Id(id)
    }

    fn insert(&mut self, to: Name, key: Option<Key>, body: Body) -> Answer {
        let Some(id) = self.id(to, key) else { return Answer::error(209) };
        if self.view.has(to, &id) {
            return Answer::error(205);
        }
        self.store(to, id.clone(), body);
        Answer::Id(id)
    }

    fn store(&mut self, to: Name, id: Id, body: Body) {
        self.create(to);
        self.writes += 1;
        self.large += u64::from(body.size > 4096);
        let stored = Stored { write: self.writes, bytes: body.stored(&id) };
        let number = self.view.names[&to];
        let tree = Arc::make_mut(self.view.trees.get_mut(&number).expect("a named tree is there"));
        tree.largest_own = tree.largest_own.max(natural(&id));
        let before = tree.documents.insert(id.clone(), stored);
        self.undo.push(Undo::Document(number, id, before));
    }

    fn delete(&mut self, from: Name, id: &Id) -> Answer {
        if !self.view.has(from, id) {
            return Answer::Flag(false);
        }
        let number = self.view.names[&from];
        let tree = Arc::make_mut(self.view.trees.get_mut(&number).expect("a named tree is there"));
        let before = tree.documents.remove(id);
        self.undo.push(Undo::Document(number, id.clone(), before));
        Answer::Flag(true)
    }
}
