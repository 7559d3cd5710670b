//! Python objects to MessagePack.
//!
//! ```text
//!   {"name": "Ada", "age": 36}   ->   82 | a4 name | a3 Ada | a3 age | 24
//!
//!   type(value) is exactly   str, int, float, bool, None, dict, list      most values: one comparison each
//!   else                     bytes, tuple, datetime, Ext, bytearray, memoryview, subclasses of all of them
//! ```
//!
//! What has no exact counterpart is refused, with the path to it: integers beyond 64 bits, text that is not Unicode
//! (lone surrogates), keys that are not `str`, naive datetimes, sets, and everything unknown. A cycle is a value that
//! is nested too deep.
//!
//! Names that are there twice and reserved extensions are the engine's matter: [`Encoder::is_well_formed`] says whether
//! there may be any. A `dict` has each exact `str` once, so documents of values that run no code while they are written
//! are known to be well-formed.

use super::fault::Fault;
use super::names::{Names, KEPT_BYTES};
use super::reader::Reader;
use super::types::{self, Types};
use pyo3::ffi;
use pyo3::ffi::PyObject;
use std::os::raw::c_int;

/// Levels that a document may have; itself is the first.
const MAX_DEPTH: u32 = nyro::MAX_DOCUMENT_DEPTH;

/// No document may be larger, whatever the option says: encoding stops here.
const LARGEST_BYTES: usize = 30 << 20;

/// Writes values behind what is in a buffer.
pub struct Encoder<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
    types: &'b Types,
    names: &'b mut Names,
    well_formed: bool,
}

