#include "value.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* ---- memory -------------------------------------------------------------------------------------------- */

struct chunk {
    struct chunk *next;
    max_align_t data[];
};

void *arena_get(arena *a, size_t bytes) {
    struct chunk *chunk = calloc(1, sizeof *chunk + bytes);
    if (chunk == NULL) die("no memory");
    chunk->next = a->chunks;
    a->chunks = chunk;
    return chunk->data;
}

void arena_free(arena *a) {
    while (a->chunks != NULL) {
        struct chunk *next = a->chunks->next;
        free(a->chunks);
        a->chunks = next;
    }
}

void buffer_add(buffer *b, const void *data, size_t bytes) {
    if (bytes > b->room - b->bytes) {
        b->room = (b->bytes + bytes) * 2 + 64;
        b->data = realloc(b->data, b->room);
        if (b->data == NULL) die("no memory");
    }
    if (bytes > 0) memcpy(b->data + b->bytes, data, bytes);
    b->bytes += bytes;
}

void buffer_free(buffer *b) {
    free(b->data);
    *b = (buffer){0};
}

static void add_byte(buffer *b, unsigned byte) {
    uint8_t one = (uint8_t)byte;
    buffer_add(b, &one, 1);
}

/* ---- values -------------------------------------------------------------------------------------------- */

value *value_new(arena *a, value_kind kind) {
    value *v = arena_get(a, sizeof *v);
    v->kind = kind;
    return v;
}

value *value_of_int(arena *a, int64_t n) {
    value *v = value_new(a, V_INT);
    v->negative = n < 0;
    v->integer = (uint64_t)n;
    return v;
}

value *value_of_uint(arena *a, uint64_t n) {
    value *v = value_new(a, V_INT);
    v->integer = n;
    return v;
}

value *value_of_bool(arena *a, bool b) {
    value *v = value_new(a, V_BOOL);
    v->boolean = b;
    return v;
}

value *value_of_bytes(arena *a, value_kind kind, const void *data, size_t bytes) {
    uint8_t *copy = arena_get(a, bytes + 1);
    if (bytes > 0) memcpy(copy, data, bytes);
    value *v = value_new(a, kind);
    v->data = copy;
    v->bytes = bytes;
    return v;
}

value *value_of_hex(arena *a, const uint8_t *data, size_t bytes) {
    char *text = arena_get(a, bytes * 2 + 1);
    for (size_t i = 0; i < bytes; i++) snprintf(text + i * 2, 3, "%02x", data[i]);
    value *v = value_new(a, V_STRING);
    v->data = (const uint8_t *)text;
    v->bytes = bytes * 2;
    return v;
}

static int digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

value *value_from_hex(arena *a, const value *text) {
    if (text->kind != V_STRING || text->bytes % 2 != 0) die("not hexadecimal digits");
    value *v = value_of_bytes(a, V_BYTES, text->data, text->bytes / 2);
    uint8_t *out = (uint8_t *)(uintptr_t)v->data;
    for (size_t i = 0; i < v->bytes; i++) {
        int high = digit(text->data[i * 2]), low = digit(text->data[i * 2 + 1]);
        if (high < 0 || low < 0) die("not hexadecimal digits");
        out[i] = (uint8_t)(high << 4 | low);
    }
    return v;
}

bool value_is_text(const value *v, const char *text) {
    return v != NULL && v->kind == V_STRING && v->bytes == strlen(text) && memcmp(v->data, text, v->bytes) == 0;
}

const value *value_field(const value *map, const char *name) {
    for (size_t i = 0; i < map->count; i++)
        if (value_is_text(&map->items[i * 2], name)) return &map->items[i * 2 + 1];
    return NULL;
}

