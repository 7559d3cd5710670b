//go:build cgo

package nyro

/*
#cgo linux,amd64 LDFLAGS: ${SRCDIR}/lib/linux_amd64/libnyro.a -lpthread -ldl -lm
#cgo linux,arm64 LDFLAGS: ${SRCDIR}/lib/linux_arm64/libnyro.a -lpthread -ldl -lm
#cgo darwin,amd64 LDFLAGS: ${SRCDIR}/lib/darwin_amd64/libnyro.a -lpthread -lm
#cgo darwin,arm64 LDFLAGS: ${SRCDIR}/lib/darwin_arm64/libnyro.a -lpthread -lm

// None of these keeps a pointer that it is given, and none calls Go.
#cgo noescape go_open
#cgo nocallback go_open
#cgo noescape go_close
#cgo nocallback go_close
#cgo noescape go_sync
#cgo nocallback go_sync
#cgo noescape go_checkpoint
#cgo nocallback go_checkpoint
#cgo noescape go_stats
#cgo nocallback go_stats
#cgo noescape go_backups
#cgo nocallback go_backups
#cgo noescape go_names
#cgo nocallback go_names
#cgo noescape go_create
#cgo nocallback go_create
#cgo noescape go_rename
#cgo nocallback go_rename
#cgo noescape go_drop
#cgo nocallback go_drop
#cgo noescape go_begin
#cgo nocallback go_begin
#cgo noescape go_commit
#cgo nocallback go_commit
#cgo noescape go_rollback
#cgo nocallback go_rollback
#cgo noescape go_snapshot
#cgo nocallback go_snapshot
#cgo noescape go_snapshot_commit
#cgo nocallback go_snapshot_commit
#cgo noescape go_snapshot_release
#cgo nocallback go_snapshot_release
#cgo noescape go_collection
#cgo nocallback go_collection
#cgo noescape go_collection_release
#cgo nocallback go_collection_release
#cgo noescape go_get
#cgo nocallback go_get
#cgo noescape go_borrow
#cgo nocallback go_borrow
#cgo noescape go_get_many
#cgo nocallback go_get_many
#cgo noescape go_contains
#cgo nocallback go_contains
#cgo noescape go_count
#cgo nocallback go_count
#cgo noescape go_write
#cgo nocallback go_write
#cgo noescape go_insert_many
#cgo nocallback go_insert_many
#cgo noescape go_replace
#cgo nocallback go_replace
#cgo noescape go_delete
#cgo nocallback go_delete
#cgo noescape go_scan_open
#cgo nocallback go_scan_open
#cgo noescape go_scan_batch
#cgo nocallback go_scan_batch
#cgo noescape go_scan_close
#cgo nocallback go_scan_close
#cgo noescape go_keyspace
#cgo nocallback go_keyspace
#cgo noescape go_keyspace_release
#cgo nocallback go_keyspace_release
#cgo noescape go_keyspace_names
#cgo nocallback go_keyspace_names
#cgo noescape go_keyspace_rename
#cgo nocallback go_keyspace_rename
#cgo noescape go_keyspace_drop
#cgo nocallback go_keyspace_drop
#cgo noescape go_keyspace_stats
#cgo nocallback go_keyspace_stats
#cgo noescape go_kv_get
#cgo nocallback go_kv_get
#cgo noescape go_kv_get_many
#cgo nocallback go_kv_get_many
#cgo noescape go_kv_contains
#cgo nocallback go_kv_contains
#cgo noescape go_kv_count
#cgo nocallback go_kv_count
#cgo noescape go_kv_put
#cgo nocallback go_kv_put
#cgo noescape go_kv_delete
#cgo nocallback go_kv_delete
#cgo noescape go_kv_delete_range
#cgo nocallback go_kv_delete_range
#cgo noescape go_kv_clear
#cgo nocallback go_kv_clear
#cgo noescape go_kv_write
#cgo nocallback go_kv_write
#cgo noescape go_range_open
#cgo nocallback go_range_open
#cgo noescape go_range_batch
#cgo nocallback go_range_batch
#cgo noescape go_range_seek
#cgo nocallback go_range_seek
#cgo noescape go_range_close
#cgo nocallback go_range_close
#cgo noescape go_cancel_new
#cgo nocallback go_cancel_new
#cgo noescape go_cancel_fire
#cgo nocallback go_cancel_fire
#cgo noescape go_cancel_release
#cgo nocallback go_cancel_release
#cgo noescape nyro_free
#cgo nocallback nyro_free
#cgo noescape nyro_version
#cgo nocallback nyro_version
#cgo noescape go_thread
#cgo nocallback go_thread

#if defined(__has_include)
#if !__has_include("library.h")
#error "NyroDB's library is not in bindings/go/lib: run `make go-lib` in the repository, or use a release of the package"
#endif
#endif
#include "native.h"
*/
import "C"

