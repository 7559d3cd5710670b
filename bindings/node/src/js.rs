//! Node-API, as little of it as is needed: reading arguments, making answers, and the wall that no panic passes.
//!
//! ```text
//!   JavaScript --> callback --> enter(): arguments, the state of this environment
//!                                 |
//!                                 +--> the call --> Answer        a string, a number, nothing, or
//!                                               \-> Error         kept in the state; -1 is returned
//! ```
//!
//! No call throws: an exception in the making costs Node-API calls, and a number that JavaScript looks at does not.

use crate::state::State;
use napi_sys as sys;
use nyro_owned::{error::of_panic, Error, Id, Result};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;

/// Longest `_id` in bytes.
const MAX_ID_BYTES: usize = 1024;
/// A string of fewer bytes is read in one go.
const SHORT: usize = 256;
/// What a call returns that failed; the error is fetched by another.
const FAILED: f64 = -1.0;

/// What a call gives back.
pub enum Answer {
    /// `undefined`: nothing there.
    Nothing,
    /// The text in the sink; the words and floats are in the buffer.
    Sink,
    /// A number.
    Number(f64),
    /// The buffer must have so many bytes; then the call is made again.
    Room(usize),
}

/// The arguments of a call.
pub struct Args<const N: usize> {
    env: sys::napi_env,
    values: [sys::napi_value; N],
}

fn expected(what: &str) -> Error {
    Error::InvalidArgument(format!("{what} was expected"))
}

/// Runs a call of JavaScript. `data` of the callback is the environment's state.
///
/// # Safety
/// To be called from a callback with what that was given, on the thread of the environment.
#[inline(always)]
pub unsafe fn enter<const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    call: impl FnOnce(&mut State, &Args<N>) -> Result<Answer>,
) -> sys::napi_value {
    let mut values = [ptr::null_mut(); N];
    let (mut count, mut data) = (N, ptr::null_mut());
    // SAFETY: env and info come from Node; N is the room in `values`.
    let status =
        unsafe { sys::napi_get_cb_info(env, info, &mut count, values.as_mut_ptr(), ptr::null_mut(), &mut data) };
    if status != sys::Status::napi_ok || data.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: `data` is the box that `register` leaked; it lives until the environment is torn down, after which no
    // JavaScript runs. No call calls back into JavaScript, so there is no second reference.
    let state = unsafe { &mut *data.cast::<State>() };
    let args = Args { env, values };
    let answer = catch_unwind(AssertUnwindSafe(|| call(state, &args)));
    let answer = answer.unwrap_or_else(|panic| Err(of_panic(panic.as_ref())));
    let number = match answer {
        Ok(Answer::Nothing) => return ptr::null_mut(),
        Ok(Answer::Sink) => return text(env, &state.sink.text),
        Ok(Answer::Number(number)) => number,
        Ok(Answer::Room(bytes)) => bytes as f64,
        Err(error) => {
            state.error = Some(error);
            FAILED
        }
    };
    let mut value = ptr::null_mut();
    // SAFETY: env is valid; on failure `value` stays null, which is `undefined`.
    unsafe { sys::napi_create_double(env, number, &mut value) };
    value
}

#[inline]
fn text(env: sys::napi_env, text: &crate::read::Text) -> sys::napi_value {
    let mut value = ptr::null_mut();
    // SAFETY: pointer and length are those of a slice; Node copies it.
    unsafe {
        match text.get() {
            Ok(narrow) => sys::napi_create_string_latin1(env, narrow.as_ptr().cast(), narrow.len() as _, &mut value),
            Err(wide) => sys::napi_create_string_utf16(env, wide.as_ptr(), wide.len() as _, &mut value),
        }
    };
    value
}

impl<const N: usize> Args<N> {
    fn value(&self, at: usize) -> sys::napi_value {
        // A missing argument is `undefined`, which Node fills in; out of N would be our bug.
        self.values.get(at).copied().unwrap_or(ptr::null_mut())
    }

    /// A small whole number.
    #[inline]
    pub fn number(&self, at: usize) -> Result<u32> {
        let mut number = 0;
        // SAFETY: env is valid for this call, the value is one of its arguments.
        let status = unsafe { sys::napi_get_value_uint32(self.env, self.value(at), &mut number) };
        ok(status, "a number").map(|()| number)
    }

