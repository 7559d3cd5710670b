// nyrodb beside its peers, in one run, on the same documents: `node bench.mjs [documents] [rounds]`.
//
// CPU time of the whole process (all threads) and wall time for one operation, the best of several rounds in turn. All
// are as relaxed: no sync at a commit. Reads give objects; "raw" gives bytes.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open as openLmdb } from 'lmdb';
import Sqlite from 'better-sqlite3';
import { ClassicLevel } from 'classic-level';
import { open } from '../lib/index.mjs';
import { documents, shuffled } from './documents.mjs';

const COUNT = Number(process.argv[2] ?? 100_000);
const ROUNDS = Number(process.argv[3] ?? 5);
const BATCH = 1000;
const folder = mkdtempSync(join(tmpdir(), 'nyrodb-bench-'));
const docs = documents(COUNT);
const ids = shuffled(COUNT);
let checked = 0;

/** Takes a look at a result, so that nobody is measured who returned nothing. */
function look(document) {
  checked += document.age;
}

function nyro() {
  const file = join(folder, `nyro-${Math.random()}.nyro`);
  const db = open(file, { durability: 'manual' });
  const people = db.collection('people');
  return {
    name: 'nyrodb',
    insert: async () => {
      for (let i = 0; i < COUNT; i += BATCH) await people.insertMany(docs.slice(i, i + BATCH));
    },
    insertSync: () => {
      for (let i = 0; i < COUNT; i += BATCH) people.insertManySync(docs.slice(i, i + BATCH));
    },
    get: () => {
      for (const id of ids) look(people.get(id));
    },
    raw: () => {
      for (const id of ids) checked += people.getRaw(id).length;
    },
    scan: () => {
      for (const document of people.scan()) look(document);
    },
    clear: () => db.dropCollectionSync('people'),
    ready: () => db.checkpoint(),
    close: () => db.close(),
  };
}

function lmdb(name, options) {
  const db = openLmdb({ path: join(folder, name.replace(/\W/g, '')), noSync: true, keyEncoding: 'uint32', ...options });
  const binary = options.encoding === 'binary';
  return {
    name,
    insert: binary ? null : async () => {
      for (let i = 0; i < COUNT; i += BATCH) {
        await db.transaction(() => {
          for (const document of docs.slice(i, i + BATCH)) db.put(document._id, document);
        });
      }
    },
    insertSync: binary ? null : () => {
      for (let i = 0; i < COUNT; i += BATCH) {
        db.transactionSync(() => {
          for (const document of docs.slice(i, i + BATCH)) db.put(document._id, document);
        });
      }
    },
    get: () => {
      for (const id of ids) look(db.get(id));
    },
    raw: () => {
      for (const id of ids) checked += db.getBinaryFast(id).length;
    },
    scan: () => {
      for (const { value } of db.getRange({ end: COUNT })) look(value);
    },
    clear: () => db.clearSync(),
    ready: () => {},
    close: () => db.close(),
  };
}

function sqlite() {
  const db = new Sqlite(join(folder, 'sqlite'));
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = OFF');
  db.exec('CREATE TABLE people (id INTEGER PRIMARY KEY, doc TEXT)');
  const insert = db.prepare('INSERT INTO people VALUES (?, ?)');
  const get = db.prepare('SELECT doc FROM people WHERE id = ?').pluck();
  const all = db.prepare('SELECT doc FROM people').pluck();
  const batch = db.transaction((part) => {
    for (const document of part) insert.run(document._id, JSON.stringify(document));
  });
  return {
    name: 'better-sqlite3 JSON',
    insertSync: () => {
      for (let i = 0; i < COUNT; i += BATCH) batch(docs.slice(i, i + BATCH));
    },
    get: () => {
      for (const id of ids) look(JSON.parse(get.get(id)));
    },
    raw: () => {
      for (const id of ids) checked += get.get(id).length;
    },
    scan: () => {
      for (const document of all.iterate()) look(JSON.parse(document));
    },
    clear: () => db.exec('DELETE FROM people'),
    ready: () => {},
    close: () => db.close(),
  };
}

function sqliteColumns() {
  const db = new Sqlite(join(folder, 'sqlite-columns'));
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = OFF');
  db.exec(
    'CREATE TABLE people (id INTEGER PRIMARY KEY, name, email, age, score, active, visits, street, city, zip, tags, note)',
  );
  const insert = db.prepare('INSERT INTO people VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const row = (row) => ({
    _id: row.id, name: row.name, email: row.email, age: row.age, score: row.score, active: row.active === 1,
    visits: row.visits, address: { street: row.street, city: row.city, zip: row.zip }, tags: row.tags.split(','),
    note: row.note,
  });
  const get = db.prepare('SELECT * FROM people WHERE id = ?');
  const all = db.prepare('SELECT * FROM people');
  const batch = db.transaction((part) => {
    for (const d of part) {
      const { street, city, zip } = d.address;
      const tags = d.tags.join();
      insert.run(d._id, d.name, d.email, d.age, d.score, d.active ? 1 : 0, d.visits, street, city, zip, tags, d.note);
    }
  });
  return {
    name: 'better-sqlite3 columns',
    insertSync: () => {
      for (let i = 0; i < COUNT; i += BATCH) batch(docs.slice(i, i + BATCH));
    },
    get: () => {
      for (const id of ids) look(row(get.get(id)));
    },
    scan: () => {
      for (const found of all.iterate()) look(row(found));
    },
    clear: () => db.exec('DELETE FROM people'),
    ready: () => {},
    close: () => db.close(),
  };
}