import (
	"unsafe"

	"github.com/nyrodb/nyro/bindings/go/internal/codec"
)

// handle is what the library calls an open database, snapshot, collection, keyspace, transaction, scan,
// range or cancel token.
// 0 is none, and a handle that was released is an error wherever it is used.
type handle = C.uint64_t

// nothing is what a pointer to no bytes points to: the library refuses null.
var nothing [1]byte

func bytesOf(b []byte) (*C.uint8_t, C.size_t) {
	if len(b) == 0 {
		return (*C.uint8_t)(&nothing[0]), 0
	}
	return (*C.uint8_t)(unsafe.SliceData(b)), C.size_t(len(b))
}

func textOf(s string) (*C.char, C.size_t) {
	if len(s) == 0 {
		return (*C.char)(unsafe.Pointer(&nothing[0])), 0
	}
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s))), C.size_t(len(s))
}

// done is the error of a call, nil if it succeeded.
func done(r C.go_result) error {
	if r.code == 0 {
		return nil
	}
	return failed(r.code, r.message)
}

func failed(code C.uint32_t, message *C.char) *Error {
	e := &Error{Code: Code(code), Message: C.GoString(message)}
	C.nyro_free(unsafe.Pointer(message))
	return e
}

// take copies bytes that the library allocated, and frees them.
func take(data *C.uint8_t, n C.size_t) []byte {
	if data == nil {
		return nil
	}
	copied := append(make([]byte, 0, n), unsafe.Slice((*byte)(data), n)...)
	C.nyro_free(unsafe.Pointer(data))
	return copied
}

// report reads the document that a call gave into target.
func report(r C.go_bytes, target any) error {
	if r.code != 0 {
		return failed(r.code, r.message)
	}
	return wrapCodec(codec.Decode(take(r.data, r.bytes), target))
}

// Version is the version of the database engine.
func Version() string { return C.GoString(C.nyro_version()) }

// ---- ids -----------------------------------------------------------------------------------------------

// idArgument is an id on its way to the library; data is borrowed from the caller's id.
type idArgument struct {
	kind    C.uint32_t
	integer C.int64_t
	data    *C.uint8_t
	bytes   C.size_t
}

// idOf takes any integer, string or byte slice, or an ID.
func idOf(id any) (idArgument, error) {
	switch id := id.(type) {
	case int:
		return intID(int64(id)), nil
	case int64:
		return intID(id), nil
	case uint64:
		return uintID(id), nil
	case string:
		return stringID(id), nil
	case []byte:
		return bytesID(id), nil
	case ID:
		if n, ok := id.Int64(); ok {
			return intID(n), nil
		}
		if text, ok := id.Text(); ok {
			return stringID(text), nil
		}
	}
	return otherID(id)
}

func intID(v int64) idArgument {
	return idArgument{C.NYRO_ID_INT, C.int64_t(v), (*C.uint8_t)(&nothing[0]), 0}
}

func uintID(v uint64) idArgument {
	return idArgument{C.NYRO_ID_UINT, C.int64_t(v), (*C.uint8_t)(&nothing[0]), 0}
}

