'use strict';
// No acknowledged write is lost when the process is killed.

const test = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { open } = require('../lib/index.cjs');
const { file, seeded } = require('./support/files.cjs');

/** Rounds; more with NYRO_KILLS. */
const ROUNDS = Number(process.env.NYRO_KILLS ?? 20);

test(`every acknowledged write is there after ${ROUNDS} kills`, { timeout: 900_000 }, async () => {
  const name = file();
  const seed = Number(process.env.NYRO_SEED ?? Date.now() % 1e6);
  const random = seeded(seed);
  const acknowledged = [];
  for (let round = 0; round < ROUNDS; round++) {
    const child = spawn(process.execPath, [path.join(__dirname, 'support/killed.cjs'), name, String(round)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (data) => (said += data));
    await once(child.stdout, 'data');
    await new Promise((done) => setTimeout(done, random(250)));
    child.kill('SIGKILL');
    await once(child, 'close');
    // The last line may be cut in the middle.
    const lines = said.slice(0, said.lastIndexOf('\n') + 1).split('\n');
    for (const line of lines) if (line && line !== 'open') acknowledged.push(...line.split(' '));
    const db = open(name, { logMaxBytes: 1 << 20 });
    const users = db.collection('users');
    const keys = db.keyspace('keys');
    const lost = acknowledged.filter((id) => (id[0] === 'k' ? !keys.contains(id.slice(1)) : !users.contains(id)));
    assert.deepEqual(lost, [], `seed ${seed}, round ${round}`);
    if (round % 5 === 4) await db.verify();
    // Sometimes it is not closed properly here either.
    await db.close();
  }
  assert.ok(acknowledged.some((id) => id[0] === 'k'), 'no keys');
  assert.ok(acknowledged.length > ROUNDS * 10, `only ${acknowledged.length} writes`);
});
