//! Errors: one enumeration with stable numbers, the same in every language.
//!
//! ```text
//!   1xx  the call is wrong          (argument, state of the handle)
//!   2xx  the document is wrong      (malformed, too large, bad id, duplicate)
//!   3xx  somebody else is in the way (locked, busy, timed out)
//!   4xx  the file is wrong          (not ours, unknown version, corrupt, log missing)
//!   5xx  the machine failed         (I/O, disk full, sync failed)
//!   6xx  a limit was reached        (transaction too large, log full)
//!   9xx  our own mistake
//! ```
//!
//! Numbers are never reused; a retired one stays reserved. Every message says what is wrong, with the
//! numbers that show it, and what to do where that is known.

use std::fmt;
use std::io;
use std::sync::Arc;

/// The result of a call to NyroDB.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a program branches on; [`Error::code`] is what it logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The call or one of its arguments is wrong.
    InvalidArgument,
    /// The document cannot be stored as it is.
    InvalidDocument,
    /// A thing of that name or id is already there.
    Exists,
    /// The named thing is not there.
    NotFound,
    /// Somebody else holds what this call needs.
    Busy,
    /// The file is damaged or is not a NyroDB file.
    Corrupt,
    /// The file needs a newer program, or the platform lacks something.
    Unsupported,
    /// The operating system reported an error.
    Io,
    /// No room: on the disk, in the log, in a transaction.
    Full,
    /// The handle was closed.
    Closed,
    /// The caller's token or deadline stopped the call.
    Cancelled,
    /// A bug in NyroDB.
    Internal,
}

/// Where in the file damage was found, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The structure that was being read, in the words of `docs/file-format.md`.
    pub what: &'static str,
    /// The page (4 096 bytes each) or, for the log, the LSN.
    pub page: u64,
    /// The offset in bytes from the start of that page.
    pub offset: u32,
    /// The value that was expected.
    pub expected: u64,
    /// The value that was found.
    pub got: u64,
    /// The run of the sorted index that it belongs to, where it is part of one.
    pub run: Option<u64>,
}

