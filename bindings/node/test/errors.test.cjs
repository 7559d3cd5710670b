'use strict';
// Errors: the list is that of docs/errors.md, and each kind has a class.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const nyrodb = require('../lib/index.cjs');
const { file } = require('./support/files.cjs');

const { open, codes, NyroError, ExistsError, InvalidDocumentError } = nyrodb;

test('numbers, names and kinds are those of docs/errors.md', () => {
  const text = fs.readFileSync(path.join(__dirname, '../../../docs/errors.md'), 'utf8');
  const rows = [...text.matchAll(/^\| (\d{3}) \| (\w+) \| ([\w ]+) \|/gm)];
  assert.ok(rows.length > 30);
  assert.deepEqual(codes, Object.fromEntries(rows.map(([, number, name]) => [name, Number(number)])));
  for (const kind of new Set(rows.map(([, , , kind]) => kind))) {
    if (/^\w+$/.test(kind)) assert.equal(Object.getPrototypeOf(nyrodb[`${kind}Error`]), NyroError, kind);
  }
});

test('an error says what is wrong in every way a program may ask', async () => {
  const db = open(file());
  const users = db.collection('users');
  await users.insertOne({ _id: 1 });
  const check = (error) => {
    assert.ok(error instanceof ExistsError && error instanceof NyroError && error instanceof Error);
    assert.equal(error.name, 'ExistsError');
    assert.equal(error.code, 'DuplicateId');
    assert.equal(error.errno, codes.DuplicateId);
    assert.equal(error.kind, 'Exists');
    assert.match(error.message, /_id 1 is already in collection "users"/);
    return true;
  };
  assert.throws(() => users.insertOneSync({ _id: 1 }), check);
  await assert.rejects(users.insertOne({ _id: 1 }), check);
  assert.throws(() => db.write((tx) => tx.collection('users').insertOne({ _id: 1 })), check);
  await db.close();
});

test('a bulk write tells what was inserted and what was not', async () => {
  const db = open(':memory:');
  const users = db.collection('users');
  const documents = () => [{ _id: 1 }, { _id: 1 }, { _id: 2, f: () => 1 }, { _id: 3 }, { _id: 1.5 }, { s: '\ud800' }];
  const check = (inserted, failures) => (error) => {
    assert.equal(error.code, 'BulkWrite');
    assert.equal(error.insertedCount, inserted);
    assert.deepEqual(error.failures.map(({ index, code }) => [index, code]), failures);
    assert.ok(error.failures.every(({ errno, code }) => codes[code] === errno));
    return true;
  };
  const all = [[1, 'DuplicateId'], [2, 'Serialization'], [4, 'InvalidId'], [5, 'Serialization']];
  assert.throws(() => users.insertManySync(documents(), { ordered: false }), check(2, all));
  users.deleteSync(1);
  users.deleteSync(3);
  await assert.rejects(users.insertMany(documents(), { ordered: false }), check(2, all));
  users.deleteSync(1);
  users.deleteSync(3);
  await assert.rejects(users.insertMany(documents()), check(1, [[1, 'DuplicateId']]));
  assert.equal(users.countDocuments(), 1);
  // With `atomic` nothing is kept, and the error is that of the document.
  users.deleteSync(1);
  assert.throws(() => users.insertManySync([{ _id: 8 }, { _id: 9, f: () => 1 }], { atomic: true }), (error) => {
    assert.ok(error instanceof InvalidDocumentError);
    assert.match(error.message, /at f/);
    return true;
  });
  await assert.rejects(users.insertMany([{ _id: 8 }, { _id: 8 }], { atomic: true }), { code: 'DuplicateId' });
  assert.equal(users.countDocuments(), 0);
  await db.close();
});
