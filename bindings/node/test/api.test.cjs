'use strict';
// Every call does what it says.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { open, restore, repair, version, Database } = require('../lib/index.cjs');
const { dispose, asyncDispose } = require('../lib/handles.cjs');
const { folder, file } = require('./support/files.cjs');

const numbered = (count) => Array.from({ length: count }, (_, i) => ({ _id: i, name: `n${i}` }));

test('import and require give the same', async () => {
  const module = await import('../lib/index.mjs');
  const required = require('../lib/index.cjs');
  assert.deepEqual(Object.keys(module).sort(), Object.keys(required).sort());
  for (const name of Object.keys(required)) assert.equal(module[name], required[name], name);
  assert.match(version, /^\d+\.\d+\.\d+/);
});

test('the calls of a collection, with promises and at once', async () => {
  const db = open(file());
  const users = db.collection('users');
  assert.equal(users.name, 'users');
  assert.equal(users.countDocuments(), 0);
  assert.deepEqual(db.collectionNames(), []);

  assert.equal(await users.put({ name: 'Ada' }), 1);
  assert.equal(users.putSync({ name: 'Bob' }), 2);
  assert.deepEqual(await users.insertOne({ _id: 'c' }), { insertedId: 'c' });
  assert.deepEqual(users.insertOneSync({ _id: new Uint8Array([1]) }), { insertedId: new Uint8Array([1]) });
  assert.deepEqual(await users.insertMany([{ _id: 10 }, { x: 1 }]), { insertedIds: [10, 11] });
  assert.deepEqual(users.insertManySync(new Set([{ _id: 20 }])), { insertedIds: [20] });
  assert.deepEqual(await users.insertMany([]), { insertedIds: [] });
  assert.deepEqual(await users.replaceOne(1, { name: 'Ada L.' }), { matchedCount: 1, modifiedCount: 1 });
  assert.deepEqual(users.replaceOneSync(99, { name: 'x' }), { matchedCount: 0, modifiedCount: 0 });
  await assert.rejects(users.replaceOne(1, { _id: 2 }), { code: 'InvalidId' });
  assert.deepEqual(users.get(1), { _id: 1, name: 'Ada L.' });
  assert.equal(users.get(99), undefined);
  assert.equal(users.get('1'), undefined);
  assert.deepEqual(users.get(new Uint8Array([1])), { _id: new Uint8Array([1]) });
  assert.deepEqual(users.getMany([2, 99, 'c', new Uint8Array([1])]), [{ _id: 2, name: 'Bob' }, undefined, { _id: 'c' }, { _id: new Uint8Array([1]) }]);
  assert.deepEqual(users.getMany([]), []);
  const missing = users.getMany(Array.from({ length: 300_000 }, (_, i) => 1000 + i));
  assert.ok(missing.length === 300_000 && missing.every((found) => found === undefined));
  assert.equal(users.contains('c'), true);
  assert.equal(users.contains('d'), false);
  assert.equal(await users.delete('c'), true);
  assert.equal(users.deleteSync('c'), false);
  assert.equal(users.countDocuments(), 6);
  assert.equal(users.estimatedDocumentCount(), 6);
  assert.equal(db.collection('users'), users);
  await db.close();
});

test('ids of every kind', () => {
  const db = open(':memory:');
  const c = db.collection('c');
  const ids = [0, -1, 2 ** 53 - 1, -(2 ** 53 - 1), 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n, '', 'é', 'x'.repeat(1024),
    new Uint8Array(0), new Uint8Array(1024)];
  for (const _id of ids) assert.deepEqual(c.putSync({ _id, v: 1 }), _id);
  for (const _id of ids) {
    assert.deepEqual(c.get(_id), { _id, v: 1 });
    assert.ok(c.contains(_id));
    assert.deepEqual(c.replaceOneSync(_id, { v: 2 }).matchedCount, 1);
  }
  assert.deepEqual(c.getMany(ids).map(({ _id }) => _id), ids);
  assert.deepEqual(c.get(5n), undefined);
  c.putSync({ _id: 5n });
  assert.deepEqual(c.get(5), { _id: 5 });
  for (const _id of [1.5, NaN, 2 ** 53, true, null, {}, [], 2n ** 64n, 'x'.repeat(1025), new Uint8Array(1025), Symbol('x'), new Date()]) {
    for (const call of [() => c.get(_id), () => c.contains(_id), () => c.getRaw(_id), () => c.deleteSync(_id), () => c.getMany([_id]),
      () => c.replaceOneSync(_id, {})]) {
      assert.throws(call, { code: 'InvalidId' }, `${call} ${String(_id)}`);
    }
  }
  assert.throws(() => c.get(), { code: 'InvalidId' });
  for (const _id of ids) assert.ok(c.deleteSync(_id));
  db.closeSync();
});

