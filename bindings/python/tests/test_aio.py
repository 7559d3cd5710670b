"""asyncio: writes that share a commit, scans that let others have a turn, calls that are cancelled."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import nyrodb
import pytest
from nyrodb import aio


def asynchronous(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return run


@asynchronous
async def test_the_calls(tmp_path: Path) -> None:
    async with await aio.open(tmp_path / "app.nyro", durability="manual") as db:
        users = db["users"]
        assert users.name == "users"
        assert await users.put({"_id": 7, "v": 1}) == 7
        assert (await users.insert_one({"v": 2})).inserted_id == 8
        assert (await users.insert_many([{"v": 3}, {"v": 4}])).inserted_ids == [9, 10]
        assert (await users.replace_one(7, {"v": 5})).matched_count == 1
        assert (await users.replace_one(70, {"v": 5})).matched_count == 0
        assert await users.delete(8) is True and await users.delete(8) is False
        assert await users.put_raw(nyrodb.encode({"_id": 1})) == 1
        assert users.get(7) == {"_id": 7, "v": 5} and 7 in users
        assert users.get_many([7, 8]) == [{"_id": 7, "v": 5}, None]
        assert users.count_documents() == 4
        assert await db.write(lambda tx: tx["users"].put({"_id": "tx"})) == "tx"
        await db.create_collection("a")
        await db.rename_collection("a", "b")
        assert db.collection_names() == ["b", "users"] and await db.drop_collection("b") is True
        await db.sync()
        await db.checkpoint()
        assert (await db.verify()).documents == 5
        await db.compact()
        await db.warm_up()
        await db.backup(tmp_path / "b", name="one")
        assert [b.name for b in db.backups()] == ["one"] and db.stats().commits > 0
        with db.snapshot() as snapshot:
            assert snapshot["users"].get(7) == {"_id": 7, "v": 5}
    with pytest.raises(nyrodb.DatabaseClosedError):
        users.get(7)
    with pytest.raises(nyrodb.DatabaseClosedError):
        await users.put({})
        await asyncio.sleep(0.1)


@asynchronous
async def test_writes_of_a_turn_share_a_commit_and_have_their_own_results(tmp_path: Path) -> None:
    async with await aio.open(tmp_path / "app.nyro") as db:
        users = db["users"]
        await users.put({"_id": 0})
        before = db.stats().commits
        writes = [users.insert_one({"_id": i}) for i in range(1000)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert isinstance(results[0], nyrodb.DuplicateIdError)
        assert [r.inserted_id for r in results[1:]] == list(range(1, 1000))  # type: ignore[union-attr]
        assert db.stats().commits - before <= 2
        assert users.count_documents() == 1000


@asynchronous
async def test_what_is_written_is_what_it_was_at_the_call(tmp_path: Path) -> None:
    async with await aio.open(tmp_path / "app.nyro", durability="manual") as db:
        users, document = db["users"], {"_id": 1, "v": "before"}
        write = users.put(document)
        document["v"] = "after"
        await write
        assert users.get(1) == {"_id": 1, "v": "before"}
        with pytest.raises(nyrodb.UnsupportedTypeError):
            users.put({"v": object()})
        with pytest.raises(nyrodb.BulkWriteError):
            await users.insert_many([{"_id": 5}, {"_id": 1}])
        assert 5 in users


@asynchronous
async def test_a_task_that_is_cancelled_leaves_the_others_alone(tmp_path: Path) -> None:
    async with await aio.open(tmp_path / "app.nyro") as db:
        users = db["users"]
        tasks = [asyncio.ensure_future(users.insert_one({"_id": i})) for i in range(100)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(d, asyncio.CancelledError) for d in done[::2])
        assert [d.inserted_id for d in done[1::2]] == list(range(1, 100, 2))  # type: ignore[union-attr]


@asynchronous
async def test_a_scan_lets_other_tasks_have_a_turn(tmp_path: Path) -> None:
    async with await aio.open(tmp_path / "app.nyro", durability="manual") as db:
        users = db["users"]
        await users.insert_many({"_id": i} for i in range(1000))
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(other())
        assert [d["_id"] async for d in users] == list(range(1000))
        assert turns >= 1000 // aio.SCAN_BATCH
        task.cancel()
        scan = users.scan()
        assert await anext(scan) == {"_id": 0}
        assert [d["_id"] async for d in users.scan(after=scan.token)] == list(range(1, 1000))
        await scan.aclose()
        assert [d async for d in scan] == []


@asynchronous
async def test_a_long_call_is_stopped_with_its_task(tmp_path: Path) -> None:
    async with await aio.open(tmp_path / "app.nyro", durability="manual") as db:
        for start in range(0, 30_000, 1000):
            await db["users"].insert_many({"_id": i, "x": "y" * 200} for i in range(start, start + 1000))
        await db.checkpoint()
        steps: list[nyrodb.Progress] = []
        task = asyncio.ensure_future(db.verify(progress=steps.append))
        while not steps and not task.done():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            await db.verify(timeout=0)
        assert (await db.verify()).documents == 30_000


@asynchronous
async def test_insert_many_is_what_it_is_without_asyncio(tmp_path: Path) -> None:
    bad = [{"_id": 1}, {"_id": 2, "v": object()}, {"_id": 1}, {"_id": 3}]
    async with await aio.open(tmp_path / "app.nyro", durability="manual") as db:
        for n, (options, kept) in enumerate([({}, [1]), ({"ordered": False}, [1, 3]), ({"atomic": True}, [])]):
            raised = []
            for way, insert in (("a", db.sync_database[f"a{n}"].insert_many), ("b", db[f"b{n}"].insert_many)):
                with pytest.raises(nyrodb.NyroError) as error:
                    result = insert(bad, **options)
                    assert way == "b"
                    await result  # type: ignore[misc]
                failures = [(f.index, f.errno) for f in getattr(error.value, "failures", [])]
                raised.append((error.type, getattr(error.value, "inserted_count", 0), failures))
                assert [d["_id"] for d in db.sync_database[f"{way}{n}"]] == kept
            assert raised[0] == raised[1]
        for wrong in ({"_id": 1}, "documents"):
            with pytest.raises(TypeError):
                await db["a"].insert_many(wrong)  # type: ignore[arg-type]
        assert await db["a"].put_raw(bytearray(nyrodb.encode({"_id": 1}))) == 1
        assert await db["a"].put_raw(memoryview(nyrodb.encode({"_id": 2}))) == 2
        assert db["a"].count_documents() == 2


def test_what_was_called_before_a_close_is_written_and_what_comes_after_refused(tmp_path: Path) -> None:
    async def closing() -> None:
        db = await aio.open(tmp_path / "app.nyro")
        users = db["users"]

        async def write(first: int) -> list[int]:
            put = []
            for id in range(first, first + 1000):
                try:
                    await users.put({"_id": id})
                    put.append(id)
                except nyrodb.DatabaseClosedError:
                    break
                if id % 3 == 0:
                    await asyncio.sleep(0)
            return put

        writers = [asyncio.ensure_future(write(n * 1000)) for n in range(5)]
        await asyncio.sleep(0.02)
        await asyncio.gather(db.close(), db.close())
        acknowledged = [id for put in await asyncio.wait_for(asyncio.gather(*writers), 10) for id in put]
        async with await aio.open(tmp_path / "app.nyro") as again:
            assert acknowledged and again["users"].get_many(acknowledged) == [{"_id": id} for id in acknowledged]
            await again["users"].delete(0)

    def eager(loop: asyncio.AbstractEventLoop, *args: Any, **kwargs: Any) -> Any:
        return asyncio.eager_task_factory(loop, *args, **kwargs)  # type: ignore[attr-defined]

    async def eagerly() -> None:
        asyncio.get_running_loop().set_task_factory(eager)
        await closing()

    asyncio.run(closing())
    if hasattr(asyncio, "eager_task_factory"):
        asyncio.run(eagerly())


@asynchronous
async def test_every_close_waits_until_the_database_is_closed(tmp_path: Path) -> None:
    db = await aio.open(tmp_path / "app.nyro")
    busy = asyncio.ensure_future(db.write(lambda tx: time.sleep(0.2)))
    await asyncio.sleep(0.05)
    put = db["users"].put({"_id": 1})
    closes = [asyncio.ensure_future(db.close()) for _ in range(3)]
    await asyncio.sleep(0)
    closes[0].cancel()
    with pytest.raises(nyrodb.DatabaseClosedError):
        db["users"].put({"_id": 2})
    assert not any(close.done() for close in closes[1:])
    await closes[1]
    with pytest.raises(nyrodb.DatabaseClosedError):
        db.stats()
    assert await put == 1
    assert (await asyncio.gather(busy, *closes, return_exceptions=True))[2:] == [None, None]
    await db.close()


@asynchronous
async def test_a_close_whose_task_is_cancelled_at_once_closes(tmp_path: Path) -> None:
    db = await aio.open(tmp_path / "app.nyro")
    close = asyncio.ensure_future(db.close())
    await asyncio.sleep(0)
    close.cancel()
    with pytest.raises(asyncio.CancelledError):
        await close
    with pytest.raises(nyrodb.DatabaseClosedError):
        db["users"].put({"_id": 2})
    await db.close()
    with pytest.raises(nyrodb.DatabaseClosedError):
        db.stats()


@asynchronous
async def test_a_thread_that_takes_nothing_more_fails_the_writes(tmp_path: Path) -> None:
    db = await aio.open(tmp_path / "app.nyro")
    first = db["users"].put({"_id": 1})
    await asyncio.sleep(0)
    second = db["users"].put({"_id": 2})
    # As at the end of the interpreter, when threads take nothing more.
    db._writer._thread.shutdown(wait=False)
    assert await asyncio.wait_for(first, 5) == 1
    with pytest.raises(nyrodb.DatabaseClosedError):
        await asyncio.wait_for(second, 5)
    db.sync_database.close()
