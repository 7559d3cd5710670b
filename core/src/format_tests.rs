//! Text, constants and code of the file format, held together.
//!
//! ```text
//!   docs/file-format.md   tables: offset, size, field  ---- must equal ----  the modules' LAYOUT constants
//!                                                                                    |
//!   core/tests/golden/*.txt   offset, bytes, field  ---- must equal ----  what the real encoders make
//! ```
//!
//! `NYRO_BLESS=1 cargo test -p nyro --lib format_tests` writes the golden files anew. A changed golden file is a
//! changed format: think of `FORMAT_VERSION`.

use crate::engine::trees::{self, TreeEntry};
use crate::engine::{backup, frame};
use crate::file::backups::{self, BackupRecord, Backups};
use crate::file::memory_pages::MemoryPages;
use crate::file::meta::{self, Meta};
use crate::file::page::{self, put_u32, put_u48, Address, PageBuf, PageKind, PageNo, PageSource, UnitHeader};
use crate::file::page::{PAGE_BYTES, UNIT_HEADER_BYTES};
use crate::file::sim::{SimDisk, SimOptions};
use crate::file::space::{Space, SpaceRoot};
use crate::file::tree::{self, TreeRoot};
use crate::file::{pages, space};
use crate::hash::{self, HashKey, KeyHash, TrieRoot};
use crate::log::{self, Frame, Log, LogConfig, Lsn};
use crate::memory::Pool;
use crate::meter::Timer;
use crate::record::block::{self, OpenBlock};
use crate::record::directory::{self, EntryBuilder};
use crate::record::extent::{self, HeapExtent};
use crate::sorted;
use crate::sorted::cell::Cell;
use crate::sorted::filter::FilterHash;
use crate::sorted::leaf::LeafBuilder;
use crate::sorted::run::{Fence, Run};
use crate::sorted::tail::TailParts;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Names of the fields of a structure in the specification, and their offsets in the code. The name ""
/// is at the end of a structure of fixed length; "zero" names bytes that have no constant of their own.
pub(crate) type Layout = &'static [(&'static str, usize)];

const SPECIFICATION: &str = include_str!("../../docs/file-format.md");
const IDENTITY: [u8; 16] = *b"identity of file";
const KEY: HashKey = HashKey([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);
const GENERATION: u64 = 9;

fn seed() -> u64 {
    sample_meta().seed()
}

// ---- the specification's tables ----------------------------------------------------------------------

/// Title of the section and layout of every structure.
fn layouts() -> Vec<(&'static str, Layout)> {
    let root: Layout = &[("page", 0), ("level", 6), ("zero", 7), ("", TreeRoot::BYTES)];
    let space_root: Layout = &[("page", 0), ("height", 6), ("zero", 7), ("", SpaceRoot::BYTES)];
    vec![
        ("Unit header", page::LAYOUT),
        ("Meta page", meta::LAYOUT),
        ("Record block", block::LAYOUTS[0]),
        ("Stub of a large document", block::LAYOUTS[1]),
        ("Extent", pages::LAYOUT),
        ("Page-tree root", root),
        ("Page-tree page", tree::LAYOUTS[0]),
        ("Page-tree leaf slot", tree::LAYOUTS[1]),
        ("Page-tree branch slot", tree::LAYOUTS[2]),
        ("Tree table", trees::LAYOUT),
        ("Block directory", directory::LAYOUT),
        ("Trie root", hash::layouts::ROOT),
        ("Trie node", hash::layouts::NODE[0]),
        ("Trie node slot", hash::layouts::NODE[1]),
        ("Trie leaf", hash::layouts::LEAF[0]),
        ("Trie leaf line", hash::layouts::LEAF[1]),
        ("Manifest entry", sorted::run::LAYOUT),
        ("Leaf of a run", sorted::leaf::LAYOUT),
        ("Tail of a run", sorted::tail::LAYOUT),
        ("Space root", space_root),
        ("Space chunk", space::LAYOUTS[0]),
        ("Space node", space::LAYOUTS[1]),
        ("Space node child", space::LAYOUTS[2]),
        ("Record of a backup", backups::LAYOUT),
        ("Incremental backup", backup::LAYOUTS[0]),
        ("Run of an incremental backup", backup::LAYOUTS[1]),
        ("Log segment header", log::LAYOUTS[0]),
        ("Log frame", log::LAYOUTS[1]),
    ]
}

#[derive(Debug)]
struct Row {
    offset: usize,
    /// `None` where the size is not the same in every instance.
    size: Option<usize>,
    field: String,
}

/// The tables of the specification whose first column is "offset", by the section they stand in.
fn tables() -> BTreeMap<String, Vec<Row>> {
    let mut tables: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let (mut title, mut inside) = (String::new(), false);
    for line in SPECIFICATION.lines() {
        if line.starts_with('#') {
            line.trim_start_matches('#').trim().clone_into(&mut title);
        }
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            inside = false;
        } else if cells[..2] == ["offset", "size"] {
            inside = true;
            let old = tables.insert(title.clone(), Vec::new());
            assert!(old.is_none(), "docs/file-format.md: section {title:?} has two tables of offsets");
        } else if inside && !cells[0].starts_with('-') {
            let offset =
                cells[0].parse().unwrap_or_else(|_| panic!("docs/file-format.md, {title}: offset in {line:?}"));
            let row = Row { offset, size: product(cells[1]), field: cells[2].to_owned() };
            tables.get_mut(&title).expect("just made").push(row);
        }
    }
    tables
}

