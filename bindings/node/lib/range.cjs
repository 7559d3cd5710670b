'use strict';
// Ranges: keys in their order with their values, a batch from the native half at a time.

const native = require('./native.cjs');
const codec = require('./decode.cjs');
const slab = require('./slab.cjs');
const errors = require('./errors.cjs');
const { untilCollected, letGo, dispose, asyncDispose, BATCH } = require('./handles.cjs');

/** Entries in a batch. The first is small, for those who take only a few. */
const FIRST = 16;
const MOST = 256;

const part = {
  entry: (start, middle, end, buffer) => [buffer(start, middle), buffer(middle, end)],
  key: (start, middle, end, buffer) => buffer(start, middle),
  value: (start, middle, end, buffer) => buffer(middle, end),
};

/** A range: an iterable of both kinds, and an iterator that can go elsewhere. */
class KeyRange {
  #core;
  /** Of a range inside a transaction: {handle, changes}. */
  #transaction;
  #handle;
  /** Entries that may still be given. */
  #left;
  /** What is made of an entry, and what is given of that. */
  #make;
  #give;
  #entries = [];
  #next = 0;
  #most = FIRST;
  /** There is nothing behind what was read. */
  #ended = false;
  /** The end was told. */
  #told = false;
  /** Changes of the transaction when the batch was read, and the key given last. */
  #seen = 0;
  #place = null;

  constructor(core, transaction, handle, limit, keys, values) {
    this.#core = core;
    this.#transaction = transaction;
    this.#handle = handle;
    this.#left = limit;
    const whole = transaction !== null || (keys && values);
    this.#make = whole ? part.entry : keys ? part.key : part.value;
    this.#give = !whole || (keys && values) ? (entry) => entry : keys ? (entry) => entry[0] : (entry) => entry[1];
    if (transaction !== null) this.#seen = transaction.changes;
    untilCollected(this, handle);
  }

  /** Throws if what the range reads is closed. */
  #check() {
    if (this.#core.handle === 0 || this.#transaction?.handle === 0) {
      // What was read ahead is not given.
      this.#forget();
      throw errors.closed();
    }
  }

  #forget() {
    this.#entries = [];
    this.#next = 0;
    this.#ended = false;
    this.#told = false;
    this.#place = null;
  }

  /** The iterator's step. At the end the range stays where it is, and can be told to seek. */
  next() {
    if (this.#handle === 0) return { value: undefined, done: true };
    this.#check();
    if (this.#left === 0 || this.#told) return { value: undefined, done: true };
    if (this.#transaction !== null && this.#transaction.changes !== this.#seen) this.#catchUp();
    if (this.#next === this.#entries.length) {
      if (!this.#ended) this.#fill();
      if (this.#next === this.#entries.length) {
        this.#told = true;
        return { value: undefined, done: true };
      }
    }
    const entry = this.#entries[this.#next++];
    this.#left--;
    // A copy: the entry is the caller's, who may write to it.
    if (this.#transaction !== null) this.#place = Buffer.from(entry[0]);
    return { value: this.#give(entry), done: false };
  }

  #fill() {
    const most = Math.min(this.#most, this.#left);
    const { entries, ended } = slab.batch(this.#handle, most, this.#make, true);
    this.#entries = entries;
    this.#ended = ended;
    this.#next = 0;
    this.#most = MOST;
  }

  /** The transaction has changed something: what was read ahead may be wrong. */
  #catchUp() {
    const place = this.#place;
    this.#seen = this.#transaction.changes;
    if (place === null) return;
    this.#forget();
    this.#place = place;
    if (native.kvSeek(this.#handle, place, 1) < 0) throw codec.lastError();
  }

  /**
   * Goes to a key, whether it is there or not: the next entry is that key's or the first one behind it (in reverse: before
   * it). From a key outside of the bounds it goes to the nearest one inside.
   */
  seek(key) {
    this.#check();
    if (this.#handle === 0) throw errors.closed();
    if (native.kvSeek(this.#handle, key, 0) < 0) throw codec.lastError();
    this.#forget();
    this.#most = FIRST;
    if (this.#transaction !== null) this.#seen = this.#transaction.changes;
  }

  /** The next entries for what is built on ranges: at most so many, as `make` makes them; none at the end. */
  [BATCH](most, make, keeps) {
    this.#check();
    if (this.#handle === 0) throw errors.closed();
    return slab.batch(this.#handle, most, make, keeps).entries;
  }

  /** Ends it, as leaving a loop early does. */
  return(value) {
    this.close();
    return { value, done: true };
  }

  /** Lets go of its snapshot. What it had read ahead is forgotten. Closing twice is fine. */
  close() {
    this.#forget();
    if (this.#handle !== 0) {
      const handle = this.#handle;
      this.#handle = 0;
      letGo(this, handle);
    }
  }

  /** The step of a loop, which nobody can tell to seek behind its end. */
  #step() {
    try {
      const step = this.next();
      if (step.done) this.close();
      return step;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  [Symbol.iterator]() {
    return {
      next: () => this.#step(),
      return: (value) => this.return(value),
      [Symbol.iterator]() { return this; },
    };
  }

  [Symbol.asyncIterator]() {
    return {
      next: async () => this.#step(),
      return: async (value) => this.return(value),
      [Symbol.asyncIterator]() { return this; },
    };
  }

  [dispose]() {
    this.close();
  }

  async [asyncDispose]() {
    this.close();
  }
}

module.exports = { KeyRange };
