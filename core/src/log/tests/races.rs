//! Who is told what, and when: orders of events between threads.

use super::*;
use crate::file::disk::{Disk, DiskFile, LockError};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};

/// Called before each sync with the file's name.
type Hook = Arc<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// A disk that asks before each sync of a file: the hook may wait, or fail the sync.
#[derive(Clone)]
struct Hooked {
    disk: SimDisk,
    hook: Hook,
}

#[derive(Clone)]
struct HookedFile {
    file: Arc<dyn DiskFile>,
    name: String,
    hook: Hook,
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooked")
    }
}

impl std::fmt::Debug for HookedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookedFile")
    }
}

impl Hooked {
    fn wrap(&self, name: &str, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(HookedFile { file, name: name.to_owned(), hook: self.hook.clone() })
    }
}

impl Disk for Hooked {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(name, self.disk.open(name)?))
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
    fn lock(&self) -> Result<(), LockError> {
        self.file.lock()
    }
    fn unlock(&self) {
        self.file.unlock()
    }
}

#[test]
fn a_commit_whose_frame_was_written_before_the_log_stopped_has_an_unknown_outcome() {
    let disk = sim();
    let log = create(&disk);
    let first = log.append(101, &[b"a"]).unwrap();
    let second = log.append(102, &[b"b"]).unwrap();
    disk.fail_at(disk.operations() + 1, SimError::Eio, Persist::Once);
    assert!(matches!(log.sync_through(first), Err(Error::OutcomeUnknown { .. })));
    // Its thread comes late. The frame may be found after reopening all the same.
    let error = log.sync_through(second).unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
}

#[test]
fn nobody_is_told_of_a_durable_commit_before_it_is_published() {
    let disk = sim();
    let log = Arc::new(create(&disk));
    let published = Arc::new(AtomicU64::new(0));
    let (entered, go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    {
        let (published, entered, go) = (published.clone(), entered.clone(), go.clone());
        log.on_durable(Box::new(move |commit| {
            entered.store(true, Ordering::SeqCst);
            while !go.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            published.store(commit, Ordering::SeqCst);
        }));
    }
    let end = log.append(101, &[b"a"]).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| log.sync_through(end).unwrap());
        while !entered.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        // Publishing takes its time. Whoever asks meanwhile must wait for it.
        let early = log.durable() >= end;
        go.store(true, Ordering::SeqCst);
        assert!(!early, "durable() says so, and sync_through would return, before it is published");
    });
    assert_eq!(published.load(Ordering::SeqCst), 101);
}

/// The system reports a lost write once. If that is the sync after a failed append, a committer that waits for
/// its turn must not sync again and be told that all is well.
#[test]
fn after_the_failed_sync_of_an_erased_frame_no_waiting_commit_is_acknowledged() {
    let (mut wrong, rounds) = (0, 200);
    for seed in 0..rounds {
        let sim = SimDisk::new(SimOptions { file_capacity: 1 << 20, seed });
        let (armed, state) = (Arc::new(AtomicBool::new(false)), Arc::new((Mutex::new(false), Condvar::new())));
        let hook = {
            let (armed, state) = (armed.clone(), state.clone());
            move |_: &str| {
                if !armed.swap(false, Ordering::SeqCst) {
                    return Ok(());
                }
                // The sync of the erased frame: long enough that the other commit waits for it.
                *state.0.lock().unwrap() = true;
                state.1.notify_all();
                std::thread::sleep(std::time::Duration::from_millis(3));
                Err(io::Error::other("lost writes"))
            }
        };
        let disk = Hooked { disk: sim.clone(), hook: Arc::new(hook) };
        let log = Log::create(LogConfig { disk: Arc::new(disk), ..config(&sim) }).unwrap();
        let end = log.append(101, &[b"waits"]).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let mut syncing = state.0.lock().unwrap();
                while !*syncing {
                    syncing = state.1.wait(syncing).unwrap();
                }
                drop(syncing);
                log.sync_through(end)
            });
            armed.store(true, Ordering::SeqCst);
            sim.fail_at(sim.operations() + 1, SimError::Eio, Persist::Once);
            log.append(102, &[&[7; 500]]).unwrap_err();
            wrong += u32::from(waiting.join().unwrap().is_ok());
        });
    }
    assert_eq!(wrong, 0, "of {rounds} commits acknowledged after a sync had lost writes");
}
