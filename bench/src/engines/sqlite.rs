//! SQLite through rusqlite, a table of blobs by integer.

use crate::engine::{Durability, Engine, Item, Outcome, Reading, Setup};
use crate::stores::SqliteStore;
use rusqlite::{Connection, OptionalExtension};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const PUT: &str = "INSERT OR REPLACE INTO documents (id, document) VALUES (?1, ?2)";
const GET: &str = "SELECT document FROM documents WHERE id = ?1";

/// SQLite: a connection for each thread that needs one at a time.
pub struct Sqlite {
    file: PathBuf,
    setup: Setup,
    free: Mutex<Vec<Connection>>,
}

fn synchronous(setup: Setup) -> &'static str {
    match setup.durability {
        Durability::Relaxed => "OFF",
        Durability::Durable => "FULL",
    }
}

/// The cache of a connection: what lies behind it is mapped, so that more would be of no use.
fn cache_bytes(setup: Setup) -> usize {
    setup.cache_bytes.min(64 << 20)
}

/// A connection that goes back when it is dropped.
pub struct Lent<'e> {
    engine: &'e Sqlite,
    connection: Option<Connection>,
}

impl std::ops::Deref for Lent<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("there until it is dropped")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.engine.free.lock().unwrap_or_else(PoisonError::into_inner).extend(self.connection.take());
    }
}

impl Sqlite {
    fn connect(&self) -> Outcome<Connection> {
        let connection = Connection::open(&self.file)?;
        connection.busy_timeout(std::time::Duration::from_secs(60))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", synchronous(self.setup))?;
        connection.pragma_update(None, "mmap_size", 8_i64 << 30)?;
        connection.pragma_update(None, "cache_size", -(cache_bytes(self.setup) as i64 >> 10))?;
        connection.set_prepared_statement_cache_capacity(16);
        Ok(connection)
    }

    /// A connection that nobody else has.
    pub(crate) fn lend(&self) -> Outcome<Lent<'_>> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = Some(match free {
            Some(connection) => connection,
            None => self.connect()?,
        });
        Ok(Lent { engine: self, connection })
    }

    fn write<'i>(&self, items: impl IntoIterator<Item = Item<'i>>) -> Outcome<()> {
        let connection = self.lend()?;
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        {
            let mut put = connection.prepare_cached(PUT)?;
            for (id, document) in items {
                put.execute((id as i64, document))?;
            }
        }
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}

fn get<R>(connection: &Connection, id: u64, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
    let mut get = connection.prepare_cached(GET)?;
    Ok(get.query_row([id as i64], |row| Ok(read(row.get_ref(0)?.as_blob()?))).optional()?)
}

impl Engine for Sqlite {
    const NAME: &'static str = "sqlite";
    type Snapshot<'e> = SqliteSnapshot<'e>;
    type Store = SqliteStore;

    fn version() -> String {
        format!("SQLite {}", rusqlite::version())
    }

    fn settings(setup: Setup) -> String {
        let (synchronous, cache) = (synchronous(setup), cache_bytes(setup) >> 20);
        format!("WAL, synchronous={synchronous}, mmap_size 8 GiB, cache_size {cache} MiB, statements kept")
    }

    fn open(directory: &Path, setup: Setup) -> Outcome<Sqlite> {
        let opened = Sqlite { file: directory.join("bench.sqlite"), setup, free: Mutex::default() };
        opened.lend()?.execute("CREATE TABLE IF NOT EXISTS documents (id INTEGER PRIMARY KEY, document BLOB)", [])?;
        Ok(opened)
    }

    fn close(self) -> Outcome<()> {
        let free = self.free.into_inner().unwrap_or_else(PoisonError::into_inner);
        free.into_iter().try_for_each(|connection| connection.close().map_err(|(_, error)| error.into()))
    }

    fn settle(&self) -> Outcome<()> {
        self.lend()?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    fn insert_batch(&self, items: &[Item<'_>]) -> Outcome<()> {
        self.write(items.iter().copied())
    }

    fn insert(&self, (id, document): Item<'_>) -> Outcome<()> {
        self.lend()?.prepare_cached(PUT)?.execute((id as i64, document))?;
        Ok(())
    }

    fn get<R>(&self, id: u64, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        get(&*self.lend()?, id, read)
    }

    fn snapshot(&self) -> Outcome<SqliteSnapshot<'_>> {
        let connection = self.lend()?;
        connection.execute_batch("BEGIN; SELECT 1 FROM documents LIMIT 1;")?;
        Ok(SqliteSnapshot(connection))
    }
}

/// A read transaction.
pub struct SqliteSnapshot<'e>(Lent<'e>);

impl SqliteSnapshot<'_> {
    /// Its connection.
    pub(crate) fn connection(&self) -> &Connection {
        &self.0
    }
}

impl Reading for SqliteSnapshot<'_> {
    fn get<R>(&self, id: u64, read: impl FnOnce(&[u8]) -> R) -> Outcome<Option<R>> {
        get(&self.0, id, read)
    }

    fn scan(&self, mut read: impl FnMut(&[u8])) -> Outcome<()> {
        let mut all = self.0.prepare_cached("SELECT document FROM documents")?;
        let mut rows = all.query([])?;
        while let Some(row) = rows.next()? {
            read(row.get_ref(0)?.as_blob()?);
        }
        Ok(())
    }
}

impl Drop for SqliteSnapshot<'_> {
    fn drop(&mut self) {
        // Nothing was written; a connection that could not end its transaction is of no further use.
        if self.0.execute_batch("COMMIT").is_err() {
            self.0.connection = None;
        }
    }
}
