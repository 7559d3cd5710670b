//! What the test suites are built on: the simulated disk, a repeatable environment, seeded random
//! numbers. Not part of the stable interface.

mod temp;

pub use crate::env::{Env, Job, SystemEnv};
pub use crate::env_sim::{seed, Rng, SimEnv};
pub use crate::file::disk::{Disk, DiskFile, Holder, LockError};
pub use crate::file::os::OsDisk;
pub use crate::file::sim::{is_power_cut, CrashPolicy, Observer, Persist, Replay, SimDisk, SimError, SimOptions};
pub use temp::TempDir;
