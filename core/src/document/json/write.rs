//! Values to Extended JSON text.
//!
//! [`Json`] knows the text; two short drivers walk a [`Value`] tree or raw bytes. The bytes may be
//! damaged, so that driver can fail, and both stop at the deepest level a document may have.

use std::fmt::{self, Write};
use std::io;

use super::super::msgpack::{Fault, TOO_DEEP};
use super::super::{Document, Id, RawArray, RawDocument, RawValue, Timestamp, Value, MAX_DOCUMENT_DEPTH};
use super::{base64, needs_escape};
use crate::error::{Error, Result};

/// Why writing stopped.
pub(crate) enum Stop {
    Out,
    Bytes(Fault),
}

impl From<fmt::Error> for Stop {
    fn from(_: fmt::Error) -> Stop {
        Stop::Out
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Bytes(fault)
    }
}

/// The text being written.
struct Json<'w, W> {
    out: &'w mut W,
    pretty: bool,
    level: u32,
}

impl<W: Write> Json<'_, W> {
    fn text(&mut self, text: &str) -> fmt::Result {
        self.out.write_char('"')?;
        let mut plain_from = 0;
        for (at, byte) in text.bytes().enumerate() {
            if byte >= 0x20 && byte != b'"' && byte != b'\\' {
                continue;
            }
            self.out.write_str(&text[plain_from..at])?;
            plain_from = at + 1;
            match byte {
                b'"' => self.out.write_str("\\\"")?,
                b'\\' => self.out.write_str("\\\\")?,
                b'\n' => self.out.write_str("\\n")?,
                b'\r' => self.out.write_str("\\r")?,
                b'\t' => self.out.write_str("\\t")?,
                _ => write!(self.out, "\\u{byte:04x}")?,
            }
        }
        self.out.write_str(&text[plain_from..])?;
        self.out.write_char('"')
    }

    /// Opens an array or map; false where the level is deeper than any document.
    fn open(&mut self, bracket: char) -> std::result::Result<bool, fmt::Error> {
        if self.level >= MAX_DOCUMENT_DEPTH {
            return Ok(false);
        }
        self.level += 1;
        self.out.write_char(bracket)?;
        Ok(true)
    }

    /// Goes to the next element or field.
    fn next(&mut self, first: bool) -> fmt::Result {
        if !first {
            self.out.write_char(',')?;
        }
        self.new_line()
    }

    fn close(&mut self, bracket: char, empty: bool) -> fmt::Result {
        self.level -= 1;
        if !empty {
            self.new_line()?;
        }
        self.out.write_char(bracket)
    }

    fn new_line(&mut self) -> fmt::Result {
        if self.pretty {
            write!(self.out, "\n{:1$}", "", 2 * self.level as usize)?;
        }
        Ok(())
    }

    fn name(&mut self, name: &str) -> fmt::Result {
        if needs_escape(name) {
            self.text(&format!("${name}"))?;
        } else {
            self.text(name)?;
        }
        self.out.write_str(if self.pretty { ": " } else { ":" })
    }

    fn float(&mut self, value: f64) -> fmt::Result {
        match value {
            _ if value.is_finite() => write!(self.out, "{value:?}"),
            _ if value.is_nan() => self.out.write_str(r#"{"$numberDouble":"NaN"}"#),
            _ if value > 0.0 => self.out.write_str(r#"{"$numberDouble":"Infinity"}"#),
            _ => self.out.write_str(r#"{"$numberDouble":"-Infinity"}"#),
        }
    }

    fn binary(&mut self, bytes: &[u8]) -> fmt::Result {
        self.out.write_str(r#"{"$binary":{"base64":""#)?;
        base64::encode(bytes, self.out)?;
        self.out.write_str(r#"","subType":"00"}}"#)
    }

    fn ext(&mut self, code: i8, bytes: &[u8]) -> fmt::Result {
        write!(self.out, r#"{{"$ext":{{"type":{code},"base64":""#)?;
        base64::encode(bytes, self.out)?;
        self.out.write_str(r#""}}"#)
    }

    fn timestamp(&mut self, timestamp: Timestamp) -> fmt::Result {
        if timestamp.has_text() {
            return write!(self.out, r#"{{"$date":"{timestamp}"}}"#);
        }
        match timestamp.millis() {
            Some(millis) if Timestamp::from_millis(millis) == timestamp => {
                write!(self.out, r#"{{"$date":{{"$numberLong":"{millis}"}}}}"#)
            }
            // Milliseconds would lose a part of it: the bytes of the extension say it exactly.
            _ => {
                let (payload, len) = timestamp.to_ext();
                self.ext(super::super::msgpack::TIMESTAMP_EXT, &payload[..len])
            }
        }
    }

    fn value(&mut self, value: &Value) -> fmt::Result {
        match value {
            Value::Null => self.out.write_str("null"),
            Value::Bool(value) => write!(self.out, "{value}"),
            Value::Int(value) => write!(self.out, "{value}"),
            Value::UInt(value) => write!(self.out, "{value}"),
            Value::Float(value) => self.float(*value),
            Value::String(value) => self.text(value),
            Value::Binary(value) => self.binary(value),
            Value::Array(elements) => self.array(elements),
            Value::Document(document) => self.document(document),
            Value::Timestamp(value) => self.timestamp(*value),
            Value::Ext(code, bytes) => self.ext(*code, bytes),
        }
    }

    fn array(&mut self, elements: &[Value]) -> fmt::Result {
        if !self.open('[')? {
            return self.text("...");
        }
        for (index, element) in elements.iter().enumerate() {
            self.next(index == 0)?;
            self.value(element)?;
        }
        self.close(']', elements.is_empty())
    }

    fn document(&mut self, document: &Document) -> fmt::Result {
        if !self.open('{')? {
            return self.text("...");
        }
        for (index, (name, value)) in document.iter().enumerate() {
            self.next(index == 0)?;
            self.name(name)?;
            self.value(value)?;
        }
        self.close('}', document.is_empty())
    }

    fn raw_value(&mut self, value: RawValue<'_>) -> std::result::Result<(), Stop> {
        match value {
            RawValue::Null => self.out.write_str("null")?,
            RawValue::Bool(value) => write!(self.out, "{value}")?,
            RawValue::Int(value) => write!(self.out, "{value}")?,
            RawValue::UInt(value) => write!(self.out, "{value}")?,
            RawValue::Float(value) => self.float(value)?,
            RawValue::String(value) => self.text(value)?,
            RawValue::Binary(value) => self.binary(value)?,
            RawValue::Array(array) => self.raw_array(array)?,
            RawValue::Document(document) => self.raw_document(document)?,
            RawValue::Timestamp(value) => self.timestamp(value)?,
            RawValue::Ext(code, bytes) => self.ext(code, bytes)?,
        }
        Ok(())
    }

    fn raw_array(&mut self, array: &RawArray) -> std::result::Result<(), Stop> {
        let mut elements = array.elements()?;
        if !self.open('[')? {
            return Err(Stop::Bytes(Fault { offset: 0, reason: TOO_DEEP }));
        }
        let mut empty = true;
        while let Some(element) = elements.try_next()? {
            self.next(empty)?;
            empty = false;
            self.raw_value(element)?;
        }
        Ok(self.close(']', empty)?)
    }

    fn raw_document(&mut self, document: &RawDocument) -> std::result::Result<(), Stop> {
        let mut fields = document.fields()?;
        if !self.open('{')? {
            return Err(Stop::Bytes(Fault { offset: 0, reason: TOO_DEEP }));
        }
        let mut empty = true;
        while let Some((name, value)) = fields.try_next()? {
            self.next(empty)?;
            empty = false;
            self.name(name)?;
            self.raw_value(value)?;
        }
        Ok(self.close('}', empty)?)
    }
}

/// Writes a document; arrays and maps deeper than a document can be stored are written as `"..."`.
pub(crate) fn write_document(document: &Document, pretty: bool, out: &mut impl Write) -> fmt::Result {
    Json { out, pretty, level: 0 }.document(document)
}

/// Writes a value, as [`write_document`] does.
pub(crate) fn write_value(value: &Value, out: &mut impl Write) -> fmt::Result {
    Json { out, pretty: false, level: 0 }.value(value)
}

/// Writes an id.
pub(crate) fn write_id(id: &Id, out: &mut impl Write) -> fmt::Result {
    let mut json = Json { out, pretty: false, level: 0 };
    match id {
        Id::Int(id) => write!(json.out, "{id}"),
        Id::UInt(id) => write!(json.out, "{id}"),
        Id::String(id) => json.text(id),
        Id::Bytes(id) => json.binary(id),
    }
}

/// Writes the document in `raw`.
pub(crate) fn write_raw(raw: &RawDocument, pretty: bool, out: &mut impl Write) -> std::result::Result<(), Stop> {
    Json { out, pretty, level: 0 }.raw_document(raw)
}

/// Writes the array in `raw`.
pub(crate) fn write_raw_array(raw: &RawArray, out: &mut impl Write) -> std::result::Result<(), Stop> {
    Json { out, pretty: false, level: 0 }.raw_array(raw)
}

/// The text of a document.
pub(crate) fn document_to_string(document: &Document, pretty: bool) -> String {
    let mut text = String::new();
    // A string takes all that is written to it.
    let _ = write_document(document, pretty, &mut text);
    text
}

/// The text of the document in `raw`.
pub(crate) fn raw_to_string(raw: &RawDocument, pretty: bool) -> Result<String> {
    let mut text = String::with_capacity(2 * raw.as_bytes().len());
    match write_raw(raw, pretty, &mut text) {
        Err(Stop::Bytes(fault)) => Err(Error::from(fault)),
        _ => Ok(text),
    }
}

/// Writes the document in `raw` to a stream, in pieces of some KB.
pub(crate) fn raw_to_writer(raw: &RawDocument, pretty: bool, stream: &mut dyn io::Write) -> Result<()> {
    let mut out = Stream { buffer: String::new(), stream, error: None };
    let mut result = write_raw(raw, pretty, &mut out);
    if result.is_ok() {
        result = out.flush().map_err(Stop::from);
    }
    match result {
        Ok(()) => Ok(()),
        Err(Stop::Bytes(fault)) => Err(Error::from(fault)),
        Err(Stop::Out) => Err(Error::io(
            "writing a document as JSON",
            out.error.unwrap_or_else(|| io::Error::other("the stream refused the text")),
        )),
    }
}

/// Gathers text for a stream and keeps its error.
struct Stream<'s> {
    buffer: String,
    stream: &'s mut dyn io::Write,
    error: Option<io::Error>,
}

impl Stream<'_> {
    fn flush(&mut self) -> fmt::Result {
        let written = self.stream.write_all(self.buffer.as_bytes());
        self.buffer.clear();
        written.map_err(|error| {
            self.error = Some(error);
            fmt::Error
        })
    }
}

impl Write for Stream<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.buffer.push_str(text);
        if self.buffer.len() < 8 * 1024 {
            return Ok(());
        }
        self.flush()
    }
}
