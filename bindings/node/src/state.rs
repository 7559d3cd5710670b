//! What one environment of JavaScript holds: the main thread has one, each worker thread its own.
//!
//! ```text
//!   State -- handles    a number each in JavaScript: database, collection, keyspace, snapshot, scan, range, transaction
//!         -- sink       word form on its way to JavaScript
//!         -- source     word form on its way from JavaScript
//!         -- threads    commits and long calls of this environment, their results in a queue
//! ```
//!
//! When the environment is torn down (a worker is terminated, the program ends) [`State::tear_down`] runs on its
//! thread: transactions are rolled back, long calls stopped, threads joined, handles dropped. After that nothing of
//! it is left, and no other thread has been harmed.

use crate::events::Queue;
use crate::read::{Sink, Stop};
use crate::shapes::Shapes;
use crate::threads::{Jobs, Writer};
use crate::write::{Source, SourceText, WriteShape};
use napi_sys as sys;
use nyro_owned::{Coll, Cursor, Database, Error, KeyRange, Keys, Result, Snapshot, Tx};
use std::cell::Cell;
use std::sync::Arc;

/// What a handle stands for.
pub enum Handle {
    /// A free place.
    Free,
    /// What belonged to a database that was closed.
    Ended,
    /// A database, and the thread that commits for it.
    Database(Database, Writer),
    /// A collection of the database with that handle.
    Collection {
        /// Its database.
        of: u32,
        /// The collection.
        coll: Coll,
        /// Its name.
        name: Arc<str>,
    },
    /// A keyspace of the database with that handle.
    Keyspace {
        /// Its database.
        of: u32,
        /// The keyspace.
        keys: Keys,
        /// Its name.
        name: Arc<str>,
    },
    /// A range of keys of the database with that handle.
    Range(u32, Box<KeyRange>),
    /// A snapshot of the database with that handle.
    Snapshot(u32, Snapshot),
    /// A scan of the database with that handle.
    Scan(u32, Box<Scan>),
    /// A transaction.
    Transaction(Tx),
}

/// A scan and the document that it could not hand over yet.
pub struct Scan {
    /// The scan.
    pub cursor: Cursor,
    /// Read, but larger than the buffer was: its bytes and its token.
    pub left: Option<(Vec<u8>, u64)>,
}

/// Memory that JavaScript writes into.
pub struct Input {
    words: *const i32,
    max_words: usize,
    floats: *const f64,
    max_floats: usize,
    /// The text in UTF-16, and as bytes as far as it is ASCII.
    units: Vec<u16>,
    ascii: Vec<u8>,
    is_ascii: bool,
    /// What came before the call that takes it: its length, and whether it is ASCII.
    sent: usize,
    sent_is_ascii: bool,
}

impl Input {
    fn new() -> Input {
        Input {
            words: std::ptr::null(),
            max_words: 0,
            floats: std::ptr::null(),
            max_floats: 0,
            units: Vec::new(),
            ascii: Vec::new(),
            is_ascii: true,
            sent: 0,
            sent_is_ascii: true,
        }
    }

    /// Reads from this buffer from now on.
    ///
    /// # Safety
    /// `memory` is aligned to 8 bytes and stays valid for `bytes` bytes until another buffer is set; JavaScript does
    /// not run while it is read.
    pub unsafe fn set_buffer(&mut self, memory: *const u8, bytes: usize) {
        let half = bytes / 16 * 8;
        (self.words, self.max_words) = (memory.cast(), half / 4);
        // SAFETY: `half` is at most `bytes`.
        (self.floats, self.max_floats) = (unsafe { memory.add(half) }.cast(), half / 8);
    }

    /// Takes in the last part of the text, which `read` appends; what was sent before stays in front of it.
    pub fn text(&mut self, read: impl FnOnce(&mut Vec<u16>) -> Result<()>) -> Result<()> {
        self.units.truncate(self.sent);
        self.ascii.truncate(self.sent);
        read(&mut self.units)?;
        let part = self.units.get(self.sent..).unwrap_or_default();
        self.is_ascii = self.sent_is_ascii && part.iter().fold(0, |all, &unit| all | unit) < 0x80;
        if self.is_ascii {
            self.ascii.extend(part.iter().map(|&unit| unit as u8));
        }
        Ok(())
    }