bool value_equal(const value *a, const value *b) {
    if (a->kind != b->kind) return false;
    switch (a->kind) {
        case V_NULL: return true;
        case V_BOOL: return a->boolean == b->boolean;
        case V_INT: return a->negative == b->negative && a->integer == b->integer;
        case V_FLOAT:
            if (isnan(a->number) || isnan(b->number)) return isnan(a->number) && isnan(b->number);
            return a->number == b->number && signbit(a->number) == signbit(b->number);
        case V_TIME: return a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
        case V_EXT:
            if (a->code != b->code) return false;
            break;
        case V_ARRAY:
        case V_MAP:
            if (a->count != b->count) return false;
            for (size_t i = 0; i < a->count * (a->kind == V_MAP ? 2 : 1); i++)
                if (!value_equal(&a->items[i], &b->items[i])) return false;
            return true;
        case V_STRING:
        case V_BYTES: break;
    }
    return a->bytes == b->bytes && (a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0);
}

static void print(const value *v, int *left) {
    if (*left < 0) return;
    switch (v->kind) {
        case V_NULL: *left -= printf("null"); break;
        case V_BOOL: *left -= printf(v->boolean ? "true" : "false"); break;
        case V_INT:
            if (v->negative) *left -= printf("%" PRId64, (int64_t)v->integer);
            else *left -= printf("%" PRIu64, v->integer);
            break;
        case V_FLOAT: *left -= printf("float %.17g", v->number); break;
        case V_TIME: *left -= printf("time %" PRId64 ".%09" PRIu32, v->seconds, v->nanoseconds); break;
        case V_STRING: *left -= printf("\"%.*s\"", (int)(v->bytes < 200 ? v->bytes : 200), (const char *)v->data); break;
        case V_EXT:
        case V_BYTES:
            *left -= v->kind == V_EXT ? printf("ext %d ", v->code) : printf("bytes ");
            for (size_t i = 0; i < v->bytes && i < 100; i++) *left -= printf("%02x", v->data[i]);
            if (v->bytes > 100) printf(".. %zu bytes", v->bytes);
            break;
        case V_ARRAY:
        case V_MAP: {
            *left -= printf(v->kind == V_MAP ? "{" : "[");
            for (size_t i = 0; i < v->count && *left >= 0; i++) {
                if (i > 0) printf(", ");
                if (v->kind == V_ARRAY) {
                    print(&v->items[i], left);
                    continue;
                }
                print(&v->items[i * 2], left);
                printf(": ");
                print(&v->items[i * 2 + 1], left);
            }
            printf(v->kind == V_MAP ? "}" : "]");
            break;
        }
    }
    if (*left < 0) printf("..");
}

void value_print(const value *v) {
    int left = 600;
    if (v == NULL) printf("nothing");
    else print(v, &left);
}

/* ---- JSON ---------------------------------------------------------------------------------------------- */

typedef struct reader {
    arena *arena;
    const char *text, *at, *end, *file;
} reader;

static _Noreturn void wrong(reader *r, const char *what) {
    int line = 1;
    for (const char *c = r->text; c < r->at; c++) line += *c == '\n';
    die("%s:%d: %s", r->file, line, what);
}

static void spaces(reader *r) {
    while (r->at < r->end && strchr(" \t\r\n", *r->at) != NULL) r->at++;
}

static bool take(reader *r, const char *word) {
    size_t bytes = strlen(word);
    spaces(r);
    if ((size_t)(r->end - r->at) < bytes || memcmp(r->at, word, bytes) != 0) return false;
    r->at += bytes;
    return true;
}

static unsigned four_digits(reader *r) {
    if (r->end - r->at < 4) wrong(r, "\\u needs four digits");
    unsigned code = 0;
    for (int i = 0; i < 4; i++) {
        int d = digit((uint8_t)*r->at++);
        if (d < 0) wrong(r, "\\u needs four digits");
        code = code << 4 | (unsigned)d;
    }
    return code;
}

