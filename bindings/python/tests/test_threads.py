"""Threads, the garbage collector, subinterpreters, and how a program ends."""

from __future__ import annotations

import gc
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import nyrodb
import pytest
from conftest import run_python

SECONDS = float(os.environ.get("NYRO_STRESS_SECONDS", "3"))


def test_threads_and_the_collector_at_once(tmp_path: Path) -> None:
    seed = int(os.environ.get("NYRO_SEED", random.randrange(2**32)))
    print("seed", seed)
    db = nyrodb.open(tmp_path / "app.nyro", durability="manual", cache_bytes=1 << 20, log_max_bytes=1 << 20)
    users = db["users"]
    users.insert_many({"_id": i, "n": i, "tags": ["a", {"b": i}]} for i in range(2000))
    words = db.keyspace("words")
    words.update({b"a": b"1", b"b": b"2"})
    shared = words.range()
    stop, failed = threading.Event(), []

    class Cycle:
        """Garbage that only the collector frees, with a handle of each kind in it."""

        def __init__(self) -> None:
            self.me = self
            self.scan = users.scan()
            next(self.scan)
            self.snapshot = db.snapshot()
            self.frozen = self.snapshot["users"]
            self.tx = db.transaction()
            self.range, self.keys = words.range(), iter(self.snapshot.keyspace("words"))
            self.all: list[Any] = [self.scan, self.frozen, self.range, self.keys, self]

        def __del__(self) -> None:
            # Runs wherever a collection starts, in the middle of anything.
            users.get(1)
            next(self.scan, None)
            users.put({"_id": -1, "n": -1})
            assert next(self.range) == (b"a", b"1") and next(self.keys) == b"a"
            shared.seek(b"b")
            words.put(b"b", b"2")

    def work(number: int) -> None:
        own = random.Random(seed + number)
        while not stop.is_set():
            act = own.randrange(10)
            id = own.randrange(2000)
            if act < 3:
                found = users.get(id)
                assert found is None or (found["_id"] == id and found["n"] % 2000 == id)
            elif act < 5:
                users.put({"_id": id, "n": id + 2000 * own.randrange(1000), "tags": ["x" * own.randrange(100)]})
            elif act == 5:
                users.delete(id)
                users.put({"_id": id, "n": id})
            elif act == 6:
                for document in users.scan().take(100):
                    assert document["_id"] == -1 or document["n"] % 2000 == document["_id"]
            elif act == 7:
                Cycle()
                shared.seek(b"")
                assert all(entry in ((b"a", b"1"), (b"b", b"2")) for entry in shared.take(5))
                assert words.get_many([b"a", b"x"]) == [b"1", None] and list(words.items())[0] == (b"a", b"1")
            elif act == 8:
                with db.transaction() as tx:
                    before = tx["sum"].get(0) or {"_id": 0, "n": 0}
                    tx["sum"].put({"_id": 0, "n": before["n"] + 1})
                    tx["each"].put({"_id": before["n"]})
            else:
                gc.collect()

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as e:
            failed.append(e)
            stop.set()

    threads = [threading.Thread(target=guarded, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    stop.wait(SECONDS)
    stop.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread hangs"
    if failed:
        raise failed[0]
    gc.collect()
    total = db["sum"].get(0)
    assert total and total["n"] == db["each"].count_documents(), "transactions are one after the other"
    db.verify()
    db.close()


def test_one_scan_in_many_threads_gives_each_document_once(users: nyrodb.Collection) -> None:
    users.insert_many({"_id": i} for i in range(20_000))
    scan, found = users.scan(), []

    def read() -> None:
        for document in scan:
            found.append(document["_id"])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(20_000))


def test_the_lock_is_given_up_while_a_writer_waits(db: nyrodb.Database) -> None:
    begun, waited = threading.Event(), []

    def write() -> None:
        begun.set()
        db["a"].put({"_id": 1})
        waited.append(time.monotonic())

    with db.transaction() as tx:
        thread = threading.Thread(target=write)
        thread.start()
        begun.wait()
        time.sleep(0.1)
        tx["a"].put({"_id": 0})
        ended = time.monotonic()
    thread.join()
    assert waited[0] >= ended and db["a"].count_documents() == 2


def test_waiting_for_the_writer_ends_in_time(tmp_path: Path) -> None:
    with nyrodb.open(tmp_path / "app.nyro", writer_timeout_ms=50) as db:
        raised: list[BaseException] = []

        def write() -> None:
            try:
                db["a"].put({"_id": 1})
            except BaseException as e:
                raised.append(e)

        with db.transaction():
            thread = threading.Thread(target=write)
            thread.start()
            thread.join()
        assert isinstance(raised[0], nyrodb.WriterTimeoutError) and isinstance(raised[0], TimeoutError)


def test_a_transaction_belongs_to_its_thread(db: nyrodb.Database) -> None:
    raised: list[BaseException] = []
    tx = db.transaction().__enter__()
    coll = tx["a"]

    def misuse() -> None:
        for call in (
            lambda: coll.put({}),
            lambda: coll.get(1),
            tx.commit,
            tx.rollback,
            lambda: tx.__exit__(None, None, None),
        ):
            try:
                call()
            except BaseException as e:
                raised.append(e)

    thread = threading.Thread(target=misuse)
    thread.start()
    thread.join()
    assert [type(e) for e in raised] == [nyrodb.WrongThreadError] * 5
    coll.put({"_id": 1})
    tx.__exit__(None, None, None)
    assert db["a"].count_documents() == 1


def test_a_transaction_left_open_ends_with_its_thread(db: nyrodb.Database) -> None:
    def leave() -> None:
        db.transaction().__enter__()["a"].put({"_id": 1})

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    db["a"].put({"_id": 2})
    assert [d["_id"] for d in db["a"]] == [2]


def test_a_close_from_another_thread_ends_everything(tmp_path: Path) -> None:
    for _ in range(5):
        db = nyrodb.open(tmp_path / "app.nyro", durability="manual")
        users = db["users"]
        users.insert_many({"n": i} for i in range(1000))
        ended = []

        def work() -> None:
            try:
                while True:
                    users.put({"_id": 1})
                    users.get(1)
                    list(users)
            except nyrodb.DatabaseClosedError:
                ended.append(1)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.02)
        db.close()
        for thread in threads:
            thread.join(30)
        assert len(ended) == 3


