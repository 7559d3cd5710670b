//! A folder of `core/src` is a layer and imports from the layers below it only.
//!
//! ```text
//!   5  database, collection, snapshot, ... and lib.rs     what users touch
//!   4  engine
//!   3  sorted
//!   2  log  record  hash            document: record::key and error only; used by 5 only
//!   1  file
//!   0  control  error  sync  env  events  fork  int_map  memory  meter  plant  signal
//! ```
//!
//! The check reads the sources: every path that begins with `crate::`, and every chain of `super::` that
//! climbs to the root of the crate, in `use` lines and in code alike. A name that `lib.rs` re-exports
//! counts as the module it comes from. `testing` may import all, and so may tests: what stands under
//! `#[cfg(test)]`, and files called `tests`.

use std::collections::BTreeMap;
use std::path::Path;

/// Height of a module at the top level of the crate.
fn height(module: &str) -> u32 {
    match module {
        "control" | "error" | "sync" | "env" | "env_sim" | "events" | "fork" | "int_map" | "memory" | "meter"
        | "plant" | "signal" => 0,
        "file" => 1,
        "log" | "record" | "hash" => 2,
        "sorted" => 3,
        "engine" => 4,
        _ => 5,
    }
}

/// Why `from` may not import `path` (module and item, `record::key`), or `None` if it may.
fn objection(from: &str, path: &str) -> Option<String> {
    let module = path.split("::").next().unwrap_or(path);
    if module == from || from == "testing" {
        return None;
    }
    if from == "document" {
        let allowed = module == "error" || path == "record::key" || path.starts_with("record::key::");
        return (!allowed).then(|| "document uses record::key and error only".to_owned());
    }
    if module == "document" && height(from) < 5 {
        return Some("the layers below know documents as bytes".to_owned());
    }
    (height(module) > height(from)).then(|| format!("{module} stands above {from}"))
}

/// The source without comments and without items under `#[cfg(test)]`.
fn code_of(source: &str) -> String {
    let mut code = String::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if ["#[cfg(test)]", "#[cfg(all(test", "#[cfg(any(test"].iter().any(|attr| line.trim_start().starts_with(attr)) {
            skip_item(&mut lines);
            continue;
        }
        code.push_str(line.split("//").next().unwrap_or(""));
        code.push('\n');
    }
    code
}

/// Skips the item that follows an attribute: up to its `;`, or to the brace that closes it.
fn skip_item<'a>(lines: &mut impl Iterator<Item = &'a str>) {
    let mut depth = 0i32;
    for line in lines {
        let line = line.split("//").next().unwrap_or("");
        depth += line.matches('{').count() as i32 - line.matches('}').count() as i32;
        let ends = line.trim_end().ends_with(';') || line.trim_end().ends_with('}');
        if depth <= 0 && ends {
            return;
        }
    }
}

/// Whether the file holds tests only: `tests.rs`, `disk_tests.rs`, or anything in a folder `tests/`.
fn is_test(file: &Path) -> bool {
    let names = file.with_extension("");
    names.iter().filter_map(|n| n.to_str()).any(|n| n == "tests" || n.ends_with("_tests"))
}

/// How many folders and files lie between the root of the crate and the module in `file`.
fn depth_of(file: &Path) -> usize {
    let parts = file.components().count();
    let is_folder_root = file.file_name().is_some_and(|n| n == "mod.rs" || n == "lib.rs");
    parts - usize::from(is_folder_root)
}

/// The imports of a file from the root of its crate, as paths of at most two names.
fn imports(code: &str, depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    for (at, _) in code.match_indices("crate::") {
        if !code[..at].ends_with(|c| is_word(c) || c == '$') {
            expand(&code[at + "crate::".len()..], &mut found);
        }
    }
    let climb = "super::".repeat(depth.max(1));
    for (at, _) in code.match_indices(&climb) {
        if depth > 0 && !code[..at].ends_with(|c| is_word(c) || c == ':') {
            expand(&code[at + climb.len()..], &mut found);
        }
    }
    found
}

/// Adds the paths that begin at `rest`: one, or each of a `{group}`.
fn expand(rest: &str, found: &mut Vec<String>) {
    let Some(group) = rest.strip_prefix('{') else {
        found.extend(head(rest));
        return;
    };
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.extend(head(group[start..at].trim()));
                start = at + 1;
                if c == '}' {
                    return;
                }
            }
            _ => {}
        }
    }
}

