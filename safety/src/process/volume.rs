//! File systems of our own, mounted for a test and gone with it.
//!
//! ```text
//!   <temporary, or memory>/nyro-safety-volume-<pid>-<number>/
//!     image    a sparse file, mkfs.ext4        ext4, on a loop device: its power can be cut
//!     mount    the file system                 or one in memory (tmpfs) of so many bytes
//! ```
//!
//! A volume is unmounted when it is dropped, also by a panic. What processes left behind that were killed is removed
//! by the next that makes a volume: the name has the process in it.

use nyro::testing::{Env, SystemEnv};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const PREFIX: &str = "nyro-safety-volume-";

/// How long something may keep a file system busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// A directory in memory, on most systems.
const MEMORY: &str = "/dev/shm";

/// `EXT4_IOC_SHUTDOWN`: `_IOR('X', 125, __u32)`.
const SHUTDOWN: u64 = 2 << 30 | 4 << 16 | (b'X' as u64) << 8 | 125;

/// How a file system goes off (the flags of `EXT4_IOC_SHUTDOWN`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Everything written reaches the device first.
    Flush = 0,
    /// The journal reaches the device: names and lengths, not data.
    JournalOnly = 1,
    /// Nothing reaches the device any more.
    Nothing = 2,
}

/// A mounted file system.
#[derive(Debug)]
pub struct Volume {
    place: PathBuf,
    is_mounted: bool,
}

impl Volume {
    /// A new ext4 file system in an image of `bytes`, mounted. The image lies on the disk or, where there is such a
    /// place, in memory, so that syncs cost little.
    pub fn ext4(bytes: u64, options: &str, in_memory: bool) -> io::Result<Volume> {
        let mut volume = Volume::place(in_memory)?;
        let image = volume.place.join("image");
        File::create(&image)?.set_len(bytes)?;
        call(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0", "-J", "size=4"]).arg(&image))?;
        volume.mount(options)?;
        Ok(volume)
    }

    /// A file system of `bytes` in memory.
    pub fn memory(bytes: u64) -> io::Result<Volume> {
        let mut volume = Volume::place(false)?;
        let options = format!("size={bytes}");
        call(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(volume.path()))?;
        volume.is_mounted = true;
        Ok(volume)
    }

    fn place(in_memory: bool) -> io::Result<Volume> {
        let (process, number) = (std::process::id(), SystemEnv::new().random());
        let memory = PathBuf::from(MEMORY);
        let parent = if in_memory && memory.is_dir() { memory } else { std::env::temp_dir() };
        let place = parent.join(format!("{PREFIX}{process}-{number:016x}"));
        std::fs::create_dir_all(place.join("mount"))?;
        Ok(Volume { place, is_mounted: false })
    }

    /// Mounts the image; the journal is played back.
    pub fn mount(&mut self, options: &str) -> io::Result<()> {
        let options = format!("loop,{options}");
        call(
            Command::new("mount").args(["-t", "ext4", "-o", &options]).arg(self.place.join("image")).arg(self.path()),
        )?;
        self.is_mounted = true;
        Ok(())
    }

    /// Unmounts it; the image stays. A program that another thread is just starting may hold a file for a moment.
    pub fn unmount(&mut self) -> io::Result<()> {
        let start = Instant::now();
        while self.is_mounted {
            match call(Command::new("umount").arg(self.path())) {
                Err(e) if start.elapsed() > PATIENCE => return Err(e),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
                Ok(()) => self.is_mounted = false,
            }
        }
        Ok(())
    }

    /// Where its files are.
    pub fn path(&self) -> PathBuf {
        self.place.join("mount")
    }

    /// The file system goes off: every later call on it fails until it is mounted again.
    pub fn cut(&self, how: Cut) -> io::Result<()> {
        let root = File::open(self.path())?;
        // Never another one than ours.
        if !self.is_mounted || root.metadata()?.dev() == self.place.metadata()?.dev() {
            return Err(io::Error::other("not mounted"));
        }
        let flags = how as u32;
        // SAFETY: a system call on an open descriptor, which reads a number of ours.
        if unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN as _, &raw const flags) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = self.unmount();
        remove(&self.place);
    }
}

/// Unmounts what is mounted there, and removes the rest. Never goes into a file system that stays mounted.
fn remove(place: &Path) {
    let mount = place.join("mount");
    let is_mounted = || matches!((mount.metadata(), place.metadata()), (Ok(m), Ok(p)) if m.dev() != p.dev());
    // One that went off can't be asked for its root.
    if is_mounted() || mount.metadata().is_err() {
        let unmounted = call(Command::new("umount").arg(&mount));
        let _ = unmounted.or_else(|_| call(Command::new("umount").arg("-l").arg(&mount)));
    }
    if !is_mounted() {
        let _ = std::fs::remove_file(place.join("image"));
        let _ = std::fs::remove_dir(&mount);
        let _ = std::fs::remove_dir(place);
    }
}

/// Removes what processes left behind that are dead.
pub fn sweep() {
    let parents = [std::env::temp_dir(), PathBuf::from(MEMORY)];
    for entry in parents.iter().flat_map(std::fs::read_dir).flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        let is_dead = process.is_some_and(|process| !Path::new("/proc").join(process).exists());
        if is_dead {
            remove(&entry.path());
        }
    }
}

fn call(command: &mut Command) -> io::Result<()> {
    let output = command.output().map_err(|e| io::Error::other(format!("{:?}: {e}", command.get_program())))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{:?}: {}", command.get_program(), text.trim())))
}
