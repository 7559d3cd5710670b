//go:build cgo

package nyro

import (
	"io"
	"iter"
	"runtime"
	"sync/atomic"
)

// Token is where a scan is: a scan that begins after it, now or after reopening, goes on behind the last
// document that was given. What has not changed since comes exactly once; what was written since comes (again)
// at the end. 0 is the beginning.
type Token uint64

// Scan reads documents in the order they were last written, from a snapshot of its own that is taken when it is
// made. Documents come from the library by the batch:
//
//	library --one call--> [ doc | doc | doc | .. ]  ends, tokens       All: each decoded in a copy of its own
//	                                                                   Raws: lent as they lie here
//
// A Scan is for one goroutine. It closes itself at its end and after an error; close it where a loop may leave
// early and the Scan stays in use.
type Scan[T any] struct {
	from   *reader[T]
	handle *scanHandle
	token  Token
	err    error
	// ended: the library has nothing more.
	ended bool

	batch  *buffer
	tokens []uint64
	// next is the place in the batch of the document that comes next, of all that are there.
	next, all int
	at        uintptr
}

// scanHandle is closed once, by whoever comes first.
type scanHandle struct {
	handle atomic.Uint64
}

func (h *scanHandle) close() {
	if scan := h.handle.Swap(0); scan != 0 {
		_ = closeScan(handle(scan))
	}
}

var _ io.Closer = (*Scan[int])(nil)

// Documents of the first batch, and of the others: a loop that stops early has not read much ahead.
const (
	firstBatch = 16
	fullBatch  = 256
	batchBytes = 64 << 10
)

func newScan[T any](from *reader[T], after Token) *Scan[T] {
	s := &Scan[T]{from: from, token: after, err: from.err}
	if s.err == nil {
		s.err = s.open()
	}
	return s
}

// all is a new scan for each loop, closed at its end.
func all[T any](from *reader[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		s := newScan(from, 0)
		defer s.Close()
		s.All()(yield)
	}
}

// All gives the documents that are left, one after the other. After an error, which comes as the last pair, it
// ends. A second loop goes on where the first one stopped.
func (s *Scan[T]) All() iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			var document T
			data, err := s.step()
			if err == nil && data == nil {
				return
			}
			if err == nil {
				if err = s.from.decodeCopy(data, &document); err != nil {
					s.end()
					var none T
					document = none
				}
			}
			if !yield(document, err) || err != nil {
				return
			}
		}
	}
}

// Raws gives the documents that are left as their bytes, without copying each. The bytes are lent until the
// loop's next step: read them, do not keep or change them.
func (s *Scan[T]) Raws() iter.Seq2[Raw, error] {
	return func(yield func(Raw, error) bool) {
		for {
			data, err := s.step()
			if err == nil && data == nil {
				return
			}
			if !yield(data, err) || err != nil {
				return
			}
		}
	}
}

// Err is the error that the next loop will give, because the scan could not begin or was closed.
func (s *Scan[T]) Err() error { return s.err }

// Token is where the scan is, behind the last document that it gave.
func (s *Scan[T]) Token() Token { return s.token }

// Close ends the scan. Closing again does nothing.
func (s *Scan[T]) Close() error {
	if s.err == nil && !s.ended {
		s.err = errClosed("scan")
	}
	s.release()
	return nil
}

// end is the end of the scan: of its documents, or because of an error, after which it gives nothing.
func (s *Scan[T]) end() {
	s.ended = true
	s.release()
}

func (s *Scan[T]) release() {
	if s.handle != nil {
		s.handle.close()
	}
	if s.batch != nil {
		s.batch.free()
		s.batch = nil
	}
	s.next, s.all = 0, 0
}

// step gives the next document, lent until the next step; nil at the end.
func (s *Scan[T]) step() ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	if s.next == s.all {
		if !s.ended {
			if err := s.fill(); err != nil {
				s.end()
				return nil, err
			}
		}
		if s.next == s.all {
			s.end()
			return nil, nil
		}
	}
	if s.from.db.closed.Load() {
		// What was read ahead is not given either.
		s.end()
		return nil, errClosed("database")
	}
	start, end := s.at, s.batch.ends[s.next]
	s.token = Token(s.tokens[s.next])
	s.at = end
	s.next++
	return s.batch.bytes[start:end:end], nil
}

// fill fetches the next batch.
func (s *Scan[T]) fill() error {
	most := fullBatch
	if s.batch == nil {
		most = firstBatch
		s.batch = scratch.Get().(*buffer)
		s.batch.reserve(batchBytes, fullBatch)
		s.tokens = make([]uint64, fullBatch)
	}
	for {
		got, err := fillBatch(handle(s.handle.handle.Load()), s.batch.bytes, s.batch.ends[:most], s.tokens[:most])
		runtime.KeepAlive(s)
		if err != nil {
			return err
		}
		if got.needed > 0 {
			s.batch.grow(got.needed)
			continue
		}
		s.next, s.all, s.at = 0, got.documents, 0
		if s.ended = got.ended; s.ended {
			s.handle.close()
		}
		return nil
	}
}

func (s *Scan[T]) open() error {
	h, err := openScan(s.from.handle, uint64(s.token))
	runtime.KeepAlive(s.from.owner)
	if err != nil {
		return err
	}
	s.handle = &scanHandle{}
	s.handle.handle.Store(uint64(h))
	runtime.AddCleanup(s, func(h *scanHandle) { h.close() }, s.handle)
	return nil
}
