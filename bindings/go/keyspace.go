//go:build cgo

package nyro

import (
	"context"
	"iter"
	"runtime"
)

// Keyspace is an ordered map from bytes to bytes, in the same file and the same transactions as the documents:
//
//	words := db.Keyspace("words")
//	err := words.Put(ctx, []byte("a"), []byte("1"))
//	for entry, err := range words.Range(nyro.Range{GTE: []byte("a"), LT: []byte("b")}) { .. }
//
// Keys have 0 to 65 535 bytes and are in the order of their bytes; values have up to MaxDocumentBytes. Each read
// sees the newest commit; each write is a commit of its own. For several in one see Write and [DB.Update].
type Keyspace struct {
	keys
	db *DB
}

// SnapshotKeyspace is a keyspace as of a snapshot.
type SnapshotKeyspace struct{ keys }

// TxKeyspace is a keyspace in a transaction.
type TxKeyspace struct{ keys }

// KeyValue is a key with its value.
type KeyValue struct {
	Key, Value []byte
}

// Range says which keys. A bound that is nil is none; no bytes, which are not nil, are the first key.
type Range struct {
	// GT or GTE: the keys greater than this one, or that and the greater ones.
	GT, GTE []byte
	// LT or LTE: the keys less than this one, or that and the lesser ones.
	LT, LTE []byte
	// Prefix: the keys that begin with these bytes; without other bounds.
	Prefix []byte
	// Backward: from the last key to the first.
	Backward bool
	// Limit is how many keys at most; 0 is all.
	Limit int
}

// Change is a change to a keyspace, for Write.
type Change struct {
	kind       uint32
	key, value []byte
}

// PutKey gives a key a value, whether it had one or not.
func PutKey(key, value []byte) Change { return Change{changePut, key, value} }

// DeleteKey deletes a key, whether it is there or not.
func DeleteKey(key []byte) Change { return Change{kind: changeDelete, key: key} }

// DeleteKeys deletes the keys from start on, up to and without end; nil is no end.
func DeleteKeys(start, end []byte) Change {
	if end == nil {
		return Change{changeDeleteFrom, start, nil}
	}
	return Change{changeDeleteRange, start, end}
}

// ClearKeys deletes all keys.
func ClearKeys() Change { return Change{kind: changeClear} }

// Keyspace is the keyspace with this name. It is made by its first write, and empty before. A name that can't be
// one is an error of its first call, and so is that of a collection: ErrOtherKind. It is cheap, and may be kept
// as long as db is open.
func (db *DB) Keyspace(name string) *Keyspace {
	return &Keyspace{newKeys(db, db.scope, db.scope, name, false), db}
}

// Keyspace is a keyspace as of the snapshot.
func (s *Snapshot) Keyspace(name string) *SnapshotKeyspace {
	return &SnapshotKeyspace{newKeys(s, s.db, s.scope, name, false)}
}

// Keyspace is a keyspace in the transaction.
func (tx *Tx) Keyspace(name string) *TxKeyspace {
	return &TxKeyspace{newKeys(tx, tx.db, tx.scope, name, true)}
}

// At is the keyspace as of a snapshot.
func (k *Keyspace) At(s *Snapshot) *SnapshotKeyspace { return s.Keyspace(k.name) }

// In is the keyspace in a transaction.
func (k *Keyspace) In(tx *Tx) *TxKeyspace { return tx.Keyspace(k.name) }

// Put gives a key a value, whether it had one or not. As every write it waits as [Collection.Put] says. Errors:
// ErrKeyTooLarge, ErrValueTooLarge.
func (k *Keyspace) Put(ctx context.Context, key, value []byte) error {
	return k.db.write(ctx, func() error { return k.put(key, value) })
}

// Delete deletes a key, whether it is there or not.
func (k *Keyspace) Delete(ctx context.Context, key []byte) error {
	return k.db.write(ctx, func() error { return k.delete(key) })
}

// DeleteRange deletes the keys in a range, in the same short time whatever their number. The range has bounds and
// nothing else.
func (k *Keyspace) DeleteRange(ctx context.Context, r Range) error {
	return k.db.write(ctx, func() error { return k.deleteRange(r) })
}

// Clear deletes all keys, in the same short time whatever their number. Snapshots still see them.
func (k *Keyspace) Clear(ctx context.Context) error {
	return k.db.write(ctx, k.clear)
}

// Write makes changes in one commit, in their order: all of them or, after an error, none.
func (k *Keyspace) Write(ctx context.Context, changes ...Change) error {
	return k.db.write(ctx, func() error { return k.change(changes) })
}

