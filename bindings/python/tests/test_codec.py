"""Documents to bytes and back: every type, every edge, compared with other codecs."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import gc
import itertools
import math
import os
import pickle
import resource
import struct
import sys
import types
import zoneinfo
from collections.abc import Callable
from typing import Any

import msgpack
import nyrodb
import ormsgpack
import pytest
from conftest import run_python
from hypothesis import given, settings
from hypothesis import strategies as st

UTC = dt.timezone.utc

#: Documents that each property is tried with.
EXAMPLES = int(os.environ.get("NYRO_EXAMPLES", "100"))
EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)


def back(value: Any) -> Any:
    """The value after a round trip, inside a document."""
    return nyrodb.decode(nyrodb.encode({"v": value}))["v"]


texts = st.text(st.characters(exclude_categories=["Cs"]))
times = st.datetimes(min_value=dt.datetime(1, 1, 2), max_value=dt.datetime(9999, 12, 30), timezones=st.just(UTC))
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | texts | st.binary(max_size=300)
values = st.recursive(
    scalars | times,
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(texts, inner, max_size=8),
    max_leaves=25,
)
documents = st.dictionaries(texts, values, max_size=12)


def same(a: Any, b: Any) -> bool:
    """Equal, and of equal types all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@settings(max_examples=EXAMPLES, deadline=None)
@given(documents)
def test_any_document_comes_back(document: dict[str, Any]) -> None:
    raw = nyrodb.encode(document)
    for _ in range(3):
        # The second time by its shape, the third by the shape's template.
        assert same(nyrodb.decode(raw), document)


@settings(max_examples=EXAMPLES, deadline=None)
@given(documents)
def test_bytes_are_those_of_another_codec(document: dict[str, Any]) -> None:
    raw = nyrodb.encode(document)
    assert raw == msgpack.packb(document, datetime=True)
    unpacked = msgpack.unpackb(raw, timestamp=3, strict_map_key=True)
    assert same(unpacked, document)


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(st.lists(documents, min_size=1, max_size=8), st.randoms())
def test_shapes_that_take_turns_do_not_mix(docs: list[dict[str, Any]], random: Any) -> None:
    raws = [(nyrodb.encode(d), d) for d in docs] * 3
    random.shuffle(raws)
    for raw, document in raws:
        assert same(nyrodb.decode(raw), document)


@settings(max_examples=5 * EXAMPLES, deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_are_a_document_or_an_error(raw: bytes) -> None:
    try:
        found = nyrodb.decode(raw)
    except nyrodb.InvalidDocumentError:
        return
    assert isinstance(found, dict)


@settings(max_examples=EXAMPLES, deadline=None)
@given(documents, st.data())
def test_damaged_documents_never_crash(document: dict[str, Any], data: st.DataObject) -> None:
    raw = bytearray(nyrodb.encode(document))
    for _ in range(3):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    for damaged in (bytes(raw), bytes(raw[:cut]), bytes(raw) + b"\x00"):
        try:
            nyrodb.decode(damaged)
        except nyrodb.InvalidDocumentError:
            pass


@pytest.mark.parametrize("exponent", range(65))
def test_integers_keep_all_their_bits(exponent: int) -> None:
    for value in (2**exponent - 1, 2**exponent, 2**exponent + 1, -(2**exponent) - 1, -(2**exponent), 1 - 2**exponent):
        if -(2**63) <= value < 2**64:
            assert same(back(value), value)
            assert nyrodb.encode({"v": value}) == ormsgpack.packb({"v": value})
        else:
            with pytest.raises(nyrodb.IntegerRangeError) as error:
                back(value)
            assert isinstance(error.value, OverflowError) and isinstance(error.value, ValueError)
            assert "64" in str(error.value) and error.value.errno == 206


@pytest.mark.parametrize("length", [0, 1, 7, 8, 15, 16, 17, 31, 32, 255, 256, 65535, 65536])
def test_lengths_at_every_edge(length: int) -> None:
    for value in ("x" * length, "é" * length, b"y" * length, [None] * length, {str(i): i for i in range(length)}):
        for _ in range(3):
            assert same(back(value), value)
    assert nyrodb.encode({"v": "x" * length}) == ormsgpack.packb({"v": "x" * length})


def test_floats_keep_their_bits() -> None:
    for value in (0.0, -0.0, 1.0, math.inf, -math.inf, math.nan, 5e-324, sys.float_info.max, 0.1):
        assert same(back(value), value)
    assert nyrodb.decode(b"\x81\xa1v\xca\x3f\xc0\x00\x00") == {"v": 1.5}


def test_times_are_aware_and_cut_to_microseconds() -> None:
    for value in (
        EPOCH, EPOCH + dt.timedelta(microseconds=1), EPOCH - dt.timedelta(microseconds=1),
        dt.datetime(1, 1, 1, tzinfo=UTC), dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        dt.datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC), dt.datetime(2514, 5, 30, 1, 53, 4, tzinfo=UTC),
    ):  # fmt: skip
        found = back(value)
        assert found == value and found.tzinfo is UTC
        assert nyrodb.encode({"v": value}) == msgpack.packb({"v": value}, datetime=True)
    local = dt.datetime(2024, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo("UTC"))
    assert back(local) == local and back(local).tzinfo is UTC
    east = dt.datetime(2024, 7, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))
    assert back(east) == east
    nanos = struct.pack(">BBbIq", 0xC7, 12, -1, 123_456_789, 1)
    assert nyrodb.decode(b"\x81\xa1v" + nanos)["v"] == EPOCH + dt.timedelta(seconds=1, microseconds=123_456)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(nyrodb.SerializationError, match="naive"):
        back(dt.datetime(2024, 1, 1))
    for other in (dt.date(2024, 1, 1), dt.time(12), dt.timedelta(1)):
        with pytest.raises(nyrodb.UnsupportedTypeError):
            back(other)


