//! Random documents from a seed.

use super::super::{Document, Timestamp, Value};

/// A small generator of random numbers (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    pub(super) fn bytes(&mut self, limit: u64) -> Vec<u8> {
        (0..self.below(limit)).map(|_| self.next() as u8).collect()
    }

    pub(super) fn text(&mut self) -> String {
        let alphabet =
            ["a", "b", "_id", "$", "$$", "$date", "é", "中", "𝄞", "\"", "\\", "\n", "\0", "\u{7f}", " ", "0", "."];
        let len = if self.below(20) == 0 { 300 } else { self.below(12) };
        (0..len).map(|_| *self.pick(&alphabet)).collect()
    }

    /// An integer near the places where its encoding changes.
    pub(super) fn int(&mut self) -> i64 {
        let edge = 1_i64.checked_shl(self.below(64) as u32).unwrap_or(0);
        let edge = edge.wrapping_add(self.below(5) as i64 - 2);
        if self.below(2) == 0 {
            edge
        } else {
            edge.wrapping_neg()
        }
    }

    pub(super) fn float(&mut self) -> f64 {
        let special = [0.0, -0.0, 1.0, -1.5, 0.1, 1e300, 5e-324, f64::MAX, f64::MIN, f64::INFINITY, f64::NEG_INFINITY];
        if self.below(2) == 0 {
            return *self.pick(&special);
        }
        let float = f64::from_bits(self.next());
        if float.is_nan() {
            0.5
        } else {
            float
        }
    }

    pub(super) fn timestamp(&mut self) -> Timestamp {
        let nanos = *self.pick(&[0, 1, 999_999_999, 123_000_000, 123_456_000, 5_000_000]);
        let secs = match self.below(4) {
            0 => self.int(),
            1 => self.below(1 << 33) as i64,
            2 => self.below(1 << 36) as i64,
            _ => -(self.below(1 << 36) as i64),
        };
        Timestamp::new(secs, nanos).unwrap()
    }

    pub(super) fn value(&mut self, depth: u32) -> Value {
        match self.below(if depth == 0 { 10 } else { 13 }) {
            0 => Value::Null,
            1 => Value::Bool(self.below(2) == 1),
            2 | 3 => Value::Int(self.int()),
            4 => Value::UInt(self.next() | 1 << 63),
            5 => Value::Float(self.float()),
            6 | 7 => Value::String(self.text()),
            8 => Value::Binary(self.bytes(40)),
            9 if self.below(2) == 0 => Value::Timestamp(self.timestamp()),
            9 => {
                let code = *self.pick(&[0, 1, 47, 64, 127, -2, -128]);
                Value::Ext(code, self.bytes(20))
            }
            10 => (0..self.below(20)).map(|_| self.value(depth - 1)).collect(),
            _ => Value::Document(self.document(depth - 1)),
        }
    }

    pub(super) fn document(&mut self, depth: u32) -> Document {
        let fields = if self.below(8) == 0 { self.below(60) } else { self.below(9) };
        (0..fields).map(|_| (self.text(), self.value(depth))).collect()
    }
}
