"""The calls, as a user meets them."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import nyrodb
import pytest


def test_a_document_comes_back_as_it_was_put(users: nyrodb.Collection) -> None:
    document = {"_id": 7, "name": "Ada", "tags": ["a", 1, 2.5, None, True], "at": {"city": "London"}}
    assert users.put(document) == 7
    assert users.get(7) == document
    assert users.get(8) is None
    assert users.contains(7) and 7 in users and 8 not in users


def test_results_are_named_as_in_pymongo(users: nyrodb.Collection) -> None:
    assert users.insert_one({"name": "Ada"}).inserted_id == 1
    assert users.insert_many([{"_id": "b"}, {"_id": b"c"}, {}]).inserted_ids == ["b", b"c", 2]
    replaced = users.replace_one(1, {"name": "Grace"})
    assert (replaced.matched_count, replaced.modified_count) == (1, 1)
    missed = users.replace_one(99, {"name": "nobody"})
    assert (missed.matched_count, missed.modified_count) == (0, 0)
    assert users.delete("b") is True and users.delete("b") is False
    assert users.count_documents() == users.estimated_document_count() == 3
    assert users.get(1) == {"_id": 1, "name": "Grace"}


def test_ids_are_integers_strings_and_bytes(users: nyrodb.Collection) -> None:
    ids: list[int | str | bytes] = [0, -1, -(2**63), 2**64 - 1, "", "é", b"", b"\x00\xff"]
    for id in ids:
        assert users.put({"_id": id}) == id
    assert users.count_documents() == len(ids)
    assert [document["_id"] for document in users.get_many(ids) if document] == ids
    assert users.get(bytearray(b"\x00\xff")) == users.get(memoryview(b"\x00\xff")) == {"_id": b"\x00\xff"}


@pytest.mark.parametrize("bad", [None, True, 1.0, [], {}, object(), 2**64, -(2**63) - 1, "\ud800", "x" * 1025])
def test_other_ids_are_refused(users: nyrodb.Collection, bad: object) -> None:
    for call in (users.get, users.get_raw, users.contains, users.delete):
        with pytest.raises(nyrodb.InvalidIdError):
            call(bad)  # type: ignore[arg-type]
    with pytest.raises(nyrodb.InvalidIdError):
        users.get_many([1, bad])  # type: ignore[list-item]
    with pytest.raises(nyrodb.InvalidIdError):
        users.replace_one(bad, {})  # type: ignore[arg-type]


def test_get_many_keeps_the_order_and_marks_misses(users: nyrodb.Collection) -> None:
    users.insert_many({"_id": i} for i in range(1000))
    wanted = [5, 2000, 3, 5, -1] + list(range(999, 0, -1))
    found = users.get_many(iter(wanted))
    assert found == [{"_id": i} if 0 <= i < 1000 else None for i in wanted]
    assert users.get_many([]) == []


def test_insert_many_stops_goes_on_or_keeps_nothing(users: nyrodb.Collection) -> None:
    documents = [{"_id": 1}, {"_id": 1}, {"_id": 2}, {"x": object()}, {"_id": 3}]
    with pytest.raises(nyrodb.BulkWriteError) as ordered:
        users.insert_many(documents)
    assert ordered.value.inserted_count == 1
    assert [(f.index, f.code) for f in ordered.value.failures] == [(1, "DuplicateId")]
    assert ordered.value.kind == "Exists"

    users.delete(1)
    with pytest.raises(nyrodb.BulkWriteError) as unordered:
        users.insert_many(documents, ordered=False)
    assert unordered.value.inserted_count == 3
    assert [(f.index, f.errno) for f in unordered.value.failures] == [(1, 205), (3, 206)]

    for i in (1, 2, 3):
        users.delete(i)
    with pytest.raises(nyrodb.DuplicateIdError):
        users.insert_many(documents[:3], atomic=True)
    with pytest.raises(nyrodb.UnsupportedTypeError):
        users.insert_many(documents[2:], atomic=True)
    assert users.count_documents() == 0


def test_places_of_failures_are_the_callers(users: nyrodb.Collection) -> None:
    bad = {"x": object()}
    documents = [bad, {"_id": 1}, bad, bad, {"_id": 1}, {"_id": 2}, bad, {"_id": 2}]
    with pytest.raises(nyrodb.BulkWriteError) as error:
        users.insert_many(documents, ordered=False)
    assert [(f.index, f.errno) for f in error.value.failures] == [
        (0, 206), (2, 206), (3, 206), (4, 205), (6, 206), (7, 205),
    ]  # fmt: skip


def test_raw_bytes_go_in_and_out(users: nyrodb.Collection) -> None:
    raw = nyrodb.encode({"_id": 1, "n": 2**40})
    for form in (raw, bytearray(raw), memoryview(raw)):
        assert users.put_raw(form) == 1
    assert users.get_raw(1) == raw
    assert users.get_raw(2) is None
    assert nyrodb.decode(raw) == {"_id": 1, "n": 2**40}
    with pytest.raises(nyrodb.MalformedDocumentError):
        users.put_raw(b"\xc1")
    with pytest.raises(TypeError):
        users.put_raw("text")  # type: ignore[arg-type]


def test_a_scan_sees_what_was_there_when_it_began(users: nyrodb.Collection) -> None:
    users.insert_many({"_id": i} for i in range(10))
    scan = users.scan()
    assert next(scan) == {"_id": 0}
    users.put({"_id": 100})
    assert [d["_id"] for d in scan] == list(range(1, 10))
    assert list(scan) == []
    assert [d["_id"] for d in users] == [*range(10), 100]


def test_a_scan_goes_on_behind_its_token(users: nyrodb.Collection) -> None:
    users.insert_many({"_id": i} for i in range(100))
    with users.scan() as scan:
        assert [d["_id"] for d in scan.take(30)] == list(range(30))
        token = scan.token
    assert scan.token == token and scan.take(5) == [] and list(scan) == []
    assert [d["_id"] for d in users.scan(after=token)] == list(range(30, 100))
    users.put({"_id": 5, "new": True})
    assert [d["_id"] for d in users.scan(after=token)] == [*range(30, 100), 5]


def test_a_snapshot_never_changes(db: nyrodb.Database) -> None:
    users = db["users"]
    users.put({"_id": 1, "v": 1})
    with db.snapshot() as snapshot:
        frozen = snapshot["users"]
        users.put({"_id": 1, "v": 2})
        users.put({"_id": 2})
        db.drop_collection("users")
        assert frozen.get(1) == {"_id": 1, "v": 1}
        assert frozen.get_many([1, 2]) == [{"_id": 1, "v": 1}, None]
        assert frozen.get_raw(2) is None and 1 in frozen and not frozen.contains(2)
        assert [*frozen] == [*frozen.scan()] == [{"_id": 1, "v": 1}]
        assert frozen.count_documents() == frozen.estimated_document_count() == 1
        assert snapshot.collection_names() == ["users"] and snapshot.commit > 0
        assert snapshot["nothing"].count_documents() == 0
    with pytest.raises(nyrodb.DatabaseClosedError):
        snapshot["users"]
    assert frozen.get(1) == {"_id": 1, "v": 1}, "a collection keeps its snapshot"


def test_a_transaction_is_kept_or_leaves_no_trace(db: nyrodb.Database) -> None:
    with db.transaction() as tx:
        a, b = tx["a"], tx.collection("b")
        assert a.put({"_id": 1, "v": 70}) == 1
        assert b.insert_one({"v": 30}).inserted_id == 1
        assert a.get(1) == {"_id": 1, "v": 70} and a.contains(1) and 2 not in a
        assert b.replace_one(1, {"v": 31}).matched_count == 1
        assert nyrodb.decode(b.get_raw(1) or b"") == {"_id": 1, "v": 31}
        with pytest.raises(nyrodb.DuplicateIdError):
            a.insert_one({"_id": 1})
        assert db["a"].get(1) is None, "nobody sees it before the commit"
    assert db["a"].get(1) == {"_id": 1, "v": 70}

    with pytest.raises(ZeroDivisionError):
        with db.transaction() as tx:
            assert tx["a"].delete(1) is True
            tx.create_collection("c")
            raise ZeroDivisionError
    assert db["a"].contains(1) and db.collection_names() == ["a", "b"]

    assert db.write(lambda tx: tx["a"].delete(1)) is True
    with pytest.raises(KeyError):
        db.write(lambda tx: (tx["a"].put({"_id": 9}), {}["no"]))
    assert db["a"].count_documents() == 0


def test_a_transaction_can_be_ended_by_hand(db: nyrodb.Database) -> None:
    with db.transaction() as tx:
        tx["a"].put({"_id": 1})
        tx.rollback()
        with pytest.raises(nyrodb.DatabaseClosedError):
            tx["a"].put({"_id": 2})
    with db.transaction() as tx:
        tx["a"].put({"_id": 3})
        tx.commit()
    assert [d["_id"] for d in db["a"]] == [3]
    with pytest.raises(nyrodb.InvalidArgumentError):
        tx.__enter__()
    with pytest.raises(nyrodb.InvalidArgumentError):
        db.transaction()["a"].get(1)


def test_a_write_inside_a_transaction_is_an_error(db: nyrodb.Database) -> None:
    with db.transaction():
        for write in (
            lambda: db["a"].put({}),
            lambda: db["a"].insert_many([{}]),
            lambda: db.write(lambda tx: None),
            lambda: db.checkpoint(),
            lambda: db.close(),
        ):
            with pytest.raises(nyrodb.NestedTransactionError):
                write()


def test_collections_are_made_renamed_and_dropped(db: nyrodb.Database) -> None:
    db.create_collection("a")
    with pytest.raises(nyrodb.CollectionExistsError):
        db.create_collection("a")
    db.rename_collection("a", "b")
    with pytest.raises(nyrodb.CollectionNotFoundError):
        db.rename_collection("a", "c")
    with pytest.raises(KeyError):
        db.rename_collection("a", "c")
    assert db.collection_names() == ["b"]
    assert db.drop_collection("b") is True and db.drop_collection("b") is False
    with db.transaction() as tx:
        tx.create_collection("x")
        tx.rename_collection("x", "y")
        assert tx.drop_collection("x") is False
    assert db.collection_names() == ["y"]


@pytest.mark.parametrize("name", ["", "a$b", "system.x", "a\0", "x" * 256])
def test_bad_names_are_refused(db: nyrodb.Database, name: str) -> None:
    with pytest.raises(nyrodb.InvalidNameError):
        db[name].put({})
    with pytest.raises(nyrodb.InvalidNameError):
        db.create_collection(name)


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "app.nyro"
    with nyrodb.open(path) as db:
        db["a"].put({"_id": 1})
        assert db.path == str(path) or Path(db.path) == path
    with nyrodb.open(str(path), read_only=True) as db:
        assert db["a"].get(1) == {"_id": 1}
        with pytest.raises(nyrodb.ReadOnlyError):
            db["a"].put({})


def test_options_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "app.nyro"
    with pytest.raises(FileNotFoundError):
        nyrodb.open(path, create=False)
    for wrong in (
        {"durability": "often"}, {"durability": -1}, {"cache_bytes": 1}, {"cache_bytes": 2**70}, {"read_mode": "x"},
        {"create": "yes"}, {"max_document_bytes": 2**40}, {"read_only": 1},
    ):  # fmt: skip
        with pytest.raises(nyrodb.InvalidArgumentError):
            nyrodb.open(path, **wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        nyrodb.open(path, cache_bytes=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        nyrodb.open(path, cach_bytes=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        nyrodb.open(7)  # type: ignore[arg-type]
    good = dict(durability=50, read_mode="pread", cache_bytes=1 << 20, log_max_bytes=1 << 20, writer_timeout_ms=100)
    with nyrodb.open(path, max_document_bytes=1000, snapshot_max_age_ms=60_000, **good) as db:  # type: ignore[arg-type]
        assert db["a"].put({"_id": 1}) == 1
        assert db["a"].get(1) == {"_id": 1} and [*db["a"]] == [{"_id": 1}]
        with pytest.raises(nyrodb.DocumentTooLargeError):
            db["a"].put({"x": "x" * 2000})
        with pytest.raises(nyrodb.OptionsDifferError):
            nyrodb.open(path)


def test_every_handle_of_a_closed_database_says_so(tmp_path: Path) -> None:
    db = nyrodb.open(tmp_path / "app.nyro", durability="manual")
    users = db["users"]
    users.insert_many({"_id": i} for i in range(10))
    scan, snapshot, tx = users.scan(), db.snapshot(), db.transaction()
    frozen = snapshot["users"]
    next(scan)
    db.close()
    db.close()
    calls = [
        lambda: users.get(1), lambda: users.get_raw(1), lambda: users.get_many([1]), lambda: users.contains(1),
        lambda: users.put({}), lambda: users.put_raw(b"\x80"), lambda: users.insert_one({}),
        lambda: users.insert_many([{}]), lambda: users.replace_one(1, {}), lambda: users.delete(1),
        lambda: users.count_documents(), lambda: users.scan(), lambda: iter(users), lambda: next(scan),
        lambda: snapshot["users"], lambda: snapshot.collection_names(), lambda: frozen.get(1),
        lambda: frozen.count_documents(), lambda: tx.__enter__(), lambda: db.write(lambda tx: None),
        lambda: db.snapshot(), lambda: db.sync(), lambda: db.checkpoint(), lambda: db.compact(),
        lambda: db.warm_up(), lambda: db.backup(tmp_path / "b"), lambda: db.backups(), lambda: db.verify(),
        lambda: db.stats(), lambda: db.collection_names(), lambda: db.create_collection("x"),
        lambda: db.rename_collection("x", "y"), lambda: db.drop_collection("x"),
    ]  # fmt: skip
    for number, call in enumerate(calls):
        with pytest.raises(nyrodb.DatabaseClosedError):
            call()
            pytest.fail(f"call {number} went through")
    for read in (lambda: list(scan), lambda: scan.take(5)):
        with pytest.raises(nyrodb.DatabaseClosedError):
            read()
    with pytest.raises(ValueError):
        users.get(1)


def test_handles_go_in_any_order(tmp_path: Path) -> None:
    for order in ("db", "scan", "snapshot"):
        path = tmp_path / f"{order}.nyro"
        db = nyrodb.open(path, durability="manual")
        db["a"].insert_many({"_id": i} for i in range(100))
        things = {"db": db, "scan": db["a"].scan(), "snapshot": db.snapshot()["a"]}
        del db, things[order]
        gc.collect()
        if "scan" in things:
            assert isinstance(things["scan"], nyrodb.Scan)
            assert next(things["scan"]) == {"_id": 0}
        things.clear()
        with nyrodb.open(path) as db:
            assert db["a"].count_documents() == 100


def test_the_same_path_is_the_same_database(tmp_path: Path) -> None:
    path = tmp_path / "app.nyro"
    one, two = nyrodb.open(path), nyrodb.open(path)
    one["a"].put({"_id": 1})
    one.close()
    assert two["a"].get(1) == {"_id": 1}
    with pytest.raises(nyrodb.DatabaseClosedError):
        one["a"].get(1)
    two.close()


def test_handles_can_be_referred_to_weakly(db: nyrodb.Database) -> None:
    for handle in (db, db["a"], db.snapshot(), db.transaction(), db["a"].scan()):
        assert weakref.ref(handle)() is handle
    assert "users" in repr(db["users"]) and "app.nyro" in repr(db) and "commit" in repr(db.snapshot())


def test_calls_with_wrong_arguments_are_type_errors(users: nyrodb.Collection) -> None:
    for documents in ("text", {"_id": 1}, 7, None):
        with pytest.raises(TypeError):
            users.insert_many(documents)  # type: ignore[arg-type]
    for document in (None, 7, "text", [], [("a", 1)], {1, 2}):
        with pytest.raises(TypeError):
            users.put(document)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            users.replace_one(1, document)  # type: ignore[arg-type]
    with pytest.raises((TypeError, OverflowError)):
        users.scan(after=-1)
    with pytest.raises(TypeError):
        users.get()  # type: ignore[call-arg]
    with pytest.raises(ZeroDivisionError):
        users.insert_many({"_id": 1 // i} for i in (1, 0))
    assert users.count_documents() == 0


def test_a_scan_gives_what_it_read_and_then_its_error_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "app.nyro"
    with nyrodb.open(path) as db:
        db["a"].insert_many({"_id": i, "text": f"<{i}>" + "x" * 200} for i in range(20_000))
        db.compact()
    content = path.read_bytes()
    at = content.index(b"<15000>")
    path.write_bytes(content[:at] + b"#" + content[at + 1 :])
    with nyrodb.open(path) as db:
        scan = db["a"].scan()
        taken = scan.take(20_000)
        assert 0 < len(taken) <= 15_000 and [d["_id"] for d in taken] == list(range(len(taken)))
        for read in (lambda: scan.take(10), lambda: next(scan), lambda: list(scan), lambda: scan.take(10)):
            with pytest.raises(nyrodb.CorruptFileError):
                read()
        one_by_one: list[Any] = []
        with pytest.raises(nyrodb.CorruptFileError):
            one_by_one.extend(d["_id"] for d in db["a"])
