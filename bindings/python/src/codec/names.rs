//! Field names that were encoded before: the same `str` object is the same bytes.
//!
//! ```text
//!   the str of "name"  --address-->  slot 17: (that object, "\xa4name", 5)      equal: 24 bytes are copied, 5 count
//! ```
//!
//! Names in a program's text are one object each, so nearly all are found. A slot holds a reference to its name: an
//! address that is found is the same object.

use pyo3::ffi;
use pyo3::ffi::PyObject;

/// Names up to this length, with their head, are kept.
pub const KEPT_BYTES: usize = 24;

/// Slots; a power of two.
const SLOTS: usize = 512;

#[derive(Clone, Copy)]
struct Slot {
    name: *mut PyObject,
    bytes: [u8; KEPT_BYTES],
    len: usize,
}

/// A cache of encoded names.
pub struct Names {
    slots: Vec<Slot>,
}

impl Names {
    /// An empty cache.
    pub fn new() -> Names {
        Names { slots: vec![Slot { name: std::ptr::null_mut(), bytes: [0; KEPT_BYTES], len: 0 }; SLOTS] }
    }

    #[inline]
    fn place(name: *mut PyObject) -> usize {
        // Objects lie at multiples of 16.
        (name as usize >> 4 ^ name as usize >> 13) & (SLOTS - 1)
    }

    /// The encoded name and its length, if it was kept.
    #[inline]
    pub fn get(&self, name: *mut PyObject) -> Option<(&[u8; KEPT_BYTES], usize)> {
        let slot = &self.slots[Names::place(name)];
        (slot.name == name).then_some((&slot.bytes, slot.len))
    }

    /// Keeps the bytes of a name, if they are short.
    ///
    /// # Safety
    /// The GIL is held; `name` is exactly a `str`, no subclass, and `encoded` its bytes.
    #[cold]
    pub unsafe fn keep(&mut self, name: *mut PyObject, encoded: &[u8]) {
        let mut bytes = [0; KEPT_BYTES];
        let Some(place) = bytes.get_mut(..encoded.len()) else { return };
        place.copy_from_slice(encoded);
        let slot = &mut self.slots[Names::place(name)];
        // SAFETY: as this function requires; the slot's name is a reference of ours, and a `str` runs no code when it goes.
        unsafe {
            ffi::Py_INCREF(name);
            ffi::Py_XDECREF(slot.name);
        }
        *slot = Slot { name, bytes, len: encoded.len() };
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        for slot in &self.slots {
            // SAFETY: a cache is made, used and dropped with the GIL held (see `UnderGil`), and the reference is ours.
            unsafe { ffi::Py_XDECREF(slot.name) };
        }
    }
}
