//! The file: pages, the seam under all access to it, free space, page trees, the mapping.

pub mod disk;
pub mod memory;
pub mod meta;
pub mod os;
pub mod page;
pub mod pages;
#[cfg(any(test, feature = "testing"))]
pub mod sim;
pub mod space;
pub mod tree;

#[cfg(test)]
mod disk_tests;
#[cfg(test)]
pub(crate) mod memory_pages;
#[cfg(test)]
mod tree_test_pages;
