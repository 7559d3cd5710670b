'use strict';
// Documents of every type go in and come out the same. The whole file runs a second time where code can't be compiled
// from strings.

const test = require('node:test');
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const vm = require('node:vm');
const { open, Ext, InvalidDocumentError } = require('../lib/index.cjs');
const { canCompile } = require('../lib/decode.cjs');
const { seeded } = require('./support/files.cjs');

const FLAG = '--disallow-code-generation-from-strings';
const db = open(':memory:');
const collection = db.collection('documents');

/** Stores and reads often enough that shapes are learned, compiled, and used compiled. */
function same(document, expected = document) {
  collection.putSync({ ...document, _id: 1 });
  const wanted = { _id: 1, ...expected };
  for (let i = 0; i < 12; i++) assert.deepEqual(collection.get(1), wanted);
  for (const found of collection.scan()) if (found._id === 1) assert.deepEqual(found, wanted);
  assert.deepEqual(collection.getMany([1]), [wanted]);
}

const refused = (code) => (error) => {
  assert.ok(error instanceof InvalidDocumentError, String(error.stack));
  assert.equal(error.code, code);
  return true;
};

test('every type comes back as it was', () => {
  same({
    null: null, yes: true, no: false, text: 'Ada', empty: '', list: [1, 'two', [3], { four: 4 }, null, true, 1.5], none: [],
    map: { a: { b: { c: 1 } } }, nothing: {}, date: new Date(1e12 + 7), early: new Date(-1), bytes: new Uint8Array([0, 255, 7]),
    no_bytes: new Uint8Array(0), ext: new Ext(5, new Uint8Array([1, 2, 3])), half: 0.5,
  });
});

test('integers are exact from -2^63 to 2^64-1: numbers to 2^53, BigInts beyond', () => {
  const safe = [0, 1, -1, 127, 128, 255, 256, 65535, 65536, 2 ** 28 - 1, 2 ** 28, -(2 ** 28), -(2 ** 28) - 1, 2 ** 31 - 1,
    2 ** 31, 2 ** 32, -(2 ** 31), -(2 ** 31) - 1, 2 ** 53 - 1, -(2 ** 53 - 1), -32, -33, -128, -129, -32768, -32769];
  for (const value of safe) same({ value });
  for (const value of safe) same({ value: BigInt(value) }, { value });
  for (const value of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n), 2n ** 63n, 2n ** 64n - 1n]) same({ value });
  for (const value of [2n ** 64n, -(2n ** 63n) - 1n]) {
    assert.throws(() => collection.putSync({ value }), (e) => refused('Serialization')(e) && /at value/.test(e.message));
  }
});

test('floats stay floats where an integer would lie', () => {
  for (const value of [-0, NaN, Infinity, -Infinity, 1.5, 2 ** 53, 1e300, 5e-324, Number.MAX_VALUE]) same({ value });
  collection.putSync({ _id: 1, zero: -0 });
  assert.ok(Object.is(collection.get(1).zero, -0));
  // 0x81 a1 "v" cb: an integral float that another language stored is the same number here.
  collection.putRawSync(Buffer.from('82a35f696402a176cb3ff0000000000000', 'hex'));
  assert.deepEqual(collection.get(2), { _id: 2, v: 1 });
  collection.putRawSync(Buffer.from('82a35f696402a176ca3fc00000', 'hex'));
  assert.deepEqual(collection.get(2), { _id: 2, v: 1.5 });
  // What is stored of 2^53 is a float: whoever wrote it did not mean an integer more exact than it is.
  collection.putSync({ _id: 2, v: 2 ** 53 });
  assert.equal(Buffer.from(collection.getRaw(2)).toString('hex'), '82a35f696402a176cb4340000000000000');
});

test('text of every kind', () => {
  for (const text of ['é', 'ÿ', 'Ā', '日本語', '😀', 'a😀b', '\0', '\u2028', 'x'.repeat(31), 'x'.repeat(32), 'ü'.repeat(300),
    'x'.repeat(70000), '語'.repeat(70000), '\ufffd', '\uffff']) {
    same({ text, after: 'plain', list: [text, 'x'] });
    same({ [text]: text });
  }
});

