'use strict';
// Lifetimes, detached memory, broken objects and very many of something: nothing is lost, mixed up or left waiting.

const test = require('node:test');
const assert = require('node:assert/strict');
const { MessageChannel } = require('node:worker_threads');
const { open, Ext } = require('../lib/index.cjs');
const { file } = require('./support/files.cjs');

const needsGc = { skip: typeof globalThis.gc !== 'function' && 'needs --expose-gc' };
const library = require.resolve('../lib/index.cjs');

test('a promised write keeps its collection, which nobody else holds', needsGc, async () => {
  const db = open(':memory:');
  for (let round = 0; round < 5; round++) {
    const promises = [];
    // More than are kept for the next call, so that most are held by their writes alone.
    for (let i = 0; i < 1500; i++) promises.push(db.collection(`c${i}`).put({ _id: round, in: `c${i}` }));
    globalThis.gc();
    const flushed = new Promise((done) => setImmediate(done));
    await flushed;
    assert.deepEqual([...new Set(await Promise.all(promises))], [round]);
    for (let i = 0; i < 1500; i++) assert.deepEqual(db.collection(`c${i}`).get(round), { _id: round, in: `c${i}` });
  }
  await db.close();
});

test('raw documents: their memory may be sent away, and reading goes on', () => {
  const db = open(':memory:');
  const users = db.collection('users');
  users.putSync({ _id: 1, text: 'x'.repeat(100) });
  const wanted = Buffer.from(users.getRaw(1)).toString('hex');
  const hex = () => Buffer.from(users.getRaw(1)).toString('hex');
  const { port1 } = new MessageChannel();
  const ways = [
    (raw) => port1.postMessage(raw, [raw.buffer]),
    (raw) => structuredClone(raw, { transfer: [raw.buffer] }),
    (raw) => raw.buffer.transfer?.(),
    (raw) => raw.buffer.transfer?.(16),
  ];
  for (const way of ways) {
    try {
      way(users.getRaw(1));
    } catch (error) {
      // The newer, the more of them Node refuses.
      assert.ok(['DataCloneError', 'TypeError'].includes(error.name), error);
    }
    for (let i = 0; i < 2000; i++) assert.equal(hex(), wanted);
  }
  port1.close();
  db.closeSync();
});

test('the package evaluated again over the same native module is one of its own', async () => {
  const first = require('../lib/index.cjs');
  const again = () => {
    for (const name of Object.keys(require.cache)) {
      if (name.startsWith(require('node:path').dirname(library))) delete require.cache[name];
    }
    return require('../lib/index.cjs');
  };
  const name = file();
  const one = first.open(name);
  one.collection('c').putSync({ _id: 1, from: 'first', f: 1.5 });
  const others = [again(), again(), again()];
  for (const [at, other] of others.entries()) {
    assert.notEqual(other, first);
    const two = other.open(name);
    assert.equal(await two.collection('c').put({ _id: 10 + at, from: 'other', g: [2.5], at }), 10 + at);
    assert.deepEqual(two.collection('c').get(1), { _id: 1, from: 'first', f: 1.5 });
    assert.equal(await one.collection('c').put({ from: 'first', at }), 11 + at);
    assert.deepEqual(one.collection('c').get(10 + at), { _id: 11 + at - 1, ...one.collection('c').get(10 + at) });
    assert.throws(() => two.collection('c').get({}), (error) => error instanceof other.NyroError && error.code === 'InvalidId');
    await two.verify();
    await two.close();
  }
  assert.equal([...one.collection('c').scan()].length, one.collection('c').countDocuments());
  await one.close();
});

test('a call that waits for the writes before it does not wait for those after it, and can be stopped', { timeout: 60_000 }, async () => {
  const db = open(file(), { durability: 'manual' });
  const users = db.collection('users');
  let running = true;
  // One batch is always on its way.
  const writer = (async () => {
    const flying = [];
    for (let i = 0; running; i++) {
      flying.push(users.insertMany(Array.from({ length: 20_000 }, (_, at) => ({ _id: i * 20_000 + at, text: 'some text' }))));
      if (flying.length > 4) await flying.shift();
      await new Promise((done) => setImmediate(done));
    }
    await Promise.all(flying);
  })();
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error('it never began')), 8000).unref());
  try {
    for (let i = 0; i < 3; i++) await Promise.race([db.sync(), late]);
    await Promise.race([db.checkpoint(), late]);
    await Promise.race([assert.rejects(db.verify({ timeoutMs: 0 }), { code: 'DeadlineExceeded' }), late]);
  } finally {
    running = false;
    await writer;
  }
  await db.close();
});

