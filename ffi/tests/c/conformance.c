/* Runs the scenarios of bindings/conformance through the C functions.
 *
 *   conformance FILE...
 *
 *   file --json_read--> steps --run_step--> C functions --MessagePack--> outcome --compare--> expected
 *
 * Where there are several C functions for one thing (copying, lending, into a buffer, as JSON), all are called and must
 * agree. The format of the files is in their README.
 */
#define _XOPEN_SOURCE 700

#include "conformance.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- expectations -------------------------------------------------------------------------------------- */

_Noreturn void fail(run *r, const value *step, const char *what) {
    printf("%s: step %s: %s\n  step: ", r->file, r->place, what);
    value_print(step);
    printf("\n  library: %s\n", nyro_last_error_message());
    exit(1);
}

static void compare(run *r, const value *step, const char *what, const value *wanted, const value *got) {
    if (got != NULL && value_equal(wanted, got)) return;
    printf("%s: step %s: another %s\n  step:   ", r->file, r->place, what);
    value_print(step);
    printf("\n  wanted: ");
    value_print(wanted);
    printf("\n  got:    ");
    value_print(got);
    printf("\n");
    exit(1);
}

static void check(run *r, const value *step, const outcome *got) {
    const value *error = value_field(step, "error"), *result = value_field(step, "result");
    if (error != NULL || got->code != 0)
        compare(r, step, "error", error != NULL ? error : value_of_int(&r->arena, 0), value_of_uint(&r->arena, got->code));
    if (result != NULL) compare(r, step, "result", got->is_bytes ? with_bytes(r, result) : result, got->result);
    if (got->code == NYRO_BULK_WRITE) {
        const value *inserted = value_field(step, "inserted"), *failures = value_field(step, "failures");
        if (inserted == NULL || failures == NULL) fail(r, step, "the step must have inserted and failures");
        compare(r, step, "inserted", inserted, value_of_int(&r->arena, got->inserted));
        compare(r, step, "failures", failures, got->failures);
    }
}

/* ---- arguments ----------------------------------------------------------------------------------------- */

const value *argument(run *r, const value *step, const char *name, value_kind kind) {
    const value *v = value_field(step, name);
    if (v == NULL || v->kind != kind) fail(r, step, name);
    return v;
}

bool flag(run *r, const value *step, const char *name, bool otherwise) {
    if (value_field(step, name) == NULL) return otherwise;
    return argument(r, step, name, V_BOOL)->boolean;
}

uint64_t number(run *r, const value *step, const char *name) {
    return argument(r, step, name, V_INT)->integer;
}

/* That the step has no argument but those in `known`, words with spaces around them. */
void check_arguments(run *r, const value *step, const char *known) {
    static const char always[] = " op result error not_in why inserted failures in ";
    for (size_t i = 0; i < step->count; i++) {
        char word[64];
        const value *name = &step->items[i * 2];
        snprintf(word, sizeof word, " %.*s ", (int)name->bytes, (const char *)name->data);
        if (strstr(always, word) == NULL && strstr(known, word) == NULL) fail(r, step, "an argument that is not known");
    }
}

named *find(named *all, size_t count, const uint8_t *name, size_t bytes) {
    for (size_t i = count; i > 0; i--)
        if (all[i - 1].name->bytes == bytes && memcmp(all[i - 1].name->data, name, bytes) == 0) return &all[i - 1];
    return NULL;
}

static named *scan_named(run *r, const value *step, const char *argument_name) {
    const value *name = argument(r, step, argument_name, V_STRING);
    named *found = find(r->scans, r->scan_count, name->data, name->bytes);
    if (found == NULL) fail(r, step, "no such scan");
    return found;
}

static named *snapshot_named(run *r, const value *step, const uint8_t *name, size_t bytes) {
    named *found = find(r->snapshots, r->snapshot_count, name, bytes);
    if (found == NULL) fail(r, step, "no such snapshot");
    return found;
}

/* What the call goes to: the database, a transaction, a snapshot. */
nyro_scope scope(run *r, const value *step) {
    const value *in = value_field(step, "in");
    if (in == NULL) return r->transaction != 0 ? r->transaction : r->db;
    if (value_is_text(in, "db")) return r->db;
    if (in->kind != V_STRING || in->bytes < 2 || memcmp(in->data, "s:", 2) != 0) fail(r, step, "in");
    return snapshot_named(r, step, in->data + 2, in->bytes - 2)->handle;
}

