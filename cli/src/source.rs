//! Cuts a stream of JSON into documents, one at a time, whatever its length.
//!
//! ```text
//!   {"_id":1,...}\n{"_id":2,...}\n        first byte is not '[': one document a line (NDJSON)
//!   [ {"_id":1,...}, {"_id":2,...} ]      first byte is '[':     the elements of one array
//! ```
//!
//! Only the borders are found here; whether the text between them is a document is the engine's to judge.
//! So a bad document costs no more than itself: the next one begins where its line ends, or after the comma.
//! Memory is bounded by the longest text allowed, [`MAX_TEXT_BYTES`].

use std::io::{self, BufRead};

/// The longest JSON text of one document. Documents have 16 MiB at most; their text may be longer.
pub const MAX_TEXT_BYTES: usize = 64 << 20;

/// The text of one document and the line it begins on, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Item {
    /// Line of the first byte.
    pub line: u64,
    /// The text, or why there is none (not UTF-8, too long).
    pub text: Result<String, String>,
}

/// Why no further document can be read.
#[derive(Debug)]
pub enum SourceError {
    /// The input can't be read.
    Io(io::Error),
    /// The array is broken at this line: what follows can't be told apart.
    Broken {
        /// Line where it broke.
        line: u64,
        /// What was found there.
        reason: &'static str,
    },
}

impl From<io::Error> for SourceError {
    fn from(e: io::Error) -> Self {
        SourceError::Io(e)
    }
}

/// What the first byte said, and how far reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    Lines,
    ArrayStart,
    ArrayRest,
    End,
}

/// Reads documents from `reader`.
#[derive(Debug)]
pub struct Source<R> {
    reader: R,
    state: State,
    line: u64,
    bytes_read: u64,
    max_bytes: usize,
}

impl<R: BufRead> Source<R> {
    /// Reads from the start of `reader`.
    pub fn new(reader: R) -> Self {
        Source { reader, state: State::Unknown, line: 1, bytes_read: 0, max_bytes: MAX_TEXT_BYTES }
    }

    /// How many bytes of the input were used up.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The next document, or `None` at the end.
    pub fn next_item(&mut self) -> Result<Option<Item>, SourceError> {
        if self.state == State::Unknown {
            self.detect()?;
        }
        match self.state {
            State::Lines => Ok(self.next_line()?),
            State::ArrayStart | State::ArrayRest => self.next_element(),
            State::Unknown | State::End => Ok(None),
        }
    }

    /// Looks at the first byte that is no space (a byte order mark is one).
    fn detect(&mut self) -> io::Result<()> {
        // Byte by byte, since the first read may end inside the mark.
        for byte in *b"\xef\xbb\xbf" {
            if self.peek()? != Some(byte) {
                break;
            }
            self.advance(1);
        }
        self.state = match self.peek_after_space()? {
            None => State::End,
            Some(b'[') => {
                self.advance(1);
                State::ArrayStart
            }
            Some(_) => State::Lines,
        };
        Ok(())
    }

    fn next_line(&mut self) -> io::Result<Option<Item>> {
        // Empty lines are no documents.
        let Some(_) = self.peek_after_space()? else { return Ok(None) };
        let line = self.line;
        let mut text = Text::new(self.max_bytes);
        while let Some(byte) = self.peek()? {
            if byte == b'\n' {
                break;
            }
            let rest = self.reader.fill_buf()?;
            let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            text.extend(&rest[..end]);
            self.advance(end);
        }
        Ok(Some(Item { line, text: text.finish() }))
    }

    fn next_element(&mut self) -> Result<Option<Item>, SourceError> {
        let Some(mut byte) = self.peek_after_space()? else { return Err(self.broken("the array has no end")) };
        if byte == b']' {
            return self.end_of_array();
        }
        if self.state == State::ArrayRest {
            if byte != b',' {
                return Err(self.broken("a comma or ']' is missing"));
            }
            self.advance(1);
            let Some(next) = self.peek_after_space()? else { return Err(self.broken("the array has no end")) };
            byte = next;
        }
        self.state = State::ArrayRest;
        if byte == b',' || byte == b']' {
            return Err(self.broken("a value is missing"));
        }
        let line = self.line;
        let text = self.element()?;
        Ok(Some(Item { line, text: text.finish() }))
    }