/// The first two names of a path.
fn head(path: &str) -> Option<String> {
    let name = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let first = name(path);
    if first.is_empty() || first == "super" {
        return None;
    }
    match path[first.len()..].strip_prefix("::").map(name) {
        Some(second) if !second.is_empty() => Some(format!("{first}::{second}")),
        _ => Some(first),
    }
}

/// What `lib.rs` re-exports: name -> module it comes from.
fn reexports(lib: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for statement in code_of(lib).split(';') {
        let Some(path) = statement.trim_start().strip_prefix("pub use ") else { continue };
        let module = path.split("::").next().unwrap_or("").trim();
        for name in path.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|n| !n.is_empty()) {
            names.entry(name.to_owned()).or_insert_with(|| module.to_owned());
        }
    }
    names
}

/// All wrong imports of one file, as messages.
fn wrong_imports(file: &Path, source: &str, exported: &BTreeMap<String, String>) -> Vec<String> {
    let from = match file.components().next() {
        Some(first) => Path::new(first.as_os_str()).with_extension("").to_string_lossy().into_owned(),
        None => return Vec::new(),
    };
    if from == "lib" || is_test(file) {
        return Vec::new();
    }
    imports(&code_of(source), depth_of(file))
        .into_iter()
        .map(|path| exported.get(&path).cloned().unwrap_or(path))
        .filter_map(|path| Some((objection(&from, &path)?, path)))
        .map(|(why, path)| format!("{}: imports crate::{path}, but {why}", file.display()))
        .collect()
}

#[test]
fn a_folder_imports_only_from_the_layers_below_it() {
    let src = crate::root().join("core/src");
    let exported = reexports(&crate::read("core/src/lib.rs"));
    let wrong: Vec<String> = crate::rust_files(&src)
        .iter()
        .flat_map(|file| wrong_imports(file, &crate::read(src.join(file)), &exported))
        .collect();
    assert!(wrong.is_empty(), "imports from a layer above:\n  {}", wrong.join("\n  "));
}

#[test]
fn the_layer_check_sees_every_way_to_write_an_import() {
    let exported = reexports("pub use error::{Error, Result};\npub use database::Database;");
    let wrong = |file: &str, source: &str| wrong_imports(Path::new(file), source, &exported).len();
    // Upward, in all spellings.
    assert_eq!(wrong("file/page.rs", "use crate::engine::Commit;"), 1);
    assert_eq!(wrong("file/page.rs", "use crate::{error::Error, hash::{leaf, node}, engine};"), 2);
    assert_eq!(wrong("file/page.rs", "use crate::{\n    error::Error,\n    engine::commit::Frame,\n};"), 1);
    assert_eq!(wrong("file/page.rs", "fn f() -> super::super::hash::Trie { todo!() }"), 1);
    assert_eq!(wrong("hash/mod.rs", "use super::engine::Commit;"), 1);
    assert_eq!(wrong("engine/deep/er.rs", "use super::super::super::database::Database;"), 1);
    assert_eq!(wrong("env.rs", "use super::file::disk;"), 1);
    assert_eq!(wrong("hash/leaf.rs", "use crate::Database;"), 1);
    // The rules of `document`.
    assert_eq!(wrong("document/view.rs", "use crate::record::block::Block;"), 1);
    assert_eq!(wrong("document/view.rs", "use crate::file::page;"), 1);
    assert_eq!(wrong("engine/commit.rs", "use crate::document::Document;"), 1);
    // What is right.
    assert_eq!(wrong("document/view.rs", "use crate::record::key;\nuse crate::record::key::key_of;"), 0);
    assert_eq!(wrong("document/view.rs", "use crate::{error::Error, record::key};\nuse crate::Result;"), 0);
    assert_eq!(wrong("hash/leaf.rs", "use super::node::Node;\nuse crate::record::key;\nuse crate::Error;"), 0);
    assert_eq!(wrong("hash/leaf.rs", "pub(crate) fn f() {} // crate::engine\n/// [`crate::engine`]"), 0);
    assert_eq!(wrong("hash/leaf.rs", "#[cfg(test)]\nmod tests {\n    use crate::testing::Sim;\n}\n"), 0);
    assert_eq!(wrong("hash/leaf.rs", "#[cfg(test)]\nmod tests;\nuse crate::engine::X;"), 1);
    assert_eq!(wrong("file/disk_tests.rs", "use crate::testing::TempDir;"), 0);
    assert_eq!(wrong("file/os/tests.rs", "use crate::testing::TempDir;"), 0);
    assert_eq!(wrong("testing/sim.rs", "use crate::engine::X;"), 0);
    assert_eq!(wrong("database.rs", "use crate::engine::X;\nuse crate::document::Document;"), 0);
}
