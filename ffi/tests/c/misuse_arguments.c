/* Wrong arguments: null, huge, misaligned, of a wrong size, not UTF-8. */
#include "misuse.h"

#include <fcntl.h>
#include <sys/stat.h>

static const char SOME[] = "some bytes";

/* Calls with null where there must be something: all are NYRO_INVALID_ARGUMENT. */
static void null_out_parameters(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    fill(c, 3);
    nyro_snapshot snapshot = snapshot_of(db);
    nyro_scan scan = scan_of(c);
    uint8_t *data;
    const uint8_t *lent;
    char *json;
    size_t bytes, ends[1];
    uint8_t buffer[8];
    nyro_id id = nyro_id_int(1);
    GIVES(101, nyro_open(TEXT(":memory:"), NULL, NULL, NULL));
    GIVES(101, nyro_options_init(NULL, sizeof(nyro_options), NULL));
    GIVES(101, nyro_collection_open(db, TEXT("c"), NULL, NULL));
    GIVES(101, nyro_get(c, id, NULL, &bytes, NULL));
    GIVES(101, nyro_get(c, id, &data, NULL, NULL));
    CHECK(data == NULL);
    GIVES(101, nyro_get(c, id, NULL, NULL, NULL));
    GIVES(101, nyro_get_into(c, id, buffer, sizeof buffer, NULL, NULL));
    nyro_collection frozen = collection_of(snapshot, "c");
    GIVES(101, nyro_get_borrowed(frozen, id, NULL, &bytes, NULL));
    GIVES(101, nyro_get_borrowed(frozen, id, &lent, NULL, NULL));
    GIVES(101, nyro_get_json(c, id, NULL, &bytes, NULL));
    GIVES(101, nyro_get_json(c, id, &json, NULL, NULL));
    GIVES(101, nyro_get_many(c, &id, 1, NULL, &bytes, ends, NULL));
    GIVES(101, nyro_get_many(c, &id, 1, &data, NULL, ends, NULL));
    GIVES(101, nyro_get_many(c, &id, 1, &data, &bytes, NULL, NULL));
    GIVES(101, nyro_contains(c, id, NULL, NULL));
    GIVES(101, nyro_count(c, NULL, NULL));
    GIVES(101, nyro_scan_open(c, 0, NULL, NULL));
    GIVES(101, nyro_scan_next(scan, NULL, &bytes, NULL));
    GIVES(101, nyro_scan_next(scan, &lent, NULL, NULL));
    GIVES(101, nyro_scan_batch(scan, buffer, sizeof buffer, ends, 1, NULL, NULL));
    GIVES(101, nyro_scan_token(scan, NULL, NULL));
    GIVES(101, nyro_to_json(BYTES(DOCUMENT), NULL, &bytes, NULL));
    GIVES(101, nyro_document_id(BYTES(DOCUMENT), NULL, NULL));
    GIVES(101, nyro_to_json(BYTES(DOCUMENT), &json, NULL, NULL));
    GIVES(101, nyro_from_json(TEXT("{}"), NULL, &bytes, NULL));
    GIVES(101, nyro_from_json(TEXT("{}"), &data, NULL, NULL));
    GIVES(101, nyro_stats(db, 0, NULL, &bytes, NULL));
    GIVES(101, nyro_stats(db, 0, &data, NULL, NULL));
    GIVES(101, nyro_collection_names(db, 0, NULL, NULL, NULL));
    GIVES(101, nyro_backups(db, 0, NULL, NULL, NULL));
    GIVES(101, nyro_begin(db, NULL, NULL));
    GIVES(101, nyro_snapshot_take(db, NULL, NULL));
    GIVES(101, nyro_snapshot_commit(snapshot, NULL, NULL));
    GIVES(101, nyro_cancel_new(NULL, NULL));
    CHECK(count_of(c) == 3);
    OK(nyro_scan_close(scan, NULL));
    OK(nyro_collection_release(frozen, NULL));
    OK(nyro_collection_release(c, NULL));
    OK(nyro_snapshot_release(snapshot, NULL));
    close_db(db);
}

