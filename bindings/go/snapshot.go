//go:build cgo

package nyro

import (
	"io"
	"iter"
	"runtime"
)

// Snapshot is the whole database as of one commit. Writers go on and are not seen.
type Snapshot struct {
	scope   *scope
	db      *scope
	cleanup runtime.Cleanup
}

var _ io.Closer = (*Snapshot)(nil)

// Close ends the snapshot. What it lent is not to be used any more, by any goroutine. Closing again does
// nothing.
func (s *Snapshot) Close() error {
	s.cleanup.Stop()
	return s.scope.close()
}

// Commit is the number of the commit that the snapshot shows.
func (s *Snapshot) Commit() (uint64, error) {
	commit, err := snapshotCommit(s.scope.handle)
	runtime.KeepAlive(s)
	return commit, err
}

// CollectionNames lists the collections, sorted.
func (s *Snapshot) CollectionNames() ([]string, error) {
	names, err := collectionNames(s.scope.handle)
	runtime.KeepAlive(s)
	return names, err
}

// Collection is a collection as of the snapshot, of documents without a type of their own. For a typed one see
// [Collection.At].
func (s *Snapshot) Collection(name string) *SnapshotCollection[M] {
	return snapshotCollection[M](s, name)
}

// SnapshotCollection is a collection as of a snapshot.
type SnapshotCollection[T any] struct {
	reader[T]
	snapshot *scope
}

func snapshotCollection[T any](s *Snapshot, name string) *SnapshotCollection[T] {
	return &SnapshotCollection[T]{newReader[T](s, s.db, s.scope, name), s.scope}
}

// Get reads the document with this id, and says whether there is one. An id is an integer, a string, a []byte or
// an [ID].
func (c *SnapshotCollection[T]) Get(id any) (document T, found bool, err error) { return c.get(id) }

// GetRaw lends the document with this id without copying it; nil if there is none. The bytes lie in the
// database's own memory: read them, do not change them, and do not use them after the snapshot is closed, at
// the end of View.
//
// A snapshot that has lent something is not closed for you when you forget it.
func (c *SnapshotCollection[T]) GetRaw(id any) (Raw, error) {
	if c.err != nil {
		return nil, c.err
	}
	argument, err := idOf(id)
	if err != nil {
		return nil, err
	}
	if !c.snapshot.hasLent.Load() {
		c.snapshot.hasLent.Store(true)
	}
	lent, err := borrow(c.handle, argument)
	runtime.KeepAlive(c.owner)
	return Raw(lent), err
}

// GetMany reads the documents with these ids, in their order; nil for each that is not there. It is faster than
// as many calls of Get.
func (c *SnapshotCollection[T]) GetMany(ids []any) ([]*T, error) { return c.getMany(ids) }

// Contains says whether there is a document with this id.
func (c *SnapshotCollection[T]) Contains(id any) (bool, error) { return c.contains(id) }

// CountDocuments is the number of documents, exact.
func (c *SnapshotCollection[T]) CountDocuments() (uint64, error) { return c.count() }

// EstimatedDocumentCount is the number of documents.
func (c *SnapshotCollection[T]) EstimatedDocumentCount() (uint64, error) { return c.count() }

// All reads all documents, in the order they were last written. After an error it ends.
func (c *SnapshotCollection[T]) All() iter.Seq2[T, error] { return all(&c.reader) }

// Scan reads the documents after a token; 0 is the beginning.
func (c *SnapshotCollection[T]) Scan(after Token) *Scan[T] { return newScan(&c.reader, after) }
