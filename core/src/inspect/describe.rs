//! What the inspectors tell: plain structs, printed by whoever asked.

use crate::error::Error;

/// Whether the checksum of a page, header or frame is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// It is.
    Good,
    /// It is not.
    Bad {
        /// The checksum of the bytes that are there.
        expected: u64,
        /// The checksum that is written there.
        got: u64,
    },
    /// Not known: no meta page says the file's identity, which seeds it.
    Unknown,
}

/// What the bitmap of free space says of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageUse {
    /// The last checkpoint reaches it.
    Used,
    /// It does not: what is on the page is old, or never was.
    Free,
    /// The bitmap can't be read there.
    Unknown,
}

/// A page: what it is, and what is on it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PageReport {
    /// Its number.
    pub page: u64,
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Pages that the file has.
    pub file_pages: u64,
    /// What the bitmap of free space says of it.
    pub page_use: PageUse,
    /// First page of the block or extent that it lies in and does not begin; the rest is about that unit.
    pub inside: Option<u64>,
    /// The header of the unit. None for a meta page, and where no kind of unit begins.
    pub unit: Option<UnitReport>,
    /// Whether its checksum is right: of the whole unit, of an extent of the first piece.
    pub checksum: Checksum,
    /// What it holds, as far as it can be read.
    pub contents: Contents,
    /// What is wrong with it, besides a wrong checksum. What was decoded before stands in `contents`.
    pub damage: Option<Error>,
}

/// The header that every unit but the meta pages begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnitReport {
    /// The page number in the header, which should be the page's own.
    pub page: u64,
    /// Name of the kind, as in the specification of the format.
    pub kind: &'static str,
    /// Length of the unit in pages.
    pub pages: u64,
    /// The checkpoint that wrote it.
    pub generation: u64,
    /// The collection's tree number; 0 for the catalog and for structures of the file.
    pub tree: u64,
}

/// The decoded contents of a unit.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Contents {
    /// A meta page.
    Meta(Box<MetaReport>),
    /// A record block.
    Block(BlockReport),
    /// The beginning of an extent: a large document.
    Extent(ExtentReport),
    /// A leaf of a hash trie.
    TrieLeaf(TrieLeafReport),
    /// An interior node of a hash trie.
    TrieNode(TrieNodeReport),
    /// A leaf of a page tree: a part of the tree table or of a block directory.
    TreeLeaf(Vec<TreeLeafEntry>),
    /// A branch of a page tree.
    TreeBranch(TreeBranchReport),
    /// A chunk of the bitmap of free space.
    SpaceChunk(SpaceChunkReport),
    /// An interior node of the bitmap of free space.
    SpaceNode(SpaceNodeReport),
    /// A leaf of a run of the sorted index.
    RunLeaf(Vec<RunEntryReport>),
    /// All bytes are zero.
    Zeros,
    /// Nothing that is known.
    Unreadable,
}

/// The fields of a meta page, in the order of the specification.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetaReport {
    /// Version of the format.
    pub version: u32,
    /// Bits of the required features.
    pub required_features: u64,
    /// Bits of the optional features.
    pub optional_features: u64,
    /// Identity of the file.
    pub identity: [u8; 16],
    /// The key of the hash of ids.
    pub hash_key: [u64; 2],
    /// One more for each meta page written with new content.
    pub sequence: u64,
    /// Number of the checkpoint.
    pub generation: u64,
    /// No log is needed.
    pub clean: bool,
    /// The last commit that the checkpoint holds.
    pub commit: u64,
    /// Epoch of the log.
    pub epoch: u64,
    /// Place in the log from which to replay.
    pub lsn: u64,
    /// Checksum of the frame before that place.
    pub chain: u64,
    /// For the next record.
    pub next_ordinal: u64,
    /// For the next collection.
    pub next_tree: u64,
    /// Length of the file in pages.
    pub file_pages: u64,
    /// Pages that the checkpoint reaches.
    pub used_pages: u64,
    /// Pages in a region.
    pub region_pages: u32,
    /// Root page of the tree table, 0 for none.
    pub tree_table_page: u64,
    /// Level of that page.
    pub tree_table_level: u8,
    /// Root page of the manifest, which names the runs of the sorted index; 0 for none.
    pub manifest_page: u64,
    /// Level of that page.
    pub manifest_level: u8,
    /// For the next run.
    pub next_run: u64,
    /// Bytes of keys and values that were flushed to runs, ever.
    pub flushed_bytes: u64,
    /// Bytes of runs that were written, ever.
    pub run_bytes: u64,
    /// Root page of the free space, 0 for none.
    pub space_page: u64,
    /// Height of its tree.
    pub space_height: u8,
    /// Pages of all record blocks.
    pub block_pages: u64,
    /// Bytes of the live records in them.
    pub block_live_bytes: u64,
    /// This is the meta page that counts.
    pub chosen: bool,
}

