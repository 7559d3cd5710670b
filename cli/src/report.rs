//! What the program says: results on standard output, failures on standard error, exit codes.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nyro::{Error, ErrorKind};
use serde_json::{json, Map, Value};

/// Exit code of an error that has no code of its own.
pub const EXIT_ERROR: u8 = 1;
/// Exit code of wrong usage.
pub const EXIT_USAGE: u8 = 2;
/// Exit code when the document, the collection or the file is not there.
pub const EXIT_NOT_FOUND: u8 = 3;
/// Exit code when the file is damaged or is not a NyroDB file.
pub const EXIT_CORRUPT: u8 = 4;
/// Exit code when another process has the file open.
pub const EXIT_LOCKED: u8 = 5;

/// The result of a verb.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// What is counted: one, and many.
pub type Noun = (&'static str, &'static str);

/// Documents.
pub const DOCUMENTS: Noun = ("document", "documents");
/// Keys of a keyspace.
pub const KEYS: Noun = ("key", "keys");

/// Why a verb did not do what it was asked for.
#[derive(Debug)]
pub enum Failure {
    /// The engine reported an error.
    Engine(Error),
    /// No document with these ids (as JSON).
    NoDocument { collection: String, ids: Vec<String> },
    /// No value with these keys.
    NoKey { keyspace: String, keys: Vec<String> },
    /// There is no such keyspace.
    NoKeyspace(String),
    /// Of an argument.
    NotHex(String),
    /// A document of the input can't be imported.
    BadInput { input: String, line: u64, reason: String, imported: u64, noun: Noun },
    /// Import stopped for a reason that has nothing to do with the input.
    ImportStopped { line: u64, imported: u64, error: Error, noun: Noun },
    /// Reading or writing something that is not the database.
    Io { doing: String, error: io::Error },
    /// The checker found damage that the engine did not take for damage.
    Damaged(Error),
    /// The file to watch is open in another process.
    OpenElsewhere(Error),
    /// `torture` found that something is missing or not whole.
    Lost { seed: u64, kills: u64, reason: String, kept: PathBuf },
    /// `repair` could not save everything.
    NotAllSaved { new: PathBuf },
    /// There is no such verb.
    NoVerb(String),
    /// Whoever read our standard output has closed it. Nothing to complain about.
    OutputClosed,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Engine(error)
    }
}

impl Failure {
    /// Failure to write standard output or a file.
    pub fn write(path: Option<&Path>, error: io::Error) -> Self {
        match path {
            None if error.kind() == io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            None => Failure::Io { doing: "writing to standard output".to_owned(), error },
            Some(path) => Failure::Io { doing: format!("writing {}", path.display()), error },
        }
    }

    /// Failure to read the file of that name, or standard input.
    pub fn read(path: Option<&PathBuf>, error: io::Error) -> Self {
        let name = path.map_or("standard input".to_owned(), |p| p.display().to_string());
        Failure::Io { doing: format!("reading {name}"), error }
    }

