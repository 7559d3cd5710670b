/* NyroDB: an embedded document store. The C functions.
 *
 * Written by `make header` from ffi/src; do not edit.
 *
 * Conventions
 * -----------
 * - Every call returns NYRO_OK (0) or the number of an error (docs/errors.md), and fills the nyro_error that
 *   it is given; null is allowed there. A document that is not there is no error.
 * - Handles are plain 64-bit numbers; 0 is none. One that was released, or is of another kind, is an error of the call
 *   that gets it, never a crash. Release what you opened, in any order.
 * - Strings and bytes come with their length and need no NUL. Strings are UTF-8. Documents are MessagePack maps with
 *   string keys; calls that end in _json take or give Extended JSON text.
 * - Out-parameters stand last, before the error. They are set to null, 0 when a call fails.
 * - What a call hands out is a copy that the caller owns and frees with nyro_free(), unless it says that it lends it.
 * - All functions may be called from all threads at any time; a transaction belongs to the thread that began it.
 *   Nothing here aborts the process or unwinds, whatever it is given. A thread is not to be cancelled inside of a call.
 * - After fork() the child's handles refuse with NYRO_FORKED: open the database anew there.
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
 * Insert all but the failures, instead of stopping at the first.
 */
#define NYRO_INSERT_UNORDERED 1

/**
 * Keep nothing if any document fails.
 */
#define NYRO_INSERT_ATOMIC 2

/**
 * Give the ids of the documents.
 */
#define NYRO_INSERT_IDS 4

/**
 * No bound on this side. What a struct of zeros says.
 */
#define NYRO_BOUND_NONE 0

/**
 * The key itself is in the range.
 */
#define NYRO_BOUND_INCLUDED 1

/**
 * The key itself is not in the range.
 */
#define NYRO_BOUND_EXCLUDED 2

/**
 * As `start_kind`, with `end_kind` 0: the keys that begin with `start`.
 */
#define NYRO_BOUND_PREFIX 3

/**
 * Give `key` the value `value`.
 */
#define NYRO_CHANGE_PUT 1

/**
 * Delete `key`.
 */
#define NYRO_CHANGE_DELETE 2

/**
 * Delete the keys from `key` on, up to and without `value`; to the end if that is null.
 */
#define NYRO_CHANGE_DELETE_RANGE 3

/**
 * Delete all keys.
 */
#define NYRO_CHANGE_CLEAR 4

/**
 * From the last key to the first.
 */
#define NYRO_RANGE_BACKWARD 1

/**
 * Documents come as MessagePack.
 */
#define NYRO_FORMAT_MSGPACK 0

/**
 * Documents come as JSON text, without a NUL.
 */
#define NYRO_FORMAT_JSON 1

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
 * Documents are read in place, from a mapping of the file. The default.
 */
#define NYRO_READ_MAPPED 0

/**
 * Pages are read into memory of the database's own: a device that fails is an error and no signal.
 */
#define NYRO_READ_PREAD 1

/**
 * An integer, in `integer`.
 */
#define NYRO_ID_INT 1

/**
 * An integer from 0 to 2^64-1, whose bits are in `integer`.
 */
#define NYRO_ID_UINT 2

/**
 * UTF-8 text of at most 1 024 bytes.
 */
#define NYRO_ID_STRING 3

/**
 * At most 1 024 bytes.
 */
#define NYRO_ID_BYTES 4

/**
 * Whatever one MessagePack value says.
 */
#define NYRO_ID_MSGPACK 5

/**
 * Whatever JSON text says: `42`, `"ada"`, `{"$binary": ..}`.
 */
#define NYRO_ID_JSON 6

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
  NYRO_WRONG_THREAD = 111,
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
  NYRO_KEY_TOO_LARGE = 211,
  NYRO_VALUE_TOO_LARGE = 212,
  NYRO_OTHER_KIND = 213,
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
  NYRO_MEMTABLE_FULL = 604,
  NYRO_INTERNAL = 901,
} nyro_code;

/**
 * What has collections and keyspaces: a `nyro_db`, a `nyro_snapshot` or a `nyro_transaction`.
 */
typedef uint64_t nyro_scope;

/**
 * A collection of one of these.
 */
typedef uint64_t nyro_collection;

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
 * An `_id`, passed by value. `nyro_id_int(42)` and the like make one; it borrows its bytes from the caller for the
 * time of the call.
 */
typedef struct nyro_id {
  /**
   * One of `NYRO_ID_...`.
   */
  uint32_t kind;
  /**
   * Not looked at.
   */
  uint32_t reserved;
  /**
   * The integer.
   */
  int64_t integer;
  /**
   * The bytes of the other kinds.
   */
  const void *data;
  /**
   * How many.
   */
  size_t bytes;
} nyro_id;

/**
 * What `nyro_insert_many` did. Its bytes are freed with `nyro_insert_result_free`.
 */
typedef struct nyro_insert_result {
  /**
   * Documents inserted.
   */
  uint64_t inserted;
  /**
   * With `NYRO_INSERT_IDS`, if all were inserted: their ids in order, a MessagePack array. Else null.
   */
  uint8_t *ids;
  /**
   * Bytes of it.
   */
  size_t ids_bytes;
  /**
   * After `NYRO_BULK_WRITE`: a MessagePack array with an array of place, number and message for each failure. Else
   * null.
   */
  uint8_t *failures;
  /**
   * Bytes of it.
   */
  size_t failures_bytes;
} nyro_insert_result;

/**
 * A scan of a collection.
 */
typedef uint64_t nyro_scan;

/**
 * What `nyro_scan_batch` gave.
 */
