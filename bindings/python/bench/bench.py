"""NyroDB beside lmdb, rocksdict and sqlite3: the same documents, the same run, one table.

    python bench.py [documents] [rounds]

Each figure is the best of some rounds, in thousands of documents a second: by CPU time of the process, all of its threads
included, and by the clock. All are relaxed about durability: nobody syncs (`sync=False`, `synchronous=OFF`,
`durability="manual"`). Reads are of documents in random order, as dicts. What loses stays in the table.
"""

from __future__ import annotations

import gc
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import msgspec
import ormsgpack
import rocksdict

import nyrodb

BATCH = 1000
GOALS = {"get": 1.5, "scan": 1.25, "insert_many": 1.5}

Document = dict[str, Any]


def documents(count: int) -> list[Document]:
    """People, about 180 bytes of MessagePack each."""
    dice = random.Random(1)
    first = ["Ada", "Grace", "Edsger", "Barbara", "Donald", "Frances", "Alan", "Radia", "Ken", "Margaret"]
    last = ["Lovelace", "Hopper", "Dijkstra", "Liskov", "Knuth", "Allen", "Turing", "Perlman", "Thompson", "Hamilton"]
    cities = ["London", "Berlin", "Oslo", "Lisbon", "Madrid", "Prague", "Vienna", "Dublin"]
    tags = ["math", "navy", "sailing", "chess", "music", "compilers", "networks", "climbing"]
    made = []
    for i in range(count):
        a, b = dice.choice(first), dice.choice(last)
        made.append(
            {
                "_id": i,
                "name": f"{a} {b}",
                "email": f"{a.lower()}.{b.lower()}{i}@example.com",
                "age": dice.randrange(18, 90),
                "score": dice.random() * 100,
                "visits": dice.randrange(100_000),
                "active": dice.random() < 0.5,
                "address": {"street": f"{dice.randrange(200)} Main Street", "city": dice.choice(cities), "zip": f"{i % 99999:05}"},
                "tags": dice.sample(tags, 3),
            }
        )
    return made


class Nyro:
    name = "nyrodb"

    def __init__(self, folder: Path) -> None:
        self.db = nyrodb.open(folder / "app.nyro", durability="manual")
        self.users = self.db["users"]
        self.get, self.raw = self.users.get, self.users.get_raw

    def insert_many(self, batch: list[Document]) -> None:
        self.users.insert_many(batch)

    def scan(self) -> Iterable[Document]:
        return self.users

    def get_many(self, ids: list[int]) -> list[Any]:
        return self.users.get_many(ids)

    def close(self) -> None:
        self.db.close()


class Lmdb:
    """One read transaction for all reads, which is the fastest that it can do."""

    def __init__(self, folder: Path) -> None:
        self.env = lmdb.open(str(folder / "lmdb"), map_size=1 << 30, sync=False, writemap=True, map_async=True)
        self.tx: Any = None

    def insert_many(self, batch: list[Document]) -> None:
        encode = self.encode
        with self.env.begin(write=True, buffers=False) as tx:
            put = tx.put
            for document in batch:
                put(document["_id"].to_bytes(8, "big"), encode(document))

    def begin(self) -> Any:
        if self.tx is None:
            self.tx = self.env.begin()
        return self.tx

    def get(self, id: int) -> Any:
        found = self.begin().get(id.to_bytes(8, "big"))
        return None if found is None else self.decode(found)

    def raw(self, id: int) -> Any:
        return self.begin().get(id.to_bytes(8, "big"))

    def get_many(self, ids: list[int]) -> list[Any]:
        get, decode = self.begin().get, self.decode
        return [decode(get(id.to_bytes(8, "big"))) for id in ids]

    def scan(self) -> Iterator[Document]:
        return map(self.decode, self.begin().cursor().iternext(keys=False, values=True))

    def close(self) -> None:
        self.tx = None
        self.env.close()


class LmdbMsgspec(Lmdb):
    name = "lmdb + msgspec"
    encode = staticmethod(msgspec.msgpack.Encoder().encode)
    decode = staticmethod(msgspec.msgpack.Decoder().decode)


class LmdbOrmsgpack(Lmdb):
    name = "lmdb + ormsgpack"
    encode = staticmethod(ormsgpack.packb)
    decode = staticmethod(ormsgpack.unpackb)


class Rocks:
    name = "rocksdict + ormsgpack"

    def __init__(self, folder: Path) -> None:
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)
        self.db = rocksdict.Rdict(str(folder / "rocks"), options)

    def insert_many(self, batch: list[Document]) -> None:
        write = rocksdict.WriteBatch(raw_mode=True)
        for document in batch:
            write.put(document["_id"].to_bytes(8, "big"), ormsgpack.packb(document))
        self.db.write(write)

    def raw(self, id: int) -> Any:
        return self.db.get(id.to_bytes(8, "big"))

    def get(self, id: int) -> Any:
        return ormsgpack.unpackb(self.db.get(id.to_bytes(8, "big")))

    def get_many(self, ids: list[int]) -> list[Any]:
        found = self.db.get([id.to_bytes(8, "big") for id in ids])
        return [ormsgpack.unpackb(raw) for raw in found]

    def scan(self) -> Iterator[Document]:
        return map(ormsgpack.unpackb, self.db.values())

    def close(self) -> None:
        self.db.close()


