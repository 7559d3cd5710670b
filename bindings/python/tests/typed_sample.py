"""A program that uses everything with its types; mypy checks it, nobody runs it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

import nyrodb
from nyrodb import aio


def main() -> None:
    with nyrodb.open("app.nyro", durability="interval", cache_bytes=1 << 20) as db:
        users: nyrodb.Collection = db["users"]
        one: nyrodb.InsertOneResult = users.insert_one({"name": "Ada"})
        print(one.inserted_id, users.insert_many([{"a": 1}]).inserted_ids[0])
        found = users.get(1)
        if found is not None:
            print(found["name"])
        for document in users:
            print(document["_id"])
        scan = users.scan(after=7)
        token: int = scan.token
        matched: int = users.replace_one(token, {"x": (1, 2)}).matched_count
        with db.transaction() as tx:
            tx["users"].put({"_id": matched})
        count: int = db.write(lambda tx: len(tx["users"].get(1) or {}))
        with db.snapshot() as snapshot:
            print(snapshot["users"].get_many(["a", b"b", count]))
        try:
            db.backup("b", progress=lambda step: print(step.done, step.total), timeout=1.5)
        except nyrodb.DeadlineExceededError as e:
            print(e.errno, e.code, e.kind)
        except nyrodb.BulkWriteError as e:
            print(e.failures[0].index, e.inserted_count)
        words: nyrodb.Keyspace = db.keyspace("words")
        words[b"a"] = bytearray(b"1")
        words.update({b"b": b"2"})
        words.update((key, value) for key, value in words.items())
        words.write_many([("put", b"c", b"3"), ("delete", b"a"), ("delete_range", b"x", None), ("clear",)])
        value: bytes | None = words.get(b"a")
        other: bytes | int = words.get(b"a", 7)
        popped: bytes = words.popitem(last=False)[1] + words.pop(b"a") + words.setdefault(b"a", b"")
        plain: Mapping[bytes, bytes] = db.snapshot().keyspace("words")
        general: MutableMapping[bytes, bytes] = db.transaction().keyspace("words")
        with words.range(gt=b"a", limit=3) as entries:
            entries.seek(b"b")
            for key, text in entries:
                print(key.hex(), text.hex(), value, other, popped, plain[key], general.get(key))
        level: int = sum(level.entries for level in db.keyspace_stats().levels)
        print(words.keys() & {b"a"}, level, [*reversed(words)], [*reversed(words.items())], words.first())
        print(db.stats().commit_latency.p99, db.verify().documents, nyrodb.Ext(1, b"x").data)


async def asynchronous() -> None:
    async with await aio.open("app.nyro") as db:
        users = db["users"]
        id = await users.put({"name": "Ada"})
        result: nyrodb.InsertOneResult = await users.insert_one({"name": "Grace"})
        print(users.get(id), result.inserted_id)
        async for document in users:
            print(document["name"])
        words = db.keyspace("words")
        await words.put(b"a", b"1")
        await words.update({b"b": b"2"})
        entries: list[tuple[bytes, bytes]] = [entry async for entry in words.range(prefix=b"a")]
        print(words.get(b"a"), entries, await words.count())
        report: nyrodb.CompactReport = await db.compact(timeout=10)
        print(report.bytes_after, await db.write(lambda tx: 1 + 1))