/// A record block.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BlockReport {
    /// Ordinal of its first record.
    pub base_ordinal: u64,
    /// Offset in bytes behind the last record.
    pub end: u32,
    /// Length of the block in bytes.
    pub bytes: u32,
    /// Its records, live or not: that is said by the directory.
    pub records: Vec<RecordReport>,
}

/// A record in a block.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RecordReport {
    /// Offset of its first byte in the block.
    pub position: u32,
    /// Its ordinal.
    pub ordinal: u64,
    /// The `_id`, as JSON; none where the record does not begin like a document.
    pub id: Option<String>,
    /// Offset in the file and length of the document's bytes, or of those of the stub.
    pub document_at: u64,
    /// See `document_at`.
    pub document_bytes: u32,
    /// For the stub of a large document: first page of the extent, and the document's length in bytes.
    pub extent: Option<(u64, u64)>,
    /// False where the directory says that the record is dead; none where it could not be asked.
    pub live: Option<bool>,
}

/// The beginning of an extent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExtentReport {
    /// Its length in pages.
    pub pages: u64,
    /// Length of the document in bytes.
    pub document_bytes: u64,
    /// Offset of the document's first byte in the file.
    pub document_at: u64,
    /// The `_id`, as JSON.
    pub id: Option<String>,
    /// Its pieces of 64 KiB, the first included, that are damaged: number from 0.
    pub damaged_pieces: Vec<u32>,
}

/// A leaf of a hash trie.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TrieLeafReport {
    /// Path bits that lead to it.
    pub depth: u8,
    /// First path bit in the tags.
    pub tag_base: u8,
    /// The leaf chained to it.
    pub next: Option<u64>,
    /// Leaves that follow in the chain.
    pub rest: u32,
    /// Its entries, in the order of the lines.
    pub entries: Vec<TrieEntryReport>,
}

/// An entry of a leaf of a hash trie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrieEntryReport {
    /// The line that it stands in, 0 to 62.
    pub line: u8,
    /// Its tag.
    pub tag: u32,
    /// First page of the block with its record.
    pub page: u64,
    /// Position of the record in the block.
    pub position: u16,
}

/// An interior node of a hash trie.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TrieNodeReport {
    /// Level above the leaves, 1 to 8.
    pub level: u8,
    /// Path bits that lead to it.
    pub depth: u8,
    /// Path bits by which it chooses.
    pub bits: u8,
    /// Its children in the order of their paths: page (0 for a leaf without entries), depth, slots filled.
    pub children: Vec<TrieChildReport>,
}

/// A child of an interior node of a hash trie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrieChildReport {
    /// Its page, 0 for a leaf without entries.
    pub page: u64,
    /// Path bits that lead to it.
    pub depth: u8,
    /// Slots of the node that it fills.
    pub slots: u32,
}

/// An entry of a leaf of a page tree.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TreeLeafEntry {
    /// Its key: a tree number, or the base ordinal of a block.
    pub key: u64,
    /// Its value.
    pub value: TreeValue,
}

/// What an entry of a page tree says.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TreeValue {
    /// In a block directory: a block.
    Block {
        /// First page of the block.
        page: u64,
        /// It has 2^order pages.
        order: u8,
        /// Records in it.
        slots: u16,
        /// Live records.
        live: u16,
        /// Bytes of the live records.
        live_bytes: u32,
        /// Some of its records may be stubs of large documents.
        large: bool,
    },
    /// In the tree table: a collection.
    Collection {
        /// Root page of its trie, 0 for none.
        trie_page: u64,
        /// Level of that page.
        trie_level: u8,
        /// Root page of its block directory, 0 for none.
        directory_page: u64,
        /// Level of that page.
        directory_level: u8,
        /// Documents.
        live: u64,
        /// Bytes of the documents.
        live_bytes: u64,
        /// The largest positive integer id it ever held, 0 for none.
        max_id: u64,
    },
    /// Neither.
    Bytes(Vec<u8>),
}

/// A key of a leaf of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunEntryReport {
    /// The keyspace's tree number.
    pub tree: u32,
    /// The key.
    pub key: Vec<u8>,
    /// Bytes of its value; none for a tombstone.
    pub value_bytes: Option<u64>,
    /// The extent that the value lies in, if it is large.
    pub extent: Option<u64>,
}

