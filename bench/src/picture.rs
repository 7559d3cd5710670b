//! A picture of figures: one bar each, as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const BAR: f64 = 28.0;
/// Room for names, at the least, and for each letter of the longest one.
const LEFT: f64 = 90.0;
const LETTER: f64 = 8.0;
const RIGHT: f64 = 130.0;

/// A bar.
pub struct Bar {
    /// What stands before it.
    pub name: String,
    /// How long it is.
    pub value: f64,
    /// What stands behind it.
    pub figure: String,
    /// Whether it is ours.
    pub own: bool,
}

/// The picture, or none where nothing was measured.
pub fn bars(title: &str, is_better_low: bool, bars: &[Bar]) -> Option<String> {
    let largest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    if largest <= 0.0 {
        return None;
    }
    let better = if is_better_low { "shorter is better" } else { "longer is better" };
    let longest = bars.iter().map(|bar| bar.name.chars().count()).max().unwrap_or(0);
    let left = LEFT.max(20.0 + LETTER * longest as f64);
    let height = 44.0 + BAR * bars.len() as f64 + 10.0;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"10\" y=\"24\" font-weight=\"600\" fill=\"#1c1e21\">{title}</text>\n\
         <text x=\"{}\" y=\"24\" text-anchor=\"end\" fill=\"#60656b\">{better}</text>",
        WIDTH - 10.0
    );
    for (at, Bar { name, value, figure, own }) in bars.iter().enumerate() {
        let y = 40.0 + BAR * at as f64;
        let width = ((WIDTH - left - RIGHT) * value / largest).max(1.0);
        let fill = if *own { "#0b6e4f" } else { "#b4bcc4" };
        let _ = writeln!(
            out,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#1c1e21\">{name}</text>\n\
             <rect x=\"{left}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"3\" fill=\"{fill}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#1c1e21\">{figure}</text>",
            left - 8.0,
            y + 17.0,
            y + 3.0,
            BAR - 6.0,
            left + width + 8.0,
            y + 17.0,
        );
    }
    out.push_str("</svg>\n");
    Some(out)
}
