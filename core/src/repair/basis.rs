//! What there is to go by: a meta page, or what is left of one.
//!
//! ```text
//!   whole meta page -------------------------------------------------------------> MetaPage
//!   identity in a damaged one, or in the log --> fits a checksum of the file?
//!                        yes: does the rest of that page agree with the file? yes --> DamagedMetaPage
//!                                                                              no --> Identity
//!                        no:  trust_unchecked? ----------------------------- yes --> Nothing
//!                                                                              no --> the error
//! ```
//!
//! The identity seeds all checksums but those of the meta pages, so one unit whose checksum is right tells that
//! it is the file's. A damaged meta page agrees with the file if the bitmap that it names is whole, has as many
//! bits as the page says, and calls the root of the tree table used.

use super::report::RepairBasis;
use super::Damaged;
use crate::control::{Control, Progress};
use crate::error::{Error, Result};
use crate::file::copies::{shape, Copies};
use crate::file::disk::DiskFile;
use crate::file::meta::{Meta, MetaError, META_PAGES};
use crate::file::page::{PageNo, PAGE_BYTES};
use crate::file::space::survey::{survey, Met};
use crate::file::space::CHUNK_PAGES;
use xxhash_rust::xxh3::xxh3_64;

/// Pages read at once by what goes through the whole file.
pub(crate) const STRIDE_PAGES: usize = 256;

/// What a repair goes by.
pub(crate) struct Basis {
    pub(crate) kind: RepairBasis,
    pub(crate) meta: Option<Meta>,
    pub(crate) identity: Option<[u8; 16]>,
    pub(crate) copies: Copies,
}

impl Basis {
    /// True if what the meta page says is sure.
    pub(crate) fn is_certain(&self) -> bool {
        self.kind == RepairBasis::MetaPage
    }
}

/// Finds what there is to go by. Error: there is nothing.
pub(crate) fn find(damaged: &Damaged<'_>, trust_unchecked: bool, control: &mut Control<'_>) -> Result<Basis> {
    let file = damaged.file;
    let length = file.len().map_err(|e| Error::io("reading the file's length", e))?;
    let there = length / PAGE_BYTES as u64;
    let raw: Vec<Vec<u8>> = (0..META_PAGES).map(|slot| read_page(&**file, slot)).collect();
    let mut whole: Option<Meta> = None;
    let (mut refused, mut newer) = (None, None);
    for (slot, bytes) in raw.iter().enumerate() {
        match Meta::decode(bytes, slot as u64) {
            Ok(meta) if whole.as_ref().is_none_or(|best| best.sequence < meta.sequence) => whole = Some(meta),
            Ok(_) => {}
            Err(MetaError::Bad(e)) => {
                let is_newer = matches!(e, Error::UnknownFormat { .. }) && Meta::is_whole(bytes);
                *(if is_newer { &mut newer } else { &mut refused }) = Some(e);
            }
            Err(MetaError::NotOurs) => {}
        }
    }
    if let Some(meta) = whole {
        let copies = Copies::new(file.clone(), Some(meta.seed()), there.min(meta.file_pages));
        return Ok(Basis { kind: RepairBasis::MetaPage, identity: Some(meta.identity), copies, meta: Some(meta) });
    }
    // A newer format is none to guess at.
    if let Some(e) = newer {
        return Err(e);
    }
    let copies = Copies::new(file.clone(), None, there);
    let mut candidates: Vec<[u8; 16]> = raw.iter().filter_map(|bytes| Meta::identity_in(bytes)).collect();
    candidates.extend(crate::log::identities(damaged.log, damaged.name));
    candidates.dedup();
    candidates.retain(|identity| *identity != [0; 16]);
    if let Some(identity) = search_identity(&copies, &candidates, control)? {
        let copies = copies.with_seed(xxh3_64(&identity));
        let mut meta: Option<Meta> = None;
        for (slot, bytes) in raw.iter().enumerate() {
            let Some(found) = Meta::decode_damaged(bytes, slot as u64) else { continue };
            let newer = meta.as_ref().is_none_or(|best| best.sequence < found.sequence);
            if newer && found.identity == identity && agrees(&copies, &found)? {
                meta = Some(found);
            }
        }
        let kind = if meta.is_some() { RepairBasis::DamagedMetaPage } else { RepairBasis::Identity };
        return Ok(Basis { kind, meta, identity: Some(identity), copies });
    }
    if trust_unchecked {
        return Ok(Basis { kind: RepairBasis::Nothing, meta: None, identity: None, copies });
    }
    Err(refused.unwrap_or_else(|| Error::NotADatabase {
        path: damaged.name.to_owned(),
        reason: "neither meta page can be read, and nothing else tells the file's identity".to_owned(),
    }))
}

