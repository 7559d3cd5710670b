/* Handles: used after release, of the wrong kind, made up, released in every order, by the ten thousand. */
#include "misuse.h"

/* One handle of each kind, and what they belong to. */
typedef struct handles {
    nyro_db db;
    nyro_snapshot snapshot;
    nyro_collection collection, frozen;
    nyro_scan scan;
    nyro_cancel cancel;
    nyro_keyspace keyspace, frozen_keys;
    nyro_range range;
} handles;

static handles open_all(void) {
    handles h = {.db = open_memory()};
    h.collection = collection_of(h.db, "c");
    fill(h.collection, 100);
    h.snapshot = snapshot_of(h.db);
    h.frozen = collection_of(h.snapshot, "c");
    h.scan = scan_of(h.collection);
    OK(nyro_cancel_new(&h.cancel, NULL));
    h.keyspace = keyspace_of(h.db, "k");
    fill_keys(h.keyspace, 20);
    h.frozen_keys = keyspace_of(h.snapshot, "k");
    h.range = range_of(h.keyspace);
    return h;
}

static void release_keys(handles h) {
    OK(nyro_range_close(h.range, NULL));
    OK(nyro_keyspace_release(h.frozen_keys, NULL));
    OK(nyro_keyspace_release(h.keyspace, NULL));
}

static void release_all(handles h) {
    release_keys(h);
    OK(nyro_cancel_release(h.cancel, NULL));
    OK(nyro_scan_close(h.scan, NULL));
    OK(nyro_collection_release(h.frozen, NULL));
    OK(nyro_collection_release(h.collection, NULL));
    OK(nyro_snapshot_release(h.snapshot, NULL));
}

static void zero_and_made_up_handles(void) {
    handles h = open_all();
    uint64_t made_up = 88172645463325252u;
    for (const function *f = FUNCTIONS; f->name != NULL; f++) {
        GIVES(103, f->call(0));
        GIVES(103, f->call(UINT64_MAX));
        GIVES(103, f->call(1));
        GIVES(103, f->call(INT64_MAX));
        for (int i = 0; i < times(20000); i++) {
            made_up ^= made_up << 13;
            made_up ^= made_up >> 7;
            made_up ^= made_up << 17;
            GIVES(103, f->call(made_up | (uint64_t)1 << 63));
        }
        /* Near the real ones: another generation, another kind, another slot. */
        uint64_t real[] = {h.db, h.snapshot, h.collection, h.scan, h.cancel, h.keyspace, h.range};
        for (size_t i = 0; i < sizeof real / sizeof *real; i++) {
            GIVES(103, f->call(real[i] ^ (uint64_t)1 << 33));
            GIVES(103, f->call(real[i] ^ (uint64_t)1 << 63));
            GIVES(103, f->call(real[i] ^ (uint64_t)15 << 28));
            GIVES(103, f->call(real[i] ^ (uint64_t)1 << 27));
            GIVES(103, f->call(real[i] & UINT32_MAX));
        }
    }
    CHECK(count_of(h.collection) == 100);
    release_all(h);
    close_db(h.db);
}

/* Every function is given handles of every kind that it does not take: an error, and the handle stays good. */
static void handles_of_the_wrong_kind(void) {
    handles h = open_all();
    nyro_transaction tx;
    OK(nyro_begin(h.db, &tx, NULL));
    const struct {
        kind kind;
        uint64_t handle;
    } all[] = {{DATABASE, h.db}, {SNAPSHOT, h.snapshot}, {COLLECTION, h.collection}, {TRANSACTION, tx}, {SCAN, h.scan}, {CANCEL, h.cancel},
             {KEYSPACE, h.keyspace}, {RANGE, h.range}};
    for (const function *f = FUNCTIONS; f->name != NULL; f++)
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            if ((f->kinds & all[i].kind) == 0) GIVES(101, f->call(all[i].handle));
    nyro_control control = {.struct_bytes = sizeof control};
    OK(nyro_rollback(tx, NULL));
    for (size_t i = 0; i < 5; i++) {
        control.cancel = all[i].handle;
        GIVES(i == 3 ? 103 : 101, nyro_verify(h.db, &control, 0, NULL, NULL, NULL));
    }
    CHECK(count_of(h.collection) == 100 && count_of(h.frozen) == 100);
    release_all(h);
    close_db(h.db);
}