/// "8", "63 × 64"; `None` for everything that is not a number.
fn product(size: &str) -> Option<usize> {
    size.split('×').map(|factor| factor.trim().parse::<usize>().ok()).product()
}

#[test]
fn the_tables_of_the_specification_have_neither_gaps_nor_overlaps() {
    for (title, rows) in tables() {
        let mut end = Some(0);
        for row in rows {
            let end = std::mem::replace(&mut end, row.size.map(|size| row.offset + size));
            let Some(end) = end else {
                panic!("docs/file-format.md, {title}: {:?} follows a field without a fixed size", row.field)
            };
            assert_eq!(row.offset, end, "docs/file-format.md, {title}: correct the offset of {:?}", row.field);
        }
    }
}

#[test]
fn the_tables_of_the_specification_say_what_the_code_does() {
    let mut tables = tables();
    for (title, layout) in layouts() {
        let rows = tables.remove(title).unwrap_or_else(|| panic!("docs/file-format.md has no table for {title:?}"));
        let end = rows.last().and_then(|row| Some(("", row.offset + row.size?)));
        let written = rows.iter().map(|row| (row.field.as_str(), row.offset)).chain(end);
        let written: Vec<(&str, usize)> = written.collect();
        assert_eq!(written, layout, "docs/file-format.md, {title} (left), differs from the code's LAYOUT (right)");
    }
    assert!(tables.is_empty(), "docs/file-format.md: no LAYOUT in the code for {:?}", tables.keys());
}

#[test]
fn the_specification_names_versions_kinds_and_modules_as_they_are() {
    let first = SPECIFICATION.lines().nth(2).expect("text");
    let version = format!("Version {}.", meta::FORMAT_VERSION);
    assert!(first.starts_with(&version), "docs/file-format.md: line 3 must begin with {version:?}");
    let (_, kinds) = SPECIFICATION.split_once("| kind | unit |").expect("docs/file-format.md: a table of kinds");
    let (kinds, _) = kinds.split_once("\n\n").expect("text behind the table");
    for kind in 0..=u8::MAX {
        let row = PageKind::from_u8(kind).map(|kind| format!("\n| {} | {} |", kind as u8, kind.name()));
        let rows = kinds.matches(&format!("\n| {kind} | ")).count();
        assert_eq!(rows, usize::from(row.is_some()), "docs/file-format.md: rows for kind {kind}");
        assert!(row.is_none_or(|row| kinds.contains(&row)), "docs/file-format.md: the name of kind {kind}");
    }
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
    for path in SPECIFICATION.split('`').filter(|part| part.starts_with("core/")) {
        assert!(std::path::Path::new(root).join(path).exists(), "docs/file-format.md names {path}, which is not there");
    }
}