typedef struct nyro_batch {
  /**
   * How many documents.
   */
  size_t documents;
  /**
   * Bytes that they take in the buffer.
   */
  size_t bytes;
  /**
   * Not 0: no document fitted into the buffer, the next one has this many bytes.
   */
  size_t needed;
  /**
   * Where the scan is behind them: a scan begun after this token goes on there.
   */
  uint64_t token;
  /**
   * 1: there is no document after these.
   */
  uint32_t ended;
  /**
   * Always 0.
   */
  uint32_t reserved;
} nyro_batch;

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
   * For `NYRO_DURABILITY_INTERVAL`: the interval in milliseconds. Default 100.
   */
  uint32_t interval_ms;
  /**
   * Not 0: open beside other readers and write nothing. Default 0.
   */
  uint32_t read_only;
  /**
   * One of `NYRO_READ_...`.
   */
  uint32_t read_mode;
  /**
   * Not 0: open a file on a network file system, where locks and syncs can't be relied on. Default 0.
   */
  uint32_t allow_network_file_system;
  /**
   * Must be 0.
   */
  uint32_t reserved;
  /**
   * Memory in bytes for what is not in the file yet. Default 512 MiB, at least 64 KiB.
   */
  uint64_t cache_bytes;
  /**
   * Bytes of log from which on writers are slowed down. Default 128 MiB, at least 16 KiB.
   */
  uint64_t log_max_bytes;
  /**
   * How long a write waits for the writer's turn, in milliseconds. Default 60 000.
   */
  uint64_t writer_timeout_ms;
  /**
   * Largest document in bytes. Default 16 MiB, at most 30 MiB.
   */
  uint64_t max_document_bytes;
  /**
   * Snapshots older than this many milliseconds are ended. Default 0: none.
   */
  uint64_t snapshot_max_age_ms;
} nyro_options;

/**
 * An open database. A plain number, as all handles: copy it as you like, also between threads. 0 is never a handle.
 * After `nyro_close` the number is an error wherever it is used, even when other databases were opened since.
 */
typedef uint64_t nyro_db;

/**
 * A write transaction. It is used by the thread that began it; elsewhere it is `NYRO_WRONG_THREAD`.
 */
typedef uint64_t nyro_transaction;

/**
 * The whole database as of one commit.
 */
typedef uint64_t nyro_snapshot;

/**
 * A keyspace: values by key, in the order of the keys.
 */
typedef uint64_t nyro_keyspace;

/**
 * Bytes of the caller's.
 */
typedef struct nyro_bytes {
  /**
   * Where they are.
   */
  const void *data;
  /**
   * How many.
   */
  size_t bytes;
} nyro_bytes;

/**
 * Where a range of keys starts and where it ends, in the order of the keys, also if it is walked backward. Borrows its
 * bytes from the caller for the time of the call. Zeros are all keys.
 */
typedef struct nyro_bounds {
  /**
   * One of `NYRO_BOUND_...`.
   */
  uint32_t start_kind;
  /**
   * One of `NYRO_BOUND_...`, not `NYRO_BOUND_PREFIX`.
   */
  uint32_t end_kind;
  /**
   * The key at the start.
   */
  const void *start;
  /**
   * Bytes of it.
   */
  size_t start_bytes;
  /**
   * The key at the end.
   */
  const void *end;
  /**
   * Bytes of it.
   */
  size_t end_bytes;
} nyro_bounds;

/**
 * A change for `nyro_kv_write`. It borrows its bytes from the caller for the time of the call.
 */
typedef struct nyro_change {
  /**
   * One of `NYRO_CHANGE_...`.
   */
  uint32_t kind;
  /**
   * Must be 0.
   */
  uint32_t reserved;
  /**
   * The key.
   */
  const void *key;
  /**
   * Bytes of it.
   */
  size_t key_bytes;
  /**
   * The value.
   */
  const void *value;
  /**
   * Bytes of it.
   */
  size_t value_bytes;
} nyro_change;

/**
 * A range of a keyspace.
 */
typedef uint64_t nyro_range;

/**
 * What `nyro_range_batch` gave.
 */
typedef struct nyro_entries {
  /**
   * How many entries.
   */
  size_t entries;
  /**
   * Bytes that they take in the buffer.
   */
  size_t bytes;
  /**
   * Not 0: no entry fitted into the buffer, the next one has this many bytes.
   */
  size_t needed;
  /**
   * 1: there is no entry after these.
   */
  uint32_t ended;
  /**
   * Always 0.
   */
  uint32_t reserved;
} nyro_entries;

/**
 * Stops long calls from another thread.
 */
typedef uint64_t nyro_cancel;

/**
 * Which backup to make. Set all fields to 0 and `struct_bytes` to its size, then what you need.
 */
typedef struct nyro_backup_options {
  /**
   * `sizeof(nyro_backup_options)`.
   */
  uint32_t struct_bytes;
  /**
   * Not 0: replace a file that is there.
   */
  uint32_t overwrite;
  /**
   * The name by which the database remembers it, for incremental ones to be based on; null: none.
   */
  const char *name;
  /**
   * Bytes of it.
   */
  size_t name_bytes;
  /**
   * Incremental: only what changed since the backup of this name; null: a full one.
   */
  const char *since;
  /**
   * Bytes of it.
   */
  size_t since_bytes;
} nyro_backup_options;

/**
 * How far a long call is. The texts are UTF-8 without NUL, and live as long as the callback runs.
 */
typedef struct nyro_progress {
  /**
   * How much of this phase is done.
   */
  uint64_t done;
  /**
   * How much there is to do; 0 where that is not known.
   */
  uint64_t total;
  /**
   * What is being done.
   */
  const char *phase;
  /**
   * Bytes of `phase`.
   */
  size_t phase_bytes;
  /**
   * What is counted: pages, bytes, documents.
   */
  const char *unit;
  /**
   * Bytes of `unit`.
   */
  size_t unit_bytes;
} nyro_progress;

/**
 * Called by a long call as it goes, on its thread, with no lock held that a call of this library needs: it may call
 * them, on any handle. It must return: no `longjmp`, no exception. Not 0 stops the call with `NYRO_CANCELLED`.
 */
typedef uint32_t (*nyro_progress_callback)(void *context, const struct nyro_progress *progress);

