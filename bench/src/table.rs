//! The results as text, and as one JSON object a line.

use crate::driver::{value, Plan, Results};
use crate::floors::Floor;
use crate::goals::{Against, Goal};
use crate::store::ENTRY_BYTES;
use crate::worker::About;
use crate::workload::{Kind, Measure, Workload};
use serde_json::json;
use std::fmt::Write as _;

/// A goal, what was reached of it, and against what.
pub struct Reached {
    /// The goal.
    pub goal: &'static Goal,
    /// Times what it is held against.
    pub ratio: f64,
}

/// How NyroDB stands in a workload, goal by goal.
pub fn reached(plan: &Plan, results: &Results, workload: Workload) -> Vec<Reached> {
    let of = |workload, engine: &str| results.median(workload, engine).map(|measure| value(workload, measure));
    let goals = plan.goals.iter().filter(|goal| goal.workload == workload);
    let ratio = |goal: &Goal| {
        let own = results.median(workload, "nyro")?;
        let value = value(workload, own);
        Some(match goal.against {
            Against::Peer(name) | Against::AtMost(name) => value / of(workload, name)?,
            Against::Best => value / best_peer(results, workload)?.1,
            Against::Own(other) => value / of(other, "nyro")?,
            Against::Data => value / own.data_bytes? as f64,
            Against::Seconds | Against::Itself => value,
            Against::Memory => own.anonymous_bytes as f64 / own.allowed_bytes? as f64,
            Against::Smallest => value / best_of(results, workload, |about| !about.compresses)?.1,
        })
    };
    goals.filter_map(|goal| Some(Reached { goal, ratio: ratio(goal)? })).collect()
}

/// The peer that is best in a workload, and its figure.
pub fn best_peer(results: &Results, workload: Workload) -> Option<(&str, f64)> {
    best_of(results, workload, |_| true)
}

/// The best of those peers that `is_meant`.
fn best_of(results: &Results, workload: Workload, is_meant: impl Fn(&About) -> bool) -> Option<(&str, f64)> {
    let peers = results.engines.iter().filter(|(name, about)| name != "nyro" && is_meant(about));
    let figures = peers.filter_map(|(name, _)| Some((name.as_str(), value(workload, results.median(workload, name)?))));
    match workload.kind().is_better_low() {
        true => figures.min_by(|a, b| a.1.total_cmp(&b.1)),
        false => figures.max_by(|a, b| a.1.total_cmp(&b.1)),
    }
}

/// A figure with its unit.
pub fn figure(workload: Workload, value: f64) -> String {
    match workload.kind() {
        Kind::Size => format!("{:.1} MB", value / 1e6),
        Kind::Time => format!("{:.2} ms", value * 1000.0),
        Kind::Factor | Kind::Space => format!("{value:.2}"),
        Kind::Latency => format!("{value:.1} µs"),
        Kind::Rate => rate(value),
    }
}

/// The figure of a measurement, and the second one of those that have two.
fn figures(workload: Workload, measure: &Measure) -> String {
    let mut figures = figure(workload, value(workload, measure));
    if let Some(seconds) = measure.unsettled_seconds {
        let _ = write!(figures, " ({} unsettled)", rate(measure.operations as f64 / seconds));
    }
    if let Some([_, _, _, longest]) = measure.stall_micros {
        let _ = write!(figures, " (longest {:.1} ms)", longest / 1000.0);
    }
    figures
}

/// So many operations a second.
pub fn rate(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.2} M/s", v / 1e6),
        v if v >= 1e4 => format!("{:.0} k/s", v / 1e3),
        v => format!("{:.2} k/s", v / 1e3),
    }
}

