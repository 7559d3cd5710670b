/* Steps about keyspaces. Where there are several C functions for one thing, all are called and must agree. */
#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A key or value: a string stands for its bytes. */
static const value *bytes_of(run *r, const value *step, const value *v, const char *what) {
    if (v == NULL || (v->kind != V_STRING && v->kind != V_BYTES)) fail(r, step, what);
    return v;
}

static const value *key_of(run *r, const value *step, const char *name) {
    return bytes_of(r, step, value_field(step, name), name);
}

const value *with_bytes(run *r, const value *v) {
    if (v->kind == V_STRING) return value_of_bytes(&r->arena, V_BYTES, v->data, v->bytes);
    if (v->kind != V_ARRAY) return v;
    value *array = array_of(r, v->count);
    for (size_t i = 0; i < v->count; i++) array->items[i] = *with_bytes(r, &v->items[i]);
    return array;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* The other ways to read a value. */
static void check_other_ways(run *r, const value *step, nyro_keyspace k, const value *key, const uint8_t *data, size_t bytes) {
    uint32_t found = 2;
    size_t size = 1;
    if (nyro_kv_contains(k, key->data, key->bytes, &found, NULL) != 0 || found != (data != NULL))
        fail(r, step, "nyro_kv_contains");
    uint8_t *place = arena_get(&r->arena, bytes + 1);
    if (nyro_kv_get_into(k, key->data, key->bytes, NULL, 0, &size, &found, NULL) != 0 || size != bytes || found != (data != NULL))
        fail(r, step, "nyro_kv_get_into gives another size");
    if (nyro_kv_get_into(k, key->data, key->bytes, place, bytes, &size, &found, NULL) != 0 || size != bytes)
        fail(r, step, "nyro_kv_get_into");
    if (bytes > 0 && memcmp(place, data, bytes) != 0) fail(r, step, "nyro_kv_get_into gives other bytes");
}

static outcome kv_get(run *r, const value *step, nyro_keyspace k) {
    const value *key = key_of(r, step, "key");
    uint8_t *data;
    size_t bytes;
    outcome o = {.code = nyro_kv_get(k, key->data, key->bytes, &data, &bytes, NULL)};
    if (o.code != 0) return o;
    check_other_ways(r, step, k, key, data, bytes);
    o.result = data != NULL ? value_of_bytes(&r->arena, V_BYTES, data, bytes) : value_new(&r->arena, V_NULL);
    nyro_free(data);
    return o;
}

static outcome kv_get_many(run *r, const value *step, nyro_keyspace k) {
    const value *given = argument(r, step, "keys", V_ARRAY);
    nyro_bytes *keys = arena_get(&r->arena, given->count * sizeof *keys);
    size_t *ends = arena_get(&r->arena, given->count * sizeof *ends);
    uint8_t *found = arena_get(&r->arena, given->count), *data;
    for (size_t i = 0; i < given->count; i++) {
        const value *key = bytes_of(r, step, &given->items[i], "keys");
        keys[i] = (nyro_bytes){key->data, key->bytes};
    }
    size_t bytes;
    outcome o = {.code = nyro_kv_get_many(k, keys, given->count, &data, &bytes, ends, found, NULL)};
    if (o.code != 0) return o;
    value *values = array_of(r, given->count);
    size_t start = 0;
    for (size_t i = 0; i < given->count; start = ends[i++])
        values->items[i] = found[i] ? *value_of_bytes(&r->arena, V_BYTES, data + start, ends[i] - start)
                                    : *value_new(&r->arena, V_NULL);
    if (start != bytes) fail(r, step, "the values have other bytes than they all");
    o.result = values;
    nyro_free(data);
    return o;
}

static outcome kv_contains(run *r, const value *step, nyro_keyspace k) {
    const value *key = key_of(r, step, "key");
    uint32_t found;
    outcome o = {.code = nyro_kv_contains(k, key->data, key->bytes, &found, NULL)};
    o.result = value_of_bool(&r->arena, found != 0);
    return o;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static outcome kv_put(run *r, const value *step, nyro_keyspace k) {
    const value *key = key_of(r, step, "key"), *value = key_of(r, step, "value");
    return (outcome){.code = nyro_kv_put(k, key->data, key->bytes, value->data, value->bytes, NULL)};
}

static outcome kv_delete(run *r, const value *step, nyro_keyspace k) {
    const value *key = key_of(r, step, "key");
    return (outcome){.code = nyro_kv_delete(k, key->data, key->bytes, NULL)};
}

static nyro_bounds bounds_of(run *r, const value *step) {
    static const struct {
        const char *name;
        bool is_start;
        uint32_t kind;
    } BOUNDS[] = {
        {"gte", true, NYRO_BOUND_INCLUDED}, {"gt", true, NYRO_BOUND_EXCLUDED}, {"prefix", true, NYRO_BOUND_PREFIX},
        {"lte", false, NYRO_BOUND_INCLUDED}, {"lt", false, NYRO_BOUND_EXCLUDED},
    };
    nyro_bounds bounds = {0};
    for (size_t i = 0; i < sizeof BOUNDS / sizeof *BOUNDS; i++) {
        if (value_field(step, BOUNDS[i].name) == NULL) continue;
        const value *key = key_of(r, step, BOUNDS[i].name);
        if (BOUNDS[i].is_start) {
            bounds.start_kind = BOUNDS[i].kind;
            bounds.start = key->data;
            bounds.start_bytes = key->bytes;
        } else {
            bounds.end_kind = BOUNDS[i].kind;
            bounds.end = key->data;
            bounds.end_bytes = key->bytes;
        }
    }
    return bounds;
}

static outcome kv_delete_range(run *r, const value *step, nyro_keyspace k) {
    nyro_bounds bounds = bounds_of(r, step);
    return (outcome){.code = nyro_kv_delete_range(k, &bounds, NULL)};
}

static outcome kv_clear(run *r, const value *step, nyro_keyspace k) {
    (void)r, (void)step;
    return (outcome){.code = nyro_kv_clear(k, NULL)};
}

static outcome kv_write(run *r, const value *step, nyro_keyspace k) {
    const value *given = argument(r, step, "changes", V_ARRAY);
    nyro_change *changes = arena_get(&r->arena, given->count * sizeof *changes);
    for (size_t i = 0; i < given->count; i++) {
        const value *change = &given->items[i], *key = &change->items[1], *other = &change->items[2];
        nyro_change *c = &changes[i];
        memset(c, 0, sizeof *c);
        if (value_is_text(&change->items[0], "put")) c->kind = NYRO_CHANGE_PUT;
        else if (value_is_text(&change->items[0], "delete")) c->kind = NYRO_CHANGE_DELETE;
        else if (value_is_text(&change->items[0], "delete_range")) c->kind = NYRO_CHANGE_DELETE_RANGE;
        else if (value_is_text(&change->items[0], "clear")) c->kind = NYRO_CHANGE_CLEAR;
        else fail(r, step, "a change that is not known");
        if (c->kind != NYRO_CHANGE_CLEAR) {
            c->key = bytes_of(r, step, key, "changes")->data;
            c->key_bytes = key->bytes;
        }
        if (change->count > 2 && other->kind != V_NULL) {
            c->value = bytes_of(r, step, other, "changes")->data;
            c->value_bytes = other->bytes;
        }
    }
    return (outcome){.code = nyro_kv_write(k, changes, given->count, NULL)};
}

/* ---- ranges -------------------------------------------------------------------------------------------- */

static const value *pair(run *r, const uint8_t *key, size_t key_bytes, const uint8_t *data, size_t bytes) {
    value *pair = array_of(r, 2);
    pair->items[0] = *value_of_bytes(&r->arena, V_BYTES, key, key_bytes);
    pair->items[1] = *value_of_bytes(&r->arena, V_BYTES, data, bytes);
    return pair;
}

static uint32_t next_entries(run *r, nyro_range range, uint64_t count, buffer *values) {
    const uint8_t *key, *data;
    size_t key_bytes, bytes;
    for (; count > 0; count--) {
        uint32_t code = nyro_range_next(range, &key, &key_bytes, &data, &bytes, NULL);
        if (code != 0) return code;
        if (key == NULL) break;
        add(values, pair(r, key, key_bytes, data, bytes));
    }
    return 0;
}

/* All entries, in batches, into a buffer that is too small at first. */
static uint32_t rest_in_batches(run *r, const value *step, nyro_range range, buffer *values) {
    size_t ends[2 * 3], room = 3;
    uint8_t *place = malloc(room);
    uint32_t code = 0;
    nyro_entries batch = {0};
    while (code == 0 && place != NULL && batch.ended == 0) {
        code = nyro_range_batch(range, place, room, ends, 3, &batch, NULL);
        if (code != 0) break;
        size_t start = 0;
        for (size_t i = 0; i < batch.entries; start = ends[2 * i++ + 1])
            add(values, pair(r, place + start, ends[2 * i] - start, place + ends[2 * i], ends[2 * i + 1] - ends[2 * i]));
        if (start != batch.bytes) fail(r, step, "the batch has other bytes than its entries");
        if (batch.needed > room) {
            room = batch.needed;
            free(place);
            place = malloc(room);
        } else if (batch.entries == 0 && batch.ended == 0) {
            fail(r, step, "a batch without entries");
        }
    }
    free(place);
    return code;
}

static uint32_t open_range(run *r, const value *step, nyro_keyspace k, nyro_range *range) {
    nyro_bounds bounds = bounds_of(r, step);
    return nyro_range_open(k, &bounds, flag(r, step, "backward", false) ? NYRO_RANGE_BACKWARD : 0, range, NULL);
}

static outcome kv_range(run *r, const value *step, nyro_keyspace k) {
    uint64_t limit = value_field(step, "limit") != NULL ? number(r, step, "limit") : UINT64_MAX;
    for (int way = 0;; way++) {
        nyro_range range;
        buffer values = {0};
        outcome o = {.code = open_range(r, step, k, &range)};
        if (o.code != 0) return o;
        bool in_batches = way == 0 && limit == UINT64_MAX;
        o.code = in_batches ? rest_in_batches(r, step, range, &values) : next_entries(r, range, limit, &values);
        if (nyro_range_close(range, NULL) != 0) fail(r, step, "the range is not closed");
        const value *result = value_field(step, "result");
        o.result = array_from(r, &values);
        if (way == 1 || o.code != 0 || result == NULL || !value_equal(with_bytes(r, result), o.result)) return o;
    }
}

static outcome kv_range_open(run *r, const value *step, nyro_keyspace k) {
    named *range = &r->ranges[r->range_count];
    if (r->range_count == MOST_NAMES) fail(r, step, "too many ranges");
    *range = (named){.name = argument(r, step, "as", V_STRING)};
    outcome o = {.code = open_range(r, step, k, &range->handle)};
    if (o.code == 0) r->range_count++;
    return o;
}

static named *range_named(run *r, const value *step) {
    const value *name = argument(r, step, "range", V_STRING);
    named *found = find(r->ranges, r->range_count, name->data, name->bytes);
    if (found == NULL) fail(r, step, "no such range");
    return found;
}

static outcome kv_range_next(run *r, const value *step) {
    buffer values = {0};
    outcome o = {.code = next_entries(r, range_named(r, step)->handle, number(r, step, "count"), &values)};
    o.result = array_from(r, &values);
    return o;
}

static outcome kv_range_seek(run *r, const value *step) {
    const value *key = key_of(r, step, "key");
    return (outcome){.code = nyro_range_seek(range_named(r, step)->handle, key->data, key->bytes, NULL)};
}

static outcome kv_range_close(run *r, const value *step) {
    return release(r, step, range_named(r, step), nyro_range_close);
}

/* ---- names --------------------------------------------------------------------------------------------- */

static outcome keyspace_names(run *r, const value *step) {
    uint8_t *names;
    size_t bytes;
    outcome o = {.code = nyro_keyspace_names(scope(r, step), NYRO_FORMAT_MSGPACK, &names, &bytes, NULL)};
    if (o.code == 0) o.result = value_field(unpacked(r, step, names, bytes), "items");
    nyro_free(names);
    return o;
}

static outcome rename_keyspace(run *r, const value *step) {
    nyro_text from = text_of(r, step, "from"), to = text_of(r, step, "to");
    return (outcome){.code = nyro_rename_keyspace(scope(r, step), from.data, from.bytes, to.data, to.bytes, NULL)};
}

static outcome drop_keyspace(run *r, const value *step) {
    nyro_text name = text_of(r, step, "name");
    uint32_t dropped;
    outcome o = {.code = nyro_drop_keyspace(scope(r, step), name.data, name.bytes, &dropped, NULL)};
    o.result = value_of_bool(&r->arena, dropped != 0);
    return o;
}

/* ---- steps --------------------------------------------------------------------------------------------- */

static const struct {
    const char *op, *arguments;
    outcome (*call)(run *, const value *);
    bool is_bytes;
} CALLS[] = {
    {"kv_range_next", " range count ", kv_range_next, true},
    {"kv_range_seek", " range key ", kv_range_seek, true},
    {"kv_range_close", " range ", kv_range_close, true},
    {"keyspace_names", "", keyspace_names, false},
    {"rename_keyspace", " from to ", rename_keyspace, false},
    {"drop_keyspace", " name ", drop_keyspace, false},
};

static const struct {
    const char *op, *arguments;
    outcome (*call)(run *, const value *, nyro_keyspace);
} KEYSPACE_CALLS[] = {
    {"kv_get", " keyspace key ", kv_get},
    {"kv_get_many", " keyspace keys ", kv_get_many},
    {"kv_contains", " keyspace key ", kv_contains},
    {"kv_put", " keyspace key value ", kv_put},
    {"kv_delete", " keyspace key ", kv_delete},
    {"kv_delete_range", " keyspace gt gte lt lte prefix ", kv_delete_range},
    {"kv_clear", " keyspace ", kv_clear},
    {"kv_write", " keyspace changes ", kv_write},
    {"kv_range", " keyspace gt gte lt lte prefix backward limit ", kv_range},
    {"kv_range_open", " keyspace as gt gte lt lte prefix backward ", kv_range_open},
};

bool run_keyspace_step(run *r, const value *step, outcome *o) {
    const value *op = argument(r, step, "op", V_STRING);
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) {
        if (!value_is_text(op, CALLS[i].op)) continue;
        check_arguments(r, step, CALLS[i].arguments);
        *o = CALLS[i].call(r, step);
        o->is_bytes = CALLS[i].is_bytes;
        return true;
    }
    for (size_t i = 0; i < sizeof KEYSPACE_CALLS / sizeof *KEYSPACE_CALLS; i++) {
        if (!value_is_text(op, KEYSPACE_CALLS[i].op)) continue;
        check_arguments(r, step, KEYSPACE_CALLS[i].arguments);
        const value *name = argument(r, step, "keyspace", V_STRING);
        nyro_keyspace keyspace;
        *o = (outcome){.code = nyro_keyspace_open(scope(r, step), (const char *)name->data, name->bytes, &keyspace, NULL)};
        if (o->code != 0) return true;
        *o = KEYSPACE_CALLS[i].call(r, step, keyspace);
        o->is_bytes = true;
        if (nyro_keyspace_release(keyspace, NULL) != 0) fail(r, step, "the keyspace is not released");
        return true;
    }
    return false;
}