def test_the_collector_is_on_again_after_reading(users: nyrodb.Collection) -> None:
    users.insert_many({"_id": i} for i in range(10))
    assert gc.isenabled()
    users.get(1), users.get_many([1, 2]), list(users), users.scan().take(5)
    with pytest.raises(nyrodb.InvalidDocumentError):
        nyrodb.decode(b"\xc1")
    assert gc.isenabled()
    gc.disable()
    try:
        users.get(1)
        assert not gc.isenabled()
    finally:
        gc.enable()


EXIT = """
import nyrodb, sys, threading, time
db = nyrodb.open(sys.argv[1], durability=sys.argv[2])
users = db["users"]
users.insert_many({"_id": i, "text": "x" * 50} for i in range(2000))
kept = [users.scan(), db.snapshot(), db.snapshot()["users"], db.transaction()]
next(kept[0])
def work(n):
    while True:
        users.put({"_id": 10_000 + n})
        users.get(5); list(users.scan().take(50)); db.stats()
        if n == 2:
            with db.transaction() as tx:
                tx["other"].put({"_id": 1}); time.sleep(0.001)
        if n == 3:
            db.verify(progress=lambda step: None)
for n in range(5):
    threading.Thread(target=work, args=(n,), daemon=True).start()
time.sleep(float(sys.argv[3]))
print("end")
"""


@pytest.mark.parametrize("durability", ["manual", "sync"])
@pytest.mark.parametrize("pause", [0.0, 0.05, 0.2])
def test_a_program_ends_with_open_handles_and_threads_at_work(tmp_path: Path, durability: str, pause: float) -> None:
    for n in range(3):
        path = tmp_path / f"{n}.nyro"
        ended = run_python(EXIT, path, durability, pause)
        assert ended.stdout == "end\n" and ended.stderr == ""
        with nyrodb.open(path) as db:
            assert db["users"].get(5) == {"_id": 5, "text": "x" * 50}


