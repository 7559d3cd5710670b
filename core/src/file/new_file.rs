//! A file that takes its name when it is whole.
//!
//! ```text
//!   app.bak-new-<random>   written, synced --(rename, one step)--> app.bak      directory synced
//!        |
//!        +-- dropped before: removed, and what was called app.bak is as it was
//! ```
//!
//! The file is locked while it is made. After a crash nobody holds the lock: the next one made for the same
//! name removes what was left.

use super::disk::{Disk, DiskFile, LockError};
use crate::error::{Error, Result};
use std::io;
use std::sync::Arc;

/// How often a new file may be taken for one that was left behind.
const ATTEMPTS: u64 = 16;

/// See the module's text.
#[derive(Debug)]
pub struct NewFile {
    disk: Arc<dyn Disk>,
    name: String,
    /// Its name so far; empty once it has its own.
    temporary: String,
    file: Arc<dyn DiskFile>,
}

impl NewFile {
    /// An empty file that is to be called `name`. `random` tells it from others in the making.
    pub fn begin(disk: Arc<dyn Disk>, name: &str, random: u64) -> Result<NewFile> {
        let doing = |e| Error::io("creating a temporary file", e);
        remove_left_behind(&*disk, name).map_err(doing)?;
        for attempt in 0..ATTEMPTS {
            let temporary = format!("{}{:016x}", prefix(name), random.wrapping_add(attempt));
            let file = match disk.create(&temporary) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other.map_err(doing)?,
            };
            let new = NewFile { disk: disk.clone(), name: name.to_owned(), temporary, file };
            // Somebody may have taken it for a file left behind before it was locked.
            if new.file.lock().is_ok() && new.file.is_linked() {
                return Ok(new);
            }
        }
        Err(doing(io::Error::other("it is removed again and again")))
    }

    /// The file to write to.
    pub fn file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }

    /// Its name so far.
    pub fn temporary(&self) -> &str {
        &self.temporary
    }

    /// Makes the bytes durable and gives them the name, in place of the file that has it, durably. On error
    /// either the old file is there or the new one, whole.
    pub fn take_place(mut self) -> Result<()> {
        self.file.sync_data().map_err(|e| Error::io("syncing a new file", e))?;
        self.disk.rename(&self.temporary, &self.name).map_err(|e| Error::io("giving a new file its name", e))?;
        self.temporary.clear();
        self.disk.sync_dir().map_err(|e| Error::io("syncing the directory", e))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.temporary.is_empty() {
            // Where this fails, the next new file of that name does it.
            let _ = self.disk.remove(&self.temporary);
        }
    }
}

fn prefix(name: &str) -> String {
    format!("{name}-new-")
}

/// Removes what a crash left: such a file has no lock.
fn remove_left_behind(disk: &dyn Disk, name: &str) -> io::Result<()> {
    let prefix = prefix(name);
    for found in disk.list(&prefix)? {
        let number = &found[prefix.len()..];
        if number.len() != 16 || u64::from_str_radix(number, 16).is_err() {
            continue;
        }
        if disk.open_read(&found).is_ok_and(|file| file.lock().is_ok()) {
            match disk.remove(&found) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The file called `name`, locked so that nobody else has it as a database; `None` if there is none.
/// Error: `Locked`.
pub fn claim(disk: &dyn Disk, name: &str) -> Result<Option<Arc<dyn DiskFile>>> {
    let doing = |e| Error::io("opening the file to be replaced", e);
    for _ in 0..ATTEMPTS {
        let file = match disk.open_read(name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(doing)?,
        };
        match file.lock() {
            Err(LockError::Held(holder)) => {
                return Err(Error::Locked { path: name.to_owned(), pid: holder.pid, user: holder.user })
            }
            Err(LockError::Io(e)) => return Err(doing(e)),
            Ok(()) if file.is_linked() => return Ok(Some(file)),
            Ok(()) => {}
        }
    }
    Err(doing(io::Error::other("it is replaced again and again")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::sim::{SimDisk, SimOptions};

    #[test]
    fn a_new_file_takes_its_name_whole_or_leaves_the_old_one() {
        let disk = SimDisk::new(SimOptions::default());
        disk.write_file("a", b"old".to_vec());
        disk.write_file("a-new-00000000000000ff", b"left behind".to_vec());
        disk.write_file("a-new-other", b"not ours".to_vec());
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let first = NewFile::begin(shared.clone(), "a", 1).expect("begins");
        first.file().write_at(b"new", 0).expect("writes");
        drop(first);
        assert_eq!(disk.file_names(), ["a", "a-new-other"]);
        assert_eq!(disk.read_file("a"), b"old");
        let second = NewFile::begin(shared.clone(), "a", 1).expect("begins");
        let third = NewFile::begin(shared, "a", 1).expect("the second one is locked, and so not left behind");
        second.file().write_at(b"new", 0).expect("writes");
        second.take_place().expect("takes its place");
        drop(third);
        assert_eq!(disk.file_names(), ["a", "a-new-other"]);
        assert_eq!(disk.read_file("a"), b"new");
    }

    #[test]
    fn a_file_that_somebody_has_open_as_a_database_is_not_claimed() {
        let disk = SimDisk::new(SimOptions::default());
        assert!(claim(&disk, "a").expect("nothing there").is_none());
        disk.write_file("a", Vec::new());
        let held = disk.open("a").expect("opens");
        held.lock().expect("locks");
        assert!(matches!(claim(&disk, "a"), Err(Error::Locked { .. })));
        drop(held);
        assert!(claim(&disk, "a").expect("free").is_some());
    }
}
