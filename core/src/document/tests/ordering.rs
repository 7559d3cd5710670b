//! The order of values, over all pairs.

use std::cmp::Ordering;

use super::super::order::compare_raw;
use super::super::{compare, RawDocument, Timestamp, Value};
use super::random::Random;
use super::{hex, seed};
use crate::doc;

/// Values in ascending order; those in one line are equal.
fn ascending() -> Vec<Vec<Value>> {
    let float = Value::Float;
    let two63 = 9_223_372_036_854_775_808.0;
    let single = vec![
        Value::Null,
        float(f64::NAN),
        float(f64::NEG_INFINITY),
        float(-1e300),
        float(-two63 - 2048.0),
        Value::Int(i64::MIN + 1),
        float(-1.5),
        Value::Int(-1),
        float(-0.5),
        float(5e-324),
        float(0.5),
        float(1.5),
        Value::Int(2),
        Value::Int(9_007_199_254_740_993),
        Value::Int(i64::MAX),
        Value::UInt((1 << 63) + 1),
        Value::UInt(u64::MAX),
        float(18_446_744_073_709_551_616.0),
        float(1e300),
        float(f64::INFINITY),
        Value::from(""),
        Value::from("A"),
        Value::from("Aa"),
        Value::from("a"),
        Value::from("é"),
        Value::Document(doc! {}),
        Value::Document(doc! { "b": null }),
        Value::Document(doc! { "a": 1 }),
        Value::Document(doc! { "a": 2 }),
        Value::Document(doc! { "a": 2, "b": 0 }),
        Value::Document(doc! { "b": 1 }),
        Value::Document(doc! { "a": "" }),
        Value::from(Vec::<Value>::new()),
        Value::from([1]),
        Value::from([1, 1]),
        Value::from([2]),
        Value::from(["a"]),
        Value::from(b""),
        Value::from(b"b"),
        Value::from(b"aa"),
        Value::from(b"ab"),
        Value::Bool(false),
        Value::Bool(true),
        Value::Timestamp(Timestamp::from_millis(-1)),
        Value::Timestamp(Timestamp::from_millis(0)),
        Value::Ext(-2, vec![9, 9]),
        Value::Ext(5, vec![9]),
        Value::Ext(5, vec![0, 0]),
    ];
    let mut classes: Vec<Vec<Value>> = single.into_iter().map(|value| vec![value]).collect();
    let equals = [
        (float(-two63 - 2048.0), vec![Value::Int(i64::MIN), float(-two63)]),
        (float(-0.5), vec![Value::Int(0), float(0.0), float(-0.0)]),
        (float(0.5), vec![Value::Int(1), float(1.0)]),
        (Value::Int(2), vec![Value::Int(9_007_199_254_740_992), float(9_007_199_254_740_992.0)]),
        (Value::Int(i64::MAX), vec![Value::UInt(1 << 63), float(two63)]),
    ];
    for (after, class) in equals {
        let at = classes.iter().position(|other| other[0] == after).unwrap();
        classes.insert(at + 1, class);
    }
    classes
}

#[test]
fn every_pair_of_values_is_in_the_documented_order() {
    let classes = ascending();
    for (a_at, a_class) in classes.iter().enumerate() {
        for (b_at, b_class) in classes.iter().enumerate() {
            for a in a_class {
                for b in b_class {
                    assert_eq!(compare(a, b), a_at.cmp(&b_at), "{a} and {b}");
                    let bytes = doc! { "a": a, "b": b }.to_msgpack().unwrap();
                    let raw = RawDocument::from_stored(&bytes);
                    let order = compare_raw(raw.get("a").unwrap(), raw.get("b").unwrap());
                    assert_eq!(order, a_at.cmp(&b_at), "{a} and {b}, raw");
                }
            }
        }
    }
}

#[test]
fn the_order_of_random_values_is_antisymmetric_and_transitive() {
    let mut random = Random::new(seed());
    for _ in 0..20_000 {
        let [a, b, c] = [(); 3].map(|()| random.value(1));
        assert_eq!(compare(&a, &b), compare(&b, &a).reverse(), "seed {}: {a} and {b}", seed());
        assert_eq!(compare(&a, &a), Ordering::Equal, "{a}");
        let mut sorted = [&a, &b, &c];
        sorted.sort_by(|a, b| compare(a, b));
        assert_ne!(compare(sorted[0], sorted[2]), Ordering::Greater, "seed {}: {a}, {b}, {c}", seed());
    }
}

#[test]
fn hostile_depth_ends_the_comparison() {
    let mut bytes = hex("81 a161");
    bytes.extend(std::iter::repeat_n(0x91, 100_000));
    bytes.push(0x01);
    let raw = RawDocument::from_stored(&bytes);
    let value = raw.get("a").unwrap();
    assert_eq!(compare_raw(value, value), Ordering::Equal);
}