    /// A part of the text that comes before the call. A very long string costs more than its parts.
    pub fn send(&mut self, read: impl FnOnce(&mut Vec<u16>) -> Result<()>) -> Result<()> {
        self.text(read)?;
        (self.sent, self.sent_is_ascii) = (self.units.len(), self.is_ascii);
        Ok(())
    }

    /// Forgets what was sent, but for so many units.
    pub fn cut(&mut self, units: usize) {
        self.sent = self.sent.min(units);
        self.sent_is_ascii = self.sent_is_ascii || self.sent == 0;
    }

    /// What JavaScript wrote.
    pub fn source<'a>(&'a self, shapes: &'a [WriteShape], words: usize, floats: usize) -> Result<Source<'a>> {
        if words > self.max_words || floats > self.max_floats || self.words.is_null() {
            return Err(Error::Internal("more words than the buffer holds".to_owned()));
        }
        // SAFETY: inside the buffer, which is valid and not written to while this is borrowed (`set_buffer`). Any
        // bits are an integer and a float.
        let (words, floats) =
            unsafe { (std::slice::from_raw_parts(self.words, words), std::slice::from_raw_parts(self.floats, floats)) };
        let text = if self.is_ascii { SourceText::Ascii(&self.ascii) } else { SourceText::Wide(&self.units) };
        Ok(Source { words, floats, text, shapes, w: 0, f: 0, t: 0 })
    }
}

/// Memory that raw documents, keys and values are copied into.
pub struct Slab {
    /// Its start.
    pub memory: *mut u8,
    /// Its length.
    pub bytes: usize,
}

/// The state of an environment.
pub struct State {
    /// To JavaScript.
    pub sink: Sink,
    /// Shapes of what is read.
    pub shapes: Shapes,
    /// From JavaScript.
    pub input: Input,
    /// Shapes of what is written.
    pub write_shapes: Vec<WriteShape>,
    /// Raw documents, keys and values.
    pub slab: Slab,
    /// The key of a call, the ends of a batch: memory that is used again.
    pub key: Vec<u8>,
    pub ends: Vec<usize>,
    /// Values that wait for a slab that is large enough.
    pub gathered: Vec<u8>,
    /// References to the three buffers.
    pub buffers: [sys::napi_ref; 3],
    /// The error of the last call that failed.
    pub error: Option<Error>,
    /// Results that wait for JavaScript.
    pub queue: Arc<Queue>,
    /// Long calls.
    pub jobs: Jobs,
    /// The result of the last write, as MessagePack.
    pub result: Vec<u8>,
    /// What the numbers stand for.
    pub handles: Vec<Handle>,
    free: Vec<u32>,
}

impl State {
    /// An empty state whose threads report to `queue`.
    pub fn new(queue: Arc<Queue>) -> State {
        State {
            sink: Sink::new(),
            shapes: Shapes::new(),
            input: Input::new(),
            write_shapes: Vec::new(),
            slab: Slab { memory: std::ptr::null_mut(), bytes: 0 },
            key: Vec::new(),
            ends: Vec::new(),
            gathered: Vec::new(),
            buffers: [std::ptr::null_mut(); 3],
            error: None,
            result: Vec::new(),
            jobs: Jobs::new(queue.clone()),
            queue,
            handles: vec![Handle::Free],
            free: Vec::new(),
        }
    }

    /// Keeps something under a new number, which is never 0.
    pub fn keep(&mut self, handle: Handle) -> u32 {
        match self.free.pop() {
            Some(at) => {
                self.handles[at as usize] = handle;
                at
            }
            None => {
                self.handles.push(handle);
                self.handles.len() as u32 - 1
            }
        }
    }

    /// Takes what has this number out of its place. JavaScript forgets the number first.
    pub fn take(&mut self, at: u32) -> Handle {
        match self.handles.get_mut(at as usize) {
            None | Some(Handle::Free) => Handle::Free,
            Some(place) => {
                self.free.push(at);
                std::mem::replace(place, Handle::Free)
            }
        }
    }