test('the writes of an event-loop turn share a commit, in their order, each with its own result', async () => {
  const db = open(file());
  const users = db.collection('users');
  await users.put({ _id: 0 });
  const before = db.stats().commit;
  const results = await Promise.allSettled([
    users.put({ _id: 1, v: 1 }),
    users.insertOne({ _id: 1 }),
    users.put({ _id: 1, v: 2 }),
    users.replaceOne(1, { v: 3 }),
    users.delete(0),
    users.put({ bad: () => 1 }),
    db.collection('others').put({ _id: 1 }),
    users.put({ bad: '\ud800' }),
    users.delete(0),
    users.put({ _id: 2, v: db.collection('users').get(1) }),
  ]);
  const say = ({ value, reason }) => reason?.code ?? value;
  assert.deepEqual(results.map(say), [1, 'DuplicateId', 1, { matchedCount: 1, modifiedCount: 1 }, true, 'Serialization', 1,
    'Serialization', false, 2]);
  assert.equal(db.stats().commit, before + 1);
  assert.deepEqual(users.get(1), { _id: 1, v: 3 });

  const many = [];
  for (let i = 0; i < 5000; i++) many.push(users.put({ _id: i, v: i }));
  // The document is taken when the call is made.
  const changed = { _id: 'x', v: 1 };
  many.push(users.put(changed));
  changed.v = 2;
  await Promise.all(many);
  assert.equal(db.stats().commit, before + 2);
  assert.equal(users.get('x').v, 1);
  await db.close();
});

test('a write at once comes after the promised ones before it', async () => {
  const db = open(file());
  const other = open(file());
  const users = db.collection('users');
  const promised = users.put({ _id: 1, v: 'promised' });
  const elsewhere = other.collection('users').put({ _id: 1, v: 'elsewhere' });
  users.putSync({ _id: 1, v: 'at once' });
  assert.equal(users.get(1).v, 'at once');
  await promised;
  await elsewhere;
  assert.equal(users.get(1).v, 'at once');
  const first = users.put({ _id: 1, v: 'again' });
  db.write((tx) => assert.equal(tx.collection('users').get(1).v, 'again'));
  await first;
  const dropped = [users.put({ _id: 3 }), db.dropCollection('users'), users.put({ _id: 4 })];
  await Promise.all(dropped);
  assert.deepEqual(users.getMany([3, 4]), [undefined, { _id: 4 }]);
  await Promise.all([db.close(), other.close()]);
});

test('what is written before close is kept', async () => {
  const name = file();
  const db = open(name);
  const promised = db.collection('users').put({ _id: 1 });
  const closing = db.close();
  assert.equal(await promised, 1);
  await closing;
  const again = open(name);
  assert.deepEqual(again.collection('users').get(1), { _id: 1 });
  const last = again.collection('users').put({ _id: 2 });
  again.closeSync();
  assert.equal(await last, 2);
});

