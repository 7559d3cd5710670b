/* What the files of the runner share: the run, what a step gave, and how a step's arguments are taken. */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include "nyro.h"
#include "value.h"

#define MOST_NAMES 32

/* A snapshot, scan or range that a step gave a name to. */
typedef struct named {
    const value *name;
    uint64_t handle;
    uint64_t token;
    bool released;
} named;

/* A file that is being run. */
typedef struct run {
    const char *file;
    arena arena;
    nyro_db db;
    bool closed;
    nyro_transaction transaction; /* 0: none */
    named snapshots[MOST_NAMES], scans[MOST_NAMES], ranges[MOST_NAMES];
    size_t snapshot_count, scan_count, range_count;
    size_t steps;
    char place[64]; /* of the step, such as 12 or 12.3 */
} run;

/* What a step gave. */
typedef struct outcome {
    uint32_t code;
    const value *result;   /* null: nothing */
    int64_t inserted;      /* with NYRO_BULK_WRITE */
    const value *failures;
    bool is_bytes;         /* strings that are wanted stand for their bytes */
} outcome;

_Noreturn void fail(run *r, const value *step, const char *what);
/* An argument of this kind; ends the program if there is none. */
const value *argument(run *r, const value *step, const char *name, value_kind kind);
bool flag(run *r, const value *step, const char *name, bool otherwise);
uint64_t number(run *r, const value *step, const char *name);
/* That the step has no argument but those in `known`, words with spaces around them. */
void check_arguments(run *r, const value *step, const char *known);
named *find(named *all, size_t count, const uint8_t *name, size_t bytes);
/* What the call goes to: the database, a transaction, a snapshot. */
nyro_scope scope(run *r, const value *step);
/* Text of a path or a name. */
nyro_text text_of(run *r, const value *step, const char *name);
value *array_of(run *r, size_t count);
const value *unpacked(run *r, const value *step, const uint8_t *data, size_t bytes);
/* Adds a value to those of an array, and makes the array of them. */
void add(buffer *values, const value *v);
const value *array_from(run *r, buffer *values);
/* Releases once; a second time is an error of a stale number, and no harm. */
outcome release(run *r, const value *step, named *what, uint32_t (*call)(uint64_t, nyro_error *));

/* Makes a step about keyspaces; false if it is none. */
bool run_keyspace_step(run *r, const value *step, outcome *o);
/* The value with bytes in the place of all strings. */
const value *with_bytes(run *r, const value *v);

#endif
