//! The command line: every verb, its arguments and its help text.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use nyro::Durability;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  error, or stopped by Ctrl-C (message on standard error; with --json one JSON object)
  2  wrong usage
  3  not found: the document, the key, the collection, the keyspace or the file
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

    /// Open files on network file systems, where locks and syncs can't be relied on
    #[arg(long, global = true)]
    pub allow_network_file_system: bool,
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

    /// Read and write keyspaces: values by key, in the order of the keys
    #[command(after_help = "\
A key and a value are text, or with --hex bytes in hexadecimal digits. A keyspace is made by the first write to it. \
nyro help kv get, and so on, says more.

Examples:
  nyro kv put app.nyro scores ada 36
  nyro kv get app.nyro scores ada
  nyro kv scan app.nyro scores --prefix a --limit 10")]
    Kv(Kv),

    /// List the collections with the number of their documents, and the keyspaces
    #[command(after_help = "\
How many keys a keyspace has is an estimate: a key that was changed or deleted counts again until runs are merged.

Example:
  nyro collections app.nyro")]
    Collections(Look),

    /// Print sizes and counters of the file
    #[command(after_help = "\
With --watch the file is opened again at each interval, and the figures have what changed a second beside \
them: on a terminal as one table, else as one JSON object a line. Between two looks other programs may \
open the file; while one has it open its figures stand still here, and only that program can tell what \
happens (Database::stats).

Of keyspaces, all of which lie in one LSM tree, there is a table of its levels, and into how many lists of runs a \
get may have to look. How often bytes were written is counted since a file was opened, so that only the program that \
writes can tell (Database::keyspace_stats).

Examples:
  nyro stats app.nyro
  nyro stats app.nyro --watch
  nyro stats app.nyro --watch 10 --json")]
    Stats(Stats),

    /// Check every page, index entry and document
    #[command(after_help = "\
Exit code 4 when damage is found; the message says where. On a terminal a bar shows how far it is; \
Ctrl-C stops it and changes nothing.

Example:
  nyro verify app.nyro")]
    Verify(Look),

    /// Make the file as small as its documents allow
    #[command(after_help = "\
Documents move together, pages move from the end of the file into free space, and the end is given back to \
the file system. Ctrl-C stops it between two steps; what was gained stays.

Example:
  nyro compact app.nyro")]
    Compact(Look),

    /// Write a backup to a file: all, or what changed since another one
    #[command(after_help = "\
A full backup is itself a database file. With --name the database remembers it, so that --since can be based on \
it; the last 16 names are remembered, and --list shows them. The file appears when it is complete.

Examples:
  nyro backup app.nyro sunday.nyro --name sunday
  nyro backup app.nyro monday.inc --since sunday --name monday
  nyro backup app.nyro --list")]
    Backup(Backup),

    /// Make a database from a full backup and those that follow it
    #[command(after_help = "\
Backups are given in their order, the full one first. The target appears when all of it is verified.

Examples:
  nyro restore app.nyro sunday.nyro
  nyro restore app.nyro sunday.nyro monday.inc tuesday.inc --overwrite")]
    Restore(Restore),

    /// Save what can still be read of a damaged file into a new one
    #[command(after_help = "\
The damaged file is only read. Exit code 4 when not all could be saved: the new file is made all the same, and \
what is missing is listed.

Examples:
  nyro repair app.nyro saved.nyro
  nyro repair app.nyro saved.nyro --trust-unchecked --json")]
    Repair(Repair),

    /// Show what is on a page of the file
    #[command(after_help = "\
Page 0 and page 1 say where everything is. What can't be read is said, and is no error.

Examples:
  nyro page app.nyro 0
  nyro page app.nyro 17 --json")]
    Page(Page),

    /// Show the runs of the sorted index, or one of them
    #[command(after_help = "\
Keyspaces lie in runs. Without N all runs are listed, as the manifest has them. A key is shown with the number of \
its keyspace's tree in front; --hex shows its bytes in hexadecimal digits, as the file has them. What can't be read \
is said, and is no error.

