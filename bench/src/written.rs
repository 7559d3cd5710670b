//! Bytes that reach the disk, the same way for all engines: what the device under the directory has written, after
//! everything that was left to write has been written. So what the system writes of mappings counts, which no account
//! of a process does. What other processes write to the same device meanwhile counts, too.

use crate::engine::Outcome;
use crate::machine;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes of a sector in the statistics of a device, whatever those of the device are.
const SECTOR: u64 = 512;

/// A count that has begun.
pub struct Written {
    directory: PathBuf,
    before: u64,
}

impl Written {
    /// Begins, with nothing left to write.
    pub fn start(directory: &Path) -> Outcome<Written> {
        machine::sync_file_system(directory)?;
        Ok(Written { directory: directory.to_owned(), before: total(directory)? })
    }

    /// Bytes written since, once all that was left is written.
    pub fn bytes(&self) -> Outcome<u64> {
        machine::sync_file_system(&self.directory)?;
        Ok(total(&self.directory)?.saturating_sub(self.before))
    }
}

/// Bytes written by the device of a directory; by this process where its file system has no device of its own.
fn total(directory: &Path) -> Outcome<u64> {
    let device = std::fs::metadata(directory)?.dev();
    let statistics = format!("/sys/dev/block/{}:{}/stat", libc::major(device), libc::minor(device));
    let Ok(statistics) = std::fs::read_to_string(statistics) else { return Ok(machine::written_bytes()) };
    let sectors = statistics.split_whitespace().nth(6).ok_or("the statistics of the device have no sectors")?;
    Ok(sectors.parse::<u64>()? * SECTOR)
}
