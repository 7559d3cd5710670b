//! Reports and figures as documents: each field under the name that it has in Rust, in every language.

use nyro::{Document, RawDocumentBuf, RepairReport, Result};
use serde::Serialize;

/// A report as a MessagePack map. Numbers are integers, times are in the unit that the field's name says.
pub fn to_msgpack(report: &impl Serialize) -> Result<Vec<u8>> {
    Ok(RawDocumentBuf::from_serialize(report)?.as_bytes().to_vec())
}

/// A report as a document.
pub fn to_document(report: &impl Serialize) -> Result<Document> {
    Document::from_msgpack(&to_msgpack(report)?)
}

/// The report of a repair, with the field `is_complete` in front.
pub fn of_repair(report: &RepairReport) -> Result<Document> {
    let mut out = Document::new();
    out.insert("is_complete", report.is_complete());
    for (name, value) in to_document(report)?.iter() {
        out.insert(name, value.clone());
    }
    Ok(out)
}

/// Reports of one kind, as a document with the one field `items`.
pub fn list(reports: &[impl Serialize]) -> Result<Document> {
    #[derive(Serialize)]
    struct List<'a, T> {
        items: &'a [T],
    }
    to_document(&List { items: reports })
}
