"""Views of keyspaces, and their comparison. Views read the keyspace as it is when they are asked."""

from __future__ import annotations

import collections.abc as abc
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from ._nyrodb import KeyspaceReads

_MISSING = object()


class KeysView(abc.KeysView[bytes]):
    """The keys of a keyspace, in order: a set."""

    _mapping: KeyspaceReads

    def __contains__(self, key: object) -> bool:
        return isinstance(key, (bytes, bytearray, memoryview)) and key in self._mapping

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._mapping)

    def __reversed__(self) -> Iterator[bytes]:
        return reversed(self._mapping)


class ValuesView(abc.ValuesView[bytes]):
    """The values of a keyspace, in the order of their keys."""

    _mapping: KeyspaceReads

    def __contains__(self, value: object) -> bool:
        return any(found == value for found in self)

    def __iter__(self) -> Iterator[bytes]:
        return self._mapping._values()

    def __reversed__(self) -> Iterator[bytes]:
        return self._mapping._values(reverse=True)


class ItemsView(abc.ItemsView[bytes, bytes]):
    """The keys of a keyspace with their values, in order: a set."""

    _mapping: KeyspaceReads

    def __contains__(self, item: object) -> bool:
        if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], (bytes, bytearray, memoryview))):
            return False
        found = self._mapping.get(item[0])
        return found is not None and found == item[1]

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return self._mapping.range()

    def __reversed__(self) -> Iterator[tuple[bytes, bytes]]:
        return self._mapping.range(reverse=True)


def equal(keyspace: KeyspaceReads, other: Any) -> Any:
    """``keyspace == other``: true if both have the same keys with the same values, in whatever order."""
    if isinstance(other, KeyspaceReads):
        return all(one == two for one, two in zip_longest(keyspace.range(), other.range()))
    if not isinstance(other, Mapping):
        return NotImplemented
    # All of one moment, whatever is written meanwhile.
    count = 0
    for key, value in keyspace.range():
        if other.get(key, _MISSING) != value:
            return False
        count += 1
    return count == len(other)
