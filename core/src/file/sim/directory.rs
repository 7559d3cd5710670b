//! The simulated directory: names that are visible, names that are durable, changes in between.

use super::inode::{Fate, Inode};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Files by name.
pub(super) type Names = BTreeMap<Arc<str>, Arc<Inode>>;

/// A name that was given to a file, or taken away (`None`).
#[derive(Debug, Clone)]
struct Link {
    /// A name that is gone in the same step.
    from: Option<Arc<str>>,
    name: Arc<str>,
    inode: Option<Arc<Inode>>,
    fate: Fate,
}

impl Link {
    fn apply(&self, names: &mut Names) {
        if let Some(from) = &self.from {
            names.remove(from);
        }
        match &self.inode {
            Some(inode) => names.insert(self.name.clone(), inode.clone()),
            None => names.remove(&self.name),
        };
    }
}

/// One directory. The rules for its changes are those of a file's (`inode`), but a power cut keeps a
/// prefix of them, as a journal does.
#[derive(Debug, Default)]
pub(super) struct Directory {
    visible: Names,
    durable: Names,
    changes: Vec<Link>,
}

impl Directory {
    /// A directory that holds `names`, durably.
    pub(super) fn durable(names: Names) -> Directory {
        Directory { visible: names.clone(), durable: names, changes: Vec::new() }
    }

    /// What programs see.
    pub(super) fn visible(&self) -> &Names {
        &self.visible
    }

    /// Puts a file there, durably, past all rules.
    pub(super) fn place(&mut self, inode: &Arc<Inode>) {
        self.visible.insert(inode.name.clone(), inode.clone());
        self.durable.insert(inode.name.clone(), inode.clone());
    }

    pub(super) fn create(&mut self, inode: &Arc<Inode>) {
        self.change(None, inode.name.clone(), Some(inode.clone()));
    }

    pub(super) fn remove(&mut self, name: Arc<str>) {
        self.change(None, name, None);
    }

    pub(super) fn rename(&mut self, from: Arc<str>, to: Arc<str>, inode: &Arc<Inode>) {
        self.change(Some(from), to, Some(inode.clone()));
    }

    fn change(&mut self, from: Option<Arc<str>>, name: Arc<str>, inode: Option<Arc<Inode>>) {
        let link = Link { from, name, inode, fate: Fate::Pending };
        link.apply(&mut self.visible);
        self.changes.push(link);
    }

    /// A sync that succeeds.
    pub(super) fn sync(&mut self) {
        self.set_fate_of_pending(Fate::Synced);
        let undecided = self.changes.iter().position(|l| l.fate != Fate::Synced);
        for link in self.changes.drain(..undecided.unwrap_or(self.changes.len())) {
            link.apply(&mut self.durable);
        }
    }

    /// A sync that fails.
    pub(super) fn fail_sync(&mut self) {
        self.set_fate_of_pending(Fate::Orphaned);
    }

    fn set_fate_of_pending(&mut self, fate: Fate) {
        for link in self.changes.iter_mut().filter(|l| l.fate == Fate::Pending) {
            link.fate = fate;
        }
    }

    /// How many changes a power cut may lose.
    pub(super) fn unsynced(&self) -> usize {
        self.changes.iter().filter(|l| l.fate != Fate::Synced).count()
    }

    /// The names after a power cut that keeps the first `kept` of the changes that are not durable.
    pub(super) fn after_power_cut(&self, mut kept: usize) -> Names {
        let mut names = self.durable.clone();
        for link in &self.changes {
            if link.fate == Fate::Synced {
                link.apply(&mut names);
            } else if kept > 0 {
                kept -= 1;
                link.apply(&mut names);
            }
        }
        names
    }

    /// All files that have a name now, had one, or may have one again after a power cut, by id.
    pub(super) fn inodes(&self) -> Vec<Arc<Inode>> {
        let linked = self.changes.iter().filter_map(|l| l.inode.as_ref());
        let all = self.visible.values().chain(self.durable.values()).chain(linked);
        let by_id: BTreeMap<u64, &Arc<Inode>> = all.map(|inode| (inode.id, inode)).collect();
        by_id.into_values().cloned().collect()
    }

    /// The same directory in another disk after the process died.
    pub(super) fn after_process_crash(&self) -> Directory {
        let copies: BTreeMap<u64, Arc<Inode>> =
            self.inodes().iter().map(|inode| (inode.id, Arc::new(inode.after_process_crash()))).collect();
        let copy = |inode: &Arc<Inode>| copies[&inode.id].clone();
        let names = |names: &Names| names.iter().map(|(name, inode)| (name.clone(), copy(inode))).collect();
        let link = |l: &Link| Link { inode: l.inode.as_ref().map(copy), ..l.clone() };
        Directory {
            visible: names(&self.visible),
            durable: names(&self.durable),
            changes: self.changes.iter().map(link).collect(),
        }
    }
}