def test_a_time_beyond_datetime_is_kept_as_an_extension() -> None:
    for secs in (-62_135_596_801, 253_402_300_800, 2**62, -(2**63)):
        raw = b"\x81\xa1v" + struct.pack(">BBbIq", 0xC7, 12, -1, 5, secs)
        found = nyrodb.decode(raw)
        assert found["v"] == nyrodb.Ext(-1, struct.pack(">Iq", 5, secs))
        assert nyrodb.encode(found) == raw


def test_extensions_are_kept() -> None:
    for length in (0, 1, 2, 3, 4, 8, 16, 17, 255, 256, 65536):
        ext = nyrodb.Ext(5, b"z" * length)
        assert back(ext) == ext and hash(back(ext)) == hash(ext)
        assert msgpack.unpackb(nyrodb.encode({"v": ext}))["v"] == msgpack.ExtType(5, b"z" * length)
    ext = nyrodb.Ext(-128, b"ab")
    assert (ext.code, ext.data) == (-128, b"ab") and repr(ext) == "Ext(-128, b'ab')"
    assert ext != nyrodb.Ext(-128, b"ac") and ext != nyrodb.Ext(1, b"ab") and ext != "ab"
    assert pickle.loads(pickle.dumps(ext)) == ext
    for code in (128, -129, 2**70):
        with pytest.raises((ValueError, OverflowError)):
            nyrodb.Ext(code, b"")
    for data in ("text", [1, 2], 7):
        with pytest.raises(TypeError):
            nyrodb.Ext(1, data)  # type: ignore[arg-type]


def test_subclasses_are_stored_as_what_they_are() -> None:
    class Text(str):
        pass

    class Number(int):
        def __index__(self) -> int:
            raise AssertionError("not asked")

        __int__ = __index__

    class Real(float):
        pass

    class Listed(list):  # type: ignore[type-arg]
        pass

    class Bytes(bytes):
        pass

    class When(dt.datetime):
        pass

    Color = enum.IntEnum("Color", ["RED", "GREEN"])
    Word = enum.Enum("Word", {"YES": "yes"}, type=str)
    Point = collections.namedtuple("Point", "x y")
    ordered = collections.OrderedDict(a=1, b=2, c=3)
    ordered.move_to_end("a")
    cases = [
        (Text("é"), "é"), (Number(7), 7), (Real(1.5), 1.5), (Listed([1]), [1]), (Bytes(b"x"), b"x"),
        (When(2024, 1, 1, tzinfo=UTC), dt.datetime(2024, 1, 1, tzinfo=UTC)), (Color.GREEN, 2), (Word.YES, "yes"),
        (Point(1, 2), [1, 2]), ((1, (2,)), [1, [2]]), (bytearray(b"x"), b"x"), (memoryview(b"abc")[::2], b"ac"),
        (collections.Counter("aab"), {"a": 2, "b": 1}), (collections.defaultdict(int, a=1), {"a": 1}),
        (ordered, {"b": 2, "c": 3, "a": 1}), (True, True), (False, False),
    ]  # fmt: skip
    for given_value, expected in cases:
        assert same(back(given_value), expected), given_value
    document = nyrodb.decode(nyrodb.encode(collections.OrderedDict({Text("k"): ordered})))
    assert list(document["k"]) == ["b", "c", "a"] and type(list(document)[0]) is str