/// Everything that can go wrong, with the data that shows it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// 101: an argument is out of its range. The text names the argument and the range.
    InvalidArgument(String),
    /// 102: a collection name is empty, longer than 255 bytes, holds NUL or `$`, or starts with `system.`.
    InvalidName(String),
    /// 103: the database, or the handle, was closed.
    Closed,
    /// 104: a write transaction was started inside a write transaction of the same thread.
    NestedTransaction,
    /// 105: a write on a database that was opened for reading only.
    ReadOnly,
    /// 106: the same file is already open in this process with other options.
    OptionsDiffer(String),
    /// 107: the transaction was rolled back at the caller's wish.
    RolledBack,
    /// 108: a long call was stopped by its cancel token.
    Cancelled,
    /// 109: a long call did not end before its deadline.
    DeadlineExceeded,
    /// 110: the database was opened by the process that this one was forked from.
    Forked,
    /// 111: a transaction was used by another thread than the one that began it.
    WrongThread,

    /// 201: the bytes are not well-formed MessagePack, or not a map with string keys.
    MalformedDocument {
        /// Offset in bytes from the start of the document.
        offset: usize,
        /// What was wrong there.
        reason: &'static str,
    },
    /// 202: the document is larger than `max_document_bytes`.
    DocumentTooLarge {
        /// Size of the document in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// 203: the document nests deeper than 100 levels.
    DocumentTooDeep {
        /// The limit in levels.
        limit: u32,
    },
    /// 204: `_id` is missing where it is needed, of a wrong type, or longer than 1 024 bytes.
    InvalidId(String),
    /// 205: a document with this `_id` is already in the collection.
    DuplicateId {
        /// The collection.
        collection: String,
        /// The id, as JSON.
        id: String,
    },
    /// 206: a value could not be turned into a document or back; serde's reason.
    Serialization(String),
    /// 207: a name that must exist does not.
    CollectionNotFound(String),
    /// 208: a name that must not exist does.
    CollectionExists(String),
    /// 209: the last integer id was given out; ids must be given by the caller from here on.
    IdsExhausted(String),

    /// 211: a key of a keyspace is longer than 65 535 bytes.
    KeyTooLarge {
        /// Bytes of the key.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// 212: a value of a keyspace is larger than `max_document_bytes`.
    ValueTooLarge {
        /// Bytes of the value.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// 213: the name is that of a keyspace where a collection is wanted, or the other way round.
    OtherKind {
        /// The name.
        name: String,
        /// What bears it: `collection` or `keyspace`.
        kind: &'static str,
    },

    /// 210: some documents of a bulk write were not written.
    BulkWrite {
        /// How many were written.
        inserted: u64,
        /// Place and reason of each that was not (only the first, if the write was ordered).
        failures: Vec<(u64, Error)>,
    },

    /// 301: another process has the file open.
    Locked {
        /// Path of the file.
        path: String,
        /// Process id of the holder, 0 where the system does not tell.
        pid: u32,
        /// User name of the holder, empty where the system does not tell.
        user: String,
    },
    /// 302: the writer lock was not free within `writer_timeout_ms`.
    WriterTimeout {
        /// How long the call waited, in milliseconds.
        waited_ms: u64,
    },

    /// 401: the file exists and is not a NyroDB file; nothing was written to it.
    NotADatabase {
        /// Path of the file.
        path: String,
        /// What was found.
        reason: String,
    },
    /// 402: the file has a format version or a feature that this program does not know.
    UnknownFormat {
        /// Version found.
        version: u32,
        /// Newest version known.
        known: u32,
        /// Required feature bits that are not known.
        features: u64,
    },
    /// 403: a structure of the file is damaged.
    Corrupt(Damage),
    /// 404: the file was not closed cleanly and its log is missing or belongs to another file.
    LogMissing {
        /// The log file that was looked for.
        name: String,
        /// What was found in its place.
        reason: String,
    },
    /// 405: there is no file at this path, and `create` is off.
    NoSuchFile(String),
    /// 406: the file lies on a network file system, where locks and syncs can't be relied on.
    NetworkFileSystem {
        /// Path of the file.
        path: String,
        /// The kind of file system.
        file_system: String,
    },
    /// 407: a backup can't be used as asked: it is of another database, or not the next one of its chain.
    BackupMismatch(String),

    /// 501: the operating system reported an error; nothing was changed.
    Io {
        /// What was being done.
        doing: &'static str,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// 502: the disk is full; nothing was changed.
    DiskFull {
        /// What was being done.
        doing: &'static str,
    },
    /// 503: a sync failed. Whether the last commits survive is known only after reopening.
    OutcomeUnknown {
        /// The last commit number known to be durable.
        durable: u64,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// 504: an earlier write or sync failed; this handle reads but no longer writes.
    WritesStopped {
        /// The last commit number known to be durable.
        durable: u64,
        /// The first failure.
        source: Arc<io::Error>,
    },

    /// 601: the transaction is larger than the limit; it was rolled back.
    TransactionTooLarge {
        /// Size in bytes.
        bytes: u64,
        /// Limit in bytes.
        limit: u64,
    },
    /// 602: the log is full and no checkpoint succeeds; nothing was changed.
    Full {
        /// Bytes in the log since the last checkpoint.
        log_bytes: u64,
        /// The limit in bytes.
        limit: u64,
        /// Why the last checkpoint failed, if one did.
        reason: String,
    },

    /// 603: the snapshot is older than the limit that the database was opened with, and was ended.
    SnapshotTooOld {
        /// The limit in milliseconds.
        limit_ms: u64,
    },
    /// 604: the memtable has no room for more, and no checkpoint has folded it.
    MemtableFull,

    /// 901: a bug in NyroDB. Please report it with the text.
    Internal(String),
}

impl Error {
    /// The stable number of this error, the same in every language.
    pub fn code(&self) -> u32 {
        match self {
            Error::InvalidArgument(_) => 101,
            Error::InvalidName(_) => 102,
            Error::Closed => 103,
            Error::NestedTransaction => 104,
            Error::ReadOnly => 105,
            Error::OptionsDiffer(_) => 106,
            Error::RolledBack => 107,
            Error::Cancelled => 108,
            Error::DeadlineExceeded => 109,
            Error::Forked => 110,
            Error::WrongThread => 111,
            Error::MalformedDocument { .. } => 201,
            Error::DocumentTooLarge { .. } => 202,
            Error::DocumentTooDeep { .. } => 203,
            Error::InvalidId(_) => 204,
            Error::DuplicateId { .. } => 205,
            Error::Serialization(_) => 206,
            Error::CollectionNotFound(_) => 207,
            Error::CollectionExists(_) => 208,
            Error::IdsExhausted(_) => 209,
            Error::BulkWrite { .. } => 210,
            Error::KeyTooLarge { .. } => 211,
            Error::ValueTooLarge { .. } => 212,
            Error::OtherKind { .. } => 213,
            Error::Locked { .. } => 301,
            Error::WriterTimeout { .. } => 302,
            Error::NotADatabase { .. } => 401,
            Error::UnknownFormat { .. } => 402,
            Error::Corrupt(_) => 403,
            Error::LogMissing { .. } => 404,
            Error::NoSuchFile(_) => 405,
            Error::NetworkFileSystem { .. } => 406,
            Error::BackupMismatch(_) => 407,
            Error::Io { .. } => 501,
            Error::DiskFull { .. } => 502,
            Error::OutcomeUnknown { .. } => 503,
            Error::WritesStopped { .. } => 504,
            Error::TransactionTooLarge { .. } => 601,
            Error::Full { .. } => 602,
            Error::SnapshotTooOld { .. } => 603,
            Error::MemtableFull => 604,
            Error::Internal(_) => 901,
        }
    }

    /// The coarse kind, for a program to branch on.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::InvalidArgument(_)
            | Error::InvalidName(_)
            | Error::NestedTransaction
            | Error::WrongThread
            | Error::ReadOnly
            | Error::RolledBack
            | Error::BackupMismatch(_)
            | Error::OptionsDiffer(_) => ErrorKind::InvalidArgument,
            Error::Closed | Error::Forked | Error::SnapshotTooOld { .. } => ErrorKind::Closed,
            Error::Cancelled | Error::DeadlineExceeded => ErrorKind::Cancelled,
            Error::MalformedDocument { .. }
            | Error::DocumentTooLarge { .. }
            | Error::DocumentTooDeep { .. }
            | Error::InvalidId(_)
            | Error::KeyTooLarge { .. }
            | Error::ValueTooLarge { .. }
            | Error::Serialization(_) => ErrorKind::InvalidDocument,
            Error::DuplicateId { .. } | Error::CollectionExists(_) | Error::OtherKind { .. } => ErrorKind::Exists,
            Error::BulkWrite { failures, .. } => {
                failures.first().map_or(ErrorKind::InvalidDocument, |(_, error)| error.kind())
            }
            Error::CollectionNotFound(_) | Error::NoSuchFile(_) => ErrorKind::NotFound,
            Error::Locked { .. } | Error::WriterTimeout { .. } => ErrorKind::Busy,
            Error::NotADatabase { .. } | Error::Corrupt(_) | Error::LogMissing { .. } => ErrorKind::Corrupt,
            Error::UnknownFormat { .. } | Error::NetworkFileSystem { .. } => ErrorKind::Unsupported,
            Error::Io { .. } | Error::OutcomeUnknown { .. } | Error::WritesStopped { .. } => ErrorKind::Io,
            Error::IdsExhausted(_)
            | Error::DiskFull { .. }
            | Error::TransactionTooLarge { .. }
            | Error::MemtableFull
            | Error::Full { .. } => ErrorKind::Full,
            Error::Internal(_) => ErrorKind::Internal,
        }
    }

    /// An operating-system error, told apart into "disk full" and the rest. A quota, and a limit on the length of files,
    /// are a full disk to those whom they bind.
    pub(crate) fn io(doing: &'static str, source: io::Error) -> Error {
        let no_room = matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG));
        if no_room || source.kind() == io::ErrorKind::StorageFull {
            return Error::DiskFull { doing };
        }
        Error::Io { doing, source: Arc::new(source) }
    }

    /// Damage found in the file.
    pub(crate) fn corrupt(what: &'static str, page: u64, offset: u32, expected: u64, got: u64) -> Error {
        Error::Corrupt(Damage { what, page, offset, expected, got, run: None })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidArgument(what) => write!(f, "invalid argument: {what}"),
            Error::InvalidName(name) => write!(
                f,
                "invalid name {name:?}: use 1 to 255 bytes of UTF-8 without NUL or '$', not starting with 'system.'"
            ),
            Error::Closed => write!(f, "the database is closed; open it again"),
            Error::NestedTransaction => {
                write!(f, "a write transaction is already open on this thread; use it instead of starting another")
            }
            Error::ReadOnly => write!(f, "the database was opened read-only; reopen it for writing"),
            Error::OptionsDiffer(what) => {
                write!(f, "this file is already open in this process with other options ({what}); use the same options or close it first")
            }
            Error::RolledBack => write!(f, "the transaction was rolled back by the caller"),
            Error::Cancelled => write!(f, "the call was cancelled"),
            Error::DeadlineExceeded => write!(f, "the call did not end before its deadline; give it more time"),
            Error::Forked => {
                write!(f, "this process was forked from the one that opened the database; open it again after the fork")
            }
            Error::WrongThread => {
                write!(f, "a transaction belongs to the thread that began it; use it there, or begin one on this thread")
            }
            Error::MalformedDocument { offset, reason } => {
                write!(f, "malformed document at byte {offset}: {reason}")
            }
            Error::DocumentTooLarge { bytes, limit } => write!(
                f,
                "the document has {bytes} bytes and the limit is {limit}; split it, or raise max_document_bytes"
            ),
            Error::DocumentTooDeep { limit } => write!(f, "the document nests deeper than {limit} levels; flatten it"),
            Error::InvalidId(why) => write!(
                f,
                "invalid _id: {why}; use an integer from -2^63 to 2^64-1, or a string or binary of at most 1024 bytes"
            ),
            Error::DuplicateId { collection, id } => write!(
                f,
                "a document with _id {id} is already in collection {collection:?}; use put to replace it"
            ),
            Error::Serialization(why) => write!(f, "the value does not fit a document: {why}"),
            Error::CollectionNotFound(name) => write!(f, "there is no collection {name:?}"),
            Error::CollectionExists(name) => write!(f, "collection {name:?} is already there"),
            Error::IdsExhausted(name) => {
                write!(f, "collection {name:?} has used the last integer id; give documents an _id of your own")
            }
            Error::KeyTooLarge { bytes, limit } => {
                write!(f, "the key has {bytes} bytes; the limit is {limit}: use a shorter one, or a hash of it")
            }
            Error::ValueTooLarge { bytes, limit } => {
                write!(f, "the value has {bytes} bytes; the limit is {limit} (max_document_bytes): cut it up")
            }
            Error::OtherKind { name, kind } => {
                write!(f, "{name:?} is the name of a {kind}; choose another name")
            }
            Error::BulkWrite { inserted, failures } => {
                write!(f, "{inserted} documents were inserted and {} failed", failures.len())?;
                match failures.first() {
                    Some((index, error)) => write!(f, "; the first is number {index}: {error}"),
                    None => Ok(()),
                }
            }
            Error::Locked { path, pid, user } => {
                write!(f, "{path:?} is open in another process")?;
                if *pid != 0 {
                    write!(f, " (process {pid}")?;
                    if !user.is_empty() {
                        write!(f, ", user {user}")?;
                    }
                    write!(f, ")")?;
                }
                write!(f, "; close it there first")
            }
            Error::WriterTimeout { waited_ms } => write!(
                f,
                "another write transaction held the writer for {waited_ms} ms; keep transactions short or raise writer_timeout_ms"
            ),
            Error::NotADatabase { path, reason } => {
                write!(f, "{path:?} is not a NyroDB file ({reason}); nothing was written to it")
            }
            Error::UnknownFormat { version, known, features } => write!(
                f,
                "the file has format version {version} (features {features:#x}) and this program knows up to {known}; use a newer NyroDB"
            ),
            Error::Corrupt(d @ Damage { run: Some(run), .. }) => write!(
                f,
                "corrupt {} in run {run} at page {} offset {}: expected {:#x}, got {:#x}; restore from a backup, or \
                 copy what can still be read",
                d.what, d.page, d.offset, d.expected, d.got
            ),
            Error::Corrupt(d) => write!(
                f,
                "corrupt {} at page {} offset {}: expected {:#x}, got {:#x}; restore from a backup or run repair",
                d.what, d.page, d.offset, d.expected, d.got
            ),
            Error::LogMissing { name, reason } => write!(
                f,
                "the file was not closed cleanly and its log {name:?} can't be used ({reason}); put the log back beside the file"
            ),
            Error::NoSuchFile(path) => write!(f, "there is no file {path:?}; set create, or check the path"),
            Error::NetworkFileSystem { path, file_system } => write!(
                f,
                "{path:?} lies on a network file system ({file_system}), where locks and syncs can't be relied on; use a local disk, or set allow_network_file_system"
            ),
            Error::BackupMismatch(why) => write!(f, "the backup can't be used: {why}"),
            Error::Io { doing, source } => write!(f, "I/O error while {doing}: {source}"),
            Error::DiskFull { doing } => {
                write!(f, "the disk is full (while {doing}); nothing was changed; free some space and try again")
            }
            Error::OutcomeUnknown { durable, source } => write!(
                f,
                "a sync failed ({source}); commits after {durable} may or may not survive: reopen the database to see"
            ),
            Error::WritesStopped { durable, source } => write!(
                f,
                "writing has stopped since an earlier failure ({source}); commits up to {durable} are durable; reopen the database"
            ),
            Error::TransactionTooLarge { bytes, limit } => write!(
                f,
                "the transaction has {bytes} bytes and the limit is {limit}; it was rolled back: commit in smaller parts"
            ),
            Error::MemtableFull => {
                write!(f, "the memtable is full; call checkpoint(), or open with a smaller cache_bytes")
            }
            Error::Full { log_bytes, limit, reason } => write!(
                f,
                "the log holds {log_bytes} bytes (limit {limit}) and no checkpoint succeeds ({reason}); free disk space or close old snapshots"
            ),
            Error::SnapshotTooOld { limit_ms } => write!(
                f,
                "the snapshot is older than {limit_ms} ms and was ended; take a new one, or raise snapshot_max_age_ms"
            ),
            Error::Internal(what) => write!(f, "bug in NyroDB: {what}; please report it"),
        }
    }
}

/// As its number and its text, where a report tells of an error.
#[cfg(not(loom))]
impl serde::Serialize for Error {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut out = serializer.serialize_struct("Error", 2)?;
        out.serialize_field("code", &self.code())?;
        out.serialize_field("message", &self.to_string())?;
        out.end()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } | Error::OutcomeUnknown { source, .. } | Error::WritesStopped { source, .. } => {
                Some(source.as_ref())
            }
            _ => None,
        }
    }
}
