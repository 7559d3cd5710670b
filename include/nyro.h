/* NyroDB: an embedded document store. The C functions.
 *
 * Written by `make header` from ffi/src; do not edit.
 *
 * Conventions
 * -----------
 * - Every call returns NYRO_OK (0) or the number of an error (docs/errors.md), and fills the nyro_error that
 *   it is given; null is allowed there.
 * - Strings and bytes come with their length and need no NUL. Strings are UTF-8.
 * - Out-parameters stand last, before the error. They are set to null, 0 when a call fails.
 * - What a call hands out is a copy that the caller owns and frees with nyro_free().
 * - All functions may be called from all threads at any time. Nothing here ever aborts the process or unwinds.
 */

#ifndef NYRO_H
#define NYRO_H

#include <stddef.h>
#include <stdint.h>

/**
 * Bytes of the message in a `nyro_error`, with its NUL.
 */
#define NYRO_MESSAGE_BYTES 508

/**
 * The version of the functions and structs of this header. It grows when one of them changes in a way that
 * an old program would notice; compare it with `nyro_abi_version()`.
 */
#define NYRO_ABI_VERSION 1

/**
 * An acknowledged commit survives power loss. The default.
 */
#define NYRO_DURABILITY_SYNC 0

/**
 * An acknowledged commit survives a crash of the process; power loss takes at most the last interval.
 */
#define NYRO_DURABILITY_INTERVAL 1

/**
 * An acknowledged commit survives a crash of the process; power loss may take what came after the last sync.
 */
#define NYRO_DURABILITY_MANUAL 2

/**
 * What a call returns: `NYRO_OK`, or the number of an error. Numbers are stable and never reused; a newer
 * library may return numbers that are not listed here.
 */
typedef enum nyro_code {
  NYRO_OK = 0,
  NYRO_INVALID_ARGUMENT = 101,
  NYRO_INVALID_NAME = 102,
  NYRO_CLOSED = 103,
  NYRO_NESTED_TRANSACTION = 104,
  NYRO_READ_ONLY = 105,
  NYRO_OPTIONS_DIFFER = 106,
  NYRO_ROLLED_BACK = 107,
  NYRO_CANCELLED = 108,
  NYRO_DEADLINE_EXCEEDED = 109,
  NYRO_FORKED = 110,
  NYRO_MALFORMED_DOCUMENT = 201,
  NYRO_DOCUMENT_TOO_LARGE = 202,
  NYRO_DOCUMENT_TOO_DEEP = 203,
  NYRO_INVALID_ID = 204,
  NYRO_DUPLICATE_ID = 205,
  NYRO_SERIALIZATION = 206,
  NYRO_COLLECTION_NOT_FOUND = 207,
  NYRO_COLLECTION_EXISTS = 208,
  NYRO_IDS_EXHAUSTED = 209,
  NYRO_BULK_WRITE = 210,
  NYRO_LOCKED = 301,
  NYRO_WRITER_TIMEOUT = 302,
  NYRO_NOT_A_DATABASE = 401,
  NYRO_UNKNOWN_FORMAT = 402,
  NYRO_CORRUPT = 403,
  NYRO_LOG_MISSING = 404,
  NYRO_NO_SUCH_FILE = 405,
  NYRO_NETWORK_FILE_SYSTEM = 406,
  NYRO_BACKUP_MISMATCH = 407,
  NYRO_IO = 501,
  NYRO_DISK_FULL = 502,
  NYRO_OUTCOME_UNKNOWN = 503,
  NYRO_WRITES_STOPPED = 504,
  NYRO_TRANSACTION_TOO_LARGE = 601,
  NYRO_FULL = 602,
  NYRO_SNAPSHOT_TOO_OLD = 603,
  NYRO_INTERNAL = 901,
} nyro_code;

/**
 * How to open a database. Fill it with `nyro_options_init`, then change what you need, so that a program
 * that was compiled with an older header goes on working.
 */
typedef struct nyro_options {
  /**
   * `sizeof(nyro_options)` of the header the program was compiled with.
   */
  uint32_t struct_bytes;
  /**
   * Not 0: make the file if it is not there. Default 1.
   */
  uint32_t create;
  /**
   * One of `NYRO_DURABILITY_...`.
   */
  uint32_t durability;
  /**
   * For `NYRO_DURABILITY_INTERVAL`: the interval. Default 100.
   */
  uint32_t interval_ms;
} nyro_options;

/**
 * What went wrong. The caller owns it, usually on the stack; every call that is given one fills it, with
 * `NYRO_OK` and an empty message when it succeeds. There is nothing to free.
 */
typedef struct nyro_error {
  /**
   * The number that the call returned.
   */
  uint32_t code;
  /**
   * What is wrong and what to do, as UTF-8 with a NUL at its end. Cut off where it is too long.
   */
  char message[NYRO_MESSAGE_BYTES];
} nyro_error;

/**
 * An open database. A plain number: copy it as you like, also between threads. 0 is never a database. After
 * `nyro_close` the number is an error wherever it is used, even when other databases were opened since.
 */
