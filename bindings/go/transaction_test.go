//go:build cgo

package nyro_test

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	nyro "github.com/nyrodb/nyro/bindings/go"
)

func TestUpdateKeepsAllOrNothing(t *testing.T) {
	db := openNew(t)
	users := nyro.CollectionOf[user](db, "users")
	check(t, db.Update(ctx, func(tx *nyro.Tx) error {
		in := users.In(tx)
		_, err := in.Put(user{ID: 1, Name: "a"})
		check(t, err)
		_, err = in.InsertOne(user{ID: 2, Name: "b"})
		check(t, err)
		_, err = in.InsertOne(user{ID: 2})
		wantError(t, err, nyro.ErrDuplicateID)
		got, found, err := in.Get(1)
		if err != nil || !found || got.Name != "a" {
			t.Error("it does not see its own write", got, found, err)
		}
		if _, found, _ := users.Get(1); found {
			t.Error("others see it before the commit")
		}
		replaced, err := in.ReplaceOne(2, user{ID: 2, Name: "c"})
		check(t, err)
		deleted, err := in.Delete(1)
		check(t, err)
		found, err = in.Contains(1)
		check(t, err)
		raw, err := in.GetRaw(2)
		check(t, err)
		if replaced.MatchedCount != 1 || !deleted || found || len(raw) == 0 {
			t.Error(replaced, deleted, found, raw)
		}
		_, err = tx.Collection("other").InsertMany([]nyro.M{{"_id": 1}, {"_id": 2}}, nil)
		return err
	}))
	failure := errors.New("no")
	err := db.Update(ctx, func(tx *nyro.Tx) error {
		_, err := users.In(tx).Put(user{ID: 5})
		check(t, err)
		return failure
	})
	if err != failure {
		t.Error(err)
	}
	var ids []int64
	for u, err := range users.All() {
		check(t, err)
		ids = append(ids, u.ID)
	}
	n, err := db.Collection("other").CountDocuments()
	check(t, err)
	if !reflect.DeepEqual(ids, []int64{2}) || n != 2 {
		t.Error(ids, n)
	}
}

func TestAPanicRollsBackAndGoesOn(t *testing.T) {
	db := openNew(t)
	c := db.Collection("c")
	func() {
		defer func() {
			if recover() != "at the disco" {
				t.Error("the panic was lost")
			}
		}()
		_ = db.Update(ctx, func(tx *nyro.Tx) error {
			_, err := c.In(tx).Put(nyro.M{"_id": 1})
			check(t, err)
			panic("at the disco")
		})
	}()
	var wait sync.WaitGroup
	wait.Add(1)
	go func() {
		defer wait.Done()
		_ = db.Update(ctx, func(tx *nyro.Tx) error {
			_, _ = c.In(tx).Put(nyro.M{"_id": 2})
			runtime.Goexit()
			return nil
		})
	}()
	wait.Wait()
	_, err := c.Put(ctx, nyro.M{"_id": 3})
	check(t, err)
	if n, err := c.CountDocuments(); n != 1 || err != nil {
		t.Error(n, err)
	}
}

func TestATransactionIsForItsGoroutineAndItsTime(t *testing.T) {
	db := openNew(t)
	c := db.Collection("c")
	var kept *nyro.Tx
	var keptCollection *nyro.TxCollection[nyro.M]
	check(t, db.Update(ctx, func(tx *nyro.Tx) error {
		kept, keptCollection = tx, c.In(tx)
		wantError(t, db.Update(ctx, func(*nyro.Tx) error { return nil }), nyro.ErrNestedTransaction)
		_, err := c.Put(ctx, nyro.M{"_id": 9})
		wantError(t, err, nyro.ErrNestedTransaction)
		wantError(t, db.Close(), nyro.ErrNestedTransaction)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, err := keptCollection.Put(nyro.M{"_id": 1})
			wantError(t, err, nyro.ErrWrongThread)
			_, err = c.In(tx).Put(nyro.M{"_id": 1})
			wantError(t, err, nyro.ErrWrongThread)
			wantError(t, tx.CreateCollection("x"), nyro.ErrWrongThread)
		}()
		<-done
		_, err = keptCollection.Put(nyro.M{"_id": 2})
		return err
	}))
	_, err := keptCollection.Put(nyro.M{"_id": 3})
	wantError(t, err, nyro.ErrClosed)
	_, err = kept.Collection("c").Put(nyro.M{"_id": 3})
	wantError(t, err, nyro.ErrClosed)
	wantError(t, kept.CreateCollection("x"), nyro.ErrClosed)
	// After it the goroutine is tied to nothing.
	check(t, db.Update(ctx, func(*nyro.Tx) error { return nil }))
}