/// A run of the sorted index, as the manifest has it. Whole keys begin with the number of their keyspace's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunReport {
    /// Its number.
    pub run: u64,
    /// 0 to 7; runs of higher levels are older.
    pub level: u8,
    /// In level 0: which flush wrote it, or which merge of flushes; higher ones are newer.
    pub set: u64,
    /// Its first page.
    pub page: u64,
    /// Pages of its leaves.
    pub leaf_pages: u32,
    /// Pages of its tail, which is behind them.
    pub tail_pages: u32,
    /// Keys, deleted ones too.
    pub entries: u64,
    /// Keys that it says are deleted.
    pub deleted: u64,
    /// Bytes of all whole keys and values.
    pub bytes: u64,
    /// It deletes ranges.
    pub ranges: bool,
    /// It has large values.
    pub large: bool,
    /// The last key is the end of a range, and not in it.
    pub open_end: bool,
    /// The first whole key of keys and ranges, or its first 256 bytes.
    pub first: Vec<u8>,
    /// It is longer.
    pub first_cut: bool,
    /// The last whole key, or the end of the last range, or its first 256 bytes.
    pub last: Vec<u8>,
    /// It is longer.
    pub last_cut: bool,
}

/// The runs of the sorted index.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunsReport {
    /// As many as could be read, by number.
    pub runs: Vec<RunReport>,
    /// Why there may be more.
    pub damage: Option<Error>,
}

/// A run with what is on its pages.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunDetails {
    /// Its entry in the manifest.
    pub run: RunReport,
    /// Its tail, none where that can't be read.
    pub tail: Option<RunTailReport>,
    /// Its leaves, in the order of the pages.
    pub leaves: Vec<RunLeafReport>,
    /// Its keys, if they were asked for; without those that could not be read.
    pub entries: Vec<RunEntryReport>,
    /// What can't be read or does not agree, at most 100.
    pub damage: Vec<Error>,
}

/// The tail of a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunTailReport {
    /// Its first page.
    pub page: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its pieces of 64 KiB that have a wrong checksum: number from 0.
    pub damaged_pieces: Vec<u32>,
    /// What all separators begin with.
    pub prefix: Vec<u8>,
    /// Of each leaf its page, counted from the first of the run, and its separator: a whole key that is not above its
    /// keys.
    pub leaves: Vec<(u64, Vec<u8>)>,
    /// Bytes of the filter.
    pub filter_bytes: u64,
    /// Bits of it that are set.
    pub filter_bits_set: u64,
    /// The ranges that the run deletes: the first whole key, and the first one behind.
    pub ranges: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A leaf of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunLeafReport {
    /// Its first page.
    pub page: u64,
    /// Its length in pages.
    pub pages: u64,
    /// Whether its checksum is right.
    pub checksum: Checksum,
    /// Keys that could be read.
    pub entries: u64,
}

/// A branch of a page tree.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TreeBranchReport {
    /// Level above the leaves, 1 to 9.
    pub level: u8,
    /// First key and page of each child.
    pub children: Vec<(u64, u64)>,
}

/// A chunk of the bitmap of free space.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SpaceChunkReport {
    /// Number of the chunk.
    pub index: u64,
    /// The first page it is about.
    pub first_page: u64,
    /// Used pages.
    pub used: u64,
    /// Runs of used pages: first page and length.
    pub runs: Vec<(u64, u64)>,
    /// Regions that serve single pages and blocks.
    pub page_regions: u64,
    /// Regions that serve extents.
    pub extent_regions: u64,
}

/// An interior node of the bitmap of free space.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SpaceNodeReport {
    /// Level above the chunks, 1 to 4.
    pub level: u8,
    /// Number of the node in its level.
    pub index: u64,
    /// Its children: place, page, free pages as the node says. Places without a child are left out.
    pub children: Vec<(u32, u64, u16)>,
}

/// The log of a database: its segments, their frames, and where it ends.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogReport {
    /// What the meta page that counts says, none where none can be read.
    pub wanted: Option<LogStart>,
    /// All segments beside the file, of other epochs too, by epoch and sequence.
    pub segments: Vec<SegmentReport>,
    /// The place behind the last frame that a recovery would take, and why it ends there; none where no log
    /// is needed, or there is none to begin with.
    pub end: Option<LogEnd>,
}

/// Where recovery begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogStart {
    /// The file was closed: no log is needed.
    pub clean: bool,
    /// Epoch of the log.
    pub epoch: u64,
    /// Place of the first frame wanted.
    pub lsn: u64,
    /// Checksum of the frame before it.
    pub chain: u64,
    /// The last commit in the file.
    pub commit: u64,
}

