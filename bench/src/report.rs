//! The parts of a report: what each measures, as text, as lines of JSON and as pictures.

use crate::driver::{value, Plan, Results};
use crate::engine::Outcome;
use crate::floors::{self, Floor};
use crate::goals::GOALS;
use crate::picture::{self, Bar};
use crate::store::{KEY_BYTES, VALUE_BYTES};
use crate::worker::About;
use crate::workload::Workload;
use crate::{machine, table};
use std::path::Path;

/// A part of a report.
#[derive(Debug, Default)]
pub struct Part {
    /// For people, in Markdown.
    pub text: String,
    /// For programs.
    pub lines: Vec<serde_json::Value>,
    /// Pictures, with the names of their files.
    pub pictures: Vec<(String, String)>,
    /// What went wrong.
    pub failures: Vec<String>,
}

impl Part {
    /// The lines of JSON as text.
    pub fn json_lines(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Measures the machine and the workloads of a plan.
pub fn workloads(plan: &Plan, quick: bool) -> Outcome<Part> {
    let floors = floors::measure(&plan.directory, plan.documents, plan.bytes)?;
    let results = plan.run()?;
    let mut lines = table::json(plan, &results);
    lines.extend(table::floors_json(plan, &floors));
    let pictures = plan.workloads.iter().filter_map(|workload| picture(&results, *workload)).collect();
    Ok(Part { text: text(plan, &results, &floors, quick), lines, pictures, failures: results.failures })
}

/// The picture of a workload, with the name of its file.
fn picture(results: &Results, workload: Workload) -> Option<(String, String)> {
    let bar = |(name, _): &(String, _)| {
        let value = value(workload, results.median(workload, name)?);
        Some(Bar { name: name.clone(), value, figure: table::figure(workload, value), own: name == "nyro" })
    };
    let bars: Vec<Bar> = results.engines.iter().filter_map(bar).collect();
    let picture = picture::bars(&workload.name(), workload.kind().is_better_low(), &bars)?;
    Some((format!("{}.svg", workload.name()), picture))
}

fn text(plan: &Plan, results: &Results, floors: &[Floor], quick: bool) -> String {
    let mut out = format!(
        "{} documents of about {} bytes, {} entries of {KEY_BYTES} and {VALUE_BYTES} bytes, {}, \
         medians of {} rounds, {}\n\n",
        plan.documents,
        plan.bytes,
        plan.entries,
        machine::describe(),
        plan.rounds,
        jiff::Timestamp::now().strftime("%Y-%m-%d")
    );
    for (name, about) in &results.engines {
        let About { version, relaxed, durable, store, .. } = about;
        out += &format!("* {name}: {version}; relaxed: {relaxed}; durable: {durable}; entries: {store}\n");
    }
    out += "\n";
    out += &table::table(plan, results);
    let notes = table::notes(plan, results);
    if !notes.is_empty() {
        out += &format!("\n{notes}");
    }
    out += &format!("\n{}", table::floors(floors));
    if quick {
        let held = GOALS.iter().filter(|goal| goal.quick);
        let held: Vec<String> = held.map(|goal| format!("{} ({})", goal.workload.name(), goal.describe())).collect();
        out +=
            &format!("\nSo few documents fit the cache of the processor. Meant to hold here: {}.\n", held.join(", "));
    }
    out
}

/// Writes the parts into a directory.
pub fn write(parts: &[Part], directory: &Path) -> Outcome<()> {
    std::fs::create_dir_all(directory)?;
    let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
    std::fs::write(directory.join("report.md"), texts.join("\n"))?;
    let lines: String = parts.iter().map(Part::json_lines).collect();
    std::fs::write(directory.join("report.jsonl"), lines)?;
    for (name, picture) in parts.iter().flat_map(|part| &part.pictures) {
        std::fs::write(directory.join(name), picture)?;
    }
    Ok(())
}
