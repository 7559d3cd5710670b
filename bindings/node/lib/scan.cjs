'use strict';
// Scans: batches of documents from the native half, given one by one.

const native = require('./native.cjs');
const codec = require('./decode.cjs');
const turn = require('./turn.cjs');
const errors = require('./errors.cjs');
const { untilCollected, letGo, dispose, asyncDispose } = require('./handles.cjs');

/**
 * Documents in a batch. The first is small, for those who take only a few; all are, because a string that is kept keeps
 * the text of its batch.
 */
const FIRST = 16;
const MOST = 64;

/** A scan: an iterator, an async iterator, and an iterable of both kinds, once. */
class Scan {
  #core;
  #handle;
  #documents = [];
  #tokens = new Float64Array(MOST);
  #next = 0;
  #count = 0;
  #most = FIRST;
  #before;
  #ended = false;

  constructor(core, handle, token) {
    this.#core = core;
    this.#handle = handle;
    this.#before = token;
    untilCollected(this, handle);
  }

  /** Where the scan is: `scan({after: token})` goes on behind the last document given, also after reopening. */
  get token() {
    return this.#next === 0 ? this.#before : this.#tokens[this.#next - 1];
  }

  /** The iterator's step. */
  next() {
    if (this.#next < this.#count) {
      if (this.#core.handle === 0) this.#closed();
      return { value: this.#documents[this.#next++], done: false };
    }
    if (this.#ended) return { value: undefined, done: true };
    return this.#fill();
  }

  /** The database was closed: what was read ahead is not given. */
  #closed() {
    this.#letGo();
    throw errors.closed();
  }

  #fill() {
    if (this.#core.handle === 0) this.#closed();
    this.#before = this.token;
    this.#next = 0;
    this.#count = 0;
    let text;
    try {
      text = turn.fetch(() => native.next(this.#handle, this.#most));
    } catch (error) {
      // After its first error a scan has ended.
      this.close();
      throw error;
    }
    if (text === undefined) {
      this.close();
      return { value: undefined, done: true };
    }
    this.#documents = new Array(this.#most);
    this.#count = codec.batch(text, this.#most, this.#documents, this.#tokens);
    codec.shrink();
    this.#most = MOST;
    this.#next = 1;
    return { value: this.#documents[0], done: false };
  }

  /** Ends it, as leaving a loop early does. */
  return(value) {
    this.close();
    return { value, done: true };
  }

  /** Lets go of its snapshot. What it had read ahead is forgotten. Closing twice is fine. */
  close() {
    this.#ended = true;
    this.#letGo();
  }

  #letGo() {
    this.#before = this.token;
    this.#next = 0;
    this.#count = 0;
    this.#documents = [];
    if (this.#handle !== 0) {
      const handle = this.#handle;
      this.#handle = 0;
      letGo(this, handle);
    }
  }

  [Symbol.iterator]() {
    return this;
  }

  [Symbol.asyncIterator]() {
    const each = (step) => async (value) => step.call(this, value);
    return { next: each(this.next), return: each(this.return), [Symbol.asyncIterator]() { return this; } };
  }

  [dispose]() {
    this.close();
  }

  async [asyncDispose]() {
    this.close();
  }
}

module.exports = { Scan };
