//! One page.

use super::*;
use crate::document::Id;
use crate::engine::trees::TreeEntry;
use crate::file::copies::shape;
use crate::file::meta::META_PAGES;
use crate::file::page::{get_u64, PageKind, PageNo, UnitHeader};
use crate::file::pages::{BlockMemory, MAX_LEAF_ORDER, MAX_ORDER};
use crate::file::space::survey;
use crate::file::space::CHUNK_PAGES;
use crate::file::tree::salvage::{contents, NodeContents};
use crate::file::tree::{self, TreeRoot};
use crate::hash::inspect::{leaf_view, node_view};
use crate::record::block;
use crate::record::directory::Entry;
use crate::record::key::key_of;
use crate::sorted::cell::Cell;
use crate::sorted::merge::TREE_BYTES;

impl File {
    pub(super) fn page(&self, number: u64) -> Result<PageReport> {
        if number >= self.pages {
            let pages = self.pages;
            return Err(Error::InvalidArgument(format!("page {number}: the file has pages 0 to {}", pages.max(1) - 1)));
        }
        let mut report = PageReport {
            page: number,
            offset: number * PAGE_BYTES as u64,
            file_pages: self.pages,
            page_use: self.use_of(number),
            inside: None,
            unit: None,
            checksum: Checksum::Unknown,
            contents: Contents::Unreadable,
            damage: None,
        };
        let mut bytes = vec![0; PAGE_BYTES];
        if let Err(e) = self.file.read_at(&mut bytes, report.offset) {
            report.damage = Some(Error::io("reading the page", e));
            return Ok(report);
        }
        if number < META_PAGES {
            self.meta_page(&bytes, &mut report);
            return Ok(report);
        }
        let mut first = PageNo(number);
        if !self.is_good(first) {
            if let Some(unit) = self.unit_around(number) {
                report.inside = Some(unit.0);
                first = unit;
            }
        }
        if report.inside.is_none() && bytes.iter().all(|byte| *byte == 0) {
            report.contents = Contents::Zeros;
            return Ok(report);
        }
        if let Err(e) = self.unit(first, &mut report) {
            report.damage = Some(e);
        }
        Ok(report)
    }

    /// What the bitmap says of a page.
    fn use_of(&self, number: u64) -> PageUse {
        let Some(meta) = &self.meta else { return PageUse::Unknown };
        if number >= meta.file_pages {
            return PageUse::Free;
        }
        let mut found = PageUse::Free;
        let chunk = number / CHUNK_PAGES;
        let mut read = |page, kind| self.copies.expect(page, kind).map(|unit| unit.bytes);
        let done = survey::survey(&mut read, meta.space, meta.region_pages, meta.file_pages, &mut |met| {
            match met {
                survey::Met::Damage { chunk: first, chunks, .. } => {
                    if first <= chunk && chunk - first < chunks {
                        found = PageUse::Unknown;
                    }
                }
                survey::Met::Chunk(view) if view.index == chunk => {
                    let bit = number % CHUNK_PAGES;
                    if view.used[(bit / 64) as usize] >> (bit % 64) & 1 == 1 {
                        found = PageUse::Used;
                    }
                }
                survey::Met::Chunk(_) => {}
            }
            Ok(())
        });
        done.map_or(PageUse::Unknown, |()| found)
    }

    fn is_good(&self, page: PageNo) -> bool {
        self.copies.seed().is_some() && self.copies.unit_copy(page, 1).is_ok_and(|unit| unit.verdict.is_ok())
    }

