//go:build cgo

package nyro_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	nyro "github.com/nyrodb/nyro/bindings/go"
)

// The scenarios of bindings/conformance, which every language runs; their README says what they mean.
func TestConformance(t *testing.T) {
	files, err := filepath.Glob("../conformance/*.json")
	check(t, err)
	if len(files) == 0 {
		t.Skip("the scenarios are in the repository, not in the package")
	}
	total := 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			check(t, err)
			scenario := parseJSON(t, text).(nyro.D)
			r := &runner{t: t, folder: t.TempDir(), snapshots: map[string]*nyro.Snapshot{}, scans: map[string]*nyro.Scan[nyro.D]{}, cursors: map[string]*nyro.KeyCursor{}}
			r.run(list(field(scenario, "steps")), "")
			total += r.steps
		})
	}
	t.Logf("%d steps of %d scenarios", total, len(files))
}

// runner makes the steps of one scenario.
type runner struct {
	t         *testing.T
	folder    string
	db        *nyro.DB
	tx        *nyro.Tx
	snapshots map[string]*nyro.Snapshot
	scans     map[string]*nyro.Scan[nyro.D]
	cursors   map[string]*nyro.KeyCursor
	steps     int
}

func (r *runner) run(steps []any, within string) {
	for number, step := range steps {
		step := step.(nyro.D)
		where := fmt.Sprintf("%sstep %d %s", within, number, show(step))
		skip := false
		for _, language := range list(field(step, "not_in")) {
			skip = skip || language == "go"
		}
		if skip {
			continue
		}
		r.steps++
		got, err := r.step(step, where)
		want, hasResult := step.Get("result")
		number, hasError := step.Get("error")
		switch {
		case hasError:
			if !errors.Is(err, nyro.Code(number.(int64))) {
				r.t.Fatalf("%s\nwanted error %v, got %s, error %v", where, number, show(got), err)
			}
			r.checkBulk(step, err, where)
		case err != nil:
			r.t.Fatalf("%s\ngot the error %v", where, err)
		case hasResult && strings.HasPrefix(field(step, "op").(string), "kv_"):
			if !same(got, asBytes(expand(want))) {
				r.t.Fatalf("%s\nwanted %s\ngot    %s", where, show(expand(want)), show(got))
			}
		case hasResult && !same(got, expand(want)):
			r.t.Fatalf("%s\nwanted %s\ngot    %s", where, show(expand(want)), show(got))
		}
	}
}

func (r *runner) checkBulk(step nyro.D, err error, where string) {
	wantInserted, ok := step.Get("inserted")
	if !ok {
		return
	}
	var bulk *nyro.BulkError
	if !errors.As(err, &bulk) {
		r.t.Fatalf("%s\nno BulkError: %v", where, err)
	}
	var failures []any
	for _, f := range bulk.Failures {
		failures = append(failures, []any{int64(f.Index), int64(f.Err.Code)})
	}
	if int64(bulk.Inserted) != wantInserted.(int64) || !same(failures, field(step, "failures")) {
		r.t.Fatalf("%s\ngot %d inserted, failures %s", where, bulk.Inserted, show(failures))
	}
}

// reads are the reading calls; collections of a database, a snapshot and a transaction have them.
type reads[T any] interface {
	Get(id any) (T, bool, error)
	GetRaw(id any) (nyro.Raw, error)
	GetMany(ids []any) ([]*T, error)
	Contains(id any) (bool, error)
}

// scans are those of a database and of a snapshot.
type scans[T any] interface {
	CountDocuments() (uint64, error)
	Scan(after nyro.Token) *nyro.Scan[T]
}

