"""After a fork: the child's handles refuse, the parent's go on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import nyrodb
import pytest
from conftest import run_python

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

FORK = """
import nyrodb, os, sys, threading, warnings
warnings.simplefilter("ignore")
db = nyrodb.open(sys.argv[1], durability="manual")
users = db["users"]
users.insert_many({"_id": i} for i in range(100))
scan, snapshot = users.scan(), db.snapshot()
frozen = snapshot["users"]
next(scan)
if sys.argv[2] == "threads":
    def work():
        while True:
            users.put({"_id": 5}); users.get(5); db.stats()
    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()
for _ in range(int(sys.argv[3])):
    child = os.fork()
    if child == 0:
        for call in (lambda: users.get(1), lambda: users.put({}), lambda: list(scan), lambda: frozen.get(1),
                     lambda: db.stats(), lambda: db.close(), lambda: users.insert_many([{}]), lambda: db.verify(),
                     lambda: db.transaction().__enter__(), lambda: users.count_documents()):
            try:
                call()
            except nyrodb.ForkedError as e:
                assert e.errno == 110
            else:
                os._exit(3)
        with nyrodb.open(sys.argv[1] + f".{os.getpid()}") as own:
            own["a"].put({"_id": 1})
            assert own["a"].get(1) == {"_id": 1}
        del scan, snapshot, frozen, users
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status
    assert users.get(1) == {"_id": 1}
users.put({"_id": 1000})
db.close()
print("parent done")
"""


@pytest.mark.parametrize("threads", ["alone", "threads"])
def test_a_forked_child_is_refused_and_the_parent_goes_on(tmp_path: Path, threads: str) -> None:
    path = tmp_path / "app.nyro"
    ended = run_python(FORK, path, threads, 5)
    assert ended.stdout == "parent done\n"
    with nyrodb.open(path) as db:
        assert db["users"].get(1000) == {"_id": 1000}
        db.verify()


def test_a_second_process_is_told_who_holds_the_file(tmp_path: Path, db: nyrodb.Database) -> None:
    program = """
import nyrodb, sys
try:
    nyrodb.open(sys.argv[1])
except nyrodb.LockedError as e:
    print(e.errno, sys.argv[2] in str(e))
"""
    assert run_python(program, tmp_path / "app.nyro", os.getpid()).stdout == "301 True\n"


def test_a_child_of_an_open_transaction_ends_like_any_other(tmp_path: Path) -> None:
    program = """
import nyrodb, os, sys, time
db = nyrodb.open(sys.argv[1])
tx = db.transaction().__enter__()
tx["a"].put({"_id": 1})
child = os.fork()
if not child:
    other = nyrodb.open(sys.argv[1] + "2")
    with other.transaction() as mine:
        mine["a"].put({"_id": 5})
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
tx["a"].put({"_id": 2})
tx.__exit__(None, None, None)
assert [d["_id"] for d in db["a"]] == [1, 2]
"""
    begun = time.monotonic()
    run_python(program, tmp_path / "app.nyro")
    assert time.monotonic() - begun < 1.8, "nobody waits for a transaction that is not there"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["app.nyro", "app.nyro2"]
    with nyrodb.open(tmp_path / "app.nyro") as db:
        assert db["a"].count_documents() == 2
