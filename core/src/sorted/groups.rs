//! Groups of runs in level 0 that overlap each other: what can be merged, or moved down, without the others.
//!
//! ```text
//!   set 9   [ a ... c ]  [ f . g ]     [ k ....... p ]
//!   set 7   [ b ... d ]  [ f .. h ]    [ k . m ][ n . q ]
//!   set 4     [ c . d ]                [ l ............ r ]
//!           |  group   |  group   |    |      group       |
//!           ^          ^          ^    ^
//!           cuts: where a new set ends its runs, if it has enough for each of them
//! ```
//!
//! Sets that are cut at the same keys, as the fragments of PebblesDB are by its guards (Raju, Kadekodi, Chidambaram and
//! Abraham, 2017), go down one group at a time, so that no merge is a long one.

use super::levels::List;
use super::run::Run;
use crate::error::{Error, Result};
use crate::file::pages::Pages;
use crate::sync::Arc;
use std::ops::Range;

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The first key of all runs.
    pub first: Vec<u8>,
    /// The last one.
    pub last: Vec<u8>,
    /// Bytes of all keys and values.
    pub bytes: u64,
    /// Which runs of which set, the newest set first.
    pub parts: Vec<(usize, Range<usize>)>,
}

impl Group {
    /// Takes in the one behind it.
    pub fn join(&mut self, next: &Group) {
        self.last.clone_from(&next.last);
        self.bytes += next.bytes;
        for (set, runs) in &next.parts {
            match self.parts.iter_mut().find(|(other, _)| other == set) {
                // Runs of a set are in order, and so are groups: there is nothing between.
                Some((_, own)) => own.end = runs.end,
                None => self.parts.push((*set, runs.clone())),
            }
        }
        self.parts.sort_unstable_by_key(|(set, _)| *set);
    }

    /// The runs of its parts, the newest first.
    pub fn runs(&self, sets: &[List]) -> Vec<Vec<Arc<Run>>> {
        self.parts.iter().map(|(set, runs)| sets[*set].runs()[runs.clone()].to_vec()).collect()
    }

    /// Bytes of one of its parts.
    pub fn part_bytes(&self, sets: &[List], part: usize) -> u64 {
        let (set, runs) = &self.parts[part];
        sets[*set].runs()[runs.clone()].iter().map(|run| run.bytes).sum()
    }
}

/// The first and last key of a run, whole.
pub fn whole_fences(pages: &Pages, run: &Run) -> Result<[Vec<u8>; 2]> {
    let mut whole = [run.first.bytes.to_vec(), run.last.bytes.to_vec()];
    if run.first.cut || run.last.cut {
        let (first, last) = run.tail(pages)?.keys()?;
        whole = [first.to_vec(), last.to_vec()];
    }
    if whole[0] > whole[1] {
        return Err(Error::corrupt("run (first and last key)", run.page.0, 0, run.number, 1));
    }
    Ok(whole)
}

/// The groups of these sets, ascending. Sets are given the newest first.
pub fn groups(pages: &Pages, sets: &[List]) -> Result<Vec<Group>> {
    let mut runs = Vec::new();
    for (set, list) in sets.iter().enumerate() {
        for (at, run) in list.runs().iter().enumerate() {
            let [first, last] = whole_fences(pages, run)?;
            runs.push((first, last, run.open_end, set, at));
        }
    }
    runs.sort_unstable_by(|a, b| (&a.0, a.3, a.4).cmp(&(&b.0, b.3, b.4)));
    let mut found: Vec<Group> = Vec::new();
    // Whether the last key of the group is the end of a range, and so not in it.
    let mut open = false;
    for (first, last, open_end, set, at) in runs {
        let bytes = sets[set].runs()[at].bytes;
        match found.last_mut().filter(|group| first < group.last || (first == group.last && !open)) {
            Some(group) => {
                if last >= group.last {
                    open = open_end && (last > group.last || open);
                    group.last = last;
                }
                group.bytes += bytes;
                match group.parts.iter_mut().find(|(other, _)| *other == set) {
                    Some((_, runs)) => *runs = runs.start.min(at)..runs.end.max(at + 1),
                    None => group.parts.push((set, at..at + 1)),
                }
            }
            None => {
                open = open_end;
                found.push(Group { first, last, bytes, parts: vec![(set, at..at + 1)] });
            }
        }
    }
    found.iter_mut().for_each(|group| group.parts.sort_unstable_by_key(|(set, _)| *set));
    Ok(found)
}

