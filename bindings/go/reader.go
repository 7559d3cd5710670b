//go:build cgo

package nyro

import (
	"runtime"
	"sync"

	"github.com/nyrodb/nyro/bindings/go/internal/codec"
)

// reader is a collection of a database, a snapshot or a transaction: its handle, and how its documents are
// written and read. The library tells the three apart.
//
//	Get:  id -> library -> scratch buffer -> one copy, as long as the document -> decoded into it
//	Put:  value -> encoded into a scratch buffer -> library
type reader[T any] struct {
	// owner keeps the database, snapshot or transaction from being cleaned up.
	owner any
	// db is the scope of the database.
	db     *scope
	name   string
	handle handle
	codec  codec.Codec[T]
	// err is the error of each call: the name is bad, or the type can't be stored, or the owner was closed.
	err error
}

func newReader[T any](owner any, db, s *scope, name string) reader[T] {
	r := reader[T]{owner: owner, db: db, name: name}
	var err error
	if r.codec, err = codec.Of[T](); err != nil {
		r.err = wrapCodec(err)
		return r
	}
	r.handle, r.err = s.collection(name)
	return r
}

// InsertOneResult is what InsertOne did.
type InsertOneResult struct {
	// InsertedID is the _id of the document.
	InsertedID ID
}

// InsertManyOptions says what happens when a document can't be inserted.
type InsertManyOptions struct {
	// Unordered: insert all documents but those that fail. Otherwise it stops at the first that fails.
	Unordered bool
	// Atomic: insert nothing if one fails. The error is that of the document, not a [*BulkError].
	Atomic bool
}

// InsertManyResult is what InsertMany did.
type InsertManyResult struct {
	// InsertedIDs are the _id of the documents, in their order.
	InsertedIDs []ID
}

// ReplaceResult is what ReplaceOne did.
type ReplaceResult struct {
	// MatchedCount is 1 if there was such a document, else 0.
	MatchedCount int
	// ModifiedCount is 1 if it was replaced, else 0.
	ModifiedCount int
}

// scratch are buffers that documents pass through; nothing that a caller gets lies in one.
var scratch = sync.Pool{New: func() any { return &buffer{bytes: make([]byte, 4096)} }}

type buffer struct {
	// bytes has its full length; what is in it is known to who uses it.
	bytes []byte
	ends  []uintptr
}

// maxKept is the size of the largest buffer that goes back into the pool.
const maxKept = 1 << 20

func (b *buffer) free() {
	if len(b.bytes) <= maxKept && cap(b.ends) <= maxKept/8 {
		scratch.Put(b)
	}
}

// grow makes the buffer hold n bytes.
func (b *buffer) grow(n int) {
	b.bytes = make([]byte, n+n/4)
}

// reserve makes the buffer hold at least so many bytes and ends.
func (b *buffer) reserve(bytes, ends int) {
	if len(b.bytes) < bytes {
		b.bytes = make([]byte, bytes)
	}
	if cap(b.ends) < ends {
		b.ends = make([]uintptr, ends)
	}
	b.ends = b.ends[:cap(b.ends)]
}

// read copies the document with this id into b and gives it; nil if there is none.
func (r *reader[T]) read(id any, b *buffer) ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	argument, err := idOf(id)
	if err != nil {
		return nil, err
	}
	for {
		n, err := getInto(r.handle, argument, b.bytes)
		runtime.KeepAlive(r.owner)
		switch {
		case err != nil || n == 0:
			return nil, err
		case n <= len(b.bytes):
			return b.bytes[:n], nil
		}
		// It may have been replaced by a larger one until the next try.
		b.grow(n)
	}
}

func (r *reader[T]) get(id any) (document T, found bool, err error) {
	b := scratch.Get().(*buffer)
	defer b.free()
	data, err := r.read(id, b)
	if data == nil {
		return document, false, err
	}
	if err := r.decodeCopy(data, &document); err != nil {
		var none T
		return none, false, err
	}
	return document, true, nil
}

// decodeCopy decodes bytes that will change. What the document holds on to is a copy.
func (r *reader[T]) decodeCopy(data []byte, document *T) error {
	if r.codec.Aliases() {
		data = append(make([]byte, 0, len(data)), data...)
	}
	return wrapCodec(r.codec.Decode(data, document))
}

func (r *reader[T]) getRaw(id any) (Raw, error) {
	b := scratch.Get().(*buffer)
	defer b.free()
	data, err := r.read(id, b)
	if data == nil {
		return nil, err
	}
	return append(make(Raw, 0, len(data)), data...), nil
}