Examples:
  nyro run app.nyro
  nyro run app.nyro 12
  nyro run app.nyro 12 --entries --json")]
    Run(Run),

    /// Show the log beside the file: its segments and frames
    #[command(after_help = "Examples:\n  nyro log app.nyro\n  nyro log app.nyro --frames")]
    Log(Log),

    /// Show the free space of the file
    #[command(after_help = "Example:\n  nyro free app.nyro")]
    Free(Look),

    /// Show the shape of a collection's index of ids
    #[command(after_help = "Example:\n  nyro trie app.nyro users")]
    Trie(Trie),

    /// Measure what this disk does, in some seconds
    #[command(after_help = "\
Loads documents of some 200 bytes into a file of its own in DIR, reads them, and updates them with each \
durability. One thread calls. The file is removed at the end. Figures of a busy machine say little.

Examples:
  nyro bench .
  nyro bench /mnt/data --documents 1000000 --json")]
    Bench(Bench),

    /// Kill writers on this disk, and look whether anything is lost
    #[command(after_help = "\
Programs that write are killed (SIGKILL) at random moments; then the file is opened, verified and \
compared with what was acknowledged. It works in a folder of its own in DIR, which is removed at the end. \
When something is lost, the exit code is 4, the folder stays, and the seed repeats the same operations. A \
kill takes the program and not the system: this says nothing about power losses.

Examples:
  nyro torture /mnt/data
  nyro torture . --seconds 3600
  nyro torture . --kills 20 --seed 42 --json")]
    Torture(Torture),

    /// Print the completion script of a shell
    #[command(after_help = "\
Examples:
  nyro completions bash > ~/.local/share/bash-completion/completions/nyro
  nyro completions zsh > ~/.zfunc/_nyro
  nyro completions fish > ~/.config/fish/completions/nyro.fish")]
    Completions(Completions),

    /// Print the manual page of the program, or of one verb
    #[command(after_help = "\
Examples:
  nyro man > nyro.1
  nyro man import > nyro-import.1
  nyro man kv scan > nyro-kv-scan.1
  nyro man stats | man -l -")]
    Man(Man),
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

/// Arguments of `kv`.
#[derive(Debug, Args)]
pub struct Kv {
    /// What to do.
    #[command(subcommand)]
    pub verb: KvVerb,
}

/// The verbs of `kv`.
#[derive(Debug, Subcommand)]
pub enum KvVerb {
    /// Print the value of a key
    #[command(after_help = "\
The value is followed by the end of the line; with --raw by nothing. If the key is not there, the exit code is 3.

Examples:
  nyro kv get app.nyro scores ada
  nyro kv get app.nyro pictures cat --raw > cat.png
  nyro kv get app.nyro scores --hex 616461")]
    Get(KvGet),

    /// Give a key a value, whether it had one or not
    #[command(after_help = "\
Examples:
  nyro kv put app.nyro scores ada 36
  nyro kv put app.nyro pictures cat - < cat.png
  nyro kv put app.nyro scores --hex 00ff 2a")]
    Put(KvPut),

    /// Delete keys: some, a range, or all that begin with a prefix
    #[command(after_help = "\
All are deleted in one transaction. If a key is not there, the others are deleted all the same and the exit code is \
3. A range takes the same short time whatever is in it; END is not in it.

Examples:
  nyro kv delete app.nyro scores ada grace
  nyro kv delete app.nyro scores --range a b
  nyro kv delete app.nyro scores --prefix user:")]
    Delete(KvDelete),

    /// Print keys and values, in the order of the keys
    #[command(after_help = "\
A line has the key, a tab and the value. A tab, the end of a line and a backslash in them are printed as \\t, \\n, \
\\r and \\\\, bytes that are no text as \\xff; with --hex all is printed in hexadecimal digits. When --limit ends \
the scan, what goes on from there is printed on standard error.

Examples:
  nyro kv scan app.nyro scores --prefix user: --keys
  nyro kv scan app.nyro scores --from a --to c --reverse
  nyro kv scan app.nyro scores --limit 10")]
    Scan(KvScan),