var arguments = map[string]string{
	"open": "options", "open_other": "path options", "close": "", "put": "collection document", "insert_one": "collection document",
	"insert_many": "collection documents ordered atomic", "replace_one": "collection id document", "get": "collection id",
	"get_many": "collection ids", "get_raw": "collection id", "put_raw": "collection hex", "contains": "collection id",
	"delete": "collection id", "count": "collection", "scan": "collection", "scan_after": "collection documents_before",
	"scan_open": "as collection after", "scan_next": "scan count", "scan_close": "scan", "write": "steps rollback", "snapshot": "name",
	"release": "name", "collection_names": "", "create_collection": "name", "rename_collection": "from to",
	"drop_collection": "name", "sync": "", "checkpoint": "", "compact": "", "verify": "", "backup": "to name since overwrite",
	"restore": "target backups overwrite", "stats": "field at_least", "kv_put": "keyspace key value", "kv_get": "keyspace key",
	"kv_get_many": "keyspace keys", "kv_contains": "keyspace key", "kv_delete": "keyspace key",
	"kv_delete_range": "keyspace gt gte lt lte prefix", "kv_clear": "keyspace", "kv_write": "keyspace changes",
	"kv_range":      "keyspace gt gte lt lte prefix backward limit",
	"kv_range_open": "as keyspace gt gte lt lte prefix backward", "kv_range_next": "range count", "kv_range_seek": "range key",
	"kv_range_close": "range", "keyspace_names": "", "rename_keyspace": "from to", "drop_keyspace": "name",
}