func (r *reader[T]) getMany(ids []any) ([]*T, error) {
	if r.err != nil || len(ids) == 0 {
		return nil, r.err
	}
	list, err := idListOf(ids)
	if err != nil {
		return nil, err
	}
	data, ends, err := getMany(r.handle, list)
	runtime.KeepAlive(r.owner)
	if err != nil {
		return nil, err
	}
	documents, found := make([]T, len(ids)), make([]*T, len(ids))
	start := uintptr(0)
	for i, end := range ends {
		if end > start {
			if err := r.codec.Decode(data[start:end:end], &documents[i]); err != nil {
				return nil, wrapCodec(err)
			}
			found[i] = &documents[i]
		}
		start = end
	}
	return found, nil
}

func (r *reader[T]) contains(id any) (bool, error) {
	if r.err != nil {
		return false, r.err
	}
	argument, err := idOf(id)
	if err != nil {
		return false, err
	}
	found, err := contains(r.handle, argument)
	runtime.KeepAlive(r.owner)
	return found, err
}

func (r *reader[T]) count() (uint64, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := count(r.handle)
	runtime.KeepAlive(r.owner)
	return n, err
}

// encode writes a document into b and gives its bytes.
func (r *reader[T]) encode(b *buffer, document *T) ([]byte, error) {
	written, err := r.codec.Append(b.bytes[:0], document)
	b.bytes = written[:cap(written)]
	return written, wrapCodec(err)
}

func (r *reader[T]) write(document *T, how func(handle, []byte) (ID, error)) (ID, error) {
	if r.err != nil {
		return ID{}, r.err
	}
	b := scratch.Get().(*buffer)
	defer b.free()
	data, err := r.encode(b, document)
	if err != nil {
		return ID{}, err
	}
	id, err := how(r.handle, data)
	runtime.KeepAlive(r.owner)
	return id, err
}

func (r *reader[T]) insertMany(documents []T, options *InsertManyOptions) (InsertManyResult, error) {
	var o InsertManyOptions
	if options != nil {
		o = *options
	}
	if r.err != nil {
		return InsertManyResult{}, r.err
	}
	b := scratch.Get().(*buffer)
	defer b.free()
	b.reserve(0, len(documents))
	ends := b.ends[:len(documents)]
	// What can't be encoded goes to the library as no bytes at all. It refuses that, and keeps to what the options
	// say of a document that fails; the reason is put in afterwards.
	var refused map[int]*Error
	var first error
	encoded := r.codec.AppendAll(b.bytes[:0], documents, func(i, end int, err error) {
		ends[i] = uintptr(end)
		if err == nil {
			return
		}
		if refused == nil {
			first, refused = wrapCodec(err), map[int]*Error{}
		}
		refused[i] = wrapCodec(err).(*Error)
	})
	b.bytes = encoded[:cap(encoded)]
	if o.Atomic && first != nil {
		return InsertManyResult{}, first
	}
	ids, err := insertMany(r.handle, encoded, ends, &o)
	runtime.KeepAlive(r.owner)
	if bulk, ok := err.(*BulkError); ok {
		bulk.explain(refused)
	}
	return InsertManyResult{ids}, err
}

// bulkError reads the failures that the library lists: place, number and message of each.
func bulkError(err *Error, inserted int, failures []byte) error {
	var list [][]any
	if codec.Decode(failures, &list) != nil {
		return err
	}
	bulk := &BulkError{Inserted: inserted, err: err}
	for _, failure := range list {
		if len(failure) != 3 {
			return err
		}
		index, _ := failure[0].(int64)
		number, _ := failure[1].(int64)
		message, _ := failure[2].(string)
		bulk.Failures = append(bulk.Failures, BulkFailure{int(index), &Error{Code: Code(number), Message: message}})
	}
	bulk.explain(nil)
	return bulk
}

func (r *reader[T]) replaceOne(id any, document *T) (ReplaceResult, error) {
	if r.err != nil {
		return ReplaceResult{}, r.err
	}
	argument, err := idOf(id)
	if err != nil {
		return ReplaceResult{}, err
	}
	b := scratch.Get().(*buffer)
	defer b.free()
	data, err := r.encode(b, document)
	if err != nil {
		return ReplaceResult{}, err
	}
	replaced, err := replaceOne(r.handle, argument, data)
	runtime.KeepAlive(r.owner)
	if !replaced {
		return ReplaceResult{}, err
	}
	return ReplaceResult{1, 1}, err
}

func (r *reader[T]) delete(id any) (bool, error) {
	if r.err != nil {
		return false, r.err
	}
	argument, err := idOf(id)
	if err != nil {
		return false, err
	}
	deleted, err := deleteOne(r.handle, argument)
	runtime.KeepAlive(r.owner)
	return deleted, err
}
