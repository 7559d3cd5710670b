/* The C functions, called wrongly in every way that was thought of: none may crash, hang, leak or harm others.
 *
 *   misuse [--here] [--effort PERCENT] [--no-fork] [--list] [NAME...]
 *
 *   parent --fork--> case 1    each in an empty directory, killed after a minute
 *          --fork--> case 2
 *
 * With --here all run in this process: faster where a tool watches it. --no-fork leaves out the cases that fork
 * themselves: what is held by threads that are not there in the child looks like a leak to such a tool.
 */
#include "misuse.h"

#include <ftw.h>
#include <signal.h>
#include <sys/wait.h>

int effort = 100;

void failed(const char *file, int line, const char *what, uint32_t wanted, uint32_t got) {
    printf("%s:%d: %s\n", file, line, what);
    if (wanted != 1 || got != 0) printf("  wanted %s, got %s: ", nyro_error_name(wanted), nyro_error_name(got));
    printf("%s\n", nyro_last_error_message());
    fflush(stdout);
    _exit(1);
}

/* ---- helpers ------------------------------------------------------------------------------------------- */

nyro_db open_memory(void) {
    nyro_db db;
    OK(nyro_open(TEXT(":memory:"), NULL, &db, NULL));
    return db;
}

nyro_db open_file(const char *path) {
    nyro_options options;
    nyro_db db;
    OK(nyro_options_init(&options, sizeof options, NULL));
    options.durability = NYRO_DURABILITY_MANUAL;
    OK(nyro_open(path, strlen(path), &options, &db, NULL));
    return db;
}

nyro_collection collection_of(nyro_scope scope, const char *name) {
    nyro_collection collection;
    OK(nyro_collection_open(scope, name, strlen(name), &collection, NULL));
    return collection;
}

void fill(nyro_collection collection, int count) {
    for (int i = 1; i <= count; i++) {
        char json[256];
        int bytes = snprintf(json, sizeof json, "{\"_id\":%d,\"text\":\"%0100d\"}", i, i);
        OK(nyro_put_json(collection, json, (size_t)bytes, NULL, NULL));
    }
}

uint64_t count_of(nyro_collection collection) {
    uint64_t count;
    OK(nyro_count(collection, &count, NULL));
    return count;
}

nyro_snapshot snapshot_of(nyro_db db) {
    nyro_snapshot snapshot;
    OK(nyro_snapshot_take(db, &snapshot, NULL));
    return snapshot;
}

nyro_scan scan_of(nyro_collection collection) {
    nyro_scan scan;
    OK(nyro_scan_open(collection, 0, &scan, NULL));
    return scan;
}

void close_db(nyro_db db) {
    OK(nyro_close(db, NULL));
}

size_t size_of(nyro_collection collection, int64_t id) {
    size_t bytes;
    OK(nyro_get_into(collection, nyro_id_int(id), NULL, 0, &bytes, NULL));
    return bytes;
}

uint8_t *exact(const void *data, size_t bytes) {
    uint8_t *copy = malloc(bytes > 0 ? bytes : 1);
    CHECK(copy != NULL);
    if (bytes > 0) memcpy(copy, data, bytes);
    return copy;
}

pthread_t start(void *(*body)(void *), void *argument) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, argument) == 0);
    return thread;
}

void join(pthread_t thread) {
    CHECK(pthread_join(thread, NULL) == 0);
}

/* ---- all functions that take a handle ------------------------------------------------------------------- */

static _Thread_local uint8_t *out;
static _Thread_local size_t out_bytes;

static uint32_t freed(uint32_t code) {
    CHECK(code == 0 || (out == NULL && out_bytes == 0));
    nyro_free(out);
    out = NULL;
    out_bytes = 0;
    return code;
}

