// What TypeScript accepts and what it must not: compiled by a test, never run.

import { open, Ext, NyroError, ExistsError, codes, type Id, type Stored } from 'nyrodb';

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
