//go:build cgo

package nyro_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	nyro "github.com/nyrodb/nyro/bindings/go"
)

// words is a keyspace with a: 1, b: 2, d: 4.
func words(t testing.TB, db *nyro.DB) *nyro.Keyspace {
	t.Helper()
	k := db.Keyspace("words")
	check(t, k.Write(ctx, nyro.PutKey([]byte("a"), []byte("1")), nyro.PutKey([]byte("b"), []byte("2")), nyro.PutKey([]byte("d"), []byte("4"))))
	return k
}

// text shows up to n entries: "a=1 b=2".
func text(t testing.TB, seq iter.Seq2[nyro.KeyValue, error], n int) string {
	t.Helper()
	var all []string
	for e, err := range seq {
		check(t, err)
		all = append(all, fmt.Sprintf("%s=%s", e.Key, e.Value))
		if len(all) == n {
			break
		}
	}
	return strings.Join(all, " ")
}

func wantText(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestKeysComeBackAsTheyWerePut(t *testing.T) {
	db := openNew(t)
	k := db.Keyspace("k")
	long, large := bytes.Repeat([]byte{7}, 65_535), bytes.Repeat([]byte{9}, 3<<20)
	for _, entry := range []nyro.KeyValue{
		{nil, []byte("of no bytes")}, {[]byte("empty"), nil}, {long, []byte("long")}, {[]byte{0xff, 0}, large},
	} {
		check(t, k.Put(ctx, entry.Key, entry.Value))
		value, found, err := k.Get(entry.Key)
		if !found || err != nil || value == nil || !bytes.Equal(value, entry.Value) {
			t.Errorf("%.8x: %.8x %v %v", entry.Key, value, found, err)
		}
		found, err = k.Contains(entry.Key)
		if !found || err != nil {
			t.Errorf("%.8x: %v %v", entry.Key, found, err)
		}
	}
	value, found, err := k.Get([]byte("none"))
	if value != nil || found || err != nil {
		t.Error(value, found, err)
	}
	values, err := k.GetMany([][]byte{[]byte("none"), []byte("empty"), nil, {0xff, 0}})
	check(t, err)
	if values[0] != nil || values[1] == nil || len(values[1]) != 0 || string(values[2]) != "of no bytes" || !bytes.Equal(values[3], large) {
		t.Errorf("%.20q", values)
	}
	values, err = k.GetMany([][]byte{[]byte("empty"), []byte("none")})
	if err != nil || values[0] == nil || values[1] != nil {
		t.Error(values, err)
	}
	first, found, err := k.First()
	if !found || err != nil || len(first.Key) != 0 || string(first.Value) != "of no bytes" {
		t.Error(first, found, err)
	}
	last, found, err := k.Last()
	if !found || err != nil || !bytes.Equal(last.Value, large) {
		t.Error(found, err)
	}
	// Larger than the buffer of a batch, between small ones.
	check(t, k.Put(ctx, []byte{0xff, 1}, []byte("last")))
	var sizes []int
	for e, err := range k.All() {
		check(t, err)
		sizes = append(sizes, len(e.Value))
	}
	if !reflect.DeepEqual(sizes, []int{11, 4, 0, len(large), 4}) {
		t.Error(sizes)
	}
	check(t, k.Delete(ctx, nil))
	check(t, k.Delete(ctx, nil))
	check(t, k.Clear(ctx))
	_, found, err = k.First()
	if found || err != nil {
		t.Error(found, err)
	}
}

func TestRangesKeepToTheirBounds(t *testing.T) {
	k := words(t, openNew(t))
	key := func(s string) []byte { return []byte(s) }
	check(t, k.Put(ctx, key("ab"), key("3")))
	for _, c := range []struct {
		in   nyro.Range
		want string
	}{
		{nyro.Range{}, "a=1 ab=3 b=2 d=4"},
		{nyro.Range{Backward: true, Limit: 3}, "d=4 b=2 ab=3"},
		{nyro.Range{GTE: key("ab"), LT: key("d")}, "ab=3 b=2"},
		{nyro.Range{GT: key("ab"), LTE: key("d")}, "b=2 d=4"},
		{nyro.Range{GT: key("b"), Backward: true}, "d=4"},
		{nyro.Range{Prefix: key("a")}, "a=1 ab=3"},
		{nyro.Range{Prefix: key("a"), Backward: true, Limit: 1}, "ab=3"},
		{nyro.Range{Prefix: []byte{}, Limit: 1}, "a=1"},
		{nyro.Range{LT: []byte{}}, ""},
		{nyro.Range{GT: key("b"), LT: key("b")}, ""},
		{nyro.Range{GTE: key("c")}, "d=4"},
	} {
		wantText(t, text(t, k.Range(c.in), -1), c.want)
	}
	wantText(t, text(t, k.Prefix(key("a")), -1), "a=1 ab=3")
	wantText(t, text(t, k.Prefix(nil), -1), "a=1 ab=3 b=2 d=4")
	for _, wrong := range []nyro.Range{
		{GT: key("a"), GTE: key("a")}, {LT: key("a"), LTE: key("a")}, {Prefix: key("a"), LT: key("b")}, {Limit: -1},
		{GTE: key("c"), LT: key("b")},
	} {
		wantError(t, firstError(k.Range(wrong)), nyro.ErrInvalidArgument)
		wantError(t, k.Cursor(wrong).Err(), nyro.ErrInvalidArgument)
		wantError(t, k.DeleteRange(ctx, wrong), nyro.ErrInvalidArgument)
	}
	wantError(t, k.DeleteRange(ctx, nyro.Range{Limit: 1}), nyro.ErrInvalidArgument)
	wantError(t, k.DeleteRange(ctx, nyro.Range{Backward: true}), nyro.ErrInvalidArgument)
	check(t, k.DeleteRange(ctx, nyro.Range{GT: key("a"), LTE: key("b")}))
	wantText(t, text(t, k.All(), -1), "a=1 d=4")
	check(t, k.DeleteRange(ctx, nyro.Range{Prefix: key("d")}))
	wantText(t, text(t, k.All(), -1), "a=1")
}

func TestACursorIsSoughtAndShowsItsMoment(t *testing.T) {
	db := openNew(t)
	k := words(t, db)
	c := k.Cursor(nyro.Range{})
	wantText(t, text(t, c.All(), 1), "a=1")
	check(t, k.Write(ctx, nyro.PutKey([]byte("b"), []byte("new")), nyro.PutKey([]byte("c"), []byte("3")), nyro.DeleteKey([]byte("d"))))
	wantText(t, text(t, c.All(), -1), "b=2 d=4")
	_, found, err := c.Next()
	if found || err != nil {
		t.Error(found, err)
	}
	for seek, want := range map[string]string{"": "a=1", "b": "b=2", "c": "d=4", "e": ""} {
		check(t, c.Seek([]byte(seek)))
		wantText(t, text(t, c.Lent(), 1), want)
	}
	wantError(t, c.Seek(make([]byte, 70_000)), nyro.ErrKeyTooLarge)
	check(t, c.Seek([]byte("b")))
	entry, found, err := c.Next()
	if !found || err != nil || string(entry.Key) != "b" {
		t.Error(entry, found, err)
	}
	check(t, c.Close())
	check(t, c.Close())
	_, _, err = c.Next()
	wantError(t, err, nyro.ErrClosed)
	wantError(t, c.Seek(nil), nyro.ErrClosed)
	wantError(t, c.Err(), nyro.ErrClosed)
	// What it gave is the caller's own.
	if string(append(entry.Key, 'x')) != "bx" || string(entry.Value) != "2" {
		t.Errorf("%s", entry)
	}

	back := k.Cursor(nyro.Range{LTE: []byte("b"), Backward: true, Limit: 3})
	defer back.Close()
	for _, c := range []struct{ seek, want string }{{"z", "b=new"}, {"aa", "a=1"}, {"b", "b=new"}, {"b", ""}} {
		check(t, back.Seek([]byte(c.seek)))
		wantText(t, text(t, back.All(), 1), c.want)
	}
}

func TestManyBatchesLoseNothing(t *testing.T) {
	db := openNew(t)
	k := db.Keyspace("k")
	r := rand.New(rand.NewPCG(1, 2))
	var changes []nyro.Change
	var want []string
	for i := range 3000 {
		value := bytes.Repeat([]byte{'v'}, r.IntN(400))
		if i%500 == 7 {
			value = bytes.Repeat([]byte{'v'}, 100_000)
		}
		changes = append(changes, nyro.PutKey(fmt.Appendf(nil, "%06d", i), value))
		want = append(want, fmt.Sprintf("%06d %d", i, len(value)))
	}
	check(t, k.Write(ctx, changes...))
	for _, backward := range []bool{false, true} {
		var got []string
		for e, err := range k.Range(nyro.Range{Backward: backward}) {
			check(t, err)
			got = append(got, fmt.Sprintf("%s %d", e.Key, len(e.Value)))
		}
		if backward {
			for i, j := 0, len(got)-1; i < j; i, j = i+1, j-1 {
				got[i], got[j] = got[j], got[i]
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("backward %v: %d entries", backward, len(got))
		}
	}
	n, err := k.EstimatedCount()
	if n < 3000 || err != nil {
		t.Error(n, err)
	}
	check(t, db.Checkpoint(ctx))
	stats, err := db.KeyspaceStats()
	if err != nil || len(stats.Levels) == 0 || stats.Levels[0].Entries < 3000 || stats.FlushedBytes == 0 {
		t.Errorf("%+v %v", stats, err)
	}
}

func TestWritesOfAKeyspaceAreAllOrNothing(t *testing.T) {
	db := openNew(t)
	k := words(t, db)
	before, err := db.Stats()
	check(t, err)
	check(t, k.Write(ctx, nyro.DeleteKeys([]byte("b"), []byte("c")), nyro.PutKey([]byte("x"), nil), nyro.DeleteKeys([]byte("x"), nil),
		nyro.DeleteKey([]byte("none")), nyro.PutKey([]byte("c"), []byte("3"))))
	after, err := db.Stats()
	check(t, err)
	if after.Commits != before.Commits+1 {
		t.Error(before.Commits, after.Commits)
	}
	wantText(t, text(t, k.All(), -1), "a=1 c=3 d=4")
	for _, wrong := range []struct {
		change nyro.Change
		want   error
	}{
		{nyro.PutKey(make([]byte, 65_536), nil), nyro.ErrKeyTooLarge},
		{nyro.PutKey(nil, make([]byte, 16<<20+1)), nyro.ErrValueTooLarge},
		{nyro.DeleteKeys([]byte("b"), []byte("a")), nyro.ErrInvalidArgument},
		{nyro.Change{}, nyro.ErrInvalidArgument},
	} {
		wantError(t, k.Write(ctx, nyro.ClearKeys(), wrong.change), wrong.want)
	}
	wantError(t, k.Put(ctx, make([]byte, 65_536), nil), nyro.ErrKeyTooLarge)
	_, _, err = k.Get(make([]byte, 65_536))
	wantError(t, err, nyro.ErrKeyTooLarge)
	check(t, k.Write(ctx))
	wantText(t, text(t, k.All(), -1), "a=1 c=3 d=4")
	check(t, k.Write(ctx, nyro.DeleteKeys(nil, []byte("d")), nyro.PutKey([]byte("e"), []byte("5"))))
	wantText(t, text(t, k.All(), -1), "d=4 e=5")

	_, err = db.Collection("documents").Put(ctx, nyro.M{})
	check(t, err)
	_, _, err = db.Keyspace("documents").Get(nil)
	wantError(t, err, nyro.ErrOtherKind)
	wantError(t, db.Keyspace("").Put(ctx, nil, nil), nyro.ErrInvalidName)
	done, cancel := context.WithCancel(ctx)
	cancel()
	for _, err := range []error{k.Put(done, nil, nil), k.Delete(done, nil), k.Clear(done), k.Write(done), k.DeleteRange(done, nyro.Range{})} {
		wantError(t, err, context.Canceled)
	}
	wantText(t, text(t, k.All(), -1), "d=4 e=5")
}

func TestKeyspacesInATransaction(t *testing.T) {
	db := openNew(t)
	k := words(t, db)
	var kept *nyro.TxKeyspace
	var cursor, unread *nyro.KeyCursor
	check(t, db.Update(ctx, func(tx *nyro.Tx) error {
		in := k.In(tx)
		kept = in
		check(t, in.Put([]byte("c"), []byte("3")))
		cursor, unread = in.Cursor(nyro.Range{}), in.Cursor(nyro.Range{})
		wantText(t, text(t, cursor.All(), 1), "a=1")
		// What lies before it is seen, though it was begun before.
		check(t, in.Write(nyro.PutKey([]byte("b"), []byte("new")), nyro.DeleteKey([]byte("c")), nyro.PutKey([]byte("e"), []byte("5"))))
		wantText(t, text(t, cursor.All(), 2), "b=new d=4")
		wantText(t, text(t, k.All(), -1), "a=1 b=2 d=4")
		wantError(t, k.Put(ctx, nil, nil), nyro.ErrNestedTransaction)
		wantError(t, in.Put(make([]byte, 65_536), nil), nyro.ErrKeyTooLarge)
		values, err := in.GetMany([][]byte{[]byte("b"), []byte("c")})
		if err != nil || string(values[0]) != "new" || values[1] != nil {
			t.Error(values, err)
		}
		elsewhere := make(chan error)
		for _, call := range []func() error{
			func() error { _, _, err := in.Get(nil); return err },
			func() error { return in.Put(nil, nil) },
			func() error { _, _, err := cursor.Next(); return err },
			func() error { return firstError(in.All()) },
		} {
			go func() { elsewhere <- call() }()
			wantError(t, <-elsewhere, nyro.ErrWrongThread)
		}
		wantText(t, text(t, cursor.All(), -1), "e=5")
		_, err = tx.Collection("log").Put(nyro.M{"_id": 1})
		check(t, err)
		return tx.RenameKeyspace("words", "others")
	}))
	wantText(t, text(t, db.Keyspace("others").All(), -1), "a=1 b=new d=4 e=5")
	_, _, err := kept.Get([]byte("a"))
	wantError(t, err, nyro.ErrClosed)
	_, _, err = unread.Next()
	wantError(t, err, nyro.ErrClosed)
	wantError(t, cursor.Seek(nil), nyro.ErrClosed)
	check(t, cursor.Close())
	check(t, unread.Close())

	rollback := errors.New("rolled back")
	err = db.Update(ctx, func(tx *nyro.Tx) error {
		check(t, tx.Keyspace("others").Clear())
		check(t, tx.Keyspace("new").Delete(nil))
		dropped, err := tx.DropKeyspace("others")
		if !dropped || err != nil {
			t.Error(dropped, err)
		}
		return rollback
	})
	wantError(t, err, rollback)
	names, err := db.KeyspaceNames()
	if err != nil || !reflect.DeepEqual(names, []string{"others"}) {
		t.Error(names, err)
	}
}

func TestAKeyspaceOfASnapshotStandsStill(t *testing.T) {
	db := openNew(t)
	k := words(t, db)
	check(t, db.View(func(s *nyro.Snapshot) error {
		dropped, err := db.DropKeyspace(ctx, "words")
		if !dropped || err != nil {
			t.Error(dropped, err)
		}
		wantText(t, text(t, k.At(s).Range(nyro.Range{GT: []byte("a")}), -1), "b=2 d=4")
		wantText(t, text(t, k.All(), -1), "")
		names, err := s.KeyspaceNames()
		if err != nil || !reflect.DeepEqual(names, []string{"words"}) {
			t.Error(names, err)
		}
		n, err := s.Keyspace("words").EstimatedCount()
		if n < 3 || err != nil {
			t.Error(n, err)
		}
		last, found, err := s.Keyspace("words").Last()
		if string(last.Key) != "d" || !found {
			t.Error(last, found)
		}
		return err
	}))
	wantError(t, db.RenameKeyspace(ctx, "none", "x"), nyro.ErrCollectionNotFound)
}

func TestEveryCallOfAKeyspaceAfterCloseIsAnError(t *testing.T) {
	db := openNew(t)
	k := db.Keyspace("k")
	var changes []nyro.Change
	for i := range 100 {
		changes = append(changes, nyro.PutKey([]byte{byte(i)}, nil))
	}
	check(t, k.Write(ctx, changes...))
	s, err := db.Snapshot()
	check(t, err)
	at, cursor := k.At(s), k.Cursor(nyro.Range{})
	text(t, cursor.All(), 1)
	check(t, db.Close())
	for name, call := range map[string]func() error{
		"Get":            func() error { _, _, err := k.Get(nil); return err },
		"GetMany":        func() error { _, err := k.GetMany([][]byte{nil}); return err },
		"Contains":       func() error { _, err := k.Contains(nil); return err },
		"First":          func() error { _, _, err := k.First(); return err },
		"Put":            func() error { return k.Put(ctx, nil, nil) },
		"Delete":         func() error { return k.Delete(ctx, nil) },
		"DeleteRange":    func() error { return k.DeleteRange(ctx, nyro.Range{}) },
		"Clear":          func() error { return k.Clear(ctx) },
		"Write":          func() error { return k.Write(ctx, nyro.ClearKeys()) },
		"EstimatedCount": func() error { _, err := k.EstimatedCount(); return err },
		"All":            func() error { return firstError(k.All()) },
		"Next":           func() error { _, _, err := cursor.Next(); return err },
		"Lent":           func() error { return firstError(cursor.Lent()) },
		"Seek":           func() error { return cursor.Seek(nil) },
		"snapshot.Get":   func() error { _, _, err := at.Get(nil); return err },
		"snapshot.All":   func() error { return firstError(at.All()) },
		"snapshot.names": func() error { _, err := s.KeyspaceNames(); return err },
		"other":          func() error { return db.Keyspace("other").Put(ctx, nil, nil) },
		"names":          func() error { _, err := db.KeyspaceNames(); return err },
		"Rename":         func() error { return db.RenameKeyspace(ctx, "k", "l") },
		"Drop":           func() error { _, err := db.DropKeyspace(ctx, "k"); return err },
		"KeyspaceStats":  func() error { _, err := db.KeyspaceStats(); return err },
	} {
		if err := call(); !errors.Is(err, nyro.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check(t, cursor.Close())
	check(t, s.Close())
}

func TestForgottenCursorsAreReleased(t *testing.T) {
	path := filepath.Join(t.TempDir(), "forgotten.nyro")
	func() {
		db, err := nyro.Open(path, &relaxed)
		check(t, err)
		k := words(t, db)
		for range 50 {
			text(t, k.Cursor(nyro.Range{}).All(), 1)
			text(t, k.All(), 1)
		}
		check(t, db.Close())
	}()
	// A cursor that is alive keeps others from opening the file.
	for range 200 {
		runtime.GC()
		if again, err := nyro.Open(path, &nyro.Options{Durability: nyro.Manual, CacheBytes: 1 << 20}); err == nil {
			wantText(t, text(t, again.Keyspace("words").All(), -1), "a=1 b=2 d=4")
			check(t, again.Close())
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("it is still open")
}

func TestGoroutinesShareAKeyspace(t *testing.T) {
	db := openNew(t)
	k := db.Keyspace("k")
	end := time.Now().Add(time.Second)
	var wait sync.WaitGroup
	for n := range 4 {
		wait.Add(2)
		// Two keys that always have the same value.
		go func() {
			defer wait.Done()
			for i := 0; time.Now().Before(end); i++ {
				value := fmt.Appendf(nil, "%d of %d", i, n)
				if err := k.Write(ctx, nyro.PutKey([]byte("first"), value), nyro.PutKey([]byte("second"), value)); err != nil {
					t.Error(err)
				}
			}
		}()
		go func() {
			defer wait.Done()
			for i := 0; time.Now().Before(end); i++ {
				var values [][]byte
				for e, err := range k.All() {
					if err != nil {
						t.Error(err)
					}
					values = append(values, e.Value)
				}
				if i%2 == 0 {
					var err error
					if values, err = k.GetMany([][]byte{[]byte("first"), []byte("second")}); err != nil {
						t.Error(err)
					}
				}
				if len(values) == 2 && !bytes.Equal(values[0], values[1]) {
					t.Errorf("%q", values)
				}
			}
		}()
	}
	wait.Wait()
}

func TestClosingWhileOthersUseKeyspacesIsClean(t *testing.T) {
	for range 20 {
		db, err := nyro.Open(filepath.Join(t.TempDir(), "app.nyro"), &relaxed)
		check(t, err)
		k := words(t, db)
		var wait sync.WaitGroup
		for range 4 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				for {
					c := k.Cursor(nyro.Range{})
					_, _, err := c.Next()
					if err == nil {
						err = c.Seek([]byte("b"))
					}
					if err == nil {
						err = k.Put(ctx, []byte("x"), []byte("y"))
					}
					_ = c.Close()
					if err != nil {
						wantError(t, err, nyro.ErrClosed)
						return
					}
				}
			}()
		}
		time.Sleep(time.Millisecond)
		check(t, db.Close())
		wait.Wait()
	}
}

func TestKeyspaceStatsHaveEveryFieldOfTheEngine(t *testing.T) {
	db := openNew(t)
	words(t, db)
	check(t, db.Checkpoint(ctx))
	figures, err := nyro.KeyspaceStatsFields(db)
	check(t, err)
	levels, _ := figures["levels"].([]any)
	if len(levels) == 0 {
		t.Fatal(figures)
	}
	compare := func(class reflect.Type, figures nyro.M) {
		known := map[string]bool{}
		for i := range class.NumField() {
			name := class.Field(i).Tag.Get("nyro")
			known[name] = true
			if _, ok := figures[name]; !ok {
				t.Errorf("the engine has no %s", name)
			}
		}
		for name := range figures {
			if !known[name] {
				t.Errorf("%s lacks %s", class, name)
			}
		}
	}
	compare(reflect.TypeFor[nyro.KeyspaceStats](), figures)
	compare(reflect.TypeFor[nyro.LevelStats](), levels[0].(nyro.M))
}
