/* Keyspaces: bad keys, values, bounds and changes; ranges that end in every way; threads. */
#include "misuse.h"

nyro_keyspace keyspace_of(nyro_scope scope, const char *name) {
    nyro_keyspace keyspace;
    OK(nyro_keyspace_open(scope, name, strlen(name), &keyspace, NULL));
    return keyspace;
}

void fill_keys(nyro_keyspace keyspace, int count) {
    for (int i = 0; i < count; i++) {
        char key[12];
        int bytes = snprintf(key, sizeof key, "%06d", i);
        OK(nyro_kv_put(keyspace, key, (size_t)bytes, key, (size_t)bytes, NULL));
    }
}

nyro_range range_of(nyro_keyspace keyspace) {
    nyro_range range;
    OK(nyro_range_open(keyspace, NULL, 0, &range, NULL));
    return range;
}

/* How many keys there are, and that they ascend. */
static int keys_of(nyro_keyspace keyspace) {
    nyro_range range = range_of(keyspace);
    const uint8_t *key, *value;
    size_t key_bytes, value_bytes;
    uint8_t before[64];
    size_t before_bytes = 0;
    int count = 0;
    for (;; count++) {
        OK(nyro_range_next(range, &key, &key_bytes, &value, &value_bytes, NULL));
        if (key == NULL) break;
        size_t common = key_bytes < before_bytes ? key_bytes : before_bytes;
        int order = memcmp(before, key, common);
        CHECK(count == 0 || order < 0 || (order == 0 && before_bytes < key_bytes));
        before_bytes = key_bytes < sizeof before ? key_bytes : sizeof before;
        memcpy(before, key, before_bytes);
    }
    OK(nyro_range_close(range, NULL));
    return count;
}

/* ---- each function once -------------------------------------------------------------------------------- */

static _Thread_local uint8_t *out;
static _Thread_local size_t out_bytes;

static uint32_t freed(uint32_t code) {
    CHECK(code == 0 || (out == NULL && out_bytes == 0));
    nyro_free(out);
    out = NULL;
    out_bytes = 0;
    return code;
}

uint32_t f_keyspace_open(uint64_t h) {
    nyro_keyspace k;
    uint32_t code = nyro_keyspace_open(h, TEXT("k"), &k, NULL);
    CHECK((code == 0) == (k != 0));
    if (code == 0) OK(nyro_keyspace_release(k, NULL));
    return code;
}
uint32_t f_keyspace_release(uint64_t h) { return nyro_keyspace_release(h, NULL); }
uint32_t f_kv_get(uint64_t h) { return freed(nyro_kv_get(h, TEXT("a"), &out, &out_bytes, NULL)); }
uint32_t f_kv_get_into(uint64_t h) {
    uint8_t buffer[8];
    size_t bytes;
    uint32_t found;
    return nyro_kv_get_into(h, TEXT("a"), buffer, sizeof buffer, &bytes, &found, NULL);
}
uint32_t f_kv_get_many(uint64_t h) {
    nyro_bytes keys[2] = {{TEXT("a")}, {TEXT("b")}};
    size_t ends[2];
    uint8_t found[2];
    return freed(nyro_kv_get_many(h, keys, 2, &out, &out_bytes, ends, found, NULL));
}
uint32_t f_kv_contains(uint64_t h) {
    uint32_t found;
    return nyro_kv_contains(h, TEXT("a"), &found, NULL);
}
uint32_t f_kv_estimated_count(uint64_t h) {
    uint64_t count;
    return nyro_kv_estimated_count(h, &count, NULL);
}
uint32_t f_kv_put(uint64_t h) { return nyro_kv_put(h, TEXT("a"), TEXT("1"), NULL); }
uint32_t f_kv_delete(uint64_t h) { return nyro_kv_delete(h, TEXT("a"), NULL); }
uint32_t f_kv_delete_range(uint64_t h) {
    const nyro_bounds bounds = nyro_between(TEXT("x"), TEXT("y"));
    return nyro_kv_delete_range(h, &bounds, NULL);
}
uint32_t f_kv_clear(uint64_t h) { return nyro_kv_clear(h, NULL); }
uint32_t f_kv_write(uint64_t h) {
    const nyro_change changes[2] = {{NYRO_CHANGE_PUT, 0, TEXT("a"), TEXT("1")}, {NYRO_CHANGE_DELETE, 0, TEXT("b"), NULL, 0}};
    return nyro_kv_write(h, changes, 2, NULL);
}
uint32_t f_range_open(uint64_t h) {
    nyro_range range;
    uint32_t code = nyro_range_open(h, NULL, 0, &range, NULL);
    CHECK((code == 0) == (range != 0));
    if (code == 0) OK(nyro_range_close(range, NULL));
    return code;
}
uint32_t f_range_next(uint64_t h) {
    const uint8_t *key, *value;
    size_t key_bytes, value_bytes;
    return nyro_range_next(h, &key, &key_bytes, &value, &value_bytes, NULL);
}
uint32_t f_range_batch(uint64_t h) {
    uint8_t buffer[64];
    size_t ends[4];
    nyro_entries entries;
    return nyro_range_batch(h, buffer, sizeof buffer, ends, 2, &entries, NULL);
}
uint32_t f_range_seek(uint64_t h) { return nyro_range_seek(h, TEXT("a"), NULL); }
uint32_t f_range_close(uint64_t h) { return nyro_range_close(h, NULL); }
uint32_t f_keyspace_names(uint64_t h) { return freed(nyro_keyspace_names(h, NYRO_FORMAT_MSGPACK, &out, &out_bytes, NULL)); }
uint32_t f_rename_keyspace(uint64_t h) {
    uint32_t code = nyro_rename_keyspace(h, TEXT("never"), TEXT("named"), NULL);
    return code == NYRO_COLLECTION_NOT_FOUND ? 0 : code;
}
uint32_t f_drop_keyspace(uint64_t h) { return nyro_drop_keyspace(h, TEXT("never"), NULL, NULL); }
uint32_t f_keyspace_stats(uint64_t h) { return freed(nyro_keyspace_stats(h, NYRO_FORMAT_JSON, &out, &out_bytes, NULL)); }

