//! `nyro page`, `run`, `log`, `free` and `trie`: into the file, as far as it can be read.

use std::collections::BTreeMap;
use std::path::Path;

use nyro::inspect::{
    self, Checksum, Contents, FrameReport, LogReport, MetaReport, PageUse, RunDetails, RunEntryReport, RunReport,
    TreeValue,
};
use nyro::Error;
use serde_json::{json, Value};

use crate::args::{Log, Look, Page, Run, Trie};
use crate::kv::{hex, shown};
use crate::report::{print, Result};
use crate::sheet::Sheet;

fn say(sheet: &Sheet, json: bool) -> Result<()> {
    print(&if json { sheet.to_json() } else { sheet.text() })
}

fn checksum(checksum: Checksum) -> Value {
    match checksum {
        Checksum::Good => json!("good"),
        Checksum::Bad { expected, got } => json!(format!("bad: {got:016x} is there, {expected:016x} would be right")),
        Checksum::Unknown => json!("not known: no meta page says the identity of the file"),
    }
}

fn error(error: &Option<Error>) -> Option<String> {
    error.as_ref().map(Error::to_string)
}

/// Runs `nyro page`.
pub fn page(args: &Page, json: bool) -> Result<()> {
    let page = inspect::page(&args.path, args.number)?;
    let mut sheet = Sheet::default();
    let page_use = match page.page_use {
        PageUse::Used => "used",
        PageUse::Free => "free: what is on it is old, or never was",
        PageUse::Unknown => "not known: the bitmap can't be read",
    };
    sheet.field("page", page.page).field("offset", page.offset).field("file_pages", page.file_pages);
    sheet.field("page_use", page_use).maybe("inside_of_page", page.inside);
    if let Some(unit) = &page.unit {
        sheet.field("kind", unit.kind).field("pages", unit.pages).field("generation", unit.generation);
        sheet.field("tree", unit.tree);
        if unit.page != page.inside.unwrap_or(page.page) {
            sheet.field("says_it_is_page", unit.page);
        }
    }
    sheet.field("checksum", checksum(page.checksum)).maybe("damage", error(&page.damage));
    contents(&mut sheet, &page.contents);
    say(&sheet, json)
}

fn contents(sheet: &mut Sheet, contents: &Contents) {
    match contents {
        Contents::Meta(meta) => meta_page(sheet, meta),
        Contents::Block(block) => {
            sheet.field("base_ordinal", block.base_ordinal).field("end", block.end).field("bytes", block.bytes);
            let columns =
                &["position", "ordinal", "id", "live", "document_at", "document_bytes", "extent", "extent_bytes"];
            let rows = block.records.iter().map(|r| {
                let (extent, bytes) = (r.extent.map(|e| e.0), r.extent.map(|e| e.1));
                let live = r.live.map(|live| if live { "live" } else { "dead" });
                vec![
                    json!(r.position),
                    json!(r.ordinal),
                    json!(r.id),
                    json!(live),
                    json!(r.document_at),
                    json!(r.document_bytes),
                    json!(extent),
                    json!(bytes),
                ]
            });
            sheet.table("records", columns, rows);
        }
        Contents::Extent(extent) => {
            sheet.maybe("id", extent.id.clone()).field("document_bytes", extent.document_bytes);
            sheet.field("document_at", extent.document_at).field("damaged_pieces", extent.damaged_pieces.clone());
        }
        Contents::TrieLeaf(leaf) => {
            sheet.field("depth", leaf.depth).field("tag_base", leaf.tag_base).maybe("next", leaf.next);
            sheet.field("rest", leaf.rest).field("entry_count", leaf.entries.len());
            let rows = leaf
                .entries
                .iter()
                .map(|e| vec![json!(e.line), json!(format!("{:08x}", e.tag)), json!(e.page), json!(e.position)]);
            sheet.table("entries", &["line", "tag", "page", "position"], rows);
        }
        Contents::TrieNode(node) => {
            sheet.field("level", node.level).field("depth", node.depth).field("bits", node.bits);
            let rows = node.children.iter().map(|c| vec![json!(c.page), json!(c.depth), json!(c.slots)]);
            sheet.table("children", &["page", "depth", "slots"], rows);
        }
        Contents::TreeLeaf(entries) => {
            let rows = entries.iter().map(|entry| vec![json!(entry.key), json!(tree_value(&entry.value))]);
            sheet.table("entries", &["key", "value"], rows);
        }
        Contents::TreeBranch(branch) => {
            sheet.field("level", branch.level);
            let rows = branch.children.iter().map(|(key, page)| vec![json!(key), json!(page)]);
            sheet.table("children", &["first_key", "page"], rows);
        }
        Contents::RunLeaf(entries) => {
            sheet.field("entry_count", entries.len());
            sheet.table("entries", RUN_ENTRY, entries.iter().map(|entry| run_entry(entry, false)));
        }
        Contents::SpaceChunk(chunk) => {
            sheet.field("chunk", chunk.index).field("first_page", chunk.first_page).field("used_pages", chunk.used);
            sheet.field("page_regions", chunk.page_regions).field("extent_regions", chunk.extent_regions);
            let rows = chunk.runs.iter().map(|(page, pages)| vec![json!(page), json!(pages)]);
            sheet.table("used", &["page", "pages"], rows);
        }
        Contents::SpaceNode(node) => {
            sheet.field("level", node.level).field("index", node.index);
            let rows = node.children.iter().map(|(place, page, free)| vec![json!(place), json!(page), json!(free)]);
            sheet.table("children", &["place", "page", "free_pages"], rows);
        }
        Contents::Zeros => {
            sheet.field("contents", "all bytes are zero");
        }
        _ => {
            sheet.field("contents", "nothing that is known");
        }
    }
}

