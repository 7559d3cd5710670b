/* The first ten minutes with NyroDB from C.
 *
 *   cc -Iinclude examples/c/quickstart.c -Ltarget/release -lnyro -o quickstart
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nyro.h"

/* Ends the program with the message of the error, if there is one. */
static void check(uint32_t code, const nyro_error *error) {
    if (code != NYRO_OK) {
        fprintf(stderr, "%s (%u): %s\n", nyro_error_name(code), (unsigned)code, error->message);
        exit(1);
    }
}

/* Ends the program if something is not as this example says. */
static void expect(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "not as expected: %s\n", what);
        exit(1);
    }
}

/* Prints the document with this id, and says whether there is one. */
static int print_user(nyro_db db, const char *id) {
    nyro_error error;
    char *json;
    size_t json_bytes;
    check(nyro_get_json(db, "users", 5, id, strlen(id), &json, &json_bytes, &error), &error);
    if (json == NULL) {
        printf("user %s: not there\n", id);
        return 0;
    }
    printf("user %s: %.*s\n", id, (int)json_bytes, json);
    nyro_free(json);
    return 1;
}

int main(void) {
    static const char ada[] = "{\"_id\": 1, \"name\": \"Ada\"}";
    /* {"_id": "grace", "name": "Grace"} as MessagePack. */
    static const uint8_t grace[] = "\x82\xa3_id\xa5grace\xa4name\xa5Grace";
    static const uint8_t grace_id[] = "\xa5grace";
    nyro_error error;
    nyro_options options;
    nyro_db db;
    uint8_t *document;
    size_t document_bytes;
    uint32_t deleted;

    expect(nyro_abi_version() == NYRO_ABI_VERSION, "header and library belong together");

    check(nyro_options_init(&options, sizeof options, &error), &error);
    options.durability = NYRO_DURABILITY_SYNC;
    check(nyro_open(":memory:", 8, &options, &db, &error), &error);

    /* Documents are JSON or MessagePack, as you like. */
    check(nyro_put_json(db, "users", 5, ada, strlen(ada), NULL, NULL, &error), &error);
    check(nyro_put(db, "users", 5, grace, sizeof grace - 1, NULL, NULL, &error), &error);
    expect(print_user(db, "1"), "Ada is there");
    expect(print_user(db, "\"grace\""), "Grace is there");
    check(nyro_get(db, "users", 5, grace_id, sizeof grace_id - 1, &document, &document_bytes, &error), &error);
    expect(document_bytes == sizeof grace - 1 && memcmp(document, grace, document_bytes) == 0, "the same bytes");
    nyro_free(document);

    check(nyro_delete_json(db, "users", 5, "1", 1, &deleted, &error), &error);
    expect(deleted == 1, "Ada was deleted");
    expect(!print_user(db, "1"), "Ada is gone");

    /* What is wrong is said, with a stable number and a message. */
    expect(nyro_put_json(db, "users", 5, "{\"_id\":", 7, NULL, NULL, &error) != NYRO_OK, "half a document is refused");
    printf("error %u: %s\n", (unsigned)error.code, error.message);

    check(nyro_close(db, &error), &error);
    expect(nyro_close(db, &error) == NYRO_CLOSED, "a closed handle is an error, not a crash");
    return 0;
}
