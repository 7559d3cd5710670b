"""Keyspaces: what is Python's own about them. What they do with keys and values is in the conformance scenarios."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, MutableMapping
from itertools import islice
from pathlib import Path
from typing import Any

import nyrodb
import pytest
from conftest import run_python
from nyrodb import aio


@pytest.fixture
def words(db: nyrodb.Database) -> nyrodb.Keyspace:
    words = db.keyspace("words")
    words.update({b"a": b"1", b"b": b"2", b"d": b"4"})
    return words


def test_they_are_mappings(db: nyrodb.Database, words: nyrodb.Keyspace) -> None:
    with db.snapshot() as snapshot, db.transaction() as tx:
        frozen, inside = snapshot.keyspace("words"), tx.keyspace("words")
        assert isinstance(words, MutableMapping) and isinstance(inside, MutableMapping)
        assert isinstance(frozen, Mapping) and not isinstance(frozen, MutableMapping)
        assert words == frozen == inside == {b"d": b"4", b"a": b"1", b"b": b"2"}
        assert {b"a": b"1"} != words and words != {b"a": b"1", b"b": b"2", b"c": b"4"} and words != 7
        assert words != {**words, b"e": b""} and words != db.keyspace("none") and not db.keyspace("none")
        inside[b"c"] = b"3"
        assert words == frozen != inside and len(inside) == 4
        assert repr(words) == '<nyrodb.Keyspace "words">' and repr(frozen) == '<nyrodb.SnapshotKeyspace "words">'
        assert repr(inside) == '<nyrodb.TransactionKeyspace "words">' and inside.name == "words"
        for write in ("put", "update", "clear", "pop", "__setitem__", "__delitem__"):
            assert not hasattr(frozen, write)
    with pytest.raises(TypeError):
        hash(words)
    match words:
        case {b"a": first}:
            assert first == b"1"
        case _:
            pytest.fail("a keyspace is no mapping to match")


def test_one_key(words: nyrodb.Keyspace) -> None:
    assert words[b"a"] == b"1" and words.get(b"x") is None and words.get(b"x", 7) == 7
    assert b"a" in words and b"x" not in words
    words[b"e"] = bytearray(b"5")
    words[memoryview(b"f")] = memoryview(b"six")[1:2]
    assert words[bytearray(b"e")] == b"5" and type(words[b"e"]) is bytes and words[b"f"] == b"i"
    for missing in (lambda: words[b"x"], lambda: words.pop(b"x"), lambda: words.__delitem__(b"x")):
        with pytest.raises(KeyError) as error:
            missing()
        assert error.value.args == (b"x",) and not isinstance(error.value, nyrodb.NyroError)
    words.delete(b"x")
    del words[b"f"]
    assert words.pop(b"f", None) is None and words.pop(b"e", b"") == b"5"
    assert words.setdefault(b"a", b"9") == b"1" and words.setdefault(b"z", b"9") == b"9" == words[b"z"]
    assert words.popitem() == (b"z", b"9") and words.popitem(last=False) == (b"a", b"1")
    words.clear()
    with pytest.raises(KeyError):
        words.popitem()
    assert not words and len(words) == 0 and words.first() is None and words.last() is None


def test_keys_and_values_are_bytes(words: nyrodb.Keyspace) -> None:
    wrong: list[Any] = ["a", 1, None, 1.5, ("a",)]
    for key in wrong:
        for call in (
            lambda: words[key], lambda: words.get(key), lambda: key in words, lambda: words.put(key, b""),
            lambda: words.put(b"k", key), lambda: words.delete(key), lambda: words.__delitem__(key),
            lambda: words.get_many([b"a", key]), lambda: words.setdefault(b"new", key), lambda: words.pop(key),
            lambda: words.update({b"k": b"", key: b""}), lambda: words.prefix(key),
            lambda: words.write_many([("put", b"k", b""), ("delete", key)]), lambda: words.range().seek(key),
        ):  # fmt: skip
            with pytest.raises(TypeError, match="bytes-like"):
                call()
        assert key not in words.keys() and (key, b"1") not in words.items() and key not in words.values()
    assert words == {b"a": b"1", b"b": b"2", b"d": b"4"}


def test_views(words: nyrodb.Keyspace) -> None:
    keys, values, items = words.keys(), words.values(), words.items()
    assert list(keys) == list(words) == [b"a", b"b", b"d"] and list(reversed(words)) == [b"d", b"b", b"a"]
    assert list(reversed(keys)) == [b"d", b"b", b"a"]
    assert list(values) == [b"1", b"2", b"4"] and list(reversed(values)) == [b"4", b"2", b"1"]
    assert list(items) == [(b"a", b"1"), (b"b", b"2"), (b"d", b"4")] and list(reversed(items)) == list(items)[::-1]
    assert (
        keys & {b"a", b"x", "a"} == {b"a"} and keys == {b"a", b"b", b"d"} and keys > {b"a"} and keys.isdisjoint([b"x"])
    )
    assert keys - {b"a"} == {b"b", b"d"} and items & {(b"a", b"1"), (b"a", b"2"), 7} == {(b"a", b"1")}
    assert b"2" in values and b"3" not in values and (b"b", b"2") in items and (b"b", b"3") not in items
    assert len(keys) == len(values) == len(items) == 3
    # They are of the keyspace as it is; a loop is of the moment when it began.
    loop = iter(keys)
    words[b"c"] = b"3"
    assert list(loop) == [b"a", b"b", b"d"] and list(keys) == [b"a", b"b", b"c", b"d"] and len(values) == 4
    for key in words:
        del words[key]
    assert not words


def test_update_takes_what_a_dict_takes_in_one_commit(db: nyrodb.Database, words: nyrodb.Keyspace) -> None:
    class HasKeys:
        def keys(self) -> Iterator[bytes]:
            return iter((b"k1", b"k2"))

        def __getitem__(self, key: bytes) -> bytes:
            return key.upper()

    other = db.keyspace("other")
    for changes, wanted in (
        ({b"a": b"x"}, {b"a": b"x"}),
        ([(b"b", b"y"), [b"c", b"z"]], {b"b": b"y", b"c": b"z"}),
        (((bytes([i]), b"") for i in range(100)), {bytes([i]): b"" for i in range(100)}),
        (HasKeys(), {b"k1": b"K1", b"k2": b"K2"}),
        (words, {b"a": b"1", b"b": b"2", b"d": b"4"}),
        (words.items(), {b"a": b"1", b"b": b"2", b"d": b"4"}),
    ):
        other.clear()
        before = db.stats().commits
        other.update(changes)  # type: ignore[arg-type]
        assert db.stats().commits - before == 1 and other == wanted
    other.update()
    other.update(other)
    assert other == words


def test_an_update_that_fails_changes_nothing(words: nyrodb.Keyspace) -> None:
    before = dict(words)

    def failing() -> Iterator[tuple[bytes, bytes]]:
        yield b"new", b""
        raise ZeroDivisionError

    class FailsLater:
        def keys(self) -> list[bytes]:
            return [b"a", b"x"]

        def __getitem__(self, key: bytes) -> bytes:
            return {b"a": b"changed"}[key]

    long = bytes(65_536)
    for changes, error in (
        (failing(), ZeroDivisionError), (FailsLater(), KeyError), ([(b"a", b"", b"")], ValueError), (7, TypeError),
        ([(b"a", b"changed"), (long, b"")], nyrodb.KeyTooLargeError), ([7], TypeError),
        ({b"a": b"changed", b"v": bytes((16 << 20) + 1)}, nyrodb.ValueTooLargeError),
    ):  # fmt: skip
        with pytest.raises(error):
            words.update(changes)  # type: ignore[arg-type]
        assert words == before
    with pytest.raises(TypeError):
        words.update(a=b"1")  # type: ignore[call-arg]
    for changes in ([("put", b"a")], [("take", b"a")], [()], [("clear", b"a")], [(b"put", b"a", b"")]):
        with pytest.raises(ValueError, match="change number 1"):
            words.write_many([("clear",), *changes])  # type: ignore[list-item]
    with pytest.raises(nyrodb.KeyTooLargeError):
        words.write_many([("clear",), ("put", long, b"")])
    assert words == before


def test_in_a_transaction_an_update_that_fails_ends_with_it(db: nyrodb.Database, words: nyrodb.Keyspace) -> None:
    with pytest.raises(nyrodb.KeyTooLargeError), db.transaction() as tx:
        inside = tx.keyspace("words")
        inside.write_many([("clear",), ("put", b"x", b"y")])
        assert inside == {b"x": b"y"} and inside.get_many([b"x", b"a"]) == [b"y", None]
        inside.update([(b"z", b""), (bytes(65_536), b"")])
    assert words == {b"a": b"1", b"b": b"2", b"d": b"4"}


def test_ranges(words: nyrodb.Keyspace) -> None:
    words.update({b"ab": b"5", b"ab\xff": b"6", b"\xff": b"7"})
    keys = lambda **bounds: [key for key, _ in words.range(**bounds)]
    assert keys(gt=b"a", lte=b"b") == [b"ab", b"ab\xff", b"b"] and keys(gte=b"ab", lt=b"b") == [b"ab", b"ab\xff"]
    assert keys(prefix=b"ab", reverse=True) == [b"ab\xff", b"ab"] and keys(prefix=b"\xff") == [b"\xff"]
    assert list(words.prefix(b"ab", limit=1)) == [(b"ab", b"5")] and keys(limit=0) == [] and keys(gt=b"\xff") == []
    assert list(words.prefix(b"", reverse=True, limit=1)) == [words.last()] == [(b"\xff", b"7")]
    for bounds in (
        {"gt": b"a", "gte": b"a"},
        {"lt": b"a", "lte": b"a"},
        {"prefix": b"a", "lt": b"b"},
        {"gt": b"b", "lt": b"a"},
    ):
        with pytest.raises(nyrodb.InvalidArgumentError):
            words.range(**bounds)
        with pytest.raises(nyrodb.InvalidArgumentError):
            words.delete_range(**bounds)
    for limit in (-1, "1"):
        with pytest.raises((OverflowError, TypeError)):
            words.range(limit=limit)  # type: ignore[arg-type]
    words.delete_range(gte=b"ab", lt=b"d")
    assert list(words) == [b"a", b"d", b"\xff"]
    words.delete_range(prefix=b"d")
    words.delete_range()
    assert not words


def test_a_range_is_sought_taken_and_closed(words: nyrodb.Keyspace) -> None:
    with words.range(limit=4) as found:
        assert iter(found) is found and next(found) == (b"a", b"1")
        found.seek(b"c")
        assert found.take(0) == [] and found.take(5) == [(b"d", b"4")] and found.take(5) == []
        found.seek(b"")
        # Four in all, wherever they are.
        assert list(found) == [(b"a", b"1"), (b"b", b"2")] and next(found, None) is None
        found.seek(b"a")
        assert next(found, None) is None
        with pytest.raises(nyrodb.KeyTooLargeError):
            found.seek(bytes(70_000))
    found.close()
    assert list(found) == []
    with pytest.raises(nyrodb.ClosedError):
        found.seek(b"a")


def test_ranges_that_are_left_early_hold_nothing(db: nyrodb.Database, words: nyrodb.Keyspace) -> None:
    def pinned() -> int:
        """Bytes that older states keep, once there are some."""
        words[b"z"] = bytes(100_000)
        db.checkpoint()
        words[b"z"] = b""
        db.checkpoint()
        gc.collect()
        return db.stats().pinned_memory_bytes

    for key, _ in words.range():
        assert key == b"a"
        break
    assert list(islice(words, 1)) == [b"a"] and words.first() == (b"a", b"1") and b"1" in words.values()
    assert pinned() == 0
    held = words.range()
    next(held)
    assert pinned() > 0
    held.close()
    assert pinned() == 0
    # One that came to its end may be sought again and keeps what it shows; an iterator does not.
    keys = iter(words)
    assert len(list(keys)) == 4 and pinned() == 0
    ended = words.range()
    assert len(list(ended)) == 4 and pinned() > 0
    ended.seek(b"b")
    assert next(ended) == (b"b", b"2")
    del ended
    assert pinned() == 0


def test_transactions(db: nyrodb.Database, words: nyrodb.Keyspace) -> None:
    tx = db.transaction()
    early = tx.keyspace("words")
    with pytest.raises(nyrodb.InvalidArgumentError):
        early.get(b"a")
    with tx:
        assert early[b"a"] == b"1"
        early[b"c"] = b"3"
        assert early.popitem() == (b"d", b"4") and early.pop(b"b") == b"2" and early.setdefault(b"a", b"") == b"1"
        with pytest.raises(KeyError):
            del early[b"x"]
        found = early.range(reverse=True)
        assert next(found) == (b"c", b"3")
        early[b"b"] = b"new"
        # Of a transaction a range gives what is there when it is reached.
        assert list(found) == [(b"b", b"new"), (b"a", b"1")]
        assert words == {b"a": b"1", b"b": b"2", b"d": b"4"}
        with pytest.raises(nyrodb.NestedTransactionError):
            words.put(b"x", b"")
        raised: list[BaseException] = []

        def elsewhere() -> None:
            for call in (
                lambda: early.get(b"a"),
                lambda: early.put(b"a", b""),
                lambda: next(found),
                lambda: len(early),
            ):
                try:
                    call()
                except nyrodb.WrongThreadError as e:
                    raised.append(e)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert len(raised) == 4
        tx.rename_keyspace("words", "others")
        assert tx.drop_keyspace("none") is False
    assert db.keyspace("others") == {b"a": b"1", b"b": b"new", b"c": b"3"} and db.keyspace_names() == ["others"]
    for call in (lambda: early.get(b"a"), lambda: next(found), lambda: early.clear(), lambda: len(early)):
        with pytest.raises(nyrodb.DatabaseClosedError):
            call()
    kept = db.write(lambda tx: tx.keyspace("others").range())
    with pytest.raises(nyrodb.DatabaseClosedError):
        next(kept)


def test_snapshots_names_and_figures(db: nyrodb.Database, words: nyrodb.Keyspace) -> None:
    with db.snapshot() as snapshot:
        words.clear()
        assert db.drop_keyspace("words") is True and db.drop_keyspace("words") is False
        frozen = snapshot.keyspace("words")
        assert snapshot.keyspace_names() == ["words"] and db.keyspace_names() == []
        assert list(frozen.range(gt=b"a")) == [(b"b", b"2"), (b"d", b"4")] and frozen.estimated_len() >= 3
        assert frozen.get_many([b"a", b"x"]) == [b"1", None] and len(frozen) == 3 and frozen.last() == (b"d", b"4")
    for call in (lambda: snapshot.keyspace("words"), lambda: snapshot.keyspace_names()):
        with pytest.raises(nyrodb.DatabaseClosedError):
            call()
    assert frozen[b"a"] == b"1"
    del frozen
    db["documents"].put({"_id": 1})
    with pytest.raises(nyrodb.OtherKindError):
        db.keyspace("documents").get(b"a")
    db.keyspace("figures").update((i.to_bytes(4, "big"), bytes(100)) for i in range(10_000))
    assert db.keyspace("figures").estimated_len() > 5_000
    db.checkpoint()
    stats = db.keyspace_stats()
    assert isinstance(stats, nyrodb.KeyspaceStats) and sum(level.entries for level in stats.levels) >= 10_000
    assert stats.levels[0].file_bytes > 0 and stats.flushed_bytes > 1_000_000
    assert len(db.keyspace("figures")) == 10_000


def test_every_handle_of_a_closed_database_says_so(tmp_path: Path) -> None:
    db = nyrodb.open(tmp_path / "app.nyro", durability="manual")
    words = db.keyspace("words")
    words.update({bytes([i]): b"" for i in range(100)})
    found, keys, frozen = words.range(), iter(words), db.snapshot().keyspace("words")
    next(found), next(keys)
    db.close()
    for number, call in enumerate([
        lambda: words[b"a"], lambda: words.get(b"a"), lambda: words.get_many([b"a"]), lambda: b"a" in words,
        lambda: len(words), lambda: bool(words), lambda: words.put(b"a", b""), lambda: words.delete(b"a"),
        lambda: words.__delitem__(b"a"), lambda: words.pop(b"a"), lambda: words.popitem(), lambda: words.clear(),
        lambda: words.setdefault(b"a", b""), lambda: words.update({b"a": b""}), lambda: words.delete_range(),
        lambda: words.write_many([("clear",)]), lambda: words.range(), lambda: iter(words), lambda: words.first(),
        lambda: list(words.items()), lambda: words == {}, lambda: next(found), lambda: found.take(5), lambda: next(keys),
        lambda: (found.seek(b"a"), next(found)), lambda: frozen.get(b"a"), lambda: len(frozen), lambda: words.estimated_len(),
        lambda: db.keyspace_names(), lambda: db.rename_keyspace("a", "b"), lambda: db.drop_keyspace("a"),
        lambda: db.keyspace_stats(),
    ]):  # fmt: skip
        with pytest.raises(nyrodb.DatabaseClosedError):
            call()
            pytest.fail(f"call {number} went through")


def test_handles_keep_what_they_need(tmp_path: Path) -> None:
    path = tmp_path / "app.nyro"
    db = nyrodb.open(path, durability="manual")
    db.keyspace("words").update({b"a": b"1", b"b": b"2"})
    found, keys, frozen = db.keyspace("words").range(), iter(db.keyspace("words")), db.snapshot().keyspace("words")
    for handle in (found, keys, frozen, db.keyspace("words")):
        assert weakref.ref(handle)() is handle
    del db, handle
    gc.collect()
    assert next(found) == (b"a", b"1") and next(keys) == b"a" and frozen[b"b"] == b"2"
    del found, keys, frozen
    gc.collect()
    with nyrodb.open(path, read_only=True) as db:
        words = db.keyspace("words")
        assert words == {b"a": b"1", b"b": b"2"}
        with pytest.raises(nyrodb.ReadOnlyError):
            words[b"c"] = b""


def test_threads(db: nyrodb.Database) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    counts, pool = db.keyspace("counts"), db.keyspace("pool")
    pool.update((i.to_bytes(4, "big"), b"") for i in range(2_000))
    shared, taken, seen, failed = pool.range(), [], [], []

    def work(number: int) -> None:
        own = random.Random(seed + number)
        for _ in range(200):
            with db.transaction() as tx:
                inside = tx.keyspace("counts")
                inside[b"n"] = str(int(inside.get(b"n", b"0")) + 1).encode()
            seen.extend(shared.take(own.randrange(20)))
            for _ in range(own.randrange(3)):
                taken.append(pool.popitem(last=own.random() < 0.5)[0])
            assert len(list(counts)) <= 1 and pool.range(prefix=b"\0").take(3) is not None
            if own.random() < 0.1:
                gc.collect()
        seen.extend(shared)

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread hangs"
    if failed:
        raise failed[0]
    assert counts[b"n"] == b"800"
    assert len(set(taken)) == len(taken) and len(pool) == 2_000 - len(taken)
    assert len(seen) == len(set(seen)) == 2_000


def test_the_lock_is_given_up_while_a_write_waits(db: nyrodb.Database) -> None:
    words, ended = db.keyspace("words"), []

    def write() -> None:
        words.put(b"a", b"1")
        ended.append(time.monotonic())

    with db.transaction() as tx:
        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.1)
        tx.keyspace("words").put(b"a", b"0")
        last = time.monotonic()
    thread.join()
    assert ended[0] >= last and words[b"a"] == b"1"


FORK = """
import nyrodb, os, sys, warnings
warnings.simplefilter("ignore")
db = nyrodb.open(sys.argv[1], durability="manual")
words = db.keyspace("words")
words.update((bytes([i]), b"") for i in range(100))
found, keys, frozen = words.range(), iter(words), db.snapshot().keyspace("words")
next(found), next(keys)
child = os.fork()
if child == 0:
    for call in (lambda: words.get(b"a"), lambda: words.put(b"a", b""), lambda: next(found), lambda: next(keys),
                 lambda: (found.seek(b""), next(found)), lambda: frozen.get(b"a"), lambda: len(words), lambda: words.update({b"a": b""}),
                 lambda: list(words.items()), lambda: words.pop(b"a"), lambda: db.keyspace_names()):
        try:
            call()
        except nyrodb.ForkedError:
            pass
        else:
            os._exit(3)
    with nyrodb.open(sys.argv[1] + ".child") as own:
        own.keyspace("words")[b"a"] = b"1"
        assert own.keyspace("words") == {b"a": b"1"}
    del found, keys, frozen, words
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert len(list(found)) == 99 and len(words) == 100
words[b"parent"] = b"1"
db.close()
print("parent done")
"""


def test_a_forked_child_is_refused_and_the_parent_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "app.nyro"
    assert run_python(FORK, path).stdout == "parent done\n"
    with nyrodb.open(path) as db:
        assert db.keyspace("words")[b"parent"] == b"1"


def test_asyncio(tmp_path: Path) -> None:
    async def calls() -> None:
        async with await aio.open(tmp_path / "app.nyro") as db:
            words = db.keyspace("words")
            await words.put(b"a", b"1")
            before = db.stats().commits
            puts = [words.put(i.to_bytes(2, "big"), b"x") for i in range(1, 1001)]
            bad = words.put(bytes(70_000), b"")
            results = await asyncio.gather(*puts, bad, words.delete(b"\0\1"), return_exceptions=True)
            assert results[:1000] == [None] * 1000 and isinstance(results[1000], nyrodb.KeyTooLargeError)
            assert results[1001] is None and db.stats().commits - before <= 2
            assert await words.count() == 1000 and words.name == "words" and words.estimated_len() > 0
            with pytest.raises(TypeError):
                words.put("a", b"")  # type: ignore[arg-type]
            # Each of these is all or nothing, whatever comes before and after.
            group = [
                words.put(b"b", b"2"), words.update({b"c": b"3", bytes(70_000): b""}), words.put(b"d", b"4"),
                words.write_many([("delete_range", None, b"a"), ("put", b"e", b"5")]), db["documents"].put({"_id": 1}),
            ]  # fmt: skip
            results = await asyncio.gather(*group, return_exceptions=True)
            assert isinstance(results[1], nyrodb.KeyTooLargeError) and results[3] is None and results[4] == 1
            assert [entry async for entry in words] == [(b"a", b"1"), (b"b", b"2"), (b"d", b"4"), (b"e", b"5")]
            assert [key async for key, _ in words.range(gt=b"a", reverse=True, limit=2)] == [b"e", b"d"]
            assert [key async for key, _ in words.prefix(b"b")] == [b"b"]
            found = words.range()
            found.seek(b"c")
            assert await anext(found) == (b"d", b"4")
            await found.aclose()
            assert [entry async for entry in found] == []
            assert words[b"a"] == b"1" and b"x" not in words and words.get_many([b"a", b"x"]) == [b"1", None]
            assert words.first() == (b"a", b"1") and words.last() == (b"e", b"5") and words.get(b"x", b"?") == b"?"
            await words.delete_range(gt=b"b")
            await words.update([(b"z", b"26")])
            assert dict(db.snapshot().keyspace("words")) == {b"a": b"1", b"b": b"2", b"z": b"26"}
            await words.clear()
            assert words.first() is None and await db.write(lambda tx: len(tx.keyspace("words"))) == 0
            await db.rename_keyspace("words", "others")
            assert db.keyspace_names() == ["others"] and await db.drop_keyspace("others") is True
            assert db.keyspace_stats().memtable_bytes >= 0
        with pytest.raises(nyrodb.DatabaseClosedError):
            await words.put(b"a", b"")

    asyncio.run(asyncio.wait_for(calls(), 60))
