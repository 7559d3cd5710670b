//! What the threads of a child do, as a function of seed, thread and number alone: so the parent knows the documents
//! after any number of operations without being told more than that number.

use std::collections::{BTreeMap, BTreeSet};

use nyro::{doc, Database, Document, Durability, Options};

use crate::random::Random;

/// The collections; a transaction writes to both.
const COLLECTIONS: [&str; 2] = ["left", "right"];
/// Ids of each thread.
const IDS: u64 = 40;
/// The ids of a thread begin at its number times this.
const APART: u64 = 1000;

/// Everything that the operations depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    pub durability: u64,
    pub log_max_bytes: u64,
    pub threads: u64,
}

/// The documents of one thread: (collection, id) -> (number of the operation, length).
pub type Owned = BTreeMap<(usize, u64), (u64, usize)>;

/// A put or a delete of one document. A delete of what is not there is a put.
#[derive(Debug, Clone, Copy)]
struct Step {
    collection: usize,
    id: u64,
    delete: bool,
    length: usize,
}

impl Plan {
    /// The plan of the file with this number: the durabilities take turns.
    pub fn new(random: &mut Random, file: u64, threads: u64) -> Plan {
        let log_max_bytes = [64 << 10, 256 << 10, 1 << 20][random.below(3) as usize];
        Plan { seed: random.next(), durability: file % 3, log_max_bytes, threads }
    }

    pub fn options(&self) -> Options {
        let durability = match self.durability {
            0 => Durability::Sync,
            1 => Durability::Interval(5),
            _ => Durability::Manual,
        };
        Options { durability, log_max_bytes: self.log_max_bytes, cache_bytes: 8 << 20, ..Options::default() }
    }

    /// Operation `n` of a thread: one step, or a transaction of several.
    fn steps(&self, thread: u64, n: u64) -> Vec<Step> {
        let mut random = Random::new(self.seed ^ thread << 56 ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let count = if random.chance(20) { 2 + random.below(4) } else { 1 };
        let mut steps: Vec<Step> = Vec::new();
        for _ in 0..count {
            let collection = random.below(2) as usize;
            let id = thread * APART + random.below(IDS);
            let step = Step { collection, id, delete: random.chance(25), length: length(&mut random) };
            // One step for each document, so that every operation leaves its mark.
            if steps.iter().all(|s| (s.collection, s.id) != (collection, id)) {
                steps.push(step);
            }
        }
        steps
    }

    /// Applies operation `n` to what the parent knows.
    pub fn imagine(&self, owned: &mut Owned, thread: u64, n: u64) {
        for step in self.steps(thread, n) {
            let at = (step.collection, step.id);
            if !step.delete || owned.remove(&at).is_none() {
                owned.insert(at, (n, step.length));
            }
        }
    }

    /// Applies operation `n` to the database; when this returns, it is acknowledged.
    pub fn perform(&self, db: &Database, thread: u64, n: u64) -> nyro::Result<()> {
        let steps = self.steps(thread, n);
        db.write(|tx| {
            for step in &steps {
                let collection = tx.collection::<Document>(COLLECTIONS[step.collection]);
                if !step.delete || !collection.delete(step.id)? {
                    collection.put(&doc! { "_id": step.id, "n": n, "body": body(thread, n, step.length) })?;
                }
            }
            Ok(())
        })
    }
}

fn length(random: &mut Random) -> usize {
    match random.below(100) {
        0 => 70_000 + random.below(80_000) as usize,
        1..=3 => 4_000 + random.below(30_000) as usize,
        _ => random.below(400) as usize,
    }
}

fn body(thread: u64, n: u64, length: usize) -> String {
    let letters = Random::new(thread << 48 | n).next().to_le_bytes();
    letters.iter().map(|b| char::from(b'a' + b % 26)).cycle().take(length).collect()
}

/// What the database holds, thread by thread; or what of it is not whole.
pub fn found(db: &Database, plan: &Plan) -> Result<Vec<Owned>, String> {
    let mut threads = vec![Owned::new(); plan.threads as usize];
    for (number, name) in COLLECTIONS.into_iter().enumerate() {
        let collection = db.collection::<Document>(name);
        let mut documents = 0;
        for document in collection.scan().map_err(|e| format!("scan of {name}: {e}"))? {
            let document = document.map_err(|e| format!("scan of {name}: {e}"))?;
            let number_in = |field| document.get(field).and_then(|v| v.as_u64());
            let text = document.get("body").and_then(|v| v.as_str());
            let (Some(id), Some(n), Some(text)) = (number_in("_id"), number_in("n"), text) else {
                return Err(format!("{name} holds a document that nobody wrote"));
            };
            let thread = id / APART;
            let Some(owned) = threads.get_mut(thread as usize) else {
                return Err(format!("{name} holds the document {id} that nobody wrote"));
            };
            if text != body(thread, n, text.len()) {
                return Err(format!("the document {id} of {name} is torn"));
            }
            if collection.get(id).map_err(|e| format!("get of {id}: {e}"))?.as_ref() != Some(&document) {
                return Err(format!("the document {id} of {name} is another one by its id than in the scan"));
            }
            if owned.insert((number, id), (n, text.len())).is_some() {
                return Err(format!("the scan of {name} gives {id} twice"));
            }
            documents += 1;
        }
        if collection.count_documents().map_err(|e| format!("count of {name}: {e}"))? != documents {
            return Err(format!("the count of {name} is wrong"));
        }
    }
    Ok(threads)
}

/// Where the two differ, in words; a few of them.
pub fn difference(found: &Owned, expected: &Owned) -> String {
    let keys: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let different = keys.into_iter().filter(|key| found.get(key) != expected.get(key));
    let say = |document: Option<&(u64, usize)>| match document {
        Some((n, _)) => format!("the document of operation {n}"),
        None => "nothing".to_owned(),
    };
    let words = different.take(5).map(|key| {
        let (collection, id) = key;
        format!("{} {id} is {}, not {}", COLLECTIONS[*collection], say(found.get(key)), say(expected.get(key)))
    });
    words.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_by_document() {
        let expected = Owned::from([((0, 7), (3, 10)), ((1, 8), (4, 10))]);
        let found = Owned::from([((0, 7), (2, 10))]);
        let told = difference(&found, &expected);
        assert_eq!(
            told,
            "left 7 is the document of operation 2, not the document of operation 3; right 8 is nothing, not the \
             document of operation 4"
        );
        assert_eq!(difference(&expected, &expected), "");
    }

    #[test]
    fn what_is_imagined_is_what_happens() {
        let plan = Plan { seed: 3, durability: 2, log_max_bytes: 1 << 20, threads: 2 };
        let db = Database::open(":memory:").expect("opens");
        let mut owned = vec![Owned::new(); 2];
        for n in 0..200 {
            for thread in 0..2 {
                plan.perform(&db, thread, n).expect("a commit");
                plan.imagine(&mut owned[thread as usize], thread, n);
            }
        }
        assert_eq!(found(&db, &plan).expect("whole"), owned);
    }
}
