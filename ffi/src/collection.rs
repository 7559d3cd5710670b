//! Documents by id, and scans. The comments here become those of `nyro.h`.

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

use nyro_owned::{id, split, Coll, Document, Error, Id, InsertManyOptions, OwnedTransaction, RawDocument, Tx};

use crate::boundary::{
    allocate, array, array_mut, call, no_memory, nyro_error, put, require, slice, text, Gathered, Out,
};
use crate::handles::{self, Collection, Object, Walk};
use crate::types::*;

/// Opens a collection of a database (each read sees the newest commit), of a snapshot (as of it; writing is
/// `NYRO_READ_ONLY`), or of a transaction (which sees its own writes). Reads and writes nothing: a collection is made by
/// its first write and is empty before. Open it once and keep it: it remembers where the collection is. Release it with
/// `nyro_collection_release`; one of a transaction ends with that.
///
/// # Safety
///
/// `name` points to `name_bytes` readable bytes, `collection` is writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_collection_open(
    scope: nyro_scope,
    name: *const c_char,
    name_bytes: usize,
    collection: *mut nyro_collection,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let name = unsafe {
            require(collection, 0, "collection")?;
            text(name, name_bytes, "name")?
        };
        let handle = if let Ok(tx) = handles::transaction(scope) {
            tx.with(|_| Ok(()))?;
            handles::insert_in_transaction(scope, Object::Collection(Collection::In(tx, name.into())))?
        } else {
            let coll = match handles::snapshot(scope) {
                Ok(snapshot) => Coll::frozen(&snapshot, name)?,
                Err(_) => Coll::live(&handles::database(scope)?, name),
            };
            handles::insert(Object::Collection(Collection::Of(Arc::new(coll))))?
        };
        // SAFETY: passed on from the caller.
        unsafe { put(collection, handle) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Releases a collection.
///
/// # Safety
///
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_collection_release(collection: nyro_collection, error: *mut nyro_error) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { call(error, || handles::remove_kind(collection, 3).map(drop)) }
}

// ---- reading -------------------------------------------------------------------------------------------

