//! The simulated disk: it sees every change, can fail at any of them, and can be cut at any moment.
//!
//! ```text
//!   engine --(write, store, allocate, truncate, create, remove, sync: numbered 1..n)--> SimDisk
//!                                                                                          |
//!        visible bytes (lent memory) = durable bytes + changes no sync has covered  <------+
//!                                            |
//!                    crash_image(policy):  durable bytes + some of those changes, some torn
//!                    process_crash_image:  all visible, and what was not durable still is not
//! ```
//!
//! What it promises and what it leaves out is in `docs/testing.md`, "The simulated disk".

mod crash;
mod directory;
mod fault;
mod file;
mod inode;
mod memory;
mod record;
mod state;

pub use crash::CrashPolicy;
pub use fault::{is_power_cut, Persist, SimError};
pub use record::Replay;

use crate::file::disk::{check_name, Disk, DiskFile};
use crate::sync::DeviceMutex;
use crash::Chooser;
use directory::{Directory, Names};
use file::SimFile;
use inode::Inode;
use record::{Effect, Operation, Recording};
use state::{Request, State};
use std::fmt;
use std::io;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How a simulated disk begins.
#[derive(Debug, Clone, Copy)]
pub struct SimOptions {
    /// The most a file can hold, and the size of its one segment; rounded up to a power of two.
    /// Memory is used only for what is written.
    pub file_capacity: u64,
    /// Decides what is done in part where an operation fails.
    pub seed: u64,
}

impl Default for SimOptions {
    fn default() -> Self {
        SimOptions { file_capacity: 16 << 20, seed: 0 }
    }
}

/// Watches the operations of a disk, to assert rules about them. Called without the disk's lock, so
/// it may look at the disk.
pub trait Observer: Send + Sync {
    /// These bytes are about to be written or stored at `offset`, or zeros by a hole.
    fn before_write(&self, _name: &str, _offset: u64, _data: &[u8]) {}
    /// The file is about to be cut to `len` bytes.
    fn before_truncate(&self, _name: &str, _len: u64) {}
    /// A sync of the file has succeeded.
    fn after_sync(&self, _name: &str) {}
    /// A sync of the directory has succeeded.
    fn after_sync_dir(&self) {}
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    shared: Arc<Shared>,
}

struct Shared {
    /// Locked before any file's content.
    state: DeviceMutex<State>,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").finish_non_exhaustive()
    }
}

impl SimDisk {
    /// An empty disk.
    pub fn new(options: SimOptions) -> SimDisk {
        SimDisk::of(State::new(options))
    }

    fn of(state: State) -> SimDisk {
        SimDisk { shared: Arc::new(Shared { state: DeviceMutex::new(state) }) }
    }

    /// A disk with these files, durably.
    pub fn from_files(options: SimOptions, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> SimDisk {
        let disk = SimDisk::new(options);
        for (name, bytes) in files {
            disk.write_file(&name, bytes);
        }
        disk
    }

    /// Sets what [`DiskFile::can_store`] says; true at the beginning.
    pub fn set_can_store(&self, can_store: bool) {
        self.shared.state.lock().can_store = can_store;
    }
}

/// Failures.
impl SimDisk {
    /// Number of the last operation, so how many there were.
    pub fn operations(&self) -> u64 {
        self.shared.state.lock().operations
    }

    /// Lets operation `operation` fail. A write or growth that fails may be done in part (the seed
    /// decides). A sync that fails leaves what it should have made durable visible, undecided, and
    /// beyond the reach of any later sync.
    pub fn fail_at(&self, operation: u64, error: SimError, persist: Persist) {
        self.shared.state.lock().faults.fail_at(operation, error, persist);
    }

    /// Forgets all failures that were ordered and switches the machine on again.
    pub fn clear_faults(&self) {
        self.shared.state.lock().faults = fault::Faults::default();
    }

    /// Switches the machine off at operation `operation`: nothing of it happens, and it and every call
    /// after it, reading or writing, fails with an error for which [`is_power_cut`] is true.
    pub fn crash_at(&self, operation: u64) {
        self.shared.state.lock().faults.crash_at(operation, false);
    }

    /// Like [`SimDisk::crash_at`], but a part of the operation happens (the seed decides which).
    pub fn crash_partway_at(&self, operation: u64) {
        self.shared.state.lock().faults.crash_at(operation, true);
    }

