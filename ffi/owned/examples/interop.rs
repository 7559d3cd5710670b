//! The Rust part of the test of `bindings/interop`: see the README there.

use nyro_owned::{Database, Document};

use nyro::{doc, Timestamp, Value};

fn large(language: &str) -> Document {
    let when = Timestamp::new(1_580_702_706, 789_000_000).expect("in range");
    doc! {
        "_id": language,
        "small": 42,
        "negative": -7,
        "big": i64::MAX,
        "huge": u64::MAX,
        "float": 1.5,
        "text": "h\u{e9}llo \u{2713} \u{1f600}",
        "bytes": Value::Binary(vec![0, 255]),
        "when": when,
        "list": [1, "two", Value::Null, true],
        "map": { "a": { "b": Value::Array(vec![]) } },
    }
}

fn small(language: &str, n: u32) -> Document {
    doc! { "_id": format!("{language}-{n}"), "n": n, "square": n * n }
}

fn documents(language: &str) -> Vec<Document> {
    (0..100).map(|n| small(language, n)).chain([large(language)]).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, verb, languages @ ..] = args.as_slice() else { return Err("interop PATH read|write LANGUAGE..".into()) };
    let db = Database::open(path)?;
    let interop = db.collection::<Document>("interop");
    let writes = verb == "write";
    for language in languages.iter().skip(writes.into()) {
        for wanted in documents(language) {
            let id = wanted.id().ok_or("an id")?;
            let found = interop.get(id.clone())?.ok_or_else(|| format!("rust: {id} is not there"))?;
            if found != wanted {
                return Err(format!("rust: {id} is {found:?}, not {wanted:?}").into());
            }
        }
    }
    if writes {
        for document in documents(&languages[0]) {
            interop.insert_one(&document)?;
        }
    }
    db.close()?;
    Ok(())
}
