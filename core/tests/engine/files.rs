//! Real files to damage, and what is needed to damage them well: where units and their checksums
//! are (`docs/file-format.md`).

use nyro::testing::{self, Rng, SimDisk, SimEnv, SimOptions, TestConfig};
use nyro::{doc, Database, Document, Durability, Options, Result};
use std::sync::Arc;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

pub const PAGE: usize = 4096;
pub const NAME: &str = "a.nyro";

const IDENTITY_AT: usize = 32;
const META_CHECKSUM_AT: usize = PAGE - 8;
const KIND_EXTENT: u8 = 8;
const EXTENT_PIECE: usize = 64 << 10;

/// The files of a database: names and bytes.
#[derive(Clone)]
pub struct Files(pub Vec<(String, Vec<u8>)>);

impl Files {
    pub fn data(&mut self) -> &mut Vec<u8> {
        &mut self.0.iter_mut().find(|(name, _)| name == NAME).expect("the data file").1
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0.iter().find(|(name, _)| name == NAME).expect("the data file").1
    }

    pub fn pages(&self) -> usize {
        self.bytes().len() / PAGE
    }

    /// The log segments' places in the list.
    pub fn segments(&self) -> Vec<usize> {
        (0..self.0.len()).filter(|&i| self.0[i].0.contains("-wal-")).collect()
    }

    pub fn total(&self) -> usize {
        self.0.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    pub fn on_disk(&self) -> SimDisk {
        SimDisk::from_files(SimOptions { file_capacity: 8 << 20, seed: 0 }, self.0.clone())
    }

    fn identity(&self) -> [u8; 16] {
        self.bytes()[IDENTITY_AT..IDENTITY_AT + 16].try_into().expect("16 bytes")
    }

    /// Bytes that the checksum of the unit at `page` covers, as its header says.
    pub fn covered(&self, page: usize) -> usize {
        let bytes = &self.bytes()[page * PAGE..];
        let length = match bytes[14] {
            KIND_EXTENT => (u32_at(bytes, 48) as usize).saturating_mul(PAGE).min(EXTENT_PIECE),
            _ => PAGE << bytes[15].min(5),
        };
        length.max(PAGE).min(bytes.len())
    }

    /// Whether a whole unit begins at `page`.
    pub fn is_unit(&self, page: usize) -> bool {
        let covered = self.covered(page);
        let bytes = &self.bytes()[page * PAGE..][..covered];
        let number = u64_at(bytes, 8) & 0xffff_ffff_ffff;
        number == page as u64 && (1..=9).contains(&bytes[14]) && u64_at(bytes, 0) == self.unit_sum(page, covered)
    }

    fn unit_sum(&self, page: usize, covered: usize) -> u64 {
        let seed = xxh3_64(&self.identity());
        xxh3_64_with_seed(&self.bytes()[page * PAGE + 8..page * PAGE + covered], seed)
    }

    /// Makes the checksum of the unit at `page` right for the `covered` bytes it has now.
    /// Another number somewhere in the unit at `page`, with a checksum that vouches for it.
    pub fn forge(&mut self, page: usize, rng: &mut Rng) {
        let covered = self.covered(page);
        let (offset, width) = place_in_unit(covered, rng);
        let value = [0, u64::MAX, rng.below(1 << 16), rng.next_u64()][rng.below(4) as usize];
        self.data()[page * PAGE + offset..][..width].copy_from_slice(&value.to_le_bytes()[..width]);
        self.reseal(page, covered);
    }

    pub fn reseal(&mut self, page: usize, covered: usize) {
        let sum = self.unit_sum(page, covered);
        self.data()[page * PAGE..][..8].copy_from_slice(&sum.to_le_bytes());
    }

    /// Makes the checksum of a meta page right.
    pub fn reseal_meta(&mut self, page: usize) {
        let meta = &mut self.data()[page * PAGE..][..PAGE];
        let sum = xxh3_64(&meta[..META_CHECKSUM_AT]);
        meta[META_CHECKSUM_AT..].copy_from_slice(&sum.to_le_bytes());
    }
}

pub fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(b[at..at + 4].try_into().expect("4 bytes"))
}

pub fn u64_at(b: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(b[at..at + 8].try_into().expect("8 bytes"))
}

