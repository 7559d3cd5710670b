/* What the misuse tests share.
 *
 * A case is a function that returns; a check that fails ends the process with a message. Each case runs in a process
 * of its own, in an empty directory, with a time limit, so that one that crashes or hangs is named and the others run.
 */
#ifndef MISUSE_H
#define MISUSE_H

#define _GNU_SOURCE

#include "nyro.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct test_case {
    const char *name;
    void (*run)(void);
} test_case;

/* The cases of each file; the last one has no name. */
extern const test_case ARGUMENT_CASES[], HANDLE_CASES[], DOCUMENT_CASES[], TRANSACTION_CASES[], LONG_CALL_CASES[],
    THREAD_CASES[], PROCESS_CASES[], KEYSPACE_CASES[];

/* How often things are repeated, in percent: less under a tool that is slow. */
extern int effort;
static inline int times(int full) {
    int n = full * effort / 100;
    return n > 2 ? n : 2;
}

_Noreturn void failed(const char *file, int line, const char *what, uint32_t wanted, uint32_t got);

#define CHECK(condition) \
    do { \
        if (!(condition)) failed(__FILE__, __LINE__, #condition, 1, 0); \
    } while (0)
/* That a call returns this number. */
#define GIVES(number, call) \
    do { \
        uint32_t gave_ = (call); \
        if (gave_ != (uint32_t)(number)) failed(__FILE__, __LINE__, #call, (uint32_t)(number), gave_); \
    } while (0)
#define OK(call) GIVES(0, call)

/* Text with its length, for two arguments of a call. */
#define TEXT(literal) (literal), (sizeof(literal) - 1)
#define BYTES(literal) (const uint8_t *)(literal), (sizeof(literal) - 1)

/* {"_id": 7, "name": "Ada", "tags": ["x", null, 1.5], "m": {"a": true}} */
#define DOCUMENT \
    "\x84\xa3_id\x07\xa4name\xa3" "Ada\xa4tags\x93\xa1x\xc0\xcb\x3f\xf8\0\0\0\0\0\0\xa1m\x81\xa1" "a\xc3"
/* {} */
#define EMPTY "\x80"

nyro_db open_memory(void);
/* A file in the case's directory. Without syncs. */
nyro_db open_file(const char *path);
nyro_collection collection_of(nyro_scope scope, const char *name);
/* Puts {"_id": 1} .. {"_id": count}, each with some text. */
void fill(nyro_collection collection, int count);
uint64_t count_of(nyro_collection collection);
nyro_keyspace keyspace_of(nyro_scope scope, const char *name);
/* Puts the keys 0 to `count`, each with itself as its value. */
void fill_keys(nyro_keyspace keyspace, int count);
nyro_range range_of(nyro_keyspace keyspace);
nyro_snapshot snapshot_of(nyro_db db);
nyro_scan scan_of(nyro_collection collection);
/* Closes and says that it went well. */
void close_db(nyro_db db);
/* The document with this id, or 0: its size. Freed again. */
size_t size_of(nyro_collection collection, int64_t id);

/* A copy whose block ends where it ends, so that reads behind it are seen. */
uint8_t *exact(const void *data, size_t bytes);

pthread_t start(void *(*body)(void *), void *argument);
void join(pthread_t thread);

/* ---- all functions that take a handle ------------------------------------------------------------------- */

typedef enum kind {
    DATABASE = 1,
    SNAPSHOT = 2,
    COLLECTION = 4,
    TRANSACTION = 8,
    SCAN = 16,
    CANCEL = 32,
    KEYSPACE = 64,
    RANGE = 128
} kind;

typedef struct function {
    const char *name;
    int kinds;                       /* of handles that it takes */
    bool survives;                   /* needs no open database: it releases something, or only looks at the handle */
    uint32_t (*call)(uint64_t handle);
} function;

/* Every function of nyro.h that takes a handle, called with good arguments otherwise. The last one has no name. */
extern const function FUNCTIONS[];

uint32_t f_keyspace_open(uint64_t h), f_keyspace_release(uint64_t h), f_kv_get(uint64_t h), f_kv_get_into(uint64_t h),
    f_kv_get_many(uint64_t h), f_kv_contains(uint64_t h), f_kv_estimated_count(uint64_t h), f_kv_put(uint64_t h),
    f_kv_delete(uint64_t h), f_kv_delete_range(uint64_t h), f_kv_clear(uint64_t h), f_kv_write(uint64_t h),
    f_range_open(uint64_t h), f_range_next(uint64_t h), f_range_batch(uint64_t h), f_range_seek(uint64_t h),
    f_range_close(uint64_t h), f_keyspace_names(uint64_t h), f_rename_keyspace(uint64_t h), f_drop_keyspace(uint64_t h),
    f_keyspace_stats(uint64_t h);

#endif
