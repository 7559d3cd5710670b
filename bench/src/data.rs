//! The documents and ids that all engines get, from one seed.

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

/// Documents as MessagePack, one behind the other.
pub struct Documents {
    ids: Vec<u64>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Documents {
    /// One for each id, of `bytes` bytes about (at least 130).
    pub fn new(ids: Vec<u64>, bytes: usize, random: &mut Random) -> Documents {
        let mut documents =
            Documents { ids: Vec::new(), bytes: Vec::with_capacity(ids.len() * bytes), ends: Vec::new() };
        for id in &ids {
            documents.bytes.extend_from_slice(people::document(*id, random, bytes.saturating_sub(130)).as_bytes());
            documents.ends.push(documents.bytes.len());
        }
        documents.ids = ids;
        documents
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ids.len()
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
