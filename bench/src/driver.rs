//! The driver: has every engine do every workload, in turns, and gathers what the workers say.

use crate::engine::Outcome;
use crate::goals::Goal;
use crate::worker::About;
use crate::workload::{Kind, Measure, Workload};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The engines, NyroDB first.
pub const ENGINES: &[&str] = &["nyro", "lmdb", "redb", "fjall", "rocksdb", "sqlite"];

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many documents.
    pub documents: usize,
    /// Bytes of one, about.
    pub bytes: usize,
    /// How many entries of 16 and 100 bytes.
    pub entries: usize,
    /// Memory for a cache of an engine's own, in bytes.
    pub cache_bytes: usize,
    /// How often.
    pub rounds: usize,
    /// Seconds that a measurement of single commits lasts at the most.
    pub most: f64,
    /// Seconds that updates without a break last at the most.
    pub most_updates: f64,
    /// The engines.
    pub engines: Vec<String>,
    /// The workloads.
    pub workloads: Vec<Workload>,
    /// What is to be reached.
    pub goals: &'static [Goal],
    /// What is told of the plan while it runs: nothing, or where a series is.
    pub label: String,
    /// Where the files are.
    pub directory: PathBuf,
}

/// What came out.
#[derive(Debug, Default)]
pub struct Results {
    /// The engines, with what they are.
    pub engines: Vec<(String, About)>,
    /// Those that did not run, with the reason.
    pub missing: Vec<(String, String)>,
    measures: BTreeMap<(Workload, String), Vec<Measure>>,
    /// What went wrong in a single measurement.
    pub failures: Vec<String>,
}

impl Results {
    /// The median of the rounds of a workload, by its rate (or, where that is what counts, its bytes).
    pub fn median(&self, workload: Workload, engine: &str) -> Option<&Measure> {
        let mut all: Vec<&Measure> = self.measures.get(&(workload, engine.to_owned()))?.iter().collect();
        all.sort_by(|a, b| value(workload, a).total_cmp(&value(workload, b)));
        all.get(all.len() / 2).copied()
    }

    /// Adds all that another plan found out.
    pub fn absorb(&mut self, other: Results) {
        self.engines.extend(other.engines);
        self.missing.extend(other.missing);
        self.failures.extend(other.failures);
        for (key, measures) in other.measures {
            self.measures.entry(key).or_default().extend(measures);
        }
    }

    /// Adds a measurement.
    pub fn add(&mut self, workload: Workload, engine: &str, measure: Measure) {
        self.measures.entry((workload, engine.to_owned())).or_default().push(measure);
    }
}

/// What counts of a measurement.
pub fn value(workload: Workload, measure: &Measure) -> f64 {
    match workload.kind() {
        Kind::Rate => measure.operations as f64 / measure.seconds,
        Kind::Size => measure.bytes.unwrap_or(0) as f64,
        Kind::Time => measure.seconds,
        Kind::Factor => measure.written_per_byte.unwrap_or(0.0),
        Kind::Space => measure.bytes.unwrap_or(0) as f64 / measure.data_bytes.unwrap_or(1) as f64,
        Kind::Latency => measure.stall_micros.map_or(0.0, |[_, _, most, _]| most),
    }
}

impl Plan {
    /// Runs all of it. Tells on standard error where it is.
    pub fn run(&self) -> Outcome<Results> {
        let mut results = Results::default();
        for engine in &self.engines {
            match program(engine).and_then(|program| self.about(&program, engine)) {
                Ok(about) => results.engines.push((engine.clone(), about)),
                Err(error) => results.missing.push((engine.clone(), error.to_string())),
            }
        }
        for round in 1..=self.rounds {
            for &workload in self.workloads.iter().filter(|workload| round == 1 || !workload.is_done_once()) {
                for (engine, _) in results.engines.clone() {
                    eprint!("\r\x1b[K{}round {round} of {}: {} {engine}", self.label, self.rounds, workload.name());
                    match self.measure(workload, &engine) {
                        Ok(measure) => results.add(workload, &engine, measure),
                        Err(error) => results.failures.push(format!("{} {engine}: {error}", workload.name())),
                    }
                }
            }
        }
        eprint!("\r\x1b[K");
        if self.directory.exists() {
            std::fs::remove_dir_all(&self.directory)?;
        }
        Ok(results)
    }

    fn command(&self, program: &Path, engine: &str, workload: Workload) -> Outcome<Command> {
        let directory = self.directory.join(engine);
        std::fs::create_dir_all(&directory)?;
        let mut command = Command::new(program);
        command.arg("worker").args(["--engine", engine, "--workload", &workload.name()]);
        command.arg("--directory").arg(directory);
        command.args(["--documents", &self.documents.to_string(), "--bytes", &self.bytes.to_string()]);
        command.args(["--entries", &self.entries.to_string()]);
        command.args(["--cache-bytes", &self.cache_bytes.to_string()]);
        command.args(["--most", &self.most.to_string(), "--most-updates", &self.most_updates.to_string()]);
        Ok(command)
    }

    fn about(&self, program: &Path, engine: &str) -> Outcome<About> {
        let output = self.command(program, engine, Workload::LoadRandom)?.arg("--about").output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn measure(&self, workload: Workload, engine: &str) -> Outcome<Measure> {
        let program = program(engine)?;
        if let Some((base, load)) = workload.base() {
            if !self.directory.join(engine).join(base).exists() {
                ask(self.command(&program, engine, load)?)?;
            }
        }
        if workload == Workload::OpenKilled {
            let mut filling = self.command(&program, engine, workload)?;
            let mut child = filling.arg("--fill").stdout(Stdio::piped()).spawn()?;
            let mut line = String::new();
            if let Some(stdout) = child.stdout.take() {
                BufReader::new(stdout).read_line(&mut line)?;
            }
            child.kill()?;
            child.wait()?;
            if !line.contains("filled") {
                return Err("the process that was to be killed failed before".into());
            }
        }
        ask(self.command(&program, engine, workload)?)
    }
}

/// Runs a worker and reads what it says.
fn ask(mut worker: Command) -> Outcome<Measure> {
    let output = worker.stderr(Stdio::piped()).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} ({})", said.lines().last().unwrap_or("no word"), output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The program that has an engine: this one, or for RocksDB its own beside it.
fn program(engine: &str) -> Outcome<PathBuf> {
    let own = std::env::current_exe()?;
    if engine != "rocksdb" {
        return Ok(own);
    }
    let other = own.with_file_name("nyro-bench-rocksdb");
    match other.exists() {
        true => Ok(other),
        false => Err("not built: needs a C++ compiler and libclang (make bench BENCH_FEATURES=rocksdb)".into()),
    }
}