// ---- golden bytes ------------------------------------------------------------------------------------

/// Field, offset and length: what a golden file explains.
type Fields = Vec<(String, usize, usize)>;

/// The fields of a layout that begins at `base`; the last one of a structure without an end is left out.
fn fields(prefix: &str, base: usize, layout: Layout) -> Fields {
    let field = |pair: &[(&str, usize)]| (format!("{prefix}{}", pair[0].0), base + pair[0].1, pair[1].1 - pair[0].1);
    layout.windows(2).map(field).collect()
}

/// Fields of a unit: its header in parts, then the rest of `layout`.
fn unit_fields(layout: Layout) -> Fields {
    let mut all = fields("", 0, page::LAYOUT);
    all.extend(fields("", 0, layout).into_iter().skip(1));
    all
}

fn field(name: impl Into<String>, at: usize, length: usize) -> (String, usize, usize) {
    (name.into(), at, length)
}

/// One line for at most 16 bytes of a field; what no field explains must be zero.
fn dump(bytes: &[u8], mut fields: Fields) -> String {
    fields.sort_by_key(|(_, at, _)| *at);
    let (mut out, mut end) = (String::new(), 0);
    for (name, at, length) in fields.into_iter().chain([(String::new(), bytes.len(), 0)]) {
        assert!(at >= end, "field {name:?} at {at} overlaps the one before");
        lines(&mut out, bytes, end..at, "zero");
        assert!(bytes[end..at].iter().all(|b| *b == 0), "bytes {end} to {at} are not zero and belong to no field");
        lines(&mut out, bytes, at..at + length, &name);
        end = at + length;
    }
    out
}

fn lines(out: &mut String, bytes: &[u8], range: std::ops::Range<usize>, name: &str) {
    let part = &bytes[range.clone()];
    if part.len() > 16 && part.iter().all(|b| *b == part[0]) {
        let hex = format!("{:02x} x {}", part[0], part.len());
        let _ = writeln!(out, "{:06x}  {hex:<48} {name}", range.start);
        return;
    }
    for (i, line) in part.chunks(16).enumerate() {
        let hex: Vec<String> = line.iter().map(|b| format!("{b:02x}")).collect();
        let name = if i == 0 { name } else { "" };
        let text = format!("{:06x}  {:<48} {name}", range.start + i * 16, hex.join(" "));
        let _ = writeln!(out, "{}", text.trim_end());
    }
}

