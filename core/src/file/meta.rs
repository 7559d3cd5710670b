//! The two meta pages: where everything else in the file is found from.
//!
//! ```text
//!   page 0  +--------+  page 1  +--------+  page 2 ...
//!           | meta A |          | meta B |
//!           +--------+          +--------+
//! ```
//!
//! In steady state both name the same checkpoint. A checkpoint writes one, syncs, writes the other,
//! syncs; only then may the pages of the checkpoint before be used again. So at any moment one of them
//! is whole, and names a state whose pages are all there. The one with the higher sequence number wins.
//! Format: `docs/file-format.md`, "Meta page".

use super::backups::Backups;
use super::page::{get_u32, get_u64, put_u32, put_u64, PageBuf, PAGE_BYTES};
use super::space::SpaceRoot;
use super::tree::TreeRoot;
use crate::error::{Error, Result};
use crate::plant::{planted, Bug};
use xxhash_rust::xxh3::xxh3_64;

/// The first eight bytes of every NyroDB file.
pub const MAGIC: [u8; 8] = *b"NyroDB\x1a\n";

/// The format version this program writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Number of meta pages at the front of the file.
pub const META_PAGES: u64 = 2;

const MAGIC_AT: usize = 0;
const VERSION_AT: usize = MAGIC_AT + 8;
const PAGE_BYTES_AT: usize = VERSION_AT + 4;
const REQUIRED_AT: usize = PAGE_BYTES_AT + 4;
const OPTIONAL_AT: usize = REQUIRED_AT + 8;
const IDENTITY_AT: usize = OPTIONAL_AT + 8;
const HASH_KEY_AT: usize = IDENTITY_AT + 16;
const SEQUENCE_AT: usize = HASH_KEY_AT + 16;
const GENERATION_AT: usize = SEQUENCE_AT + 8;
const FLAGS_AT: usize = GENERATION_AT + 8;
const COMMIT_AT: usize = FLAGS_AT + 8;
const EPOCH_AT: usize = COMMIT_AT + 8;
const LSN_AT: usize = EPOCH_AT + 8;
const CHAIN_AT: usize = LSN_AT + 8;
const NEXT_ORDINAL_AT: usize = CHAIN_AT + 8;
const NEXT_TREE_AT: usize = NEXT_ORDINAL_AT + 8;
const FILE_PAGES_AT: usize = NEXT_TREE_AT + 8;
const USED_PAGES_AT: usize = FILE_PAGES_AT + 8;
const REGION_PAGES_AT: usize = USED_PAGES_AT + 8;
const TREE_TABLE_AT: usize = REGION_PAGES_AT + 8;
const SPACE_AT: usize = TREE_TABLE_AT + TreeRoot::BYTES;
const BLOCK_PAGES_AT: usize = SPACE_AT + SpaceRoot::BYTES;
const BLOCK_LIVE_BYTES_AT: usize = BLOCK_PAGES_AT + 8;
const MANIFEST_AT: usize = BLOCK_LIVE_BYTES_AT + 8;
const NEXT_RUN_AT: usize = MANIFEST_AT + TreeRoot::BYTES;
const FLUSHED_BYTES_AT: usize = NEXT_RUN_AT + 8;
const RUN_BYTES_AT: usize = FLUSHED_BYTES_AT + 8;
const END: usize = RUN_BYTES_AT + 8;
/// At the end of the page, so that there is room to grow for what stands before.
const BACKUPS_AT: usize = CHECKSUM_AT - Backups::BYTES;
const CHECKSUM_AT: usize = PAGE_BYTES - 8;
const _: () = assert!(END <= BACKUPS_AT);