static bool in_snapshot(const value *step) {
    const value *in = value_field(step, "in");
    return in != NULL && !value_is_text(in, "db");
}

static uint32_t open_collection(run *r, const value *step, nyro_collection *collection) {
    const value *name = argument(r, step, "collection", V_STRING);
    return nyro_collection_open(scope(r, step), (const char *)name->data, name->bytes, collection, NULL);
}

/* The id that a value is; those that are none cross as MessagePack. `kept` holds its bytes. */
static nyro_id id_of(const value *v, buffer *kept) {
    if (v->kind == V_INT && v->negative) return nyro_id_int((int64_t)v->integer);
    if (v->kind == V_INT) return v->integer > INT64_MAX ? nyro_id_uint(v->integer) : nyro_id_int((int64_t)v->integer);
    if (v->kind == V_STRING) return nyro_id_string((const char *)v->data, v->bytes);
    if (v->kind == V_BYTES) return nyro_id_bytes(v->data, v->bytes);
    msgpack_write(kept, v);
    return nyro_id_msgpack(kept->data, kept->bytes);
}

static const value *value_of_id(run *r, const value *step, nyro_id *id) {
    const value *v = NULL;
    if (id->kind == NYRO_ID_INT) v = value_of_int(&r->arena, id->integer);
    if (id->kind == NYRO_ID_UINT) v = value_of_uint(&r->arena, (uint64_t)id->integer);
    if (id->kind == NYRO_ID_STRING) v = value_of_bytes(&r->arena, V_STRING, id->data, id->bytes);
    if (id->kind == NYRO_ID_BYTES) v = value_of_bytes(&r->arena, V_BYTES, id->data, id->bytes);
    if (v == NULL) fail(r, step, "an id of no kind");
    nyro_id_free(id);
    return v;
}

const value *unpacked(run *r, const value *step, const uint8_t *data, size_t bytes) {
    const value *v = msgpack_read(&r->arena, data, bytes);
    if (v == NULL) fail(r, step, "the library gave no MessagePack");
    return v;
}

/* Text of a path or a name, with a NUL behind it as an option struct may need it. */
nyro_text text_of(run *r, const value *step, const char *name) {
    const value *v = argument(r, step, name, V_STRING);
    return (nyro_text){(const char *)v->data, v->bytes};
}

value *array_of(run *r, size_t count) {
    value *v = value_new(&r->arena, V_ARRAY);
    v->count = count;
    v->items = arena_get(&r->arena, count * sizeof(value));
    return v;
}

/* ---- opening and closing ------------------------------------------------------------------------------- */

static nyro_options options_of(run *r, const value *step) {
    nyro_options options;
    if (nyro_options_init(&options, sizeof options, NULL) != 0) fail(r, step, "no options");
    const value *given = value_field(step, "options");
    for (size_t i = 0; given != NULL && i < given->count; i++) {
        const value *name = &given->items[i * 2], *v = &given->items[i * 2 + 1];
        if (value_is_text(name, "create")) options.create = v->boolean;
        else if (value_is_text(name, "read_only")) options.read_only = v->boolean;
        else if (value_is_text(name, "allow_network_file_system")) options.allow_network_file_system = v->boolean;
        else if (value_is_text(name, "cache_bytes")) options.cache_bytes = v->integer;
        else if (value_is_text(name, "log_max_bytes")) options.log_max_bytes = v->integer;
        else if (value_is_text(name, "writer_timeout_ms")) options.writer_timeout_ms = v->integer;
        else if (value_is_text(name, "max_document_bytes")) options.max_document_bytes = v->integer;
        else if (value_is_text(name, "snapshot_max_age_ms")) options.snapshot_max_age_ms = v->integer;
        else if (value_is_text(name, "read_mode") && value_is_text(v, "mapped")) options.read_mode = NYRO_READ_MAPPED;
        else if (value_is_text(name, "read_mode") && value_is_text(v, "pread")) options.read_mode = NYRO_READ_PREAD;
        else if (value_is_text(name, "durability") && value_is_text(v, "sync")) options.durability = NYRO_DURABILITY_SYNC;
        else if (value_is_text(name, "durability") && value_is_text(v, "manual")) options.durability = NYRO_DURABILITY_MANUAL;
        else if (value_is_text(name, "durability") && v->kind == V_INT) {
            options.durability = NYRO_DURABILITY_INTERVAL;
            options.interval_ms = (uint32_t)v->integer;
        } else fail(r, step, "an option that is not known");
    }
    return options;
}

