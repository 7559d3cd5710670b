//go:build cgo

package nyro_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	nyro "github.com/nyrodb/nyro/bindings/go"
)

func TestEveryCallAfterCloseIsAnError(t *testing.T) {
	db := openNew(t)
	users := nyro.CollectionOf[user](db, "users")
	for i := range 100 {
		_, err := users.Put(ctx, user{ID: int64(i)})
		check(t, err)
	}
	s, err := db.Snapshot()
	check(t, err)
	at := users.At(s)
	scan, frozen := users.Scan(0), at.Scan(0)
	for range scan.All() {
		break
	}
	for range frozen.All() {
		break
	}
	check(t, db.Close())
	check(t, db.Close())
	calls := map[string]func() error{
		"Get":             func() error { _, _, err := users.Get(1); return err },
		"GetRaw":          func() error { _, err := users.GetRaw(1); return err },
		"GetMany":         func() error { _, err := users.GetMany([]any{1}); return err },
		"Contains":        func() error { _, err := users.Contains(1); return err },
		"CountDocuments":  func() error { _, err := users.CountDocuments(); return err },
		"Put":             func() error { _, err := users.Put(ctx, user{}); return err },
		"InsertOne":       func() error { _, err := users.InsertOne(ctx, user{}); return err },
		"InsertMany":      func() error { _, err := users.InsertMany(ctx, []user{{}}, nil); return err },
		"ReplaceOne":      func() error { _, err := users.ReplaceOne(ctx, 1, user{}); return err },
		"Delete":          func() error { _, err := users.Delete(ctx, 1); return err },
		"All":             func() error { return firstError(users.All()) },
		"Scan":            func() error { return firstError(scan.All()) },
		"Scan.Raws":       func() error { return firstError(users.Scan(0).Raws()) },
		"snapshot scan":   func() error { return firstError(frozen.All()) },
		"snapshot.Get":    func() error { _, _, err := at.Get(1); return err },
		"snapshot.names":  func() error { _, err := s.CollectionNames(); return err },
		"Collection.Get":  func() error { _, _, err := db.Collection("other").Get(1); return err },
		"Snapshot":        func() error { _, err := db.Snapshot(); return err },
		"View":            func() error { return db.View(func(*nyro.Snapshot) error { return nil }) },
		"Update":          func() error { return db.Update(ctx, func(*nyro.Tx) error { return nil }) },
		"Sync":            func() error { return db.Sync(ctx) },
		"Checkpoint":      func() error { return db.Checkpoint(ctx) },
		"Stats":           func() error { _, err := db.Stats(); return err },
		"Backups":         func() error { _, err := db.Backups(); return err },
		"CollectionNames": func() error { _, err := db.CollectionNames(); return err },
		"Create":          func() error { return db.CreateCollection(ctx, "x") },
		"Rename":          func() error { return db.RenameCollection(ctx, "x", "y") },
		"Drop":            func() error { _, err := db.DropCollection(ctx, "x"); return err },
		"Verify":          func() error { _, err := db.Verify(ctx, nil); return err },
		"Compact":         func() error { _, err := db.Compact(ctx, nil); return err },
		"WarmUp":          func() error { _, err := db.WarmUp(ctx, 1<<20, nil); return err },
		"Backup":          func() error { _, err := db.Backup(ctx, filepath.Join(t.TempDir(), "b"), nil); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, nyro.ErrClosed) || !errors.Is(err, nyro.KindClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check(t, s.Close())
	check(t, scan.Close())
}

func firstError[T any](seq func(func(T, error) bool)) (first error) {
	for _, err := range seq {
		if first == nil {
			first = err
		}
	}
	return first
}

func TestArgumentsThatCanNotBeAreErrors(t *testing.T) {
	db := openNew(t)
	c := db.Collection("c")
	for _, bad := range []any{nil, 1.5, true, []int{1}, nyro.ID{}, struct{}{}, time.Now(), make(chan int)} {
		_, _, err := c.Get(bad)
		wantError(t, err, nyro.ErrInvalidID)
		_, err = c.Delete(ctx, bad)
		wantError(t, err, nyro.ErrInvalidID)
	}
	long := strings.Repeat("x", 1025)
	_, err := c.Put(ctx, nyro.M{"_id": long})
	wantError(t, err, nyro.ErrInvalidID)
	_, _, err = c.Get(long)
	wantError(t, err, nyro.ErrInvalidID)
	_, _, err = c.Get(strings.Repeat("x", 20_000_000))
	wantError(t, err, nyro.ErrInvalidID)
	_, _, err = c.Get("\xff")
	if err == nil {
		t.Error("an id that is not UTF-8")
	}
	for _, name := range []string{"", "a\x00b", "$x", "system.x", strings.Repeat("x", 256), "\xff"} {
		_, err := db.Collection(name).Put(ctx, nyro.M{})
		wantError(t, err, nyro.KindInvalidArgument)
		_, _, err = db.Collection(name).Get(1)
		wantError(t, err, nyro.KindInvalidArgument)
	}
	for _, bad := range []nyro.M{{"x": "\xff"}, {"\xc0": 1}, {"x": []any{nyro.M{"y": "\xed\xa0\x80"}}}} {
		_, err := c.Put(ctx, bad)
		wantError(t, err, nyro.ErrMalformedDocument)
	}
	for _, bad := range []any{nil, 5, "text", []any{}, nyro.Raw{}, nyro.Raw{0xc1}, nyro.Raw{0x81, 1, 1}, struct{ C chan int }{}, nyro.D{{Name: "a", Value: 1}, {Name: "a", Value: 2}}} {
		_, err := nyro.CollectionOf[any](db, "c").Put(ctx, bad)
		wantError(t, err, nyro.KindInvalidDocument)
	}
	_, err = nyro.CollectionOf[chan int](db, "c").Put(ctx, nil)
	wantError(t, err, nyro.ErrSerialization)
	_, _, err = nyro.CollectionOf[func()](db, "c").Get(1)
	wantError(t, err, nyro.ErrSerialization)
	loop := nyro.M{}
	loop["self"] = loop
	_, err = c.Put(ctx, loop)
	wantError(t, err, nyro.ErrDocumentTooDeep)
	_, err = c.InsertMany(ctx, []nyro.M{{"_id": 1}, loop, {"_id": 2}}, &nyro.InsertManyOptions{Unordered: true})
	wantError(t, err, nyro.ErrBulkWrite)
	wantError(t, err, nyro.ErrDocumentTooDeep)
	if n, err := c.CountDocuments(); n != 2 || err != nil {
		t.Error(n, err)
	}
	for _, o := range []nyro.Options{
		{WriterTimeout: -1}, {WriterTimeout: time.Microsecond}, {Interval: -time.Second}, {SnapshotMaxAge: 1},
		{Durability: 7}, {ReadMode: 7}, {CacheBytes: 1}, {MaxDocumentBytes: math.MaxUint64}, {Interval: 1000 * 24 * time.Hour},
	} {
		_, err := nyro.Open(filepath.Join(t.TempDir(), "x"), &o)
		wantError(t, err, nyro.ErrInvalidArgument)
	}
	_, err = nyro.Open(filepath.Join(t.TempDir(), "none"), &nyro.Options{MustExist: true})
	wantError(t, err, nyro.ErrNoSuchFile)
	wantError(t, err, nyro.KindNotFound)
	_, err = nyro.Open("\xff", nil)
	wantError(t, err, nyro.ErrInvalidArgument)
	text := filepath.Join(t.TempDir(), "text")
	check(t, os.WriteFile(text, []byte(strings.Repeat("no database\n", 10_000)), 0o600))
	_, err = nyro.Open(text, nil)
	wantError(t, err, nyro.ErrNotADatabase)
}

func TestAPathThatIsOpenedTwiceIsOneDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.nyro")
	one, two := open(t, path), open(t, path)
	_, err := one.Collection("c").Put(ctx, nyro.M{"_id": 1})
	check(t, err)
	check(t, one.Close())
	if n, err := two.Collection("c").CountDocuments(); n != 1 || err != nil {
		t.Error(n, err)
	}
	_, err = nyro.Open(path, &nyro.Options{Durability: nyro.Manual, CacheBytes: 1 << 20})
	wantError(t, err, nyro.ErrOptionsDiffer)
	check(t, two.Close())
}

func TestASecondProcessIsToldWhoHasTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.nyro")
	db := open(t, path)
	_, err := db.Collection("c").Put(ctx, nyro.M{})
	check(t, err)
	child := exec.Command(os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), "NYRO_GO_CHILD=open", "NYRO_GO_PATH="+path)
	out, _ := child.CombinedOutput()
	if !strings.Contains(string(out), "code 301") {
		t.Errorf("the child said: %s", out)
	}
}

