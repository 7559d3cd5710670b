//! The validator lets valid documents through, nothing else, and survives hostile ones.

use super::super::canonical::{prepare, with_integer_id, Prepared};
use super::super::predict::{Mode, Prediction};
use super::super::validate::{validate, validate_as, IdSpan, Shape};
use super::super::{RawDocument, MAX_DOCUMENT_DEPTH};
use super::random::Random;
use super::{hex, naive, seed};
use crate::error::Error;

/// The offset and reason of the refusal.
fn refusal(bytes: &[u8]) -> (usize, &'static str) {
    match validate(bytes, 1 << 25) {
        Err(Error::MalformedDocument { offset, reason }) => (offset, reason),
        other => panic!("{:02x?}: {other:?}", &bytes[..bytes.len().min(100)]),
    }
}

/// A document with one field `a` that holds `levels` arrays one in the other.
fn nested_arrays(levels: usize) -> Vec<u8> {
    let mut bytes = hex("81 a161");
    bytes.extend(std::iter::repeat_n(0x91, levels - 1));
    bytes.push(0x90);
    bytes
}

#[test]
fn the_shape_tells_where_the_id_stands() {
    let bytes = hex("82 a161 01 a35f6964 cd03e8");
    let id = Some(IdSpan { key_at: 4, value_at: 8, end: 11 });
    assert_eq!(validate(&bytes, 100).unwrap(), Shape { head_bytes: 1, fields: 2, id });
    let nested = hex("81 a161 81 a35f6964 01");
    assert_eq!(validate(&nested, 100).unwrap().id, None, "only the document's own _id counts");
    assert_eq!(validate(&hex("de0000"), 100).unwrap(), Shape { head_bytes: 3, fields: 0, id: None });
}

#[test]
fn each_fault_is_told_with_its_place() {
    let cases = [
        ("", 0, "empty"),
        ("93 010203", 0, "not a map"),
        ("81", 0, "a map has more fields"),
        ("de00", 0, "end inside"),
        ("df ffffffff 00", 0, "a map has more fields"),
        ("81 01 02", 1, "a key is not a string"),
        ("81 a1ff 01", 2, "not valid UTF-8"),
        ("81 a161 a1ff", 4, "not valid UTF-8"),
        // A surrogate, an overlong form, a code above the last.
        ("81 a161 a3eda080", 4, "not valid UTF-8"),
        ("81 a161 a2c0af", 4, "not valid UTF-8"),
        ("81 a161 a4f4908080", 4, "not valid UTF-8"),
        ("81 a161 c1", 3, "0xc1"),
        ("81 a161 cd01", 3, "end inside"),
        ("81 a161 a3 6162", 3, "larger than the bytes"),
        ("81 a161 db ffffffff", 3, "larger than the bytes"),
        ("81 a161 c6 7fffffff 00", 3, "larger than the bytes"),
        ("81 a161 c9 ffffffff 05 00", 3, "larger than the bytes"),
        ("81 a161 c7 01", 3, "end inside"),
        ("81 a161 dd ffffffff 00", 3, "an array has more elements"),
        ("81 a161 df 7fffffff 00", 3, "a map has more fields"),
        ("82 a161 01 a161 02", 4, "twice"),
        ("82 a161 01 d90161 02", 4, "twice"),
        ("81 a178 82 a161 01 a161 02", 7, "twice"),
        ("81 a161 01 00", 4, "bytes follow"),
        ("81 a161 d4 30 00", 3, "reserved for NyroDB"),
        ("81 a161 d4 3f 00", 3, "reserved for NyroDB"),
        ("81 a161 d4 ff 00", 3, "a timestamp"),
        ("81 a161 d7 ff ee6b280000000000", 3, "a timestamp"),
        ("81 a161 c70cff 3b9aca00 0000000000000000", 3, "a timestamp"),
    ];
    for (bytes, offset, reason) in cases {
        let (at, text) = refusal(&hex(bytes));
        assert!(text.contains(reason), "{bytes}: {text}");
        assert_eq!(at, offset, "{bytes}: {text}");
        assert!(!naive::is_valid(&hex(bytes)), "{bytes}");
    }
}

