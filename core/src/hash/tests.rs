//! The trie against a map, and against pages that lie.

use super::*;
use crate::error::ErrorKind;
use crate::file::memory_pages::MemoryPages;
use crate::file::page::{get_u48, put_u48, Address};
use std::collections::{BTreeSet, HashMap};

/// A small random number generator (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Runs `test` with the seed of `NYRO_SEED`, or else with `count` seeds; prints the one that fails.
fn with_seeds(count: u64, test: impl Fn(&mut Random)) {
    struct Report(u64);
    impl Drop for Report {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("failed with NYRO_SEED={}", self.0);
            }
        }
    }
    let given = std::env::var("NYRO_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in given.map_or(0..count, |seed: u64| seed..seed + 1) {
        let _report = Report(seed);
        test(&mut Random(seed));
    }
}

/// A trie with the map it should equal: for each address, its hash.
struct Pair {
    pages: MemoryPages,
    root: TrieRoot,
    /// Live records.
    records: HashMap<Address, KeyHash>,
    /// Edits of the next fold: address in the trie, address after.
    pending: Vec<Edit>,
    next_address: u64,
    rehashed: u64,
}

impl Pair {
    fn new() -> Pair {
        let (pages, records) = (MemoryPages::new(), HashMap::new());
        Pair { pages, root: TrieRoot::default(), records, pending: Vec::new(), next_address: 1, rehashed: 0 }
    }

    fn address(&mut self) -> Address {
        self.next_address += 1;
        Address(self.next_address << 7)
    }

    fn insert(&mut self, hash: u64) {
        let (hash, new) = (KeyHash(hash), self.address());
        self.pending.push(Edit { hash, old: None, new: Some(new) });
    }

    fn update(&mut self, old: Address) {
        let (hash, new) = (self.records[&old], self.address());
        self.pending.push(Edit { hash, old: Some(old), new: Some(new) });
    }

    fn delete(&mut self, old: Address) {
        self.pending.push(Edit { hash: self.records[&old], old: Some(old), new: None });
    }

    /// Folds what is pending; the trie may ask for the hash of what it held before only.
    fn fold(&mut self) {
        let mut edits = std::mem::take(&mut self.pending);
        edits.sort_by_key(|edit| edit.hash);
        let (records, rehashed) = (&self.records, &mut self.rehashed);
        let mut rehash = |_: &MemoryPages, address| {
            *rehashed += 1;
            Ok(*records.get(&address).expect("a record that was in the trie"))
        };
        self.root = fold(&mut self.pages, 7, &self.root, &edits, &mut rehash).unwrap();
        self.pages.commit();
        for edit in &edits {
            if let Some(old) = edit.old {
                self.records.remove(&old);
            }
        }
        for edit in &edits {
            if let Some(new) = edit.new {
                self.records.insert(new, edit.hash);
            }
        }
    }

    fn finds(&self, hash: KeyHash, address: Address) -> bool {
        lookup(&self.pages, &self.root, hash, |a| Ok((a == address).then_some(()))).unwrap().is_some()
    }

    /// The whole promise: entries, lookups, and pages.
    fn check(&self) {
        assert_eq!(self.root.entries, self.records.len() as u64);
        let mut reached = BTreeSet::new();
        let mut seen = 0;
        let mut page = |page| {
            assert!(reached.insert(page), "{page:?} is reached twice");
            Ok(())
        };
        let mut entry = |entry: WalkEntry| {
            seen += 1;
            assert!(entry.matches(self.records[&entry.address]));
            for bit in [0, 15, 48, 63] {
                assert!(!entry.matches(KeyHash(self.records[&entry.address].0 ^ 1 << bit)));
            }
            Ok(())
        };
        walk(&self.pages, &self.root, &mut page, &mut entry).unwrap();
        assert_eq!(seen, self.records.len());
        assert_eq!(reached, self.pages.live(), "a page is lost or used after its release");
        for (&address, &hash) in &self.records {
            assert!(self.finds(hash, address), "{hash:x?} is not found");
            assert!(find_leaf::<_, Error>(&self.pages, &self.root, None, hash).unwrap().is_some());
        }
    }

    /// Live addresses in an order that the seed alone decides.
    fn addresses(&self) -> Vec<Address> {
        let mut addresses: Vec<Address> = self.records.keys().copied().collect();
        addresses.sort();
        addresses
    }
}