// EstimatedCount is the number of keys, about: a key that was changed or deleted may count again for a while. It
// takes a short time, whatever the number.
func (k *Keyspace) EstimatedCount() (uint64, error) { return k.estimatedCount() }

// EstimatedCount is the number of keys, about; see [Keyspace.EstimatedCount].
func (k *SnapshotKeyspace) EstimatedCount() (uint64, error) { return k.estimatedCount() }

// Put gives a key a value, whether it had one or not. Errors: ErrKeyTooLarge, ErrValueTooLarge; the transaction
// goes on.
func (k *TxKeyspace) Put(key, value []byte) error { return k.put(key, value) }

// Delete deletes a key, whether it is there or not.
func (k *TxKeyspace) Delete(key []byte) error { return k.delete(key) }

// DeleteRange deletes the keys in a range; see [Keyspace.DeleteRange].
func (k *TxKeyspace) DeleteRange(r Range) error { return k.deleteRange(r) }

// Clear deletes all keys.
func (k *TxKeyspace) Clear() error { return k.clear() }

// Write makes changes in their order. Those before one that fails stay in the transaction, unless it is rolled
// back.
func (k *TxKeyspace) Write(changes ...Change) error { return k.change(changes) }

// keys is what keyspaces of a database, a snapshot and a transaction have in common. The library tells them apart.
type keys struct {
	// owner keeps the database, snapshot or transaction from being cleaned up.
	owner any
	// db is the scope of the database.
	db     *scope
	name   string
	handle handle
	// inTx: what is read ahead may be changed before it is given.
	inTx bool
	// err is the error of each call: the name is bad, or the owner was closed.
	err error
}

func newKeys(owner any, db, s *scope, name string, inTx bool) keys {
	k := keys{owner: owner, db: db, name: name, inTx: inTx}
	k.handle, k.err = s.keyspace(name)
	return k
}

// Name is the name of the keyspace.
func (k *keys) Name() string { return k.name }

// Get reads the value of a key, and says whether the key is there.
func (k *keys) Get(key []byte) (value []byte, found bool, err error) {
	if k.err != nil {
		return nil, false, k.err
	}
	b := scratch.Get().(*buffer)
	defer b.free()
	for {
		n, found, err := getKey(k.handle, key, b.bytes)
		runtime.KeepAlive(k.owner)
		switch {
		case err != nil || !found:
			return nil, false, err
		case n <= len(b.bytes):
			return append(make([]byte, 0, n), b.bytes[:n]...), true, nil
		}
		// It may have been replaced by a larger one until the next try.
		b.grow(n)
	}
}

// GetMany reads the values of these keys, in their order; nil for each that is not there. All are as of one
// commit. It is faster than as many calls of Get. The values share one piece of memory.
func (k *keys) GetMany(keys [][]byte) ([][]byte, error) {
	if k.err != nil || len(keys) == 0 {
		return nil, k.err
	}
	data, ends, found, err := getKeys(k.handle, keys)
	runtime.KeepAlive(k.owner)
	if err != nil {
		return nil, err
	}
	if data == nil {
		// All that was found is empty, which is not nil.
		data = []byte{}
	}
	values := make([][]byte, len(keys))
	start := uintptr(0)
	for i, end := range ends {
		if found[i] != 0 {
			values[i] = data[start:end:end]
		}
		start = end
	}
	return values, nil
}

// Contains says whether the key is there.
func (k *keys) Contains(key []byte) (bool, error) {
	if k.err != nil {
		return false, k.err
	}
	found, err := containsKey(k.handle, key)
	runtime.KeepAlive(k.owner)
	return found, err
}

// First is the first key with its value; found is false if there is no key.
func (k *keys) First() (entry KeyValue, found bool, err error) { return k.end(Range{Limit: 1}) }

// Last is the last key with its value; found is false if there is no key.
func (k *keys) Last() (entry KeyValue, found bool, err error) {
	return k.end(Range{Limit: 1, Backward: true})
}

func (k *keys) end(r Range) (KeyValue, bool, error) {
	c := k.Cursor(r)
	defer c.Close()
	return c.Next()
}

// All reads all keys with their values, in order; otherwise as Range.
func (k *keys) All() iter.Seq2[KeyValue, error] { return k.Range(Range{}) }

// Prefix reads the keys that begin with these bytes; otherwise as Range.
func (k *keys) Prefix(prefix []byte) iter.Seq2[KeyValue, error] {
	if prefix == nil {
		prefix = nothing[:0]
	}
	return k.Range(Range{Prefix: prefix})
}

