//! Extended JSON text to values.
//!
//! ```text
//!   { "name" : value , ... }      an object; its first name decides
//!   { "$date" : ... }             a typed value: nothing else may stand in the object
//!   { "$$date" : ... }            an object with a field "$date"
//! ```
//!
//! Recursion is bounded by the levels of a document. Typed values hold scalars only and are read without
//! recursion, so they add no level.

use super::super::{Document, Timestamp, Value, MAX_DOCUMENT_DEPTH};
use super::{base64, WORDS};
use crate::error::{Error, Result};

/// Reads one object and nothing else.
pub(crate) fn parse_document(text: &str) -> Result<Document> {
    match parse_value(text)? {
        Value::Document(document) => Ok(document),
        other => Err(Error::Serialization(format!("a document is a JSON object, and this is {other}"))),
    }
}

/// Reads one value and nothing else.
pub(crate) fn parse_value(text: &str) -> Result<Value> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(1).and_then(|value| match parser.peek() {
        None => Ok(value),
        Some(_) => parser.fail("text follows the end of the value"),
    });
    value.map_err(|refusal| match refusal {
        Refusal::TooDeep => Error::DocumentTooDeep { limit: MAX_DOCUMENT_DEPTH },
        Refusal::Text { at, reason } => {
            let before = &text.as_bytes()[..at.min(text.len())];
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            let column = 1 + before.iter().rev().take_while(|&&byte| byte != b'\n').count();
            Error::Serialization(format!("JSON at line {line} column {column}: {reason}"))
        }
    })
}

enum Refusal {
    TooDeep,
    Text { at: usize, reason: String },
}

