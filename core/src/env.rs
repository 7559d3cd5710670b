//! The seam for time, randomness and background work.
//!
//! The engine never reads a clock, draws a random number or starts a thread except through an [`Env`].
//! [`SystemEnv`] is the real one. Tests use one without threads: background work then waits until the
//! test steps it, so a run can be repeated exactly from its seed.

use std::time::{Duration, Instant};

/// Body of a background thread.
pub type Job = Box<dyn FnOnce() + Send + 'static>;

/// Where the engine gets time, randomness and threads from.
pub trait Env: Send + Sync + 'static {
    /// Time since some fixed moment, never going back.
    fn monotonic(&self) -> Duration;

    /// A random number fit for hash keys and file identities.
    fn random(&self) -> u64;

    /// Starts `job` on a thread of its own and returns its handle, or `None` where this
    /// environment has no threads: the job is then dropped, and the owner of the database steps the
    /// background work.
    fn spawn(&self, name: &str, job: Job) -> Option<std::thread::JoinHandle<()>>;
}

/// The real clock, the operating system's random numbers, real threads.
#[derive(Debug)]
pub struct SystemEnv {
    start: Instant,
}

impl SystemEnv {
    /// A new environment; its clock starts at zero.
    pub fn new() -> Self {
        SystemEnv { start: Instant::now() }
    }
}

impl Default for SystemEnv {
    fn default() -> Self {
        Self::new()
    }
}

impl Env for SystemEnv {
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn random(&self) -> u64 {
        // `RandomState` draws its keys from the operating system once a thread and counts on from
        // there; hashing a counter and the clock with it gives independent numbers.
        use std::hash::{BuildHasher, Hasher};
        let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
        hasher.write_u128(self.start.elapsed().as_nanos());
        hasher.write_u32(std::process::id());
        hasher.finish()
    }

    fn spawn(&self, name: &str, job: Job) -> Option<std::thread::JoinHandle<()>> {
        std::thread::Builder::new().name(name.to_owned()).spawn(job).ok()
    }
}
