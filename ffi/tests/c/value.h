/* Values: read from the JSON of bindings/conformance, written and read as MessagePack, compared.
 *
 *   {"$int": "255"}  --json_read-->  value V_INT 255  --msgpack_write-->  cc ff
 *                                        ^                                  |
 *                                        +-------- msgpack_read ------------+
 *
 * Written for the tests alone, and independent of the library's own code on purpose: what both get wrong would not be
 * noticed. Everything lies in an arena, and is freed with it.
 */
#ifndef VALUE_H
#define VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory that is given back as a whole. */
typedef struct arena {
    struct chunk *chunks;
} arena;

void *arena_get(arena *a, size_t bytes);
void arena_free(arena *a);

typedef enum value_kind {
    V_NULL,
    V_BOOL,
    V_INT,
    V_FLOAT,
    V_STRING,
    V_BYTES,
    V_ARRAY,
    V_MAP,
    V_TIME,
    V_EXT
} value_kind;

typedef struct value {
    value_kind kind;
    bool boolean;          /* V_BOOL */
    bool negative;         /* V_INT: `integer` are the bits of a negative number */
    uint64_t integer;      /* V_INT */
    double number;         /* V_FLOAT */
    int64_t seconds;       /* V_TIME */
    uint32_t nanoseconds;  /* V_TIME */
    int code;              /* V_EXT */
    const uint8_t *data;   /* V_STRING, V_BYTES, V_EXT */
    size_t bytes;
    size_t count;          /* V_ARRAY, V_MAP: entries */
    struct value *items;   /* values; of a map: name, value, name, value */
} value;

/* Bytes that grow. */
typedef struct buffer {
    uint8_t *data;
    size_t bytes, room;
} buffer;

void buffer_add(buffer *b, const void *data, size_t bytes);
void buffer_free(buffer *b);

/* Reads JSON text; values with one `$` field become what they stand for. Ends the program if the text is wrong. */
value *json_read(arena *a, const char *text, size_t bytes, const char *file);

void msgpack_write(buffer *out, const value *v);
/* Reads one value that takes all of the bytes; null if they are none. */
value *msgpack_read(arena *a, const uint8_t *data, size_t bytes);

bool value_equal(const value *a, const value *b);
/* Prints it in short. */
void value_print(const value *v);

/* The value of a field of a map; null if it is not there. */
const value *value_field(const value *map, const char *name);
bool value_is_text(const value *v, const char *text);

value *value_new(arena *a, value_kind kind);
value *value_of_int(arena *a, int64_t n);
value *value_of_uint(arena *a, uint64_t n);
value *value_of_bool(arena *a, bool b);
value *value_of_bytes(arena *a, value_kind kind, const void *data, size_t bytes);
value *value_of_hex(arena *a, const uint8_t *data, size_t bytes);
/* The bytes that a string of hexadecimal digits says. */
value *value_from_hex(arena *a, const value *text);

/* Prints and ends the program. */
_Noreturn void die(const char *format, ...);

#endif
