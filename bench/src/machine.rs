//! What the machine is, and what a process takes of it.

use crate::engine::Outcome;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Processor time of all threads of this process, in seconds.
pub fn processor_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the struct that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn field(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Anonymous memory of this process, in bytes; 0 where the system does not tell.
pub fn anonymous_bytes() -> u64 {
    field("/proc/self/status", "RssAnon:").unwrap_or(0) << 10
}

/// Bytes that this process has had written to a disk; 0 where the system does not tell.
pub fn written_bytes() -> u64 {
    field("/proc/self/io", "write_bytes:").unwrap_or(0)
}

/// Bytes that this process has given to calls that write; 0 where the system does not tell. What it writes through
/// mappings is not among them.
pub fn handed_bytes() -> u64 {
    field("/proc/self/io", "wchar:").unwrap_or(0)
}

/// What the files in a directory, and those below, take on the disk, in bytes.
pub fn disk_bytes(directory: &Path) -> Outcome<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut sum = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(sum)
}

/// Has everything written that the file system of `path` has still to write, whoever wrote it.
pub fn sync_file_system(path: &Path) -> Outcome<()> {
    let file = std::fs::File::open(path)?;
    // SAFETY: the descriptor is open as long as `file` lives.
    match unsafe { libc::syncfs(file.as_raw_fd()) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}

/// Processor, cores, memory and kernel, in a line.
pub fn describe() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpu = cpu.map_or("unknown processor", |(_, name)| name.trim()).to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal:").unwrap_or(0) >> 20;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cpu}, {cores} cores, {memory} GiB, {} {}", std::env::consts::OS, kernel.trim())
}