/// The table, in Markdown, with the losing rows in bold.
pub fn table(plan: &Plan, results: &Results) -> String {
    let mut out = String::new();
    let names: Vec<&str> = results.engines.iter().map(|(name, _)| name.as_str()).collect();
    let _ = writeln!(out, "| workload | {} | to the best peer | goals |", names.join(" | "));
    let _ = writeln!(out, "| --- |{} ---: | --- |", " ---: |".repeat(names.len()));
    for &workload in &plan.workloads {
        let cell =
            |name: &&str| results.median(workload, name).map_or("—".to_owned(), |measure| figures(workload, measure));
        let cells: Vec<String> = names.iter().map(cell).collect();
        let own = results.median(workload, "nyro").map(|measure| value(workload, measure));
        let ratio = own.zip(best_peer(results, workload)).map(|(own, (_, best))| own / best);
        let ratio = ratio.map_or("—".to_owned(), |ratio| format!("{ratio:.2}"));
        let goals: Vec<String> = reached(plan, results, workload).iter().map(goal_cell).collect();
        let _ = writeln!(out, "| {} | {} | {ratio} | {} |", workload.name(), cells.join(" | "), goals.join("; "));
    }
    out
}

/// How a goal stands, in bold where it is missed.
pub fn goal_cell(reached: &Reached) -> String {
    let ratio = match reached.goal.against {
        Against::Seconds => format!("{:.2} ms", reached.ratio * 1000.0),
        _ => format!("{:.2}", reached.ratio),
    };
    match reached.goal.is_met(reached.ratio) {
        true => format!("{}: {ratio}, met", reached.goal.describe()),
        false => format!("**{}: {ratio}, missed**", reached.goal.describe()),
    }
}

/// What is told beside the table: memory, bytes moved and written.
pub fn notes(plan: &Plan, results: &Results) -> String {
    let mut out = String::new();
    for (name, _) in &results.engines {
        let of = |workload| results.median(workload, name);
        let mut told = Vec::new();
        let load = of(Workload::LoadRandom).filter(|_| plan.workloads.contains(&Workload::LoadRandom));
        if let Some(load) = load {
            told.push(format!("{} MB of anonymous memory taken by the load at the most", load.anonymous_bytes >> 20));
        }
        if let Some([half, most, nearly, longest]) = of(Workload::CommitTail).and_then(|tail| tail.latency_micros) {
            told.push(format!(
                "a commit takes {half:.1} µs at the median, {most:.1} at 99 %, {nearly:.0} at 99.9 %, {longest:.0} at the most"
            ));
        }
        told.extend(of(Workload::ReaderOpen).and_then(reader_note));
        for workload in [Workload::FileSizeUpdated, Workload::WriteAmplification] {
            told.extend(of(workload).and_then(|updated| written_note(workload, updated)));
        }
        told.extend(of(Workload::KvWriteAmplification).and_then(kv_written_note));
        if let Some([half, most, nearly, longest]) = of(Workload::KvStall).and_then(|stall| stall.stall_micros) {
            told.push(format!(
                "a put of a load takes {half:.1} µs at the median, {most:.1} at 99.9 %, {nearly:.0} at 99.99 %, \
                 {longest:.0} at the most"
            ));
        }
        if !told.is_empty() {
            let _ = writeln!(out, "* {name}: {}.", told.join("; "));
        }
    }
    out + &missing(results) + &failures(results)
}

/// Engines that did not run, and why.
pub fn missing(results: &Results) -> String {
    results.missing.iter().map(|(name, why)| format!("* {name} did not run: {why}.\n")).collect()
}

/// Measurements that failed, and why.
pub fn failures(results: &Results) -> String {
    results.failures.iter().map(|why| format!("* failed: {why}.\n")).collect()
}

fn reader_note(measure: &Measure) -> Option<String> {
    let reader = measure.reader.as_ref()?;
    let megabytes = [reader.bytes_before, reader.bytes_held, reader.bytes_settled].map(|bytes| bytes as f64 / 1e6);
    Some(format!(
        "a snapshot that stayed open for {} updates reads {} before and {} after them, the files take {:.0} MB before, \
         {:.0} MB after, and {:.0} MB once it is gone",
        measure.operations,
        rate(reader.reads_before),
        rate(reader.reads_after),
        megabytes[0],
        megabytes[1],
        megabytes[2]
    ))
}