static uint32_t f_collection_open(uint64_t h) {
    nyro_collection c;
    uint32_t code = nyro_collection_open(h, TEXT("c"), &c, NULL);
    CHECK((code == 0) == (c != 0));
    if (code == 0) OK(nyro_collection_release(c, NULL));
    return code;
}
static uint32_t f_collection_release(uint64_t h) { return nyro_collection_release(h, NULL); }
static uint32_t f_get(uint64_t h) { return freed(nyro_get(h, nyro_id_int(1), &out, &out_bytes, NULL)); }
static uint32_t f_get_into(uint64_t h) {
    uint8_t buffer[64];
    size_t bytes;
    return nyro_get_into(h, nyro_id_int(1), buffer, sizeof buffer, &bytes, NULL);
}
static uint32_t f_get_borrowed(uint64_t h) {
    const uint8_t *document;
    size_t bytes;
    return nyro_get_borrowed(h, nyro_id_int(1), &document, &bytes, NULL);
}
static uint32_t f_get_json(uint64_t h) {
    char *json;
    size_t bytes;
    uint32_t code = nyro_get_json(h, nyro_id_int(1), &json, &bytes, NULL);
    nyro_free(json);
    return code;
}
static uint32_t f_get_many(uint64_t h) {
    nyro_id ids[2] = {nyro_id_int(1), nyro_id_string(TEXT("x"))};
    size_t ends[2];
    return freed(nyro_get_many(h, ids, 2, &out, &out_bytes, ends, NULL));
}
static uint32_t f_contains(uint64_t h) {
    uint32_t found;
    return nyro_contains(h, nyro_id_int(1), &found, NULL);
}
static uint32_t f_count(uint64_t h) {
    uint64_t count;
    return nyro_count(h, &count, NULL);
}
static uint32_t f_put(uint64_t h) { return nyro_put(h, BYTES(DOCUMENT), NULL, NULL); }
static uint32_t f_put_json(uint64_t h) { return nyro_put_json(h, TEXT("{\"_id\":8}"), NULL, NULL); }
static uint32_t f_insert_one(uint64_t h) { return nyro_insert_one(h, BYTES(EMPTY), NULL, NULL); }
static uint32_t f_insert_one_json(uint64_t h) { return nyro_insert_one_json(h, TEXT("{}"), NULL, NULL); }
static uint32_t f_insert_many(uint64_t h) {
    size_t ends[2] = {1, 2};
    return nyro_insert_many(h, BYTES(EMPTY EMPTY), ends, 2, 0, NULL, NULL);
}
static uint32_t f_replace_one(uint64_t h) { return nyro_replace_one(h, nyro_id_int(3), BYTES(EMPTY), NULL, NULL); }
static uint32_t f_delete(uint64_t h) { return nyro_delete(h, nyro_id_int(3), NULL, NULL); }
static uint32_t f_scan_open(uint64_t h) {
    nyro_scan scan;
    uint32_t code = nyro_scan_open(h, 0, &scan, NULL);
    CHECK((code == 0) == (scan != 0));
    if (code == 0) OK(nyro_scan_close(scan, NULL));
    return code;
}
static uint32_t f_scan_next(uint64_t h) {
    const uint8_t *document;
    size_t bytes;
    return nyro_scan_next(h, &document, &bytes, NULL);
}
static uint32_t f_scan_batch(uint64_t h) {
    uint8_t buffer[64];
    size_t ends[4];
    nyro_batch batch;
    return nyro_scan_batch(h, buffer, sizeof buffer, ends, 4, &batch, NULL);
}
static uint32_t f_scan_batch_tokens(uint64_t h) {
    uint8_t buffer[64];
    size_t ends[4];
    uint64_t tokens[4];
    nyro_batch batch;
    return nyro_scan_batch_tokens(h, buffer, sizeof buffer, ends, tokens, 4, &batch, NULL);
}
static uint32_t f_scan_token(uint64_t h) {
    uint64_t token;
    return nyro_scan_token(h, &token, NULL);
}
static uint32_t f_scan_close(uint64_t h) { return nyro_scan_close(h, NULL); }
static uint32_t f_close(uint64_t h) { return nyro_close(h, NULL); }
static uint32_t f_sync(uint64_t h) { return nyro_sync(h, NULL); }
static uint32_t f_checkpoint(uint64_t h) { return nyro_checkpoint(h, NULL); }
static uint32_t f_stats(uint64_t h) { return freed(nyro_stats(h, NYRO_FORMAT_JSON, &out, &out_bytes, NULL)); }
static uint32_t f_collection_names(uint64_t h) {
    return freed(nyro_collection_names(h, NYRO_FORMAT_MSGPACK, &out, &out_bytes, NULL));
}
static uint32_t f_create_collection(uint64_t h) { return nyro_create_collection(h, TEXT("made"), NULL); }
static uint32_t f_rename_collection(uint64_t h) { return nyro_rename_collection(h, TEXT("made"), TEXT("named"), NULL); }
static uint32_t f_drop_collection(uint64_t h) { return nyro_drop_collection(h, TEXT("named"), NULL, NULL); }
static uint32_t f_begin(uint64_t h) {
    nyro_transaction tx;
    uint32_t code = nyro_begin(h, &tx, NULL);
    CHECK((code == 0) == (tx != 0));
    if (code == 0) OK(nyro_rollback(tx, NULL));
    return code;
}
static uint32_t f_commit(uint64_t h) { return nyro_commit(h, NULL, NULL); }
static uint32_t f_rollback(uint64_t h) { return nyro_rollback(h, NULL); }
static uint32_t f_snapshot_take(uint64_t h) {
    nyro_snapshot snapshot;
    uint32_t code = nyro_snapshot_take(h, &snapshot, NULL);
    CHECK((code == 0) == (snapshot != 0));
    if (code == 0) OK(nyro_snapshot_release(snapshot, NULL));
    return code;
}
static uint32_t f_snapshot_commit(uint64_t h) {
    uint64_t commit;
    return nyro_snapshot_commit(h, &commit, NULL);
}
static uint32_t f_snapshot_release(uint64_t h) { return nyro_snapshot_release(h, NULL); }
static uint32_t f_cancel_fire(uint64_t h) { return nyro_cancel_fire(h, NULL); }
static uint32_t f_cancel_release(uint64_t h) { return nyro_cancel_release(h, NULL); }
static uint32_t f_backup(uint64_t h) {
    nyro_backup_options options = {.struct_bytes = sizeof options, .overwrite = 1};
    return freed(nyro_backup(h, TEXT("table.backup"), &options, NULL, NYRO_FORMAT_JSON, &out, &out_bytes, NULL));
}
static uint32_t f_backups(uint64_t h) { return freed(nyro_backups(h, NYRO_FORMAT_JSON, &out, &out_bytes, NULL)); }
static uint32_t f_verify(uint64_t h) { return freed(nyro_verify(h, NULL, NYRO_FORMAT_JSON, &out, &out_bytes, NULL)); }
static uint32_t f_compact(uint64_t h) { return freed(nyro_compact(h, NULL, NYRO_FORMAT_JSON, &out, &out_bytes, NULL)); }
static uint32_t f_warm_up(uint64_t h) {
    return freed(nyro_warm_up(h, 1 << 20, NULL, NYRO_FORMAT_JSON, &out, &out_bytes, NULL));
}