func (r *runner) step(step nyro.D, where string) (any, error) {
	op := field(step, "op").(string)
	allowed, ok := arguments[op]
	if !ok {
		r.t.Fatalf("%s: an operation that is not known", where)
	}
	for _, f := range step {
		if !strings.Contains(" op result error in not_in why inserted failures "+allowed+" ", " "+f.Name+" ") {
			r.t.Fatalf("%s: the argument %s is not known", where, f.Name)
		}
	}
	arg := func(name string) any { return expand(field(step, name)) }
	text := func(name string) string { s, _ := arg(name).(string); return s }
	flag := func(name string) bool { b, _ := arg(name).(bool); return b }
	path := func(name string) string { return filepath.Join(r.folder, text(name)) }
	in := text("in")
	name := text("collection")
	docs := func() *nyro.Collection[any] { return nyro.CollectionOf[any](r.db, name) }
	inTx := r.tx != nil && in == ""

	var reader reads[nyro.D]
	var scanner scans[nyro.D]
	if strings.Contains(" "+allowed+" ", " collection ") {
		c := nyro.CollectionOf[nyro.D](r.db, name)
		reader, scanner = c, c
		switch {
		case strings.HasPrefix(in, "s:"):
			at := c.At(r.snapshots[in[2:]])
			reader, scanner = at, at
		case inTx:
			reader = c.In(r.tx)
		}
	}
	if strings.HasPrefix(op, "kv_") {
		return r.keyspaceStep(op, step, in, inTx)
	}
	switch op {
	case "open":
		return r.open("app.nyro", step)
	case "open_other":
		if r.db != nil {
			if err := r.db.Close(); err != nil {
				return nil, err
			}
		}
		return r.open(text("path"), step)
	case "close":
		return nil, r.db.Close()
	case "put":
		if inTx {
			return id(nyro.CollectionOf[any](r.db, name).In(r.tx).Put(arg("document")))
		}
		return id(docs().Put(ctx, arg("document")))
	case "put_raw":
		data, err := hex.DecodeString(text("hex"))
		check(r.t, err)
		if inTx {
			return id(nyro.CollectionOf[nyro.Raw](r.db, name).In(r.tx).Put(data))
		}
		return id(nyro.CollectionOf[nyro.Raw](r.db, name).Put(ctx, data))
	case "insert_one":
		var result nyro.InsertOneResult
		var err error
		if inTx {
			result, err = docs().In(r.tx).InsertOne(arg("document"))
		} else {
			result, err = docs().InsertOne(ctx, arg("document"))
		}
		return id(result.InsertedID, err)
	case "insert_many":
		options := &nyro.InsertManyOptions{Atomic: flag("atomic"), Unordered: arg("ordered") == false}
		var result nyro.InsertManyResult
		var err error
		if inTx {
			result, err = docs().In(r.tx).InsertMany(list(arg("documents")), options)
		} else {
			result, err = docs().InsertMany(ctx, list(arg("documents")), options)
		}
		ids := []any{}
		for _, id := range result.InsertedIDs {
			ids = append(ids, id.Value())
		}
		return ids, err
	case "replace_one":
		var result nyro.ReplaceResult
		var err error
		if inTx {
			result, err = docs().In(r.tx).ReplaceOne(arg("id"), arg("document"))
		} else {
			result, err = docs().ReplaceOne(ctx, arg("id"), arg("document"))
		}
		return int64(result.MatchedCount), err
	case "delete":
		if inTx {
			return docs().In(r.tx).Delete(arg("id"))
		}
		return docs().Delete(ctx, arg("id"))
	case "get":
		d, found, err := reader.Get(arg("id"))
		if !found {
			return nil, err
		}
		return d, err
	case "get_raw":
		data, err := reader.GetRaw(arg("id"))
		if data == nil {
			return nil, err
		}
		return hex.EncodeToString(data), err
	case "get_many":
		found, err := reader.GetMany(list(arg("ids")))
		all := []any{}
		for _, d := range found {
			if d == nil {
				all = append(all, nil)
			} else {
				all = append(all, *d)
			}
		}
		return all, err
	case "contains":
		return reader.Contains(arg("id"))
	case "count":
		n, err := scanner.CountDocuments()
		return int64(n), err
	case "scan":
		return scanned(scanner.Scan(0), math.MaxInt)
	case "scan_after":
		first := scanner.Scan(0)
		defer first.Close()
		if _, err := scanned(first, int(arg("documents_before").(int64))); err != nil {
			return nil, err
		}
		return scanned(scanner.Scan(first.Token()), math.MaxInt)
	case "scan_open":
		var after nyro.Token
		if other := r.scans[text("after")]; other != nil {
			after = other.Token()
		}
		scan := scanner.Scan(after)
		r.scans[text("as")] = scan
		return nil, scan.Err()
	case "scan_next":
		return scanned(r.scans[text("scan")], int(arg("count").(int64)))
	case "scan_close":
		return nil, r.scans[text("scan")].Close()
	case "write":
		return nil, r.write(step, where)
	case "snapshot":
		s, err := r.db.Snapshot()
		if err == nil {
			r.snapshots[text("name")] = s
		}
		return nil, err
	case "release":
		return nil, r.snapshots[text("name")].Close()
	case "collection_names":
		names, err := r.db.CollectionNames()
		if strings.HasPrefix(in, "s:") {
			names, err = r.snapshots[in[2:]].CollectionNames()
		}
		return anyOf(names), err
	case "keyspace_names":
		names, err := r.db.KeyspaceNames()
		if strings.HasPrefix(in, "s:") {
			names, err = r.snapshots[in[2:]].KeyspaceNames()
		}
		return anyOf(names), err
	case "rename_keyspace":
		if inTx {
			return nil, r.tx.RenameKeyspace(text("from"), text("to"))
		}
		return nil, r.db.RenameKeyspace(ctx, text("from"), text("to"))
	case "drop_keyspace":
		if inTx {
			return r.tx.DropKeyspace(text("name"))
		}
		return r.db.DropKeyspace(ctx, text("name"))
	case "create_collection":
		if inTx {
			return nil, r.tx.CreateCollection(text("name"))
		}
		return nil, r.db.CreateCollection(ctx, text("name"))
	case "rename_collection":
		if inTx {
			return nil, r.tx.RenameCollection(text("from"), text("to"))
		}
		return nil, r.db.RenameCollection(ctx, text("from"), text("to"))
	case "drop_collection":
		if inTx {
			return r.tx.DropCollection(text("name"))
		}
		return r.db.DropCollection(ctx, text("name"))
	case "sync":
		return nil, r.db.Sync(ctx)
	case "checkpoint":
		return nil, r.db.Checkpoint(ctx)
	case "compact":
		_, err := r.db.Compact(ctx, nil)
		return nil, err
	case "verify":
		report, err := r.db.Verify(ctx, nil)
		return int64(report.Documents), err
	case "backup":
		_, err := r.db.Backup(ctx, path("to"), &nyro.BackupOptions{Name: text("name"), Since: text("since"), Overwrite: flag("overwrite")})
		return nil, err
	case "restore":
		var backups []string
		for _, b := range list(arg("backups")) {
			backups = append(backups, filepath.Join(r.folder, b.(string)))
		}
		_, err := nyro.Restore(ctx, path("target"), backups, &nyro.TargetOptions{Overwrite: flag("overwrite")})
		return nil, err
	case "stats":
		stats, err := r.db.Stats()
		if err != nil {
			return nil, err
		}
		data, err := nyro.Marshal(stats)
		check(r.t, err)
		var figures nyro.M
		check(r.t, nyro.Unmarshal(data, &figures))
		if got := figures[text("field")].(int64); got < arg("at_least").(int64) {
			r.t.Fatalf("%s\n%d is less", where, got)
		}
		return nil, nil
	}
	r.t.Fatalf("%s: not made", where)
	return nil, nil
}

