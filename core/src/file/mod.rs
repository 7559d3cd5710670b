//! The file: pages, the seam under all access to it, free space, page trees, the mapping.

pub mod disk;
pub mod page;
pub mod tree;
#[cfg(test)]
pub(crate) mod tree_test_pages;
