//! Series: the same workloads at one size after the other, and a table with a column for each of them.

use crate::driver::{value, Plan, Results};
use crate::engine::Outcome;
use crate::goals::{Goal, GOALS, SIZE_GOALS};
use crate::picture::{self, Bar};
use crate::report::Part;
use crate::table::{self, figure, goal_cell, rate};
use crate::workload::{Measure, Workload};
use std::fmt::Write as _;

/// A cache that the documents do not fit, in bytes.
const SMALL_CACHE: usize = 64 << 20;
/// Bytes of the documents of the series of sizes.
const SIZES: &[usize] = &[50, 200, 1000, 2000, 3000, 5000, 20_000, 100_000, 1_000_000];
/// Of these sizes the file has goals.
const SIZES_WITH_GOALS: std::ops::RangeInclusive<usize> = 1000..=5000;
/// Bytes of all documents of a size, for each document that was asked for.
const BYTES_EACH: usize = 100;

/// A column.
struct Point {
    name: String,
    documents: usize,
    bytes: usize,
    cache_bytes: usize,
    goals: &'static [Goal],
}

/// What a row shows of a measurement: the length of its bar, and a figure with its unit.
type Shown = fn(Workload, &Measure) -> (f64, String);

/// Rows of one workload, a row for each engine.
struct Rows {
    name: &'static str,
    workload: Workload,
    is_better_low: bool,
    shown: Shown,
}

/// A series.
pub struct Series {
    name: &'static str,
    heading: String,
    points: Vec<Point>,
    rows: Vec<Rows>,
}

fn main_figure(workload: Workload, measure: &Measure) -> (f64, String) {
    let value = value(workload, measure);
    (value, figure(workload, value))
}

fn bytes_a_second(_: Workload, measure: &Measure) -> (f64, String) {
    let value = measure.data_bytes.unwrap_or(0) as f64 / measure.seconds / 1e6;
    (value, format!("{value:.0} MB/s"))
}

fn memory(_: Workload, measure: &Measure) -> (f64, String) {
    let value = measure.anonymous_bytes as f64;
    (value, format!("{:.0} MB", value / 1e6))
}

fn to_the_data(_: Workload, measure: &Measure) -> (f64, String) {
    let value = measure.bytes.unwrap_or(0) as f64 / measure.data_bytes.unwrap_or(0) as f64;
    (value, format!("{value:.2}"))
}

fn rows(workload: Workload, name: &'static str, is_better_low: bool, shown: Shown) -> Rows {
    Rows { name, workload, is_better_low, shown }
}

impl Series {
    /// More and more documents, from a tenth of those of the plan to `most`, tenfold each time; and those of the plan
    /// with a small cache.
    pub fn growth(plan: &Plan, most: usize) -> Series {
        let point = |documents: usize, cache_bytes| Point {
            name: count(documents),
            documents,
            bytes: plan.bytes,
            cache_bytes,
            goals: GOALS,
        };
        let steps = std::iter::successors(Some(plan.documents / 10), |documents| documents.checked_mul(10));
        let mut counts: Vec<usize> = steps.take_while(|documents| *documents < most).chain([most]).collect();
        counts.retain(|documents| *documents > 0);
        let mut points: Vec<Point> = counts.into_iter().map(|count| point(count, plan.cache_bytes)).collect();
        let small = point(plan.documents, SMALL_CACHE);
        points.push(Point { name: format!("{}, {} MiB of cache", small.name, SMALL_CACHE >> 20), ..small });
        let rows = vec![
            rows(Workload::LoadRandom, "load_random", false, main_figure),
            rows(Workload::LoadRandom, "load_random, memory", true, memory),
            rows(Workload::OpenClean, "open_clean", true, main_figure),
            rows(Workload::GetEach, "get_each", false, main_figure),
            rows(Workload::GetSnapshot, "get_snapshot", false, main_figure),
            rows(Workload::Scan, "scan", false, main_figure),
        ];
        let heading = format!("By number of documents, of about {} bytes each", plan.bytes);
        Series { name: "growth", heading, points, rows }
    }

    /// Larger and larger documents, of about as many bytes together.
    pub fn sizes(plan: &Plan) -> Series {
        let total = plan.documents * BYTES_EACH;
        let point = |bytes: &usize| Point {
            name: format!("{}B", count(*bytes)),
            documents: (total / bytes).max(1),
            bytes: *bytes,
            cache_bytes: plan.cache_bytes,
            goals: if SIZES_WITH_GOALS.contains(bytes) { SIZE_GOALS } else { &[] },
        };
        let rows = vec![
            rows(Workload::GetSnapshot, "get_snapshot", false, main_figure),
            rows(Workload::LoadRandom, "load_random", false, |_, measure| {
                let value = measure.operations as f64 / measure.seconds;
                (value, rate(value))
            }),
            rows(Workload::LoadRandom, "load_random, bytes", false, bytes_a_second),
            rows(Workload::FileSize, "file_size", true, main_figure),
            rows(Workload::FileSize, "file_size, to the data", true, to_the_data),
        ];
        let heading = format!("By size of the documents, of about {:.0} MB together", total as f64 / 1e6);
        Series { name: "sizes", heading, points: SIZES.iter().map(point).collect(), rows }
    }

