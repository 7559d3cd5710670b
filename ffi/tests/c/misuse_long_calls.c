/* Long calls: their callbacks call back, cancel, close, and release what the call was given. */
#include "misuse.h"

typedef uint32_t (*long_call)(nyro_db db, const nyro_control *control);

static uint32_t compact(nyro_db db, const nyro_control *control) {
    return nyro_compact(db, control, 0, NULL, NULL, NULL);
}
static uint32_t verify(nyro_db db, const nyro_control *control) {
    return nyro_verify(db, control, 0, NULL, NULL, NULL);
}
static uint32_t warm_up(nyro_db db, const nyro_control *control) {
    return nyro_warm_up(db, UINT64_MAX, control, 0, NULL, NULL, NULL);
}
static uint32_t backup(nyro_db db, const nyro_control *control) {
    nyro_backup_options options = {.struct_bytes = sizeof options, .overwrite = 1};
    return nyro_backup(db, TEXT("backup"), &options, control, 0, NULL, NULL, NULL);
}

static const long_call LONG_CALLS[] = {compact, verify, warm_up, backup};
enum { LONG_CALL_COUNT = 4 };

/* What a callback works with. */
typedef struct context {
    nyro_db db;
    nyro_collection collection;
    nyro_cancel cancel;
    nyro_transaction transaction;
    int calls, depth;
    int64_t next;
    uint32_t code;
} context;

/* A file with documents, half of them deleted, so that there is something to compact. */
static context prepare(void) {
    context x = {.db = open_file("x")};
    x.collection = collection_of(x.db, "c");
    int count = times(4000);
    fill(x.collection, count);
    OK(nyro_checkpoint(x.db, NULL));
    for (int i = 1; i < count; i += 2) OK(nyro_delete(x.collection, nyro_id_int(i), NULL, NULL));
    OK(nyro_checkpoint(x.db, NULL));
    x.next = 1000000;
    return x;
}

static void finish(context *x) {
    OK(nyro_verify(x->db, NULL, 0, NULL, NULL, NULL));
    OK(nyro_collection_release(x->collection, NULL));
    close_db(x->db);
    remove("x");
    remove("backup");
}

static nyro_control watched(nyro_progress_callback callback, context *x) {
    return (nyro_control){.struct_bytes = sizeof(nyro_control), .progress = callback, .context = x};
}

static uint32_t read_things(void *given, const nyro_progress *progress) {
    context *x = given;
    CHECK(progress->phase != NULL && progress->phase_bytes > 0 && progress->unit != NULL && progress->unit_bytes > 0);
    x->calls++;
    CHECK(size_of(x->collection, 2) > 100);
    nyro_snapshot snapshot = snapshot_of(x->db);
    nyro_collection frozen = collection_of(snapshot, "c");
    nyro_scan scan = scan_of(frozen);
    const uint8_t *document;
    size_t bytes;
    OK(nyro_scan_next(scan, &document, &bytes, NULL));
    OK(nyro_scan_close(scan, NULL));
    OK(nyro_collection_release(frozen, NULL));
    OK(nyro_snapshot_release(snapshot, NULL));
    return 0;
}

static void progress_that_reads(void) {
    for (int i = 0; i < LONG_CALL_COUNT; i++) {
        context x = prepare();
        nyro_control control = watched(read_things, &x);
        OK(LONG_CALLS[i](x.db, &control));
        CHECK(x.calls > 0);
        finish(&x);
    }
}

static uint32_t write_things(void *given, const nyro_progress *progress) {
    (void)progress;
    context *x = given;
    if (x->calls++ > 20) return 0;
    char json[64];
    int bytes = snprintf(json, sizeof json, "{\"_id\":%d}", (int)x->next++);
    OK(nyro_put_json(x->collection, json, (size_t)bytes, NULL, NULL));
    nyro_transaction tx;
    OK(nyro_begin(x->db, &tx, NULL));
    nyro_collection c = collection_of(tx, "d");
    OK(nyro_put(c, BYTES(EMPTY), NULL, NULL));
    OK(nyro_commit(tx, NULL, NULL));
    OK(nyro_sync(x->db, NULL));
    return 0;
}

static void progress_that_writes(void) {
    for (int i = 0; i < LONG_CALL_COUNT; i++) {
        context x = prepare();
        nyro_control control = watched(write_things, &x);
        OK(LONG_CALLS[i](x.db, &control));
        CHECK(x.calls > 0 && size_of(x.collection, 1000000) > 0);
        finish(&x);
    }
}

/* A long call inside of each long call: done, or refused, but no wait for itself. */
static uint32_t call_again(void *given, const nyro_progress *progress) {
    (void)progress;
    context *x = given;
    if (x->calls++ > 3) return 0;
    for (int i = 0; i < LONG_CALL_COUNT; i++) {
        context inner = *x;
        inner.depth++;
        nyro_control control = watched(call_again, &inner);
        nyro_backup_options options = {.struct_bytes = sizeof options, .overwrite = 1};
        uint32_t code = inner.depth > 1 ? 0
                        : LONG_CALLS[i] == backup
                            ? nyro_backup(x->db, TEXT("inner"), &options, &control, 0, NULL, NULL, NULL)
                            : LONG_CALLS[i](x->db, &control);
        if (code != 0) x->code = code;
    }
    OK(nyro_checkpoint(x->db, NULL));
    return 0;
}

