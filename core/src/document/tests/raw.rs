//! Raw documents: access in place, and bytes that are no documents.

use super::super::{Document, Id, RawDocument, RawDocumentBuf, RawValue, Timestamp};
use super::hex;
use crate::doc;
use crate::error::Error;

fn sample() -> RawDocumentBuf {
    let document = doc! {
        "_id": "ada",
        "n": -5,
        "at": Timestamp::from_millis(7),
        "bytes": b"xyz",
        "address": { "lines": ["a", { "b": 1.5 }], "zip": null },
        "big": u64::MAX,
    };
    RawDocumentBuf::from_serialize(&document).unwrap()
}

#[test]
fn fields_are_read_in_place() {
    let raw = sample();
    assert_eq!(raw.id(), Some(Id::from("ada")));
    assert_eq!(raw.get("n"), Some(RawValue::Int(-5)));
    assert_eq!(raw.get("at"), Some(RawValue::Timestamp(Timestamp::from_millis(7))));
    assert_eq!(raw.get("bytes"), Some(RawValue::Binary(b"xyz")));
    assert_eq!(raw.get("big"), Some(RawValue::UInt(u64::MAX)));
    assert_eq!(raw.get("absent"), None);
    let names: Vec<&str> = raw.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["_id", "n", "at", "bytes", "address", "big"]);
    assert_eq!(raw.len(), 6);
    assert!(raw.to_owned().into_bytes() == raw.as_bytes());
}

#[test]
fn a_path_goes_through_maps_and_arrays_in_both_forms() {
    let raw = sample();
    let decoded = raw.to_document().unwrap();
    for (path, json) in [
        ("address.lines.0", Some("\"a\"")),
        ("address.lines.1.b", Some("1.5")),
        ("address.zip", Some("null")),
        ("address.lines.2", None),
        ("address.lines.x", None),
        ("address.lines.-1", None),
        ("n.x", None),
        ("", None),
        ("address.", None),
    ] {
        let found = raw.get_path(path).map(|value| value.to_value().unwrap().to_json());
        assert_eq!(found.as_deref(), json, "{path}");
        assert_eq!(decoded.get_path(path).map(|value| value.to_json()).as_deref(), json, "{path}");
    }
}

#[test]
fn an_id_in_a_long_form_is_still_the_same_id() {
    for (bytes, id) in [
        ("82 a161 01 a35f6964 d30000000000000007", Some(Id::from(7))),
        ("81 a35f6964 cb3ff0000000000000", None),
        ("81 a161 01", None),
        ("81 a35f6964 a261", None),
    ] {
        assert_eq!(RawDocument::from_stored(&hex(bytes)).id(), id, "{bytes}");
    }
}

#[test]
fn hostile_bytes_give_none_or_an_error_and_never_a_panic() {
    let mut deep = b"\x81\xa1a".repeat(100_000);
    deep.push(0xc0);
    let hostile = [
        hex(""),
        hex("c0"),
        hex("df ffffffff"),
        hex("df 00000001 a161"),
        hex("81 a161 dd ffffffff"),
        hex("81 a161 db ffffffff 00"),
        hex("81 a161 c9 ffffffff 01 00"),
        hex("81 a1ff 01"),
        hex("81 a161 a1ff"),
        hex("81 01 02"),
        hex("81 a161 c1"),
        deep,
    ];
    for bytes in &hostile {
        let raw = RawDocument::from_stored(bytes);
        assert!(raw.to_document().is_err());
        assert!(raw.to_json().is_err());
        // rmp-serde reads text that is not UTF-8 as bytes, all else is refused.
        assert!(raw.deserialize::<Document>().is_err() || *bytes == hex("81 a161 a1ff"));
        assert!(format!("{raw:?}").contains("malformed"));
        assert_eq!(raw.id(), None);
        assert!(raw.iter().count() <= 1);
        let _ = (raw.get("a"), raw.get_path("a.a.a"), raw.len());
        assert!(serde_json::to_string(raw).is_err());
        assert!(RawDocumentBuf::new(bytes).is_err());
    }
}

#[test]
fn a_timestamp_that_is_none_is_kept_as_its_extension() {
    let bytes = hex("81 a161 d4 ff 00");
    let raw = RawDocument::from_stored(&bytes);
    assert_eq!(raw.get("a"), Some(RawValue::Ext(-1, &[0])));
    assert!(matches!(RawDocument::from_bytes(&bytes), Err(Error::MalformedDocument { offset: 3, .. })));
}

#[test]
fn fields_of_a_document_keep_their_order_through_changes() {
    let mut document = Document::new();
    for index in 0..100 {
        assert_eq!(document.insert(format!("f{index}"), index), None);
    }
    for index in (0..100).step_by(2) {
        assert_eq!(document.remove(&format!("f{index}")), Some(index.into()));
    }
    assert_eq!(document.insert("f1", "new"), Some(1.into()), "replacing keeps the place");
    document.insert("last", ());
    let names: Vec<String> = (1..100).step_by(2).map(|index| format!("f{index}")).chain(["last".to_owned()]).collect();
    assert!(document.keys().eq(names.iter()));
    for name in &names {
        assert!(document.contains_key(name));
    }
    assert_eq!(document.get("f2"), None);
    *document.get_mut("f3").unwrap() = 0.5.into();
    assert_eq!(document["f3"], 0.5.into());
    while document.len() > 3 {
        let name = document.keys().next().unwrap().to_owned();
        document.remove(&name);
    }
    assert_eq!(document.keys().collect::<Vec<_>>(), ["f97", "f99", "last"]);
}

#[test]
fn the_macro_takes_nested_literals_expressions_and_trailing_commas() {
    let name = "given";
    let absent: Option<i32> = None;
    let document = doc! {
        "a": [1, -2, null, [], {}, { "x": [null,], }, 1 + 1, name.len(),],
        (name): { "deep": { "deeper": true } },
        "f": String::from("called"),
        "o": absent,
        "v": vec![1_u8, 2],
    };
    let json =
        r#"{"a":[1,-2,null,[],{},{"x":[null]},2,5],"given":{"deep":{"deeper":true}},"f":"called","o":null,"v":[1,2]}"#;
    assert_eq!(document.to_json(), json);
    assert!(doc! {}.is_empty());
}
