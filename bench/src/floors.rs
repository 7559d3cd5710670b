//! What the machine itself takes, measured in the same run. No engine that reads documents in memory is faster than
//! the memory, and none that commits is faster than the disk: these figures say how much is left to win.

use crate::data::{shuffle, touch, Random, SEED};
use crate::engine::Outcome;
use crate::machine;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

/// A buffer much larger than the cache of a processor.
const LARGE: usize = 256 << 20;
/// Bytes of a page of memory.
const PAGE: usize = 4096;
/// How often each figure is taken; the median counts.
const SAMPLES: usize = 5;
/// Pairs of reads of one sample, at the most.
const PAIRS: usize = 1_000_000;
/// Bytes of a small write.
const SMALL: usize = 200;
/// Small writes of one sample.
const SMALL_WRITES: usize = 100_000;
/// Syncs, of which the median counts.
const SYNCS: usize = 200;

/// A figure of the machine.
#[derive(Debug, Clone)]
pub struct Floor {
    /// Its name in the table and in JSON.
    pub name: &'static str,
    /// What was done.
    pub what: &'static str,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
}

/// Takes all figures, for so many documents of so many bytes. The directory is that of the databases.
pub fn measure(directory: &Path, documents: usize, bytes: usize) -> Outcome<Vec<Floor>> {
    let small = Records::new(documents, bytes, Pages::Small);
    let listed = small.nanoseconds_by_list();
    let dependent = small.nanoseconds_by_chain();
    drop(small);
    let huge = Records::new(documents, bytes, Pages::Huge).nanoseconds_by_chain();
    let (copy, read) = bandwidths();
    std::fs::create_dir_all(directory)?;
    let file = directory.join("floors");
    let (write, (sync, fastest_sync)) = (small_write(&file)?, sync(&file)?);
    std::fs::remove_file(&file)?;
    let floor = |name, what, value, unit| Floor { name, what, value, unit };
    Ok(vec![
        floor(
            "dependent_reads",
            "a line of the index, then every byte of the record it names, which names the next: two misses each",
            dependent,
            "ns",
        ),
        floor("dependent_reads_huge", "the same in huge pages, where the system has them to give", huge, "ns"),
        floor("listed_reads", "the same pairs by a list, so that the processor may begin the next one", listed, "ns"),
        floor("copy", "copying memory that no cache holds, bytes copied", copy, "GB/s"),
        floor("sequential_read", "reading memory that no cache holds, every byte", read, "GB/s"),
        floor("first_touch", "writing to memory that is fresh from the system", first_touch(), "ns/KiB"),
        floor("small_write", "write of 200 bytes over what the page cache holds", write, "ns"),
        floor("sync", "fdatasync after 4 KB were written over others, the median", sync, "µs"),
        floor("sync_fastest", "the fastest of them, which waited for no other process", fastest_sync, "µs"),
    ])
}

/// How the system backs memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pages {
    Small,
    Huge,
}

/// Memory of so many zeros, no page of it touched.
fn fresh(len: usize, pages: Pages) -> Vec<u8> {
    let memory = vec![0; len];
    if pages == Pages::Huge {
        let skipped = memory.as_ptr().align_offset(PAGE).min(len);
        // SAFETY: the range lies within the allocation and begins at a page. The advice changes no byte of it; that
        // the system does not take it is no harm.
        unsafe {
            let start = memory.as_ptr().add(skipped).cast_mut();
            libc::madvise(start.cast(), (len - skipped) / PAGE * PAGE, libc::MADV_HUGEPAGE);
        }
    }
    memory
}

/// Bytes of an entry of the index: an id, and where its record begins.
const ENTRY: usize = 16;
/// Bytes that the processor fetches at once.
const LINE: usize = 64;

/// An index and the records that it leads to, as a database in memory has them, and nothing else.
struct Records {
    index: Vec<u8>,
    records: Vec<u8>,
    bytes: usize,
    order: Vec<usize>,
}