test('half of a surrogate pair is refused, wherever it stands', () => {
  for (const document of [{ a: '\ud800' }, { a: ['x\udc00y'] }, { '\ud800': 1 }, { a: { b: '\ud83dx' } }]) {
    assert.throws(() => collection.putSync(document), refused('Serialization'));
  }
  assert.throws(() => collection.get('\ud800'), refused('InvalidId'));
  assert.throws(() => collection.deleteSync('\ud800'), refused('InvalidId'));
});

test('names of Object.prototype are names like others, and nothing is polluted', () => {
  const document = JSON.parse('{"__proto__": {"polluted": 1}, "constructor": 2, "toString": "x", "hasOwnProperty": null}');
  for (let i = 0; i < 12; i++) {
    collection.putSync({ _id: 1, document });
    const found = collection.get(1).document;
    assert.equal(Object.getPrototypeOf(found), Object.prototype);
    assert.deepEqual(Object.keys(found), Object.keys(document));
    assert.deepEqual(Object.getOwnPropertyDescriptor(found, '__proto__').value, { polluted: 1 });
  }
  assert.equal({}.polluted, undefined);
  // Also as the keys of a map that is no shape.
  const wide = JSON.parse(`{"__proto__": 5, ${Array.from({ length: 300 }, (_, i) => `"k${i}": 1`).join()}}`);
  collection.putSync({ _id: 1, wide });
  assert.equal(Object.getPrototypeOf(collection.get(1).wide), Object.prototype);
  assert.equal(Object.keys(collection.get(1).wide).length, 301);
});

test('what others put on Object.prototype is not stored, and does not disturb', () => {
  Object.defineProperty(Object.prototype, 'intruder', { value: 1, enumerable: true, configurable: true });
  Object.defineProperty(Object.prototype, 'trap', { set() { throw new Error('set'); }, configurable: true });
  try {
    collection.putSync({ _id: 1, a: { b: 1 }, trap: 2 });
    assert.deepEqual(Object.keys(collection.get(1)), ['_id', 'a', 'trap']);
    assert.equal(collection.get(1).trap, 2);
  } finally {
    delete Object.prototype.intruder;
    delete Object.prototype.trap;
  }
});

test('undefined is left out of objects and is null in arrays', () => {
  same({ a: undefined, b: 1 }, { b: 1 });
  same({ list: [undefined, , 3] }, { list: [null, null, 3] });
});

test('what JSON or a clone would lose is refused, with its place', () => {
  class Point { x = 1; }
  const cases = [() => 1, Symbol('x'), new Point(), new Map(), new Set(), new Date(NaN), /x/, Promise.resolve(), new WeakMap(),
    new Float64Array(1), new ArrayBuffer(1), new Error('x'), new (class extends Array {})() && new Number(5)];
  for (const value of cases) {
    assert.throws(() => collection.putSync({ user: { tags: [1, value] } }), (error) => {
      refused('Serialization')(error);
      assert.match(error.message, /at user\.tags\[1\]/);
      return true;
    });
  }
  // Not even by a toJSON: what is read would be another thing than what was stored.
  assert.throws(() => collection.putSync({ a: { __proto__: { toJSON: () => 1 } } }), refused('Serialization'));
});

test('plain objects without a prototype or of another realm are plain objects', () => {
  same({ a: Object.assign(Object.create(null), { x: 1 }) }, { a: { x: 1 } });
  same({ a: vm.runInNewContext('({x: 1, list: [1], when: new Date(5), bytes: new Uint8Array(2)})') },
    { a: { x: 1, list: [1], when: new Date(5), bytes: new Uint8Array(2) } });
  assert.throws(() => collection.putSync({ a: vm.runInNewContext('new (class X {})()') }), refused('Serialization'));
});

test('getters and proxies are read once, and may not call the database meanwhile', () => {
  let reads = 0;
  same({ a: 1, get b() { reads++; return 2; } }, { a: 1, b: 2 });
  assert.ok(reads >= 1);
  same({ p: new Proxy({ x: 1 }, {}) }, { p: { x: 1 } });
  const thrown = new Error('mine');
  assert.throws(() => collection.putSync({ get x() { throw thrown; } }), (error) => error === thrown);
  assert.throws(() => collection.putSync({ get x() { return collection.putSync({ y: 1 }); } }), /a getter of a document/);
  assert.throws(() => collection.putSync({ get x() { return collection.getMany([1]); } }), /a getter of a document/);
  same({ get x() { collection.get(1); return 1; } }, { x: 1 });
});

