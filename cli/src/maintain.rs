//! `nyro compact`: what keeps a file in shape.

use nyro::Durability;
use serde_json::json;

use crate::args::Look;
use crate::progress::Bar;
use crate::report::{print, size, Result};

/// Runs `nyro compact`.
pub fn compact(args: &Look, json: bool) -> Result<()> {
    let db = crate::open_to_write(&args.path, false, Durability::Manual)?;
    let mut bar = Bar::new(json);
    let done = db.compact_with(bar.control());
    drop(bar);
    let report = done?;
    db.close()?;
    let (before, after, moved) = (report.bytes_before, report.bytes_after, report.moved_bytes);
    if json {
        let object = json!({ "bytes_before": before, "bytes_after": after, "moved_bytes": moved });
        return print(&format!("{object}\n"));
    }
    print(&format!("{} became {}; {} of documents moved\n", size(before), size(after), size(moved)))
}