    /// The text of one element: a map or array up to its closing bracket, anything else up to a comma or
    /// bracket.
    fn element(&mut self) -> Result<Text, SourceError> {
        let start = self.line;
        let mut text = Text::new(self.max_bytes);
        let mut scan = Scan::default();
        loop {
            let rest = self.reader.fill_buf()?;
            if rest.is_empty() {
                self.line = start;
                return Err(self.broken("the array has no end"));
            }
            let end = rest.iter().enumerate().find_map(|(at, byte)| match scan.step(*byte) {
                Step::Inside => None,
                Step::EndsBefore => Some(at),
                Step::EndsBehind => Some(at + 1),
            });
            let used = end.unwrap_or(rest.len());
            text.extend(&rest[..used]);
            self.advance(used);
            if end.is_some() {
                return Ok(text);
            }
        }
    }

    fn end_of_array(&mut self) -> Result<Option<Item>, SourceError> {
        self.advance(1);
        if self.peek_after_space()?.is_some() {
            return Err(self.broken("there is text after the end of the array"));
        }
        self.state = State::End;
        Ok(None)
    }

    fn broken(&mut self, reason: &'static str) -> SourceError {
        self.state = State::End;
        SourceError::Broken { line: self.line, reason }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.reader.fill_buf()?.first().copied())
    }

    /// Uses up white space and looks at the byte after it.
    fn peek_after_space(&mut self) -> io::Result<Option<u8>> {
        loop {
            let rest = self.reader.fill_buf()?;
            if rest.is_empty() {
                return Ok(None);
            }
            match rest.iter().position(|b| !b.is_ascii_whitespace()) {
                Some(0) => return self.peek(),
                Some(spaces) => self.advance(spaces),
                None => {
                    let spaces = rest.len();
                    self.advance(spaces);
                }
            }
        }
    }

    /// Uses up `count` bytes of the buffer, counting lines.
    fn advance(&mut self, count: usize) {
        let used = self.reader.fill_buf().unwrap_or_default();
        self.line += used[..count].iter().filter(|b| **b == b'\n').count() as u64;
        self.reader.consume(count);
        self.bytes_read += count as u64;
    }
}

/// Where in an array element a scan stands.
#[derive(Default)]
struct Scan {
    depth: u64,
    in_string: bool,
    escaped: bool,
}

/// What a byte means for the element.
enum Step {
    Inside,
    EndsBefore,
    EndsBehind,
}

impl Scan {
    fn step(&mut self, byte: u8) -> Step {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Step::Inside;
        }
        match byte {
            b',' | b']' if self.depth == 0 => return Step::EndsBefore,
            b'}' | b']' if self.depth == 1 => return Step::EndsBehind,
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        Step::Inside
    }
}

/// A text as it is gathered; what is longer than allowed is counted and dropped.
struct Text {
    bytes: Vec<u8>,
    length: usize,
    max_bytes: usize,
}

impl Text {
    fn new(max_bytes: usize) -> Self {
        Text { bytes: Vec::new(), length: 0, max_bytes }
    }

