//! LMDB through heed.

use crate::engine::{Outcome, Setup};
use crate::engines::lmdb::{close_env, open_env};
use crate::machine;
use crate::store::{Entry, Key, Store, StoreReading};
use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, RoTxn, WithTls};
use std::ops::Bound;
use std::path::Path;

/// LMDB.
pub struct LmdbStore {
    env: Env,
    entries: Database<Bytes, Bytes>,
}

impl Store for LmdbStore {
    type Snapshot<'e> = LmdbStoreSnapshot<'e>;

    fn settings() -> &'static str {
        "the main database of the environment"
    }

    fn open(directory: &Path, setup: Setup) -> Outcome<LmdbStore> {
        let env = open_env(directory, setup)?;
        let mut transaction = env.write_txn()?;
        let entries = env.create_database(&mut transaction, None)?;
        transaction.commit()?;
        Ok(LmdbStore { env, entries })
    }

    fn close(self) -> Outcome<()> {
        close_env(self.env)
    }

    /// It does nothing in the background.
    fn settle(&self) -> Outcome<()> {
        Ok(())
    }

    fn put_batch(&self, entries: &[Entry<'_>]) -> Outcome<()> {
        let mut transaction = self.env.write_txn()?;
        for (key, value) in entries {
            self.entries.put(&mut transaction, key, value)?;
        }
        Ok(transaction.commit()?)
    }

    fn snapshot(&self) -> Outcome<LmdbStoreSnapshot<'_>> {
        Ok(LmdbStoreSnapshot { transaction: self.env.read_txn()?, entries: self.entries })
    }

    /// With `WRITE_MAP` there is no call to count: pages of the mapping that became dirty.
    fn handed_bytes(&self) -> Outcome<u64> {
        match self.env.flags()?.is_some_and(|flags| flags.contains(EnvFlags::WRITE_MAP)) {
            true => Ok(machine::written_bytes()),
            false => Ok(machine::handed_bytes()),
        }
    }
}

/// A read transaction.
pub struct LmdbStoreSnapshot<'e> {
    transaction: RoTxn<'e, WithTls>,
    entries: Database<Bytes, Bytes>,
}

impl StoreReading for LmdbStoreSnapshot<'_> {
    fn get<R>(&self, key: Key, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        Ok(self.entries.get(&self.transaction, &key)?.map(read))
    }

    fn range(&self, from: Key, count: usize, mut read: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        let bounds = (Bound::Included(&from[..]), Bound::Unbounded);
        for found in self.entries.range(&self.transaction, &bounds)?.take(count) {
            let (key, value) = found?;
            read(key, value);
        }
        Ok(())
    }
}
