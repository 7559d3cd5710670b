//go:build cgo

package nyro

// StatsFields is what the engine gives for Stats.
func StatsFields(db *DB) (M, error) { return statsFields(db.scope.handle) }