// keyReads are the reading calls; keyspaces of a database, a snapshot and a transaction have them.
type keyReads interface {
	Get(key []byte) ([]byte, bool, error)
	GetMany(keys [][]byte) ([][]byte, error)
	Contains(key []byte) (bool, error)
	Range(r nyro.Range) iter.Seq2[nyro.KeyValue, error]
	Cursor(r nyro.Range) *nyro.KeyCursor
}

// keyspaceStep makes a step with keys.
func (r *runner) keyspaceStep(op string, step nyro.D, in string, inTx bool) (any, error) {
	key := func(name string) []byte {
		data, _ := asBytes(expand(field(step, name))).([]byte)
		return data
	}
	var live *nyro.Keyspace
	var own *nyro.TxKeyspace
	var reader keyReads
	if name, ok := step.Get("keyspace"); ok {
		live = r.db.Keyspace(expand(name).(string))
		reader = live
		switch {
		case strings.HasPrefix(in, "s:"):
			reader = live.At(r.snapshots[in[2:]])
		case inTx:
			own = live.In(r.tx)
			reader = own
		}
	}
	limit, _ := field(step, "limit").(int64)
	within := nyro.Range{
		GT: key("gt"), GTE: key("gte"), LT: key("lt"), LTE: key("lte"), Prefix: key("prefix"),
		Backward: field(step, "backward") == true, Limit: int(limit),
	}
	switch op {
	case "kv_get":
		value, found, err := reader.Get(key("key"))
		if !found {
			return nil, err
		}
		return value, err
	case "kv_get_many":
		var keys [][]byte
		for _, k := range list(asBytes(expand(field(step, "keys")))) {
			keys = append(keys, k.([]byte))
		}
		values, err := reader.GetMany(keys)
		all := []any{}
		for _, v := range values {
			if v == nil {
				all = append(all, nil)
			} else {
				all = append(all, v)
			}
		}
		return all, err
	case "kv_contains":
		return reader.Contains(key("key"))
	case "kv_range":
		return entriesOf(reader.Range(within), math.MaxInt)
	case "kv_range_open":
		cursor := reader.Cursor(within)
		r.cursors[field(step, "as").(string)] = cursor
		return nil, cursor.Err()
	case "kv_range_next":
		return entriesOf(r.cursors[field(step, "range").(string)].All(), int(field(step, "count").(int64)))
	case "kv_range_seek":
		return nil, r.cursors[field(step, "range").(string)].Seek(key("key"))
	case "kv_range_close":
		return nil, r.cursors[field(step, "range").(string)].Close()
	case "kv_put":
		if inTx {
			return nil, own.Put(key("key"), key("value"))
		}
		return nil, live.Put(ctx, key("key"), key("value"))
	case "kv_delete":
		if inTx {
			return nil, own.Delete(key("key"))
		}
		return nil, live.Delete(ctx, key("key"))
	case "kv_delete_range":
		if inTx {
			return nil, own.DeleteRange(within)
		}
		return nil, live.DeleteRange(ctx, within)
	case "kv_clear":
		if inTx {
			return nil, own.Clear()
		}
		return nil, live.Clear(ctx)
	case "kv_write":
		var changes []nyro.Change
		for _, c := range list(expand(field(step, "changes"))) {
			parts := append(list(asBytes(list(c)[1:])), nil, nil)
			first, _ := parts[0].([]byte)
			second, _ := parts[1].([]byte)
			changes = append(changes, map[string]nyro.Change{
				"put": nyro.PutKey(first, second), "delete": nyro.DeleteKey(first), "delete_range": nyro.DeleteKeys(first, second),
				"clear": nyro.ClearKeys(),
			}[list(c)[0].(string)])
		}
		if inTx {
			return nil, own.Write(changes...)
		}
		return nil, live.Write(ctx, changes...)
	}
	r.t.Fatalf("%s: not made", op)
	return nil, nil
}

