'use strict';
// A keyspace is a database of abstract-level: the suite that the interface is published with says so.

const test = require('node:test');
const assert = require('node:assert/strict');
const tape = require('tape');
const suite = require('abstract-level/test');
const { NyroLevel } = require('../lib/level.cjs');
const { open } = require('../lib/index.cjs');
const { file } = require('./support/files.cjs');

/** What must be declared: the suite leaves out tests of what is not. */
const SUPPORTED = ['permanence', 'seek', 'implicitSnapshots', 'explicitSnapshots', 'getSync', 'has', 'createIfMissing', 'errorIfExists'];
/** Fewer assertions than these mean that a part of the suite was left out. */
const FEWEST = 5000;

test('the suite of abstract-level', { timeout: 600_000 }, async (t) => {
  const harness = tape.createHarness();
  const failed = [];
  let ran = 0;
  let left = 0;
  let name = '';
  const ended = new Promise((resolve, reject) => {
    const rows = harness.createStream({ objectMode: true });
    rows.on('data', (row) => {
      if (row.type === 'test') name = row.name;
      if (row.type !== 'assert') return;
      ran++;
      if (row.skip || row.todo) left++;
      else if (!row.ok) failed.push(`${name}: ${row.name}: wanted ${String(row.expected)}, got ${String(row.actual)} ${row.error?.stack ?? ''}`);
    });
    rows.on('end', resolve);
    rows.on('error', reject);
  });
  suite({ test: harness, factory: (options) => new NyroLevel(file(), options) });
  await ended;
  t.diagnostic(`abstract-level: ${ran} assertions, ${failed.length} failed, ${left} left out`);
  assert.deepEqual(failed, []);
  assert.ok(ran >= FEWEST, `${ran} assertions`);
});

test('what the suite is asked to try is declared, and is so', async () => {
  const level = new NyroLevel(file());
  for (const name of SUPPORTED) assert.equal(level.supports[name], true, name);
  assert.equal(level.supports.signals.iterators, true);
  for (const name of ['utf8', 'buffer', 'view', 'json', 'hex', 'base64']) assert.equal(level.supports.encodings[name], true, name);
  await level.close();
  const memory = new NyroLevel(':memory:');
  assert.equal(memory.supports.permanence, false);
  await memory.put('a', 'b');
  assert.equal(memory.getSync('a'), 'b');
  await memory.close();
});

test('keyspaces, collections and sublevels are in one file, and are there when it is opened again', async () => {
  const name = file();
  const [one, two] = [new NyroLevel(name), new NyroLevel(name, { keyspace: 'other', valueEncoding: 'json' })];
  await Promise.all([one.put('a', '1'), two.put('a', { x: 1 }), two.sublevel('s').put('b', '2')]);
  const db = open(name);
  await db.collection('c').put({ _id: 1 });
  assert.deepEqual(db.keyspaceNames(), ['level', 'other']);
  assert.equal(String(db.keyspace('level').get('a')), '1');
  assert.deepEqual([one.location, one.keyspace, two.keyspace], [name, 'level', 'other']);
  await Promise.all([one.close(), two.close()]);
  await db.close();
  await two.open();
  assert.deepEqual(await two.get('a'), { x: 1 });
  assert.equal(await two.sublevel('s').get('b'), '2');
  assert.equal(two.getSync('z'), undefined);
  await two.close();
});

test('options of NyroDB reach it, wrong ones are refused, and errors are those of NyroDB', async () => {
  const level = new NyroLevel(file(), { durability: 'manual', maxDocumentBytes: 1000 });
  await assert.rejects(level.put('a', 'x'.repeat(1001)), { code: 'ValueTooLarge' });
  await assert.rejects(level.put('x'.repeat(65_536), ''), { code: 'KeyTooLarge' });
  await assert.rejects(level.batch([{ type: 'put', key: 'b', value: '' }, { type: 'put', key: 'c', value: 'x'.repeat(1001) }]), { code: 'ValueTooLarge' });
  assert.deepEqual(await level.keys().all(), []);
  await level.close();
  const wrong = new NyroLevel(file(), { durability: 'never' });
  await assert.rejects(wrong.open(), ({ code, cause }) => code === 'LEVEL_DATABASE_NOT_OPEN' && cause.code === 'InvalidArgument');
  const bad = new NyroLevel(file(), { keyspace: 'a$b' });
  await assert.rejects(bad.put('a', 'b'), { code: 'InvalidName' });
  await bad.close();
  for (const location of [undefined, null, '', 5]) assert.throws(() => new NyroLevel(location), TypeError);
  assert.throws(() => new NyroLevel(file(), { keyspace: 5 }), TypeError);
  const readOnly = new NyroLevel(level.location, { readOnly: true, createIfMissing: false });
  await assert.rejects(readOnly.put('a', 'b'), { code: 'ReadOnly' });
  await readOnly.close();
});

