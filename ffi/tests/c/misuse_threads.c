/* Many threads on the same handles, which are released and closed under them. */
#include "misuse.h"

#include <stdatomic.h>

enum { THREADS = 4 };

/* What the threads of a case share. */
typedef struct shared {
    nyro_db db;
    _Atomic uint64_t handle; /* changes while the threads run */
    atomic_bool stop;
    atomic_int done;
    int count;
} shared;

/* A call beside closing and releasing: it works, or the handle is closed. */
#define WORKS_OR_CLOSED(call) \
    do { \
        uint32_t code_ = (call); \
        if (code_ != 0) GIVES(103, code_); \
    } while (0)

static void *read_and_write(void *given) {
    shared *s = given;
    nyro_collection c = s->handle;
    for (int64_t i = 0; !s->stop; i++) {
        size_t bytes;
        uint64_t count;
        uint8_t *document;
        WORKS_OR_CLOSED(nyro_get(c, nyro_id_int(i % 100 + 1), &document, &bytes, NULL));
        CHECK((document == NULL) == (bytes == 0));
        nyro_free(document);
        WORKS_OR_CLOSED(nyro_get_into(c, nyro_id_int(i % 100 + 1), NULL, 0, &bytes, NULL));
        WORKS_OR_CLOSED(nyro_put(c, BYTES(DOCUMENT), NULL, NULL));
        WORKS_OR_CLOSED(nyro_count(c, &count, NULL));
        nyro_scan scan;
        WORKS_OR_CLOSED(nyro_scan_open(c, 0, &scan, NULL));
        const uint8_t *lent = DOCUMENT[0] != 0 ? (const uint8_t *)"" : NULL;
        for (int n = 0; scan != 0 && lent != NULL && n < 10; n++) WORKS_OR_CLOSED(nyro_scan_next(scan, &lent, &bytes, NULL));
        if (scan != 0) OK(nyro_scan_close(scan, NULL));
        nyro_snapshot snapshot;
        WORKS_OR_CLOSED(nyro_snapshot_take(s->db, &snapshot, NULL));
        if (snapshot != 0) OK(nyro_snapshot_release(snapshot, NULL));
        nyro_transaction tx;
        WORKS_OR_CLOSED(nyro_begin(s->db, &tx, NULL));
        if (tx != 0) WORKS_OR_CLOSED(i % 2 == 0 ? nyro_commit(tx, NULL, NULL) : nyro_rollback(tx, NULL));
        s->done++;
    }
    return NULL;
}

static void closing_under_readers_and_writers(void) {
    for (int round = 0; round < times(20); round++) {
        shared s = {.db = round % 2 == 0 ? open_memory() : open_file("x")};
        s.handle = collection_of(s.db, "c");
        fill(s.handle, 100);
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++) threads[i] = start(read_and_write, &s);
        while (s.done < 20) usleep(100);
        close_db(s.db);
        int done = s.done;
        while (s.done < done + 20) usleep(100);
        s.stop = true;
        for (int i = 0; i < THREADS; i++) join(threads[i]);
        OK(nyro_collection_release(s.handle, NULL));
    }
}

static void *read_what_is_there(void *given) {
    shared *s = given;
    while (!s->stop) {
        size_t bytes;
        nyro_collection c = s->handle;
        uint32_t code = nyro_get_into(c, nyro_id_int(7), NULL, 0, &bytes, NULL);
        CHECK(code == 0 ? bytes > 100 : code == NYRO_CLOSED);
        s->done++;
    }
    return NULL;
}

/* Collections are released while other threads read with them. */
static void releasing_under_readers(void) {
    shared s = {.db = open_memory()};
    s.handle = collection_of(s.db, "c");
    fill(s.handle, 10);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) threads[i] = start(read_what_is_there, &s);
    for (int i = 0; i < times(20000); i++) {
        nyro_collection old = s.handle;
        if (i % 2 == 0) {
            nyro_snapshot snapshot = snapshot_of(s.db);
            s.handle = collection_of(snapshot, "c");
            OK(nyro_snapshot_release(snapshot, NULL));
        } else {
            s.handle = collection_of(s.db, "c");
        }
        OK(nyro_collection_release(old, NULL));
    }
    s.stop = true;
    for (int i = 0; i < THREADS; i++) join(threads[i]);
    OK(nyro_collection_release(s.handle, NULL));
    close_db(s.db);
}

