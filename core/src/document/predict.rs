//! Documents mostly look like the one before: the keys of the last document are remembered, and those of the
//! next compared with them, in their order.
//!
//! ```text
//!   document      83  a3 _id  07  a4 name a3 Ada  a4 home 81  a4 city a4 Oslo
//!   remembered   [3] [a3 _id]    [a4 name]       [a4 home][1][a4 city]            maps by number of fields, keys
//!                                                                                 by their bytes, head included
//! ```
//!
//! Keys that equal remembered ones are UTF-8, and distinct where those are: one comparison of eight bytes in
//! place of a fingerprint and a search. What lies inside arrays is not remembered. A document that differs is
//! checked again from its beginning without a prediction, so the cost is at most twice that of the check; after
//! some misses in a row predicting rests for a while. The idea is that of the hidden classes of Self (Chambers,
//! Ungar and Lee, 1989), for validation instead of access.

/// Maps and keys of a document that are remembered; one with more is not.
const ENTRIES: usize = 64;
/// Bytes of its keys.
const TEXT_BYTES: usize = 1024;
/// Longest rest, in documents.
const MAX_REST: u32 = 256;

/// A map or a key.
#[derive(Clone, Copy)]
struct Entry {
    /// For a key its first bytes, head included, the others zero; for a map [`MAP`] and the number of its fields.
    word: u64,
    /// Which bytes of `word` are the key's; 0 for a map, so that nothing is taken for such a key.
    mask: u64,
    /// Where the key's bytes stand in the text, and how many.
    at: u16,
    bytes: u16,
}

/// An entry that is neither a map nor a key.
const NOTHING: Entry = Entry { word: 1, mask: 0, at: 0, bytes: 0 };

/// No key begins with this byte (the last one of a little-endian word): keys are strings.
const MAP: u64 = 0xff << 56;

/// The keys of the last document that was learnt.
pub(crate) struct Prediction {
    entries: [Entry; ENTRIES],
    text: [u8; TEXT_BYTES],
    len: usize,
    text_bytes: usize,
    /// The entry of the document's own `_id`.
    id: usize,
    /// Whole and right.
    is_usable: bool,
    /// How many documents pass without a prediction after the next miss, and how many still do.
    rest: u32,
    resting: u32,
}

/// What to do with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Compare its keys with those remembered.
    Predict,
    /// Check its keys and remember them.
    Learn,
    /// Check its keys.
    Rest,
}

impl Prediction {
    /// Nothing is remembered.
    pub(crate) const fn new() -> Prediction {
        Prediction {
            entries: [NOTHING; ENTRIES],
            text: [0; TEXT_BYTES],
            len: 0,
            text_bytes: 0,
            id: usize::MAX,
            is_usable: false,
            rest: 1,
            resting: 0,
        }
    }

    /// What to do with the next document.
    #[inline]
    pub(crate) fn mode(&mut self) -> Mode {
        if self.is_usable {
            return Mode::Predict;
        }
        self.unusual_mode()
    }

    #[cold]
    fn unusual_mode(&mut self) -> Mode {
        if self.resting > 0 {
            self.resting -= 1;
            return Mode::Rest;
        }
        (self.len, self.text_bytes, self.id) = (0, 0, usize::MAX);
        Mode::Learn
    }

    /// The document was as predicted.
    #[inline]
    pub(crate) fn hit(&mut self) {
        self.rest = 1;
    }

    /// The document was not as predicted: it may be learnt ([`Mode::Learn`]), or predicting rests.
    #[cold]
    pub(crate) fn miss(&mut self) -> Mode {
        self.is_usable = false;
        if self.rest > 2 {
            self.resting = self.rest;
        }
        self.rest = (self.rest * 2).min(MAX_REST);
        self.unusual_mode()
    }

    /// The document that was learnt is well-formed: from now on it is predicted, if it was remembered whole.
    pub(crate) fn learnt(&mut self) {
        self.is_usable = self.len <= ENTRIES;
        self.entries.iter_mut().skip(self.len).for_each(|entry| *entry = NOTHING);
        self.resting = if self.is_usable { 0 } else { MAX_REST };
    }

    /// Remembers a map of `fields` fields.
    pub(crate) fn learn_map(&mut self, fields: usize) {
        self.push(Entry { word: MAP | fields as u64, mask: 0, at: 0, bytes: 0 });
    }

    /// Remembers a key, given with its head; `is_id` if it is the document's own `_id`.
    pub(crate) fn learn_key(&mut self, key: &[u8], is_id: bool) {
        if is_id {
            self.id = self.len;
        }
        let (at, end) = (self.text_bytes, self.text_bytes + key.len());
        let Some(text) = self.text.get_mut(at..end) else {
            self.len = ENTRIES + 1;
            return;
        };
        text.copy_from_slice(key);
        self.text_bytes = end;
        let mut first = [0; 8];
        let kept = key.len().min(8);
        first[..kept].copy_from_slice(&key[..kept]);
        let mask = u64::MAX >> (64 - 8 * kept);
        self.push(Entry { word: u64::from_le_bytes(first), mask, at: at as u16, bytes: key.len() as u16 });
    }

    fn push(&mut self, entry: Entry) {
        match self.entries.get_mut(self.len) {
            Some(place) => {
                *place = entry;
                self.len += 1;
            }
            None => self.len = ENTRIES + 1,
        }
    }

    /// The entry of the document's own `_id`.
    #[inline]
    pub(crate) fn id(&self) -> usize {
        self.id
    }

    /// True if entry `index` is a map of `fields` fields.
    #[inline]
    pub(crate) fn is_map(&self, index: usize, fields: usize) -> bool {
        self.entries.get(index).is_some_and(|entry| entry.word == MAP | fields as u64)
    }

    /// Length in bytes, head included, of the key at `at` in `document`, if it is entry `index`.
    #[inline(always)]
    pub(crate) fn key(&self, index: usize, document: &[u8], at: usize) -> Option<usize> {
        let entry = self.entries.get(index)?;
        let bytes = usize::from(entry.bytes);
        match document.get(at..).and_then(|rest| rest.first_chunk()) {
            Some(word) if u64::from_le_bytes(*word) & entry.mask != entry.word => None,
            Some(_) if bytes <= 8 => Some(bytes),
            _ => self.long_key(entry, document, at),
        }
    }

    /// The same for a key of more than eight bytes, and for those at the end of a document.
    #[inline]
    fn long_key(&self, entry: &Entry, document: &[u8], at: usize) -> Option<usize> {
        let bytes = usize::from(entry.bytes);
        let (text, key) = (self.text.get(usize::from(entry.at)..)?, document.get(at..at + bytes)?);
        let is_same = match (key.last_chunk::<8>(), text.get(..bytes)?.last_chunk::<8>()) {
            // The first eight bytes are the same.
            (Some(a), Some(b)) if bytes <= 16 => a == b,
            _ => key == &text[..bytes],
        };
        (is_same && bytes > 0).then_some(bytes)
    }
}
