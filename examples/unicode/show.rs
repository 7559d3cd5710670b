//! How the demo talks: short lines; bold headings on a terminal, plain ones elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

/// Where the demo's words go.
pub struct Show {
    bold: bool,
}

impl Show {
    /// Standard output.
    pub fn new() -> Show {
        Show { bold: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    fn heading(&self, text: &str) {
        match self.bold {
            true => println!("\x1b[1m{text}\x1b[0m"),
            false => println!("{text}"),
        }
    }

    /// The first line.
    pub fn title(&self, text: &str) {
        self.heading(text);
    }

    /// A step begins.
    pub fn step(&self, text: &str) {
        println!();
        self.heading(text);
    }

    /// Something that was done, and checked.
    pub fn line(&self, text: &str) {
        println!("  {text}");
    }

    /// Something that was done, and how long it took.
    pub fn fact(&self, text: &str, took: Duration) {
        println!("  {text:<62} {:>9}", duration(took));
    }

    /// The last line.
    pub fn done(&self, text: &str) {
        println!();
        self.heading(text);
    }
}

fn duration(took: Duration) -> String {
    match took.as_secs_f64() {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.001 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.0} µs", s * 1e6),
    }
}

/// A number with its thousands set apart.
pub fn grouped(n: u64) -> String {
    match n {
        0..=999 => n.to_string(),
        _ => format!("{} {:03}", grouped(n / 1000), n % 1000),
    }
}

/// A size for people.
pub fn size(bytes: u64) -> String {
    match bytes as f64 / 1024.0 {
        kib if kib < 1024.0 => format!("{kib:.1} KiB"),
        kib => format!("{:.1} MiB", kib / 1024.0),
    }
}
