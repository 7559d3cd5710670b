//! What `keyspace_stats` tells.

use nyro::{Database, Result};

#[test]
fn levels_amplification_and_memory_are_what_was_done() -> Result<()> {
    let db = Database::open(":memory:")?;
    let none = db.keyspace_stats()?;
    assert_eq!((none.levels.len(), none.read_amplification, none.write_amplification()), (0, 0, None));
    let (first, second) = (db.keyspace("first"), db.keyspace("second"));
    first.batch(|k| (0..1000u32).try_for_each(|n| k.put(n.to_be_bytes(), [7; 96])))?;
    second.put("large", vec![1; 100_000])?;
    let stats = db.keyspace_stats()?;
    assert!(stats.levels.is_empty() && stats.memtable_bytes > 100_000, "{stats:?}");
    assert_eq!(stats.read_amplification, 1);

    db.checkpoint()?;
    let stats = db.keyspace_stats()?;
    let [level] = &stats.levels[..] else { panic!("{stats:?}") };
    // Nothing lay below: the runs of the flush went all the way down.
    assert_eq!((level.level, level.sets, level.entries, level.tombstones), (7, 1, 1001, 0));
    assert_eq!(level.bytes, 1000 * (4 + 4 + 96) + 4 + 5 + 100_000);
    assert!(level.file_bytes > 100_000 && level.file_bytes < 130_000, "{level:?}");
    assert!(level.filter_bytes >= 1001 * 11 / 8 && level.filter_bytes < 3000, "{level:?}");
    // The large value is written once, by itself.
    assert_eq!(stats.flushed_bytes, 1000 * (4 + 96) + 5);
    assert_eq!(stats.run_bytes_written, level.file_bytes);
    assert!(stats.write_amplification().is_some_and(|times| (1.0..1.3).contains(&times)), "{stats:?}");
    assert_eq!(stats.run_bytes_written, db.stats()?.run_bytes_written);
    assert_eq!(stats.read_amplification, 1);

    first.delete(3u32.to_be_bytes())?;
    assert_eq!(db.keyspace_stats()?.read_amplification, 2);
    db.checkpoint()?;
    let stats = db.keyspace_stats()?;
    let sum = |of: fn(&nyro::LevelStats) -> u64| stats.levels.iter().map(of).sum::<u64>();
    assert_eq!((sum(|l| l.sets), sum(|l| l.entries), sum(|l| l.tombstones)), (2, 1002, 1));
    assert_eq!(stats.flushed_bytes, 1000 * (4 + 96) + 5 + 4);
    db.close()
}
