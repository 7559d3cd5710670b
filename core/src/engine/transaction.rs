//! Write transactions: private changes, then one commit.
//!
//! ```text
//!   read      own changes first (`engine::changes`), then the tip
//!   commit    place -> log -> apply -> publish             (see `engine::writer`)
//!   drop      nothing happened
//! ```
//!
//! A transaction holds the writer lock from its first call to its end, so what it reads is the newest
//! state, published or not; no result of it is delivered before that state is durable (Invariant 10).

use super::changes::{Change, Changes, NewChange};
use super::frame::KeyOp;
use super::key_cursor::KeyCursor;
use super::keys::{Keys, Own};
use super::state::{self, Tip};
use super::timing::Changed;
use super::trees::{self, Kind, CATALOG};
use super::writer::{Context, Op, Writer};
use super::writer_lock::WriterGuard;
use super::{pace, Committed, Durability, Engine};
use crate::error::{Error, Result};
use crate::file::page::PageNo;
use crate::hash::KeyHash;
use crate::plant::{planted, Bug};
use crate::record::key;
use crate::sorted::memtable::{Near, WARM};
use crate::sorted::MAX_KEY_BYTES;
use crate::sync::Ordering;
use std::cell::RefCell;

/// So many changes before one is applied, the memory that it touches is asked for.
const AHEAD: usize = 12;
/// Addresses kept for the next transaction.
const KEPT_ADDRESSES: usize = 1 << 16;

crate::sync::task_local! {
    /// Engines that this thread is writing to, so that a nested transaction is an error and no deadlock.
    static WRITING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// See the module's text.
pub struct Transaction<'e> {
    engine: &'e Engine,
    writer: WriterGuard<'e, Writer>,
    changes: Changes,
    keys: Keys,
    first_ordinal: u64,
    dropped: Vec<u32>,
    next_tree: u32,
    /// How often the catalog was changed.
    catalog_changes: u32,
    _held: Held,
}

/// Remembers that this thread is writing to the engine.
struct Held(usize);

impl Held {
    fn new(engine: &Engine) -> Result<Held> {
        let id = std::ptr::from_ref(engine).addr();
        let noted = WRITING.try_with(|writing| {
            let mut writing = writing.borrow_mut();
            if writing.contains(&id) {
                return Err(Error::NestedTransaction);
            }
            writing.push(id);
            Ok(Held(id))
        });
        // While the thread ends the list may be gone; a transaction in another one is then `WriterTimeout`.
        noted.unwrap_or_else(|_| Ok(Held(id)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = WRITING.try_with(|writing| writing.borrow_mut().retain(|id| *id != self.0));
    }
}

impl Engine {
    /// Begins a write transaction: waits for the writer's turn, at most the configured time.
    pub fn begin(&self) -> Result<Transaction<'_>> {
        self.check_open()?;
        self.check_writable()?;
        let held = Held::new(self)?;
        self.admit()?;
        let mut writer = self.writer.lock(self.config.writer_timeout)?;
        self.check_open()?;
        if let Some(waited) = writer.waited() {
            self.meter.writer_wait.record(waited);
        }
        let (next_tree, first_ordinal) = (writer.next_tree, writer.next_ordinal);
        let mut changes = std::mem::take(&mut writer.scratch.changes);
        let keys = std::mem::take(&mut writer.scratch.keys);
        changes.begin(first_ordinal);
        Ok(Transaction {
            engine: self,
            writer,
            changes,
            keys,
            first_ordinal,
            dropped: Vec::new(),
            next_tree,
            catalog_changes: 0,
            _held: held,
        })
    }

    /// An error inside a transaction of this thread: what needs the writer's turn would wait for itself.
    pub fn check_not_writing(&self) -> Result<()> {
        Held::new(self).map(drop)
    }

    fn context(&self) -> Context<'_> {
        Context { pages: &self.pages, space: &self.space, pool: &self.pool, max_order: self.max_order() }
    }

    /// Largest order of block: a block lies inside one region.
    pub(crate) fn max_order(&self) -> u8 {
        (self.config.region_pages.ilog2() as u8).min(crate::file::pages::MAX_ORDER)
    }

    /// For recovery: replays a frame into the writer.
    pub(crate) fn replay_frame(&self, writer: &mut Writer, commit: u64, payload: &[u8]) -> Result<()> {
        let _hold = self.pages.hold();
        writer.replay(self.context(), commit, payload)?;
        writer.names.clear();
        Ok(())
    }
}

