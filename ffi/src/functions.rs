//! The C functions. The comments here become those of `nyro.h`.

use std::ffi::{c_char, c_void};
use std::panic::catch_unwind;

use engine::{Database, Document, Durability, Error, Id, Options, RawDocument, Value};

use crate::boundary::{call, last_message, null, nyro_error, slice, text, Out};
use crate::{code, handles};

/// The version of the functions and structs of this header. It grows when one of them changes in a way that
/// an old program would notice; compare it with `nyro_abi_version()`.
pub const NYRO_ABI_VERSION: u32 = 1;

/// An open database. A plain number: copy it as you like, also between threads. 0 is never a database. After
/// `nyro_close` the number is an error wherever it is used, even when other databases were opened since.
pub type nyro_db = u64;

/// An acknowledged commit survives power loss. The default.
pub const NYRO_DURABILITY_SYNC: u32 = 0;
/// An acknowledged commit survives a crash of the process; power loss takes at most the last interval.
pub const NYRO_DURABILITY_INTERVAL: u32 = 1;
/// An acknowledged commit survives a crash of the process; power loss may take what came after the last sync.
pub const NYRO_DURABILITY_MANUAL: u32 = 2;

/// How to open a database. Fill it with `nyro_options_init`, then change what you need, so that a program
/// that was compiled with an older header goes on working.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyro_options {
    /// `sizeof(nyro_options)` of the header the program was compiled with.
    pub struct_bytes: u32,
    /// Not 0: make the file if it is not there. Default 1.
    pub create: u32,
    /// One of `NYRO_DURABILITY_...`.
    pub durability: u32,
    /// For `NYRO_DURABILITY_INTERVAL`: the interval. Default 100.
    pub interval_ms: u32,
}

/// The ABI version of the library that is loaded: `NYRO_ABI_VERSION` of its header.
#[no_mangle]
pub extern "C" fn nyro_abi_version() -> u32 {
    NYRO_ABI_VERSION
}

/// The name of an error number, such as `"DuplicateId"`, or `"Unknown"`. A constant: never null, never freed.
#[no_mangle]
pub extern "C" fn nyro_error_name(code: u32) -> *const c_char {
    code::name_of(code).as_ptr().cast()
}

/// The message of the last call of this thread that failed, or `""`. For convenience where no `nyro_error` was
/// given. It lives until the next call of this thread that fails; it is not to be freed.
#[no_mangle]
pub extern "C" fn nyro_last_error_message() -> *const c_char {
    // Fails only while the thread is ending and its thread-local message is gone.
    catch_unwind(last_message).unwrap_or(c"".as_ptr())
}

