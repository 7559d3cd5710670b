//! Operations as data: a list of them is generated, run, made smaller, and printed.
//!
//! ```text
//!   Op    Call                                  one call of the database, a transaction of its own
//!         Transaction [ Call, Call, .. ] end    the same calls inside of one
//!         Hold, Checkpoint, Reopen, ..          what must not change any answer
//! ```
//!
//! Nothing in an operation depends on an answer, so that any part of a list is a list.

use nyro::{Document, Id, RawDocumentBuf};
use std::fmt;
use std::sync::Arc;

/// Collections, by their place in this list; the last one is no name.
pub const NAMES: [&str; 6] = ["a", "b", "c", "wave", "a longer name of a collection, of more than 31 bytes", ""];
/// A place in [`NAMES`].
pub type Name = u8;
pub const WAVE: Name = 3;
pub const NO_NAME: Name = 5;

/// Keyspaces, by their place in this list.
pub const SPACES: [&str; 3] = ["keys", "more keys", "seldom"];
/// A place in [`SPACES`].
pub type Space = u8;

/// A key of a keyspace: short ones, and long ones that have much in front in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot(pub u16);

impl Spot {
    pub fn bytes(self) -> Vec<u8> {
        let n = self.0;
        match n % 6 {
            0 => [&[b'l'; 300][..], &n.to_be_bytes()].concat(),
            1 | 2 => format!("user:{:04}:{}", n / 3, n % 3).into_bytes(),
            3 => vec![(n / 6) as u8; usize::from(n / 6 % 5)],
            _ => u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec(),
        }
    }
}

/// Two keys as a range: from the lower one to before the other.
pub fn range_of(one: Spot, other: Spot) -> std::ops::Range<Vec<u8>> {
    let (one, other) = (one.bytes(), other.bytes());
    if one <= other {
        one..other
    } else {
        other..one
    }
}

/// An id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Int(i64),
    /// The last integer id: none can be assigned after it.
    Last,
    Text(u16),
    /// A text as long as ids come.
    Long(u16),
    Bytes(u16),
}

/// What a document holds beside its id. `form` says by which calls it is given, see [`Form`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body {
    pub stamp: u32,
    pub size: u32,
}

/// How a document is given; it follows from the stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As a value that the call encodes.
    Typed,
    /// As bytes in stored form.
    Raw,
    /// As bytes with the id at the end, which are rewritten.
    IdLast,
}

/// One call, in a transaction or outside of any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    Put(Name, Option<Key>, Body),
    Insert(Name, Option<Key>, Body),
    Replace(Name, Key, Body),
    Delete(Name, Key),
    Get(Name, Key),
    Contains(Name, Key),
    /// A put whose id is of no type that ids have.
    PutBadId(Name),
    /// A replacement by a document with another id.
    ReplaceOther(Name, Key),
    Create(Name),
    Rename(Name, Name),
    Drop(Name),
    KeyPut(Space, Spot, Body),
    KeyDelete(Space, Spot),
    /// All keys of a range.
    KeyRange(Space, Spot, Spot),
    KeyClear(Space),
    KeyDrop(Space),
    KeyGet(Space, Spot),
    /// So many pairs from a key on, or from it backward.
    KeyScan(Space, Spot, bool, u8),
    /// The first pair and the last one.
    KeyEnds(Space),
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Commit,
    RollBack,
    /// Its body panics.
    Panic,
    /// Begun and committed by calls.
    CommitCall,
    /// Begun and rolled back by calls.
    RollBackCall,
    /// Begun by a call, then dropped.
    Forget,
}

impl End {
    pub fn commits(self) -> bool {
        matches!(self, End::Commit | End::CommitCall)
    }
}

/// One operation of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Call(Call),
    Transaction(Vec<Call>, End),
    Count(Name),
    GetMany(Name, Vec<Key>),
    PutMany(Name, Vec<(Option<Key>, Body)>),
    InsertMany {
        to: Name,
        documents: Vec<(Option<Key>, Body)>,
        ordered: bool,
        atomic: bool,
    },
    Names,
    /// So many documents of a scan, from its beginning or from where the last one of this collection stopped.
    Scan {
        of: Name,
        go_on: bool,
        take: usize,
    },
    Hold,
    /// Compares a held snapshot, and keeps it.
    Look(usize),
    /// Compares a held snapshot, and drops it.
    LetGo(usize),
    Checkpoint,
    /// A checkpoint with these calls made from inside of its writes and syncs.
    Busy(Vec<Call>),
    Compact,
    Background,
    Sync,
    WarmUp,
    Compare,
    Verify,
    Reopen,
    /// The process dies, and another one opens the file.
    Die,
}

