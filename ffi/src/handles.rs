//! Handles: 64-bit numbers that stand for open databases.
//!
//! ```text
//!   handle = generation (32 bits) | slot + 1 (32 bits)      0 is never a handle
//!
//!   slots   [ gen 3: database ] [ gen 7: free ] [ gen 1: database ] ...
//! ```
//!
//! A slot's generation grows when its database is closed, so a handle that was closed names nothing any
//! more, however often its slot is used again: a use after close is an error and never a wild pointer. A
//! slot whose generations are used up is not used again.

use std::sync::{PoisonError, RwLock};

use engine::{Database, Error};

struct Slot {
    generation: u32,
    database: Option<Database>,
}

/// The slots, and which of them are free.
struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

static TABLE: RwLock<Table> = RwLock::new(Table { slots: Vec::new(), free: Vec::new() });

fn handle_of(generation: u32, slot: u32) -> u64 {
    u64::from(generation) << 32 | (u64::from(slot) + 1)
}

/// Generation and slot of a handle, whatever it is.
fn parts_of(handle: u64) -> Option<(u32, usize)> {
    let slot = (handle as u32).checked_sub(1)?;
    Some(((handle >> 32) as u32, slot as usize))
}

impl Table {
    fn insert(&mut self, database: Database) -> Result<u64, Error> {
        if let Some(slot) = self.free.pop() {
            let entry = &mut self.slots[slot as usize];
            entry.database = Some(database);
            return Ok(handle_of(entry.generation, slot));
        }
        let slot = u32::try_from(self.slots.len()).ok().filter(|s| *s < u32::MAX);
        let slot = slot.ok_or_else(|| Error::InvalidArgument("2^32 databases are open".to_owned()))?;
        self.slots.push(Slot { generation: 1, database: Some(database) });
        Ok(handle_of(1, slot))
    }

    fn get(&self, handle: u64) -> Option<&Database> {
        let (generation, slot) = parts_of(handle)?;
        self.slots.get(slot).filter(|s| s.generation == generation)?.database.as_ref()
    }

    fn remove(&mut self, handle: u64) -> Option<Database> {
        let (generation, slot) = parts_of(handle)?;
        let entry = self.slots.get_mut(slot).filter(|s| s.generation == generation)?;
        let database = entry.database.take()?;
        if let Some(next) = entry.generation.checked_add(1) {
            entry.generation = next;
            self.free.push(slot as u32);
        }
        Some(database)
    }
}

/// Gives a database a handle.
pub(crate) fn insert(database: Database) -> Result<u64, Error> {
    TABLE.write().unwrap_or_else(PoisonError::into_inner).insert(database)
}

/// The database of a handle. It stays open for the call that holds it, even if another thread closes the
/// handle meanwhile.
pub(crate) fn get(handle: u64) -> Result<Database, Error> {
    TABLE.read().unwrap_or_else(PoisonError::into_inner).get(handle).cloned().ok_or(Error::Closed)
}

/// Takes the handle's database out; the handle is stale from here on.
pub(crate) fn remove(handle: u64) -> Result<Database, Error> {
    TABLE.write().unwrap_or_else(PoisonError::into_inner).remove(handle).ok_or(Error::Closed)
}
