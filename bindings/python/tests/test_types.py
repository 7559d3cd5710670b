"""The types: the stubs say what the module has, and a typed program passes the strictest checks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run(*command: str) -> None:
    environment = {**os.environ, "MYPY_CACHE_DIR": str(HERE.parent / ".mypy_cache")}
    ended = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, cwd=HERE.parent, env=environment
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_stubs_are_true() -> None:
    run("mypy.stubtest", "nyrodb", "--allowlist", str(HERE / "stubtest-allowlist.txt"))


def test_the_package_passes_mypy_strict() -> None:
    run("mypy", "--strict", "-p", "nyrodb")


def test_a_typed_program_passes_mypy_strict() -> None:
    run("mypy", "--strict", str(HERE / "typed_sample.py"))


def test_a_wrong_program_does_not(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        'import nyrodb\ndb = nyrodb.open(":memory:")\nx: int = db["a"].get(1)\ndb["a"].get(1.5)\n'
        'ks = db.keyspace("k")\nks["a"] = b""\nks[b"a"] = 1\nks.write_many([("put", b"a")])\n'
    )
    with pytest.raises(AssertionError) as error:
        run("mypy", "--strict", str(wrong))
    for line in (3, 4, 6, 7, 8):
        assert f"wrong.py:{line}:" in str(error.value)