    /// The first page of the block, leaf of a run, or extent that the page lies in, if its checksum is right.
    fn unit_around(&self, number: u64) -> Option<PageNo> {
        for order in 1..=MAX_ORDER {
            let first = PageNo(number & !((1 << order) - 1));
            let Ok(unit) = self.copies.unit_copy(first, 1 << order) else { continue };
            let is_block = unit.header.kind == PageKind::Block && number - first.0 < 1 << unit.header.order;
            if first.0 != number && is_block && unit.verdict.is_ok() && self.copies.seed().is_some() {
                return Some(first);
            }
        }
        // Extents and leaves of runs lie inside one chunk of the bitmap.
        let start = (number - number % CHUNK_PAGES).max(META_PAGES);
        let mut stride = vec![0; basis::STRIDE_PAGES * PAGE_BYTES];
        let mut end = number;
        while end > start {
            let from = end.saturating_sub(basis::STRIDE_PAGES as u64).max(start);
            let read = &mut stride[..(end - from) as usize * PAGE_BYTES];
            if self.copies.read(PageNo(from), read).is_ok() {
                for (at, bytes) in read.chunks(PAGE_BYTES).enumerate().rev() {
                    let first = PageNo(from + at as u64);
                    let Ok(header) = UnitHeader::decode(bytes, first) else { continue };
                    let is_near = header.order <= MAX_LEAF_ORDER && number - first.0 < 1 << header.order;
                    if header.kind == PageKind::RunLeaf && is_near && self.is_good(first) {
                        return Some(first);
                    }
                    let is_extent = header.kind == PageKind::Extent;
                    if is_extent && basis::looks_like_unit(bytes, first) && self.is_good(first) {
                        let pages = u64::from(crate::file::page::get_u32(bytes, crate::file::pages::EXTENT_PAGES_AT));
                        return (number - first.0 < pages).then_some(first);
                    }
                }
            }
            end = from;
        }
        None
    }

    fn meta_page(&self, bytes: &[u8], report: &mut PageReport) {
        let number = report.page;
        if let Some((expected, got)) = Meta::checksums_in(bytes) {
            report.checksum = if expected == got { Checksum::Good } else { Checksum::Bad { expected, got } };
        }
        let meta = match Meta::decode(bytes, number) {
            Ok(meta) => Some(meta),
            Err(crate::file::meta::MetaError::Bad(e)) => {
                report.damage = Some(e);
                Meta::decode_damaged(bytes, number)
            }
            Err(crate::file::meta::MetaError::NotOurs) => {
                report.damage = Some(Error::corrupt("meta page (magic)", number, 0, 0, get_u64(bytes, 0)));
                None
            }
        };
        let (Some(meta), Some((version, required, optional))) = (meta, Meta::format_in(bytes)) else { return };
        report.contents = Contents::Meta(Box::new(MetaReport {
            version,
            required_features: required,
            optional_features: optional,
            identity: meta.identity,
            hash_key: meta.hash_key,
            sequence: meta.sequence,
            generation: meta.generation,
            clean: meta.clean,
            commit: meta.commit,
            epoch: meta.epoch,
            lsn: meta.lsn,
            chain: meta.chain,
            next_ordinal: meta.next_ordinal,
            next_tree: meta.next_tree,
            file_pages: meta.file_pages,
            used_pages: meta.used_pages,
            region_pages: meta.region_pages,
            tree_table_page: meta.tree_table.page.0,
            tree_table_level: meta.tree_table.level,
            manifest_page: meta.manifest.page.0,
            manifest_level: meta.manifest.level,
            next_run: meta.next_run,
            flushed_bytes: meta.flushed_bytes,
            run_bytes: meta.run_bytes,
            space_page: meta.space.page.0,
            space_height: meta.space.height,
            block_pages: meta.block_pages,
            block_live_bytes: meta.block_live_bytes,
            chosen: self.meta.as_ref() == Some(&meta),
        }));
    }

    /// What the verdict about a unit says of its checksum, which is right where the page number is another.
    pub(super) fn checksum_of(&self, verdict: &Result<()>) -> Checksum {
        match (verdict, self.copies.seed()) {
            (_, None) => Checksum::Unknown,
            (Err(Error::Corrupt(damage)), _) if damage.offset == 0 => {
                Checksum::Bad { expected: damage.expected, got: damage.got }
            }
            _ => Checksum::Good,
        }
    }