func stringID(s string) idArgument {
	data, n := textOf(s)
	return idArgument{C.NYRO_ID_STRING, 0, (*C.uint8_t)(unsafe.Pointer(data)), n}
}

func bytesID(b []byte) idArgument {
	data, n := bytesOf(b)
	return idArgument{C.NYRO_ID_BYTES, 0, data, n}
}

// otherID takes ids of the caller's own types, by their MessagePack form.
func otherID(id any) (idArgument, error) {
	form, err := codec.AppendID(nil, id)
	if err != nil {
		return idArgument{}, wrapCodec(err)
	}
	data, n := bytesOf(form)
	return idArgument{C.NYRO_ID_MSGPACK, 0, data, n}, nil
}

// takeID reads an id that the library gave, and frees it.
func takeID(id *C.nyro_id) ID {
	switch id.kind {
	case C.NYRO_ID_INT:
		return codec.IntID(int64(id.integer))
	case C.NYRO_ID_UINT:
		return codec.UintID(uint64(id.integer))
	case C.NYRO_ID_STRING:
		return codec.StringID(string(take((*C.uint8_t)(id.data), id.bytes)))
	case C.NYRO_ID_BYTES:
		return codec.BytesID(take((*C.uint8_t)(id.data), id.bytes))
	}
	return ID{}
}

// ---- the database --------------------------------------------------------------------------------------

func openDatabase(path string, o *Options) (handle, error) {
	given := C.go_options{
		create: 1, durability: C.uint32_t(o.Durability), interval_ms: C.uint32_t(o.Interval.Milliseconds()),
		read_mode: C.uint32_t(o.ReadMode), cache_bytes: C.uint64_t(o.CacheBytes), log_max_bytes: C.uint64_t(o.LogMaxBytes),
		writer_timeout_ms: C.uint64_t(o.WriterTimeout.Milliseconds()), max_document_bytes: C.uint64_t(o.MaxDocumentBytes),
		snapshot_max_age_ms: C.uint64_t(o.SnapshotMaxAge.Milliseconds()),
	}
	if o.MustExist {
		given.create = 0
	}
	if o.ReadOnly {
		given.read_only = 1
	}
	if o.AllowNetworkFileSystem {
		given.allow_network_file_system = 1
	}
	data, n := textOf(path)
	r := C.go_open(data, n, given)
	return r.value, done(r)
}

func closeDatabase(h handle) error      { return done(C.go_close(h)) }
func syncDatabase(h handle) error       { return done(C.go_sync(h)) }
func checkpointDatabase(h handle) error { return done(C.go_checkpoint(h)) }

func databaseStats(h handle) (Stats, error) {
	var s Stats
	err := report(C.go_stats(h), &s)
	return s, err
}

// statsFields is for a test that compares Stats with it.
func statsFields(h handle) (M, error) {
	var m M
	err := report(C.go_stats(h), &m)
	return m, err
}

func databaseBackups(h handle) ([]BackupInfo, error) {
	var list struct {
		Items []BackupInfo `nyro:"items"`
	}
	err := report(C.go_backups(h), &list)
	return list.Items, err
}

func collectionNames(scope handle) ([]string, error) {
	var list struct {
		Items []string `nyro:"items"`
	}
	err := report(C.go_names(scope), &list)
	return list.Items, err
}

func createCollection(scope handle, name string) error {
	data, n := textOf(name)
	return done(C.go_create(scope, data, n))
}

func renameCollection(scope handle, from, to string) error {
	data, n := textOf(from)
	toData, toN := textOf(to)
	return done(C.go_rename(scope, data, n, toData, toN))
}

func dropCollection(scope handle, name string) (bool, error) {
	data, n := textOf(name)
	r := C.go_drop(scope, data, n)
	return r.value != 0, done(r)
}

// ---- snapshots, transactions ---------------------------------------------------------------------------

// thread is a number of the thread that runs this, not 0.
func thread() uint64 { return uint64(C.go_thread()) }

