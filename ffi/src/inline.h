/**
 * The id of an integer.
 */
static inline nyro_id nyro_id_int(int64_t integer) {
    nyro_id id = {NYRO_ID_INT, 0, 0, 0, 0};
    id.integer = integer;
    return id;
}

/**
 * The id of an integer from 0 to 2^64-1.
 */
static inline nyro_id nyro_id_uint(uint64_t integer) {
    nyro_id id = {NYRO_ID_UINT, 0, 0, 0, 0};
    id.integer = (int64_t)integer;
    return id;
}

/**
 * The id of a string of `bytes` bytes of UTF-8, which is borrowed.
 */
static inline nyro_id nyro_id_string(const char *text, size_t bytes) {
    nyro_id id = {NYRO_ID_STRING, 0, 0, 0, 0};
    id.data = text;
    id.bytes = bytes;
    return id;
}

/**
 * The id of `bytes` bytes, which are borrowed.
 */
static inline nyro_id nyro_id_bytes(const void *data, size_t bytes) {
    nyro_id id = {NYRO_ID_BYTES, 0, 0, 0, 0};
    id.data = data;
    id.bytes = bytes;
    return id;
}

/**
 * The id that one MessagePack value is; borrowed.
 */
static inline nyro_id nyro_id_msgpack(const void *data, size_t bytes) {
    nyro_id id = {NYRO_ID_MSGPACK, 0, 0, 0, 0};
    id.data = data;
    id.bytes = bytes;
    return id;
}

/**
 * The id that JSON text is (`42`, `"ada"`); borrowed.
 */
static inline nyro_id nyro_id_json(const char *json, size_t bytes) {
    nyro_id id = {NYRO_ID_JSON, 0, 0, 0, 0};
    id.data = json;
    id.bytes = bytes;
    return id;
}
