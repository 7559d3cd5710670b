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
//! Maps whose names are data (ids as keys, say) would make a tree without end. So the number of nodes is limited, in
//! all and behind one name: beyond that a map is read without a shape. Once that was so many times, all is forgotten, and
//! the shapes in use are back soon.

use super::types;
use pyo3::ffi;
use pyo3::ffi::PyObject;
use std::collections::HashMap;

/// Most nodes.
const MOST_NODES: usize = 8192;

/// Most names that may follow a name.
const MOST_CHILDREN: u32 = 256;

/// Maps read without a shape before all is forgotten.
const MOST_MISSES: u32 = 4096;

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
    children: u32,
    /// Root of the maps that are this field's value.
    inside: Node,
    /// A dict with all names down to here, once a second map ended here.
    template: *mut PyObject,
    names: Box<[*mut PyObject]>,
    ended: bool,
}

/// All shapes seen. It is freed only by [`Shapes::forget`]: at the end of the process its objects stay.
pub struct Shapes {
    entries: Vec<Entry>,
    /// The children that are not the likely ones: by parent, and by the name's bytes.
    children: HashMap<u32, HashMap<Box<[u8]>, Node>>,
    misses: u32,
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
        let mut shapes = Shapes { entries: Vec::new(), children: HashMap::new(), misses: 0 };
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
            children: 0,
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
        let nodes = self.entries.len();
        let Some(entry) = self.entries.get_mut(node.0 as usize) else { return NONE };
        let found = self.children.get(&node.0).and_then(|children| children.get(bytes)).copied();
        let child = match found {
            Some(child) => child,
            None if nodes < MOST_NODES && entry.children < MOST_CHILDREN => {
                // SAFETY: as this function requires.
                let name = unsafe { types::new_interned(&bytes[head..]) };
                if name.is_null() {
                    return NONE;
                }
                entry.children += 1;
                let child = self.add(node, bytes.into(), name);
                self.children.entry(node.0).or_default().insert(bytes.into(), child);
                child
            }
            None => {
                self.misses += 1;
                return NONE;
            }
        };
        self.entries[node.0 as usize].likely = child;
        child
    }

    /// Forgets all, if too much was read without a shape. No node that was given before may be used after.
    ///
    /// # Safety
    /// The GIL is held.
    #[inline]
    pub unsafe fn refresh(&mut self) {
        if self.misses >= MOST_MISSES {
            // SAFETY: as this function requires.
            unsafe { self.forget() };
        }
    }

    /// # Safety
    /// The GIL is held.
    #[cold]
    unsafe fn forget(&mut self) {
        let before = std::mem::replace(self, Shapes::new());
        for entry in before.entries {
            // SAFETY: as this function requires; the tree had a reference to each. Strings, and dicts of strings and
            // `None`, run no code when they go.
            unsafe {
                ffi::Py_XDECREF(entry.template);
                ffi::Py_XDECREF(entry.name);
            }
        }
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
