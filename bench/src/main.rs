//! NyroDB beside LMDB, redb, fjall, RocksDB and SQLite. `nyro-bench --help` tells more.

use clap::{Args, Parser, Subcommand};
use nyro_bench::driver::{Plan, Results, ENGINES};
use nyro_bench::engine::Outcome;
use nyro_bench::goals::GOALS;
use nyro_bench::worker::{work, Order};
use nyro_bench::workload::Workload;
use nyro_bench::{machine, picture, table};
use std::path::{Path, PathBuf};

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
    /// How often everything is measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// 200 000 documents, one round, without `file_size_updated`: less than two minutes.
    #[arg(long)]
    quick: bool,
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
        true => !arguments.quick || *workload != Workload::FileSizeUpdated,
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
        rounds: if arguments.quick { 1 } else { arguments.rounds },
        most: if arguments.quick { 1.0 } else { 5.0 },
        engines,
        workloads,
        directory: arguments.directory.clone().unwrap_or_else(temporary),
    })
}

fn measure(arguments: &Arguments) -> Outcome<()> {
    let plan = plan(arguments)?;
    let results = plan.run()?;
    if arguments.json {
        for line in table::json(&plan, &results) {
            println!("{line}");
        }
    } else {
        print!("{}", report(&plan, &results, arguments.quick));
    }
    if let Some(directory) = &arguments.report {
        write_report(&plan, &results, directory, arguments.quick)?;
    }
    match results.failures.is_empty() {
        true => Ok(()),
        false => Err(results.failures.join("; ").into()),
    }
}

/// The text of a report.
fn report(plan: &Plan, results: &Results, quick: bool) -> String {
    let mut out = format!(
        "{} documents of about {} bytes, {}, medians of {} rounds, {}\n\n",
        plan.documents,
        plan.bytes,
        machine::describe(),
        plan.rounds,
        jiff::Timestamp::now().strftime("%Y-%m-%d")
    );
    for (name, about) in &results.engines {
        out += &format!("* {name}: {}; relaxed: {}; durable: {}\n", about.version, about.relaxed, about.durable);
    }
    out += "\n";
    out += &table::table(plan, results);
    let notes = table::notes(plan, results);
    if !notes.is_empty() {
        out += &format!("\n{notes}");
    }
    if quick {
        let held = GOALS.iter().filter(|goal| goal.quick);
        let held: Vec<String> = held.map(|goal| format!("{} ({})", goal.workload.name(), goal.describe())).collect();
        out +=
            &format!("\nSo few documents fit the cache of the processor. Meant to hold here: {}.\n", held.join(", "));
    }
    out
}

fn write_report(plan: &Plan, results: &Results, directory: &Path, quick: bool) -> Outcome<()> {
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join("report.md"), report(plan, results, quick))?;
    let lines: String = table::json(plan, results).iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(directory.join("report.jsonl"), lines)?;
    for &workload in &plan.workloads {
        if let Some(picture) = picture::bars(results, workload) {
            std::fs::write(directory.join(format!("{}.svg", workload.name())), picture)?;
        }
    }
    Ok(())
}
