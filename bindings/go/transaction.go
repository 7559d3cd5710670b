//go:build cgo

package nyro

// Tx is a write transaction, given to the function that [DB.Update] calls. It sees its own writes. It is to be
// used by that function's goroutine alone, and ends with it; then its calls are ErrClosed.
type Tx struct {
	scope *scope
	db    *scope
}

// Collection is a collection in the transaction, of documents without a type of their own. For a typed one see
// [Collection.In].
func (tx *Tx) Collection(name string) *TxCollection[M] { return txCollection[M](tx, name) }

// CreateCollection makes an empty collection. Error: ErrCollectionExists.
func (tx *Tx) CreateCollection(name string) error { return createCollection(tx.scope.handle, name) }

// RenameCollection renames a collection. Errors: ErrCollectionNotFound, ErrCollectionExists.
func (tx *Tx) RenameCollection(from, to string) error {
	return renameCollection(tx.scope.handle, from, to)
}

// DropCollection deletes a collection with all its documents, and says whether there was one.
func (tx *Tx) DropCollection(name string) (bool, error) { return dropCollection(tx.scope.handle, name) }

// TxCollection is a collection in a transaction.
type TxCollection[T any] struct {
	reader[T]
}

func txCollection[T any](tx *Tx, name string) *TxCollection[T] {
	return &TxCollection[T]{newReader[T](tx, tx.db, tx.scope, name)}
}

// Get reads the document with this id, and says whether there is one. An id is an integer, a string, a []byte or
// an [ID].
func (c *TxCollection[T]) Get(id any) (document T, found bool, err error) { return c.get(id) }

// GetRaw reads the document with this id as its bytes; nil if there is none.
func (c *TxCollection[T]) GetRaw(id any) (Raw, error) { return c.getRaw(id) }

// GetMany reads the documents with these ids, in their order; nil for each that is not there.
func (c *TxCollection[T]) GetMany(ids []any) ([]*T, error) { return c.getMany(ids) }

// Contains says whether there is a document with this id.
func (c *TxCollection[T]) Contains(id any) (bool, error) { return c.contains(id) }

// Put inserts the document, or replaces the one with its _id. A document without _id gets the next integer.
func (c *TxCollection[T]) Put(document T) (ID, error) { return c.write(&document, put) }

// InsertOne inserts the document. Error: ErrDuplicateID.
func (c *TxCollection[T]) InsertOne(document T) (InsertOneResult, error) {
	id, err := c.write(&document, insert)
	return InsertOneResult{id}, err
}

// InsertMany inserts documents. It stops at the first that fails, or as the options say, with a [*BulkError];
// those before it stay in the transaction, unless it is rolled back. Options may be nil.
func (c *TxCollection[T]) InsertMany(documents []T, options *InsertManyOptions) (InsertManyResult, error) {
	return c.insertMany(documents, options)
}

// ReplaceOne replaces the document with this id, which the new one may leave out. It inserts nothing.
func (c *TxCollection[T]) ReplaceOne(id any, document T) (ReplaceResult, error) {
	return c.replaceOne(id, &document)
}

// Delete deletes the document with this id, and says whether there was one.
func (c *TxCollection[T]) Delete(id any) (bool, error) { return c.delete(id) }
