'use strict';
// Keyspaces: what is particular to this package. The calls themselves are in bindings/conformance, too.

const test = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const { once } = require('node:events');
const { Worker, MessageChannel } = require('node:worker_threads');
const { open, Keyspace, KeyRange } = require('../lib/index.cjs');
const { dispose, asyncDispose } = require('../lib/handles.cjs');
const { file, seeded } = require('./support/files.cjs');

const needsGc = { skip: typeof globalThis.gc !== 'function' && 'needs --expose-gc' };
const texts = (entries) => entries.map(([key, value]) => `${key}=${value}`).join(' ');
const numbered = (count) => Array.from({ length: count }, (_, i) => ({ type: 'put', key: String(i).padStart(6, '0'), value: `v${i}` }));

test('the calls of a keyspace, with promises and at once', async () => {
  const db = open(file());
  const k = db.keyspace('k');
  assert.ok(k instanceof Keyspace);
  assert.equal(k.name, 'k');
  assert.equal(db.keyspace('k'), k);
  assert.deepEqual(db.keyspaceNames(), []);
  assert.equal(k.estimatedCount(), 0);
  assert.deepEqual([k.first(), k.last(), k.get('a')], [undefined, undefined, undefined]);

  assert.equal(await k.put('a', 'one'), undefined);
  assert.equal(k.putSync(new Uint8Array([0xff, 0]), new Uint8Array([1, 2])), undefined);
  await k.put(Buffer.from('é'), Buffer.alloc(0));
  assert.ok(Buffer.isBuffer(k.get('a')));
  assert.equal(k.get('a').toString(), 'one');
  assert.deepEqual(k.get(Buffer.from([0xff, 0])), Buffer.from([1, 2]));
  assert.deepEqual(k.get('é'), Buffer.alloc(0));
  assert.deepEqual(k.getMany(['é', 'b', 'a', new Uint8Array([0xff, 0])]), [Buffer.alloc(0), undefined, Buffer.from('one'), Buffer.from([1, 2])]);
  assert.deepEqual(k.getMany([]), []);
  assert.deepEqual([k.contains('a'), k.contains('b')], [true, false]);
  assert.deepEqual(k.first(), [Buffer.from('a'), Buffer.from('one')]);
  assert.deepEqual(k.last(), [Buffer.from([0xff, 0]), Buffer.from([1, 2])]);
  assert.equal(await k.delete('a'), undefined);
  assert.equal(k.deleteSync('never'), undefined);
  await k.batch([{ type: 'put', key: 'b', value: '2' }, { type: 'put', key: 'c', value: '3' }, { type: 'del', key: 'é' }]);
  k.batchSync(new Set([{ type: 'put', key: 'd', value: '4' }, { type: 'deleteRange', lte: 'b' }]));
  assert.equal(texts([...k.range({ lt: 'z' })]), 'c=3 d=4');
  await k.batch([]);
  await k.deleteRange({ gt: 'c', lt: 'z' });
  k.deleteRangeSync({ prefix: 'x' });
  assert.equal(texts([...k.range({ lt: 'z' })]), 'c=3');
  assert.ok(k.estimatedCount() >= 2);
  await k.clear();
  assert.equal([...k].length, 0);
  k.putSync('', '');
  assert.deepEqual(k.first(), [Buffer.alloc(0), Buffer.alloc(0)]);
  k.clearSync();

  assert.deepEqual(db.keyspaceNames(), ['k']);
  await db.renameKeyspace('k', 'l');
  db.renameKeyspaceSync('l', 'm');
  assert.deepEqual(db.keyspaceNames(), ['m']);
  db.keyspace('m').batchSync(numbered(1000));
  await db.checkpoint();
  const stats = await db.keyspaceStats();
  assert.equal(stats.levels[0].entries, 1000);
  assert.deepEqual(db.keyspaceStatsSync(), stats);
  assert.equal(await db.dropKeyspace('m'), true);
  assert.equal(db.dropKeyspaceSync('m'), false);
  await db.close();
});

