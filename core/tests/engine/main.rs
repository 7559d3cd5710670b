//! The database through its public interface: what each call promises, bad input, damaged files. Random operations
//! against plain maps, and damage of all kinds, are lanes of `safety/`.
//!
//! ```text
//!   aging       snapshots with a largest age
//!   api         every public call and what its documentation promises
//!   background  what the background threads promise
//!   backup      full and incremental backups, restored
//!   bad_input   each mistake of a caller, each failure of the machine, each error code
//!   damage      the bench for damaged files, and a few of them; most are in the lane `damaged` of `safety/`
//!   inspect     what the inspectors tell of whole files, damaged ones and ones in use
//!   limits      every limit at its edge and past it; memory; a snapshot that stays open
//!   isolation   what a snapshot shows while others commit and sync
//!   watching    what `stats` counts and times, what the event hook is told
//!   space       the bound of the file's size, what is given back, compaction
//!   repair      thousands of damaged files, and what must be in the new one
//!   opening     reading only, network file systems, warming up
//!   pread       reading without a mapping
//!   fixtures    files kept from earlier
//!   fork        a child of a process that has a database open
//! ```
//!
//! Every test ends with [`nyro::Database::verify`]; the helper for that is [`common::Db`].

mod aging;
mod allocator;
mod api;
mod background;
mod backup;
mod bad_input;
mod common;
mod damage;
mod files;
mod fixtures;
mod fork;
mod inspect;
mod isolation;
mod keyspace;
mod limits;
mod opening;
mod pread;
mod repair;
mod sealed;
mod space;
mod watching;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;