/**
 * How a long call is watched and stopped. Set all fields to 0 and `struct_bytes` to its size, then what you need.
 */
typedef struct nyro_control {
  /**
   * `sizeof(nyro_control)`.
   */
  uint32_t struct_bytes;
  /**
   * Must be 0.
   */
  uint32_t reserved;
  /**
   * Stop with `NYRO_DEADLINE_EXCEEDED` after this many milliseconds; 0: never.
   */
  uint64_t timeout_ms;
  /**
   * Stop when this is cancelled; 0: none.
   */
  nyro_cancel cancel;
  /**
   * Told how far the call is; null: nobody.
   */
  nyro_progress_callback progress;
  /**
   * Given to `progress`.
   */
  void *context;
} nyro_control;

/**
 * A text of the caller, in an array of them.
 */
typedef struct nyro_text {
  /**
   * UTF-8, without a NUL.
   */
  const char *data;
  /**
   * How many bytes.
   */
  size_t bytes;
} nyro_text;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Opens a collection of a database (each read sees the newest commit), of a snapshot (as of it; writing is
 * `NYRO_READ_ONLY`), or of a transaction (which sees its own writes). Reads and writes nothing: a collection is made by
 * its first write and is empty before. Open it once and keep it: it remembers where the collection is. Release it with
 * `nyro_collection_release`; one of a transaction ends with that.
 *
 * Requires: `name` points to `name_bytes` readable bytes, `collection` is writable, `error` null or writable.
 */
uint32_t nyro_collection_open(nyro_scope scope,
                              const char *name,
                              size_t name_bytes,
                              nyro_collection *collection,
                              struct nyro_error *error);

/**
 * Releases a collection.
 *
 * Requires: `error` is null or writable.
 */
uint32_t nyro_collection_release(nyro_collection collection, struct nyro_error *error);

/**
 * Copies out the document with this id as MessagePack, to be freed with `nyro_free`. If there is none, the call
 * succeeds with `*document_out` null. Never blocks.
 *
 * Requires: The bytes of `id` are readable; the out-parameters are writable, `error` null or writable.
 */
uint32_t nyro_get(nyro_collection collection,
                  struct nyro_id id,
                  uint8_t **document_out,
                  size_t *document_bytes_out,
                  struct nyro_error *error);

/**
 * Copies the document with this id into the caller's memory and sets `*document_bytes_out` to its size: 0 if there is
 * no such document; more than `buffer_bytes` if it does not fit, and then nothing is copied. `buffer` may be null if
 * `buffer_bytes` is 0.
 *
 * Requires: The bytes of `id` are readable, `buffer_bytes` bytes at `buffer` writable; `document_bytes_out` is writable, `error`
 * null or writable.
 */
uint32_t nyro_get_into(nyro_collection collection,
                       struct nyro_id id,
                       uint8_t *buffer,
                       size_t buffer_bytes,
                       size_t *document_bytes_out,
                       struct nyro_error *error);

/**
 * Lends the document with this id: `*document_out` points to its MessagePack bytes in the database's own memory, to
 * be read until the collection and its snapshot are both released. Null if there is none. For collections of snapshots
 * only. Nothing is copied; nothing is to be freed.
 *
 * Requires: The bytes of `id` are readable; the out-parameters are writable, `error` null or writable.
 */
uint32_t nyro_get_borrowed(nyro_collection collection,
                           struct nyro_id id,
                           const uint8_t **document_out,
                           size_t *document_bytes_out,
                           struct nyro_error *error);

/**
 * Like `nyro_get`, with the document as JSON text, without a NUL.
 *
 * Requires: As for `nyro_get`.
 */
uint32_t nyro_get_json(nyro_collection collection,
                       struct nyro_id id,
                       char **json_out,
                       size_t *json_bytes_out,
                       struct nyro_error *error);

/**
 * Copies out the documents with `count` ids, one behind the other in one piece of memory, to be freed with
 * `nyro_free`; `ends[i]` is where the document of `ids[i]` ends. One that is not there takes no bytes. All are as of
 * one commit. Faster than so many calls of `nyro_get`: their cache misses overlap.
 *
 * Requires: `count` ids at `ids`, and their bytes, are readable; `count` sizes at `ends` are writable, and so are the other
 * out-parameters; `error` is null or writable.
 */
uint32_t nyro_get_many(nyro_collection collection,
                       const struct nyro_id *ids,
                       size_t count,
                       uint8_t **documents_out,
                       size_t *documents_bytes_out,
                       size_t *ends,
                       struct nyro_error *error);

/**
 * Sets `*found_out` to 1 if there is a document with this id, else to 0.
 *
 * Requires: The bytes of `id` are readable; `found_out` is writable, `error` null or writable.
 */
uint32_t nyro_contains(nyro_collection collection,
                       struct nyro_id id,
                       uint32_t *found_out,
                       struct nyro_error *error);

/**
 * Sets `*count_out` to the number of documents, exact, in the same short time whatever it is. Not for collections of a
 * transaction.
 *
 * Requires: `count_out` is writable, `error` null or writable.
 */
uint32_t nyro_count(nyro_collection collection,
                    uint64_t *count_out,
                    struct nyro_error *error);

/**
 * Inserts a document (a MessagePack map), or replaces the one that has its `_id`. Without an `_id` it gets the next
 * integer. `*id_out`, if not null, is the id: for a string or bytes with a copy of them, freed with `nyro_id_free`.
 *
 * As every write it blocks for the writer's turn and, under `NYRO_DURABILITY_SYNC`, until it is on the disk.
 *
 * Requires: `document` points to `document_bytes` readable bytes; `id_out` and `error` are null or writable.
 */
uint32_t nyro_put(nyro_collection collection,
                  const uint8_t *document,
                  size_t document_bytes,
                  struct nyro_id *id_out,
                  struct nyro_error *error);

/**
 * Like `nyro_put`, with the document as JSON text (Extended JSON: `{"$date": ...}`, `{"$binary": ...}`).
 *
 * Requires: As for `nyro_put`.
 */
