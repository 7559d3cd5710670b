//! A file that is already written and only lends its memory, for tests of the page table: small enough
//! for Miri, and without anything that the model checker would have to follow.

use super::disk::{DiskFile, LockError};
use super::page::PageBuf;
use std::io;

/// Its bytes.
#[derive(Debug)]
pub struct WrittenFile(pub PageBuf);

impl DiskFile for WrittenFile {
    fn segment_bytes(&self) -> u64 {
        1 << 30
    }

    fn segment(&self, index: u64) -> io::Result<*const u8> {
        assert_eq!(index, 0, "the file has one segment");
        Ok(self.0.as_ptr())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
        unreachable!("the page table only looks at lent memory")
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        unreachable!("the page table writes nothing")
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        unreachable!("the page table writes nothing")
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        unreachable!("the page table writes nothing")
    }

    fn sync_data(&self) -> io::Result<()> {
        unreachable!("the page table writes nothing")
    }

    fn can_store(&self) -> bool {
        false
    }

    fn store(&self, _: &[u8], _: u64) -> io::Result<()> {
        unreachable!("the page table writes nothing")
    }

    fn lock(&self) -> Result<(), LockError> {
        unreachable!("the page table locks nothing")
    }

    fn lock_shared(&self) -> Result<(), LockError> {
        Ok(())
    }

    fn unlock(&self) {}
}
