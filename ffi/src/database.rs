//! Opening, closing, and the calls on the database as a whole. The comments here become those of `nyro.h`.

use std::ffi::{c_char, c_void};
use std::panic::catch_unwind;

use nyro_owned::{report, Database, Error, Tx};

use crate::boundary::{call, last_message, null, nyro_error, put, require, text, Out};
use crate::handles::{self, Object};
use crate::types::*;
use crate::{code, output};

/// The ABI version of the library that is loaded: `NYRO_ABI_VERSION` of its header.
#[no_mangle]
pub extern "C" fn nyro_abi_version() -> u32 {
    NYRO_ABI_VERSION
}

/// The version of the library that is loaded, such as `"0.1.0"`. A constant: never null, never freed.
#[no_mangle]
pub extern "C" fn nyro_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The name of an error number, such as `"DuplicateId"`, or `"Unknown"`. A constant: never null, never freed.
#[no_mangle]
pub extern "C" fn nyro_error_name(code: u32) -> *const c_char {
    catch_unwind(|| code::name_of(code)).unwrap_or(c"Unknown").as_ptr()
}

/// The message of the last call of this thread that failed, or `""`. For convenience where no `nyro_error` was
/// given. It lives until the next call of this thread that fails; it is not to be freed.
#[no_mangle]
pub extern "C" fn nyro_last_error_message() -> *const c_char {
    last_message()
}

/// Frees bytes that a call of this library handed out. Null is allowed and does nothing.
///
/// # Safety
///
/// `data` is null or was handed out by this library and not freed since.
#[no_mangle]
pub unsafe extern "C" fn nyro_free(data: *mut c_void) {
    // SAFETY: what is handed out was allocated with `malloc` (`boundary::allocate`); the caller vouches that it is ours
    // and not freed yet. `free` of null does nothing.
    unsafe { libc::free(data) };
}

