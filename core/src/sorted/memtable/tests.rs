use super::*;
use crate::testing::Rng;
use std::collections::BTreeMap;

type Model = BTreeMap<Vec<u8>, Vec<(u64, Option<Vec<u8>>)>>;

fn key(rng: &mut Rng) -> Vec<u8> {
    let n = rng.below(400);
    match n % 5 {
        0 => Vec::new(),
        1 => vec![n as u8; (n % 9) as usize],
        2 => [b"a common beginning ".as_slice(), &n.to_be_bytes()].concat(),
        3 => n.to_be_bytes().to_vec(),
        _ => vec![0; (n % 20) as usize],
    }
}

fn at(versions: &[(u64, Option<Vec<u8>>)], commit: u64) -> Option<&Option<Vec<u8>>> {
    versions.iter().rev().find(|(birth, _)| *birth <= commit).map(|(_, value)| value)
}

#[test]
fn versions_and_ranges_are_as_in_plain_maps_at_every_commit() {
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let table = Memtable::new(&Pool::new(0), MOST_BYTES);
        assert!(table.is_empty());
        let mut model: BTreeMap<u32, Model> = BTreeMap::new();
        // What lies below: commits from which on a key is covered, for every key that was ever drawn.
        let mut covered: BTreeMap<(u32, Vec<u8>), u64> = BTreeMap::new();
        let keys: Vec<Vec<u8>> = (0..600).map(|_| key(&mut rng)).collect();
        let commits = 1500;
        for commit in 1..=commits {
            let (tree, key) = (rng.below(3) as u32 * 7, rng.pick(&keys).clone());
            let versions = model.entry(tree).or_default();
            match rng.below(12) {
                0 => {
                    let other = rng.pick(&keys).clone();
                    let (start, end) = if key <= other { (key, other) } else { (other, key) };
                    let end = (rng.below(6) > 0).then_some(end);
                    let range = Range { start: &start, end: end.as_deref() };
                    table.delete_range(tree, range, commit);
                    for (_, list) in versions.iter_mut().filter(|(key, _)| range.has(key)) {
                        if list.last().is_some_and(|(_, value)| value.is_some()) {
                            list.push((commit, None));
                        }
                    }
                    for key in keys.iter().filter(|key| range.has(key)) {
                        covered.entry((tree, key.clone())).or_insert(commit);
                    }
                }
                1 | 2 => {
                    table.put(tree, &key, Cell::Deleted, commit);
                    versions.entry(key).or_default().push((commit, None));
                }
                _ => {
                    let value = vec![commit as u8; rng.below(30) as usize];
                    table.put(tree, &key, Cell::Value(&value), commit);
                    versions.entry(key).or_default().push((commit, Some(value)));
                }
            }
        }
        for commit in [0, 1, 10, 700, commits, u64::MAX] {
            for (&tree, versions) in &model {
                for key in &keys {
                    let known = versions.get(key).and_then(|list| at(list, commit));
                    let expected = known.map(|value| value.as_deref().map_or(Cell::Deleted, Cell::Value));
                    match (table.get(tree, key, commit), expected) {
                        (Known::Cell(got), Some(expected)) => assert_eq!(got, expected),
                        (Known::Covered(range), None) => {
                            assert!(range.has(key) && covered[&(tree, key.clone())] <= commit)
                        }
                        (Known::Nothing, None) => {
                            assert!(covered.get(&(tree, key.clone())).is_none_or(|from| *from > commit))
                        }
                        (got, expected) => panic!("seed {seed}, {key:?} at {commit}: {got:?}, not {expected:?}"),
                    }
                }
                let expected: Vec<(&[u8], Cell<'_>)> = versions
                    .iter()
                    .filter_map(|(key, list)| Some((key, at(list, commit)?)))
                    .map(|(key, value)| (&key[..], value.as_deref().map_or(Cell::Deleted, Cell::Value)))
                    .collect();
                let mut walk = table.seek(tree, &[], false, commit);
                let item = |version: Version| (table.key(version), table.cell(version));
                let forward: Vec<_> = std::iter::from_fn(|| walk.step(&table, false)).map(item).collect();
                assert_eq!(forward, expected, "seed {seed}");
                let mut walk = table.seek_end(tree, commit);
                let mut back: Vec<_> = std::iter::from_fn(|| walk.step(&table, true)).map(item).collect();
                back.reverse();
                assert_eq!(back, expected, "seed {seed}");
                let (from, after) = (rng.pick(&keys), rng.below(2) == 0);
                let split = expected.partition_point(|(key, _)| *key < &from[..] || (after && *key == &from[..]));
                let mut walk = table.seek(tree, from, after, commit);
                let mut other = walk.clone();
                assert_eq!(walk.step(&table, false).map(item), expected.get(split).copied());
                assert_eq!(other.step(&table, true).map(item), split.checked_sub(1).map(|at| expected[at]));
            }
        }
        for tree in table.trees() {
            let ranges: Vec<_> = table.ranges(tree).collect();
            assert!(ranges.windows(2).all(|pair| pair[0].end.is_some_and(|end| end <= pair[1].start)));
        }
    }
}

