//! `nyro get`, `put`, `delete` and `scan`: documents one by one.

use std::io::{self, BufWriter, Read, Write};

use nyro::{Document, Error, Id};
use serde_json::json;

use crate::args::{Delete, Get, Put, Scan};
use crate::report::{Failure, Result};

/// Standard output, buffered, with failures in our terms.
pub struct Out(BufWriter<io::StdoutLock<'static>>);

impl Out {
    /// Of standard output.
    pub fn new() -> Self {
        Out(BufWriter::with_capacity(1 << 16, io::stdout().lock()))
    }

    /// Writes bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).map_err(|e| Failure::write(None, e))
    }

    /// Writes a text.
    pub fn text(&mut self, text: &str) -> Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Writes a line.
    pub fn line(&mut self, text: &str) -> Result<()> {
        self.text(text)?;
        self.text("\n")
    }

    /// Hands all on.
    pub fn flush(&mut self) -> Result<()> {
        self.0.flush().map_err(|e| Failure::write(None, e))
    }
}

/// An id from the command line: read as JSON, and as a string if it is none.
fn parse_id(text: &str) -> Result<Id> {
    if serde_json::from_str::<serde_json::Value>(text).is_err() {
        return Ok(Id::from(text));
    }
    // `true` and `1.5` are JSON and no ids: an error says so, where a string would just not be found.
    let not_an_id = || Error::InvalidId(format!("{text} can't be one; for the string {text}, write '\"{text}\"'"));
    Ok(Document::from_json(&format!("{{\"_id\":{text}}}"))?.id().ok_or_else(not_an_id)?)
}

fn parse_ids(texts: &[String]) -> Result<Vec<Id>> {
    texts.iter().map(|text| parse_id(text)).collect()
}

fn missing(collection: &str, ids: Vec<String>) -> Result<()> {
    match ids.is_empty() {
        true => Ok(()),
        false => Err(Failure::NoDocument { collection: collection.to_owned(), ids }),
    }
}

/// Runs `nyro get`: prints what is there, then complains about what is not.
pub fn get(args: &Get) -> Result<()> {
    let target = &args.by_ids.target;
    let ids = parse_ids(&args.by_ids.ids)?;
    let db = crate::open_to_look(&target.path)?;
    let collection = db.collection::<Document>(&target.collection);
    let mut out = Out::new();
    let mut not_found = Vec::new();
    for id in ids {
        match collection.get(&id)? {
            Some(document) if args.pretty => out.line(&document.to_json_pretty())?,
            Some(document) => out.line(&document.to_json())?,
            None => not_found.push(id.to_string()),
        }
    }
    out.flush()?;
    db.close()?;
    missing(&target.collection, not_found)
}

/// Runs `nyro put`.
pub fn put(args: &Put, json: bool) -> Result<()> {
    let text = match args.document.as_deref() {
        Some(text) if text != "-" => text.to_owned(),
        _ => read_stdin()?,
    };
    let document = Document::from_json(text.trim())?;
    let db = crate::open_to_write(&args.target.path, true, args.writing.durability.0)?;
    let id = db.collection::<Document>(&args.target.collection).put(&document)?.to_string();
    db.close()?;
    let mut out = Out::new();
    out.line(&if json { format!("{{\"_id\":{id}}}") } else { id })?;
    out.flush()
}

fn read_stdin() -> Result<String> {
    let limit = crate::source::MAX_TEXT_BYTES as u64;
    let mut text = String::new();
    io::stdin().lock().take(limit + 1).read_to_string(&mut text).map_err(|e| Failure::read(None, e))?;
    if text.len() as u64 > limit {
        return Err(Error::DocumentTooLarge { bytes: text.len() as u64, limit }.into());
    }
    Ok(text)
}

/// Runs `nyro delete`: all in one transaction.
pub fn delete(args: &Delete, json: bool) -> Result<()> {
    let target = &args.by_ids.target;
    let ids = parse_ids(&args.by_ids.ids)?;
    let db = crate::open_to_write(&target.path, false, args.writing.durability.0)?;
    let (deleted, not_found) = db.write(|tx| {
        let collection = tx.collection::<Document>(&target.collection);
        let (mut deleted, mut not_found) = (0u64, Vec::new());
        for id in &ids {
            match collection.delete(id)? {
                true => deleted += 1,
                false => not_found.push(id.to_string()),
            }
        }
        Ok((deleted, not_found))
    })?;
    db.close()?;
    if json {
        let mut out = Out::new();
        out.line(&json!({ "deleted": deleted }).to_string())?;
        out.flush()?;
    }
    missing(&target.collection, not_found)
}

/// Runs `nyro scan`.
pub fn scan(args: &Scan, json: bool) -> Result<()> {
    let db = crate::open_to_look(&args.target.path)?;
    crate::require_collection(&db, &args.target.collection)?;
    let collection = db.collection::<Document>(&args.target.collection);
    let mut scan = match args.after {
        Some(token) => collection.scan_after(token)?,
        None => collection.scan()?,
    };
    let mut out = Out::new();
    let limit = args.limit.unwrap_or(u64::MAX);
    let mut printed = 0;
    out.text(if json { "{\"documents\":[" } else { "" })?;
    while printed < limit {
        let Some(document) = scan.next_raw()? else { break };
        out.text(match (json, printed) {
            (false, _) => "",
            (true, 0) => "\n",
            (true, _) => ",\n",
        })?;
        out.text(&document.to_json()?)?;
        out.text(if json { "" } else { "\n" })?;
        printed += 1;
    }
    // The token stands behind the last document printed; then look whether another one follows.
    let token = scan.token();
    let more = printed == limit && scan.next_raw()?.is_some();
    if json {
        let next = if more { token.to_string() } else { "null".to_owned() };
        out.line(&format!("\n],\"next\":{next}}}"))?;
    }
    out.flush()?;
    if more && !json {
        let _ = writeln!(io::stderr(), "more follow; go on with --after {token}");
    }
    Ok(db.close()?)
}