/// Fills `options` with the defaults. `struct_bytes` is `sizeof(nyro_options)`.
///
/// # Safety
///
/// `options` is null (an error) or points to `struct_bytes` bytes that may be written.
#[no_mangle]
pub unsafe extern "C" fn nyro_options_init(
    options: *mut nyro_options,
    struct_bytes: usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        if options.is_null() {
            return Err(null("options"));
        }
        if struct_bytes != size_of::<nyro_options>() {
            return Err(wrong_size("options", struct_bytes, size_of::<nyro_options>()));
        }
        // SAFETY: not null, and writable with the size of the struct, as the caller vouches.
        unsafe { options.write_unaligned(default_options()) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Opens the database file at `path` (UTF-8) and sets `*db`. `options` may be null for the defaults. The path
/// `":memory:"` is a database that is gone when it is closed. Blocks for recovery if the file was not closed.
///
/// The same path opened twice in a process gives two handles to one database; other options than the first are
/// `NYRO_OPTIONS_DIFFER`. In another process it is `NYRO_LOCKED`, and the message names the holder.
///
/// # Safety
///
/// `path` points to `path_bytes` readable bytes, `options` is null or readable, `db` writable, `error` null or
/// writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_open(
    path: *const c_char,
    path_bytes: usize,
    options: *const nyro_options,
    db: *mut nyro_db,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let (path, options) = unsafe {
            require(db, 0, "db")?;
            (text(path, path_bytes, "path")?, read_options(options)?)
        };
        let handle = handles::insert(Object::Database(Database::open_with(path, options)?))?;
        // SAFETY: passed on from the caller.
        unsafe { put(db, handle) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Closes this handle; the last one of a database brings what is committed to the file, marks it clean and releases
/// it. Blocks until that is done, and for a transaction of another thread. The handle is stale afterwards, even if an
/// error is returned, but for `NYRO_NESTED_TRANSACTION`: a transaction of this thread is open, and nothing was closed.
/// Collections of it give `NYRO_CLOSED`, and so do its snapshots and scans once the last handle of the database is
/// closed; release them still. Documents borrowed from a
/// snapshot stay until it is released, and the file can't be opened again in this process until then.
///
/// # Safety
///
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_close(db: nyro_db, error: *mut nyro_error) -> u32 {
    let body = || {
        let closed = handles::database(db)?.close();
        if !matches!(closed, Err(Error::NestedTransaction)) {
            handles::remove_kind(db, 1)?;
        }
        closed
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Gives a handle up where nobody is there to be told of failures: closes as `nyro_close`, and where that is
/// `NYRO_NESTED_TRANSACTION` the database is closed when the transaction has ended and its collections are released.
///
/// # Safety
///
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_db_release(db: nyro_db, error: *mut nyro_error) -> u32 {
    let body = || {
        let Object::Database(db) = handles::remove_kind(db, 1)? else { return Err(Error::Closed) };
        match db.close() {
            Err(Error::NestedTransaction) => Ok(()),
            other => other,
        }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Makes every commit so far durable, whatever the durability. Blocks for one sync of the log.
///
/// # Safety
///
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_sync(db: nyro_db, error: *mut nyro_error) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { call(error, || handles::database(db)?.sync()) }
}

/// Moves everything from memory and log into the file now. Never needed for safety: it happens in the background.
/// Blocks until done; reads and writes go on.
///
/// # Safety
///
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_checkpoint(db: nyro_db, error: *mut nyro_error) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { call(error, || handles::database(db)?.checkpoint()) }
}

/// Figures about the database, as one document in `format`, freed with `nyro_free`. The fields are those of `Stats` in
/// `docs/operations.md`; each says its unit. Cheap.
///
/// # Safety
///
/// The out-parameters are writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_stats(
    db: nyro_db,
    format: u32,
    stats_out: *mut *mut u8,
    stats_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let out = unsafe { Out::new(stats_out, stats_bytes_out) };
        out.required("stats_out")?;
        let stats = report::to_document(&handles::database(db)?.stats()?)?;
        // SAFETY: the out-parameters of this call.
        unsafe { output::document(&out, &stats, format) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

// ---- collections by name -------------------------------------------------------------------------------

/// Names of the collections of a database or snapshot, sorted: a document in `format` whose field `items` is an array
/// of strings, freed with `nyro_free`.
///
/// # Safety
///
/// The out-parameters are writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_collection_names(
    scope: nyro_scope,
    format: u32,
    names_out: *mut *mut u8,
    names_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let out = unsafe { Out::new(names_out, names_bytes_out) };
        out.required("names_out")?;
        let names = match handles::snapshot(scope) {
            Ok(snapshot) => snapshot.collection_names()?,
            Err(_) => handles::database(scope)?.collection_names()?,
        };
        // SAFETY: the out-parameters of this call.
        unsafe { output::names(&out, names, format) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// What changes the names of collections and keyspaces: a database, each call a transaction of its own, or a transaction.
pub(crate) enum Catalog {
    Database(Database),
    Transaction(Tx),
}

pub(crate) fn catalog(scope: nyro_scope) -> Result<Catalog, Error> {
    match handles::transaction(scope) {
        Ok(tx) => Ok(Catalog::Transaction(tx)),
        Err(_) => handles::database(scope).map(Catalog::Database),
    }
}

/// Makes an empty collection. Collections are made by their first write, too. Error: `NYRO_COLLECTION_EXISTS`.
///
/// # Safety
///
/// `name` points to `name_bytes` readable bytes, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_create_collection(
    db_or_transaction: nyro_scope,
    name: *const c_char,
    name_bytes: usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let name = unsafe { text(name, name_bytes, "name") }?;
        match catalog(db_or_transaction)? {
            Catalog::Database(db) => db.create_collection(name),
            Catalog::Transaction(tx) => tx.with(|tx| tx.create_collection(name)),
        }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Gives a collection another name. Errors: `NYRO_COLLECTION_NOT_FOUND`, `NYRO_COLLECTION_EXISTS`.
///
/// # Safety
///
/// `from` and `to` point to as many readable bytes as their lengths say, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_rename_collection(
    db_or_transaction: nyro_scope,
    from: *const c_char,
    from_bytes: usize,
    to: *const c_char,
    to_bytes: usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let (from, to) = unsafe { (text(from, from_bytes, "from")?, text(to, to_bytes, "to")?) };
        match catalog(db_or_transaction)? {
            Catalog::Database(db) => db.rename_collection(from, to),
            Catalog::Transaction(tx) => tx.with(|tx| tx.rename_collection(from, to)),
        }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Drops a collection with all its documents, in the same short time whatever its size. `*dropped_out`, if not null,
/// says whether there was one (1) or not (0). Snapshots still see it.
///
/// # Safety
///
/// `name` points to `name_bytes` readable bytes; `dropped_out` and `error` are null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_drop_collection(
    db_or_transaction: nyro_scope,
    name: *const c_char,
    name_bytes: usize,
    dropped_out: *mut u32,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let name = unsafe {
            put(dropped_out, 0);
            text(name, name_bytes, "name")?
        };
        let dropped = match catalog(db_or_transaction)? {
            Catalog::Database(db) => db.drop_collection(name)?,
            Catalog::Transaction(tx) => tx.with(|tx| tx.drop_collection(name))?,
        };
        // SAFETY: passed on from the caller.
        unsafe { put(dropped_out, dropped.into()) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

// ---- transactions and snapshots ------------------------------------------------------------------------

/// Begins a write transaction and sets `*transaction`. Blocks for the writer's turn, at most `writer_timeout_ms`; other
/// writers wait until it is ended, readers do not. It belongs to this thread: used by another one it is
/// `NYRO_WRONG_THREAD`, and goes on. A thread that ends rolls back what it has not ended; the handle is stale from then
/// on, and so are the collections opened in it. Error: `NYRO_NESTED_TRANSACTION` if this thread has one of this database
/// already, also for a write outside of it.
///
/// # Safety
///
/// `transaction` is writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_begin(db: nyro_db, transaction: *mut nyro_transaction, error: *mut nyro_error) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        unsafe { require(transaction, 0, "transaction") }?;
        let tx = Tx::begin(&handles::database(db)?)?;
        let handle = handles::insert_transaction(tx).inspect_err(|_| drop(tx.rollback()))?;
        // SAFETY: passed on from the caller.
        unsafe { put(transaction, handle) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Commits: all of the transaction's changes or, after an error, none, but for `NYRO_OUTCOME_UNKNOWN`: a sync failed, and
/// whether the commit is there is known after the database was opened again. Blocks until the commit is durable under
/// `NYRO_DURABILITY_SYNC`. `*commit_out`, if not null, is the commit number. The handle is stale afterwards, and so are
/// the collections opened in it, but for `NYRO_WRONG_THREAD`.
///
/// # Safety
///
/// `commit_out` and `error` are null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_commit(
    transaction: nyro_transaction,
    commit_out: *mut u64,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        unsafe { put(commit_out, 0) };
        let commit = end(transaction, |tx| tx.commit())?;
        // SAFETY: passed on from the caller.
        unsafe { put(commit_out, commit) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Ends a transaction without a trace. The handle is stale afterwards, and so are the collections opened in it, but for
/// `NYRO_WRONG_THREAD`: until its thread ends it, or ends itself, the transaction keeps the writer's turn.
///
/// # Safety
///
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_rollback(transaction: nyro_transaction, error: *mut nyro_error) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { call(error, || end(transaction, |tx| tx.rollback())) }
}

fn end<R>(handle: nyro_transaction, how: impl FnOnce(Tx) -> Result<R, Error>) -> Result<R, Error> {
    let tx = handles::transaction(handle)?;
    let ended = how(tx);
    // It goes on after an error of the call itself.
    if !matches!(ended, Err(Error::WrongThread)) && !tx.is_open() {
        handles::end_transaction(handle);
    }
    ended
}

/// Takes a frozen view of the whole database as of now and sets `*snapshot`. Costs nothing and never waits. While it
/// lives, what it shows is kept, so the file may grow: release it.
///
/// # Safety
///
/// `snapshot` is writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_snapshot_take(db: nyro_db, snapshot: *mut nyro_snapshot, error: *mut nyro_error) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        unsafe { require(snapshot, 0, "snapshot") }?;
        let handle = handles::insert(Object::Snapshot(handles::database(db)?.snapshot()?))?;
        // SAFETY: passed on from the caller.
        unsafe { put(snapshot, handle) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// The commit number that a snapshot shows.
///
/// # Safety
///
/// `commit_out` is writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_snapshot_commit(
    snapshot: nyro_snapshot,
    commit_out: *mut u64,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        unsafe { require(commit_out, 0, "commit_out") }?;
        let commit = handles::snapshot(snapshot)?.commit();
        // SAFETY: passed on from the caller.
        unsafe { put(commit_out, commit) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Releases a snapshot. Collections opened in it keep what it shows until they are released, too, and with it what was
/// borrowed from them; what was borrowed is not to be looked at after both. Works after `nyro_close`.
///
/// # Safety
///
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_snapshot_release(snapshot: nyro_snapshot, error: *mut nyro_error) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { call(error, || handles::remove_kind(snapshot, 2).map(drop)) }
}
