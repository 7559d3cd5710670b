//! The command line: every verb, its arguments and its help text.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use nyro::Durability;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  error (message on standard error; with --json one JSON object)
  2  wrong usage
  3  not found: the document, the collection or the file
  4  the file is damaged or is not a NyroDB file
  5  the file is open in another process

Ids: an id is read as JSON (42, \"ada\", {\"$binary\": ...}), and what is not JSON as a string (ada). \
To look up the string 42, quote it twice: '\"42\"'.";

/// Tools for NyroDB files: import, export, inspect, verify
#[derive(Debug, Parser)]
#[command(name = "nyro", version, about, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,

    /// Print results and errors as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Read documents from a file or standard input
    #[command(after_help = "\
The input is NDJSON (one document a line) or one JSON array; the first byte tells. It is read as a \
stream and committed in batches of 1000 documents.

Examples:
  nyro import app.nyro users users.ndjson
  curl -s https://example.com/users.json | nyro import app.nyro users
  nyro import --replace --skip-bad app.nyro users users.ndjson")]
    Import(Import),

    /// Write all documents of a collection as JSON
    #[command(after_help = "\
All documents come from one snapshot. With --output, the file appears when it is complete.

Examples:
  nyro export app.nyro users > users.ndjson
  nyro export app.nyro users --array --output users.json
  nyro export app.nyro users | head")]
    Export(Export),

    /// Print documents by id
    #[command(after_help = "\
If one is not there, the others are printed all the same and the exit code is 3.

Examples:
  nyro get app.nyro users 42
  nyro get app.nyro users ada grace 42")]
    Get(Get),

    /// Insert or replace a document, and print its id
    #[command(after_help = "\
The document replaces the one that has its _id. Without an _id it gets the next integer.

Examples:
  nyro put app.nyro users '{\"_id\": 42, \"name\": \"Ada\"}'
  echo '{\"name\": \"Grace\"}' | nyro put app.nyro users")]
    Put(Put),

    /// Delete documents by id
    #[command(after_help = "\
All are deleted in one transaction. If one is not there, the others are deleted all the same and the \
exit code is 3.

Examples:
  nyro delete app.nyro users 42
  nyro delete app.nyro users ada grace")]
    Delete(Delete),

    /// Print documents in the order of their last write
    #[command(after_help = "\
When --limit ends the scan, the token of the place is printed on standard error; --after goes on \
from there, in a later run too.

Examples:
  nyro scan app.nyro users --limit 10
  nyro scan app.nyro users --limit 10 --after TOKEN")]
    Scan(Scan),

    /// List the collections with the number of their documents
    #[command(after_help = "Example:\n  nyro collections app.nyro")]
    Collections(Look),

    /// Print sizes and counters of the file
    #[command(after_help = "Example:\n  nyro stats app.nyro")]
    Stats(Look),

    /// Check every page, index entry and document
    #[command(after_help = "\
Exit code 4 when damage is found; the message says where.

Example:
  nyro verify app.nyro")]
    Verify(Look),
}

/// A file and a collection in it.
#[derive(Debug, Args)]
pub struct Target {
    /// The database file
    #[arg(value_name = "DB")]
    pub path: PathBuf,
    /// The collection
    pub collection: String,
}

/// How commits are made durable.
#[derive(Debug, Args)]
pub struct Writing {
    /// When commits reach the disk: sync, interval:MS, or manual (at the end)
    #[arg(long, value_name = "WHEN", default_value = "sync")]
    pub durability: When,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    pub target: Target,
    /// The file to read; "-" or nothing for standard input
    pub file: Option<PathBuf>,
    /// Replace documents whose _id is already there
    #[arg(long)]
    pub replace: bool,
    /// Go on after a bad document, and count them
    #[arg(long)]
    pub skip_bad: bool,
    #[command(flatten)]
    pub writing: Writing,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    pub target: Target,
    /// Write one JSON array instead of one document a line
    #[arg(long)]
    pub array: bool,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Documents named by their ids.
#[derive(Debug, Args)]
pub struct ByIds {
    #[command(flatten)]
    pub target: Target,
    /// The ids
    #[arg(required = true, allow_negative_numbers = true, value_name = "ID")]
    pub ids: Vec<String>,
}

/// Arguments of `get`.
#[derive(Debug, Args)]
pub struct Get {
    #[command(flatten)]
    pub by_ids: ByIds,
    /// Spread each document over several lines
    #[arg(long)]
    pub pretty: bool,
}

/// Arguments of `delete`.
#[derive(Debug, Args)]
pub struct Delete {
    #[command(flatten)]
    pub by_ids: ByIds,
    #[command(flatten)]
    pub writing: Writing,
}

/// Arguments of `put`.
#[derive(Debug, Args)]
pub struct Put {
    #[command(flatten)]
    pub target: Target,
    /// The document as JSON; "-" or nothing for standard input
    pub document: Option<String>,
    #[command(flatten)]
    pub writing: Writing,
}

/// Arguments of `scan`.
#[derive(Debug, Args)]
pub struct Scan {
    #[command(flatten)]
    pub target: Target,
    /// Stop after this many documents
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Go on behind the place this token names
    #[arg(long, value_name = "TOKEN")]
    pub after: Option<u64>,
}

/// Arguments of the verbs that look at the whole file.
#[derive(Debug, Args)]
pub struct Look {
    /// The database file
    #[arg(value_name = "DB")]
    pub path: PathBuf,
}

/// The value of `--durability`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When(pub Durability);

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let durability = match text.split_once(':') {
            None if text == "sync" => Durability::Sync,
            None if text == "manual" => Durability::Manual,
            Some(("interval", ms)) => match ms.parse() {
                Ok(ms) if ms > 0 => Durability::Interval(ms),
                _ => return Err("interval needs milliseconds above 0, as in interval:100".to_owned()),
            },
            _ => return Err("use sync, interval:MS or manual".to_owned()),
        };
        Ok(When(durability))
    }
}
