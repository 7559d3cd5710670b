//! The engines, each configured as its documentation advises.

pub(crate) mod fjall;
pub(crate) mod lmdb;
pub(crate) mod nyro;
pub(crate) mod redb;
#[cfg(feature = "rocksdb")]
pub(crate) mod rocksdb;
pub(crate) mod sqlite;

pub use fjall::Fjall;
pub use lmdb::Lmdb;
pub use nyro::Nyro;
pub use redb::Redb;
#[cfg(feature = "rocksdb")]
pub use rocksdb::Rocks;
pub use sqlite::Sqlite;
