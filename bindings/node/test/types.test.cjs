'use strict';
// The types say what the package does: test/types.test-d.ts compiles, with its expected errors.

const test = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const fs = require('node:fs');
const { spawnSync } = require('node:child_process');
const nyrodb = require('../lib/index.cjs');
const level = require('../lib/level.cjs');

test('TypeScript accepts what is right and refuses what is wrong', () => {
  const compiler = require.resolve('typescript/bin/tsc');
  const run = spawnSync(process.execPath, [compiler, '-p', path.join(__dirname, 'tsconfig.json')], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stdout);
});

test('every export and every method has a type', () => {
  const typesOf = (name) => fs.readFileSync(path.join(__dirname, '../lib', name), 'utf8');
  const index = Object.entries(nyrodb).map((each) => [typesOf('index.d.cts'), ...each]);
  const others = Object.entries(level).map((each) => [typesOf('level.d.cts'), ...each]);
  for (const [types, name, value] of [...index, ...others]) {
    assert.match(types, new RegExp(`export (declare )?(class|function|const) ${name}\\b`), name);
    if (typeof value !== 'function' || !value.prototype || value.prototype instanceof Error) continue;
    for (const method of Object.getOwnPropertyNames(value.prototype)) {
      // What begins so is abstract-level's own between itself and the class.
      if (method === 'constructor' || method.startsWith('_')) continue;
      const start = types.search(new RegExp(`class ${name}\\b`));
      const body = types.slice(start, types.indexOf('\n}', start));
      assert.ok(new RegExp(`\\b${method}\\b`).test(body), `${name}.${method}`);
    }
  }
});