@pytest.mark.parametrize(
    "value",
    [
        {1, 2}, frozenset(), object(), 1j, range(3), types.SimpleNamespace(), lambda: 0, int, Ellipsis, iter([]),
        types.MappingProxyType({"a": 1}), collections.deque([1]), collections.UserDict(), enum.Enum("E", "A").A,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_other_types_are_type_errors_with_the_path(value: object) -> None:
    with pytest.raises(nyrodb.UnsupportedTypeError, match=r"at v\.inner\[2\]\.deep: .* can't be stored") as error:
        back({"inner": [1, 2, {"deep": value}]})
    assert isinstance(error.value, TypeError) and isinstance(error.value, nyrodb.NyroError)


@pytest.mark.parametrize("key", [1, None, b"a", 1.5, ("a",), True])
def test_names_that_are_no_text_are_refused(key: object) -> None:
    for document in ({key: 1}, {"a": {key: 1}}, collections.OrderedDict({key: 1})):  # type: ignore[dict-item]
        with pytest.raises(nyrodb.UnsupportedTypeError, match="field names must be str"):
            nyrodb.encode(document)  # type: ignore[arg-type]


def test_lone_surrogates_are_refused_everywhere() -> None:
    for document in ({"a": "\ud800"}, {"\udfff": 1}, {"a": ["x\ud800"]}):
        with pytest.raises(nyrodb.SerializationError, match="surrogate"):
            nyrodb.encode(document)
    assert not isinstance(sys.exc_info()[1], UnicodeError)
    assert same(back("\U0001f600"), "\U0001f600")


def test_depth_is_limited_and_cycles_are_errors() -> None:
    def nested(levels: int, make: Any) -> Any:
        value: Any = None
        for _ in range(levels):
            value = make(value)
        return value

    for make in (lambda v: [v], lambda v: {"n": v}, lambda v: (v,), lambda v: collections.OrderedDict(n=v)):
        raw = nyrodb.encode({"v": nested(99, make)})
        assert nyrodb.decode(raw) is not None
        for levels in (100, 101, 5000):
            with pytest.raises(nyrodb.DocumentTooDeepError):
                nyrodb.encode({"v": nested(levels, make)})
    with pytest.raises(nyrodb.DocumentTooDeepError):
        nyrodb.decode(b"\x81\xa1n" * 101 + b"\xc0")
    with pytest.raises(nyrodb.DocumentTooDeepError):
        nyrodb.decode(b"\x81\xa1n" + b"\x91" * 100_000 + b"\xc0")
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    ring: list[Any] = []
    ring.append([ring])
    wide: list[Any] = []
    wide.extend([wide] * 1000)
    for value in (cycle, {"v": ring}, {"v": wide}):
        with pytest.raises(nyrodb.DocumentTooDeepError):
            nyrodb.encode(value)


def test_a_value_that_holds_itself_many_times_over_is_too_large() -> None:
    value: Any = ["x" * 1000] * 1000
    for _ in range(60):
        value = [value, value]
    with pytest.raises(nyrodb.DocumentTooLargeError):
        nyrodb.encode({"v": value})


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\xc0", b"\x01", b"\x90", b"\x81", b"\x81\xa1", b"\x81\xa1a", b"\x81\x01\x02", b"\x81\xc0\xc0",
        b"\x81\xa1\xff\x01", b"\x81\xa1a\xa1\xff", b"\x81\xa1a\xa3\xed\xa0\x80", b"\x81\xa1a\xc1", b"\x80\x00",
        b"\xdf\xff\xff\xff\xff", b"\x81\xa1a\xdd\xff\xff\xff\xff", b"\x81\xa1a\xc6\xff\xff\xff\xff",
        b"\x81\xa1a\xdb\xff\xff\xff\xff", b"\x81\xa1a\xc9\xff\xff\xff\xff\x05", b"\x82\xa1a\x01",
        b"\x81\xa1a\x82\xa1b\x01\x01\x02",
    ],
)  # fmt: skip
def test_malformed_bytes_are_errors(raw: bytes) -> None:
    for _ in range(3):
        with pytest.raises(nyrodb.MalformedDocumentError):
            nyrodb.decode(raw)


