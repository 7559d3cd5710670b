//! The shapes that documents have: which field names, in which order. Most documents of a collection share a few.
//!
//! ```text
//!   (root) -- _id -- name -- age          a node for each field name behind those before it
//!               \       \-- address       "likely": the child that came last, compared first
//!                \-- email
//!
//!   node: the name as bytes and as str;   where a map ends: a template {"_id": None, "name": None, "age": None}
//!         a root of its own for the maps that are this field's value
//! ```
//!
//! A map is read down the tree: comparing a few bytes with the likely child's takes the place of making the name, and
//! copying the template that of building a dict key by key.
//!
//! Maps whose names are data (ids as keys, say) would make a tree without end. So a node has few children, and the
//! whole few nodes: beyond that a map is read without a shape.

use super::types;
use pyo3::ffi;
use pyo3::ffi::PyObject;

/// Most nodes.
const MOST_NODES: usize = 8192;

/// Most names that may follow a name.
const MOST_CHILDREN: usize = 16;

/// A place in the tree; `NONE` is outside of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node(u32);

/// No node: read without a shape.
pub const NONE: Node = Node(u32::MAX);

/// One field name behind those before it.
struct Entry {
    /// The name with its MessagePack head.
    bytes: Box<[u8]>,
    name: *mut PyObject,
    parent: Node,
    likely: Node,
    children: Vec<Node>,
    /// Root of the maps that are this field's value.
    inside: Node,
    /// A dict with all names down to here, once a second map ended here.
    template: *mut PyObject,
    names: Box<[*mut PyObject]>,
    ended: bool,
}

/// All shapes seen. It is never freed: its objects live as long as the process.
pub struct Shapes {
    entries: Vec<Entry>,
}

/// A map's template and its names.
pub struct Template<'s> {
    /// A dict with all names, whose values are `None`.
    pub dict: *mut PyObject,
    /// The names in their order.
    pub names: &'s [*mut PyObject],
}

impl Shapes {
    /// No shapes; [`Shapes::root`] is where documents begin.
    pub fn new() -> Shapes {
        let mut shapes = Shapes { entries: Vec::new() };
        shapes.add(NONE, Box::default(), std::ptr::null_mut());
        shapes
    }

    /// Where documents begin.
    pub fn root(&self) -> Node {
        Node(0)
    }

    fn add(&mut self, parent: Node, bytes: Box<[u8]>, name: *mut PyObject) -> Node {
        let node = Node(self.entries.len() as u32);
        self.entries.push(Entry {
            bytes,
            name,
            parent,
            likely: NONE,
            children: Vec::new(),
            inside: NONE,
            template: std::ptr::null_mut(),
            names: Box::default(),
            ended: false,
        });
        node
    }

    #[inline]
    fn entry(&self, node: Node) -> Option<&Entry> {
        self.entries.get(node.0 as usize)
    }

    /// The likely next node and its name's bytes.
    #[inline]
    pub fn likely(&self, node: Node) -> Option<(Node, &[u8])> {
        let likely = self.entry(node)?.likely;
        Some((likely, &self.entry(likely)?.bytes))
    }

    /// The next node by its name's bytes, head included; made if there is room. `NONE` if not, or if the name is not
    /// UTF-8: then reading it again tells.
    ///
    /// # Safety
    /// The GIL is held.
    pub unsafe fn child(&mut self, node: Node, bytes: &[u8], head: usize) -> Node {
        let Some(entry) = self.entries.get(node.0 as usize) else { return NONE };
        let found = entry.children.iter().copied().find(|&child| self.entry(child).is_some_and(|e| *e.bytes == *bytes));
        let child = match found {
            Some(child) => child,
            None if self.entries.len() < MOST_NODES && entry.children.len() < MOST_CHILDREN => {
                // SAFETY: as this function requires.
                let name = unsafe { types::new_interned(&bytes[head..]) };
                if name.is_null() {
                    return NONE;
                }
                let child = self.add(node, bytes.into(), name);
                self.entries[node.0 as usize].children.push(child);
                child
            }
            None => return NONE,
        };
        self.entries[node.0 as usize].likely = child;
        child
    }

    /// The root of the maps that are the value of this node's field; made if there is room.
    #[inline]
    pub fn inside(&mut self, node: Node) -> Node {
        let room = self.entries.len() < MOST_NODES;
        let Some(entry) = self.entry(node) else { return NONE };
        if entry.inside != NONE || !room {
            return entry.inside;
        }
        let inside = self.add(NONE, Box::default(), std::ptr::null_mut());
        self.entries[node.0 as usize].inside = inside;
        inside
    }

    /// The template of the maps that end at this node: from the second one on.
    ///
    /// # Safety
    /// The GIL is held.
    #[inline]
    pub unsafe fn template(&mut self, node: Node) -> Option<Template<'_>> {
        let entry = self.entries.get(node.0 as usize)?;
        if entry.template.is_null() {
            // SAFETY: as this function requires.
            unsafe { self.make_template(node)? };
        }
        let entry = &self.entries[node.0 as usize];
        Some(Template { dict: entry.template, names: &entry.names })
    }

    /// # Safety
    /// The GIL is held.
    #[cold]
    unsafe fn make_template(&mut self, node: Node) -> Option<()> {
        let entry = self.entries.get_mut(node.0 as usize)?;
        if !std::mem::replace(&mut entry.ended, true) {
            return None;
        }
        let mut names = Vec::new();
        let mut at = node;
        while let Some(entry) = self.entry(at).filter(|entry| !entry.name.is_null()) {
            names.push(entry.name);
            at = entry.parent;
        }
        names.reverse();
        // SAFETY: as this function requires; names are alive, as the tree has a reference to each.
        unsafe {
            let dict = types::Owned::new(ffi::PyDict_New()).ok()?;
            for &name in &names {
                if ffi::PyDict_SetItem(dict.get(), name, ffi::Py_None()) != 0 {
                    ffi::PyErr_Clear();
                    return None;
                }
            }
            // The same name twice: such a map is malformed, and is read field by field.
            if ffi::PyDict_Size(dict.get()) as usize != names.len() {
                return None;
            }
            let entry = &mut self.entries[node.0 as usize];
            (entry.template, entry.names) = (dict.into_raw(), names.into());
        }
        Some(())
    }

    /// The name of a node; null at a root.
    #[inline]
    pub fn name(&self, node: Node) -> *mut PyObject {
        self.entry(node).map_or(std::ptr::null_mut(), |entry| entry.name)
    }

    /// The node before a node.
    pub fn parent(&self, node: Node) -> Node {
        self.entry(node).map_or(NONE, |entry| entry.parent)
    }
}
