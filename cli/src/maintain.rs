//! `nyro compact`, `backup`, `restore` and `repair`: what keeps a file in shape, and brings it back.

use nyro::{BackupOptions, Durability, RepairBasis, RepairOptions, RepairReport, RepairedLog, RestoreOptions};
use serde_json::{json, Value};

use crate::args::{Backup, Look, Repair, Restore};
use crate::progress::Bar;
use crate::report::{count, grouped, print, size, Failure, Result};

/// Losses that are shown in text; `--json` shows all that are known.
const LOSSES_SHOWN: usize = 20;

/// Runs `nyro compact`.
pub fn compact(args: &Look, json: bool) -> Result<()> {
    let db = crate::open_to_write(&args.path, false, Durability::Manual)?;
    let mut bar = Bar::new(json);
    let done = db.compact_with(bar.control());
    drop(bar);
    let report = done?;
    db.close()?;
    let (before, after, moved) = (report.bytes_before, report.bytes_after, report.moved_bytes);
    if json {
        let object = json!({ "bytes_before": before, "bytes_after": after, "moved_bytes": moved });
        return print(&format!("{object}\n"));
    }
    print(&format!("{} became {}; {} of documents moved\n", size(before), size(after), size(moved)))
}

/// Runs `nyro backup`.
pub fn backup(args: &Backup, json: bool) -> Result<()> {
    let Some(file) = &args.file else { return list_backups(args, json) };
    let db = crate::open_to_write(&args.path, false, Durability::Sync)?;
    let options = BackupOptions { name: args.name.clone(), since: args.since.clone(), overwrite: args.overwrite };
    let mut bar = Bar::new(json);
    let done = db.backup_with(file, &options, bar.control());
    drop(bar);
    let report = done?;
    db.close()?;
    if json {
        let object = json!({
            "commit": report.commit, "checkpoint": report.checkpoint, "pages": report.pages, "bytes": report.bytes,
        });
        return print(&format!("{object}\n"));
    }
    let kind = args.since.as_ref().map_or("all".to_owned(), |since| format!("what changed since {since:?}"));
    let pages = count(report.pages, "page", "pages");
    print(&format!("{kind}, through commit {}: {pages} to {}\n", grouped(report.commit), file.display()))
}

fn list_backups(args: &Backup, json: bool) -> Result<()> {
    let db = crate::open_to_look(&args.path)?;
    let backups = db.backups()?;
    db.close()?;
    if json {
        let of = |b: &nyro::BackupInfo| json!({ "name": b.name, "commit": b.commit, "checkpoint": b.checkpoint });
        return print(&format!("{}\n", backups.iter().map(of).collect::<Value>()));
    }
    let width = backups.iter().map(|b| grouped(b.commit).len()).max().unwrap_or(0);
    print(&backups.iter().map(|b| format!("{:>width$}  {}\n", grouped(b.commit), b.name)).collect::<String>())
}

/// Runs `nyro restore`.
pub fn restore(args: &Restore, json: bool) -> Result<()> {
    let mut bar = Bar::new(json);
    let options = RestoreOptions { overwrite: args.overwrite };
    let done = nyro::restore(&args.target, &args.backups, &options, bar.control());
    drop(bar);
    let report = done?;
    if json {
        let object = json!({
            "documents": report.documents, "collections": report.collections, "commit": report.commit,
        });
        return print(&format!("{object}\n"));
    }
    let documents = count(report.documents, "document", "documents");
    let collections = count(report.collections, "collection", "collections");
    print(&format!("restored {documents} in {collections}, through commit {}\n", grouped(report.commit)))
}

/// Runs `nyro repair`. That something could not be saved is a failure, with the new file in its place.
pub fn repair(args: &Repair, json: bool) -> Result<()> {
    let options =
        RepairOptions { overwrite: args.overwrite, trust_unchecked: args.trust_unchecked, ..RepairOptions::default() };
    let mut bar = Bar::new(json);
    let done = nyro::repair(&args.damaged, &args.new, &options, bar.control());
    drop(bar);
    let report = done?;
    print(&if json { format!("{}\n", repair_json(&report)) } else { repair_text(&report) })?;
    match report.is_complete() {
        true => Ok(()),
        false => Err(Failure::NotAllSaved { new: args.new.clone() }),
    }
}

fn basis(basis: RepairBasis) -> &'static str {
    match basis {
        RepairBasis::MetaPage => "a whole meta page",
        RepairBasis::DamagedMetaPage => "a damaged meta page",
        RepairBasis::Identity => "no meta page, only the identity of the file",
        _ => "nothing: no checksum could be checked",
    }
}