impl<'b> Encoder<'b> {
    /// An encoder that appends to `out`.
    pub fn new(out: &'b mut Vec<u8>, types: &'b Types, names: &'b mut Names) -> Encoder<'b> {
        let start = out.len();
        Encoder { out, start, types, names, well_formed: true }
    }

    /// True if all that was written is valid without a look at it.
    pub fn is_well_formed(&self) -> bool {
        self.well_formed
    }

    /// Writes a document: a `dict` or a subclass of it.
    ///
    /// # Safety
    /// The GIL is held; `object` is a valid object that the caller keeps alive.
    pub unsafe fn document(&mut self, object: *mut PyObject) -> Result<(), Fault> {
        // SAFETY: as this function requires.
        unsafe {
            if types::is_exactly(object, &raw mut ffi::PyDict_Type) {
                return self.dict(object, 1);
            }
            if ffi::PyDict_Check(object) != 0 {
                return self.items(object, 1);
            }
            Err(Fault::type_error(format!("a document must be a dict, not {}", types::name_of(object))))
        }
    }

    /// Writes any value at a level of nesting.
    ///
    /// # Safety
    /// As [`Encoder::document`].
    #[inline]
    unsafe fn value(&mut self, object: *mut PyObject, depth: u32) -> Result<(), Fault> {
        // SAFETY: as this function requires. Values of these exact types run no code of the user's when read, so what
        // the container holds stays alive; where code can run, the value is held.
        unsafe {
            let class = ffi::Py_TYPE(object);
            if class == &raw mut ffi::PyUnicode_Type {
                return self.text(object);
            }
            if class == &raw mut ffi::PyLong_Type {
                return self.int(object);
            }
            if class == &raw mut ffi::PyFloat_Type {
                self.float(ffi::PyFloat_AsDouble(object));
                return Ok(());
            }
            if object == ffi::Py_None() {
                self.out.push(0xc0);
                return Ok(());
            }
            if class == &raw mut ffi::PyBool_Type {
                self.out.push(if object == ffi::Py_True() { 0xc3 } else { 0xc2 });
                return Ok(());
            }
            ffi::Py_INCREF(object);
            let done = if class == &raw mut ffi::PyDict_Type {
                self.dict(object, depth)
            } else if class == &raw mut ffi::PyList_Type {
                self.list(object, depth)
            } else {
                self.rare(object, depth)
            };
            ffi::Py_DECREF(object);
            done
        }
    }

    /// # Safety
    /// As [`Encoder::document`], of a `dict`.
    unsafe fn dict(&mut self, dict: *mut PyObject, depth: u32) -> Result<(), Fault> {
        self.check(depth)?;
        // SAFETY: as this function requires. `PyDict_Next` lends the key and the value; values that may run code
        // are held by `value`, and keys are read before. Of a dict that was changed meanwhile the number of fields is
        // noticed at the end; whatever else was changed, only code of the user's did it, and then the document is not
        // taken for well-formed.
        unsafe {
            let fields = ffi::PyDict_Size(dict) as usize;
            self.head(fields, 0x80, 0x0f, [0xde, 0xdf])?;
            let (mut at, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
            let mut seen = 0;
            while ffi::PyDict_Next(dict, &mut at, &mut key, &mut value) != 0 {
                let key_at = self.out.len();
                self.key(key)?;
                self.value(value, depth + 1).map_err(|fault| fault.under(self.name_at(key_at)))?;
                seen += 1;
            }
            if seen != fields {
                return Err(Fault::changed());
            }
        }
        Ok(())
    }

    /// Subclasses of `dict`, in the order that their own `items` gives (an `OrderedDict` has one of its own).
    ///
    /// # Safety
    /// As [`Encoder::document`], of a mapping.
    unsafe fn items(&mut self, mapping: *mut PyObject, depth: u32) -> Result<(), Fault> {
        self.check(depth)?;
        self.well_formed = false;
        // SAFETY: as this function requires. `items` is a new list that nobody else has; its entries are checked to be
        // pairs, which are tuples and do not change.
        unsafe {
            let items = types::Owned::new(ffi::PyMapping_Items(mapping))?;
            let fields = ffi::PyList_Size(items.get());
            self.head(fields.max(0) as usize, 0x80, 0x0f, [0xde, 0xdf])?;
            for i in 0..fields {
                let pair = ffi::PyList_GetItem(items.get(), i);
                if pair.is_null() || ffi::PyTuple_Check(pair) == 0 || ffi::PyTuple_Size(pair) != 2 {
                    ffi::PyErr_Clear();
                    return Err(Fault::type_error("items() of a dict must give pairs".to_owned()));
                }
                let key_at = self.out.len();
                self.key(ffi::PyTuple_GetItem(pair, 0))?;
                let value = ffi::PyTuple_GetItem(pair, 1);
                self.value(value, depth + 1).map_err(|fault| fault.under(self.name_at(key_at)))?;
            }
        }
        Ok(())
    }

    /// # Safety
    /// As [`Encoder::document`], of a `list`.
    unsafe fn list(&mut self, list: *mut PyObject, depth: u32) -> Result<(), Fault> {
        self.check(depth)?;
        // SAFETY: as this function requires. The length is asked again for each element, as code that runs meanwhile
        // may shorten the list; `PyList_GetItem` checks its index, too.
        unsafe {
            let len = ffi::PyList_Size(list);
            self.head(len as usize, 0x90, 0x0f, [0xdc, 0xdd])?;
            for i in 0..len {
                let element = ffi::PyList_GetItem(list, i);
                if element.is_null() {
                    ffi::PyErr_Clear();
                    return Err(Fault::changed());
                }
                self.value(element, depth + 1).map_err(|fault| fault.at(i as usize))?;
                self.room(0)?;
            }
            if ffi::PyList_Size(list) != len {
                return Err(Fault::changed());
            }
        }
        Ok(())
    }

    /// # Safety
    /// As [`Encoder::document`], of a `tuple`.
    unsafe fn tuple(&mut self, tuple: *mut PyObject, depth: u32) -> Result<(), Fault> {
        self.check(depth)?;
        // SAFETY: as this function requires; a tuple never changes, and its index is in range.
        unsafe {
            let len = ffi::PyTuple_Size(tuple);
            self.head(len as usize, 0x90, 0x0f, [0xdc, 0xdd])?;
            for i in 0..len {
                self.value(ffi::PyTuple_GetItem(tuple, i), depth + 1).map_err(|fault| fault.at(i as usize))?;
                self.room(0)?;
            }
        }
        Ok(())
    }

    /// # Safety
    /// As [`Encoder::document`].
    #[cold]
    unsafe fn rare(&mut self, object: *mut PyObject, depth: u32) -> Result<(), Fault> {
        // SAFETY: as this function requires; each call is given an object of the type that was just checked.
        unsafe {
            // All others may run code of the user's, which may change what is being written.
            self.well_formed &= types::is_exactly(object, &raw mut ffi::PyBytes_Type)
                || types::is_exactly(object, &raw mut ffi::PyTuple_Type);
            if ffi::PyBytes_Check(object) != 0 {
                return self.bytes(object);
            }
            if ffi::PyTuple_Check(object) != 0 {
                return self.tuple(object, depth);
            }
            if self.types.is_datetime(object) {
                let (secs, nanos) = self.types.read_datetime(object)?;
                self.timestamp(secs, nanos);
                return Ok(());
            }
            if let Some(ext) = self.types.read_ext(object) {
                return self.ext(ext.code, &ext.data);
            }
            if ffi::PyUnicode_Check(object) != 0 {
                return self.text(object);
            }
            if ffi::PyLong_Check(object) != 0 {
                return self.int(object);
            }
            if ffi::PyFloat_Check(object) != 0 {
                self.float(ffi::PyFloat_AsDouble(object));
                return Ok(());
            }
            if ffi::PyDict_Check(object) != 0 {
                return self.items(object, depth);
            }
            if ffi::PyList_Check(object) != 0 {
                return self.list(object, depth);
            }
            if types::is_bytes_like(object) {
                let copy = types::Owned::new(ffi::PyBytes_FromObject(object))?;
                return self.bytes(copy.get());
            }
            Err(Fault::type_error(format!("a value of type {} can't be stored", types::name_of(object))))
        }
    }

    /// # Safety
    /// As [`Encoder::document`].
    #[inline]
    unsafe fn key(&mut self, key: *mut PyObject) -> Result<(), Fault> {
        if let Some((bytes, len)) = self.names.get(key) {
            // A copy of fixed length, of which `len` bytes count.
            self.out.reserve(KEPT_BYTES);
            let end = self.out.len();
            // SAFETY: there is room for all of them, and the first `len`, at most as many, are written.
            unsafe {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.out.as_mut_ptr().add(end), KEPT_BYTES);
                self.out.set_len(end + len);
            }
            return Ok(());
        }
        // SAFETY: as this function requires.
        unsafe { self.new_key(key) }
    }

    /// # Safety
    /// As [`Encoder::document`].
    #[inline(never)]
    unsafe fn new_key(&mut self, key: *mut PyObject) -> Result<(), Fault> {
        // SAFETY: as this function requires.
        unsafe {
            if ffi::PyUnicode_Check(key) == 0 {
                return Err(Fault::type_error(format!("field names must be str, not {}", types::name_of(key))));
            }
            let at = self.out.len();
            self.text(key)?;
            if ffi::PyUnicode_CheckExact(key) != 0 {
                self.names.keep(key, self.out.get(at..).unwrap_or_default());
            } else {
                self.well_formed = false;
            }
            Ok(())
        }
    }

    /// # Safety
    /// As [`Encoder::document`], of a `str`.
    #[inline]
    unsafe fn text(&mut self, text: *mut PyObject) -> Result<(), Fault> {
        // SAFETY: as this function requires.
        let text = unsafe { types::utf8(text) }?;
        let len = text.len();
        if len < 32 {
            // The usual case: room once, then head and text.
            self.out.reserve(32);
            let end = self.out.len();
            // SAFETY: there is room for 32 bytes, and 1 + `len` of them are written, no more.
            unsafe {
                let place = self.out.as_mut_ptr().add(end);
                place.write(0xa0 | len as u8);
                copy_short(text.as_ptr(), place.add(1), len);
                self.out.set_len(end + 1 + len);
            }
            return Ok(());
        }
        match len {
            32..=0xff => self.out.extend_from_slice(&[0xd9, len as u8]),
            0x100..=0xffff => {
                self.room(len)?;
                self.wide(0xda, &(len as u16).to_be_bytes());
            }
            _ => {
                self.room(len)?;
                self.wide(0xdb, &Self::u32(len)?.to_be_bytes());
            }
        }
        self.out.extend_from_slice(text);
        Ok(())
    }

    /// # Safety
    /// As [`Encoder::document`], of an `int`.
    #[inline]
    unsafe fn int(&mut self, int: *mut PyObject) -> Result<(), Fault> {
        let mut overflow: c_int = 0;
        // SAFETY: as this function requires; the value is an int, so reading it runs no code.
        let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(int, &mut overflow) };
        match overflow {
            0 => self.signed(value),
            // SAFETY: as above; an error is looked at and cleared.
            1 => match unsafe { types::wide_unsigned(int) } {
                Some(value) => self.wide(0xcf, &value.to_be_bytes()),
                None => return Err(Fault::int_too_large()),
            },
            _ => return Err(Fault::int_too_large()),
        }
        Ok(())
    }