// Range reads the keys in a range with their values, as of the moment the loop begins; in a transaction, as they
// are when the loop comes to them. An error comes as the last pair.
func (k *keys) Range(r Range) iter.Seq2[KeyValue, error] {
	return func(yield func(KeyValue, error) bool) {
		c := k.Cursor(r)
		defer c.Close()
		c.All()(yield)
	}
}

// Cursor goes through the keys in a range, and may be sent to any place in it. Close it when you are done.
func (k *keys) Cursor(r Range) *KeyCursor { return newKeyCursor(k, r) }

func (k *keys) put(key, value []byte) error {
	return k.write(func() error { return putKey(k.handle, key, value) })
}

func (k *keys) delete(key []byte) error {
	return k.write(func() error { return deleteKey(k.handle, key) })
}

func (k *keys) deleteRange(r Range) error {
	if r.Backward || r.Limit != 0 {
		return newError(ErrInvalidArgument, "DeleteRange takes bounds, no direction and no limit")
	}
	b, err := r.bounds()
	if err != nil {
		return err
	}
	return k.write(func() error { return deleteKeys(k.handle, b) })
}

func (k *keys) clear() error {
	return k.write(func() error { return clearKeys(k.handle) })
}

func (k *keys) change(changes []Change) error {
	return k.write(func() error { return writeKeys(k.handle, changes) })
}

func (k *keys) write(call func() error) error {
	if k.err != nil {
		return k.err
	}
	err := call()
	runtime.KeepAlive(k.owner)
	return err
}

func (k *keys) estimatedCount() (uint64, error) {
	if k.err != nil {
		return 0, k.err
	}
	n, err := estimatedKeys(k.handle)
	runtime.KeepAlive(k.owner)
	return n, err
}

// bounds are a range's bounds as the library takes them.
type bounds struct {
	startKind, endKind uint32
	start, end         []byte
}

func (r *Range) bounds() (bounds, error) {
	var b bounds
	switch {
	case r.GT != nil && r.GTE != nil || r.LT != nil && r.LTE != nil:
		return b, newError(ErrInvalidArgument, "a range has one start and one end: GT or GTE, LT or LTE")
	case r.Prefix != nil && (r.GT != nil || r.GTE != nil || r.LT != nil || r.LTE != nil):
		return b, newError(ErrInvalidArgument, "a range has a prefix or bounds, not both")
	case r.Limit < 0:
		return b, newError(ErrInvalidArgument, "the limit of a range is not negative")
	case r.Prefix != nil:
		b.startKind, b.start = boundPrefix, r.Prefix
	case r.GT != nil:
		b.startKind, b.start = boundExcluded, r.GT
	case r.GTE != nil:
		b.startKind, b.start = boundIncluded, r.GTE
	}
	switch {
	case r.LT != nil:
		b.endKind, b.end = boundExcluded, r.LT
	case r.LTE != nil:
		b.endKind, b.end = boundIncluded, r.LTE
	}
	return b, nil
}

// KeyspaceNames lists the keyspaces, sorted.
func (db *DB) KeyspaceNames() ([]string, error) {
	names, err := keyspaceNames(db.scope.handle)
	runtime.KeepAlive(db)
	return names, err
}

// RenameKeyspace renames a keyspace. Errors: ErrCollectionNotFound, ErrCollectionExists, ErrOtherKind.
func (db *DB) RenameKeyspace(ctx context.Context, from, to string) error {
	return db.write(ctx, func() error { return renameKeyspace(db.scope.handle, from, to) })
}

// DropKeyspace deletes a keyspace with all its keys, and says whether there was one.
func (db *DB) DropKeyspace(ctx context.Context, name string) (dropped bool, err error) {
	err = db.write(ctx, func() (err error) {
		dropped, err = dropKeyspace(db.scope.handle, name)
		return err
	})
	return dropped, err
}

// KeyspaceStats gives figures about what the keyspaces lie in: one tree for all of them. It reads about a hundredth
// of what they take in the file.
func (db *DB) KeyspaceStats() (KeyspaceStats, error) {
	s, err := keyspaceStats(db.scope.handle)
	runtime.KeepAlive(db)
	return s, err
}

// KeyspaceNames lists the keyspaces, sorted.
func (s *Snapshot) KeyspaceNames() ([]string, error) {
	names, err := keyspaceNames(s.scope.handle)
	runtime.KeepAlive(s)
	return names, err
}

// RenameKeyspace renames a keyspace. Errors: as [DB.RenameKeyspace].
func (tx *Tx) RenameKeyspace(from, to string) error { return renameKeyspace(tx.scope.handle, from, to) }

// DropKeyspace deletes a keyspace with all its keys, and says whether there was one.
func (tx *Tx) DropKeyspace(name string) (bool, error) { return dropKeyspace(tx.scope.handle, name) }
