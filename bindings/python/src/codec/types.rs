//! Python's types as the codec needs them: checked, read and made, each in one place with its rules for references.

use super::fault::Fault;
use crate::ext::Ext;
use pyo3::ffi;
use pyo3::ffi::{PyObject, PyTypeObject};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDelta, PyType};
use std::os::raw::c_char;
use std::ptr::NonNull;

/// The extension code of MessagePack's timestamps.
const TIMESTAMP: i8 = -1;

const SECS_PER_DAY: i64 = 86_400;

/// A new reference, given back when dropped.
pub struct Owned(NonNull<PyObject>);

impl Owned {
    /// Takes a new reference over; null is the exception that is set.
    ///
    /// # Safety
    /// The GIL is held, now and at the drop; `object` is a new reference, or null with an exception set.
    #[inline]
    pub unsafe fn new(object: *mut PyObject) -> Result<Owned, Fault> {
        match NonNull::new(object) {
            Some(object) => Ok(Owned(object)),
            // SAFETY: as this function requires.
            None => Err(unsafe { raised() }),
        }
    }

    /// Takes a new reference over that is not null.
    ///
    /// # Safety
    /// As [`Owned::new`], and not null.
    #[inline]
    pub unsafe fn from_new(object: *mut PyObject) -> Owned {
        // SAFETY: not null, as this function requires.
        Owned(unsafe { NonNull::new_unchecked(object) })
    }

    /// The object, still owned here.
    #[inline]
    pub fn get(&self) -> *mut PyObject {
        self.0.as_ptr()
    }

    /// The reference, which is the caller's from here on.
    #[inline]
    pub fn into_raw(self) -> *mut PyObject {
        let object = self.0.as_ptr();
        std::mem::forget(self);
        object
    }
}

impl Drop for Owned {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: a reference of ours, and the GIL is held as `new` requires.
        unsafe { ffi::Py_DECREF(self.0.as_ptr()) }
    }
}

/// The exception that is set, as a fault.
///
/// # Safety
/// The GIL is held.
#[cold]
pub unsafe fn raised() -> Fault {
    // SAFETY: as this function requires.
    let py = unsafe { Python::assume_attached() };
    Fault::raised(PyErr::fetch(py))
}

/// True if the object is of this very type, no subclass.
///
/// # Safety
/// `object` is a valid object.
#[inline]
pub unsafe fn is_exactly(object: *mut PyObject, class: *mut PyTypeObject) -> bool {
    // SAFETY: as this function requires.
    unsafe { ffi::Py_TYPE(object) == class }
}

/// The name of an object's type.
///
/// # Safety
/// The GIL is held and `object` is a valid object.
#[cold]
pub unsafe fn name_of(object: *mut PyObject) -> String {
    // SAFETY: as this function requires.
    let object = unsafe { Bound::from_borrowed_ptr(Python::assume_attached(), object) };
    object.get_type().fully_qualified_name().map_or_else(|_| "unknown".to_owned(), |name| name.to_string())
}

/// The UTF-8 of a `str`, which lies in the object.
///
/// # Safety
/// The GIL is held; `text` is a `str` that the caller keeps alive as long as the bytes are used.
#[inline]
pub unsafe fn utf8<'a>(text: *mut PyObject) -> Result<&'a [u8], Fault> {
    let mut len = 0;
    // SAFETY: as this function requires; the bytes lie in the object, which never changes.
    unsafe {
        let bytes = ffi::PyUnicode_AsUTF8AndSize(text, &mut len);
        if bytes.is_null() {
            ffi::PyErr_Clear();
            return Err(Fault::value_error("text with a lone surrogate is not Unicode and can't be stored"));
        }
        Ok(std::slice::from_raw_parts(bytes.cast(), len as usize))
    }
}

/// The bytes of a `bytes` object.
///
/// # Safety
/// The GIL is held; `bytes` is a `bytes` object that the caller keeps alive as long as the slice is used.
pub unsafe fn bytes<'a>(bytes: *mut PyObject) -> &'a [u8] {
    // SAFETY: as this function requires; a bytes object never changes.
    unsafe { std::slice::from_raw_parts(ffi::PyBytes_AsString(bytes).cast(), ffi::PyBytes_Size(bytes) as usize) }
}

