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
    // The shortest of many batches: what it costs when nothing else runs.
    let mut shortest = std::time::Duration::MAX;
    for _ in 0..3_000 {
        let started = std::time::Instant::now();
        for _ in 0..1_000 {
            std::hint::black_box(prepare(std::hint::black_box(&bytes), 1 << 24).unwrap());
        }
        shortest = shortest.min(started.elapsed() / 1_000);
    }
    println!("{} bytes, {} fields: {shortest:?}", bytes.len(), document.len());
}