func beginTransaction(db handle) (handle, error) {
	r := C.go_begin(db)
	return r.value, done(r)
}

func commitTransaction(tx handle) error   { return done(C.go_commit(tx)) }
func rollbackTransaction(tx handle) error { return done(C.go_rollback(tx)) }

func takeSnapshot(db handle) (handle, error) {
	r := C.go_snapshot(db)
	return r.value, done(r)
}

func snapshotCommit(snapshot handle) (uint64, error) {
	r := C.go_snapshot_commit(snapshot)
	return uint64(r.value), done(r)
}

func releaseSnapshot(snapshot handle) error { return done(C.go_snapshot_release(snapshot)) }

// ---- collections ---------------------------------------------------------------------------------------

func openCollection(scope handle, name string) (handle, error) {
	data, n := textOf(name)
	r := C.go_collection(scope, data, n)
	return r.value, done(r)
}

func releaseCollection(collection handle) error { return done(C.go_collection_release(collection)) }

// getInto copies a document into buf and gives its size: 0 if there is none, more than buf has if it does
// not fit.
func getInto(collection handle, id idArgument, buf []byte) (int, error) {
	data, n := bytesOf(buf)
	r := C.go_get(collection, id.kind, id.integer, id.data, id.bytes, data, n)
	if r.code != 0 {
		return 0, failed(r.code, r.message)
	}
	return int(r.value), nil
}

// borrow lends a document of a snapshot's collection; nil if there is none.
func borrow(collection handle, id idArgument) ([]byte, error) {
	r := C.go_borrow(collection, id.kind, id.integer, id.data, id.bytes)
	if r.code != 0 {
		return nil, failed(r.code, r.message)
	}
	if r.data == nil {
		return nil, nil
	}
	// SAFETY: the library lends this many bytes until the snapshot is released.
	return unsafe.Slice((*byte)(r.data), r.bytes), nil
}

// idList are ids on their way to the library, without pointers between them.
type idList struct {
	kinds    []C.uint32_t
	integers []C.int64_t
	bytes    []byte
	ends     []uintptr
}

func idListOf(ids []any) (idList, error) {
	l := idList{make([]C.uint32_t, len(ids)), make([]C.int64_t, len(ids)), nil, make([]uintptr, len(ids))}
	for i, id := range ids {
		argument, err := idOf(id)
		if err != nil {
			return l, err
		}
		l.kinds[i], l.integers[i] = argument.kind, argument.integer
		// SAFETY: the argument points to as many bytes of the id, which the caller holds.
		l.bytes = append(l.bytes, unsafe.Slice((*byte)(argument.data), argument.bytes)...)
		l.ends[i] = uintptr(len(l.bytes))
	}
	return l, nil
}

// getMany gives documents one behind the other and where each ends.
func getMany(collection handle, ids idList) (documents []byte, ends []uintptr, err error) {
	ends = make([]uintptr, len(ids.ends))
	data, _ := bytesOf(ids.bytes)
	r := C.go_get_many(collection, unsafe.SliceData(ids.kinds), unsafe.SliceData(ids.integers), data, sizesOf(ids.ends),
		C.size_t(len(ends)), sizesOf(ends))
	if r.code != 0 {
		return nil, nil, failed(r.code, r.message)
	}
	return take(r.data, r.bytes), ends, nil
}

func sizesOf(sizes []uintptr) *C.size_t { return (*C.size_t)(unsafe.Pointer(unsafe.SliceData(sizes))) }

func contains(collection handle, id idArgument) (bool, error) {
	r := C.go_contains(collection, id.kind, id.integer, id.data, id.bytes)
	return r.value != 0, done(r)
}

func count(collection handle) (uint64, error) {
	r := C.go_count(collection)
	return uint64(r.value), done(r)
}

// put inserts or replaces.
func put(collection handle, document []byte) (ID, error) { return write(collection, document, 0) }

// insert inserts.
func insert(collection handle, document []byte) (ID, error) { return write(collection, document, 1) }

