//! NyroDB on real data: the Unicode Character Database. Run it with `make demo`.
//!
//! ```text
//!   1  import      34 924 characters become documents
//!   2  read        some by code point, then all of them at random
//!   3  change      an update and a delete in one transaction; one that rolls back
//!   4  snapshot    stays as it was while other threads write
//!   5  crash       a second process writes and says what was acknowledged; kill -9 in the middle
//!   6  after it    reopen: every acknowledged write is there; verify
//! ```
//!
//! Everything that is said is checked; if something is not as said, the demo stops with an error.

mod character;
mod crash;
mod show;

use std::error::Error;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use character::Character;
use nyro::Database;
use show::{grouped, size, Show};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// The collection of all steps.
const CHARACTERS: &str = "characters";

fn main() -> Result {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|a| a == crash::CHILD_FLAG) {
        let path = args.next().ok_or("the child needs the path of the database")?;
        return crash::child(Path::new(&path));
    }
    let folder = Folder::new()?;
    let path = folder.0.join("unicode.nyro");
    let show = Show::new();
    show.title("NyroDB on the Unicode Character Database");

    let characters = unpack()?;
    let db = Database::open(&path)?;
    import(&db, &characters, &show)?;
    read(&db, &characters, &show)?;
    change(&db, &show)?;
    snapshot(&db, &show)?;
    db.close()?;
    show_size(&path, &characters, &show)?;
    crash::run(&path, &show)?;
    show.done("All as promised.");
    Ok(())
}

/// A folder for the demo's files, removed at the end, whatever the end is.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        let path = std::env::temp_dir().join(format!("nyro-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Unpacks and parses the data.
fn unpack() -> Result<Vec<Character>> {
    let packed: &[u8] = include_bytes!("../data/UnicodeData.txt.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text)?;
    Ok(text.lines().map(Character::parse).collect::<std::result::Result<_, _>>()?)
}

fn import(db: &Database, all: &[Character], show: &Show) -> Result {
    show.step("Import");
    let start = Instant::now();
    let characters = db.collection::<Character>(CHARACTERS);
    for batch in all.chunks(1000) {
        characters.insert_many(batch)?;
    }
    let (took, commits) = (start.elapsed(), all.len().div_ceil(1000));
    let count = characters.count_documents()?;
    ensure(count == all.len() as u64, "every character was counted")?;
    show.fact(&format!("{} documents in {commits} commits, each synced to the disk", grouped(count)), took);
    Ok(())
}

fn read(db: &Database, all: &[Character], show: &Show) -> Result {
    show.step("Read by id");
    let characters = db.collection::<Character>(CHARACTERS);
    for code_point in ['A' as u32, 'é' as u32, '½' as u32, '€' as u32, '🦀' as u32] {
        let found = characters.get(code_point)?.ok_or("a character is missing")?;
        let character = found.character.unwrap_or(' ');
        show.line(&format!("U+{:04X}  {character}  {}", found.code_point, found.name.to_lowercase()));
    }
    ensure(characters.get(0x110000)?.is_none(), "what is not there is not found")?;

    // In an order that jumps about, yet reaches each: a step that shares no factor with the count.
    let step = 7919;
    ensure(all.len() % step != 0, "the step reaches every character")?;
    let start = Instant::now();
    for i in 0..all.len() {
        let expected = &all[i * step % all.len()];
        ensure(characters.get(expected.code_point)?.as_ref() == Some(expected), &expected.name)?;
    }
    show.fact(&format!("{} read at random and compared with the source", grouped(all.len() as u64)), start.elapsed());
    Ok(())
}

fn change(db: &Database, show: &Show) -> Result {
    show.step("Change, in one transaction");
    let characters = db.collection::<Character>(CHARACTERS);
    let start = Instant::now();
    db.write(|tx| {
        let characters = tx.collection::<Character>(CHARACTERS);
        if let Some(mut crab) = characters.get('🦀' as u32)? {
            crab.name = "CRAB, THE MASCOT OF RUST".to_owned();
            characters.put(&crab)?;
        }
        characters.delete(0x0000)?;
        Ok(())
    })?;
    let took = start.elapsed();
    let crab = characters.get('🦀' as u32)?.ok_or("the crab is missing")?;
    ensure(crab.name.starts_with("CRAB, THE") && characters.get(0)?.is_none(), "both changes are there")?;
    show.fact("U+1F980 renamed and U+0000 deleted", took);

    let rolled_back = db.write(|tx| {
        tx.collection::<Character>(CHARACTERS).delete('A' as u32)?;
        Err::<(), _>(nyro::Error::RolledBack)
    });
    ensure(rolled_back.is_err() && characters.get('A' as u32)?.is_some(), "the rollback left no trace")?;
    show.line("A transaction that returns an error leaves no trace: U+0041 is still there.");
    Ok(())
}

/// Two threads write as fast as they can; meanwhile a snapshot is read over and over.
fn snapshot(db: &Database, show: &Show) -> Result {
    show.step("Snapshot");
    let snapshot = db.snapshot()?;
    let before = snapshot.collection::<Character>(CHARACTERS)?.count_documents()?;
    let (stop, start) = (AtomicBool::new(false), Instant::now());
    let (scans, written) = std::thread::scope(|scope| -> Result<(u32, u64)> {
        let writers = [0u32, 1].map(|n| {
            let (db, stop) = (db, &stop);
            scope.spawn(move || write_until(db, stop, 0x20_0000 + n * 0x10_0000))
        });
        let scans = scan_repeatedly(&snapshot, before);
        stop.store(true, Ordering::Relaxed);
        let mut written = 0;
        for writer in writers {
            written += writer.join().map_err(|_| "a writer panicked")??;
        }
        Ok((scans?, written))
    })?;
    let after = db.collection::<Character>(CHARACTERS).count_documents()?;
    ensure(after == before + written, "every write of the threads was counted")?;
    show.fact(&format!("{scans} full scans of the snapshot, {} documents each time", grouped(before)), start.elapsed());
    show.line(&format!("Meanwhile two threads added {}; now there are {}.", grouped(written), grouped(after)));
    Ok(())
}

/// Scans the snapshot ten times; each scan must see the same.
fn scan_repeatedly(snapshot: &nyro::Snapshot, expected: u64) -> Result<u32> {
    const SCANS: u32 = 10;
    for _ in 0..SCANS {
        let mut seen = 0;
        for character in snapshot.collection::<Character>(CHARACTERS)?.scan() {
            ensure(character?.code_point < 0x20_0000, "the snapshot shows nothing written after it")?;
            seen += 1;
        }
        ensure(seen == expected, "each scan of a snapshot sees the same number of documents")?;
    }
    Ok(SCANS)
}

/// Inserts documents from `first` on, ten a commit, until told to stop; returns how many.
fn write_until(db: &Database, stop: &AtomicBool, first: u32) -> nyro::Result<u64> {
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        db.write(|tx| {
            let characters = tx.collection::<Character>(CHARACTERS);
            for n in 0..10 {
                characters.put(&invented(first + written + n))?;
            }
            Ok(())
        })?;
        written += 10;
    }
    Ok(written.into())
}

