//! A disk that nothing can be changed on: every call that would is refused, and counted.

use nyro::testing::{Disk, DiskFile, LockError};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::Arc;

/// See the module.
#[derive(Debug, Clone)]
pub struct SealedDisk {
    disk: Arc<dyn Disk>,
    attempts: Arc<AtomicU64>,
}

#[derive(Debug)]
struct SealedFile {
    file: Arc<dyn DiskFile>,
    attempts: Arc<AtomicU64>,
}

fn refuse<T>(attempts: &AtomicU64) -> io::Result<T> {
    attempts.fetch_add(1, SeqCst);
    Err(io::ErrorKind::PermissionDenied.into())
}

impl SealedDisk {
    pub fn new(disk: impl Disk) -> SealedDisk {
        SealedDisk { disk: Arc::new(disk), attempts: Arc::default() }
    }

    /// Calls that would have changed something, or had opened a file so that they could.
    pub fn attempts(&self) -> u64 {
        self.attempts.load(SeqCst)
    }
}

impl Disk for SealedDisk {
    fn open(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        refuse(&self.attempts)
    }
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open_read(name)?;
        Ok(Arc::new(SealedFile { file, attempts: self.attempts.clone() }))
    }
    fn create(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        refuse(&self.attempts)
    }
    fn remove(&self, _: &str) -> io::Result<()> {
        refuse(&self.attempts)
    }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        refuse(&self.attempts)
    }
    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        self.disk.list(prefix)
    }
    fn sync_dir(&self) -> io::Result<()> {
        refuse(&self.attempts)
    }
}

impl DiskFile for SealedFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buf, offset)
    }
    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        refuse(&self.attempts)
    }
    fn allocate(&self, _: u64) -> io::Result<()> {
        refuse(&self.attempts)
    }
    fn truncate(&self, _: u64) -> io::Result<()> {
        refuse(&self.attempts)
    }
    fn punch(&self, _: u64, _: u64) -> io::Result<bool> {
        refuse(&self.attempts)
    }
    fn sync_data(&self) -> io::Result<()> {
        refuse(&self.attempts)
    }
    fn segment_bytes(&self) -> u64 {
        self.file.segment_bytes()
    }
    fn segment(&self, index: u64) -> io::Result<*const u8> {
        self.file.segment(index)
    }
    fn can_store(&self) -> bool {
        self.file.can_store()
    }
    fn store(&self, _: &[u8], _: u64) -> io::Result<()> {
        refuse(&self.attempts)
    }
    fn lock(&self) -> Result<(), LockError> {
        refuse(&self.attempts).map_err(LockError::Io)
    }
    fn lock_shared(&self) -> Result<(), LockError> {
        self.file.lock_shared()
    }
    fn unlock(&self) {
        self.file.unlock()
    }
}