static void *close_once(void *given) {
    shared *s = given;
    uint32_t code = nyro_close(s->handle, NULL);
    if (code == 0) s->done++;
    else GIVES(103, code);
    return NULL;
}

static void closing_in_many_threads_at_once(void) {
    for (int round = 0; round < times(200); round++) {
        shared s = {.db = open_memory()};
        s.handle = s.db;
        nyro_collection c = collection_of(s.db, "c");
        fill(c, 2);
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++) threads[i] = start(close_once, &s);
        for (int i = 0; i < THREADS; i++) join(threads[i]);
        CHECK(s.done >= 1);
        GIVES(103, nyro_sync(s.db, NULL));
        OK(nyro_collection_release(c, NULL));
    }
}

static void *release_once(void *given) {
    shared *s = given;
    for (int i = 0; i < s->count; i++) {
        uint64_t handle = s->handle;
        uint32_t code = nyro_collection_release(handle, NULL);
        if (code == 0) {
            s->done++;
            s->handle = collection_of(s->db, "c");
        } else GIVES(103, code);
    }
    return NULL;
}

/* Of the threads that release one handle, one succeeds. */
static void releasing_in_many_threads_at_once(void) {
    shared s = {.db = open_memory(), .count = times(20000)};
    s.handle = collection_of(s.db, "c");
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) threads[i] = start(release_once, &s);
    for (int i = 0; i < THREADS; i++) join(threads[i]);
    OK(nyro_collection_release(s.handle, NULL));
    GIVES(103, nyro_collection_release(s.handle, NULL));
    close_db(s.db);
}

static void *scan_in_batches(void *given) {
    shared *s = given;
    uint8_t buffer[1024];
    size_t ends[8];
    nyro_batch batch = {0};
    while (batch.ended == 0) {
        OK(nyro_scan_batch(s->handle, buffer, sizeof buffer, ends, 8, &batch, NULL));
        for (size_t i = 0; i < batch.documents; i++) CHECK(buffer[i == 0 ? 0 : ends[i - 1]] == 0x82);
        s->done += (int)batch.documents;
    }
    return NULL;
}

/* One scan, emptied by many threads: each document comes once. */
static void one_scan_for_many_threads(void) {
    shared s = {.db = open_memory()};
    nyro_collection c = collection_of(s.db, "c");
    int count = times(5000);
    fill(c, count);
    s.handle = scan_of(c);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) threads[i] = start(scan_in_batches, &s);
    for (int i = 0; i < THREADS; i++) join(threads[i]);
    CHECK(s.done == count);
    OK(nyro_scan_close(s.handle, NULL));
    OK(nyro_collection_release(c, NULL));
    close_db(s.db);
}

static void *scan_until_closed(void *given) {
    shared *s = given;
    while (!s->stop) {
        uint8_t buffer[512];
        size_t ends[4];
        nyro_batch batch;
        WORKS_OR_CLOSED(nyro_scan_batch(s->handle, buffer, sizeof buffer, ends, 4, &batch, NULL));
        s->done++;
    }
    return NULL;
}

static void closing_scans_under_readers(void) {
    shared s = {.db = open_memory()};
    nyro_collection c = collection_of(s.db, "c");
    fill(c, 200);
    s.handle = scan_of(c);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) threads[i] = start(scan_until_closed, &s);
    for (int i = 0; i < times(5000); i++) {
        nyro_scan old = s.handle;
        s.handle = scan_of(c);
        OK(nyro_scan_close(old, NULL));
    }
    s.stop = true;
    for (int i = 0; i < THREADS; i++) join(threads[i]);
    OK(nyro_scan_close(s.handle, NULL));
    OK(nyro_collection_release(c, NULL));
    close_db(s.db);
}