typedef uint64_t nyro_db;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The ABI version of the library that is loaded: `NYRO_ABI_VERSION` of its header.
 */
uint32_t nyro_abi_version(void);

/**
 * The name of an error number, such as `"DuplicateId"`, or `"Unknown"`. A constant: never null, never freed.
 */
const char *nyro_error_name(uint32_t code);

/**
 * The message of the last call of this thread that failed, or `""`. For convenience where no `nyro_error` was
 * given. It lives until the next call of this thread that fails; it is not to be freed.
 */
const char *nyro_last_error_message(void);

/**
 * Frees bytes that a call of this library handed out. Null is allowed and does nothing.
 *
 * Requires: `data` is null or was handed out by this library and not freed since.
 */
void nyro_free(void *data);

/**
 * Fills `options` with the defaults. `struct_bytes` is `sizeof(nyro_options)`.
 *
 * Requires: `options` is null (an error) or points to `struct_bytes` bytes that may be written.
 */
uint32_t nyro_options_init(struct nyro_options *options, size_t struct_bytes, struct nyro_error *error);

/**
 * Opens the database file at `path` (UTF-8) and sets `*db`. `options` may be null for the defaults. The path
 * `":memory:"` is a database that is gone when it is closed.
 *
 * Requires: `path` points to `path_bytes` readable bytes, `options` is null or readable, `db` writable, `error` null or
 * writable.
 */
uint32_t nyro_open(const char *path,
                   size_t path_bytes,
                   const struct nyro_options *options,
                   nyro_db *db,
                   struct nyro_error *error);

/**
 * Closes the database: what is committed is brought to the file, and the file is released. Calls of other
 * threads that are under way end first or with `NYRO_CLOSED`. The handle is stale afterwards, even if an
 * error is returned. A path that was opened twice in this process is one
 * database, and is closed for both.
 *
 * Requires: `error` is null or writable.
 */
uint32_t nyro_close(nyro_db db, struct nyro_error *error);

/**
 * Inserts a document (a MessagePack map), or replaces the one that has its `_id`. Without an `_id` it gets the
 * next integer. `id_out` and `id_bytes_out`, if not null, receive the id as MessagePack, to be freed with
 * `nyro_free`.
 *
 * Requires: `collection` and `document` point to as many readable bytes as their lengths say; the out-parameters and
 * `error` are null or writable.
 */
uint32_t nyro_put(nyro_db db,
                  const char *collection,
                  size_t collection_bytes,
                  const uint8_t *document,
                  size_t document_bytes,
                  uint8_t **id_out,
                  size_t *id_bytes_out,
                  struct nyro_error *error);

/**
 * Like `nyro_put`, with the document as JSON text (Extended JSON: `{"$date": ...}`, `{"$binary": ...}`); the
 * id comes back as JSON text, without a NUL.
 *
 * Requires: As for `nyro_put`.
 */
uint32_t nyro_put_json(nyro_db db,
                       const char *collection,
                       size_t collection_bytes,
                       const char *json,
                       size_t json_bytes,
                       char **id_out,
                       size_t *id_bytes_out,
                       struct nyro_error *error);

/**
 * Copies out the document with this id (one MessagePack integer, string or binary), to be freed with
 * `nyro_free`. If there is none, the call succeeds with `*document_out` null.
 *
 * Requires: `collection` and `id` point to as many readable bytes as their lengths say; `document_out` and
 * `document_bytes_out` are writable, `error` null or writable.
 */
uint32_t nyro_get(nyro_db db,
                  const char *collection,
                  size_t collection_bytes,
                  const uint8_t *id,
                  size_t id_bytes,
                  uint8_t **document_out,
                  size_t *document_bytes_out,
                  struct nyro_error *error);

/**
 * Like `nyro_get`, with the id as JSON text (`42`, `"ada"`) and the document as JSON text, without a NUL.
 *
 * Requires: As for `nyro_get`.
 */
uint32_t nyro_get_json(nyro_db db,
                       const char *collection,
                       size_t collection_bytes,
                       const char *id_json,
                       size_t id_json_bytes,
                       char **json_out,
                       size_t *json_bytes_out,
                       struct nyro_error *error);

/**
 * Deletes the document with this id (one MessagePack value). `*deleted_out`, if not null, says whether there
 * was one (1) or not (0).
 *
 * Requires: `collection` and `id` point to as many readable bytes as their lengths say; `deleted_out` and `error` are
 * null or writable.
 */
uint32_t nyro_delete(nyro_db db,
                     const char *collection,
                     size_t collection_bytes,
                     const uint8_t *id,
                     size_t id_bytes,
                     uint32_t *deleted_out,
                     struct nyro_error *error);

/**
 * Like `nyro_delete`, with the id as JSON text.
 *
 * Requires: As for `nyro_delete`.
 */
uint32_t nyro_delete_json(nyro_db db,
                          const char *collection,
                          size_t collection_bytes,
                          const char *id_json,
                          size_t id_json_bytes,
                          uint32_t *deleted_out,
                          struct nyro_error *error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NYRO_H */
