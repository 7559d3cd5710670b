"""The scenarios of bindings/conformance: the same data and the same results as in every other language."""

from __future__ import annotations

import datetime as dt
import json
import math
import struct
from pathlib import Path
from typing import Any

import nyrodb
import pytest

FOLDER = Path(__file__).parents[2] / "conformance"
FILES = sorted(FOLDER.glob("*.json"))
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
LANGUAGE = "python"


class Rollback(Exception):
    """Fails a transaction at its end."""


def value(data: Any) -> Any:
    """The value that conformance data means."""
    if isinstance(data, list):
        return [value(element) for element in data]
    if not isinstance(data, dict):
        return data
    if len(data) == 1:
        [(name, content)] = data.items()
        if name == "$int":
            return int(content)
        if name == "$float":
            return float(content)
        if name == "$bytes":
            return bytes.fromhex(content)
        if name == "$time":
            return timestamp(*content)
        if name == "$ext":
            return nyrodb.Ext(content[0], bytes.fromhex(content[1]))
        if name == "$repeat":
            return content[0] * content[1]
        if name == "$repeat_bytes":
            return bytes.fromhex(content[0]) * content[1]
        if name == "$array":
            return [value(content[0])] * content[1]
        if name == "$fields":
            return {f"f{i}": i for i in range(content)}
        if name in ("$nest", "$nest_array"):
            nested: Any = None
            for _ in range(content):
                nested = {"n": nested} if name == "$nest" else [nested]
            return nested
    return {name: value(content) for name, content in data.items()}


