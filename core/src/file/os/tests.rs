//! What only the real disk can show: other processes, links, limits of the system.

use super::*;
use crate::file::disk::Holder;
use crate::testing::TempDir;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};

const CHILD_DIRECTORY: &str = "NYRO_TEST_CHILD_DIRECTORY";

fn disk() -> (TempDir, OsDisk) {
    let directory = TempDir::new().unwrap();
    let disk = OsDisk::new(directory.path().to_owned());
    (directory, disk)
}

/// Runs the ignored test `name` of this module in a process of its own.
fn child(name: &str, directory: &TempDir) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([&format!("file::os::tests::{name}"), "--exact", "--ignored", "--nocapture"])
        .env(CHILD_DIRECTORY, directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The disk of a child; `None` where somebody runs the ignored tests by hand.
fn disk_of_child() -> Option<OsDisk> {
    std::env::var_os(CHILD_DIRECTORY).map(|directory| OsDisk::new(directory.into()))
}

/// A second handle of the same open file, as a forked child has it.
fn inherited(file: &OsFile, locked_by: u32) -> OsFile {
    OsFile {
        file: file.file.try_clone().unwrap(),
        can_store: false,
        segments: Mutex::new(Vec::new()),
        writable: Mutex::new(None),
        locked_by: AtomicU32::new(locked_by),
    }
}

#[test]
fn a_path_is_found_while_its_file_comes_and_goes() {
    let (directory, disk) = disk();
    let path = directory.path().join("a");
    let ended = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while ended.load(Ordering::Relaxed) == 0 {
                disk.create("a").unwrap();
                disk.remove("a").unwrap();
            }
        });
        let found: Vec<_> = (0..20_000).map(|_| OsDisk::resolve(&path).map(|(_, name)| name)).collect();
        ended.store(1, Ordering::Relaxed);
        for name in found {
            assert_eq!(name.unwrap(), "a");
        }
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_lock_held_by_another_process_names_it() {
    let (directory, disk) = disk();
    disk.create("a").unwrap();
    let mut child = child("child_that_holds_a_lock", &directory);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while !lines.next().unwrap().unwrap().contains("child has the lock") {}

    let file = disk.open("a").unwrap();
    let held = file.lock();
    // SAFETY: a system call without memory.
    let uid = unsafe { libc::getuid() }.to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid));
    let user = line.map_or(uid.clone(), |line| line.split(':').next().unwrap().to_owned());
    match held {
        Err(LockError::Held(holder)) => assert_eq!(holder, Holder { pid: child.id(), user }),
        other => panic!("{other:?}"),
    }

    drop(child.stdin.take()); // lets it end
    child.wait().unwrap();
    file.lock().unwrap();
}

