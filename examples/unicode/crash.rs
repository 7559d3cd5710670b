//! A writer that is killed in the middle of its work.
//!
//! ```text
//!   parent                          child
//!     spawn ----------------------->  open
//!     <-- "67108864" -------------  commit, then say so on the pipe
//!     <-- "67108865" -------------  commit, then say so
//!     kill -9 --------------------->  (gone: no destructor, no flush, no close)
//!     open: recovery
//!     every number that was said is there
//! ```

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nyro::Database;

use crate::character::Character;
use crate::show::{grouped, Show};
use crate::{ensure, invented, Result, CHARACTERS};

/// First argument of the process that is to be killed.
pub const CHILD_FLAG: &str = "--write-until-killed";

/// First id the child writes.
const FIRST: u32 = 0x400_0000;

/// How long the child may write.
const WRITING_TIME: Duration = Duration::from_millis(700);

/// The child: one commit after the other, each acknowledged on standard output, for ever.
pub fn child(path: &Path) -> Result {
    let db = Database::open(path)?;
    let characters = db.collection::<Character>(CHARACTERS);
    let mut acknowledge = std::io::stdout().lock();
    for code_point in FIRST.. {
        characters.insert_one(&invented(code_point))?;
        writeln!(acknowledge, "{code_point}")?;
        acknowledge.flush()?;
    }
    Ok(())
}

/// Starts the child, kills it, and looks at what is left.
pub fn run(path: &Path, show: &Show) -> Result {
    show.step("Crash");
    let acknowledged = kill_a_writer(path)?;
    let last = *acknowledged.last().ok_or("the child acknowledged nothing")?;
    show.line(&format!("A second process committed {} documents, one by one,", grouped(acknowledged.len() as u64)));
    show.line("then it was killed with SIGKILL in the middle of its work.");

    show.step("After the crash");
    let start = Instant::now();
    let db = Database::open(path)?;
    let replayed = db.stats()?.replayed_commits;
    show.fact(&format!("reopened, {} commits replayed from the log", grouped(replayed)), start.elapsed());
    let characters = db.collection::<Character>(CHARACTERS);
    let mut lost = 0;
    for code_point in &acknowledged {
        lost += u32::from(characters.get(*code_point)? != Some(invented(*code_point)));
    }
    ensure(lost == 0, "every acknowledged write survives")?;
    // The commit after the last acknowledged one may or may not have made it; nothing beyond it.
    ensure(characters.get(last + 2)?.is_none(), "nothing is there that was not written")?;
    show.line(&format!("All {} acknowledged writes are there, none is lost.", grouped(acknowledged.len() as u64)));

    let start = Instant::now();
    db.verify()?;
    show.fact("verify: every page, index entry and document is sound", start.elapsed());
    Ok(db.close()?)
}

/// Lets a child write for a while, kills it, and returns what it acknowledged.
fn kill_a_writer(path: &Path) -> Result<Vec<u32>> {
    let mut child = Command::new(std::env::current_exe()?).arg(CHILD_FLAG).arg(path).stdout(Stdio::piped()).spawn()?;
    let pipe = child.stdout.take().ok_or("no pipe to the child")?;
    // Read on a thread of its own, so that the child never waits for us and dies at an arbitrary point.
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(pipe).lines().map_while(|line| line.ok()?.parse::<u32>().ok());
        lines.collect::<Vec<u32>>()
    });
    std::thread::sleep(WRITING_TIME);
    child.kill()?;
    child.wait()?;
    Ok(reader.join().map_err(|_| "the reader of the pipe panicked")?)
}