test('writes of keyspaces and collections share the commit of their turn, in their order, each with its own result', async () => {
  const db = open(file());
  const [k, c] = [db.keyspace('k'), db.collection('c')];
  await k.put('before', '');
  const before = db.stats().commit;
  const key = Buffer.from('changed');
  const results = [
    k.put('a', '1'),
    c.put({ _id: 1 }),
    k.batch([{ type: 'put', key: 'b', value: '2' }, { type: 'del', key: 'a' }]),
    db.keyspace('c').put('a', ''),
    c.insertOne({ _id: 1 }),
    k.put('x'.repeat(65_536), ''),
    k.put('\ud800', ''),
    k.put('n', 5),
    k.deleteRange({ gte: 'before', lt: 'c' }),
    k.deleteRange({ gte: 'b', lt: 'a' }),
    k.put('b', 'again'),
    k.put(key, key),
  ];
  // They were taken as they were.
  key.fill(0);
  const say = ({ value, reason }) => reason?.code ?? value;
  assert.deepEqual((await Promise.allSettled(results)).map(say), [undefined, 1, undefined, 'OtherKind', 'DuplicateId', 'KeyTooLarge', 'Serialization',
    'InvalidArgument', undefined, 'InvalidArgument', undefined, undefined]);
  assert.equal(db.stats().commit, before + 1);
  assert.equal(texts([...k]), 'b=again changed=changed');

  // A batch that fails halfway is not made; what is around it is.
  const around = [
    k.put('a', ''),
    c.put({ _id: 2 }),
    k.batch([{ type: 'clear' }, { type: 'put', key: 'c', value: '' }, { type: 'put', key: Buffer.alloc(65_536), value: '' }]),
    k.put('d', ''),
  ];
  assert.deepEqual((await Promise.allSettled(around)).map(say), [undefined, 2, 'KeyTooLarge', undefined]);
  assert.equal(texts([...k]), 'a= b=again changed=changed d=');

  const many = [];
  for (let i = 0; i < 5000; i++) many.push(k.put(`k${i}`, `v${i}`), c.put({ _id: i }));
  const now = db.stats().commit;
  await Promise.all(many);
  assert.equal(db.stats().commit, now + 1);
  assert.equal(k.get('k4999').toString(), 'v4999');
  await db.close();
});

test('a write at once, a transaction, dropping and renaming come after the writes that were promised before', async () => {
  const db = open(file());
  const k = db.keyspace('k');
  const first = k.put('a', 'promised');
  k.putSync('a', 'at once');
  assert.equal(k.get('a').toString(), 'at once');
  await first;
  const second = k.put('a', 'again');
  db.write((tx) => assert.equal(tx.keyspace('k').get('a').toString(), 'again'));
  await Promise.all([second, k.put('b', ''), db.renameKeyspace('k', 'l'), k.put('c', '')]);
  assert.deepEqual([texts([...db.keyspace('k')]), texts([...db.keyspace('l')])], ['c=', 'a=again b=']);
  await Promise.all([k.put('d', ''), db.dropKeyspace('k'), k.put('e', '')]);
  assert.equal(texts([...k]), 'e=');
  const last = k.put('last', '');
  await db.close();
  await last;
});

