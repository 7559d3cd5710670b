//! The walk over a bitmap of free space of which pages may be missing.

use super::super::copies::Only;
use super::*;

/// What the walk meets.
#[derive(Debug)]
pub enum Met<'a> {
    /// A chunk.
    Chunk(ChunkView<'a>),
    /// Chunks that can't be read.
    Damage {
        /// The first of them.
        chunk: u64,
        /// How many; those beyond the file are counted, too.
        chunks: u64,
        /// Why.
        error: Error,
    },
}

/// A chunk of the bitmap.
#[derive(Debug)]
pub struct ChunkView<'a> {
    /// Its number.
    pub index: u64,
    /// A bit for each page, set where it is used.
    pub used: &'a [u64; WORDS],
    /// Of each region: 0 free, 1 pages, 2 extents.
    pub regions: &'a [u8],
}

impl ChunkView<'_> {
    /// Runs of used pages, first and length, counted from the chunk's first page.
    pub fn runs(&self) -> Vec<(u64, u64)> {
        let mut runs = Vec::new();
        let _ = for_runs(self.used, |first, pages| {
            runs.push((first, pages));
            Ok(())
        });
        runs
    }
}

/// How the walk gets a page of a kind, whole.
pub type Read<'r> = &'r mut dyn FnMut(PageNo, PageKind) -> Result<PageBuf>;

/// Visits all chunks of a file of `file_pages` pages, in order. Chunks that were never written are left out: their
/// pages are free. Only errors of `visit` end it.
pub fn survey(
    read: Read<'_>,
    root: SpaceRoot,
    region_pages: u32,
    file_pages: u64,
    visit: &mut dyn FnMut(Met<'_>) -> Result<()>,
) -> Result<()> {
    let chunks = file_pages.div_ceil(CHUNK_PAGES);
    if root.height > MAX_HEIGHT {
        let error = Error::corrupt("space tree (height)", root.page.0, 0, MAX_HEIGHT.into(), root.height.into());
        return visit(Met::Damage { chunk: 0, chunks, error });
    }
    let survey = Survey { space: Space::open(root, region_pages, 0, file_pages), chunks };
    survey.visit(read, root.page, root.height, 0, visit)
}

struct Survey {
    space: Space,
    chunks: u64,
}

impl Survey {
    fn visit(
        &self,
        read: Read<'_>,
        page: PageNo,
        level: u8,
        index: u64,
        visit: &mut dyn FnMut(Met<'_>) -> Result<()>,
    ) -> Result<()> {
        let chunks = NODE_CHILDREN.saturating_pow(level.into());
        let first = index.saturating_mul(chunks);
        if page.is_none() || first >= self.chunks {
            return Ok(());
        }
        let kind = if level == 0 { PageKind::SpaceChunk } else { PageKind::SpaceNode };
        let bytes = match read(page, kind) {
            Ok(bytes) => bytes,
            Err(error) => return visit(Met::Damage { chunk: first, chunks, error }),
        };
        let source = Only { page, kind, bytes: &bytes };
        if level == 0 {
            return match chunk_view(&self.space, &source, page, index, &mut |view| visit(Met::Chunk(view))) {
                Ok(done) => done,
                Err(error) => visit(Met::Damage { chunk: first, chunks, error }),
            };
        }
        let children = match decode_node(&source, page, level, index) {
            Ok(children) => children,
            Err(error) => return visit(Met::Damage { chunk: first, chunks, error }),
        };
        for (at, child) in children.iter().enumerate() {
            self.visit(read, child.page, level - 1, index * NODE_CHILDREN + at as u64, visit)?;
        }
        Ok(())
    }
}

/// The outer error is that of the chunk, the inner one that of `visit`.
fn chunk_view(
    space: &Space,
    source: &Only<'_>,
    page: PageNo,
    index: u64,
    visit: &mut dyn FnMut(ChunkView<'_>) -> Result<()>,
) -> Result<Result<()>> {
    let chunk = space.decode_chunk(source, page, index)?;
    let regions: Vec<u8> = chunk.kinds.iter().map(|kind| *kind as u8).collect();
    Ok(visit(ChunkView { index, used: &chunk.used, regions: &regions }))
}

/// Shows one chunk of the bitmap, by itself.
pub fn show_chunk(
    bytes: &[u8],
    page: PageNo,
    region_pages: u32,
    visit: &mut dyn FnMut(ChunkView<'_>) -> Result<()>,
) -> Result<()> {
    let source = Only { page, kind: PageKind::SpaceChunk, bytes };
    let space = Space::open(SpaceRoot::default(), region_pages, 0, 0);
    chunk_view(&space, &source, page, get_u64(bytes, INDEX_AT), visit)?
}

/// One node of the bitmap, by itself.
#[derive(Debug)]
pub struct NodeView {
    /// Level above the chunks.
    pub level: u8,
    /// Number in its level.
    pub index: u64,
    /// Place, page and free pages of each child that is there.
    pub children: Vec<(u32, PageNo, u16)>,
}

/// Decodes one node of the bitmap, by itself.
pub fn node(bytes: &[u8], page: PageNo) -> Result<NodeView> {
    let source = Only { page, kind: PageKind::SpaceNode, bytes };
    let (index, level) = (get_u64(bytes, INDEX_AT), bytes[LEVEL_AT]);
    let children = decode_node(&source, page, level, index)?;
    let children = children.iter().enumerate().filter(|(_, child)| !child.page.is_none());
    Ok(NodeView { level, index, children: children.map(|(at, c)| (at as u32, c.page, c.free)).collect() })
}