/// Random folds over hashes made by `hash`.
fn random_folds(random: &mut Random, rounds: u64, largest: u64, hash: impl Fn(&mut Random) -> u64) {
    let mut pair = Pair::new();
    for _ in 0..rounds {
        let growth = random.below(3);
        for address in pair.addresses() {
            match (growth, random.below(10)) {
                (0, 0..=6) | (1, 0) => pair.delete(address),
                (_, 7) => pair.update(address),
                _ => {}
            }
        }
        for _ in 0..if growth == 0 { random.below(20) } else { random.below(largest) } {
            pair.insert(hash(random));
        }
        pair.fold();
        pair.check();
    }
    pair.addresses().into_iter().for_each(|address| pair.delete(address));
    pair.fold();
    assert_eq!(pair.root, TrieRoot::default());
    assert!(pair.pages.live().is_empty());
    (0..1000).for_each(|_| pair.insert(hash(random)));
    pair.fold();
    pair.check();
}

#[test]
fn random_folds_equal_a_map() {
    with_seeds(10, |random| random_folds(random, 12, 20_000, Random::next));
}

#[test]
fn folds_of_hashes_with_few_bits_equal_a_map() {
    // Long common paths, duplicate hashes, deep and uneven tries, chains.
    with_seeds(10, |random| {
        let (a, b) = (random.next(), random.next());
        random_folds(random, 12, 6_000, |random| match random.below(4) {
            0 => a & b & random.next(),
            1 => a & top(20) | random.next() & !top(20),
            2 => a & top(random.below(64) as u8) | b >> 1 & 0xffff_ffff,
            _ => random.next() & !(a & b),
        });
    });
}

#[test]
fn absent_keys_are_not_found() {
    let random = &mut Random(1);
    let mut pair = Pair::new();
    assert_eq!(lookup(&pair.pages, &pair.root, KeyHash(5), |_| Ok(Some(()))).unwrap(), None);
    (0..100_000).for_each(|_| pair.insert(random.next()));
    pair.fold();
    let mut probes = 0;
    for _ in 0..100_000 {
        let probe = |_| {
            probes += 1;
            Ok(None::<()>)
        };
        assert_eq!(lookup(&pair.pages, &pair.root, KeyHash(random.next()), probe).unwrap(), None);
    }
    assert!(probes < 20, "{probes} of 100 000 absent keys had the tag of another");
}

#[test]
fn small_folds_make_the_same_trie_as_large_ones() {
    let random = &mut Random(2);
    let mut pair = Pair::new();
    for _ in 0..3_000 {
        (0..random.below(8)).for_each(|_| pair.insert(random.next()));
        pair.fold();
    }
    pair.check();
    assert_eq!(pair.rehashed, 0, "tags had all the bits that were needed");
    // Down to a single entry, in small folds: the trie shrinks to one leaf.
    while pair.records.len() > 1 {
        let addresses = pair.addresses();
        addresses.into_iter().take(pair.records.len().min(51) - 1).for_each(|address| pair.delete(address));
        pair.fold();
    }
    pair.check();
    assert_eq!((pair.root.level, pair.pages.live().len()), (0, 1));
}

#[test]
fn a_trie_of_three_levels_shrinks_as_it_grew() {
    with_seeds(1, |random| {
        let mut pair = Pair::new();
        for _ in 0..2 {
            (0..120_000).for_each(|_| pair.insert(random.next()));
            pair.fold();
            pair.check();
        }
        assert_eq!(pair.root.level, 2);
        while pair.root.level > 0 {
            for address in pair.addresses() {
                if random.below(10) < 4 {
                    pair.delete(address);
                }
            }
            pair.fold();
            pair.check();
            let leaves = 1 + pair.records.len() / 40;
            assert!(pair.pages.live().len() <= 4 + leaves, "{} pages for {leaves}", pair.pages.live().len());
            assert!(pair.root.level < 2 || pair.records.len() > 10_000, "the two nodes did not merge");
        }
        assert!(!pair.records.is_empty());
    });
}