func write(collection handle, document []byte, insert C.uint32_t) (ID, error) {
	data, n := bytesOf(document)
	r := C.go_write(collection, data, n, insert)
	if r.code != 0 {
		return ID{}, failed(r.code, r.message)
	}
	return takeID(&r.id), nil
}

// insertMany inserts documents that lie one behind the other.
func insertMany(collection handle, documents []byte, ends []uintptr, o *InsertManyOptions) ([]ID, error) {
	flags := C.uint32_t(C.NYRO_INSERT_IDS)
	if o.Unordered {
		flags |= C.NYRO_INSERT_UNORDERED
	}
	if o.Atomic {
		flags |= C.NYRO_INSERT_ATOMIC
	}
	data, n := bytesOf(documents)
	r := C.go_insert_many(collection, data, n, sizesOf(ends), C.size_t(len(ends)), flags)
	ids, failures := take(r.result.ids, r.result.ids_bytes), take(r.result.failures, r.result.failures_bytes)
	if r.code == 0 {
		list, err := codec.DecodeIDs(ids)
		return list, wrapCodec(err)
	}
	err := failed(r.code, r.message)
	if err.Code != ErrBulkWrite {
		return nil, err
	}
	return nil, bulkError(err, int(r.result.inserted), failures)
}

func replaceOne(collection handle, id idArgument, document []byte) (bool, error) {
	data, n := bytesOf(document)
	r := C.go_replace(collection, id.kind, id.integer, id.data, id.bytes, data, n)
	return r.value != 0, done(r)
}

func deleteOne(collection handle, id idArgument) (bool, error) {
	r := C.go_delete(collection, id.kind, id.integer, id.data, id.bytes)
	return r.value != 0, done(r)
}

// ---- scans ---------------------------------------------------------------------------------------------

func openScan(collection handle, after uint64) (handle, error) {
	r := C.go_scan_open(collection, C.uint64_t(after))
	return r.value, done(r)
}

// scanBatch is what a call of fillBatch gave.
type scanBatch struct {
	documents int
	// needed is the size of the next document when none fitted into the buffer.
	needed int
	ended  bool
}

// fillBatch copies documents into buf, where each ends into ends, and where the scan is behind it into tokens.
func fillBatch(scan handle, buf []byte, ends []uintptr, tokens []uint64) (scanBatch, error) {
	data, n := bytesOf(buf)
	r := C.go_scan_batch(scan, data, n, sizesOf(ends), (*C.uint64_t)(unsafe.SliceData(tokens)), C.size_t(len(ends)))
	if r.code != 0 {
		return scanBatch{}, failed(r.code, r.message)
	}
	b := r.batch
	return scanBatch{int(b.documents), int(b.needed), b.ended != 0}, nil
}

func closeScan(scan handle) error { return done(C.go_scan_close(scan)) }

// ---- keyspaces -----------------------------------------------------------------------------------------

const (
	boundIncluded = C.NYRO_BOUND_INCLUDED
	boundExcluded = C.NYRO_BOUND_EXCLUDED
	boundPrefix   = C.NYRO_BOUND_PREFIX

	changePut         = C.NYRO_CHANGE_PUT
	changeDelete      = C.NYRO_CHANGE_DELETE
	changeDeleteRange = C.NYRO_CHANGE_DELETE_RANGE
	changeDeleteFrom  = C.GO_CHANGE_DELETE_FROM
	changeClear       = C.NYRO_CHANGE_CLEAR
)

func openKeyspace(scope handle, name string) (handle, error) {
	data, n := textOf(name)
	r := C.go_keyspace(scope, data, n)
	return r.value, done(r)
}

func releaseKeyspace(keyspace handle) error { return done(C.go_keyspace_release(keyspace)) }

func keyspaceNames(scope handle) ([]string, error) {
	var list struct {
		Items []string `nyro:"items"`
	}
	err := report(C.go_keyspace_names(scope), &list)
	return list.Items, err
}

