//! Scans, document by document or by the batch.

use nyro::{Document, Result, Scan};

/// A scan: it holds its own snapshot and one block at a time.
#[derive(Debug)]
pub struct Cursor {
    scan: Scan<Document>,
    /// Set by the first error and by the end.
    ended: bool,
    /// A document that was read and did not fit into the last batch.
    left: Option<Left>,
}

#[derive(Debug)]
struct Left {
    document: Vec<u8>,
    token: u64,
}

/// A batch of documents, one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Filled {
    /// How many documents.
    pub documents: usize,
    /// Bytes that they take.
    pub bytes: usize,
    /// No document fitted: the next one has this many bytes. 0 otherwise.
    pub needed: usize,
    /// There is no document after these.
    pub ended: bool,
}

impl Cursor {
    pub(crate) fn new(scan: Scan<Document>) -> Cursor {
        Cursor { scan, ended: false, left: None }
    }

    /// Where the scan is: a scan that goes on after this token begins behind the last document given.
    pub fn token(&self) -> u64 {
        match &self.left {
            Some(left) => left.token,
            None => self.scan.token(),
        }
    }

    /// Gives the next document to `read` without copying it; `None` at the end. After an error it has ended.
    pub fn next_with<R>(&mut self, read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        if let Some(left) = self.left.take() {
            return Ok(Some(read(&left.document)));
        }
        if self.ended {
            return Ok(None);
        }
        match self.scan.next_raw() {
            Ok(Some(document)) => Ok(Some(read(document.as_bytes()))),
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Err(e) => {
                self.ended = true;
                Err(e)
            }
        }
    }

    /// Gives up to `most` documents to `each`, which says whether to go on. Faster than so many calls of
    /// [`Cursor::next_with`] where a call costs. Returns how many were given.
    pub fn for_each(&mut self, most: usize, mut each: impl FnMut(&[u8]) -> bool) -> Result<usize> {
        let mut given = 0;
        while given < most {
            let Some(go_on) = self.next_with(&mut each)? else { break };
            given += 1;
            if !go_on {
                break;
            }
        }
        Ok(given)
    }

    /// Copies documents into `out`, as many as fit and at most `ends.len()`, and where each ends.
    pub fn fill(&mut self, out: &mut [u8], ends: &mut [usize]) -> Result<Filled> {
        self.fill_with_tokens(out, ends, &mut [])
    }

    /// As [`Cursor::fill`]; `tokens` gets the token behind each document, as far as it is long enough. For a caller that
    /// gives the documents on one by one, and must be able to say where it is.
    pub fn fill_with_tokens(&mut self, out: &mut [u8], ends: &mut [usize], tokens: &mut [u64]) -> Result<Filled> {
        let mut filled = Filled::default();
        while filled.documents < ends.len() {
            let before = self.token();
            let room = out.get_mut(filled.bytes..).unwrap_or_default();
            let copied = self.next_with(|document| match room.get_mut(..document.len()) {
                Some(place) => {
                    place.copy_from_slice(document);
                    Ok(document.len())
                }
                None => Err(document.to_vec()),
            });
            match copied {
                // What was copied is given; the error comes again with the next call.
                Err(_) if filled.documents > 0 => {
                    self.ended = false;
                    return Ok(filled);
                }
                Err(e) => return Err(e),
                Ok(None) => {
                    filled.ended = true;
                    return Ok(filled);
                }
                Ok(Some(Ok(bytes))) => {
                    filled.bytes += bytes;
                    ends[filled.documents] = filled.bytes;
                    if let Some(token) = tokens.get_mut(filled.documents) {
                        *token = self.token();
                    }
                    filled.documents += 1;
                }
                Ok(Some(Err(document))) => {
                    if filled.documents == 0 {
                        filled.needed = document.len();
                    }
                    self.left = Some(Left { document, token: before });
                    return Ok(filled);
                }
            }
        }
        Ok(filled)
    }

    /// True once the end, or an error, was met.
    pub fn has_ended(&self) -> bool {
        self.ended && self.left.is_none()
    }
}
