//! What every C function has in common: arguments are checked, panics stopped, errors handed over.

use std::cell::Cell;
use std::ffi::c_char;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;

use nyro_owned::error::of_panic;
use nyro_owned::Error;

/// Bytes of the message in a `nyro_error`, with its NUL.
pub const NYRO_MESSAGE_BYTES: usize = 508;

/// What went wrong. The caller owns it, usually on the stack; every call that is given one fills it, with
/// `NYRO_OK` and an empty message when it succeeds. There is nothing to free.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct nyro_error {
    /// The number that the call returned.
    pub code: u32,
    /// What is wrong and what to do, as UTF-8 with a NUL at its end. Cut off where it is too long.
    pub message: [c_char; NYRO_MESSAGE_BYTES],
}

thread_local! {
    /// The last error of this thread. Plain bytes with nothing to drop: a call may also fail when the thread is
    /// ending and whatever it registers to be dropped would not be.
    static LAST: Cell<nyro_error> = const { Cell::new(nyro_error { code: 0, message: [0; NYRO_MESSAGE_BYTES] }) };
}

/// The message of the last failed call of this thread; lives until the thread's next failed call.
pub(crate) fn last_message() -> *const c_char {
    // SAFETY: the cell's own memory, of which only the address of a field is taken.
    LAST.with(|last| unsafe { ptr::addr_of!((*last.as_ptr()).message) }).cast()
}

/// Runs the body of a C function: returns 0 or the number of its error, and fills `error`.
///
/// # Safety
///
/// `error` is null or points to a `nyro_error` that may be written.
#[inline]
pub(crate) unsafe fn call(error: *mut nyro_error, body: impl FnOnce() -> Result<(), Error>) -> u32 {
    // A panic leaves nothing of ours half done: `body` holds no lock of this crate, and the engine says of
    // itself what a panic does to it. Boxed, an error is one register on the way out, 0 for none.
    match catch_unwind(AssertUnwindSafe(|| body().map_err(boxed))) {
        Ok(Ok(())) => {
            if !error.is_null() {
                // SAFETY: not null, and writable as the caller of this function vouches. The rest of the message stays
                // as it is: it is empty by its first byte.
                unsafe {
                    ptr::addr_of_mut!((*error).code).write_unaligned(0);
                    ptr::addr_of_mut!((*error).message).cast::<c_char>().write(0);
                }
            }
            0
        }
        // SAFETY: passed on.
        Ok(Err(failure)) => unsafe { fail(error, &failure) },
        // SAFETY: passed on.
        Err(panic) => unsafe { fail(error, &of_panic(panic.as_ref())) },
    }
}

#[cold]
fn boxed(error: Error) -> Box<Error> {
    Box::new(error)
}

/// # Safety
///
/// As for [`call`].
#[cold]
unsafe fn fail(error: *mut nyro_error, failure: &Error) -> u32 {
    let filled = filled(failure);
    if !error.is_null() {
        // SAFETY: not null, writable as the caller of this function vouches; aligned or not, initialised or not.
        unsafe { error.write_unaligned(filled) };
    }
    LAST.set(filled);
    filled.code
}

/// The error as C sees it: a NUL at the message's end and none inside, cut off where it is too long.
fn filled(error: &Error) -> nyro_error {
    let mut filled = nyro_error { code: error.code(), message: [0; NYRO_MESSAGE_BYTES] };
    let text = error.to_string();
    // Never cut a character of UTF-8 in two.
    let mut end = text.len().min(NYRO_MESSAGE_BYTES - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    for (to, from) in filled.message.iter_mut().zip(text[..end].bytes()) {
        *to = if from == 0 { b' ' } else { from } as c_char;
    }
    filled
}

/// The caller's bytes.
///
/// # Safety
///
/// `data` is null, or `bytes` bytes can be read there for as long as the call lasts.
pub(crate) unsafe fn slice<'a, T>(data: *const T, bytes: usize, name: &str) -> Result<&'a [u8], Error> {
    if data.is_null() {
        return Err(null(name));
    }
    if isize::try_from(bytes).is_err() {
        return Err(Error::InvalidArgument(format!("{name} has a length of {bytes} bytes")));
    }
    // SAFETY: not null and no longer than a slice may be; any byte is a valid u8; readable as the caller vouches.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), bytes) })
}

/// The caller's text.
///
/// # Safety
///
/// As for [`slice`].
pub(crate) unsafe fn text<'a>(data: *const c_char, bytes: usize, name: &str) -> Result<&'a str, Error> {
    // SAFETY: the same contract.
    let bytes = unsafe { slice(data, bytes, name) }?;
    std::str::from_utf8(bytes)
        .map_err(|e| Error::InvalidArgument(format!("{name} is not UTF-8 at byte {}", e.valid_up_to())))
}

/// Puts `value` where an out-parameter points, if it is there.
///
/// # Safety
///
/// `out` is null or may be written; it need not be initialised, nor aligned.
pub(crate) unsafe fn put<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: not null, and writable by the contract.
        unsafe { out.write_unaligned(value) };
    }
}

