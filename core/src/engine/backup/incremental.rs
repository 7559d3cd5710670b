//! The file of an incremental backup.
//!
//! ```text
//!   +--------+-----------+-----------------+- - -+-----------------+----------+
//!   | header | meta page | run: head, pages |     | run: head, pages | checksum |
//!   +--------+-----------+-----------------+- - -+-----------------+----------+
//!   0        128         4 224                                       of all before
//! ```
//!
//! A run is neighbouring pages of units that are newer than the base. The header names the base by its random
//! id, and has a checksum of its own, so that nothing is begun with a file that is not the right one.
//! Format: `docs/file-format.md`, "Incremental backup".

use super::changed::changed;
use super::pieces::Copier;
use super::{writing, Backup, BackupReport};
use crate::control::{Control, Progress};
use crate::error::{Error, Result};
use crate::file::backups::{BackupId, BackupRecord};
use crate::file::page::{get_u32, get_u64, put_u32, put_u64, PAGE_BYTES};
use crate::file::unit::UnitCheck;
use std::io::Write;
use xxhash_rust::xxh3::{xxh3_64, Xxh3};

/// The first eight bytes of an incremental backup.
pub const MAGIC: [u8; 8] = *b"NyroIB\x1a\n";

/// The version of the format that is written, and the newest that is read.
pub const VERSION: u32 = 1;

const MAGIC_AT: usize = 0;
const VERSION_AT: usize = MAGIC_AT + 8;
const PAGE_BYTES_AT: usize = VERSION_AT + 4;
const IDENTITY_AT: usize = PAGE_BYTES_AT + 4;
const BASE_ID_AT: usize = IDENTITY_AT + 16;
const BASE_GENERATION_AT: usize = BASE_ID_AT + 16;
const ID_AT: usize = BASE_GENERATION_AT + 8;
const GENERATION_AT: usize = ID_AT + 16;
const RUNS_AT: usize = GENERATION_AT + 8;
const PAGES_AT: usize = RUNS_AT + 8;
const END: usize = PAGES_AT + 8;
const CHECKSUM_AT: usize = HEADER_BYTES - 8;
/// Length of the header.
pub const HEADER_BYTES: usize = 128;
const _: () = assert!(END <= CHECKSUM_AT);

/// Length of a run's head: first page, number of pages.
pub const RUN_BYTES: usize = 16;

/// Field names of `docs/file-format.md` and where the code has them: header, head of a run.
#[cfg(test)]
pub(crate) const LAYOUTS: [crate::format_tests::Layout; 2] = [
    &[
        ("magic", MAGIC_AT),
        ("version", VERSION_AT),
        ("page bytes", PAGE_BYTES_AT),
        ("identity", IDENTITY_AT),
        ("base id", BASE_ID_AT),
        ("base generation", BASE_GENERATION_AT),
        ("id", ID_AT),
        ("generation", GENERATION_AT),
        ("runs", RUNS_AT),
        ("pages", PAGES_AT),
        ("zero", END),
        ("checksum", CHECKSUM_AT),
        ("", HEADER_BYTES),
    ],
    &[("first page", 0), ("pages", 8), ("", RUN_BYTES)],
];

/// What an incremental backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Of the database.
    pub identity: [u8; 16],
    /// The backup that it is applied to.
    pub base_id: BackupId,
    /// The checkpoint of that backup.
    pub base_generation: u64,
    /// Its own id.
    pub id: BackupId,
    /// Its own checkpoint.
    pub generation: u64,
    /// Number of runs.
    pub runs: u64,
    /// Pages in all runs.
    pub pages: u64,
}

