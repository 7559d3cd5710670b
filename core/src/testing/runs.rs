//! Leaves and tails of runs, made and read, for the fuzzer.

use crate::error::Result;
use crate::file::page::PageNo;
use crate::sorted::batch::Batch;
use crate::sorted::cell::Cell;
use crate::sorted::filter::FilterHash;
use crate::sorted::leaf::{Leaf, LeafBuilder, MAX_ORDER};
use crate::sorted::merge::Wanted;
use crate::sorted::tail::{Tail, TailParts};

/// A key and its value, or none where it is deleted.
pub type Entry = (Vec<u8>, Option<Vec<u8>>);

/// What a tail says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Leaves of the run.
    pub leaves: usize,
    /// The leaf of the key.
    pub leaf: usize,
    /// The last one with a key below it.
    pub before: usize,
    /// False when the run surely has no entry of it.
    pub may_hold: bool,
    /// Ranges that the run deletes.
    pub ranges: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A leaf with these entries, which ascend; no more than find room in it.
pub fn leaf_of(entries: &[Entry]) -> (Vec<u8>, usize) {
    let (mut builder, mut bytes) = (LeafBuilder::default(), Vec::new());
    let order = |key: &[u8], cell| LeafBuilder::order_for(key, cell, 0);
    let mut count = 0;
    for (key, value) in entries {
        let cell = value.as_deref().map_or(Cell::Deleted, Cell::Value);
        if !builder.push(key, cell, if count == 0 { order(key, cell) } else { 0 }) {
            break;
        }
        count += 1;
    }
    if count > 0 {
        builder.finish(&mut bytes);
    }
    (bytes, count)
}

/// All entries of a leaf of any bytes; the value of a large one is not looked for.
///
/// # Panics
///
/// If entries are others when many are read at once.
pub fn read_leaf(bytes: &[u8]) -> Result<Vec<Entry>> {
    let leaf = Leaf::open(bytes, PageNo(9))?;
    let (mut key, mut batch) = (Vec::new(), Batch::default());
    let mut cells = Vec::new();
    for at in 0..leaf.len() {
        let entry = leaf.entry(at)?;
        leaf.key(&entry, &mut key);
        cells.push((key.clone(), entry.cell));
    }
    let most = usize::MAX;
    let wanted =
        Wanted { skip: 0, end: None, deleted: true, values: false, most, bytes: most, lend: None, stretches: false };
    let mut at = 0;
    while at < leaf.len() {
        let to = leaf.append(at..leaf.len(), &wanted, &mut batch)?;
        if let Some((key, cell)) = cells.get(to) {
            batch.push(key, *cell);
        }
        at = to + 1;
    }
    assert!(batch.iter().eq(cells.iter().map(|(key, cell)| (&key[..], *cell))), "many at once are others");
    let entry = |(key, cell): (Vec<u8>, Cell<'_>)| match cell {
        Cell::Value(value) => (key, Some(value.to_vec())),
        Cell::Large { page, length } => (key, Some(format!("{page:?} {length}").into_bytes())),
        Cell::Deleted => (key, None),
    };
    Ok(cells.into_iter().map(entry).collect())
}

/// Whether a leaf has the key, and the numbers of entries below it and up to it.
pub fn find_in_leaf(bytes: &[u8], key: &[u8]) -> Result<(bool, usize, usize)> {
    let leaf = Leaf::open(bytes, PageNo(9))?;
    Ok((leaf.get(key)?.is_some(), leaf.count_below(key, false)?, leaf.count_below(key, true)?))
}

/// A leaf in the longest unit that there is.
pub const LONGEST_LEAF: usize = 4096 << MAX_ORDER;

/// A tail for leaves with these separators, which ascend, and these keys.
pub fn tail_of(separators: &[Vec<u8>], keys: &[Vec<u8>], ranges: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    let parts = TailParts {
        leaves: separators.iter().enumerate().map(|(at, separator)| (separator.clone(), at as u16)).collect(),
        hashes: keys.iter().map(|key| FilterHash::of(1, key)).collect(),
        ranges,
        first: keys.first().cloned().unwrap_or_default(),
        last: keys.last().cloned().unwrap_or_default(),
    };
    parts.encode()
}

/// What a tail of any bytes says of a key.
pub fn read_tail(bytes: &[u8], key: &[u8]) -> Result<Said> {
    let tail = Tail::open(bytes, PageNo(9))?;
    let ranges = tail.ranges()?.into_iter().map(|(start, end)| (start.to_vec(), end.to_vec())).collect();
    for leaf in 0..tail.leaves() {
        tail.place(leaf);
        tail.separator(leaf)?;
    }
    tail.keys()?;
    Ok(Said {
        leaves: tail.leaves(),
        leaf: tail.find(key, false)?,
        before: tail.find(key, true)?,
        may_hold: tail.may_hold(FilterHash::of(1, key))?,
        ranges,
    })
}