/// Sets an out-parameter that must be there to `value`.
///
/// # Safety
///
/// As for [`put`].
pub(crate) unsafe fn require<T>(out: *mut T, value: T, name: &str) -> Result<(), Error> {
    if out.is_null() {
        return Err(null(name));
    }
    // SAFETY: the same contract.
    unsafe { put(out, value) };
    Ok(())
}

/// The caller's array.
///
/// # Safety
///
/// `data` is null, or `count` values can be read there for as long as the call lasts.
pub(crate) unsafe fn array<'a, T>(data: *const T, count: usize, name: &str) -> Result<&'a [T], Error> {
    if count == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(null(name));
    }
    if !data.is_aligned() {
        return Err(Error::InvalidArgument(format!("{name} is not aligned")));
    }
    if count.checked_mul(size_of::<T>()).is_none_or(|bytes| isize::try_from(bytes).is_err()) {
        return Err(Error::InvalidArgument(format!("{name} has {count} entries")));
    }
    // SAFETY: not null, aligned, no larger than a slice may be; readable as the caller vouches.
    Ok(unsafe { std::slice::from_raw_parts(data, count) })
}

/// The caller's memory for results.
///
/// # Safety
///
/// `data` is null, or `count` values can be read and written there by this call alone, as long as it lasts.
pub(crate) unsafe fn array_mut<'a, T>(data: *mut T, count: usize, name: &str) -> Result<&'a mut [T], Error> {
    // SAFETY: the same contract.
    unsafe { array(data, count, name) }?;
    if count == 0 {
        return Ok(&mut []);
    }
    // SAFETY: checked above; writable by this call alone as the caller vouches.
    Ok(unsafe { std::slice::from_raw_parts_mut(data, count) })
}

/// The error for a pointer that must not be null.
#[cold]
pub(crate) fn null(name: &str) -> Error {
    Error::InvalidArgument(format!("{name} is null"))
}

/// A copy that the caller frees with `nyro_free`.
pub(crate) fn allocate(bytes: &[u8]) -> Result<*mut u8, Error> {
    try_allocate(bytes).map_err(no_memory)
}

/// As [`allocate`]; without memory the error is how much was wanted.
#[inline]
fn try_allocate(bytes: &[u8]) -> Result<*mut u8, usize> {
    // SAFETY: `malloc` has no preconditions; a size of 0 may give null, so at least 1 is asked for.
    let copy: *mut u8 = unsafe { libc::malloc(bytes.len().max(1)) }.cast();
    if copy.is_null() {
        return Err(bytes.len());
    }
    // SAFETY: `copy` was just allocated with at least `bytes.len()` bytes, so it overlaps nothing.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len()) };
    Ok(copy)
}

#[cold]
pub(crate) fn no_memory(bytes: usize) -> Error {
    Error::InvalidArgument(format!("no memory for {bytes} bytes of result"))
}

/// Bytes that are gathered where the caller will have them: allocated as `nyro_free` expects.
pub(crate) struct Gathered {
    data: *mut u8,
    bytes: usize,
    room: usize,
}

