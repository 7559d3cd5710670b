/* Transactions: ended twice, begun twice, left open, used by other threads, closed under. */
#include "misuse.h"

static nyro_transaction begin(nyro_db db) {
    nyro_transaction tx;
    OK(nyro_begin(db, &tx, NULL));
    return tx;
}

static void ended_twice(void) {
    nyro_db db = open_memory();
    nyro_transaction tx = begin(db);
    nyro_collection c = collection_of(tx, "c");
    OK(nyro_put(c, BYTES(DOCUMENT), NULL, NULL));
    uint64_t commit;
    OK(nyro_commit(tx, &commit, NULL));
    CHECK(commit > 0);
    GIVES(103, nyro_commit(tx, &commit, NULL));
    CHECK(commit == 0);
    GIVES(103, nyro_rollback(tx, NULL));
    GIVES(103, nyro_put(c, BYTES(DOCUMENT), NULL, NULL));
    GIVES(103, nyro_collection_release(c, NULL));
    tx = begin(db);
    OK(nyro_rollback(tx, NULL));
    GIVES(103, nyro_rollback(tx, NULL));
    GIVES(103, nyro_commit(tx, NULL, NULL));
    c = collection_of(db, "c");
    CHECK(count_of(c) == 1);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

/* A write by the thread that has a transaction is refused, and does not wait for itself. */
static void nested_writes(void) {
    nyro_db db = open_file("x"), again = open_file("x");
    nyro_collection outside = collection_of(db, "c");
    fill(outside, 10);
    nyro_transaction tx = begin(db), other;
    for (int i = 0; i < 2; i++) {
        GIVES(104, nyro_begin(i == 0 ? db : again, &other, NULL));
        CHECK(other == 0);
    }
    GIVES(104, nyro_put(outside, BYTES(DOCUMENT), NULL, NULL));
    GIVES(104, nyro_insert_one(outside, BYTES(EMPTY), NULL, NULL));
    GIVES(104, nyro_put_json(outside, TEXT("{}"), NULL, NULL));
    GIVES(104, nyro_replace_one(outside, nyro_id_int(1), BYTES(EMPTY), NULL, NULL));
    GIVES(104, nyro_delete(outside, nyro_id_int(1), NULL, NULL));
    size_t end = 1;
    GIVES(104, nyro_insert_many(outside, BYTES(EMPTY), &end, 1, 0, NULL, NULL));
    GIVES(104, nyro_create_collection(db, TEXT("d"), NULL));
    GIVES(104, nyro_rename_collection(db, TEXT("c"), TEXT("d"), NULL));
    GIVES(104, nyro_drop_collection(db, TEXT("c"), NULL, NULL));
    CHECK(count_of(outside) == 10);
    nyro_collection inside = collection_of(tx, "c");
    OK(nyro_put(inside, BYTES("\x81\xa3_id\x0b"), NULL, NULL));
    OK(nyro_commit(tx, NULL, NULL));
    CHECK(count_of(outside) == 11);
    OK(nyro_collection_release(outside, NULL));
    close_db(again);
    close_db(db);
}

/* The long calls inside a transaction of the same thread: an error or done, but no wait. */
static void long_calls_inside(void) {
    nyro_db db = open_file("x");
    nyro_collection outside = collection_of(db, "c");
    fill(outside, 100);
    nyro_transaction tx = begin(db);
    nyro_collection c = collection_of(tx, "c");
    fill(c, 10);
    GIVES(104, nyro_compact(db, NULL, 0, NULL, NULL, NULL));
    GIVES(104, nyro_backup(db, TEXT("b"), NULL, NULL, 0, NULL, NULL, NULL));
    uint32_t codes[] = {nyro_verify(db, NULL, 0, NULL, NULL, NULL), nyro_warm_up(db, 1 << 20, NULL, 0, NULL, NULL, NULL),
                        nyro_sync(db, NULL), nyro_checkpoint(db, NULL)};
    for (size_t i = 0; i < 4; i++) CHECK(codes[i] == 0 || codes[i] == NYRO_NESTED_TRANSACTION);
    OK(nyro_commit(tx, NULL, NULL));
    OK(nyro_compact(db, NULL, 0, NULL, NULL, NULL));
    OK(nyro_collection_release(outside, NULL));
    close_db(db);
}

static void closing_with_one_open(void) {
    nyro_db db = open_file("x"), again = open_file("x");
    nyro_transaction tx = begin(db);
    nyro_collection c = collection_of(tx, "c");
    fill(c, 3);
    GIVES(104, nyro_close(db, NULL));
    GIVES(104, nyro_close(db, NULL));
    fill(c, 4);
    OK(nyro_sync(again, NULL));
    OK(nyro_commit(tx, NULL, NULL));
    close_db(db);
    nyro_collection outside = collection_of(again, "c");
    CHECK(count_of(outside) == 4);
    /* The other way round: the handle that the transaction was begun with stays while the other one goes. */
    tx = begin(again);
    uint32_t code = nyro_close(again, NULL);
    CHECK(code == NYRO_NESTED_TRANSACTION);
    OK(nyro_rollback(tx, NULL));
    OK(nyro_collection_release(outside, NULL));
    close_db(again);
}

/* A handle given up inside a transaction: the database is closed when that ends, and can be opened otherwise. */
static void giving_up_inside(void) {
    nyro_db db = open_file("x");
    nyro_transaction tx = begin(db);
    nyro_collection c = collection_of(tx, "c");
    fill(c, 3);
    OK(nyro_db_release(db, NULL));
    GIVES(103, nyro_sync(db, NULL));
    fill(c, 4);
    OK(nyro_commit(tx, NULL, NULL));
    nyro_options options;
    OK(nyro_options_init(&options, sizeof options, NULL));
    options.writer_timeout_ms = 77;
    OK(nyro_open(TEXT("x"), &options, &db, NULL));
    nyro_collection outside = collection_of(db, "c");
    CHECK(count_of(outside) == 4);
    OK(nyro_collection_release(outside, NULL));
    close_db(db);
}

static void *use_everything(void *given) {
    const uint64_t *all = given;
    for (const function *f = FUNCTIONS; f->name != NULL; f++) {
        if ((f->kinds & TRANSACTION) != 0) GIVES(111, f->call(all[0]));
        /* Releasing the collection is no use of the transaction; lending and scanning are not for it. */
        if ((f->kinds & COLLECTION) == 0 || f->survives) continue;
        uint32_t code = f->call(all[1]);
        if (code != NYRO_INVALID_ARGUMENT) GIVES(111, code);
    }
    return NULL;
}

static void used_by_another_thread(void) {
    nyro_db db = open_memory();
    nyro_transaction tx = begin(db);
    nyro_collection c = collection_of(tx, "c");
    OK(nyro_put(c, BYTES(DOCUMENT), NULL, NULL));
    uint64_t all[] = {tx, c};
    for (int i = 0; i < 3; i++) join(start(use_everything, all));
    OK(nyro_put(c, BYTES(EMPTY), NULL, NULL));
    OK(nyro_commit(tx, NULL, NULL));
    nyro_collection outside = collection_of(db, "c");
    CHECK(count_of(outside) == 2);
    OK(nyro_collection_release(outside, NULL));
    close_db(db);
}

static void *begin_and_leave(void *given) {
    nyro_transaction *tx = given;
    tx[1] = begin(tx[0]);
    tx[2] = collection_of(tx[1], "c");
    fill(tx[2], 5);
    return NULL;
}

/* A thread that ends rolls back what it began, and releases its handles with it. */
static void left_open_by_a_thread_that_ends(void) {
    nyro_db db = open_memory();
    for (int i = 0; i < times(50); i++) {
        nyro_transaction left[3] = {db};
        join(start(begin_and_leave, left));
        GIVES(103, nyro_commit(left[1], NULL, NULL));
        GIVES(103, nyro_rollback(left[1], NULL));
        GIVES(103, nyro_put(left[2], BYTES(EMPTY), NULL, NULL));
        GIVES(103, nyro_collection_release(left[2], NULL));
        nyro_transaction tx = begin(db);
        /* Its slot is used again: handles end with the number of their slot. */
        const uint64_t slot = (1 << 28) - 1;
        CHECK((tx & slot) == (left[1] & slot) || (tx & slot) == (left[2] & slot));
        OK(nyro_rollback(tx, NULL));
    }
    nyro_collection c = collection_of(db, "c");
    CHECK(count_of(c) == 0);
    fill(c, 1);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void two_databases_at_once(void) {
    nyro_db one = open_memory(), two = open_memory();
    nyro_transaction first = begin(one), second = begin(two);
    nyro_collection a = collection_of(first, "c"), b = collection_of(second, "c");
    fill(a, 5);
    fill(b, 6);
    OK(nyro_commit(first, NULL, NULL));
    fill(b, 7);
    GIVES(103, nyro_put(a, BYTES(EMPTY), NULL, NULL));
    close_db(one);
    OK(nyro_commit(second, NULL, NULL));
    nyro_collection c = collection_of(two, "c");
    CHECK(count_of(c) == 7);
    OK(nyro_collection_release(c, NULL));
    close_db(two);
}

static void calls_that_are_not_for_its_collections(void) {
    nyro_db db = open_memory();
    nyro_transaction tx = begin(db);
    nyro_collection c = collection_of(tx, "c");
    fill(c, 3);
    uint64_t count;
    nyro_scan scan;
    const uint8_t *lent;
    size_t bytes, ends[2] = {1, 2};
    GIVES(101, nyro_count(c, &count, NULL));
    GIVES(101, nyro_scan_open(c, 0, &scan, NULL));
    GIVES(101, nyro_get_borrowed(c, nyro_id_int(1), &lent, &bytes, NULL));
    GIVES(101, nyro_insert_many(c, BYTES(EMPTY EMPTY), ends, 2, NYRO_INSERT_ATOMIC, NULL, NULL));
    nyro_insert_result result;
    GIVES(210, nyro_insert_many(c, BYTES(EMPTY "\xc1"), ends, 2, 0, &result, NULL));
    CHECK(result.inserted == 1);
    nyro_insert_result_free(&result);
    nyro_collection none;
    GIVES(102, nyro_put(none = collection_of(tx, "a$"), BYTES(EMPTY), NULL, NULL));
    OK(nyro_collection_release(none, NULL));
    GIVES(102, nyro_create_collection(tx, TEXT("a$"), NULL));
    GIVES(208, nyro_create_collection(tx, TEXT("c"), NULL));
    GIVES(207, nyro_rename_collection(tx, TEXT("n"), TEXT("m"), NULL));
    uint8_t *names;
    GIVES(101, nyro_collection_names(tx, 0, &names, &bytes, NULL));
    OK(nyro_commit(tx, NULL, NULL));
    c = collection_of(db, "c");
    CHECK(count_of(c) == 4);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void collections_opened_and_released_inside(void) {
    nyro_db db = open_memory();
    nyro_transaction tx = begin(db);
    int count = times(5000);
    for (int i = 0; i < count; i++) {
        nyro_collection c = collection_of(tx, i % 2 == 0 ? "c" : "d");
        OK(nyro_put(c, BYTES(EMPTY), NULL, NULL));
        if (i % 3 == 0) {
            OK(nyro_collection_release(c, NULL));
            GIVES(103, nyro_collection_release(c, NULL));
        }
    }
    OK(nyro_commit(tx, NULL, NULL));
    nyro_collection c = collection_of(db, "c"), d = collection_of(db, "d");
    CHECK(count_of(c) + count_of(d) == (uint64_t)count);
    OK(nyro_collection_release(c, NULL));
    OK(nyro_collection_release(d, NULL));
    close_db(db);
}

static void larger_than_a_transaction_may_be(void) {
    nyro_db db = open_memory();
    nyro_transaction tx = begin(db);
    nyro_collection c = collection_of(tx, "c");
    size_t bytes = 10 << 20;
    uint8_t *document = calloc(1, bytes);
    CHECK(document != NULL);
    memcpy(document, "\x81\xa1" "b\xc6", 4);
    size_t inner = bytes - 8;
    for (int i = 0; i < 4; i++) document[4 + i] = (uint8_t)(inner >> (24 - 8 * i));
    uint32_t code = 0;
    int count = 0;
    for (; code == 0 && count < 20; count++) code = nyro_put(c, document, bytes, NULL, NULL);
    GIVES(601, code);
    CHECK(count > 4);
    OK(nyro_commit(tx, NULL, NULL));
    c = collection_of(db, "c");
    CHECK(count_of(c) == (uint64_t)count - 1);
    free(document);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void *wait_for_the_turn(void *given) {
    nyro_db db = *(nyro_db *)given;
    nyro_transaction tx;
    GIVES(302, nyro_begin(db, &tx, NULL));
    CHECK(tx == 0);
    nyro_collection c = collection_of(db, "c");
    GIVES(302, nyro_put(c, BYTES(DOCUMENT), NULL, NULL));
    CHECK(count_of(c) == 0);
    OK(nyro_collection_release(c, NULL));
    return NULL;
}

static void the_turn_that_does_not_come(void) {
    nyro_options options;
    nyro_db db;
    OK(nyro_options_init(&options, sizeof options, NULL));
    options.writer_timeout_ms = 30;
    OK(nyro_open(TEXT(":memory:"), &options, &db, NULL));
    nyro_transaction tx = begin(db);
    join(start(wait_for_the_turn, &db));
    OK(nyro_commit(tx, NULL, NULL));
    close_db(db);
}

static void *close_in_a_thread(void *given) {
    close_db(*(nyro_db *)given);
    return NULL;
}

/* Closing waits for a transaction of another thread; its commit counts. */
static void closing_waits_for_another_thread(void) {
    nyro_db db = open_file("x"), closing = db;
    nyro_transaction tx = begin(db);
    nyro_collection c = collection_of(tx, "c");
    fill(c, 5);
    pthread_t thread = start(close_in_a_thread, &closing);
    usleep(50000);
    uint32_t put = nyro_put(c, BYTES(DOCUMENT), NULL, NULL), committed = nyro_commit(tx, NULL, NULL);
    join(thread);
    CHECK(put == 0 && committed == 0);
    db = open_file("x");
    c = collection_of(db, "c");
    CHECK(count_of(c) == 6);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

const test_case TRANSACTION_CASES[] = {
    {"transaction_ended_twice", ended_twice},
    {"transaction_nested_writes", nested_writes},
    {"transaction_long_calls_inside", long_calls_inside},
    {"transaction_closing_with_one_open", closing_with_one_open},
    {"transaction_giving_up_inside", giving_up_inside},
    {"transaction_used_by_another_thread", used_by_another_thread},
    {"transaction_left_open_by_a_thread_that_ends", left_open_by_a_thread_that_ends},
    {"transactions_of_two_databases_at_once", two_databases_at_once},
    {"transaction_calls_that_are_not_for_its_collections", calls_that_are_not_for_its_collections},
    {"transaction_collections_opened_and_released_inside", collections_opened_and_released_inside},
    {"transaction_larger_than_it_may_be", larger_than_a_transaction_may_be},
    {"transaction_turn_that_does_not_come", the_turn_that_does_not_come},
    {"transaction_closing_waits_for_another_thread", closing_waits_for_another_thread},
    {NULL, NULL},
};