type Parsed<T> = std::result::Result<T, Refusal>;

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn fail<T>(&self, reason: impl Into<String>) -> Parsed<T> {
        fail_at(self.at, reason)
    }

    /// The next byte that is not white space; the position is on it.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += blanks;
        rest.get(blanks).copied()
    }

    /// Passes over `byte` if it is next.
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, reason: &str) -> Parsed<()> {
        if self.eat(byte) {
            return Ok(());
        }
        self.fail(reason)
    }

    /// Reads a value; an array or object is at level `level`.
    fn value(&mut self, level: u32) -> Parsed<Value> {
        match self.peek() {
            Some(b'[') => self.array(level).map(Value::Array),
            Some(b'{') => self.object(level),
            _ => self.scalar(),
        }
    }

    /// Reads a value that is no array and no object.
    fn scalar(&mut self) -> Parsed<Value> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(_) => self.fail("a value was expected"),
            None => self.fail("the text ends where a value was expected"),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Parsed<Value> {
        if !self.text[self.at..].starts_with(word) {
            return self.fail("a value was expected");
        }
        self.at += word.len();
        Ok(value)
    }

    fn array(&mut self, level: u32) -> Parsed<Vec<Value>> {
        check_level(level)?;
        self.at += 1;
        let mut elements = Vec::new();
        if self.eat(b']') {
            return Ok(elements);
        }
        loop {
            elements.push(self.value(level + 1)?);
            if self.eat(b']') {
                return Ok(elements);
            }
            self.expect(b',', "',' or ']' was expected")?;
        }
    }

    fn object(&mut self, level: u32) -> Parsed<Value> {
        self.at += 1;
        let mut document = Document::new();
        if self.eat(b'}') {
            check_level(level)?;
            return Ok(Value::Document(document));
        }
        loop {
            let (name_at, name) = self.name()?;
            if WORDS.contains(&name.as_str()) {
                if !document.is_empty() {
                    return fail_at(name_at, not_alone(&name));
                }
                return self.typed(name_at, &name);
            }
            check_level(level)?;
            let name = if name.starts_with("$$") { name[1..].to_owned() } else { name };
            let value = self.value(level + 1)?;
            if document.contains_key(&name) {
                return fail_at(name_at, format!("the name {name:?} is in the object twice"));
            }
            document.insert(name, value);
            if self.eat(b'}') {
                return Ok(Value::Document(document));
            }
            self.expect(b',', "',' or '}' was expected")?;
        }
    }

    /// Reads a name and the colon; also gives where the name stands.
    fn name(&mut self) -> Parsed<(usize, String)> {
        if self.peek() != Some(b'"') {
            return self.fail("a name in double quotes was expected");
        }
        let at = self.at;
        let name = self.string()?;
        self.expect(b':', "':' was expected")?;
        Ok((at, name))
    }

    /// Reads a string; the position is on its first quote.
    fn string(&mut self) -> Parsed<String> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = rest.iter().take_while(|&&byte| byte >= 0x20 && byte != b'"' && byte != b'\\').count();
            string.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain;
            match rest.get(plain) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape()?),
                Some(_) => return self.fail("a control character in a string must be escaped"),
                None => return self.fail("the text ends inside a string"),
            }
        }
    }

    /// Reads an escape; the position is on its backslash.
    fn escape(&mut self) -> Parsed<char> {
        let start = self.at;
        self.at += 2;
        Ok(match self.text.as_bytes().get(start + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            _ => return fail_at(start, "unknown escape in a string"),
        })
    }

    /// Reads `XXXX` or `XXXX\uXXXX` behind a `\u`.
    fn unicode_escape(&mut self, start: usize) -> Parsed<char> {
        let first = self.hex4(start)?;
        let mut code = first;
        if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            self.at += 2;
            let second = self.hex4(start)?;
            if (0xdc00..0xe000).contains(&second) {
                code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            }
        }
        char::from_u32(code).map_or_else(|| fail_at(start, "a lone surrogate is not text"), Ok)
    }

    fn hex4(&mut self, start: usize) -> Parsed<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).unwrap_or_default();
        let code = digits.iter().try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?));
        match code {
            Some(code) if digits.len() == 4 => {
                self.at += 4;
                Ok(code)
            }
            _ => fail_at(start, "\\u needs four hexadecimal digits"),
        }
    }

    fn number(&mut self) -> Parsed<Value> {
        let start = self.at;
        self.at += usize::from(self.text.as_bytes()[start] == b'-');
        let leading_zero = self.text.as_bytes().get(self.at) == Some(&b'0');
        if self.digits()? > 1 && leading_zero {
            return fail_at(start, "a number begins with 0");
        }
        let mut integer = true;
        if self.text.as_bytes().get(self.at) == Some(&b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.text.as_bytes().get(self.at), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            self.at += usize::from(matches!(self.text.as_bytes().get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        let digits = &self.text[start..self.at];
        let value = if integer { parse_integer(digits) } else { parse_float(digits) };
        value.map_or_else(|reason| fail_at(start, reason), Ok)
    }

    /// Passes over at least one digit and counts them.
    fn digits(&mut self) -> Parsed<usize> {
        let count = self.text.as_bytes()[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return self.fail("a digit was expected");
        }
        self.at += count;
        Ok(count)
    }

    /// Reads the value behind the name of a type, and the end of its object.
    fn typed(&mut self, at: usize, word: &str) -> Parsed<Value> {
        let value = match word {
            "$binary" | "$ext" => {
                let members = self.members(word)?;
                bytes_value(word, members)
            }
            "$date" if self.peek() == Some(b'{') => match self.members(word)?.pop() {
                Some((name, value)) if name == "$numberLong" => {
                    scalar_value("$numberLong", value).and_then(|millis| scalar_value("$date", millis))
                }
                _ => Err("an object here is {\"$numberLong\": milliseconds}".to_owned()),
            },
            _ => {
                let scalar = self.scalar()?;
                scalar_value(word, scalar)
            }
        };
        let value = value.or_else(|reason| {
            fail_at(at, format!("{word:?}: {reason} (a field of that name is written \"${word}\")"))
        })?;
        if !self.eat(b'}') {
            return fail_at(at, not_alone(word));
        }
        Ok(value)
    }

    /// Reads the object of scalars that stands inside a typed value.
    fn members(&mut self, word: &str) -> Parsed<Vec<(String, Value)>> {
        self.expect(b'{', &format!("an object was expected behind {word:?}"))?;
        let mut members: Vec<(String, Value)> = Vec::new();
        loop {
            let (at, name) = self.name()?;
            if members.len() == 2 || members.iter().any(|(other, _)| *other == name) {
                return fail_at(at, format!("unexpected {name:?} inside {word:?}"));
            }
            members.push((name, self.scalar()?));
            if self.eat(b'}') {
                return Ok(members);
            }
            self.expect(b',', "',' or '}' was expected")?;
        }
    }
}

fn fail_at<T>(at: usize, reason: impl Into<String>) -> Parsed<T> {
    Err(Refusal::Text { at, reason: reason.into() })
}

fn check_level(level: u32) -> Parsed<()> {
    if level > MAX_DOCUMENT_DEPTH {
        return Err(Refusal::TooDeep);
    }
    Ok(())
}

fn not_alone(word: &str) -> String {
    format!("{word:?} stands for a type and must be alone in its object; a field of that name is written \"${word}\"")
}

fn parse_integer(digits: &str) -> std::result::Result<Value, String> {
    if let Ok(value) = digits.parse::<i64>() {
        return Ok(Value::Int(value));
    }
    match digits.parse::<u64>() {
        Ok(value) => Ok(Value::UInt(value)),
        Err(_) => Err(format!(
            "the integer {digits:.40} does not fit 64 bits; write it as a string, or with a decimal point as a float"
        )),
    }
}

fn parse_float(digits: &str) -> std::result::Result<Value, String> {
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Value::Float(value)),
        _ => Err(format!("the number {digits:.40} is larger than any float")),
    }
}