fn tree_value(value: &TreeValue) -> String {
    match value {
        TreeValue::Block { page, order, slots, live, live_bytes, large } => {
            let large = if *large { ", with large documents" } else { "" };
            format!(
                "block at page {page} of 2^{order} pages: {live} of {slots} records live, {live_bytes} bytes{large}"
            )
        }
        TreeValue::Collection { trie_page, trie_level, directory_page, directory_level, live, live_bytes, max_id } => {
            format!(
            "{live} documents, {live_bytes} bytes; trie at page {trie_page} (level {trie_level}), directory at page \
             {directory_page} (level {directory_level}); largest id {max_id}"
        )
        }
        TreeValue::Bytes(bytes) => hex(bytes),
        _ => "-".to_owned(),
    }
}

fn meta_page(sheet: &mut Sheet, meta: &MetaReport) {
    sheet.field("counts", meta.chosen).field("clean", meta.clean).field("version", meta.version);
    sheet.field("required_features", meta.required_features).field("optional_features", meta.optional_features);
    sheet.field("identity", hex(&meta.identity));
    sheet.field("sequence", meta.sequence).field("generation", meta.generation).field("commit", meta.commit);
    sheet.field("epoch", meta.epoch).field("lsn", meta.lsn).field("chain", format!("{:016x}", meta.chain));
    sheet.field("next_ordinal", meta.next_ordinal).field("next_tree", meta.next_tree);
    sheet.field("length_pages", meta.file_pages).field("used_pages", meta.used_pages);
    sheet.field("region_pages", meta.region_pages);
    sheet.field("tree_table_page", meta.tree_table_page).field("tree_table_level", meta.tree_table_level);
    sheet.field("manifest_page", meta.manifest_page).field("manifest_level", meta.manifest_level);
    sheet.field("next_run", meta.next_run);
    sheet.field("flushed_bytes", meta.flushed_bytes).field("run_bytes", meta.run_bytes);
    sheet.field("space_page", meta.space_page).field("space_height", meta.space_height);
    sheet.field("block_pages", meta.block_pages).field("block_live_bytes", meta.block_live_bytes);
}

const RUN_ENTRY: &[&str] = &["tree", "key", "value_bytes", "extent"];

/// An entry of a leaf of a run; a key without a value is deleted.
fn run_entry(entry: &RunEntryReport, in_hex: bool) -> Vec<Value> {
    let value = entry.value_bytes.map_or(json!("deleted"), |bytes| json!(bytes));
    vec![json!(entry.tree), json!(shown(&entry.key, in_hex)), value, json!(entry.extent)]
}

/// A whole key: number of the tree, key.
fn whole_key(key: &[u8], cut: bool, in_hex: bool) -> String {
    let more = if cut { "..." } else { "" };
    match key.split_first_chunk::<4>() {
        Some((tree, key)) if !in_hex => format!("{}:{}{more}", u32::from_be_bytes(*tree), shown(key, false)),
        _ => format!("{}{more}", hex(key)),
    }
}