test('ranges give what a sorted list gives, whatever their bounds', async () => {
  const db = open(file());
  const k = db.keyspace('k');
  const seed = Number(process.env.NYRO_SEED ?? Date.now() % 1e6);
  const random = seeded(seed);
  const list = new Map();
  const some = () => Buffer.from(Array.from({ length: random(4) }, () => [0, 1, 0x61, 0x62, 0xfe, 0xff][random(6)]));
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 500; i++) {
      const [key, value] = [some(), Buffer.alloc(random(20) === 0 ? random(100_000) : random(40), i)];
      if (random(4) === 0) {
        k.delete(key);
        list.delete(key.toString('latin1'));
      } else {
        k.put(key, value);
        list.set(key.toString('latin1'), value);
      }
    }
    await k.put('', '');
    list.set('', Buffer.alloc(0));
    const sorted = [...list].map(([key, value]) => [Buffer.from(key, 'latin1'), value]).sort(([a], [b]) => Buffer.compare(a, b));
    for (let i = 0; i < 200; i++) {
      const options = { reverse: random(2) === 1, limit: random(3) === 0 ? random(30) : Infinity };
      let wanted = sorted;
      if (random(4) === 0) {
        options.prefix = some();
        wanted = wanted.filter(([key]) => key.subarray(0, options.prefix.length).equals(options.prefix));
      } else {
        const [low, high] = [some(), some()].sort(Buffer.compare);
        const [start, end] = [[undefined, 'gt', 'gte'][random(3)], [undefined, 'lt', 'lte'][random(3)]];
        if (start) options[start] = low;
        if (end) options[end] = high;
        wanted = wanted.filter(([key]) => {
          const [from, to] = [Buffer.compare(key, low), Buffer.compare(key, high)];
          return !(start && (start === 'gt' ? from <= 0 : from < 0)) && !(end && (end === 'lt' ? to >= 0 : to > 0));
        });
      }
      if (options.reverse) wanted = [...wanted].reverse();
      const within = wanted;
      wanted = wanted.slice(0, options.limit);
      const about = `seed ${seed}, round ${round}, number ${i}`;
      assert.deepEqual([...k.range(options)], wanted, about);
      assert.deepEqual([...k.range({ ...options, values: false })], wanted.map(([key]) => key), about);
      assert.deepEqual([...k.range({ ...options, keys: false })], wanted.map(([, value]) => value), about);
      db.write((tx) => assert.deepEqual([...tx.keyspace('k').range({ ...options, keys: false })], wanted.map(([, value]) => value), about));

      const target = some();
      const range = k.range({ ...options, limit: Infinity });
      for (let skip = random(40); skip > 0; skip--) range.next();
      range.seek(target);
      const order = (key) => Buffer.compare(key, target) * (options.reverse ? -1 : 1);
      assert.deepEqual(range.next().value, within.find(([key]) => order(key) >= 0), about);
      range.close();
    }
    if (round === 0) await db.checkpoint();
  }
  assert.equal(db.stats().snapshots, 0);
  await db.close();
});

test('a range lets go of its snapshot at the end of a loop, early or not, and else when it is closed', async () => {
  const db = open(file());
  const k = db.keyspace('k');
  await k.batch(numbered(1000));
  const held = () => db.stats().snapshots;
  for (const [key] of k.range()) if (String(key) === '000300') break;
  for await (const [key] of k.range({ reverse: true })) if (String(key) === '000300') break;
  for (const _ of k) assert.equal(held(), 1);
  assert.equal(held(), 0);
  let count = 0;
  for await (const key of k.range({ values: false })) {
    // It shows the moment it began.
    if (count++ === 0) await k.delete('000999');
    assert.equal(String(key), String(count - 1).padStart(6, '0'));
  }
  assert.equal(count, 1000);
  assert.throws(() => { for (const _ of k.range()) throw new Error('mine'); }, { message: 'mine' });
  assert.equal(held(), 0);

  const range = k.range({ gte: '000990' });
  assert.ok(range instanceof KeyRange);
  while (!range.next().done);
  assert.deepEqual(range.next(), { value: undefined, done: true });
  assert.equal(held(), 1);
  range.seek('000998');
  assert.equal(String(range.next().value[0]), '000998');
  assert.equal(range.next().done, true);
  range.close();
  range.close();
  assert.equal(held(), 0);
  assert.deepEqual(range.next(), { value: undefined, done: true });
  assert.throws(() => range.seek('a'), { code: 'Closed' });

  // A limit counts what is given in all.
  const limited = k.range({ limit: 3 });
  limited.next();
  limited.seek('000500');
  assert.equal(texts([...limited]), '000500=v500 000501=v501');
  // A loop goes on where somebody has sought to.
  const found = [];
  const jumping = k.range({ values: false });
  for (const key of jumping) {
    found.push(Number(key));
    if (Number(key) < 900) jumping.seek(String(Number(key) + 100).padStart(6, '0'));
    if (Number(key) === 901) break;
  }
  assert.deepEqual(found, [0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 901]);
  const [one, two, three] = [k.range(), k.range(), k.range()];
  one[dispose]();
  await two[asyncDispose]();
  assert.deepEqual(three.return(7), { value: 7, done: true });
  assert.equal(held(), 0);
  await db.close();
});