impl<'e> Transaction<'e> {
    /// What `resolve` gave, from a cache outside: the tree, if the catalog is still of this version.
    pub fn resolve_cached(&self, version: u64, tree: u32) -> Option<u32> {
        // The catalog changes only under the writer lock, which this transaction holds.
        let current = self.engine.catalog_version.load(Ordering::Acquire);
        (self.catalog_changes == 0 && current & 0xffff_ffff == version).then_some(tree)
    }

    /// The version of the catalog, if this transaction has not changed it.
    pub fn catalog_version(&self) -> Option<u64> {
        (self.catalog_changes == 0).then(|| self.engine.catalog_version.load(Ordering::Acquire))
    }

    /// How often this transaction has changed the catalog: as long as that is the same, a name means the same.
    pub fn catalog_changes(&self) -> u32 {
        self.catalog_changes
    }

    /// How long its beginning waited for other writers; `None` if there were none.
    pub fn waited(&self) -> Option<std::time::Duration> {
        self.writer.waited()
    }

    // ---- names ---------------------------------------------------------------------------------

    /// What a name means, if anything.
    fn look_up(&mut self, name: &str) -> Result<Option<(Kind, u32)>> {
        self.engine.check_fork()?;
        if self.catalog_changes == 0 {
            if let Some(named) = self.writer.names.get(name) {
                return Ok(Some(*named));
            }
        }
        trees::check_name(name)?;
        let found = self.get(CATALOG, &trees::name_key(name))?;
        let named = found.map(|doc| trees::named_by_document(&doc)).transpose()?;
        // Names that mean nothing are not kept: there is no end to them.
        if let (Some(named), 0) = (named, self.catalog_changes) {
            self.writer.names.insert(name.to_owned(), named);
        }
        Ok(named)
    }

    fn resolve_as(&mut self, name: &str, kind: Kind) -> Result<Option<u32>> {
        match self.look_up(name)? {
            Some((found, _)) if found != kind => Err(trees::of_other_kind(name, found)),
            found => Ok(found.map(|(_, tree)| tree)),
        }
    }

    /// The tree of a collection, if there is one.
    pub fn resolve(&mut self, name: &str) -> Result<Option<u32>> {
        self.resolve_as(name, Kind::Collection)
    }

    /// The tree of a keyspace, if there is one.
    pub fn resolve_keyspace(&mut self, name: &str) -> Result<Option<u32>> {
        self.resolve_as(name, Kind::Keyspace)
    }

    /// The tree of a collection, which is made if there is none.
    pub fn resolve_or_create(&mut self, name: &str) -> Result<u32> {
        match self.resolve(name)? {
            Some(tree) => Ok(tree),
            None => self.create(name, Kind::Collection),
        }
    }

    /// The tree of a keyspace, which is made if there is none.
    pub fn resolve_or_create_keyspace(&mut self, name: &str) -> Result<u32> {
        match self.resolve_keyspace(name)? {
            Some(tree) => Ok(tree),
            None => self.create(name, Kind::Keyspace),
        }
    }

    /// Makes a collection or a keyspace. Requires: there is none of that name.
    pub fn create(&mut self, name: &str, kind: Kind) -> Result<u32> {
        trees::check_name(name)?;
        let tree = self.next_tree;
        let next = tree.checked_add(1).filter(|next| *next < u32::MAX);
        self.next_tree = next.ok_or_else(|| Error::Internal("tree numbers are used up".into()))?;
        let key = trees::name_key(name);
        let document = trees::catalog_document(&key, kind, tree);
        self.put(CATALOG, &document, None)?;
        self.catalog_changes += 1;
        Ok(tree)
    }

    /// Gives a collection or a keyspace another name.
    pub fn rename(&mut self, from: &str, to: &str, kind: Kind) -> Result<()> {
        trees::check_name(to)?;
        let tree = self.resolve_as(from, kind)?.ok_or_else(|| Error::CollectionNotFound(from.to_owned()))?;
        if self.look_up(to)?.is_some() {
            return Err(Error::CollectionExists(to.to_owned()));
        }
        self.catalog_changes += 1;
        self.delete(CATALOG, &trees::name_key(from))?;
        self.put(CATALOG, &trees::catalog_document(&trees::name_key(to), kind, tree), None)
    }

    /// Drops a collection with all its documents, or a keyspace with all its keys; false if there is none.
    pub fn drop_named(&mut self, name: &str, kind: Kind) -> Result<bool> {
        let Some(tree) = self.resolve_as(name, kind)? else { return Ok(false) };
        self.catalog_changes += 1;
        self.delete(CATALOG, &trees::name_key(name))?;
        self.changes.forget_tree(tree);
        self.keys.forget_tree(tree);
        self.dropped.push(tree);
        Ok(true)
    }