// entriesOf reads up to n entries.
func entriesOf(seq iter.Seq2[nyro.KeyValue, error], n int) (any, error) {
	all := []any{}
	for e, err := range seq {
		if err != nil {
			return nil, err
		}
		if all = append(all, []any{e.Key, e.Value}); len(all) == n {
			break
		}
	}
	return all, nil
}

// asBytes makes bytes of the strings among keys and values, which stand for their UTF-8.
func asBytes(v any) any {
	switch v := v.(type) {
	case string:
		return []byte(v)
	case []any:
		all := []any{}
		for _, e := range v {
			all = append(all, asBytes(e))
		}
		return all
	}
	return v
}

func anyOf(names []string) any {
	all := []any{}
	for _, name := range names {
		all = append(all, name)
	}
	return all
}

func (r *runner) open(name string, step nyro.D) (any, error) {
	o := &nyro.Options{}
	options, _ := field(step, "options").(nyro.D)
	for _, f := range options {
		number, _ := f.Value.(int64)
		switch f.Name {
		case "create":
			o.MustExist = f.Value == false
		case "read_only":
			o.ReadOnly = f.Value == true
		case "durability":
			switch f.Value {
			case "sync":
				o.Durability = nyro.Sync
			case "manual":
				o.Durability = nyro.Manual
			default:
				o.Durability, o.Interval = nyro.Interval, time.Duration(number)*time.Millisecond
			}
		case "cache_bytes":
			o.CacheBytes = uint64(number)
		case "log_max_bytes":
			o.LogMaxBytes = uint64(number)
		case "max_document_bytes":
			o.MaxDocumentBytes = uint64(number)
		case "writer_timeout_ms":
			o.WriterTimeout = time.Duration(number) * time.Millisecond
		case "snapshot_max_age_ms":
			o.SnapshotMaxAge = time.Duration(number) * time.Millisecond
		case "read_mode":
			o.ReadMode = map[any]nyro.ReadMode{"mapped": nyro.Mapped, "pread": nyro.Pread}[f.Value]
		case "allow_network_file_system":
			o.AllowNetworkFileSystem = f.Value == true
		default:
			r.t.Fatalf("the option %s is not known", f.Name)
		}
	}
	if name != ":memory:" {
		name = filepath.Join(r.folder, name)
	}
	db, err := nyro.Open(name, o)
	if err == nil {
		r.db = db
		r.t.Cleanup(func() { _ = db.Close() })
	}
	return nil, err
}

func (r *runner) write(step nyro.D, where string) error {
	rollback := errors.New("rolled back")
	before := r.tx
	defer func() { r.tx = before }()
	err := r.db.Update(ctx, func(tx *nyro.Tx) error {
		r.tx = tx
		r.run(list(field(step, "steps")), where+"\n  ")
		if field(step, "rollback") == true {
			return rollback
		}
		return nil
	})
	if err == rollback {
		return nil
	}
	return err
}

func id(id nyro.ID, err error) (any, error) { return id.Value(), err }

// scanned reads up to n documents.
func scanned(scan *nyro.Scan[nyro.D], n int) (any, error) {
	all := []any{}
	if n == 0 {
		return all, nil
	}
	for d, err := range scan.All() {
		if err != nil {
			return nil, err
		}
		if all = append(all, d); len(all) == n {
			break
		}
	}
	return all, nil
}

