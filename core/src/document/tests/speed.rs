//! What the validator costs, for a person to read: `cargo test --release -- --ignored --nocapture speed`.

use super::super::canonical::prepare;
use crate::doc;

#[test]
#[ignore = "prints a measurement"]
fn the_cost_of_validating_a_small_document() {
    let document = doc! {
        "_id": 123_456,
        "name": "Ada Lovelace",
        "email": "ada@analytical-engine.example",
        "age": 36,
        "balance": 1024.5,
        "active": true,
        "address": "12 St James's Square, London, SW1Y 4JH",
        "notes": "first programmer; daughter of Byron; friend of Babbage",
    };
    let bytes = document.to_msgpack().unwrap();
    for _ in 0..3 {
        let started = std::time::Instant::now();
        let rounds = 2_000_000_u32;
        for _ in 0..rounds {
            std::hint::black_box(prepare(std::hint::black_box(&bytes), 1 << 24).unwrap());
        }
        println!("{} bytes, {} fields: {:?}", bytes.len(), document.len(), started.elapsed() / rounds);
    }
}
