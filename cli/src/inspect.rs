//! `nyro collections`, `stats` and `verify`: what is in the file, and whether it is sound.

use std::io::{self, Write};

use nyro::Document;
use serde_json::json;

use crate::args::Look;
use crate::report::{count, grouped, size, Failure, Result};

fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Failure::write(None, e))
}

/// Runs `nyro collections`.
pub fn collections(args: &Look, json: bool) -> Result<()> {
    let db = crate::open_to_look(&args.path)?;
    let mut found = Vec::new();
    for name in db.collection_names()? {
        let documents = db.collection::<Document>(&name).count_documents()?;
        found.push((name, documents));
    }
    db.close()?;
    if json {
        let list: Vec<_> = found.iter().map(|(name, n)| json!({ "name": name, "documents": n })).collect();
        return print(&format!("{}\n", json!(list)));
    }
    let width = found.iter().map(|(_, n)| grouped(*n).len()).max().unwrap_or(0);
    let lines: String = found.iter().map(|(name, n)| format!("{:>width$}  {name}\n", grouped(*n))).collect();
    print(&lines)
}

/// Runs `nyro stats`.
pub fn stats(args: &Look, json: bool) -> Result<()> {
    let db = crate::open_to_look(&args.path)?;
    let stats = db.stats();
    db.close()?;
    match json {
        true => print(&format!("{}\n", json!({ "file_bytes": stats.file_bytes }))),
        false => print(&format!("file  {}\n", size(stats.file_bytes))),
    }
}

/// Runs `nyro verify`.
pub fn verify(args: &Look, json: bool) -> Result<()> {
    let db = crate::open_to_look(&args.path)?;
    let report = db.verify()?;
    db.close()?;
    match json {
        true => print(&format!("{}\n", json!({ "documents": report.documents }))),
        false => print(&format!("ok: {}\n", count(report.documents, "document", "documents"))),
    }
}