static uint32_t close_database(run *r, const value *step) {
    uint32_t code = nyro_close(r->db, NULL);
    if (!r->closed) {
        r->closed = true;
        return code;
    }
    /* The number is stale, and the call says so: closing twice does no harm. */
    if (code != NYRO_CLOSED) fail(r, step, "closing twice is NYRO_CLOSED");
    return 0;
}

static outcome run_open(run *r, const value *step) {
    check_arguments(r, step, " options path ");
    const char *path = "app.nyro";
    size_t bytes = strlen(path);
    if (value_is_text(value_field(step, "op"), "open_other")) {
        const value *other = argument(r, step, "path", V_STRING);
        path = (const char *)other->data;
        bytes = other->bytes;
        uint32_t code = r->closed ? 0 : close_database(r, step);
        if (code != 0) return (outcome){.code = code};
    }
    nyro_options options = options_of(r, step);
    nyro_db db;
    outcome o = {.code = nyro_open(path, bytes, &options, &db, NULL)};
    if (o.code != 0 && db != 0) fail(r, step, "a handle in spite of an error");
    if (o.code == 0) {
        r->db = db;
        r->closed = false;
    }
    return o;
}

static outcome run_close(run *r, const value *step) {
    check_arguments(r, step, "");
    return (outcome){.code = close_database(r, step)};
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* The other ways to read a document: all must give the same bytes. */
static void check_other_ways(run *r, const value *step, nyro_collection c, nyro_id id, const uint8_t *data, size_t bytes) {
    size_t size = 0;
    if (nyro_get_into(c, id, NULL, 0, &size, NULL) != 0 || size != bytes) fail(r, step, "nyro_get_into gives another size");
    uint8_t *place = arena_get(&r->arena, bytes + 1);
    if (nyro_get_into(c, id, place, bytes, &size, NULL) != 0 || size != bytes) fail(r, step, "nyro_get_into");
    if (bytes > 0 && memcmp(place, data, bytes) != 0) fail(r, step, "nyro_get_into gives other bytes");
    const uint8_t *lent;
    uint32_t code = nyro_get_borrowed(c, id, &lent, &size, NULL);
    if (code != (in_snapshot(step) ? 0 : NYRO_INVALID_ARGUMENT)) fail(r, step, "nyro_get_borrowed");
    if (code == 0 && (size != bytes || (lent == NULL) != (data == NULL) || (bytes > 0 && memcmp(lent, data, bytes) != 0)))
        fail(r, step, "nyro_get_borrowed gives another document");
    char *json, *other;
    size_t json_bytes, other_bytes;
    if (nyro_get_json(c, id, &json, &json_bytes, NULL) != 0) fail(r, step, "nyro_get_json");
    if (data != NULL) {
        if (nyro_to_json(data, bytes, &other, &other_bytes, NULL) != 0) fail(r, step, "nyro_to_json");
        if (json_bytes != other_bytes || memcmp(json, other, json_bytes) != 0) fail(r, step, "two JSON texts");
        uint8_t *back;
        size_t back_bytes;
        if (nyro_from_json(json, json_bytes, &back, &back_bytes, NULL) != 0) fail(r, step, "nyro_from_json");
        if (!value_equal(unpacked(r, step, back, back_bytes), unpacked(r, step, data, bytes)))
            fail(r, step, "the document does not come back from its JSON text");
        nyro_free(back);
        nyro_free(other);
    }
    nyro_free(json);
}

static outcome get(run *r, const value *step, nyro_collection c, bool raw) {
    buffer kept = {0};
    nyro_id id = id_of(argument(r, step, "id", value_field(step, "id") ? value_field(step, "id")->kind : V_NULL), &kept);
    uint8_t *document;
    size_t bytes;
    outcome o = {.code = nyro_get(c, id, &document, &bytes, NULL)};
    if (o.code == 0) {
        check_other_ways(r, step, c, id, document, bytes);
        if (document == NULL) o.result = value_new(&r->arena, V_NULL);
        else if (raw) o.result = value_of_hex(&r->arena, document, bytes);
        else o.result = unpacked(r, step, document, bytes);
        nyro_free(document);
    }
    buffer_free(&kept);
    return o;
}

static outcome run_get(run *r, const value *step, nyro_collection c) {
    return get(r, step, c, false);
}

static outcome run_get_raw(run *r, const value *step, nyro_collection c) {
    return get(r, step, c, true);
}

static outcome run_get_many(run *r, const value *step, nyro_collection c) {
    const value *given = argument(r, step, "ids", V_ARRAY);
    nyro_id *ids = arena_get(&r->arena, given->count * sizeof *ids);
    size_t *ends = arena_get(&r->arena, given->count * sizeof *ends);
    buffer *kept = arena_get(&r->arena, given->count * sizeof *kept);
    for (size_t i = 0; i < given->count; i++) ids[i] = id_of(&given->items[i], &kept[i]);
    uint8_t *documents;
    size_t bytes;
    outcome o = {.code = nyro_get_many(c, ids, given->count, &documents, &bytes, ends, NULL)};
    if (o.code == 0) {
        value *all = array_of(r, given->count);
        size_t start = 0;
        for (size_t i = 0; i < given->count; i++) {
            if (ends[i] < start || ends[i] > bytes) fail(r, step, "ends are not in order");
            if (ends[i] > start) all->items[i] = *unpacked(r, step, documents + start, ends[i] - start);
            start = ends[i];
        }
        o.result = all;
        nyro_free(documents);
    }
    for (size_t i = 0; i < given->count; i++) buffer_free(&kept[i]);
    return o;
}

static outcome run_contains(run *r, const value *step, nyro_collection c) {
    buffer kept = {0};
    uint32_t found;
    const value *id = value_field(step, "id");
    if (id == NULL) fail(r, step, "id");
    outcome o = {.code = nyro_contains(c, id_of(id, &kept), &found, NULL)};
    o.result = value_of_bool(&r->arena, found != 0);
    buffer_free(&kept);
    return o;
}

static outcome run_count(run *r, const value *step, nyro_collection c) {
    (void)step;
    uint64_t count;
    outcome o = {.code = nyro_count(c, &count, NULL)};
    o.result = value_of_uint(&r->arena, count);
    return o;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static outcome put_bytes(run *r, const value *step, nyro_collection c, bool insert, const uint8_t *data, size_t bytes) {
    nyro_id id;
    outcome o = {0};
    /* The library is given a block that ends where the document does, so that a sanitizer sees reads behind it. */
    uint8_t *exact = malloc(bytes > 0 ? bytes : 1);
    if (exact == NULL) die("no memory");
    if (bytes > 0) memcpy(exact, data, bytes);
    o.code = insert ? nyro_insert_one(c, exact, bytes, &id, NULL) : nyro_put(c, exact, bytes, &id, NULL);
    free(exact);
    if (o.code == 0) o.result = value_of_id(r, step, &id);
    return o;
}

static outcome put(run *r, const value *step, nyro_collection c, bool insert) {
    buffer document = {0};
    msgpack_write(&document, argument(r, step, "document", V_MAP));
    outcome o = put_bytes(r, step, c, insert, document.data, document.bytes);
    buffer_free(&document);
    return o;
}

static outcome run_put(run *r, const value *step, nyro_collection c) {
    return put(r, step, c, false);
}

static outcome run_insert_one(run *r, const value *step, nyro_collection c) {
    return put(r, step, c, true);
}

static outcome run_put_raw(run *r, const value *step, nyro_collection c) {
    const value *bytes = value_from_hex(&r->arena, argument(r, step, "hex", V_STRING));
    return put_bytes(r, step, c, false, bytes->data, bytes->bytes);
}

/* Of each failure the place and the number. */
static const value *failures_of(run *r, const value *step, const nyro_insert_result *result) {
    const value *all = unpacked(r, step, result->failures, result->failures_bytes);
    value *short_ones = array_of(r, all->count);
    for (size_t i = 0; i < all->count; i++) {
        const value *one = &all->items[i];
        if (one->kind != V_ARRAY || one->count != 3 || one->items[2].kind != V_STRING || one->items[2].bytes == 0)
            fail(r, step, "a failure is place, number and message");
        short_ones->items[i] = *one;
        short_ones->items[i].count = 2;
    }
    return short_ones;
}

static outcome run_insert_many(run *r, const value *step, nyro_collection c) {
    const value *given = argument(r, step, "documents", V_ARRAY);
    size_t *ends = arena_get(&r->arena, given->count * sizeof *ends);
    buffer documents = {0};
    for (size_t i = 0; i < given->count; i++) {
        msgpack_write(&documents, &given->items[i]);
        ends[i] = documents.bytes;
    }
    uint32_t flags = NYRO_INSERT_IDS;
    if (!flag(r, step, "ordered", true)) flags |= NYRO_INSERT_UNORDERED;
    if (flag(r, step, "atomic", false)) flags |= NYRO_INSERT_ATOMIC;
    nyro_insert_result result;
    outcome o = {0};
    o.code = nyro_insert_many(c, documents.data, documents.bytes, ends, given->count, flags, &result, NULL);
    if (o.code == 0) {
        o.result = unpacked(r, step, result.ids, result.ids_bytes);
        if (result.inserted != given->count || o.result->count != given->count) fail(r, step, "not all were inserted");
    } else if (o.code == NYRO_BULK_WRITE) {
        o.inserted = (int64_t)result.inserted;
        o.failures = failures_of(r, step, &result);
    }
    nyro_insert_result_free(&result);
    buffer_free(&documents);
    return o;
}

static outcome run_replace_one(run *r, const value *step, nyro_collection c) {
    buffer kept = {0}, document = {0};
    const value *id = value_field(step, "id");
    if (id == NULL) fail(r, step, "id");
    msgpack_write(&document, argument(r, step, "document", V_MAP));
    uint32_t replaced;
    outcome o = {.code = nyro_replace_one(c, id_of(id, &kept), document.data, document.bytes, &replaced, NULL)};
    o.result = value_of_int(&r->arena, replaced);
    buffer_free(&kept);
    buffer_free(&document);
    return o;
}

static outcome run_delete(run *r, const value *step, nyro_collection c) {
    buffer kept = {0};
    uint32_t deleted;
    const value *id = value_field(step, "id");
    if (id == NULL) fail(r, step, "id");
    outcome o = {.code = nyro_delete(c, id_of(id, &kept), &deleted, NULL)};
    o.result = value_of_bool(&r->arena, deleted != 0);
    buffer_free(&kept);
    return o;
}

/* ---- scans --------------------------------------------------------------------------------------------- */

void add(buffer *values, const value *v) {
    buffer_add(values, v, sizeof *v);
}

const value *array_from(run *r, buffer *values) {
    value *v = array_of(r, values->bytes / sizeof(value));
    if (values->bytes > 0) memcpy(v->items, values->data, values->bytes);
    buffer_free(values);
    return v;
}

/* The next documents of a scan, one by one. */
static uint32_t next_documents(run *r, const value *step, nyro_scan scan, uint64_t count, buffer *values) {
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *document;
        size_t bytes;
        uint32_t code = nyro_scan_next(scan, &document, &bytes, NULL);
        if (code != 0) return code;
        if (document == NULL) return 0;
        if (values != NULL) add(values, unpacked(r, step, document, bytes));
    }
    return 0;
}

/* All documents of a scan, in batches, into a buffer that is too small at first. */
static uint32_t rest_in_batches(run *r, const value *step, nyro_scan scan, buffer *values) {
    size_t ends[7], room = 10;
    uint8_t *place = malloc(room);
    uint32_t code = 0;
    nyro_batch batch = {0};
    while (code == 0 && place != NULL && batch.ended == 0) {
        code = nyro_scan_batch(scan, place, room, ends, 7, &batch, NULL);
        if (code != 0) break;
        size_t start = 0;
        for (size_t i = 0; i < batch.documents; start = ends[i++])
            add(values, unpacked(r, step, place + start, ends[i] - start));
        if (start != batch.bytes) fail(r, step, "the batch has other bytes than its documents");
        if (batch.needed > room) {
            room = batch.needed;
            free(place);
            place = malloc(room);
        } else if (batch.documents == 0 && batch.ended == 0) {
            fail(r, step, "a batch without documents");
        }
    }
    free(place);
    return code;
}

static outcome run_scan(run *r, const value *step, nyro_collection c) {
    nyro_scan scan;
    outcome o = {.code = nyro_scan_open(c, 0, &scan, NULL)};
    if (o.code != 0) return o;
    buffer values = {0};
    o.code = rest_in_batches(r, step, scan, &values);
    nyro_scan_close(scan, NULL);
    o.result = array_from(r, &values);
    return o;
}

static outcome run_scan_after(run *r, const value *step, nyro_collection c) {
    nyro_scan scan, second;
    uint64_t token;
    buffer values = {0};
    outcome o = {.code = nyro_scan_open(c, 0, &scan, NULL)};
    if (o.code != 0) return o;
    o.code = next_documents(r, step, scan, number(r, step, "documents_before"), NULL);
    if (o.code == 0) o.code = nyro_scan_token(scan, &token, NULL);
    if (o.code == 0) o.code = nyro_scan_open(c, token, &second, NULL);
    if (o.code == 0) {
        o.code = next_documents(r, step, second, UINT64_MAX, &values);
        nyro_scan_close(second, NULL);
    }
    nyro_scan_close(scan, NULL);
    o.result = array_from(r, &values);
    return o;
}

static outcome run_scan_open(run *r, const value *step, nyro_collection c) {
    uint64_t token = value_field(step, "after") != NULL ? scan_named(r, step, "after")->token : 0;
    named *scan = &r->scans[r->scan_count];
    if (r->scan_count == MOST_NAMES) fail(r, step, "too many scans");
    *scan = (named){.name = argument(r, step, "as", V_STRING), .token = token};
    outcome o = {.code = nyro_scan_open(c, token, &scan->handle, NULL)};
    if (o.code == 0) r->scan_count++;
    return o;
}

static outcome run_scan_next(run *r, const value *step) {
    check_arguments(r, step, " scan count ");
    named *scan = scan_named(r, step, "scan");
    buffer values = {0};
    outcome o = {.code = next_documents(r, step, scan->handle, number(r, step, "count"), &values)};
    if (o.code == 0) o.code = nyro_scan_token(scan->handle, &scan->token, NULL);
    o.result = array_from(r, &values);
    return o;
}

/* Releases once; a second time is an error of a stale number, and no harm. */
outcome release(run *r, const value *step, named *what, uint32_t (*call)(uint64_t, nyro_error *)) {
    uint32_t code = call(what->handle, NULL);
    if (what->released && code != NYRO_CLOSED) fail(r, step, "releasing twice is NYRO_CLOSED");
    outcome o = {.code = what->released ? 0 : code};
    what->released = true;
    return o;
}

static outcome run_scan_close(run *r, const value *step) {
    check_arguments(r, step, " scan ");
    return release(r, step, scan_named(r, step, "scan"), nyro_scan_close);
}

/* ---- transactions and snapshots ------------------------------------------------------------------------ */

static void run_steps(run *r, const value *steps, const char *before);

static outcome run_write(run *r, const value *step) {
    check_arguments(r, step, " steps rollback ");
    const value *steps = argument(r, step, "steps", V_ARRAY);
    nyro_transaction outer = r->transaction, transaction;
    outcome o = {.code = nyro_begin(r->db, &transaction, NULL)};
    if (o.code != 0) return o;
    char before[sizeof r->place];
    snprintf(before, sizeof before, "%.30s.", r->place);
    r->transaction = transaction;
    run_steps(r, steps, before);
    r->transaction = outer;
    if (flag(r, step, "rollback", false)) o.code = nyro_rollback(transaction, NULL);
    else o.code = nyro_commit(transaction, NULL, NULL);
    return o;
}

static outcome run_snapshot(run *r, const value *step) {
    check_arguments(r, step, " name ");
    named *snapshot = &r->snapshots[r->snapshot_count];
    if (r->snapshot_count == MOST_NAMES) fail(r, step, "too many snapshots");
    *snapshot = (named){.name = argument(r, step, "name", V_STRING)};
    outcome o = {.code = nyro_snapshot_take(r->db, &snapshot->handle, NULL)};
    if (o.code == 0) r->snapshot_count++;
    return o;
}

static outcome run_release(run *r, const value *step) {
    check_arguments(r, step, " name ");
    const value *name = argument(r, step, "name", V_STRING);
    return release(r, step, snapshot_named(r, step, name->data, name->bytes), nyro_snapshot_release);
}

/* ---- collections --------------------------------------------------------------------------------------- */

static outcome run_collection_names(run *r, const value *step) {
    check_arguments(r, step, "");
    uint8_t *names;
    size_t bytes;
    outcome o = {.code = nyro_collection_names(scope(r, step), NYRO_FORMAT_MSGPACK, &names, &bytes, NULL)};
    if (o.code == 0) o.result = value_field(unpacked(r, step, names, bytes), "items");
    nyro_free(names);
    return o;
}

static outcome run_create_collection(run *r, const value *step) {
    check_arguments(r, step, " name ");
    nyro_text name = text_of(r, step, "name");
    return (outcome){.code = nyro_create_collection(scope(r, step), name.data, name.bytes, NULL)};
}

static outcome run_rename_collection(run *r, const value *step) {
    check_arguments(r, step, " from to ");
    nyro_text from = text_of(r, step, "from"), to = text_of(r, step, "to");
    return (outcome){.code = nyro_rename_collection(scope(r, step), from.data, from.bytes, to.data, to.bytes, NULL)};
}

static outcome run_drop_collection(run *r, const value *step) {
    check_arguments(r, step, " name ");
    nyro_text name = text_of(r, step, "name");
    uint32_t dropped;
    outcome o = {.code = nyro_drop_collection(scope(r, step), name.data, name.bytes, &dropped, NULL)};
    o.result = value_of_bool(&r->arena, dropped != 0);
    return o;
}

/* ---- upkeep -------------------------------------------------------------------------------------------- */

static outcome run_sync(run *r, const value *step) {
    check_arguments(r, step, "");
    return (outcome){.code = nyro_sync(r->db, NULL)};
}

static outcome run_checkpoint(run *r, const value *step) {
    check_arguments(r, step, "");
    return (outcome){.code = nyro_checkpoint(r->db, NULL)};
}

static outcome run_compact(run *r, const value *step) {
    check_arguments(r, step, "");
    return (outcome){.code = nyro_compact(r->db, NULL, NYRO_FORMAT_MSGPACK, NULL, NULL, NULL)};
}

static outcome run_verify(run *r, const value *step) {
    check_arguments(r, step, "");
    uint8_t *report;
    size_t bytes;
    outcome o = {.code = nyro_verify(r->db, NULL, NYRO_FORMAT_MSGPACK, &report, &bytes, NULL)};
    if (o.code == 0) o.result = value_field(unpacked(r, step, report, bytes), "documents");
    nyro_free(report);
    return o;
}

static outcome run_stats(run *r, const value *step) {
    check_arguments(r, step, " field at_least ");
    uint8_t *stats;
    size_t bytes;
    outcome o = {.code = nyro_stats(r->db, NYRO_FORMAT_MSGPACK, &stats, &bytes, NULL)};
    if (o.code == 0) {
        char field[64];
        const value *name = argument(r, step, "field", V_STRING);
        snprintf(field, sizeof field, "%.*s", (int)name->bytes, (const char *)name->data);
        o.result = value_field(unpacked(r, step, stats, bytes), field);
        if (o.result == NULL || o.result->kind != V_INT || o.result->integer < number(r, step, "at_least"))
            fail(r, step, "the figure is not there or too small");
    }
    nyro_free(stats);
    return o;
}

static outcome run_backup(run *r, const value *step) {
    check_arguments(r, step, " to name since overwrite ");
    nyro_text to = text_of(r, step, "to");
    nyro_backup_options options = {.struct_bytes = sizeof options, .overwrite = flag(r, step, "overwrite", false)};
    if (value_field(step, "name") != NULL) {
        nyro_text name = text_of(r, step, "name");
        options.name = name.data;
        options.name_bytes = name.bytes;
    }
    if (value_field(step, "since") != NULL) {
        nyro_text since = text_of(r, step, "since");
        options.since = since.data;
        options.since_bytes = since.bytes;
    }
    return (outcome){
        .code = nyro_backup(r->db, to.data, to.bytes, &options, NULL, NYRO_FORMAT_MSGPACK, NULL, NULL, NULL)};
}

static outcome run_restore(run *r, const value *step) {
    check_arguments(r, step, " target backups overwrite ");
    nyro_text target = text_of(r, step, "target");
    const value *given = argument(r, step, "backups", V_ARRAY);
    nyro_text *backups = arena_get(&r->arena, given->count * sizeof *backups);
    for (size_t i = 0; i < given->count; i++)
        backups[i] = (nyro_text){(const char *)given->items[i].data, given->items[i].bytes};
    bool overwrite = flag(r, step, "overwrite", false);
    return (outcome){.code = nyro_restore(target.data, target.bytes, backups, given->count, overwrite, NULL,
                                          NYRO_FORMAT_MSGPACK, NULL, NULL, NULL)};
}

/* ---- steps --------------------------------------------------------------------------------------------- */

static const struct {
    const char *op;
    outcome (*call)(run *, const value *);
} CALLS[] = {
    {"open", run_open},
    {"open_other", run_open},
    {"close", run_close},
    {"write", run_write},
    {"snapshot", run_snapshot},
    {"release", run_release},
    {"scan_next", run_scan_next},
    {"scan_close", run_scan_close},
    {"collection_names", run_collection_names},
    {"create_collection", run_create_collection},
    {"rename_collection", run_rename_collection},
    {"drop_collection", run_drop_collection},
    {"sync", run_sync},
    {"checkpoint", run_checkpoint},
    {"compact", run_compact},
    {"verify", run_verify},
    {"stats", run_stats},
    {"backup", run_backup},
    {"restore", run_restore},
};

static const struct {
    const char *op, *arguments;
    outcome (*call)(run *, const value *, nyro_collection);
} COLLECTION_CALLS[] = {
    {"put", " collection document ", run_put},
    {"put_raw", " collection hex ", run_put_raw},
    {"insert_one", " collection document ", run_insert_one},
    {"insert_many", " collection documents ordered atomic ", run_insert_many},
    {"replace_one", " collection id document ", run_replace_one},
    {"delete", " collection id ", run_delete},
    {"get", " collection id ", run_get},
    {"get_raw", " collection id ", run_get_raw},
    {"get_many", " collection ids ", run_get_many},
    {"contains", " collection id ", run_contains},
    {"count", " collection ", run_count},
    {"scan", " collection ", run_scan},
    {"scan_after", " collection documents_before ", run_scan_after},
    {"scan_open", " collection as after ", run_scan_open},
};

static outcome run_step(run *r, const value *step) {
    const value *op = argument(r, step, "op", V_STRING);
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++)
        if (value_is_text(op, CALLS[i].op)) return CALLS[i].call(r, step);
    for (size_t i = 0; i < sizeof COLLECTION_CALLS / sizeof *COLLECTION_CALLS; i++) {
        if (!value_is_text(op, COLLECTION_CALLS[i].op)) continue;
        check_arguments(r, step, COLLECTION_CALLS[i].arguments);
        nyro_collection collection;
        uint32_t code = open_collection(r, step, &collection);
        if (code != 0) return (outcome){.code = code};
        outcome o = COLLECTION_CALLS[i].call(r, step, collection);
        if (nyro_collection_release(collection, NULL) != 0) fail(r, step, "the collection is not released");
        return o;
    }
    outcome o;
    if (!run_keyspace_step(r, step, &o)) fail(r, step, "an operation that is not known");
    return o;
}