/* ---- cases --------------------------------------------------------------------------------------------- */

static void null_and_impossible_arguments_of_keyspaces(void) {
    nyro_db db = open_memory();
    nyro_keyspace k = keyspace_of(db, "k");
    nyro_keyspace other;
    fill_keys(k, 3);
    nyro_range range = range_of(k);
    const uint8_t *key, *value;
    uint8_t buffer[8], found8[1];
    size_t bytes, ends[2];
    uint32_t found;
    uint64_t count;
    nyro_entries entries;
    GIVES(101, nyro_keyspace_open(db, NULL, 1, &other, NULL));
    GIVES(101, nyro_keyspace_open(db, TEXT("k"), NULL, NULL));
    GIVES(101, nyro_keyspace_open(db, "\xff", 1, &other, NULL));
    GIVES(101, nyro_keyspace_open(db, "k", SIZE_MAX, &other, NULL));
    GIVES(101, nyro_kv_get(k, NULL, 1, &out, &out_bytes, NULL));
    GIVES(101, nyro_kv_get(k, "a", SIZE_MAX, &out, &out_bytes, NULL));
    GIVES(101, nyro_kv_get(k, TEXT("a"), NULL, &bytes, NULL));
    GIVES(101, nyro_kv_get(k, TEXT("a"), &out, NULL, NULL));
    GIVES(101, nyro_kv_get_into(k, TEXT("a"), NULL, 8, &bytes, &found, NULL));
    GIVES(101, nyro_kv_get_into(k, TEXT("a"), buffer, 8, NULL, &found, NULL));
    GIVES(101, nyro_kv_get_into(k, TEXT("a"), buffer, 8, &bytes, NULL, NULL));
    GIVES(101, nyro_kv_get_many(k, NULL, 1, &out, &out_bytes, ends, found8, NULL));
    const nyro_bytes keys[1] = {{NULL, 5}};
    GIVES(101, nyro_kv_get_many(k, keys, 1, &out, &out_bytes, ends, found8, NULL));
    GIVES(101, nyro_kv_get_many(k, keys, SIZE_MAX / 8, &out, &out_bytes, ends, found8, NULL));
    GIVES(101, nyro_kv_get_many(k, keys, 1, &out, &out_bytes, NULL, found8, NULL));
    GIVES(101, nyro_kv_get_many(k, keys, 1, &out, &out_bytes, ends, NULL, NULL));
    OK(freed(nyro_kv_get_many(k, NULL, 0, &out, &out_bytes, NULL, NULL, NULL)));
    GIVES(101, nyro_kv_contains(k, TEXT("a"), NULL, NULL));
    GIVES(101, nyro_kv_estimated_count(k, NULL, NULL));
    OK(nyro_kv_estimated_count(k, &count, NULL));
    CHECK(count == 3);
    GIVES(101, nyro_kv_put(k, NULL, 1, TEXT("v"), NULL));
    GIVES(101, nyro_kv_put(k, TEXT("a"), NULL, 1, NULL));
    GIVES(101, nyro_kv_put(k, TEXT("a"), "v", SIZE_MAX, NULL));
    GIVES(101, nyro_kv_delete(k, NULL, 1, NULL));
    GIVES(101, nyro_kv_write(k, NULL, 1, NULL));
    OK(nyro_kv_write(k, NULL, 0, NULL));
    for (uint32_t kind = 0; kind < 9; kind++) {
        if (kind >= NYRO_CHANGE_PUT && kind <= NYRO_CHANGE_CLEAR) continue;
        const nyro_change change = {.kind = kind, .key = "a", .key_bytes = 1};
        GIVES(101, nyro_kv_write(k, &change, 1, NULL));
    }
    const nyro_change reserved = {.kind = NYRO_CHANGE_CLEAR, .reserved = 1}, null = {.kind = NYRO_CHANGE_DELETE, .key_bytes = 1};
    GIVES(101, nyro_kv_write(k, &reserved, 1, NULL));
    GIVES(101, nyro_kv_write(k, &null, 1, NULL));
    GIVES(101, nyro_range_open(k, NULL, 2, &range, NULL));
    range = range_of(k);
    GIVES(101, nyro_range_next(range, NULL, &bytes, &value, &bytes, NULL));
    GIVES(101, nyro_range_next(range, &key, NULL, &value, &bytes, NULL));
    GIVES(101, nyro_range_next(range, &key, &bytes, NULL, &bytes, NULL));
    GIVES(101, nyro_range_next(range, &key, &bytes, &value, NULL, NULL));
    GIVES(101, nyro_range_batch(range, buffer, 8, ends, 0, &entries, NULL));
    GIVES(101, nyro_range_batch(range, buffer, 8, ends, SIZE_MAX, &entries, NULL));
    GIVES(101, nyro_range_batch(range, NULL, 8, ends, 1, &entries, NULL));
    GIVES(101, nyro_range_batch(range, buffer, 8, NULL, 1, &entries, NULL));
    GIVES(101, nyro_range_batch(range, buffer, 8, ends, 1, NULL, NULL));
    GIVES(101, nyro_range_seek(range, NULL, 1, NULL));
    GIVES(101, nyro_keyspace_names(db, NYRO_FORMAT_JSON, NULL, &bytes, NULL));
    GIVES(101, nyro_keyspace_names(db, 9, &out, &out_bytes, NULL));
    GIVES(101, nyro_keyspace_stats(db, 9, &out, &out_bytes, NULL));
    CHECK(keys_of(k) == 3);
    OK(nyro_range_close(range, NULL));
    OK(nyro_keyspace_release(k, NULL));
    close_db(db);
}

