"""Long calls: progress, time limits, tokens and Ctrl-C; backup, restore and repair."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import nyrodb
import pytest
from conftest import run_python


@pytest.fixture
def full(db: nyrodb.Database) -> nyrodb.Database:
    for start in range(0, 60_000, 1000):
        db["users"].insert_many({"_id": i, "text": "x" * 200} for i in range(start, start + 1000))
    db.checkpoint()
    return db


def test_progress_is_told(full: nyrodb.Database, tmp_path: Path) -> None:
    for call in (
        full.verify,
        full.compact,
        full.warm_up,
        lambda progress: full.backup(tmp_path / "b", progress=progress),
    ):
        steps: list[nyrodb.Progress] = []
        call(progress=steps.append)
        assert steps and all(isinstance(step, nyrodb.Progress) for step in steps)
        assert all(step.unit in ("pages", "bytes", "documents") for step in steps)
        assert all(0 <= step.done for step in steps)


def test_a_call_is_stopped_by_its_token_and_its_time(full: nyrodb.Database) -> None:
    token = nyrodb.CancelToken()
    assert not token.cancelled
    with pytest.raises(nyrodb.CancelledError):
        full.verify(progress=lambda step: token.cancel(), cancel=token)
    assert token.cancelled and "cancelled" in repr(token)
    with pytest.raises(TimeoutError):
        full.verify(timeout=0.0)
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(nyrodb.InvalidArgumentError):
            full.verify(timeout=wrong)
    assert full.verify(timeout=60.0).documents == 60_000


def test_what_progress_raises_ends_the_call(full: nyrodb.Database) -> None:
    def tell(step: nyrodb.Progress) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        full.verify(progress=tell)
    with pytest.raises(TypeError):
        full.verify(progress=7)  # type: ignore[arg-type]
    token = nyrodb.CancelToken()
    with pytest.raises(LookupError, match="enough"):
        full.verify(progress=tell, cancel=token)
    assert not token.cancelled, "the token is the caller's"
    assert full.verify().documents == 60_000


def test_progress_may_use_the_database(full: nyrodb.Database) -> None:
    def tell(step: nyrodb.Progress) -> None:
        full["users"].get(5)
        full.stats()
        full["log"].put({"step": step.done})
        next(full["users"].scan())

    full.verify(progress=tell)
    full.compact(progress=tell)
    assert full["log"].count_documents() > 0


def test_other_threads_work_while_a_call_with_progress_runs(full: nyrodb.Database, tmp_path: Path) -> None:
    """Nobody waits for the lock of Python's while holding what its holder waits for."""
    stop, written = threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            full["other"].put({"_id": len(written)})
            full.stats()
            full.snapshot().close()
            written.append(1)

    threads = [threading.Thread(target=write, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(5):
        full.verify(progress=lambda step: time.sleep(0))
        full.compact(progress=lambda step: time.sleep(0))
        full.backup(tmp_path / f"b{n}", progress=lambda step: time.sleep(0))
        full.checkpoint()
    stop.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert len(written) > 10


def test_ctrl_c_stops_a_long_call(tmp_path: Path) -> None:
    program = """
import faulthandler, nyrodb, os, signal, sys, threading, time
faulthandler.dump_traceback_later(50, exit=True)  # if it does not end, it says where it is
db = nyrodb.open(sys.argv[1], durability="manual")
for start in range(0, 300_000, 1000):
    db["users"].insert_many({"_id": i, "text": "x" * 200} for i in range(start, start + 1000))
db.checkpoint()
timer = threading.Timer(0.03, os.kill, (os.getpid(), signal.SIGINT))
end = time.monotonic() + 30
try:
    timer.start()
    while time.monotonic() < end:
        db.verify()
except KeyboardInterrupt:
    print("stopped")
print(db["users"].get(5)["_id"])
"""
    assert run_python(program, tmp_path / "app.nyro").stdout.split() == ["stopped", "5"]


def test_backups_are_restored(db: nyrodb.Database, tmp_path: Path) -> None:
    db["a"].put({"_id": 1})
    report = db.backup(tmp_path / "full", name="full")
    assert report.bytes > 0 and report.commit == 1
    db["a"].put({"_id": 2})
    db.backup(tmp_path / "inc", name="second", since="full")
    assert [backup.name for backup in db.backups()] == ["second", "full"]
    with pytest.raises(nyrodb.InvalidArgumentError):
        db.backup(tmp_path / "full")
    db.backup(tmp_path / "full2", overwrite=True)
    with pytest.raises(nyrodb.BackupMismatchError):
        db.backup(tmp_path / "x", since="never")

    found = nyrodb.restore(tmp_path / "copy", [tmp_path / "full", tmp_path / "inc"])
    assert found.documents == 2
    with nyrodb.open(tmp_path / "copy") as copy:
        assert copy["a"].get(2) == {"_id": 2}
    assert nyrodb.restore(str(tmp_path / "copy"), str(tmp_path / "full"), overwrite=True).documents == 1
    with pytest.raises(nyrodb.BackupMismatchError):
        nyrodb.restore(tmp_path / "copy2", [tmp_path / "full2", tmp_path / "inc"])
    with pytest.raises(TypeError):
        nyrodb.restore(tmp_path / "copy2", 7)  # type: ignore[arg-type]


def test_a_damaged_file_is_repaired(tmp_path: Path) -> None:
    path = tmp_path / "app.nyro"
    with nyrodb.open(path, durability="manual") as db:
        db["a"].insert_many({"_id": i, "x": "y" * 100} for i in range(1000))
    report = nyrodb.repair(path, tmp_path / "new")
    assert report.is_complete and report.documents == 1000 and report.collections[0]["name"] == "a"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 100] = b"\xff" * 100
    path.write_bytes(raw)
    steps: list[nyrodb.Progress] = []
    report = nyrodb.repair(path, tmp_path / "new2", progress=steps.append)
    assert not report.is_complete and report.lost and steps
    with nyrodb.open(tmp_path / "new2") as db:
        assert db["a"].count_documents() == report.documents
    with nyrodb.open(path) as db, pytest.raises(nyrodb.CorruptError):
        db.verify()


def test_figures_have_their_names(db: nyrodb.Database) -> None:
    db["a"].put({"_id": 1})
    stats = db.stats()
    assert stats.commits == 1 and stats.inserts == 1 and stats.commit == 1
    assert isinstance(stats.commit_latency, nyrodb.Latency) and stats.get_latency.p50 >= 0
    assert isinstance(db.compact(), nyrodb.CompactReport)
    assert db.warm_up().complete in (True, False) and db.warm_up(limit_bytes=0) is not None
    db.sync()
