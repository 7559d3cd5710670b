// What Go calls: each C function of nyro.h with its arguments in registers and its results in one small struct
// that is returned by value, so that an operation is one crossing and nothing has to be allocated for it.
#ifndef NYRO_GO_NATIVE_H
#define NYRO_GO_NATIVE_H

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "library.h"

// In what Go compiles, so that a new library is linked and tested: Go does not look into what it links.
#ifdef NYRO_LIBRARY
static const char nyro_library[] __attribute__((used)) = NYRO_LIBRARY;
#endif

// An error has its message in memory that the caller frees with nyro_free; without one it is null.
typedef struct { uint32_t code; char *message; uint64_t value; } go_result;
typedef struct { uint32_t code; char *message; uint8_t *data; size_t bytes; } go_bytes;
typedef struct { uint32_t code; char *message; nyro_id id; } go_id;
typedef struct { uint32_t code; char *message; nyro_batch batch; } go_batch;
typedef struct { uint32_t code; char *message; nyro_entries batch; } go_entries;
typedef struct { uint32_t code; char *message; size_t bytes; uint32_t found; } go_found;
typedef struct { uint32_t code; char *message; nyro_insert_result result; } go_inserted;

// The message of a call that failed on this thread just now. A goroutine may change threads between two calls
// into C, so it is taken in the same one.
static inline char *go_message(uint32_t code) {
    return code == 0 ? NULL : strdup(nyro_last_error_message());
}

static inline go_result go_done(uint32_t code, uint64_t value) {
    go_result r = {code, go_message(code), value};
    return r;
}

static inline go_bytes go_done_bytes(uint32_t code, uint8_t *data, size_t bytes) {
    go_bytes r = {code, go_message(code), data, bytes};
    return r;
}

static inline nyro_id go_make_id(uint32_t kind, int64_t integer, const uint8_t *data, size_t bytes) {
    return nyro_id_make(kind, integer, data, bytes);
}

// Options with 0 for the defaults of what can't be 0.
typedef struct {
    uint32_t create, durability, interval_ms, read_only, read_mode, allow_network_file_system;
    uint64_t cache_bytes, log_max_bytes, writer_timeout_ms, max_document_bytes, snapshot_max_age_ms;
} go_options;

static inline go_result go_open(const char *path, size_t path_bytes, go_options given) {
    nyro_options o;
    uint32_t code = nyro_options_init(&o, sizeof o, NULL);
    if (code != 0) return go_done(code, 0);
    o.create = given.create;
    o.durability = given.durability;
    o.read_only = given.read_only;
    o.read_mode = given.read_mode;
    o.allow_network_file_system = given.allow_network_file_system;
    if (given.interval_ms != 0) o.interval_ms = given.interval_ms;
    if (given.cache_bytes != 0) o.cache_bytes = given.cache_bytes;
    if (given.log_max_bytes != 0) o.log_max_bytes = given.log_max_bytes;
    if (given.writer_timeout_ms != 0) o.writer_timeout_ms = given.writer_timeout_ms;
    if (given.max_document_bytes != 0) o.max_document_bytes = given.max_document_bytes;
    if (given.snapshot_max_age_ms != 0) o.snapshot_max_age_ms = given.snapshot_max_age_ms;
    nyro_db db = 0;
    code = nyro_open(path, path_bytes, &o, &db, NULL);
    return go_done(code, db);
}

static inline go_result go_close(uint64_t db) { return go_done(nyro_close(db, NULL), 0); }
static inline go_result go_sync(uint64_t db) { return go_done(nyro_sync(db, NULL), 0); }
static inline go_result go_checkpoint(uint64_t db) { return go_done(nyro_checkpoint(db, NULL), 0); }

static inline go_bytes go_stats(uint64_t db) {
    uint8_t *data = NULL;
    size_t bytes = 0;
    uint32_t code = nyro_stats(db, NYRO_FORMAT_MSGPACK, &data, &bytes, NULL);
    return go_done_bytes(code, data, bytes);
}

static inline go_bytes go_backups(uint64_t db) {
    uint8_t *data = NULL;
    size_t bytes = 0;
    uint32_t code = nyro_backups(db, NYRO_FORMAT_MSGPACK, &data, &bytes, NULL);
    return go_done_bytes(code, data, bytes);
}

static inline go_bytes go_names(uint64_t scope) {
    uint8_t *data = NULL;
    size_t bytes = 0;
    uint32_t code = nyro_collection_names(scope, NYRO_FORMAT_MSGPACK, &data, &bytes, NULL);
    return go_done_bytes(code, data, bytes);
}

