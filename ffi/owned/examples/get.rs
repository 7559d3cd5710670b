//! The Rust side of `ffi/bench/get.c`: the same documents, the same order, the same steps.
//!
//! `get PATH COUNT ROUNDS` prints "name nanoseconds" lines: the fastest of the rounds.

use nyro_owned::{Database, Document, Durability, InsertManyOptions, Options, RawDocument};
use std::hint::black_box;
use std::time::Instant;

const FIRST: u32 = 1 << 24;

fn document(id: u32) -> Vec<u8> {
    let number = [&[0xce], id.to_be_bytes().as_slice()].concat();
    [b"\x83\xa3_id".as_slice(), &number, b"\xa4text\xd9\xa0", &[b'x'; 160], b"\xa1n", &number].concat()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, path, count, rounds] = args.as_slice() else { return Err("get PATH COUNT ROUNDS".into()) };
    let (count, rounds): (u32, u32) = (count.parse()?, rounds.parse()?);
    let mut order: Vec<u32> = (FIRST..FIRST + count).collect();
    let mut seed = 88172645463325252_u64;
    for i in (1..order.len()).rev() {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        order.swap(i, (seed % (i as u64 + 1)) as usize);
    }
    let options = Options { durability: Durability::Manual, ..Options::default() };
    let db = Database::open_with(format!("{path}.rust.nyro"), options)?;
    let live = db.collection::<Document>("documents");
    for first in (0..count).step_by(1000) {
        let documents: Vec<_> = (first..count.min(first + 1000)).map(|i| document(FIRST + i)).collect();
        let documents = documents.iter().map(|bytes| RawDocument::unvalidated(bytes));
        live.insert_many_raw(documents, InsertManyOptions::default())?;
    }
    db.checkpoint()?;
    let report = |name: &str, run: &dyn Fn(u32) -> nyro_owned::Result<u8>| -> nyro_owned::Result<()> {
        let mut best = f64::MAX;
        for _ in 0..rounds {
            let start = Instant::now();
            for id in &order {
                black_box(run(*id)?);
            }
            best = best.min(start.elapsed().as_nanos() as f64);
        }
        println!("{name} {:.1}", best / f64::from(count));
        Ok(())
    };
    let last = |bytes: &[u8]| bytes.last().copied().unwrap_or(0);
    report("rust_get_copying", &|id| {
        let copy = live.get_raw_with(id, |document| document.as_bytes().to_vec())?;
        Ok(last(&copy.unwrap_or_default()))
    })?;
    let snapshot = db.snapshot()?;
    let frozen = snapshot.collection::<Document>("documents")?;
    report("rust_get_borrowed", &|id| Ok(frozen.get_raw(id)?.map_or(0, |document| last(document.as_bytes()))))?;
    db.close()?;
    Ok(())
}
