//! Short strings that were made before: what repeats from document to document (a city, a tag, a role) is made once.
//!
//! ```text
//!   "Berlin"  --hash-->  slot 77: (words, length, str)    equal: one more reference
//!                                                         else:  a new str takes the slot
//! ```
//!
//! One slot for each hash, no search: a miss costs little more than making the string.

use super::types;
use pyo3::ffi;
use pyo3::ffi::PyObject;

/// Strings up to this length are kept.
const KEPT_BYTES: usize = 16;

/// Slots; a power of two.
const SLOTS: usize = 2048;

#[derive(Clone, Copy)]
struct Slot {
    words: [u64; 2],
    len: usize,
    text: *mut PyObject,
}

/// A cache of short `str` objects.
pub struct Strings {
    slots: Vec<Slot>,
}

impl Strings {
    /// An empty cache.
    pub fn new() -> Strings {
        Strings { slots: vec![Slot { words: [0; 2], len: 0, text: std::ptr::null_mut() }; SLOTS] }
    }

    /// A new reference to a `str` of these bytes; null, with an exception set, if they are not UTF-8.
    ///
    /// # Safety
    /// The GIL is held.
    #[inline]
    pub unsafe fn get(&mut self, bytes: &[u8]) -> *mut PyObject {
        if bytes.len() > KEPT_BYTES {
            // SAFETY: as this function requires.
            return unsafe { types::new_text(bytes) };
        }
        let words = words_of(bytes);
        let hash = (words[0] ^ words[1].rotate_left(29) ^ bytes.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = &mut self.slots[(hash >> 53) as usize & (SLOTS - 1)];
        // SAFETY: as this function requires. A slot's string is alive, as the slot has a reference to it.
        unsafe {
            if slot.words == words && slot.len == bytes.len() && !slot.text.is_null() {
                ffi::Py_INCREF(slot.text);
                return slot.text;
            }
            let text = types::new_text(bytes);
            if !text.is_null() {
                ffi::Py_INCREF(text);
                let before = std::mem::replace(slot, Slot { words, len: bytes.len(), text }).text;
                ffi::Py_XDECREF(before);
            }
            text
        }
    }
}

/// The bytes as two words, zeros behind them.
#[inline]
fn words_of(bytes: &[u8]) -> [u64; 2] {
    let len = bytes.len();
    let word = |at: usize| u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| bytes[at + i]));
    match len {
        // Overlapping words: with the length they tell the bytes as well as words side by side.
        8.. => [word(0), word(len - 8)],
        4..8 => {
            let half = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            [u64::from(half(0)), u64::from(half(len - 4))]
        }
        1..4 => [u64::from(bytes[0]) | u64::from(bytes[len / 2]) << 8 | u64::from(bytes[len - 1]) << 16, 0],
        0 => [0, 0],
    }
}
