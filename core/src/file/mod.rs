//! The file: pages, the seam under all access to it, free space, page trees, the mapping.

pub mod disk;
#[cfg(test)]
pub mod memory_pages;
pub mod page;
