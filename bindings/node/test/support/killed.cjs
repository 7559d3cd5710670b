'use strict';
// Writes under Sync and says on standard output what was acknowledged, until it is killed.

const fs = require('node:fs');
const { open } = require('../../lib/index.cjs');

const [name, round] = process.argv.slice(2);
const db = open(name, { logMaxBytes: 1 << 20 });
const users = db.collection('users');

const say = (line) => fs.writeSync(1, `${line}\n`);
say('open');

let number = 0;
const next = () => `${round}-${number++}`;
const text = 'x'.repeat(200);

async function promised() {
  for (;;) {
    const ids = [next(), next(), next()];
    await Promise.all(ids.map((_id) => users.put({ _id, text })));
    say(ids.join(' '));
    await new Promise(setImmediate);
  }
}

async function keys() {
  const k = db.keyspace('keys');
  for (;;) {
    const ids = [next(), next(), next()];
    await Promise.all([k.put(ids[0], text), k.batch(ids.slice(1).map((key) => ({ type: 'put', key, value: text })))]);
    say(ids.map((id) => `k${id}`).join(' '));
    await new Promise(setImmediate);
  }
}

async function many() {
  for (;;) {
    const ids = Array.from({ length: 20 }, next);
    await users.insertMany(ids.map((_id) => ({ _id, text })));
    say(ids.join(' '));
  }
}

function atOnce() {
  const ids = [next(), next()];
  users.putSync({ _id: ids[0], text });
  db.write((tx) => tx.collection('users').put({ _id: ids[1], text }));
  say(ids.join(' '));
  setImmediate(atOnce);
}

promised();
keys();
many();
atOnce();
