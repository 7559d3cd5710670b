// The Node part of the test: see README.md.

import assert from 'node:assert/strict';
import { open } from 'nyrodb';

function* documents(language) {
  yield {
    _id: language,
    small: 42,
    negative: -7,
    big: 2n ** 63n - 1n,
    huge: 2n ** 64n - 1n,
    float: 1.5,
    text: 'h\u00e9llo \u2713 \u{1f600}',
    bytes: Uint8Array.of(0, 255),
    when: new Date('2020-02-03T04:05:06.789Z'),
    list: [1, 'two', null, true],
    map: { a: { b: [] } },
  };
  for (let n = 0; n < 100; n++) yield { _id: `${language}-${n}`, n, square: n * n };
}

const [path, verb, ...languages] = process.argv.slice(2);
const db = open(path);
const interop = db.collection('interop');
for (const language of languages.slice(verb === 'write' ? 1 : 0)) {
  for (const wanted of documents(language)) assert.deepEqual(interop.get(wanted._id), wanted);
}
if (verb === 'write') for (const document of documents(languages[0])) await interop.insertOne(document);
await db.close();
