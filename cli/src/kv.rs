//! `nyro kv`: keyspaces, key by key and as a whole.
//!
//! ```text
//!   command line    ada          --hex 616461        text, or hexadecimal digits
//!   scan            ada \t 36                        what is no plain text is escaped, or --hex
//!   JSON            {"key":"ada","value":"36"}       key_hex and value_hex for bytes that are no UTF-8
//! ```

use std::io::{self, Read, Write};
use std::ops::Bound;

use nyro::{Database, Error, KeyspaceRange, DEFAULT_MAX_DOCUMENT_BYTES};
use serde_json::{json, Map, Value};

use crate::args::{Kv, KvDelete, KvExport, KvGet, KvImport, KvPut, KvScan, KvVerb};
use crate::documents::Out;
use crate::export::export;
use crate::import::{import, one_by_one, Items, Order, Written};
use crate::report::{Failure, Noun, Result, KEYS};

/// Runs `nyro kv`.
pub fn run(args: &Kv, json: bool) -> Result<()> {
    match &args.verb {
        KvVerb::Get(args) => get(args, json),
        KvVerb::Put(args) => put(args, json),
        KvVerb::Delete(args) => delete(args, json),
        KvVerb::Scan(args) => scan(args, json),
        KvVerb::Import(args) => {
            let (path, name) = (&args.target.path, &args.target.keyspace);
            let KvImport { file, skip_bad, writing, .. } = args;
            let order = Order { path, name, file: file.as_ref(), skip_bad: *skip_bad, writing };
            import(&Entries { keyspace: name }, &order, json)
        }
        KvVerb::Export(args) => write_all(args, json),
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The bytes that hexadecimal digits stand for.
fn bytes_of_hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| (*byte as char).to_digit(16).map(|digit| digit as u8);
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?)).collect()
}

/// A key or value of the command line.
fn argument(text: &str, in_hex: bool) -> Result<Vec<u8>> {
    match in_hex {
        false => Ok(text.as_bytes().to_vec()),
        true => bytes_of_hex(text).ok_or_else(|| Failure::NotHex(text.to_owned())),
    }
}

/// A key or value for people, in one line that can be told back: see the help of `scan`.
pub fn shown(bytes: &[u8], in_hex: bool) -> String {
    if in_hex {
        return hex(bytes);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\t' => text.push_str("\\t"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\\' => text.push_str("\\\\"),
                // The others that move the cursor, or do worse to a terminal.
                char if char.is_control() => {
                    char.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
                }
                char => text.push(char),
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// Adds bytes to an object, as a text if they are one.
fn field(object: &mut Map<String, Value>, name: &str, bytes: &[u8], in_hex: bool) {
    match std::str::from_utf8(bytes) {
        Ok(text) if !in_hex => object.insert(name.to_owned(), json!(text)),
        _ => object.insert(format!("{name}_hex"), json!(hex(bytes))),
    };
}

/// An entry as JSON.
fn entry(key: &[u8], value: Option<&[u8]>, in_hex: bool) -> String {
    let mut object = Map::new();
    field(&mut object, "key", key, in_hex);
    if let Some(value) = value {
        field(&mut object, "value", value, in_hex);
    }
    Value::Object(object).to_string()
}

fn missing(keyspace: &str, keys: Vec<String>) -> Result<()> {
    match keys.is_empty() {
        true => Ok(()),
        false => Err(Failure::NoKey { keyspace: keyspace.to_owned(), keys }),
    }
}

/// How a key is named in a message.
fn named(key: &str, in_hex: bool) -> String {
    if in_hex {
        key.to_owned()
    } else {
        format!("{key:?}")
    }
}

fn get(args: &KvGet, json: bool) -> Result<()> {
    let (target, in_hex) = (&args.target, args.form.hex);
    let key = argument(&args.key, in_hex)?;
    let db = crate::open_to_look(&target.path)?;
    let value = db.keyspace(&target.keyspace).get(&key)?;
    db.close()?;
    let Some(value) = value else { return missing(&target.keyspace, vec![named(&args.key, in_hex)]) };
    let mut out = Out::new();
    match (json, args.raw, in_hex) {
        (true, ..) => out.line(&entry(&key, Some(&value), in_hex))?,
        (_, true, _) => out.bytes(&value)?,
        (_, _, true) => out.line(&hex(&value))?,
        _ => {
            out.bytes(&value)?;
            out.text("\n")?;
        }
    }
    out.flush()
}

fn put(args: &KvPut, json: bool) -> Result<()> {
    let key = argument(&args.key, args.form.hex)?;
    let value = match args.value.as_str() {
        "-" => read_stdin()?,
        text => argument(text, args.form.hex)?,
    };
    let db = crate::open_to_write(&args.target.path, true, args.writing.durability.0)?;
    db.keyspace(&args.target.keyspace).put(&key, &value)?;
    db.close()?;
    if json {
        let mut out = Out::new();
        out.line(&entry(&key, None, args.form.hex))?;
        out.flush()?;
    }
    Ok(())
}

fn read_stdin() -> Result<Vec<u8>> {
    let limit = DEFAULT_MAX_DOCUMENT_BYTES as u64;
    let mut value = Vec::new();
    io::stdin().lock().take(limit + 1).read_to_end(&mut value).map_err(|e| Failure::read(None, e))?;
    if value.len() as u64 > limit {
        return Err(Error::ValueTooLarge { bytes: value.len() as u64, limit }.into());
    }
    Ok(value)
}

type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The first key above all that begin with a prefix, if there is one.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte < 0xff)?;
    let mut after = prefix[..=kept].to_vec();
    after[kept] += 1;
    Some(after)
}

