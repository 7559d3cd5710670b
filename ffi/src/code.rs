//! The numbers of errors as C constants. They are those of `docs/errors.md`; a test compares.

/// What a call returns: `NYRO_OK`, or the number of an error. Numbers are stable and never reused; a newer
/// library may return numbers that are not listed here.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[rustfmt::skip]
#[allow(missing_docs, reason = "docs/errors.md says when each occurs")]
pub enum nyro_code {
    NYRO_OK = 0,
    NYRO_INVALID_ARGUMENT = 101,
    NYRO_INVALID_NAME = 102,
    NYRO_CLOSED = 103,
    NYRO_NESTED_TRANSACTION = 104,
    NYRO_READ_ONLY = 105,
    NYRO_OPTIONS_DIFFER = 106,
    NYRO_ROLLED_BACK = 107,
    NYRO_CANCELLED = 108,
    NYRO_DEADLINE_EXCEEDED = 109,
    NYRO_FORKED = 110,
    NYRO_WRONG_THREAD = 111,
    NYRO_MALFORMED_DOCUMENT = 201,
    NYRO_DOCUMENT_TOO_LARGE = 202,
    NYRO_DOCUMENT_TOO_DEEP = 203,
    NYRO_INVALID_ID = 204,
    NYRO_DUPLICATE_ID = 205,
    NYRO_SERIALIZATION = 206,
    NYRO_COLLECTION_NOT_FOUND = 207,
    NYRO_COLLECTION_EXISTS = 208,
    NYRO_IDS_EXHAUSTED = 209,
    NYRO_BULK_WRITE = 210,
    NYRO_LOCKED = 301,
    NYRO_WRITER_TIMEOUT = 302,
    NYRO_NOT_A_DATABASE = 401,
    NYRO_UNKNOWN_FORMAT = 402,
    NYRO_CORRUPT = 403,
    NYRO_LOG_MISSING = 404,
    NYRO_NO_SUCH_FILE = 405,
    NYRO_NETWORK_FILE_SYSTEM = 406,
    NYRO_BACKUP_MISMATCH = 407,
    NYRO_IO = 501,
    NYRO_DISK_FULL = 502,
    NYRO_OUTCOME_UNKNOWN = 503,
    NYRO_WRITES_STOPPED = 504,
    NYRO_TRANSACTION_TOO_LARGE = 601,
    NYRO_FULL = 602,
    NYRO_SNAPSHOT_TOO_OLD = 603,
    NYRO_INTERNAL = 901,
}

/// The name of an error number, NUL-terminated, as in `docs/errors.md`.
pub(crate) fn name_of(code: u32) -> &'static [u8] {
    match code {
        0 => b"Ok\0",
        101 => b"InvalidArgument\0",
        102 => b"InvalidName\0",
        103 => b"Closed\0",
        104 => b"NestedTransaction\0",
        105 => b"ReadOnly\0",
        106 => b"OptionsDiffer\0",
        107 => b"RolledBack\0",
        108 => b"Cancelled\0",
        109 => b"DeadlineExceeded\0",
        110 => b"Forked\0",
        111 => b"WrongThread\0",
        201 => b"MalformedDocument\0",
        202 => b"DocumentTooLarge\0",
        203 => b"DocumentTooDeep\0",
        204 => b"InvalidId\0",
        205 => b"DuplicateId\0",
        206 => b"Serialization\0",
        207 => b"CollectionNotFound\0",
        208 => b"CollectionExists\0",
        209 => b"IdsExhausted\0",
        210 => b"BulkWrite\0",
        301 => b"Locked\0",
        302 => b"WriterTimeout\0",
        401 => b"NotADatabase\0",
        402 => b"UnknownFormat\0",
        403 => b"Corrupt\0",
        404 => b"LogMissing\0",
        405 => b"NoSuchFile\0",
        406 => b"NetworkFileSystem\0",
        407 => b"BackupMismatch\0",
        501 => b"Io\0",
        502 => b"DiskFull\0",
        503 => b"OutcomeUnknown\0",
        504 => b"WritesStopped\0",
        601 => b"TransactionTooLarge\0",
        602 => b"Full\0",
        603 => b"SnapshotTooOld\0",
        901 => b"Internal\0",
        _ => b"Unknown\0",
    }
}

#[cfg(test)]
mod tests {
    use super::name_of;

    /// `| 205 | DuplicateId | Exists | ... |` -> (205, "DuplicateId")
    fn table() -> Vec<(u32, String)> {
        let text = include_str!("../../docs/errors.md");
        let rows = text.lines().filter_map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            Some((cells.next()?.parse().ok()?, cells.next()?.to_owned()))
        });
        rows.collect()
    }

    /// DuplicateId -> NYRO_DUPLICATE_ID
    fn constant(name: &str) -> String {
        let mut constant = "NYRO".to_owned();
        let mut after_capital = false;
        for (at, c) in name.char_indices() {
            // "NotADatabase" has a word of one letter.
            let next_is_small = name[at + c.len_utf8()..].starts_with(|n: char| n.is_lowercase());
            if c.is_uppercase() && (!after_capital || next_is_small) {
                constant.push('_');
            }
            after_capital = c.is_uppercase();
            constant.extend(c.to_uppercase());
        }
        constant
    }

    #[test]
    fn c_constants_and_names_are_those_of_the_error_table() {
        let table = table();
        assert!(table.len() >= 30, "{} rows", table.len());
        let header = include_str!("../../include/nyro.h");
        for (number, name) in &table {
            assert_eq!(name_of(*number), format!("{name}\0").as_bytes());
            let line = format!("{} = {number},", constant(name));
            assert!(header.contains(&line), "nyro.h lacks {line}");
        }
        let constants = header.lines().filter(|l| l.trim_start().starts_with("NYRO_") && l.contains(" = ")).count();
        assert_eq!(constants, table.len() + 1, "constants in nyro.h (NYRO_OK is the one more)");
        assert_eq!(name_of(999), b"Unknown\0");
    }
}
