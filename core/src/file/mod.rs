//! The file: pages, the seam under all access to it, free space, page trees, the mapping.

pub mod disk;
pub mod os;
pub mod page;
#[cfg(any(test, feature = "testing"))]
pub mod sim;

#[cfg(test)]
mod disk_tests;