/* Every function that takes a released handle, each kind. */
static void use_after_release(void) {
    handles h = open_all();
    nyro_transaction tx;
    OK(nyro_begin(h.db, &tx, NULL));
    OK(nyro_commit(tx, NULL, NULL));
    release_all(h);
    close_db(h.db);
    const uint64_t all[] = {h.db, h.snapshot, h.collection, h.frozen, tx, h.scan, h.cancel, h.keyspace, h.frozen_keys, h.range};
    for (int round = 0; round < 2; round++) {
        for (const function *f = FUNCTIONS; f->name != NULL; f++)
            for (size_t i = 0; i < sizeof all / sizeof *all; i++) GIVES(103, f->call(all[i]));
        /* Their places are taken by others: still stale. */
        if (round == 0) {
            handles other = open_all();
            for (const function *f = FUNCTIONS; f->name != NULL; f++)
                for (size_t i = 0; i < sizeof all / sizeof *all; i++) GIVES(103, f->call(all[i]));
            CHECK(count_of(other.collection) == 100);
            release_all(other);
            close_db(other.db);
        }
    }
}

/* Handles that are not released themselves, of a database that was closed. */
static void use_after_close(void) {
    handles h = open_all();
    nyro_scan of_snapshot = scan_of(h.frozen);
    close_db(h.db);
    const struct {
        kind kind;
        uint64_t handle;
    } all[] = {{DATABASE, h.db}, {SNAPSHOT, h.snapshot}, {COLLECTION, h.collection}, {COLLECTION, h.frozen}, {SCAN, h.scan}, {SCAN, of_snapshot},
             {KEYSPACE, h.keyspace}, {KEYSPACE, h.frozen_keys}, {RANGE, h.range}};
    for (const function *f = FUNCTIONS; f->name != NULL; f++) {
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            if ((f->kinds & all[i].kind) == 0 || f->survives) continue;
            uint32_t code = f->call(all[i].handle);
            /* Writing to a snapshot, and lending from what is no snapshot, are wrong in another way, too; a scan of a
             * snapshot says it with its first document. */
            bool frozen = all[i].handle == h.frozen || all[i].handle == h.frozen_keys;
            bool other = code == NYRO_READ_ONLY ? frozen
                         : code == 0            ? frozen && strcmp(f->name, "nyro_scan_open") == 0
                                                : code == NYRO_INVALID_ARGUMENT && strstr(f->name, "borrowed") != NULL;
            if (code != NYRO_CLOSED && !other) printf("%s of handle %zu: ", f->name, i);
            if (!other) GIVES(103, code);
        }
    }
    nyro_scan late = scan_of(h.frozen);
    const uint8_t *document;
    size_t bytes;
    GIVES(103, nyro_scan_next(late, &document, &bytes, NULL));
    OK(nyro_scan_close(late, NULL));
    OK(nyro_scan_close(of_snapshot, NULL));
    release_all(h);
}

static void releasing_twice(void) {
    handles h = open_all();
    release_all(h);
    for (int i = 0; i < 3; i++) {
        GIVES(103, nyro_cancel_release(h.cancel, NULL));
        GIVES(103, nyro_scan_close(h.scan, NULL));
        GIVES(103, nyro_collection_release(h.frozen, NULL));
        GIVES(103, nyro_collection_release(h.collection, NULL));
        GIVES(103, nyro_snapshot_release(h.snapshot, NULL));
    }
    close_db(h.db);
    GIVES(103, nyro_close(h.db, NULL));
    GIVES(103, nyro_close(h.db, NULL));
    GIVES(103, nyro_db_release(h.db, NULL));
    h = open_all();
    GIVES(101, nyro_db_release(h.scan, NULL));
    release_all(h);
    OK(nyro_db_release(h.db, NULL));
    GIVES(103, nyro_db_release(h.db, NULL));
    GIVES(103, nyro_close(h.db, NULL));
}

