//! The numbers of errors stand in three places: the comment at each variant, `Error::code`, and the table
//! in `docs/errors.md`. Here they are compared, all of them, by reading the three texts.

use std::collections::BTreeMap;

/// Name -> number.
type Numbers = BTreeMap<String, u32>;

/// The part of `text` from `start` up to the next `end`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).unwrap_or_else(|| panic!("{start:?} not found"));
    let rest = &text[from..];
    &rest[..rest.find(end).unwrap_or(rest.len())]
}

/// `/// 205: ...` followed by the name of the variant.
fn in_comments(source: &str) -> Numbers {
    let mut numbers = Numbers::new();
    let mut number = None;
    for line in between(source, "pub enum Error {", "\nimpl Error").lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("/// ") {
            number = number.or(comment.split(':').next().and_then(|n| n.parse().ok()));
        } else if let Some(number) = number.take() {
            let name: String = line.chars().take_while(|c| c.is_alphanumeric()).collect();
            numbers.insert(name, number);
        }
    }
    numbers
}

/// `Error::DuplicateId { .. } => 205,`
fn in_code(source: &str) -> Numbers {
    between(source, "pub fn code(&self)", "\n    }\n")
        .lines()
        .filter_map(|line| {
            let (variant, number) = line.trim().strip_prefix("Error::")?.split_once("=>")?;
            let name = variant.chars().take_while(|c| c.is_alphanumeric()).collect();
            Some((name, number.trim().trim_end_matches(',').parse().ok()?))
        })
        .collect()
}

/// `| 205 | DuplicateId | Exists | ... |`
fn in_table(text: &str) -> Numbers {
    text.lines()
        .filter_map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let number = cells.next()?.parse().ok()?;
            Some((cells.next()?.to_owned(), number))
        })
        .collect()
}

#[test]
fn the_table_of_error_numbers_says_what_the_code_says() {
    let source = crate::read("core/src/error.rs");
    let code = in_code(&source);
    assert!(code.len() >= 30, "only {} numbers found in Error::code", code.len());
    let none: [(&String, &u32); 0] = [];
    assert_eq!(differences(&in_comments(&source), &code), none, "comments of the variants and Error::code differ");
    assert_eq!(
        differences(&in_table(&crate::read("docs/errors.md")), &code),
        none,
        "docs/errors.md and Error::code differ"
    );
}

/// What only one of the two has.
fn differences<'a>(a: &'a Numbers, b: &'a Numbers) -> Vec<(&'a String, &'a u32)> {
    let only = |a: &'a Numbers, b: &'a Numbers| a.iter().filter(|(name, number)| b.get(*name) != Some(*number));
    only(a, b).chain(only(b, a)).collect()
}

#[test]
fn no_error_number_is_given_twice() {
    let code = in_code(&crate::read("core/src/error.rs"));
    let mut numbers: Vec<u32> = code.values().copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), code.len());
}