test('a transaction reads its own keys, in ranges as well, and its keyspaces end with it', async () => {
  const db = open(file());
  const k = db.keyspace('k');
  await k.batch(numbered(100));
  let kept;
  let range;
  db.write((tx) => {
    kept = tx.keyspace('k');
    assert.equal(tx.keyspace('k'), kept);
    range = kept.range({ values: false });
    assert.equal(String(range.next().value), '000000');
    // What lies ahead was read already.
    kept.delete('000001');
    kept.deleteRange({ gte: '000003', lt: '000090' });
    kept.put('000002a', 'new');
    kept.put('000000', 'behind it');
    assert.deepEqual([range.next(), range.next(), range.next()].map(({ value }) => String(value)), ['000002', '000002a', '000090']);
    kept.batch([{ type: 'clear' }, { type: 'put', key: '1', value: 'one' }]);
    assert.equal(String(range.next().value), '1');
    kept.put('2', 'two');
    assert.equal(String(range.next().value), '2');
    assert.equal(range.next().done, true);
    range.seek('');
    kept.put('0', 'zero');
    assert.equal(texts([...kept]), '0=zero 1=one 2=two');
    assert.equal(texts([...kept.range({ reverse: true, limit: 2 })]), '2=two 1=one');
    assert.deepEqual([kept.first()[0], kept.last()[0]].map(String), ['0', '2']);
    assert.deepEqual(kept.getMany(['1', 'x']), [Buffer.from('one'), undefined]);
    assert.equal(kept.contains('2'), true);
    assert.equal(String(k.first()[0]), '000000');
    assert.throws(() => kept.put(Buffer.alloc(65_536), ''), { code: 'KeyTooLarge' });
    assert.throws(() => k.putSync('a', ''), { code: 'NestedTransaction' });
    assert.throws(() => db.dropKeyspaceSync('k'), { code: 'NestedTransaction' });
    k.put('promised', '').then(() => assert.fail(), (error) => assert.equal(error.code, 'NestedTransaction'));
    tx.renameKeyspace('k', 'l');
    assert.equal(tx.dropKeyspace('none'), false);
    assert.equal([...kept].length, 0);
    assert.equal([...tx.keyspace('l')].length, 3);
  });
  assert.deepEqual(db.keyspaceNames(), ['l']);
  for (const call of [() => kept.get('1'), () => kept.put('1', ''), () => kept.range(), () => kept.first(), () => kept.clear(), () => range.next(),
    () => range.seek('1'), () => kept.getMany(['1']), () => kept.contains('1')]) {
    assert.throws(call, { code: 'Closed' }, String(call));
  }
  range.close();
  const mine = new Error('mine');
  assert.throws(() => db.write((tx) => {
    tx.keyspace('l').clear();
    tx.dropKeyspace('l');
    throw mine;
  }), (error) => error === mine);
  assert.equal(texts([...db.keyspace('l')]), '0=zero 1=one 2=two');
  await db.close();
});