test('a transaction is all or nothing, and reads its own writes', async () => {
  const db = open(file());
  const accounts = db.collection('accounts');
  const result = db.write((tx) => {
    const inside = tx.collection('accounts');
    assert.equal(inside.put({ _id: 'a', balance: 70 }), 'a');
    assert.deepEqual(inside.insertOne({ _id: 'b', balance: 30 }), { insertedId: 'b' });
    assert.throws(() => inside.insertOne({ _id: 'b' }), { code: 'DuplicateId' });
    assert.deepEqual(inside.replaceOne('a', { balance: 60 }), { matchedCount: 1, modifiedCount: 1 });
    assert.deepEqual(inside.get('a'), { _id: 'a', balance: 60 });
    assert.equal(inside.get('z'), undefined);
    assert.equal(inside.contains('b'), true);
    assert.equal(inside.delete('z'), false);
    assert.equal(accounts.get('a'), undefined);
    tx.createCollection('empty');
    tx.renameCollection('empty', 'still empty');
    assert.equal(tx.dropCollection('nothing'), false);
    return 'done';
  });
  assert.equal(result, 'done');
  assert.deepEqual(db.collectionNames(), ['accounts', 'still empty']);

  const mine = new Error('mine');
  assert.throws(() => db.write((tx) => {
    tx.collection('accounts').delete('a');
    throw mine;
  }), (error) => error === mine);
  assert.deepEqual(accounts.get('a'), { _id: 'a', balance: 60 });
  await db.close();
});

test('a transaction that is asynchronous, nested or over is an error', async () => {
  const db = open(file());
  const users = db.collection('users');
  let kept;
  assert.throws(() => db.write(async (tx) => {
    tx.collection('users').put({ _id: 1 });
    await null;
    tx.collection('users').put({ _id: 2 });
  }), { code: 'InvalidArgument' });
  await new Promise(setImmediate);
  assert.equal(users.countDocuments(), 0);

  const inside = [];
  db.write((tx) => {
    kept = tx.collection('users');
    assert.throws(() => db.write(() => 1), { code: 'NestedTransaction' });
    assert.throws(() => users.putSync({ _id: 1 }), { code: 'NestedTransaction' });
    assert.throws(() => users.deleteSync(1), { code: 'NestedTransaction' });
    assert.throws(() => db.closeSync(), { code: 'NestedTransaction' });
    assert.throws(() => db.createCollectionSync('x'), { code: 'NestedTransaction' });
    inside.push(users.put({ _id: 1 }), users.delete(1), db.checkpoint(), db.close(), db.backup('x'));
    kept.put({ _id: 7 });
  });
  for (const { status, reason } of await Promise.allSettled(inside)) {
    assert.equal(status, 'rejected');
    assert.equal(reason.code, 'NestedTransaction');
  }
  for (const call of [() => kept.put({}), () => kept.get(7), () => kept.delete(7), () => kept.contains(7)]) {
    assert.throws(call, { code: 'Closed' });
  }
  assert.deepEqual(users.get(7), { _id: 7 });
  assert.throws(() => db.write(), { code: 'InvalidArgument' });
  await db.close();
});

test('a scan gives all, in both kinds of loops, and goes on from its token', async () => {
  const db = open(file());
  const users = db.collection('users');
  const documents = numbered(1000);
  users.insertManySync(documents);
  assert.deepEqual([...users.scan()], documents);
  assert.deepEqual([...users], documents);
  const found = [];
  for await (const user of users) found.push(user);
  assert.deepEqual(found, documents);
  for (const stop of [0, 1, 2, 15, 16, 17, 143, 144, 145, 500, 1000]) {
    const scan = users.scan();
    for (let i = 0; i < stop; i++) scan.next();
    const { token } = scan;
    scan.close();
    assert.equal(scan.token, token);
    assert.deepEqual([...users.scan({ after: token })], documents.slice(stop), `after ${stop}`);
  }
  const scan = users.scan();
  for (const user of scan) if (user._id === 10) break;
  assert.deepEqual(scan.next(), { value: undefined, done: true });
  // It shows the moment it began.
  const before = users.scan();
  before.next();
  users.deleteSync(999);
  assert.equal([...before].length, 999);
  assert.equal([...users.scan()].length, 999);
  await db.close();
});