static void add_utf8(buffer *b, unsigned code) {
    if (code < 0x80) {
        add_byte(b, code);
    } else if (code < 0x800) {
        add_byte(b, 0xc0 | code >> 6);
        add_byte(b, 0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        add_byte(b, 0xe0 | code >> 12);
        add_byte(b, 0x80 | (code >> 6 & 0x3f));
        add_byte(b, 0x80 | (code & 0x3f));
    } else {
        add_byte(b, 0xf0 | code >> 18);
        add_byte(b, 0x80 | (code >> 12 & 0x3f));
        add_byte(b, 0x80 | (code >> 6 & 0x3f));
        add_byte(b, 0x80 | (code & 0x3f));
    }
}

static value *read_string(reader *r) {
    buffer b = {0};
    while (true) {
        if (r->at == r->end) wrong(r, "a string does not end");
        char c = *r->at++;
        if (c == '"') break;
        if (c != '\\') {
            buffer_add(&b, &c, 1);
            continue;
        }
        static const char names[] = "\"\\/bfnrt", chars[] = "\"\\/\b\f\n\r\t";
        c = r->at < r->end ? *r->at++ : '\0';
        const char *name = c != '\0' ? strchr(names, c) : NULL;
        if (name != NULL) {
            buffer_add(&b, &chars[name - names], 1);
        } else if (c == 'u') {
            unsigned code = four_digits(r);
            if (code >= 0xd800 && code < 0xdc00) {
                if (!take(r, "\\u")) wrong(r, "half of a pair");
                unsigned low = four_digits(r);
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            }
            add_utf8(&b, code);
        } else {
            wrong(r, "an escape that JSON does not have");
        }
    }
    value *v = value_of_bytes(r->arena, V_STRING, b.data, b.bytes);
    buffer_free(&b);
    return v;
}

static value *read_value(reader *r);

/* Values up to `close`, with names if it is a map. */
static value *read_items(reader *r, value_kind kind, const char *close) {
    buffer b = {0};
    size_t count = 0;
    if (!take(r, close)) {
        do {
            if (kind == V_MAP) {
                if (!take(r, "\"")) wrong(r, "a name was expected");
                buffer_add(&b, read_string(r), sizeof(value));
                if (!take(r, ":")) wrong(r, "':' was expected");
            }
            buffer_add(&b, read_value(r), sizeof(value));
            count++;
        } while (take(r, ","));
        if (!take(r, close)) wrong(r, "',' or the end was expected");
    }
    value *v = value_new(r->arena, kind);
    v->count = count;
    v->items = arena_get(r->arena, b.bytes);
    if (b.bytes > 0) memcpy(v->items, b.data, b.bytes);
    buffer_free(&b);
    return v;
}

static uint64_t read_integer(reader *r, const char *text, bool *negative) {
    char *end;
    errno = 0;
    *negative = *text == '-';
    uint64_t n = *negative ? (uint64_t)strtoll(text, &end, 10) : strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') wrong(r, "not an integer of 64 bits");
    return n;
}

static const value *pair(reader *r, const value *v) {
    if (v->kind != V_ARRAY || v->count != 2) wrong(r, "an array of two was expected");
    return v->items;
}

static int64_t whole(reader *r, const value *v) {
    if (v->kind != V_INT) wrong(r, "an integer was expected");
    return (int64_t)v->integer;
}

static value *repeated(reader *r, value_kind kind, const value *what, int64_t times) {
    size_t bytes = what->bytes * (size_t)times;
    uint8_t *data = arena_get(r->arena, bytes + 1);
    for (size_t i = 0; i < (size_t)times; i++) memcpy(data + i * what->bytes, what->data, what->bytes);
    value *v = value_new(r->arena, kind);
    v->data = data;
    v->bytes = bytes;
    return v;
}

static value *text_value(reader *r, const char *text) {
    return value_of_bytes(r->arena, V_STRING, text, strlen(text));
}

/* What a map with the one field `name` stands for. */
static value *special(reader *r, const value *name, const value *given) {
    arena *a = r->arena;
    const char *text = (const char *)given->data;
    if (value_is_text(name, "$int")) {
        value *v = value_new(a, V_INT);
        v->integer = read_integer(r, text, &v->negative);
        return v;
    }
    if (value_is_text(name, "$float")) {
        char *end;
        value *v = value_new(a, V_FLOAT);
        v->number = strtod(text, &end);
        if (end == text || *end != '\0') wrong(r, "not a float");
        return v;
    }
    if (value_is_text(name, "$bytes")) return value_from_hex(a, given);
    if (value_is_text(name, "$time")) {
        value *v = value_new(a, V_TIME);
        v->seconds = whole(r, &pair(r, given)[0]);
        v->nanoseconds = (uint32_t)whole(r, &given->items[1]);
        return v;
    }
    if (value_is_text(name, "$ext")) {
        value *v = value_from_hex(a, &pair(r, given)[1]);
        v->kind = V_EXT;
        v->code = (int)whole(r, &given->items[0]);
        return v;
    }
    if (value_is_text(name, "$repeat")) return repeated(r, V_STRING, &pair(r, given)[0], whole(r, &given->items[1]));
    if (value_is_text(name, "$repeat_bytes"))
        return repeated(r, V_BYTES, value_from_hex(a, &pair(r, given)[0]), whole(r, &given->items[1]));
    if (value_is_text(name, "$array")) {
        value *v = value_new(a, V_ARRAY);
        v->count = (size_t)whole(r, &pair(r, given)[1]);
        v->items = arena_get(a, v->count * sizeof(value));
        for (size_t i = 0; i < v->count; i++) v->items[i] = given->items[0];
        return v;
    }
    if (value_is_text(name, "$fields")) {
        value *v = value_new(a, V_MAP);
        v->count = (size_t)whole(r, given);
        v->items = arena_get(a, v->count * 2 * sizeof(value));
        for (size_t i = 0; i < v->count; i++) {
            char field[32];
            snprintf(field, sizeof field, "f%zu", i);
            v->items[i * 2] = *text_value(r, field);
            v->items[i * 2 + 1] = *value_of_int(a, (int64_t)i);
        }
        return v;
    }
    bool nest = value_is_text(name, "$nest");
    if (nest || value_is_text(name, "$nest_array")) {
        value *v = value_new(a, V_NULL);
        for (int64_t i = whole(r, given); i > 0; i--) {
            value *outer = value_new(a, nest ? V_MAP : V_ARRAY);
            outer->count = 1;
            outer->items = arena_get(a, 2 * sizeof(value));
            if (nest) outer->items[0] = *text_value(r, "n");
            outer->items[nest] = *v;
            v = outer;
        }
        return v;
    }
    return NULL;
}

static value *read_value(reader *r) {
    if (take(r, "{")) {
        value *v = read_items(r, V_MAP, "}");
        value *other = v->count == 1 ? special(r, &v->items[0], &v->items[1]) : NULL;
        return other != NULL ? other : v;
    }
    if (take(r, "[")) return read_items(r, V_ARRAY, "]");
    if (take(r, "\"")) return read_string(r);
    if (take(r, "null")) return value_new(r->arena, V_NULL);
    if (take(r, "true")) return value_of_bool(r->arena, true);
    if (take(r, "false")) return value_of_bool(r->arena, false);
    char digits[32];
    size_t count = 0;
    while (r->at < r->end && (*r->at == '-' || (*r->at >= '0' && *r->at <= '9')) && count < sizeof digits - 1)
        digits[count++] = *r->at++;
    digits[count] = '\0';
    if (count == 0 || (r->at < r->end && strchr(".eE", *r->at) != NULL)) wrong(r, "no value that this data may have");
    value *v = value_new(r->arena, V_INT);
    v->integer = read_integer(r, digits, &v->negative);
    return v;
}

value *json_read(arena *a, const char *text, size_t bytes, const char *file) {
    reader r = {a, text, text, text + bytes, file};
    value *v = read_value(&r);
    spaces(&r);
    if (r.at != r.end) wrong(&r, "something follows the end");
    return v;
}

/* ---- MessagePack --------------------------------------------------------------------------------------- */

/* A head byte and a number of so many bytes. */
static void add_number(buffer *b, unsigned head, uint64_t n, int bytes) {
    add_byte(b, head);
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) add_byte(b, (unsigned)(n >> shift & 0xff));
}