static void bounds_of_every_kind(void) {
    nyro_db db = open_memory();
    nyro_keyspace k = keyspace_of(db, "k");
    fill_keys(k, 10);
    for (uint32_t start = 0; start < 6; start++) {
        for (uint32_t end = 0; end < 6; end++) {
            const nyro_bounds bounds = {start, end, "000003", 6, "000005", 6};
            nyro_range range;
            bool good = (start <= 2 && end <= 2) || (start == NYRO_BOUND_PREFIX && end == 0);
            GIVES(good ? 0 : 101, nyro_range_open(k, &bounds, 0, &range, NULL));
            if (!good) GIVES(101, nyro_kv_delete_range(k, &bounds, NULL));
            else OK(nyro_range_close(range, NULL));
        }
    }
    const nyro_bounds bad[] = {
        {NYRO_BOUND_INCLUDED, 0, NULL, 1, NULL, 0},
        {0, NYRO_BOUND_EXCLUDED, NULL, 0, NULL, 1},
        {NYRO_BOUND_PREFIX, 0, NULL, 1, NULL, 0},
        {NYRO_BOUND_INCLUDED, 0, "a", SIZE_MAX, NULL, 0},
        {NYRO_BOUND_EXCLUDED, NYRO_BOUND_INCLUDED, "b", 1, "a", 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        nyro_range range;
        GIVES(101, nyro_range_open(k, &bad[i], 0, &range, NULL));
        CHECK(range == 0);
        GIVES(101, nyro_kv_delete_range(k, &bad[i], NULL));
    }
    CHECK(keys_of(k) == 10);
    OK(nyro_keyspace_release(k, NULL));
    close_db(db);
}

static void lengths_at_their_limits(void) {
    nyro_options options;
    OK(nyro_options_init(&options, sizeof options, NULL));
    options.max_document_bytes = 200000;
    nyro_db db;
    OK(nyro_open(TEXT(":memory:"), &options, &db, NULL));
    nyro_keyspace k = keyspace_of(db, "k");
    uint8_t *bytes = calloc(200001, 1);
    CHECK(bytes != NULL);
    size_t size;
    uint32_t found;
    OK(nyro_kv_put(k, bytes, 65535, bytes, 200000, NULL));
    GIVES(NYRO_KEY_TOO_LARGE, nyro_kv_put(k, bytes, 65536, bytes, 0, NULL));
    GIVES(NYRO_VALUE_TOO_LARGE, nyro_kv_put(k, bytes, 1, bytes, 200001, NULL));
    OK(nyro_kv_put(k, NULL, 0, NULL, 0, NULL));
    OK(nyro_kv_get_into(k, NULL, 0, NULL, 0, &size, &found, NULL));
    CHECK(size == 0 && found == 1);
    OK(nyro_kv_get_into(k, bytes, 65535, NULL, 0, &size, &found, NULL));
    CHECK(size == 200000 && found == 1);
    nyro_range range = range_of(k);
    uint8_t place[16];
    size_t ends[8];
    nyro_entries entries;
    OK(nyro_range_batch(range, place, sizeof place, ends, 4, &entries, NULL));
    CHECK(entries.entries == 1 && entries.bytes == 0 && entries.needed == 0 && ends[0] == 0 && ends[1] == 0);
    OK(nyro_range_batch(range, place, sizeof place, ends, 4, &entries, NULL));
    CHECK(entries.entries == 0 && entries.needed == 265535 && entries.ended == 0);
    OK(nyro_checkpoint(db, NULL));
    OK(nyro_kv_get_into(k, bytes, 65535, bytes, 200000, &size, &found, NULL));
    CHECK(size == 200000 && found == 1);
    OK(nyro_range_close(range, NULL));
    OK(nyro_keyspace_release(k, NULL));
    free(bytes);
    close_db(db);
}

/* A range lends the last entry until its next call, whatever happens to keyspace, snapshot and key. */
static void what_a_range_lent_stays(void) {
    nyro_db db = open_memory();
    nyro_keyspace k = keyspace_of(db, "k");
    fill_keys(k, 2000);
    nyro_range range = range_of(k);
    const uint8_t *key, *value;
    size_t key_bytes, value_bytes;
    OK(nyro_range_next(range, &key, &key_bytes, &value, &value_bytes, NULL));
    OK(nyro_kv_clear(k, NULL));
    OK(nyro_checkpoint(db, NULL));
    OK(nyro_keyspace_release(k, NULL));
    CHECK(key_bytes == 6 && memcmp(key, "000000", 6) == 0 && value_bytes == 6 && memcmp(value, "000000", 6) == 0);
    for (int i = 1; i < 2000; i++) {
        OK(nyro_range_next(range, &key, &key_bytes, &value, &value_bytes, NULL));
        CHECK(key != NULL && key_bytes == 6 && memcmp(key, value, 6) == 0);
    }
    for (int i = 0; i < 3; i++) {
        OK(nyro_range_next(range, &key, &key_bytes, &value, &value_bytes, NULL));
        CHECK(key == NULL && key_bytes == 0 && value == NULL && value_bytes == 0);
    }
    close_db(db);
    GIVES(103, nyro_range_seek(range, TEXT("0"), NULL));
    OK(nyro_range_close(range, NULL));
    GIVES(103, nyro_range_close(range, NULL));
}

static void ranges_and_keyspaces_of_transactions_end_with_them(void) {
    nyro_db db = open_memory();
    for (int commit = 0; commit < 2; commit++) {
        nyro_transaction tx;
        OK(nyro_begin(db, &tx, NULL));
        nyro_keyspace k = keyspace_of(tx, "k");
        fill_keys(k, 5);
        nyro_range range = range_of(k);
        OK(f_range_next(range));
        GIVES(101, f_kv_estimated_count(k));
        CHECK(keys_of(k) == 5);
        if (commit) OK(nyro_commit(tx, NULL, NULL));
        else OK(nyro_rollback(tx, NULL));
        GIVES(103, f_kv_get(k));
        GIVES(103, f_kv_put(k));
        GIVES(103, f_range_next(range));
        GIVES(103, f_range_seek(range));
        GIVES(103, nyro_keyspace_release(k, NULL));
        OK(nyro_range_close(range, NULL));
        nyro_keyspace live = keyspace_of(db, "k");
        CHECK(keys_of(live) == (commit ? 5 : 0));
        OK(nyro_keyspace_release(live, NULL));
    }
    close_db(db);
}

typedef struct shared {
    nyro_db db;
    nyro_keyspace keyspace;
    nyro_range range, of_transaction;
} shared;

static void *from_elsewhere(void *given) {
    shared *s = given;
    GIVES(NYRO_WRONG_THREAD, f_range_next(s->of_transaction));
    GIVES(NYRO_WRONG_THREAD, f_range_seek(s->of_transaction));
    return NULL;
}

static void *next_all(void *given) {
    shared *s = given;
    for (;;) {
        uint8_t buffer[64];
        size_t ends[8];
        nyro_entries entries;
        OK(nyro_range_batch(s->range, buffer, sizeof buffer, ends, 4, &entries, NULL));
        if (entries.ended) return NULL;
    }
}

static void *put_and_read(void *given) {
    shared *s = given;
    nyro_keyspace k = keyspace_of(s->db, "k");
    for (int i = 0; i < times(200); i++) {
        OK(f_kv_write(k));
        OK(f_kv_get(k));
        CHECK(keys_of(k) >= 100);
    }
    OK(nyro_keyspace_release(k, NULL));
    return NULL;
}

static void ranges_among_threads(void) {
    nyro_db db = open_memory();
    shared s = {.db = db, .keyspace = keyspace_of(db, "k")};
    fill_keys(s.keyspace, 100);
    nyro_transaction tx;
    OK(nyro_begin(db, &tx, NULL));
    nyro_keyspace within = keyspace_of(tx, "k");
    s.of_transaction = range_of(within);
    join(start(from_elsewhere, &s));
    OK(f_range_next(s.of_transaction));
    OK(nyro_rollback(tx, NULL));
    OK(nyro_range_close(s.of_transaction, NULL));
    s.range = range_of(s.keyspace);
    pthread_t threads[6];
    for (int i = 0; i < 6; i++) threads[i] = start(i < 3 ? next_all : put_and_read, &s);
    for (int i = 0; i < 6; i++) join(threads[i]);
    OK(nyro_range_close(s.range, NULL));
    OK(nyro_verify(db, NULL, 0, NULL, NULL, NULL));
    OK(nyro_keyspace_release(s.keyspace, NULL));
    close_db(db);
}

static void names_of_the_other_kind(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    fill(c, 3);
    nyro_keyspace k = keyspace_of(db, "c");
    GIVES(NYRO_OTHER_KIND, f_kv_get(k));
    GIVES(NYRO_OTHER_KIND, f_kv_put(k));
    GIVES(NYRO_OTHER_KIND, f_range_open(k));
    GIVES(NYRO_OTHER_KIND, f_kv_clear(k));
    GIVES(NYRO_OTHER_KIND, nyro_drop_keyspace(db, TEXT("c"), NULL, NULL));
    CHECK(count_of(c) == 3);
    OK(nyro_keyspace_release(k, NULL));
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

const test_case KEYSPACE_CASES[] = {
    {"null_and_impossible_arguments_of_keyspaces", null_and_impossible_arguments_of_keyspaces},
    {"bounds_of_every_kind", bounds_of_every_kind},
    {"lengths_at_their_limits", lengths_at_their_limits},
    {"what_a_range_lent_stays", what_a_range_lent_stays},
    {"ranges_and_keyspaces_of_transactions_end_with_them", ranges_and_keyspaces_of_transactions_end_with_them},
    {"ranges_among_threads", ranges_among_threads},
    {"names_of_the_other_kind", names_of_the_other_kind},
    {NULL, NULL},
};