test('a snapshot stays as it is', async () => {
  const db = open(file());
  const users = db.collection('users');
  users.insertManySync(numbered(10));
  const snapshot = db.snapshot();
  assert.equal(snapshot.commit, db.stats().commit);
  users.deleteSync(1);
  users.putSync({ _id: 2, changed: true });
  await db.renameCollection('users', 'people');
  const old = snapshot.collection('users');
  assert.deepEqual([...old], numbered(10));
  assert.deepEqual(old.get(1), { _id: 1, name: 'n1' });
  assert.deepEqual(old.getMany([1, 99]), [{ _id: 1, name: 'n1' }, undefined]);
  assert.equal(old.contains(1), true);
  assert.equal(old.countDocuments(), 10);
  assert.ok(old.getRaw(1).length > 5);
  assert.deepEqual(snapshot.collectionNames(), ['users']);
  assert.equal(snapshot.collection('none').countDocuments(), 0);
  assert.equal(old.put, undefined);
  snapshot.close();
  snapshot.close();
  for (const call of [() => old.get(1), () => old.scan(), () => old.countDocuments(), () => snapshot.collection('users'), () => snapshot.collectionNames()]) {
    assert.throws(call, { code: 'Closed' });
  }
  assert.equal(db.stats().snapshots, 0);
  await db.close();
});

test('collections are made, renamed and dropped', async () => {
  const db = open(file());
  await db.createCollection('a');
  await assert.rejects(db.createCollection('a'), { code: 'CollectionExists' });
  db.createCollectionSync('b');
  assert.throws(() => db.renameCollectionSync('a', 'b'), { code: 'CollectionExists' });
  await assert.rejects(db.renameCollection('z', 'y'), { code: 'CollectionNotFound' });
  await db.renameCollection('a', 'c');
  assert.deepEqual(db.collectionNames(), ['b', 'c']);
  assert.equal(await db.dropCollection('b'), true);
  assert.equal(db.dropCollectionSync('b'), false);
  for (const name of ['', 'a$b', 'system.x', 'a\0b', 'x'.repeat(256)]) {
    assert.throws(() => db.collection(name).putSync({}), { code: 'InvalidName' });
    await assert.rejects(db.createCollection(name), { code: 'InvalidName' });
  }
  await db.close();
});

test('backup, restore, repair, verify, compact, warmUp, sync, checkpoint', async () => {
  const at = folder();
  const db = open(pathToFileURL(path.join(at, 'app.nyro')));
  const users = db.collection('users');
  users.insertManySync(numbered(2000));
  const told = [];
  const report = await db.backup(path.join(at, 'full'), { name: 'sunday', onProgress: (p) => told.push(p) });
  assert.equal(typeof report.commit, 'number');
  assert.ok(told.length > 0 && told.every(({ phase, done, unit }) => typeof phase === 'string' && done >= 0 && typeof unit === 'string'));
  await assert.rejects(db.backup(path.join(at, 'full')), { code: 'InvalidArgument' });
  users.putSync({ _id: 'monday' });
  await db.backup(path.join(at, 'monday'), { name: 'monday', since: 'sunday' });
  await assert.rejects(db.backup(path.join(at, 'x'), { since: 'never' }), { code: 'BackupMismatch' });
  assert.deepEqual(db.backups().map(({ name }) => name), ['monday', 'sunday']);

  assert.equal((await db.verify()).documents, 2001);
  await db.compact();
  assert.ok((await db.warmUp()) !== undefined);
  await db.warmUp({ limitBytes: 1 << 20 });
  await db.sync();
  db.syncSync();
  await db.checkpoint();
  assert.equal(db.stats().durableCommit, db.stats().commit);
  assert.equal(typeof db.stats().getLatency, 'object');
  await db.close();

  const target = path.join(at, 'restored.nyro');
  assert.equal((await restore(target, [path.join(at, 'full'), path.join(at, 'monday')])).documents, 2001);
  await assert.rejects(restore(target, path.join(at, 'full')), { code: 'InvalidArgument' });
  await restore(target, path.join(at, 'full'), { overwrite: true });
  const restored = open(target);
  assert.equal(restored.collection('users').countDocuments(), 2000);
  await restored.close();

  const fixed = await repair(target, path.join(at, 'repaired.nyro'));
  assert.equal(fixed.isComplete, true);
  const repaired = open(path.join(at, 'repaired.nyro'), { readOnly: true });
  assert.equal(repaired.collection('users').countDocuments(), 2000);
  assert.throws(() => repaired.collection('users').putSync({}), { code: 'ReadOnly' });
  await repaired.close();
});