static inline go_result go_create(uint64_t scope, const char *name, size_t bytes) {
    return go_done(nyro_create_collection(scope, name, bytes, NULL), 0);
}

static inline go_result go_rename(uint64_t scope, const char *from, size_t from_bytes, const char *to, size_t to_bytes) {
    return go_done(nyro_rename_collection(scope, from, from_bytes, to, to_bytes, NULL), 0);
}

static inline go_result go_drop(uint64_t scope, const char *name, size_t bytes) {
    uint32_t dropped = 0;
    uint32_t code = nyro_drop_collection(scope, name, bytes, &dropped, NULL);
    return go_done(code, dropped);
}

// A number of this thread, never 0.
static inline uint64_t go_thread(void) { return (uint64_t)(uintptr_t)pthread_self(); }

static inline go_result go_begin(uint64_t db) {
    nyro_transaction tx = 0;
    uint32_t code = nyro_begin(db, &tx, NULL);
    return go_done(code, tx);
}

static inline go_result go_commit(uint64_t tx) { return go_done(nyro_commit(tx, NULL, NULL), 0); }
static inline go_result go_rollback(uint64_t tx) { return go_done(nyro_rollback(tx, NULL), 0); }

static inline go_result go_snapshot(uint64_t db) {
    nyro_snapshot snapshot = 0;
    uint32_t code = nyro_snapshot_take(db, &snapshot, NULL);
    return go_done(code, snapshot);
}

static inline go_result go_snapshot_commit(uint64_t snapshot) {
    uint64_t commit = 0;
    uint32_t code = nyro_snapshot_commit(snapshot, &commit, NULL);
    return go_done(code, commit);
}

static inline go_result go_snapshot_release(uint64_t snapshot) {
    return go_done(nyro_snapshot_release(snapshot, NULL), 0);
}

static inline go_result go_collection(uint64_t scope, const char *name, size_t bytes) {
    nyro_collection collection = 0;
    uint32_t code = nyro_collection_open(scope, name, bytes, &collection, NULL);
    return go_done(code, collection);
}

static inline go_result go_collection_release(uint64_t collection) {
    return go_done(nyro_collection_release(collection, NULL), 0);
}

static inline go_result go_get(uint64_t collection, uint32_t kind, int64_t integer, const uint8_t *id, size_t id_bytes,
                               uint8_t *buffer, size_t buffer_bytes) {
    size_t bytes = 0;
    uint32_t code = nyro_get_into(collection, go_make_id(kind, integer, id, id_bytes), buffer, buffer_bytes, &bytes, NULL);
    return go_done(code, bytes);
}

static inline go_bytes go_borrow(uint64_t collection, uint32_t kind, int64_t integer, const uint8_t *id, size_t id_bytes) {
    const uint8_t *data = NULL;
    size_t bytes = 0;
    uint32_t code = nyro_get_borrowed(collection, go_make_id(kind, integer, id, id_bytes), &data, &bytes, NULL);
    return go_done_bytes(code, (uint8_t *)data, bytes);
}

// Id number i is of kinds[i]; its integer is integers[i], its bytes end at id_ends[i] in `bytes`.
static inline go_bytes go_get_many(uint64_t collection, const uint32_t *kinds, const int64_t *integers, const uint8_t *id_bytes,
                                   const size_t *id_ends, size_t count, size_t *ends) {
    uint8_t *data = NULL;
    size_t bytes = 0;
    nyro_id *list = malloc((count + 1) * sizeof *list);
    if (list == NULL) {
        go_bytes r = {NYRO_INTERNAL, strdup("no memory for the ids"), NULL, 0};
        return r;
    }
    for (size_t i = 0; i < count; i++) {
        size_t start = i == 0 ? 0 : id_ends[i - 1];
        list[i] = go_make_id(kinds[i], integers[i], id_bytes + start, id_ends[i] - start);
    }
    uint32_t code = nyro_get_many(collection, list, count, &data, &bytes, ends, NULL);
    free(list);
    return go_done_bytes(code, data, bytes);
}

static inline go_result go_contains(uint64_t collection, uint32_t kind, int64_t integer, const uint8_t *id, size_t id_bytes) {
    uint32_t found = 0;
    uint32_t code = nyro_contains(collection, go_make_id(kind, integer, id, id_bytes), &found, NULL);
    return go_done(code, found);
}

static inline go_result go_count(uint64_t collection) {
    uint64_t count = 0;
    uint32_t code = nyro_count(collection, &count, NULL);
    return go_done(code, count);
}

