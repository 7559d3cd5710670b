//! `nyro collections`, `stats` and `verify`: what is in the file, and whether it is sound.

use std::time::Duration;

use nyro::{Document, ErrorKind};
use serde_json::json;

use crate::args::{Look, Stats};
use crate::progress::Bar;
use crate::report::{count, grouped, print, Failure, Result};
use crate::watch::{self, Figures};

/// Runs `nyro collections`.
pub fn collections(args: &Look, json: bool) -> Result<()> {
    let db = crate::open_to_look(&args.path)?;
    let mut found = Vec::new();
    for name in db.collection_names()? {
        let documents = db.collection::<Document>(&name).count_documents()?;
        found.push((name, documents));
    }
    let mut keyspaces = Vec::new();
    for name in db.keyspace_names()? {
        let keys = db.keyspace(&name).estimated_len()?;
        keyspaces.push((name, keys));
    }
    db.close()?;
    if json {
        let documents = found.iter().map(|(name, n)| json!({ "name": name, "documents": n }));
        let keys = keyspaces.iter().map(|(name, n)| json!({ "name": name, "keys_about": n }));
        return print(&format!("{}\n", json!(documents.chain(keys).collect::<Vec<_>>())));
    }
    let width = found.iter().chain(&keyspaces).map(|(_, n)| grouped(*n).len()).max().unwrap_or(0);
    let line = |(name, n): &(String, u64), what| format!("{:>width$}  {name}{what}\n", grouped(*n));
    let documents = found.iter().map(|found| line(found, ""));
    let keys = keyspaces.iter().map(|found| line(found, "  (keyspace; keys, about)"));
    print(&documents.chain(keys).collect::<String>())
}

/// Runs `nyro stats`.
pub fn stats(args: &Stats, json: bool) -> Result<()> {
    if let Some(interval) = args.watch {
        return watch::run(args, Duration::from_secs_f64(interval.0), json);
    }
    let figures = Figures::of(&args.path)?;
    print(&if json { format!("{}\n", figures.to_json()) } else { figures.table(|_| String::new()) })
}

/// Runs `nyro verify`.
pub fn verify(args: &Look, json: bool) -> Result<()> {
    let db = crate::open_to_look(&args.path)?;
    let mut bar = Bar::new(json);
    let done = db.verify_with(bar.control());
    drop(bar);
    let report = done.map_err(|e| match e.kind() {
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