test('a snapshot has the keyspaces of its moment', async () => {
  const db = open(file());
  const k = db.keyspace('k');
  await k.batch(numbered(1000));
  const snapshot = db.snapshot();
  await k.clear();
  await db.renameKeyspace('k', 'l');
  await db.checkpoint();
  const old = snapshot.keyspace('k');
  assert.equal(snapshot.keyspace('k'), old);
  assert.deepEqual(snapshot.keyspaceNames(), ['k']);
  assert.equal([...old].length, 1000);
  assert.ok(old.estimatedCount() >= 1000);
  assert.equal(old.put, undefined);
  const range = old.range();
  range.next();
  snapshot.close();
  for (const call of [() => old.get('a'), () => old.range(), () => old.first(), () => snapshot.keyspace('k'), () => snapshot.keyspaceNames()]) {
    assert.throws(call, { code: 'Closed' });
  }
  // Ranges go on, as scans do.
  assert.equal([...range].length, 999);
  assert.equal(db.stats().snapshots, 0);
  await db.close();
});

test('a range reads a batch at a time, and a small one first', () => {
  const db = open(':memory:');
  const k = db.keyspace('k');
  k.batchSync(numbered(10_000));
  const native = require('../lib/native.cjs');
  const { kvFill } = native;
  const filled = [];
  native.kvFill = (...args) => {
    const count = kvFill(...args);
    filled.push(count);
    return count;
  };
  try {
    for (const [key] of k.range()) if (String(key) === '000003') break;
    assert.deepEqual(filled.splice(0), [16]);
    assert.equal([...k.range()].length, 10_000);
    assert.ok(Math.max(...filled) <= 256 && filled.length < 60, `${filled}`);
    filled.length = 0;
    k.first();
    assert.deepEqual(filled.splice(0), [1]);
    assert.equal([...k.range({ limit: 10 })].length, 10);
    assert.deepEqual(filled, [10]);
  } finally {
    native.kvFill = kvFill;
  }
  db.closeSync();
});

test('a range that lives too long is ended, as a snapshot is', async () => {
  const db = open(file(), { snapshotMaxAgeMs: 100 });
  const k = db.keyspace('k');
  await k.batch(numbered(1000));
  const range = k.range();
  range.next();
  for (let i = 0; i < 200 && db.stats().snapshotsEnded === 0; i++) await new Promise((done) => setTimeout(done, 50));
  assert.throws(() => { while (!range.next().done); }, { code: 'SnapshotTooOld' });
  assert.throws(() => range.next(), { code: 'SnapshotTooOld' });
  assert.equal([...k.range()].length, 1000);
  await db.close();
});

test('after close every call is the error Closed', async () => {
  const db = open(file());
  const k = db.keyspace('k');
  await k.batch(numbered(300));
  const [range, snapshot] = [k.range(), db.snapshot()];
  const old = snapshot.keyspace('k');
  range.next();
  await db.close();
  const calls = {
    get: () => k.get('a'), getMany: () => k.getMany(['a']), contains: () => k.contains('a'), count: () => k.estimatedCount(), range: () => k.range(),
    first: () => k.first(), put: () => k.putSync('a', ''), delete: () => k.deleteSync('a'), deleteRange: () => k.deleteRangeSync({ lt: 'a' }),
    clear: () => k.clearSync(), batch: () => k.batchSync([]), keyspace: () => db.keyspace('k'), names: () => db.keyspaceNames(),
    drop: () => db.dropKeyspaceSync('k'), rename: () => db.renameKeyspaceSync('k', 'l'), stats: () => db.keyspaceStatsSync(),
    next: () => range.next(), again: () => range.next(), seek: () => range.seek('a'), old: () => old.get('a'), oldRange: () => old.range(),
    of: () => snapshot.keyspace('k'), oldNames: () => snapshot.keyspaceNames(),
  };
  for (const [name, call] of Object.entries(calls)) assert.throws(call, { code: 'Closed' }, name);
  const promises = [k.put('a', ''), k.delete('a'), k.deleteRange({ lt: 'a' }), k.clear(), k.batch([]), db.dropKeyspace('k'), db.renameKeyspace('k', 'l'),
    db.keyspaceStats()];
  for (const { reason } of await Promise.allSettled(promises)) assert.equal(reason?.code, 'Closed');
  range.close();
  snapshot.close();
});

