//! A directory in which nothing can be changed: for what is read beside a damaged file.

use super::disk::{Disk, DiskFile};
use std::io;
use std::sync::Arc;

/// A disk that opens everything for reading only, and refuses all else.
#[derive(Debug)]
pub struct ReadOnlyDisk(pub Arc<dyn Disk>);

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "opened for reading only"))
}

impl Disk for ReadOnlyDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.0.open_read(name)
    }
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.0.open_read(name)
    }
    fn create(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        refused()
    }
    fn remove(&self, _: &str) -> io::Result<()> {
        refused()
    }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        refused()
    }
    fn network_file_system(&self) -> io::Result<Option<String>> {
        self.0.network_file_system()
    }
    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        self.0.list(prefix)
    }
    fn sync_dir(&self) -> io::Result<()> {
        refused()
    }
}