/// Field names of `docs/file-format.md` and where the code has them.
#[cfg(all(test, not(loom)))]
pub(crate) const LAYOUT: crate::format_tests::Layout = &[
    ("magic", MAGIC_AT),
    ("version", VERSION_AT),
    ("page bytes", PAGE_BYTES_AT),
    ("required features", REQUIRED_AT),
    ("optional features", OPTIONAL_AT),
    ("identity", IDENTITY_AT),
    ("hash key", HASH_KEY_AT),
    ("sequence", SEQUENCE_AT),
    ("generation", GENERATION_AT),
    ("flags", FLAGS_AT),
    ("commit", COMMIT_AT),
    ("epoch", EPOCH_AT),
    ("lsn", LSN_AT),
    ("chain", CHAIN_AT),
    ("next ordinal", NEXT_ORDINAL_AT),
    ("next tree", NEXT_TREE_AT),
    ("file pages", FILE_PAGES_AT),
    ("used pages", USED_PAGES_AT),
    ("region pages", REGION_PAGES_AT),
    ("zero", REGION_PAGES_AT + 4),
    ("tree table", TREE_TABLE_AT),
    ("free space", SPACE_AT),
    ("block pages", BLOCK_PAGES_AT),
    ("block live bytes", BLOCK_LIVE_BYTES_AT),
    ("manifest", MANIFEST_AT),
    ("next run", NEXT_RUN_AT),
    ("flushed bytes", FLUSHED_BYTES_AT),
    ("run bytes", RUN_BYTES_AT),
    ("zero", END),
    ("backups", BACKUPS_AT),
    ("checksum", CHECKSUM_AT),
    ("", PAGE_BYTES),
];

const FLAG_CLEAN: u64 = 1;

/// Everything a meta page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Random identity of the file; seeds every checksum in file and log.
    pub identity: [u8; 16],
    /// Key of the keyed hash of ids.
    pub hash_key: [u64; 2],
    /// Grows by one with each meta page written with new content.
    pub sequence: u64,
    /// Number of the checkpoint.
    pub generation: u64,
    /// All is in the file; no log is needed.
    pub clean: bool,
    /// Last commit that the checkpoint holds.
    pub commit: u64,
    /// Epoch of the log that continues from here.
    pub epoch: u64,
    /// Position in the log from which to replay.
    pub lsn: u64,
    /// Checksum of the frame before `lsn`.
    pub chain: u64,
    /// The next ordinal to give to a record.
    pub next_ordinal: u64,
    /// The next tree number to give to a collection.
    pub next_tree: u64,
    /// Length of the file in pages.
    pub file_pages: u64,
    /// Pages that the checkpoint reaches, the meta pages included.
    pub used_pages: u64,
    /// Pages in a region.
    pub region_pages: u32,
    /// Tree number -> roots of the collection.
    pub tree_table: TreeRoot,
    /// The free-space bitmap.
    pub space: SpaceRoot,
    /// Pages of all record blocks.
    pub block_pages: u64,
    /// Bytes of the live records in them, heads included.
    pub block_live_bytes: u64,
    /// The runs of the sorted index: number -> entry.
    pub manifest: TreeRoot,
    /// For the next run.
    pub next_run: u64,
    /// Bytes of keys and values that were flushed to runs, ever.
    pub flushed_bytes: u64,
    /// Bytes of runs that were written, ever.
    pub run_bytes: u64,
    /// The last named backups.
    pub backups: Backups,
}

/// What the checksum covers: all that stands before it.
fn covered(page: &[u8]) -> &[u8] {
    &page[..if planted(Bug::MetaChecksumShort) { NEXT_ORDINAL_AT } else { CHECKSUM_AT }]
}

impl Meta {
    /// Seed of all unit checksums of this file.
    pub fn seed(&self) -> u64 {
        xxh3_64(&self.identity)
    }