#[test]
fn when_the_bits_in_the_tags_are_used_up_the_records_are_asked() {
    let random = &mut Random(3);
    let mut pair = Pair::new();
    // One by one around the limit, so that leaves have tags from bit 0 on; then all in one place.
    for round in 0..20 {
        (0..200).for_each(|_| pair.insert(0xabcd_ef00_0000_0000 & top(24) | random.next() & !top(24)));
        (0..20).for_each(|_| pair.insert(random.next()));
        pair.fold();
        pair.check();
        assert!(round < 2 || pair.rehashed > 0);
    }
    let (asked, entries) = (pair.rehashed, pair.root.entries);
    assert!(asked < entries, "{asked} records were asked for {entries} entries");
}

#[test]
fn entries_with_the_same_path_go_to_a_chain() {
    let mut pair = Pair::new();
    let random = &mut Random(4);
    for round in 0..4 {
        (0..700).for_each(|_| pair.insert(0x1234_5678_9abc_0000 | random.below(1 << 16)));
        (0..500).for_each(|_| pair.insert(0x8000_0000_0000_8000 | random.below(2)));
        (0..10).for_each(|_| pair.insert(random.next()));
        for address in pair.addresses() {
            match random.below(5) {
                0 => pair.update(address),
                1 if round == 3 => pair.delete(address),
                _ => {}
            }
        }
        pair.fold();
        pair.check();
    }
    for address in pair.addresses().into_iter().skip(3) {
        pair.delete(address);
    }
    pair.fold();
    pair.check();
    assert_eq!(pair.pages.live().len(), 1);
}

#[test]
fn an_edit_of_an_entry_that_is_not_there_is_refused() {
    let random = &mut Random(5);
    let mut pair = Pair::new();
    (0..1000).for_each(|_| pair.insert(random.next()));
    pair.fold();
    let (&address, &hash) = pair.records.iter().next().unwrap();
    let wrong = [
        Edit { hash: KeyHash(hash.0 ^ 1), old: Some(address), new: None },
        Edit { hash, old: Some(Address(3)), new: Some(Address(4)) },
    ];
    for edit in wrong {
        let result = fold(&mut pair.pages.copy(), 7, &pair.root, &[edit], &mut |_, _| Ok(KeyHash(0)));
        assert!(matches!(result, Err(Error::Corrupt(_))), "{result:?}");
    }
    let unsorted = [Edit { hash: KeyHash(2), old: None, new: None }, Edit { hash: KeyHash(1), old: None, new: None }];
    assert!(fold(&mut pair.pages, 7, &pair.root, &unsorted, &mut |_, _| Ok(KeyHash(0))).is_err());
}

#[test]
fn a_root_survives_its_encoding() {
    let root = TrieRoot { page: PageNo((1 << 48) - 2), level: 3, entries: u64::MAX - 1 };
    let mut bytes = [0; TrieRoot::BYTES];
    root.encode(&mut bytes);
    assert_eq!(TrieRoot::decode(&bytes), root);
    assert_eq!(TrieRoot::decode(&[0; TrieRoot::BYTES]), TrieRoot::default());
}

#[test]
fn a_million_random_keys_take_at_most_18_bytes_each() {
    let random = &mut Random(6);
    let mut pair = Pair::new();
    (0..1_000_000).for_each(|_| pair.insert(random.next()));
    pair.pending.sort_by_key(|edit| edit.hash);
    let started = std::time::Instant::now();
    pair.fold();
    let loaded = started.elapsed();
    let bytes = pair.pages.live().len() * PAGE_BYTES;
    let each = bytes as f64 / 1e6;
    let written = pair.pages.writes;
    let mut addresses: Vec<(u64, Address)> = pair.records.keys().map(|&address| (random.next(), address)).collect();
    addresses.sort();
    for &(_, address) in &addresses[..230_000] {
        pair.update(address);
    }
    let mut edits = pair.pending.clone();
    edits.sort_by_key(|edit| edit.hash);
    let started = std::time::Instant::now();
    let root = fold(&mut pair.pages, 7, &pair.root, &edits, &mut |_, _| Ok(KeyHash(0))).unwrap();
    println!("1 M entries: {each:.2} bytes each, level {}, loaded in {loaded:?} (with the map)", root.level);
    println!("230 000 updates in {:?}, {} pages written", started.elapsed(), pair.pages.writes - written);
    assert!(each <= 18.0, "{each} bytes for each entry");
}

