//! What both kinds of backup do with the pages of the file: read a run in pieces, check them, pass them on.

use crate::error::{Error, Result};
use crate::file::disk::DiskFile;
use crate::file::page::{PageNo, PAGE_BYTES};
use crate::file::unit::{UnitCheck, MOST_AT_ONCE};
use crate::sync::Arc;
use std::io::{self, Read, Write};

/// Bytes that are read and written at once.
pub const GATHER_BYTES: usize = 1 << 20;
const _: () = assert!(GATHER_BYTES >= MOST_AT_ONCE);

/// Copies runs of units out of a file.
pub struct Copier<'a> {
    file: &'a dyn DiskFile,
    check: UnitCheck,
    buffer: Vec<u8>,
}

impl<'a> Copier<'a> {
    pub fn new(file: &'a dyn DiskFile, check: UnitCheck) -> Copier<'a> {
        Copier { file, check, buffer: vec![0; GATHER_BYTES] }
    }

    /// Reads the run of whole units, and calls `put` with one piece after the other, each checked: its first page
    /// and its bytes.
    pub fn copy(&mut self, first: u64, pages: u64, put: &mut dyn FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let (mut page, end) = (first, first + pages);
        while page < end {
            let length = GATHER_BYTES.min((end - page) as usize * PAGE_BYTES);
            let buffer = &mut self.buffer[..length];
            let read = self.file.read_at(buffer, PageNo(page).offset());
            read.map_err(|e| Error::io("reading pages for a backup", e))?;
            let whole = self.check.check(PageNo(page), buffer)?;
            if whole == 0 {
                return Err(Error::corrupt("unit beyond the used pages", page, 0, end, page));
            }
            put(page, &buffer[..whole])?;
            page += (whole / PAGE_BYTES) as u64;
        }
        if !self.check.is_between_units() {
            return Err(Error::corrupt("extent beyond the used pages", first, 0, 0, end));
        }
        Ok(())
    }
}

/// Writes to a file, one piece behind the other.
pub struct FileWriter<'a> {
    file: &'a Arc<dyn DiskFile>,
    at: u64,
}

impl<'a> FileWriter<'a> {
    pub fn new(file: &'a Arc<dyn DiskFile>) -> FileWriter<'a> {
        FileWriter { file, at: 0 }
    }
}

impl Write for FileWriter<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.write_at(data, self.at)?;
        self.at += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a file from its beginning to its end.
pub struct FileReader {
    file: Arc<dyn DiskFile>,
    at: u64,
}

impl FileReader {
    pub fn new(file: Arc<dyn DiskFile>) -> FileReader {
        FileReader { file, at: 0 }
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.file.len()?.saturating_sub(self.at);
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.file.read_at(&mut buffer[..length], self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}
