//go:build cgo

package nyro_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	nyro "github.com/nyrodb/nyro/bindings/go"
)

var ctx = context.Background()

type user struct {
	ID   int64    `nyro:"_id"`
	Name string   `nyro:"name"`
	Tags []string `nyro:"tags,omitempty"`
}

// relaxed: the tests are about what is written, not about the disk.
var relaxed = nyro.Options{Durability: nyro.Manual}

func open(t testing.TB, path string) *nyro.DB {
	t.Helper()
	db, err := nyro.Open(path, &relaxed)
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	return db
}

func openNew(t testing.TB) *nyro.DB { return open(t, filepath.Join(t.TempDir(), "app.nyro")) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t testing.TB, err error, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got the error %v, want %v", err, want)
	}
}

func TestADocumentComesBackAsItWasPut(t *testing.T) {
	db := openNew(t)
	users := nyro.CollectionOf[user](db, "users")
	want := user{7, "Ada", []string{"math", "é"}}
	id, err := users.Put(ctx, want)
	check(t, err)
	if id != nyro.IntID(7) {
		t.Error(id)
	}
	got, found, err := users.Get(7)
	check(t, err)
	if !found || !reflect.DeepEqual(got, want) {
		t.Error(got, found)
	}
	if _, found, err := users.Get(8); found || err != nil {
		t.Error("a document that is not there", found, err)
	}
	m, found, err := db.Collection("users").Get(int8(7))
	check(t, err)
	if !found || !reflect.DeepEqual(m, nyro.M{"_id": int64(7), "name": "Ada", "tags": []any{"math", "é"}}) {
		t.Errorf("%#v", m)
	}
	raw, err := users.GetRaw(nyro.IntID(7))
	check(t, err)
	var back user
	check(t, nyro.Unmarshal(raw, &back))
	if !reflect.DeepEqual(back, want) {
		t.Error(back)
	}
	if raw, err := users.GetRaw("none"); raw != nil || err != nil {
		t.Error(raw, err)
	}
}

func TestIDsOfEveryKindFindTheirDocument(t *testing.T) {
	type doc struct {
		ID nyro.ID `nyro:"_id,omitempty"`
		N  int     `nyro:"n"`
	}
	db := openNew(t)
	docs := nyro.CollectionOf[doc](db, "docs")
	ids := []nyro.ID{
		nyro.IntID(0), nyro.IntID(-1), nyro.IntID(math.MinInt64), nyro.IntID(math.MaxInt64), nyro.UintID(math.MaxUint64),
		nyro.StringID(""), nyro.StringID("a"), nyro.BytesID(nil), nyro.BytesID([]byte("a")),
	}
	for n, id := range ids {
		got, err := docs.Put(ctx, doc{id, n})
		check(t, err)
		if got != id {
			t.Errorf("put %v, got %v", id, got)
		}
	}
	for n, id := range ids {
		for _, form := range []any{id, id.Value()} {
			got, found, err := docs.Get(form)
			if err != nil || !found || got.N != n {
				t.Errorf("%v: %v %v %v", form, got, found, err)
			}
			found, err = docs.Contains(form)
			if err != nil || !found {
				t.Errorf("contains %v: %v %v", form, found, err)
			}
		}
	}
	deleted, err := docs.Delete(ctx, "a")
	check(t, err)
	again, err := docs.Delete(ctx, "a")
	check(t, err)
	if !deleted || again {
		t.Error(deleted, again)
	}
	if found, _ := docs.Contains([]byte("a")); !found {
		t.Error("the bytes went with the string")
	}
}

