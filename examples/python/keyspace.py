"""Ordered keys with NyroDB: a keyspace as a dict that is sorted, ranges, a transaction, a snapshot."""

import tempfile
from pathlib import Path

import nyrodb

with tempfile.TemporaryDirectory() as folder, nyrodb.open(Path(folder) / "app.nyro") as db:
    # Keys and values are bytes. Numbers of a fixed width, the high byte first, sort as numbers do.
    readings = db.keyspace("readings")
    readings[b"cellar/0900"] = b"11.5"
    readings.update({b"attic/0900": b"19.0", b"attic/1000": b"20.5", b"attic/1100": b"22.0"})
    print("keys in order:", list(readings))
    assert list(readings) == [b"attic/0900", b"attic/1000", b"attic/1100", b"cellar/0900"]

    print("attic, the newest first:", list(readings.prefix(b"attic/", reverse=True)))
    assert readings.get(b"attic/1200") is None and readings.last() == (b"cellar/0900", b"11.5")

    with readings.range(gte=b"attic/1000") as found:
        first = next(found)
        found.seek(b"b")
        print("from ten on:", first, "and behind the attic:", next(found))
        assert first == (b"attic/1000", b"20.5") and next(found, None) is None

    with db.snapshot() as before:
        # Documents and keyspaces change together, or neither does.
        with db.transaction() as tx:
            tx["log"].put({"what": "the attic was cleared"})
            tx.keyspace("readings").delete_range(prefix=b"attic/")
        print("left:", dict(readings), "before:", len(before.keyspace("readings")))
        assert readings == {b"cellar/0900": b"11.5"} and len(before.keyspace("readings")) == 4

    try:
        readings["cellar/1000"] = b"11.7"
    except TypeError as error:
        print("refused:", error)
    print("keyspaces:", db.keyspace_names())