fn read_page(file: &dyn DiskFile, page: u64) -> Vec<u8> {
    let mut bytes = vec![0; PAGE_BYTES];
    match file.read_at(&mut bytes, page * PAGE_BYTES as u64) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

/// The identity among `candidates` that fits a unit of the file.
fn search_identity(copies: &Copies, candidates: &[[u8; 16]], control: &mut Control<'_>) -> Result<Option<[u8; 16]>> {
    let seeded: Vec<_> = candidates.iter().map(|identity| copies.with_seed(xxh3_64(identity))).collect();
    if seeded.is_empty() {
        return Ok(None);
    }
    let mut stride = vec![0; STRIDE_PAGES * PAGE_BYTES];
    let mut page = META_PAGES;
    while page < copies.pages() {
        control.step(Progress::new("identity", page, copies.pages(), "pages"))?;
        let have = read_stride(copies, page, &mut stride);
        for at in 0..have {
            let number = PageNo(page + at as u64);
            let bytes = &stride[at * PAGE_BYTES..have * PAGE_BYTES];
            if !looks_like_unit(bytes, number) {
                continue;
            }
            for (identity, copies) in candidates.iter().zip(&seeded) {
                if copies.unit_copy(number, 1).is_ok_and(|unit| unit.verdict.is_ok()) {
                    return Ok(Some(*identity));
                }
            }
        }
        page += STRIDE_PAGES as u64;
    }
    Ok(None)
}

/// Whether the unit header at the front of `bytes` can be that of page `number`.
pub(crate) fn looks_like_unit(bytes: &[u8], number: PageNo) -> bool {
    bytes.len() >= PAGE_BYTES && shape(bytes, number).is_ok_and(|(header, _)| header.page == number)
}

/// Reads pages from `page` on, as many as there are and fit; page by page where the device fails, which reads as
/// zeros then. Gives how many pages were read.
pub(crate) fn read_stride(copies: &Copies, page: u64, stride: &mut [u8]) -> usize {
    let have = (copies.pages() - page).min((stride.len() / PAGE_BYTES) as u64) as usize;
    let all = &mut stride[..have * PAGE_BYTES];
    if copies.read(PageNo(page), all).is_ok() {
        return have;
    }
    for (at, one) in all.chunks_mut(PAGE_BYTES).enumerate() {
        if copies.read(PageNo(page + at as u64), one).is_err() {
            one.fill(0);
        }
    }
    have
}

/// Whether what a damaged meta page says agrees with the file.
fn agrees(copies: &Copies, meta: &Meta) -> Result<bool> {
    if meta.file_pages > copies.pages() {
        return Ok(false);
    }
    let (mut whole, mut used, mut root_used) = (true, 0, meta.tree_table.page.is_none());
    let mut read = |page, kind| copies.expect(page, kind).map(|unit| unit.bytes);
    survey(&mut read, meta.space, meta.region_pages, meta.file_pages, &mut |met| {
        match met {
            Met::Damage { .. } => whole = false,
            Met::Chunk(chunk) => {
                for (first, pages) in chunk.runs() {
                    used += pages;
                    let first = first + chunk.index * CHUNK_PAGES;
                    root_used |= (first..first + pages).contains(&meta.tree_table.page.0);
                }
            }
        }
        Ok(())
    })?;
    Ok(whole && root_used && used == meta.used_pages)
}

/// Which pages the last checkpoint uses, as far as the bitmap can be read.
pub(crate) struct Used {
    bits: Vec<u64>,
    /// A bit for each chunk of the bitmap that can't be read.
    unknown: Vec<bool>,
}

impl Used {
    /// As the meta page's bitmap has it; without a meta page nothing is known. `lost` is told what can't be read.
    pub(crate) fn read(basis: &Basis, lost: &mut dyn FnMut(PageNo, Error)) -> Result<Used> {
        let pages = basis.copies.pages();
        let chunks = pages.div_ceil(CHUNK_PAGES) as usize;
        let mut used = Used { bits: vec![0; pages.div_ceil(64) as usize], unknown: vec![false; chunks] };
        let Some(meta) = &basis.meta else {
            used.unknown.fill(true);
            return Ok(used);
        };
        let mut read = |page, kind| basis.copies.expect(page, kind).map(|unit| unit.bytes);
        survey(&mut read, meta.space, meta.region_pages, pages, &mut |met| {
            match met {
                Met::Damage { chunk, chunks, error } => {
                    let first = usize::try_from(chunk).unwrap_or(usize::MAX).min(used.unknown.len());
                    let end = first.saturating_add(usize::try_from(chunks).unwrap_or(usize::MAX));
                    let end = end.min(used.unknown.len());
                    used.unknown[first..end].fill(true);
                    lost(page_of(&error), error);
                }
                Met::Chunk(chunk) => {
                    let at = chunk.index as usize * (CHUNK_PAGES as usize / 64);
                    for (word, bits) in used.bits.iter_mut().skip(at).zip(chunk.used) {
                        *word = *bits;
                    }
                }
            }
            Ok(())
        })?;
        Ok(used)
    }

    /// False if the last checkpoint does not reach the page, for sure.
    pub(crate) fn may_be_used(&self, page: u64) -> bool {
        let unknown = self.unknown.get((page / CHUNK_PAGES) as usize).copied().unwrap_or(true);
        unknown || self.bits.get((page / 64) as usize).is_some_and(|word| word >> (page % 64) & 1 == 1)
    }

    /// True if the last checkpoint reaches the page, for sure.
    pub(crate) fn is_used(&self, page: u64) -> bool {
        let unknown = self.unknown.get((page / CHUNK_PAGES) as usize).copied().unwrap_or(true);
        !unknown && self.may_be_used(page)
    }
}

/// The page that an error is about.
pub(crate) fn page_of(error: &Error) -> PageNo {
    match error {
        Error::Corrupt(damage) => PageNo(damage.page),
        _ => PageNo::NONE,
    }
}

/// Bits of pages.
pub(crate) struct PageSet(Vec<u64>);

impl PageSet {
    pub(crate) fn new(pages: u64) -> PageSet {
        PageSet(vec![0; pages.div_ceil(64) as usize])
    }

    pub(crate) fn add(&mut self, page: u64) {
        if let Some(word) = self.0.get_mut((page / 64) as usize) {
            *word |= 1 << (page % 64);
        }
    }

    pub(crate) fn has(&self, page: u64) -> bool {
        self.0.get((page / 64) as usize).is_some_and(|word| word >> (page % 64) & 1 == 1)
    }
}