static void progress_that_makes_long_calls(void) {
    for (int i = 0; i < LONG_CALL_COUNT; i++) {
        context x = prepare();
        nyro_control control = watched(call_again, &x);
        OK(LONG_CALLS[i](x.db, &control));
        CHECK(x.calls > 0);
        GIVES(0, x.code);
        finish(&x);
    }
}

static uint32_t say_stop(void *given, const nyro_progress *progress) {
    (void)progress;
    return ++((context *)given)->calls >= 2 ? 7 : 0;
}

static void progress_that_stops(void) {
    for (int i = 0; i < LONG_CALL_COUNT; i++) {
        context x = prepare();
        x.calls = 1;
        nyro_control control = watched(say_stop, &x);
        GIVES(108, LONG_CALLS[i](x.db, &control));
        CHECK(x.calls == 2 && access("backup", F_OK) != 0);
        finish(&x);
    }
}

static uint32_t fire_and_release(void *given, const nyro_progress *progress) {
    (void)progress;
    context *x = given;
    if (x->calls++ > 0) return 0;
    OK(nyro_cancel_fire(x->cancel, NULL));
    OK(nyro_cancel_release(x->cancel, NULL));
    return 0;
}

static void progress_that_fires_and_releases_the_token(void) {
    for (int i = 0; i < LONG_CALL_COUNT; i++) {
        context x = prepare();
        nyro_control control = watched(fire_and_release, &x);
        OK(nyro_cancel_new(&x.cancel, NULL));
        control.cancel = x.cancel;
        GIVES(108, LONG_CALLS[i](x.db, &control));
        GIVES(103, LONG_CALLS[i](x.db, &control));
        finish(&x);
    }
}

static uint32_t close_it(void *given, const nyro_progress *progress) {
    (void)progress;
    context *x = given;
    if (x->calls++ == 0) x->code = nyro_close(x->db, NULL);
    return 0;
}

/* The database is closed by the callback of its own call: done or closed, no wait for itself, nothing lost. */
static void progress_that_closes(void) {
    for (int i = 0; i < LONG_CALL_COUNT; i++) {
        context x = prepare();
        uint64_t count = count_of(x.collection);
        nyro_control control = watched(close_it, &x);
        uint32_t code = LONG_CALLS[i](x.db, &control);
        CHECK(x.calls > 0 && (code == 0 || code == NYRO_CLOSED));
        if (x.code == 0) GIVES(103, nyro_sync(x.db, NULL));
        else close_db(x.db);
        OK(nyro_collection_release(x.collection, NULL));
        x.db = open_file("x");
        x.collection = collection_of(x.db, "c");
        CHECK(count_of(x.collection) == count);
        finish(&x);
    }
}

static uint32_t begin_and_leave(void *given, const nyro_progress *progress) {
    (void)progress;
    context *x = given;
    if (x->calls++ > 0) return 0;
    OK(nyro_begin(x->db, &x->transaction, NULL));
    fill(collection_of(x->transaction, "left"), 2);
    return 0;
}

/* A transaction that the callback leaves open: the call that is under way does not wait for it for ever. */
static void progress_that_leaves_a_transaction_open(void) {
    for (int i = 0; i < LONG_CALL_COUNT; i++) {
        context x = prepare();
        nyro_control control = watched(begin_and_leave, &x);
        uint32_t code = LONG_CALLS[i](x.db, &control);
        CHECK(x.calls > 0 && (code == 0 || code == NYRO_NESTED_TRANSACTION));
        OK(nyro_commit(x.transaction, NULL, NULL));
        nyro_collection left = collection_of(x.db, "left");
        CHECK(count_of(left) == 2);
        OK(nyro_collection_release(left, NULL));
        finish(&x);
    }
}

static uint32_t release_everything(void *given, const nyro_progress *progress) {
    (void)progress;
    context *x = given;
    if (x->calls++ == 0) {
        OK(nyro_collection_release(x->collection, NULL));
        OK(nyro_drop_collection(x->db, TEXT("c"), NULL, NULL));
    }
    return 0;
}

static void progress_that_drops_what_is_worked_on(void) {
    for (int i = 0; i < LONG_CALL_COUNT; i++) {
        context x = prepare();
        nyro_control control = watched(release_everything, &x);
        OK(LONG_CALLS[i](x.db, &control));
        CHECK(x.calls > 0);
        x.collection = collection_of(x.db, "c");
        CHECK(count_of(x.collection) == 0);
        finish(&x);
    }
}

