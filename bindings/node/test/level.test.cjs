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
