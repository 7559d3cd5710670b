//! The calls of the operating system that neither the standard library nor memmap2 has, and the one
//! copy into mapped memory. All `unsafe` of the real disk is here.

use memmap2::MmapRaw;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Copies `data` into `map` at `offset`.
pub(super) fn store(map: &MmapRaw, data: &[u8], offset: usize) -> io::Result<()> {
    let room = map.len().checked_sub(offset).ok_or(io::ErrorKind::InvalidInput)?;
    if data.len() > room {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: `[offset, offset + data.len())` lies inside the mapping (checked above), which is
    // writable and outlives this call. `data` cannot overlap it: no reference to mapped memory of a
    // log file is ever made. The caller guarantees that the file is not shorter than the mapping.
    unsafe {
        let to = map.as_mut_ptr().add(offset);
        std::ptr::copy_nonoverlapping(data.as_ptr(), to, data.len());
    }
    Ok(())
}

/// The least that is allocated at once, however often it is interrupted.
#[cfg(any(target_os = "linux", target_os = "android"))]
const LEAST_PIECE: u64 = 64 << 10;

/// Allocates `len` bytes from `offset` on, growing the file; false where the file system cannot.
///
/// A file system in memory gives up at a signal (Linux before 6.18) and undoes what it did: where signals come faster
/// than it allocates, the whole would never be done, so each interruption halves what is asked for at once.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn allocate(file: &File, offset: u64, len: u64) -> io::Result<bool> {
    let end = i64::try_from(offset + len).map_err(|_| io::ErrorKind::FileTooLarge)? as u64;
    let (mut at, mut piece) = (offset, len);
    while at < end {
        let next = piece.min(end - at);
        // SAFETY: a system call on an open descriptor that `file` keeps open; no memory is passed.
        if unsafe { libc::fallocate(file.as_raw_fd(), 0, at as i64, next as i64) } == 0 {
            at += next;
            continue;
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => piece = (piece / 2).max(LEAST_PIECE),
            Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS) => return Ok(false),
            _ => return Err(error),
        }
    }
    Ok(true)
}

/// Other systems write zeros.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn allocate(_: &File, _: u64, _: u64) -> io::Result<bool> {
    Ok(false)
}

/// Takes the `flock` of that kind without waiting; false if it is held elsewhere.
pub(super) fn lock(file: &File, kind: i32) -> io::Result<bool> {
    loop {
        // SAFETY: a system call on an open descriptor that `file` keeps open; no memory is passed.
        if unsafe { libc::flock(file.as_raw_fd(), kind | libc::LOCK_NB) } == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => return Ok(false),
            _ => return Err(error),
        }
    }
}

/// Gives the lock back.
pub(super) fn unlock(file: &File) {
    // SAFETY: as in `lock`. A failure leaves the lock to the closing of the descriptor.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
}

/// Lets the descriptor mean the null device, for reading, so that it holds the file no more. The number stays
/// taken until `file` is dropped.
pub(super) fn forsake(file: &File) {
    let Ok(null) = File::open("/dev/null") else { return };
    // SAFETY: system calls on open descriptors; no memory is passed. The number goes on meaning an open
    // descriptor that `file` owns.
    unsafe {
        if libc::dup2(null.as_raw_fd(), file.as_raw_fd()) >= 0 {
            libc::fcntl(file.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}

/// Gives `len` bytes from `offset` on back to the file system; false where it cannot.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn punch(file: &File, offset: u64, len: u64) -> io::Result<bool> {
    let offset = i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    let len = i64::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    loop {
        // SAFETY: a system call on an open descriptor that `file` keeps open; no memory is passed.
        if unsafe { libc::fallocate(file.as_raw_fd(), mode, offset, len) } == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EOPNOTSUPP | libc::ENOSYS) => return Ok(false),
            _ => return Err(error),
        }
    }
}

/// Other systems keep the space.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn punch(_: &File, _: u64, _: u64) -> io::Result<bool> {
    Ok(false)
}

/// The number that tells kinds of file systems apart.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn file_system_magic(file: &File) -> Option<u64> {
    let mut stat = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: `stat` is writable memory of the size the call fills; the descriptor is open.
    if unsafe { libc::fstatfs(file.as_raw_fd(), stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call succeeded, so it has filled `stat`.
    Some(unsafe { stat.assume_init() }.f_type as u64 & 0xFFFF_FFFF)
}

/// The kind of network file system a file lies on, if it is a known one.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn network_file_system(file: &File) -> Option<&'static str> {
    match file_system_magic(file)? {
        0x6969 => Some("NFS"),
        0x517B | 0xFE53_4D42 => Some("SMB"),
        0xFF53_4D42 => Some("CIFS"),
        0x5346_414F | 0x6B41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x00C3_6400 => Some("Ceph"),
        0x0BD0_0BD0 => Some("Lustre"),
        0x4750_4653 => Some("GPFS"),
        0x0102_1997 => Some("9P"),
        0x564C => Some("NCP"),
        _ => None,
    }
}

/// Nothing is known of other systems.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn network_file_system(_: &File) -> Option<&'static str> {
    None
}

/// True on file systems known to overwrite written blocks in place, where a store through a mapping
/// needs no new space and so cannot fail. False on those that copy on write, on network and stacked
/// ones, and on all that are not known.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn overwrites_in_place(file: &File) -> bool {
    const EXT: u64 = 0xEF53; // ext2, ext3, ext4
    const XFS: u64 = 0x5846_5342;
    const TMPFS: u64 = 0x0102_1994;
    matches!(file_system_magic(file), Some(EXT | XFS | TMPFS))
}

/// See above; nothing is known of other systems.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn overwrites_in_place(_: &File) -> bool {
    false
}