/* Database, snapshot, its collection, collection, scan: released in all 120 orders, used in between. */
static void release_in_every_order(void) {
    for (int order = 0; order < 120; order++) {
        if (effort < 100 && order % 7 != 0) continue;
        handles h = open_all();
        int left[5] = {0, 1, 2, 3, 4}, code = order;
        const uint8_t *lent;
        size_t bytes;
        bool closed = false, keys_there = order % 2 == 0;
        if (!keys_there) release_keys(h);
        OK(nyro_get_borrowed(h.frozen, nyro_id_int(5), &lent, &bytes, NULL));
        bool snapshot_there = true, frozen_there = true;
        for (int count = 5; count > 0; count--) {
            int at = code % count;
            code /= count;
            switch (left[at]) {
                case 0: close_db(h.db); closed = true; break;
                case 1: OK(nyro_snapshot_release(h.snapshot, NULL)); snapshot_there = false; break;
                case 2: OK(nyro_collection_release(h.frozen, NULL)); frozen_there = false; break;
                case 3: OK(nyro_collection_release(h.collection, NULL)); break;
                default: OK(nyro_scan_close(h.scan, NULL)); break;
            }
            memmove(left + at, left + at + 1, sizeof(int) * (size_t)(count - at - 1));
            if (snapshot_there || frozen_there) CHECK(lent[0] == 0x82 && memcmp(lent + 1, "\xa3_id\x05", 5) == 0);
            uint64_t number;
            uint32_t got = nyro_count(h.frozen, &number, NULL);
            CHECK(got == (frozen_there && !closed ? 0 : NYRO_CLOSED));
        }
        OK(nyro_cancel_release(h.cancel, NULL));
    }
}

