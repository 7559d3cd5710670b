//! The engines, each configured as its documentation advises.

mod fjall;
mod lmdb;
mod nyro;
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod sqlite;

pub use fjall::Fjall;
pub use lmdb::Lmdb;
pub use nyro::Nyro;
pub use redb::Redb;
#[cfg(feature = "rocksdb")]
pub use rocksdb::Rocks;
pub use sqlite::Sqlite;
