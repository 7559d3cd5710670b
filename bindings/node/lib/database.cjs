'use strict';
// The database, its snapshots and its transactions.

const native = require('./native.cjs');
const codec = require('./decode.cjs');
const turn = require('./turn.cjs');
const errors = require('./errors.cjs');
const { Collection, SnapshotCollection, TransactionCollection } = require('./collection.cjs');
const { Keyspace, SnapshotKeyspace, TransactionKeyspace } = require('./keyspace.cjs');
const { untilCollected, letGo, dispose, asyncDispose, HANDLE, END } = require('./handles.cjs');

/** Options of `open` and their names below. */
const OPTIONS = {
  create: 'create',
  readOnly: 'read_only',
  durability: 'durability',
  cacheBytes: 'cache_bytes',
  logMaxBytes: 'log_max_bytes',
  writerTimeoutMs: 'writer_timeout_ms',
  maxDocumentBytes: 'max_document_bytes',
  readMode: 'read_mode',
  snapshotMaxAgeMs: 'snapshot_max_age_ms',
  allowNetworkFileSystem: 'allow_network_file_system',
};

/** Collections, and keyspaces, kept for the next call of `collection` or `keyspace`. */
const KEPT = 1000;

const nothing = () => undefined;
const camel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());

/** A report: its names in the case of JavaScript. */
function report(value) {
  if (Array.isArray(value)) return value.map(report);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [camel(name), report(field)]));
}

function text(what, value) {
  if (typeof value !== 'string') throw errors.argument(`${what} must be a string`);
  return value;
}

function pathOf(what, value) {
  if (value instanceof URL) return require('node:url').fileURLToPath(value);
  return text(what, value);
}

function handleOf(answer) {
  if (answer < 0) throw codec.lastError();
  return answer;
}

/** What the parts of one database share. `handle` is 0 once it is closed. */
class Core {
  handle;
  /** A transaction is open. */
  writing = false;
  /** Closing, or closed: the promise of it. */
  closing = null;

  constructor(handle) {
    this.handle = handle;
    untilCollected(this, handle);
  }

  /** The number, while it is open. */
  get open() {
    if (this.handle === 0) throw errors.closed();
    return this.handle;
  }
}

/** Opens the database at a path, or makes one. */
function open(file, options = {}) {
  const given = {};
  for (const [name, value] of Object.entries(options ?? {})) {
    if (!(name in OPTIONS)) {
      throw errors.argument(`there is no option ${name}; the options are ${Object.keys(OPTIONS).join(', ')}`);
    }
    if (name === 'durability' && value !== null && typeof value === 'object') {
      given.durability = value.interval ?? value.intervalMs ?? null;
    } else {
      given[OPTIONS[name]] = value;
    }
  }
  const json = JSON.stringify(given, (_, value) => (typeof value === 'bigint' ? Number(value) : value));
  return new Database(new Core(handleOf(native.open(pathOf('the path', file), json))));
}

/** An open database. */
class Database {
  #core;
  #collections = new Map();
  #keyspaces = new Map();

  constructor(core) {
    this.#core = core;
  }

  /** False once `close` was called. */
  get isOpen() {
    return this.#core.handle !== 0;
  }