/* A length: in the head itself up to `small`, else behind one of the heads for 1, 2, 4 bytes; 0 where there is none. */
static void add_length(buffer *b, size_t n, unsigned fix, size_t small, unsigned one, unsigned two, unsigned four) {
    if (n < small) add_byte(b, fix | (unsigned)n);
    else if (one != 0 && n <= 0xff) add_number(b, one, n, 1);
    else if (n <= 0xffff) add_number(b, two, n, 2);
    else add_number(b, four, n, 4);
}

static void add_integer(buffer *b, const value *v) {
    uint64_t n = v->integer;
    int64_t s = (int64_t)n;
    if (!v->negative) {
        if (n < 0x80) add_byte(b, (unsigned)n);
        else if (n <= 0xff) add_number(b, 0xcc, n, 1);
        else if (n <= 0xffff) add_number(b, 0xcd, n, 2);
        else if (n <= 0xffffffff) add_number(b, 0xce, n, 4);
        else add_number(b, 0xcf, n, 8);
    } else if (s >= -32) add_byte(b, (unsigned)(n & 0xff));
    else if (s >= -128) add_number(b, 0xd0, n, 1);
    else if (s >= -32768) add_number(b, 0xd1, n, 2);
    else if (s >= -2147483648LL) add_number(b, 0xd2, n, 4);
    else add_number(b, 0xd3, n, 8);
}