/// Frees bytes that a call of this library handed out. Null is allowed and does nothing.
///
/// # Safety
///
/// `data` is null or was handed out by this library and not freed since.
#[no_mangle]
pub unsafe extern "C" fn nyro_free(data: *mut c_void) {
    // SAFETY: what is handed out was allocated with `malloc` (`Out::copy`); the caller vouches that it is ours
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
            return Err(wrong_size(struct_bytes as u64));
        }
        // SAFETY: not null, and writable with the size of the struct, as the caller vouches.
        unsafe { options.write(default_options()) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Opens the database file at `path` (UTF-8) and sets `*db`. `options` may be null for the defaults. The path
/// `":memory:"` is a database that is gone when it is closed.
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
        if db.is_null() {
            return Err(null("db"));
        }
        // SAFETY: not null, and writable as the caller vouches.
        unsafe { db.write(0) };
        // SAFETY: passed on from the caller.
        let path = unsafe { text(path, path_bytes, "path") }?;
        // SAFETY: passed on from the caller.
        let options = unsafe { read_options(options) }?;
        let handle = handles::insert(Database::open_with(path, options)?)?;
        // SAFETY: as above.
        unsafe { db.write(handle) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Closes the database: what is committed is brought to the file, and the file is released. Calls of other
/// threads that are under way end first or with `NYRO_CLOSED`. The handle is stale afterwards, even if an
/// error is returned. A path that was opened twice in this process is one
/// database, and is closed for both.
///
/// # Safety
///
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_close(db: nyro_db, error: *mut nyro_error) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { call(error, || handles::remove(db)?.close()) }
}

/// Inserts a document (a MessagePack map), or replaces the one that has its `_id`. Without an `_id` it gets the
/// next integer. `id_out` and `id_bytes_out`, if not null, receive the id as MessagePack, to be freed with
/// `nyro_free`.
///
/// # Safety
///
/// `collection` and `document` point to as many readable bytes as their lengths say; the out-parameters and
/// `error` are null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_put(
    db: nyro_db,
    collection: *const c_char,
    collection_bytes: usize,
    document: *const u8,
    document_bytes: usize,
    id_out: *mut *mut u8,
    id_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: all passed on from the caller.
        let (out, collection, document) = unsafe {
            (
                Out::new(id_out, id_bytes_out),
                text(collection, collection_bytes, "collection")?,
                slice(document, document_bytes, "document")?,
            )
        };
        let document = RawDocument::from_bytes(document)?;
        let id = handles::get(db)?.collection::<Document>(collection).put_raw(document)?;
        // SAFETY: the out-parameters of this call.
        unsafe { out.copy(&id_to_msgpack(&id)?) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Like `nyro_put`, with the document as JSON text (Extended JSON: `{"$date": ...}`, `{"$binary": ...}`); the
/// id comes back as JSON text, without a NUL.
///
/// # Safety
///
/// As for `nyro_put`.
#[no_mangle]
pub unsafe extern "C" fn nyro_put_json(
    db: nyro_db,
    collection: *const c_char,
    collection_bytes: usize,
    json: *const c_char,
    json_bytes: usize,
    id_out: *mut *mut c_char,
    id_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: all passed on from the caller.
        let (out, collection, json) = unsafe {
            (
                Out::new(id_out, id_bytes_out),
                text(collection, collection_bytes, "collection")?,
                text(json, json_bytes, "json")?,
            )
        };
        let document = Document::from_json(json)?;
        let id = handles::get(db)?.collection::<Document>(collection).put(&document)?;
        // SAFETY: the out-parameters of this call.
        unsafe { out.copy(id.to_string().as_bytes()) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Copies out the document with this id (one MessagePack integer, string or binary), to be freed with
/// `nyro_free`. If there is none, the call succeeds with `*document_out` null.
///
/// # Safety
///
/// `collection` and `id` point to as many readable bytes as their lengths say; `document_out` and
/// `document_bytes_out` are writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_get(
    db: nyro_db,
    collection: *const c_char,
    collection_bytes: usize,
    id: *const u8,
    id_bytes: usize,
    document_out: *mut *mut u8,
    document_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: all passed on from the caller.
        let (out, collection, id) = unsafe {
            (
                Out::new(document_out, document_bytes_out),
                text(collection, collection_bytes, "collection")?,
                slice(id, id_bytes, "id")?,
            )
        };
        out.required("document_out")?;
        // SAFETY: the out-parameters of this call.
        with_document(db, collection, id_from_msgpack(id)?, |found| unsafe { out.copy(found.as_bytes()) })
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Like `nyro_get`, with the id as JSON text (`42`, `"ada"`) and the document as JSON text, without a NUL.
///
/// # Safety
///
/// As for `nyro_get`.
#[no_mangle]
pub unsafe extern "C" fn nyro_get_json(
    db: nyro_db,
    collection: *const c_char,
    collection_bytes: usize,
    id_json: *const c_char,
    id_json_bytes: usize,
    json_out: *mut *mut c_char,
    json_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: all passed on from the caller.
        let (out, collection, id) = unsafe {
            (
                Out::new(json_out, json_bytes_out),
                text(collection, collection_bytes, "collection")?,
                text(id_json, id_json_bytes, "id_json")?,
            )
        };
        out.required("json_out")?;
        // SAFETY: the out-parameters of this call.
        with_document(db, collection, id_from_json(id)?, |found| unsafe { out.copy(found.to_json()?.as_bytes()) })
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Deletes the document with this id (one MessagePack value). `*deleted_out`, if not null, says whether there
/// was one (1) or not (0).
///
/// # Safety
///
/// `collection` and `id` point to as many readable bytes as their lengths say; `deleted_out` and `error` are
/// null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_delete(
    db: nyro_db,
    collection: *const c_char,
    collection_bytes: usize,
    id: *const u8,
    id_bytes: usize,
    deleted_out: *mut u32,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: all passed on from the caller.
        let (collection, id) =
            unsafe { (text(collection, collection_bytes, "collection")?, slice(id, id_bytes, "id")?) };
        // SAFETY: passed on from the caller.
        unsafe { delete(db, collection, id_from_msgpack(id), deleted_out) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Like `nyro_delete`, with the id as JSON text.
///
/// # Safety
///
/// As for `nyro_delete`.
#[no_mangle]
pub unsafe extern "C" fn nyro_delete_json(
    db: nyro_db,
    collection: *const c_char,
    collection_bytes: usize,
    id_json: *const c_char,
    id_json_bytes: usize,
    deleted_out: *mut u32,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: all passed on from the caller.
        let (collection, id) =
            unsafe { (text(collection, collection_bytes, "collection")?, text(id_json, id_json_bytes, "id_json")?) };
        // SAFETY: passed on from the caller.
        unsafe { delete(db, collection, id_from_json(id), deleted_out) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// # Safety
///
/// `deleted_out` is null or writable.
unsafe fn delete(db: nyro_db, collection: &str, id: Result<Id, Error>, deleted_out: *mut u32) -> Result<(), Error> {
    let set = |deleted: bool| {
        if !deleted_out.is_null() {
            // SAFETY: not null, and writable as the caller vouches.
            unsafe { deleted_out.write(deleted.into()) };
        }
    };
    set(false);
    set(handles::get(db)?.collection::<Document>(collection).delete(id?)?);
    Ok(())
}

/// Gives the document with this id, if there is one, to `copy`.
fn with_document(
    db: nyro_db,
    collection: &str,
    id: Id,
    copy: impl FnOnce(&RawDocument) -> Result<(), Error>,
) -> Result<(), Error> {
    let collection = handles::get(db)?.collection::<Document>(collection);
    collection.get_raw_with(id, copy)?.unwrap_or(Ok(()))
}

fn default_options() -> nyro_options {
    nyro_options {
        struct_bytes: size_of::<nyro_options>() as u32,
        create: 1,
        durability: NYRO_DURABILITY_SYNC,
        interval_ms: 100,
    }
}

/// # Safety
///
/// `options` is null or readable.
unsafe fn read_options(options: *const nyro_options) -> Result<Options, Error> {
    let given = match options.is_null() {
        true => default_options(),
        // SAFETY: not null, and readable as the caller vouches.
        false => unsafe { options.read() },
    };
    if given.struct_bytes as usize != size_of::<nyro_options>() {
        return Err(wrong_size(given.struct_bytes.into()));
    }
    let durability = match given.durability {
        NYRO_DURABILITY_SYNC => Durability::Sync,
        NYRO_DURABILITY_INTERVAL => Durability::Interval(given.interval_ms.into()),
        NYRO_DURABILITY_MANUAL => Durability::Manual,
        other => return Err(Error::InvalidArgument(format!("durability {other} is none of NYRO_DURABILITY_..."))),
    };
    Ok(Options { create: given.create != 0, durability, ..Options::default() })
}

fn wrong_size(bytes: u64) -> Error {
    let known = size_of::<nyro_options>();
    Error::InvalidArgument(format!("options have {bytes} bytes, this library knows {known}: call nyro_options_init"))
}

/// Head of a document whose only field is `_id`.
const ID_HEAD: &[u8] = b"\x81\xa3_id";

/// An id from one MessagePack value: the bytes become the only field of a document, whose id it then is.
fn id_from_msgpack(id: &[u8]) -> Result<Id, Error> {
    let document = [ID_HEAD, id].concat();
    RawDocument::from_bytes(&document)?.id().ok_or_else(not_an_id)
}

/// An id from JSON text, in the same way.
fn id_from_json(id: &str) -> Result<Id, Error> {
    let document = Document::from_json(&format!("{{\"_id\":{id}}}"))?;
    document.id().filter(|_| document.len() == 1).ok_or_else(not_an_id)
}

fn not_an_id() -> Error {
    Error::InvalidId("the value is none of integer, string and binary, or it is too long".to_owned())
}

/// The id as one MessagePack value in its shortest form: what stands behind the field name in a document of
/// that field alone.
fn id_to_msgpack(id: &Id) -> Result<Vec<u8>, Error> {
    let value = match id {
        Id::Int(n) => Value::Int(*n),
        Id::UInt(n) => Value::UInt(*n),
        Id::String(text) => Value::String(text.clone()),
        Id::Bytes(bytes) => Value::Binary(bytes.clone()),
    };
    let mut document = Document::new();
    document.insert("_id", value);
    Ok(document.to_msgpack()?.split_off(ID_HEAD.len()))
}
