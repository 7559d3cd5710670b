//! The first ten minutes with NyroDB: `cargo run -p nyro-cli --example quickstart`.

use nyro::{doc, Database, Document, Result};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    #[serde(rename = "_id")]
    id: u64,
    name: String,
    languages: Vec<String>,
}

fn main() -> Result<()> {
    // `open` makes the file if it is not there; `:memory:` is a database without one.
    let db = Database::open(":memory:")?;

    // Your own types, or documents of any shape.
    let users = db.collection::<User>("users");
    let ada = User { id: 1, name: "Ada".into(), languages: vec!["English".into(), "French".into()] };
    users.put(&ada)?;
    assert_eq!(users.get(1)?, Some(ada));

    // Without an `_id`, a document gets the next integer.
    let notes = db.collection::<Document>("notes");
    let id = notes.put(&doc! { "text": "buy milk", "done": false })?;
    println!("note {id}: {}", notes.get(id.clone())?.expect("just written").to_json());

    // A transaction: all of it, or none of it.
    db.write(|tx| {
        tx.collection::<Document>("notes").delete(id.clone())?;
        tx.collection::<User>("users").put(&User { id: 2, name: "Grace".into(), languages: vec![] })?;
        Ok(())
    })?;

    // A keyspace: keys and values are bytes, in the order of the keys.
    let scores = db.keyspace("scores");
    for (name, score) in [("ada", 36), ("alan", 41), ("grace", 85)] {
        scores.put(name, i32::to_string(&score))?;
    }
    scores.delete_range("b"..)?;
    let (name, score) = scores.last()?.expect("two are left");
    println!("{}: {}", String::from_utf8_lossy(&name), String::from_utf8_lossy(&score));

    // A snapshot stays as it is, whatever is written after it.
    let before = db.snapshot()?;
    users.delete(1)?;
    assert_eq!(before.collection::<User>("users")?.count_documents()?, 2);
    assert_eq!(users.count_documents()?, 1);
    drop(before);

    for user in users.scan()? {
        println!("user: {:?}", user?);
    }
    db.close()
}
