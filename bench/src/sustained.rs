//! Workloads that write for long, and what that leaves: the size of the files, and what was written to the disk.

use crate::data::{below, shuffle, Documents, Random, SEED};
use crate::engine::{Engine, Item, Outcome, Reading};
use crate::machine;
use crate::workload::{get_all, there, Clock, Measure, ReaderOpen, Run, UPDATE_BATCH};
use crate::written::Written;
use std::hint::black_box;

/// How often `file_size_updated` replaces each document.
const TIMES: usize = 10;
/// How often `write_amplification` replaces a document on the average.
const TIMES_AT_RANDOM: usize = 3;
/// Documents that `reader_open` reads.
const READS: usize = 100_000;

impl Run<'_> {
    /// Each document is replaced ten times, in random order: what the files take then.
    pub(crate) fn file_size_updated<E: Engine>(&self) -> Outcome<Measure> {
        let (mut order, mut random) = ((0..self.documents).collect::<Vec<_>>(), Random(SEED + 3));
        self.replacing::<E>(|update| {
            for _ in 0..TIMES {
                shuffle(&mut random, &mut order);
                for places in order.chunks(self.batch(UPDATE_BATCH)) {
                    update(places)?;
                }
            }
            Ok(())
        })
    }

    /// Random documents are replaced, for so long at the most: what is written to the disk for it.
    pub(crate) fn write_amplification<E: Engine>(&self) -> Outcome<Measure> {
        let (mut left, mut random) = (TIMES_AT_RANDOM * self.documents, Random(SEED + 11));
        self.replacing::<E>(|update| {
            let clock = Clock::start();
            while left > 0 && clock.started.elapsed() < self.most_updates {
                let count = left.min(self.batch(UPDATE_BATCH));
                update(&random_places(&mut random, self.documents, count))?;
                left -= count;
            }
            Ok(())
        })
    }

    /// A snapshot stays open while as many random documents are replaced as there are: what that costs the writer,
    /// the reader and the disk.
    pub(crate) fn reader_open<E: Engine>(&self) -> Outcome<Measure> {
        let (data, directory) = (self.data(), self.fresh("reader")?);
        let others = Documents::new(data.ids().to_vec(), self.bytes, &mut Random(SEED + 12));
        let mut random = Random(SEED + 13);
        let places = random_places(&mut random, self.documents, READS);
        let ids: Vec<u64> = places.iter().map(|at| data.get(*at).0).collect();
        let engine = self.loaded::<E>(&data, &directory)?;
        engine.settle()?;
        let bytes_before = machine::disk_bytes(&directory)?;
        let snapshot = engine.snapshot()?;
        let reads_before = reads_a_second(&snapshot, &ids)?;
        let update = || -> Outcome<Measure> {
            let (clock, mut left) = (Clock::start(), self.documents);
            while left > 0 {
                let count = left.min(self.batch(UPDATE_BATCH));
                replace(&engine, &others, &random_places(&mut random, self.documents, count))?;
                left -= count;
            }
            Ok(clock.measure(self.documents))
        };
        // By a thread of its own: not every engine lets a thread write that has a snapshot.
        let updated = std::thread::scope(|scope| scope.spawn(update).join());
        let mut measure = updated.map_err(|_| "the writer panicked")??;
        measure.anonymous_bytes = machine::anonymous_bytes();
        let reads_after = reads_a_second(&snapshot, &ids)?;
        for at in places {
            let (id, document) = data.get(at);
            if !there(snapshot.get(id, |found| found == document)?)? {
                return Err("a snapshot sees what was written after it".into());
            }
        }
        let bytes_held = machine::disk_bytes(&directory)?;
        drop(snapshot);
        engine.settle()?;
        let bytes_settled = machine::disk_bytes(&directory)?;
        engine.close()?;
        std::fs::remove_dir_all(&directory)?;
        measure.bytes = Some(bytes_held);
        measure.data_bytes = Some(data.total_bytes() as u64);
        measure.reader = Some(ReaderOpen { reads_before, reads_after, bytes_before, bytes_held, bytes_settled });
        Ok(measure)
    }

    /// Loads a database, has `work` replace documents, and tells what that took. The documents are replaced in the
    /// transactions that `work` gives, each a list of their places.
    fn replacing<E: Engine>(
        &self,
        work: impl FnOnce(&mut dyn FnMut(&[usize]) -> Outcome<()>) -> Outcome<()>,
    ) -> Outcome<Measure> {
        let (data, directory) = (self.data(), self.fresh("replaced")?);
        let engine = self.loaded::<E>(&data, &directory)?;
        engine.settle()?;
        let written = Written::start(&directory)?;
        let (clock, mut operations, mut bytes) = (Clock::start(), 0, 0);
        work(&mut |places| {
            operations += places.len();
            bytes += replace(&engine, &data, places)?;
            Ok(())
        })?;
        let mut measure = clock.measure(operations);
        measure.relocated_bytes = engine.relocated_bytes();
        engine.close()?;
        measure.written_per_byte = Some(written.bytes()? as f64 / bytes as f64);
        measure.bytes = Some(machine::disk_bytes(&directory)?);
        measure.data_bytes = Some(data.total_bytes() as u64);
        std::fs::remove_dir_all(&directory)?;
        Ok(measure)
    }
}

/// Reads a second of a snapshot, all of it read once before.
fn reads_a_second(snapshot: &impl Reading, ids: &[u64]) -> Outcome<f64> {
    black_box(get_all(snapshot, ids)?);
    let clock = Clock::start();
    black_box(get_all(snapshot, ids)?);
    Ok(ids.len() as f64 / clock.started.elapsed().as_secs_f64())
}

/// So many places of documents, each chosen anew.
fn random_places(random: &mut Random, documents: usize, count: usize) -> Vec<usize> {
    (0..count).map(|_| below(random, documents as u64) as usize).collect()
}

/// Replaces the documents of these places in one transaction. Gives their bytes.
fn replace<E: Engine>(engine: &E, data: &Documents, places: &[usize]) -> Outcome<usize> {
    let batch: Vec<Item<'_>> = places.iter().map(|at| data.get(*at)).collect();
    engine.update_batch(&batch)?;
    Ok(batch.iter().map(|(_, document)| document.len()).sum())
}
