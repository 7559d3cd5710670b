//go:build cgo

package nyro

// StatsFields is what the engine gives for Stats.
func StatsFields(db *DB) (M, error) { return statsFields(db.scope.handle) }

// KeyspaceStatsFields is what the engine gives for KeyspaceStats.
func KeyspaceStatsFields(db *DB) (M, error) { return keyspaceStatsFields(db.scope.handle) }
