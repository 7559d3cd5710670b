//! Keyspaces: values by key, in the order of the keys. The comments here become those of `nyro.h`.

use std::ffi::{c_char, c_void};
use std::ops::Bound;
use std::ptr;

use nyro_owned::{prefix_bounds, report, Bounds, Change, Error, Keys};

use crate::boundary::{array, array_mut, call, no_memory, nyro_error, put, require, slice, text, Gathered, Out};
use crate::database::{catalog, Catalog};
use crate::handles::{self, Object, Walk};
use crate::output;
use crate::types::*;

/// Opens a keyspace of a database (each read sees the newest commit), of a snapshot (as of it; writing is
/// `NYRO_READ_ONLY`), or of a transaction (which sees its own writes). A keyspace is an ordered map from byte strings to
/// byte strings: keys of 0 to 65 535 bytes, in the order of their bytes, values up to `max_document_bytes`. It is made by
/// its first write and is empty before. Open it once and keep it: it remembers where the keyspace is. Release it with
/// `nyro_keyspace_release`; one of a transaction ends with that.
///
/// # Safety
///
/// `name` points to `name_bytes` readable bytes, `keyspace` is writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_keyspace_open(
    scope: nyro_scope,
    name: *const c_char,
    name_bytes: usize,
    keyspace: *mut nyro_keyspace,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let name = unsafe {
            require(keyspace, 0, "keyspace")?;
            text(name, name_bytes, "name")?
        };
        let handle = if let Ok(tx) = handles::transaction(scope) {
            tx.with(|_| Ok(()))?;
            handles::insert_in_transaction(scope, Object::Keyspace(Keys::within(tx, name)))?
        } else {
            handles::insert(Object::Keyspace(match handles::snapshot(scope) {
                Ok(snapshot) => Keys::frozen(&snapshot, name)?,
                Err(_) => Keys::live(&handles::database(scope)?, name),
            }))?
        };
        // SAFETY: passed on from the caller.
        unsafe { put(keyspace, handle) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Releases a keyspace. Its ranges go on.
///
/// # Safety
///
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_keyspace_release(keyspace: nyro_keyspace, error: *mut nyro_error) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { call(error, || handles::remove_kind(keyspace, 7).map(drop)) }
}

/// A key or value. Where there are no bytes, null is as good as any place.
///
/// # Safety
///
/// As for [`slice`].
unsafe fn bytes<'a>(data: *const c_void, length: usize, name: &str) -> Result<&'a [u8], Error> {
    if data.is_null() && length == 0 {
        return Ok(&[]);
    }
    // SAFETY: passed on.
    unsafe { slice(data, length, name) }
}

// ---- reading -------------------------------------------------------------------------------------------

/// Copies out the value of a key, to be freed with `nyro_free`. If the key is not there, the call succeeds with
/// `*value_out` null. Never blocks.
///
/// # Safety
///
/// `key` points to `key_bytes` readable bytes; the out-parameters are writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_kv_get(
    keyspace: nyro_keyspace,
    key: *const c_void,
    key_bytes: usize,
    value_out: *mut *mut u8,
    value_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let (out, key) = unsafe { (Out::new(value_out, value_bytes_out), bytes(key, key_bytes, "key")?) };
        out.required("value_out")?;
        // SAFETY: the out-parameters of this call.
        let copy = |value: &[u8]| unsafe { out.try_copy(value) };
        let copied = handles::hold(keyspace)?.keyspace()?.get_with(key, copy)?;
        copied.unwrap_or(Ok(())).map_err(no_memory)
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Copies the value of a key into the caller's memory, sets `*value_bytes_out` to its size, and `*found_out` to 1 if the
/// key is there, else to 0. If the size is more than `buffer_bytes`, nothing is copied. `buffer` may be null if
/// `buffer_bytes` is 0.
///
/// # Safety
///
/// `key` points to `key_bytes` readable bytes, `buffer_bytes` bytes at `buffer` are writable; the out-parameters are
/// writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_kv_get_into(
    keyspace: nyro_keyspace,
    key: *const c_void,
    key_bytes: usize,
    buffer: *mut u8,
    buffer_bytes: usize,
    value_bytes_out: *mut usize,
    found_out: *mut u32,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let (key, buffer) = unsafe {
            require(value_bytes_out, 0, "value_bytes_out")?;
            require(found_out, 0, "found_out")?;
            (bytes(key, key_bytes, "key")?, array_mut(buffer, buffer_bytes, "buffer")?)
        };
        let copy = |value: &[u8]| {
            if let Some(place) = buffer.get_mut(..value.len()) {
                place.copy_from_slice(value);
            }
            value.len()
        };
        let found = handles::hold(keyspace)?.keyspace()?.get_with(key, copy)?;
        // SAFETY: passed on from the caller.
        unsafe {
            put(value_bytes_out, found.unwrap_or(0));
            put(found_out, found.is_some().into());
        }
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Bytes of the caller's.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyro_bytes {
    /// Where they are.
    pub data: *const c_void,
    /// How many.
    pub bytes: usize,
}

