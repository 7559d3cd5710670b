//! Base64 with the standard alphabet and padding (RFC 4648, section 4).

use std::fmt;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes `bytes` as Base64.
pub(super) fn encode(bytes: &[u8], out: &mut impl fmt::Write) -> fmt::Result {
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, &byte| group << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let sextet = (group >> (18 - 6 * position)) & 0x3f;
            let digit = if position <= chunk.len() { ALPHABET[sextet as usize] } else { b'=' };
            out.write_char(char::from(digit))?;
        }
    }
    Ok(())
}

/// Reads Base64; `None` if `text` is not exactly what [`encode`] would write, except that padding may be left out.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = match text.as_bytes() {
        [digits @ .., b'=', b'='] if digits.len() % 4 == 2 => digits,
        [digits @ .., b'='] if digits.len() % 4 == 3 => digits,
        digits => digits,
    };
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.chunks(4) {
        let mut group = 0_u32;
        for &digit in chunk {
            group = group << 6 | sextet(digit)?;
        }
        group <<= 6 * (4 - chunk.len());
        let len = chunk.len() * 6 / 8;
        // One digit makes no byte, and the bits behind the last byte must be zero.
        if chunk.len() == 1 || group & (0xff_ffff >> (8 * len)) != 0 {
            return None;
        }
        bytes.extend_from_slice(&group.to_be_bytes()[1..=len]);
    }
    Some(bytes)
}

fn sextet(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut text = String::new();
        encode(bytes, &mut text).unwrap();
        text
    }

    #[test]
    fn the_vectors_of_the_specification_hold() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (bytes, text) in cases {
            assert_eq!(encoded(bytes.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
            assert_eq!(decode(text.trim_end_matches('=')).unwrap(), bytes.as_bytes(), "without padding");
        }
    }

    #[test]
    fn every_byte_comes_back() {
        let bytes: Vec<u8> = (0..=255).rev().chain(0..=255).collect();
        for len in 0..bytes.len() {
            assert_eq!(decode(&encoded(&bytes[..len])).unwrap(), &bytes[..len]);
        }
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["Z", "Zg=", "Zh==", "Zm9=", "Zm 9", "Zg==Zg==", "=", "====", "Zm9v=", "Zm-v", "ä"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
