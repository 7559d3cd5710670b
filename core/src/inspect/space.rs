//! The free space.

use super::*;
use crate::file::space::survey::{survey, Met};
use crate::file::space::CHUNK_PAGES;

/// Most runs that are listed.
const MOST_RUNS: usize = 20;

/// Of a region of which nothing is known.
const UNKNOWN: u16 = u16::MAX;

impl File {
    pub(super) fn free(&self) -> Result<FreeReport> {
        let meta = self.need_meta()?;
        // Pages that are not there have no bitmap either: it lies in the file.
        let pages = meta.file_pages.min(self.pages);
        let region_pages = u64::from(meta.region_pages);
        let mut report = FreeReport {
            file_pages: meta.file_pages,
            there: self.pages,
            used_pages: meta.used_pages,
            counted_used: 0,
            free_pages: 0,
            unknown_pages: 0,
            region_pages: meta.region_pages,
            regions: RegionCounts::default(),
            region_used: vec![0; pages.div_ceil(region_pages) as usize],
            largest_free: Vec::new(),
            free_runs: 0,
            damage: Vec::new(),
        };
        // Where the run of free pages begins that goes on.
        let mut free_from = 0;
        let mut read = |page, kind| self.copies.expect(page, kind).map(|unit| unit.bytes);
        survey(&mut read, meta.space, meta.region_pages, pages, &mut |met| {
            match met {
                Met::Damage { chunk, chunks, error } => {
                    let first = chunk.saturating_mul(CHUNK_PAGES).min(pages);
                    let end = chunk.saturating_add(chunks).saturating_mul(CHUNK_PAGES).min(pages);
                    report.free_run(free_from, first);
                    free_from = end;
                    report.unknown_pages += end - first;
                    let regions = (first / region_pages) as usize..end.div_ceil(region_pages) as usize;
                    report.region_used[regions].fill(UNKNOWN);
                    if report.damage.len() < MOST_DAMAGE {
                        report.damage.push(error);
                    }
                }
                Met::Chunk(chunk) => {
                    let start = chunk.index * CHUNK_PAGES;
                    for (first, length) in chunk.runs() {
                        let (first, end) = (start + first, (start + first + length).min(pages));
                        report.free_run(free_from, first.min(pages));
                        free_from = free_from.max(end);
                        report.counted_used += length;
                        for page in first..end {
                            if let Some(used) = report.region_used.get_mut((page / region_pages) as usize) {
                                *used = used.saturating_add(1);
                            }
                        }
                    }
                    let regions = pages.saturating_sub(start).div_ceil(region_pages) as usize;
                    for kind in chunk.regions.iter().take(regions) {
                        match kind {
                            0 => report.regions.free += 1,
                            1 => report.regions.pages += 1,
                            _ => report.regions.extents += 1,
                        }
                    }
                }
            }
            Ok(())
        })?;
        report.free_run(free_from, pages);
        report.largest_free.sort_by_key(|&(first, length)| (std::cmp::Reverse(length), first));
        report.largest_free.truncate(MOST_RUNS);
        Ok(report)
    }
}

impl FreeReport {
    fn free_run(&mut self, from: u64, to: u64) {
        let Some(length) = to.checked_sub(from).filter(|length| *length > 0) else { return };
        self.free_pages += length;
        self.free_runs += 1;
        self.largest_free.push((from, length));
        // Now and then, so that the list stays short.
        if self.largest_free.len() >= 64 * MOST_RUNS {
            self.largest_free.sort_by_key(|&(first, length)| (std::cmp::Reverse(length), first));
            self.largest_free.truncate(MOST_RUNS);
        }
    }
}
