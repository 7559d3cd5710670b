//! A line of `UnicodeData.txt` as a document.
//!
//! ```text
//!   00BD;VULGAR FRACTION ONE HALF;No;0;ON;<fraction> 0031 2044 0032;;;1/2;N;FRACTION ONE HALF;;;;
//!   -> {"_id":189,"character":"½","name":"VULGAR FRACTION ONE HALF","category":"No",...}
//! ```
//!
//! The fields are those of UAX #44. Surrogates have code points and no character.

use serde::{Deserialize, Serialize};

/// One code point of the Unicode Character Database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Character {
    /// The code point.
    #[serde(rename = "_id")]
    pub code_point: u32,
    /// The character itself.
    pub character: Option<char>,
    /// Its name.
    pub name: String,
    /// General category, such as `Lu`.
    pub category: String,
    /// Canonical combining class.
    pub combining_class: u8,
    /// Bidirectional class, such as `L`.
    pub bidi_class: String,
    /// What it decomposes into, if it does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decomposition: Option<Decomposition>,
    /// Its numeric value, such as `1/2`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub numeric_value: Option<String>,
    /// Whether it is mirrored in right-to-left text.
    pub mirrored: bool,
    /// The capital letter, as a code point.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uppercase: Option<u32>,
    /// The small letter, as a code point.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lowercase: Option<u32>,
    /// The title-case letter, as a code point.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub titlecase: Option<u32>,
}

/// How a character decomposes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decomposition {
    /// `canonical`, or the tag of a compatibility decomposition, such as `fraction`.
    pub kind: String,
    /// The code points.
    pub into: Vec<u32>,
}

impl Character {
    /// Reads one line; the error names the field that is wrong.
    pub fn parse(line: &str) -> Result<Character, String> {
        let fields: Vec<&str> = line.split(';').collect();
        if fields.len() != 15 {
            return Err(format!("{} fields instead of 15: {line}", fields.len()));
        }
        let code_point = hex(fields[0])?;
        Ok(Character {
            code_point,
            character: char::from_u32(code_point),
            name: fields[1].to_owned(),
            category: fields[2].to_owned(),
            combining_class: fields[3].parse().map_err(|_| format!("combining class {:?}", fields[3]))?,
            bidi_class: fields[4].to_owned(),
            decomposition: decomposition(fields[5])?,
            numeric_value: Some(fields[8].to_owned()).filter(|v| !v.is_empty()),
            mirrored: fields[9] == "Y",
            uppercase: mapping(fields[12])?,
            lowercase: mapping(fields[13])?,
            titlecase: mapping(fields[14])?,
        })
    }
}

fn hex(field: &str) -> Result<u32, String> {
    u32::from_str_radix(field, 16).map_err(|_| format!("code point {field:?}"))
}

fn mapping(field: &str) -> Result<Option<u32>, String> {
    if field.is_empty() {
        return Ok(None);
    }
    hex(field).map(Some)
}

/// `0041 030A` or `<fraction> 0031 2044 0032`.
fn decomposition(field: &str) -> Result<Option<Decomposition>, String> {
    if field.is_empty() {
        return Ok(None);
    }
    let (kind, points) = match field.strip_prefix('<').and_then(|f| f.split_once('>')) {
        Some((kind, points)) => (kind, points),
        None => ("canonical", field),
    };
    let into = points.split_whitespace().map(hex).collect::<Result<_, _>>()?;
    Ok(Some(Decomposition { kind: kind.to_owned(), into }))
}
