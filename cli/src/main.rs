//! The `nyro` program: tools for NyroDB files.
//!
//! ```text
//!   args      what can be asked for, and the help texts
//!   import    JSON -> documents        source: cuts the stream into documents
//!   export    documents -> JSON
//!   documents get, put, delete, scan
//!   kv        the same for keyspaces, and their import and export
//!   inspect   collections, stats, verify             watch: stats again and again
//!   maintain  compact, backup, restore, repair
//!   look      page, run, log, free, trie             sheet: what they print
//!   bench     what this disk does
//!   torture   kills programs that write, and looks what is left
//!   shell     completion scripts and manual pages
//!   progress  the bar of a long call, and Ctrl-C     random: numbers for bench and torture
//!   report    results, failures, exit codes
//! ```

#![forbid(unsafe_code)]

mod args;
mod bench;
mod documents;
mod export;
mod import;
mod inspect;
mod kv;
mod look;
mod maintain;
mod progress;
mod random;
mod report;
mod sheet;
mod shell;
mod source;
mod torture;
mod watch;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use nyro::{Database, Durability, Options};

use args::{Cli, Verb};
use report::{Failure, EXIT_USAGE};

fn main() -> ExitCode {
    if let Some(done) = torture::child::run_if_ordered() {
        return end(done, false);
    }
    match Cli::try_parse() {
        Ok(cli) => end(run(&cli), cli.json),
        Err(wrong) => usage(&wrong),
    }
}

fn end(done: report::Result<()>, json: bool) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure, json);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: &Cli) -> report::Result<()> {
    ALLOW_NETWORK.store(cli.allow_network_file_system, Ordering::Relaxed);
    match &cli.verb {
        Verb::Import(args) => import::run(args, cli.json),
        Verb::Export(args) => export::run(args, cli.json),
        Verb::Get(args) => documents::get(args),
        Verb::Put(args) => documents::put(args, cli.json),
        Verb::Delete(args) => documents::delete(args, cli.json),
        Verb::Scan(args) => documents::scan(args, cli.json),
        Verb::Kv(args) => kv::run(args, cli.json),
        Verb::Collections(args) => inspect::collections(args, cli.json),
        Verb::Stats(args) => inspect::stats(args, cli.json),
        Verb::Verify(args) => inspect::verify(args, cli.json),
        Verb::Compact(args) => maintain::compact(args, cli.json),
        Verb::Backup(args) => maintain::backup(args, cli.json),
        Verb::Restore(args) => maintain::restore(args, cli.json),
        Verb::Repair(args) => maintain::repair(args, cli.json),
        Verb::Page(args) => look::page(args, cli.json),
        Verb::Run(args) => look::run(args, cli.json),
        Verb::Log(args) => look::log(args, cli.json),
        Verb::Free(args) => look::free(args, cli.json),
        Verb::Trie(args) => look::trie(args, cli.json),
        Verb::Bench(args) => bench::run(args, cli.json),
        Verb::Torture(args) => torture::run(args, cli.json),
        Verb::Completions(args) => shell::completions(args),
        Verb::Man(args) => shell::man(args),
    }
}

/// Prints help, version or a usage error.
fn usage(wrong: &clap::Error) -> ExitCode {
    if wrong.use_stderr() && std::env::args().any(|a| a == "--json") {
        let text = wrong.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let object = serde_json::json!({ "error": {
            "message": message, "kind": "Usage", "exit_code": EXIT_USAGE,
        }});
        let _ = writeln!(std::io::stderr(), "{object}");
    } else {
        let _ = wrong.print();
    }
    ExitCode::from(if wrong.use_stderr() { EXIT_USAGE } else { 0 })
}

/// Says on standard error what went wrong. If even that fails, the exit code still tells.
fn complain(failure: &Failure, json: bool) {
    let _ = match failure {
        Failure::OutputClosed => Ok(()),
        _ if json => writeln!(std::io::stderr(), "{}", failure.to_json()),
        _ => writeln!(std::io::stderr(), "nyro: {failure}"),
    };
}

/// Whether files on network file systems are opened, as the command line says.
static ALLOW_NETWORK: AtomicBool = AtomicBool::new(false);

fn options() -> Options {
    Options { allow_network_file_system: ALLOW_NETWORK.load(Ordering::Relaxed), ..Options::default() }
}

/// Opens a file that must be there, to look: beside others who look, and without writing anything, so that one that
/// was not closed stays so.
fn open_to_look(path: &Path) -> report::Result<Database> {
    Ok(Database::open_with(path, Options { create: false, read_only: true, ..options() })?)
}

/// Opens a file to write; makes it if `create`.
fn open_to_write(path: &Path, create: bool, durability: Durability) -> report::Result<Database> {
    Ok(Database::open_with(path, Options { create, durability, ..options() })?)
}

/// The collection must be there: a misspelt name is an error, not an empty answer.
fn require_collection(db: &Database, name: &str) -> report::Result<()> {
    if db.collection_names()?.iter().any(|n| n == name) {
        return Ok(());
    }
    Err(nyro::Error::CollectionNotFound(name.to_owned()).into())
}

/// As [`require_collection`], for a keyspace.
fn require_keyspace(db: &Database, name: &str) -> report::Result<()> {
    if db.keyspace_names()?.iter().any(|n| n == name) {
        return Ok(());
    }
    // The name of a collection is an error that says so.
    db.keyspace(name).contains("")?;
    Err(Failure::NoKeyspace(name.to_owned()))
}
