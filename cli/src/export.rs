//! `nyro export` and `nyro kv export`: all documents, or keys, as JSON, from one snapshot.
//!
//! To a file, the text goes into `FILE.part` first and gets its name when it is complete: an export that
//! was cut short can't be mistaken for a whole one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use nyro::{Database, Document};
use serde_json::json;

use crate::args::Export;
use crate::report::{count, Failure, Noun, Result, DOCUMENTS};

/// Runs the verb.
pub fn run(args: &Export, json: bool) -> Result<()> {
    let db = crate::open_to_look(&args.target.path)?;
    crate::require_collection(&db, &args.target.collection)?;
    export(args.output.as_deref(), args.array, DOCUMENTS, json, |out| documents(&db, args, out))?;
    Ok(db.close()?)
}

/// Hands all documents on.
fn documents(db: &Database, args: &Export, out: &mut Output<'_>) -> Result<()> {
    let snapshot = db.snapshot()?;
    let mut scan = snapshot.collection::<Document>(&args.target.collection)?.scan();
    while let Some(document) = scan.next_raw()? {
        out.item(&document.to_json()?)?;
    }
    Ok(())
}

/// Writes what `body` hands on to a file, or to standard output, and says so in the case of a file.
pub fn export(
    path: Option<&Path>,
    array: bool,
    noun: Noun,
    json: bool,
    body: impl FnOnce(&mut Output<'_>) -> Result<()>,
) -> Result<()> {
    match path {
        None => {
            let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
            Output { out: &mut out, path, array, items: 0 }.all(body).map(drop)
        }
        Some(path) => {
            let items = write_file(path, array, body)?;
            say_done(path, count(items, noun.0, noun.1), items, json)
        }
    }
}

fn say_done(path: &Path, counted: String, items: u64, json: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = match json {
        true => writeln!(out, "{}", json!({ "exported": items })),
        false => writeln!(out, "exported {counted} to {}", path.display()),
    };
    written.map_err(|e| Failure::write(None, e))
}

/// Writes to a file; a device or pipe of that name is written to directly.
fn write_file(path: &Path, array: bool, body: impl FnOnce(&mut Output<'_>) -> Result<()>) -> Result<u64> {
    let is_special = fs::metadata(path).is_ok_and(|m| !m.is_file());
    let part = if is_special { path.to_path_buf() } else { part_of(path) };
    let failed = |e| Failure::write(Some(path), e);
    let mut out = BufWriter::with_capacity(1 << 16, File::create(&part).map_err(failed)?);
    let items = Output { out: &mut out, path: Some(path), array, items: 0 }.all(body)?;
    if !is_special {
        let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
        file.sync_all().map_err(failed)?;
        fs::rename(&part, path).map_err(failed)?;
    }
    Ok(items)
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// Where texts of JSON go: one a line, or as one array.
pub struct Output<'a> {
    out: &'a mut dyn Write,
    path: Option<&'a Path>,
    array: bool,
    items: u64,
}

impl Output<'_> {
    /// Writes all and flushes; gives their number.
    fn all(mut self, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<u64> {
        self.text(if self.array { "[" } else { "" })?;
        body(&mut self)?;
        self.text(if self.array { "\n]\n" } else { "" })?;
        self.out.flush().map_err(|e| Failure::write(self.path, e))?;
        Ok(self.items)
    }

    /// Writes one.
    pub fn item(&mut self, text: &str) -> Result<()> {
        let before = match (self.array, self.items) {
            (false, _) => "",
            (true, 0) => "\n",
            (true, _) => ",\n",
        };
        self.text(before)?;
        self.text(text)?;
        self.text(if self.array { "" } else { "\n" })?;
        self.items += 1;
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<()> {
        self.out.write_all(text.as_bytes()).map_err(|e| Failure::write(self.path, e))
    }
}