/// A document that is not in the data.
pub fn invented(code_point: u32) -> Character {
    Character {
        code_point,
        character: None,
        name: format!("INVENTED-{code_point:X}"),
        category: "Co".to_owned(),
        combining_class: 0,
        bidi_class: "L".to_owned(),
        decomposition: None,
        numeric_value: None,
        mirrored: false,
        uppercase: None,
        lowercase: None,
        titlecase: None,
    }
}

fn show_size(path: &Path, all: &[Character], show: &Show) -> Result {
    show.step("Size");
    let db = Database::open(path)?;
    let snapshot = db.snapshot()?;
    let characters = snapshot.collection::<Character>(CHARACTERS)?;
    let (mut documents, mut data_bytes) = (0u64, 0u64);
    for character in all {
        if let Some(document) = characters.get_raw(character.code_point)? {
            documents += 1;
            data_bytes += document.as_bytes().len() as u64;
        }
    }
    let total = characters.count_documents()?;
    drop(snapshot);
    db.close()?;
    show.line(&format!("{} characters as MessagePack: {}", grouped(documents), size(data_bytes)));
    let file_bytes = std::fs::metadata(path)?.len();
    show.line(&format!("the file, with {} invented ones: {}", grouped(total - documents), size(file_bytes)));
    Ok(())
}

/// An error unless `condition` holds.
pub fn ensure(condition: bool, promise: &str) -> Result {
    match condition {
        true => Ok(()),
        false => Err(format!("not kept: {promise}").into()),
    }
}
