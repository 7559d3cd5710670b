//! SQLite through rusqlite, a table of blobs by blob that is its own index.

use crate::engine::{Engine, Outcome, Setup};
use crate::engines::sqlite::{Sqlite, SqliteSnapshot};
use crate::store::{Entry, Key, Store, StoreReading};
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

const MAKE: &str = "CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID";
const PUT: &str = "INSERT OR REPLACE INTO entries (key, value) VALUES (?1, ?2)";
const GET: &str = "SELECT value FROM entries WHERE key = ?1";
const RANGE: &str = "SELECT key, value FROM entries WHERE key >= ?1 ORDER BY key LIMIT ?2";

/// SQLite.
pub struct SqliteStore(Sqlite);

fn get<R>(connection: &Connection, key: Key, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
    let mut get = connection.prepare_cached(GET)?;
    Ok(get.query_row([&key[..]], |row| Ok(read(row.get_ref(0)?.as_blob()?))).optional()?)
}

fn range(connection: &Connection, from: Key, count: usize, mut read: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
    let mut range = connection.prepare_cached(RANGE)?;
    let mut rows = range.query((&from[..], i64::try_from(count).unwrap_or(i64::MAX)))?;
    while let Some(row) = rows.next()? {
        read(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
    }
    Ok(())
}

impl Store for SqliteStore {
    type Snapshot<'e> = SqliteStoreSnapshot<'e>;

    fn settings() -> &'static str {
        "WITHOUT ROWID, VACUUM before it is read"
    }

    fn open(directory: &Path, setup: Setup) -> Outcome<SqliteStore> {
        let engine = Sqlite::open(directory, setup)?;
        engine.lend()?.execute(MAKE, [])?;
        Ok(SqliteStore(engine))
    }

    fn close(self) -> Outcome<()> {
        self.0.close()
    }

    fn settle(&self) -> Outcome<()> {
        self.0.settle()
    }

    fn compact(&mut self) -> Outcome<()> {
        self.0.lend()?.execute_batch("VACUUM")?;
        self.settle()
    }

    fn put_batch(&self, entries: &[Entry<'_>]) -> Outcome<()> {
        let connection = self.0.lend()?;
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        {
            let mut put = connection.prepare_cached(PUT)?;
            for (key, value) in entries {
                put.execute((&key[..], *value))?;
            }
        }
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn put(&self, key: Key, value: &[u8]) -> Outcome<()> {
        self.0.lend()?.prepare_cached(PUT)?.execute((&key[..], value))?;
        Ok(())
    }

    fn get<R>(&self, key: Key, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        get(&*self.0.lend()?, key, read)
    }

    fn range(&self, from: Key, count: usize, read: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        range(&*self.0.lend()?, from, count, read)
    }

    fn snapshot(&self) -> Outcome<SqliteStoreSnapshot<'_>> {
        Ok(SqliteStoreSnapshot(self.0.snapshot()?))
    }
}

/// A read transaction.
pub struct SqliteStoreSnapshot<'e>(SqliteSnapshot<'e>);

impl StoreReading for SqliteStoreSnapshot<'_> {
    fn get<R>(&self, key: Key, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        get(self.0.connection(), key, read)
    }

    fn range(&self, from: Key, count: usize, read: impl FnMut(&[u8], &[u8])) -> Outcome<()> {
        range(self.0.connection(), from, count, read)
    }
}