pub fn config() -> TestConfig {
    let options = Options {
        durability: Durability::Manual,
        log_max_bytes: 1 << 20,
        cache_bytes: 8 << 20,
        read_mode: nyro::testing::read_mode(),
        ..Options::default()
    };
    TestConfig { options, segment_bytes: 64 << 10, ..TestConfig::default() }
}

pub fn open(disk: &SimDisk) -> Result<Database> {
    open_with(disk, config().options)
}

pub fn open_with(disk: &SimDisk, options: Options) -> Result<Database> {
    let config = TestConfig { options, ..config() };
    testing::open(Arc::new(disk.clone()), Arc::new(SimEnv::new(7)), NAME, &config)
}

fn fill(db: &Database) -> Result<()> {
    db.write(|tx| {
        for i in 0..3000_u64 {
            tx.collection::<Document>("many").put(&doc! { "_id": i * 977, "n": i })?;
        }
        for i in 0..200_u64 {
            let text = "x".repeat(i as usize * 7);
            tx.collection::<Document>("text").put(&doc! { "_id": format!("key {i}"), "text": text })?;
            tx.collection::<Document>("gone").put(&doc! { "_id": i, "n": 1 })?;
        }
        for i in 0..5_u8 {
            let text = "y".repeat(20_000 + usize::from(i) * 25_000);
            tx.collection::<Document>("large").put(&doc! { "_id": (&[i]), "text": text })?;
        }
        tx.create_collection("empty")
    })?;
    db.checkpoint()?;
    db.write(|tx| {
        for i in (0..3000_u64).step_by(3) {
            tx.collection::<Document>("many").delete(i * 977)?;
        }
        for i in (0..200_u64).step_by(2) {
            tx.collection::<Document>("text").put(&doc! { "_id": format!("key {i}"), "text": "short" })?;
        }
        tx.collection::<Document>("large").delete([1_u8])?;
        tx.drop_collection("gone").map(|_| ())
    })?;
    db.checkpoint()
}

fn files_of(disk: &SimDisk) -> Files {
    Files(disk.file_names().into_iter().map(|name| (name.clone(), disk.read_file(&name))).collect())
}

/// A file that was closed.
pub fn clean() -> Files {
    let disk = SimDisk::new(SimOptions { file_capacity: 8 << 20, seed: 0 });
    let db = open(&disk).expect("opens");
    fill(&db).expect("fills");
    db.close().expect("closes");
    files_of(&disk)
}

/// A file that was not closed, with some two hundred commits in two or more segments of its log.
pub fn unclean() -> Files {
    let disk = SimDisk::new(SimOptions { file_capacity: 8 << 20, seed: 0 });
    let db = open(&disk).expect("opens");
    fill(&db).expect("fills");
    let (many, text) = (db.collection::<Document>("many"), db.collection::<Document>("text"));
    for i in 0..200_u64 {
        many.put(&doc! { "_id": i * 977, "again": i }).expect("puts");
        match i % 5 {
            0 => drop(text.delete(format!("key {i}")).expect("deletes")),
            1 => drop(text.put(&doc! { "_id": format!("key {i}"), "text": "z".repeat(900) }).expect("puts")),
            2 if i % 20 == 2 => {
                let large = doc! { "_id": (&[i as u8]), "text": "w".repeat(18_000) };
                drop(db.collection::<Document>("large").put(&large).expect("puts"));
            }
            _ => {}
        }
        if i == 150 {
            db.sync().expect("syncs");
        }
    }
    db.drop_collection("empty").expect("drops");
    testing::abandon(db);
    files_of(&disk)
}

/// Where a unit of so many covered bytes may have structure, and the width of a number there: at its beginning, at its
/// end, or anywhere.
pub fn place_in_unit(covered: usize, rng: &mut Rng) -> (usize, usize) {
    let offset = match rng.below(4) {
        0 => 14 + rng.below(50) as usize,
        1 => 48 + rng.below(200) as usize,
        2 => covered - 1 - rng.below(200) as usize,
        _ => 8 + rng.below(covered as u64 - 8) as usize,
    };
    (offset, [1, 1, 2, 4, 6, 8][rng.below(6) as usize].min(covered - offset))
}
