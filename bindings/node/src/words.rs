//! The word form: how documents cross between Rust and JavaScript.
//!
//! Building an object by Node-API calls takes some 30 calls a document. Instead a document, or a batch of them,
//! crosses as three things that JavaScript reads without any call: words and floats in one `ArrayBuffer` that both
//! sides know, and one string that holds all text.
//!
//! ```text
//!   words   | shape 7 | int 42 | str 3 | float | array 2 | str 1 | str 1 |     i32, tag in the low 3 bits
//!   floats  |                              1.5                           |     f64, taken in order
//!   text    |                    "Ada"                       "x"   "y"   |     substrings, taken in order
//! ```
//!
//! A map is one word that names its *shape*: the keys in their order, known to both sides. A map of a shape that is
//! not worth remembering is `OPEN`: its keys stand before its values, as strings. Everything that needs more
//! than 29 bits lies in the floats, also integers that are no `i32`, and the bytes of binaries.
//!
//! The same form goes the other way when documents are stored.

/// Bits of a word that hold the tag.
pub const TAG_BITS: u32 = 3;
/// An integer of 29 bits, with its sign.
pub const INT: i32 = 0;
/// A string; the length in UTF-16 units.
pub const STR: i32 = 1;
/// A number that is no `INT`: the next float.
pub const FLOAT: i32 = 2;
/// A map of a known shape; the number of the shape. The values follow.
pub const MAP: i32 = 3;
/// An array; the count. The elements follow.
pub const ARRAY: i32 = 4;
/// A map; the count. Keys and values follow in turn.
pub const OPEN: i32 = 5;
/// One of the values below.
pub const OTHER: i32 = 6;
/// Bytes; the length. They lie in the floats, padded to 8.
pub const BYTES: i32 = 7;

/// `null`.
pub const NULL: i32 = OTHER;
/// `false`.
pub const FALSE: i32 = 1 << TAG_BITS | OTHER;
/// `true`.
pub const TRUE: i32 = 2 << TAG_BITS | OTHER;
/// Nothing there (no document of this id).
pub const MISSING: i32 = 3 << TAG_BITS | OTHER;
/// An `i64` in the place of a float, beyond what a JavaScript number holds exactly.
pub const BIG: i32 = 4 << TAG_BITS | OTHER;
/// The same for a `u64`.
pub const BIG_UNSIGNED: i32 = 5 << TAG_BITS | OTHER;
/// A `Date`: the milliseconds are the next float.
pub const DATE: i32 = 6 << TAG_BITS | OTHER;
/// An extension: the code is the next word, then `BYTES`.
pub const EXT: i32 = 7 << TAG_BITS | OTHER;
/// No document: it could not be put into words.
pub const BAD: i32 = 8 << TAG_BITS | OTHER;

/// Smallest and largest integer that is an `INT`.
pub const INT_RANGE: std::ops::Range<i64> = -(1 << 28)..1 << 28;
/// Largest integer whose neighbours a double still tells apart: 2^53 - 1.
pub const MAX_SAFE: i64 = (1 << 53) - 1;
/// Largest moment a `Date` holds, in milliseconds from 1970.
pub const MAX_DATE_MS: i64 = 8_640_000_000_000_000;

/// A word with a tag and a payload, which is a length or a count and below 2^29.
#[inline]
pub fn word(tag: i32, payload: usize) -> i32 {
    (payload as i32) << TAG_BITS | tag
}
