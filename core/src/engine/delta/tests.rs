//! Tests of the delta against a list of everything that was committed.

use super::*;
use crate::testing::{seed, Rng};
use std::collections::BTreeMap;
use std::convert::Infallible;

const BASE: u64 = 1000;

/// (tree, id) -> (commit, record; none for a delete), oldest first.
type Versions = BTreeMap<(u32, u64), Vec<(u64, Option<Address>)>>;

/// A delta and what went into it.
struct Pair {
    delta: Delta,
    versions: Versions,
    newest: BTreeMap<(u32, u64), (u32, Address)>,
    /// Slots in the file, and the commit that ended them.
    folded: BTreeMap<(u32, u64), Address>,
    marks: BTreeMap<Address, u64>,
    live: BTreeMap<u32, u64>,
    counts: BTreeMap<(u32, u64), u64>,
    records: u64,
    /// Ids share hashes where this is small.
    hashes: u64,
}

fn id_of(address: Address) -> u64 {
    address.0 >> 40
}

impl Pair {
    fn new(hashes: u64) -> Pair {
        Pair {
            delta: Delta::new(&crate::memory::Pool::new(0), BASE, Room::default()),
            versions: Versions::new(),
            newest: BTreeMap::new(),
            folded: BTreeMap::new(),
            marks: BTreeMap::new(),
            live: BTreeMap::new(),
            counts: BTreeMap::new(),
            records: 0,
            hashes,
        }
    }