async function level() {
  const db = new ClassicLevel(join(folder, 'level'), { valueEncoding: 'json' });
  await db.open();
  const key = (id) => String(id).padStart(8, '0');
  return {
    name: 'classic-level',
    insert: async () => {
      for (let i = 0; i < COUNT; i += BATCH) {
        await db.batch(docs.slice(i, i + BATCH).map((value) => ({ type: 'put', key: key(value._id), value })));
      }
    },
    get: () => {
      for (const id of ids) look(db.getSync(key(id)));
    },
    raw: () => {
      for (const id of ids) checked += db.getSync(key(id), { valueEncoding: 'view' }).length;
    },
    scan: async () => {
      const iterator = db.iterator();
      for (;;) {
        const found = await iterator.nextv(1000);
        if (found.length === 0) break;
        for (const [, document] of found) look(document);
      }
      await iterator.close();
    },
    clear: () => db.clear(),
    ready: () => {},
    close: () => db.close(),
  };
}

const OPERATIONS = {
  insert: 'insertMany, batches of 1000, promises',
  insertSync: 'insertMany, batches of 1000, synchronous',
  get: 'get -> object',
  scan: 'scan -> objects',
  raw: 'get -> bytes',
};

const best = {};

async function measure(peer, operation) {
  if (!peer[operation]) return;
  globalThis.gc?.();
  const cpu = process.cpuUsage();
  const wall = process.hrtime.bigint();
  await peer[operation]();
  const { user, system } = process.cpuUsage(cpu);
  const found = { cpu: ((user + system) * 1000) / COUNT, wall: Number(process.hrtime.bigint() - wall) / COUNT };
  const before = (best[operation] ??= {})[peer.name] ?? { cpu: Infinity, wall: Infinity };
  best[operation][peer.name] = { cpu: Math.min(found.cpu, before.cpu), wall: Math.min(found.wall, before.wall) };
}

const peers = [
  nyro(),
  lmdb('lmdb', {}),
  lmdb('lmdb shared structures', { sharedStructuresKey: 0xffff_fff0 }),
  sqlite(),
  sqliteColumns(),
  await level(),
];
if (process.env.ONLY) peers.splice(0, peers.length, ...peers.filter((peer) => new RegExp(process.env.ONLY).test(peer.name)));

for (let round = 0; round < ROUNDS; round++) {
  for (const peer of peers) {
    for (const operation of ['insert', 'insertSync']) {
      if (!peer[operation]) continue;
      await peer.clear();
      await peer.ready();
      await measure(peer, operation);
    }
    await peer.ready();
    for (const operation of ['get', 'scan', 'raw']) await measure(peer, operation);
  }
}

/** The goals of the project, as a ratio to a peer in this run. */
const GOALS = {
  get: [['lmdb', 2.3], ['best', 1.4]],
  scan: [['lmdb', 2.5], ['best', 1.15]],
  raw: [['lmdb', 1]],
  insert: [['best', 1.4]],
  insertSync: [['best', 1.4]],
};

const rate = (ns) => (Number.isFinite(ns) ? `${Math.round(1e6 / ns)}`.padStart(7) : '      -');
console.log(`${COUNT} documents, best of ${ROUNDS} rounds, thousands a second (CPU time; wall time)\n`);
for (const [operation, title] of Object.entries(OPERATIONS)) {
  const found = best[operation];
  if (!found) continue;
  console.log(title);
  for (const [name, { cpu, wall }] of Object.entries(found)) {
    const ratio = found.nyrodb ? (cpu / found.nyrodb.cpu).toFixed(2) : '-';
    console.log(`  ${name.padEnd(26)} ${rate(cpu)} k/s cpu  ${rate(wall)} k/s wall   nyrodb is ${ratio} times as fast`);
  }
  if (!found.nyrodb) continue;
  for (const [peer, goal] of GOALS[operation]) {
    const all = operation.startsWith('insert') ? { ...best.insert, ...best.insertSync } : found;
    const others = Object.entries(all).filter(([name]) => name !== 'nyrodb');
    if (others.length === 0) continue;
    // Of two ways to insert the better one of each counts.
    const mine = operation.startsWith('insert') ? Math.min(best.insert.nyrodb.cpu, best.insertSync.nyrodb.cpu) : found.nyrodb.cpu;
    const theirs = peer === 'best'
      ? Math.min(...others.map(([name, { cpu }]) => (operation.startsWith('insert') ? Math.min(cpu, best.insert[name]?.cpu ?? cpu) : cpu)))
      : found[peer]?.cpu;
    if (!theirs) continue;
    const ratio = theirs / mine;
    console.log(`  goal: ${goal} times ${peer}: ${ratio.toFixed(2)}, ${ratio >= goal ? 'met' : 'NOT met'}`);
  }
  console.log();
}
for (const peer of peers) await peer.close();
rmSync(folder, { recursive: true, force: true });
if (!(checked > 0)) throw new Error('nothing was read');