/// Runs `nyro run`.
pub fn run(args: &Run, json: bool) -> Result<()> {
    let mut sheet = Sheet::default();
    match args.number {
        Some(number) => one_run(&mut sheet, &inspect::run(&args.path, number, args.entries)?, args),
        None => {
            let all = inspect::runs(&args.path)?;
            sheet.field("run_count", all.runs.len()).maybe("incomplete", error(&all.damage));
            let columns =
                &["run", "level", "set", "page", "pages", "entries", "deleted", "bytes", "flags", "first", "last"];
            let rows = all.runs.iter().map(|run| {
                vec![
                    json!(run.run),
                    json!(run.level),
                    json!(run.set),
                    json!(run.page),
                    json!(run.leaf_pages + run.tail_pages),
                    json!(run.entries),
                    json!(run.deleted),
                    json!(run.bytes),
                    json!(flags(run)),
                    json!(whole_key(&run.first, run.first_cut, args.hex)),
                    json!(whole_key(&run.last, run.last_cut, args.hex)),
                ]
            });
            sheet.table("runs", columns, rows);
        }
    }
    say(&sheet, json)
}

fn flags(run: &RunReport) -> Vec<&'static str> {
    let flags = [(run.ranges, "ranges"), (run.large, "large"), (run.open_end, "open_end")];
    flags.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect()
}

fn one_run(sheet: &mut Sheet, details: &RunDetails, args: &Run) {
    let run = &details.run;
    sheet.field("run", run.run).field("level", run.level).field("set", run.set).field("page", run.page);
    sheet.field("leaf_pages", run.leaf_pages).field("tail_pages", run.tail_pages);
    sheet.field("entry_count", run.entries).field("deleted", run.deleted).field("bytes", run.bytes);
    sheet.field("flags", flags(run));
    sheet.field("first", whole_key(&run.first, run.first_cut, args.hex));
    sheet.field("last", whole_key(&run.last, run.last_cut, args.hex));
    let mut separators = BTreeMap::new();
    match &details.tail {
        None => drop(sheet.field("tail", "can't be read")),
        Some(tail) => {
            sheet.field("tail_page", tail.page).field("tail_bytes", tail.bytes);
            sheet.field("damaged_pieces", tail.damaged_pieces.clone());
            sheet.field("separator_prefix", whole_key(&tail.prefix, true, args.hex));
            sheet.field("filter_bytes", tail.filter_bytes);
            let bits = (tail.filter_bytes * 8).max(1);
            sheet.field("filter_bits_set_percent", (tail.filter_bits_set * 1000 / bits) as f64 / 10.0);
            separators.extend(tail.leaves.iter().map(|(place, key)| (*place, whole_key(key, false, args.hex))));
            let ranges = tail.ranges.iter();
            let key = |key: &[u8]| json!(whole_key(key, false, args.hex));
            sheet.table("ranges", &["start", "end"], ranges.map(|(start, end)| vec![key(start), key(end)]));
        }
    }
    let leaves = details.leaves.iter().map(|leaf| {
        let separator = separators.get(&leaf.page.saturating_sub(run.page));
        vec![json!(leaf.page), json!(leaf.pages), json!(leaf.entries), checksum(leaf.checksum), json!(separator)]
    });
    sheet.table("leaves", &["page", "pages", "entries", "checksum", "separator"], leaves);
    if args.entries {
        sheet.table("entries", RUN_ENTRY, details.entries.iter().map(|entry| run_entry(entry, args.hex)));
    }
    damage(sheet, &details.damage);
}

/// Runs `nyro log`.
pub fn log(args: &Log, json: bool) -> Result<()> {
    let log = inspect::log(&args.path)?;
    let mut sheet = Sheet::default();
    what_is_wanted(&mut sheet, &log);
    let columns =
        &["name", "epoch", "sequence", "file_bytes", "start_lsn", "frames", "frames_end", "bytes_behind", "fault"];
    let rows = log.segments.iter().map(|s| {
        vec![
            json!(s.name),
            json!(s.epoch),
            json!(s.sequence),
            json!(s.file_bytes),
            json!(s.start_lsn),
            json!(s.frames.len() as u64 + s.more_frames),
            json!(s.frames_end),
            json!(s.bytes_behind),
            json!(s.header_fault),
        ]
    });
    sheet.table("segments", columns, rows);
    if args.frames {
        let columns = &[
            "sequence",
            "offset",
            "kind",
            "lsn",
            "bytes",
            "commit",
            "claim",
            "checksum",
            "follows",
            "puts",
            "deletes",
            "key_puts",
            "key_deletes",
            "range_deletes",
            "drops",
            "damage",
        ];
        let frames = log.segments.iter().flat_map(|s| s.frames.iter().map(|f| frame(s.sequence, f)));
        sheet.table("frames", columns, frames);
    }
    say(&sheet, json)
}