func TestADocumentWithoutIDGetsTheNextInteger(t *testing.T) {
	type doc struct {
		ID int64 `nyro:"_id,omitempty"`
	}
	db := openNew(t)
	docs := nyro.CollectionOf[doc](db, "docs")
	for want := int64(1); want < 4; want++ {
		result, err := docs.InsertOne(ctx, doc{})
		check(t, err)
		if got, ok := result.InsertedID.Int64(); !ok || got != want {
			t.Error(result)
		}
	}
	result, err := docs.InsertMany(ctx, []doc{{}, {100}, {}}, nil)
	check(t, err)
	if !reflect.DeepEqual(result.InsertedIDs, []nyro.ID{nyro.IntID(4), nyro.IntID(100), nyro.IntID(101)}) {
		t.Error(result)
	}
}

func TestWritesSayWhatTheyDid(t *testing.T) {
	db := openNew(t)
	users := nyro.CollectionOf[user](db, "users")
	_, err := users.InsertOne(ctx, user{ID: 1, Name: "a"})
	check(t, err)
	_, err = users.InsertOne(ctx, user{ID: 1, Name: "b"})
	wantError(t, err, nyro.ErrDuplicateID)
	wantError(t, err, nyro.KindExists)
	var e *nyro.Error
	if !errors.As(err, &e) || e.Code != 205 || e.Kind() != nyro.KindExists || e.Message == "" {
		t.Errorf("%#v", err)
	}
	replaced, err := users.ReplaceOne(ctx, 1, user{ID: 1, Name: "c"})
	check(t, err)
	missed, err := users.ReplaceOne(ctx, 2, user{ID: 2})
	check(t, err)
	if replaced != (nyro.ReplaceResult{MatchedCount: 1, ModifiedCount: 1}) || missed != (nyro.ReplaceResult{}) {
		t.Error(replaced, missed)
	}
	_, err = users.ReplaceOne(ctx, 1, user{ID: 2})
	wantError(t, err, nyro.ErrInvalidID)
	got, _, err := users.Get(1)
	check(t, err)
	if got.Name != "c" {
		t.Error(got)
	}
	n, err := users.CountDocuments()
	check(t, err)
	estimated, err := users.EstimatedDocumentCount()
	check(t, err)
	if n != 1 || estimated != 1 {
		t.Error(n, estimated)
	}
}

func TestInsertManySaysWhichFailed(t *testing.T) {
	db := openNew(t)
	docs := []user{{ID: 1}, {ID: 2}, {ID: 1}, {ID: 3}, {ID: 2}}
	for _, c := range []struct {
		options  *nyro.InsertManyOptions
		inserted int
		failed   []int
		count    uint64
	}{
		{nil, 2, []int{2}, 2},
		{&nyro.InsertManyOptions{Unordered: true}, 3, []int{2, 4}, 3},
	} {
		users := nyro.CollectionOf[user](db, fmt.Sprint(c.options))
		_, err := users.InsertMany(ctx, docs, c.options)
		wantError(t, err, nyro.ErrBulkWrite)
		wantError(t, err, nyro.ErrDuplicateID)
		wantError(t, err, nyro.KindExists)
		var bulk *nyro.BulkError
		if !errors.As(err, &bulk) {
			t.Fatal(err)
		}
		var failed []int
		for _, f := range bulk.Failures {
			failed = append(failed, f.Index)
			wantError(t, f.Err, nyro.ErrDuplicateID)
		}
		n, err := users.CountDocuments()
		check(t, err)
		if bulk.Inserted != c.inserted || !reflect.DeepEqual(failed, c.failed) || n != c.count {
			t.Errorf("%+v: %+v, %d documents", c.options, bulk, n)
		}
	}
	atomic := nyro.CollectionOf[user](db, "atomic")
	_, err := atomic.InsertMany(ctx, docs, &nyro.InsertManyOptions{Atomic: true})
	wantError(t, err, nyro.ErrDuplicateID)
	if n, err := atomic.CountDocuments(); n != 0 || err != nil {
		t.Error(n, err)
	}
	none, err := nyro.CollectionOf[user](db, "none").InsertMany(ctx, nil, nil)
	if err != nil || len(none.InsertedIDs) != 0 {
		t.Error(none, err)
	}
}