test('what JavaScript forgets is let go', needsGc, async () => {
  const db = open(file());
  db.keyspace('k').batchSync(numbered(1000));
  for (let i = 0; i < 2000; i++) {
    db.keyspace('k').range().next();
    db.snapshot().keyspace('k').get('000001');
    db.write((tx) => tx.keyspace('k').range().next());
  }
  for (let i = 0; i < 20 && db.stats().snapshots > 0; i++) {
    globalThis.gc();
    await new Promise((done) => setTimeout(done, 10));
  }
  assert.equal(db.stats().snapshots, 0);
  // A promised write keeps its keyspace.
  const promises = [];
  for (let i = 0; i < 1500; i++) promises.push(db.keyspace(`k${i}`).put('in', `k${i}`));
  globalThis.gc();
  await Promise.all(promises);
  for (let i = 0; i < 1500; i++) assert.equal(db.keyspace(`k${i}`).get('in').toString(), `k${i}`);
  await db.close();
});

test('what was given stays as it is, whatever is read and written afterwards', async () => {
  const db = open(':memory:');
  const k = db.keyspace('k');
  const value = (i) => `${i}:`.padEnd(i % 97, 'x');
  k.batchSync(Array.from({ length: 5000 }, (_, i) => ({ type: 'put', key: `k${i}`, value: value(i) })));
  const kept = new Map();
  for (let i = 0; i < 5000; i++) kept.set(i, k.get(`k${i}`));
  for (const [key, given] of k.range()) {
    assert.equal(given.toString(), value(Number(key.subarray(1))));
    kept.set(`range ${key}`, given);
  }
  const many = k.getMany(Array.from({ length: 5000 }, (_, i) => `k${i}`));
  for (const [at, given] of many.entries()) assert.equal(given.toString(), kept.get(at).toString());
  for (let i = 0; i < 5000; i++) assert.equal(kept.get(i).toString(), value(i));
  for (const [name, given] of kept) if (typeof name === 'string') assert.equal(given.toString(), value(Number(name.slice(7))));

  // Values as keys, from the memory that others go into.
  k.putSync('name', 'other');
  k.putSync(k.get('name'), 'found');
  assert.equal(k.get(k.get('name')).toString(), 'found');
  const { buffer } = k.get('name');
  for (let i = 0; i < 3; i++) assert.throws(() => k.get(new Uint8Array(buffer)) ?? { code: 'none' }, (error) => ['none', 'KeyTooLarge'].includes(error.code));
  // Memory that others may have, too.
  const shared = new Uint8Array(new SharedArrayBuffer(4));
  shared.set(Buffer.from('name'));
  assert.equal(k.get(shared).toString(), 'other');
  k.putSync(shared, shared);
  assert.equal(k.get('name').toString(), 'name');

  const { port1 } = new MessageChannel();
  const ways = [(given) => port1.postMessage(given, [given.buffer]), (given) => structuredClone(given, { transfer: [given.buffer] }), (given) => given.buffer.transfer?.()];
  for (const way of ways) {
    try {
      way(k.get('name'));
    } catch (error) {
      assert.ok(['DataCloneError', 'TypeError'].includes(error.name), error);
    }
    assert.equal(k.get('name').toString(), 'name');
    assert.equal([...k.range({ prefix: 'k1' })].length, 1111);
    assert.equal(k.getMany(['name', 'k7'])[1].toString(), value(7));
  }
  port1.close();
  // Whoever forges lengths gets the bytes that are there.
  for (const length of [1, 100, -1]) {
    const forged = Object.defineProperty(new Uint8Array([1, 2, 3]), 'length', { value: length });
    k.putSync(forged, forged);
    assert.deepEqual(k.getMany([forged, new Uint8Array([1, 2, 3])]), [Buffer.from([1, 2, 3]), Buffer.from([1, 2, 3])]);
  }
  db.closeSync();
});

