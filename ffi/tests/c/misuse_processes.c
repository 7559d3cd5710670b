/* Other processes and other copies of the library: fork, a lock that is held elsewhere, two copies in one process. */
#include "misuse.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Runs a body in a child, which must end well. The child runs no cleanup of the parent's. */
static void in_child(void (*body)(void *), void *argument) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        body(argument);
        _exit(0);
    }
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) printf("  the child was killed by signal %d\n", WTERMSIG(status));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

typedef struct handles {
    nyro_db db;
    nyro_snapshot snapshot;
    nyro_collection collection, frozen, within;
    nyro_keyspace keyspace;
    nyro_scan scan;
    nyro_range range;
    nyro_transaction tx;
    pthread_mutex_t lock;
} handles;

static handles open_all(void) {
    handles h = {.db = open_file("x"), .lock = PTHREAD_MUTEX_INITIALIZER};
    h.collection = collection_of(h.db, "c");
    fill(h.collection, 50);
    h.snapshot = snapshot_of(h.db);
    h.frozen = collection_of(h.snapshot, "c");
    h.scan = scan_of(h.collection);
    h.keyspace = keyspace_of(h.db, "k");
    fill_keys(h.keyspace, 20);
    h.range = range_of(h.keyspace);
    return h;
}

static void release_all(handles *h) {
    OK(nyro_range_close(h->range, NULL));
    OK(nyro_keyspace_release(h->keyspace, NULL));
    CHECK(count_of(h->collection) >= 50 && count_of(h->frozen) == 50);
    OK(nyro_scan_close(h->scan, NULL));
    OK(nyro_collection_release(h->frozen, NULL));
    OK(nyro_collection_release(h->collection, NULL));
    OK(nyro_snapshot_release(h->snapshot, NULL));
    OK(nyro_verify(h->db, NULL, 0, NULL, NULL, NULL));
    close_db(h->db);
}

/* Every function with the parent's handles: NYRO_FORKED, or nothing of the database was needed. */
static void use_the_parents(void *given) {
    handles *h = given;
    const struct {
        kind kind;
        uint64_t handle;
    } all[] = {{DATABASE, h->db}, {SNAPSHOT, h->snapshot}, {COLLECTION, h->collection}, {COLLECTION, h->frozen}, {SCAN, h->scan},
             {KEYSPACE, h->keyspace}, {RANGE, h->range}};
    for (const function *f = FUNCTIONS; f->name != NULL; f++) {
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            if ((f->kinds & all[i].kind) == 0 || f->survives) continue;
            uint32_t code = f->call(all[i].handle);
            /* Opening a collection looks at nothing; its first call says it. */
            bool other = code == 0 ? strcmp(f->name, "nyro_collection_open") == 0 || strcmp(f->name, "nyro_keyspace_open") == 0 ||
                                         strcmp(f->name, "nyro_scan_open") == 0
                         : code == NYRO_READ_ONLY ? all[i].handle == h->frozen
                                                : code == NYRO_INVALID_ARGUMENT && strstr(f->name, "borrowed") != NULL;
            if (code != NYRO_FORKED && !other) printf("%s of handle %zu: ", f->name, i);
            if (!other) GIVES(110, code);
        }
    }
}

static void child_uses_and_releases(void *given) {
    handles *h = given;
    use_the_parents(given);
    OK(nyro_range_close(h->range, NULL));
    OK(nyro_keyspace_release(h->keyspace, NULL));
    OK(nyro_scan_close(h->scan, NULL));
    OK(nyro_collection_release(h->frozen, NULL));
    OK(nyro_collection_release(h->collection, NULL));
    OK(nyro_snapshot_release(h->snapshot, NULL));
    nyro_close(h->db, NULL);
}

