'use strict';
// A worker that has calls of every kind in flight until it is terminated.

const { workerData, parentPort } = require('node:worker_threads');
const { open } = require('../../lib/index.cjs');

const { name, number } = workerData;
const db = open(name, { durability: 'manual' });
const users = db.collection('users');
const keys = db.keyspace('keys');
parentPort.postMessage('open');

let failures = 0;
function failed(error) {
  // A database that is closed under a call, by this worker's own end, is no failure; nor is a duplicate.
  if (!['Closed', 'Cancelled', 'DuplicateId'].includes(error.code) && failures++ === 0) {
    parentPort.postMessage(`failed: ${error.stack}`);
  }
}

const kept = [];
function turn() {
  for (let i = 0; i < 20; i++) users.put({ _id: `${number}-${i}`, text: 'x'.repeat(i) }).catch(failed);
  users.insertMany(Array.from({ length: 50 }, (_, i) => ({ _id: number * 1000 + i, list: [i, 'a'] })), { ordered: false }).catch(() => {});
  keys.batch(Array.from({ length: 20 }, (_, i) => ({ type: 'put', key: `${number}-${i}`, value: 'x'.repeat(i * 100) }))).catch(failed);
  keys.deleteRange({ prefix: `${number - 2}-` }).catch(failed);
  keys.putSync('sync', String(number));
  kept.push(keys.range(), keys.range({ reverse: true }));
  kept.at(-1).next();
  for (const [key] of keys.range()) if (String(key) === '5-1') break;
  db.verify({ onProgress() {} }).catch(failed);
  db.checkpoint().catch(failed);
  kept.push(db.snapshot(), users.scan());
  if (kept.length > 50) kept.splice(0, 25);
  for (const user of users.scan()) if (user._id === 25) break;
  users.putSync({ _id: `sync ${number}`, at: Date.now() });
  try {
    db.write((tx) => {
      const inside = tx.collection('users');
      for (let i = 0; i < 200; i++) inside.put({ _id: `tx ${i}`, number });
      for (let i = 0; i < 20; i++) tx.keyspace('keys').put(`tx ${i}`, String(number));
      kept.push(tx.keyspace('keys').range());
      kept.at(-1).next();
      if (number % 3 === 0) for (;;) inside.get('tx 1');
    });
  } catch (error) {
    failed(error);
  }
  setImmediate(turn);
}
turn();