static bool left_out(const value *step) {
    const value *languages = value_field(step, "not_in");
    for (size_t i = 0; languages != NULL && i < languages->count; i++)
        if (value_is_text(&languages->items[i], "c")) return true;
    return false;
}

static void run_steps(run *r, const value *steps, const char *before) {
    for (size_t i = 0; i < steps->count; i++) {
        const value *step = &steps->items[i];
        if (left_out(step)) continue;
        snprintf(r->place, sizeof r->place, "%.30s%zu", before, i + 1);
        outcome o = run_step(r, step);
        snprintf(r->place, sizeof r->place, "%.30s%zu", before, i + 1);
        check(r, step, &o);
        r->steps++;
    }
}

/* ---- files --------------------------------------------------------------------------------------------- */

static char *read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) die("%s: cannot be read", path);
    buffer b = {0};
    char part[4096];
    size_t count;
    while ((count = fread(part, 1, sizeof part, file)) > 0) buffer_add(&b, part, count);
    fclose(file);
    *bytes = b.bytes;
    return (char *)b.data;
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *walk) {
    (void)stat, (void)kind, (void)walk;
    return remove(path);
}

static size_t run_file(const char *path) {
    run r = {.file = path, .closed = true};
    size_t bytes;
    char *text = read_file(path, &bytes);
    const value *file = json_read(&r.arena, text, bytes, path);
    free(text);
    char start[4096], place[4096];
    const char *temporary = getenv("TMPDIR");
    snprintf(place, sizeof place, "%s/nyro-conformance-XXXXXX", temporary != NULL ? temporary : "/tmp");
    if (getcwd(start, sizeof start) == NULL || mkdtemp(place) == NULL || chdir(place) != 0)
        die("no temporary directory");
    run_steps(&r, argument(&r, file, "steps", V_ARRAY), "");
    if (!r.closed) die("%s: the scenario leaves the database open", path);
    if (chdir(start) != 0 || nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        die("the temporary directory can't be removed");
    const value *name = argument(&r, file, "name", V_STRING);
    printf("%5zu steps  %.*s\n", r.steps, (int)name->bytes, (const char *)name->data);
    arena_free(&r.arena);
    return r.steps;
}

int main(int count, char **files) {
    size_t steps = 0;
    if (count < 2) die("usage: conformance FILE...");
    for (int i = 1; i < count; i++) steps += run_file(files[i]);
    printf("conformance: %zu steps of %d scenarios are as they should be\n", steps, count - 1);
    return 0;
}
