//! The numbers of errors as C constants. They are those of `nyro_owned::error::ERRORS`, which is the table of
//! `docs/errors.md`; tests compare.

use nyro_owned::error::ERRORS;
use std::ffi::{CStr, CString};
use std::sync::OnceLock;

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
    NYRO_KEY_TOO_LARGE = 211,
    NYRO_VALUE_TOO_LARGE = 212,
    NYRO_OTHER_KIND = 213,
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
    NYRO_MEMTABLE_FULL = 604,
    NYRO_INTERNAL = 901,
}

/// The name of an error number, NUL-terminated, as in `docs/errors.md`.
pub(crate) fn name_of(code: u32) -> &'static CStr {
    static NAMES: OnceLock<Vec<CString>> = OnceLock::new();
    if code == 0 {
        return c"Ok";
    }
    let Ok(at) = ERRORS.binary_search_by_key(&code, |(number, _)| *number) else { return c"Unknown" };
    let names = NAMES.get_or_init(|| ERRORS.iter().map(|(_, name)| CString::new(*name).unwrap_or_default()).collect());
    names.get(at).map_or(c"Unknown", CString::as_c_str)
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
            assert_eq!(name_of(*number).to_str(), Ok(name.as_str()));
            let line = format!("{} = {number},", constant(name));
            assert!(header.contains(&line), "nyro.h lacks {line}");
        }
        let constants = header.lines().filter(|l| l.trim_start().starts_with("NYRO_") && l.contains(" = ")).count();
        assert_eq!(constants, table.len() + 1, "constants in nyro.h (NYRO_OK is the one more)");
        assert_eq!((name_of(999), name_of(0)), (c"Unknown", c"Ok"));
    }
}
