//! The workloads of ordered stores: entries of 16 and 100 bytes.

use crate::data::{shuffle, touch, Random, SEED};
use crate::engine::{Durability, Outcome, Setup};
use crate::entries::{key, picks, Values, ABSENT};
use crate::machine;
use crate::store::{Entry, Store, StoreReading, ENTRY_BYTES};
use crate::workload::{there, Clock, Measure, Run, Workload, LEAST, LOAD_BATCH};
use crate::written::Written;
use crate::ycsb::{operations, Mix, Operation};
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The directory of the store that most of them use.
pub const BASE: &str = "kv";
/// Entries of a range.
const RANGE: usize = 100;
/// Operations that are prepared, at the most.
const MOST: usize = 1_000_000;
/// How often `kv_space` replaces each value.
const TIMES: u64 = 2;
/// Threads of `kv_put_durable_16`.
const THREADS: usize = 16;

impl Run<'_> {
    /// Runs a workload of store `S`.
    pub(crate) fn run_kv<S: Store>(&self, workload: Workload) -> Outcome<Measure> {
        match workload {
            Workload::KvLoadRandom => self.kv_load::<S>(),
            Workload::KvGet => self.kv_reads::<S>(MOST, |snapshot, number| {
                black_box(there(snapshot.get(key(number), touch)?)?);
                Ok(())
            }),
            Workload::KvGetAbsent => {
                let get = |snapshot: &S::Snapshot<'_>, number: u64| match snapshot.get(key(ABSENT + number), touch)? {
                    None => Ok(()),
                    Some(_) => Err("a key is there that nobody has put".into()),
                };
                self.kv_reads::<S>(MOST, get)
            }
            Workload::KvRange100 => self.kv_reads::<S>(MOST / 10, |snapshot, number| {
                let mut sum = 0;
                snapshot.range(key(number), RANGE, |key, value| sum ^= touch(key) ^ touch(value))?;
                black_box(sum);
                Ok(())
            }),
            Workload::KvYcsbA => self.kv_ycsb::<S>(Mix::A),
            Workload::KvYcsbB => self.kv_ycsb::<S>(Mix::B),
            Workload::KvYcsbC => self.kv_ycsb::<S>(Mix::C),
            Workload::KvYcsbD => self.kv_ycsb::<S>(Mix::D),
            Workload::KvYcsbE => self.kv_ycsb::<S>(Mix::E),
            Workload::KvYcsbF => self.kv_ycsb::<S>(Mix::F),
            Workload::KvPut => self.kv_put::<S>(),
            Workload::KvPutDurable16 => self.kv_put_durable::<S>(),
            Workload::KvWriteAmplification => self.kv_write_amplification::<S>(),
            Workload::KvSpace => self.kv_space::<S>(),
            Workload::KvStall => self.kv_stall::<S>(),
            other => Err(format!("{} is not about a store", other.name()).into()),
        }
    }

    fn open_store<S: Store>(&self, directory: &Path, durability: Durability) -> Outcome<S> {
        S::open(directory, Setup { durability, cache_bytes: self.cache_bytes })
    }

    fn entry_bytes(&self) -> u64 {
        (self.entries * ENTRY_BYTES) as u64
    }

    /// Puts the entries of these numbers, as after so many changes.
    fn fill(&self, store: &impl Store, numbers: impl Iterator<Item = u64>, changes: u64) -> Outcome<()> {
        let (values, mut numbers) = (Values::new(), numbers);
        let mut batch: Vec<Entry<'_>> = Vec::with_capacity(LOAD_BATCH);
        loop {
            batch.clear();
            batch.extend(numbers.by_ref().take(LOAD_BATCH).map(|number| values.entry(number, changes)));
            if batch.is_empty() {
                return Ok(());
            }
            store.put_batch(&batch)?;
        }
    }

    fn numbers(&self) -> std::ops::Range<u64> {
        0..self.entries as u64
    }

    fn kv_load<S: Store>(&self) -> Outcome<Measure> {
        let mut store = self.open_store::<S>(&self.fresh(BASE)?, Durability::Relaxed)?;
        let before = machine::anonymous_bytes();
        let clock = Clock::start();
        self.fill(&store, self.numbers(), 0)?;
        let unsettled = clock.started.elapsed().as_secs_f64();
        let memory = machine::anonymous_bytes().saturating_sub(before);
        store.settle()?;
        let mut measure = clock.measure(self.entries);
        measure.unsettled_seconds = Some(unsettled);
        measure.anonymous_bytes = memory;
        measure.data_bytes = Some(self.entry_bytes());
        store.compact()?;
        store.close()?;
        Ok(measure)
    }

    /// Reads everything once, so that what fits is in memory.
    fn warm(&self, store: &impl Store) -> Outcome<()> {
        let mut count = 0;
        store.range([0; 16], usize::MAX, |key, value| {
            black_box(touch(key) ^ touch(value));
            count += 1;
        })?;
        match count >= self.entries {
            true => Ok(()),
            false => Err(format!("a walk gave {count} of {} entries", self.entries).into()),
        }
    }

    /// Reads of up to `most` random entries, in a snapshot; all of them once before the clock starts.
    fn kv_reads<S: Store>(&self, most: usize, read: impl Fn(&S::Snapshot<'_>, u64) -> Outcome<()>) -> Outcome<Measure> {
        let store = self.open_store::<S>(&self.directory.join(BASE), Durability::Relaxed)?;
        self.warm(&store)?;
        let picks = picks(self.entries.min(most), self.entries, 21);
        let once = || -> Outcome<()> {
            let snapshot = store.snapshot()?;
            picks.iter().try_for_each(|number| read(&snapshot, *number))
        };
        once()?;
        let (clock, mut rounds) = (Clock::start(), 0);
        while rounds == 0 || clock.started.elapsed() < LEAST {
            once()?;
            rounds += 1;
        }
        let measure = clock.measure(rounds * picks.len());
        store.close()?;
        Ok(measure)
    }

    /// A mix of YCSB by one thread, each operation in a transaction or snapshot of its own.
    fn kv_ycsb<S: Store>(&self, mix: Mix) -> Outcome<Measure> {
        let store = self.open_store::<S>(&self.directory.join(BASE), Durability::Relaxed)?;
        self.warm(&store)?;
        let (operations, values) = (operations(mix, self.entries, self.entries.min(MOST)), Values::new());
        let get = |number| -> Outcome<()> {
            black_box(there(store.get(key(number), touch)?)?);
            Ok(())
        };
        let put = |number, at| store.put(key(number), values.of(number, at as u64));
        let measure = self.commits(operations.len(), |at| match operations[at] {
            Operation::Read(number) => get(number),
            Operation::Write(number) => put(number, at),
            Operation::Modify(number) => {
                get(number)?;
                put(number, at)
            }
            Operation::Walk(number, length) => {
                let mut sum = 0;
                store.range(key(number), length, |key, value| sum ^= touch(key) ^ touch(value))?;
                black_box(sum);
                Ok(())
            }
        })?;
        store.close()?;
        Ok(measure)
    }

    /// Puts, each in a transaction of its own, half of them of keys that are there.
    fn kv_put<S: Store>(&self) -> Outcome<Measure> {
        let store = self.open_store::<S>(&self.directory.join(BASE), Durability::Relaxed)?;
        let (picks, values) = (picks(self.entries.min(MOST), self.entries, 22), Values::new());
        let measure = self.commits(picks.len(), |at| {
            let number = if at % 2 == 0 { picks[at] } else { 2 * ABSENT + picks[at] };
            store.put(key(number), values.of(number, 1))
        })?;
        store.close()?;
        Ok(measure)
    }

    /// Durable puts of new keys by sixteen threads, for about two seconds.
    fn kv_put_durable<S: Store>(&self) -> Outcome<Measure> {
        let directory = self.fresh("kv_durable")?;
        let store = self.open_store::<S>(&directory, Durability::Durable)?;
        let (values, next) = (Values::new(), AtomicU64::new(0));
        let puts = |least: Duration| -> Outcome<usize> {
            let (started, mut count) = (Instant::now(), 0);
            while started.elapsed() < least {
                let number = next.fetch_add(1, Ordering::Relaxed);
                store.put(key(number), values.of(number, 0))?;
                count += 1;
            }
            Ok(count)
        };
        puts(Duration::from_millis(200))?;
        let clock = Clock::start();
        let count = std::thread::scope(|scope| -> Outcome<usize> {
            let writers: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| puts(Duration::from_millis(1500)))).collect();
            let mut sum = 0;
            for writer in writers {
                sum += writer.join().map_err(|_| "a writer panicked")??;
            }
            Ok(sum)
        })?;
        let measure = clock.measure(count);
        store.close()?;
        std::fs::remove_dir_all(&directory)?;
        Ok(measure)
    }

    /// A load, and all that it leaves to do: bytes written for each byte given.
    fn kv_write_amplification<S: Store>(&self) -> Outcome<Measure> {
        let directory = self.fresh("kv_written")?;
        let written = Written::start(&directory)?;
        let store = self.open_store::<S>(&directory, Durability::Relaxed)?;
        let (clock, before) = (Clock::start(), store.handed_bytes()?);
        self.fill(&store, self.numbers(), 0)?;
        store.settle()?;
        let mut measure = clock.measure(self.entries);
        let handed = store.handed_bytes()? - before;
        store.close()?;
        let given = self.entry_bytes() as f64;
        measure.written_per_byte = Some(handed as f64 / given);
        measure.device_per_byte = Some(written.bytes()? as f64 / given);
        measure.bytes = Some(machine::disk_bytes(&directory)?);
        measure.data_bytes = Some(self.entry_bytes());
        std::fs::remove_dir_all(&directory)?;
        Ok(measure)
    }

    /// Each value is replaced twice, in random order: what the files take once nothing is left to do.
    fn kv_space<S: Store>(&self) -> Outcome<Measure> {
        let directory = self.fresh("kv_space")?;
        let store = self.open_store::<S>(&directory, Durability::Relaxed)?;
        let (mut numbers, mut random): (Vec<u64>, _) = (self.numbers().collect(), Random(SEED + 23));
        let clock = Clock::start();
        self.fill(&store, numbers.iter().copied(), 0)?;
        for changes in 1..=TIMES {
            shuffle(&mut random, &mut numbers);
            self.fill(&store, numbers.iter().copied(), changes)?;
        }
        store.settle()?;
        let mut measure = clock.measure(numbers.len() * (1 + TIMES as usize));
        store.close()?;
        measure.bytes = Some(machine::disk_bytes(&directory)?);
        measure.data_bytes = Some(self.entry_bytes());
        std::fs::remove_dir_all(&directory)?;
        Ok(measure)
    }

    /// A load of single puts, each timed.
    fn kv_stall<S: Store>(&self) -> Outcome<Measure> {
        let directory = self.fresh("kv_stall")?;
        let store = self.open_store::<S>(&directory, Durability::Relaxed)?;
        let (values, mut took) = (Values::new(), hdrhistogram::Histogram::<u64>::new(3)?);
        let (clock, mut done) = (Clock::start(), 0);
        for number in self.numbers() {
            if number % 1000 == 0 && clock.started.elapsed() > self.most_updates {
                break;
            }
            let (key, value) = values.entry(number, 0);
            let started = Instant::now();
            store.put(key, value)?;
            took.record(started.elapsed().as_nanos() as u64)?;
            done += 1;
        }
        let mut measure = clock.measure(done);
        let at = |quantile| took.value_at_quantile(quantile) as f64 / 1000.0;
        measure.stall_micros = Some([at(0.5), at(0.999), at(0.9999), took.max() as f64 / 1000.0]);
        store.close()?;
        std::fs::remove_dir_all(&directory)?;
        Ok(measure)
    }
}