/// Where the log ends.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogEnd {
    /// The place behind the last frame that counts.
    pub lsn: u64,
    /// Commits from the start to there.
    pub commits: u64,
    /// The last of them.
    pub last_commit: Option<u64>,
    /// Bytes behind that held something and are dropped: the tail that a crash tore.
    pub dropped_bytes: u64,
    /// Why recovery would refuse the log: damage to what was durable, or a missing segment.
    pub error: Option<Error>,
}

/// A segment of the log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SegmentReport {
    /// Name of the file.
    pub name: String,
    /// Epoch in the name.
    pub epoch: u64,
    /// Sequence in the name.
    pub sequence: u32,
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// LSN of its first frame, as the header says.
    pub start_lsn: Option<u64>,
    /// Why the header is not taken, as a text.
    pub header_fault: Option<String>,
    /// Its frames, one behind the other from the first.
    pub frames: Vec<FrameReport>,
    /// Frames beyond those in `frames`, which holds no more than 100 000.
    pub more_frames: u64,
    /// Offset in the file behind the last frame.
    pub frames_end: u64,
    /// Bytes behind the last frame up to the last that is not zero.
    pub bytes_behind: u64,
}

/// A frame of the log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FrameReport {
    /// Offset in the file.
    pub offset: u64,
    /// What it is for: `"commit"`, `"claim"` or `"end"`.
    pub kind: &'static str,
    /// The place that it names.
    pub lsn: u64,
    /// Bytes of the whole frame.
    pub bytes: u64,
    /// Number of the commit, or of the last one before.
    pub commit: u64,
    /// All before this was known durable when the frame was written.
    pub claim: u64,
    /// Whether its checksum is right.
    pub checksum: Checksum,
    /// It names the checksum of the frame before.
    pub follows: bool,
    /// For a commit: ordinal of its first record.
    pub first_ordinal: u64,
    /// Documents put.
    pub puts: u64,
    /// Deletes.
    pub deletes: u64,
    /// Keys of keyspaces put.
    pub key_puts: u64,
    /// Keys of keyspaces deleted.
    pub key_deletes: u64,
    /// Ranges of keys deleted.
    pub range_deletes: u64,
    /// Collections and keyspaces dropped.
    pub drops: u64,
    /// The first change that could not be read.
    pub damage: Option<Error>,
}

/// The free space of a file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FreeReport {
    /// Pages in the file, as the meta page says.
    pub file_pages: u64,
    /// Pages that the file really has.
    pub there: u64,
    /// Used pages, as the meta page says.
    pub used_pages: u64,
    /// Used pages, counted in the bitmap.
    pub counted_used: u64,
    /// Free pages within the file.
    pub free_pages: u64,
    /// Pages of which the bitmap could not be read.
    pub unknown_pages: u64,
    /// Pages in a region.
    pub region_pages: u32,
    /// Regions of which a page is used, by what they serve, and those that are free.
    pub regions: RegionCounts,
    /// Used pages of each region, in order; 65 535 where unknown.
    pub region_used: Vec<u16>,
    /// The largest runs of free pages, first page and length, the longest first; at most 20.
    pub largest_free: Vec<(u64, u64)>,
    /// Runs of free pages.
    pub free_runs: u64,
    /// Parts of the bitmap that can't be read; at most 100.
    pub damage: Vec<Error>,
}

/// Regions by what they serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RegionCounts {
    /// Free.
    pub free: u64,
    /// Single pages and blocks.
    pub pages: u64,
    /// Extents.
    pub extents: u64,
}

/// The hash trie of a collection, as the last checkpoint has it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TrieReport {
    /// Name of the collection.
    pub collection: String,
    /// Its tree number.
    pub tree: u32,
    /// Entries, as the root says.
    pub entries: u64,
    /// Entries counted.
    pub counted: u64,
    /// Levels: 0 for an empty trie, 1 for a single leaf.
    pub levels: u32,
    /// Nodes of each level, leaves first; of the leaves those chained to others are left out.
    pub nodes: Vec<u64>,
    /// Pages of leaves, chained ones included.
    pub leaf_pages: u64,
    /// Slots that lead to no leaf, as nothing is there: leaves without entries.
    pub empty_leaves: u64,
    /// Leaf pages by how full they are: up to 10 %, up to 20 % and so on of 300 entries.
    pub fill: [u64; 10],
    /// Mean entries of a leaf page.
    pub mean_fill: f64,
    /// Leaves by path bits that lead to them, 0 to 48.
    pub depths: Vec<u64>,
    /// Leaves in the longest chain; 1 where none is chained.
    pub longest_chain: u64,
    /// Entries that stand in another line than the one where the search for them begins.
    pub overflowed: u64,
    /// Parts of the trie that can't be read, at most 100; what hangs below them is not counted.
    pub damage: Vec<Error>,
}