uint32_t nyro_put_json(nyro_collection collection,
                       const char *json,
                       size_t json_bytes,
                       struct nyro_id *id_out,
                       struct nyro_error *error);

/**
 * Inserts a document. Error: `NYRO_DUPLICATE_ID` if there is one with its `_id`. Otherwise as `nyro_put`.
 *
 * Requires: As for `nyro_put`.
 */
uint32_t nyro_insert_one(nyro_collection collection,
                         const uint8_t *document,
                         size_t document_bytes,
                         struct nyro_id *id_out,
                         struct nyro_error *error);

/**
 * Like `nyro_insert_one`, with the document as JSON text.
 *
 * Requires: As for `nyro_put`.
 */
uint32_t nyro_insert_one_json(nyro_collection collection,
                              const char *json,
                              size_t json_bytes,
                              struct nyro_id *id_out,
                              struct nyro_error *error);

/**
 * Frees the bytes of an id that a call of this library gave, if it has any, and empties it. Null is allowed.
 *
 * Requires: `id` is null or was filled by this library, and not freed since.
 */
void nyro_id_free(struct nyro_id *id);

/**
 * Inserts `count` documents in one commit. They lie one behind the other in `documents`; `ends[i]` is where number i
 * ends. It stops at the first that fails and keeps those before it, or as `flags` (of `NYRO_INSERT_...`) say. Error:
 * `NYRO_BULK_WRITE` if some were not inserted; `*result_out` says which. In a transaction's collection nothing is kept
 * of a failed call only if the transaction is rolled back, and `NYRO_INSERT_ATOMIC` is refused.
 *
 * Requires: `documents` points to `documents_bytes` readable bytes, `ends` to `count` sizes; `result_out` and `error` are null or
 * writable.
 */
uint32_t nyro_insert_many(nyro_collection collection,
                          const uint8_t *documents,
                          size_t documents_bytes,
                          const size_t *ends,
                          size_t count,
                          uint32_t flags,
                          struct nyro_insert_result *result_out,
                          struct nyro_error *error);

/**
 * Frees the bytes of a result of `nyro_insert_many`, if it has any, and empties it. Null is allowed.
 *
 * Requires: `result` is null or was filled by `nyro_insert_many`, and not freed since.
 */
void nyro_insert_result_free(struct nyro_insert_result *result);

/**
 * Replaces the document with this id; the new one may leave out its `_id`. `*replaced_out`, if not null, says whether
 * there was one (1) or not (0), and then nothing was changed. Error: `NYRO_INVALID_ID` if the document has another one.
 *
 * Requires: The bytes of `id` and `document_bytes` bytes at `document` are readable; `replaced_out` and `error` are null or
 * writable.
 */
uint32_t nyro_replace_one(nyro_collection collection,
                          struct nyro_id id,
                          const uint8_t *document,
                          size_t document_bytes,
                          uint32_t *replaced_out,
                          struct nyro_error *error);

/**
 * Deletes the document with this id. `*deleted_out`, if not null, says whether there was one (1) or not (0).
 *
 * Requires: The bytes of `id` are readable; `deleted_out` and `error` are null or writable.
 */
uint32_t nyro_delete(nyro_collection collection,
                     struct nyro_id id,
                     uint32_t *deleted_out,
                     struct nyro_error *error);

/**
 * Begins a scan of the documents after `token` (0: of all) in the order they were last written, and sets `*scan`. It
 * has its own snapshot, and holds one block at a time. Not for collections of a transaction.
 *
 * Requires: `scan` is writable, `error` null or writable.
 */
uint32_t nyro_scan_open(nyro_collection collection,
                        uint64_t token,
                        nyro_scan *scan,
                        struct nyro_error *error);

/**
 * Lends the next document as MessagePack, to be read until the next call on this scan; null at the end. After an
 * error it gives that error again.
 *
 * Requires: The out-parameters are writable, `error` null or writable.
 */
uint32_t nyro_scan_next(nyro_scan scan,
                        const uint8_t **document_out,
                        size_t *document_bytes_out,
                        struct nyro_error *error);

/**
 * Copies the next documents into the caller's memory, one behind the other, as many as fit and at most `most`;
 * `ends[i]` is where number i ends. Fewer calls than with `nyro_scan_next`, where a call costs.
 *
 * Requires: `buffer_bytes` bytes at `buffer` and `most` sizes at `ends` are writable; `batch_out` is writable, `error` null or
 * writable.
 */
uint32_t nyro_scan_batch(nyro_scan scan,
                         uint8_t *buffer,
                         size_t buffer_bytes,
                         size_t *ends,
                         size_t most,
                         struct nyro_batch *batch_out,
                         struct nyro_error *error);

/**
 * Like `nyro_scan_batch`, with `tokens[i]` where the scan is behind document number i: for a program that gives the
 * documents on one by one, and must be able to say how far it got. `tokens` may be null.
 *
 * Requires: As for `nyro_scan_batch`; `tokens` is null or `most` numbers there are writable.
 */
uint32_t nyro_scan_batch_tokens(nyro_scan scan,
                                uint8_t *buffer,
                                size_t buffer_bytes,
                                size_t *ends,
                                uint64_t *tokens,
                                size_t most,
                                struct nyro_batch *batch_out,
                                struct nyro_error *error);

/**
 * Where a scan is: a scan begun after this token, now or after reopening, goes on behind the last document given.
 * What has not changed since comes exactly once; what was written since comes (again) at the end.
 *
 * Requires: `token_out` is writable, `error` null or writable.
 */
uint32_t nyro_scan_token(nyro_scan scan,
                         uint64_t *token_out,
                         struct nyro_error *error);

/**
 * Ends a scan; the document that it lent last is not to be looked at any more.
 *
 * Requires: `error` is null or writable.
 */
uint32_t nyro_scan_close(nyro_scan scan, struct nyro_error *error);