    /// The page, ready to be written.
    pub fn encode(&self) -> PageBuf {
        let mut page = PageBuf::zeroed(1);
        let b: &mut [u8] = &mut page;
        b[MAGIC_AT..VERSION_AT].copy_from_slice(&MAGIC);
        put_u32(b, VERSION_AT, FORMAT_VERSION);
        put_u32(b, PAGE_BYTES_AT, PAGE_BYTES as u32);
        b[IDENTITY_AT..HASH_KEY_AT].copy_from_slice(&self.identity);
        put_u64(b, HASH_KEY_AT, self.hash_key[0]);
        put_u64(b, HASH_KEY_AT + 8, self.hash_key[1]);
        put_u64(b, SEQUENCE_AT, self.sequence);
        put_u64(b, GENERATION_AT, self.generation);
        put_u64(b, FLAGS_AT, if self.clean { FLAG_CLEAN } else { 0 });
        put_u64(b, COMMIT_AT, self.commit);
        put_u64(b, EPOCH_AT, self.epoch);
        put_u64(b, LSN_AT, self.lsn);
        put_u64(b, CHAIN_AT, self.chain);
        put_u64(b, NEXT_ORDINAL_AT, self.next_ordinal);
        put_u64(b, NEXT_TREE_AT, self.next_tree);
        put_u64(b, FILE_PAGES_AT, self.file_pages);
        put_u64(b, USED_PAGES_AT, self.used_pages);
        put_u32(b, REGION_PAGES_AT, self.region_pages);
        self.tree_table.encode(&mut b[TREE_TABLE_AT..SPACE_AT]);
        self.space.encode(&mut b[SPACE_AT..BLOCK_PAGES_AT]);
        put_u64(b, BLOCK_PAGES_AT, self.block_pages);
        put_u64(b, BLOCK_LIVE_BYTES_AT, self.block_live_bytes);
        self.manifest.encode(&mut b[MANIFEST_AT..NEXT_RUN_AT]);
        put_u64(b, NEXT_RUN_AT, self.next_run);
        put_u64(b, FLUSHED_BYTES_AT, self.flushed_bytes);
        put_u64(b, RUN_BYTES_AT, self.run_bytes);
        self.backups.encode(&mut b[BACKUPS_AT..CHECKSUM_AT]);
        let sum = xxh3_64(covered(b));
        put_u64(b, CHECKSUM_AT, sum);
        page
    }

    /// Reads a meta page.
    pub fn decode(b: &[u8], page: u64) -> std::result::Result<Meta, MetaError> {
        if b.len() != PAGE_BYTES || b[MAGIC_AT..VERSION_AT] != MAGIC {
            return Err(MetaError::NotOurs);
        }
        // The version is looked at before the checksum: another version may keep its checksum elsewhere.
        let version = get_u32(b, VERSION_AT);
        let features = get_u64(b, REQUIRED_AT);
        let expected = xxh3_64(covered(b));
        let got = get_u64(b, CHECKSUM_AT);
        if expected != got {
            if version != FORMAT_VERSION && version != 0 && version < 1 << 16 {
                return Err(MetaError::Bad(Error::UnknownFormat { version, known: FORMAT_VERSION, features }));
            }
            return Err(MetaError::Bad(Error::corrupt("meta page", page, CHECKSUM_AT as u32, expected, got)));
        }
        if version != FORMAT_VERSION || features != 0 {
            return Err(MetaError::Bad(Error::UnknownFormat { version, known: FORMAT_VERSION, features }));
        }
        let meta = Meta {
            identity: {
                let mut identity = [0; 16];
                identity.copy_from_slice(&b[IDENTITY_AT..HASH_KEY_AT]);
                identity
            },
            hash_key: [get_u64(b, HASH_KEY_AT), get_u64(b, HASH_KEY_AT + 8)],
            sequence: get_u64(b, SEQUENCE_AT),
            generation: get_u64(b, GENERATION_AT),
            clean: get_u64(b, FLAGS_AT) & FLAG_CLEAN != 0,
            commit: get_u64(b, COMMIT_AT),
            epoch: get_u64(b, EPOCH_AT),
            lsn: get_u64(b, LSN_AT),
            chain: get_u64(b, CHAIN_AT),
            next_ordinal: get_u64(b, NEXT_ORDINAL_AT),
            next_tree: get_u64(b, NEXT_TREE_AT),
            file_pages: get_u64(b, FILE_PAGES_AT),
            used_pages: get_u64(b, USED_PAGES_AT),
            region_pages: get_u32(b, REGION_PAGES_AT),
            tree_table: TreeRoot::decode(&b[TREE_TABLE_AT..SPACE_AT]),
            space: SpaceRoot::decode(&b[SPACE_AT..BLOCK_PAGES_AT]),
            block_pages: get_u64(b, BLOCK_PAGES_AT),
            block_live_bytes: get_u64(b, BLOCK_LIVE_BYTES_AT),
            manifest: TreeRoot::decode(&b[MANIFEST_AT..NEXT_RUN_AT]),
            next_run: get_u64(b, NEXT_RUN_AT),
            flushed_bytes: get_u64(b, FLUSHED_BYTES_AT),
            run_bytes: get_u64(b, RUN_BYTES_AT),
            backups: Backups::decode(&b[BACKUPS_AT..CHECKSUM_AT]).map_err(|at| {
                let at = (BACKUPS_AT + at) as u32;
                MetaError::Bad(Error::corrupt("meta page (name of a backup)", page, at, 0, 0))
            })?,
        };
        meta.check_ranges(b, page).map_err(MetaError::Bad)?;
        Ok(meta)
    }

