"""NyroDB: an embedded document store. One file, lookup by id in constant time, atomic durable transactions.

>>> import nyrodb
>>> with nyrodb.open(":memory:") as db:
...     users = db["users"]
...     ada = users.insert_one({"name": "Ada"}).inserted_id
...     users.get(ada)
{'_id': 1, 'name': 'Ada'}
"""

from __future__ import annotations

import atexit as _atexit
import os as _os

from . import _nyrodb, errors
from ._nyrodb import (
    CancelToken,
    Collection,
    Database,
    Ext,
    InsertManyResult,
    InsertOneResult,
    Scan,
    Snapshot,
    SnapshotCollection,
    Transaction,
    TransactionCollection,
    UpdateResult,
    decode,
    encode,
    open,
    repair,
    restore,
    version,
)
from ._reports import (
    BackupInfo,
    BackupReport,
    CompactReport,
    Latency,
    Progress,
    RepairReport,
    Stats,
    VerifyReport,
    WarmUpReport,
)
from .errors import *

__version__ = version

__all__ = [
    "BackupInfo", "BackupReport", "CancelToken", "Collection", "CompactReport", "Database", "Ext", "InsertManyResult",
    "InsertOneResult", "Latency", "Progress", "RepairReport", "Scan", "Snapshot", "SnapshotCollection", "Stats",
    "Transaction", "TransactionCollection", "UpdateResult", "VerifyReport", "WarmUpReport", "decode", "encode",
    "errors", "open", "repair", "restore", "version",
]  # fmt: skip
__all__ += errors.__all__

_atexit.register(_nyrodb.at_exit)
if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(after_in_child=_nyrodb.after_fork)
