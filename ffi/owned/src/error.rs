//! Errors, as they cross a border: numbers, names and texts.
//!
//! [`ERRORS`] is the one list of all numbers with their names. The enumeration of `nyro.h`, the classes of Node and
//! Python and the values of Go are compared with `docs/errors.md` by a test each, and so is this list.

use nyro::Error;

/// Every number with its name, in order.
pub const ERRORS: &[(u32, &str)] = &[
    (101, "InvalidArgument"),
    (102, "InvalidName"),
    (103, "Closed"),
    (104, "NestedTransaction"),
    (105, "ReadOnly"),
    (106, "OptionsDiffer"),
    (107, "RolledBack"),
    (108, "Cancelled"),
    (109, "DeadlineExceeded"),
    (110, "Forked"),
    (111, "WrongThread"),
    (201, "MalformedDocument"),
    (202, "DocumentTooLarge"),
    (203, "DocumentTooDeep"),
    (204, "InvalidId"),
    (205, "DuplicateId"),
    (206, "Serialization"),
    (207, "CollectionNotFound"),
    (208, "CollectionExists"),
    (209, "IdsExhausted"),
    (210, "BulkWrite"),
    (211, "KeyTooLarge"),
    (212, "ValueTooLarge"),
    (213, "OtherKind"),
    (301, "Locked"),
    (302, "WriterTimeout"),
    (401, "NotADatabase"),
    (402, "UnknownFormat"),
    (403, "Corrupt"),
    (404, "LogMissing"),
    (405, "NoSuchFile"),
    (406, "NetworkFileSystem"),
    (407, "BackupMismatch"),
    (501, "Io"),
    (502, "DiskFull"),
    (503, "OutcomeUnknown"),
    (504, "WritesStopped"),
    (601, "TransactionTooLarge"),
    (602, "Full"),
    (603, "SnapshotTooOld"),
    (604, "MemtableFull"),
    (901, "Internal"),
];

/// The name of a number, if it is one of ours.
pub fn name(code: u32) -> Option<&'static str> {
    let at = ERRORS.binary_search_by_key(&code, |(number, _)| *number).ok()?;
    Some(ERRORS[at].1)
}

/// An error in parts that any language can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Its number.
    pub code: u32,
    /// Its name, such as `"DuplicateId"`.
    pub name: &'static str,
    /// Its kind, such as `"Exists"`.
    pub kind: String,
    /// What is wrong and what to do.
    pub message: String,
    /// Of a bulk write: how many documents were written.
    pub inserted: Option<u64>,
    /// Of a bulk write: place, number and text of each document that was not.
    pub failures: Vec<(u64, u32, String)>,
}

impl Parts {
    /// The parts of an error.
    pub fn of(error: &Error) -> Parts {
        let (inserted, failures) = match error {
            Error::BulkWrite { inserted, failures } => {
                let failures = failures.iter().map(|(place, error)| (*place, error.code(), error.to_string()));
                (Some(*inserted), failures.collect())
            }
            _ => (None, Vec::new()),
        };
        let code = error.code();
        Parts {
            code,
            name: name(code).unwrap_or("Unknown"),
            kind: format!("{:?}", error.kind()),
            message: error.to_string(),
            inserted,
            failures,
        }
    }
}

/// The error for a panic that was stopped at the border.
pub fn of_panic(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::Internal(format!("panic: {}", text.unwrap_or("no message")))
}
