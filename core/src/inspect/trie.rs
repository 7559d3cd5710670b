//! The trie of a collection.

use super::*;
use crate::engine::trees::{self, Kind, TreeEntry, CATALOG};
use crate::file::pages::BlockMemory;
use crate::file::tree;
use crate::hash::inspect::shape;
use crate::hash::{self, HashKey};
use crate::record::block;
use crate::repair::basis::PageSet;

impl File {
    pub(super) fn trie(&self, collection: &str) -> Result<TrieReport> {
        trees::check_name(collection)?;
        let meta = self.need_meta()?;
        let tree = self.tree_of(meta, collection)?;
        let root = self.tree(meta, tree)?.trie;
        let (mut damage, mut reached) = (Vec::new(), PageSet::new(self.copies.pages()));
        let mut read = |page: crate::file::page::PageNo, kind| {
            if reached.has(page.0) {
                return Err(Error::corrupt("page reached twice", page.0, 0, 1, 2));
            }
            reached.add(page.0);
            self.copies.expect(page, kind).map(|unit| unit.bytes)
        };
        let shape = shape(&mut read, &root, &mut |e| {
            if damage.len() < MOST_DAMAGE {
                damage.push(e);
            }
        });
        let mean_fill = if shape.leaf_pages == 0 { 0.0 } else { shape.entries as f64 / shape.leaf_pages as f64 };
        Ok(TrieReport {
            collection: collection.to_owned(),
            tree,
            entries: root.entries,
            counted: shape.entries,
            levels: if root.page.is_none() { 0 } else { u32::from(root.level) + 1 },
            nodes: shape.nodes,
            leaf_pages: shape.leaf_pages,
            empty_leaves: shape.empty_leaves,
            fill: shape.fill,
            mean_fill,
            depths: shape.depths,
            longest_chain: shape.longest_chain,
            overflowed: shape.overflowed,
            damage,
        })
    }

    fn tree(&self, meta: &Meta, tree: u32) -> Result<TreeEntry> {
        match tree::get(&self.copies, &meta.tree_table, tree.into())? {
            Some(bytes) => TreeEntry::decode(bytes, tree),
            None => Ok(TreeEntry::default()),
        }
    }

    /// The tree of a collection, found as the engine finds a document.
    fn tree_of(&self, meta: &Meta, collection: &str) -> Result<u32> {
        let key = trees::name_key(collection);
        let catalog = self.tree(meta, CATALOG)?.trie;
        let found = hash::lookup(&self.copies, &catalog, HashKey(meta.hash_key).hash(&key), |at| {
            let unit = self.copies.unit_copy(at.page(), 1)?;
            unit.verdict?;
            let memory = BlockMemory::of_copy(&unit.bytes, at.page());
            let record = block::read(&memory, at.slot())?;
            match record.key() == Some(&key[..]) {
                true => match trees::named_by_document(record.payload)? {
                    (Kind::Collection, tree) => Ok(Some(tree)),
                    (kind, _) => Err(trees::of_other_kind(collection, kind)),
                },
                false => Ok(None),
            }
        })?;
        found.ok_or_else(|| Error::CollectionNotFound(collection.to_owned()))
    }
}
