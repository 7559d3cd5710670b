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
