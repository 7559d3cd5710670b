//! LMDB through heed.

use crate::engine::{Durability, Engine, Item, Outcome, Reading, Setup};
use crate::stores::LmdbStore;
use heed::byteorder::BigEndian;
use heed::types::{Bytes, U64};
use heed::{Database, Env, EnvFlags, EnvOpenOptions, PutFlags, RoTxn, WithTls};
use std::path::Path;

/// LMDB.
pub struct Lmdb {
    env: Env,
    documents: Database<U64<BigEndian>, Bytes>,
}

impl Lmdb {
    fn write<'i>(&self, items: impl IntoIterator<Item = Item<'i>>, flags: PutFlags) -> Outcome<()> {
        let mut transaction = self.env.write_txn()?;
        for (id, document) in items {
            self.documents.put_with_flags(&mut transaction, flags, &id, document)?;
        }
        Ok(transaction.commit()?)
    }
}

/// Opens an environment.
pub(crate) fn open_env(directory: &Path, setup: Setup) -> Outcome<Env> {
    let flags = match setup.durability {
        Durability::Relaxed => EnvFlags::NO_SYNC | EnvFlags::WRITE_MAP | EnvFlags::NO_READ_AHEAD,
        Durability::Durable => EnvFlags::empty(),
    };
    // SAFETY: the file is this benchmark's own, opened once and by this process alone.
    Ok(unsafe { EnvOpenOptions::new().map_size(64 << 30).flags(flags).open(directory)? })
}

/// Closes it, all of it on the disk.
pub(crate) fn close_env(env: Env) -> Outcome<()> {
    env.force_sync()?;
    env.prepare_for_closing().wait();
    Ok(())
}

impl Engine for Lmdb {
    const NAME: &'static str = "lmdb";
    type Snapshot<'e> = LmdbSnapshot<'e>;
    type Store = LmdbStore;

    fn version() -> String {
        let heed::LmdbVersion { major, minor, patch, .. } = heed::lmdb_version();
        format!("LMDB {major}.{minor}.{patch}")
    }

    fn settings(setup: Setup) -> String {
        let flags = match setup.durability {
            Durability::Relaxed => "NO_SYNC, WRITE_MAP, NO_READ_AHEAD",
            Durability::Durable => "default flags",
        };
        flags.to_owned()
    }

    fn open(directory: &Path, setup: Setup) -> Outcome<Lmdb> {
        let env = open_env(directory, setup)?;
        let mut transaction = env.write_txn()?;
        let documents = env.create_database(&mut transaction, None)?;
        transaction.commit()?;
        Ok(Lmdb { env, documents })
    }

    fn close(self) -> Outcome<()> {
        close_env(self.env)
    }

    fn insert_batch(&self, items: &[Item<'_>]) -> Outcome<()> {
        self.write(items.iter().copied(), PutFlags::empty())
    }

    fn append_batch(&self, items: &[Item<'_>]) -> Outcome<()> {
        self.write(items.iter().copied(), PutFlags::APPEND)
    }

    fn get<R>(&self, id: u64, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        let transaction = self.env.read_txn()?;
        Ok(self.documents.get(&transaction, &id)?.map(read))
    }

    fn snapshot(&self) -> Outcome<LmdbSnapshot<'_>> {
        Ok(LmdbSnapshot { transaction: self.env.read_txn()?, documents: self.documents })
    }
}

/// A read transaction.
pub struct LmdbSnapshot<'e> {
    transaction: RoTxn<'e, WithTls>,
    documents: Database<U64<BigEndian>, Bytes>,
}

impl Reading for LmdbSnapshot<'_> {
    fn get<R>(&self, id: u64, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.documents.get(&self.transaction, &id)?.map(read))
    }

    fn scan(&self, mut read: impl FnMut(&[u8])) -> Outcome<()> {
        for found in self.documents.iter(&self.transaction)? {
            read(found?.1);
        }
        Ok(())
    }
}
