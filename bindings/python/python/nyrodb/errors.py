"""Errors: a class for each kind, below it one for each number of docs/errors.md.

``NyroError.code`` is the name ("DuplicateId"), ``NyroError.errno`` the stable number (205), the same in every
language. Where Python has an exception for the same thing, the class is one of those, too: a ``WriterTimeoutError``
is a ``TimeoutError``, a ``CollectionNotFoundError`` is a ``KeyError``, an ``IoError`` is an ``OSError``. The number that
the operating system gave is ``os_errno``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = [
    "BackupMismatchError", "BulkFailure", "BulkWriteError", "BusyError", "CancelledError", "ClosedError",
    "CollectionExistsError", "CollectionNotFoundError", "CorruptError", "CorruptFileError", "DatabaseClosedError",
    "DeadlineExceededError", "DiskFullError", "DocumentTooDeepError", "DocumentTooLargeError", "DuplicateIdError",
    "ExistsError", "ForkedError", "FullError", "IdsExhaustedError", "IntegerRangeError", "InternalError",
    "InvalidArgumentError", "InvalidDocumentError", "InvalidIdError", "InvalidNameError", "IoError",
    "KeyTooLargeError", "LockedError", "LogFullError", "LogMissingError", "MalformedDocumentError",
    "MemtableFullError", "NestedTransactionError", "NetworkFileSystemError", "NoSuchFileError", "NotADatabaseError",
    "NotFoundError", "NyroError", "OptionsDifferError", "OtherKindError", "OutcomeUnknownError", "ReadOnlyError",
    "RolledBackError", "SerializationError", "SnapshotTooOldError", "TransactionTooLargeError", "UnknownFormatError",
    "UnsupportedError", "UnsupportedTypeError", "ValueTooLargeError", "WriterTimeoutError", "WritesStoppedError",
    "WrongThreadError",
]  # fmt: skip


class NyroError(Exception):
    """Everything that NyroDB raises by itself."""

    code: str = "Unknown"
    """The error's name, such as "DuplicateId"."""
    errno: int = 0
    """Its stable number, such as 205."""
    kind: str = "Internal"
    """The coarse kind, such as "Exists"."""
    os_errno: int | None = None
    """The operating system's number, where it reported an error."""
    message: str
    """What is wrong, and what to do."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # What OSError does by itself would lose the fields.
        return _again, (type(self), self.message, dict(self.__dict__))


def _again(cls: type[NyroError], message: str, fields: dict[str, Any]) -> NyroError:
    error = cls(message)
    error.__dict__.update(fields)
    return error


# Kinds.


class InvalidArgumentError(NyroError, ValueError):
    """The call or one of its arguments is wrong."""

    code, errno, kind = "InvalidArgument", 101, "InvalidArgument"


class InvalidDocumentError(NyroError, ValueError):
    """The document cannot be stored as it is."""

    kind = "InvalidDocument"


class ExistsError(NyroError, ValueError):
    """A thing of that name or id is already there."""

    kind = "Exists"


class NotFoundError(NyroError):
    """The named thing is not there."""

    kind = "NotFound"


class BusyError(NyroError):
    """Somebody else holds what this call needs."""

    kind = "Busy"


class CorruptError(NyroError):
    """The file is damaged or is not a NyroDB file."""

    kind = "Corrupt"


class UnsupportedError(NyroError):
    """The file needs a newer program, or the platform lacks something."""

    kind = "Unsupported"


class IoError(NyroError, OSError):
    """The operating system reported an error."""

    code, errno, kind = "Io", 501, "Io"


class FullError(NyroError):
    """No room: on the disk, in the log, in a transaction."""

    kind = "Full"


class ClosedError(NyroError, ValueError):
    """The handle was closed, as a file's ``ValueError`` says."""

    kind = "Closed"


class CancelledError(NyroError):
    """The caller's token or time limit stopped the call."""

    code, errno, kind = "Cancelled", 108, "Cancelled"


class InternalError(NyroError, RuntimeError):
    """A bug in NyroDB. Please report it with the text."""

    code, errno, kind = "Internal", 901, "Internal"


