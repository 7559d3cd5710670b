//go:build cgo

package nyro

import (
	"context"
	"iter"
)

// Collection is a collection of documents of type T. Each read sees the newest commit; each write is a commit of
// its own. For several writes in one commit see [DB.Update], or InsertMany.
type Collection[T any] struct {
	reader[T]
	db *DB
}

// CollectionOf is the collection with this name, of documents of type T: a struct, a map with string keys, [M],
// [D], [Raw] or any. It is made by its first write, and empty before. A name that can't be one, or a type that
// can't be stored, is an error of its first call. It is cheap, and may be kept as long as db is open.
func CollectionOf[T any](db *DB, name string) *Collection[T] {
	return &Collection[T]{newReader[T](db, db.scope, db.scope, name), db}
}

// Name is the name of the collection.
func (c *Collection[T]) Name() string { return c.name }

// At is the collection as of a snapshot.
func (c *Collection[T]) At(s *Snapshot) *SnapshotCollection[T] {
	return snapshotCollection[T](s, c.name)
}

// In is the collection in a transaction.
func (c *Collection[T]) In(tx *Tx) *TxCollection[T] { return txCollection[T](tx, c.name) }

// Get reads the document with this id, and says whether there is one. An id is an integer, a string, a []byte or
// an [ID].
func (c *Collection[T]) Get(id any) (document T, found bool, err error) { return c.get(id) }

// GetRaw reads the document with this id as its bytes; nil if there is none. Without a copy: see
// [SnapshotCollection.GetRaw].
func (c *Collection[T]) GetRaw(id any) (Raw, error) { return c.getRaw(id) }

// GetMany reads the documents with these ids, in their order; nil for each that is not there. All are as of one
// commit. It is faster than as many calls of Get.
func (c *Collection[T]) GetMany(ids []any) ([]*T, error) { return c.getMany(ids) }

// Contains says whether there is a document with this id.
func (c *Collection[T]) Contains(id any) (bool, error) { return c.contains(id) }

// CountDocuments is the number of documents, exact.
func (c *Collection[T]) CountDocuments() (uint64, error) { return c.count() }

// EstimatedDocumentCount is the number of documents.
func (c *Collection[T]) EstimatedDocumentCount() (uint64, error) { return c.count() }

// All reads all documents, in the order they were last written, as of the moment the loop begins. After an error
// it ends.
func (c *Collection[T]) All() iter.Seq2[T, error] { return all(&c.reader) }

// Scan reads the documents after a token; 0 is the beginning.
func (c *Collection[T]) Scan(after Token) *Scan[T] { return newScan(&c.reader, after) }

// Put inserts the document, or replaces the one with its _id, and gives its id. A document without _id gets the
// next integer.
//
// As every write it waits for the writer's turn and, under Sync, for the disk. A ctx that is done before that
// begins is an error and nothing is written; after that it is not looked at.
func (c *Collection[T]) Put(ctx context.Context, document T) (ID, error) {
	if err := c.db.enter(ctx); err != nil {
		return ID{}, err
	}
	defer c.db.leave()
	return c.write(&document, put)
}

// InsertOne inserts the document. Error: ErrDuplicateID. Otherwise as Put.
func (c *Collection[T]) InsertOne(ctx context.Context, document T) (InsertOneResult, error) {
	if err := c.db.enter(ctx); err != nil {
		return InsertOneResult{}, err
	}
	defer c.db.leave()
	id, err := c.write(&document, insert)
	return InsertOneResult{id}, err
}

// InsertMany inserts documents in one commit. It stops at the first that fails and keeps those before it, or as
// the options say, with a [*BulkError]. Options may be nil.
func (c *Collection[T]) InsertMany(ctx context.Context, documents []T, options *InsertManyOptions) (InsertManyResult, error) {
	if err := c.db.enter(ctx); err != nil {
		return InsertManyResult{}, err
	}
	defer c.db.leave()
	return c.insertMany(documents, options)
}

// ReplaceOne replaces the document with this id, which the new one may leave out. It inserts nothing. Error:
// ErrInvalidID if the document has another id.
func (c *Collection[T]) ReplaceOne(ctx context.Context, id any, document T) (ReplaceResult, error) {
	if err := c.db.enter(ctx); err != nil {
		return ReplaceResult{}, err
	}
	defer c.db.leave()
	return c.replaceOne(id, &document)
}

// Delete deletes the document with this id, and says whether there was one.
func (c *Collection[T]) Delete(ctx context.Context, id any) (bool, error) {
	if err := c.db.enter(ctx); err != nil {
		return false, err
	}
	defer c.db.leave()
	return c.delete(id)
}
