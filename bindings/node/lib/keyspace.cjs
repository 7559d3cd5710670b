'use strict';
// Keyspaces: ordered maps from bytes to bytes. As they are, of a snapshot, in a transaction.

const native = require('./native.cjs');
const codec = require('./decode.cjs');
const stream = require('./encode.cjs');
const turn = require('./turn.cjs');
const slab = require('./slab.cjs');
const errors = require('./errors.cjs');
const { KeyRange } = require('./range.cjs');
const { boundsOf, rangeOf } = require('./bounds.cjs');
const { untilCollected, letGo, HANDLE, END, TEXT, TEXTS } = require('./handles.cjs');

const nothing = () => undefined;

/** Changes as a caller says them, as records take them. */
function changesOf(changes) {
  if (changes === null || changes === undefined || typeof changes[Symbol.iterator] !== 'function') {
    throw errors.argument('the changes must be an array or another iterable');
  }
  return Array.from(changes, (change) => {
    const type = change?.type;
    switch (type) {
      case 'put':
        return [stream.changes.PUT, change.key, change.value];
      case 'del':
        return [stream.changes.DELETE, change.key];
      case 'deleteRange': {
        const { type: _, ...bounds } = change;
        return [stream.changes.DELETE_RANGE, deleted(bounds)];
      }
      case 'clear':
        return [stream.changes.CLEAR];
      default:
        throw errors.argument(`a change has a type: put, del, deleteRange or clear, not ${String(type)}`);
    }
  });
}

/** Bounds of what is deleted. None at all is more likely a slip than all keys. */
function deleted(options) {
  const bounds = boundsOf(options);
  if (bounds.flags === 0) throw errors.argument('deleteRange needs a bound; clear deletes all keys');
  return bounds;
}

/** What all keyspaces read with. */
class Reader {
  /** Number of the native keyspace; 0 after it was closed. */
  #handle;
  #core;
  #transaction;

  constructor(core, handle, name, transaction = null) {
    this.#core = core;
    this.#handle = handle;
    this.#transaction = transaction;
    /** The keyspace's name. */
    Object.defineProperty(this, 'name', { value: name, enumerable: true });
    untilCollected(this, handle);
  }

  get [HANDLE]() {
    return this.#handle;
  }