def test_what_is_malformed_after_a_known_shape_is_an_error_and_leaks_nothing() -> None:
    good = nyrodb.encode({"a": "some text", "b": {"c": ["x", 1000]}, "d": 2.5})
    for _ in range(3):
        nyrodb.decode(good)
    before = len(gc.get_objects())
    marker = "a text of its own, long enough not to be kept anywhere"
    long = nyrodb.encode({"a": marker, "b": {"c": [marker, 1000]}, "d": 2.5})
    for cut in range(len(long)):
        for _ in range(20):
            with pytest.raises(nyrodb.MalformedDocumentError):
                nyrodb.decode(long[:cut])
    gc.collect()
    assert len(gc.get_objects()) - before < 1000


def test_references_are_counted_right() -> None:
    """Values of each kind, decoded and encoded many times over, are as many as before."""
    document = {
        "none": None, "yes": True, "text": "short", "long": "x" * 100, "number": 10**10, "list": [None, "short", []],
        "map": {"a": {"b": None}}, "bytes": b"x", "time": EPOCH, "ext": nyrodb.Ext(1, b"x"), "float": 1.5,
    }  # fmt: skip
    raw = nyrodb.encode(document)
    watched = [None, True, "short", "text", document, *document.values()]
    for _ in range(100):
        nyrodb.decode(raw)
    gc.collect()
    before = [sys.getrefcount(o) for o in watched]
    for _ in range(1000):
        nyrodb.encode(document)
        nyrodb.decode(raw)
        with pytest.raises(TypeError):
            nyrodb.encode({**document, "bad": object()})
    gc.collect()
    after = [sys.getrefcount(o) for o in watched]
    assert all(abs(a - b) < 100 for a, b in zip(before, after)), list(zip(before, after))


def test_what_user_code_changes_meanwhile_is_an_error_or_whole() -> None:
    class Evil(dt.tzinfo):
        def __init__(self, act: Any) -> None:
            self.act = act

        def utcoffset(self, when: Any) -> dt.timedelta:
            self.act()
            return dt.timedelta(0)

        def dst(self, when: Any) -> None:
            return None

    document: dict[str, Any] = {}
    when = dt.datetime(2024, 1, 1, tzinfo=Evil(lambda: document.clear()))
    document.update({"a": when, "b": 1, "c": [1, 2]})
    with pytest.raises(nyrodb.SerializationError, match="changed"):
        nyrodb.encode(document)

    listed: list[Any] = []
    listed.extend([dt.datetime(2024, 1, 1, tzinfo=Evil(lambda: listed.clear())), "x" * 50, object()])
    with pytest.raises(nyrodb.SerializationError, match="changed"):
        nyrodb.encode({"v": listed})

    inner = {"v": dt.datetime(2024, 1, 1, tzinfo=Evil(lambda: nyrodb.decode(nyrodb.encode({"x": [1]}))))}
    assert nyrodb.decode(nyrodb.encode(inner))["v"] == dt.datetime(2024, 1, 1, tzinfo=UTC)

    def fails() -> None:
        raise LookupError("from the zone")

    with pytest.raises(LookupError, match="from the zone"):
        nyrodb.encode({"v": dt.datetime(2024, 1, 1, tzinfo=Evil(fails))})


def test_a_collection_of_ids_as_names_does_not_grow_the_memory_without_end() -> None:
    import resource

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def run(start: int) -> None:
        for i in range(start, start + 30_000):
            document = {f"key-{i}-{j}": j for j in range(5)}
            assert nyrodb.decode(nyrodb.encode(document)) == document

    run(0)
    before = peak()
    run(30_000)
    run(60_000)
    assert peak() - before < 10_000, "KiB"


def test_names_are_one_object_in_all_documents() -> None:
    # In a process of its own: here thousands of odd shapes were seen, and a new one may have no room yet.
    run_python("""
import nyrodb
raw = nyrodb.encode({"a rather long field name": 1})
names = [list(nyrodb.decode(raw))[0] for _ in range(5)]
assert all(name is names[0] for name in names)
""")