    /// True once an ordered crash has struck.
    pub fn is_off(&self) -> bool {
        self.shared.state.lock().faults.is_off()
    }

    /// Sets who watches.
    pub fn set_observer(&self, observer: Arc<dyn Observer>) {
        self.shared.state.lock().observer = Some(observer);
    }
}

/// Crash states.
impl SimDisk {
    /// How many changes a power cut now may lose: the indexes of [`CrashPolicy::LoseOne`] and
    /// [`CrashPolicy::KeepOne`].
    pub fn pending(&self) -> usize {
        let state = self.shared.state.lock();
        let files: usize = state.directory.inodes().iter().map(|inode| inode.content.lock().unsynced()).sum();
        files + state.directory.unsynced()
    }

    /// The disk as it is found after a power cut at this moment. All in it is durable.
    pub fn crash_image(&self, policy: CrashPolicy) -> SimDisk {
        let state = self.shared.state.lock();
        let inodes = state.directory.inodes();
        let unsynced: Vec<usize> = inodes.iter().map(|inode| inode.content.lock().unsynced()).collect();
        let mut chooser = Chooser::new(policy);
        let prefix = chooser.directory_prefix(unsynced.iter().sum(), state.directory.unsynced());
        let names = state.directory.after_power_cut(prefix);
        let mut found = Names::new();
        for (inode, unsynced) in inodes.iter().zip(unsynced) {
            let Some((name, _)) = names.iter().find(|(_, named)| named.id == inode.id) else {
                chooser.skip(unsynced);
                continue;
            };
            let bytes = inode.content.lock().after_power_cut(|change| chooser.next(change));
            let cut = Inode::new(inode.id, name.clone(), state.capacity, bytes);
            found.insert(name.clone(), Arc::new(cut));
        }
        SimDisk::of(state.descend(Directory::durable(found)))
    }

    /// The bytes of a file that a power cut now can't take, without building an image. `None` if its name may be gone.
    pub fn durable(&self, name: &str) -> Option<Arc<Vec<u8>>> {
        let state = self.shared.state.lock();
        let inode = state.directory.after_power_cut(0).get(name).cloned()?;
        let content = inode.content.lock();
        Some(content.after_power_cut(|_| inode::Keep::Nothing))
    }

    /// How long a file is after a power cut now that takes all it can.
    pub fn durable_len(&self, name: &str) -> u64 {
        let inode = self.named(name);
        let content = inode.content.lock();
        content.durable_len()
    }

    /// Where a file has bytes that a power cut now may take: those of every write that no sync has covered.
    pub fn unsynced(&self, name: &str) -> Vec<std::ops::Range<u64>> {
        let inode = self.named(name);
        let content = inode.content.lock();
        content.unsynced_ranges()
    }

    /// The disk as the next process finds it after this one was killed: everything that happened is
    /// visible, locks are free, and what was not durable is not durable yet.
    pub fn process_crash_image(&self) -> SimDisk {
        let state = self.shared.state.lock();
        SimDisk::of(state.descend(state.directory.after_process_crash()))
    }

    fn process_crash_image_numbered(&self) -> SimDisk {
        let image = self.process_crash_image();
        image.shared.state.lock().operations = self.operations();
        image
    }

    /// A digest of names and visible bytes, to count distinct states.
    pub fn digest(&self) -> u64 {
        let state = self.shared.state.lock();
        let mut digest = 0;
        for (name, inode) in state.directory.visible() {
            let content = inode.content.lock();
            digest = xxh3_64_with_seed(name.as_bytes(), digest ^ content.len);
            digest = inode.memory.look(content.len, |bytes| xxh3_64_with_seed(bytes, digest));
        }
        digest
    }
}

/// Recording.
impl SimDisk {
    /// Keeps all operations from here on, with their bytes, for [`SimDisk::trace`] and
    /// [`SimDisk::replay`].
    pub fn record(&self) {
        let start = self.process_crash_image_numbered();
        self.shared.state.lock().recording = Some(Recording { start, operations: Vec::new() });
    }

    /// The recorded operations as text, one line each: number, call, file, offset, length.
    pub fn trace(&self) -> String {
        self.shared.state.lock().recording.as_ref().map_or_else(String::new, Recording::trace)
    }

    /// Plays the recorded operations again from the beginning, so that every crash state of a run can
    /// be built without running it again. `None` if nothing is recorded.
    pub fn replay(&self) -> Option<Replay> {
        self.shared.state.lock().recording.as_ref().map(Replay::new)
    }

