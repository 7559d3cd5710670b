//! The ordered stores, each configured as its documentation advises for small entries.

mod fjall;
mod lmdb;
mod nyro;
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod sqlite;

pub use fjall::FjallStore;
pub use lmdb::LmdbStore;
pub use nyro::NyroStore;
pub use redb::RedbStore;
#[cfg(feature = "rocksdb")]
pub use rocksdb::RocksStore;
pub use sqlite::SqliteStore;