def test_decoded_documents_share_nothing_that_changes() -> None:
    raw = nyrodb.encode({"a": {"b": [1]}, "c": []})
    first, second = nyrodb.decode(raw), nyrodb.decode(raw)
    for _ in range(3):
        third = nyrodb.decode(raw)
        third["a"]["b"].append(2)
        third["new"] = 1
        del third["c"]
        third["a"]["x"] = 1
    assert first == second == nyrodb.decode(raw) == {"a": {"b": [1]}, "c": []}


@pytest.mark.parametrize(
    "document",
    [
        {"a": ["x" * 10**6] * 10**4},
        {"a": [b"x" * 10**6] * 10**4},
        {"a": [nyrodb.Ext(5, b"x" * 10**6)] * 10**4},
        {"a": ("x" * 10**6,) * 10**4},
        {"a": ["x" * 200] * 10**7},
        {"a": [memoryview(b"x" * 200)] * 10**6},
        {"a": "x" * 10**8},
    ],
    ids=["str", "bytes", "ext", "tuple", "short", "views", "one"],
)
def test_encoding_stops_where_no_document_can_be_larger(document: dict[str, Any]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(nyrodb.DocumentTooLargeError):
        nyrodb.encode(document)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 << 10, "KiB of memory were taken"


def test_insert_many_stops_where_no_transaction_can_be_larger(users: nyrodb.Collection) -> None:
    with pytest.raises(nyrodb.TransactionTooLargeError):
        users.insert_many(itertools.repeat({"a": "x" * 10**7}))
    assert users.count_documents() == 0


def test_encoding_inside_encoding_keeps_no_reference() -> None:
    name = "".join(["na", "me"])

    class Zone(dt.tzinfo):
        def utcoffset(self, _: dt.datetime | None) -> dt.timedelta:
            nyrodb.encode({name: 1})
            return dt.timedelta(0)

    before = sys.getrefcount(name)
    for _ in range(5):
        nyrodb.encode({"a": dt.datetime(2020, 1, 1, tzinfo=Zone())})
    assert sys.getrefcount(name) <= before + 1


class _Meddling(dt.tzinfo):
    """Changes a document while it is written, so that it has as many fields as before."""

    def __init__(self, document: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> None:
        self.document, self.change, self.is_done = document, change, False

    def utcoffset(self, _: dt.datetime | None) -> dt.timedelta:
        if not self.is_done:
            self.is_done = True
            self.change(self.document)
        return dt.timedelta(0)

    def dst(self, _: dt.datetime | None) -> None:
        return None


def _id_again(document: dict[str, Any]) -> None:
    del document["_id"], document["b"]
    document["_id"] = 77


def _field_again(document: dict[str, Any]) -> None:
    del document["a"], document["b"]
    document["a"] = 2


@pytest.mark.parametrize("change", [_id_again, _field_again])
@pytest.mark.parametrize("many", [False, True])
def test_a_document_that_is_changed_while_it_is_written_is_never_stored_malformed(
    db: nyrodb.Database, change: Callable[[dict[str, Any]], None], many: bool
) -> None:
    document: dict[str, Any] = {"_id": 1}
    document["a"] = dt.datetime(2020, 1, 1, tzinfo=_Meddling(document, change))
    document["b"] = 1
    with pytest.raises(nyrodb.NyroError):
        if many:
            db["c"].insert_many([document])
        else:
            db["c"].insert_one(document)
    assert db["c"].count_documents() == 0
    db.verify()


class _Odd(dt.datetime):
    """A datetime that differs from another by what is no timedelta."""

    difference: Any = None

    def __sub__(self, _: Any) -> Any:
        return self.difference


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(
    "difference",
    [
        types.SimpleNamespace(days=0, seconds=5, microseconds=1_050_000),
        types.SimpleNamespace(days=0, seconds=5, microseconds=4_294_968),
        types.SimpleNamespace(days=1 << 62, seconds=0, microseconds=0),
        types.SimpleNamespace(days=(1 << 63) // 86_400, seconds=(1 << 63) - 1, microseconds=0),
    ],
)
def test_a_datetime_of_an_odd_kind_is_refused(db: nyrodb.Database, difference: Any, many: bool) -> None:
    odd = _Odd(2020, 1, 1, tzinfo=dt.timezone.utc)
    odd.difference = difference
    with pytest.raises(nyrodb.NyroError):
        if many:
            db["c"].insert_many([{"_id": 1, "at": odd}])
        else:
            db["c"].insert_one({"_id": 1, "at": odd})
    assert db["c"].count_documents() == 0
    db.verify()