static void *open_and_close(void *given) {
    shared *s = given;
    for (int i = 0; i < s->count; i++) {
        nyro_db db = open_file("x");
        nyro_collection c = collection_of(db, "c");
        OK(nyro_put(c, BYTES(EMPTY), NULL, NULL));
        s->done++;
        OK(nyro_collection_release(c, NULL));
        close_db(db);
    }
    return NULL;
}

static void opening_and_closing_one_file_in_many_threads(void) {
    shared s = {.count = times(50)};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) threads[i] = start(open_and_close, &s);
    for (int i = 0; i < THREADS; i++) join(threads[i]);
    nyro_db db = open_file("x");
    nyro_collection c = collection_of(db, "c");
    CHECK(count_of(c) == (uint64_t)s.done);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void *transact(void *given) {
    shared *s = given;
    for (int i = 0; i < s->count; i++) {
        nyro_transaction tx;
        OK(nyro_begin(s->db, &tx, NULL));
        nyro_collection c = collection_of(tx, "c");
        for (int n = 0; n < 3; n++) OK(nyro_insert_one(c, BYTES(EMPTY), NULL, NULL));
        if (i % 3 == 0) OK(nyro_rollback(tx, NULL));
        else {
            OK(nyro_commit(tx, NULL, NULL));
            s->done += 3;
        }
    }
    return NULL;
}

static void transactions_in_many_threads(void) {
    shared s = {.db = open_memory(), .count = times(300)};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) threads[i] = start(transact, &s);
    for (int i = 0; i < THREADS; i++) join(threads[i]);
    nyro_collection c = collection_of(s.db, "c");
    CHECK(count_of(c) == (uint64_t)s.done);
    OK(nyro_collection_release(c, NULL));
    close_db(s.db);
}

static void *make_long_calls(void *given) {
    shared *s = given;
    while (!s->stop) {
        nyro_backup_options options = {.struct_bytes = sizeof options, .overwrite = 1};
        uint32_t codes[] = {nyro_verify(s->db, NULL, 0, NULL, NULL, NULL), nyro_compact(s->db, NULL, 0, NULL, NULL, NULL),
                            nyro_checkpoint(s->db, NULL), nyro_backup(s->db, TEXT("b"), &options, NULL, 0, NULL, NULL, NULL)};
        for (size_t i = 0; i < 4; i++)
            if (codes[i] != NYRO_INVALID_ARGUMENT && codes[i] != NYRO_LOCKED) WORKS_OR_CLOSED(codes[i]);
        s->done++;
    }
    return NULL;
}

static void closing_under_long_calls(void) {
    for (int round = 0; round < times(10); round++) {
        shared s = {.db = open_file("x")};
        nyro_collection c = collection_of(s.db, "c");
        fill(c, 500);
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++) threads[i] = start(make_long_calls, &s);
        usleep((useconds_t)(round * 500));
        close_db(s.db);
        s.stop = true;
        for (int i = 0; i < THREADS; i++) join(threads[i]);
        OK(nyro_collection_release(c, NULL));
    }
}

static void *fail_in_a_thread(void *given) {
    nyro_db db = *(nyro_db *)given;
    CHECK(nyro_last_error_message()[0] == '\0');
    GIVES(102, nyro_create_collection(db, TEXT("$in the thread"), NULL));
    CHECK(strstr(nyro_last_error_message(), "$in the thread") != NULL);
    return NULL;
}

static void messages_belong_to_their_thread(void) {
    nyro_db db = open_memory();
    GIVES(102, nyro_create_collection(db, TEXT("$outside"), NULL));
    join(start(fail_in_a_thread, &db));
    CHECK(strstr(nyro_last_error_message(), "$outside") != NULL);
    close_db(db);
}

