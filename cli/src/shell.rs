//! `nyro completions` and `nyro man`: made from the same description as the command line itself.

use std::io::{self, Write};

use clap::{Command, CommandFactory};

use crate::args::{Cli, Completions, Man};
use crate::report::{Failure, Result};

/// Runs `nyro completions`.
pub fn completions(args: &Completions) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "nyro", &mut text);
    print(&text)
}

/// Runs `nyro man`.
pub fn man(args: &Man) -> Result<()> {
    let mut text = Vec::new();
    clap_mangen::Man::new(page(&args.verb)?).render(&mut text).map_err(|e| Failure::write(None, e))?;
    print(&text)
}

/// What the page is about: the program, one verb, or a verb of that verb.
fn page(names: &[String]) -> Result<Command> {
    let mut page = Cli::command();
    // Gives the verbs what all of them share.
    page.build();
    for name in names {
        let verb = page.get_subcommands().find(|verb| verb.get_name() == name);
        page = verb.ok_or_else(|| Failure::NoVerb(names.join(" ")))?.clone();
    }
    if names.is_empty() {
        return Ok(page);
    }
    // As in git-log(1), the page is found under the names of the program and of the verb.
    Ok(page.display_name(format!("nyro-{}", names.join("-"))).version(env!("CARGO_PKG_VERSION")))
}

fn print(text: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush()).map_err(|e| Failure::write(None, e))
}