impl Gathered {
    pub(crate) fn new() -> Gathered {
        Gathered { data: ptr::null_mut(), bytes: 0, room: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let end = self.bytes.checked_add(bytes.len()).ok_or_else(|| no_memory(usize::MAX))?;
        if end > self.room || self.data.is_null() {
            // Half as much again; where there is not so much, what is needed.
            let ample = end.saturating_add(end / 2).max(256);
            self.resize(ample).or_else(|_| self.resize(end)).map_err(no_memory)?;
        }
        // SAFETY: there is room for `end` bytes at `data`, which is not null, and nobody else has a pointer to it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.data.add(self.bytes), bytes.len()) };
        self.bytes = end;
        Ok(())
    }

    /// Makes room for this many bytes, no fewer than there are. The error is how much was wanted.
    fn resize(&mut self, room: usize) -> Result<(), usize> {
        // SAFETY: `data` is null or was allocated here. At least one byte is asked for, so it is never freed by this.
        let data: *mut u8 = unsafe { libc::realloc(self.data.cast(), room.max(1)) }.cast();
        if data.is_null() {
            return Err(room);
        }
        (self.data, self.room) = (data, room);
        Ok(())
    }

    /// Hands the bytes to the caller, who frees them with `nyro_free`.
    ///
    /// # Safety
    ///
    /// As for [`Out::copy`].
    pub(crate) unsafe fn hand_out(mut self, out: &Out) -> Result<(), Error> {
        // What is too much goes back; without any bytes there is still something to free. Making it smaller may only
        // fail without harm.
        if self.resize(self.bytes).is_err() && self.data.is_null() {
            return Err(no_memory(self.bytes));
        }
        // SAFETY: the same contract.
        unsafe { out.set(self.data, self.bytes) };
        self.data = ptr::null_mut();
        Ok(())
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        // SAFETY: null, or allocated here and not handed out.
        unsafe { libc::free(self.data.cast()) };
    }
}

/// Somewhere to put bytes for the caller: two out-parameters, both present or both absent.
pub(crate) struct Out {
    data: *mut *mut u8,
    bytes: *mut usize,
}

impl Out {
    /// Takes the out-parameters and sets them to null and 0, so that they are defined whatever happens.
    ///
    /// # Safety
    ///
    /// Each is null or may be written.
    pub(crate) unsafe fn new<T>(data: *mut *mut T, bytes: *mut usize) -> Out {
        let out = Out { data: data.cast(), bytes };
        // SAFETY: the same contract.
        unsafe { out.set(ptr::null_mut(), 0) };
        out
    }

    /// That both are there.
    pub(crate) fn required(&self, name: &str) -> Result<(), Error> {
        match self.data.is_null() || self.bytes.is_null() {
            true => Err(null(name)),
            false => Ok(()),
        }
    }

    /// Hands a copy to the caller, who frees it with `nyro_free`. Without out-parameters does nothing.
    ///
    /// # Safety
    ///
    /// The pointers that [`Out::new`] was given may still be written.
    pub(crate) unsafe fn copy(&self, bytes: &[u8]) -> Result<(), Error> {
        if self.data.is_null() || self.bytes.is_null() {
            return Ok(());
        }
        // SAFETY: the same contract.
        unsafe { self.try_copy(bytes) }.map_err(no_memory)
    }

    /// As [`Out::copy`], with out-parameters; without memory the error is how much was wanted.
    ///
    /// # Safety
    ///
    /// As for [`Out::copy`].
    #[inline]
    pub(crate) unsafe fn try_copy(&self, bytes: &[u8]) -> Result<(), usize> {
        let copy = try_allocate(bytes)?;
        // SAFETY: the same contract.
        unsafe { self.set(copy, bytes.len()) };
        Ok(())
    }

    /// # Safety
    ///
    /// As for [`Out::copy`].
    unsafe fn set(&self, data: *mut u8, bytes: usize) {
        if !self.data.is_null() {
            // SAFETY: not null, and writable by the contract.
            unsafe { self.data.write_unaligned(data) };
        }
        if !self.bytes.is_null() {
            // SAFETY: not null, and writable by the contract.
            unsafe { self.bytes.write_unaligned(bytes) };
        }
    }
}