/* In an order in which each can be called on one set of handles: what releases stands last. */
const function FUNCTIONS[] = {
    {"nyro_collection_open", DATABASE | SNAPSHOT | TRANSACTION, false, f_collection_open},
    {"nyro_get", COLLECTION, false, f_get},
    {"nyro_get_into", COLLECTION, false, f_get_into},
    {"nyro_get_borrowed", COLLECTION, false, f_get_borrowed},
    {"nyro_get_json", COLLECTION, false, f_get_json},
    {"nyro_get_many", COLLECTION, false, f_get_many},
    {"nyro_contains", COLLECTION, false, f_contains},
    {"nyro_count", COLLECTION, false, f_count},
    {"nyro_put", COLLECTION, false, f_put},
    {"nyro_put_json", COLLECTION, false, f_put_json},
    {"nyro_insert_one", COLLECTION, false, f_insert_one},
    {"nyro_insert_one_json", COLLECTION, false, f_insert_one_json},
    {"nyro_insert_many", COLLECTION, false, f_insert_many},
    {"nyro_replace_one", COLLECTION, false, f_replace_one},
    {"nyro_delete", COLLECTION, false, f_delete},
    {"nyro_scan_open", COLLECTION, false, f_scan_open},
    {"nyro_scan_next", SCAN, false, f_scan_next},
    {"nyro_scan_batch", SCAN, false, f_scan_batch},
    {"nyro_scan_batch_tokens", SCAN, false, f_scan_batch_tokens},
    {"nyro_scan_token", SCAN, true, f_scan_token},
    {"nyro_keyspace_open", DATABASE | SNAPSHOT | TRANSACTION, false, f_keyspace_open},
    {"nyro_kv_get", KEYSPACE, false, f_kv_get},
    {"nyro_kv_get_into", KEYSPACE, false, f_kv_get_into},
    {"nyro_kv_get_many", KEYSPACE, false, f_kv_get_many},
    {"nyro_kv_contains", KEYSPACE, false, f_kv_contains},
    {"nyro_kv_estimated_count", KEYSPACE, false, f_kv_estimated_count},
    {"nyro_kv_put", KEYSPACE, false, f_kv_put},
    {"nyro_kv_delete", KEYSPACE, false, f_kv_delete},
    {"nyro_kv_delete_range", KEYSPACE, false, f_kv_delete_range},
    {"nyro_kv_write", KEYSPACE, false, f_kv_write},
    {"nyro_kv_clear", KEYSPACE, false, f_kv_clear},
    {"nyro_range_open", KEYSPACE, false, f_range_open},
    {"nyro_range_next", RANGE, false, f_range_next},
    {"nyro_range_batch", RANGE, false, f_range_batch},
    {"nyro_range_seek", RANGE, false, f_range_seek},
    {"nyro_keyspace_names", DATABASE | SNAPSHOT, false, f_keyspace_names},
    {"nyro_rename_keyspace", DATABASE | TRANSACTION, false, f_rename_keyspace},
    {"nyro_drop_keyspace", DATABASE | TRANSACTION, false, f_drop_keyspace},
    {"nyro_keyspace_stats", DATABASE, false, f_keyspace_stats},
    {"nyro_sync", DATABASE, false, f_sync},
    {"nyro_checkpoint", DATABASE, false, f_checkpoint},
    {"nyro_stats", DATABASE, false, f_stats},
    {"nyro_collection_names", DATABASE | SNAPSHOT, false, f_collection_names},
    {"nyro_create_collection", DATABASE | TRANSACTION, false, f_create_collection},
    {"nyro_rename_collection", DATABASE | TRANSACTION, false, f_rename_collection},
    {"nyro_drop_collection", DATABASE | TRANSACTION, false, f_drop_collection},
    {"nyro_begin", DATABASE, false, f_begin},
    {"nyro_snapshot_take", DATABASE, false, f_snapshot_take},
    {"nyro_snapshot_commit", SNAPSHOT, true, f_snapshot_commit},
    {"nyro_backup", DATABASE, false, f_backup},
    {"nyro_backups", DATABASE, false, f_backups},
    {"nyro_verify", DATABASE, false, f_verify},
    {"nyro_compact", DATABASE, false, f_compact},
    {"nyro_warm_up", DATABASE, false, f_warm_up},
    {"nyro_cancel_fire", CANCEL, true, f_cancel_fire},
    {"nyro_rollback", TRANSACTION, false, f_rollback},
    {"nyro_commit", TRANSACTION, false, f_commit},
    {"nyro_collection_release", COLLECTION, true, f_collection_release},
    {"nyro_scan_close", SCAN, true, f_scan_close},
    {"nyro_range_close", RANGE, true, f_range_close},
    {"nyro_keyspace_release", KEYSPACE, true, f_keyspace_release},
    {"nyro_snapshot_release", SNAPSHOT, true, f_snapshot_release},
    {"nyro_cancel_release", CANCEL, true, f_cancel_release},
    {"nyro_close", DATABASE, false, f_close},
    {NULL, 0, false, NULL},
};

