//! A disk on which a test decides when, and whether, a sync succeeds: for orders of events between threads.

use crate::file::disk::{Disk, DiskFile, LockError};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Called before each sync with the file's name.
type Hook = Arc<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// A disk that asks before each sync of a file: the hook may wait, or fail the sync.
#[derive(Clone)]
pub struct HookedDisk {
    disk: Arc<dyn Disk>,
    hook: Hook,
    network: Option<String>,
    fails_reads: Arc<AtomicBool>,
}

#[derive(Clone)]
struct HookedFile {
    file: Arc<dyn DiskFile>,
    name: String,
    hook: Hook,
    fails_reads: Arc<AtomicBool>,
}

impl std::fmt::Debug for HookedDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookedDisk")
    }
}

impl std::fmt::Debug for HookedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookedFile")
    }
}

impl HookedDisk {
    /// A disk over `disk` that calls `hook` with the name of a file before that is synced.
    pub fn new(disk: Arc<dyn Disk>, hook: impl Fn(&str) -> io::Result<()> + Send + Sync + 'static) -> HookedDisk {
        HookedDisk { disk, hook: Arc::new(hook), network: None, fails_reads: Arc::default() }
    }

    /// The same disk, which says that it lies on a network file system of this kind.
    pub fn on_network_file_system(self, kind: &str) -> HookedDisk {
        HookedDisk { network: Some(kind.to_owned()), ..self }
    }

    /// From here on reads of files fail, or work again; what is read through a mapping is not asked.
    pub fn fail_reads(&self, fail: bool) {
        self.fails_reads.store(fail, Ordering::SeqCst);
    }

    fn wrap(&self, name: &str, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(HookedFile {
            file,
            name: name.to_owned(),
            hook: self.hook.clone(),
            fails_reads: self.fails_reads.clone(),
        })
    }
}

impl Disk for HookedDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(name, self.disk.open(name)?))
    }
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(name, self.disk.open_read(name)?))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn network_file_system(&self) -> io::Result<Option<String>> {
        match &self.network {
            Some(kind) => Ok(Some(kind.clone())),
            None => self.disk.network_file_system(),
        }
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(name, self.disk.create(name)?))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        self.disk.list(prefix)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }
}

impl DiskFile for HookedFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        if self.fails_reads.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        self.file.read_at(buf, offset)
    }
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(data, offset)
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
    fn punch(&self, offset: u64, len: u64) -> io::Result<bool> {
        self.file.punch(offset, len)
    }
    fn allocated_bytes(&self) -> io::Result<u64> {
        self.file.allocated_bytes()
    }
    fn sync_data(&self) -> io::Result<()> {
        (self.hook)(&self.name)?;
        self.file.sync_data()
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
    fn store(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.file.store(data, offset)
    }
    fn end_stores(&self) {
        self.file.end_stores();
    }
    fn lock(&self) -> Result<(), LockError> {
        self.file.lock()
    }
    fn lock_shared(&self) -> Result<(), LockError> {
        self.file.lock_shared()
    }
    fn unlock(&self) {
        self.file.unlock()
    }
    fn forsake(&self) {
        self.file.forsake()
    }
    fn is_linked(&self) -> bool {
        self.file.is_linked()
    }
}