static void add_ext(buffer *b, int code, const uint8_t *data, size_t bytes) {
    if (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8 || bytes == 16) {
        unsigned head = 0xd4;
        for (size_t n = bytes; n > 1; n >>= 1) head++;
        add_byte(b, head);
    } else {
        add_length(b, bytes, 0, 0, 0xc7, 0xc8, 0xc9);
    }
    add_byte(b, (unsigned)code & 0xff);
    buffer_add(b, data, bytes);
}

static void add_time(buffer *b, const value *v) {
    buffer payload = {0};
    uint64_t seconds = (uint64_t)v->seconds;
    if (seconds >> 34 != 0) {
        add_number(&payload, v->nanoseconds >> 24, v->nanoseconds & 0xffffff, 3);
        add_number(&payload, (unsigned)(seconds >> 56), seconds & 0xffffffffffffff, 7);
    } else if (v->nanoseconds != 0 || seconds >> 32 != 0) {
        uint64_t both = (uint64_t)v->nanoseconds << 34 | seconds;
        add_number(&payload, (unsigned)(both >> 56), both & 0xffffffffffffff, 7);
    } else {
        add_number(&payload, (unsigned)(seconds >> 24), seconds & 0xffffff, 3);
    }
    add_ext(b, -1, payload.data, payload.bytes);
    buffer_free(&payload);
}

void msgpack_write(buffer *b, const value *v) {
    uint64_t bits;
    switch (v->kind) {
        case V_NULL: add_byte(b, 0xc0); return;
        case V_BOOL: add_byte(b, v->boolean ? 0xc3 : 0xc2); return;
        case V_INT: add_integer(b, v); return;
        case V_FLOAT:
            memcpy(&bits, &v->number, sizeof bits);
            add_number(b, 0xcb, bits, 8);
            return;
        case V_STRING:
            add_length(b, v->bytes, 0xa0, 32, 0xd9, 0xda, 0xdb);
            buffer_add(b, v->data, v->bytes);
            return;
        case V_BYTES:
            add_length(b, v->bytes, 0, 0, 0xc4, 0xc5, 0xc6);
            buffer_add(b, v->data, v->bytes);
            return;
        case V_ARRAY: add_length(b, v->count, 0x90, 16, 0, 0xdc, 0xdd); break;
        case V_MAP: add_length(b, v->count, 0x80, 16, 0, 0xde, 0xdf); break;
        case V_TIME: add_time(b, v); return;
        case V_EXT: add_ext(b, v->code, v->data, v->bytes); return;
    }
    for (size_t i = 0; i < v->count * (v->kind == V_MAP ? 2 : 1); i++) msgpack_write(b, &v->items[i]);
}

typedef struct packed {
    arena *arena;
    const uint8_t *at, *end;
} packed;

static bool number(packed *p, size_t bytes, uint64_t *n) {
    if ((size_t)(p->end - p->at) < bytes) return false;
    *n = 0;
    for (size_t i = 0; i < bytes; i++) *n = *n << 8 | *p->at++;
    return true;
}

static bool payload(packed *p, uint64_t bytes, value *v, value_kind kind) {
    if ((uint64_t)(p->end - p->at) < bytes) return false;
    *v = *value_of_bytes(p->arena, kind, p->at, (size_t)bytes);
    p->at += bytes;
    return true;
}

