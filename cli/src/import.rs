//! `nyro import`: JSON in, documents out, in batches of one transaction each.
//!
//! ```text
//!   input -> source (cuts) -> Document::from_json -> batch of 1 000 -> one commit
//! ```
//!
//! A bad document ends the import *after* what precedes it is committed, so that the message can say
//! exactly what is in the file: everything before that line, nothing from it on.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use nyro::{Database, Document, Error, ErrorKind};
use serde_json::json;

use crate::args::Import;
use crate::report::{count, Failure, Result};
use crate::source::{Source, SourceError};

/// Documents in a batch.
const BATCH_DOCUMENTS: usize = 1000;
/// A batch ends early when its texts have this many bytes: half the limit of a transaction.
const BATCH_BYTES: usize = 32 << 20;
/// How many bad documents are shown, with `--skip-bad`; the rest are counted.
const BAD_SHOWN: u64 = 10;

/// Runs the verb.
pub fn run(args: &Import, json: bool) -> Result<()> {
    let start = Instant::now();
    let file = args.file.as_ref().filter(|f| f.as_os_str() != "-");
    let (reader, total_bytes) = open_input(file)?;
    let db = crate::open_to_write(&args.target.path, true, args.writing.durability.0)?;
    let mut importer = Importer {
        db: &db,
        args,
        input: file.map_or("standard input".to_owned(), |f| f.display().to_string()),
        batch: Vec::new(),
        batch_bytes: 0,
        imported: 0,
        skipped: 0,
        progress: progress_bar(total_bytes, json),
    };
    let done = importer.all(Source::new(reader));
    importer.progress.finish_and_clear();
    let (imported, skipped) = (importer.imported, importer.skipped);
    done?;
    db.close()?;
    say_done(args, json, imported, skipped, start.elapsed())
}

/// The input, and its size where that is known.
fn open_input(file: Option<&PathBuf>) -> Result<(Box<dyn BufRead>, Option<u64>)> {
    let Some(path) = file else { return Ok((Box::new(io::stdin().lock()), None)) };
    let input = File::open(path).map_err(|e| Failure::read(Some(path), e))?;
    let meta = input.metadata().map_err(|e| Failure::read(Some(path), e))?;
    let total_bytes = meta.is_file().then_some(meta.len());
    Ok((Box::new(BufReader::with_capacity(1 << 20, input)), total_bytes))
}

