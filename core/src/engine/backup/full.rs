//! A full backup: the database file as its last checkpoint has it.
//!
//! ```text
//!   bitmap of the checkpoint:  used used  -   -  used used used  -
//!   the image:                 [ meta  ][ zeros ][ copied      ]          ends behind the last used page
//! ```
//!
//! Every used page belongs to one unit, so a run of used pages is a row of units: each is checked as it is
//! copied, without asking what reaches it. One pass over the file in the order of its pages, and no memory.

use super::pieces::{Copier, GATHER_BYTES};
use super::{writing, Backup, BackupReport, METAS_BYTES};
use crate::control::{Control, Progress};
use crate::error::{Error, Result};
use crate::file::disk::DiskFile;
use crate::file::meta::META_PAGES;
use crate::file::page::{PageNo, PAGE_BYTES};
use crate::file::space::Space;
use crate::file::unit::UnitCheck;
use crate::sync::Arc;
use std::io::Write;

/// Where the pages of an image go, in ascending order.
pub trait Image {
    /// The pages from `first` on.
    fn put(&mut self, first: u64, bytes: &[u8]) -> Result<()>;

    /// The image has this many pages.
    fn end(&mut self, pages: u64) -> Result<()>;
}

/// An image as a stream: zeros for what was not put.
pub struct Stream<'a> {
    out: &'a mut dyn Write,
    next: u64,
}

impl<'a> Stream<'a> {
    pub fn new(out: &'a mut dyn Write) -> Stream<'a> {
        Stream { out, next: 0 }
    }

    fn zeros_up_to(&mut self, page: u64) -> Result<()> {
        static ZEROS: [u8; 16 * PAGE_BYTES] = [0; 16 * PAGE_BYTES];
        while self.next < page {
            let pages = (page - self.next).min(16);
            self.out.write_all(&ZEROS[..pages as usize * PAGE_BYTES]).map_err(writing)?;
            self.next += pages;
        }
        Ok(())
    }
}

impl Image for Stream<'_> {
    fn put(&mut self, first: u64, bytes: &[u8]) -> Result<()> {
        self.zeros_up_to(first)?;
        self.out.write_all(bytes).map_err(writing)?;
        self.next += (bytes.len() / PAGE_BYTES) as u64;
        Ok(())
    }

    fn end(&mut self, pages: u64) -> Result<()> {
        self.zeros_up_to(pages)?;
        self.out.flush().map_err(writing)
    }
}

/// An image as a file: holes where nothing was put. Neighbours are written together.
pub struct Holes<'a> {
    file: &'a Arc<dyn DiskFile>,
    first: u64,
    gathered: Vec<u8>,
}

impl<'a> Holes<'a> {
    pub fn new(file: &'a Arc<dyn DiskFile>) -> Holes<'a> {
        Holes { file, first: 0, gathered: Vec::new() }
    }

    fn flush(&mut self) -> Result<()> {
        if !self.gathered.is_empty() {
            self.file.write_at(&self.gathered, PageNo(self.first).offset()).map_err(writing)?;
            self.gathered.clear();
        }
        Ok(())
    }
}

impl Image for Holes<'_> {
    fn put(&mut self, first: u64, bytes: &[u8]) -> Result<()> {
        let next = self.first + (self.gathered.len() / PAGE_BYTES) as u64;
        if first != next || self.gathered.len() + bytes.len() > GATHER_BYTES {
            self.flush()?;
            self.first = first;
        }
        self.gathered.extend_from_slice(bytes);
        Ok(())
    }

    fn end(&mut self, pages: u64) -> Result<()> {
        self.flush()?;
        let (have, want) = (self.file.len().map_err(writing)?, PageNo(pages).offset());
        if have < want {
            self.file.write_at(&[0], want - 1).map_err(writing)?;
        }
        Ok(())
    }
}

impl Backup<'_> {
    /// Writes the whole image.
    pub(super) fn write_full(&self, image: &mut dyn Image, control: &mut Control<'_>) -> Result<BackupReport> {
        let (engine, meta) = (self.engine, &self.meta);
        let (mut done, total) = (0, meta.used_pages.saturating_sub(META_PAGES));
        control.step(Progress::new("copying", 0, total, "pages"))?;
        let metas = meta.encode().repeat(2);
        debug_assert_eq!(metas.len() as u64, METAS_BYTES);
        image.put(0, &metas)?;
        let mut copier = Copier::new(&*engine.file, UnitCheck::new(meta.seed(), 1..=meta.generation));
        let mut put = |first: u64, bytes: &[u8]| {
            image.put(first, bytes)?;
            done += (bytes.len() / PAGE_BYTES) as u64;
            self.check()?;
            control.step(Progress::new("copying", done, total, "pages"))
        };
        let mut used = |first: u64, pages: u64| {
            // The meta pages are used, too, and made anew.
            let from = first.max(META_PAGES);
            copier.copy(from, (first + pages).saturating_sub(from), &mut put)
        };
        Space::walk(&engine.pages, meta.space, meta.region_pages, meta.file_pages, &mut |_| Ok(()), &mut used)?;
        if done != total {
            return Err(Error::corrupt("meta page (used pages)", 0, 0, done, total));
        }
        image.end(meta.file_pages)?;
        Ok(self.report(done, PageNo(meta.file_pages).offset()))
    }
}
