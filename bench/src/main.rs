//! NyroDB beside LMDB, redb, fjall, RocksDB and SQLite. `nyro-bench --help` tells more.

use clap::{Args, Parser, Subcommand};
use nyro_bench::driver::{Plan, ENGINES};
use nyro_bench::engine::{Outcome, CACHE_BYTES};
use nyro_bench::goals::GOALS;
use nyro_bench::report::{self, Part};
use nyro_bench::series::Series;
use nyro_bench::worker::{work, Order};
use nyro_bench::workload::Workload;
use std::path::PathBuf;

/// Measures NyroDB and its peers: the same documents, the same run, equal durability. Prints medians.
#[derive(Parser)]
#[command(version)]
struct Program {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    arguments: Arguments,
}

#[derive(Subcommand)]
enum Command {
    /// One workload of one engine, in this process.
    #[command(hide = true)]
    Worker(Order),
}

#[derive(Args)]
struct Arguments {
    /// How many documents.
    #[arg(long, default_value_t = 1_000_000)]
    documents: usize,
    /// Bytes of a document, about.
    #[arg(long, default_value_t = 180)]
    bytes: usize,
    /// How many entries of 16 and 100 bytes, for the workloads that begin with `kv_`.
    #[arg(long, default_value_t = 1_000_000)]
    entries: usize,
    /// Memory for the cache of engines that have one of their own, in bytes.
    #[arg(long, default_value_t = CACHE_BYTES)]
    cache_bytes: usize,
    /// How often everything is measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// `write_amplification` updates, and `kv_stall` puts, for so many seconds at the most.
    #[arg(long, default_value_t = 60.0)]
    most_updates: f64,
    /// 200 000 documents, 100 000 entries, one round, without what takes long: less than two minutes.
    #[arg(long)]
    quick: bool,
    /// Instead of the table of workloads, a table by number of documents: a tenth of `--documents`, all, tenfold.
    #[arg(long)]
    grow: bool,
    /// Where `--grow` ends, in documents; ten times `--documents` if it is not given.
    #[arg(long)]
    grow_to: Option<usize>,
    /// Instead of the table of workloads, a table by size of the documents, from 50 bytes to 1 MB.
    #[arg(long)]
    sizes: bool,
    /// All: the workloads, those that take long among them, and what `--grow` and `--sizes` do.
    #[arg(long)]
    full: bool,
    /// Only engines whose name begins so (may be given more than once).
    #[arg(long)]
    engine: Vec<String>,
    /// Only workloads whose name begins so (may be given more than once).
    #[arg(long)]
    workload: Vec<String>,
    /// One JSON object a line for each workload and engine instead of the table.
    #[arg(long)]
    json: bool,
    /// Writes the table, and a picture of each workload, into this directory, too.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Where the databases are made; removed at the end.
    #[arg(long)]
    directory: Option<PathBuf>,
}

fn main() -> std::process::ExitCode {
    let program = Program::parse();
    let done = match program.command {
        Some(Command::Worker(order)) => work(&order),
        None => measure(&program.arguments),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nyro-bench: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn begins(name: &str, with: &[String]) -> bool {
    with.is_empty() || with.iter().any(|prefix| name.starts_with(prefix.as_str()))
}

fn plan(arguments: &Arguments) -> Outcome<Plan> {
    let is_meant = |workload: &Workload| match arguments.workload.is_empty() {
        true if arguments.full => true,
        true if arguments.quick => workload.is_quick(),
        true => !workload.is_long(),
        false => begins(&workload.name(), &arguments.workload),
    };
    let workloads: Vec<_> = Workload::all().iter().copied().filter(is_meant).collect();
    let engines = ENGINES.iter().filter(|name| begins(name, &arguments.engine));
    let engines: Vec<_> = engines.map(|name| (*name).to_owned()).collect();
    if workloads.is_empty() || engines.is_empty() {
        let names: Vec<String> = Workload::all().iter().map(|workload| workload.name()).collect();
        return Err(
            format!("nothing is called so. Engines: {}. Workloads: {}.", ENGINES.join(", "), names.join(", ")).into()
        );
    }
    let temporary = || std::env::temp_dir().join(format!("nyro-bench-{}", std::process::id()));
    Ok(Plan {
        documents: if arguments.quick { 200_000 } else { arguments.documents },
        bytes: arguments.bytes,
        entries: if arguments.quick { arguments.entries.min(100_000) } else { arguments.entries },
        cache_bytes: arguments.cache_bytes,
        rounds: if arguments.quick { 1 } else { arguments.rounds },
        most: if arguments.quick { 1.0 } else { 5.0 },
        most_updates: arguments.most_updates,
        goals: GOALS,
        label: String::new(),
        engines,
        workloads,
        directory: arguments.directory.clone().unwrap_or_else(temporary),
    })
}

fn measure(arguments: &Arguments) -> Outcome<()> {
    let plan = plan(arguments)?;
    let mut parts = Vec::new();
    let mut done = |part: Part| {
        match arguments.json {
            true => print!("{}", part.json_lines()),
            false => println!("{}", part.text),
        }
        parts.push(part);
    };
    if arguments.full || !(arguments.grow || arguments.sizes) {
        done(report::workloads(&plan, arguments.quick)?);
    }
    if arguments.full || arguments.grow {
        done(Series::growth(&plan, arguments.grow_to.unwrap_or(10 * plan.documents)).run(&plan)?);
    }
    if arguments.full || arguments.sizes {
        done(Series::sizes(&plan).run(&plan)?);
    }
    if let Some(directory) = &arguments.report {
        report::write(&parts, directory)?;
    }
    let failures: Vec<&str> = parts.iter().flat_map(|part| &part.failures).map(String::as_str).collect();
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("; ").into()),
    }
}