test('limits: long keys, large values, many of them', { timeout: 120_000 }, async () => {
  const db = open(file(), { durability: 'manual' });
  const k = db.keyspace('k');
  const long = 'k'.repeat(65_535);
  await k.put(long, 'long');
  assert.equal(k.get(long).toString(), 'long');
  assert.equal(k.get(Buffer.from(long)).toString(), 'long');
  const wide = '\u{1f600}'.repeat(16_383);
  k.putSync(wide, wide);
  assert.equal(k.get(wide).toString(), wide);
  for (const length of [240, 250, 251, 252, 253, 254, 255, 256, 257, 300]) {
    for (const text of ['a'.repeat(length), 'é'.repeat(length), 'a'.repeat(length - 1) + '\u{1f600}', 'a'.repeat(length) + '\ufffd']) {
      k.putSync(text, String(length));
      assert.equal(k.get(text).toString(), String(length), text);
      assert.equal(k.contains(Buffer.from(text)), true);
      assert.throws(() => k.get(`${text}\udc00`), { code: 'Serialization' });
    }
  }
  for (const key of ['k'.repeat(65_536), Buffer.alloc(65_536), '\u{1f600}'.repeat(16_384), Buffer.alloc(40 << 20)]) {
    for (const call of [() => k.get(key), () => k.contains(key), () => k.putSync(key, ''), () => k.deleteSync(key), () => k.getMany([key]),
      () => k.range({ gt: key }), () => k.deleteRangeSync({ prefix: key }), () => k.range().seek(key)]) {
      assert.throws(call, { code: 'KeyTooLarge' }, `${call}`);
    }
  }
  const large = Buffer.alloc(16 << 20, 'l');
  k.putSync('large', large);
  assert.ok(k.get('large').equals(large));
  assert.ok(k.getMany(['large', 'x', long])[0].equals(large));
  assert.ok([...k.range({ gte: 'large', limit: 1 })][0][1].equals(large));
  for (const value of [Buffer.alloc((16 << 20) + 1), 'x'.repeat((16 << 20) + 1), Buffer.alloc(40 << 20)]) {
    assert.throws(() => k.putSync('large', value), { code: 'ValueTooLarge' });
    await assert.rejects(k.put('large', value), { code: 'ValueTooLarge' });
  }
  // More than a transaction holds: a turn is several commits, a batch is refused.
  await k.clear();
  const values = Array.from({ length: 20 }, (_, i) => Buffer.alloc(8 << 20, i));
  await Promise.all(values.map((value, i) => k.put(`large ${i}`, value)));
  for (const [i, value] of values.entries()) assert.ok(k.get(`large ${i}`).equals(value));
  const changes = values.map((value, i) => ({ type: 'put', key: `batch ${i}`, value }));
  const results = await Promise.allSettled([k.put('a', 'a'), k.batch(changes), k.put('b', 'b')]);
  assert.deepEqual(results.map(({ reason }) => reason?.code), [undefined, 'TransactionTooLarge', undefined]);
  assert.throws(() => k.batchSync(changes), { code: 'TransactionTooLarge' });
  assert.deepEqual([...k.range({ lt: 'c' })].map(String), ['a,a', 'b,b']);
  await db.close();
});