/// Compares with the golden file, or writes it under `NYRO_BLESS`.
fn golden(name: &str, section: &str, text: &str) {
    assert!(SPECIFICATION.contains(&format!("# {section}\n")), "docs/file-format.md has no section {section:?}");
    let text = format!("docs/file-format.md, \"{section}\"\n\n{text}");
    let path = format!("{}/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("NYRO_BLESS").is_some() {
        std::fs::write(&path, &text).expect("a writable source tree");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected == text {
        return;
    }
    let first = expected.lines().zip(text.lines()).find(|(a, b)| a != b);
    let (old, new) = first.unwrap_or(("(another number of lines)", ""));
    panic!(
        "the bytes of this structure have changed:\n  was {old}\n  is  {new}\nIf that is meant, it is a change of the \
         format: describe it in docs/file-format.md, section {section:?}, and write core/tests/golden/{name}.txt anew \
         with NYRO_BLESS=1"
    );
}

fn sample_meta() -> Meta {
    Meta {
        identity: IDENTITY,
        hash_key: KEY.0,
        sequence: 3,
        generation: GENERATION,
        clean: true,
        commit: 1000,
        epoch: 7,
        lsn: 4096,
        chain: 0xc4a1,
        next_ordinal: 1004,
        next_tree: 4,
        file_pages: 64,
        used_pages: 29,
        region_pages: 4,
        tree_table: TreeRoot { page: PageNo(20), level: 1 },
        space: SpaceRoot { page: PageNo(21), height: 0 },
        block_pages: 16,
        block_live_bytes: 60_000,
        manifest: TreeRoot { page: PageNo(27), level: 0 },
        next_run: 9,
        flushed_bytes: 1000,
        run_bytes: 3000,
        backups: sample_backups(),
    }
}

fn sample_backups() -> Backups {
    let mut backups = Backups::default();
    for (name, id, generation, commit) in [("sunday", [0xa1; 16], 5, 600), ("monday", [0xb2; 16], GENERATION, 1000)] {
        backups.remember(BackupRecord { id, name: name.to_owned(), generation, commit });
    }
    backups
}

#[test]
fn golden_meta_page() {
    let page = sample_meta().encode();
    let mut all = fields("", 0, meta::LAYOUT);
    let place = all.iter().position(|(name, ..)| name == "backups").expect("a field of the meta page");
    let (_, at, length) = all.remove(place);
    let record = backups::LAYOUT.last().expect("an end").1;
    for index in 0..2 {
        all.extend(fields(&format!("backup {index}: "), at + index * record, backups::LAYOUT));
    }
    all.push(field("backups 2 to 15", at + 2 * record, length - 2 * record));
    golden("meta_page", "Meta page", &dump(&page, all));
}

#[test]
fn golden_incremental_backup() {
    let header = backup::Header {
        identity: IDENTITY,
        base_id: [0xa1; 16],
        base_generation: 5,
        id: [0xb2; 16],
        generation: GENERATION,
        runs: 2,
        pages: 7,
    };
    let text = format!(
        "header\n{}\nhead of a run\n{}",
        dump(&header.encode(), fields("", 0, backup::LAYOUTS[0])),
        dump(&backup::run_head(17, 4), fields("", 0, backup::LAYOUTS[1])),
    );
    golden("incremental_backup", "Incremental backup", &text);
}

#[test]
fn golden_unit_header() {
    let mut unit = PageBuf::zeroed(1);
    let header = UnitHeader { page: PageNo(0x0605_0403_0201), kind: PageKind::Block, order: 0, generation: 0, tree: 3 };
    header.encode(&mut unit);
    page::seal(&mut unit, GENERATION, seed());
    golden("unit_header", "Unit header", &dump(&unit[..UNIT_HEADER_BYTES], fields("", 0, page::LAYOUT)));
}

const DOCUMENT: &[u8] = b"\x82\xa3_id\x07\xa4name\xa3Ada";

fn stub() -> Vec<u8> {
    let mut stub = b"\x81\xa3_id\xa3big".to_vec();
    let at = stub.len();
    stub.resize(at + block::STUB_TAIL_BYTES, 0);
    put_u48(&mut stub[at..], 0, 32);
    put_u32(&mut stub[at..], 6, 70_000);
    stub
}

#[test]
fn golden_record_block() {
    let mut open = OpenBlock::new(&Pool::new(0), PageNo(5), 0, 3, 1000);
    let first = open.append(1000, &[DOCUMENT], false);
    let second = open.append(1200, &[&stub()], true);
    let closed = open.close();
    let mut unit = closed.unit.bytes().to_vec();
    page::seal(&mut unit, GENERATION, seed());
    let mut all = unit_fields(block::LAYOUTS[0]);
    let at = usize::from(first.slot());
    all.push(field("record 0: varint length x 2", at, 1));
    all.push(field("record 0: varint ordinal - base", at + 1, 1));
    all.push(field("record 0: document", at + 2, DOCUMENT.len()));
    let at = usize::from(second.slot());
    all.push(field("record 1: varint length x 2 + large", at, 1));
    all.push(field("record 1: varint ordinal - base", at + 1, 2));
    let tail = at + 3 + stub().len() - block::STUB_TAIL_BYTES;
    all.push(field("record 1: stub", at + 3, tail - at - 3));
    all.extend(fields("record 1: stub: ", tail, block::LAYOUTS[1]));
    all.push(field("slot 1", unit.len() - 4, 2));
    all.push(field("slot 0", unit.len() - 2, 2));
    golden("record_block", "Record block", &dump(&unit, all));
}

#[test]
fn golden_extent() {
    let document = [&b"\x82\xa3_id\xa3big\xa1x\xc6\x00\x01\x11\x5a"[..], &[0x55; 69_978]].concat();
    let heap = HeapExtent::new(&Pool::new(0), PageNo(32), 3, &document);
    let mut unit = heap.unit.bytes().to_vec();
    extent::seal(&mut unit, GENERATION, seed());
    let start = pages::extent_data_at(heap.pages);
    let mut all = unit_fields(pages::LAYOUT);
    all.push(field("checksum of piece 1", pages::EXTENT_HEADER_BYTES, 8));
    all.push(field("document", start, 16));
    let rest = document.len() - 16;
    assert!(unit[start + 16..start + 16 + rest].ends_with(&document[16..]));
    let body = document.iter().position(|b| *b == 0x55).expect("body");
    all.push(field("", start + 16, body - 16));
    all.push(field("", start + body, document.len() - body));
    golden("extent", "Extent", &dump(&unit, all));
}

#[test]
fn golden_directory_entries() {
    let mut text = String::new();
    for (what, dead) in [("all ten records live", None), ("record 1 is dead", Some(1))] {
        let mut builder = EntryBuilder::new(PageNo(5), 2, 10);
        (0..10).filter(|i| Some(*i) != dead).for_each(|i| builder.live(i, 100, dead.is_some() && i == 2));
        let (mut bytes, entry) = (Vec::new(), builder.finish().expect("live records"));
        entry.encode(&mut bytes);
        let mut all = fields("", 0, directory::LAYOUT);
        all.push(field("bitmap", 16, bytes.len() - 16));
        let _ = write!(text, "{what}\n{}\n", dump(&bytes, all));
    }
    golden("directory_entry", "Block directory", &text);
}

#[test]
fn golden_tree_table_entry() {
    let entry = TreeEntry {
        trie: TrieRoot { page: PageNo(10), level: 1, entries: 301 },
        directory: TreeRoot { page: PageNo(11), level: 0 },
        live: 301,
        live_bytes: 60_200,
        max_id: 1000,
    };
    let mut all = fields("", 0, trees::LAYOUT);
    all.drain(..2);
    all.extend(fields("trie: ", 0, hash::layouts::ROOT));
    let root: Layout = &[("page", 0), ("level", 6), ("zero", 7), ("", TreeRoot::BYTES)];
    all.extend(fields("directory: ", 16, root));
    golden("tree_table_entry", "Tree table", &dump(&entry.encode(), all));
}

#[test]
fn golden_catalog_document() {
    let bytes = trees::catalog_document(&trees::name_key("users"), trees::Kind::Collection, 3);
    let all = vec![
        field("map of two", 0, 1),
        field("\"_id\"", 1, 4),
        field("\"users\", the key", 5, 6),
        field("\"tree\"", 11, 5),
        field("3 in 32 bits, big endian", 16, 5),
    ];
    golden("catalog_document", "Catalog", &dump(&bytes, all));
}

#[test]
fn golden_run() {
    let run = Run {
        number: 5,
        level: 0,
        set: 3,
        page: PageNo(40),
        leaf_pages: 2,
        tail_pages: 1,
        entries: 60,
        deleted: 7,
        bytes: 3000,
        ranges: true,
        large: true,
        open_end: true,
        first: Fence::new(b"\0\0\0\x03a"),
        last: Fence::new(b"\0\0\0\x04"),
        filter: Default::default(),
    };
    let mut all = fields("", 0, sorted::run::LAYOUT);
    let at = sorted::run::LAYOUT.last().expect("fields").1;
    all.extend([field("first", at, 5), field("last", at + 5, 4)]);
    golden("manifest_entry", "Manifest entry", &dump(&run.encode(), all));

    let mut leaf = LeafBuilder::default();
    let cells: [(&[u8], Cell<'_>); 3] = [
        (b"\0\0\0\x03ab", Cell::Value(b"value")),
        (b"\0\0\0\x03abcdefg", Cell::Deleted),
        (b"\0\0\0\x03ac", Cell::Large { page: PageNo(50), length: 70_000 }),
    ];
    assert!(cells.iter().all(|(key, cell)| leaf.push(key, *cell, 0)));
    let mut unit = Vec::new();
    assert_eq!(leaf.finish(&mut unit), 0);
    UnitHeader { page: PageNo(40), kind: PageKind::RunLeaf, order: 0, generation: 0, tree: 0 }.encode(&mut unit);
    page::seal(&mut unit, GENERATION, seed());
    let mut all = unit_fields(sorted::leaf::LAYOUT);
    let heads = sorted::leaf::LAYOUT.last().expect("fields").1;
    all.extend((0..3).map(|at| field(format!("head {at}"), heads + at * 4, 4)));
    all.extend((0..3).map(|at| field(format!("place {at}"), heads + 12 + at * 2, 2)));
    all.push(field("prefix", heads + 18, 5));
    let mut at = heads + 23;
    for (number, length) in [7, 4, 12].into_iter().enumerate() {
        all.push(field(format!("entry {number}"), at, length));
        at += length;
    }
    golden("leaf_of_a_run", "Leaf of a run", &dump(&unit, all));

    let parts = TailParts {
        leaves: vec![(b"\0\0\0\x03ab".to_vec(), 0), (b"\0\0\0\x03b".to_vec(), 1)],
        hashes: cells.iter().map(|(key, _)| FilterHash::of(KEY.0[0], key)).collect(),
        ranges: vec![(b"\0\0\0\x03a".to_vec(), b"\0\0\0\x03aa".to_vec())],
        first: b"\0\0\0\x03a".to_vec(),
        last: b"\0\0\0\x03c".to_vec(),
    };
    let mut all = fields("", 0, sorted::tail::LAYOUT);
    let lengths = [
        ("prefix", 4),
        ("head 0", 8),
        ("head 1", 8),
        ("places", 4),
        ("offsets", 12),
        ("separator 0", 2),
        ("separator 1", 1),
        ("filter", 32),
        ("start", 6),
        ("end", 7),
        ("first", 5),
        ("last", 5),
    ];
    let mut at = sorted::tail::LAYOUT.last().expect("fields").1;
    for (name, length) in lengths {
        all.push(field(name, at, length));
        at += length;
    }
    golden("tail_of_a_run", "Tail of a run", &dump(&parts.encode(), all));
}

#[test]
fn golden_page_tree() {
    let mut sink = MemoryPages::new();
    let small = [(3, &b"three"[..]), (40, b""), (71, b"seventy-one")];
    let edits = small.map(|(key, value)| tree::Edit { key, value: Some(value.to_vec()) });
    let root = tree::fold(&mut sink, 3, &TreeRoot::default(), &edits).expect("fold");
    sink.commit();
    let unit = sink.unit(root.page, PageKind::TreeLeaf).expect("leaf");
    let mut all = unit_fields(tree::LAYOUTS[0]);
    let mut end = PAGE_BYTES;
    for (i, (key, value)) in small.iter().enumerate() {
        all.extend(fields(&format!("slot {i}: "), 64 + i * 12, tree::LAYOUTS[1]));
        end -= value.len();
        if !value.is_empty() {
            all.push(field(format!("value of {key}"), end, value.len()));
        }
    }
    golden("page_tree_leaf", "Page-tree page", &dump(unit, all));

    let many = (0..7u64).map(|key| tree::Edit { key: key * 10, value: Some(vec![1; tree::MAX_VALUE_BYTES]) });
    let root = tree::fold(&mut sink, 3, &TreeRoot::default(), &many.collect::<Vec<_>>()).expect("fold");
    sink.commit();
    assert_eq!(root.level, 1);
    let unit = sink.unit(root.page, PageKind::TreeBranch).expect("branch");
    let mut all = unit_fields(tree::LAYOUTS[0]);
    for i in 0..usize::from(page::get_u16(unit, 48)) {
        all.extend(fields(&format!("slot {i}: "), 64 + i * 14, tree::LAYOUTS[2]));
    }
    golden("page_tree_branch", "Page-tree branch slot", &dump(unit, all));
}

#[test]
fn golden_key_hashes() {
    let mut text = format!("k0 {:016x}, k1 {:016x}\n\n", KEY.0[0], KEY.0[1]);
    let keys: [(&str, &[u8]); 8] = [
        ("0", b"\x00"),
        ("7", b"\x07"),
        ("16", b"\x10"),
        ("-1", b"\xff"),
        ("1000", b"\xcd\x03\xe8"),
        ("2^64 - 1", b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("string \"abc\"", b"\xa3abc"),
        ("binary 61 62 63", b"\xc4\x03abc"),
    ];
    for (name, key) in keys {
        let hex: Vec<String> = key.iter().map(|b| format!("{b:02x}")).collect();
        let _ = writeln!(text, "{:016x}  {:<28} {name}", KEY.hash(key).0, hex.join(" "));
    }
    golden("key_hash", "Hash of a key", &text);
}

#[test]
fn golden_trie() {
    let fold = |sink: &mut MemoryPages, ids: u64| {
        let edit = |id| hash::Edit {
            hash: KEY.hash(&trees::integer_key(id)),
            old: None,
            new: Some(Address::new(PageNo(5), 64 + id as u16)),
        };
        let mut edits: Vec<hash::Edit> = (0..ids).map(edit).collect();
        edits.sort_by_key(|edit| edit.hash);
        let no_record = &mut |_: &MemoryPages, _| Ok(KeyHash(0));
        let root = hash::fold(sink, 3, &TrieRoot::default(), &edits, no_record).expect("fold");
        sink.commit();
        root
    };
    let mut sink = MemoryPages::new();
    let root = fold(&mut sink, 3);
    let unit = sink.unit(root.page, PageKind::TrieLeaf).expect("leaf");
    let mut all = unit_fields(&hash::layouts::LEAF[0][..8]);
    for line in 0..63 {
        let at = 64 + line * 64;
        if unit[at] == 0 {
            all.push(field(format!("line {line}"), at, 64));
        } else {
            all.extend(fields(&format!("line {line}: "), at, hash::layouts::LEAF[1]));
        }
    }
    golden("trie_leaf", "Trie leaf", &dump(unit, all));

    let root = fold(&mut sink, 700);
    assert_eq!(root.level, 1);
    let unit = sink.unit(root.page, PageKind::TrieNode).expect("node");
    let mut all = unit_fields(hash::layouts::NODE[0]);
    for slot in 0..1usize << unit[48] {
        all.extend(fields(&format!("slot {slot}: "), 64 + slot * 7, hash::layouts::NODE[1]));
    }
    golden("trie_node", "Trie node", &dump(unit, all));
}

/// The free space of a file whose pages `used` are taken, as units sealed.
fn space_units(change: impl FnOnce(&mut Space, &dyn PageSource)) -> (SpaceRoot, BTreeMap<PageNo, PageBuf>) {
    let (source, mut units) = (MemoryPages::new(), BTreeMap::new());
    let mut space = Space::create(4);
    change(&mut space, &source);
    let root = space.persist(&source, &mut |page, mut unit| {
        page::seal(&mut unit, GENERATION, seed());
        units.insert(page, unit);
        Ok(())
    });
    (root.expect("no page is read"), units)
}

#[test]
fn golden_space() {
    let (root, units) = space_units(|space, source| {
        let block = space.give(source, 2).expect("room");
        space.adopt(block, 4);
        let extent = space.give_extent(source, 5).expect("room");
        space.adopt(extent, 5);
        let _not_in_the_checkpoint = space.give(source, 0).expect("room");
    });
    assert_eq!(root.height, 0);
    let mut all = unit_fields(space::LAYOUTS[0]);
    all.retain(|(name, ..)| name != "used" && name != "regions");
    all.extend([field("used: word 0", 64, 8), field("used: the rest", 72, 2040)]);
    all.extend([field("regions 0 to 3", 2112, 1), field("regions 4 to 7", 2113, 1), field("regions", 2114, 1022)]);
    golden("space_chunk", "Space chunk", &dump(&units[&root.page], all));

    let (root, units) = space_units(|space, source| {
        for _ in 0..2 {
            let extent = space.give_extent(source, 8192).expect("room");
            space.adopt(extent, 8192);
        }
    });
    assert_eq!(root.height, 1);
    let mut all = unit_fields(space::LAYOUTS[1]);
    all.retain(|(name, ..)| name != "children");
    for child in 0..2 {
        all.extend(fields(&format!("child {child}: "), 64 + child * 8, space::LAYOUTS[2]));
    }
    all.push(field("children 2 to 499", 80, 498 * 8));
    golden("space_node", "Space node", &dump(&units[&root.page], all));
}

fn payload() -> Frame {
    let mut made = Frame::default();
    made.begin();
    frame::begin(&mut made, 1000);
    frame::push(&mut made, 3, true, DOCUMENT);
    frame::push(&mut made, 300, false, b"\xa3abc");
    frame::push_drop(&mut made, 2);
    made
}

#[test]
fn golden_commit_payload() {
    let all = vec![
        field("varint: first ordinal", 0, 2),
        field("put", 2, 1),
        field("varint: tree", 3, 1),
        field("varint: length", 4, 1),
        field("document", 5, DOCUMENT.len()),
        field("delete", 20, 1),
        field("varint: tree", 21, 2),
        field("varint: length", 23, 1),
        field("key", 24, 4),
        field("drop", 28, 1),
        field("varint: tree", 29, 1),
    ];
    golden("commit_payload", "Commit payload", &dump(payload().payload(), all));
}

#[test]
fn golden_log_segment() {
    let disk = SimDisk::new(SimOptions::default());
    let log = Log::create(LogConfig {
        disk: Arc::new(disk.clone()),
        base_name: "app.nyro".into(),
        identity: IDENTITY,
        epoch: 7,
        start: Lsn(4096),
        chain: 0xc4a1,
        commit: 1000,
        segment_bytes: 4096,
        use_store: false,
        timer: Timer::of_nobody(),
    });
    let log = log.expect("a log");
    let end = log.append(1001, &mut payload()).expect("room");
    log.sync_through(end).expect("a disk that works");
    log.claim().expect("room");
    let mut large = Frame::default();
    large.begin();
    large.extend(&[0xee; 4000]);
    log.append(1002, &mut large).expect("room");
    let names = ["app.nyro-wal-0000000000000007-00000000", "app.nyro-wal-0000000000000007-00000001"];
    assert_eq!(disk.file_names(), names, "docs/file-format.md, section \"Files\", says how segments are named");
    let bytes = disk.read_file(names[0]);
    let mut all = fields("", 0, log::LAYOUTS[0]);
    let mut at = 512;
    for (name, payload) in [("commit", payload().payload_bytes()), ("claim", 0), ("end", 0)] {
        all.extend(fields(&format!("{name}: "), at, log::LAYOUTS[1]));
        all.push(field(format!("{name}: payload"), at + 48, payload));
        at += 48 + payload.next_multiple_of(8);
    }
    golden("log_segment", "The log", &format!("{}\n\n{}", names[0], dump(&bytes, all)));
}