/// Copies out the values of `count` keys, one behind the other in one piece of memory, to be freed with `nyro_free`;
/// `ends[i]` is where the value of `keys[i]` ends, `found[i]` says whether the key is there (1) or not (0). All are as of
/// one commit.
///
/// # Safety
///
/// `count` keys at `keys`, and their bytes, are readable; `count` sizes at `ends` and bytes at `found` are writable, and
/// so are the other out-parameters; `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_kv_get_many(
    keyspace: nyro_keyspace,
    keys: *const nyro_bytes,
    count: usize,
    values_out: *mut *mut u8,
    values_bytes_out: *mut usize,
    ends: *mut usize,
    found: *mut u8,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let (out, keys, ends, found) = unsafe {
            let out = Out::new(values_out, values_bytes_out);
            (out, array(keys, count, "keys")?, array_mut(ends, count, "ends")?, array_mut(found, count, "found")?)
        };
        out.required("values_out")?;
        let mut wanted = Vec::new();
        wanted.try_reserve_exact(count).map_err(|_| no_memory(count.saturating_mul(size_of::<&[u8]>())))?;
        for key in keys {
            // SAFETY: the keys' bytes are readable as the caller vouches.
            wanted.push(unsafe { bytes(key.data, key.bytes, "key") }?);
        }
        let mut values = Gathered::new();
        handles::share_keyspace(keyspace)?.get_many_with(wanted, |place, value| {
            values.extend(value.unwrap_or_default())?;
            if let (Some(end), Some(found)) = (ends.get_mut(place), found.get_mut(place)) {
                (*end, *found) = (values.len(), value.is_some().into());
            }
            Ok(())
        })?;
        // SAFETY: the out-parameters of this call.
        unsafe { values.hand_out(&out) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Sets `*found_out` to 1 if the key is there, else to 0.
///
/// # Safety
///
/// `key` points to `key_bytes` readable bytes; `found_out` is writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_kv_contains(
    keyspace: nyro_keyspace,
    key: *const c_void,
    key_bytes: usize,
    found_out: *mut u32,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let key = unsafe {
            require(found_out, 0, "found_out")?;
            bytes(key, key_bytes, "key")?
        };
        let found = handles::hold(keyspace)?.keyspace()?.contains(key)?;
        // SAFETY: passed on from the caller.
        unsafe { put(found_out, found.into()) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Sets `*count_out` to the number of keys, about: a key that was changed or deleted counts again until the tree is
/// merged. Costs a look at the list of runs. Not for keyspaces of a transaction.
///
/// # Safety
///
/// `count_out` is writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_kv_estimated_count(
    keyspace: nyro_keyspace,
    count_out: *mut u64,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        unsafe { require(count_out, 0, "count_out") }?;
        let count = handles::share_keyspace(keyspace)?.estimated_len()?;
        // SAFETY: passed on from the caller.
        unsafe { put(count_out, count) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

// ---- writing -------------------------------------------------------------------------------------------

/// Gives a key a value, whether it had one or not. Blocks for the writer's turn and, under `NYRO_DURABILITY_SYNC`, until
/// it is on the disk. Errors: `NYRO_KEY_TOO_LARGE`, `NYRO_VALUE_TOO_LARGE`, and `NYRO_OTHER_KIND` if the name is that of a
/// collection.
///
/// # Safety
///
/// `key` and `value` point to as many readable bytes as their lengths say, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_kv_put(
    keyspace: nyro_keyspace,
    key: *const c_void,
    key_bytes: usize,
    value: *const c_void,
    value_bytes: usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let (key, value) = unsafe { (bytes(key, key_bytes, "key")?, bytes(value, value_bytes, "value")?) };
        handles::share_keyspace(keyspace)?.change(&Change::Put(key, value))
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Deletes a key, whether it is there or not. Blocks as `nyro_kv_put`.
///
/// # Safety
///
/// `key` points to `key_bytes` readable bytes, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_kv_delete(
    keyspace: nyro_keyspace,
    key: *const c_void,
    key_bytes: usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let key = unsafe { bytes(key, key_bytes, "key") }?;
        handles::share_keyspace(keyspace)?.change(&Change::Delete(key))
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// No bound on this side. What a struct of zeros says.
pub const NYRO_BOUND_NONE: u32 = 0;
/// The key itself is in the range.
pub const NYRO_BOUND_INCLUDED: u32 = 1;
/// The key itself is not in the range.
pub const NYRO_BOUND_EXCLUDED: u32 = 2;
/// As `start_kind`, with `end_kind` 0: the keys that begin with `start`.
pub const NYRO_BOUND_PREFIX: u32 = 3;

/// Where a range of keys starts and where it ends, in the order of the keys, also if it is walked backward. Borrows its
/// bytes from the caller for the time of the call. Zeros are all keys.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyro_bounds {
    /// One of `NYRO_BOUND_...`.
    pub start_kind: u32,
    /// One of `NYRO_BOUND_...`, not `NYRO_BOUND_PREFIX`.
    pub end_kind: u32,
    /// The key at the start.
    pub start: *const c_void,
    /// Bytes of it.
    pub start_bytes: usize,
    /// The key at the end.
    pub end: *const c_void,
    /// Bytes of it.
    pub end_bytes: usize,
}

/// # Safety
///
/// `bounds` is null, or readable, and so are the bytes of its keys.
unsafe fn read_bounds(bounds: *const nyro_bounds) -> Result<Bounds, Error> {
    if bounds.is_null() {
        return Ok((Bound::Unbounded, Bound::Unbounded));
    }
    // SAFETY: by the contract.
    let given = unsafe { bounds.read_unaligned() };
    // SAFETY: by the contract.
    let bound = |kind, key, length, name| unsafe {
        match kind {
            NYRO_BOUND_NONE => Ok(Bound::Unbounded),
            NYRO_BOUND_INCLUDED => Ok(Bound::Included(bytes(key, length, name)?.to_vec())),
            NYRO_BOUND_EXCLUDED => Ok(Bound::Excluded(bytes(key, length, name)?.to_vec())),
            other => Err(Error::InvalidArgument(format!("{name}: bound {other} is none of NYRO_BOUND_... here"))),
        }
    };
    if given.start_kind == NYRO_BOUND_PREFIX && given.end_kind == NYRO_BOUND_NONE {
        // SAFETY: by the contract.
        return prefix_bounds(unsafe { bytes(given.start, given.start_bytes, "start") }?);
    }
    let start = bound(given.start_kind, given.start, given.start_bytes, "start")?;
    Ok((start, bound(given.end_kind, given.end, given.end_bytes, "end")?))
}

/// Deletes all keys between the bounds (null: all), in the same short time whatever their number. Blocks as
/// `nyro_kv_put`. Error: `NYRO_INVALID_ARGUMENT` for bounds in the wrong order.
///
/// # Safety
///
/// `bounds` is null or readable, and so are the bytes of its keys; `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_kv_delete_range(
    keyspace: nyro_keyspace,
    bounds: *const nyro_bounds,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let bounds = unsafe { read_bounds(bounds) }?;
        handles::share_keyspace(keyspace)?.change(&Change::DeleteRange(bounds))
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Deletes all keys, in the same short time whatever their number. Snapshots still see them. Blocks as `nyro_kv_put`.
///
/// # Safety
///
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_kv_clear(keyspace: nyro_keyspace, error: *mut nyro_error) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { call(error, || handles::share_keyspace(keyspace)?.change(&Change::Clear)) }
}

/// Give `key` the value `value`.
pub const NYRO_CHANGE_PUT: u32 = 1;
/// Delete `key`.
pub const NYRO_CHANGE_DELETE: u32 = 2;
/// Delete the keys from `key` on, up to and without `value`; to the end if that is null.
pub const NYRO_CHANGE_DELETE_RANGE: u32 = 3;
/// Delete all keys.
pub const NYRO_CHANGE_CLEAR: u32 = 4;

/// A change for `nyro_kv_write`. It borrows its bytes from the caller for the time of the call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyro_change {
    /// One of `NYRO_CHANGE_...`.
    pub kind: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The key.
    pub key: *const c_void,
    /// Bytes of it.
    pub key_bytes: usize,
    /// The value.
    pub value: *const c_void,
    /// Bytes of it.
    pub value_bytes: usize,
}

