"""Error classes and numbers, compared with docs/errors.md."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import pytest

import nyrodb
from nyrodb import _nyrodb, errors

TABLE = Path(__file__).parents[3] / "docs" / "errors.md"


def rows() -> list[tuple[int, str, str]]:
    found = re.findall(r"^\| (\d+) \| (\w+) \| ([^|]+?) \|", TABLE.read_text(), re.M)
    return [(int(number), name, kind) for number, name, kind in found]


def test_every_number_has_its_class() -> None:
    assert len(rows()) > 35
    for number, name, kind in rows():
        cls = errors.BY_NUMBER[number]
        assert (cls.errno, cls.code) == (number, name)
        if number != 210:
            assert cls.kind == kind, name
    assert sorted(errors.BY_NUMBER) == [number for number, _, _ in rows()]
    assert _nyrodb.error_numbers() == [(number, name) for number, name, _ in rows()]


def test_every_class_is_public_and_documented() -> None:
    classes = {n for n, c in vars(errors).items() if isinstance(c, type) and issubclass(c, nyrodb.NyroError)}
    assert classes | {"BulkFailure"} == set(errors.__all__)
    for name in classes:
        assert getattr(nyrodb, name) is getattr(errors, name)
        assert getattr(errors, name).__doc__


def test_classes_are_those_that_python_has_for_it() -> None:
    for name, base in {
        "WriterTimeoutError": TimeoutError, "DeadlineExceededError": TimeoutError, "NoSuchFileError": FileNotFoundError,
        "CollectionNotFoundError": KeyError, "IoError": OSError, "DiskFullError": OSError, "InvalidArgumentError": ValueError,
        "DuplicateIdError": ValueError, "UnsupportedTypeError": TypeError, "IntegerRangeError": OverflowError,
        "ClosedError": ValueError, "InvalidIdError": TypeError, "InternalError": RuntimeError,
    }.items():  # fmt: skip
        assert issubclass(getattr(nyrodb, name), base)


def test_an_error_says_what_it_is() -> None:
    with nyrodb.open(":memory:") as db:
        db["a"].put({"_id": 1})
        with pytest.raises(nyrodb.DuplicateIdError) as error:
            db["a"].insert_one({"_id": 1})
    e = error.value
    assert (e.code, e.errno, e.kind) == ("DuplicateId", 205, "Exists")
    assert "put" in str(e) and str(e) == e.message


@pytest.mark.parametrize("number", [n for n, _, _ in rows()])
def test_errors_can_be_made_shown_and_pickled(number: int) -> None:
    error = errors.make(number, "what is wrong", os_errno=28)
    assert str(error) == "what is wrong" and "what is wrong" in repr(error)
    assert error.os_errno == 28 and error.errno == number
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error) and str(again) == str(error) and again.os_errno == 28


def test_a_bulk_error_keeps_its_failures_when_pickled() -> None:
    error = errors.make(210, "some failed", inserted=3, failures=[(4, 205, "there already")])
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, nyrodb.BulkWriteError)
    assert again.inserted_count == 3 and again.kind == "Exists"
    assert again.failures == [nyrodb.BulkFailure(4, "DuplicateId", 205, "there already")]


def test_an_unknown_number_is_a_nyro_error() -> None:
    assert type(errors.make(999, "new")) is nyrodb.NyroError


def test_the_operating_systems_number_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError) as error:
        nyrodb.open(tmp_path / "no" / "such" / "folder" / "app.nyro")
    assert isinstance(error.value, nyrodb.NyroError) and error.value.os_errno == 2
    (tmp_path / "text").write_text("no database" * 1000)
    with pytest.raises(nyrodb.NotADatabaseError) as other:
        nyrodb.open(tmp_path / "text")
    assert other.value.kind == "Corrupt"