/* What thread-local objects register with the C library while their thread ends is never freed by it. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:__cxa_thread_atexit_impl\n";
}

static pthread_key_t at_exit_of_thread;
static shared late;

/* Runs while its thread ends, after what the library keeps for the thread may be gone. */
static void call_late(void *value) {
    int rounds = (int)(intptr_t)value;
    size_t bytes;
    OK(nyro_get_into(late.handle, nyro_id_int(1), NULL, 0, &bytes, NULL));
    CHECK(bytes > 0);
    OK(nyro_put(late.handle, BYTES(EMPTY), NULL, NULL));
    GIVES(102, nyro_create_collection(late.db, TEXT("$"), NULL));
    CHECK(nyro_last_error_message() != NULL);
    nyro_transaction tx;
    uint32_t code = nyro_begin(late.db, &tx, NULL);
    CHECK(code == 0 || code == NYRO_INVALID_ARGUMENT);
    if (code == 0) OK(rounds % 2 == 0 ? nyro_commit(tx, NULL, NULL) : nyro_rollback(tx, NULL));
    nyro_db own = open_memory();
    fill(collection_of(own, "c"), 1);
    close_db(own);
    late.done++;
    if (rounds > 1) pthread_setspecific(at_exit_of_thread, (void *)(intptr_t)(rounds - 1));
}

static void *end_with_calls(void *given) {
    nyro_transaction tx;
    if (given != NULL) {
        fill(late.handle, 1);
        OK(nyro_begin(late.db, &tx, NULL));
        OK(nyro_rollback(tx, NULL));
    }
    pthread_setspecific(at_exit_of_thread, (void *)(intptr_t)3);
    return NULL;
}

static void calls_while_a_thread_ends(void) {
    CHECK(pthread_key_create(&at_exit_of_thread, call_late) == 0);
    late = (shared){.db = open_memory()};
    late.handle = collection_of(late.db, "c");
    fill(late.handle, 1);
    /* A thread whose first call is so late leaks some bytes of the standard library's: not where leaks are looked for. */
    for (int i = 0; i < times(50); i++) join(start(end_with_calls, i % 2 == 0 || effort < 100 ? &late : NULL));
    CHECK(late.done >= 2);
    /* Whatever those threads began is given up. */
    nyro_transaction tx;
    OK(nyro_begin(late.db, &tx, NULL));
    OK(nyro_rollback(tx, NULL));
    OK(nyro_collection_release(late.handle, NULL));
    close_db(late.db);
    pthread_key_delete(at_exit_of_thread);
}

static void *one_call(void *given) {
    shared *s = given;
    size_t bytes;
    OK(nyro_get_into(s->handle, nyro_id_int(1), NULL, 0, &bytes, NULL));
    return NULL;
}

static void threads_by_the_thousand(void) {
    shared s = {.db = open_memory()};
    s.handle = collection_of(s.db, "c");
    fill(s.handle, 1);
    for (int i = 0; i < times(2000); i++) join(start(one_call, &s));
    OK(nyro_collection_release(s.handle, NULL));
    close_db(s.db);
}

const test_case THREAD_CASES[] = {
    {"closing_under_readers_and_writers", closing_under_readers_and_writers},
    {"releasing_under_readers", releasing_under_readers},
    {"closing_in_many_threads_at_once", closing_in_many_threads_at_once},
    {"releasing_in_many_threads_at_once", releasing_in_many_threads_at_once},
    {"one_scan_for_many_threads", one_scan_for_many_threads},
    {"closing_scans_under_readers", closing_scans_under_readers},
    {"opening_and_closing_one_file_in_many_threads", opening_and_closing_one_file_in_many_threads},
    {"transactions_in_many_threads", transactions_in_many_threads},
    {"closing_under_long_calls", closing_under_long_calls},
    {"messages_belong_to_their_thread", messages_belong_to_their_thread},
    {"calls_while_a_thread_ends", calls_while_a_thread_ends},
    {"threads_by_the_thousand", threads_by_the_thousand},
    {NULL, NULL},
};
