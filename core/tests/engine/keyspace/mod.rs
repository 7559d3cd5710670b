//! Keyspaces beside a plain ordered map.

mod map;
