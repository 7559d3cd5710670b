/* Values by key, in the order of the keys: keyspaces from C.
 *
 *   cc -Iinclude examples/c/keyspace.c -Ltarget/release -lnyro -o keyspace
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

static void put(nyro_keyspace readings, const char *key, const char *value) {
    nyro_error error;
    check(nyro_kv_put(readings, key, strlen(key), value, strlen(value), &error), &error);
}

/* Prints the keys between the bounds with their values, and says how many there are. */
static int print(nyro_keyspace readings, const nyro_bounds *bounds, uint32_t flags) {
    nyro_error error;
    nyro_range range;
    const uint8_t *key, *value;
    size_t key_bytes, value_bytes;
    int count = 0;
    check(nyro_range_open(readings, bounds, flags, &range, &error), &error);
    for (;; count++) {
        check(nyro_range_next(range, &key, &key_bytes, &value, &value_bytes, &error), &error);
        if (key == NULL) {
            break;
        }
        printf("  %.*s  %.*s\n", (int)key_bytes, (const char *)key, (int)value_bytes, (const char *)value);
    }
    check(nyro_range_close(range, &error), &error);
    return count;
}

int main(void) {
    nyro_error error;
    nyro_db db;
    nyro_keyspace readings, in_transaction;
    nyro_transaction transaction;
    uint8_t *value;
    size_t value_bytes;

    check(nyro_open(":memory:", 8, NULL, &db, &error), &error); /* or a path: "app.nyro" */
    check(nyro_keyspace_open(db, "readings", 8, &readings, &error), &error);

    /* Keys are bytes, and lie in the order of their bytes: what belongs together begins alike. */
    put(readings, "attic/2026-11-29", "17.5");
    put(readings, "cellar/2026-11-30", "11.0");
    put(readings, "attic/2026-11-30", "16.0");
    check(nyro_kv_get(readings, "attic/2026-11-30", 16, &value, &value_bytes, &error), &error);
    expect(value != NULL && value_bytes == 4 && memcmp(value, "16.0", 4) == 0, "the value of the key");
    nyro_free(value);

    /* All of the attic, the newest first; the days from the 30th on. */
    const nyro_bounds attic = nyro_prefix("attic/", 6);
    printf("attic\n");
    expect(print(readings, &attic, NYRO_RANGE_BACKWARD) == 2, "two days in the attic");
    const nyro_bounds late = nyro_between("attic/2026-11-30", 16, "attic0", 6);
    printf("attic, from the 30th on\n");
    expect(print(readings, &late, 0) == 1, "one of them from the 30th on");

    /* In a transaction, together with documents if you like: all of it, or none of it. */
    check(nyro_begin(db, &transaction, &error), &error);
    check(nyro_keyspace_open(transaction, "readings", 8, &in_transaction, &error), &error);
    check(nyro_kv_delete_range(in_transaction, &attic, &error), &error);
    put(in_transaction, "roof/2026-11-30", "3.5");
    check(nyro_commit(transaction, NULL, &error), &error);
    printf("after the attic was cleared\n");
    expect(print(readings, NULL, 0) == 2, "cellar and roof are left");

    check(nyro_keyspace_release(readings, &error), &error);
    check(nyro_close(db, &error), &error);
    return 0;
}
