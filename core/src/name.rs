//! A name as the handles of collections and keyspaces hold it, with the tree that it meant last.

use crate::engine::state::{self, State};
use crate::engine::transaction::Transaction;
use crate::engine::trees::{self, Kind};
use crate::engine::Engine;
use crate::error::Result;
use crate::hash::KeyHash;
use crate::sync::{AtomicU64, Ordering};
use std::sync::Arc;

/// See the module's text. Clones share what they remember.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    text: Arc<str>,
    kind: Kind,
    /// The tree that the name meant, with the version of the catalog: `version << 32 | tree`.
    resolved: Arc<AtomicU64>,
}

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl Name {
    /// The name of something of this kind.
    pub fn new(text: &str, kind: Kind) -> Name {
        Name { text: text.into(), kind, resolved: Arc::default() }
    }

    /// The tree that it means in a state, as of a commit.
    pub fn tree(&self, engine: &Engine, state: &State, commit: u64) -> Result<Option<u32>> {
        // Loaded after the pin: if a change of the catalog is visible at `commit`, so is its version.
        let version = engine.catalog_version.load(Ordering::Acquire);
        let changed = engine.catalog_commit.load(Ordering::Acquire);
        let resolved = self.resolved.load(Ordering::Relaxed);
        if resolved >> 32 == version & 0xffff_ffff && changed <= commit {
            return Ok(Some(resolved as u32));
        }
        let tree = resolve(engine, state, commit, (&self.text, self.kind))?;
        if let (Some(tree), true) = (tree, changed <= commit) {
            self.resolved.store(version << 32 | u64::from(tree), Ordering::Relaxed);
        }
        Ok(tree)
    }

    /// The tree that it means in a transaction; made, if there is none.
    pub fn tree_for_writing(&self, tx: &mut Transaction<'_>) -> Result<u32> {
        let resolved = self.resolved.load(Ordering::Relaxed);
        if let Some(tree) = tx.resolve_cached(resolved >> 32, resolved as u32) {
            return Ok(tree);
        }
        let tree = match self.kind {
            Kind::Collection => tx.resolve_or_create(&self.text)?,
            Kind::Keyspace => tx.resolve_or_create_keyspace(&self.text)?,
        };
        if let Some(version) = tx.catalog_version() {
            self.resolved.store(version << 32 | u64::from(tree), Ordering::Relaxed);
        }
        Ok(tree)
    }
}

/// The tree that a name means in a state, as of a commit.
pub(crate) fn resolve(
    engine: &Engine,
    state: &State,
    commit: u64,
    (name, kind): (&str, trees::Kind),
) -> Result<Option<u32>> {
    trees::check_name(name)?;
    let key = trees::name_key(name);
    let hash: KeyHash = state::hash_of(&state.meta, &key);
    let found = state.get(&engine.pages, commit, trees::CATALOG, &key, hash)?;
    let named = found.map(|found| trees::named_by_document(state::document(&engine.pages, &found)?)).transpose()?;
    match named {
        Some((found, _)) if found != kind => Err(trees::of_other_kind(name, found)),
        named => Ok(named.map(|(_, tree)| tree)),
    }
}