fn written_note(workload: Workload, updated: &Measure) -> Option<String> {
    let name = workload.name();
    let mut note = format!("{name} wrote {:.2} bytes to the disk for each byte updated", updated.written_per_byte?);
    let _ = write!(note, ", {:.0} k updates a second", updated.operations as f64 / updated.seconds / 1e3);
    if let Some(relocated) = updated.relocated_bytes {
        let _ = write!(note, ", {:.1} MB moved to make room meanwhile", relocated as f64 / 1e6);
    }
    Some(note)
}

fn kv_written_note(measure: &Measure) -> Option<String> {
    let (handed, device) = (measure.written_per_byte?, measure.device_per_byte?);
    Some(format!(
        "a load of entries hands {handed:.2} bytes to the system for each byte given, and the device writes {device:.2}"
    ))
}

/// What the machine itself takes, as a table.
pub fn floors(floors: &[Floor]) -> String {
    let mut out = "| of the machine itself | | what was done |\n| --- | ---: | --- |\n".to_owned();
    for Floor { name, what, value, unit } in floors {
        let _ = writeln!(out, "| {name} | {value:.1} {unit} | {what} |");
    }
    out
}

/// The same, one object a line.
pub fn floors_json(plan: &Plan, floors: &[Floor]) -> Vec<serde_json::Value> {
    let line = |floor: &Floor| {
        json!({
            "workload": format!("floor_{}", floor.name),
            "engine": "machine",
            "documents": plan.documents,
            "document_bytes": plan.bytes,
            "ops_per_s": null,
            "bytes": null,
            "goal": null,
            "ratio": null,
            "value": floor.value,
            "unit": floor.unit,
        })
    };
    floors.iter().map(line).collect()
}

/// One object a line for each workload and engine.
pub fn json(plan: &Plan, results: &Results) -> Vec<serde_json::Value> {
    let mut lines = Vec::new();
    for &workload in &plan.workloads {
        let (count, bytes) = match workload.is_kv() {
            true => (plan.entries, ENTRY_BYTES),
            false => (plan.documents, plan.bytes),
        };
        for (engine, _) in &results.engines {
            let Some(measure) = results.median(workload, engine) else { continue };
            let rate = (measure.seconds > 0.0).then(|| measure.operations as f64 / measure.seconds);
            let goals = if engine == "nyro" { reached(plan, results, workload) } else { Vec::new() };
            let first = goals.first();
            let own = value(workload, measure);
            let to_best = best_peer(results, workload).map(|(_, best)| own / best);
            lines.push(json!({
                "workload": workload.name(),
                "engine": engine,
                "documents": count,
                "document_bytes": bytes,
                "cache_bytes": plan.cache_bytes,
                "ops_per_s": rate,
                "seconds": measure.seconds,
                "bytes": measure.bytes,
                "goal": first.map(|reached| reached.goal.factor),
                "ratio": first.map(|reached| reached.ratio).or(to_best),
                "goals": goals.iter().map(|reached| json!({
                    "goal": reached.goal.describe(),
                    "ratio": reached.ratio,
                    "met": reached.goal.is_met(reached.ratio),
                })).collect::<Vec<_>>(),
                "processor_seconds": measure.processor_seconds,
                "anonymous_bytes": measure.anonymous_bytes,
                "data_bytes": measure.data_bytes,
                "relocated_bytes": measure.relocated_bytes,
                "written_per_byte": measure.written_per_byte,
                "device_per_byte": measure.device_per_byte,
                "unsettled_seconds": measure.unsettled_seconds,
                "stall_micros": measure.stall_micros,
                "latency_micros": measure.latency_micros,
                "reader": measure.reader,
            }));
        }
    }
    lines
}