/**
 * The `_id` of a MessagePack document, such as one that a scan gave: for a string or bytes with a copy of them, freed
 * with `nyro_id_free`. Error: `NYRO_INVALID_ID` if it has none.
 *
 * Requires: `document` points to `document_bytes` readable bytes; `id_out` is writable, `error` null or writable.
 */
uint32_t nyro_document_id(const uint8_t *document,
                          size_t document_bytes,
                          struct nyro_id *id_out,
                          struct nyro_error *error);

/**
 * The JSON text of a MessagePack document, without a NUL, freed with `nyro_free`.
 *
 * Requires: `document` points to `document_bytes` readable bytes; the out-parameters are writable, `error` null or writable.
 */
uint32_t nyro_to_json(const uint8_t *document,
                      size_t document_bytes,
                      char **json_out,
                      size_t *json_bytes_out,
                      struct nyro_error *error);

/**
 * The MessagePack bytes of a JSON document, freed with `nyro_free`.
 *
 * Requires: `json` points to `json_bytes` readable bytes; the out-parameters are writable, `error` null or writable.
 */
uint32_t nyro_from_json(const char *json,
                        size_t json_bytes,
                        uint8_t **document_out,
                        size_t *document_bytes_out,
                        struct nyro_error *error);

/**
 * The ABI version of the library that is loaded: `NYRO_ABI_VERSION` of its header.
 */
uint32_t nyro_abi_version(void);

/**
 * The version of the library that is loaded, such as `"0.1.0"`. A constant: never null, never freed.
 */
const char *nyro_version(void);

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
 * `":memory:"` is a database that is gone when it is closed. Blocks for recovery if the file was not closed.
 *
 * The same path opened twice in a process gives two handles to one database; other options than the first are
 * `NYRO_OPTIONS_DIFFER`. In another process it is `NYRO_LOCKED`, and the message names the holder.
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
 * Closes this handle; the last one of a database brings what is committed to the file, marks it clean and releases
 * it. Blocks until that is done, and for a transaction of another thread. The handle is stale afterwards, even if an
 * error is returned, but for `NYRO_NESTED_TRANSACTION`: a transaction of this thread is open, and nothing was closed.
 * Collections of it give `NYRO_CLOSED`, and so do its snapshots and scans once the last handle of the database is
 * closed; release them still. Documents borrowed from a
 * snapshot stay until it is released, and the file can't be opened again in this process until then.
 *
 * Requires: `error` is null or writable.
 */
uint32_t nyro_close(nyro_db db,
                    struct nyro_error *error);

/**
 * Gives a handle up where nobody is there to be told of failures: closes as `nyro_close`, and where that is
 * `NYRO_NESTED_TRANSACTION` the database is closed when the transaction has ended and its collections are released.
 *
 * Requires: `error` is null or writable.
 */
uint32_t nyro_db_release(nyro_db db,
                         struct nyro_error *error);

/**
 * Makes every commit so far durable, whatever the durability. Blocks for one sync of the log.
 *
 * Requires: `error` is null or writable.
 */
uint32_t nyro_sync(nyro_db db, struct nyro_error *error);

/**
 * Moves everything from memory and log into the file now. Never needed for safety: it happens in the background.
 * Blocks until done; reads and writes go on.
 *
 * Requires: `error` is null or writable.
 */
uint32_t nyro_checkpoint(nyro_db db,
                         struct nyro_error *error);

/**
 * Figures about the database, as one document in `format`, freed with `nyro_free`. The fields are those of `Stats` in
 * `docs/operations.md`; each says its unit. Cheap.
 *
 * Requires: The out-parameters are writable, `error` null or writable.
 */
uint32_t nyro_stats(nyro_db db,
                    uint32_t format,
                    uint8_t **stats_out,
                    size_t *stats_bytes_out,
                    struct nyro_error *error);

/**
 * Names of the collections of a database or snapshot, sorted: a document in `format` whose field `items` is an array
 * of strings, freed with `nyro_free`.
 *
 * Requires: The out-parameters are writable, `error` null or writable.
 */
uint32_t nyro_collection_names(nyro_scope scope,
                               uint32_t format,
                               uint8_t **names_out,
                               size_t *names_bytes_out,
                               struct nyro_error *error);

/**
 * Makes an empty collection. Collections are made by their first write, too. Error: `NYRO_COLLECTION_EXISTS`.
 *
 * Requires: `name` points to `name_bytes` readable bytes, `error` is null or writable.
 */
uint32_t nyro_create_collection(nyro_scope db_or_transaction,
                                const char *name,
                                size_t name_bytes,
                                struct nyro_error *error);

/**
 * Gives a collection another name. Errors: `NYRO_COLLECTION_NOT_FOUND`, `NYRO_COLLECTION_EXISTS`.
 *
 * Requires: `from` and `to` point to as many readable bytes as their lengths say, `error` is null or writable.
 */
uint32_t nyro_rename_collection(nyro_scope db_or_transaction,
                                const char *from,
                                size_t from_bytes,
                                const char *to,
                                size_t to_bytes,
                                struct nyro_error *error);

/**
 * Drops a collection with all its documents, in the same short time whatever its size. `*dropped_out`, if not null,
 * says whether there was one (1) or not (0). Snapshots still see it.
 *
 * Requires: `name` points to `name_bytes` readable bytes; `dropped_out` and `error` are null or writable.
 */
uint32_t nyro_drop_collection(nyro_scope db_or_transaction,
                              const char *name,
                              size_t name_bytes,
                              uint32_t *dropped_out,
                              struct nyro_error *error);

/**
 * Begins a write transaction and sets `*transaction`. Blocks for the writer's turn, at most `writer_timeout_ms`; other
 * writers wait until it is ended, readers do not. It belongs to this thread: used by another one it is
 * `NYRO_WRONG_THREAD`, and goes on. A thread that ends rolls back what it has not ended; the handle is stale from then
 * on, and so are the collections opened in it. Error: `NYRO_NESTED_TRANSACTION` if this thread has one of this database
 * already, also for a write outside of it.
 *
 * Requires: `transaction` is writable, `error` null or writable.
 */