# The call.


class InvalidNameError(InvalidArgumentError):
    """102: a collection name is empty, too long, or holds what is reserved."""

    code, errno = "InvalidName", 102


class DatabaseClosedError(ClosedError):
    """103: the database, or the handle, was closed."""

    code, errno = "Closed", 103


class NestedTransactionError(InvalidArgumentError, RuntimeError):
    """104: a write inside a write transaction of the same thread."""

    code, errno = "NestedTransaction", 104


class ReadOnlyError(InvalidArgumentError):
    """105: a write on a database that was opened for reading only, or on a snapshot."""

    code, errno = "ReadOnly", 105


class OptionsDifferError(InvalidArgumentError):
    """106: the same file is already open in this process with other options."""

    code, errno = "OptionsDiffer", 106


class RolledBackError(InvalidArgumentError):
    """107: the transaction was rolled back at the caller's wish."""

    code, errno = "RolledBack", 107


class DeadlineExceededError(CancelledError, TimeoutError):
    """109: a long call did not end before its deadline."""

    code, errno = "DeadlineExceeded", 109


class ForkedError(ClosedError, RuntimeError):
    """110: the database was opened by the process that this one was forked from."""

    code, errno = "Forked", 110


class WrongThreadError(InvalidArgumentError, RuntimeError):
    """111: a transaction was used by another thread than the one that began it."""

    code, errno = "WrongThread", 111


# The document, or a name.


class MalformedDocumentError(InvalidDocumentError):
    """201: the bytes are not well-formed MessagePack, or not a map with string keys."""

    code, errno = "MalformedDocument", 201


class DocumentTooLargeError(InvalidDocumentError):
    """202: the document is larger than ``max_document_bytes``."""

    code, errno = "DocumentTooLarge", 202


class DocumentTooDeepError(InvalidDocumentError):
    """203: the document nests deeper than 100 levels, or holds itself."""

    code, errno = "DocumentTooDeep", 203


class InvalidIdError(InvalidDocumentError, TypeError):
    """204: ``_id`` is missing where it is needed, of a wrong type, or too long."""

    code, errno = "InvalidId", 204


class DuplicateIdError(ExistsError):
    """205: a document with this ``_id`` is already in the collection."""

    code, errno = "DuplicateId", 205


class SerializationError(InvalidDocumentError):
    """206: a value could not be turned into a document."""

    code, errno = "Serialization", 206


class UnsupportedTypeError(SerializationError, TypeError):
    """206: a value is of a type that can't be stored."""


class IntegerRangeError(SerializationError, OverflowError):
    """206: an integer is beyond 64 bits."""


class CollectionNotFoundError(NotFoundError, KeyError):
    """207: a name that must exist does not."""

    code, errno = "CollectionNotFound", 207


class CollectionExistsError(ExistsError):
    """208: a name that must not exist does."""

    code, errno = "CollectionExists", 208


class IdsExhaustedError(FullError):
    """209: the last integer id was given out."""

    code, errno = "IdsExhausted", 209


@dataclass(frozen=True)
class BulkFailure:
    """A document of a bulk write that was not written."""

    index: int
    """Its place among the documents."""
    code: str
    """The error's name."""
    errno: int
    """The error's number."""
    message: str
    """What is wrong."""


class BulkWriteError(NyroError):
    """210: some documents of a bulk write were not written. Its kind is that of the first failure."""

    code, errno = "BulkWrite", 210
    inserted_count: int = 0
    """How many documents were written."""
    failures: list[BulkFailure]
    """The ones that were not (only the first, if the write was ordered)."""

    def __init__(self, message: str = "", inserted: int = 0, failures: Iterable[tuple[int, int, str]] = ()) -> None:
        super().__init__(message)
        self.inserted_count = inserted
        self.failures = [BulkFailure(at, class_of(number).code, number, text) for at, number, text in failures]
        if self.failures:
            self.kind = class_of(self.failures[0].errno).kind


class KeyTooLargeError(InvalidDocumentError):
    """211: a key of a keyspace is longer than 65 535 bytes."""

    code, errno = "KeyTooLarge", 211