/// Keys at which a set of so many bytes ends its runs: where groups begin, and between groups every `apart`-th run of the
/// level below. No more than leave `least` bytes for each.
pub fn cuts(
    pages: &Pages,
    groups: &[Group],
    below: &List,
    bytes: u64,
    apart: usize,
    least: u64,
) -> Result<Vec<Vec<u8>>> {
    let mut cuts: Vec<Vec<u8>> = groups.iter().skip(1).map(|group| group.first.clone()).collect();
    for run in below.runs().iter().step_by(apart.max(1)).skip(1) {
        let [first, _] = whole_fences(pages, run)?;
        let group = groups.partition_point(|group| group.last < first);
        if groups.get(group).is_none_or(|group| first <= group.first) {
            cuts.push(first);
        }
    }
    cuts.sort_unstable();
    cuts.dedup();
    let most = (bytes / least.max(1)) as usize;
    if cuts.len() >= most.max(1) {
        let every = cuts.len() / most.max(1) + 1;
        cuts = cuts.into_iter().skip(every - 1).step_by(every).collect();
    }
    if most <= 1 {
        cuts.clear();
    }
    Ok(cuts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::page::{PageBuf, PageNo};
    use crate::file::written_file::WrittenFile;
    use crate::sorted::run::Fence;
    use crate::testing::Rng;

    /// Nothing is read of it: the fences are whole.
    fn no_pages() -> Pages {
        Pages::new(Arc::new(WrittenFile(PageBuf::zeroed(4))), 1, 4)
    }

    fn run(first: u8, last: u8, set: u64, open_end: bool) -> Arc<Run> {
        Arc::new(Run {
            number: 1,
            level: 0,
            set,
            page: PageNo(9),
            leaf_pages: 1,
            tail_pages: 1,
            entries: 1,
            deleted: 0,
            bytes: 10,
            ranges: open_end,
            large: false,
            open_end,
            first: Fence::new(&[first]),
            last: Fence::new(&[last]),
            filter: Default::default(),
        })
    }

    /// Sets of runs that do not overlap within a set.
    fn random_sets(rng: &mut Rng) -> Vec<List> {
        let count = 1 + rng.below(5);
        (0..count)
            .map(|set| {
                let (mut at, mut runs) = (rng.below(20) as u8, Vec::new());
                while at < 100 {
                    let last = at + rng.below(12) as u8;
                    runs.push(run(at, last, count - set, last > at && rng.below(3) == 0));
                    at = last + 1 + rng.below(15) as u8;
                }
                List::new(runs)
            })
            .collect()
    }

    /// True if some key may be in both.
    fn overlap(a: &Run, b: &Run) -> bool {
        let has = |run: &Run, key: u8| {
            let (first, last) = (run.first.bytes[0], run.last.bytes[0]);
            first <= key && (key < last || (key == last && !run.open_end))
        };
        (0..=130).any(|key| has(a, key) && has(b, key))
    }

    #[test]
    fn groups_are_what_overlaps_and_nothing_else_is_together() {
        let pages = no_pages();
        for seed in 0..400 {
            let sets = random_sets(&mut Rng::new(seed));
            let groups = groups(&pages, &sets).expect("whole fences");
            let members: Vec<Vec<Arc<Run>>> = groups.iter().map(|group| group.runs(&sets).concat()).collect();
            let all: usize = sets.iter().map(|set| set.runs().len()).sum();
            assert_eq!(members.iter().map(Vec::len).sum::<usize>(), all, "seed {seed}");
            for (at, group) in members.iter().enumerate() {
                assert_eq!(groups[at].bytes, 10 * group.len() as u64, "seed {seed}");
                for other in members[at + 1..].iter().flatten() {
                    assert!(!group.iter().any(|run| overlap(run, other)), "seed {seed}, group {at}");
                }
                // One group: from any run of it, each other can be reached.
                let mut reached = vec![false; group.len()];
                reached[0] = true;
                for _ in 0..group.len() {
                    for from in 0..group.len() {
                        for to in 0..group.len() {
                            reached[to] |= reached[from] && overlap(&group[from], &group[to]);
                        }
                    }
                }
                assert!(reached.iter().all(|reached| *reached), "seed {seed}, group {at}");
            }
        }
    }

    #[test]
    fn cuts_go_through_no_group_and_leave_enough_for_each_run() {
        let pages = no_pages();
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let sets = random_sets(&mut rng);
            let below = List::new(random_sets(&mut rng).remove(0).runs().to_vec());
            let groups = groups(&pages, &sets).expect("whole fences");
            let all = cuts(&pages, &groups, &below, 1 << 20, 1, 1).expect("whole fences");
            assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}");
            for group in &groups {
                assert!(!all.iter().any(|cut| group.first < *cut && *cut < group.last), "seed {seed}");
            }
            for bytes in [0, 1, 10, 40] {
                let some = cuts(&pages, &groups, &below, bytes, 1, 10).expect("whole fences");
                assert!(some.len() as u64 <= bytes / 10, "seed {seed}");
                assert!(some.iter().all(|cut| all.contains(cut)), "seed {seed}");
            }
        }
    }
}
