//! RocksDB.

use crate::engine::{Outcome, Setup};
use crate::engines::rocksdb::{options, table_options, write_options};
use crate::store::{Entry, Key, Store, StoreReading};
use rocksdb::{
    DBCompressionType, DBRawIterator, DataBlockIndexType, ReadOptions, SnapshotWithThreadMode, WaitForCompactOptions,
    WriteBatch, WriteOptions, DB,
};
use std::path::Path;

/// RocksDB.
pub struct RocksStore {
    db: DB,
    write: WriteOptions,
}

impl Store for RocksStore {
    type Snapshot<'e> = RocksStoreSnapshot<'e>;

    fn settings() -> &'static str {
        "no compression, blocks of 4 KiB with a hash index, compacted before it is read"
    }

    fn open(directory: &Path, setup: Setup) -> Outcome<RocksStore> {
        let mut table = table_options(setup);
        table.set_block_size(4 << 10);
        table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
        let mut options = options(&table);
        options.set_compression_type(DBCompressionType::None);
        let db = DB::open(&options, directory.join("rocksdb"))?;
        Ok(RocksStore { db, write: write_options(setup) })
    }

    fn close(self) -> Outcome<()> {
        Ok(self.db.flush()?)
    }

    fn settle(&self) -> Outcome<()> {
        self.db.flush()?;
        Ok(self.db.wait_for_compact(&WaitForCompactOptions::default())?)
    }

    fn compact(&mut self) -> Outcome<()> {
        self.settle()?;
        self.db.compact_range(None::<&[u8]>, None::<&[u8]>);
        Ok(())
    }

    fn put_batch(&self, entries: &[Entry<'_>]) -> Outcome<()> {
        let mut batch = WriteBatch::default();
        for (key, value) in entries {
            batch.put(key, value);
        }
        Ok(self.db.write_opt(batch, &self.write)?)
    }

    fn put(&self, key: Key, value: &[u8]) -> Outcome<()> {
        Ok(self.db.put_opt(key, value, &self.write)?)
    }

    fn get<R>(&self, key: Key, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.db.get_pinned(key)?.map(|found| read(&found)))
    }

    fn range(&self, from: Key, count: usize, read: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        walk(self.db.raw_iterator(), from, count, read)
    }

    fn snapshot(&self) -> Outcome<RocksStoreSnapshot<'_>> {
        let snapshot = self.db.snapshot();
        let mut options = ReadOptions::default();
        options.set_snapshot(&snapshot);
        Ok(RocksStoreSnapshot { db: &self.db, options, snapshot })
    }
}

fn walk(mut range: DBRawIterator<'_>, from: Key, count: usize, mut read: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
    range.seek(from);
    for _ in 0..count {
        let Some((key, value)) = range.item() else { break };
        read(key, value);
        range.next();
    }
    Ok(range.status()?)
}

/// A snapshot.
pub struct RocksStoreSnapshot<'e> {
    db: &'e DB,
    options: ReadOptions,
    snapshot: SnapshotWithThreadMode<'e, DB>,
}

impl StoreReading for RocksStoreSnapshot<'_> {
    fn get<R>(&self, key: Key, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.db.get_pinned_opt(key, &self.options)?.map(|found| read(&found)))
    }

    fn range(&self, from: Key, count: usize, read: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        walk(self.snapshot.raw_iterator(), from, count, read)
    }
}