impl nyro_change {
    /// # Safety
    ///
    /// The bytes of key and value are readable for as long as the result is used.
    unsafe fn read<'a>(&self) -> Result<Change<'a>, Error> {
        if self.reserved != 0 {
            return Err(Error::InvalidArgument("change.reserved must be 0".to_owned()));
        }
        // SAFETY: by the contract.
        let key = || unsafe { bytes(self.key, self.key_bytes, "key") };
        // SAFETY: by the contract.
        let value = || unsafe { bytes(self.value, self.value_bytes, "value") };
        Ok(match self.kind {
            NYRO_CHANGE_PUT => Change::Put(key()?, value()?),
            NYRO_CHANGE_DELETE => Change::Delete(key()?),
            NYRO_CHANGE_DELETE_RANGE => {
                let end = match self.value.is_null() {
                    true => Bound::Unbounded,
                    false => Bound::Excluded(value()?.to_vec()),
                };
                Change::DeleteRange((Bound::Included(key()?.to_vec()), end))
            }
            NYRO_CHANGE_CLEAR => Change::Clear,
            other => return Err(Error::InvalidArgument(format!("change {other} is none of NYRO_CHANGE_..."))),
        })
    }
}

/// Makes `count` changes in one commit, in their order: all of them or, after an error, none. Blocks as `nyro_kv_put`. In
/// a transaction's keyspace those before one that fails stay until the transaction is rolled back. Errors: as
/// `nyro_kv_put`, and `NYRO_TRANSACTION_TOO_LARGE`.
///
/// # Safety
///
/// `count` changes at `changes`, and their bytes, are readable; `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_kv_write(
    keyspace: nyro_keyspace,
    changes: *const nyro_change,
    count: usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let given = unsafe { array(changes, count, "changes") }?;
        let mut changes = Vec::new();
        changes.try_reserve_exact(count).map_err(|_| no_memory(count.saturating_mul(size_of::<Change<'_>>())))?;
        for change in given {
            // SAFETY: the changes' bytes are readable as the caller vouches.
            changes.push(unsafe { change.read() }?);
        }
        handles::share_keyspace(keyspace)?.change_all(&changes)
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

// ---- ranges --------------------------------------------------------------------------------------------

/// From the last key to the first.
pub const NYRO_RANGE_BACKWARD: u32 = 1;

/// Begins a walk over the keys between the bounds (null: all) and sets `*range`. `flags` is 0 or `NYRO_RANGE_BACKWARD`.
/// It holds one entry at a time, and the snapshot that it reads; release it with `nyro_range_close`. In a transaction it
/// sees what that changes beyond its place, is used by the transaction's thread, and gives `NYRO_CLOSED` when the
/// transaction has ended. Error: `NYRO_INVALID_ARGUMENT` for bounds in the wrong order.
///
/// # Safety
///
/// `bounds` is null or readable, and so are the bytes of its keys; `range` is writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_range_open(
    keyspace: nyro_keyspace,
    bounds: *const nyro_bounds,
    flags: u32,
    range: *mut nyro_range,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let bounds = unsafe {
            require(range, 0, "range")?;
            read_bounds(bounds)?
        };
        if flags & !NYRO_RANGE_BACKWARD != 0 {
            return Err(Error::InvalidArgument(format!("flags {flags:#x} are none of NYRO_RANGE_...")));
        }
        let opened = handles::share_keyspace(keyspace)?.range(bounds, flags & NYRO_RANGE_BACKWARD != 0)?;
        let handle = handles::insert(Object::Range(Walk::new(opened)))?;
        // SAFETY: passed on from the caller.
        unsafe { put(range, handle) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Lends the next key and its value, to be read until the next call on this range; `*key_out` is null at the end. After
/// an error it gives that error again.
///
/// # Safety
///
/// The out-parameters are writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_range_next(
    range: nyro_range,
    key_out: *mut *const u8,
    key_bytes_out: *mut usize,
    value_out: *mut *const u8,
    value_bytes_out: *mut usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        unsafe {
            require(key_out, ptr::null(), "key_out")?;
            require(key_bytes_out, 0, "key_bytes_out")?;
            require(value_out, ptr::null(), "value_out")?;
            require(value_bytes_out, 0, "value_bytes_out")?;
        }
        handles::with_range(range, |range| {
            // The range keeps key and value until its next call.
            let parts = |part: &[u8]| (part.as_ptr(), part.len());
            if let Some((key, value)) = range.next_with(|key, value| (parts(key), parts(value)))? {
                // SAFETY: passed on from the caller.
                unsafe {
                    put(key_out, key.0);
                    put(key_bytes_out, key.1);
                    put(value_out, value.0);
                    put(value_bytes_out, value.1);
                }
            }
            Ok(())
        })
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// What `nyro_range_batch` gave.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct nyro_entries {
    /// How many entries.
    pub entries: usize,
    /// Bytes that they take in the buffer.
    pub bytes: usize,
    /// Not 0: no entry fitted into the buffer, the next one has this many bytes.
    pub needed: usize,
    /// 1: there is no entry after these.
    pub ended: u32,
    /// Always 0.
    pub reserved: u32,
}

/// Copies the next entries into the caller's memory, each a key and then its value, as many as fit and at most `most`:
/// `ends[2 * i]` is where key number i ends, `ends[2 * i + 1]` where its value does. Fewer calls than with
/// `nyro_range_next`, where a call costs.
///
/// # Safety
///
/// `buffer_bytes` bytes at `buffer` and `2 * most` sizes at `ends` are writable; `entries_out` is writable, `error` null
/// or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_range_batch(
    range: nyro_range,
    buffer: *mut u8,
    buffer_bytes: usize,
    ends: *mut usize,
    most: usize,
    entries_out: *mut nyro_entries,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        let none = nyro_entries { entries: 0, bytes: 0, needed: 0, ended: 0, reserved: 0 };
        // SAFETY: passed on from the caller.
        let (buffer, ends) = unsafe {
            require(entries_out, none, "entries_out")?;
            (array_mut(buffer, buffer_bytes, "buffer")?, array_mut(ends, most.saturating_mul(2), "ends")?)
        };
        if ends.is_empty() {
            return Err(Error::InvalidArgument("most must be at least 1".to_owned()));
        }
        let filled = handles::with_range(range, |range| range.fill(buffer, ends))?;
        let entries = nyro_entries {
            entries: filled.entries,
            bytes: filled.bytes,
            needed: filled.needed,
            ended: filled.ended.into(),
            reserved: 0,
        };
        // SAFETY: passed on from the caller.
        unsafe { put(entries_out, entries) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Goes to a key, whether it is there or not: the next entry is that key's or the first one behind it (backward: before
/// it). From a key outside of the bounds it goes to the nearest one inside. It reads the same snapshot as before.
///
/// # Safety
///
/// `key` points to `key_bytes` readable bytes, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_range_seek(
    range: nyro_range,
    key: *const c_void,
    key_bytes: usize,
    error: *mut nyro_error,
) -> u32 {
    let body = || {
        // SAFETY: passed on from the caller.
        let key = unsafe { bytes(key, key_bytes, "key") }?;
        handles::with_range(range, |range| range.seek(key))
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Ends a range; what it lent last is not to be looked at any more.
///
/// # Safety
///
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_range_close(range: nyro_range, error: *mut nyro_error) -> u32 {
    // SAFETY: passed on from the caller.
    unsafe { call(error, || handles::remove_kind(range, 8).map(drop)) }
}

// ---- keyspaces by name ---------------------------------------------------------------------------------

/// Names of the keyspaces of a database or snapshot, sorted: a document in `format` whose field `items` is an array of
/// strings, freed with `nyro_free`.
///
/// # Safety
///
/// The out-parameters are writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_keyspace_names(
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
            Ok(snapshot) => snapshot.keyspace_names()?,
            Err(_) => handles::database(scope)?.keyspace_names()?,
        };
        // SAFETY: the out-parameters of this call.
        unsafe { output::names(&out, names, format) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Gives a keyspace another name. Errors: `NYRO_COLLECTION_NOT_FOUND`, `NYRO_COLLECTION_EXISTS`, `NYRO_OTHER_KIND`.
///
/// # Safety
///
/// `from` and `to` point to as many readable bytes as their lengths say, `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_rename_keyspace(
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
            Catalog::Database(db) => db.rename_keyspace(from, to),
            Catalog::Transaction(tx) => tx.with(|tx| tx.rename_keyspace(from, to)),
        }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Drops a keyspace with all its keys, in the same short time whatever its size. `*dropped_out`, if not null, says
/// whether there was one (1) or not (0). Snapshots still see it.
///
/// # Safety
///
/// `name` points to `name_bytes` readable bytes; `dropped_out` and `error` are null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_drop_keyspace(
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
            Catalog::Database(db) => db.drop_keyspace(name)?,
            Catalog::Transaction(tx) => tx.with(|tx| tx.drop_keyspace(name))?,
        };
        // SAFETY: passed on from the caller.
        unsafe { put(dropped_out, dropped.into()) };
        Ok(())
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}

/// Figures about the tree that holds all keyspaces, as one document in `format`, freed with `nyro_free`: its levels, runs,
/// sizes, and what a read and a write cost. The fields are those of `KeyspaceStats` in `docs/operations.md`. Reads about
/// a hundredth of what keyspaces take in the file.
///
/// # Safety
///
/// The out-parameters are writable, `error` null or writable.
#[no_mangle]
pub unsafe extern "C" fn nyro_keyspace_stats(
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
        let stats = report::to_document(&handles::database(db)?.keyspace_stats()?)?;
        // SAFETY: the out-parameters of this call.
        unsafe { output::document(&out, &stats, format) }
    };
    // SAFETY: passed on from the caller.
    unsafe { call(error, body) }
}