impl Records {
    /// Records in random places, each of which says by the sum of its bytes which entry is next, all in one circle.
    fn new(documents: usize, bytes: usize, pages: Pages) -> Records {
        let (documents, bytes) = (documents.max(1), bytes.max(8));
        let mut index = fresh((documents * ENTRY).next_multiple_of(LINE), pages);
        let mut records = fresh(documents * bytes, pages);
        let mut random = Random(SEED + 10);
        let mut order: Vec<usize> = (0..documents).collect();
        shuffle(&mut random, &mut order);
        let mut places = order.clone();
        shuffle(&mut random, &mut places);
        for (at, entry) in order.iter().enumerate() {
            let place = places[at] * bytes;
            index[entry * ENTRY..][..8].copy_from_slice(&random.next().to_le_bytes());
            index[entry * ENTRY + 8..][..8].copy_from_slice(&(place as u64).to_le_bytes());
            let record = &mut records[place..place + bytes];
            record[8..].fill(at as u8);
            let next = order[(at + 1) % documents] as u64;
            let rest = touch(record);
            record[..8].copy_from_slice(&next.wrapping_sub(rest).to_le_bytes());
        }
        Records { index, records, bytes, order }
    }

    /// Reads the line of an entry, and the record that it leads to. Gives the next entry.
    fn follow(&self, entry: usize) -> usize {
        let at = entry * ENTRY;
        black_box(touch(&self.index[at / LINE * LINE..][..LINE]));
        let place = self.index[at + 8..].first_chunk().map_or(0, |place| u64::from_le_bytes(*place)) as usize;
        touch(&self.records[place..place + self.bytes]) as usize
    }

    fn pairs(&self) -> usize {
        self.order.len().min(PAIRS)
    }

    fn nanoseconds_by_chain(&self) -> f64 {
        let mut entry = self.order[0];
        nanoseconds(self.pairs(), || {
            for _ in 0..self.pairs() {
                entry = self.follow(entry);
            }
            black_box(entry);
        })
    }

    fn nanoseconds_by_list(&self) -> f64 {
        nanoseconds(self.pairs(), || {
            for entry in &self.order[..self.pairs()] {
                black_box(self.follow(*entry));
            }
        })
    }
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Nanoseconds of one of `count` things that `sample` does, the median of some samples.
fn nanoseconds(count: usize, mut sample: impl FnMut()) -> f64 {
    let mut once = || {
        let started = Instant::now();
        sample();
        started.elapsed().as_nanos() as f64 / count as f64
    };
    median((0..SAMPLES).map(|_| once()).collect())
}

/// Gigabytes a second of copying, and of reading.
fn bandwidths() -> (f64, f64) {
    let [mut from, mut to] = [1, 2].map(|_| fresh(LARGE, Pages::Huge));
    from.fill(1);
    to.fill(2);
    let copy = nanoseconds(LARGE, || black_box(&mut to).copy_from_slice(black_box(&from)));
    let read = nanoseconds(LARGE, || {
        black_box(touch(black_box(&from)));
    });
    (1.0 / copy, 1.0 / read)
}

/// Nanoseconds that a KiB of fresh memory takes.
fn first_touch() -> f64 {
    let once = |_| {
        let mut memory = fresh(LARGE, Pages::Small);
        let started = Instant::now();
        for page in memory.chunks_mut(PAGE) {
            page[0] = 1;
        }
        let took = started.elapsed();
        black_box(&memory);
        took.as_nanos() as f64 / (LARGE >> 10) as f64
    };
    median((0..SAMPLES).map(once).collect())
}

/// Nanoseconds of a write of 200 bytes, each behind the one before, into pages that are in memory.
fn small_write(path: &Path) -> Outcome<f64> {
    let file = File::create(path)?;
    // Page by page: what is written at once, the system may keep in large pieces, which cost more to write into.
    for at in (0..SMALL * SMALL_WRITES).step_by(PAGE) {
        file.write_all_at(&[1; PAGE], at as u64)?;
    }
    let mut failed = None;
    let took = nanoseconds(SMALL_WRITES, || {
        for at in 0..SMALL_WRITES {
            failed = file.write_all_at(&[2; SMALL], (at * SMALL) as u64).err().or(failed.take());
        }
    });
    failed.map_or(Ok(took), |error| Err(error.into()))
}

/// Microseconds until 4 KB that were there before are on the disk anew: the median, and the fewest.
fn sync(path: &Path) -> Outcome<(f64, f64)> {
    let file = File::create(path)?;
    file.write_all_at(&[1; PAGE], 0)?;
    // What others have left to write would be waited for, too.
    machine::sync_file_system(path)?;
    let mut samples = Vec::new();
    for at in 0..SYNCS {
        let started = Instant::now();
        file.write_all_at(&[at as u8; PAGE], 0)?;
        file.sync_data()?;
        samples.push(started.elapsed().as_nanos() as f64 / 1000.0);
    }
    let fewest = samples.iter().copied().fold(f64::INFINITY, f64::min);
    Ok((median(samples), fewest))
}