    fn hash(&self, id: u64) -> u64 {
        (id % self.hashes).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn address(&mut self, id: u64) -> Address {
        self.records += 1;
        Address(id << 40 | self.records)
    }

    /// Before the first commit: the id has a document in the file.
    fn fold(&mut self, tree: u32, id: u64) {
        let address = self.address(id);
        if self.folded.insert((tree, id), address).is_none() {
            *self.live.entry(tree).or_default() += 1;
        }
    }

    fn is_live(&self, tree: u32, id: u64) -> bool {
        match self.versions.get(&(tree, id)).and_then(|versions| versions.last()) {
            Some((_, record)) => record.is_some(),
            None => self.folded.contains_key(&(tree, id)),
        }
    }

    /// As `Writer::apply` does it.
    fn apply(&mut self, tree: u32, id: u64, commit: u64, put: bool) {
        let live = self.is_live(tree, id);
        if !put && !live {
            return;
        }
        let newest = self.newest.get(&(tree, id)).copied();
        let folded = self.folded.get(&(tree, id)).copied().filter(|_| newest.is_none());
        if let (Some((index, _)), true) = (newest, live) {
            self.delta.kill(index, commit);
        }
        if let Some(address) = folded {
            self.delta.mark(address, commit);
            self.marks.insert(address, commit);
        }
        let record = put.then(|| self.address(id));
        let address = record.or(newest.map(|(_, address)| address)).or(folded).expect("a delete of something");
        let new = NewVersion {
            tree,
            hash: self.hash(id),
            commit,
            address,
            tombstone: !put,
            previous: newest.map(|(index, _)| index),
            base: folded,
        };
        let part = self.delta.part(tree);
        let index = self.delta.insert(&part, new);
        self.newest.insert((tree, id), (index, address));
        self.versions.entry((tree, id)).or_default().push((commit, record));
        let count = self.live.entry(tree).or_default();
        *count = *count + u64::from(put) - u64::from(live);
        self.delta.set_count(&part, commit, *count);
        self.counts.insert((tree, commit), *count);
    }

    /// The newest version at a commit.
    fn expected(&self, tree: u32, id: u64, at: u64) -> Option<Option<Address>> {
        let versions = self.versions.get(&(tree, id))?;
        versions.iter().filter(|(commit, _)| *commit <= at).map(|(_, record)| *record).next_back()
    }

    fn check(&self, trees: u32, ids: u64, at: u64) {
        for tree in 0..trees {
            let mut live = Vec::new();
            for id in 0..ids {
                let expected = self.expected(tree, id, at);
                let is_id = |address: Address| Ok::<_, Infallible>(id_of(address) == id);
                let Ok(found) = self.delta.find(tree, self.hash(id), at, is_id);
                let found = found.map(|version| (!version.tombstone).then_some(version.address));
                assert_eq!(found, expected, "id {id} of tree {tree} at commit {at}");
                assert!(expected.is_none() || self.delta.may_hold(tree, self.hash(id)));
                live.extend(expected.flatten());
            }
            assert_eq!(self.scan(tree, at), live.into_iter().collect(), "a scan of tree {tree} at commit {at}");
            let count = self.counts.range((tree, 0)..=(tree, at)).next_back().map(|(_, count)| *count);
            assert_eq!(self.delta.count_at(tree, at), count, "count of tree {tree} at commit {at}");
        }
        for address in self.folded.values() {
            let died = self.marks.get(address).is_some_and(|commit| *commit <= at);
            assert_eq!(self.delta.is_marked(*address, at), died);
            assert!(!died || self.delta.may_mark_block(*address));
        }
    }

    fn scan(&self, tree: u32, at: u64) -> std::collections::BTreeSet<Address> {
        let mut next = self.delta.tree(tree).and_then(|part| self.delta.first(&part));
        let mut seen = std::collections::BTreeSet::new();
        let mut births = 0;
        while let Some(index) = next {
            let item = self.delta.item(index);
            assert_eq!(item.tree, tree);
            assert!(item.birth >= births, "entries stand in commit order");
            births = item.birth;
            if item.birth <= at && at < item.death {
                assert!(seen.insert(item.address.expect("tombstones are not linked")));
            }
            next = self.delta.next(index);
        }
        seen
    }

    /// What the fold is told of each id.
    fn check_newest(&self) {
        let mut newest: Vec<_> = self.delta.newest().map(|n| (n.tree, n.hash, n.base, n.address)).collect();
        let expected = self.versions.iter().map(|((tree, id), versions)| {
            let record = versions.last().and_then(|(_, record)| *record);
            (*tree, self.hash(*id), self.folded.get(&(*tree, *id)).copied(), record)
        });
        let mut expected: Vec<_> = expected.collect();
        newest.sort_unstable();
        expected.sort_unstable();
        assert_eq!(newest, expected);
        assert_eq!(self.delta.distinct() as usize, expected.len());
        let marked: std::collections::BTreeSet<Address> = self.delta.marked().into_iter().collect();
        assert_eq!(marked, self.marks.keys().copied().collect());
    }
}

#[test]
fn every_commit_sees_exactly_its_own_versions() {
    let mut rng = Rng::new(seed(11));
    let (rounds, commits) = if cfg!(miri) { (1, 40) } else { (60, 300) };
    for round in 0..rounds {
        let (trees, ids) = (1 + rng.below(3) as u32, 2 + rng.below(if cfg!(miri) { 60 } else { 200 }));
        // Every third round many ids share a hash.
        let hashes = if round % 3 == 2 { 1 + rng.below(4) } else { u64::MAX };
        let mut pair = Pair::new(hashes);
        for _ in 0..rng.below(ids * 2) {
            pair.fold(rng.below(trees.into()) as u32, rng.below(ids));
        }
        for commit in BASE + 1..=BASE + commits {
            for _ in 0..1 + rng.below(4) {
                let (tree, id) = (rng.below(trees.into()) as u32, rng.below(ids));
                let changed = pair.versions.get(&(tree, id)).and_then(|v| v.last()).map(|(at, _)| *at);
                // A commit holds one change of an id.
                if changed != Some(commit) {
                    pair.apply(tree, id, commit, rng.chance(0.7));
                }
            }
        }
        let step = if cfg!(miri) { 13 } else { 7 };
        (BASE..=BASE + commits).step_by(step).for_each(|at| pair.check(trees, ids, at));
        pair.check(trees, ids, BASE + commits);
        pair.check(trees, ids, u64::MAX - 1);
        pair.check_newest();
    }
}

#[test]
fn a_snapshot_from_before_the_delta_sees_nothing_of_it() {
    let mut pair = Pair::new(u64::MAX);
    pair.apply(1, 1, BASE + 1, true);
    let Ok(found) = pair.delta.find(1, pair.hash(1), BASE - 1, |_| Ok::<_, Infallible>(true));
    assert_eq!(found, None);
    assert_eq!(pair.delta.count_at(1, BASE - 1), None);
    assert_eq!(pair.delta.count_at(1, BASE), None);
}

#[test]
fn chunks_of_entries_follow_each_other_without_a_gap() {
    let mut expected = (0, 0);
    for index in 0..10_000 {
        let (chunk, at, size) = chunk_of(index);
        assert_eq!((chunk, at), expected, "entry {index}");
        assert_eq!(size, 64 << chunk);
        expected = if at + 1 == size { (chunk + 1, 0) } else { (chunk, at + 1) };
    }
    assert!(chunk_of(MAX_ENTRIES - 1).0 < CHUNKS);
}

#[test]
fn readers_find_the_versions_of_their_commit_while_the_writer_adds_more() {
    let commits = if cfg!(miri) { 40 } else { 30_000 };
    let delta = Delta::new(&crate::memory::Pool::new(0), 0, Room::default());
    let published = AtomicU64::new(0);
    let ids = 16;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| loop {
                let at = published.load(Ordering::Acquire);
                // Commit n wrote id n % ids; each id's address tells the commit.
                for id in 0..ids {
                    let Ok(found) = delta.find(1, id, at, |a| Ok::<_, Infallible>(a.0 % ids == id));
                    let expected = (0..=at).rev().take(ids as usize).find(|n| *n > 0 && n % ids == id);
                    assert_eq!(found.map(|version| version.address.0 - ids), expected, "id {id} at commit {at}");
                }
                assert_eq!(delta.count_at(1, at), (at > 0).then(|| at.min(ids)));
                if at == commits {
                    break;
                }
                std::thread::yield_now();
            });
        }
        let part = delta.part(1);
        let mut newest = [None; 16];
        for commit in 1..=commits {
            let id = commit % ids;
            let previous = newest[id as usize];
            if let Some(previous) = previous {
                delta.kill(previous, commit);
            }
            let address = Address(commit + ids);
            let new = NewVersion { tree: 1, hash: id, commit, address, tombstone: false, previous, base: None };
            newest[id as usize] = Some(delta.insert(&part, new));
            delta.set_count(&part, commit, commit.min(ids));
            published.store(commit, Ordering::Release);
        }
    });
}
