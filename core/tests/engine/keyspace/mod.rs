//! Keyspaces beside a plain ordered map.

mod figures;
mod map;
