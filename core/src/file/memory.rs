//! The disk of `:memory:`: files that live in anonymous memory and are gone with the process.
//!
//! It lends its own pages, as the mapping of a real file would, so that everything above is the same
//! code. Space is reserved a segment at a time and paid for when it is first written.

use super::disk::{Disk, DiskFile, LockError};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};
use memmap2::{MmapMut, MmapOptions};
use std::collections::HashMap;
use std::io;

const SEGMENT_BYTES: u64 = 1 << 30;

/// Files by name.
#[derive(Debug, Default)]
pub struct MemoryDisk {
    files: Mutex<HashMap<String, Arc<MemoryFile>>>,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }
}

#[derive(Default)]
struct MemoryFile {
    len: AtomicU64,
    /// Segments; never removed, so that what was lent stays.
    segments: Mutex<Vec<Segment>>,
}

struct Segment {
    map: MmapMut,
}

impl std::fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryFile").field("len", &self.len).finish_non_exhaustive()
    }
}

impl MemoryFile {
    fn base(&self, index: u64) -> io::Result<*mut u8> {
        let mut segments = self.segments.lock();
        while segments.len() as u64 <= index {
            let map = MmapOptions::new().len(SEGMENT_BYTES as usize).no_reserve_swap().map_anon()?;
            segments.push(Segment { map });
        }
        Ok(segments[index as usize].map.as_mut_ptr())
    }

    /// Calls `copy` with the memory of each part of the range that lies in one segment.
    fn parts(&self, len: usize, offset: u64, mut copy: impl FnMut(*mut u8, usize, usize)) -> io::Result<()> {
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let within = (at % SEGMENT_BYTES) as usize;
            let part = (len - done).min(SEGMENT_BYTES as usize - within);
            copy(self.base(at / SEGMENT_BYTES)?.wrapping_add(within), done, part);
            done += part;
        }
        Ok(())
    }
}

impl Disk for MemoryDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        match self.files.lock().get(name) {
            Some(file) => Ok(file.clone()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn open_read(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.open(name)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = Arc::new(MemoryFile::default());
        self.files.lock().insert(name.to_owned(), file.clone());
        Ok(file)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files.lock().remove(name).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files.lock();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        Ok(self.files.lock().keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len.load(Ordering::Acquire))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        if offset.saturating_add(buf.len() as u64) > self.len.load(Ordering::Acquire) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.parts(buf.len(), offset, |memory, at, len| {
            // SAFETY: `parts` gives `len` bytes inside one segment, which is never unmapped before the
            // file is dropped.
            unsafe { std::ptr::copy_nonoverlapping(memory, buf[at..at + len].as_mut_ptr(), len) }
        })
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.parts(data.len(), offset, |memory, at, len| {
            // SAFETY: as in `read_at`; readers of lent memory do not look at pages being written (the
            // engine writes only pages that nothing reaches).
            unsafe { std::ptr::copy_nonoverlapping(data[at..at + len].as_ptr(), memory, len) }
        })?;
        self.len.fetch_max(offset + data.len() as u64, Ordering::AcqRel);
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.len.fetch_max(len, Ordering::AcqRel);
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.len.store(len, Ordering::Release);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn segment_bytes(&self) -> u64 {
        SEGMENT_BYTES
    }

    fn segment(&self, index: u64) -> io::Result<*const u8> {
        Ok(self.base(index)?.cast_const())
    }

    fn can_store(&self) -> bool {
        false
    }

    fn store(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.write_at(data, offset)
    }

    fn lock(&self) -> Result<(), LockError> {
        Ok(())
    }

    fn lock_shared(&self) -> Result<(), LockError> {
        Ok(())
    }

    fn unlock(&self) {}
}
