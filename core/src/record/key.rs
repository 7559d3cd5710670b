//! Where the id of a document stands in its bytes.
//!
//! A stored document is a MessagePack map whose first field is `_id`, and that id is encoded in the
//! shortest form. So the id's own bytes, inside the document, are the *key*: equal ids have equal
//! bytes, unequal ids unequal ones, and a record needs no second copy of it.
//!
//! ```text
//!   83           a3 5f 69 64   cd 03 e8        a4 6e 61 6d 65 ...
//!   map of 3     "_id"         1000 (the key)  "name" ...
//! ```

/// The longest key in bytes: a string or binary of 1 024 bytes with its MessagePack head.
pub const MAX_KEY_BYTES: usize = 1024 + 3;

/// `_id` as a MessagePack string.
pub const ID_FIELD: [u8; 4] = [0xa3, b'_', b'i', b'd'];

/// Length in bytes of the MessagePack map head at the front of `doc`, or `None` if it is not a map.
#[inline]
pub fn map_head_bytes(doc: &[u8]) -> Option<usize> {
    match *doc.first()? {
        0x80..=0x8f => Some(1),
        0xde => Some(3),
        0xdf => Some(5),
        _ => None,
    }
}

/// The length in bytes of the key (integer, string or binary) that begins at `at`, or `None` if
/// another type stands there or the bytes end.
#[inline]
pub fn key_bytes(bytes: &[u8], at: usize) -> Option<usize> {
    let byte = |i: usize| bytes.get(at + i).copied().map(usize::from);
    let len = match *bytes.get(at)? {
        0x00..=0x7f | 0xe0..=0xff => 1,
        0xcc | 0xd0 => 2,
        0xcd | 0xd1 => 3,
        0xce | 0xd2 => 5,
        0xcf | 0xd3 => 9,
        head @ 0xa0..=0xbf => 1 + usize::from(head & 0x1f),
        0xc4 | 0xd9 => 2 + byte(1)?,
        0xc5 | 0xda => 3 + (byte(1)? << 8 | byte(2)?),
        _ => return None,
    };
    (len <= MAX_KEY_BYTES && at + len <= bytes.len()).then_some(len)
}

/// The key of a stored document, or `None` if the bytes do not begin like one.
#[inline]
pub fn key_of(doc: &[u8]) -> Option<&[u8]> {
    let head = map_head_bytes(doc)?;
    let at = head + ID_FIELD.len();
    if doc.get(head..at)? != ID_FIELD {
        return None;
    }
    let len = key_bytes(doc, at)?;
    Some(&doc[at..at + len])
}

/// True if `key`, one whole key, is the key of the stored document `doc`.
#[inline]
pub fn has_key(doc: &[u8], key: &[u8]) -> bool {
    let Some(head) = map_head_bytes(doc) else { return false };
    let at = head + ID_FIELD.len();
    // A key's first bytes say how long it is, so what begins like `key` is `key`.
    match (doc.get(head..at), doc.get(at..at + key.len())) {
        (Some(field), Some(id)) => *field == ID_FIELD && same(id, key),
        _ => false,
    }
}

/// Compares; integers of 4 and of 8 bytes with two loads each.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    fn ends<const N: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
        Some((bytes.first_chunk()?, bytes.last_chunk()?))
    }
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        4..=8 => ends::<4>(a) == ends::<4>(b),
        9..=16 => ends::<8>(a) == ends::<8>(b),
        _ => a == b,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_bytes_of_the_first_field() {
        assert_eq!(key_of(b"\x83\xa3_id\xcd\x03\xe8\xa1a\x01\xa1b\x02"), Some(&b"\xcd\x03\xe8"[..]));
        assert_eq!(key_of(b"\xde\x00\x01\xa3_id\xa3abc"), Some(&b"\xa3abc"[..]));
        assert_eq!(key_of(b"\x81\xa3_id\xc4\x02zz"), Some(&b"\xc4\x02zz"[..]));
    }

    #[test]
    fn bytes_that_are_no_document_have_no_key() {
        for bytes in [
            &b""[..],
            b"\x81",
            b"\x81\xa3_i",
            b"\x81\xa3_id",
            b"\x81\xa3_id\xcd\x01",
            b"\x81\xa3_id\xc0",
            b"\x93\xa3_id\x01",
        ] {
            assert_eq!(key_of(bytes), None, "{bytes:?}");
        }
        assert_eq!(key_of(b"\x81\xa3_ix\x01"), None);
        assert!(!has_key(b"\x81\xa3_ix\x01", b"\x01") && !has_key(b"\x81\xa3_id\xcd\x01", b"\xcd\x01\x02"));
        assert_eq!(key_of(b"\x81\xa3_id\xda\xff\xff"), None);
    }

    #[test]
    fn a_document_has_its_own_key_and_no_other() {
        let bytes: Vec<u8> = (0..40).collect();
        let strings = (0..32usize).map(|len| [&[0xa0 | len as u8], &bytes[..len]].concat());
        let integers = [0xccu8, 0xcd, 0xce, 0xcf].into_iter().map(|head| [&[head], &bytes[..1 << (head & 3)]].concat());
        for key in strings.chain(integers).chain([vec![7], vec![0xff]]) {
            for head in [&b"\x82"[..], b"\xde\x00\x02", b"\xdf\x00\x00\x00\x02"] {
                let doc = [head, &ID_FIELD, &key, b"\xa1a\x01"].concat();
                assert!(has_key(&doc, &key), "{key:?}");
                for at in 0..key.len() {
                    let mut other = key.clone();
                    other[at] ^= 1;
                    assert!(!has_key(&doc, &other), "{key:?}, {at}");
                }
                let ends = head.len() + ID_FIELD.len() + key.len();
                (0..ends).for_each(|cut| assert!(!has_key(&doc[..cut], &key)));
            }
        }
    }
}