    /// Drops a keyspace and makes an empty one of its name; false if there is none.
    pub fn clear_keyspace(&mut self, name: &str) -> Result<bool> {
        let gone = self.drop_named(name, Kind::Keyspace)?;
        if gone {
            self.create(name, Kind::Keyspace)?;
        }
        Ok(gone)
    }

    // ---- keys of keyspaces ---------------------------------------------------------------------

    /// Puts or deletes keys. Errors: `TransactionTooLarge`; `KeyTooLarge`, for what replay would not take.
    pub fn change_keys(&mut self, tree: u32, op: KeyOp<'_>) -> Result<()> {
        self.engine.check_fork()?;
        let longest = match op {
            KeyOp::DeleteRange(start, Some(end)) => start.len().max(end.len()),
            op => op.key().len(),
        };
        if longest > MAX_KEY_BYTES {
            return Err(Error::KeyTooLarge { bytes: longest as u64, limit: MAX_KEY_BYTES as u64 });
        }
        let size = (self.changes.bytes() + self.keys.bytes() + Keys::bytes_of(op)) as u64;
        let limit = self.engine.config.max_transaction_bytes;
        if size > limit {
            return Err(Error::TransactionTooLarge { bytes: size, limit });
        }
        self.keys.push(tree, op);
        Ok(())
    }

    /// The value of a key as this transaction sees it, given to `read`.
    pub fn value<R>(&self, tree: u32, key: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.engine.check_fork()?;
        match self.keys.tree(tree).map_or(Own::Nothing, |keys| keys.get(key)) {
            Own::Point(value) => return Ok(value.map(read)),
            Own::Deleted { .. } => return Ok(None),
            Own::Nothing => {}
        }
        let pages = &self.engine.pages;
        let _hold = pages.hold();
        Ok(self.writer.state.value(pages, u64::MAX, tree, key)?.map(read))
    }

    /// The next key of a keyspace as this transaction sees it, and its value, from a cursor.
    pub fn next_key(&self, cursor: &mut KeyCursor) -> Result<bool> {
        self.engine.check_fork()?;
        let pages = &self.engine.pages;
        let _hold = pages.hold();
        let view = self.writer.state.view(pages, u64::MAX)?;
        let stepped = cursor.step(&view, self.keys.tree(cursor.tree()))?;
        self.engine.note_detours(cursor.take_detours())?;
        Ok(stepped)
    }

    // ---- documents -----------------------------------------------------------------------------

    fn own_change(&self, tree: u32, key: &[u8], hash: KeyHash) -> Option<&Change> {
        self.changes.find(tree, key, hash).and_then(|own| self.changes.get(own))
    }

    /// The document as this transaction sees it, copied.
    pub fn get(&self, tree: u32, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.engine.check_fork()?;
        let _hold = self.engine.pages.hold();
        let hash = state::hash_of(&self.writer.state.meta, key);
        if let Some(own) = self.own_change(tree, key, hash) {
            return Ok(own.put.then(|| self.changes.bytes_of(own).to_vec()));
        }
        let pages = &self.engine.pages;
        let tip = self.writer.state.tip(pages, tree, key, hash)?;
        let Some(address) = tip.live() else { return Ok(None) };
        let found = state::read(pages, address)?;
        Ok(Some(state::document(pages, &found)?.to_vec()))
    }

    /// True when the id has a document as this transaction sees it.
    pub fn contains(&self, tree: u32, key: &[u8]) -> Result<bool> {
        self.engine.check_fork()?;
        let _hold = self.engine.pages.hold();
        let hash = state::hash_of(&self.writer.state.meta, key);
        Ok(match self.own_change(tree, key, hash) {
            Some(own) => own.put,
            None => self.writer.state.tip(&self.engine.pages, tree, key, hash)?.live().is_some(),
        })
    }

    /// Inserts or replaces; `document` is in stored form. `hash` as for [`Transaction::insert`].
    pub fn put(&mut self, tree: u32, document: &[u8], hash: Option<KeyHash>) -> Result<()> {
        self.change(tree, document, hash, true, |_| Ok(true)).map(|_| ())
    }

    /// Inserts; false, and nothing changed, if the id is taken. `hash` is what [`Transaction::prefetch`] gave
    /// for its key, if it was asked.
    pub fn insert(&mut self, tree: u32, document: &[u8], hash: Option<KeyHash>) -> Result<bool> {
        self.change(tree, document, hash, true, |exists| Ok(!exists))
    }

    /// Replaces; false, and nothing changed, if there is no such document. `hash` as for [`Transaction::insert`].
    pub fn replace(&mut self, tree: u32, document: &[u8], hash: Option<KeyHash>) -> Result<bool> {
        self.change(tree, document, hash, true, Ok)
    }