class Sqlite:
    name = "sqlite3 + msgspec"

    def __init__(self, folder: Path) -> None:
        self.db = sqlite3.connect(folder / "sqlite", isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=OFF")
        self.db.execute("PRAGMA mmap_size=1073741824")
        self.db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, doc BLOB)")
        self.encode, self.decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode

    def insert_many(self, batch: list[Document]) -> None:
        self.db.execute("BEGIN")
        rows = ((document["_id"], self.encode(document)) for document in batch)
        self.db.executemany("INSERT INTO users VALUES (?, ?)", rows)
        self.db.execute("COMMIT")

    def raw(self, id: int) -> Any:
        return self.db.execute("SELECT doc FROM users WHERE id = ?", (id,)).fetchone()[0]

    def get(self, id: int) -> Any:
        return self.decode(self.db.execute("SELECT doc FROM users WHERE id = ?", (id,)).fetchone()[0])

    def get_many(self, ids: list[int]) -> list[Any]:
        return [self.get(id) for id in ids]

    def scan(self) -> Iterator[Document]:
        return (self.decode(row[0]) for row in self.db.execute("SELECT doc FROM users"))

    def close(self) -> None:
        self.db.close()


ENGINES: list[Any] = [Nyro, LmdbMsgspec, LmdbOrmsgpack, Rocks, Sqlite]
OPERATIONS = ["insert_many", "get", "get_many", "scan", "scan into a list", "get_raw"]


def timed(count: int, work: Callable[[], object]) -> tuple[float, float]:
    """Thousands a second, by CPU time and by the clock."""
    gc.collect()
    cpu, clock = time.process_time(), time.perf_counter()
    work()
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    return count / cpu / 1000, count / clock / 1000


def each(call: Callable[[int], object], ids: list[int]) -> None:
    for id in ids:
        call(id)


def drain(documents: Iterable[Document]) -> None:
    for _ in documents:
        pass


def batches(of: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(of), BATCH):
        yield of[start : start + BATCH]


def measure(engine: Any, docs: list[Document], ids: list[int]) -> dict[str, tuple[float, float]]:
    count = len(docs)
    with tempfile.TemporaryDirectory() as folder:
        store = engine(Path(folder))
        found = {"insert_many": timed(count, lambda: [store.insert_many(batch) for batch in batches(docs)])}
        assert store.get(7) == docs[7] and sum(1 for _ in store.scan()) == count
        found["get"] = timed(count, lambda: each(store.get, ids))
        found["get_many"] = timed(count, lambda: [store.get_many(batch) for batch in batches(ids)])
        found["scan"] = timed(count, lambda: drain(store.scan()))
        found["scan into a list"] = timed(count, lambda: list(store.scan()))
        found["get_raw"] = timed(count, lambda: each(store.raw, ids))
        store.close()
    return found


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    docs = documents(count)
    ids = list(range(count))
    random.Random(2).shuffle(ids)
    mean = sum(len(ormsgpack.packb(document)) for document in docs) / count
    print(f"{count} documents of {mean:.0f} bytes, best of {rounds} rounds; thousands a second, CPU time (clock)\n")

    best: dict[str, dict[str, tuple[float, float]]] = {engine.name: {} for engine in ENGINES}
    for _ in range(rounds):
        # The engines take turns, so that a slow minute of the machine is everybody's.
        for engine in ENGINES:
            for operation, rates in measure(engine, docs, ids).items():
                before = best[engine.name].get(operation, (0.0, 0.0))
                best[engine.name][operation] = (max(before[0], rates[0]), max(before[1], rates[1]))

    names = [engine.name for engine in ENGINES]
    print("| operation | " + " | ".join(names) + " | to the best peer, CPU | clock | goal |")
    print("| --- |" + " ---: |" * (len(names) + 3))
    for operation in OPERATIONS:
        row = [best[name][operation] for name in names]
        ratios = [row[0][i] / max(peer[i] for peer in row[1:]) for i in (0, 1)]
        cells = [f"{cpu:.0f} ({clock:.0f})" for cpu, clock in row]
        goal = GOALS.get(operation)
        told = "" if goal is None else f"{goal} " + ("met" if ratios[operation == "insert_many"] >= goal else "missed")
        print(f"| {operation} | " + " | ".join(cells) + f" | {ratios[0]:.2f} | {ratios[1]:.2f} | {told} |")


if __name__ == "__main__":
    main()
