//! What goes in comes out, through MessagePack, serde and JSON.

use super::super::msgpack::{write_ext, write_int, write_uint, Head, Reader};
use super::super::{codec, from_msgpack, to_msgpack, Document, RawDocument, RawDocumentBuf, Timestamp, Value};
use super::random::Random;
use super::{hex, seed};
use crate::doc;

/// One of each type, and each integer where its encoding changes, with the shortest encoding.
fn vectors() -> Vec<(Value, &'static str)> {
    vec![
        (Value::Null, "c0"),
        (Value::Bool(false), "c2"),
        (Value::Bool(true), "c3"),
        (Value::Int(0), "00"),
        (Value::Int(127), "7f"),
        (Value::Int(128), "cc80"),
        (Value::Int(255), "ccff"),
        (Value::Int(256), "cd0100"),
        (Value::Int(65_535), "cdffff"),
        (Value::Int(65_536), "ce00010000"),
        (Value::Int(0xffff_ffff), "ceffffffff"),
        (Value::Int(0x1_0000_0000), "cf0000000100000000"),
        (Value::Int(i64::MAX), "cf7fffffffffffffff"),
        (Value::UInt(1 << 63), "cf8000000000000000"),
        (Value::UInt(u64::MAX), "cfffffffffffffffff"),
        (Value::Int(-1), "ff"),
        (Value::Int(-32), "e0"),
        (Value::Int(-33), "d0df"),
        (Value::Int(-128), "d080"),
        (Value::Int(-129), "d1ff7f"),
        (Value::Int(-32_768), "d18000"),
        (Value::Int(-32_769), "d2ffff7fff"),
        (Value::Int(i64::from(i32::MIN)), "d280000000"),
        (Value::Int(i64::from(i32::MIN) - 1), "d3ffffffff7fffffff"),
        (Value::Int(i64::MIN), "d38000000000000000"),
        (Value::Float(0.5), "cb3fe0000000000000"),
        (Value::Float(-0.0), "cb8000000000000000"),
        (Value::String(String::new()), "a0"),
        (Value::from("é"), "a2c3a9"),
        (Value::Binary(vec![]), "c400"),
        (Value::Binary(vec![1, 2]), "c4020102"),
        (Value::Array(vec![]), "90"),
        (Value::Document(Document::new()), "80"),
        (Value::Timestamp(Timestamp::new(1, 0).unwrap()), "d6ff00000001"),
        (Value::Timestamp(Timestamp::new(0xffff_ffff, 0).unwrap()), "d6ffffffffff"),
        (Value::Timestamp(Timestamp::new(1, 1).unwrap()), "d7ff0000000400000001"),
        (Value::Timestamp(Timestamp::new(0x3_ffff_ffff, 999_999_999).unwrap()), "d7ffee6b27ffffffffff"),
        (Value::Timestamp(Timestamp::new(0x4_0000_0000, 0).unwrap()), "c70cff000000000000000400000000"),
        (Value::Timestamp(Timestamp::new(-1, 1).unwrap()), "c70cff00000001ffffffffffffffff"),
        (Value::Ext(5, vec![]), "c70005"),
        (Value::Ext(5, vec![9]), "d40509"),
        (Value::Ext(-128, vec![1, 2]), "d5800102"),
        (Value::Ext(0, vec![0; 4]), "d60000000000"),
        (Value::Ext(127, vec![1, 2, 3]), "c7037f010203"),
    ]
}

#[test]
fn every_type_and_edge_integer_has_its_shortest_encoding_and_comes_back() {
    for (value, bytes) in vectors() {
        let bytes = hex(bytes);
        let mut encoded = Vec::new();
        codec::encode_value(&value, 1, &mut encoded).unwrap();
        assert_eq!(encoded, bytes, "{value}");
        assert_eq!(codec::decode_value(&mut Reader::new(&bytes), 1).unwrap(), value);

        let mut through_serde = Vec::new();
        to_msgpack(&value, &mut through_serde).unwrap();
        assert_eq!(through_serde, bytes, "{value} through serde");
        assert_eq!(from_msgpack::<Value>(&bytes).unwrap(), value, "{value} through serde");
        assert_eq!(rmp_serde::to_vec_named(&value).unwrap(), bytes, "{value} through rmp-serde");

        assert_eq!(Value::from_json(&value.to_json()).unwrap(), value, "{value} as JSON");
    }
}