    fn extend(&mut self, more: &[u8]) {
        self.length += more.len();
        let room = self.max_bytes.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&more[..more.len().min(room)]);
    }

    fn finish(self) -> Result<String, String> {
        if self.length > self.max_bytes {
            return Err(format!("the text has {} bytes and the limit is {}", self.length, self.max_bytes));
        }
        match String::from_utf8(self.bytes) {
            Ok(mut text) => {
                text.truncate(text.trim_end().len());
                Ok(text)
            }
            Err(e) => Err(format!("not UTF-8 at byte {}", e.utf8_error().valid_up_to())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufReader, Read};

    /// Hands out one byte at a time, so that every border falls between two reads.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(buf.len()).min(1);
            buf[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    type Items = Vec<(u64, Result<String, String>)>;

    /// All items as (line, text), and the reason if reading broke off.
    fn all(input: &[u8], max_bytes: usize) -> (Items, Option<(u64, &'static str)>) {
        let read = |reader: Box<dyn BufRead + '_>| {
            let mut source = Source::new(reader);
            source.max_bytes = max_bytes;
            let mut items = Vec::new();
            loop {
                match source.next_item() {
                    Ok(Some(item)) => items.push((item.line, item.text)),
                    Ok(None) => return (items, None, source.bytes_read()),
                    Err(SourceError::Broken { line, reason }) => {
                        return (items, Some((line, reason)), source.bytes_read())
                    }
                    Err(SourceError::Io(e)) => panic!("{e}"),
                }
            }
        };
        let whole = read(Box::new(input));
        let drip = read(Box::new(BufReader::with_capacity(1, Drip(input))));
        assert_eq!(whole, drip, "the borders of reads changed the result");
        (whole.0, whole.1)
    }

    fn texts(input: &str) -> Vec<(u64, String)> {
        let (items, broken) = all(input.as_bytes(), 1000);
        assert_eq!(broken, None);
        items.into_iter().map(|(line, text)| (line, text.expect("a text"))).collect()
    }

    fn own(items: &[(u64, &str)]) -> Vec<(u64, String)> {
        items.iter().map(|(line, text)| (*line, (*text).to_owned())).collect()
    }

    #[test]
    fn lines_are_documents_and_keep_their_numbers() {
        assert_eq!(
            texts("{\"a\":1}\n\n  \n{\"b\":2}\r\n{\"c\":3}"),
            own(&[(1, "{\"a\":1}"), (4, "{\"b\":2}"), (5, "{\"c\":3}")])
        );
        assert_eq!(texts("\u{feff}\n{}\n"), own(&[(2, "{}")]));
        assert_eq!(texts(""), own(&[]));
        assert_eq!(texts(" \n \n"), own(&[]));
    }

    #[test]
    fn elements_of_an_array_are_documents_and_keep_their_numbers() {
        assert_eq!(
            texts(" [ {\"a\":[1,2]} ,\n{\"b\":\"],\\\"[\"}\n]\n"),
            own(&[(1, "{\"a\":[1,2]}"), (2, "{\"b\":\"],\\\"[\"}")])
        );
        assert_eq!(texts("[{\n\"a\":{\"b\":[]}},\n\n1,x]"), own(&[(1, "{\n\"a\":{\"b\":[]}}"), (4, "1"), (4, "x")]));
        assert_eq!(texts("[]"), own(&[]));
        assert_eq!(texts("[\n]\n"), own(&[]));
    }

    #[test]
    fn a_broken_array_is_reported_where_it_breaks() {
        for (input, items, line, reason) in [
            ("[", 0, 1, "the array has no end"),
            ("[{},\n", 1, 2, "the array has no end"),
            ("[{},\n{\"a\":\n1", 1, 2, "the array has no end"),
            ("[{},\n\n12", 1, 3, "the array has no end"),
            ("[{}\n{}]", 1, 2, "a comma or ']' is missing"),
            ("[{},\n]", 1, 2, "a value is missing"),
            ("[,{}]", 0, 1, "a value is missing"),
            ("[{}]\n{}", 1, 2, "there is text after the end of the array"),
        ] {
            let (found, broken) = all(input.as_bytes(), 1000);
            assert_eq!((found.len(), broken), (items, Some((line, reason))), "{input:?}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_or_not_utf8_costs_only_itself() {
        for input in
            [&b"{}\n{\"a\":\"\xff\"}\n{\"a\":1234567890}\n{}"[..], b"[{},\n{\"a\":\"\xff\"},\n{\"a\":1234567890},\n{}]"]
        {
            let (items, broken) = all(input, 12);
            assert_eq!(broken, None);
            assert_eq!(items[0], (1, Ok("{}".to_owned())));
            assert_eq!(items[1], (2, Err("not UTF-8 at byte 6".to_owned())));
            assert_eq!(items[2], (3, Err("the text has 16 bytes and the limit is 12".to_owned())));
            assert_eq!(items[3].1, Ok("{}".to_owned()));
            assert_eq!(items.len(), 4);
        }
    }
}
