//! The collections that were written to since opening, as the writer knows them; mostly the same one again.
//!
//! ```text
//!   last: 1 ----------------+
//!   list     [ tree 5 ][ tree 9 ][ tree 2 ]
//!   places   5 -> 0, 9 -> 1, 2 -> 2
//! ```

use super::writer::TreeWriter;
use crate::int_map::IntMap;

/// See the module's text.
#[derive(Debug, Default)]
pub struct TreeWriters {
    list: Vec<(u32, TreeWriter)>,
    places: IntMap<u32, usize>,
    last: usize,
}

impl TreeWriters {
    /// That of a collection.
    #[inline]
    pub fn get(&mut self, tree: u32) -> Option<&mut TreeWriter> {
        let at = self.place(tree)?;
        self.list.get_mut(at).map(|(_, writer)| writer)
    }

    #[inline]
    fn place(&mut self, tree: u32) -> Option<usize> {
        if self.list.get(self.last).is_none_or(|(other, _)| *other != tree) {
            self.last = *self.places.get(&tree)?;
        }
        Some(self.last)
    }

    /// That of a collection, made if it is missing.
    #[inline]
    pub fn get_or_make<E>(
        &mut self,
        tree: u32,
        make: impl FnOnce() -> Result<TreeWriter, E>,
    ) -> Result<&mut TreeWriter, E> {
        let at = match self.place(tree) {
            Some(at) => at,
            None => {
                self.list.push((tree, make()?));
                self.places.insert(tree, self.list.len() - 1);
                self.list.len() - 1
            }
        };
        Ok(&mut self.list[at].1)
    }

    /// Takes that of a collection out.
    pub fn remove(&mut self, tree: u32) -> Option<TreeWriter> {
        let at = self.places.remove(&tree)?;
        let (_, removed) = self.list.swap_remove(at);
        if let Some((moved, _)) = self.list.get(at) {
            self.places.insert(*moved, at);
        }
        Some(removed)
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut TreeWriter)> {
        self.list.iter_mut().map(|(tree, writer)| (*tree, writer))
    }
}
