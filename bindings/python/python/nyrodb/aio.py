"""NyroDB for asyncio.

    async with await aio.open(path) as db:
        users = db["users"]
        await users.put({"_id": 1, "name": "Ada"})
        ada = users.get(1)

Reads are direct: they take about a microsecond and never wait for anybody. Writes are awaited: all that are made in one
turn of the event loop are encoded at once and share one commit, on a worker thread. Calls that take long run on a
thread of their own; when the task that awaits one is cancelled, the call is stopped.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from . import _nyrodb
from ._nyrodb import (
    CancelToken,
    Database,
    InsertManyResult,
    InsertOneResult,
    KeyRange,
    Scan,
    Snapshot,
    Transaction,
    UpdateResult,
)
from ._reports import (
    BackupInfo,
    BackupReport,
    CompactReport,
    KeyspaceStats,
    Progress,
    Stats,
    VerifyReport,
    WarmUpReport,
)
from .errors import DatabaseClosedError

if TYPE_CHECKING:
    from ._nyrodb import _Change, _Puts

__all__ = ["AsyncCollection", "AsyncDatabase", "AsyncKeyRange", "AsyncKeyspace", "AsyncScan", "open"]

_T = TypeVar("_T")
_Document = dict[str, Any]
_Id = int | str | bytes
_BytesIn = bytes | bytearray | memoryview
_Path = str | PathLike[str]
_Tell = Callable[[Progress], object] | None

#: Documents of a scan, or keys of a range, that are read before other tasks have a turn.
SCAN_BATCH = 64


async def open(path: _Path, **options: Any) -> AsyncDatabase:
    """``nyrodb.open`` on a thread: recovery may take a while."""
    return AsyncDatabase(await asyncio.to_thread(_nyrodb.open, path, **options))


class _Writer:
    """Gathers the writes of a turn, and has one thread commit them.

    While the thread is busy the writes of further turns gather, too: the slower the disk, the larger the batch.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nyrodb-writer")
        self._batch = _nyrodb.Batch()
        self._waiting: list[asyncio.Future[Any]] = []
        self._scheduled = False
        self._sent = 0
        self._stopped = False
        self._closed: asyncio.Future[None] | None = None

    def add(self, add: Callable[[_nyrodb.Batch], None]) -> asyncio.Future[Any]:
        """Adds a write to this turn's batch."""
        loop = asyncio.get_running_loop()
        if self._stopped:
            raise DatabaseClosedError("the database is closed; open it again")
        # What can't be encoded raises here and is not in the batch.
        add(self._batch)
        future = loop.create_future()
        self._waiting.append(future)
        if not self._scheduled and not self._sent:
            self._scheduled = True
            loop.call_soon(self._send)
        return future

    def _send(self) -> None:
        self._scheduled = False
        if not self._waiting:
            return
        batch, waiting = self._batch, self._waiting
        self._batch, self._waiting = _nyrodb.Batch(), []
        try:
            sent = asyncio.wrap_future(self._thread.submit(batch.commit, self._db))
        except RuntimeError as e:
            # The thread takes nothing any more: the program is ending.
            error = DatabaseClosedError(f"the write was not made: {e}")
            self._settle(waiting, [error] * len(waiting))
            return
        self._sent += 1
        sent.add_done_callback(functools.partial(self._done, waiting))

    def _done(self, waiting: list[asyncio.Future[Any]], sent: asyncio.Future[list[Any]]) -> None:
        self._sent -= 1
        error = asyncio.CancelledError() if sent.cancelled() else sent.exception()
        self._settle(waiting, [error] * len(waiting) if error is not None else sent.result())
        if not self._sent:
            self._send()

    @staticmethod
    def _settle(waiting: list[asyncio.Future[Any]], results: list[Any]) -> None:
        for future, result in zip(waiting, results):
            # A task that was cancelled does not wait any more; its write was made all the same.
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)

    async def run(self, call: Callable[[], _T]) -> _T:
        """Runs a writing call on the thread, after what was written before."""
        if self._stopped:
            raise DatabaseClosedError("the database is closed; open it again")
        self._send()
        return await asyncio.wrap_future(self._thread.submit(call))

    async def close(self) -> None:
        """Closes the database after what was written before. From the call on nothing is added; every call waits for
        the end, and the close goes on when a task that waits for it is cancelled."""
        if self._closed is None:
            # In one step, with nothing awaited in between.
            self._stopped = True
            self._send()
            self._closed = asyncio.wrap_future(self._thread.submit(self._db.close))
            self._thread.shutdown(wait=False)
        await asyncio.shield(self._closed)


