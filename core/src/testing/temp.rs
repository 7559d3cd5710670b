//! A directory that goes away with its handle.

use crate::env::{Env, SystemEnv};
use std::path::{Path, PathBuf};

/// A new empty directory, removed with all that is in it when this is dropped.
#[derive(Debug)]
pub struct TempDir {
    path: PathBuf,
}

impl TempDir {
    /// Makes one inside the system's directory for temporary files.
    pub fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("nyro-test-{:016x}", SystemEnv::new().random()));
        std::fs::create_dir(&path)?;
        Ok(TempDir { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