fn prefix_range(prefix: Vec<u8>) -> Range {
    let end = after_prefix(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(prefix), end)
}

fn delete(args: &KvDelete, json: bool) -> Result<()> {
    let in_hex = args.form.hex;
    let parse = |text: &String| argument(text, in_hex);
    let keys: Vec<Vec<u8>> = args.keys.iter().map(parse).collect::<Result<_>>()?;
    let range: Option<Range> = match (&args.range, &args.prefix) {
        (Some(range), _) => {
            let bound = |at: usize| range.get(at).map(parse).transpose();
            Some((
                bound(0)?.map_or(Bound::Unbounded, Bound::Included),
                bound(1)?.map_or(Bound::Unbounded, Bound::Excluded),
            ))
        }
        (_, Some(prefix)) => Some(prefix_range(parse(prefix)?)),
        _ => None,
    };
    let db = crate::open_to_write(&args.target.path, false, args.writing.durability.0)?;
    let mut not_found = Vec::new();
    let done = match range {
        Some(range) => {
            // To delete a range makes the keyspace, too: a misspelt name is an error.
            crate::require_keyspace(&db, &args.target.keyspace)?;
            db.keyspace(&args.target.keyspace).delete_range(range)?;
            json!({ "range_deleted": true })
        }
        None => {
            let deleted;
            (deleted, not_found) = delete_keys(&db, args, &keys)?;
            json!({ "deleted": deleted })
        }
    };
    db.close()?;
    if json {
        let mut out = Out::new();
        out.line(&done.to_string())?;
        out.flush()?;
    }
    missing(&args.target.keyspace, not_found)
}

/// Deletes keys in one transaction; gives how many were there, and which were not.
fn delete_keys(db: &Database, args: &KvDelete, keys: &[Vec<u8>]) -> Result<(u64, Vec<String>)> {
    Ok(db.write(|tx| {
        let keyspace = tx.keyspace(&args.target.keyspace);
        let (mut deleted, mut not_found) = (0u64, Vec::new());
        for (key, text) in keys.iter().zip(&args.keys) {
            if keyspace.contains(key)? {
                keyspace.delete(key)?;
                deleted += 1;
            } else {
                not_found.push(named(text, args.form.hex));
            }
        }
        Ok((deleted, not_found))
    })?)
}

/// The keys that are asked for.
fn range_of(db: &Database, args: &KvScan) -> Result<KeyspaceRange> {
    let parse = |text: &Option<String>| text.as_ref().map(|text| argument(text, args.form.hex)).transpose();
    let (prefix, from, to) = (parse(&args.prefix)?, parse(&args.from)?, parse(&args.to)?);
    let keyspace = db.keyspace(&args.target.keyspace);
    let start = from.clone().map_or(Bound::Unbounded, Bound::Included);
    let end = to.clone().map_or(Bound::Unbounded, Bound::Excluded);
    let whole = keyspace.range((start, end))?;
    let Some(prefix) = prefix else { return Ok(whole) };
    let behind = after_prefix(&prefix);
    let start = from.into_iter().chain([prefix]).max().unwrap_or_default();
    let end = to.into_iter().chain(behind).min();
    // Where the bounds leave nothing of the prefix, the range is empty and no error.
    let end = end.map_or(Bound::Unbounded, |end| Bound::Excluded(end.max(start.clone())));
    Ok(keyspace.range((Bound::Included(start), end))?)
}

fn scan(args: &KvScan, json: bool) -> Result<()> {
    let db = crate::open_to_look(&args.target.path)?;
    crate::require_keyspace(&db, &args.target.keyspace)?;
    let mut range = range_of(&db, args)?;
    let (limit, in_hex) = (args.limit.unwrap_or(u64::MAX), args.form.hex);
    let mut out = Out::new();
    let (mut printed, mut last) = (0, None);
    out.text(if json { "{\"entries\":[" } else { "" })?;
    // The entry behind the last one, or the last one itself where a scan backward goes on before it.
    let next = loop {
        let step = if args.reverse { range.next_entry_back()? } else { range.next_entry()? };
        let Some((key, value)) = step else { break None };
        if printed == limit {
            break if args.reverse { last } else { Some(key.to_vec()) };
        }
        let value = (!args.keys).then_some(value);
        if json {
            out.text(if printed == 0 { "\n" } else { ",\n" })?;
            out.text(&entry(key, value, in_hex))?;
        } else {
            out.text(&shown(key, in_hex))?;
            if let Some(value) = value {
                out.text("\t")?;
                out.text(&shown(value, in_hex))?;
            }
            out.text("\n")?;
        }
        printed += 1;
        if printed == limit && args.reverse {
            last = Some(key.to_vec());
        }
    };
    if json {
        let next = next.as_ref().map_or("null".to_owned(), |next| entry(next, None, in_hex));
        out.line(&format!("\n],\"next\":{next}}}"))?;
    }
    out.flush()?;
    if let (Some(next), false) = (next, json) {
        let bound = if args.reverse { "--to" } else { "--from" };
        let _ = writeln!(io::stderr(), "more follow; go on with {}", bound_argument(bound, &next, in_hex));
    }
    drop(range);
    Ok(db.close()?)
}