/// The value of a type that is written as one scalar.
fn scalar_value(word: &str, scalar: Value) -> std::result::Result<Value, String> {
    match (word, scalar) {
        ("$numberInt", Value::String(text)) => {
            text.parse::<i32>().map(Value::from).map_err(|_| "not an integer of 32 bits".to_owned())
        }
        ("$numberLong", Value::String(text)) => {
            text.parse::<i64>().map(Value::from).map_err(|_| "not an integer of 64 bits".to_owned())
        }
        ("$numberInt" | "$numberLong", Value::Int(value)) => Ok(Value::Int(value)),
        ("$numberDouble", Value::String(text)) => double(&text),
        ("$numberDouble", Value::Float(value)) => Ok(Value::Float(value)),
        ("$date", Value::String(text)) => Timestamp::parse(&text).map(Value::Timestamp).map_err(str::to_owned),
        ("$date", Value::Int(millis)) => Ok(Value::Timestamp(Timestamp::from_millis(millis))),
        ("$oid", Value::String(text)) => hex(&text, 12),
        ("$uuid", Value::String(text)) => {
            let dashes = text.char_indices().all(|(at, char)| (char == '-') == matches!(at, 8 | 13 | 18 | 23));
            if dashes {
                hex(&text.replace('-', ""), 16)
            } else {
                Err("not a UUID".to_owned())
            }
        }
        ("$numberInt" | "$numberLong" | "$numberDouble" | "$date" | "$oid" | "$uuid", _) => {
            Err("a value of another JSON type was expected".to_owned())
        }
        _ => Err("this type is not supported".to_owned()),
    }
}

fn double(text: &str) -> std::result::Result<Value, String> {
    let value = match text {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => value,
            _ => return Err("not a number".to_owned()),
        },
    };
    Ok(Value::Float(value))
}

fn hex(digits: &str, len: usize) -> std::result::Result<Value, String> {
    let wrong = || format!("{} hexadecimal digits were expected", 2 * len);
    if digits.len() != 2 * len || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong());
    (0..digits.len()).step_by(2).map(byte).collect::<std::result::Result<Vec<u8>, _>>().map(Value::Binary)
}

/// The value of `$binary` or `$ext`.
fn bytes_value(word: &str, members: Vec<(String, Value)>) -> std::result::Result<Value, String> {
    let (mut bytes, mut code) = (None, None);
    for (name, value) in members {
        match (name.as_str(), value) {
            ("base64", Value::String(text)) => bytes = Some(base64::decode(&text).ok_or("not Base64")?),
            ("subType", Value::String(text)) if word == "$binary" => {
                code =
                    Some(u8::from_str_radix(&text, 16).map_err(|_| "subType is not one or two hexadecimal digits")?
                        as i8);
            }
            ("type", Value::Int(number)) if word == "$ext" => {
                code = Some(i8::try_from(number).map_err(|_| "the type is not from -128 to 127")?);
            }
            _ => return Err(format!("unexpected {name:?}")),
        }
    }
    match (word, bytes, code) {
        ("$binary", Some(bytes), _) => Ok(Value::Binary(bytes)),
        ("$ext", Some(bytes), Some(-1)) => {
            Timestamp::from_ext(&bytes).map(Value::Timestamp).ok_or_else(|| "not the bytes of a timestamp".to_owned())
        }
        ("$ext", Some(bytes), Some(code)) => Ok(Value::Ext(code, bytes)),
        _ => Err("base64 or type is missing".to_owned()),
    }
}