test('long calls are stopped by a signal, a time limit, or what onProgress throws', async () => {
  const db = open(file());
  db.collection('users').insertManySync(numbered(20_000));
  await db.checkpoint();
  const reason = new Error('enough');
  await assert.rejects(db.verify({ signal: AbortSignal.abort(reason) }), (error) => error.code === 'Cancelled' && error.cause === reason);
  const controller = new AbortController();
  const cancelled = db.verify({ signal: controller.signal, onProgress: () => controller.abort(reason) });
  await assert.rejects(cancelled, (error) => error.code === 'Cancelled' && error.cause === reason);
  await assert.rejects(db.verify({ timeoutMs: 0 }), { code: 'DeadlineExceeded' });
  await assert.rejects(db.verify({ onProgress: () => { throw reason; } }), (error) => error === reason);
  for (const options of [{ signal: 1 }, { onProgress: 1 }, { timeoutMs: 'x' }, { timeoutMs: -1 }, { timeoutMs: NaN }]) {
    await assert.rejects(db.verify(options), { code: 'InvalidArgument' });
  }
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await db.verify();
  clearInterval(timer);
  await db.close();
});

test('options', async () => {
  const name = file();
  const db = open(name, { durability: { interval: 20 }, cacheBytes: 1 << 20, logMaxBytes: 1 << 20, writerTimeoutMs: 100, maxDocumentBytes: 100,
    readMode: 'pread', snapshotMaxAgeMs: 60_000, allowNetworkFileSystem: false, create: true, readOnly: undefined });
  assert.throws(() => db.collection('c').putSync({ x: 'x'.repeat(100) }), { code: 'DocumentTooLarge' });
  assert.throws(() => open(name), { code: 'OptionsDiffer' });
  await db.close();
  for (const options of [{ nothing: 1 }, { create: 1 }, { durability: 'never' }, { durability: -1 }, { cacheBytes: 1 }, { cacheBytes: 'x' }, { readMode: 1 },
    { cacheBytes: 1.5 }, { maxDocumentBytes: 2n ** 40n }]) {
    assert.throws(() => open(file(), options), { code: 'InvalidArgument' }, JSON.stringify(Object.keys(options)));
  }
  assert.throws(() => open(file(), { create: false }), { code: 'NoSuchFile' });
  assert.throws(() => open(5), { code: 'InvalidArgument' });
  assert.throws(() => open('\ud800'), { code: 'InvalidArgument' });
  const junk = path.join(folder(), 'junk');
  fs.writeFileSync(junk, 'not a database, but text that is long enough to be looked at'.repeat(1000));
  assert.throws(() => open(junk), { code: 'NotADatabase' });
});

test('the same path opened twice is one database, and closing one handle leaves the other', async () => {
  const name = file();
  const [one, two] = [open(name), open(name)];
  one.collection('c').putSync({ _id: 1 });
  assert.deepEqual(two.collection('c').get(1), { _id: 1 });
  const scan = one.collection('c').scan();
  await one.close();
  assert.throws(() => one.collection('c'), { code: 'Closed' });
  assert.throws(() => scan.next(), { code: 'Closed' });
  two.collection('c').putSync({ _id: 2 });
  assert.equal(two.collection('c').countDocuments(), 2);
  await two.close();
});

test('using: what is disposed of is closed', async () => {
  const db = open(file());
  const users = db.collection('users');
  users.insertManySync(numbered(1000));
  const [scan, snapshot] = [users.scan(), db.snapshot()];
  scan.next();
  scan[dispose]();
  snapshot[dispose]();
  await users.scan()[asyncDispose]();
  await db.snapshot()[asyncDispose]();
  assert.equal(db.stats().snapshots, 0);
  await db[asyncDispose]();
  assert.equal(db.isOpen, false);
  const other = open(file());
  other[dispose]();
  assert.equal(other.isOpen, false);
  assert.ok(db instanceof Database);
});