    /// What a meta page says that is damaged: nothing of it is sure, but all of it is possible. `None` where it
    /// is not, and for a page that is whole.
    pub fn decode_damaged(b: &[u8], page: u64) -> Option<Meta> {
        if b.len() != PAGE_BYTES || Meta::is_whole(b) {
            return None;
        }
        let mut copy = b.to_vec();
        copy[MAGIC_AT..VERSION_AT].copy_from_slice(&MAGIC);
        put_u32(&mut copy, VERSION_AT, FORMAT_VERSION);
        put_u32(&mut copy, PAGE_BYTES_AT, PAGE_BYTES as u32);
        put_u64(&mut copy, REQUIRED_AT, 0);
        let sum = xxh3_64(&copy[..CHECKSUM_AT]);
        put_u64(&mut copy, CHECKSUM_AT, sum);
        Meta::decode(&copy, page).ok()
    }

    /// True if a page has the checksum of a meta page, of whatever version.
    pub fn is_whole(b: &[u8]) -> bool {
        b.len() == PAGE_BYTES
            && b[MAGIC_AT..VERSION_AT] == MAGIC
            && xxh3_64(&b[..CHECKSUM_AT]) == get_u64(b, CHECKSUM_AT)
    }

    /// The identity that a page would name if it were a meta page.
    pub fn identity_in(b: &[u8]) -> Option<[u8; 16]> {
        b.get(IDENTITY_AT..HASH_KEY_AT)?.try_into().ok()
    }

    /// Version, required and optional features that a page names, whatever its checksum.
    pub fn format_in(b: &[u8]) -> Option<(u32, u64, u64)> {
        let is_long = b.len() == PAGE_BYTES;
        is_long.then(|| (get_u32(b, VERSION_AT), get_u64(b, REQUIRED_AT), get_u64(b, OPTIONAL_AT)))
    }

    /// The checksum that a meta page of these bytes should have, and the one it has.
    pub fn checksums_in(b: &[u8]) -> Option<(u64, u64)> {
        (b.len() == PAGE_BYTES).then(|| (xxh3_64(&b[..CHECKSUM_AT]), get_u64(b, CHECKSUM_AT)))
    }