/// An option that a shell reads as it is meant.
fn bound_argument(option: &str, key: &[u8], in_hex: bool) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.:/@,+=%".contains(byte);
    match std::str::from_utf8(key) {
        Ok(text) if !in_hex && key.iter().all(plain) && !key.is_empty() => format!("{option}={text}"),
        Ok(text) if !in_hex && !text.contains(char::is_control) => {
            format!("{option}='{}'", text.replace('\'', r"'\''"))
        }
        _ if in_hex => format!("{option}={}", hex(key)),
        _ => format!("{option}={}, all keys in --hex", hex(key)),
    }
}

/// Keys and values of a keyspace, to import.
struct Entries<'a> {
    keyspace: &'a str,
}

impl Items for Entries<'_> {
    type Item = (Vec<u8>, Vec<u8>);
    const NOUN: Noun = KEYS;

    fn parse(&self, text: &str) -> Result<(Vec<u8>, Vec<u8>), String> {
        let object: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
        let Value::Object(object) = object else {
            return Err("not an object like {\"key\": \"...\", \"value\": \"...\"}".to_owned());
        };
        let known = ["key", "key_hex", "value", "value_hex"];
        if let Some(name) = object.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("there is a field {name:?}; known are {}", known.join(", ")));
        }
        Ok((bytes_of(&object, "key")?, bytes_of(&object, "value")?))
    }

    fn write(&self, db: &Database, batch: &[(u64, Self::Item)], skip_bad: bool) -> Result<Written, Error> {
        db.write(|tx| {
            let keyspace = tx.keyspace(self.keyspace);
            one_by_one(batch, skip_bad, |(key, value)| keyspace.put(key, value))
        })
    }
}

/// The key or the value of an object.
fn bytes_of(object: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    let in_hex = format!("{name}_hex");
    match (object.get(name), object.get(&in_hex)) {
        (Some(Value::String(text)), None) => Ok(text.as_bytes().to_vec()),
        (None, Some(Value::String(digits))) => {
            bytes_of_hex(digits).ok_or_else(|| format!("{in_hex} is not an even number of hexadecimal digits"))
        }
        (None, None) => Err(format!("there is neither {name} nor {in_hex}")),
        (Some(_), Some(_)) => Err(format!("there are both {name} and {in_hex}; leave one out")),
        _ => Err(format!("{name} is not a string")),
    }
}

fn write_all(args: &KvExport, json: bool) -> Result<()> {
    let db = crate::open_to_look(&args.target.path)?;
    crate::require_keyspace(&db, &args.target.keyspace)?;
    export(args.output.as_deref(), args.array, KEYS, json, |out| {
        let mut range = db.keyspace(&args.target.keyspace).iter()?;
        while let Some((key, value)) = range.next_entry()? {
            out.item(&entry(key, Some(value), false))?;
        }
        Ok(())
    })?;
    Ok(db.close()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_read_back_and_nothing_else_does() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes_of_hex(&hex(&all)), Some(all));
        assert_eq!(bytes_of_hex("FFaB"), Some(vec![0xff, 0xab]));
        assert_eq!(bytes_of_hex(""), Some(Vec::new()));
        for bad in ["f", "fff", "0x00", "g0", "+1", " 00", "é"] {
            assert_eq!(bytes_of_hex(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_shown_stays_in_its_line_and_can_be_told_back() {
        assert_eq!(shown("ada é 日".as_bytes(), false), "ada é 日");
        assert_eq!(shown(b"a\tb\nc\rd\\e\x1b[2J\x00\xff\xc3", false), "a\\tb\\nc\\rd\\\\e\\x1b[2J\\x00\\xff\\xc3");
        assert_eq!(shown("\u{9b}".as_bytes(), false), "\\xc2\\x9b");
        assert_eq!(shown(b"ada", true), "616461");
    }

    #[test]
    fn the_end_of_a_prefix_is_the_first_key_above_it() {
        assert_eq!(after_prefix(b"a"), Some(b"b".to_vec()));
        assert_eq!(after_prefix(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(after_prefix(b"\xff"), None);
        assert_eq!(after_prefix(b""), None);
    }

    #[test]
    fn a_bound_is_told_as_a_shell_reads_it() {
        assert_eq!(bound_argument("--from", b"user:1", false), "--from=user:1");
        assert_eq!(bound_argument("--from", b"it's", false), "--from='it'\\''s'");
        assert_eq!(bound_argument("--to", b"\xff", true), "--to=ff");
        assert_eq!(bound_argument("--to", b"\xff", false), "--to=ff, all keys in --hex");
    }
}