def test_what_is_open_at_the_end_is_closed(tmp_path: Path) -> None:
    program = 'import nyrodb, sys; db = nyrodb.open(sys.argv[1]); db["a"].put({"_id": 1})'
    run_python(program, tmp_path / "app.nyro")
    assert [p.name for p in tmp_path.iterdir()] == ["app.nyro"], "the log is gone: the file was closed"


def test_handles_may_outlive_the_module(tmp_path: Path) -> None:
    program = """
import nyrodb, sys
class Keeper:
    def __init__(self, db): self.db = db; self.users = db["users"]
    def __del__(self):
        try:
            self.users.get(1)
        except ValueError:
            pass
keeper = Keeper(nyrodb.open(sys.argv[1]))
keeper.users.put({"_id": 1})
sys.keeper = keeper
"""
    assert run_python(program, tmp_path / "app.nyro").stderr == ""


def test_a_subinterpreter_is_refused_or_works() -> None:
    program = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        sys.exit()
import nyrodb
nyrodb.decode(nyrodb.encode({"a": 1}))
code = '''
try:
    import nyrodb
except ImportError:
    pass
else:
    assert nyrodb.decode(nyrodb.encode({"a": [1]})) == {"a": [1]}
'''
other = interpreters.create()
interpreters.run_string(other, code)
interpreters.destroy(other)
assert nyrodb.decode(nyrodb.encode({"a": 1})) == {"a": 1}
"""
    run_python(program)


LEFT_OPEN = """
import nyrodb, sys, threading
db = nyrodb.open(sys.argv[1], writer_timeout_ms=2000)
def leave():
    tx = db.transaction().__enter__()
    tx["a"].put({"_id": 1})
    kept.append(tx)
def block():
    with db.transaction() as tx:
        tx["a"].put({"_id": 1})
        yield
kept = []
def finish():
    try:
        kept.pop().close()
    except nyrodb.WrongThreadError:
        pass
def on_thread(call):
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
way = sys.argv[2]
if way == "thread":
    on_thread(leave)
elif way == "main":
    leave()
elif way == "dropped":
    leave(); kept.clear()
elif way == "generator":
    kept.append(block()); next(kept[0])
    on_thread(finish)
if way in ("thread", "dropped"):
    on_thread(lambda: db["a"].put({"_id": 2}))
"""


@pytest.mark.parametrize("way", ["thread", "main", "dropped", "generator"])
def test_a_transaction_that_nobody_ends_holds_nothing_up(tmp_path: Path, way: str) -> None:
    begun = time.monotonic()
    assert run_python(LEFT_OPEN, tmp_path / "app.nyro", way).stderr == ""
    assert time.monotonic() - begun < 1.5, "the end of the program waited for it"
    assert [p.name for p in tmp_path.iterdir()] == ["app.nyro"], "the log is gone: the file was closed"
    with nyrodb.open(tmp_path / "app.nyro") as db:
        assert 1 not in db["a"] and (2 in db["a"]) == (way in ("thread", "dropped"))


def test_a_transaction_that_is_let_go_gives_the_turn_back(db: nyrodb.Database) -> None:
    tx = db.transaction().__enter__()
    tx["a"].put({"_id": 1})
    del tx
    db["a"].put({"_id": 2})
    assert [d["_id"] for d in db["a"]] == [2]


def test_a_transaction_that_was_ended_by_hand_ends_once(db: nyrodb.Database) -> None:
    with db.transaction() as tx:
        tx["a"].put({"_id": 1})
        tx.commit()
        with pytest.raises(nyrodb.ClosedError):
            tx.commit()
        with pytest.raises(nyrodb.ClosedError):
            tx["a"].put({"_id": 2})
    with pytest.raises(nyrodb.InvalidArgumentError):
        tx.__enter__()
    assert [d["_id"] for d in db["a"]] == [1]