    /// Describes the unit that begins at `first`.
    fn unit(&self, first: PageNo, report: &mut PageReport) -> Result<()> {
        let unit = self.copies.unit_copy(first, 1)?;
        let (bytes, header) = (&unit.bytes[..], unit.header);
        report.checksum = self.checksum_of(&unit.verdict);
        if let (Err(e), Checksum::Good) = (&unit.verdict, report.checksum) {
            report.damage = Some(e.clone());
        }
        let pages = match header.kind {
            PageKind::Extent => u64::from(crate::file::page::get_u32(bytes, crate::file::pages::EXTENT_PAGES_AT)),
            _ => shape(bytes, first)?.1 as u64,
        };
        report.unit = Some(UnitReport {
            page: header.page.0,
            kind: header.kind.name(),
            pages,
            generation: header.generation,
            tree: header.tree,
        });
        report.contents = self.contents(first, bytes, &header, &mut report.damage)?;
        Ok(())
    }

    fn contents(
        &self,
        page: PageNo,
        bytes: &[u8],
        header: &UnitHeader,
        damage: &mut Option<Error>,
    ) -> Result<Contents> {
        Ok(match header.kind {
            PageKind::Block => self.block(page, bytes, header),
            PageKind::Extent => self.extent(page)?,
            PageKind::TrieLeaf => {
                let view = leaf_view(bytes, page)?;
                let entry = |&(line, tag, address): &(usize, u32, crate::file::page::Address)| TrieEntryReport {
                    line: line as u8,
                    tag,
                    page: address.page().0,
                    position: address.slot(),
                };
                Contents::TrieLeaf(TrieLeafReport {
                    depth: view.depth,
                    tag_base: view.tag_base,
                    next: (view.next.1 > 0).then_some(view.next.0 .0),
                    rest: view.next.1,
                    entries: view.entries.iter().map(entry).collect(),
                })
            }
            PageKind::TrieNode => {
                let view = node_view(bytes, page)?;
                let child = |&(page, depth, slots): &(PageNo, u8, u32)| TrieChildReport { page: page.0, depth, slots };
                Contents::TrieNode(TrieNodeReport {
                    level: view.level,
                    depth: view.depth,
                    bits: view.bits,
                    children: view.children.iter().map(child).collect(),
                })
            }
            PageKind::TreeLeaf | PageKind::TreeBranch => match contents(bytes, page, header.kind)? {
                NodeContents::Leaf(entries) => Contents::TreeLeaf(entries.into_iter().map(tree_entry).collect()),
                NodeContents::Branch(level, children) => Contents::TreeBranch(TreeBranchReport {
                    level,
                    children: children.into_iter().map(|(key, page)| (key, page.0)).collect(),
                }),
            },
            PageKind::SpaceChunk => {
                let mut chunk = None;
                let region_pages = self.meta.as_ref().map_or(256, |meta| meta.region_pages);
                survey::show_chunk(bytes, page, region_pages, &mut |view| {
                    let count = |kind| view.regions.iter().filter(|region| **region == kind).count() as u64;
                    let first_page = view.index.saturating_mul(CHUNK_PAGES);
                    let runs: Vec<_> = view.runs().iter().map(|(at, n)| (first_page.saturating_add(*at), *n)).collect();
                    chunk = Some(SpaceChunkReport {
                        index: view.index,
                        first_page,
                        used: runs.iter().map(|(_, pages)| pages).sum(),
                        page_regions: count(1),
                        extent_regions: count(2),
                        runs,
                    });
                    Ok(())
                })?;
                chunk.map_or(Contents::Unreadable, Contents::SpaceChunk)
            }
            PageKind::RunLeaf => {
                let mut entries = Vec::new();
                if let Err(e) = leaf_entries(page, bytes, &mut |key, cell| entries.push(run_entry(key, cell))) {
                    *damage = Some(e);
                }
                Contents::RunLeaf(entries)
            }
            PageKind::SpaceNode => {
                let view = survey::node(bytes, page)?;
                Contents::SpaceNode(SpaceNodeReport {
                    level: view.level,
                    index: view.index,
                    children: view.children.iter().map(|(at, page, free)| (*at, page.0, *free)).collect(),
                })
            }
        })
    }