func TestGetManyKeepsTheOrderAndMarksMisses(t *testing.T) {
	db := openNew(t)
	users := nyro.CollectionOf[user](db, "users")
	var all []user
	for i := range 1000 {
		all = append(all, user{ID: int64(i), Name: fmt.Sprint("user ", i)})
	}
	_, err := users.InsertMany(ctx, all, nil)
	check(t, err)
	ids := []any{5, "none", int64(999), nyro.IntID(5), uint8(0), 1000}
	want := []string{"user 5", "", "user 999", "user 5", "user 0", ""}
	reads := map[string]func([]any) ([]*user, error){"live": users.GetMany}
	check(t, db.View(func(s *nyro.Snapshot) error {
		reads["snapshot"] = users.At(s).GetMany
		return db.Update(ctx, func(tx *nyro.Tx) error {
			reads["transaction"] = users.In(tx).GetMany
			for name, read := range reads {
				got, err := read(ids)
				check(t, err)
				for i, u := range got {
					switch {
					case want[i] == "" && u != nil, want[i] != "" && (u == nil || u.Name != want[i]):
						t.Errorf("%s: number %d is %v, want %q", name, i, u, want[i])
					}
				}
			}
			return nil
		})
	}))
	if got, err := users.GetMany(nil); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
	_, err = users.GetMany([]any{1, 1.5})
	wantError(t, err, nyro.ErrInvalidID)
}

func TestLargeDocumentsGoThroughEveryCall(t *testing.T) {
	type blob struct {
		ID   int    `nyro:"_id"`
		Data []byte `nyro:"data"`
	}
	db := openNew(t)
	blobs := nyro.CollectionOf[blob](db, "blobs")
	sizes := []int{0, 1, 4000, 5000, 70_000, 3_000_000, 10}
	for i, size := range sizes {
		_, err := blobs.Put(ctx, blob{i, make([]byte, size)})
		check(t, err)
	}
	for i, size := range sizes {
		b, found, err := blobs.Get(i)
		if err != nil || !found || len(b.Data) != size {
			t.Errorf("%d: %d bytes, %v", i, len(b.Data), err)
		}
	}
	i := 0
	for b, err := range blobs.All() {
		check(t, err)
		if b.ID != i || len(b.Data) != sizes[i] {
			t.Errorf("scan: number %d is %d with %d bytes", i, b.ID, len(b.Data))
		}
		i++
	}
	if i != len(sizes) {
		t.Error(i)
	}
	_, err := blobs.Put(ctx, blob{99, make([]byte, 17<<20)})
	wantError(t, err, nyro.ErrDocumentTooLarge)
	wantError(t, err, nyro.KindInvalidDocument)
}

func TestScansResumeFromTheirToken(t *testing.T) {
	db := openNew(t)
	users := nyro.CollectionOf[user](db, "users")
	var all []user
	for i := range 2000 {
		all = append(all, user{ID: int64(i), Name: "n"})
	}
	_, err := users.InsertMany(ctx, all, nil)
	check(t, err)
	for _, stop := range []int{1, 15, 16, 17, 271, 272, 273, 1000, 1999, 2000} {
		scan := users.Scan(0)
		n := 0
		for u, err := range scan.All() {
			check(t, err)
			if u.ID != int64(n) {
				t.Fatal(u, n)
			}
			if n++; n == stop {
				break
			}
		}
		token := scan.Token()
		rest := 0
		for u, err := range users.Scan(token).All() {
			check(t, err)
			if rest == 0 && u.ID != int64(stop) {
				t.Errorf("stopped after %d, the rest begins with %d", stop, u.ID)
			}
			rest++
		}
		// The same scan goes on as well.
		more := 0
		for _, err := range scan.Raws() {
			check(t, err)
			more++
		}
		if rest != 2000-stop || more != rest {
			t.Errorf("stopped after %d: the rest has %d and %d", stop, rest, more)
		}
		check(t, scan.Close())
		check(t, scan.Close())
	}
	// What is written behind the token comes, too.
	scan := users.Scan(0)
	for range scan.All() {
	}
	_, err = users.Put(ctx, user{ID: 3, Name: "new"})
	check(t, err)
	n := 0
	for u, err := range users.Scan(scan.Token()).All() {
		check(t, err)
		if u.ID != 3 || u.Name != "new" {
			t.Error(u)
		}
		n++
	}
	if n != 1 {
		t.Error(n)
	}
}

