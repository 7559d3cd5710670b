/* Documents and ids: cut off, changed, made of noise, far too deep. */
#include "misuse.h"

/* All calls that take a document. */
static void give_everywhere(nyro_collection c, const uint8_t *given, size_t bytes, uint32_t wanted) {
    uint8_t *document = exact(given, bytes);
    char *json;
    size_t json_bytes;
    nyro_insert_result result;
    uint32_t codes[] = {
        nyro_put(c, document, bytes, NULL, NULL),
        nyro_insert_one(c, document, bytes, NULL, NULL),
        nyro_replace_one(c, nyro_id_int(1), document, bytes, NULL, NULL),
        nyro_to_json(document, bytes, &json, &json_bytes, NULL),
        nyro_insert_many(c, document, bytes, &bytes, 1, 0, &result, NULL),
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (wanted != UINT32_MAX) GIVES(i == 4 ? 210 : wanted, codes[i]);
    nyro_insert_result_free(&result);
    nyro_id id;
    const uint32_t has_id = nyro_document_id(document, bytes, &id, NULL);
    CHECK(has_id == 0 || has_id == NYRO_INVALID_ID);
    nyro_id_free(&id);
    if (codes[3] == 0) {
        uint8_t *back;
        OK(nyro_from_json(json, json_bytes, &back, &json_bytes, NULL));
        nyro_free(back);
    }
    nyro_free(json);
    free(document);
}

static void documents_cut_off_at_every_byte(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    fill(c, 1);
    for (size_t bytes = 0; bytes < sizeof DOCUMENT - 1; bytes++)
        give_everywhere(c, (const uint8_t *)DOCUMENT, bytes, NYRO_MALFORMED_DOCUMENT);
    static const uint8_t LONG[] = "\x83\xa3_id\xd9\x03" "abc\xd9\x02k1\xc7\x03\x05" "abc\xda\0\x02k2\xdd\0\0\0\x02\xdf\0\0\0\x01\xa1"
                                  "a\xcf\0\0\0\0\0\0\0\1\xc6\0\0\0\x02xy";
    OK(nyro_put(c, LONG, sizeof LONG - 1, NULL, NULL));
    for (size_t bytes = 0; bytes < sizeof LONG - 1; bytes++) give_everywhere(c, LONG, bytes, NYRO_MALFORMED_DOCUMENT);
    CHECK(count_of(c) == 2);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void documents_with_every_byte_changed(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    uint8_t document[sizeof DOCUMENT - 1];
    for (size_t at = 0; at < sizeof document; at++) {
        for (unsigned byte = 0; byte < 256; byte += effort < 100 ? 13 : 1) {
            memcpy(document, DOCUMENT, sizeof document);
            document[at] = (uint8_t)byte;
            give_everywhere(c, document, sizeof document, UINT32_MAX);
        }
    }
    OK(nyro_verify(db, NULL, 0, NULL, NULL, NULL));
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void noise_as_documents_and_ids(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    uint64_t state = 42;
    for (int i = 0; i < times(20000); i++) {
        uint8_t noise[48];
        for (size_t j = 0; j < sizeof noise; j++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            noise[j] = (uint8_t)(state >> 56);
        }
        size_t bytes = noise[0] % sizeof noise;
        noise[1] = (uint8_t)(0x80 | (noise[1] & 3));
        give_everywhere(c, noise + 1, bytes, UINT32_MAX);
        uint8_t *id = exact(noise + 2, bytes % 40);
        size_t size;
        for (uint32_t kind = 0; kind < 9; kind++)
            nyro_get_into(c, (nyro_id){kind, noise[5], (int64_t)state, id, bytes % 40}, NULL, 0, &size, NULL);
        free(id);
    }
    OK(nyro_verify(db, NULL, 0, NULL, NULL, NULL));
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void lengths_that_are_not_there(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    fill(c, 1);
    static const struct {
        const char *bytes;
        size_t count;
    } LIES[] = {{TEXT("\xdf\xff\xff\xff\xff")},
                {TEXT("\xde\xff\xff")},
                {TEXT("\x8f\xa1" "a\xc0")},
                {TEXT("\x81\xa1" "a\xdd\xff\xff\xff\xff")},
                {TEXT("\x81\xa1" "a\xdd\x7f\xff\xff\xff\xc0\xc0")},
                {TEXT("\x81\xa1" "a\xdb\xff\xff\xff\xff")},
                {TEXT("\x81\xa1" "a\xc6\xff\xff\xff\xff")},
                {TEXT("\x81\xa1" "a\xc9\xff\xff\xff\xff\x05")},
                {TEXT("\x81\xa1" "a\xdf\xff\xff\xff\xff\xa1" "b")},
                {TEXT("\x81\xdb\xff\xff\xff\xff" "a")},
                {TEXT("\x81\xa3_id\xdb\xff\xff\xff\xff" "a")}};
    for (size_t i = 0; i < sizeof LIES / sizeof *LIES; i++)
        give_everywhere(c, (const uint8_t *)LIES[i].bytes, LIES[i].count, NYRO_MALFORMED_DOCUMENT);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

enum { LEVELS = 100000 };

/* Documents with 100 000 levels, on the stack of this thread. */
static void *deep_documents(void *given) {
    nyro_collection c = *(nyro_collection *)given;
    size_t bytes = 3 + 3 * (size_t)LEVELS;
    uint8_t *document = malloc(bytes);
    CHECK(document != NULL);
    memcpy(document, "\x81\xa1" "a", 3);
    memset(document + 3, 0x91, LEVELS);
    document[3 + LEVELS] = 0xc0;
    give_everywhere(c, document, 4 + LEVELS, NYRO_DOCUMENT_TOO_DEEP);
    give_everywhere(c, document, 3 + LEVELS, NYRO_DOCUMENT_TOO_DEEP);
    for (size_t i = 0; i < LEVELS; i++) memcpy(document + 3 * i, "\x81\xa1" "a", 3);
    document[3 * (size_t)LEVELS] = 0xc0;
    give_everywhere(c, document, 3 * (size_t)LEVELS + 1, NYRO_DOCUMENT_TOO_DEEP);
    size_t size;
    CHECK(nyro_get_into(c, nyro_id_msgpack(document, 8000), NULL, 0, &size, NULL) != 0);
    free(document);
    /* As JSON text. */
    char *json = malloc(6 * (size_t)LEVELS);
    CHECK(json != NULL);
    for (int shape = 0; shape < 2; shape++) {
        size_t length = 0;
        if (shape == 0) length = (size_t)sprintf(json, "{\"a\":");
        for (size_t i = 0; i < LEVELS; i++) {
            if (shape == 0) json[length++] = '[';
            else length += (size_t)sprintf(json + length, "{\"a\":");
        }
        uint8_t *back;
        CHECK(nyro_put_json(c, json, length, NULL, NULL) != 0);
        CHECK(nyro_insert_one_json(c, json, length, NULL, NULL) != 0);
        CHECK(nyro_from_json(json, length, &back, &size, NULL) != 0 && back == NULL);
        CHECK(nyro_get_into(c, nyro_id_json(json, 8000), NULL, 0, &size, NULL) != 0);
    }
    free(json);
    return NULL;
}

static void documents_100_000_levels_deep(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    fill(c, 1);
    deep_documents(&c);
    CHECK(count_of(c) == 1);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

/* A hundred levels, the most there may be, and a hundred thousand, on a small stack. */
static void *hundred_levels(void *given) {
    nyro_collection c = *(nyro_collection *)given;
    uint8_t document[512] = "\x82\xa3_id\x64\xa1" "a";
    size_t bytes = 8;
    for (int level = 2; level <= 100; level++) {
        memcpy(document + bytes, "\x81\xa1" "a", 3);
        bytes += 3;
    }
    document[bytes++] = 0xc0;
    OK(nyro_put(c, document, bytes, NULL, NULL));
    char *json;
    size_t size;
    OK(nyro_get_json(c, nyro_id_int(100), &json, &size, NULL));
    OK(nyro_put_json(c, json, size, NULL, NULL));
    nyro_free(json);
    deep_documents(given);
    return NULL;
}

static void deep_documents_on_a_small_stack(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    fill(c, 1);
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 256 << 10) == 0);
    CHECK(pthread_create(&thread, &attributes, hundred_levels, &c) == 0);
    join(thread);
    pthread_attr_destroy(&attributes);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void json_cut_off_at_every_byte(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    static const char JSON[] = "{\"_id\":{\"$binary\":{\"base64\":\"AQI=\",\"subType\":\"00\"}},\"n\":-12.5e3,\"s\":\"a\\u00e9\\ud83d\\ude00\","
                               "\"d\":{\"$date\":\"2024-01-02T03:04:05Z\"},\"a\":[true,null,{\"$numberLong\":\"5\"}]}";
    for (size_t bytes = 0; bytes < sizeof JSON - 1; bytes++) {
        char *text = (char *)exact(JSON, bytes);
        uint8_t *document;
        size_t size;
        CHECK(nyro_put_json(c, text, bytes, NULL, NULL) != 0);
        CHECK(nyro_insert_one_json(c, text, bytes, NULL, NULL) != 0);
        CHECK(nyro_from_json(text, bytes, &document, &size, NULL) != 0 && document == NULL && size == 0);
        free(text);
    }
    OK(nyro_put_json(c, JSON, sizeof JSON - 1, NULL, NULL));
    static const char *const WRONG[] = {"[]", "1", "null", "\"a\"", "{}{}", "{\"a\":1,\"a\":2}", "{\"a\":1e999}", "{\"a\":99999999999999999999}", "{\"a\":\"\\ud800\"}",
                                        "{a:1}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":NaN}", "{\"a\":\"\n\"}", "{\"a\":{\"$date\":\"x\"}}", "{\"a\":{\"$numberLong\":\"x\"}}",
                                        "{\"a\":{\"$binary\":{\"base64\":\"*\",\"subType\":\"00\"}}}", "{\"a\":{\"$ext\":{\"type\":999,\"base64\":\"\"}}}"};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) CHECK(nyro_put_json(c, WRONG[i], strlen(WRONG[i]), NULL, NULL) != 0);
    CHECK(nyro_put_json(c, TEXT("{\"a\":1\0}"), NULL, NULL) != 0);
    CHECK(count_of(c) == 1);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

/* All calls that take an id. */
static void give_id_everywhere(nyro_db db, nyro_id id, uint32_t wanted) {
    nyro_snapshot snapshot = snapshot_of(db);
    nyro_collection c = collection_of(db, "c"), frozen = collection_of(snapshot, "c");
    uint8_t *data;
    const uint8_t *lent;
    char *json;
    size_t bytes, ends[2];
    uint32_t number;
    nyro_id many[2] = {nyro_id_int(1), id};
    GIVES(wanted, nyro_get(c, id, &data, &bytes, NULL));
    CHECK(data == NULL && bytes == 0);
    GIVES(wanted, nyro_get_into(c, id, NULL, 0, &bytes, NULL));
    GIVES(wanted, nyro_get_json(c, id, &json, &bytes, NULL));
    GIVES(wanted, nyro_get_borrowed(frozen, id, &lent, &bytes, NULL));
    GIVES(wanted, nyro_get_many(c, many, 2, &data, &bytes, ends, NULL));
    GIVES(wanted, nyro_contains(c, id, &number, NULL));
    GIVES(wanted, nyro_replace_one(c, id, BYTES(EMPTY), &number, NULL));
    GIVES(wanted, nyro_delete(c, id, &number, NULL));
    OK(nyro_collection_release(frozen, NULL));
    OK(nyro_snapshot_release(snapshot, NULL));
    OK(nyro_collection_release(c, NULL));
}

static void ids_that_are_none(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    fill(c, 2);
    static const uint32_t KINDS[] = {0, 7, 8, 255, UINT32_MAX};
    for (size_t i = 0; i < 5; i++) give_id_everywhere(db, (nyro_id){KINDS[i], 0, 1, "x", 1}, 204);
    for (uint32_t kind = NYRO_ID_STRING; kind <= NYRO_ID_JSON; kind++) {
        give_id_everywhere(db, (nyro_id){kind, 0, 1, NULL, 0}, 101);
        give_id_everywhere(db, (nyro_id){kind, 0, 1, NULL, 5}, 101);
    }
    char *text = malloc(10000);
    CHECK(text != NULL);
    memset(text, 'x', 10000);
    static const size_t LONG[] = {1025, 8192, 8193, 10000};
    for (size_t i = 0; i < 4; i++) {
        give_id_everywhere(db, nyro_id_string(text, LONG[i]), 204);
        give_id_everywhere(db, nyro_id_bytes(text, LONG[i]), 204);
    }
    free(text);
    static const struct {
        const char *bytes;
        size_t count;
    } PACKED[] = {{TEXT("\xc0")}, {TEXT("\xc3")}, {TEXT("\xcb\x3f\xf0\0\0\0\0\0\0")}, {TEXT("\xca\x3f\x80\0\0")}, {TEXT("\x90")}, {TEXT("\x80")}, {TEXT("\xd6\xff\0\0\0\0")}, {TEXT("\xd4\x05\0")}};
    for (size_t i = 0; i < sizeof PACKED / sizeof *PACKED; i++)
        give_id_everywhere(db, nyro_id_msgpack(PACKED[i].bytes, PACKED[i].count), 204);
    CHECK(count_of(c) == 2);
    size_t size;
    static const char *const TEXTS[] = {"", " ", "1.5", "1.0", "null", "true", "[1]", "{}", "1 2", "1,\"x\":2", "\"a", "99999999999999999999", "}", "nul", "{\"$date\":0}", "\"\\ud800\"", "1e3"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        CHECK(nyro_get_into(c, nyro_id_json(TEXTS[i], strlen(TEXTS[i])), NULL, 0, &size, NULL) != 0);
    static const char *const CUT[] = {"\xcd\0", "\xcf", "\xa5" "ab", "\xd9", "\xc4\x05" "ab", "\xc1", "\x01\x02", ""};
    for (size_t i = 0; i < sizeof CUT / sizeof *CUT; i++) {
        uint8_t *bytes = exact(CUT[i], strlen(CUT[i]));
        CHECK(nyro_get_into(c, nyro_id_msgpack(bytes, strlen(CUT[i])), NULL, 0, &size, NULL) != 0);
        free(bytes);
    }
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void ids_freed_twice(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    nyro_id id;
    OK(nyro_put_json(c, TEXT("{\"_id\":\"text\"}"), &id, NULL));
    CHECK(id.kind == NYRO_ID_STRING && id.bytes == 4 && memcmp(id.data, "text", 4) == 0);
    nyro_id_free(&id);
    CHECK(id.data == NULL && id.bytes == 0);
    nyro_id_free(&id);
    OK(nyro_put(c, BYTES(EMPTY), &id, NULL));
    CHECK(id.kind == NYRO_ID_INT && id.integer == 1 && id.data == NULL);
    nyro_id_free(&id);
    nyro_id_free(&id);
    memset(&id, 0xff, sizeof id);
    GIVES(201, nyro_put(c, BYTES("\xc1"), &id, NULL));
    CHECK(id.kind == 0 && id.data == NULL);
    nyro_id_free(&id);
    memset(&id, 0xff, sizeof id);
    GIVES(103, nyro_put(db ^ 1, BYTES(EMPTY), &id, NULL));
    CHECK(id.kind == 0 && id.data == NULL);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

static void documents_at_and_over_the_limit(void) {
    nyro_db db = open_memory();
    nyro_collection c = collection_of(db, "c");
    size_t limit = 16 << 20, head = 5 + 1 + 2 + 5;
    uint8_t *document = calloc(1, limit + 1);
    CHECK(document != NULL);
    memcpy(document, "\x82\xa3_id\x05\xa1" "b\xc6", 9);
    for (size_t over = 0; over < 2; over++) {
        size_t bytes = limit + over - head;
        for (int i = 0; i < 4; i++) document[9 + i] = (uint8_t)(bytes >> (24 - 8 * i));
        GIVES(over == 0 ? 0 : 202, nyro_put(c, document, limit + over, NULL, NULL));
    }
    CHECK(size_of(c, 5) == limit);
    free(document);
    OK(nyro_collection_release(c, NULL));
    close_db(db);
}

const test_case DOCUMENT_CASES[] = {
    {"documents_cut_off_at_every_byte", documents_cut_off_at_every_byte},
    {"documents_with_every_byte_changed", documents_with_every_byte_changed},
    {"noise_as_documents_and_ids", noise_as_documents_and_ids},
    {"lengths_that_are_not_there", lengths_that_are_not_there},
    {"documents_100_000_levels_deep", documents_100_000_levels_deep},
    {"deep_documents_on_a_small_stack", deep_documents_on_a_small_stack},
    {"json_cut_off_at_every_byte", json_cut_off_at_every_byte},
    {"ids_that_are_none", ids_that_are_none},
    {"ids_freed_twice", ids_freed_twice},
    {"documents_at_and_over_the_limit", documents_at_and_over_the_limit},
    {NULL, NULL},
};