    /// The exit code of the program.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::OutputClosed => 0,
            Failure::NoDocument { .. } | Failure::NoKey { .. } | Failure::NoKeyspace(_) => EXIT_NOT_FOUND,
            Failure::Damaged(_) | Failure::Lost { .. } | Failure::NotAllSaved { .. } => EXIT_CORRUPT,
            Failure::OpenElsewhere(_) => EXIT_LOCKED,
            Failure::NoVerb(_) | Failure::NotHex(_) => EXIT_USAGE,
            Failure::Engine(e) | Failure::ImportStopped { error: e, .. } => match (e, e.kind()) {
                (Error::Locked { .. }, _) => EXIT_LOCKED,
                (_, ErrorKind::NotFound) => EXIT_NOT_FOUND,
                (_, ErrorKind::Corrupt) => EXIT_CORRUPT,
                _ => EXIT_ERROR,
            },
            Failure::BadInput { .. } | Failure::Io { .. } => EXIT_ERROR,
        }
    }

    /// The failure as the object that `--json` prints.
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("message".to_owned(), json!(self.to_string()));
        fields.insert("exit_code".to_owned(), json!(self.exit_code()));
        let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        match self {
            Failure::Engine(e) | Failure::ImportStopped { error: e, .. } | Failure::OpenElsewhere(e) => {
                add("code", json!(e.code()));
                add("kind", json!(format!("{:?}", e.kind())));
            }
            Failure::NoDocument { ids, .. } => {
                add("kind", json!("NotFound"));
                add("ids", ids.iter().map(|id| serde_json::from_str(id).unwrap_or_else(|_| json!(id))).collect());
            }
            Failure::NoKey { keys, .. } => {
                add("kind", json!("NotFound"));
                add("keys", json!(keys));
            }
            Failure::NoKeyspace(_) => {
                add("kind", json!("NotFound"));
            }
            Failure::Damaged(e) => {
                add("code", json!(e.code()));
                add("kind", json!("Corrupt"));
            }
            Failure::BadInput { .. } => {
                add("kind", json!("InvalidDocument"));
            }
            Failure::Lost { seed, kills, kept, .. } => {
                add("kind", json!("Corrupt"));
                add("seed", json!(seed));
                add("kills", json!(kills));
                add("kept", json!(kept.display().to_string()));
            }
            Failure::NotAllSaved { .. } => {
                add("kind", json!("Corrupt"));
            }
            Failure::NoVerb(_) | Failure::NotHex(_) => {
                add("kind", json!("Usage"));
            }
            Failure::Io { .. } | Failure::OutputClosed => {
                add("kind", json!("Io"));
            }
        }
        if let Failure::BadInput { line, imported, .. } | Failure::ImportStopped { line, imported, .. } = self {
            add("line", json!(line));
            add("imported", json!(imported));
        }
        json!({ "error": fields })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The engine speaks to programs: "set create". Here there is nothing to set.
            Failure::Engine(Error::NoSuchFile(path)) => write!(f, "there is no file {path:?}; check the path"),
            Failure::Engine(error) => error.fmt(f),
            Failure::NoDocument { collection, ids } => {
                write!(f, "no document with _id {} in collection {collection:?}", ids.join(", "))
            }
            Failure::NoKey { keyspace, keys } => write!(f, "no key {} in keyspace {keyspace:?}", keys.join(", ")),
            Failure::NoKeyspace(name) => write!(f, "there is no keyspace {name:?}; nyro collections lists them"),
            Failure::NotHex(text) => {
                write!(f, "{text:?} is not an even number of hexadecimal digits, which --hex asks for")
            }
            Failure::BadInput { input, line, reason, imported, noun } => write!(
                f,
                "{input}, line {line}: {reason}\n{} imported, nothing from line {line} on",
                were(*imported, *noun)
            ),
            Failure::ImportStopped { line, imported, error, noun } => {
                write!(f, "{error}\n{} imported, nothing from line {line} on", were(*imported, *noun))
            }
            Failure::Io { doing, error } => write!(f, "{doing}: {error}"),
            Failure::Damaged(error) => write!(f, "the file is damaged: {error}"),
            Failure::OpenElsewhere(error) => write!(
                f,
                "{error}. What it does at the moment only that program can tell (Database::stats); nyro watches a \
                 file that no program has open"
            ),
            Failure::Lost { seed, kills, reason, kept } => write!(
                f,
                "after kill {kills}: {reason}\nthe files are kept in {}; seed {seed} repeats the operations. Please \
                 report it",
                kept.display()
            ),
            Failure::NotAllSaved { new } => {
                write!(f, "not all could be saved; what could is in {}", new.display())
            }
            Failure::NoVerb(name) => write!(f, "there is no verb {name:?}; nyro --help lists them"),
            Failure::OutputClosed => write!(f, "standard output was closed"),
        }
    }
}

/// Writes to standard output, at once.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Failure::write(None, e))
}

/// "1 document", "34 924 documents".
pub fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

/// "1 document was", "34 924 documents were".
fn were(n: u64, (one, many): Noun) -> String {
    format!("{} {}", count(n, one, many), if n == 1 { "was" } else { "were" })
}

/// A number with its thousands set apart: 34 924.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A size for people: 812 bytes, 4.0 KiB, 1.2 GiB.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_easily() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(34_924), "34 924");
        assert_eq!(grouped(1_000_000), "1 000 000");
        assert_eq!(count(1, "document", "documents"), "1 document");
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(4096), "4.0 KiB");
        assert_eq!(size(3 << 30), "3.0 GiB");
    }
}