static void child_opens_for_itself(void *given) {
    (void)given;
    nyro_db db;
    CHECK(nyro_open(TEXT("x"), NULL, &db, NULL) != 0);
    db = open_file("of the child");
    nyro_collection c = collection_of(db, "c");
    fill(c, 10);
    CHECK(count_of(c) == 10);
    OK(nyro_backup(db, TEXT("b"), NULL, NULL, 0, NULL, NULL, NULL));
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void forked_children(void) {
    handles h = open_all();
    in_child(use_the_parents, &h);
    fill(h.collection, 51);
    in_child(child_uses_and_releases, &h);
    fill(h.collection, 52);
    in_child(child_opens_for_itself, &h);
    CHECK(count_of(h.collection) == 52);
    OK(nyro_checkpoint(h.db, NULL));
    release_all(&h);
    h.db = open_file("x");
    h.collection = collection_of(h.db, "c");
    CHECK(count_of(h.collection) == 52);
    OK(nyro_collection_release(h.collection, NULL));
    close_db(h.db);
}

static void child_ends_the_transaction(void *given) {
    handles *h = given;
    CHECK(nyro_put(h->within, BYTES(DOCUMENT), NULL, NULL) == NYRO_FORKED);
    size_t bytes;
    CHECK(nyro_get_into(h->within, nyro_id_int(1), NULL, 0, &bytes, NULL) == NYRO_FORKED);
    CHECK(nyro_commit(h->tx, NULL, NULL) == NYRO_FORKED);
    CHECK(nyro_rollback(h->tx, NULL) != 0);
}

static void child_only_exits(void *given) {
    (void)given;
#ifndef __SANITIZE_ADDRESS__
    /* What the threads held that are not there in the child is a leak to the sanitizer. */
    exit(0);
#endif
}

static void forked_with_a_transaction_open(void) {
    handles h = open_all();
    OK(nyro_begin(h.db, &h.tx, NULL));
    h.within = collection_of(h.tx, "c");
    fill(h.within, 60);
    in_child(child_ends_the_transaction, &h);
    in_child(child_only_exits, &h);
    fill(h.within, 61);
    OK(nyro_commit(h.tx, NULL, NULL));
    CHECK(count_of(h.collection) == 61);
    release_all(&h);
}

static handles at_exit;

static void close_at_exit(void) {
    fill(at_exit.collection, 55);
    release_all(&at_exit);
}

static void child_closes_at_exit(void *given) {
    (void)given;
    CHECK(atexit(close_at_exit) == 0);
    close_db(open_memory());
    at_exit = open_all();
    exit(0);
}

/* As a static object of C++ does: when what the library keeps for the main thread is gone. */
static void closed_by_a_function_of_atexit(void) {
    in_child(child_closes_at_exit, NULL);
    nyro_db db = open_file("x");
    nyro_collection c = collection_of(db, "c");
    CHECK(count_of(c) == 55);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static atomic_bool stop;

static void *work(void *given) {
    handles *h = given;
    while (!stop) {
        size_t bytes;
        OK(nyro_get_into(h->collection, nyro_id_int(7), NULL, 0, &bytes, NULL));
        OK(nyro_put(h->collection, BYTES(DOCUMENT), NULL, NULL));
        OK(nyro_collection_release(collection_of(h->db, "c"), NULL));
    }
    return NULL;
}

/* Whatever the other threads were doing, and whatever they had locked, the child gets its answer. */
static void forked_while_threads_work(void) {
    handles h = open_all();
    pthread_t threads[3];
    stop = false;
    for (int i = 0; i < 3; i++) threads[i] = start(work, &h);
    for (int i = 0; i < times(30); i++) in_child(i % 2 == 0 ? use_the_parents : child_uses_and_releases, &h);
    stop = true;
    for (int i = 0; i < 3; i++) join(threads[i]);
    release_all(&h);
}

static void open_elsewhere(void *given) {
    uint32_t wanted = *(uint32_t *)given;
    nyro_db db;
    nyro_error error;
    GIVES(wanted, nyro_open(TEXT("x"), NULL, &db, &error));
    if (wanted != 0) CHECK(db == 0 && strlen(error.message) > 0);
    if (wanted == 0) {
        nyro_collection c = collection_of(db, "c");
        CHECK(count_of(c) == 50);
        OK(nyro_collection_release(c, NULL));
        close_db(db);
    }
}

static void locked_by_another_process(void) {
    int to_parent[2], to_child[2];
    char byte = 0;
    CHECK(pipe(to_parent) == 0 && pipe(to_child) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        nyro_db db = open_file("x");
        nyro_collection c = collection_of(db, "c");
        fill(c, 50);
        CHECK(write(to_parent[1], &byte, 1) == 1 && read(to_child[0], &byte, 1) == 1);
        close_db(db);
        _exit(0);
    }
    CHECK(child > 0 && read(to_parent[0], &byte, 1) == 1);
    uint32_t locked = NYRO_LOCKED, fine = 0;
    open_elsewhere(&locked);
    in_child(open_elsewhere, &locked);
    nyro_db memory = open_memory();
    GIVES(301, nyro_backup(memory, TEXT("x"), &(nyro_backup_options){.struct_bytes = sizeof(nyro_backup_options), .overwrite = 1}, NULL, 0, NULL, NULL, NULL));
    close_db(memory);
    int status;
    CHECK(write(to_child[1], &byte, 1) == 1 && waitpid(child, &status, 0) == child && status == 0);
    open_elsewhere(&fine);
    in_child(open_elsewhere, &fine);
    for (int i = 0; i < 2; i++) close(to_parent[i]), close(to_child[i]);
}

/* ---- copies of the library ------------------------------------------------------------------------------ */

/* The functions of one copy that the cases need. */
typedef struct copy {
    void *library;
    uint32_t (*open)(const char *, size_t, const nyro_options *, nyro_db *, nyro_error *);
    uint32_t (*close)(nyro_db, nyro_error *);
    uint32_t (*collection_open)(nyro_scope, const char *, size_t, nyro_collection *, nyro_error *);
    uint32_t (*collection_release)(nyro_collection, nyro_error *);
    uint32_t (*put)(nyro_collection, const uint8_t *, size_t, nyro_id *, nyro_error *);
    uint32_t (*count)(nyro_collection, uint64_t *, nyro_error *);
    uint32_t (*begin)(nyro_db, nyro_transaction *, nyro_error *);
    uint32_t (*commit)(nyro_transaction, uint64_t *, nyro_error *);
    const char *(*last_error_message)(void);
} copy;

/* A function of a library; ISO C has no cast for it. */
static void find(void *library, const char *name, void *function) {
    void *found = dlsym(library, name);
    if (found == NULL) printf("%s is not in the library\n", name);
    CHECK(found != NULL);
    memcpy(function, &found, sizeof found);
}

static void copy_file(const char *from, const char *to) {
    char part[1 << 16];
    size_t count;
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    if (in == NULL) printf("NYRO_LIBRARY: %s can't be read\n", from);
    CHECK(in != NULL && out != NULL);
    while ((count = fread(part, 1, sizeof part, in)) > 0) CHECK(fwrite(part, 1, count, out) == count);
    CHECK(fclose(in) == 0 && fclose(out) == 0);
}

/* Loads a copy of the shared library, found by NYRO_LIBRARY, under another name. */
static copy load(const char *name) {
    const char *original = getenv("NYRO_LIBRARY");
    if (original == NULL) printf("NYRO_LIBRARY must name libnyro.so\n");
    CHECK(original != NULL);
    copy_file(original, name);
    char path[64];
    snprintf(path, sizeof path, "./%s", name);
    copy c = {.library = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
    if (c.library == NULL) printf("%s\n", dlerror());
    CHECK(c.library != NULL);
    find(c.library, "nyro_open", &c.open);
    find(c.library, "nyro_close", &c.close);
    find(c.library, "nyro_collection_open", &c.collection_open);
    find(c.library, "nyro_collection_release", &c.collection_release);
    find(c.library, "nyro_put", &c.put);
    find(c.library, "nyro_count", &c.count);
    find(c.library, "nyro_begin", &c.begin);
    find(c.library, "nyro_commit", &c.commit);
    find(c.library, "nyro_last_error_message", &c.last_error_message);
    return c;
}

static uint64_t write_with(const copy *c, nyro_db db, int count) {
    nyro_collection collection;
    OK(c->collection_open(db, TEXT("c"), &collection, NULL));
    for (int i = 0; i < count; i++) OK(c->put(collection, BYTES(EMPTY), NULL, NULL));
    uint64_t found;
    OK(c->count(collection, &found, NULL));
    OK(c->collection_release(collection, NULL));
    return found;
}

/* The second copy is a stranger to the first: the file is locked for it, and its handles mean nothing there. */
static void two_copies_of_the_library(void) {
    copy one = load("one.so"), two = load("two.so");
    nyro_db first, second, mine;
    nyro_error error;
    OK(one.open(TEXT("x"), NULL, &first, NULL));
    GIVES(301, two.open(TEXT("x"), NULL, &second, &error));
    CHECK(second == 0 && strlen(error.message) > 0);
    GIVES(301, nyro_open(TEXT("x"), NULL, &mine, NULL));
    CHECK(strlen(two.last_error_message()) > 0 && strlen(one.last_error_message()) == 0);
    OK(two.open(TEXT("y"), NULL, &second, NULL));
    mine = open_file("z");
    CHECK(write_with(&one, first, 10) == 10 && write_with(&two, second, 20) == 20);
    /* The lock of the first is still held, whatever the second opened and closed meanwhile. */
    in_child(open_elsewhere, &(uint32_t){NYRO_LOCKED});
    nyro_transaction a, b;
    OK(one.begin(first, &a, NULL));
    OK(two.begin(second, &b, NULL));
    OK(two.commit(b, NULL, NULL));
    OK(one.commit(a, NULL, NULL));
    OK(two.close(second, NULL));
    CHECK(write_with(&one, first, 5) == 15);
    OK(one.close(first, NULL));
    GIVES(103, one.close(first, NULL));
    OK(two.open(TEXT("x"), NULL, &second, NULL));
    CHECK(write_with(&two, second, 0) == 15);
    GIVES(301, one.open(TEXT("x"), NULL, &first, NULL));
    OK(two.close(second, NULL));
    nyro_collection c = collection_of(mine, "c");
    fill(c, 5);
    OK(nyro_collection_release(c, NULL));
    close_db(mine);
}

typedef struct other_thread {
    const copy *copy;
    nyro_db db;
} other_thread;

static void *write_in_a_thread(void *given) {
    other_thread *o = given;
    write_with(o->copy, o->db, 20);
    return NULL;
}

static void fork_and_end_a_thread(void *given) {
    (void)given;
}

/* A copy that was used and closed can be unloaded, as Node does when a worker ends: nothing of it runs later. */
static void a_copy_that_is_unloaded(void) {
    for (int round = 0; round < times(5); round++) {
        copy c = load("unloaded.so");
        nyro_db db;
        OK(c.open(TEXT("u"), NULL, &db, NULL));
        other_thread o = {&c, db};
        pthread_t thread = start(write_in_a_thread, &o);
        join(thread);
        write_with(&c, db, 5);
        OK(c.close(db, NULL));
        CHECK(dlclose(c.library) == 0);
        in_child(fork_and_end_a_thread, NULL);
        db = open_file("x");
        nyro_collection mine = collection_of(db, "c");
        fill(mine, 3);
        OK(nyro_collection_release(mine, NULL));
        close_db(db);
        remove("unloaded.so");
    }
}

/* ---- no memory ----------------------------------------------------------------------------------------- */

/* A document of 10 MB a thousand times, in a process that may have half a gigabyte more than it has. */
static void child_without_memory(void *given) {
    (void)given;
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    const size_t bytes = 10 << 20, count = 1000;
    uint8_t *document = calloc(1, bytes), *out = document;
    nyro_id *ids = calloc(count, sizeof *ids);
    size_t *ends = calloc(count, sizeof *ends), out_bytes = 7;
    CHECK(document != NULL && ids != NULL && ends != NULL);
    memcpy(document, "\x82\xa3_id\x01\xa1" "b\xc6", 9);
    for (int i = 0; i < 4; i++) document[9 + i] = (uint8_t)((bytes - 13) >> (24 - 8 * i));
    OK(nyro_put(c, document, bytes, NULL, NULL));
    for (size_t i = 0; i < count; i++) ids[i] = nyro_id_int(1);
    unsigned long pages;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    const rlim_t limit = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (512 << 20);
    CHECK(setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}) == 0);
    GIVES(101, nyro_get_many(c, ids, count, &out, &out_bytes, ends, NULL));
    CHECK(out == NULL && out_bytes == 0 && strstr(nyro_last_error_message(), "no memory") != NULL);
    OK(nyro_get_many(c, ids, 10, &out, &out_bytes, ends, NULL));
    CHECK(out_bytes == 10 * bytes && ends[9] == out_bytes && memcmp(out + 9 * bytes, document, bytes) == 0);
    nyro_free(out);
}

static void many_documents_without_memory(void) {
#ifdef __SANITIZE_ADDRESS__
    return; /* It takes terabytes of addresses for itself. */
#endif
    in_child(child_without_memory, NULL);
}

const test_case PROCESS_CASES[] = {
    {"forked_children", forked_children},
    {"forked_with_a_transaction_open", forked_with_a_transaction_open},
    {"forked_while_threads_work", forked_while_threads_work},
    {"closed_by_a_function_of_atexit", closed_by_a_function_of_atexit},
    {"locked_by_another_process", locked_by_another_process},
    {"two_copies_of_the_library", two_copies_of_the_library},
    {"a_copy_that_is_unloaded", a_copy_that_is_unloaded},
    {"many_documents_without_memory", many_documents_without_memory},
    {NULL, NULL},
};