fn log(log: &RepairedLog) -> String {
    match log {
        RepairedLog::NotNeeded => "not needed: the file was closed".to_owned(),
        RepairedLog::Replayed { commits, .. } => format!("replayed, {}", count(*commits, "commit", "commits")),
        RepairedLog::Partly { commits, reason, .. } => {
            format!("replayed up to damage, {}; the rest is lost ({reason})", count(*commits, "commit", "commits"))
        }
        RepairedLog::Missing { reason } => format!("missing; what came after the last checkpoint is lost ({reason})"),
        _ => String::new(),
    }
}

fn repair_json(report: &RepairReport) -> Value {
    let collections = report.collections.iter().map(|c| {
        json!({
            "name": c.name, "named": c.named, "documents": c.documents, "expected": c.expected, "missing": c.missing,
            "complete": c.complete, "uncertain": c.uncertain, "unchecked": c.unchecked,
        })
    });
    let keyspaces = report.keyspaces.iter().map(|k| {
        json!({
            "name": k.name, "named": k.named, "keys": k.keys, "complete": k.complete, "outdated": k.outdated,
            "uncertain": k.uncertain, "unchecked": k.unchecked,
        })
    });
    let lost = report.lost.iter().map(|l| {
        json!({
            "page": l.page, "offset": l.offset, "what": l.what, "collection": l.collection, "keyspace": l.keyspace,
            "documents": l.documents, "reason": l.reason.to_string(),
        })
    });
    json!({
        "complete": report.is_complete(), "basis": basis(report.basis), "file_pages": report.file_pages,
        "searched": report.searched, "documents": report.documents, "log": log(&report.log),
        "collections": collections.collect::<Vec<_>>(), "keys": report.keys,
        "keyspaces": keyspaces.collect::<Vec<_>>(), "lost_total": report.lost_total,
        "lost": lost.collect::<Vec<_>>(),
    })
}

fn in_brackets(notes: &[String]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    format!("  ({})", notes.join("; "))
}

fn repair_text(report: &RepairReport) -> String {
    let mut text = format!("went by    {}\nlog        {}\n", basis(report.basis), log(&report.log));
    text.push_str(&format!("documents  {}\n", grouped(report.documents)));
    for c in &report.collections {
        let mut notes = Vec::new();
        if let Some(missing) = c.missing.filter(|missing| *missing > 0) {
            notes.push(format!("{} missing or older", grouped(missing)));
        }
        if !c.complete && c.missing.is_none() {
            notes.push("some may be missing".to_owned());
        }
        if c.uncertain > 0 {
            notes.push(format!("{} may have come back", grouped(c.uncertain)));
        }
        if c.unchecked > 0 {
            notes.push(format!("{} without a checksum that vouches for them", grouped(c.unchecked)));
        }
        text.push_str(&format!("{:>11}  {}{}\n", grouped(c.documents), c.name, in_brackets(&notes)));
    }
    if !report.keyspaces.is_empty() {
        text.push_str(&format!("keys       {}\n", grouped(report.keys)));
    }
    for k in &report.keyspaces {
        let mut notes = Vec::new();
        if !k.complete {
            notes.push("some may be missing".to_owned());
        }
        if k.outdated {
            notes.push("older values and deleted keys may have come back".to_owned());
        }
        if k.uncertain > 0 {
            notes.push(format!("{} that may be older ones", grouped(k.uncertain)));
        }
        if k.unchecked > 0 {
            notes.push(format!("{} without a checksum that vouches for them", grouped(k.unchecked)));
        }
        text.push_str(&format!("{:>11}  {}{}\n", grouped(k.keys), k.name, in_brackets(&notes)));
    }
    for loss in report.lost.iter().take(LOSSES_SHOWN) {
        let of =
            loss.collection.as_ref().or(loss.keyspace.as_ref()).map_or(String::new(), |name| format!(" of {name}"));
        let documents = loss.documents.map_or(String::new(), |n| format!(", {}", count(n, "document", "documents")));
        text.push_str(&format!("lost: {}{of} at page {}{documents}: {}\n", loss.what, loss.page, loss.reason));
    }
    let more = report.lost_total.saturating_sub(report.lost.len().min(LOSSES_SHOWN) as u64);
    if more > 0 {
        text.push_str(&format!("and {} more places\n", grouped(more)));
    }
    text
}