    fn inodes(&self) -> Vec<Arc<Inode>> {
        self.shared.state.lock().directory.inodes()
    }

    fn new_inode(&self, id: u64, name: Arc<str>) -> Arc<Inode> {
        Arc::new(Inode::new(id, name, self.shared.state.lock().capacity, Arc::default()))
    }

    fn replay_one(&self, operation: &Operation, inode: Option<&Arc<Inode>>) {
        self.shared.state.lock().replay(operation, inode);
    }
}

/// Direct access, past all rules: what it does is durable at once, has no number and fails never.
impl SimDisk {
    /// The names of all files, in order.
    pub fn file_names(&self) -> Vec<String> {
        self.shared.state.lock().directory.visible().keys().map(|name| name.to_string()).collect()
    }

    /// The bytes of a file, which must be there.
    pub fn read_file(&self, name: &str) -> Vec<u8> {
        let inode = self.named(name);
        let content = inode.content.lock();
        inode.visible(&content)
    }

    /// A part of a file, as much of it as there is.
    pub fn read_part(&self, name: &str, offset: u64, len: u64) -> Vec<u8> {
        let inode = self.named(name);
        let content = inode.content.lock();
        let end = offset.saturating_add(len).min(content.len);
        inode.memory.look(content.len, |bytes| bytes.get(offset as usize..end as usize).unwrap_or_default().to_vec())
    }

    /// Gives a file this content, creating it if needed.
    pub fn write_file(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.shared.state.lock();
        if let Some(inode) = state.directory.visible().get(name) {
            return inode.replace(bytes);
        }
        let inode = Inode::new(state.next_inode, name.into(), state.capacity, Arc::new(bytes));
        state.next_inode += 1;
        state.directory.place(&Arc::new(inode));
    }

    /// Turns one bit of a file around.
    pub fn flip_bit(&self, name: &str, offset: u64, bit: u8) {
        let mut bytes = self.read_file(name);
        bytes[offset as usize] ^= 1 << bit;
        self.named(name).replace(bytes);
    }

    /// Cuts a file.
    pub fn truncate_file(&self, name: &str, len: u64) {
        let mut bytes = self.read_file(name);
        bytes.truncate(len as usize);
        self.named(name).replace(bytes);
    }

    fn named(&self, name: &str) -> Arc<Inode> {
        let state = self.shared.state.lock();
        let inode = state.directory.visible().get(name).cloned();
        inode.unwrap_or_else(|| panic!("no file {name:?} on the simulated disk"))
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        check_name(name)?;
        let state = self.shared.state.lock();
        state.faults.check_power()?;
        let inode = state.directory.visible().get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile::new(self.shared.clone(), inode.clone())))
    }

    fn open_read(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.open(name)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        check_name(name)?;
        let mut state = self.shared.state.lock();
        state.faults.check_power()?;
        if state.directory.visible().contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = Arc::new(Inode::new(state.next_inode, name.into(), state.capacity, Arc::default()));
        state.next_inode += 1;
        state.perform(Request {
            needs_space: true,
            ..directory_request("create", name, Some(&inode), Effect::Create)
        })?;
        drop(state);
        Ok(Arc::new(SimFile::new(self.shared.clone(), inode)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        let mut state = self.shared.state.lock();
        state.faults.check_power()?;
        if !state.directory.visible().contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.perform(directory_request("remove", name, None, Effect::Remove))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        let mut state = self.shared.state.lock();
        state.faults.check_power()?;
        let inode = state.directory.visible().get(from).cloned().ok_or(io::ErrorKind::NotFound)?;
        state.perform(directory_request("rename", to, Some(&inode), Effect::Rename(from.into())))
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        self.shared.state.lock().faults.check_power()?;
        Ok(self.file_names().into_iter().filter(|name| name.starts_with(prefix)).collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        state.perform(directory_request("sync dir", "", None, Effect::SyncDir))?;
        let observer = state.observer.clone();
        drop(state);
        if let Some(observer) = observer {
            observer.after_sync_dir();
        }
        Ok(())
    }
}

fn directory_request<'a>(call: &'static str, name: &str, inode: Option<&'a Arc<Inode>>, effect: Effect) -> Request<'a> {
    Request { call, name: name.into(), inode, offset: 0, len: 0, needs_space: false, effect }
}

#[cfg(test)]
mod tests;