static void tokens_fired_before(void) {
    context x = prepare();
    nyro_cancel cancel;
    OK(nyro_cancel_new(&cancel, NULL));
    OK(nyro_cancel_fire(cancel, NULL));
    OK(nyro_cancel_fire(cancel, NULL));
    nyro_control control = {.struct_bytes = sizeof control, .cancel = cancel};
    for (int i = 0; i < LONG_CALL_COUNT; i++) GIVES(108, LONG_CALLS[i](x.db, &control));
    CHECK(access("backup", F_OK) != 0);
    OK(backup(x.db, NULL));
    nyro_text text = {TEXT("backup")};
    GIVES(108, nyro_restore(TEXT("t"), &text, 1, 0, &control, 0, NULL, NULL, NULL));
    GIVES(108, nyro_repair(TEXT("backup"), TEXT("t"), 0, &control, 0, NULL, NULL, NULL));
    CHECK(access("t", F_OK) != 0);
    OK(nyro_cancel_release(cancel, NULL));
    finish(&x);
}

static uint32_t sleep_a_little(void *given, const nyro_progress *progress) {
    (void)given, (void)progress;
    usleep(3000);
    return 0;
}

static void deadlines_that_pass(void) {
    context x = prepare();
    nyro_control control = watched(sleep_a_little, &x);
    control.timeout_ms = 1;
    for (int i = 0; i < LONG_CALL_COUNT; i++) {
        uint32_t code = LONG_CALLS[i](x.db, &control);
        CHECK(code == NYRO_DEADLINE_EXCEEDED || code == 0);
    }
    control = (nyro_control){.struct_bytes = sizeof control, .timeout_ms = UINT64_MAX};
    for (int i = 0; i < LONG_CALL_COUNT; i++) OK(LONG_CALLS[i](x.db, &control));
    finish(&x);
}

static uint32_t open_what_is_built(void *given, const nyro_progress *progress) {
    (void)progress;
    context *x = given;
    x->calls++;
    nyro_db db;
    nyro_options options;
    OK(nyro_options_init(&options, sizeof options, NULL));
    options.create = 0;
    CHECK(nyro_open(TEXT("target"), &options, &db, NULL) != 0);
    nyro_db memory = open_memory();
    close_db(memory);
    nyro_text text = {TEXT("backup")};
    if (x->calls == 1) OK(nyro_restore(TEXT("other target"), &text, 1, 1, NULL, 0, NULL, NULL, NULL));
    return x->next == 0;
}

/* Restore and repair, whose callbacks open, and restore to, the file that is being made. */
static void progress_of_restore_and_repair(void) {
    context x = prepare();
    OK(nyro_backup(x.db, TEXT("backup"), NULL, NULL, 0, NULL, NULL, NULL));
    nyro_text text = {TEXT("backup")};
    for (int stopped = 0; stopped < 2; stopped++) {
        x.next = !stopped;
        nyro_control control = watched(open_what_is_built, &x);
        uint32_t wanted = stopped ? NYRO_CANCELLED : 0;
        x.calls = 0;
        GIVES(wanted, nyro_restore(TEXT("target"), &text, 1, 0, &control, 0, NULL, NULL, NULL));
        CHECK(x.calls > 0);
        CHECK((access("target", F_OK) == 0) == (wanted == 0));
        remove("target");
        x.calls = 0;
        GIVES(wanted, nyro_repair(TEXT("backup"), TEXT("target"), 0, &control, 0, NULL, NULL, NULL));
        CHECK(x.calls > 0);
        CHECK((access("target", F_OK) == 0) == (wanted == 0));
        remove("target");
    }
    finish(&x);
}

static void *fire_later(void *given) {
    usleep(2000);
    OK(nyro_cancel_fire(*(nyro_cancel *)given, NULL));
    return NULL;
}

static void tokens_fired_by_another_thread(void) {
    context x = prepare();
    for (int round = 0; round < times(10); round++) {
        for (int i = 0; i < LONG_CALL_COUNT; i++) {
            nyro_control control = watched(sleep_a_little, &x);
            OK(nyro_cancel_new(&x.cancel, NULL));
            control.cancel = x.cancel;
            pthread_t thread = start(fire_later, &x.cancel);
            uint32_t code = LONG_CALLS[i](x.db, &control);
            CHECK(code == 0 || code == NYRO_CANCELLED);
            join(thread);
            OK(nyro_cancel_release(x.cancel, NULL));
        }
    }
    finish(&x);
}

const test_case LONG_CALL_CASES[] = {
    {"progress_that_reads", progress_that_reads},
    {"progress_that_writes", progress_that_writes},
    {"progress_that_makes_long_calls", progress_that_makes_long_calls},
    {"progress_that_stops", progress_that_stops},
    {"progress_that_fires_and_releases_the_token", progress_that_fires_and_releases_the_token},
    {"progress_that_closes", progress_that_closes},
    {"progress_that_leaves_a_transaction_open", progress_that_leaves_a_transaction_open},
    {"progress_that_drops_what_is_worked_on", progress_that_drops_what_is_worked_on},
    {"progress_of_restore_and_repair", progress_of_restore_and_repair},
    {"tokens_fired_before", tokens_fired_before},
    {"tokens_fired_by_another_thread", tokens_fired_by_another_thread},
    {"deadlines_that_pass", deadlines_that_pass},
    {NULL, NULL},
};
