//! Documents between MessagePack and Python objects, and the memory that makes it fast.
//!
//! ```text
//!   encode   dict -> bytes      by exact type, names by their address       encode, names
//!   decode   bytes -> dict      by the shapes of the documents before      decode, shapes, strings
//!                               what Python's types need                   types, fault
//! ```
//!
//! The memory is one for the process and guarded by the GIL. It is taken out while it is used: code that is run in the
//! middle (a time zone's, on encoding) and reads documents itself starts with an empty one.

mod decode;
mod encode;
mod fault;
mod names;
mod reader;
mod shapes;
mod strings;
mod types;

pub use decode::Decoder;
pub use encode::Encoder;
pub use fault::{Fault, Like, Why};
pub use types::{utf8, Owned, Types};

use decode::Memory;
use names::Names;
use pyo3::ffi;
use pyo3::prelude::*;
use std::cell::UnsafeCell;

/// Buffers up to this size are kept for the next document.
const KEPT_BYTES: usize = 1 << 20;

/// A value that is only used with the GIL held.
struct UnderGil<T>(UnsafeCell<T>);

// SAFETY: `take` and `put` need a `Python`, which proves that the GIL is held; so there is one user at a time. This
// module does not load into an interpreter without a GIL, nor into a second one.
unsafe impl<T> Sync for UnderGil<T> {}

impl<T: Default> UnderGil<T> {
    #[inline]
    fn take(&self, _py: Python<'_>) -> T {
        // SAFETY: the GIL is held and nothing is run in between.
        std::mem::take(unsafe { &mut *self.0.get() })
    }

    #[inline]
    fn put(&self, _py: Python<'_>, value: T) {
        // SAFETY: as above. What is dropped runs no code of Python's.
        let before = std::mem::replace(unsafe { &mut *self.0.get() }, value);
        drop(before);
    }
}

static MEMORY: UnderGil<Option<Box<Memory>>> = UnderGil(UnsafeCell::new(None));
static NAMES: UnderGil<Option<Box<Names>>> = UnderGil(UnsafeCell::new(None));
static BUFFER: UnderGil<Vec<u8>> = UnderGil(UnsafeCell::new(Vec::new()));

/// The garbage collector, paused: what is made meanwhile starts no collection, so no code of the user's runs.
struct Paused(bool);

impl Paused {
    fn new(_py: Python<'_>) -> Paused {
        // SAFETY: the GIL is held.
        Paused(unsafe { ffi::PyGC_Disable() } != 0)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        if self.0 {
            // SAFETY: the GIL is held, as it was when this was made: it lives within one call.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}

/// Runs `read` with a decoder, and with the garbage collector paused, so that no code of the user's runs inside:
/// `read` may stand in the middle of a call of the engine's.
#[inline]
pub fn decoding<R>(py: Python<'_>, read: impl FnOnce(&mut Decoder<'_>) -> R) -> PyResult<R> {
    let types = Types::get(py)?;
    let paused = Paused::new(py);
    let mut memory = MEMORY.take(py).unwrap_or_else(|| Box::new(Memory::new()));
    let result = read(&mut Decoder::new(&mut memory, types));
    MEMORY.put(py, Some(memory));
    drop(paused);
    Ok(result)
}

/// An empty buffer, with the memory of the last one that was kept.
pub fn kept_buffer(py: Python<'_>) -> Vec<u8> {
    let mut buffer = BUFFER.take(py);
    buffer.clear();
    buffer
}

/// Keeps a buffer's memory for the next, if it is not too large.
pub fn keep_buffer(py: Python<'_>, buffer: Vec<u8>) {
    if buffer.capacity() <= KEPT_BYTES {
        BUFFER.put(py, buffer);
    }
}

/// Runs `write` with an empty buffer and the types, then `done` with what was written.
pub fn encoding<R>(
    py: Python<'_>,
    write: impl FnOnce(&mut Encoder<'_>) -> Result<(), Fault>,
    done: impl FnOnce(&[u8]) -> R,
) -> PyResult<R> {
    let mut buffer = kept_buffer(py);
    let written = with_encoder(py, &mut buffer, write)?;
    let result = written.map(|()| done(&buffer));
    keep_buffer(py, buffer);
    result.map_err(|fault| crate::error::of_fault(py, fault))
}

/// Writes a document behind what is in a buffer, and says whether it is known to be well-formed. After a fault the
/// buffer may have a part of it.
pub fn encode_behind(py: Python<'_>, out: &mut Vec<u8>, document: &Bound<'_, PyAny>) -> PyResult<Result<bool, Fault>> {
    let write = write_document(document);
    with_encoder(py, out, |encoder| write(encoder).map(|()| encoder.is_well_formed()))
}

#[inline]
fn with_encoder<R>(py: Python<'_>, out: &mut Vec<u8>, write: impl FnOnce(&mut Encoder<'_>) -> R) -> PyResult<R> {
    let types = Types::get(py)?;
    let mut names = NAMES.take(py).unwrap_or_else(|| Box::new(Names::new()));
    let written = write(&mut Encoder::new(out, types, &mut names));
    NAMES.put(py, Some(names));
    Ok(written)
}

/// Writes a document for `encoding`.
pub fn write_document<'d, 'py>(
    document: &'d Bound<'py, PyAny>,
) -> impl FnOnce(&mut Encoder<'_>) -> Result<(), Fault> + use<'d, 'py> {
    // SAFETY: a `Bound` proves that the GIL is held, and keeps the object alive.
    move |encoder| unsafe { encoder.document(document.as_ptr()) }
}

/// Decodes a whole document.
pub fn decode<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: `py` proves that the GIL is held.
    let document = decoding(py, |decoder| unsafe { decoder.document(bytes) })?;
    document.map(|document| bound(py, document)).map_err(|fault| crate::error::of_fault(py, fault))
}

/// A new object, as the rest of this crate holds it.
#[inline]
pub fn bound(py: Python<'_>, object: Owned) -> Bound<'_, PyAny> {
    // SAFETY: the reference is a new one and is handed over.
    unsafe { Bound::from_owned_ptr(py, object.into_raw()) }
}