test('after close every call is the error Closed', async () => {
  const db = open(file());
  const users = db.collection('users');
  users.insertManySync(numbered(300));
  const [scan, snapshot] = [users.scan(), db.snapshot()];
  const old = snapshot.collection('users');
  scan.next();
  const closing = db.close();
  assert.equal(db.close(), closing);
  await closing;
  db.closeSync();
  const calls = {
    get: () => users.get(1), getRaw: () => users.getRaw(1), getMany: () => users.getMany([1]), contains: () => users.contains(1),
    count: () => users.countDocuments(), scan: () => users.scan(), put: () => users.putSync({}), delete: () => users.deleteSync(1),
    many: () => users.insertManySync([{}]), replace: () => users.replaceOneSync(1, {}), raw: () => users.putRawSync(new Uint8Array([0x80])),
    collection: () => db.collection('x'), snapshot: () => db.snapshot(), stats: () => db.stats(), names: () => db.collectionNames(),
    backups: () => db.backups(), write: () => db.write(() => 1), create: () => db.createCollectionSync('x'), sync: () => db.syncSync(),
    next: () => { for (let i = 0; i < 400; i++) scan.next(); }, old: () => old.get(1), oldScan: () => old.scan(), oldCount: () => old.countDocuments(),
    of: () => snapshot.collection('users'), oldNames: () => snapshot.collectionNames(),
  };
  for (const [name, call] of Object.entries(calls)) assert.throws(call, { code: 'Closed' }, name);
  const promises = [users.put({}), users.insertOne({}), users.insertMany([{}]), users.delete(1), users.replaceOne(1, {}), db.verify(), db.backup('x'),
    db.compact(), db.checkpoint(), db.sync(), db.warmUp(), db.createCollection('x'), db.dropCollection('x'), db.renameCollection('x', 'y')];
  for (const { reason } of await Promise.allSettled(promises)) assert.equal(reason?.code, 'Closed');
  snapshot.close();
  scan.close();
});

test('what JavaScript forgets is let go', { skip: typeof globalThis.gc !== 'function' && 'needs --expose-gc' }, async () => {
  const db = open(file());
  const users = db.collection('users');
  users.insertManySync(numbered(1000));
  for (let i = 0; i < 2000; i++) {
    users.scan().next();
    db.snapshot().collection('users').get(1);
  }
  for (let i = 0; i < 20 && db.stats().snapshots > 0; i++) {
    globalThis.gc();
    await new Promise((done) => setTimeout(done, 10));
  }
  assert.equal(db.stats().snapshots, 0);
  await db.close();
});

test('a Float64Array, a string or a number where a call takes something else is an argument error', async () => {
  const db = open(':memory:');
  const users = db.collection('users');
  await assert.rejects(users.insertMany(5), { code: 'InvalidArgument' });
  await assert.rejects(users.insertMany(null), { code: 'InvalidArgument' });
  await assert.rejects(users.insertMany([], { ordered: 1 }), { code: 'InvalidArgument' });
  await assert.rejects(users.insertMany('ab'), { code: 'BulkWrite' });
  assert.throws(() => users.getMany(5), { code: 'InvalidArgument' });
  assert.throws(() => users.scan({ after: 'x' }), { code: 'InvalidArgument' });
  assert.throws(() => users.scan({ after: -1 }), { code: 'InvalidArgument' });
  for (const name of [undefined, null, 5, {}, Symbol('x')]) assert.throws(() => db.collection(name), { code: 'InvalidArgument' });
  await assert.rejects(db.backup(5), { code: 'InvalidArgument' });
  await assert.rejects(db.backup('x', { name: 5 }), { code: 'InvalidArgument' });
  await assert.rejects(restore('x', 5), { code: 'InvalidArgument' });
  await assert.rejects(db.renameCollection('x'), { code: 'InvalidArgument' });
  await db.close();
});