    /// A whole meta page of a hostile file may still hold numbers that make no sense.
    fn check_ranges(&self, b: &[u8], page: u64) -> Result<()> {
        let range = |ok: bool, at: usize, expected: u64, got: u64| {
            if ok {
                Ok(())
            } else {
                Err(Error::corrupt("meta page (value out of range)", page, at as u32, expected, got))
            }
        };
        let page_bytes = get_u32(b, PAGE_BYTES_AT);
        range(page_bytes as usize == PAGE_BYTES, PAGE_BYTES_AT, PAGE_BYTES as u64, page_bytes.into())?;
        let region = self.region_pages;
        range(region.is_power_of_two() && (4..=256).contains(&region), REGION_PAGES_AT, 256, region.into())?;
        range(self.file_pages >= META_PAGES, FILE_PAGES_AT, META_PAGES, self.file_pages)?;
        range(self.file_pages < super::pages::MAX_PAGES, FILE_PAGES_AT, super::pages::MAX_PAGES, self.file_pages)?;
        range(self.used_pages <= self.file_pages, USED_PAGES_AT, self.file_pages, self.used_pages)?;
        range(self.block_pages <= self.file_pages, BLOCK_PAGES_AT, self.file_pages, self.block_pages)?;
        let most = self.block_pages * PAGE_BYTES as u64;
        range(self.block_live_bytes <= most, BLOCK_LIVE_BYTES_AT, most, self.block_live_bytes)?;
        let far = u64::MAX >> 1;
        range(self.commit < far, COMMIT_AT, far, self.commit)?;
        range(self.next_ordinal < far, NEXT_ORDINAL_AT, far, self.next_ordinal)?;
        range(self.sequence < far, SEQUENCE_AT, far, self.sequence)?;
        range(self.generation < far, GENERATION_AT, far, self.generation)?;
        range(self.next_run < far, NEXT_RUN_AT, far, self.next_run)?;
        range(self.epoch < far, EPOCH_AT, far, self.epoch)?;
        range(self.lsn < far, LSN_AT, far, self.lsn)?;
        range((1..u64::from(u32::MAX)).contains(&self.next_tree), NEXT_TREE_AT, u32::MAX.into(), self.next_tree)?;
        let newest = self.backups.iter().map(|backup| backup.generation).max().unwrap_or(0);
        range(newest <= self.generation, BACKUPS_AT, self.generation, newest)
    }
}

/// Why a page is no meta page.
#[derive(Debug)]
pub enum MetaError {
    /// It does not begin like one.
    NotOurs,
    /// It begins like one and is damaged, or of another version.
    Bad(Error),
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn sample() -> Meta {
        Meta {
            identity: *b"0123456789abcdef",
            hash_key: [1, 2],
            sequence: 3,
            generation: 4,
            clean: true,
            commit: 5,
            epoch: 6,
            lsn: 7,
            chain: 8,
            next_ordinal: 9,
            next_tree: 10,
            file_pages: 32,
            used_pages: 12,
            region_pages: 256,
            tree_table: TreeRoot::default(),
            space: SpaceRoot::default(),
            block_pages: 4,
            block_live_bytes: 11,
            manifest: TreeRoot::default(),
            next_run: 12,
            flushed_bytes: 13,
            run_bytes: 14,
            backups: Backups::default(),
        }
    }

