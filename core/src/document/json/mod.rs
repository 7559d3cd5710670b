//! Relaxed Extended JSON (version 2, as MongoDB defines it), in and out.
//!
//! ```text
//!   null, booleans, strings      as they are
//!   integers                     plain, all 64 bits                     7   18446744073709551615
//!   floats                       with point or exponent, so that they come back as floats   1.0   1e300
//!   NaN, infinities              {"$numberDouble":"NaN"}   {"$numberDouble":"-Infinity"}
//!   timestamps                   {"$date":"2024-01-02T03:04:05.123456789Z"}
//!   .. outside years 0001..9999  {"$date":{"$numberLong":"<ms>"}}, or $ext when not whole milliseconds
//!   binary                       {"$binary":{"base64":"...","subType":"00"}}
//!   other extension types        {"$ext":{"type":5,"base64":"..."}}
//!   a field named "$date"        {"$$date":...}
//! ```
//!
//! **Escape.** A field name that is one of [`WORDS`], or begins with `$$`, is written with one more `$` in
//! front; reading takes one `$` away from a name that begins with `$$`. So no map of a user is read as
//! a typed value, other `$` names (`$set`, `$gt`) need no escape, and the escape adds no level.
//!
//! The parser is our own because exactness needs the text of a number: integers beyond 64 bits must be
//! refused (not rounded), and floats must come back bit for bit.

mod base64;
mod parse;
mod write;

pub(crate) use parse::{parse_document, parse_value};
pub(crate) use write::{
    document_to_string, raw_to_string, raw_to_writer, write_document, write_id, write_raw, write_raw_array,
    write_value, Stop,
};

/// Names that stand for a type where they are the name of a field. Those after the first seven are
/// MongoDB's for types that are not here, or have another form here: reading converts or refuses them.
const WORDS: [&str; 17] = [
    "$binary",
    "$date",
    "$ext",
    "$numberDouble",
    "$numberInt",
    "$numberLong",
    "$oid",
    "$uuid",
    "$numberDecimal",
    "$timestamp",
    "$regularExpression",
    "$symbol",
    "$undefined",
    "$minKey",
    "$maxKey",
    "$code",
    "$dbPointer",
];

/// Whether a field name has to be escaped.
fn needs_escape(name: &str) -> bool {
    name.starts_with('$') && (name.starts_with("$$") || WORDS.contains(&name))
}