    /// Ends the snapshots, scans, ranges and transactions of a database: their places stay, so that their numbers mean
    /// nothing else, until JavaScript gives the numbers back.
    pub fn end_children(&mut self, database: u32) {
        for place in &mut self.handles {
            match place {
                Handle::Snapshot(of, _) | Handle::Scan(of, _) | Handle::Range(of, _) if *of == database => {
                    *place = Handle::Ended;
                }
                Handle::Collection { of, coll: Coll::Frozen(_), .. } if *of == database => *place = Handle::Ended,
                Handle::Keyspace { of, keys: Keys::Frozen(_), .. } if *of == database => *place = Handle::Ended,
                _ => {}
            }
        }
    }

    /// The database of this number.
    pub fn database(&self, at: u32) -> Result<&Database> {
        match self.handles.get(at as usize) {
            Some(Handle::Database(db, _)) => Ok(db),
            _ => Err(Error::Closed),
        }
    }

    /// The database of this number and its writer.
    pub fn writer(&mut self, at: u32) -> Result<(&Database, &mut Writer)> {
        match self.handles.get_mut(at as usize) {
            Some(Handle::Database(db, writer)) => Ok((db, writer)),
            _ => Err(Error::Closed),
        }
    }

    /// The collection of this number.
    #[inline]
    pub fn collection(&self, at: u32) -> Result<(&Coll, &Arc<str>)> {
        match self.handles.get(at as usize) {
            Some(Handle::Collection { coll, name, .. }) => Ok((coll, name)),
            _ => Err(Error::Closed),
        }
    }

    /// The keyspace of this number.
    pub fn keyspace(&self, at: u32) -> Result<(&Keys, &Arc<str>)> {
        match self.handles.get(at as usize) {
            Some(Handle::Keyspace { keys, name, .. }) => Ok((keys, name)),
            _ => Err(Error::Closed),
        }
    }

    /// The snapshot of this number.
    pub fn snapshot(&self, at: u32) -> Result<(u32, &Snapshot)> {
        match self.handles.get(at as usize) {
            Some(Handle::Snapshot(of, snapshot)) => Ok((*of, snapshot)),
            _ => Err(Error::Closed),
        }
    }

    /// The transaction of this number.
    pub fn transaction(&self, at: u32) -> Result<Tx> {
        match self.handles.get(at as usize) {
            Some(Handle::Transaction(tx)) => Ok(*tx),
            _ => Err(Error::Closed),
        }
    }

    /// The database that a collection belongs to.
    pub fn database_of(&self, collection: u32) -> Result<u32> {
        match self.handles.get(collection as usize) {
            Some(Handle::Collection { of, .. }) => Ok(*of),
            _ => Err(Error::Closed),
        }
    }

    /// A scan, and what its documents are written with.
    pub fn scan(&mut self, at: u32) -> Result<(&mut Scan, &mut Sink, &mut Shapes)> {
        match self.handles.get_mut(at as usize) {
            Some(Handle::Scan(_, scan)) => Ok((scan, &mut self.sink, &mut self.shapes)),
            _ => Err(Error::Closed),
        }
    }

    /// The end of the environment, on its thread. Nothing runs for it afterwards.
    pub fn tear_down(&mut self) {
        // First what others wait for: the writer's turn.
        for handle in &self.handles {
            if let Handle::Transaction(tx) = handle {
                // Nobody is there to be told.
                let _ = tx.rollback();
                ended();
            }
        }
        self.jobs.stop();
        for handle in &mut self.handles {
            if let Handle::Database(_, writer) = handle {
                writer.stop();
            }
        }
        // Children first: a file that nobody reads any more can be closed whole.
        for handle in self.handles.iter_mut().rev() {
            *handle = Handle::Free;
        }
    }
}

thread_local! {
    /// Transactions of this thread, of all states that it has.
    static WRITING: Cell<usize> = const { Cell::new(0) };
}

/// A transaction was begun.
pub fn begun() {
    WRITING.set(WRITING.get() + 1);
}

/// One has ended.
pub fn ended() {
    WRITING.set(WRITING.get().saturating_sub(1));
}

/// Whether there is one.
pub fn is_writing() -> bool {
    WRITING.get() > 0
}

/// Turns a refusal of the sink into an answer.
pub fn refused(stop: Stop) -> Result<crate::js::Answer> {
    match stop {
        Stop::Room(bytes) => Ok(crate::js::Answer::Room(bytes)),
        Stop::Malformed(offset) => Err(Error::MalformedDocument { offset, reason: "not a stored document" }),
    }
}
