//! What the threads of the child do, as a function of seed, thread and number alone: so the parent knows
//! the state after any number of operations without being told more than that number.

use crate::lane::lost;
use nyro::testing::Rng;
use nyro::{doc, Database, Document, Durability, Options, ReadMode, Result, Ticket, Transaction};
use std::collections::{BTreeMap, BTreeSet};

/// Threads that write.
pub const THREADS: u64 = 4;
/// The collections; a transaction writes to both.
pub const COLLECTIONS: [&str; 2] = ["left", "right"];
/// Ids of a thread begin at its number times this.
const APART: u64 = 1000;

/// Everything that a child is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    pub durability: u64,
    pub log_max_bytes: u64,
    /// Ids of each thread, at most 1 000.
    pub ids: u64,
}

impl Plan {
    pub fn options(&self) -> Options {
        let durability = match self.durability {
            0 => Durability::Sync,
            1 => Durability::Interval(5),
            _ => Durability::Manual,
        };
        Options {
            durability,
            log_max_bytes: self.log_max_bytes,
            cache_bytes: 8 << 20,
            read_mode: if self.seed % 3 == 0 { ReadMode::Pread } else { ReadMode::Mapped },
            ..Options::default()
        }
    }
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

/// Operation `n` of a thread: one step, or a transaction of several.
fn steps(plan: &Plan, thread: u64, n: u64) -> Vec<Step> {
    let mut rng = Rng::new(plan.seed ^ thread << 56 ^ n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let count = if rng.chance(0.2) { 2 + rng.below(4) } else { 1 };
    let mut steps: Vec<Step> = Vec::new();
    for i in 0..count {
        let step = Step {
            collection: (i + rng.below(2)) as usize % 2,
            id: thread * APART + rng.below(plan.ids),
            delete: rng.chance(0.25),
            length: length(&mut rng),
        };
        // One step for each document, so that every operation leaves its mark.
        if steps.iter().all(|s| (s.collection, s.id) != (step.collection, step.id)) {
            steps.push(step);
        }
    }
    steps
}

fn length(rng: &mut Rng) -> usize {
    match rng.below(100) {
        0 => 70_000 + rng.below(80_000) as usize,
        1..=3 => 4_000 + rng.below(30_000) as usize,
        _ => rng.below(400) as usize,
    }
}

fn body(thread: u64, n: u64, length: usize) -> String {
    let letters = Rng::new(thread << 48 | n).next_u64().to_le_bytes();
    letters.iter().map(|b| char::from(b'a' + b % 26)).cycle().take(length).collect()
}

/// Applies operation `n` to what the parent knows.
pub fn imagine(plan: &Plan, owned: &mut Owned, thread: u64, n: u64) {
    for step in steps(plan, thread, n) {
        let at = (step.collection, step.id);
        if !step.delete || owned.remove(&at).is_none() {
            owned.insert(at, (n, step.length));
        }
    }
}

/// Applies operation `n` to the database, by a call that acknowledges it.
pub fn perform(plan: &Plan, db: &Database, thread: u64, n: u64) -> Result<()> {
    match steps(plan, thread, n)[..] {
        [step] => {
            let collection = db.collection::<Document>(COLLECTIONS[step.collection]);
            if !step.delete || !collection.delete(step.id)? {
                collection.put(&document(thread, n, &step))?;
            }
            Ok(())
        }
        ref steps => db.write(|tx| apply(tx, thread, n, steps)),
    }
}

/// Applies operation `n` to the database; visible when this returns, and acknowledged by the ticket.
pub fn begin(plan: &Plan, db: &Database, thread: u64, n: u64) -> Result<Ticket> {
    let steps = steps(plan, thread, n);
    db.write_async(|tx| apply(tx, thread, n, &steps)).map(|((), ticket)| ticket)
}

/// Applies operation `n` by one way to write or another; acknowledged when this returns.
pub fn vary(plan: &Plan, db: &Database, thread: u64, n: u64) -> Result<()> {
    match n % 3 {
        0 => perform(plan, db, thread, n),
        // What is acknowledged by the disk is not visible before.
        2 if plan.options().durability != Durability::Sync => begin(plan, db, thread, n).map(|_| ()),
        _ => begin(plan, db, thread, n)?.wait(),
    }
}

fn apply(tx: &Transaction<'_>, thread: u64, n: u64, steps: &[Step]) -> Result<()> {
    for step in steps {
        let collection = tx.collection::<Document>(COLLECTIONS[step.collection]);
        if !step.delete || !collection.delete(step.id)? {
            collection.put(&document(thread, n, step))?;
        }
    }
    Ok(())
}

fn document(thread: u64, n: u64, step: &Step) -> Document {
    doc! { "_id": step.id, "n": n, "body": body(thread, n, step.length) }
}

/// What the database holds, thread by thread. Every document must be whole.
pub fn found(db: &Database) -> Vec<Owned> {
    read(db).unwrap_or_else(|e| lost(format!("reading: {e}")))
}

fn read(db: &Database) -> Result<Vec<Owned>> {
    let mut threads = vec![Owned::new(); THREADS as usize];
    let snapshot = db.snapshot()?;
    for (number, name) in COLLECTIONS.into_iter().enumerate() {
        let by_id = snapshot.collection::<Document>(name)?;
        let mut documents = 0;
        for document in db.collection::<Document>(name).scan()? {
            let document = document?;
            let number_in = |field| document.get(field).and_then(|v| v.as_u64());
            let text = document.get("body").and_then(|v| v.as_str());
            let (Some(id), Some(n), Some(text)) = (number_in("_id"), number_in("n"), text) else {
                lost(format!("{name} holds a document that nobody wrote"))
            };
            let thread = id / APART;
            if thread >= THREADS || text != body(thread, n, text.len()) {
                lost(format!("the document {id} of {name} is torn"));
            }
            if by_id.get(id)?.as_ref() != Some(&document) {
                lost(format!("the document {id} of {name} is another one by its id than in the scan"));
            }
            if threads[thread as usize].insert((number, id), (n, text.len())).is_some() {
                lost(format!("the scan of {name} gives {id} twice"));
            }
            documents += 1;
        }
        if db.collection::<Document>(name).count_documents()? != documents {
            lost(format!("the count of {name} is wrong"));
        }
    }
    Ok(threads)
}

/// One place where the two differ: (collection, id), what is there, what should be.
type Difference = ((usize, u64), Option<(u64, usize)>, Option<(u64, usize)>);

/// Where the two differ; a few places.
pub fn difference(found: &Owned, expected: &Owned) -> Vec<Difference> {
    let keys: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let both = keys.into_iter().map(|k| (*k, found.get(k).copied(), expected.get(k).copied()));
    both.filter(|(_, found, expected)| found != expected).take(6).collect()
}