#[test]
fn every_width_of_a_length_is_written_and_read() {
    for len in [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
        let document = doc! {
            "s": "x".repeat(len),
            "b": &vec![7; len][..],
            "a": vec![Value::Null; len],
            "e": Value::Ext(3, vec![1; len]),
            "m": (0..len).map(|index| (index.to_string(), index)).collect::<Document>(),
        };
        let bytes = document.to_msgpack().unwrap();
        assert_eq!(Document::from_msgpack(&bytes).unwrap(), document, "{len}");
        assert_eq!(from_msgpack::<Document>(&bytes).unwrap(), document, "{len}");
        assert_eq!(rmp_serde::to_vec_named(&document).unwrap(), bytes, "{len}");
    }
}

#[test]
fn integers_of_every_width_are_read_as_the_same_number() {
    for bytes in [
        "07",
        "cc07",
        "cd0007",
        "ce00000007",
        "cf0000000000000007",
        "d007",
        "d10007",
        "d200000007",
        "d30000000000000007",
    ] {
        assert_eq!(Reader::new(&hex(bytes)).head(), Ok(Head::Int(7)), "{bytes}");
    }
    assert_eq!(Reader::new(&hex("ca3f000000")).head(), Ok(Head::Float(0.5)));
    let (mut int, mut uint) = (Vec::new(), Vec::new());
    write_int(&mut int, i64::MAX);
    write_uint(&mut uint, i64::MAX as u64);
    assert_eq!(int, uint);
}

#[test]
fn random_documents_come_back_through_every_door() {
    let mut random = Random::new(seed());
    for round in 0..5_000 {
        let document = random.document(3);
        let context = || format!("seed {} round {round}: {document}", seed());
        let bytes = document.to_msgpack().unwrap();
        assert_eq!(Document::from_msgpack(&bytes).unwrap(), document, "{}", context());
        let raw = RawDocumentBuf::new(&bytes).unwrap();
        assert_eq!(raw.to_document().unwrap(), document, "{}", context());

        let mut through_serde = Vec::new();
        to_msgpack(&document, &mut through_serde).unwrap();
        assert_eq!(through_serde, bytes, "{}", context());
        assert_eq!(from_msgpack::<Document>(&bytes).unwrap(), document, "{}", context());
        assert_eq!(from_msgpack::<RawDocumentBuf>(&bytes).unwrap(), raw, "{}", context());
        assert_eq!(rmp_serde::to_vec_named(&document).unwrap(), bytes, "{}", context());

        let json = document.to_json();
        assert_eq!(Document::from_json(&json).unwrap(), document, "{}", context());
        assert_eq!(Document::from_json(&document.to_json_pretty()).unwrap(), document, "{}", context());
        assert_eq!(raw.to_json().unwrap(), json, "{}", context());
        assert_eq!(raw.to_json_pretty().unwrap(), document.to_json_pretty(), "{}", context());
        let mut streamed = Vec::new();
        raw.write_json(&mut streamed).unwrap();
        assert_eq!(streamed, json.as_bytes());
        // Other readers of JSON accept the text too.
        serde_json::from_str::<serde_json::Value>(&json).unwrap_or_else(|error| panic!("{error}: {}", context()));
    }
}

#[test]
fn a_raw_document_gives_each_field_as_the_decoded_one_does() {
    let mut random = Random::new(seed() + 1);
    for round in 0..2_000 {
        let document = random.document(2);
        let bytes = document.to_msgpack().unwrap();
        let raw = RawDocument::from_bytes(&bytes).unwrap();
        assert_eq!(raw.len(), document.len());
        for ((name, value), (raw_name, raw_value)) in document.iter().zip(raw) {
            assert_eq!(name, raw_name);
            assert_eq!(&raw_value.to_value().unwrap(), value, "seed {} round {round}", seed());
            assert_eq!(&raw.get(name).unwrap().to_value().unwrap(), value);
        }
    }
}

#[test]
fn a_document_deeper_than_the_limit_is_refused_by_every_encoder() {
    let mut value = Value::Array(vec![]);
    for _ in 0..200 {
        value = Value::Array(vec![value]);
    }
    let document = doc! { "a": value };
    assert!(matches!(document.to_msgpack(), Err(crate::Error::DocumentTooDeep { .. })));
    let mut out = vec![1];
    assert!(matches!(to_msgpack(&document, &mut out), Err(crate::Error::DocumentTooDeep { .. })));
    assert_eq!(out, [1], "nothing stays of a failed attempt");
    assert!(document.to_json().contains("\"...\""));
}

#[test]
fn the_heads_of_extensions_cover_all_lengths() {
    for len in 0..=300 {
        let mut bytes = Vec::new();
        write_ext(&mut bytes, 9, &vec![1; len]).unwrap();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.head(), Ok(Head::Ext(9, len)));
        assert_eq!(reader.take(len).unwrap().len(), len);
        assert_eq!(reader.at, bytes.len());
    }
}