#[test]
fn ascending_keys_fill_their_leaves() {
    let table = Memtable::new(&Pool::new(0), MOST_BYTES);
    for n in 0u64..10_000 {
        table.put(1, &n.to_be_bytes(), Cell::Value(b""), 1);
    }
    assert!(table.nodes.bytes() < 10_000 * 24, "{}", table.nodes.bytes());
    assert_eq!(table.keys(1), 10_000);
}

#[test]
fn readers_beside_the_writer_see_what_was_there_at_their_commit() {
    let table = Memtable::new(&Pool::new(0), MOST_BYTES);
    let published = AtomicU64::new(0);
    let (keys, commits) = (3000u64, if cfg!(miri) { 300 } else { 60_000u64 });
    let key_of = |n: u64| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes();
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let (table, published) = (&table, &published);
            scope.spawn(move || {
                let mut rng = Rng::new(seed);
                loop {
                    let commit = published.load(Ordering::Acquire);
                    // Commit c wrote key c % keys.
                    let n = rng.below(keys);
                    let last = (commit >= n).then(|| commit - (commit - n) % keys).filter(|last| *last > 0);
                    let got = table.get(1, &key_of(n), commit);
                    let expected = last.map(u64::to_be_bytes);
                    match (got, expected) {
                        (Known::Cell(Cell::Value(value)), Some(expected)) => assert_eq!(value, expected),
                        (Known::Nothing, None) => {}
                        other => panic!("{n} at {commit}: {other:?}"),
                    }
                    let back = rng.below(2) == 0;
                    let mut walk = table.seek(1, &key_of(n), back, commit);
                    let mut last: Option<&[u8]> = None;
                    let mut left = if rng.below(50) == 0 { usize::MAX } else { 40 };
                    let mut seen = 0;
                    while let Some(version) = walk.step(table, back).filter(|_| left > 0) {
                        let key = table.key(version);
                        assert!(last.is_none_or(|last| if back { key < last } else { key > last }));
                        last = Some(key);
                        left -= 1;
                        seen += 1;
                    }
                    if left > 0 && left < usize::MAX {
                        let side =
                            |other: &u64| if back { key_of(*other) <= key_of(n) } else { key_of(*other) >= key_of(n) };
                        let there = (1..=commit.min(keys)).map(|c| c % keys).filter(side).count();
                        assert_eq!(seen, there, "at {commit}");
                    }
                    if commit == commits {
                        return;
                    }
                }
            });
        }
        for commit in 1..=commits {
            table.put(1, &key_of(commit % keys), Cell::Value(&commit.to_be_bytes()), commit);
            published.store(commit, Ordering::Release);
        }
    });
}

/// Not a test: figures for `docs/decisions/2026-11-30-the-memtable-is-a-b-link-tree.md`. In a release build.
#[test]
#[ignore = "a measurement"]
fn memtable_beside_a_skip_list() {
    use crossbeam_skiplist::SkipMap;
    use std::hint::black_box;
    use std::time::Instant;
    let timed = |what: &str, count: u64, work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        println!("{what:>32}: {:>6} ns", start.elapsed().as_nanos() / u128::from(count));
    };
    let key_of = |n: u64| {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        [mixed.to_be_bytes(), n.to_be_bytes()].concat()
    };
    for count in [100_000u64, 500_000] {
        println!("{count} keys of 16 bytes, values of 100");
        let keys: Vec<Vec<u8>> = (0..count).map(key_of).collect();
        let absent: Vec<Vec<u8>> = (count..2 * count).map(key_of).collect();
        let table = Memtable::new(&Pool::new(1 << 30), MOST_BYTES);
        timed("memtable, put", count, &mut || {
            keys.iter().zip(1..).for_each(|(key, commit)| table.put(1, key, Cell::Value(&[7; 100]), commit));
        });
        let list: SkipMap<(Vec<u8>, u64), Vec<u8>> = SkipMap::new();
        timed("skip list, put", count, &mut || {
            keys.iter()
                .zip(1..)
                .for_each(|(key, commit)| drop(list.insert((key.clone(), u64::MAX - commit), vec![7; 100])));
        });
        for (what, keys) in [("get", &keys), ("get, absent", &absent)] {
            timed(&format!("memtable, {what}"), count, &mut || {
                keys.iter()
                    .for_each(|key| assert!(black_box(table.get(1, key, u64::MAX)) != Known::Cell(Cell::Deleted)));
            });
            timed(&format!("skip list, {what}"), count, &mut || {
                keys.iter().for_each(|key| {
                    let found = list.lower_bound(std::ops::Bound::Included(&(key.clone(), 0)));
                    black_box(found.filter(|entry| entry.key().0 == *key).map(|entry| entry.value().len()));
                });
            });
        }
        timed("memtable, walk", count, &mut || {
            let mut walk = table.seek(1, &[], false, u64::MAX);
            while let Some(version) = walk.step(&table, false) {
                black_box(table.cell(version));
            }
        });
        timed("skip list, walk", count, &mut || {
            assert_eq!(list.iter().map(|entry| black_box(entry.value().len())).sum::<usize>(), 100 * count as usize)
        });
    }
}
