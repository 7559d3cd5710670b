//! What the test suites are built on: the simulated disk, a repeatable environment, seeded random
//! numbers. Not part of the stable interface.
//!
//! A workload is recorded once, and replayed to get the disk after a crash at each of its operations:
//!
//! ```
//! use nyro::testing::{CrashPolicy, Disk, DiskFile, SimDisk, SimOptions};
//!
//! let disk = SimDisk::new(SimOptions::default());
//! disk.record();
//! let file = disk.create("a")?;
//! file.write_at(b"acknowledged", 0)?;
//! file.sync_data()?;
//! disk.sync_dir()?;
//! let acknowledged = disk.operations();
//! file.write_at(b"only written", 0)?;
//!
//! let mut replay = disk.replay().unwrap();
//! while let Some(operation) = replay.step() {
//!     for seed in 0..20 {
//!         let image = replay.disk().crash_image(CrashPolicy::Random(seed));
//!         assert!(operation < acknowledged || image.file_names() == ["a"], "{}", disk.trace());
//!     }
//! }
//! # std::io::Result::Ok(())
//! ```

mod hooked;
pub mod runs;
mod temp;

pub use crate::env::{Env, Job, SystemEnv};
pub use crate::env_sim::{seed, Rng, SimEnv};
pub use crate::file::disk::{Disk, DiskFile, Holder, LockError};
pub use crate::file::os::OsDisk;
pub use crate::file::sim::{is_power_cut, CrashPolicy, Observer, Persist, Replay, SimDisk, SimError, SimOptions};
pub use crate::plant::{plant, Bug};
pub use hooked::HookedDisk;
pub use temp::TempDir;

/// What a test may set beyond [`Options`](crate::Options).
#[derive(Debug, Clone)]
pub struct TestConfig {
    /// The options of a user.
    pub options: crate::Options,
    /// Pages in a region of a new file: 4 (16 KiB) keeps files small.
    pub region_pages: u32,
    /// Bytes of a log segment.
    pub segment_bytes: u64,
    /// Garbage left alone, and records moved by any checkpoint, in bytes.
    pub reclaim_bytes: u64,
    /// Pages of a dropped collection freed at once.
    pub slice_pages: u64,
    /// Pages of a run, and bytes from which on a level has another above it: small, so that little data makes several
    /// levels.
    pub shape: (u32, u64),
    /// What a memtable takes at the most, in bytes.
    pub memtable_bytes: u64,
    /// What walks have paid, in bytes, before runs are merged for it.
    pub walk_bytes: u64,
}

impl Default for TestConfig {
    fn default() -> Self {
        TestConfig {
            options: crate::Options::default(),
            region_pages: 4,
            segment_bytes: 8192,
            reclaim_bytes: 4096,
            slice_pages: 6,
            shape: (4, 24 << 10),
            memtable_bytes: u64::MAX,
            walk_bytes: 16 << 10,
        }
    }
}

/// How the tests read pages: `NYRO_READ_MODE=pread` runs those that ask here without a mapping.
pub fn read_mode() -> crate::ReadMode {
    match std::env::var("NYRO_READ_MODE").as_deref() {
        Ok("pread") => crate::ReadMode::Pread,
        _ => crate::ReadMode::Mapped,
    }
}

/// Opens the database `name` on a disk and in an environment of the test's choice. With an environment
/// without threads ([`SimEnv`]) all background work waits for [`step`].
pub fn open(
    disk: std::sync::Arc<dyn Disk>,
    env: std::sync::Arc<dyn Env>,
    name: &str,
    config: &TestConfig,
) -> crate::Result<crate::Database> {
    let mut engine = config.options.config(false)?;
    engine.region_pages = config.region_pages;
    engine.segment_bytes = config.segment_bytes;
    engine.reclaim_bytes = config.reclaim_bytes;
    engine.slice_pages = config.slice_pages;
    engine.shape =
        crate::sorted::compact::Shape { run_pages: config.shape.0, base_bytes: config.shape.1, ..engine.shape };
    engine.memtable_bytes = config.memtable_bytes;
    engine.walk_bytes = config.walk_bytes;
    let place = crate::engine::open::Place { disk, env, name: name.to_owned(), hook: None };
    Ok(crate::Database::over(crate::engine::Engine::open(place, engine)?, config.options.clone()))
}

/// [`repair`](crate::repair()) on disks and in an environment of the test's choice: `from` and `to` are disks and
/// names on them.
pub fn repair(
    from: (std::sync::Arc<dyn Disk>, &str),
    to: (std::sync::Arc<dyn Disk>, &str),
    env: std::sync::Arc<dyn Env>,
    config: &TestConfig,
    options: &crate::RepairOptions,
    mut control: crate::Control<'_>,
) -> crate::Result<crate::RepairReport> {
    let mut engine = crate::repair::config(options)?;
    engine.region_pages = config.region_pages;
    engine.segment_bytes = config.segment_bytes;
    engine.log_max_bytes = config.options.log_max_bytes;
    let ((from, from_name), (to, to_name)) = (from, to);
    crate::repair::Repair { from, from_name, to, to_name, env, options, config: engine }.run(&mut control)
}

/// One pass of the background work that is due, on this thread.
pub fn step(db: &crate::Database) -> crate::Result<()> {
    db.engine().background_step()
}

/// The part of a model under shuttle in which threads take turns; before and after it nobody but the caller runs.
#[cfg(shuttle)]
pub fn scheduled<R>(f: impl FnOnce() -> R) -> R {
    crate::sync::scheduled(true, f)
}

/// A part of that in which no other thread runs. It must not need a lock that one of them may hold: those of the
/// simulated disk are free.
#[cfg(shuttle)]
pub fn at_once<R>(f: impl FnOnce() -> R) -> R {
    crate::sync::scheduled(false, f)
}

/// Forgets the database without closing it, as a crash of the process would: nothing is written any more.
/// Handles left over give `Closed`.
pub fn abandon(db: crate::Database) {
    db.shared().abandon();
}

/// [`Database::backup_with`](crate::Database::backup_with) to the file `name` on a disk of the test's choice.
pub fn backup(
    db: &crate::Database,
    disk: std::sync::Arc<dyn Disk>,
    name: &str,
    options: &crate::BackupOptions,
    control: crate::Control<'_>,
) -> crate::Result<crate::BackupReport> {
    crate::backup::backup_file(db, &disk, name, options, control)
}

/// [`restore`](crate::restore) on a disk and in an environment of the test's choice: `backups` are files there.
pub fn restore(
    disk: std::sync::Arc<dyn Disk>,
    env: std::sync::Arc<dyn Env>,
    name: &str,
    backups: &[&str],
    options: &crate::RestoreOptions,
    control: crate::Control<'_>,
) -> crate::Result<crate::VerifyReport> {
    let sources = backups.iter().enumerate();
    let sources = sources.map(|(at, name)| crate::backup::open_source(&*disk, name, (*name).to_owned(), at == 0));
    let sources = sources.collect::<crate::Result<Vec<_>>>()?;
    crate::backup::restore_file(disk.clone(), env, name, sources, options, control)
}
