/* The C part of the test: see README.md. Compares bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nyro.h"

static void check(uint32_t code, const nyro_error *error) {
    if (code != NYRO_OK) {
        fprintf(stderr, "c: %s: %s\n", nyro_error_name(code), error->message);
        exit(1);
    }
}

static size_t text(uint8_t *out, const char *bytes) {
    const size_t length = strlen(bytes); /* below 32 */
    out[0] = (uint8_t)(0xa0 | length);
    memcpy(out + 1, bytes, length);
    return length + 1;
}

/* The fields behind _id of the large document. */
static const uint8_t FIELDS[] =
    "\xa5small\x2a"
    "\xa8negative\xf9"
    "\xa3"
    "big\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"
    "\xa4huge\xcf\xff\xff\xff\xff\xff\xff\xff\xff"
    "\xa5"
    "float\xcb\x3f\xf8\0\0\0\0\0\0"
    "\xa4text\xafh\xc3\xa9llo \xe2\x9c\x93 \xf0\x9f\x98\x80"
    "\xa5"
    "bytes\xc4\x02\0\xff"
    /* Timestamp 64: 789 000 000 ns in 30 bits, 1 580 702 706 s in 34. */
    "\xa4when\xd7\xff\xbc\x1c\xbd\x00\x5e\x37\x9b\xf2"
    "\xa4list\x94\x01\xa3two\xc0\xc3"
    "\xa3map\x81\xa1"
    "a\x81\xa1"
    "b\x90";

static size_t large(uint8_t *out, const char *language) {
    uint8_t *at = out;
    *at++ = 0x8b;
    at += text(at, "_id");
    at += text(at, language);
    memcpy(at, FIELDS, sizeof FIELDS - 1);
    return (size_t)(at - out) + sizeof FIELDS - 1;
}

static size_t small(uint8_t *out, const char *language, unsigned n) {
    char id[32];
    uint8_t *at = out;
    const unsigned square = n * n;
    snprintf(id, sizeof id, "%.16s-%u", language, n);
    *at++ = 0x83;
    at += text(at, "_id");
    at += text(at, id);
    at += text(at, "n");
    *at++ = (uint8_t)n;
    at += text(at, "square");
    if (square < 128) {
        *at++ = (uint8_t)square;
    } else if (square < 256) {
        *at++ = 0xcc;
        *at++ = (uint8_t)square;
    } else {
        *at++ = 0xcd;
        *at++ = (uint8_t)(square >> 8);
        *at++ = (uint8_t)square;
    }
    return (size_t)(at - out);
}

/* The document number `n` of a language, 100 being the large one. */
static size_t expected(uint8_t *out, const char *language, unsigned n) {
    return n == 100 ? large(out, language) : small(out, language, n);
}

static void write_all(nyro_collection interop, const char *language) {
    nyro_error error;
    for (unsigned n = 0; n <= 100; n++) {
        uint8_t document[512];
        const size_t bytes = expected(document, language, n);
        check(nyro_insert_one(interop, document, bytes, NULL, &error), &error);
    }
}

static void read_all(nyro_collection interop, const char *language) {
    nyro_error error;
    for (unsigned n = 0; n <= 100; n++) {
        char id[32];
        uint8_t document[512], found[512];
        const size_t bytes = expected(document, language, n);
        size_t found_bytes;
        if (n == 100) {
            snprintf(id, sizeof id, "%.16s", language);
        } else {
            snprintf(id, sizeof id, "%.16s-%u", language, n);
        }
        check(nyro_get_into(interop, nyro_id_string(id, strlen(id)), found, sizeof found, &found_bytes, &error), &error);
        if (found_bytes != bytes || memcmp(found, document, bytes) != 0) {
            fprintf(stderr, "c: %s has other bytes:\n", id);
            for (size_t i = 0; i < found_bytes && i < sizeof found; i++) {
                fprintf(stderr, "%02x", found[i]);
            }
            fprintf(stderr, "\nwanted:\n");
            for (size_t i = 0; i < bytes; i++) {
                fprintf(stderr, "%02x", document[i]);
            }
            fprintf(stderr, "\n");
            exit(1);
        }
    }
}

int main(int argc, char **argv) {
    nyro_error error;
    nyro_db db;
    nyro_collection interop;
    if (argc < 4) {
        fprintf(stderr, "interop PATH read|write LANGUAGE..\n");
        return 2;
    }
    const int writes = strcmp(argv[2], "write") == 0;
    check(nyro_open(argv[1], strlen(argv[1]), NULL, &db, &error), &error);
    check(nyro_collection_open(db, "interop", 7, &interop, &error), &error);
    for (int i = writes ? 4 : 3; i < argc; i++) {
        read_all(interop, argv[i]);
    }
    if (writes) {
        write_all(interop, argv[3]);
    }
    check(nyro_close(db, &error), &error);
    return 0;
}
