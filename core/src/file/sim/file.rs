//! An open file of the simulated disk.

use super::inode::{Change, Inode, SECTOR_BYTES, WORD_BYTES};
use super::record::Effect;
use super::state::{Request, State};
use super::{Observer, Shared};
use crate::file::disk::{DiskFile, Holder, LockError};
use crate::sync::{AtomicBool, DeviceGuard, Ordering};
use std::fmt;
use std::io;
use std::sync::Arc;

/// See the module.
pub(super) struct SimFile {
    shared: Arc<Shared>,
    inode: Arc<Inode>,
    holds_lock: AtomicBool,
    /// Holds the shared lock.
    reads: AtomicBool,
}

impl SimFile {
    pub(super) fn new(shared: Arc<Shared>, inode: Arc<Inode>) -> SimFile {
        SimFile { shared, inode, holds_lock: AtomicBool::new(false), reads: AtomicBool::new(false) }
    }

    /// The state, if the machine is on.
    fn state(&self) -> io::Result<DeviceGuard<'_, State>> {
        let state = self.shared.state.lock();
        state.faults.check_power()?;
        Ok(state)
    }

    /// Calls the observer, without the lock, so that it may look at the disk.
    fn observe(&self, tell: impl FnOnce(&dyn Observer, &str)) -> io::Result<()> {
        let observer = self.state()?.observer.clone();
        if let Some(observer) = observer {
            tell(&*observer, &self.inode.name);
        }
        Ok(())
    }

    fn request(&self, call: &'static str, offset: u64, len: u64, effect: Effect) -> Request<'_> {
        let name = self.inode.name.clone();
        Request { call, name, inode: Some(&self.inode), offset, len, needs_space: false, effect }
    }

    /// Where a range ends, if the file can be that long.
    fn end_of(&self, offset: u64, len: u64) -> io::Result<u64> {
        match offset.checked_add(len) {
            Some(end) if end <= self.inode.memory.capacity() => Ok(end),
            _ => Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!(
                    "{} would be longer than a simulated file can be ({} bytes)",
                    self.inode.name,
                    self.inode.memory.capacity()
                ),
            )),
        }
    }

    fn put(&self, call: &'static str, data: &[u8], offset: u64, atom: usize) -> io::Result<()> {
        let len = data.len() as u64;
        let end = self.end_of(offset, len)?;
        if data.is_empty() {
            return self.state().map(drop);
        }
        self.observe(|observer, name| observer.before_write(name, offset, data))?;
        let mut state = self.state()?;
        let grows = end > self.inode.content.lock().len;
        if call == "store" && !self.inode.content.lock().is_written(offset..end) {
            let message = format!("store of {len} bytes at {offset}, where nothing was written before");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let effect = Effect::Change(Change::Write { offset, data: data.into(), atom });
        state.perform(Request { needs_space: grows, ..self.request(call, offset, len, effect) })
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile").field("name", &self.inode.name).finish_non_exhaustive()
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let _on = self.state()?;
        let len = self.inode.content.lock().len;
        Ok(len)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let _on = self.state()?;
        let content = self.inode.content.lock();
        match offset.checked_add(buf.len() as u64) {
            Some(end) if end <= content.len || buf.is_empty() => {
                if !buf.is_empty() {
                    self.inode.memory.read(buf, offset);
                }
                Ok(())
            }
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.put("write", data, offset, SECTOR_BYTES)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.end_of(0, len)?;
        let mut state = self.state()?;
        if self.inode.content.lock().len >= len {
            return Ok(());
        }
        let request = self.request("allocate", 0, len, Effect::Change(Change::Grow(len)));
        state.perform(Request { needs_space: true, ..request })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.observe(|observer, name| observer.before_truncate(name, len))?;
        let mut state = self.state()?;
        if self.inode.content.lock().len <= len {
            return Ok(());
        }
        state.perform(self.request("truncate", 0, len, Effect::Change(Change::Cut(len))))
    }

    /// A hole reads as zeros: a write of zeros that needs no space.
    fn punch(&self, offset: u64, len: u64) -> io::Result<bool> {
        let inside = self.inode.content.lock().len;
        let len = len.min(inside.saturating_sub(offset));
        self.put("punch", &vec![0; len as usize], offset, SECTOR_BYTES)?;
        Ok(true)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state()?.perform(self.request("sync", 0, 0, Effect::Sync))?;
        self.observe(|observer, name| observer.after_sync(name))
    }

    fn segment_bytes(&self) -> u64 {
        self.inode.memory.capacity()
    }

    fn segment(&self, index: u64) -> io::Result<*const u8> {
        let _on = self.state()?;
        match index {
            0 => Ok(self.inode.memory.pointer()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no segment {index}"))),
        }
    }

    fn can_store(&self) -> bool {
        self.shared.state.lock().can_store
    }

    fn store(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.put("store", data, offset, WORD_BYTES)
    }

    fn lock(&self) -> Result<(), LockError> {
        let _on = self.state().map_err(LockError::Io)?;
        let mut content = self.inode.content.lock();
        let held = content.locked && !self.holds_lock.load(Ordering::Relaxed);
        let shared = content.readers > usize::from(self.reads.load(Ordering::Relaxed));
        if held || shared {
            return Err(LockError::Held(Holder { pid: std::process::id(), user: "simulated".to_owned() }));
        }
        content.locked = true;
        self.holds_lock.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn lock_shared(&self) -> Result<(), LockError> {
        let _on = self.state().map_err(LockError::Io)?;
        let mut content = self.inode.content.lock();
        if content.locked {
            return Err(LockError::Held(Holder { pid: std::process::id(), user: "simulated".to_owned() }));
        }
        if !self.reads.swap(true, Ordering::Relaxed) {
            content.readers += 1;
        }
        Ok(())
    }

    fn unlock(&self) {
        if self.holds_lock.swap(false, Ordering::Relaxed) {
            self.inode.content.lock().locked = false;
        }
        if self.reads.swap(false, Ordering::Relaxed) {
            self.inode.content.lock().readers -= 1;
        }
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.unlock();
    }
}
