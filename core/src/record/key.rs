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

/// The key of a document that is looked for.
#[derive(Debug, Clone, Copy)]
pub enum Sought<'k> {
    /// That of a non-negative integer: compared by its value, its bytes are never made.
    Natural(u64),
    /// The bytes of any key.
    Bytes(&'k [u8]),
}

impl Sought<'_> {
    /// True if this is the key of the stored document `doc`.
    #[inline(always)]
    pub fn is_key_of(&self, doc: &[u8]) -> bool {
        let Some(head) = map_head_bytes(doc) else { return false };
        let Some((field, id)) = doc.get(head..).and_then(<[u8]>::split_first_chunk) else { return false };
        if u32::from_ne_bytes(*field) != u32::from_ne_bytes(ID_FIELD) {
            return false;
        }
        match *self {
            // A key's first bytes say how long it is, so what begins like `key` is `key`.
            Sought::Bytes(key) => id.get(..key.len()).is_some_and(|id| same(id, key)),
            Sought::Natural(value) => begins_with_integer(id, value),
        }
    }
}

/// True if `bytes` begin with the shortest form of `value`.
#[inline(always)]
fn begins_with_integer(bytes: &[u8], value: u64) -> bool {
    let Some((&head, rest)) = bytes.split_first() else { return false };
    match value {
        0..=0x7f => u64::from(head) == value,
        0x80..=0xff => head == 0xcc && rest.first_chunk() == Some(&(value as u8).to_be_bytes()),
        0x100..=0xffff => head == 0xcd && rest.first_chunk() == Some(&(value as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => head == 0xce && rest.first_chunk() == Some(&(value as u32).to_be_bytes()),
        _ => head == 0xcf && rest.first_chunk() == Some(&value.to_be_bytes()),
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
        assert!(!Sought::Bytes(b"\x01").is_key_of(b"\x81\xa3_ix\x01"));
        assert!(!Sought::Bytes(b"\xcd\x01\x02").is_key_of(b"\x81\xa3_id\xcd\x01"));
        assert_eq!(key_of(b"\x81\xa3_id\xda\xff\xff"), None);
    }

    /// `sought` is the key of a document with `key` as its id, and of none that differs in a bit or is cut.
    fn is_that_key_only(sought: Sought<'_>, key: &[u8]) {
        for head in [&b"\x82"[..], b"\xde\x00\x02", b"\xdf\x00\x00\x00\x02"] {
            let doc = |key: &[u8]| [head, &ID_FIELD, key, b"\xa1a\x01"].concat();
            assert!(sought.is_key_of(&doc(key)), "{key:?}");
            for bit in 0..key.len() * 8 {
                let mut other = key.to_vec();
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(!sought.is_key_of(&doc(&other)), "{key:?}, {bit}");
            }
            let end = head.len() + ID_FIELD.len() + key.len();
            (0..end).for_each(|cut| assert!(!sought.is_key_of(&doc(key)[..cut])));
        }
    }

    #[test]
    fn a_document_has_its_own_key_and_no_other() {
        let bytes: Vec<u8> = (0..40).collect();
        for len in 0..32usize {
            let key = [&[0xa0 | len as u8], &bytes[..len]].concat();
            is_that_key_only(Sought::Bytes(&key), &key);
        }
        for key in [&b"\xff"[..], b"\xd0\x80", b"\xc4\x02zz", b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00"] {
            is_that_key_only(Sought::Bytes(key), key);
        }
    }

    #[test]
    fn an_integer_is_compared_by_value_as_by_bytes() {
        for value in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0xffff_ffff, 1 << 32, u64::MAX] {
            let bytes = value.to_be_bytes();
            let key = match value {
                0..=0x7f => vec![value as u8],
                0x80..=0xff => vec![0xcc, value as u8],
                0x100..=0xffff => [&[0xcd], &bytes[6..]].concat(),
                0x1_0000..=0xffff_ffff => [&[0xce], &bytes[4..]].concat(),
                _ => [&[0xcf], &bytes[..]].concat(),
            };
            is_that_key_only(Sought::Natural(value), &key);
            is_that_key_only(Sought::Bytes(&key), &key);
        }
        // Longer than it need be: not the key of an integer.
        assert!(!Sought::Natural(7).is_key_of(b"\x81\xa3_id\xcc\x07"));
    }
}
