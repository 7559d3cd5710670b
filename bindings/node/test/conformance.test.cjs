'use strict';
// The same calls and the same results as in every other language: bindings/conformance.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { open, restore, Ext, NyroError } = require('../lib/index.cjs');
const { folder } = require('./support/files.cjs');

const data = path.join(__dirname, '../../conformance');
const hex = (text) => new Uint8Array(Buffer.from(text, 'hex'));

/** A value of the scenario as one of JavaScript. */
function value(json) {
  if (Array.isArray(json)) return json.map(value);
  if (json === null || typeof json !== 'object') return json;
  const keys = Object.keys(json);
  if (keys.length !== 1 || !keys[0].startsWith('$')) {
    const object = {};
    for (const key of keys) Object.defineProperty(object, key, { value: value(json[key]), enumerable: true, writable: true, configurable: true });
    return object;
  }
  const [name] = keys;
  const given = json[name];
  switch (name) {
    case '$int': {
      const int = BigInt(given);
      return Number.isSafeInteger(Number(int)) ? Number(int) : int;
    }
    case '$float':
      return Number(given);
    case '$bytes':
      return hex(given);
    case '$time':
      return new Date(given[0] * 1000 + Math.floor(given[1] / 1e6));
    case '$ext':
      return new Ext(given[0], hex(given[1]));
    case '$repeat':
      return given[0].repeat(given[1]);
    case '$repeat_bytes':
      return hex(given[0].repeat(given[1]));
    case '$array':
      return new Array(given[1]).fill(value(given[0]));
    case '$fields':
      return Object.fromEntries(Array.from({ length: given }, (_, i) => [`f${i}`, i]));
    case '$nest': {
      let nested = null;
      for (let i = 0; i < given; i++) nested = { n: nested };
      return nested;
    }
    case '$nest_array': {
      let nested = [];
      for (let i = 1; i < given; i++) nested = [nested];
      return nested;
    }
    default:
      throw new Error(`unknown value ${name}`);
  }
}

const snake = (options = {}) =>
  Object.fromEntries(Object.entries(options).map(([name, v]) => [name.replace(/_(.)/g, (_, letter) => letter.toUpperCase()), v]));

const BOUNDS = ['gt', 'gte', 'lt', 'lte', 'prefix'];
/** Arguments of each step, to refuse others. */
const ARGUMENTS = {
  open: ['options'], open_other: ['path', 'options'], close: [], put: ['collection', 'document'], insert_one: ['collection', 'document'],
  insert_many: ['collection', 'documents', 'ordered', 'atomic', 'inserted', 'failures'], replace_one: ['collection', 'id', 'document'],
  get: ['collection', 'id'], get_many: ['collection', 'ids'], get_raw: ['collection', 'id'], put_raw: ['collection', 'hex'],
  contains: ['collection', 'id'], delete: ['collection', 'id'], count: ['collection'], scan: ['collection'],
  scan_after: ['collection', 'documents_before'], scan_open: ['as', 'collection', 'after'], scan_next: ['scan', 'count'], scan_close: ['scan'],
  write: ['steps', 'rollback'], snapshot: ['name'], release: ['name'], collection_names: [], create_collection: ['name'],
  rename_collection: ['from', 'to'], drop_collection: ['name'], sync: [], checkpoint: [], compact: [], verify: [],
  backup: ['to', 'name', 'since', 'overwrite'], restore: ['target', 'backups', 'overwrite'], stats: ['field', 'at_least'],
  kv_put: ['keyspace', 'key', 'value'], kv_get: ['keyspace', 'key'], kv_get_many: ['keyspace', 'keys'], kv_contains: ['keyspace', 'key'],
  kv_delete: ['keyspace', 'key'], kv_delete_range: ['keyspace', ...BOUNDS], kv_clear: ['keyspace'], kv_write: ['keyspace', 'changes'],
  kv_range: ['keyspace', ...BOUNDS, 'backward', 'limit'], kv_range_open: ['as', 'keyspace', ...BOUNDS, 'backward'],
  kv_range_next: ['range', 'count'], kv_range_seek: ['range', 'key'], kv_range_close: ['range'], keyspace_names: [],
  rename_keyspace: ['from', 'to'], drop_keyspace: ['name'],
};
const COMMON = ['op', 'result', 'error', 'not_in', 'why', 'in'];

/** What keyspaces give: in results a string stands for its UTF-8. */
function octets(json) {
  if (Array.isArray(json)) return json.map(octets);
  if (typeof json === 'string') return Buffer.from(json);
  return json instanceof Uint8Array ? Buffer.from(json) : json;
}

class Scenario {
  steps = 0;
  snapshots = new Map();
  scans = new Map();
  ranges = new Map();
  at = folder();

  /** Writes at once where they can be made so, else as promises: both ways are run. */
  constructor(promises) {
    this.promises = promises;
  }

  file(name) {
    return name === ':memory:' ? name : path.join(this.at, name);
  }