static void closing_with_a_scan_open(void) {
    nyro_db db = open_file("x");
    nyro_collection c = collection_of(db, "c");
    fill(c, 1000);
    nyro_scan scan = scan_of(c);
    const uint8_t *document;
    size_t bytes;
    OK(nyro_scan_next(scan, &document, &bytes, NULL));
    CHECK(document != NULL);
    close_db(db);
    for (int i = 0; i < 3; i++) {
        GIVES(103, nyro_scan_next(scan, &document, &bytes, NULL));
        CHECK(document == NULL && bytes == 0);
    }
    OK(nyro_scan_close(scan, NULL));
    OK(nyro_collection_release(c, NULL));
    db = open_file("x");
    c = collection_of(db, "c");
    CHECK(count_of(c) == 1000);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

/* What was borrowed stays where it is while the database is changed, compacted and closed. */
static void closing_with_documents_borrowed(void) {
    nyro_db db = open_file("x");
    nyro_collection c = collection_of(db, "c");
    int count = times(2000);
    fill(c, count);
    OK(nyro_checkpoint(db, NULL));
    nyro_snapshot snapshot = snapshot_of(db);
    nyro_collection frozen = collection_of(snapshot, "c");
    const uint8_t **lent = calloc((size_t)count, sizeof *lent);
    uint8_t **copies = calloc((size_t)count, sizeof *copies);
    size_t *sizes = calloc((size_t)count, sizeof *sizes);
    CHECK(lent != NULL && copies != NULL && sizes != NULL);
    for (int i = 0; i < count; i++) {
        OK(nyro_get_borrowed(frozen, nyro_id_int(i + 1), &lent[i], &sizes[i], NULL));
        copies[i] = exact(lent[i], sizes[i]);
    }
    for (int i = 0; i < count; i++) OK(nyro_delete(c, nyro_id_int(i + 1), NULL, NULL));
    OK(nyro_checkpoint(db, NULL));
    OK(nyro_compact(db, NULL, 0, NULL, NULL, NULL));
    fill(c, count / 2);
    OK(nyro_checkpoint(db, NULL));
    OK(nyro_collection_release(c, NULL));
    close_db(db);
    for (int i = 0; i < count; i++) CHECK(memcmp(lent[i], copies[i], sizes[i]) == 0);
    /* The file can't be opened again until they are given back; that is an error and no wait. */
    CHECK(nyro_open(TEXT("x"), NULL, &db, NULL) != 0 && db == 0);
    OK(nyro_snapshot_release(snapshot, NULL));
    for (int i = 0; i < count; i++) CHECK(memcmp(lent[i], copies[i], sizes[i]) == 0);
    OK(nyro_collection_release(frozen, NULL));
    for (int i = 0; i < count; i++) free(copies[i]);
    free(lent);
    free(copies);
    free(sizes);
    db = open_file("x");
    c = collection_of(db, "c");
    CHECK(count_of(c) == (uint64_t)(count / 2));
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void one_file_opened_many_times(void) {
    enum { MOST = 1000 };
    static nyro_db all[MOST];
    int count = times(MOST);
    for (int i = 0; i < count; i++) all[i] = open_file("x");
    nyro_collection c = collection_of(all[0], "c");
    fill(c, 10);
    OK(nyro_collection_release(c, NULL));
    for (int i = 0; i + 1 < count; i++) {
        close_db(all[i]);
        GIVES(103, nyro_sync(all[i], NULL));
    }
    c = collection_of(all[count - 1], "c");
    CHECK(count_of(c) == 10);
    OK(nyro_put(c, BYTES(DOCUMENT), NULL, NULL));
    /* Options that differ from those of the first are refused while one is open. */
    nyro_options options;
    nyro_db other;
    OK(nyro_options_init(&options, sizeof options, NULL));
    options.cache_bytes = 1 << 20;
    GIVES(106, nyro_open(TEXT("x"), &options, &other, NULL));
    close_db(all[count - 1]);
    OK(nyro_open(TEXT("x"), &options, &other, NULL));
    close_db(other);
    OK(nyro_collection_release(c, NULL));
}

static void databases_by_the_hundred(void) {
    enum { MOST = 200 };
    static nyro_db all[MOST];
    static nyro_collection collections[MOST];
    int count = times(MOST);
    for (int i = 0; i < count; i++) {
        all[i] = open_memory();
        collections[i] = collection_of(all[i], "c");
        fill(collections[i], 3);
    }
    for (int i = 0; i < count; i++) {
        CHECK(count_of(collections[i]) == 3);
        close_db(all[i]);
        OK(nyro_collection_release(collections[i], NULL));
    }
}

static void handles_by_the_ten_thousand(void) {
    enum { MOST = 20000 };
    static uint64_t all[4][MOST];
    handles h = open_all();
    int count = times(MOST);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < count; i++) {
            all[0][i] = collection_of(i % 2 == 0 ? h.db : h.snapshot, "c");
            all[1][i] = snapshot_of(h.db);
            all[2][i] = scan_of(h.collection);
            OK(nyro_cancel_new(&all[3][i], NULL));
        }
        for (int i = 0; i < count; i += count / 100 + 1) {
            CHECK(count_of(all[0][i]) == 100);
            uint64_t commit;
            OK(nyro_snapshot_commit(all[1][i], &commit, NULL));
        }
        for (int j = 0; j < count; j++) {
            int i = round == 1 ? count - 1 - j : j;
            OK(nyro_collection_release(all[0][i], NULL));
            OK(nyro_snapshot_release(all[1][i], NULL));
            OK(nyro_scan_close(all[2][i], NULL));
            OK(nyro_cancel_release(all[3][i], NULL));
        }
        for (int i = 0; i < count; i++) GIVES(103, nyro_snapshot_release(all[1][i], NULL));
    }
    release_all(h);
    close_db(h.db);
}

/* One place, used again and again: no earlier number of it is ever good again. */
static void a_place_used_again_and_again(void) {
    enum { MOST = 30000 };
    static nyro_cancel all[MOST];
    int count = times(MOST);
    for (int i = 0; i < count; i++) {
        OK(nyro_cancel_new(&all[i], NULL));
        OK(nyro_cancel_release(all[i], NULL));
        if (i > 0) CHECK(all[i] != all[i - 1]);
    }
    nyro_cancel last;
    OK(nyro_cancel_new(&last, NULL));
    for (int i = 0; i < count; i++) {
        CHECK(all[i] != last);
        GIVES(103, nyro_cancel_fire(all[i], NULL));
    }
    OK(nyro_cancel_release(last, NULL));
}

