//go:build cgo

package nyro

import (
	"io"
	"iter"
	"math"
	"runtime"
	"sync/atomic"
)

// KeyCursor goes through the keys in a range with their values. It shows the keyspace as of the moment when it was
// made, and keeps that until it is closed; in a transaction it shows each key as it is when it comes to it. Entries
// come from the library by the batch, in a transaction one by one:
//
//	library --one call--> [ key value | key value | .. ]  ends       All, Next: copied
//	                                                                 Lent: as they lie here
//
// A KeyCursor is for one goroutine, in a transaction for that of the transaction.
type KeyCursor struct {
	from   *keys
	handle *rangeHandle
	// err is why it could not begin, or that it was closed.
	err error
	// left is how many entries the limit allows still.
	left int
	// ended: the library has nothing more, until a Seek.
	ended bool

	batch *buffer
	// next is the place in the batch of the entry that comes next, of all that are there.
	next, all int
	at        uintptr
}

// rangeHandle is closed once, by whoever comes first.
type rangeHandle struct {
	handle atomic.Uint64
}

func (h *rangeHandle) close() {
	if opened := h.handle.Swap(0); opened != 0 {
		_ = closeRange(handle(opened))
	}
}

var _ io.Closer = (*KeyCursor)(nil)

func newKeyCursor(from *keys, r Range) *KeyCursor {
	c := &KeyCursor{from: from, err: from.err, left: r.Limit}
	if r.Limit == 0 {
		c.left = math.MaxInt
	}
	if c.err == nil {
		c.err = c.open(&r)
	}
	return c
}

func (c *KeyCursor) open(r *Range) error {
	b, err := r.bounds()
	if err != nil {
		return err
	}
	h, err := openRange(c.from.handle, b, r.Backward)
	runtime.KeepAlive(c.from.owner)
	if err != nil {
		return err
	}
	c.handle = &rangeHandle{}
	c.handle.handle.Store(uint64(h))
	runtime.AddCleanup(c, func(h *rangeHandle) { h.close() }, c.handle)
	return nil
}

// Next gives the next entry; found is false at the end.
func (c *KeyCursor) Next() (entry KeyValue, found bool, err error) {
	lent, found, err := c.step()
	if !found {
		return KeyValue{}, false, err
	}
	keyBytes := len(lent.Key)
	both := make([]byte, 0, keyBytes+len(lent.Value))
	both = append(append(both, lent.Key...), lent.Value...)
	return KeyValue{both[:keyBytes:keyBytes], both[keyBytes:]}, true, nil
}

// All gives the entries that are left, one after the other. After an error, which comes as the last pair, it ends.
// A second loop goes on where the first one stopped.
func (c *KeyCursor) All() iter.Seq2[KeyValue, error] { return entries(c.Next) }

// Lent gives the entries that are left without copying each. Key and value are lent until the loop's next step:
// read them, do not keep or change them.
func (c *KeyCursor) Lent() iter.Seq2[KeyValue, error] { return entries(c.step) }

func entries(next func() (KeyValue, bool, error)) iter.Seq2[KeyValue, error] {
	return func(yield func(KeyValue, error) bool) {
		for {
			entry, found, err := next()
			if err == nil && !found || !yield(entry, err) || err != nil {
				return
			}
		}
	}
}

// Seek goes to a key, whether it is there or not: the next entry is that key's or the first one behind it, backward
// the first one before it. From a key outside of the range it goes to the nearest one inside. It shows the same
// moment as before, and may be called at the end and after an error, too; it adds nothing to the limit.
func (c *KeyCursor) Seek(key []byte) error {
	if c.err != nil {
		return c.err
	}
	if c.from.db.closed.Load() {
		return errClosed("database")
	}
	err := seekRange(handle(c.handle.handle.Load()), key)
	runtime.KeepAlive(c)
	if err == nil {
		c.next, c.all, c.ended = 0, 0, false
	}
	return err
}

// Err is the error that each call will give, because the cursor could not begin or was closed.
func (c *KeyCursor) Err() error { return c.err }

// Close lets go of what the cursor shows. Closing again does nothing.
func (c *KeyCursor) Close() error {
	if c.err == nil {
		c.err = errClosed("range")
	}
	if c.handle != nil {
		c.handle.close()
	}
	if c.batch != nil {
		c.batch.free()
		c.batch = nil
	}
	return nil
}

// step gives the next entry, lent until the next step.
func (c *KeyCursor) step() (entry KeyValue, found bool, err error) {
	if c.err != nil || c.left == 0 {
		return KeyValue{}, false, c.err
	}
	if c.next == c.all && !c.ended {
		// After an error the library gives it again.
		if err := c.fill(); err != nil {
			return KeyValue{}, false, err
		}
	}
	if c.next == c.all {
		return KeyValue{}, false, nil
	}
	if c.from.db.closed.Load() {
		// What was read ahead is not given either.
		return KeyValue{}, false, errClosed("database")
	}
	start, middle, end := c.at, c.batch.ends[2*c.next], c.batch.ends[2*c.next+1]
	c.at = end
	c.next++
	c.left--
	return KeyValue{c.batch.bytes[start:middle:middle], c.batch.bytes[middle:end:end]}, true, nil
}

// fill fetches the next batch.
func (c *KeyCursor) fill() error {
	most := fullBatch
	if c.batch == nil {
		most = firstBatch
		c.batch = scratch.Get().(*buffer)
		c.batch.reserve(batchBytes, 2*fullBatch)
	}
	if most = min(most, c.left); c.from.inTx {
		most = 1
	}
	for {
		got, err := fillEntries(handle(c.handle.handle.Load()), c.batch.bytes, c.batch.ends[:2*most])
		runtime.KeepAlive(c)
		if err != nil {
			return err
		}
		if got.needed > 0 {
			c.batch.grow(got.needed)
			continue
		}
		c.next, c.all, c.at, c.ended = 0, got.entries, 0, got.ended
		return nil
	}
}