#[test]
fn a_wrong_byte_is_found_at_every_place_of_a_text_of_every_length() {
    for len in 0..=150_usize {
        for padding in [0, 9] {
            let text_in = |head: &str, tail: &str| {
                let mut bytes = hex(head);
                bytes.extend([0xd9, len as u8]);
                let from = bytes.len();
                bytes.extend(std::iter::repeat_n(b'x', len));
                bytes.extend(hex(tail));
                bytes.extend(std::iter::repeat_n(0xc0, padding));
                (bytes, from)
            };
            let count = 0x91 + padding;
            let value = text_in(&format!("81 a161 {count:02x}"), "");
            let key = text_in(&format!("81 a161 {count:02x} 81"), "c0");
            for (mut bytes, from) in [value, key] {
                assert!(validate(&bytes, 1 << 10).is_ok(), "{len}");
                for at in from..from + len {
                    bytes[at] = 0xff;
                    assert_eq!(refusal(&bytes), (from, "a string is not valid UTF-8"), "byte {at} of {len}");
                    bytes[at] = b'x';
                }
            }
        }
    }
}

#[test]
fn codes_beside_the_reserved_ones_and_edge_timestamps_are_let_through() {
    for bytes in [
        "81 a161 d4 2f 00",
        "81 a161 d4 40 00",
        "81 a161 c700 80",
        "81 a161 d6ff ffffffff",
        "81 a161 d7ff ee6b27fc ffffffff",
        "81 a161 c70cff 3b9ac9ff 8000000000000000",
    ] {
        validate(&hex(bytes), 100).unwrap_or_else(|error| panic!("{bytes}: {error}"));
    }
}

#[test]
fn a_hundred_levels_pass_and_one_more_does_not() {
    let deepest = MAX_DOCUMENT_DEPTH as usize - 1;
    assert!(validate(&nested_arrays(deepest), 1 << 24).is_ok());
    for levels in [deepest + 1, 100_000] {
        let error = validate(&nested_arrays(levels), 1 << 24).unwrap_err();
        assert!(matches!(error, Error::DocumentTooDeep { limit: 100 }), "{error}");
    }
    let mut maps = b"\x81\xa1a".repeat(99);
    maps.extend([0x80]);
    assert!(validate(&maps, 1 << 24).is_ok());
    maps.splice(0..0, *b"\x81\xa1a");
    assert!(matches!(validate(&maps, 1 << 24), Err(Error::DocumentTooDeep { .. })));
}

#[test]
fn the_size_limit_is_inclusive() {
    let bytes = hex("81 a161 01");
    assert!(validate(&bytes, 4).is_ok());
    assert!(matches!(validate(&bytes, 3), Err(Error::DocumentTooLarge { bytes: 4, limit: 3 })));
}

/// A map of `count` keys, each of `len` digits behind `prefix`.
fn map_of(count: u32, prefix: &str, name: impl Fn(u32) -> u32) -> Vec<u8> {
    let mut bytes = vec![0xdf];
    bytes.extend(count.to_be_bytes());
    for index in 0..count {
        let key = format!("{prefix}{:07}", name(index));
        bytes.extend([0xd9, key.len() as u8]);
        bytes.extend(key.as_bytes());
        bytes.push(0xc0);
    }
    bytes
}

#[test]
fn a_duplicate_is_found_in_maps_of_any_size() {
    for count in [2, 3, 15, 16, 17, 18, 100, 5_000] {
        for prefix in ["", "a-prefix-that-is-longer-than-a-word-"] {
            assert!(validate(&map_of(count, prefix, |index| index), 1 << 24).is_ok(), "{count}");
            for (first, second) in [(0, count - 1), (count / 2 - 1, count / 2), (0, 1)] {
                let twin = map_of(count, prefix, |index| if index == second { first } else { index });
                let (offset, reason) = refusal(&twin);
                assert!(reason.contains("twice"));
                let entry = prefix.len() + 10;
                assert_eq!(offset, 5 + second as usize * entry, "the second of the two, {count} keys");
            }
        }
    }
}

