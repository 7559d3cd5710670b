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
from collections.abc import Mapping as _Mapping
from collections.abc import MutableMapping as _MutableMapping

from . import _nyrodb, errors
from ._nyrodb import (
    CancelToken,
    Collection,
    Database,
    Ext,
    InsertManyResult,
    InsertOneResult,
    KeyIterator,
    KeyRange,
    Keyspace,
    Scan,
    Snapshot,
    SnapshotCollection,
    SnapshotKeyspace,
    Transaction,
    TransactionCollection,
    TransactionKeyspace,
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
    KeyspaceStats,
    Latency,
    LevelStats,
    Progress,
    RepairReport,
    Stats,
    VerifyReport,
    WarmUpReport,
)
from .errors import (
    BackupMismatchError,
    BulkFailure,
    BulkWriteError,
    BusyError,
    CancelledError,
    ClosedError,
    CollectionExistsError,
    CollectionNotFoundError,
    CorruptError,
    CorruptFileError,
    DatabaseClosedError,
    DeadlineExceededError,
    DiskFullError,
    DocumentTooDeepError,
    DocumentTooLargeError,
    DuplicateIdError,
    ExistsError,
    ForkedError,
    FullError,
    IdsExhaustedError,
    IntegerRangeError,
    InternalError,
    InvalidArgumentError,
    InvalidDocumentError,
    InvalidIdError,
    InvalidNameError,
    IoError,
    KeyTooLargeError,
    LockedError,
    LogFullError,
    LogMissingError,
    MalformedDocumentError,
    MemtableFullError,
    NestedTransactionError,
    NetworkFileSystemError,
    NoSuchFileError,
    NotADatabaseError,
    NotFoundError,
    NyroError,
    OptionsDifferError,
    OtherKindError,
    OutcomeUnknownError,
    ReadOnlyError,
    RolledBackError,
    SerializationError,
    SnapshotTooOldError,
    TransactionTooLargeError,
    UnknownFormatError,
    UnsupportedError,
    UnsupportedTypeError,
    ValueTooLargeError,
    WriterTimeoutError,
    WritesStoppedError,
    WrongThreadError,
)

__version__ = version

__all__ = [
    "BackupInfo", "BackupMismatchError", "BackupReport", "BulkFailure", "BulkWriteError", "BusyError",
    "CancelToken", "CancelledError", "ClosedError", "Collection", "CollectionExistsError",
    "CollectionNotFoundError", "CompactReport", "CorruptError", "CorruptFileError", "Database",
    "DatabaseClosedError", "DeadlineExceededError", "DiskFullError", "DocumentTooDeepError",
    "DocumentTooLargeError", "DuplicateIdError", "ExistsError", "Ext", "ForkedError", "FullError",
    "IdsExhaustedError", "InsertManyResult", "InsertOneResult", "IntegerRangeError", "InternalError",
    "InvalidArgumentError", "InvalidDocumentError", "InvalidIdError", "InvalidNameError", "IoError",
    "KeyIterator", "KeyRange", "KeyTooLargeError", "Keyspace", "KeyspaceStats", "Latency", "LevelStats", "LockedError", "LogFullError", "LogMissingError", "MalformedDocumentError",
    "MemtableFullError", "NestedTransactionError", "NetworkFileSystemError", "NoSuchFileError",
    "NotADatabaseError", "NotFoundError", "NyroError", "OptionsDifferError", "OtherKindError",
    "OutcomeUnknownError", "Progress", "ReadOnlyError", "RepairReport", "RolledBackError", "Scan",
    "SerializationError", "Snapshot", "SnapshotCollection", "SnapshotKeyspace", "SnapshotTooOldError", "Stats", "Transaction",
    "TransactionCollection", "TransactionKeyspace", "TransactionTooLargeError", "UnknownFormatError", "UnsupportedError",
    "UnsupportedTypeError", "UpdateResult", "ValueTooLargeError", "VerifyReport", "WarmUpReport",
    "WriterTimeoutError", "WritesStoppedError", "WrongThreadError", "decode", "encode", "errors", "open",
    "repair", "restore", "version",
]  # fmt: skip

_Mapping.register(_nyrodb.KeyspaceReads)
_MutableMapping.register(_nyrodb.KeyspaceWrites)
_atexit.register(_nyrodb.at_exit)
if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(after_in_child=_nyrodb.after_fork)
