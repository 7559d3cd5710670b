'use strict';
// Worker threads share a database, and may be terminated at any moment.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const { spawnSync } = require('node:child_process');
const { Worker } = require('node:worker_threads');
const { open } = require('../lib/index.cjs');
const { file, seeded } = require('./support/files.cjs');

const library = path.join(__dirname, '../lib/index.cjs');

/** Terminations; 1 000 with NYRO_WORKERS=1000. */
const TERMINATIONS = Number(process.env.NYRO_WORKERS ?? 150);
const AT_ONCE = 6;

const threads = () => fs.readdirSync('/proc/self/task').length;

test('workers share the database', async () => {
  const name = file();
  const db = open(name);
  const code = `
    const { workerData, parentPort } = require('node:worker_threads');
    const db = require(${JSON.stringify(library)}).open(workerData.name);
    const users = db.collection('users');
    (async () => {
      for (let i = 0; i < 50; i++) await users.put({ _id: workerData.number * 100 + i, of: workerData.number });
      parentPort.postMessage(users.countDocuments() >= 50);
      await db.close();
    })();`;
  const workers = Array.from({ length: 4 }, (_, number) => new Worker(code, { eval: true, workerData: { name, number } }));
  const said = await Promise.all(workers.map(async (worker) => {
    // Both at once: the end may come with the message.
    const [[message], [status]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
    return message === true && status === 0;
  }));
  assert.deepEqual(said, [true, true, true, true]);
  assert.equal(db.collection('users').countDocuments(), 200);
  await db.close();
});

test(`${TERMINATIONS} workers are terminated with calls in flight`, { timeout: 900_000 }, async () => {
  const name = file();
  const db = open(name, { durability: 'manual' });
  const users = db.collection('users');
  users.putSync({ _id: 'first' });
  const random = seeded(Number(process.env.NYRO_SEED ?? 5));
  let number = 0;
  let before = 0;
  const failures = [];
  const one = async () => {
    const worker = new Worker(path.join(__dirname, 'support/busy-worker.cjs'), { workerData: { name, number: number++ } });
    worker.on('message', (message) => message.startsWith('failed') && failures.push(message));
    worker.on('error', (error) => failures.push(error.stack));
    // Some are stopped before they have opened anything.
    if (random(10) > 0) await Promise.race([once(worker, 'message'), once(worker, 'exit')]);
    await new Promise((done) => setTimeout(done, random(25)));
    await worker.terminate();
  };
  const line = async () => {
    while (number < TERMINATIONS) {
      await one();
      // Nobody left the writer's lock behind: this would wait for it. (Not at once: a worker that is in an endless
      // transaction is terminated from this thread.)
      await users.put({ _id: 'main', number });
      if (number >= 20 && before === 0) before = threads();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, line));
  assert.deepEqual(failures, []);
  await users.put({ _id: 'main', number });
  assert.equal(users.get('main').number, number);
  const { documents } = await db.verify();
  assert.equal(documents, users.countDocuments());
  assert.equal(db.stats().snapshots, 0, 'snapshots of terminated workers');
  // Their threads are gone (of this process only its own are left).
  assert.ok(threads() <= before + 4, `${threads()} threads, ${before} before`);
  const started = Date.now();
  await db.close();
  assert.ok(Date.now() - started < 30_000);
  // The last handle is closed: another process may have the file.
  const code = `const db = require(${JSON.stringify(library)}).open(${JSON.stringify(name)}); console.log(db.collection('users').get('first')._id); db.closeSync()`;
  const other = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' });
  assert.equal(other.stdout, 'first\n', other.stderr);
});

test('only workers load the package, and the process goes on', () => {
  const code = `
    const { Worker } = require('node:worker_threads');
    const work = "const db = require(" + JSON.stringify(${JSON.stringify(library)}) + ").open(':memory:'); db.collection('c').put({ x: 1 });" +
      "if (require('node:worker_threads').workerData) setInterval(() => db.collection('c').put({ x: 1 }), 1)";
    (async () => {
      for (let i = 0; i < 10; i++) {
        const worker = new Worker(work, { eval: true, workerData: i % 2 });
        await new Promise((done) => (i % 2 ? setTimeout(() => worker.terminate().then(done), 40) : worker.on('exit', done)));
      }
      console.log('fine');
    })();`;
  const run = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' });
  assert.equal(run.stdout, 'fine\n', run.stderr);
  assert.equal(run.status, 0);
});

test('a program ends by itself with a database open, and not before its promises are kept', () => {
  const name = file();
  const code = `
    const db = require(${JSON.stringify(library)}).open(${JSON.stringify(name)});
    db.collection('c').put({ _id: 1 }).then((id) => console.log('kept', id));
    db.verify().then(({ documents }) => console.log('verified', documents));`;
  const run = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8', timeout: 20_000 });
  assert.deepEqual(run.stdout.split('\n').sort(), ['', 'kept 1', 'verified 1'], run.stderr);
  assert.equal(run.status, 0);
  const exits = spawnSync(process.execPath, ['-e', `${code} db.collection('c').putSync({ _id: 2 }); process.exit(3)`], { encoding: 'utf8', timeout: 20_000 });
  assert.equal(exits.status, 3, exits.stderr);
  const db = open(name);
  assert.deepEqual(db.collection('c').get(2), { _id: 2 });
  db.closeSync();
});