func TestForgottenHandlesAreReleased(t *testing.T) {
	db := openNew(t)
	c := db.Collection("c")
	for i := range 1000 {
		_, err := c.Put(ctx, nyro.M{"_id": i})
		check(t, err)
	}
	for range 50 {
		s, err := db.Snapshot()
		check(t, err)
		_, _, err = c.At(s).Get(1)
		check(t, err)
		for range c.Scan(0).All() {
			break
		}
	}
	alive := func() uint64 {
		stats, err := db.Stats()
		check(t, err)
		return stats.Snapshots
	}
	for range 100 {
		runtime.GC()
		if alive() == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := alive(); n != 0 {
		t.Errorf("%d snapshots and scans are alive", n)
	}
	// A database that nobody holds is closed, so that others can open it.
	path := filepath.Join(t.TempDir(), "forgotten.nyro")
	func() {
		forgotten, err := nyro.Open(path, &relaxed)
		check(t, err)
		_, err = forgotten.Collection("c").Put(ctx, nyro.M{"_id": 1})
		check(t, err)
	}()
	other := nyro.Options{Durability: nyro.Manual, CacheBytes: 1 << 20}
	for range 200 {
		runtime.GC()
		if again, err := nyro.Open(path, &other); err == nil {
			if n, err := again.Collection("c").CountDocuments(); n != 1 || err != nil {
				t.Error(n, err)
			}
			check(t, again.Close())
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("it is still open")
}

func TestWhatAForgottenSnapshotLentStaysReadable(t *testing.T) {
	db := openNew(t)
	c := db.Collection("c")
	_, err := c.Put(ctx, nyro.M{"_id": 1, "text": strings.Repeat("x", 100_000)})
	check(t, err)
	raw := func() nyro.Raw {
		s, err := db.Snapshot()
		check(t, err)
		raw, err := c.At(s).GetRaw(1)
		check(t, err)
		return raw
	}()
	for i := range 20 {
		runtime.GC()
		_, err := c.Put(ctx, nyro.M{"_id": 1, "text": strings.Repeat(fmt.Sprint(i%10), 100_000)})
		check(t, err)
		check(t, db.Checkpoint(ctx))
	}
	var back nyro.M
	check(t, nyro.Unmarshal(raw, &back))
	if back["text"] != strings.Repeat("x", 100_000) {
		t.Error("it changed")
	}
}

func TestACollectionKeepsItsDatabaseOpen(t *testing.T) {
	c := func() *nyro.Collection[nyro.M] {
		db, err := nyro.Open(filepath.Join(t.TempDir(), "app.nyro"), &relaxed)
		check(t, err)
		return db.Collection("c")
	}()
	for range 20 {
		runtime.GC()
		_, err := c.Put(ctx, nyro.M{})
		check(t, err)
	}
}

func TestLongCallsTellTheirProgressAndStop(t *testing.T) {
	folder := t.TempDir()
	db := open(t, filepath.Join(folder, "app.nyro"))
	c := db.Collection("c")
	var documents []nyro.M
	for range 20_000 {
		documents = append(documents, nyro.M{"text": strings.Repeat("x", 300)})
	}
	_, err := c.InsertMany(ctx, documents, nil)
	check(t, err)
	check(t, db.Checkpoint(ctx))
	told := 0
	progress := func(p nyro.Progress) {
		if p.Phase == "" || p.Unit == "" || (p.Total > 0 && p.Done > p.Total) {
			t.Errorf("%+v", p)
		}
		// It may call the database.
		_, err := c.Contains(1)
		check(t, err)
		told++
	}
	report, err := db.Verify(ctx, &nyro.LongOptions{Progress: progress})
	check(t, err)
	if report.Documents != 20_000 || report.FilePages == 0 || told == 0 {
		t.Errorf("%+v, told %d times", report, told)
	}
	full := filepath.Join(folder, "full.nyro")
	backup, err := db.Backup(ctx, full, &nyro.BackupOptions{Name: "monday", Progress: progress})
	check(t, err)
	_, err = c.Delete(ctx, 1)
	check(t, err)
	next := filepath.Join(folder, "next.nyro")
	_, err = db.Backup(ctx, next, &nyro.BackupOptions{Since: "monday"})
	check(t, err)
	backups, err := db.Backups()
	check(t, err)
	if backup.Pages == 0 || len(backups) != 1 || backups[0].Name != "monday" || backups[0].Commit != backup.Commit {
		t.Errorf("%+v %+v", backup, backups)
	}
	_, err = db.Backup(ctx, full, nil)
	if err == nil {
		t.Error("a backup over a file that is there")
	}
	restored, err := nyro.Restore(ctx, filepath.Join(folder, "restored.nyro"), []string{full, next}, nil)
	check(t, err)
	if restored.Documents != 19_999 {
		t.Errorf("%+v", restored)
	}
	_, err = nyro.Restore(ctx, filepath.Join(folder, "no.nyro"), []string{next}, nil)
	wantError(t, err, nyro.ErrBackupMismatch)
	repaired, err := nyro.Repair(ctx, filepath.Join(folder, "restored.nyro"), filepath.Join(folder, "repaired.nyro"), nil)
	check(t, err)
	if !repaired.IsComplete || repaired.Documents != 19_999 || repaired.Fields["basis"] == nil {
		t.Errorf("%+v", repaired)
	}
	warm, err := db.WarmUp(ctx, 1<<30, nil)
	check(t, err)
	compact, err := db.Compact(ctx, nil)
	check(t, err)
	if !warm.Complete || compact.BytesAfter == 0 {
		t.Errorf("%+v %+v", warm, compact)
	}
	// Stopped from within the callback, by the context, and by a panic of the callback.
	stopped, cancel := context.WithCancel(ctx)
	_, err = db.Verify(stopped, &nyro.LongOptions{Progress: func(nyro.Progress) { cancel(); time.Sleep(5 * time.Millisecond) }})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, nyro.ErrCancelled) {
		t.Error(err)
	}
	func() {
		defer func() {
			if recover() != "enough" {
				t.Error("the panic was lost")
			}
		}()
		_, _ = db.Verify(ctx, &nyro.LongOptions{Progress: func(nyro.Progress) { panic("enough") }})
	}()
	_, err = db.Verify(ctx, nil)
	check(t, err)
}

func TestStatsHaveEveryFieldOfTheEngine(t *testing.T) {
	db := openNew(t)
	_, err := db.Collection("c").Put(ctx, nyro.M{})
	check(t, err)
	figures, err := nyro.StatsFields(db)
	check(t, err)
	known := map[string]bool{}
	for i := range reflect.TypeFor[nyro.Stats]().NumField() {
		name := reflect.TypeFor[nyro.Stats]().Field(i).Tag.Get("nyro")
		known[name] = true
		if _, ok := figures[name]; !ok {
			t.Errorf("the engine has no %s", name)
		}
	}
	for name := range figures {
		if !known[name] {
			t.Errorf("Stats lacks %s", name)
		}
	}
	stats, err := db.Stats()
	check(t, err)
	if stats.Commits != 1 || stats.Commit != 1 {
		t.Errorf("%+v", stats)
	}
}

func TestMemoryDatabasesAndReadOnlyOnes(t *testing.T) {
	memory := open(t, ":memory:")
	_, err := memory.Collection("c").Put(ctx, nyro.M{})
	check(t, err)
	path := filepath.Join(t.TempDir(), "app.nyro")
	db, err := nyro.Open(path, nil)
	check(t, err)
	_, err = db.Collection("c").Put(ctx, nyro.M{"_id": 1})
	check(t, err)
	check(t, db.Close())
	db, err = nyro.Open(path, &nyro.Options{ReadOnly: true})
	check(t, err)
	defer db.Close()
	_, err = db.Collection("c").Put(ctx, nyro.M{"_id": 1})
	wantError(t, err, nyro.ErrReadOnly)
	if nyro.Version() == "" {
		t.Error("no version")
	}
}
