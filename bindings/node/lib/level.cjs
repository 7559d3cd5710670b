'use strict';
// A keyspace as a database of abstract-level, the interface that LevelDB and its relatives share in JavaScript.
//
//   AbstractLevel     encodings, sublevels, hooks, deferred opening
//     NyroLevel       a keyspace of a database
//       Iterator      a range, read by the batch
//       Snapshot      the keyspace as of a snapshot

const fs = require('node:fs');
const { AbstractLevel, AbstractIterator, AbstractSnapshot } = require('abstract-level');
const { open, OPTIONS } = require('./database.cjs');
const errors = require('./errors.cjs');
const { TEXT, TEXTS, BATCH } = require('./handles.cjs');

/** Entries that `next` reads ahead, after a first one, and keys that are deleted in one commit. */
const AHEAD = 256;
const MEMORY = ':memory:';

const bytesOf = (key) => (typeof key === 'string' ? Buffer.from(key) : key);

/**
 * {start, end} of the options of a range: [key, included] each, or undefined. Where both kinds are given, that which
 * includes its key counts, as abstract-level has it.
 */
function boundsOf(options) {
  const bound = (included, excluded) => {
    if (options[included] !== undefined) return [bytesOf(options[included]), true];
    return options[excluded] === undefined ? undefined : [bytesOf(options[excluded]), false];
  };
  return { start: bound('gte', 'gt'), end: bound('lte', 'lt') };
}

/** Whether there can be no key between them. */
function isEmpty({ start, end }) {
  if (start === undefined || end === undefined) return false;
  const order = Buffer.compare(start[0], end[0]);
  return order > 0 || (order === 0 && !(start[1] && end[1]));
}

/** Whether a key lies before the start of a range, or behind its end. */
function isBefore({ start }, key) {
  if (start === undefined) return false;
  const order = Buffer.compare(key, start[0]);
  return order < 0 || (order === 0 && !start[1]);
}

function isBehind({ end }, key) {
  if (end === undefined) return false;
  const order = Buffer.compare(key, end[0]);
  return order > 0 || (order === 0 && !end[1]);
}

/** The bounds as options of a keyspace. */
function optionsOf({ start, end }) {
  return {
    ...(start && { [start[1] ? 'gte' : 'gt']: start[0] }),
    ...(end && { [end[1] ? 'lte' : 'lt']: end[0] }),
  };
}

/** What abstract-level wants to hear when a signal has stopped an iterator. */
class AbortError extends Error {
  constructor(cause) {
    super('Operation has been aborted', { cause });
    this.code = 'LEVEL_ABORTED';
  }

  get name() {
    return 'AbortError';
  }
}

class Iterator extends AbstractIterator {
  /** Begins the range; null when it was begun, or has nothing to give. */
  #begin = null;
  #range = null;
  /** The key to go to when it is begun. */
  #target;
  #bounds;
  #reverse;
  #make;
  /** Made of text alone: nothing of it stays in the memory that it was read into. */
  #keeps;
  #signal;
  #read = [];
  #next = 0;
  #most = 1;
  #ended = false;

