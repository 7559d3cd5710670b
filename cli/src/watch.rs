//! `nyro stats --watch`: the figures of a file again and again, with what changed.
//!
//! ```text
//!   every interval:  open (nothing is written) -> figures -> close     others may open it in between
//!                    open elsewhere? say by whom, and go on
//!
//!   a terminal:      one table, written over
//!   else:            one JSON object a line
//! ```
//!
//! What a program that has the file open does at the moment only that program can tell, by `Database::stats`.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use nyro::{Database, Document, Error, KeyspaceStats, LevelStats};
use serde_json::{json, Value};

use crate::args::Stats;
use crate::progress;
use crate::report::{count, grouped, print, size, Failure, Result};

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    collections: u64,
    documents: u64,
    file_bytes: u64,
    used_bytes: u64,
    block_bytes: u64,
    block_live_bytes: u64,
    log_bytes: u64,
    commit: u64,
    checkpoint: u64,
    replayed_commits: u64,
    keyspaces: Option<Keyspaces>,
}

/// What it says of keyspaces, if it has any.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Keyspaces {
    count: u64,
    keys: u64,
    stats: KeyspaceStats,
}

impl Keyspaces {
    fn of(db: &Database) -> Result<Option<Keyspaces>> {
        let (names, stats) = (db.keyspace_names()?, db.keyspace_stats()?);
        // What is left of dropped ones lies in the levels, too.
        if names.is_empty() && stats.levels.is_empty() {
            return Ok(None);
        }
        let mut keys = 0;
        for name in &names {
            keys += db.keyspace(name).estimated_len()?;
        }
        Ok(Some(Keyspaces { count: names.len() as u64, keys, stats }))
    }

    /// Adds them to the object that `--json` prints.
    fn add_to(&self, object: &mut Value) {
        object["keyspaces"] = json!(self.count);
        object["keys_about"] = json!(self.keys);
        object["memtable_bytes"] = json!(self.stats.memtable_bytes);
        object["read_amplification"] = json!(self.stats.read_amplification);
        object["write_amplification"] = json!(self.stats.write_amplification());
        let level = |level: &LevelStats| {
            json!({
                "level": level.level, "sets": level.sets, "runs": level.runs, "entries": level.entries,
                "tombstones": level.tombstones, "bytes": level.bytes, "file_bytes": level.file_bytes,
                "filter_bytes": level.filter_bytes,
            })
        };
        object["levels"] = self.stats.levels.iter().map(level).collect();
    }

    /// What stands among the figures.
    fn rows(&self) -> Vec<(&'static str, String)> {
        vec![
            ("keyspaces", grouped(self.count)),
            ("keys, about", grouped(self.keys)),
            ("memtable", size(self.stats.memtable_bytes)),
            ("a get reads", count(self.stats.read_amplification, "list", "lists")),
            (
                "written",
                match self.stats.write_amplification() {
                    Some(times) => format!("{times:.1} times"),
                    None => "not known".to_owned(),
                },
            ),
        ]
    }

    /// The table of the levels.
    fn table(&self) -> String {
        let head = ["level", "sets", "runs", "keys", "deleted", "keys and values", "in the file", "filters"];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(self.stats.levels.iter().map(|level| {
            [
                level.level.to_string(),
                grouped(level.sets),
                grouped(level.runs),
                grouped(level.entries),
                grouped(level.tombstones),
                size(level.bytes),
                size(level.file_bytes),
                size(level.filter_bytes),
            ]
        }));
        let width = |at: usize| rows.iter().map(|row| row[at].len()).max().unwrap_or(0);
        let line = |row: &[String; 8]| {
            let cells: Vec<String> =
                row.iter().enumerate().map(|(at, cell)| format!("{cell:>0$}", width(at))).collect();
            format!("{}\n", cells.join("  "))
        };
        rows.iter().map(line).collect()
    }
}

impl Figures {
    /// Opens the file, to look. What only counts since a file was opened says nothing here and is left out.
    pub fn of(path: &Path) -> Result<Figures> {
        let db = crate::open_to_look(path)?;
        let stats = db.stats()?;
        let names = db.collection_names()?;
        let mut documents = 0;
        for name in &names {
            documents += db.collection::<Document>(name).count_documents()?;
        }
        let keyspaces = Keyspaces::of(&db)?;
        db.close()?;
        Ok(Figures {
            collections: names.len() as u64,
            documents,
            file_bytes: stats.file_bytes,
            used_bytes: stats.used_bytes,
            block_bytes: stats.block_bytes,
            block_live_bytes: stats.block_live_bytes,
            log_bytes: stats.log_bytes,
            commit: stats.commit,
            checkpoint: stats.checkpoint,
            replayed_commits: stats.replayed_commits,
            keyspaces,
        })
    }

    /// As the object that `--json` prints.
    pub fn to_json(&self) -> Value {
        let mut object = json!({
            "collections": self.collections, "documents": self.documents, "file_bytes": self.file_bytes,
            "used_bytes": self.used_bytes, "block_bytes": self.block_bytes,
            "block_live_bytes": self.block_live_bytes, "log_bytes": self.log_bytes, "commit": self.commit,
            "checkpoint": self.checkpoint, "replayed_commits": self.replayed_commits,
        });
        if let Some(keyspaces) = &self.keyspaces {
            keyspaces.add_to(&mut object);
        }
        object
    }

