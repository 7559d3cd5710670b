//! The file: pages, the seam under all access to it, free space, page trees, the mapping.

pub mod backups;
#[cfg(not(loom))]
pub mod copies;
pub mod disk;
pub mod fault;
#[cfg(not(loom))]
pub mod memory;
pub mod meta;
#[cfg(not(loom))]
pub mod new_file;
#[cfg(not(loom))]
pub mod os;
pub mod page;
pub mod pages;
#[cfg(not(loom))]
pub mod read_only;
#[cfg(all(any(test, feature = "testing"), not(loom)))]
pub mod sim;
pub mod space;
pub mod tree;
#[cfg(not(loom))]
pub mod unit;

#[cfg(all(test, not(loom)))]
mod disk_tests;
#[cfg(all(test, not(loom)))]
pub(crate) mod memory_pages;
#[cfg(all(test, not(loom)))]
mod tree_test_pages;
#[cfg(test)]
pub(crate) mod written_file;