/* Null that is allowed. */
static void optional_out_parameters_may_be_null(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    OK(nyro_put(c, BYTES(DOCUMENT), NULL, NULL));
    OK(nyro_put_json(c, TEXT("{\"_id\":\"x\"}"), NULL, NULL));
    OK(nyro_insert_one(c, BYTES(EMPTY), NULL, NULL));
    OK(nyro_insert_one_json(c, TEXT("{}"), NULL, NULL));
    size_t ends[2] = {1, 2};
    OK(nyro_insert_many(c, BYTES(EMPTY EMPTY), ends, 2, NYRO_INSERT_IDS, NULL, NULL));
    OK(nyro_insert_many(c, NULL, 0, NULL, 0, NYRO_INSERT_IDS, NULL, NULL));
    GIVES(210, nyro_insert_many(c, BYTES("\xc1" EMPTY), ends, 2, NYRO_INSERT_IDS, NULL, NULL));
    OK(nyro_replace_one(c, nyro_id_int(7), BYTES(EMPTY), NULL, NULL));
    OK(nyro_delete(c, nyro_id_int(7), NULL, NULL));
    OK(nyro_create_collection(db, TEXT("d"), NULL));
    OK(nyro_drop_collection(db, TEXT("d"), NULL, NULL));
    OK(nyro_verify(db, NULL, 0, NULL, NULL, NULL));
    OK(nyro_compact(db, NULL, 0, NULL, NULL, NULL));
    OK(nyro_warm_up(db, 0, NULL, 0, NULL, NULL, NULL));
    OK(nyro_backup(db, TEXT("b"), NULL, NULL, 0, NULL, NULL, NULL));
    uint8_t *report = (uint8_t *)db;
    OK(nyro_verify(db, NULL, 0, &report, NULL, NULL));
    CHECK(report == NULL);
    nyro_transaction tx;
    OK(nyro_begin(db, &tx, NULL));
    OK(nyro_commit(tx, NULL, NULL));
    nyro_free(NULL);
    nyro_id_free(NULL);
    nyro_insert_result_free(NULL);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void null_data(void) {
    nyro_db db = open_memory(), other;
    nyro_collection c = collection_of(db, "c"), made;
    uint8_t *data;
    char *json;
    size_t bytes;
    for (size_t length = 0; length <= 8; length += 4) {
        GIVES(101, nyro_open(NULL, length, NULL, &other, NULL));
        GIVES(101, nyro_collection_open(db, NULL, length, &made, NULL));
        CHECK(other == 0 && made == 0);
        GIVES(101, nyro_put(c, NULL, length, NULL, NULL));
        GIVES(101, nyro_put_json(c, NULL, length, NULL, NULL));
        GIVES(101, nyro_insert_one(c, NULL, length, NULL, NULL));
        GIVES(101, nyro_insert_one_json(c, NULL, length, NULL, NULL));
        GIVES(101, nyro_replace_one(c, nyro_id_int(1), NULL, length, NULL, NULL));
        GIVES(101, nyro_to_json(NULL, length, &json, &bytes, NULL));
        nyro_id id;
        GIVES(101, nyro_document_id(NULL, length, &id, NULL));
        GIVES(101, nyro_from_json(NULL, length, &data, &bytes, NULL));
        GIVES(101, nyro_create_collection(db, NULL, length, NULL));
        GIVES(101, nyro_rename_collection(db, NULL, length, TEXT("x"), NULL));
        GIVES(101, nyro_rename_collection(db, TEXT("x"), NULL, length, NULL));
        GIVES(101, nyro_drop_collection(db, NULL, length, NULL, NULL));
        GIVES(101, nyro_backup(db, NULL, length, NULL, NULL, 0, NULL, NULL, NULL));
        GIVES(101, nyro_restore(NULL, length, NULL, 0, 0, NULL, 0, NULL, NULL, NULL));
        GIVES(101, nyro_repair(NULL, length, TEXT("x"), 0, NULL, 0, NULL, NULL, NULL));
        GIVES(101, nyro_repair(TEXT("x"), NULL, length, 0, NULL, 0, NULL, NULL, NULL));
    }
    GIVES(101, nyro_get_into(c, nyro_id_int(1), NULL, 8, &bytes, NULL));
    GIVES(101, nyro_get_many(c, NULL, 1, &data, &bytes, &bytes, NULL));
    size_t end = 1;
    GIVES(101, nyro_insert_many(c, NULL, 1, &end, 1, 0, NULL, NULL));
    GIVES(101, nyro_insert_many(c, BYTES(EMPTY), NULL, 1, 0, NULL, NULL));
    GIVES(101, nyro_restore(TEXT("x"), NULL, 1, 0, NULL, 0, NULL, NULL, NULL));
    nyro_text none = {NULL, 1};
    GIVES(101, nyro_restore(TEXT("x"), &none, 1, 0, NULL, 0, NULL, NULL, NULL));
    nyro_scan scan = scan_of(c);
    nyro_batch batch;
    GIVES(101, nyro_scan_batch(scan, NULL, 8, &bytes, 1, &batch, NULL));
    GIVES(101, nyro_scan_batch(scan, (uint8_t *)&bytes, sizeof bytes, NULL, 1, &batch, NULL));
    OK(nyro_scan_close(scan, NULL));
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

/* Lengths that no memory can have are refused before anything is read. */
static void huge_lengths(void) {
    nyro_db db = open_memory(), other;
    nyro_collection c = collection_of(db, "c"), made;
    uint8_t *data = (uint8_t *)(uintptr_t)SOME;
    char *json;
    size_t bytes;
    static const size_t HUGE_ONES[] = {SIZE_MAX, SIZE_MAX - 7, (size_t)1 << 63, ((size_t)1 << 63) + 1};
    for (size_t i = 0; i < 4; i++) {
        size_t huge = HUGE_ONES[i];
        GIVES(101, nyro_open(SOME, huge, NULL, &other, NULL));
        GIVES(101, nyro_collection_open(db, SOME, huge, &made, NULL));
        GIVES(101, nyro_put(c, data, huge, NULL, NULL));
        GIVES(101, nyro_put_json(c, SOME, huge, NULL, NULL));
        GIVES(101, nyro_insert_one(c, data, huge, NULL, NULL));
        GIVES(101, nyro_insert_one_json(c, SOME, huge, NULL, NULL));
        GIVES(101, nyro_replace_one(c, nyro_id_int(1), data, huge, NULL, NULL));
        GIVES(101, nyro_to_json(data, huge, &json, &bytes, NULL));
        uint8_t *given;
        GIVES(101, nyro_from_json(SOME, huge, &given, &bytes, NULL));
        GIVES(101, nyro_create_collection(db, SOME, huge, NULL));
        GIVES(101, nyro_rename_collection(db, SOME, huge, SOME, huge, NULL));
        GIVES(101, nyro_drop_collection(db, SOME, huge, NULL, NULL));
        GIVES(101, nyro_backup(db, SOME, huge, NULL, NULL, 0, NULL, NULL, NULL));
        GIVES(101, nyro_restore(SOME, huge, NULL, 0, 0, NULL, 0, NULL, NULL, NULL));
        GIVES(101, nyro_repair(SOME, huge, SOME, huge, 0, NULL, 0, NULL, NULL, NULL));
        nyro_text text = {SOME, huge};
        GIVES(101, nyro_restore(TEXT("x"), &text, 1, 0, NULL, 0, NULL, NULL, NULL));
        nyro_backup_options named = {.struct_bytes = sizeof named, .name = SOME, .name_bytes = huge};
        GIVES(101, nyro_backup(db, TEXT("x"), &named, NULL, 0, NULL, NULL, NULL));
        nyro_backup_options since = {.struct_bytes = sizeof since, .since = SOME, .since_bytes = huge};
        GIVES(101, nyro_backup(db, TEXT("x"), &since, NULL, 0, NULL, NULL, NULL));
        for (uint32_t kind = NYRO_ID_STRING; kind <= NYRO_ID_JSON; kind++) {
            nyro_id id = {kind, 0, 0, SOME, huge};
            GIVES(204, nyro_get_into(c, id, NULL, 0, &bytes, NULL));
            GIVES(204, nyro_delete(c, id, NULL, NULL));
        }
    }
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void huge_counts(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    nyro_scan scan = scan_of(c);
    nyro_id id = nyro_id_int(1);
    uint8_t *data;
    size_t bytes, ends[2] = {0};
    nyro_text text = {TEXT("x")};
    nyro_batch batch;
    static const size_t HUGE_ONES[] = {SIZE_MAX, SIZE_MAX / 8, SIZE_MAX / 16, (size_t)1 << 61, (size_t)1 << 60};
    for (size_t i = 0; i < 5; i++) {
        GIVES(101, nyro_get_many(c, &id, HUGE_ONES[i], &data, &bytes, ends, NULL));
        GIVES(101, nyro_insert_many(c, BYTES(EMPTY), ends, HUGE_ONES[i], 0, NULL, NULL));
        GIVES(101, nyro_restore(TEXT("t"), &text, HUGE_ONES[i], 0, NULL, 0, NULL, NULL, NULL));
        /* One of them is just possible; nothing is written there. */
        uint32_t code = nyro_scan_batch(scan, (uint8_t *)&bytes, 8, ends, HUGE_ONES[i], &batch, NULL);
        CHECK(code == 101 || (i == 2 && code == 0 && batch.documents == 0));
    }
    GIVES(101, nyro_scan_batch(scan, (uint8_t *)&bytes, SIZE_MAX, ends, 1, &batch, NULL));
    GIVES(101, nyro_get_into(c, id, (uint8_t *)&bytes, SIZE_MAX, &bytes, NULL));
    GIVES(101, nyro_insert_many(c, BYTES(EMPTY), ends, 0, 8, NULL, NULL));
    OK(nyro_scan_close(scan, NULL));
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void misaligned_pointers(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    OK(nyro_put(c, BYTES(DOCUMENT), NULL, NULL));
    static _Alignas(16) uint8_t room[2048];
    for (size_t by = 1; by < 8; by++) {
        void *odd = room + by;
        size_t bytes;
        uint8_t *data;
        if (by % 4 != 0) {
            memset(room, 0, sizeof room);
            room[by] = sizeof(nyro_options);
            nyro_db other;
            GIVES(101, nyro_open(TEXT(":memory:"), odd, &other, NULL));
            GIVES(101, nyro_verify(db, odd, 0, NULL, NULL, NULL));
            GIVES(101, nyro_backup(db, TEXT("x"), odd, NULL, 0, NULL, NULL, NULL));
        }
        GIVES(101, nyro_get_many(c, odd, 1, &data, &bytes, &bytes, NULL));
        nyro_id id = nyro_id_int(7);
        GIVES(101, nyro_get_many(c, &id, 1, &data, &bytes, odd, NULL));
        GIVES(101, nyro_insert_many(c, BYTES(EMPTY), odd, 1, 0, NULL, NULL));
        GIVES(101, nyro_restore(TEXT("t"), odd, 1, 0, NULL, 0, NULL, NULL, NULL));
        /* What is given out may go anywhere that can be written. */
        OK(nyro_count(c, odd, NULL));
        OK(nyro_get(c, id, odd, (size_t *)(void *)(room + 64 + by), NULL));
        memcpy(&data, odd, sizeof data);
        CHECK(data != NULL && data[0] == 0x84);
        nyro_free(data);
        GIVES(102, nyro_create_collection(db, TEXT("$"), odd));
        OK(nyro_put(c, BYTES(EMPTY), odd, NULL));
        OK(nyro_insert_many(c, NULL, 0, NULL, 0, NYRO_INSERT_IDS, odd, NULL));
        nyro_insert_result_free(odd);
        OK(nyro_options_init(odd, sizeof(nyro_options), NULL));
    }
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void options_of_a_wrong_size(void) {
    nyro_options options;
    nyro_db db;
    nyro_error error;
    static const size_t SIZES[] = {0, 1, 3, 4, 8, sizeof options - 8, sizeof options - 1, sizeof options + 1, 4096, UINT32_MAX};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        GIVES(101, nyro_options_init(&options, SIZES[i], &error));
        OK(nyro_options_init(&options, sizeof options, NULL));
        options.struct_bytes = (uint32_t)SIZES[i];
        GIVES(101, nyro_open(TEXT(":memory:"), &options, &db, &error));
        CHECK(db == 0 && strstr(error.message, "struct_bytes") != NULL);
        nyro_db memory = open_memory();
        nyro_control control = {.struct_bytes = (uint32_t)SIZES[i]};
        if (SIZES[i] != sizeof control) {
            GIVES(101, nyro_verify(memory, &control, 0, NULL, NULL, NULL));
            GIVES(101, nyro_compact(memory, &control, 0, NULL, NULL, NULL));
            GIVES(101, nyro_warm_up(memory, 0, &control, 0, NULL, NULL, NULL));
            GIVES(101, nyro_backup(memory, TEXT("x"), NULL, &control, 0, NULL, NULL, NULL));
            GIVES(101, nyro_restore(TEXT("x"), NULL, 0, 0, &control, 0, NULL, NULL, NULL));
            GIVES(101, nyro_repair(TEXT("x"), TEXT("y"), 0, &control, 0, NULL, NULL, NULL));
        }
        nyro_backup_options backup = {.struct_bytes = (uint32_t)SIZES[i]};
        if (SIZES[i] != sizeof backup) GIVES(101, nyro_backup(memory, TEXT("x"), &backup, NULL, 0, NULL, NULL, NULL));
        close_db(memory);
    }
    CHECK(access("x", F_OK) != 0);
}

static void options_out_of_range(void) {
    nyro_options options;
    nyro_db db;
    memset(&options, 0xff, sizeof options);
    GIVES(101, nyro_open(TEXT("x"), &options, &db, NULL));
    options.struct_bytes = sizeof options;
    GIVES(101, nyro_open(TEXT("x"), &options, &db, NULL));
#define WRONG(field, wrong_value) \
    OK(nyro_options_init(&options, sizeof options, NULL)); \
    options.field = (wrong_value); \
    GIVES(101, nyro_open(TEXT("x"), &options, &db, NULL)); \
    CHECK(db == 0 && access("x", F_OK) != 0)
    WRONG(durability, 3);
    WRONG(durability, UINT32_MAX);
    WRONG(read_mode, 2);
    WRONG(reserved, 1);
    WRONG(cache_bytes, 0);
    WRONG(cache_bytes, 65535);
    WRONG(log_max_bytes, 0);
    WRONG(max_document_bytes, 0);
    WRONG(max_document_bytes, UINT64_MAX);
#undef WRONG
    nyro_db memory = open_memory();
    nyro_control control = {.struct_bytes = sizeof control, .reserved = 1};
    GIVES(101, nyro_verify(memory, &control, 0, NULL, NULL, NULL));
    close_db(memory);
    /* All that are in their range, at their ends. */
    OK(nyro_options_init(&options, sizeof options, NULL));
    options.cache_bytes = UINT64_MAX;
    options.log_max_bytes = 16384;
    options.writer_timeout_ms = UINT64_MAX;
    options.snapshot_max_age_ms = UINT64_MAX;
    options.durability = NYRO_DURABILITY_INTERVAL;
    options.interval_ms = UINT32_MAX;
    OK(nyro_open(TEXT("x"), &options, &db, NULL));
    nyro_collection c = collection_of(db, "c");
    fill(c, 10);
    OK(nyro_snapshot_release(snapshot_of(db), NULL));
    OK(nyro_collection_release(c, NULL));
    close_db(db);
    OK(nyro_options_init(&options, sizeof options, NULL));
    options.durability = NYRO_DURABILITY_INTERVAL;
    options.interval_ms = 0;
    options.writer_timeout_ms = 0;
    OK(nyro_open(TEXT("x"), &options, &db, NULL));
    c = collection_of(db, "c");
    fill(c, 10);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

/* A format that is none; the out-parameters, which hold something, are null and 0 afterwards. */
#define NO_FORMAT(call) \
    do { \
        data = (uint8_t *)&data; \
        bytes = 7; \
        GIVES(101, call); \
        CHECK(data == NULL && bytes == 0); \
    } while (0)

static void formats_that_are_none(void) {
    nyro_db db = open_file("x");
    uint8_t *data;
    size_t bytes;
    const nyro_text backups[] = {{TEXT("full")}};
    OK(nyro_backup(db, TEXT("full"), NULL, NULL, 0, NULL, NULL, NULL));
    for (uint32_t format = 2; format != 0; format = format == UINT32_MAX ? 0 : format * 2 + 1) {
        NO_FORMAT(nyro_stats(db, format, &data, &bytes, NULL));
        NO_FORMAT(nyro_collection_names(db, format, &data, &bytes, NULL));
        NO_FORMAT(nyro_backups(db, format, &data, &bytes, NULL));
        NO_FORMAT(nyro_verify(db, NULL, format, &data, &bytes, NULL));
        NO_FORMAT(nyro_compact(db, NULL, format, &data, &bytes, NULL));
        NO_FORMAT(nyro_warm_up(db, 0, NULL, format, &data, &bytes, NULL));
        NO_FORMAT(nyro_backup(db, TEXT("b"), NULL, NULL, format, &data, &bytes, NULL));
        NO_FORMAT(nyro_restore(TEXT("r"), backups, 1, 0, NULL, format, &data, &bytes, NULL));
        NO_FORMAT(nyro_repair(TEXT("full"), TEXT("r"), 0, NULL, format, &data, &bytes, NULL));
        CHECK(access("b", F_OK) != 0 && access("r", F_OK) != 0);
    }
    close_db(db);
}

static const char *const NOT_UTF8[] = {"\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "abc\xfe" "def"};

static void text_that_is_not_utf8(void) {
    nyro_db db = open_memory(), other;
    nyro_collection c = collection_of(db, "c"), made;
    uint8_t *data;
    size_t bytes;
    for (size_t i = 0; i < sizeof NOT_UTF8 / sizeof *NOT_UTF8; i++) {
        const char *bad = NOT_UTF8[i];
        size_t n = strlen(bad);
        GIVES(101, nyro_open(bad, n, NULL, &other, NULL));
        GIVES(101, nyro_collection_open(db, bad, n, &made, NULL));
        GIVES(101, nyro_create_collection(db, bad, n, NULL));
        GIVES(101, nyro_rename_collection(db, bad, n, TEXT("x"), NULL));
        GIVES(101, nyro_rename_collection(db, TEXT("x"), bad, n, NULL));
        GIVES(101, nyro_drop_collection(db, bad, n, NULL, NULL));
        GIVES(101, nyro_put_json(c, bad, n, NULL, NULL));
        GIVES(101, nyro_insert_one_json(c, bad, n, NULL, NULL));
        GIVES(101, nyro_from_json(bad, n, &data, &bytes, NULL));
        GIVES(101, nyro_get_into(c, nyro_id_string(bad, n), NULL, 0, &bytes, NULL));
        GIVES(101, nyro_get_into(c, nyro_id_json(bad, n), NULL, 0, &bytes, NULL));
        GIVES(101, nyro_backup(db, bad, n, NULL, NULL, 0, NULL, NULL, NULL));
        nyro_backup_options named = {.struct_bytes = sizeof named, .name = bad, .name_bytes = n};
        GIVES(101, nyro_backup(db, TEXT("x"), &named, NULL, 0, NULL, NULL, NULL));
        nyro_backup_options since = {.struct_bytes = sizeof since, .since = bad, .since_bytes = n};
        GIVES(101, nyro_backup(db, TEXT("x"), &since, NULL, 0, NULL, NULL, NULL));
        GIVES(101, nyro_restore(bad, n, NULL, 0, 0, NULL, 0, NULL, NULL, NULL));
        nyro_text text = {bad, n};
        GIVES(101, nyro_restore(TEXT("x"), &text, 1, 0, NULL, 0, NULL, NULL, NULL));
        GIVES(101, nyro_repair(bad, n, TEXT("x"), 0, NULL, 0, NULL, NULL, NULL));
        GIVES(101, nyro_repair(TEXT("x"), bad, n, 0, NULL, 0, NULL, NULL, NULL));
        char document[32] = "\x81\xa1" "a";
        document[3] = (char)(0xa0 | n);
        memcpy(document + 4, bad, n);
        GIVES(201, nyro_put(c, (uint8_t *)document, 4 + n, NULL, NULL));
    }
    CHECK(count_of(c) == 0);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void paths_of_every_bad_kind(void) {
    nyro_db db;
    char *long_path = malloc(100000);
    CHECK(long_path != NULL && mkdir("directory", 0700) == 0 && mkdir("closed", 0) == 0);
    memset(long_path, 'x', 100000);
    CHECK(nyro_open(TEXT(""), NULL, &db, NULL) != 0 && db == 0);
    CHECK(nyro_open(TEXT("a\0b"), NULL, &db, NULL) != 0 && db == 0);
    CHECK(nyro_open(TEXT("directory"), NULL, &db, NULL) != 0 && db == 0);
    CHECK(nyro_open(TEXT("directory/"), NULL, &db, NULL) != 0 && db == 0);
    CHECK(nyro_open(TEXT("nowhere/x"), NULL, &db, NULL) != 0 && db == 0);
    CHECK(nyro_open(TEXT("/dev/null"), NULL, &db, NULL) != 0 && db == 0);
    CHECK(nyro_open(TEXT("/"), NULL, &db, NULL) != 0 && db == 0);
    CHECK(nyro_open(TEXT("."), NULL, &db, NULL) != 0 && db == 0);
    CHECK(nyro_open(TEXT(".."), NULL, &db, NULL) != 0 && db == 0);
    CHECK(nyro_open(long_path, 300, NULL, &db, NULL) != 0 && db == 0);
    CHECK(nyro_open(long_path, 100000, NULL, &db, NULL) != 0 && db == 0);
    CHECK(mkfifo("pipe", 0600) == 0 && nyro_open(TEXT("pipe"), NULL, &db, NULL) != 0 && db == 0);
    db = open_memory();
    CHECK(nyro_backup(db, TEXT(""), NULL, NULL, 0, NULL, NULL, NULL) != 0);
    CHECK(nyro_backup(db, TEXT("a\0b"), NULL, NULL, 0, NULL, NULL, NULL) != 0);
    CHECK(nyro_backup(db, TEXT("directory"), NULL, NULL, 0, NULL, NULL, NULL) != 0);
    CHECK(nyro_backup(db, TEXT("nowhere/x"), NULL, NULL, 0, NULL, NULL, NULL) != 0);
    CHECK(nyro_backup(db, TEXT(":memory:"), NULL, NULL, 0, NULL, NULL, NULL) != 0);
    CHECK(nyro_backup(db, long_path, 5000, NULL, NULL, 0, NULL, NULL, NULL) != 0);
    nyro_text backups[2] = {{TEXT("directory")}, {TEXT("/dev/null")}};
    CHECK(nyro_restore(TEXT("x"), backups, 2, 0, NULL, 0, NULL, NULL, NULL) != 0);
    CHECK(nyro_restore(TEXT("x"), backups + 1, 1, 0, NULL, 0, NULL, NULL, NULL) != 0);
    CHECK(nyro_repair(TEXT("directory"), TEXT("x"), 0, NULL, 0, NULL, NULL, NULL) != 0);
    CHECK(nyro_repair(TEXT("nowhere"), TEXT("x"), 0, NULL, 0, NULL, NULL, NULL) != 0);
    CHECK(nyro_repair(TEXT("/dev/null"), TEXT("x"), 0, NULL, 0, NULL, NULL, NULL) != 0);
    CHECK(access("x", F_OK) != 0);
    close_db(db);
    free(long_path);
}

static void files_that_are_no_databases_stay_as_they_are(void) {
    static const char *const contents[] = {"a", "not a database at all, but a text of some length\n"};
    for (size_t i = 0; i < 2; i++) {
        FILE *file = fopen("text", "w");
        CHECK(file != NULL && fputs(contents[i], file) >= 0 && fclose(file) == 0);
        nyro_db db;
        GIVES(401, nyro_open(TEXT("text"), NULL, &db, NULL));
        nyro_text text = {TEXT("text")};
        CHECK(nyro_restore(TEXT("x"), &text, 1, 0, NULL, 0, NULL, NULL, NULL) != 0);
        db = open_memory();
        GIVES(101, nyro_backup(db, TEXT("text"), NULL, NULL, 0, NULL, NULL, NULL));
        close_db(db);
        char back[100] = {0};
        file = fopen("text", "r");
        CHECK(file != NULL && fread(back, 1, sizeof back, file) == strlen(contents[i]) && fclose(file) == 0);
        CHECK(strcmp(back, contents[i]) == 0);
    }
}

static void errors_are_filled_and_emptied(void) {
    nyro_db db = open_memory();
    nyro_error error;
    memset(&error, 0xff, sizeof error);
    GIVES(102, nyro_create_collection(db, TEXT("a\0b"), &error));
    CHECK(error.code == 102 && memchr(error.message, 0, sizeof error.message) != NULL && strlen(error.message) > 3);
    CHECK(strcmp(error.message, nyro_last_error_message()) == 0);
    OK(nyro_create_collection(db, TEXT("b"), &error));
    CHECK(error.code == 0 && error.message[0] == '\0');
    CHECK(strlen(nyro_last_error_message()) > 0);
    close_db(db);
    GIVES(103, nyro_sync(db, &error));
    CHECK(error.code == 103);
}

/* A message that is too long ends before a whole character, with its NUL. */
static void long_messages_are_cut_between_characters(void) {
    nyro_db db = open_memory();
    for (size_t shift = 0; shift < 4; shift++) {
        char name[4000];
        size_t bytes = shift;
        memset(name, 'x', shift);
        for (; bytes + 4 <= sizeof name; bytes += 4) memcpy(name + bytes, "\xf0\x9f\x98\x80", 4);
        nyro_error error;
        memset(&error, 0x55, sizeof error);
        GIVES(102, nyro_create_collection(db, name, bytes, &error));
        size_t length = strnlen(error.message, sizeof error.message);
        CHECK(length < sizeof error.message && length > NYRO_MESSAGE_BYTES - 8);
        size_t tail = 0;
        while (tail < 4 && ((unsigned char)error.message[length - 1 - tail] & 0xc0) == 0x80) tail++;
        CHECK(tail == 3 && (unsigned char)error.message[length - 4] == 0xf0);
    }
    close_db(db);
}

static void names_of_errors(void) {
    for (uint32_t code = 0; code < 1000; code++) CHECK(strlen(nyro_error_name(code)) > 0);
    CHECK(strcmp(nyro_error_name(205), "DuplicateId") == 0 && strcmp(nyro_error_name(0), "Ok") == 0);
    CHECK(strcmp(nyro_error_name(UINT32_MAX), "Unknown") == 0 && strcmp(nyro_error_name(112), "Unknown") == 0);
    CHECK(nyro_abi_version() == NYRO_ABI_VERSION && strlen(nyro_version()) >= 5);
}

static void flags_of_insert_many(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    size_t ends[2] = {1, 2};
    nyro_insert_result result;
    for (uint32_t flags = 8; flags != 0; flags <<= 1) {
        memset(&result, 0xff, sizeof result);
        GIVES(101, nyro_insert_many(c, BYTES(EMPTY EMPTY), ends, 2, flags, &result, NULL));
        CHECK(result.inserted == 0 && result.ids == NULL && result.failures == NULL);
        nyro_insert_result_free(&result);
    }
    OK(nyro_insert_many(c, BYTES(EMPTY EMPTY), ends, 2, 7, &result, NULL));
    CHECK(result.inserted == 2 && result.ids_bytes == 3);
    nyro_insert_result_free(&result);
    nyro_insert_result_free(&result);
    CHECK(result.ids == NULL && result.ids_bytes == 0);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void ends_of_documents_out_of_order(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    const size_t wrong[][3] = {{2, 1, 3}, {1, 2, 4}, {1, 2, SIZE_MAX}, {SIZE_MAX, 1, 3}, {4, 4, 4}, {3, 2, 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        GIVES(101, nyro_insert_many(c, BYTES(EMPTY EMPTY EMPTY), wrong[i], 3, 0, NULL, NULL));
    /* Empty documents are no documents, and no crash. */
    size_t empty[3] = {0, 1, 1};
    nyro_insert_result result;
    GIVES(210, nyro_insert_many(c, BYTES(EMPTY), empty, 3, NYRO_INSERT_UNORDERED, &result, NULL));
    CHECK(result.inserted == 1 && result.failures != NULL && result.failures[0] == 0x92);
    nyro_insert_result_free(&result);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

/* Nothing is written behind the caller's memory, however little it is. */
static void buffers_that_are_too_small(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    fill(c, 20);
    size_t needed = size_of(c, 1), bytes;
    for (size_t room = 0; room <= needed + 1; room++) {
        uint8_t *buffer = malloc(room + 1);
        CHECK(buffer != NULL);
        memset(buffer, 0xee, room + 1);
        OK(nyro_get_into(c, nyro_id_int(1), buffer, room, &bytes, NULL));
        CHECK(bytes == needed && buffer[room] == 0xee && (room >= needed || room == 0 || buffer[0] == 0xee));
        nyro_scan scan = scan_of(c);
        nyro_batch batch;
        size_t ends[3] = {77, 77, 77};
        OK(nyro_scan_batch(scan, buffer, room, ends, 2, &batch, NULL));
        CHECK(buffer[room] == 0xee && ends[2] == 77);
        if (room < needed) CHECK(batch.documents == 0 && batch.needed == needed && batch.ended == 0);
        else CHECK(batch.documents == 1 && ends[0] == needed && batch.bytes == needed);
        OK(nyro_scan_close(scan, NULL));
        free(buffer);
    }
    nyro_scan scan = scan_of(c);
    nyro_batch batch;
    GIVES(101, nyro_scan_batch(scan, NULL, 0, &bytes, 0, &batch, NULL));
    OK(nyro_scan_close(scan, NULL));
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void tokens_that_never_were(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    fill(c, 50);
    uint64_t token = 1;
    for (int i = 0; i < times(2000); i++) {
        token = token * 6364136223846793005u + 1442695040888963407u;
        uint64_t tried = i == 0 ? UINT64_MAX : i == 1 ? INT64_MAX : i == 2 ? (uint64_t)INT64_MAX + 1 : i < 64 ? (uint64_t)i : token;
        nyro_scan scan;
        if (nyro_scan_open(c, tried, &scan, NULL) != 0) continue;
        const uint8_t *document = NULL;
        size_t bytes;
        int found = 0;
        do {
            if (nyro_scan_next(scan, &document, &bytes, NULL) != 0) break;
            found++;
        } while (document != NULL);
        CHECK(found <= 51);
        OK(nyro_scan_close(scan, NULL));
    }
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

const test_case ARGUMENT_CASES[] = {
    {"null_out_parameters", null_out_parameters},
    {"optional_out_parameters_may_be_null", optional_out_parameters_may_be_null},
    {"null_data", null_data},
    {"huge_lengths", huge_lengths},
    {"huge_counts", huge_counts},
    {"misaligned_pointers", misaligned_pointers},
    {"options_of_a_wrong_size", options_of_a_wrong_size},
    {"options_out_of_range", options_out_of_range},
    {"formats_that_are_none", formats_that_are_none},
    {"text_that_is_not_utf8", text_that_is_not_utf8},
    {"paths_of_every_bad_kind", paths_of_every_bad_kind},
    {"files_that_are_no_databases_stay_as_they_are", files_that_are_no_databases_stay_as_they_are},
    {"errors_are_filled_and_emptied", errors_are_filled_and_emptied},
    {"long_messages_are_cut_between_characters", long_messages_are_cut_between_characters},
    {"names_of_errors", names_of_errors},
    {"flags_of_insert_many", flags_of_insert_many},
    {"ends_of_documents_out_of_order", ends_of_documents_out_of_order},
    {"buffers_that_are_too_small", buffers_that_are_too_small},
    {"tokens_that_never_were", tokens_that_never_were},
    {NULL, NULL},
};
