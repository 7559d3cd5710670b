//! Types of a user through serde.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::super::{from_msgpack, to_msgpack, Document, Id, RawDocumentBuf, Timestamp, Value};
use crate::doc;
use crate::error::Error;

fn encoded<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    to_msgpack(value, &mut bytes).unwrap();
    bytes
}

fn refusal<T: Serialize + ?Sized>(value: &T) -> String {
    let mut bytes = vec![7];
    let error = to_msgpack(value, &mut bytes).unwrap_err();
    assert_eq!(bytes, [7], "nothing stays of a failed attempt");
    assert!(matches!(error, Error::Serialization(_)), "{error}");
    error.to_string()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Box(u8, u8),
    Named { name: String },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Address {
    street: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    zip: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Person {
    #[serde(rename = "_id")]
    id: u64,
    name: String,
    born: Timestamp,
    died: Option<Timestamp>,
    address: Address,
    shapes: Vec<Shape>,
    scores: HashMap<String, i32>,
    pair: (i8, char),
    ratio: f32,
    any: Value,
    embedded: Document,
    raw: RawDocumentBuf,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

fn person() -> Person {
    Person {
        id: u64::MAX,
        name: "Ada".into(),
        born: Timestamp::from_millis(-4_876_000_000_000),
        died: None,
        address: Address { street: "St James".into(), zip: None },
        shapes: vec![Shape::Point, Shape::Circle(1.5), Shape::Box(1, 2), Shape::Named { name: "x".into() }],
        scores: HashMap::from([("math".into(), 10)]),
        pair: (-3, 'é'),
        ratio: 0.1,
        any: Value::Ext(9, vec![1, 2]),
        embedded: doc! { "at": Timestamp::from_millis(1), "bin": b"\x01" },
        raw: RawDocumentBuf::new(b"\x81\xa1a\xcd\x00\x01").unwrap(),
        rest: BTreeMap::from([
            ("when".to_owned(), Value::Timestamp(Timestamp::from_millis(5))),
            ("x".to_owned(), 1.into()),
        ]),
    }
}

#[test]
fn a_struct_with_everything_comes_back() {
    let person = person();
    let bytes = encoded(&person);
    let raw = RawDocumentBuf::from_bytes(bytes.clone()).unwrap();
    assert_eq!(raw.id(), Some(Id::from(u64::MAX)));
    assert_eq!(raw.get("died").map(|value| value.to_value().unwrap()), Some(Value::Null));
    assert_eq!(raw.get_path("shapes.1.Circle").unwrap().to_value().unwrap(), Value::Float(1.5));
    assert_eq!(raw.get_path("address.zip"), None);
    let again: Person = raw.deserialize().unwrap();
    // A raw document is read in its shortest encoding.
    let expected = Person { raw: RawDocumentBuf::new(b"\x81\xa1a\x01").unwrap(), ..person };
    assert_eq!(again, expected);
}

#[test]
fn a_raw_document_goes_in_byte_for_byte_also_inside_a_struct() {
    let unusual = RawDocumentBuf::new(b"\xde\x00\x01\xd9\x01a\xd3\x00\x00\x00\x00\x00\x00\x00\x01").unwrap();
    assert_eq!(encoded(&unusual), unusual.as_bytes());
    assert_eq!(encoded(&*unusual), unusual.as_bytes());
    let inside = encoded(&[&unusual]);
    assert_eq!(inside[1..], *unusual.as_bytes());
    let array = RawDocumentBuf::new(b"\x81\xa1a\x91\xcd\x00\x01").unwrap();
    assert_eq!(encoded(&array.get("a")), b"\x91\xcd\x00\x01");
    // Others see a map.
    assert_eq!(serde_json::to_string(&unusual).unwrap(), r#"{"a":1}"#);
    assert_eq!(rmp_serde::to_vec(&unusual).unwrap(), b"\x81\xa1a\x01");
    assert_eq!(serde_json::from_str::<RawDocumentBuf>(r#"{"a":1}"#).unwrap().as_bytes(), b"\x81\xa1a\x01");
}

#[test]
fn what_does_not_fit_a_document_is_refused_not_changed() {
    assert!(refusal(&(u128::from(u64::MAX) + 1)).contains("64 bits"));
    assert!(refusal(&(i128::from(i64::MIN) - 1)).contains("64 bits"));
    assert_eq!(encoded(&5_u128), [5]);
    assert_eq!(encoded(&-5_i128), [0xfb]);
    assert_eq!(encoded(&(i128::from(u64::MAX))), encoded(&u64::MAX));
    assert!(refusal(&HashMap::from([(1, 2)])).contains("key is not a string"));
    assert!(refusal(&HashMap::from([((1, 2), 2)])).contains("key is not a string"));
    assert!(refusal(&HashMap::from([(Some("a"), 2)])).contains("key is not a string"));
    assert_eq!(encoded(&HashMap::from([('k', 2)])), b"\x81\xa1k\x02");
    let not_a_document = RawDocumentBuf::from_serialize(&5).unwrap_err();
    assert!(matches!(not_a_document, Error::MalformedDocument { offset: 0, .. }));
}

#[test]
fn a_wrong_length_from_a_serialize_impl_is_corrected() {
    struct Liar(Option<usize>, usize);
    impl Serialize for Liar {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq;
            let mut seq = serializer.serialize_seq(self.0)?;
            for element in 0..self.1 {
                seq.serialize_element(&(element as u8 % 100))?;
            }
            seq.end()
        }
    }
    for promised in [None, Some(0), Some(3), Some(16), Some(70_000)] {
        for real in [0, 3, 15, 16, 300] {
            let elements: Vec<u8> = (0..real).map(|element| element as u8 % 100).collect();
            assert_eq!(encoded(&Liar(promised, real)), encoded(&elements), "{promised:?} {real}");
        }
    }
}

#[test]
fn a_struct_that_names_a_field_twice_is_refused_as_a_document() {
    #[derive(Serialize)]
    struct Twice {
        a: i32,
        #[serde(flatten)]
        rest: BTreeMap<String, i32>,
    }
    let twice = Twice { a: 1, rest: BTreeMap::from([("a".to_owned(), 2)]) };
    let error = RawDocumentBuf::from_serialize(&twice).unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
}

#[test]
fn timestamps_live_in_tagged_untagged_and_flattened_types() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        At(Timestamp),
        Text(String),
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Event { at: Timestamp, extra: Option<Timestamp> },
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Inner {
        at: Timestamp,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Outer {
        untagged: Vec<Untagged>,
        tagged: Tagged,
        #[serde(flatten)]
        inner: Inner,
    }
    let at = Timestamp::new(1, 2).unwrap();
    let outer = Outer {
        untagged: vec![Untagged::At(at), Untagged::Text("t".into())],
        tagged: Tagged::Event { at, extra: None },
        inner: Inner { at },
    };
    assert_eq!(from_msgpack::<Outer>(&encoded(&outer)).unwrap(), outer);
    let json = serde_json::to_string(&outer.inner).unwrap();
    assert_eq!(json, r#"{"at":"1970-01-01T00:00:01.000000002Z"}"#);
    assert_eq!(serde_json::from_str::<Inner>(&json).unwrap(), outer.inner);
}

#[test]
fn a_type_mismatch_is_an_error_that_says_so() {
    let error = from_msgpack::<Person>(&encoded(&doc! { "_id": "text" })).unwrap_err();
    assert!(matches!(error, Error::Serialization(_)), "{error}");
    assert!(from_msgpack::<Timestamp>(&[0x01]).is_err());
    assert!(from_msgpack::<Timestamp>(&encoded(&Value::Ext(3, vec![0; 4]))).is_err());
    assert!(from_msgpack::<Id>(&encoded(&1.5)).is_err());
    assert!(from_msgpack::<Document>(b"\x82\xa1a\x01\xa1a\x02").is_err(), "a key twice");
    assert!(matches!(from_msgpack::<Value>(&[0x91; 100_000]), Err(Error::DocumentTooDeep { .. })));
}

#[test]
fn the_deepest_document_passes_serde_and_one_more_level_does_not() {
    let nested =
        |levels: usize| (1..levels).fold(Value::from(Vec::<Value>::new()), |inner, _| Value::Array(vec![inner]));
    let deepest = doc! { "a": nested(99) };
    assert_eq!(from_msgpack::<Document>(&encoded(&deepest)).unwrap(), deepest);
    let mut bytes = Vec::new();
    let too_deep = to_msgpack(&doc! { "a": nested(100) }, &mut bytes);
    assert!(matches!(too_deep, Err(Error::DocumentTooDeep { limit: 100 })));
}
