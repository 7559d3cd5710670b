//! The worker process: one workload of one engine, one line of JSON.

use crate::engine::{Durability, Engine, Outcome, Setup, CACHE_BYTES};
use crate::engines;
use crate::store::Store;
use crate::workload::{Run, Workload};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// What the driver tells a worker.
#[derive(Debug, Args)]
pub struct Order {
    /// The engine.
    #[arg(long)]
    pub engine: String,
    /// The workload.
    #[arg(long)]
    pub workload: Workload,
    /// Where the engine's files are.
    #[arg(long)]
    pub directory: PathBuf,
    /// How many documents.
    #[arg(long)]
    pub documents: usize,
    /// Bytes of one, about.
    #[arg(long)]
    pub bytes: usize,
    /// How many entries of 16 and 100 bytes.
    #[arg(long, default_value_t = 100_000)]
    pub entries: usize,
    /// Memory for a cache of the engine's own, in bytes.
    #[arg(long, default_value_t = CACHE_BYTES)]
    pub cache_bytes: usize,
    /// A measurement of single commits ends after so many seconds at the latest.
    #[arg(long, default_value_t = 5.0)]
    pub most: f64,
    /// Updates without a break end after so many seconds at the latest.
    #[arg(long, default_value_t = 60.0)]
    pub most_updates: f64,
    /// Prepare what `open_killed` opens, say so, and wait to be killed.
    #[arg(long)]
    pub fill: bool,
    /// Only say what the engine is.
    #[arg(long)]
    pub about: bool,
}

/// What an engine is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct About {
    /// Name and version.
    pub version: String,
    /// How it is configured where commits are relaxed.
    pub relaxed: String,
    /// How it is configured where they are durable.
    pub durable: String,
    /// What is set for its ordered store besides.
    pub store: String,
    /// True if it compresses documents.
    pub compresses: bool,
}

/// Does what is ordered.
pub fn work(order: &Order) -> Outcome<()> {
    match order.engine.as_str() {
        "nyro" => work_as::<engines::Nyro>(order),
        "lmdb" => work_as::<engines::Lmdb>(order),
        "redb" => work_as::<engines::Redb>(order),
        "fjall" => work_as::<engines::Fjall>(order),
        "sqlite" => work_as::<engines::Sqlite>(order),
        #[cfg(feature = "rocksdb")]
        "rocksdb" => work_as::<engines::Rocks>(order),
        other => Err(format!("there is no engine {other} in this program").into()),
    }
}

fn work_as<E: Engine>(order: &Order) -> Outcome<()> {
    if order.about {
        let [relaxed, durable] = [Durability::Relaxed, Durability::Durable]
            .map(|durability| E::settings(Setup { durability, cache_bytes: order.cache_bytes }));
        let store = E::Store::settings().to_owned();
        return say(&About { version: E::version(), relaxed, durable, store, compresses: E::COMPRESSES });
    }
    let run = Run {
        directory: &order.directory,
        documents: order.documents,
        bytes: order.bytes,
        entries: order.entries,
        cache_bytes: order.cache_bytes,
        most: Duration::from_secs_f64(order.most),
        most_updates: Duration::from_secs_f64(order.most_updates),
    };
    if order.fill {
        let _engine = run.fill_to_be_killed::<E>()?;
        say(&"filled")?;
        loop {
            std::thread::park();
        }
    }
    say(&run.run::<E>(order.workload)?)
}

fn say(what: &impl Serialize) -> Outcome<()> {
    println!("{}", serde_json::to_string(what)?);
    Ok(())
}
