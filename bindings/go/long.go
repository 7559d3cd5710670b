//go:build cgo

package nyro

import (
	"context"
	"runtime"
	"runtime/cgo"
)

// Progress says how far a long call is.
type Progress struct {
	// Done is how much of this phase is done, of Total; Total is 0 where that is not known.
	Done, Total uint64
	// Phase is what is being done, and Unit what is counted: pages, bytes, documents.
	Phase, Unit string
}

// LongOptions is for calls that may take long. Nil is the zero value.
type LongOptions struct {
	// Progress is told how far the call is, on the caller's goroutine. It may call the database. Nil: nobody.
	Progress func(Progress)
}

// watched is a long call under way.
type watched struct {
	tell     func(Progress)
	panicked any
}

// watch makes a long call that ends when ctx does, with an error that is the context's, too.
func watch(ctx context.Context, o *LongOptions, call func(control) error) error {
	if err := contextError(ctx); err != nil {
		return err
	}
	var cancel handle
	if ctx.Done() != nil {
		var err error
		if cancel, err = newCancel(); err != nil {
			return err
		}
		fired := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			_ = fireCancel(cancel)
			close(fired)
		})
		defer func() {
			if !stop() {
				<-fired
			}
			_ = releaseCancel(cancel)
		}()
	}
	w := &watched{}
	var number uintptr
	if o != nil && o.Progress != nil {
		w.tell = o.Progress
		h := cgo.NewHandle(w)
		defer h.Delete()
		number = uintptr(h)
	}
	err := call(makeControl(cancel, number))
	if w.panicked != nil {
		panic(w.panicked)
	}
	if e, ok := err.(*Error); ok && e.Code == ErrCancelled {
		if stopped := contextError(ctx); stopped != nil {
			return stopped
		}
	}
	return err
}

// VerifyReport says how much Verify checked.
type VerifyReport struct {
	FilePages   uint64 `nyro:"file_pages"`
	UsedPages   uint64 `nyro:"used_pages"`
	Collections uint64 `nyro:"collections"`
	Documents   uint64 `nyro:"documents"`
	Blocks      uint64 `nyro:"blocks"`
	Extents     uint64 `nyro:"extents"`
	Runs        uint64 `nyro:"runs"`
	RunEntries  uint64 `nyro:"run_entries"`
	Keyspaces   uint64 `nyro:"keyspaces"`
	Commit      uint64 `nyro:"commit"`
}

// Verify checks the whole database: pages, checksums, order, counters, and that each document is found by its
// id and is well-formed. Error: ErrCorrupt, with the first damage found. Reads and writes go on; ctx stops it.
// Options may be nil.
func (db *DB) Verify(ctx context.Context, options *LongOptions) (r VerifyReport, err error) {
	err = watch(ctx, options, func(c control) error { return verifyDatabase(db.scope.handle, c, &r) })
	runtime.KeepAlive(db)
	return r, err
}

// CompactReport says what Compact did.
type CompactReport struct {
	BytesBefore uint64 `nyro:"bytes_before"`
	BytesAfter  uint64 `nyro:"bytes_after"`
	MovedBytes  uint64 `nyro:"moved_bytes"`
}

// Compact makes the file as small as its documents allow. Reads and writes go on; stopped by ctx, what was
// gained stays. Options may be nil.
func (db *DB) Compact(ctx context.Context, options *LongOptions) (r CompactReport, err error) {
	err = watch(ctx, options, func(c control) error { return compactDatabase(db.scope.handle, c, &r) })
	runtime.KeepAlive(db)
	return r, err
}

// WarmUpReport says what WarmUp brought into memory.
type WarmUpReport struct {
	IndexPages uint64 `nyro:"index_pages"`
	BlockPages uint64 `nyro:"block_pages"`
	Complete   bool   `nyro:"complete"`
}

// WarmUp brings pages of the file into memory, the index first, up to limitBytes. Reads and writes go on; ctx
// stops it. Options may be nil.
func (db *DB) WarmUp(ctx context.Context, limitBytes uint64, options *LongOptions) (r WarmUpReport, err error) {
	err = watch(ctx, options, func(c control) error { return warmUpDatabase(db.scope.handle, limitBytes, c, &r) })
	runtime.KeepAlive(db)
	return r, err
}

// BackupOptions says which backup to make.
type BackupOptions struct {
	// Name is how the database remembers it, for incremental ones to be based on. Empty: not at all.
	Name string
	// Since makes an incremental backup: what changed since the backup of this name. Empty: a full one.
	Since string
	// Overwrite replaces a file that is there.
	Overwrite bool
	// Progress is told how far the call is. Nil: nobody.
	Progress func(Progress)
}

// BackupReport says what Backup wrote.
type BackupReport struct {
	Commit     uint64 `nyro:"commit"`
	Checkpoint uint64 `nyro:"checkpoint"`
	Pages      uint64 `nyro:"pages"`
	Bytes      uint64 `nyro:"bytes"`
}

// BackupInfo is a named backup that the database remembers.
type BackupInfo struct {
	Name       string `nyro:"name"`
	Commit     uint64 `nyro:"commit"`
	Checkpoint uint64 `nyro:"checkpoint"`
}

// Backup writes a backup to a new file, while reads and writes go on. A full one is itself a database. After an
// error, also when ctx stopped it, what was at path is as it was. Options may be nil.
func (db *DB) Backup(ctx context.Context, path string, options *BackupOptions) (r BackupReport, err error) {
	var o BackupOptions
	if options != nil {
		o = *options
	}
	err = watch(ctx, &LongOptions{o.Progress}, func(c control) error {
		return backupDatabase(db.scope.handle, path, &o, c, &r)
	})
	runtime.KeepAlive(db)
	return r, err
}

// TargetOptions is for calls that write a new file.
type TargetOptions struct {
	// Overwrite replaces a file that is there.
	Overwrite bool
	// Progress is told how far the call is. Nil: nobody.
	Progress func(Progress)
}

// Restore makes a database file at target from a full backup and the incremental ones after it, in their order.
// It is verified as a whole before it takes the target's place; after an error what was there is as it was.
// Options may be nil.
func Restore(ctx context.Context, target string, backups []string, options *TargetOptions) (r VerifyReport, err error) {
	var o TargetOptions
	if options != nil {
		o = *options
	}
	err = watch(ctx, &LongOptions{o.Progress}, func(c control) error {
		return restoreDatabase(target, backups, o.Overwrite, c, &r)
	})
	return r, err
}

// RepairReport says what Repair saved and what was lost.
type RepairReport struct {
	// IsComplete: nothing was lost.
	IsComplete bool `nyro:"is_complete"`
	// Documents is how many were saved.
	Documents uint64 `nyro:"documents"`
	// Keys is how many keys of keyspaces were saved.
	Keys uint64 `nyro:"keys"`
	// LostTotal is how many places of the file could not be read.
	LostTotal uint64 `nyro:"lost_total"`
	// Fields is the whole report, by the names it has in the documentation of the engine.
	Fields M `nyro:"-"`
}

// Repair saves what can still be read of a damaged file into a new one. Options may be nil.
func Repair(ctx context.Context, damaged, target string, options *TargetOptions) (r RepairReport, err error) {
	var o TargetOptions
	if options != nil {
		o = *options
	}
	err = watch(ctx, &LongOptions{o.Progress}, func(c control) error {
		return repairDatabase(damaged, target, o.Overwrite, c, &r)
	})
	return r, err
}
