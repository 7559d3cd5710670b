"""A process that is killed loses nothing that it acknowledged."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import nyrodb

ROUNDS = int(os.environ.get("NYRO_KILL_ROUNDS", "20"))

WRITER = """
import nyrodb, sys, threading
db = nyrodb.open(sys.argv[1], cache_bytes=1 << 16, log_max_bytes=1 << 16)
lock = threading.Lock()
def write(thread):
    n = 0
    while True:
        if n % 3 == 0:
            ids = db["a"].insert_many([{"t": thread, "x": "y" * 100} for _ in range(5)]).inserted_ids
        elif n % 3 == 1:
            ids = [db["a"].put({"t": thread})]
        else:
            with db.transaction() as tx:
                ids = [tx["a"].insert_one({"t": thread, "n": n}).inserted_id for _ in range(2)]
        n += 1
        with lock:
            sys.stdout.write(" ".join(map(str, ids)) + "\\n")
            sys.stdout.flush()
for thread in range(2):
    threading.Thread(target=write, args=(thread,)).start()
"""


def test_every_acknowledged_write_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "app.nyro"
    seed = int(os.environ.get("NYRO_SEED", random.randrange(2**32)))
    print("seed", seed)
    dice = random.Random(seed)
    acknowledged: set[int] = set()
    for _ in range(ROUNDS):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            first = child.stdout.readline()
            time.sleep(dice.random() * 0.15)
            child.kill()
            rest = child.stdout.read()
        lines = (first + rest).splitlines(keepends=True)
        acknowledged.update(int(id) for line in lines if line.endswith("\n") for id in line.split())
        with nyrodb.open(path) as db:
            missing = [id for id in acknowledged if id not in db["a"]]
            assert not missing, f"lost: {missing[:10]}"
    with nyrodb.open(path) as db:
        db.verify()
        assert db["a"].count_documents() >= len(acknowledged) > 0