func field(d nyro.D, name string) any {
	v, _ := d.Get(name)
	return v
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// parseJSON reads JSON with the order of its fields.
func parseJSON(t *testing.T, text []byte) any {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value func() any
	value = func() any {
		token, err := decoder.Token()
		check(t, err)
		switch token := token.(type) {
		case json.Number:
			n, err := token.Int64()
			check(t, err)
			return n
		case json.Delim:
			if token == '[' {
				all := []any{}
				for decoder.More() {
					all = append(all, value())
				}
				_, err = decoder.Token()
				check(t, err)
				return all
			}
			d := nyro.D{}
			for decoder.More() {
				name := value().(string)
				d = append(d, nyro.Field{Name: name, Value: value()})
			}
			_, err = decoder.Token()
			check(t, err)
			return d
		}
		return token
	}
	return value()
}

// expand makes values of what JSON can't say.
func expand(v any) any {
	switch v := v.(type) {
	case []any:
		all := []any{}
		for _, e := range v {
			all = append(all, expand(e))
		}
		return all
	case nyro.D:
		if len(v) == 1 && strings.HasPrefix(v[0].Name, "$") {
			return special(v[0].Name, v[0].Value)
		}
		d := nyro.D{}
		for _, f := range v {
			d = append(d, nyro.Field{Name: f.Name, Value: expand(f.Value)})
		}
		return d
	}
	return v
}

func special(name string, v any) any {
	bytesOf := func(v any) []byte {
		data, err := hex.DecodeString(v.(string))
		if err != nil {
			panic(err)
		}
		return data
	}
	switch name {
	case "$int":
		if n, err := strconv.ParseInt(v.(string), 10, 64); err == nil {
			return n
		}
		n, err := strconv.ParseUint(v.(string), 10, 64)
		if err != nil {
			panic(err)
		}
		return n
	case "$float":
		f, err := strconv.ParseFloat(v.(string), 64)
		if err != nil {
			panic(err)
		}
		return f
	case "$bytes":
		return bytesOf(v)
	case "$time":
		return time.Unix(list(v)[0].(int64), list(v)[1].(int64)).UTC()
	case "$ext":
		return nyro.Ext{Code: int8(list(v)[0].(int64)), Data: bytesOf(list(v)[1])}
	case "$repeat":
		return strings.Repeat(list(v)[0].(string), int(list(v)[1].(int64)))
	case "$repeat_bytes":
		return bytes.Repeat(bytesOf(list(v)[0]), int(list(v)[1].(int64)))
	case "$array":
		all := make([]any, list(v)[1].(int64))
		for i := range all {
			all[i] = expand(list(v)[0])
		}
		return all
	case "$fields":
		d := nyro.D{}
		for i := range v.(int64) {
			d = append(d, nyro.Field{Name: fmt.Sprint("f", i), Value: i})
		}
		return d
	case "$nest", "$nest_array":
		var inner any
		for range v.(int64) {
			if name == "$nest" {
				inner = nyro.D{{Name: "n", Value: inner}}
			} else {
				inner = []any{inner}
			}
		}
		return inner
	}
	panic("the value " + name + " is not known")
}

// same compares by type and exactly.
func same(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && (math.Float64bits(a) == math.Float64bits(b) || (math.IsNaN(a) && math.IsNaN(b)))
	case []byte:
		b, ok := b.([]byte)
		return ok && bytes.Equal(a, b)
	case time.Time:
		b, ok := b.(time.Time)
		return ok && a.Unix() == b.Unix() && a.Nanosecond() == b.Nanosecond()
	case nyro.Ext:
		b, ok := b.(nyro.Ext)
		return ok && a.Code == b.Code && bytes.Equal(a.Data, b.Data)
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case nyro.D:
		b, ok := b.(nyro.D)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if a[i].Name != b[i].Name || !same(a[i].Value, b[i].Value) {
				return false
			}
		}
		return true
	}
	return a == b
}

func show(v any) string {
	text := fmt.Sprintf("%#v", v)
	for _, name := range []string{"codec.", "interface {}", "Name:", "Value:"} {
		text = strings.ReplaceAll(text, name, "")
	}
	if len(text) > 600 {
		text = text[:600] + ".."
	}
	return text
}