test('100 levels are the limit, and a cycle is an error', () => {
  const nest = (levels) => (levels === 0 ? null : { n: nest(levels - 1) });
  const list = (levels) => (levels === 0 ? 1 : [list(levels - 1)]);
  same(nest(100));
  same({ l: list(99) });
  assert.throws(() => collection.putSync(nest(101)), refused('DocumentTooDeep'));
  assert.throws(() => collection.putSync({ l: list(100) }), refused('DocumentTooDeep'));
  const cycle = { a: 1 };
  cycle.self = cycle;
  assert.throws(() => collection.putSync(cycle), refused('DocumentTooDeep'));
  const ring = [];
  ring.push(ring);
  assert.throws(() => collection.putSync({ ring }), refused('DocumentTooDeep'));
  let wide = { x: 1 };
  for (let i = 0; i < 60; i++) wide = { a: wide, b: wide };
  assert.throws(() => collection.putSync(wide), refused('DocumentTooLarge'));
});

test('large documents, and large ones among small ones', () => {
  const many = (count) => Array.from({ length: count }, (_, i) => i);
  same({ list: many(200_000) });
  same({ floats: many(100_000).map((i) => i + 0.5) });
  same({ text: 'x'.repeat(3_000_000) });
  same({ bytes: new Uint8Array(3_000_000).fill(7) });
  same({ words: many(50_000).map((i) => `word ${i}`) });
  same(Object.fromEntries(many(5000).map((i) => [`key${i}`, i])));
  assert.throws(() => collection.putSync({ text: 'x'.repeat(17 << 20) }), refused('DocumentTooLarge'));
  assert.throws(() => collection.putSync({ bytes: new Uint8Array(40 << 20) }), refused('DocumentTooLarge'));
  const mixed = db.collection('mixed');
  const documents = many(300).map((i) => ({ _id: i, text: 'y'.repeat(i % 50 === 49 ? 1_500_000 : 10) }));
  mixed.insertManySync(documents);
  assert.deepEqual([...mixed.scan()], documents);
  assert.deepEqual(mixed.getMany(many(300)), documents);
  db.dropCollectionSync('mixed');
});

test('a document is an object', () => {
  for (const document of [null, undefined, 1, 'x', [], new Date(), new Uint8Array(1), true, () => 1]) {
    assert.throws(() => collection.putSync(document), refused('MalformedDocument'));
  }
});

test('dates keep milliseconds; what a Date can\'t hold is an Ext', () => {
  for (const time of [0, 1, 999, 1000, -1, -1000, 2 ** 32 * 1000, 2 ** 34 * 1000, 8.64e15, -8.64e15]) same({ d: new Date(time) });
  const put = (hex) => collection.putRawSync(Buffer.from(`82a35f696401a164${hex}`, 'hex'));
  // 1 s and 1 999 999 ns: the nanoseconds below a millisecond are cut off.
  put('d7ff007a11fc00000001');
  assert.deepEqual(collection.get(1).d, new Date(1001));
  put(`c70cff${'00000000'}${'7fffffffffffffff'}`);
  assert.equal(collection.get(1).d.code, -1);
  assert.equal(collection.get(1).d.bytes.length, 12);
  same({ d: new Ext(-1, Buffer.from('0000000000ffffffffffffff', 'hex').subarray(0, 12)) },
    { d: new Ext(-1, new Uint8Array(Buffer.from('0000000000ffffffffffffff', 'hex'))) });
});

test('extensions: a code that is reserved is refused, and so is a wrong timestamp', () => {
  same({ e: new Ext(-128, new Uint8Array(16)) });
  same({ e: new Ext(127, new Uint8Array(300)) });
  assert.throws(() => collection.putSync({ e: new Ext(50, new Uint8Array(1)) }), refused('MalformedDocument'));
  assert.throws(() => collection.putSync({ e: new Ext(-1, new Uint8Array(3)) }), refused('MalformedDocument'));
  assert.throws(() => new Ext(128, new Uint8Array(1)), RangeError);
});