static inline go_id go_write(uint64_t collection, const uint8_t *document, size_t bytes, uint32_t insert) {
    go_id r = {0, NULL, {0, 0, 0, NULL, 0}};
    r.code = insert ? nyro_insert_one(collection, document, bytes, &r.id, NULL)
                    : nyro_put(collection, document, bytes, &r.id, NULL);
    r.message = go_message(r.code);
    return r;
}

static inline go_inserted go_insert_many(uint64_t collection, const uint8_t *documents, size_t bytes, const size_t *ends,
                                         size_t count, uint32_t flags) {
    go_inserted r = {0, NULL, {0}};
    r.code = nyro_insert_many(collection, documents, bytes, ends, count, flags, &r.result, NULL);
    r.message = go_message(r.code);
    return r;
}

static inline go_result go_replace(uint64_t collection, uint32_t kind, int64_t integer, const uint8_t *id, size_t id_bytes,
                                   const uint8_t *document, size_t bytes) {
    uint32_t replaced = 0;
    uint32_t code = nyro_replace_one(collection, go_make_id(kind, integer, id, id_bytes), document, bytes, &replaced, NULL);
    return go_done(code, replaced);
}

static inline go_result go_delete(uint64_t collection, uint32_t kind, int64_t integer, const uint8_t *id, size_t id_bytes) {
    uint32_t deleted = 0;
    uint32_t code = nyro_delete(collection, go_make_id(kind, integer, id, id_bytes), &deleted, NULL);
    return go_done(code, deleted);
}

static inline go_result go_scan_open(uint64_t collection, uint64_t after) {
    nyro_scan scan = 0;
    uint32_t code = nyro_scan_open(collection, after, &scan, NULL);
    return go_done(code, scan);
}

static inline go_batch go_scan_batch(uint64_t scan, uint8_t *buffer, size_t buffer_bytes, size_t *ends,
                                     uint64_t *tokens, size_t most) {
    go_batch r = {0, NULL, {0}};
    r.code = nyro_scan_batch_tokens(scan, buffer, buffer_bytes, ends, tokens, most, &r.batch, NULL);
    r.message = go_message(r.code);
    return r;
}

static inline go_result go_scan_close(uint64_t scan) { return go_done(nyro_scan_close(scan, NULL), 0); }

static inline go_result go_keyspace(uint64_t scope, const char *name, size_t bytes) {
    nyro_keyspace keyspace = 0;
    uint32_t code = nyro_keyspace_open(scope, name, bytes, &keyspace, NULL);
    return go_done(code, keyspace);
}

static inline go_result go_keyspace_release(uint64_t keyspace) {
    return go_done(nyro_keyspace_release(keyspace, NULL), 0);
}

static inline go_bytes go_keyspace_names(uint64_t scope) {
    uint8_t *data = NULL;
    size_t bytes = 0;
    uint32_t code = nyro_keyspace_names(scope, NYRO_FORMAT_MSGPACK, &data, &bytes, NULL);
    return go_done_bytes(code, data, bytes);
}

static inline go_result go_keyspace_rename(uint64_t scope, const char *from, size_t from_bytes, const char *to,
                                           size_t to_bytes) {
    return go_done(nyro_rename_keyspace(scope, from, from_bytes, to, to_bytes, NULL), 0);
}

static inline go_result go_keyspace_drop(uint64_t scope, const char *name, size_t bytes) {
    uint32_t dropped = 0;
    uint32_t code = nyro_drop_keyspace(scope, name, bytes, &dropped, NULL);
    return go_done(code, dropped);
}

static inline go_bytes go_keyspace_stats(uint64_t db) {
    uint8_t *data = NULL;
    size_t bytes = 0;
    uint32_t code = nyro_keyspace_stats(db, NYRO_FORMAT_MSGPACK, &data, &bytes, NULL);
    return go_done_bytes(code, data, bytes);
}

static inline go_found go_kv_get(uint64_t keyspace, const uint8_t *key, size_t key_bytes, uint8_t *buffer,
                                 size_t buffer_bytes) {
    go_found r = {0, NULL, 0, 0};
    r.code = nyro_kv_get_into(keyspace, key, key_bytes, buffer, buffer_bytes, &r.bytes, &r.found, NULL);
    r.message = go_message(r.code);
    return r;
}

// Key number i ends at key_ends[i] in `keys`.
static inline go_bytes go_kv_get_many(uint64_t keyspace, const uint8_t *keys, const size_t *key_ends, size_t count,
                                      size_t *ends, uint8_t *found) {
    uint8_t *data = NULL;
    size_t bytes = 0;
    nyro_bytes *list = malloc((count + 1) * sizeof *list);
    if (list == NULL) {
        go_bytes r = {NYRO_INTERNAL, strdup("no memory for the keys"), NULL, 0};
        return r;
    }
    for (size_t i = 0; i < count; i++) {
        size_t start = i == 0 ? 0 : key_ends[i - 1];
        list[i].data = keys + start;
        list[i].bytes = key_ends[i] - start;
    }
    uint32_t code = nyro_kv_get_many(keyspace, list, count, &data, &bytes, ends, found, NULL);
    free(list);
    return go_done_bytes(code, data, bytes);
}

