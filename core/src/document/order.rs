//! The order of values, as in MongoDB.
//!
//! ```text
//!   null < numbers < strings < maps < arrays < binary < booleans < timestamps < other extensions
//!
//!   numbers     by value, integers and floats exactly: 2^53 < 2^53 + 1 as integers; NaN before all
//!   strings     by bytes
//!   maps        field by field: type of the value, name, value; then the one that ends first
//!   arrays      element by element; then the one that ends first
//!   binary      by length, then by bytes
//!   ext         by code, then as binary
//! ```
//!
//! Values compare equal when neither is smaller: 1 and 1.0, 0.0 and -0.0, NaN and NaN.

use std::cmp::Ordering;

use super::{RawValue, Value};

/// Compares two values of any types; a total order of what they mean.
///
/// ```
/// use std::cmp::Ordering;
/// use nyro::{compare, Value};
/// assert_eq!(compare(&Value::Int(1), &Value::Float(1.0)), Ordering::Equal);
/// assert_eq!(compare(&Value::from("a"), &Value::from(2)), Ordering::Greater);
/// assert_eq!(compare(&Value::Int(i64::MAX), &Value::Float(9_223_372_036_854_775_808.0)), Ordering::Less);
/// ```
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Document(a), Value::Document(b)) => {
            compare_fields(a.iter(), b.iter(), |value| rank(&leaf(value)), compare)
        }
        (Value::Array(a), Value::Array(b)) => compare_elements(a.iter(), b.iter(), compare),
        _ => compare_leaves(&leaf(a), &leaf(b)),
    }
}

/// [`compare`] for values that are read in place. Damaged bytes end a map or array early.
pub fn compare_raw(a: RawValue<'_>, b: RawValue<'_>) -> Ordering {
    compare_raw_at(a, b, 0)
}

/// Recursion ends at the deepest level of a document: bytes from the file may nest deeper.
fn compare_raw_at(a: RawValue<'_>, b: RawValue<'_>, level: u32) -> Ordering {
    if level > super::MAX_DOCUMENT_DEPTH {
        return Ordering::Equal;
    }
    let deeper = |a: RawValue<'_>, b: RawValue<'_>| compare_raw_at(a, b, level + 1);
    match (a, b) {
        (RawValue::Document(a), RawValue::Document(b)) => {
            compare_fields(a.iter(), b.iter(), |value| rank(&raw_leaf(*value)), deeper)
        }
        (RawValue::Array(a), RawValue::Array(b)) => compare_elements(a.iter(), b.iter(), deeper),
        _ => compare_leaves(&raw_leaf(a), &raw_leaf(b)),
    }
}

