//! Ids and keys: one id, one key.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::super::{Id, Key};
use super::hex;
use super::random::Random;
use crate::document::msgpack::Out;
use crate::error::Error;
use crate::record::key::key_of;

fn samples() -> Vec<Id> {
    let mut ids: Vec<Id> =
        [i64::MIN, i64::from(i32::MIN), -32_769, -129, -33, -32, -1, 0, 1, 127, 128, 255, 256, 65_536]
            .map(Id::from)
            .into();
    ids.extend([Id::from(i64::MAX), Id::UInt(1 << 63), Id::from(u64::MAX)]);
    ids.extend(["", "A", "a", "aa", "é"].map(Id::from));
    ids.extend([&b""[..], b"\0", b"z", b"aa", b"ab"].map(Id::from));
    ids
}

fn hash_of(id: &Id) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn ids_order_numbers_then_strings_then_binaries_and_equal_only_themselves() {
    let ids = samples();
    for (a_at, a) in ids.iter().enumerate() {
        for (b_at, b) in ids.iter().enumerate() {
            assert_eq!(a.cmp(b), a_at.cmp(&b_at), "{a} and {b}");
            assert_eq!(a.key().unwrap() == b.key().unwrap(), a_at == b_at, "{a} and {b}");
        }
    }
}

#[test]
fn an_id_comes_back_from_its_key_and_serde_and_json() {
    for id in samples() {
        let key = id.key().unwrap();
        assert_eq!(Id::from_key(&key), Some(id.clone()));
        let mut document = hex("81 a35f6964");
        document.extend_from_slice(&key);
        assert_eq!(key_of(&document), Some(&key[..]), "{id}");
        assert_eq!(crate::RawDocument::from_bytes(&document).unwrap().id(), Some(id.clone()));
        assert_eq!(rmp_serde::to_vec(&id).unwrap(), &key[..]);
        assert_eq!(rmp_serde::from_slice::<Id>(&key).unwrap(), id);
        assert_eq!(crate::Value::from_json(&id.to_string()).unwrap(), crate::Value::from(&id));
    }
}

#[test]
fn conversions_give_one_form_and_a_handmade_one_is_equal_to_it() {
    assert_eq!(Id::from(5_u8), Id::from(5_i64));
    assert!(matches!(Id::from(5_u64), Id::Int(5)));
    assert!(matches!(Id::from(5_usize), Id::Int(5)));
    assert!(matches!(Id::from(-5_isize), Id::Int(-5)));
    assert!(matches!(Id::from(u64::MAX), Id::UInt(u64::MAX)));
    let handmade = Id::UInt(5);
    assert_eq!(handmade, Id::Int(5));
    assert_eq!(hash_of(&handmade), hash_of(&Id::Int(5)));
    assert_eq!(handmade.key().unwrap(), Id::Int(5).key().unwrap());
}

#[test]
fn an_id_of_1024_bytes_is_the_longest() {
    for make in [|len| Id::from("x".repeat(len)), |len| Id::from(vec![0_u8; len])] {
        let id: Id = make(1024);
        let key = id.key().unwrap();
        assert_eq!(key.len(), crate::record::key::MAX_KEY_BYTES);
        assert_eq!(Id::from_key(&key), Some(id));
        assert!(matches!(make(1025).key(), Err(Error::InvalidId(_))));
    }
}

#[test]
fn bytes_that_are_no_key_are_no_id() {
    for bytes in ["", "c0", "cb3ff0000000000000", "90", "80", "0102", "a261", "cd01", "a1ff", "d6ff00000000"] {
        assert_eq!(Id::from_key(&hex(bytes)), None, "{bytes}");
    }
}

#[test]
fn a_key_holds_what_was_put_whatever_its_length() {
    let mut random = Random::new(super::seed());
    for _ in 0..2_000 {
        let (mut key, mut plain) = (Key::new(), Vec::new());
        for _ in 0..random.below(5) {
            let piece = random.bytes(30);
            key.put(&piece);
            plain.extend_from_slice(&piece);
            assert_eq!(&key[..], &plain[..]);
        }
        assert_eq!(Key::from_slice(&plain), key);
    }
    assert!(std::mem::size_of::<Key>() <= 40);
}
