// Keyspaces of the Node package: `node keyspace.mjs`, in a folder where `nyrodb` is installed.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'nyrodb';

const folder = mkdtempSync(join(tmpdir(), 'nyrodb-keyspace-'));
const db = open(join(folder, 'app.nyro'));

// An ordered map of bytes. Keys that begin with the time lie in its order.
const readings = db.keyspace('readings');
await readings.batch([
  { type: 'put', key: '2024-05-01 kitchen', value: '21.5' },
  { type: 'put', key: '2024-05-02 garden', value: '14.0' },
  { type: 'put', key: '2024-05-02 kitchen', value: '22.1' },
  { type: 'put', key: '2024-06-01 garden', value: '19.3' },
]);

// Values are Buffers.
assert.equal(String(readings.get('2024-05-02 garden')), '14.0');
assert.equal(readings.get('2024-05-03 garden'), undefined);

// A range is read as it goes, in either direction.
for (const [key, value] of readings.range({ prefix: '2024-05' })) console.log(String(key), String(value));
const [latest] = readings.range({ lt: '2024-06', reverse: true, limit: 1, values: false });
assert.equal(String(latest), '2024-05-02 kitchen');

// It can go elsewhere.
const range = readings.range({ values: false });
range.seek('2024-05-02');
assert.equal(String(range.next().value), '2024-05-02 garden');
range.close();

// Keys and documents change together, or not at all.
db.write((tx) => {
  const inside = tx.keyspace('readings');
  inside.put('2024-06-02 garden', '20.2');
  tx.collection('sensors').put({ _id: 'garden', last: '2024-06-02', count: [...inside.range({ gte: '2024-06' })].length });
});
assert.deepEqual(db.collection('sensors').get('garden'), { _id: 'garden', last: '2024-06-02', count: 2 });

// A whole month goes in one short step.
await readings.deleteRange({ prefix: '2024-05' });
assert.deepEqual([...readings].map(([key]) => String(key)), ['2024-06-01 garden', '2024-06-02 garden']);

await db.close();
rmSync(folder, { recursive: true });