    /// Any number.
    #[inline]
    pub fn double(&self, at: usize) -> Result<f64> {
        let mut number = 0.0;
        // SAFETY: as in `number`.
        let status = unsafe { sys::napi_get_value_double(self.env, self.value(at), &mut number) };
        ok(status, "a number").map(|()| number)
    }

    /// A string in UTF-16, appended to `out`.
    pub fn utf16(&self, at: usize, out: &mut Vec<u16>) -> Result<()> {
        utf16(self.env, self.value(at), out)
    }

    /// A string.
    pub fn string(&self, at: usize) -> Result<String> {
        let mut units = Vec::new();
        self.utf16(at, &mut units)?;
        String::from_utf16(&units)
            .map_err(|_| Error::InvalidArgument("a string holds half of a surrogate pair".to_owned()))
    }

    /// The bytes of a string, in UTF-8, or of a `Uint8Array`, appended to `out`.
    #[inline]
    pub fn octets(&self, at: usize, what: &str, out: &mut Vec<u8>) -> Result<()> {
        let value = self.value(at);
        let (mut short, mut length) = ([0_u8; SHORT], 0);
        // SAFETY: as in `number`; Node writes at most as many bytes as there are, the last one 0.
        let status = unsafe {
            sys::napi_get_value_string_utf8(self.env, value, short.as_mut_ptr().cast(), SHORT as _, &mut length)
        };
        if status == sys::Status::napi_ok {
            // Cut, perhaps; or half of a surrogate pair, for which Node writes this character.
            let text = short.get(..length).unwrap_or_default();
            if length + 4 < SHORT && !text.windows(3).any(|part| part == [0xef, 0xbf, 0xbd]) {
                out.extend_from_slice(text);
                return Ok(());
            }
            let mut units = Vec::new();
            self.utf16(at, &mut units)?;
            let text = String::from_utf16(&units).map_err(|_| crate::writing::surrogate())?;
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        match self.bytes_of(value) {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            None => Err(Error::InvalidArgument(format!("{what} is a string or a Uint8Array"))),
        }
    }

    /// An array of strings in UTF-16.
    pub fn strings(&self, at: usize) -> Result<Vec<Vec<u16>>> {
        let mut count = 0;
        // SAFETY: as in `number`.
        ok(unsafe { sys::napi_get_array_length(self.env, self.value(at), &mut count) }, "an array")?;
        let element = |index| {
            let (mut value, mut units) = (ptr::null_mut(), Vec::new());
            // SAFETY: as in `number`; `index` is below the length.
            ok(unsafe { sys::napi_get_element(self.env, self.value(at), index, &mut value) }, "an element")?;
            utf16(self.env, value, &mut units)?;
            Ok(units)
        };
        (0..count).map(element).collect()
    }

    /// The memory of an `ArrayBuffer` and a reference that keeps it alive.
    pub fn buffer(&self, at: usize) -> Result<(*mut u8, usize, sys::napi_ref)> {
        let (mut memory, mut bytes, mut reference) = (ptr::null_mut(), 0, ptr::null_mut());
        let value = self.value(at);
        // SAFETY: as in `number`.
        unsafe {
            ok(sys::napi_get_arraybuffer_info(self.env, value, &mut memory, &mut bytes), "an ArrayBuffer")?;
            ok(sys::napi_create_reference(self.env, value, 1, &mut reference), "a reference")?;
        }
        Ok((memory.cast(), bytes, reference))
    }

    /// Lets go of what [`Args::buffer`] kept alive.
    pub fn release(&self, reference: sys::napi_ref) {
        if !reference.is_null() {
            // SAFETY: made by `buffer` in this environment, and taken out of its place before.
            unsafe { sys::napi_delete_reference(self.env, reference) };
        }
    }

    /// The id of a document.
    #[inline]
    pub fn id(&self, at: usize) -> Result<Id> {
        let mut number = 0.0;
        // SAFETY: as in `number`.
        if unsafe { sys::napi_get_value_double(self.env, self.value(at), &mut number) } == sys::Status::napi_ok {
            let whole = number as i64;
            if whole as f64 == number && (-crate::words::MAX_SAFE..=crate::words::MAX_SAFE).contains(&whole) {
                return Ok(Id::from(whole));
            }
            return Err(not_an_id("a number that is no integer below 2^53; larger ones are given as BigInt"));
        }
        self.other_id(at)
    }

    #[inline(never)]
    fn other_id(&self, at: usize) -> Result<Id> {
        let (value, mut kind) = (self.value(at), 0);
        // SAFETY: as in `number`.
        ok(unsafe { sys::napi_typeof(self.env, value, &mut kind) }, "an id")?;
        match kind {
            sys::ValueType::napi_string => {
                let mut units = [0_u16; MAX_ID_BYTES + 2];
                let mut length = 0;
                // SAFETY: Node writes at most as many units as there are, the last one 0.
                let status = unsafe {
                    let room = units.len() as _;
                    sys::napi_get_value_string_utf16(self.env, value, units.as_mut_ptr(), room, &mut length)
                };
                ok(status, "a string")?;
                match String::from_utf16(&units[..length]) {
                    Ok(text) => Ok(Id::from(text)),
                    // Cut in the middle of a pair, because it is too long.
                    Err(_) if length > MAX_ID_BYTES => Err(not_an_id("a string of more than 1 024 bytes")),
                    Err(_) => Err(not_an_id("a string with half of a surrogate pair")),
                }
            }
            sys::ValueType::napi_bigint => self.big_id(value),
            sys::ValueType::napi_object => self.binary_id(value),
            _ => Err(not_an_id("neither integer, string nor Uint8Array")),
        }
    }

    fn big_id(&self, value: sys::napi_value) -> Result<Id> {
        let (mut signed, mut unsigned, mut lossless) = (0, 0, false);
        // SAFETY: as in `number`.
        unsafe {
            ok(sys::napi_get_value_bigint_int64(self.env, value, &mut signed, &mut lossless), "a BigInt")?;
            if lossless {
                return Ok(Id::from(signed));
            }
            ok(sys::napi_get_value_bigint_uint64(self.env, value, &mut unsigned, &mut lossless), "a BigInt")?;
        }
        if lossless {
            return Ok(Id::from(unsigned));
        }
        Err(not_an_id("a BigInt beyond 64 bits"))
    }

    fn binary_id(&self, value: sys::napi_value) -> Result<Id> {
        self.bytes_of(value)
            .ok_or_else(|| not_an_id("neither integer, string nor Uint8Array"))
            .map(|bytes| Id::Bytes(bytes.to_vec()))
    }

    /// The bytes of a `Uint8Array`, for as long as no JavaScript runs.
    fn bytes_of(&self, value: sys::napi_value) -> Option<&[u8]> {
        let (mut is_array, mut kind, mut length, mut data) = (false, 0, 0, ptr::null_mut());
        // SAFETY: as in `number`; what Node does not need may be null.
        unsafe {
            sys::napi_is_typedarray(self.env, value, &mut is_array);
            if !is_array {
                return None;
            }
            let (buffer, offset) = (ptr::null_mut(), ptr::null_mut());
            let status =
                sys::napi_get_typedarray_info(self.env, value, &mut kind, &mut length, &mut data, buffer, offset);
            if status != sys::Status::napi_ok || kind != sys::TypedarrayType::uint8_array {
                return None;
            }
            if length == 0 || data.is_null() {
                return Some(&[]);
            }
            Some(std::slice::from_raw_parts(data.cast(), length))
        }
    }
}

fn not_an_id(what: &str) -> Error {
    Error::InvalidId(what.to_owned())
}

#[inline]
fn ok(status: sys::napi_status, what: &str) -> Result<()> {
    if status == sys::Status::napi_ok {
        Ok(())
    } else {
        Err(expected(what))
    }
}

/// Appends a string in UTF-16 to `out`.
fn utf16(env: sys::napi_env, value: sys::napi_value, out: &mut Vec<u16>) -> Result<()> {
    let mut units = 0;
    // SAFETY: without a buffer Node gives the length.
    ok(unsafe { sys::napi_get_value_string_utf16(env, value, ptr::null_mut(), 0, &mut units) }, "a string")?;
    out.reserve(units + 1);
    let mut written = 0;
    // SAFETY: there is room for the units and the 0 that Node puts behind them.
    unsafe {
        let end = out.as_mut_ptr().add(out.len());
        ok(sys::napi_get_value_string_utf16(env, value, end, (units + 1) as _, &mut written), "a string")?;
        out.set_len(out.len() + written);
    }
    Ok(())
}