uint32_t nyro_begin(nyro_db db,
                    nyro_transaction *transaction,
                    struct nyro_error *error);

/**
 * Commits: all of the transaction's changes or, after an error, none, but for `NYRO_OUTCOME_UNKNOWN`: a sync failed, and
 * whether the commit is there is known after the database was opened again. Blocks until the commit is durable under
 * `NYRO_DURABILITY_SYNC`. `*commit_out`, if not null, is the commit number. The handle is stale afterwards, and so are
 * the collections opened in it, but for `NYRO_WRONG_THREAD`.
 *
 * Requires: `commit_out` and `error` are null or writable.
 */
uint32_t nyro_commit(nyro_transaction transaction,
                     uint64_t *commit_out,
                     struct nyro_error *error);

/**
 * Ends a transaction without a trace. The handle is stale afterwards, and so are the collections opened in it, but for
 * `NYRO_WRONG_THREAD`: until its thread ends it, or ends itself, the transaction keeps the writer's turn.
 *
 * Requires: `error` is null or writable.
 */
uint32_t nyro_rollback(nyro_transaction transaction,
                       struct nyro_error *error);

/**
 * Takes a frozen view of the whole database as of now and sets `*snapshot`. Costs nothing and never waits. While it
 * lives, what it shows is kept, so the file may grow: release it.
 *
 * Requires: `snapshot` is writable, `error` null or writable.
 */
uint32_t nyro_snapshot_take(nyro_db db,
                            nyro_snapshot *snapshot,
                            struct nyro_error *error);

/**
 * The commit number that a snapshot shows.
 *
 * Requires: `commit_out` is writable, `error` null or writable.
 */
uint32_t nyro_snapshot_commit(nyro_snapshot snapshot, uint64_t *commit_out, struct nyro_error *error);

/**
 * Releases a snapshot. Collections opened in it keep what it shows until they are released, too, and with it what was
 * borrowed from them; what was borrowed is not to be looked at after both. Works after `nyro_close`.
 *
 * Requires: `error` is null or writable.
 */
uint32_t nyro_snapshot_release(nyro_snapshot snapshot,
                               struct nyro_error *error);

/**
 * Opens a keyspace of a database (each read sees the newest commit), of a snapshot (as of it; writing is
 * `NYRO_READ_ONLY`), or of a transaction (which sees its own writes). A keyspace is an ordered map from byte strings to
 * byte strings: keys of 0 to 65 535 bytes, in the order of their bytes, values up to `max_document_bytes`. It is made by
 * its first write and is empty before. Open it once and keep it: it remembers where the keyspace is. Release it with
 * `nyro_keyspace_release`; one of a transaction ends with that.
 *
 * Requires: `name` points to `name_bytes` readable bytes, `keyspace` is writable, `error` null or writable.
 */
uint32_t nyro_keyspace_open(nyro_scope scope,
                            const char *name,
                            size_t name_bytes,
                            nyro_keyspace *keyspace,
                            struct nyro_error *error);

/**
 * Releases a keyspace. Its ranges go on.
 *
 * Requires: `error` is null or writable.
 */
uint32_t nyro_keyspace_release(nyro_keyspace keyspace, struct nyro_error *error);

/**
 * Copies out the value of a key, to be freed with `nyro_free`. If the key is not there, the call succeeds with
 * `*value_out` null. Never blocks.
 *
 * Requires: `key` points to `key_bytes` readable bytes; the out-parameters are writable, `error` null or writable.
 */
uint32_t nyro_kv_get(nyro_keyspace keyspace,
                     const void *key,
                     size_t key_bytes,
                     uint8_t **value_out,
                     size_t *value_bytes_out,
                     struct nyro_error *error);

/**
 * Copies the value of a key into the caller's memory, sets `*value_bytes_out` to its size, and `*found_out` to 1 if the
 * key is there, else to 0. If the size is more than `buffer_bytes`, nothing is copied. `buffer` may be null if
 * `buffer_bytes` is 0.
 *
 * Requires: `key` points to `key_bytes` readable bytes, `buffer_bytes` bytes at `buffer` are writable; the out-parameters are
 * writable, `error` null or writable.
 */
uint32_t nyro_kv_get_into(nyro_keyspace keyspace,
                          const void *key,
                          size_t key_bytes,
                          uint8_t *buffer,
                          size_t buffer_bytes,
                          size_t *value_bytes_out,
                          uint32_t *found_out,
                          struct nyro_error *error);

/**
 * Copies out the values of `count` keys, one behind the other in one piece of memory, to be freed with `nyro_free`;
 * `ends[i]` is where the value of `keys[i]` ends, `found[i]` says whether the key is there (1) or not (0). All are as of
 * one commit.
 *
 * Requires: `count` keys at `keys`, and their bytes, are readable; `count` sizes at `ends` and bytes at `found` are writable, and
 * so are the other out-parameters; `error` is null or writable.
 */
uint32_t nyro_kv_get_many(nyro_keyspace keyspace,
                          const struct nyro_bytes *keys,
                          size_t count,
                          uint8_t **values_out,
                          size_t *values_bytes_out,
                          size_t *ends,
                          uint8_t *found,
                          struct nyro_error *error);

/**
 * Sets `*found_out` to 1 if the key is there, else to 0.
 *
 * Requires: `key` points to `key_bytes` readable bytes; `found_out` is writable, `error` null or writable.
 */
uint32_t nyro_kv_contains(nyro_keyspace keyspace,
                          const void *key,
                          size_t key_bytes,
                          uint32_t *found_out,
                          struct nyro_error *error);

/**
 * Sets `*count_out` to the number of keys, about: a key that was changed or deleted counts again until the tree is
 * merged. Costs a look at the list of runs. Not for keyspaces of a transaction.
 *
 * Requires: `count_out` is writable, `error` null or writable.
 */