class _Long(Protocol):
    def __call__(self, *, cancel: CancelToken, progress: Any, timeout: float | None) -> Any: ...


async def _long(call: _Long, progress: _Tell, timeout: float | None) -> Any:
    """Runs a long call on a thread; when the task is cancelled, the call is stopped and waited for."""
    loop = asyncio.get_running_loop()
    token = CancelToken()
    tell = None
    if progress is not None:
        # On the loop's thread, as everything of asyncio's.
        def tell(step: Progress) -> None:
            loop.call_soon_threadsafe(progress, step)

    running = asyncio.ensure_future(asyncio.to_thread(call, cancel=token, progress=tell, timeout=timeout))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        token.cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()
        raise


class AsyncDatabase:
    """A database whose writes are awaited."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._writer = _Writer(db)

    @property
    def sync_database(self) -> Database:
        """The database itself, for what has no form here."""
        return self._db

    async def __aenter__(self) -> AsyncDatabase:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Commits what is under way and closes."""
        await self._writer.close()

    def __getitem__(self, name: str) -> AsyncCollection:
        return self.collection(name)

    def collection(self, name: str) -> AsyncCollection:
        """The collection of that name."""
        return AsyncCollection(self._db, self._writer, name)

    def keyspace(self, name: str) -> AsyncKeyspace:
        """The keyspace of that name."""
        return AsyncKeyspace(self._db, self._writer, name)

    async def write(self, function: Callable[[Transaction], _T]) -> _T:
        """Runs ``function`` as a transaction on the worker thread. It is a plain function: a transaction in which
        others are awaited would hold up every other writer."""
        return await self._writer.run(functools.partial(self._db.write, function))

    def snapshot(self) -> Snapshot:
        """The whole database as of now."""
        return self._db.snapshot()

    async def sync(self) -> None:
        """Makes every commit so far durable."""
        await self._writer.run(self._db.sync)

    async def checkpoint(self) -> None:
        """Moves everything from memory and log into the file now."""
        await asyncio.to_thread(self._db.checkpoint)

    async def compact(self, *, progress: _Tell = None, timeout: float | None = None) -> CompactReport:
        """Makes the file as small as its documents allow."""
        return await _long(self._db.compact, progress, timeout)  # type: ignore[no-any-return]

    async def warm_up(
        self, *, limit_bytes: int | None = None, progress: _Tell = None, timeout: float | None = None
    ) -> WarmUpReport:
        """Brings pages of the file into memory."""
        call = functools.partial(self._db.warm_up, limit_bytes=limit_bytes)
        return await _long(call, progress, timeout)  # type: ignore[no-any-return]

    async def backup(
        self,
        path: _Path,
        *,
        name: str | None = None,
        since: str | None = None,
        overwrite: bool = False,
        progress: _Tell = None,
        timeout: float | None = None,
    ) -> BackupReport:
        """Writes a backup to a file."""
        call = functools.partial(self._db.backup, path, name=name, since=since, overwrite=overwrite)
        return await _long(call, progress, timeout)  # type: ignore[no-any-return]

    def backups(self) -> list[BackupInfo]:
        """The named backups that the database remembers."""
        return self._db.backups()

    async def verify(self, *, progress: _Tell = None, timeout: float | None = None) -> VerifyReport:
        """Checks the whole database."""
        return await _long(self._db.verify, progress, timeout)  # type: ignore[no-any-return]

    def stats(self) -> Stats:
        """Figures about the database as of now."""
        return self._db.stats()

    def collection_names(self) -> list[str]:
        """Names of all collections, sorted."""
        return self._db.collection_names()

    async def create_collection(self, name: str) -> None:
        """Makes an empty collection."""
        await self._writer.run(functools.partial(self._db.create_collection, name))

    async def rename_collection(self, old: str, new: str) -> None:
        """Gives a collection another name."""
        await self._writer.run(functools.partial(self._db.rename_collection, old, new))

    async def drop_collection(self, name: str) -> bool:
        """Drops a collection with all its documents; False if there is none."""
        return await self._writer.run(functools.partial(self._db.drop_collection, name))

    def keyspace_names(self) -> list[str]:
        """Names of all keyspaces, sorted."""
        return self._db.keyspace_names()

    async def rename_keyspace(self, old: str, new: str) -> None:
        """Gives a keyspace another name."""
        await self._writer.run(functools.partial(self._db.rename_keyspace, old, new))

    async def drop_keyspace(self, name: str) -> bool:
        """Drops a keyspace with all its keys; False if there is none."""
        return await self._writer.run(functools.partial(self._db.drop_keyspace, name))

    def keyspace_stats(self) -> KeyspaceStats:
        """Figures about what the keyspaces lie in."""
        return self._db.keyspace_stats()