/// True for `bytearray` and `memoryview`.
///
/// # Safety
/// The GIL is held and `object` is a valid object.
pub unsafe fn is_bytes_like(object: *mut PyObject) -> bool {
    // SAFETY: as this function requires.
    unsafe { ffi::PyByteArray_Check(object) != 0 || is_exactly(object, &raw mut ffi::PyMemoryView_Type) }
}

/// An `int` above the signed 64 bits, if it fits the unsigned ones.
///
/// # Safety
/// The GIL is held and `int` is an `int`.
pub unsafe fn wide_unsigned(int: *mut PyObject) -> Option<u64> {
    // SAFETY: as this function requires.
    unsafe {
        let value = ffi::PyLong_AsUnsignedLongLong(int);
        if value == u64::MAX && !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        Some(value)
    }
}

/// A new `str`; null with an exception set if the bytes are not UTF-8.
///
/// # Safety
/// The GIL is held.
#[inline]
pub unsafe fn new_text(bytes: &[u8]) -> *mut PyObject {
    // SAFETY: as this function requires; the pointer and the length are a slice's.
    unsafe {
        ffi::PyUnicode_DecodeUTF8(bytes.as_ptr().cast::<c_char>(), bytes.len() as ffi::Py_ssize_t, std::ptr::null())
    }
}

/// A new reference to the one `str` of these bytes that all of Python uses; null if they are not UTF-8.
///
/// # Safety
/// The GIL is held.
pub unsafe fn new_interned(bytes: &[u8]) -> *mut PyObject {
    // SAFETY: as this function requires.
    unsafe {
        let mut text = new_text(bytes);
        if text.is_null() {
            ffi::PyErr_Clear();
            return text;
        }
        ffi::PyUnicode_InternInPlace(&mut text);
        text
    }
}

/// A new `bytes`.
///
/// # Safety
/// The GIL is held.
pub unsafe fn new_bytes(bytes: &[u8]) -> Result<Owned, Fault> {
    // SAFETY: as this function requires; the pointer and the length are a slice's.
    unsafe { Owned::new(ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len() as ffi::Py_ssize_t)) }
}

/// A new reference to `None`.
///
/// # Safety
/// The GIL is held.
#[inline]
pub unsafe fn none() -> *mut PyObject {
    // SAFETY: as this function requires.
    unsafe {
        let none = ffi::Py_None();
        ffi::Py_INCREF(none);
        none
    }
}

/// A new reference to `True` or `False`.
///
/// # Safety
/// The GIL is held.
#[inline]
pub unsafe fn boolean(value: bool) -> *mut PyObject {
    // SAFETY: as this function requires.
    unsafe {
        let object = if value { ffi::Py_True() } else { ffi::Py_False() };
        ffi::Py_INCREF(object);
        object
    }
}

/// The types that are not the interpreter's own.
pub struct Types {
    datetime: Py<PyType>,
    /// 1970-01-01T00:00:00Z.
    epoch: Py<PyAny>,
}

impl Types {
    /// Looked up once.
    pub fn get(py: Python<'_>) -> PyResult<&Types> {
        static TYPES: PyOnceLock<Types> = PyOnceLock::new();
        TYPES.get_or_try_init(py, || {
            let module = py.import("datetime")?;
            let datetime = module.getattr("datetime")?.cast_into::<PyType>()?;
            let utc = module.getattr("timezone")?.getattr("utc")?;
            let epoch = datetime.call1((1970, 1, 1, 0, 0, 0, 0, utc))?;
            Ok(Types { datetime: datetime.unbind(), epoch: epoch.unbind() })
        })
    }

    /// True for a `datetime` and its subclasses.
    ///
    /// # Safety
    /// The GIL is held and `object` is a valid object.
    pub unsafe fn is_datetime(&self, object: *mut PyObject) -> bool {
        // SAFETY: as this function requires.
        unsafe { ffi::PyObject_TypeCheck(object, self.datetime.as_ptr().cast()) != 0 }
    }