test('a signal and a time limit count while a call waits for the writes before it', { timeout: 60_000 }, async () => {
  const name = file();
  const [db, other] = [open(name), open(name)];
  let stopped;
  let late;
  // The write waits for the transaction, the call for the write.
  db.write(() => {
    other.collection('c').put({ _id: 1 }).catch(() => {});
    late = other.sync({ timeoutMs: 50 });
    const controller = new AbortController();
    stopped = other.sync({ signal: controller.signal });
    controller.abort();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  });
  await assert.rejects(late, { code: 'DeadlineExceeded' });
  await assert.rejects(stopped, { code: 'Cancelled' });
  await other.sync();
  assert.deepEqual(db.collection('c').get(1), { _id: 1 });
  await other.close();
  await db.close();
});

test('getMany of very many ids', { timeout: 120_000 }, () => {
  const db = open(':memory:');
  const users = db.collection('users');
  users.insertManySync([{ _id: 7 }, { _id: 'x1999999' }]);
  const found = users.getMany(Array.from({ length: 2_100_000 }, (_, i) => i + 1));
  assert.equal(found.length, 2_100_000);
  assert.deepEqual(found[6], { _id: 7 });
  const floats = users.getMany(Array.from({ length: 1_100_000 }, (_, i) => BigInt(i) + (1n << 40n)));
  assert.ok(floats.every((one) => one === undefined));
  assert.deepEqual(users.getMany([7]), [{ _id: 7 }]);
  // Misses in front fill the buffer to its last words.
  for (const count of [65_535, 65_536, 65_600, 131_071]) {
    const ids = Array.from({ length: count }, (_, i) => -1 - i);
    ids.push(7);
    assert.deepEqual(users.getMany(ids).at(-1), { _id: 7 });
  }
  db.closeSync();
});

test('close that is refused leaves the database open; nothing else stops it', async () => {
  const db = open(file());
  const users = db.collection('users');
  for (const options of [{ signal: 1 }, { signal: { addEventListener() {} } }, { onProgress: 1 }, { timeoutMs: 'x' }]) {
    await assert.rejects(db.close(options), { code: 'InvalidArgument' });
    assert.equal(db.isOpen, true);
    assert.equal(users.putSync({ _id: 1 }), 1);
  }
  const last = users.put({ _id: 2 });
  await db.close({ signal: AbortSignal.abort(), timeoutMs: 0 });
  assert.equal(await last, 2);
  assert.equal(db.isOpen, false);
  assert.equal(db.close(), db.close());
  await db.close();
});

test('a large result of getMany is read a few times only', () => {
  const db = open(':memory:');
  const users = db.collection('users');
  const list = Array.from({ length: 200 }, (_, i) => i & 63);
  const ids = Array.from({ length: 20_000 }, (_, i) => i);
  users.insertManySync(ids.map((_id) => ({ _id, list, f: 0.5 })));
  const native = require('../lib/native.cjs');
  const { getMany } = native;
  let calls = 0;
  native.getMany = (...args) => {
    calls++;
    return getMany(...args);
  };
  try {
    assert.equal(users.getMany(ids).length, 20_000);
  } finally {
    native.getMany = getMany;
  }
  assert.ok(calls < 12, `${calls} calls`);
  db.closeSync();
});

test('two handles of one file in one thread: what would wait for its own transaction is an error', { timeout: 30_000 }, async () => {
  const name = file();
  const [db, same] = [open(name), open(name)];
  const other = open(file());
  const began = Date.now();
  const promises = [];
  db.write((tx) => {
    tx.collection('c').put({ _id: 'tx' });
    promises.push(same.collection('c').put({ _id: 'promised' }));
    assert.throws(() => same.collection('c').putSync({ _id: 'now' }), { code: 'NestedTransaction' });
    assert.throws(() => same.write(() => {}), { code: 'NestedTransaction' });
    assert.throws(() => same.syncSync(), { code: 'NestedTransaction' });
    assert.throws(() => same.closeSync(), { code: 'NestedTransaction' });
    // Another file has another writer.
    promises.push(other.collection('c').put({ _id: 'promised' }));
    assert.equal(other.collection('c').putSync({ _id: 'now' }), 'now');
  });
  assert.ok(Date.now() - began < 3000, `${Date.now() - began} ms`);
  await Promise.all(promises);
  assert.deepEqual([...db.collection('c').scan()].map(({ _id }) => _id), ['tx', 'promised']);
  assert.equal(same.collection('c').putSync({ _id: 'now' }), 'now');
  same.closeSync();
  other.closeSync();
  db.closeSync();
});