func renameKeyspace(scope handle, from, to string) error {
	data, n := textOf(from)
	toData, toN := textOf(to)
	return done(C.go_keyspace_rename(scope, data, n, toData, toN))
}

func dropKeyspace(scope handle, name string) (bool, error) {
	data, n := textOf(name)
	r := C.go_keyspace_drop(scope, data, n)
	return r.value != 0, done(r)
}

func keyspaceStats(db handle) (KeyspaceStats, error) {
	var s KeyspaceStats
	err := report(C.go_keyspace_stats(db), &s)
	return s, err
}

// keyspaceStatsFields is for a test that compares KeyspaceStats with it.
func keyspaceStatsFields(db handle) (M, error) {
	var m M
	err := report(C.go_keyspace_stats(db), &m)
	return m, err
}

// getKey copies a value into buf and gives its size, which is more than buf has if it does not fit.
func getKey(keyspace handle, key, buf []byte) (n int, found bool, err error) {
	keyData, keyN := bytesOf(key)
	data, room := bytesOf(buf)
	r := C.go_kv_get(keyspace, keyData, keyN, data, room)
	if r.code != 0 {
		return 0, false, failed(r.code, r.message)
	}
	return int(r.bytes), r.found != 0, nil
}

// joined are parts one behind the other, and where each ends: without pointers between them.
func joined(parts [][]byte) (data []byte, ends []uintptr) {
	n := 0
	for _, part := range parts {
		n += len(part)
	}
	data, ends = make([]byte, 0, n), make([]uintptr, len(parts))
	for i, part := range parts {
		data = append(data, part...)
		ends[i] = uintptr(len(data))
	}
	return data, ends
}

// getKeys gives values one behind the other, where each ends, and which were found (1).
func getKeys(keyspace handle, keys [][]byte) (values []byte, ends []uintptr, found []byte, err error) {
	joinedKeys, keyEnds := joined(keys)
	ends, found = make([]uintptr, len(keys)), make([]byte, len(keys))
	data, _ := bytesOf(joinedKeys)
	foundData, count := bytesOf(found)
	r := C.go_kv_get_many(keyspace, data, sizesOf(keyEnds), count, sizesOf(ends), foundData)
	if r.code != 0 {
		return nil, nil, nil, failed(r.code, r.message)
	}
	return take(r.data, r.bytes), ends, found, nil
}

func containsKey(keyspace handle, key []byte) (bool, error) {
	data, n := bytesOf(key)
	r := C.go_kv_contains(keyspace, data, n)
	return r.value != 0, done(r)
}

func estimatedKeys(keyspace handle) (uint64, error) {
	r := C.go_kv_count(keyspace)
	return uint64(r.value), done(r)
}

func putKey(keyspace handle, key, value []byte) error {
	keyData, keyN := bytesOf(key)
	data, n := bytesOf(value)
	return done(C.go_kv_put(keyspace, keyData, keyN, data, n))
}

func deleteKey(keyspace handle, key []byte) error {
	data, n := bytesOf(key)
	return done(C.go_kv_delete(keyspace, data, n))
}

func deleteKeys(keyspace handle, b bounds) error {
	start, startN := bytesOf(b.start)
	end, endN := bytesOf(b.end)
	return done(C.go_kv_delete_range(keyspace, C.uint32_t(b.startKind), start, startN, C.uint32_t(b.endKind), end, endN))
}

func clearKeys(keyspace handle) error { return done(C.go_kv_clear(keyspace)) }

func writeKeys(keyspace handle, changes []Change) error {
	kinds, parts := make([]C.uint32_t, len(changes)), make([][]byte, 0, 2*len(changes))
	for i, change := range changes {
		kinds[i] = C.uint32_t(change.kind)
		parts = append(parts, change.key, change.value)
	}
	joinedParts, ends := joined(parts)
	data, _ := bytesOf(joinedParts)
	return done(C.go_kv_write(keyspace, unsafe.SliceData(kinds), data, sizesOf(ends), C.size_t(len(changes))))
}