    fn block(&self, page: PageNo, bytes: &[u8], header: &UnitHeader) -> Contents {
        let memory = BlockMemory::of_copy(bytes, page);
        let base = block::base_ordinal(&memory);
        let Ok((slots, end)) = block::sealed_shape(&memory) else { return Contents::Unreadable };
        let live = self.directory_entry(header.tree, base);
        let mut records = Vec::with_capacity(slots);
        for slot in 0..slots {
            let Ok(position) = block::slot_position(&memory, slot) else { continue };
            let Ok(record) = block::read(&memory, position) else { continue };
            let extent = if record.large { record.extent() } else { None };
            records.push(RecordReport {
                position: position.into(),
                ordinal: base.saturating_add(record.ordinal_delta),
                id: record.key().and_then(Id::from_key).map(|id| id.to_string()),
                document_at: page.offset() + u64::from(position) + (record.bytes - record.payload.len()) as u64,
                document_bytes: record.payload.len() as u32,
                extent: extent.map(|(page, length)| (page.0, length as u64)),
                live: live.as_ref().map(|entry| match entry {
                    Some(entry) => entry.page == page && entry.is_live(slot),
                    None => false,
                }),
            });
        }
        Contents::Block(BlockReport { base_ordinal: base, end: end as u32, bytes: bytes.len() as u32, records })
    }

    /// The directory entry of a block: the outer option is none where the directory can't be asked.
    fn directory_entry(&self, tree: u64, base: u64) -> Option<Option<Entry>> {
        let meta = self.meta.as_ref()?;
        let value = |root: &TreeRoot, key| tree::get(&self.copies, root, key).ok().map(|v| v.map(<[u8]>::to_vec));
        let Some(entry) = value(&meta.tree_table, tree)? else { return Some(None) };
        let entry = TreeEntry::decode(&entry, tree as u32).ok()?;
        match value(&entry.directory, base)? {
            Some(bytes) => Entry::decode(&bytes, base).ok().map(Some),
            None => Some(None),
        }
    }

    fn extent(&self, page: PageNo) -> Result<Contents> {
        let extent = self.copies.extent_copy(page)?;
        Ok(Contents::Extent(ExtentReport {
            pages: extent.pages,
            document_bytes: extent.document().len() as u64,
            document_at: page.offset() + extent.document_at() as u64,
            id: key_of(extent.document()).and_then(Id::from_key).map(|id| id.to_string()),
            damaged_pieces: extent.damaged,
        }))
    }
}

/// Calls `with` for the entries of a leaf of a run, up to the first that can't be read.
pub(super) fn leaf_entries(page: PageNo, bytes: &[u8], with: &mut dyn FnMut(&[u8], Cell<'_>)) -> Result<()> {
    let leaf = crate::sorted::leaf::Leaf::open(bytes, page)?;
    let mut key = Vec::new();
    for at in 0..leaf.len() {
        let entry = leaf.entry(at)?;
        leaf.key(&entry, &mut key);
        with(&key, entry.cell);
    }
    Ok(())
}

/// An entry of a leaf of a run.
pub(super) fn run_entry(key: &[u8], cell: Cell<'_>) -> RunEntryReport {
    let (value, extent) = match cell {
        Cell::Value(value) => (Some(value.len() as u64), None),
        Cell::Large { page, length } => (Some(length.into()), Some(page.0)),
        Cell::Deleted => (None, None),
    };
    let tree = crate::sorted::compact::tree_of(key);
    RunEntryReport { tree, key: key.get(TREE_BYTES..).unwrap_or_default().to_vec(), value_bytes: value, extent }
}

/// What an entry of a page tree says; told apart by what decodes.
fn tree_entry((key, value): (u64, Vec<u8>)) -> TreeLeafEntry {
    let value = match (TreeEntry::decode(&value, key as u32), Entry::decode(&value, key)) {
        (_, Ok(entry)) if !entry.page.is_none() => TreeValue::Block {
            page: entry.page.0,
            order: entry.order,
            slots: entry.slots,
            live: entry.live,
            live_bytes: entry.live_bytes,
            large: entry.large,
        },
        (Ok(entry), _) => TreeValue::Collection {
            trie_page: entry.trie.page.0,
            trie_level: entry.trie.level,
            directory_page: entry.directory.page.0,
            directory_level: entry.directory.level,
            live: entry.live,
            live_bytes: entry.live_bytes,
            max_id: entry.max_id,
        },
        _ => TreeValue::Bytes(value),
    };
    TreeLeafEntry { key, value }
}
