//go:build cgo

package nyro

import (
	"sync"
	"sync/atomic"
)

// scope is what has collections and keyspaces: a database, a snapshot or a transaction. It keeps the handles of
// those that were asked for, each opened once, and releases them with its own.
//
//	DB ---------> scope { handle, "users": handle, "orders": handle }
//	Collection ---^ and a copy of its handle
//
// A handle that was released is an error wherever it is used, so a collection needs no word of its scope's end.
type scope struct {
	handle  handle
	release func(handle) error

	// hasLent: somebody may look at memory of the database that is valid until close.
	hasLent atomic.Bool
	// closed is set once, under mu.
	closed      atomic.Bool
	mu          sync.Mutex
	collections map[string]handle
	keyspaces   map[string]handle
}

func newScope(h handle, release func(handle) error) *scope {
	return &scope{handle: h, release: release, collections: map[string]handle{}, keyspaces: map[string]handle{}}
}

// collection is the handle of the collection with this name.
func (s *scope) collection(name string) (handle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open(s.collections, openCollection, name)
}

// keyspace is the handle of the keyspace with this name.
func (s *scope) keyspace(name string) (handle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open(s.keyspaces, openKeyspace, name)
}

// open gives a handle of those that are open, or one more. The scope is locked.
func (s *scope) open(opened map[string]handle, open func(handle, string) (handle, error), name string) (handle, error) {
	if s.closed.Load() {
		return 0, errClosed("database, snapshot or transaction")
	}
	if h, ok := opened[name]; ok {
		return h, nil
	}
	h, err := open(s.handle, name)
	if err == nil {
		opened[name] = h
	}
	return h, err
}

// forget closes what nobody holds any more. What has lent something stays: the bytes may be held still.
func (s *scope) forget() {
	if !s.hasLent.Load() {
		_ = s.close()
	}
}

// close releases all handles. The second time does nothing.
func (s *scope) close() error {
	s.mu.Lock()
	if s.closed.Load() {
		s.mu.Unlock()
		return nil
	}
	s.closed.Store(true)
	collections, keyspaces := s.collections, s.keyspaces
	s.collections, s.keyspaces = nil, nil
	s.mu.Unlock()
	for _, h := range collections {
		// The handle is valid, or its scope has ended and taken it along.
		_ = releaseCollection(h)
	}
	for _, h := range keyspaces {
		_ = releaseKeyspace(h)
	}
	return s.release(s.handle)
}
