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
static int print_user(nyro_collection users, nyro_id id) {
    nyro_error error;
    char *json;
    size_t json_bytes;
    check(nyro_get_json(users, id, &json, &json_bytes, &error), &error);
    if (json == NULL) {
        printf("not there\n");
        return 0;
    }
    printf("%.*s\n", (int)json_bytes, json);
    nyro_free(json);
    return 1;
}

int main(void) {
    static const char ada[] = "{\"_id\": 1, \"name\": \"Ada\"}";
    /* {"_id": "grace", "name": "Grace"} as MessagePack. */
    static const uint8_t grace[] = "\x82\xa3_id\xa5grace\xa4name\xa5Grace";
    nyro_error error;
    nyro_options options;
    nyro_db db;
    nyro_collection users, in_transaction, in_snapshot;
    nyro_transaction transaction;
    nyro_snapshot snapshot;
    nyro_scan scan;
    const uint8_t *document;
    size_t document_bytes;
    uint64_t count;

    expect(nyro_abi_version() == NYRO_ABI_VERSION, "header and library belong together");

    check(nyro_options_init(&options, sizeof options, &error), &error);
    options.durability = NYRO_DURABILITY_SYNC;
    check(nyro_open(":memory:", 8, &options, &db, &error), &error); /* or a path: "app.nyro" */
    check(nyro_collection_open(db, "users", 5, &users, &error), &error);

    /* Documents are JSON or MessagePack, as you like. */
    check(nyro_put_json(users, ada, strlen(ada), NULL, &error), &error);
    check(nyro_put(users, grace, sizeof grace - 1, NULL, &error), &error);
    expect(print_user(users, nyro_id_int(1)), "Ada is there");
    expect(print_user(users, nyro_id_string("grace", 5)), "Grace is there");

    /* A transaction: all of it, or none of it. */
    check(nyro_begin(db, &transaction, &error), &error);
    check(nyro_collection_open(transaction, "users", 5, &in_transaction, &error), &error);
    check(nyro_put_json(in_transaction, "{\"name\": \"Alan\"}", 16, NULL, &error), &error);
    check(nyro_delete(in_transaction, nyro_id_int(1), NULL, &error), &error);
    check(nyro_commit(transaction, NULL, &error), &error);
    check(nyro_count(users, &count, &error), &error);
    expect(count == 2, "Alan came, Ada went");

    /* A snapshot is the database as of one moment; documents are read from it without a copy. */
    check(nyro_snapshot_take(db, &snapshot, &error), &error);
    check(nyro_collection_open(snapshot, "users", 5, &in_snapshot, &error), &error);
    check(nyro_delete(users, nyro_id_string("grace", 5), NULL, &error), &error);
    check(nyro_get_borrowed(in_snapshot, nyro_id_string("grace", 5), &document, &document_bytes, &error), &error);
    expect(document_bytes == sizeof grace - 1 && memcmp(document, grace, document_bytes) == 0, "the same bytes");
    check(nyro_collection_release(in_snapshot, &error), &error);
    check(nyro_snapshot_release(snapshot, &error), &error);

    /* All documents, one after the other. */
    check(nyro_scan_open(users, 0, &scan, &error), &error);
    for (count = 0;; count++) {
        check(nyro_scan_next(scan, &document, &document_bytes, &error), &error);
        if (document == NULL) {
            break;
        }
    }
    check(nyro_scan_close(scan, &error), &error);
    expect(count == 1, "Alan is left");

    /* What is wrong is said, with a stable number and a message. */
    expect(nyro_put_json(users, "{\"_id\":", 7, NULL, &error) != NYRO_OK, "half a document is refused");
    printf("error %u: %s\n", (unsigned)error.code, error.message);

    check(nyro_collection_release(users, &error), &error);
    check(nyro_close(db, &error), &error);
    expect(nyro_close(db, &error) == NYRO_CLOSED, "a closed handle is an error, not a crash");
    return 0;
}
