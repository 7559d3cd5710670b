/**
 * An id from its parts; the functions below are easier to read. It goes to a call in memory, which compilers copy there
 * 16 bytes at a time: written in smaller pieces just before, the copy would wait until those are in the cache, and with
 * them for every load before. So it is written 16 bytes at a time, too.
 */
static inline nyro_id nyro_id_make(uint32_t kind, int64_t integer, const void *data, size_t bytes) {
#if defined(__GNUC__) && defined(__LP64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    typedef int64_t halves __attribute__((vector_size(16)));
    const halves first = {(int64_t)kind, integer}, second = {(int64_t)(intptr_t)data, (int64_t)bytes};
    nyro_id id;
    __builtin_memcpy(&id, &first, sizeof first);
    __builtin_memcpy((char *)&id + sizeof first, &second, sizeof second);
    return id;
#else
    nyro_id id = {kind, 0, integer, data, bytes};
    return id;
#endif
}

/**
 * The id of an integer.
 */
static inline nyro_id nyro_id_int(int64_t integer) {
    return nyro_id_make(NYRO_ID_INT, integer, 0, 0);
}

/**
 * The id of an integer from 0 to 2^64-1.
 */
static inline nyro_id nyro_id_uint(uint64_t integer) {
    return nyro_id_make(NYRO_ID_UINT, (int64_t)integer, 0, 0);
}

/**
 * The id of a string of `bytes` bytes of UTF-8, which is borrowed.
 */
static inline nyro_id nyro_id_string(const char *text, size_t bytes) {
    return nyro_id_make(NYRO_ID_STRING, 0, text, bytes);
}

/**
 * The id of `bytes` bytes, which are borrowed.
 */
static inline nyro_id nyro_id_bytes(const void *data, size_t bytes) {
    return nyro_id_make(NYRO_ID_BYTES, 0, data, bytes);
}

/**
 * The id that one MessagePack value is; borrowed.
 */
static inline nyro_id nyro_id_msgpack(const void *data, size_t bytes) {
    return nyro_id_make(NYRO_ID_MSGPACK, 0, data, bytes);
}

/**
 * The id that JSON text is (`42`, `"ada"`); borrowed.
 */
static inline nyro_id nyro_id_json(const char *json, size_t bytes) {
    return nyro_id_make(NYRO_ID_JSON, 0, json, bytes);
}

/**
 * The keys that begin with `bytes` bytes, which are borrowed.
 */
static inline nyro_bounds nyro_prefix(const void *data, size_t bytes) {
    nyro_bounds bounds = {NYRO_BOUND_PREFIX, NYRO_BOUND_NONE, data, bytes, 0, 0};
    return bounds;
}

/**
 * The keys from one on, up to and without another; both are borrowed.
 */
static inline nyro_bounds nyro_between(const void *start, size_t start_bytes, const void *end, size_t end_bytes) {
    nyro_bounds bounds = {NYRO_BOUND_INCLUDED, NYRO_BOUND_EXCLUDED, start, start_bytes, end, end_bytes};
    return bounds;
}
