//! Values by key, in the order of the keys: keyspaces from Rust.
//!
//! `cargo run -p nyro-cli --example keyspace`

use nyro::{doc, Database, Document};

/// Prints keys with their values, and says how many there are.
fn print(range: impl Iterator<Item = nyro::Result<nyro::KeyValue>>) -> nyro::Result<usize> {
    let mut count = 0;
    for entry in range {
        let (key, value) = entry?;
        println!("  {}  {}", String::from_utf8_lossy(&key), String::from_utf8_lossy(&value));
        count += 1;
    }
    Ok(count)
}

fn main() -> nyro::Result<()> {
    // Or a path: "app.nyro".
    let db = Database::open(":memory:")?;
    let readings = db.keyspace("readings");

    // Keys are bytes, and lie in the order of their bytes: what belongs together begins alike.
    readings.put("attic/2026-11-29", "17.5")?;
    readings.batch(|readings| {
        readings.put("cellar/2026-11-30", "11.0")?;
        readings.put("attic/2026-11-30", "16.0")
    })?;
    assert_eq!(readings.get("attic/2026-11-30")?.as_deref(), Some(&b"16.0"[..]));

    // All of the attic, the newest first; the days from the 30th on.
    println!("attic");
    assert_eq!(print(readings.prefix("attic/")?.rev())?, 2);
    println!("attic, from the 30th on");
    assert_eq!(print(readings.range("attic/2026-11-30".."attic0")?)?, 1);

    // In a transaction, together with documents if you like: all of it, or none of it.
    let before = db.snapshot()?;
    db.write(|tx| {
        let readings = tx.keyspace("readings");
        readings.delete_range("attic/".."attic0")?;
        readings.put("roof/2026-11-30", "3.5")?;
        tx.collection::<Document>("moves").put(&doc! { "from": "attic", "to": "roof" })?;
        Ok(())
    })?;
    println!("after the attic was cleared");
    assert_eq!(print(readings.iter()?)?, 2);

    // A snapshot still has it.
    let (first, _) = before.keyspace("readings")?.first()?.expect("the attic");
    assert_eq!(first, b"attic/2026-11-29");
    drop(before);
    db.close()
}
