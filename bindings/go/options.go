//go:build cgo

package nyro

import "time"

// Durability says what an acknowledged write survives.
type Durability uint32

const (
	// Sync: power loss. The default.
	Sync Durability = 0
	// Interval: a crash of the process; power loss takes at most what came after the last interval.
	Interval Durability = 1
	// Manual: a crash of the process; power loss may take what came after the last [DB.Sync].
	Manual Durability = 2
)

// ReadMode says how documents are read.
type ReadMode uint32

const (
	// Mapped: in place, from a mapping of the file. The default.
	Mapped ReadMode = 0
	// Pread: into memory of the database's own. A device that fails is an error and no signal.
	Pread ReadMode = 1
)

// Options says how to open a database. The zero value of each field is its default.
type Options struct {
	// MustExist makes a missing file the error ErrNoSuchFile; otherwise it is made.
	MustExist bool
	// ReadOnly opens beside other readers and writes nothing.
	ReadOnly bool
	// Durability is Sync, Interval or Manual.
	Durability Durability
	// Interval is the time between syncs under the durability Interval, in whole milliseconds. Default 100 ms.
	Interval time.Duration
	// CacheBytes is the memory for what is not in the file yet. Default 512 MiB, at least 64 KiB.
	CacheBytes uint64
	// LogMaxBytes is the size of the log from which on writers are slowed down. Default 128 MiB, at least 16 KiB.
	LogMaxBytes uint64
	// WriterTimeout is how long a write waits for the writer's turn, in whole milliseconds. Default 60 s.
	WriterTimeout time.Duration
	// MaxDocumentBytes is the size of the largest document. Default 16 MiB, at most 30 MiB.
	MaxDocumentBytes uint64
	// ReadMode is Mapped or Pread.
	ReadMode ReadMode
	// SnapshotMaxAge ends snapshots that are older, in whole milliseconds. Default: none.
	SnapshotMaxAge time.Duration
	// AllowNetworkFileSystem opens a file where locks and syncs can't be relied on.
	AllowNetworkFileSystem bool
}

// check refuses what the library can't be told.
func (o *Options) check() error {
	for _, field := range []struct {
		name  string
		value time.Duration
	}{{"Interval", o.Interval}, {"WriterTimeout", o.WriterTimeout}, {"SnapshotMaxAge", o.SnapshotMaxAge}} {
		if field.value < 0 || (field.value > 0 && field.value < time.Millisecond) {
			return newError(ErrInvalidArgument, "Options.%s is %v; it is 0 or at least a millisecond", field.name, field.value)
		}
	}
	if o.Interval > time.Hour*24*30 {
		return newError(ErrInvalidArgument, "Options.Interval is %v; it is at most 30 days", o.Interval)
	}
	return nil
}