class ValueTooLargeError(InvalidDocumentError):
    """212: a value of a keyspace is larger than ``max_document_bytes``."""

    code, errno = "ValueTooLarge", 212


class OtherKindError(ExistsError):
    """213: the name is that of a keyspace where a collection is wanted, or the other way round."""

    code, errno = "OtherKind", 213


# Somebody else.


class LockedError(BusyError):
    """301: another process has the file open."""

    code, errno = "Locked", 301


class WriterTimeoutError(BusyError, TimeoutError):
    """302: the writer's turn did not come within ``writer_timeout_ms``."""

    code, errno = "WriterTimeout", 302


# The file.


class NotADatabaseError(CorruptError):
    """401: the file exists and is not a NyroDB file; nothing was written to it."""

    code, errno = "NotADatabase", 401


class UnknownFormatError(UnsupportedError):
    """402: the file has a format version or a feature that this program does not know."""

    code, errno = "UnknownFormat", 402


class CorruptFileError(CorruptError):
    """403: a structure of the file is damaged."""

    code, errno = "Corrupt", 403


class LogMissingError(CorruptError):
    """404: the file was not closed cleanly and its log is missing or belongs to another file."""

    code, errno = "LogMissing", 404


class NoSuchFileError(NotFoundError, FileNotFoundError):
    """405: there is no file at this path, and ``create`` is off."""

    code, errno = "NoSuchFile", 405


class NetworkFileSystemError(UnsupportedError):
    """406: the file lies on a network file system."""

    code, errno = "NetworkFileSystem", 406


class BackupMismatchError(InvalidArgumentError):
    """407: a backup is of another database, or not the next one of its chain."""

    code, errno = "BackupMismatch", 407


# The machine.


class DiskFullError(FullError, OSError):
    """502: the disk is full; nothing was changed."""

    code, errno = "DiskFull", 502


class OutcomeUnknownError(IoError):
    """503: a sync failed. Whether the last commits survive is known only after reopening."""

    code, errno = "OutcomeUnknown", 503


class WritesStoppedError(IoError):
    """504: an earlier write or sync failed; this handle reads but no longer writes."""

    code, errno = "WritesStopped", 504


# A limit.


class TransactionTooLargeError(FullError):
    """601: the transaction is larger than the limit; it was rolled back."""

    code, errno = "TransactionTooLarge", 601


class LogFullError(FullError):
    """602: the log is full and no checkpoint succeeds; nothing was changed."""

    code, errno = "Full", 602


class SnapshotTooOldError(ClosedError):
    """603: the snapshot is older than the limit that the database was opened with, and was ended."""

    code, errno = "SnapshotTooOld", 603


class MemtableFullError(FullError):
    """604: the memtable has no room for more, and no checkpoint has folded it."""

    code, errno = "MemtableFull", 604


def _subclasses(cls: type[NyroError]) -> Iterable[type[NyroError]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _subclasses(sub)


#: The class for each number.
BY_NUMBER: dict[int, type[NyroError]] = {}
BY_NUMBER.update(
    # What only tells a number's cases apart inherits its number, and is made by `make`.
    (cls.errno, cls)
    for cls in _subclasses(NyroError)
    if "errno" in vars(cls)
)

_LIKE: dict[str, type[NyroError]] = {"type": UnsupportedTypeError, "overflow": IntegerRangeError}


def class_of(number: int) -> type[NyroError]:
    """The class for a number; that of a newer engine is ``NyroError`` itself."""
    return BY_NUMBER.get(number, NyroError)


def make(
    number: int,
    message: str,
    *,
    like: str = "value",
    inserted: int = 0,
    failures: Iterable[tuple[int, int, str]] = (),
    os_errno: int | None = None,
) -> NyroError:
    """The exception for an error of the engine's; the native module calls it."""
    cls = class_of(number)
    if cls is SerializationError:
        cls = _LIKE.get(like, cls)
    error = BulkWriteError(message, inserted, failures) if cls is BulkWriteError else cls(message)
    if os_errno is not None:
        error.os_errno = os_errno
    return error