    #[test]
    fn every_flipped_bit_of_a_meta_page_is_noticed() {
        let page = sample().encode();
        assert_eq!(Meta::decode(&page, 0).expect("whole"), sample());
        for bit in 0..PAGE_BYTES * 8 {
            let mut copy = page.to_vec();
            copy[bit / 8] ^= 1 << (bit % 8);
            assert!(Meta::decode(&copy, 0).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        let mut page = sample().encode();
        put_u32(&mut page, VERSION_AT, 2);
        let refused = |page: &[u8]| {
            matches!(Meta::decode(page, 0), Err(MetaError::Bad(Error::UnknownFormat { version: 2, known: 1, .. })))
        };
        assert!(refused(&page));
        let sum = xxh3_64(&page[..CHECKSUM_AT]);
        put_u64(&mut page, CHECKSUM_AT, sum);
        assert!(refused(&page));
    }

    #[test]
    fn numbers_are_taken_up_to_their_bounds_and_not_beyond() {
        let far = u64::MAX >> 1;
        let most_pages = crate::file::pages::MAX_PAGES - 1;
        type Set = fn(&mut Meta, u64);
        // The largest that is taken; the one behind it is not.
        let upper: [(Set, u64); 12] = [
            (|meta, n| meta.sequence = n, far - 1),
            (|meta, n| meta.generation = n, far - 1),
            (|meta, n| meta.commit = n, far - 1),
            (|meta, n| meta.epoch = n, far - 1),
            (|meta, n| meta.lsn = n, far - 1),
            (|meta, n| meta.next_ordinal = n, far - 1),
            (|meta, n| meta.next_tree = n, u64::from(u32::MAX) - 1),
            (|meta, n| meta.file_pages = n, most_pages),
            (|meta, n| meta.used_pages = n, 32),
            (|meta, n| meta.block_pages = n, 32),
            (|meta, n| meta.block_live_bytes = n, 4 * PAGE_BYTES as u64),
            (|meta, n| meta.region_pages = n as u32, 256),
        ];
        // The smallest that is taken; the one before it is not.
        let lower: [(Set, u64); 3] = [
            (|meta, n| meta.next_tree = n, 1),
            (|meta, n| meta.region_pages = n as u32, 4),
            // What is used lies in the file.
            (|meta, n| (meta.file_pages, meta.used_pages, meta.block_pages, meta.block_live_bytes) = (n, 0, 0, 0), 2),
        ];
        let taken = |set: Set, n: u64| {
            let mut meta = sample();
            set(&mut meta, n);
            Meta::decode(&meta.encode(), 0).is_ok_and(|read| read == meta)
        };
        for (i, (set, most)) in upper.into_iter().enumerate() {
            assert!(taken(set, most) && !taken(set, most + 1), "upper bound {i}");
        }
        for (i, (set, least)) in lower.into_iter().enumerate() {
            assert!(taken(set, least) && !taken(set, least - 1), "lower bound {i}");
        }
        assert!(!taken(|meta, n| meta.region_pages = n as u32, 24), "no power of two");
    }

    #[test]
    fn a_damaged_meta_page_still_says_what_may_be_true_and_a_whole_one_is_not_guessed_at() {
        let page = sample().encode();
        assert!(Meta::is_whole(&page) && Meta::decode_damaged(&page, 0).is_none());
        for at in [MAGIC_AT, VERSION_AT, PAGE_BYTES_AT, REQUIRED_AT, CHECKSUM_AT] {
            let mut copy = page.to_vec();
            copy[at] ^= 1;
            assert!(!Meta::is_whole(&copy), "byte {at}");
            assert_eq!(Meta::decode_damaged(&copy, 0), Some(sample()), "byte {at}");
        }
        let mut copy = page.to_vec();
        put_u64(&mut copy, FILE_PAGES_AT, u64::MAX);
        assert!(Meta::decode_damaged(&copy, 0).is_none(), "that can't be");
        let short = &page[..PAGE_BYTES - 1];
        assert!(!Meta::is_whole(short) && Meta::decode_damaged(short, 0).is_none());
    }

    #[test]
    fn parts_are_read_from_whatever_stands_there() {
        let mut page = sample().encode();
        put_u32(&mut page, VERSION_AT, 7);
        put_u64(&mut page, REQUIRED_AT, 8);
        put_u64(&mut page, OPTIONAL_AT, 9);
        assert_eq!(Meta::identity_in(&page), Some(sample().identity));
        assert_eq!(Meta::identity_in(&page[..HASH_KEY_AT]), Some(sample().identity));
        assert_eq!(Meta::identity_in(&page[..HASH_KEY_AT - 1]), None);
        assert_eq!(Meta::format_in(&page), Some((7, 8, 9)));
        assert_eq!(Meta::checksums_in(&page), Some((xxh3_64(&page[..CHECKSUM_AT]), get_u64(&page, CHECKSUM_AT))));
        let short = &page[..PAGE_BYTES - 1];
        assert!(Meta::format_in(short).is_none() && Meta::checksums_in(short).is_none());
    }
}
