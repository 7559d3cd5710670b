//! Workloads that write for long, and what that leaves: the size of the files, and what was written to the disk.

use crate::data::{below, shuffle, Documents, Random, SEED};
use crate::engine::{Engine, Item, Outcome};
use crate::machine;
use crate::workload::{Clock, Measure, Run, UPDATE_BATCH};
use crate::written::Written;

/// How often `file_size_updated` replaces each document.
const TIMES: usize = 10;
/// How often `write_amplification` replaces a document on the average.
const TIMES_AT_RANDOM: usize = 3;

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
