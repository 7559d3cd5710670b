//! Shapes of stored maps, learned while reading.
//!
//! ```text
//!   root -- "_id" -- "name" -- "age"      shape 1
//!                          \-- "email"    shape 2
//! ```
//!
//! A tree of keys in their stored form. Reading a map walks down from the root; each step compares bytes with the
//! child that was right the last time. A shape is learned when it is met the second time, so that maps
//! used as dictionaries, whose keys are all different, leave no trace.

/// Shapes that are remembered at most; what comes later crosses with its keys.
const MAX_SHAPES: usize = 4096;
/// Fields of a shape at most.
pub const MAX_FIELDS: usize = 256;
/// Children of a node that need not be nearer to its front.
const NEAR: usize = 4;
/// Places in which a first meeting is noted.
const MEETINGS: usize = 1024;

struct Node {
    /// The key that leads here, with its MessagePack head.
    key: Box<[u8]>,
    children: Vec<u32>,
    /// The shape that ends here; 0 is none.
    shape: u32,
}

/// The tree.
pub struct Shapes {
    nodes: Vec<Node>,
    /// The node in which a shape ends, and the way to it.
    ends: Vec<Vec<u32>>,
    meetings: Vec<u64>,
}

/// Where reading a map begins.
pub const ROOT: u32 = 0;

impl Shapes {
    /// An empty tree.
    pub fn new() -> Shapes {
        let root = Node { key: Box::default(), children: Vec::new(), shape: 0 };
        Shapes { nodes: vec![root], ends: vec![Vec::new()], meetings: vec![0; MEETINGS] }
    }

    /// The child of a node whose key stands at the start of `bytes`, and the length of that key.
    #[inline]
    pub fn step(&mut self, node: u32, bytes: &[u8]) -> Option<(u32, usize)> {
        let children = &self.nodes[node as usize].children;
        let &first = children.first()?;
        let key = &*self.nodes[first as usize].key;
        if starts_with(bytes, key) {
            return Some((first, key.len()));
        }
        self.step_aside(node, bytes)
    }

    #[inline(never)]
    fn step_aside(&mut self, node: u32, bytes: &[u8]) -> Option<(u32, usize)> {
        let children = &self.nodes[node as usize].children;
        let place = children.iter().position(|&child| starts_with(bytes, &self.nodes[child as usize].key))?;
        let child = children[place];
        let length = self.nodes[child as usize].key.len();
        // The next map is likely to be like this one. Where a few take turns, as a document and the maps in it do,
        // changing places would not help.
        if place >= NEAR {
            self.nodes[node as usize].children.swap(NEAR / 2, place);
        }
        Some((child, length))
    }

    /// The shape that ends in a node; 0 is none.
    #[inline]
    pub fn shape(&self, node: u32) -> u32 {
        self.nodes[node as usize].shape
    }

    /// A map with these keys was met that is no shape: from the second time on it is.
    pub fn meet(&mut self, keys: &[&[u8]]) -> Option<u32> {
        if keys.is_empty() || keys.len() > MAX_FIELDS || self.ends.len() >= MAX_SHAPES {
            return None;
        }
        let hash = hash(keys);
        let place = &mut self.meetings[hash as usize % MEETINGS];
        if std::mem::replace(place, hash) != hash {
            return None;
        }
        let (mut node, mut way) = (ROOT, Vec::with_capacity(keys.len()));
        for key in keys {
            node = self.child(node, key);
            way.push(node);
        }
        let shape = self.ends.len() as u32;
        self.nodes[node as usize].shape = shape;
        self.ends.push(way);
        Some(shape)
    }

    fn child(&mut self, node: u32, key: &[u8]) -> u32 {
        if let Some((child, length)) = self.step(node, key) {
            if length == key.len() {
                return child;
            }
        }
        let child = self.nodes.len() as u32;
        self.nodes.push(Node { key: key.into(), children: Vec::new(), shape: 0 });
        self.nodes[node as usize].children.push(child);
        child
    }

    /// The keys of a shape, each with its MessagePack head.
    pub fn keys(&self, shape: usize) -> impl Iterator<Item = &[u8]> {
        self.ends.get(shape).into_iter().flatten().map(|&node| &*self.nodes[node as usize].key)
    }
}

/// `starts_with` that compares short keys without a call.
#[inline(always)]
fn starts_with(bytes: &[u8], key: &[u8]) -> bool {
    let length = key.len();
    if bytes.len() < length {
        return false;
    }
    match length {
        // Two overlapping words cover 8 to 16 bytes, and two of half the size 4 to 7.
        8..=16 => two::<8>(bytes, key, length),
        4..=7 => two::<4>(bytes, key, length),
        _ => bytes[..length] == *key,
    }
}

#[inline(always)]
fn two<const N: usize>(bytes: &[u8], key: &[u8], length: usize) -> bool {
    bytes[..N] == key[..N] && bytes[length - N..length] == key[length - N..]
}

fn hash(keys: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in keys.iter().flat_map(|key| key.iter()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^ hash >> 32
}
