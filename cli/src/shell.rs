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
    clap_mangen::Man::new(page(args.verb.as_deref())?).render(&mut text).map_err(|e| Failure::write(None, e))?;
    print(&text)
}

/// What the page is about: the program, or one verb.
fn page(verb: Option<&str>) -> Result<Command> {
    let mut program = Cli::command();
    // Gives the verbs what all of them share.
    program.build();
    let Some(name) = verb else { return Ok(program) };
    let verb = program.get_subcommands().find(|verb| verb.get_name() == name);
    let verb = verb.ok_or_else(|| Failure::NoVerb(name.to_owned()))?.clone();
    // As in git-log(1), the page is found under the names of the program and of the verb.
    Ok(verb.display_name(format!("nyro-{name}")).version(env!("CARGO_PKG_VERSION")))
}

fn print(text: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush()).map_err(|e| Failure::write(None, e))
}
