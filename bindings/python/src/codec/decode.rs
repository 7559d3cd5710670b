//! MessagePack to Python objects.
//!
//! ```text
//!   82 | a4 name | a3 Ada | a3 age | 24
//!        compared  str      compared int      values on a stack, then the shape's template is copied and filled:
//!                                             {"name": None, "age": None} -> {"name": "Ada", "age": 36}
//! ```
//!
//! Bytes are checked as they are read, whoever wrote them. No code of the user's runs while a document is read: all
//! objects are of exact built-in types, but for [`Ext`](super::types::Ext) and `datetime`, and the caller pauses the
//! garbage collector.

use super::fault::Fault;
use super::reader::Reader;
use super::shapes::{self, Node, Shapes};
use super::strings::Strings;
use super::types::{self, Owned, Types};
use pyo3::ffi;
use pyo3::ffi::PyObject;

/// Levels that a document may have; itself is the first.
const MAX_DEPTH: u32 = nyro::MAX_DOCUMENT_DEPTH as u32;

/// What decoding remembers from document to document.
pub struct Memory {
    shapes: Shapes,
    strings: Strings,
    /// Values of the maps that are being read; each is a reference of its own.
    stack: Vec<*mut PyObject>,
}

impl Memory {
    /// Remembers nothing yet.
    pub fn new() -> Memory {
        Memory { shapes: Shapes::new(), strings: Strings::new(), stack: Vec::with_capacity(64) }
    }
}

/// Reads documents.
pub struct Decoder<'m> {
    memory: &'m mut Memory,
    types: &'m Types,
}