    /// Deletes by key; false if there is no such document.
    pub fn delete(&mut self, tree: u32, key: &[u8]) -> Result<bool> {
        self.change(tree, key, None, false, Ok)
    }

    /// Makes a change if `wanted` says so, given whether the id has a document now.
    fn change(
        &mut self,
        tree: u32,
        bytes: &[u8],
        hash: Option<KeyHash>,
        put: bool,
        wanted: impl FnOnce(bool) -> Result<bool>,
    ) -> Result<bool> {
        self.engine.check_fork()?;
        let _hold = self.engine.pages.hold();
        let key = if put { key::key_of(bytes) } else { Some(bytes) };
        let key = key.ok_or_else(|| Error::Internal("a document that is not in stored form".into()))?;
        let hash = hash.unwrap_or_else(|| self.prefetch(tree, key));
        let own = self.changes.find(tree, key, hash);
        let (tip, exists) = match own.and_then(|own| self.changes.get(own)) {
            Some(own) => (own.tip, own.put),
            None => {
                let tip = self.writer.state.tip(&self.engine.pages, tree, key, hash)?;
                let exists = match planted(Bug::PublishedTip) {
                    true => {
                        let at = self.engine.published.commit();
                        self.writer.state.document(&self.engine.pages, at, tree, key)?.is_some()
                    }
                    false => tip.live().is_some(),
                };
                (tip, exists)
            }
        };
        if !wanted(exists)? {
            return Ok(false);
        }
        let size = (self.changes.bytes() + self.keys.bytes() + bytes.len()) as u64;
        if size > self.engine.config.max_transaction_bytes {
            let limit = self.engine.config.max_transaction_bytes;
            return Err(Error::TransactionTooLarge { bytes: size, limit });
        }
        let id = if put { trees::positive_id(key) } else { 0 };
        self.changes.push(NewChange { tree, hash, tip, bytes, put, id }, own);
        Ok(true)
    }

    /// Asks for the memory that a change of this id will touch, all of it at once; gives the hash.
    pub fn prefetch(&self, tree: u32, key: &[u8]) -> KeyHash {
        let _hold = self.engine.pages.hold();
        let state = &self.writer.state;
        let hash = state::hash_of(&state.meta, key);
        state.prefetch_tip(&self.engine.pages, tree, hash);
        hash
    }

    /// Asks for what a change of an existing document touches beyond that, a while after [`Transaction::prefetch`].
    pub fn prefetch_record(&self, tree: u32, hash: KeyHash) {
        let _hold = self.engine.pages.hold();
        self.writer.state.prefetch_record(&self.engine.pages, tree, hash);
    }

    /// The next integer id of a collection: above any it has ever held, this transaction's included.
    pub fn next_id(&mut self, tree: u32, name: &str) -> Result<u64> {
        let _hold = self.engine.pages.hold();
        let committed = self.writer.tree(&self.engine.pages, tree)?.counts.max_id;
        let own = self.changes.largest_id(tree);
        committed.max(own).checked_add(1).ok_or_else(|| Error::IdsExhausted(name.to_owned()))
    }

    // ---- the end -------------------------------------------------------------------------------

    /// Commits: place, log, apply (Invariant 13). The result is what to wait for before telling anyone.
    pub fn commit(mut self) -> Result<Committed> {
        let engine = self.engine;
        engine.check_fork()?;
        debug_assert_eq!(self.first_ordinal, self.writer.next_ordinal, "the writer's turn is this transaction's");
        self.changes.settle(self.first_ordinal);
        if self.changes.is_empty() && self.dropped.is_empty() && self.keys.is_empty() {
            return Ok(self.nothing());
        }
        engine.check_latch()?;
        let (bytes, ranges) = (self.keys.bytes(), self.keys.has_ranges());
        if !self.keys.is_empty() && !self.writer.state.sorted.active.has_room(bytes, ranges) {
            return Err(Error::MemtableFull);
        }
        engine.begin_log(&mut self.writer)?;
        let hold = engine.pages.hold();
        let commit = self.writer.tip + 1;
        let mut addresses = std::mem::take(&mut self.writer.scratch.addresses);
        addresses.clear();
        let context = engine.context();
        for change in self.changes.iter() {
            addresses.push(match change.put {
                true => Some(self.writer.place(context, change.tree, self.changes.bytes_of(change))?),
                false => {
                    self.writer.tree(&engine.pages, change.tree)?;
                    None
                }
            });
        }
        let values = if self.keys.is_empty() { Vec::new() } else { self.place_values(context)? };
        let lsn = match &self.writer.log {
            Some(log) => {
                let frame = self.changes.frame(&self.dropped);
                if !self.keys.is_empty() {
                    self.keys.write(frame);
                }
                log.append(commit, frame)?.0
            }
            None => self.writer.tip_lsn,
        };
        let changed = self.apply(commit, &addresses);
        if !self.keys.is_empty() {
            self.apply_keys(context, values, commit);
        }
        if addresses.capacity() <= KEPT_ADDRESSES {
            self.writer.scratch.addresses = addresses;
        }
        let writer = &mut *self.writer;
        (writer.tip, writer.tip_lsn) = (commit, lsn);
        engine.tip_lsn.store(lsn, Ordering::Relaxed);
        let entries = u64::from(writer.state.active.len()) * pace::ENTRY_BYTES;
        let memory = writer.heap.bytes + entries + writer.state.sorted.active.bytes();
        engine.active_bytes.store(memory, Ordering::Relaxed);
        engine.count_commit(changed);
        // Invariant 14: under `Sync` the sync publishes.
        let waits = engine.config.durability == Durability::Sync && !planted(Bug::ToldBeforeDurable);
        if waits && engine.config.durable() {
            engine.published.set_applied(commit);
        } else {
            engine.published.publish_commit(commit);
        }
        drop((self, hold));
        engine.after_commit();
        Ok(Committed { commit, lsn })
    }