  async run(step, tx) {
    for (const name of Object.keys(step)) {
      if (!COMMON.includes(name) && !ARGUMENTS[step.op]?.includes(name)) throw new Error(`unknown: ${step.op} ${name}`);
    }
    if (step.not_in?.includes('node')) return;
    this.steps++;
    let got;
    let failed;
    try {
      const made = this.call(step, tx);
      got = tx === undefined ? await made : made;
    } catch (error) {
      if (!(error instanceof NyroError)) throw error;
      failed = error;
    }
    this.compare(step, got, failed);
  }

  /** Steps of a transaction: without waiting for anything. */
  runInside(step, tx) {
    if (step.not_in?.includes('node')) return;
    this.steps++;
    let got;
    let failed;
    try {
      got = this.call(step, step.in ? undefined : tx, true);
    } catch (error) {
      if (!(error instanceof NyroError)) throw error;
      failed = error;
    }
    this.compare(step, got, failed);
  }

  compare(step, got, failed) {
    if (step.error !== undefined) {
      assert.equal(failed?.errno, step.error, failed ? failed.stack : `no error, got ${String(got)}`);
      if (step.inserted !== undefined) assert.equal(failed.insertedCount, step.inserted);
      if (step.failures !== undefined) assert.deepEqual(failed.failures.map(({ index, errno }) => [index, errno]), step.failures);
      return;
    }
    if (failed) throw failed;
    if (step.op === 'stats') assert.ok(got >= step.at_least, `${got}`);
    else if ('result' in step) {
      const wanted = step.op.startsWith('kv_') ? octets(value(step.result)) : value(step.result);
      assert.deepEqual(got, wanted);
      // Fields in their order, but for names that JavaScript puts in front.
      const order = (v) => JSON.stringify(v, (_, x) => (typeof x === 'bigint' ? String(x) : x));
      assert.equal(order(got), order(wanted));
    }
  }