class AsyncCollection:
    """Documents by ``_id``: reads are direct, writes are awaited."""

    def __init__(self, db: Database, writer: _Writer, name: str) -> None:
        self._coll = db.collection(name)
        self._writer = writer
        self._name = name
        # Reads are the collection's own methods: nothing stands in between.
        self.get = self._coll.get
        self.get_many = self._coll.get_many
        self.get_raw = self._coll.get_raw
        self.contains = self._coll.contains
        self.count_documents = self._coll.count_documents
        self.estimated_document_count = self._coll.estimated_document_count

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    def __contains__(self, id: _Id) -> bool:
        return id in self._coll

    def __aiter__(self) -> AsyncScan:
        return self.scan()

    def scan(self, *, after: int = 0) -> AsyncScan:
        """All documents, for ``async for``; with ``after``, those behind that token."""
        return AsyncScan(self._coll.scan(after=after))

    def put(self, document: Mapping[str, Any]) -> Awaitable[_Id]:
        """Inserts the document, or replaces the one with its ``_id``; gives the id."""
        return self._writer.add(lambda batch: batch.put(self._name, document))

    def put_raw(self, document: bytes | bytearray | memoryview) -> Awaitable[_Id]:
        """``put`` for bytes that are already MessagePack."""
        return self._writer.add(lambda batch: batch.put_raw(self._name, document))

    async def insert_one(self, document: Mapping[str, Any]) -> InsertOneResult:
        """Inserts the document. Error: ``DuplicateIdError``."""
        return InsertOneResult(await self._writer.add(lambda batch: batch.insert_one(self._name, document)))

    async def insert_many(
        self, documents: Iterable[Mapping[str, Any]], *, ordered: bool = True, atomic: bool = False
    ) -> InsertManyResult:
        """Inserts documents in a commit of their own."""
        add = functools.partial(self._add_many, documents, ordered, atomic)
        return InsertManyResult(await self._writer.add(add))

    def _add_many(
        self, documents: Iterable[Mapping[str, Any]], ordered: bool, atomic: bool, batch: _nyrodb.Batch
    ) -> None:
        batch.insert_many(self._name, documents, ordered=ordered, atomic=atomic)

    async def replace_one(self, id: _Id, document: Mapping[str, Any]) -> UpdateResult:
        """Replaces the document with this id."""
        found = await self._writer.add(lambda batch: batch.replace_one(self._name, id, document))
        return UpdateResult(int(found), int(found))

    def delete(self, id: _Id) -> Awaitable[bool]:
        """Deletes the document with this id; False if there is none."""
        return self._writer.add(lambda batch: batch.delete(self._name, id))