    #[inline]
    fn signed(&mut self, value: i64) {
        match value {
            -32..=0x7f => self.out.push(value as u8),
            0x80..=0xff => self.out.extend_from_slice(&[0xcc, value as u8]),
            0x100..=0xffff => self.wide(0xcd, &(value as u16).to_be_bytes()),
            0x1_0000..=0xffff_ffff => self.wide(0xce, &(value as u32).to_be_bytes()),
            0x1_0000_0000.. => self.wide(0xcf, &value.to_be_bytes()),
            -0x80..=-33 => self.out.extend_from_slice(&[0xd0, value as u8]),
            -0x8000..=-0x81 => self.wide(0xd1, &(value as i16).to_be_bytes()),
            -0x8000_0000..=-0x8001 => self.wide(0xd2, &(value as i32).to_be_bytes()),
            _ => self.wide(0xd3, &value.to_be_bytes()),
        }
    }

    #[inline]
    fn float(&mut self, value: f64) {
        self.wide(0xcb, &value.to_be_bytes());
    }

    /// # Safety
    /// As [`Encoder::document`], of `bytes`.
    unsafe fn bytes(&mut self, bytes: *mut PyObject) -> Result<(), Fault> {
        // SAFETY: as this function requires; bytes never change.
        let bytes = unsafe { types::bytes(bytes) };
        self.room(bytes.len())?;
        match bytes.len() {
            len @ 0..=0xff => self.out.extend_from_slice(&[0xc4, len as u8]),
            len @ 0x100..=0xffff => self.wide(0xc5, &(len as u16).to_be_bytes()),
            len => self.wide(0xc6, &Self::u32(len)?.to_be_bytes()),
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// The field name that was written at a place of the buffer.
    #[cold]
    fn name_at(&self, at: usize) -> String {
        let mut reader = Reader::new(self.out.get(at..).unwrap_or_default());
        let name = reader.text_head().and_then(|len| reader.take(len)).unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    }

    fn timestamp(&mut self, secs: i64, nanos: u32) {
        match (u64::try_from(secs), nanos) {
            (Ok(secs), 0) if secs <= 0xffff_ffff => {
                self.out.extend_from_slice(&[0xd6, 0xff]);
                self.out.extend_from_slice(&(secs as u32).to_be_bytes());
            }
            (Ok(secs), _) if secs < 1 << 34 => {
                self.out.extend_from_slice(&[0xd7, 0xff]);
                self.out.extend_from_slice(&(u64::from(nanos) << 34 | secs).to_be_bytes());
            }
            _ => {
                self.out.extend_from_slice(&[0xc7, 12, 0xff]);
                self.out.extend_from_slice(&nanos.to_be_bytes());
                self.out.extend_from_slice(&secs.to_be_bytes());
            }
        }
    }

    fn ext(&mut self, code: i8, data: &[u8]) -> Result<(), Fault> {
        self.well_formed = false;
        self.room(data.len())?;
        match data.len() {
            1 => self.out.push(0xd4),
            2 => self.out.push(0xd5),
            4 => self.out.push(0xd6),
            8 => self.out.push(0xd7),
            16 => self.out.push(0xd8),
            len @ 0..=0xff => self.out.extend_from_slice(&[0xc7, len as u8]),
            len @ 0x100..=0xffff => self.wide(0xc8, &(len as u16).to_be_bytes()),
            len => self.wide(0xc9, &Self::u32(len)?.to_be_bytes()),
        }
        self.out.push(code as u8);
        self.out.extend_from_slice(data);
        Ok(())
    }

    #[inline]
    fn head(&mut self, len: usize, fix: u8, fix_max: usize, wide: [u8; 2]) -> Result<(), Fault> {
        match len {
            _ if len <= fix_max => self.out.push(fix | len as u8),
            0..=0xffff => self.wide(wide[0], &(len as u16).to_be_bytes()),
            _ => self.wide(wide[1], &Self::u32(len)?.to_be_bytes()),
        }
        Ok(())
    }

    #[inline]
    fn wide<const N: usize>(&mut self, head: u8, bytes: &[u8; N]) {
        self.out.reserve(N + 1);
        self.out.push(head);
        self.out.extend_from_slice(bytes);
    }

    fn u32(len: usize) -> Result<u32, Fault> {
        u32::try_from(len).map_err(|_| Fault::too_large(len))
    }

    /// A map or an array begins: not too deep, and not too large already (the same list many times over in itself).
    #[inline]
    fn check(&self, depth: u32) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::too_deep());
        }
        self.room(0)
    }

    /// So many bytes more do not make it too large. Asked before what is long and after each element: the same text may
    /// be there many times over.
    #[inline]
    fn room(&self, len: usize) -> Result<(), Fault> {
        if self.out.len() - self.start + len > LARGEST_BYTES {
            return Err(Fault::too_large(LARGEST_BYTES));
        }
        Ok(())
    }
}

/// Copies less than 32 bytes with at most four loads and stores: a call of the C library's function costs more.
///
/// # Safety
/// `len` bytes can be read at `from` and written at `to`, and do not overlap.
#[inline(always)]
unsafe fn copy_short(from: *const u8, to: *mut u8, len: usize) {
    /// The first and the last `N` bytes, which together are all.
    #[inline(always)]
    unsafe fn ends<const N: usize>(from: *const u8, to: *mut u8, len: usize) {
        // SAFETY: `N <= len <= 2 * N`, so both ends are inside; both are read before one is written.
        unsafe {
            let first = from.cast::<[u8; N]>().read_unaligned();
            let last = from.add(len - N).cast::<[u8; N]>().read_unaligned();
            to.cast::<[u8; N]>().write_unaligned(first);
            to.add(len - N).cast::<[u8; N]>().write_unaligned(last);
        }
    }
    debug_assert!(len < 32);
    // SAFETY: as this function requires, and each is given a length that suits it.
    unsafe {
        match len {
            16.. => ends::<16>(from, to, len),
            8.. => ends::<8>(from, to, len),
            4.. => ends::<4>(from, to, len),
            2.. => ends::<2>(from, to, len),
            1 => to.write(from.read()),
            0 => {}
        }
    }
}