func TestContextsEndWaiting(t *testing.T) {
	db := openNew(t)
	c := db.Collection("c")
	over, cancel := context.WithCancel(ctx)
	cancel()
	calls := map[string]func() error{
		"Put":        func() error { _, err := c.Put(over, nyro.M{}); return err },
		"InsertOne":  func() error { _, err := c.InsertOne(over, nyro.M{}); return err },
		"InsertMany": func() error { _, err := c.InsertMany(over, []nyro.M{{}}, nil); return err },
		"ReplaceOne": func() error { _, err := c.ReplaceOne(over, 1, nyro.M{}); return err },
		"Delete":     func() error { _, err := c.Delete(over, 1); return err },
		"Update":     func() error { return db.Update(over, func(*nyro.Tx) error { return nil }) },
		"Create":     func() error { return db.CreateCollection(over, "x") },
		"Sync":       func() error { return db.Sync(over) },
		"Verify":     func() error { _, err := db.Verify(over, nil); return err },
		"Backup":     func() error { _, err := db.Backup(over, "never", nil); return err },
	}
	for name, call := range calls {
		err := call()
		if !errors.Is(err, context.Canceled) || !errors.Is(err, nyro.ErrCancelled) {
			t.Error(name, err)
		}
	}
	running, release := make(chan struct{}), make(chan struct{})
	ended := make(chan error)
	go func() {
		ended <- db.Update(ctx, func(*nyro.Tx) error {
			close(running)
			<-release
			return nil
		})
	}()
	<-running
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	err := db.Update(short, func(*nyro.Tx) error { t.Error("it ran beside another"); return nil })
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, nyro.ErrDeadlineExceeded) {
		t.Error(err)
	}
	close(release)
	check(t, <-ended)
	// A context that ends during the change rolls back.
	during, cancel := context.WithCancel(ctx)
	err = db.Update(during, func(tx *nyro.Tx) error {
		_, err := c.In(tx).Put(nyro.M{"_id": 1})
		cancel()
		return err
	})
	wantError(t, err, context.Canceled)
	if n, err := c.CountDocuments(); n != 0 || err != nil {
		t.Error(n, err)
	}
}

func TestTheWriterTimeoutIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.nyro")
	db, err := nyro.Open(path, &nyro.Options{Durability: nyro.Manual, WriterTimeout: 20 * time.Millisecond})
	check(t, err)
	defer db.Close()
	check(t, db.Update(ctx, func(*nyro.Tx) error {
		done := make(chan error)
		go func() {
			_, err := db.Collection("c").Put(ctx, nyro.M{})
			done <- err
		}()
		err := <-done
		wantError(t, err, nyro.ErrWriterTimeout)
		wantError(t, err, nyro.KindBusy)
		return nil
	}))
}

func TestASnapshotStandsStill(t *testing.T) {
	db := openNew(t)
	users := nyro.CollectionOf[user](db, "users")
	_, err := users.Put(ctx, user{ID: 1, Name: "before"})
	check(t, err)
	s, err := db.Snapshot()
	check(t, err)
	_, err = users.Put(ctx, user{ID: 1, Name: "after"})
	check(t, err)
	_, err = users.Put(ctx, user{ID: 2, Name: "after"})
	check(t, err)
	check(t, db.CreateCollection(ctx, "later"))
	at := users.At(s)
	got, found, err := at.Get(1)
	check(t, err)
	raw, err := at.GetRaw(1)
	check(t, err)
	var lent user
	check(t, nyro.Unmarshal(raw, &lent))
	n, err := at.CountDocuments()
	check(t, err)
	missing, err := at.Contains(2)
	check(t, err)
	names, err := s.CollectionNames()
	check(t, err)
	scanned := 0
	for u, err := range at.All() {
		check(t, err)
		if u.Name != "before" {
			t.Error(u)
		}
		scanned++
	}
	if !found || got.Name != "before" || lent.Name != "before" || n != 1 || missing || scanned != 1 || !reflect.DeepEqual(names, []string{"users"}) {
		t.Error(got, lent, n, missing, scanned, names)
	}
	if raw, err := at.GetRaw(2); raw != nil || err != nil {
		t.Error(raw, err)
	}
	m, _, err := s.Collection("users").Get(1)
	check(t, err)
	if m["name"] != "before" {
		t.Error(m)
	}
	commit, err := s.Commit()
	check(t, err)
	if commit == 0 {
		t.Error(commit)
	}
	check(t, s.Close())
	check(t, s.Close())
	_, _, err = at.Get(1)
	wantError(t, err, nyro.ErrClosed)
	_, err = s.Commit()
	wantError(t, err, nyro.ErrClosed)
	_, _, err = users.At(s).Get(1)
	wantError(t, err, nyro.ErrClosed)
	failure := errors.New("no")
	if err := db.View(func(*nyro.Snapshot) error { return failure }); err != failure {
		t.Error(err)
	}
}
