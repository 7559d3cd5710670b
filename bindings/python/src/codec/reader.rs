//! Bytes from front to back, never beyond their end.

use super::fault::Fault;

/// Reads bytes from front to back.
pub struct Reader<'d> {
    bytes: &'d [u8],
    at: usize,
}

impl<'d> Reader<'d> {
    /// A reader of `bytes`, at their beginning.
    pub fn new(bytes: &'d [u8]) -> Reader<'d> {
        Reader { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Bytes left.
    #[inline]
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, Fault> {
        let Some(&byte) = self.bytes.get(self.at) else { return Err(self.cut()) };
        self.at += 1;
        Ok(byte)
    }

    /// The next `len` bytes.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'d [u8], Fault> {
        if len > self.left() {
            return Err(self.cut());
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        match self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>()) {
            Some(array) => {
                self.at += N;
                Ok(*array)
            }
            None => Err(self.cut()),
        }
    }

    /// Goes over `expected` if it is what comes next.
    #[inline]
    pub fn goes_on_with(&mut self, expected: &[u8]) -> bool {
        let found = self.bytes[self.at..].starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    /// All bytes that are left.
    pub fn rest(&self) -> &'d [u8] {
        &self.bytes[self.at..]
    }

    /// Goes back to a place that [`Reader::at`] gave.
    pub fn back_to(&mut self, at: usize) {
        self.at = at.min(self.at);
    }

    /// The length of the string that begins here.
    pub fn text_head(&mut self) -> Result<usize, Fault> {
        match self.byte()? {
            head @ 0xa0..=0xbf => Ok(usize::from(head & 0x1f)),
            0xd9 => Ok(usize::from(self.byte()?)),
            0xda => Ok(usize::from(u16::from_be_bytes(self.array()?))),
            0xdb => Ok(u32::from_be_bytes(self.array()?) as usize),
            _ => {
                self.at -= 1;
                Err(Fault::malformed(self.at, "a field name must be a string"))
            }
        }
    }

    #[cold]
    fn cut(&self) -> Fault {
        Fault::malformed(self.at, "it ends in the middle of a value")
    }
}
