//! The runs of the sorted index.

use super::page::{leaf_entries, run_entry};
use super::*;
use crate::file::page::{PageKind, PageNo};
use crate::file::tree;
use crate::sorted::run::Run;
use crate::sorted::tail::Tail;

impl File {
    pub(super) fn runs(&self) -> Result<RunsReport> {
        let manifest = self.need_meta()?.manifest;
        let mut runs = Vec::new();
        let mut damage = None;
        let walked = tree::walk(&self.copies, &manifest, &mut |_| Ok(()), &mut |number, bytes| {
            match Run::decode(bytes, number) {
                Ok(run) => runs.push(report(&run)),
                Err(e) => drop(damage.get_or_insert(e)),
            }
            Ok(())
        });
        Ok(RunsReport { runs, damage: damage.or(walked.err()) })
    }

    pub(super) fn run(&self, number: u64, with_entries: bool) -> Result<RunDetails> {
        let meta = self.need_meta()?;
        let Some(bytes) = tree::get(&self.copies, &meta.manifest, number)? else {
            let text = format!("run {number}: the manifest has none of this number; next is {}", meta.next_run);
            return Err(Error::InvalidArgument(text));
        };
        let run = Run::decode(bytes, number)?;
        let mut details =
            RunDetails { run: report(&run), tail: None, leaves: Vec::new(), entries: Vec::new(), damage: Vec::new() };
        match self.tail(&run, &mut details.damage) {
            Ok(tail) => details.tail = Some(tail),
            Err(e) => add(&mut details.damage, e),
        }
        self.leaves(&run, with_entries, &mut details);
        self.compare(&run, &mut details);
        Ok(details)
    }

    fn tail(&self, run: &Run, damage: &mut Vec<Error>) -> Result<RunTailReport> {
        let page = run.tail_page();
        let extent = self.copies.extent_copy(page)?;
        let tail = Tail::open(extent.document(), page)?;
        let mut read = RunTailReport {
            page: page.0,
            bytes: extent.document().len() as u64,
            damaged_pieces: extent.damaged.clone(),
            prefix: tail.prefix().to_vec(),
            leaves: Vec::new(),
            filter_bytes: 0,
            filter_bits_set: 0,
            ranges: Vec::new(),
        };
        if let Err(e) = &extent.verdict {
            add(damage, e.clone());
        }
        for at in 0..tail.leaves() {
            match tail.separator(at) {
                Ok(separator) => read.leaves.push((tail.place(at), [tail.prefix(), separator].concat())),
                Err(e) => add(damage, e),
            }
        }
        match tail.filter() {
            Ok(filter) => {
                read.filter_bytes = filter.len() as u64;
                read.filter_bits_set = filter.iter().map(|byte| u64::from(byte.count_ones())).sum();
            }
            Err(e) => add(damage, e),
        }
        match tail.ranges() {
            Ok(ranges) => read.ranges = ranges.iter().map(|(start, end)| (start.to_vec(), end.to_vec())).collect(),
            Err(e) => add(damage, e),
        }
        Ok(read)
    }

    /// Reads the leaves one behind the other. Where one can't be read, the tail knows where the next one begins.
    fn leaves(&self, run: &Run, with_entries: bool, details: &mut RunDetails) {
        let places: Vec<u64> = details.tail.iter().flat_map(|tail| &tail.leaves).map(|(place, _)| *place).collect();
        let leaf_pages = u64::from(run.leaf_pages);
        let mut place = 0;
        while place < leaf_pages {
            let page = PageNo(run.page.0.saturating_add(place));
            match self.leaf(page, with_entries, details) {
                Ok(pages) => place += pages,
                Err(e) => {
                    add(&mut details.damage, e);
                    match places.iter().filter(|next| **next > place).min() {
                        Some(next) => place = *next,
                        None => break,
                    }
                }
            }
        }
    }

    /// Reads a leaf; gives its length in pages.
    fn leaf(&self, page: PageNo, with_entries: bool, details: &mut RunDetails) -> Result<u64> {
        let unit = self.copies.unit_copy(page, 1)?;
        if unit.header.kind != PageKind::RunLeaf {
            let (expected, got) = (PageKind::RunLeaf as u64, unit.header.kind as u64);
            return Err(Error::corrupt("unit header (kind)", page.0, 14, expected, got));
        }
        let pages = (unit.bytes.len() / PAGE_BYTES) as u64;
        let mut leaf = RunLeafReport { page: page.0, pages, checksum: self.checksum_of(&unit.verdict), entries: 0 };
        let entries = &mut details.entries;
        let read = leaf_entries(page, &unit.bytes, &mut |key, cell| {
            leaf.entries += 1;
            if with_entries {
                entries.push(run_entry(key, cell));
            }
        });
        details.leaves.push(leaf);
        for e in [unit.verdict, read].into_iter().filter_map(Result::err) {
            add(&mut details.damage, e);
        }
        Ok(pages)
    }

    /// What the parts say of each other.
    fn compare(&self, run: &Run, details: &mut RunDetails) {
        let mut differ = |what, expected, got| {
            if expected != got {
                add(&mut details.damage, Error::corrupt(what, run.page.0, 0, expected, got));
            }
        };
        differ("run (entries)", run.entries, details.leaves.iter().map(|leaf| leaf.entries).sum());
        differ("run (leaf pages)", run.leaf_pages.into(), details.leaves.iter().map(|leaf| leaf.pages).sum());
        if let Some(tail) = &details.tail {
            differ("tail of a run (leaves)", details.leaves.len() as u64, tail.leaves.len() as u64);
        }
    }
}

fn add(damage: &mut Vec<Error>, e: Error) {
    if damage.len() < MOST_DAMAGE {
        damage.push(e);
    }
}

fn report(run: &Run) -> RunReport {
    RunReport {
        run: run.number,
        level: run.level,
        set: run.set,
        page: run.page.0,
        leaf_pages: run.leaf_pages,
        tail_pages: run.tail_pages,
        entries: run.entries,
        deleted: run.deleted,
        bytes: run.bytes,
        ranges: run.ranges,
        large: run.large,
        open_end: run.open_end,
        first: run.first.bytes.to_vec(),
        first_cut: run.first.cut,
        last: run.last.bytes.to_vec(),
        last_cut: run.last.cut,
    }
}