    /// Seconds since 1970 and nanoseconds of a `datetime` that knows its offset from UTC.
    ///
    /// # Safety
    /// The GIL is held; `object` is a `datetime` that the caller keeps alive. Code of its time zone may run.
    pub unsafe fn read_datetime(&self, object: *mut PyObject) -> Result<(i64, u32), Fault> {
        // SAFETY: as this function requires.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: as above.
        let object = unsafe { Bound::from_borrowed_ptr(py, object) };
        let read = || -> PyResult<Option<(i64, i64, u32)>> {
            if object.call_method0(intern!(py, "utcoffset"))?.is_none() {
                return Ok(None);
            }
            let since = object.sub(self.epoch.bind(py))?;
            let days: i64 = since.getattr(intern!(py, "days"))?.extract()?;
            let seconds: i64 = since.getattr(intern!(py, "seconds"))?.extract()?;
            let micros: u32 = since.getattr(intern!(py, "microseconds"))?.extract()?;
            Ok(Some((days, seconds, micros)))
        };
        match read().map_err(Fault::raised)? {
            Some((days, seconds, micros)) => {
                let secs = days.checked_mul(SECS_PER_DAY).and_then(|secs| secs.checked_add(seconds));
                secs.filter(|_| micros < 1_000_000)
                    .map(|secs| (secs, micros * 1000))
                    .ok_or_else(|| Fault::value_error("a datetime whose difference to another is no timedelta"))
            }
            None => Err(Fault::value_error(
                "a naive datetime is no point in time; give it a tzinfo, as in datetime.now(timezone.utc)",
            )),
        }
    }

    /// The [`Ext`] that an object is.
    ///
    /// # Safety
    /// The GIL is held and `object` is a valid object that the caller keeps alive as long as the result is used.
    pub unsafe fn read_ext<'a>(&self, object: *mut PyObject) -> Option<&'a Ext> {
        // SAFETY: as this function requires.
        let object = unsafe { Bound::from_borrowed_ptr(Python::assume_attached(), object) };
        let ext: *const Ext = object.cast::<Ext>().ok()?.get();
        // SAFETY: it lies in the object, which is alive as required, and never changes.
        Some(unsafe { &*ext })
    }

    /// What an extension is in Python: a `datetime` where it is one that `datetime` can say, else an [`Ext`].
    ///
    /// # Safety
    /// The GIL is held.
    pub unsafe fn new_ext(&self, code: i8, data: &[u8]) -> Result<Owned, Fault> {
        // SAFETY: as this function requires.
        let py = unsafe { Python::assume_attached() };
        let when = (code == TIMESTAMP).then(|| timestamp(data)).flatten();
        if let Some(object) = when.and_then(|(secs, nanos)| self.new_datetime(py, secs, nanos)) {
            // SAFETY: a new reference.
            return Ok(unsafe { Owned::from_new(object.into_ptr()) });
        }
        let ext = Bound::new(py, Ext { code, data: data.into() }).map_err(Fault::raised)?;
        // SAFETY: a new reference.
        Ok(unsafe { Owned::from_new(ext.into_ptr()) })
    }

    /// The `datetime` in UTC, its nanoseconds cut to microseconds; `None` outside the years 1 to 9999.
    fn new_datetime<'py>(&self, py: Python<'py>, secs: i64, nanos: u32) -> Option<Bound<'py, PyAny>> {
        let days = i32::try_from(secs.div_euclid(SECS_PER_DAY)).ok()?;
        let since = PyDelta::new(py, days, secs.rem_euclid(SECS_PER_DAY) as i32, (nanos / 1000) as i32, false).ok()?;
        self.epoch.bind(py).add(since).ok()
    }
}

/// Seconds since 1970 and nanoseconds of a timestamp extension.
fn timestamp(data: &[u8]) -> Option<(i64, u32)> {
    let (secs, nanos) = match data.len() {
        4 => (i64::from(u32::from_be_bytes(data.try_into().ok()?)), 0),
        8 => {
            let both = u64::from_be_bytes(data.try_into().ok()?);
            ((both & ((1 << 34) - 1)) as i64, (both >> 34) as u32)
        }
        12 => {
            let (nanos, secs) = data.split_at(4);
            (i64::from_be_bytes(secs.try_into().ok()?), u32::from_be_bytes(nanos.try_into().ok()?))
        }
        _ => return None,
    };
    (nanos < 1_000_000_000).then_some((secs, nanos))
}
