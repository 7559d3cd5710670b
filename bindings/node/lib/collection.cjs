'use strict';
// Collections: as they are, of a snapshot, in a transaction.

const native = require('./native.cjs');
const codec = require('./decode.cjs');
const stream = require('./encode.cjs');
const turn = require('./turn.cjs');
const slab = require('./slab.cjs');
const errors = require('./errors.cjs');
const { Scan } = require('./scan.cjs');
const { untilCollected, letGo, HANDLE, END } = require('./handles.cjs');

const { kinds } = stream;

const asId = (id) => id;
const asInserted = (insertedId) => ({ insertedId });
const asInsertedMany = (insertedIds) => ({ insertedIds });
const asReplaced = (found) => (found ? { matchedCount: 1, modifiedCount: 1 } : { matchedCount: 0, modifiedCount: 0 });
const asFound = (found) => found;

/** What both kinds of collections read with. */
class Reader {
  /** Number of the native collection; 0 after it was closed. */
  #handle;
  #core;

  constructor(core, handle, name) {
    this.#core = core;
    this.#handle = handle;
    /** The collection's name. */
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

  /** The document with this id, or undefined. */
  get(id) {
    let found = native.get(this.#handle, id);
    if (typeof found === 'string') return codec.one(found);
    if (found === undefined) return undefined;
    for (;;) {
      codec.settle(found);
      found = native.get(this.#handle, id);
      if (typeof found === 'string') {
        const document = codec.one(found);
        codec.shrink();
        return document;
      }
      if (found === undefined) return undefined;
    }
  }

  /** The document's bytes as MessagePack, or undefined. */
  getRaw(id) {
    const length = slab.fetch(native.getRaw, this.#handle, id);
    return length === undefined ? undefined : slab.takeBytes(length);
  }

  /** The documents with these ids, in their order; undefined for each that is not there. All as of one commit. */
  getMany(ids) {
    if (ids === null || ids === undefined || typeof ids[Symbol.iterator] !== 'function') {
      throw errors.argument('ids must be an array or another iterable');
    }
    const list = Array.from(ids);
    turn.flush();
    stream.writeIds(list);
    const [words, floats, text] = [stream.words(), stream.floats(), stream.allText()];
    try {
      const documents = codec.one(turn.fetch(() => native.getMany(this.#handle, words, floats, text)));
      codec.shrink();
      return documents;
    } finally {
      stream.clear();
    }
  }

  /** Whether there is a document with this id. */
  contains(id) {
    const found = native.contains(this.#handle, id);
    if (found < 0) throw codec.lastError();
    return found === 1;
  }

  /** The number of documents, exact. */
  countDocuments() {
    const count = native.count(this.#handle);
    if (count < 0) throw codec.lastError();
    return count;
  }

  /** The same: it is as exact and as cheap. */
  estimatedDocumentCount() {
    return this.countDocuments();
  }

  /** All documents as of now, in the order they were last written: for..of or for await..of it. */
  scan(options = {}) {
    const scan = native.scan(this.#handle, options?.after ?? 0);
    if (scan < 0) throw codec.lastError();
    return new Scan(this.#core, scan, options?.after ?? 0);
  }

  [Symbol.iterator]() {
    return this.scan()[Symbol.iterator]();
  }

  [Symbol.asyncIterator]() {
    return this.scan()[Symbol.asyncIterator]();
  }
}

/** A collection as it is. */
class Collection extends Reader {
  #core;

  constructor(core, handle, name) {
    super(core, handle, name);
    this.#core = core;
  }

  #later(write, finish) {
    return turn.later(this.#core, this, write, finish);
  }

  #now(write, finish) {
    const core = this.#core;
    if (core.handle === 0) throw errors.closed();
    turn.drain(core);
    const bad = write();
    let answer = native.run(stream.words(), stream.floats(), stream.allText());
    stream.clear();
    while (typeof answer === 'number') {
      if (answer < 0) throw turn.blame(codec.lastError(), bad);
      codec.settle(answer);
      answer = native.result();
    }
    const result = finish(codec.one(answer));
    codec.shrink();
    return result;
  }

  #flags(options) {
    const { ordered = true, atomic = false } = options ?? {};
    if (typeof ordered !== 'boolean' || typeof atomic !== 'boolean') {
      throw errors.argument('ordered and atomic are true or false');
    }
    return (ordered ? 0 : 1) | (atomic ? 2 : 0);
  }

  #many(documents, options) {
    const flags = this.#flags(options);
    if (documents === null || documents === undefined || typeof documents[Symbol.iterator] !== 'function') {
      throw errors.argument('documents must be an array or another iterable');
    }
    const list = Array.isArray(documents) ? documents : Array.from(documents);
    return () => stream.writeMany(this[HANDLE], list, flags);
  }

  /** Inserts the document, or replaces the one with its _id; its id. */
  put(document) {
    return this.#later(() => stream.writeOne(kinds.PUT, this[HANDLE], document), asId);
  }

  putSync(document) {
    return this.#now(() => stream.writeOne(kinds.PUT, this[HANDLE], document), asId);
  }

  /** put, of bytes that are MessagePack already. */
  putRaw(bytes) {
    return this.#later(() => stream.writeRaw(this[HANDLE], bytes), asId);
  }

  putRawSync(bytes) {
    return this.#now(() => stream.writeRaw(this[HANDLE], bytes), asId);
  }

  /** Inserts a document. Error: DuplicateId. */
  insertOne(document) {
    return this.#later(() => stream.writeOne(kinds.INSERT, this[HANDLE], document), asInserted);
  }

  insertOneSync(document) {
    return this.#now(() => stream.writeOne(kinds.INSERT, this[HANDLE], document), asInserted);
  }

  /** Inserts documents in one commit. Error: BulkWrite, with insertedCount and failures. */
  insertMany(documents, options) {
    try {
      return this.#later(this.#many(documents, options), asInsertedMany);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  insertManySync(documents, options) {
    return this.#now(this.#many(documents, options), asInsertedMany);
  }

  /** Replaces the document with this id, if there is one. */
  replaceOne(id, document) {
    return this.#later(() => stream.writeReplace(this[HANDLE], id, document), asReplaced);
  }

  replaceOneSync(id, document) {
    return this.#now(() => stream.writeReplace(this[HANDLE], id, document), asReplaced);
  }

  /** Deletes the document with this id; whether there was one. */
  delete(id) {
    return this.#later(() => stream.writeDelete(this[HANDLE], id), asFound);
  }

  deleteSync(id) {
    return this.#now(() => stream.writeDelete(this[HANDLE], id), asFound);
  }
}

/** A collection as of a snapshot. */
class SnapshotCollection extends Reader {}

/** A collection inside a transaction: it sees what that has written. */
class TransactionCollection {
  #transaction;
  #collection;

  constructor(transaction, collection) {
    this.#transaction = transaction;
    this.#collection = collection;
    Object.defineProperty(this, 'name', { value: collection.name, enumerable: true });
  }

  #run(write, finish) {
    const transaction = this.#transaction.handle;
    if (transaction === 0) throw errors.closed();
    turn.flush();
    write();
    const [words, floats, text] = [stream.words(), stream.floats(), stream.allText()];
    let answer = native.runIn(transaction, words, floats, text);
    stream.clear();
    while (typeof answer === 'number') {
      codec.settle(answer);
      answer = native.result();
    }
    return finish(codec.one(answer));
  }

  get(id) {
    const collection = this.#collection[HANDLE];
    const found = turn.fetch(() => native.getIn(this.#transaction.handle, collection, id));
    return found === undefined ? undefined : codec.one(found);
  }

  contains(id) {
    const found = native.containsIn(this.#transaction.handle, this.#collection[HANDLE], id);
    if (found < 0) throw codec.lastError();
    return found === 1;
  }

  put(document) {
    return this.#run(() => stream.writeOne(kinds.PUT, this.#collection[HANDLE], document), asId);
  }

  putRaw(bytes) {
    return this.#run(() => stream.writeRaw(this.#collection[HANDLE], bytes), asId);
  }

  insertOne(document) {
    return this.#run(() => stream.writeOne(kinds.INSERT, this.#collection[HANDLE], document), asInserted);
  }

  replaceOne(id, document) {
    return this.#run(() => stream.writeReplace(this.#collection[HANDLE], id, document), asReplaced);
  }

  delete(id) {
    return this.#run(() => stream.writeDelete(this.#collection[HANDLE], id), asFound);
  }
}

module.exports = { Collection, SnapshotCollection, TransactionCollection };
