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

/// Memory that engines with a cache of their own may use for it, in bytes: what NyroDB has by default.
pub const CACHE_BYTES: usize = 512 << 20;
