//! Fixed work for the count of instructions (`bench/instructions.py`): get, put, commit and scan through the raw calls
//! that all bindings use, and the same of keyspaces (`key_get`, `key_put`, `key_walk`).
//!
//! `instructions WORK COUNT` loads 20 000 documents and keys, then does the work COUNT times in [`counted`], which is what
//! is counted.

use nyro::{Collection, Database, Document, Durability, InsertManyOptions, Keyspace, Options, RawDocument};
use std::hint::black_box;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const LOADED: u64 = 20_000;
/// Keys that are newer than the runs, among which walks go.
const NEWER: u64 = 500;
/// Entries of a walk.
const WALKED: usize = 50;

/// Ids of all sizes of integers that come in practice.
fn id(at: u64) -> u64 {
    at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

fn key(at: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&id(at).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key[8..].copy_from_slice(&at.to_be_bytes());
    key
}

fn document(id: u64, round: u64) -> Vec<u8> {
    let document = nyro::doc! {
        "_id": id,
        "name": format!("Person {:08x}", id as u32),
        "email": format!("person{id:08x}@example.org"),
        "age": id % 90,
        "score": (id % 10_000) as f64 / 7.0,
        "active": true,
        "visits": round,
        "note": "x".repeat(60)
    };
    document.to_msgpack().expect("a document")
}

struct Work {
    db: Database,
    documents: Collection<Document>,
    entries: Keyspace,
    prepared: Vec<Vec<u8>>,
}

/// The only function whose instructions are counted, with all that it calls.
#[inline(never)]
fn counted(work: &Work, what: &str, count: u64) -> Outcome<u64> {
    let mut sum = 0;
    match what {
        "get" => {
            for at in 0..count {
                let found = work.documents.get_raw_with(id(at % LOADED), |found| found.as_bytes().len() as u64)?;
                sum += found.ok_or("a document is not there")?;
            }
        }
        "put" => {
            let documents = work.prepared.iter().map(|bytes| RawDocument::unvalidated(bytes));
            sum += work.documents.insert_many_raw(documents, InsertManyOptions::default())?.inserted_ids.len() as u64;
        }
        "commit" => {
            for bytes in &work.prepared {
                work.documents.put_raw(RawDocument::unvalidated(bytes))?;
            }
        }
        "scan" => {
            for _ in 0..count {
                let snapshot = work.db.snapshot()?;
                let mut scan = snapshot.collection::<Document>("documents")?.scan();
                while let Some(found) = scan.next_raw()? {
                    sum += found.as_bytes().len() as u64;
                }
            }
        }
        "key_get" => {
            for at in 0..count {
                let found = work.entries.get_with(key(at % LOADED), |value| value.len() as u64)?;
                sum += found.ok_or("a key is not there")?;
            }
        }
        "key_put" => {
            for at in 0..count {
                work.entries.put(key(2 * LOADED + at), [7; 100])?;
            }
        }
        "key_walk" => {
            for at in 0..count {
                let mut walk = work.entries.range(key(at % LOADED)..)?;
                for _ in 0..WALKED {
                    let Some((_, value)) = walk.next_entry()? else { break };
                    sum += value.len() as u64;
                }
            }
        }
        other => return Err(format!("no such work: {other}").into()),
    }
    Ok(sum)
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, what, count] = arguments.as_slice() else { return Err("instructions WORK COUNT".into()) };
    let count: u64 = count.parse()?;
    let options = Options { durability: Durability::Manual, ..Options::default() };
    let folder = std::env::temp_dir().join(format!("nyro-instructions-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let db = Database::open_with(folder.join("instructions.nyro"), options)?;
    let documents = db.collection::<Document>("documents");
    let loaded: Vec<Vec<u8>> = (0..LOADED).map(|at| document(id(at), 0)).collect();
    let raw = loaded.iter().map(|bytes| RawDocument::unvalidated(bytes));
    documents.insert_many_raw(raw, InsertManyOptions::default())?;
    let entries = db.keyspace("entries");
    entries.batch(|entries| (0..LOADED).try_for_each(|at| entries.put(key(at), [1; 100])))?;
    db.compact()?;
    entries.batch(|entries| (LOADED..LOADED + NEWER).try_for_each(|at| entries.put(key(at), [2; 100])))?;
    // The first document after a checkpoint makes what all others find.
    documents.put_raw(RawDocument::unvalidated(&document(id(LOADED), 0)))?;
    let prepared = (1..=count).map(|at| document(id(LOADED + at), 1)).collect();
    let work = Work { db, documents, entries, prepared };
    black_box(counted(&work, what, count)?);
    drop((work.documents, work.entries));
    work.db.close()?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