uint32_t nyro_kv_estimated_count(nyro_keyspace keyspace,
                                 uint64_t *count_out,
                                 struct nyro_error *error);

/**
 * Gives a key a value, whether it had one or not. Blocks for the writer's turn and, under `NYRO_DURABILITY_SYNC`, until
 * it is on the disk. Errors: `NYRO_KEY_TOO_LARGE`, `NYRO_VALUE_TOO_LARGE`, and `NYRO_OTHER_KIND` if the name is that of a
 * collection.
 *
 * Requires: `key` and `value` point to as many readable bytes as their lengths say, `error` is null or writable.
 */
uint32_t nyro_kv_put(nyro_keyspace keyspace,
                     const void *key,
                     size_t key_bytes,
                     const void *value,
                     size_t value_bytes,
                     struct nyro_error *error);

/**
 * Deletes a key, whether it is there or not. Blocks as `nyro_kv_put`.
 *
 * Requires: `key` points to `key_bytes` readable bytes, `error` is null or writable.
 */
uint32_t nyro_kv_delete(nyro_keyspace keyspace, const void *key, size_t key_bytes, struct nyro_error *error);

/**
 * Deletes all keys between the bounds (null: all), in the same short time whatever their number. Blocks as
 * `nyro_kv_put`. Error: `NYRO_INVALID_ARGUMENT` for bounds in the wrong order.
 *
 * Requires: `bounds` is null or readable, and so are the bytes of its keys; `error` is null or writable.
 */
uint32_t nyro_kv_delete_range(nyro_keyspace keyspace,
                              const struct nyro_bounds *bounds,
                              struct nyro_error *error);

/**
 * Deletes all keys, in the same short time whatever their number. Snapshots still see them. Blocks as `nyro_kv_put`.
 *
 * Requires: `error` is null or writable.
 */
uint32_t nyro_kv_clear(nyro_keyspace keyspace,
                       struct nyro_error *error);

/**
 * Makes `count` changes in one commit, in their order: all of them or, after an error, none. Blocks as `nyro_kv_put`. In
 * a transaction's keyspace those before one that fails stay until the transaction is rolled back. Errors: as
 * `nyro_kv_put`, and `NYRO_TRANSACTION_TOO_LARGE`.
 *
 * Requires: `count` changes at `changes`, and their bytes, are readable; `error` is null or writable.
 */
uint32_t nyro_kv_write(nyro_keyspace keyspace,
                       const struct nyro_change *changes,
                       size_t count,
                       struct nyro_error *error);

/**
 * Begins a walk over the keys between the bounds (null: all) and sets `*range`. `flags` is 0 or `NYRO_RANGE_BACKWARD`.
 * It holds one entry at a time, and the snapshot that it reads; release it with `nyro_range_close`. In a transaction it
 * sees what that changes beyond its place, is used by the transaction's thread, and gives `NYRO_CLOSED` when the
 * transaction has ended. Error: `NYRO_INVALID_ARGUMENT` for bounds in the wrong order.
 *
 * Requires: `bounds` is null or readable, and so are the bytes of its keys; `range` is writable, `error` null or writable.
 */
uint32_t nyro_range_open(nyro_keyspace keyspace,
                         const struct nyro_bounds *bounds,
                         uint32_t flags,
                         nyro_range *range,
                         struct nyro_error *error);

/**
 * Lends the next key and its value, to be read until the next call on this range; `*key_out` is null at the end. After
 * an error it gives that error again.
 *
 * Requires: The out-parameters are writable, `error` null or writable.
 */
uint32_t nyro_range_next(nyro_range range,
                         const uint8_t **key_out,
                         size_t *key_bytes_out,
                         const uint8_t **value_out,
                         size_t *value_bytes_out,
                         struct nyro_error *error);

/**
 * Copies the next entries into the caller's memory, each a key and then its value, as many as fit and at most `most`:
 * `ends[2 * i]` is where key number i ends, `ends[2 * i + 1]` where its value does. Fewer calls than with
 * `nyro_range_next`, where a call costs.
 *
 * Requires: `buffer_bytes` bytes at `buffer` and `2 * most` sizes at `ends` are writable; `entries_out` is writable, `error` null
 * or writable.
 */
uint32_t nyro_range_batch(nyro_range range,
                          uint8_t *buffer,
                          size_t buffer_bytes,
                          size_t *ends,
                          size_t most,
                          struct nyro_entries *entries_out,
                          struct nyro_error *error);

/**
 * Goes to a key, whether it is there or not: the next entry is that key's or the first one behind it (backward: before
 * it). From a key outside of the bounds it goes to the nearest one inside. It reads the same snapshot as before.
 *
 * Requires: `key` points to `key_bytes` readable bytes, `error` is null or writable.
 */
uint32_t nyro_range_seek(nyro_range range,
                         const void *key,
                         size_t key_bytes,
                         struct nyro_error *error);

/**
 * Ends a range; what it lent last is not to be looked at any more.
 *
 * Requires: `error` is null or writable.
 */
uint32_t nyro_range_close(nyro_range range, struct nyro_error *error);

/**
 * Names of the keyspaces of a database or snapshot, sorted: a document in `format` whose field `items` is an array of
 * strings, freed with `nyro_free`.
 *
 * Requires: The out-parameters are writable, `error` null or writable.
 */
uint32_t nyro_keyspace_names(nyro_scope scope,
                             uint32_t format,
                             uint8_t **names_out,
                             size_t *names_bytes_out,
                             struct nyro_error *error);

/**
 * Gives a keyspace another name. Errors: `NYRO_COLLECTION_NOT_FOUND`, `NYRO_COLLECTION_EXISTS`, `NYRO_OTHER_KIND`.
 *
 * Requires: `from` and `to` point to as many readable bytes as their lengths say, `error` is null or writable.
 */
uint32_t nyro_rename_keyspace(nyro_scope db_or_transaction,
                              const char *from,
                              size_t from_bytes,
                              const char *to,
                              size_t to_bytes,
                              struct nyro_error *error);