test('a Buffer is bytes, and comes back as a Uint8Array of its own', () => {
  collection.putSync({ _id: 1, b: Buffer.from([1, 2, 3]) });
  const { b } = collection.get(1);
  assert.equal(Object.getPrototypeOf(b), Uint8Array.prototype);
  assert.equal(b.buffer.byteLength, 3);
  b[0] = 9;
  assert.deepEqual(collection.get(1).b, new Uint8Array([1, 2, 3]));
});

test('raw bytes are those that are stored, and belong to the caller', () => {
  collection.putRawSync(Buffer.from('82a178c3a35f696405', 'hex'));
  const raw = collection.getRaw(5);
  assert.equal(Buffer.from(raw).toString('hex'), '82a35f696405a178c3');
  raw.fill(0);
  assert.deepEqual(collection.get(5), { _id: 5, x: true });
  const kept = Array.from({ length: 2000 }, () => collection.getRaw(5));
  assert.ok(kept.every((bytes) => Buffer.from(bytes).toString('hex') === '82a35f696405a178c3'));
  assert.equal(collection.getRaw(12345), undefined);
  assert.throws(() => collection.putRawSync(new Uint8Array([0xc1])), refused('MalformedDocument'));
  assert.throws(() => collection.putRawSync('x'), /Uint8Array/);
});

test('random documents of all types', () => {
  const seed = Number(process.env.NYRO_SEED ?? Date.now() % 1e9);
  const random = seeded(seed);
  const keys = Array.from({ length: 40 }, (_, i) => `k${i}${'é'.repeat(i % 3)}`);
  const value = (depth) => {
    switch (random(depth > 4 ? 10 : 13)) {
      case 0: return null;
      case 1: return random(2) === 1;
      case 2: return random(100);
      case 3: return (random(2) ? -1 : 1) * random(2 ** 31) * random(2 ** 20);
      case 4: return random(1000) / 7;
      case 5: return 'abcdefghijklmnop'.slice(0, random(17));
      case 6: return '日本語ÿé😀x'.slice(0, random(6)).repeat(random(40));
      case 7: return new Date(random(2 ** 31) * 1000 - random(2 ** 31));
      case 8: return new Uint8Array(random(40)).fill(random(256));
      case 9: return BigInt(random(2 ** 31)) * 2n ** 32n + 2n ** 55n;
      case 10: return Array.from({ length: random(5) }, () => value(depth + 1));
      case 11: return new Ext(random(40), new Uint8Array(random(20)));
      default: return map(depth + 1);
    }
  };
  const map = (depth) => Object.fromEntries(Array.from({ length: random(7) }, () => [keys[random(40)], value(depth)]));
  const well = (text) => (typeof text === 'string' ? text.isWellFormed?.() ?? true : true);
  const fine = (v) => well(v) && (v === null || typeof v !== 'object' || v instanceof Date || v instanceof Uint8Array || v instanceof Ext || Object.values(v).every(fine));
  const documents = [];
  while (documents.length < 3000) {
    const document = { _id: documents.length, ...map(0) };
    if (fine(document)) documents.push(document);
  }
  const all = db.collection(`random ${seed}`);
  all.insertManySync(documents);
  for (const document of documents) assert.deepEqual(all.get(document._id), document, `seed ${seed}`);
  let i = 0;
  for (const found of all.scan()) assert.deepEqual(found, documents[i++], `seed ${seed}`);
  assert.equal(i, documents.length);
  assert.deepEqual(all.getMany(documents.map(({ _id }) => _id)), documents, `seed ${seed}`);
});

test('maps used as dictionaries', () => {
  const dictionaries = db.collection('dictionaries');
  const documents = Array.from({ length: 3000 }, (_, i) => ({ _id: i, by: { [`user ${i}`]: 1, [`user ${i * 7}x`]: { [`deep ${i}`]: 2 } }, last: 'x' }));
  dictionaries.insertManySync(documents);
  for (let round = 0; round < 3; round++) assert.deepEqual([...dictionaries.scan()], documents);
  for (const document of documents) dictionaries.putSync(document);
  assert.deepEqual([...dictionaries.scan()], documents);
});

test('without code from strings everything is the same', { skip: !canCompile && 'this is that run' }, () => {
  const { NODE_TEST_CONTEXT, ...env } = process.env;
  const run = spawnSync(process.execPath, [FLAG, __filename], { encoding: 'utf8', env });
  assert.equal(run.status, 0, run.stdout + run.stderr);
  assert.match(run.stdout, /this is that run/);
});