/// A bar on standard error if that is a terminal, else nothing.
fn progress_bar(total_bytes: Option<u64>, json: bool) -> ProgressBar {
    if json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match total_bytes {
        Some(total) => (ProgressBar::new(total), "{bar:20} {percent:>3} %  {bytes}/{total_bytes}  {msg}  {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes}  {msg}  {elapsed}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

fn say_done(args: &Import, json: bool, imported: u64, skipped: u64, took: Duration) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = if json {
        let line = json!({ "imported": imported, "skipped": skipped, "elapsed_ms": took.as_millis() as u64 });
        writeln!(out, "{line}")
    } else {
        let documents = count(imported, "document", "documents");
        let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        let (collection, seconds) = (&args.target.collection, took.as_secs_f64());
        writeln!(out, "imported {documents} into {collection}{skipped} ({seconds:.2} s)")
    };
    written.map_err(|e| Failure::write(None, e))
}

struct Importer<'a> {
    db: &'a Database,
    args: &'a Import,
    input: String,
    /// Documents that wait for their commit, with their lines.
    batch: Vec<(u64, Document)>,
    batch_bytes: usize,
    imported: u64,
    skipped: u64,
    progress: ProgressBar,
}

impl Importer<'_> {
    fn all(&mut self, mut source: Source<impl BufRead>) -> Result<()> {
        loop {
            let item = match source.next_item() {
                Ok(Some(item)) => item,
                Ok(None) => return self.commit(),
                Err(stop) => {
                    self.commit()?;
                    return Err(self.source_failed(stop));
                }
            };
            match item.text.and_then(|text| parse(&text)) {
                Ok((document, bytes)) => self.add(item.line, document, bytes)?,
                Err(reason) => {
                    if !self.args.skip_bad {
                        self.commit()?;
                    }
                    self.bad(item.line, reason)?;
                }
            }
            self.progress.set_position(source.bytes_read());
        }
    }

    fn add(&mut self, line: u64, document: Document, bytes: usize) -> Result<()> {
        self.batch.push((line, document));
        self.batch_bytes += bytes;
        if self.batch.len() >= BATCH_DOCUMENTS || self.batch_bytes >= BATCH_BYTES {
            self.commit()?;
        }
        Ok(())
    }

    /// Commits the batch, up to the first bad document or, with `--skip-bad`, all but the bad ones.
    fn commit(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let Some((first_line, _)) = batch.first() else { return Ok(()) };
        let (written, bad) = write_batch(self.db, self.args, &batch).map_err(|error| Failure::ImportStopped {
            line: *first_line,
            imported: self.imported,
            error,
        })?;
        self.imported += written;
        self.progress.set_message(count(self.imported, "document", "documents"));
        bad.into_iter().try_for_each(|(line, error)| self.bad(line, error.to_string()))
    }

    /// A bad document: an error, or one more that is skipped.
    fn bad(&mut self, line: u64, reason: String) -> Result<()> {
        if !self.args.skip_bad {
            return Err(Failure::BadInput { input: self.input.clone(), line, reason, imported: self.imported });
        }
        self.skipped += 1;
        if self.skipped <= BAD_SHOWN {
            let input = &self.input;
            self.progress.suspend(|| {
                let _ = writeln!(io::stderr(), "skipped {input}, line {line}: {reason}");
            });
        } else if self.skipped == BAD_SHOWN + 1 {
            self.progress.suspend(|| {
                let _ = writeln!(io::stderr(), "more are skipped without a word");
            });
        }
        Ok(())
    }

    fn source_failed(&self, stop: SourceError) -> Failure {
        match stop {
            SourceError::Io(error) => Failure::Io { doing: format!("reading {}", self.input), error },
            SourceError::Broken { line, reason } => Failure::BadInput {
                input: self.input.clone(),
                line,
                reason: format!("the JSON array is broken: {reason}"),
                imported: self.imported,
            },
        }
    }
}

/// The document in a text, and the text's length.
fn parse(text: &str) -> Result<(Document, usize), String> {
    Document::from_json(text).map(|document| (document, text.len())).map_err(|e| reason(&e))
}

/// Why a text is no document. The engine counts lines within the text ("JSON at line 1 column 8: ..."), which
/// would read oddly behind the line of the input; where the text has one line, only the column is kept.
fn reason(error: &Error) -> String {
    match error {
        Error::Serialization(why) => match why.strip_prefix("JSON at line 1 column ") {
            Some(place) => format!("not JSON at column {place}"),
            None => why.replacen("JSON at line", "not JSON at its line", 1),
        },
        other => other.to_string(),
    }
}

/// What a batch did: how many documents it wrote, and which were bad.
type Written = (u64, Vec<(u64, Error)>);

/// Writes a batch in one transaction.
fn write_batch(db: &Database, args: &Import, batch: &[(u64, Document)]) -> Result<Written, Error> {
    db.write(|tx| {
        let collection = tx.collection::<Document>(&args.target.collection);
        let (mut written, mut bad) = (0, Vec::new());
        for (line, document) in batch {
            let result = match args.replace {
                true => collection.put(document).map(drop),
                false => collection.insert_one(document).map(drop),
            };
            match result {
                Ok(()) => written += 1,
                Err(e) if is_about_the_document(&e) => {
                    bad.push((*line, e));
                    if !args.skip_bad {
                        break;
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Ok((written, bad))
    })
}

/// Whether the next document may fare better.
fn is_about_the_document(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidDocument | ErrorKind::Exists)
}