    /// As a table for people; `change` says what stands behind the figures that have a number a second.
    pub fn table(&self, change: impl Fn(&str) -> String) -> String {
        let mut rows = vec![
            ("collections", grouped(self.collections)),
            ("documents", grouped(self.documents)),
            ("file", size(self.file_bytes)),
            ("in use", size(self.used_bytes)),
            ("blocks", size(self.block_bytes)),
            ("live in them", size(self.block_live_bytes)),
            ("log", size(self.log_bytes)),
            ("last commit", grouped(self.commit)),
            ("checkpoint", grouped(self.checkpoint)),
            ("replayed", count(self.replayed_commits, "commit", "commits")),
        ];
        rows.extend(self.keyspaces.iter().flat_map(Keyspaces::rows));
        let rows = rows.iter().map(|(name, value)| format!("{name:<12} {value:>14}{}\n", change(name)));
        let levels = self.keyspaces.iter().filter(|keyspaces| !keyspaces.stats.levels.is_empty());
        rows.chain(levels.map(|keyspaces| format!("\n{}", keyspaces.table()))).collect()
    }
}

/// What was seen before, and when.
struct Seen {
    at: Instant,
    figures: Figures,
}

/// What changed, a second.
#[derive(Default)]
struct Rates {
    documents: f64,
    commits: f64,
    file_bytes: f64,
}

impl Rates {
    fn between(before: &Seen, now: &Seen) -> Rates {
        let seconds = now.at.duration_since(before.at).as_secs_f64().max(1e-3);
        let rate =
            |figure: fn(&Figures) -> u64| (figure(&now.figures) as f64 - figure(&before.figures) as f64) / seconds;
        Rates { documents: rate(|f| f.documents), commits: rate(|f| f.commit), file_bytes: rate(|f| f.file_bytes) }
    }

    fn text(&self, name: &str) -> String {
        let rate = match name {
            "documents" => self.documents,
            "last commit" => self.commits,
            "file" => return signed(self.file_bytes, |n| size(n as u64)),
            _ => return String::new(),
        };
        signed(rate, |n| if n < 10.0 { format!("{n:.1}") } else { grouped(n as u64) })
    }
}

fn signed(rate: f64, text: impl Fn(f64) -> String) -> String {
    match rate {
        r if r.abs() < 0.05 => String::new(),
        r => format!("   {}{}/s", if r < 0.0 { '-' } else { '+' }, text(r.abs())),
    }
}

/// Runs `nyro stats --watch`, until Ctrl-C or as often as was asked for.
pub fn run(args: &Stats, interval: Duration, json: bool) -> Result<()> {
    let token = progress::interruption();
    let terminal = !json && io::stdout().is_terminal();
    // A file that can't be opened at all is an error; one that is open elsewhere later on is not.
    let mut before = Seen { at: Instant::now(), figures: Figures::of(&args.path).map_err(explain)? };
    let mut written = show(args, terminal, &before, &Rates::default(), None, 0)?;
    for _ in 1..args.count.unwrap_or(u64::MAX) {
        let next = before.at.max(Instant::now()) + interval;
        while Instant::now() < next && !token.is_cancelled() {
            std::thread::sleep((next - Instant::now()).min(Duration::from_millis(50)));
        }
        if token.is_cancelled() {
            break;
        }
        written = match Figures::of(&args.path) {
            Ok(figures) => {
                let now = Seen { at: Instant::now(), figures };
                let written = show(args, terminal, &now, &Rates::between(&before, &now), None, written)?;
                before = now;
                written
            }
            Err(Failure::Engine(Error::Locked { pid, .. })) => {
                show(args, terminal, &before, &Rates::default(), Some(pid), written)?
            }
            Err(failure) => return Err(failure),
        };
    }
    Ok(())
}

fn explain(failure: Failure) -> Failure {
    match failure {
        Failure::Engine(error @ Error::Locked { .. }) => Failure::OpenElsewhere(error),
        failure => failure,
    }
}

/// Writes one state of affairs over the one before; gives the lines written.
fn show(
    args: &Stats,
    terminal: bool,
    seen: &Seen,
    rates: &Rates,
    holder: Option<u32>,
    written: usize,
) -> Result<usize> {
    if !terminal {
        let mut object = seen.figures.to_json();
        object["documents_per_second"] = json!(rates.documents);
        object["commits_per_second"] = json!(rates.commits);
        object["open_in_process"] = json!(holder);
        print(&format!("{object}\n"))?;
        return Ok(0);
    }
    let mut text = String::new();
    if written > 0 {
        text.push_str(&format!("\x1b[{written}A\x1b[J"));
    }
    let table = format!("{}\n{}", args.path.display(), seen.figures.table(|name| rates.text(name)));
    let note = holder.map_or_else(String::new, |pid| format!("open in process {pid}; these are the figures before\n"));
    let shown = format!("{table}{note}");
    text.push_str(&shown);
    print(&text)?;
    Ok(shown.lines().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_a_sign_and_nothing_is_said_of_what_stands_still() {
        let rates = Rates { documents: 1234.0, commits: -0.5, file_bytes: 4096.0 };
        assert_eq!(rates.text("documents"), "   +1 234/s");
        assert_eq!(rates.text("last commit"), "   -0.5/s");
        assert_eq!(rates.text("file"), "   +4.0 KiB/s");
        assert_eq!(rates.text("log"), "");
        assert_eq!(Rates::default().text("documents"), "");
    }
}