    /// Read keys and values from a file or standard input
    #[command(after_help = "\
The input is NDJSON (one key a line) or one JSON array, of objects like {\"key\": \"ada\", \"value\": \"36\"}; bytes \
that are no text are given as key_hex and value_hex. A key that is there gets the new value. It is read as a stream \
and committed in batches of 1000 keys.

Examples:
  nyro kv import app.nyro scores scores.ndjson
  nyro kv export old.nyro scores | nyro kv import new.nyro scores")]
    Import(KvImport),

    /// Write all keys and values of a keyspace as JSON
    #[command(after_help = "\
All come from one snapshot, in the order of the keys, in the form that import reads. With --output, the file appears \
when it is complete.

Examples:
  nyro kv export app.nyro scores > scores.ndjson
  nyro kv export app.nyro scores --array --output scores.json")]
    Export(KvExport),
}

/// A file and a keyspace in it.
#[derive(Debug, Args)]
pub struct KvTarget {
    /// The database file
    #[arg(value_name = "DB")]
    pub path: PathBuf,
    /// The keyspace
    pub keyspace: String,
}

/// How keys and values are written.
#[derive(Debug, Args)]
pub struct Form {
    /// Keys and values are given and printed in hexadecimal digits
    #[arg(long)]
    pub hex: bool,
}

/// Arguments of `kv get`.
#[derive(Debug, Args)]
pub struct KvGet {
    #[command(flatten)]
    pub target: KvTarget,
    /// The key
    #[arg(allow_negative_numbers = true)]
    pub key: String,
    #[command(flatten)]
    pub form: Form,
    /// Print the bytes of the value and nothing else
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
}

/// Arguments of `kv put`.
#[derive(Debug, Args)]
pub struct KvPut {
    #[command(flatten)]
    pub target: KvTarget,
    /// The key
    #[arg(allow_negative_numbers = true)]
    pub key: String,
    /// The value; "-" for the bytes of standard input, as they are
    #[arg(allow_negative_numbers = true)]
    pub value: String,
    #[command(flatten)]
    pub form: Form,
    #[command(flatten)]
    pub writing: Writing,
}

/// Arguments of `kv delete`.
#[derive(Debug, Args)]
pub struct KvDelete {
    #[command(flatten)]
    pub target: KvTarget,
    /// The keys
    #[arg(required_unless_present_any = ["range", "prefix"], allow_negative_numbers = true, value_name = "KEY")]
    pub keys: Vec<String>,
    /// Delete all keys from START on and before END
    #[arg(long, num_args = 2, value_names = ["START", "END"], conflicts_with = "keys")]
    pub range: Option<Vec<String>>,
    /// Delete all keys that begin so
    #[arg(long, value_name = "PREFIX", conflicts_with_all = ["keys", "range"])]
    pub prefix: Option<String>,
    #[command(flatten)]
    pub form: Form,
    #[command(flatten)]
    pub writing: Writing,
}

/// Arguments of `kv scan`.
#[derive(Debug, Args)]
pub struct KvScan {
    #[command(flatten)]
    pub target: KvTarget,
    /// Only keys that begin so
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// Only this key and those behind it
    #[arg(long, value_name = "KEY", allow_negative_numbers = true)]
    pub from: Option<String>,
    /// Only keys before this one
    #[arg(long, value_name = "KEY", allow_negative_numbers = true)]
    pub to: Option<String>,
    /// The last key first
    #[arg(long)]
    pub reverse: bool,
    /// Stop after this many keys
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Print the keys alone
    #[arg(long)]
    pub keys: bool,
    #[command(flatten)]
    pub form: Form,
}

/// Arguments of `kv import`.
#[derive(Debug, Args)]
pub struct KvImport {
    #[command(flatten)]
    pub target: KvTarget,
    /// The file to read; "-" or nothing for standard input
    pub file: Option<PathBuf>,
    /// Go on after a bad line, and count them
    #[arg(long)]
    pub skip_bad: bool,
    #[command(flatten)]
    pub writing: Writing,
}

/// Arguments of `kv export`.
#[derive(Debug, Args)]
pub struct KvExport {
    #[command(flatten)]
    pub target: KvTarget,
    /// Write one JSON array instead of one key a line
    #[arg(long)]
    pub array: bool,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
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

/// Arguments of `stats`.
#[derive(Debug, Args)]
pub struct Stats {
    /// The database file
    #[arg(value_name = "DB")]
    pub path: PathBuf,
    /// Look again and again, each so many seconds
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1")]
    pub watch: Option<Seconds>,
    /// With --watch: end after so many looks
    #[arg(long, value_name = "N", requires = "watch", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// The database file
    #[arg(value_name = "DB")]
    pub path: PathBuf,
    /// The file to write
    #[arg(required_unless_present = "list")]
    pub file: Option<PathBuf>,
    /// The name by which the database remembers this backup
    #[arg(long)]
    pub name: Option<String>,
    /// Only what changed since the backup of this name
    #[arg(long, value_name = "NAME")]
    pub since: Option<String>,
    /// Replace a file that is there
    #[arg(long)]
    pub overwrite: bool,
    /// List the backups that the database remembers, with their last commit
    #[arg(long, conflicts_with_all = ["file", "name", "since", "overwrite"])]
    pub list: bool,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The database file to make
    pub target: PathBuf,
    /// The backups, the full one first
    #[arg(required = true, value_name = "BACKUP")]
    pub backups: Vec<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    pub overwrite: bool,
}

/// Arguments of `repair`.
#[derive(Debug, Args)]
pub struct Repair {
    /// The damaged file
    pub damaged: PathBuf,
    /// The file to make
    pub new: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    pub overwrite: bool,
    /// Also take documents that no checksum vouches for
    #[arg(long)]
    pub trust_unchecked: bool,
}

/// Arguments of `page`.
#[derive(Debug, Args)]
pub struct Page {
    /// The database file
    #[arg(value_name = "DB")]
    pub path: PathBuf,
    /// Number of the page, from 0
    #[arg(value_name = "N")]
    pub number: u64,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The database file
    #[arg(value_name = "DB")]
    pub path: PathBuf,
    /// Number of the run; nothing for a list of all
    #[arg(value_name = "N")]
    pub number: Option<u64>,
    /// List its keys, too, with the length of their values
    #[arg(long, requires = "number")]
    pub entries: bool,
    /// Show keys in hexadecimal digits
    #[arg(long)]
    pub hex: bool,
}

/// Arguments of `log`.
#[derive(Debug, Args)]
pub struct Log {
    /// The database file
    #[arg(value_name = "DB")]
    pub path: PathBuf,
    /// List the frames, too
    #[arg(long)]
    pub frames: bool,
}

/// Arguments of `trie`.
#[derive(Debug, Args)]
pub struct Trie {
    #[command(flatten)]
    pub target: Target,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// The folder to work in
    pub dir: PathBuf,
    /// How many documents
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub documents: u64,
    /// How long each part takes, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "1")]
    pub seconds: Seconds,
}

/// Arguments of `torture`.
#[derive(Debug, Args)]
pub struct Torture {
    /// The folder to work in
    pub dir: PathBuf,
    /// How long, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    pub seconds: Seconds,
    /// End after so many kills instead
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    pub kills: Option<u64>,
    /// The operations of an earlier run again
    #[arg(long)]
    pub seed: Option<u64>,
    /// Threads of each program that write
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub threads: u64,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// The verb; nothing for the program
    pub verb: Vec<String>,
}

/// A time on the command line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seconds(pub f64);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            Ok(seconds) if (0.01..=1e9).contains(&seconds) => Ok(Seconds(seconds)),
            _ => Err("not a number of seconds from 0.01 on".to_owned()),
        }
    }
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
