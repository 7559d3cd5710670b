//! Calls that may take long: backup, restore, repair, verify, compact, warm up. Each may be given a `nyro_control`.

use std::ffi::c_char;

use nyro_owned::{report, BackupOptions, CancelToken, Control, Database, Error, RepairOptions, RestoreOptions};

use crate::boundary::{array, call, nyro_error, put, require, text, Out};
use crate::handles::{self, Object};
use crate::output;
use crate::types::*;

/// Makes a token that stops nothing yet, for `nyro_control`; sets `*cancel`.
///
/// # Safety
///
/// `cancel` is writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_cancel_new(cancel: *mut nyro_cancel, error: *mut nyro_error) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        unsafe { require(cancel, 0, "cancel") }?;
        let handle = handles::insert(Object::Cancel(CancelToken::new()))?;
        // SAFETY: passed on from the caller.
        unsafe { put(cancel, handle) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Stops the calls that were given this token, at their next step. It can't be undone. From any thread.
///
/// # Safety
///
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_cancel_fire(cancel: nyro_cancel, error: *mut nyro_error) -> u32 {
    let body = || {
        handles::cancel(cancel)?.cancel();
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Releases a token. Calls that were given it go on.
///
/// # Safety
///
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_cancel_release(cancel: nyro_cancel, error: *mut nyro_error) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { call(error, || handles::remove_kind(cancel, 6).map(drop)) }
}

/// Which backup to make. Set all fields to 0 and `struct_bytes` to its size, then what you need.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyro_backup_options {
    /// `sizeof(nyro_backup_options)`.
    pub struct_bytes: u32,
    /// Not 0: replace a file that is there.
    pub overwrite: u32,
    /// The name by which the database remembers it, for incremental ones to be based on; null: none.
    pub name: *const c_char,
    /// Bytes of it.
    pub name_bytes: usize,
    /// Incremental: only what changed since the backup of this name; null: a full one.
    pub since: *const c_char,
    /// Bytes of it.
    pub since_bytes: usize,
}

/// Puts a report where the caller wants it, if it does.
///
/// # Safety
///
/// As for [`Out::copy`].
unsafe fn tell(out: &Out, report: &impl serde::Serialize, format: u32) -> Result<(), Error> {
    // SAFETY: passed on.
    unsafe { output::document(out, &report::to_document(report)?, format) }
}

/// Writes a backup to a new file at `path`, while reads and writes go on. A full one is itself a database. `options`
/// and `control` may be null. `*report_out`, if not null, is a document in `format` (commit, pages, bytes), freed with
/// `nyro_free`. After an error what was at `path` is as it was. Blocks for copying the file.
///
/// # Safety
///
/// `path` points to `path_bytes` readable bytes, `options` and `control` are null or readable with what they point to;
/// the out-parameters and `error` are null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_backup(
    db: nyro_db,
    path: *const c_char,
    path_bytes: usize,
    options: *const nyro_backup_options,
    control: *const nyro_control,
    format: u32,
    report_out: *mut *mut u8,
    report_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        let none = nyro_backup_options {
            struct_bytes: size_of::<nyro_backup_options>() as u32,
            overwrite: 0,
            name: std::ptr::null(),
            name_bytes: 0,
            since: std::ptr::null(),
            since_bytes: 0,
        };
        // SAFETY: all passed on from the caller.
        let (out, path, given, watch) = unsafe {
            (
                Out::new(report_out, report_bytes_out),
                text(path, path_bytes, "path")?,
                read_sized(options, none, size_of::<nyro_backup_options>(), "options")?,
                Watch::new(control)?,
            )
        };
        output::check(format)?;
        let optional = |data: *const c_char, bytes, name| match data.is_null() {
            true => Ok(None),
            // SAFETY: passed on from the caller.
            false => unsafe { text(data, bytes, name) }.map(|text| Some(text.to_owned())),
        };
        let options = BackupOptions {
            name: optional(given.name, given.name_bytes, "name")?,
            since: optional(given.since, given.since_bytes, "since")?,
            overwrite: given.overwrite != 0,
        };
        let report = handles::database(db)?.backup_with(path, &options, watch.control())?;
        // SAFETY: the out-parameters of this call.
        unsafe { tell(&out, &report, format) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// The named backups that the database remembers, the newest first: a document in `format` whose field `items` is an
/// array (name, commit, checkpoint), freed with `nyro_free`.
///
/// # Safety
///
/// The out-parameters are writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_backups(
    db: nyro_db,
    format: u32,
    backups_out: *mut *mut u8,
    backups_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let out = unsafe { Out::new(backups_out, backups_bytes_out) };
        out.required("backups_out")?;
        let backups = report::list(&handles::database(db)?.backups()?)?;
        // SAFETY: the out-parameters of this call.
        unsafe { output::document(&out, &backups, format) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// A text of the caller, in an array of them.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyro_text {
    /// UTF-8, without a NUL.
    pub data: *const c_char,
    /// How many bytes.
    pub bytes: usize,
}

/// Makes a database file at `target` from a full backup and the incremental ones after it, in their order. It is
/// verified as a whole before it takes the target's place; after an error what was there is as it was. `overwrite` not
/// 0: replace a file that is there. The report is that of `nyro_verify`. Blocks until done.
///
/// # Safety
///
/// `target` points to `target_bytes` readable bytes, `backups` to `count` texts; `control` is null or readable; the
/// out-parameters and `error` are null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_restore(
    target: *const c_char,
    target_bytes: usize,
    backups: *const nyro_text,
    count: usize,
    overwrite: u32,
    control: *const nyro_control,
    format: u32,
    report_out: *mut *mut u8,
    report_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: all passed on from the caller.
        let (out, target, backups, watch) = unsafe {
            (
                Out::new(report_out, report_bytes_out),
                text(target, target_bytes, "target")?,
                array(backups, count, "backups")?,
                Watch::new(control)?,
            )
        };
        output::check(format)?;
        // SAFETY: each text is readable as the caller vouches.
        let backups = backups.iter().map(|path| unsafe { text(path.data, path.bytes, "backups") });
        let backups = backups.collect::<Result<Vec<_>, _>>()?;
        let options = RestoreOptions { overwrite: overwrite != 0 };
        let report = nyro_owned::restore(target, &backups, &options, watch.control())?;
        // SAFETY: the out-parameters of this call.
        unsafe { tell(&out, &report, format) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Saves what can still be read of a damaged file into a new one. The report, a document in `format`, says what was
/// saved and what was lost; `is_complete` is true if nothing was. Blocks until done.
///
/// # Safety
///
/// `damaged` and `target` point to as many readable bytes as their lengths say; `control` is null or readable; the
/// out-parameters and `error` are null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_repair(
    damaged: *const c_char,
    damaged_bytes: usize,
    target: *const c_char,
    target_bytes: usize,
    overwrite: u32,
    control: *const nyro_control,
    format: u32,
    report_out: *mut *mut u8,
    report_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: all passed on from the caller.
        let (out, damaged, target, watch) = unsafe {
            (
                Out::new(report_out, report_bytes_out),
                text(damaged, damaged_bytes, "damaged")?,
                text(target, target_bytes, "target")?,
                Watch::new(control)?,
            )
        };
        output::check(format)?;
        let options = RepairOptions { overwrite: overwrite != 0, ..RepairOptions::default() };
        let report = nyro_owned::repair(damaged, target, &options, watch.control())?;
        // SAFETY: the out-parameters of this call.
        unsafe { output::document(&out, &report::of_repair(&report)?, format) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// A long call on a database, with a report.
///
/// # Safety
///
/// `control` is null or readable; the out-parameters and `error` are null or writable.
unsafe fn reported<R: serde::Serialize>(
    db: nyro_db,
    control: *const nyro_control,
    format: u32,
    (report_out, report_bytes_out): (*mut *mut u8, *mut usize),
    error: *mut nyro_error,
    run: impl FnOnce(&Database, Control<'_>) -> Result<R, Error>,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let out = unsafe { Out::new(report_out, report_bytes_out) };
        output::check(format)?;
        // SAFETY: passed on from the caller.
        let watch = unsafe { Watch::new(control)? };
        let report = run(&handles::database(db)?, watch.control())?;
        // SAFETY: the out-parameters of this call.
        unsafe { tell(&out, &report, format) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Checks the whole database: pages, checksums, order, counters, and that each document is found by its id and is
/// well-formed. Error: `NYRO_CORRUPT`, with the first damage found. The report says how much was checked. Blocks for
/// reading the whole file; reads and writes go on.
///
/// # Safety
///
/// `control` is null or readable; the out-parameters and `error` are null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_verify(
    db: nyro_db,
    control: *const nyro_control,
    format: u32,
    report_out: *mut *mut u8,
    report_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let run = |db: &Database, control: Control<'_>| db.verify_with(control);
    // SAFETY: passed on from the caller.
    unsafe { reported(db, control, format, (report_out, report_bytes_out), error, run) }
}

/// Makes the file as small as its documents allow. Blocks until done, in steps; stopped, what was gained stays. Reads
/// and writes go on.
///
/// # Safety
///
/// As for `nyro_verify`.
#[no_mangle]
pub unsafe extern "C" fn nyro_compact(
    db: nyro_db,
    control: *const nyro_control,
    format: u32,
    report_out: *mut *mut u8,
    report_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let run = |db: &Database, control: Control<'_>| db.compact_with(control);
    // SAFETY: passed on from the caller.
    unsafe { reported(db, control, format, (report_out, report_bytes_out), error, run) }
}

/// Brings pages of the file into memory, the index first, up to `limit_bytes`. Blocks until done; reads and writes go
/// on.
///
/// # Safety
///
/// As for `nyro_verify`.
#[no_mangle]
pub unsafe extern "C" fn nyro_warm_up(
    db: nyro_db,
    limit_bytes: u64,
    control: *const nyro_control,
    format: u32,
    report_out: *mut *mut u8,
    report_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let run = |db: &Database, control: Control<'_>| db.warm_up_with(limit_bytes, control);
    // SAFETY: passed on from the caller.
    unsafe { reported(db, control, format, (report_out, report_bytes_out), error, run) }
}