func TestAScanEndsAfterItsFirstError(t *testing.T) {
	db := openNew(t)
	mixed := nyro.CollectionOf[any](db, "mixed")
	for i := range 5 {
		_, err := mixed.Put(ctx, nyro.M{"_id": i, "name": []any{"text", 1}[i/3]})
		check(t, err)
	}
	scan := nyro.CollectionOf[user](db, "mixed").Scan(0)
	documents, errs := 0, 0
	for _, err := range scan.All() {
		if err != nil {
			wantError(t, err, nyro.ErrSerialization)
			errs++
		} else {
			documents++
		}
	}
	for range scan.All() {
		t.Error("it goes on")
	}
	if documents != 3 || errs != 1 {
		t.Error(documents, errs)
	}
	closed := mixed.Scan(0)
	check(t, closed.Close())
	for _, err := range closed.All() {
		wantError(t, err, nyro.ErrClosed)
	}
}

func TestTimesAndExtensionsAreKept(t *testing.T) {
	db := openNew(t)
	c := db.Collection("c")
	now := time.Now()
	for i, at := range []time.Time{now, {}, time.Unix(0, 0), time.Unix(-1, 999999999), time.Unix(math.MaxInt64, 1), time.Unix(math.MinInt64, 0)} {
		_, err := c.Put(ctx, nyro.M{"_id": i, "at": at})
		check(t, err)
		got, _, err := c.Get(i)
		check(t, err)
		back := got["at"].(time.Time)
		if back.Unix() != at.Unix() || back.Nanosecond() != at.Nanosecond() || back.Location() != time.UTC {
			t.Errorf("%v came back as %v", at, back)
		}
	}
	_, err := c.Put(ctx, nyro.M{"_id": "ext", "x": nyro.Ext{Code: 7, Data: []byte("x")}})
	check(t, err)
	_, err = c.Put(ctx, nyro.M{"_id": "ext", "x": nyro.Ext{Code: 50, Data: []byte("x")}})
	wantError(t, err, nyro.KindInvalidDocument)
}

func TestWhatWasReadIsTheCallersOwn(t *testing.T) {
	type doc struct {
		ID   int    `nyro:"_id"`
		Data []byte `nyro:"data"`
		Text string `nyro:"text"`
	}
	db := openNew(t)
	docs := nyro.CollectionOf[doc](db, "docs")
	for i := range 100 {
		_, err := docs.Put(ctx, doc{i, []byte(fmt.Sprint("data ", i)), fmt.Sprint("text ", i)})
		check(t, err)
	}
	var kept []doc
	for d, err := range docs.All() {
		check(t, err)
		kept = append(kept, d)
		got, _, err := docs.Get(d.ID)
		check(t, err)
		kept = append(kept, got)
	}
	check(t, db.View(func(s *nyro.Snapshot) error {
		for i := range 100 {
			got, _, err := docs.At(s).Get(i)
			check(t, err)
			got.Data[0] = 'X'
			got.Data = append(got.Data, "more"...)
			if got.Text != fmt.Sprint("text ", i) {
				t.Error(got.Text)
			}
		}
		return nil
	}))
	for i, d := range kept {
		if string(d.Data) != fmt.Sprint("data ", i/2) || d.Text != fmt.Sprint("text ", i/2) {
			t.Errorf("%+v", d)
		}
	}
}