/* ---- running ------------------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *walk) {
    (void)stat, (void)flag, (void)walk;
    return remove(path);
}

/* Runs a case in an empty directory, in this process or in one of its own. */
static bool run_case(const test_case *test, bool here) {
    char before[4096], place[4096];
    const char *temporary = getenv("TMPDIR");
    snprintf(place, sizeof place, "%s/nyro-misuse-XXXXXX", temporary != NULL ? temporary : "/tmp");
    CHECK(getcwd(before, sizeof before) != NULL && mkdtemp(place) != NULL && chdir(place) == 0);
    int status = 0;
    if (here) {
        test->run();
    } else {
        pid_t child = fork();
        if (child == 0) {
            alarm(120);
            test->run();
            exit(0);
        }
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
    }
    CHECK(chdir(before) == 0);
    nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (WIFSIGNALED(status)) printf("  killed by signal %d: %s\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int count, char **arguments) {
    static const test_case *const all[] = {ARGUMENT_CASES,    HANDLE_CASES,    DOCUMENT_CASES, TRANSACTION_CASES,
                                           KEYSPACE_CASES,  LONG_CALL_CASES, THREAD_CASES,   PROCESS_CASES};
    size_t files = sizeof all / sizeof *all; /* the last one forks */
    bool here = false, list = false;
    int first = 1, ran = 0, bad = 0;
    for (; first < count && arguments[first][0] == '-'; first++) {
        if (strcmp(arguments[first], "--here") == 0) here = true;
        else if (strcmp(arguments[first], "--list") == 0) list = true;
        else if (strcmp(arguments[first], "--no-fork") == 0) files--;
        else if (strcmp(arguments[first], "--effort") == 0 && first + 1 < count) effort = atoi(arguments[++first]);
        else return fprintf(stderr, "usage: misuse [--here] [--effort PERCENT] [--no-fork] [--list] [NAME...]\n"), 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t file = 0; file < files; file++) {
        for (const test_case *test = all[file]; test->name != NULL; test++) {
            bool wanted = first == count;
            for (int i = first; i < count; i++) wanted = wanted || strcmp(arguments[i], test->name) == 0;
            if (!wanted) continue;
            ran++;
            printf("%s\n", test->name);
            if (list) continue;
            if (!run_case(test, here)) {
                printf("  FAILED: %s\n", test->name);
                bad++;
            }
        }
    }
    printf("misuse: %d cases, %d failed\n", ran, bad);
    return bad > 0 || ran == 0;
}
