//! Options by name, for languages that pass them so: one place says what they are called and what they take.

use nyro::{Durability, Error, Options, ReadMode, Result};

/// A value of an option, as a language gives it.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
    /// As if it had not been given.
    Unset,
}

/// The names of all options.
pub const NAMES: &[&str] = &[
    "create",
    "read_only",
    "durability",
    "interval_ms",
    "cache_bytes",
    "log_max_bytes",
    "writer_timeout_ms",
    "max_document_bytes",
    "read_mode",
    "snapshot_max_age_ms",
    "allow_network_file_system",
];

/// Sets one option. `durability` is `"sync"`, `"manual"` or `"interval"`; a number there, or `interval_ms`, is the
/// interval in milliseconds. `read_mode` is `"mapped"` or `"pread"`. Error: `InvalidArgument`, which names the option.
pub fn set(options: &mut Options, name: &str, value: &Setting) -> Result<()> {
    if *value == Setting::Unset && NAMES.contains(&name) {
        return Ok(());
    }
    match name {
        "create" => options.create = boolean(name, value)?,
        "read_only" => options.read_only = boolean(name, value)?,
        "durability" => options.durability = durability(value)?,
        "interval_ms" => options.durability = Durability::Interval(whole(name, value)?),
        "cache_bytes" => options.cache_bytes = whole(name, value)?,
        "log_max_bytes" => options.log_max_bytes = whole(name, value)?,
        "writer_timeout_ms" => options.writer_timeout_ms = whole(name, value)?,
        "max_document_bytes" => options.max_document_bytes = whole(name, value)?,
        "read_mode" => options.read_mode = read_mode(value)?,
        "snapshot_max_age_ms" => options.snapshot_max_age_ms = Some(whole(name, value)?),
        "allow_network_file_system" => options.allow_network_file_system = boolean(name, value)?,
        _ => return Err(wrong(format!("there is no option {name:?}; the options are {}", NAMES.join(", ")))),
    }
    Ok(())
}

/// Milliseconds between syncs where the caller asks for intervals and does not say which.
pub const DEFAULT_INTERVAL_MS: u64 = 100;

fn durability(value: &Setting) -> Result<Durability> {
    match value {
        Setting::Text(text) => match text.as_str() {
            "sync" => Ok(Durability::Sync),
            "manual" => Ok(Durability::Manual),
            "interval" => Ok(Durability::Interval(DEFAULT_INTERVAL_MS)),
            other => Err(wrong(format!("durability {other:?} is none of \"sync\", \"interval\" and \"manual\""))),
        },
        Setting::Int(_) => Ok(Durability::Interval(whole("durability", value)?)),
        _ => Err(wrong("durability must be \"sync\", \"manual\" or an interval in milliseconds".to_owned())),
    }
}

fn read_mode(value: &Setting) -> Result<ReadMode> {
    match value {
        Setting::Text(text) if text == "mapped" => Ok(ReadMode::Mapped),
        Setting::Text(text) if text == "pread" => Ok(ReadMode::Pread),
        _ => Err(wrong("read_mode must be \"mapped\" or \"pread\"".to_owned())),
    }
}

fn boolean(name: &str, value: &Setting) -> Result<bool> {
    match value {
        Setting::Bool(value) => Ok(*value),
        _ => Err(wrong(format!("{name} must be true or false"))),
    }
}

fn whole(name: &str, value: &Setting) -> Result<u64> {
    match value {
        Setting::Int(value) => u64::try_from(*value).map_err(|_| wrong(format!("{name} must not be negative"))),
        _ => Err(wrong(format!("{name} must be a whole number"))),
    }
}

fn wrong(what: String) -> Error {
    Error::InvalidArgument(what)
}
