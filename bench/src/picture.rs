//! A picture of a workload: one bar an engine, as SVG.

use crate::driver::{value, Results};
use crate::table::figure;
use crate::workload::Workload;
use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const BAR: f64 = 28.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 130.0;

/// The picture, or none where nothing was measured.
pub fn bars(results: &Results, workload: Workload) -> Option<String> {
    let bar = |(name, _): &(String, _)| Some((name.clone(), value(workload, results.median(workload, name)?)));
    let figures: Vec<(String, f64)> = results.engines.iter().filter_map(bar).collect();
    let largest = figures.iter().map(|(_, figure)| *figure).fold(0.0, f64::max);
    if largest <= 0.0 {
        return None;
    }
    let better = if workload.kind().is_better_low() { "shorter is better" } else { "longer is better" };
    let height = 44.0 + BAR * figures.len() as f64 + 10.0;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"10\" y=\"24\" font-weight=\"600\" fill=\"#1c1e21\">{}</text>\n\
         <text x=\"{}\" y=\"24\" text-anchor=\"end\" fill=\"#60656b\">{better}</text>",
        workload.name(),
        WIDTH - 10.0
    );
    for (at, (name, height)) in figures.iter().enumerate() {
        let y = 40.0 + BAR * at as f64;
        let width = ((WIDTH - LEFT - RIGHT) * height / largest).max(1.0);
        let fill = if name == "nyro" { "#0b6e4f" } else { "#b4bcc4" };
        let _ = writeln!(
            out,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#1c1e21\">{name}</text>\n\
             <rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"3\" fill=\"{fill}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#1c1e21\">{}</text>",
            LEFT - 8.0,
            y + 17.0,
            y + 3.0,
            BAR - 6.0,
            LEFT + width + 8.0,
            y + 17.0,
            figure(workload, *height)
        );
    }
    out.push_str("</svg>\n");
    Some(out)
}
