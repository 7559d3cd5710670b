//! `nyro export`: all documents of a collection as JSON, from one snapshot.
//!
//! To a file, the text goes into `FILE.part` first and gets its name when it is complete: an export that
//! was cut short can't be mistaken for a whole one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use nyro::{Database, Document};
use serde_json::json;

use crate::args::Export;
use crate::report::{count, Failure, Result};

/// Runs the verb.
pub fn run(args: &Export, json: bool) -> Result<()> {
    let db = crate::open_to_look(&args.target.path)?;
    crate::require_collection(&db, &args.target.collection)?;
    match &args.output {
        None => {
            let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
            write_documents(&db, args, &mut out)?;
        }
        Some(path) => {
            let documents = write_file(&db, args, path)?;
            say_done(path, documents, json)?;
        }
    }
    Ok(db.close()?)
}

fn say_done(path: &Path, documents: u64, json: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = match json {
        true => writeln!(out, "{}", json!({ "exported": documents })),
        false => writeln!(out, "exported {} to {}", count(documents, "document", "documents"), path.display()),
    };
    written.map_err(|e| Failure::write(None, e))
}

/// Writes to a file; a device or pipe of that name is written to directly.
fn write_file(db: &Database, args: &Export, path: &Path) -> Result<u64> {
    let is_special = fs::metadata(path).is_ok_and(|m| !m.is_file());
    let part = if is_special { path.to_path_buf() } else { part_of(path) };
    let failed = |e| Failure::write(Some(path), e);
    let mut out = BufWriter::with_capacity(1 << 16, File::create(&part).map_err(failed)?);
    let documents = write_documents(db, args, &mut out)?;
    if !is_special {
        let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
        file.sync_all().map_err(failed)?;
        fs::rename(&part, path).map_err(failed)?;
    }
    Ok(documents)
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// Writes all documents and flushes.
fn write_documents(db: &Database, args: &Export, out: &mut impl Write) -> Result<u64> {
    let failed = |e| Failure::write(args.output.as_deref(), e);
    let snapshot = db.snapshot()?;
    let mut documents = 0;
    out.write_all(if args.array { b"[" } else { b"" }).map_err(failed)?;
    let mut scan = snapshot.collection::<Document>(&args.target.collection)?.scan();
    while let Some(document) = scan.next_raw()? {
        let text = document.to_json()?;
        let before: &[u8] = match (args.array, documents) {
            (false, _) => b"",
            (true, 0) => b"\n",
            (true, _) => b",\n",
        };
        out.write_all(before).map_err(failed)?;
        out.write_all(text.as_bytes()).map_err(failed)?;
        out.write_all(if args.array { b"" } else { b"\n" }).map_err(failed)?;
        documents += 1;
    }
    out.write_all(if args.array { b"\n]\n" } else { b"" }).map_err(failed)?;
    out.flush().map_err(failed)?;
    Ok(documents)
}
