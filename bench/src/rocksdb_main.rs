//! The worker of RocksDB: a program of its own, as its C++ code takes long to build and needs libclang.

use clap::{Parser, Subcommand};
use nyro_bench::worker::{work, Order};

#[derive(Parser)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One workload, in this process.
    Worker(Order),
}

fn main() -> std::process::ExitCode {
    let Command::Worker(order) = Program::parse().command;
    match work(&order) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nyro-bench-rocksdb: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