  /** The collection of that name. It is made by its first write and is empty before. */
  collection(name) {
    let collection = this.#collections.get(name);
    if (collection === undefined || this.#core.handle === 0) {
      const handle = handleOf(native.collection(this.#core.open, text('the name', name)));
      collection = new Collection(this.#core, handle, name);
      if (this.#collections.size >= KEPT) this.#collections.clear();
      this.#collections.set(name, collection);
    }
    return collection;
  }

  /** The keyspace of that name: an ordered map of bytes. It is made by its first write and is empty before. */
  keyspace(name) {
    let keyspace = this.#keyspaces.get(name);
    if (keyspace === undefined || this.#core.handle === 0) {
      const handle = handleOf(native.keyspace(this.#core.open, text('the name', name)));
      keyspace = new Keyspace(this.#core, handle, name);
      if (this.#keyspaces.size >= KEPT) this.#keyspaces.clear();
      this.#keyspaces.set(name, keyspace);
    }
    return keyspace;
  }

  /**
   * Runs `body` as one transaction: committed when it returns, rolled back when it throws. It is synchronous: a promise
   * that it returns is an error, and nothing is kept.
   */
  write(body) {
    const core = this.#core;
    if (typeof body !== 'function') throw errors.argument('write takes a function');
    if (core.handle === 0) throw errors.closed();
    if (core.writing) throw errors.nested();
    turn.drain(core);
    const handle = handleOf(native.begin(core.handle));
    const transaction = new Transaction(this, core, handle);
    core.writing = true;
    let committed = false;
    try {
      const result = body(transaction);
      if (result !== null && result !== undefined && typeof result.then === 'function') {
        // Whatever comes of it: it can't write any more.
        Promise.resolve(result).catch(nothing);
        throw errors.argument(
          'the function of write returned a promise: a transaction ends when the function returns, so it must be synchronous',
        );
      }
      committed = true;
      if (native.commit(handle) < 0) throw codec.lastError();
      return result;
    } finally {
      transaction[END]();
      core.writing = false;
      if (!committed) native.rollback(handle);
      native.release(handle);
    }
  }

  /** The whole database as of now. */
  snapshot() {
    return new Snapshot(this.#core, handleOf(native.snapshot(this.#core.open)));
  }

  /** Names of the collections, sorted. */
  collectionNames() {
    return turn.call('collection_names', this.#core.open).value;
  }

  /** Names of the keyspaces, sorted. */
  keyspaceNames() {
    return turn.call('keyspace_names', this.#core.open).value;
  }

  /** Figures about the database as of now. */
  stats() {
    return report(turn.call('stats', this.#core.open));
  }

  /** The named backups that the database remembers, the newest first. */
  backups() {
    return report(turn.call('backups', this.#core.open).items);
  }

  async #start(name, args, options, finish) {
    const core = this.#core;
    if (core.handle === 0) throw errors.closed();
    if (core.writing) throw errors.nested();
    return turn.start(name, core.handle, args, options, finish);
  }

  #now(name, args) {
    const core = this.#core;
    turn.drain({ handle: core.open, writing: core.writing });
    return turn.call(name, core.handle, args);
  }

  /** Makes an empty collection. Error: CollectionExists. */
  async createCollection(name) {
    return this.#start('create_collection', { name: text('the name', name) }, {}, nothing);
  }

  createCollectionSync(name) {
    this.#now('create_collection', { name: text('the name', name) });
  }

  /** Gives a collection another name. */
  async renameCollection(from, to) {
    return this.#start('rename_collection', { from: text('from', from), to: text('to', to) }, {}, nothing);
  }

  renameCollectionSync(from, to) {
    this.#now('rename_collection', { from: text('from', from), to: text('to', to) });
  }

  /** Drops a collection with its documents; whether there was one. */
  async dropCollection(name) {
    return this.#start('drop_collection', { name: text('the name', name) }, {}, ({ value }) => value);
  }

  dropCollectionSync(name) {
    return this.#now('drop_collection', { name: text('the name', name) }).value;
  }

  /** Gives a keyspace another name. */
  async renameKeyspace(from, to) {
    return this.#start('rename_keyspace', { from: text('from', from), to: text('to', to) }, {}, nothing);
  }

  renameKeyspaceSync(from, to) {
    this.#now('rename_keyspace', { from: text('from', from), to: text('to', to) });
  }

  /** Drops a keyspace with its keys; whether there was one. */
  async dropKeyspace(name) {
    return this.#start('drop_keyspace', { name: text('the name', name) }, {}, ({ value }) => value);
  }

  dropKeyspaceSync(name) {
    return this.#now('drop_keyspace', { name: text('the name', name) }).value;
  }

  /** Figures about the levels in which all keyspaces lie. */
  keyspaceStats(options) {
    return this.#start('keyspace_stats', {}, options, report);
  }

  keyspaceStatsSync() {
    return report(turn.call('keyspace_stats', this.#core.open));
  }

  /** Makes every commit so far durable. */
  sync(options) {
    return this.#start('sync', {}, options, nothing);
  }

  syncSync() {
    this.#now('sync', {});
  }

  /** Moves everything from memory and log into the file now. */
  checkpoint(options) {
    return this.#start('checkpoint', {}, options, nothing);
  }

  /** Makes the file as small as its documents allow. */
  compact(options) {
    return this.#start('compact', {}, options, report);
  }

  /** Checks the whole database. Error: Corrupt. */
  verify(options) {
    return this.#start('verify', {}, options, report);
  }

  /** Brings pages into memory. */
  warmUp(options = {}) {
    return this.#start('warm_up', { limit_bytes: options.limitBytes ?? null }, options, report);
  }

  /** Writes a backup to a file. Options: name, since, overwrite, and those of long calls. */
  async backup(file, options = {}) {
    const { name = null, since = null, overwrite = null } = options;
    return this.#start('backup', { path: pathOf('the path', file), name, since, overwrite }, options, report);
  }

  /** Ends this handle: what was written before is kept, snapshots and scans end. Closing twice is fine. */
  close(options) {
    const core = this.#core;
    if (core.closing !== null) return core.closing;
    if (core.writing) return Promise.reject(errors.nested());
    try {
      // Refused, it leaves everything as it is; from here on it is not stopped any more.
      turn.checked(options);
      turn.flush();
    } catch (error) {
      return Promise.reject(error);
    }
    const handle = core.handle;
    turn.call('end_children', handle);
    core.handle = 0;
    this.#collections.clear();
    this.#keyspaces.clear();
    core.closing = turn.start('close', handle, {}, {}, nothing, () => letGo(core, handle));
    return core.closing;
  }

  /** `close` that blocks. */
  closeSync() {
    const core = this.#core;
    if (core.closing !== null) return;
    if (core.writing) throw errors.nested();
    const handle = core.handle;
    turn.drain(core);
    turn.call('end_children', handle);
    core.handle = 0;
    this.#collections.clear();
    this.#keyspaces.clear();
    core.closing = Promise.resolve();
    try {
      turn.call('close', handle);
    } finally {
      letGo(core, handle);
    }
  }

  [dispose]() {
    this.closeSync();
  }

  [asyncDispose]() {
    return this.close();
  }
}

/** The whole database as of one commit. */
class Snapshot {
  #core;
  #handle;
  #commit;
  #collections = new Map();
  #keyspaces = new Map();

  constructor(core, handle) {
    this.#core = core;
    this.#handle = handle;
    this.#commit = turn.call('snapshot_commit', handle).value;
    untilCollected(this, handle);
  }

  get #open() {
    if (this.#handle === 0 || this.#core.handle === 0) throw errors.closed();
    return this.#handle;
  }

  /** The commit that it shows. */
  get commit() {
    return this.#commit;
  }

  /** A collection as of this snapshot; empty if there was none. */
  collection(name) {
    const open = this.#open;
    let collection = this.#collections.get(name);
    if (collection === undefined) {
      collection = new SnapshotCollection(this.#core, handleOf(native.frozen(open, text('the name', name))), name);
      this.#collections.set(name, collection);
    }
    return collection;
  }

  /** A keyspace as of this snapshot; empty if there was none. */
  keyspace(name) {
    const open = this.#open;
    let keyspace = this.#keyspaces.get(name);
    if (keyspace === undefined) {
      keyspace = new SnapshotKeyspace(this.#core, handleOf(native.keyspaceOf(open, text('the name', name))), name);
      this.#keyspaces.set(name, keyspace);
    }
    return keyspace;
  }

  collectionNames() {
    return turn.call('snapshot_names', this.#open).value;
  }

  keyspaceNames() {
    return turn.call('snapshot_keyspace_names', this.#open).value;
  }

  /** Lets go of it, of its collections and of its keyspaces. Closing twice is fine. */
  close() {
    if (this.#handle !== 0) {
      const handle = this.#handle;
      this.#handle = 0;
      for (const collection of this.#collections.values()) collection[END]();
      for (const keyspace of this.#keyspaces.values()) keyspace[END]();
      letGo(this, handle);
    }
  }

  [dispose]() {
    this.close();
  }

  async [asyncDispose]() {
    this.close();
  }
}

/** A write transaction, inside `write`. */
class Transaction {
  #database;
  #core;
  #collections = new Map();
  #keyspaces = new Map();

  constructor(database, core, handle) {
    this.#database = database;
    this.#core = core;
    /** `handle` is 0 once it has ended; `changes` counts those of keyspaces, for the ranges of them. */
    Object.defineProperty(this, HANDLE, { value: { handle, changes: 0 } });
  }

  [END]() {
    this[HANDLE].handle = 0;
    for (const keyspace of this.#keyspaces.values()) keyspace[END]();
  }

  /** A collection inside this transaction. */
  collection(name) {
    let collection = this.#collections.get(name);
    if (collection === undefined) {
      collection = new TransactionCollection(this[HANDLE], this.#database.collection(name));
      this.#collections.set(name, collection);
    }
    return collection;
  }

  /** A keyspace inside this transaction. */
  keyspace(name) {
    if (this[HANDLE].handle === 0) throw errors.closed();
    let keyspace = this.#keyspaces.get(name);
    if (keyspace === undefined) {
      const { handle } = this.#core;
      const own = handleOf(native.keyspaceIn(this[HANDLE].handle, handle, text('the name', name)));
      keyspace = new TransactionKeyspace(this.#core, this[HANDLE], own, name);
      this.#keyspaces.set(name, keyspace);
    }
    return keyspace;
  }

  #call(name, args) {
    if (this[HANDLE].handle === 0) throw errors.closed();
    return turn.call(name, this[HANDLE].handle, args).value;
  }

  createCollection(name) {
    this.#call('create_in', { name: text('the name', name) });
  }

  renameCollection(from, to) {
    this.#call('rename_in', { from: text('from', from), to: text('to', to) });
  }

  dropCollection(name) {
    return this.#call('drop_in', { name: text('the name', name) });
  }

  renameKeyspace(from, to) {
    this[HANDLE].changes++;
    this.#call('rename_keyspace_in', { from: text('from', from), to: text('to', to) });
  }

  dropKeyspace(name) {
    this[HANDLE].changes++;
    return this.#call('drop_keyspace_in', { name: text('the name', name) });
  }
}

/** Makes a database at `target` of a full backup and the incremental ones after it. */
async function restore(target, backups, options = {}) {
  const paths = (Array.isArray(backups) ? backups : [backups]).map((file) => pathOf('a backup', file));
  const args = { target: pathOf('the target', target), backups: paths, overwrite: options.overwrite ?? null };
  return turn.start('restore', 0, args, options, report);
}

/** Makes a new database at `target` of what can be read of a damaged one. */
async function repair(damaged, target, options = {}) {
  const args = {
    damaged: pathOf('the damaged file', damaged),
    target: pathOf('the target', target),
    overwrite: options.overwrite ?? null,
    trust_unchecked: options.trustUnchecked ?? null,
  };
  return turn.start('repair', 0, args, options, report);
}

module.exports = { OPTIONS, open, restore, repair, Database, Snapshot, Transaction };