func openRange(keyspace handle, b bounds, backward bool) (handle, error) {
	start, startN := bytesOf(b.start)
	end, endN := bytesOf(b.end)
	var flags C.uint32_t
	if backward {
		flags = C.NYRO_RANGE_BACKWARD
	}
	r := C.go_range_open(keyspace, C.uint32_t(b.startKind), start, startN, C.uint32_t(b.endKind), end, endN, flags)
	return r.value, done(r)
}

// entryBatch is what a call of fillEntries gave.
type entryBatch struct {
	entries int
	// needed is the size of the next entry when none fitted into the buffer.
	needed int
	ended  bool
}

// fillEntries copies keys and values into buf, and where each key and each value ends into ends.
func fillEntries(keyRange handle, buf []byte, ends []uintptr) (entryBatch, error) {
	data, n := bytesOf(buf)
	r := C.go_range_batch(keyRange, data, n, sizesOf(ends), C.size_t(len(ends)/2))
	if r.code != 0 {
		return entryBatch{}, failed(r.code, r.message)
	}
	return entryBatch{int(r.batch.entries), int(r.batch.needed), r.batch.ended != 0}, nil
}

func seekRange(keyRange handle, key []byte) error {
	data, n := bytesOf(key)
	return done(C.go_range_seek(keyRange, data, n))
}

func closeRange(keyRange handle) error { return done(C.go_range_close(keyRange)) }

// ---- long calls ----------------------------------------------------------------------------------------

// control is how a long call is stopped and watched; see [watch].
type control = C.go_control

func newCancel() (handle, error) {
	r := C.go_cancel_new()
	return r.value, done(r)
}

func fireCancel(cancel handle) error    { return done(C.go_cancel_fire(cancel)) }
func releaseCancel(cancel handle) error { return done(C.go_cancel_release(cancel)) }

func makeControl(cancel handle, context uintptr) control {
	return control{cancel: cancel, context: C.uintptr_t(context)}
}

func verifyDatabase(db handle, c control, r *VerifyReport) error {
	return report(C.go_verify(db, c), r)
}
func compactDatabase(db handle, c control, r *CompactReport) error {
	return report(C.go_compact(db, c), r)
}

func warmUpDatabase(db handle, limit uint64, c control, r *WarmUpReport) error {
	return report(C.go_warm_up(db, C.uint64_t(limit), c), r)
}

func flag(set bool) C.uint32_t {
	if set {
		return 1
	}
	return 0
}

func backupDatabase(db handle, path string, o *BackupOptions, c control, r *BackupReport) error {
	pathData, pathBytes := textOf(path)
	nameData, nameBytes := textOf(o.Name)
	sinceData, sinceBytes := textOf(o.Since)
	return report(C.go_backup(db, pathData, pathBytes, nameData, nameBytes, sinceData, sinceBytes, flag(o.Overwrite), c), r)
}

func restoreDatabase(target string, backups []string, overwrite bool, c control, r *VerifyReport) error {
	targetData, targetBytes := textOf(target)
	var paths []byte
	ends := make([]uintptr, len(backups)+1)
	for i, path := range backups {
		paths = append(paths, path...)
		ends[i] = uintptr(len(paths))
	}
	data, _ := bytesOf(paths)
	return report(C.go_restore(targetData, targetBytes, (*C.char)(unsafe.Pointer(data)), sizesOf(ends), C.size_t(len(backups)),
		flag(overwrite), c), r)
}

func repairDatabase(damaged, target string, overwrite bool, c control, r *RepairReport) error {
	damagedData, damagedBytes := textOf(damaged)
	targetData, targetBytes := textOf(target)
	var data Raw
	if err := report(C.go_repair(damagedData, damagedBytes, targetData, targetBytes, flag(overwrite), c), &data); err != nil {
		return err
	}
	if err := Unmarshal(data, r); err != nil {
		return err
	}
	return Unmarshal(data, &r.Fields)
}
