// What TypeScript accepts and what it must not: compiled by a test, never run.

import { open, type KeyRange, Ext, NyroError, ExistsError, codes, type Id, type Stored } from 'nyrodb';
import { NyroLevel } from 'nyrodb/level';

interface User {
  _id: number;
  name: string;
  age?: number;
}

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function is<T extends true>(): T | void {}

async function main(): Promise<void> {
  const db = open('app.nyro', { durability: 'manual', readMode: 'pread' });
  const users = db.collection<User>('users');

  const id = await users.put({ name: 'Ada' });
  is<Equal<typeof id, number>>();
  const { insertedId } = await users.insertOne({ _id: 1, name: 'Ada', age: 36 });
  is<Equal<typeof insertedId, number>>();
  const found = users.get(1);
  const name: string | undefined = found?.name;
  void name;
  for (const user of users.scan()) is<Equal<typeof user.name, string>>();
  for await (const user of users) is<Equal<typeof user.age, number | undefined>>();

  // @ts-expect-error a field of another type
  await users.put({ name: 5 });
  // @ts-expect-error a missing field
  await users.put({ age: 5 });
  // @ts-expect-error an id of another type
  users.get('one');
  // @ts-expect-error an option that is none
  open('app.nyro', { durable: true });

  interface Named {
    _id: string;
    v: number;
  }
  const named = db.collection<Named>('named');
  // @ts-expect-error a string id is not assigned
  await named.put({ v: 1 });
  await named.replaceOne('a', { v: 2 });

  const any = db.collection('any');
  await any.put({ x: 1, when: new Date(), bytes: new Uint8Array(2), ext: new Ext(5, new Uint8Array(1)) });
  const anyId: Id = await any.put({});
  any.get(anyId)?.whatever.deep;

  const total = db.write((tx) => {
    const inside = tx.collection<User>('users');
    inside.put({ name: 'x' });
    return inside.get(1)?.age ?? 0;
  });
  is<Equal<typeof total, number>>();
  // @ts-expect-error a transaction is synchronous
  db.write(async () => 1);

  using snapshot = db.snapshot();
  const old: Stored<User> | undefined = snapshot.collection<User>('users').get(1);
  void old;
  // @ts-expect-error a snapshot is not written to
  snapshot.collection('users').put({});

  const scores = db.keyspace('scores');
  await scores.put('ada', new Uint8Array(2));
  const score = scores.get(Buffer.from('ada'));
  is<Equal<typeof score, Buffer | undefined>>();
  for (const [key, value] of scores.range({ gte: 'a', lt: 'b', reverse: true, limit: 5 })) key.equals(value);
  for await (const key of scores.range({ prefix: 'a', values: false })) is<Equal<typeof key, Buffer>>();
  const range: KeyRange<[Buffer, Buffer]> = scores.range();
  range.seek('b');
  using values: KeyRange<Buffer> = scores.range({ keys: false });
  void values;
  await scores.batch([{ type: 'put', key: 'a', value: 'b' }, { type: 'del', key: 'a' }, { type: 'deleteRange', prefix: 'x' }, { type: 'clear' }]);
  const names: string[] = db.write((tx) => {
    tx.keyspace('scores').put('a', 'b');
    return db.keyspaceNames();
  });
  void names;
  await scores.deleteRange({ gt: 'a' });
  // @ts-expect-error a key is text or bytes
  scores.get(5);
  // @ts-expect-error a put has a value
  await scores.batch([{ type: 'put', key: 'a' }]);
  // @ts-expect-error one of gt and gte
  scores.range({ gt: 'a', gte: 'b' });
  // @ts-expect-error a prefix stands alone
  scores.range({ prefix: 'a', lt: 'b' });
  // @ts-expect-error an option that is none
  scores.range({ from: 'a' });
  // @ts-expect-error a range gives something
  scores.range({ keys: false, values: false });
  // @ts-expect-error a snapshot is not written to
  snapshot.keyspace('scores').put('a', 'b');

  const level = new NyroLevel<string, { x: number }>('app.nyro', { keyspace: 'levels', valueEncoding: 'json', durability: 'manual' });
  await level.put('a', { x: 1 });
  const x = level.getSync('a')?.x;
  is<Equal<typeof x, number | undefined>>();
  for await (const [key, value] of level.iterator({ gte: 'a' })) key.length + value.x;
  await level.sublevel('sub').put('a', 'b');
  // @ts-expect-error another type
  await level.put('a', 5);
  // @ts-expect-error an option that is none
  new NyroLevel('app.nyro', { create: true });
  await level.close();

  await db.backup('b', { signal: new AbortController().signal, onProgress: ({ done, total }) => done / total });
  try {
    await users.insertOne({ name: 'x' });
  } catch (error) {
    if (error instanceof ExistsError && error.code === 'DuplicateId' && error.errno === codes.DuplicateId) return;
    if (error instanceof NyroError) for (const { index } of error.failures ?? []) index.toFixed();
    // @ts-expect-error no such code
    if (error instanceof NyroError && error.code === 'Nope') return;
  }
  await db.close();
}
void main;
