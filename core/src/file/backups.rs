//! The named backups that a meta page remembers: what an incremental one may be based on.
//!
//! ```text
//!   meta page   ... zero | newest | before | ... | zero |  16 records of 96 bytes
//!                             |
//!                             +--> { random id, checkpoint, commit, name }
//! ```
//!
//! A backup carries its own record in its meta page, so a file says itself which backups it is: those of its
//! records that name its own checkpoint. The database gets the record when the backup has succeeded.
//! Format: `docs/file-format.md`, "Record of a backup".

use super::page::{get_u64, put_u64};

/// Most backups remembered; the oldest one makes room.
pub const MOST: usize = 16;

/// Longest name in bytes.
pub const LONGEST_NAME: usize = RECORD_BYTES - NAME_AT;

const ID_AT: usize = 0;
const GENERATION_AT: usize = ID_AT + 16;
const COMMIT_AT: usize = GENERATION_AT + 8;
const NAME_LENGTH_AT: usize = COMMIT_AT + 8;
const NAME_AT: usize = NAME_LENGTH_AT + 1;
/// Encoded size of a record.
const RECORD_BYTES: usize = 96;

/// Field names of `docs/file-format.md` and where the code has them.
#[cfg(all(test, not(loom)))]
pub(crate) const LAYOUT: crate::format_tests::Layout = &[
    ("id", ID_AT),
    ("generation", GENERATION_AT),
    ("commit", COMMIT_AT),
    ("name length", NAME_LENGTH_AT),
    ("name", NAME_AT),
    ("", RECORD_BYTES),
];

/// The random number that tells a backup from all others; zero for none.
pub type BackupId = [u8; 16];

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupRecord {
    /// Its random id.
    pub id: BackupId,
    /// Its name, 1 to [`LONGEST_NAME`] bytes.
    pub name: String,
    /// The checkpoint that it holds.
    pub generation: u64,
    /// The last commit in it.
    pub commit: u64,
}

/// The backups remembered, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backups(Vec<BackupRecord>);

impl Backups {
    /// Encoded size.
    pub const BYTES: usize = MOST * RECORD_BYTES;

    /// All of them, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = &BackupRecord> {
        self.0.iter()
    }

    /// The one of that name.
    pub fn find(&self, name: &str) -> Option<&BackupRecord> {
        self.0.iter().find(|record| record.name == name)
    }

    /// The one with that id.
    pub fn by_id(&self, id: &BackupId) -> Option<&BackupRecord> {
        self.0.iter().find(|record| record.id == *id)
    }

    /// Adds the newest one, in place of one of the same name.
    pub fn remember(&mut self, record: BackupRecord) {
        self.0.retain(|old| old.name != record.name);
        self.0.insert(0, record);
        self.0.truncate(MOST);
    }

    /// Forgets those of checkpoints after `generation`.
    pub fn forget_after(&mut self, generation: u64) {
        self.0.retain(|record| record.generation <= generation);
    }

    /// Writes them to `b`, which is [`Backups::BYTES`] long and zero.
    pub fn encode(&self, b: &mut [u8]) {
        for (record, b) in self.0.iter().zip(b.chunks_exact_mut(RECORD_BYTES)) {
            let name = record.name.as_bytes();
            b[ID_AT..GENERATION_AT].copy_from_slice(&record.id);
            put_u64(b, GENERATION_AT, record.generation);
            put_u64(b, COMMIT_AT, record.commit);
            b[NAME_LENGTH_AT] = name.len() as u8;
            b[NAME_AT..NAME_AT + name.len()].copy_from_slice(name);
        }
    }

    /// Reads them from `b`, which is [`Backups::BYTES`] long; the offset of a record that can't be, else.
    pub fn decode(b: &[u8]) -> Result<Backups, usize> {
        let mut records = Vec::new();
        for (index, b) in b.chunks_exact(RECORD_BYTES).enumerate() {
            let length = usize::from(b[NAME_LENGTH_AT]);
            if length == 0 {
                break;
            }
            let name = b.get(NAME_AT..NAME_AT + length).and_then(|name| std::str::from_utf8(name).ok());
            let name = name.ok_or(index * RECORD_BYTES + NAME_LENGTH_AT)?.to_owned();
            let mut id = BackupId::default();
            id.copy_from_slice(&b[ID_AT..GENERATION_AT]);
            let (generation, commit) = (get_u64(b, GENERATION_AT), get_u64(b, COMMIT_AT));
            records.push(BackupRecord { id, name, generation, commit });
        }
        Ok(Backups(records))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn record(name: &str, generation: u64) -> BackupRecord {
        BackupRecord { id: [generation as u8; 16], name: name.to_owned(), generation, commit: generation * 10 }
    }

    #[test]
    fn the_last_sixteen_names_are_remembered_and_read_back() {
        let mut backups = Backups::default();
        for generation in 1..=20 {
            backups.remember(record(&"n".repeat(generation as usize), generation));
        }
        backups.remember(record("nnnnnnn", 21));
        let mut b = vec![0; Backups::BYTES];
        backups.encode(&mut b);
        let read = Backups::decode(&b).expect("whole");
        assert_eq!(read, backups);
        assert_eq!(read.iter().count(), MOST);
        assert_eq!(read.find("nnnnnnn").map(|r| r.generation), Some(21));
        assert!(read.find("nnnn").is_none() && read.find("nnnnn").is_some());
        assert_eq!(read.by_id(&[20; 16]).map(|r| r.generation), Some(20));
        backups.forget_after(19);
        assert!(backups.find("nnnnnnn").is_none() && backups.by_id(&[19; 16]).is_some());
    }

    #[test]
    fn a_record_that_no_writer_made_is_refused() {
        let mut backups = Backups::default();
        backups.remember(record("first", 1));
        backups.remember(record("second", 2));
        let mut b = vec![0; Backups::BYTES];
        backups.encode(&mut b);
        for (at, value) in [(NAME_AT, 0xff), (NAME_LENGTH_AT, 64), (NAME_LENGTH_AT, 255)] {
            let mut bad = b.clone();
            bad[RECORD_BYTES + at] = value;
            assert_eq!(Backups::decode(&bad), Err(RECORD_BYTES + NAME_LENGTH_AT));
        }
    }
}
