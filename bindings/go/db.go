//go:build cgo

package nyro

import (
	"context"
	"io"
	"runtime"
	"sync/atomic"
)

// maxWriters is how many goroutines may be inside the engine with a write at once. Each that waits there holds
// an operating system thread, so the others wait in Go, where their contexts can end that. It is many, so that
// they share the syncs of the disk.
const maxWriters = 256

// DB is an open database. A path that is opened again in this process is the same database, closed when the
// last DB of it is.
type DB struct {
	scope   *scope
	cleanup runtime.Cleanup

	// writers has a place for each write that is inside the engine.
	writers chan struct{}
	// turn has a place for the one Update that is running.
	turn chan struct{}
	// updating is the thread of that Update, 0 if there is none.
	updating atomic.Uint64
}

var _ io.Closer = (*DB)(nil)

// Open opens the database file at path, and makes it if it is not there. The path ":memory:" is a database that
// is gone when it is closed. Options may be nil.
func Open(path string, options *Options) (*DB, error) {
	var o Options
	if options != nil {
		o = *options
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	h, err := openDatabase(path, &o)
	if err != nil {
		return nil, err
	}
	db := &DB{
		scope: newScope(h, closeDatabase), writers: make(chan struct{}, maxWriters), turn: make(chan struct{}, 1),
	}
	// A DB that was forgotten is closed some time after it can't be reached any more.
	db.cleanup = runtime.AddCleanup(db, func(s *scope) { go s.forget() }, db.scope)
	return db, nil
}

// Close closes the database: what is committed is brought to the file. Calls that are under way end first or
// with ErrClosed; snapshots and scans end with ErrClosed. Closing again does nothing. Inside Update it is the
// error ErrNestedTransaction, and the database stays open.
func (db *DB) Close() error {
	if db.isUpdating() {
		return newError(ErrNestedTransaction, "the database can't be closed inside Update of the same goroutine")
	}
	db.cleanup.Stop()
	return db.scope.close()
}

// isUpdating says whether this goroutine is inside Update of this database: then it is tied to the thread that
// Update runs on, and nobody else runs there.
func (db *DB) isUpdating() bool {
	running := db.updating.Load()
	if running == 0 || running != thread() {
		return false
	}
	// Without a tie of its own the goroutine may have come to this thread after the Update had ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return db.updating.Load() == thread()
}

// enter takes a place among the writers.
func (db *DB) enter(ctx context.Context) error {
	if ctx.Done() != nil {
		if err := contextError(ctx); err != nil {
			return err
		}
	}
	select {
	case db.writers <- struct{}{}:
		return nil
	default:
	}
	select {
	case db.writers <- struct{}{}:
		return nil
	case <-ctx.Done():
		return contextError(ctx)
	}
}

func (db *DB) leave() { <-db.writers }

// Collection is the collection with this name, of documents without a type of their own. It is made by its
// first write, and empty before. A name that can't be one is an error of its first call.
func (db *DB) Collection(name string) *Collection[M] { return CollectionOf[M](db, name) }

// Snapshot takes a frozen view of the whole database. It costs nothing and never waits; while it is open the
// file may grow. Close it, or use View, which does.
func (db *DB) Snapshot() (*Snapshot, error) {
	h, err := takeSnapshot(db.scope.handle)
	runtime.KeepAlive(db)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{scope: newScope(h, releaseSnapshot), db: db.scope}
	s.cleanup = runtime.AddCleanup(s, (*scope).forget, s.scope)
	return s, nil
}

// View calls read with a snapshot, which is closed when read returns: what was lent by it is not to be used
// after that. View returns what read returns.
func (db *DB) View(read func(s *Snapshot) error) error {
	s, err := db.Snapshot()
	if err != nil {
		return err
	}
	defer s.Close()
	return read(s)
}

// Update calls change with a transaction. When change returns nil, all of it is committed; when it returns an
// error or panics, none of it, and Update returns that error or panics on. Other writers wait meanwhile,
// readers do not. Update waits for the writer's turn, as long as ctx allows, and under Sync for the disk; a ctx
// that is done when change returns rolls back. The goroutine is tied to its thread during change, and the
// transaction is to be used by it alone: a call from another goroutine is ErrWrongThread. Update inside change,
// or a write to the database past the transaction, is ErrNestedTransaction.
func (db *DB) Update(ctx context.Context, change func(tx *Tx) error) error {
	if db.isUpdating() {
		return newError(ErrNestedTransaction, "Update was called inside Update; use its transaction")
	}
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.leave()
	select {
	case db.turn <- struct{}{}:
	case <-ctx.Done():
		return contextError(ctx)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	db.updating.Store(thread())
	// The turn ends before the commit, which waits for the disk, so that commits share its syncs.
	inTurn := true
	endTurn := func() {
		if inTurn {
			inTurn = false
			db.updating.Store(0)
			<-db.turn
		}
	}
	defer endTurn()
	h, err := beginTransaction(db.scope.handle)
	if err != nil {
		return err
	}
	tx := &Tx{scope: newScope(h, rollbackTransaction), db: db.scope}
	// After an error, and when change panics or ends the goroutine. After a commit it does nothing.
	defer tx.scope.close()
	if err := change(tx); err != nil {
		return err
	}
	if err := contextError(ctx); err != nil {
		return err
	}
	tx.scope.release = commitTransaction
	endTurn()
	err = tx.scope.close()
	runtime.KeepAlive(db)
	return err
}

// Sync makes every commit so far durable, whatever the durability. It waits for the disk, which ctx can't stop.
func (db *DB) Sync(ctx context.Context) error { return db.long(ctx, syncDatabase) }

// Checkpoint moves everything from memory and log into the file. Never needed for safety: it happens in the
// background. It can't be stopped.
func (db *DB) Checkpoint(ctx context.Context) error { return db.long(ctx, checkpointDatabase) }

func (db *DB) long(ctx context.Context, call func(handle) error) error {
	if err := contextError(ctx); err != nil {
		return err
	}
	err := call(db.scope.handle)
	runtime.KeepAlive(db)
	return err
}

// CollectionNames lists the collections, sorted.
func (db *DB) CollectionNames() ([]string, error) {
	names, err := collectionNames(db.scope.handle)
	runtime.KeepAlive(db)
	return names, err
}

// CreateCollection makes an empty collection. Error: ErrCollectionExists.
func (db *DB) CreateCollection(ctx context.Context, name string) error {
	return db.write(ctx, func() error { return createCollection(db.scope.handle, name) })
}

// RenameCollection renames a collection. Errors: ErrCollectionNotFound, ErrCollectionExists.
func (db *DB) RenameCollection(ctx context.Context, from, to string) error {
	return db.write(ctx, func() error { return renameCollection(db.scope.handle, from, to) })
}

// DropCollection deletes a collection with all its documents, and says whether there was one.
func (db *DB) DropCollection(ctx context.Context, name string) (dropped bool, err error) {
	err = db.write(ctx, func() (err error) {
		dropped, err = dropCollection(db.scope.handle, name)
		return err
	})
	return dropped, err
}

// write makes a call of the kind that waits for the writer's turn.
func (db *DB) write(ctx context.Context, call func() error) error {
	if err := db.enter(ctx); err != nil {
		return err
	}
	defer db.leave()
	err := call()
	runtime.KeepAlive(db)
	return err
}

// Stats gives figures about the database. It is cheap.
func (db *DB) Stats() (Stats, error) {
	s, err := databaseStats(db.scope.handle)
	runtime.KeepAlive(db)
	return s, err
}

// Backups lists the named backups that the database remembers, the newest first.
func (db *DB) Backups() ([]BackupInfo, error) {
	list, err := databaseBackups(db.scope.handle)
	runtime.KeepAlive(db)
	return list, err
}
