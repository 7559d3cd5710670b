/* Looking documents up by id from C: our calls, and LMDB's beside them where it is installed.
 *
 *   get PATH COUNT ROUNDS          prints "name nanoseconds" lines: the fastest of the rounds
 *
 * 182-byte documents, random integer ids, everything in memory, one thread. Each call's bytes are touched.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nyro.h"
#ifdef WITH_LMDB
#include <lmdb.h>
#endif

static void check(uint32_t code, const nyro_error *error) {
    if (code != NYRO_OK) {
        fprintf(stderr, "%s: %s\n", nyro_error_name(code), error->message);
        exit(1);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t seed = 88172645463325252u;
static uint64_t next(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* {"_id": id, "text": 160 characters, "n": id}: the same bytes as in the Rust program beside this one. */
static size_t document(uint32_t id, uint8_t *out) {
    uint8_t *at = out;
    const uint8_t number[5] = {0xce, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    memcpy(at, "\x83\xa3_id", 5), at += 5;
    memcpy(at, number, 5), at += 5;
    memcpy(at, "\xa4text\xd9\xa0", 7), at += 7;
    memset(at, 'x', 160), at += 160;
    memcpy(at, "\xa1n", 2), at += 2;
    memcpy(at, number, 5), at += 5;
    return (size_t)(at - out);
}

/* Ids are large enough that all take five bytes. */
static const uint32_t FIRST = 1u << 24;
static uint32_t *order;
static size_t count, rounds;
static volatile uint64_t sink;

static void report(const char *name, double (*run)(void)) {
    double best = 1e18;
    for (size_t i = 0; i < rounds; i++) {
        const double took = run();
        best = took < best ? took : best;
    }
    printf("%s %.1f\n", name, best / (double)count);
    fflush(stdout);
}

static nyro_collection live, frozen;

static double get(void) {
    const double start = now();
    for (size_t i = 0; i < count; i++) {
        uint8_t *data;
        size_t bytes;
        check(nyro_get(live, nyro_id_int(order[i]), &data, &bytes, NULL), NULL);
        sink += data[bytes - 1];
        nyro_free(data);
    }
    return now() - start;
}

static double get_into(void) {
    static uint8_t buffer[4096];
    const double start = now();
    for (size_t i = 0; i < count; i++) {
        size_t bytes;
        check(nyro_get_into(live, nyro_id_int(order[i]), buffer, sizeof buffer, &bytes, NULL), NULL);
        sink += buffer[bytes - 1];
    }
    return now() - start;
}

static double get_borrowed(void) {
    const double start = now();
    for (size_t i = 0; i < count; i++) {
        const uint8_t *data;
        size_t bytes;
        check(nyro_get_borrowed(frozen, nyro_id_int(order[i]), &data, &bytes, NULL), NULL);
        sink += data[bytes - 1];
    }
    return now() - start;
}

#ifdef WITH_LMDB
static MDB_env *env;
static MDB_dbi dbi;
static MDB_txn *reading;

static void ok(int code) {
    if (code != 0) {
        fprintf(stderr, "LMDB: %s\n", mdb_strerror(code));
        exit(1);
    }
}

static double lmdb_in_transaction(void) {
    const double start = now();
    for (size_t i = 0; i < count; i++) {
        uint32_t id = order[i];
        MDB_val key = {sizeof id, &id}, value;
        ok(mdb_get(reading, dbi, &key, &value));
        sink += ((const uint8_t *)value.mv_data)[value.mv_size - 1];
    }
    return now() - start;
}

/* What nyro_get does: the newest state each time, and a copy. */
static double lmdb_copying(void) {
    MDB_txn *txn;
    ok(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
    mdb_txn_reset(txn);
    const double start = now();
    for (size_t i = 0; i < count; i++) {
        uint32_t id = order[i];
        MDB_val key = {sizeof id, &id}, value;
        ok(mdb_txn_renew(txn));
        ok(mdb_get(txn, dbi, &key, &value));
        uint8_t *copy = malloc(value.mv_size);
        memcpy(copy, value.mv_data, value.mv_size);
        mdb_txn_reset(txn);
        sink += copy[value.mv_size - 1];
        free(copy);
    }
    const double took = now() - start;
    mdb_txn_abort(txn);
    return took;
}

static void lmdb(const char *path) {
    ok(mdb_env_create(&env));
    ok(mdb_env_set_mapsize(env, (size_t)8 << 30));
    ok(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NORDAHEAD | MDB_NOTLS, 0600));
    MDB_txn *txn;
    ok(mdb_txn_begin(env, NULL, 0, &txn));
    ok(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &dbi));
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[256];
        uint32_t id = FIRST + (uint32_t)i;
        MDB_val key = {sizeof id, &id}, value = {document(id, bytes), bytes};
        ok(mdb_put(txn, dbi, &key, &value, MDB_APPEND));
    }
    ok(mdb_txn_commit(txn));
    ok(mdb_txn_begin(env, NULL, MDB_RDONLY, &reading));
    report("lmdb_borrowed", lmdb_in_transaction);
    report("lmdb_copying", lmdb_copying);
    mdb_txn_abort(reading);
    mdb_env_close(env);
}
#endif

int main(int argc, char **argv) {
    nyro_error error;
    nyro_db db;
    nyro_options options;
    nyro_snapshot snapshot;
    char path[4096];
    if (argc != 4) {
        fprintf(stderr, "get PATH COUNT ROUNDS\n");
        return 2;
    }
    count = strtoull(argv[2], NULL, 10);
    rounds = strtoull(argv[3], NULL, 10);
    order = malloc(count * sizeof *order);
    uint8_t *documents = malloc(count * 256);
    size_t *ends = malloc(count * sizeof *ends), end = 0;
    for (size_t i = 0; i < count; i++) {
        order[i] = FIRST + (uint32_t)i;
        end += document(order[i], documents + end);
        ends[i] = end;
    }
    for (size_t i = count - 1; i > 0; i--) {
        const size_t other = next() % (i + 1);
        const uint32_t id = order[i];
        order[i] = order[other];
        order[other] = id;
    }
    snprintf(path, sizeof path, "%s.nyro", argv[1]);
    check(nyro_options_init(&options, sizeof options, &error), &error);
    options.durability = NYRO_DURABILITY_MANUAL;
    check(nyro_open(path, strlen(path), &options, &db, &error), &error);
    check(nyro_collection_open(db, "documents", 9, &live, &error), &error);
    for (size_t first = 0; first < count; first += 1000) {
        const size_t start = first ? ends[first - 1] : 0, n = count - first < 1000 ? count - first : 1000;
        size_t own[1000];
        for (size_t i = 0; i < n; i++) {
            own[i] = ends[first + i] - start;
        }
        check(nyro_insert_many(live, documents + start, own[n - 1], own, n, 0, NULL, &error), &error);
    }
    check(nyro_checkpoint(db, &error), &error);
    check(nyro_snapshot_take(db, &snapshot, &error), &error);
    check(nyro_collection_open(snapshot, "documents", 9, &frozen, &error), &error);
    report("nyro_get", get);
    report("nyro_get_into", get_into);
    report("nyro_get_borrowed", get_borrowed);
    check(nyro_close(db, &error), &error);
#ifdef WITH_LMDB
    snprintf(path, sizeof path, "%s.lmdb", argv[1]);
    lmdb(path);
#endif
    free(order);
    free(documents);
    free(ends);
    return 0;
}
