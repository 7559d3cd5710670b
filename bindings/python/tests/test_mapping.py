"""CPython's own tests of the mapping protocol (``test.mapping_tests``), on keyspaces.

Those tests use keys and values of many types, and make empty mappings as they like. So ``Adapted`` stands between: each
of its methods is the keyspace's method of that name with pickled keys and values. It adds two things that a keyspace
has not: the constructor, which takes an empty keyspace and updates it, and ``copy``, the same from another one.

All methods of BasicTestMappingProtocol and TestMappingProtocol are run, but for

* ``test_fromkeys``: a class method that makes a mapping. A keyspace is made by its database, under a name;
* the last lines of ``test_setdefault``, which call without a default (there is no value that None could be) and which
  change a list after it was stored: what is stored is bytes. Its other lines are run.
"""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import nyrodb


def protocol_tests() -> ModuleType:
    """``test.mapping_tests``; where a distribution has left it out, that of this version, kept beside the build."""
    try:
        return importlib.import_module("test.mapping_tests")
    except ImportError:
        pass
    version = ".".join(map(str, sys.version_info[:3]))
    kept = Path(sys.prefix).parent / "mapping_tests" / version / "mapping_tests.py"
    if not kept.exists():
        source = f"https://raw.githubusercontent.com/python/cpython/v{version}/Lib/test/mapping_tests.py"
        try:
            with urllib.request.urlopen(source, timeout=60) as answer:
                text = answer.read()
        except OSError as e:
            raise RuntimeError(f"this Python lacks test.mapping_tests, and {source} can't be read") from e
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(text)
    spec = importlib.util.spec_from_file_location("mapping_tests", kept)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mapping_tests = protocol_tests()


def encode(value: Any) -> bytes:
    return pickle.dumps(value, protocol=4)


def decode(value: bytes | None) -> Any:
    return None if value is None else pickle.loads(value)


def both(pair: tuple[Any, Any]) -> tuple[bytes, bytes]:
    key, value = pair
    return encode(key), encode(value)


class AdaptedView:
    """A view of a keyspace with its parts decoded."""

    def __init__(self, view: Any, encode: Any, decode: Any) -> None:
        self.view, self.encode, self.decode = view, encode, decode

    def __iter__(self) -> Iterator[Any]:
        return map(self.decode, self.view)

    def __contains__(self, part: Any) -> bool:
        return self.encode(part) in self.view

    def __len__(self) -> int:
        return len(self.view)


class Puts:
    """What ``update`` is given, encoded; of the same kind and failing where that fails."""

    def __init__(self, given: Any) -> None:
        self.given = given
        if hasattr(given, "keys"):
            self.keys = lambda: map(encode, given.keys())

    def __getitem__(self, key: bytes) -> bytes:
        return encode(self.given[decode(key)])

    def __iter__(self) -> Iterator[Any]:
        return (tuple(map(encode, pair)) for pair in self.given)


class Adapted:
    def __init__(self, made: Any, *args: Any, **kwargs: Any) -> None:
        self.made, self.keyspace = made, made()
        self.update(*args, **kwargs)

    def copy(self) -> Adapted:
        return Adapted(self.made, self)

    def __getitem__(self, key: Any) -> Any:
        return decode(self.keyspace[encode(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.keyspace[encode(key)] = encode(value)

    def __delitem__(self, key: Any) -> None:
        del self.keyspace[encode(key)]

    def __contains__(self, key: Any) -> bool:
        return encode(key) in self.keyspace

    def __len__(self) -> int:
        return len(self.keyspace)

    def __bool__(self) -> bool:
        return bool(self.keyspace)

    def __iter__(self) -> Iterator[Any]:
        return map(decode, self.keyspace)

    def __eq__(self, other: Any) -> Any:
        other = other.keyspace if isinstance(other, Adapted) else dict(map(both, other.items()))
        return self.keyspace == other

    def keys(self, *args: Any) -> AdaptedView:
        return AdaptedView(self.keyspace.keys(*args), encode, decode)

    def values(self, *args: Any) -> AdaptedView:
        return AdaptedView(self.keyspace.values(*args), encode, decode)

    def items(self, *args: Any) -> AdaptedView:
        return AdaptedView(self.keyspace.items(*args), both, lambda pair: (decode(pair[0]), decode(pair[1])))

    def get(self, *args: Any) -> Any:
        return decode(self.keyspace.get(*map(encode, args)))

    def pop(self, key: Any, *default: Any) -> Any:
        return decode(self.keyspace.pop(encode(key), *map(encode, default)))

    def popitem(self, *args: Any) -> Any:
        key, value = self.keyspace.popitem(*args)
        return decode(key), decode(value)

    def setdefault(self, *args: Any) -> Any:
        return decode(self.keyspace.setdefault(*map(encode, args)))

    def clear(self, *args: Any) -> None:
        self.keyspace.clear(*args)

    def update(self, *args: Any, **kwargs: Any) -> None:
        self.keyspace.update(*map(Puts, args))
        if kwargs:
            self.keyspace.update(Puts(kwargs))


class OnKeyspaces:
    """Each empty mapping is a keyspace of its own in a database in memory."""

    def setUp(self) -> None:
        self.db = nyrodb.open(":memory:")
        self.made = 0

    def tearDown(self) -> None:
        self.db.close()

    def keyspace(self) -> Any:
        self.made += 1
        return self.db.keyspace(f"k{self.made}")

    def type2test(self, *args: Any, **kwargs: Any) -> Adapted:
        return Adapted(self.keyspace, *args, **kwargs)


class InATransaction(OnKeyspaces):
    """The same inside a transaction."""

    def setUp(self) -> None:
        super().setUp()
        self.tx = self.db.transaction().__enter__()

    def tearDown(self) -> None:
        self.tx.rollback()
        super().tearDown()

    def keyspace(self) -> Any:
        self.made += 1
        return self.tx.keyspace(f"k{self.made}")


class AllOfIt:
    test_fromkeys = None

    def test_setdefault(self) -> None:
        mapping_tests.BasicTestMappingProtocol.test_setdefault(self)
        d = self._empty_mapping()  # type: ignore[attr-defined]
        assert d.setdefault("key", []) == [] and d["key"] == []
        assert d.setdefault("key", [3]) == [] and d["key"] == []


class TestBasicProtocol(OnKeyspaces, mapping_tests.BasicTestMappingProtocol):
    pass


class TestBasicProtocolInATransaction(InATransaction, mapping_tests.BasicTestMappingProtocol):
    pass


class TestProtocol(OnKeyspaces, AllOfIt, mapping_tests.TestMappingProtocol):
    pass


class TestProtocolInATransaction(InATransaction, AllOfIt, mapping_tests.TestMappingProtocol):
    pass


def test_only_what_is_listed_is_left_out() -> None:
    for ours, theirs in (
        (TestBasicProtocol, mapping_tests.BasicTestMappingProtocol),
        (TestBasicProtocolInATransaction, mapping_tests.BasicTestMappingProtocol),
        (TestProtocol, mapping_tests.TestMappingProtocol),
        (TestProtocolInATransaction, mapping_tests.TestMappingProtocol),
    ):
        differ = {
            name for name in dir(theirs) if name.startswith("test") and getattr(ours, name) is not getattr(theirs, name)
        }
        wanted = {"test_fromkeys", "test_setdefault"} if theirs is mapping_tests.TestMappingProtocol else set()
        assert differ == wanted, f"{ours.__name__}: {differ}"
