//! What a long call says while it runs, and how Ctrl-C stops it.
//!
//! ```text
//!   library --- Progress ---> Control ---> bar on standard error, if that is a terminal; else nothing
//!           <-- Cancelled ---    ^
//!   Ctrl-C ----------------------+         the first asks the call to stop, the second ends the program
//! ```
//!
//! A call that was stopped ends the program with exit code 1, and leaves the file as its documentation says.

use std::io::IsTerminal;
use std::sync::OnceLock;

use indicatif::{ProgressBar, ProgressStyle};
use nyro::{CancelToken, Control};

/// The exit code of a program that Ctrl-C ended at once: 128 and the number of the signal, as shells have it.
const EXIT_INTERRUPTED: i32 = 130;

/// The token that Ctrl-C cancels from now on.
pub fn interruption() -> CancelToken {
    static TOKEN: OnceLock<CancelToken> = OnceLock::new();
    let token = TOKEN.get_or_init(|| {
        let token = CancelToken::new();
        let cancel = token.clone();
        // Without a handler Ctrl-C ends the program at once, which no file is the worse for.
        let _ = ctrlc::set_handler(move || {
            if cancel.is_cancelled() {
                std::process::exit(EXIT_INTERRUPTED);
            }
            cancel.cancel();
        });
        token
    });
    token.clone()
}

/// Shows how far a call is.
pub struct Bar {
    bar: ProgressBar,
    phase: &'static str,
}

impl Bar {
    /// A bar on standard error if that is a terminal, else nothing.
    pub fn new(json: bool) -> Bar {
        let bar = match json || !std::io::stderr().is_terminal() {
            true => ProgressBar::hidden(),
            false => ProgressBar::no_length(),
        };
        Bar { bar, phase: "" }
    }

    /// What the library is given: it tells this bar, and Ctrl-C stops it.
    pub fn control(&mut self) -> Control<'_> {
        let token = interruption();
        Control::new().on_progress(|step| self.show(step.phase, step.done, step.total, step.unit)).cancel(&token)
    }

    fn show(&mut self, phase: &'static str, done: u64, total: u64, unit: &'static str) {
        if phase != self.phase {
            self.phase = phase;
            self.bar.set_message(phase);
            if let Ok(style) = ProgressStyle::with_template(template(total > 0, unit)) {
                self.bar.set_style(style.progress_chars("=> "));
            }
        }
        if total > 0 {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn template(knows_total: bool, unit: &str) -> &'static str {
    match (knows_total, unit) {
        (true, "bytes") => "{msg:<12} {bar:20} {percent:>3} %  {bytes}/{total_bytes}  {eta}",
        (true, _) => "{msg:<12} {bar:20} {percent:>3} %  {human_pos}/{human_len}  {eta}",
        (false, "bytes") => "{msg:<12} {spinner} {bytes}  {elapsed}",
        (false, _) => "{msg:<12} {spinner} {human_pos}  {elapsed}",
    }
}