    /// Measures it with the engines of a plan and those of its workloads that belong to the series. Each engine has
    /// the memory of the machine for itself at each size.
    pub fn run(&self, plan: &Plan) -> Outcome<Part> {
        let mut columns = Vec::new();
        for point in &self.points {
            let at = self.plan(plan, point);
            let mut results = Results::default();
            for engine in &plan.engines {
                results.absorb(Plan { engines: vec![engine.clone()], ..at.clone() }.run()?);
            }
            columns.push((at, results));
        }
        let mut lines = Vec::new();
        for ((plan, results), point) in columns.iter().zip(&self.points) {
            for mut line in table::json(plan, results) {
                line["series"] = self.name.into();
                line["point"] = point.name.as_str().into();
                lines.push(line);
            }
        }
        let pictures = self.rows.iter().filter_map(|rows| self.picture(rows, &columns)).collect();
        let failures = columns.iter().flat_map(|(_, results)| results.failures.clone()).collect();
        Ok(Part { text: self.text(&columns), lines, pictures, failures })
    }

    fn plan(&self, plan: &Plan, point: &Point) -> Plan {
        let is_meant = |workload: &Workload| self.rows.iter().any(|rows| rows.workload == *workload);
        Plan {
            documents: point.documents,
            bytes: point.bytes,
            cache_bytes: point.cache_bytes,
            goals: point.goals,
            rounds: 1,
            label: format!("{}, {}: ", self.name, point.name),
            workloads: plan.workloads.iter().copied().filter(is_meant).collect(),
            ..plan.clone()
        }
    }

    fn text(&self, columns: &[(Plan, Results)]) -> String {
        let names: Vec<&str> = self.points.iter().map(|point| point.name.as_str()).collect();
        let mut out = format!("{}, each measured once.\n\n", self.heading);
        let _ = writeln!(out, "| workload | engine | {} |", names.join(" | "));
        let _ = writeln!(out, "| --- | --- |{}", " ---: |".repeat(names.len()));
        for rows in &self.rows {
            for (engine, _) in columns.first().map_or(&[][..], |(_, results)| &results.engines) {
                let cells: Vec<Option<String>> =
                    columns.iter().map(|(_, results)| Some(rows.cell(results, engine)?.1)).collect();
                if cells.iter().any(Option::is_some) {
                    let cells: Vec<String> = cells.into_iter().map(|cell| cell.unwrap_or("—".to_owned())).collect();
                    let _ = writeln!(out, "| {} | {engine} | {} |", rows.name, cells.join(" | "));
                }
            }
        }
        out.push('\n');
        for ((plan, results), point) in columns.iter().zip(&self.points) {
            for workload in &plan.workloads {
                for reached in table::reached(plan, results, *workload) {
                    let _ = writeln!(out, "* {} at {}: {}", workload.name(), point.name, goal_cell(&reached));
                }
            }
        }
        let missing = columns.first().map(|(_, results)| table::missing(results));
        out.extend(missing);
        out.extend(columns.iter().map(|(_, results)| table::failures(results)));
        out
    }

    fn picture(&self, rows: &Rows, columns: &[(Plan, Results)]) -> Option<(String, String)> {
        let mut bars = Vec::new();
        for ((_, results), point) in columns.iter().zip(&self.points) {
            for (engine, _) in &results.engines {
                let Some((value, figure)) = rows.cell(results, engine) else { continue };
                bars.push(Bar { name: format!("{}: {engine}", point.name), value, figure, own: engine == "nyro" });
            }
        }
        let picture = picture::bars(&format!("{}: {}", self.name, rows.name), rows.is_better_low, &bars)?;
        Some((format!("{}_{}.svg", self.name, rows.name.replace(", ", "_").replace(' ', "_")), picture))
    }
}

impl Rows {
    fn cell(&self, results: &Results, engine: &str) -> Option<(f64, String)> {
        Some((self.shown)(self.workload, results.median(self.workload, engine)?))
    }
}

/// A number in words: 200, 20 k, 1 M, with the space before the unit.
fn count(number: usize) -> String {
    match number {
        n if n >= 1_000_000 => format!("{} M", n as f64 / 1e6),
        n if n >= 1000 => format!("{} k", n as f64 / 1e3),
        n => format!("{n} "),
    }
}
