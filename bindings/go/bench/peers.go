package main

import (
	"encoding/binary"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/dgraph-io/badger/v4"
	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/bbolt"
)

// key orders ids as their numbers.
func key(id int64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), uint64(id)) }

// ---- bbolt ---------------------------------------------------------------------------------------------

type bboltStore struct{ db *bbolt.DB }

var bucket = []byte("people")

func (s *bboltStore) name() string { return "bbolt" }

func (s *bboltStore) open(folder string) (err error) {
	s.db, err = bbolt.Open(filepath.Join(folder, "app.bolt"), 0o600, &bbolt.Options{
		NoSync: true, NoGrowSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	})
	if err != nil {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(bucket)
		return err
	})
}

func (s *bboltStore) insert(people []Person) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		for i := range people {
			data, err := msgpack.Marshal(&people[i])
			if err != nil {
				return err
			}
			if err := b.Put(key(people[i].ID), data); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *bboltStore) get(id int64) (p Person, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error { return msgpack.Unmarshal(tx.Bucket(bucket).Get(key(id)), &p) })
	return p, err
}

func (s *bboltStore) getAll(ids []int64, each func(*Person)) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		for _, id := range ids {
			var p Person
			if err := msgpack.Unmarshal(b.Get(key(id)), &p); err != nil {
				return err
			}
			each(&p)
		}
		return nil
	})
}

func (s *bboltStore) scan(each func(*Person)) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(_, data []byte) error {
			var p Person
			if err := msgpack.Unmarshal(data, &p); err != nil {
				return err
			}
			each(&p)
			return nil
		})
	})
}

func (s *bboltStore) put(p *Person) error { return s.insert([]Person{*p}) }
func (s *bboltStore) close() error        { return s.db.Close() }

// ---- Badger --------------------------------------------------------------------------------------------

type badgerStore struct{ db *badger.DB }

func (s *badgerStore) name() string { return "Badger" }

func (s *badgerStore) open(folder string) (err error) {
	s.db, err = badger.Open(badger.DefaultOptions(folder).WithSyncWrites(false).WithLogger(nil))
	return err
}

func (s *badgerStore) insert(people []Person) error {
	return s.db.Update(func(tx *badger.Txn) error {
		for i := range people {
			data, err := msgpack.Marshal(&people[i])
			if err != nil {
				return err
			}
			if err := tx.Set(key(people[i].ID), data); err != nil {
				return err
			}
		}
		return nil
	})
}

func badgerGet(tx *badger.Txn, id int64, p *Person) error {
	item, err := tx.Get(key(id))
	if err != nil {
		return err
	}
	return item.Value(func(data []byte) error { return msgpack.Unmarshal(data, p) })
}

func (s *badgerStore) get(id int64) (p Person, err error) {
	err = s.db.View(func(tx *badger.Txn) error { return badgerGet(tx, id, &p) })
	return p, err
}

func (s *badgerStore) getAll(ids []int64, each func(*Person)) error {
	return s.db.View(func(tx *badger.Txn) error {
		for _, id := range ids {
			var p Person
			if err := badgerGet(tx, id, &p); err != nil {
				return err
			}
			each(&p)
		}
		return nil
	})
}

func (s *badgerStore) scan(each func(*Person)) error {
	return s.db.View(func(tx *badger.Txn) error {
		it := tx.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			var p Person
			if err := it.Item().Value(func(data []byte) error { return msgpack.Unmarshal(data, &p) }); err != nil {
				return err
			}
			each(&p)
		}
		return nil
	})
}

func (s *badgerStore) put(p *Person) error { return s.insert([]Person{*p}) }
func (s *badgerStore) close() error        { return s.db.Close() }

// ---- Pebble --------------------------------------------------------------------------------------------

type pebbleStore struct{ db *pebble.DB }

func (s *pebbleStore) name() string { return "Pebble" }

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(f string, a ...any) {
	panic(f)
}

func (s *pebbleStore) open(folder string) (err error) {
	s.db, err = pebble.Open(folder, &pebble.Options{Logger: quiet{}, FormatMajorVersion: pebble.FormatNewest})
	return err
}

func (s *pebbleStore) insert(people []Person) error {
	b := s.db.NewBatch()
	defer b.Close()
	for i := range people {
		data, err := msgpack.Marshal(&people[i])
		if err != nil {
			return err
		}
		if err := b.Set(key(people[i].ID), data, nil); err != nil {
			return err
		}
	}
	return b.Commit(pebble.NoSync)
}

func pebbleGet(r pebble.Reader, id int64, p *Person) error {
	data, closer, err := r.Get(key(id))
	if err != nil {
		return err
	}
	defer closer.Close()
	return msgpack.Unmarshal(data, p)
}

func (s *pebbleStore) get(id int64) (p Person, err error) {
	err = pebbleGet(s.db, id, &p)
	return p, err
}

func (s *pebbleStore) getAll(ids []int64, each func(*Person)) error {
	snapshot := s.db.NewSnapshot()
	defer snapshot.Close()
	for _, id := range ids {
		var p Person
		if err := pebbleGet(snapshot, id, &p); err != nil {
			return err
		}
		each(&p)
	}
	return nil
}

func (s *pebbleStore) scan(each func(*Person)) error {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return err
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		data, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		var p Person
		if err := msgpack.Unmarshal(data, &p); err != nil {
			return err
		}
		each(&p)
	}
	return it.Error()
}

func (s *pebbleStore) put(p *Person) error { return s.insert([]Person{*p}) }
func (s *pebbleStore) close() error        { return s.db.Close() }