static inline go_result go_kv_contains(uint64_t keyspace, const uint8_t *key, size_t key_bytes) {
    uint32_t found = 0;
    uint32_t code = nyro_kv_contains(keyspace, key, key_bytes, &found, NULL);
    return go_done(code, found);
}

static inline go_result go_kv_count(uint64_t keyspace) {
    uint64_t count = 0;
    uint32_t code = nyro_kv_estimated_count(keyspace, &count, NULL);
    return go_done(code, count);
}

static inline go_result go_kv_put(uint64_t keyspace, const uint8_t *key, size_t key_bytes, const uint8_t *value,
                                  size_t value_bytes) {
    return go_done(nyro_kv_put(keyspace, key, key_bytes, value, value_bytes, NULL), 0);
}

static inline go_result go_kv_delete(uint64_t keyspace, const uint8_t *key, size_t key_bytes) {
    return go_done(nyro_kv_delete(keyspace, key, key_bytes, NULL), 0);
}

static inline go_result go_kv_delete_range(uint64_t keyspace, uint32_t start_kind, const uint8_t *start, size_t start_bytes,
                                           uint32_t end_kind, const uint8_t *end, size_t end_bytes) {
    nyro_bounds bounds = {start_kind, end_kind, start, start_bytes, end, end_bytes};
    return go_done(nyro_kv_delete_range(keyspace, &bounds, NULL), 0);
}

static inline go_result go_kv_clear(uint64_t keyspace) { return go_done(nyro_kv_clear(keyspace, NULL), 0); }

// A kind of change of this package's own: delete the keys from one on, to the last.
#define GO_CHANGE_DELETE_FROM 100

// The key of change number i ends at ends[2 * i] in `parts`, its value at ends[2 * i + 1].
static inline go_result go_kv_write(uint64_t keyspace, const uint32_t *kinds, const uint8_t *parts, const size_t *ends,
                                    size_t count) {
    nyro_change *list = calloc(count + 1, sizeof *list);
    if (list == NULL) {
        go_result r = {NYRO_INTERNAL, strdup("no memory for the changes"), 0};
        return r;
    }
    size_t start = 0;
    for (size_t i = 0; i < count; i++) {
        size_t middle = ends[2 * i], end = ends[2 * i + 1];
        list[i].kind = kinds[i];
        list[i].key = parts + start;
        list[i].key_bytes = middle - start;
        list[i].value = parts + middle;
        list[i].value_bytes = end - middle;
        if (kinds[i] == GO_CHANGE_DELETE_FROM) {
            list[i].kind = NYRO_CHANGE_DELETE_RANGE;
            list[i].value = NULL;
        }
        start = end;
    }
    uint32_t code = nyro_kv_write(keyspace, list, count, NULL);
    go_result r = go_done(code, 0);
    free(list);
    return r;
}

static inline go_result go_range_open(uint64_t keyspace, uint32_t start_kind, const uint8_t *start, size_t start_bytes,
                                      uint32_t end_kind, const uint8_t *end, size_t end_bytes, uint32_t flags) {
    nyro_bounds bounds = {start_kind, end_kind, start, start_bytes, end, end_bytes};
    nyro_range range = 0;
    uint32_t code = nyro_range_open(keyspace, &bounds, flags, &range, NULL);
    return go_done(code, range);
}

static inline go_entries go_range_batch(uint64_t range, uint8_t *buffer, size_t buffer_bytes, size_t *ends, size_t most) {
    go_entries r = {0, NULL, {0}};
    r.code = nyro_range_batch(range, buffer, buffer_bytes, ends, most, &r.batch, NULL);
    r.message = go_message(r.code);
    return r;
}

static inline go_result go_range_seek(uint64_t range, const uint8_t *key, size_t key_bytes) {
    return go_done(nyro_range_seek(range, key, key_bytes, NULL), 0);
}

static inline go_result go_range_close(uint64_t range) { return go_done(nyro_range_close(range, NULL), 0); }

static inline go_result go_cancel_new(void) {
    nyro_cancel cancel = 0;
    uint32_t code = nyro_cancel_new(&cancel, NULL);
    return go_done(code, cancel);
}

