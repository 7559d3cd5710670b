//! Records: slotted blocks, the directory of a collection, large documents.

pub mod key;
