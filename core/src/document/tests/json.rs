//! Extended JSON: what is written, what is read, what is refused.

use super::super::{Document, RawDocumentBuf, Timestamp, Value};
use crate::doc;
use crate::error::Error;

#[test]
fn the_text_of_each_type_is_the_documented_one() {
    let at = |secs, nanos| Value::Timestamp(Timestamp::new(secs, nanos).unwrap());
    for (value, json) in [
        (Value::Null, "null"),
        (Value::Bool(true), "true"),
        (Value::Int(i64::MIN), "-9223372036854775808"),
        (Value::UInt(u64::MAX), "18446744073709551615"),
        (Value::Float(1.0), "1.0"),
        (Value::Float(-0.0), "-0.0"),
        (Value::Float(1e300), "1e300"),
        (Value::Float(f64::INFINITY), r#"{"$numberDouble":"Infinity"}"#),
        (Value::Float(f64::NEG_INFINITY), r#"{"$numberDouble":"-Infinity"}"#),
        (Value::from("a\"\\\n\u{1}é"), r#""a\"\\\n\u0001é""#),
        (Value::from(b"\x00\xff"), r#"{"$binary":{"base64":"AP8=","subType":"00"}}"#),
        (at(1_704_164_645, 123_456_789), r#"{"$date":"2024-01-02T03:04:05.123456789Z"}"#),
        (at(253_402_300_800, 5_000_000), r#"{"$date":{"$numberLong":"253402300800005"}}"#),
        (at(-62_135_596_801, 0), r#"{"$date":{"$numberLong":"-62135596801000"}}"#),
        (at(253_402_300_800, 1), r#"{"$ext":{"type":-1,"base64":"AAAAAQAAADr/9EGA"}}"#),
        (at(i64::MIN, 0), r#"{"$ext":{"type":-1,"base64":"AAAAAIAAAAAAAAAA"}}"#),
        (Value::Ext(5, vec![1]), r#"{"$ext":{"type":5,"base64":"AQ=="}}"#),
    ] {
        assert_eq!(value.to_json(), json);
        assert_eq!(Value::from_json(json).unwrap(), value, "{json}");
    }
    assert_eq!(Value::Float(f64::NAN).to_json(), r#"{"$numberDouble":"NaN"}"#);
    assert!(Value::from_json(r#"{"$numberDouble":"NaN"}"#).unwrap().as_f64().unwrap().is_nan());
}

#[test]
fn pretty_text_has_a_field_a_line() {
    let document = doc! { "a": 1, "b": [true, {}], "c": { "d": [] } };
    let pretty = "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    {}\n  ],\n  \"c\": {\n    \"d\": []\n  }\n}";
    assert_eq!(document.to_json_pretty(), pretty);
    assert_eq!(format!("{document:#}"), pretty);
    assert_eq!(format!("{document}"), document.to_json());
    assert_eq!(doc! {}.to_json_pretty(), "{}");
}

#[test]
fn what_mongodb_writes_is_read() {
    for (json, value) in [
        (r#"{"$numberInt":"-5"}"#, Value::Int(-5)),
        (r#"{"$numberLong":"9223372036854775807"}"#, Value::Int(i64::MAX)),
        (r#"{"$numberDouble":"1.5"}"#, Value::Float(1.5)),
        (r#"{ "$date" : { "$numberLong" : "-1" } }"#, Value::Timestamp(Timestamp::from_millis(-1))),
        (r#"{"$date":1500}"#, Value::Timestamp(Timestamp::new(1, 500_000_000).unwrap())),
        (r#"{"$date":"1970-01-01T01:00:00.5+01:00"}"#, Value::Timestamp(Timestamp::from_millis(500))),
        (r#"{"$binary":{"subType":"04","base64":"AQI"}}"#, Value::Binary(vec![1, 2])),
        (r#"{"$oid":"0102030405060708090a0b0c"}"#, Value::Binary((1..=12).collect())),
        (r#"{"$uuid":"00010203-0405-0607-0809-0a0b0c0d0e0f"}"#, Value::Binary((0..16).collect())),
    ] {
        assert_eq!(Value::from_json(json).unwrap(), value, "{json}");
    }
}

#[test]
fn names_with_a_dollar_round_trip_and_only_the_needed_ones_are_escaped() {
    for (name, escaped) in
        [("$date", "$$date"), ("$ext", "$$ext"), ("$code", "$$code"), ("$$", "$$$"), ("$$date", "$$$date")]
    {
        let document = doc! { (name): "2024-01-02T03:04:05Z" };
        assert_eq!(document.to_json(), format!(r#"{{"{escaped}":"2024-01-02T03:04:05Z"}}"#));
        assert_eq!(Document::from_json(&document.to_json()).unwrap(), document);
    }
    for json in [r#"{"age":{"$gt":5}}"#, r#"{"$set":{"a":1}}"#, r#"{"$":1}"#, r#"{"a$date":1}"#] {
        assert_eq!(Document::from_json(json).unwrap().to_json(), json);
    }
    // All words, as maps of a user that look exactly like a typed value.
    let user =
        doc! { "$binary": { "base64": "AA==", "subType": "00" }, "$numberLong": "5", "x": { "$numberDouble": "NaN" } };
    let raw = RawDocumentBuf::from_serialize(&user).unwrap();
    assert_eq!(Document::from_json(&raw.to_json().unwrap()).unwrap(), user);
}

#[test]
fn what_is_not_a_document_is_refused_with_place_and_reason() {
    for (json, place, reason) in [
        ("", "line 1 column 1", "ends where a value"),
        ("{\n  \"a\": 1,\n}", "line 3 column 1", "a name in double quotes"),
        ("{\"a\" 1}", "column 6", "':' was expected"),
        ("{\"a\":1 \"b\":2}", "column 8", "',' or '}'"),
        ("{\"a\":[1 2]}", "column 9", "',' or ']'"),
        ("{\"a\":1} x", "column 9", "text follows"),
        ("{\"a\":1,\"a\":2}", "column 8", "twice"),
        ("{\"$$date\":1,\"$$date\":2}", "column 13", "twice"),
        ("{\"a\":tru}", "column 6", "a value was expected"),
        ("{\"a\":NaN}", "column 6", "a value was expected"),
        ("{\"a\":01}", "column 6", "begins with 0"),
        ("{\"a\":1.}", "column 8", "a digit"),
        ("{\"a\":1e}", "column 8", "a digit"),
        ("{\"a\":-}", "column 7", "a digit"),
        ("{\"a\":18446744073709551616}", "column 6", "does not fit 64 bits"),
        ("{\"a\":-9223372036854775809}", "column 6", "does not fit 64 bits"),
        ("{\"a\":1e999}", "column 6", "larger than any float"),
        ("{\"a\":\"\\ud800\"}", "column 7", "surrogate"),
        ("{\"a\":\"\\udc00\\ud800\"}", "column 7", "surrogate"),
        ("{\"a\":\"\\u12g4\"}", "column 7", "hexadecimal"),
        ("{\"a\":\"\\x\"}", "column 7", "unknown escape"),
        ("{\"a\":\"\n\"}", "column 7", "control character"),
        ("{\"a\":\"b", "column 8", "ends inside a string"),
        ("{\"a\":{\"$date\":1,\"b\":2}}", "column 7", "must be alone"),
        ("{\"a\":{\"b\":2,\"$date\":1}}", "column 13", "must be alone"),
        ("{\"a\":{\"$date\":true}}", "column 7", "another JSON type"),
        ("{\"a\":{\"$date\":\"2024-13-01T00:00:00Z\"}}", "column 7", "calendar"),
        ("{\"a\":{\"$date\":{\"$numberInt\":\"1\"}}}", "column 7", "$numberLong"),
        ("{\"a\":{\"$numberInt\":\"2147483648\"}}", "column 7", "32 bits"),
        ("{\"a\":{\"$numberLong\":\"9223372036854775808\"}}", "column 7", "64 bits"),
        ("{\"a\":{\"$numberDouble\":\"x\"}}", "column 7", "not a number"),
        ("{\"a\":{\"$numberDecimal\":\"1\"}}", "column 7", "not supported"),
        ("{\"a\":{\"$undefined\":true}}", "column 7", "not supported"),
        ("{\"a\":{\"$oid\":\"01\"}}", "column 7", "24 hexadecimal"),
        ("{\"a\":{\"$uuid\":\"0001020304050607-0809-0a0b0c0d0e0f-\"}}", "column 7", "not a UUID"),
        ("{\"a\":{\"$binary\":{\"base64\":\"!\"}}}", "column 7", "not Base64"),
        ("{\"a\":{\"$binary\":{\"subType\":\"00\"}}}", "column 7", "missing"),
        ("{\"a\":{\"$binary\":{\"base64\":\"\",\"base64\":\"\"}}}", "column 30", "unexpected"),
        ("{\"a\":{\"$ext\":{\"type\":200,\"base64\":\"\"}}}", "column 7", "-128 to 127"),
        ("{\"a\":{\"$ext\":{\"type\":-1,\"base64\":\"AA==\"}}}", "column 7", "timestamp"),
        ("[1]", "", "a document is a JSON object"),
        ("{\"$date\":1}", "", "a document is a JSON object"),
    ] {
        match Document::from_json(json) {
            Err(Error::Serialization(text)) => assert!(text.contains(place) && text.contains(reason), "{json}: {text}"),
            other => panic!("{json}: {other:?}"),
        }
    }
}

#[test]
fn deep_text_is_refused_and_the_deepest_document_passes() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    let deepest = Document::from_json(&nested(100)).unwrap();
    assert_eq!(deepest.to_json(), nested(100));
    assert_eq!(RawDocumentBuf::from_serialize(&deepest).unwrap().to_json().unwrap(), nested(100));
    let typed = nested(100).replacen("[]", "[{\"$date\":{\"$numberLong\":\"1\"}}]", 1);
    assert!(Document::from_json(&typed).is_ok(), "a typed value adds no level");
    for json in [nested(101), nested(1_000_000), "{\"a\":".repeat(1_000_000), "{\"$date\":".repeat(1_000_000)] {
        assert!(Document::from_json(&json).is_err());
    }
    assert!(matches!(Document::from_json(&nested(101)), Err(Error::DocumentTooDeep { limit: 100 })));
}

#[test]
fn white_space_escapes_and_surrogate_pairs_are_read() {
    let document = Document::from_json(" \r\n\t{ \"\\u0061\\t\" : [ ] , \"b\" : \"\\ud834\\udd1e\\/\" } ").unwrap();
    assert_eq!(document, doc! { "a\t": [], "b": "𝄞/" });
}

#[test]
fn a_stream_that_fails_gives_its_error() {
    struct Broken;
    impl std::io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("broken"))
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let raw = RawDocumentBuf::from_serialize(&doc! { "a": "x".repeat(20_000) }).unwrap();
    let error = raw.write_json(&mut Broken).unwrap_err();
    assert!(matches!(&error, Error::Io { .. }) && error.to_string().contains("broken"), "{error}");
}