def timestamp(secs: int, nanos: int) -> Any:
    """A `datetime`; with nanoseconds, or out of its years, the extension that says all of it."""
    try:
        if nanos % 1000 == 0:
            return EPOCH + dt.timedelta(seconds=secs, microseconds=nanos // 1000)
    except OverflowError:
        pass
    if 0 <= secs < 2**34:
        return nyrodb.Ext(-1, struct.pack(">Q", nanos << 34 | secs))
    return nyrodb.Ext(-1, struct.pack(">Iq", nanos, secs))


def data(given: Any) -> bytes:
    """Bytes; a string stands for its UTF-8."""
    given = value(given)
    return given.encode() if isinstance(given, str) else given


def entries(given: Any) -> Any:
    """Results with keys or values, in lists: bytes throughout."""
    if isinstance(given, (list, tuple)):
        return [entries(part) for part in given]
    return given if given is None or isinstance(given, bool) else data(given)


def bounds(step: dict[str, Any]) -> dict[str, bytes]:
    """Of a range."""
    return {name: data(step[name]) for name in ("gt", "gte", "lt", "lte", "prefix") if name in step}


def normal(found: Any) -> Any:
    """A value such that equal ones have equal forms, by type; times at this language's precision."""
    if isinstance(found, float):
        return ("float", "nan" if math.isnan(found) else struct.pack(">d", found))
    if isinstance(found, dict):
        return ("map", [(name, normal(content)) for name, content in found.items()])
    if isinstance(found, list):
        return ("array", [normal(element) for element in found])
    if isinstance(found, nyrodb.Ext) and found.code == -1:
        # As it is read: its nanoseconds cut to microseconds.
        return normal(nyrodb.decode(nyrodb.encode({"v": found}))["v"]) if fits(found) else ("ext", -1, found.data)
    if isinstance(found, nyrodb.Ext):
        return ("ext", found.code, found.data)
    return (type(found).__name__, found)


def fits(ext: nyrodb.Ext) -> bool:
    return isinstance(nyrodb.decode(nyrodb.encode({"v": ext}))["v"], dt.datetime)


#: Everything that a step may have.
KNOWN = {
    "op", "result", "error", "inserted", "failures", "not_in", "why", "in", "collection", "document", "documents", "ordered",
    "atomic", "id", "ids", "hex", "documents_before", "as", "after", "scan", "count", "steps", "rollback", "name", "from",
    "to", "since", "overwrite", "target", "backups", "field", "at_least", "options", "path", "keyspace", "key", "value",
    "keys", "changes", "gt", "gte", "lt", "lte", "prefix", "backward", "limit", "range",
}  # fmt: skip


class Runner:
    """Runs one file, step by step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db: nyrodb.Database | None = None
        self.snapshots: dict[str, nyrodb.Snapshot] = {}
        self.scans: dict[str, nyrodb.Scan] = {}
        self.ranges: dict[str, nyrodb.KeyRange] = {}
        self.steps = 0

    def run(self, steps: list[dict[str, Any]]) -> None:
        for number, step in enumerate(steps):
            self.step(step, f"step {number}", None)

    def step(self, step: dict[str, Any], where: str, tx: nyrodb.Transaction | None) -> None:
        where += f" ({step['op']})"
        if LANGUAGE in step.get("not_in", []):
            return
        self.steps += 1
        try:
            found = self.call(step, where, tx)
        except nyrodb.NyroError as e:
            assert "error" in step, f"{where}: unexpected error {e.errno}: {e}"
            assert e.errno == step["error"], f"{where}: wanted error {step['error']}, got {e.errno}: {e}"
            if isinstance(e, nyrodb.BulkWriteError):
                if "inserted" in step:
                    assert e.inserted_count == step["inserted"], f"{where}: inserted {e.inserted_count}"
                if "failures" in step:
                    failures = [[failure.index, failure.errno] for failure in e.failures]
                    assert failures == step["failures"], f"{where}: wanted {step['failures']}, got {failures}"
            return
        assert "error" not in step, f"{where}: wanted error {step['error']}, got {found!r}"
        if "result" in step:
            wanted = entries(step["result"]) if step["op"].startswith("kv_") else value(step["result"])
            assert normal(found) == normal(wanted), f"{where}: wanted {wanted!r}, got {found!r}"

    def path(self, name: str) -> Path | str:
        return name if name == ":memory:" else self.folder / name

    def call(self, step: dict[str, Any], where: str, tx: nyrodb.Transaction | None) -> Any:
        op = step["op"]
        handler = getattr(self, "op_" + op, None)
        assert handler is not None, f"{where}: an operation that this runner does not know"
        unknown = step.keys() - KNOWN
        assert not unknown, f"{where}: {unknown} are not known to this runner"
        return handler(step, where, None if "in" in step else tx)

    @property
    def open_db(self) -> nyrodb.Database:
        assert self.db is not None, "nothing is open"
        return self.db

    def coll(self, step: dict[str, Any], tx: Any) -> Any:
        name = value(step["collection"])
        if tx is not None:
            return tx[name]
        if step.get("in", "db") != "db":
            return self.snapshots[step["in"].removeprefix("s:")][name]
        return self.open_db[name]

    def keyspace(self, step: dict[str, Any], tx: Any) -> Any:
        name = value(step["keyspace"])
        if tx is not None:
            return tx.keyspace(name)
        if step.get("in", "db") != "db":
            return self.snapshots[step["in"].removeprefix("s:")].keyspace(name)
        return self.open_db.keyspace(name)

    def op_open(self, step: Any, where: str, tx: Any) -> None:
        self.db = nyrodb.open(self.path("app.nyro"), **step.get("options", {}))

    def op_open_other(self, step: Any, where: str, tx: Any) -> None:
        if self.db is not None:
            self.db.close()
        self.db = nyrodb.open(self.path(step["path"]), **step.get("options", {}))

    def op_close(self, step: Any, where: str, tx: Any) -> None:
        self.open_db.close()

    def op_scan_open(self, step: Any, where: str, tx: Any) -> None:
        after = self.scans[step["after"]].token if "after" in step else 0
        self.scans[step["as"]] = self.coll(step, tx).scan(after=after)

    def op_scan_next(self, step: Any, where: str, tx: Any) -> Any:
        # One by one, as a loop would.
        found = []
        for _ in range(step["count"]):
            document = next(self.scans[step["scan"]], None)
            if document is None:
                break
            found.append(document)
        return found

    def op_scan_close(self, step: Any, where: str, tx: Any) -> None:
        self.scans[step["scan"]].close()

    def op_put(self, step: Any, where: str, tx: Any) -> Any:
        return self.coll(step, tx).put(value(step["document"]))

    def op_put_raw(self, step: Any, where: str, tx: Any) -> Any:
        return self.coll(step, tx).put_raw(bytes.fromhex(step["hex"]))

    def op_insert_one(self, step: Any, where: str, tx: Any) -> Any:
        return self.coll(step, tx).insert_one(value(step["document"])).inserted_id

    def op_insert_many(self, step: Any, where: str, tx: Any) -> Any:
        how = {name: step[name] for name in ("ordered", "atomic") if name in step}
        return self.coll(step, tx).insert_many(value(step["documents"]), **how).inserted_ids

    def op_replace_one(self, step: Any, where: str, tx: Any) -> Any:
        return self.coll(step, tx).replace_one(value(step["id"]), value(step["document"])).matched_count

    def op_get(self, step: Any, where: str, tx: Any) -> Any:
        return self.coll(step, tx).get(value(step["id"]))

    def op_get_raw(self, step: Any, where: str, tx: Any) -> Any:
        raw = self.coll(step, tx).get_raw(value(step["id"]))
        return None if raw is None else raw.hex()

    def op_get_many(self, step: Any, where: str, tx: Any) -> Any:
        return self.coll(step, tx).get_many(value(step["ids"]))

    def op_contains(self, step: Any, where: str, tx: Any) -> Any:
        return self.coll(step, tx).contains(value(step["id"]))

    def op_delete(self, step: Any, where: str, tx: Any) -> Any:
        return self.coll(step, tx).delete(value(step["id"]))

    def op_count(self, step: Any, where: str, tx: Any) -> Any:
        coll = self.coll(step, tx)
        assert coll.estimated_document_count() == coll.count_documents()
        return coll.count_documents()

    def op_scan(self, step: Any, where: str, tx: Any) -> Any:
        return list(self.coll(step, tx).scan())

    def op_scan_after(self, step: Any, where: str, tx: Any) -> Any:
        coll = self.coll(step, tx)
        scan = coll.scan()
        for _ in range(step["documents_before"]):
            next(scan)
        return list(coll.scan(after=scan.token))

    def op_kv_put(self, step: Any, where: str, tx: Any) -> None:
        self.keyspace(step, tx).put(data(step["key"]), data(step["value"]))

    def op_kv_get(self, step: Any, where: str, tx: Any) -> Any:
        return self.keyspace(step, tx).get(data(step["key"]))

    def op_kv_get_many(self, step: Any, where: str, tx: Any) -> Any:
        return self.keyspace(step, tx).get_many(map(data, step["keys"]))

    def op_kv_contains(self, step: Any, where: str, tx: Any) -> Any:
        return data(step["key"]) in self.keyspace(step, tx)

    def op_kv_delete(self, step: Any, where: str, tx: Any) -> None:
        self.keyspace(step, tx).delete(data(step["key"]))

    def op_kv_delete_range(self, step: Any, where: str, tx: Any) -> None:
        self.keyspace(step, tx).delete_range(**bounds(step))

    def op_kv_clear(self, step: Any, where: str, tx: Any) -> None:
        self.keyspace(step, tx).clear()

    def op_kv_write(self, step: Any, where: str, tx: Any) -> None:
        self.keyspace(step, tx).write_many([change, *map(entries, given)] for change, *given in step["changes"])

    def op_kv_range(self, step: Any, where: str, tx: Any) -> Any:
        keyspace = self.keyspace(step, tx)
        found = list(keyspace.range(**bounds(step), reverse=step.get("backward", False), limit=step.get("limit")))
        if not {"gt", "gte", "lt", "lte", "prefix", "limit"} & step.keys():
            # The same by the other ways.
            assert found == list(keyspace.items())[:: -1 if step.get("backward") else 1], where
            assert len(keyspace) == len(found), where
        return entries(found)

    def op_kv_range_open(self, step: Any, where: str, tx: Any) -> None:
        reverse = step.get("backward", False)
        self.ranges[step["as"]] = self.keyspace(step, tx).range(**bounds(step), reverse=reverse)

    def op_kv_range_next(self, step: Any, where: str, tx: Any) -> Any:
        return entries(self.ranges[step["range"]].take(step["count"]))

    def op_kv_range_seek(self, step: Any, where: str, tx: Any) -> None:
        self.ranges[step["range"]].seek(data(step["key"]))

    def op_kv_range_close(self, step: Any, where: str, tx: Any) -> None:
        self.ranges[step["range"]].close()

    def op_keyspace_names(self, step: Any, where: str, tx: Any) -> Any:
        if step.get("in", "db") != "db":
            return self.snapshots[step["in"].removeprefix("s:")].keyspace_names()
        return self.open_db.keyspace_names()

    def op_rename_keyspace(self, step: Any, where: str, tx: Any) -> None:
        (tx or self.open_db).rename_keyspace(value(step["from"]), value(step["to"]))

    def op_drop_keyspace(self, step: Any, where: str, tx: Any) -> Any:
        return (tx or self.open_db).drop_keyspace(value(step["name"]))

    def op_write(self, step: Any, where: str, tx: Any) -> None:
        def body(tx: nyrodb.Transaction) -> None:
            for number, inner in enumerate(step["steps"]):
                self.step(inner, f"{where}, inner step {number}", tx)
            if step.get("rollback"):
                raise Rollback

        if step.get("rollback"):
            with pytest.raises(Rollback):
                self.open_db.write(body)
        else:
            self.open_db.write(body)

    def op_snapshot(self, step: Any, where: str, tx: Any) -> None:
        self.snapshots[step["name"]] = self.open_db.snapshot()

    def op_release(self, step: Any, where: str, tx: Any) -> None:
        self.snapshots[step["name"]].close()

    def op_collection_names(self, step: Any, where: str, tx: Any) -> Any:
        if step.get("in", "db") != "db":
            return self.snapshots[step["in"].removeprefix("s:")].collection_names()
        return self.open_db.collection_names()

    def op_create_collection(self, step: Any, where: str, tx: Any) -> Any:
        return (tx or self.open_db).create_collection(value(step["name"]))

    def op_rename_collection(self, step: Any, where: str, tx: Any) -> Any:
        return (tx or self.open_db).rename_collection(value(step["from"]), value(step["to"]))

    def op_drop_collection(self, step: Any, where: str, tx: Any) -> Any:
        return (tx or self.open_db).drop_collection(value(step["name"]))

    def op_sync(self, step: Any, where: str, tx: Any) -> None:
        self.open_db.sync()

    def op_checkpoint(self, step: Any, where: str, tx: Any) -> None:
        self.open_db.checkpoint()

    def op_compact(self, step: Any, where: str, tx: Any) -> None:
        self.open_db.compact()

    def op_verify(self, step: Any, where: str, tx: Any) -> Any:
        return self.open_db.verify().documents

    def op_backup(self, step: Any, where: str, tx: Any) -> None:
        how = {name: value(step[name]) for name in ("name", "since", "overwrite") if name in step}
        self.open_db.backup(self.path(step["to"]), **how)

    def op_restore(self, step: Any, where: str, tx: Any) -> None:
        backups = [self.path(name) for name in step["backups"]]
        nyrodb.restore(self.path(step["target"]), backups, overwrite=step.get("overwrite", False))

    def op_stats(self, step: Any, where: str, tx: Any) -> None:
        found = getattr(self.open_db.stats(), step["field"])
        assert found >= step["at_least"], f"{where}: {step['field']} is {found}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_scenario(file: Path, tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    try:
        runner.run(json.loads(file.read_text())["steps"])
    except AssertionError as e:
        raise AssertionError(f"{file.name}: {e}") from None
    finally:
        if runner.db is not None:
            runner.db.close()
    print(f"{file.name}: {runner.steps} steps")
    assert runner.steps > 0


def test_there_are_scenarios() -> None:
    assert FILES, f"no file in {FOLDER}"