#[test]
fn a_million_keys_take_no_quadratic_time() {
    let started = std::time::Instant::now();
    assert!(validate(&map_of(1_000_000, "x", |index| index), 1 << 25).is_ok());
    let mut same = vec![0xdf, 0, 0x7f, 0xff, 0xff];
    same.extend(b"\xa0\xc0".repeat(0x7f_ffff));
    assert!(refusal(&same).1.contains("twice"));
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn the_fast_validator_agrees_with_the_naive_one_on_mutated_documents() {
    let mut random = Random::new(seed());
    let (mut valid, mut refused) = (0, 0);
    for round in 0..30_000 {
        let mut bytes = random.document(3).to_msgpack().unwrap();
        for _ in 0..random.below(4) {
            mutate(&mut bytes, &mut random);
        }
        let fast = validate(&bytes, 1 << 24).is_ok();
        assert_eq!(fast, naive::is_valid(&bytes), "seed {} round {round}: {bytes:02x?}", seed());
        *if fast { &mut valid } else { &mut refused } += 1;
        // Whatever the bytes are, reading them in place returns.
        let raw = RawDocument::from_stored(&bytes);
        let _ = (raw.id(), raw.get("b"), raw.get_path("a.0"), raw.to_document(), raw.to_json(), format!("{raw:?}"));
        let _ = raw.iter().count();
    }
    assert!(valid > 5_000 && refused > 5_000, "{valid} valid, {refused} refused");
}

#[test]
fn a_document_that_looks_like_the_one_before_is_checked_as_any_other() {
    let mut random = Random::new(seed());
    let (mut valid, mut refused) = (0, 0);
    for round in 0..3_000 {
        let before = random.document(3).to_msgpack().unwrap();
        // Other tests share neither this thread nor what it remembers.
        (0..300).for_each(|_| assert!(validate(&before, 1 << 24).is_ok()));
        for _ in 0..10 {
            let mut bytes = before.clone();
            mutate(&mut bytes, &mut random);
            let fast = validate(&bytes, 1 << 24);
            assert_eq!(fast.is_ok(), naive::is_valid(&bytes), "seed {} round {round}: {bytes:02x?}", seed());
            // Whatever was remembered, the fault and the shape are the same.
            let apart = std::thread::scope(|scope| scope.spawn(|| validate(&bytes, 1 << 24)).join().unwrap());
            assert_eq!(format!("{fast:?}"), format!("{apart:?}"), "seed {} round {round}: {bytes:02x?}", seed());
            *if fast.is_ok() { &mut valid } else { &mut refused } += 1;
            assert!(validate(&before, 1 << 24).is_ok());
        }
    }
    assert!(valid > 3_000 && refused > 3_000, "{valid} valid, {refused} refused");
}

#[test]
fn keys_of_every_length_are_predicted_and_told_from_all_others() {
    let mut prediction = Prediction::new();
    for length in 0..80_usize {
        // The key stands in the middle, and as the last thing but one byte.
        for tail in [&b"\xa1z\x01"[..], b""] {
            let document = |key: &[u8]| {
                let head = if length < 32 { vec![0xa0 | length as u8] } else { vec![0xd9, length as u8] };
                let fields = 0x81 + u8::from(!tail.is_empty());
                [&[fields], &head[..], key, b"\x07", tail].concat()
            };
            let key: Vec<u8> = (0..length).map(|i| b'a' + (i % 23) as u8).collect();
            let right = document(&key);
            (0..2_000).for_each(|_| assert!(validate_as(&right, &mut prediction).is_ok()));
            assert_eq!(prediction.mode(), Mode::Predict, "{length}");
            for at in 0..length {
                let mut other = key.clone();
                other[at] ^= 0x80;
                assert!(validate_as(&document(&other), &mut prediction).is_err(), "{length}, {at}");
                (0..2_000).for_each(|_| assert!(validate_as(&right, &mut prediction).is_ok()));
            }
        }
    }
}

#[test]
fn what_stands_for_a_map_is_no_key() {
    // The second entry remembered is a map of three fields, kept as a number with a byte that no string has.
    let nested = hex("82 a161 83 a178 01 a179 02 a17a 03 a162 04");
    // Where that is looked for as a key; were it one, it would have no bytes and its value be 3.
    let forged = hex("82 a161 07 03000000000000ff 01");
    let forged = [&forged[..], &hex("a162 04")].concat();
    (0..2_000).for_each(|_| assert!(validate(&nested, 100).is_ok()));
    assert_eq!(refusal(&forged), (4, "a key is not a string"));
}

#[test]
fn maps_too_large_to_remember_are_checked_all_the_same() {
    for fields in [15, 16, 17, 62, 63, 64, 65, 200, 1_000] {
        let right = map_of(fields, "key", |i| i);
        let twice = map_of(fields, "key", |i| i.min(fields - 2));
        for _ in 0..600 {
            assert!(validate(&right, 1 << 20).is_ok(), "{fields}");
        }
        assert!(refusal(&twice).1.contains("twice"), "{fields}");
        assert!(validate(&right, 1 << 20).is_ok(), "{fields}");
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len() as u64) as usize;
    match random.below(4) {
        0 => bytes[at] = random.next() as u8,
        1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes.truncate(at),
        _ => {
            let to = at + random.below((bytes.len() - at) as u64 + 1) as usize;
            let piece = bytes[at..to].to_vec();
            let into = random.below(bytes.len() as u64) as usize;
            bytes.splice(into..into, piece);
        }
    }
}

#[test]
fn a_document_in_stored_form_is_not_copied() {
    for id in [
        "07",
        "e0",
        "cc80",
        "cd0100",
        "ce00010000",
        "cf0000000100000000",
        "d0df",
        "d1ff7f",
        "a161",
        "a0",
        "c40101",
        "c400",
    ] {
        let bytes = hex(&format!("82 a35f6964 {id} a161 01"));
        assert_eq!(prepare(&bytes, 100).unwrap(), Prepared::AsIs(&bytes[..]), "{id}");
    }
}

#[test]
fn an_id_of_any_width_and_place_gives_one_stored_form() {
    for id in [
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
        for (given, stored) in [
            (format!("82 a35f6964 {id} a161 cd0001"), "82 a35f6964 07 a161 cd0001"),
            (format!("82 a161 cd0001 a35f6964 {id}"), "82 a35f6964 07 a161 cd0001"),
            (format!("de0002 a161 cd0001 d9035f6964 {id}"), "82 a35f6964 07 a161 cd0001"),
        ] {
            let given = hex(&given);
            let out = match prepare(&given, 100).unwrap() {
                Prepared::AsIs(bytes) => bytes.to_vec(),
                Prepared::Rewritten(bytes) => bytes,
                Prepared::MissingId => panic!("{given:02x?}"),
            };
            assert_eq!(out, hex(stored), "{given:02x?}");
            assert_eq!(crate::record::key::key_of(&out), Some(&[7][..]));
        }
    }
    let long = hex("81 a35f6964 d90161");
    assert_eq!(prepare(&long, 100).unwrap(), Prepared::Rewritten(hex("81 a35f6964 a161")));
    let long = hex("81 a35f6964 c5000161");
    assert_eq!(prepare(&long, 100).unwrap(), Prepared::Rewritten(hex("81 a35f6964 c40161")));
}

#[test]
fn an_id_of_another_type_or_too_long_is_refused() {
    for (id, reason) in [
        ("c0", "null"),
        ("c3", "a boolean"),
        ("cb3ff0000000000000", "a float"),
        ("ca3f800000", "a float"),
        ("90", "an array"),
        ("80", "a map"),
        ("d6ff00000000", "a timestamp"),
        ("d40500", "an extension"),
    ] {
        match prepare(&hex(&format!("81 a35f6964 {id}")), 100) {
            Err(Error::InvalidId(why)) => assert!(why.contains(reason), "{id}: {why}"),
            other => panic!("{id}: {other:?}"),
        }
    }
    for head in ["da", "c5"] {
        let with_len = |len: usize| {
            let mut bytes = hex(&format!("81 a35f6964 {head} {len:04x}"));
            bytes.extend(std::iter::repeat_n(b'x', len));
            bytes
        };
        assert!(matches!(prepare(&with_len(1024), 2000), Ok(Prepared::AsIs(_))));
        assert!(matches!(prepare(&with_len(1025), 2000), Err(Error::InvalidId(_))));
    }
}

#[test]
fn an_assigned_id_stands_in_front() {
    let given = hex("81 a161 cd0001");
    assert_eq!(prepare(&given, 100).unwrap(), Prepared::MissingId);
    let mut out = vec![0xaa];
    with_integer_id(&given, 300, &mut out).unwrap();
    assert_eq!(out, hex("aa 82 a35f6964 cd012c a161 cd0001"), "appended to what is there");
    // The head grows where the count no longer fits it.
    let mut fifteen = vec![0x8f];
    (0..15).for_each(|index| fifteen.extend([0xa1, b'a' + index, 0xc0]));
    let mut out = Vec::new();
    with_integer_id(&fifteen, 1, &mut out).unwrap();
    assert_eq!(&out[..8], &hex("de0010 a35f6964 01")[..]);
    assert!(naive::is_valid(&out));
}