/// A value without what is inside arrays and maps.
enum Leaf<'a> {
    Null,
    Int(i128),
    Float(f64),
    String(&'a str),
    Map,
    Array,
    Binary(&'a [u8]),
    Bool(bool),
    Timestamp(super::Timestamp),
    Ext(i8, &'a [u8]),
}

fn leaf(value: &Value) -> Leaf<'_> {
    match value {
        Value::Null => Leaf::Null,
        Value::Bool(value) => Leaf::Bool(*value),
        Value::Int(value) => Leaf::Int(i128::from(*value)),
        Value::UInt(value) => Leaf::Int(i128::from(*value)),
        Value::Float(value) => Leaf::Float(*value),
        Value::String(value) => Leaf::String(value),
        Value::Binary(value) => Leaf::Binary(value),
        Value::Array(_) => Leaf::Array,
        Value::Document(_) => Leaf::Map,
        Value::Timestamp(value) => Leaf::Timestamp(*value),
        Value::Ext(code, bytes) => Leaf::Ext(*code, bytes),
    }
}

fn raw_leaf(value: RawValue<'_>) -> Leaf<'_> {
    match value {
        RawValue::Null => Leaf::Null,
        RawValue::Bool(value) => Leaf::Bool(value),
        RawValue::Int(value) => Leaf::Int(i128::from(value)),
        RawValue::UInt(value) => Leaf::Int(i128::from(value)),
        RawValue::Float(value) => Leaf::Float(value),
        RawValue::String(value) => Leaf::String(value),
        RawValue::Binary(value) => Leaf::Binary(value),
        RawValue::Array(_) => Leaf::Array,
        RawValue::Document(_) => Leaf::Map,
        RawValue::Timestamp(value) => Leaf::Timestamp(value),
        RawValue::Ext(code, bytes) => Leaf::Ext(code, bytes),
    }
}

/// The place of a type in the order.
fn rank(leaf: &Leaf<'_>) -> u8 {
    match leaf {
        Leaf::Null => 0,
        Leaf::Int(_) | Leaf::Float(_) => 1,
        Leaf::String(_) => 2,
        Leaf::Map => 3,
        Leaf::Array => 4,
        Leaf::Binary(_) => 5,
        Leaf::Bool(_) => 6,
        Leaf::Timestamp(_) => 7,
        Leaf::Ext(..) => 8,
    }
}

fn compare_leaves(a: &Leaf<'_>, b: &Leaf<'_>) -> Ordering {
    match (a, b) {
        (Leaf::Int(a), Leaf::Int(b)) => a.cmp(b),
        (Leaf::Float(a), Leaf::Float(b)) => compare_floats(*a, *b),
        (Leaf::Int(a), Leaf::Float(b)) => compare_int_float(*a, *b),
        (Leaf::Float(a), Leaf::Int(b)) => compare_int_float(*b, *a).reverse(),
        (Leaf::String(a), Leaf::String(b)) => a.cmp(b),
        (Leaf::Binary(a), Leaf::Binary(b)) => compare_bytes(a, b),
        (Leaf::Bool(a), Leaf::Bool(b)) => a.cmp(b),
        (Leaf::Timestamp(a), Leaf::Timestamp(b)) => a.cmp(b),
        (Leaf::Ext(a_code, a), Leaf::Ext(b_code, b)) => a_code.cmp(b_code).then_with(|| compare_bytes(a, b)),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn compare_bytes(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn compare_floats(a: f64, b: f64) -> Ordering {
    // False before true, so NaN, which is not comparable, comes first.
    a.partial_cmp(&b).unwrap_or_else(|| (!a.is_nan()).cmp(&!b.is_nan()))
}

/// Compares an integer of at most 65 bits with a float, without rounding either.
fn compare_int_float(int: i128, float: f64) -> Ordering {
    if float.is_nan() {
        return Ordering::Greater;
    }
    // Exact for all floats between the bounds of `i128`, and beyond them it saturates, which is as good.
    let whole = float.trunc();
    int.cmp(&(whole as i128)).then_with(|| compare_floats(0.0, float - whole))
}

fn compare_fields<'a, V>(
    mut a: impl Iterator<Item = (&'a str, V)>,
    mut b: impl Iterator<Item = (&'a str, V)>,
    rank: impl Fn(&V) -> u8,
    compare: impl Fn(V, V) -> Ordering,
) -> Ordering {
    loop {
        let ((a_name, a_value), (b_name, b_value)) = match (a.next(), b.next()) {
            (Some(a), Some(b)) => (a, b),
            (a, b) => return a.is_some().cmp(&b.is_some()),
        };
        let by_type_and_name = rank(&a_value).cmp(&rank(&b_value)).then_with(|| a_name.cmp(b_name));
        let order = by_type_and_name.then_with(|| compare(a_value, b_value));
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_elements<V>(
    mut a: impl Iterator<Item = V>,
    mut b: impl Iterator<Item = V>,
    compare: impl Fn(V, V) -> Ordering,
) -> Ordering {
    loop {
        let order = match (a.next(), b.next()) {
            (Some(a), Some(b)) => compare(a, b),
            (a, b) => return a.is_some().cmp(&b.is_some()),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}