impl Key {
    pub fn id(self) -> Id {
        match self {
            Key::Int(n) => Id::from(n),
            Key::Last => Id::from(u64::MAX),
            Key::Text(n) => Id::from(format!("s{n}")),
            Key::Long(n) => Id::from(format!("{n:0>width$}", width = nyro::MAX_ID_BYTES)),
            Key::Bytes(n) => Id::from(n.to_be_bytes()),
        }
    }
}

impl Body {
    pub fn form(self) -> Form {
        match self.stamp % 4 {
            0 => Form::Typed,
            1 => Form::IdLast,
            _ => Form::Raw,
        }
    }

    /// The value of a key.
    pub fn value(self) -> Vec<u8> {
        let mut value = self.stamp.to_be_bytes().repeat(self.size as usize / 4 + 1);
        value.truncate(self.size as usize + 4);
        value
    }

    /// The document as a value, with its id in front.
    pub fn document(self, id: Option<&Id>) -> Document {
        let mut document = Document::new();
        if let Some(id) = id {
            document.insert("_id", id);
        }
        self.fill(&mut document);
        document
    }

    /// The document as it is given where it is given as bytes.
    pub fn given(self, id: Option<&Id>) -> RawDocumentBuf {
        let mut document = self.document(id.filter(|_| self.form() != Form::IdLast));
        if let (Some(id), Form::IdLast) = (id, self.form()) {
            document.insert("_id", id);
        }
        RawDocumentBuf::from_serialize(&document).expect("a document")
    }

    /// What must be read.
    pub fn stored(self, id: &Id) -> Arc<[u8]> {
        RawDocumentBuf::from_serialize(&self.document(Some(id))).expect("a document").into_bytes().into()
    }

    fn fill(self, document: &mut Document) {
        document.insert("n", self.stamp);
        if self.size > 0 {
            let pattern = format!("{:08x}", self.stamp);
            let mut text = pattern.repeat(self.size as usize / 8 + 1);
            text.truncate(self.size as usize);
            document.insert("t", text);
        }
    }
}

impl Op {
    /// Applies `change` to all bodies of documents.
    pub fn each_body(&mut self, change: &mut impl FnMut(&mut Body)) {
        let in_call = |call: &mut Call, change: &mut dyn FnMut(&mut Body)| match call {
            Call::Put(_, _, body) | Call::Insert(_, _, body) => change(body),
            Call::Replace(_, _, body) | Call::KeyPut(_, _, body) => change(body),
            _ => {}
        };
        match self {
            Op::Call(call) => in_call(call, change),
            Op::Transaction(calls, _) | Op::Busy(calls) => calls.iter_mut().for_each(|call| in_call(call, change)),
            Op::PutMany(_, documents) | Op::InsertMany { documents, .. } => {
                documents.iter_mut().for_each(|(_, body)| change(body));
            }
            _ => {}
        }
    }

    /// The parts that it has beside itself: calls, documents, ids.
    pub fn parts(&self) -> usize {
        match self {
            Op::Transaction(calls, _) | Op::Busy(calls) => calls.len(),
            Op::GetMany(_, keys) => keys.len(),
            Op::PutMany(_, documents) | Op::InsertMany { documents, .. } => documents.len(),
            _ => 0,
        }
    }

    /// The same without some of its parts.
    pub fn without(&self, gone: std::ops::Range<usize>) -> Op {
        let mut op = self.clone();
        match &mut op {
            Op::Transaction(calls, _) | Op::Busy(calls) => drop(calls.drain(gone)),
            Op::GetMany(_, keys) => drop(keys.drain(gone)),
            Op::PutMany(_, documents) | Op::InsertMany { documents, .. } => drop(documents.drain(gone)),
            _ => {}
        }
        op
    }