fn what_is_wanted(sheet: &mut Sheet, log: &LogReport) {
    match &log.wanted {
        None => sheet.field("wanted", "not known: no meta page can be read"),
        Some(wanted) => {
            let state = if wanted.clean { "nothing: the file was closed" } else { "from lsn on" };
            sheet.field("wanted", state).field("epoch", wanted.epoch).field("lsn", wanted.lsn);
            sheet.field("commit", wanted.commit)
        }
    };
    if let Some(end) = &log.end {
        sheet.field("end_lsn", end.lsn).field("commits", end.commits).maybe("last_commit", end.last_commit);
        sheet.field("dropped_bytes", end.dropped_bytes).maybe("refused", error(&end.error));
    }
}

fn frame(sequence: u32, frame: &FrameReport) -> Vec<Value> {
    let short = if frame.checksum == Checksum::Good { json!("good") } else { json!("bad") };
    vec![
        json!(sequence),
        json!(frame.offset),
        json!(frame.kind),
        json!(frame.lsn),
        json!(frame.bytes),
        json!(frame.commit),
        json!(frame.claim),
        short,
        json!(frame.follows),
        json!(frame.puts),
        json!(frame.deletes),
        json!(frame.key_puts),
        json!(frame.key_deletes),
        json!(frame.range_deletes),
        json!(frame.drops),
        json!(error(&frame.damage)),
    ]
}

/// Runs `nyro free`.
pub fn free(args: &Look, json: bool) -> Result<()> {
    let free = inspect::free(&args.path)?;
    let mut sheet = Sheet::default();
    sheet.field("file_pages", free.file_pages).field("pages_there", free.there);
    sheet.field("used_pages", free.used_pages).field("counted_used", free.counted_used);
    sheet.field("free_pages", free.free_pages).field("unknown_pages", free.unknown_pages);
    sheet.field("free_runs", free.free_runs).field("region_pages", free.region_pages);
    sheet.field("regions_of_pages", free.regions.pages).field("regions_of_extents", free.regions.extents);
    sheet.field("free_regions", free.regions.free);
    let runs = free.largest_free.iter().map(|(page, pages)| vec![json!(page), json!(pages)]);
    sheet.table("largest_free", &["page", "pages"], runs);
    damage(&mut sheet, &free.damage);
    say(&sheet, json)
}

/// Runs `nyro trie`.
pub fn trie(args: &Trie, json: bool) -> Result<()> {
    let path: &Path = &args.target.path;
    let trie = inspect::trie(path, &args.target.collection)?;
    let mut sheet = Sheet::default();
    sheet.field("collection", trie.collection.clone()).field("tree", trie.tree);
    sheet.field("entries", trie.entries).field("counted", trie.counted).field("levels", trie.levels);
    sheet.field("nodes_by_level", trie.nodes.clone()).field("leaf_pages", trie.leaf_pages);
    sheet.field("empty_leaves", trie.empty_leaves).field("mean_fill", (trie.mean_fill * 10.0).round() / 10.0);
    sheet.field("longest_chain", trie.longest_chain).field("overflowed", trie.overflowed);
    let fill = trie.fill.iter().enumerate().map(|(tenth, leaves)| vec![json!((tenth + 1) * 10), json!(leaves)]);
    sheet.table("fill", &["up_to_percent", "leaf_pages"], fill);
    let depths = trie.depths.iter().enumerate().filter(|(_, leaves)| **leaves > 0);
    sheet.table("depths", &["path_bits", "leaves"], depths.map(|(bits, leaves)| vec![json!(bits), json!(leaves)]));
    damage(&mut sheet, &trie.damage);
    say(&sheet, json)
}

fn damage(sheet: &mut Sheet, damage: &[Error]) {
    sheet.table("damage", &["what"], damage.iter().map(|e| vec![json!(e.to_string())]));
}