  call(step, tx, inside = tx !== undefined) {
    const { db } = this;
    const wait = this.promises && !inside;
    const from = step.in?.startsWith('s:') ? this.snapshots.get(step.in.slice(2)) : db;
    const c = () => (tx ?? from).collection(value(step.collection));
    const id = () => value(step.id);
    const maybe = (found) => (found === undefined ? null : found);
    const write = (name, ...args) => (tx ? c()[name](...args) : wait ? c()[name](...args) : c()[`${name}Sync`](...args));
    const then = (result, what) => (wait && !tx ? result.then(what) : what(result));
    const k = () => (tx ?? from).keyspace(value(step.keyspace));
    const change = (name, ...args) => (tx || wait ? k()[name](...args) : k()[`${name}Sync`](...args));
    const key = () => value(step.key);
    const bounds = () => Object.fromEntries(BOUNDS.filter((name) => name in step).map((name) => [name, value(step[name])]));
    const range = () => k().range({ ...bounds(), ...('backward' in step && { reverse: step.backward }), ...('limit' in step && { limit: step.limit }) });
    const all = (iterable) => {
      if (!wait) return [...iterable];
      return (async () => {
        const found = [];
        for await (const each of iterable) found.push(each);
        return found;
      })();
    };
    const some = (iterator) => {
      const found = [];
      for (let i = 0; i < step.count; i++) {
        const { value: each, done } = iterator.next();
        if (done) break;
        found.push(each);
      }
      return found;
    };
    switch (step.op) {
      case 'open':
        this.db = open(this.file('app.nyro'), snake(step.options));
        return undefined;
      case 'open_other':
        return (async () => {
          await db?.close();
          this.db = open(this.file(step.path), snake(step.options));
        })();
      case 'close':
        return wait ? db.close() : db.closeSync();
      case 'put':
        return write('put', value(step.document));
      case 'put_raw':
        return write('putRaw', hex(step.hex));
      case 'insert_one':
        return then(write('insertOne', value(step.document)), ({ insertedId }) => insertedId);
      case 'insert_many': {
        const options = { ...('ordered' in step && { ordered: step.ordered }), ...('atomic' in step && { atomic: step.atomic }) };
        return then(write('insertMany', value(step.documents), options), ({ insertedIds }) => insertedIds);
      }
      case 'replace_one':
        return then(write('replaceOne', id(), value(step.document)), ({ matchedCount }) => matchedCount);
      case 'delete':
        return write('delete', id());
      case 'get':
        return maybe(c().get(id()));
      case 'get_many':
        return c().getMany(value(step.ids)).map(maybe);
      case 'get_raw': {
        const found = c().getRaw(id());
        return found === undefined ? null : Buffer.from(found).toString('hex');
      }
      case 'contains':
        return c().contains(id());
      case 'count':
        return c().countDocuments();
      case 'scan':
        return all(c().scan());
      case 'scan_after': {
        const first = c().scan();
        for (let i = 0; i < step.documents_before; i++) first.next();
        const { token } = first;
        first.close();
        return all(c().scan({ after: token }));
      }
      case 'scan_open':
        this.scans.set(step.as, c().scan(step.after === undefined ? {} : { after: this.scans.get(step.after).token }));
        return undefined;
      case 'scan_next':
        return some(this.scans.get(step.scan));
      case 'scan_close':
        return this.scans.get(step.scan).close();
      case 'kv_put':
        return change('put', key(), value(step.value));
      case 'kv_get':
        return maybe(k().get(key()));
      case 'kv_get_many':
        return k().getMany(value(step.keys)).map(maybe);
      case 'kv_contains':
        return k().contains(key());
      case 'kv_delete':
        return change('delete', key());
      case 'kv_delete_range':
        return change('deleteRange', bounds());
      case 'kv_clear':
        return change('clear');
      case 'kv_write': {
        const changes = value(step.changes).map(([type, first, second]) => {
          switch (type) {
            case 'put':
              return { type, key: first, value: second };
            case 'delete':
              return { type: 'del', key: first };
            case 'delete_range':
              return { type: 'deleteRange', gte: first, ...(second !== null && { lt: second }) };
            case 'clear':
              return { type };
            default:
              throw new Error(`unknown change ${type}`);
          }
        });
        return change('batch', changes);
      }
      case 'kv_range':
        return all(range());
      case 'kv_range_open':
        this.ranges.set(step.as, range());
        return undefined;
      case 'kv_range_next':
        return some(this.ranges.get(step.range));
      case 'kv_range_seek':
        return this.ranges.get(step.range).seek(key());
      case 'kv_range_close':
        return this.ranges.get(step.range).close();
      case 'keyspace_names':
        return from.keyspaceNames();
      case 'rename_keyspace': {
        const names = [value(step.from), value(step.to)];
        if (tx) return tx.renameKeyspace(...names);
        return wait ? db.renameKeyspace(...names) : db.renameKeyspaceSync(...names);
      }
      case 'drop_keyspace':
        if (tx) return tx.dropKeyspace(value(step.name));
        return wait ? db.dropKeyspace(value(step.name)) : db.dropKeyspaceSync(value(step.name));
      case 'write': {
        const over = new Error('rolled back');
        try {
          db.write((inner) => {
            for (const [at, each] of step.steps.entries()) {
              try {
                this.runInside(each, inner);
              } catch (error) {
                if (!(error instanceof NyroError)) throw error;
                throw new Error(`step ${at} inside: ${error.stack}`);
              }
            }
            if (step.rollback) throw over;
          });
        } catch (error) {
          if (error !== over) throw error;
        }
        return undefined;
      }
      case 'snapshot':
        this.snapshots.set(step.name, db.snapshot());
        return undefined;
      case 'release':
        return this.snapshots.get(step.name).close();
      case 'collection_names':
        return from.collectionNames();
      case 'create_collection':
        if (tx) return tx.createCollection(value(step.name));
        return wait ? db.createCollection(value(step.name)) : db.createCollectionSync(value(step.name));
      case 'rename_collection': {
        const names = [value(step.from), value(step.to)];
        if (tx) return tx.renameCollection(...names);
        return wait ? db.renameCollection(...names) : db.renameCollectionSync(...names);
      }
      case 'drop_collection':
        if (tx) return tx.dropCollection(value(step.name));
        return wait ? db.dropCollection(value(step.name)) : db.dropCollectionSync(value(step.name));
      case 'sync':
        return wait ? db.sync() : db.syncSync();
      case 'checkpoint':
        return db.checkpoint();
      case 'compact':
        return db.compact();
      case 'verify':
        return db.verify().then(({ documents }) => documents);
      case 'backup': {
        const { name, since, overwrite } = step;
        return db.backup(this.file(step.to), { name, since, overwrite });
      }
      case 'restore':
        return restore(this.file(step.target), step.backups.map((name) => this.file(name)), { overwrite: step.overwrite });
      case 'stats':
        return db.stats()[step.field.replace(/_(.)/g, (_, letter) => letter.toUpperCase())];
      default:
        throw new Error(`unknown operation ${step.op}`);
    }
  }
}

let steps = 0;
const files = fs.readdirSync(data).filter((name) => name.endsWith('.json')).sort();

test('there are scenarios', () => assert.ok(files.length >= 29));

for (const promises of [false, true]) {
  for (const name of files) {
    test(`${name}${promises ? ', by promises' : ''}`, async () => {
      const scenario = new Scenario(promises);
      const { steps: all } = JSON.parse(fs.readFileSync(path.join(data, name), 'utf8'));
      for (const [at, step] of all.entries()) {
        try {
          await scenario.run(step);
        } catch (error) {
          throw new Error(`${name}, step ${at} (${step.op}), wanted ${JSON.stringify(step.result ?? step.error)?.slice(0, 200)}: ${error.stack}`);
        }
      }
      await scenario.db?.close();
      steps += scenario.steps;
    });
  }
}

test.after(() => console.log(`conformance: ${steps} steps in ${files.length} files, each at once and by promises`));