test('long iterators are read by the batch, in every encoding and both directions', async () => {
  const level = new NyroLevel(file(), { durability: 'manual' });
  const keys = Array.from({ length: 5000 }, (_, i) => String(i).padStart(5, '0'));
  const value = (key) => `${key}-`.padEnd(Number(key) % 200, 'ü');
  await level.batch(keys.map((key) => ({ type: 'put', key, value: value(key) })));
  for (const valueEncoding of ['utf8', 'buffer', 'view']) {
    for (const reverse of [false, true]) {
      const wanted = reverse ? [...keys].reverse() : keys;
      const found = [];
      for await (const [key, given] of level.iterator({ reverse, valueEncoding, keyEncoding: valueEncoding })) {
        assert.equal(String(Buffer.from(given)), value(String(Buffer.from(key))));
        found.push(String(Buffer.from(key)));
      }
      assert.deepEqual(found, wanted);
      const iterator = level.iterator({ reverse });
      await iterator.next();
      assert.equal((await iterator.nextv(3000)).length, 0 + 3000);
      assert.equal((await iterator.all()).length, 1999);
    }
  }
  const values = await level.values({ gte: '00100', limit: 4000 }).all();
  assert.deepEqual(values, keys.slice(100, 4100).map(value));
  // The snapshots of iterators end with them.
  const db = open(level.location, { durability: 'manual' });
  assert.equal(db.stats().snapshots, 0);
  const early = level.iterator();
  await early.next();
  assert.equal(db.stats().snapshots, 1);
  await early.close();
  assert.equal(db.stats().snapshots, 0);
  await db.close();
  await level.close();
});

test('what was read as text leaves no memory behind that later values would keep', async () => {
  const level = new NyroLevel(':memory:');
  await level.batch([{ type: 'put', key: 'large', value: 'x'.repeat(8 << 20) }, { type: 'put', key: 'small', value: 'y' }]);
  const small = async () => assert.ok((await level.get('small', { valueEncoding: 'buffer' })).buffer.byteLength <= 65_536);
  assert.equal(level.getSync('large').length, 8 << 20);
  await small();
  assert.equal((await level.getMany(['large', 'small']))[0].length, 8 << 20);
  await small();
  assert.equal((await level.values().all())[0].length, 8 << 20);
  await small();
  await level.close();
});

test('clear of a part, of a few, and of what a snapshot has', async () => {
  const level = new NyroLevel(file(), { durability: 'manual' });
  const keys = Array.from({ length: 1000 }, (_, i) => String(i).padStart(4, '0'));
  await level.batch(keys.map((key) => ({ type: 'put', key, value: key })));
  await level.clear({ gte: '0100', lt: '0200' });
  await level.clear({ lt: '0100', limit: 99 });
  await level.clear({ reverse: true, limit: 300 });
  await level.clear({ gt: '5', lt: '4' });
  assert.deepEqual(await level.keys().all(), ['0099', ...keys.slice(200, 700)]);
  const snapshot = level.snapshot();
  await level.put('0250a', '');
  await level.clear({ snapshot, gte: '0200' });
  assert.deepEqual(await level.keys().all(), ['0099', '0250a']);
  assert.equal((await level.keys({ snapshot }).all()).length, 501);
  assert.equal(await level.get('0300', { snapshot }), '0300');

  const other = new NyroLevel(file());
  await other.open();
  await assert.rejects(other.get('a', { snapshot }), { code: 'InvalidArgument' });
  assert.throws(() => other.iterator({ snapshot }), { code: 'InvalidArgument' });
  await Promise.all([other.close(), level.close()]);
});

test('an iterator and a signal that is raised in between', async () => {
  const level = new NyroLevel(':memory:');
  await level.batch(['a', 'b', 'c'].map((key) => ({ type: 'put', key, value: key })));
  const controller = new AbortController();
  const iterator = level.iterator({ signal: controller.signal });
  assert.deepEqual(await iterator.next(), ['a', 'a']);
  controller.abort();
  await assert.rejects(iterator.next(), { name: 'AbortError', code: 'LEVEL_ABORTED' });
  await iterator.close();
  await level.close();
});
