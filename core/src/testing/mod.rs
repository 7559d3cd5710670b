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

mod temp;

pub use crate::env::{Env, Job, SystemEnv};
pub use crate::env_sim::{seed, Rng, SimEnv};
pub use crate::file::disk::{Disk, DiskFile, Holder, LockError};
pub use crate::file::os::OsDisk;
pub use crate::file::sim::{is_power_cut, CrashPolicy, Observer, Persist, Replay, SimDisk, SimError, SimOptions};
pub use temp::TempDir;