static inline go_result go_cancel_fire(uint64_t cancel) { return go_done(nyro_cancel_fire(cancel, NULL), 0); }
static inline go_result go_cancel_release(uint64_t cancel) { return go_done(nyro_cancel_release(cancel, NULL), 0); }

// Long calls. `context` is a number that the progress callback of Go knows its caller by; 0: no callback.
typedef struct { uint64_t cancel; uintptr_t context; } go_control;

extern uint32_t nyroGoProgress(uintptr_t context, uint64_t done, uint64_t total, char *phase, size_t phase_bytes,
                               char *unit, size_t unit_bytes);

static uint32_t go_progress(void *context, const nyro_progress *p) {
    return nyroGoProgress((uintptr_t)context, p->done, p->total, (char *)p->phase, p->phase_bytes, (char *)p->unit,
                          p->unit_bytes);
}

static inline nyro_control go_make_control(go_control given) {
    nyro_control c;
    memset(&c, 0, sizeof c);
    c.struct_bytes = sizeof c;
    c.cancel = given.cancel;
    if (given.context != 0) {
        c.progress = go_progress;
        c.context = (void *)given.context;
    }
    return c;
}

static inline go_bytes go_verify(uint64_t db, go_control given) {
    nyro_control c = go_make_control(given);
    uint8_t *data = NULL;
    size_t bytes = 0;
    uint32_t code = nyro_verify(db, &c, NYRO_FORMAT_MSGPACK, &data, &bytes, NULL);
    return go_done_bytes(code, data, bytes);
}

static inline go_bytes go_compact(uint64_t db, go_control given) {
    nyro_control c = go_make_control(given);
    uint8_t *data = NULL;
    size_t bytes = 0;
    uint32_t code = nyro_compact(db, &c, NYRO_FORMAT_MSGPACK, &data, &bytes, NULL);
    return go_done_bytes(code, data, bytes);
}

static inline go_bytes go_warm_up(uint64_t db, uint64_t limit, go_control given) {
    nyro_control c = go_make_control(given);
    uint8_t *data = NULL;
    size_t bytes = 0;
    uint32_t code = nyro_warm_up(db, limit, &c, NYRO_FORMAT_MSGPACK, &data, &bytes, NULL);
    return go_done_bytes(code, data, bytes);
}

static inline go_bytes go_backup(uint64_t db, const char *path, size_t path_bytes, const char *name, size_t name_bytes,
                                 const char *since, size_t since_bytes, uint32_t overwrite, go_control given) {
    nyro_control c = go_make_control(given);
    nyro_backup_options o;
    memset(&o, 0, sizeof o);
    o.struct_bytes = sizeof o;
    o.overwrite = overwrite;
    if (name_bytes != 0) { o.name = name; o.name_bytes = name_bytes; }
    if (since_bytes != 0) { o.since = since; o.since_bytes = since_bytes; }
    uint8_t *data = NULL;
    size_t bytes = 0;
    uint32_t code = nyro_backup(db, path, path_bytes, &o, &c, NYRO_FORMAT_MSGPACK, &data, &bytes, NULL);
    return go_done_bytes(code, data, bytes);
}

// The paths lie one behind the other in `paths`; number i ends at ends[i].
static inline go_bytes go_restore(const char *target, size_t target_bytes, const char *paths, const size_t *ends,
                                  size_t count, uint32_t overwrite, go_control given) {
    nyro_control c = go_make_control(given);
    nyro_text *list = malloc((count + 1) * sizeof *list);
    if (list == NULL) {
        go_bytes r = {NYRO_INTERNAL, strdup("no memory for the paths"), NULL, 0};
        return r;
    }
    for (size_t i = 0; i < count; i++) {
        size_t start = i == 0 ? 0 : ends[i - 1];
        list[i].data = paths + start;
        list[i].bytes = ends[i] - start;
    }
    uint8_t *data = NULL;
    size_t bytes = 0;
    uint32_t code = nyro_restore(target, target_bytes, list, count, overwrite, &c, NYRO_FORMAT_MSGPACK, &data, &bytes, NULL);
    free(list);
    return go_done_bytes(code, data, bytes);
}

static inline go_bytes go_repair(const char *damaged, size_t damaged_bytes, const char *target, size_t target_bytes,
                                 uint32_t overwrite, go_control given) {
    nyro_control c = go_make_control(given);
    uint8_t *data = NULL;
    size_t bytes = 0;
    uint32_t code = nyro_repair(damaged, damaged_bytes, target, target_bytes, overwrite, &c, NYRO_FORMAT_MSGPACK, &data,
                                &bytes, NULL);
    return go_done_bytes(code, data, bytes);
}

#endif