    /// The extents of the large values of keyspaces.
    #[inline(never)]
    fn place_values(&mut self, context: Context<'_>) -> Result<Vec<PageNo>> {
        let mut values = Vec::new();
        for (tree, op) in self.keys.iter() {
            values.extend(self.writer.place_value(context, tree, op)?);
        }
        Ok(values)
    }

    #[inline(never)]
    fn apply_keys(&mut self, context: Context<'_>, values: Vec<PageNo>, commit: u64) {
        let mut values = values.into_iter();
        let (mut ops, mut ahead) = (self.keys.iter().peekable(), self.keys.iter().peekable());
        while let Some(&(tree, _)) = ops.peek() {
            let mut keys = [&[][..]; WARM];
            let mut count = 0;
            while let Some((_, op)) = ahead.next_if(|(other, _)| count < WARM && *other == tree) {
                keys[count] = op.key();
                count += 1;
            }
            let near = match count {
                0 | 1 => [Near::NOWHERE; WARM],
                _ => self.writer.state.sorted.active.warm(tree, &keys[..count]),
            };
            for ((tree, op), near) in ops.by_ref().take(count).zip(near) {
                self.writer.apply_key(context, tree, op, &mut values, commit, near);
            }
        }
    }

    /// Gives up the changes. What was read may not be durable yet: wait for the result before telling.
    pub fn roll_back(self) -> Committed {
        self.engine.counters.rollbacks.fetch_add(1, Ordering::Relaxed);
        self.nothing()
    }

    fn nothing(self) -> Committed {
        Committed { commit: self.writer.tip, lsn: self.writer.tip_lsn }
    }

    fn apply(&mut self, commit: u64, addresses: &[Option<crate::file::page::Address>]) -> Changed {
        let pages = &self.engine.pages;
        let mut changed = Changed::default();
        for (at, (change, address)) in self.changes.iter().zip(addresses).enumerate() {
            if let Some(next) = self.changes.get(at + AHEAD) {
                let active = &self.writer.state.active;
                active.prefetch_to_insert(next.tree, next.hash.0);
                if let Tip::Base(address) = next.tip {
                    active.prefetch_mark(address);
                }
            }
            if change.tree != CATALOG {
                match (change.put, change.tip.live()) {
                    (true, None) => changed.inserts += 1,
                    (true, Some(_)) => changed.replaces += 1,
                    (false, _) => changed.deletes += 1,
                }
            }
            let document = change.put.then(|| self.changes.bytes_of(change));
            let op = Op { tree: change.tree, hash: change.hash, tip: change.tip, document, id: change.id };
            self.writer.apply(pages, &op, *address, commit);
        }
        self.writer.note_counts(commit);
        for &tree in &self.dropped {
            self.writer.drop_tree(tree);
        }
        self.writer.next_tree = self.next_tree;
        if self.catalog_changes > 0 {
            self.writer.names.clear();
            self.engine.catalog_commit.store(commit, Ordering::Release);
            self.engine.catalog_version.fetch_add(1, Ordering::AcqRel);
        }
        changed
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        self.changes.shrink();
        self.writer.scratch.changes = std::mem::take(&mut self.changes);
        self.keys.clear();
        self.writer.scratch.keys = std::mem::take(&mut self.keys);
    }
}