class AsyncScan(AsyncIterator[_Document]):
    """Documents one after the other; other tasks have a turn after each few."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._left = 0

    @property
    def token(self) -> int:
        """Where the scan is: ``scan(after=token)`` goes on behind the last document given."""
        return self._scan.token

    def __aiter__(self) -> AsyncScan:
        return self

    async def __anext__(self) -> _Document:
        if not self._left:
            await asyncio.sleep(0)
            self._left = SCAN_BATCH
        self._left -= 1
        document = next(self._scan, None)
        if document is None:
            raise StopAsyncIteration
        return document

    async def aclose(self) -> None:
        """Ends the scan and lets its snapshot go."""
        self._scan.close()


class AsyncKeyspace:
    """An ordered map from bytes to bytes: reads are direct, writes are awaited."""

    def __init__(self, db: Database, writer: _Writer, name: str) -> None:
        self._keys = db.keyspace(name)
        self._writer = writer
        self._name = name
        # Reads are the keyspace's own methods: nothing stands in between.
        self.get = self._keys.get
        self.get_many = self._keys.get_many
        self.first = self._keys.first
        self.last = self._keys.last
        self.estimated_len = self._keys.estimated_len

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    def __getitem__(self, key: _BytesIn) -> bytes:
        return self._keys[key]

    def __contains__(self, key: _BytesIn) -> bool:
        return key in self._keys

    async def count(self) -> int:
        """The number of keys, exact: reads them all, on a thread."""
        return await asyncio.to_thread(len, self._keys)

    def __aiter__(self) -> AsyncKeyRange:
        return self.range()

    def range(
        self,
        *,
        gt: _BytesIn | None = None,
        gte: _BytesIn | None = None,
        lt: _BytesIn | None = None,
        lte: _BytesIn | None = None,
        prefix: _BytesIn | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> AsyncKeyRange:
        """The keys between the bounds with their values, for ``async for``."""
        found = self._keys.range(gt=gt, gte=gte, lt=lt, lte=lte, prefix=prefix, reverse=reverse, limit=limit)
        return AsyncKeyRange(found)

    def prefix(self, prefix: _BytesIn, *, reverse: bool = False, limit: int | None = None) -> AsyncKeyRange:
        """The keys that begin with these bytes, with their values."""
        return AsyncKeyRange(self._keys.prefix(prefix, reverse=reverse, limit=limit))

    def put(self, key: _BytesIn, value: _BytesIn) -> Awaitable[None]:
        """Gives a key a value, whether it had one or not."""
        return self._writer.add(lambda batch: batch.key_put(self._name, key, value))

    def delete(self, key: _BytesIn) -> Awaitable[None]:
        """Deletes a key, whether it is there or not."""
        return self._writer.add(lambda batch: batch.key_delete(self._name, key))

    def delete_range(
        self,
        *,
        gt: _BytesIn | None = None,
        gte: _BytesIn | None = None,
        lt: _BytesIn | None = None,
        lte: _BytesIn | None = None,
        prefix: _BytesIn | None = None,
    ) -> Awaitable[None]:
        """Deletes the keys between the bounds; without bounds, all."""
        bounds = {"gt": gt, "gte": gte, "lt": lt, "lte": lte, "prefix": prefix}
        return self._writer.add(lambda batch: batch.key_delete_range(self._name, **bounds))

    def clear(self) -> Awaitable[None]:
        """Deletes all keys."""
        return self._writer.add(lambda batch: batch.key_clear(self._name))

    def update(self, changes: _Puts) -> Awaitable[None]:
        """Puts all of a mapping, or of pairs: all or, after an error, none."""
        return self._writer.add(lambda batch: batch.key_update(self._name, changes))

    def write_many(self, changes: Iterable[_Change]) -> Awaitable[None]:
        """Makes changes, as ``Keyspace.write_many`` takes them: all or, after an error, none."""
        return self._writer.add(lambda batch: batch.key_write_many(self._name, changes))


class AsyncKeyRange(AsyncIterator[tuple[bytes, bytes]]):
    """Keys with their values, one after the other; other tasks have a turn after each few."""

    def __init__(self, found: KeyRange) -> None:
        self._range = found
        self._left = 0

    def __aiter__(self) -> AsyncKeyRange:
        return self

    async def __anext__(self) -> tuple[bytes, bytes]:
        if not self._left:
            await asyncio.sleep(0)
            self._left = SCAN_BATCH
        self._left -= 1
        entry = next(self._range, None)
        if entry is None:
            raise StopAsyncIteration
        return entry

    def seek(self, key: _BytesIn) -> None:
        """Goes to a key: the next entry is that key's or the first one behind it, backward before it."""
        self._range.seek(key)

    async def aclose(self) -> None:
        """Ends the range and lets its snapshot go."""
        self._range.close()