/// Gives the document with this id, if there is one, to `read`.
///
/// Integer ids have a way of their own, on which there is no [`Id`] before the engine is called: moved through memory it
/// would be copied 16 bytes at a time right after it was written in smaller pieces, and wait for those.
///
/// # Safety
///
/// As for [`nyro_id::read`].
#[inline(always)]
unsafe fn read<R>(handle: nyro_collection, id: &nyro_id, read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>, Error> {
    match id.kind {
        NYRO_ID_INT => read_one(handle, id.integer, read),
        // SAFETY: passed on.
        _ => read_other(handle, unsafe { id.read() }?, read),
    }
}

#[inline(always)]
fn read_one<R>(handle: nyro_collection, id: impl Into<Id>, read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>, Error> {
    let held = handles::hold(handle)?;
    match held.collection()? {
        Collection::Of(coll) => coll.get_with(id, read),
        Collection::In(tx, name) => read_within(*tx, name, id.into(), read),
    }
}

#[inline(never)]
fn read_other<R>(handle: nyro_collection, id: Id, read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>, Error> {
    read_one(handle, id, read)
}

#[inline(never)]
fn read_within<R>(tx: Tx, name: &str, id: Id, read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>, Error> {
    let found = tx.with(|tx| tx.collection::<Document>(name).get_raw(id))?;
    Ok(found.map(|document| read(document.as_bytes())))
}

/// Copies out the document with this id as MessagePack, to be freed with `nyro_free`. If there is none, the call
/// succeeds with `*document_out` null. Never blocks.
///
/// # Safety
///
/// The bytes of `id` are readable; the out-parameters are writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_get(
    collection: nyro_collection,
    id: nyro_id,
    document_out: *mut *mut u8,
    document_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let out = unsafe { Out::new(document_out, document_bytes_out) };
        out.required("document_out")?;
        // SAFETY: passed on from the caller; the out-parameters are those of this call.
        let copied = unsafe { read(collection, &id, |document| out.try_copy(document)) }?;
        copied.unwrap_or(Ok(())).map_err(no_memory)
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Copies the document with this id into the caller's memory and sets `*document_bytes_out` to its size: 0 if there is
/// no such document; more than `buffer_bytes` if it does not fit, and then nothing is copied. `buffer` may be null if
/// `buffer_bytes` is 0.
///
/// # Safety
///
/// The bytes of `id` are readable, `buffer_bytes` bytes at `buffer` writable; `document_bytes_out` is writable, `error`
/// null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_get_into(
    collection: nyro_collection,
    id: nyro_id,
    buffer: *mut u8,
    buffer_bytes: usize,
    document_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let buffer = unsafe {
            require(document_bytes_out, 0, "document_bytes_out")?;
            array_mut(buffer, buffer_bytes, "buffer")?
        };
        let copy = |document: &[u8]| {
            if let Some(place) = buffer.get_mut(..document.len()) {
                place.copy_from_slice(document);
            }
            document.len()
        };
        // SAFETY: passed on from the caller.
        let bytes = unsafe { read(collection, &id, copy) }?;
        // SAFETY: passed on from the caller.
        unsafe { put(document_bytes_out, bytes.unwrap_or(0)) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Lends the document with this id: `*document_out` points to its MessagePack bytes in the database's own memory, to
/// be read until the collection and its snapshot are both released. Null if there is none. For collections of snapshots
/// only. Nothing is copied; nothing is to be freed.
///
/// # Safety
///
/// The bytes of `id` are readable; the out-parameters are writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_get_borrowed(
    collection: nyro_collection,
    id: nyro_id,
    document_out: *mut *const u8,
    document_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        unsafe {
            require(document_out, ptr::null(), "document_out")?;
            require(document_bytes_out, 0, "document_bytes_out")?;
        }
        let lent = match id.kind {
            NYRO_ID_INT => lend(collection, id.integer),
            // SAFETY: passed on from the caller.
            _ => lend_other(collection, unsafe { id.read() }?),
        };
        if let Some((data, bytes)) = lent? {
            // SAFETY: passed on from the caller.
            unsafe {
                put(document_out, data);
                put(document_bytes_out, bytes);
            }
        }
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Where the document with this id lies; the bytes stay as long as a clone of the snapshot does.
#[inline(always)]
fn lend(handle: nyro_collection, id: impl Into<Id>) -> Result<Option<(*const u8, usize)>, Error> {
    let held = handles::hold(handle)?;
    let Collection::Of(coll) = held.collection()? else { return Err(not_frozen()) };
    let Coll::Frozen(coll) = &**coll else { return Err(not_frozen()) };
    let document = coll.lend().get_raw(id)?;
    Ok(document.map(|document| (document.as_bytes().as_ptr(), document.as_bytes().len())))
}

#[inline(never)]
fn lend_other(handle: nyro_collection, id: Id) -> Result<Option<(*const u8, usize)>, Error> {
    lend(handle, id)
}

#[cold]
fn not_frozen() -> Error {
    Error::InvalidArgument("documents are borrowed from collections of a snapshot; use nyro_get here".to_owned())
}

/// Like `nyro_get`, with the document as JSON text, without a NUL.
///
/// # Safety
///
/// As for `nyro_get`.
#[no_mangle]
pub unsafe extern "C" fn nyro_get_json(
    collection: nyro_collection,
    id: nyro_id,
    json_out: *mut *mut c_char,
    json_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let out = unsafe { Out::new(json_out, json_bytes_out) };
        out.required("json_out")?;
        // SAFETY: passed on from the caller.
        let json = unsafe { read(collection, &id, |document| RawDocument::unvalidated(document).to_json()) }?;
        match json {
            // SAFETY: the out-parameters of this call.
            Some(json) => unsafe { out.copy(json?.as_bytes()) },
            None => Ok(()),
        }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Copies out the documents with `count` ids, one behind the other in one piece of memory, to be freed with
/// `nyro_free`; `ends[i]` is where the document of `ids[i]` ends. One that is not there takes no bytes. All are as of
/// one commit. Faster than so many calls of `nyro_get`: their cache misses overlap.
///
/// # Safety
///
/// `count` ids at `ids`, and their bytes, are readable; `count` sizes at `ends` are writable, and so are the other
/// out-parameters; `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_get_many(
    collection: nyro_collection,
    ids: *const nyro_id,
    count: usize,
    documents_out: *mut *mut u8,
    documents_bytes_out: *mut usize,
    ends: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let (out, ids, ends) = unsafe {
            let out = Out::new(documents_out, documents_bytes_out);
            (out, array(ids, count, "ids")?, array_mut(ends, count, "ends")?)
        };
        out.required("documents_out")?;
        let mut wanted = Vec::new();
        wanted.try_reserve_exact(count).map_err(|_| no_memory(count.saturating_mul(size_of::<Id>())))?;
        for id in ids {
            // SAFETY: the ids' bytes are readable as the caller vouches.
            wanted.push(unsafe { id.read() }?);
        }
        let mut documents = Gathered::new();
        let mut take = |place: usize, document: Option<&[u8]>| {
            documents.extend(document.unwrap_or_default())?;
            if let Some(end) = ends.get_mut(place) {
                *end = documents.len();
            }
            Ok(())
        };
        match handles::share(collection)? {
            Collection::Of(coll) => coll.get_many_with(wanted, take)?,
            Collection::In(tx, name) => tx.with(|tx| {
                let collection = tx.collection::<Document>(&name);
                for (place, id) in wanted.into_iter().enumerate() {
                    let document = collection.get_raw(id)?;
                    take(place, document.as_ref().map(|document| document.as_bytes()))?;
                }
                Ok(())
            })?,
        }
        // SAFETY: the out-parameters of this call.
        unsafe { documents.hand_out(&out) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Sets `*found_out` to 1 if there is a document with this id, else to 0.
///
/// # Safety
///
/// The bytes of `id` are readable; `found_out` is writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_contains(
    collection: nyro_collection,
    id: nyro_id,
    found_out: *mut u32,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let found = unsafe {
            require(found_out, 0, "found_out")?;
            read(collection, &id, |_| ())?.is_some()
        };
        // SAFETY: passed on from the caller.
        unsafe { put(found_out, found.into()) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Sets `*count_out` to the number of documents, exact, in the same short time whatever it is. Not for collections of a
/// transaction.
///
/// # Safety
///
/// `count_out` is writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_count(collection: nyro_collection, count_out: *mut u64, error: *mut nyro_error) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        unsafe { require(count_out, 0, "count_out") }?;
        let count = outside(handles::hold(collection)?.collection()?)?.count()?;
        // SAFETY: passed on from the caller.
        unsafe { put(count_out, count) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// A collection that is not a transaction's.
fn outside(collection: &Collection) -> Result<&Arc<Coll>, Error> {
    match collection {
        Collection::Of(coll) => Ok(coll),
        Collection::In(..) => Err(Error::InvalidArgument(
            "this call is not for collections of a transaction; use one of the database".to_owned(),
        )),
    }
}

// ---- writing -------------------------------------------------------------------------------------------

/// A write: by itself in a transaction of its own, or in the one that the collection belongs to.
fn write<R>(
    handle: nyro_collection,
    alone: impl FnOnce(&Coll) -> Result<R, Error>,
    within: impl FnOnce(&OwnedTransaction, &str) -> Result<R, Error>,
) -> Result<R, Error> {
    match handles::share(handle)? {
        Collection::Of(coll) => alone(&coll),
        Collection::In(tx, name) => Tx::with(&tx, |tx| within(tx, &name)),
    }
}

/// # Safety
///
/// `id_out` is null or writable.
unsafe fn give_id(id_out: *mut nyro_id, id: &Id) -> Result<(), Error> {
    if !id_out.is_null() {
        let given = nyro_id::give(id)?;
        // SAFETY: by the contract.
        unsafe { put(id_out, given) };
    }
    Ok(())
}

/// What a document given to a call is written in.
#[derive(Clone, Copy)]
enum Form {
    MessagePack,
    Json,
}

/// What a write does where there is a document with its `_id`.
#[derive(Clone, Copy)]
enum Taken {
    Replace,
    Refuse,
}

/// The calls that write one document.
///
/// # Safety
///
/// `document` points to `bytes` readable bytes; `id_out` and `error` are null or writable.
unsafe fn write_one<T>(
    collection: nyro_collection,
    (document, bytes, form): (*const T, usize, Form),
    taken: Taken,
    id_out: *mut nyro_id,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        let packed;
        // SAFETY: passed on from the caller.
        let document = unsafe {
            put(id_out, nyro_id::NONE);
            match form {
                Form::MessagePack => slice(document, bytes, "document")?,
                Form::Json => {
                    packed = Document::from_json(text(document.cast(), bytes, "json")?)?.to_msgpack()?;
                    &packed
                }
            }
        };
        let raw = RawDocument::unvalidated(document);
        let alone = |coll: &Coll| match taken {
            Taken::Replace => coll.put(document),
            Taken::Refuse => coll.insert_one(document),
        };
        let within = |tx: &OwnedTransaction, name: &str| {
            let collection = tx.collection::<Document>(name);
            match taken {
                Taken::Replace => collection.put_raw(raw),
                Taken::Refuse => collection.insert_one_raw(raw),
            }
        };
        let id = write(collection, alone, within)?;
        // SAFETY: passed on from the caller.
        unsafe { give_id(id_out, &id) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Inserts a document (a MessagePack map), or replaces the one that has its `_id`. Without an `_id` it gets the next
/// integer. `*id_out`, if not null, is the id: for a string or bytes with a copy of them, freed with `nyro_id_free`.
///
/// As every write it blocks for the writer's turn and, under `NYRO_DURABILITY_SYNC`, until it is on the disk.
///
/// # Safety
///
/// `document` points to `document_bytes` readable bytes; `id_out` and `error` are null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_put(
    collection: nyro_collection,
    document: *const u8,
    document_bytes: usize,
    id_out: *mut nyro_id,
    error: *mut nyro_error,
) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { write_one(collection, (document, document_bytes, Form::MessagePack), Taken::Replace, id_out, error) }
}

/// Like `nyro_put`, with the document as JSON text (Extended JSON: `{"$date": ...}`, `{"$binary": ...}`).
///
/// # Safety
///
/// As for `nyro_put`.
#[no_mangle]
pub unsafe extern "C" fn nyro_put_json(
    collection: nyro_collection,
    json: *const c_char,
    json_bytes: usize,
    id_out: *mut nyro_id,
    error: *mut nyro_error,
) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { write_one(collection, (json, json_bytes, Form::Json), Taken::Replace, id_out, error) }
}

/// Inserts a document. Error: `NYRO_DUPLICATE_ID` if there is one with its `_id`. Otherwise as `nyro_put`.
///
/// # Safety
///
/// As for `nyro_put`.
#[no_mangle]
pub unsafe extern "C" fn nyro_insert_one(
    collection: nyro_collection,
    document: *const u8,
    document_bytes: usize,
    id_out: *mut nyro_id,
    error: *mut nyro_error,
) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { write_one(collection, (document, document_bytes, Form::MessagePack), Taken::Refuse, id_out, error) }
}

/// Like `nyro_insert_one`, with the document as JSON text.
///
/// # Safety
///
/// As for `nyro_put`.
#[no_mangle]
pub unsafe extern "C" fn nyro_insert_one_json(
    collection: nyro_collection,
    json: *const c_char,
    json_bytes: usize,
    id_out: *mut nyro_id,
    error: *mut nyro_error,
) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { write_one(collection, (json, json_bytes, Form::Json), Taken::Refuse, id_out, error) }
}

/// Frees the bytes of an id that a call of this library gave, if it has any, and empties it. Null is allowed.
///
/// # Safety
///
/// `id` is null or was filled by this library, and not freed since.
#[no_mangle]
pub unsafe extern "C" fn nyro_id_free(id: *mut nyro_id) {
    if id.is_null() {
        return;
    }
    // SAFETY: not null, and filled by this library as the caller vouches, so that `data` is null or was allocated.
    unsafe {
        libc::free(id.read_unaligned().data.cast_mut().cast());
        id.write_unaligned(nyro_id::NONE);
    }
}

/// Insert all but the failures, instead of stopping at the first.
pub const NYRO_INSERT_UNORDERED: u32 = 1;
/// Keep nothing if any document fails.
pub const NYRO_INSERT_ATOMIC: u32 = 2;
/// Give the ids of the documents.
pub const NYRO_INSERT_IDS: u32 = 4;

/// What `nyro_insert_many` did. Its bytes are freed with `nyro_insert_result_free`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyro_insert_result {
    /// Documents inserted.
    pub inserted: u64,
    /// With `NYRO_INSERT_IDS`, if all were inserted: their ids in order, a MessagePack array. Else null.
    pub ids: *mut u8,
    /// Bytes of it.
    pub ids_bytes: usize,
    /// After `NYRO_BULK_WRITE`: a MessagePack array with an array of place, number and message for each failure. Else
    /// null.
    pub failures: *mut u8,
    /// Bytes of it.
    pub failures_bytes: usize,
}

impl nyro_insert_result {
    const NONE: nyro_insert_result = nyro_insert_result {
        inserted: 0,
        ids: ptr::null_mut(),
        ids_bytes: 0,
        failures: ptr::null_mut(),
        failures_bytes: 0,
    };
}

/// Inserts `count` documents in one commit. They lie one behind the other in `documents`; `ends[i]` is where number i
/// ends. It stops at the first that fails and keeps those before it, or as `flags` (of `NYRO_INSERT_...`) say. Error:
/// `NYRO_BULK_WRITE` if some were not inserted; `*result_out` says which. In a transaction's collection nothing is kept
/// of a failed call only if the transaction is rolled back, and `NYRO_INSERT_ATOMIC` is refused.
///
/// # Safety
///
/// `documents` points to `documents_bytes` readable bytes, `ends` to `count` sizes; `result_out` and `error` are null or
/// writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_insert_many(
    collection: nyro_collection,
    documents: *const u8,
    documents_bytes: usize,
    ends: *const usize,
    count: usize,
    flags: u32,
    result_out: *mut nyro_insert_result,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        let none = nyro_insert_result::NONE;
        // SAFETY: passed on from the caller.
        let (documents, ends) = unsafe {
            put(result_out, none);
            (array(documents, documents_bytes, "documents")?, array(ends, count, "ends")?)
        };
        if flags & !(NYRO_INSERT_UNORDERED | NYRO_INSERT_ATOMIC | NYRO_INSERT_IDS) != 0 {
            return Err(Error::InvalidArgument(format!("flags {flags:#x} are none of NYRO_INSERT_...")));
        }
        let options =
            InsertManyOptions { ordered: flags & NYRO_INSERT_UNORDERED == 0, atomic: flags & NYRO_INSERT_ATOMIC != 0 };
        let documents = split(documents, ends)?;
        let done = write(
            collection,
            |coll| Ok(coll.insert_many(documents.iter().copied(), options)?.inserted_ids),
            |tx, name| insert_within(tx, name, &documents, options),
        );
        let mut result = none;
        match &done {
            Ok(ids) => {
                result.inserted = ids.len() as u64;
                if flags & NYRO_INSERT_IDS != 0 && !result_out.is_null() {
                    let bytes = id::array_to_msgpack(ids)?;
                    (result.ids, result.ids_bytes) = (allocate(&bytes)?, bytes.len());
                }
            }
            Err(Error::BulkWrite { inserted, failures }) => {
                result.inserted = *inserted;
                if !result_out.is_null() {
                    let bytes = failures_to_msgpack(failures)?;
                    (result.failures, result.failures_bytes) = (allocate(&bytes)?, bytes.len());
                }
            }
            Err(_) => {}
        }
        // SAFETY: passed on from the caller.
        unsafe { put(result_out, result) };
        done.map(drop)
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

fn insert_within(
    tx: &OwnedTransaction,
    name: &str,
    documents: &[&[u8]],
    options: InsertManyOptions,
) -> Result<Vec<Id>, Error> {
    if options.atomic {
        return Err(Error::InvalidArgument(
            "NYRO_INSERT_ATOMIC in a transaction: roll the transaction back".to_owned(),
        ));
    }
    let collection = tx.collection::<Document>(name);
    let (mut ids, mut failures) = (Vec::with_capacity(documents.len()), Vec::new());
    for (place, document) in documents.iter().enumerate() {
        match collection.insert_one_raw(RawDocument::unvalidated(document)) {
            Ok(id) => ids.push(id),
            Err(e) if e.code() / 100 == 2 => {
                failures.push((place as u64, e));
                if options.ordered {
                    break;
                }
            }
            Err(e) => return Err(e),
        }
    }
    if failures.is_empty() {
        return Ok(ids);
    }
    Err(Error::BulkWrite { inserted: ids.len() as u64, failures })
}

fn failures_to_msgpack(failures: &[(u64, Error)]) -> Result<Vec<u8>, Error> {
    use nyro_owned::Value;
    let failure = |(place, error): &(u64, Error)| {
        Value::Array(vec![Value::from(*place), Value::from(error.code()), Value::from(error.to_string())])
    };
    let mut document = Document::new();
    document.insert("f", Value::Array(failures.iter().map(failure).collect()));
    // What stands behind the head of the map and the name.
    Ok(document.to_msgpack()?.split_off(3))
}

/// Frees the bytes of a result of `nyro_insert_many`, if it has any, and empties it. Null is allowed.
///
/// # Safety
///
/// `result` is null or was filled by `nyro_insert_many`, and not freed since.
#[no_mangle]
pub unsafe extern "C" fn nyro_insert_result_free(result: *mut nyro_insert_result) {
    if result.is_null() {
        return;
    }
    // SAFETY: not null, and filled by this library as the caller vouches.
    unsafe {
        let given = result.read_unaligned();
        libc::free(given.ids.cast());
        libc::free(given.failures.cast());
        result.write_unaligned(nyro_insert_result { inserted: given.inserted, ..nyro_insert_result::NONE });
    }
}

/// Replaces the document with this id; the new one may leave out its `_id`. `*replaced_out`, if not null, says whether
/// there was one (1) or not (0), and then nothing was changed. Error: `NYRO_INVALID_ID` if the document has another one.
///
/// # Safety
///
/// The bytes of `id` and `document_bytes` bytes at `document` are readable; `replaced_out` and `error` are null or
/// writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_replace_one(
    collection: nyro_collection,
    id: nyro_id,
    document: *const u8,
    document_bytes: usize,
    replaced_out: *mut u32,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let (id, document) = unsafe {
            put(replaced_out, 0);
            (id.read()?, slice(document, document_bytes, "document")?)
        };
        let within_id = id.clone();
        let raw = RawDocument::unvalidated(document);
        let replaced = write(
            collection,
            |coll| coll.replace_one(id, document),
            |tx, name| tx.collection::<Document>(name).replace_one_raw(within_id, raw),
        )?;
        // SAFETY: passed on from the caller.
        unsafe { put(replaced_out, replaced.into()) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Deletes the document with this id. `*deleted_out`, if not null, says whether there was one (1) or not (0).
///
/// # Safety
///
/// The bytes of `id` are readable; `deleted_out` and `error` are null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_delete(
    collection: nyro_collection,
    id: nyro_id,
    deleted_out: *mut u32,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let id = unsafe {
            put(deleted_out, 0);
            id.read()?
        };
        let within_id = id.clone();
        let deleted =
            write(collection, |coll| coll.delete(id), |tx, name| tx.collection::<Document>(name).delete(within_id))?;
        // SAFETY: passed on from the caller.
        unsafe { put(deleted_out, deleted.into()) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

// ---- scans ---------------------------------------------------------------------------------------------

/// Begins a scan of the documents after `token` (0: of all) in the order they were last written, and sets `*scan`. It
/// has its own snapshot, and holds one block at a time. Not for collections of a transaction.
///
/// # Safety
///
/// `scan` is writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_scan_open(
    collection: nyro_collection,
    token: u64,
    scan: *mut nyro_scan,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        unsafe { require(scan, 0, "scan") }?;
        let shared = handles::share(collection)?;
        let cursor = outside(&shared)?.scan(token)?;
        let handle = handles::insert(Object::Scan(Walk::new(cursor)))?;
        // SAFETY: passed on from the caller.
        unsafe { put(scan, handle) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Lends the next document as MessagePack, to be read until the next call on this scan; null at the end. After an
/// error it gives that error again.
///
/// # Safety
///
/// The out-parameters are writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_scan_next(
    scan: nyro_scan,
    document_out: *mut *const u8,
    document_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        unsafe {
            require(document_out, ptr::null(), "document_out")?;
            require(document_bytes_out, 0, "document_bytes_out")?;
        }
        handles::with_scan(scan, |cursor| {
            if let Some((data, bytes)) = cursor.next_with(|document| (document.as_ptr(), document.len()))? {
                // SAFETY: passed on from the caller. The scan keeps the document until its next call.
                unsafe {
                    put(document_out, data);
                    put(document_bytes_out, bytes);
                }
            }
            Ok(())
        })
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// What `nyro_scan_batch` gave.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyro_batch {
    /// How many documents.
    pub documents: usize,
    /// Bytes that they take in the buffer.
    pub bytes: usize,
    /// Not 0: no document fitted into the buffer, the next one has this many bytes.
    pub needed: usize,
    /// Where the scan is behind them: a scan begun after this token goes on there.
    pub token: u64,
    /// 1: there is no document after these.
    pub ended: u32,
    /// Always 0.
    pub reserved: u32,
}

/// Copies the next documents into the caller's memory, one behind the other, as many as fit and at most `most`;
/// `ends[i]` is where number i ends. Fewer calls than with `nyro_scan_next`, where a call costs.
///
/// # Safety
///
/// `buffer_bytes` bytes at `buffer` and `most` sizes at `ends` are writable; `batch_out` is writable, `error` null or
/// writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_scan_batch(
    scan: nyro_scan,
    buffer: *mut u8,
    buffer_bytes: usize,
    ends: *mut usize,
    most: usize,
    batch_out: *mut nyro_batch,
    error: *mut nyro_error,
) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { nyro_scan_batch_tokens(scan, buffer, buffer_bytes, ends, ptr::null_mut(), most, batch_out, error) }
}

/// Like `nyro_scan_batch`, with `tokens[i]` where the scan is behind document number i: for a program that gives the
/// documents on one by one, and must be able to say how far it got. `tokens` may be null.
///
/// # Safety
///
/// As for `nyro_scan_batch`; `tokens` is null or `most` numbers there are writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_scan_batch_tokens(
    scan: nyro_scan,
    buffer: *mut u8,
    buffer_bytes: usize,
    ends: *mut usize,
    tokens: *mut u64,
    most: usize,
    batch_out: *mut nyro_batch,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        let none = nyro_batch { documents: 0, bytes: 0, needed: 0, token: 0, ended: 0, reserved: 0 };
        // SAFETY: passed on from the caller.
        let (buffer, ends, tokens) = unsafe {
            require(batch_out, none, "batch_out")?;
            let tokens = array_mut(tokens, if tokens.is_null() { 0 } else { most }, "tokens")?;
            (array_mut(buffer, buffer_bytes, "buffer")?, array_mut(ends, most, "ends")?, tokens)
        };
        if ends.is_empty() {
            return Err(Error::InvalidArgument("most must be at least 1".to_owned()));
        }
        let (filled, token) =
            handles::with_scan(scan, |cursor| Ok((cursor.fill_with_tokens(buffer, ends, tokens)?, cursor.token())))?;
        let batch = nyro_batch {
            documents: filled.documents,
            bytes: filled.bytes,
            needed: filled.needed,
            token,
            ended: filled.ended.into(),
            reserved: 0,
        };
        // SAFETY: passed on from the caller.
        unsafe { put(batch_out, batch) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Where a scan is: a scan begun after this token, now or after reopening, goes on behind the last document given.
/// What has not changed since comes exactly once; what was written since comes (again) at the end.
///
/// # Safety
///
/// `token_out` is writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_scan_token(scan: nyro_scan, token_out: *mut u64, error: *mut nyro_error) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        unsafe { require(token_out, 0, "token_out") }?;
        let token = handles::with_scan(scan, |cursor| Ok(cursor.token()))?;
        // SAFETY: passed on from the caller.
        unsafe { put(token_out, token) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Ends a scan; the document that it lent last is not to be looked at any more.
///
/// # Safety
///
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_scan_close(scan: nyro_scan, error: *mut nyro_error) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { call(error, || handles::remove_kind(scan, 5).map(drop)) }
}

// ---- forms ---------------------------------------------------------------------------------------------

/// The `_id` of a MessagePack document, such as one that a scan gave: for a string or bytes with a copy of them, freed
/// with `nyro_id_free`. Error: `NYRO_INVALID_ID` if it has none.
///
/// # Safety
///
/// `document` points to `document_bytes` readable bytes; `id_out` is writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_document_id(
    document: *const u8,
    document_bytes: usize,
    id_out: *mut nyro_id,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let document = unsafe {
            require(id_out, nyro_id::NONE, "id_out")?;
            slice(document, document_bytes, "document")?
        };
        let id = RawDocument::unvalidated(document).id();
        let id = id.ok_or_else(|| Error::InvalidId("the document has none".to_owned()))?;
        // SAFETY: passed on from the caller.
        unsafe { give_id(id_out, &id) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// The JSON text of a MessagePack document, without a NUL, freed with `nyro_free`.
///
/// # Safety
///
/// `document` points to `document_bytes` readable bytes; the out-parameters are writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_to_json(
    document: *const u8,
    document_bytes: usize,
    json_out: *mut *mut c_char,
    json_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let (out, document) =
            unsafe { (Out::new(json_out, json_bytes_out), slice(document, document_bytes, "document")?) };
        out.required("json_out")?;
        let json = RawDocument::from_bytes(document)?.to_json()?;
        // SAFETY: the out-parameters of this call.
        unsafe { out.copy(json.as_bytes()) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// The MessagePack bytes of a JSON document, freed with `nyro_free`.
///
/// # Safety
///
/// `json` points to `json_bytes` readable bytes; the out-parameters are writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_from_json(
    json: *const c_char,
    json_bytes: usize,
    document_out: *mut *mut u8,
    document_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let (out, json) = unsafe { (Out::new(document_out, document_bytes_out), text(json, json_bytes, "json")?) };
        out.required("document_out")?;
        let document = Document::from_json(json)?.to_msgpack()?;
        // SAFETY: the out-parameters of this call.
        unsafe { out.copy(&document) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}
