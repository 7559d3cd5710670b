//! The documents and ids that all engines get, from one seed.

use nyro::{doc, RawDocumentBuf};

/// The seed of everything.
pub const SEED: u64 = 7;

#[path = "../../core/benches/people/mod.rs"]
mod people;

pub use people::Random;

/// A number below `limit`.
pub fn below(random: &mut Random, limit: u64) -> u64 {
    random.next() % limit
}

/// Puts a slice into random order.
pub fn shuffle<T>(random: &mut Random, items: &mut [T]) {
    for at in (1..items.len()).rev() {
        items.swap(at, below(random, at as u64 + 1) as usize);
    }
}

/// `count` different ids of 48 bits, in random order.
pub fn random_ids(count: usize, seed: u64) -> Vec<u64> {
    let mut random = Random(seed);
    let mut ids: Vec<u64> = Vec::with_capacity(count + count / 1000);
    while ids.len() < count {
        let missing = count - ids.len();
        ids.extend(std::iter::repeat_with(|| random.next() >> 16 | 1).take(missing));
        ids.sort_unstable();
        ids.dedup();
    }
    shuffle(&mut random, &mut ids);
    ids
}

/// Bytes of a document of a person without padding.
const PERSON: usize = 130;
/// Padding of the usual document, all of one letter.
const USUAL_PADDING: usize = 50;
/// Bytes of a note without its text.
const EMPTY_NOTE: usize = 18;

/// A document of fewer bytes than a person takes.
fn note(id: u64, random: &mut Random, bytes: usize) -> RawDocumentBuf {
    let mut text = vec![0; bytes.saturating_sub(EMPTY_NOTE)];
    letters(&mut text, random);
    let doc = doc! { "_id": id, "n": String::from_utf8_lossy(&text).into_owned() };
    RawDocumentBuf::from_serialize(&doc).expect("a document")
}

/// Random letters, of sixteen.
fn letters(text: &mut [u8], random: &mut Random) {
    for chunk in text.chunks_mut(8) {
        let letters = (random.next() & 0x0f0f_0f0f_0f0f_0f0f) + 0x6161_6161_6161_6161;
        chunk.copy_from_slice(&letters.to_le_bytes()[..chunk.len()]);
    }
}

/// Documents as MessagePack, one behind the other.
pub struct Documents {
    ids: Vec<u64>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Documents {
    /// One for each id, of `bytes` bytes about (at least 20).
    pub fn new(ids: Vec<u64>, bytes: usize, random: &mut Random) -> Documents {
        let mut documents =
            Documents { ids: Vec::new(), bytes: Vec::with_capacity(ids.len() * bytes), ends: Vec::new() };
        for id in &ids {
            documents.push(*id, bytes, random);
            documents.ends.push(documents.bytes.len());
        }
        documents.ids = ids;
        documents
    }

    fn push(&mut self, id: u64, bytes: usize, random: &mut Random) {
        if bytes < PERSON {
            self.bytes.extend_from_slice(note(id, random, bytes).as_bytes());
            return;
        }
        let padding = bytes - PERSON;
        self.bytes.extend_from_slice(people::document(id, random, padding).as_bytes());
        if padding > USUAL_PADDING {
            // The padding is the end of the last field. So much of one letter would be an easy prey of compression.
            let start = self.bytes.len() - padding;
            letters(&mut self.bytes[start..], random);
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Their ids.
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// Bytes of all of them.
    pub fn total_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The id and the bytes of number `at`.
    pub fn get(&self, at: usize) -> (u64, &[u8]) {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        (self.ids[at], &self.bytes[start..self.ends[at]])
    }

    /// All, in batches of `size`.
    pub fn batches(&self, size: usize) -> impl Iterator<Item = Vec<(u64, &[u8])>> {
        (0..self.len()).step_by(size).map(move |from| {
            let to = (from + size).min(self.len());
            (from..to).map(|at| self.get(at)).collect()
        })
    }
}

/// A sum over all bytes: touches every one.
pub fn touch(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let sum = words
        .by_ref()
        .fold(0, |sum: u64, word| sum.wrapping_add(word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))));
    words.remainder().iter().fold(sum, |sum, byte| sum.wrapping_add(u64::from(*byte)))
}