  [END]() {
    if (this.#handle === 0) return;
    const handle = this.#handle;
    this.#handle = 0;
    letGo(this, handle);
  }

  /** The value of a key, or undefined. */
  get(key) {
    const length = slab.fetch(native.kvGet, this.#handle, key);
    return length === undefined ? undefined : slab.takeBuffer(length);
  }

  /** The same as text. */
  [TEXT](key) {
    const length = slab.fetch(native.kvGet, this.#handle, key);
    return length === undefined ? undefined : slab.readText(length);
  }

  /** The values of these keys, in their order; undefined for each that is not there. All as of one commit. */
  getMany(keys) {
    return this.#many(keys, false);
  }

  /** The same as text. */
  [TEXTS](keys) {
    return this.#many(keys, true);
  }

  #many(keys, isText) {
    if (keys === null || keys === undefined || typeof keys[Symbol.iterator] !== 'function' || typeof keys === 'string') {
      throw errors.argument('keys must be an array or another iterable');
    }
    const list = Array.from(keys);
    turn.flush();
    stream.writeKeys(list);
    const [words, floats, text] = [stream.words(), stream.floats(), stream.allText()];
    let total;
    try {
      total = native.kvGetMany(this.#handle, words, floats, text);
    } finally {
      stream.clear();
    }
    if (total < 0) throw codec.lastError();
    return slab.gathered(list.length, total, isText);
  }

  /** Whether the key is there. */
  contains(key) {
    const found = native.kvContains(this.#handle, key);
    if (found < 0) throw codec.lastError();
    return found === 1;
  }

  /** The keys between the bounds with their values: for..of or for await..of it. */
  range(options = {}) {
    const { flags, start, end, limit, keys, values } = rangeOf(options);
    // In a transaction a range must know its place.
    const given = this.#transaction === null ? flags : flags & ~rangeOf.NO_KEYS;
    const range = native.kvRange(this.#handle, given, start, end);
    if (range < 0) throw codec.lastError();
    return new KeyRange(this.#core, this.#transaction, range, limit, keys, values);
  }

  #one(options) {
    const range = this.range(options);
    try {
      return range.next().value;
    } finally {
      range.close();
    }
  }

  /** The first key and its value, [key, value]; undefined if there is none. */
  first() {
    return this.#one({ limit: 1 });
  }

  /** The last key and its value. */
  last() {
    return this.#one({ limit: 1, reverse: true });
  }

  [Symbol.iterator]() {
    return this.range()[Symbol.iterator]();
  }

  [Symbol.asyncIterator]() {
    return this.range()[Symbol.asyncIterator]();
  }
}

function estimate(handle) {
  const count = native.kvCount(handle);
  if (count < 0) throw codec.lastError();
  return count;
}

/** A keyspace as it is. */
class Keyspace extends Reader {
  #core;

  constructor(core, handle, name) {
    super(core, handle, name);
    this.#core = core;
  }

  /** The number of keys, about. */
  estimatedCount() {
    return estimate(this[HANDLE]);
  }

  #later(changes) {
    try {
      const list = changes();
      return turn.later(this.#core, this, () => stream.writeChanges(this[HANDLE], list), nothing);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #now(list) {
    if (this.#core.handle === 0) throw errors.closed();
    turn.drain(this.#core);
    runNow(this[HANDLE], list);
  }

  /** Gives a key a value, whether it had one or not. */
  put(key, value) {
    return this.#later(() => [[stream.changes.PUT, key, value]]);
  }

  putSync(key, value) {
    this.#now([[stream.changes.PUT, key, value]]);
  }

  /** Deletes a key, whether it is there or not. */
  delete(key) {
    return this.#later(() => [[stream.changes.DELETE, key]]);
  }

  deleteSync(key) {
    this.#now([[stream.changes.DELETE, key]]);
  }

  /** Deletes the keys between the bounds, in a short time whatever their number. */
  deleteRange(bounds) {
    return this.#later(() => [[stream.changes.DELETE_RANGE, deleted(bounds)]]);
  }

  deleteRangeSync(bounds) {
    this.#now([[stream.changes.DELETE_RANGE, deleted(bounds)]]);
  }

  /** Deletes all keys, in the same short time. */
  clear() {
    return this.#later(() => [[stream.changes.CLEAR]]);
  }

  clearSync() {
    this.#now([[stream.changes.CLEAR]]);
  }

  /** Makes changes in their order: all, or none. */
  batch(changes) {
    return this.#later(() => changesOf(changes));
  }

  batchSync(changes) {
    this.#now(changesOf(changes));
  }
}

/** Makes changes on this thread. */
function runNow(handle, list) {
  stream.writeChanges(handle, list);
  const [words, floats, text] = [stream.words(), stream.floats(), stream.allText()];
  let answer = native.run(words, floats, text);
  stream.clear();
  while (typeof answer === 'number') {
    codec.settle(answer);
    answer = native.result();
  }
}

/** A keyspace as of a snapshot. */
class SnapshotKeyspace extends Reader {
  estimatedCount() {
    return estimate(this[HANDLE]);
  }
}

/** A keyspace inside a transaction: it sees what that has written. */
class TransactionKeyspace extends Reader {
  #transaction;

  constructor(core, transaction, handle, name) {
    super(core, handle, name, transaction);
    this.#transaction = transaction;
  }

  #run(list) {
    if (this.#transaction.handle === 0) throw errors.closed();
    turn.flush();
    this.#transaction.changes++;
    runNow(this[HANDLE], list);
  }

  put(key, value) {
    this.#run([[stream.changes.PUT, key, value]]);
  }

  delete(key) {
    this.#run([[stream.changes.DELETE, key]]);
  }

  deleteRange(bounds) {
    this.#run([[stream.changes.DELETE_RANGE, deleted(bounds)]]);
  }

  clear() {
    this.#run([[stream.changes.CLEAR]]);
  }

  batch(changes) {
    this.#run(changesOf(changes));
  }
}

module.exports = { Keyspace, SnapshotKeyspace, TransactionKeyspace };
