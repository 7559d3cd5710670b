//! The walk over a tree of which pages may be missing: it goes on beside what it can't read.

use super::super::copies::Only;
use super::node::{Fence, Node};
use super::TreeRoot;
use crate::error::{Error, Result};
use crate::file::page::{PageBuf, PageKind, PageNo};

/// What the walk meets.
#[derive(Debug)]
pub enum Met<'a> {
    /// An entry of the leaf at `page`.
    Entry {
        /// Its key.
        key: u64,
        /// Its value.
        value: &'a [u8],
        /// The leaf.
        page: PageNo,
    },
    /// A page that can't be read, with all that hangs below it.
    Damage {
        /// The page.
        page: PageNo,
        /// Why.
        error: Error,
    },
}

/// How the walk gets a page of a kind, whole.
pub type Read<'r> = &'r mut dyn FnMut(PageNo, PageKind) -> Result<PageBuf>;

/// Visits all of the tree that can be read, in key order. Only errors of `visit` end it. The rules of the tree are
/// checked on each page, so that no page is visited twice.
pub fn salvage(read: Read<'_>, root: &TreeRoot, tree: u64, visit: &mut dyn FnMut(Met<'_>) -> Result<()>) -> Result<()> {
    if root.page.is_none() {
        return Ok(());
    }
    salvage_node(read, root.page, root.level, tree, Fence::ROOT, visit)
}

fn salvage_node(
    read: Read<'_>,
    page: PageNo,
    level: u8,
    tree: u64,
    fence: Fence,
    visit: &mut dyn FnMut(Met<'_>) -> Result<()>,
) -> Result<()> {
    let kind = if level == 0 { PageKind::TreeLeaf } else { PageKind::TreeBranch };
    let bytes = match read(page, kind) {
        Ok(bytes) => bytes,
        Err(error) => return visit(Met::Damage { page, error }),
    };
    let source = Only { page, kind, bytes: &bytes };
    let node = match open(&source, page, level, tree, fence) {
        Ok(node) => node,
        Err(error) => return visit(Met::Damage { page, error }),
    };
    for index in 0..node.count() {
        if level == 0 {
            match node.value(index) {
                Ok(value) => visit(Met::Entry { key: node.key(index), value, page })?,
                Err(error) => visit(Met::Damage { page, error })?,
            }
            continue;
        }
        match node.child(index) {
            Ok(child) => salvage_node(read, child, level - 1, tree, node.fence(index, fence), visit)?,
            Err(error) => visit(Met::Damage { page, error })?,
        }
    }
    Ok(())
}

fn open<'s>(source: &'s Only<'_>, page: PageNo, level: u8, tree: u64, fence: Fence) -> Result<Node<'s>> {
    let node = Node::open(source, page, level, fence.first)?;
    if node.tree() != tree {
        return Err(Error::corrupt("page tree (tree number)", page.0, 0, tree, node.tree()));
    }
    node.validate(fence)?;
    Ok(node)
}

/// What stands on one page of a tree, whatever tree it is of.
#[derive(Debug)]
pub enum NodeContents {
    /// Keys and values of a leaf.
    Leaf(Vec<(u64, Vec<u8>)>),
    /// Level, keys and children of a branch.
    Branch(u8, Vec<(u64, PageNo)>),
}

/// Decodes one page of kind `kind`, by itself; its level is taken from it.
pub fn contents(bytes: &[u8], page: PageNo, kind: PageKind) -> Result<NodeContents> {
    let source = Only { page, kind, bytes };
    let level = Node::level_of(bytes);
    let node = Node::open(&source, page, level, None)?;
    node.validate(Fence::ROOT)?;
    if level == 0 {
        let entry = |index| Ok((node.key(index), node.value(index)?.to_vec()));
        return Ok(NodeContents::Leaf((0..node.count()).map(entry).collect::<Result<_>>()?));
    }
    let child = |index| Ok((node.key(index), node.child(index)?));
    Ok(NodeContents::Branch(level, (0..node.count()).map(child).collect::<Result<_>>()?))
}