/// The lookups, walks and folds of a trie whose pages lie end, without a panic.
fn survives(pages: &MemoryPages, root: &TrieRoot, pair: &Pair, random: &mut Random) {
    for hash in pair.records.values().take(300) {
        let _ = lookup(pages, root, *hash, |_| Ok(None::<()>));
        let _ = find_leaf::<_, Error>(pages, root, None, *hash);
    }
    let _ = walk(pages, root, &mut |_| Ok(()), &mut |_| Ok(()));
    let mut edits = Vec::new();
    for (&address, &hash) in &pair.records {
        if random.below(3) == 0 {
            edits.push(Edit { hash, old: Some(address), new: None });
        }
    }
    (0..300).for_each(|_| edits.push(Edit { hash: KeyHash(random.next()), old: None, new: Some(Address(9)) }));
    edits.sort_by_key(|edit| edit.hash);
    let _ = fold(&mut pages.copy(), 7, root, &edits, &mut |_, address| {
        pair.records.get(&address).copied().ok_or_else(|| Error::Internal("no such record".to_owned()))
    });
}

#[test]
fn damaged_pages_with_right_checksums_give_errors_only() {
    with_seeds(3, |random| {
        let mut pair = Pair::new();
        (0..3_000).for_each(|_| pair.insert(random.next()));
        (0..700).for_each(|_| pair.insert(0x1234_5678_9abc_0000 | random.below(1 << 16)));
        pair.fold();
        pair.check();
        let live: Vec<PageNo> = pair.pages.live().into_iter().collect();
        for _ in 0..300 {
            let mut pages = pair.pages.copy();
            for _ in 0..1 + random.below(3) {
                let page = live[random.below(live.len() as u64) as usize];
                let (at, to) = (random.below(4), random.below(PAGE_BYTES as u64) as usize);
                let at = if at == 0 { to.max(UNIT_HEADER_BYTES) } else { 48 + random.below(60) as usize };
                let (value, other) = (random.next(), live[random.below(live.len() as u64) as usize]);
                pages.tamper(page, |unit| {
                    if value & 3 == 0 && at + 6 <= PAGE_BYTES {
                        put_u48(unit, at, other.0);
                    } else {
                        unit[at] = (value >> 8) as u8;
                    }
                });
            }
            survives(&pages, &pair.root, &pair, random);
        }
        for root in [
            TrieRoot { level: 0, ..pair.root },
            TrieRoot { level: 200, ..pair.root },
            TrieRoot { level: pair.root.level + 1, ..pair.root },
            TrieRoot { page: PageNo(1 << 40), ..pair.root },
            TrieRoot { page: PageNo::NONE, ..pair.root },
            TrieRoot { entries: 0, ..pair.root },
            TrieRoot { entries: u64::MAX, ..pair.root },
        ] {
            survives(&pair.pages, &root, &pair, random);
            assert!(walk(&pair.pages, &root, &mut |_| Ok(()), &mut |_| Ok(())).is_err(), "{root:?}");
        }
    });
}

#[test]
fn a_page_that_is_used_twice_is_released_once() {
    let random = &mut Random(7);
    let mut pair = Pair::new();
    (0..500).for_each(|_| pair.insert(random.next()));
    pair.fold();
    assert_eq!((pair.root.level, pair.pages.live().len()), (1, 3));
    // Both slots of the root lead to the same leaf.
    pair.pages.tamper(pair.root.page, |unit| unit.copy_within(64..71, 71));
    let edit = |hash| Edit { hash: KeyHash(hash), old: None, new: Some(Address(9)) };
    let edits = [edit(0), edit(u64::MAX)];
    let result = fold(&mut pair.pages.copy(), 7, &pair.root, &edits, &mut |_, _| Ok(KeyHash(0)));
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_chain_that_leads_back_to_itself_ends() {
    let mut pair = Pair::new();
    (0..700).for_each(|i| pair.insert(0x1234_5678_9abc_0000 | i));
    pair.fold();
    for page in pair.pages.live() {
        if pair.pages.unit(page, PageKind::TrieLeaf).is_ok_and(|unit| get_u48(unit, 52) != 0) {
            pair.pages.tamper(page, |unit| put_u48(unit, 52, page.0));
        }
    }
    let absent = KeyHash(0x1234_5678_9abc_ffff);
    assert!(lookup(&pair.pages, &pair.root, absent, |_| Ok(None::<()>)).is_err());
    assert!(walk(&pair.pages, &pair.root, &mut |_| Ok(()), &mut |_| Ok(())).is_err());
}