    /// Plainer operations that may do as well.
    pub fn plainer(&self) -> Vec<Op> {
        match self {
            Op::Transaction(calls, End::Commit) if calls.len() == 1 => vec![Op::Call(calls[0].clone())],
            Op::Transaction(_, End::Commit) => Vec::new(),
            Op::Transaction(calls, End::CommitCall) => vec![Op::Transaction(calls.clone(), End::Commit)],
            Op::Transaction(calls, End::RollBack) => vec![Op::Transaction(calls.clone(), End::Commit)],
            Op::Transaction(calls, _) => vec![Op::Transaction(calls.clone(), End::RollBack)],
            Op::PutMany(to, documents) if documents.len() == 1 => {
                vec![Op::Call(Call::Put(*to, documents[0].0, documents[0].1))]
            }
            Op::Busy(calls) if calls.is_empty() => vec![Op::Checkpoint],
            Op::Compact | Op::Reopen | Op::Background => vec![Op::Checkpoint],
            Op::Verify => vec![Op::Compare],
            Op::Die => vec![Op::Reopen],
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Int(n) => write!(f, "{n}"),
            Key::Last => f.write_str("the-last-id"),
            Key::Text(n) => write!(f, "\"s{n}\""),
            Key::Long(n) => write!(f, "\"0..0{n}\""),
            Key::Bytes(n) => write!(f, "bytes-{n}"),
        }
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{n {}, {} bytes, {:?}}}", self.stamp, self.size, self.form())
    }
}

/// `" 7"`, or nothing where the id is to be assigned.
fn key_text(key: &Option<Key>) -> String {
    key.map_or_else(|| " (assigned)".to_owned(), |key| format!(" {key}"))
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |name: &Name| if *name == WAVE + 1 { "long" } else { NAMES[usize::from(*name)] };
        match self {
            Call::Put(to, key, body) => write!(f, "put {}{} {body}", name(to), key_text(key)),
            Call::Insert(to, key, body) => write!(f, "insert {}{} {body}", name(to), key_text(key)),
            Call::Replace(to, key, body) => write!(f, "replace {} {key} {body}", name(to)),
            Call::Delete(from, key) => write!(f, "delete {} {key}", name(from)),
            Call::Get(from, key) => write!(f, "get {} {key}", name(from)),
            Call::Contains(from, key) => write!(f, "contains {} {key}", name(from)),
            Call::PutBadId(to) => write!(f, "put {} with a bad id", name(to)),
            Call::ReplaceOther(to, key) => write!(f, "replace {} {key} by another id", name(to)),
            Call::Create(of) => write!(f, "create {}", name(of)),
            Call::Rename(from, to) => write!(f, "rename {} to {}", name(from), name(to)),
            Call::Drop(of) => write!(f, "drop {}", name(of)),
            Call::KeyPut(of, spot, body) => write!(f, "put key {of} {} {body}", spot.0),
            Call::KeyDelete(of, spot) => write!(f, "delete key {of} {}", spot.0),
            Call::KeyRange(of, one, other) => write!(f, "delete keys {of} from {} to {}", one.0, other.0),
            Call::KeyClear(of) => write!(f, "clear keyspace {of}"),
            Call::KeyDrop(of) => write!(f, "drop keyspace {of}"),
            Call::KeyGet(of, spot) => write!(f, "get key {of} {}", spot.0),
            Call::KeyScan(of, spot, back, take) => {
                write!(f, "{take} keys {of} from {} on, backward {back}", spot.0)
            }
            Call::KeyEnds(of) => write!(f, "first and last of {of}"),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |calls: &[Call]| calls.iter().map(|call| format!("\n      {call}")).collect::<String>();
        let documents = |documents: &[(Option<Key>, Body)]| {
            documents.iter().map(|(key, body)| format!("\n     {} {body}", key_text(key))).collect::<String>()
        };
        match self {
            Op::Call(call) => write!(f, "{call}"),
            Op::Transaction(calls, end) => write!(f, "transaction, then {end:?}{}", list(calls)),
            Op::Busy(calls) => write!(f, "checkpoint, and inside of it{}", list(calls)),
            Op::GetMany(from, keys) => {
                write!(f, "get_many {}", NAMES[usize::from(*from)])?;
                keys.iter().try_for_each(|key| write!(f, " {key}"))
            }
            Op::PutMany(to, many) => write!(f, "put_many {}{}", NAMES[usize::from(*to)], documents(many)),
            Op::InsertMany { to, documents: many, ordered, atomic } => {
                let name = NAMES[usize::from(*to)];
                write!(f, "insert_many {name} ordered {ordered} atomic {atomic}{}", documents(many))
            }
            other => write!(f, "{other:?}"),
        }
    }
}