impl<'m> Decoder<'m> {
    /// A decoder that uses and adds to `memory`.
    pub fn new(memory: &'m mut Memory, types: &'m Types) -> Decoder<'m> {
        Decoder { memory, types }
    }

    /// A new `dict` from the bytes of a document.
    ///
    /// # Safety
    /// The GIL is held.
    #[inline]
    pub unsafe fn document(&mut self, bytes: &[u8]) -> Result<Owned, Fault> {
        let mut reader = Reader::new(bytes);
        let height = self.memory.stack.len();
        let fields = match reader.byte()? {
            head @ 0x80..=0x8f => usize::from(head & 0x0f),
            0xde => usize::from(u16::from_be_bytes(reader.array()?)),
            0xdf => u32::from_be_bytes(reader.array()?) as usize,
            _ => return Err(Fault::malformed(0, "the document is not a map")),
        };
        // SAFETY: as this function requires; no document is being read.
        unsafe { self.memory.shapes.refresh() };
        let root = self.memory.shapes.root();
        // SAFETY: as this function requires.
        let document = unsafe { self.map(&mut reader, fields, root, 1) };
        if document.is_err() {
            // SAFETY: values on the stack are references of ours; nobody else looks at them any more.
            self.memory.stack.drain(height..).for_each(|value| unsafe { ffi::Py_DECREF(value) });
        }
        let document = document?;
        if reader.left() > 0 {
            return Err(Fault::malformed(reader.at(), "there are bytes after the document"));
        }
        Ok(document)
    }

    /// # Safety
    /// The GIL is held. After an error, values may be left on the stack.
    unsafe fn map(&mut self, reader: &mut Reader<'_>, fields: usize, root: Node, depth: u32) -> Result<Owned, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::too_deep());
        }
        // A field has two bytes at least.
        if fields > reader.left() / 2 {
            return Err(Fault::malformed(reader.at(), "a map is longer than the document"));
        }
        let height = self.memory.stack.len();
        let mut node = root;
        for read in 0..fields {
            let before = reader.at();
            let next = match self.memory.shapes.likely(node) {
                Some((likely, bytes)) if reader.goes_on_with(bytes) => likely,
                // SAFETY: as this function requires.
                _ => unsafe { self.name(reader, node) }?,
            };
            if next == shapes::NONE {
                // SAFETY: as this function requires. The name is read again.
                return unsafe { self.rest_of_map(reader, before, (fields, read), node, depth) };
            }
            node = next;
            // SAFETY: as this function requires.
            let value = unsafe { self.value(reader, node, depth) }?;
            self.memory.stack.push(value.into_raw());
        }
        // SAFETY: as this function requires. The stack holds one value for each name down to `node`.
        unsafe {
            let Some(template) = self.memory.shapes.template(node) else {
                let dict = Owned::new(ffi::PyDict_New())?;
                self.fill(&dict, height, node)?;
                return Ok(dict);
            };
            let dict = Owned::new(ffi::PyDict_Copy(template.dict))?;
            let values = &self.memory.stack[height..];
            for (&name, &value) in template.names.iter().zip(values) {
                if ffi::PyDict_SetItem(dict.get(), name, value) != 0 {
                    return Err(types::raised());
                }
            }
            for &value in values {
                ffi::Py_DECREF(value);
            }
            self.memory.stack.truncate(height);
            Ok(dict)
        }
    }

    /// Puts the values above `height` into a dict, under the names down to `node`.
    ///
    /// # Safety
    /// The GIL is held.
    #[cold]
    unsafe fn fill(&mut self, dict: &Owned, height: usize, node: Node) -> Result<(), Fault> {
        let mut names = Vec::new();
        let mut at = node;
        for _ in height..self.memory.stack.len() {
            names.push(self.memory.shapes.name(at));
            at = self.memory.shapes.parent(at);
        }
        for (&name, value) in names.iter().rev().zip(self.memory.stack.drain(height..)) {
            // SAFETY: as this function requires; a value taken off the stack is a reference of ours.
            let failed = unsafe {
                let failed = ffi::PyDict_SetItem(dict.get(), name, value) != 0;
                ffi::Py_DECREF(value);
                failed
            };
            if failed {
                // SAFETY: as above. What the drain still held is leaked: there is no memory for a dict's entry.
                return Err(unsafe { types::raised() });
            }
        }
        Ok(())
    }

    /// A field name that was not the likely one.
    ///
    /// # Safety
    /// The GIL is held.
    #[cold]
    unsafe fn name(&mut self, reader: &mut Reader<'_>, node: Node) -> Result<Node, Fault> {
        let (start, whole) = (reader.at(), reader.rest());
        let len = reader.text_head()?;
        let head = reader.at() - start;
        reader.take(len)?;
        // SAFETY: as this function requires.
        Ok(unsafe { self.memory.shapes.child(node, &whole[..head + len], head) })
    }

    /// The rest of a map that leaves the known shapes after `read` of its fields.
    ///
    /// # Safety
    /// The GIL is held.
    #[cold]
    unsafe fn rest_of_map(
        &mut self,
        reader: &mut Reader<'_>,
        from: usize,
        (fields, read): (usize, usize),
        node: Node,
        depth: u32,
    ) -> Result<Owned, Fault> {
        reader.back_to(from);
        let height = self.memory.stack.len() - read;
        // SAFETY: as this function requires.
        unsafe {
            let dict = Owned::new(ffi::PyDict_New())?;
            self.fill(&dict, height, node)?;
            for _ in read..fields {
                let len = reader.text_head()?;
                let name = Owned::new(self.memory.strings.get(reader.take(len)?))
                    .map_err(|_| Fault::malformed(reader.at() - len, "a field name is not UTF-8"))?;
                let value = self.value(reader, shapes::NONE, depth)?;
                if ffi::PyDict_SetItem(dict.get(), name.get(), value.get()) != 0 {
                    return Err(types::raised());
                }
            }
            Ok(dict)
        }
    }

    /// The next value, that of the field `node` or inside of it.
    ///
    /// # Safety
    /// The GIL is held.
    #[inline]
    unsafe fn value(&mut self, reader: &mut Reader<'_>, node: Node, depth: u32) -> Result<Owned, Fault> {
        // SAFETY: as this function requires.
        unsafe {
            let head = reader.byte()?;
            let object = match head {
                0xa0..=0xbf => return self.text(reader, usize::from(head & 0x1f)),
                0x00..=0x7f => ffi::PyLong_FromLong(head.into()),
                0xe0..=0xff => ffi::PyLong_FromLong((head as i8).into()),
                0xcb => ffi::PyFloat_FromDouble(f64::from_be_bytes(reader.array()?)),
                0xc0 => types::none(),
                0xc2 => types::boolean(false),
                0xc3 => types::boolean(true),
                0xcc => ffi::PyLong_FromLong(reader.byte()?.into()),
                0xcd => ffi::PyLong_FromLong(u16::from_be_bytes(reader.array()?).into()),
                0xce => ffi::PyLong_FromLongLong(u32::from_be_bytes(reader.array()?).into()),
                0x90..=0x9f => return self.array(reader, usize::from(head & 0x0f), node, depth + 1),
                0x80..=0x8f => {
                    let root = self.memory.shapes.inside(node);
                    return self.map(reader, usize::from(head & 0x0f), root, depth + 1);
                }
                _ => return self.wide_value(reader, head, node, depth),
            };
            Owned::new(object)
        }
    }

    /// A value whose head is followed by a length, and the rare numbers.
    ///
    /// # Safety
    /// The GIL is held.
    #[inline(never)]
    unsafe fn wide_value(&mut self, reader: &mut Reader<'_>, head: u8, node: Node, depth: u32) -> Result<Owned, Fault> {
        // SAFETY: as this function requires.
        unsafe {
            match head {
                0xd9 => {
                    let len = reader.byte()?.into();
                    self.text(reader, len)
                }
                0xda => {
                    let len = u16::from_be_bytes(reader.array()?).into();
                    self.text(reader, len)
                }
                0xdb => {
                    let len = u32::from_be_bytes(reader.array()?) as usize;
                    self.text(reader, len)
                }
                0xc4 => {
                    let len = reader.byte()?.into();
                    types::new_bytes(reader.take(len)?)
                }
                0xc5 => {
                    let len = u16::from_be_bytes(reader.array()?).into();
                    types::new_bytes(reader.take(len)?)
                }
                0xc6 => {
                    let len = u32::from_be_bytes(reader.array()?) as usize;
                    types::new_bytes(reader.take(len)?)
                }
                0xcf => Owned::new(ffi::PyLong_FromUnsignedLongLong(u64::from_be_bytes(reader.array()?))),
                0xd0 => Owned::new(ffi::PyLong_FromLong((reader.byte()? as i8).into())),
                0xd1 => Owned::new(ffi::PyLong_FromLong(i16::from_be_bytes(reader.array()?).into())),
                0xd2 => Owned::new(ffi::PyLong_FromLong(i32::from_be_bytes(reader.array()?).into())),
                0xd3 => Owned::new(ffi::PyLong_FromLongLong(i64::from_be_bytes(reader.array()?))),
                0xca => Owned::new(ffi::PyFloat_FromDouble(f32::from_be_bytes(reader.array()?).into())),
                0xdc => {
                    let len = u16::from_be_bytes(reader.array()?).into();
                    self.array(reader, len, node, depth + 1)
                }
                0xdd => {
                    let len = u32::from_be_bytes(reader.array()?) as usize;
                    self.array(reader, len, node, depth + 1)
                }
                0xde | 0xdf => {
                    let fields = match head {
                        0xde => u16::from_be_bytes(reader.array()?).into(),
                        _ => u32::from_be_bytes(reader.array()?) as usize,
                    };
                    let root = self.memory.shapes.inside(node);
                    self.map(reader, fields, root, depth + 1)
                }
                0xd4 => self.ext(reader, 1),
                0xd5 => self.ext(reader, 2),
                0xd6 => self.ext(reader, 4),
                0xd7 => self.ext(reader, 8),
                0xd8 => self.ext(reader, 16),
                0xc7 => {
                    let len = reader.byte()?.into();
                    self.ext(reader, len)
                }
                0xc8 => {
                    let len = u16::from_be_bytes(reader.array()?).into();
                    self.ext(reader, len)
                }
                0xc9 => {
                    let len = u32::from_be_bytes(reader.array()?) as usize;
                    self.ext(reader, len)
                }
                _ => Err(Fault::malformed(reader.at() - 1, "a byte that begins no value")),
            }
        }
    }

    /// # Safety
    /// The GIL is held.
    #[inline]
    unsafe fn text(&mut self, reader: &mut Reader<'_>, len: usize) -> Result<Owned, Fault> {
        let bytes = reader.take(len)?;
        // SAFETY: as this function requires.
        let text = unsafe { self.memory.strings.get(bytes) };
        if text.is_null() {
            // SAFETY: as above.
            unsafe { ffi::PyErr_Clear() };
            return Err(Fault::malformed(reader.at() - len, "a string is not UTF-8"));
        }
        // SAFETY: it is a new reference.
        Ok(unsafe { Owned::from_new(text) })
    }

    /// # Safety
    /// The GIL is held.
    unsafe fn array(&mut self, reader: &mut Reader<'_>, len: usize, node: Node, depth: u32) -> Result<Owned, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::too_deep());
        }
        if len > reader.left() {
            return Err(Fault::malformed(reader.at(), "an array is longer than the document"));
        }
        // SAFETY: as this function requires. A list with empty places is seen by nobody: the garbage collector is
        // paused, and after an error it is freed, which its empty places allow.
        unsafe {
            let list = Owned::new(ffi::PyList_New(len as ffi::Py_ssize_t))?;
            for i in 0..len {
                let element = self.value(reader, node, depth)?;
                // The list takes the reference over, and the index is in range.
                ffi::PyList_SetItem(list.get(), i as ffi::Py_ssize_t, element.into_raw());
            }
            Ok(list)
        }
    }

    /// # Safety
    /// The GIL is held.
    unsafe fn ext(&mut self, reader: &mut Reader<'_>, len: usize) -> Result<Owned, Fault> {
        let code = reader.byte()? as i8;
        let data = reader.take(len)?;
        // SAFETY: as this function requires.
        unsafe { self.types.new_ext(code, data) }
    }
}
