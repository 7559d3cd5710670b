//! The documents that all benchmarks measure with, and their random numbers.

use nyro::{doc, RawDocumentBuf};

/// A small generator of random numbers (SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// The next one.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// A document of about 130 bytes and `padding`; 50 make the usual one of 180.
pub fn document(id: u64, random: &mut Random, padding: usize) -> RawDocumentBuf {
    let r = random.next();
    let doc = doc! {
        "_id": id,
        "name": format!("Person {:08x}", r as u32),
        "email": format!("person{:x}@example.org", r >> 32),
        "age": (r % 90) as i64,
        "city": "Springfield",
        "score": (r % 10_000) as f64 / 7.0,
        "active": r & 1 == 1,
        "visits": (r % 100_000) as i64,
        "note": "x".repeat(padding)
    };
    RawDocumentBuf::from_serialize(&doc).expect("a document")
}
