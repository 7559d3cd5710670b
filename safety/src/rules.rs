//! Rules about every write to the data file, asked at the moment it is made.
//!
//! ```text
//!   write of a page        no durable meta page reaches it, and no snapshot that is held
//!   write of a meta page   all pages that it names are durable, and the file is durably as long as it says
//!   cutting the file       never shorter than a meta page says, durable or visible
//! ```
//!
//! What a meta page reaches is read from its free-space bitmap, by code of its own (`docs/file-format.md`); files of
//! the lanes are small, so one chunk holds all bits.

use nyro::testing::SimDisk;

const PAGE: usize = 4096;
/// Places in a meta page and in a chunk of the free space, as the file format has them.
const SEQUENCE_AT: usize = 64;
const FILE_PAGES_AT: usize = 136;
const SPACE_AT: usize = 168;
const BITS_AT: usize = 64;
const BITS: usize = 16_384;

/// One bit a page: reached.
type Bitmap = Vec<u8>;

/// What must not be written to, and what was seen.
#[derive(Default)]
pub struct Rules {
    name: String,
    /// The durable meta pages that `forbidden` was taken from.
    metas: Vec<u8>,
    forbidden: Bitmap,
    /// Pages of the newest durable checkpoint.
    newest: Bitmap,
    /// Those that snapshots hold.
    held: Vec<Bitmap>,
    /// How many meta pages were looked at before they were written.
    pub metas_checked: u64,
}

fn number(meta: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(meta[at..at + 8].try_into().expect("eight bytes"))
}

/// True for a meta page that names a checkpoint; the first ones are those of a file still being made.
fn names_a_checkpoint(meta: &[u8]) -> bool {
    meta.len() == PAGE && &meta[..6] == b"NyroDB" && number(meta, SEQUENCE_AT) > 1
}

/// Where the bitmap of the pages that a meta page reaches lies.
fn bitmap_at(meta: &[u8]) -> usize {
    let mut chunk = [0; 8];
    chunk[..6].copy_from_slice(&meta[SPACE_AT..][..6]);
    u64::from_le_bytes(chunk) as usize * PAGE + BITS_AT
}

fn has(bitmap: &[u8], page: usize) -> bool {
    bitmap.get(page / 8).is_some_and(|byte| byte >> (page % 8) & 1 == 1)
}

impl Rules {
    /// Rules for the data file `name`.
    pub fn new(name: &str) -> Rules {
        Rules { name: name.to_owned(), ..Rules::default() }
    }

    /// From here on a snapshot holds the newest durable checkpoint.
    pub fn hold(&mut self) {
        self.held.push(self.newest.clone());
    }

    /// All snapshots are gone.
    pub fn let_go_of_all(&mut self) {
        self.held.clear();
    }

    /// Takes the bits of the durable checkpoints, after a sync.
    pub fn look(&mut self, disk: &SimDisk) {
        let Some(file) = disk.durable(&self.name) else { return };
        if file.len() < 2 * PAGE || self.metas == file[..2 * PAGE] {
            return;
        }
        self.metas = file[..2 * PAGE].to_vec();
        self.forbidden = vec![0; BITS / 8];
        let mut newest = 0;
        for slot in 0..2 {
            let meta = &file[slot * PAGE..][..PAGE];
            if !names_a_checkpoint(meta) {
                continue;
            }
            let pages = number(meta, FILE_PAGES_AT) as usize;
            assert!(file.len() >= pages * PAGE, "the file is shorter than its meta page {slot} says: {} pages", pages);
            let Some(bits) = file.get(bitmap_at(meta)..).and_then(|rest| rest.get(..BITS / 8)) else { continue };
            self.forbidden.iter_mut().zip(bits).for_each(|(all, bits)| *all |= bits);
            if number(meta, SEQUENCE_AT) >= newest {
                newest = number(meta, SEQUENCE_AT);
                self.newest = bits.to_vec();
            }
        }
    }

    /// Asked before a write.
    pub fn before_write(&mut self, disk: &SimDisk, offset: u64, data: &[u8]) {
        let first = offset as usize / PAGE;
        for page in first.max(2)..(offset as usize + data.len()).div_ceil(PAGE) {
            assert!(!has(&self.forbidden, page), "page {page} is written, and a durable checkpoint reaches it");
            let holder = self.held.iter().find(|bitmap| has(bitmap, page));
            assert!(holder.is_none(), "page {page} is written, and a snapshot reaches it");
        }
        if first < 2 && data.len() == PAGE && names_a_checkpoint(data) {
            self.before_meta(disk, first, data);
        }
    }

    fn before_meta(&mut self, disk: &SimDisk, slot: usize, meta: &[u8]) {
        let page = |offset: usize, length: usize| disk.read_part(&self.name, offset as u64, length as u64);
        // Recovery writes the one that it chose again as it was: that names nothing new.
        if page(slot * PAGE, PAGE) == meta {
            return;
        }
        let durable = disk.durable_len(&self.name) as usize;
        let pages = number(meta, FILE_PAGES_AT) as usize;
        assert!(durable >= pages * PAGE, "a meta page says {pages} pages, and the file has durably {durable} bytes");
        let bits = &page(bitmap_at(meta), BITS / 8)[..];
        assert!(bits.len() == BITS / 8, "a meta page names free space beyond the file");
        for range in disk.unsynced(&self.name) {
            for page in (range.start as usize / PAGE).max(2)..(range.end as usize).div_ceil(PAGE) {
                assert!(
                    !has(bits, page),
                    "a meta page is written that reaches page {page}, which is not durable\n{}",
                    disk.trace()
                );
            }
        }
        self.metas_checked += 1;
    }

    /// Asked before the file is cut.
    pub fn before_truncate(&self, disk: &SimDisk, len: u64) {
        let visible = disk.read_part(&self.name, 0, 2 * PAGE as u64);
        for file in [&visible, &self.metas] {
            for meta in file.chunks(PAGE).take(2).filter(|meta| names_a_checkpoint(meta)) {
                let pages = number(meta, FILE_PAGES_AT);
                assert!(
                    len >= pages * PAGE as u64,
                    "the file is cut to {len} bytes, and a meta page says {pages} pages"
                );
            }
        }
    }
}
