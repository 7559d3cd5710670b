//! Records: slotted blocks, the directory of a collection, large documents.

pub mod block;
pub mod directory;
pub mod extent;
pub mod key;
