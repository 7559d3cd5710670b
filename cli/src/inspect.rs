//! `nyro collections`, `stats` and `verify`: what is in the file, and whether it is sound.

use std::io::{self, Write};

use nyro::{Document, ErrorKind};
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

/// Runs `nyro stats`. What only counts since the file was opened says nothing here and is left out.
pub fn stats(args: &Look, json: bool) -> Result<()> {
    let db = crate::open_to_look(&args.path)?;
    let stats = db.stats()?;
    let collections = db.collection_names()?;
    let mut documents = 0;
    for name in &collections {
        documents += db.collection::<Document>(name).count_documents()?;
    }
    db.close()?;
    let (file, used, log) = (stats.file_bytes, stats.used_bytes, stats.log_bytes);
    if json {
        let object = json!({
            "collections": collections.len(), "documents": documents, "file_bytes": file, "used_bytes": used,
            "log_bytes": log, "commit": stats.commit, "checkpoint": stats.checkpoint,
            "replayed_commits": stats.replayed_commits,
        });
        return print(&format!("{object}\n"));
    }
    let rows = [
        ("collections", grouped(collections.len() as u64)),
        ("documents", grouped(documents)),
        ("file", size(file)),
        ("in use", size(used)),
        ("log", size(log)),
        ("last commit", grouped(stats.commit)),
        ("checkpoint", grouped(stats.checkpoint)),
        ("replayed", count(stats.replayed_commits, "commit", "commits")),
    ];
    print(&rows.iter().map(|(name, value)| format!("{name:<12} {value:>14}\n")).collect::<String>())
}

/// Runs `nyro verify`.
pub fn verify(args: &Look, json: bool) -> Result<()> {
    let db = crate::open_to_look(&args.path)?;
    let report = db.verify().map_err(|e| match e.kind() {
        // A document that makes no sense though its page has the right checksum.
        ErrorKind::Internal => Failure::Damaged(e),
        _ => e.into(),
    })?;
    db.close()?;
    if json {
        return print(&format!(
            "{}\n",
            json!({
                "documents": report.documents, "collections": report.collections, "commit": report.commit,
                "file_pages": report.file_pages, "used_pages": report.used_pages,
                "blocks": report.blocks, "extents": report.extents,
            })
        ));
    }
    let documents = count(report.documents, "document", "documents");
    let collections = count(report.collections, "collection", "collections");
    let (used, all) = (grouped(report.used_pages), count(report.file_pages, "page", "pages"));
    print(&format!("sound: {documents} in {collections}; {used} of {all} in use\n"))
}