static bool unpack(packed *p, value *v, int depth);

static bool entries(packed *p, uint64_t count, value *v, value_kind kind, int depth) {
    size_t values = (size_t)count * (kind == V_MAP ? 2 : 1);
    if (depth > 1000 || count > (uint64_t)(p->end - p->at)) return false;
    *v = (value){.kind = kind, .count = (size_t)count, .items = arena_get(p->arena, values * sizeof(value))};
    for (size_t i = 0; i < values; i++)
        if (!unpack(p, &v->items[i], depth + 1)) return false;
    return true;
}

static bool ext(packed *p, uint64_t bytes, value *v) {
    uint64_t code;
    if (!number(p, 1, &code) || !payload(p, bytes, v, V_EXT)) return false;
    v->code = (int8_t)code;
    if (v->code != -1) return true;
    packed inner = {p->arena, v->data, v->data + v->bytes};
    uint64_t seconds = 0, nanoseconds = 0;
    if (bytes == 4) {
        number(&inner, 4, &seconds);
    } else if (bytes == 8) {
        number(&inner, 8, &seconds);
        nanoseconds = seconds >> 34;
        seconds &= (UINT64_C(1) << 34) - 1;
    } else if (bytes == 12) {
        number(&inner, 4, &nanoseconds);
        number(&inner, 8, &seconds);
    } else {
        return false;
    }
    *v = (value){.kind = V_TIME, .seconds = (int64_t)seconds, .nanoseconds = (uint32_t)nanoseconds};
    return true;
}

static bool unpack(packed *p, value *v, int depth) {
    uint64_t head, n = 0;
    if (!number(p, 1, &head)) return false;
    *v = (value){0};
    if (head < 0x80 || head >= 0xe0) {
        *v = *value_of_int(p->arena, (int8_t)head);
        return true;
    }
    if (head < 0x90) return entries(p, head & 0xf, v, V_MAP, depth);
    if (head < 0xa0) return entries(p, head & 0xf, v, V_ARRAY, depth);
    if (head < 0xc0) return payload(p, head & 0x1f, v, V_STRING);
    /* How many bytes of a number stand behind the heads c0 to df. */
    static const uint8_t widths[32] = {0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8,
                                       1, 2, 4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4};
    size_t width = widths[head - 0xc0];
    if (!number(p, width, &n)) return false;
    switch (head) {
        case 0xc0: return true;
        case 0xc2:
        case 0xc3:
            *v = *value_of_bool(p->arena, head == 0xc3);
            return true;
        case 0xc4: case 0xc5: case 0xc6: return payload(p, n, v, V_BYTES);
        case 0xc7: case 0xc8: case 0xc9: return ext(p, n, v);
        case 0xca: {
            uint32_t bits = (uint32_t)n;
            float f;
            memcpy(&f, &bits, sizeof f);
            v->kind = V_FLOAT;
            v->number = (double)f;
            return true;
        }
        case 0xcb:
            v->kind = V_FLOAT;
            memcpy(&v->number, &n, sizeof n);
            return true;
        case 0xcc: case 0xcd: case 0xce: case 0xcf:
            *v = *value_of_uint(p->arena, n);
            return true;
        case 0xd0: *v = *value_of_int(p->arena, (int8_t)n); return true;
        case 0xd1: *v = *value_of_int(p->arena, (int16_t)n); return true;
        case 0xd2: *v = *value_of_int(p->arena, (int32_t)n); return true;
        case 0xd3: *v = *value_of_int(p->arena, (int64_t)n); return true;
        case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return ext(p, UINT64_C(1) << (head - 0xd4), v);
        case 0xd9: case 0xda: case 0xdb: return payload(p, n, v, V_STRING);
        case 0xdc: case 0xdd: return entries(p, n, v, V_ARRAY, depth);
        case 0xde: case 0xdf: return entries(p, n, v, V_MAP, depth);
        default: return false;
    }
}

value *msgpack_read(arena *a, const uint8_t *data, size_t bytes) {
    packed p = {a, data, data + bytes};
    value *v = value_new(a, V_NULL);
    return unpack(&p, v, 1) && p.at == p.end ? v : NULL;
}