/* The process ends with everything open. */
static void ending_with_everything_open(void) {
    handles h = open_all();
    nyro_db file = open_file("x");
    nyro_collection c = collection_of(file, "c");
    fill(c, 10);
    nyro_transaction tx;
    OK(nyro_begin(h.db, &tx, NULL));
    fill(collection_of(tx, "t"), 3);
    const uint8_t *lent;
    size_t bytes;
    OK(nyro_get_borrowed(h.frozen, nyro_id_int(1), &lent, &bytes, NULL));
    /* In this process, under --here, they must go for the others. */
    OK(nyro_rollback(tx, NULL));
    release_all(h);
    close_db(h.db);
    (void)file;
}

static void collections_that_are_dropped_and_renamed_under_handles(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c"), d = collection_of(db, "d");
    fill(c, 10);
    nyro_scan scan = scan_of(c);
    nyro_snapshot snapshot = snapshot_of(db);
    nyro_collection frozen = collection_of(snapshot, "c");
    OK(nyro_rename_collection(db, TEXT("c"), TEXT("d"), NULL));
    CHECK(count_of(c) == 0 && count_of(d) == 10 && count_of(frozen) == 10);
    fill(c, 3);
    GIVES(208, nyro_rename_collection(db, TEXT("c"), TEXT("d"), NULL));
    uint32_t dropped;
    OK(nyro_drop_collection(db, TEXT("d"), &dropped, NULL));
    CHECK(dropped == 1 && count_of(d) == 0 && count_of(c) == 3 && count_of(frozen) == 10);
    const uint8_t *document;
    size_t bytes;
    int found = 0;
    do {
        OK(nyro_scan_next(scan, &document, &bytes, NULL));
        found += document != NULL;
    } while (document != NULL);
    CHECK(found == 10);
    OK(nyro_scan_close(scan, NULL));
    OK(nyro_collection_release(frozen, NULL));
    OK(nyro_snapshot_release(snapshot, NULL));
    OK(nyro_collection_release(d, NULL));
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void writing_to_a_snapshot(void) {
    handles h = open_all();
    GIVES(105, nyro_put(h.frozen, BYTES(DOCUMENT), NULL, NULL));
    GIVES(105, nyro_insert_one(h.frozen, BYTES(DOCUMENT), NULL, NULL));
    GIVES(105, nyro_replace_one(h.frozen, nyro_id_int(1), BYTES(EMPTY), NULL, NULL));
    GIVES(105, nyro_delete(h.frozen, nyro_id_int(1), NULL, NULL));
    size_t end = 1;
    GIVES(105, nyro_insert_many(h.frozen, BYTES(EMPTY), &end, 1, 0, NULL, NULL));
    GIVES(101, nyro_create_collection(h.snapshot, TEXT("x"), NULL));
    GIVES(101, nyro_drop_collection(h.snapshot, TEXT("c"), NULL, NULL));
    GIVES(101, nyro_rename_collection(h.snapshot, TEXT("c"), TEXT("d"), NULL));
    CHECK(count_of(h.frozen) == 100 && count_of(h.collection) == 100);
    release_all(h);
    close_db(h.db);
}

const test_case HANDLE_CASES[] = {
    {"zero_and_made_up_handles", zero_and_made_up_handles},
    {"handles_of_the_wrong_kind", handles_of_the_wrong_kind},
    {"use_after_release", use_after_release},
    {"use_after_close", use_after_close},
    {"releasing_twice", releasing_twice},
    {"release_in_every_order", release_in_every_order},
    {"closing_with_a_scan_open", closing_with_a_scan_open},
    {"closing_with_documents_borrowed", closing_with_documents_borrowed},
    {"one_file_opened_many_times", one_file_opened_many_times},
    {"databases_by_the_hundred", databases_by_the_hundred},
    {"handles_by_the_ten_thousand", handles_by_the_ten_thousand},
    {"a_place_used_again_and_again", a_place_used_again_and_again},
    {"collections_that_are_dropped_and_renamed_under_handles", collections_that_are_dropped_and_renamed_under_handles},
    {"writing_to_a_snapshot", writing_to_a_snapshot},
    {"ending_with_everything_open", ending_with_everything_open},
    {NULL, NULL},
};