/**
 * Drops a keyspace with all its keys, in the same short time whatever its size. `*dropped_out`, if not null, says
 * whether there was one (1) or not (0). Snapshots still see it.
 *
 * Requires: `name` points to `name_bytes` readable bytes; `dropped_out` and `error` are null or writable.
 */
uint32_t nyro_drop_keyspace(nyro_scope db_or_transaction,
                            const char *name,
                            size_t name_bytes,
                            uint32_t *dropped_out,
                            struct nyro_error *error);

/**
 * Figures about the tree that holds all keyspaces, as one document in `format`, freed with `nyro_free`: its levels, runs,
 * sizes, and what a read and a write cost. The fields are those of `KeyspaceStats` in `docs/operations.md`. Reads about
 * a hundredth of what keyspaces take in the file.
 *
 * Requires: The out-parameters are writable, `error` null or writable.
 */
uint32_t nyro_keyspace_stats(nyro_db db,
                             uint32_t format,
                             uint8_t **stats_out,
                             size_t *stats_bytes_out,
                             struct nyro_error *error);

/**
 * Makes a token that stops nothing yet, for `nyro_control`; sets `*cancel`.
 *
 * Requires: `cancel` is writable, `error` null or writable.
 */
uint32_t nyro_cancel_new(nyro_cancel *cancel, struct nyro_error *error);

/**
 * Stops the calls that were given this token, at their next step. It can't be undone. From any thread.
 *
 * Requires: `error` is null or writable.
 */
uint32_t nyro_cancel_fire(nyro_cancel cancel, struct nyro_error *error);

/**
 * Releases a token. Calls that were given it go on.
 *
 * Requires: `error` is null or writable.
 */
uint32_t nyro_cancel_release(nyro_cancel cancel, struct nyro_error *error);

/**
 * Writes a backup to a new file at `path`, while reads and writes go on. A full one is itself a database. `options`
 * and `control` may be null. `*report_out`, if not null, is a document in `format` (commit, pages, bytes), freed with
 * `nyro_free`. After an error what was at `path` is as it was. Blocks for copying the file.
 *
 * Requires: `path` points to `path_bytes` readable bytes, `options` and `control` are null or readable with what they point to;
 * the out-parameters and `error` are null or writable.
 */
uint32_t nyro_backup(nyro_db db,
                     const char *path,
                     size_t path_bytes,
                     const struct nyro_backup_options *options,
                     const struct nyro_control *control,
                     uint32_t format,
                     uint8_t **report_out,
                     size_t *report_bytes_out,
                     struct nyro_error *error);

/**
 * The named backups that the database remembers, the newest first: a document in `format` whose field `items` is an
 * array (name, commit, checkpoint), freed with `nyro_free`.
 *
 * Requires: The out-parameters are writable, `error` null or writable.
 */
uint32_t nyro_backups(nyro_db db,
                      uint32_t format,
                      uint8_t **backups_out,
                      size_t *backups_bytes_out,
                      struct nyro_error *error);

/**
 * Makes a database file at `target` from a full backup and the incremental ones after it, in their order. It is
 * verified as a whole before it takes the target's place; after an error what was there is as it was. `overwrite` not
 * 0: replace a file that is there. The report is that of `nyro_verify`. Blocks until done.
 *
 * Requires: `target` points to `target_bytes` readable bytes, `backups` to `count` texts; `control` is null or readable; the
 * out-parameters and `error` are null or writable.
 */
uint32_t nyro_restore(const char *target,
                      size_t target_bytes,
                      const struct nyro_text *backups,
                      size_t count,
                      uint32_t overwrite,
                      const struct nyro_control *control,
                      uint32_t format,
                      uint8_t **report_out,
                      size_t *report_bytes_out,
                      struct nyro_error *error);

/**
 * Saves what can still be read of a damaged file into a new one. The report, a document in `format`, says what was
 * saved and what was lost; `is_complete` is true if nothing was. Blocks until done.
 *
 * Requires: `damaged` and `target` point to as many readable bytes as their lengths say; `control` is null or readable; the
 * out-parameters and `error` are null or writable.
 */
uint32_t nyro_repair(const char *damaged,
                     size_t damaged_bytes,
                     const char *target,
                     size_t target_bytes,
                     uint32_t overwrite,
                     const struct nyro_control *control,
                     uint32_t format,
                     uint8_t **report_out,
                     size_t *report_bytes_out,
                     struct nyro_error *error);

/**
 * Checks the whole database: pages, checksums, order, counters, and that each document is found by its id and is
 * well-formed. Error: `NYRO_CORRUPT`, with the first damage found. The report says how much was checked. Blocks for
 * reading the whole file; reads and writes go on.
 *
 * Requires: `control` is null or readable; the out-parameters and `error` are null or writable.
 */
uint32_t nyro_verify(nyro_db db,
                     const struct nyro_control *control,
                     uint32_t format,
                     uint8_t **report_out,
                     size_t *report_bytes_out,
                     struct nyro_error *error);

/**
 * Makes the file as small as its documents allow. Blocks until done, in steps; stopped, what was gained stays. Reads
 * and writes go on.
 *
 * Requires: As for `nyro_verify`.
 */
uint32_t nyro_compact(nyro_db db,
                      const struct nyro_control *control,
                      uint32_t format,
                      uint8_t **report_out,
                      size_t *report_bytes_out,
                      struct nyro_error *error);

/**
 * Brings pages of the file into memory, the index first, up to `limit_bytes`. Blocks until done; reads and writes go
 * on.
 *
 * Requires: As for `nyro_verify`.
 */
uint32_t nyro_warm_up(nyro_db db,
                      uint64_t limit_bytes,
                      const struct nyro_control *control,
                      uint32_t format,
                      uint8_t **report_out,
                      size_t *report_bytes_out,
                      struct nyro_error *error);

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

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NYRO_H */