test('what is no key, no value, no change and no option is an argument error', async () => {
  const db = open(':memory:');
  const k = db.keyspace('k');
  const wrong = { code: 'InvalidArgument' };
  for (const key of [undefined, null, 5, 5n, true, {}, ['a'], Symbol('x'), new Uint16Array(1), new ArrayBuffer(1), new Date()]) {
    for (const call of [() => k.get(key), () => k.contains(key), () => k.putSync(key, ''), () => k.putSync('a', key), () => k.deleteSync(key),
      () => k.getMany([key]), () => k.range().seek(key), () => k.batchSync([{ type: 'put', key: 'a', value: key }])]) {
      assert.throws(call, wrong, `${call} ${String(key)}`);
    }
    await assert.rejects(k.put(key, ''), wrong);
    if (key !== undefined) assert.throws(() => k.range({ gt: key }), wrong);
    if (key !== undefined) assert.throws(() => k.range({ prefix: key }), wrong);
  }
  for (const options of [null, 5, 'a', { greater: 'a' }, { gt: 'a', gte: 'a' }, { lt: 'a', lte: 'a' }, { prefix: 'a', lt: 'b' }, { limit: -1 },
    { limit: 1.5 }, { limit: '1' }, { reverse: 1 }, { keys: 0 }, { keys: false, values: false }, { gte: 'b', lt: 'a' }]) {
    assert.throws(() => k.range(options), wrong, JSON.stringify(options));
  }
  for (const bounds of [undefined, null, {}, { gt: undefined }, { limit: 1 }, { gte: 'b', lt: 'a' }]) {
    assert.throws(() => k.deleteRangeSync(bounds), wrong);
    await assert.rejects(k.deleteRange(bounds), wrong);
  }
  for (const changes of [undefined, null, 5, [5], [null], [{}], [{ type: 'delete', key: 'a' }], [{ type: 'put', key: 'a' }], [{ type: 'deleteRange' }], 'ab']) {
    assert.throws(() => k.batchSync(changes), wrong);
    await assert.rejects(k.batch(changes), wrong);
  }
  for (const keys of [undefined, 5, 'ab']) assert.throws(() => k.getMany(keys), wrong);
  for (const name of [undefined, null, 5, {}, Symbol('x')]) assert.throws(() => db.keyspace(name), wrong);
  await assert.rejects(db.renameKeyspace('a'), wrong);
  for (const name of ['', 'a$b', 'system.x', 'a\0b', 'x'.repeat(256)]) {
    assert.throws(() => db.keyspace(name).putSync('a', ''), { code: 'InvalidName' });
    await assert.rejects(db.keyspace(name).put('a', ''), { code: 'InvalidName' });
  }
  // A change that is read in the middle of a batch and calls the database: refused, and nothing is made.
  const meddling = { type: 'put', key: 'a', get value() { k.put('b', ''); return 'x'; } };
  await k.batch([meddling]);
  assert.equal(texts([...k]), 'a=x b=');
  db.closeSync();
});

test('workers share a keyspace', async () => {
  const name = file();
  const db = open(name);
  const code = `
    const { workerData, parentPort } = require('node:worker_threads');
    const db = require(${JSON.stringify(path.join(__dirname, '../lib/index.cjs'))}).open(workerData.name);
    const k = db.keyspace('k');
    (async () => {
      for (let i = 0; i < 50; i++) await k.put(workerData.number + '-' + i, String(i));
      let own = 0;
      for (const [key] of k.range({ prefix: workerData.number + '-' })) own++;
      parentPort.postMessage(own);
      // Not closed, and a range is open: both end with the worker.
      k.range().next();
    })();`;
  const workers = Array.from({ length: 4 }, (_, number) => new Worker(code, { eval: true, workerData: { name, number } }));
  const said = await Promise.all(workers.map(async (worker) => {
    const [[message], [status]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
    return [message, status];
  }));
  assert.deepEqual(said, [[50, 0], [50, 0], [50, 0], [50, 0]]);
  assert.equal([...db.keyspace('k')].length, 200);
  assert.equal(db.stats().snapshots, 0);
  await db.close();
});