  constructor(db, options, keyspace) {
    super(db, options);
    const { reverse, keys, values, keyEncoding, valueEncoding, signal } = options;
    this.#bounds = boundsOf(options);
    this.#reverse = reverse;
    this.#signal = signal ?? null;
    const [key, value] = [keyEncoding === 'utf8', valueEncoding === 'utf8'];
    this.#keeps = (keys && !key) || (values && !value);
    this.#make = (start, middle, end, buffer, text) => [
      keys ? (key ? text : buffer)(start, middle) : undefined,
      values ? (value ? text : buffer)(middle, end) : undefined,
    ];
    if (isEmpty(this.#bounds)) return;
    // Neither: the entries are counted by their keys.
    const wanted = { ...optionsOf(this.#bounds), keys: keys || !values, values, reverse };
    this.#begin = () => {
      this.#begin = null;
      this.#range = keyspace.range(wanted);
      if (this.#target !== undefined) this.#range.seek(this.#target);
    };
    // Without a snapshot of the caller's it shows this moment. With one, that may be closed, which is told by reading.
    if (options.snapshot === undefined || options.snapshot === null) this.#begin();
  }

  /** With a signal, which may be raised while it is awaited: reading itself is done at once. */
  async #listen() {
    await undefined;
    if (this.#signal.aborted) throw new AbortError(this.#signal.reason);
  }

  #fill(most) {
    if (this.#ended) return [];
    this.#begin?.();
    if (this.#range === null) return [];
    const entries = this.#range[BATCH](most, this.#make, this.#keeps);
    this.#ended = entries.length === 0;
    return entries;
  }

  async _next() {
    if (this.#signal !== null) await this.#listen();
    if (this.#next === this.#read.length) {
      this.#read = this.#fill(this.#most);
      this.#next = 0;
      this.#most = AHEAD;
      if (this.#read.length === 0) return undefined;
    }
    return this.#read[this.#next++];
  }

  async _nextv(size) {
    if (this.#signal !== null) await this.#listen();
    if (this.#next < this.#read.length) {
      const from = this.#next;
      this.#next = Math.min(this.#read.length, from + size);
      return this.#read.slice(from, this.#next);
    }
    // As many as were asked for, but for the end: a batch may hold fewer.
    const all = this.#fill(size).slice();
    while (all.length < size) {
      const more = this.#fill(size - all.length);
      if (more.length === 0) break;
      for (const entry of more) all.push(entry);
    }
    return all;
  }

  _seek(target) {
    this.#read = [];
    this.#next = 0;
    this.#most = 1;
    const key = bytesOf(target);
    // From a key outside nothing is found, though there be keys inside.
    this.#ended = this.#reverse ? isBehind(this.#bounds, key) : isBefore(this.#bounds, key);
    if (!this.#ended && this.#begin !== null) this.#target = key;
    else if (!this.#ended) this.#range?.seek(key);
  }

  async _close() {
    this.#read = [];
    this.#next = 0;
    this.#range?.close();
    this.#range = null;
    this.#begin = null;
  }
}

class Snapshot extends AbstractSnapshot {
  #snapshot;
  #keyspace;
  #level;

  constructor(level, snapshot, name, options) {
    super(options);
    this.#level = level;
    this.#snapshot = snapshot;
    this.#keyspace = snapshot.keyspace(name);
  }

  /** The keyspace that a call with these options reads. */
  static keyspaceOf(level, keyspace, snapshot) {
    if (snapshot === undefined || snapshot === null) return keyspace;
    if (!(#level in snapshot) || snapshot.#level !== level) {
      throw errors.argument('the snapshot is one of another database');
    }
    return snapshot.#keyspace;
  }

  async _close() {
    this.#snapshot.close();
  }
}

/** A database of abstract-level over one keyspace of a file. */
class NyroLevel extends AbstractLevel {
  #location;
  #name;
  #db = null;
  #keyspace = null;

  constructor(location, options) {
    if (typeof location !== 'string' || location === '') {
      throw new TypeError("The first argument 'location' must be a non-empty string");
    }
    const { keyspace = 'level', ...others } = options ?? {};
    if (typeof keyspace !== 'string') throw new TypeError("The option 'keyspace' must be a string");
    super(
      {
        encodings: { buffer: true, utf8: true, view: true },
        permanence: location !== MEMORY,
        seek: true,
        has: true,
        getSync: true,
        createIfMissing: true,
        errorIfExists: true,
        implicitSnapshots: true,
        explicitSnapshots: true,
        signals: { iterators: true },
      },
      others,
    );
    this.#location = location;
    this.#name = keyspace;
  }

  /** The path of the file. */
  get location() {
    return this.#location;
  }

  /** The name of the keyspace in it. */
  get keyspace() {
    return this.#name;
  }

  async _open(options) {
    const { createIfMissing, errorIfExists } = options;
    const isThere = this.#location !== MEMORY && fs.existsSync(this.#location);
    if (errorIfExists && isThere) {
      throw errors.argument(`${this.#location} exists already, and errorIfExists says that it must not`);
    }
    if (!createIfMissing && !isThere) throw errors.missing(this.#location);
    const own = Object.keys(options).filter((name) => Object.hasOwn(OPTIONS, name) && name !== 'create');
    const given = Object.fromEntries(own.map((name) => [name, options[name]]));
    this.#db = open(this.#location, { ...given, create: createIfMissing });
    this.#keyspace = this.#db.keyspace(this.#name);
  }

  async _close() {
    await this.#db.close();
  }

  #of({ snapshot }) {
    return Snapshot.keyspaceOf(this, this.#keyspace, snapshot);
  }

  async _get(key, options) {
    return this._getSync(key, options);
  }

  _getSync(key, options) {
    const keyspace = this.#of(options);
    return options.valueEncoding === 'utf8' ? keyspace[TEXT](key) : keyspace.get(key);
  }

  async _getMany(keys, options) {
    const keyspace = this.#of(options);
    return options.valueEncoding === 'utf8' ? keyspace[TEXTS](keys) : keyspace.getMany(keys);
  }

  async _has(key, options) {
    return this.#of(options).contains(key);
  }

  async _hasMany(keys, options) {
    const keyspace = this.#of(options);
    return keys.map((key) => keyspace.contains(key));
  }

  async _put(key, value) {
    return this.#keyspace.put(key, value);
  }

  async _del(key) {
    return this.#keyspace.delete(key);
  }

  async _batch(operations) {
    return this.#keyspace.batch(operations);
  }

  async _clear(options) {
    const bounds = boundsOf(options);
    if (isEmpty(bounds)) return;
    const { limit, reverse, snapshot } = options;
    if (limit >= 0 || (snapshot !== undefined && snapshot !== null)) {
      await this.#clearKeys({ ...optionsOf(bounds), reverse, limit: limit >= 0 ? limit : Infinity }, options);
    } else if (bounds.start === undefined && bounds.end === undefined) {
      await this.#keyspace.clear();
    } else {
      await this.#keyspace.deleteRange(optionsOf(bounds));
    }
  }

  /** Deletes the keys that a range gives, one by one, many in a commit. */
  async #clearKeys(range, options) {
    let changes = [];
    for (const key of this.#of(options).range({ ...range, values: false })) {
      changes.push({ type: 'del', key });
      if (changes.length === AHEAD) {
        await this.#keyspace.batch(changes);
        changes = [];
      }
    }
    if (changes.length > 0) await this.#keyspace.batch(changes);
  }

  _iterator(options) {
    return new Iterator(this, options, this.#of(options));
  }

  _snapshot(options) {
    return new Snapshot(this, this.#db.snapshot(), this.#name, options);
  }
}

module.exports = { NyroLevel };