impl Header {
    /// Encodes it.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut b = [0; HEADER_BYTES];
        b[MAGIC_AT..VERSION_AT].copy_from_slice(&MAGIC);
        put_u32(&mut b, VERSION_AT, VERSION);
        put_u32(&mut b, PAGE_BYTES_AT, PAGE_BYTES as u32);
        b[IDENTITY_AT..BASE_ID_AT].copy_from_slice(&self.identity);
        b[BASE_ID_AT..BASE_GENERATION_AT].copy_from_slice(&self.base_id);
        put_u64(&mut b, BASE_GENERATION_AT, self.base_generation);
        b[ID_AT..GENERATION_AT].copy_from_slice(&self.id);
        put_u64(&mut b, GENERATION_AT, self.generation);
        put_u64(&mut b, RUNS_AT, self.runs);
        put_u64(&mut b, PAGES_AT, self.pages);
        let sum = xxh3_64(&b[..CHECKSUM_AT]);
        put_u64(&mut b, CHECKSUM_AT, sum);
        b
    }

    /// Decodes it. Errors: `UnknownFormat`, `Corrupt`.
    pub fn decode(b: &[u8; HEADER_BYTES]) -> Result<Header> {
        let bad = |what, at: usize, expected, got| Error::corrupt(what, 0, at as u32, expected, got);
        let version = get_u32(b, VERSION_AT);
        let (expected, got) = (xxh3_64(&b[..CHECKSUM_AT]), get_u64(b, CHECKSUM_AT));
        if b[..VERSION_AT] != MAGIC || expected != got {
            return Err(bad("header of an incremental backup", CHECKSUM_AT, expected, got));
        }
        if version != VERSION {
            return Err(Error::UnknownFormat { version, known: VERSION, features: 0 });
        }
        let page_bytes = get_u32(b, PAGE_BYTES_AT);
        if page_bytes as usize != PAGE_BYTES {
            return Err(bad("header of an incremental backup", PAGE_BYTES_AT, PAGE_BYTES as u64, page_bytes.into()));
        }
        let id = |at: usize| {
            let mut id = [0; 16];
            id.copy_from_slice(&b[at..at + 16]);
            id
        };
        Ok(Header {
            identity: id(IDENTITY_AT),
            base_id: id(BASE_ID_AT),
            base_generation: get_u64(b, BASE_GENERATION_AT),
            id: id(ID_AT),
            generation: get_u64(b, GENERATION_AT),
            runs: get_u64(b, RUNS_AT),
            pages: get_u64(b, PAGES_AT),
        })
    }
}

/// Encodes the head of a run.
pub fn run_head(first: u64, pages: u64) -> [u8; RUN_BYTES] {
    let mut head = [0; RUN_BYTES];
    put_u64(&mut head, 0, first);
    put_u64(&mut head, 8, pages);
    head
}

/// Decodes the head of a run: first page, number of pages.
pub fn decode_run_head(head: &[u8; RUN_BYTES]) -> (u64, u64) {
    (get_u64(head, 0), get_u64(head, 8))
}

/// Writes, and sums up what it wrote.
struct Summed<'a> {
    out: &'a mut dyn Write,
    sum: Xxh3,
    bytes: u64,
}

impl Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(writing)?;
        self.sum.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

impl Backup<'_> {
    /// Writes what changed since `base`.
    pub(super) fn write_incremental(
        &self,
        base: &BackupRecord,
        out: &mut dyn Write,
        control: &mut Control<'_>,
    ) -> Result<BackupReport> {
        let (engine, meta) = (self.engine, &self.meta);
        let found = changed(engine, meta, base.generation, control)?;
        let header = Header {
            identity: meta.identity,
            base_id: base.id,
            base_generation: base.generation,
            id: self.id,
            generation: meta.generation,
            runs: found.runs().count() as u64,
            pages: found.count,
        };
        let mut out = Summed { out, sum: Xxh3::new(), bytes: 0 };
        out.write(&header.encode())?;
        out.write(&meta.encode())?;
        let mut done = 0;
        // Only units of after the base are new, and of them all that are reached are in the set.
        let generations = base.generation + 1..=meta.generation;
        let mut copier = Copier::new(&*engine.file, UnitCheck::new(meta.seed(), generations));
        for (first, pages) in found.runs() {
            out.write(&run_head(first, pages))?;
            copier.copy(first, pages, &mut |_, bytes| {
                out.write(bytes)?;
                done += (bytes.len() / PAGE_BYTES) as u64;
                self.check()?;
                control.step(Progress::new("copying", done, found.count, "pages"))
            })?;
        }
        let sum = out.sum.digest().to_le_bytes();
        out.write(&sum)?;
        out.out.flush().map_err(writing)?;
        Ok(self.report(done, out.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let header = Header {
            identity: [1; 16],
            base_id: [2; 16],
            base_generation: 3,
            id: [4; 16],
            generation: 5,
            runs: 6,
            pages: 7,
        };
        let b = header.encode();
        assert_eq!(Header::decode(&b).expect("whole"), header);
        for bit in 0..HEADER_BYTES * 8 {
            let mut bad = b;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bad).is_err(), "bit {bit}");
        }
        let mut newer = b;
        put_u32(&mut newer, VERSION_AT, 2);
        let sum = xxh3_64(&newer[..CHECKSUM_AT]);
        put_u64(&mut newer, CHECKSUM_AT, sum);
        assert!(matches!(Header::decode(&newer), Err(Error::UnknownFormat { version: 2, known: 1, .. })));
    }
}
