//! `nyro import` and `nyro kv import`: JSON in, documents or keys out, in batches of one transaction each.
//!
//! ```text
//!   input -> source (cuts) -> Items::parse -> batch of 1 000 -> Items::write, one commit
//! ```
//!
//! A bad document ends the import *after* what precedes it is committed, so that the message can say
//! exactly what is in the file: everything before that line, nothing from it on.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use nyro::{Database, Document, Error, ErrorKind};
use serde_json::json;

use crate::args::{Import, Writing};
use crate::report::{count, Failure, Noun, Result, DOCUMENTS};
use crate::source::{Source, SourceError};

/// Documents in a batch.
const BATCH_DOCUMENTS: usize = 1000;
/// A batch ends early when its texts have this many bytes: half the limit of a transaction.
const BATCH_BYTES: usize = 32 << 20;
/// How many bad documents are shown, with `--skip-bad`; the rest are counted.
const BAD_SHOWN: u64 = 10;

/// What is imported, and how one batch is written.
pub trait Items {
    /// One of them.
    type Item;
    /// What they are called.
    const NOUN: Noun;
    /// Reads one; else says why there is none in the text.
    fn parse(&self, text: &str) -> Result<Self::Item, String>;
    /// Writes a batch in one transaction, up to the first that is bad, or all that are not.
    fn write(&self, db: &Database, batch: &[(u64, Self::Item)], skip_bad: bool) -> Result<Written, Error>;
}

/// From where to where.
pub struct Order<'a> {
    /// The database file.
    pub path: &'a Path,
    /// The collection or keyspace.
    pub name: &'a str,
    /// The input; none for standard input.
    pub file: Option<&'a PathBuf>,
    /// Go on after a bad one.
    pub skip_bad: bool,
    /// When commits reach the disk.
    pub writing: &'a Writing,
}

/// Runs the verb.
pub fn run(args: &Import, json: bool) -> Result<()> {
    let order = Order {
        path: &args.target.path,
        name: &args.target.collection,
        file: args.file.as_ref(),
        skip_bad: args.skip_bad,
        writing: &args.writing,
    };
    import(&Documents { collection: &args.target.collection, replace: args.replace }, &order, json)
}

/// Imports items.
pub fn import<I: Items>(items: &I, order: &Order<'_>, json: bool) -> Result<()> {
    let start = Instant::now();
    let file = order.file.filter(|f| f.as_os_str() != "-");
    let (reader, total_bytes) = open_input(file)?;
    let db = crate::open_to_write(order.path, true, order.writing.durability.0)?;
    let mut importer = Importer {
        db: &db,
        items,
        skip_bad: order.skip_bad,
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
    say_done(order.name, I::NOUN, json, imported, skipped, start.elapsed())
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

fn say_done(name: &str, noun: Noun, json: bool, imported: u64, skipped: u64, took: Duration) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = if json {
        let line = json!({ "imported": imported, "skipped": skipped, "elapsed_ms": took.as_millis() as u64 });
        writeln!(out, "{line}")
    } else {
        let items = count(imported, noun.0, noun.1);
        let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        writeln!(out, "imported {items} into {name}{skipped} ({:.2} s)", took.as_secs_f64())
    };
    written.map_err(|e| Failure::write(None, e))
}

struct Importer<'a, I: Items> {
    db: &'a Database,
    items: &'a I,
    skip_bad: bool,
    input: String,
    /// Those that wait for their commit, with their lines.
    batch: Vec<(u64, I::Item)>,
    batch_bytes: usize,
    imported: u64,
    skipped: u64,
    progress: ProgressBar,
}

impl<I: Items> Importer<'_, I> {
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
            match item.text.and_then(|text| Ok((self.items.parse(&text)?, text.len()))) {
                Ok((parsed, bytes)) => self.add(item.line, parsed, bytes)?,
                Err(reason) => {
                    if !self.skip_bad {
                        self.commit()?;
                    }
                    self.bad(item.line, reason)?;
                }
            }
            self.progress.set_position(source.bytes_read());
        }
    }

    fn add(&mut self, line: u64, item: I::Item, bytes: usize) -> Result<()> {
        self.batch.push((line, item));
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
        let written = self.items.write(self.db, &batch, self.skip_bad);
        let (written, bad) = written.map_err(|error| Failure::ImportStopped {
            line: *first_line,
            imported: self.imported,
            error,
            noun: I::NOUN,
        })?;
        self.imported += written;
        self.progress.set_message(count(self.imported, I::NOUN.0, I::NOUN.1));
        bad.into_iter().try_for_each(|(line, error)| self.bad(line, error.to_string()))
    }

    /// A bad one: an error, or one more that is skipped.
    fn bad(&mut self, line: u64, reason: String) -> Result<()> {
        if !self.skip_bad {
            let (input, imported) = (self.input.clone(), self.imported);
            return Err(Failure::BadInput { input, line, reason, imported, noun: I::NOUN });
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
                noun: I::NOUN,
            },
        }
    }
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

/// What a batch did: how many were written, and which were bad.
pub type Written = (u64, Vec<(u64, Error)>);

/// Documents of a collection.
struct Documents<'a> {
    collection: &'a str,
    replace: bool,
}

impl Items for Documents<'_> {
    type Item = Document;
    const NOUN: Noun = DOCUMENTS;

    fn parse(&self, text: &str) -> Result<Document, String> {
        Document::from_json(text).map_err(|e| reason(&e))
    }

    fn write(&self, db: &Database, batch: &[(u64, Document)], skip_bad: bool) -> Result<Written, Error> {
        db.write(|tx| {
            let collection = tx.collection::<Document>(self.collection);
            one_by_one(batch, skip_bad, |document| match self.replace {
                true => collection.put(document).map(drop),
                false => collection.insert_one(document).map(drop),
            })
        })
    }
}

/// Writes items until one is bad, or all but the bad ones.
pub fn one_by_one<T>(
    batch: &[(u64, T)],
    skip_bad: bool,
    mut write: impl FnMut(&T) -> Result<(), Error>,
) -> Result<Written, Error> {
    let (mut written, mut bad) = (0, Vec::new());
    for (line, item) in batch {
        match write(item) {
            Ok(()) => written += 1,
            Err(e) if is_about_the_item(&e) => {
                bad.push((*line, e));
                if !skip_bad {
                    break;
                }
            }
            Err(e) => return Err(e),
        }
    }
    Ok((written, bad))
}

/// Whether the next one may fare better.
fn is_about_the_item(error: &Error) -> bool {
    let of_name = matches!(error, Error::OtherKind { .. });
    !of_name && matches!(error.kind(), ErrorKind::InvalidDocument | ErrorKind::Exists)
}