test('one promise that is hard to settle does not keep others waiting', { timeout: 20_000 }, async () => {
  const db = open(':memory:');
  const users = db.collection('users');
  const thrower = (thrown) => ({ get x() { throw thrown; } });
  const hostile = { toString() { throw new Error('toString'); } };
  for (const thrown of [null, undefined, 5, Symbol('x'), hostile, Object.create(null), new Proxy({}, { get() { throw new Error('get'); } })]) {
    const many = users.insertMany([{}, thrower(thrown), {}]);
    const atomic = users.insertMany([thrower(thrown)], { atomic: true });
    const after = users.put({ _id: 'after' });
    await assert.rejects(many, (error) => error.code === 'BulkWrite' && error.failures[0].index === 1 && typeof error.failures[0].message === 'string');
    await atomic.then(() => assert.fail(), () => {});
    assert.equal(await after, 'after');
  }
  const failed = await users.insertMany([thrower(new Error('mine')), { f() {} }], { ordered: false }).catch((error) => error);
  assert.deepEqual(failed.failures.map(({ index, message }) => [index, /mine|function/.exec(message)?.[0]]), [[0, 'mine'], [1, 'function']]);

  // Signals that are none.
  await assert.rejects(db.verify({ signal: { addEventListener() {} } }), { code: 'InvalidArgument' });
  const loud = new Error('loud');
  await assert.rejects(db.verify({ signal: { addEventListener() { throw loud; }, removeEventListener() {} } }), loud);
  await db.verify({ signal: { addEventListener() {}, removeEventListener() { throw loud; } } });
  await db.verify();
  await db.close();
});

test('very many failures of one insertMany', { timeout: 30_000 }, async () => {
  const db = open(':memory:');
  const documents = Array.from({ length: 100_000 }, () => ({ f: Symbol.iterator }));
  // Stacks are not what is measured.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const began = Date.now();
  const error = await db.collection('c').insertMany(documents, { ordered: false }).catch((error) => error);
  Error.stackTraceLimit = stackTraceLimit;
  assert.equal(error.failures.length, 100_000);
  assert.ok(error.failures.every(({ code }) => code === 'Serialization'));
  assert.ok(Date.now() - began < 8000, `${Date.now() - began} ms`);
  await db.close();
});

test('values that say another thing than they are, are refused or stored as they are', () => {
  const db = open(':memory:');
  const users = db.collection('users');
  const refused = (value) => assert.throws(() => users.putSync({ _id: 1, value }), { name: /Error$/, code: 'Serialization' });
  for (const code of [300, -129, 1.5, '5', undefined]) refused(Object.assign(new Ext(5, new Uint8Array(2)), { code }));
  for (const bytes of [[1, 2], 'ab', undefined, { length: 3 }]) refused(Object.assign(new Ext(5, new Uint8Array(2)), { bytes }));
  for (const length of [2.5, -1, NaN, 2 ** 40, '3', Infinity]) {
    const proxy = new Proxy([1, 2, 3], { get: (list, name) => (name === 'length' ? length : list[name]) });
    assert.throws(() => users.putSync({ _id: 1, value: proxy }));
  }
  for (const length of [1, 100, -1, 'x']) {
    const bytes = Object.defineProperty(new Uint8Array([1, 2, 3]), 'length', { value: length });
    users.putSync({ _id: 2, bytes, ext: new Ext(5, bytes) });
    assert.deepEqual([...users.get(2).bytes, ...users.get(2).ext.bytes], [1, 2, 3, 1, 2, 3]);
    users.putSync({ _id: bytes });
    assert.deepEqual(users.getMany([bytes]), [{ _id: new Uint8Array([1, 2, 3]) }]);
  }
  assert.equal(users.get(1), undefined);
  db.closeSync();
});
