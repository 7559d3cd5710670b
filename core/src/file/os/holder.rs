//! Who holds a lock, as far as the system tells.
//!
//! ```text
//!   /proc/locks          3: FLOCK  ADVISORY  WRITE 4711 08:01:262151 0 EOF     device and inode -> pid
//!   /proc/4711/status    Uid:    1000    1000    1000    1000                  pid -> user id
//!   /etc/passwd          ada:x:1000:1000:Ada:/home/ada:/bin/sh                 user id -> name
//! ```
//!
//! This is for a message only: what is missing or does not parse leaves the answer incomplete.

use crate::file::disk::Holder;
use std::fs::File;
use std::os::unix::fs::MetadataExt;

/// The holder of the lock of `file`, if the system tells.
pub(super) fn find(file: &File) -> Option<Holder> {
    let meta = file.metadata().ok()?;
    let device = format!("{:02x}:{:02x}", libc::major(meta.dev() as _), libc::minor(meta.dev() as _));
    let pid = pid_in(&std::fs::read_to_string("/proc/locks").ok()?, &device, meta.ino())?;
    Some(Holder { pid, user: user_of(pid).unwrap_or_default() })
}

/// The process that holds a `flock` on `inode`. Some file systems (btrfs, overlays) show another
/// device here than `stat` does; then the inode alone decides if just one lock has it.
fn pid_in(locks: &str, device: &str, inode: u64) -> Option<u32> {
    let mut same_inode = Vec::new();
    for line in locks.lines() {
        // number, FLOCK, ADVISORY, WRITE, pid, device:inode, ...; a waiter has "->" after the number.
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let ["FLOCK", _, _, pid, place] = fields.get(1..6).unwrap_or_default() else { continue };
        let Some((on_device, on_inode)) = place.rsplit_once(':') else { continue };
        let Ok(pid) = pid.parse::<u32>() else { continue };
        if on_inode.parse() != Ok(inode) || pid == 0 {
            continue; // another file, or a holder outside our pid namespace
        }
        if on_device == device {
            return Some(pid);
        }
        same_inode.push(pid);
    }
    (same_inode.len() == 1).then(|| same_inode[0])
}

/// The user a process runs as: the name, or the number where it has none.
fn user_of(pid: u32) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let uid = uid_in(&status)?;
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    Some(name_in(&passwd, uid).unwrap_or(uid).to_owned())
}

fn uid_in(status: &str) -> Option<&str> {
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_ascii_whitespace().next()
}

fn name_in<'a>(passwd: &'a str, uid: &str) -> Option<&'a str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKS: &str = "\
1: POSIX  ADVISORY  WRITE 100 08:01:77 0 EOF
2: FLOCK  ADVISORY  WRITE 4711 08:01:262151 0 EOF
2: -> FLOCK  ADVISORY  WRITE 4712 08:01:262151 0 EOF
3: FLOCK  ADVISORY  WRITE 300 00:2a:262151 0 EOF
4: FLOCK  ADVISORY  WRITE 500 00:2b:90 0 EOF
5: FLOCK  ADVISORY  WRITE 0 08:01:91 0 EOF
nonsense
";

    #[test]
    fn the_holder_is_the_one_with_the_same_device_and_inode() {
        assert_eq!(pid_in(LOCKS, "08:01", 262_151), Some(4711));
        assert_eq!(pid_in(LOCKS, "00:2a", 262_151), Some(300));
    }

    #[test]
    fn an_ambiguous_or_unknown_holder_is_not_guessed() {
        assert_eq!(pid_in(LOCKS, "00:99", 262_151), None, "two locks with that inode");
        assert_eq!(pid_in(LOCKS, "00:99", 90), Some(500), "only one lock with that inode");
        assert_eq!(pid_in(LOCKS, "08:01", 77), None, "a record lock of another kind");
        assert_eq!(pid_in(LOCKS, "08:01", 91), None, "a process outside our namespace");
    }

    #[test]
    fn a_user_id_becomes_a_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000:Ada:/home/ada:/bin/sh\n";
        let uid = uid_in("Name:\tcat\nUid:\t1000\t1001\t1000\t1000\nGid:\t0\n");
        assert_eq!(uid, Some("1000"));
        assert_eq!(name_in(passwd, "1000"), Some("ada"));
        assert_eq!(name_in(passwd, "2000"), None);
    }
}
