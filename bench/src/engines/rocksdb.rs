//! RocksDB.

use crate::engine::{Durability, Engine, Item, Outcome, Reading, Setup};
use crate::stores::RocksStore;
use rocksdb::{BlockBasedOptions, Cache, Options, ReadOptions, SnapshotWithThreadMode, WriteBatch, WriteOptions, DB};
use std::path::Path;

/// RocksDB.
pub struct Rocks {
    db: DB,
    write: WriteOptions,
}

impl Rocks {
    fn write<'i>(&self, items: impl IntoIterator<Item = Item<'i>>) -> Outcome<()> {
        let mut batch = WriteBatch::default();
        for (id, document) in items {
            batch.put(id.to_be_bytes(), document);
        }
        Ok(self.db.write_opt(batch, &self.write)?)
    }
}

/// How its tables are.
pub(crate) fn table_options(setup: Setup) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(setup.cache_bytes));
    table.set_bloom_filter(10.0, false);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table
}

/// How a database of such tables is.
pub(crate) fn options(table: &BlockBasedOptions) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(table);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(1 << 20);
    options
}

/// How it is written.
pub(crate) fn write_options(setup: Setup) -> WriteOptions {
    let mut write = WriteOptions::default();
    write.set_sync(setup.durability == Durability::Durable);
    write
}

impl Engine for Rocks {
    const NAME: &'static str = "rocksdb";
    type Snapshot<'e> = RocksSnapshot<'e>;
    type Store = RocksStore;

    fn version() -> String {
        "RocksDB 11.8".to_owned()
    }

    fn settings(setup: Setup) -> String {
        let log = match setup.durability {
            Durability::Relaxed => "WAL without sync",
            Durability::Durable => "WAL with sync",
        };
        format!("{log}, {}, bloom filters of 10 bits, 2 jobs", setup.cache())
    }

    fn open(directory: &Path, setup: Setup) -> Outcome<Rocks> {
        let mut table = table_options(setup);
        table.set_block_size(16 << 10);
        let db = DB::open(&options(&table), directory.join("rocksdb"))?;
        Ok(Rocks { db, write: write_options(setup) })
    }

    fn close(self) -> Outcome<()> {
        Ok(self.db.flush()?)
    }

    fn settle(&self) -> Outcome<()> {
        self.db.flush()?;
        self.db.compact_range(None::<&[u8]>, None::<&[u8]>);
        Ok(())
    }

    fn insert_batch(&self, items: &[Item<'_>]) -> Outcome<()> {
        self.write(items.iter().copied())
    }

    fn insert(&self, (id, document): Item<'_>) -> Outcome<()> {
        Ok(self.db.put_opt(id.to_be_bytes(), document, &self.write)?)
    }

    fn get<R>(&self, id: u64, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.db.get_pinned(id.to_be_bytes())?.map(|found| read(&found)))
    }

    fn snapshot(&self) -> Outcome<RocksSnapshot<'_>> {
        let snapshot = self.db.snapshot();
        let mut options = ReadOptions::default();
        options.set_snapshot(&snapshot);
        Ok(RocksSnapshot { db: &self.db, options, _snapshot: snapshot })
    }
}

/// A snapshot.
pub struct RocksSnapshot<'e> {
    db: &'e DB,
    options: ReadOptions,
    _snapshot: SnapshotWithThreadMode<'e, DB>,
}

impl Reading for RocksSnapshot<'_> {
    fn get<R>(&self, id: u64, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.db.get_pinned_opt(id.to_be_bytes(), &self.options)?.map(|found| read(&found)))
    }

    fn scan(&self, mut read: impl FnMut(&[u8])) -> Outcome<()> {
        let mut all = self.db.raw_iterator();
        all.seek_to_first();
        while let Some(document) = all.value() {
            read(document);
            all.next();
        }
        Ok(all.status()?)
    }
}
