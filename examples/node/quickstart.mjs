// The quick start of the Node package: `node quickstart.mjs`, in a folder where `nyrodb` is installed.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open, ExistsError } from 'nyrodb';

const folder = mkdtempSync(join(tmpdir(), 'nyrodb-quickstart-'));
const db = open(join(folder, 'app.nyro'));
const users = db.collection('users');

// Writes are promises; those of one turn share a commit.
const { insertedId } = await users.insertOne({ name: 'Ada', born: new Date('1815-12-10'), tags: ['math'] });
await Promise.all([users.put({ _id: 'grace', name: 'Grace' }), users.put({ _id: 'alan', name: 'Alan' })]);

// Reads are at once.
console.log(users.get(insertedId));
assert.equal(users.getMany(['grace', 'nobody'])[1], undefined);

// A transaction is all or nothing.
db.write((tx) => {
  const inside = tx.collection('users');
  inside.replaceOne('grace', { ...inside.get('grace'), rank: 'admiral' });
  tx.collection('log').put({ what: 'promoted', who: 'grace' });
});

// Errors have a class, a name and a number.
try {
  await users.insertOne({ _id: 'alan' });
} catch (error) {
  assert.ok(error instanceof ExistsError);
  console.log(error.code, error.errno);
}

for (const user of users.scan()) console.log(user._id, user.name);
console.log(await db.verify());
await db.close();
rmSync(folder, { recursive: true });