#[test]
#[ignore = "run as a child process"]
fn child_that_holds_a_lock() {
    let Some(disk) = disk_of_child() else { return };
    let file = disk.open("a").unwrap();
    file.lock().unwrap();
    println!("child has the lock");
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn a_forked_copy_of_a_handle_neither_releases_nor_prolongs_the_lock() {
    let (_directory, disk) = disk();
    let one = disk.open_file("a", How::Create).unwrap();
    one.lock().unwrap();
    let parent = one.locked_by.load(Ordering::Relaxed);
    // What a forked child has: the same open file, and a record that its parent took the lock.
    drop(inherited(&one, parent + 1));
    let two = disk.open("a").unwrap();
    assert!(matches!(two.lock(), Err(LockError::Held(_))), "the child's drop left the lock alone");
    let copy = inherited(&one, parent + 1);
    drop(one);
    two.lock().expect("free although the child still has the descriptor");
    drop(copy);
    assert!(matches!(disk.open("a").unwrap().lock(), Err(LockError::Held(_))));
}

#[test]
fn a_file_size_limit_is_an_error_and_never_a_signal() {
    let (directory, _) = disk();
    let output = child("child_with_a_file_size_limit", &directory).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "run as a child process"]
fn child_with_a_file_size_limit() {
    let Some(disk) = disk_of_child() else { return };
    let limit = libc::rlimit { rlim_cur: 1 << 20, rlim_max: 1 << 20 };
    // SAFETY: system calls; `limit` lives through the call.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
    }
    let file = disk.open_file("a", How::Create).unwrap();
    file.allocate(1 << 20).unwrap();
    assert_eq!(file.allocate(2 << 20).unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert_eq!(file.write_zeros(1 << 20, 2 << 20).unwrap_err().kind(), ErrorKind::FileTooLarge);
    // The part that fits may have been written; what was there before is as it was.
    assert_eq!(file.write_at(&[7; 8192], (1 << 20) - 4096).unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert_eq!(file.len().unwrap(), 1 << 20);
    file.write_at(b"still works", 0).unwrap();
    file.sync_data().unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_and_never_a_signal() {
    // /dev/full is the one full device every Linux has; it is no regular file, so it gets past `open`.
    let full = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    let file = OsFile {
        file: full,
        can_store: false,
        segments: Mutex::new(Vec::new()),
        writable: Mutex::new(None),
        locked_by: AtomicU32::new(0),
    };
    assert_eq!(file.write_at(b"x", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.write_zeros(0, 10).unwrap_err().kind(), ErrorKind::StorageFull);
}

#[test]
fn zeros_are_written_where_space_cannot_be_allocated() {
    let (_directory, disk) = disk();
    let file = disk.open_file("a", How::Create).unwrap();
    file.write_at(&[7; 10], 0).unwrap();
    let end = 2 * ZEROS_BYTES as u64 + 17;
    file.write_zeros(10, end).unwrap();
    assert_eq!(file.len().unwrap(), end);
    let mut bytes = vec![1; end as usize];
    file.read_at(&mut bytes, 0).unwrap();
    assert_eq!(bytes[..10], [7; 10]);
    assert!(bytes[10..].iter().all(|&b| b == 0));
}

#[test]
#[cfg(target_os = "linux")]
fn allocated_space_is_really_there() {
    use std::os::unix::fs::MetadataExt;
    let (_directory, disk) = disk();
    let file = disk.open_file("a", How::Create).unwrap();
    file.allocate(1 << 20).unwrap();
    assert!(file.file.metadata().unwrap().blocks() * 512 >= 1 << 20);
}

#[test]
fn a_mapping_made_before_the_file_had_bytes_shows_them_later() {
    let (_directory, disk) = disk();
    let file = disk.create("a").unwrap();
    let pointer = file.segment(0).unwrap();
    file.allocate(SEGMENT_BYTES / 512).unwrap();
    file.write_at(b"late", 1_000_000).unwrap();
    // SAFETY: inside the segment and inside the file's length.
    let seen = unsafe { std::slice::from_raw_parts(pointer.add(1_000_000), 4) };
    assert_eq!(seen, b"late");
}

#[test]
fn a_file_longer_than_a_segment_is_lent_in_segments() {
    let (_directory, disk) = disk();
    let file = disk.create("a").unwrap();
    file.write_at(b"12", SEGMENT_BYTES - 1).unwrap(); // sparse: takes two blocks
                                                      // SAFETY: the last byte of segment 0 and the first of segment 1, both inside the file's length.
    let (last, first) = unsafe {
        let end = file.segment(0).unwrap().add(SEGMENT_BYTES as usize - 1);
        (*end, *file.segment(1).unwrap())
    };
    assert_eq!([last, first], *b"12");
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let (directory, disk) = disk();
    std::fs::create_dir(directory.path().join("folder")).unwrap();
    assert_eq!(disk.open("folder").unwrap_err().kind(), ErrorKind::IsADirectory);
    let fifo = std::ffi::CString::new(directory.path().join("fifo").to_str().unwrap()).unwrap();
    // SAFETY: `fifo` is a NUL-terminated string that lives through the call.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
    assert_eq!(disk.open("fifo").unwrap_err().kind(), ErrorKind::InvalidInput);
    let missing = OsDisk::new(directory.path().join("nowhere"));
    assert_eq!(missing.create("a").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(missing.list("").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(missing.sync_dir().unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_link_is_resolved_to_its_file_and_never_opened_itself() {
    let (directory, disk) = disk();
    disk.create("real.nyro").unwrap().write_at(b"real", 0).unwrap();
    let other = TempDir::new().unwrap();
    let link = other.path().join("link.nyro");
    std::os::unix::fs::symlink(directory.path().join("real.nyro"), &link).unwrap();
    let by_link = OsDisk::new(other.path().to_owned());
    assert_eq!(by_link.open("link.nyro").unwrap_err().raw_os_error(), Some(libc::ELOOP));

    let (found, name) = OsDisk::resolve(&link).unwrap();
    assert_eq!(found.directory(), std::fs::canonicalize(directory.path()).unwrap());
    assert_eq!(name, "real.nyro");

    let (found, name) = OsDisk::resolve(&other.path().join("new.nyro")).unwrap();
    assert_eq!((found.directory(), &*name), (&*std::fs::canonicalize(other.path()).unwrap(), "new.nyro"));
    std::fs::remove_file(directory.path().join("real.nyro")).unwrap();
    assert_eq!(OsDisk::resolve(&link).unwrap_err().kind(), ErrorKind::NotFound, "a link that leads nowhere");
    assert!(OsDisk::resolve(Path::new("/")).is_err() && OsDisk::resolve(Path::new("")).is_err());
}

#[test]
#[cfg(target_os = "linux")]
fn child_programs_do_not_inherit_the_descriptor() {
    let (_directory, disk) = disk();
    let file = disk.open_file("a", How::Create).unwrap();
    // SAFETY: a system call on an open descriptor; no memory is passed.
    let flags = unsafe { libc::fcntl(file.file.as_raw_fd(), libc::F_GETFD) };
    assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
}

#[test]
#[cfg(target_os = "linux")]
fn stores_are_offered_only_where_blocks_are_overwritten_in_place() {
    let memory = Path::new("/dev/shm/nyro-test-can-store");
    if let Ok(file) = File::create(memory) {
        assert!(sys::overwrites_in_place(&file), "tmpfs");
        drop(file);
        std::fs::remove_file(memory).unwrap();
    }
    assert!(!sys::overwrites_in_place(&File::open("/proc/self/status").unwrap()), "an unknown file system");
}

/// A file system in memory gives up an allocation that a signal interrupts (Linux before 6.18), and undoes what it did:
/// repeated as a whole it would never end.
#[test]
#[cfg(target_os = "linux")]
fn signals_that_never_stop_do_not_keep_space_from_being_allocated() {
    extern "C" fn nothing(_: libc::c_int) {}
    let memory = Path::new("/dev/shm");
    if !memory.is_dir() {
        return;
    }
    // SAFETY: zeros are a valid `sigaction` without SA_RESTART, whose handler does nothing; the call reads it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
    }
    let directory = memory.join(format!("nyro-test-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let file = OsDisk::new(directory.clone()).create("a").unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let (told, tells) = std::sync::mpsc::channel();
    let allocating = std::thread::spawn(move || {
        // SAFETY: asks for the number of this thread.
        told.send(unsafe { libc::pthread_self() }).unwrap();
        file.allocate(64 << 20).map(|()| file.allocated_bytes().unwrap())
    });
    let thread = tells.recv().unwrap();
    let start = std::time::Instant::now();
    while !allocating.is_finished() {
        assert!(start.elapsed().as_secs() < 20, "it never ends");
        // SAFETY: the thread was not joined, so its number is valid.
        unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
        std::thread::sleep(std::time::Duration::from_micros(100));
    }
    assert!(allocating.join().unwrap().unwrap() >= 64 << 20);
}
